"""Operating theatres and day centres: places in their sessions, given as they are asked for.

Who needs a place asks at a minute of his own and takes the first session with a place left that begins no earlier than
wanted (R25, M30). There are no rounds and no classes here, and nothing granted is taken back.
"""

from __future__ import annotations

from bisect import bisect_left
from math import inf
from typing import Any, NamedTuple

import numpy as np

from sim.timetable import DAY, HALF_DAY, Opening


class Sessions(NamedTuple):
    """The sessions of a facility's theatres, or of its day centre, in order."""

    opens: tuple[float, ...]
    closes: tuple[float, ...]
    offered: tuple[int, ...]
    """Places of each session, at least 1."""
    end: float
    """Minute at which the calendar ends."""

    @classmethod
    def of(cls, opening: Opening, full: int) -> Sessions:
        """Those of a pattern in which there is a place; `full`: places of a full session."""
        offered = np.rint(full * opening.size).astype(np.int64)
        held = np.flatnonzero(offered)
        opens, closes, places = (tuple(x[held].tolist()) for x in (opening.opens, opening.closes, offered))
        return cls(opens, closes, places, len(opening.size) * HALF_DAY)

    def __deepcopy__(self, memo: dict[int, Any]) -> Sessions:
        return self  # nothing in it can change


class Places:
    """What is taken in the sessions of one facility in one replication."""

    def __init__(self, sessions: Sessions) -> None:
        self.sessions = sessions
        self.days: list[list[int]] = [[] for _ in sessions.opens]
        """Of each session, by the patients who have a place in it, days from the day wanted."""
        self.onward = list(range(1, len(sessions.opens) + 1))
        """Where to look on from a session that is full."""
        self.told = 0
        """Sessions that have been written down."""

    def take(self, wanted: float, latest: float = inf) -> float:
        """The minute of the first place from the minute wanted on; infinite, and none is taken, after the latest.

        The places of a session follow each other through it in the order in which they are given.
        """
        number = self._with_room(bisect_left(self.sessions.opens, wanted))
        if number == len(self.days):
            return inf
        opens, closes, offered, _ = self.sessions
        nth = len(self.days[number])
        minute = opens[number] + (nth + 0.5) / offered[number] * (closes[number] - opens[number])
        if minute > latest:
            return inf
        self.days[number].append(int(minute // DAY - wanted // DAY))
        return minute

    def _with_room(self, number: int) -> int:
        """The first session with a place left, from one on; who looks next is told to go there directly."""
        found, last = number, len(self.days)
        while found < last and len(self.days[found]) == self.sessions.offered[found]:
            found = self.onward[found]
        while number < found:
            self.onward[number], number = found, self.onward[number]
        return found

    def over(self, minute: float) -> tuple[int, list[int]]:
        """Places offered in sessions that have begun since this was asked last, and the days of who took them."""
        begun = bisect_left(self.sessions.opens, minute)
        since, self.told = slice(self.told, begun), begun
        return sum(self.sessions.offered[since]), [d for session in self.days[since] for d in session]

    def ahead(self) -> int:
        """Patients with a place in a session that was not over when this was last asked."""
        return sum(map(len, self.days[self.told :]))


def operation_due(admitted: float, after: float, acute: float) -> float:
    """When a planned operation is due: so many minutes after admission, and not after the acute phase."""
    return admitted + min(after, acute)


def is_day_case(number: float, share: float) -> bool:
    """Whether a stay that suits a day centre is to be a day case.

    `number`: of the episode, infinite for stays that do not suit one; `share`, in force, of those that do.
    """
    return number < share


def home_from_day_centre(minute: float, stay: float) -> float:
    """When a day case goes home: after so many minutes, and before midnight."""
    return min(minute + stay, (minute // DAY + 1) * DAY - 1)
