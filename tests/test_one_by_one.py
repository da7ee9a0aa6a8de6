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
from sim.citation import Figure
from sim.model import Case, simulate
from towns import PLAN, clinic, facility, said, ward

VISIT = ["episode", "facility", "point", "kind", "cls", "entry", "time", "begin", "end", "left"]


def assert_same(case: Case, replication: int = 0) -> pd.DataFrame:
    """Both engines tell of the same visits and stays; returns the visits."""
    at_once, one_by_one = simulate(case, [replication])[replication], simulate_one_by_one(case, replication)
    for table, columns in (("visits", VISIT), ("stays", list(at_once["stays"]))):
        wanted, told = (sorted_rows(rows[table], columns) for rows in (at_once, one_by_one))
        pd.testing.assert_frame_equal(told, wanted, check_exact=True, check_dtype=False, obj=table)
    return at_once["visits"]


def sorted_rows(rows: pd.DataFrame, columns: list[str]) -> pd.DataFrame:
    """Rows in an order that does not depend on who wrote them down."""
    return rows.reindex(columns=columns).sort_values(["episode", columns[-2]], ignore_index=True)


# ------------------------------------------------------------------------------------------------------- generated towns

few = st.integers(1, 2)
share = st.sampled_from([0.0, 0.2, 0.6, 1.0])
held = st.sampled_from([0.0, "1/6", "1/3", 0.4, 1.0])


@st.composite
def facilities(draw: st.DrawFn) -> list[dict[str, Any]]:
    """A group whose clinics and wards are short of doctors, slots and beds; at times a private hospital beside it."""
    member: dict[str, Any] = {"role": "member", "group": "group", "pattern": "office"}
    role = {k: member[k] for k in ("role", "group")}
    slots = st.integers(1, 9)
    bookable = draw(st.booleans())
    found = [
        facility("lead", "tertiary", role="lead", group="group", wards=[ward(draw(slots))], emergency={"doctors": said(draw(few))},
                 clinics=[clinic(draw(few), pattern="office", slots=draw(slots), extra=draw(few) - 1),
                          clinic(1, "surgery", "office", slots=draw(slots))]),
        facility("member", "secondary", **role, wards=[ward(draw(few)), ward(1, "rehabilitation", step_down=True)],
                 clinics=[clinic(draw(few), pattern="office", **({"slots": draw(slots)} if bookable else {}))],
                 **({"emergency": {"doctors": said(1)}} if draw(st.booleans()) else {})),
        facility("centre", "centre", **role, clinics=[clinic(draw(few), pattern="office")]),
        facility("valley-centre", "centre", "valley", **role, clinics=[clinic(1, pattern="office")],
                 wards=[ward(1, "rehabilitation", step_down=True)]),
        facility("station", "village_station", **role, clinics=[clinic(1, pattern="office")]),
    ]  # fmt: skip
    if draw(st.booleans()):
        found.append(facility("private", "tertiary", clinics=[clinic(1, pattern="office")], emergency={"doctors": said(1)}))
    return found


@st.composite
def cases(draw: st.DrawFn) -> Case:
    """A town in which much goes wrong: queues, refusals, absences, exams, referrals, quotas."""
    days, residents = draw(st.integers(10, 40)), draw(st.integers(200, 1500))
    levers = {
        "first_contact.adherence": draw(share), "slot_quota.held_for_referral": draw(held),
        "slot_quota.released_days_before": draw(st.integers(0, 3)), "bed_quota.held_for_referral": draw(held),
        "bed_quota.released_after_hours": draw(st.sampled_from([0.0, 24.0])), "priority.referred_contracted": draw(st.booleans()),
        "up_referral.formal_share": draw(share), "up_referral.accepted": draw(st.sampled_from([0.5, 1.0])),
        "up_referral.platform_delay_days": draw(st.sampled_from([0.0, 1.0, 2.5])), "down_referral.proposed": draw(share),
    }  # fmt: skip
    doors = {
        "books": draw(share), "no_show": draw(st.sampled_from([0.0, 0.3])), "doors_tried": draw(st.integers(1, 4)),
        "booking_days": draw(st.integers(2, 9)), "booking_patience": draw(st.sampled_from([0.0, 1.0, 4.0])),
    }  # fmt: skip
    exams = Figure.model_validate(said(draw(st.sampled_from([0.0, 0.5, 1.0]))))
    figures = {
        "exam_minutes": draw(st.sampled_from([30.0, 120.0])),
        "waiting_patience": draw(st.sampled_from([20.0, 90.0, 300.0])), "bed_patience": draw(st.sampled_from([0.5, 5.0])),
        "consultation_law": draw(st.sampled_from(["lognormal", "exponential"])),
    }  # fmt: skip
    town = towns.group_town(
        days, draw(st.integers(0, 999)), draw(st.sampled_from([720, 720, 240, 60])), levers, draw(facilities()), doors, **figures
    )
    halves = {"town": residents // 2, "valley": residents - residents // 2}
    needs = {"cold": 0.012, "lung": 0.006, "bone": 0.003, "urgent": 0.006}
    later = replace(town, policy=towns.policy(levers, towns.MONDAY + timedelta(days=draw(st.integers(0, 9)))))
    return replace(
        later,
        care=town.care.model_copy(update={"exam_at": dict.fromkeys(towns.LEVELS[:-1], exams)}),
        timetable=towns.timetable(int(town.timetable.window_minutes), draw(st.sampled_from(["none", "CN"])), draw(st.sampled_from([0.0, 0.5]))),
        population=towns.population(halves, draw(share)),
        demand=towns.demand({name: rate * residents for name, rate in needs.items()}, residents, {"sugar": (100.0, 14.0)}),
    )  # fmt: skip


@settings(max_examples=12, deadline=None, derandomize=True, database=None)
@given(cases())
def test_generated_towns(case: Case) -> None:
    assert_same(case)


# ------------------------------------------------------------------------------------------------------------ fixed towns


def test_a_town_in_which_the_plan_binds() -> None:
    visits = assert_same(towns.group_town(28, seed=2, settings=PLAN), replication=1)
    assert set(visits["entry"]) == {"walk_in", "open_slot", "held_slot", "extra"}
    assert visits["left"].any()
    assert {"referred", "referred_contracted"} < set(visits["cls"])


@pytest.mark.parametrize("window", [720, 240])
def test_a_crowded_emergency_department(window: int) -> None:
    visits = assert_same(towns.emergency_town(200.0, 1, 10, window=window, waiting_patience=60.0))
    assert visits["left"].mean() > 0.2
