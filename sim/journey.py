"""A patient on the move: the door, the appointment, the visit, what comes of it, the bed.

One window at a time. Within a half-day the layers follow each other (R3): stations and clinics, centres, hospitals, the
lead hospital, emergency departments; who is sent on to a later layer and gets there in time is seen in the same
half-day, every other move joins the next window with its true time. Decisions are taken in the rooms below; here they
are put in order.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from sim import contacts, referral, streams
from sim.beds import EMERGENCY as BY_EMERGENCY
from sim.care import Care
from sim.choice import DOOR_OF_LEVEL, DOORS, HOSPITAL_DOORS, OUTSIDE_DOOR, Choice, PerceivedWaits
from sim.contacts import (
    HELD_SLOT,
    NEED,
    OTHER,
    REFERRED,
    REFERRED_CONTRACTED,
    REQUEST,
    VISIT,
    WALK_IN,
    Diary,
    Rows,
    join,
    take,
)
from sim.demand import Panel
from sim.network import EMERGENCY_LAYER, GRASSROOTS, LAYERS, Network
from sim.population import Population
from sim.records import EMERGENCY_VISIT, MOST_DAYS, OUTPATIENT, Ledger
from sim.referral import UpRules
from sim.sessions import Seen, WaitingRooms, priority_of
from sim.slots import SlotBook
from sim.streams import Floats, Purpose
from sim.timetable import DAY, HALF_DAY, Timetable

UP = 0
FORMAL_CHANNEL, SELF_CHANNEL = 0, 1
COMPLETED, DECLINED, LAPSED = range(3)
MOST_VISITS = 12
"""Visits of one episode after which nobody is asked back (the counter of visits per level has four bits)."""


@dataclass
class RulesInForce:
    """The levers of all replications today, as the journey reads them."""

    adherence: Floats
    priority: NDArray[np.bool_]
    up: UpRules
    contracted: NDArray[np.bool_]
    """(W, residents + 1): the last column stands for non-residents."""
    slot_share: Callable[[int], list[Fraction]]
    """Quota of slots on a day of the run, per replication."""
    release_days: NDArray[np.int64]


class Result(NamedTuple):
    """The visits of one layer and what came of them; all arrays are parallel."""

    rows: Rows
    facility: NDArray[np.int64]
    ward: NDArray[np.int64]
    begin: Floats
    end: Floats
    visit: streams.Keys
    outcome: NDArray[np.int64]
    emergency: NDArray[np.bool_]


def _up_again(rows: Rows, who: NDArray[np.int64]) -> Rows:
    """Patients who leave a service point for the next: nothing of this visit sticks to them."""
    moved = take(rows, who)
    moved["stage"] = moved["begun"] = 0
    return moved


class Journey:
    """Everybody who is on the way in one batch of replications."""

    def __init__(
        self, network: Network, population: Population, timetable: Timetable, care: Care, choice: Choice,
        waits: PerceivedWaits, rooms: WaitingRooms, book: SlotBook, extra: NDArray[np.int64], panel: Panel,
        ledger: Ledger, travel: Floats,
    ) -> None:  # fmt: skip
        self.network, self.population, self.timetable = network, population, timetable
        self.care, self.choice, self.waits = care, choice, waits
        self.rooms, self.book, self.panel, self.ledger = rooms, book, panel, ledger
        self.points = len(network.points)
        self.worlds = len(travel)
        self.diary = Diary(timetable.windows, timetable.window)
        self.rules: RulesInForce
        self.ask_for_bed: Callable[[Rows, NDArray[np.int64], NDArray[np.int64], Floats], None]
        self.stay_outside: Callable[[Rows, Floats], None]
        self.requests: list[Rows] = []
        self.results: list[Result] = []
        self.travel = travel
        """Minutes from area to facility, (W, areas, facilities + 1)."""
        self.full_extra = extra
        self.extra_left = np.zeros(len(book.bookable), dtype=np.int64)
        self._know_the_place()
        self._start_week()

    def _know_the_place(self) -> None:
        """Lookups that do not change: residents as columns (the last entry: non-residents), points, hospitals."""
        pop, net = self.population, self.network
        self.area = np.append(pop.area, 0).astype(np.int64)
        self.trait = np.append(pop.trait, 0).astype(np.int64)
        self.station = np.append(pop.station, -1).astype(np.int64)
        self.facility = net.point_facility
        self.layer = net.point_layer
        self.bookable = net.point_bookable
        self.is_grassroots = np.isin(net.level, GRASSROOTS)
        # a formal channel leads up from every institution of a group but its lead hospital
        self.has_channel = (net.group >= 0) & ~net.is_lead
        self.lead = np.where(net.group >= 0, np.append(net.lead_of_group, -1)[net.group], -1)
        leads = net.lead_of_group if len(net.groups) else np.array([], dtype=np.int64)
        self.first_lead = int(leads[0]) if len(leads) else -1
        self.members = self._hospitals_of_groups()

    def _hospitals_of_groups(self) -> NDArray[np.int64]:
        """A member hospital (not the lead) able to give secondary care for (group, condition), -1 = none."""
        net, department = self.network, self.choice.department
        table = np.full((len(net.groups) + 1, len(net.conditions)), -1, dtype=np.int64)
        for f in range(net.outside):
            if net.group[f] < 0 or net.is_lead[f] or net.level[f] < 4:
                continue
            able = (net.capability[f] >= 3) & (net.clinic_point[f, department] >= 0) & (net.ward_at[f, department] >= 0)
            better = able & (table[net.group[f]] < 0)
            table[net.group[f], better] = f
        return table

    def _start_week(self) -> None:
        week = np.zeros((4, self.worlds * self.points), dtype=np.int64)
        self.week_days, self.week_requests, self.week_minutes, self.week_visits = week

    def renew_choice(self) -> None:
        """Monday 00:00: what people believe about waiting takes in the week that has passed (R14)."""
        week = (self.week_days, self.week_requests, self.week_minutes, self.week_visits)
        self.waits.renew(*(x.reshape(self.worlds, self.points) for x in week))
        self._start_week()
        self.choice.renew(self.waits)

    # ---------------------------------------------------------------- one window

    def open_window(self, number: int, needs: Rows) -> None:
        """Everything that happens at open service points in one window."""
        self.number, self.end = number, (number + 1) * self.timetable.window
        due = join([needs, self.diary.due(number)])
        kind = due["kind"]
        here: list[list[Rows]] = [[] for _ in range(LAYERS)]
        self._arrive(take(due, np.flatnonzero(kind == VISIT)), here, -1)
        self.requests.append(take(due, np.flatnonzero(kind == REQUEST)))
        self._first_doors(take(due, np.flatnonzero(kind == NEED)), here)
        for layer in range(LAYERS):
            rows = self._admit_walk_ins(join(here[layer]), layer)
            if not len(rows):
                continue
            priority = priority_of(rows, self.care, layer >= EMERGENCY_LAYER, self.rules.priority)
            seen = self.rooms.see(rows, priority, self.end)
            self.diary.hand_on(seen.carried, number + 1)
            self._after(seen, layer, here)
        self._written_down()
        if self.end % HALF_DAY == 0:
            self._settle()

    def _arrive(self, rows: Rows, here: list[list[Rows]], from_layer: int) -> None:
        """Visitors of this window go to the layer of their service point; later ones, and those sent back, wait."""
        if not len(rows):
            return
        layer = self.layer[rows["point"] % self.points]
        in_the_building = rows["stage"] == contacts.SECOND_LOOK
        now = ((rows["time"] < self.end) | in_the_building) & (layer > from_layer)
        self.diary.push(take(rows, np.flatnonzero(~now)), self.number + 1)
        for x in range(from_layer + 1, LAYERS):
            pick = np.flatnonzero(now & (layer == x))
            if len(pick):
                here[x].append(take(rows, pick))

    # ---------------------------------------------------------------- doors

    def _first_doors(self, rows: Rows, here: list[list[Rows]]) -> None:
        """Needs find a door: inflow the one declared, long-term patients their usual place, the others choose."""
        if not len(rows):
            return
        self._count_needs(rows, needs=rows["doors"] == 0)
        self._send(rows, self._doors(rows), here, -1)

    def _count_needs(self, rows: Rows, **amounts: Any) -> None:
        month = self.ledger.month(rows["time"])
        at = self.ledger.needs.index(rows["world"], month, rows["condition"], rows["person"] >= 0)
        self.ledger.needs.add(at, **amounts)

    def _doors(self, rows: Rows) -> NDArray[np.int64]:
        """The facility's service point inside a replication, or -1 outside the area."""
        point = self._usual(rows)
        declared = np.flatnonzero((rows["person"] < 0) & (rows["origin"] >= 0))
        if len(declared):
            inflow = take(rows, declared)
            point[declared] = self._point_of(inflow, inflow["origin"].astype(np.int64))
        choosing = point < 0
        choosing[declared] = False
        free = np.flatnonzero(choosing)
        if len(free):
            chosen = take(rows, free)
            point[free] = self._choose(chosen, None)
            self._remember_usual(chosen, point[free])
        rows["origin"][declared] = -1
        return point

    def _choose(self, rows: Rows, allowed: NDArray[np.bool_] | None) -> NDArray[np.int64]:
        """Door by the tables, with persuasion where nothing restricts the choice; then the facility."""
        person = rows["person"]
        world = rows["world"].astype(np.int64)
        cell = self.choice.cell(rows, self.trait[person], self.rules.contracted[world, person])
        free = allowed is None
        if free and rows["doors"].any():
            allowed = self._untried(rows)
        door = self.choice.door(rows, cell, allowed)
        if free:
            door = self.choice.persuaded(rows, cell, door, self.rules.adherence)
        door = np.where(door < 0, OUTSIDE_DOOR, door)
        return self.choice.point(rows, door, self.area[person], self.station[person])

    def _untried(self, rows: Rows) -> NDArray[np.bool_]:
        """All doors but that of the facility that could not help."""
        allowed = np.ones((len(rows), len(DOORS)), dtype=bool)
        tried = np.flatnonzero((rows["doors"] > 0) & (rows["origin"] >= 0))
        allowed[tried, DOOR_OF_LEVEL[self.network.level[rows["origin"][tried]]]] = False
        return allowed

    def _usual(self, rows: Rows) -> NDArray[np.int64]:
        """Usual place of long-term patients, -1 where it is to be chosen: at first, and when re-choice falls due."""
        usual, panel = np.full(len(rows), -1), self.panel
        pick = np.flatnonzero((rows["panel"] >= 0) & (rows["doors"] == 0))
        if len(pick):
            who = rows["panel"][pick]
            year = (rows["time"][pick] // (365 * DAY)).astype(np.int64)
            luck = streams.uniform(panel.key[who], Purpose.RECHOICE, year)
            falls_due = luck < self.choice.rechoice[rows["world"][pick]]
            usual[pick] = np.where((panel.chosen_in[who] != year) & falls_due, -1, panel.usual[who])
            panel.chosen_in[who] = year
        return usual

    def _remember_usual(self, rows: Rows, point: NDArray[np.int64]) -> None:
        pick = np.flatnonzero((rows["panel"] >= 0) & (rows["doors"] == 0) & (point >= 0))
        self.panel.usual[rows["panel"][pick]] = point[pick]

    def _point_of(self, rows: Rows, facility: NDArray[np.int64]) -> NDArray[np.int64]:
        """The service point of a facility that takes a contact's condition."""
        condition = rows["condition"]
        clinic = self.network.clinic_point[facility, self.choice.department[condition]]
        emergency = self.network.emergency_point[facility]
        urgent = self.choice.is_emergency[condition] & (emergency >= 0)
        return np.where(urgent | (clinic < 0), emergency, clinic)

    def _send(self, rows: Rows, point: NDArray[np.int64], here: list[list[Rows]] | None, from_layer: int) -> None:
        """Through the door: outside at once, by appointment, or to the waiting room."""
        outside = point < 0
        if outside.any():
            self._outside(take(rows, np.flatnonzero(outside)))
            inside = np.flatnonzero(~outside)
            rows, point = take(rows, inside), point[inside]
        if not len(rows):
            return
        world = rows["world"].astype(np.int64)
        rows["point"] = world * self.points + point
        luck = streams.uniform(rows["key"], Purpose.DOOR_BOOKS, self.network.point_number[point])
        books = luck < self.choice.books[world]
        books = self.bookable[point] & (books | (rows["chronic"] == 1) | (rows["cls"] < OTHER) | (rows["doors"] > 0))
        self._request(take(rows, np.flatnonzero(books)))
        walk = np.flatnonzero(~books)
        if len(walk):
            self._walk(take(rows, walk), point[walk], here, from_layer)

    def _request(self, rows: Rows) -> None:
        """Ask for an appointment from the minute of `time`; those of a later window wait in the diary."""
        if not len(rows):
            return
        rows["kind"], rows["wanted"] = REQUEST, rows["time"]
        now = rows["time"] < self.end
        self.requests.append(take(rows, np.flatnonzero(now)))
        self.diary.push(take(rows, np.flatnonzero(~now)), self.number + 1)

    def _walk(self, rows: Rows, point: NDArray[np.int64], here: list[list[Rows]] | None, from_layer: int) -> None:
        """Present at once or after the next opening; who does not go to a higher layer joins the next window (R3)."""
        back = self.layer[point] <= from_layer
        rows["time"] = np.where(back, np.maximum(rows["time"], self.end), rows["time"])
        late = streams.uniform(rows["key"], Purpose.PUNCTUALITY)
        rows["time"] = self.rooms.openings.present_from(self.rooms.pattern[point], rows["time"], late)
        rows["kind"], rows["entry"] = VISIT, WALK_IN
        if here is None:
            self.diary.push(rows, self.number + 1)
        else:
            self._arrive(rows, here, from_layer)

    def _outside(self, rows: Rows) -> None:
        """Care outside the area: no queue here, the visit and the stay are written down."""
        world, cls = rows["world"].astype(np.int64), rows["cls"].astype(np.int64)
        outside = np.full(len(rows), self.network.outside)
        kind = np.where(self.choice.is_emergency[rows["condition"]], EMERGENCY_VISIT, OUTPATIENT)
        resident = (rows["person"] >= 0).astype(np.int64)
        at_once, nobody = np.zeros(len(rows)), np.zeros(len(rows), dtype=bool)
        self.ledger.add_visits(world, rows["time"], outside, resident, kind, cls, at_once, nobody)
        admitted = np.flatnonzero(rows["admit"] == 1)
        if len(admitted):
            self.stay_outside(take(rows, admitted), rows["time"][admitted])

    # ---------------------------------------------------------------- walk-ins and visits

    def _admit_walk_ins(self, rows: Rows, layer: int) -> Rows:
        """In a bookable clinic a walk-in takes what is free, then an extra place, then asks for an appointment (R6)."""
        if not len(rows) or layer >= EMERGENCY_LAYER:
            return rows
        place = rows["point"] % self.points
        walk = np.flatnonzero((rows["entry"] == WALK_IN) & self.bookable[place] & (rows["stage"] == 0))
        if not len(walk):
            return rows
        walk = walk[np.lexsort((rows["key"][walk], rows["time"][walk]))]
        row = self.book.row_of[rows["point"][walk]]
        how = self.book.admit_walk_ins(row, self.extra_left)
        rows["entry"][walk] = how
        world, facility, cls = rows["world"][walk], self.facility[place[walk]], rows["cls"][walk]
        month = self.ledger.month(rows["time"][walk])
        at = self.ledger.bookings.index(world, month, facility, cls)
        self.ledger.bookings.add(at, walk_in=how == contacts.OPEN_SLOT, extra=how == contacts.EXTRA)
        gone = how == WALK_IN
        away = walk[gone]
        if not len(away):
            return rows
        turned = take(rows, away)
        resident = turned["person"] >= 0
        at = self.ledger.visits.index(world[gone], month[gone], facility[gone], resident, OUTPATIENT, cls[gone])
        self.ledger.visits.add(at, turned_away=1)
        self._request(turned)
        keep = np.ones(len(rows), dtype=bool)
        keep[away] = False
        return take(rows, np.flatnonzero(keep))

    def _after(self, seen: Seen, layer: int, here: list[list[Rows]]) -> None:
        """What comes of the visits of one layer.

        Who may still reach a later layer today moves at once; the rest waits for `_written_down`.
        """
        rows = seen.rows
        if not len(rows):
            return
        facility = self.facility[rows["point"] % self.points]
        world, condition = rows["world"].astype(np.int64), rows["condition"]
        bit = np.uint32(1) << (4 * self.network.level[facility]).astype(np.uint32)
        rows["seen"] += np.where(seen.left, np.uint32(0), bit)
        ward = self.network.ward_at[facility, self.choice.department[condition]]
        too_much = rows["need"] > self.network.capability[facility, condition]
        beyond = (too_much | ((rows["admit"] == 1) & (ward < 0))) & ~seen.left
        emergency = layer >= EMERGENCY_LAYER
        if emergency:
            outcome = np.where(beyond, referral.TRANSFERRED, referral.TREATED)
            moved = np.flatnonzero(beyond)
            self._transfer_emergencies(_up_again(rows, moved), facility[moved], seen.end[moved], here, layer)
        else:
            formal_possible = self.has_channel[facility] & (rows["person"] >= 0)
            outcome = referral.up(self.rules.up, seen.visit, world, beyond, formal_possible)
            self._go_up(rows, facility, seen.end, seen.visit, outcome, here, layer)
        outcome[seen.left] = referral.LEFT
        where = np.full(len(rows), emergency)
        self.results.append(Result(rows, facility, ward, seen.begin, seen.end, seen.visit, outcome, where))

    def _written_down(self) -> None:
        """The visits of all layers of the window: written down; then beds, follow-ups and those who left."""
        if not self.results:
            return
        parts, self.results = self.results, []
        rows = join([r.rows for r in parts])
        columns = list(zip(*parts, strict=True))[1:]
        facility, ward, begin, end, visit, outcome, emergency = map(np.concatenate, columns)
        left = outcome == referral.LEFT
        self._write_visits(rows, facility, begin, end, left, emergency)
        self._those_who_left(take(rows, np.flatnonzero(left)))
        self._complete_referrals(rows, facility, ~left)
        rows["stage"] = rows["begun"] = 0
        treated, planned = outcome == referral.TREATED, rows["admit"] == 1
        admitted = np.flatnonzero(treated & planned)
        if len(admitted):
            entry = np.where(emergency[admitted], BY_EMERGENCY, rows["cls"][admitted].astype(np.int64) + 1)
            self.ask_for_bed(take(rows, admitted), ward[admitted], entry, end[admitted])
        here = (treated | (outcome == referral.STAYS)) & ~planned & ~emergency
        self._follow_up(rows, visit, end, np.flatnonzero(here))

    def _write_visits(
        self,
        rows: Rows,
        facility: NDArray[np.int64],
        begin: Floats,
        end: Floats,
        left: NDArray[np.bool_],
        emergency: NDArray[np.bool_],
    ) -> None:
        world, cls = rows["world"].astype(np.int64), rows["cls"].astype(np.int64)
        kind = np.where(emergency, EMERGENCY_VISIT, OUTPATIENT)
        place = np.where((rows["stage"] == contacts.SECOND_LOOK) & ~left, rows["wanted"], rows["time"])
        wait = np.where(left, end, begin) - place
        self.ledger.add_visits(world, place, facility, (rows["person"] >= 0).astype(np.int64), kind, cls, wait, left)
        np.add.at(self.week_minutes, rows["point"], np.rint(wait).astype(np.int64))
        np.add.at(self.week_visits, rows["point"], 1)
        if self.ledger.rows is not None:
            columns = {name: rows[name].copy() for name in ("person", "condition")}
            self.ledger.keep(
                "visits", world=world, episode=rows["key"].copy(), **columns, facility=facility,
                point=rows["point"] % self.points, kind=kind, cls=cls, entry=rows["entry"].astype(np.int64),
                time=place, begin=np.where(left, np.nan, begin), end=end, left=left,
            )  # fmt: skip

    def _those_who_left(self, rows: Rows) -> None:
        """Who left the waiting room comes back another day through another door, or gives up."""
        if len(rows):
            rows["stage"] = 0
            rows["time"] += DAY
            self._another_day(rows)

    def _another_day(self, rows: Rows) -> None:
        """One more door while there is patience, otherwise the need stays unmet."""
        rows["origin"] = self.facility[rows["point"] % self.points]
        rows["doors"] += 1
        again = (rows["doors"] < self.choice.doors_tried[rows["world"]]) & (rows["person"] >= 0)
        self._give_up(take(rows, np.flatnonzero(~again)))
        rows = take(rows, np.flatnonzero(again))
        rows["kind"] = NEED
        self.diary.push(rows, self.number + 1)

    def _give_up(self, rows: Rows) -> None:
        if len(rows):
            self._count_needs(rows, unmet=1)

    def _follow_up(self, rows: Rows, visit: streams.Keys, end: Floats, who: NDArray[np.int64]) -> None:
        """Some of those treated are asked back to the same place."""
        world, condition = rows["world"][who].astype(np.int64), rows["condition"][who]
        asked = streams.uniform(visit[who], Purpose.FOLLOW_UP) < self.care.follow_up[world, condition]
        visits = sum((rows["seen"][who] >> np.uint32(4 * x)) & np.uint32(15) for x in range(6))
        who = who[asked & (visits < MOST_VISITS)]
        if not len(who):
            return
        back = take(rows, who)
        spread = 0.8 + 0.4 * streams.uniform(visit[who], Purpose.FOLLOW_UP_TIME)
        day = self.care.follow_up_minutes[back["world"], back["condition"]] * spread
        back["time"] = end[who] + day
        back["origin"] = -1
        bookable = self.bookable[back["point"] % self.points]
        self._request(take(back, np.flatnonzero(bookable)))
        walk = take(back, np.flatnonzero(~bookable))
        if len(walk):
            self._walk(walk, walk["point"] % self.points, None, LAYERS)

    # ---------------------------------------------------------------- referral

    def _complete_referrals(self, rows: Rows, facility: NDArray[np.int64], came: NDArray[np.bool_]) -> None:
        """A referred patient who is seen completes the referral."""
        arrived = np.flatnonzero(came & (rows["origin"] >= 0) & (rows["doors"] == 0))
        if len(arrived):
            channel = np.where(rows["cls"][arrived] < OTHER, FORMAL_CHANNEL, SELF_CHANNEL)
            origin = rows["origin"][arrived].astype(np.int64)
            self._write_referrals(take(rows, arrived), origin, facility[arrived], channel, COMPLETED)
        rows["origin"] = -1

    def _lose_referrals(self, rows: Rows) -> None:
        """Referrals that end before the patient is seen: no place within patience, or the patient did not come."""
        sent = np.flatnonzero((rows["origin"] >= 0) & (rows["doors"] == 0))
        if len(sent):
            lost = take(rows, sent)
            channel = np.where(lost["cls"] < OTHER, FORMAL_CHANNEL, SELF_CHANNEL)
            to = self.facility[lost["point"] % self.points]
            self._write_referrals(lost, lost["origin"].astype(np.int64), to, channel, LAPSED)

    def _write_referrals(
        self, rows: Rows, origin: NDArray[np.int64], to: NDArray[np.int64], channel: Any, status: int
    ) -> None:
        world, level = rows["world"].astype(np.int64), self.network.level[origin]
        at = self.ledger.referrals.index(world, self.ledger.month(rows["time"]), UP, channel, level, to, status)
        self.ledger.referrals.add(at, referrals=1)
        if self.ledger.rows is not None:
            columns = {name: rows[name].copy() for name in ("person", "condition", "time")}
            up = np.full(len(rows), UP)
            self.ledger.keep(
                "referrals", world=world, episode=rows["key"].copy(), **columns, direction=up, channel=up + channel,
                from_facility=origin, to_facility=to, status=np.full(len(rows), status),
            )  # fmt: skip

    def _go_up(
        self,
        rows: Rows,
        facility: NDArray[np.int64],
        end: Floats,
        visit: streams.Keys,
        outcome: NDArray[np.int64],
        here: list[list[Rows]],
        layer: int,
    ) -> None:
        """Formal referral, refusal and lapse, and those who go up by themselves."""
        formal = np.flatnonzero(outcome == referral.FORMAL)
        if len(formal):
            self._refer(_up_again(rows, formal), facility[formal], end[formal], visit[formal], here, layer)
        for outcome_number, status in ((referral.DECLINED, DECLINED), (referral.LAPSED, LAPSED)):
            who = np.flatnonzero(outcome == outcome_number)
            if len(who):
                moved = take(rows, who)
                self._write_referrals(moved, facility[who], self.lead[facility[who]], FORMAL_CHANNEL, status)
        alone = np.flatnonzero((outcome == referral.SELF) | (outcome == referral.DECLINED))
        if len(alone):
            self._go_alone(_up_again(rows, alone), facility[alone], end[alone], here, layer)

    def _refer(
        self,
        rows: Rows,
        facility: NDArray[np.int64],
        end: Floats,
        visit: streams.Keys,
        here: list[list[Rows]],
        layer: int,
    ) -> None:
        """The platform, after its delay, asks the receiving hospital for an appointment; the patient is on the way."""
        world = rows["world"].astype(np.int64)
        member = self.members[self.network.group[facility], rows["condition"]]
        to_member = (rows["need"] <= 3) & (member >= 0) & (member != facility)
        to_member &= streams.uniform(visit, Purpose.UP_CHOICE) >= self.rules.up.to_lead[world]
        target = np.where(to_member, member, self.lead[facility])
        rows["cls"] = np.where(self.rules.contracted[world, rows["person"]], REFERRED_CONTRACTED, REFERRED)
        rows["origin"], rows["doors"] = facility, 0
        travel = self.travel[world, self.area[rows["person"]], target]
        rows["time"] = end + np.maximum(self.rules.up.delay_days[world] * DAY, travel)
        self._send(rows, self._point_of(rows, target), here, layer)

    def _go_alone(
        self, rows: Rows, facility: NDArray[np.int64], end: Floats, here: list[list[Rows]], layer: int
    ) -> None:
        """Self-referral: the patient chooses a hospital able to help, today if it is still open."""
        allowed = np.zeros((len(rows), len(DOORS)), dtype=bool)
        allowed[:, list(HOSPITAL_DOORS)] = True
        allowed[rows["need"] > 3, HOSPITAL_DOORS[0]] = False
        rows["doors"] = 0
        point = self._choose(rows, allowed)
        inside = np.flatnonzero(point >= 0)
        target = self.facility[point[inside]]
        going = take(rows, inside)
        instead = np.where(target == self.first_lead, -1, self.first_lead)
        lead = np.maximum(instead, 0)
        lead_able = (instead >= 0) & self._able(going, lead)
        fallback = np.where(lead_able, self._point_of(going, lead), -1)
        point[inside] = np.where(self._able(going, target), point[inside], fallback)
        target = np.where(point >= 0, self.facility[point], self.network.outside)
        rows["origin"] = facility
        rows["time"] = end + self.travel[rows["world"], self.area[rows["person"]], target]
        gone = np.flatnonzero(point < 0)
        if len(gone):
            moved = take(rows, gone)
            self._write_referrals(moved, facility[gone], target[gone], SELF_CHANNEL, COMPLETED)
        self._send(rows, point, here, layer)

    def _able(self, rows: Rows, facility: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Whether a facility can give what an episode needs, the bed included."""
        condition = rows["condition"]
        ward = self.network.ward_at[facility, self.choice.department[condition]]
        capable = self.network.capability[facility, condition] >= rows["need"]
        return np.asarray(capable & ((rows["admit"] == 0) | (ward >= 0)))

    def _transfer_emergencies(
        self, rows: Rows, facility: NDArray[np.int64], end: Floats, here: list[list[Rows]], layer: int
    ) -> None:
        """An emergency beyond the department goes on to the lead hospital's, or out of the area."""
        if not len(rows):
            return
        lead = np.full(len(rows), self.first_lead)
        possible = (lead >= 0) & (facility != lead)
        possible &= np.asarray(self.network.emergency_point)[np.maximum(lead, 0)] >= 0
        rows["time"], rows["origin"] = end, facility
        self._outside(take(rows, np.flatnonzero(~possible)))
        moved = np.flatnonzero(possible)
        if len(moved):
            onward = take(rows, moved)
            onward["time"] += self.travel[onward["world"], self.area[onward["person"]], self.first_lead]
            self._send(onward, self.network.emergency_point[lead[moved]], here, layer)

    # ---------------------------------------------------------------- appointments

    def open_books(self) -> None:
        """Before the first window: the book of every half-day within the booking horizon."""
        for h in range(self.book.columns):
            self.book.offer(h, self.rules.slot_share(h // 2))
        self._open_extra()

    def _open_extra(self) -> None:
        size = self.book.openings.size[self.book.pattern, self.book.first]
        self.extra_left = np.rint(self.full_extra[self.book.bookable] * size).astype(np.int64)

    def release_slots(self, day: int) -> None:
        """00:00: held slots of the days that have come near enough are open to all from now on."""
        for ahead in range(int(self.rules.release_days.max()) + 1):
            which = self.rules.release_days >= ahead
            for half in (0, 1):
                h = 2 * (day + ahead) + half
                if h < self.book.first + self.book.columns:
                    released = self.book.release(h, which)
                    self._write_slots(np.full(len(released), h * HALF_DAY), released=released)

    def _write_slots(self, minute: Floats, **amounts: NDArray[np.int64]) -> None:
        in_time = np.flatnonzero(minute < self.timetable.horizon)
        world, point = np.divmod(self.book.bookable[in_time], self.points)
        at = self.ledger.slots.index(world, self.ledger.month(minute[in_time]), point)
        self.ledger.slots.add(at, **{k: v[in_time] for k, v in amounts.items()})

    def _settle(self) -> None:
        """End of a half-day: requests are settled by class, minute, episode, first doors before next doors (R5)."""
        self._close_half_day()
        rows, self.requests = join(self.requests), []
        while len(rows):
            rows = self._one_round(rows)

    def _close_half_day(self) -> None:
        half = self.book.first
        ledger = self.book.close()
        minute = np.full(len(self.book.bookable), half * HALF_DAY)
        self._write_slots(minute, offered=ledger["offered"], held=ledger["held"], used_open=ledger["used_open"])
        last = self.book.first + self.book.columns - 1
        self.book.offer(last, self.rules.slot_share(last // 2))
        self._open_extra()

    def _one_round(self, rows: Rows) -> Rows:
        """Settle requests once; returns those of refused patients who ask at another hospital."""
        world = rows["world"].astype(np.int64)
        rank = np.where(self.rules.priority[world], rows["cls"], OTHER)
        rows = take(rows, np.lexsort((rows["key"], rows["time"], rank)))
        world = rows["world"].astype(np.int64)
        row = self.book.row_of[rows["point"]]
        wanted = (rows["wanted"] // HALF_DAY).astype(np.int64)
        earliest = np.maximum(self.book.first, wanted)
        patience = np.rint(2 * self.choice.patience_days[world]).astype(np.int64)
        latest = np.minimum(self.book.first + 2 * self.book.days_ahead[world], earliest + patience)
        session, how = self.book.settle(row, self._entitled(rows), earliest, latest)
        granted = session >= 0
        self._write_requests(rows, session, how, granted)
        got = np.flatnonzero(granted)
        if len(got):
            self._appoint(take(rows, got), row[got], session[got], how[got])
        return self._refused(take(rows, np.flatnonzero(~granted)))

    def _entitled(self, rows: Rows) -> NDArray[np.bool_]:
        """Held slots are for formally referred patients on their first visit at the hospital."""
        level = self.network.level[self.facility[rows["point"] % self.points]]
        first = (rows["seen"] >> (4 * level).astype(np.uint32)) & np.uint32(15) == 0
        return np.asarray((rows["cls"] < OTHER) & first)

    def _write_requests(
        self, rows: Rows, session: NDArray[np.int64], how: NDArray[np.int64], granted: NDArray[np.bool_]
    ) -> None:
        world = rows["world"].astype(np.int64)
        facility = self.facility[rows["point"] % self.points]
        month = self.ledger.month(rows["time"])
        self.ledger.bookings.add(
            self.ledger.bookings.index(world, month, facility, rows["cls"]),
            requests=1,
            booked_open=granted & (how == contacts.OPEN_SLOT),
            booked_held=how == HELD_SLOT,
            refused=~granted,
        )
        refused_days = np.rint(self.choice.patience_days[world]).astype(np.int64)
        days = np.where(granted, np.maximum(session // 2 - (rows["wanted"] // DAY).astype(np.int64), 0), refused_days)
        got = np.flatnonzero(granted)
        waited = np.minimum(days[got], MOST_DAYS)
        at = self.ledger.booking_days.index(world[got], month[got], facility[got], rows["cls"][got], waited)
        self.ledger.booking_days.add(at, patients=1)
        np.add.at(self.week_days, rows["point"], days)
        np.add.at(self.week_requests, rows["point"], 1)
        held = np.flatnonzero(how == HELD_SLOT)
        if len(held):
            minute = session[held].astype(np.float64) * HALF_DAY
            in_time = minute < self.timetable.horizon
            at = self.ledger.slots.index(world[held], self.ledger.month(minute), rows["point"][held] % self.points)
            self.ledger.slots.add(at[in_time], used_held=1)

    def _appoint(self, rows: Rows, row: NDArray[np.int64], session: NDArray[np.int64], how: NDArray[np.int64]) -> None:
        """The minute of the appointment; some come a bit early or late, none after the last admission, some never."""
        minute = self.book.minute(row, session)
        last = np.maximum(self.book.openings.closes[self.book.pattern[row], session] - 1.0, minute)
        luck = streams.child(rows["key"], rows["seen"].astype(np.uint64) + np.uint64(7))
        rows["time"] = np.clip(minute + streams.uniform(luck, Purpose.PUNCTUALITY) * 30.0 - 20.0, minute, last)
        rows["kind"], rows["entry"] = VISIT, how
        world = rows["world"].astype(np.int64)
        absent = streams.uniform(luck, Purpose.NO_SHOW) < self.choice.no_show[world]
        facility = self.facility[rows["point"] % self.points]
        month = self.ledger.month(minute[absent])
        at = self.ledger.bookings.index(world[absent], month, facility[absent], rows["cls"][absent])
        self.ledger.bookings.add(at, no_shows=1)
        self._lose_referrals(take(rows, np.flatnonzero(absent)))
        self.diary.push(take(rows, np.flatnonzero(~absent)), self.number + 1)

    def _refused(self, rows: Rows) -> Rows:
        """No appointment within patience: another door; the next hospital is asked in the same settlement."""
        if not len(rows):
            return rows
        self._lose_referrals(rows)
        rows["origin"] = self.facility[rows["point"] % self.points]
        rows["doors"] += 1
        again = (rows["doors"] < self.choice.doors_tried[rows["world"]]) & (rows["person"] >= 0)
        self._no_door_left(take(rows, np.flatnonzero(~again)))
        rows = take(rows, np.flatnonzero(again))
        if not len(rows):
            return rows
        allowed = self._untried(rows)
        sent = (rows["need"] > 2) & (rows["seen"] > 0)
        allowed[np.flatnonzero(sent), : HOSPITAL_DOORS[0]] = False
        point = self._choose(rows, allowed)
        inside = point >= 0
        asks = inside & self.bookable[np.maximum(point, 0)]
        self._outside(take(rows, np.flatnonzero(~inside)))
        walk = np.flatnonzero(inside & ~asks)
        if len(walk):
            moved = take(rows, walk)
            moved["point"] = moved["world"].astype(np.int64) * self.points + point[walk]
            moved["time"] = self.end
            self._walk(moved, point[walk], None, LAYERS)
        onward = take(rows, np.flatnonzero(asks))
        onward["point"] = onward["world"].astype(np.int64) * self.points + point[asks]
        return onward

    def _no_door_left(self, rows: Rows) -> None:
        """The emergency department of the hospital that refused takes those who need a hospital; others go without."""
        emergency = self.network.emergency_point[rows["origin"]] if len(rows) else np.empty(0, dtype=np.int64)
        urgent = (rows["need"] > 2) & (emergency >= 0)
        self._give_up(take(rows, np.flatnonzero(~urgent)))
        moved = take(rows, np.flatnonzero(urgent))
        if len(moved):
            moved["time"], moved["doors"], moved["origin"] = self.end, 0, -1
            moved["point"] = moved["world"].astype(np.int64) * self.points + emergency[urgent]
            self._walk(moved, moved["point"] % self.points, None, LAYERS)
