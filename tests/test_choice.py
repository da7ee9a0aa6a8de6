"""Which door first: fitted constants give the published shares back, luck picks, persuasion moves who adheres."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from scipy.stats import binom

import towns
from sim import choice, contacts, doors
from sim.choice import (
    ALL_DOORS,
    DOOR_OF_LEVEL,
    DOORS,
    GRASSROOTS_DOORS,
    HOSPITAL_DOORS,
    KINDS,
    OUTSIDE_DOOR,
    ChoiceSpec,
    PerceivedWaits,
)
from sim.contacts import Rows
from sim.model import Model
from sim.network import Level
from sim.schema import InputError
from sim.streams import child, key

MANY = 20_000
SURE = 1e-6
WANTED = {"village_station": 0.25, "centre": 0.3, "secondary": 0.15, "tertiary": 0.25, "outside": 0.05}
MONEY = {
    "per_100_yuan": 0.6,
    "yuan_per_travel_hour": 150.0,
    "yuan_per_waiting_hour": 40.0,
    "yuan_per_booking_day": 20.0,
    "price": {
        "village_station": 20.0,
        "clinic": 45.0,
        "centre": 45.0,
        "secondary": 110.0,
        "tertiary": 200.0,
        "outside": 300.0,
    },
    "price_employee": 0.7,
    "contract_log_odds": 0.6,
    "nest": 0.7,
}


def model(
    figures: dict[str, Any] | None = None, wanted: dict[str, float] | None = None, facilities: Any = None
) -> Model:
    """The group town with these shares, one replication."""
    case = towns.group_town(7, facilities=facilities)
    return Model(replace(case, choice=towns.choice(wanted or WANTED, **{**MONEY, **(figures or {})})), [0])


def people(m: Model, condition: str = "cold", number: int = MANY) -> Rows:
    """First needs of residents drawn evenly."""
    rows = contacts.empty(number)
    rows["key"] = child(key(7, "test"), np.arange(number))
    rows["person"] = np.arange(number) % m.population.size
    rows["condition"] = m.conditions.index(condition)
    return rows


def doors_of(m: Model, rows: Rows, allowed: Any = ALL_DOORS, contracted: bool | None = None) -> np.ndarray[Any, Any]:
    """The doors they choose; `allowed`: as bits, for all alike or for each."""
    tables = m.choice.tables()
    each = zip(rows["key"], cells(m, rows, contracted), np.broadcast_to(allowed, len(rows)), strict=True)
    return np.array([choice.best_door(tables.utility[cell], tables.gumbel, k, int(bits)) for k, cell, bits in each])


def cells(m: Model, rows: Rows, contracted: bool | None = None) -> list[int]:
    """Where they stand in the tables of utility; `contracted`: as surveyed unless said."""
    tables, person = m.choice.tables(), rows["person"]
    signed = m.population.contracts(m.population.spec)[person] if contracted is None else [contracted] * len(rows)
    each = zip(m.population.trait[person].tolist(), signed, rows["condition"].tolist(), strict=True)
    return [choice.cell_of(tables, 0, trait, bool(yes), condition) for trait, yes, condition in each]


def points_behind(m: Model, rows: Rows, door: Any) -> np.ndarray[Any, Any]:
    """Where they go; `door`: for all alike or for each."""
    tables, person = m.choice.tables(), rows["person"]
    column = tables.conditions["column"][rows["condition"]]
    each = zip(
        rows["key"],
        np.broadcast_to(door, len(rows)).tolist(),
        column.tolist(),
        m.population.area[person].tolist(),
        m.population.station[person].tolist(),
        strict=True,
    )
    return np.array([choice.point_behind(tables, k, d, 0, c, area, station) for k, d, c, area, station in each])


def expected_shares(m: Model, condition: str) -> np.ndarray[Any, Any]:
    """Logit shares of each door, averaged over residents."""
    rows = people(m, condition, m.population.size)
    utility = m.choice.utility[:, cells(m, rows)]
    odds = np.exp(utility - utility.max(axis=0))
    return np.asarray((odds / odds.sum(axis=0)).mean(axis=1))


@pytest.mark.parametrize("condition", ["cold", "lung", "bone"])
def test_fitted_constants_give_the_published_shares_back(condition: str) -> None:
    """Whatever money and distances are assumed."""
    m = model()
    wanted = np.array([WANTED.get(d, 0.0) for d in DOORS])
    assert expected_shares(m, condition) == pytest.approx(wanted, abs=1e-5)


def shifted(settings: dict[str, Any], condition: str) -> np.ndarray[Any, Any]:
    """By how much levers move the utility of each door, (areas, ages, schemes, doors); constants stay as they are."""
    m = model()
    before, rules = m.choice.utility.copy(), towns.policy(settings)
    m.follow(replace(m.case, policy=rules))
    m._put_in_force(0)
    number = m.conditions.index(condition)
    moved = (m.choice.utility - before).reshape(len(DOORS), -1, 2, len(m.conditions))[:, :, :, number]
    assert np.array_equal(moved[:, :, 0], moved[:, :, 1]), "contracted or not"
    by_trait: np.ndarray[Any, Any] = moved[:, :, 0].T.reshape(2, 3, 2, len(DOORS))
    return by_trait


@pytest.mark.parametrize("condition", ["cold", "urgent"])
def test_the_share_that_the_fund_pays_moves_the_logit_as_worked_out_by_hand(condition: str) -> None:
    """Of fees of 130 and 150 yuan patients pay 13 instead of 45 at a community centre, 120 instead of 200 at a tertiary
    hospital; a hundred yuan are 0.6."""
    shares = {"community": 0.9, "tertiary": 0.2, "township": 0.0}
    moved = shifted({"insurance.visit_share": shares}, condition)
    residents = {"centre": 0.006 * (45 - 13), "tertiary": 0.006 * (200 - 120)}
    for n, door in enumerate(DOORS):
        # a door that is closed is worth minus a thousand million, whose last digits are lost
        assert moved[:, :, 0, n] == pytest.approx(residents.get(door, 0.0), abs=1e-6)
        assert moved[:, :, 1, n] == pytest.approx(0.7 * residents.get(door, 0.0), abs=1e-6)


def test_care_without_a_referral_costs_more_at_hospitals_but_for_emergencies() -> None:
    """A tenth of the fee of 140 yuan; where the price is the fee already, nothing more."""
    levers = {"insurance.without_referral": 0.1}
    moved = shifted(levers, "cold")
    assert moved[:, :, 0, DOORS.index("secondary")] == pytest.approx(-0.006 * 14)
    assert moved[:, :, 1, DOORS.index("secondary")] == pytest.approx(-0.7 * 0.006 * 14)
    others = [n for n, door in enumerate(DOORS) if door != "secondary"]
    assert (moved[:, :, :, others] == 0).all(), "200 and 300 yuan are above the fees of this town"
    assert (shifted(levers, "urgent") == 0).all()


def test_an_absent_door_leaves_its_share_to_the_others() -> None:
    m = model(wanted={**WANTED, "clinic": 0.2, "village_station": 0.05})
    wanted = np.array([WANTED.get(d, 0.0) for d in DOORS])
    wanted[0] = 0.05
    assert expected_shares(m, "cold") == pytest.approx(wanted / 0.8, abs=1e-5)


def test_luck_meets_the_shares_within_exact_intervals() -> None:
    m = model()
    rows = people(m)
    chosen = np.bincount(doors_of(m, rows), minlength=len(DOORS))
    utility = m.choice.utility[:, cells(m, rows)]
    odds = np.exp(utility - utility.max(axis=0))
    shares = (odds / odds.sum(axis=0)).mean(axis=1)
    for count, share in zip(chosen, shares, strict=True):
        low, high = binom.ppf([SURE / 2, 1 - SURE / 2], MANY, share)
        assert low <= count <= high


def test_a_small_change_of_utility_moves_few_and_all_of_them_there() -> None:
    m = model()
    rows = people(m)
    before = doors_of(m, rows)
    m.choice.utility[4] -= 0.1
    after = doors_of(m, rows)
    moved = before != after
    assert set(before[moved].tolist()) == {4}
    assert 0.005 < moved.mean() < 0.05


def test_a_refused_patient_takes_the_next_best_door() -> None:
    m = model()
    rows = people(m, number=500)
    first = doors_of(m, rows)
    second = doors_of(m, rows, ALL_DOORS & ~(1 << first))
    assert (second != first).all()
    for other in range(len(DOORS)):  # the second is better than every door but the first
        pair = 1 << second | 1 << other
        assert (doors_of(m, rows, pair) == second)[first != other].all()


def test_no_door_allowed_is_no_door() -> None:
    m = model()
    assert (doors_of(m, people(m, number=5), 0) == -1).all()


def test_no_door_is_tried_twice_and_patience_ends() -> None:
    m = model()
    m._put_in_force(0)
    place, folk, tables = m.journey.town.place, m.journey.town.people, m.choice.tables()
    folk.worlds["doors_tried"] = 3
    tried = []
    for who in people(m, number=40):
        seen: list[int] = []
        while True:
            point = doors.first_point(place, folk, tables, who)
            if point < 0:
                break
            seen.append(int(DOOR_OF_LEVEL[place.points[point]["level"]]))
            who["point"] = point
            if not doors.tries_again(place.points, folk.worlds, who):
                break
        assert len(set(seen)) == len(seen)
        tried.append(len(seen))
    assert max(tried) == 3


# ---------------------------------------------------------------------------------------------------------- persuasion


def persuaded(m: Model, rows: Rows, adherence: float) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    """Doors before and after the advice."""
    tables = m.choice.tables()
    each = zip(rows["key"], cells(m, rows), strict=True)
    after = [choice.first_door(tables.utility[cell], tables.gumbel, k, adherence) for k, cell in each]
    return doors_of(m, rows), np.array(after)


@pytest.mark.parametrize("adherence", [0.0, 0.3, 1.0])
def test_persuasion_moves_the_share_who_adhere_from_hospitals_to_grassroots(adherence: float) -> None:
    m = model()
    before, after = persuaded(m, people(m), adherence)
    moved = before != after
    to_hospital = before > max(GRASSROOTS_DOORS)
    assert not moved[~to_hospital].any()
    assert set(after[moved].tolist()) <= set(GRASSROOTS_DOORS)
    low, high = binom.ppf([SURE / 2, 1 - SURE / 2], to_hospital.sum(), adherence)
    assert low <= moved.sum() <= high


def test_more_adherence_moves_more_and_brings_nobody_back() -> None:
    m = model()
    rows = people(m)
    low, high = (persuaded(m, rows, a)[1] for a in (0.3, 0.6))
    changed = low != high
    assert changed.any()
    assert set(high[changed].tolist()) <= set(GRASSROOTS_DOORS)


def first_points(m: Model, rows: Rows, adherence: float) -> np.ndarray[Any, Any]:
    """Where they go first under this advice."""
    m._put_in_force(0)
    place, people, tables = m.journey.town.place, m.journey.town.people, m.choice.tables()
    people.worlds["adherence"] = adherence
    return np.array([doors.first_point(place, people, tables, who) for who in rows])


def test_emergencies_and_those_who_were_refused_are_not_persuaded() -> None:
    facilities = towns.group_facilities()
    facilities[2]["emergency"] = {"doctors": towns.said(1)}  # a centre that takes emergencies: somewhere near to go to
    m = model(facilities=facilities)
    urgent = people(m, "urgent")
    before, after = (first_points(m, urgent, adherence) for adherence in (0.0, 1.0))
    assert np.array_equal(before, after)
    assert 0.1 < np.isin(doors_of(m, urgent), GRASSROOTS_DOORS).mean() < 0.9
    rows = people(m)
    rows["doors"][::2] = 1
    before, after = (first_points(m, rows, adherence) for adherence in (0.0, 1.0))
    assert np.array_equal(before[::2], after[::2])
    advised = after[1::2]
    assert (advised >= 0).all()
    assert (m.network.level[m.network.point_facility[advised]] <= Level.sub_centre).all()
    to_hospital = np.isin(doors_of(m, rows), HOSPITAL_DOORS)
    assert np.array_equal((before != after)[1::2], to_hospital[1::2])


# ------------------------------------------------------------------------------------------------------------ facility


def test_the_village_door_leads_to_the_home_station() -> None:
    m = model()
    rows = people(m, number=400)
    assert np.array_equal(points_behind(m, rows, 0), m.population.station[rows["person"]])


def test_every_door_leads_to_a_facility_of_its_level() -> None:
    m = model()
    rows = people(m, "bone", 600)
    door = np.arange(600) % 3 + 2
    point = points_behind(m, rows, door)
    level = m.network.level[m.network.point_facility[point]]
    assert np.array_equal(level, np.array([Level.centre, Level.secondary, Level.tertiary])[door - 2])
    surgery = [m.network.points[p].department for p in point[door == 4]]
    assert set(surgery) == {"surgery"}
    assert (points_behind(m, rows, OUTSIDE_DOOR) == -1).all()


def test_the_nearer_centre_is_chosen_more_often_and_less_so_when_all_alike() -> None:
    def share_of_own_centre(figures: dict[str, Any]) -> float:
        m = model(figures)
        rows = people(m)
        own = m.population.area[rows["person"]]
        return float((m.network.area[m.network.point_facility[points_behind(m, rows, 2)]] == own).mean())

    assert share_of_own_centre({"yuan_per_travel_hour": 0.0}) == pytest.approx(0.5, abs=0.02)
    far, alike = share_of_own_centre({}), share_of_own_centre({"nest": 0.2})
    assert 0.55 < far < alike


def test_a_place_that_can_do_more_is_worth_what_the_chance_of_needing_it_is_worth() -> None:
    """Two centres alike and equally far, one of them with the capability of a hospital: a logit of the difference."""
    facilities = towns.group_facilities()
    facilities[2]["capability"] = {"default": 4}
    m = model({"yuan_per_travel_hour": 0.0, "yuan_if_able": 300.0}, facilities=facilities)
    treated = m.choice.column == m.choice.column[m.conditions.index("cold")]
    beyond_centre, needs = m.care.beyond[0, treated, 1], m.expected_needs[0].sum(axis=(0, 1))[treated]
    better = MONEY["per_100_yuan"] * 3.0 * (beyond_centre * needs).sum() / needs.sum()
    expected = 1.0 / (1.0 + np.exp(-better / MONEY["nest"]))
    assert expected > 0.52
    chosen = m.network.point_facility[points_behind(m, people(m), 2)] == m.network.facility_index("centre")
    low, high = binom.ppf([SURE / 2, 1 - SURE / 2], MANY, expected)
    assert low <= chosen.sum() <= high


# -------------------------------------------------------------------------------------------------------------- waits


def test_perceived_waits_halve_in_a_half_life() -> None:
    waits = PerceivedWaits.none(1, 2, np.array([4.0]))
    nothing = np.zeros((1, 2))
    assert waits.days.tolist() == waits.minutes.tolist() == [[0, 0]]
    waits.renew(np.array([[60, 0]]), np.array([[10, 0]]), np.array([[300, 0]]), np.array([[20, 0]]))
    assert (waits.days[0, 0], waits.minutes[0, 0]) == (6, 15)
    for _ in range(4):
        waits.renew(nothing, nothing, nothing, nothing)
    assert waits.days_sum[0, 0] == pytest.approx(30)
    assert waits.days[0, 0] == pytest.approx(6)  # nothing new: the belief stays, its weight fades
    waits.renew(np.array([[0, 0]]), np.array([[5, 0]]), nothing, nothing)
    assert waits.days[0, 0] < 6 * 0.6


def test_a_wait_that_is_believed_in_drives_patients_away() -> None:
    m = model()
    rows = people(m)
    before = (doors_of(m, rows) == 4).mean()
    lead = np.flatnonzero(m.network.is_lead[m.network.point_facility])
    days, asked = np.zeros((1, len(m.network.points))), np.zeros((1, len(m.network.points)))
    days[0, lead], asked[0, lead] = 700, 100
    m.waits.renew(days, asked, 0 * days, 0 * asked)
    m.choice.renew(m.waits)
    assert (doors_of(m, rows) == 4).mean() < before - 0.05


def test_a_contract_in_use_leads_to_the_grassroots() -> None:
    m = model()
    rows = people(m)
    shares = [np.isin(doors_of(m, rows, contracted=signed), GRASSROOTS_DOORS).mean() for signed in (False, True)]
    assert shares[1] > shares[0] + 0.05


# ------------------------------------------------------------------------------------------------------------ refusals


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"first_contact_rural": towns.said({k: {"centre": 0.9} for k in KINDS})}, "sums to 0.9"),
        ({"first_contact_rural": towns.said({"minor": {"centre": 1.0}})}, "lacks chronic"),
        ({"first_contact_rural": towns.said({k: {"moon": 1.0} for k in KINDS})}, "moon"),
        ({"price": towns.said({"centre": 10.0})}, "price needs exactly"),
    ],
)
def test_a_choice_that_cannot_be_is_refused(change: dict[str, Any], says: str) -> None:
    spec = towns.choice(WANTED).model_dump(exclude_none=True) | change
    with pytest.raises((ValueError, InputError), match=says):
        ChoiceSpec.model_validate(spec)
