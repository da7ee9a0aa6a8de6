"""Appointment slots: exact shares, the error carried, release, the order of settlement, never more than there are."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import towns
from sim.contacts import EXTRA, HELD_SLOT, OPEN_SLOT, WALK_IN
from sim.slots import (
    CLINIC_QUOTA,
    EXPERT_QUOTA,
    IMAGING_QUOTA,
    NO_QUOTA,
    Offer,
    SlotBook,
    admit_walk_in,
    appointment,
)
from sim.slots import book as book_one
from sim.timetable import Timetable, hours

ALL = np.array([True])


def book(
    slots: list[int],
    days_ahead: int = 3,
    lead: list[bool] | None = None,
    share: Fraction | None = None,
    extra: int = 0,
) -> SlotBook:
    """The book of some clinics open twice a day, with every half-day in its horizon on offer."""
    timetable = Timetable(towns.timetable(), date(2024, 1, 1), date(2024, 12, 31))
    applies = np.array(lead or [True] * len(slots)) * CLINIC_QUOTA
    patterns = np.zeros(len(slots), dtype=np.int64)
    one = SlotBook(
        hours(timetable, ["office"]),
        patterns,
        np.array([slots]),
        np.full((1, len(slots)), extra),
        np.array([days_ahead]),
        applies,
    )
    for half_day in range(one.columns):
        one.offer(half_day, offer(share or Fraction(0)))
    one.open_extra()
    return one


def offer(share: Fraction, away: Sequence[float] = (0.0,) * 9) -> Offer:
    """What one replication offers, at as many clinics as there may be."""
    return Offer([share], 1.0 - np.array([away]), [Fraction(0)], [Fraction(0)])


def ask(
    one: SlotBook, rows: list[int], entitled: list[bool], earliest: int = 0, latest: int = 5
) -> tuple[list[int], list[int]]:
    """Book requests in this order: session of each (-1 = refused) and kind of slot."""
    booked = [
        book_one(one.slots, clinic, yes, earliest, latest, one.first)
        for clinic, yes in zip(rows, entitled, strict=True)
    ]
    return [session for session, _ in booked], [how for _, how in booked]


def minutes(one: SlotBook, half_day: int, number: int = 1) -> list[float]:
    """The minutes of the next appointments of the first clinic in a half-day."""
    session, today = one.slots[0, half_day - one.first], one.hours[one.pattern[0], half_day]
    return [appointment(session, today) for _ in range(number)]


@settings(max_examples=100, deadline=None, derandomize=True)
@given(st.integers(1, 40), st.fractions(0, 1, max_denominator=12))
def test_after_any_number_of_sessions_the_held_slots_are_the_share_rounded_down(slots: int, share: Fraction) -> None:
    """R7: the rounding error is carried from session to session, so it never adds up."""
    one = book([slots], days_ahead=6, share=share)
    for sessions in range(1, one.columns + 1):
        assert one.slots["held"][0, :sessions].sum() == int(share * slots * sessions)
    assert (one.slots["held"] + one.slots["open"] == slots).all()


def test_a_third_of_eight_slots_is_eight_in_three_sessions() -> None:
    one = book([8], share=Fraction(1, 3))
    assert one.slots["held"][0, :6].tolist() == [2, 3, 3, 2, 3, 3]


def test_one_third_is_not_thirty_three_hundredths() -> None:
    exact, decimal = book([30], share=Fraction(1, 3)), book([30], share=Fraction("0.33"))
    assert exact.slots["held"][0].tolist() == [10] * exact.columns
    assert decimal.slots["held"][0].sum() < exact.slots["held"][0].sum()


def test_the_quota_applies_to_lead_hospitals_alone() -> None:
    one = book([12, 12], lead=[True, False], share=Fraction(1, 4))
    assert one.slots["held"][:, 0].tolist() == [3, 0]


def test_exam_and_expert_slots_have_quotas_of_their_own_and_no_exam_waits_for_a_specialist_who_is_away() -> None:
    timetable, here = (
        Timetable(towns.timetable(), date(2024, 1, 1), date(2024, 12, 31)),
        np.array([[1.0, 0.8, 1.0, 0.8]]),
    )
    ten, none = np.full((1, 4), 10), np.zeros((1, 4), dtype=np.int64)
    kinds = np.array([NO_QUOTA, CLINIC_QUOTA, IMAGING_QUOTA, EXPERT_QUOTA])
    one = SlotBook(hours(timetable, ["office"]), none[0], ten, none, np.array([3]), kinds)
    for half_day, exams in enumerate((Fraction(1, 4), Fraction(1, 4), Fraction(1, 5))):
        one.offer(half_day, Offer([Fraction(1, 2)], here, [exams], [Fraction(1, 4)]))
    assert one.slots["offered"][:, :3].tolist() == [[10] * 3, [8] * 3, [10] * 3, [8] * 3]
    assert one.slots["held"][:, :3].tolist() == [[0] * 3, [4] * 3, [2, 3, 2], [2] * 3]


def test_a_new_share_applies_to_sessions_from_its_date_on() -> None:
    one = book([10], share=Fraction(0))
    one.close()
    one.offer(one.first + one.columns - 1, offer(Fraction(1, 2)))
    assert one.slots["held"][0].tolist() == [0] * (one.columns - 1) + [5]


def test_the_entitled_take_held_slots_first_then_open_ones() -> None:
    one = book([4], share=Fraction(1, 4))
    session, how = ask(one, [0] * 5, [True] * 5)
    assert session == [0, 0, 0, 0, 1]
    assert how == [HELD_SLOT, OPEN_SLOT, OPEN_SLOT, OPEN_SLOT, HELD_SLOT]


def test_the_others_never_get_a_held_slot_until_it_is_released() -> None:
    one = book([4], share=Fraction(1, 2))
    assert ask(one, [0] * 5, [False] * 5)[0] == [0, 0, 1, 1, 2]
    assert one.release(0, ALL).tolist() == [2]
    assert ask(one, [0] * 3, [False] * 3) == ([0, 0, 2], [OPEN_SLOT] * 3)
    assert one.release(0, ALL).tolist() == [0]


def test_who_asks_first_is_served_first_and_late_comers_are_refused() -> None:
    one = book([2])
    session, how = ask(one, [0] * 6, [False] * 6, earliest=1, latest=2)
    assert session == [1, 1, 2, 2, -1, -1]
    assert how[4:] == [WALK_IN, WALK_IN]


@settings(max_examples=100, deadline=None, derandomize=True)
@given(
    st.lists(st.integers(1, 5), min_size=1, max_size=3),
    st.fractions(0, 1, max_denominator=4),
    st.lists(st.tuples(st.integers(0, 2), st.booleans(), st.integers(0, 6), st.integers(0, 6)), max_size=60),
)
def test_booked_and_released_never_exceed_what_is_offered(
    slots: list[int], share: Fraction, requests: list[tuple[int, bool, int, int]]
) -> None:
    """ID-08, and the use of open slots in the ledger is what was booked there."""
    one = book(slots, share=share)
    booked = np.zeros((len(slots), one.columns), dtype=int)
    for number, (clinic, entitled, earliest, ahead) in enumerate(requests):
        row = clinic % len(slots)
        session, how = ask(one, [row], [entitled], earliest, earliest + ahead)
        if session[0] >= 0:
            assert earliest <= session[0] <= earliest + ahead
            booked[row, session[0]] += 1
            assert entitled or how[0] == OPEN_SLOT
        if number % 7 == 0:
            one.release(number % one.columns, ALL)
    assert (booked <= np.array(slots)[:, None]).all()
    assert (one.slots["open"] >= 0).all()
    assert (one.slots["held"] >= 0).all()
    assert (booked + one.slots["open"] + one.slots["held"] == np.array(slots)[:, None]).all()
    first = one.slots[:, 0]
    used_held = first["held_at_first"] - first["released"] - first["held"]
    ledger = one.close()
    assert (ledger["used_open"] + used_held == booked[:, 0]).all()
    assert (ledger["offered"] == slots).all()


def test_appointments_follow_each_other_through_the_session() -> None:
    one = book([4])
    assert minutes(one, 0, 3) == [510, 570, 630]  # 08:00 to 12:00 in four parts, the middle of each
    assert minutes(one, 0) == [690]
    assert minutes(one, 1) == [840 + 210 / 8]


def test_walk_ins_take_what_is_free_then_extra_places_then_are_turned_away() -> None:
    one = book([3], extra=1)
    ask(one, [0], [False])
    admitted = [admit_walk_in(one.slots[0, 0], one.clinics[0]) for _ in range(5)]
    assert admitted == [OPEN_SLOT, OPEN_SLOT, EXTRA, WALK_IN, WALK_IN]
    assert one.slots["open"][0, 0] == one.clinics["extra"][0] == 0
    assert ask(one, [0], [False])[0] == [1]


def test_half_a_session_has_half_the_slots() -> None:
    timetable = Timetable(towns.timetable(weekend=0.5), date(2024, 1, 6), date(2024, 1, 31))  # a Saturday
    nine, none, pattern = np.array([[9]]), np.array([[0]]), np.zeros(1, dtype=np.int64)
    one = SlotBook(hours(timetable, ["office"]), pattern, nine, none, np.array([3]), np.array([CLINIC_QUOTA]))
    for half_day in range(one.columns):
        one.offer(half_day, offer(Fraction(0)))
    assert one.slots["offered"][0, :6].tolist() == [4, 4, 4, 4, 9, 9]


def test_specialists_who_work_elsewhere_take_their_slots_along() -> None:
    one = book([30, 30], lead=[True, False])
    one.first += 1
    one.offer(one.first + one.columns - 1, offer(Fraction(1, 3), away=[0.1, 0.0]))
    assert one.slots["offered"][:, -1].tolist() == [27, 30]
    assert one.slots["held"][:, -1].tolist() == [9, 0]


@pytest.mark.parametrize("release", [0, 2])
def test_held_slots_stay_held_until_so_many_days_before(release: int) -> None:
    """In a town: nobody is referred, so others can use a held slot only after its release."""
    case = towns.group_town(
        21,
        settings={
            "slot_quota.held_for_referral": 1.0,
            "expert_quota.held_for_referral": 1.0,
            "slot_quota.released_days_before": release,
        },
    )
    tables = towns.run(case)[0]
    slots = tables["slots_monthly"].query("facility == 'lead'")
    assert slots["held"].sum() == slots["offered"].sum() == slots["released"].sum()
    assert slots["used_held"].sum() == 0 < slots["used_open"].sum()
    waits = tables["waits_days"].query("facility == 'lead'")
    assert waits["days"].max() <= release
