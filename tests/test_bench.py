"""`make bench` takes apart what it says it takes apart; how long it takes is nobody's assertion."""

from __future__ import annotations

import pytest

import bench_mechanisms
import sim
from sim.policy import NEUTRAL
from sim.study import cases


def test_each_mechanism_is_left_out_by_itself() -> None:
    case = bench_mechanisms.all_in_force(cases(sim.load("example"))["example_plan"], 30)
    assert (case.to - case.from_).days == 29
    rules = case.policy.on(case.from_)
    assert rules == case.policy.on(case.to), "all levers are in force on every day"
    others = bench_mechanisms.without(case)
    groups = [name for name in others if hasattr(rules, name)]
    assert groups == [name for name, group in rules if group != getattr(NEUTRAL, name)]
    for name in groups:
        left = others[name].policy.on(case.from_)
        assert [key for key, group in left if group != getattr(rules, key)] == [name]
    facts = ["theatres and day centres", "imaging rooms", "exams of the same visit", "stays"]
    assert [name for name in others if name not in groups] == facts
    assert not any(f.imaging for f in others["imaging rooms"].network.facilities)
    assert not any(f.theatres or f.day_centre for f in others[facts[0]].network.facilities)
    assert bench_mechanisms.measure(others["stays"]).stays == 0 < bench_mechanisms.measure(case).stays


def test_it_tells_of_each_mechanism(capsys: pytest.CaptureFixture[str]) -> None:
    bench_mechanisms.tell("example", days=14, rounds=1)
    told = capsys.readouterr().out
    assert all(f"  {name}: " in told for name in ("nothing", "slot_quota", "imaging rooms", "stays"))
    assert "microseconds per stay" in told
