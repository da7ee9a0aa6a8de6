"""Readmissions: an unplanned need after a stay, decided by the stay's own luck; and the share that planners read."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from functools import cache
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy.stats import binom, geom

import towns
from sim import care, contacts, doors
from sim.care import Care
from sim.citation import Figure
from sim.model import Case, Model
from sim.past import simulate
from sim.records import ADMISSION, LAST_HOME, LEG, READMITTED_WITHIN, Ledger, count_readmissions
from sim.schema import InputError
from sim.streams import child, key
from sim.timetable import DAY
from towns import facility, said, ward

CHANCE, MEAN_DAYS = 0.4, 4.0
Tables = dict[str, pd.DataFrame]


def ward_town(
    days: int, readmission: float = CHANCE, mean_days: float = MEAN_DAYS, residents: int = 200_000, **more: Any
) -> Case:
    """A hospital that admits twenty emergencies a day to a ward with room for all; stays of half a day."""
    ill = towns.condition(
        "emergency", (1.0, 1.0, 0.0), admission=1.0, stay_days=0.5, stay_cv=0.5, readmission=readmission
    )
    hospital = facility("hospital", "tertiary", emergency={"doctors": said(5)}, wards=[ward(500)])
    return towns.case(
        days,
        network=towns.network([hospital]),
        population=towns.population({"town": residents}),
        demand=towns.demand({"urgent": 20.0}, residents),
        choice=towns.choice({"tertiary": 1.0}),
        care=towns.care({"urgent": ill}, readmission_days=mean_days, **more),
    )


@cache
def half_a_year() -> Tables:
    return towns.run(ward_town(180))[0]


def in_between(number: int, trials: int, chance: float) -> bool:
    """Whether a number of successes is as likely as all but one in a million."""
    low, high = binom.ppf([5e-7, 1 - 5e-7], trials, chance)
    return bool(low <= number <= high)


def chains(stays: pd.DataFrame) -> Iterator[tuple[float, int]]:
    """Each first stay: its admission, and how many stays there are of it and of its readmissions."""
    keys = {int(k) for k in stays["episode"]}
    following = {k: int(np.uint64(care.readmission_of(np.uint64(k)))) for k in keys}
    begun = stays.set_index("episode")["admitted"]
    for first in keys - set(following.values()):
        number, one = 1, first
        while (one := following[one]) in keys:
            number += 1
        yield float(begun[first]), number


# --------------------------------------------------------------------------------------------------------------- theory


def test_stays_for_each_first_one_are_geometric() -> None:
    """Everybody is admitted, so a stay is followed by another with the same chance for ever."""
    early = [number for begun, number in chains(half_a_year()["stays"]) if begun < 130 * DAY]
    for most in (1, 2, 3):
        assert in_between(sum(n <= most for n in early), len(early), geom.cdf(most, 1 - CHANCE))
    spread = np.sqrt(CHANCE) / (1 - CHANCE) / np.sqrt(len(early))
    assert abs(np.mean(early) - 1 / (1 - CHANCE)) < 5 * spread


def test_admissions_are_as_many_as_without() -> None:
    """They are part of the admissions stated: here one for each need that is not itself a readmission."""
    needs, stays = half_a_year()["needs_monthly"], half_a_year()["stays"]
    first = sum(begun < 130 * DAY for begun, _ in chains(stays))
    visits = half_a_year()["visits"]
    arisen = visits[(visits["time"] < 130 * DAY) & ~visits["episode"].isin(children(stays))]
    assert in_between(first, len(arisen), 1 - CHANCE)
    assert abs(len(stays) / (needs["needs"] - needs["readmissions"]).sum() - 1) < 0.05
    again = visits[visits["episode"].isin(children(stays))]
    may = 31 + 29 + 31 + 30 + 31
    assert needs.loc[needs["month"] < "2024-06", "readmissions"].sum() == (again["time"] < may * DAY).sum()


def children(stays: pd.DataFrame) -> np.ndarray[Any, Any]:
    """Episodes that may come of stays."""
    return np.array([care.readmission_of(np.uint64(k)) for k in stays["episode"]], dtype=np.uint64)


@pytest.mark.parametrize("mean_days", [12.0, 40.0])
def test_the_share_is_that_of_the_law_of_the_delay(mean_days: float) -> None:
    """Uniform from half to one and a half times the mean: all within 30 days, or a quarter of them."""
    tables = towns.run(ward_town(180, 0.3, mean_days))[0]["readmissions_monthly"]
    discharges, readmitted = tables["discharges"].sum(), tables["readmitted"].sum()
    within = min(max(30 / mean_days - 0.5, 0.0), 1.0)
    by_chance = 30 * 20 / 200_000
    assert discharges > 2500
    assert in_between(readmitted, discharges, 0.3 * within + by_chance)


def test_readmissions_come_within_the_law_and_are_the_same_patients() -> None:
    stays = half_a_year()["stays"]
    parents = stays.assign(child=children(stays)).set_index("child")
    both = stays.set_index("episode").join(parents, how="inner", suffixes=("", "_before"))
    assert len(both) > 500
    assert (both["person"] == both["person_before"]).all()
    assert (both["condition"] == both["condition_before"]).all()
    delay = (both["requested"] - both["discharged_before"]) / DAY
    assert delay.min() >= 0.5 * MEAN_DAYS
    assert delay.max() <= 1.5 * MEAN_DAYS + 0.1  # in the waiting room
    assert delay.mean() == pytest.approx(MEAN_DAYS, rel=0.05)


def test_without_the_fact_nobody_is_readmitted() -> None:
    tables = towns.run(ward_town(60, 0.0))[0]
    assert tables["needs_monthly"]["readmissions"].sum() == 0
    assert tables["readmissions_monthly"]["readmitted"].sum() <= 10  # of two illnesses in a month


def test_a_chance_that_rises_adds_readmissions_and_renumbers_none() -> None:
    """Fewer are admitted at first; who still is and was readmitted before is readmitted under the same key."""
    low, high = (towns.run(ward_town(60, r))[0]["stays"] for r in (0.2, 0.6))
    early = high[high["discharged"] < 60 * DAY - 1.6 * MEAN_DAYS * DAY]
    both = low.merge(early, on="episode", suffixes=("", "_then"))
    before = set(children(both)) & set(low["episode"])
    assert len(before) > 20
    assert before < set(high["episode"])


# ------------------------------------------------------------------------------------------------------------- identity


@cache
def group() -> Tables:
    """Stays that step down, leave the area and wait, of few residents, so that some are admitted again by chance."""
    town = towns.group_town(
        182, settings=towns.PLAN, readmission_days=9.0, readmitted_after_step_down=0.5, bed_patience=1.0
    )
    return towns.run(often_readmitted(town, 0.6))[0]


def often_readmitted(town: Case, chance: float = 0.4) -> Case:
    """The same town with readmissions of all who are admitted."""
    again, conditions = {"readmission": Figure.model_validate(said(chance))}, town.care.conditions
    more = {name: c.model_copy(update=again) for name, c in conditions.items() if c.admission.value > 0}
    return replace(town, care=town.care.model_copy(update={"conditions": conditions | more}))


def test_readmissions_by_month_are_those_of_the_rows() -> None:
    """Worked out from the stays: of a person's discharges and admissions, an admission belongs to the discharge right
    before it. Stays that outlast the run have no row, so only the first months are sure to show every admission."""
    rows = group()["stays"]
    assert ((rows["discharged"] - rows["first_admitted"]) < 60 * DAY).all()
    mine = rows[rows["person"].ge(0) & rows["facility"].ne("outside")]
    home, came = mine[~mine["to_step_down"]], mine[mine["entry"].ne("step_down")]
    moves = pd.concat(
        [
            home[["person", "facility"]].assign(time=home["discharged"], comes=False),
            came[["person", "facility"]].assign(time=came["admitted"], comes=True),
        ]
    ).sort_values(["person", "time", "comes"], kind="stable")
    after = moves.shift(-1)
    soon = after["person"].eq(moves["person"]) & after["comes"].eq(True) & (after["time"] - moves["time"] <= 30 * DAY)
    index = moves.assign(readmitted=soon)[~moves["comes"] & (moves["time"] <= 152 * DAY)]
    begins = pd.Timestamp(towns.MONDAY) + pd.to_timedelta(index["time"], "min")
    by = [begins.dt.to_period("M").dt.start_time.rename("month"), index["facility"]]
    wanted = index.groupby(by)["readmitted"].agg(["size", "sum"]).reset_index()
    told = group()["readmissions_monthly"].groupby(["month", "facility"])[["discharges", "readmitted"]].sum()
    told, early = told.reset_index(), wanted["month"] < "2024-04"
    assert told["discharges"].tolist() == wanted["size"].tolist()
    assert told["readmitted"][early].tolist() == wanted["sum"][early].tolist()
    assert wanted["sum"][early].sum() > 25


def test_who_is_admitted_again_needs_the_same_care() -> None:
    """Of the group town: same condition, a bed, and no less than the level of care needed before."""
    town = often_readmitted(towns.group_town(10, readmission_days=9.0), 0.99)
    model, legs = Model(town, [0]), np.zeros(500, dtype=LEG)
    lung = model.conditions.index("lung")
    legs["key"], legs["person"], legs["came_from"] = child(key(3, "stays"), np.arange(500)), 7, -1
    legs["need"], legs["condition"], legs["discharged"] = np.arange(500) % 3 + 2, lung, 5 * DAY
    legs["person"][:50], legs["to_step_down"][50:100] = -1, True
    rows = contacts.empty(500)
    rows = rows[: doors.readmit(model.care_tables, legs, rows)]
    assert 380 <= len(rows) <= 400
    assert set(rows["need"].tolist()) == {2, 3, 4}
    assert (rows["admit"] == 1).all()
    assert (rows["kind"] == contacts.NEED).all()
    assert (rows["chronic"] == contacts.READMISSION).all()
    assert rows["time"].min() >= 5 * DAY + 4.5 * DAY


def test_scenarios_that_part_keep_their_readmissions() -> None:
    town = often_readmitted(towns.group_town(49, readmission_days=4.0, readmitted_after_step_down=2.0))
    plan = replace(town, policy=towns.policy(towns.PLAN, towns.MONDAY + timedelta(days=35)))
    study = {"before": town, "plan": plan}
    for name, replication, tables in simulate(study, [0, 2]):
        alone = towns.run(study[name], [replication])[replication]
        towns.assert_same(alone, tables)
        assert alone["needs_monthly"]["readmissions"].sum() > 10


@pytest.mark.parametrize("window", [240, 60])
def test_windows_of_any_length_give_the_same_readmissions(window: int) -> None:
    town = ward_town(40)
    towns.assert_same(towns.run(replace(town, timetable=towns.timetable(window)))[0], towns.run(town)[0])


# ------------------------------------------------------------------------------------------------------------- counting


def counted(moves: list[tuple[int, float, int]], until: float = 90.0) -> list[tuple[int, int]]:
    """Discharges and readmissions by ward; each move: person, day, and the ward that is left, -1 = admitted."""
    table = np.zeros((1, 4, 3), dtype=[("discharges", "i8"), ("readmitted", "i8")])
    rows, last = np.zeros(len(moves), dtype=ADMISSION), np.zeros((1, 9), dtype=LAST_HOME)
    rows["person"], rows["time"] = [m[0] for m in moves], [m[1] * DAY for m in moves]
    wards, month = np.array([m[2] for m in moves]), np.arange(120) // 30
    count_readmissions(table, month, last, rows, wards, until * DAY)
    return [tuple(table[0]["discharges"].sum(axis=0)), tuple(table[0]["readmitted"].sum(axis=0))]


def test_an_admission_within_30_days_belongs_to_the_last_discharge() -> None:
    assert counted([(1, 1.0, 0), (1, 31.0, -1)]) == [(1, 0, 0), (1, 0, 0)]
    assert counted([(1, 1.0, 0), (1, 31.01, -1)]) == [(1, 0, 0), (0, 0, 0)]
    assert counted([(1, 1.0, 0), (2, 3.0, -1)]) == [(1, 0, 0), (0, 0, 0)]
    assert counted([(1, 1.0, 0), (1, 2.0, 2), (1, 3.0, -1), (1, 4.0, -1)]) == [(1, 0, 1), (0, 0, 1)]
    assert counted([(1, 0.5, -1), (1, 1.0, 0), (1, 9.0, -1), (1, 9.5, 0), (1, 20.0, -1)]) == [(2, 0, 0), (2, 0, 0)]


def test_discharges_that_cannot_be_observed_long_enough_do_not_count() -> None:
    assert counted([(1, 90.0, 0), (1, 91.0, -1)]) == [(1, 0, 0), (1, 0, 0)]
    assert counted([(1, 90.1, 0), (1, 91.0, -1)]) == [(0, 0, 0), (0, 0, 0)]
    assert counted([(1, 89.0, 1), (1, 90.1, 0), (1, 91.0, -1)]) == [(0, 1, 0), (0, 0, 0)]


def test_at_one_instant_who_leaves_goes_before_who_comes() -> None:
    town = towns.group_town(60)
    model = Model(town, [0])
    ledger: Ledger = model.ledger
    legs, came = np.zeros(2, dtype=LEG), np.zeros(1, dtype=ADMISSION)
    legs["person"], legs["discharged"], legs["ward"] = 5, 3 * DAY, [0, len(model.network.wards)]
    came["person"], came["time"] = 5, 3 * DAY
    ledger.add_readmissions(model.last_home, legs, came)
    assert ledger.readmissions.counts["discharges"].sum() == 1
    assert ledger.readmissions.counts["readmitted"].sum() == 1
    assert READMITTED_WITHIN == 30 * DAY


# ------------------------------------------------------------------------------------------------------------ decisions


def figures(**more: Any) -> care.CareTables:
    """Two conditions, one of them with readmissions."""
    again = towns.condition("severe", admission=0.5, readmission=CHANCE)
    spec = towns.care({"again": again, "never": towns.condition("severe", admission=0.5)}, **more)
    return Care.of([spec], ["again", "never"]).tables()


def test_decisions_are_those_of_the_stay() -> None:
    tables = figures(readmission_days=MEAN_DAYS, readmitted_after_step_down=0.5)
    stays = np.zeros(20_000, dtype=LEG)
    stays["key"], stays["came_from"] = child(key(1, "stays"), np.arange(len(stays))), -1

    def readmitted(**columns: Any) -> list[bool]:
        rows = stays.copy()
        for name, value in columns.items():
            rows[name] = value
        return [bool(care.is_readmitted(tables, row)) for row in rows]

    plain, below = readmitted(), readmitted(came_from=2)
    assert in_between(sum(plain), len(stays), CHANCE)
    assert in_between(sum(below), len(stays), CHANCE / 2)
    assert all(p or not b for p, b in zip(plain, below, strict=True))
    assert not any(readmitted(condition=1) + readmitted(person=-1) + readmitted(to_step_down=True))
    episodes = [np.uint64(care.readmission_of(k)) for k in stays["key"]]
    assert len(set(episodes) | set(stays["key"].tolist())) == 2 * len(stays)
    days = np.array([care.readmission_delay(tables, 0, episode) for episode in episodes]) / DAY
    assert (days.min(), days.max()) == pytest.approx((0.5 * MEAN_DAYS, 1.5 * MEAN_DAYS), rel=0.01)
    assert days.mean() == pytest.approx(MEAN_DAYS, rel=0.02)


def test_residents_are_admitted_at_first_so_much_less_often_and_visitors_as_before() -> None:
    condition = figures(readmission_days=MEAN_DAYS).conditions[0, 0]
    keys = child(key(2, "needs"), np.arange(20_000))
    mine, theirs = ([care.truth(condition, k, resident)[1] for k in keys] for resident in (True, False))
    assert in_between(sum(mine), len(keys), 0.5 * (1 - CHANCE))
    assert in_between(sum(theirs), len(keys), 0.5)
    assert all(t or not m for m, t in zip(mine, theirs, strict=True))


@pytest.mark.parametrize(
    ("readmission", "more", "told"),
    [
        (1.0, {"readmission_days": 9.0}, "readmission is at least 0 and below 1; found 1.0"),
        (0.1, {"readmission_days": 1.0}, "readmission_days is at least 2; found 1.0"),
        (0.1, {}, "some conditions have a readmission, so readmission_days is needed"),
    ],
)
def test_what_cannot_be_is_told(readmission: float, more: dict[str, Any], told: str) -> None:
    with pytest.raises((InputError, ValueError), match=told):
        towns.care({"ill": towns.condition("severe", admission=0.5, readmission=readmission)}, **more)


# ------------------------------------------------------------------------------------------------------------ direction


def test_more_readmissions_raise_the_share_and_not_the_admissions() -> None:
    """Expected: the share of discharges that are followed by an admission rises. Admissions are nearly as many, and
    rather fewer: who found no bed at first cannot be readmitted."""

    def town(chance: float) -> Tables:
        plain = towns.group_town(180, 4, readmission_days=10.0)
        return towns.run(often_readmitted(plain, chance))[0]

    low, high = town(0.05), town(0.3)
    shares = [t["readmissions_monthly"][["readmitted", "discharges"]].sum() for t in (low, high)]
    assert shares[1].iloc[0] / shares[1].iloc[1] > shares[0].iloc[0] / shares[0].iloc[1] + 0.15
    before, after = (t["stays_monthly"]["episodes"].sum() for t in (low, high))
    assert 0.85 < after / before < 1.03
