"""A patient on the move: the door, the visit, what comes of it, the bed.

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

from sim import bookings, care, demand, doors, referral, sessions, slots, streams
from sim.beds import EMERGENCY as BY_EMERGENCY
from sim.bookings import ALL_HOSPITALS
from sim.choice import ALL_GRASSROOTS, HOSPITAL_DOORS, Choice, PerceivedWaits
from sim.contacts import (
    EXTRA,
    FIRST_LOOK,
    FOLLOW_UP,
    MADE_UP,
    NEED,
    ORDERED,
    REFERRED,
    REFERRED_CONTRACTED,
    RETURNED,
    SECOND_LOOK,
    VISIT,
    WALK_IN,
    Crowd,
    Diary,
    Rows,
    line_up,
    put,
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
    Town,
    ask,
    channel_of,
    give_up,
    minutes_to,
    through,
    tries_again,
    walk,
)
from sim.kernels import kernel, table
from sim.network import LAYERS, Level
from sim.records import (
    COMPLETED,
    DECLINED,
    EMERGENCY_VISIT,
    FORMAL_CHANNEL,
    INTERNET,
    LAPSED,
    OUTPATIENT,
    RETURN,
    SELF_CHANNEL,
    Counts,
    Ledger,
    month_of,
    tell_referral,
    tell_visit,
    write_visit,
)
from sim.sessions import DONE, LEFT, TURNED_AWAY, Queue, Rooms, visit_key
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
        self.book, self.ledger = book, ledger
        self.points, self.worlds = len(place.points), len(people.worlds)
        nothing = np.zeros(self.worlds * self.points, dtype=np.int64)
        service = table(clinic=book.row_of, days=nothing, requests=nothing, minutes=nothing, visits=nothing)
        counts = ledger.by_visit(0)
        self.town = Town(place, people, choice.tables(), rooms, hours, book.pages(), service, counts)
        self.diary = Diary(timetable.windows, timetable.window)
        self.crowd = Crowd.of(0, PILES, len(service))
        self.offer: Callable[[int], Offer]
        """What the policy makes of the lead hospital's sessions on a day of the run."""
        self.ask_for_bed: Callable[[Rows, NDArray[np.int64], NDArray[np.int64], Floats], None]
        self.stay_outside: Callable[[Rows, Floats], None]

    def put_in_force(
        self, levers: dict[str, NDArray[Any]], contracted: NDArray[np.bool_], gated: NDArray[np.bool_],
        release_days: NDArray[np.int64], doctors: NDArray[np.int64],
    ) -> None:  # fmt: skip
        """The rules from today on.

        `levers`: what the rows of `doors.People.worlds` hold beside habits, and `release_days`, days before a session
        at which its held slots are released, (W,) each; `contracted` and `gated`: of `doors.People`; `doctors` of a
        full session: of `sessions.Rooms`.
        """
        self.release_days = release_days
        worlds = table(**self.choice.habits(), **levers)
        people = self.town.people._replace(worlds=worlds, contracted=contracted, gated=gated)
        self.town = self.town._replace(people=people, rooms=self.town.rooms._replace(doctors=doctors.ravel()))

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
        due = len(needs) + self.diary.number(number)
        self._have_room(due)
        self.diary.due(number, self.crowd.rows[len(needs) : due])
        open_doors(self.town, self.crowd, needs, due, self.end)
        if self.end % HALF_DAY == 0:
            self._close_half_day()
            bookings.settle(self.town, self.crowd, self.book.first, self.end)
        self._close_window()

    def _have_room(self, contacts: int) -> None:
        """Kernels make no arrays, so what they write on is made here, and made larger when it does not suffice."""
        if contacts > len(self.crowd.rows):
            room = contacts + contacts // 2
            self.crowd = Crowd.of(room, PILES, len(self.town.service))
            rooms = self.town.rooms._replace(queue=Queue.of(room))
            self.town = self.town._replace(rooms=rooms, counts=self.ledger.by_visit(room))

    def _close_window(self) -> None:
        """Those who need a bed ask for it, those who leave the area are written down, the others wait in the diary."""
        self._send_to_beds(self.crowd.pick_up(BED))
        self._send_outside(self.crowd.pick_up(OUTSIDE))
        self.diary.push(self.crowd.pick_up(LATER), self.number + 1)
        for pile in (NEXT_WINDOW, ASKS):
            self.diary.hand_on(self.crowd.pick_up(pile), self.number + 1)
        self.ledger.keep_told(self.town.counts.told)

    def _send_outside(self, rows: Rows) -> None:
        if not len(rows):
            return
        write_outside(self.town.counts, self.town.place.facilities, self.town.tables.conditions, rows)
        admitted = np.flatnonzero(rows["admit"])
        if len(admitted):
            self.stay_outside(take(rows, admitted), rows["time"][admitted])

    def _send_to_beds(self, rows: Rows) -> None:
        if not len(rows):
            return
        point = self.town.place.points[rows["point"] % self.points]
        ward = self.town.place.offers["ward"][point["facility"], rows["condition"]]
        entry = np.where(point["emergency"], BY_EMERGENCY, rows["cls"].astype(np.int64) + 1)
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
    return online and able(town.place.offers, who, point["facility"])


@kernel
def _seen_online(town: Town, who: Any, number: int) -> int:
    """No slot, no way, no wait; the hospital counts a visit. `number`: of the service point."""
    point, time = town.place.points[number], who["time"]
    who["point"] = int(who["world"]) * len(town.place.points) + number
    facilities, facility = town.place.facilities, point["facility"]
    write_visit(town.counts, who, time, facility, facilities[facility], INTERNET, 0.0, False)
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
        _turn_away(counts, who, facility, OUTPATIENT)
    elif who["entry"] == EXTRA:
        counts.bookings[world, month, facility, cls]["extra"] += 1
    else:
        counts.bookings[world, month, facility, cls]["walk_in"] += 1


@kernel
def _turn_away(counts: Counts, who: Any, facility: int, kind: int) -> None:
    """Count somebody who came and did not get in."""
    world, month = int(who["world"]), month_of(counts, who["time"])
    counts.visits[world, month, facility, int(who["person"] >= 0), kind, int(who["cls"])]["turned_away"] += 1


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
def what_next(town: Town, who: Any, patient: Any, point: Any, window_end: float) -> int:
    """What comes of a visit; who has not been seen to the end stays on in the building."""
    status = patient["status"]
    if status == TURNED_AWAY:
        _write_full(town.counts, town.service, who, patient, point)
    elif status in (DONE, LEFT):
        _write_down(town.counts, town.service, town.place.facilities, who, patient, point, status == LEFT)
    else:
        sessions.go_on(who, patient)
        return NEXT_WINDOW
    if status == DONE:
        return _seen(town, who, point, patient["end"], window_end)
    if tries_again(town.place.points, town.people.worlds, who):
        return _another_day(who)
    return give_up(town, who, patient["end"])


@kernel
def _write_down(counts: Counts, service: Any, facilities: Any, who: Any, patient: Any, point: Any, left: bool) -> None:
    """A visit that is over."""
    begin, place = patient["begin"], who["time"]
    if left:
        begin = np.nan
    elif who["stage"] == SECOND_LOOK:
        begin, place = who["begun"], who["wanted"]
    wait = (patient["end"] if left else begin) - place
    kind, facility = EMERGENCY_VISIT if point["emergency"] else OUTPATIENT, point["facility"]
    if who["stage"] == RETURNED:
        kind = RETURN
    write_visit(counts, who, place, facility, facilities[facility], kind, wait, left)
    tell_visit(counts, who, point, kind, place, begin, patient["end"])
    here = service[int(who["point"])]
    here["minutes"] += int(np.rint(wait))
    here["visits"] += 1


@kernel
def _write_full(counts: Counts, service: Any, who: Any, patient: Any, point: Any) -> None:
    """Who found the waiting room full is no visit; others hear of a wait as long as his patience (R14)."""
    _turn_away(counts, who, point["facility"], EMERGENCY_VISIT if point["emergency"] else OUTPATIENT)
    here = service[int(who["point"])]
    here["minutes"] += int(np.rint(patient["patience"]))
    here["visits"] += 1


@kernel
def _another_day(who: Any) -> int:
    """Who left the waiting room, or found it full, comes back another day through another door."""
    who["kind"], who["stage"], who["time"] = NEED, 0, who["time"] + DAY
    return LATER


@kernel
def _seen(town: Town, who: Any, point: Any, end: float, window_end: float) -> int:
    """A patient has been seen: home, back another day, a bed, or up."""
    place, level = town.place, point["level"]
    visit = visit_key(who, level)
    if who["stage"] != RETURNED and _first_look(town, who, point, visit):
        who["stage"], who["origin"], who["time"] = ORDERED, -1, end
        return ask(who, window_end)
    who["stage"], who["begun"], who["origin"] = 0, 0.0, -1
    who["seen"] = int(who["seen"]) + (1 << (4 * level))
    if able(place.offers, who, point["facility"]):
        if who["admit"] == 1:
            who["time"] = end
            return BED
        if point["emergency"]:
            return HOME
        _hand_down(town, who, point)
        return _asked_back(town.rooms.care.conditions, town.hours, who, point, visit, end, window_end)
    if _is_settled(town, who, point, visit):
        return _asked_back(town.rooms.care.conditions, town.hours, who, point, visit, end, window_end)
    who["origin"] = point["facility"]
    if point["emergency"]:
        to = _transferred(place, town.people, who, end)
    else:
        outcome = _sent_up(place, town.people, town.counts, who, visit)
        if outcome == referral.STAYS and who["admit"] == 0:
            who["origin"] = -1
            return _asked_back(town.rooms.care.conditions, town.hours, who, point, visit, end, window_end)
        if outcome == referral.STAYS or outcome == referral.LAPSED:
            return HOME
        formal = outcome == referral.FORMAL
        to = _referred(place, town.people, who, visit, end) if formal else _alone(town, who, end)
    return through(place.points, town.people.worlds, town.hours, who, to, window_end, point["layer"])


@kernel
def _examined(town: Town, who: Any, point: Any, visit: np.uint64) -> None:
    """Count the exam of a visit that is over, and keep in mind who made it."""
    world, facility = int(who["world"]), point["facility"]
    recognised = town.people.worlds[world]["recognised"]
    exam = care.exam(town.rooms.care, visit, who, facility, point["level"], recognised)
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
def _first_look(town: Town, who: Any, point: Any, visit: np.uint64) -> bool:
    """A referral is completed, an exam is made; whether large equipment is asked for before anything is decided (R4).

    Hospitals' clinics ask for it, where their patients have a room to go to.
    """
    if who["origin"] >= 0 and who["doors"] == 0:
        tell_referral(town.counts, who, point["facility"], channel_of(who), COMPLETED)
    _examined(town, who, point, visit)
    if point["level"] < Level.secondary or point["emergency"]:
        return False
    kind = care.equipment(town.rooms.care, visit, who)
    return kind != care.NO_EQUIPMENT and town.place.imaging_room[point["facility"], kind] >= 0


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
def _sent_up(place: Place, people: People, counts: Counts, who: Any, visit: np.uint64) -> int:
    """What comes of a patient who needs more than the place gives; refusal and lapse are written down."""
    facility = place.facilities[int(who["origin"])]
    formal_possible = facility["has_channel"] and who["person"] >= 0
    outcome = referral.up(people.worlds[int(who["world"])], visit, formal_possible)
    if outcome == referral.DECLINED or outcome == referral.LAPSED:
        status = DECLINED if outcome == referral.DECLINED else LAPSED
        tell_referral(counts, who, facility["lead"], FORMAL_CHANNEL, status)
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
def _alone(town: Town, who: Any, end: float) -> int:
    """Self-referral: a hospital of the patient's choice if it is able to help, else the lead's, else outside."""
    place, who["doors"] = town.place, 0
    allowed = ALL_HOSPITALS & ~NEAR_HOSPITAL if who["need"] > 3 else ALL_HOSPITALS
    point = doors.choose(town.people, town.tables, who, allowed, False)
    if point >= 0 and not able(place.offers, who, place.points[point]["facility"]):
        helps = (
            place.lead >= 0 and place.lead != place.points[point]["facility"] and able(place.offers, who, place.lead)
        )
        point = place.offers[place.lead, int(who["condition"])]["point"] if helps else -1
    target = place.points[point]["facility"] if point >= 0 else len(place.facilities) - 1
    who["time"] = end + minutes_to(place, town.people, who, target)
    if point < 0:
        tell_referral(town.counts, who, target, SELF_CHANNEL, COMPLETED)
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
