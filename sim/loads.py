"""The load of every clinic, emergency department, ward and theatre before anything is simulated.

A forecast from the base year's first doors alone: expected needs go through the doors that the tables of choice give
them, those whose need exceeds the place go up once, admissions follow. Where it exceeds the capacity no queue can
settle, and the report says so before it prints a mean.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from functools import cached_property

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from sim.care import STAY_NEEDS, Care
from sim.choice import DOOR_OF_LEVEL, DOORS, GRASSROOTS_DOORS, OUTSIDE_DOOR, Choice
from sim.demand import Demand
from sim.network import EMERGENCY_LAYER, IMAGING, Capacities, Level, Network, Point, TheatreSpec, ward_name
from sim.population import AGES
from sim.streams import Floats
from sim.timetable import DAY, HALF_DAY, Timetable

YEAR = 365.0

Row = tuple[str, str, str, float, float]
"""Name of a place, its facility, the kind of resource, what is offered and what can be done in a year."""


def table(rows: list[Row]) -> pd.DataFrame:
    """Offered work, capacity and load of each row."""
    frame = pd.DataFrame(rows, columns=["point", "facility", "resource", "offered", "capacity"])
    frame["load"] = frame["offered"] / frame["capacity"].where(frame["capacity"] > 0)
    return frame.round({"offered": 3, "capacity": 3, "load": 6})


def is_half(loads: pd.DataFrame) -> pd.Series[bool]:
    """Which rows are one half of something under a quota."""
    return loads["resource"].astype(str).str.endswith(("_held", "_open"))


def busiest(loads: pd.DataFrame, most: int) -> pd.DataFrame:
    """The busiest places, `most` of them, and all halves of quotas by scenario; columns of the table, with `scenario`.

    What is the same in every scenario is told once, without a scenario.
    """
    halves, whole = loads[is_half(loads)], loads[~is_half(loads)]
    places = [name for name in whole.columns if name != "scenario"]
    scenarios = whole["scenario"].nunique()
    alike = whole.groupby(places, dropna=False)["scenario"].transform("size") == scenarios
    once = whole.assign(scenario=whole["scenario"].where(~alike, "")).drop_duplicates()
    return pd.concat([once.nlargest(most, "load", keep="first"), halves], ignore_index=True)


@dataclass(frozen=True)
class Forecast:
    """What one replication expects in a year of its horizon."""

    network: Network
    timetable: Timetable
    care: Care
    choice: Choice
    capacities: Capacities
    demand: Demand
    needs: Floats
    """First contacts a year, shape (traits, contract, conditions)."""
    world: int

    def __post_init__(self) -> None:
        """Look before the doors open: what people hear about waiting moves their choice later."""
        _ = self.rows

    @cached_property
    def rows(self) -> list[Row]:
        """Every service point, ward and theatre; in minutes or slots or bed-days or operations a year."""
        flow, _ = self.first_contacts()
        flow = self.with_those_sent_up(flow, flow)
        return [*self.points(flow), *self._wards(flow), *self._theatres(flow)]

    def first_contacts(self, adherence: Floats | float = 0.0) -> tuple[Floats, Floats]:
        """Contacts a year, and those of residents alone, shape (facilities + 1, conditions).

        `adherence`: of those who would go to a hospital or outside, the share who begin at the grassroots, for all or
        each condition.
        """
        as_they_like, persuaded = self._residents
        residents = as_they_like + adherence * (persuaded - as_they_like)
        flow = residents.copy()
        for rate, c, f in zip(*(self.demand.inflow[k] for k in ("rate", "condition", "facility")), strict=True):
            flow[f, c] += rate
        growth = (1.0 + self.timetable.spec.growth.value) ** (self.timetable.days / YEAR / 2)
        return np.asarray(flow * growth), np.asarray(residents * growth)

    @cached_property
    def _residents(self) -> tuple[Floats, Floats]:
        """First contacts of residents a year as they like, and if all began at the grassroots door that suits them
        best; (facilities + 1, conditions)."""
        choice = self.choice
        utility = choice.utility.reshape(len(DOORS), choice.worlds, choice.traits, 2, len(choice.kind))[:, self.world]
        odds = np.exp(utility - utility.max(axis=0))
        below = np.where(np.isin(np.arange(len(DOORS)), GRASSROOTS_DOORS)[:, None, None, None], odds, 0.0)
        below = np.where(below.sum(axis=0) > 0, below, odds)
        as_they_like, persuaded = self._by_facility(np.stack([odds / odds.sum(axis=0), below / below.sum(axis=0)]))
        return as_they_like, persuaded

    def _by_facility(self, doors: Floats) -> Floats:
        """First contacts by the shares of the doors, of several ways to choose: (ways, facilities + 1, conditions).

        `doors`: shape (ways, doors, traits, contract, conditions).
        """
        net, choice, ways = self.network, self.choice, len(doors)
        by_door = (doors * self.needs).sum(axis=3)  # (ways, doors, traits, conditions)
        by_area = by_door.reshape(ways, len(DOORS), len(net.areas), len(AGES) * 2, -1).sum(axis=3)
        flow = np.zeros((ways, net.outside + 1, len(choice.kind)))
        flow[:, net.outside] = by_area[:, OUTSIDE_DOOR].sum(axis=1)
        columns = np.where(choice.is_emergency, len(net.departments), choice.department)
        for column in np.unique(columns).tolist():
            mine = np.flatnonzero(columns == column)
            for door in range(OUTSIDE_DOOR):
                for area in range(len(net.areas)):
                    self._share_out(flow, by_area[:, door, area, mine], mine, column, door, area)
        return flow

    def _share_out(
        self, flow: Floats, contacts: Floats, conditions: NDArray[np.int64], column: int, door: int, area: int
    ) -> None:
        """Contacts of one area through one door with some conditions, among its facilities."""
        net, choice = self.network, self.choice
        facilities = np.flatnonzero((net.level[:-1] == Level.village_station) & (net.area[:-1] == area))
        share = np.full(len(facilities), 1.0)
        if door == 0:
            contacts = contacts / max(len(facilities), 1)
        else:
            first, size = (t[self.world, area, column, door] for t in (choice.row_first, choice.row_size))
            facilities = net.point_facility[choice.cdf_points[first : first + size]]
            share = np.diff(choice.cdf[first : first + size], prepend=0.0)
        there = np.ix_(np.arange(len(flow)), facilities, conditions)
        np.add.at(flow, there, contacts[:, None, :] * share[:, None])

    @cached_property
    def _beyond(self) -> Floats:
        """Chance that a need exceeds a facility, shape (facilities + 1, conditions)."""
        chances = np.concatenate([self.care.beyond[self.world], np.zeros((len(self.choice.kind), 1))], axis=1)
        level = np.minimum(self.network.capability, chances.shape[1])
        each = chances.T[None, :, :].repeat(len(level), axis=0)
        return np.take_along_axis(each, level[:, None, :] - 1, axis=1)[:, 0, :]

    def with_those_sent_up(self, flow: Floats, senders: Floats) -> Floats:
        """Add those who go on to a hospital by themselves, in proportion to the hospitals' own contacts with the
        condition; `senders`: the contacts of whom some do."""
        up = (senders * self._beyond).sum(axis=0) * self.choice.follows_advice[self.world]
        hospital = (DOOR_OF_LEVEL[self.network.level] >= 3)[:, None] & (self.network.capability >= 3)
        own = np.where(hospital, flow, 0.0)
        return np.asarray(flow + own / np.maximum(own.sum(axis=0), 1e-12) * up)

    def points(self, flow: Floats) -> Iterator[Row]:
        """Every service point under a flow of contacts; no joint clinic is held in the base year."""
        visits = flow * (1.0 + self.care.follow_up[self.world] * (1.0 - self.care.admission[self.world]))
        stays = self._admitted(flow)
        for i, point in enumerate(self.network.points):
            if point.department in IMAGING:
                yield self._imaging(i, visits, stays)
            elif point.kind != "joint":
                yield self._point(i, point, visits)

    def treated_at(self, number: int) -> NDArray[np.bool_]:
        """Conditions whose patients a clinic or emergency department of a facility takes."""
        net, point = self.network, self.network.points[number]
        emergency = point.layer >= EMERGENCY_LAYER
        lookup = net.emergency_point[point.facility] if emergency else net.clinic_point[point.facility]
        asked = net.ordinary_point[number] if point.kind == "expert" else number
        mine = lookup == asked if emergency else lookup[self.choice.department] == asked
        return np.asarray(mine & (self.choice.is_emergency == emergency))

    def _point(self, number: int, point: Point, visits: Floats) -> Row:
        care, w, facility = self.care, self.world, self.network.facilities[point.facility]
        emergency, mine = point.layer >= EMERGENCY_LAYER, self.treated_at(number)
        here = visits[point.facility, mine]
        column = len(Level) if emergency else facility.level
        sessions, minutes = self._open[point.pattern] * YEAR / self.timetable.days
        if point.bookable:
            offered, capacity = self._slots_taken(number, here, mine), self.capacities.slots[number] * sessions
        else:
            looks = 1.0 + care.exam[w, mine, facility.level] * care.second_look[w]
            offered = (here * looks * care.consultation[w, mine]).sum() * care.minutes[w, column]
            capacity = self.capacities.doctors[number] * minutes
        name, resource = f"{facility.id}/{point.name}", "emergency" if emergency else "clinic"
        return name, facility.id, resource, float(offered), float(capacity)

    def _slots_taken(self, number: int, visits: Floats, conditions: NDArray[np.bool_]) -> float:
        """Visits of a department that fall to one of its clinics: an expert clinic takes those who ask there first, as
        many as there are slots, and the ordinary one all others."""
        net = self.network
        expert = number if net.points[number].kind == "expert" else net.expert_point[number]
        if expert < 0:
            return float(visits.sum())
        asking = (visits * self._asks[conditions]).sum() * self.choice.prefers_expert[self.world]
        slots = self.capacities.slots[expert] * self._open[net.points[expert].pattern][0] * YEAR / self.timetable.days
        seen = min(asking, slots)
        return float(seen if number == expert else visits.sum() - seen)

    @cached_property
    def _asks(self) -> Floats:
        """Share of visits with each condition that begin with a request: of long-term patients all."""
        needs = self.demand.spec.needs
        long_term = np.array([needs[c].prevalence is not None for c in self.network.conditions])
        return np.where(long_term, 1.0, self.choice.books[self.world])

    def _imaging(self, number: int, visits: Floats, stays: Floats) -> Row:
        """Exams that the clinics and wards of all hospitals served by a room with large equipment ask for."""
        net, point = self.network, self.network.points[number]
        kind, room = IMAGING.index(point.department), net.imaging_point.tolist().index(number)
        served = (net.imaging_room[:, kind] == room) & (net.level >= Level.secondary)
        share, of_stays = (
            np.diff(cumulative[self.world], prepend=0.0)[:, kind]
            for cumulative in (self.care.imaging, self.care.inpatient_imaging)
        )
        asked = visits[served] * share * ~self.choice.is_emergency + stays[served] * of_stays
        capacity = self.capacities.slots[number] * self._open[point.pattern][0] * YEAR / self.timetable.days
        facility = net.facilities[point.facility].id
        return f"{facility}/{point.department}", facility, "imaging", float(asked.sum()), float(capacity)

    @cached_property
    def _open(self) -> dict[str, Floats]:
        """Full sessions and open minutes of each pattern over the horizon."""
        half_days, found = int(self.timetable.horizon // HALF_DAY), {}
        for pattern in {*self.network.patterns, *(t.pattern for _, t in self._with_theatres)}:
            opening = self.timetable.opening(pattern)
            size = opening.size[:half_days]
            minutes = size * (opening.closes - opening.opens)[:half_days]
            found[pattern] = np.array([size.sum(), minutes.sum()])
        return found

    def _admitted(self, flow: Floats) -> Floats:
        """Stays a year, those who need more than the place gives left out, shape (facilities + 1, conditions)."""
        return np.asarray(flow * (1.0 - self._beyond) * self.care.admission[self.world])

    def _wards(self, flow: Floats) -> Iterator[Row]:
        """Own admissions only, who steps down comes on top; of wards that are open at some time, while they are."""
        for i, (offered, part) in self.bed_days(flow).items():
            ward = self.network.wards[i]
            facility = self.network.facilities[ward.facility].id
            yield (
                f"{facility}/{ward_name(ward)}",
                facility,
                "ward",
                offered,
                float(self.capacities.beds[i] * YEAR * part),
            )

    def bed_days(self, flow: Floats) -> dict[int, tuple[float, float]]:
        """Bed-days a year that a flow of contacts asks of each ward, and the part of the run in which it is open.

        Of wards open at some time; no joint ward is run in the base year.
        """
        days, found = self.days_in_bed(flow), {}
        for i, ward in enumerate(self.network.wards):
            offered = part = 0.0
            for day, ward_at, share in self._ward_periods if ward.kind != "joint" else ():
                if ward.is_open(day):
                    mine = ward_at[ward.facility, self.choice.department] == i
                    offered += days[ward.facility, mine].sum() * share
                    part += share
            if part > 0:
                found[i] = float(offered), part
        return found

    def days_in_bed(self, flow: Floats) -> Floats:
        """Bed-days a year of those whom a flow of contacts has admitted, shape (facilities + 1, conditions)."""
        care, w = self.care, self.world
        at = care.stay_at[w, np.minimum(self.network.level, Level.tertiary)][:, None]
        return np.asarray(self._admitted(flow) * care.stay_minutes[w] / DAY * at)

    @cached_property
    def _with_theatres(self) -> list[tuple[int, TheatreSpec]]:
        """Facilities that state their theatres."""
        found = [(i, f.spec.theatres) for i, f in enumerate(self.network.facilities)]
        return [(i, spec) for i, spec in found if spec]

    def _theatres(self, flow: Floats) -> Iterator[Row]:
        """Planned operations of own admissions; day centres are left out, since nobody is sent to one before a policy
        says so."""
        for f, spec in self._with_theatres:
            planned = flow[f] * self.care.admission[self.world] * ~self.choice.is_emergency
            offered = (planned * self._operated(f)).sum()
            sessions = self._open[spec.pattern][0] * YEAR / self.timetable.days
            name = self.network.facilities[f].id
            yield f"{name}/theatres", name, "theatre", float(offered), float(self.capacities.theatres[f] * sessions)

    def _operated(self, facility: int) -> Floats:
        """Share of those who need a bed whom the facility admits and operates on, by condition."""
        beyond = np.append(self.care.beyond[self.world, :, 1:], np.zeros((len(self.choice.kind), 1)), axis=1)
        exactly = np.column_stack([1.0 - beyond[:, 0], -np.diff(beyond, axis=1)])
        given = np.array(STAY_NEEDS) <= self.network.capability[facility][:, None]
        return np.asarray((exactly * given * self.care.operations[self.world, :, :, 0]).sum(axis=1))

    @cached_property
    def _ward_periods(self) -> list[tuple[date, NDArray[np.int64], float]]:
        """Times in which the same wards are open: first day, `Network.ward_at`, share of the horizon."""
        time, net = self.timetable, self.network
        dates = [time.date(day) for day in range(time.days)]
        begins = [0, *(n for n, day in enumerate(dates) if n > 0 and day in net.ward_moves)]
        ends = [*begins[1:], time.days]
        return [(dates[n], net.ward_at(dates[n]), (end - n) / time.days) for n, end in zip(begins, ends, strict=True)]
