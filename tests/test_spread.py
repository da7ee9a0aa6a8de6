"""Luck and assumptions apart: shares that are known by formula, false alarms, and a nested run of a small town."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray

from analysis.findings import Findings
from analysis.phrases import LANGUAGES, Phrases
from analysis.report import _spread
from analysis.spread import FALSE_ALARM, FEWEST, FILE, LUCK, _row, first_order, how_many_bins, luck_share, spread
from small_study import adherence, draws, small_study
from test_compare import table as rows_of

Floats = NDArray[np.float64]


# ---------------------------------------------------------------------------------------------------------------- luck


@pytest.mark.parametrize("luck", [0.1, 0.5, 0.9])
def test_the_interval_of_the_luck_share_holds_the_truth_in_95_of_100_experiments(luck: float) -> None:
    random, experiments = np.random.default_rng(1), 2000
    draws = np.sqrt(1 - luck) * random.standard_normal((experiments, 15, 1))
    told = [luck_share(one) for one in draws + np.sqrt(luck) * random.standard_normal((experiments, 15, 3))]
    held = np.mean([low <= luck <= high for _, low, high in told])
    assert held == pytest.approx(0.95, abs=4 * np.sqrt(0.95 * 0.05 / experiments))


def test_the_luck_share_by_hand() -> None:
    """Draws with means 0, 2, 4 and lucks of -1 and +1: mean squares 8 and 2, so 2 of the variance is luck and 3 not."""
    share, low, high = luck_share(np.array([[-1.0, 1.0], [1.0, 3.0], [3.0, 5.0]]))
    assert share == pytest.approx(2 / 5)
    # F with 2 and 3 degrees of freedom: 16.0441 and 1 / 39.1655 cut 2.5 % off
    assert (low, high) == (pytest.approx(2 / (4 * 39.1655 + 1), rel=1e-4), 1.0)


def test_without_luck_there_is_none_and_without_draws_all_is_luck() -> None:
    assert luck_share(np.repeat([[1.0], [2.0], [4.0]], 2, axis=1)) == (0.0, 0.0, 0.0)
    assert luck_share(np.array([[-1.0, 1.0], [-1.0, 1.0], [1.0, -1.0]]))[0] == 1.0


# --------------------------------------------------------------------------------------------------------- assumptions


def uniform(draws: int, inputs: int, seed: int) -> Floats:
    """Inputs, each in (0, 1) and each twentieth as often as the other: blocks of a Latin hypercube."""
    random = np.random.default_rng(seed)
    places = np.array([[random.permutation(20) for _ in range(inputs)] for _ in range(draws // 20)])
    return np.asarray((places.transpose(0, 2, 1).reshape(draws, inputs) + random.random((draws, inputs))) / 20)


def test_shares_of_a_sum_are_those_of_its_parts() -> None:
    """y = 3 x0 + 2 x1 - x2: 9, 4 and 1 of 14, less the 1 / bins^2 that bins cost.

    The standard error of a share S is at most 2 sqrt(S) (1 - S) / sqrt(draws) = 0.0086: four of them and the bins.
    """
    x = uniform(8000, 6, 2)
    found = first_order(x, x[:, :3] @ [3.0, 2.0, -1.0])
    assert found["share"] == pytest.approx(np.array([9, 4, 1, 0, 0, 0]) / 14, abs=0.042)
    assert (found["p"][:3] <= FALSE_ALARM).all()
    assert np.sign(found["rank_correlation"][:3]).tolist() == [1, 1, -1]


def test_what_rises_and_falls_again_is_seen() -> None:
    x = uniform(200, 3, 3)
    found = first_order(x, (x[:, 0] - 0.5) ** 2)
    assert found["share"][0] > 0.85
    assert abs(found["rank_correlation"][0]) < 0.2
    assert (found["share"][1:] < found["floor"]).all()


def test_the_function_of_ishigami() -> None:
    """sin x0 + 7 sin^2 x1 + 0.1 x2^4 sin x0 on (-pi, pi): 0.3139, 0.4424, 0 (Ishigami and Homma 1990)."""
    x = 2 * np.pi * uniform(8000, 3, 4) - np.pi
    y = np.sin(x[:, 0]) + 7 * np.sin(x[:, 1]) ** 2 + 0.1 * x[:, 2] ** 4 * np.sin(x[:, 0])
    assert first_order(x, y)["share"] == pytest.approx([0.3139, 0.4424, 0.0], abs=0.05)


def test_chance_is_corrected_for() -> None:
    """With nothing but noise the share of an input is nought on average, not (bins - 1) / (draws - 1)."""
    random, x = np.random.default_rng(5), uniform(40, 400, 5)
    share = first_order(x, random.standard_normal(40))["share"]
    # what lies below nought is told as nought; half of them do
    assert np.median(share) < 0.02
    assert (how_many_bins(40) - 1) / 39 > 0.1


def test_where_nothing_acts_one_row_in_a_hundred_names_an_assumption() -> None:
    random, rows, x = np.random.default_rng(6), 400, uniform(20, 40, 6)
    found = [first_order(x, random.exponential(size=20) ** 2) for _ in range(rows)]
    lowest = [one["p"].min() for one in found]
    alarms = np.mean(np.array(lowest) <= FALSE_ALARM)
    assert all((one["share"].max() > one["floor"]) == (one["p"].min() <= FALSE_ALARM) for one in found)
    assert alarms <= FALSE_ALARM + 4 * np.sqrt(FALSE_ALARM * (1 - FALSE_ALARM) / rows)
    assert np.mean(np.array(lowest) <= 0.5) == pytest.approx(0.5, abs=4 * 0.5 / np.sqrt(rows))


def test_one_that_acts_is_found_among_hundreds() -> None:
    random, x = np.random.default_rng(7), uniform(60, 500, 7)
    found = first_order(x, 4 * x[:, 321] + random.standard_normal(60) * 0.5)
    assert int(np.argmax(found["share"])) == 321
    assert found["share"][321] > found["floor"]
    assert np.flatnonzero(found["p"] <= FALSE_ALARM).tolist() == [321]


def test_the_floor_is_what_p_says() -> None:
    x = uniform(40, 50, 8)
    found = first_order(x, x[:, 0] + 0.3 * np.random.default_rng(8).standard_normal(40))
    assert ((found["share"] > found["floor"]) == (found["p"] <= FALSE_ALARM)).all()


def test_counts_that_take_few_values_are_inputs_as_well() -> None:
    x = uniform(100, 5, 9)
    x[:, 0] = x[:, 0] > 0.5
    found = first_order(x, x[:, 0] + 0.1 * np.random.default_rng(9).standard_normal(100))
    assert found["share"][0] > 0.9


# -------------------------------------------------------------------------------------------------- few, or missing


def drawn(draws: int) -> pd.DataFrame:
    """Inputs by draw, as the study names them."""
    columns = pd.MultiIndex.from_tuples([("a.b", ""), ("policy.x", "2024-01-01")])
    return pd.DataFrame(uniform(40, 2, 10)[:draws], columns=columns)


def test_too_few_draws_say_nothing_of_single_assumptions() -> None:
    assert list(_row(np.arange(19.0), 1, drawn(19))) == []
    assert len(list(_row(np.arange(20.0), 1, drawn(20)))) == 2
    (only,) = _row(np.arange(19.0 * 2), 2, drawn(19))
    assert only[3] == LUCK


def test_what_never_differs_has_no_parts_and_empty_values_take_their_draw_with_them() -> None:
    assert list(_row(np.ones(40), 1, drawn(40))) == []
    values = np.arange(21.0)
    values[3] = np.nan
    assert [row[0] for row in _row(values, 1, drawn(21))] == [20, 20]


# ------------------------------------------------------------------------------------------------------------ a study


def test_a_study_says_which_assumption_its_share_rests_on(tmp_path: Path) -> None:
    made: Any = replace(small_study(tmp_path, replications=1), draws=draws(FEWEST))
    noise = np.random.default_rng(11).normal(0.5, 0.001, (2, FEWEST))
    plan = [value + 0.2 * adherence(r) for r, value in enumerate(noise[1])]
    table = spread(made, rows_of(noise[0].tolist(), plan))
    own = table.query("indicator == 'grassroots_visit_share' and of == 'difference'").iloc[0]
    assert own["part"] == "policy.first_contact.adherence"
    assert own["share"] > own["floor"]
    assert own["rank_correlation"] > 0.9
    alone = table.query("scenario == 'before'")
    assert alone.empty, "the baseline draws nothing that could be shared out"
    table.to_csv(tmp_path / FILE, index=False)
    english, chinese = (_spread(Findings(made), Phrases(language)) for language in LANGUAGES)
    row = next(row for row in english["rows"] if row["of"].startswith("difference") and row["single"])
    assert row["single"][0]["path"] == "policy.first_contact.adherence"
    assert row["single"][0]["said"].endswith("rises with it")
    assert "nested=2" in english["explain"]
    assert "随之上升" in chinese["rows"][english["rows"].index(row)]["single"][0]["said"]
