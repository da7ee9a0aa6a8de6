"""Stays: the waiting list, step-down in one stroke, blocked beds, release of held ones, and bed-days that add up."""

from __future__ import annotations

from dataclasses import dataclass, field
from fractions import Fraction
from itertools import pairwise
from typing import Any

import numpy as np
import pytest

from sim.beds import EMERGENCY, OTHER, REFERRED, STEP_DOWN, BedPool
from sim.records import LATE_EXAM, LATE_OPERATION, NO_BED_BELOW, NO_ORDINARY_BED
from sim.stays import Clock, Course, Hospital, Stay

HOUR, DAY = 60.0, 1440.0


@dataclass
class House:
    """An acute ward (0) and two wards further down (1, 2), with beds as said; discharge at any hour unless said."""

    beds: tuple[int, ...]
    hours: tuple[int, int] = (0, 24)
    downstream: list[int] = field(default_factory=lambda: [1, 2])
    down: bool = True
    left: list[int] = field(default_factory=list)
    cleaning: float = 0.0
    admissions: tuple[int, int] = (0, 24)
    on_transfer: bool = False

    def __post_init__(self) -> None:
        self.env = Clock()
        pools = [BedPool(n, b, self.cleaning) for n, b in enumerate(self.beds)]
        self.hospital = Hospital(self.env, pools, self.hours, self.admissions, self.on_transfer)
        self.hospital.goes_down = lambda course, ward: self.down
        self.hospital.downstream = lambda course, ward: [w for w in self.downstream if w < len(self.beds) and w != ward]
        self.hospital.gives_up = lambda stay: self.left.append(stay.course.key)

    def ask(
        self,
        key: int,
        when: float,
        minutes: float,
        acute: float | None = None,
        patience: float = np.inf,
        entry: int = OTHER,
        ward: int = 0,
        ordinary: int = -1,
        **steps: float,
    ) -> Stay:
        """A request for a bed; `acute` makes the patient one who may step down; `steps`: recovery, intensive."""
        course = Course(0, key, key, 0, 1, minutes, np.inf if acute is None else acute, 0.5, 0.5, patience, **steps)
        number, rank = self.hospital.courses.note_one(course), 0 if entry == EMERGENCY else 3
        return Stay(self.hospital, number, ward, entry, rank, when, ordinary)

    def hold(self, share: str, hours: float = 24.0) -> None:
        """Put the acute ward under quota, now."""
        self.hospital.release_after = hours * HOUR
        pool = self.hospital.pools[0]
        for _ in range(pool.set_quota(Fraction(share), self.env.now)):
            self.hospital.watch(pool)

    def run(self, until: float = 1e7) -> dict[int, list[Any]]:
        """Legs of each patient in order."""
        self.env.run_until(until)
        legs: dict[int, list[Any]] = {}
        for leg in self.hospital.ended().view(np.recarray):
            legs.setdefault(leg.key, []).append(leg)
        return legs


def test_the_waiting_list_is_first_come_first_served_behind_emergencies() -> None:
    house = House((1,))
    for key, when, entry in ((1, 0, OTHER), (2, 10, OTHER), (3, 20, OTHER), (4, 30, EMERGENCY)):
        house.ask(key, when, 100, entry=entry)
    legs = house.run()
    assert [(k, legs[k][0].admitted) for k in (1, 4, 2, 3)] == [(1, 0), (4, 100), (2, 200), (3, 300)]
    assert legs[4][0].requested == 30


def test_at_one_instant_beds_are_freed_before_they_are_asked_for() -> None:
    house = House((1,))
    house.ask(2, 100, 50)
    house.ask(1, 0, 100)
    assert house.run()[2][0].admitted == 100


def test_a_planned_patient_leaves_after_his_patience_and_not_a_minute_later() -> None:
    house = House((1,))
    house.ask(1, 0, 100)
    house.ask(2, 10, 50, patience=89)
    house.ask(3, 10, 50, patience=90)  # the bed is freed in that very minute: ends come first
    legs = house.run()
    assert house.left == [2]
    assert legs[3][0].admitted == 100
    assert house.hospital.pools[0].waiting == 0


def test_who_has_a_bed_does_not_leave_when_his_patience_would_have_ended() -> None:
    house = House((1,))
    house.ask(1, 0, 100)
    house.ask(2, 10, 500, patience=200)
    assert house.run()[2][0].discharged == 600
    assert house.left == []


def test_step_down_takes_the_next_bed_and_frees_the_old_one_in_one_stroke() -> None:
    house = House((1, 1))
    house.ask(1, 0, 100, acute=60)
    house.ask(2, 10, 100)
    legs = house.run()
    first, second = legs[1]
    assert (first.admitted, first.discharged, first.to_step_down) == (0, 60, True)
    assert (second.ward, second.entry, second.admitted, second.discharged) == (1, STEP_DOWN, 60, 100)
    assert second.first_admitted == 0
    assert legs[2][0].admitted == 60


def test_the_nearest_ward_with_a_free_bed_is_taken() -> None:
    house = House((5, 1, 1))
    for key in (1, 2):
        house.ask(key, key, 100, acute=50)
    legs = house.run()
    assert [legs[k][1].ward for k in (1, 2)] == [1, 2]


def test_a_blocked_bed_is_recorded_and_blocked_patients_leave_in_order() -> None:
    """ID-11: recovery goes on while the bed is blocked, and the patient moves when a bed is free."""
    house = House((3, 1))
    house.ask(1, 0, 300, acute=100)
    house.ask(2, 0, 1000, acute=150)
    house.ask(3, 0, 1000, acute=200)
    legs = house.run()
    assert [leg.discharged for leg in legs[2]] == [300, 1000]
    assert [leg.discharged for leg in legs[3]] == [
        1000
    ]  # the bed below is freed the minute recovery ends: home, not down
    assert house.hospital.pools[1].occupied == 0
    assert house.hospital.pools[0].blocked[0] == (300 - 150) + (1000 - 200)


def test_a_blocked_patient_goes_home_when_recovery_ends_first() -> None:
    house = House((2, 1))
    house.ask(1, 0, 1000, acute=10)
    house.ask(2, 0, 200, acute=100)
    legs = house.run()
    assert [(leg.ward, leg.discharged, leg.to_step_down) for leg in legs[2]] == [(0, 200, False)]
    assert house.hospital.pools[0].blocked[0] == 100
    assert house.hospital.pools[1].waiting == 0


def test_who_is_not_to_step_down_stays() -> None:
    house = House((1, 1), down=False)
    house.ask(1, 0, 100, acute=60)
    assert [(leg.ward, leg.discharged) for leg in house.run()[1]] == [(0, 100)]


def test_patients_are_discharged_within_discharge_hours() -> None:
    house = House((9,), hours=(9, 17))
    for key, minutes in ((1, 3 * HOUR), (2, 10 * HOUR), (3, 17 * HOUR), (4, 30 * HOUR)):
        house.ask(key, 0, minutes)
    legs = house.run()
    assert [legs[k][0].discharged / HOUR for k in (1, 2, 3, 4)] == [9, 10, 33, 33]


# ------------------------------------------------------------------------------------------------------------ held beds


def test_planned_patients_ask_within_the_hours_of_admission_and_wait_from_when_they_would_have() -> None:
    house = House((9,), admissions=(8, 16))
    for key, hour in enumerate((7, 12, 16, 41)):
        house.ask(key, hour * HOUR, 60)
    house.ask(9, 3 * HOUR, 60, entry=EMERGENCY)
    legs = house.run()
    assert [legs[key][0].admitted / HOUR for key in range(4)] == [8, 12, 32, 56]
    assert [legs[key][0].requested / HOUR for key in range(4)] == [7, 12, 16, 41]
    assert legs[9][0].admitted == 3 * HOUR


def test_whoever_waits_for_a_bed_below_asks_for_it_as_one_who_steps_down() -> None:
    """However he came to the hospital: an emergency does not borrow a bed held there, a referred patient not use it."""
    house = House((2, 1), downstream=[1])
    below = house.hospital.pools[1]
    for key, entry in ((1, EMERGENCY), (2, REFERRED)):
        house.ask(key, 0, 1000, acute=100, entry=entry)
    house.ask(3, 0, 300, ward=1)
    house.env.run_until(200)
    below.set_quota(Fraction(1), 200)
    house.run(400)
    assert (below.waiting, below.entitled, below.occupied, len(below.held)) == (2, 0, 0, 1)


def test_a_held_bed_that_stood_empty_is_released_to_who_waits() -> None:
    """R8: after 24 hours."""
    house = House((1,))
    house.hold("1")
    house.ask(1, 100, 50)
    assert house.run(until=DAY + 10) == {}
    assert house.hospital.pools[0].released == 1
    assert house.run()[1][0].admitted == DAY


def test_a_held_bed_serves_the_referred_at_once_and_is_held_again_afterwards() -> None:
    house = House((1,))
    house.hold("1")
    house.ask(1, 100, 50, entry=REFERRED)
    house.ask(2, 120, 50)
    legs = house.run()
    assert legs[1][0].admitted == 100
    assert legs[2][0].admitted == 150 + DAY
    assert house.hospital.pools[0].used_held == 1


def test_an_emergency_borrows_a_held_bed() -> None:
    house = House((1,))
    house.hold("1")
    house.ask(1, 100, 50, entry=EMERGENCY)
    assert house.run()[1][0].admitted == 100
    assert (house.hospital.pools[0].borrowed, house.hospital.pools[0].used_held) == (1, 0)


def test_a_released_bed_is_held_anew_when_it_is_freed() -> None:
    house = House((1,))
    house.hold("1", hours=1)
    house.ask(1, 100, 50)  # the bed is released at 60
    house.ask(2, 110, 50)  # at 150 it is held again, until 210
    house.ask(3, 120, 50, entry=REFERRED)
    legs = house.run()
    assert [legs[k][0].admitted for k in (1, 3, 2)] == [100, 150, 260]


# ----------------------------------------------------------------------------------------------------------- cleaning


def test_a_bed_is_cleaned_before_the_next_patient_lies_in_it() -> None:
    house = House((1,), cleaning=30)
    house.ask(1, 0, 100)
    house.ask(2, 10, 50)
    house.ask(3, 200, 50)  # clean since 180 + 30
    legs = house.run()
    assert [(legs[k][0].admitted, legs[k][0].discharged) for k in (1, 2, 3)] == [(0, 100), (130, 180), (210, 260)]
    assert (house.hospital.pools[0].cleaning, house.hospital.pools[0].free) == (0, 1)


def test_whoever_steps_down_leaves_at_once_and_the_bed_is_cleaned() -> None:
    house = House((1, 1), cleaning=30)
    house.ask(1, 0, 100, acute=60)
    house.ask(2, 10, 100)
    legs = house.run()
    assert [(leg.ward, leg.admitted, leg.discharged) for leg in legs[1]] == [(0, 0, 60), (1, 60, 100)]
    assert legs[2][0].admitted == 90


def test_a_bed_is_held_from_the_minute_in_which_it_is_clean() -> None:
    house = House((1,), cleaning=30)
    house.hold("1", hours=1)
    house.ask(1, 0, 100, entry=REFERRED)
    house.ask(2, 50, 100)
    assert house.run()[2][0].admitted == 100 + 30 + 60
    assert house.hospital.pools[0].released == 2


# ------------------------------------------------------------------------------------------- wards that close and open


def test_a_ward_that_closes_evicts_nobody_and_admits_nobody() -> None:
    house = House((2,))
    for key, when in ((1, 0), (2, 0), (3, 10), (4, 120)):
        house.ask(key, when, 100 * key)
    house.env.run_until(50)
    pool = house.hospital.pools[0]
    house.hospital.close(pool, 50)
    assert (pool.beds, pool.occupied, pool.waiting, house.left) == (2, 2, 0, [3])
    house.env.run_until(150)
    assert (pool.beds, pool.occupied, pool.free, house.left) == (1, 1, 0, [3, 4])
    legs = house.run(300)
    assert sorted(legs) == [1, 2]
    assert [legs[k][0].discharged for k in (1, 2)] == [100, 200]
    assert (pool.beds, pool.occupied, pool.free) == (0, 0, 0)


def test_a_ward_that_opens_has_all_its_beds() -> None:
    house = House((3,), cleaning=30)
    house.hold("1/3")
    pool = house.hospital.pools[0]
    house.ask(1, 0, 500)
    house.ask(2, 0, 90)
    house.env.run_until(100)
    house.hospital.close(pool, 100)
    assert (pool.beds, pool.occupied, pool.cleaning, len(pool.held)) == (2, 1, 1, 0)
    house.env.run_until(110)
    house.hospital.open(pool, 110)
    assert (pool.beds, pool.occupied, pool.cleaning, pool.free, len(pool.held)) == (3, 1, 1, 0, 1)
    house.env.run_until(130)
    assert (pool.cleaning, pool.free, len(pool.held)) == (0, 1, 1)
    house.env.run_until(110 + DAY + 1)
    assert (pool.occupied, pool.free, pool.released) == (0, 3 - len(pool.held), 1)


def test_a_bed_that_is_clean_after_its_ward_has_closed_goes() -> None:
    house = House((1,), cleaning=30)
    house.ask(1, 0, 90)
    house.env.run_until(100)
    house.hospital.close(house.hospital.pools[0], 100)
    house.env.run_until(200)
    assert (house.hospital.pools[0].beds, house.hospital.pools[0].cleaning) == (0, 0)


def test_whoever_waits_in_a_blocked_bed_for_a_ward_that_closes_looks_at_the_next_one() -> None:
    house = House((2, 1, 1))
    house.ask(1, 0, 900, ward=1)
    house.ask(2, 0, 600, ward=2)
    for key in (3, 4):
        house.ask(key, 0, 1000, acute=100)
    house.env.run_until(200)
    assert (house.hospital.pools[1].waiting, house.hospital.pools[2].waiting) == (2, 0)
    house.downstream = [2]
    house.hospital.close(house.hospital.pools[1], 200)
    assert (house.hospital.pools[1].waiting, house.hospital.pools[2].waiting) == (0, 2)
    legs = house.run()
    assert [(leg.ward, leg.admitted, leg.discharged) for leg in legs[3]] == [(0, 0, 600), (2, 600, 1000)]
    assert [(leg.ward, leg.admitted, leg.discharged) for leg in legs[4]] == [(0, 0, 1000)]
    assert house.hospital.pools[0].blocked[0] == (600 - 100) + (1000 - 100)
    assert house.left == []


# ----------------------------------------------------------------------------------------------------- intensive care


def test_a_stay_that_begins_in_intensive_care_goes_on_in_the_ordinary_ward_and_is_one_stay() -> None:
    house = House((2, 0, 1))
    house.ask(1, 0, 100, ward=2, ordinary=0, intensive=30)
    house.ask(2, 10, 100, ward=2)
    legs = house.run()
    assert [(leg.ward, leg.admitted, leg.discharged) for leg in legs[1]] == [(0, 0, 100)]
    assert legs[2][0].admitted == 30
    assert house.hospital.pools[2].moved_on == 1


def test_who_leaves_intensive_care_waits_among_emergencies_and_blocks_the_bed_meanwhile() -> None:
    house = House((1, 0, 1))
    house.ask(1, 0, 80)
    house.ask(2, 5, 50)
    house.ask(3, 0, 200, ward=2, ordinary=0, intensive=30)
    legs = house.run()
    assert legs[3][0].discharged == 200
    assert legs[2][0].admitted == 200
    assert house.hospital.pools[2].blocked[NO_ORDINARY_BED] == 80 - 30


def test_who_is_held_up_in_intensive_care_steps_down_or_goes_home_from_there() -> None:
    house = House((1, 1, 2))
    house.ask(1, 0, 900)
    house.ask(2, 0, 100, acute=60, ward=2, ordinary=0, intensive=30)
    house.ask(3, 0, 100, ward=2, ordinary=0, intensive=30)
    legs = house.run()
    assert [(leg.ward, leg.admitted, leg.discharged) for leg in legs[2]] == [(2, 0, 60), (1, 60, 100)]
    assert [(leg.ward, leg.admitted, leg.discharged) for leg in legs[3]] == [(2, 0, 100)]
    assert house.hospital.pools[2].blocked[NO_ORDINARY_BED] == (60 - 30) + (100 - 30)
    assert house.hospital.pools[0].waiting == 0


def test_what_comes_late_prolongs_the_acute_phase_and_all_that_follows() -> None:
    """R25: so many minutes later, whatever phase the stay is in, unless the acute phase is over."""
    house = House((9, 9, 9))
    stays = [
        house.ask(1, 0, 100), house.ask(2, 0, 100, acute=60),
        house.ask(3, 0, 100, acute=60, ward=2, ordinary=0, intensive=30),
    ]  # fmt: skip
    house.env.run_until(20)
    for stay in stays:
        stay.prolong(40, LATE_EXAM, 20)
    legs = house.run()
    assert [leg.discharged for leg in legs[1]] == [140]
    assert [leg.discharged for leg in legs[2]] == [leg.discharged for leg in legs[3]] == [100, 140]
    assert (house.hospital.pools[0].blocked[LATE_EXAM], house.hospital.pools[2].blocked[LATE_EXAM]) == (80, 40)
    stays[0].prolong(40, LATE_EXAM, 200)
    assert house.hospital.pools[0].blocked[LATE_EXAM] == 80


def test_of_several_things_that_come_late_the_latest_counts() -> None:
    house = House((9, 9, 9))
    stay = house.ask(1, 0, 100, acute=60)
    house.env.run_until(20)
    for minutes, cause in ((30, LATE_EXAM), (50, LATE_OPERATION), (40, LATE_EXAM)):
        stay.prolong(minutes, cause, 20)
    assert [leg.discharged for leg in house.run()[1]] == [110, 150]
    assert [house.hospital.pools[0].blocked[cause] for cause in (LATE_EXAM, LATE_OPERATION)] == [30, 20]


# --------------------------------------------------------------------------------------------- blocking as in textbooks


def test_a_recovery_with_a_law_of_its_own_replaces_what_is_left_of_the_stay() -> None:
    house = House((2, 1))
    house.ask(1, 0, 100, acute=60, recovery=500)
    house.ask(2, 0, 100, acute=70, recovery=100)
    legs = house.run(1000)
    assert [leg.discharged for leg in legs[1]] == [60, 560]
    assert [leg.discharged for leg in legs[2]] == [170]
    house.ask(4, 1000, 100, acute=100, recovery=50)  # nothing is left of the stay but the recovery of its own law
    assert [leg.discharged for leg in house.run(2000)[4]] == [1100, 1150]
    house.down = False
    house.ask(3, 2000, 100, acute=60, recovery=500)
    assert [leg.discharged for leg in house.run()[3]] == [2100]


def test_where_recovery_starts_on_transfer_who_waits_in_a_blocked_bed_does_not_recover() -> None:
    house = House((2, 1), on_transfer=True)
    house.ask(1, 0, 300, acute=100)
    house.ask(2, 0, 200, acute=150)
    house.ask(3, 10, 50)
    legs = house.run()
    assert [leg.discharged for leg in legs[1]] == [100, 300]
    assert [leg.discharged for leg in legs[2]] == [300, 350]
    assert legs[2][1].requested == 150
    assert house.hospital.pools[0].blocked[NO_BED_BELOW] == 300 - 150
    assert house.hospital.deadlocks == {}


def test_wards_that_wait_for_each_other_are_told_with_the_minute() -> None:
    """Two wards send their patients to each other, a third to one of them; the patients of two stay for ever."""
    house = House((1, 1, 2), on_transfer=True)
    house.hospital.downstream = lambda course, ward: [1 - ward] if ward < 2 else [1]
    house.ask(1, 0, 300, acute=100)
    house.ask(2, 0, 300, acute=150, ward=1)
    house.ask(3, 0, 300, acute=200, ward=2)
    legs = house.run()
    assert legs == {}
    assert house.hospital.deadlocks == {(0, 1): 150}


def test_wards_of_which_one_has_another_patient_are_not_told() -> None:
    house = House((1, 2), on_transfer=True)
    house.hospital.downstream = lambda course, ward: [1 - ward]
    house.ask(1, 0, 300, acute=100)
    house.ask(2, 0, 300, acute=150, ward=1)
    house.ask(3, 0, 400, ward=1)
    legs = house.run()
    assert house.hospital.deadlocks == {}
    assert [leg.discharged for leg in legs[1]] == [400, 600]


# ------------------------------------------------------------------------------------------------------------- ledger


@pytest.mark.parametrize("cleaning", [0.0, 90.0])
@pytest.mark.parametrize("seed", range(8))
def test_bed_days_add_up_and_nobody_is_ever_in_two_beds(seed: int, cleaning: float) -> None:
    luck = np.random.default_rng([seed, 11])
    house = House((4, 2, 1), hours=(9, 17) if seed % 2 else (0, 24), cleaning=cleaning)
    house.hold("1/4", hours=12)
    when = np.cumsum(luck.exponential(0.35 * DAY, 150))
    for key, minute in enumerate(when.tolist()):
        minutes = luck.exponential(1.5 * DAY)
        acute = minutes * 0.5 if luck.random() < 0.6 else None
        entry = [EMERGENCY, REFERRED, OTHER][luck.integers(3)]
        house.ask(key, minute, minutes, acute, np.inf if entry == EMERGENCY else luck.exponential(2 * DAY), entry)
    end = when[-1] + 200 * DAY
    area = _bed_minutes(house, end)
    legs = house.run(end + 1)
    assert len(legs) + len(house.left) == 150
    assert house.left
    assert area == pytest.approx(sum(leg.discharged - leg.admitted for each in legs.values() for leg in each), rel=0.02)
    for each in legs.values():
        assert [leg.to_step_down for leg in each] == [True] * (len(each) - 1) + [False]
        assert all(a.discharged == b.admitted for a, b in pairwise(each))
        assert each[0].requested <= each[0].admitted
    for ward, pool in enumerate(house.hospital.pools):
        here = [leg for each in legs.values() for leg in each if leg.ward == ward]
        changes = sorted([(leg.admitted, 1) for leg in here] + [(leg.discharged, -1) for leg in here])
        assert max(np.cumsum([step for _, step in changes])) <= pool.beds
        cleaned = sorted([(leg.admitted, 1) for leg in here] + [(leg.discharged + cleaning, -1) for leg in here])
        assert max(np.cumsum([step for _, step in cleaned])) <= pool.beds
        assert (pool.occupied, pool.waiting, pool.in_held, pool.cleaning) == (0, 0, 0, 0)


def _bed_minutes(house: House, end: float) -> float:
    """The number of occupied beds every half hour, times half an hour."""
    area = 0.0
    while house.env.now < end:
        house.env.run_until(house.env.now + 30.0)
        area += 30.0 * sum(pool.occupied for pool in house.hospital.pools)
    return area
