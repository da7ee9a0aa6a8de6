"""One half-day (or emergency shift) at every open service point: the waiting room, solved exactly.

Rule of the queue (R1): a doctor who becomes free takes, among patients already present, the highest class, then the
earliest place in line, then the lowest id; service is never interrupted. A patient with a same-visit exam comes back
into the same queue when the results are there (R4). Whoever waits longer than his patience leaves. At one instant: ends
first, then starts of those waiting, then arrivals. A window that ends while the point stays open hands on waiting
patients and busy doctors (R2).

The loop below is one function. With the extra `fast` installed numba compiles it; without it the same lines run as
Python.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from heapq import heapify, heappop, heappush, heapreplace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sim import streams
from sim.care import Care, consultation, exam_turnaround, patience, triage
from sim.contacts import SECOND_LOOK, Rows, take
from sim.network import EMERGENCY_LAYER, Level, Network
from sim.streams import Floats, Keys
from sim.timetable import HALF_DAY, Openings

WAITING, DONE, LEFT, AT_EXAM, WAITING_AGAIN = range(5)
"""What became of a patient by the end of the window."""

NOWHERE = np.inf
_PLACE_BITS, _FINE = np.uint64(44), float(1 << 20)
"""A place in line is packed below the service point, in 2**-20 minutes, to sort by both at once."""


# one function, because numba compiles it as one; its arguments are lists in plain Python, arrays under numba
def _serve(  # type: ignore[no-untyped-def]  # noqa: C901
    bounds, doctors, free, until, place, cls, key, patient, service, turnaround, second, begin, end, back, status
):
    """Solve the waiting rooms `bounds[r]:bounds[r + 1]`, patients sorted by place and key.

    Fills begin, end, back, status and free.
    """
    for room in range(len(bounds) - 1):
        busy = [free[room][d] for d in range(doctors[room])]
        heapify(busy)
        waiting = [(0, 0.0, key[0], 0)]
        results = [(0.0, key[0], 0)]
        waiting.pop()
        results.pop()
        coming, last, limit = bounds[room], bounds[room + 1], until[room]
        while True:
            now = busy[0]
            while coming < last and place[coming] < now:
                heappush(waiting, (cls[coming], place[coming], key[coming], coming))
                coming += 1
            while len(results) > 0 and results[0][0] < now:
                at, k, i = heappop(results)
                heappush(waiting, (cls[i], at, k, i))
            if len(waiting) > 0:
                if now >= limit:
                    break
                _c, at, k, i = heappop(waiting)
            elif (
                coming < last
                and place[coming] < limit
                and (len(results) == 0 or (place[coming], key[coming]) < (results[0][0], results[0][1]))
            ):
                i, at = coming, place[coming]
                coming += 1
                now = at
            elif len(results) > 0 and results[0][0] < limit:
                at, k, i = heappop(results)
                now = at
            else:
                break
            if status[i] == AT_EXAM:
                end[i] = now + second[i]
                status[i] = DONE
                heapreplace(busy, end[i])
            elif now > at + patient[i]:
                end[i] = at + patient[i]
                status[i] = LEFT
            else:
                begin[i] = now
                end[i] = now + service[i]
                status[i] = DONE
                heapreplace(busy, end[i])
                if turnaround[i] > 0.0:
                    status[i] = AT_EXAM
                    back[i] = end[i] + turnaround[i]
                    heappush(results, (back[i], key[i], i))
        for _c, at, _k, i in waiting:
            if status[i] == AT_EXAM:
                status[i] = WAITING_AGAIN
            elif at + patient[i] < limit:
                end[i] = at + patient[i]
                status[i] = LEFT
        busy.sort()
        for d in range(doctors[room]):
            free[room][d] = busy[d]


def _compiled() -> Callable[..., None] | None:
    """The same loop compiled by numba, where the extra `fast` is installed (TIERCARE_PURE=1 declines it)."""
    if os.environ.get("TIERCARE_PURE") == "1":
        return None
    try:
        import numba
    except ImportError:
        return None
    compiled: Callable[..., None] = numba.njit(cache=True)(_serve)
    return compiled


_PLAIN: Callable[..., None] = _serve
_FAST = _compiled()


def serve(bounds: NDArray[Any], doctors: NDArray[Any], free: Floats, until: Floats, *columns: NDArray[Any]) -> None:
    """Run `_serve` on arrays; `columns` are its arguments from `place` on. Fills the last four, and `free`."""
    if _FAST is not None:
        _FAST(*map(np.ascontiguousarray, (bounds, doctors)), free, until, *columns)  # one layout, one compilation
        return
    lists = [c.tolist() for c in (free, *columns)]
    _PLAIN(bounds.tolist(), doctors.tolist(), lists[0], until.tolist(), *lists[1:])
    for array, filled in zip((free, *columns[-4:]), (lists[0], *lists[-4:]), strict=True):
        array[:] = filled


@dataclass
class Seen:
    """What a layer's waiting rooms did in a window; arrays are parallel."""

    rows: Rows
    """Those whose visit ended: seen, or left without being seen."""
    left: NDArray[np.bool_]
    begin: Floats
    end: Floats
    visit: Keys
    """Key of the visit, for its draws."""
    carried: Rows
    """Those who wait or are at an exam when the window ends."""


def visit_keys(rows: Rows, level: NDArray[np.int64]) -> Keys:
    """The key of a visit: (episode, level, occurrence at that level)."""
    occurrence = (rows["seen"].astype(np.int64) >> (4 * level)) & 15
    return streams.child(rows["key"], (level << 8) + occurrence + 1000)


class WaitingRooms:
    """The waiting rooms of all service points of all replications."""

    def __init__(self, network: Network, openings: Openings, care: Care, doctors: NDArray[np.int64]) -> None:
        """`doctors`: in a full session, shape (replications, service points)."""
        self.network, self.openings, self.care = network, openings, care
        self.points = len(network.points)
        self.doctors = doctors.ravel()
        self.pattern = network.point_pattern
        self.free = np.full((len(self.doctors), int(self.doctors.max(initial=1))), -NOWHERE)
        self.level = np.array([network.level[p.facility] for p in network.points])
        self.column = np.where(network.point_layer >= EMERGENCY_LAYER, len(Level), self.level)

    def see(self, rows: Rows, priority: NDArray[np.int64], window_end: float) -> Seen:
        """Solve one window for these patients; `priority`: 0 first."""
        order = self._line_up(rows)
        rows, priority = take(rows, order), priority[order]
        global_point = rows["point"].astype(np.int64)
        edges = np.flatnonzero(np.diff(global_point)) + 1
        bounds = np.concatenate([[0], edges, [len(rows)]])
        room = global_point[bounds[:-1]]
        point = global_point % self.points
        doctors, free, until = self._doctors(room, window_end)
        visit = visit_keys(rows, self.level[point])
        columns = self._columns(rows, point, visit)
        begin, end, back = rows["begun"].astype(np.float64), np.zeros(len(rows)), np.zeros(len(rows))
        status = np.zeros(len(rows), dtype=np.int64)
        place = np.ascontiguousarray(rows["time"])
        key = np.ascontiguousarray(rows["key"])
        serve(bounds, doctors, free, until, place, priority, key, *columns, begin, end, back, status)
        self.free[room, : free.shape[1]] = free
        return self._outcome(rows, visit, begin, end, back, status)

    def _line_up(self, rows: Rows) -> NDArray[np.int64]:
        """Order by service point, place in line, id; ties in place are rare and cost a second sort only then."""
        point, time = rows["point"].astype(np.uint64), rows["time"]
        early = time.min()
        packed = (point << _PLACE_BITS) | ((time - early) * _FINE).astype(np.uint64)
        order = np.argsort(packed)
        packed = packed[order]
        if np.any(packed[1:] == packed[:-1]):
            order = np.lexsort((rows["key"], time, rows["point"]))
        return order

    def _doctors(self, room: NDArray[np.int64], window_end: float) -> tuple[NDArray[np.int64], Floats, Floats]:
        """Doctors on duty, when each is free, and until when starts may be settled, per room."""
        pattern = self.pattern[room % self.points]
        half = int((window_end - 1e-6) // HALF_DAY)
        doctors = np.maximum(np.ceil(self.doctors[room] * self.openings.size[pattern, half] - 1e-9), 1).astype(np.int64)
        opens = self.openings.opens[pattern, half][:, None]
        free = np.ascontiguousarray(np.maximum(self.free[room, : int(doctors.max())], opens))
        stays_open = self.openings.admits_at(pattern, window_end)
        # overtime goes on until the next session, whose patients then stand in the same queue
        overtime = np.where(self.openings.size[pattern, half + 1] > 0, self.openings.opens[pattern, half + 1], NOWHERE)
        return doctors, free, np.where(stays_open, window_end, overtime)

    def _columns(self, rows: Rows, point: NDArray[np.int64], visit: Keys) -> list[Floats]:
        """Patience, first look, turnaround and second look of each patient (back with results: the second alone)."""
        world, condition = rows["world"].astype(np.int64), rows["condition"].astype(np.int64)
        length = consultation(self.care, visit, world, self.column[point])
        again = rows["stage"] == SECOND_LOOK
        second = length * self.care.second_look[world]
        wait = np.where(again, NOWHERE, patience(self.care, visit, world))
        exam = np.where(again, 0.0, exam_turnaround(self.care, visit, world, condition, self.level[point]))
        return [wait, np.where(again, second, length), exam, second]

    def _outcome(
        self, rows: Rows, visit: Keys, begin: Floats, end: Floats, back: Floats, status: NDArray[np.int64]
    ) -> Seen:
        fresh = rows["stage"] != SECOND_LOOK
        first = np.where(fresh, begin, rows["begun"])
        over = (status == DONE) | (status == LEFT)
        carried = take(rows, np.flatnonzero(~over))
        again = (status == AT_EXAM) | (status == WAITING_AGAIN)
        if len(carried):
            results = again[~over]
            carried["begun"] = np.where(results, begin[~over], carried["begun"])
            carried["wanted"] = np.where(results, carried["time"], carried["wanted"])
            carried["time"] = np.where(results, back[~over], carried["time"])
            carried["stage"] = np.where(results, SECOND_LOOK, carried["stage"])
        done = np.flatnonzero(over)
        return Seen(take(rows, done), status[done] == LEFT, first[done], end[done], visit[done], carried)


def priority_of(rows: Rows, care: Care, emergency: bool, has_priority: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Class in the queue: triage in an emergency department, elsewhere the patient's class if the policy grants it."""
    world = rows["world"].astype(np.int64)
    if emergency:
        return triage(care, np.ascontiguousarray(rows["key"]), world)
    return np.where(has_priority[world], rows["cls"], 2).astype(np.int64)
