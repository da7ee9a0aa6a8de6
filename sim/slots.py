"""Appointment slots: open, held, released.

A bookable clinic's session has slots. A share of them may be held for referred patients (R7: share x slots, the
rounding error carried from session to session, shares kept exact); what is left of it is released some days before.
Requests of a half-day settle at its end in the order class, minute of request, episode (R5).
"""

from __future__ import annotations

import os
from collections.abc import Callable
from fractions import Fraction
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sim.contacts import EXTRA, HELD_SLOT, OPEN_SLOT, WALK_IN
from sim.timetable import Openings

NOT_SERVED = -1


def _book(  # type: ignore[no-untyped-def]  # lists in plain Python, arrays under numba
    point, entitled, earliest, latest, first, free_open, free_held, session, how
):
    """Give each request, in order, the first session that has a place for it; held places first where entitled."""
    for i in range(len(point)):
        p = point[i]
        for h in range(earliest[i], latest[i] + 1):
            column = h - first
            if entitled[i] and free_held[p][column] > 0:
                free_held[p][column] -= 1
                session[i] = h
                how[i] = 2
                break
            if free_open[p][column] > 0:
                free_open[p][column] -= 1
                session[i] = h
                how[i] = 1
                break


def _compiled() -> Callable[..., None] | None:
    if os.environ.get("TIERCARE_PURE") == "1":
        return None
    try:
        import numba
    except ImportError:
        return None
    compiled: Callable[..., None] = numba.njit(cache=True)(_book)
    return compiled


_PLAIN: Callable[..., None] = _book
_FAST = _compiled()
assert (OPEN_SLOT, HELD_SLOT) == (1, 2)


class SlotBook:
    """The appointment books of all bookable clinics of all replications (rows), by half-day (columns)."""

    def __init__(
        self,
        openings: Openings,
        point_pattern: NDArray[np.int64],
        slots: NDArray[np.int64],
        days_ahead: NDArray[np.int64],
        quota_applies: NDArray[np.bool_],
    ) -> None:
        """`slots`: of a full session, shape (replications, service points); `quota_applies`: to which service points.

        `days_ahead`: booking horizon, shape (replications,).
        """
        self.openings = openings
        worlds, points = slots.shape
        self.full = slots.ravel()
        self.bookable = np.flatnonzero(self.full > 0)
        self.row_of = np.full(worlds * points, -1, dtype=np.int64)
        self.row_of[self.bookable] = np.arange(len(self.bookable))
        self.world = self.bookable // points
        self.pattern = point_pattern[self.bookable % points]
        self.quota_applies = quota_applies[self.bookable % points]
        self.days_ahead = days_ahead
        self.columns = 2 * (int(days_ahead.max(initial=1)) + 2)
        shape = (len(self.bookable), self.columns)
        self.first = 0
        """Half-day of the first column."""
        self.open = np.zeros(shape, dtype=np.int64)
        self.held = np.zeros(shape, dtype=np.int64)
        self.offered = np.zeros(shape, dtype=np.int64)
        self.held_at_first = np.zeros(shape, dtype=np.int64)
        self.released = np.zeros(shape, dtype=np.int64)
        self.handed_out = np.zeros(shape, dtype=np.int64)
        """Appointments given, which decides the next one's minute."""
        self.carry = np.zeros(len(self.bookable), dtype=np.int64)
        """Slots of all sessions so far since the share last changed: the rounding error of the quota lives here."""
        self.share = [Fraction(0)] * worlds

    def offer(self, half_day: int, share: list[Fraction]) -> None:
        """Open the book of one half-day under the quota in force on its date."""
        column = half_day - self.first
        size = self.openings.size[self.pattern, half_day]
        slots = np.rint(self.full[self.bookable] * size).astype(np.int64)
        changed = np.array([new != old for new, old in zip(share, self.share, strict=True)])
        self.carry[changed[self.world]] = 0
        self.share = list(share)
        numerator = np.array([s.numerator for s in share])[self.world] * self.quota_applies
        denominator = np.array([s.denominator for s in share])[self.world]
        held = (numerator * (self.carry + slots)) // denominator - (numerator * self.carry) // denominator
        self.carry += slots
        self.offered[:, column] = slots
        self.held_at_first[:, column] = self.held[:, column] = held
        self.open[:, column] = slots - held
        self.handed_out[:, column] = self.released[:, column] = 0

    def close(self) -> dict[str, NDArray[np.int64]]:
        """Close the first half-day and move on: its row of the slot ledger, per bookable clinic."""
        used_open = self.offered[:, 0] - self.held_at_first[:, 0] + self.released[:, 0] - self.open[:, 0]
        ledger = {"offered": self.offered[:, 0].copy(), "held": self.held_at_first[:, 0].copy(), "used_open": used_open}
        for table in (self.open, self.held, self.offered, self.held_at_first, self.released, self.handed_out):
            table[:, :-1] = table[:, 1:]
            table[:, -1] = 0
        self.first += 1
        return ledger

    def release(self, half_day: int, which: NDArray[np.bool_]) -> NDArray[np.int64]:
        """Release what is still held in one half-day, in the replications `which`; returns the number per row."""
        column = half_day - self.first
        released = np.where(which[self.world], self.held[:, column], 0)
        self.open[:, column] += released
        self.held[:, column] -= released
        self.released[:, column] += released
        return released

    def settle(
        self,
        row: NDArray[np.int64],
        entitled: NDArray[np.bool_],
        earliest: NDArray[np.int64],
        latest: NDArray[np.int64],
    ) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Book requests, already in their order: half-day of the appointment (-1 = refused) and kind of slot."""
        session, how = np.full(len(row), NOT_SERVED), np.zeros(len(row), dtype=np.int64)
        earliest = np.maximum(earliest, self.first)
        latest = np.minimum(latest, self.first + self.columns - 1)
        if _FAST is not None:
            _FAST(row, entitled, earliest, latest, self.first, self.open, self.held, session, how)
            return session, how
        columns: list[Any] = [x.tolist() for x in (row, entitled, earliest, latest)]
        tables = [self.open.tolist(), self.held.tolist()]
        filled = [session.tolist(), how.tolist()]
        _PLAIN(*columns, self.first, *tables, *filled)
        self.open[:], self.held[:] = tables
        return np.array(filled[0]), np.array(filled[1])

    def minute(self, row: NDArray[np.int64], session: NDArray[np.int64]) -> NDArray[np.float64]:
        """The minute of each appointment: places follow each other through the session in the order they were given."""
        column = session - self.first
        flat = row * self.columns + column
        nth = rank_within(flat) + self.handed_out[row, column]
        np.add.at(self.handed_out, (row, column), 1)
        pattern = self.pattern[row]
        opens, closes = self.openings.opens[pattern, session], self.openings.closes[pattern, session]
        return np.asarray(opens + (nth + 0.5) / np.maximum(self.offered[row, column], 1) * (closes - opens))

    def admit_walk_ins(self, row: NDArray[np.int64], extra: NDArray[np.int64]) -> NDArray[np.int64]:
        """Walk-ins of the first half-day, in their order: OPEN_SLOT, EXTRA or, when all is gone, WALK_IN (turned away).

        `extra`: places added beyond the slots that are left, per clinic row; the caller keeps count of them.
        """
        rank = rank_within(row)
        free = self.open[row, 0]
        how = np.where(rank < free, OPEN_SLOT, np.where(rank < free + extra[row], EXTRA, WALK_IN))
        np.subtract.at(self.open[:, 0], row[how == OPEN_SLOT], 1)
        np.subtract.at(extra, row[how == EXTRA], 1)
        return how


def rank_within(group: NDArray[np.int64]) -> NDArray[np.int64]:
    """0, 1, 2, ... within each group, in the given order."""
    order = np.argsort(group, kind="stable")
    ordered = group[order]
    starts = np.ones(len(group), dtype=bool)
    starts[1:] = ordered[1:] != ordered[:-1]
    first = np.maximum.accumulate(np.where(starts, np.arange(len(group)), 0))
    rank = np.empty(len(group), dtype=np.int64)
    rank[order] = np.arange(len(group)) - first
    return rank
