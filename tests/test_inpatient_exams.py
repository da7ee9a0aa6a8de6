"""Exams of inpatients: asked for at admission, made in booked sessions, and late ones make the stay longer (R25)."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy.stats import binom

import towns
from sim import care
from sim.care import NO_EQUIPMENT, Care
from sim.contacts import empty
from sim.model import Case, Model
from sim.network import WardSpec
from sim.past import simulate
from sim.streams import child, key
from sim.timetable import DAY, HALF_DAY
from towns import clinic, facility, imaging, said, ward

STAY = 5.0
HELD = {"slot_quota.released_days_before": 0}
"""Held slots open on the day itself."""
Tables = dict[str, pd.DataFrame]


def ward_town(
    days: int = 28, slots: int = 100_000, share: float = 1.0, stay: float = STAY, after: float = 1.0,
    settings: towns.Data | None = None, per_day: float = 10.0, **more: Any,
) -> Case:  # fmt: skip
    """A lead hospital that admits ten emergencies and ten others a day; stays of the same length, each with a CT.

    `slots`: of the room in a session, in the morning and in the afternoon of working days.
    """
    kinds = {"urgent": "emergency", "planned": "severe"}
    exam = {"inpatient_imaging": {"ct": said(share)}}
    ill = {
        name: towns.condition(kind, (1.0, 1.0, 0.0), admission=1.0, stay_days=stay, stay_cv=0.0) | exam
        for name, kind in kinds.items()
    }
    lead = facility(
        "lead", "tertiary", role="lead", group="group", emergency={"doctors": said(9)}, clinics=[clinic(9)],
        wards=[ward(900)], **imaging(ct=slots),
    )  # fmt: skip
    centre = facility("centre", "centre", role="member", group="group", clinics=[clinic(9)])
    doors = {"emergency": {"tertiary": 1.0}, "severe": {"tertiary": 0.5, "centre": 0.5}}
    formal = {"up_referral.formal_share": 1.0, "up_referral.accepted": 1.0}
    return towns.case(
        days,
        settings=formal | (settings or {}),
        network=towns.network([lead, centre], "lead"),
        population=towns.population({"town": 50_000}),
        timetable=towns.timetable(weekend=0.0),
        demand=towns.demand(dict.fromkeys(kinds, per_day), 50_000),
        choice=towns.choice({"tertiary": 1.0}, doors),
        care=towns.care(ill, inpatient_exam_after_days=after, imaging_report_minutes=60.0, **more),
    )


def at_lead(tables: Tables) -> pd.DataFrame:
    """Stays, and by how many minutes each is longer than it would have been."""
    stays = tables["stays"]
    return stays.assign(longer=stays["discharged"] - stays["admitted"] - STAY * DAY)


def total(tables: Tables, column: str, **where: str) -> int:
    """Of all exams."""
    rows = tables["imaging_monthly"]
    for name, value in where.items():
        rows = rows[rows[name] == value]
    return int(rows[column].sum())


def next_session(minute: float) -> float:
    """The next opening of the room: 8:00 or 14:00 of a working day."""
    day = minute // DAY
    while True:
        for opens in (8 * 60.0, 14 * 60.0):
            if day % 7 < 5 and day * DAY + opens >= minute:
                return float(day * DAY + opens)
        day += 1


# ------------------------------------------------------------------------------------------------------ what is late


def lateness(stays: pd.DataFrame, after: float) -> pd.Series[float]:
    """Minutes from when an exam is due to its report: an hour after the first session that follows the settlement."""
    answered = np.ceil(stays["admitted"] / HALF_DAY) * HALF_DAY
    return (answered.map(next_session) + 60.0 - (stays["admitted"] + after * DAY)).clip(lower=0.0)


@pytest.mark.parametrize("after", [0.0, 1.0, 3.0])
def test_a_stay_is_longer_by_what_its_report_comes_after_it_is_due(after: float) -> None:
    """With slots for all: the first session after the answer; made before it is due, an exam costs nothing."""
    stays = at_lead(towns.run(ward_town(after=after))[0])
    assert len(stays) > 250
    late = lateness(stays, after)
    assert (stays["longer"] - late).between(-1e-6, 1.0).all()
    assert late.max() > (2.5 - after) * DAY  # over a week-end
    assert (late == 0).any() == (after > 0.0)
    assert (late == 0).all() == (after == 3.0)


def test_patients_of_joint_wards_are_examined_in_the_rooms_of_the_lead_hospital() -> None:
    town = ward_town(settings={"shared.joint_wards": 1.0})
    lead, centre = town.network.facilities
    joint = WardSpec.model_validate(ward(900, kind="joint"))
    network = town.network.model_copy(update={"facilities": [lead, centre.model_copy(update={"wards": [joint]})]})
    tables = towns.run(replace(town, network=network))[0]
    stays = at_lead(tables).query("facility == 'centre'")
    assert len(stays) > 60
    assert (stays["longer"] - lateness(stays, 1.0)).between(-1e-6, 1.0).all()
    assert set(tables["imaging_monthly"]["facility"]) == {"lead"}


def test_the_minutes_are_told_by_cause() -> None:
    tables = towns.run(ward_town(56))[0]
    stays, blocked = at_lead(tables), tables["blocked_monthly"]
    assert set(blocked["cause"]) == {"exam"}
    open_ones = total(tables, "made") - len(stays)
    told = blocked["hours"].sum() * 60
    assert stays["longer"].sum() <= told + 60 * len(blocked)
    assert told <= stays["longer"].sum() + open_ones * 4 * DAY
    assert total(tables, "inpatient") == total(tables, "requests") == total(tables, "booked_open")
    assert total(tables, "no_shows") == total(tables, "refused") == 0


def test_without_a_room_or_a_slot_there_is_no_exam_and_no_delay() -> None:
    """Where the books are full as far as they reach the ward does without."""
    none = ward_town(share=0.0)
    plain = at_lead(towns.run(none)[0])
    assert (plain["longer"].abs() < 1e-6).all()
    nowhere = replace(ward_town(), network=without_rooms(ward_town()))
    pd.testing.assert_frame_equal(towns.run(nowhere)[0]["stays"], towns.run(none)[0]["stays"], check_exact=True)
    tables = towns.run(ward_town(slots=1))[0]
    assert total(tables, "requests") == total(tables, "booked_open") + total(tables, "refused")
    assert total(tables, "refused") > 100
    stays = at_lead(tables)
    assert (stays["longer"].abs() < 1e-6).sum() > 100
    assert stays["longer"].max() > 5 * DAY


def without_rooms(case: Case) -> Any:
    """The place without large equipment."""
    places = [f.model_copy(update={"imaging": []}) for f in case.network.facilities]
    return case.network.model_copy(update={"facilities": places})


def test_stays_that_are_over_before_an_exam_is_due_ask_for_none() -> None:
    tables = towns.run(ward_town(stay=0.9))[0]
    assert total(tables, "requests") == 0
    tables = towns.run(ward_town(stay=0.9, after=0.5))[0]
    assert total(tables, "requests") > 250


def test_centres_ask_for_none() -> None:
    """Large equipment is for hospitals' wards, though patients of the centre go to the same room."""
    case = ward_town()
    lead, centre = case.network.facilities
    network = case.network.model_copy(update={"facilities": [lead, centre.model_copy(update={"wards": lead.wards})]})
    conditions = {
        name: c.model_copy(update={"beyond_centre": c.beyond_secondary}) for name, c in case.care.conditions.items()
    }
    town = replace(case, network=network, care=case.care.model_copy(update={"conditions": conditions}))
    assert Model(town, [0]).network.imaging_room[1, 0] == 0
    tables = towns.run(town)[0]
    asked = tables["stays"].groupby("facility").size()
    assert asked["centre"] > 50
    assert 50 < total(tables, "requests") <= tables["needs_monthly"]["needs"].sum() - asked["centre"]


# ------------------------------------------------------------------------------------------------------ who comes first


def test_emergencies_come_first_and_the_referred_may_have_held_slots() -> None:
    levers = HELD | {"imaging_quota.held_for_referral": 0.3, "priority.referred_contracted": True}
    tables = towns.run(ward_town(42, slots=13, after=0.0, settings=levers))[0]
    assert total(tables, "booked_held", cls="referred") > 50
    assert total(tables, "booked_held", cls="other") == 0
    stays = at_lead(tables)
    longer = stays.groupby("entry")["longer"].mean()
    assert longer["referred"] < longer["emergency"] - 0.5 * DAY < longer["other"] - 0.6 * DAY


@pytest.mark.parametrize("window", [240, 60])
def test_windows_of_any_length_give_the_same_stays(window: int) -> None:
    town = ward_town(slots=8)
    here, there = (towns.run(case)[0] for case in (town, replace(town, timetable=towns.timetable(window, weekend=0.0))))
    emergencies = [t["stays"][t["stays"]["condition"] == "urgent"].reset_index(drop=True) for t in (here, there)]
    pd.testing.assert_frame_equal(*emergencies, check_exact=True)


def test_scenarios_that_part_keep_the_orders_of_the_day() -> None:
    town = ward_town(28, slots=9)
    levers = {"up_referral.formal_share": 1.0, "imaging_quota.held_for_referral": 0.5, "down_referral.proposed": 0.5}
    plan = replace(town, policy=towns.policy(levers, towns.MONDAY + timedelta(days=19)))
    study = {"before": town, "plan": replace(plan, policy=town.policy.amended(plan.policy))}
    for name, replication, tables in simulate(study, [0, 1]):
        towns.assert_same(towns.run(study[name], [replication])[replication], tables)


# ------------------------------------------------------------------------------------------------------------ direction


def test_held_exam_slots_make_stays_longer_where_machines_are_scarce() -> None:
    """Expected: at the lead hospital the stays of those without a referral are longer, and all stays taken together."""

    def lead(held: float) -> pd.DataFrame:
        levers = HELD | {"imaging_quota.held_for_referral": held}
        return at_lead(towns.run(ward_town(42, slots=13, after=0.0, settings=levers))[0])

    few, many = lead(0.0), lead(0.3)
    without = [s.loc[s["entry"] != "referred", "longer"].mean() for s in (few, many)]
    assert without[1] > without[0] + 0.25 * DAY
    assert many["longer"].mean() > few["longer"].mean() + 0.1 * DAY


# ---------------------------------------------------------------------------------------------------- decisions, loads


def test_one_exam_at_most_by_the_stated_shares() -> None:
    ill = towns.condition("severe", admission=0.5)
    ill |= {"inpatient_imaging": {"ct": said(0.3), "mr": said(0.2)}}
    tables = Care.of([towns.care({"ill": ill, "other": towns.condition()})], ["ill", "other"]).tables()
    rows = empty(20_000)
    rows["key"] = child(key(1, "stays"), np.arange(len(rows)))
    kinds = np.array([care.inpatient_equipment(tables, who) for who in rows])
    for kind, share in {0: 0.3, 1: 0.2, 2: 0.0, NO_EQUIPMENT: 0.5}.items():
        low, high = binom.ppf([5e-7, 1 - 5e-7], len(rows), share)
        assert low <= (kinds == kind).sum() <= high
    rows["condition"] = 1
    assert {care.inpatient_equipment(tables, who) for who in rows[:500]} == {NO_EQUIPMENT}


def test_the_load_of_a_room_holds_the_exams_of_wards() -> None:
    def load(share: float) -> float:
        loads = Model(ward_town(28, 50, share), [0]).tables(0)["loads"].set_index("resource")
        return float(loads.loc["imaging", "offered"])

    assert load(0.0) == 0.0
    assert load(0.4) == pytest.approx(0.4 * 20 * 365, rel=0.02)


def test_days_until_an_exam_is_due_may_be_left_out() -> None:
    case = ward_town()
    whole = case.care.model_copy(update={"inpatient_exam_after_days": None})
    towns.assert_same(towns.run(replace(case, care=whole))[0], towns.run(case)[0])
    with pytest.raises(ValueError, match="inpatient_exam_after_days is at least 0"):
        towns.care({"ill": towns.condition()}, inpatient_exam_after_days=-1.0)
