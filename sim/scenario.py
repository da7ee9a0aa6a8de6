"""A scenario file: read, amend its parent, vary.

A scenario is a plain document (`scenarios/<name>.yaml`): levers by date with their sources, and the targets by which it
is to be judged. It may extend one parent, which it amends by date. Every cited document and data set is described once,
in `scenarios/sources.yaml`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

from pydantic import BeforeValidator, Field, model_validator

from sim.citation import Source, citations
from sim.policy import GROUPS, Policy, levers
from sim.schema import (
    Closed,
    Collected,
    Day,
    InputError,
    KeyPath,
    Locator,
    Marks,
    Name,
    Place,
    Problem,
    as_share,
    did_you_mean,
    quoted,
    read_yaml,
    refuse,
    validate,
)

SOURCES = "sources.yaml"
"""The file beside the scenarios that describes what they cite."""

COMMAND_LINE = "The command line"
"""Where a value comes from that stands in no file."""

Relation = Literal["at_least", "at_most", "above", "below"]
"""How a value is to lie to the target."""

_RELATIONS: dict[Relation, Callable[[float, float], bool]] = {
    "at_least": lambda value, limit: value >= limit,
    "at_most": lambda value, limit: value <= limit,
    "above": lambda value, limit: value > limit,
    "below": lambda value, limit: value < limit,
}


def _as_limit(found: Any) -> float:
    """A number, or a share in one of its forms (1/3, 65 %)."""
    if isinstance(found, str):
        return float(as_share(found))
    if isinstance(found, bool) or not isinstance(found, (int, float)):
        raise refuse(((), f"{quoted(found)}; a number or a share (0.65, 65 %) is welcome here."))
    return float(found)


Limit = Annotated[float, BeforeValidator(_as_limit)]
"""The number in a target."""


class Target(Closed):
    """What an indicator is to reach, by when, and who says so."""

    at_least: Limit | None = None
    """The indicator must not lie below this."""

    at_most: Limit | None = None
    """The indicator must not lie above this."""

    above: Limit | None = None
    """The indicator must lie above this."""

    below: Limit | None = None
    """The indicator must lie below this."""

    unit: str
    """What the indicator is counted in; "share" for shares from 0 to 1."""

    by: Day
    """The deadline."""

    scope: str
    """Whose indicator: grid (residents of the area) or the institutions named by the document."""

    source: Source
    """Who says so."""

    @model_validator(mode="after")
    def _one_limit(self) -> Target:
        if len(self._limits()) != 1:
            found = " and ".join(self._limits()) or "none"
            raise refuse(((), f"A target has exactly one of at_least, at_most, above, below; found {found}."))
        if self.unit.startswith("share") and not 0 <= self.limit <= 1:
            raise refuse(((self.relation,), f"{self.limit:g} is not between 0 and 1; a share is written 0.65 or 65 %."))
        return self

    def _limits(self) -> dict[Relation, float]:
        return {name: limit for name in _RELATIONS if (limit := getattr(self, name)) is not None}

    @property
    def relation(self) -> Relation:
        """How the indicator is to lie to the limit."""
        return next(iter(self._limits()))

    @property
    def limit(self) -> float:
        """The number to be reached."""
        return next(iter(self._limits().values()))

    def met(self, value: float) -> bool:
        """Whether a value of the indicator meets the target."""
        return _RELATIONS[self.relation](value, self.limit)


class Scenario(Closed):
    """One policy for a place: what is in force from when, and what it is to achieve."""

    name: Name
    """The name of the file, without .yaml."""

    title: str = Field(min_length=1)
    """Name in a report."""

    title_zh: str = Field(min_length=1)
    """Name in a Chinese report."""

    question: str | None = None
    """What the scenario is to answer, in one sentence."""

    question_zh: str | None = None
    """The question in Chinese."""

    extends: Name | None = None
    """The one scenario that this one amends by date; what is not mentioned stays in force."""

    only: list[str] | None = None
    """Groups of levers of this file that count; the others are left as the parent has them."""

    policy: Policy = Policy()
    """The levers: group > lever > date in force > {value, unit, source}."""

    targets: dict[str, Target] = Field(default_factory=dict)
    """Indicator -> what it is to reach."""

    notes: str | None = None
    """Anything a reader should know."""

    @model_validator(mode="after")
    def _only_groups(self) -> Scenario:
        unknown = [name for name in self.only or [] if name not in GROUPS]
        if unknown:
            texts = [f"No group of levers is called {name}.{did_you_mean(name, GROUPS)}" for name in unknown]
            raise refuse(*((("only",), text) for text in texts))
        return self

    def resolved(self) -> dict[str, Any]:
        """The scenario as plain data that stand on their own: amended, varied, with every date and source."""
        data = self.model_dump(mode="json", exclude_none=True, exclude={"extends", "only"})
        return data | {"policy": {group: pulled for group, pulled in data["policy"].items() if pulled}}


def _as_issued(found: Any) -> str:
    if not re.fullmatch(r"[0-9]{4}(-[0-9]{2}){0,2}", str(found)):
        raise refuse(((), f"{found!r} is not a date as far as it is known; write 2023, 2023-11 or 2023-11-02."))
    return str(found)


class Described(Closed):
    """A document or data set that scenarios and configs cite."""

    noun: ClassVar[str] = "entry"

    title: str
    """Title in English, translated where there is none."""

    title_zh: str
    """Title in Chinese."""

    issuer: str
    """Who issued it."""

    number: str | None = None
    """Document number."""

    date: Annotated[str, BeforeValidator(_as_issued)] | None = None
    """Date of issue as far as it is known: 2023, 2023-11 or 2023-11-02."""

    url: str | None = None
    """Where it can be read."""


class Sources(Closed):
    """Everything that is cited, described once."""

    documents: dict[str, Described] = Field(default_factory=dict)
    """Policy documents by the key that citations use."""

    data: dict[str, Described] = Field(default_factory=dict)
    """Publications and data sets by the key that citations use."""

    def unknown(self, source: Source) -> Iterator[tuple[KeyPath, str]]:
        """What a source cites that is not described here."""
        for name, key, known in (("document", source.document, self.documents), ("data", source.data, self.data)):
            if key is not None and key not in known:
                text = f"{key} is not described in {SOURCES}.{did_you_mean(key, known)}"
                yield (name,), text


# ------------------------------------------------------------------------------------------------------------ reading


def read_scenario(
    name: str | Path,
    folders: Path | Sequence[Path],
    vary: Mapping[str, Any] | None = None,
    indicators: Collection[str] | None = None,
    facts: Mapping[str, Collection[str]] | None = None,
) -> Scenario:
    """A scenario by name or file, amended over its parents.

    `vary` sets levers (group.lever -> value) on the dates that this scenario introduces. Folders are searched in order;
    the folder of a file given by its path comes first. Where `indicators` are given, targets may name no others; where
    `facts` are (the names of all conditions, of all areas), levers may name no others.
    """
    folders = [folders] if isinstance(folders, Path) else list(folders)
    return Reading(folders, indicators, facts or {}).scenario(name, vary or {})


def scenario_files(folders: Sequence[Path]) -> dict[str, Path]:
    """Name -> file of every scenario; a name in an earlier folder hides the same name in a later one."""
    files: dict[str, Path] = {}
    for folder in folders:
        for file in sorted(folder.glob("*.yaml")):
            if file.name != SOURCES:
                files.setdefault(file.stem, file)
    return files


def find_scenario(name: str, folders: Sequence[Path], where: Locator | None = None, path: KeyPath = ()) -> Path:
    """The file of a scenario, or an error at the place where it was asked for: a key, or the command line."""
    files = scenario_files(folders)
    if name not in files:
        place = where(path) if where else (COMMAND_LINE, None)
        hint = did_you_mean(name, files) or f" There are: {', '.join(files) or 'none'}."
        raise InputError([Problem(*place, " > ".join(path), f"No scenario is called {name}.{hint}")])
    return files[name]


def read_sources(folders: Sequence[Path]) -> Sources:
    """What may be cited: the descriptions of all folders together, earlier folders first."""
    known = Sources()
    for file in (folder / SOURCES for folder in reversed(folders)):
        if file.exists():
            here = validate(Sources, *read_yaml(file))
            known = Sources(documents=known.documents | here.documents, data=known.data | here.data)
    return known


@dataclass(frozen=True)
class Reading:
    """What scenarios are read against, as in `read_scenario`; each document is read once."""

    folders: Sequence[Path]
    indicators: Collection[str] | None
    facts: Mapping[str, Collection[str]]
    _documents: dict[Path, tuple[dict[str, Any], Marks]] = field(default_factory=dict)
    _within: dict[Path, Reading] = field(default_factory=dict)

    def scenario(self, name: str | Path, vary: Mapping[str, Any]) -> Scenario:
        """A scenario by name or file, amended over its parents and varied."""
        file = Path(name)
        if file.suffix not in (".yaml", ".yml"):
            return _amended(find_scenario(str(name), self.folders), self, vary, [])
        beside = self._within.setdefault(
            file.parent, Reading([file.parent, *self.folders], self.indicators, self.facts, self._documents)
        )
        return _amended(file, beside, vary, [])

    def document(self, file: Path) -> tuple[dict[str, Any], Marks]:
        """A file as plain data, and where its keys stand."""
        if file not in self._documents:
            self._documents[file] = read_yaml(file)
        return self._documents[file]

    @cached_property
    def sources(self) -> Sources:
        return read_sources(self.folders)


def _amended(file: Path, reading: Reading, vary: Mapping[str, Any], children: list[str]) -> Scenario:
    """The scenario of a file over its parent, the parent over its own, and so on."""
    problems = Collected()
    data, marks = reading.document(file)
    with problems.step():
        scenario = _read(file, data, marks, reading, vary)
    with problems.step():
        parent = _parent(data, marks, reading, [*children, file.stem])
    problems.tell()
    own = scenario.policy.only(scenario.only) if scenario.only else scenario.policy
    if parent is None:
        return scenario.model_copy(update={"policy": own})
    return scenario.model_copy(
        update={"policy": parent.policy.amended(own), "targets": parent.targets | scenario.targets}
    )


def _parent(data: dict[str, Any], marks: Marks, reading: Reading, children: list[str]) -> Scenario | None:
    name = data.get("extends")
    if not isinstance(name, str):
        return None
    if name in children:
        place = marks(("extends",))
        circle = " -> ".join([*children[children.index(name) :], name])
        raise InputError([Problem(*place, "extends", f"Scenarios extend each other in a circle: {circle}.")])
    return _amended(find_scenario(name, reading.folders, marks, ("extends",)), reading, {}, children)


def _read(file: Path, data: dict[str, Any], marks: Marks, reading: Reading, vary: Mapping[str, Any]) -> Scenario:
    """The scenario of one file alone, varied; with everything that is wrong with it."""
    problems = Collected(_misnamed(file, data, marks))
    varied: dict[str, Any] = data
    where: Locator = marks
    with problems.step():
        varied, where = _varied(data, marks, vary)
    with problems.step():
        scenario = validate(Scenario, varied, where)
        problems += _loose_ends(scenario, reading, where)
    problems.tell()
    return scenario


def _misnamed(file: Path, data: dict[str, Any], marks: Marks) -> Iterator[Problem]:
    name = data.get("name")
    if isinstance(name, str) and name != file.stem:
        text = f"{name} was found; the name must be that of the file, {file.stem}."
        yield Problem(*marks(("name",)), "name", text)


def _loose_ends(scenario: Scenario, reading: Reading, where: Locator) -> Iterator[Problem]:
    """Citations that lead nowhere, targets for indicators and levers for facts that do not exist."""
    for path, source in _sources(scenario):
        for below, text in reading.sources.unknown(source):
            at = (*path, *below)
            yield Problem(*where(at), " > ".join(at), text)
    for name in scenario.targets if reading.indicators is not None else ():
        if name not in (reading.indicators or ()):
            text = f"No indicator has this name.{did_you_mean(name, reading.indicators or ())}"
            yield Problem(*where(("targets", name)), f"targets > {name}", text)
    namers = {f"policy.{lever.name}": lever.names for lever in levers() if lever.names in reading.facts}
    for lever, since, cited in citations(scenario.policy, "policy"):
        if names := namers.get(lever):
            yield from _strangers(cited.value, names, reading.facts[names], (*lever.split("."), str(since)), where)


_STRANGE = {
    "conditions": "no condition in the facts about care",
    "areas": "no area of the network",
    "sub_centres": "no facility of the network that states what it gains as a sub-centre",
    "private": "no facility of the network that may join a group",
}
"""What is said of a name that is not among the facts."""


def _strangers(value: Any, names: str, known: Collection[str], above: KeyPath, where: Locator) -> Iterator[Problem]:
    """Names in a lever's list, or table, that are not among the facts."""
    for place, name in zip(value, value, strict=True) if isinstance(value, dict) else enumerate(value):
        if name not in known:
            at = (*above, "value", str(place))
            yield Problem(*where(at), " > ".join(at), f"{name} is {_STRANGE[names]}.{did_you_mean(name, known)}")


def _sources(scenario: Scenario) -> Iterator[tuple[KeyPath, Source]]:
    for path, since, cited in citations(scenario.policy, "policy"):
        yield (*path.split("."), str(since), "source"), cited.source
    for name, target in scenario.targets.items():
        yield ("targets", name, "source"), target.source


# ------------------------------------------------------------------------------------------------------------ varying


@dataclass(frozen=True)
class _FromTwo:
    """Where a value was written when some were set on the command line."""

    marks: Marks
    varied: list[KeyPath]

    def __call__(self, path: KeyPath) -> Place:
        if any(path[: len(lever)] == lever for lever in self.varied):
            return COMMAND_LINE, None
        return self.marks(path)


def _varied(data: dict[str, Any], marks: Marks, vary: Mapping[str, Any]) -> tuple[dict[str, Any], Locator]:
    """The document with levers set to other values on the dates it introduces, each marked as varied."""
    varied = deepcopy(data)
    problems = [Problem(COMMAND_LINE, None, name, text) for name in vary if (text := _not_variable(data, name))]
    if problems:
        raise InputError(problems)
    paths: list[KeyPath] = [("policy", *name.split(".")) for name in vary]
    for (_, group, lever), value in zip(paths, vary.values(), strict=True):
        dates = varied["policy"][group][lever]
        varied["policy"][group][lever] = {day: _other(cited, value) for day, cited in dates.items() if day != "ramp"}
    return varied, _FromTwo(marks, paths)


def _other(cited: Any, value: Any) -> Any:
    if not isinstance(cited, dict):
        return cited
    return cited | {"value": value, "source": {"varied": f"on the command line, from {_old(cited)}"}}


def _old(cited: dict[str, Any]) -> str:
    source = cited.get("source")
    said = ", ".join(str(part) for part in source.values()) if isinstance(source, dict) else "no source"
    return f"{cited.get('value')} ({said})"


def _not_variable(data: dict[str, Any], name: str) -> str:
    """Why a lever cannot be varied in a scenario; nothing where it can."""
    known = [info.name for info in levers()]
    if name not in known:
        return f"No lever has this name.{did_you_mean(name, known)}"
    policy = data.get("policy")
    mine = [
        f"{group}.{lever}"
        for group, pulled in (policy.items() if isinstance(policy, dict) else ())
        for lever, dates in (pulled.items() if isinstance(pulled, dict) else ())
        if isinstance(dates, dict)
    ]
    if name in mine:
        return ""
    return f"{data.get('name')} introduces no date for this lever; it can vary {', '.join(mine) or 'none'}."
