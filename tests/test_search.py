"""What it takes to reach a limit, where theory knows: plain functions, straight lines, luck that replications share."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import pytest
from numpy.typing import NDArray

from sim.search import Found, search

Floats = NDArray[np.float64]


class Tries:
    """A function of a value, for each replication, and what was asked of it."""

    def __init__(self, function: Callable[[float], Sequence[float]]) -> None:
        self.function, self.asked = function, list[float]()

    def __call__(self, values: Sequence[float]) -> list[Floats]:
        self.asked += values
        return [np.array(self.function(value)) for value in values]


def found(
    function: Callable[[float], Sequence[float]],
    limit: float = 0.65,
    rising: bool = True,
    tolerance: float = 1 / 64,
    ends: tuple[float, float] = (0.0, 1.0),
    whole: bool = False,
) -> Found:
    """The answer between two ends."""
    return search(Tries(function), *ends, limit, rising=rising, tolerance=tolerance, whole=whole)


def test_a_straight_line_is_crossed_where_it_is_exactly() -> None:
    answer = found(lambda x: [0.5 + 0.4 * x])
    assert answer.verdict == "found"
    assert answer.value == pytest.approx(0.375, abs=1e-12)


@pytest.mark.parametrize("tolerance", [0.3, 1 / 16, 1 / 256])
def test_a_curve_is_crossed_within_the_tolerance(tolerance: float) -> None:
    answer = found(lambda x: [x**3], limit=0.2, tolerance=tolerance)
    assert answer.value == pytest.approx(0.2 ** (1 / 3), abs=tolerance)
    nearest = np.sort(np.abs(answer.tried - answer.value))[:2]
    assert nearest.sum() <= tolerance, "two values beside the answer are no further apart"
    assert len(answer.tried) <= 2 + np.ceil(np.log2(1 / tolerance))


def test_at_most_is_sought_downwards() -> None:
    answer = found(lambda x: [10.0 - 4.0 * x], limit=7.8, rising=False)
    assert answer.verdict == "found"
    assert answer.value == pytest.approx(0.55, abs=1e-12)


def test_each_replication_has_a_crossing_of_its_own() -> None:
    starts = np.array([0.45, 0.5, 0.55, 0.6, 0.1])
    answer = found(lambda x: starts + 0.4 * x, limit=0.65)
    own = (0.65 - starts) / 0.4
    assert answer.crossings[:4] == pytest.approx(own[:4], abs=1e-9)
    assert np.isnan(answer.crossings[4]), "one tenth and four more do not make it"
    assert answer.reached == 4
    assert answer.value == pytest.approx((0.65 - starts.mean()) / 0.4, abs=1e-9)
    half = 3.182446305284263 * own[:4].std(ddof=1) / 2
    assert answer.interval == pytest.approx((own[:4].mean() - half, own[:4].mean() + half), abs=1e-9)


def test_what_is_reached_at_once_or_never_asks_for_both_ends_alone() -> None:
    for function, verdict in ((lambda x: [0.7 + x]), "always"), ((lambda x: [0.1 + 0.5 * x]), "never"):
        tries = Tries(function)
        answer = search(tries, 0.0, 1.0, 0.65, rising=True, tolerance=0.01)
        assert (answer.verdict, tries.asked) == (verdict, [0.0, 1.0])
        assert np.isnan(answer.value)
    assert answer.reached == 0


def test_a_thing_that_leads_away_is_no_answer() -> None:
    assert found(lambda x: [0.7 - 0.4 * x, 0.8 - 0.41 * x, 0.7 - 0.39 * x]).verdict == "backwards"
    assert found(lambda x: [0.6 - 0.1 * x]).verdict == "backwards", "one replication is taken at its word"
    assert found(lambda x: [0.6 + x, 0.6 - x]).verdict == "never", "half of them better, half worse: nothing is known"


def test_a_step_back_beyond_noise_is_no_answer() -> None:
    def hill(x: float) -> float:
        return 0.9 - 2.0 * (x - 0.5) ** 2 if x < 0.75 else 0.7

    assert found(lambda x: [hill(x), hill(x) + 0.01, hill(x) + 0.02]).verdict == "not_monotone"
    noise = np.array([0.02, -0.02, 0.01, -0.01])
    wavy = found(lambda x: 0.5 + 0.4 * x + noise * np.cos(40 * x + np.arange(4)))
    assert wavy.verdict == "found", "a step back that only some take is noise"


def test_whole_numbers_are_tried_as_such() -> None:
    answer = found(lambda x: [x / 14], limit=0.5, ends=(0, 14), tolerance=0.1, whole=True)
    assert all(value == int(value) for value in answer.tried)
    assert answer.value == pytest.approx(7.0)


def test_one_replication_has_no_interval() -> None:
    assert np.isnan(found(lambda x: [x]).interval).all()
