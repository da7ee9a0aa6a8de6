"""What always balances: nobody is lost, counted twice or in two places; counts are the rows counted."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
import pandas as pd
import pytest

import towns
from sim import streams
from sim.care import LEVELS, exacerbation_of, truth
from sim.contacts import Diary, Rows, join
from sim.model import Case, Model
from sim.network import ward_name
from sim.records import MOST_MINUTES
from sim.streams import Purpose
from sim.timetable import DAY

DAYS = 91
NO_EXAMS = {"exam_at": {level: towns.said(0.0) for level in LEVELS[:-1]}}
"""Without second looks a visit keeps a doctor from its beginning to its end and at no other time."""


@cache
def group() -> tuple[Case, dict[str, pd.DataFrame]]:
    """A quarter of the group town with all levers pulled."""
    case = towns.group_town(DAYS, settings=towns.PLAN, doors={"booking_patience": 1.0}, **NO_EXAMS)
    return case, towns.run(case)[0]


def table(name: str) -> pd.DataFrame:
    """One of its tables."""
    return group()[1][name]


@cache
def model() -> Model:
    """The same place, not yet open."""
    return Model(group()[0], [0])


# ----------------------------------------------------------------------------------------------------- nobody is lost


@pytest.fixture
def on_the_way(monkeypatch: pytest.MonkeyPatch) -> list[Rows]:
    """Everybody who is still on the way when the run ends."""
    kept: list[Rows] = []
    push, hand_on = Diary.push, Diary.hand_on

    def remember_push(self: Diary, rows: Rows, not_before: int) -> None:
        page = np.clip(rows["time"] // self.window, not_before, self.windows)
        kept.append(rows[page >= self.windows].copy())
        push(self, rows, not_before)

    def remember_hand_on(self: Diary, rows: Rows, window: int) -> None:
        if window >= self.windows:
            kept.append(rows.copy())
        hand_on(self, rows, window)

    monkeypatch.setattr(Diary, "push", remember_push)
    monkeypatch.setattr(Diary, "hand_on", remember_hand_on)
    return kept


@pytest.mark.parametrize("room", [{}, {"waiting_places": 1}])
def test_needs_are_seen_or_unmet_or_missed_or_on_the_way(room: dict[str, int], on_the_way: list[Rows]) -> None:
    """ID-01, in a clinic with too few slots: every need in exactly one place."""
    doors = {"books": 0.7, "no_show": 0.1, "booking_patience": 3.0}
    case = towns.clinic_town(30, 40, places={"slots": 10, "extra": 1, **room}, doors=doors, waiting_patience=25.0)
    tables = towns.run(case)[0]
    seen = (~tables["visits"]["left"]).sum()
    unmet, missed = tables["needs_monthly"]["unmet"].sum(), tables["bookings_monthly"]["no_shows"].sum()
    waiting = len(join(on_the_way))
    assert min(seen, unmet, missed, waiting) > 0
    assert tables["needs_monthly"]["needs"].sum() == seen + unmet + missed + waiting


def test_nobody_is_seen_who_did_not_fall_ill() -> None:
    m = model()
    chunks = [m.demands[0].chunk(n) for n in range(-(-DAYS // 28))]
    ill = join([rows[rows["time"] < DAYS * DAY] for rows in chunks])
    needs = table("needs_monthly")
    assert needs["needs"].sum() - needs["exacerbations"].sum() == len(ill)
    person = dict(zip(ill["key"].tolist(), ill["person"].tolist(), strict=True))
    follow_ups = ill[ill["panel"] >= 0]
    patients = m.demands[0].panel.key[follow_ups["panel"]]
    worse = [exacerbation_of(*each) for each in zip(patients, follow_ups["nth"].tolist(), strict=True)]
    assert not person.keys() & set(worse)
    person |= dict(zip(map(int, worse), follow_ups["person"].tolist(), strict=True))
    assert len(person) == len(ill) + len(follow_ups)
    for name in ("visits", "stays", "referrals"):
        for episode, who in zip(table(name)["episode"].tolist(), table(name)["person"].tolist(), strict=True):
            assert person[episode] == who


def test_those_asked_for_an_appointment_got_one_or_were_refused() -> None:
    bookings = table("bookings_monthly")
    assert (bookings["requests"] == bookings["booked_open"] + bookings["booked_held"] + bookings["refused"]).all()
    assert bookings[["requests", "refused", "no_shows", "walk_in", "extra"]].sum().gt(0).all()


@cache
def imaged() -> dict[str, pd.DataFrame]:
    """The same town with scarce large equipment at the lead hospital."""
    facilities = towns.group_facilities()
    facilities[0] |= towns.imaging(ct=1, mr=1)
    levers = towns.PLAN | {"slot_quota.released_days_before": 0}
    return towns.run(towns.group_town(DAYS, settings=levers, facilities=facilities))[0]


def test_exam_slots_and_exams_balance() -> None:
    exams = imaged()["imaging_monthly"]
    assert (exams["requests"] == exams["booked_open"] + exams["booked_held"] + exams["refused"]).all()
    booked = exams["booked_open"].sum() + exams["booked_held"].sum()
    assert booked == exams["made"].sum() + exams["no_shows"].sum() == imaged()["imaging_days"]["patients"].sum()
    assert exams[["booked_open", "booked_held", "refused", "no_shows"]].sum().gt(0).all()
    slots = imaged()["slots_monthly"]
    slots = slots[slots["department"].str.startswith("imaging_")]
    assert (slots["held"] == slots["used_held"] + slots["released"]).all()
    assert (slots["used_open"] + slots["used_held"] <= slots["offered"]).all()
    assert set(slots["department"]) == {"imaging_ct", "imaging_mr"}
    assert set(imaged()["backlog"]["resource"]) == {"appointment", "bed", "imaging"}


def examined(**figures: Any) -> dict[str, pd.DataFrame]:
    """The same town where every visit with pneumonia has an exam, and no results are trusted."""
    always = {level: towns.said(2.0) for level in LEVELS[:-1]}
    levers = towns.PLAN | {"up_referral.platform_delay_days": 3.0}
    return towns.run(towns.group_town(DAYS, settings=levers, exam_at=always, repeat_exam=1.0, **figures))[0]


def test_results_are_brought_along_until_they_expire() -> None:
    """An exam is repeated where the last one, made elsewhere, began no longer ago than results are valid."""
    for_ever = examined()
    rows = for_ever["visits"].query("condition == 'lung' and not left").sort_values(["episode", "begin"])
    last = rows.groupby("episode")[["facility", "begin"]].shift()
    elsewhere, age = last["facility"].notna() & last["facility"].ne(rows["facility"]), rows["time"] - last["begin"]
    brought = []
    for valid in (0.0, 2.0, 4.0, 1000.0):
        tables = examined(results_valid_days=valid)
        towns.assert_same({"visits": tables["visits"]}, {"visits": for_ever["visits"]})
        exams = tables["exams_monthly"]
        assert exams["made"].sum() == len(rows)
        brought.append(exams["repeated"].sum())
        assert brought[-1] == (elsewhere & (age <= valid * DAY)).sum()
    assert brought == sorted(set(brought))
    assert for_ever["exams_monthly"]["repeated"].sum() == brought[-1]


def test_a_return_with_results_is_no_visit() -> None:
    """Every exam made and every order refused brings a patient back once, to the clinic that asked; wards' do not."""
    rows, exams = imaged()["visits"], imaged()["imaging_monthly"]
    back = rows[rows["kind"].eq("return")]
    assert exams["inpatient"].sum() > 0
    expected = exams["made"].sum() + exams["refused"].sum() - exams["inpatient"].sum()
    assert 0.9 * expected < len(back) <= expected, "some come back after the run"
    first = rows[rows["kind"].eq("outpatient")].merge(back, on=["episode", "point"], suffixes=("", "_back"))
    assert set(back["episode"]) <= set(first.query("end < time_back")["episode"])
    monthly = imaged()["visits_monthly"].query("facility != 'outside'").groupby("kind")["visits"].sum()
    assert monthly["return"] == len(back)
    assert monthly["outpatient"] == (rows["kind"].eq("outpatient") & ~rows["left"]).sum()
    assert set(imaged()["waits_minutes"]["kind"]) == {"outpatient", "emergency"}


def test_without_rooms_nobody_is_sent_to_an_exam() -> None:
    assert len(table("imaging_monthly")) == len(table("imaging_days")) == 0
    assert "return" not in set(table("visits")["kind"])


# ------------------------------------------------------------------------------------------------------------- queues


def waits_until(visits: pd.DataFrame) -> np.ndarray[Any, Any]:
    """When each patient's wait ended, by being seen or by leaving."""
    return np.where(visits["left"], visits["end"], visits["begin"])


def assert_orderly(visits: pd.DataFrame, priority: np.ndarray[Any, Any], doctors: int) -> None:
    """ID-03 and ID-10 at one service point."""
    place, until = visits["time"].to_numpy(), waits_until(visits)
    seen = ~visits["left"].to_numpy()
    begin, end = visits["begin"].to_numpy()[seen], visits["end"].to_numpy()[seen]
    instants = np.unique(np.concatenate([place, until, end]))
    middle = (instants[1:] + instants[:-1]) / 2
    busy = np.searchsorted(np.sort(begin), middle) - np.searchsorted(np.sort(end), middle)
    waiting = np.searchsorted(np.sort(place), middle) - np.searchsorted(np.sort(until), middle)
    assert busy.min() >= 0
    assert busy.max() <= doctors
    assert waiting.min() >= 0
    assert (busy[waiting > 0] == doctors).all(), "a doctor is idle while a patient waits"
    for i in np.flatnonzero(seen):
        now = visits["begin"].iat[i]
        present = (place < now) & (until > now)
        ahead = (priority < priority[i]) | ((priority == priority[i]) & (place < place[i]))
        assert not (present & ahead).any(), "somebody was passed over"


def test_little_law_and_order_in_an_emergency_department() -> None:
    from sim.streams import Purpose, uniform

    case = towns.emergency_town(250, 2, 10, waiting_patience=60.0)
    visits = towns.run(case)[0]["visits"]
    visits = visits[visits["time"] < 9 * DAY]
    triage = (uniform(visits["episode"].to_numpy(), Purpose.TRIAGE)[:, None] >= np.cumsum([0.25] * 4)).sum(axis=1)
    assert visits["left"].mean() > 0.01
    assert_orderly(visits, triage, 2)
    _assert_little(visits)


def _assert_little(visits: pd.DataFrame) -> None:
    """ID-04: the area under the number waiting = the sum of waits."""
    times = np.concatenate([visits["time"], waits_until(visits)])
    change = np.repeat([1, -1], len(visits))
    order = np.argsort(times, kind="stable")
    area = (np.cumsum(change[order])[:-1] * np.diff(times[order])).sum()
    assert area == pytest.approx((waits_until(visits) - visits["time"]).sum(), rel=1e-9)


def test_queues_of_all_clinics_of_a_group_are_orderly() -> None:
    """Priority on: referred contracted patients first, then referred ones, then the others."""
    m, visits = model(), table("visits")
    rank = visits["cls"].map({"referred_contracted": 0, "referred": 1, "other": 2})
    clinics = visits["kind"] == "outpatient"
    assert rank[clinics].nunique() == 3
    for (point, _), rows in visits[clinics].groupby(["point", visits["time"] // DAY]):
        assert_orderly(rows, rank[rows.index].to_numpy(), int(m.capacities[0].doctors[point]))
    _assert_little(visits)


@pytest.mark.parametrize("name", ["visits", "stays"])
def test_time_runs_forward(name: str) -> None:
    """ID-07."""
    rows = table(name)
    order = ["requested", "admitted", "discharged"] if name == "stays" else ["time", "begin", "end"]
    rows = rows if name == "stays" else rows[~rows["left"]]
    assert np.isfinite(rows[order].to_numpy()).all()
    assert (np.diff(rows[order].to_numpy(), axis=1) >= 0).all()
    assert (rows[order[0]] >= 0).all()
    inside = rows[rows["facility"] != "outside"]
    assert (inside["begin" if name == "visits" else "discharged"] <= DAYS * DAY).all()


# --------------------------------------------------------------------------------------------------------------- beds


def test_the_census_of_every_night_is_that_of_the_stays() -> None:
    """ID-05, for January: by the end of March all who were admitted then have gone home. Who is cared for at home lies
    in no hospital bed."""
    wards = model().network.wards
    stays = table("stays")
    facilities = model().network.facilities
    beds = table("beds_monthly")
    january = beds[beds["month"] == "2024-01-01"].set_index(["facility", "ward"])["occupied_days"]
    nights = np.arange(1, 32) * DAY
    compared = at_home = 0
    for number, ward in enumerate(wards):
        here = stays[stays["ward"] == number]
        asleep = sum(((here["admitted"] <= night) & (night < here["discharged"])).sum() for night in nights)
        told = january.get((facilities[ward.facility].id, ward_name(ward)), 0)
        if ward.kind == "home":
            assert told == 0
            at_home += int(asleep)
        else:
            assert asleep == told
            compared += int(asleep)
    assert compared > 300
    assert at_home > 0


def test_no_ward_holds_more_patients_than_beds_and_nobody_is_in_two() -> None:
    stays = table("stays")
    inside = stays[stays["facility"] != "outside"]
    for ward, rows in inside.groupby("ward"):
        times = np.concatenate([rows["discharged"], rows["admitted"]])
        order = np.argsort(times, kind="stable")  # who leaves at an instant makes room for who comes
        occupied = np.cumsum(np.repeat([-1, 1], len(rows))[order])
        assert occupied.max() <= int(model().capacities[0].beds[ward])
    legs = inside.sort_values(["episode", "admitted"])
    again = legs["episode"].eq(legs["episode"].shift())
    assert again.any()
    assert (legs["admitted"] >= legs["discharged"].shift())[again].all()


def with_cleaning(minutes: float | None) -> dict[str, pd.DataFrame]:
    """A month of the group whose lead hospital cleans its beds."""
    facilities = towns.group_facilities()
    facilities[0]["wards"] = [towns.ward(4, cleaning=minutes)]
    return towns.run(towns.group_town(31, settings=towns.PLAN, facilities=facilities))[0]


def test_a_bed_that_is_cleaned_is_open_and_not_occupied() -> None:
    at_once, cleaned = with_cleaning(None), with_cleaning(DAY)
    towns.assert_same(at_once, with_cleaning(0.0))
    before, after = (t["beds_monthly"].query("facility == 'lead'").sum(numeric_only=True) for t in (at_once, cleaned))
    assert after["bed_days"] == before["bed_days"] == 4 * 30  # the last night is not over
    assert 0 < after["occupied_days"] < before["occupied_days"]
    stays = cleaned["stays"].query("facility == 'lead'")
    times = np.concatenate([stays["discharged"] + DAY, stays["admitted"]])
    steps = np.repeat([-1, 1], len(stays))[np.argsort(times, kind="stable")]
    assert np.cumsum(steps).max() == 4


def test_wards_that_open_and_close_evict_nobody_and_add_up() -> None:
    """The lead hospital turns a ward into another one: beds out of service count as long as somebody lies in them."""
    facilities = towns.group_facilities()
    facilities[0]["wards"] = [
        towns.ward(6, "surgery", closes=40),
        towns.ward(2),
        towns.ward(4, "bones", "step_down", opens=40),
    ]
    facilities[1]["wards"] = [towns.ward(6), towns.ward(3, "rehabilitation", "step_down", closes=40)]
    case = towns.group_town(91, settings=towns.PLAN | {"down_referral.proposed": 1.0}, facilities=facilities)
    tables = towns.run(case)[0]
    stays = tables["stays"]
    beds = tables["beds_monthly"].set_index(["facility", "ward", "month"]).sort_index()
    closes, installed = 40 * DAY, {"surgery": 6, "rehabilitation_step_down": 3, "bones_step_down": 4}
    net, compared = Model(case, [0]).network, 0
    for n, ward in enumerate(net.wards):
        name = ward_name(ward)
        if not (ward.opens or ward.closes):
            continue
        here = stays[stays["ward"] == n]
        assert (here["admitted"] >= closes if ward.opens else here["admitted"] < closes).all()
        nights = np.arange(1, 61) * DAY  # January and February; who was there then has gone home by the end of March
        asleep = np.array([((here["admitted"] <= x) & (x < here["discharged"])).sum() for x in nights])
        in_service = (nights > closes) == bool(ward.opens)
        told = beds.loc[net.facilities[ward.facility].id, name].query("month < '2024-03-01'")
        assert told["occupied_days"].sum() == asleep.sum()
        assert told["bed_days"].sum() == np.where(in_service, installed[name], asleep).sum()
        compared += int((asleep[~in_service]).sum())
        assert len(here) > 5
    assert compared > 5
    without = stays[stays["to_step_down"]].set_index("episode")["discharged"]
    down = stays[stays["entry"] == "step_down"].set_index("episode")["admitted"]
    assert (without.loc[down.index] == down).all()


def test_a_ward_that_closes_after_the_run_is_a_ward() -> None:
    def town(**days: int) -> dict[str, pd.DataFrame]:
        facilities = towns.group_facilities()
        facilities[0]["wards"] = [towns.ward(4, **days)]
        return towns.run(towns.group_town(28, settings=towns.PLAN, facilities=facilities))[0]

    towns.assert_same(town(), town(opens=0, closes=28))


def test_a_step_down_follows_its_acute_bed_without_a_gap() -> None:
    stays = table("stays")
    down = stays[stays["entry"] == "step_down"].set_index("episode")
    acute = stays[stays["to_step_down"]].set_index("episode")
    assert len(down) > 10
    assert (acute.loc[down.index, "discharged"] == down["admitted"]).all()
    assert (acute.loc[down.index, "admitted"] == down["first_admitted"]).all()
    assert (acute.loc[down.index, "facility"] != down["facility"]).all()


def test_nights_of_stays_are_calendar_nights() -> None:
    stays = table("stays")
    nights = (stays["discharged"] // DAY - stays["admitted"] // DAY).clip(lower=1)
    assert (stays["nights"] == nights).all()
    inside = stays[stays["facility"] != "outside"]
    home = inside[~inside["to_step_down"]]["discharged"] % DAY
    assert home.between(9 * 60, 17 * 60).all()


# -------------------------------------------------------------------------------------------------- slots and referral


def test_slots_used_are_never_more_than_slots_offered() -> None:
    """ID-08."""
    slots = table("slots_monthly")
    assert (slots["used_held"] <= slots["held"]).all()
    assert (slots["released"] <= slots["held"] - slots["used_held"]).all()
    assert (slots["used_held"] + slots["used_open"] <= slots["offered"]).all()
    assert slots["used_held"].sum() > 0


def test_every_slot_used_is_a_visit() -> None:
    """ID-08 the other way round: with no no-shows, patients with a slot = slots used, by hospital."""
    case = towns.group_town(42, settings=towns.PLAN, doors={"no_show": 0.0})
    tables = towns.run(case)[0]
    slots, visits = tables["slots_monthly"], tables["visits"]
    for way, columns in (("held_slot", ["used_held"]), ("open_slot", ["used_open"])):
        used = slots.groupby("facility")[columns].sum().sum(axis=1)
        came = visits[visits["entry"] == way].groupby("facility").size().reindex(used.index, fill_value=0)
        # a follow-up in an episode keeps the entry of its own booking; walk-ins who find a free slot count as open
        assert came.to_dict() == used.to_dict(), way


def test_referrals_lead_from_a_visit_to_a_visit() -> None:
    """ID-06."""
    visits, referrals = table("visits"), table("referrals")
    at = set(zip(visits["episode"].tolist(), visits["facility"], strict=True))
    up = referrals[referrals["direction"] == "up"]
    assert set(up["status"]) == {"completed", "declined", "lapsed"}
    assert all(pair in at for pair in zip(up["episode"].tolist(), up["from_facility"], strict=True))
    arrived = up[(up["status"] == "completed") & (up["to_facility"] != "outside")]
    assert all(pair in at for pair in zip(arrived["episode"].tolist(), arrived["to_facility"], strict=True))
    assert (up["from_facility"] != up["to_facility"]).all()


# ---------------------------------------------------------------------------------------------- counts are rows counted


def _counted(rows: pd.DataFrame, by: list[str], value: str = "rows") -> dict[Any, int]:
    return rows.assign(rows=1).groupby(by, observed=True)[value].sum().loc[lambda s: s > 0].astype(int).to_dict()


def _month(minutes: pd.Series[float]) -> pd.Series[pd.Timestamp]:
    days = pd.Timestamp(towns.MONDAY) + pd.to_timedelta((minutes // DAY).clip(upper=DAYS - 1), unit="D")
    return days.dt.to_period("M").dt.start_time


def test_visits_by_month_are_the_rows_counted() -> None:
    """ID-09."""
    rows = table("visits").assign(month=lambda v: _month(v["time"]))
    counts = table("visits_monthly").query("facility != 'outside'")
    by = ["month", "facility", "kind", "cls"]
    assert _counted(counts, by, "visits") == _counted(rows[~rows["left"]], by)
    assert _counted(counts, by, "left") == _counted(rows[rows["left"]], by)
    rows["minutes"] = np.rint(rows["begin"] - rows["time"])
    assert _counted(counts, by, "wait_minutes") == _counted(rows[~rows["left"]], by, "minutes")


def test_visits_by_day_and_by_month_are_the_same_visits() -> None:
    daily = table("visits_daily").assign(month=lambda d: d["date"].dt.to_period("M").dt.start_time)
    by = ["month", "level", "group", "resident", "kind"]
    assert _counted(daily, by, "visits") == _counted(table("visits_monthly"), by, "visits")


def test_the_histogram_of_waits_holds_every_visit_to_a_centre_or_hospital() -> None:
    rows = table("visits")
    rows = rows[~rows["left"] & ~rows["facility"].str.contains("station|village")]
    waits = table("waits_minutes")
    assert _counted(waits, ["facility", "kind", "cls"], "patients") == _counted(rows, ["facility", "kind", "cls"])
    assert waits["minutes"].max() <= MOST_MINUTES


def test_discharges_by_month_are_the_rows_counted() -> None:
    rows = table("stays").assign(month=lambda s: _month(s["discharged"]))
    counts = table("stays_monthly")
    by = ["month", "facility", "entry"]
    assert _counted(counts, by, "discharges") == _counted(rows, by)
    assert _counted(counts, by, "nights") == _counted(rows, by, "nights")
    assert counts["stepped_down"].sum() == rows["to_step_down"].sum()
    assert counts["episodes"].sum() == (~rows["to_step_down"]).sum()
    assert _counted(table("stays_nights"), ["month", "facility"], "discharges") == _counted(rows, ["month", "facility"])


def test_waits_for_beds_are_the_rows_counted_by_ward() -> None:
    net, rows = model().network, table("stays")
    names = np.array([*map(ward_name, net.wards), "outside"])
    rows = rows.assign(ward=names[rows["ward"]], cls=rows["entry"], days=(rows["admitted"] - rows["requested"]) // DAY)
    rows["month"] = _month(rows["admitted"])
    by = ["month", "facility", "ward", "cls", "days"]
    assert _counted(table("waits_bed"), by, "patients") == _counted(rows, by)
    assert rows["days"].max() > 0


def test_waits_for_a_bed_below_are_those_of_the_legs_that_follow() -> None:
    """In a town where everybody is to step down and beds below are few."""
    facilities = towns.group_facilities()
    for place in facilities[1:]:
        place["wards"] = [x | {"beds": towns.said(1)} for x in place.get("wards", []) if x["kind"] == "step_down"]
    everybody = towns.PLAN | {"down_referral.proposed": 1.0, "down_referral.consented": 1.0}
    tables = towns.run(towns.group_town(40, settings=everybody, facilities=facilities))[0]
    stays, waits = tables["stays"], tables["waits_step_down"]
    down = stays[stays["entry"] == "step_down"]
    minutes = down["admitted"] - down["requested"]
    assert waits["patients"].sum() == len(down) > 10
    assert waits["waited_minutes"].sum() == np.rint(minutes).sum() > 0
    assert _counted(waits, ["hours"], "patients") == _counted(down.assign(hours=minutes // 60), ["hours"])
    left = stays[stays["to_step_down"]].set_index("episode").loc[down["episode"], "facility"]
    assert _counted(waits, ["facility"], "patients") == left.value_counts().to_dict()


def test_operations_and_weights_by_month_are_the_rows_added() -> None:
    rows = table("stays").assign(month=lambda s: _month(s["discharged"]))
    rows["operated"], rows["level4"] = rows["operation_level"] > 0, rows["operation_level"] == 4
    rows["weight_thousandths"] = (1000 * rows["case_weight"]).round().astype(int)
    for measure in ("operated", "level4", "weight_thousandths"):
        by = ["month", "facility", "entry"]
        assert _counted(table("stays_monthly"), by, measure) == _counted(rows[rows[measure] > 0], by, measure)
        assert table("stays_monthly")[measure].sum() > 0


def test_operations_and_weights_of_stays_are_those_of_their_episodes() -> None:
    """Worked out anew from the key of each episode; a leg after a step down has none and the weight of a recovery."""
    care, names, stays = model().care_tables, model().conditions, table("stays")
    assert stays.loc[stays["facility"].eq("outside"), "operation_level"].max() > 0 < stays["to_step_down"].sum()
    for leg in stays.itertuples():
        condition, key = names.index(leg.condition), np.uint64(leg.episode)
        need, _ = truth(care.conditions[0, condition], key, True)
        luck = streams.uniform(np.array([key]), Purpose.OPERATION)[0]
        chances, later = care.operations[0, condition, need - 2], leg.entry == "step_down"
        assert leg.operation_level == (0 if later else (luck < chances).sum()) <= need
        assert leg.case_weight == care.case_weight[0, condition, 0 if later else need - 2] / 1000


def test_referrals_by_month_are_the_rows_counted() -> None:
    counts, rows = table("referrals_monthly"), table("referrals")
    by = ["direction", "channel", "status", "to_facility"]
    up = rows["direction"] == "up"
    assert _counted(counts[counts["direction"] == "up"], by, "referrals") == _counted(rows[up], by)


def test_counts_do_not_depend_on_whether_rows_are_kept() -> None:
    from dataclasses import replace

    case = towns.group_town(28, settings=towns.PLAN)
    with_rows, without = towns.run(case)[0], towns.run(replace(case, record="days"))[0]
    towns.assert_same({name: with_rows[name] for name in without}, without)
    assert set(with_rows) - set(without) == {"visits", "stays", "referrals"}
