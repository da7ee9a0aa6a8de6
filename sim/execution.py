"""How a study is worked off: packs handed out to a crew; finished tasks found again, failed ones told one by one.

Workers take packs: replications that are simulated together, in all the scenarios that share a past. Each writes its
own tasks and sends nothing back, so a worker that dies takes nothing with it. Results never depend on workers or packs.
"""

from __future__ import annotations

import time
import traceback
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import FIRST_COMPLETED, BrokenExecutor, Future, wait
from contextlib import suppress
from dataclasses import dataclass, field, replace
from itertools import count, pairwise
from typing import Any

import pandas as pd

from sim import cluster
from sim.compose import DaskSpec, ExecutionSpec, SlurmSpec
from sim.crews import Beat, Crew, Here, Local, Pulse, Pulses
from sim.results import Damaged, Tasks, task_keys
from sim.schema import Failure

LIVES = 3
"""Times that a task may take its worker down with it before it counts as failed."""

LARGEST = 32
"""Scenarios that a worker takes at once: their common past is a small part of the work then, and a pack not long."""

TOLD = 4
"""Scenarios of a pack that are told by name."""

GLANCE = 0.3
"""Seconds between two looks at the workers' progress."""

Tick = Callable[[int], None]
"""Takes the simulated days, over all replications, since it was last called."""

Cases = Mapping[str, Any]
"""What each scenario asks the engine to simulate."""

Simulate = Callable[[Cases, list[int], Tick | None], Iterator[tuple[str, int, dict[str, pd.DataFrame]]]]
"""Cases and replications to the tables of each, handed over one after the other (`past.simulate`)."""


def _each_by_itself(cases: Cases) -> list[list[str]]:
    return [[name] for name in cases]


def _all_days(cases: Cases, replications: list[int]) -> int:
    return len(replications) * sum((case.to - case.warmup_from).days + 1 for case in cases.values())


@dataclass(frozen=True)
class Engine:
    """What simulates; unless it says otherwise, scenarios have nothing in common."""

    simulate: Simulate
    together: Callable[[Cases], list[list[str]]] = _each_by_itself
    """The names of the cases that are worth simulating in one go, in groups."""
    days: Callable[[Cases, list[int]], int] = _all_days
    """Days to simulate for some cases that go together, over all replications."""


class Progress:
    """Who is told how a run goes on; this one keeps it to itself."""

    def begin(self, days: int) -> None:
        """So many days will be simulated, over all scenarios and replications."""

    def advance(self, days: int) -> None:
        """So many more days are done."""

    def say(self, text: str) -> None:
        """Something worth a line happened."""

    def end(self) -> None:
        """Nothing more will be simulated."""


@dataclass(frozen=True)
class Task:
    """One replication of one scenario."""

    scenario: str
    replication: int
    key: str
    """The hash of all that its numbers follow from."""

    def __str__(self) -> str:
        return f"{self.scenario}, replication {self.replication}"


@dataclass(frozen=True)
class Pack:
    """Tasks that are simulated together: the same replications of each of some scenarios."""

    cases: Cases
    tasks: tuple[Task, ...]
    deaths: int = 0
    """Workers that died over these tasks."""

    @property
    def replications(self) -> list[int]:
        """Each once, in order."""
        return sorted({task.replication for task in self.tasks})

    def only(self, task: Task, deaths: int) -> Pack:
        """One of its tasks by itself."""
        return Pack({task.scenario: self.cases[task.scenario]}, (task,), deaths)

    def __str__(self) -> str:
        first, *_, last = *self.replications, self.replications[-1]
        which = f"replication {first}" if first == last else f"replications {first}-{last}"
        names = list(self.cases)
        told = names if len(names) <= TOLD else [*names[:1], "...", *names[-1:], f"{len(names)} in all"]
        return f"{', '.join(told)}, {which}"


class Failed(Failure):
    """Tasks that could not be done, and why; all others are finished and kept."""

    def __init__(self, failures: Mapping[Task, BaseException], tasks: int) -> None:
        """The failed ones of so many tasks."""
        self.failures = dict(failures)
        lines = [f"  {task}: {type(why).__name__}: {why}" for task, why in self.failures.items()]
        head = f"{len(lines)} of {tasks} tasks failed; the others are finished and kept:"
        super().__init__("\n".join([head, *lines]))

    def details(self, repeats: Callable[[Task], str] = lambda task: "") -> str:
        """Every failure with the place in the code where it happened, and the command that `repeats` it."""
        told = (
            "\n".join(filter(None, [str(task), repeats(task), "".join(traceback.format_exception(why))]))
            for task, why in self.failures.items()
        )
        return "\n".join(told)


def run(
    cases: Cases,
    replications: int,
    spec: ExecutionSpec,
    store: Tasks,
    engine: Engine,
    progress: Progress | None = None,
    prepare: Callable[[], None] = lambda: None,
) -> list[Task]:
    """Finish every replication of every scenario; the tasks in order. `Failed` if some cannot be finished.

    `prepare` is called before anything is simulated, and not at all where all is finished already.
    """
    progress = progress or Progress()
    store.open()
    tasks, packs = outlook(cases, replications, spec, store, engine, progress)
    if packs:
        prepare()
    progress.begin(sum(engine.days(pack.cases, pack.replications) for pack in packs))
    try:
        failures = _Shift(packs, spec, store, engine.simulate, progress).work()
    finally:
        progress.end()
    if failures:
        raise Failed(failures, len(tasks))
    return tasks


def outlook(
    cases: Cases, replications: int, spec: ExecutionSpec, store: Tasks, engine: Engine, progress: Progress
) -> tuple[list[Task], list[Pack]]:
    """Every replication of every scenario, and the packs of those that are not finished."""
    tasks = [Task(name, r, key) for name, case in cases.items() for r, key in enumerate(task_keys(case, replications))]
    packs = _packs(cases, engine.together(cases), _unfinished(tasks, store, progress), spec.pack, spec.expected)
    return tasks, list(packs)


def _unfinished(tasks: Iterable[Task], store: Tasks, progress: Progress) -> list[Task]:
    """What is still to do, each once: two scenarios that say the same share their tasks."""
    once = {task.key: task for task in reversed(list(tasks))}
    todo = [task for task in reversed(once.values()) if not _is_finished(task, store, progress)]
    if len(todo) < len(once):
        progress.say(f"{len(once) - len(todo)} of {len(once)} tasks are finished already.")
    return todo


def _is_finished(task: Task, store: Tasks, progress: Progress) -> bool:
    try:
        return store.is_finished(task.key)
    except Damaged as damage:
        progress.say(f"{task} is done again ({damage}).")
        return False


def _packs(cases: Cases, groups: list[list[str]], tasks: list[Task], size: int, workers: int) -> Iterator[Pack]:
    """Packs of at most so many replications; all of one pack have the same scenarios still to do."""
    batches = list(_batches(groups, tasks, size))
    for names, each in batches:
        for some in _shares(names, -(-workers // len(batches))):
            together = tuple(task for own in each for task in own if task.scenario in some)
            yield Pack({name: cases[name] for name in some}, together)


def _batches(
    groups: list[list[str]], tasks: list[Task], size: int
) -> Iterator[tuple[tuple[str, ...], list[list[Task]]]]:
    """Scenarios of a group, and at most so many replications (the tasks of each) in which all of them are to do."""
    for group in groups:
        to_do: dict[int, list[Task]] = {}
        for task in tasks:
            if task.scenario in group:
                to_do.setdefault(task.replication, []).append(task)
        alike: dict[tuple[str, ...], list[list[Task]]] = {}
        for own in to_do.values():
            alike.setdefault(tuple(task.scenario for task in own), []).append(own)
        for names, each in alike.items():
            for start in range(0, len(each), size):
                yield names, each[start : start + size]


def _shares(names: tuple[str, ...], hands: int) -> list[tuple[str, ...]]:
    """Scenarios that share a past in even parts, so that no pack is too large and there is one for every free hand.

    Each part simulates the past by itself, so none is smaller than two scenarios.
    """
    number = max(-(-len(names) // LARGEST), min(hands, len(names) // 2), 1)
    ends = [part * len(names) // number for part in range(number + 1)]
    return [names[start:end] for start, end in pairwise(ends)]


def simulate_pack(pack: Pack, store: Tasks, simulate: Simulate, tick: Tick) -> None:
    """Simulate the tasks of a pack and keep their tables as they come; what a worker does."""
    tick(0)  # the work is in hand
    keys = {(task.scenario, task.replication): task.key for task in pack.tasks}
    for scenario, replication, tables in simulate(pack.cases, pack.replications, tick):
        store.save(keys[scenario, replication], tables)


def rehearse(case: Any, simulate: Simulate) -> None:
    """Simulate a short case in a process of its own, so that kernels are compiled and the compiler's memory is gone.

    Should it fail, so will the study, which then tells why.
    """
    crew = Local(1)
    try:
        wait([crew.submit(_rehearse, case, simulate)])
    finally:
        crew.dismiss(at_once=True)


def _rehearse(case: Any, simulate: Simulate) -> None:
    for _ in simulate({"rehearsal": case}, [0], None):
        pass


@dataclass
class _InHand:
    """A pack that a worker has, and when it was last seen to come further."""

    pack: Pack
    number: int
    seen: Pulse = field(default_factory=Pulse)
    since: float = field(default_factory=time.monotonic)

    def look(self, pulse: Pulse) -> int:
        """Days done since the last look."""
        if not pulse.process or (pulse.process, pulse.days) == (self.seen.process, self.seen.days):
            return 0
        before, self.seen, self.since = self.seen.days, pulse, time.monotonic()
        return pulse.days - before


class _Shift:
    """The work of one run: packs that wait, packs in hand, and who has them in hand."""

    def __init__(self, packs: list[Pack], spec: ExecutionSpec, store: Tasks, simulate: Simulate, say: Progress) -> None:
        self.waiting, self.running = deque(packs), dict[Future[None], _InHand]()
        self.failures: dict[Task, BaseException] = {}
        self.spec, self.simulate, self.progress = spec, simulate, say
        self.store = replace(
            store, folder=store.folder.absolute()
        )  # workers elsewhere have current folders of their own
        self.pulses, self.numbers = Pulses(self.store.folder), count()

    def work(self) -> dict[Task, BaseException]:
        """Work everything off; the tasks that failed, and why. When interrupted, workers stop at once."""
        if not self.waiting:
            return {}
        crew = self._hire()
        try:
            while self.waiting or self.running:
                self._hand_out(crew)
                if self._take_in(crew):
                    crew = crew.renewed()
            crew.dismiss(at_once=False)
        except BaseException:
            crew.dismiss(at_once=True)
            raise
        finally:
            with suppress(OSError):  # nobody writes any more: what killed workers left half written goes, if it can
                self.store.open()
        return self.failures

    def _hire(self) -> Crew:
        """The workers that are asked for; here no more than there are packs."""
        if isinstance(self.spec, DaskSpec):
            return cluster.join(self.spec, self.store.folder, self.progress.say)
        if isinstance(self.spec, SlurmSpec):
            return cluster.ask_slurm(self.spec, self.store.folder, self.progress.say)
        workers = min(self.spec.expected, len(self.waiting))
        return Here() if workers <= 1 else Local(workers)

    def _hand_out(self, crew: Crew) -> None:
        """Fill free hands. After a worker died, packs that may have killed it go one at a time."""
        suspects = any(pack.deaths for pack in [*self.waiting, *(hand.pack for hand in self.running.values())])
        while self.waiting and len(self.running) < (1 if suspects and not crew.exact else crew.hands):
            hand = _InHand(self.waiting.popleft(), next(self.numbers))
            tick = self.progress.advance if crew.here else Beat(self.pulses.of(hand.number), crew.lease)
            self.running[crew.submit(simulate_pack, hand.pack, self.store, self.simulate, tick)] = hand

    def _take_in(self, crew: Crew) -> bool:
        """Wait a moment and settle what is done; whether workers died and others must be hired."""
        done, _ = wait(self.running, GLANCE, FIRST_COMPLETED)
        for future, hand in self.running.items():
            self.progress.advance(hand.look(self.pulses.read(hand.number)))
            if hand.seen.process and time.monotonic() - hand.since > 60 * self.spec.patience:
                self._give_up(crew, future, hand)
        errors = [self._settle(self.running.pop(future), future.exception()) for future in done]
        return any(isinstance(error, BrokenExecutor) for error in errors)

    def _give_up(self, crew: Crew, work: Future[None], hand: _InHand) -> None:
        """A worker that comes no further is ended, which then is a death like any other."""
        crew.end(work, hand.seen)
        hand.since = time.monotonic()
        self.progress.say(f"{hand.pack}: no day further in {self.spec.patience:g} minutes; its worker is ended.")

    def _settle(self, hand: _InHand, error: BaseException | None) -> BaseException | None:
        """A pack that failed is tried again one task at a time, so that one cannot spoil the others."""
        self.pulses.forget(hand.number)
        pack = hand.pack
        if error is None:
            self.progress.say(f"{pack}: done.")
            return None
        if isinstance(error, Failure) and error.general:
            raise error
        died = isinstance(error, (BrokenExecutor, MemoryError))
        deaths = pack.deaths + died
        if len(pack.tasks) == 1 and (not died or deaths == LIVES):
            self.progress.say(f"{pack}: failed ({_told(error)}).")
            self.failures[pack.tasks[0]] = error
        else:
            again = f"{_told(error)}{_memory(hand.seen) if died else ''}; what is left is tried again, task by task"
            self.progress.say(f"{pack}: {again}.")
            left = [task for task in pack.tasks if not _is_finished(task, self.store, self.progress)]
            self.waiting.extendleft(pack.only(task, deaths) for task in reversed(left))
        return error


def _told(error: BaseException) -> str:
    """An error in a line."""
    words = [line.strip() for line in str(error).splitlines() if line.strip()]
    return ": ".join([type(error).__name__, *words[:1]])


def _memory(pulse: Pulse) -> str:
    return f"; it had {pulse.memory / 1024:,.0f} MB of memory at most" if pulse.memory else ""
