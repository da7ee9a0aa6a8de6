"""How a test asks whether the model agrees with a formula.

The rule has two stages: independent replications must agree with the expected value at a level of 1 %; if they do not,
other luck over four times the length must agree at a level of 0.01 %. A right model fails one value with a chance of
one in a million, so the 250 of all files `test_theory*` together fail in 1 run in 4,000; a mean that is five standard
errors off is caught (tested in `test_theory`).
"""

from __future__ import annotations

from collections.abc import Callable

import pandas as pd

import towns
from sim.model import Case
from sim.timetable import DAY

REPLICATIONS = 8
FIRST, SECOND = 1e-2, 1e-4
"""Levels of the two stages."""

Tables = dict[str, pd.DataFrame]
Sample = Callable[[int, int], list[float]]
"""(seed, times the length) -> one mean per replication."""


def agrees(sample: Sample, expected: float) -> bool:
    """The two-stage rule."""
    return towns.within(sample(1, 1), expected, FIRST) or towns.within(sample(2, 4), expected, SECOND)


def means(case: Callable[[int, int], Case], measure: Callable[[Tables, int], float], days: int) -> Sample:
    """One mean per replication of a town that lasts `days` in the first stage."""

    def sample(seed: int, times: int) -> list[float]:
        return [measure(of, days * times) for of in towns.run(case(seed, days * times), REPLICATIONS).values()]

    return sample


def disagreements(
    case: Callable[[int, int], Case], measure: Callable[[Tables, int], dict[str, float]], days: int,
    expected: dict[str, float],
) -> list[str]:  # fmt: skip
    """Which of several means of the same town do not agree; both stages are simulated at most once."""
    drawn: dict[tuple[int, int], list[dict[str, float]]] = {}

    def sample(name: str, seed: int, times: int) -> list[float]:
        if (seed, times) not in drawn:
            tables = towns.run(case(seed, days * times), REPLICATIONS).values()
            drawn[seed, times] = [measure(of, days * times) for of in tables]
        return [found[name] for found in drawn[seed, times]]

    def told(name: str, value: float) -> str:
        return f"{name}: expected {value:.6g}, found {[round(x, 6) for x in sample(name, 1, 1)]}"

    return [
        told(name, value)
        for name, value in expected.items()
        if not agrees(lambda seed, times, name=name: sample(name, seed, times), value)  # type: ignore[misc]
    ]


def settled(visits: pd.DataFrame, days: int) -> pd.DataFrame:
    """Arrivals after a fifth of the time for warming up, and early enough to be seen before the end."""
    return visits[visits["time"].between(days / 5 * DAY, (days - 0.5) * DAY)]
