"""Needs: as many as the rates say, at the times the profile says, falling on the right people; more only ever adds."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any

import numpy as np
import pytest
from scipy import stats

import sim
import towns
from sim.care import Care, truth
from sim.citation import Figure
from sim.contacts import FOLLOW_UP, Rows, join
from sim.demand import CHUNK, Demand, DemandSpec, expected_rates, settle_truth
from sim.network import Network
from sim.population import Population
from sim.schema import InputError
from sim.timetable import DAY, Timetable

NET = Network(
    towns.network(towns.group_facilities(), "lead", towns.AREAS),
    ["general"],
    {"cold": "general", "lung": "general", "sugar": "general"},
)
PEOPLE = Population(towns.population(towns.RESIDENTS), NET, 1)
ALPHA = 1e-6


def demand(
    cold: float = 30.0,
    prevalence: float = 100.0,
    interval: float = 30.0,
    replication: int = 0,
    last: date = date(2024, 12, 31),
    **parts: Any,
) -> Demand:
    """Needs of the group town in 2024: colds a day, and long-term patients."""
    spec = towns.demand({"cold": cold, "lung": 3.0}, 2000, {"sugar": (prevalence, interval)})
    spec = spec.model_copy(update=parts.pop("changes", {}))
    timetable = Timetable(parts.pop("timetable", towns.timetable()), towns.MONDAY, last)
    return Demand(spec, PEOPLE, np.ones(2), timetable, NET, 1, replication)


def year(one: Demand, chunks: int = 13) -> Rows:
    """All needs of 364 days."""
    return join([one.chunk(n) for n in range(chunks)])


def of(rows: Rows, condition: str) -> Rows:
    """Those with one condition."""
    return rows[rows["condition"] == NET.conditions.index(condition)]


def test_there_are_as_many_needs_as_the_rates_say() -> None:
    counts = [len(of(year(demand(replication=r)), "cold")) for r in range(20)]
    mean = 30.0 * 364
    assert abs(np.mean(counts) - mean) < stats.norm.isf(ALPHA / 2) * np.sqrt(mean / 20)
    assert (
        ALPHA < stats.chi2.cdf(sum((c - mean) ** 2 for c in counts) / mean, 20) < 1 - ALPHA
    )  # Poisson: variance = mean


def test_needs_of_a_day_are_poisson_and_their_minutes_uniform() -> None:
    cold = of(year(demand()), "cold")
    by_day = np.bincount((cold["time"] // DAY).astype(int), minlength=364)
    dispersion = ((by_day - by_day.mean()) ** 2).sum() / by_day.mean()
    assert ALPHA < stats.chi2.cdf(dispersion, 363) < 1 - ALPHA
    assert stats.kstest(cold["time"] % DAY / DAY, "uniform").pvalue > ALPHA
    assert abs(np.corrcoef(by_day[1:], by_day[:-1])[0, 1]) < stats.norm.isf(ALPHA / 2) / np.sqrt(363)


def test_needs_follow_the_weekly_profile() -> None:
    spec = sim.load("example").timetable
    flat = towns.timetable().model_dump(exclude_none=True)
    flat["profiles"]["flat"] = spec.profiles["clinic"].model_dump(exclude_none=True)
    cold = of(year(demand(timetable=type(spec).model_validate(flat))), "cold")
    hours = np.bincount((cold["time"] % DAY // 60).astype(int), minlength=24)
    weekdays = np.bincount((cold["time"] // DAY % 7).astype(int), minlength=7)
    for counts, weights in (
        (hours, spec.profiles["clinic"].hour.value),
        (weekdays, spec.profiles["clinic"].weekday.value),
    ):
        expected = np.array(weights) / sum(weights) * counts.sum()
        assert counts[expected == 0].sum() == 0
        assert stats.chisquare(counts[expected > 0], expected[expected > 0]).pvalue > ALPHA


def test_needs_grow_from_year_to_year() -> None:
    """Secular growth: as many more as the timetable says in a year, compounded day by day."""
    spec = towns.timetable()
    growing = spec.model_copy(update={"growth": Figure.model_validate(towns.said(0.2))})
    counts = [0, 0]
    for replication in range(5):
        one = demand(timetable=growing, last=date(2026, 1, 31), replication=replication)
        days = of(year(one, 27), "cold")["time"] // DAY
        counts = [counts[n] + int(((days >= 365 * n) & (days < 365 * (n + 1))).sum()) for n in (0, 1)]
    ratio = counts[1] / counts[0]
    assert abs(ratio / 1.2 - 1) < stats.norm.isf(ALPHA / 2) * np.sqrt(1 / counts[0] + 1 / counts[1])
    mean = 5 * 30.0 * 365 * 0.2 / np.log(1.2)
    assert abs(counts[0] - mean) < stats.norm.isf(ALPHA / 2) * np.sqrt(mean)


def test_needs_fall_on_everybody_alike() -> None:
    cold = of(year(demand()), "cold")
    for group in (PEOPLE.area, PEOPLE.age):
        counts, size = np.bincount(group[cold["person"]]), np.bincount(group)
        assert stats.chisquare(counts, size / size.sum() * len(cold)).pvalue > ALPHA
    each = np.bincount(cold["person"], minlength=PEOPLE.size)
    assert ALPHA < stats.chi2.cdf(((each - each.mean()) ** 2).sum() / each.mean(), PEOPLE.size - 1) < 1 - ALPHA


def test_a_higher_rate_adds_needs_and_renumbers_none() -> None:
    """R12: every need there was is still there, with the same id, minute and person."""
    low, high = (of(year(demand(cold=c)), "cold") for c in (30.0, 36.0))
    there = np.isin(low["key"], high["key"])
    assert there.all()
    assert 1.1 < len(high) / len(low) < 1.3
    by_key = dict(zip(high["key"].tolist(), high["person"].tolist(), strict=True))
    assert all(by_key[k] == p for k, p in zip(low["key"].tolist(), low["person"].tolist(), strict=True))
    minute = dict(zip(high["key"].tolist(), high["time"].tolist(), strict=True))
    assert all(minute[k] == t for k, t in zip(low["key"].tolist(), low["time"].tolist(), strict=True))


def test_one_condition_more_or_less_changes_no_other() -> None:
    one, other = year(demand()), year(demand(cold=0.0))
    assert len(of(other, "cold")) == 0
    for condition in ("lung", "sugar"):
        assert np.array_equal(of(one, condition), of(other, condition))


def test_keys_are_unique_and_chunks_do_not_depend_on_each_other_or_on_the_horizon() -> None:
    rows = year(demand())
    assert len(np.unique(rows["key"])) == len(rows)
    again = demand(last=date(2025, 6, 30))
    assert np.array_equal(again.chunk(5), demand().chunk(5))


def test_chunks_hold_their_own_days_alone() -> None:
    one = demand()
    for n in (0, 7):
        times = one.chunk(n)["time"]
        assert times.min() >= n * CHUNK * DAY
        assert times.max() < (n + 1) * CHUNK * DAY


def test_replications_are_other_luck() -> None:
    assert not np.isin(year(demand(), 2)["key"], year(demand(replication=1), 2)["key"]).any()


@pytest.mark.parametrize("world", [0, 1])
def test_every_need_gets_the_truth_of_its_own_condition_and_replication(world: int) -> None:
    mild, grave = (
        {"cold": towns.condition("minor"), "sugar": towns.condition("chronic", (beyond, 0.0, 0.0)),
         "lung": towns.condition("moderate", (0.7, 0.6, 0.4), admission=beyond / 2)}
        for beyond in (0.3, 0.9)
    )  # fmt: skip
    figures = Care.of([towns.care(mild), towns.care(grave)], NET.conditions).tables()
    rows = demand().chunk(0, world)
    settle_truth(rows, figures.conditions)
    assert {len(np.unique(of(rows, name)["need"])) for name in ("cold", "sugar", "lung")} == {1, 2, 4}
    assert not of(rows, "cold")["admit"].any()
    for row in rows:
        need, admitted = truth(figures.conditions[world, int(row["condition"])], row["key"], row["person"] >= 0)
        assert (row["need"], row["admit"]) == (need, admitted)


# --------------------------------------------------------------------------------------------------- long-term patients


def test_long_term_patients_come_at_their_interval() -> None:
    one = demand(prevalence=100.0, interval=30.0)
    patients = len(one.panel.person)
    assert abs(patients - 200) < stats.norm.isf(ALPHA / 2) * np.sqrt(2000 * 0.1 * 0.9)
    visits = of(year(one), "sugar")
    assert set(visits["chronic"].tolist()) == {FOLLOW_UP}
    assert (visits["person"] == one.panel.person[visits["panel"]]).all()
    each = np.bincount(visits["panel"], minlength=patients)
    assert set(each.tolist()) <= {11, 12, 13}  # 364 days over 30, and the week in which the visit falls
    for who in range(5):
        days = np.sort(visits["time"][visits["panel"] == who]) / DAY
        assert np.abs(np.diff(days) - 30).max() < 14  # each visit lies in the week in which it is due
        assert np.diff(days).mean() == pytest.approx(30, abs=14 / len(days))


def test_first_follow_ups_start_anywhere_in_the_interval() -> None:
    panel = demand(prevalence=800.0).panel
    assert stats.kstest(panel.phase / panel.interval, "uniform").pvalue > ALPHA
    assert panel.usual.tolist() == [-1] * len(panel.person)


def test_a_higher_prevalence_adds_patients_and_loses_none() -> None:
    low, high = (demand(prevalence=p).panel for p in (100.0, 150.0))
    assert np.isin(low.person, high.person).all()
    assert np.isin(low.key, high.key).all()
    assert len(high.person) > len(low.person)


def test_the_same_people_are_long_term_patients_in_every_replication_with_other_luck() -> None:
    one, other = demand().panel, demand(replication=1).panel
    assert np.array_equal(one.person, other.person)
    assert not np.isin(one.key, other.key).any()


# --------------------------------------------------------------------------------------------------------- inflow


def test_visitors_come_to_the_hospital_they_were_declared_for() -> None:
    spec = DemandSpec.model_validate(
        towns.demand({"cold": 1.0, "lung": 1.0}, 2000, {"sugar": (10.0, 30.0)}).model_dump(exclude_none=True)
        | {"inflow": {"lead": {"per_year": towns.said(3650.0), "conditions": {"cold": 1.0, "lung": 3.0}}}}
    )
    rows = year(demand(changes={"inflow": spec.inflow}))
    visitors = rows[rows["person"] < 0]
    assert set(visitors["origin"].tolist()) == {NET.facility_index("lead")}
    assert abs(len(visitors) - 3640) < stats.norm.isf(ALPHA / 2) * np.sqrt(3640)
    lung = len(of(visitors, "lung")) / len(visitors)
    assert abs(lung - 0.75) < stats.norm.isf(ALPHA / 2) * np.sqrt(0.75 * 0.25 / len(visitors))


def test_expected_rates_are_those_that_are_drawn() -> None:
    spec = towns.demand({"cold": 30.0, "lung": 3.0}, 2000, {"sugar": (100.0, 30.0)})
    per_resident = expected_rates(spec, NET.conditions)[:, 0]
    assert dict(zip(NET.conditions, per_resident, strict=True)) == pytest.approx(
        {"cold": 30 * 365 / 2000, "lung": 3 * 365 / 2000, "sugar": 0.1 * 365 / 30}
    )


@pytest.mark.parametrize(
    "need",
    [
        {},
        {"incidence": towns.said([1.0, 1.0])},
        {"incidence": towns.said([1.0, -1.0, 1.0])},
        {"prevalence": towns.said([1.0] * 3)},
        {"incidence": towns.said([1.0] * 3), "interval_days": towns.said(30.0)},
        {"incidence": towns.said([1.0] * 3), "prevalence": towns.said([1.0] * 3), "interval_days": towns.said(30.0)},
    ],
)
def test_a_need_is_new_episodes_or_long_term_patients(need: dict[str, Any]) -> None:
    with pytest.raises((ValueError, InputError), match="incidence"):
        DemandSpec.model_validate({"needs": {"cold": {"profile": "flat", **need}}})


def test_needs_of_a_leap_year_have_a_29_february() -> None:
    cold = of(year(demand(), 4), "cold")
    days = {towns.MONDAY + timedelta(days=int(d)) for d in np.unique(cold["time"] // DAY)}
    assert date(2024, 2, 29) in days
