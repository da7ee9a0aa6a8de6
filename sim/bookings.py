"""Appointments: requests of a half-day answered at its end, one after the other (R5).

The order is class, minute of request, episode; whoever is refused asks at the next door in the next round of the same
settlement. Wards ask for exams of those in their beds, in the same settlement.
"""

from __future__ import annotations

from typing import Any

from sim import care, slots, streams
from sim.beds import EMERGENCY as BY_EMERGENCY
from sim.choice import ALL_HOSPITALS
from sim.contacts import HELD_SLOT, INPATIENT, OPEN_SLOT, ORDERED, OTHER, REFERRED, RETURNED, VISIT, Crowd, line_up, put
from sim.doors import (
    ASKS,
    HOME,
    LATER,
    OUTSIDE,
    WARD,
    Place,
    Town,
    asked_at,
    choose,
    give_up,
    lose_referral,
    missed,
    tries_again,
    untried,
    walk,
)
from sim.kernels import kernel
from sim.network import LAYERS
from sim.records import MOST_DAYS, Counts, month_of
from sim.sessions import visit_key
from sim.streams import Purpose
from sim.timetable import day_at, half_day_at

EARLY, SPREAD = 20.0, 30.0
"""Patients come from 20 minutes before their appointment to 10 minutes after it."""


@kernel
def settle(town: Town, crowd: Crowd, first: int, now: float) -> None:
    """Round after round, until nobody asks: requests are answered in turn, and those refused may ask at another door.

    `first`: the first half-day that can be booked, which begins `now`.
    """
    while crowd.heights[ASKS] > 0:
        for n in range(_in_turn(crowd, town.people.worlds)):
            put(crowd, _answer(town, crowd.rows[crowd.line[n]], first, now), crowd.line[n])


@kernel
def _in_turn(crowd: Crowd, worlds: Any) -> int:
    """Line up those who ask, by class where classes count, minute of request and episode; returns how many.

    Emergencies in a bed are of the first class, whether or not classes count.
    """
    for n in range(crowd.heights[ASKS]):
        who = crowd.rows[crowd.piles[ASKS, n]]
        crowd.group[n] = int(who["cls"]) if worlds[int(who["world"])]["priority"] else OTHER
        if who["stage"] == INPATIENT and who["entry"] == BY_EMERGENCY:
            crowd.group[n] = 0
    return line_up(crowd, ASKS, OTHER + 1)


@kernel
def _answer(town: Town, who: Any, first: int, now: float) -> int:
    """An appointment within patience, or none."""
    if who["stage"] == ORDERED:
        return _imaged(town, who, first, now)
    if who["stage"] == INPATIENT:
        return _imaged_in_bed(town, who, first)
    world, clinic = town.people.worlds[int(who["world"])], town.service[int(who["point"])]["clinic"]
    earliest = max(first, half_day_at(who["wanted"]))
    latest = min(first + 2 * world["days_ahead"], earliest + world["patience_half_days"])
    entitled = _is_entitled(town.place, who)
    half_day, how = slots.book(town.pages.slots, clinic, entitled, earliest, latest, first)
    beside = town.place.points[int(who["point"]) % len(town.place.points)]["ordinary"]
    if half_day < 0 and beside >= 0:  # the expert is booked up: the same request goes to the ordinary clinic
        who["point"] = int(who["world"]) * len(town.place.points) + beside
        return ASKS
    _write_request(town.counts, town.service, town.place.points, who, half_day, how, world["patience_days"])
    if half_day < 0:
        return _refused(town, who, now)
    session = town.pages.slots[clinic, half_day - first]
    hours = town.hours[town.pages.clinics[clinic]["pattern"], half_day]
    return _appointed(town, who, session, hours, how)


@kernel
def _imaged(town: Town, who: Any, first: int, now: float) -> int:
    """An exam with large equipment by appointment, and the way back to the clinic that asked for it.

    The machine serves at the minute of the appointment. Without an appointment within patience the clinic decides
    without the exam.
    """
    place, world, number = town.place, town.people.worlds[int(who["world"])], int(who["world"])
    point = place.points[int(who["point"]) % len(place.points)]
    visit = visit_key(who, point["level"])
    room = place.imaging_room[point["facility"], care.equipment(town.rooms.care, visit, who)]
    book = town.service[number * len(place.points) + place.imaging_point[room]]["clinic"]
    earliest = max(first, half_day_at(who["wanted"]))
    latest = min(first + 2 * world["days_ahead"], earliest + world["patience_half_days"])
    cls = _class_of_order(place, who, point["facility"], room)
    half_day, how = slots.book(town.pages.slots, book, cls < OTHER, earliest, latest, first)
    _write_imaging(town.counts, place, who, cls, room, half_day, how)
    who["time"] = now
    if half_day >= 0:
        hours = town.hours[town.pages.clinics[book]["pattern"], half_day]
        who["time"] = slots.appointment(town.pages.slots[book, half_day - first], hours)
        here = town.counts.imaging[number, month_of(town.counts, who["time"]), room, cls]
        if streams.uniform_of(visit, Purpose.IMAGING_NO_SHOW, 0) < world["no_show"]:
            here["no_shows"] += 1
            return HOME
        here["made"] += 1
        who["time"] += town.rooms.care.worlds[number]["imaging_report"]
    who["stage"] = RETURNED
    return walk(point, town.hours, who, now, LAYERS)


@kernel
def _imaged_in_bed(town: Town, who: Any, first: int) -> int:
    """An exam of a stay, in the first session with a place.

    `time` is then the minute of the report; without an appointment within the horizon the due minute itself: no exam.
    """
    place, number = town.place, int(who["world"])
    room = place.imaging_room[int(who["origin"]), care.inpatient_equipment(town.rooms.care, who)]
    book = town.service[number * len(place.points) + place.imaging_point[room]]["clinic"]
    opening = town.hours[town.pages.clinics[book]["pattern"]]
    latest = first + 2 * town.people.worlds[number]["days_ahead"]
    cls = _class_of_order(place, who, int(who["origin"]), room)
    half_day, how = slots.book(town.pages.slots, book, cls < OTHER, first, latest, first)
    _write_imaging(town.counts, place, who, cls, room, half_day, how)
    town.counts.imaging[number, month_of(town.counts, who["time"]), room, cls]["inpatient"] += 1
    who["time"] = who["wanted"]
    if half_day >= 0:
        minute = slots.appointment(town.pages.slots[book, half_day - first], opening[half_day])
        town.counts.imaging[number, month_of(town.counts, minute), room, cls]["made"] += 1
        who["time"] = minute + town.rooms.care.worlds[number]["imaging_report"]
    return WARD


@kernel
def _class_of_order(place: Place, who: Any, facility: int, room: int) -> int:
    """Held exam slots are for the referred: by a formal referral, or by the order of the group's other hospitals (M14).

    `facility`: which orders the exam.
    """
    elsewhere = place.points[place.imaging_point[room]]["facility"] != facility
    sent = elsewhere and place.facilities[facility]["in_group"]
    return min(int(who["cls"]), REFERRED if sent else OTHER)


@kernel
def _write_imaging(counts: Counts, place: Place, who: Any, cls: int, room: int, half_day: int, how: int) -> None:
    world, month = int(who["world"]), month_of(counts, who["time"])
    here = counts.imaging[world, month, room, cls]
    here["requests"] += 1
    if half_day < 0:
        here["refused"] += 1
        return
    days = max(half_day // 2 - day_at(who["wanted"]), 0)
    counts.imaging_days[world, month, room, cls, min(days, MOST_DAYS)]["patients"] += 1
    here["booked_open"] += int(how == OPEN_SLOT)
    here["booked_held"] += int(how == HELD_SLOT)
    if how == HELD_SLOT and half_day < 2 * counts.daily.shape[1]:
        counts.slots[world, counts.month[half_day // 2], place.imaging_point[room]]["used_held"] += 1


@kernel
def _is_entitled(place: Place, who: Any) -> bool:
    """Held slots are for formally referred patients on their first visit at the hospital."""
    level = place.points[int(who["point"]) % len(place.points)]["level"]
    return who["cls"] < OTHER and (int(who["seen"]) >> (4 * level)) & 15 == 0


@kernel
def _write_request(
    counts: Counts, service: Any, points: Any, who: Any, half_day: int, how: int, patience_days: int
) -> None:
    world, cls, point = int(who["world"]), int(who["cls"]), int(who["point"])
    month, facility = month_of(counts, who["time"]), points[point % len(points)]["facility"]
    here = counts.bookings[world, month, facility, cls]
    here["requests"] += 1
    days = patience_days
    if half_day < 0:
        here["refused"] += 1
    else:
        days = max(half_day // 2 - day_at(who["wanted"]), 0)
        counts.booking_days[world, month, facility, cls, min(days, MOST_DAYS)]["patients"] += 1
    if how == OPEN_SLOT:
        here["booked_open"] += 1
    elif how == HELD_SLOT:
        here["booked_held"] += 1
        if half_day < 2 * counts.daily.shape[1]:
            counts.slots[world, counts.month[half_day // 2], point % len(points)]["used_held"] += 1
    if cls == OTHER:  # those who choose have no referral (R14)
        service[point]["days"] += days
        service[point]["requests"] += 1


@kernel
def _appointed(town: Town, who: Any, session: Any, hours: Any, how: int) -> int:
    """The minute of the appointment; some come a bit early or late, none after the last admission, some never."""
    minute = slots.appointment(session, hours)
    last = max(hours["closes"] - 1.0, minute)
    luck = streams.child_of(who["key"], int(who["seen"]) + 7)
    arrival = minute + streams.uniform_of(luck, Purpose.PUNCTUALITY, 0) * SPREAD - EARLY
    who["time"] = min(max(arrival, minute), last)
    who["kind"], who["entry"] = VISIT, how
    world, counts, points = int(who["world"]), town.counts, town.place.points
    if streams.uniform_of(luck, Purpose.NO_SHOW, 0) >= town.people.worlds[world]["no_show"]:
        return LATER
    facility = points[int(who["point"]) % len(points)]["facility"]
    counts.bookings[world, month_of(counts, minute), facility, int(who["cls"])]["no_shows"] += 1
    lose_referral(counts, facility, who)
    return missed(town, who, minute)


@kernel
def _refused(town: Town, who: Any, now: float) -> int:
    """No appointment within patience: another door; the next hospital is asked in the same settlement."""
    points = town.place.points
    lose_referral(town.counts, points[int(who["point"]) % len(points)]["facility"], who)
    if not tries_again(points, town.people.worlds, who):
        return _no_door_left(town, who, now)
    allowed = untried(who)
    if who["need"] > 2 and who["seen"] > 0:
        allowed &= ALL_HOSPITALS
    point = choose(town.people, town.tables, who, allowed, False)
    if point < 0:
        return OUTSIDE
    who["point"] = int(who["world"]) * len(points) + point
    if points[point]["bookable"]:
        who["point"] = int(who["world"]) * len(points) + asked_at(points, town.people.worlds, who, point)
        return ASKS
    who["time"] = now
    return walk(points[point], town.hours, who, now, LAYERS)


@kernel
def _no_door_left(town: Town, who: Any, now: float) -> int:
    """The emergency department of the hospital that refused takes those who need a hospital; others go without."""
    emergency = town.place.emergency_point[int(who["origin"])]
    if who["need"] <= 2 or emergency < 0:
        return give_up(town, who, now)
    who["time"], who["doors"], who["origin"] = now, 0, -1
    who["point"] = int(who["world"]) * len(town.place.points) + emergency
    return walk(town.place.points[emergency], town.hours, who, now, LAYERS)
