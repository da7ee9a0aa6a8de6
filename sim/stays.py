"""One stay, from bed request to home: acute phase, then step-down or home.

A stay is its own SimPy event: it is put into the queue for its next date and acts when that date comes. The next bed is
taken before the old one is freed, so nobody is ever without a bed or in two (R9); recovery goes on while a bed is
blocked, and the patient leaves at the earlier of a step-down bed and the end of recovery.
"""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from heapq import heappop, heappush
from itertools import count
from math import inf
from typing import Any, NamedTuple

import simpy
from simpy.events import EventPriority

from sim.beds import STEP_DOWN, BedPool
from sim.timetable import DAY

RELEASES, REQUESTS, OPENINGS = EventPriority(0), EventPriority(1), EventPriority(2)
"""Order at one instant: ends and releases first, then requests, then the opening of a window."""

ASKS, WAITS, ACUTE, BLOCKED, RECOVERS = range(5)
REFERRED_RANK = 2


class Clock(simpy.Environment):
    """SimPy's clock and queue for events that come up again and again: each acts when its date comes.

    A copy goes on by itself: whatever is in the queue is copied with it.
    """

    def run_until(self, minute: float) -> None:
        """Let everything act whose date is before this minute."""
        queue = self._queue
        while queue and queue[0][0] < minute:
            self._now, _, _, event = heappop(queue)
            event.act(self._now)  # type: ignore[attr-defined]
        self._now = minute

    def step(self) -> None:
        """The next event, for those who run this as any SimPy environment, with processes and other events in it."""
        act = getattr(self._queue[0][3], "act", None) if self._queue else None
        if act is None:
            super().step()
        else:
            self._now = heappop(self._queue)[0]
            act(self._now)

    def __deepcopy__(self, memo: dict[int, Any]) -> Clock:
        clock = memo[id(self)] = Clock(self._now)
        clock._queue = deepcopy(self._queue, memo)
        clock._eid = count(next(self._eid))
        return clock


class Course(NamedTuple):
    """What is true of a stay before it begins."""

    world: int
    key: int
    person: int
    condition: int
    need: int
    minutes: float
    """Total stay from admission to the end of recovery."""
    acute: float
    """Minutes of the acute phase; without end where the recovery could not go on at a lower level."""
    proposal: float
    """Number in (0, 1): the doctor proposes a step down where it is below the share in force."""
    consent: float
    """Number in (0, 1): the patient agrees where it is below the share in force."""
    patience: float
    """Minutes the patient waits for a planned bed; emergencies wait as long as it takes."""
    operation: int = 0
    """Highest level of operation, 1 to 4; 0 = none."""
    weight: int = 0
    """Weight of the case, in thousandths."""
    recovery_weight: int = 0
    """The same of a leg after a step down."""

    def __deepcopy__(self, memo: dict[int, Any]) -> Course:
        return self  # nothing in it can change


class Hospital:
    """The bed pools of one replication, and what stays ask of the world around them."""

    def __init__(self, env: Clock, pools: list[BedPool], discharge_hours: tuple[int, int]) -> None:
        self.env = env
        self.pools = pools
        self.first_minute, self.last_minute = (hour * 60.0 for hour in discharge_hours)
        self.release_after = 24.0 * 60
        self.legs: list[tuple[float, ...]] = []
        """Legs ended since the ledger was last written, each in the order of `records.LEG`."""
        self.goes_down: Callable[[Course], bool]
        """Whether a stay whose acute phase ends steps down, by the rules in force."""
        self.downstream: Callable[[Course, int], list[int]]
        """Wards to which it could go, nearest first."""
        self.gives_up: Callable[[Stay], None]
        """A patient left the waiting list."""

    def discharge_at(self, minute: float) -> float:
        """The first minute at or after `minute` at which patients are discharged."""
        within = minute % DAY
        if within < self.first_minute:
            return minute - within + self.first_minute
        if within >= self.last_minute:
            return minute - within + DAY + self.first_minute
        return minute

    def freed(self, pool: BedPool, bed: int, now: float) -> None:
        """A bed is empty: hold it or give it to the next; a held one is released later if it stays empty."""
        if pool.set_aside:
            if pool.empty(bed):
                self.env.schedule(Cleaned(self, pool), RELEASES, pool.cleaning_minutes)
            return
        if pool.leave(bed, now):
            self.watch(pool)
        pool.serve()

    def cleaned(self, pool: BedPool, now: float) -> None:
        """A bed that had to be cleaned can be taken again."""
        if pool.cleaned(now):
            self.watch(pool)
        pool.serve()

    def close(self, pool: BedPool, now: float) -> None:
        """A ward goes out of service: those who wait for it look elsewhere."""
        pool.close()
        for who in pool.everybody_waiting():
            who.turned_away(pool, now)

    def open(self, pool: BedPool, now: float) -> None:
        """A ward comes into service."""
        for _ in range(pool.open(now)):
            self.watch(pool)

    def watch(self, pool: BedPool) -> None:
        """Come back when the bed held now would be released."""
        self.env.schedule(Release(self.env, pool), RELEASES, self.release_after)


class Release(simpy.Event):
    """The hour at which a bed held since now is released, if it is still empty."""

    __slots__ = ("pool", "since")

    def __init__(self, env: Clock, pool: BedPool) -> None:
        self.pool, self.since = pool, env.now

    def act(self, now: float) -> None:
        """The hour has come."""
        if self.pool.release_held(self.since):
            self.pool.serve()


class Cleaned(simpy.Event):
    """The minute in which a bed left now is clean."""

    __slots__ = ("hospital", "pool")

    def __init__(self, hospital: Hospital, pool: BedPool) -> None:
        self.hospital, self.pool = hospital, pool

    def act(self, now: float) -> None:
        """The minute has come."""
        self.hospital.cleaned(self.pool, now)


class Stay(simpy.Event):
    """A patient on the way to a bed, in it, and home."""

    # an attribute first set long after `__init__` would turn each stay into a dictionary, slow and large; slots do not
    __slots__ = (
        "admitted", "bed", "blocked_from", "came_from", "course", "due", "entry", "first_admitted", "home_at",
        "hoped_for", "hospital", "phase", "pool", "rank", "requested",
    )  # fmt: skip

    def __init__(self, hospital: Hospital, course: Course, ward: int, entry: int, rank: int, when: float) -> None:
        self.hospital, self.course = hospital, course
        self.pool = hospital.pools[ward]
        self.entry, self.rank = entry, rank
        self.phase = ASKS
        self.requested = when
        self.hoped_for: BedPool | None = None
        self.came_from = -1
        self._at(when, REQUESTS, hospital.env._now)

    def _at(self, minute: float, priority: EventPriority, now: float) -> None:
        """Act next at this minute; an older date still in the queue is then stale and passes without effect."""
        env = self.hospital.env
        self.due = due = now + (minute - now) if minute > now else now
        heappush(env._queue, (due, priority, next(env._eid), self))  # what `env.schedule` does, in half the time

    def act(self, now: float) -> None:
        """The date has come."""
        phase = self.phase
        if now < self.due:
            return
        self.due = inf
        if phase >= BLOCKED:
            self._go_home(now)
        elif phase == ASKS:
            self._ask(now)
        elif phase == ACUTE:
            self._look_downstream(now)
        else:
            self._give_up()

    def _ask(self, now: float) -> None:
        bed = self.pool.bed_for(self.entry)
        if bed is not None:
            self._admit(bed, now)
            return
        if not self.pool.in_service:
            self.hospital.gives_up(self)
            return
        self.phase = WAITS
        self.pool.wait(self)
        if self.course.patience < inf:
            self._at(self.requested + self.course.patience, REQUESTS, now)

    def _give_up(self) -> None:
        self.pool.give_up(self)
        self.hospital.gives_up(self)

    def turned_away(self, pool: BedPool, now: float) -> None:
        """The ward for which this patient waits closes: to another one, or on in the blocked bed."""
        self.due = inf
        if self.phase == WAITS:
            self._give_up()
            return
        pool.give_up(self)
        self.pool.blocked_minutes += now - self.blocked_from
        self.hoped_for, self.phase = None, ACUTE
        self._look_downstream(now)

    def bed_granted(self, pool: BedPool, bed: int) -> None:
        """A bed is free now: admission, or the step down for which this patient was waiting."""
        if self.phase >= ACUTE:
            self._step_down(pool, bed, self.hospital.env._now)
        else:
            self._admit(bed, self.hospital.env._now)

    def _admit(self, bed: int, now: float) -> None:
        self.pool.take(bed)
        self.bed, self.admitted, self.first_admitted = bed, now, now
        course = self.course
        self.home_at = home_at = self.hospital.discharge_at(now + course.minutes)
        if (ready := now + course.acute) < home_at:
            self.phase = ACUTE
            self._at(ready, RELEASES, now)
        else:
            self.phase = RECOVERS
            self._at(home_at, RELEASES, now)

    def _look_downstream(self, now: float) -> None:
        if self.hospital.goes_down(self.course):
            pools = [self.hospital.pools[w] for w in self.hospital.downstream(self.course, self.pool.number)]
            for pool in pools:
                bed = pool.bed_for(STEP_DOWN)
                if bed is not None:
                    self._step_down(pool, bed, now)
                    return
            if pools:
                self._block(pools[0], now)
        if self.phase == ACUTE:
            self.phase = RECOVERS
        self._at(self.home_at, RELEASES, now)

    def _block(self, pool: BedPool, now: float) -> None:
        """Ready to step down, but no bed is free: wait for one in the bed that is therefore blocked."""
        self.phase = BLOCKED
        self.blocked_from = now
        self.hoped_for, self.rank = pool, REFERRED_RANK
        pool.wait(self)

    def _step_down(self, pool: BedPool, bed: int, now: float) -> None:
        """Take the next bed, then free the old one; whose recovery ends this very minute goes home instead."""
        if now >= self.home_at:
            self.hoped_for, self.due = None, inf
            self._go_home(now)
            return
        pool.take(bed)
        old, old_bed = self.pool, self.bed
        self._leave(now, to_step_down=True)
        self.pool, self.bed, self.entry, self.came_from = pool, bed, STEP_DOWN, old.number
        self.requested = self.admitted = now
        self.hoped_for = None
        self.phase = RECOVERS
        self._at(self.home_at, RELEASES, now)
        self.hospital.freed(old, old_bed, now)

    def _go_home(self, now: float) -> None:
        if self.hoped_for is not None:
            self.hoped_for.give_up(self)
        self._leave(now, to_step_down=False)
        self.hospital.freed(self.pool, self.bed, now)

    def _leave(self, now: float, to_step_down: bool) -> None:
        """Write down the leg that ends, in the order of `records.LEG`."""
        if self.phase == BLOCKED:
            self.pool.blocked_minutes += now - self.blocked_from
        c = self.course
        case = (c.operation, c.weight) if self.came_from < 0 else (0, c.recovery_weight)
        self.hospital.legs.append((
            c.world, c.key, c.person, c.condition, self.pool.number, self.entry, self.came_from,
            self.requested, self.admitted, now, self.first_admitted, to_step_down, *case,
        ))  # fmt: skip
