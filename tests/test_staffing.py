"""Who works where: no doctor's minute is lost or found, and everybody keeps some."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from fractions import Fraction
from functools import cache
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import towns
from sim.model import Model
from sim.network import Level, Network, PublicHealthSpec
from sim.past import simulate
from sim.schema import InputError
from sim.staffing import LEAST, ROOM, PublicHealth, integrated, on_duty, pools, posted, walk_in_clinics

SHARES = [0.0, 0.3, 0.4, 0.5, 0.8, 1.0]


@cache
def town() -> Model:
    """The group town: a station and a centre in the town, two stations and a centre in the valley."""
    return Model(towns.group_town(7), [0])


def clinics(net: Network) -> dict[str, int]:
    """Walk-in clinics by facility."""
    return {net.facilities[net.points[p].facility].id: p for p in np.flatnonzero(walk_in_clinics(net)).tolist()}


# -------------------------------------------------------------------------------------------------------- public health


def test_walk_in_clinics_are_those_without_slots() -> None:
    net = town().network
    assert set(clinics(net)) == {"centre", "valley-centre", "station", "village-001", "village-002"}


@pytest.mark.parametrize("share", SHARES)
def test_public_health_takes_as_long_whoever_does_it(share: float) -> None:
    work = town().public_health[0]
    assert work.minutes(share).sum() == pytest.approx(work.minutes(None).sum())
    assert (work.minutes(share) >= 0).all()


def test_stations_do_the_share_of_the_work_that_is_asked_of_them_as_far_as_their_time_goes() -> None:
    work = town().public_health[0]
    for share in (0.2, 0.4, 0.5, 0.7):
        minutes = work.minutes(share)
        assert minutes[work.is_station].sum() == pytest.approx(share * minutes.sum())
    most = work.minutes(1.0)
    assert most[work.is_station].sum() < most.sum()


@pytest.mark.parametrize("share", SHARES)
def test_what_a_station_takes_over_is_time_of_its_clinic_and_a_part_of_it_comes_to_the_centre(share: float) -> None:
    work = town().public_health[0]
    more = work.minutes(share) - work.minutes(None)
    clinic = work.clinic * (work.clinic_time(share) - 1.0)
    np.testing.assert_allclose(clinic[work.is_station], -more[work.is_station], atol=1e-6)
    centres = ~work.is_station
    np.testing.assert_allclose(clinic[centres], -work.freed * more[centres], atol=1e-6)


def test_as_in_the_base_year_nothing_changes_at_all() -> None:
    work = town().public_health[0]
    for share in (None, 0.4):
        assert (work.clinic_time(share) == 1.0).all()


def test_half_of_the_time_for_two_fifths_of_the_work_is_three_quarters_of_the_clinic_at_half_of_it() -> None:
    model = town()
    time = model.public_health[0].clinic_time(0.5)
    of = {name: time[p] for name, p in clinics(model.network).items()}
    assert of == pytest.approx(
        {"station": 0.75, "village-001": 0.75, "village-002": 0.75, "centre": 1.125, "valley-centre": 1.25}
    )


@pytest.mark.parametrize("share", SHARES)
def test_every_clinic_keeps_some_time(share: float) -> None:
    assert town().public_health[0].clinic_time(share).min() >= LEAST - 1e-9


def test_without_facts_or_without_a_centre_no_clinic_has_to_do_with_it() -> None:
    model = town()
    net, nothing = model.network, PublicHealth.of(model.network, None, model.public_health[0].clinic)
    assert (nothing.clinic_time(1.0) == 1.0).all()
    assert (nothing.minutes(1.0) == 0.0).all()
    alone = [f for f in towns.group_facilities() if f["level"] != "centre"]
    lonely = Model(towns.group_town(7, facilities=alone), [0]).public_health[0]
    assert (lonely.township == -1).all()
    assert (lonely.clinic_time(1.0) == 1.0).all()
    assert net.level[net.point_facility[clinics(net)["station"]]] == Level.village_station


def test_stations_of_an_area_without_a_centre_share_the_work_with_the_nearest_one() -> None:
    places = [f for f in towns.group_facilities() if f["id"] != "valley-centre"]
    model = Model(towns.group_town(7, facilities=places), [0])
    time = model.public_health[0].clinic_time(0.5)
    of = {name: time[p] for name, p in clinics(model.network).items()}
    assert of["village-001"] == of["station"] == pytest.approx(0.75)
    assert of["centre"] == pytest.approx(1 + 0.5 * 3 * 0.25)


@pytest.mark.parametrize(
    ("facts", "told"),
    [
        ({"at_stations": 0.0}, "at_stations is a share from 0.01 to 1; found 0"),
        ({"doctors_time": 1.0}, "doctors_time is a share from 0 to 0.95; found 1"),
        ({"freed_for_clinics": 1.5}, "freed_for_clinics is a share from 0 to 1; found 1.5"),
    ],
)
def test_shares_that_cannot_be_are_refused(facts: dict[str, float], told: str) -> None:
    whole: dict[str, Any] = {"at_stations": 0.4, "doctors_time": 0.5, "freed_for_clinics": 0.5} | facts
    with pytest.raises((ValueError, InputError), match=told):
        PublicHealthSpec.model_validate({name: towns.said(value) for name, value in whole.items()})


# -------------------------------------------------------------------------------------------------------------- on duty


def test_a_part_of_a_doctor_is_a_doctor_who_comes_later() -> None:
    number, late = on_duty(np.array([[1, 2, 2, 1, 3]]), np.array([[0.75, 0.75, 0.4, 1.25, 1.0]]))
    assert number.tolist() == [[1, 2, 1, 2, 3]]
    np.testing.assert_allclose(late, [[0.25, 0.5, 0.2, 0.75, 0.0]])
    assert late[0, 4] == 0.0


# ------------------------------------------------------------------------------------------------------- shared doctors


def test_pools_are_walk_in_clinics_of_a_departments_centres_in_a_group() -> None:
    net = town().network
    nobody = integrated(net, 1, 0.0)
    assert {net.facilities[net.points[p].facility].id for p in np.flatnonzero(pools(net, nobody) >= 0)} == {
        "centre",
        "valley-centre",
    }
    assert set(pools(net, nobody).tolist()) == {-1, 0}
    assert set(pools(net, integrated(net, 1, 1.0))[list(clinics(net).values())].tolist()) == {0}


def test_a_larger_share_of_integrated_stations_adds_some_and_leaves_none_out() -> None:
    net = town().network
    few, some, every = (set(np.flatnonzero(integrated(net, 7, share)).tolist()) for share in (0.2, 0.6, 1.0))
    assert few <= some <= every == {p for name, p in clinics(net).items() if "centre" not in name}
    assert integrated(net, 7, 0.0).sum() == 0
    alone: dict[str, Any] = {
        "role": "none",
        "group": None,
        "feature": None,
        "standard_level": "none",
        "as_sub_centre": None,
    }
    lonely = [f | alone if f["level"] == "centre" else f for f in towns.group_facilities()]
    for f in lonely[2:4]:
        f["clinics"], f["wards"] = f["clinics"][:1], []
    assert integrated(Model(towns.group_town(7, facilities=lonely), [0]).network, 7, 1.0).sum() == 0, "no centre"


def test_an_overloaded_station_gets_a_doctor_of_its_township() -> None:
    own, pool, minutes = np.array([1, 1, 4]), np.array([0, 0, 0]), np.full(3, 1000.0)
    assert posted(own, pool, Fraction(1, 4), np.array([900.0, 10.0, 400.0]), minutes).tolist() == [1, 0, -1]


def refills_at(share: float, collects: float) -> dict[str, int]:
    """Visits for a prescription alone, by facility, of residents who all would go to the centre."""
    town = towns.group_town(28, settings={"villages.integrated": share})
    choice = towns.choice({"centre": 1.0}, collects_at_station=collects)
    visits = towns.run(replace(town, choice=choice))[0]["visits"]
    first = visits[visits["condition"] == "sugar"].drop_duplicates("episode")
    return first["facility"].value_counts().to_dict()


def test_prescriptions_of_a_centre_are_collected_at_the_station_at_home() -> None:
    assert set(refills_at(0.0, 1.0)) == {"centre", "valley-centre"}
    assert set(refills_at(1.0, 1.0)) == {"station", "village-001", "village-002"}
    half = refills_at(1.0, 0.5)
    near = sum(number for name, number in half.items() if "centre" not in name)
    assert 0.35 < near / sum(half.values()) < 0.65


clinic = st.tuples(st.integers(0, 9), st.integers(-1, 2), st.floats(0, 1e5), st.sampled_from([2250.0, 3150.0]))


@settings(max_examples=200, deadline=None, derandomize=True, database=None)
@given(st.lists(clinic, min_size=1, max_size=12), st.sampled_from([Fraction(0), Fraction(1, 3), Fraction(1)]))
def test_no_doctor_is_lost_or_found_and_one_stays(
    clinics: list[tuple[int, int, float, float]], share: Fraction
) -> None:
    own, pool, work, minutes = (np.array(column) for column in zip(*clinics, strict=True))
    moved = posted(own, pool, share, work, minutes)
    there = own + moved
    for number in range(3):
        assert moved[pool == number].sum() == 0
    assert (moved[pool < 0] == 0).all()
    assert (there >= np.minimum(own, 1)).all()
    assert (there <= ROOM * own).all()
    if not share:
        assert (moved == 0).all()


def test_doctors_go_to_where_most_is_asked_of_each() -> None:
    own, pool, minutes = np.array([4, 4, 2, 5]), np.array([0, 0, 0, -1]), np.full(4, 1000.0)

    def moved(share: Fraction, *work: float) -> list[int]:
        return posted(own, pool, share, np.array(work), minutes).tolist()

    assert moved(Fraction(1, 2), 100.0, 900.0, 0.0, 9000.0) == [-2, 3, -1, 0]
    assert moved(Fraction(1), 100.0, 900.0, 0.0, 9000.0) == [-3, 4, -1, 0]
    assert moved(Fraction(1), 800.0, 800.0, 400.0, 0.0) == [0, 0, 0, 0]
    assert moved(Fraction(1), 0.0, 0.0, 0.0, 9000.0) == [0, 0, 0, 0], "nobody came, so nobody goes"
    assert moved(Fraction(1, 5), 0.0, 900.0, 0.0, 0.0) == [0, 0, 0, 0], "less than a whole doctor"


def uneven(days: int, share: float, since: int = 0) -> Any:
    """A town whose valley has five doctors and its town one, shared from a day on."""
    places = towns.group_facilities()
    places[2]["clinics"][0], places[3]["clinics"][0] = (
        towns.clinic(1, pattern="office"),
        towns.clinic(5, pattern="office"),
    )
    case = towns.group_town(days, facilities=places)
    return replace(case, policy=towns.policy({"staff.shared": share}, towns.MONDAY + timedelta(days=since)))


def test_posts_change_on_mondays_by_what_the_week_before_has_asked() -> None:
    days = {n: towns.run(uneven(n, 1.0))[0]["posts_monthly"] for n in (7, 9, 23)}
    assert days[7].empty, "in the first week nothing is known"
    moved = days[9].set_index("facility")
    assert moved.loc["centre", "came"] == moved.loc["valley-centre", "went"] == 1, "room for twice its own"
    assert days[23].groupby("facility")[["came", "went"]].sum().to_numpy().tolist() == [[15, 0], [0, 15]]


def test_a_scenario_that_shares_later_parts_when_it_does() -> None:
    study = {"never": uneven(28, 0.0), "later": uneven(28, 1.0, 16)}
    for name, replication, tables in simulate(study, [0, 1]):
        towns.assert_same(tables, towns.run(study[name], [replication])[replication])
        assert tables["posts_monthly"]["went"].sum() == (6 if name == "later" else 0), "from Monday, 22 January"
