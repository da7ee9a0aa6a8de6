"""Where a stationary series has forgotten its start: MSER-5 and Welch's moving average.

For textbook reductions alone: a place with a policy has seasons, dates and growth, and no steady state; its warm-up is
tried from both sides instead (`analysis.warmup`). A series is one value for each step of time, shape (n,), or a row of
these for each replication, shape (replications, n), of which the mean over the replications is looked at. Steps of time
that are much shorter than the memory of what is looked at make MSER-5 cut late, or refuse.

    cut = mser5(census)
    steady = census[..., cut.first :]
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from sim.schema import Failure

Floats = NDArray[np.float64]

BATCH = 5
"""Values in a batch: the 5 of MSER-5."""

FEWEST = 10
"""Batches below which nothing is said."""

LAST = 5
"""Batches at the end behind which no series is cut: their spread is small because they are few."""


class Unsettled(Failure):
    """The series has no steady state that can be seen, so no mean of it is told."""


@dataclass(frozen=True)
class Cut:
    """Where a series is cut."""

    first: int
    """The first value that is kept."""
    mean: float
    """Mean of all that are kept; values at the end that fill no batch are among them."""
    statistic: Floats
    """The marginal standard error, squared, by batches left out: 0, 1, 2 and so on."""


def mser5(series: ArrayLike, load: float | None = None) -> Cut:
    """Cut where the squared standard error of the mean of what is left is least (White 1997; batches of five, White,
    Cobb and Spratt 2000); where several places are as good, at the first.

    Refused (`Unsettled`) where that is in the second half of the batches, as for a trend (Hoad, Robinson and Davies
    2010), or where the `load`, what is offered over what can be done, is 1 or more.
    """
    values = _mean_of(series)
    _refuse_overload(load)
    batches = values[: len(values) // BATCH * BATCH].reshape(-1, BATCH).mean(axis=1)
    if len(batches) < FEWEST:
        raise ValueError(f"MSER-5 needs {FEWEST * BATCH} values or more; found {len(values)}.")
    statistic = np.array([_squared_error(batches[n:]) for n in range(len(batches) - LAST)])
    best = int(np.argmin(statistic))
    if best > len(batches) / 2:
        kept = f"the best cut leaves {len(batches) - best} of {len(batches)} batches"
        raise Unsettled(f"This series does not settle: {kept}, fewer than half. Make it longer, or look for a trend.")
    return Cut(best * BATCH, float(values[best * BATCH :].mean()), statistic)


def _squared_error(batches: Floats) -> float:
    return float(((batches - batches.mean()) ** 2).sum() / len(batches) ** 2)


def welch(series: ArrayLike, window: int, load: float | None = None) -> Floats:
    """Welch's moving average: of each value and `window` values on both sides, or as many as there are on the left; the
    last `window` values have none (Welch 1983).

    A reader chooses the cut where it becomes flat. Refused where the `load` is 1 or more.
    """
    values = _mean_of(series)
    _refuse_overload(load)
    if not 1 <= window <= len(values) // 4:
        raise ValueError(f"The window is 1 to a quarter of the values, {len(values) // 4}; found {window}.")
    sums = np.concatenate([[0.0], np.cumsum(values)])
    at = np.arange(len(values) - window)
    around = np.minimum(at, window)
    return np.asarray((sums[at + around + 1] - sums[at - around]) / (2 * around + 1))


def _mean_of(series: ArrayLike) -> Floats:
    """The values, or their mean over the replications."""
    values = np.asarray(series, dtype=np.float64)
    if values.ndim not in (1, 2) or not values.size:
        raise ValueError(f"A series has the shape (n,) or (replications, n); found {values.shape}.")
    if not np.isfinite(values).all():
        raise ValueError(f"A series is of numbers; {int((~np.isfinite(values)).sum())} of these are none.")
    return values if values.ndim == 1 else np.asarray(values.mean(axis=0))


def _refuse_overload(load: float | None) -> None:
    if load is not None and not load < 1:
        why = "its queue grows with the length of the run"
        raise Unsettled(f"A load of {load:.3g} has no steady state: {why}, and so would any mean.")
