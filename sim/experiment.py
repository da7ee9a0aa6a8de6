"""A sweep: one study under many settings, its points, on the same luck, in one folder.

All points are validated before the first is simulated. What they have in common is simulated once: equal tasks by
their content, the past of scenarios that part later by `past`. Each point then gets a light folder of its own, in which
it is a study as any other, and all are told side by side. A point that fails does not stop the others.
"""

from __future__ import annotations

import shlex
import shutil
import sys
import time
import traceback
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import pandas as pd

from sim import estimate, execution, study
from sim.compose import Config, as_overrides
from sim.estimate import Estimate
from sim.execution import Engine, Pack, Progress, Task
from sim.model import Case
from sim.points import MOST, MOST_AT_ALL, Asked, Point, from_python, load, refused
from sim.progress import Wish, heard
from sim.readers import reader
from sim.results import Results, Tasks, digest, fingerprint, plain, provenance, write_file, write_frame, write_yaml
from sim.scenario import COMMAND_LINE
from sim.schema import Failure, InputError, Problem, as_share, shown
from sim.swept import ABOUT, FAILED, FINISHED, POINTS, Swept


class SomeFailed(Failure):
    """Points that could not be finished, and how to repeat them; all others are finished and kept."""

    def __init__(self, swept: Swept, failed: Sequence[tuple[Point, str]]) -> None:
        """The sweep, and why each of its failed points failed."""
        self.swept = swept
        number = len(swept.points)
        lines = [f"  {point.name}: {why}\n    {_command(swept.about, point)}" for point, why in failed]
        head = f"{len(lines)} of {number} points failed; the others are finished and kept in {shown(swept.folder)}:"
        super().__init__("\n".join([head, *lines]))


def sweep(
    name: str,
    /,
    *,
    vary: Mapping[str, Any] | None = None,
    grid: Mapping[str, Any] | Sequence[str] = (),
    zip: Mapping[str, Any] | None = None,
    points: Iterable[Mapping[str, Any]] = (),
    overrides: Sequence[str] = (),
    config_dir: str | Path | None = None,
    really: bool = False,
    progress: Wish = None,
    engine: Engine | None = None,
    **changes: Any,
) -> Swept:
    """Simulate a study, given by its name, under many settings.

    The levers in `vary` (scenario.group.lever -> values) and the keys in `grid` are crossed, those in `zip` go
    together, `points` are added one by one.

    Other keywords are settings of all points, as for `load`. `really=True` lifts the limits of size. `SomeFailed` where
    points fail; it holds the sweep with all others.
    """
    settings = [*overrides, *as_overrides(changes)]
    most = _most(really)
    asked = from_python(name, vary or {}, grid, zip or {}, points, settings, config_dir, most)
    return run(asked, config_dir=config_dir, really=really, progress=heard(progress), engine=engine)


def run(
    asked: Asked,
    *,
    config_dir: str | Path | None = None,
    really: bool = False,
    say: Callable[[str], None] = lambda text: None,
    progress: Progress | None = None,
    engine: Engine | None = None,
) -> Swept:
    """Run a sweep and write its folder; `say` is told what is ahead before it begins."""
    work = plan(asked, config_dir, really=really, engine=engine)
    say(str(work.ahead))
    work.refuse(really=really)
    return work.done(progress or Progress())


def _most(really: bool) -> int:
    return MOST_AT_ALL if really else MOST


def plan(
    asked: Asked, config_dir: str | Path | None = None, *, really: bool = False, engine: Engine | None = None
) -> Work:
    """All points loaded and validated, and what they will take; nothing is written."""
    if problems := [*refused(asked, _most(really))]:
        raise InputError(problems)
    found = load(asked, config_dir)
    config = found[0].config
    if config.precision:
        text = "All points of a sweep have the same replications; say how many, or ask one study to be precise."
        raise InputError([Problem(COMMAND_LINE, None, "precision", text)])
    folder = Path(config.output or Path("outputs") / f"{config.study.name}_sweep")
    work = Work(asked, found, folder, engine or study.ENGINE)
    counts = (len(found), len(work.cases), len(work.tasks), len(work.tasks) - sum(len(p.tasks) for p in work.packs))
    work.ahead = estimate.estimate(folder, config, work.packs, work.engine, counts)
    return work


# ---------------------------------------------------------------------------------------------------------------- work


@dataclass
class Work:
    """The points of a sweep, and the scenarios that they are made of, each once."""

    asked: Asked
    points: list[Point]
    folder: Path
    engine: Engine
    cases: dict[str, Case] = field(default_factory=dict)
    """The different scenarios, each named after the first point that has it."""
    named: dict[str, dict[str, str]] = field(default_factory=dict)
    """Point -> scenario -> name of its case."""
    tasks: list[Task] = field(default_factory=list)
    packs: list[Pack] = field(default_factory=list)
    ahead: Estimate = field(init=False)

    def __post_init__(self) -> None:
        """Find what the points have in common, and what is finished already."""
        known: dict[str, str] = {}
        for point in self.points:
            own = self.named[point.name] = {}
            for scenario, case in study.cases(point.config).items():
                own[scenario] = known.setdefault(fingerprint(case), f"{point.name}/{scenario}")
                self.cases.setdefault(own[scenario], case)
        self.tasks, self.packs = execution.outlook(
            self.cases, self.config.replications, self.config.execution, self.store, self.engine, Progress()
        )

    @property
    def config(self) -> Config:
        """The config of the first point: what all have in common is there."""
        return self.points[0].config

    @property
    def store(self) -> Tasks:
        """The tasks of all points."""
        return Tasks(self.folder / "tasks", self.config.audit)

    def refuse(self, *, really: bool) -> None:
        """Begin nothing absurd unless it is really meant."""
        more = "--yes-really (really=True in Python) begins all the same."
        if not really and (why := list(self.ahead.refused())):
            raise InputError([Problem(COMMAND_LINE, None, "", f"{text} {more}") for text in why])

    def done(self, progress: Progress, words: Sequence[str] | None = None) -> Swept:
        """Simulate, measure every point, and tell all of them side by side.

        `words` are those of the command, where one was given, so that the folder knows how to resume it.
        """
        _only_a_sweep(self.folder)
        with study.alone_in(study.open_folder(self.folder)):
            study.begin(self.folder, words, self.resolved())
            (self.folder / ABOUT).unlink(missing_ok=True)  # until everything is written this is no finished sweep
            pace, began = study.Pace(progress), time.monotonic()
            failed = self._simulated(pace)
            origin = provenance(self.config, self.cases, shlex.join(sys.argv), 0)
            failed |= self._measured(origin, failed, progress)
            origin["run"]["seconds"] = round(time.monotonic() - began, 1)
            study.write_provenance(self.folder, origin, pace.told(self.config, self.ahead.hands))
            swept = self._told(failed)
        if failed:
            raise SomeFailed(swept, [(point, failed[point.name][0]) for point in self.points if point.name in failed])
        return swept

    def resolved(self) -> dict[str, Any]:
        """All that is loaded, as plain data: the first point in full, of each its settings and what they come to."""
        cases = {name: fingerprint(case) for name, case in self.cases.items()}
        points = {
            point.name: {"settings": list(point.overrides)} | {own: cases[name] for own, name in named.items()}
            for point, named in ((point, self.named[point.name]) for point in self.points)
        }
        return {**study.resolved(self.config), "points": points}

    def _simulated(self, pace: Progress) -> dict[str, Why]:
        """Finish all tasks; the points that cannot be finished, and why."""
        spec, prepare = self.config.execution, partial(study.prepare, self.cases, self.engine)
        try:
            execution.run(self.cases, self.config.replications, spec, self.store, self.engine, pace, prepare)
        except execution.Failed as trouble:
            why = {task.scenario: (f"{task}: {_short(error)}", error) for task, error in trouble.failures.items()}
            return {
                point: next(why[name] for name in own.values() if name in why)
                for point, own in self.named.items()
                if not why.keys().isdisjoint(own.values())
            }
        return {}

    def _measured(self, origin: Mapping[str, Any], failed: Mapping[str, Why], progress: Progress) -> dict[str, Why]:
        """Write the folder of each point and measure it; the points at which that failed."""
        writing, trouble = _Writing(self), dict[str, Why]()
        _forget_others(self.folder / "points", [point.name for point in self.points if point.name not in failed])
        for number, point in enumerate(self.points, 1):
            if point.name in failed:
                continue
            try:
                reader("point")(writing.point(point, origin))
                progress.say(f"{point.name} ({number} of {len(self.points)}): measured.")
            except Exception as error:
                trouble[point.name] = (_short(error), error)
        return trouble

    def _told(self, failed: Mapping[str, Why]) -> Swept:
        """Everything side by side."""
        write_yaml(self.folder / "sweep.yaml.part", self._about())
        rows = [self._row(point, FAILED if point.name in failed else FINISHED) for point in self.points]
        write_frame(self.folder / POINTS, pd.DataFrame(rows))
        told = [f"{name}\n{''.join(traceback.format_exception(error))}" for name, (_, error) in failed.items()]
        if told:
            write_file(self.folder / study.FAILED, "\n".join(told))
        else:
            (self.folder / study.FAILED).unlink(missing_ok=True)
        (self.folder / "sweep.yaml.part").replace(self.folder / ABOUT)
        swept = Swept.open(self.folder)
        reader("sweep")(swept)
        return swept

    def _about(self) -> dict[str, Any]:
        settings = [text for text in self.asked.settings if not text.startswith("output=")]  # it is where this lies
        about = {"study": self.asked.study, **self.asked.words, "settings": settings}
        return about | {"replications": self.config.replications, "keys": self.asked.keys}

    def _row(self, point: Point, state: str) -> dict[str, Any]:
        """One row of points.csv."""
        values = {key: self._value(key, point) for key in self.asked.keys}
        command = _command(self._about(), point)
        return {"point": point.name, **values, "state": state, "folder": point.folder, "command": command}

    def _value(self, key: str, point: Point) -> Any:
        """A number where all values of a key are numbers or shares, else as it was written; empty where it was not."""
        if key not in point.row:
            return None
        own = point.row[key]
        if self._numeric[key]:
            return _number(own)
        return own if isinstance(own, str) else str(plain(own))

    @cached_property
    def _numeric(self) -> dict[str, bool]:
        """Keys of which every value is a number or a share."""
        told = {key: [point.row[key] for point in self.points if key in point.row] for key in self.asked.keys}
        return {key: all(_number(value) is not None for value in values) for key, values in told.items()}


Why = tuple[str, BaseException]
"""Why a point failed, in short and in full."""


def _short(error: BaseException) -> str:
    return f"{type(error).__name__}: {error}"


def _number(value: Any) -> float | None:
    """A number, or a share in one of its forms."""
    if isinstance(value, bool):
        return None
    if isinstance(value, (int, float)):
        return value
    try:
        return float(as_share(value))
    except ValueError:
        return None


def _command(about: Mapping[str, Any], point: Point) -> str:
    """The command that simulates one point by itself."""
    return shlex.join(["tiercare", "run", f"study={about['study']}", *about["settings"], *point.overrides])


def _only_a_sweep(folder: Path) -> None:
    """Refuse a folder that holds a study: it would be half one and half the other."""
    if (folder / "study.yaml").exists():
        text = "This folder holds a study; give the sweep another one, output=..."
        raise InputError([Problem(shown(folder), None, "", text)])


def _forget_others(folder: Path, names: Sequence[str]) -> None:
    """Remove points of an earlier sweep that this one does not have."""
    for old in folder.iterdir() if folder.is_dir() else ():
        if old.name not in names:
            shutil.rmtree(old, ignore_errors=True)


class _Writing:
    """Writes the folders of points; what several share is worked out once."""

    def __init__(self, work: Work) -> None:
        self.work = work
        self.keys: dict[str, list[Task]] = {}
        for task in work.tasks:
            self.keys.setdefault(task.scenario, []).append(task)
        self.drawn: dict[str, pd.DataFrame] = {}
        self.settings: dict[tuple[int, ...], Path] = {}

    def point(self, point: Point, origin: Mapping[str, Any]) -> Results:
        """The folder of one point, before it is measured."""
        folder, config, own = self.work.folder / point.folder, point.config, self.work.named[point.name]
        folder.mkdir(parents=True, exist_ok=True)
        self._write_settings(folder, config)
        tasks = [(name, task.replication, task.key) for name, case in own.items() for task in self.keys[case]]
        drawn = [self._drawn(case).assign(scenario=name) for name, case in own.items()]
        study.write_scenarios(folder, config, tasks, pd.concat(drawn, ignore_index=True))
        about = self.work._about()
        told = {name: fingerprint(self.work.cases[case]) for name, case in own.items()}
        run = origin["run"] | {"command": _command(about, point)}
        file = {**origin, "study": config.study.name, "model": digest(told), "scenarios": told, "run": run}
        study.write_provenance(folder, file, None)
        return Results.open(folder)

    def _write_settings(self, folder: Path, config: Config) -> None:
        """study.yaml; copied from a point that has the same."""
        key = tuple(id(part) for name, part in dict(config).items() if name != "scenarios")
        if key in self.settings:
            write_file(folder / "study.yaml", self.settings[key].read_bytes())
        else:
            write_yaml(folder / "study.yaml", study.settings(config))
            self.settings[key] = folder / "study.yaml"

    def _drawn(self, case: str) -> pd.DataFrame:
        if case not in self.drawn:
            self.drawn[case] = study.draws({case: self.work.cases[case]}, self.work.config.replications)
        return self.drawn[case]
