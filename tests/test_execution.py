"""Where a study runs: same results whoever does the work, nothing lost when some of it goes wrong."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from sim.compose import LocalSpec
from sim.execution import LIVES, Engine, Failed, Progress, Simulate, Task, outlook, rehearse, run
from sim.results import Tasks, task_keys

Done = Iterator[tuple[str, int, dict[str, pd.DataFrame]]]
Tick = Callable[[int], None]


@dataclass(frozen=True)
class Case:
    """As much of a case as the work needs."""

    beds: int
    trouble: str = ""
    """A file by which replication 1 of this case counts its attempts, where it makes trouble."""
    warmup_from: date = date(2024, 1, 1)
    to: date = date(2024, 1, 10)


Cases = Mapping[str, Case]


class Heard(Progress):
    """Keeps what it is told."""

    def __init__(self) -> None:
        self.days = self.done = 0
        self.lines: list[str] = []
        self.ended = False

    def begin(self, days: int) -> None:
        self.days = days

    def advance(self, days: int) -> None:
        self.done += days

    def say(self, text: str) -> None:
        self.lines.append(text)

    def end(self) -> None:
        self.ended = True


def simulate(cases: Cases, replications: list[int], tick: Tick | None = None) -> Done:
    """Visits that depend on the case and the replication alone."""
    for name, case in cases.items():
        for _ in range(10):
            if tick:
                tick(len(replications))
        yield from ((name, r, {"visits": pd.DataFrame({"visits": [1000 * case.beds + r]})}) for r in replications)


def troubled(cases: Cases, replications: list[int]) -> Case | None:
    """The case that makes trouble, if replication 1 is among those asked for."""
    return next((case for case in cases.values() if case.trouble and 1 in replications), None)


def _attempts(case: Case) -> int:
    """Count one more attempt at a case, over all processes."""
    with Path(case.trouble).open("ab") as file:
        file.write(b".")
    return Path(case.trouble).stat().st_size


def fails_in_replication_1(cases: Cases, replications: list[int], tick: Tick | None = None) -> Done:
    """Fails whenever replication 1 is among those asked for."""
    if troubled(cases, replications):
        raise ZeroDivisionError("no doctors")
    return simulate(cases, replications, tick)


def dies_in_replication_1(cases: Cases, replications: list[int], tick: Tick | None = None) -> Done:
    """Takes its worker down whenever replication 1 is among those asked for."""
    if case := troubled(cases, replications):
        _attempts(case)
        os.kill(os.getpid(), signal.SIGKILL)
    return simulate(cases, replications, tick)


def dies_once(cases: Cases, replications: list[int], tick: Tick | None = None) -> Done:
    """Takes its worker down the first time that replication 1 is asked for."""
    if (case := troubled(cases, replications)) and _attempts(case) == 1:
        os.kill(os.getpid(), signal.SIGKILL)
    return simulate(cases, replications, tick)


def interrupted(cases: Cases, replications: list[int], tick: Tick | None = None) -> Done:
    """The user presses Ctrl-C when replication 2 begins."""
    if 2 in replications:
        raise KeyboardInterrupt
    return simulate(cases, replications, tick)


def never(cases: Cases, replications: list[int], tick: Tick | None = None) -> Done:
    """Must not be asked."""
    raise AssertionError(f"{replications} of {cases} are simulated again")


CASES = {"now": Case(beds=1), "plan": Case(beds=2)}


def together(cases: Cases) -> list[list[str]]:
    """All of them, in one group."""
    return [list(cases)]


def shared_days(cases: Cases, replications: list[int]) -> int:
    """Four of ten days are common to all cases."""
    return len(replications) * (4 + 6 * len(cases))


def in_one_go(cases: Cases, replications: list[int], tick: Tick | None = None) -> Done:
    """Common days first, then each case; one that makes trouble in replication 1 fails after the others."""
    assert tick
    tick(4 * len(replications))
    for name, case in sorted(cases.items(), key=lambda item: bool(item[1].trouble)):
        tick(6 * len(replications))
        if case is troubled(cases, replications):
            raise ZeroDivisionError("no doctors")
        yield from simulate({name: case}, replications)


def go(folder: Path, simulate: Simulate = simulate, cases: Any = None, **how: Any) -> tuple[list[Task], Heard]:
    """Run four replications of each case in a folder."""
    heard = Heard()
    spec = LocalSpec(workers=how.get("workers", 1), pack=how.get("pack", 2), patience=how.get("patience", 30))
    engine = Engine(simulate, *((together, shared_days) if how.get("shared") else ()))
    return run(cases or CASES, how.get("replications", 4), spec, Tasks(folder / "tasks"), engine, heard), heard


def contents(folder: Path) -> dict[str, bytes]:
    """Every file below a folder."""
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_tasks_come_in_order_and_days_add_up(tmp_path: Path) -> None:
    tasks, heard = go(tmp_path)
    assert [(task.scenario, task.replication) for task in tasks] == [(s, r) for s in CASES for r in range(4)]
    assert heard.days == heard.done == 2 * 4 * 10
    assert heard.ended
    assert heard.lines == [f"{name}, replications {pair}: done." for name in CASES for pair in ("0-1", "2-3")]


def test_workers_and_packs_change_nothing(tmp_path: Path) -> None:
    go(tmp_path / "one", workers=1, pack=1)
    _, heard = go(tmp_path / "two", workers=2, pack=3)
    assert contents(tmp_path / "one") == contents(tmp_path / "two")
    assert heard.done == heard.days


def test_finished_tasks_are_not_done_again(tmp_path: Path) -> None:
    before, _ = go(tmp_path, replications=2)
    after, heard = go(tmp_path, never, replications=2)
    assert after == before
    assert heard.days == 0
    assert heard.lines == ["4 of 4 tasks are finished already."]


def test_more_replications_do_only_the_new_ones(tmp_path: Path) -> None:
    go(tmp_path, replications=2)
    before = contents(tmp_path)
    _, heard = go(tmp_path, replications=3)
    assert heard.days == 2 * 1 * 10
    assert before.items() <= contents(tmp_path).items()


def test_scenarios_that_say_the_same_share_their_tasks(tmp_path: Path) -> None:
    tasks, heard = go(tmp_path, cases={"now": Case(beds=1), "as_now": Case(beds=1)})
    assert heard.days == 4 * 10
    assert [task.key for task in tasks[:4]] == [task.key for task in tasks[4:]]


def test_a_damaged_task_is_done_again_and_said(tmp_path: Path) -> None:
    tasks, _ = go(tmp_path)
    whole = contents(tmp_path)
    victim = tmp_path / "tasks" / tasks[5].key / "visits.parquet"
    victim.write_bytes(victim.read_bytes()[:-1])
    _, heard = go(tmp_path)
    assert contents(tmp_path) == whole
    assert heard.days == 10
    assert heard.lines[0].startswith("plan, replication 1 is done again (task ")
    assert "visits.parquet is damaged" in heard.lines[0]


@pytest.mark.parametrize("workers", [1, 2])
def test_one_failure_spoils_no_other_task(tmp_path: Path, workers: int) -> None:
    cases = {**CASES, "plan": replace(CASES["plan"], trouble=str(tmp_path / "attempts"))}
    with pytest.raises(Failed) as caught:
        go(tmp_path, fails_in_replication_1, cases, workers=workers, pack=4)
    assert [str(task) for task in caught.value.failures] == ["plan, replication 1"]
    assert str(caught.value).splitlines() == [
        "1 of 8 tasks failed; the others are finished and kept:",
        "  plan, replication 1: ZeroDivisionError: no doctors",
    ]
    assert "fails_in_replication_1" in caught.value.details()
    finished = [Tasks(tmp_path / "tasks").is_finished(key) for case in cases.values() for key in task_keys(case, 4)]
    assert finished.count(True) == 7


def test_a_killed_worker_changes_nothing(tmp_path: Path) -> None:
    cases = {**CASES, "plan": replace(CASES["plan"], trouble=str(tmp_path / "attempts"))}
    go(tmp_path / "calm", cases=cases)
    _, heard = go(tmp_path / "storm", dies_once, cases, workers=2)
    assert contents(tmp_path / "calm") == contents(tmp_path / "storm")
    told = [line for line in heard.lines if "MB of memory at most" in line]
    assert any(line.startswith("plan, replications 0-1: TerminatedWorkerError") for line in told)


def test_a_task_that_kills_its_workers_is_given_up_alone(tmp_path: Path) -> None:
    cases = {**CASES, "plan": replace(CASES["plan"], trouble=str(tmp_path / "attempts"))}
    with pytest.raises(Failed) as caught:
        go(tmp_path, dies_in_replication_1, cases, workers=2)
    assert [str(task) for task in caught.value.failures] == ["plan, replication 1"]
    assert (tmp_path / "attempts").stat().st_size == LIVES


def test_an_interruption_keeps_what_is_finished(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        go(tmp_path, interrupted)
    _, heard = go(tmp_path)
    assert heard.lines[0] == "2 of 8 tasks are finished already."
    assert not list(tmp_path.glob(".*"))


# ------------------------------------------------------------------------------------------------------- a shared past


@pytest.mark.parametrize("workers", [1, 2])
def test_scenarios_that_go_together_share_days_and_change_nothing(tmp_path: Path, workers: int) -> None:
    go(tmp_path / "apart")
    _, heard = go(tmp_path / "shared", in_one_go, shared=True, workers=workers)
    assert contents(tmp_path / "apart") == contents(tmp_path / "shared")
    assert heard.days == heard.done == 4 * (4 + 2 * 6)
    assert sorted(heard.lines) == [f"now, plan, replications {pair}: done." for pair in ("0-1", "2-3")]


def test_only_what_is_unfinished_goes_together(tmp_path: Path) -> None:
    go(tmp_path, cases={"now": CASES["now"]}, replications=3)
    _, heard = go(tmp_path, in_one_go, shared=True, pack=4)
    assert heard.lines[0] == "3 of 8 tasks are finished already."
    assert set(heard.lines[1:]) == {"plan, replications 0-2: done.", "now, plan, replication 3: done."}
    assert heard.days == heard.done == 3 * 10 + 16


def test_scenarios_that_go_together_fail_alone(tmp_path: Path) -> None:
    """What one pack has finished before it failed is kept, what is left is tried task by task."""
    cases = {**CASES, "plan": replace(CASES["plan"], trouble=str(tmp_path / "attempts"))}
    with pytest.raises(Failed) as caught:
        go(tmp_path, in_one_go, cases, shared=True, pack=4)
    assert [str(task) for task in caught.value.failures] == ["plan, replication 1"]
    _, heard = go(tmp_path, in_one_go, shared=True, replications=1)
    assert heard.lines[0] == "1 of 2 tasks are finished already."  # the case without trouble is another one
    finished = [Tasks(tmp_path / "tasks").is_finished(key) for case in cases.values() for key in task_keys(case, 4)]
    assert finished.count(True) == 7


# ------------------------------------------------------------------------------------------------------------ rehearsal


def rehearsed(cases: Cases, replications: list[int], tick: Tick | None = None) -> Done:
    """Leaves a trace of the process that ran it, then fails."""
    assert (replications, tick) == ([0], None)
    (case,) = cases.values()
    Path(case.trouble).write_text(str(os.getpid()), "utf-8")
    raise ZeroDivisionError


def test_a_rehearsal_runs_in_a_process_of_its_own_and_troubles_nobody(tmp_path: Path) -> None:
    trace = tmp_path / "trace"
    rehearse(Case(1, str(trace)), rehearsed)
    assert int(trace.read_text("utf-8")) != os.getpid()


# --------------------------------------------------------------------------------------------------------------- packs


@pytest.mark.parametrize(("scenarios", "workers", "sizes"), [
    (2, 2, [2]), (3, 4, [3]), (5, 2, [2, 3]), (12, 2, [6, 6]), (12, 4, [3, 3, 3, 3]), (70, 1, [23, 23, 24]),
])  # fmt: skip
def test_scenarios_that_share_a_past_are_split_so_that_every_worker_has_some(
    scenarios: int, workers: int, sizes: list[int], tmp_path: Path
) -> None:
    cases = {f"s{n}": Case(n) for n in range(scenarios)}
    engine = Engine(simulate, lambda cases: [list(cases)])
    spec = LocalSpec(workers=workers, pack=4)
    tasks, packs = outlook(cases, 2, spec, Tasks(tmp_path / "tasks"), engine, Progress())
    assert [len(pack.cases) for pack in packs] == sizes
    assert [task for pack in packs for task in pack.tasks if task.replication == 0] == tasks[::2]
    assert sorted(str(task) for pack in packs for task in pack.tasks) == sorted(map(str, tasks))


def test_enough_replications_keep_all_scenarios_together(tmp_path: Path) -> None:
    cases = {f"s{n}": Case(n) for n in range(12)}
    engine = Engine(simulate, lambda cases: [list(cases)])
    _, packs = outlook(cases, 8, LocalSpec(workers=2, pack=4), Tasks(tmp_path / "tasks"), engine, Progress())
    assert [(len(pack.cases), pack.replications) for pack in packs] == [(12, [0, 1, 2, 3]), (12, [4, 5, 6, 7])]
