"""Where to, and in by which way: the door a patient takes, told one contact at a time.

Decisions are taken in the rooms below; here they become a service point, a way in and a pile: where the contact waits
for what comes next. A `Town` is all that these steps read and count, of all replications of a batch.
"""

from __future__ import annotations

import math
from datetime import date
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from sim import care, choice, demand, streams
from sim.choice import ALL_DOORS, ALL_GRASSROOTS, DOOR_OF_LEVEL, DOORS, OUTSIDE_DOOR, Choice, Tables
from sim.contacts import (
    EXACERBATION,
    FIRST_LOOK,
    FOLLOW_UP,
    MADE_UP,
    NEED,
    OTHER,
    READMISSION,
    REQUEST,
    VISIT,
    WALK_IN,
)
from sim.demand import Panel
from sim.kernels import kernel, table
from sim.network import EMERGENCY_LAYER, LAYERS, Level, Network
from sim.population import Population
from sim.records import FORMAL_CHANNEL, LAPSED, SELF_CHANNEL, Counts, Ledger, month_of, tell_referral
from sim.sessions import Rooms
from sim.slots import Pages
from sim.streams import Floats, Purpose
from sim.timetable import DAY, present_from

ASKS, LATER, NEXT_WINDOW, OUTSIDE, BED, JOINT_BED, WARD, HOME = range(LAYERS, LAYERS + 8)
"""Piles: the numbers of the layers stand for their waiting rooms in this window; then those who ask for an appointment
in this half-day, who come later, who stay on in the building, who leave the area, who need a bed of the place, or one
of a joint ward, who lie in a bed and hear when their exam is. HOME is none of them: who is done waits for nothing."""
PILES = HOME

YEAR = 365 * DAY


class Place(NamedTuple):
    """The network as rows; F facilities, P service points, C conditions; nothing of it changes in place.

    When wards open or close, or joint wards are run, there are other `offers` and another `runs`; when institutions
    become able to do more, another `reach` and another `feature`; when stations are integrated, another `integrated`.
    """

    points: NDArray[Any]
    """Rows of facility, layer, bookable, number, pattern, level, emergency, reading (a grassroots member of a group,
    whose exams the group may read), expert (the expert clinic beside an ordinary one, -1 = none) and ordinary (the
    clinic beside an expert one, -1 = it is none itself), staffed_by (the facility whose doctors see patients there:
    the lead hospital at joint clinics) and centre (of a member station: the facility whose township it is integrated
    with, if it is, -1 = none); (P,)."""
    facilities: NDArray[Any]
    """Rows of level, in_group, has_channel (a formal channel leads up), lead (of the group, -1 = none), nearest_lead
    (the same, or the nearest group's), facility_class and minutes_row (of records); (F + 1,)."""
    offers: NDArray[Any]
    """What a facility has for a condition: capability (level of care), ward (an open one), point (the service point
    that takes it), member and specialist (the nearest hospital of the group, not its lead, able to give secondary and
    tertiary care), joint (the service point that is the joint clinic for its patients) and joint_ward (the ward that is
    the joint one), -1 = none; (F + 1, C)."""
    emergency_point: NDArray[np.int64]
    """Emergency department of each facility, -1 = none; the last: of no facility; (F + 1,)."""
    imaging_room: NDArray[np.int64]
    """Room with large equipment to which the patients of each facility go, by kind, -1 = none; (F + 1, kinds)."""
    imaging_point: NDArray[np.int64]
    """Service point of each room with large equipment."""
    travel: Floats
    """Minutes from area to facility, (W, areas, F + 1)."""
    lead_of_grid: NDArray[np.int64]
    """Lead hospital of the grid in which the residents of each area live, -1 = none."""
    ward_facility: NDArray[np.int64]
    """Facility of each ward; the last: outside."""
    runs: NDArray[np.bool_]
    """Whether each ward is in service, (W, wards)."""
    reach: Floats
    """Chance that a need one level beyond a facility is met there after all, (W, F + 1, C)."""
    feature: NDArray[np.int64]
    """The feature department that each facility has, -1 = none; (W, F + 1)."""
    integrated: NDArray[np.bool_]
    """Whether each service point is that of a village station that is integrated with its township, (W, P)."""

    @classmethod
    def of(cls, network: Network, choice: Choice, ledger: Ledger, travel: Floats, day: date) -> Place:
        """The network as this choice and this ledger see it, with the wards of a day; all of them are run."""
        net = network
        leads = np.append(net.lead_of_group, -1)
        # a formal channel leads up from every institution of a group but its lead hospital
        channel = (net.group >= 0) & ~net.is_lead
        return cls(
            table(
                facility=net.point_facility, layer=net.point_layer, bookable=net.point_bookable,
                number=net.point_number, pattern=net.point_pattern, level=net.level[net.point_facility],
                emergency=net.point_layer >= EMERGENCY_LAYER,
                reading=(channel & (net.level < Level.secondary))[net.point_facility],
                expert=net.expert_point, ordinary=net.ordinary_point, staffed_by=net.staffed_by,
                centre=net.centre_of[net.point_facility],
            ),
            table(
                level=net.level, in_group=net.group >= 0, has_channel=channel, lead=leads[net.group],
                nearest_lead=net.nearest_lead, facility_class=ledger.facility_class,
                minutes_row=ledger.minutes_row,
            ),
            offers(net, choice, day),
            np.append(net.emergency_point, -1), net.imaging_room, net.imaging_point, travel, net.lead_of_grid,
            ledger.ward_facility, np.ones((choice.worlds, len(net.wards)), dtype=bool),
            np.zeros((choice.worlds, *net.capability.shape)),
            np.full((choice.worlds, net.outside + 1), -1, dtype=np.int64),
            np.zeros((choice.worlds, len(net.points)), dtype=bool),
        )  # fmt: skip


def offers(net: Network, choice: Choice, day: date) -> NDArray[Any]:
    """`Place.offers` with the wards that are open on a day."""
    department = choice.department
    clinic = np.append(net.clinic_point, np.full((1, len(net.departments)), -1), axis=0)[:, department]
    emergency = np.append(net.emergency_point, -1)
    urgent = (clinic < 0) | (choice.is_emergency & (emergency >= 0)[:, None])
    ward = net.ward_at(day)[:, department]
    return table(
        capability=net.capability, ward=ward, point=np.where(urgent, emergency[:, None], clinic),
        member=_members(net, department, ward, 3), specialist=_members(net, department, ward, 4),
        joint=_joint_clinics(net, choice),
        joint_ward=np.where(choice.is_emergency, -1, net.joint_ward_at(day)[:, department]),
    )  # fmt: skip


def _members(net: Network, department: NDArray[np.int64], ward: NDArray[np.int64], care: int) -> NDArray[np.int64]:
    """The nearest hospital that serves the group of a facility, not its lead, able to give care of this level.

    For (facility, condition), -1 = none.
    """
    found = np.full(net.capability.shape, -1, dtype=np.int64)
    hospitals = np.flatnonzero(net.level[:-1] >= Level.secondary)
    equipped = (net.clinic_point[:, department] >= 0) & (ward[:-1] >= 0)
    able = equipped & (net.capability[:-1] >= care)
    for f in np.flatnonzero(net.group >= 0).tolist():
        lead = net.lead_of_group[net.group[f]]
        serving = [h for h in hospitals.tolist() if net.serves[h, net.group[f]] and h not in (lead, f)]
        for h in sorted(serving, key=lambda h: (net.km(f, h), h), reverse=True):
            found[f, able[h]] = h
    return found


def _joint_clinics(net: Network, choice: Choice) -> NDArray[np.int64]:
    """The joint clinic for (facility, condition), -1 = none; it is no place for emergencies."""
    found = np.full(net.capability.shape, -1, dtype=np.int64)
    for f in np.flatnonzero(net.group >= 0).tolist():
        found[f] = [net.joint_clinic(f, d) for d in choice.department.tolist()]
    return np.where(choice.is_emergency, -1, found)


class People(NamedTuple):
    """Residents and their habits; the last entry stands for non-residents, whose number is -1."""

    residents: NDArray[Any]
    """Rows of area, trait, station; (residents + 1,)."""
    contracted: NDArray[np.bool_]
    """Whether a contract is in use, (W, residents + 1)."""
    usual: NDArray[Any]
    """Long-term patients: rows of key, point (usual service point, -1 = to be chosen) and chosen_in (year of the run
    in which it was last chosen, -1 = never)."""
    gated: NDArray[np.bool_]
    """Whether first contact for a condition must be at the grassroots, (W, C)."""
    worlds: NDArray[Any]
    """Habits and the rules in force of each replication: rows of the columns of `Choice.habits` and of the levers
    (`model.LEVERS` and those of referral.UpRules); (W,)."""
    epidemic: NDArray[Any]
    """Rows of brought (share of first needs and follow-ups that lead to a door) and directed (share of the first needs
    for hospitals that is directed to the grassroots, M41); (W, C)."""

    @classmethod
    def of(cls, population: Population, panel: Panel, choice: Choice) -> People:
        """Before any rule is in force."""
        pop = population
        columns = (np.append(pop.area, 0), np.append(pop.trait, 0), np.append(pop.station, -1))
        area, trait, station = (c.astype(np.int32) for c in columns)
        everybody = table(area=area, trait=trait, station=station)
        usual = table(key=panel.key, point=panel.usual.astype(np.int64), chosen_in=panel.chosen_in.astype(np.int64))
        nobody = np.zeros((choice.worlds, population.size + 1), dtype=bool)
        ungated = np.zeros((choice.worlds, len(choice.kind)), dtype=bool)
        no_epidemic = table(brought=np.ones(ungated.shape), directed=np.zeros(ungated.shape))
        return cls(everybody, nobody, usual, ungated, table(**choice.habits()), no_epidemic)


class Town(NamedTuple):
    """All that a patient's steps read, and the tables in which they are counted."""

    place: Place
    people: People
    tables: Tables
    rooms: Rooms
    hours: NDArray[Any]
    """Rows of the timetable, (patterns, half-days)."""
    pages: Pages
    service: NDArray[Any]
    """Service points of each replication: rows of clinic (row in the appointment book) and of what this week's
    patients have waited: days, requests, minutes, visits; (W x P,)."""
    counts: Counts


# ----------------------------------------------------------------------------------------------------------- which door


@kernel
def first_point(place: Place, people: People, tables: Tables, who: Any) -> int:
    """Inflow goes where it was declared, a long-term patient to the usual place, the others choose; -1 = outside."""
    if who["person"] < 0 and who["origin"] >= 0:
        declared = int(who["origin"])
        who["origin"] = -1
        return place.offers[declared, int(who["condition"])]["point"]
    rescue = _rescue_centre(place, people, tables.conditions, who)
    if rescue >= 0:
        return rescue
    if who["chronic"] == MADE_UP and who["doors"] == 0:
        return _called_to(people, tables, who)
    point = _usual(people, who)
    if point < 0:
        persuadable = not tables.conditions[int(who["condition"])]["is_emergency"]
        point = choose(people, tables, who, untried(who), persuadable)
        if who["panel"] >= 0 and who["doors"] == 0 and point >= 0:
            people.usual[int(who["panel"])]["point"] = point
    point = _followed_up_at(place, people, tables, who, point)
    point = _refilled_at(place, people, tables, who, point)
    return _collected_at(place, people, tables, who, point)


@kernel
def _called_to(people: People, tables: Tables, who: Any) -> int:
    """The grassroots door to which a patient who missed a follow-up is called back (M38)."""
    near = choose(people, tables, who, ALL_GRASSROOTS, False)
    return near if near >= 0 else choose(people, tables, who, ALL_DOORS, False)


@kernel
def _followed_up_at(place: Place, people: People, tables: Tables, who: Any, point: int) -> int:
    """Who is enrolled at a chronic-care centre has a grassroots door for the usual place from then on (M38)."""
    if who["chronic"] != FOLLOW_UP or who["doors"] > 0:
        return point
    patient, enrolled = people.usual[int(who["panel"])], people.worlds[int(who["world"])]["care_centre"]
    below = point >= 0 and place.points[point]["level"] < Level.secondary
    if below or not demand.is_enrolled(patient["key"], enrolled):
        return point
    near = choose(people, tables, who, ALL_GRASSROOTS, False)
    if near < 0:
        return point
    patient["point"] = near
    return near


@kernel
def _rescue_centre(place: Place, people: People, conditions: Any, who: Any) -> int:
    """The lead hospital's rescue centre to which the ambulance takes an emergency at once (M31), -1 = it does not."""
    world = people.worlds[int(who["world"])]
    treated = conditions[int(who["condition"])]["rescue_centre"] & world["rescue_centres"]
    if who["doors"] > 0 or who["person"] < 0 or treated == 0:
        return -1
    lead, luck = lead_of(place, people, who, -1), streams.uniform_of(who["key"], Purpose.RESCUE, 0)
    if lead < 0 or luck >= world["rescue_bypass"]:
        return -1
    return place.emergency_point[lead]


@kernel
def lead_of(place: Place, people: People, who: Any, facility: int) -> int:
    """The lead hospital for somebody whom nobody has sent to one (M01): of the resident's grid, -1 = none.

    For non-residents it is that of the group of the facility where they are, or the nearest.
    """
    if who["person"] >= 0:
        return place.lead_of_grid[people.residents[int(who["person"])]["area"]]
    return place.facilities[facility]["nearest_lead"]


@kernel
def _refilled_at(place: Place, people: People, tables: Tables, who: Any, point: int) -> int:
    """Where a prescription is filled that flows to the grassroots (M34); all else stays at `point`."""
    if point < 0 or who["doors"] > 0 or not tables.conditions[int(who["condition"])]["prescription_only"]:
        return point
    flows = people.worlds[int(who["world"])]["refill_at_grassroots"]
    luck = streams.uniform_of(who["key"], Purpose.REFILL, 0)
    if place.points[point]["level"] < Level.secondary or luck >= flows:
        return point
    near = choose(people, tables, who, ALL_GRASSROOTS, False)
    return near if near >= 0 else point


@kernel
def _collected_at(place: Place, people: People, tables: Tables, who: Any, point: int) -> int:
    """Where a prescription of a centre is collected: at the station at home, if it is integrated (M26)."""
    if point < 0 or who["doors"] > 0 or not tables.conditions[int(who["condition"])]["prescription_only"]:
        return point
    world, station = int(who["world"]), people.residents[int(who["person"])]["station"]
    if station < 0 or not place.integrated[world, station] or not _is_centre_of(place, station, point):
        return point
    collects = people.worlds[world]["collects_at_station"]
    return station if streams.uniform_of(who["key"], Purpose.COLLECTED, 0) < collects else point


@kernel
def _is_centre_of(place: Place, station: int, point: int) -> bool:
    """Whether a service point is that of a centre of the group of a station."""
    here, centre = place.points[point], place.facilities[place.points[station]["centre"]]
    level = here["level"]
    same = place.facilities[here["facility"]]["lead"] == centre["lead"]
    return same and (level == Level.centre or level == Level.sub_centre)


@kernel
def _usual(people: People, who: Any) -> int:
    """Usual place of a long-term patient, -1 where it is to be chosen: at first, and when re-choice falls due."""
    if who["panel"] < 0 or who["doors"] > 0:
        return -1
    patient = people.usual[int(who["panel"])]
    year = math.floor(who["time"] / YEAR)
    luck = streams.uniform_of(patient["key"], Purpose.RECHOICE, year)
    again = patient["chosen_in"] != year and luck < people.worlds[int(who["world"])]["rechoice"]
    patient["chosen_in"] = year
    return -1 if again else patient["point"]


@kernel
def untried(who: Any) -> int:
    """All doors but those tried in vain, as bits."""
    return ALL_DOORS & ~int(who["doors"])


@kernel
def choose(people: People, tables: Tables, who: Any, allowed: int, persuadable: bool) -> int:
    """Door by the tables among those allowed, with persuasion on the first try; then the facility; -1 = outside."""
    world, person, condition = int(who["world"]), int(who["person"]), int(who["condition"])
    resident = people.residents[person]
    cell = choice.cell_of(tables, world, resident["trait"], people.contracted[world, person], condition)
    if persuadable and who["doors"] == 0:
        door = choice.first_door(tables.utility[cell], tables.gumbel, who["key"], _advised(people, world, condition))
    else:
        door = choice.best_door(tables.utility[cell], tables.gumbel, who["key"], allowed)
    if door < 0:
        door = OUTSIDE_DOOR
    column = tables.conditions[condition]["column"]
    return choice.point_behind(tables, who["key"], door, world, column, resident["area"], resident["station"])


@kernel
def _advised(people: People, world: int, condition: int) -> float:
    """Of first needs with a condition that would go to a hospital, the share that begins at the grassroots."""
    if people.gated[world, condition]:
        return 1.0
    return max(people.worlds[world]["adherence"], people.epidemic[world, condition]["directed"])


@kernel
def stays_away(people: People, who: Any) -> bool:
    """Whether a first need or a follow-up does not lead to a door, in an epidemic of something else (M41)."""
    brought = people.epidemic[int(who["world"]), int(who["condition"])]["brought"]
    if brought >= 1.0 or who["doors"] > 0 or who["chronic"] > FOLLOW_UP:
        return False
    return streams.uniform_of(who["key"], Purpose.STAYS_AWAY, 0) >= brought


# --------------------------------------------------------------------------------------------------------- through it


@kernel
def through(points: Any, worlds: Any, hours: Any, who: Any, point: int, window_end: float, layer: int) -> int:
    """Through the door: outside at once, by appointment, or to the waiting room; `layer`: where the patient is now."""
    if point < 0:
        return OUTSIDE
    world = int(who["world"])
    who["point"] = world * len(points) + point
    if points[point]["bookable"]:
        luck = streams.uniform_of(who["key"], Purpose.DOOR_BOOKS, points[point]["number"])
        planned = who["panel"] >= 0 or who["cls"] < OTHER or who["doors"] > 0
        if planned or luck < worlds[world]["books"]:
            who["point"] = world * len(points) + asked_at(points, worlds, who, point)
            return ask(who, window_end)
    return walk(points[point], hours, who, window_end, layer)


@kernel
def asked_at(points: Any, worlds: Any, who: Any, point: int) -> int:
    """Whose appointment a patient asks for at a clinic: that of the expert beside it, where the patient prefers it."""
    expert = points[point]["expert"]
    if expert < 0 or streams.uniform_of(who["key"], Purpose.EXPERT, 0) >= worlds[int(who["world"])]["prefers_expert"]:
        return point
    return expert


@kernel
def ask(who: Any, window_end: float) -> int:
    """Ask for an appointment from the minute of `time`."""
    who["kind"], who["wanted"] = REQUEST, who["time"]
    return ASKS if who["time"] < window_end else LATER


@kernel
def walk(point: Any, hours: Any, who: Any, window_end: float, layer: int) -> int:
    """Present at once or after the next opening; who does not go to a higher layer joins the next window (R3).

    `point`: the row of the service point.
    """
    back = point["layer"] <= layer
    minute = max(who["time"], window_end) if back else who["time"]
    late = streams.uniform_of(who["key"], Purpose.PUNCTUALITY, 0)
    who["time"] = present_from(hours, point["pattern"], minute, late)
    who["kind"], who["entry"] = VISIT, WALK_IN
    return LATER if back or who["time"] >= window_end else point["layer"]


@kernel
def minutes_to(place: Place, people: People, who: Any, facility: int) -> float:
    """Minutes of travel from home."""
    return place.travel[int(who["world"]), people.residents[int(who["person"])]["area"], facility]


@kernel
def tries_again(points: Any, worlds: Any, who: Any) -> bool:
    """This door was in vain: whether there is patience for another."""
    here = points[int(who["point"]) % len(points)]
    who["origin"], who["doors"] = here["facility"], int(who["doors"]) | 1 << DOOR_OF_LEVEL[here["level"]]
    return _number(int(who["doors"])) < worlds[int(who["world"])]["doors_tried"] and who["person"] >= 0


@kernel
def _number(doors: int) -> int:
    """How many bits are set."""
    number = 0
    for door in range(len(DOORS)):
        number += doors >> door & 1
    return number


# ------------------------------------------------------------------------------------------------------- in the books


@kernel
def channel_of(who: Any) -> int:
    """The channel by which a patient who is on the way was sent."""
    return FORMAL_CHANNEL if who["cls"] < OTHER else SELF_CHANNEL


@kernel
def lose_referral(counts: Counts, facility: int, who: Any) -> None:
    """A referral that ends before the patient is seen: no place within patience, a no-show, the waiting room left."""
    if who["origin"] >= 0 and who["doors"] == 0:
        tell_referral(counts, who, facility, channel_of(who), LAPSED)


@kernel
def count_need(counts: Counts, who: Any, spared: bool) -> None:
    """A new need; `spared`: nothing has to be done about it."""
    month = month_of(counts, who["time"])
    here = counts.needs[int(who["world"]), month, int(who["condition"]), int(who["person"] >= 0)]
    here["needs"] += 1
    here["spared"] += int(spared)
    here["follow_ups"] += int(who["chronic"] == FOLLOW_UP and not spared)
    here["exacerbations"] += int(who["chronic"] == EXACERBATION)
    here["readmissions"] += int(who["chronic"] == READMISSION)


@kernel
def give_up(town: Town, who: Any, minute: float) -> int:
    """No door is left: the need stays unmet, unless the patient is called back. `minute`: when the last one closed."""
    month = month_of(town.counts, who["time"])
    here = town.counts.needs[int(who["world"]), month, int(who["condition"]), int(who["person"] >= 0)]
    pile = missed(town, who, minute)
    here["unmet"] += int(who["chronic"] != MADE_UP or pile == HOME)
    return pile


# ------------------------------------------------------------------------------------------------- missed follow-ups


@kernel
def missed(town: Town, who: Any, minute: float) -> int:
    """Nobody will see this patient. A long-term patient whose follow-up it was is called back, or may fall ill."""
    if who["panel"] < 0 or who["seen"] > 0:
        return HOME
    month = month_of(town.counts, minute)
    here = town.counts.needs[int(who["world"]), month, int(who["condition"]), 1]
    if _is_called_back(town, who):
        here["called_back"] += 1
        return _call_back(town, who, minute)
    here["missed"] += 1
    return _fall_ill(town, who, minute)


@kernel
def _is_called_back(town: Town, who: Any) -> bool:
    """Whether a chronic-care centre calls the patient back, and the patient will come (M38); it calls once."""
    world, patient = int(who["world"]), town.people.usual[int(who["panel"])]["key"]
    enrolled = demand.is_enrolled(patient, town.people.worlds[world]["care_centre"])
    return who["chronic"] == FOLLOW_UP and enrolled and care.makes_up(town.rooms.care, world, patient, int(who["nth"]))


@kernel
def _call_back(town: Town, who: Any, minute: float) -> int:
    """The same follow-up, days later."""
    key = care.made_up(town.people.usual[int(who["panel"])]["key"], int(who["nth"]))
    _begin_anew(who, key, minute + care.made_up_delay(town.rooms.care, int(who["world"]), key))
    who["chronic"] = MADE_UP
    return LATER


@kernel
def _fall_ill(town: Town, who: Any, minute: float) -> int:
    """Some whose follow-up was missed are an emergency days later, an episode of its own (R12)."""
    patient, nth = town.people.usual[int(who["panel"])]["key"], int(who["nth"])
    conditions = town.rooms.care.conditions[int(who["world"])]
    condition = conditions[int(who["condition"])]
    if not care.exacerbates(condition, patient, nth):
        return HOME
    key = care.exacerbation_of(patient, nth)
    _begin_anew(who, key, minute + care.exacerbation_delay(condition, key))
    who["condition"], who["chronic"], who["panel"] = condition["exacerbates_to"], EXACERBATION, -1
    who["need"], who["admit"] = care.truth(conditions[int(who["condition"])], key, True)
    return LATER


@kernel
def _begin_anew(who: Any, key: np.uint64, minute: float) -> None:
    """The row of somebody who was not seen becomes that of the same resident's next need, which has found no door."""
    who["key"], who["time"], who["kind"], who["stage"] = key, minute, NEED, FIRST_LOOK
    who["point"] = who["origin"] = -1
    who["doors"] = 0


# ------------------------------------------------------------------------------------------------------- readmissions


@kernel
def readmit(tables: care.CareTables, stays: Any, rows: Any) -> int:
    """Fill rows with the needs of those who will be readmitted, which find a door as any first need; returns how many.

    `stays`: legs that have ended, rows of `records.LEG`; `rows`: blank ones, as many.
    """
    number = 0
    for i in range(len(stays)):
        stay, who = stays[i], rows[number]
        if not care.is_readmitted(tables, stay):
            continue
        number += 1
        who["key"] = care.readmission_of(stay["key"])
        who["time"] = stay["discharged"] + care.readmission_delay(tables, int(stay["world"]), who["key"])
        who["world"], who["person"], who["condition"] = stay["world"], stay["person"], stay["condition"]
        who["kind"], who["chronic"], who["need"], who["admit"] = NEED, READMISSION, stay["need"], 1
    return number
