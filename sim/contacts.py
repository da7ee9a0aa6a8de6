"""Patients on the way: one row per contact that is due, and the diary that keeps them until then.

A contact is a resident with an episode who is going somewhere: with a need and no door chosen yet, with a request for
an appointment, or present at a service point. Rows are plain columns of fixed width, so a city's half-day is a handful
of array operations; nothing here is an object per patient.
"""

from __future__ import annotations

from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from sim.kernels import kernel

NEED, REQUEST, VISIT, TO_PARTNER = range(4)
"""What a contact is: a need without a door, a request for an appointment, presence at a service point, on the way to a
partner outside the area."""

REFERRED_CONTRACTED, REFERRED, OTHER = 0, 1, 2
CLASSES = ("referred_contracted", "referred", "other")
"""Classes of patients, highest priority first."""

WALK_IN, OPEN_SLOT, HELD_SLOT, EXTRA = 0, 1, 2, 3
"""How the patient got in."""
WAYS_IN = ("walk_in", "open_slot", "held_slot", "extra")

FIRST_LOOK, SECOND_LOOK, ORDERED, RETURNED, INPATIENT = range(5)
"""Waiting to be seen; back in the queue with the results of a same-visit exam; asking for an exam with large equipment;
back from it another time; asking for one from a bed."""

FOLLOW_UP, MADE_UP, EXACERBATION, READMISSION = 1, 2, 3, 4
"""What a contact is in the life of a long-term patient: a follow-up, one to which the patient was called back, an
emergency that came of one that was missed; and of any patient the readmission after a stay; 0 = nothing of the kind."""

CONTACT = np.dtype(
    [
        ("key", "u8"),  # the episode
        ("time", "f8"),  # minute at which it is due (VISIT: place in line)
        ("wanted", "f8"),  # minute for which the appointment was wanted; back with results: first look's place in line
        ("begun", "f8"),  # first look's start, minute: back with results; else of the last visit with an exam
        ("person", "i4"),
        ("point", "i4"),  # service point (global index); -1 = none yet
        ("seen", "u4"),  # visits so far in this episode, four bits per level
        ("condition", "u1"),
        ("world", "u1"),
        ("kind", "u1"),
        ("cls", "u1"),
        ("need", "u1"),  # level of care needed, 1-4
        ("admit", "u1"),  # 1 = the episode needs a bed
        ("doors", "u1"),  # doors tried in vain, as bits
        ("entry", "u1"),  # how the patient got in; from a bed: how to that
        ("stage", "u1"),
        ("chronic", "u1"),  # a long-term patient's follow-up, what came of one that was missed, or a readmission
        ("origin", "i2"),  # facility that referred or sent the patient on, or where the bed is, -1 = none
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


def deal_all(parts: list[tuple[Rows, NDArray[np.int64]]], piles: int) -> list[Rows]:
    """The rows of each pile, in their order; `parts`: rows, with the number of each row's pile.

    Those from `piles` on are left out.
    """
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


# --------------------------------------------------------------------------------------------------------------- piles

FINER = 4
"""Spans of time per contact, in which a line is first put in order."""


class Crowd(NamedTuple):
    """Everybody who is due in a window. Rows stay where they are; their numbers go from pile to pile."""

    rows: Rows
    """With room for more, (room,)."""
    piles: NDArray[np.int64]
    """Numbers of the rows on each pile, in the order of coming, (piles, room)."""
    heights: NDArray[np.int64]
    """How many are on each pile, (piles,)."""
    line: NDArray[np.int64]
    """The rows of one pile, put in order, (room,)."""
    group: NDArray[np.int64]
    """Of each on a pile that is to be put in order, (room,)."""
    edges: NDArray[np.int64]
    """Where each group, and each span of time in it, begins in the line."""

    @classmethod
    def of(cls, room: int, piles: int, groups: int) -> Crowd:
        """Nobody yet, and room for so many contacts, piles and groups."""
        numbers = (np.empty(shape, dtype=np.int64) for shape in ((piles, room), room, room, FINER * room + groups + 1))
        piled, line, group, edges = numbers
        return cls(np.empty(room, dtype=CONTACT), piled, np.zeros(piles, dtype=np.int64), line, group, edges)

    def pick_up(self, pile: int) -> Rows:
        """The rows of a pile, which is then empty."""
        height, self.heights[pile] = self.heights[pile], 0
        return take(self.rows, self.piles[pile, :height])


@kernel
def put(crowd: Crowd, pile: int, number: int) -> None:
    """Put a row on a pile; a number beyond the last pile's stands for none."""
    if pile < len(crowd.heights):
        crowd.piles[pile, crowd.heights[pile]] = number
        crowd.heights[pile] += 1


@kernel
def line_up(crowd: Crowd, pile: int, groups: int) -> int:
    """Pick up a pile: its rows are then in `crowd.line`, by group (below `groups`), time and key. Returns how many.

    Counting sort by group and span of time, then Shell's sort of those few who share a span.
    """
    number, spans = crowd.heights[pile], 1 + FINER * crowd.heights[pile] // groups
    crowd.heights[pile] = 0
    _add_span(crowd, pile, number, spans)
    edges, first = crowd.edges[: groups * spans + 1], 0
    edges[:] = 0
    for n in range(number):
        edges[crowd.group[n] + 1] += 1
    for g in range(1, len(edges)):
        edges[g] += edges[g - 1]
    for n in range(number):  # afterwards `edges[g]` is where the next group begins
        crowd.line[edges[crowd.group[n]]] = crowd.piles[pile, n]
        edges[crowd.group[n]] += 1
    for g in range(len(edges) - 1):
        if edges[g] - first > 1:
            _sort(crowd.rows, crowd.line, first, edges[g])
        first = edges[g]
    return number


@kernel
def _add_span(crowd: Crowd, pile: int, number: int, spans: int) -> None:
    """Divide each group by the span of time, of so many equal ones, in which its contacts fall."""
    first, last = np.inf, -np.inf
    for n in range(number):
        time = crowd.rows[crowd.piles[pile, n]]["time"]
        first, last = min(first, time), max(last, time)
    scale = spans / (last - first) if last > first else 0.0
    for n in range(number):
        span = int((crowd.rows[crowd.piles[pile, n]]["time"] - first) * scale)
        crowd.group[n] = crowd.group[n] * spans + min(span, spans - 1)


@kernel
def _sort(rows: Any, line: Any, first: int, last: int) -> None:
    """Put `line[first:last]` into the order of time and key (gaps of Ciura 2001)."""
    for gap in (1750, 701, 301, 132, 57, 23, 10, 4, 1):
        for i in range(first + gap, last):
            who, j = line[i], i
            while j >= first + gap and _is_before(rows[who], rows[line[j - gap]]):
                line[j] = line[j - gap]
                j -= gap
            line[j] = who


@kernel
def _is_before(who: Any, other: Any) -> bool:
    """Whether one contact is due before another."""
    return who["time"] < other["time"] or (who["time"] == other["time"] and who["key"] < other["key"])


# --------------------------------------------------------------------------------------------------------------- diary

NONE = -1

PAGE = np.dtype([("first", "i8"), ("last", "i8"), ("leaves", "i8")])
"""A page of the diary: its first and last leaf (NONE = it is empty), and how many there are."""


class Leaves(NamedTuple):
    """The diary as kernels write it: a leaf for each contact, bound into pages."""

    rows: Rows
    """What is written on each leaf."""
    following: NDArray[np.int64]
    """The next leaf of the same page, NONE = it is the last."""
    pages: NDArray[Any]
    """Rows of PAGE, by window; after the last window's comes that of the blank leaves."""


class Diary:
    """Contacts to come, by window."""

    def __init__(self, windows: int, window: float) -> None:
        self.windows, self.window = windows, window
        pages = np.zeros(windows + 1, dtype=PAGE)
        pages["first"] = pages["last"] = NONE
        self.leaves = Leaves(empty(0), np.empty(0, dtype=np.int64), pages)

    def push(self, rows: Rows, not_before: int) -> None:
        """Write contacts down for the window of their time, at the earliest for window `not_before`.

        Past the horizon they are forgotten.
        """
        self._need_blank(len(rows))
        _write(self.leaves, rows, self.window, not_before)

    def hand_on(self, rows: Rows, window: int) -> None:
        """Keep contacts for the very next window, whatever their time: they are in the building."""
        self._need_blank(len(rows))
        _write(self.leaves, rows, np.inf, window)

    def number(self, window: int) -> int:
        """How many contacts are due in a window."""
        return int(self.leaves.pages["leaves"][window])

    def due(self, window: int, rows: Rows) -> None:
        """Fill `rows` with all contacts of a window; they are handed out once."""
        _read(self.leaves, window, rows)

    def _need_blank(self, number: int) -> None:
        """Add leaves, at least as many as there are, if fewer than so many are blank."""
        if number > self.number(self.windows):
            rows, following, pages = self.leaves
            more = max(number, len(rows))
            rows = join([rows, empty(more)])
            self.leaves = Leaves(rows, np.append(following, np.full(more, NONE)), pages)
            _add_blank(self.leaves, more)


@kernel
def _write(leaves: Leaves, rows: Rows, window: float, not_before: int) -> None:
    """Write each row on a blank leaf, which is then the last of its page."""
    blank = len(leaves.pages) - 1
    for i in range(len(rows)):
        page = max(int(rows[i]["time"] / window), not_before)
        if page < blank:
            leaf = _take_out(leaves, blank)
            leaves.rows[leaf] = rows[i]
            _bind(leaves, page, leaf)


@kernel
def _read(leaves: Leaves, page: int, rows: Rows) -> None:
    """Copy all leaves of a page, which are then blank."""
    for i in range(len(rows)):
        leaf = _take_out(leaves, page)
        rows[i] = leaves.rows[leaf]
        _bind(leaves, len(leaves.pages) - 1, leaf)


@kernel
def _add_blank(leaves: Leaves, more: int) -> None:
    """The last leaves, so many, are blank."""
    for leaf in range(len(leaves.rows) - more, len(leaves.rows)):
        _bind(leaves, len(leaves.pages) - 1, leaf)


@kernel
def _take_out(leaves: Leaves, number: int) -> int:
    """The first leaf of a page, which is taken out of it."""
    page = leaves.pages[number]
    leaf = page["first"]
    page["first"] = leaves.following[leaf]
    page["leaves"] -= 1
    return leaf


@kernel
def _bind(leaves: Leaves, number: int, leaf: int) -> None:
    """Add a leaf at the end of a page."""
    page = leaves.pages[number]
    leaves.following[leaf] = NONE
    if page["leaves"] == 0:
        page["first"] = leaf
    else:
        leaves.following[page["last"]] = leaf
    page["last"] = leaf
    page["leaves"] += 1
