"""Who works where, and for how long: the clinic or public health, this institution or that.

Decisions about all service points of a network at once; what they come to in a session is the matter of `sessions`.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from sim import streams
from sim.network import EMERGENCY, IMAGING, Level, Network, PublicHealthSpec
from sim.streams import Floats, Purpose

LEAST = 0.05
"""Share of its time that a clinic keeps, whatever else its doctors are to do."""

CENTRES = (Level.centre, Level.sub_centre)

ROOM = 2
"""Doctors for whom a clinic has room, over those that it has of its own."""


def walk_in_clinics(net: Network) -> NDArray[np.bool_]:
    """Ordinary clinics without slots, (P,): an appointment given is not taken back because a doctor works elsewhere."""
    elsewhere = (EMERGENCY, *IMAGING)
    return np.array([p.kind == "ordinary" and not p.bookable and p.department not in elsewhere for p in net.points])


@dataclass(frozen=True)
class PublicHealth:
    """Basic public-health work of the townships of one replication, and the clinics whose doctors do it (M27)."""

    township: NDArray[np.int64]
    """Area of the centre with which each clinic of a station or centre shares this work, -1 = none of it; (P,)."""
    is_station: NDArray[np.bool_]
    """(P,)."""
    clinic: Floats
    """Minutes of clinic a week, as the facts state them; (P,)."""
    base: float
    """Share of the work that stations do in the base year."""
    for_each: float
    """Minutes of the work for each minute of a station's clinic, then."""
    freed: float
    """Of the time of which centres are relieved, the share by which their clinics have more."""

    @classmethod
    def of(cls, net: Network, spec: PublicHealthSpec | None, clinic: Floats) -> PublicHealth:
        """`clinic`: minutes a week of each service point; without facts nobody does any."""
        is_station = net.level[net.point_facility] == Level.village_station
        if spec is None:
            return cls(np.full(len(net.points), -1), is_station, clinic, 1.0, 0.0, 0.0)
        part = spec.doctors_time.value
        figures = spec.at_stations.value, part / (1.0 - part), spec.freed_for_clinics.value
        return cls(_townships(net), is_station, clinic, *figures)

    def clinic_time(self, share: float | None) -> Floats:
        """Time of each clinic over that of the base year, when stations do this share of the work; (P,)."""
        taken, here = self._taken_over(share), self.township >= 0
        station, centre = (self._sums(which) for which in (self.is_station, ~self.is_station))
        ratio = np.where(
            self.is_station, 1.0 - self._each(taken / station), 1.0 + self._each(self.freed * taken / centre)
        )
        return np.where(here, ratio, 1.0)

    def minutes(self, share: float | None) -> Floats:
        """Minutes of the work that are done a week by those of each clinic, (P,); in all as many whoever does them."""
        station, centre = (self._sums(which) for which in (self.is_station, ~self.is_station))
        work = self._work()
        below = self.base * work + self._taken_over(share)
        rate = np.where(self.is_station, self._each(below / station), self._each((work - below) / centre))
        return np.where(self.township >= 0, rate * self.clinic, 0.0)

    def _work(self) -> Floats:
        """Minutes a week, by township."""
        stations = np.where(self.is_station & (self.township >= 0), self.clinic, 0.0)
        return np.asarray(np.bincount(np.maximum(self.township, 0), stations) * self.for_each / self.base)

    def _taken_over(self, share: float | None) -> Floats:
        """Minutes a week that stations take over from their centre, by township; every clinic keeps some time."""
        station, centre = (self._sums(which) for which in (self.is_station, ~self.is_station))
        wanted = ((self.base if share is None else share) - self.base) * self._work()
        most, least = (1.0 - LEAST) * station, -(1.0 - LEAST) * centre / max(self.freed, LEAST)
        return np.asarray(np.clip(wanted, least, most))

    def _sums(self, which: NDArray[np.bool_]) -> Floats:
        """Minutes of clinic a week by township; never nothing, for what they divide."""
        some = np.where(which & (self.township >= 0), self.clinic, 0.0)
        return np.asarray(np.maximum(np.bincount(np.maximum(self.township, 0), some), 1e-9))

    def _each(self, by_township: Floats) -> Floats:
        return np.asarray(by_township[np.maximum(self.township, 0)])


def _townships(net: Network) -> NDArray[np.int64]:
    """Clinics of a station share the work with those of the nearest centre; where there is no centre, with nobody."""
    found, walk_in = np.full(len(net.points), -1, dtype=np.int64), walk_in_clinics(net)
    level, facility = net.level[net.point_facility], net.point_facility
    centres = sorted({int(facility[p]) for p in np.flatnonzero(walk_in & np.isin(level, CENTRES))})
    for p in np.flatnonzero(walk_in & (level <= Level.sub_centre) & (level != Level.clinic)) if centres else []:
        near = min(centres, key=lambda centre: (net.km(int(facility[p]), centre), centre))
        found[p] = net.area[near]
    return found


def on_duty(doctors: NDArray[np.int64], time: Floats) -> tuple[NDArray[np.int64], Floats]:
    """Doctors of a full session and the part of it by which the last of them comes later, when they have so much time.

    `doctors`: whole ones; `time`: what each has for the clinic over a full session.
    """
    whole = doctors * time
    number = np.ceil(whole - 1e-9)
    return number.astype(np.int64), np.maximum(number - whole, 0.0)


# ------------------------------------------------------------------------------------------------------- shared doctors


def integrated(net: Network, seed: int, share: float) -> NDArray[np.bool_]:
    """Service points of the village stations that are integrated with their township (M26), (P,): of a group's members.

    Which ones is a number of the station's own, so a larger share adds some and leaves none out.
    """
    keys = np.array([streams.key(seed, "station", net.facilities[p.facility].id) for p in net.points])
    return (net.centre_of[net.point_facility] >= 0) & (streams.uniform(keys, Purpose.INTEGRATED) < share)


def pools(net: Network, stations: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Clinics whose doctors may be shared (M37), by the number of their pool, -1 = none; (P,).

    Walk-in clinics of one department at the centres and sub-centres of one group, and at these `stations`, (P,).
    """
    level = net.level[net.point_facility]
    found: dict[tuple[int, str], int] = {}
    number = np.full(len(net.points), -1, dtype=np.int64)
    for p in np.flatnonzero(walk_in_clinics(net) & (np.isin(level, CENTRES) | stations)).tolist():
        group = int(net.group[net.points[p].facility])
        if group >= 0:
            number[p] = found.setdefault((group, net.points[p].department), len(found))
    return number


def posted(
    own: NDArray[np.int64], pool: NDArray[np.int64], share: Fraction, work: Floats, minutes: Floats
) -> NDArray[np.int64]:
    """Doctors that each clinic has this week more, or fewer, than of its own, (P,).

    Each gives the share of its doctors to the pool, in whole ones, and keeps one. One after the other they go to where
    there is most work for each minute of those who are there; no clinic has more than twice its own. `work`: what was
    asked of each last week; `minutes`: of a doctor in a week.
    """
    there = own.copy()
    for number in range(int(pool.max(initial=-1)) + 1):
        clinics = np.flatnonzero((pool == number) & (own > 0) & (minutes > 0))
        if share > 0 and work[clinics].sum() > 0:
            there[clinics] = _shared_out(own[clinics], share, work[clinics], minutes[clinics])
    return there - own


def _shared_out(own: NDArray[np.int64], share: Fraction, work: Floats, minutes: Floats) -> NDArray[np.int64]:
    """Doctors at each clinic of a pool."""
    given = np.array([min(int(share * doctors), doctors - 1) for doctors in own.tolist()])
    there = own - given
    for _ in range(int(given.sum())):
        load = np.where(there < ROOM * own, work / (there * minutes), -1.0)
        most = np.flatnonzero(load == load.max())
        there[most[np.argmax((own - there)[most])]] += 1  # where none is needed more, doctors stay at home
    return there
