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
        ("panel", "i4"),  # row of the long-term patient, -1 = none
        ("examined", "i2"),  # facility that made the last exam of this episode, plus 1; 0 = none yet
        ("nth", "u2"),  # number of a long-term patient's follow-up
    ]
)
WORDS = CONTACT.itemsize // 8
assert CONTACT.itemsize % 8 == 0

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


def in_order(rows: Rows, group: NDArray[np.int64], groups: int) -> Rows:
    """The same rows by group (from 0 to `groups` - 1), then time, then key."""
    spans = 1 + 4 * len(rows) // groups
    span, order, time = group * spans, np.empty(len(rows), dtype=np.int64), np.empty(len(rows))
    _add_span(rows, spans, span)
    _order(rows, span, np.zeros(groups * spans + 1, dtype=np.int64), order, time)
    return take(rows, order)


@kernel
def _add_span(rows: Any, spans: int, span: Any) -> None:
    """Add the span of time, of so many equal ones, in which each contact falls."""
    first, last = np.inf, -np.inf
    for i in range(len(rows)):
        first, last = min(first, rows[i]["time"]), max(last, rows[i]["time"])
    scale = spans / (last - first) if last > first else 0.0
    for i in range(len(rows)):
        span[i] += min(int((rows[i]["time"] - first) * scale), spans - 1)


@kernel
def _order(rows: Any, group: Any, edges: Any, order: Any, time: Any) -> None:
    """Counting sort by group, then Shell's sort inside each: nothing need be allocated, and groups are short."""
    for i in range(len(group)):
        edges[group[i] + 1] += 1
    for g in range(1, len(edges)):
        edges[g] += edges[g - 1]
    for i in range(len(group)):  # afterwards `edges[g]` is where the next group begins
        place = edges[group[i]]
        order[place], time[place] = i, rows[i]["time"]
        edges[group[i]] += 1
    first = 0
    for g in range(len(edges) - 1):
        _sort(rows, order, time, first, edges[g])
        first = edges[g]


@kernel
def _sort(rows: Any, order: Any, time: Any, first: int, last: int) -> None:
    """Put `order[first:last]`, and their times beside them, into the order of time and key (gaps of Ciura 2001)."""
    for gap in (1750, 701, 301, 132, 57, 23, 10, 4, 1):
        for i in range(first + gap, last):
            who, when, j = order[i], time[i], i
            while j >= first + gap and (
                when < time[j - gap] or (when == time[j - gap] and rows[who]["key"] < rows[order[j - gap]]["key"])
            ):
                order[j], time[j] = order[j - gap], time[j - gap]
                j -= gap
            order[j], time[j] = who, when


def deal(rows: Rows, pile: NDArray[np.int64], piles: int) -> list[Rows]:
    """The rows of each pile, in their order; `pile`: the number of each row's. Those from `piles` on are left out."""
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
        if pile[i] < len(edges) - 1:
            edges[pile[i] + 1] += 1


@kernel
def _deal(rows: Any, pile: Any, place: Any, dealt: Any) -> None:
    """Put each row at the next place of its pile."""
    for i in range(len(pile)):
        if pile[i] < len(place) - 1:
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
        page = np.clip((rows["time"] / self.window).astype(np.int64), not_before, len(self.pages))
        first = int(page.min())
        last = min(int(page.max()), len(self.pages) - 1)
        for number, piece in enumerate(deal(rows, page - first, max(last - first + 1, 0)), first):
            if len(piece):
                self.pages[number].append(piece)

    def hand_on(self, rows: Rows, window: int) -> None:
        """Keep contacts for the very next window, whatever their time: they are in the building."""
        if len(rows) and window < len(self.pages):
            self.pages[window].append(rows)

    def due(self, window: int) -> list[Rows]:
        """All contacts of a window; they are handed out once."""
        parts, self.pages[window] = self.pages[window], []
        return parts
