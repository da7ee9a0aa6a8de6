"""The wards of the made-up study, against numbers worked out by hand; and as the report shows them."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import get_args

import pandas as pd
import pytest
import yaml

from analysis import wards
from analysis.indicators.quotas import BLOCKING
from analysis.ledger import Ledger, Span
from analysis.measures import write_tables
from analysis.phrases import DEPARTMENTS, KINDS_OF_WARDS, LANGUAGES, Phrases
from analysis.report import write
from sim.network import WardKind
from sim.records import CAUSES, ENTRIES
from small_study import FACILITIES, RESIDENTS, SmallStudy, small_study

SPAN = Span(date(2024, 1, 1), date(2025, 12, 31))
CONFIGS = Path(__file__).parents[1] / "configs"


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> SmallStudy:
    return small_study(tmp_path_factory.mktemp("small"), replications=2)


@pytest.fixture(scope="module")
def table(study: SmallStudy) -> pd.DataFrame:
    return wards.wards(Ledger(study.tables, FACILITIES, ("year",), RESIDENTS, SPAN))


def ward(table: pd.DataFrame, facility: str, **where: object) -> pd.Series:
    """One row, by default of the first replication of the base year."""
    found = table[table["facility"].eq(facility)]
    for column, value in ({"scenario": "before", "replication": 0, "period": "2025"} | where).items():
        found = found[found[column].eq(value)]
    assert len(found) == 1
    return found.iloc[0]


def test_the_words_of_the_records_are_those_of_the_analysis() -> None:
    assert sorted(wards.CLASSES) == sorted(ENTRIES)
    assert (wards.CAUSES, tuple(BLOCKING)) == (CAUSES, CAUSES)
    assert set(KINDS_OF_WARDS) == set(get_args(WardKind)) - {"acute"}


def test_there_is_one_row_for_each_ward_and_run(table: pd.DataFrame) -> None:
    assert not table.duplicated(wards.KEYS).any()
    assert len(table) == 4 * 2 * 2 * 2
    assert set(table["facility"]) == {"centre-a", "first", "private", "second"}


def test_beds_are_those_open_on_a_night_whose_census_was_taken(study: SmallStudy, table: pd.DataFrame) -> None:
    beds = study.tables["beds_monthly"]
    for period, nights in (("2024", 366), ("2025", 364)):
        own = ward(table, "first", period=period)
        mine = beds["facility"].eq("first") & beds["scenario"].eq("before") & beds["replication"].eq(0)
        days = beds[mine & beds["month"].map(lambda month, year=period: str(month.year) == year)]["bed_days"].sum()
        assert own["beds"] == pytest.approx(days / nights)
        assert own["occupancy"] == pytest.approx(0.85)
        assert own["turnover"] == pytest.approx(365 * 12 * (180 - 9) / days)
        assert own["nights_per_discharge"] == pytest.approx(own["occupied_days"] / own["discharges"])


def test_who_goes_on_to_another_ward_turns_a_bed_over(study: SmallStudy, table: pd.DataFrame) -> None:
    beds = study.tables["beds_monthly"].assign(moved_on=10)
    moved = wards.wards(Ledger(study.tables | {"beds_monthly": beds}, FACILITIES, ("year",), RESIDENTS, SPAN))
    before, after = ward(table, "first"), ward(moved, "first")
    assert after["turnover"] == pytest.approx(before["turnover"] * (12 * 171 + 120) / (12 * 171))
    assert after["discharges"] == before["discharges"]


def test_waits_are_told_by_class_and_leavers_in_all(table: pd.DataFrame) -> None:
    own = ward(table, "first")
    assert own["wait_other"] == pytest.approx(0.3 * 2 + 0.2 * 3)
    assert (own["wait_other_p90"], own["wait_all_p90"], own["wait_referred_contracted_p90"]) == (3, 2, 2)
    assert own["left"] == 12 * 9
    assert own[["wait_emergency", "wait_step_down_p90"]].isna().all()
    assert ward(table, "second")["left"] == 0
    assert pd.isna(ward(table, "second")["wait_all"])


def test_bed_days_that_were_kept_are_told_by_cause(table: pd.DataFrame) -> None:
    own = ward(table, "private")
    kept = {cause: own[f"blocked_days_{cause}"] for cause in CAUSES}
    assert kept == pytest.approx({"step_down": 12, "ward": 6, "theatre": 0, "exam": 0, "discharge_hours": 3})


# -------------------------------------------------------------------------------------------------------------- report


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_wards_of_the_studies_have_words(language: str) -> None:
    t = Phrases(language)  # type: ignore[arg-type]
    networks = [yaml.safe_load(path.read_text("utf-8")) for path in (CONFIGS / "network").glob("*.yaml")]
    found = {one["department"] for n in networks for f in n["facilities"] for one in f.get("wards", [])}
    assert found <= set(DEPARTMENTS)
    assert t.ward("bones") == "bones"
    assert t.ward("general_step_down") == {"en": "general, step-down", "zh": "综合·下转病房"}[language]


def test_the_report_shows_wards_of_hospitals_the_fullest_first(tmp_path: Path) -> None:
    study = small_study(tmp_path, replications=2)
    beds = study.tables["beds_monthly"]
    beds.loc[beds["facility"].eq("second"), "bed_days"] *= 0.9
    write_tables(study)  # type: ignore[arg-type]
    write(study)  # type: ignore[arg-type]
    page = (study.folder / "report.html").read_text("utf-8")
    part = page[page.index("Beds, ward by ward") : page.index("Money: who pays")]
    assert part.count("<table>") == 2
    assert part.count("3 of 3 wards") == 2
    assert 0 < part.index("District hospital") < part.index("City hospital")
    assert "Centre A" not in part
    assert "各病区床位" in (study.folder / "report.zh.html").read_text("utf-8")
    assert len(pd.read_csv(study.folder / "wards.csv")) == len(study.wards)
