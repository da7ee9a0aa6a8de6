"""Two engines, one model: patient by patient and all at once give the same visits and stays, to the last bit (R26)."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import towns
from one_by_one import simulate_one_by_one
from sim.citation import Figure, Figures
from sim.model import Case, Model
from sim.network import EQUIPMENT
from sim.policy import PLACE_CLASSES, Policy
from sim.timetable import DAY
from towns import ALL_LEVERS, PLAN, clinic, facility, imaging, said, ward

REFERRAL = ["episode", "person", "condition", "channel", "from_facility", "to_facility", "status"]
VISIT = ["episode", "facility", "point", "kind", "cls", "entry", "time", "begin", "end", "left"]


def assert_same(case: Case, replication: int = 0) -> pd.DataFrame:
    """Both engines tell of the same visits, stays and referrals; returns the visits.

    The second engine knows what comes of a visit when it is over, so visits that outlast the run are left out there.
    """
    at_once, one_by_one = towns.run(case, [replication])[replication], simulate_one_by_one(case, replication)
    seen, horizon = at_once["visits"], ((case.to - case.warmup_from).days + 1) * DAY
    lasting = seen.loc[seen["end"] >= horizon, "episode"]
    ended = (ended_referrals(rows["referrals"], lasting) for rows in (one_by_one, at_once))
    pd.testing.assert_frame_equal(*ended, check_exact=True, check_dtype=False, obj="referrals")
    for table, columns in (("visits", VISIT), ("stays", list(at_once["stays"]))):
        wanted, told = (sorted_rows(rows[table], columns) for rows in (at_once, one_by_one))
        pd.testing.assert_frame_equal(told, wanted, check_exact=True, check_dtype=False, obj=table)
    return at_once["visits"]


def ended_referrals(rows: pd.DataFrame, without: pd.Series[int]) -> pd.DataFrame:
    """How referrals upwards ended, in an order of their own; episodes `without` left out."""
    rows = rows.reindex(columns=REFERRAL)
    return rows[~rows["episode"].isin(without)].sort_values(REFERRAL, ignore_index=True)


def sorted_rows(rows: pd.DataFrame, columns: list[str]) -> pd.DataFrame:
    """Rows in an order that does not depend on who wrote them down."""
    by = [column for column in ("episode", "end", "discharged") if column in columns]
    return rows.reindex(columns=columns).sort_values(by, ignore_index=True) if len(rows) else rows


# ------------------------------------------------------------------------------------------------------ generated towns

few = st.integers(1, 2)
some = st.integers(1, 9)
share = st.sampled_from([0.0, 0.2, 0.6, 1.0])
gain = st.sampled_from([-2.0, 0.0, 2.0])
held = st.sampled_from([0.0, "1/6", "1/3", 0.4, 1.0])

cleaning = st.sampled_from([None, 0.0, 45.0, 400.0])

moves = st.sampled_from([None, None, 3, 12])
"""Days on which wards open or close."""

LEVERS: dict[str, st.SearchStrategy[Any]] = {
    "first_contact.adherence": share,
    "slot_quota.held_for_referral": held,
    "slot_quota.released_days_before": st.integers(0, 3),
    "expert_quota.held_for_referral": held,
    "imaging_quota.held_for_referral": held,
    "bed_quota.held_for_referral": held,
    "bed_quota.released_after_hours": st.sampled_from([0.0, 24.0]),
    "bed_quota.kind": st.sampled_from(["release", "partition", "protect"]),
    "priority.referred_contracted": st.booleans(),
    "up_referral.formal_share": share,
    "up_referral.accepted": st.sampled_from([0.5, 1.0]),
    "up_referral.to_partner": share,
    "up_referral.platform_delay_days": st.sampled_from([0.0, 1.0, 2.5]),
    "down_referral.proposed": share,
    "first_contact.gate": st.sampled_from([[], ["lung"], ["cold", "bone", "urgent"]]),
    "contracts.coverage_in": st.dictionaries(st.sampled_from(["town", "valley"]), share),
    "contracts.coverage_key": share,
    "contracts.used": share,
    "shared.remote_consultation": share,
    "shared.specialist_settles": share,
    "shared.specialists_away": st.sampled_from([0.0, 0.4, 1.0]),
    "shared.joint_clinics": st.sampled_from([0.0, "1/3", 0.5, 1.0]),
    "shared.joint_wards": st.sampled_from([0.0, "1/3", 0.5, 1.0]),
    "chronic.sent_down": share,
    "chronic.long_prescription": share,
    "chronic.refill_at_grassroots": share,
    "chronic.care_centre": share,
    "chronic.internet": share,
    "exams.recognised": share,
    "exams.read_remotely": share,
    "tcm.halls": st.sampled_from([0.0, 200.0]),
    "emergency.rescue_bypass": share,
    "day_care.share": share,
    "capability.standard": st.dictionaries(st.sampled_from(["basic", "recommended", "community_hospital"]), share),
    "capability.feature_departments": share,
    "capability.sub_centres": st.sampled_from([[], ["centre"], ["centre", "valley-centre"]]),
    "private.members": st.sampled_from([[], ["private"]]),
    "transformation.beds": st.sampled_from([0.0, "1/3", 0.5, 1.0]),
    "villages.public_health_share": st.sampled_from([0.0, 0.3, 0.5, 0.7, 1.0]),
    "insurance.visit_share": st.dictionaries(st.sampled_from(PLACE_CLASSES), share),
    "insurance.without_referral": share,
    "insurance.continuous_deductible": st.booleans(),
    "down_referral.consented": share,
    "prices.visit_factor": st.dictionaries(st.sampled_from(PLACE_CLASSES), st.sampled_from([0.5, 1.5])),
    "incentives.down_referral_gain": gain,
    "incentives.up_referral_gain": gain,
    "incentives.admission_gain": gain,
    "villages.integrated": share,
    "staff.shared": st.sampled_from([0.0, 0.5, 1.0]),
    "emergency.rescue_centres": st.sampled_from([["stroke"], ["maternal", "stroke"], ["trauma"]]),
    "surge.needs": st.dictionaries(st.sampled_from(["cold", "lung", "urgent"]), st.sampled_from([0.0, 0.6, 1.0, 2.5])),
    "surge.other_needs": st.sampled_from([1.0, 0.6]),
    "surge.fever_clinics": share,
    "surge.planned_paused": st.sampled_from([0.0, 0.0, 0.5, 1.0]),
}

DOORS: dict[str, st.SearchStrategy[Any]] = {
    "books": share,
    "no_show": st.sampled_from([0.0, 0.3]),
    "prefers_expert": share,
    "collects_at_station": share,
    "doors_tried": st.integers(1, 4),
    "booking_days": st.integers(2, 9),
    "booking_patience": st.sampled_from([0.0, 1.0, 4.0]),
    "yuan_per_booking_day": st.sampled_from([10.0, 300.0]),
    "yuan_per_waiting_hour": st.sampled_from([20.0, 1000.0]),
}

CARE: dict[str, st.SearchStrategy[Any]] = {
    "exam_minutes": st.sampled_from([30.0, 120.0]),
    "reading_minutes": st.sampled_from([20.0, 200.0]),
    "exam_minutes_at": st.sampled_from([{}, {"centre": said(2.0), "tertiary": said(0.5)}]),
    "settled_by_reading": share,
    "settled_by_advice": share,
    "results_valid_days": st.sampled_from([0.0, 1.0, 5.0, 1000.0]),
    "imaging_report_minutes": st.sampled_from([0.0, 200.0]),
    "waiting_patience": st.sampled_from([20.0, 90.0, 300.0]),
    "bed_patience": st.sampled_from([0.5, 5.0]),
    "operation_after_days": st.sampled_from([0.0, 1.0]),
    "day_case_hours": st.sampled_from([6.0, 30.0]),
    "consultation_law": st.sampled_from(["lognormal", "exponential"]),
    "patience_law": st.sampled_from(["lognormal", "exponential"]),
    "stay_law": st.sampled_from(["lognormal", "exponential"]),
    "waiting_patience_cv": st.sampled_from([0.0, 0.5, 2.0]),
    "weight_by_need": st.sampled_from([[1.0, 1.0, 1.0], [0.4, 0.9, 1.6]]),
    "readmission_days": st.sampled_from([2.0, 5.0]),
    "readmitted_after_step_down": st.sampled_from([0.5, 1.0, 3.0]),
    "inpatient_exam_after_days": st.sampled_from([0.0, 0.3, 1.0, 4.0]),
    "higher_standard": st.sampled_from([0.3, 0.85]),
}


def inpatient_imaging(**shares: float) -> dict[str, Any]:
    """Exams that stays ask for."""
    return {"inpatient_imaging": {kind: Figure.model_validate(said(share)) for kind, share in shares.items()}}


NEEDS = {"cold": 0.012, "lung": 0.006, "bone": 0.003, "urgent": 0.006}
"""Episodes per resident and day."""


@st.composite
def facilities(draw: st.DrawFn) -> list[towns.Data]:
    """A group short of doctors, slots and beds, at times with a private hospital beside it."""
    member: towns.Data = {"role": "member", "group": "group"}
    office: towns.Data = {"pattern": "office"}
    appointments = {"slots": draw(some)} if draw(st.booleans()) else {}
    expert = [clinic(1, draw(st.sampled_from(["general", "surgery"])), kind="expert", **office, slots=draw(few))]
    joint = [
        clinic(draw(few), name, draw(st.sampled_from(["joint", "office"])), "joint", slots=draw(some))
        for name in draw(st.sampled_from([[], ["general"], ["surgery"], ["general", "surgery"]]))
    ]
    below = [
        ward(draw(few), name, "joint", draw(cleaning), opens=draw(moves))
        for name in draw(st.sampled_from([[], ["general"], ["surgery"], ["general", "surgery"]]))
    ]
    places: towns.Data = draw(st.sampled_from([{}, {}, {"waiting_places": 0}, {"waiting_places": 3}]))
    emergency = {"emergency": {"doctors": said(1), **{name: said(number) for name, number in places.items()}}}
    day = [towns.sessions(draw(st.sampled_from([None, 1, 3])), draw(st.sampled_from([None, 1, 3]))) for _ in range(2)]
    closes, later = draw(moves), draw(st.sampled_from([0, 0, 4]))
    again = [] if closes is None else [ward(draw(few), opens=closes + later)]
    rooms = [imaging(**draw(st.dictionaries(st.sampled_from(EQUIPMENT), st.integers(1, 4)))) for _ in range(3)]
    found = [
        facility("lead", "tertiary", role="lead", group="group", capability=draw(st.sampled_from([{}, {"bone": 3}])),
                 wards=[ward(draw(some), cleaning=draw(cleaning), closes=closes), *again[: draw(st.integers(0, 1))],
                        *[ward(draw(few), "surgery", opens=draw(moves)) for _ in range(draw(st.integers(0, 1)))],
                        *[ward(1, kind="intensive", closes=draw(moves)) for _ in range(draw(st.integers(0, 1)))]],
                 **emergency, **rooms[0], **day[0],
                 clinics=[clinic(draw(few), **office, **places, slots=draw(some), extra=draw(few) - 1),
                          clinic(1, "surgery", **office, slots=draw(some)), *expert[: draw(st.integers(0, 1))]]),
        facility("member", "secondary", **member, **rooms[1] | day[1],
                 capability=draw(st.sampled_from([{}, {"bone": 4}])),
                 wards=[ward(draw(few), becomes="rehabilitation", closes=draw(moves)),
                        ward(draw(few) - 1, "rehabilitation", "step_down", draw(cleaning), closes=draw(moves))],
                 clinics=[clinic(draw(few), **office, **appointments)], **(emergency if draw(st.booleans()) else {})),
        facility("centre", "centre", **member, clinics=[clinic(draw(few), **office, **places), *joint],
                 wards=below + [ward(1)] * draw(st.integers(0, 1)), **towns.feature("surgery", 200.0),
                 **towns.as_sub_centre(draw(st.integers(2, 4)))),
        facility("valley-centre", "centre", "valley", **member,
                 **towns.as_sub_centre(beds=draw(st.sampled_from([1.0, 2.5]))),
                 clinics=[clinic(1, **office), *joint[:1]],
                 wards=[ward(1, "rehabilitation", kind="step_down"), *below[:1], ward(1, "home", "home")]),
        facility("station", "village_station", **member, clinics=[clinic(1, **office)]),
    ]  # fmt: skip
    if draw(st.booleans()):
        own = draw(st.sampled_from([("clinic", {}), ("tertiary", rooms[2] | emergency), ("secondary", emergency)]))
        wards = [ward(draw(few)), ward(1, "rehabilitation", "step_down")] if own[1] and draw(st.booleans()) else []
        found.append(
            facility(
                "private",
                own[0],
                clinics=[clinic(1, **office)],
                **own[1],
                wards=wards,
                ownership="private",
                may_join="group",
            )
        )
    return found


@st.composite
def second_group(draw: st.DrawFn) -> list[towns.Data]:
    """Another group, of the valley: a weak lead hospital and a member that may be better."""
    office: towns.Data = {"pattern": "office"}
    emergency = {"emergency": {"doctors": said(1)}} if draw(st.booleans()) else {}
    return [
        facility("valley-lead", draw(st.sampled_from(["secondary", "tertiary"])), "valley", role="lead", group="second",
                 clinics=[clinic(1, **office, slots=draw(some))], wards=[ward(draw(few))], **emergency),
        facility("valley-member", "secondary", "valley", role="member", group="second",
                 capability=draw(st.sampled_from([{}, {"bone": 4}, {"default": 2}])),
                 also_serves=draw(st.sampled_from([[], ["group"]])),
                 clinics=[clinic(1, **office)], wards=[ward(2), ward(1, "rehabilitation", kind="step_down")]),
        facility("valley-station", "village_station", "valley", role="member", group="second",
                 clinics=[clinic(1, **office)]),
        facility("shared", "tertiary", role="cooperating", also_serves=draw(st.sampled_from([[], ["group", "second"]])),
                 clinics=[clinic(1, "surgery", **office)], capability={"default": 1, "bone": 4},
                 wards=[ward(1, "surgery"), ward(1, "rehabilitation", kind="step_down")]),
    ]  # fmt: skip


@st.composite
def cases(draw: st.DrawFn) -> Case:
    """A town in which much goes wrong: queues, refusals, absences, exams, referrals, quotas that change one day."""
    days, residents = draw(st.integers(10, 40)), draw(st.integers(200, 1500))
    levers, doors, figures = (draw(st.fixed_dictionaries(each)) for each in (LEVERS, DOORS, CARE))
    places, grids = draw(facilities()), {}
    if draw(st.booleans()):
        places += draw(second_group())
        grids = {area: draw(st.sampled_from(["group", "second"])) for area in towns.AREAS}
    town = towns.group_town(days, draw(st.integers(0, 999)), facilities=places, doors=doors, grids=grids, **figures)
    window, holidays = draw(st.sampled_from([720, 720, 240, 60])), draw(st.sampled_from(["none", "CN"]))
    again = Figure.model_validate(said(draw(st.sampled_from([0.0, 0.3, 0.9]))))
    first_there = {x: Figure.model_validate(said(draw(share))) for x in ("intensive", "intensive_part")}
    in_bed = inpatient_imaging(**draw(st.dictionaries(st.sampled_from(EQUIPMENT), share)))
    exams, longer = (Figure.model_validate(said(draw(st.sampled_from(x)))) for x in ([0.0, 0.5, 1.0], [1.0, 3.0]))
    triage = Figures.model_validate(said(draw(st.sampled_from([[0.25] * 4, [0.6, 0.4, 0.0, 0.0]]))))
    conditions = town.care.conditions
    operations = {
        "operated": Figures.model_validate(said(draw(st.lists(share, min_size=3, max_size=3)))),
        "harder_operation": Figures.model_validate(said(draw(st.lists(share, min_size=3, max_size=3)))),
    }
    suited = {"day_case": Figure.model_validate(said(draw(st.sampled_from([0.3, 1.0]))))}
    down = {"steps_down_to": draw(st.sampled_from([None, ["home"], ["rehabilitation", "general"]]))}
    needs = {name: rate * residents for name, rate in NEEDS.items()}
    return replace(
        town,
        policy=towns.policy(levers, since=towns.MONDAY + timedelta(days=draw(st.integers(0, 9)))),
        timetable=towns.timetable(window, holidays, weekend=draw(st.sampled_from([0.0, 0.5]))),
        population=towns.population({"town": residents // 2, "valley": (residents + 1) // 2}, contracted=draw(share)),
        demand=towns.demand(needs, residents, {"sugar": (100.0, 14.0)}),
        care=town.care.model_copy(
            update={
                "conditions": conditions
                | {
                    "lung": conditions["lung"].model_copy(
                        update=operations | suited | down | {"consultation": longer, "readmission": again, **in_bed}
                    ),
                    "urgent": conditions["urgent"].model_copy(
                        update={"consultation": longer, "triage": triage, **in_bed, **first_there}
                    ),
                },
                "exam_at": dict.fromkeys(towns.LEVELS[:-1], exams),
                "repeat_exam": Figure.model_validate(said(draw(share))),
            }
        ),
    )


@settings(max_examples=12, deadline=None, derandomize=True, database=None)
@given(cases())
def test_generated_towns(case: Case) -> None:
    assert_same(case)


# ---------------------------------------------------------------------------------------------------------- fixed towns


def test_a_town_in_which_all_levers_are_pulled() -> None:
    hospitals_more = {level: said(1.0 if level in ("secondary", "tertiary") else 0.5) for level in towns.LEVELS[:-1]}
    figures = {"exam_at": hospitals_more, "repeat_exam": 0.8, "reading_minutes": 90.0, "settled_by_reading": 0.5}
    facilities = towns.group_facilities()
    facilities[0] |= imaging(ct=1, mr=1) | towns.sessions(1, 1)
    town = towns.group_town(42, settings=ALL_LEVERS, facilities=facilities, **figures)
    assert_same(town)
    tables = towns.run(town)[0]
    ways = ["remote", "specialist", "by_reading", "joint", "handed_down", "within_reach", "advised"]
    assert tables["helped_monthly"][ways].sum().gt(0).all()
    assert tables["exams_monthly"][["made", "repeated", "recognised", "trusted", "read_remotely"]].sum().gt(0).all()
    assert tables["needs_monthly"]["spared"].sum() > 0
    assert tables["imaging_monthly"].drop(columns=["month", "facility", "department", "cls"]).sum().gt(0).all()
    assert tables["theatres_monthly"].groupby("place")["used"].sum().gt(0).sum() == 2


SAME_PRICES = {"insurance.visit_share": {}, "insurance.without_referral": 0.0}
"""Hospitals are as crowded as without reimbursement that differs."""


@pytest.mark.parametrize(("levers", "window"), [({}, 720), (ALL_LEVERS | SAME_PRICES, 240)])
def test_a_town_in_which_follow_ups_are_missed(levers: towns.Data, window: int) -> None:
    town = towns.group_town(35, window=window, settings=levers, doors={"no_show": 0.6}, waiting_patience=20.0)
    often = towns.demand({"cold": 20.0, "lung": 8.0, "bone": 2.0, "urgent": 3.0}, 2000, {"sugar": (200.0, 7.0)})
    town = replace(town, demand=often)
    assert_same(town)
    needs = towns.run(town)[0]["needs_monthly"]
    assert needs["exacerbations"].sum() > 20
    assert needs["missed"].sum() > needs.loc[needs["condition"] == "sugar", "unmet"].sum() > 0


@pytest.mark.parametrize("valid", [0.0, 2.0])
def test_a_town_in_which_results_expire(valid: float) -> None:
    everywhere = {level: said(1.0) for level in towns.LEVELS[:-1]}
    figures = {"exam_at": everywhere, "exam_minutes": 120.0, "repeat_exam": 0.5, "results_valid_days": valid}
    settings = ALL_LEVERS | {"up_referral.platform_delay_days": 2.0}
    facilities = [f | imaging(ct=2) if f["id"] == "lead" else f for f in towns.group_facilities()]
    assert_same(towns.group_town(28, window=240, settings=settings, facilities=facilities, **figures))


@pytest.mark.parametrize(("levers", "window"), [({}, 720), (ALL_LEVERS, 240)])
def test_a_town_in_which_patients_are_readmitted(levers: towns.Data, window: int) -> None:
    town = towns.group_town(
        49, window=window, settings=levers, readmission_days=4.0, readmitted_after_step_down=0.5, bed_patience=0.5
    )
    conditions = town.care.conditions
    again = {"readmission": Figure.model_validate(said(0.6))}
    often = {name: conditions[name].model_copy(update=again) for name in ("lung", "bone", "urgent")}
    town = replace(town, care=town.care.model_copy(update={"conditions": conditions | often}))
    assert_same(town)
    tables = towns.run(town)[0]
    assert tables["needs_monthly"]["readmissions"].sum() > 20
    assert tables["readmissions_monthly"]["readmitted"].sum() > 0


@pytest.mark.parametrize(("levers", "window", "after"), [({}, 720, 1.0), (ALL_LEVERS, 240, 0.0), (PLAN, 60, 2.5)])
def test_a_town_in_which_stays_wait_for_exams(levers: towns.Data, window: int, after: float) -> None:
    places = towns.group_facilities()
    places[0] |= imaging(ct=1, mr=1)
    places[1] |= imaging(ct=1)
    town = towns.group_town(42, window=window, settings=levers, facilities=places, inpatient_exam_after_days=after)
    conditions, exams = town.care.conditions, inpatient_imaging(ct=0.5, mr=0.3, endoscopy=0.2)
    more = {name: conditions[name].model_copy(update=exams) for name in ("lung", "bone", "urgent")}
    town = replace(town, care=town.care.model_copy(update={"conditions": conditions | more}))
    assert_same(town)
    tables = towns.run(town)[0]
    assert tables["imaging_monthly"]["inpatient"].sum() > 40
    assert tables["blocked_monthly"].loc[tables["blocked_monthly"]["cause"] == "exam", "hours"].sum() > 0


def test_a_town_of_two_groups_that_share_a_hospital() -> None:
    office: towns.Data = {"pattern": "office"}
    valley: towns.Data = {"area": "valley", "group": "second"}
    found = towns.group_facilities()
    found[0]["capability"], found[-1] = {"bone": 3}, found[-1] | valley
    found += [
        facility("valley-lead", "tertiary", role="lead", **valley, capability={"bone": 3}, wards=[ward(3)],
                 clinics=[clinic(1, slots=4, **office)], emergency={"doctors": said(1)}),
        facility("shared", "secondary", role="cooperating", also_serves=["group", "second"],
                 capability={"default": 1, "bone": 4}, clinics=[clinic(1, "surgery", **office)],
                 wards=[ward(2, "surgery"), ward(2, "rehabilitation", kind="step_down")]),
        facility("private", "tertiary", "valley", clinics=[clinic(1, **office)], emergency={"doctors": said(1)}),
    ]  # fmt: skip
    grids = {"town": "group", "valley": "second"}
    inflow = {"private": {"per_year": said(1000.0), "conditions": {"lung": 1.0, "urgent": 3.0}}}
    town = towns.group_town(35, settings=ALL_LEVERS, facilities=found, grids=grids)
    town = replace(town, demand=changed(town.demand, inflow=inflow))
    visits = assert_same(town)
    assert {"lead", "valley-lead", "shared"} <= set(visits["facility"])


def test_a_town_in_which_private_institutions_join_and_leave() -> None:
    """A clinic and a hospital; the latter takes referrals and step-downs of the group while it is a member."""
    office, private = {"pattern": "office"}, {"ownership": "private", "may_join": "group"}
    found = [
        *towns.group_facilities(),
        facility("hospital", "secondary", **private, clinics=[clinic(1, **office)], emergency={"doctors": said(1)},
                 wards=[ward(4), ward(2, "rehabilitation", kind="step_down")]),
        facility("doctor", "clinic", **private, clinics=[clinic(1, **office)]),
    ]  # fmt: skip
    more = {"clinic": 0.2, "village_station": 0.3, "centre": 0.2, "secondary": 0.12, "tertiary": 0.18}
    settings = PLAN | {
        "down_referral.proposed": 1.0,
        "exams.read_remotely": 0.5,
        "up_referral.platform_delay_days": 0.0,
    }
    town = towns.group_town(35, settings=settings, facilities=found)
    doors = town.choice.first_contact_urban.value | dict.fromkeys(("minor", "chronic", "moderate", "severe"), more)
    town = replace(town, choice=changed(town.choice, first_contact_urban=said(doors)))
    members = [(7, ["hospital", "doctor"]), (28, [])]
    for day, names in members:
        step = towns.policy({"private.members": names}, towns.MONDAY + timedelta(days=day))
        town = replace(town, policy=town.policy.amended(step))
    assert_same(town)
    tables = towns.run(town)[0]
    formal = tables["referrals"].query("channel == 'formal' and direction == 'up' and from_facility == 'doctor'")
    assert formal["time"].between(7 * DAY, 28 * DAY).sum() > 0
    assert not formal["time"].lt(7 * DAY).any()
    legs = tables["stays"].query("facility == 'hospital' and entry == 'step_down'")
    assert legs["requested"].min() >= 7 * DAY


def test_a_town_in_which_the_plan_binds() -> None:
    visits = assert_same(towns.group_town(28, seed=1, settings=PLAN, waiting_patience=20.0), replication=1)
    assert set(visits["entry"]) == {"walk_in", "open_slot", "held_slot", "extra"}
    assert visits["left"].any()
    assert {"referred", "referred_contracted"} < set(visits["cls"])


@pytest.mark.parametrize("kind", ["release", "partition"])
def test_a_town_whose_wards_open_and_close(kind: str) -> None:
    found = towns.group_facilities()
    surgery = [ward(5, "surgery", closes=14), ward(2, "surgery", opens=17)]
    found[0]["wards"] = [ward(4, cleaning=200.0), *surgery, ward(2, "bones", "step_down", opens=14)]
    found[1]["wards"] = [ward(6, closes=20), ward(1, "rehabilitation", kind="step_down", closes=17)]
    settings = PLAN | {"bed_quota.kind": kind, "down_referral.proposed": 1.0}
    town = towns.group_town(35, settings=settings, facilities=found)
    assert_same(town)
    legs = towns.run(town)[0]["stays"]
    assert (legs["entry"] == "step_down").any()
    first, second = (n for n, w in enumerate(Model(town, [0]).network.wards) if w.department == "surgery")
    assert legs.loc[legs["ward"] == first, "admitted"].max() < 14 * DAY
    assert legs.loc[legs["ward"] == second, "requested"].min() >= 17 * DAY


@pytest.mark.parametrize("window", [720, 240])
def test_a_town_with_joint_wards_of_which_fewer_beds_are_run_one_day(window: int) -> None:
    """That of the place, else the nearest; the lead hospital steps down to them, with `bone` to no other ward."""
    found = towns.group_facilities()
    found[0]["wards"] = [ward(4), ward(2, "surgery", closes=25)]
    found[2]["wards"] = [ward(3, kind="joint", cleaning=100.0), ward(1, "surgery", "joint", opens=10)]
    settings = ALL_LEVERS | {"down_referral.proposed": 1.0, "bed_quota.kind": "release"}
    town = towns.group_town(49, window=window, settings=settings, facilities=found, doors={"follows_advice": 0.7})
    shares = {0: 1.0, 21: 0.25, 35: 0.0, 42: 1.0}
    dates = {day: (towns.MONDAY + timedelta(days=day)).isoformat() for day in shares}
    joint = {dates[day]: said(share, "share of beds") for day, share in shares.items()}
    rules = town.policy.model_dump(exclude_none=True)
    rules["shared"] |= {"joint_wards": joint}
    conditions = town.care.conditions
    bone = conditions["bone"].model_copy(update={"steps_down_to": ["general", "surgery"]})
    town = replace(
        town,
        policy=Policy.model_validate(rules),
        care=town.care.model_copy(update={"conditions": conditions | {"bone": bone}}),
    )
    assert_same(town)
    legs, wards = towns.run(replace(town, audit=True))[0]["stays"], Model(town, [0]).network.wards
    kind = legs["ward"].map(dict(enumerate(w.kind for w in wards)))
    here = legs[kind == "joint"]
    assert here.groupby(["facility", "ward"])["entry"].agg(lambda how: how.eq("step_down").sum()).gt(0).sum() >= 2
    assert {"other", "step_down"} <= set(here["entry"])
    assert not here["admitted"].between(35 * DAY, 42 * DAY).any()
    assert (here["admitted"] >= 42 * DAY).any()
    down = legs[(legs["entry"] == "step_down") & (legs["condition"] == "bone")]
    assert set(down["ward"].map(dict(enumerate(w.department for w in wards)))) <= {"general", "surgery"}


@pytest.mark.parametrize("window", [720, 240])
def test_a_crowded_emergency_department(window: int) -> None:
    visits = assert_same(towns.emergency_town(200.0, 1, 10, window=window, waiting_patience=60.0))
    assert visits["left"].mean() > 0.2


@pytest.mark.parametrize("window", [720, 60])
def test_a_town_whose_waiting_rooms_are_full(window: int) -> None:
    """Who is turned away comes back another day through another door; who is back with results always gets in."""
    places = {"waiting_places": said(1)}
    found = [
        f | {"clinics": [c | places for c in f["clinics"]]}
        | ({"emergency": f["emergency"] | places} if "emergency" in f else {})
        for f in towns.group_facilities()
    ]  # fmt: skip
    everywhere = {level: said(0.5) for level in towns.LEVELS[:-1]}
    law = {"patience_law": "exponential", "waiting_patience": 60.0, "emergency_minutes": 200.0, "exam_at": everywhere}
    doors = {"doors_tried": 3, "yuan_per_waiting_hour": 500.0}
    town = towns.group_town(28, window=window, settings=PLAN, facilities=found, doors=doors, **law)
    visits, counts = assert_same(town), towns.run(town)[0]["visits_monthly"]
    assert (counts.groupby("kind")["turned_away"].sum() > 0).all()
    assert visits["left"].any()


def test_a_clinic_whose_slots_are_all_taken() -> None:
    visits = assert_same(towns.clinic_town(100.0, 10, places={"slots": 40, "extra": 2}, doors={"books": 0.8}))
    assert (visits["time"] % 720 > 719 - 60).any()  # the last appointments of a morning


def test_visitors_from_elsewhere_and_emergencies_at_a_centre() -> None:
    """Visitors have no contract and no formal channel; emergencies stay where they are whatever the advice."""
    centre, stations = towns.group_facilities()[2], towns.group_facilities()[-2:]
    hospitals = towns.group_facilities()[:2]
    town = towns.group_town(
        28,
        settings=ALL_LEVERS | {"first_contact.adherence": 0.8},
        facilities=[*hospitals, centre | {"emergency": {"doctors": said(1)}}, *stations],
    )
    shares = town.choice.first_contact_urban.value | {"emergency": {"centre": 0.3, "secondary": 0.3, "tertiary": 0.4}}
    inflow = {
        "centre": {"per_year": said(1500.0), "conditions": {"cold": 1.0, "lung": 2.0, "urgent": 1.0}},
        "lead": {"per_year": said(1000.0), "conditions": {"lung": 1.0, "bone": 1.0}},
    }
    visits = assert_same(
        replace(
            town,
            choice=changed(town.choice, first_contact_urban=said(shares), first_contact_rural=said(shares)),
            demand=changed(town.demand, inflow=inflow),
        )
    )
    assert (visits["person"] < 0).mean() > 0.1
    assert set(visits.loc[visits["kind"] == "emergency", "facility"]) == {"lead", "member", "centre"}


def changed(spec: Any, **parts: Any) -> Any:
    """The same facts but for these."""
    return type(spec).model_validate(spec.model_dump(exclude_none=True) | parts)
