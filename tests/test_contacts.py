"""Contacts in piles and in order: nobody is lost, nobody passed over; the diary hands everybody out once."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from sim.contacts import CONTACT, OTHER, Crowd, Diary, Rows, deal_all, empty, join, line_up, put, take
from sim.kernels import Kernel

PILES = 5


def people(number: int) -> Rows:
    """So many contacts, each told from the others by every column."""
    rows = empty(number)
    for name in CONTACT.names or ():
        rows[name] = (np.arange(number) * 7 + len(name)) % 251
    rows["key"] = np.arange(number)
    return rows


def test_nothing_is_known_of_an_empty_contact() -> None:
    row = empty(3)[1]
    known = {"cls": OTHER, "person": -1, "point": -1, "origin": -1, "panel": -1}
    assert {name: row[name] for name in CONTACT.names or ()} == dict.fromkeys(CONTACT.names or (), 0) | known


# -------------------------------------------------------------------------------------------------------------- piles

piles = st.lists(st.integers(0, PILES - 1), max_size=60).map(lambda p: np.array(p, dtype=np.int64))


@settings(max_examples=200, deadline=None, derandomize=True)
@given(piles)
def test_everybody_is_dealt_to_the_pile_named_in_the_order_of_the_row(pile: NDArray[np.int64]) -> None:
    rows = people(len(pile))
    half = len(pile) // 2
    dealt = deal_all([(rows[:half], pile[:half]), (rows[half:], pile[half:])], PILES)
    assert len(dealt) == PILES
    for number, part in enumerate(dealt):
        assert np.array_equal(part, rows[pile == number])
    assert np.array_equal(rows, people(len(pile)))  # the row itself stays as it was


@settings(max_examples=100, deadline=None, derandomize=True)
@given(piles)
def test_dealing_is_the_same_whether_compiled_or_not(pile: NDArray[np.int64]) -> None:
    rows = people(len(pile))
    compiled = deal_all([(rows, pile)], PILES)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Kernel, "run", property(lambda self: self.plain))
        plain = deal_all([(rows, pile)], PILES)
    for one, other in zip(compiled, plain, strict=True):
        assert np.array_equal(one, other)


@settings(max_examples=100, deadline=None, derandomize=True)
@given(piles)
def test_piles_are_picked_up_in_the_order_of_coming_and_are_empty_then(pile: NDArray[np.int64]) -> None:
    """The last number stands for no pile: those are done."""
    crowd = Crowd.of(len(pile), PILES - 1, 1)
    crowd.rows[:] = people(len(pile))
    for number, its in enumerate(pile.tolist()):
        put(crowd, its, number)
    for number in range(PILES - 1):
        assert np.array_equal(crowd.pick_up(number), people(len(pile))[pile == number])
        assert len(crowd.pick_up(number)) == 0


def test_taking_and_joining_move_whole_contacts() -> None:
    rows = people(40)
    some = np.array([3, 1, 4, 1, 5, 39])
    assert np.array_equal(take(rows, some), rows[some])
    odd = rows["key"] % 2 == 1
    assert np.array_equal(take(rows, odd), rows[odd])
    assert np.array_equal(join([rows[:7], empty(0), rows[7:9], rows[9:]]), rows)
    assert len(join([])) == len(join([empty(0)])) == 0


# -------------------------------------------------------------------------------------------------------------- order

# few values, so that many are equal; some differ in the last bits alone
minutes = st.one_of(st.integers(0, 3).map(float), st.integers(0, 40).map(lambda n: 600_000.0 + n * 2.0**-23))
queues = st.lists(st.tuples(st.integers(0, 3), minutes), max_size=40)


def standing(group: Any, time: Any, key: Any) -> list[int]:
    """Keys of such contacts, who lie on a pile, in their order, of five groups."""
    crowd, pile = Crowd.of(len(key) + 3, 2, 5), 1
    crowd.rows["time"][: len(key)], crowd.rows["key"][: len(key)] = time, key
    for number in range(len(key)):
        put(crowd, pile, number)
    crowd.group[: len(key)] = group
    assert line_up(crowd, pile, 5) == len(key)
    assert crowd.heights.tolist() == [0, 0]
    return crowd.rows[crowd.line[: len(key)]]["key"].tolist()


@settings(max_examples=300, deadline=None, derandomize=True)
@given(queues)
def test_contacts_stand_by_group_then_time_then_key(queue: list[tuple[int, float]]) -> None:
    key = [(n * 7919 + 13) % 1009 for n in range(len(queue))]
    wanted = sorted((*place, k) for place, k in zip(queue, key, strict=True))
    group, time = ([place[part] for place in queue] for part in (0, 1))
    assert standing(group, time, key) == [k for *_, k in wanted]


def test_long_queues_stand_in_order_too() -> None:
    """Longer than every gap of the sort."""
    luck = np.random.default_rng(11)
    group, time, key = luck.integers(0, 5, 20_000), luck.integers(0, 700, 20_000) * 1.0, luck.permutation(20_000)
    assert standing(group, time, key) == key[np.lexsort((key, time, group))].tolist()


def test_keys_above_half_their_range_stand_last() -> None:
    assert standing([0, 0, 0], [0.0, 0.0, 0.0], [2**64 - 1, 1, 2**63]) == [1, 2**63, 2**64 - 1]


# -------------------------------------------------------------------------------------------------------------- diary


def handed_out(diary: Diary, window: int) -> Rows:
    """All contacts of a window."""
    rows = empty(diary.number(window))
    diary.due(window, rows)
    return rows


def test_the_diary_hands_everybody_out_once_in_the_window_of_their_time_and_not_before() -> None:
    rows = people(100)
    rows["time"] = np.arange(100) * 61.0 % 1000.0
    diary = Diary(10, 100.0)
    diary.push(take(rows, np.arange(60)), 3)
    diary.push(take(rows, np.arange(60, 100)), 0)
    diary.hand_on(people(2), 9)
    found = [handed_out(diary, window) for window in range(10)]
    assert sum(map(len, found)) == 102
    first, second = rows[:60], rows[60:]
    for window, there in enumerate(found):
        late = np.maximum(first["time"] // 100.0, 3) == window
        at_once = second["time"] // 100.0 == window
        expected = [first[late], second[at_once], *([people(2)] if window == 9 else [])]
        assert np.array_equal(there, np.concatenate(expected))
        assert len(handed_out(diary, window)) == 0


def test_leaves_of_the_diary_are_used_again() -> None:
    diary, rows = Diary(50, 100.0), people(30)
    for window in range(40):
        rows["time"] = 100.0 * (window + 1 + np.arange(30) % 3)
        diary.push(rows, window + 1)
        assert len(handed_out(diary, window)) == 10 * min(window, 3)
    assert len(diary.leaves.rows) <= 4 * len(rows)


def test_the_diary_forgets_what_lies_beyond_its_last_page() -> None:
    rows = people(2)
    rows["time"] = [150.0, 300.0]
    diary = Diary(2, 100.0)
    diary.push(rows, 0)
    diary.hand_on(rows, 2)
    assert [len(handed_out(diary, window)) for window in range(2)] == [0, 1]
