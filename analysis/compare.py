"""Compare scenarios with the baseline, replication by replication, and judge targets.

Two scenarios of one replication share all luck and all drawn assumptions, so their difference is taken within the
replication (paired). Intervals are 95 % t intervals of the mean over the replications, n - 1 degrees of freedom.
Verdicts on headline indicators hold for all of them together (`verdicts`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.special import betaincinv, stdtrit  # laws' quantiles; scipy.stats takes a second longer to load

from analysis import verdicts
from analysis.indicators import CATALOGUE, HEADLINE, STANDARD, Better
from analysis.ledger import Frame, Span
from analysis.reading import Goal

if TYPE_CHECKING:
    from pandas.api.typing import SeriesGroupBy

Floats = NDArray[np.float64]

CONFIDENCE = 1 - verdicts.ERROR

KEYS = ["period", "indicator", "scope", "variant"]

COLUMNS = [
    "scenario", "baseline", *KEYS, "mean", "low", "high", "difference", "difference_low", "difference_high",
    *verdicts.BY_T, "verdict", "more_replications", "replications",
]  # fmt: skip
"""Columns of comparison.csv."""

Verdict = Literal["better", "worse", "higher", "lower", "no practical difference", "undecided"]
"""`higher` and `lower` are for indicators without a wanted direction."""


def compare(indicators: Frame, baseline: str, important: Mapping[str, float], block: int = 1, lucks: int = 1) -> Frame:
    """Mean and interval of every row of the indicators, and its paired difference from the baseline.

    `block`: values come so many at a time; `lucks`: replications behind each value.
    """
    base = indicators.loc[indicators["scenario"].eq(baseline), ["replication", *KEYS, "value"]]
    paired = indicators.merge(base, on=["replication", *KEYS], how="left", suffixes=("", "_base"))
    paired["change"] = (paired["value"] - paired["value_base"]).mask(paired["scenario"].eq(baseline))
    grouped = paired.groupby(["scenario", *KEYS], sort=False)
    own, change = _interval(grouped["value"]), _interval(grouped["change"])
    pairs = change[["deviation", "replications"]].reset_index(drop=True)
    known = change.drop(columns=["replications", "deviation"]).rename(columns=_as_difference)
    table = own.drop(columns="deviation").join(known).reset_index().assign(baseline=baseline)
    judged = _judged_together(table, pairs, important, block)
    return judged.assign(more_replications=judged["more_replications"] * lucks)[COLUMNS]


def _judged_together(table: Frame, pairs: Frame, important: Mapping[str, float], block: int) -> Frame:
    """The table with p, verdicts, and how many more replications would decide what is undecided."""
    difference, deviation = table["difference"].to_numpy(float), pairs["deviation"].to_numpy(float)
    number = pairs["replications"].to_numpy()
    matters = np.array([_matters(row, important) for row in table.itertuples()])
    freedom = np.where(number > 1, number - 1, np.nan)
    error = deviation / np.sqrt(np.maximum(number, 1))
    table["p"] = verdicts.p_differs(difference, error, freedom)
    table["p_within"] = verdicts.p_within(difference, error, freedom, matters)
    among = verdicts.family(table, important)
    table = verdicts.adjusted(table, among)
    rows = zip(table.itertuples(), matters, among, strict=True)
    table["verdict"] = [_row_verdict(row, matter, shared) for row, matter, shared in rows]
    differs, within = (verdicts.levels(table, among, name) for name in ("p", "p_within"))
    open_ = table["verdict"].eq("undecided").to_numpy()
    missing = verdicts.more(np.where(open_, difference, np.nan), deviation, number, matters, differs, within, block)
    return table.assign(more_replications=missing)


def _as_difference(column: str) -> str:
    return "difference" if column == "mean" else f"difference_{column}"


def _interval(values: SeriesGroupBy[Any, Any]) -> Frame:
    """Mean and interval of each group; empty values are left out and the number of the others is told."""
    table = values.agg(["mean", "std", "count"])
    half = half_width(table["std"].to_numpy(), table["count"].to_numpy())
    low, high = table["mean"] - half, table["mean"] + half
    told = {"mean": table["mean"], "low": low, "high": high, "deviation": table["std"], "replications": table["count"]}
    return pd.DataFrame(told)


def half_width(deviation: Floats, number: NDArray[np.int64]) -> Floats:
    """Half of a t interval of a mean; not defined (NaN) for fewer than two values."""
    freedom = np.where(number > 1, number - 1, np.nan)
    return np.asarray(stdtrit(freedom, (1 + CONFIDENCE) / 2) * deviation / np.sqrt(freedom + 1))


def _matters(row: Any, important: Mapping[str, float]) -> float:
    """The minimum important difference is stated in the indicator's unit: variants in another unit have none."""
    meaning = CATALOGUE[row.indicator]
    same_unit = meaning.unit_of(row.variant) == meaning.unit
    return important.get(row.indicator, 0.0) if same_unit else 0.0


def _row_verdict(row: Any, matters: float, shared: bool) -> Verdict | None:
    """The verdict of a row; where it is judged with others, it has to hold for all of them together."""
    if not np.isfinite(row.difference):
        return None
    plain = verdict(row.difference_low, row.difference_high, CATALOGUE[row.indicator].better, matters)
    p = row.p_within_holm if plain == "no practical difference" else row.p_holm
    return "undecided" if shared and p > verdicts.ERROR else plain


def verdict(low: float, high: float, better: Better, important: float) -> Verdict:
    """Within +-important: no practical difference; else wholly on one side of 0: better or worse; else undecided."""
    if not (np.isfinite(low) and np.isfinite(high)):
        return "undecided"
    if -important <= low and high <= important:
        return "no practical difference"
    if low <= 0 <= high:
        return "undecided"
    if better == "neither":
        return "higher" if low > 0 else "lower"
    return "better" if (low > 0) == (better == "up") else "worse"


# --------------------------------------------------------------------------------------------------------------- goals

Moment = Literal["deadline", "full_year"]
"""The calendar year of the deadline, or the first full year after it with everything in force."""


@dataclass(frozen=True)
class Judgement:
    """One goal, one scenario, one calendar year."""

    goal: Goal
    scenario: str
    year: str
    moment: Moment
    met: int | None
    """Replications that meet it; None where it is not judged."""
    of: int
    """Replications with a value."""
    why_not: Literal["", "not computed", "not simulated", "year incomplete"] = ""
    """Why it is not judged."""

    @property
    def chance(self) -> tuple[float, float]:
        """The 95 % interval of the chance that a draw meets the goal; NaN where it is not judged."""
        return (np.nan, np.nan) if self.met is None else clopper_pearson(self.met, self.of)


def clopper_pearson(k: int, n: int) -> tuple[float, float]:
    """The exact 95 % interval of a chance of which k of n tries came true (Clopper and Pearson 1934)."""
    tail = (1 - CONFIDENCE) / 2
    low = betaincinv(k, n - k + 1, tail) if k else 0.0
    return float(low), float(betaincinv(k + 1, n - k, 1 - tail)) if k < n else 1.0


def judged_years(goal: Goal, in_force: Sequence[date]) -> dict[Moment, str]:
    """The years in which a goal is judged: that of its deadline, and the first begun after it with all in force."""
    ready = [day.year if (day.month, day.day) == (1, 1) else day.year + 1 for day in in_force]
    deadline = goal.target.by.year
    return {"deadline": str(deadline), "full_year": str(max([deadline + 1, *ready]))}


def judge(goal: Goal, indicators: Frame, in_force: Sequence[date], span: Span) -> list[Judgement]:
    """The goal in every scenario and in both years."""
    rows = goal_rows(goal, indicators)
    return [
        _judged(goal, scenario, year, moment, rows, span)
        for moment, year in judged_years(goal, in_force).items()
        for scenario in dict.fromkeys(indicators["scenario"])
    ]


def _judged(goal: Goal, scenario: str, year: str, moment: Moment, rows: Frame, span: Span) -> Judgement:
    values = rows.loc[rows["scenario"].eq(scenario) & rows["period"].astype(str).eq(year), "value"].dropna()
    if goal.indicator not in CATALOGUE or not CATALOGUE[goal.indicator].computed:
        return Judgement(goal, scenario, year, moment, None, 0, "not computed")
    if values.empty:
        return Judgement(goal, scenario, year, moment, None, 0, "not simulated")
    if not span.complete(year):
        return Judgement(goal, scenario, year, moment, None, len(values), "year incomplete")
    return Judgement(goal, scenario, year, moment, sum(map(goal.target.met, values)), len(values))


def goal_rows(goal: Goal, rows: Frame) -> Frame:
    """The rows that a goal is about: its indicator's own definition at its scope."""
    own = rows["indicator"].eq(goal.indicator) & rows["scope"].eq(goal.scope)
    return rows[own & rows["variant"].isin((HEADLINE, STANDARD))]
