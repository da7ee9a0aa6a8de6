"""Who falls ill, with what, when.

Needs are exogenous: for each stratum and condition a non-homogeneous Poisson process, drawn ahead in chunks of 28 days
by inversion of one number per chunk, so a rate that rises adds needs and never renumbers those there were. Each need
falls on a resident of its stratum by a number of its own. Long-term patients are persistent people with a follow-up
interval.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, model_validator
from scipy.special import pdtr, pdtrik

from sim import care, contacts, streams
from sim.care import Care
from sim.citation import Figure, Figures
from sim.contacts import Rows
from sim.network import Network
from sim.population import AGES, Population
from sim.schema import Closed, Name
from sim.streams import Floats, Keys, Purpose
from sim.timetable import DAY, Timetable

CHUNK = 28
"""Days drawn ahead at a time."""


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

    def _cells(self, acute: list[str], area_factor: Floats) -> dict[str, NDArray[Any]]:
        """One cell per (area, age band, condition): yearly rate, first resident, residents, key."""
        out: dict[str, list[Any]] = {name: [] for name in ("rate", "first", "size", "key", "condition", "profile")}
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
        return {name: np.array(column) for name, column in out.items()}

    def _inflow(self) -> dict[str, NDArray[Any]]:
        out: dict[str, list[Any]] = {name: [] for name in ("rate", "key", "condition", "profile", "facility")}
        for facility in sorted(self.spec.inflow):
            flow = self.spec.inflow[facility]
            for c in sorted(flow.conditions):
                out["rate"].append(flow.per_year.value * flow.conditions[c] / sum(flow.conditions.values()))
                out["key"].append(streams.key(*self.luck, "inflow", facility, c))
                out["condition"].append(self.network.conditions.index(c))
                out["profile"].append(self.profiles.index(self.spec.needs[c].profile))
                out["facility"].append(self.network.facility_index(facility))
        return {name: np.array(column) for name, column in out.items()}

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

    def chunk(self, number: int) -> Rows:
        """All needs of 28 days, unsorted: key, time, person, condition, origin (facility of an inflow), panel."""
        first_day = number * CHUNK
        weights = [self.timetable.weights(self.timetable.spec.profiles[p], first_day, CHUNK) for p in self.profiles]
        acute = [self._episodes(number, first_day, weights), self._visitors(number, first_day, weights)]
        return contacts.join([*acute, self._follow_ups(first_day, weights)])

    def _episodes(self, number: int, first_day: int, weights: list[Floats]) -> Rows:
        cells = self.cells
        owner, key = _arrivals(cells["rate"], cells["key"], cells["profile"], number, weights)
        rows = contacts.empty(len(key))
        rows["key"] = key
        rows["time"] = _times(key, cells["profile"][owner], weights) + first_day * DAY
        rows["condition"] = cells["condition"][owner]
        nth = (streams.uniform(key, Purpose.PERSON) * cells["size"][owner]).astype(np.int64)
        rows["person"] = cells["first"][owner] + nth
        return rows

    def _visitors(self, number: int, first_day: int, weights: list[Floats]) -> Rows:
        flow = self.inflow
        if not len(flow["rate"]):
            return contacts.empty(0)
        owner, key = _arrivals(flow["rate"], flow["key"], flow["profile"], number, weights)
        rows = contacts.empty(len(key))
        rows["key"] = key
        rows["time"] = _times(key, flow["profile"][owner], weights) + first_day * DAY
        rows["condition"] = flow["condition"][owner]
        rows["origin"] = flow["facility"][owner]
        return rows

    def _follow_ups(self, first_day: int, weights: list[Floats]) -> Rows:
        """Follow-ups due in these days: the interval decides the week, the weekly profile the day and minute."""
        panel = self.panel
        if not len(panel.person):
            return contacts.empty(0)
        start, end = first_day * DAY, (first_day + CHUNK) * DAY
        number = np.maximum(np.ceil((start - panel.phase) / panel.interval), 0.0)
        parts: list[Rows] = []
        while True:
            due = panel.phase + number * panel.interval
            here = np.flatnonzero(due < end)
            if not len(here):
                return contacts.join(parts)
            parts.append(self._visits_of(here, due[here], number[here].astype(np.int64), first_day, weights))
            number = number + 1

    def _visits_of(
        self, who: NDArray[np.int64], due: Floats, ordinal: NDArray[np.int64], first_day: int, weights: list[Floats]
    ) -> Rows:
        panel = self.panel
        rows = contacts.empty(len(who))
        rows["key"] = streams.child(panel.key[who], ordinal)
        rows["condition"] = panel.condition[who]
        rows["person"] = panel.person[who]
        rows["panel"] = who
        rows["chronic"] = 1
        week = ((due - first_day * DAY) // (7 * DAY)).astype(np.int64)
        profile = self.profile_of[rows["condition"]]
        u = streams.uniform(rows["key"], Purpose.TIME)
        time = np.empty(len(who))
        for p, table in enumerate(weights):
            pick = np.flatnonzero(profile == p)
            by_week = np.concatenate([[0.0], np.cumsum(table.reshape(-1, 7 * 24).sum(axis=1))])
            mass = by_week[week[pick]] + u[pick] * np.diff(by_week)[week[pick]]
            time[pick] = first_day * DAY + _inverse(table.ravel(), mass / by_week[-1])
        rows["time"] = time
        return rows


def _arrivals(
    rate: Floats, key: Keys, profile: NDArray[np.int64], number: int, weights: list[Floats]
) -> tuple[NDArray[np.int64], Keys]:
    """Poisson numbers of a chunk by inversion: owner cell and key of each arrival."""
    mass = np.array([w.sum() for w in weights])[profile]
    chunk_key = streams.child(key, number)
    count = _poisson(streams.uniform(chunk_key, Purpose.TIME), rate * mass / 365.0)
    owner = np.repeat(np.arange(len(rate)), count)
    ordinal = np.arange(len(owner)) - np.repeat(np.cumsum(count) - count, count)
    return owner, streams.child(chunk_key[owner], ordinal)


def _poisson(u: Floats, mean: Floats) -> NDArray[np.int64]:
    """Quantiles: the smallest k with P(N <= k) >= u. (`scipy.stats.poisson.ppf`, a second's import less)"""
    k = np.ceil(pdtrik(u, mean))
    below = np.maximum(k - 1, 0)
    return np.asarray(np.where(pdtr(below, mean) >= u, below, k).astype(np.int64))


def _times(key: Keys, profile: NDArray[np.int64], weights: list[Floats]) -> Floats:
    """Minutes from the start of the chunk, by inversion of the profile."""
    u = streams.uniform(key, Purpose.TIME)
    time = np.empty(len(key))
    for p, table in enumerate(weights):
        pick = profile == p
        time[pick] = _inverse(table.ravel(), u[pick])
    return time


def _inverse(hourly: Floats, u: Floats) -> Floats:
    """Minutes at which a share u of the hourly weights has passed; uniform inside an hour."""
    edges = np.concatenate([[0.0], np.cumsum(hourly)])
    return np.asarray(np.interp(u * edges[-1], edges, np.arange(len(edges)) * 60.0))


def settle_truth(rows: Rows, care_figures: Care) -> None:
    """Write into each new need what is true of the episode."""
    world, condition = rows["world"].astype(np.int64), rows["condition"].astype(np.int64)
    rows["need"], rows["admit"] = care.truth(care_figures, rows["key"], world, condition)
