"""Bed pools: held, released, borrowed; counts that always add up."""

from __future__ import annotations

from dataclasses import dataclass, field
from fractions import Fraction
from typing import get_args

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from sim.beds import (
    BORROWED,
    EMERGENCY,
    HELD,
    OPEN,
    OTHER,
    PARTITION,
    PROTECT,
    REFERRED,
    REFERRED_CONTRACTED,
    RELEASE,
    STEP_DOWN,
    BedPool,
)
from sim.policy import BedQuotaKind


@dataclass
class Somebody:
    """Somebody who waits and lies down when called."""

    entry: int
    rank: int
    bed: int = -1
    log: list[Somebody] = field(default_factory=list)

    @property
    def asks_as(self) -> int:
        """No step down here: as he comes."""
        return self.entry

    def bed_granted(self, pool: BedPool, bed: int) -> None:
        """Lie down."""
        pool.take(bed)
        self.bed = bed
        self.log.append(self)

    def turned_away(self, pool: BedPool, now: float) -> None:
        """Leave."""
        pool.give_up(self)


def pool(beds: int, share: str = "0", kind: str = RELEASE) -> BedPool:
    """A pool with its quota in force since minute 0."""
    one = BedPool(0, beds)
    one.set_quota(Fraction(share), 0.0, kind)
    return one


@pytest.mark.parametrize(
    ("beds", "share", "held"), [(8, "1/4", 2), (9, "1/4", 2), (10, "1/4", 3), (3, "1/3", 1), (5, "1", 5), (5, "0", 0)]
)
def test_the_quota_is_rounded_half_up(beds: int, share: str, held: int) -> None:
    one = pool(beds, share)
    assert (len(one.held), one.free, one.occupied) == (held, beds - held, 0)


def test_who_may_have_which_bed() -> None:
    one = pool(4, "1/2")
    assert [one.bed_for(e) for e in (EMERGENCY, REFERRED_CONTRACTED, REFERRED, OTHER, STEP_DOWN)] == [
        OPEN,
        HELD,
        HELD,
        OPEN,
        OPEN,
    ]
    one.take(OPEN)
    one.take(OPEN)
    assert [one.bed_for(e) for e in (EMERGENCY, REFERRED_CONTRACTED, REFERRED, OTHER, STEP_DOWN)] == [
        BORROWED,
        HELD,
        HELD,
        None,
        None,
    ]


def test_a_borrowed_bed_is_counted_borrowed_and_not_used() -> None:
    one = pool(2, "1")
    one.take(BORROWED)
    one.take(HELD)
    assert (one.borrowed, one.used_held, one.in_held, one.occupied) == (1, 1, 1, 2)


def test_held_beds_grow_back_as_beds_are_freed() -> None:
    one = pool(4, "1/2")
    assert one.release_held(0.0)
    assert (one.free, len(one.held), one.released) == (3, 1, 1)
    one.take(OPEN)
    assert one.leave(OPEN, 50.0)  # held again
    assert (one.free, list(one.held)) == (2, [0.0, 50.0])
    one.take(OPEN)
    assert not one.leave(OPEN, 60.0)  # the quota is full


def test_a_bed_is_released_only_if_it_has_stood_empty_that_long() -> None:
    one = pool(1, "1")
    one.take(HELD)
    one.leave(HELD, 100.0)
    assert not one.release_held(0.0)
    assert one.release_held(100.0)
    assert not one.release_held(100.0)


def test_a_bed_is_released_in_its_own_time_also_where_the_hours_become_fewer() -> None:
    """The bed held later has the shorter time, so it goes first, and the other one when its own is over."""
    one = pool(2, "1")
    for minute in (10.0, 20.0):
        one.take(HELD)
        one.leave(HELD, minute)
    assert one.release_held(20.0)
    assert list(one.held) == [10.0]
    assert one.release_held(10.0)
    assert not one.held


def test_a_smaller_quota_opens_beds_and_evicts_nobody() -> None:
    one = pool(4, "1")
    one.take(HELD)
    one.set_quota(Fraction(1, 4), 10.0)
    assert (one.in_held, len(one.held), one.free) == (1, 0, 3)
    one.set_quota(Fraction(0), 20.0)
    assert (one.in_held, len(one.held), one.free) == (1, 0, 3)
    assert not one.leave(HELD, 30.0)
    assert one.free == 4


def test_a_larger_quota_holds_free_beds_at_once_and_others_as_they_are_freed() -> None:
    one = pool(4)
    for _ in range(3):
        one.take(OPEN)
    assert one.set_quota(Fraction(1, 2), 5.0) == 1
    assert (one.free, len(one.held)) == (0, 1)
    assert one.leave(OPEN, 6.0)
    assert (one.free, len(one.held)) == (0, 2)


def test_the_same_quota_again_leaves_released_beds_released() -> None:
    one = pool(4, "1/2")
    one.release_held(0.0)
    assert one.set_quota(Fraction(1, 2), 10.0) == 0
    assert (one.free, len(one.held)) == (3, 1)


def test_the_waiting_list_is_served_by_rank_then_in_order_of_asking() -> None:
    one, served = pool(0), []
    people = [
        Somebody(entry, rank, log=served)
        for entry, rank in (
            (OTHER, 3),
            (REFERRED, 2),
            (OTHER, 3),
            (EMERGENCY, 0),
            (REFERRED_CONTRACTED, 1),
            (EMERGENCY, 0),
        )
    ]
    for who in people:
        one.wait(who)
    assert one.waiting == 6
    one.free = one.beds = 6
    one.serve()
    assert served == [people[3], people[5], people[4], people[1], people[0], people[2]]


def test_a_held_bed_goes_past_those_who_may_not_have_it() -> None:
    one, served = pool(1, "1"), []
    first, second = Somebody(OTHER, 3, log=served), Somebody(REFERRED, 3, log=served)
    one.wait(first)
    one.wait(second)
    one.serve()
    assert served == [second]
    assert (second.bed, one.waiting) == (HELD, 1)


# ------------------------------------------------------------------------------------------------------ kinds of quota


EVERYBODY = (EMERGENCY, REFERRED_CONTRACTED, REFERRED, OTHER, STEP_DOWN)


def test_the_kinds_have_the_names_of_the_lever() -> None:
    assert get_args(BedQuotaKind) == (RELEASE, PARTITION, PROTECT)


def test_partitioned_beds_are_two_wards() -> None:
    one = pool(3, "1/3", PARTITION)
    assert [one.bed_for(e) for e in EVERYBODY] == [OPEN, HELD, HELD, OPEN, OPEN]
    one.take(HELD)
    assert [one.bed_for(e) for e in EVERYBODY] == [OPEN, None, None, OPEN, OPEN]
    one.leave(HELD, 5.0)
    one.take(OPEN)
    one.take(OPEN)
    assert [one.bed_for(e) for e in EVERYBODY] == [None, HELD, HELD, None, None]


def test_partitioned_beds_are_never_released() -> None:
    one = BedPool(0, 2)
    assert one.set_quota(Fraction(1, 2), 0.0, PARTITION) == 0
    assert not one.release_held(0.0)
    one.take(HELD)
    assert not one.leave(HELD, 5.0)  # held, and nobody need come back to release it
    assert (list(one.held), one.free) == ([5.0], 1)


def test_protected_beds_are_left_free_by_those_who_are_not_entitled() -> None:
    one = pool(4, "1/2", PROTECT)
    assert (one.free, len(one.held)) == (4, 0)
    one.take(OPEN)
    assert [one.bed_for(e) for e in EVERYBODY] == [OPEN] * 5
    one.take(OPEN)
    assert [one.bed_for(e) for e in EVERYBODY] == [OPEN, OPEN, OPEN, None, None]
    one.take(OPEN)
    one.take(OPEN)
    assert [one.bed_for(e) for e in EVERYBODY] == [None] * 5


def test_a_protected_bed_goes_past_those_who_may_not_have_it() -> None:
    one, served = pool(2, "1/2", PROTECT), []
    one.take(OPEN)
    one.take(OPEN)
    people = [Somebody(entry, 3, log=served) for entry in (OTHER, REFERRED, OTHER)]
    for who in people:
        one.wait(who)
    one.leave(OPEN, 1.0)
    one.serve()
    assert served == [people[1]]
    one.leave(OPEN, 2.0)
    one.serve()
    assert (one.free, one.waiting) == (1, 2)  # the last free bed is for the entitled
    one.leave(OPEN, 3.0)
    one.serve()
    assert served == [people[1], people[0]]


def test_another_kind_evicts_nobody_and_begins_at_once() -> None:
    one = pool(4, "1/2")
    one.take(HELD)
    one.release_held(0.0)
    assert (one.free, len(one.held), one.in_held) == (3, 0, 1)
    assert one.set_quota(Fraction(1, 2), 10.0, PROTECT) == 0
    assert (one.free, len(one.held), one.in_held, one.occupied) == (3, 0, 1, 1)
    one.take(OPEN)
    assert one.set_quota(Fraction(1, 2), 20.0, RELEASE) == 1  # a bed held from now on
    assert (one.free, list(one.held), one.in_held, one.occupied) == (1, [20.0], 1, 2)
    assert not one.release_held(10.0)
    assert one.set_quota(Fraction(1, 2), 30.0, PARTITION) == 0
    assert (one.free, list(one.held), one.in_held, one.occupied) == (1, [30.0], 1, 2)


def test_free_beds_as_others_see_them() -> None:
    assert [pool(5, "2/5").spare(e) for e in EVERYBODY] == [3, 3, 3, 3, 3]
    assert [pool(5, "2/5", PARTITION).spare(e) for e in EVERYBODY] == [3, 2, 2, 3, 3]
    assert [pool(5, "2/5", PROTECT).spare(e) for e in EVERYBODY] == [5, 5, 5, 3, 3]


# ----------------------------------------------------------------------------------------------------------- cleaning


def test_a_bed_that_is_cleaned_is_neither_occupied_nor_free() -> None:
    one = BedPool(0, 2, 60.0)
    one.take(OPEN)
    one.empty(OPEN)
    assert (one.occupied, one.free, one.cleaning) == (0, 1, 1)
    assert not one.cleaned(60.0)
    assert (one.occupied, one.free, one.cleaning) == (0, 2, 0)


def test_a_held_bed_is_held_again_when_it_is_clean() -> None:
    one = pool(1, "1")
    one.take(HELD)
    one.empty(HELD)
    assert (one.in_held, len(one.held), one.bed_for(REFERRED)) == (0, 0, None)
    assert one.cleaned(50.0)
    assert list(one.held) == [50.0]


def test_a_ward_that_goes_on_with_fewer_beds_evicts_nobody_and_with_more_has_them_at_once() -> None:
    one = pool(5)
    inside = [Somebody(OTHER, 3) for _ in range(4)]
    for who in inside:
        who.bed_granted(one, OPEN)
    one.installed = 2
    one.open(0.0)
    assert (one.beds, one.occupied, one.free, one.set_aside) == (4, 4, 0, True)
    assert not any(one.empty(OPEN) for _ in range(2))
    assert (one.beds, one.occupied, one.set_aside) == (2, 2, False)
    one.leave(OPEN, 1.0)
    one.installed = 6
    one.open(2.0)
    assert (one.beds, one.occupied, one.free) == (6, 1, 5)
    one.close()
    assert (one.beds, one.occupied, one.free) == (1, 1, 0)


class Honest(Somebody):
    """Somebody who never lies in a bed that is kept for others."""

    def bed_granted(self, pool: BedPool, bed: int) -> None:
        """Lie down, if it is right."""
        referred = self.entry in (REFERRED_CONTRACTED, REFERRED)
        assert bed != HELD or referred
        assert bed != BORROWED or (self.entry == EMERGENCY and pool.kind == RELEASE)
        assert pool.kind != PARTITION or (bed == HELD) == referred
        assert pool.kind != PROTECT or self.entry < OTHER or pool.free > pool.protected
        super().bed_granted(pool, bed)


class Pool(RuleBasedStateMachine):
    """Whatever happens to a pool, its beds add up."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 0.0
        self.one = BedPool(0, 7)
        self.inside: list[Somebody] = []

    @rule(entry=st.sampled_from([EMERGENCY, REFERRED_CONTRACTED, REFERRED, OTHER, STEP_DOWN]))
    def ask(self, entry: int) -> None:
        who = Honest(entry, min(entry, 3), log=self.inside)
        bed = self.one.bed_for(entry)
        if bed is None:
            if self.one.in_service:
                self.one.wait(who)
        else:
            who.bed_granted(self.one, bed)

    @rule(which=st.integers(0, 20))
    def go(self, which: int) -> None:
        self.now += 1
        if self.inside:
            who = self.inside.pop(which % len(self.inside))
            (self.one.empty(who.bed) if self.one.set_aside else self.one.leave(who.bed, self.now))
            self.one.serve()

    @rule(which=st.integers(0, 20))
    def go_from_a_bed_to_be_cleaned(self, which: int) -> None:
        self.now += 1
        if self.inside:
            self.one.empty(self.inside.pop(which % len(self.inside)).bed)

    @rule()
    def clean(self) -> None:
        if self.one.cleaning:
            self.one.cleaned(self.now)
            self.one.serve()

    @rule()
    def close_or_open(self) -> None:
        one, occupied = self.one, self.one.occupied
        if one.in_service:
            one.close()
            for who in one.everybody_waiting():
                one.give_up(who)
        else:
            one.open(self.now)
        assert one.occupied == occupied

    @rule(beds=st.integers(0, 9))
    def run_so_many_beds(self, beds: int) -> None:
        one, occupied = self.one, self.one.occupied
        if one.in_service:
            one.installed = beds
            one.open(self.now)
            assert one.occupied == occupied
            one.serve()

    @rule(age=st.integers(0, 5))
    def release(self, age: int) -> None:
        if self.one.release_held(self.now - age):
            self.one.serve()

    @rule(eighths=st.integers(0, 8), kind=st.sampled_from([RELEASE, PARTITION, PROTECT]))
    def change_quota(self, eighths: int, kind: str) -> None:
        occupied = self.one.occupied
        self.one.set_quota(Fraction(eighths, 8), self.now, kind)
        assert self.one.occupied == occupied
        self.one.serve()

    @invariant()
    def beds_add_up(self) -> None:
        one = self.one
        assert one.occupied == len(self.inside)
        assert one.free + len(one.held) + one.occupied + one.cleaning == one.beds
        assert min(one.free, one.cleaning) >= 0
        assert one.in_held == sum(who.bed == HELD for who in self.inside)
        assert len(one.held) <= max(one.quota - one.in_held, 0)
        assert one.kind != PROTECT or not one.held
        assert one.in_service or (one.free, len(one.held)) == (0, 0)
        run = one.installed if one.in_service else 0
        assert one.beds == run or (one.beds > run and one.beds == one.occupied + one.cleaning)
        assert one.set_aside == (one.beds > run)
        assert one.kind == PROTECT or one.protected == 0
        assert one.waiting == sum(map(len, one.lists))
        assert one.entitled == sum(who.entry < OTHER for line in one.lists for who in line)

    @invariant()
    def nobody_waits_who_could_have_a_bed(self) -> None:
        assert all(self.one.bed_for(who.entry) is None for line in self.one.lists for who in line)


TestPool = Pool.TestCase
TestPool.settings = settings(max_examples=60, stateful_step_count=40, deadline=None, derandomize=True)
