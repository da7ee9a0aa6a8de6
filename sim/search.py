"""What it takes to reach a limit: a search over something that gives one value for each replication.

All replications have the same luck at every value tried, so what is tried next can be decided by their mean, and each
replication has a crossing of its own, found between the values tried. Nothing here knows what is searched.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from scipy.special import stdtrit

from sim.streams import Floats

CONFIDENCE = 0.95

CERTAIN = 0.99
"""Confidence with which a step backwards is told from noise: several are looked at."""

Verdict = Literal["found", "always", "never", "backwards", "not_monotone"]
"""found: reached on the way; always: already at the lowest value; never: not even at the highest; backwards: it gets
worse as the value rises; not_monotone: better here and worse there, so there is no one answer."""

Evaluate = Callable[[Sequence[float]], Sequence[Floats]]
"""Values to try, each with what every replication makes of it."""


@dataclass(frozen=True)
class Found:
    """What was tried, and what follows."""

    verdict: Verdict
    tried: Floats
    """Values tried, rising, (tries,)."""
    told: Floats
    """What each replication made of each, (tries, replications)."""
    value: float
    """Where the mean over the replications crosses the limit; NaN unless found."""
    crossings: Floats
    """The same of each replication: the lowest value where it is reached already there, NaN where it never is."""

    @property
    def reached(self) -> int:
        """Replications that reach the limit at all."""
        return int(np.isfinite(self.crossings).sum())

    @property
    def interval(self) -> tuple[float, float]:
        """Mean crossing of those that reach the limit: its 95 % t interval; NaN for fewer than two."""
        return interval(self.crossings[np.isfinite(self.crossings)], CONFIDENCE)


def interval(values: Floats, confidence: float) -> tuple[float, float]:
    """The t interval of a mean; NaN for fewer than two values."""
    number = len(values)
    if number < 2:
        return float("nan"), float("nan")
    half = stdtrit(number - 1, (1 + confidence) / 2) * values.std(ddof=1) / np.sqrt(number)
    return float(values.mean() - half), float(values.mean() + half)


def search(
    evaluate: Evaluate, low: float, high: float, limit: float, *, rising: bool, tolerance: float, whole: bool = False
) -> Found:
    """The lowest value between two at which the mean over the replications reaches a limit.

    `rising`: at least the limit is wanted, else at most; `tolerance`: how near to each other two values are that are
    both tried on the way to the answer; `whole`: only whole numbers are tried.
    """
    tried = dict(zip((low, high), evaluate((low, high)), strict=True))
    sign = 1.0 if rising else -1.0

    def reaches(value: float) -> bool:
        return bool(sign * (np.mean(tried[value]) - limit) >= 0)

    below, above = low, high
    while reaches(high) and not reaches(low) and above - below > tolerance:
        middle = (below + above) / 2
        middle = float(np.floor(middle)) if whole else middle
        if middle in tried:
            break
        (tried[middle],) = evaluate((middle,))
        below, above = (below, middle) if reaches(middle) else (middle, above)
    values = np.array(sorted(tried))
    told = np.array([tried[value] for value in values])
    over = sign * (told - limit)
    verdict = _verdict(over)
    value = _crossing(values, over.mean(axis=1)) if verdict == "found" else float("nan")
    return Found(verdict, values, told, value, np.array([_crossing(values, own) for own in over.T]))


def _verdict(over: Floats) -> Verdict:
    """What all tries together say; `over`: how far the limit is exceeded, (tries, replications)."""
    if _falls(over[-1] - over[0], alone=True):
        return "backwards"
    if any(_falls(step) for step in np.diff(over, axis=0)):
        return "not_monotone"
    if over[0].mean() >= 0:
        return "always"
    return "found" if over[-1].mean() >= 0 else "never"


def _falls(steps: Floats, alone: bool = False) -> bool:
    """Whether paired differences lie below nothing beyond noise; `alone`: one by itself is taken at its word."""
    _, high = interval(steps, CERTAIN)
    return bool(high < 0) if len(steps) > 1 else alone and bool(steps[0] < 0)


def _crossing(values: Floats, over: Floats) -> float:
    """Where the line through the tries first reaches the limit; NaN = nowhere."""
    reached = np.flatnonzero(over >= 0)
    if not reached.size:
        return float("nan")
    n = int(reached[0])
    if n == 0:
        return float(values[0])
    return float(np.interp(0.0, over[n - 1 : n + 1], values[n - 1 : n + 1]))
