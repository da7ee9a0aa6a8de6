"""The tables of a study, summed by period and scope: the one way in which indicators read them.

A scope says whose care counts. Two families are never mixed: scopes of people (`grid`, `in_area`: residents of the
area) and scopes of places (`area`, `group`, `tertiary_public`, ...: institutions, whoever comes).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from functools import cached_property
from typing import Literal

import pandas as pd

Frame = pd.DataFrame
Period = Literal["year", "month", "day"]

GRASSROOTS = ("village_station", "clinic", "centre", "sub_centre")
"""基层医疗卫生机构: the levels that count as grassroots institutions."""

HOSPITALS = ("secondary", "tertiary")
"""Levels whose institutions are shown one by one."""

LEVELS = (*GRASSROOTS, *HOSPITALS, "outside")
"""All levels, lowest first."""

RUN = ["scenario", "replication", "period"]
"""What every sum is kept apart by; together numbered as `run`."""

KEYS = ["run", "scope"]
"""What every tally is kept apart by."""

DIGITS: dict[Period, int] = {"year": 4, "month": 7, "day": 10}
"""How much of an ISO date names a period: 2024, 2024-06, 2024-06-30."""

PEOPLE: dict[str, Callable[[Frame], pd.Series[bool]]] = {
    "grid": lambda rows: rows["resident"],
    "in_area": lambda rows: rows["resident"] & rows["level"].ne("outside"),
    "area": lambda rows: rows["level"].ne("outside"),
    "group": lambda rows: rows["group"].ne(""),
}
"""Scopes of tables that tell residents from others, and the rows that each of them takes."""


@dataclass(frozen=True)
class Span:
    """The days that were measured, both included."""

    first: date
    last: date

    def days(self, period: str) -> int:
        """Measured days of a period named by the start of an ISO date."""
        start, end = _bounds(period)
        return max(0, (min(end, self.last) - max(start, self.first)).days + 1)

    def complete(self, period: str) -> bool:
        """Whether every day of the period was measured."""
        start, end = _bounds(period)
        return self.first <= start and end <= self.last


def _bounds(period: str) -> tuple[date, date]:
    whole = pd.Period(period)
    return whole.start_time.date(), whole.end_time.date()


def places(facilities: Frame) -> Frame:
    """Every scope that a facility belongs to, one row each: facility, scope."""
    level, inside = facilities["level"], facilities["inside"].astype(bool)
    scopes = {
        "tertiary_public": inside & level.eq("tertiary") & facilities["ownership"].eq("public"),
        "lead": facilities["role"].eq("lead"),
        "group": facilities["group"].fillna("").ne(""),
        "area": inside,
    }
    named = [pd.DataFrame({"facility": facilities["id"][taken], "scope": scope}) for scope, taken in scopes.items()]
    levels = pd.DataFrame({"facility": facilities["id"], "scope": level})
    hospitals = facilities["id"][level.isin(HOSPITALS) & inside]
    return pd.concat([*named, levels, pd.DataFrame({"facility": hospitals, "scope": hospitals})], ignore_index=True)


@dataclass(frozen=True)
class Ledger:
    """The tables of a study and the periods by which they are summed."""

    tables: Mapping[str, Frame]
    """Table name -> rows with scenario and replication, and a month or a date."""

    facilities: Frame
    """One row for each facility: id, level, role, group, ownership, inside."""

    periods: tuple[Period, ...] = ("year",)
    """By what the tables are summed; several at once are cheaper than one after the other."""

    residents: float | None = None
    """Permanent residents of the area; None where they are not known."""

    span: Span | None = None
    """The measured days; None where they are not known."""

    _kept: dict[tuple[str, ...], Frame] = field(default_factory=dict, repr=False)
    """Sums already made: many indicators start from the same ones, and the tables are long."""

    @cached_property
    def runs(self) -> Frame:
        """Every scenario, replication and measured period, in the order of the tables, numbered as `run`."""
        runs = self._dated("visits_daily", ["visits"], [])[RUN].drop_duplicates(ignore_index=True)
        return runs.assign(run=runs.index)

    @cached_property
    def scopes(self) -> pd.CategoricalDtype:
        """All scopes, in the order of tables."""
        named = [*PEOPLE, "tertiary_public", "lead", *LEVELS, *self._places["scope"]]
        return pd.CategoricalDtype(list(dict.fromkeys(named)))

    @cached_property
    def _places(self) -> Frame:
        return places(self.facilities).astype(str)

    def sums(self, table: str, values: Sequence[str], by: Sequence[str]) -> Frame:
        """Sums of some columns by run and further columns."""
        wanted = (table, *values, "by", *by)
        if wanted not in self._kept:
            numbered = self._dated(table, values, by).merge(self.runs, on=RUN)
            summed = numbered.groupby(["run", *by], observed=True, sort=False)[list(values)].sum()
            self._kept[wanted] = summed.reset_index()
        return self._kept[wanted].copy(deep=False)

    def _dated(self, table: str, values: Sequence[str], by: Sequence[str]) -> Frame:
        """Sums by date, with the period of each; summing first leaves few dates to be written as text."""
        rows = self.tables[table]
        when = "date" if "date" in rows else "month"
        dated = rows.groupby(["scenario", "replication", when, *by], observed=True, sort=False)[list(values)].sum()
        dated = dated.reset_index().astype({"scenario": str})
        days = {day: str(day)[:10] for day in dated[when].unique() if self._measured(str(day)[:10], when)}
        named = [
            dated.assign(period=dated[when].map({d: t[: DIGITS[p]] for d, t in days.items()})) for p in self.periods
        ]
        return pd.concat(named, ignore_index=True).dropna(subset="period")

    def _measured(self, day: str, when: str) -> bool:
        """Whether an ISO date lies after the warm-up; a month counts from its first day."""
        return self.span is None or day >= str(self.span.first if when == "date" else self.span.first.replace(day=1))

    def of_people(self, table: str, values: Sequence[str], by: Sequence[str] = ()) -> Frame:
        """Sums by level and scope of a table that tells residents from others."""
        rows = self.sums(table, values, ["resident", "level", "group", *by]).astype({"resident": bool})
        scoped = [rows[taken(rows)].assign(scope=scope) for scope, taken in PEOPLE.items()]
        return pd.concat(scoped, ignore_index=True).astype({"scope": self.scopes})

    def at_places(self, table: str, values: Sequence[str], by: Sequence[str] = ()) -> Frame:
        """Sums by scope of a table that tells facilities apart."""
        rows = self.sums(table, values, ["facility", *by]).astype({"facility": str})
        scoped = rows.merge(self._places, on="facility").astype({"scope": self.scopes})
        return scoped.groupby([*KEYS, *by], observed=True, sort=False)[list(values)].sum().reset_index()

    def per_residents(self, rows: Frame, values: Sequence[str]) -> Frame:
        """Sums over residents wherever they go, beside resident-years (empty where residents are not known)."""
        mine = rows[rows["scope"].eq("grid")].groupby(KEYS, observed=True)[list(values)].sum().reset_index()
        return mine.merge(self.runs[["run"]].assign(resident_years=self._resident_years()), on="run")

    def _resident_years(self) -> pd.Series[float]:
        """Residents times the measured part of the year, for each run."""
        if self.residents is None or self.span is None:
            return pd.Series(float("nan"), index=self.runs.index)
        periods = self.runs["period"]
        years = {p: self.residents * self.span.days(p) / Span(*_bounds(p[:4])).days(p[:4]) for p in periods.unique()}
        return periods.map(years).astype(float)


def tally(rows: Frame, variant: str | pd.Series[str], top: str, bottom: str | None = None) -> Frame:
    """What rows add to one variant, or each to its own: to its numerator and, for a ratio, to its denominator."""
    return rows[KEYS].assign(
        variant=variant,
        numerator=rows[top].astype(float),
        denominator=rows[bottom].astype(float) if bottom else float("nan"),
    )


def ninetieth(rows: Frame, variant: str | pd.Series[str], bin_column: str, number: str) -> Frame:
    """The smallest bin with at least nine tenths of all patients at or below it, by run, scope and variant; exact for
    counts.
    """
    keys = [*KEYS, "variant"]
    bins = rows.assign(variant=variant).groupby([*keys, bin_column], observed=True)[number].sum().reset_index()
    grouped = bins.groupby(keys, observed=True)[number]
    bins["below"], bins["denominator"] = grouped.cumsum(), grouped.transform("sum").astype(float)
    reached = bins[(10 * bins["below"] >= 9 * bins["denominator"]) & bins["denominator"].gt(0)]
    first = reached.drop_duplicates(keys).rename(columns={bin_column: "value"})
    return first[[*keys, "value", "denominator"]]
