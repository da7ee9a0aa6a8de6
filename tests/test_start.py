"""A run that starts overfull: full beds, stays in progress, doubled queues; and the ledger holds."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from scipy.stats import expon, gamma, lognorm

import towns
from sim.beds import OTHER, PARTITION, PROTECT, REFERRED, RELEASE, BedPool
from sim.model import Case, Model
from sim.results import plain, task_keys
from sim.start import OVERFULL, entries, twice
from sim.stays import Hospital
from sim.timetable import DAY
from test_audit import crowded
from test_one_by_one import assert_same

STAY, CV = 6.0, 0.8
MANY = 20_000
BEYOND = 4.5
"""Standard errors by which a right share of this file is missed once in 150,000 times; all luck here is fixed."""


def town(**more: Any) -> Case:
    """A hospital with intensive care and its own ward, and rehabilitation at a centre."""
    lead = towns.facility(
        "lead", "tertiary", role="lead", group="group", clinics=[towns.clinic(3, slots=40)],
        wards=[towns.ward(30), towns.ward(4, kind="intensive")],
    )  # fmt: skip
    centre = towns.facility(
        "centre", "centre", role="member", group="group", clinics=[towns.clinic(2)],
        wards=[towns.ward(12, "rehabilitation", "step_down"), towns.ward(3, "home", "home")],
    )  # fmt: skip
    ill = towns.condition(
        "severe", (1.0, 1.0, 0.3), admission=0.5, stay_days=STAY, stay_cv=CV, step_down=0.5, intensive=0.3,
        intensive_part=0.25, operated=[0.0, 0.5, 0.5], harder_operation=[0.5, 0.5, 0.5], case_weight=1.0,
    )  # fmt: skip
    return towns.case(
        20, 7, {"down_referral.proposed": 0.5, "down_referral.consented": 0.5}, record="days",
        network=towns.network([lead, centre], "lead"), population=towns.population({"town": 3000}),
        demand=towns.demand({"illness": 9.0}, 3000), choice=towns.choice({"tertiary": 1.0}, booking_days=5),
        care=towns.care({"illness": ill}, **more), start=OVERFULL,
    )  # fmt: skip


def begun(case: Case) -> Model:
    """A model at its first minute, before anybody comes."""
    model = Model(case, [0])
    model._begin()
    return model


def pools(model: Model) -> list[BedPool]:
    """The wards of the one replication."""
    hospital: Hospital = model.hospitals[0]
    return hospital.pools


# --------------------------------------------------------------------------------------------------------------- beds


def test_every_bed_of_every_open_ward_is_taken() -> None:
    model = begun(town())
    assert [pool.occupied for pool in pools(model)] == [pool.beds for pool in pools(model)] != []
    assert begun(replace(town(), start="empty")).hospitals[0].pools[0].occupied == 0


@pytest.mark.parametrize("kind", [RELEASE, PARTITION, PROTECT])
def test_held_beds_are_full_of_referred_patients(kind: str) -> None:
    quota = {"bed_quota.held_for_referral": "2/5", "bed_quota.kind": kind}
    model = begun(replace(town(), policy=towns.policy(quota)))
    ward = next(pool for pool in pools(model) if pool.installed == 30)
    assert (ward.occupied, ward.spare(REFERRED), ward.spare(OTHER)) == (30, 0, 0)
    assert ward.in_held == (0 if kind == PROTECT else 12)
    with_quota = BedPool(0, 10)
    with_quota.set_quota(Fraction(2, 5), 0.0, kind)
    assert sorted(entries(with_quota)) == [REFERRED] * 4 + [OTHER] * 6


def test_a_ward_to_which_nobody_can_come_stays_empty() -> None:
    case = town()
    network = case.network.model_dump(exclude_none=True)
    network["facilities"][0]["wards"].append(towns.ward(5, "eyes"))
    model = begun(replace(case, network=type(case.network).model_validate(network)))
    assert sorted((p.installed, p.occupied) for p in pools(model)) == [(3, 3), (4, 4), (5, 0), (12, 12), (30, 30)]


@pytest.mark.parametrize("law", ["lognormal", "exponential"])
def test_what_is_left_of_a_stay_has_the_law_of_stays_in_progress(law: str) -> None:
    """P(left > t) = integral of 1 - F from t on, over the mean; in all and beyond some minutes (Cox 1962)."""
    model = begun(town(stay_law=law))
    acute = next(pool.number for pool in pools(model) if pool.installed == 30)
    left = model.inpatients[0].lying(acute, MANY)[0]["minutes"] / DAY
    spread = np.sqrt(np.log1p(CV**2))
    whole = expon(scale=STAY) if law == "exponential" else lognorm(spread, scale=STAY * np.exp(-(spread**2) / 2))
    days = np.linspace(0, 400, 400_001)
    survival = whole.sf(days)
    for t in (0.5, 2.0, 6.0, 15.0):
        share = float(np.trapezoid(survival[days >= t], days[days >= t]) / STAY)
        assert abs((left > t).mean() - share) < BEYOND * np.sqrt(share * (1 - share) / MANY), (t, share)


def test_intensive_care_and_wards_below_hold_what_is_left_of_their_own_part() -> None:
    """All exponential: the whole stay is the sum of two, and an even share of each part is over."""
    model = begun(town(stay_law="exponential"))
    by_beds = {pool.installed: pool.number for pool in pools(model)}
    there, ordinary = model.inpatients[0].lying(by_beds[4], MANY)
    assert set(ordinary) == {by_beds[30]}, "from intensive care to the ordinary ward of the same hospital"
    part = there["intensive"] / DAY
    assert part.mean() == pytest.approx(0.25 * STAY, rel=BEYOND / np.sqrt(MANY))
    whole = gamma(2, scale=STAY).mean()
    assert (there["minutes"] / DAY).mean() == pytest.approx(whole - 0.25 * STAY, rel=BEYOND / np.sqrt(MANY))
    below, _ = model.inpatients[0].lying(by_beds[12], MANY)
    assert (below["minutes"] / DAY).mean() == pytest.approx(0.4 * STAY, rel=BEYOND / np.sqrt(MANY))
    assert np.isinf(below["acute"]).all()
    assert (below["weight"] == below["recovery_weight"]).all()
    assert not below["operation"].any()
    assert (below["person"] >= 0).all()


# ------------------------------------------------------------------------------------------------------------- queues


def test_first_needs_of_the_days_with_open_books_arise_twice() -> None:
    empty, over = (Model(replace(town(), start=start), [0]) for start in ("empty", OVERFULL))
    assert twice(OVERFULL, 5, 0, 7).tolist() == [2.0] * 5 + [1.0] * 2
    assert twice(OVERFULL, 5, 28, 2).tolist() == [1.0, 1.0]
    assert twice("empty", 5, 0, 2).tolist() == [1.0, 1.0]
    one, two = (model.demands[0].chunk(0, surge=model._surge(0, 0)) for model in (empty, over))
    assert empty._surge(0, 0) is None
    assert set(one["key"]) < set(two["key"])
    more = two[~np.isin(two["key"], one["key"])]
    assert more["time"].max() < 5 * DAY
    assert len(more) == pytest.approx(5 * 9.0, abs=BEYOND * np.sqrt(5 * 9.0))
    common = two[np.isin(two["key"], one["key"])]
    assert np.array_equal(np.sort(common, order="key"), np.sort(one, order="key")), "to the same minute"


# ------------------------------------------------------------------------------------------------- ledgers and engines


@settings(max_examples=2, deadline=None, derandomize=True, database=None)
@given(crowded())
def test_both_engines_tell_the_same_of_an_overfull_start_and_it_is_sound(case: Case) -> None:
    overfull = replace(case, start=OVERFULL)
    assert_same(overfull)
    towns.run(replace(overfull, audit=True, record="days"), [0, 5])


def test_the_start_makes_another_task_and_an_empty_one_is_what_it_was() -> None:
    case = town()
    assert task_keys(case, 1) != task_keys(replace(case, start="empty"), 1)
    assert plain(case)["start"] == OVERFULL


def test_how_replications_are_packed_moves_nothing() -> None:
    both, alone = towns.run(town(), [0, 1]), towns.run(town(), [1])
    towns.assert_same(both[1], alone[1])
