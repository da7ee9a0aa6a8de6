"""One half-day (or emergency shift) at every open service point: the waiting room, solved exactly.

Rule of the queue (R1): a doctor who becomes free takes, among patients already present, the highest class, then the
earliest place in line, then the lowest id; service is never interrupted. A patient with a same-visit exam comes back
into the same queue when the results are there (R4). Whoever waits longer than his patience leaves; whoever comes while
all doctors are busy and as many wait as there are places goes away, unless he is back with results. At one instant:
ends first, then starts of those waiting, then departures, then arrivals. A window that ends while the point stays open
hands on waiting patients and busy doctors (R2).
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from sim import care, streams
from sim.care import TRIAGE_LEVELS, CareTables
from sim.contacts import FIRST_LOOK, OTHER, SECOND_LOOK
from sim.kernels import kernel
from sim.network import NO_LIMIT, Level
from sim.streams import Floats
from sim.timetable import admits_at, half_day_at

WAITING, DONE, LEFT, AT_EXAM, WAITING_AGAIN, TURNED_AWAY = range(6)
"""What became of a patient by the end of the window."""

NOWHERE = np.inf
NOBODY = -1
LAST = OTHER
"""Class in the queue of those without priority."""
LINES = max(TRIAGE_LEVELS, LAST + 1)
"""Classes in a queue; each stands in a line of its own."""
EMERGENCY_COLUMN = len(Level)
"""Column of the emergency department among the levels' consultations."""

PATIENT = np.dtype(
    [
        ("cls", "i8"), ("place", "f8"), ("key", "u8"), ("patience", "f8"), ("first", "f8"), ("exam", "f8"),
        ("second", "f8"), ("back", "i8"), ("begin", "f8"), ("end", "f8"), ("status", "i8"), ("behind", "i8"),
        ("contact", "i8"),
    ]
)  # fmt: skip
"""Class in the queue (0 first), place in line (of those with an exam: when the results are there), id; minutes of
patience, first look, turnaround of the exam (0 = none) and second look; whether results are at hand; when first seen,
when the last look or the wait was over, and what became of the patient; who stands behind in the same line; the number
of the contact's row."""

LINE = np.dtype([("first", "i8"), ("last", "i8")])
"""Who stands first and last in a line (NOBODY = it is empty)."""


class Queue(NamedTuple):
    """One waiting room at a time."""

    patients: NDArray[Any]
    """Rows of PATIENT, by place in line and id, (room,)."""
    at_exam: NDArray[np.int64]
    """Who comes back with results, in the order in which they do, (room,)."""
    lines: NDArray[Any]
    """Rows of LINE, by class."""

    @classmethod
    def of(cls, room: int) -> Queue:
        """With room for so many patients."""
        return cls(np.zeros(room, dtype=PATIENT), np.zeros(room, dtype=np.int64), np.zeros(LINES, dtype=LINE))


class Rooms(NamedTuple):
    """The waiting rooms of all service points of all replications."""

    care: CareTables
    doctors: NDArray[np.int64]
    """In a full session, (W x P,)."""
    places: NDArray[np.int64]
    """How many may wait, (W x P,); NO_LIMIT = any number."""
    free: Floats
    """When each doctor is free, (W x P, doctors)."""
    queue: Queue
    late: Floats
    """Part of a session by which one of the doctors comes later, (W x P,); 0 = all are there when it opens. In a
    smaller session, who is not needed in it is the one who would be late."""
    begun: NDArray[np.int64]
    """Half-day of the last session of which that has been told, (W x P,)."""

    @classmethod
    def of(cls, tables: CareTables, doctors: NDArray[np.int64], places: NDArray[np.int64], most: int = 1) -> Rooms:
        """Nobody is there; `doctors`: in a full session, and `places` for those who wait, (W, P); `most`: as many
        doctors as any room may have."""
        free, size = np.full((doctors.size, int(doctors.max(initial=most))), -NOWHERE), doctors.size
        late, begun = np.zeros(size), np.full(size, -1, dtype=np.int64)
        return cls(tables, doctors.flatten(), places.flatten(), free, Queue.of(0), late, begun)


# -------------------------------------------------------------------------------------------------------- the rule (R1)


@kernel
def serve(queue: Queue, number: int, free: Any, until: float, places: int) -> None:
    """Solve one waiting room: the first `number` of the queue's patients, by place and id.

    `free`: when each doctor on duty is free, in ascending order; starts are settled until `until`; `places`: how many
    may wait.
    """
    patients, lines = queue.patients, queue.lines
    for line in range(LINES):
        lines[line]["first"] = NOBODY
    come = back = sent = 0  # how many have come, are back with results, and were sent for an exam
    while True:
        coming, line = _next_to_come(queue, come, number, back, sent), _first_line(lines)
        place = patients[coming]["place"] if coming != NOBODY else NOWHERE
        if place < free[0] or (line == NOBODY and place < until):
            if places < NO_LIMIT and place < free[0] and _is_turned_away(queue, coming, places):
                come += 1
                continue
            _stand(queue, coming)
            if patients[coming]["status"] == AT_EXAM:
                back += 1
            else:
                come += 1
        elif line != NOBODY and free[0] < until:
            patient, called = patients[lines[line]["first"]], lines[line]["first"]
            lines[line]["first"] = patient["behind"]
            _look(patient, free)
            if patient["status"] == AT_EXAM:
                _send(queue, called, back, sent)
                sent += 1
        else:
            break
    for line in range(LINES):
        _leave_waiting(patients, lines[line]["first"], until)


@kernel
def _next_to_come(queue: Queue, come: int, number: int, back: int, sent: int) -> int:
    """Whoever is next to join a line, for the first time or back with results."""
    if back == sent:
        return come if come < number else NOBODY
    returning = queue.at_exam[back]
    return come if come < number and _is_before(queue.patients[come], queue.patients[returning]) else returning


@kernel
def _is_before(patient: Any, other: Any) -> bool:
    """Whether one patient's place in line is before another's."""
    same = patient["place"] == other["place"]
    return patient["place"] < other["place"] or (same and patient["key"] < other["key"])


@kernel
def _first_line(lines: Any) -> int:
    """The highest class of which somebody waits."""
    for line in range(LINES):
        if lines[line]["first"] != NOBODY:
            return line
    return NOBODY


@kernel
def _is_turned_away(queue: Queue, number: int, places: int) -> bool:
    """Whether somebody who finds no doctor free finds no place to wait either, and goes; not with results at hand.

    Who has lost patience still stands in a line until called, but is no longer there.
    """
    patient, waiting = queue.patients[number], 0
    if patient["back"] == 1:
        return False
    for line in range(LINES):
        other = queue.lines[line]["first"]
        while other != NOBODY:
            there = queue.patients[other]
            waiting += int(there["place"] + there["patience"] > patient["place"])
            other = there["behind"]
    if waiting < places:
        return False
    patient["end"], patient["status"] = patient["place"], TURNED_AWAY
    return True


@kernel
def _stand(queue: Queue, number: int) -> None:
    """Join the line of the class. Patients come in the order of their places, so they stand in it."""
    patients = queue.patients
    line = queue.lines[patients[number]["cls"]]
    patients[number]["behind"] = NOBODY
    if line["first"] == NOBODY:
        line["first"] = number
    else:
        patients[line["last"]]["behind"] = number
    line["last"] = number


@kernel
def _look(patient: Any, free: Any) -> None:
    """The doctor who is free first sees a patient, if he is still there, and may send him for an exam."""
    now = max(free[0], patient["place"])
    if patient["status"] == AT_EXAM:
        patient["end"], patient["status"] = now + patient["second"], DONE
        _engage(free, patient["end"])
    elif now > patient["place"] + patient["patience"]:
        patient["end"], patient["status"] = patient["place"] + patient["patience"], LEFT
    else:
        patient["begin"], patient["end"], patient["status"] = now, now + patient["first"], DONE
        _engage(free, patient["end"])
        if patient["exam"] > 0.0:
            patient["place"], patient["status"] = patient["end"] + patient["exam"], AT_EXAM
            patient["patience"], patient["back"] = NOWHERE, 1


@kernel
def _engage(free: Any, until: float) -> None:
    """The doctor who was free first is busy until then; the order is kept."""
    doctor = 0
    while doctor + 1 < len(free) and free[doctor + 1] < until:
        free[doctor] = free[doctor + 1]
        doctor += 1
    free[doctor] = until


@kernel
def _send(queue: Queue, number: int, back: int, sent: int) -> None:
    """Among `at_exam[back:sent]`, those still to come, a patient takes the place of his results."""
    place = sent
    while place > back and _is_before(queue.patients[number], queue.patients[queue.at_exam[place - 1]]):
        queue.at_exam[place] = queue.at_exam[place - 1]
        place -= 1
    queue.at_exam[place] = number


@kernel
def _leave_waiting(patients: Any, first: int, until: float) -> None:
    """The end of the window for those who still stand in a line."""
    while first != NOBODY:
        patient = patients[first]
        if patient["status"] == AT_EXAM:
            patient["status"] = WAITING_AGAIN
        elif patient["place"] + patient["patience"] < until:
            patient["end"], patient["status"] = patient["place"] + patient["patience"], LEFT
        first = patient["behind"]


# ----------------------------------------------------------------------------------------------------------- one window


def staff(doctors: NDArray[np.int64], here: Floats) -> NDArray[np.int64]:
    """Doctors of full sessions when only a share of those of a service point is there; one of them always is.

    Both of shape (replications, points).
    """
    return np.maximum(np.rint(doctors * here), np.minimum(doctors, 1)).astype(np.int64)


@kernel
def visit_key(who: Any, level: int) -> np.uint64:
    """The key of a visit: (episode, level, occurrence at that level)."""
    occurrence = (int(who["seen"]) >> (4 * level)) & 15
    return streams.child_of(who["key"], (level << 8) + occurrence + 1000)


@kernel
def priority_of(who: Any, tables: CareTables, emergency: bool, granted: bool) -> int:
    """Class in the queue: triage in an emergency department, elsewhere the patient's class if the policy grants it."""
    if emergency:
        return care.triage(tables, who["key"], int(who["world"]), int(who["condition"]))
    return int(who["cls"]) if granted else LAST


@kernel
def exam_of(tables: CareTables, point: Any, rules: Any, who: Any, visit: np.uint64) -> int:
    """What becomes of the exam of a visit, under the rules in force."""
    read = rules["read_remotely"] if point["reading"] else 0.0
    return care.exam(tables, visit, who, point["facility"], point["level"], rules["recognised"], read)


@kernel
def enter(tables: CareTables, point: Any, rules: Any, who: Any, patient: Any) -> None:
    """A contact becomes a patient of a waiting room, seen by nobody yet; results that have expired are forgotten.

    Class, patience, first look, turnaround and second look are drawn (back with results: the second look alone).
    `point`: the row of the service point; `rules`: a row with priority (whether classes count), recognised and
    read_remotely (of exams).
    """
    world, level = int(who["world"]), point["level"]
    visit = visit_key(who, level)
    column = EMERGENCY_COLUMN if point["emergency"] else level
    length = care.consultation(tables, visit, world, int(who["condition"]), column)
    patient["place"], patient["key"] = who["time"], who["key"]
    patient["cls"] = priority_of(who, tables, point["emergency"], rules["priority"])
    patient["second"] = length * tables.worlds[world]["second_look"]
    patient["status"], patient["end"] = WAITING, 0.0
    patient["back"] = int(who["stage"] != FIRST_LOOK)
    if patient["back"] == 1:
        patient["patience"], patient["first"], patient["exam"] = NOWHERE, patient["second"], 0.0
    else:
        if care.is_expired(tables, world, who["time"] - who["begun"]):
            who["examined"] = 0
        patient["patience"], patient["first"] = care.patience(tables, visit, world), length
        made = care.is_made(exam_of(tables, point, rules, who, visit))
        patient["exam"] = care.exam_turnaround(tables, visit, who, level) if made else 0.0


@kernel
def see(rooms: Rooms, hours: Any, room: int, pattern: int, number: int, window_end: float) -> None:
    """One window of a waiting room that so many patients have entered."""
    half_day = half_day_at(window_end - 1e-6)
    doctors = _on_duty(rooms, hours[pattern, half_day], half_day, room)
    until = _until(hours, pattern, window_end)
    serve(rooms.queue, number, rooms.free[room, :doctors], until, rooms.places[room])


@kernel
def _on_duty(rooms: Rooms, session: Any, half_day: int, room: int) -> int:
    """How many doctors are on duty; those who are not busy are free from the opening on, or when they come."""
    doctors = max(int(np.ceil(rooms.doctors[room] * session["size"] - 1e-9)), 1)
    free = rooms.free[room, :doctors]
    for i in range(doctors):
        minute, place = max(free[i], session["opens"]), i
        while place > 0 and minute < free[place - 1]:
            free[place] = free[place - 1]
            place -= 1
        free[place] = minute
    without = int(np.ceil((rooms.doctors[room] - 1) * session["size"] - 1e-9))
    if rooms.late[room] > 0.0 and without < doctors and rooms.begun[room] < half_day:
        rooms.begun[room] = half_day
        comes = session["opens"] + rooms.late[room] * (session["closes"] - session["opens"])
        _engage(free, max(free[0], comes))
    return doctors


@kernel
def _until(hours: Any, pattern: int, window_end: float) -> float:
    """Until when starts may be settled: the end of the window, or of the session's overtime."""
    if admits_at(hours, pattern, window_end):
        return window_end
    # overtime goes on until the next session, whose patients then stand in the same queue
    following = hours[pattern, half_day_at(window_end - 1e-6) + 1]
    return following["opens"] if following["size"] > 0 else NOWHERE


@kernel
def go_on(who: Any, patient: Any) -> None:
    """Who has not been seen to the end goes on in the next window; with results, once an exam has been ordered."""
    if patient["status"] == AT_EXAM or patient["status"] == WAITING_AGAIN:
        who["begun"], who["wanted"] = patient["begin"], who["time"]
        who["time"], who["stage"] = patient["place"], SECOND_LOOK
