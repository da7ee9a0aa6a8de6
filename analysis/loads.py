"""The load verdict: who is offered more than they can do, and whose backlog keeps growing.

Where demand exceeds capacity a queue grows with the length of the run, and a mean says more about the run than about
the place. So this verdict stands before any mean.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

import pandas as pd

from analysis.ledger import Frame

LEAST_BACKLOG = 10
"""Patients by which a backlog must have grown to be told: small ones double by chance."""

PLACE = ["scenario", "facility", "resource"]


@dataclass(frozen=True)
class Overload:
    """One place that cannot go on like this, in one scenario."""

    kind: Literal["load", "backlog"]
    scenario: str
    facility: str
    resource: str
    before: float
    """Patients waiting a year before the end (0 for a load)."""
    after: float
    """Mean offered load over capacity, or patients waiting at the end."""
    k: int
    """Replications in which it is so."""
    n: int
    """Replications."""


def overloads(tables: Mapping[str, Frame], growth: float) -> list[Overload]:
    """Everything that is not sustainable in most replications, loads first."""
    return [*_too_much_offered(tables["loads"]), *_growing(tables["backlog"], growth)]


def _too_much_offered(loads: Frame) -> Iterator[Overload]:
    """Places offered more than their capacity before anybody moves elsewhere."""
    worst = loads.groupby([*PLACE, "replication"], observed=True, sort=False)["load"].max().reset_index()
    worst["so"] = worst["load"] > 1
    for (scenario, facility, resource), rows in worst.groupby(PLACE, observed=True, sort=False):
        k, n = int(rows["so"].sum()), len(rows)
        if 2 * k > n:
            yield Overload("load", str(scenario), str(facility), str(resource), 0.0, float(rows["load"].mean()), k, n)


def _growing(backlog: Frame, growth: float) -> Iterator[Overload]:
    """Backlogs that grew over the last twelve months, season against season."""
    months = pd.DatetimeIndex(pd.to_datetime(backlog["month"]))
    if backlog.empty or months.min() > months.max() - pd.DateOffset(years=1):
        return
    both = _ends(backlog, months)
    rise = both["after"] - both["before"]
    both["so"] = (rise > growth * both["before"]) & (rise >= LEAST_BACKLOG)
    for (scenario, facility, resource), rows in both.groupby(PLACE, observed=True, sort=False):
        k, n = int(rows["so"].sum()), len(rows)
        before, after = float(rows["before"].mean()), float(rows["after"].mean())
        if 2 * k > n:
            yield Overload("backlog", str(scenario), str(facility), str(resource), before, after, k, n)


def _ends(backlog: Frame, months: pd.DatetimeIndex) -> Frame:
    """Patients waiting at the end of the last month and a year before, for each place and replication."""
    last = months.max()
    ends = {"before": backlog[months == last - pd.DateOffset(years=1)], "after": backlog[months == last]}
    keys = [*PLACE, "replication"]
    sums = [rows.groupby(keys, observed=True)["waiting"].sum().rename(name) for name, rows in ends.items()]
    return pd.concat(sums, axis=1).fillna(0).reset_index()
