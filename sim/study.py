"""What is compared with what: scenarios x replications, on the same luck.

A study is run in one folder. Its tasks are finished (`execution`), then everything that follows from them is written
anew: what was compared, with which draws, from where, and the tables and the report that `analysis` makes of it.
"""

from __future__ import annotations

import json
import platform
import shlex
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any

import pandas as pd

from sim import begun, execution, kernels, past, precision
from sim.citation import citations, drawn_values
from sim.compose import Config
from sim.execution import Engine, Progress, Task
from sim.lock import InUse, alone_in
from sim.model import Case, Model
from sim.precision import PrecisionSpec
from sim.progress import Wish, heard
from sim.readers import reader
from sim.results import PRECISION, Results, Tasks, provenance, sweep_drafts, write_file, write_frame, write_yaml
from sim.schema import InputError, Problem, shown
from sim.swept import ABOUT

__all__ = ["ENGINE", "InUse", "alone_in", "cases", "finish", "loads", "open_folder", "report", "run"]

MARK = "tiercare.txt"
"""A file by which a folder is known as the output of a study."""

MARK_TEXT = """This folder belongs to tiercare. tasks/ holds finished work, which later commands find again;
everything else is written anew by each command.
"""


FAILED = "failed.txt"
"""Why tasks failed, and where in the code."""


REHEARSAL = timedelta(days=7)
"""Enough for nearly every kernel to be called."""

ENGINE = Engine(past.simulate, past.together, past.days)
"""Scenarios that differ in their policy alone share what they can."""


def run(config: Config, progress: Wish = None, engine: Engine = ENGINE, words: Sequence[str] | None = None) -> Results:
    """Run a study and write its folder; tasks that are finished there already are not done again.

    In a terminal or a notebook a bar shows how it goes on; not with `progress=False`. `words` are those of the command,
    where one was given, so that the folder knows how to resume it.
    """
    folder = Path(config.output or Path("outputs") / config.study.name)
    if (folder / ABOUT).exists():
        raise _refused(folder, "This folder holds a sweep; give the study another one, output=...")
    with alone_in(open_folder(folder)):
        begin(folder, words, resolved(config))
        if config.precision:
            _until_precise(folder, config, config.precision, engine, heard(progress))
        else:
            finish(folder, config, cases(config), engine, heard(progress))
        return report(folder)


def _until_precise(
    folder: Path, config: Config, asked: PrecisionSpec, engine: Engine, progress: Progress | None
) -> None:
    """Finish more and more replications, in whole blocks, until they are precise enough or as many as are allowed."""
    step = asked.step or (config.block if config.block > 1 else max(1, asked.look_ahead))
    number: int | None = -(-config.replications // config.block) * config.block
    while number:
        larger = config.model_copy(update={"replications": number})
        results = finish(folder, larger, cases(config), engine, progress)
        found = [precision.judged(one, asked.look_ahead) for one in reader("estimates")(results, asked)]
        (progress or Progress()).say(precision.said(found, number))
        enough = all(one.since for one in found)
        number = None if enough else precision.following(number, step, asked.at_most)
    _write_precision(folder, found)


def _write_precision(folder: Path, found: Sequence[precision.Reached]) -> None:
    """What was asked and reached, as a table and with the provenance."""
    rows = [
        {
            "indicator": one.estimate.indicator, "scope": one.estimate.scope, "year": one.estimate.year,
            "scenario": one.estimate.scenario, "of": one.estimate.wanted.of,
            "kind": "relative" if one.is_relative else "half_width", "asked": one.asked, "found": one.found,
            "mean": one.mean, "half_width": one.half_width, "since": one.since,
            "replications": len(one.estimate.values),
        }
        for one in found
    ]  # fmt: skip
    write_frame(folder / PRECISION, pd.DataFrame(rows).astype({"since": "Int64"}))
    origin = Results.open(folder).provenance | {"precision": {}}
    for one, row in zip(found, rows, strict=True):
        ended = f"reached from {one.since} on" if one.since else "not reached"
        told = f"{row['kind']} {one.asked:g} asked, {one.told} after {row['replications']}: {ended}"
        origin["precision"][f"{row['indicator']} {row['scenario']} {row['of']}"] = told
    write_file(folder / "provenance.json", json.dumps(origin, indent=1, ensure_ascii=False) + "\n")


def report_anew(folder: Path) -> Results:
    """Write the tables and the report of a finished study anew, with nobody else at work in the folder."""
    Results.open(folder)  # refuses any other folder, in which then not even a lock is left
    with alone_in(folder):
        tidy(folder)
        return report(folder)


def resolved(config: Config) -> dict[str, Any]:
    """All that a study loads, as plain data; without the folder it is written to."""
    return {**settings(config), "scenarios": {scenario.name: scenario.resolved() for scenario in config.scenarios}}


def finish(
    folder: Path, config: Config, study: Mapping[str, Case], engine: Engine = ENGINE, progress: Progress | None = None
) -> Results:
    """Finish the tasks of a study in its folder and write what was compared, before anything is measured."""
    began, pace = time.monotonic(), Pace(progress or Progress())
    tasks = _finish(folder, config, study, engine, pace)
    _write_what_was_compared(folder, config, study, tasks)
    origin = provenance(config, study, shlex.join(sys.argv), time.monotonic() - began)
    hands = min(config.execution.expected, -(-config.replications // config.execution.pack))
    write_provenance(folder, origin, pace.told(config, hands))
    return Results.open(folder)


def write_provenance(folder: Path, origin: dict[str, Any], speed: dict[str, Any] | None) -> None:
    """Write provenance.json; where nothing was simulated, with the speed that was told before."""
    file = folder / "provenance.json"
    with suppress(OSError, ValueError, KeyError, TypeError):
        speed = speed or json.loads(file.read_bytes())["run"]["simulated"]
    origin["run"] |= {"simulated": speed} if speed else {}
    write_file(file, json.dumps(origin, indent=1, ensure_ascii=False) + "\n")


class Pace(Progress):
    """Hands everything on, and counts days and seconds: what the next run may take can be told from it."""

    def __init__(self, heard: Progress) -> None:
        """Nothing is simulated yet."""
        self.heard, self.days, self.began, self.seconds = heard, 0, 0.0, 0.0

    def begin(self, days: int) -> None:
        """Begin to count."""
        self.began = time.monotonic()
        self.heard.begin(days)

    def advance(self, days: int) -> None:
        """Count."""
        self.days += days
        self.heard.advance(days)

    def say(self, text: str) -> None:
        """Hand it on."""
        self.heard.say(text)

    def end(self) -> None:
        """Stop counting."""
        self.seconds = time.monotonic() - self.began
        self.heard.end()

    def told(self, config: Config, hands: int) -> dict[str, Any] | None:
        """What was simulated, how fast and by how many workers at once; None where nothing was."""
        if not self.days:
            return None
        there = {"residents": residents(config), "workers": hands, "platform": platform.platform()}
        return {"days": self.days, "seconds": round(self.seconds, 1)} | there


def residents(config: Config) -> int:
    """People who are simulated one to one."""
    return sum(count.value for count in config.population.residents.values())


def _finish(
    folder: Path, config: Config, study: Mapping[str, Case], engine: Engine, progress: Progress | None
) -> list[Task]:
    for old in (FAILED, PRECISION):
        (folder / old).unlink(missing_ok=True)
    try:
        store = Tasks(folder / "tasks", config.audit)
        known = partial(prepare, study, engine)
        return execution.run(study, config.replications, config.execution, store, engine, progress, known)
    except execution.Failed as failed:
        write_file(folder / FAILED, failed.details(lambda task: _repeats(folder, task)))
        raise


def prepare(study: Mapping[str, Case], engine: Engine) -> None:
    """Have kernels compiled, by a process of its own."""
    if engine is ENGINE and kernels.is_compiled() and not kernels.is_prepared():
        execution.rehearse(briefly(next(iter(study.values())), REHEARSAL), engine.simulate)


def briefly(case: Case, span: timedelta) -> Case:
    """The first days of a case."""
    return replace(case, to=min(case.to, case.warmup_from + span))


def _repeats(folder: Path, task: Task) -> str:
    """The command that simulates one failed task by itself, into the same folder; nothing where no command began it."""
    words = begun.read(folder).words if (folder / begun.FILE).exists() else None
    if not words or words[0] != "run":
        return ""
    ours = ("study.scenarios=", "study.baseline=", "replications=", "execution.workers=")
    kept = [word for word in words if not word.startswith(ours)]
    only = [f"study.scenarios=[{task.scenario}]", f"study.baseline={task.scenario}"]
    more = [f"replications={task.replication + 1}", "execution=local", "execution.workers=1", f"output={folder}"]
    return f"To repeat it: {shlex.join(['tiercare', *kept, *only, *more])}"


def report(folder: Path) -> Results:
    """Write the tables and the report of a finished study anew."""
    results = Results.open(folder)
    reader("measures")(results)
    reader("report")(results)
    return results


def cases(config: Config) -> dict[str, Case]:
    """What each scenario of a study asks the engine to simulate."""
    shared: dict[str, Any] = {name: getattr(config, name) for name in (*PARTS, *SWITCHES)}
    shared |= {name: getattr(config.horizon, name) for name in ("warmup_from", "from_", "to")}
    return {scenario.name: Case(policy=scenario.policy, **shared) for scenario in config.scenarios}


def loads(config: Config) -> pd.DataFrame:
    """What each scenario offers every clinic, ward and theatre, and both halves of what is under a quota.

    Before anything is simulated, all assumptions at their stated values. Columns as in a task's table `loads`, and
    `scenario`.
    """
    study = {name: replace(case, uncertainty="luck") for name, case in cases(config).items()}
    found = {}
    for names in past.together(study):
        model = Model(study[names[0]], [0])
        for name in names:
            model.follow(study[name])
            found[name] = model.loads(0)
    return pd.concat([found[name].assign(scenario=name) for name in study], ignore_index=True)


PARTS = ("network", "population", "timetable", "demand", "choice", "care", "referral", "money")
"""Facts of a config that the engine needs."""

SWITCHES = ("seed", "uncertainty", "nested", "record", "audit", "start")
"""What else it needs of a config, the horizon apart."""


# -------------------------------------------------------------------------------------------------------------- folder


def open_folder(folder: Path) -> Path:
    """A folder to write into, made where there is none; refused when it holds anything else or cannot be written to."""
    try:
        if folder.is_dir() and any(folder.iterdir()) and not (folder / MARK).is_file():
            raise _refused(folder, "This folder is not empty and no study of tiercare; give another one, output=...")
        (folder / "tasks").mkdir(parents=True, exist_ok=True)
        write_file(folder / MARK, MARK_TEXT)
    except OSError as error:
        raise _refused(folder, f"Nothing can be written here: {error.strerror or error}.") from None
    return folder


def _refused(folder: Path, why: str) -> InputError:
    return InputError([Problem(shown(folder), None, "", why)])


def begin(folder: Path, words: Sequence[str] | None, values: Mapping[str, Any]) -> None:
    """Have a folder tidy, and know what is begun in it (the words of a command, all values), so that it can be resumed;
    for whoever is alone in it."""
    tidy(folder)
    begun.write(folder, words, values)


def tidy(folder: Path) -> None:
    """Remove what killed commands left half written beside the tables; for whoever is alone in the folder."""
    for place in [folder, *(path for path in folder.iterdir() if path.is_dir() and path.name != "tasks")]:
        sweep_drafts(place)


# ------------------------------------------------------------------------------------------------------- what was done


def _write_what_was_compared(folder: Path, config: Config, study: Mapping[str, Case], tasks: Sequence[Task]) -> None:
    """The study and its scenarios as resolved, the tasks they are made of, the draws of the assumptions."""
    write_yaml(folder / "study.yaml", settings(config))
    rows = [(task.scenario, task.replication, task.key) for task in tasks]
    write_scenarios(folder, config, rows, draws(study, config.replications))


def settings(config: Config) -> dict[str, Any]:
    """The study as resolved, as plain data, without its scenarios."""
    return config.model_dump(mode="json", by_alias=True, exclude_none=True, exclude={"scenarios", "output"})


def write_scenarios(folder: Path, config: Config, tasks: Sequence[tuple[str, int, str]], drawn: pd.DataFrame) -> None:
    """The scenarios as resolved, the tasks (scenario, replication, key) they are made of, and the draws."""
    _write_scenarios(folder / "scenarios", {scenario.name: scenario.resolved() for scenario in config.scenarios})
    write_frame(folder / "tasks.csv", pd.DataFrame(tasks, columns=["scenario", "replication", "task"]))
    write_frame(folder / "draws.parquet", drawn)


def _write_scenarios(folder: Path, scenarios: Mapping[str, Any]) -> None:
    folder.mkdir(exist_ok=True)
    for old in folder.glob("*.yaml"):
        if old.stem not in scenarios:
            old.unlink()
    for name, scenario in scenarios.items():
        write_yaml(folder / f"{name}.yaml", scenario)


def draws(study: Mapping[str, Case], replications: int) -> pd.DataFrame:
    """What each replication drew for each assumption; a factor where a whole list or table was drawn."""
    rows = [
        (name, replication, path, since, values[replication])
        for name, case in study.items()
        if case.uncertainty == "assumptions"
        for found in [list(_drawn(case, case.draws_of(range(replications))))]
        for replication in range(replications)
        for path, since, values in found
    ]
    frame = pd.DataFrame(rows, columns=["scenario", "replication", "path", "since", "value"])
    return frame.astype({"replication": "int32", "value": "float64"})


def _drawn(case: Case, numbers: Sequence[int]) -> Iterator[tuple[str, str | None, list[float]]]:
    """Every assumption with its date, and its draws by number."""
    for part in (*PARTS, "policy"):
        for path, since, cited in citations(getattr(case, part), part):
            values = drawn_values(cited, path, case.seed, numbers)
            if values is not None:
                yield path, since.isoformat() if since else None, [_number(cited.value, value) for value in values]


def _number(stated: Any, drawn: Any) -> float:
    """A drawn number, or the factor by which a list or table of numbers was drawn."""
    if not isinstance(stated, (list, dict)):
        return float(drawn)
    before, after = (sum(_flat(thing)) for thing in (stated, drawn))
    return after / before if before else 1.0


def _flat(thing: Any) -> Iterator[float]:
    if isinstance(thing, (list, dict)):
        for part in thing.values() if isinstance(thing, dict) else thing:
            yield from _flat(part)
    else:
        yield float(thing)
