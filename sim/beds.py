"""Bed pools: free, held, borrowed; and who waits for them.

R8, kind `release`: of a pool's beds a number is held for formally referred patients. A held bed that has stood empty
for some hours is released to all; when a bed is freed and fewer than the number are held or used by referred patients,
it is held again. Emergencies may take a held bed when no other is free (borrowed). Counts, not named beds.

Kind `partition`: held beds are never released; the referred lie in held beds only, all others in open ones only. Kind
`protect` (trunk reservation): nothing is held, but whoever is neither referred nor an emergency finds a bed only where
more beds are free than the quota. When the kind changes, empty held beds open and the new kind begins at once.

A bed that is cleaned after each patient is neither occupied nor free meanwhile. A ward that is out of service admits
nobody and evicts nobody: its beds go as patients leave them. So do those of a ward that goes on with fewer beds.
"""

from __future__ import annotations

from collections import deque
from fractions import Fraction
from typing import Protocol

from sim.records import CAUSES

EMERGENCY, REFERRED_CONTRACTED, REFERRED, OTHER, STEP_DOWN = range(5)
"""How a patient comes to a bed (records.ENTRIES)."""

OPEN, HELD, BORROWED = range(3)
"""What kind of bed a patient lies in."""


RELEASE, PARTITION, PROTECT = "release", "partition", "protect"
"""Kinds of quota (policy.BedQuotaKind)."""


def held_of(share: Fraction, beds: int) -> int:
    """Beds under quota: a share of them, rounded half up."""
    return int(share * beds + Fraction(1, 2))


class Waiting(Protocol):
    """Somebody who waits for a bed."""

    rank: int

    @property
    def asks_as(self) -> int:
        """How he would come to the bed (an entry)."""

    def bed_granted(self, pool: BedPool, bed: int) -> None:
        """A bed is free: take it now."""

    def turned_away(self, pool: BedPool, now: float) -> None:
        """The ward closes."""


class BedPool:
    """One ward of one replication."""

    def __init__(self, number: int, beds: int, cleaning_minutes: float = 0.0) -> None:
        self.number = number
        """Ward (index in the network)."""
        self.installed = beds
        """Beds of the ward while it is in service, as `open` makes them."""
        self.beds = beds
        """Beds in service, and those out of service that somebody still lies in or that are being cleaned."""
        self.in_service = True
        self.set_aside = cleaning_minutes > 0
        """Whether a bed that somebody leaves cannot be taken at once: it is cleaned first, or goes."""
        self.cleaning_minutes = cleaning_minutes
        """Minutes after each patient in which a bed cannot be taken."""
        self.cleaning = 0
        """Beds that are being cleaned."""
        self.free = beds
        """Empty beds open to all."""
        self.held: deque[float] = deque()
        """Empty held beds: since when each stands empty, oldest first."""
        self.in_held = 0
        """Referred patients lying in held beds."""
        self.quota = 0
        """Beds meant to be held."""
        self.protected = 0
        """Beds that others leave free."""
        self.kind = RELEASE
        self.strict = False
        """Whether the quota is of another kind than `release`."""
        self.lists: tuple[deque[Waiting], ...] = (deque(), deque(), deque(), deque())
        """Waiting list by rank: emergency, referred contracted, referred, others."""
        self.waiting = 0
        """Patients on the waiting list."""
        self.entitled = 0
        """Those among them who are referred or emergencies."""
        self.used_held = self.borrowed = self.released = 0
        self.moved_on = 0
        """Patients who went on to another ward of the same hospital."""
        self.blocked = [0.0] * len(CAUSES)
        """Minutes for which patients kept a bed that another could have had, by cause."""

    @property
    def occupied(self) -> int:
        """Beds with a patient in them."""
        return self.beds - self.free - len(self.held) - self.cleaning

    def set_quota(self, share: Fraction, now: float, kind: str = RELEASE) -> int:
        """Put a share of the beds under quota (rounded half up); returns the number of beds to be released one day.

        Free beds are held at once, others as they are freed.
        """
        quota = held_of(share, self.installed)
        if (kind, quota) == (self.kind, self.quota + self.protected):
            return 0  # another lever changed: beds that were released stay released
        if kind != self.kind:
            self._keep_held(0)
        self.kind, self.strict = kind, kind != RELEASE
        self.quota, self.protected = (0, quota) if kind == PROTECT else (quota, 0)
        self._keep_held(self.quota)
        return self._hold_more(now)

    def _hold_more(self, now: float) -> int:
        newly = max(min(self.quota - len(self.held) - self.in_held, self.free), 0)
        self.free -= newly
        self.held.extend([now] * newly)
        return 0 if self.strict else newly

    def close(self) -> None:
        """Go out of service: empty beds go at once."""
        self.in_service = False
        self.beds -= self.free + len(self.held)
        self.free = 0
        self.held.clear()
        self._set_aside()

    def open(self, now: float) -> int:
        """Come into service, or go on, with the beds that are installed; returns the number to be released one day.

        Beds too many go at once where they are empty, and the others as patients leave them.
        """
        self.in_service = True
        while self._is_one_too_many() and (self.free or self.held):
            if not self.free:
                self._open_held()
            self._add(-1)
        self._add(max(self.installed - self.beds, 0))
        self._set_aside()
        return self._hold_more(now)

    def _add(self, beds: int) -> None:
        self.free += beds
        self.beds += beds

    def _set_aside(self) -> None:
        self.set_aside = self.cleaning_minutes > 0 or self._is_one_too_many()

    def _is_one_too_many(self) -> bool:
        return self.beds > (self.installed if self.in_service else 0)

    def _goes(self) -> bool:
        """Whether a bed that can be taken by nobody now goes for good; it has gone then."""
        if not self._is_one_too_many():
            return False
        self.beds -= 1
        self._set_aside()
        return True

    def everybody_waiting(self) -> list[Waiting]:
        """Who waits, in order."""
        return [who for line in self.lists for who in line]

    def _keep_held(self, quota: int) -> None:
        """Open held beds beyond so many."""
        while self.held and len(self.held) + self.in_held > quota:
            self._open_held()

    def _open_held(self) -> None:
        self.held.pop()
        self.free += 1

    def bed_for(self, entry: int) -> int | None:
        """The kind of bed that somebody may take now, None if there is none."""
        if self.strict:
            kind = HELD if self.kind == PARTITION and entry in (REFERRED_CONTRACTED, REFERRED) else OPEN
            return kind if self.spare(entry) else None
        if self.held and entry in (REFERRED_CONTRACTED, REFERRED):
            return HELD
        if self.free:
            return OPEN
        return BORROWED if entry == EMERGENCY and self.held else None

    def spare(self, entry: int) -> int:
        """Free beds that somebody may take, without held ones that will be released."""
        if self.kind == PARTITION and entry in (REFERRED_CONTRACTED, REFERRED):
            return len(self.held)
        return self.free if entry < OTHER else max(self.free - self.protected, 0)

    def take(self, bed: int) -> None:
        """Lie down in a bed of this kind."""
        if bed == OPEN:
            self.free -= 1
            return
        self.held.popleft()
        if bed == HELD:
            self.in_held += 1
            self.used_held += 1
        else:
            self.borrowed += 1

    def leave(self, bed: int, now: float) -> bool:
        """Get up: the bed is held again if the quota asks for it, else open; True: to be released one day."""
        if bed == HELD:
            self.in_held -= 1
        if len(self.held) + self.in_held < self.quota:
            self.held.append(now)
            return not self.strict
        self.free += 1
        return False

    def empty(self, bed: int) -> bool:
        """Get up from a bed that cannot be taken at once; whether it is to be cleaned."""
        if bed == HELD:
            self.in_held -= 1
        if self._goes():
            return False
        self.cleaning += 1
        return True

    def cleaned(self, now: float) -> bool:
        """A bed is clean: as if somebody got up from it now."""
        self.cleaning -= 1
        return not self._goes() and self.leave(OPEN, now)

    def release_held(self, since: float) -> bool:
        """Release a held bed that has stood empty since `since`, if there still is one."""
        if self.strict or since not in self.held:
            return False
        self.held.remove(since)
        self.free += 1
        self.released += 1
        return True

    def wait(self, who: Waiting) -> None:
        """Join the waiting list."""
        self.lists[who.rank].append(who)
        self.waiting += 1
        self.entitled += who.asks_as < OTHER

    def give_up(self, who: Waiting) -> None:
        """Leave the waiting list."""
        self.lists[who.rank].remove(who)
        self.waiting -= 1
        self.entitled -= who.asks_as < OTHER

    def serve(self) -> None:
        """Give beds to those waiting, highest rank first, as long as somebody can have one.

        Afterwards nobody waits who could have a bed, so whoever asks next may take any bed that he finds.
        """
        while self.waiting and (served := self._next()) is not None:
            who, bed = served
            self.give_up(who)
            who.bed_granted(self, bed)

    def _next(self) -> tuple[Waiting, int] | None:
        if self.free <= self.protected and not (self.entitled and (self.free or self.held)):
            return None
        for line in self.lists:
            for who in line:
                if (bed := self.bed_for(who.asks_as)) is not None:
                    return who, bed
        return None
