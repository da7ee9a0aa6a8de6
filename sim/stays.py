"""One stay, from bed request to home: intensive care, acute phase, then step-down or home.

A stay is its own SimPy event: it is put into the queue for its next date and acts when that date comes. The next bed is
taken before the old one is freed, so nobody is ever without a bed or in two (R9); recovery goes on while a bed is
blocked, and the patient leaves at the earlier of a step-down bed and the end of recovery. Where recovery starts on
transfer, as textbooks have it, it does not, and wards may block each other for ever: that is looked for, and told.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from copy import deepcopy
from heapq import heapify, heappop, heappush
from itertools import count
from math import inf
from typing import Any, NamedTuple

import numpy as np
import simpy
from numpy.typing import NDArray
from simpy.events import NORMAL, EventPriority

from sim.beds import EMERGENCY, OTHER, STEP_DOWN, BedPool
from sim.care import STAY, CareTables, draw_stay, stay_shape
from sim.contacts import TO_PARTNER
from sim.kernels import kernel
from sim.network import Level
from sim.records import (
    ADMISSION,
    HOURS_OF_DISCHARGE,
    LATE_OPERATION,
    LEG,
    NO_BED_BELOW,
    NO_ORDINARY_BED,
    THEATRE,
    Inpatients,
    Legs,
    count_request,
)
from sim.schema import Failure
from sim.streams import Purpose, uniform_of
from sim.theatres import Places, home_from_day_centre, is_day_case, operation_due
from sim.timetable import DAY

RELEASES, REQUESTS, OPENINGS = EventPriority(0), EventPriority(1), EventPriority(2)
"""Order at one instant: ends and releases first, then requests, then the opening of a window."""

ASKS, WAITS, INTENSIVE, HELD_UP, ACUTE, BLOCKED, RECOVERS, DAY_CASE = range(8)
"""Where a stay is. Held up: intensive care is over, and the ordinary ward full; the acute phase goes on."""
OUTWARD = (RECOVERS, BLOCKED)
"""Those of whom nothing more is to come than the way home."""
AT_ANY_HOUR = (0.0, DAY)
CROWD = 2_000_000
"""Events in one minute's instant above which they are taken for a circle: cities of millions have far fewer."""
IN_HOUSE_RANK, REFERRED_RANK = EMERGENCY, 2
"""Places on waiting lists: whoever leaves intensive care is among the emergencies, whoever steps down the referred."""


class Runaway(Failure):
    """The clock stands still or would have to go back: events follow each other and no time passes."""


class Clock(simpy.Environment):
    """SimPy's clock and queue for events that come up again and again: each acts when its date comes.

    Those of later days lie on pages of a diary and join the queue when their day begins: thousands of patients are in
    a bed, and a queue with all of them in it is slow. A copy goes on by itself: whatever is to come is copied with it.
    """

    def __init__(self, initial_time: float = 0.0) -> None:
        super().__init__(initial_time)
        self._tomorrow = (initial_time // DAY + 1) * DAY
        self._pages: defaultdict[float, list[Any]] = defaultdict(list)
        """Events of later days, by day."""

    def put(self, event: simpy.Event, minute: float, priority: EventPriority) -> None:
        """Let an event act at this minute."""
        entry = minute, priority, next(self._eid), event
        if minute < self._tomorrow:
            heappush(self._queue, entry)
        elif minute == minute:
            self._pages[minute // DAY].append(entry)
        else:
            raise Runaway(f"{_what(event)} has no date; the clock cannot come to it.")

    def schedule(self, event: simpy.Event, priority: EventPriority = NORMAL, delay: float = 0.0) -> None:
        """Let an event act, or happen, after so many minutes."""
        self.put(event, self._now + delay, priority)

    def events(self) -> list[simpy.Event]:
        """Everything that is to come, in no order; some of it will pass without effect."""
        return [entry[3] for entries in (self._queue, *self._pages.values()) for entry in entries]

    def _turn_page(self) -> None:
        """The events of the next day that has any join the queue."""
        day = min(self._pages)
        self._queue += self._pages.pop(day)
        heapify(self._queue)
        self._tomorrow = (day + 1) * DAY

    def run_until(self, minute: float) -> None:
        """Let everything act whose date is before this minute."""
        queue, at_once = self._queue, 0
        while True:
            while queue and queue[0][0] < minute:
                now, _, _, event = heappop(queue)
                if now > self._now:
                    self._now, at_once = now, 0
                else:
                    at_once += 1
                    if at_once > CROWD or now < self._now:
                        raise Runaway(self._circle(now, event))
                event.act(now)  # type: ignore[attr-defined]
            if minute <= self._tomorrow or not self._pages:
                break
            self._turn_page()
        self._now = minute

    def _circle(self, now: float, event: simpy.Event) -> str:
        """Where the clock stands, and what does not let it go on."""
        day, minute = divmod(self._now, DAY)
        when = f"Day {day:.0f} of the run, {minute // 60:02.0f}:{minute % 60:02.0f}"
        if now < self._now:
            return f"{when}: {_what(event)} is dated earlier, minute {now:g} of the run; the clock does not go back."
        return f"{when}: more than {CROWD:,} events and no time passes; the latest is {_what(event)}."

    def step(self) -> None:
        """The next event, for those who run this as any SimPy environment, with processes and other events in it."""
        if not self._queue and self._pages:
            self._turn_page()
        act = getattr(self._queue[0][3], "act", None) if self._queue else None
        if act is None:
            super().step()
        else:
            self._now = heappop(self._queue)[0]
            act(self._now)

    def __deepcopy__(self, memo: dict[int, Any]) -> Clock:
        clock = memo[id(self)] = Clock(self._now)
        clock._tomorrow = self._tomorrow
        clock._queue, clock._pages = deepcopy((self._queue, self._pages), memo)
        clock._eid = count(next(self._eid))
        return clock


def _what(event: simpy.Event) -> str:
    """An event as an error names it."""
    course = getattr(event, "course", None)
    return f"{type(event).__name__}" if course is None else f"{type(event).__name__} of episode {course.key}"


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
    recovery: float = 0.0
    """Minutes of recovery after a step down, where it has a law of its own; 0 = what is left of the stay."""
    intensive: float = 0.0
    """Minutes of intensive care, with which the stay begins."""
    day_case: float = inf
    """Number of the episode (`theatres.is_day_case`); infinite where the stay does not suit a day centre."""
    exam: int = -1
    """Kind of large equipment that it asks for, -1 = none."""


class Courses:
    """The courses of all stays that go on, a row each: thousands of patients as objects would be slow to look at.

    A row is used again when its stay is over and written down.
    """

    def __init__(self) -> None:
        self.blank: list[int] = []
        self._lay_out(np.empty(0, dtype=STAY))

    def _lay_out(self, rows: NDArray[Any]) -> None:
        self.rows = rows
        self.minutes, self.acute, self.exam = rows["minutes"], rows["acute"], rows["exam"]

    def __getitem__(self, number: int) -> Course:
        return Course._make(self.rows[number].tolist())

    def note(self, stays: NDArray[Any]) -> list[int]:
        """Keep rows of STAY; where each is."""
        where = self.open(len(stays))
        self.rows[where] = stays
        return where

    def note_one(self, course: Course) -> int:
        """Keep one course; where it is."""
        (where,) = self.open(1)
        self.rows[where] = course
        return where

    def open(self, number: int) -> list[int]:
        """Rows that are not used, so many, to be filled."""
        if number > len(self.blank):
            there, more = len(self.rows), max(number, len(self.rows))
            self._lay_out(np.concatenate([self.rows, np.zeros(more, dtype=STAY)]))
            self.blank += range(there, there + more)
        first = len(self.blank) - number
        where = self.blank[first:]
        del self.blank[first:]
        return where

    def forget(self, numbers: list[int]) -> None:
        """These stays are over and written down."""
        self.blank += numbers

    def __deepcopy__(self, memo: dict[int, Any]) -> Courses:
        courses = memo[id(self)] = Courses()
        courses._lay_out(self.rows.copy())
        courses.blank = self.blank.copy()
        return courses


(
    COURSE, WARD, ENTRY, CAME_FROM, REQUESTED, ADMITTED, DISCHARGED, FIRST_ADMITTED, TO_STEP_DOWN, AS_DAY_CASE,
) = range(10)  # fmt: skip
"""What a stay tells of a leg that has ended, one number after the other: what `records.LEG` says beside its course."""

OF_LEG, OF_ADMISSION = 10, 2
"""Numbers of an ended leg, and of an admission to a first bed: its course and its minute."""

ASKED = np.dtype([(name, "i8") for name in ("world", "ward", "entry", "rank", "ordinary")])
"""A request for a bed: whose, of which ward, how the patient comes to it and his place on the list; `ordinary`: as of
`Stay`."""


def told(numbers: list[float], each: int) -> NDArray[np.float64]:
    """Numbers told one after the other, as a row for each so many."""
    return np.fromiter(numbers, dtype=np.float64, count=len(numbers)).reshape(-1, each)


@kernel
def ask(
    tables: CareTables, inpatients: Inpatients, wards: Any, intensive: Any, priority: Any, rows: Any, ward: Any,
    entry: Any, when: Any, courses: Any, numbers: Any, asked: Any,
) -> None:  # fmt: skip
    """Draw the stays of contacts who need a bed, and fill rows of ASKED: emergencies come first, then who is referred
    where the policy grants it; who needs intensive care begins there.

    `wards`: rows of level (of who runs it) and facility; `intensive`: ward of intensive care by facility and condition,
    -1 = none; `priority` by world; `ward`, `entry` and `when`: as they are sent; `courses`: rows of STAY, of which
    `numbers` are blank.
    """
    for i in range(len(rows)):
        stay, row, there = courses[numbers[i]], asked[i], wards[ward[i]]
        draw_stay(tables, rows[i], int(there["level"]), entry[i] == EMERGENCY, stay)
        world = int(stay["world"])
        row["world"], row["ward"], row["entry"], row["ordinary"] = world, ward[i], entry[i], -1
        by_class = entry[i] == EMERGENCY or priority[world]["priority"]
        row["rank"] = entry[i] if by_class else OTHER
        first = intensive[there["facility"], int(stay["condition"])] if stay["intensive"] > 0.0 else -1
        if first >= 0:
            row["ward"], row["ordinary"] = first, ward[i]
        count_request(inpatients, world, when[i], int(row["ward"]))


@kernel
def stay_outside(
    tables: CareTables, worlds: Any, ward: int, horizon: float, rows: Any, when: Any, stays: Any, legs: Any
) -> int:
    """Fill rows of LEG for contacts who need a bed at hospitals outside the area, home within the horizon; how many.

    `worlds`: rows of wait, of partner_wait and of stay, in minutes; `ward`: number of the ward that stands for all of
    them; `stays`: a row of STAY to write on.
    """
    number, stay = 0, stays[0]
    for i in range(len(rows)):
        who, there = rows[i], worlds[int(rows[i]["world"])]
        admitted = when[i] + (there["partner_wait"] if who["kind"] == TO_PARTNER else there["wait"])
        discharged = admitted + stay_shape(tables, who) * there["stay"]
        if not discharged < horizon:
            continue
        draw_stay(tables, who, Level.outside.value, False, stay)
        leg = legs[number]
        number += 1
        leg["world"], leg["key"], leg["person"] = stay["world"], stay["key"], stay["person"]
        leg["condition"], leg["need"] = stay["condition"], stay["need"]
        leg["ward"], leg["entry"], leg["came_from"] = ward, OTHER, -1
        leg["requested"], leg["admitted"] = when[i], admitted
        leg["discharged"], leg["first_admitted"] = discharged, admitted
        leg["to_step_down"] = leg["day_case"] = False
        leg["operation"], leg["weight"] = stay["operation"], stay["weight"]
    return number


@kernel
def _tell_legs(courses: Any, ended: Any, legs: Any) -> None:
    """Fill rows of LEG; a leg after a step down is a case of its own, without an operation."""
    for i in range(len(ended)):
        leg, end = legs[i], ended[i]
        course = courses[int(end[COURSE])]
        leg["world"], leg["key"], leg["person"] = course["world"], course["key"], course["person"]
        leg["condition"], leg["need"] = course["condition"], course["need"]
        leg["ward"], leg["entry"], leg["came_from"] = end[WARD], end[ENTRY], end[CAME_FROM]
        leg["requested"], leg["admitted"] = end[REQUESTED], end[ADMITTED]
        leg["discharged"], leg["first_admitted"] = end[DISCHARGED], end[FIRST_ADMITTED]
        leg["to_step_down"], leg["day_case"] = end[TO_STEP_DOWN] != 0.0, end[AS_DAY_CASE] != 0.0
        first = end[CAME_FROM] < 0.0
        leg["operation"] = course["operation"] if first else 0
        leg["weight"] = course["weight"] if first else course["recovery_weight"]


class Hospital:
    """The bed pools of one replication, and what stays ask of the world around them."""

    def __init__(
        self, env: Clock, pools: list[BedPool], discharge_hours: tuple[int, int],
        admission_hours: tuple[int, int] = (0, 24), recovery_starts_on_transfer: bool = False,
        courses: Courses | None = None,
    ) -> None:  # fmt: skip
        """`courses`: kept together with those of other replications."""
        self.env = env
        self.pools = pools
        self.courses = Courses() if courses is None else courses
        self.recovery_starts_on_transfer = recovery_starts_on_transfer
        self.deadlocks: dict[tuple[int, ...], float] = {}
        """Wards that block each other for ever, and since which minute."""
        self.discharges = _minutes(discharge_hours)
        self.admissions = _minutes(admission_hours)
        self.release_after = 24.0 * 60
        self.sessions: list[tuple[int, int, Places]] = []
        """Theatres and day centres: facility, kind (`records.PLACES`), and what is taken in them."""
        self.theatres: dict[int, Places] = {}
        """Theatres by ward; patients of other wards are operated on when they are due."""
        self.day_centres: dict[int, Places] = {}
        """Day centre by ward."""
        self.operation_after = self.exam_after = self.day_case_minutes = self.day_share = 0.0
        """Minutes from admission until a planned operation is due, and an exam; minutes of a day case; of planned stays
        that suit one, the share, in force, who are to be one."""
        self.paused, self.ill_with_it = 0.0, frozenset[int]()
        """Share of planned admissions put off; conditions of the epidemic, which are not."""
        self.put_off: dict[int, Stay] = {}
        """Stays put off, by key, in the order in which they asked."""
        self.legs: list[float] = []
        """Legs ended since the ledger was last written, OF_LEG numbers each."""
        self.orders: list[Stay] = []
        """Stays admitted since requests were last answered that need an exam with large equipment."""
        self.admitted: list[float] = []
        """Patients admitted to a first bed since the ledger was last written, OF_ADMISSION numbers each."""
        self.goes_down: Callable[[Course, int], bool]
        """Whether a stay whose acute phase ends steps down, by the rules in force."""
        self.downstream: Callable[[Course, int], list[int]]
        """Wards to which it could go, nearest first."""
        self.gives_up: Callable[[Stay], None]
        """A patient left the waiting list."""

    def ended(self) -> Legs:
        """Legs ended since the ledger was last written, complete."""
        return legs_of(self.courses, told(self.legs, OF_LEG))

    def add_sessions(self, facility: int, kind: int, places: Places, wards: list[int]) -> None:
        """Theatres or a day centre, for the patients of some wards."""
        self.sessions.append((facility, kind, places))
        (self.theatres if kind == THEATRE else self.day_centres).update(dict.fromkeys(wards, places))

    def discharge_at(self, minute: float) -> float:
        """The first minute at or after `minute` at which patients are discharged."""
        return _within(minute, self.discharges)

    def admission_at(self, minute: float) -> float:
        """The same of planned admissions."""
        return _within(minute, self.admissions)

    def freed(self, pool: BedPool, bed: int, now: float) -> None:
        """A bed is empty: hold it or give it to the next; a held one is released later if it stays empty."""
        if pool.set_aside:
            if pool.empty(bed):
                self.env.schedule(Cleaned(self, pool), RELEASES, pool.cleaning_minutes)
            return
        if pool.leave(bed, now):
            self.watch(pool)
        if pool.waiting:
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
        """A ward comes into service, or goes on with another number of beds."""
        for _ in range(pool.open(now)):
            self.watch(pool)
        pool.serve()

    def pause(self, share: float, ill_with_it: set[int]) -> None:
        """Put a share of planned admissions off from now on; who no longer is asks again, within the hours for that."""
        self.paused, self.ill_with_it = share, frozenset(ill_with_it)
        for key, stay in list(self.put_off.items()):
            if not stay.is_put_off():
                del self.put_off[key]
                stay.ask_again(self.admission_at(self.env.now))

    def watch(self, pool: BedPool) -> None:
        """Come back when the bed held now would be released."""
        self.env.schedule(Release(self.env, pool), RELEASES, self.release_after)

    def look_for_deadlock(self, now: float) -> None:
        """Wards with nobody in them but patients who wait for each other's beds stay so for ever: keep it in mind."""
        wanted: dict[int, list[int]] = {}
        for pool in self.pools:
            for who in pool.everybody_waiting():
                if isinstance(who, Stay) and who.phase == BLOCKED:
                    wanted.setdefault(who.pool.number, []).append(pool.number)
        stuck = {n for n, wards in wanted.items() if len(wards) == self.pools[n].beds}
        while some := {n for n in stuck if not stuck.issuperset(wanted[n])}:
            stuck -= some
        if stuck:
            self.deadlocks.setdefault(tuple(sorted(stuck)), now)


def legs_of(courses: Courses, ended: NDArray[np.float64]) -> Legs:
    """Rows of LEG for ended legs as they were told, (legs, OF_LEG)."""
    legs = np.empty(len(ended), dtype=LEG)
    _tell_legs(courses.rows, ended, legs)
    return legs


def admissions_of(courses: Courses, came: NDArray[np.float64]) -> NDArray[Any]:
    """Rows of ADMISSION, of residents, for admissions as they were told, (admissions, OF_ADMISSION)."""
    admissions, number = np.empty(len(came), dtype=ADMISSION), came[:, 0].astype(np.int64)
    for name in ("world", "person"):
        admissions[name] = courses.rows[name][number]
    admissions["time"] = came[:, 1]
    return admissions[admissions["person"] >= 0]


def _minutes(hours: tuple[int, int]) -> tuple[float, float]:
    return hours[0] * 60.0, hours[1] * 60.0


def _within(minute: float, minutes: tuple[float, float]) -> float:
    """The first minute, from this one on, between two minutes of the day."""
    of_day = minute % DAY
    if of_day < minutes[0]:
        return minute - of_day + minutes[0]
    if of_day >= minutes[1]:
        return minute - of_day + DAY + minutes[0]
    return minute


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
        "admitted", "bed", "blocked_from", "came_from", "due", "ends", "entry", "first_admitted", "home_at",
        "hoped_for", "hospital", "late", "number", "ordinary", "phase", "pool", "rank", "ready", "requested",
    )  # fmt: skip

    def __init__(
        self, hospital: Hospital, number: int, ward: int, entry: int, rank: int, when: float, ordinary: int = -1
    ) -> None:
        """`number`: of the course; `ordinary`: the ward to which the patient goes on, where `ward` is one of intensive
        care; -1 = it is none."""
        self.hospital, self.number = hospital, number
        self.pool, self.ordinary = hospital.pools[ward], ordinary
        self.entry, self.rank = entry, rank
        self.phase = ASKS
        self.requested = when
        self.hoped_for: BedPool | None = None
        self.came_from = -1
        if entry != EMERGENCY and hospital.admissions != AT_ANY_HOUR:
            when = hospital.admission_at(when)
        self._at(when, REQUESTS, hospital.env._now)

    @property
    def course(self) -> Course:
        """What was true of the stay before it began."""
        return self.hospital.courses[self.number]

    @property
    def asks_as(self) -> int:
        """How the patient would come to the bed that he waits for."""
        return STEP_DOWN if self.phase == BLOCKED else self.entry

    def _at(self, minute: float, priority: EventPriority, now: float) -> None:
        """Act next at this minute; an older date still in the queue is then stale and passes without effect."""
        self.due = due = now + (minute - now) if minute > now else now
        # what `Clock.put` says, in its own words: this is called two or three times for each stay
        env = self.hospital.env
        entry = due, priority, next(env._eid), self
        if due < env._tomorrow:
            heappush(env._queue, entry)
        else:
            env._pages[due // DAY].append(entry)

    def act(self, now: float) -> None:
        """The date has come."""
        if now < self.due:
            return
        self.due, phase = inf, self.phase
        if phase == ASKS:
            self._ask(now)
        elif phase in OUTWARD:
            self._go_home(now)
        elif phase == ACUTE:
            self._end_acute(now)
        elif phase == INTENSIVE:
            self._leave_intensive(now)
        elif phase == HELD_UP:
            self._end_held_up(now)
        elif phase == DAY_CASE:
            self._leave_day_centre(now)
        else:
            self._give_up()

    # ------------------------------------------------------------------------------------------------------- the way in

    def is_put_off(self) -> bool:
        """Whether this is a planned admission among those put off now (M41)."""
        hospital, course = self.hospital, self.course
        if self.entry == EMERGENCY or hospital.paused <= 0.0 or course.condition in hospital.ill_with_it:
            return False
        return uniform_of(np.uint64(course.key), Purpose.PUT_OFF, 0) < hospital.paused

    def _wait_for_the_end_of_it(self, now: float) -> None:
        """Until fewer are put off, or patience is over."""
        gone = self.requested + self.course.patience
        if now >= gone:
            del self.hospital.put_off[self.course.key]
            self.hospital.gives_up(self)
            return
        self.hospital.put_off[self.course.key] = self
        if gone < inf:
            self._at(gone, REQUESTS, now)

    def ask_again(self, minute: float) -> None:
        """The pause is over: ask for a bed then."""
        self._at(minute, REQUESTS, self.hospital.env._now)

    def _ask(self, now: float) -> None:
        if self.hospital.paused > 0.0 and self.is_put_off():
            self._wait_for_the_end_of_it(now)
            return
        if self.hospital.day_share > 0.0 and self._comes_for_a_day(now):
            return
        bed = self.pool.bed_for(self.entry)
        if bed is not None:
            self._admit(bed, now)
            return
        if not self.pool.in_service:
            self.hospital.gives_up(self)
            return
        self.phase = WAITS
        self.pool.wait(self)
        if (patience := self.course.patience) < inf:
            self._at(self.requested + patience, REQUESTS, now)

    def lie_down(self) -> None:
        """Be in a bed already when the run begins; the request that was announced passes without effect."""
        bed = self.pool.bed_for(self.entry)
        assert bed is not None, "who lies in a bed has found one"
        self._admit(bed, self.hospital.env._now)

    def _comes_for_a_day(self, now: float) -> bool:
        """Instead of a bed a place at the day centre, if the stay suits one and there is a place within patience."""
        hospital = self.hospital
        centre = hospital.day_centres.get(self.pool.number)
        if centre is None or self.entry == EMERGENCY:
            return False
        course = self.course
        if not is_day_case(course.day_case, hospital.day_share):
            return False
        minute = centre.take(now, self.requested + course.patience)
        if minute == inf:
            return False
        self.phase = DAY_CASE
        self.admitted = self.first_admitted = minute
        self._at(home_from_day_centre(minute, hospital.day_case_minutes), RELEASES, now)
        return True

    def _give_up(self) -> None:
        self.pool.give_up(self)
        self.hospital.gives_up(self)

    def turned_away(self, pool: BedPool, now: float) -> None:
        """The ward for which this patient waits closes: to another one, or on in the bed that is kept meanwhile."""
        self.due = inf
        if self.phase == WAITS:
            self._give_up()
            return
        phase = self.phase
        self._stop_waiting(now)
        if phase == HELD_UP:
            self._go_on(now)
        else:
            self._look_downstream(now)

    def bed_granted(self, pool: BedPool, bed: int) -> None:
        """A bed is free now: admission, the way out of intensive care, or the step down waited for."""
        now = self.hospital.env._now
        if self.phase >= ACUTE:
            self._step_down(pool, bed, now)
        elif self.phase == HELD_UP:
            self._move(pool, bed, now)
        else:
            self._admit(bed, now)

    def _admit(self, bed: int, now: float) -> None:
        self.pool.take(bed)
        self.bed, self.admitted, self.first_admitted = bed, now, now
        hospital, number = self.hospital, self.number
        courses = hospital.courses
        hospital.admitted += (number, now)
        if courses.exam.item(number) >= 0:
            hospital.orders.append(self)
        self.late = 0.0
        self.ready = now + courses.acute.item(number)
        self.ends = ends = now + courses.minutes.item(number)
        self.home_at = _within(ends, hospital.discharges)
        if self.ordinary >= 0:
            self.phase = INTENSIVE
            self._at(min(now + self.course.intensive, self.home_at), RELEASES, now)
        else:
            self._go_on(now)
        if hospital.theatres:
            self._wait_for_theatre(now)

    def _wait_for_theatre(self, now: float) -> None:
        """A planned operation takes the next place in a session of theatres, where there are any."""
        theatre, course = self.hospital.theatres.get(self.pool.number), self.course
        if theatre is None or self.entry == EMERGENCY or not course.operation:
            return
        due = operation_due(now, self.hospital.operation_after, min(course.acute, course.minutes))
        self.prolong(min(theatre.take(due), theatre.sessions.end) - due, LATE_OPERATION, now)

    def _leave_day_centre(self, now: float) -> None:
        self.hospital.admitted += (self.number, self.admitted)
        self._leave(now, to_step_down=False)

    def _go_on(self, now: float) -> None:
        """Stay until the acute phase is over, and if nothing follows it until recovery is."""
        if self.ready <= self.home_at:
            self.phase = ACUTE
            self._at(self.ready, RELEASES, now)
        else:
            self.phase = RECOVERS
            self._at(self.home_at, RELEASES, now)

    def prolong(self, minutes: float, cause: int, now: float) -> None:
        """What the acute phase waits for comes so much later, and with it all that follows (R25); unless it is over.

        Where several things come late the latest counts.
        """
        if minutes <= self.late or now >= self.ready or now >= self.home_at:
            return
        self.late, minutes = minutes, minutes - self.late
        self.pool.blocked[cause] += minutes
        self.ready += minutes
        self._recover_until(self.ends + minutes)
        if self.phase == HELD_UP:
            self._at(min(self.ready, self.home_at), RELEASES, now)
        elif self.phase != INTENSIVE:
            self._go_on(now)

    # --------------------------------------------------------------------------------------------------- intensive care

    def _leave_intensive(self, now: float) -> None:
        """Into the ordinary ward; the bed is blocked until there is one."""
        if now >= self.home_at:
            self._go_home(now)
            return
        pool = self.hospital.pools[self.ordinary]
        bed = pool.bed_for(self.entry)
        if bed is not None:
            self._move(pool, bed, now)
        elif pool.in_service:
            self._wait_for(pool, HELD_UP, IN_HOUSE_RANK, now)
            self._at(min(self.ready, self.home_at), RELEASES, now)
        else:
            self._go_on(now)

    def _end_held_up(self, now: float) -> None:
        """The acute phase is over before a bed of the ordinary ward is free."""
        if now >= self.home_at:
            self._go_home(now)
        else:
            self._stop_waiting(now)
            self._end_acute(now)

    def _move(self, pool: BedPool, bed: int, now: float) -> None:
        """Go on to another ward of the same hospital, in one stroke; the stay there goes on."""
        if self.hoped_for is not None:
            self._blocked_until(now)
        pool.take(bed)
        old, old_bed = self.pool, self.bed
        old.moved_on += 1
        self.pool, self.bed = pool, bed
        self._go_on(now)
        self.hospital.freed(old, old_bed, now)

    # -------------------------------------------------------------------------------------------------------- step down

    def _end_acute(self, now: float) -> None:
        self.phase = ACUTE
        course = self.course
        if not self.hospital.goes_down(course, self.pool.number):
            self._recover(now)
            return
        if course.recovery > 0.0:
            self._recover_until(now + course.recovery)
        self._look_downstream(now)

    def _recover_until(self, ends: float) -> None:
        self.ends = ends
        self.home_at = self.hospital.discharge_at(ends)

    def _recover(self, now: float) -> None:
        """In the bed where the patient is."""
        self.phase = RECOVERS
        self._at(self.home_at, RELEASES, now)

    def _look_downstream(self, now: float) -> None:
        hospital = self.hospital
        pools = [hospital.pools[w] for w in hospital.downstream(self.course, self.pool.number)]
        for pool in pools:
            bed = pool.bed_for(STEP_DOWN)
            if bed is not None:
                self._step_down(pool, bed, now)
                return
        if not pools:
            self._start_recovery(now)
            self._recover(now)
            return
        self._wait_for(pools[0], BLOCKED, REFERRED_RANK, now)
        if hospital.recovery_starts_on_transfer:
            hospital.look_for_deadlock(now)
        else:
            self._at(self.home_at, RELEASES, now)

    def _start_recovery(self, now: float) -> None:
        """Where recovery starts on transfer only, it does now."""
        if self.hospital.recovery_starts_on_transfer:
            course = self.course
            self._recover_until(now + (course.recovery or course.minutes - course.acute))

    def _wait_for(self, pool: BedPool, phase: int, rank: int, now: float) -> None:
        """Ready for another bed, but none is free: wait for one in the bed that is therefore blocked."""
        self.phase, self.rank = phase, rank
        self.blocked_from = now
        self.hoped_for = pool
        pool.wait(self)

    def _stop_waiting(self, now: float) -> None:
        assert self.hoped_for is not None
        self.hoped_for.give_up(self)
        self._blocked_until(now)

    def _blocked_until(self, now: float) -> None:
        """The wait for another bed is over."""
        cause = NO_ORDINARY_BED if self.phase == HELD_UP else NO_BED_BELOW
        self.pool.blocked[cause] += now - self.blocked_from
        self.hoped_for = None

    def _step_down(self, pool: BedPool, bed: int, now: float) -> None:
        """Take the next bed, then free the old one; whose recovery ends this very minute goes home instead."""
        ready = now
        if self.hoped_for is not None:
            ready = self.blocked_from
            self._blocked_until(now)
        self._start_recovery(now)
        if now >= self.home_at:
            self.due = inf
            self._go_home(now)
            return
        pool.take(bed)
        old, old_bed = self.pool, self.bed
        self._leave(now, to_step_down=True)
        self.pool, self.bed, self.entry, self.came_from = pool, bed, STEP_DOWN, old.number
        self.requested, self.admitted = ready, now
        self._recover(now)
        self.hospital.freed(old, old_bed, now)

    # ------------------------------------------------------------------------------------------------------ the way out

    def _go_home(self, now: float) -> None:
        if self.hoped_for is not None:
            self._stop_waiting(now)
        if now > self.ends:
            self.pool.blocked[HOURS_OF_DISCHARGE] += now - self.ends
        self.ready = min(self.ready, now)
        self._leave(now, to_step_down=False)
        self.hospital.freed(self.pool, self.bed, now)

    def _leave(self, now: float, to_step_down: bool) -> None:
        """Write down the leg that ends, OF_LEG numbers."""
        self.hospital.legs += (
            self.number, self.pool.number, self.entry, self.came_from, self.requested, self.admitted, now,
            self.first_admitted, to_step_down, self.phase == DAY_CASE,
        )  # fmt: skip
