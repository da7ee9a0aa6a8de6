"""The coverage table: everything in it exists, nothing is left out, and the files are what it is today."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from analysis import coverage
from analysis.coverage import Language, how, is_fact, is_indicator, mistakes, rows, table
from sim.policy import levers

SCENARIOS = Path(__file__).resolve().parents[1] / "scenarios"
FILES: dict[Language, str] = {"en": "COVERAGE.md", "zh": "COVERAGE.zh.md"}

MECHANISMS = [f"M{n:02}" for n in range(1, 42)]
ROWS = [
    *(f"NN-{n:02}" for n in (*range(1, 8), *range(10, 15))),
    *(f"ZW-{n:02}" for n in range(1, 21)),
    *(f"ZH-{n:02}" for n in range(1, 6)),
    *(f"ZZ-{n:02}" for n in range(1, 10)),
    *(f"GD-{n:02}" for n in range(1, 18)),
]
AMBIGUITIES = [f"A{n}" for n in range(1, 34)]


TABLE = table("en").splitlines()


def lines_of(name: str) -> list[str]:
    """The lines of a row in the English table."""
    return [line for line in TABLE if line.startswith(f"| {name} |")]


def test_every_mechanism_figure_and_ambiguity_has_its_row() -> None:
    assert list(rows()["mechanisms"]) == MECHANISMS
    assert list(rows()["rows"]) == ROWS
    assert list(rows()["ambiguities"]) == AMBIGUITIES


def test_whatever_is_named_exists_and_nothing_is_left_open() -> None:
    assert mistakes() == []


@pytest.mark.parametrize("language", FILES)
def test_the_files_are_what_is_there_today(language: Language) -> None:
    """Stale? `python -m analysis.coverage en > scenarios/COVERAGE.md`, and zh."""
    assert (SCENARIOS / FILES[language]).read_text("utf-8") == table(language)


def test_every_lever_stands_in_its_row() -> None:
    for lever in levers():
        (line,) = lines_of(lever.m)
        assert f"`{lever.name}`" in line


def test_what_is_there_is_not_told_to_be_missing() -> None:
    """A row with levers says nothing of what is not there yet; one with nothing at all says why."""
    for kind in ("mechanisms", "rows"):
        for name, row in rows()[kind].items():
            (line,), there = lines_of(name), how(kind, name, row)
            assert not (there["levers"] and "out of scope" in line)
            assert any(there.values()) or "note" in row or "out of scope" in line


def test_documents_that_scenarios_cite_have_the_same_name_here() -> None:
    cited = yaml.safe_load((SCENARIOS / "sources.yaml").read_text("utf-8"))["documents"]
    ids = [document["id"] for document in rows()["documents"].values()]
    assert set(cited) - {"example-plan"} <= set(ids)


@pytest.mark.parametrize(
    ("kind", "name", "change", "told"),
    [
        ("mechanisms", "M02", {"facts": ["network.facilities.colour"]}, "M02: network.facilities.colour is no fact"),
        ("rows", "NN-06", {"indicators": ["length_of_stay"]}, "NN-06: length_of_stay is no indicator"),
        ("rows", "NN-06", {"indicators": ["average_length_of_stay.weeks"]},
         "NN-06: average_length_of_stay.weeks is no indicator"),
        ("rows", "NN-06", {"indicators": []}, "NN-06: neither in the model nor left out with a reason"),
        ("rows", "NN-11", {"m": ["M99"]}, "NN-11: M99 is no mechanism"),
        ("rows", "ZW-07", {"why": {"en": "no births"}}, "ZW-07: a text is missing in one language"),
        ("ambiguities", "A12", {"levers": ["bed_quota.held"]}, "A12: bed_quota.held is no lever"),
    ],
)  # fmt: skip
def test_a_wrong_row_is_told(
    kind: str, name: str, change: dict[str, Any], told: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    changed = {each: dict(some) for each, some in rows().items()}
    changed[kind][name] = changed[kind][name] | change
    monkeypatch.setattr(coverage, "rows", lambda: changed)
    assert mistakes() == [told]


def test_facts_and_indicators_are_found_by_their_paths() -> None:
    assert is_fact("network.facilities.wards.kind")
    assert is_fact("care.conditions.step_down")
    assert not is_fact("network.facilities.wards.kind.more")
    assert not is_fact("weather.rain")
    assert is_indicator("wait_days.referred")
    assert not is_indicator("wait_days.refered")
