"""Small places for tests: ordinary facilities, few conditions, a timetable without seasons.

Nothing here exists only for a test: a textbook queue is an emergency department in a town where nothing else happens.
"""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any

import numpy as np
import pandas as pd
from scipy.stats import t

from sim.care import LEVELS, CareSpec
from sim.choice import DOORS, KINDS, ChoiceSpec
from sim.demand import DemandSpec
from sim.model import Case
from sim.money import MoneySpec
from sim.network import NetworkSpec
from sim.past import simulate
from sim.policy import PLACE_CLASSES, Policy, levers
from sim.population import SCHEMES, PopulationSpec
from sim.referral import ReferralSpec
from sim.timetable import TimetableSpec

MONDAY = date(2024, 1, 1)
ALWAYS = "round_the_clock"
ENDLESS = 1e9
"""A patience or a number of doctors that never runs out."""

Data = dict[str, Any]


def said(value: Any, unit: str = "test") -> Data:
    """A cited value."""
    return {"value": value, "unit": unit, "source": {"derived": "A town made up for a test."}}


def policy(settings: dict[str, Any] | None = None, since: date = MONDAY) -> Policy:
    """Levers by name (`slot_quota.held_for_referral`), each in force from one date."""
    units = {info.name: info.unit for info in levers()}
    groups: Data = {}
    for name, value in (settings or {}).items():
        group, lever = name.split(".")
        groups.setdefault(group, {})[lever] = {since.isoformat(): said(value, units[name])}
    return Policy.model_validate(groups)


# ------------------------------------------------------------------------------------------------------------- parts


def facility(identity: str, level: str, area: str = "town", **more: Any) -> Data:
    """A facility."""
    return {"id": identity, "name": identity, "name_zh": identity, "level": level, "area": area, **more}


def clinic(
    doctors: int, department: str = "general", pattern: str = ALWAYS, kind: str = "ordinary", **places: int
) -> Data:
    """A department's clinic; `slots` and `extra` make it bookable."""
    counts = {name: said(number) for name, number in places.items()}
    return {"kind": kind, "department": department, "pattern": pattern, "doctors": said(doctors), **counts}


def imaging(pattern: str = "office", **slots: int) -> Data:
    """Rooms with large equipment: exams in a session by kind."""
    return {"imaging": [{"kind": kind, "pattern": pattern, "slots": said(number)} for kind, number in slots.items()]}


def ward(
    beds: int, department: str = "general", kind: str = "acute", cleaning: float | None = None,
    becomes: str | None = None, **days: int | None,
) -> Data:  # fmt: skip
    """A ward; `cleaning`: minutes after each patient; `becomes`: into which its beds may be turned; `opens`, `closes`:
    days of the run."""
    one = {"department": department, "beds": said(beds), "kind": kind} | ({"becomes": becomes} if becomes else {})
    one |= {name: (MONDAY + timedelta(days=n)).isoformat() for name, n in days.items() if n is not None}
    return one if cleaning is None else one | {"cleaning_minutes": said(cleaning)}


def sessions(theatres: int | None = None, day_centre: int | None = None, pattern: str = "office") -> Data:
    """Theatres and a day centre: places in a session of each."""
    places = {"theatres": theatres, "day_centre": day_centre}
    return {name: {"pattern": pattern, "slots": said(number)} for name, number in places.items() if number is not None}


def network(
    facilities: list[Data],
    lead: str | None = None,
    areas: dict[str, tuple[float, float]] | None = None,
    grids: dict[str, str] | None = None,
) -> NetworkSpec:
    """The place; `lead` makes one group named `group`, every other lead hospital one named as its facility says.

    `grids`: the group of each area.
    """
    places = areas or {"town": (0.0, 0.0)}
    others = {f["group"]: f["id"] for f in facilities if f.get("role") == "lead"}
    leads = ({"group": lead} if lead else {}) | others
    grid = {a: {"grid": g} for a, g in (grids or {}).items()}
    return NetworkSpec.model_validate(
        {
            "areas": {
                a: {"name": a, "name_zh": a, "urban": True, "position_km": said(list(xy))} | grid.get(a, {})
                for a, xy in places.items()
            },
            "groups": {g: {"name": g, "name_zh": "集团", "lead": hospital} for g, hospital in leads.items()},
            "facilities": facilities,
            "outside": {"travel_minutes": said(60), "wait_days": said(2), "partner_wait_days": said(0.5)},
            "detour": said(1.3),
            "minutes_per_km": said(1.5),
            "minutes_at_least": said(10),
            "public_health": {"at_stations": said(0.4), "doctors_time": said(0.5), "freed_for_clinics": said(0.5)},
        }
    )


def population(residents: dict[str, int], contracted: float = 0.0) -> PopulationSpec:
    """Residents of each area, a quarter of them in the first and in the last age band."""
    ages = said([0.25, 0.5, 0.25])
    return PopulationSpec.model_validate(
        {
            "residents": {area: said(number) for area, number in residents.items()},
            "ages_urban": ages,
            "ages_rural": ages,
            "employee_insured": said(0.3),
            "contracted_key": said(contracted),
            "contracted_other": said(contracted),
            "uses_contract": said(1.0),
        }
    )


def timetable(
    window: int = 720,
    holidays: str = "none",
    weekend: float = 1.0,
    sessions: tuple[str, ...] = ("morning", "afternoon"),
    needs: tuple[int, int] = (0, 24),
) -> TimetableSpec:
    """No seasons, no weekly pattern, needs at any hour (or from one to another); patterns `office` with `sessions` and
    `joint` with the first of them on two days."""
    hours = [float(needs[0] <= hour < needs[1]) for hour in range(24)]
    return TimetableSpec.model_validate(
        {
            "window_minutes": window,
            "holidays": holidays,
            "sessions": {
                "morning": {"opens": "08:00", "closes": "12:00"},
                "afternoon": {"opens": "14:00", "closes": "17:30"},
            },
            "patterns": {
                "office": {"sessions": list(sessions), "workday": 1.0, "weekend": weekend, "holiday": weekend},
                "joint": {
                    "sessions": list(sessions)[:1],
                    "days": ["tuesday", "friday"],
                    "workday": 1.0,
                    "weekend": 0.0,
                    "holiday": weekend,
                },
            },
            "month": said([1.0] * 12),
            "growth": said(0.0),
            "profiles": {"flat": {"weekday": said([1.0] * 7), "hour": said(hours), "holiday": said(1.0)}},
        }
    )


def condition(
    kind: str = "moderate", beyond: tuple[float, float, float] = (0.0, 0.0, 0.0), mark: str = "", **more: Any
) -> Data:
    """A condition that any place can treat, with no exam, follow-up or bed unless said.

    `mark`: what is special about it (`suits_tcm`, `prescription_only`); `rescue_centre` and `exacerbates_to` in
    `more` are names.
    """
    station, centre, secondary = beyond
    figures = {
        "beyond_station": station,
        "beyond_centre": centre,
        "beyond_secondary": secondary,
        "exam": 0.0,
        "follow_up": 0.0,
        "follow_up_days": 7.0,
        "admission": 0.0,
        "stay_days": 5.0,
        "stay_cv": 0.8,
        "step_down": 0.0,
        "recovery": 0.4,
    }
    names = {"name": kind, "name_zh": kind, "kind": kind, "department": more.pop("department", "general")}
    names |= {name: more.pop(name) for name in ("exacerbates_to", "rescue_centre") if name in more}
    marked = {mark: True} if mark else {}
    return names | marked | {name: said(value) for name, value in (figures | more).items()}


def exams_of(**shares: float) -> Data:
    """Exams with large equipment that a condition asks for."""
    return {"imaging": {kind: said(share) for kind, share in shares.items()}}


def care(conditions: dict[str, Data], **more: Any) -> CareSpec:
    """Ten minutes of each doctor, no exams, endless patience, discharge at any hour, unless said."""
    levels = LEVELS[:-1]
    spec: Data = {
        "conditions": conditions,
        "consultation_minutes": {x: said(10.0) for x in levels},
        "consultation_cv": said(0.5),
        "consultation_law": "lognormal",
        "emergency_minutes": said(10.0),
        "exam_at": {x: said(0.0) for x in levels},
        "exam_minutes": said(40.0),
        "imaging_report_minutes": said(200.0),
        "second_look": said(0.5),
        "repeat_exam": said(1.0),
        "waiting_patience": said(ENDLESS),
        "stay_at": {x: said(1.0) for x in levels},
        "bed_patience": said(ENDLESS),
        "discharge_from": 0,
        "discharge_until": 24,
        "triage": said([0.25, 0.25, 0.25, 0.25]),
        "outside_stay_days": said(7.0),
        "makes_up": said(0.6),
        "makes_up_days": said(4.0),
    }
    plain = ("consultation_law", "patience_law", "stay_law", "discharge_from", "discharge_until")
    plain += ("recovery_starts_on_transfer",)
    changes = {name: value if name in plain or isinstance(value, dict) else said(value) for name, value in more.items()}
    return CareSpec.model_validate(spec | changes)


def choice(doors: dict[str, float], by_kind: dict[str, dict[str, float]] | None = None, **more: Any) -> ChoiceSpec:
    """First contacts by door; money, distance and waits do not matter unless said."""
    shares = {kind: (by_kind or {}).get(kind, doors) for kind in KINDS}
    figures = {
        "local_tilt": 0.0,
        "per_100_yuan": 0.0,
        "yuan_per_travel_hour": 0.0,
        "yuan_per_waiting_hour": 0.0,
        "yuan_per_booking_day": 0.0,
        "price": dict.fromkeys(DOORS, 0.0),
        "price_employee": 1.0,
        "contract_log_odds": 0.0,
        "nest": 1.0,
        "books": 0.0,
        "booking_days": 14,
        "booking_patience": 7.0,
        "no_show": 0.0,
        "doors_tried": 1,
        "rechoice": 0.0,
        "follows_advice": 1.0,
        "wait_half_life_weeks": 4.0,
    }
    table = {name: said(value) for name, value in (figures | more).items()}
    return ChoiceSpec.model_validate(
        {"first_contact_urban": said(shares), "first_contact_rural": said(shares), **table}
    )


def demand(
    per_day: dict[str, float], residents: int, long_term: dict[str, tuple[float, float]] | None = None
) -> DemandSpec:
    """Needs a day of each condition; `long_term`: patients per 1,000 residents and days between their visits."""
    needs: Data = {
        name: {"profile": "flat", "incidence": said([rate * 365.0 / residents * 1000.0] * 3)}
        for name, rate in per_day.items()
    }
    for name, (prevalence, interval) in (long_term or {}).items():
        needs[name] = {"profile": "flat", "prevalence": said([prevalence] * 3), "interval_days": said(interval)}
    return DemandSpec.model_validate({"needs": needs})


def referral(referred_arrive: float = 1.0, to_lead: float = 0.5) -> ReferralSpec:
    """How referrals go where no policy says otherwise."""
    return ReferralSpec.model_validate({"referred_arrive": said(referred_arrive), "to_lead": said(to_lead)})


def money(
    visit: float = 100.0, stay: float = 5000.0, share: float = 0.7, deductible: float = 300.0, **more: Any
) -> MoneySpec:
    """Fees by class of place, each higher than the one before by a tenth of the first; employees' fund pays a tenth
    more of what residents' leaves."""

    def rising(first: float) -> Data:
        return {place: said(round(first * (1.0 + 0.1 * n), 2)) for n, place in enumerate(PLACE_CLASSES)}

    shares = {
        scheme: dict.fromkeys(PLACE_CLASSES, said(share + 0.1 * n * (1.0 - share))) for n, scheme in enumerate(SCHEMES)
    }
    figures = {
        "visit_fee": rising(visit),
        "consultation_fee": rising(visit / 10.0),
        "stay_fee": rising(stay),
        "fund_share": shares,
        "deductible": rising(deductible),
        "in_catalogue": said(0.9),
    }
    return MoneySpec.model_validate(figures | more)


# ------------------------------------------------------------------------------------------------------------- towns


def case(days: int, seed: int = 1, settings: dict[str, Any] | None = None, **parts: Any) -> Case:
    """A case of so many days from Monday 1 January 2024, luck alone, every visit written down."""
    whole = {
        "timetable": timetable(),
        "referral": referral(),
        "money": money(),
        "policy": policy(settings),
        "record": "visits",
        "from_": MONDAY,
    } | parts
    return Case(seed=seed, uncertainty="luck", warmup_from=MONDAY, to=MONDAY + timedelta(days=days - 1), **whole)


def emergency_town(
    per_day: float,
    doctors: int,
    days: int,
    seed: int = 1,
    window: int = 720,
    ill: Data | None = None,
    places: int | None = None,
    **care_figures: Any,
) -> Case:
    """One emergency department round the clock, and nothing else: a queue with one priority for each triage level.

    `places`: for those who wait; left out = any number.
    """
    room = {} if places is None else {"waiting_places": said(places)}
    hospital = facility("hospital", "tertiary", emergency={"doctors": said(doctors), **room})
    return case(
        days,
        seed,
        network=network([hospital]),
        population=population({"town": 1000}),
        timetable=timetable(window),
        demand=demand({"urgent": per_day}, 1000),
        choice=choice({"tertiary": 1.0}),
        care=care({"urgent": ill or condition("emergency")}, **care_figures),
    )


def clinic_town(
    per_day: float,
    days: int,
    seed: int = 1,
    window: int = 720,
    places: Data | None = None,
    wards: list[Data] | None = None,
    ill: Data | None = None,
    doors: Data | None = None,
    settings: Data | None = None,
    **care_figures: Any,
) -> Case:
    """One hospital with one clinic; `places`: keywords of its clinic."""
    hospital = facility(
        "hospital",
        "tertiary",
        clinics=[clinic(**{"doctors": 2, "pattern": "office"} | (places or {}))],
        wards=wards or [],
    )
    return case(
        days,
        seed,
        settings,
        network=network([hospital]),
        population=population({"town": 1000}),
        timetable=timetable(window),
        demand=demand({"illness": per_day}, 1000),
        choice=choice({"tertiary": 1.0}, **(doors or {})),
        care=care({"illness": ill or condition()}, **care_figures),
    )


def feature(department: str, attracts: float = 50.0, settles: float = 0.4) -> Data:
    """The feature department that a centre is to have."""
    return {"feature": {"department": department, "attracts": said(attracts), "settles": said(settles)}}


def as_sub_centre(care: int = 3, doctors: float = 2.0, beds: float = 1.5) -> Data:
    """What a centre gains as a county-level sub-centre."""
    return {"as_sub_centre": {"capability": {"default": care}, "doctors": said(doctors), "beds": said(beds)}}


JOINT = clinic(1, pattern="joint", kind="joint", slots=5)
"""Two half-days a week of a joint clinic."""

AREAS = {"town": (0.0, 0.0), "valley": (8.0, 3.0)}
RESIDENTS = {"town": 1200, "valley": 800}


def group_facilities() -> list[Data]:
    """A medical group: stations, centres, a member hospital with a step-down ward, a busy lead hospital."""
    member: Data = {"role": "member", "group": "group"}
    office: Data = {"pattern": "office"}
    return [
        facility(
            "lead",
            "tertiary",
            role="lead",
            group="group",
            emergency={"doctors": said(2)},
            wards=[ward(9)],
            clinics=[
                clinic(1, slots=5, extra=1, **office),
                clinic(1, "surgery", slots=2, **office),
                clinic(1, kind="expert", slots=2, **office),
            ],
        ),
        facility(
            "member",
            "secondary",
            **member,
            emergency={"doctors": said(1)},
            clinics=[clinic(1, slots=9, extra=1, **office)],
            wards=[ward(6, becomes="rehabilitation"), ward(3, "rehabilitation", kind="step_down")],
        ),
        facility("centre", "centre", **member, **feature("surgery"), clinics=[clinic(1, **office), JOINT]),
        facility(
            "valley-centre",
            "centre",
            "valley",
            **member,
            **feature("general"),
            **as_sub_centre(),
            clinics=[clinic(1, **office)],
            wards=[ward(2, "rehabilitation", kind="step_down"), ward(3, kind="joint"), ward(1, "home", "home")],
        ),
        facility("station", "village_station", **member, clinics=[clinic(1, **office)]),
        facility("village", "village_station", "valley", count=2, **member, clinics=[clinic(1, **office)]),
    ]


GROUP_CONDITIONS = {
    "cold": condition("minor", (0.1, 0.5, 0.3), "suits_tcm", follow_up=0.1) | exams_of(ct=0.2),
    "sugar": condition(
        "chronic",
        (0.1, 0.3, 0.3),
        "prescription_only",
        exacerbates_to="urgent",
        exacerbation=0.2,
        missed_ratio=3.0,
        exacerbation_days=6.0,
    ),
    "lung": condition("moderate", (0.7, 0.6, 0.4), follow_up=0.3, admission=0.25, step_down=0.5, case_weight=0.7)
    | exams_of(ct=0.4, endoscopy=0.2)
    | {"inpatient_imaging": {"ct": said(0.3)}},
    "bone": condition(
        "severe",
        (0.9, 0.9, 0.4),
        department="surgery",
        follow_up=0.3,
        admission=0.5,
        step_down=0.6,
        stay_days=6.0,
        operated=[0.3, 0.6, 0.8],
        harder_operation=[0.9, 0.7, 0.5],
        case_weight=1.4,
        day_case=0.4,
    )
    | exams_of(ct=0.3, mr=0.4)
    | {"inpatient_imaging": {"ct": said(0.2), "mr": said(0.5)}},
    "urgent": condition(
        "emergency", (0.5, 0.4, 0.3), rescue_centre="stroke", admission=0.2, stay_days=4.0, case_weight=1.1
    ),
}


def group_town(
    days: int,
    seed: int = 1,
    window: int = 720,
    settings: Data | None = None,
    facilities: list[Data] | None = None,
    doors: Data | None = None,
    grids: dict[str, str] | None = None,
    **care_figures: Any,
) -> Case:
    """A small medical group in which slots and beds are scarce and everything happens that the engine knows."""
    exams = {x: said(0.5 if x in ("secondary", "tertiary") else 0.0) for x in LEVELS[:-1]}
    figures = {
        "exam_at": exams,
        "waiting_patience": 90.0,
        "bed_patience": 5.0,
        "discharge_from": 9,
        "discharge_until": 17,
        "weight_by_need": [0.6, 1.0, 1.5],
        "day_case_hours": 8.0,
        "higher_standard": 0.7,
        "settled_by_advice": 0.5,
    } | care_figures
    some: Data = {"village_station": 0.3, "centre": 0.3, "secondary": 0.15, "tertiary": 0.23, "outside": 0.02}
    by_kind = {
        "severe": {"centre": 0.2, "secondary": 0.3, "tertiary": 0.5},
        "emergency": {"secondary": 0.4, "tertiary": 0.58, "outside": 0.02},
    }
    answers = {
        "books": 0.6,
        "no_show": 0.1,
        "doors_tried": 3,
        "rechoice": 0.3,
        "follows_advice": 0.8,
        "prefers_expert": 0.4,
        "collects_at_station": 0.6,
        "contract_log_odds": 0.5,
        "per_100_yuan": 0.5,
        "yuan_per_booking_day": 10.0,
        "yuan_per_waiting_hour": 20.0,
        "yuan_per_travel_hour": 100.0,
    }
    conditions = GROUP_CONDITIONS | {"lung": GROUP_CONDITIONS["lung"] | {"exam": said(0.6)}}
    return case(
        days,
        seed,
        settings,
        network=network(facilities or group_facilities(), "lead", AREAS, grids),
        population=population(RESIDENTS, contracted=0.4),
        timetable=timetable(window, weekend=0.5),
        demand=demand({"cold": 22.0, "lung": 8.0, "bone": 2.5, "urgent": 5.0}, 2000, {"sugar": (80.0, 30.0)}),
        choice=choice(some, by_kind, **answers | (doors or {})),
        referral=referral(0.8),
        care=care(conditions, **figures),
    )


PLAN: Data = {
    "first_contact.adherence": 0.3,
    "slot_quota.held_for_referral": "1/3",
    "slot_quota.released_days_before": 1,
    "expert_quota.held_for_referral": "1/3",
    "imaging_quota.held_for_referral": "1/3",
    "bed_quota.held_for_referral": "1/4",
    "bed_quota.released_after_hours": 24.0,
    "priority.referred_contracted": True,
    "up_referral.formal_share": 0.6,
    "up_referral.accepted": 0.9,
    "up_referral.platform_delay_days": 1.0,
    "down_referral.proposed": 0.7,
    "down_referral.consented": 0.8,
}
"""Quotas, priority, persuasion and referral: slots and beds are scarce under it."""

ACTING_LEVERS: Data = PLAN | {
    "bed_quota.kind": "protect",
    "first_contact.gate": ["cold"],
    "contracts.coverage_in": {"valley": 0.9},
    "contracts.coverage_key": 0.6,
    "contracts.used": 0.7,
    "shared.remote_consultation": 0.2,
    "shared.specialist_settles": 0.1,
    "shared.specialists_away": "1/5",
    "shared.joint_clinics": "1/2",
    "shared.joint_wards": "1/2",
    "chronic.sent_down": 0.5,
    "chronic.long_prescription": 0.3,
    "chronic.refill_at_grassroots": 0.4,
    "chronic.care_centre": 0.4,
    "chronic.internet": 0.2,
    "exams.recognised": 0.6,
    "exams.read_remotely": 0.5,
    "tcm.halls": 10.0,
    "emergency.rescue_bypass": 0.5,
    "emergency.rescue_centres": ["stroke", "trauma"],
    "up_referral.to_partner": 0.6,
    "day_care.share": 0.8,
    "capability.standard": {"basic": 1.0, "recommended": 0.5},
    "capability.feature_departments": 1.0,
    "capability.sub_centres": ["valley-centre"],
    "transformation.beds": "1/3",
    "villages.public_health_share": 0.5,
    "insurance.visit_share": {"village_station": 0.8, "township": 0.8, "community": 0.7, "tertiary": 0.2},
    "insurance.stay_share": {"tertiary": 0.6, "township": 0.9},
    "insurance.without_referral": 0.2,
    "incentives.down_referral_gain": 0.5,
    "incentives.up_referral_gain": 0.7,
    "incentives.admission_gain": 0.6,
    "surge.needs": {"lung": 1.6, "urgent": 0.7},
    "surge.other_needs": 0.8,
    "surge.fever_clinics": 0.5,
    "surge.planned_paused": 0.4,
    "villages.integrated": 0.7,
    "staff.shared": 1.0,
}
"""All levers that act on patients pulled."""

MONEY_LEVERS: Data = {
    "payment.same_disease": ["lung"],
    "payment.points": True,
    "payment.fee_follows_place": True,
    "insurance.continuous_deductible": True,
    "budget.per_head": 900.0,
    "budget.surplus_kept": 0.5,
    "budget.overrun_shared": 0.3,
    "budget.public_health_per_head": 60.0,
    "prices.visit_factor": {"tertiary": 1.1, "community": 0.9},
    "prices.stay_factor": {"tertiary": 0.95},
    "alarms.outside_share": 0.02,
    "alarms.cost_growth": 0.1,
    "alarms.fund_use": 0.5,
}
"""All levers of the ledger of money pulled."""

ALL_LEVERS: Data = ACTING_LEVERS | MONEY_LEVERS
"""All levers pulled."""


# ----------------------------------------------------------------------------------------------------------- readings


def run(one: Case, replications: int | list[int] = 1) -> dict[int, dict[str, pd.DataFrame]]:
    """The tables of some replications."""
    numbers = list(range(replications)) if isinstance(replications, int) else replications
    return {replication: tables for _, replication, tables in simulate({"": one}, numbers)}


def assert_same(one: dict[str, pd.DataFrame], other: dict[str, pd.DataFrame]) -> None:
    """Every table equal to the last bit."""
    assert one.keys() == other.keys()
    for name, table in one.items():
        pd.testing.assert_frame_equal(table, other[name], check_exact=True, obj=name)


def within(values: list[float] | np.ndarray[Any, Any], expected: float, alpha: float) -> bool:
    """Whether the mean of independent replications lies within the t interval around the expected value."""
    number = len(values)
    spread = np.std(values, ddof=1) / np.sqrt(number)
    return bool(abs(np.mean(values) - expected) <= t.ppf(1 - alpha / 2, number - 1) * spread)
