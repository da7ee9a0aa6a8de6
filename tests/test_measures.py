"""The indicators, against numbers worked out by hand on the made-up study."""

from __future__ import annotations

import dataclasses
import json
from datetime import date
from pathlib import Path

import pandas as pd
import pytest

from analysis.indicators import CATALOGUE, HEADLINE, STANDARD, Text
from analysis.ledger import GRASSROOTS, Ledger, Span, ninetieth, places, tally
from analysis.measures import COLUMNS, catalogue, measure, write_tables
from analysis.phrases import PHRASES
from small_study import FACILITIES, MONTHLY_VISITS, RESIDENTS, SmallStudy, small_study

SPAN = Span(date(2024, 1, 1), date(2025, 12, 31))


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> SmallStudy:
    return small_study(tmp_path_factory.mktemp("small"), replications=2)


@pytest.fixture(scope="module")
def yearly(study: SmallStudy) -> pd.DataFrame:
    return measure(study.tables, FACILITIES, residents=RESIDENTS, span=SPAN)


def row(table: pd.DataFrame, indicator: str, scope: str, variant: str, **where: object) -> pd.Series:
    """The one row of an indicator, by default of the first replication of the plan in 2025."""
    found = table[table["indicator"].eq(indicator) & table["scope"].eq(scope) & table["variant"].eq(variant)]
    for column, value in ({"scenario": "plan", "replication": 0, "period": "2025"} | where).items():
        found = found[found[column].eq(value)]
    assert len(found) == 1
    return found.iloc[0]


# ------------------------------------------------------------------------------------------------------- the catalogue


def test_an_indicator_is_complete_in_both_languages() -> None:
    for indicator in CATALOGUE.values():
        texts = [indicator.name, indicator.unit, indicator.formula, *(v.name for v in indicator.variants)]
        assert all(text.en and text.zh for text in texts), indicator.id
        assert not any("\u4e00" <= c <= "\u9fff" for text in texts for c in text.en), indicator.id
        assert indicator.source
        assert indicator.computed != bool(indicator.why_not)
        assert set(indicator.guards) <= CATALOGUE.keys()


def test_the_catalogue_is_plain_data_with_the_ids_that_tables_use() -> None:
    entries = [dataclasses.asdict(entry) for entry in catalogue()]
    assert [entry["name"] for entry in json.loads(json.dumps(entries))] == list(CATALOGUE)
    assert all(entry["computed"] for entry in entries)


def test_every_phrase_speaks_both_languages_with_the_same_blanks() -> None:
    def blanks(text: str) -> set[str]:
        return {part.split("}")[0] for part in text.split("{")[1:]}

    assert [key for key, text in PHRASES.items() if blanks(text.en) != blanks(text.zh)] == []
    assert isinstance(PHRASES["goals"], Text)


# -------------------------------------------------------------------------------------------- readings of one phrase


def parts(table: pd.DataFrame, indicator: str, scope: str, variant: str = HEADLINE) -> tuple[float, float]:
    """Numerator and denominator."""
    told = row(table, indicator, scope, variant)
    return float(told["numerator"]), float(told["denominator"])


def test_care_inside_the_area_is_what_is_not_outside_by_visits_and_by_admissions(yearly: pd.DataFrame) -> None:
    found = {}
    for inside, outside in ((HEADLINE, HEADLINE), ("admissions", "discharges")):
        found[inside] = parts(yearly, "in_area_share", "grid", inside)
        away = parts(yearly, "out_of_area_share", "grid", outside)
        assert (found[inside][0] + away[0], found[inside][1]) == (away[1], away[1])
    together = tuple(sum(pair) for pair in zip(*found.values(), strict=True))
    assert parts(yearly, "in_area_share", "grid", "with_admissions") == together
    kinds = [parts(yearly, "in_area_share", "grid", kind)[1] for kind in ("outpatient", "emergency")]
    assert kinds[0] > kinds[1] > 0
    assert sum(kinds) <= found[HEADLINE][1]


def test_what_is_passed_down_is_told_as_a_share_too(yearly: pd.DataFrame) -> None:
    slots, held = (row(yearly, "slots_offered", "lead", v)["value"] for v in (HEADLINE, "held"))
    assert parts(yearly, "slots_offered", "lead", "held_share") == (held, slots)
    beds = parts(yearly, "bed_occupancy", "lead", STANDARD)[1]
    assert parts(yearly, "beds_held", "lead", "share") == (row(yearly, "beds_held", "lead", HEADLINE)["value"], beds)


def test_a_stay_by_the_census_divides_all_who_lay_there_by_discharges(yearly: pd.DataFrame) -> None:
    occupied = parts(yearly, "bed_occupancy", "tertiary_public")[0]
    discharges = parts(yearly, "average_length_of_stay", "tertiary_public")[1]
    assert parts(yearly, "average_length_of_stay", "tertiary_public", "occupied") == (occupied, discharges)


def test_rates_of_referral_have_three_bases(yearly: pd.DataFrame) -> None:
    up, down = (row(yearly, f"referrals_{way}", "area", HEADLINE)["value"] for way in ("up", "down"))
    years = parts(yearly, "visits_per_resident", "grid")[1]
    assert parts(yearly, "referrals_up", "area", "per_1000_residents") == (up, years)
    assert parts(yearly, "referrals_down", "area", "per_1000_residents") == (down, years)
    discharges, visits = (row(yearly, name, "area", STANDARD)["value"] for name in ("discharges", "visits"))
    assert parts(yearly, "referrals_up", "area", "per_100_discharges") == (up, discharges)
    assert parts(yearly, "referrals_down", "area", "per_1000_visits") == (down, visits)
    assert row(yearly, "referrals_up", "area", "per_1000_residents")["value"] == pytest.approx(1000 * up / years)


# ---------------------------------------------------------------------------------------------------------- the shares


def test_the_headline_share_counts_residents_wherever_and_no_returns(study: SmallStudy, yearly: pd.DataFrame) -> None:
    visits = study.tables["visits_daily"]
    year = visits["date"].map(lambda day: day.year).eq(2025)
    mine = visits[visits["scenario"].eq("plan") & visits["replication"].eq(0) & year & visits["kind"].ne("return")]
    top = mine.loc[mine["level"].isin(GRASSROOTS), "visits"].sum()
    told = row(yearly, "grassroots_visit_share", "grid", HEADLINE)
    assert (told["numerator"], told["denominator"]) == (top, mine["visits"].sum())
    assert told["value"] == pytest.approx(top / mine["visits"].sum())


def test_the_denominators_in_use_differ(yearly: pd.DataFrame) -> None:
    share = {
        (scope, variant): row(yearly, "grassroots_visit_share", scope, variant, scenario="before")["value"]
        for scope, variant in [
            ("grid", HEADLINE), ("grid", "without_village_and_clinics"), ("in_area", STANDARD), ("group", STANDARD)
        ]
    }  # fmt: skip
    usual = MONTHLY_VISITS
    grassroots = usual["village-001"] + usual["clinic-001"] + usual["centre-a"] + usual["sub-a"]
    everywhere, outside = sum(usual.values()), usual["outside"]
    village = usual["village-001"] + usual["clinic-001"]
    assert share["grid", HEADLINE] == pytest.approx(grassroots / everywhere, abs=0.01)
    assert share["in_area", STANDARD] == pytest.approx(grassroots / (everywhere - outside), abs=0.01)
    assert share["grid", "without_village_and_clinics"] == pytest.approx(
        (grassroots - village) / (everywhere - village), abs=0.01
    )
    in_group = everywhere - outside - usual["clinic-001"] - usual["private"]
    assert share["group", STANDARD] == pytest.approx((grassroots - usual["clinic-001"]) / in_group, abs=0.01)


def test_non_residents_count_for_institutions_only(study: SmallStudy) -> None:
    guests = (
        study.tables["visits_daily"].tail(40).assign(resident=False, visits=1000, kind="outpatient", level="centre")
    )
    tables = study.tables | {"visits_daily": pd.concat([study.tables["visits_daily"], guests])}
    with_guests = measure(tables, FACILITIES, span=SPAN)
    without = measure(study.tables, FACILITIES, span=SPAN)
    last = {"replication": 1}
    assert (
        row(with_guests, "visits", "grid", HEADLINE, **last)["value"]
        == row(without, "visits", "grid", HEADLINE, **last)["value"]
    )
    assert (
        row(with_guests, "visits", "area", STANDARD, **last)["value"]
        > row(without, "visits", "area", STANDARD, **last)["value"]
    )


def test_level_shares_sum_to_one(yearly: pd.DataFrame) -> None:
    shares = yearly[yearly["indicator"].eq("visit_share_by_level")]
    assert shares.groupby(["scenario", "replication", "period"])["value"].sum().tolist() == pytest.approx([1.0] * 8)


# ----------------------------------------------------------------------------------------------------------- inpatients


def test_the_stay_of_tertiary_public_hospitals_leaves_private_ones_out(yearly: pd.DataFrame) -> None:
    told = row(yearly, "average_length_of_stay", "tertiary_public", HEADLINE)
    own = row(yearly, "average_length_of_stay", "first", STANDARD)
    assert told["denominator"] == own["denominator"] == 12 * 180
    assert told["value"] == own["value"] == pytest.approx((180 * 8 - 12 * 5) / 180, abs=0.1)
    assert row(yearly, "average_length_of_stay", "tertiary", STANDARD)["denominator"] == 12 * 200


def test_a_stay_shortened_by_a_transfer_shows_in_the_episode(yearly: pd.DataFrame) -> None:
    stay = [
        row(yearly, "average_length_of_stay", "tertiary_public", HEADLINE, scenario=s)["value"]
        for s in ("before", "plan")
    ]
    episode = [row(yearly, "episode_length_of_stay", "grid", HEADLINE, scenario=s)["value"] for s in ("before", "plan")]
    assert stay[1] < stay[0]
    assert episode[1] > episode[0]


def test_readmissions_belong_to_the_institution_that_sent_the_patient_home(yearly: pd.DataFrame) -> None:
    own = row(yearly, "readmission_share", "first", STANDARD, scenario="before")
    assert (own["numerator"], own["denominator"]) == (12 * 16, 12 * 180)
    everywhere = row(yearly, "readmission_share", "area", HEADLINE, scenario="before")
    assert (everywhere["numerator"], everywhere["denominator"]) == (12 * 29, 12 * 360)


def test_visits_per_discharge_leave_emergencies_out_unless_asked(yearly: pd.DataFrame) -> None:
    plain = row(yearly, "outpatient_per_discharge", "tertiary_public", HEADLINE, scenario="before")
    both = row(yearly, "outpatient_per_discharge", "tertiary_public", "with_emergency", scenario="before")
    assert plain["denominator"] == both["denominator"] == 12 * 180
    assert plain["numerator"] / both["numerator"] == pytest.approx(0.9, abs=0.001)


def test_visits_per_discharge_count_internet_visits_where_a_reading_says_so(study: SmallStudy) -> None:
    monthly = study.tables["visits_monthly"]
    own = monthly[monthly["facility"].eq("first") & monthly["kind"].eq("outpatient")]
    online = own.assign(kind="internet", visits=100)
    found = measure(
        study.tables | {"visits_monthly": pd.concat([monthly, online], ignore_index=True)},
        FACILITIES, residents=RESIDENTS, span=SPAN,
    )  # fmt: skip
    plain, emergency, internet, both = (
        row(found, "outpatient_per_discharge", "tertiary_public", variant)
        for variant in (HEADLINE, "with_emergency", "with_internet", "with_both")
    )
    assert internet["numerator"] - plain["numerator"] == 12 * 100
    assert both["numerator"] - emergency["numerator"] == 12 * 100
    assert plain["denominator"] == both["denominator"] == 12 * 180


def test_beds_turn_over_and_stand_empty_between_patients(yearly: pd.DataFrame) -> None:
    told = row(yearly, "bed_turnover", "tertiary_public", HEADLINE, scenario="before")
    assert told["numerator"] == 12 * (180 - 9)  # day cases take no bed
    assert told["value"] == pytest.approx(365 * 12 * 171 / told["denominator"])
    nights = row(yearly, "average_length_of_stay", "tertiary_public", HEADLINE, scenario="before")["numerator"]
    empty = row(yearly, "bed_turnover", "tertiary_public", "interval", scenario="before")
    assert empty["value"] == pytest.approx((nights / 0.85 - nights) / (12 * 171))


def test_public_health_work_is_shared_between_stations_and_centres(yearly: pd.DataFrame) -> None:
    told = row(yearly, "public_health_village_share", "area", HEADLINE)
    assert (told["numerator"], told["denominator"]) == (12 * 5000, 12 * 10_000)
    assert row(yearly, "public_health_village_share", "area", HEADLINE, scenario="before")["value"] == 0.4


def test_institutions_with_a_specialist_are_those_where_one_has_helped(yearly: pd.DataFrame) -> None:
    told = row(yearly, "seconded_specialists", "area", HEADLINE)
    assert (told["numerator"], told["denominator"]) == (1, 3), "of a village station, a centre and a sub-centre"
    assert row(yearly, "seconded_specialists", "area", "centres")["value"] == pytest.approx(1 / 2)


def test_doctors_posted_elsewhere_are_counted_once(yearly: pd.DataFrame) -> None:
    assert row(yearly, "posted_doctor_days", "area", HEADLINE)["value"] == 12 * 30


def test_what_keeps_beds_is_told_by_cause(yearly: pd.DataFrame) -> None:
    told = row(yearly, "blocked_bed_days", "lead", HEADLINE)
    assert told["numerator"] == pytest.approx(12 * 1.5)
    assert told["value"] == pytest.approx(1000 * 12 * 1.5 / told["denominator"])
    assert row(yearly, "blocked_bed_days", "lead", "number")["value"] == pytest.approx(12 * 1.5)
    by_cause = {
        cause: row(yearly, "blocked_bed_days", "lead", cause)["numerator"]
        for cause in ("step_down", "ward", "theatre", "exam", "discharge_hours")
    }
    assert by_cause == pytest.approx({"step_down": 12, "ward": 6, "theatre": 0, "exam": 0, "discharge_hours": 3})
    assert told["denominator"] == row(yearly, "blocked_bed_days", "lead", "exam")["denominator"]


def test_hours_to_a_bed_below_are_exact_in_the_mean(yearly: pd.DataFrame) -> None:
    told = row(yearly, "step_down_wait", "lead", HEADLINE)
    assert told["value"] == pytest.approx((18 * 5.5 + 2 * 30) / 20)
    assert told["denominator"] == 12 * 20
    assert row(yearly, "step_down_wait", "lead", "p90")["value"] == 5


def test_level_4_operations_are_among_those_operated_on(yearly: pd.DataFrame) -> None:
    told = row(yearly, "level4_operation_share", "tertiary_public", HEADLINE)
    assert (told["numerator"], told["denominator"]) == (12 * 9, 12 * 72)
    assert row(yearly, "level4_operation_share", "tertiary_public", "of_discharges")["value"] == pytest.approx(9 / 180)
    assert row(yearly, "level4_operation_share", "tertiary", STANDARD)["value"] == pytest.approx((9 + 2) / (72 + 5))
    assert row(yearly, "level4_operation_share", "second", STANDARD)["value"] == 0


def test_the_case_mix_index_is_the_mean_weight_of_discharges(study: SmallStudy, yearly: pd.DataFrame) -> None:
    assert row(yearly, "case_mix_index", "tertiary_public", HEADLINE)["value"] == pytest.approx(1.04)
    pooled = row(yearly, "case_mix_index", "tertiary", STANDARD)
    assert pooled["numerator"] == pytest.approx(12 * (180 * 1.04 + 20 * 0.9))
    assert pooled["value"] == pytest.approx((180 * 1.04 + 20 * 0.9) / 200)
    assert row(yearly, "case_mix_index", "centre", STANDARD)["value"] == pytest.approx(0.55)
    none = study.tables["stays_monthly"].assign(weight_thousandths=0, operated=0, level4=0)
    unknown = measure(study.tables | {"stays_monthly": none}, FACILITIES, residents=RESIDENTS, span=SPAN)
    for indicator in ("case_mix_index", "level4_operation_share"):
        assert pd.isna(row(unknown, indicator, "tertiary_public", HEADLINE)["value"])


def test_standards_that_centres_have_reached(yearly: pd.DataFrame) -> None:
    read = {
        scenario: [
            row(yearly, "standard_reached_share", "group", variant, scenario=scenario)["value"]
            for variant in (HEADLINE, "recommended", "community_hospitals")
        ]
        for scenario in ("before", "plan")
    }
    assert read == {"before": [0.5, 0.5, 1.0], "plan": [1.0, 0.5, 1.0]}


def test_feature_departments_are_counted_and_weighed(yearly: pd.DataFrame) -> None:
    share = row(yearly, "feature_department_share", "group", HEADLINE)
    assert (share["numerator"], share["denominator"]) == (12 * 480, 12 * 2600)
    assert row(yearly, "feature_department_share", "centre", "discharges")["value"] == 0.5
    income = row(yearly, "feature_department_share", "group", "income")  # of 8,000 yuan of visits and 20,000 of stays
    assert income["denominator"] == pytest.approx(12 * 28_000)
    assert income["numerator"] == pytest.approx(12 * (0.15 * 8_000 + 0.75 * 20_000))
    built = {
        (scenario, variant): row(yearly, "feature_departments_built", "group", variant, scenario=scenario)["value"]
        for scenario in ("before", "plan")
        for variant in (HEADLINE, "large_enough", "visits_large_enough", "within_bounds", "with_income")
    }
    assert (built["before", "with_income"], built["plan", "with_income"]) == (0.5, 0.5), "the other one earns nothing"
    assert [built["before", v] for v in (HEADLINE, "large_enough", "visits_large_enough")] == [0.5, 0.5, 0.0]
    assert [built["plan", v] for v in (HEADLINE, "large_enough", "visits_large_enough")] == [1.0, 1.0, 0.5]
    assert built["plan", "within_bounds"] == 0.5, "half of the discharges is too much"


def test_day_cases_are_discharges_of_a_day_unless_a_reading_leaves_them_out(
    study: SmallStudy, yearly: pd.DataFrame
) -> None:
    whole = row(yearly, "average_length_of_stay", "first", STANDARD)
    others = row(yearly, "average_length_of_stay", "first", "without_day_cases")
    assert (others["numerator"], others["denominator"]) == (whole["numerator"] - 12 * 9, 12 * (180 - 9))
    assert others["value"] > whole["value"]
    assert row(yearly, "average_length_of_stay", "second", "without_day_cases")["denominator"] == 12 * (100 - 4)
    assert row(yearly, "day_case_share", "tertiary_public", HEADLINE)["value"] == pytest.approx(9 / 180)
    stays = study.tables["stays_monthly"]
    urgent = stays.assign(entry="emergency", day_cases=0)
    tables = study.tables | {"stays_monthly": pd.concat([stays, urgent], ignore_index=True)}
    found = measure(tables, FACILITIES, residents=RESIDENTS, span=SPAN)
    assert row(found, "day_case_share", "tertiary_public", HEADLINE)["value"] == pytest.approx(9 / 180)
    assert row(found, "day_case_share", "tertiary_public", "of_discharges")["value"] == pytest.approx(9 / 360)


def test_operations_wait_from_the_day_on_which_they_were_due(yearly: pd.DataFrame) -> None:
    mean = row(yearly, "operation_wait_days", "lead", HEADLINE)
    assert (mean["numerator"], mean["denominator"]) == (12 * (20 + 4 * 10), 12 * 60)
    assert row(yearly, "operation_wait_days", "lead", "p90")["value"] == 4
    assert row(yearly, "operation_wait_days", "first", "day_cases")["value"] == 3
    assert row(yearly, "operation_wait_days", "first", "day_cases_p90")["value"] == 3
    assert row(yearly, "theatre_use", "lead", HEADLINE)["value"] == pytest.approx(60 / 80)
    assert row(yearly, "theatre_use", "lead", "day_centre")["value"] == pytest.approx(9 / 20)


def test_money_is_told_by_who_pays(yearly: pd.DataFrame) -> None:
    """Four places with a hundred visits and ten stays a month each, visitors at one of them."""
    cost = row(yearly, "cost_per_visit", "grid", HEADLINE)
    assert (cost["numerator"], cost["denominator"]) == (12 * 100 * (80 + 200 + 350 + 500), 12 * 400)
    assert row(yearly, "cost_per_visit", "first", STANDARD)["value"] == 350
    assert row(yearly, "cost_per_visit", "first", STANDARD)["denominator"] == 12 * 120  # visitors, too
    assert row(yearly, "cost_per_discharge", "tertiary_public", HEADLINE)["value"] == 14000
    episode = row(yearly, "cost_per_episode", "grid", HEADLINE, scenario="before")
    assert (episode["numerator"], episode["denominator"]) == (12 * 10 * 38000, 12 * 380)
    before, plan = (row(yearly, "own_share", "grid", "stays", scenario=s) for s in ("before", "plan"))
    assert before["value"] == plan["value"] == pytest.approx(0.4)
    assert row(yearly, "own_share", "grid", "visits")["value"] == 0.5
    visits, stays = 12 * 100 * 1130 / 2, 12 * 10 * 38000
    assert row(yearly, "fund_spending", "grid", HEADLINE, scenario="before")["value"] == pytest.approx(
        (visits + 0.6 * stays) / 1e4
    )
    assert row(yearly, "patient_spending", "grid", HEADLINE, scenario="before")["value"] == pytest.approx(
        (visits + 0.4 * stays) / 1e4
    )
    away = row(yearly, "fund_outside_share", "grid", HEADLINE, scenario="before")["value"]
    assert away == pytest.approx((12 * 100 * 250 + 0.6 * 12 * 10 * 16000) / (visits + 0.6 * stays))


def test_what_institutions_are_paid_need_not_be_what_care_costs(yearly: pd.DataFrame) -> None:
    """In the plan the city hospital gets a tenth less for stays, and the district adds to visits at the centre."""
    assert row(yearly, "institution_margin", "area", HEADLINE, scenario="before")["value"] == pytest.approx(0)
    assert row(yearly, "institution_margin", "first", STANDARD)["value"] == pytest.approx(-12 * 10 * 1400 / 1e4)
    assert row(yearly, "institution_margin", "centre", STANDARD)["value"] == pytest.approx(12 * 100 * 10 / 1e4)
    assert row(yearly, "district_top_up", "area", HEADLINE)["value"] == pytest.approx(12 * 100 * 10 / 1e4)
    assert row(yearly, "district_top_up", "area", HEADLINE, scenario="before")["value"] == 0


def test_rates_per_resident_are_per_year_even_for_a_month(study: SmallStudy, yearly: pd.DataFrame) -> None:
    monthly = measure(study.tables, FACILITIES, "month", residents=RESIDENTS, span=SPAN)
    year = row(yearly, "visits_per_resident", "grid", HEADLINE)["value"]
    assert year == pytest.approx(12 * sum(MONTHLY_VISITS.values()) / RESIDENTS, rel=0.02)
    assert row(monthly, "visits_per_resident", "grid", HEADLINE, period="2025-07")["value"] == pytest.approx(
        year, rel=0.1
    )
    assert row(yearly, "admissions_per_100_residents", "grid", HEADLINE)["value"] == pytest.approx(
        100 * 12 * 380 / RESIDENTS
    )


# -------------------------------------------------------------------------------------------------- long-term patients


def test_internet_visits_count_unless_a_reading_leaves_them_out(study: SmallStudy, yearly: pd.DataFrame) -> None:
    daily = study.tables["visits_daily"]
    online = daily[daily["level"].eq("tertiary")].assign(kind="internet")
    tables = study.tables | {"visits_daily": pd.concat([daily, online], ignore_index=True)}
    found = measure(tables, FACILITIES, residents=RESIDENTS, span=SPAN)
    before, after = (row(t, "grassroots_visit_share", "grid", HEADLINE)["value"] for t in (yearly, found))
    assert after < before
    assert row(found, "grassroots_visit_share", "grid", "without_internet")["value"] == pytest.approx(before)
    assert row(yearly, "grassroots_visit_share", "grid", "without_internet")["value"] == pytest.approx(before)
    assert row(found, "visits", "grid", "internet")["value"] > 0


def test_missed_follow_ups_and_what_comes_of_them(yearly: pd.DataFrame) -> None:
    missed = row(yearly, "missed_follow_up_share", "grid", HEADLINE)
    assert missed["value"] == pytest.approx(150 / 3000)
    assert row(yearly, "missed_follow_up_share", "grid", "exacerbations")["value"] == pytest.approx(1000 * 6 / 3000)


def test_beds_given_without_need_and_withheld(yearly: pd.DataFrame) -> None:
    given, withheld = (row(yearly, "admissions_without_need", "grid", x)["value"] for x in (HEADLINE, "withheld"))
    assert (given, withheld) == pytest.approx((1000 * 4 / 8000, 1000 * 1 / 8000))


# ------------------------------------------------------------------------------------------ exams and help from above


def test_exams_and_help_from_above(yearly: pd.DataFrame) -> None:
    repeated = row(yearly, "repeat_exam_share", "area", HEADLINE)
    assert (repeated["numerator"], repeated["denominator"]) == (12 * 20, 12 * (20 + 10 + 30))
    assert row(yearly, "repeat_exam_share", "first", "recognised")["value"] == pytest.approx(10 / 60)
    assert row(yearly, "repeat_exam_share", "area", "per_1000_exams")["value"] == pytest.approx(1000 * 20 / 500)
    assert row(yearly, "settled_below", "area", HEADLINE)["value"] == 12 * (4 + 6 + 3 + 2 + 5)
    assert row(yearly, "settled_below", "centre", "remote")["value"] == 12 * 4
    assert row(yearly, "settled_below", "centre", "by_reading")["value"] == 12 * 3
    assert row(yearly, "settled_below", "centre", "joint")["value"] == 12 * 2
    assert row(yearly, "settled_below", "centre", "advised")["value"] == 12 * 5
    assert row(yearly, "remote_reading_share", "centre", STANDARD)["value"] == pytest.approx(40 / 100)
    assert row(yearly, "remote_reading_share", "area", HEADLINE)["value"] == pytest.approx(40 / 500)
    assert row(yearly, "remote_reading_share", "first", "number")["value"] == 0
    assert row(yearly, "handed_down", "area", HEADLINE)["value"] == 0


def test_exams_with_large_equipment_are_kept_apart(yearly: pd.DataFrame) -> None:
    assert row(yearly, "imaging_wait_days", "first", STANDARD)["value"] == 3
    assert row(yearly, "imaging_wait_days", "lead", "other_p90")["value"] == 3
    assert row(yearly, "imaging_exams", "first", STANDARD)["value"] == 12 * 250
    assert row(yearly, "imaging_exams", "area", "refused")["value"] == 12 * 10
    assert row(yearly, "imaging_exams", "lead", "held")["value"] == 12 * 100
    assert row(yearly, "imaging_exams", "lead", "used_held")["value"] == 12 * 50
    assert row(yearly, "slots_offered", "lead", HEADLINE)["value"] == 12 * 2700
    assert row(yearly, "slots_offered", "lead", "held")["value"] == 12 * 900
    assert row(yearly, "slots_offered", "lead", "experts")["value"] == 12 * 90
    assert row(yearly, "slots_offered", "centre", "joint")["value"] == 12 * 40
    assert row(yearly, "slots_offered", "lead", "experts_held")["value"] == 12 * 30
    assert row(yearly, "slot_quota_used", "lead", "experts")["value"] == pytest.approx(18 / 30)


# ----------------------------------------------------------------------------------------------------- waits and quotas


def test_waits_are_told_by_class_with_an_exact_ninetieth(yearly: pd.DataFrame) -> None:
    assert row(yearly, "wait_days", "lead", HEADLINE)["value"] == pytest.approx(0.3 * 2 + 0.2 * 4)
    assert row(yearly, "wait_days", "lead", "other_p90")["value"] == 4
    assert row(yearly, "wait_days", "lead", "referred_contracted")["value"] == pytest.approx(0.2)
    everybody = row(yearly, "wait_days", "lead", "all")
    assert everybody["denominator"] == 3 * 12 * 100


@pytest.mark.parametrize(
    ("bins", "expected"), [([90, 10], 0), ([89, 11], 1), ([0, 0, 7], 2), ([900_000, 99_999, 1], 0)]
)
def test_the_ninetieth_is_the_smallest_bin_that_holds_nine_tenths(bins: list[int], expected: int) -> None:
    rows = pd.DataFrame({"run": 0, "scope": "lead", "days": range(len(bins)), "patients": bins})
    told = ninetieth(rows, "other_p90", "days", "patients").iloc[0]
    assert (told["value"], told["denominator"]) == (expected, sum(bins))


def test_discharges_from_joint_wards_are_those_of_the_centre_where_they_lie(yearly: pd.DataFrame) -> None:
    assert row(yearly, "discharges", "centre", "joint")["value"] == 12 * 60
    assert row(yearly, "discharges", "centre", STANDARD)["value"] == 12 * 60


def test_a_quota_offered_is_not_a_quota_used(yearly: pd.DataFrame) -> None:
    assert row(yearly, "slots_offered", "lead", "held")["value"] == 12 * 900
    assert row(yearly, "slot_quota_used", "lead", HEADLINE)["value"] == pytest.approx(1 / 9)


def test_referrals_are_counted_by_channel_and_as_a_rate(yearly: pd.DataFrame) -> None:
    assert row(yearly, "referrals_up", "area", HEADLINE)["value"] == 12 * (120 + 4)
    assert row(yearly, "referrals_up", "area", "partner")["value"] == 12 * 4
    assert row(yearly, "referrals_up", "area", "self")["value"] == 12 * 300
    assert row(yearly, "referrals_up", "area", "declined")["value"] == 12 * 10
    down = row(yearly, "referrals_down", "area", "per_100_tertiary_discharges")
    assert down["value"] == pytest.approx(100 * 120 / 200)


# --------------------------------------------------------------------------------------------- empty groups and periods


def test_an_empty_group_has_no_value_and_says_so(yearly: pd.DataFrame) -> None:
    told = row(yearly, "slot_quota_used", "lead", HEADLINE, scenario="before")
    assert pd.isna(told["value"])
    assert told["denominator"] == 0
    assert row(yearly, "beds_held", "lead", HEADLINE)["value"] == 0


def test_every_run_has_every_row_once(yearly: pd.DataFrame) -> None:
    per_run = yearly.groupby(["scenario", "replication", "period"]).size()
    assert per_run.nunique() == 1
    assert len(per_run) == 2 * 2 * 2
    assert not yearly.duplicated(["scenario", "replication", "period", "indicator", "scope", "variant"]).any()
    headlines = yearly[yearly["variant"].eq(HEADLINE)].groupby("indicator")["scope"].unique()
    assert {name: list(scopes) for name, scopes in headlines.items()} == {
        i.id: [i.scope] for i in CATALOGUE.values() if i.computed
    }


def test_the_warm_up_counts_nowhere(study: SmallStudy, yearly: pd.DataFrame) -> None:
    assert set(yearly["period"]) == {"2024", "2025"}
    without_span = measure(study.tables, FACILITIES)
    assert set(without_span["period"]) == {"2023", "2024", "2025"}


def test_days_and_months_add_up_to_the_year(study: SmallStudy, yearly: pd.DataFrame) -> None:
    year = row(yearly, "visits", "grid", HEADLINE)["value"]
    for period in ("month", "day"):
        table = measure(study.tables, FACILITIES, period, span=SPAN)
        own = table[table["indicator"].eq("visits") & table["variant"].eq(HEADLINE) & table["scenario"].eq("plan")]
        assert own.loc[own["replication"].eq(0) & own["period"].str.startswith("2025"), "value"].sum() == year


def test_a_span_knows_its_days() -> None:
    span = Span(date(2024, 1, 1), date(2025, 6, 30))
    assert (span.days("2024"), span.days("2025"), span.days("2026"), span.days("2024-02")) == (366, 181, 0, 29)
    assert span.complete("2024")
    assert not span.complete("2025")


def test_a_facility_belongs_to_every_scope_that_names_it() -> None:
    scopes = places(FACILITIES).groupby("facility")["scope"].agg(set)
    assert scopes["first"] == {"tertiary_public", "lead", "group", "area", "tertiary", "first"}
    assert scopes["private"] == {"area", "tertiary", "private"}
    assert scopes["outside"] == {"outside"}


def test_a_tally_keeps_runs_and_scopes_apart() -> None:
    rows = pd.DataFrame({"run": [0, 0, 1], "scope": "grid", "top": [1, 2, 4], "bottom": [2, 2, 8]})
    told = tally(rows, STANDARD, "top", "bottom").groupby("run")[["numerator", "denominator"]].sum()
    assert told.to_numpy().tolist() == [[3, 4], [4, 8]]
    assert tally(rows, STANDARD, "top")["denominator"].isna().all()


def test_sums_are_made_once_and_nobody_can_spoil_them(study: SmallStudy) -> None:
    ledger = Ledger(study.tables, FACILITIES, span=SPAN)
    first = ledger.sums("needs_monthly", ["needs"], ["resident"])
    first["needs"] = 0
    assert ledger.sums("needs_monthly", ["needs"], ["resident"])["needs"].gt(0).all()


# ------------------------------------------------------------------------------------------------------------ the files


def test_files_have_no_nan_and_are_the_same_bytes_again(tmp_path: Path) -> None:
    folders = [tmp_path / name for name in ("one", "two")]
    for folder in folders:
        folder.mkdir()
        write_tables(small_study(folder, replications=2))  # type: ignore[arg-type]
    names = ["indicators.csv", "indicators.parquet", "comparison.csv", "monthly.parquet", "daily.parquet"]
    for name in names:
        one, two = ((folder / name).read_bytes() for folder in folders)
        assert one == two, name
    assert (folders[0] / "indicators.csv").read_text().splitlines()[0] == ",".join(COLUMNS)
    assert "nan" not in (folders[0] / "indicators.csv").read_text().lower()
    assert set(pd.read_parquet(folders[0] / "daily.parquet")["indicator"]) == {
        i.id for i in CATALOGUE.values() if i.daily
    }
