"""The audit: at every midnight it looks into all hospitals, and refuses to go on where something cannot be.

It tells the rules of beds a second time and asks none of those who keep them. Patients are found without a register,
in the clock's queue (where entries of the past may be stale) or on a waiting list; so who does without it pays nothing.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from math import inf
from typing import Any, NamedTuple

import numpy as np
import simpy
from numpy.typing import NDArray
from simpy.events import EventPriority

from sim.beds import BORROWED, EMERGENCY, HELD, OTHER, PARTITION, PROTECT, REFERRED, REFERRED_CONTRACTED, BedPool
from sim.network import Network, ward_name
from sim.records import ENTRIES, Ledger
from sim.schema import Failure
from sim.stays import BLOCKED, HELD_UP, INTENSIVE, OPENINGS, RECOVERS, REQUESTS, WAITS, Cleaned, Clock, Hospital, Stay
from sim.timetable import DAY, Timetable

BEFORE_OPENINGS = EventPriority((REQUESTS + OPENINGS) / 2)  # type: ignore[arg-type]
AT_LAST = EventPriority(2**70)
"""After everything else of an instant."""

TOLD = 12
"""Findings that an error tells at most."""

ON_A_LIST = (WAITS, HELD_UP, BLOCKED)
"""Phases in which somebody waits for a bed."""

FORMAL = (REFERRED_CONTRACTED, REFERRED)
"""Entries that are entitled to held beds."""


class Unsound(Failure):
    """Something in a hospital cannot be, so no number of this run can be relied on."""


class Finding(NamedTuple):
    """Something that cannot be."""

    ward: int
    """Index of the ward, -1 = the hospitals as a whole."""
    episode: int
    """Number of the episode, -1 = no one patient's."""
    what: str
    found: Any
    must: Any


Findings = Iterator[Finding]


class Since(NamedTuple):
    """A rule of a ward, and from when it is in force."""

    rule: tuple[Any, ...]
    minute: float


class AtMidnight(simpy.Event):
    """Something that is done at each midnight, in its place among what happens then."""

    __slots__ = ("clock", "do", "place")

    def __init__(self, clock: Clock, do: Callable[[float], None], place: EventPriority, first: float) -> None:
        self.clock, self.do, self.place = clock, do, place
        clock.schedule(self, place, first)

    def act(self, now: float) -> None:
        """Midnight."""
        self.do(now)
        self.clock.schedule(self, self.place, DAY)


class Audit:
    """All hospitals of a batch, looked at from outside."""

    def __init__(
        self,
        clock: Clock,
        hospitals: Sequence[Hospital],
        network: Network,
        timetable: Timetable,
        ledger: Ledger,
        replications: Sequence[int],
    ) -> None:
        self.clock, self.hospitals, self.ledger = clock, hospitals, ledger
        self.network, self.timetable, self.replications = network, timetable, replications
        self.asleep = np.zeros((len(hospitals), len(network.wards)), dtype=np.int64)
        """Patients who lay in each ward at midnight, added up."""
        self.counted = np.array([ward.kind != "home" for ward in network.wards], dtype=np.int64)
        """Whether the places of a ward are beds of which a census is taken."""
        self.since: dict[tuple[int, int], Since] = {}
        """The rule of each ward by (world, ward)."""
        AtMidnight(clock, self.count_the_night, BEFORE_OPENINGS, DAY)
        AtMidnight(clock, self.look, AT_LAST, 0.0)

    def count_the_night(self, now: float) -> None:
        """Count who lies where, just before the census is taken."""
        for stays, counts in zip(_by_hospital(self.clock, self.hospitals), self.asleep, strict=True):
            wards = [stay.pool.number for stay in stays if _lies(stay)]
            counts += np.bincount(wards, minlength=len(counts)) * self.counted

    def look(self, now: float) -> None:
        """Look at everything; `Unsound` where something cannot be."""
        cleaning = _being_cleaned(self.clock)
        told = []
        for world, stays in enumerate(_by_hospital(self.clock, self.hospitals)):
            hospital = self.hospitals[world]
            self._note_rules(world, now)
            rules = [self.since[world, n] for n in range(len(hospital.pools))]
            found = [*look_at(hospital, stays, cleaning, rules), *self._counts(world, stays)]
            told += [self._told(finding, world) for finding in found]
        if told:
            self._refuse(told, now)

    def _note_rules(self, world: int, now: float) -> None:
        for n, pool in enumerate(self.hospitals[world].pools):
            rule = pool.kind, pool.quota, pool.protected, pool.in_service, pool.installed
            if (world, n) not in self.since or self.since[world, n].rule != rule:
                self.since[world, n] = Since(rule, now)

    def _counts(self, world: int, stays: list[Stay]) -> Findings:
        """What was written down is what is seen: census of the nights, and everybody who asked has a place or left."""
        nights = self.ledger.beds.total(world, "occupied_days").sum(axis=0)
        for n, (written, seen) in enumerate(zip(nights.tolist(), self.asleep[world].tolist(), strict=True)):
            yield from _same(n, "bed-days by the census of all nights", written, seen)
        *first, later = self._ended(world, "discharges").tolist()
        down = sum([stay.came_from >= 0 for stay in stays])
        asked = int(self.ledger.beds.total(world, "requests").sum())
        left = int(self.ledger.bed_days.total(world, "left").sum())
        accounted = sum(first) + left + len(stays) - down
        yield from _same(-1, "patients who asked and are home, elsewhere, in bed or waiting", accounted, asked)
        begun = int(self._ended(world, "stepped_down").sum())
        yield from _same(-1, "legs after a step down, ended or not", later + down, begun)

    def _ended(self, world: int, what: str) -> NDArray[np.int64]:
        """Ended legs in wards of the area by entry: `discharges`, or those that `stepped_down`."""
        written = self.ledger.stays.total(world, what)[:, :-1].sum(axis=(0, 1, 2))
        pending = self.hospitals[world].ended()
        pending = pending[pending["to_step_down"]] if what == "stepped_down" else pending
        return np.asarray(written + np.bincount(pending["entry"], minlength=len(ENTRIES)))

    def _told(self, finding: Finding, world: int) -> str:
        where = [f"replication {self.replications[world]}"]
        if finding.ward >= 0:
            ward = self.network.wards[finding.ward]
            where += [self.network.facilities[ward.facility].id, f"ward {ward_name(ward)}"]
        if finding.episode >= 0:
            where += [f"episode {finding.episode}"]
        return f"  {', '.join(where)}: {finding.what}: {finding.found} found, {finding.must} must be"

    def _refuse(self, told: list[str], now: float) -> None:
        date = self.timetable.date(round(now / DAY))
        more = [f"  and {len(told) - TOLD} more"] if len(told) > TOLD else []
        raise Unsound("\n".join([f"The audit of {date} 00:00 found what cannot be:", *sorted(told)[:TOLD], *more]))


# ------------------------------------------------------------------------------------------------------------- finding


def _by_hospital(clock: Clock, hospitals: Sequence[Hospital]) -> list[list[Stay]]:
    """Everybody who asks for a bed, waits for one or lies in one, by hospital."""
    found = {event for event in clock.events() if type(event) is Stay and event.due < inf}
    for hospital in hospitals:
        found.update(hospital.put_off.values())
        for pool in hospital.pools:
            if any(pool.lists):
                found.update(pool.everybody_waiting())  # type: ignore[arg-type]
    stays: dict[Hospital, list[Stay]] = {hospital: [] for hospital in hospitals}
    for stay in found:
        stays[stay.hospital].append(stay)
    return list(stays.values())


def _being_cleaned(clock: Clock) -> Counter[BedPool]:
    """Beds of each ward that somebody will call clean."""
    return Counter(event.pool for event in clock.events() if type(event) is Cleaned)


def _lies(stay: Stay) -> bool:
    """Whether the patient says that he lies in a bed, of `stay.pool`."""
    return INTENSIVE <= stay.phase <= RECOVERS


# --------------------------------------------------------------------------------------------------------------- rules


def look_at(hospital: Hospital, stays: list[Stay], cleaning: Counter[BedPool], rules: Sequence[Since]) -> Findings:
    """What cannot be in the wards of one replication."""
    yield from _places(hospital, stays)
    in_bed: dict[BedPool, list[Stay]] = {pool: [] for pool in hospital.pools}
    for stay in stays:
        if _lies(stay):
            in_bed[stay.pool].append(stay)
    for pool, since in zip(hospital.pools, rules, strict=True):
        yield from _beds(pool, in_bed[pool], cleaning[pool])
        yield from _rights(pool, in_bed[pool], since)
        yield from _list(pool)


def _places(hospital: Hospital, stays: list[Stay]) -> Findings:
    """Everybody has one place: on the way, on one list, in one bed; who is kept in a bed, there and on one list."""
    lists: dict[Stay, list[int]] = {}
    for pool in hospital.pools:
        for who in pool.everybody_waiting():
            lists.setdefault(who, []).append(pool.number)  # type: ignore[arg-type]
    for stay in stays:
        if stay.phase in ON_A_LIST or stay in lists:
            found, must = lists.get(stay, []), _waits_for(stay)
            yield from _same(stay.pool.number, "wards on whose lists the patient is", found, must, stay.course.key)
    once = {stay.course.key: stay for stay in stays}
    if len(once) < len(stays):
        for stay in stays:
            if (other := once[episode := stay.course.key]) is not stay:
                places = f"{_place(other)} and {_place(stay)}"
                yield Finding(stay.pool.number, episode, "places of the patient", places, "one")


def _waits_for(stay: Stay) -> list[int]:
    """Wards on whose lists somebody belongs."""
    if stay.phase == WAITS:
        return [stay.pool.number]
    return [stay.hoped_for.number] if stay.phase in ON_A_LIST and stay.hoped_for is not None else []


def _place(stay: Stay) -> str:
    return f"{'a bed' if _lies(stay) else 'the list'} of ward {stay.pool.number}"


def _beds(pool: BedPool, lying: list[Stay], cleaning: int) -> Findings:
    """Beds are what those who lie in them say, and none is lost or made."""
    n, held = pool.number, len(pool.held)
    yield from _same(n, "occupied beds", pool.occupied, len(lying))
    yield from _same(n, "referred patients in held beds", pool.in_held, sum(stay.bed == HELD for stay in lying))
    yield from _same(n, "beds being cleaned", pool.cleaning, cleaning)
    kept = len(lying) + cleaning  # nobody is evicted where a ward closes or runs fewer beds
    beds = max(pool.installed, kept) if pool.in_service else kept
    yield from _same(n, "beds free, held, lain in or being cleaned", pool.free + held + len(lying) + cleaning, beds)
    yield from _same(n, "beds of the ward", pool.beds, beds)
    if pool.free < 0:
        yield Finding(n, -1, "free beds", pool.free, "0 or more")


def _rights(pool: BedPool, lying: list[Stay], since: Since) -> Findings:
    """Who lies in a bed may lie in it; the quota is kept. Who came under an earlier rule was not evicted."""
    n, held = pool.number, len(pool.held) + pool.in_held
    recent = [stay for stay in lying if stay.admitted > since.minute]
    for stay in lying:
        if (stay.bed == HELD and stay.entry not in FORMAL) or (stay.bed == BORROWED and stay.entry != EMERGENCY):
            yield _stranger(stay, "a referred patient" if stay.bed == HELD else "an emergency")
    if pool.held and held > pool.quota:
        yield Finding(n, -1, "held beds, empty or lain in", held, f"{pool.quota} at most")
    if pool.kind == PARTITION:
        if pool.free and held + pool.cleaning < pool.quota:  # one that is cleaned may be held when it is clean
            yield Finding(n, -1, "held beds while others are free", held, pool.quota)
        yield from (_stranger(x, "one of the other half") for x in recent if (x.bed == HELD) != (x.entry in FORMAL))
        others = [stay for stay in lying if stay.bed != HELD]
        yield from _no_more(pool, "patients beside the held beds", others, pool.quota, since)
    if pool.kind == PROTECT:
        others = [stay for stay in lying if stay.entry >= OTHER]
        yield from _no_more(pool, "patients neither referred nor emergencies", others, pool.protected, since)


def _no_more(pool: BedPool, who: str, lying: list[Stay], kept: int, since: Since) -> Findings:
    """Patients who leave so many beds to others; as long as nobody was admitted under this rule there may be more."""
    most = max(pool.installed - kept, 0)
    if len(lying) > most and any(stay.admitted > since.minute for stay in lying):
        yield Finding(pool.number, -1, who, len(lying), f"{most} at most")


def _stranger(stay: Stay, must: str) -> Finding:
    bed = ("an open bed", "a held bed", "a borrowed bed")[stay.bed]
    return Finding(stay.pool.number, stay.course.key, f"who lies in {bed}", ENTRIES[stay.entry], must)


def _list(pool: BedPool) -> Findings:
    """The counters are those of the lists, everybody is on the list of his rank, and nobody waits needlessly."""
    n, waiting = pool.number, pool.everybody_waiting()
    yield from _same(n, "patients waiting", pool.waiting, len(waiting))
    yield from _same(n, "referred and emergencies waiting", pool.entitled, sum(who.asks_as < OTHER for who in waiting))
    for rank, line in enumerate(pool.lists):
        for who in line:
            episode = who.course.key  # type: ignore[attr-defined]
            yield from _same(n, "rank of the list", rank, who.rank, episode)
            if _could_lie(pool, who.asks_as):
                yield Finding(n, episode, "a patient who waits", ENTRIES[who.asks_as], "in the bed that is free")
    if not pool.in_service:
        yield from _same(n, "patients waiting for a closed ward", len(waiting), 0)


def _could_lie(pool: BedPool, entry: int) -> bool:
    """Whether a bed is free for somebody; the rule of beds.BedPool told once more."""
    if pool.kind == PARTITION:
        return bool(pool.held) if entry in FORMAL else pool.free > 0
    if pool.kind == PROTECT:
        return pool.free > (0 if entry < OTHER else pool.protected)
    return pool.free > 0 or (bool(pool.held) and entry < OTHER)


def _same(ward: int, what: str, found: Any, must: Any, episode: int = -1) -> Findings:
    if found != must:
        yield Finding(ward, episode, what, found, must)
