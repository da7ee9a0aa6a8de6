"""What paired differences allow to be said of many indicators at once, and how many more replications would decide.

Two things can be claimed of a difference: that it is not nought (p: paired t, two-sided), and that it lies within the
minimum important difference (p_within: the least error at which the t interval does; twice the p of two one-sided t
tests). Whoever reads thirty indicators finds some of them at 5 % by luck alone. So each kind of claim is adjusted by
Holm's step-down (1979) over its family: the headline indicators with a minimum important difference, of all scenarios
compared, in one year. The chance that any claim of a kind in a family is wrong is then at most 5 %, however the
indicators hang together. An adjustment only ever turns a verdict into `undecided`, never into another one.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.special import stdtr, stdtrit  # Student's t; scipy.stats takes a second longer to load

from analysis.indicators import HEADLINE
from analysis.ledger import Frame

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]

ERROR = 0.05
"""Chance of any wrong claim of one kind in a family."""

MOST_MORE = 1000
"""Further replications beyond which nobody is told how many it would take."""

BY_T = ["p", "p_holm", "p_within", "p_within_holm"]
"""Columns of comparison.csv: both claims, by themselves and adjusted; the latter for the family alone."""


def p_differs(difference: Floats, error: Floats, freedom: Floats) -> Floats:
    """Two-sided p of no difference, from its mean and standard error."""
    return _two_sided(np.abs(difference), error, freedom)


def p_within(difference: Floats, error: Floats, freedom: Floats, important: Floats) -> Floats:
    """The least error at which the t interval of a difference lies within +-important."""
    room = important - np.abs(difference)
    return np.where(room < 0, np.where(np.isfinite(error), 1.0, np.nan), _two_sided(room, error, freedom, level=True))


def _two_sided(distance: Floats, error: Floats, freedom: Floats, level: bool = False) -> Floats:
    """2 P(T > distance / error). Values that are all the same: certain; `level`: also at no distance at all."""
    sure = np.where((distance > 0) | level, 0.0, 1.0)
    with np.errstate(divide="ignore", invalid="ignore"):
        spread = 2 * stdtr(freedom, -distance / error)
    return np.asarray(np.where(error == 0, sure, spread))


def holm(p: Floats) -> Floats:
    """Holm's adjusted p; what has no p has no adjusted one and is not counted."""
    known = np.flatnonzero(np.isfinite(p))
    order = known[np.argsort(p[known], kind="stable")]
    adjusted = np.full(len(p), np.nan)
    adjusted[order] = np.minimum(np.maximum.accumulate(p[order] * np.arange(len(order), 0, -1)), 1.0)
    return adjusted


def family(table: Frame, important: Frame | Any) -> Flags:
    """The rows of a comparison that are judged together, year by year."""
    return np.asarray(table["variant"].eq(HEADLINE) & table["indicator"].isin(list(important)) & table["p"].notna())


def adjusted(table: Frame, among: Flags) -> Frame:
    """Both p of every row, adjusted within its year over the rows `among` which it is judged."""
    found = {f"{name}_holm": pd.Series(np.nan, index=table.index) for name in ("p", "p_within")}
    for _, rows in table[among].groupby("period", sort=False):
        for name in ("p", "p_within"):
            found[f"{name}_holm"].loc[rows.index] = holm(rows[name].to_numpy(float))
    return table.assign(**found)


def levels(table: Frame, among: Flags, name: str) -> Floats:
    """The p below which each row would be claimed as well, those of its year that are claimed already staying so.

    With r of m rows claimed, Holm's next step is at ERROR / (m - r): whoever gets below it is next.
    """
    limit = np.full(len(table), ERROR)
    for _, rows in table[among].groupby("period", sort=False):
        open_ = int((rows[f"{name}_holm"] > ERROR).sum())
        limit[table.index.get_indexer(rows.index)] = ERROR / max(1, open_)
    return limit


# ------------------------------------------------------------------------------------------------- how many more


def more(
    difference: Floats, deviation: Floats, number: NDArray[np.int64], important: Floats,
    differs: Floats, within: Floats, block: int = 1,
) -> Floats:  # fmt: skip
    """Further replications after which each difference would be decided, if mean and deviation stay as they are.

    `differs` and `within`: the error allowed to either claim. All replications together fill whole blocks. Infinite:
    more than MOST_MORE; NaN: no deviation is known.
    """
    found = np.full(len(difference), np.nan)
    for row in np.flatnonzero(np.isfinite(deviation) & np.isfinite(difference)):
        n = _further(int(number[row]), block)
        half = [deviation[row] * _halves(int(number[row]), block, float(x)) for x in (ERROR, differs[row], within[row])]
        size, matters = abs(difference[row]), important[row]
        # the rule of verdicts: the plain interval says what may be claimed, the adjusted one whether it is
        decided = np.where(size + half[0] <= matters, size + half[2] <= matters, size > half[1])
        found[row] = n[np.argmax(decided)] - number[row] if decided.any() else np.inf
    return found


def _further(number: int, block: int) -> NDArray[np.int64]:
    """Numbers of replications that could be had instead."""
    first = (number // block + 1) * block
    return np.arange(first, max(first, number + MOST_MORE) + 1, block)


@lru_cache(maxsize=256)
def _halves(number: int, block: int, allowed: float) -> Floats:
    """Half of the interval with so many further replications, for a deviation of 1: many rows ask the same."""
    n = _further(number, block)
    return np.asarray(stdtrit(n - 1, 1 - allowed / 2) / np.sqrt(n))
