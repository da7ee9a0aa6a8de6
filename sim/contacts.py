"""Patients on the way: one row per contact that is due, and the diary that keeps them until then.

A contact is a resident with an episode who is going somewhere: with a need and no door chosen yet, with a request for
an appointment, or present at a service point. Rows are plain columns of fixed width, so a city's half-day is a handful
of array operations; nothing here is an object per patient.
"""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sim.kernels import kernel
from sim.streams import Floats

NEED, REQUEST, VISIT = 0, 1, 2
"""What a contact is: a need without a door, a request for an appointment, presence at a service point."""

REFERRED_CONTRACTED, REFERRED, OTHER = 0, 1, 2
CLASSES = ("referred_contracted", "referred", "other")
"""Classes of patients, highest priority first."""

WALK_IN, OPEN_SLOT, HELD_SLOT, EXTRA = 0, 1, 2, 3
"""How the patient got in."""
WAYS_IN = ("walk_in", "open_slot", "held_slot", "extra")

FIRST_LOOK, SECOND_LOOK = 0, 1
"""Waiting to be seen, or back in the queue with exam results."""

CONTACT = np.dtype(
    [
        ("key", "u8"),  # the episode
        ("time", "f8"),  # minute at which it is due (VISIT: place in line)
        ("wanted", "f8"),  # minute for which the appointment was wanted; back with results: first look's place in line
        ("begun", "f8"),  # minute of the first look's start, for those back with results
        ("person", "i4"),
        ("point", "i4"),  # service point (global index); -1 = none yet
        ("seen", "u4"),  # visits so far in this episode, four bits per level
        ("condition", "u1"),
        ("world", "u1"),
        ("kind", "u1"),
        ("cls", "u1"),
        ("need", "u1"),  # level of care needed, 1-4
        ("admit", "u1"),  # 1 = the episode needs a bed
        ("doors", "u1"),  # doors tried in vain
        ("entry", "u1"),  # how the patient got in
        ("stage", "u1"),
        ("chronic", "u1"),  # 1 = follow-up of a long-term patient
        ("origin", "i2"),  # facility that referred or sent the patient on, -1 = none
        ("panel", "i8"),  # row of the long-term patient, -1 = none
    ]
)
WORDS = CONTACT.itemsize // 8
assert CONTACT.itemsize % 8 == 0

_GROUP_ABOVE, _FINE = np.uint64(44), float(1 << 20)

Rows = NDArray[Any]
"""Structured array with dtype CONTACT, shape (contacts,)."""


def empty(n: int) -> Rows:
    """n rows, all zero but for `person`, `point`, `origin` and `panel` (-1) and the class (other)."""
    rows = np.zeros(n, dtype=CONTACT)
    rows["point"] = rows["person"] = rows["origin"] = rows["panel"] = -1
    rows["cls"] = OTHER
    return rows


def take(rows: Rows, index: NDArray[Any]) -> Rows:
    """`rows[index]`, moved as words: twenty times faster than fancy indexing of a structured array."""
    words = rows.view(np.uint64).reshape(len(rows), WORDS)
    picked = words[index] if index.dtype == np.bool_ else words.take(index, axis=0)
    return np.ascontiguousarray(picked).reshape(-1).view(CONTACT)


def join(parts: list[Rows]) -> Rows:
    """All rows of all parts, in order."""
    parts = [p for p in parts if len(p)]
    if not parts:
        return empty(0)
    if len(parts) == 1:
        return parts[0]
    return np.concatenate([p.view(np.uint64) for p in parts]).view(CONTACT)


def in_order(group: NDArray[Any], time: Floats, key: NDArray[np.uint64]) -> NDArray[np.int64]:
    """Order by group (below 2**20), time, key; ties in time are rare and cost a second sort only then."""
    packed = np.empty(len(time), dtype=np.uint64)
    _pack(group, time, packed)
    order = np.argsort(packed)
    return np.lexsort((key, time, group)) if _has_ties(packed, order) else order


@kernel
def _pack(group: Any, time: Any, packed: Any) -> None:
    """Time below the group's number, in 2**-20 minutes from the earliest, to sort by both at once."""
    earliest = np.inf
    for i in range(len(time)):
        earliest = min(earliest, time[i])
    for i in range(len(time)):
        packed[i] = (np.uint64(group[i]) << _GROUP_ABOVE) | np.uint64((time[i] - earliest) * _FINE)


@kernel
def _has_ties(packed: Any, order: Any) -> bool:
    for i in range(1, len(order)):  # noqa: SIM110  (compiled)
        if packed[order[i]] == packed[order[i - 1]]:
            return True
    return False


def deal(rows: Rows, pile: NDArray[np.int64], piles: int) -> list[Rows]:
    """The rows of each pile, in their order; `pile`: the number of each row's, from 0 to `piles` - 1."""
    return deal_all([(rows, pile)], piles)


def deal_all(parts: list[tuple[Rows, NDArray[np.int64]]], piles: int) -> list[Rows]:
    """The same for rows in several parts, which need not be joined before."""
    edges = np.zeros(piles + 1, dtype=np.int64)
    for _, pile in parts:
        _count(pile, edges)
    bounds = np.cumsum(edges).tolist()
    dealt, place = np.empty(bounds[-1], dtype=CONTACT), np.array(bounds)
    for rows, pile in parts:
        _deal(rows, pile, place, dealt)
    return [dealt[a:b] for a, b in pairwise(bounds)]


@kernel
def _count(pile: Any, edges: Any) -> None:
    for i in range(len(pile)):
        edges[pile[i] + 1] += 1


@kernel
def _deal(rows: Any, pile: Any, place: Any, dealt: Any) -> None:
    """Put each row at the next place of its pile."""
    for i in range(len(pile)):
        dealt[place[pile[i]]] = rows[i]
        place[pile[i]] += 1


class Diary:
    """Contacts to come, by window."""

    def __init__(self, windows: int, window: float) -> None:
        self.window = window
        self.pages: list[list[Rows]] = [[] for _ in range(windows)]

    def push(self, rows: Rows, not_before: int) -> None:
        """Write contacts down for the window of their time, at the earliest for window `not_before`.

        Past the horizon they are forgotten.
        """
        if not len(rows):
            return
        page = np.clip(rows["time"] // self.window, not_before, len(self.pages)).astype(np.int64)
        first = int(page.min())
        for number, piece in enumerate(deal(rows, page - first, int(page.max()) - first + 1), first):
            if len(piece) and number < len(self.pages):
                self.pages[number].append(piece)

    def hand_on(self, rows: Rows, window: int) -> None:
        """Keep contacts for the very next window, whatever their time: they are in the building."""
        if len(rows) and window < len(self.pages):
            self.pages[window].append(rows)

    def due(self, window: int) -> list[Rows]:
        """All contacts of a window; they are handed out once."""
        parts, self.pages[window] = self.pages[window], []
        return parts
