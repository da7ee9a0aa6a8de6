"""Luck belongs to the person: nothing but what concerns a person changes what happens to that person.

Every comparison is exact, to the last bit.
"""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import replace
from datetime import timedelta
from functools import cache
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

import towns
from sim.model import Case
from sim.network import NetworkSpec
from sim.policy import levers
from sim.timetable import DAY

ROOT = Path(__file__).parents[1]
DAYS = 35


@cache
def town() -> Case:
    """The group town with all levers pulled."""
    return towns.group_town(DAYS, settings=towns.ALL_LEVERS)


@cache
def alone() -> dict[str, pd.DataFrame]:
    """Replication 0 by itself."""
    return towns.run(town(), [0])[0]


@pytest.mark.parametrize("pack", [[0, 1, 2], [2, 1, 0], [0, 19]])
def test_replications_do_not_know_with_whom_they_ride(pack: list[int]) -> None:
    together = towns.run(town(), pack)
    assert list(together) == pack
    towns.assert_same(together[0], alone())
    assert len({len(tables["visits"]) for tables in together.values()}) > 1


def test_replications_of_uncertain_figures_do_not_know_with_whom_they_ride() -> None:
    import sim
    from sim.study import cases

    config = sim.load(
        "example", record="visits", horizon={"warmup_from": "2024-01-01", "from": "2024-01-01", "to": "2024-01-28"}
    )
    case = cases(config)["example_plan"]
    assert case.uncertainty == "assumptions"
    together = towns.run(case, [3, 0, 1])
    for replication in (0, 3):
        towns.assert_same(towns.run(case, [replication])[replication], together[replication])


SCRIPT = """
import sys, towns, pandas as pd
tables = towns.run(towns.group_town(14, settings=towns.ALL_LEVERS))[0]
for name, table in tables.items():
    print(name, len(table), int(pd.util.hash_pandas_object(table).sum()))
"""


def test_hash_seed_time_zone_and_language_of_the_machine_do_not_matter() -> None:
    settings = [
        {"PYTHONHASHSEED": "0", "TZ": "UTC", "LANG": "C"},
        {"PYTHONHASHSEED": "1", "TZ": "America/New_York", "LANG": "zh_CN.UTF-8"},
    ]
    path = f"{ROOT}{os.pathsep}{ROOT / 'tests'}"
    running = [
        subprocess.Popen(
            [sys.executable, "-c", SCRIPT],
            env=os.environ | {"PYTHONPATH": path} | one,
            stdout=subprocess.PIPE,
            text=True,
        )
        for one in settings
    ]
    answers = [process.communicate()[0] for process in running]
    assert answers[0] == answers[1]
    assert "visits" in answers[0]


def test_a_longer_run_begins_as_the_shorter_one() -> None:
    """MR-08: what is over before the shorter run ends is the same in both."""
    longer = towns.run(replace(town(), to=town().to + timedelta(days=30)))[0]
    end = DAYS * DAY
    for name, when in (("visits", "end"), ("stays", "discharged")):
        keys = ["episode", when]
        long, short = (t[name][t[name][when] < end].sort_values(keys, ignore_index=True) for t in (longer, alone()))
        pd.testing.assert_frame_equal(long, short, check_exact=True)


# ------------------------------------------------------------------------------------------------------------- levers

NEUTRAL = {info.name: info.neutral for info in levers() if info.neutral is not None}


@pytest.mark.parametrize("lever", NEUTRAL)
def test_a_lever_at_its_neutral_value_is_a_lever_not_mentioned(lever: str) -> None:
    """MR-04, R19; in a place where the other levers of its group are not neutral."""
    group = lever.split(".")[0]
    others = {name: value for name, value in towns.ALL_LEVERS.items() if not name.startswith(f"{group}.")}
    assert_no_difference(towns.group_town(21, settings=others), {lever: NEUTRAL[lever]})


def test_all_levers_at_their_neutral_values_are_no_policy() -> None:
    assert_no_difference(towns.group_town(21), NEUTRAL)


def assert_no_difference(case: Case, settings: dict[str, Any]) -> None:
    """The same results with some more levers mentioned."""
    mentioned = replace(case, policy=case.policy.amended(towns.policy(settings)))
    towns.assert_same(towns.run(case)[0], towns.run(mentioned)[0])


def test_a_lever_that_moves_leaves_released_beds_released() -> None:
    """R8: rules come into force anew each day of a ramp; the beds held are not thereby held again."""
    case = towns.group_town(28, settings={"bed_quota.held_for_referral": "1/2", "bed_quota.released_after_hours": 2.0})
    days = [towns.MONDAY + timedelta(days=n) for n in range(28)]
    ramp = towns.policy({"first_contact.adherence": 0.0})
    for day in days:
        ramp = ramp.amended(towns.policy({"first_contact.adherence": 0.0}, day))
    towns.assert_same(towns.run(case)[0], towns.run(replace(case, policy=case.policy.amended(ramp)))[0])


def test_rules_of_the_future_change_nothing_today() -> None:
    """What comes into force on day 14 leaves all that is over before as it was, appointments for later days apart."""
    case = towns.group_town(14)
    planned = replace(case, policy=towns.policy(towns.ALL_LEVERS, towns.MONDAY + timedelta(days=40)))
    towns.assert_same(towns.run(case)[0], towns.run(planned)[0])


def test_who_falls_ill_and_when_does_not_depend_on_the_policy() -> None:
    """An epidemic left out: it is stated in a scenario, and is no policy."""
    policy = {name: value for name, value in towns.ALL_LEVERS.items() if not name.startswith("surge.")}
    before, after = (towns.run(towns.group_town(DAYS, settings=settings))[0] for settings in ({}, policy))
    first = [
        t["visits"].sort_values("time").drop_duplicates("episode").set_index("episode")["person"]
        for t in (before, after)
    ]
    both = first[0].index.intersection(first[1].index)
    assert len(both) > 0.95 * len(first[0])
    assert (first[0][both] == first[1][both]).all()
    assert arisen(before).sum() > 0
    pd.testing.assert_series_equal(arisen(before), arisen(after), check_exact=True)


def arisen(tables: dict[str, pd.DataFrame]) -> pd.Series[int]:
    """Needs by month, condition and residence, without those that came of a missed follow-up."""
    needs = tables["needs_monthly"].set_index(["month", "condition", "resident"])
    return needs["needs"] - needs["exacerbations"]


# ------------------------------------------------------------------------------------------------------------- places


def with_facilities(change: Any) -> dict[str, pd.DataFrame]:
    """The same town with its list of facilities changed."""
    return towns.run(towns.group_town(DAYS, settings=towns.ALL_LEVERS, facilities=change(towns.group_facilities())))[0]


NOBODY_COMES = [
    towns.facility("a-museum", "tertiary", clinics=[towns.clinic(1, "curiosities", "office", slots=9)]),
    towns.facility(
        "a-second-museum",
        "secondary",
        "valley",
        role="member",
        group="group",
        clinics=[towns.clinic(1, "curiosities", "office")],
        wards=[towns.ward(3, "curiosities")],
    ),
    towns.facility("a-private-museum", "clinic", clinics=[towns.clinic(1, "curiosities", "office")]),
]


@pytest.mark.parametrize("nobody_comes", NOBODY_COMES, ids=lambda f: f["id"])
def test_a_facility_to_which_nobody_comes_changes_nothing(nobody_comes: dict[str, Any]) -> None:
    """MR-03."""
    tables = with_facilities(lambda facilities: [nobody_comes, *facilities])
    for name, table in tables.items():
        expected = alone()[name]
        table = table[table["facility"] != nobody_comes["id"]] if "facility" in table else table
        drop = [
            c for c in ("point", "ward") if name in ("visits", "stays") and c in table
        ]  # numbers of places, not places
        pd.testing.assert_frame_equal(
            _sorted(table.drop(columns=drop)), _sorted(expected.drop(columns=drop)), check_exact=True, obj=name
        )


def _sorted(table: pd.DataFrame) -> pd.DataFrame:
    return table.sort_values(list(table.columns), ignore_index=True)


def test_the_order_in_which_a_config_lists_things_does_not_matter() -> None:
    """MR-02."""
    case = town()
    turned: dict[str, Any] = {}
    for part in ("network", "population", "demand", "care"):
        spec = getattr(case, part)
        turned[part] = type(spec).model_validate(_backwards(spec.model_dump(mode="python", exclude_none=True)))
    turned_network: NetworkSpec = turned["network"]
    assert [f.id for f in turned_network.facilities] != [f.id for f in case.network.facilities]
    towns.assert_same(towns.run(replace(case, **turned))[0], alone())


def _backwards(data: Any) -> Any:
    """Every mapping, and every list of mappings, in reverse order."""
    if isinstance(data, dict):
        return {k: _backwards(v) for k, v in reversed(data.items())}
    if isinstance(data, list) and data and isinstance(data[0], dict):
        return [_backwards(x) for x in reversed(data)]
    return data


def test_another_seed_is_other_luck() -> None:
    other = towns.run(replace(town(), seed=2))[0]
    assert set(other["visits"]["episode"]).isdisjoint(alone()["visits"]["episode"])
