"""The waiting room: the rule of the queue against an event-by-event oracle, windows of any length, compiled or not."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import towns
from sim import sessions
from sim.care import LEVELS, Care, CareTables
from sim.contacts import OTHER, REFERRED_CONTRACTED, Rows, empty
from sim.kernels import Kernel
from sim.network import NO_LIMIT
from sim.sessions import AT_EXAM, DONE, LEFT, PATIENT, TURNED_AWAY, WAITING, WAITING_AGAIN, Queue


@dataclass
class Patient:
    """One patient of the oracle."""

    place: float
    cls: int
    key: int
    patience: float
    service: float
    exam: float
    second: float
    begin: float = 0.0
    end: float = 0.0
    status: int = WAITING


@dataclass
class Oracle:
    """R1 read aloud, instant by instant: ends, starts of those waiting, who gives up, arrivals in the order of ids."""

    patients: list[Patient]
    free: list[float]
    places: int = NO_LIMIT
    waiting: list[tuple[int, float, int, Patient]] = field(default_factory=list)
    coming: list[tuple[float, int, Patient]] = field(default_factory=list)

    def run(self) -> None:
        """Until nobody is left."""
        self.coming = [(p.place, p.key, p) for p in self.patients]
        while self.coming or self.waiting:
            self.instant(self.next_instant())

    def next_instant(self) -> float:
        gives_up = [p.place + p.patience for *_, p in self.waiting if p.status == WAITING]
        return min([*(at for at, *_ in self.coming), *gives_up, *(self.free if self.waiting else [])])

    def instant(self, now: float) -> None:
        while self.waiting and min(self.free) <= now:
            self.waiting.sort(key=lambda w: w[:3])
            self.start(self.waiting.pop(0)[3], now)
        self.give_up(now)
        arrived = sorted((c for c in self.coming if c[0] == now), key=lambda c: c[:2])
        self.coming = [c for c in self.coming if c[0] > now]
        for at, key, patient in arrived:
            if not self.waiting and min(self.free) <= now:
                self.start(patient, now)
            elif len(self.waiting) >= self.places and patient.status != AT_EXAM:
                patient.end, patient.status = now, TURNED_AWAY
            else:
                self.waiting.append((patient.cls, at, key, patient))
                self.give_up(now)

    def give_up(self, now: float) -> None:
        for one in [w for w in self.waiting if w[3].status == WAITING and w[3].place + w[3].patience <= now]:
            self.waiting.remove(one)
            one[3].end, one[3].status = one[3].place + one[3].patience, LEFT

    def start(self, patient: Patient, now: float) -> None:
        again = patient.status == AT_EXAM
        if not again:
            patient.begin = now
        patient.end = now + (patient.second if again else patient.service)
        patient.status = DONE
        if not again and patient.exam:
            patient.status = AT_EXAM
            self.coming.append((patient.end + patient.exam, patient.key, patient))
        self.free[self.free.index(min(self.free))] = patient.end


minutes = st.integers(0, 12).map(float)
"""Whole minutes in a short session: many things happen at one instant."""

patient = st.builds(
    Patient,
    place=minutes,
    cls=st.integers(0, 2),
    key=st.just(0),
    patience=st.one_of(st.just(np.inf), minutes),
    service=st.integers(1, 6).map(float),
    exam=st.one_of(st.just(0.0), st.integers(1, 5).map(float)),
    second=st.integers(1, 3).map(float),
)
rooms = st.lists(
    st.tuples(st.lists(patient, min_size=1, max_size=14), st.lists(minutes, min_size=1, max_size=3)),
    min_size=1,
    max_size=3,
)


def solve(
    the_rooms: list[tuple[list[Patient], list[float]]], until: float = np.inf, loop: Any = None, places: int = NO_LIMIT
) -> dict[str, list[float]]:
    """The same rooms by the engine, one after the other, in the same queue."""
    queue = Queue.of(max(len(people) for people, _ in the_rooms))
    told: dict[str, list[float]] = {"begin": [], "end": [], "place": [], "status": []}
    for people, free in the_rooms:
        unseen = (0, 0.0, 0.0, WAITING, 0, 0)
        columns = [(p.cls, p.place, p.key, p.patience, p.service, p.exam, p.second, *unseen) for p in people]
        queue.patients[: len(people)] = np.array(columns, dtype=PATIENT)
        (loop or sessions.serve)(queue, len(people), np.sort(free), until, places)
        for name, values in told.items():
            values += queue.patients[name][: len(people)].tolist()
    return told


def lined_up(the_rooms: list[tuple[list[Patient], list[float]]]) -> None:
    """Ids in another order than arrivals, and each room sorted by place and id, as the engine asks."""
    number = 0
    for people, _ in the_rooms:
        for p in people:
            p.key, number = (number * 7919 + 13) % 1009, number + 1
        people.sort(key=lambda p: (p.place, p.key))


limits = st.sampled_from([NO_LIMIT, NO_LIMIT, 0, 1, 2, 4])


@settings(max_examples=800, deadline=None, derandomize=True)
@given(rooms, limits)
def test_the_queue_is_that_of_the_oracle(the_rooms: list[tuple[list[Patient], list[float]]], places: int) -> None:
    lined_up(the_rooms)
    found = solve(the_rooms, places=places)
    for people, free in the_rooms:
        Oracle(people, list(free), places).run()
    expected = [p for people, _ in the_rooms for p in people]
    assert found["status"] == [p.status for p in expected]
    assert found["end"] == [p.end for p in expected]
    assert [b for b, s in zip(found["begin"], found["status"], strict=True) if s == DONE] == [
        p.begin for p in expected if p.status == DONE
    ]


@settings(max_examples=400, deadline=None, derandomize=True)
@given(rooms, st.integers(1, 14), limits)
def test_a_window_that_ends_settles_exactly_what_began_before_its_end(
    the_rooms: list[tuple[list[Patient], list[float]]], until: int, places: int
) -> None:
    lined_up(the_rooms)
    for people, _ in the_rooms:
        people[:] = [p for p in people if p.place < until] or people[:1]
    whole, part = solve(the_rooms, places=places), solve(the_rooms, float(until), places=places)
    patients = [p for people, _ in the_rooms for p in people]
    for i, p in enumerate(patients):
        if part["status"][i] == DONE:
            assert (part["begin"][i], part["end"][i]) == (whole["begin"][i], whole["end"][i])
        elif part["status"][i] in (LEFT, TURNED_AWAY):
            assert (part["end"][i], part["status"][i]) == (whole["end"][i], whole["status"][i])
        elif part["status"][i] in (AT_EXAM, WAITING_AGAIN):
            assert part["begin"][i] == whole["begin"][i] < until
            assert part["place"][i] == whole["place"][i] == part["end"][i] + p.exam
        else:
            assert whole["begin"][i] >= until or whole["end"][i] >= until


@settings(max_examples=200, deadline=None, derandomize=True)
@given(rooms, limits)
def test_the_loop_does_the_same_whether_compiled_or_not(
    the_rooms: list[tuple[list[Patient], list[float]]], places: int
) -> None:
    lined_up(the_rooms)
    assert solve(the_rooms, 9.0, None, places) == solve(the_rooms, 9.0, sessions.serve.plain, places)


def test_a_queue_by_hand() -> None:
    """One doctor, free at 0. The third to come is of the first class and is taken as soon as the doctor is free."""
    people = [
        Patient(0, 2, 1, np.inf, 10, 0, 0),
        Patient(1, 2, 2, np.inf, 5, 0, 0),
        Patient(2, 0, 3, np.inf, 5, 0, 0),
        Patient(3, 2, 4, 8, 5, 0, 0),
    ]
    found = solve([(people, [0.0])])
    assert found["begin"][:3] == [0, 15, 10]
    assert found["status"] == [DONE, DONE, DONE, LEFT]
    assert found["end"][3] == 11  # place 3 + patience 8


def test_a_full_waiting_room_by_hand() -> None:
    """One doctor, one place. The first is sent for an exam and comes back at 12 to a room that is full."""
    people = [
        Patient(0, 2, 1, np.inf, 10, 2, 4),
        Patient(1, 2, 2, 5.0, 10, 0, 0),  # waits until 6 and leaves
        Patient(5, 2, 3, 99, 5, 0, 0),  # finds the place taken
        Patient(6, 2, 4, 99, 5, 0, 0),  # finds it left at this instant, is seen at 10
        Patient(10, 2, 5, 99, 5, 0, 0),  # finds it left for the doctor at this instant, is seen at 15
        Patient(13, 2, 6, 99, 5, 0, 0),  # finds two waiting, one of them back with results
    ]
    found = solve([(people, [0.0])], places=1)
    assert found["status"] == [DONE, LEFT, TURNED_AWAY, DONE, DONE, TURNED_AWAY]
    assert found["end"] == [24, 6, 5, 15, 20, 13]


def test_a_doctor_is_never_kept_idle_for_a_patient_who_has_not_come_yet() -> None:
    found = solve([([Patient(0, 2, 1, np.inf, 10, 0, 0), Patient(1, 0, 2, np.inf, 10, 0, 0)], [0.0])])
    assert found["begin"] == [0, 10]


# ------------------------------------------------------------------------------------------------------------ windows

EXAMS = {"exam_at": {level: towns.said(1.0) for level in LEVELS[:-1]}}
EMERGENCY = {"ill": towns.condition("emergency", exam=0.5), "waiting_patience": 40.0, **EXAMS}
CLINIC = {"ill": towns.condition(exam=0.5), "waiting_patience": 60.0, **EXAMS}
BOOKED = {"places": {"slots": 40}, "doors": {"books": 0.5, "no_show": 0.1}, **CLINIC}
FULL = {"places": {"waiting_places": 3, "doctors": 1, "pattern": "office"}, **CLINIC}
TOWNS = {
    "emergency": lambda window: towns.emergency_town(300, 3, 10, window=window, **EMERGENCY),
    "walk-in clinic": lambda window: towns.clinic_town(100, 10, window=window, **CLINIC),
    "bookable clinic": lambda window: towns.clinic_town(100, 10, window=window, **BOOKED),
    "full emergency": lambda window: towns.emergency_town(500, 3, 10, window=window, places=8, **EMERGENCY),
    "full clinic": lambda window: towns.clinic_town(60, 10, window=window, **FULL),
}


@pytest.mark.parametrize("place", TOWNS)
def test_windows_of_any_length_give_the_same_visits_where_nothing_feeds_back(place: str) -> None:
    """R2: busy doctors, waiting patients and those at an exam carry over, to the last bit."""
    half_day = towns.run(TOWNS[place](720))[0]
    assert half_day["visits"]["left"].any()
    assert half_day["visits_monthly"]["turned_away"].any() == (place not in ("emergency", "walk-in clinic"))
    for window in (240, 30):
        towns.assert_same(towns.run(TOWNS[place](window))[0], half_day)


def test_numba_and_plain_python_give_the_same_town(monkeypatch: pytest.MonkeyPatch) -> None:
    """With all levers pulled, so that every kind of referral, appointment, departure and stay is among them."""
    town = towns.group_town(28, settings=towns.PLAN, waiting_patience=20.0)
    compiled = towns.run(town)[0]
    assert set(compiled["visits"]["entry"]) == {"walk_in", "open_slot", "held_slot", "extra"}
    assert compiled["visits"]["left"].any()
    assert set(compiled["visits"]["cls"]) == {"referred_contracted", "referred", "other"}
    assert set(compiled["referrals"]["status"]) == {"completed", "declined", "lapsed"}
    assert {"lead", "outside"} < set(compiled["stays"]["facility"])
    monkeypatch.setattr(Kernel, "run", property(lambda self: self.plain))
    towns.assert_same(towns.run(town)[0], compiled)


def test_who_is_in_by_the_last_admission_is_seen_and_nobody_waits_overnight() -> None:
    visits = towns.run(towns.clinic_town(60, 10, **EXAMS))[0]["visits"]
    minute = visits["time"] % 1440
    assert (((minute >= 480) & (minute <= 720)) | ((minute >= 840) & (minute <= 1050))).all()
    same_half_day = visits["begin"] // 720 == visits["time"] // 720
    overtime = visits["begin"] % 1440
    assert (same_half_day | (overtime < 840)).all()
    assert (visits["end"] // 1440 == visits["time"] // 1440).all()


def test_the_late_come_before_the_last_admission() -> None:
    """Forty slots in a morning: the last is three minutes before the end, and ten minutes' delay would miss it."""
    visits = towns.run(towns.clinic_town(100, 10, places={"slots": 40}, doors={"books": 1.0}))[0]["visits"]
    minute = visits["time"] % 1440
    assert (((minute >= 480) & (minute <= 720)) | ((minute >= 840) & (minute <= 1050))).all()


# ----------------------------------------------------------------------------------------------------------- priority


def _care() -> CareTables:
    conditions = {"urgent": towns.condition("emergency")}
    return Care.of([towns.care(conditions, triage=[0.1, 0.2, 0.3, 0.4])], ["urgent"]).tables()


def _priorities(rows: Rows, emergency: bool, granted: bool) -> list[int]:
    tables = _care()
    return [sessions.priority_of(who, tables, emergency, granted) for who in rows]


def test_priority_is_triage_in_an_emergency_department_and_class_elsewhere_where_granted() -> None:
    rows = empty(4000)
    rows["key"] = np.arange(4000) * 2654435761
    rows["cls"] = np.arange(4000) % 3
    assert set(_priorities(rows, True, True)) == {0, 1, 2, 3}
    granted, not_granted = (_priorities(rows, False, yes) for yes in (True, False))
    assert granted == rows["cls"].tolist()
    assert set(not_granted) == {OTHER}
    assert REFERRED_CONTRACTED < OTHER


def test_a_visit_has_luck_of_its_own_by_level_and_occurrence() -> None:
    rows = empty(3)
    rows["key"] = 42
    rows["seen"] = [0, 1, 1 << 4]
    keys, above = ([int(sessions.visit_key(who, level)) for who in rows] for level in (0, 1))
    assert keys[0] == keys[2] != keys[1]  # a visit at level 1 does not count at level 0
    assert len({*keys, *above}) == 4
