"""Who is there when a run begins: nobody, or more patients than there will be.

A run starts empty, and its warm-up has to fill it. How long that takes is seen from the other side: a run that starts
overfull, on the same luck, empties (ruling R21). When both tell the same, the start is forgotten. Overfull means:

- Full beds. Every bed of every ward that is open has a patient in it, in the middle of a stay. Conditions are mixed as
  in the bed-days that the forecast of loads offers the ward; a ward that takes none but those who step down has theirs.
  A stay in progress is longer than others by the law of inspection (its length is drawn in proportion to itself), and
  an even share of it is over. Whose acute phase is over recovers in the bed; operations and exams are behind them.
- Doubled queues. For as many days as books are open for, all first needs arise twice, so bookings, waiting rooms and
  waiting lists become what twice the offered load leaves. Follow-ups of long-term patients do not multiply.

All of them are patients like others, with luck of their own. They are counted from the first minute of the run on, with
what is left of their stays, which is before anything is measured.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from sim import beds, contacts, streams
from sim.beds import BedPool
from sim.care import STAY, STAY_NEEDS, CareTables, draw_stays
from sim.demand import settle_truth
from sim.loads import Forecast
from sim.network import BELOW, ward_name
from sim.streams import Floats, Keys, Purpose

EMPTY, OVERFULL = "empty", "overfull"

NONE = -1


def twice(start: str, days_ahead: int, first: int, days: int) -> Floats:
    """How many times as many first needs arise on each of some days from the `first` on; `days_ahead`: books are open
    for."""
    until = days_ahead if start == OVERFULL else 0
    return np.where(np.arange(first, first + days) < until, 2.0, 1.0)


def entries(pool: BedPool) -> list[int]:
    """How those who fill the beds of a ward have come to them: held beds are for the referred."""
    kept = len(pool.held) + pool.protected
    number = pool.free + len(pool.held)
    return [beds.OTHER] * max(number - kept, 0) + [beds.REFERRED] * min(kept, number)


@dataclass(frozen=True)
class Inpatients:
    """Patients who lie in the wards of one replication when its run begins."""

    forecast: Forecast
    tables: CareTables
    destinations: list[list[str] | None]
    """Departments of wards to which stays with each condition may step down, None = any."""
    day: date
    luck: tuple[int, int]
    """Seed and replication."""

    def __post_init__(self) -> None:
        """Look before the doors open, as the forecast does."""
        _ = self._mixes

    def lying(self, ward: int, number: int) -> tuple[NDArray[np.void], list[int]]:
        """Rows of STAY for so many patients, with what is left of their stays; and the ward to which each goes on from
        intensive care, -1 = none. Nobody where nothing is known of those who come to a ward."""
        mix, world = self._mixes[ward], self.forecast.world
        number = number if mix.sum() > 0 else 0
        keys = self._keys(ward, number)
        rows = contacts.empty(number)
        rows["world"], rows["key"] = world, keys
        rows["condition"] = _which(mix, streams.uniform(keys, Purpose.LIES_WITH)) if number else 0
        rows["person"] = self._people(rows)
        settle_truth(rows, self.tables.conditions)
        rows["need"] = np.clip(rows["need"], STAY_NEEDS[0], self._given(ward, rows["condition"]))
        stays = np.empty(number, dtype=STAY)
        level = int(self.forecast.network.level[self.forecast.network.ward_run_by[ward]])
        draw_stays(self.tables, rows, level, stays)
        self._put_in_progress(ward, stays, streams.uniform(keys, Purpose.LEFT_OF_STAY))
        return stays, self._goes_on_to(ward, rows["condition"]).tolist()

    # ----------------------------------------------------------------------------------------------------------- who

    def _keys(self, ward: int, number: int) -> Keys:
        """Of a ward by its names, and its place among those of the same names."""
        wards = self.forecast.network.wards
        names = [(self.forecast.network.facilities[w.facility].id, ward_name(w)) for w in wards[: ward + 1]]
        return streams.child(streams.key(*self.luck, "in bed", *names[-1], names.count(names[-1])), np.arange(number))

    def _people(self, rows: contacts.Rows) -> NDArray[np.int64]:
        """Residents among whom needs with the condition arise; visitors where there are none."""
        found = np.full(len(rows), NONE, dtype=np.int64)
        luck, again = (streams.uniform(np.ascontiguousarray(rows["key"]), Purpose.LIES_WHO, n) for n in (0, 1))
        cells, panel = self.forecast.demand.cells, self.forecast.demand.panel
        for c in np.unique(rows["condition"]):
            mine, arising = rows["condition"] == c, cells[(cells["condition"] == c) & (cells["rate"] > 0)]
            long_term = panel.person[panel.condition == c]
            if len(arising):
                cell = arising[_which(arising["rate"], luck[mine])]
                found[mine] = cell["first"] + (again[mine] * cell["size"]).astype(np.int64)
            elif len(long_term):
                found[mine] = long_term[(luck[mine] * len(long_term)).astype(np.int64)]
        return found

    def _given(self, ward: int, conditions: NDArray[np.uint8]) -> NDArray[np.int64]:
        """Level of care that those who run a ward can give, at least that of a bed."""
        net = self.forecast.network
        return np.maximum(net.capability[net.ward_run_by[ward], conditions], STAY_NEEDS[0])

    # ---------------------------------------------------------------------------------------------------------- what

    @cached_property
    def _mixes(self) -> list[Floats]:
        """Bed-days by condition of each ward that is open, up to a factor; nothing of others."""
        return [self._mix(n) for n in range(len(self.forecast.network.wards))]

    def _mix(self, ward: int) -> Floats:
        one, anywhere = self.forecast.network.wards[ward], self._bed_days.sum(axis=0)
        if not one.is_open(self.day):
            return np.zeros_like(anywhere)
        admitted = self._admits(ward)
        if one.kind == "intensive":
            admitted = admitted * self._conditions["intensive"] * self._conditions["intensive_part"]
        own = self._bed_days[one.facility] * admitted
        for mix in (own, anywhere * admitted):
            if mix.sum() > 0:
                return mix
        return np.asarray(anywhere * self._steps_down_to(ward))

    @cached_property
    def _bed_days(self) -> Floats:
        flow, _ = self.forecast.first_contacts()
        return self.forecast.days_in_bed(self.forecast.with_those_sent_up(flow, flow))

    @property
    def _conditions(self) -> NDArray[np.void]:
        return np.asarray(self.tables.conditions[self.forecast.world])

    def _admits(self, ward: int) -> NDArray[np.bool_]:
        """Conditions whose patients a ward admits."""
        net, department = self.forecast.network, self.forecast.choice.department
        one = net.wards[ward]
        if one.kind == "joint":
            return np.asarray((net.joint_ward_at(self.day)[:, department] == ward).any(axis=0))
        where = net.intensive_at(self.day) if one.kind == "intensive" else net.ward_at(self.day)
        return np.asarray(where[one.facility, department] == ward)

    def _steps_down_to(self, ward: int) -> Floats:
        """Part of bed-days with each condition that might go on in a ward below."""
        one = self.forecast.network.wards[ward]
        allowed = [names is None or one.department in names for names in self.destinations]
        share = self._conditions["step_down"] * self._conditions["recovery"]
        return np.asarray(share * allowed if one.kind in BELOW else 0.0 * share)

    def _goes_on_to(self, ward: int, conditions: NDArray[np.uint8]) -> NDArray[np.int64]:
        net = self.forecast.network
        one = net.wards[ward]
        if one.kind != "intensive":
            return np.full(len(conditions), NONE)
        return np.asarray(net.ward_at(self.day)[one.facility, self.forecast.choice.department[conditions]])

    # ----------------------------------------------------------------------------------------------- a stay in progress

    def _put_in_progress(self, ward: int, stays: NDArray[np.void], left: Floats) -> None:
        """Of each stay, the share `left` of what is spent in this ward is still to come."""
        one, of = self.forecast.network.wards[ward], self._conditions[stays["condition"]]
        whole = self._inspected(stays, stays["minutes"], of["stay_minutes"], of["stay_sigma"], 0)
        below = one.kind in BELOW and not self._admits(ward).any()
        here = self._recovery(stays, whole, of) if below else whole
        if one.kind == "intensive":
            here = whole * of["intensive_part"]
            stays["intensive"] = here * left
        else:
            stays["intensive"] = 0.0
        gone = here * (1.0 - left)
        acute = np.where(np.isinf(stays["acute"]) | below, 0.0, whole * (1.0 - of["recovery"]) - gone)
        stays["minutes"] = (here if below else whole) - gone
        stays["acute"] = np.where(acute > 0.0, acute, np.inf)  # recovers here: it was decided before
        stays["operation"], stays["exam"], stays["day_case"] = 0, NONE, np.inf
        if below:
            stays["weight"] = stays["recovery_weight"]

    def _recovery(self, stays: NDArray[np.void], whole: Floats, of: NDArray[np.void]) -> Floats:
        """After a step down: its part of the stay, or by a law of its own."""
        own = self._inspected(stays, stays["recovery"], of["recovery_minutes"], of["recovery_sigma"], 1)
        return np.where(of["recovery_minutes"] > 0.0, own, whole * of["recovery"])

    def _inspected(self, stays: NDArray[np.void], lengths: Floats, mean: Floats, sigma: Floats, nth: int) -> Floats:
        """Lengths drawn in proportion to themselves instead: an exponential one is then two, a lognormal one longer by
        a factor."""
        if not self.tables.stay_exponential:
            return np.asarray(lengths * np.exp(sigma**2))
        key = np.ascontiguousarray(stays["key"])
        return np.asarray(lengths + mean * streams.exponential_table()[streams.cell(key, Purpose.LONGER, nth)])


def _which(weights: Floats, luck: Floats) -> NDArray[np.int64]:
    """The place in a list of weights, for numbers in (0, 1)."""
    sums = np.cumsum(weights)
    return np.searchsorted(sums, luck * sums[-1], side="right")
