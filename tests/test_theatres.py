"""Theatres and day centres: places in sessions, what a late operation does to a stay, and what a day case is."""

from __future__ import annotations

from copy import deepcopy
from datetime import date
from functools import cache
from math import inf

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import towns
from analysis.phrases import PHRASES
from sim import streams
from sim.care import CareSpec
from sim.model import Case, Model
from sim.names import strangers
from sim.streams import Purpose
from sim.theatres import Places, Sessions, home_from_day_centre, is_day_case, operation_due
from sim.timetable import DAY, Timetable

Tables = dict[str, pd.DataFrame]


def sessions(full: int = 2, weekend: float = 0.5) -> Sessions:
    """Mornings from 8 to 12, from Monday 1 January 2024 on."""
    spec = towns.timetable(sessions=("morning",), weekend=weekend)
    return Sessions.of(Timetable(spec, date(2024, 1, 1), date(2024, 1, 31)).opening("office"), full)


# ------------------------------------------------------------------------------------------------------------- places


def test_a_session_has_its_places_and_at_weekends_fewer() -> None:
    held = sessions(3)
    assert held.opens[:3] == (480.0, 480.0 + DAY, 480.0 + 2 * DAY)
    assert held.closes[0] == 720.0
    assert held.offered[:8] == (3, 3, 3, 3, 3, 2, 2, 3)
    assert 5 not in [int(opens // DAY) % 7 for opens in sessions(1, weekend=0.0).opens]


def test_the_first_session_that_begins_no_earlier_than_wanted() -> None:
    places = Places(sessions(2))
    assert [places.take(wanted) for wanted in (0.0, 480.0, 480.0)] == [540.0, 660.0, DAY + 540.0]
    assert places.take(480.0 + DAY + 1) == 2 * DAY + 540.0, "a session that has begun is none"
    assert places.take(10 * DAY) == 10 * DAY + 540.0
    assert places.take(0.0) == DAY + 660.0, "what was left before is still there"


def test_nobody_takes_a_place_after_the_latest_minute() -> None:
    places = Places(sessions(1))
    assert places.take(0.0, latest=599.0) == inf
    assert places.take(0.0, latest=600.0) == 600.0
    assert places.take(0.0, latest=700.0) == inf
    assert places.take(1e9) == inf, "after the last session there is none"


@settings(max_examples=60, deadline=None, derandomize=True, database=None)
@given(st.lists(st.integers(0, 40), max_size=120), st.integers(1, 3))
def test_places_are_given_as_if_every_session_were_looked_at(days: list[int], full: int) -> None:
    places, taken = Places(sessions(full)), dict.fromkeys(sessions(full).opens, 0)
    for day in days:
        minute = places.take(day * DAY)
        opens = next(o for o, n in zip(taken, places.sessions.offered, strict=True) if o >= day * DAY and taken[o] < n)
        taken[opens] += 1
        assert opens < minute < opens + 240
    assert [len(x) for x in places.days] == list(taken.values())


def test_sessions_that_are_over_are_told_once() -> None:
    places = Places(sessions(2))
    for wanted in (0.0, 0.0, 0.0, 5 * DAY):
        places.take(wanted)
    assert places.over(2 * DAY) == (4, [0, 0, 1])
    assert places.over(2 * DAY) == (0, [])
    assert places.ahead() == 1
    assert places.over(7 * DAY) == (2 * 3 + 1 + 1, [0])


def test_a_copy_goes_on_by_itself() -> None:
    places = Places(sessions(1))
    places.take(0.0)
    copy = deepcopy(places)
    assert copy.sessions is places.sessions
    assert copy.take(0.0) == places.take(0.0) == DAY + 600.0


def test_when_an_operation_is_due_and_when_a_day_case_goes_home() -> None:
    assert operation_due(100.0, DAY, inf) == 100.0 + DAY
    assert operation_due(100.0, DAY, 60.0) == 160.0, "not after the acute phase"
    assert home_from_day_centre(600.0, 360.0) == 960.0
    assert home_from_day_centre(DAY + 1000.0, 600.0) == 2 * DAY - 1, "before midnight"
    assert is_day_case(0.3, 0.4) > is_day_case(0.3, 0.3) == is_day_case(inf, 1.0)


# ------------------------------------------------------------------------------------------------- an operation is late


def surgery(
    days: int,
    per_day: float = 3.0,
    places: towns.Data | None = None,
    levers: towns.Data | None = None,
    kind: str = "severe",
    **figures: float,
) -> Case:
    """A hospital with plenty of beds to which patients come for an operation, at any hour; half could go home that day.

    `places`: keywords of `towns.sessions`, one session a day, in the morning; `kind`: of the illness.
    """
    hospital = towns.facility(
        "hospital", "tertiary", clinics=[towns.clinic(20)], emergency={"doctors": towns.said(20)},
        wards=[towns.ward(500)], **towns.sessions(**(places or {})),
    )  # fmt: skip
    ill = towns.condition(
        kind, (1.0, 1.0, 1.0), admission=1.0, operated=[1.0] * 3, harder_operation=[0.0] * 3, day_case=0.5
    )
    return towns.case(
        days,
        settings=levers,
        network=towns.network([hospital]),
        population=towns.population({"town": 1000}),
        timetable=towns.timetable(sessions=("morning",)),
        demand=towns.demand({"illness": per_day}, 1000),
        choice=towns.choice({"tertiary": 1.0}),
        care=towns.care({"illness": ill}, **{"day_case_hours": 6.0} | figures),
    )


def stays(case: Case) -> pd.DataFrame:
    """Stays in the order of admission."""
    return towns.run(case)[0]["stays"].sort_values("admitted").set_index("episode")


@pytest.mark.parametrize("after", [0.0, 1.5])
def test_a_stay_is_longer_by_what_its_operation_is_late(after: float) -> None:
    """R25, patient by patient, with the same luck; who took which place is worked out anew."""
    figures = {"operation_after_days": after}
    late = stays(surgery(60, places={"theatres": 3}, **figures))
    without = stays(surgery(120, **figures))  # twice as long, so that those still in bed after 60 days are in it
    given: dict[int, int] = {}
    lateness = {}
    for episode, stay in without[without["admitted"] < 60 * DAY].iterrows():
        wanted = stay["admitted"] + min(after * DAY, stay["discharged"] - stay["admitted"])
        day = next(d for d in range(200) if d * DAY + 480 >= wanted and given.get(d, 0) < 3)
        given[day] = given.get(day, 0) + 1
        lateness[episode] = day * DAY + 480 + (given[day] - 0.5) / 3 * 240 - wanted
    same = without.loc[late.index]
    assert late["admitted"].equals(same["admitted"])
    longer = (late["discharged"] - same["discharged"]).to_numpy()
    assert longer == pytest.approx([lateness[episode] for episode in late.index])
    assert len(late) > 100
    assert longer.max() > 2 * DAY


def test_emergencies_are_operated_on_at_once() -> None:
    with_theatres = towns.run(surgery(40, places={"theatres": 1}, kind="emergency"))[0]
    towns.assert_same(
        {"stays": with_theatres["stays"]}, {"stays": towns.run(surgery(40, kind="emergency"))[0]["stays"]}
    )
    assert set(with_theatres["stays"]["entry"]) == {"emergency"}
    assert with_theatres["theatres_monthly"]["used"].sum() == 0 < with_theatres["theatres_monthly"]["offered"].sum()


def test_only_hospitals_that_state_their_theatres_have_sessions() -> None:
    found = towns.group_facilities()
    found[1] |= towns.sessions(theatres=1)
    tables = towns.run(towns.group_town(42, facilities=found))[0]
    stays = tables["stays"]
    planned = stays["operation_level"].gt(0) & ~stays["entry"].isin(["emergency", "step_down"])
    assert set(stays["facility"][planned]) == {"lead", "member", "outside"}
    assert set(tables["theatres_monthly"]["facility"]) == {"member"}
    begun = planned & stays["facility"].eq("member") & stays["admitted"].lt(30 * DAY)
    assert 0 < begun.sum() <= tables["theatres_monthly"]["used"].sum()


def test_patients_of_joint_wards_are_operated_on_at_the_lead_hospital_and_are_no_day_cases_there() -> None:
    found = towns.group_facilities()
    found[0] |= towns.sessions(theatres=1, day_centre=1)
    model = Model(towns.group_town(7, facilities=found), [0])
    hospital, wards = model.hospitals[0], model.network.wards
    assert {wards[n].kind for n in hospital.theatres} == {"acute", "joint"}
    assert {wards[n].kind for n in hospital.day_centres} == {"acute"}


# ----------------------------------------------------------------------------------------------------------- day cases


@cache
def day_cases(share: float) -> Tables:
    """Two months of a hospital with a scarce day centre."""
    case = surgery(60, places={"theatres": 9, "day_centre": 1}, levers={"day_care.share": share}, bed_patience=2.0)
    return towns.run(case)[0]


def test_a_day_case_is_a_discharge_of_a_day_without_a_bed() -> None:
    none, many = (day_cases(share)["stays"] for share in (0.0, 1.0))
    assert not none["day_case"].any()
    cases, others = many[many["day_case"]], many[~many["day_case"]]
    assert len(cases) > 40
    assert (cases["nights"] == 1).all()
    assert (cases["discharged"] - cases["admitted"]).to_numpy() == pytest.approx(360)
    assert (cases["admitted"] % DAY).between(480, 720).all()
    assert (cases["operation_level"] == 1).all()
    assert others["admitted"].equals(others["requested"]), "beds are plenty"
    monthly = day_cases(1.0)["stays_monthly"]
    assert monthly["day_cases"].sum() == len(cases) == monthly["discharges"].sum() - len(others)
    assert monthly["operated"].sum() == len(many)
    beds = [day_cases(share)["beds_monthly"]["occupied_days"].sum() for share in (0.0, 1.0)]
    assert beds[1] < 0.9 * beds[0]


def test_who_finds_no_place_at_the_day_centre_within_patience_gets_a_bed() -> None:
    rows = day_cases(1.0)["stays"]
    suited = streams.uniform(rows["episode"].to_numpy(np.uint64), Purpose.STAY) < 0.5
    assert suited[rows["day_case"]].all()
    assert (suited & ~rows["day_case"]).sum() > 5
    waited = ((rows["admitted"] - rows["requested"]) / DAY)[rows["day_case"]]
    assert waited.max() > 2
    assert waited.min() > 0


def test_raising_the_share_only_adds_day_cases() -> None:
    """Luck belongs to the person; where places are plenty whoever was a day case remains one."""

    def found(share: float) -> set[int]:
        rows = towns.run(surgery(40, places={"day_centre": 50}, levers={"day_care.share": share}))[0]["stays"]
        return set(rows.loc[rows["day_case"], "episode"])

    none, some, more, every = map(found, (0.0, 0.4, 0.7, 1.0))
    assert not none
    assert some < more < every


def test_places_used_are_operations_and_day_cases() -> None:
    tables = day_cases(1.0)
    used = tables["theatres_monthly"].groupby("place")[["offered", "used"]].sum()
    assert (used["used"] == tables["theatre_days"].groupby("place")["patients"].sum()).all()
    assert used["offered"].to_dict() == {"day_centre": 60, "theatre": 9 * 60}
    cases = int(tables["stays"]["day_case"].sum())
    assert cases == used.loc["day_centre", "used"]
    assert used.loc["theatre", "used"] >= len(tables["stays"]) - cases


def test_operations_to_come_are_a_backlog() -> None:
    """At the end of a month: those who are in bed and have a place in a session of the next one."""
    tables = towns.run(surgery(60, per_day=2.0, places={"theatres": 1}))[0]
    backlog = tables["backlog"].set_index(["resource", "month"])["waiting"]
    used = tables["theatres_monthly"].set_index("month")["used"]
    assert backlog["theatre", "2024-01-01"] > 15
    assert used["2024-02-01"] == 29, "every place"


def test_counts_of_waits_for_a_bed_leave_day_cases_out() -> None:
    rows = day_cases(1.0)["stays"]
    assert day_cases(1.0)["waits_bed"]["patients"].sum() == (~rows["day_case"]).sum()


# ------------------------------------------------------------------------------------------------------------- the rest


def test_the_load_of_theatres_is_told_before_the_run() -> None:
    case = surgery(70, per_day=3.0, places={"theatres": 4})
    loads = Model(case, [0]).tables(0)["loads"].set_index("resource")
    assert loads.loc["theatre", "point"] == "hospital/theatres"
    assert loads.loc["theatre", "offered"] == pytest.approx(3 * 365, rel=1e-6)
    assert loads.loc["theatre", "load"] == pytest.approx(3 / 4, rel=1e-6)
    assert {f"load_{resource}" for resource in loads.index} <= PHRASES.keys(), "the report can tell of each overload"


def test_the_pattern_of_theatres_is_one_of_the_timetable() -> None:
    case = surgery(1, places={"theatres": 1, "day_centre": 1})
    (hospital,) = case.network.facilities
    wrong = {n: getattr(hospital, n).model_copy(update={"pattern": "offise"}) for n in ("theatres", "day_centre")}
    network = case.network.model_copy(update={"facilities": [hospital.model_copy(update=wrong)]})
    parts = (case.population, case.timetable, case.demand, case.care)
    assert not list(strangers(case.network, *parts))
    said = [("/".join(at), text) for at, text in strangers(network, *parts)]
    assert said == [
        (f"network/facilities/0/{name}/pattern", "offise is no pattern of the timetable. Did you mean office?")
        for name in wrong
    ]


def test_a_day_case_needs_its_hours() -> None:
    condition = towns.condition("severe", admission=0.5, day_case=0.2)
    with pytest.raises(ValueError, match="illness has a day_case, so day_case_hours is needed"):
        towns.care({"illness": condition})
    assert isinstance(towns.care({"illness": condition}, day_case_hours=6.0), CareSpec)
