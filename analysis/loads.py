"""The load verdict: who is offered more than they can do, and whose backlog keeps growing.

Where demand exceeds capacity a queue grows with the length of the run, and a mean says more about the run than about
the place. So this verdict stands before any mean.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

import pandas as pd

from analysis.ledger import Frame, Span
from sim.loads import is_half

LEAST_BACKLOG = 10
"""Patients by which a backlog must have grown to be told: small ones double by chance."""

PLACE = ["scenario", "facility", "resource"]

WAITS = {
    "wait_days": ("clinic", "appointment"),
    "wait_minutes": ("clinic", "emergency"),
    "bed_wait_days": ("ward", "bed"),
    "operation_wait_days": ("theatre",),
}
"""Indicators that are means of waits, and the resources in front of which the waits arise."""


@dataclass(frozen=True)
class Overload:
    """One place that cannot go on like this, in one scenario."""

    kind: Literal["load", "half", "backlog"]
    """Offered too much; one half of what is under a quota offered too much, while the whole would do; waits grow."""
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


@dataclass(frozen=True)
class Standstill:
    """Wards that block each other for ever, in one scenario."""

    scenario: str
    wards: str
    since: pd.Timestamp
    """Earliest minute of all replications."""
    k: int
    """Replications in which it is so."""
    n: int
    """Replications."""


def standstills(tables: Mapping[str, Frame], replications: int) -> list[Standstill]:
    """Wards with nobody in them but patients who wait for each other's beds, in any replication."""
    found = tables.get("deadlocks")
    if found is None or found.empty:
        return []
    grouped = found.groupby(["scenario", "wards"], observed=True, sort=False)
    return [
        Standstill(str(scenario), str(wards), rows["since"].min(), rows["replication"].nunique(), replications)
        for (scenario, wards), rows in grouped
    ]


@dataclass(frozen=True)
class Alarm:
    """A threshold of early warning that was passed."""

    scenario: str
    grid: str
    what: str
    threshold: float
    months: float
    """Months in which it was, mean over the replications."""
    k: int
    """Replications with such a month."""
    n: int


def alarms(rows: Frame, span: Span, replications: int) -> list[Alarm]:
    """Alarms of measured months, one for each scenario, grid, kind and threshold."""
    days = pd.DatetimeIndex(pd.to_datetime(rows["date"]))
    measured = rows[(days >= pd.Timestamp(span.first)) & (days <= pd.Timestamp(span.last))]
    found = []
    for (scenario, grid, what, limit), some in measured.groupby(
        ["scenario", "grid", "alarm", "threshold"], observed=True, sort=False
    ):
        k, months = some["replication"].nunique(), len(some) / replications
        found.append(Alarm(str(scenario), str(grid), str(what), float(str(limit)), months, k, replications))
    return found


def overloads(tables: Mapping[str, Frame], growth: float, span: Span, replications: int) -> list[Overload]:
    """Everything that is not sustainable in most replications, loads first; the warm-up does not count."""
    loads = tables.get("loads")
    offered = () if loads is None else _too_much_offered("load", loads[~is_half(loads)], replications)
    return [*offered, *_growing(tables["backlog"], growth, span, replications)]


def overloaded_wards(tables: Mapping[str, Frame], replications: int) -> dict[tuple[str, str], float]:
    """Mean load of the wards that are offered more than they can do in most replications, by scenario and name
    (`facility/ward`)."""
    loads = tables.get("loads")
    if loads is None:
        return {}
    wards = loads[loads["resource"].astype(str).eq("ward")]
    each = wards.groupby(["scenario", "point", "replication"], observed=True, sort=False)["load"].max().reset_index()
    both = each.assign(over=each["load"] > 1).groupby(["scenario", "point"], observed=True, sort=False)
    told = both[["load", "over"]].agg({"load": "mean", "over": "sum"})
    over = told[2 * told["over"] > replications].reset_index()
    names = zip(over["scenario"].astype(str), over["point"].astype(str), strict=True)
    return dict(zip(names, over["load"].tolist(), strict=True))


def misfits(tables: Mapping[str, Frame], replications: int) -> list[Overload]:
    """Halves of quotas that are offered more than they can do in most replications, while the whole could do it."""
    loads = tables.get("loads")
    if loads is None:
        return []
    return list(_too_much_offered("half", _while_the_whole_would_do(loads[is_half(loads)]), replications))


def _while_the_whole_would_do(halves: Frame) -> Frame:
    """Halves with their loads; without, where the whole is too small whatever is held."""
    place = halves["point"].astype(str).str.replace(r" \(\w+\)$", "", regex=True)
    keys = [
        halves["scenario"],
        halves["replication"],
        halves["resource"].astype(str).str.replace(r"_\w+$", "", regex=True),
        place,
    ]
    whole = halves[["offered", "capacity"]].groupby(keys, observed=True).transform("sum")
    return halves.assign(load=halves["load"].where(whole["offered"] <= whole["capacity"]))


def _too_much_offered(kind: Literal["load", "half"], loads: Frame, n: int) -> Iterator[Overload]:
    """Places offered more than their capacity before anybody moves elsewhere: the busiest of a kind."""
    worst = loads.groupby([*PLACE, "replication"], observed=True, sort=False)["load"].max().reset_index()
    for (scenario, facility, resource), rows in worst.groupby(PLACE, observed=True, sort=False):
        k, mean = int((rows["load"] > 1).sum()), float(rows["load"].mean())
        if 2 * k > n:
            yield Overload(kind, str(scenario), str(facility), str(resource), 0.0, mean, k, n)


def _growing(backlog: Frame, growth: float, span: Span, n: int) -> Iterator[Overload]:
    """Backlogs that grew over the last twelve months, season against season."""
    last = pd.Timestamp(span.last.replace(day=1))
    a_year_before = last - pd.DateOffset(years=1)
    if a_year_before < pd.Timestamp(span.first.replace(day=1)):
        return
    both = _waiting(backlog, a_year_before, last)
    rise = both["after"] - both["before"]
    both["so"] = (rise > growth * both["before"]) & (rise >= LEAST_BACKLOG)
    for (scenario, facility, resource), rows in both.groupby(PLACE, observed=True, sort=False):
        k, before, after = int(rows["so"].sum()), rows["before"].sum() / n, rows["after"].sum() / n
        if 2 * k > n:
            yield Overload("backlog", str(scenario), str(facility), str(resource), float(before), float(after), k, n)


def _waiting(backlog: Frame, before: pd.Timestamp, after: pd.Timestamp) -> Frame:
    """Patients waiting at the end of two months, for each place and replication; the tables leave zeros out."""
    months = pd.DatetimeIndex(pd.to_datetime(backlog["month"]))
    keys = [*PLACE, "replication"]
    sums = [
        backlog[months == month].groupby(keys, observed=True)["waiting"].sum().rename(name)
        for name, month in (("before", before), ("after", after))
    ]
    return pd.concat(sums, axis=1).fillna(0).reset_index()
