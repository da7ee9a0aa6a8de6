"""The tables of a study, summed by period and scope: the one way in which indicators read them.

A scope says whose care counts. Two families are never mixed: scopes of people (`grid`, `in_area`: residents of the
area) and scopes of places (`area`, `group`, `tertiary_public`, ...: institutions, whoever comes).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from functools import cached_property
from typing import Any, Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

Ints = NDArray[np.int64]

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

SIMULATED = ["scenario", "replication"]
"""What every table is kept apart by, beside its dates."""

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

    def months(self) -> int:
        """Months with a measured last day."""
        ends = pd.period_range(self.first, self.last, freq="M")
        return sum(month.end_time.date() <= self.last for month in ends)

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


# ---------------------------------------------------------------------------------------------------------------- cells


@dataclass(frozen=True)
class Column:
    """A column as numbers, and what each number stands for."""

    numbers: Ints
    meaning: pd.CategoricalDtype | pd.Index[Any]

    @classmethod
    def of(cls, column: pd.Series[Any]) -> Column:
        """Categories keep their numbers; other values are numbered as they come."""
        if isinstance(column.dtype, pd.CategoricalDtype):
            return cls(column.cat.codes.to_numpy().astype(np.int64), column.dtype)
        numbers, meaning = pd.factorize(column)
        return cls(numbers.astype(np.int64), pd.Index(meaning))

    @classmethod
    def among(cls, column: pd.Series[Any], meaning: pd.CategoricalDtype) -> Column:
        """Values that are all among some categories, numbered as those are."""
        numbers, found = pd.factorize(column)
        return cls(meaning.categories.get_indexer(pd.Index(list(found)))[numbers], meaning)

    def __len__(self) -> int:
        """How many things there are to stand for."""
        return len(self.things)

    @property
    def things(self) -> pd.Index[Any]:
        """What the numbers stand for, in order."""
        return self.meaning.categories if isinstance(self.meaning, pd.CategoricalDtype) else self.meaning

    def at(self, rows: Ints) -> Column:
        """The same column of some rows."""
        return Column(self.numbers[rows], self.meaning)

    def written(self) -> Any:
        """The column as it was."""
        if isinstance(self.meaning, pd.CategoricalDtype):
            return pd.Categorical.from_codes(self.numbers, dtype=self.meaning)
        return self.meaning.take(self.numbers)


@dataclass(frozen=True)
class Cells:
    """Numbers, and by what they are kept apart: one key is worked out for each row, so that adding up is one stroke."""

    by: dict[str, Column]
    values: Frame

    def added(self) -> Cells:
        """One cell for all rows that agree in everything, in the order in which they come."""
        # An empty value stays empty: it tells a count from a ratio of an empty group.
        sums = self.values.groupby(self.place(*self.by), sort=False).sum(min_count=1)
        found = np.unravel_index(sums.index.to_numpy(np.int64), self.shape(*self.by))
        by = {name: Column(n, c.meaning) for (name, c), n in zip(self.by.items(), found, strict=True)}
        return Cells(by, sums.reset_index(drop=True))

    def place(self, *names: str) -> Ints:
        """Each row's place among all that some columns could say together."""
        return np.ravel_multi_index([self.by[name].numbers for name in names], self.shape(*names))

    def shape(self, *names: str) -> tuple[int, ...]:
        """How many things each column may say."""
        return tuple(max(1, len(self.by[name])) for name in names)

    def size(self, *names: str) -> int:
        """How many places there are."""
        return int(np.prod(self.shape(*names)))

    def at(self, rows: Ints, **further: Column) -> Cells:
        """The cells of some rows, kept apart by something further, which comes first."""
        by = further | {name: column.at(rows) for name, column in self.by.items()}
        return Cells(by, self.values.take(rows))

    def without(self, *names: str) -> Cells:
        """Kept apart by less."""
        return Cells({name: column for name, column in self.by.items() if name not in names}, self.values)

    def frame(self) -> Frame:
        """A plain table."""
        columns = {name: column.written() for name, column in self.by.items()}
        return pd.DataFrame(columns | {name: self.values[name].to_numpy() for name in self.values})


# --------------------------------------------------------------------------------------------------------------- ledger


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

    _columns: dict[tuple[str, str], Column] = field(default_factory=dict, repr=False)
    """Columns of tables already numbered."""

    _runs_of: dict[str, dict[Period, Ints]] = field(default_factory=dict, repr=False)
    """For each table and period the number of the run, by scenario, replication and date; -1 where none is measured."""

    @cached_property
    def runs(self) -> Frame:
        """Every scenario, replication and measured period, in the order of the tables, numbered as `run`."""
        runs = pd.concat(self._periods_of("visits_daily").values())[RUN].drop_duplicates(ignore_index=True)
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
        return self._once("sums", table, values, by, lambda: self._by_run(table, values, by).frame())

    def of_people(self, table: str, values: Sequence[str], by: Sequence[str] = ()) -> Frame:
        """Sums by level and scope of a table that tells residents from others."""
        return self._once("of_people", table, values, by, lambda: self._of_people(table, values, by))

    def at_places(self, table: str, values: Sequence[str], by: Sequence[str] = ()) -> Frame:
        """Sums by scope of a table that tells facilities apart."""
        return self._once("at_places", table, values, by, lambda: self._at_places(table, values, by))

    def _once(self, how: str, table: str, values: Sequence[str], by: Sequence[str], make: Callable[[], Frame]) -> Frame:
        wanted = (how, table, *values, "by", *by)
        if wanted not in self._kept:
            self._kept[wanted] = make()
        return self._kept[wanted].copy(deep=False)

    def _of_people(self, table: str, values: Sequence[str], by: Sequence[str]) -> Frame:
        rows = self.sums(table, values, ["resident", "level", "group", *by]).astype({"resident": bool})
        taken = [np.flatnonzero(of(rows)) for of in PEOPLE.values()]
        scope = np.repeat(self.scopes.categories.get_indexer(pd.Index(list(PEOPLE))), [len(rows) for rows in taken])
        scoped = rows.take(np.concatenate(taken)).reset_index(drop=True)
        return scoped.assign(scope=pd.Categorical.from_codes(scope, dtype=self.scopes))

    def _at_places(self, table: str, values: Sequence[str], by: Sequence[str]) -> Frame:
        cells = self._by_run(table, values, ["facility", *by])
        scopes = self._scopes_of(cells.by["facility"].things)[cells.by["facility"].numbers]
        rows, nth = np.nonzero(scopes >= 0)
        return cells.at(rows, scope=Column(scopes[rows, nth], self.scopes)).without("facility").added().frame()

    def _scopes_of(self, facilities: pd.Index[Any]) -> Ints:
        """The scopes that each facility belongs to as numbers, one row each, filled up with -1."""
        found = [self._numbered_scopes.get(str(name), []) for name in facilities]
        most = max(map(len, found), default=0)
        return np.array([row + [-1] * (most - len(row)) for row in found], dtype=np.int64).reshape(len(found), most)

    @cached_property
    def _numbered_scopes(self) -> dict[str, list[int]]:
        numbers = self.scopes.categories.get_indexer(pd.Index(self._places["scope"])).tolist()
        found: dict[str, list[int]] = {}
        for facility, number in zip(self._places["facility"], numbers, strict=True):
            found.setdefault(facility, []).append(number)
        return found

    # By date first, then by run: a year is the sum of its months, and few dates are left to be told apart.

    def _by_run(self, table: str, values: Sequence[str], by: Sequence[str]) -> Cells:
        """Sums by run and further columns."""
        rows, when = self.tables[table], self._when(table)
        columns = {name: self._column(table, name) for name in (*SIMULATED, when, *by)}
        dated = Cells(columns, rows[list(values)]).added()
        runs = [run[dated.place(*SIMULATED, when)] for run in self._numbered_runs(table).values()]
        taken = [np.flatnonzero(run >= 0) for run in runs]
        run = np.concatenate([run[rows] for run, rows in zip(runs, taken, strict=True)])
        numbered = dated.without(*SIMULATED, when).at(np.concatenate(taken), run=Column(run, self.runs.index))
        return numbered.added()

    def _when(self, table: str) -> str:
        return "date" if "date" in self.tables[table] else "month"

    def _column(self, table: str, name: str) -> Column:
        if (table, name) not in self._columns:
            self._columns[table, name] = Column.of(self.tables[table][name])
        return self._columns[table, name]

    def _numbered_runs(self, table: str) -> dict[Period, Ints]:
        if table not in self._runs_of:
            self._runs_of[table] = {p: self._numbered(rows, table) for p, rows in self._periods_of(table).items()}
        return self._runs_of[table]

    def _numbered(self, rows: Frame, table: str) -> Ints:
        dates = self._dates(table)
        runs = np.full(dates.size(*dates.by), -1)
        numbered = rows.merge(self.runs, on=RUN)
        runs[numbered["place"]] = numbered["run"]
        return runs

    def _dates(self, table: str) -> Cells:
        """The scenario, replication and date of every row."""
        return Cells({name: self._column(table, name) for name in (*SIMULATED, self._when(table))}, Frame())

    def _periods_of(self, table: str) -> dict[Period, Frame]:
        """The scenario, replication and period of each date of each replication, and its place among all of them."""
        dates, when = self._dates(table), self._when(table)
        places = pd.unique(dates.place(*dates.by))
        scenario, replication, day = np.unravel_index(places, dates.shape(*dates.by))
        days = pd.Series([str(day)[:10] for day in dates.by[when].things], dtype=str)
        days = days.where(days.map(lambda day: self._measured(day, when)).astype(bool))
        rows = pd.DataFrame(
            {
                "scenario": dates.by["scenario"].things.astype(str).take(scenario),
                "replication": dates.by["replication"].things.take(replication),
                "place": places,
            }
        )
        periods = [period for period in self.periods if period != "day" or when == "date"]
        return {p: rows.assign(period=days.str[: DIGITS[p]].array[day]).dropna(subset="period") for p in periods}

    def _measured(self, day: str, when: str) -> bool:
        """Whether an ISO date lies after the warm-up; a month counts from its first day."""
        return self.span is None or day >= str(self.span.first if when == "date" else self.span.first.replace(day=1))

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


def tally(rows: Frame, variant: str | pd.Series[Any], top: str, bottom: str | None = None) -> Frame:
    """What rows add to one variant, or each to its own: to its numerator and, for a ratio, to its denominator."""
    return pd.DataFrame(
        {
            "run": rows["run"],
            "scope": rows["scope"],
            "variant": in_each(rows, variant) if isinstance(variant, str) else variant.astype(object),
            "numerator": rows[top].astype(float),
            "denominator": rows[bottom].astype(float) if bottom else float("nan"),
        }
    )


def ninetieth(rows: Frame, variant: str | pd.Series[Any], bin_column: str, number: str) -> Frame:
    """The smallest bin with at least nine tenths of all patients at or below it, by run, scope and variant; exact for
    counts.
    """
    keys = [*KEYS, "variant"]
    named = rows.assign(variant=in_each(rows, variant) if isinstance(variant, str) else variant)
    bins = named.groupby([*keys, bin_column], observed=True)[number].sum().reset_index()
    grouped = bins.groupby(keys, observed=True)[number]
    bins["below"], bins["denominator"] = grouped.cumsum(), grouped.transform("sum").astype(float)
    reached = bins[(10 * bins["below"] >= 9 * bins["denominator"]) & bins["denominator"].gt(0)]
    first = reached.drop_duplicates(keys).rename(columns={bin_column: "value"}).astype({"variant": object})
    return first[[*keys, "value", "denominator"]]


def in_each(rows: Frame, word: str) -> pd.Series[Any]:
    """The same word for every row (as plain objects: put together faster than texts and than other categories)."""
    return pd.Series(word, index=rows.index, dtype=object)
