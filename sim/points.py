"""The points of a sweep: which keys take which values together, from the command line, a file or Python.

A sweep is a study under several settings. Keys with several values make a grid (every combination), a zip (values that
stand at the same place go together) or a list of points; all are loaded and checked before any of them is simulated.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from itertools import product
from math import prod
from pathlib import Path
from typing import Any

from pydantic import Field

from sim import compose
from sim.compose import Config, Loading
from sim.results import digest
from sim.scenario import COMMAND_LINE
from sim.schema import Closed, Collected, InputError, Name, Place, Problem, did_you_mean, read_yaml, validate

NO_AXIS = {
    "seed": "All points are compared on the same luck; give one seed.",
    "replications": "All points have the same replications, or they could not be compared.",
    "study": "A sweep is of one study; give one.",
    "output": "All points lie in the folder of the sweep; give one output.",
    "execution": "Results do not depend on it.",
    "nested": "All points have as many replications for each draw, or they could not be compared.",
    "precision": "All points of a sweep have the same replications.",
    "record": "Results do not depend on it.",
    "audit": "Results do not depend on it.",
}
"""Keys that are not varied, and why not."""

MOST = 10_000
"""Points of a sweep, and values of one key, that are refused unless it is said that they are really meant."""

MOST_AT_ALL = 1_000_000
"""Points that are refused in any case."""

GROUP = "sweep"
"""The folder of experiment files among the configs."""


class Experiment(Closed):
    """A file that says which study is simulated under which settings; every line in Hydra's grammar, `key=a,b,c`."""

    study: Name
    """The study."""

    title: str = ""
    """Title of the report; left out: that of the study."""

    title_zh: str = ""
    """Title of the Chinese report."""

    question: str = ""
    """What the planner wants to know, in one sentence; left out: the question of the study."""

    question_zh: str = ""
    """The question in Chinese."""

    settings: list[str] = Field(default_factory=list)
    """What holds for all points: any setting of a run, as `replications=4`."""

    grid: list[str] = Field(default_factory=list)
    """Keys with several values each: every combination is a point."""

    zip: list[str] = Field(default_factory=list)
    """Keys with equally many values: the first ones go together, the second ones, and so on. Crossed with the grid."""

    points: list[list[str]] = Field(default_factory=list)
    """Further points one by one, each a list of `key=value`."""


Row = dict[str, Any]
"""What one point says of the keys that are varied."""


@dataclass(frozen=True)
class Asked:
    """What is to be simulated, understood but not loaded."""

    study: str
    settings: tuple[str, ...] = ()
    """Overrides that hold for all points."""
    grid: tuple[tuple[str, list[Any]], ...] = ()
    """Keys and their values."""
    zipped: tuple[tuple[str, list[Any]], ...] = ()
    listed: tuple[Row, ...] = ()
    words: Mapping[str, str] = field(default_factory=dict)
    """Titles and questions of the experiment's own."""
    places: Mapping[str, Place] = field(default_factory=dict)
    """Where a key was written; the command line where it is not here."""

    @property
    def keys(self) -> list[str]:
        """Every key that is varied, once."""
        named = [key for key, _ in (*self.grid, *self.zipped)]
        return list(dict.fromkeys([*named, *(key for row in self.listed for key in row)]))

    def number(self) -> int:
        """How many points there are, those that say the same counted each."""
        crossed = prod(len(values) for _, values in self.grid) * max((len(v) for _, v in self.zipped), default=1)
        return crossed * bool(self.grid or self.zipped) + len(self.listed)

    def rows(self) -> Iterator[Row]:
        """All points: the last key of the grid changes first."""
        together = list(zip(*(values for _, values in self.zipped), strict=True)) or [()]
        if self.grid or self.zipped:
            for *crossed, paired in product(*(values for _, values in self.grid), together):
                named = zip((key for key, _ in (*self.grid, *self.zipped)), (*crossed, *paired), strict=True)
                yield dict(named)
        yield from self.listed


@dataclass(frozen=True)
class Point:
    """One setting of everything that is varied."""

    name: str
    row: Row
    overrides: tuple[str, ...]
    """What it says beside the study and the settings that hold for all."""
    config: Config

    @property
    def folder(self) -> str:
        """Its folder below that of the sweep."""
        return f"points/{self.name}"


# ------------------------------------------------------------------------------------------------------- understanding


def from_words(
    words: Sequence[str],
    *,
    zipped: bool = False,
    listed: Sequence[str] = (),
    config_dir: str | Path | None = None,
    most: int = MOST,
) -> Asked:
    """What a command line asks for: `study=`, `sweep=FILE` or a file, settings, and keys with several values."""
    problems = Collected()
    asked, others = Asked(""), []
    for word in words:
        name, equals, told = word.partition("=")
        if equals and name != "sweep":
            others.append(word)
            continue
        with problems.step():
            asked = _merged(asked, from_file(told if equals else word, config_dir, most), problems)
    named = [word.partition("=")[2] for word in others if word.startswith("study=")]
    with problems.step():
        asked = _with_study(asked, named)
    given = [word for word in others if not word.startswith("study=")]
    asked = _with(asked, given, zipped, {}, problems, config_dir, most)
    rows = [_row([(part, (COMMAND_LINE, None)) for part in shlex.split(text)], problems) for text in listed]
    asked = replace(asked, listed=(*asked.listed, *rows))
    problems += _wrong(asked)
    problems.tell()
    return asked


def from_python(
    study: str,
    vary: Mapping[str, Any],
    grid: Mapping[str, Any] | Sequence[str],
    zipped: Mapping[str, Any],
    listed: Iterable[Mapping[str, Any]],
    settings: Sequence[str],
    config_dir: str | Path | None = None,
    most: int = MOST,
) -> Asked:
    """What a call of `sim.sweep` asks for; values are lists, or texts in Hydra's grammar."""
    problems = Collected()
    crossed = {f"vary.{key}": values for key, values in vary.items()}
    crossed |= grid if isinstance(grid, Mapping) else dict(_halves(text) for text in grid)
    both = [_spread(part, problems, config_dir, most) for part in (crossed, zipped)]
    asked = Asked(study, tuple(settings), both[0], both[1], tuple(dict(row) for row in listed))
    problems += _wrong(asked)
    problems.tell()
    return asked


def from_file(name: str, config_dir: str | Path | None = None, most: int = MOST) -> Asked:
    """What an experiment file asks for: a path, or the name of one among the configs."""
    file, problems = _file(name, config_dir), Collected()
    data, marks = read_yaml(file)
    told = validate(Experiment, data, marks)

    def located(part: str, lines: Sequence[str], *above: str) -> dict[str, Place]:
        return {text: marks((part, *above, str(n))) for n, text in enumerate(lines)}

    asked = Asked(told.study, tuple(told.settings))
    asked = replace(asked, words={key: getattr(told, key) for key in WORDS if getattr(told, key)})
    places = {_halves(text)[0]: place for text, place in located("settings", told.settings).items()}
    asked = replace(asked, places=places)
    for part, lines in (("grid", told.grid), ("zip", told.zip)):
        asked = _with(asked, lines, part == "zip", located(part, lines), problems, config_dir, most)
    for n, lines in enumerate(told.points):
        spots = located("points", lines, str(n))
        asked = replace(asked, listed=(*asked.listed, _row(list(spots.items()), problems)))
    problems += _wrong(asked)
    problems.tell()
    return asked


WORDS = ("title", "title_zh", "question", "question_zh")


def _file(name: str, config_dir: str | Path | None) -> Path:
    options = compose.shelves(config_dir).options(GROUP)
    if name in options:
        return options[name]
    if Path(name).suffix in (".yaml", ".yml"):
        return Path(name)
    hint = did_you_mean(name, options) or f" There are: {', '.join(options) or 'none'}."
    text = f"{name} is no setting (key=value), no file and none of the experiments that come along.{hint}"
    raise InputError([Problem(COMMAND_LINE, None, "sweep", text)])


def _merged(one: Asked, other: Asked, problems: Collected) -> Asked:
    if one.study:
        problems.append(Problem(COMMAND_LINE, None, "sweep", "One experiment file at a time; two were given."))
    return other


def _with_study(asked: Asked, named: Sequence[str]) -> Asked:
    """The study that is named once: by the command line, else by the experiment file."""
    if len(named) > 1 or not (named or asked.study):
        text = "stands here more than once" if named else "is missing"
        wrong = f"study=NAME {text}; `tiercare list studies` shows the names."
        raise InputError([Problem(COMMAND_LINE, None, "study", wrong)])
    if named and asked.study and named[0] != asked.study:
        text = f"The experiment file is about {asked.study}; {named[0]} was found."
        raise InputError([Problem(COMMAND_LINE, None, "study", text)])
    return replace(asked, study=[asked.study, *named][-1])


def _with(
    asked: Asked,
    lines: Sequence[str],
    zipped: bool,
    places: Mapping[str, Place],
    problems: Collected,
    config_dir: str | Path | None,
    most: int,
) -> Asked:
    """With lines that give a key several values, which are varied, and others, which hold for all points."""
    settings, axes, where = [], [], dict(asked.places)
    for text in lines:
        key, place = _halves(text)[0], places.get(text, (COMMAND_LINE, None))
        if place[0] != COMMAND_LINE:
            where[key] = place
        else:
            where.pop(key, None)
        with _placed(problems, {key: place}):
            values = compose.values(text, most, config_dir)
            if values is not None:
                axes.append((key, values))
            elif place[0] != COMMAND_LINE:
                axes.append((key, [compose.value(text)]))
            else:
                settings.append(text)
    taken = {key for key, _ in axes} | {_halves(text)[0] for text in settings}
    rest = replace(
        asked,
        settings=(*(text for text in asked.settings if _halves(text)[0] not in taken), *settings),
        grid=tuple(axis for axis in asked.grid if axis[0] not in taken or places),
        zipped=tuple(axis for axis in asked.zipped if axis[0] not in taken or places),
        places=where,
    )
    if zipped:
        return replace(rest, zipped=(*rest.zipped, *axes))
    return replace(rest, grid=(*rest.grid, *axes))


def _row(lines: Sequence[tuple[str, Place]], problems: Collected) -> Row:
    row = {}
    for text, place in lines:
        key = _halves(text)[0]
        with _placed(problems, {key: place}):
            row[key] = compose.value(text)
    return row


def _spread(
    axes: Mapping[str, Any], problems: Collected, config_dir: str | Path | None, most: int
) -> tuple[tuple[str, list[Any]], ...]:
    found = []
    for key, values in axes.items():
        with problems.step():
            if isinstance(values, str):
                told = compose.values(f"{key}={values}", most, config_dir)
                found.append((key, [compose.value(f"{key}={values}")] if told is None else told))
            else:
                found.append((key, list(values)))
    return tuple(found)


def _halves(text: str) -> tuple[str, str]:
    """The key of a line, without Hydra's signs for adding, and its values."""
    key, _, values = text.partition("=")
    return re.sub(r"^\s*\+{0,2}|\s+$", "", key), values


def refused(asked: Asked, most: int = MOST) -> Iterator[Problem]:
    """Why a sweep is too large to be loaded; nothing where it is not."""
    number = asked.number()
    if number > most:
        more = "" if most == MOST_AT_ALL else " --yes-really simulates them all the same."
        text = f"There would be {number:,} points or more; up to {most:,} are simulated.{more}"
        yield Problem(COMMAND_LINE, None, "", text)


def _wrong(asked: Asked) -> Iterator[Problem]:
    """What is wrong with the shape of a sweep."""

    def told(key: str, text: str) -> Problem:
        return Problem(*asked.places.get(key, (COMMAND_LINE, None)), key, text)

    for key in asked.keys:
        if why := NO_AXIS.get(key.partition(".")[0] if key != "study.scenarios" else ""):
            yield told(key, f"This key is not varied. {why}")
    named = [key for key, _ in (*asked.grid, *asked.zipped)]
    for key in dict.fromkeys(key for key in named if named.count(key) > 1):
        yield told(key, "This key is varied twice; keep one of them.")
    for key, values in (*asked.grid, *asked.zipped):
        if not values:
            yield told(key, "No value was given.")
    lengths = {key: len(values) for key, values in asked.zipped}
    if len(set(lengths.values())) > 1:
        counted = ", ".join(f"{key} has {number}" for key, number in lengths.items())
        yield told(next(iter(lengths)), f"Keys of a zip have equally many values; {counted}.")
    if not asked.keys and asked.study:
        yield told("", "Nothing is varied: give a key several values, as in vary.SCENARIO.LEVER=0,0.25,0.5.")


# ------------------------------------------------------------------------------------------------------------- loading


def load(asked: Asked, config_dir: str | Path | None = None) -> list[Point]:
    """All points, validated; points that say the same are one. Everything that is wrong with any is told at once."""
    loading, problems = Loading(config_dir), Collected()
    known: dict[str, tuple[Row, tuple[str, ...], Config]] = {}
    identify = _Identities()
    for row in asked.rows():
        overrides = tuple(compose.written(key, value) for key, value in row.items())
        with _placed(problems, asked.places):
            config = loading.config([f"study={asked.study}", *asked.settings, *overrides])
            known.setdefault(identify(config), (row, overrides, config))
    problems.tell()
    width = max(3, len(str(len(known))))
    return [Point(f"p{n:0{width}d}", *each) for n, each in enumerate(known.values(), 1)]


def check(file: Path, config_dir: str | Path | None = None) -> list[Problem]:
    """Everything that is wrong with an experiment file and with its points."""
    problems = Collected()
    with problems.step():
        load(from_file(str(file), config_dir), config_dir)
    return problems


class _Identities:
    """What configs say, as one hash each; facts that many of them share are looked at once."""

    def __init__(self) -> None:
        self.facts: dict[tuple[int, ...], tuple[Config, str]] = {}

    def __call__(self, config: Config) -> str:
        parts = {name: part for name, part in dict(config).items() if name != "scenarios"}
        key = tuple(map(id, parts.values()))
        if key not in self.facts:
            about = config.model_dump(mode="json", by_alias=True, exclude={"scenarios", "output"})
            self.facts[key] = config, digest(about)
        return digest([self.facts[key][1], [scenario.resolved() for scenario in config.scenarios]])


@contextmanager
def _placed(problems: Collected, places: Mapping[str, Place]) -> Iterator[None]:
    """Keep the problems of a step, those of the command line at the place where the key stands that they are about."""
    try:
        yield
    except InputError as error:
        problems += [_moved(problem, places) for problem in error.problems]


def _moved(problem: Problem, places: Mapping[str, Place]) -> Problem:
    """A problem of the command line, told where its key really stands."""
    if problem.file != COMMAND_LINE:
        return problem
    path = problem.path.replace(" > ", ".").removeprefix("policy.")
    for key, place in places.items():
        if key in path or path in key or (_lever(key) and path.startswith(_lever(key))):
            return replace(problem, file=place[0], line=place[1])
    return problem


def _lever(key: str) -> str:
    """`group.lever` of `vary.scenario.group.lever`."""
    return ".".join(key.split(".")[2:]) if key.startswith("vary.") else ""
