"""One half-day (or emergency shift) at every open service point: the waiting room, solved exactly.

Rule of the queue (R1): a doctor who becomes free takes, among patients already present, the highest class, then the
earliest place in line, then the lowest id; service is never interrupted. A patient with a same-visit exam comes back
into the same queue when the results are there (R4). Whoever waits longer than his patience leaves. At one instant: ends
first, then starts of those waiting, then arrivals. A window that ends while the point stays open hands on waiting
patients and busy doctors (R2).
"""

from __future__ import annotations

from heapq import heapify, heappop, heappush, heapreplace
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from sim import care, streams
from sim.care import CareTables
from sim.contacts import SECOND_LOOK, Rows
from sim.kernels import allocating_kernel, kernel
from sim.network import Level
from sim.streams import Floats
from sim.timetable import admits_at, half_day_at

WAITING, DONE, LEFT, AT_EXAM, WAITING_AGAIN = range(5)
"""What became of a patient by the end of the window."""

NOWHERE = np.inf
LAST = 2
"""Class in the queue of those without priority."""
EMERGENCY_COLUMN = len(Level)
"""Column of the emergency department among the levels' consultations."""

PATIENT = np.dtype(
    [
        ("cls", "i8"), ("place", "f8"), ("key", "u8"), ("patience", "f8"), ("first", "f8"), ("exam", "f8"),
        ("second", "f8"),
    ]
)  # fmt: skip
"""Class in the queue (0 first), place in line, id; minutes of patience, first look, turnaround of the exam (0 = none)
and second look."""


@allocating_kernel
def serve(  # noqa: C901  (one rule, told in one piece)
    bounds: Any, doctors: Any, free: Any, until: Any, patients: Any, begin: Any, end: Any, back: Any,
    status: Any,
) -> None:  # fmt: skip
    """Solve the waiting rooms `bounds[r]:bounds[r + 1]`, patients (rows of PATIENT) sorted by place and key.

    Fills begin, end, back, status and free (when each doctor is free, shape (rooms, doctors)).
    """
    waiting = [(0, 0.0, patients[0]["key"], 0)]
    results = [(0.0, patients[0]["key"], 0)]
    for room in range(len(bounds) - 1):
        waiting.clear()
        results.clear()
        busy = [free[room, d] for d in range(doctors[room])]
        heapify(busy)
        coming, last, limit = bounds[room], bounds[room + 1], until[room]
        while True:
            now = busy[0]
            while coming < last and patients[coming]["place"] < now:
                heappush(waiting, (patients[coming]["cls"], patients[coming]["place"], patients[coming]["key"], coming))
                coming += 1
            while len(results) > 0 and results[0][0] < now:
                at, k, i = heappop(results)
                heappush(waiting, (patients[i]["cls"], at, k, i))
            if len(waiting) > 0:
                if now >= limit:
                    break
                _c, at, k, i = heappop(waiting)
            elif (
                coming < last
                and patients[coming]["place"] < limit
                and (
                    len(results) == 0
                    or (patients[coming]["place"], patients[coming]["key"]) < (results[0][0], results[0][1])
                )
            ):
                i, at = coming, patients[coming]["place"]
                coming += 1
                now = at
            elif len(results) > 0 and results[0][0] < limit:
                at, k, i = heappop(results)
                now = at
            else:
                break
            patient = patients[i]
            if status[i] == AT_EXAM:
                end[i] = now + patient["second"]
                status[i] = DONE
                heapreplace(busy, end[i])
            elif now > at + patient["patience"]:
                end[i] = at + patient["patience"]
                status[i] = LEFT
            else:
                begin[i] = now
                end[i] = now + patient["first"]
                status[i] = DONE
                heapreplace(busy, end[i])
                if patient["exam"] > 0.0:
                    status[i] = AT_EXAM
                    back[i] = end[i] + patient["exam"]
                    heappush(results, (back[i], patient["key"], i))
        for _c, at, _k, i in waiting:
            if status[i] == AT_EXAM:
                status[i] = WAITING_AGAIN
            elif at + patients[i]["patience"] < limit:
                end[i] = at + patients[i]["patience"]
                status[i] = LEFT
        busy.sort()
        for d in range(doctors[room]):
            free[room, d] = busy[d]


class Rooms:
    """The waiting rooms of all service points of all replications."""

    def __init__(
        self, points: NDArray[Any], hours: NDArray[Any], tables: CareTables, doctors: NDArray[np.int64]
    ) -> None:
        """`points`: rows with pattern, level, emergency; `doctors`: in a full session, (replications, points)."""
        self.points, self.hours, self.tables = points, hours, tables
        self.full = doctors
        self.doctors = doctors.ravel()
        self.free = np.full((doctors.size, int(doctors.max(initial=1))), -NOWHERE)

    def staff(self, away: Floats, where: NDArray[np.bool_]) -> None:
        """Doctors of some service points work elsewhere: a share of them in each replication, (W,); one stays."""
        here = self.full * (1.0 - away[:, None] * where)
        self.doctors = np.maximum(np.rint(here), np.minimum(self.full, 1)).astype(np.int64).ravel()

    def see(self, rows: Rows, rules: NDArray[Any], window_end: float) -> Seen:
        """Solve one window for these patients, who come by service point, place in line, id.

        `rules`: rows with priority (whether classes count) and recognised (of exam results), (W,). Rows of those who
        wait for results, or with them, are made ready for the next window.
        """
        bounds, room = np.empty(len(rows) + 1, dtype=np.int64), np.empty(len(rows), dtype=np.int64)
        number = _rooms(rows, bounds, room)
        bounds, room = bounds[: number + 1], room[:number]
        doctors, until = np.zeros(len(room), dtype=np.int64), np.zeros(len(room))
        free = np.zeros((len(room), self.free.shape[1]))
        _on_duty(self.points, self.hours, self.doctors, self.free, room, window_end, doctors, until, free)
        patients = np.zeros(len(rows), dtype=PATIENT)
        _draw(self.points, self.tables, rules, rows, patients)
        begin, end, back = rows["begun"].copy(), np.zeros(len(rows)), np.zeros(len(rows))
        status = np.zeros(len(rows), dtype=np.int64)
        serve(bounds, doctors, free, until, patients, begin, end, back, status)
        self.free[room] = free
        _carry(rows, begin, back, status)
        return Seen(begin, end, status)


class Seen(NamedTuple):
    """When each patient of a window was first seen, when the visit was over, and what became of the patient."""

    begin: Floats
    end: Floats
    status: NDArray[np.int64]


@kernel
def visit_key(who: Any, level: int) -> np.uint64:
    """The key of a visit: (episode, level, occurrence at that level)."""
    occurrence = (int(who["seen"]) >> (4 * level)) & 15
    return streams.child_of(who["key"], (level << 8) + occurrence + 1000)


@kernel
def priority_of(who: Any, tables: CareTables, emergency: bool, granted: bool) -> int:
    """Class in the queue: triage in an emergency department, elsewhere the patient's class if the policy grants it."""
    if emergency:
        return care.triage(tables, who["key"], int(who["world"]))
    return int(who["cls"]) if granted else LAST


@kernel
def _rooms(rows: Any, bounds: Any, room: Any) -> int:
    """Fill in the first row of each waiting room, and the number of rows; and which rooms. Returns how many."""
    number = 0
    for i in range(len(rows)):
        if number == 0 or rows[i]["point"] != room[number - 1]:
            bounds[number], room[number] = i, rows[i]["point"]
            number += 1
    bounds[number] = len(rows)
    return number


@kernel
def _on_duty(
    points: Any, hours: Any, doctors: Any, free: Any, room: Any, window_end: float, on_duty: Any, until: Any, busy: Any
) -> None:
    """Fill in doctors on duty, until when starts may be settled, and when each doctor is free."""
    half = half_day_at(window_end - 1e-6)
    for r in range(len(room)):
        pattern = points[room[r] % len(points)]["pattern"]
        session, following = hours[pattern, half], hours[pattern, half + 1]
        on_duty[r] = max(int(np.ceil(doctors[room[r]] * session["size"] - 1e-9)), 1)
        for d in range(free.shape[1]):
            busy[r, d] = max(free[room[r], d], session["opens"])
        if admits_at(hours, pattern, window_end):
            until[r] = window_end
        else:  # overtime goes on until the next session, whose patients then stand in the same queue
            until[r] = following["opens"] if following["size"] > 0 else NOWHERE


@kernel
def _draw(points: Any, tables: CareTables, rules: Any, rows: Any, patients: Any) -> None:
    """Class, patience, first look, turnaround and second look of each patient (back with results: the second alone)."""
    for i in range(len(rows)):
        who, patient = rows[i], patients[i]
        point = points[int(who["point"]) % len(points)]
        world, level = int(who["world"]), point["level"]
        visit = visit_key(who, level)
        length = care.consultation(tables, visit, world, EMERGENCY_COLUMN if point["emergency"] else level)
        patient["cls"] = priority_of(who, tables, point["emergency"], rules[world]["priority"])
        patient["place"], patient["key"] = who["time"], who["key"]
        patient["second"] = length * tables.worlds[world]["second_look"]
        if who["stage"] == SECOND_LOOK:
            patient["patience"], patient["first"], patient["exam"] = NOWHERE, patient["second"], 0.0
        else:
            patient["patience"], patient["first"] = care.patience(tables, visit, world), length
            exam = care.exam(tables, visit, who, point["facility"], level, rules[world]["recognised"])
            patient["exam"] = care.exam_turnaround(tables, visit, world) if care.is_made(exam) else 0.0


@kernel
def _carry(rows: Any, begin: Any, back: Any, status: Any) -> None:
    """First looks of those back with results; who is at an exam, or waits with results, goes on with them."""
    for i in range(len(rows)):
        who = rows[i]
        if who["stage"] == SECOND_LOOK:
            begin[i] = who["begun"]
        elif status[i] == AT_EXAM or status[i] == WAITING_AGAIN:
            who["begun"], who["wanted"] = begin[i], who["time"]
            who["time"], who["stage"] = back[i], SECOND_LOOK
