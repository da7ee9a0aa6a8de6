"""A patient on the move: setting out, the waiting room, the bed.

One window at a time. Within a half-day the layers follow each other (R3): stations and clinics, centres, hospitals, the
lead hospital, emergency departments; who is sent on to a later layer and gets there in time is seen in the same
half-day, every other move joins the next window with its true time. Each step is told of one patient, and says on which
pile the patient's row is to wait for what comes next.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sim import bookings, demand, doors, sessions, slots
from sim.beds import EMERGENCY as BY_EMERGENCY
from sim.choice import Choice, PerceivedWaits
from sim.contacts import (
    EXTRA,
    FIRST_LOOK,
    FOLLOW_UP,
    MADE_UP,
    NEED,
    VISIT,
    WALK_IN,
    Crowd,
    Diary,
    Rows,
    join,
    line_up,
    put,
    take,
)
from sim.doors import (
    ASKS,
    BED,
    HOME,
    JOINT_BED,
    LATER,
    NEXT_WINDOW,
    OUTSIDE,
    PILES,
    WARD,
    People,
    Place,
    Town,
    ask,
    through,
)
from sim.kernels import kernel, table
from sim.network import LAYERS, Level
from sim.records import (
    EMERGENCY_VISIT,
    INTERNET,
    OUTPATIENT,
    PAID_EMERGENCY,
    PAID_INTERNET,
    Counts,
    Ledger,
    charge_visit,
    month_of,
    paid_without_referral,
    tell_visit,
    write_visit,
)
from sim.sessions import Queue, Rooms
from sim.slots import Offer, Pages, SlotBook
from sim.streams import Floats
from sim.timetable import DAY, HALF_DAY, Timetable
from sim.visits import able, turn_away, what_next

WEEK = ("days", "requests", "minutes", "visits")
"""What is known of a week's waiting."""


class Journey:
    """Everybody who is on the way in one batch of replications."""

    def __init__(
        self, place: Place, people: People, timetable: Timetable, hours: NDArray[Any], choice: Choice,
        waits: PerceivedWaits, rooms: Rooms, book: SlotBook, ledger: Ledger,
    ) -> None:  # fmt: skip
        self.timetable, self.choice, self.waits = timetable, choice, waits
        self.book, self.ledger = book, ledger
        self.points, self.worlds = len(place.points), len(people.worlds)
        nothing = np.zeros(self.worlds * self.points, dtype=np.int64)
        service = table(clinic=book.row_of, days=nothing, requests=nothing, minutes=nothing, visits=nothing)
        counts = ledger.by_visit(0)
        self.town = Town(place, people, choice.tables(), rooms, hours, book.pages(), service, counts)
        self.diary = Diary(timetable.windows, timetable.window)
        self.crowd = Crowd.of(0, PILES, len(service))
        self.due = 0
        """Contacts of the window last opened."""
        self.offer: Callable[[int], Offer]
        """What the policy makes of the lead hospital's sessions on a day of the run."""
        self.ask_for_bed: Callable[[Rows, NDArray[np.int64], NDArray[np.int64], Floats], None]
        self.stay_outside: Callable[[Rows, Floats], None]

    def put_in_force(
        self, levers: dict[str, NDArray[Any]], contracted: NDArray[np.bool_], gated: NDArray[np.bool_],
        release_days: NDArray[np.int64], epidemic: NDArray[Any],
    ) -> None:  # fmt: skip
        """The rules from today on.

        `levers`: what the rows of `doors.People.worlds` hold beside habits, and `release_days`, days before a session
        at which its held slots are released, (W,) each; `contracted`, `gated` and `epidemic`: of `doors.People`.
        """
        self.release_days = release_days
        worlds = table(**self.choice.habits(), **levers)
        people = self.town.people._replace(worlds=worlds, contracted=contracted, gated=gated, epidemic=epidemic)
        self.town = self.town._replace(people=people)

    def put_on_duty(self, doctors: NDArray[np.int64], late: Floats) -> None:
        """Doctors of full sessions from today on, and by what part of them one comes later: of `sessions.Rooms`."""
        rooms = self.town.rooms._replace(doctors=doctors.ravel(), late=late.ravel())
        self.town = self.town._replace(rooms=rooms)

    def put_wards(self, offers: NDArray[Any], runs: NDArray[np.bool_]) -> None:
        """What facilities have from now on, and which wards are in service: of `doors.Place`."""
        self.town = self.town._replace(place=self.town.place._replace(offers=offers, runs=runs))

    def put_capability(self, reach: Floats, feature: NDArray[np.int64]) -> None:
        """What institutions give more from now on: of `doors.Place`."""
        self.town = self.town._replace(place=self.town.place._replace(reach=reach, feature=feature))

    def put_integrated(self, integrated: NDArray[np.bool_]) -> None:
        """Which village stations are integrated with their township from now on: of `doors.Place`."""
        self.town = self.town._replace(place=self.town.place._replace(integrated=integrated))

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
        self.due = due = len(needs) + self.diary.number(number)
        self._have_room(due)
        self.diary.due(number, self.crowd.rows[len(needs) : due])
        open_doors(self.town, self.crowd, needs, due, self.end)
        self._close_window()

    def settle(self, orders: Rows) -> Rows:
        """The half-day is over: its requests are answered. `orders`: of wards, whose answers come back."""
        self._close_half_day()
        self._have_asking(orders)
        bookings.settle(self.town, self.crowd, self.book.first, self.end)
        self._close_window()
        return self.crowd.pick_up(WARD)

    def _have_asking(self, orders: Rows) -> None:
        """Orders join those who ask, behind the contacts of the window that is over."""
        number, height = len(orders), int(self.crowd.heights[ASKS])
        last = self.due + number
        if last > len(self.crowd.rows):
            orders = join([self.crowd.pick_up(ASKS), orders])
            number, height, last = len(orders), 0, len(orders)
            self._have_room(number)
        self.crowd.rows[last - number : last] = orders
        self.crowd.piles[ASKS, height : height + number] = np.arange(last - number, last)
        self.crowd.heights[ASKS] = height + number

    def _have_room(self, contacts: int) -> None:
        """Kernels make no arrays, so what they write on is made here, and made larger when it does not suffice."""
        if contacts > len(self.crowd.rows):
            room = contacts + contacts // 2
            self.crowd = Crowd.of(room, PILES, len(self.town.service))
            rooms = self.town.rooms._replace(queue=Queue.of(room))
            self.town = self.town._replace(rooms=rooms, counts=self.ledger.by_visit(room))

    def _close_window(self) -> None:
        """Those who need a bed ask for it, those who leave the area are written down, the others wait in the diary."""
        self._send_to_beds(self.crowd.pick_up(BED), "ward")
        self._send_to_beds(self.crowd.pick_up(JOINT_BED), "joint_ward")
        self._send_outside(self.crowd.pick_up(OUTSIDE))
        self.diary.push(self.crowd.pick_up(LATER), self.number + 1)
        self.diary.hand_on(self.crowd.pick_up(NEXT_WINDOW), self.number + 1)
        if self.end % HALF_DAY:  # else they are about to be answered
            self.diary.hand_on(self.crowd.pick_up(ASKS), self.number + 1)
        self.ledger.keep_told(self.town.counts.told)

    def _send_outside(self, rows: Rows) -> None:
        if not len(rows):
            return
        conditions, worlds = self.town.tables.conditions, self.town.people.worlds
        write_outside(self.town.counts, self.town.place.facilities, conditions, worlds, rows)
        admitted = np.flatnonzero(rows["admit"])
        if len(admitted):
            self.stay_outside(take(rows, admitted), rows["time"][admitted])

    def _send_to_beds(self, rows: Rows, which: str) -> None:
        """`which`: of the wards that the place of the visit offers."""
        if not len(rows):
            return
        points, point = self.town.place.points, rows["point"] % self.points
        ward = self.town.place.offers[which][points["facility"][point], rows["condition"]]
        entry = np.where(points["emergency"][point], BY_EMERGENCY, rows["cls"].astype(np.int64) + 1)
        self.ask_for_bed(rows, ward, entry, rows["time"])

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


@kernel
def open_doors(town: Town, crowd: Crowd, needs: Rows, due: int, window_end: float) -> None:
    """The contacts of a window set out; then the waiting rooms of each layer open, the lowest first.

    `due`: how many contacts there are, those with new needs among them; the crowd's rows have room for these at first.
    """
    for number in range(due):
        if number < len(needs):
            crowd.rows[number] = needs[number]
        put(crowd, set_out(town, crowd.rows[number], window_end), number)
    for layer in range(LAYERS):
        _open_layer(town, crowd, layer, window_end)


@kernel
def set_out(town: Town, who: Any, window_end: float) -> int:
    """A need finds a door, a request is handed in, a visitor goes to the waiting room."""
    points = town.place.points
    if who["kind"] == VISIT:
        return points[int(who["point"]) % len(points)]["layer"]
    if who["kind"] != NEED:
        return ASKS
    spared = _is_spared(town.people, who)
    if who["doors"] == 0 and who["chronic"] != MADE_UP:
        doors.count_need(town.counts, who, spared)
    if spared:
        return HOME
    if doors.stays_away(town.people, who):
        return doors.give_up(town, who, who["time"])
    point = doors.first_point(town.place, town.people, town.tables, who)
    if point >= 0 and _is_online(town, who, points[point]):
        return _seen_online(town, who, point)
    return through(points, town.people.worlds, town.hours, who, point, window_end, -1)


@kernel
def _is_spared(people: People, who: Any) -> bool:
    """A follow-up that a long prescription makes unnecessary."""
    if who["chronic"] != FOLLOW_UP or who["doors"] > 0:
        return False
    share = people.worlds[int(who["world"])]["long_prescription"]
    return demand.falls_away(people.usual[int(who["panel"])]["key"], int(who["nth"]), share)


@kernel
def _is_online(town: Town, who: Any, point: Any) -> bool:
    """A follow-up on the internet: of a stable patient, at a hospital's clinic that is able to help."""
    hospital = point["level"] >= Level.secondary and not point["emergency"]
    if who["chronic"] != FOLLOW_UP or who["doors"] > 0 or not hospital or who["need"] > 2 or who["admit"] == 1:
        return False
    share = town.people.worlds[int(who["world"])]["internet"]
    online = demand.is_online(town.people.usual[int(who["panel"])]["key"], int(who["nth"]), share)
    return online and able(town.place, who, point["facility"])


@kernel
def _seen_online(town: Town, who: Any, number: int) -> int:
    """No slot, no way, no wait; the hospital counts a visit. `number`: of the service point."""
    point, time = town.place.points[number], who["time"]
    who["point"] = int(who["world"]) * len(town.place.points) + number
    facilities, facility = town.place.facilities, point["facility"]
    write_visit(town.counts, who, time, facility, facilities[facility], INTERNET, 0.0, False)
    charge_visit(town.counts, who, time, facility, PAID_INTERNET)
    tell_visit(town.counts, who, point, INTERNET, time, time, time)
    return HOME


# ---------------------------------------------------------------------------------------------------- the waiting room


@kernel
def _open_layer(town: Town, crowd: Crowd, layer: int, window_end: float) -> None:
    """The waiting rooms of a layer, one after the other, each with its patients by place in line and id."""
    rows, line = crowd.rows, crowd.line
    for n in range(crowd.heights[layer]):
        crowd.group[n] = rows[crowd.piles[layer, n]]["point"]
    number, first = line_up(crowd, layer, len(town.service)), 0
    for last in range(1, number + 1):
        if last == number or rows[line[last]]["point"] != rows[line[first]]["point"]:
            _open_room(town, crowd, line[first:last], window_end)
            first = last


@kernel
def _open_room(town: Town, crowd: Crowd, line: Any, window_end: float) -> None:
    """One waiting room, to which the rows in `line` come: who gets in, who is seen, and what comes of it."""
    room, patients = int(crowd.rows[line[0]]["point"]), town.rooms.queue.patients
    point = town.place.points[room % len(town.place.points)]
    number = _let_in(town, crowd, line, point, window_end)
    if number > 0:
        sessions.see(town.rooms, town.hours, room, point["pattern"], number, window_end)
    for n in range(number):
        contact = patients[n]["contact"]
        put(crowd, what_next(town, crowd.rows[contact], patients[n], point, window_end), contact)


@kernel
def _let_in(town: Town, crowd: Crowd, line: Any, point: Any, window_end: float) -> int:
    """Fill the queue with those who get in, and return their number; the others ask for an appointment."""
    number, patients = 0, town.rooms.queue.patients
    for contact in line:
        who = crowd.rows[contact]
        if _gets_in(town.pages, town.service, town.counts, who, point):
            sessions.enter(town.rooms.care, point, town.people.worlds[int(who["world"])], who, patients[number])
            patients[number]["contact"] = contact
            number += 1
        else:
            put(crowd, ask(who, window_end), contact)
    return number


@kernel
def _gets_in(pages: Pages, service: Any, counts: Counts, who: Any, point: Any) -> bool:
    """In a bookable clinic a walk-in takes what is free, then an extra place, then asks for an appointment (R6).

    Who is back with results needs none of them.
    """
    if who["entry"] != WALK_IN or who["stage"] != FIRST_LOOK or not point["bookable"]:
        return True
    clinic = service[int(who["point"])]["clinic"]
    who["entry"] = slots.admit_walk_in(pages.slots[clinic, 0], pages.clinics[clinic])
    _write_walk_in(counts, who, point["facility"])
    return who["entry"] != WALK_IN


@kernel
def _write_walk_in(counts: Counts, who: Any, facility: int) -> None:
    world, cls = int(who["world"]), int(who["cls"])
    month = month_of(counts, who["time"])
    if who["entry"] == WALK_IN:
        turn_away(counts, who, facility, OUTPATIENT)
    elif who["entry"] == EXTRA:
        counts.bookings[world, month, facility, cls]["extra"] += 1
    else:
        counts.bookings[world, month, facility, cls]["walk_in"] += 1


@kernel
def write_outside(counts: Counts, facilities: Any, conditions: Any, worlds: Any, rows: Rows) -> None:
    """Care outside the area: no queue here, the visit is written down.

    `facilities`: of Place, the last of them outside; `conditions`: of choice.Tables; `worlds`: of People.
    """
    outside = len(facilities) - 1
    for i in range(len(rows)):
        who = rows[i]
        kind = EMERGENCY_VISIT if conditions[int(who["condition"])]["is_emergency"] else OUTPATIENT
        write_visit(counts, who, who["time"], outside, facilities[outside], kind, 0.0, False)
        paid = PAID_EMERGENCY if kind == EMERGENCY_VISIT else paid_without_referral(worlds, who)
        charge_visit(counts, who, who["time"], outside, paid)
