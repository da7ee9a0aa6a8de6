"""A patient on the move: the door, the visit, what comes of it, the bed.

One window at a time. Within a half-day the layers follow each other (R3): stations and clinics, centres, hospitals, the
lead hospital, emergency departments; who is sent on to a later layer and gets there in time is seen in the same
half-day, every other move joins the next window with its true time. Each step is told of one patient; rows of all
patients are dealt out to the piles on which they wait for what comes next.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sim import bookings, care, demand, doors, referral, slots, streams
from sim.beds import EMERGENCY as BY_EMERGENCY
from sim.bookings import ALL_HOSPITALS
from sim.choice import ALL_GRASSROOTS, HOSPITAL_DOORS, Choice, PerceivedWaits, Tables
from sim.contacts import (
    EXTRA,
    NEED,
    REFERRED,
    REFERRED_CONTRACTED,
    SECOND_LOOK,
    VISIT,
    WALK_IN,
    Diary,
    Rows,
    deal,
    in_order,
    join,
    take,
)
from sim.doors import (
    ASKS,
    BED,
    HOME,
    LATER,
    NEXT_WINDOW,
    OUTSIDE,
    PILES,
    People,
    Place,
    Told,
    Town,
    ask,
    channel_of,
    give_up,
    minutes_to,
    tell,
    through,
    tries_again,
    walk,
)
from sim.kernels import kernel, table
from sim.network import EMERGENCY_LAYER, LAYERS, Level
from sim.records import (
    COMPLETED,
    DECLINED,
    EMERGENCY_VISIT,
    FORMAL_CHANNEL,
    LAPSED,
    OUTPATIENT,
    REFERRAL,
    SELF_CHANNEL,
    Counts,
    Ledger,
    month_of,
    write_visit,
)
from sim.sessions import DONE, LEFT, Rooms, Seen, visit_key
from sim.slots import Offer, Pages, SlotBook
from sim.streams import Floats, Purpose
from sim.timetable import DAY, HALF_DAY, Timetable

MOST_VISITS = 12
"""Visits of one episode after which nobody is asked back (the counter of visits per level has four bits)."""
COUNTED_LEVELS = 6
WEEK = ("days", "requests", "minutes", "visits")
"""What is known of a week's waiting."""

NEAR_HOSPITAL = 1 << HOSPITAL_DOORS[0]
"""The secondary hospitals' door, as a bit."""


class Journey:
    """Everybody who is on the way in one batch of replications."""

    def __init__(
        self, place: Place, people: People, timetable: Timetable, hours: NDArray[Any], choice: Choice,
        waits: PerceivedWaits, rooms: Rooms, book: SlotBook, ledger: Ledger,
    ) -> None:  # fmt: skip
        self.timetable, self.choice, self.waits = timetable, choice, waits
        self.rooms, self.book, self.ledger = rooms, book, ledger
        self.points, self.worlds = len(place.points), len(people.worlds)
        nothing = np.zeros(self.worlds * self.points, dtype=np.int64)
        service = table(clinic=book.row_of, days=nothing, requests=nothing, minutes=nothing, visits=nothing)
        self.town = Town(place, people, choice.tables(), rooms.tables, hours, book.pages(), service, ledger.by_visit())
        self.diary = Diary(timetable.windows, timetable.window)
        self.waiting: list[list[Rows]] = [[] for _ in range(PILES)]
        """Contacts of this window, by pile."""
        self.told: list[NDArray[Any]] = []
        """Steps of referrals in this window."""
        self.offer: Callable[[int], Offer]
        """What the policy makes of the lead hospital's sessions on a day of the run."""
        self.ask_for_bed: Callable[[Rows, NDArray[np.int64], NDArray[np.int64], Floats], None]
        self.stay_outside: Callable[[Rows, Floats], None]

    def put_in_force(
        self, levers: dict[str, NDArray[Any]], contracted: NDArray[np.bool_], gated: NDArray[np.bool_],
        release_days: NDArray[np.int64],
    ) -> None:  # fmt: skip
        """The rules from today on.

        `levers`: what the rows of `doors.People.worlds` hold beside habits, and `release_days`, days before a session
        at which its held slots are released, (W,) each; `contracted` and `gated`: of `doors.People`.
        """
        self.release_days = release_days
        worlds = table(**self.choice.habits(), **levers)
        people = self.town.people._replace(worlds=worlds, contracted=contracted, gated=gated)
        self.town = self.town._replace(people=people)

    def renew_choice(self) -> None:
        """Monday 00:00: what people believe about waiting takes in the week that has passed (R14)."""
        service = self.town.service.reshape(self.worlds, self.points)
        self.waits.renew(*(service[name] for name in WEEK))
        for name in WEEK:
            service[name] = 0
        self.choice.renew(self.waits)
        self.renew_tables()

    def renew_tables(self) -> None:
        """What people choose by has changed."""
        self.town = self.town._replace(tables=self.choice.tables())

    # ------------------------------------------------------------------------------------------------------- one window

    def open_window(self, number: int, needs: Rows) -> None:
        """Everything that happens at open service points in one window."""
        self.number, self.end = number, (number + 1) * self.timetable.window
        due = join([needs, *self.diary.due(number)])
        self._deal(due, lambda piles, told: set_out(self.town, due, self.end, piles))
        for layer in range(LAYERS):
            self._open_layer(layer)
        if self.end % HALF_DAY == 0:
            self._settle()
        self._close_window()

    def _deal(self, rows: Rows, step: Callable[[NDArray[np.int64], Told], None]) -> None:
        """Let all rows take a step, then put each on the pile it says."""
        if not len(rows):
            return
        piles = np.empty(len(rows), dtype=np.int64)
        told = Told(np.empty(MOST_TOLD * len(rows), dtype=REFERRAL), np.zeros(1, dtype=np.int64))
        step(piles, told)
        for pile, part in zip(self.waiting, deal(rows, piles, PILES), strict=True):
            if len(part):
                pile.append(part)
        if told.number[0]:
            self.told.append(told.rows[: told.number[0]].copy())

    def _pick_up(self, pile: int) -> Rows:
        """All rows of a pile, which is then empty."""
        parts, self.waiting[pile] = self.waiting[pile], []
        return join(parts)

    def _open_layer(self, layer: int) -> None:
        """The waiting rooms of a layer: who gets in, who is seen, and what comes of it."""
        rows = self._pick_up(layer)
        if not len(rows):
            return
        points = rows["point"].astype(np.int64)
        rows = self._admit_walk_ins(in_order(rows, points, self.worlds * self.points), layer)
        if not len(rows):
            return
        town = self.town
        seen = self.rooms.see(rows, town.people.worlds, self.end)
        self._keep_visits(rows, seen)
        self._deal(rows, lambda piles, told: what_next(town, rows, *seen, layer, self.end, piles, told))

    def _admit_walk_ins(self, rows: Rows, layer: int) -> Rows:
        """Those who get in; the others ask for an appointment."""
        if layer >= EMERGENCY_LAYER:
            return rows
        piles = np.full(len(rows), layer)
        town = self.town
        if not admit_walk_ins(town.place.points, town.service, town.pages, town.counts, rows, self.end, piles):
            return rows
        parts = deal(rows, piles, PILES)
        for pile in (ASKS, LATER):
            self.waiting[pile].append(parts[pile])
        return parts[layer]

    def _settle(self) -> None:
        """End of a half-day: requests are settled, first doors before next doors (R5)."""
        self._close_half_day()
        while len(rows := self._pick_up(ASKS)):
            self._answer(bookings.in_turn(rows, self.town.people.worlds["priority"]))

    def _answer(self, rows: Rows) -> None:
        first, now = self.book.first, self.end
        self._deal(rows, lambda piles, told: bookings.settle(self.town, rows, first, now, piles, told))

    def _close_window(self) -> None:
        """Those who need a bed ask for it, those who leave the area are written down, the others wait in the diary."""
        self._send_to_beds(self._pick_up(BED))
        leaving = self._pick_up(OUTSIDE)
        if len(leaving):
            write_outside(self.town.counts, self.town.place.facilities, self.town.tables.conditions, leaving)
            admitted = np.flatnonzero(leaving["admit"])
            if len(admitted):
                self.stay_outside(take(leaving, admitted), leaving["time"][admitted])
        self.diary.push(self._pick_up(LATER), self.number + 1)
        self.diary.hand_on(self._pick_up(NEXT_WINDOW), self.number + 1)
        if self.told:
            self.ledger.add_referrals(np.concatenate([t.view(np.uint64) for t in self.told]).view(REFERRAL))
            self.told.clear()

    def _send_to_beds(self, rows: Rows) -> None:
        if not len(rows):
            return
        point = self.town.place.points[rows["point"] % self.points]
        ward = self.town.place.offers["ward"][point["facility"], rows["condition"]]
        entry = np.where(point["emergency"], BY_EMERGENCY, rows["cls"].astype(np.int64) + 1)
        self.ask_for_bed(rows, ward, entry, rows["time"])

    def _keep_visits(self, rows: Rows, seen: Seen) -> None:
        """The rows of visits that are over, where rows are wanted."""
        if self.ledger.rows is None:
            return
        over = np.flatnonzero((seen.status == DONE) | (seen.status == LEFT))
        rows, left = rows[over], seen.status[over] == LEFT
        number = rows["point"] % self.points
        point = self.town.place.points[number]
        self.ledger.keep(
            "visits", world=rows["world"].astype(np.int64), episode=rows["key"], person=rows["person"],
            condition=rows["condition"], facility=point["facility"], point=number,
            kind=np.where(point["emergency"], EMERGENCY_VISIT, OUTPATIENT), cls=rows["cls"].astype(np.int64),
            entry=rows["entry"].astype(np.int64),
            time=np.where((rows["stage"] == SECOND_LOOK) & ~left, rows["wanted"], rows["time"]),
            begin=np.where(left, np.nan, seen.begin[over]), end=seen.end[over], left=left,
        )  # fmt: skip

    # ------------------------------------------------------------------------------------------------ appointment books

    def open_books(self) -> None:
        """Before the first window: the book of every half-day within the booking horizon."""
        for h in range(self.book.columns):
            self.book.offer(h, self.offer(h // 2))
        self.book.open_extra()

    def release_slots(self, day: int) -> None:
        """00:00: held slots of the days that have come near enough are open to all from now on."""
        for ahead in range(int(self.release_days.max()) + 1):
            which = self.release_days >= ahead
            for half in (0, 1):
                h = 2 * (day + ahead) + half
                if h < self.book.first + self.book.columns:
                    released = self.book.release(h, which)
                    if released.any():
                        self._write_slots(h, released=released)

    def _write_slots(self, half_day: int, **amounts: NDArray[np.int64]) -> None:
        minute = half_day * HALF_DAY
        if minute < self.timetable.horizon:
            world, point = np.divmod(self.book.bookable, self.points)
            month = int(self.timetable.month[int(minute // DAY)])
            self.ledger.slots.add(self.ledger.slots.index(world, month, point), **amounts)

    def _close_half_day(self) -> None:
        half = self.book.first
        self._write_slots(half, **self.book.close())
        last = self.book.first + self.book.columns - 1
        self.book.offer(last, self.offer(last // 2))
        self.book.open_extra()


# ------------------------------------------------------------------------------------------------------ who comes today

MOST_TOLD = 3
"""Steps of referrals that one patient can take in one stroke."""


@kernel
def set_out(town: Town, rows: Rows, window_end: float, piles: Any) -> None:
    """All contacts of a window: needs find a door, requests are handed in, visitors go to their waiting room."""
    points, worlds = town.place.points, town.people.worlds
    for i in range(len(rows)):
        who = rows[i]
        if who["kind"] == NEED:
            spared = is_spared(town.people, who)
            if who["doors"] == 0:
                doors.count_need(town.counts, who, spared)
            if spared:
                piles[i] = HOME
                continue
            point = doors.first_point(town.place, town.people, town.tables, who)
            piles[i] = through(points, worlds, town.hours, who, point, window_end, -1)
        elif who["kind"] == VISIT:
            piles[i] = points[int(who["point"]) % len(points)]["layer"]
        else:
            piles[i] = ASKS


@kernel
def is_spared(people: People, who: Any) -> bool:
    """A follow-up that a long prescription makes unnecessary."""
    if who["panel"] < 0 or who["doors"] > 0:
        return False
    share = people.worlds[int(who["world"])]["long_prescription"]
    return demand.falls_away(people.usual[int(who["panel"])]["key"], int(who["nth"]), share)


@kernel
def admit_walk_ins(
    points: Any, service: Any, pages: Pages, counts: Counts, rows: Rows, window_end: float, piles: Any
) -> int:
    """In a bookable clinic a walk-in takes what is free, then an extra place, then asks for an appointment (R6).

    Rows come by service point, place in line, id; fills the piles of those turned away and returns their number.
    """
    away = 0
    for i in range(len(rows)):
        who = rows[i]
        point = points[int(who["point"]) % len(points)]
        if who["entry"] != WALK_IN or who["stage"] == SECOND_LOOK or not point["bookable"]:
            continue
        clinic = service[int(who["point"])]["clinic"]
        who["entry"] = slots.admit_walk_in(pages.slots[clinic, 0], pages.clinics[clinic])
        _write_walk_in(counts, who, point["facility"])
        if who["entry"] == WALK_IN:
            piles[i] = ask(who, window_end)
            away += 1
    return away


@kernel
def _write_walk_in(counts: Counts, who: Any, facility: int) -> None:
    world, cls = int(who["world"]), int(who["cls"])
    month = month_of(counts, who["time"])
    if who["entry"] == WALK_IN:
        counts.visits[world, month, facility, int(who["person"] >= 0), OUTPATIENT, cls]["turned_away"] += 1
    elif who["entry"] == EXTRA:
        counts.bookings[world, month, facility, cls]["extra"] += 1
    else:
        counts.bookings[world, month, facility, cls]["walk_in"] += 1


@kernel
def write_outside(counts: Counts, facilities: Any, conditions: Any, rows: Rows) -> None:
    """Care outside the area: no queue here, the visit is written down.

    `facilities`: of Place, the last of them outside; `conditions`: of choice.Tables.
    """
    outside = len(facilities) - 1
    for i in range(len(rows)):
        who = rows[i]
        kind = EMERGENCY_VISIT if conditions[int(who["condition"])]["is_emergency"] else OUTPATIENT
        write_visit(counts, who, who["time"], outside, facilities[outside], kind, 0.0, False)


# ----------------------------------------------------------------------------------------------- what comes of a visit


@kernel
def what_next(
    town: Town, rows: Rows, begin: Any, end: Any, status: Any, layer: int, window_end: float, piles: Any, told: Told
) -> None:
    """What comes of the visits of a layer; who has not been seen yet stays on in the building."""
    points, worlds = town.place.points, town.people.worlds
    for i in range(len(rows)):
        who = rows[i]
        if status[i] != DONE and status[i] != LEFT:
            piles[i] = NEXT_WINDOW
            continue
        point = points[int(who["point"]) % len(points)]
        left = status[i] == LEFT
        until = end[i] if left else begin[i]
        _write_down(town.counts, town.service, point, town.place.facilities[point["facility"]], who, until, left)
        if not left:
            piles[i] = _seen(town, who, point, end[i], layer, window_end, told)
        elif tries_again(points, worlds, who):
            piles[i] = _another_day(who)
        else:
            piles[i] = give_up(town.counts, who)


@kernel
def _write_down(counts: Counts, service: Any, point: Any, facility: Any, who: Any, until: float, left: bool) -> None:
    """A visit that is over; `until`: when the wait ended; `point` and `facility`: their rows."""
    place = who["wanted"] if who["stage"] == SECOND_LOOK and not left else who["time"]
    kind = EMERGENCY_VISIT if point["emergency"] else OUTPATIENT
    write_visit(counts, who, place, point["facility"], facility, kind, until - place, left)
    here = service[int(who["point"])]
    here["minutes"] += int(np.rint(until - place))
    here["visits"] += 1


@kernel
def _another_day(who: Any) -> int:
    """Who left the waiting room comes back another day through another door."""
    who["kind"], who["stage"], who["time"] = NEED, 0, who["time"] + DAY
    return LATER


@kernel
def _seen(town: Town, who: Any, point: Any, end: float, layer: int, window_end: float, told: Told) -> int:
    """A patient has been seen: home, back another day, a bed, or up."""
    place, level = town.place, point["level"]
    visit = visit_key(who, level)
    if who["origin"] >= 0 and who["doors"] == 0:
        tell(told, who, point["facility"], channel_of(who), COMPLETED)
    _examined(town, who, point, visit)
    who["stage"], who["begun"], who["origin"] = 0, 0.0, -1
    who["seen"] = int(who["seen"]) + (1 << (4 * level))
    if able(place.offers, who, point["facility"]):
        if who["admit"] == 1:
            who["time"] = end
            return BED
        if point["emergency"]:
            return HOME
        _hand_down(town, who, point)
        return _asked_back(town.care.conditions, town.hours, who, point, visit, end, window_end)
    if _is_settled(town, who, point, visit):
        return _asked_back(town.care.conditions, town.hours, who, point, visit, end, window_end)
    who["origin"] = point["facility"]
    if point["emergency"]:
        to = _transferred(place, town.people, who, end)
    else:
        outcome = _sent_up(place, town.people, who, visit, told)
        if outcome == referral.STAYS and who["admit"] == 0:
            who["origin"] = -1
            return _asked_back(town.care.conditions, town.hours, who, point, visit, end, window_end)
        if outcome == referral.STAYS or outcome == referral.LAPSED:
            return HOME
        if outcome == referral.FORMAL:
            to = _referred(place, town.people, who, visit, end)
        else:
            to = _alone(place, town.people, town.tables, who, end, told)
    return through(place.points, town.people.worlds, town.hours, who, to, window_end, layer)


@kernel
def _examined(town: Town, who: Any, point: Any, visit: np.uint64) -> None:
    """Count the exam of a visit that is over, and keep in mind who made it."""
    world, facility = int(who["world"]), point["facility"]
    recognised = town.people.worlds[world]["recognised"]
    exam = care.exam(town.care, visit, who, facility, point["level"], recognised)
    if exam == care.NO_EXAM:
        return
    here = town.counts.exams[world, month_of(town.counts, who["time"]), facility]
    if exam == care.RECOGNISED:
        here["recognised"] += 1
    elif exam == care.TRUSTED:
        here["trusted"] += 1
    else:
        here["made"] += 1
        here["repeated"] += int(exam == care.REPEATED)
        who["examined"] = facility + 1


@kernel
def _hand_down(town: Town, who: Any, point: Any) -> None:
    """A hospital of a group hands a stable long-term patient to the grassroots door that suits best (M08)."""
    stable = who["panel"] >= 0 and who["need"] <= 2 and point["level"] >= Level.secondary
    if not stable or not town.place.facilities[point["facility"]]["in_group"]:
        return
    world, patient = int(who["world"]), town.people.usual[int(who["panel"])]
    if not referral.handed_down(patient["key"], town.people.worlds[world]["sent_down"]):
        return
    near = doors.choose(town.people, town.tables, who, ALL_GRASSROOTS, False)
    if near >= 0:
        patient["point"] = near
        month = month_of(town.counts, who["time"])
        town.counts.helped[world, month, point["facility"]]["handed_down"] += 1


@kernel
def _is_settled(town: Town, who: Any, point: Any, visit: np.uint64) -> bool:
    """A need beyond a grassroots member that a specialist of the group settles there; no bed is needed."""
    grassroots = point["level"] < Level.secondary and town.place.facilities[point["facility"]]["has_channel"]
    if not grassroots or point["emergency"] or who["person"] < 0 or who["admit"] == 1:
        return False
    world = int(who["world"])
    by = referral.settled(town.people.worlds[world], visit)
    here = town.counts.helped[world, month_of(town.counts, who["time"]), point["facility"]]
    if by == referral.REMOTE:
        here["remote"] += 1
    elif by == referral.SPECIALIST:
        here["specialist"] += 1
    return by != referral.NOBODY


@kernel
def able(offers: Any, who: Any, facility: int) -> bool:
    """Whether a facility can give what an episode needs, the bed included."""
    offer = offers[facility, int(who["condition"])]
    return offer["capability"] >= int(who["need"]) and (who["admit"] == 0 or offer["ward"] >= 0)


@kernel
def _asked_back(
    conditions: Any, hours: Any, who: Any, point: Any, visit: np.uint64, end: float, window_end: float
) -> int:
    """Some of those treated are asked back to the same place."""
    condition = conditions[int(who["world"]), int(who["condition"])]
    asked = streams.uniform_of(visit, Purpose.FOLLOW_UP, 0) < condition["follow_up"]
    if not asked or _visits(int(who["seen"])) >= MOST_VISITS:
        return HOME
    spread = 0.8 + 0.4 * streams.uniform_of(visit, Purpose.FOLLOW_UP_TIME, 0)
    who["time"] = end + condition["follow_up_minutes"] * spread
    return ask(who, window_end) if point["bookable"] else walk(point, hours, who, window_end, LAYERS)


@kernel
def _visits(seen: int) -> int:
    """Visits of an episode so far, at all levels."""
    number = 0
    for level in range(COUNTED_LEVELS):
        number += (seen >> (4 * level)) & 15
    return number


# ------------------------------------------------------------------------------------------------------------ going up


@kernel
def _sent_up(place: Place, people: People, who: Any, visit: np.uint64, told: Told) -> int:
    """What comes of a patient who needs more than the place gives; refusal and lapse are written down."""
    facility = place.facilities[int(who["origin"])]
    formal_possible = facility["has_channel"] and who["person"] >= 0
    outcome = referral.up(people.worlds[int(who["world"])], visit, formal_possible)
    if outcome == referral.DECLINED:
        tell(told, who, facility["lead"], FORMAL_CHANNEL, DECLINED)
    elif outcome == referral.LAPSED:
        tell(told, who, facility["lead"], FORMAL_CHANNEL, LAPSED)
    return outcome


@kernel
def _referred(place: Place, people: People, who: Any, visit: np.uint64, end: float) -> int:
    """The platform, after its delay, asks the receiving hospital for an appointment; the patient is on the way."""
    world, facility = people.worlds[int(who["world"])], int(who["origin"])
    target, member = place.facilities[facility]["lead"], place.offers[facility, int(who["condition"])]["member"]
    to_lead = streams.uniform_of(visit, Purpose.UP_CHOICE, 0) < world["to_lead"]
    if who["need"] <= 3 and member >= 0 and member != facility and not to_lead:
        target = member
    contracted = people.contracted[int(who["world"]), int(who["person"])]
    who["cls"], who["doors"] = REFERRED_CONTRACTED if contracted else REFERRED, 0
    who["time"] = end + max(world["delay_days"] * DAY, minutes_to(place, people, who, target))
    return place.offers[target, int(who["condition"])]["point"]


@kernel
def _alone(place: Place, people: People, tables: Tables, who: Any, end: float, told: Told) -> int:
    """Self-referral: a hospital of the patient's choice if it is able to help, else the lead's, else outside."""
    who["doors"] = 0
    allowed = ALL_HOSPITALS & ~NEAR_HOSPITAL if who["need"] > 3 else ALL_HOSPITALS
    point = doors.choose(people, tables, who, allowed, False)
    if point >= 0 and not able(place.offers, who, place.points[point]["facility"]):
        helps = (
            place.lead >= 0 and place.lead != place.points[point]["facility"] and able(place.offers, who, place.lead)
        )
        point = place.offers[place.lead, int(who["condition"])]["point"] if helps else -1
    target = place.points[point]["facility"] if point >= 0 else len(place.facilities) - 1
    who["time"] = end + minutes_to(place, people, who, target)
    if point < 0:
        tell(told, who, target, SELF_CHANNEL, COMPLETED)
    return point


@kernel
def _transferred(place: Place, people: People, who: Any, end: float) -> int:
    """An emergency beyond the department goes on to the lead hospital's, or out of the area."""
    lead = place.lead
    who["time"] = end
    if lead < 0 or lead == who["origin"] or place.emergency_point[lead] < 0:
        return -1
    who["time"] = end + minutes_to(place, people, who, lead)
    return place.emergency_point[lead]
