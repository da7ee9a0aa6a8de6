"""Who falls ill, with what, when.

Needs are exogenous: for each stratum and condition a non-homogeneous Poisson process, drawn ahead in chunks of 28 days
by inversion of one number per chunk, so a rate that rises adds needs and never renumbers those there were. Each need
falls on a resident of its stratum by a number of its own. Long-term patients are persistent people with a follow-up
interval.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, fields
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, model_validator

from sim import care, contacts, streams
from sim.citation import Figure, Figures
from sim.contacts import CONTACT, FOLLOW_UP, OTHER, Rows
from sim.kernels import kernel, table
from sim.network import Network
from sim.population import AGES, Population
from sim.schema import Closed, Name
from sim.streams import Floats, Keys, Purpose
from sim.timetable import DAY, Timetable

CHUNK = 28
"""Days drawn ahead at a time."""
WEEK, WEEK_HOURS = 7 * DAY, 7 * 24
LAYERS = 1 << 20
"""Where chunks of further needs are counted from: no run is so long."""
CELL = ("rate", "first", "size", "key", "condition", "profile", "facility")
"""Columns of the cells in which episodes arise."""


class NeedSpec(Closed):
    """How often a condition arises."""

    profile: Name
    """Weekly profile of needs (timetable)."""
    incidence: Figures | None = None
    """New episodes per 1,000 residents and year, by age band (0-14, 15-59, 60+)."""
    prevalence: Figures | None = None
    """Long-term patients under follow-up per 1,000 residents, by age band."""
    interval_days: Figure | None = None
    """Days between the follow-up visits of a long-term patient."""

    @model_validator(mode="after")
    def _one_kind(self) -> NeedSpec:
        long_term = (self.prevalence is not None, self.interval_days is not None)
        if (self.incidence is None) == (self.prevalence is None) or len(set(long_term)) != 1:
            raise ValueError("a need has either an incidence, or a prevalence with interval_days")
        figures = self.incidence or self.prevalence
        assert figures is not None
        if len(figures.value) != len(AGES) or min(figures.value) < 0:
            rule = "incidence and prevalence are three numbers, one per age band, none negative"
            raise ValueError(f"{rule}; found {figures.value}")
        return self


class InflowSpec(Closed):
    """Non-residents who come to a named hospital."""

    per_year: Figure
    """First contacts a year."""
    conditions: dict[Name, float] = Field(min_length=1)
    """Their conditions and relative frequencies."""


class DemandSpec(Closed):
    """Needs of residents, and inflow."""

    needs: dict[Name, NeedSpec] = Field(min_length=1)
    """By condition."""
    inflow: dict[Name, InflowSpec] = Field(default_factory=dict)
    """By facility id."""


def expected_rates(spec: DemandSpec, conditions: list[str]) -> Floats:
    """Needs per resident and year by condition and age band, shape (conditions, ages)."""
    rates = []
    for name in conditions:
        need = spec.needs[name]
        if need.incidence is not None:
            rates.append(np.asarray(need.incidence.value) / 1000.0)
        else:
            assert need.prevalence is not None
            assert need.interval_days is not None
            rates.append(np.asarray(need.prevalence.value) / 1000.0 * 365.0 / need.interval_days.value)
    return np.array(rates)


def _rows(cells: dict[str, list[Any]]) -> NDArray[Any]:
    types = {"rate": np.float64, "key": np.uint64}
    return table(**{name: np.array(column, dtype=types.get(name, np.int64)) for name, column in cells.items()})


@dataclass
class Panel:
    """Long-term patients of one replication, as columns."""

    person: NDArray[np.int32]
    condition: NDArray[np.uint8]
    key: Keys
    phase: Floats
    """Minute of the first follow-up."""
    interval: Floats
    """Minutes between follow-ups."""
    usual: NDArray[np.int32]
    """Usual service point, -1 = to be chosen."""
    chosen_in: NDArray[np.int16]
    """Year of the run in which the usual place was last chosen, -1 = never."""


def join_panels(panels: list[Panel]) -> Panel:
    """The long-term patients of several replications, one after the other."""
    columns = (np.concatenate([getattr(p, f.name) for p in panels]) for f in fields(Panel))
    return Panel(*columns)


class Demand:
    """The needs of one replication."""

    def __init__(
        self,
        spec: DemandSpec,
        population: Population,
        area_factor: Floats,
        timetable: Timetable,
        network: Network,
        seed: int,
        replication: int,
    ) -> None:
        self.spec, self.population, self.timetable, self.network = spec, population, timetable, network
        self.luck = (seed, replication)
        self.profiles = sorted(timetable.spec.profiles)
        self.profile_of = np.array([self.profiles.index(spec.needs[c].profile) for c in network.conditions])
        """Weekly profile of each condition."""
        acute = [c for c in network.conditions if spec.needs[c].incidence is not None]
        self.cells = self._cells(acute, area_factor)
        self.inflow = self._inflow()
        self.panel = self._panel([c for c in network.conditions if spec.needs[c].prevalence is not None], area_factor)

    def _cells(self, acute: list[str], area_factor: Floats) -> NDArray[Any]:
        """One cell per (area, age band, condition): yearly rate, key, condition, profile, first resident, residents."""
        out: dict[str, list[Any]] = {name: [] for name in CELL}
        for a, area in enumerate(self.network.areas):
            for g, age in enumerate(AGES):
                size = int(self.population.counts[a, g])
                for c in acute:
                    need = self.spec.needs[c]
                    assert need.incidence is not None
                    out["rate"].append(need.incidence.value[g] / 1000.0 * size * area_factor[a])
                    out["first"].append(self.population.first[a, g])
                    out["size"].append(size)
                    out["key"].append(streams.key(*self.luck, "need", area, age, c))
                    out["condition"].append(self.network.conditions.index(c))
                    out["profile"].append(self.profiles.index(need.profile))
                    out["facility"].append(-1)
        return _rows(out)

    def _inflow(self) -> NDArray[Any]:
        """The same for those who come from elsewhere to a facility: cells without residents."""
        out: dict[str, list[Any]] = {name: [] for name in CELL}
        for facility in sorted(self.spec.inflow):
            flow = self.spec.inflow[facility]
            for c in sorted(flow.conditions):
                out["rate"].append(flow.per_year.value * flow.conditions[c] / sum(flow.conditions.values()))
                out["first"].append(-1)
                out["size"].append(0)
                out["key"].append(streams.key(*self.luck, "inflow", facility, c))
                out["condition"].append(self.network.conditions.index(c))
                out["profile"].append(self.profiles.index(self.spec.needs[c].profile))
                out["facility"].append(self.network.facility_index(facility))
        return _rows(out)

    def _panel(self, chronic: list[str], area_factor: Floats) -> Panel:
        people, condition, interval = [], [], []
        pop = self.population
        for c in chronic:
            need = self.spec.needs[c]
            assert need.prevalence is not None
            assert need.interval_days is not None
            share = np.asarray(need.prevalence.value)[pop.age] / 1000.0 * area_factor[pop.area]
            name = int(streams.key("long-term", c) >> np.uint64(40))
            has = np.flatnonzero(streams.uniform(pop.key, Purpose.CONDITION, name) < share)
            people.append(has)
            condition.append(np.full(len(has), self.network.conditions.index(c)))
            interval.append(np.full(len(has), need.interval_days.value * DAY))
        person = np.concatenate([*people, np.empty(0, dtype=np.int64)]).astype(np.int32)
        which = np.concatenate([*condition, np.empty(0, dtype=np.int64)]).astype(np.uint8)
        gap = np.concatenate([*interval, np.empty(0)])
        names = np.array([streams.key(*self.luck, "follow-up", c) for c in self.network.conditions], dtype=np.uint64)
        key = streams.child(pop.key[person] ^ names[which], 0)
        phase = streams.uniform(key, Purpose.PHASE) * gap
        usual, chosen_in = np.full(len(person), -1, np.int32), np.full(len(person), -1, np.int16)
        return Panel(person, which, key, phase, gap, usual, chosen_in)

    @cached_property
    def patients(self) -> NDArray[Any]:
        """The long-term patients as rows."""
        return table(**vars(self.panel))

    def chunk(
        self, number: int, world: int = 0, first_panel: int = 0, surge: Floats | None = None
    ) -> Rows:  # fmt: skip
        """All needs of 28 days, unsorted: key, time, person, condition, origin (facility of an inflow), panel.

        `world`: the replication's place in its batch; `first_panel`: the number of its first long-term patient there;
        `surge`: how many times as many first needs arise, by day and condition, shape (28, C); None: neither more nor
        less.
        """
        first_day = number * CHUNK
        weights = [self.timetable.weights(self.timetable.spec.profiles[p], first_day, CHUNK) for p in self.profiles]
        passed = np.array([passed_of(w.ravel()) for w in weights])
        acute = [self._surging(cells, number, passed, world, surge) for cells in (self.cells, self.inflow)]
        return contacts.join([*acute, self._follow_ups(first_day * DAY, passed, world, first_panel)])

    def _surging(
        self, cells: NDArray[Any], number: int, passed: NDArray[Any], world: int, surge: Floats | None
    ) -> Rows:  # fmt: skip
        """Episodes by layers as large as the usual needs, of which the first are these: a need of layer n is one where
        n and a number of its own are together less than the factor of its day. So a larger factor only ever adds, and
        1 leaves exactly those there were."""
        if surge is None:
            return self._episodes(cells, number, passed, world)
        most, start = surge.max(axis=0)[cells["condition"]], number * CHUNK * DAY
        found = [contacts.empty(0)]
        for layer in range(math.ceil(most.max(initial=0.0))):
            rows = self._episodes(cells[most > layer], number, passed, world, layer)
            day = np.clip((rows["time"] - start) // DAY, 0, CHUNK - 1).astype(np.int64)
            luck = streams.uniform(np.ascontiguousarray(rows["key"]), Purpose.SURGE)
            found.append(rows[layer + luck < surge[day, rows["condition"]]])
        return contacts.join(found)

    def _episodes(
        self, cells: NDArray[Any], number: int, passed: NDArray[Any], world: int, layer: int = 0
    ) -> Rows:  # fmt: skip
        """Poisson numbers by inversion of one number per cell, then each episode by numbers of its own."""
        first = streams.child(cells["key"], LAYERS + layer) if layer else cells["key"]
        key = streams.child(first, number)
        mass = passed["weight"][cells["profile"], -1]
        count = _poisson(streams.uniform(key, Purpose.TIME), cells["rate"] * mass / 365.0)
        rows = np.zeros(int(count.sum()), dtype=CONTACT)
        _write_episodes(rows, world, cells, count, key, passed, number * CHUNK * DAY)
        return rows

    def _follow_ups(self, start: float, passed: NDArray[Any], world: int, first_panel: int) -> Rows:
        """Follow-ups due in these days: the interval decides the week, the weekly profile the day and minute."""
        first, number = np.empty((2, len(self.patients)), dtype=np.int64)
        _count_follow_ups(self.patients, start, first, number)
        rows = np.zeros(int(number.sum()), dtype=CONTACT)
        _write_follow_ups(rows, world, first_panel, self.patients, first, number, self.profile_of, passed, start)
        return rows


@kernel
def _blank(who: Any, world: int) -> None:
    """Nothing is known yet but the replication."""
    who["world"], who["cls"] = world, OTHER
    who["person"] = who["point"] = who["origin"] = who["panel"] = -1


@kernel
def _write_episodes(
    rows: Rows, world: int, cells: Any, count: Any, keys: Any, passed: NDArray[Any], start: float
) -> None:
    """`count` episodes of each cell, whose key for these days is in `keys`."""
    n = 0
    for c in range(len(cells)):
        cell = cells[c]
        for nth in range(count[c]):
            who, n = rows[n], n + 1
            key = streams.child_of(keys[c], nth)
            _blank(who, world)
            who["key"] = key
            who["time"] = start + moment_of(passed[cell["profile"]], streams.uniform_of(key, Purpose.TIME, 0))
            who["condition"], who["origin"] = cell["condition"], cell["facility"]
            who["person"] = cell["first"] + int(streams.uniform_of(key, Purpose.PERSON, 0) * cell["size"])


@kernel
def _count_follow_ups(patients: Any, start: float, first: Any, number: Any) -> None:
    """Fill in each patient's first follow-up of these days, and how many there are."""
    for p in range(len(patients)):
        phase, interval = patients[p]["phase"], patients[p]["interval"]
        first[p] = max(math.ceil((start - phase) / interval), 0)
        number[p] = max(math.ceil((start + CHUNK * DAY - phase) / interval), 0) - first[p]


@kernel
def _write_follow_ups(
    rows: Rows, world: int, first_panel: int, patients: Any, first: Any, number: Any, profile_of: Any, passed: Any,
    start: float,
) -> None:  # fmt: skip
    """The follow-ups of each patient from the `first` on, so many in `number`."""
    n = 0
    for p in range(len(patients)):
        patient = patients[p]
        for nth in range(first[p], first[p] + number[p]):
            who, n = rows[n], n + 1
            key = streams.child_of(patient["key"], nth)
            due = patient["phase"] + nth * patient["interval"]
            week = min(max(int((due - start) // WEEK), 0), CHUNK // 7 - 1)
            hours = passed[profile_of[int(patient["condition"])]]
            before, after = hours[week * WEEK_HOURS]["weight"], hours[(week + 1) * WEEK_HOURS]["weight"]
            share = (before + streams.uniform_of(key, Purpose.TIME, 0) * (after - before)) / hours[-1]["weight"]
            _blank(who, world)
            who["key"], who["time"] = key, start + moment_of(hours, share)
            who["person"], who["condition"] = patient["person"], patient["condition"]
            who["panel"], who["chronic"], who["nth"] = first_panel + p, FOLLOW_UP, nth


def passed_of(weights: Floats) -> NDArray[Any]:
    """Sums of hourly weights from 0, and for even shares of their total the hour in which each passes; (hours + 1,)."""
    hours = np.concatenate([[0.0], np.cumsum(weights)])
    even = np.arange(len(hours)) / len(hours) * hours[-1]
    return table(weight=hours, hour_of=np.searchsorted(hours, even, side="right") - 1)


@kernel
def moment_of(passed: Any, share: float) -> float:
    """Minute at which a share of the hourly weights has passed (`passed_of`); uniform inside an hour."""
    last = len(passed) - 2
    hour = min(passed[min(int(share * len(passed)), last)]["hour_of"], last)
    mass = share * passed[last + 1]["weight"]
    while hour < last and passed[hour + 1]["weight"] <= mass:
        hour += 1
    before = passed[hour]["weight"]
    width = passed[hour + 1]["weight"] - before
    return (hour + (mass - before) / width if width > 0 else hour) * 60.0


def _poisson(u: Floats, mean: Floats) -> NDArray[np.int64]:
    """Quantiles: the smallest k with P(N <= k) >= u. (`scipy.stats.poisson.ppf`, a second's import less)"""
    from scipy.special import pdtr, pdtrik  # a third of a second, for those who simulate

    k = np.ceil(pdtrik(u, mean))
    below = np.maximum(k - 1, 0)
    return np.asarray(np.where(pdtr(below, mean) >= u, below, k).astype(np.int64))


@kernel
def falls_away(patient: np.uint64, nth: int, long_prescription: float) -> bool:
    """Whether a follow-up is not needed: with a long prescription (M34) every second one is not."""
    return nth % 2 == 1 and streams.uniform_of(patient, Purpose.LONG_PRESCRIPTION, 0) < long_prescription


@kernel
def is_enrolled(patient: np.uint64, care_centre: float) -> bool:
    """Whether a long-term patient is enrolled at a chronic-care centre (M38)."""
    return streams.uniform_of(patient, Purpose.CARE_CENTRE, 0) < care_centre


@kernel
def is_online(patient: np.uint64, nth: int, internet: float) -> bool:
    """Whether a long-term patient's nth follow-up is made on the internet where that is possible (M11)."""
    return streams.uniform_of(patient, Purpose.INTERNET, nth) < internet


@kernel
def settle_truth(rows: Rows, conditions: Any) -> None:
    """Write into each new need what is true of the episode (`conditions`: of care.CareTables)."""
    for i in range(len(rows)):
        who = rows[i]
        who["need"], who["admit"] = care.truth(
            conditions[int(who["world"]), int(who["condition"])], who["key"], who["person"] >= 0
        )
