"""Why replications differ: luck, the draws of assumptions, and which assumption most; from a study's own replications.

Luck apart from assumptions can only be told by an experiment: several replications on the same draw (`nested`). Then a
one-way analysis of variance with random effects gives both components, with the exact F interval of their ratio.

Which assumption matters is read from the draws as they are: the share of an indicator's variance that goes with one
assumption alone (first-order index), as the correlation ratio over bins of equal size, corrected for chance (Kelley
1935). Bins cost a straight effect 1 / bins^2 of its share and, unlike a line, also see what rises and falls again.
Hundreds of assumptions against some dozens of draws: the best of them always looks good. So the floor is what the best
of all reaches when draws and results are shuffled against each other, and only what exceeds it is told; of indicators
on which nothing acts, FALSE_ALARM of the rows name an assumption all the same.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.special import fdtri  # the quantile of F

from analysis.compare import CONFIDENCE
from analysis.indicators import HEADLINE
from analysis.ledger import Frame
from analysis.reading import drawn, span_of
from sim.results import Results
from sim.streams import bits, child, key

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

FILE = "spread.csv"

FEWEST = 20
"""Draws below which nothing is said of single assumptions: one whole Latin hypercube."""

FALSE_ALARM = 0.01
"""Chance that a row names an assumption where none acts."""

SHUFFLES = 199

TOLD = 5
"""Assumptions that are written down for each row, the strongest first."""

LUCK = "luck"

COLUMNS = [
    "scenario", "period", "indicator", "scope", "of", "draws", "lucks", "deviation", "part", "since", "share", "low",
    "high", "floor", "p", "rank_correlation",
]  # fmt: skip
"""Columns of spread.csv: `part` is luck, or the path of an assumption; `deviation` that of the draws' means."""


def spread(results: Results, indicators: Frame) -> Frame:
    """What the headline indicators that matter owe to luck and to single assumptions, in the last whole year."""
    lucks, base = results.config.nested, results.study.baseline
    draws = results.draws
    rows = headlines(indicators, list(results.config.report.important_differences), _year(results, indicators))
    found = [
        (*about, *row)
        for indicator, own in rows.groupby("indicator", sort=False, observed=True)
        for scenario, of, values in _values(own, base)
        for about in [(scenario, own["period"].iloc[0], indicator, own["scope"].iloc[0], of)]
        for row in _row(values, lucks, _inputs(draws, lucks, scenario, base if of == "difference" else ""))
    ]
    return pd.DataFrame(found, columns=COLUMNS)


def headlines(indicators: Frame, names: list[str], year: str) -> Frame:
    """The headline rows of some indicators in a year."""
    chosen = indicators["variant"].eq(HEADLINE) & indicators["indicator"].isin(names)
    return indicators[chosen & indicators["period"].astype(str).eq(year)]


def _year(results: Results, indicators: Frame) -> str:
    years = sorted(indicators["period"].astype(str).unique())
    return str(([year for year in years if span_of(results).complete(year)] or years)[-1])


def _values(rows: Frame, baseline: str) -> Iterator[tuple[str, str, Floats]]:
    """Scenario, value or difference, and what each replication says, in order of number."""
    table = rows.pivot(index="replication", columns="scenario", values="value").sort_index()
    for scenario in dict.fromkeys(rows["scenario"]):
        yield str(scenario), "value", table[scenario].to_numpy(float)
        if scenario != baseline:
            yield str(scenario), "difference", (table[scenario] - table[baseline]).to_numpy(float)


def _inputs(draws: Frame, lucks: int, scenario: str, other: str) -> Frame:
    """What was drawn, by draw: a column for each assumption of a scenario, and of the other one, that varies."""
    own = drawn(draws, lucks)
    own = own[own["scenario"].isin((scenario, other))].assign(since=own["since"].fillna("").astype(str))
    one = own.drop_duplicates(["replication", "path", "since"])
    table: Frame = one.pivot(index="replication", columns=["path", "since"], values="value").sort_index()
    return table.loc[:, table.nunique() > 1]


def _row(values: Floats, lucks: int, inputs: Frame) -> Iterator[tuple[Any, ...]]:
    """The parts of one indicator's spread, each with its share; nothing where nothing differs."""
    grouped = values.reshape(-1, lucks)
    whole = np.isfinite(grouped).all(axis=1)
    means = grouped[whole].mean(axis=1)
    if len(means) < 2 or not np.ptp(grouped[whole]) > 0:
        return
    about = len(means), lucks, float(means.std(ddof=1))
    if lucks > 1:
        none = float("nan")
        yield *about, LUCK, "", *luck_share(grouped[whole]), none, none, none
    if len(means) >= FEWEST and len(inputs) == len(grouped) and np.ptp(means) > 0 and inputs.shape[1]:
        found = first_order(inputs.to_numpy(float)[whole], means)
        for place in np.argsort(-found["share"], kind="stable")[:TOLD]:
            path, since = inputs.columns[place]
            share, p, rank = (round(float(found[name][place]), 6) for name in ("share", "p", "rank_correlation"))
            yield *about, path, since, share, float("nan"), float("nan"), round(float(found["floor"]), 6), p, rank


# ---------------------------------------------------------------------------------------------------------------- luck


def luck_share(values: Floats) -> tuple[float, float, float]:
    """The share of the variance of one replication that is luck, and its 95 % interval; values: (draws, lucks).

    One-way analysis of variance, draws as random effects; the interval is exact for normal effects.
    """
    draws, lucks = values.shape
    means = values.mean(axis=1)
    between = lucks * means.var(ddof=1)
    within = ((values - means[:, None]) ** 2).sum() / (draws * (lucks - 1))
    if within == 0:
        return 0.0, 0.0, 0.0
    freedom, tail = (draws - 1, draws * (lucks - 1)), (1 - CONFIDENCE) / 2
    ratio = between / within
    smaller, larger = ratio / fdtri(*freedom, 1 - tail), ratio / fdtri(*freedom, tail)
    return _luck(ratio, lucks), _luck(larger, lucks), _luck(smaller, lucks)


def _luck(ratio: float, lucks: int) -> float:
    """The share of luck at a ratio of mean squares."""
    return float(min(1.0, lucks / (ratio + lucks - 1)))


# --------------------------------------------------------------------------------------------------------- assumptions


def first_order(inputs: Floats, values: Floats) -> Mapping[str, Any]:
    """Share of the variance that goes with each input alone, p over all inputs, the floor; inputs: (draws, inputs)."""
    ranks = pd.DataFrame(inputs).rank().to_numpy()
    number = len(values)
    bins = ((ranks - 0.5) / number * how_many_bins(number)).astype(np.int64).T
    shuffled = values[_orders(number)].T  # (draws, 1 + shuffles), the first as it is
    shares = _shares(bins, shuffled)
    best = np.sort(shares[:, 1:].max(axis=0))
    above = SHUFFLES - np.searchsorted(best, shares[:, 0])  # shuffles whose best is at least as good
    return {
        "share": np.maximum(shares[:, 0], 0.0),
        "p": (1 + above) / (1 + SHUFFLES),
        "floor": max(0.0, best[-int(FALSE_ALARM * (1 + SHUFFLES))]),
        "rank_correlation": _correlations(ranks, np.asarray(pd.Series(values).rank(), dtype=np.float64)),
    }


def how_many_bins(number: int) -> int:
    """Bins for so many draws."""
    return 5 if number < 200 else 10


def _orders(number: int) -> Ints:
    """The draws as they are, then shuffled: the same for the same number."""
    numbers = bits(child(key(0, "shuffle", number), np.arange(SHUFFLES * number)), 0).reshape(SHUFFLES, number)
    return np.concatenate([np.arange(number)[None], np.argsort(numbers, axis=1, kind="stable")])


def _shares(bins: Ints, values: Floats) -> Floats:
    """The corrected correlation ratio of each input with each column of values, (inputs, columns)."""
    number = len(values)
    moved = values - values.mean(axis=0)
    explained, used = np.zeros((len(bins), values.shape[1])), np.zeros(len(bins))
    for place in range(int(bins.max()) + 1):
        inside = bins == place
        count = inside.sum(axis=1)
        explained += (inside.astype(float) @ moved) ** 2 / np.maximum(count, 1)[:, None]
        used += count > 0
    total = (moved**2).sum(axis=0)
    return np.asarray(1 - (1 - explained / total) * ((number - 1) / (number - used))[:, None])


def _correlations(ranks: Floats, others: Floats) -> Floats:
    """Spearman's rank correlation of each input with the values."""
    a, b = ranks - ranks.mean(axis=0), others - others.mean()
    return np.asarray(a.T @ b / np.sqrt((a**2).sum(axis=0) * (b**2).sum()))
