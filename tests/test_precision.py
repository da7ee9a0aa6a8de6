"""Enough replications: a stop that can be worked out by hand, targets that cannot be met by a sign, and a real run."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from pydantic import ValidationError
from scipy import stats

import sim
from analysis.report import summary
from sim import goal, precision, study
from sim.compose import Config
from sim.execution import Progress
from sim.precision import Estimate, Wanted, ahead, following, judged, running
from sim.results import PRECISION, Results
from sim.schema import InputError
from sim.streams import Floats

SHORT: Any = {"warmup_from": "2024-07-01", "from": "2024-07-08", "to": "2024-07-14"}


def estimate(values: Floats | list[float], **wanted: Any) -> Estimate:
    """Values of which a precision is asked."""
    return Estimate("x", "grid", "2024", "plan", Wanted.model_validate(wanted), np.array(values, dtype=float))


def since(values: Floats | list[float], look_ahead: int = 5, **wanted: Any) -> int | None:
    """From which replication on it is precise enough."""
    return judged(estimate(values, **wanted), look_ahead).since


def stop(values: Floats, look_ahead: int = 5, **wanted: Any) -> int | None:
    """The replication after which one would stop, adding one at a time."""
    counts = range(precision.FEWEST, len(values) + 1)
    return next((n for n in counts if since(values[:n], look_ahead, **wanted) is not None), None)


# ------------------------------------------------------------------------------------------------------------- running


def test_half_widths_are_those_of_the_t_interval_after_each_replication() -> None:
    values = np.random.default_rng(1).normal(1e6, 1.0, 30)
    mean, half = running(values)
    assert np.isnan(half[:2]).all()
    for n in range(3, 31):
        sem = stats.sem(values[:n])
        assert (mean[n - 1], half[n - 1]) == pytest.approx((values[:n].mean(), stats.t.ppf(0.975, n - 1) * sem))


def test_values_that_are_missing_do_not_count() -> None:
    values = np.array([np.nan, 1.0, 2.0, np.nan, 3.0, 5.0])
    assert running(values)[1][5] == pytest.approx(running(np.array([1.0, 2.0, 3.0, 5.0]))[1][3])
    assert np.isnan(running(values)[1][:4]).all()
    assert since([np.nan] * 10, half_width=1.0) is None


# ---------------------------------------------------------------------------------------------------------------- stop

SEESAW = np.array([1.0, -1.0] * 100)
"""After an even number n the mean is 0 and the variance n / (n - 1), so the half-width is t / sqrt(n - 1)."""


def even(limit: float) -> int:
    """The even number after which the seesaw's half-width is within a limit for good, by its formula."""
    odd = {n: stats.t.ppf(0.975, n - 1) * np.std(SEESAW[:n], ddof=1) / np.sqrt(n) for n in range(3, 200, 2)}
    two = {n: stats.t.ppf(0.975, n - 1) / np.sqrt(n - 1) for n in range(4, 200, 2)}
    return max(n for n, half in (odd | two).items() if half > limit) + 1


@pytest.mark.parametrize("limit", [0.5, 0.31, 0.2])
@pytest.mark.parametrize("look_ahead", [0, 5, 9])
def test_the_stop_is_where_the_formula_says_and_the_look_ahead_later(limit: float, look_ahead: int) -> None:
    first = even(limit)
    assert first > precision.FEWEST
    assert stop(SEESAW, look_ahead, half_width=limit) == first + ahead(look_ahead, first)
    assert since(SEESAW[: first + 20], 5, half_width=limit) == first


def test_by_hand() -> None:
    """1, 2, 3: mean 2, deviation 1, half-width 4.302653 / sqrt(3) = 2.4841."""
    assert stop(np.array([1.0, 2.0, 3.0]), 0, half_width=2.4842) == 3
    assert stop(np.array([1.0, 2.0, 3.0]), 0, half_width=2.4841) is None
    # 11, 12, 13: the same half-width is 0.2070 of the mean
    assert stop(np.array([11.0, 12.0, 13.0]), 0, relative=0.2071) == 3
    assert stop(np.array([11.0, 12.0, 13.0]), 0, relative=0.2070) is None


def test_an_early_lucky_stop_is_undone_by_the_look_ahead() -> None:
    lucky = np.concatenate([[5.0, 5.01, 4.99], SEESAW[:100] + 5.0])
    assert stop(lucky, 0, half_width=0.3) == 3
    later = stop(lucky, 5, half_width=0.3)
    assert later is not None
    assert later > 40
    assert since(lucky[:8], 5, half_width=0.3) is None


def test_the_look_ahead_grows_beyond_a_hundred() -> None:
    assert [ahead(5, n) for n in (3, 100, 101, 150, 200)] == [5, 5, 6, 8, 10]


# --------------------------------------------------------------------------------------------------- signs and zeroes


@pytest.mark.parametrize("look_ahead", [0, 5])
def test_a_negative_mean_is_as_hard_to_know_as_a_positive_one(look_ahead: int) -> None:
    values = 10.0 + np.random.default_rng(2).normal(0, 2.0, 200)
    positive, negative = (stop(sign * values, look_ahead, relative=0.05) for sign in (1, -1))
    assert positive == negative
    assert positive is not None
    assert positive > 10


@pytest.mark.parametrize("values", [SEESAW, np.zeros(100), 0.01 * SEESAW - 1e-6])
def test_a_relative_precision_is_refused_while_the_interval_holds_nought(values: Floats) -> None:
    assert stop(values, 0, relative=0.9) is None
    found = judged(estimate(values, relative=0.9), 0)
    assert np.isnan(found.found)
    assert "not defined, the interval holds 0 (asked 0.9, relative)" in precision.said([found], 200)


def test_what_is_always_nought_is_known_precisely_in_its_own_unit() -> None:
    assert stop(np.zeros(20), 5, half_width=0.01) == precision.FEWEST + 5


# ------------------------------------------------------------------------------------------------------------- asking


@pytest.mark.parametrize("wanted", [{}, {"half_width": 1, "relative": 0.1}, {"half_width": 0}, {"relative": 1.0}])
def test_one_kind_of_precision_is_asked_for(wanted: dict[str, float]) -> None:
    with pytest.raises(ValidationError):
        Wanted.model_validate(wanted)


def test_whole_steps() -> None:
    assert [following(n, 20, 100) for n in (4, 20, 39, 80, 100)] == [20, 40, 40, 100, None]
    assert following(7, 5, 8) == 8


def test_everything_that_cannot_be_asked_is_told_before_anything_is_simulated() -> None:
    asked = [
        "precision.indicators.grassroots_visit_shar={half_width: 0.01}",
        "precision.indicators.wait_days={relative: 0.1, scope: tertiary_publik}",
    ]
    with pytest.raises(InputError) as told:
        sim.load("example", overrides=[*asked, "precision.at_most=40"])
    text = str(told.value)
    assert "Did you mean grassroots_visit_share?" in text
    assert "Did you mean tertiary_public?" in text
    asked = [
        "precision.indicators.wait_days={relative: 0.1, of: difference, scenario: example_plam}",
        "precision.indicators.bed_occupancy={half_width: 0.1, year: 2020}",
        "precision.indicators.unmet_need_share={half_width: 0.1, of: difference, scenario: example_before}",
    ]
    with pytest.raises(InputError) as told:
        sim.load("example", overrides=[*asked, "precision.at_most=42", "precision.step=10"])
    text = str(told.value)
    assert "Did you mean example_plan?" in text
    assert "2020 is not measured; 2024 to 2024 are." in text
    assert "example_before is none of the scenarios" in text
    assert "42 is no multiple of 20" in text
    assert "10 is no multiple of 20" in text


def test_a_search_refuses_it() -> None:
    config = sim.load("example", overrides=["precision.indicators.wait_days={half_width: 1}", "precision.at_most=20"])
    with pytest.raises(InputError, match=r"leave it out \(precision=null\)"):
        goal.understood(config, "grassroots_visit_share", [goal.USUAL], {})


# --------------------------------------------------------------------------------------------------------- a real run


class Heard(Progress):
    """What was said."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def say(self, text: str) -> None:
        self.lines.append(text)


REACHED = {
    "grassroots_visit_share": {"half_width": 0.05},
    "visits_per_resident": {"relative": 0.5, "scenario": "example_plan"},
}
NEVER = {"out_of_area_share": {"half_width": 1e-9, "of": "difference"}}


def small(folder: Path, asked: Any, **more: Any) -> Config:
    """A week of the fictional town."""
    config = sim.load("example", horizon=SHORT, replications=4, output=str(folder), uncertainty="luck")
    wanted = precision.PrecisionSpec.model_validate({"indicators": asked, "look_ahead": 2, **more})
    return config.model_copy(update={"precision": wanted})


def test_a_study_goes_on_until_it_is_precise(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    heard = Heard()
    results = study.run(small(tmp_path / "a", REACHED | NEVER, at_most=8, step=2), heard)
    assert results.config.replications == 8
    assert [line.split(":")[0] for line in heard.lines if "(asked" in line] == [f"{n} replications" for n in (4, 6, 8)]
    table = pd.read_csv(results.folder / PRECISION)
    assert table["scenario"].tolist() == ["example_before", "example_plan", "example_plan", "example_plan"]
    assert table["of"].tolist() == ["value", "value", "value", "difference"]
    assert table["since"].notna().tolist() == [True, True, True, False]
    shares = results.indicators.query(
        "indicator == 'grassroots_visit_share' and variant == 'headline' and scenario == 'example_plan'"
    )
    known = judged(estimate(shares.sort_values("replication")["value"].to_numpy(), half_width=0.05), 2)
    assert (table["half_width"][1], table["since"][1]) == (pytest.approx(known.half_width), known.since)
    assert "not reached" in json.dumps(results.provenance["precision"])
    assert "is not reached" in summary(results)
    assert "稳定达到" in (results.folder / "report.zh.html").read_text("utf-8")

    # where all is precise it ends; what is done is not done again; without the question its answer goes
    monkeypatch.setattr(study, "report", Results.open)
    again = Heard()
    sooner = study.run(small(tmp_path / "a", REACHED, at_most=8, step=2), again)
    last = int(table["since"][:3].max()) + 2
    assert sooner.config.replications == next(n for n in (4, 6, 8) if n >= last)
    assert not [line for line in again.lines if "done." in line]
    study.run(small(tmp_path / "a", REACHED, at_most=8).model_copy(update={"precision": None}))
    assert not (results.folder / PRECISION).exists()
