"""One batch of replications: build the place, open the doors, run to the horizon.

Replications of one scenario ride together as worlds of one batch. Luck is keyed by person and replication, so how they
are packed cannot change a result; it only spreads the fixed cost of a half-day over several of them. SimPy owns every
move: the opening of a window is an event, and each stay one of its own. At any midnight a model can be copied and the
copy go on under another policy.
"""

from __future__ import annotations

import gc
import math
from bisect import bisect_right
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from copy import deepcopy
from dataclasses import dataclass, field
from datetime import date
from fractions import Fraction
from itertools import chain
from typing import Any

import numpy as np
import pandas as pd
import simpy
from numpy.typing import NDArray

from sim import beds, capability, care, contacts, doors, loads, referral, timetable
from sim.accounts import Accounts
from sim.audit import Audit
from sim.beds import BedPool
from sim.care import STAY, Care, CareSpec
from sim.choice import DOORS, Choice, ChoiceSpec, PerceivedWaits
from sim.citation import draws
from sim.contacts import Rows
from sim.demand import CHUNK, Demand, DemandSpec, expected_rates, join_panels, settle_truth
from sim.doors import People, Place, offers
from sim.halves import Halves
from sim.journey import Journey
from sim.kernels import table
from sim.loads import Forecast
from sim.money import DOOR_OF_CLASS, Classes, Fees, MoneySpec, Tariff, asked, class_behind, unreferred
from sim.network import BELOW, EMERGENCY_LAYER, Capacities, Level, Network, NetworkSpec, ward_name
from sim.policy import RESCUE_CENTRES, BedQuota, Policy, Rules
from sim.population import AGES, Population, PopulationSpec
from sim.records import (
    LAST_HOME,
    LATE_EXAM,
    LEG,
    NO_BED_BELOW,
    NO_ORDINARY_BED,
    THEATRE,
    Ledger,
    Legs,
    count_request,
    join_legs,
)
from sim.referral import ReferralSpec, UpRules
from sim.sessions import Rooms, staff
from sim.slots import CLINIC_QUOTA, EXPERT_QUOTA, IMAGING_QUOTA, NO_QUOTA, Offer, SlotBook
from sim.staffing import ROOM, PublicHealth, integrated, on_duty, pools, posted
from sim.start import EMPTY, OVERFULL, Inpatients, entries, twice
from sim.stays import (
    ASKED,
    COURSE,
    OF_ADMISSION,
    OF_LEG,
    OPENINGS,
    TO_STEP_DOWN,
    Clock,
    Course,
    Courses,
    Hospital,
    Stay,
    admissions_of,
    ask,
    legs_of,
    stay_outside,
    told,
)
from sim.theatres import Places, Sessions
from sim.timetable import DAY, HALF_DAY, Timetable, TimetableSpec

LEVERS: dict[str, Callable[[Rules], Any]] = {
    "adherence": lambda r: float(r.first_contact.adherence),
    "priority": lambda r: r.priority.referred_contracted,
    "remote_consultation": lambda r: float(r.shared.remote_consultation),
    "specialist_settles": lambda r: float(r.shared.specialist_settles),
    "joint_clinics": lambda r: float(r.shared.joint_clinics),
    "sent_down": lambda r: float(r.chronic.sent_down),
    "long_prescription": lambda r: float(r.chronic.long_prescription),
    "refill_at_grassroots": lambda r: float(r.chronic.refill_at_grassroots),
    "care_centre": lambda r: float(r.chronic.care_centre),
    "internet": lambda r: float(r.chronic.internet),
    "recognised": lambda r: float(r.exams.recognised),
    "read_remotely": lambda r: float(r.exams.read_remotely),
    "rescue_bypass": lambda r: float(r.emergency.rescue_bypass),
    "without_referral": lambda r: float(r.insurance.without_referral),
    "admission_odds": lambda r: math.exp(r.incentives.admission_gain),
    "rescue_centres": lambda r: sum(1 << RESCUE_CENTRES.index(kind) for kind in r.emergency.rescue_centres),
}
"""Levers that act on the way of a patient, by the name under which kernels read them for each replication."""

MOST_LENT = 0.95
"""Share of an ordinary clinic's doctors who can be at joint clinics: somebody stays."""

STEP_DOWN_WARDS = 3
"""Wards a patient who steps down may be offered, nearest first."""

OUT_OF_SERVICE = -1
"""Beds of a ward that admits nobody; one with no bed at all may have a waiting list."""


@dataclass(frozen=True)
class Case:
    """All that the numbers of one scenario follow from, the replication apart."""

    network: NetworkSpec
    population: PopulationSpec
    timetable: TimetableSpec
    demand: DemandSpec
    choice: ChoiceSpec
    care: CareSpec
    referral: ReferralSpec
    money: MoneySpec
    policy: Policy
    seed: int
    uncertainty: str
    """`assumptions`: each replication draws every assumption from its range; `luck`: luck alone."""
    record: str
    """`days`: counts; `visits`: counts and rows."""
    warmup_from: date
    from_: date
    to: date
    """Last day, included."""
    nested: int = 1
    """Replications that share a draw, each with luck of its own: replication r draws as number r // nested."""
    audit: bool = field(default=False, compare=False)
    """Look into the hospitals at every midnight (`audit`); no result changes, so it makes no other case."""
    start: str = EMPTY
    """`empty`: nobody is there on the first day; `overfull`: full beds and doubled queues (`start`)."""

    def drawn(self, part: str, replications: Sequence[int]) -> list[Any]:
        """One part with each replication's draws of its assumptions."""
        stated = getattr(self, part)
        if self.uncertainty == "luck":
            return [stated for _ in replications]
        return draws(stated, self.seed, self.draws_of(replications), part)

    def draws_of(self, replications: Sequence[int]) -> list[int]:
        """The number of the draw that each replication takes."""
        return [replication // self.nested for replication in replications]


class Opening(simpy.Event):
    """The doors open, window after window."""

    __slots__ = ("model", "number")

    def __init__(self, model: Model) -> None:
        self.model, self.number = model, 0
        model.env.schedule(self, OPENINGS, 0.0)

    def act(self, now: float) -> None:
        """A window begins."""
        self.model.open_window(self.number)
        self.number += 1
        self.model.env.schedule(self, OPENINGS, self.model.timetable.window)


class Model:
    """One batch of replications, from an empty place to the horizon."""

    chunk: list[Rows]
    """Needs of the 28 days now drawn, by window; empty where they are yet to be drawn."""

    def __init__(self, case: Case, replications: list[int]) -> None:
        self.case, self.replications = case, replications
        self.worlds = len(replications)
        conditions = case.care.conditions
        treating = {c.department for c in conditions.values()}
        departments = sorted(treating | {d.department for f in case.network.facilities for d in f.clinics})
        self.network = Network(case.network, departments, {c: conditions[c].department for c in conditions})
        self.built = self.network
        """The network as the facts state it; `network` is that of today."""
        self.timetable = Timetable(case.timetable, case.warmup_from, case.to)
        self.population = Population(case.population, self.network, case.seed)
        self.conditions = self.network.conditions
        care_specs = case.drawn("care", replications)
        self.care = Care.of(care_specs, self.conditions)
        self.care_tables = self.care.tables()
        networks = case.drawn("network", replications)
        self.capacities = [self.network.capacities(n) for n in networks]
        self.weekly = np.array([self.timetable.weekly_minutes(p.pattern) for p in self.network.points])
        """Minutes of each doctor in a week, by service point."""
        self.public_health = self._public_health(networks)
        self.shares_integrated: list[float] = []
        """Share of village stations that are integrated, of each replication; before the first day of none yet."""
        self.posted = np.zeros((self.worlds, len(self.network.points)), dtype=np.int64)
        """Doctors that each clinic has this week more, or fewer, than of its own."""
        self.outside = self._outside(care_specs, networks)
        """Rows of wait, partner_wait and stay at hospitals outside the area, in minutes; (W,)."""
        self.demand_specs = case.drawn("demand", replications)
        self.referral_specs = case.drawn("referral", replications)
        self.population_specs = case.drawn("population", replications)
        self.choice_specs = case.drawn("choice", replications)
        self._build_choice()
        self._build_demand()
        self._build_journey()
        self._build_hospitals()
        self._build_accounts()
        self.forecasts = [self._forecast(w) for w in range(self.worlds)]
        self.inpatients = self._inpatients() if case.start == OVERFULL else []
        """Who lies in the wards of each replication on the first day."""
        self.audit: Audit | None = None
        self.days = 0
        """Days simulated so far."""
        self.follow(case)

    def follow(self, case: Case) -> None:
        """Go on under the policy of a case that differs in nothing else, and not in what was in force so far."""
        self.case = case
        self.policies = case.drawn("policy", self.replications)
        self.rule_dates = sorted({d for p in self.policies for d in p.dates()} | self.network.ward_moves)
        """Days on which rules may change, or wards open or close."""
        self._offers: dict[int, Offer] = {}
        self._tariffs: dict[int, Tariff] = {}

    def branch(self, case: Case) -> Model:
        """This model at this midnight, to go on by itself under the policy of another case.

        Until the copy is done with, this one must rest: what was counted so far is the past of both.
        """
        pools = [pool for hospital in self.hospitals for pool in hospital.pools]
        ledger = self.ledger.continued()
        memo: dict[int, Any] = {id(thing): thing for thing in self._unchanging()}
        memo |= {id(self.ledger): ledger, id(self.journey.town.counts): ledger.by_visit(len(self.journey.crowd.rows))}
        # pools first, and empty: who waits knows the pool, which knows who waits, who knows other pools, and so on deep
        memo |= {id(pool): BedPool(pool.number, pool.beds) for pool in pools}
        needs, self.chunk = self.chunk, []
        with _nothing_collected():
            other = deepcopy(self, memo)
            for pool in pools:
                vars(memo[id(pool)]).update(deepcopy(vars(pool), memo))
        other.chunk = needs  # they are many, so the copy takes them; this model will draw them anew
        other.follow(case)
        return other

    def _unchanging(self) -> Iterator[Any]:
        """What copies share, because no run ever changes it."""
        town = self.journey.town
        yield from (self.built, self.case, self.network, self.timetable, self.population, self.conditions, self.care)
        yield from (self.care_tables, self.capacities, self.demands, self.forecasts, self.expected_needs)
        yield from (self.demand_specs, self.referral_specs, self.population_specs, self.choice_specs)
        yield from (self.fees, self.classes, self.residents_of_grids)
        yield from (self.step_down_wards, self.other_wards, self.policies, self.replications, self.lent)
        yield self.public_health
        yield from (town.place, *town.place, town.people.residents, town.hours, self.choice.gumbel)

    def _build_choice(self) -> None:
        conditions = [self.case.care.conditions[c] for c in self.conditions]
        weights = np.array([self._expected_needs(w) for w in range(self.worlds)])
        self.expected_needs = weights
        self.choice = Choice(self.choice_specs, self.network, self.capacities, conditions, self.care.beyond, weights)
        half_life = np.array([s.wait_half_life_weeks.value for s in self.choice_specs])
        self.waits = PerceivedWaits.none(self.worlds, len(self.network.points), half_life)
        self.choice.renew(self.waits)
        self.standards = np.array([capability.stated_standards(self.network)] * self.worlds)
        """The standard that each facility has reached, (W, F + 1)."""
        self.feature = np.full_like(self.standards, -1)
        """The feature department that it has, -1 = none; (W, F + 1)."""

    def _expected_needs(self, world: int) -> NDArray[np.float64]:
        """First contacts a year by stratum of choice, contract and condition, with contracts as surveyed."""
        pop, spec = self.population, self.population_specs[world]
        rate = expected_rates(self.demand_specs[world], self.conditions)  # (conditions, ages)
        people = np.bincount(pop.trait, minlength=pop.traits).astype(float)
        contracted = np.bincount(pop.trait, weights=pop.contracts(spec), minlength=pop.traits)
        age = np.arange(pop.traits) // 2 % len(AGES)
        by_contract = np.stack([people - contracted, contracted], axis=1)
        return by_contract[:, :, None] * rate[:, age].T[:, None, :]

    def _build_demand(self) -> None:
        case = self.case
        factors = [self.population.area_factor(s) for s in self.population_specs]
        self.demands = []
        for w, timetable_spec in enumerate(case.drawn("timetable", self.replications)):
            timetable, r = Timetable(timetable_spec, case.warmup_from, case.to), self.replications[w]
            spec = self.demand_specs[w]
            self.demands.append(Demand(spec, self.population, factors[w], timetable, self.network, case.seed, r))
        self.panel_first = np.cumsum([0, *(len(d.panel.person) for d in self.demands)])
        """First row of each replication among the long-term patients of all."""
        self.chunk = []

    def _build_journey(self) -> None:
        net = self.network
        opening = timetable.hours(self.timetable, net.patterns)

        def each(what: str) -> NDArray[Any]:
            return np.array([getattr(c, what) for c in self.capacities])

        quota = np.where(net.is_lead[net.point_facility], CLINIC_QUOTA, NO_QUOTA)
        quota[net.imaging_point] *= IMAGING_QUOTA
        quota[net.ordinary_point >= 0] *= EXPERT_QUOTA
        self.lent = self._lent()
        """Share of the work of each clinic that all joint clinics together take along, (W, P)."""
        self.lead_clinics = np.isin(quota, (CLINIC_QUOTA, EXPERT_QUOTA)) & (net.point_layer < EMERGENCY_LAYER)
        ahead = self.choice.days_ahead
        book = SlotBook(opening, net.point_pattern, each("slots"), each("extra"), ahead, quota)
        keeps_rows = self.case.record == "visits"
        payer = self.population.accounts()
        self.ledger = Ledger(net, self.timetable, self.worlds, self.conditions, keeps_rows, payer)
        first = self.timetable.date(0)
        self._know_wards(first)
        place = Place.of(net, self.choice, self.ledger, each("travel"), first)
        people = People.of(self.population, join_panels([d.panel for d in self.demands]), self.choice)
        rooms = Rooms.of(self.care_tables, each("doctors"), each("waiting_places"), self._most_doctors())
        self.journey = Journey(
            place, people, self.timetable, opening, self.choice, self.waits, rooms, book, self.ledger
        )
        self.journey.offer = self._offer
        self.journey.ask_for_bed = self._ask_for_bed
        self.journey.stay_outside = self._stay_outside

    def _lent(self) -> NDArray[np.float64]:
        work = np.array([c.doctors * self.weekly for c in self.capacities])
        joint = np.flatnonzero(self.network.lends_to >= 0)
        lent = np.zeros_like(work)
        for p in joint:
            lent[:, self.network.lends_to[p]] += work[:, p]
        return lent / np.where(work > 0, work, 1.0)

    def _public_health(self, networks: list[NetworkSpec]) -> list[PublicHealth]:
        drawn = zip(networks, self.capacities, strict=True)
        return [PublicHealth.of(self.network, n.public_health, c.doctors * self.weekly) for n, c in drawn]

    def _most_doctors(self) -> int:
        """As many as any clinic may have: it is sent some, their public-health work goes to others, and its place
        becomes a sub-centre."""
        shared = pools(self.network, integrated(self.network, self.case.seed, 1.0)) >= 0
        most, both = np.where(shared, ROOM, 1), list(zip(self.public_health, self.capacities, strict=True))
        return max(
            int(np.ceil((most * c.doctors * self._grown(c) + 1) * work.clinic_time(share)).max())
            for work, c in both
            for share in (0.0, 1.0)
        )

    def _grown(self, has: Capacities) -> NDArray[np.float64]:
        """Doctors of each service point as a sub-centre's over those of the base year, at least 1."""
        return np.maximum(has.sub_centre_doctors, 1.0)[self.network.point_facility]

    def _build_hospitals(self) -> None:
        self.env = Clock()
        spec = self.case.care
        hours = (spec.discharge_from, spec.discharge_until), (spec.admission_from, spec.admission_until)
        on_transfer, self.courses = spec.recovery_starts_on_transfer, Courses()
        self.hospitals = [Hospital(self.env, _pools(c), *hours, on_transfer, self.courses) for c in self.capacities]
        for hospital in self.hospitals:
            hospital.goes_down = self._goes_down
            hospital.downstream = self._downstream
            hospital.gives_up = self._elsewhere
        for w in range(self.worlds):
            self._open_theatres(w)
        self.legs_outside: list[Legs] = []
        """Stays outside the area since the ledger was last written."""
        self.last_home = np.zeros((self.worlds, self.population.size), dtype=LAST_HOME)
        wards = self.network.wards
        self.other_wards: dict[tuple[int, int, int], list[int]] = {}
        self.beds_run = np.array([c.beds for c in self.capacities])
        """Beds of each ward that are in service, OUT_OF_SERVICE where it is closed; (W, wards)."""
        self.step_down_wards = self._step_down_wards()
        self.destinations = [self.case.care.conditions[c].steps_down_to for c in self.conditions]
        """Departments of wards to which stays with each condition may step down, None = any."""
        self.in_hospital = np.array([x.kind != "home" for x in wards], dtype=bool)
        """Wards whose beds count as hospital beds."""
        run_by = self.network.ward_run_by
        self.ward_rows = table(level=self.network.level[run_by], facility=[x.facility for x in wards])
        """Of each ward the facility, and the level of those who care for its patients."""
        large = (self.network.imaging_room[run_by] >= 0) & (self.network.level[run_by] >= Level.secondary)[:, None]
        self.has_room: list[list[bool]] = large.tolist()
        """Whether the patients of a ward have a room with each kind of large equipment, by ward and kind."""

    def _outside(self, care_specs: Sequence[CareSpec], networks: Sequence[NetworkSpec]) -> NDArray[Any]:
        there = [n.outside for n in networks]
        wait = np.array([outside.wait_days.value for outside in there])
        partners = np.array([(outside.partner_wait_days or outside.wait_days).value for outside in there])
        stay = np.array([s.outside_stay_days.value for s in care_specs])
        return table(wait=wait * DAY, partner_wait=partners * DAY, stay=stay * DAY)

    def _build_accounts(self) -> None:
        net, doors_of = self.network, [DOORS.index(door) for door in DOOR_OF_CLASS]
        price = np.array([[s.price.value[door] for door in DOORS] for s in self.choice_specs])[:, doors_of]
        employee = np.array([s.price_employee.value for s in self.choice_specs])
        self.fees = Fees.of(self.case.drawn("money", self.replications), price, employee)
        self.classes = Classes.of(net, [self.case.care.conditions[c].department for c in self.conditions])
        self.residents_of_grids = [self._residents_of_grids(spec) for spec in self.population_specs]
        self.accounts = Accounts(net, self.timetable, self.ledger, self.classes)
        self.accounts.tariff = self._tariff

    def _residents_of_grids(self, spec: PopulationSpec) -> list[float]:
        here = np.array([spec.residents[area].value for area in self.network.areas], dtype=float)
        grids = np.maximum(self.network.grid, 0)
        return np.bincount(grids, weights=here, minlength=max(len(self.network.groups), 1)).tolist()

    def _open_theatres(self, world: int) -> None:
        """Theatres, for the wards that a facility which states them runs; day centres, for those that lie there."""
        hospital, has = self.hospitals[world], self.capacities[world]
        hospital.operation_after = float(self.care.operation_after[world])
        hospital.exam_after = float(self.care.inpatient_exam_after[world])
        hospital.day_case_minutes = float(self.care.day_case_minutes[world])
        runs, lies = self.network.ward_run_by, self.ledger.ward_facility[:-1]
        for f, facility in enumerate(self.network.facilities):
            own = facility.spec
            kinds = (own.theatres, has.theatres, runs), (own.day_centre, has.day_centre, lies)
            for kind, (spec, slots, where) in enumerate(kinds):
                if spec is not None:
                    sessions = Sessions.of(self.timetable.opening(spec.pattern), int(slots[f]))
                    hospital.add_sessions(f, kind, Places(sessions), np.flatnonzero(where == f).tolist())

    def _step_down_wards(self) -> dict[tuple[int, int, int], list[int]]:
        """Wards for those who step down, by (replication, facility, area), nearest first: of groups that it serves, and
        joint wards of those that it leads."""
        net = self.network
        found: dict[tuple[int, int, int], list[int]] = {}
        for f in {ward.facility for ward in net.wards}:
            linked = (net.serves & net.serves[f]).any(axis=1)
            down = [i for i, ward in enumerate(net.wards) if ward.kind in BELOW and linked[ward.facility]]
            here = [i for i in down if net.wards[i].kind != "joint" or net.ward_run_by[i] == f]
            for w, capacities in enumerate(self.capacities):
                run = [i for i in here if self.beds_run[w, i] != OUT_OF_SERVICE]
                for a in range(len(net.areas)):
                    minutes = capacities.travel[a]
                    found[w, f, a] = sorted(run, key=lambda i: (minutes[net.wards[i].facility], i))
        return found

    # ---------------------------------------------------------------- rules

    def _rules_on(self, day: int) -> list[Rules]:
        return [p.on(self.timetable.date(day)) for p in self.policies]

    def _put_in_force(self, day: int) -> None:
        """The rules of a day, as arrays over replications."""
        rules = self._rules_on(day)
        self.rules = rules
        self.proposed = [referral.inclined(r.down_referral.proposed, r.incentives.down_referral_gain) for r in rules]
        """Share of eligible inpatients to whom a step down is proposed, by replication."""

        def each(read: Callable[[Rules], Any]) -> NDArray[Any]:
            return np.array([read(r) for r in rules])

        up = UpRules(
            formal_share=each(
                lambda r: referral.inclined(float(r.up_referral.formal_share), r.incentives.up_referral_gain)
            ),
            accepted=each(lambda r: float(r.up_referral.accepted)),
            delay_days=each(lambda r: float(r.up_referral.platform_delay_days)),
            referred_arrive=np.array([s.referred_arrive.value for s in self.referral_specs]),
            follows_advice=np.array([s.follows_advice.value for s in self.choice_specs]),
            to_lead=np.array([s.to_lead.value for s in self.referral_specs]),
            to_partner=each(lambda r: float(r.up_referral.to_partner)),
        )
        people = [(spec, r.contracts) for spec, r in zip(self.population_specs, rules, strict=True)]
        contracted = [
            self.population.contracts(spec, c.coverage, c.coverage_key, c.used, c.coverage_in) for spec, c in people
        ]
        gated = [np.isin(self.conditions, r.first_contact.gate) for r in rules]
        self._put_worth(rules)
        self._put_deductibles(rules)
        self._put_capability(self.timetable.date(day), rules)
        self.journey.put_in_force(
            {name: each(read) for name, read in LEVERS.items()} | vars(up),
            np.array([np.append(c, False) for c in contracted]),
            np.array(gated),
            each(lambda r: r.slot_quota.released_days_before).astype(np.int64),
            self._epidemic(rules),
        )
        self._integrate([float(r.villages.integrated) for r in rules])
        self._put_on_duty()
        self._run_wards(self.timetable.date(day), rules)
        for w, hospital in enumerate(self.hospitals):
            hospital.release_after = float(rules[w].bed_quota.released_after_hours) * 60.0
            hospital.day_share = float(rules[w].day_care.share)
            self._hold_beds(hospital, rules[w].bed_quota)
            ill = {n for n, name in enumerate(self.conditions) if name in rules[w].surge.needs}
            hospital.pause(float(rules[w].surge.planned_paused), ill)

    def _epidemic(self, rules: list[Rules]) -> NDArray[Any]:
        """`doors.People.epidemic`: what people do who are ill with it, and what all others."""
        of_it = np.array([[c in r.surge.needs for c in self.conditions] for r in rules])
        others, directed = (
            np.array([[float(share)] for share in shares])
            for shares in ((r.surge.other_needs for r in rules), (r.surge.fever_clinics for r in rules))
        )
        return table(brought=np.where(of_it, 1.0, others), directed=np.where(of_it, directed, 0.0))

    def _integrate(self, shares: list[float]) -> None:
        """Village stations become one with their township: its centre advises them, and shares drugs and doctors."""
        if shares == self.shares_integrated:
            return
        self.shares_integrated = shares
        stations = [integrated(self.network, self.case.seed, share) for share in shares]
        self.pools = [pools(self.network, these) for these in stations]
        """Clinics whose doctors are shared on Mondays, of each replication."""
        self.journey.put_integrated(np.array(stations))

    def _put_on_duty(self) -> None:
        """Doctors of the day: without those who work elsewhere, by the time that public-health work leaves them."""
        own = np.array([c.doctors for c in self.capacities])
        here = staff(own + self.posted, self._doctors_here(self.rules))
        both = [(work, r.villages.public_health_share) for work, r in zip(self.public_health, self.rules, strict=True)]
        self.journey.put_on_duty(*on_duty(here, np.array([work.clinic_time(share) for work, share in both])))
        self.health_work = np.array([work.minutes(share) for work, share in both]) / 7.0
        """Minutes of public-health work that are done a day by those of each clinic, (W, P)."""

    def _post_doctors(self, visits: NDArray[np.int64]) -> None:
        """Monday 00:00: shared doctors go to where most was asked of each (M37).

        `visits`: of those who came last week without a referral, (W, P); each is worth the mean minutes of its level.
        """
        before, level = self.posted, self.network.level[self.network.point_facility]
        shares = [Fraction(r.staff.shared) for r in self.rules]
        each = zip(self.capacities, self.pools, shares, visits * self.care.minutes[:, level], strict=True)
        self.posted = np.array([posted(c.doctors, pool, s, work, self.weekly) for c, pool, s, work in each])
        if (self.posted != before).any():
            self._put_on_duty()

    def _put_worth(self, rules: list[Rules]) -> None:
        """TCM halls and prices act on what doors are worth, which is otherwise reckoned anew on Mondays."""
        choice, halls = self.choice, np.array([float(r.tcm.halls) for r in rules])
        behind = np.array([[class_behind(door, urban) for door in DOORS] for urban in choice.urban.tolist()])
        worth = halls, asked(self.fees, rules)[:, 0][:, behind], unreferred(self.fees, rules)[:, behind]
        before = choice.tcm_halls, choice.asked, choice.unreferred
        if not all(map(np.array_equal, before, worth)):
            choice.tcm_halls, choice.asked, choice.unreferred = worth
            choice.renew(self.waits)
            self.journey.renew_tables()

    def _put_capability(self, day: date, rules: list[Rules]) -> None:
        """What places can do more acts on what is met there and on what residents think of them (M24, M25, M28)."""
        here = [r.capability for r in rules]
        # names are no assumption: they are the same in all replications
        net = self.built.with_sub_centres(here[0].sub_centres).with_members(rules[0].private.members)
        standards = np.array([capability.standards(net, c.standard) for c in here])
        feature = np.array([capability.feature_departments(net, float(c.feature_departments)) for c in here])
        same = (net.capability == self.network.capability).all() and (net.group == self.network.group).all()
        if same and (standards == self.standards).all() and (feature == self.feature).all():
            return
        self.network = self.choice.network = net
        self.standards, self.feature = standards, feature
        self.ledger.feature = feature
        by_standard = capability.more_than_stated(net, standards, self.care.higher_standard)
        by_feature = np.array([np.append(c.feature_settles, 0.0) for c in self.capacities])
        of = self.choice.department, self.choice.is_emergency
        reach = capability.reach(by_standard, by_feature, feature, *of)
        self.choice.know_capability(reach[:, :-1], feature[:, :-1])
        self.choice.renew(self.waits)
        self.journey.renew_tables()
        self.journey.put_capability(reach, feature)
        self._put_network(day)

    def _put_network(self, day: date) -> None:
        """What facilities are in their group, and what they give, is another; wards are those of before."""
        town, self.other_wards = self.journey.town, {}
        new = Place.of(self.network, self.choice, self.ledger, town.place.travel, day)
        place = town.place._replace(points=new.points, facilities=new.facilities, imaging_room=new.imaging_room)
        self.journey.town = town._replace(place=place)
        self.journey.put_wards(new.offers, self.beds_run != OUT_OF_SERVICE)
        self.step_down_wards = self._step_down_wards()

    def _put_deductibles(self, rules: list[Rules]) -> None:
        """What it is worth to patients not to pay the deductible of each ward again (M18)."""
        self.spared: list[list[float]] = []
        """By replication and ward; empty where it is to be paid again."""
        for w, (spec, rule) in enumerate(zip(self.choice_specs, rules, strict=True)):
            kind = self.classes.ward if rule.payment.fee_follows_place else self.classes.ward_run_by
            worth = spec.per_100_yuan.value / 100.0 * self.fees.deductible[w, kind]
            self.spared.append(worth.tolist() if rule.insurance.continuous_deductible else [])

    def _run_wards(self, day: date, rules: list[Rules]) -> None:
        """Wards open and close, and of joint wards as many beds are run as the rules say."""
        before, self.beds_run = self.beds_run, np.array([self._beds_on(day, w, r) for w, r in enumerate(rules)])
        if (self.beds_run == before).all():
            return
        self._know_wards(day)
        self.step_down_wards, self.other_wards = self._step_down_wards(), {}
        self.journey.put_wards(offers(self.network, self.choice, day), self.beds_run != OUT_OF_SERVICE)
        for w, hospital in enumerate(self.hospitals):
            moved = np.flatnonzero(self.beds_run[w] != before[w]).tolist()
            for n in sorted(moved, key=lambda n: self.beds_run[w, n] == OUT_OF_SERVICE):  # before some look for a bed,
                self._run_ward(hospital, hospital.pools[n], int(self.beds_run[w, n]))  # others open

    def _run_ward(self, hospital: Hospital, pool: BedPool, beds: int) -> None:
        if beds == OUT_OF_SERVICE:
            hospital.close(pool, self.env.now)
        else:
            pool.installed = beds
            hospital.open(pool, self.env.now)

    def _beds_on(self, day: date, world: int, rules: Rules) -> list[int]:
        """Beds of each ward that are in service on a day; a joint ward is where a bed of it is run (M09)."""
        wards, beds = self.network.wards, self._beds_there(world, rules)
        share, found = Fraction(rules.shared.joint_wards), []
        for ward, there in zip(wards, self._turned(day, beds, Fraction(rules.transformation.beds)), strict=True):
            run = there if ward.kind != "joint" else int(share * there + Fraction(1, 2)) or OUT_OF_SERVICE
            found.append(run if ward.is_open(day) else OUT_OF_SERVICE)
        return found

    def _beds_there(self, world: int, rules: Rules) -> list[int]:
        """Beds of each ward; sub-centres may have more (M28)."""
        has, where = self.capacities[world], self.ledger.ward_facility[:-1]
        own = np.array([w.kind in ("acute", "step_down") for w in self.network.wards], dtype=bool)
        grown = np.where(own & self._are_sub_centres(rules)[where], has.sub_centre_beds[where], 1.0)
        beds: list[int] = np.floor(grown * has.beds + 0.5).astype(np.int64).tolist()
        return beds

    def _turned(self, day: date, beds: list[int], share: Fraction) -> list[int]:
        """Beds of each ward when a share of some has become those of others; of these, those without any are closed."""
        wards, turned = self.network.wards, list(beds)
        for n, below in self.network.turns_into.items():
            for other in below:
                if wards[n].is_open(day) and wards[other].is_open(day):
                    number = int(share * beds[n] + Fraction(1, 2))
                    turned[n], turned[other] = turned[n] - number, turned[other] + number
        for n in {*self.network.turns_into, *chain(*self.network.turns_into.values())}:
            turned[n] = turned[n] or OUT_OF_SERVICE
        return turned

    def _know_wards(self, day: date) -> None:
        """Which wards take whose patients, as in the network, from a day on."""
        self.ward_at = self.network.ward_at(day)
        self.intensive_for = np.ascontiguousarray(self.network.intensive_at(day)[:, self.choice.department])
        """Ward of intensive care by facility and condition, -1 = none."""

    def _hold_beds(self, hospital: Hospital, rule: BedQuota) -> None:
        for n in np.flatnonzero(self.network.under_bed_quota):
            pool = hospital.pools[n]
            for _ in range(pool.set_quota(Fraction(rule.held_for_referral), self.env.now, rule.kind)):
                hospital.watch(pool)
            pool.serve()

    def _offer(self, day: int) -> Offer:
        """What is offered, and how much of it held, in sessions of the lead hospital on a day of the run."""
        when = self.timetable.date(day)
        period = bisect_right(self.rule_dates, when)
        if period not in self._offers:
            rules = [p.on(when) for p in self.policies]
            held = [Fraction(r.slot_quota.held_for_referral) for r in rules]
            exams = [Fraction(r.imaging_quota.held_for_referral) for r in rules]
            experts = [Fraction(r.expert_quota.held_for_referral) for r in rules]
            self._offers[period] = Offer(held, self._doctors_here(rules), exams, experts)
        return self._offers[period]

    def _tariff(self, day: int) -> Tariff:
        """What care costs on a day of the run."""
        when = self.timetable.date(day)
        period = bisect_right(self.rule_dates, when)
        if period not in self._tariffs:
            rules = [p.on(when) for p in self.policies]
            self._tariffs[period] = Tariff.of(self.fees, self.classes, self.conditions, rules)
        return self._tariffs[period]

    def _doctors_here(self, rules: list[Rules]) -> NDArray[np.float64]:
        """Share of doctors at each service point: a lead hospital's clinics go without those who work elsewhere and,
        the ordinary ones, without those who hold joint clinics (M10, M15); (W, P)."""
        away = np.array([[float(r.shared.specialists_away)] for r in rules]) * self.lead_clinics
        held = np.array([[float(r.shared.joint_clinics)] for r in rules])
        gone = np.minimum(away + held * self.lent, np.maximum(away, MOST_LENT))
        return np.where(self.network.lends_to >= 0, held, (1.0 - gone) * self._doctors_more(rules[0]))

    def _doctors_more(self, rules: Rules) -> NDArray[np.float64]:
        """Doctors at each service point over those of the base year: sub-centres may have more (M28); (W, P)."""
        grown = np.array([c.sub_centre_doctors for c in self.capacities])
        return np.where(self._are_sub_centres(rules), grown, 1.0)[:, self.network.point_facility]

    def _are_sub_centres(self, rules: Rules) -> NDArray[np.bool_]:
        """Facilities that have become county-level sub-centres."""
        return np.array([f.id in rules.capability.sub_centres for f in self.network.facilities])

    # ---------------------------------------------------------------- time

    def run(self, days: int, progress: Callable[[int], None]) -> None:
        """Run on until so many days are over; `progress` takes days as they pass, over all replications."""
        with _nothing_collected():
            while self.days < days:
                self._live_through(self.days)
                self.days += 1
                progress(self.worlds)

    def _live_through(self, day: int) -> None:
        if day == 0:
            self._begin()
            self.journey.open_books()
            Opening(self)
            self._call_audit()
        self.env.run_until((day + 1) * DAY)
        if day == self.timetable.days - 1:
            self._settle()
            if self.audit is not None:
                self.audit.look(self.env.now)
            self._write_stays()
            self._bill(day + 1)
            self._write_beds(day)

    def _begin(self) -> None:
        """The rules of the first day, and those who lie in beds then."""
        self._put_in_force(0)
        for w, patients in enumerate(self.inpatients):
            for pool in self.hospitals[w].pools:
                self._fill_beds(self.hospitals[w], pool, patients)

    def _fill_beds(self, hospital: Hospital, pool: BedPool, patients: Inpatients) -> None:
        ways = entries(pool)
        stays, ordinary = patients.lying(pool.number, len(ways))
        if len(stays):
            for number, entry, ward in zip(self.courses.note(stays), ways, ordinary, strict=True):
                count_request(self.ledger.inpatients, self.courses[number].world, 0.0, pool.number)
                Stay(hospital, number, pool.number, entry, entry, 0.0, ward).lie_down()

    def _inpatients(self) -> list[Inpatients]:
        luck = [(self.case.seed, replication) for replication in self.replications]
        day = self.timetable.date(0)
        known = zip(self.forecasts, luck, strict=True)
        return [Inpatients(f, self.care_tables, self.destinations, day, own) for f, own in known]

    def _call_audit(self) -> None:
        if self.case.audit:
            places = self.network, self.timetable
            self.audit = Audit(self.env, self.hospitals, *places, self.ledger, self.replications)

    def open_window(self, number: int) -> None:
        """The doors open; at midnight first what a new day brings."""
        day, of_day = divmod(number, int(DAY // self.timetable.window))
        if number and self.env.now % HALF_DAY == 0:
            self._settle()
        if of_day == 0:
            self._midnight(day)
        self.journey.open_window(number, self._needs(number))

    def _midnight(self, day: int) -> None:
        """00:00: census of the night, rules of the day, held slots that come near; on Mondays the perceived waits."""
        if day > 0:
            self._census(day - 1)
            if self.timetable.date(day) in self.rule_dates:
                self._put_in_force(day)
            if self.timetable.weekday[day] == 0:
                self._post_doctors(self.journey.town.service["visits"].reshape(self.worlds, -1))
                self.journey.renew_choice()
            if self.timetable.month[day] != self.timetable.month[day - 1]:
                self._write_beds(day - 1)
                self._write_backlog(day - 1)
                self._bill(day)
            self._write_stays()
        self.journey.release_slots(day)

    def _needs(self, number: int) -> Rows:
        """Needs that arise in one window, of all replications."""
        per_chunk = int(CHUNK * DAY // self.timetable.window)
        chunk, place = divmod(number, per_chunk)
        if not self.chunk or place == 0:
            self._draw_chunk(chunk, per_chunk)
        return self.chunk[place]

    def _draw_chunk(self, chunk: int, windows: int) -> None:
        parts = []
        self.chunk = []  # the last one goes before the next one comes: both are large
        for w, demand in enumerate(self.demands):
            rows = demand.chunk(chunk, w, int(self.panel_first[w]), self._surge(w, chunk))
            settle_truth(rows, self.care_tables.conditions)
            parts.append((rows, (rows["time"] / self.timetable.window).astype(np.int64) - chunk * windows))
        self.chunk = contacts.deal_all(parts, windows)

    def _surge(self, world: int, chunk: int) -> NDArray[np.float64] | None:
        """How many times as many first needs arise, by day of a chunk and condition; None: as many as always."""
        dated = self.policies[world].surge.needs
        usual = twice(self.case.start, int(self.choice.days_ahead[world]), chunk * CHUNK, CHUNK)
        if dated is None and (usual == 1.0).all():
            return None
        factors = np.repeat(usual[:, None], len(self.conditions), axis=1)
        for n in range(CHUNK):
            today = dated.on(self.timetable.date(chunk * CHUNK + n)) if dated else None
            for name, factor in (today or {}).items():
                factors[n, self.conditions.index(name)] *= factor
        return factors

    # ---------------------------------------------------------------- beds

    def _ask_for_bed(
        self, rows: Rows, ward: NDArray[np.int64], entry: NDArray[np.int64], when: NDArray[np.float64]
    ) -> None:
        """Bed requests of patients to be admitted, each at its own minute."""
        numbers, hospitals = self.courses.open(len(rows)), self.hospitals
        asked, priority = np.empty(len(rows), dtype=ASKED), self.journey.town.people.worlds
        ask(
            self.care_tables, self.ledger.inpatients, self.ward_rows, self.intensive_for, priority, rows, ward, entry,
            when, self.courses.rows, np.array(numbers), asked,
        )  # fmt: skip
        columns = (*(asked[name].tolist() for name in ASKED.names or ()), when.tolist())
        for number, w, first, how, rank, ordinary, minute in zip(numbers, *columns, strict=True):
            Stay(hospitals[w], number, first, how, rank, minute, ordinary)

    def _goes_down(self, course: Course, ward: int) -> bool:
        consented = self.rules[course.world].down_referral.consented
        if worth := self.spared[course.world]:
            below = self._downstream(course, ward)
            consented = referral.inclined(consented, min(worth[ward], worth[below[0]]) if below else 0.0)
        return referral.steps_down(self.proposed[course.world], consented, course.proposal, course.consent)

    def _downstream(self, course: Course, ward: int) -> list[int]:
        """The nearest wards of the departments to which the condition may step down, without those of the same place;
        nobody steps down from a joint ward."""
        wards, here = self.network.wards, self.network.wards[ward]
        if here.kind == "joint":
            return []
        area = int(self.journey.town.people.residents[course.person]["area"])
        near, allowed = self.step_down_wards[course.world, here.facility, area], self.destinations[course.condition]
        if allowed is not None:
            near = [n for n in near if wards[n].department in allowed]
        return [n for n in near[:STEP_DOWN_WARDS] if wards[n].facility != here.facility]

    def _elsewhere(self, stay: Stay) -> None:
        """Who has waited long enough, or whose ward is closed, goes to another hospital with a free bed, without a bed,
        or out of the area; those whose ward is closed to that of the same hospital which takes its patients, where
        there is one."""
        course, now = stay.course, self.env.now
        facility = self.network.wards[stay.pool.number].facility
        if not stay.pool.in_service and (instead := self._instead(stay, facility)) >= 0:
            self._ask(stay, instead, now)
            return
        self.ledger.add_leaver(course.world, now, stay.pool.number, stay.entry)
        pools = self.hospitals[course.world].pools
        wards = [] if stay.is_put_off() else self._other_wards(facility, course.condition, course.need)
        free = {n: number for n in wards if (number := pools[n].spare(stay.entry)) > 0}
        if free:
            best = max(free, key=lambda n: (free[n], -n))
            count_request(self.ledger.inpatients, course.world, now, best)
            self._ask(stay, best, now)
            return
        self.courses.forget([stay.number])
        if stay.entry != beds.EMERGENCY and care.forgoes_bed(self.care_tables, np.uint64(course.key), course.world):
            self.ledger.add_unmet(course.world, now, course.condition, course.person >= 0)
        else:
            self._leave_area(course, now)

    def _instead(self, stay: Stay, facility: int) -> int:
        """The ward of the same facility that takes somebody whose ward is closed, -1 = none."""
        if stay.ordinary >= 0 or self.network.wards[stay.pool.number].kind == "joint":
            return stay.ordinary
        ward = int(self.ward_at[facility, self.choice.department[stay.course.condition]])
        return ward if self.beds_run[stay.course.world, ward] != OUT_OF_SERVICE else -1

    def _ask(self, stay: Stay, ward: int, now: float) -> None:
        """The same patient asks for a bed of another ward, that of intensive care first where he needs it."""
        course = stay.course
        there = self.intensive_for[self.ledger.ward_facility[ward], course.condition]
        first, ordinary = (int(there), ward) if there >= 0 and course.intensive > 0 else (ward, -1)
        Stay(stay.hospital, stay.number, first, stay.entry, stay.rank, now, ordinary)

    def _other_wards(self, facility: int, condition: int, need: int) -> list[int]:
        """Wards of other hospitals that can take such a patient."""
        asked = facility, condition, need
        if asked not in self.other_wards:
            net, department = self.network, self.choice.department[condition]
            hospitals = np.flatnonzero((net.level[:-1] >= Level.secondary) & (net.capability[:-1, condition] >= need))
            wards = self.ward_at[hospitals[hospitals != facility], department]
            self.other_wards[asked] = wards[wards >= 0].tolist()
        return self.other_wards[asked]

    def _leave_area(self, course: Course, now: float) -> None:
        c, ward = course, len(self.network.wards)
        outside = self.outside[c.world]
        admitted = now + float(outside["wait"])
        shape = c.minutes / max(self.care.stay_minutes[c.world, c.condition], 1.0)
        home = admitted + shape * float(outside["stay"])
        if home < self.timetable.horizon:
            way = (ward, beds.OTHER, -1, now, admitted, home, admitted, False)
            leg = (c.world, c.key, c.person, c.condition, *way, c.operation, c.weight, False, c.need)
            self.legs_outside.append(np.array([leg], dtype=LEG))

    def _stay_outside(self, rows: Rows, when: NDArray[np.float64]) -> None:
        """Stays of residents at hospitals outside the area; partners have a wait of their own."""
        legs, stay = np.empty(len(rows), dtype=LEG), np.empty(1, dtype=STAY)
        ward, horizon = len(self.network.wards), self.timetable.horizon
        number = stay_outside(self.care_tables, self.outside, ward, horizon, rows, when, stay, legs)
        self.legs_outside.append(legs[:number])

    # ---------------------------------------------------------------- exams of inpatients

    def _settle(self) -> None:
        """A half-day is over: requests are answered, and stays hear when their exams are."""
        stays, orders = self._orders()
        asking = dict(zip(zip(orders["world"].tolist(), orders["key"].tolist(), strict=True), stays, strict=True))
        told, now = self.journey.settle(orders), self.env.now
        late = (told["time"] - told["wanted"]).tolist()
        for world, key, minutes in zip(told["world"].tolist(), told["key"].tolist(), late, strict=True):
            if minutes > 0.0:
                asking[world, key].prolong(minutes, LATE_EXAM, now)

    def _orders(self) -> tuple[list[Stay], Rows]:
        """Stays admitted in this half-day that need an exam, and what they ask for."""
        stays = [stay for hospital in self.hospitals for stay in hospital.orders if self._is_examined(stay)]
        for hospital in self.hospitals:
            hospital.orders.clear()
        orders, courses = contacts.empty(len(stays)), self.courses.rows[[stay.number for stay in stays]]
        if not stays:
            return stays, orders
        for name in ("world", "key", "person", "condition", "need"):
            orders[name] = courses[name]
        told = [(stay.admitted, self._exam_due(stay), stay.entry, stay.pool.number) for stay in stays]
        orders["time"], orders["wanted"], entry, ward = np.array(told).T
        orders["kind"], orders["stage"], orders["entry"] = contacts.REQUEST, contacts.INPATIENT, entry
        orders["origin"] = self.network.ward_run_by[ward.astype(np.int64)]
        referred = (entry == beds.REFERRED_CONTRACTED) | (entry == beds.REFERRED)
        orders["cls"][referred] = entry[referred] - beds.REFERRED_CONTRACTED
        return stays, orders

    def _exam_due(self, stay: Stay) -> float:
        return stay.admitted + stay.hospital.exam_after

    def _is_examined(self, stay: Stay) -> bool:
        """At hospitals whose patients have such equipment; not those whose acute phase is over before it is due."""
        there = self.has_room[stay.pool.number][self.courses.exam.item(stay.number)]
        return there and max(self._exam_due(stay), self.env._now) < min(stay.ready, stay.ends)

    # ---------------------------------------------------------------- writing down

    def _write_stays(self) -> None:
        """Legs that have ended; who has come home may be readmitted: admissions since then are told, and those to come
        will be needs."""
        ended = self._told("legs", OF_LEG)
        legs = join_legs([*self.legs_outside, legs_of(self.courses, ended)])
        came = admissions_of(self.courses, self._told("admitted", OF_ADMISSION))
        at_home = ended[:, TO_STEP_DOWN] == 0.0
        self.courses.forget(ended[at_home, COURSE].astype(np.int64).tolist())
        self.ledger.add_stays(legs)
        self.accounts.keep_stays(legs)
        self.ledger.add_readmissions(self.last_home, legs, came)
        rows = contacts.empty(len(legs))
        self._fall_ill_again(rows[: doors.readmit(self.care_tables, legs, rows)])
        self.legs_outside.clear()

    def _bill(self, until: int) -> None:
        """Visits and stays up to a day, that day excluded."""
        self.accounts.bill_visits(until)
        self.accounts.bill_stays(until * DAY)

    def _told(self, what: str, each: int) -> NDArray[np.float64]:
        """What all hospitals have on a list (of legs, or of those admitted), which is empty then; so many in a row."""
        numbers: list[float] = []
        for hospital in self.hospitals:
            there = getattr(hospital, what)
            numbers += there
            there.clear()
        return told(numbers, each)

    def _fall_ill_again(self, rows: Rows) -> None:
        """Needs to come, of patients who will be readmitted."""
        self.journey.diary.push(rows, self.journey.number + 1)

    def _census(self, day: int) -> None:
        """Midnight: occupied and held beds of every pool, dated to the day that ends."""
        table, month = self.ledger.beds, int(self.timetable.month[day])
        pools = [pool for hospital in self.hospitals for pool in hospital.pools]
        counts = np.array([(p.beds, p.occupied, len(p.held), p.in_held) for p in pools], dtype=np.int64)
        total, occupied, held, used = counts.T.reshape(4, self.worlds, -1)
        total, occupied = total * self.in_hospital, occupied * self.in_hospital
        tonight = {"bed_days": total, "occupied_days": occupied, "held_days": held + used, "used_held_days": used}
        at = table.index(np.arange(self.worlds)[:, None], month, np.arange(total.shape[1]))
        for measure, number in tonight.items():
            table.counts[measure][at] += number
        self.ledger.add_capability(month, self.standards, self.feature)
        self.ledger.public_health.table[:, month]["minutes"] += np.rint(self.health_work).astype(np.int64)
        self.ledger.posts.table[:, month]["came"] += np.maximum(self.posted, 0)
        self.ledger.posts.table[:, month]["went"] += np.maximum(-self.posted, 0)

    def _write_beds(self, day: int) -> None:
        """End of a month: use of held beds and blocked time of every pool."""
        month = int(self.timetable.month[day])
        table = self.ledger.beds
        for w, hospital in enumerate(self.hospitals):
            for pool in hospital.pools:
                at, blocked = table.index(w, month, pool.number), np.rint(pool.blocked).astype(np.int64)
                table.add(at, used_held=pool.used_held, borrowed=pool.borrowed, released=pool.released)
                table.add(at, moved_on=pool.moved_on, blocked_minutes=blocked[[NO_BED_BELOW, NO_ORDINARY_BED]].sum())
                causes = self.ledger.blocked.index(w, month, pool.number, np.arange(len(blocked)))
                self.ledger.blocked.add(causes, minutes=blocked)
                pool.used_held = pool.borrowed = pool.released = pool.moved_on = 0
                pool.blocked = [0.0] * len(pool.blocked)
            self._write_sessions(w, day)

    def _write_sessions(self, world: int, day: int) -> None:
        """End of a month: places in theatres and day centres, and who took them."""
        for facility, kind, places in self.hospitals[world].sessions:
            offered, days = places.over((day + 1) * DAY)
            self.ledger.add_sessions(world, int(self.timetable.month[day]), facility, kind, offered, days)

    def _write_backlog(self, day: int) -> None:
        """End of a month: appointments given and not yet due, and patients waiting for a bed or an operation."""
        month = int(self.timetable.month[day])
        book, points = self.journey.book, len(self.network.points)
        given = book.slots["handed_out"].sum(axis=1)
        facility = self.network.point_facility[book.bookable % points]
        resource = np.where(np.isin(book.bookable % points, self.network.imaging_point), 2, 0)
        at = self.ledger.backlog.index(book.bookable // points, month, facility, resource)
        self.ledger.backlog.add(at, waiting=given)
        where = np.array([x.facility for x in self.network.wards], dtype=np.int64)
        for w, hospital in enumerate(self.hospitals):
            put_off = Counter(stay.pool.number for stay in hospital.put_off.values())
            waiting = np.array([p.waiting + put_off[p.number] for p in hospital.pools], dtype=np.int64)
            self.ledger.backlog.add(self.ledger.backlog.index(w, month, where, 1), waiting=waiting)
            for theatre, kind, places in hospital.sessions:
                if kind == THEATRE:
                    self.ledger.backlog.add(self.ledger.backlog.index(w, month, theatre, 3), waiting=places.ahead())

    def tables(self, world: int) -> dict[str, pd.DataFrame]:
        """All tables of one replication."""
        told = {"loads": self.loads(world), "deadlocks": self._deadlocks(world)}
        return self.ledger.tables(world) | told | self._bills(world)

    def _bills(self, world: int) -> dict[str, pd.DataFrame]:
        policy = self.policies[world]
        return self.accounts.tables(
            world, lambda day: policy.on(self.timetable.date(day)), self.residents_of_grids[world]
        )

    def _deadlocks(self, world: int) -> pd.DataFrame:
        """Wards that block each other for ever, and since when."""
        found = self.hospitals[world].deadlocks.items()
        first = np.datetime64(self.timetable.date(0), "s")
        wards = [f"{self.network.facilities[w.facility].id}/{ward_name(w)}" for w in self.network.wards]
        rows = [(first + np.timedelta64(int(60 * since), "s"), ", ".join(wards[n] for n in ns)) for ns, since in found]
        return pd.DataFrame(rows, columns=["since", "wards"])

    def _forecast(self, world: int) -> Forecast:
        """The load of the base year, before anything is simulated."""
        demand = self.demands[world]
        return Forecast(
            self.network, demand.timetable, self.care, self.choice, self.capacities[world], demand,
            self.expected_needs[world], world,
        )  # fmt: skip

    def loads(self, world: int) -> pd.DataFrame:
        """The load of everything in the base year, and of both halves of quotas under the rules of the last day."""
        rules = self.policies[world].on(self.case.to)
        offered = self.journey.town.place.offers
        halves = Halves(self.forecasts[world], rules, self.referral_specs[world], offered).rows()
        return loads.table([*self.forecasts[world].rows, *halves])


def _pools(has: Capacities) -> list[BedPool]:
    wards = zip(has.beds.tolist(), has.cleaning_minutes.tolist(), strict=True)
    return [BedPool(n, beds, minutes) for n, (beds, minutes) in enumerate(wards)]


@contextmanager
def _nothing_collected() -> Iterator[None]:
    """Stays leave no cycles behind: nothing to look for among millions of events."""
    was_collecting = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_collecting:
            gc.enable()
