"""Appointment slots: open, held, released.

A bookable clinic's session has slots. A share of them may be held for referred patients (R7: share x slots, the
rounding error carried from session to session, shares kept exact); what is left of it is released some days before.
"""

from __future__ import annotations

from fractions import Fraction
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from sim.contacts import EXTRA, HELD_SLOT, OPEN_SLOT, WALK_IN
from sim.kernels import kernel, table
from sim.streams import Floats

NOT_SERVED = -1

NO_QUOTA, CLINIC_QUOTA, IMAGING_QUOTA, EXPERT_QUOTA = range(4)
"""Which quota applies to a service point."""

SLOT = np.dtype([(name, "i8") for name in ("open", "held", "offered", "held_at_first", "released", "handed_out")])
"""A session's slots: free for all, free and held, offered in all, held when it was opened, released since, and
appointments given, which decides the next one's minute."""


class Pages(NamedTuple):
    """The appointment books as kernels fill them."""

    slots: NDArray[Any]
    """Rows of `SLOT`, (clinics, half-days to come)."""
    clinics: NDArray[Any]
    """Rows of pattern and extra (places for walk-ins left in the first half-day), (clinics,)."""


@kernel
def book(slots: Any, clinic: int, entitled: bool, earliest: int, latest: int, first: int) -> tuple[int, int]:
    """The first half-day with a place, held places first where entitled (NOT_SERVED = none), and the kind of slot.

    `first`: the half-day of the first column.
    """
    for column in range(max(earliest - first, 0), min(latest - first + 1, slots.shape[1])):
        session = slots[clinic, column]
        if entitled and session["held"] > 0:
            session["held"] -= 1
            return first + column, HELD_SLOT
        if session["open"] > 0:
            session["open"] -= 1
            return first + column, OPEN_SLOT
    return NOT_SERVED, WALK_IN


@kernel
def appointment(session: Any, hours: Any) -> float:
    """The minute of an appointment: places follow each other through the session in the order they are given.

    `session`: its row of the book; `hours`: its row of the timetable.
    """
    nth = session["handed_out"]
    session["handed_out"] += 1
    return hours["opens"] + (nth + 0.5) / max(session["offered"], 1) * (hours["closes"] - hours["opens"])


@kernel
def admit_walk_in(session: Any, clinic: Any) -> int:
    """How a walk-in of the first half-day gets in: OPEN_SLOT, EXTRA or, when all is gone, WALK_IN (turned away)."""
    if session["open"] > 0:
        session["open"] -= 1
        return OPEN_SLOT
    if clinic["extra"] > 0:
        clinic["extra"] -= 1
        return EXTRA
    return WALK_IN


class Offer(NamedTuple):
    """What the policy of a day makes of sessions under quota, by replication."""

    held: list[Fraction]
    """Share of slots held for referred patients; exact."""
    here: Floats
    """Share of doctors, and with them of slots, who are at a service point: less than 1 where some work elsewhere and
    where a clinic is held in part only; (W, P)."""
    held_imaging: list[Fraction]
    """Share of exam slots of large equipment held for referred patients; exact."""
    held_expert: list[Fraction]
    """Share of the slots of expert clinics held for referred patients; exact."""

    def by_quota(self) -> tuple[list[Fraction], ...]:
        """Shares held, in the order of the quotas from CLINIC_QUOTA on."""
        return self.held, self.held_imaging, self.held_expert


def columns(days_ahead: NDArray[np.int64]) -> int:
    """Half-days whose books are open at the same time, for booking horizons in days."""
    return 2 * (int(days_ahead.max(initial=1)) + 2)


class SlotBook:
    """The appointment books of all bookable clinics of all replications (rows), by half-day (columns)."""

    def __init__(
        self,
        hours: NDArray[Any],
        point_pattern: NDArray[np.int64],
        slots: NDArray[np.int64],
        extra: NDArray[np.int64],
        days_ahead: NDArray[np.int64],
        quota: NDArray[np.int64],
    ) -> None:
        """`slots` and `extra` places for walk-ins: of a full session, shape (replications, service points).

        `quota`: which one applies to each service point; `days_ahead`: booking horizon, shape (replications,).
        """
        self.hours = hours
        worlds, points = slots.shape
        self.full = slots.ravel()
        self.bookable = np.flatnonzero(self.full > 0)
        self.row_of = np.full(worlds * points, -1, dtype=np.int64)
        self.row_of[self.bookable] = np.arange(len(self.bookable))
        self.world = self.bookable // points
        self.pattern = point_pattern[self.bookable % points]
        self.quota = quota[self.bookable % points]
        self.columns = columns(days_ahead)
        self.first = 0
        """Half-day of the first column."""
        self.slots = np.zeros((len(self.bookable), self.columns), dtype=SLOT)
        self.clinics = table(pattern=self.pattern, extra=np.zeros(len(self.bookable), dtype=np.int64))
        self.full_extra = extra.ravel()[self.bookable]
        self.carry = np.zeros(len(self.bookable), dtype=np.int64)
        """Slots of all sessions so far since the share last changed: the rounding error of the quota lives here."""
        self.share = (np.zeros_like(self.carry), np.ones_like(self.carry))
        """Share in force in each clinic, as numerator and denominator."""

    def offer(self, half_day: int, offer: Offer) -> None:
        """Open the book of one half-day under the rules in force on its date."""
        column = half_day - self.first
        size = self.hours["size"][self.pattern, half_day] * offer.here.ravel()[self.bookable]
        slots = np.rint(self.full[self.bookable] * size).astype(np.int64)
        nothing = [Fraction(0)] * len(offer.held)
        shares = [[s.as_integer_ratio() for s in each] for each in (nothing, *offer.by_quota())]
        numerator, denominator = np.array(shares, dtype=np.int64)[self.quota, self.world].T
        self.carry[(numerator != self.share[0]) | (denominator != self.share[1])] = 0
        self.share = numerator, denominator
        held = (numerator * (self.carry + slots)) // denominator - (numerator * self.carry) // denominator
        self.carry += slots
        session = self.slots[:, column]
        session["offered"], session["open"] = slots, slots - held
        session["held_at_first"] = session["held"] = held
        session["handed_out"] = session["released"] = 0

    def pages(self) -> Pages:
        """The books as kernels fill them."""
        return Pages(self.slots, self.clinics)

    def open_extra(self) -> None:
        """Extra places of the first half-day."""
        self.clinics["extra"] = np.rint(self.full_extra * self.hours["size"][self.pattern, self.first])

    def close(self) -> dict[str, NDArray[np.int64]]:
        """Close the first half-day and move on: its row of the slot ledger, per bookable clinic."""
        session = self.slots[:, 0].copy()
        used_open = session["offered"] - session["held_at_first"] + session["released"] - session["open"]
        self.slots[:, :-1] = self.slots[:, 1:].copy()
        self.slots[:, -1] = 0
        self.first += 1
        return {"offered": session["offered"], "held": session["held_at_first"], "used_open": used_open}

    def release(self, half_day: int, which: NDArray[np.bool_]) -> NDArray[np.int64]:
        """Release what is still held in one half-day, in the replications `which`; returns the number per row."""
        column = half_day - self.first
        session = self.slots[:, column]
        released = np.where(which[self.world], session["held"], 0)
        session["open"] += released
        session["held"] -= released
        session["released"] += released
        return released
