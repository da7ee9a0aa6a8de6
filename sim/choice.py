"""Which door first: a nested logit over levels, then facilities within the level.

The level is chosen by Gumbel-max with one keyed number per level, so two scenarios that differ a little send almost all
patients through the same door; the facility within the level by one number on the table of the stratum. Utilities are
tables per stratum and condition, renewed on Mondays from perceived waits and whenever rules change.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from pydantic import model_validator

from sim import streams
from sim.care import ConditionSpec
from sim.citation import Cited, Count, Figure
from sim.kernels import kernel, table
from sim.network import EMERGENCY, STANDARD_CAPABILITY, Capacities, Level, Network
from sim.population import AGES
from sim.schema import Closed
from sim.streams import Floats, Purpose

DOORS = ("village_station", "clinic", "centre", "secondary", "tertiary", "outside")
"""The levels a patient chooses among; sub-centres stand beside the centres."""
DOOR_OF_LEVEL = np.array([0, 1, 2, 2, 3, 4, 5])
"""Door of each network level."""
GRASSROOTS_DOORS = (0, 1, 2)
HOSPITAL_DOORS = (3, 4, 5)
OUTSIDE_DOOR = 5
ALL_DOORS, ALL_GRASSROOTS = 0b111111, 0b000111
"""Doors as bits, the first one lowest."""
KINDS = ("minor", "chronic", "moderate", "severe", "emergency")
ALL_HOSPITALS = sum(1 << door for door in HOSPITAL_DOORS)
NEVER = -1e9

Shares = dict[str, dict[str, float]]


class ChoiceSpec(Closed):
    """How residents choose; money in yuan, time in minutes and days."""

    first_contact_urban: Cited[Shares]
    """Share of first contacts of the base year by door, for each kind of condition, in urban areas; a row sums to 1."""
    first_contact_rural: Cited[Shares]
    """The same in rural areas."""
    local_tilt: Figure
    """Log odds by which grassroots doors are chosen more often here than the shares say."""
    per_100_yuan: Figure
    """Utility lost per 100 yuan of cost, travel and waiting."""
    yuan_per_travel_hour: Figure
    """What an hour of travel is worth."""
    yuan_per_waiting_hour: Figure
    """What an hour in a waiting room is worth."""
    yuan_per_booking_day: Figure
    """What a day until the appointment is worth."""
    price: Cited[dict[str, float]]
    """Out-of-pocket price of a visit by door, yuan."""
    price_employee: Figure
    """What residents insured as employees pay of it."""
    yuan_if_able: Figure | None = None
    """What it is worth that a place can give the care needed, to somebody who does not know yet what that will be
    (0 when left out)."""
    contract_log_odds: Figure
    """Log odds that a contract in use adds to grassroots doors."""
    nest: Figure
    """Dissimilarity of facilities within a level (1 = no nest, towards 0 = perfect substitutes)."""
    books: Figure
    """Share of hospital patients who book rather than walk in."""
    booking_days: Count
    """Days ahead for which clinics open their slots."""
    booking_patience: Figure
    """Days a patient accepts to wait for an appointment."""
    no_show: Figure
    """Share of appointments to which the patient does not come."""
    doors_tried: Count
    """Doors a refused patient tries before giving up."""
    rechoice: Figure
    """Chance per year that a long-term patient chooses the usual place anew."""
    follows_advice: Figure
    """Share of patients sent up without the formal channel who go."""
    prefers_expert: Figure | None = None
    """Share of those who ask for an appointment at a hospital, in a department with an expert clinic, who ask there
    first; left out = 0."""
    collects_at_station: Figure | None = None
    """Share of visits to a centre for a prescription alone that go to the village station at home instead, where it is
    integrated with the township; left out = 0."""
    wait_half_life_weeks: Figure
    """Half-life of the memory of waits, weeks."""

    @model_validator(mode="after")
    def _complete(self) -> ChoiceSpec:
        problems = []
        for field in ("first_contact_urban", "first_contact_rural"):
            table = getattr(self, field).value
            sums = {k: sum(table[k].values()) for k in table}
            wrong = [k for k in table if abs(sums[k] - 1) > 1e-9]
            problems += [f"{field} > {k} sums to {sums[k]:g}; the shares of a row sum to 1" for k in wrong]
            problems += [f"{field} lacks {k}" for k in KINDS if k not in table]
            problems += [f"{field} names the kind {k}; welcome: {', '.join(KINDS)}" for k in table if k not in KINDS]
            unknown = [(k, d) for k in table for d in table[k] if d not in DOORS]
            problems += [f"{field} > {k} names the door {d}; welcome: {', '.join(DOORS)}" for k, d in unknown]
        if set(self.price.value) != set(DOORS):
            problems.append(f"price needs exactly the doors {', '.join(DOORS)}; found {', '.join(self.price.value)}")
        if problems:
            raise ValueError("; ".join(problems))
        return self


@dataclass
class PerceivedWaits:
    """What patients believe about waiting, per service point: renewed on Mondays from the past only."""

    decay: Floats
    """Weekly decay per replication, (W,)."""
    days_sum: Floats
    """(W, points)."""
    days_count: Floats
    minutes_sum: Floats
    minutes_count: Floats

    @classmethod
    def none(cls, worlds: int, points: int, half_life: Floats) -> PerceivedWaits:
        """Nobody has waited yet."""
        return cls(0.5 ** (1.0 / half_life), *(np.zeros((worlds, points)) for _ in range(4)))

    def renew(self, days: NDArray[Any], requests: NDArray[Any], minutes: NDArray[Any], visits: NDArray[Any]) -> None:
        """Add last week's totals (whole days and minutes, so the order of patients cannot matter)."""
        totals = (self.days_sum, self.days_count, self.minutes_sum, self.minutes_count)
        for total, new in zip(totals, (days, requests, minutes, visits), strict=True):
            total *= self.decay[:, None]
            total += new

    @property
    def days(self) -> Floats:
        """Mean days until the appointment, (W, points)."""
        return self.days_sum / np.maximum(self.days_count, 1e-9)

    @property
    def minutes(self) -> Floats:
        """Mean minutes in the waiting room, (W, points)."""
        return self.minutes_sum / np.maximum(self.minutes_count, 1e-9)


class Tables(NamedTuple):
    """What a patient's choice is read from, as kernels take it."""

    utility: Floats
    """(cells, doors); a cell is a replication, trait, contract and condition."""
    gumbel: Floats
    rows: NDArray[Any]
    """First entry and number of the facilities behind (replication, area, department column, door)."""
    ways: NDArray[Any]
    """Rows of `passed` (cumulative share of those behind the same door), `point` and, for even shares of the door's
    patients, `guess`: the first of its facilities that can be meant."""
    conditions: NDArray[Any]
    """Rows of department, column, is_emergency, prescription_only, rescue_centre (as a bit); (C,)."""
    traits: int


class Choice:
    """The tables of choice of all replications side by side."""

    def __init__(
        self,
        specs: list[ChoiceSpec],
        network: Network,
        capacities: list[Capacities],
        conditions: Sequence[ConditionSpec],
        beyond: Floats,
        weights: Floats,
    ) -> None:
        """`conditions`: in the order of the network's; of drawn figures, nothing of them is read here.

        `beyond`: of care.Care, shape (W, conditions, 3); `weights`: expected first contacts of the base year, shape
        (W, traits, contract, conditions).
        """
        self.specs, self.network, self.capacities = specs, network, capacities
        self.worlds = len(specs)
        self.kind = np.array([KINDS.index(c.kind) for c in conditions])
        """Kind of each condition."""
        self.department = np.array([network.departments.index(c.department) for c in conditions])
        """Department of each condition."""
        self.is_emergency = self.kind == KINDS.index(EMERGENCY)
        self.urban = np.array([network.spec.areas[a].urban for a in network.areas])
        self.traits = len(network.areas) * len(AGES) * 2
        self.books = self._each("books")
        self.patience_days = self._each("booking_patience")
        self.follows_advice = self._each("follows_advice")
        self.rechoice = self._each("rechoice")
        self.no_show = self._each("no_show")
        self.prefers_expert = np.array([s.prefers_expert.value if s.prefers_expert else 0.0 for s in specs])
        self.collects_at_station = np.array([c.value if (c := s.collects_at_station) else 0.0 for s in specs])
        self.days_ahead = np.array([s.booking_days.value for s in specs])
        self.doors_tried = np.array([s.doors_tried.value for s in specs])
        self.suits_tcm = np.array([c.suits_tcm for c in conditions])
        self.prescription_only = np.array([c.prescription_only for c in conditions])
        self.rescue_centre = np.array([c.rescue_bit() for c in conditions])
        self.tcm_halls = np.zeros(self.worlds)
        """Lever: yuan by which TCM halls make a grassroots visit worth more, for conditions that they suit."""
        stated = np.array([[s.price.value[d] for d in DOORS] for s in specs])
        self.asked = np.repeat(stated[:, None], len(self.urban), axis=1)
        """What residents pay for a visit, insured as such, yuan, (W, areas, doors); levers move it."""
        self.unreferred = np.zeros_like(self.asked)
        """Lever: what they pay more without a referral, emergencies excepted, in the same shape."""
        self.column = np.where(self.is_emergency, len(network.departments), self.department)
        """Column of the tables for each condition: its department, or the last for all emergencies."""
        everything = np.ones((self.worlds, len(self.kind), 2))
        self.enough = np.concatenate([1.0 - beyond, everything], axis=2)
        """Chance that a level of care (1 to 4; 5 as 4) suffices, (W, C, 5)."""
        self.needs = weights.sum(axis=(1, 2))
        """Expected first contacts of each condition, (W, C)."""
        self.options = self._options(self._more_able(0.0))
        self.stations = self._stations()
        self.gumbel = streams.gumbel_table()
        self.constants = self._fit(weights)
        """Utility of each door beside cost and travel: what the published shares leave to explain.

        Shape (W, areas, kinds, doors).
        """

    def _each(self, field: str) -> Floats:
        return np.array([getattr(s, field).value for s in self.specs])

    def _more_able(self, reach: Floats | float) -> Floats:
        """Utility of a facility that can give more (or less) of the care needed than is standard for its level.

        `reach`: chance that a need one level beyond it is met there all the same, (W, facilities, C); returns shape
        (W, facilities, columns).
        """
        net, conditions = self.network, np.arange(len(self.kind))
        given, standard = net.capability[:-1], np.array([STANDARD_CAPABILITY[f.level] for f in net.facilities])
        enough = self.enough[:, conditions, given - 1]
        more = enough - self.enough[:, conditions, standard[:, None] - 1]
        more = more + reach * (self.enough[:, conditions, given] - enough)
        of_column = np.eye(len(net.departments) + 1)[self.column]
        needs = self.needs
        mean = (more * needs[:, None, :]) @ of_column / np.maximum(needs @ of_column, 1e-300)[:, None, :]
        yuan = np.array([s.yuan_if_able.value if s.yuan_if_able else 0.0 for s in self.specs])
        return np.asarray((self._each("per_100_yuan") / 100.0 * yuan)[:, None, None] * mean)

    def know_capability(self, reach: Floats, feature: NDArray[np.int64]) -> None:
        """Residents know what places give more than in the base year.

        `reach`: (W, facilities, C); `feature`: the feature department of each facility, -1 = none, (W, facilities).
        """
        attracts = np.array([c.feature_attracts for c in self.capacities]) * self._each("per_100_yuan")[:, None] / 100.0
        columns = np.arange(len(self.network.departments) + 1)
        drawn_to = attracts[:, :, None] * (feature[:, :, None] == columns)
        self.options = self._options(self._more_able(reach) + drawn_to)

    def _options(self, more_able: Floats) -> list[tuple[list[int], int, NDArray[np.int64], Floats]]:
        """For each door and columns alike: the service points behind it and their fixed utility.

        Emergencies have a column of their own, the last.
        """
        net = self.network
        alike: dict[tuple[int, bytes, bytes], list[int]] = {}
        for column in range(len(net.departments) + 1):
            service = net.emergency_point if column == len(net.departments) else net.clinic_point[:, column]
            for door in range(1, OUTSIDE_DOOR):  # the village door leads to the home station
                there = np.where(DOOR_OF_LEVEL[net.level[:-1]] == door, service, -1)
                able = np.where(there >= 0, more_able[:, :, column], 0.0)
                alike.setdefault((door, there.astype(np.int64).tobytes(), able.tobytes()), []).append(column)
        found = []
        for (door, points, _), columns in alike.items():
            there = np.frombuffer(points, dtype=np.int64)
            facilities = np.flatnonzero(there >= 0)
            if len(facilities):
                fixed = self._fixed_utility(facilities) + more_able[:, None, facilities, columns[0]]
                found.append((columns, door, there[facilities], fixed))
        return found

    def _fit(self, weights: Floats) -> Floats:
        """Constants that reproduce the base year's shares of first contact at each replication's prices and distances.

        The fixed point of c <- c + log(wanted / simulated) (Berry, Levinsohn, Pakes 1995, doi 10.2307/2171802), with
        nobody waiting and no policy in force; a door without facilities stays closed and its share goes to the others.
        """
        doors, kinds = len(DOORS), len(KINDS)
        self.constants = np.zeros((self.worlds, len(self.urban), kinds, doors))
        self.renew(PerceivedWaits.none(self.worlds, len(self.network.points), np.ones(self.worlds)))
        free = self.utility.reshape(doors, self.worlds, self.traits, 2, len(self.kind))
        constants = np.zeros_like(self.constants)
        trait_area = np.arange(self.traits) // (len(AGES) * 2)
        for w, spec in enumerate(self.specs):
            for is_urban, cited in ((True, spec.first_contact_urban), (False, spec.first_contact_rural)):
                traits = np.flatnonzero(self.urban[trait_area] == is_urban)
                for k, kind in enumerate(KINDS):
                    here = np.flatnonzero(self.kind == k)
                    wanted = np.array([cited.value[kind].get(d, 0.0) for d in DOORS])
                    utility, weight = free[:, w][:, traits][..., here], weights[w][traits][..., here]
                    fitted = _constants(utility.reshape(doors, -1), weight.ravel(), wanted)
                    fitted[list(GRASSROOTS_DOORS)] += spec.local_tilt.value
                    constants[w, self.urban == is_urban, k] = fitted
        return constants

    def renew(self, waits: PerceivedWaits) -> None:
        """Recompute all tables from perceived waits."""
        net = self.network
        areas, shape = len(net.areas), (self.worlds, len(net.areas), len(net.departments) + 1, len(DOORS))
        logsum = np.full(shape, NEVER)
        cdf: list[Floats] = []
        points: list[NDArray[np.int64]] = []
        guesses: list[NDArray[np.int64]] = []
        self.row_first = np.zeros(shape, dtype=np.int64)
        self.row_size = np.zeros_like(self.row_first)
        used = 0
        waiting = self._waiting(waits)
        nest = self._each("nest")[:, None, None]
        for columns, door, service, fixed in self.options:
            value = fixed - waiting[:, None, service]  # (W, areas, facilities)
            odds = np.exp((value - value.max(axis=2, keepdims=True)) / nest)
            total = odds.sum(axis=2, keepdims=True)
            value_of_door = value.max(axis=2) + nest[:, :, 0] * np.log(total[:, :, 0])
            logsum[:, :, columns, door] = value_of_door[:, :, None]
            share = np.cumsum(odds / total, axis=2)
            share[:, :, -1] = 1.0
            n, rows = len(service), self.worlds * areas
            first = used + np.arange(rows).reshape(self.worlds, areas) * n
            self.row_first[:, :, columns, door] = first[:, :, None]
            self.row_size[:, :, columns, door] = n
            cdf.append(share.reshape(-1))
            even = np.arange(n) / n
            guesses.append((share[:, :, None, :] <= even[:, None]).sum(axis=3).reshape(-1))
            points.append(np.tile(service, rows))
            used += rows * n
        logsum[:, :, :-1, 0] = self._home_station(waiting)[:, :, None]
        self.cdf, self.cdf_points = np.concatenate([*cdf, [1.0]]), np.concatenate([*points, [-1]])
        self.cdf_guess = np.concatenate([*guesses, [0]]).astype(np.int64)
        self.utility = self._level_utility(logsum)

    def _fixed_utility(self, facilities: NDArray[np.int64]) -> Floats:
        """Utility of facilities where nobody waits, (W, areas, facilities)."""
        travel = np.array([c.travel[:, facilities] for c in self.capacities])
        hours = self._each("yuan_per_travel_hour")[:, None, None] * travel * (2.0 / 60.0)
        attraction = np.array([c.attraction[facilities] for c in self.capacities])[:, None, :]
        return np.asarray(attraction - self._each("per_100_yuan")[:, None, None] / 100.0 * hours)

    def _waiting(self, waits: PerceivedWaits) -> Floats:
        """Utility lost by perceived waits at each service point, (W, points)."""
        room = self._each("yuan_per_waiting_hour")[:, None] * waits.minutes / 60.0
        booking = self._each("yuan_per_booking_day")[:, None] * waits.days
        return np.asarray(self._each("per_100_yuan")[:, None] / 100.0 * (room + booking))

    def _home_station(self, waiting: Floats) -> Floats:
        """Mean utility of the stations of each area, (W, areas); never where an area has none."""
        net = self.network
        value = np.full((self.worlds, len(net.areas)), NEVER)
        for area, service, fixed in self.stations:
            value[:, area] = (fixed - waiting[:, service]).mean(axis=1)
        return value

    def _stations(self) -> list[tuple[int, NDArray[np.int64], Floats]]:
        """For each area: its stations' service points, and what they are worth where nobody waits, (W, stations)."""
        net, found = self.network, []
        for area in range(len(net.areas)):
            here = np.flatnonzero((net.level[:-1] == Level.village_station) & (net.area[:-1] == area))
            if len(here):
                found.append((area, net.clinic_point[here, 0], self._fixed_utility(here)[:, area]))
        return found

    def _level_utility(self, logsum: Floats) -> Floats:
        """Utility of each door, shape (doors, world x trait x contract x condition): a view by door of rows by cell."""
        by_condition = logsum[:, :, self.column, :]  # (W, areas, C, doors), a copy
        outside = np.array([c.travel[:, -1] for c in self.capacities])
        cost = self._each("yuan_per_travel_hour")[:, None] * outside * (2.0 / 60.0)
        by_condition[:, :, :, OUTSIDE_DOOR] = (-self._each("per_100_yuan")[:, None] / 100.0 * cost)[:, :, None]
        total = np.maximum(self.constants[:, :, self.kind, :] + by_condition, NEVER)
        halls = self._each("per_100_yuan") / 100.0 * self.tcm_halls
        total[:, :, self.suits_tcm, : len(GRASSROOTS_DOORS)] += halls[:, None, None, None]
        repeated = np.repeat(total, len(AGES) * 2, axis=1) - self._price(self.asked)[:, :, None, :]
        if self.unreferred.any():
            repeated[:, :, ~self.is_emergency] -= self._price(self.unreferred)[:, :, None, :]
        both = np.stack([repeated, repeated], axis=2)  # (W, traits, contract, C, doors)
        log_odds = self._each("contract_log_odds")[:, None, None, None]
        both[:, :, 1, :, : len(GRASSROOTS_DOORS)] += log_odds
        return both.reshape(-1, len(DOORS)).T

    def _price(self, yuan: Floats) -> Floats:
        """Utility of the price of each door, `yuan` (W, areas, doors), to everybody, (W, traits, doors)."""
        price = yuan * self._each("per_100_yuan")[:, None, None] / 100.0
        schemes = np.stack([price, price * self._each("price_employee")[:, None, None]], axis=2)
        return np.repeat(schemes[:, :, None], len(AGES), axis=2).reshape(self.worlds, self.traits, len(DOORS))

    def tables(self) -> Tables:
        """The tables now in force."""
        return Tables(
            self.utility.T, self.gumbel, table(first=self.row_first, size=self.row_size),
            table(passed=self.cdf, point=self.cdf_points, guess=self.cdf_guess),
            table(
                department=self.department, column=self.column, is_emergency=self.is_emergency,
                prescription_only=self.prescription_only, rescue_centre=self.rescue_centre,
            ),
            self.traits,
        )  # fmt: skip

    def habits(self) -> dict[str, NDArray[Any]]:
        """What people do whatever the place, shape (W,) each."""
        patience = self.patience_days
        return {
            "books": self.books,
            "patience_days": np.rint(patience).astype(np.int64),
            "patience_half_days": np.rint(2 * patience).astype(np.int64),
            "days_ahead": self.days_ahead,
            "no_show": self.no_show,
            "doors_tried": self.doors_tried,
            "rechoice": self.rechoice,
            "prefers_expert": self.prefers_expert,
            "collects_at_station": self.collects_at_station,
        }


@kernel
def cell_of(tables: Tables, world: int, trait: int, contracted: bool, condition: int) -> int:
    """Row of the utility table for somebody with a condition."""
    stratum = (world * tables.traits + trait) * 2 + int(contracted)
    return stratum * len(tables.conditions) + condition


@kernel
def best_door(utility: Any, gumbel: Any, key: np.uint64, allowed: int) -> int:
    """The best door by Gumbel-max among those whose bits are set in `allowed`; -1 = none.

    `utility`: of each door. The noise belongs to the episode, so a patient who has to try another door takes the next
    best one.
    """
    best, most, bits = -1, NEVER / 2, np.uint64(0)
    for door in range(len(DOORS)):
        if door & 3 == 0:  # four doors share a number
            bits = streams.bits_of(key, Purpose.DOOR_LEVEL, door >> 2)
        if allowed >> door & 1:
            value = utility[door] + gumbel[streams.quarter_of(bits, door)]
            if value > most:
                best, most = door, value
    return best


@kernel
def first_door(utility: Any, gumbel: Any, key: np.uint64, adherence: float) -> int:
    """Primary first contact by persuasion: who adheres starts at the best grassroots door."""
    door = best_door(utility, gumbel, key, ALL_DOORS)
    if door < HOSPITAL_DOORS[0] or streams.uniform_of(key, Purpose.ADHERENCE, 0) >= adherence:
        return door
    near = best_door(utility, gumbel, key, ALL_GRASSROOTS)
    return near if near >= 0 else door


@kernel
def point_behind(tables: Tables, key: np.uint64, door: int, world: int, column: int, area: int, station: int) -> int:
    """Service point within the door (index inside one replication); -1 outside the area.

    `column`: of the condition; the home station (-1 = none) serves the village door.
    """
    if door == OUTSIDE_DOOR:
        return -1
    if door == 0 and station >= 0:
        return station
    row = tables.rows[world, area, column, door]
    if row["size"] == 0:
        return -1
    u = streams.uniform_of(key, Purpose.DOOR_FACILITY, door)
    first, last = row["first"], row["first"] + row["size"] - 1
    way = first + tables.ways[first + int(u * row["size"])]["guess"]
    while way < last and tables.ways[way]["passed"] <= u:
        way += 1
    return tables.ways[way]["point"]


def _constants(utility: Floats, weight: Floats, wanted: Floats) -> Floats:
    """Constants under which the weighted mean of the logit shares is as wanted; `utility` has shape (doors, strata)."""
    open_doors = (wanted > 0) & np.any((utility > NEVER / 2) & (weight > 0), axis=1)
    fitted = np.where(open_doors, 0.0, NEVER)
    if not open_doors.any() or weight.sum() <= 0:
        return fitted
    wanted = np.where(open_doors, wanted, 0.0) / wanted[open_doors].sum()
    for _ in range(200):
        value = np.maximum(utility + fitted[:, None], NEVER)
        odds = np.exp(value - value.max(axis=0))
        share = (odds / odds.sum(axis=0)) @ (weight / weight.sum())
        step = np.log(wanted[open_doors] / np.maximum(share[open_doors], 1e-300))
        fitted[open_doors] += step
        if np.abs(step).max() < 1e-6:
            break
    fitted[open_doors] -= fitted[open_doors].mean()
    return fitted
