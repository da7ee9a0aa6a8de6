"""Scenarios part when they begin to differ, and each goes on as if it had been simulated by itself, to the last bit."""

from __future__ import annotations

import gc
from collections import deque
from collections.abc import Iterator
from dataclasses import replace
from datetime import date, timedelta
from functools import cache
from types import FunctionType, ModuleType
from typing import Any

import numpy as np
import pandas as pd
import pytest

import sim
import towns
from sim.model import Case, Model
from sim.past import Stretch, days, simulate, together, tree
from sim.results import to_parquet
from sim.study import cases

DAYS, AHEAD = 42, 16
"""Length of the runs; days before its date on which the book of a session opens where 14 days are booked ahead."""

Tables = dict[tuple[str, int], dict[str, pd.DataFrame]]


def on(day: int) -> date:
    """A day of the run as a date."""
    return towns.MONDAY + timedelta(days=day)


def pulled(case: Case, day: int, **levers: Any) -> Case:
    """The same case with levers (`group__name`) pulled from a day of the run on."""
    named = {name.replace("__", "."): value for name, value in levers.items()}
    return replace(case, policy=case.policy.amended(towns.policy(named, on(day))))


@cache
def town() -> Case:
    """The group town under some rules, with every visit kept."""
    settings = {"up_referral.formal_share": 0.5, "down_referral.proposed": 0.4, "bed_quota.held_for_referral": "1/5"}
    lead, *others = towns.group_facilities()
    facilities = [lead | towns.sessions(theatres=1, day_centre=1), *others]
    return towns.group_town(DAYS, settings=settings, facilities=facilities)


def parting(one: Case, other: Case) -> int:
    """The day on which two cases part."""
    return tree({"one": one, "other": other}, [0]).end


def bytes_of(tables: Tables) -> dict[tuple[str, int], dict[str, bytes]]:
    """Tables as they are kept."""
    return {task: {name: to_parquet(frame) for name, frame in own.items()} for task, own in tables.items()}


def at_once(study: dict[str, Case], replications: list[int]) -> Tables:
    """The tables of all scenarios, simulated together; days are reported as they were announced."""
    told: list[int] = []
    tables = {(name, r): own for name, r, own in simulate(study, replications, told.append)}
    assert sum(told) == days(study, replications)
    return tables


def one_by_one(study: dict[str, Case], replications: list[int]) -> Tables:
    """The same, each scenario by itself."""
    return {(name, r): own for name, case in study.items() for r, own in towns.run(case, replications).items()}


def assert_no_difference(study: dict[str, Case], replications: list[int]) -> None:
    """Together and separately: the same tables, to the last byte."""
    together, apart = at_once(study, replications), one_by_one(study, replications)
    assert together.keys() == apart.keys()
    for task, tables in apart.items():
        towns.assert_same(tables, together[task])
    assert bytes_of(together) == bytes_of(apart)


# --------------------------------------------------------------------------------------------------------- same results


@pytest.mark.parametrize("uncertainty", ["assumptions", "luck"])
def test_a_study_is_the_same_with_and_without_a_shared_past(uncertainty: str) -> None:
    horizon = {"warmup_from": "2023-11-20", "from": "2023-12-10", "to": "2024-01-31"}  # the plan begins with the year
    study = cases(sim.load("example", uncertainty=uncertainty, horizon=horizon))
    past = tree(study, [0, 1, 5])
    assert 0 < past.end < (date(2024, 1, 1) - date(2023, 11, 20)).days
    assert_no_difference(study, [0, 1, 5])


def test_rows_of_visits_and_everything_else_are_the_same() -> None:
    assert parting(town(), pulled(town(), 30, **PULLED)) == 30 - AHEAD
    assert_no_difference({"before": town(), "plan": pulled(town(), 30, **PULLED)}, [0, 3])


PULLED = {name.replace(".", "__"): value for name, value in towns.ALL_LEVERS.items()}


def test_three_scenarios_each_part_in_their_own_time() -> None:
    study = {
        "plan": pulled(town(), 30, **PULLED),
        "before": town(),
        "late": pulled(pulled(town(), 30, **PULLED), 35, bed_quota__held_for_referral="1/2", contracts__coverage=0.9),
    }
    assert [(s.names, s.first, s.end) for s in stretches(tree(study, [0]))] == [
        (("plan", "before", "late"), 0, 14),
        (("before",), 14, DAYS),
        (("plan", "late"), 14, 35),
        (("late",), 35, DAYS),
        (("plan",), 35, DAYS),
    ]
    assert days(study, [0]) == 14 + 28 + 21 + 7 + 7
    assert_no_difference(study, [0])


def stretches(stretch: Stretch) -> Iterator[Stretch]:
    """A stretch and all that follow."""
    yield stretch
    for later in stretch.then:
        yield from stretches(later)


def test_quotas_of_slots_alone_part_scenarios_before_they_are_in_force() -> None:
    study = {
        "before": town(),
        "third": pulled(town(), 25, slot_quota__held_for_referral="1/3", slot_quota__released_days_before=3),
        "half": pulled(town(), 25, slot_quota__held_for_referral="1/2"),
    }
    assert [(s.names, s.first, s.end) for s in stretches(tree(study, [0]))] == [
        (("before", "third", "half"), 0, 9),
        (("half",), 9, DAYS),
        (("third",), 9, DAYS),
        (("before",), 9, DAYS),
    ]
    assert_no_difference(study, [0])


def test_many_scenarios_stand_side_by_side_and_not_in_a_chain() -> None:
    study = {f"s{n}": pulled(town(), 25, slot_quota__held_for_referral=f"{n}/80") for n in range(40)}
    past = tree(study, [0])
    assert [stretch.then for stretch in past.then] == [()] * 40
    assert sorted(names for stretch in past.then for names in stretch.names) == sorted(study)
    assert days(study, [0]) == past.end + 40 * (DAYS - past.end)


def test_a_quota_within_the_booking_horizon_of_the_first_day_leaves_no_common_past() -> None:
    study = {"before": town(), "plan": pulled(town(), 10, slot_quota__held_for_referral="1/2")}
    assert tree(study, [0]).end == 0
    assert_no_difference(study, [0])


def test_scenarios_that_differ_from_the_first_day_on_share_the_place_alone() -> None:
    study = {"before": town(), "plan": pulled(town(), 0, **PULLED)}
    assert days(study, [0, 1]) == 2 * 2 * DAYS
    assert_no_difference(study, [0, 1])


def test_wards_that_open_and_close_do_so_in_every_branch() -> None:
    facilities = towns.group_facilities()
    facilities[0]["wards"] = [towns.ward(4, cleaning=90.0), towns.ward(5, "surgery", closes=25)]
    facilities[1]["wards"] = [towns.ward(6), towns.ward(3, "rehabilitation", "step_down", opens=35)]
    base = towns.group_town(DAYS, settings={"down_referral.proposed": 0.8}, facilities=facilities)
    study = {
        "before": base,
        "plan": pulled(base, 20, bed_quota__held_for_referral="1/2", bed_quota__kind="partition"),
        "joint": pulled(base, 20, shared__joint_wards=1.0),
    }
    assert tree(study, [0]).end == 20
    assert_no_difference(study, [0])


def test_scenarios_that_never_differ_are_simulated_once() -> None:
    study = {
        "before": town(),
        "far": pulled(town(), DAYS, first_contact__adherence=0.9),
        "said_again": pulled(town(), 20, down_referral__proposed=0.4, bed_quota__held_for_referral="1/5"),
    }
    assert days(study, [0]) == DAYS
    assert_no_difference(study, [0])


def test_a_quota_beyond_the_horizon_is_felt_by_those_who_book_ahead() -> None:
    study = {"before": town(), "plan": pulled(town(), DAYS + 3, slot_quota__held_for_referral="100 %")}
    assert tree(study, [0]).end == DAYS + 3 - AHEAD
    assert_no_difference(study, [0])


def test_rules_said_again_while_the_past_is_shared_have_no_effect() -> None:
    """Only one scenario says so, and not the one whose policy the past is simulated under."""
    plan = pulled(town(), 30, first_contact__adherence=0.5)
    again = pulled(plan, 12, bed_quota__held_for_referral="1/5", up_referral__formal_share=0.5)
    study = {"before": town(), "plan": again}
    assert tree(study, [0]).end == 30
    assert_no_difference(study, [0])


def test_cases_of_other_facts_share_nothing() -> None:
    study = {"here": town(), "elsewhere": replace(town(), seed=2), "plan": pulled(town(), 30, **PULLED)}
    assert together(study) == [["here", "plan"], ["elsewhere"]]
    assert days(study, [0]) == DAYS + 14 + 2 * 28
    assert {name for name, *_ in simulate({name: short(case) for name, case in study.items()}, [0])} == set(study)


def short(case: Case) -> Case:
    """Two days of it."""
    return replace(case, to=on(1))


# ------------------------------------------------------------------------------------------------------------- the copy


def test_a_copy_has_nothing_in_common_with_its_model_that_could_change() -> None:
    model = Model(town(), [0, 1])
    model.run(20, lambda days: None)
    branch = model.branch(town())
    shared = [*model._unchanging(), model.ledger]  # the ledger is the past of both: it rests
    fixed = {at for root in shared for at in reachable(root)}
    mine, theirs = reachable(model), reachable(branch)
    common = [type(thing) for at, thing in theirs.items() if at in mine and at not in fixed and can_change(thing)]
    assert not common


def reachable(root: Any) -> dict[int, Any]:
    """Whatever can be reached from something, through closures and behind views as well."""
    found: dict[int, Any] = {}
    to_do = [root]
    while to_do:
        thing = to_do.pop()
        if id(thing) in found or isinstance(thing, type | ModuleType):
            continue
        found[id(thing)] = thing
        if isinstance(thing, FunctionType):
            to_do += [cell.cell_contents for cell in thing.__closure__ or ()]
        else:
            to_do += gc.get_referents(thing)
        if isinstance(thing, np.ndarray) and thing.base is not None:
            to_do.append(thing.base)
    return found


def can_change(thing: Any) -> bool:
    """Whether something has contents that could become others."""
    if isinstance(thing, np.ndarray):
        return bool(thing.flags.writeable and thing.size)
    if isinstance(thing, tuple):
        return False  # what is in it is looked at by itself
    return isinstance(thing, list | dict | set | deque) or type(thing).__module__.startswith("sim.")


def test_a_copy_goes_on_and_its_model_after_it() -> None:
    """Neither knows of the other: both end as a model of which there is no copy."""
    model = Model(town(), [0])
    model.run(20, lambda days: None)
    branch = model.branch(town())
    branch.run(DAYS, lambda days: None)
    first = branch.tables(0)
    model.run(DAYS, lambda days: None)
    towns.assert_same(first, model.tables(0))
    towns.assert_same(first, towns.run(town())[0])
