"""What comes of a visit: home, another day, a bed, down, up, or out of the area.

Told of one patient who leaves a waiting room: the visit is written down and counted, what was found decides where to;
the answer is the pile on which the patient's row waits for what comes next.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from sim import care, doors, referral, sessions, streams
from sim.choice import ALL_GRASSROOTS, ALL_HOSPITALS, HOSPITAL_DOORS
from sim.contacts import (
    FIRST_LOOK,
    NEED,
    ORDERED,
    OTHER,
    READMISSION,
    REFERRED,
    REFERRED_CONTRACTED,
    RETURNED,
    SECOND_LOOK,
    TO_PARTNER,
)
from sim.doors import (
    BED,
    HOME,
    JOINT_BED,
    LATER,
    NEXT_WINDOW,
    People,
    Place,
    Town,
    ask,
    channel_of,
    give_up,
    lose_referral,
    minutes_to,
    through,
    tries_again,
    walk,
)
from sim.kernels import kernel
from sim.network import LAYERS, Level
from sim.records import (
    COMPLETED,
    DECLINED,
    EMERGENCY_VISIT,
    FORMAL_CHANNEL,
    LAPSED,
    OUTPATIENT,
    PAID_EMERGENCY,
    PAID_JOINT,
    PAID_VISIT,
    RETURN,
    SELF_CHANNEL,
    Counts,
    charge_visit,
    month_of,
    paid_without_referral,
    tell_referral,
    tell_visit,
    write_visit,
)
from sim.sessions import DONE, LEFT, TURNED_AWAY, visit_key
from sim.streams import Purpose
from sim.timetable import DAY

MOST_VISITS = 12
"""Visits of one episode after which nobody is asked back (the counter of visits per level has four bits)."""
COUNTED_LEVELS = 6

NEAR_HOSPITAL = 1 << HOSPITAL_DOORS[0]
"""The secondary hospitals' door, as a bit."""


@kernel
def what_next(town: Town, who: Any, patient: Any, point: Any, window_end: float) -> int:
    """What comes of a visit; who has not been seen to the end stays on in the building."""
    status = patient["status"]
    if status == TURNED_AWAY:
        _write_full(town.counts, town.service, who, patient, point)
    elif status in (DONE, LEFT):
        _write_down(town, who, patient, point, status == LEFT)
    else:
        sessions.go_on(who, patient)
        return NEXT_WINDOW
    if status == DONE:
        if who["stage"] != RETURNED:
            _count_feature(town, who, point)
        return _seen(town, who, point, patient, window_end)
    lose_referral(town.counts, point["facility"], who)
    if tries_again(town.place.points, town.people.worlds, who):
        return _another_day(who)
    return give_up(town, who, patient["end"])


@kernel
def _write_down(town: Town, who: Any, patient: Any, point: Any, left: bool) -> None:
    """A visit that is over."""
    counts, begin, place = town.counts, patient["begin"], who["time"]
    if left:
        begin = np.nan
    elif who["stage"] == SECOND_LOOK:
        begin, place = who["begun"], who["wanted"]
    wait = (patient["end"] if left else begin) - place
    kind, facility = EMERGENCY_VISIT if point["emergency"] else OUTPATIENT, point["facility"]
    if who["stage"] == RETURNED:
        kind = RETURN
    write_visit(counts, who, place, facility, town.place.facilities[facility], kind, wait, left)
    if not left and kind != RETURN:
        charge_visit(counts, who, place, facility, _paid_as(town, who, point))
    tell_visit(counts, who, point, kind, place, begin, patient["end"])
    _tell_others(town.service, who, wait)


@kernel
def _paid_as(town: Town, who: Any, point: Any) -> int:
    """What a visit to a service point is paid as."""
    if point["emergency"]:
        return PAID_EMERGENCY
    if point["staffed_by"] != point["facility"]:
        return PAID_JOINT
    if point["level"] < Level.secondary or town.tables.conditions[int(who["condition"])]["is_emergency"]:
        return PAID_VISIT
    return paid_without_referral(town.people.worlds, who)


@kernel
def _count_feature(town: Town, who: Any, point: Any) -> None:
    """Where there is a feature department: whether the visit is one of its conditions (M25)."""
    world, facility = int(who["world"]), point["facility"]
    department = town.place.feature[world, facility]
    if department < 0:
        return
    here = town.counts.featured[world, month_of(town.counts, who["time"]), facility]
    here["visits"] += 1
    here["feature_visits"] += int(town.tables.conditions[int(who["condition"])]["department"] == department)


@kernel
def _write_full(counts: Counts, service: Any, who: Any, patient: Any, point: Any) -> None:
    """Who found the waiting room full is no visit; others hear of a wait as long as his patience (R14)."""
    turn_away(counts, who, point["facility"], EMERGENCY_VISIT if point["emergency"] else OUTPATIENT)
    _tell_others(service, who, patient["patience"])


@kernel
def _tell_others(service: Any, who: Any, minutes: float) -> None:
    """Others hear how long somebody waited who came, as they would, without a referral (R14)."""
    if who["cls"] == OTHER:
        here = service[int(who["point"])]
        here["minutes"] += int(np.rint(minutes))
        here["visits"] += 1


@kernel
def turn_away(counts: Counts, who: Any, facility: int, kind: int) -> None:
    """Count somebody who came and did not get in."""
    world, month = int(who["world"]), month_of(counts, who["time"])
    counts.visits[world, month, facility, int(who["person"] >= 0), kind, int(who["cls"])]["turned_away"] += 1


@kernel
def _another_day(who: Any) -> int:
    """Who left the waiting room, or found it full, comes back another day through another door."""
    who["kind"], who["stage"], who["time"] = NEED, 0, who["time"] + DAY
    return LATER


@kernel
def _seen(town: Town, who: Any, point: Any, patient: Any, window_end: float) -> int:
    """A patient has been seen: home, back another day, a bed, or up."""
    place, level, end = town.place, point["level"], patient["end"]
    visit = visit_key(who, level)
    if who["stage"] != RETURNED and _first_look(town, who, point, visit, patient["begin"]):
        who["stage"], who["origin"], who["time"] = ORDERED, -1, end
        return ask(who, window_end)
    who["stage"], who["origin"] = 0, -1
    who["seen"] = int(who["seen"]) + (1 << (4 * level))
    if able(place, who, point["staffed_by"]):
        if place.offers[point["staffed_by"], int(who["condition"])]["capability"] < who["need"]:
            month = month_of(town.counts, who["time"])
            town.counts.helped[int(who["world"]), month, point["facility"]]["within_reach"] += 1
        if point["staffed_by"] != point["facility"]:
            town.counts.helped[int(who["world"]), month_of(town.counts, who["time"]), point["facility"]]["joint"] += 1
        _think_of_bed(town, who, point)
        if who["admit"] == 1:
            who["time"] = end
            return BED
        if point["emergency"]:
            return HOME
        _hand_down(town, who, point)
        return _asked_back(town.rooms.care.conditions, town.hours, who, point, visit, end, window_end)
    helped = _helped(town, who, point, visit, end, window_end)
    return helped if helped >= 0 else _goes_on(town, who, point, visit, end, window_end)


@kernel
def _think_of_bed(town: Town, who: Any, point: Any) -> None:
    """Incentives may give a bed to a planned patient who needs none, or none to one who does (M23)."""
    world, needs_bed = int(who["world"]), who["admit"] == 1
    odds = town.people.worlds[world]["admission_odds"]
    if odds == 1.0 or not _may_admit(town, who, point):
        return
    condition = town.rooms.care.conditions[world, int(who["condition"])]
    admitted = care.admits(condition, who["key"], odds, needs_bed, who["person"] >= 0)
    if admitted == needs_bed:
        return
    month = month_of(town.counts, who["time"])
    here = town.counts.needs[world, month, int(who["condition"]), int(who["person"] >= 0)]
    if admitted:
        who["admit"], who["need"] = 1, max(int(who["need"]), care.STAY_NEEDS[0])
        here["admitted_more"] += 1
    else:
        who["admit"] = 0
        here["admitted_less"] += 1


@kernel
def _may_admit(town: Town, who: Any, point: Any) -> bool:
    """A clinic of a group's institution that has a ward for the patient, who is neither an emergency nor readmitted."""
    facility, condition = point["facility"], int(who["condition"])
    offer, in_group = town.place.offers[facility, condition], town.place.facilities[facility]["in_group"]
    has_bed = offer["ward"] >= 0 and offer["capability"] >= max(int(who["need"]), care.STAY_NEEDS[0])
    own = point["staffed_by"] == facility and not point["emergency"]
    planned = not town.tables.conditions[condition]["is_emergency"] and who["chronic"] != READMISSION
    return in_group and has_bed and own and planned


@kernel
def _goes_on(town: Town, who: Any, point: Any, visit: np.uint64, end: float, window_end: float) -> int:
    """A need beyond the place that nobody has settled there: up, out of the area, or home."""
    place, who["origin"] = town.place, point["facility"]
    if point["emergency"]:
        to = _transferred(place, town.people, who, end)
    else:
        outcome = _sent_up(place, town.people, town.counts, who, visit)
        if outcome == referral.STAYS and who["admit"] == 0:
            who["origin"] = -1
            return _asked_back(town.rooms.care.conditions, town.hours, who, point, visit, end, window_end)
        if outcome == referral.STAYS or outcome == referral.LAPSED:
            return HOME
        if outcome == referral.FORMAL:
            to = _referred(place, town.people, who, visit, end)
        else:
            to = _to_partner(town, who, end) if outcome == referral.PARTNER else _alone(town, who, end)
    return through(place.points, town.people.worlds, town.hours, who, to, window_end, point["layer"])


@kernel
def _examined(town: Town, who: Any, point: Any, visit: np.uint64, begin: float) -> None:
    """Count the exam of a visit that is over, and keep in mind who made it and when."""
    world, facility = int(who["world"]), point["facility"]
    exam = sessions.exam_of(town.rooms.care, point, town.people.worlds[world], who, visit)
    if exam == care.NO_EXAM:
        return
    here = town.counts.exams[world, month_of(town.counts, who["time"]), facility]
    if exam == care.RECOGNISED:
        here["recognised"] += 1
    elif exam == care.TRUSTED:
        here["trusted"] += 1
    else:
        here["made"] += 1
        here["repeated"] += int(exam == care.REPEATED)
        here["read_remotely"] += int(care.is_read_remotely(town.rooms.care, visit, who, point["level"]))
        who["examined"] = facility + 1
        if who["stage"] == FIRST_LOOK:
            who["begun"] = begin


@kernel
def _first_look(town: Town, who: Any, point: Any, visit: np.uint64, begin: float) -> bool:
    """A referral is completed, an exam is made; whether large equipment is asked for before anything is decided (R4).

    Hospitals' clinics ask for it, where their patients have a room to go to.
    """
    if who["origin"] >= 0 and who["doors"] == 0:
        tell_referral(town.counts, who, point["facility"], channel_of(who), COMPLETED)
    _examined(town, who, point, visit, begin)
    if point["level"] < Level.secondary or point["emergency"]:
        return False
    kind = care.equipment(town.rooms.care, visit, who)
    return kind != care.NO_EQUIPMENT and town.place.imaging_room[point["facility"], kind] >= 0


@kernel
def _hand_down(town: Town, who: Any, point: Any) -> None:
    """A hospital of a group hands a stable long-term patient to the grassroots door that suits best (M08)."""
    stable = who["panel"] >= 0 and who["need"] <= 2 and point["level"] >= Level.secondary
    if not stable or not town.place.facilities[point["facility"]]["in_group"]:
        return
    world, patient = int(who["world"]), town.people.usual[int(who["panel"])]
    if not referral.handed_down(patient["key"], town.people.worlds[world]["sent_down"]):
        return
    near = doors.choose(town.people, town.tables, who, ALL_GRASSROOTS, False)
    if near >= 0:
        patient["point"] = near
        month = month_of(town.counts, who["time"])
        town.counts.helped[world, month, point["facility"]]["handed_down"] += 1


@kernel
def _helped(town: Town, who: Any, point: Any, visit: np.uint64, end: float, window_end: float) -> int:
    """What the group does at its grassroots members for residents whose need exceeds the place, -1 = nothing."""
    if not point["reading"] or point["emergency"] or who["person"] < 0:
        return -1
    if who["admit"] == 1:
        ward = _joint_ward(town, who, point, visit)
        return _to_joint_ward(town, who, point, ward, end) if ward >= 0 else -1
    if _is_advised(town, who, point, visit) or _is_settled(town, who, point, visit):
        return _asked_back(town.rooms.care.conditions, town.hours, who, point, visit, end, window_end)
    joint = _joint_clinic(town, who, point, visit)
    return _to_joint_clinic(town, who, point, joint, end, window_end) if joint >= 0 else -1


@kernel
def _is_advised(town: Town, who: Any, point: Any, visit: np.uint64) -> bool:
    """A need that the centre of an integrated station could meet is settled at the station, by its advice (M26)."""
    world, centre = int(who["world"]), point["centre"]
    if centre < 0 or not town.place.integrated[world, int(who["point"]) % len(town.place.points)]:
        return False
    if not able(town.place, who, centre) or not care.settled_by_advice(town.rooms.care, visit, world):
        return False
    town.counts.helped[world, month_of(town.counts, who["time"]), point["facility"]]["advised"] += 1
    return True


@kernel
def _is_settled(town: Town, who: Any, point: Any, visit: np.uint64) -> bool:
    """A need that may be settled at a grassroots member is, by an exam that the group has read or by a specialist."""
    world = int(who["world"])
    here = town.counts.helped[world, month_of(town.counts, who["time"]), point["facility"]]
    if _is_settled_by_reading(town, who, point, visit):
        here["by_reading"] += 1
        return True
    by = referral.settled(town.people.worlds[world], visit)
    if by == referral.REMOTE:
        here["remote"] += 1
    elif by == referral.SPECIALIST:
        here["specialist"] += 1
    return by != referral.NOBODY


@kernel
def _is_settled_by_reading(town: Town, who: Any, point: Any, visit: np.uint64) -> bool:
    """Whether an exam of this visit that the group has read was all that was missing."""
    tables, world = town.rooms.care, int(who["world"])
    made = care.is_made(sessions.exam_of(tables, point, town.people.worlds[world], who, visit))
    read = made and care.is_read_remotely(tables, visit, who, point["level"])
    return read and care.settled_by_reading(tables, visit, world)


@kernel
def _joint_clinic(town: Town, who: Any, point: Any, visit: np.uint64) -> int:
    """The joint clinic to which a patient goes who may be helped and whom nobody has helped yet (M10), -1 = none.

    Joint clinics are held, one takes the condition, its doctors give such care, and the patient follows the advice.
    """
    rules, place = town.people.worlds[int(who["world"])], town.place
    joint = place.offers[point["facility"], int(who["condition"])]["joint"]
    if rules["joint_clinics"] <= 0.0 or joint < 0 or not able(place, who, town.place.points[joint]["staffed_by"]):
        return -1
    return joint if streams.uniform_of(visit, Purpose.JOINT, 0) < rules["follows_advice"] else -1


@kernel
def _to_joint_clinic(town: Town, who: Any, point: Any, joint: int, end: float, window_end: float) -> int:
    """An appointment there is asked for as soon as the patient could be there."""
    there = town.place.points[joint]["facility"]
    who["doors"], who["point"] = 0, int(who["world"]) * len(town.place.points) + joint
    who["time"] = end if there == point["facility"] else end + minutes_to(town.place, town.people, who, there)
    return ask(who, window_end)


@kernel
def _joint_ward(town: Town, who: Any, point: Any, visit: np.uint64) -> int:
    """The joint ward to which a patient goes who needs a bed and more than a grassroots member gives (M09), -1 = none.

    It is run and takes the condition, the lead hospital is able to give such care, and the patient follows the advice.
    """
    place, world, condition = town.place, int(who["world"]), int(who["condition"])
    ward = place.offers[point["facility"], condition]["joint_ward"]
    if ward < 0 or not place.runs[world, ward]:
        return -1
    lead = place.facilities[point["facility"]]["lead"]
    if place.offers[lead, condition]["capability"] < who["need"]:
        return -1
    luck = streams.uniform_of(visit, Purpose.JOINT_WARD, 0)
    return ward if luck < town.people.worlds[world]["follows_advice"] else -1


@kernel
def _to_joint_ward(town: Town, who: Any, point: Any, ward: int, end: float) -> int:
    """A bed there is asked for as soon as the patient could be there."""
    there = town.place.ward_facility[ward]
    who["time"] = end if there == point["facility"] else end + minutes_to(town.place, town.people, who, there)
    return JOINT_BED


@kernel
def able(place: Place, who: Any, facility: int) -> bool:
    """Whether a facility can give what an episode needs, the bed included; at some places one level more for a few."""
    world, condition = int(who["world"]), int(who["condition"])
    offer, chance = place.offers[facility, condition], place.reach[world, facility, condition]
    given = int(offer["capability"])
    if chance > 0.0 and given + 1 == int(who["need"]):
        given += int(care.is_within_reach(who["key"], chance))
    bed = who["admit"] == 0 or (offer["ward"] >= 0 and place.runs[world, offer["ward"]])
    return bed and given >= int(who["need"])


@kernel
def _asked_back(
    conditions: Any, hours: Any, who: Any, point: Any, visit: np.uint64, end: float, window_end: float
) -> int:
    """Some of those treated are asked back to the same place."""
    condition = conditions[int(who["world"]), int(who["condition"])]
    asked = streams.uniform_of(visit, Purpose.FOLLOW_UP, 0) < condition["follow_up"]
    if not asked or _visits(int(who["seen"])) >= MOST_VISITS:
        return HOME
    spread = 0.8 + 0.4 * streams.uniform_of(visit, Purpose.FOLLOW_UP_TIME, 0)
    who["time"] = end + condition["follow_up_minutes"] * spread
    return ask(who, window_end) if point["bookable"] else walk(point, hours, who, window_end, LAYERS)


@kernel
def _visits(seen: int) -> int:
    """Visits of an episode so far, at all levels."""
    number = 0
    for level in range(COUNTED_LEVELS):
        number += (seen >> (4 * level)) & 15
    return number


# ------------------------------------------------------------------------------------------------------------ going up


@kernel
def _sent_up(place: Place, people: People, counts: Counts, who: Any, visit: np.uint64) -> int:
    """What comes of a patient who needs more than the place gives; refusal and lapse are written down."""
    facility = place.facilities[int(who["origin"])]
    formal_possible = facility["has_channel"] and who["person"] >= 0
    ends_here = facility["in_group"] and not facility["has_channel"] and who["person"] >= 0
    partner_possible = ends_here and _member(place, who, int(who["origin"])) < 0
    outcome = referral.up(people.worlds[int(who["world"])], visit, formal_possible, partner_possible)
    if outcome == referral.DECLINED or outcome == referral.LAPSED:
        status = DECLINED if outcome == referral.DECLINED else LAPSED
        tell_referral(counts, who, _asked(place, people, who, visit), FORMAL_CHANNEL, status)
    return outcome


@kernel
def _referred(place: Place, people: People, who: Any, visit: np.uint64, end: float) -> int:
    """The platform, after its delay, asks the receiving hospital for an appointment; the patient is on the way."""
    target = _asked(place, people, who, visit)
    _send(place, people, who, target, end)
    return place.offers[target, int(who["condition"])]["point"]


@kernel
def _asked(place: Place, people: People, who: Any, visit: np.uint64) -> int:
    """Whom the formal channel asks: a member able to help or the lead, which itself asks a partner outside."""
    facility = int(who["origin"])
    if not place.facilities[facility]["has_channel"]:
        return len(place.facilities) - 1
    member = _member(place, who, facility)
    to_lead = streams.uniform_of(visit, Purpose.UP_CHOICE, 0) < people.worlds[int(who["world"])]["to_lead"]
    return place.facilities[facility]["lead"] if member < 0 or to_lead else member


@kernel
def _send(place: Place, people: People, who: Any, target: int, end: float) -> None:
    """A patient formally referred is on the way as soon as the platform has answered."""
    contracted = people.contracted[int(who["world"]), int(who["person"])]
    who["cls"], who["doors"] = REFERRED_CONTRACTED if contracted else REFERRED, 0
    delay = people.worlds[int(who["world"])]["delay_days"] * DAY
    who["time"] = end + max(delay, minutes_to(place, people, who, target))


@kernel
def _to_partner(town: Town, who: Any, end: float) -> int:
    """Out of the area by the formal channel, to a hospital that takes whoever is referred (M32)."""
    outside = len(town.place.facilities) - 1
    _send(town.place, town.people, who, outside, end)
    who["kind"] = TO_PARTNER
    tell_referral(town.counts, who, outside, FORMAL_CHANNEL, COMPLETED)
    return -1


@kernel
def _member(place: Place, who: Any, facility: int) -> int:
    """The hospital, not the lead, to which the formal channel leads from a facility for such a need, -1 = none."""
    offer = place.offers[facility, int(who["condition"])]
    return offer["specialist"] if who["need"] > 3 else offer["member"]


@kernel
def _alone(town: Town, who: Any, end: float) -> int:
    """Self-referral: a hospital of the patient's choice if it is able to help, else the grid's lead, or outside."""
    place, who["doors"] = town.place, 0
    lead = doors.lead_of(place, town.people, who, int(who["origin"]))
    allowed = ALL_HOSPITALS & ~NEAR_HOSPITAL if who["need"] > 3 else ALL_HOSPITALS
    point = doors.choose(town.people, town.tables, who, allowed, False)
    if point >= 0 and not able(place, who, place.points[point]["facility"]):
        helps = lead >= 0 and lead != place.points[point]["facility"] and able(place, who, lead)
        point = place.offers[lead, int(who["condition"])]["point"] if helps else -1
    target = place.points[point]["facility"] if point >= 0 else len(place.facilities) - 1
    who["time"] = end + minutes_to(place, town.people, who, target)
    if point < 0:
        tell_referral(town.counts, who, target, SELF_CHANNEL, COMPLETED)
    return point


@kernel
def _transferred(place: Place, people: People, who: Any, end: float) -> int:
    """An emergency beyond the department goes on to that of its group's lead hospital, or out of the area."""
    lead, who["time"] = place.facilities[int(who["origin"])]["lead"], end
    if lead < 0:
        lead = doors.lead_of(place, people, who, int(who["origin"]))
    if lead < 0 or lead == who["origin"] or place.emergency_point[lead] < 0:
        return -1
    who["time"] = end + minutes_to(place, people, who, lead)
    return place.emergency_point[lead]
