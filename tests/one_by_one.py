"""The second engine: the same model told one patient at a time, as a specification that runs (ruling R26).

One SimPy process for each episode, a priority queue at each service point, appointment books that settle in rounds:
slow, and short enough to be read; begin with `Town.patient`. The place, the needs, the rules of the day, the beds and
all decisions are the model's own; waiting rooms, appointment books and the way of a patient through them are told anew,
one event after the other. On any town the visits and stays are those of `sim.past.simulate`, to the last bit
(test_one_by_one.py).

Two rules are not physics but part of the model: requests of a half-day are answered at its end (R5), and within a
half-day patients move only to higher layers, others wait for the next window (R3).
"""

from __future__ import annotations

import math
from collections.abc import Generator, Iterator
from dataclasses import dataclass
from fractions import Fraction
from heapq import heapify, heappop, heappush
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import simpy

from sim import beds, contacts, referral
from sim.care import (
    NO_EQUIPMENT,
    admits,
    consultation,
    equipment,
    exacerbates,
    exacerbation_delay,
    exacerbation_of,
    exam,
    exam_turnaround,
    is_expired,
    is_made,
    is_read_remotely,
    made_up,
    made_up_delay,
    makes_up,
    patience,
    settled_by_advice,
    settled_by_reading,
)
from sim.choice import (
    DOOR_OF_LEVEL,
    DOORS,
    GRASSROOTS_DOORS,
    HOSPITAL_DOORS,
    OUTSIDE_DOOR,
    best_door,
    cell_of,
    first_door,
    point_behind,
)
from sim.contacts import (
    EXACERBATION,
    EXTRA,
    FOLLOW_UP,
    HELD_SLOT,
    INPATIENT,
    MADE_UP,
    OPEN_SLOT,
    OTHER,
    READMISSION,
    REFERRED,
    REFERRED_CONTRACTED,
    WALK_IN,
)
from sim.demand import CHUNK, falls_away, is_enrolled, is_online, settle_truth
from sim.model import Case, Model
from sim.network import EMERGENCY, IMAGING, Level
from sim.records import (
    CHANNELS,
    COMPLETED,
    DECLINED,
    FORMAL_CHANNEL,
    KINDS,
    LAPSED,
    LATE_EXAM,
    RETURN,
    SELF_CHANNEL,
    STATUSES,
)
from sim.sessions import priority_of, visit_key
from sim.stays import Stay
from sim.streams import Purpose, child_of, uniform_of
from sim.timetable import DAY, HALF_DAY, hours, present_from
from sim.visits import MOST_VISITS

ENDS, STARTS, CLOCK, ARRIVALS = 0, 1, 2, 3
"""Order at one instant (R18): ends, starts of those waiting, the clock, then arrivals by id (ARRIVALS + id)."""

OUTSIDE = -1
"""The service point of those who leave the area."""

WORLD = 0
"""The one replication, as decisions want it."""

Contact = Any
"""A patient: one row of dtype contacts.CONTACT, which is changed as the patient goes along."""

Story = Generator[simpy.Event, Any, Any]


def simulate_one_by_one(case: Case, replication: int) -> dict[str, pd.DataFrame]:
    """The rows of one replication, `visits`, `stays` and `referrals` upwards."""
    town = Town(case, replication)
    town.run()
    assert town.issued == len(town.referrals) + town.on_the_way(), "every referral ends once, or is on the way"
    return {
        "visits": pd.DataFrame(town.visits),
        "stays": town.tables(0)["stays"],
        "referrals": pd.DataFrame(town.referrals),
    }


class Plan(NamedTuple):
    """Where a patient means to go."""

    point: int
    minute: float
    """From when: the minute of the request, or of setting out."""
    books: bool
    """Asks for an appointment rather than walking in."""


class Visit(NamedTuple):
    """A visit that is over."""

    point: int
    key: np.uint64
    place: float
    """Place in line."""
    end: float
    window_end: float
    """End of the window to which the visit belongs; where the patient goes back to a lower layer, not before (R3)."""
    left: bool
    """Went away without being seen, or found the waiting room full."""


class Wards(NamedTuple):
    """The wards that are open on a day, and what places are able to do more."""

    admitting: Any
    """Ward for (facility, department), -1 = none."""
    intensive: Any
    """The same of intensive care."""
    run: Any
    """Beds of each ward that are in service, less than one where it is closed."""
    group: Any
    """Group of each facility, -1 = none."""
    given: Any
    """Level of care that (facility, condition) gets."""
    reach: Any
    """Chance that a need one level beyond (facility, condition) is met there after all."""


@dataclass
class Session:
    """The appointment book of one half-day."""

    offered: int
    held: int
    open: int
    extra: int
    given: int = 0


class ServicePoint:
    """The doctors of a service point and the queue before them (R1)."""

    def __init__(self, env: simpy.Environment, places: int) -> None:
        self.env, self.places = env, places
        self.doctors = self.busy = 0
        self.closes = 0.0
        """Last admission of the session."""
        self.queue: list[tuple[int, float, int, simpy.Event]] = []

    def is_full(self) -> bool:
        """Whether whoever comes now finds no doctor free and no place to wait."""
        return self.busy >= self.doctors and len(self.queue) >= self.places

    def line_up(self, rank: int, place: float, key: int) -> simpy.Event:
        """Join the queue: the event of being called, whose value is the minute."""
        turn = self.env.event()
        heappush(self.queue, (rank, place, key, turn))
        self._call(place)
        return turn

    def give_up(self, turn: simpy.Event) -> None:
        """Leave the queue."""
        self.queue = [waiting for waiting in self.queue if waiting[-1] is not turn]
        heapify(self.queue)

    def release(self, minute: float) -> None:
        """A doctor is free."""
        self.busy -= 1
        self._call(minute)

    def open(self, doctors: int, closes: float, minute: float) -> None:
        """A session begins."""
        self.doctors, self.closes = doctors, closes
        self._call(minute)

    def _call(self, minute: float) -> None:
        """Free doctors take the highest class, then the earliest place in line, then the lowest id."""
        while self.queue and self.busy < self.doctors:
            self.busy += 1
            heappop(self.queue)[-1].succeed(minute)


@dataclass
class Request:
    """Somebody asks for an appointment."""

    who: Contact
    point: int
    minute: float
    answer: simpy.Event
    """Its value: place in line of the appointment and kind of slot, None = refused."""


class Town(Model):
    """The same place, people and rules; patients go their way one by one."""

    def __init__(self, case: Case, replication: int) -> None:
        super().__init__(case, [replication])
        net, pop = self.network, self.population
        self.hours = hours(self.timetable, net.patterns)
        self.figures = self.care.tables()
        self.has, self.panel = self.capacities[0], self.demands[0].panel
        self.points = [ServicePoint(self.env, int(places)) for places in self.has.waiting_places]
        # the last entry stands for non-residents, whose number is -1
        self.area, self.trait = np.append(pop.area, 0).astype(np.int64), np.append(pop.trait, 0).astype(np.int64)
        self.station = np.append(pop.station, -1).astype(np.int64)
        self.requests: list[Request] = []
        self.visits: list[dict[str, Any]] = []
        self.referrals: list[dict[str, Any]] = []
        """How referrals upwards ended."""
        self.issued = 0
        """Referrals upwards that were asked for, or that patients made themselves."""
        self.stories: list[tuple[simpy.Process, Contact]] = []
        self.wards_on: list[Wards] = []
        """Which wards take whose patients, on each day so far."""
        self._forget_week()

    def run(self, progress: Any = None) -> None:
        """Run to the horizon."""
        self._begin()
        self.renew_choice()
        self.books = {p: self._book(p) for p, point in enumerate(self.network.points) if point.bookable}
        self.env.process(self.clock())
        for p, point in enumerate(self.points):
            self.env.process(self.keep_hours(p, point))
        self.env.run(until=self.until(self.timetable.horizon, ARRIVALS))  # with the last settlement
        self._write_stays()

    # ---------------------------------------------------------------- the patient

    def begin(self, who: Contact) -> None:
        """An episode begins."""
        self.stories.append((self.env.process(self.patient(who)), who))

    def patient(self, who: Contact) -> Story:
        """One episode, from the need to its end: a door, the way in, the consultation, and what comes of it."""
        minute = float(who["time"])
        yield self.until(minute)
        if self.is_spared(who):
            return
        if self.stays_away(who):
            self.missed(who, minute)
            return
        point = self.first_point(who, minute)
        if self.is_online(who, point):
            self.write_row(who, point, "internet", minute, minute, minute, False)
            return
        plan: Plan | None = self.at_door(who, point, minute)
        while plan is not None:
            place = yield from self.come_in(who, plan)
            if place is None:  # left the area, found no door, or did not come
                return
            visit = yield from self.consult(who, place)
            if not visit.left and self.is_imaged(who, visit):
                visit = yield from self.imaged(who, visit)
                if visit is None:  # did not come to the exam
                    return
            if not visit.left:
                plan = self.what_next(who, visit)
            elif self.tries_again(who, visit.point):
                yield self.until(visit.place + DAY, ARRIVALS + int(who["key"]))
                minute = visit.place + DAY
                plan = self.at_door(who, self.first_point(who, minute), minute)
            else:
                self.missed(who, visit.end)
                return

    def _fall_ill_again(self, rows: contacts.Rows) -> None:
        for who in rows:
            self.begin(who)

    def missed(self, who: Contact, minute: float) -> None:
        """A follow-up to which nobody has seen is made up for days later, or may end in an emergency."""
        if who["panel"] < 0 or who["seen"] > 0:
            return
        patient, nth = self.panel.key[who["panel"]], int(who["nth"])
        condition = self.figures.conditions[WORLD, who["condition"]]
        called = who["chronic"] == FOLLOW_UP and is_enrolled(patient, self.rules_now["care_centre"])
        if called and makes_up(self.figures, WORLD, patient, nth):
            again = who.copy()
            again["key"], again["chronic"], again["doors"], again["origin"] = made_up(patient, nth), MADE_UP, 0, -1
            again["time"] = minute + made_up_delay(self.figures, WORLD, again["key"])
            self.begin(again)
        elif exacerbates(condition, patient, nth):
            ill = contacts.empty(1)
            ill["key"] = exacerbation_of(patient, nth)
            ill["time"] = minute + exacerbation_delay(condition, ill["key"][0])
            ill["person"], ill["condition"] = who["person"], condition["exacerbates_to"]
            ill["chronic"] = EXACERBATION
            settle_truth(ill, self.figures.conditions)
            self.begin(ill[0])

    def come_in(self, who: Contact, plan: Plan | None) -> Story:
        """By appointment or walking in, one door after the other: the place in line, None = in vain."""
        while plan is not None and plan.point != OUTSIDE:
            point, minute, books = plan
            who["point"] = point
            if not books:
                place = self.present_from(who, point, minute)
                yield self.until(place, ARRIVALS + int(who["key"]))
                if self.admits(who, point):
                    return place
                minute = place  # turned away: asks for an appointment
            if minute > self.env.now:
                yield self.until(minute)
            appointment = yield self.ask(who, point, minute)
            if appointment is None and (beside := int(self.network.ordinary_point[point])) >= 0:
                who["point"] = point = beside  # the expert is booked up: the next round asks at the ordinary clinic
                appointment = yield self.ask(who, point, minute)
            if appointment is not None:
                return (yield from self.keep(who, *appointment))
            plan = self.next_door(who, point, minute)
        if plan is not None and who["admit"]:
            self._stay_outside(np.array([who]), np.array([plan.minute]))
        return None

    def keep(self, who: Contact, minute: float, how: int) -> Story:
        """Keep an appointment a little early or late, or stay away; nobody comes after the last admission."""
        luck = np.uint64(child_of(who["key"], int(who["seen"]) + 7))
        if uniform_of(luck, Purpose.NO_SHOW, 0) < self.choice.no_show[WORLD]:
            self.lose_referral(who, int(who["point"]))
            self.missed(who, minute)
            return None
        who["entry"] = how
        last = float(self.hours["closes"][self.pattern(int(who["point"])), int(minute // HALF_DAY)]) - 1.0
        arrival = minute + uniform_of(luck, Purpose.PUNCTUALITY, 0) * 30.0 - 20.0
        place = max(min(arrival, last), minute)
        yield self.until(place, ARRIVALS + int(who["key"]))
        return place

    def consult(self, who: Contact, place: float) -> Story:
        """Wait, be seen, go for the exam and come back into the same queue with the results (R4), or lose patience."""
        point, key = int(who["point"]), int(who["key"])
        room, level, emergency = self.points[point], self.level(point), self.is_emergency(point)
        visit = np.uint64(visit_key(who, level))
        look = consultation(self.figures, visit, WORLD, int(who["condition"]), len(Level) if emergency else level)
        rank = priority_of(who, self.figures, emergency, self.rules_now["priority"])
        endures = patience(self.figures, visit, WORLD)
        gone = place + endures
        if is_expired(self.figures, WORLD, place - float(who["begun"])):
            who["examined"] = 0

        if room.is_full():
            self.tell_wait(who, point, endures)
            self.lose_referral(who, point)
            return Visit(point, visit, place, place, math.inf, True)
        turn = room.line_up(rank, place, key)
        yield turn | self.until(gone, CLOCK)
        if not turn.triggered:
            room.give_up(turn)
            self.lose_referral(who, point)
            return self.write_down(who, Visit(point, visit, place, gone, math.inf, True), None)
        begin: float = turn.value
        last, end = begin, begin + look
        if self.is_examined(who, visit, point, begin):
            exam = exam_turnaround(self.figures, visit, who, level)
            yield self.until(end, ENDS)
            room.release(end)
            yield self.until(end + exam, ARRIVALS + key)
            last = yield room.line_up(rank, end + exam, key)
            end = last + look * float(self.care.second_look[WORLD])
        over = self.write_down(who, Visit(point, visit, place, end, self.window_end(room, last), False), begin)
        if self.is_referred(who):
            self.tell_referral(who, self.facility(point), self.channel(who), COMPLETED)
        who["origin"] = -1
        yield self.until(end, ENDS)
        room.release(end)
        return over

    def is_imaged(self, who: Contact, visit: Visit) -> bool:
        """Whether a hospital's clinic asks for large equipment, and there is a room for its patients."""
        clinic = self.level(visit.point) >= Level.secondary and not self.is_emergency(visit.point)
        return clinic and self.imaging_room(who, visit) is not None

    def imaging_room(self, who: Contact, visit: Visit) -> int | None:
        """The room with the equipment that a visit asks for, a service point: here, at the lead hospital or near."""
        kind = equipment(self.figures, visit.key, who)
        room = self.network.imaging_room[self.facility(visit.point), kind] if kind != NO_EQUIPMENT else -1
        return int(self.network.imaging_point[room]) if room >= 0 else None

    def imaged(self, who: Contact, visit: Visit) -> Story:
        """An exam by appointment, if one is to be had, and back to the clinic that asked for it (R4)."""
        appointment = yield self.ask(who, self.imaging_room(who, visit), visit.end)
        minute = self.env.now
        if appointment is not None:
            if uniform_of(visit.key, Purpose.IMAGING_NO_SHOW, 0) < self.choice.no_show[WORLD]:
                return None
            minute = appointment[0] + float(self.care.imaging_report[WORLD])
        place, key = self.present_from(who, visit.point, minute), int(who["key"])
        yield self.until(place, ARRIVALS + key)
        who["entry"] = WALK_IN
        room, level = self.points[visit.point], self.level(visit.point)
        rank = priority_of(who, self.figures, False, self.rules_now["priority"])
        begin = yield room.line_up(rank, place, key)
        end = begin + consultation(self.figures, visit.key, WORLD, int(who["condition"]), level) * float(
            self.care.second_look[WORLD]
        )
        back = Visit(visit.point, visit.key, place, end, self.window_end(room, begin), False)
        self.write_down(who, back, begin, RETURN)
        yield self.until(end, ENDS)
        room.release(end)
        return back

    def imaged_in_bed(self, stay: Stay, who: Contact, answer: simpy.Event) -> Story:
        """An exam in the first session with a place after it is due; the stay is so much longer (R25)."""
        appointment = yield answer
        if appointment is not None:
            report = appointment[0] + float(self.care.imaging_report[WORLD])
            stay.prolong(report - float(who["wanted"]), LATE_EXAM, self.env.now)

    def room_of(self, stay: Stay) -> int:
        """The room with the equipment that a stay asks for, a service point."""
        facility = self.network.wards[stay.pool.number].facility
        return int(self.network.imaging_point[self.network.imaging_room[facility, stay.course.exam]])

    def is_examined(self, who: Contact, visit: np.uint64, point: int, begin: float) -> bool:
        """Whether an exam is made, not spared by results of another institution; keeps in mind where and when."""
        made = self.exam_is_made(who, visit, point)
        if made:
            who["examined"], who["begun"] = self.facility(point) + 1, begin
        return made

    def exam_is_made(self, who: Contact, visit: np.uint64, point: int) -> bool:
        """Of a hospital's exams a grassroots member makes its own, and some more if the group reads them (M12)."""
        facility, level, rules = self.facility(point), self.level(point), self.rules_now
        read = float(rules["read_remotely"]) if level < Level.secondary and self.has_channel(facility) else 0.0
        return bool(is_made(exam(self.figures, visit, who, facility, level, rules["recognised"], read)))

    def what_next(self, who: Contact, visit: Visit) -> Plan | None:
        """What comes of being seen: home, back another day, a bed, or up, by the formal channel or alone."""
        who["seen"] = int(who["seen"]) + (1 << 4 * self.level(visit.point))
        who["origin"] = -1
        if self.able(who, self.whose_doctors(visit.point), visit):
            if self.may_be_admitted(who, visit):
                self.think_of_bed(who)
            return self.treated(who, visit)
        if self.is_emergency(visit.point):
            return self.transferred(who, visit)
        if self.may_be_settled(who, visit) and self.is_settled(who, visit):
            return self.asked_back(who, visit)
        if (joint := self.joint_clinic(who, visit)) is not None:
            return self.to_joint_clinic(who, visit, joint)
        if (ward := self.joint_ward(who, visit)) is not None:
            self.to_joint_ward(who, visit, ward)
            return None
        return self.goes_up(who, visit)

    def goes_up(self, who: Contact, visit: Visit) -> Plan | None:
        """By the formal channel, alone, out of the area; or not."""
        facility, sendable = self.facility(visit.point), who["person"] >= 0
        outcome = referral.up(
            self.rules_now, visit.key, self.has_channel(facility) and sendable,
            self.is_beyond_group(who, visit) and sendable,
        )  # fmt: skip
        if outcome == referral.FORMAL:
            return self.referred(who, visit)
        if outcome == referral.PARTNER:
            return self.to_partner(who, visit)
        if outcome in (referral.DECLINED, referral.LAPSED):
            self.issued += 1
            who["origin"] = facility
            asked = self.asked(who, visit) if self.has_channel(facility) else self.network.outside
            status = DECLINED if outcome == referral.DECLINED else LAPSED
            self.tell_referral(who, asked, FORMAL_CHANNEL, status)
            who["origin"] = -1
        if outcome in (referral.SELF, referral.DECLINED):
            return self.goes_alone(who, visit)
        if outcome == referral.STAYS and not who["admit"]:
            return self.asked_back(who, visit)
        return None

    def may_be_settled(self, who: Contact, visit: Visit) -> bool:
        """The group may help residents at its grassroots members, unless a bed is needed."""
        return self.is_at_member(who, visit) and not who["admit"]

    def is_at_member(self, who: Contact, visit: Visit) -> bool:
        """A resident at a grassroots member of a group."""
        grassroots = self.level(visit.point) < Level.secondary and self.has_channel(self.facility(visit.point))
        return bool(grassroots and who["person"] >= 0)

    def is_settled(self, who: Contact, visit: Visit) -> bool:
        """An exam that the group has read was all that was missing, or else a specialist helps."""
        if self.is_advised(who, visit):
            return True
        made = self.exam_is_made(who, visit.key, visit.point)
        read = made and is_read_remotely(self.figures, visit.key, who, self.level(visit.point))
        if read and settled_by_reading(self.figures, visit.key, WORLD):
            return True
        return referral.settled(self.rules_now, visit.key) != referral.NOBODY

    def joint_clinic(self, who: Contact, visit: Visit) -> int | None:
        """The joint clinic that the patient goes to: where the need is met by its doctors, and the advice followed."""
        net, here = self.network, self.facility(visit.point)
        urgent = self.choice.is_emergency[who["condition"]]
        if not self.rules_now["joint_clinics"] or urgent or not self.may_be_settled(who, visit):
            return None
        takes = [p for p in self.joint_clinics() if self.takes(p, here, self.department(who))]
        near = sorted(takes, key=lambda p: (self.facility(p) != here, net.km(here, self.facility(p))))
        if not near or not self.able(who, self.whose_doctors(near[0]), visit):
            return None
        advised = uniform_of(visit.key, Purpose.JOINT, 0) < self.rules_now["follows_advice"]
        return near[0] if advised else None

    def to_joint_clinic(self, who: Contact, visit: Visit, point: int) -> Plan:
        """By appointment, as soon as the patient can be there."""
        there = self.facility(point)
        way = 0.0 if there == self.facility(visit.point) else self.travel(who, there)
        who["doors"] = 0
        return Plan(point, visit.end + way, True)

    def joint_ward(self, who: Contact, visit: Visit) -> int | None:
        """The joint ward in which the patient asks for a bed: the lead hospital's care is enough, the advice followed.

        The one of the place, else the nearest; one of the department rather than a general one.
        """
        net, here = self.network, self.facility(visit.point)
        wanted = net.departments[self.department(who)]
        if not who["admit"] or self.choice.is_emergency[who["condition"]] or not self.is_at_member(who, visit):
            return None
        lead, date = self.lead_of_group(here), self.timetable.date(self.day(visit))
        own = self.ward(who, lead, visit)
        names = {wanted, "general"} if own < 0 or net.wards[own].department == "general" else {wanted}
        takes = [
            n for n, w in enumerate(net.wards)
            if w.kind == "joint" and w.is_open(date) and net.group[w.facility] == net.group[here]
            and w.department in names
        ]  # fmt: skip
        if not takes:
            return None
        where = [w.facility for w in net.wards]
        near = min(takes, key=lambda n: (where[n] != here, net.km(here, where[n]), net.wards[n].department != wanted))
        run = self.wards_on[self.day(visit)].run[near] >= 1
        if not run or net.capability[lead, who["condition"]] < who["need"]:
            return None
        advised = uniform_of(visit.key, Purpose.JOINT_WARD, 0) < self.rules_now["follows_advice"]
        return near if advised else None

    def to_joint_ward(self, who: Contact, visit: Visit, ward: int) -> None:
        """At once, or after the way there."""
        there = self.network.wards[ward].facility
        way = 0.0 if there == self.facility(visit.point) else self.travel(who, there)
        self.ask_for_bed(who, visit, ward, int(who["cls"]) + 1, visit.end + way)

    def joint_clinics(self) -> list[int]:
        """Clinics below at which doctors of lead hospitals see patients."""
        return [p for p, point in enumerate(self.network.points) if point.kind == "joint"]

    def takes(self, joint: int, facility: int, department: int) -> bool:
        """Whether a joint clinic is for a department's patients of a facility."""
        net, wanted = self.network, self.network.points[joint].department
        if net.group[self.facility(joint)] != net.group[facility]:
            return False
        lead, general = self.lead_of_group(facility), wanted == "general"
        at_lead = {p.department for p in net.points if p.facility == lead and p.kind == "ordinary"}
        return net.departments[department] == wanted or (general and net.departments[department] not in at_lead)

    def whose_doctors(self, point: int) -> int:
        """The facility whose doctors see patients at a service point."""
        joint = self.network.points[point].kind == "joint"
        return self.lead_of_group(self.facility(point)) if joint else self.facility(point)

    def is_spared(self, who: Contact) -> bool:
        """A follow-up that a long prescription makes unnecessary."""
        if who["chronic"] != FOLLOW_UP:
            return False
        patient = self.panel.key[who["panel"]]
        return bool(falls_away(patient, int(who["nth"]), self.rules_now["long_prescription"]))

    def is_online(self, who: Contact, point: int) -> bool:
        """A stable patient's follow-up at a hospital's clinic that is able to help, on the internet."""
        if who["chronic"] != FOLLOW_UP or point == OUTSIDE or self.is_emergency(point) or who["need"] > 2:
            return False
        online = is_online(self.panel.key[who["panel"]], int(who["nth"]), self.rules_now["internet"])
        gives = self.network.capability[self.facility(point), who["condition"]]
        here = self.level(point) >= Level.secondary and gives >= who["need"] and not who["admit"]
        return bool(online and here)

    # ---------------------------------------------------------------- doors

    def first_point(self, who: Contact, minute: float) -> int:
        """A non-resident's declared hospital, a long-term patient's usual place, or a door chosen now."""
        if who["person"] < 0 and who["origin"] >= 0:
            point = self.point_of(who, int(who["origin"]))
            who["origin"] = -1
        elif (rescue := self.rescue_centre(who)) is not None:
            point = rescue
        elif who["chronic"] == MADE_UP and not who["doors"]:
            point = self.choose(who, set(GRASSROOTS_DOORS))
            point = self.choose(who, set(range(len(DOORS)))) if point == OUTSIDE else point
        else:
            point = self.usual_door(who, minute)
        if self.is_refilled_near(who, point):
            near = self.choose(who, set(GRASSROOTS_DOORS))
            point = point if near == OUTSIDE else near
        return int(self.station[who["person"]]) if self.is_collected_at_home(who, point) else point

    def is_collected_at_home(self, who: Contact, point: int) -> bool:
        """A prescription of a centre of the group, which its integrated station at home has (M26)."""
        station = int(self.station[who["person"]])
        if who["doors"] or point == OUTSIDE or not self.choice.prescription_only[who["condition"]]:
            return False
        group = self.network.group[self.facility(point)]
        called_back = who["chronic"] == MADE_UP
        if self.level(point) not in (2, 3) or called_back or station < 0 or not self.is_integrated(station):
            return False
        collects = uniform_of(who["key"], Purpose.COLLECTED, 0) < self.choice.collects_at_station[WORLD]
        return bool(collects and group == self.network.group[self.facility(station)])

    def is_integrated(self, point: int) -> bool:
        """Whether a service point is a station that is run as one with a centre of its group."""
        return self.level(point) == Level.village_station and bool(self.journey.town.place.integrated[WORLD, point])

    def is_advised(self, who: Contact, visit: Visit) -> bool:
        """A need that the centre of an integrated station could meet may be settled by its advice."""
        here, net = self.facility(visit.point), self.network
        if not self.is_integrated(visit.point):
            return False
        centres = [f for f in range(net.outside) if net.level[f] in (2, 3) and net.group[f] == net.group[here]]
        near = min(centres, key=lambda f: net.km(here, f))
        return self.able(who, near, visit) and bool(settled_by_advice(self.figures, visit.key, WORLD))

    def at_door(self, who: Contact, point: int, minute: float) -> Plan:
        """Through a door: who asks for an appointment there may prefer the expert."""
        books = self.would_book(who, point)
        return Plan(self.asked_at(who, point) if books else point, minute, books)

    def asked_at(self, who: Contact, point: int) -> int:
        """The clinic at which one asks who is to have an appointment at an ordinary one."""
        expert = int(self.network.expert_point[point])
        prefers = uniform_of(who["key"], Purpose.EXPERT, 0) < self.choice.prefers_expert[WORLD]
        return expert if expert >= 0 and prefers else point

    def usual_door(self, who: Contact, minute: float) -> int:
        """A long-term patient's usual place, at the grassroots for those enrolled; the others choose."""
        if (point := self.usual_place(who, minute)) < 0:
            point = self.choose(who, self.untried(who) if who["doors"] else None)
        if who["chronic"] == FOLLOW_UP and not who["doors"]:
            hospital = point == OUTSIDE or self.level(point) >= Level.secondary
            if hospital and is_enrolled(self.panel.key[who["panel"]], self.rules_now["care_centre"]):
                near = self.choose(who, set(GRASSROOTS_DOORS))
                point = point if near == OUTSIDE else near
            if point != OUTSIDE:
                self.panel.usual[who["panel"]] = point
        return point

    def rescue_centre(self, who: Contact) -> int | None:
        """The emergency department of the lead hospital to which the ambulance takes an emergency at once."""
        treated = self.choice.rescue_centre[who["condition"]] & self.rules_now["rescue_centres"]
        if who["doors"] or who["person"] < 0 or not treated:
            return None
        lead = self.lead_of_grid(who)
        there = lead is not None and self.network.emergency_point[lead] >= 0
        if there and uniform_of(who["key"], Purpose.RESCUE, 0) < self.rules_now["rescue_bypass"]:
            return int(self.network.emergency_point[lead])
        return None

    def is_refilled_near(self, who: Contact, point: int) -> bool:
        """A prescription from a hospital that is filled at the grassroots."""
        if who["doors"] or point == OUTSIDE or not self.choice.prescription_only[who["condition"]]:
            return False
        flows = uniform_of(who["key"], Purpose.REFILL, 0) < self.rules_now["refill_at_grassroots"]
        return bool(flows and self.level(point) >= Level.secondary)

    def usual_place(self, who: Contact, minute: float) -> int:
        """-1 = none yet, or a year's re-choice has come."""
        if who["panel"] < 0 or who["doors"]:
            return -1
        panel, row, year = self.panel, int(who["panel"]), int(minute // (365 * DAY))
        due = uniform_of(panel.key[row], Purpose.RECHOICE, year) < self.choice.rechoice[WORLD]
        again = due and panel.chosen_in[row] != year
        panel.chosen_in[row] = year
        return -1 if again else int(panel.usual[row])

    def choose(self, who: Contact, allowed: set[int] | None) -> int:
        """The best door of all, emergencies apart with persuasion, or of those allowed; then the facility."""
        person, condition = int(who["person"]), int(who["condition"])
        contracted = self.journey.town.people.contracted[WORLD, person]
        utility = self.choices.utility[cell_of(self.choices, WORLD, self.trait[person], contracted, condition)]
        if allowed is None and not self.choice.is_emergency[condition]:
            door = first_door(utility, self.choices.gumbel, who["key"], self.advised(condition))
        else:
            free = set(range(len(DOORS))) if allowed is None else allowed
            door = best_door(utility, self.choices.gumbel, who["key"], sum(1 << d for d in free))
        if door in (-1, OUTSIDE_DOOR):
            return OUTSIDE
        column = self.choices.conditions[condition]["column"]
        area, station = self.area[person], self.station[person]
        return int(point_behind(self.choices, who["key"], door, WORLD, column, area, station))

    def advised(self, condition: int) -> float:
        """Who would begin at a hospital is advised against it: all where there is a gate, a share in an epidemic."""
        name, rules = self.conditions[condition], self.rules[WORLD]
        if name in rules.first_contact.gate:
            return 1.0
        share = rules.surge.fever_clinics if name in rules.surge.needs else 0.0
        return max(float(rules.first_contact.adherence), float(share))

    def stays_away(self, who: Contact) -> bool:
        """In an epidemic of something else, a first need or follow-up that is not brought to care."""
        rules = self.rules[WORLD].surge
        if self.conditions[who["condition"]] in rules.needs or who["chronic"] not in (0, FOLLOW_UP):
            return False
        return bool(uniform_of(who["key"], Purpose.STAYS_AWAY, 0) >= rules.other_needs)

    def untried(self, who: Contact) -> set[int]:
        """All doors but those of the places that could not help."""
        return {door for door in range(len(DOORS)) if not who["doors"] & 1 << door}

    def tries_again(self, who: Contact, point: int) -> bool:
        """Whether there is patience for one more door after this one."""
        who["origin"] = self.facility(point)
        who["doors"] |= 1 << DOOR_OF_LEVEL[self.level(point)]
        tried = len(DOORS) - len(self.untried(who))
        return bool(tried < self.choice.doors_tried[WORLD] and who["person"] >= 0)

    def next_door(self, who: Contact, point: int, minute: float) -> Plan | None:
        """Refused: the next door is asked in the same settlement (R5); at last the emergency department, or nothing."""
        self.lose_referral(who, point)
        if self.tries_again(who, point):
            allowed = self.untried(who)
            if who["need"] > 2 and who["seen"] > 0:
                allowed &= set(HOSPITAL_DOORS)
            there = self.choose(who, allowed)
            if there == OUTSIDE or there in self.books:
                return Plan(there if there == OUTSIDE else self.asked_at(who, there), minute, True)
            return Plan(there, self.env.now, False)
        emergency = int(self.network.emergency_point[self.facility(point)])
        if who["need"] <= 2 or emergency < 0:
            self.missed(who, self.env.now)
            return None
        who["doors"], who["origin"] = 0, -1
        return Plan(emergency, self.env.now, False)

    def would_book(self, who: Contact, point: int) -> bool:
        """Whether the patient asks for an appointment there: by habit, and whenever care is planned."""
        luck = uniform_of(who["key"], Purpose.DOOR_BOOKS, self.network.point_number[point])
        planned = who["panel"] >= 0 or who["cls"] < OTHER or who["doors"] > 0
        return point in self.books and bool(planned or luck < self.choice.books[WORLD])

    def present_from(self, who: Contact, point: int, minute: float) -> float:
        """When a walk-in can be in line: at once, or soon after the next opening."""
        late = uniform_of(who["key"], Purpose.PUNCTUALITY, 0)
        return float(present_from(self.hours, self.pattern(point), minute, late))

    def admits(self, who: Contact, point: int) -> bool:
        """Where one books, a walk-in takes what is free on arrival, then an extra place, else is turned away (R6)."""
        who["entry"] = WALK_IN
        if point in self.books:
            session = self.books[point][int(self.env.now // HALF_DAY)]
            if session.open:
                session.open -= 1
                who["entry"] = OPEN_SLOT
            elif session.extra:
                session.extra -= 1
                who["entry"] = EXTRA
            else:
                return False
        return True

    # ---------------------------------------------------------------- after the visit

    def may_be_admitted(self, who: Contact, visit: Visit) -> bool:
        """A planned patient at an ordinary or expert clinic of a group that has a ward and care enough for a stay."""
        here, urgent = self.facility(visit.point), self.choice.is_emergency[who["condition"]]
        if self.is_emergency(visit.point) or urgent or who["chronic"] == READMISSION:
            return False
        own = self.network.points[visit.point].kind != "joint" and self.network.group[here] >= 0
        enough = self.network.capability[here, who["condition"]] >= max(int(who["need"]), 2)
        return bool(own and enough and self.ward(who, here, visit) >= 0)

    def think_of_bed(self, who: Contact) -> None:
        """A doctor with incentives: the odds of an admission are so many times those of a bed that is needed (M23)."""
        condition = self.figures.conditions[WORLD, who["condition"]]
        odds, needed, resident = float(self.rules_now["admission_odds"]), bool(who["admit"]), who["person"] >= 0
        if odds != 1.0:
            who["admit"] = admits(condition, who["key"], odds, needed, resident)
            who["need"] = max(int(who["need"]), 2) if who["admit"] else who["need"]

    def treated(self, who: Contact, visit: Visit) -> Plan | None:
        """The place gives what is needed: home or back another day, or a bed."""
        if not who["admit"]:
            if who["panel"] >= 0 and who["need"] <= 2 and not self.is_emergency(visit.point):
                self.hand_down(who, visit)
            return self.asked_back(who, visit)
        ward = self.ward(who, self.facility(visit.point), visit)
        entry = beds.EMERGENCY if self.is_emergency(visit.point) else int(who["cls"]) + 1
        self.ask_for_bed(who, visit, ward, entry, visit.end)
        return None

    def ask_for_bed(self, who: Contact, visit: Visit, ward: int, entry: int, minute: float) -> None:
        """A bed of a ward, after intensive care where it is needed and open on the day of the visit."""
        today, self.intensive_for = self.intensive_for, self.wards_on[self.day(visit)].intensive
        self._ask_for_bed(np.array([who]), np.array([ward]), np.array([entry]), np.array([minute]))
        self.intensive_for = today

    def hand_down(self, who: Contact, visit: Visit) -> None:
        """A hospital of a group hands a stable long-term patient to the grassroots door that suits best."""
        row, facility = int(who["panel"]), self.facility(visit.point)
        here = self.level(visit.point) >= Level.secondary and self.network.group[facility] >= 0
        if here and referral.handed_down(self.panel.key[row], self.rules_now["sent_down"]):
            near = self.choose(who, set(GRASSROOTS_DOORS))
            if near != OUTSIDE:
                self.env.process(self.from_then_on(row, near, visit.window_end))

    def from_then_on(self, row: int, point: int, minute: float) -> Story:
        """A long-term patient's usual place is another one from the next window on (R3)."""
        yield self.until(max(minute, self.env.now), CLOCK)
        self.panel.usual[row] = point

    def referred(self, who: Contact, visit: Visit) -> Plan:
        """The platform asks a hospital of the group, after its delay; the patient is under way meanwhile."""
        target = self.asked(who, visit)
        who["origin"], who["doors"] = self.facility(visit.point), 0
        self.issued += 1
        return self.onward(who, visit, self.point_of(who, target), self.sent(who, visit, target))

    def asked(self, who: Contact, visit: Visit) -> int:
        """The hospital of the group that the formal channel asks: a member able to help, or the lead."""
        facility = self.facility(visit.point)
        prefers_lead = uniform_of(visit.key, Purpose.UP_CHOICE, 0) < self.rules_now["to_lead"]
        member = self.member_hospital(who, visit)
        return self.lead_of_group(facility) if prefers_lead or member is None else member

    def sent(self, who: Contact, visit: Visit, target: int) -> float:
        """Formally referred: the class, and the minute of arrival or of the platform's answer."""
        contracted = self.journey.town.people.contracted[WORLD, who["person"]]
        who["cls"] = REFERRED_CONTRACTED if contracted else REFERRED
        return visit.end + max(float(self.rules_now["delay_days"]) * DAY, self.travel(who, target))

    def is_beyond_group(self, who: Contact, visit: Visit) -> bool:
        """At a lead hospital: no other hospital that serves its group is able to help either."""
        at_lead = bool(self.network.is_lead[self.facility(visit.point)])
        return at_lead and self.member_hospital(who, visit) is None

    def to_partner(self, who: Contact, visit: Visit) -> Plan:
        """Referred to a partner outside, where a bed is had after the partner's wait."""
        who["kind"], who["origin"] = contacts.TO_PARTNER, self.facility(visit.point)
        minute = self.sent(who, visit, self.network.outside)
        self.issued += 1
        self.tell_referral(who, self.network.outside, FORMAL_CHANNEL, COMPLETED)
        return Plan(OUTSIDE, minute, False)

    def member_hospital(self, who: Contact, visit: Visit) -> int | None:
        """The nearest hospital of the group, or that serves it too, able to give secondary or such tertiary care."""
        facility = self.facility(visit.point)
        net, department, care = self.network, self.department(who), max(int(who["need"]), 3)
        group, lead = net.groups[net.group[facility]], self.lead_of_group(facility)
        able = []
        for f, hospital in enumerate(net.facilities):
            joined = hospital.id in self.rules[WORLD].private.members and hospital.spec.may_join == group
            serves = joined or group == hospital.spec.group or group in hospital.spec.also_serves
            equipped = net.clinic_point[f, department] >= 0 and self.ward(who, f, visit) >= 0
            if serves and equipped and hospital.level >= Level.secondary and f not in (lead, facility):
                able += [f] if net.capability[f, who["condition"]] >= care else []
        return min(able, key=lambda f: net.km(facility, f), default=None)

    def goes_alone(self, who: Contact, visit: Visit) -> Plan:
        """Self-referral: a hospital of the patient's choice if it is able to help, else the grid's lead, or outside."""
        who["doors"] = 0
        point = self.choose(who, set(HOSPITAL_DOORS) - ({HOSPITAL_DOORS[0]} if who["need"] > 3 else set()))
        if point != OUTSIDE and not self.able(who, self.facility(point), visit):
            lead = self.lead_for(who, self.facility(visit.point))
            to_lead = lead not in (None, self.facility(point)) and self.able(who, lead, visit)
            point = self.point_of(who, lead) if to_lead else OUTSIDE
        who["origin"] = self.facility(visit.point)
        target = self.network.outside if point == OUTSIDE else self.facility(point)
        self.issued += 1
        if point == OUTSIDE:
            self.tell_referral(who, target, SELF_CHANNEL, COMPLETED)
        return self.onward(who, visit, point, visit.end + self.travel(who, target))

    def transferred(self, who: Contact, visit: Visit) -> Plan:
        """An emergency beyond the department goes on to that of its group's lead hospital, or out of the area."""
        facility = self.facility(visit.point)
        group = int(self.wards_on[self.day(visit)].group[facility])
        lead = int(self.network.lead_of_group[group]) if group >= 0 else self.lead_for(who, facility)
        point = OUTSIDE if lead in (None, facility) else int(self.network.emergency_point[lead])
        who["origin"] = facility
        if point == OUTSIDE:
            return Plan(OUTSIDE, visit.end, False)
        self.issued += int(self.is_referred(who))
        return self.onward(who, visit, point, visit.end + self.travel(who, lead))

    def asked_back(self, who: Contact, visit: Visit) -> Plan | None:
        """Some of those treated come back to the same place, by appointment where there are any."""
        asked = uniform_of(visit.key, Purpose.FOLLOW_UP, 0) < self.care.follow_up[WORLD, who["condition"]]
        visits = sum(int(who["seen"]) >> 4 * level & 15 for level in range(6))
        if not asked or visits >= MOST_VISITS or self.is_emergency(visit.point):
            return None
        spread = 0.8 + 0.4 * uniform_of(visit.key, Purpose.FOLLOW_UP_TIME, 0)
        minute = visit.end + float(self.care.follow_up_minutes[WORLD, who["condition"]]) * spread
        if visit.point in self.books:
            return Plan(visit.point, minute, True)
        return Plan(visit.point, max(minute, visit.window_end), False)

    def onward(self, who: Contact, visit: Visit, point: int, minute: float) -> Plan:
        """Within a half-day patients go only to higher layers; who goes back waits for the next window (R3)."""
        plan = self.at_door(who, point, minute)
        back = point != OUTSIDE and self.network.points[point].layer <= self.network.points[visit.point].layer
        return plan._replace(minute=max(minute, visit.window_end)) if back and not plan.books else plan

    def day(self, visit: Visit) -> int:
        """The day by which is decided what comes of a visit: of one over midnight that of its window (R18)."""
        return math.ceil(visit.window_end / DAY) - 1

    def window_end(self, room: ServicePoint, begin: float) -> float:
        """End of the window in which a consultation begins; overtime belongs to the window of the last admission."""
        window = self.timetable.window
        return math.ceil(room.closes / window) * window if begin > room.closes else (begin // window + 1) * window

    # ---------------------------------------------------------------- appointments

    def ask(self, who: Contact, point: int, minute: float) -> simpy.Event:
        """Ask for an appointment; the answer comes at the end of the half-day."""
        request = Request(who, point, minute, self.env.event())
        self.requests.append(request)
        return request.answer

    def settle(self) -> Story:
        """Requests are answered in the order class, minute, id; in rounds: the refused ask at their next door (R5)."""
        for stay, who in zip(*self._orders(), strict=True):
            self.env.process(self.imaged_in_bed(stay, who, self.ask(who, self.room_of(stay), float(who["time"]))))
        while self.requests:
            asked, self.requests = sorted(self.requests, key=self.turn), []
            for request in asked:
                request.answer.succeed(self.grant(request))
            yield self.until(self.env.now, CLOCK)

    def turn(self, request: Request) -> tuple[int, float, int]:
        """Place of a request in the order of settlement."""
        cls = int(request.who["cls"]) if self.rules_now["priority"] else OTHER
        if request.who["stage"] == INPATIENT and request.who["entry"] == beds.EMERGENCY:
            cls = 0
        return cls, request.minute, int(request.who["key"])

    def grant(self, request: Request) -> tuple[float, int] | None:
        """The first session with a place, held ones first for those entitled; None = none within patience."""
        patience_days = float(self.choice.patience_days[WORLD])
        now = int(self.env.now // HALF_DAY)
        earliest = max(now, int(request.minute // HALF_DAY))
        latest = min(now + 2 * int(self.choice_specs[0].booking_days.value), earliest + round(2 * patience_days))
        if request.who["stage"] == INPATIENT:
            earliest, latest = now, now + 2 * int(self.choice_specs[0].booking_days.value)
        granted, days = None, round(patience_days)
        for half in range(earliest, latest + 1):
            if (how := self.take_slot(request, self.books[request.point][half])) is not None:
                granted = self.appointed(request.point, half), how
                days = max(half // 2 - int(request.minute // DAY), 0)
                break
        if request.who["cls"] == OTHER:
            self.week["days"][request.point] += days
            self.week["requests"][request.point] += 1
        return granted

    def take_slot(self, request: Request, session: Session) -> int | None:
        """Held slots are for formally referred patients before their first visit at the hospital."""
        who = request.who
        entitled = who["cls"] < OTHER and int(who["seen"]) >> 4 * self.level(request.point) & 15 == 0
        if self.is_imaging(request.point):
            asked_by = int(who["origin"]) if who["stage"] == INPATIENT else self.facility(int(who["point"]))
            passed_down = self.network.group[asked_by] >= 0 and asked_by != self.facility(request.point)
            entitled = who["cls"] < OTHER or passed_down
        if entitled and session.held:
            session.held -= 1
            return HELD_SLOT
        if session.open:
            session.open -= 1
            return OPEN_SLOT
        return None

    def appointed(self, point: int, half: int) -> float:
        """Appointments follow each other through the session in the order in which they are given."""
        session, today = self.books[point][half], self.hours[self.pattern(point), half]
        opens, closes = today["opens"], today["closes"]
        session.given += 1
        return float(opens + (session.given - 0.5) / session.offered * (closes - opens))

    def _book(self, point: int) -> list[Session]:
        """All sessions of a clinic; held slots are share x slots, the rounding error carried on (R7)."""
        share, owed, book = Fraction(0), Fraction(0), []
        for half, (in_force, here) in enumerate(self._offers_by_half_day(point)):
            if in_force != share:
                share, owed = in_force, Fraction(0)
            size = self.hours["size"][self.pattern(point), half]
            slots = round(self.has.slots[point] * (size * here))
            owed += share * slots
            held = math.floor(owed)
            owed -= held
            book.append(Session(slots, held, slots - held, round(self.has.extra[point] * size)))
        return book

    def _offers_by_half_day(self, point: int) -> Iterator[tuple[Fraction, float]]:
        """Share of slots held, of lead hospitals alone, and of doctors who are here."""
        imaging = self.is_imaging(point)
        lead = int(self.network.is_lead[self.facility(point)])
        for half in range(2 * self.timetable.known_days):
            rules = self.policies[0].on(self.timetable.date(half // 2))
            ordinary = rules.expert_quota if self.network.points[point].kind == "expert" else rules.slot_quota
            quota = rules.imaging_quota if imaging else ordinary
            yield Fraction(quota.held_for_referral) * lead, self._share_here(point, rules)

    # ---------------------------------------------------------------- time

    def until(self, minute: float, priority: int = STARTS) -> simpy.Event:
        """That minute exactly: SimPy adds a delay to the present, and the sum may miss it by a rounding error."""
        event = self.env.event()
        event._ok, event._value = True, None
        self.env.put(event, minute, priority)
        return event

    def clock(self) -> Story:
        """Midnight brings the rules of the day, every half-day ends with the settlement of requests."""
        for half in range(2 * self.timetable.days):
            if half % 2 == 0:
                self.midnight(half // 2)
            yield self.until((half + 1) * HALF_DAY, CLOCK)
            yield from self.settle()

    def midnight(self, day: int) -> None:
        """New rules, perceived waits on Mondays (R14), held slots released, and every four weeks the needs to come."""
        if day > 0:
            self._write_stays()
        if day > 0 and self.timetable.date(day) in self.rule_dates:
            self._put_in_force(day)
            self.choices = self.choice.tables()
        reach = self.journey.town.place.reach[WORLD]
        net = self.network
        today = self.ward_at, self.intensive_for, self.beds_run[WORLD], net.group, net.capability, reach
        self.wards_on.append(Wards(*today))
        if day > 0 and self.timetable.weekday[day] == 0:
            self._post_doctors(self.week["visits"][None, :])
            self.waits.renew(*(self.week[x][None, :] for x in ("days", "requests", "minutes", "visits")))
            self._forget_week()
            self.renew_choice()
        for book in self.books.values():
            for session in book[2 * day : 2 * (day + int(self.journey.release_days[WORLD])) + 2]:
                session.open, session.held = session.open + session.held, 0
        if day % CHUNK == 0:
            needs = self.demands[0].chunk(day // CHUNK, surge=self._surge(WORLD, day // CHUNK))
            settle_truth(needs, self.figures.conditions)
            for who in needs:
                self.begin(who)

    def renew_choice(self) -> None:
        """The tables of choice follow the perceived waits."""
        self.choice.renew(self.waits)
        self.choices = self.choice.tables()

    def keep_hours(self, number: int, point: ServicePoint) -> Story:
        """Doctors come for every session; an emergency department is open for ever."""
        for session in self.hours[self.pattern(number), : 2 * self.timetable.days]:
            if session["size"] > 0:
                opens, closes = float(session["opens"]), float(session["closes"])
                yield self.until(opens, CLOCK)
                full, late = self.doctors_here(number)
                doctors = max(math.ceil(full * session["size"] - 1e-9), 1)
                if late > 0.0 and math.ceil((full - 1) * session["size"] - 1e-9) < doctors:
                    point.open(doctors - 1, closes, opens)
                    opens += late * (closes - opens)
                    yield self.until(opens, CLOCK)
                point.open(doctors, math.inf if self.is_emergency(number) else closes, opens)

    def doctors_here(self, number: int) -> tuple[int, float]:
        """Doctors of a full session, without those of a lead hospital's clinic who work elsewhere; one stays. And by
        what part of it one comes later, because public-health work leaves them so much less time."""
        full = int(self.has.doctors[number] + self.posted[WORLD, number])
        here = max(round(full * self._share_here(number, self.rules[WORLD])), min(full, 1))
        time = here * self.clinic_time(number)
        doctors = math.ceil(time - 1e-9)
        return doctors, max(doctors - time, 0.0)

    def clinic_time(self, point: int) -> float:
        """Time of a clinic's doctors for it over the base year: stations take public-health work over from the nearest
        centre, or leave it more to it (M27)."""
        share, facts = self.rules[WORLD].villages.public_health_share, self.case.network.public_health
        if share is None or facts is None or (here := self.township(point)) is None:
            return 1.0
        clinics = [p for p in range(len(self.points)) if self.township(p) == here]
        time = {
            below: sum(self._weekly_work(p) for p in clinics if (self.level(p) == Level.village_station) == below)
            for below in (True, False)
        }
        base, part, freed = (x.value for x in (facts.at_stations, facts.doctors_time, facts.freed_for_clinics))
        work = time[True] * (part / (1.0 - part)) / base
        taken = min(max((share - base) * work, -0.95 * time[False] / max(freed, 0.05)), 0.95 * time[True])
        below = self.level(point) == Level.village_station
        return 1.0 - taken / time[True] if below else 1.0 + freed * taken / time[False]

    def township(self, point: int) -> int | None:
        """The area of the centre with which a clinic shares public-health work: stations with the nearest one."""
        net, places = self.network, self.network.points
        clinics = [p for p in range(len(places)) if self.walks_in(p) and self.level(p) in (2, 3)]
        if not clinics or not self.walks_in(point) or self.level(point) not in (0, 2, 3):
            return None
        near = min((net.km(self.facility(point), self.facility(p)), self.facility(p)) for p in clinics)
        return int(net.area[near[1]])

    def walks_in(self, point: int) -> bool:
        """Whether a service point is an ordinary clinic without slots."""
        clinic = self.network.points[point]
        other = clinic.bookable or self.is_emergency(point) or self.is_imaging(point)
        return not other and clinic.kind == "ordinary"

    def _share_here(self, point: int, rules: Any) -> float:
        """Of a clinic's doctors, those not at work elsewhere; of a joint clinic's, those for whose slots it is held; a
        sub-centre's are joined by others."""
        held, facility = float(rules.shared.joint_clinics), self.network.facilities[self.facility(point)]
        if self.network.points[point].kind == "joint":
            return held
        if facility.id in rules.capability.sub_centres:
            return float(self.has.sub_centre_doctors[self.facility(point)])
        if not self.network.is_lead[self.facility(point)] or self.is_emergency(point) or self.is_imaging(point):
            return 1.0
        away = float(rules.shared.specialists_away)
        return 1.0 - max(min(away + held * self._lent_by(point), 0.95), away)

    def _lent_by(self, point: int) -> float:
        """Doctors' time that all joint clinics together would take, over that of the lead hospital's clinic."""
        clinic = self.network.points[point]
        if clinic.kind != "ordinary":
            return 0.0
        lent, names = 0.0, {p.department for p in self.network.points if p.facility == clinic.facility}
        for p in self.joint_clinics():
            wanted = self.network.points[p].department
            name = wanted if wanted in names else "general"
            if self.lead_of_group(self.facility(p)) == clinic.facility and name == clinic.department:
                lent += self._weekly_work(p)
        return lent / self._weekly_work(point)

    def _weekly_work(self, point: int) -> float:
        return int(self.has.doctors[point]) * self.timetable.weekly_minutes(self.network.points[point].pattern)

    # ---------------------------------------------------------------- what is known

    @property
    def rules_now(self) -> Any:
        """The rules of the day: a row of adherence, priority and the fields of referral.UpRules."""
        return self.journey.town.people.worlds[WORLD]

    def facility(self, point: int) -> int:
        """Facility of a service point."""
        return self.network.points[point].facility

    def level(self, point: int) -> int:
        """Level of the facility of a service point."""
        return int(self.network.level[self.facility(point)])

    def pattern(self, point: int) -> int:
        """Opening pattern of a service point."""
        return int(self.network.point_pattern[point])

    def is_emergency(self, point: int) -> bool:
        """Whether a service point is an emergency department."""
        return self.network.points[point].department == EMERGENCY

    def is_imaging(self, point: int) -> bool:
        """Whether a service point is a room with large equipment."""
        return self.network.points[point].department in IMAGING

    def has_channel(self, facility: int) -> bool:
        """A formal channel leads up from every institution of a group but its lead hospital."""
        return bool(self.network.group[facility] >= 0 and not self.network.is_lead[facility])

    def lead_of_group(self, facility: int) -> int:
        """Lead hospital of the group of a facility that has one."""
        return int(self.network.lead_of_group[self.network.group[facility]])

    def lead_of_grid(self, who: Contact) -> int | None:
        """Lead hospital of the group in whose grid a resident lives; a sole group needs no grids."""
        groups, areas = self.case.network.groups, self.case.network.areas
        grid = areas[self.network.areas[self.area[who["person"]]]].grid or next(iter(groups), None)
        return self.network.facility_index(groups[grid].lead) if grid else None

    def lead_for(self, who: Contact, facility: int) -> int | None:
        """The lead hospital for somebody whom no institution sends to one; visitors take that of where they are."""
        if who["person"] >= 0:
            return self.lead_of_grid(who)
        if self.network.group[facility] >= 0:
            return self.lead_of_group(facility)
        leads = sorted(self.network.lead_of_group.tolist())
        return min(leads, key=lambda lead: self.network.km(facility, lead), default=None)

    def department(self, who: Contact) -> int:
        """Department of the patient's condition."""
        return int(self.choice.department[who["condition"]])

    def travel(self, who: Contact, facility: int) -> float:
        """Minutes from home."""
        return float(self.has.travel[self.area[who["person"]], facility])

    def ward(self, who: Contact, facility: int, visit: Visit) -> int:
        """The ward of a facility that takes the patient's condition and is open on the day of a visit, -1 = none."""
        return int(self.wards_on[self.day(visit)].admitting[facility, self.department(who)])

    def able(self, who: Contact, facility: int, visit: Visit) -> bool:
        """Whether a facility can give what the episode needs, the bed included."""
        ward = self.ward(who, facility, visit)
        bed = not who["admit"] or (ward >= 0 and self.wards_on[self.day(visit)].run[ward] >= 0)
        given = int(self.wards_on[self.day(visit)].given[facility, who["condition"]])
        chance = self.wards_on[self.day(visit)].reach[facility, who["condition"]]
        if uniform_of(who["key"], Purpose.WITHIN_REACH, 0) < chance:
            given += 1
        return bool(given >= who["need"] and bed)

    def point_of(self, who: Contact, facility: int) -> int:
        """The service point of a facility that takes the patient's condition."""
        clinic = int(self.network.clinic_point[facility, self.department(who)])
        emergency = int(self.network.emergency_point[facility])
        urgent = self.choice.is_emergency[who["condition"]] and emergency >= 0
        return emergency if urgent or clinic < 0 else clinic

    # ---------------------------------------------------------------- writing down

    def _forget_week(self) -> None:
        self.week = {x: np.zeros(len(self.points), dtype=np.int64) for x in ("days", "requests", "minutes", "visits")}

    def tell_wait(self, who: Contact, point: int, minutes: float) -> None:
        """A wait, or what somebody would have waited who found the room full, of which others will hear (R14)."""
        if who["cls"] == OTHER:
            self.week["minutes"][point] += round(minutes)
            self.week["visits"][point] += 1

    def write_down(self, who: Contact, visit: Visit, begin: float | None, kind: int | None = None) -> Visit:
        """The row of a visit whose last look begins, or whose patient leaves, now."""
        self.tell_wait(who, visit.point, (visit.end if begin is None else begin) - visit.place)
        kind = int(self.is_emergency(visit.point)) if kind is None else kind
        self.write_row(who, visit.point, KINDS[kind], visit.place, begin, visit.end, visit.left)
        return visit

    def is_referred(self, who: Contact) -> bool:
        """On the way because somebody sent the patient up, or the patient decided to go."""
        return bool(who["origin"] >= 0 and who["doors"] == 0)

    def on_the_way(self) -> int:
        """Referrals that have not ended yet; the hospital of a visitor's need that is yet to arise is none."""
        return sum(story.is_alive and who["point"] >= 0 and self.is_referred(who) for story, who in self.stories)

    def channel(self, who: Contact) -> int:
        """Those who were ever formally referred in this episode count as such."""
        return FORMAL_CHANNEL if who["cls"] < OTHER else SELF_CHANNEL

    def lose_referral(self, who: Contact, point: int) -> None:
        """A referral ends before the patient is seen."""
        if self.is_referred(who):
            self.tell_referral(who, self.facility(point), self.channel(who), LAPSED)

    def tell_referral(self, who: Contact, to: int, channel: int, status: int) -> None:
        """The row of a referral that ends."""
        ids = [*(f.id for f in self.network.facilities), "outside"]
        self.referrals.append({
            "episode": who["key"], "person": who["person"], "condition": self.conditions[who["condition"]],
            "channel": CHANNELS[channel], "from_facility": ids[who["origin"]], "to_facility": ids[to],
            "status": STATUSES[status],
        })  # fmt: skip

    def write_row(
        self, who: Contact, point: int, kind: str, place: float, begin: float | None, end: float, left: bool
    ) -> None:
        """One row of a visit."""
        self.visits.append({
            "episode": who["key"], "facility": self.network.facilities[self.facility(point)].id, "point": point,
            "kind": kind, "cls": contacts.CLASSES[who["cls"]], "entry": contacts.WAYS_IN[who["entry"]], "time": place,
            "begin": begin, "end": end, "left": left,
        })  # fmt: skip
