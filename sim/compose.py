"""Hydra composes configs and parses overrides; the only room that knows Hydra.

`load` turns the name of a study and overrides into a validated `Config`: the facts (network, population, timetable,
demand, choice, care), the scenarios compared, and how the study is run and reported. Nothing of Hydra leaves this room,
and it is imported only where something is composed: a report and a list do without.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import yaml
from pydantic import Discriminator, Field, Tag, ValidationError, model_validator

from sim.care import CareSpec
from sim.choice import ChoiceSpec
from sim.citation import BLOCK, Figure, Figures, Source
from sim.demand import DemandSpec
from sim.money import MoneySpec, overpriced
from sim.names import strange_wards, strangers
from sim.network import Level, NetworkSpec
from sim.population import PopulationSpec
from sim.precision import PrecisionSpec
from sim.readers import reader
from sim.referral import ReferralSpec
from sim.scenario import COMMAND_LINE, SOURCES, Reading, Scenario, find_scenario, read_scenario, read_sources
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
    did_you_mean,
    read_yaml,
    refuse,
    shown,
    validate,
)
from sim.timetable import TimetableSpec

if TYPE_CHECKING:
    from hydra.core.override_parser.types import Override

MAIN = "main.yaml"
"""The config that all studies begin with."""

LONGEST_HORIZON = 100
"""Years that a study may span at most."""

HYDRA_WORDS = re.compile(r"_(target|partial|args|recursive|convert)_")
"""Keys by which Hydra would run code; they have no place in a document."""


class StudySpec(Closed):
    """A question and the scenarios that answer it."""

    name: Name
    """Name of the study, and of its folder under outputs/."""

    title: str
    """Title of the report."""

    title_zh: str
    """Title of the Chinese report."""

    question: str
    """What the planner wants to know, in one sentence."""

    question_zh: str
    """The question in Chinese."""

    scenarios: list[Name] = Field(min_length=1)
    """Names of the scenarios that are compared."""

    baseline: Name
    """The scenario that the others are compared with; one of `scenarios`."""

    @model_validator(mode="after")
    def _comparable(self) -> StudySpec:
        twice = sorted({name for name in self.scenarios if self.scenarios.count(name) > 1})
        if twice:
            raise refuse((("scenarios",), f"{', '.join(twice)} is named twice."))
        if self.baseline not in self.scenarios:
            hint = did_you_mean(self.baseline, self.scenarios)
            raise refuse((("baseline",), f"{self.baseline} is not one of the scenarios compared.{hint}"))
        return self


class Shares(Closed):
    """How the work is shared out, wherever that is. Results never depend on it."""

    workers: int = Field(ge=0, le=1024)
    """Processes that simulate at once. Here, 1: this process alone, 0: one for each processor; on a Dask cluster, 0:
    all that it has; on Slurm, so many are asked for."""

    pack: int = Field(ge=1, le=100)
    """Replications that a worker simulates together, in all scenarios that share a past: more are faster, fewer need
    less memory."""

    patience: float = Field(default=30, gt=0)
    """Minutes without a simulated day after which a worker is ended, and its tasks are tried again one by one; on a
    cluster also the minutes that are waited for workers to come, or come back."""

    @property
    def expected(self) -> int:
        """Workers that will be there; of a cluster whose size nobody has said, as many as this machine would have."""
        return self.workers or os.cpu_count() or 1


class LocalSpec(Shares):
    """Workers of this machine."""

    kind: Literal["local"] = "local"
    """local: this machine."""


ADDRESS = r"^(tcp|tls)://[A-Za-z0-9._-]+:[0-9]{1,5}$"
"""Where a Dask scheduler listens."""

SITE_NAME = r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$"
"""What may stand in a job's script: names, and nothing that a shell would read as more."""


class DaskSpec(Shares):
    """Workers of a Dask cluster that is there already; they share this file system."""

    kind: Literal["dask"]
    """dask: a Dask cluster."""

    address: Annotated[str, Field(pattern=ADDRESS)] | None = None
    """Address of the scheduler, tcp://host:8786."""

    scheduler_file: str | None = None
    """Instead of an address: the file that `dask scheduler --scheduler-file` has written."""

    @model_validator(mode="after")
    def _one_way(self) -> DaskSpec:
        if (self.address is None) == (self.scheduler_file is None):
            text = "Where the scheduler is must be said once: address=tcp://host:8786, or scheduler_file=."
            raise refuse((("address",), text))
        return self


class SlurmSpec(Shares):
    """Workers that Slurm is asked for, as jobs of a Dask cluster made for this run; they share this file system.

    All that goes into a job's script is a number or a name: a study is exchanged, and must not run a stranger's words.
    What a site needs beside (modules, other directives) belongs to dask-jobqueue's own configuration of the account.
    """

    kind: Literal["slurm"]
    """slurm: jobs of Slurm."""

    queue: Annotated[str, Field(pattern=SITE_NAME)] | None = None
    """Partition; left out = the site's default."""

    account: Annotated[str, Field(pattern=SITE_NAME)] | None = None
    """Account that is charged; left out = the user's default."""

    interface: Annotated[str, Field(pattern=SITE_NAME)] | None = None
    """Network interface by which workers reach the scheduler, such as ib0; left out = the usual one."""

    workers_per_job: int = Field(ge=1, le=256)
    """Workers, each with a core of its own, in one job."""

    memory_per_worker: float = Field(gt=0, le=1024)
    """GB of memory for each worker."""

    hours: float = Field(gt=0, le=24 * 60)
    """Hours after which Slurm ends a job."""

    @model_validator(mode="after")
    def _some(self) -> SlurmSpec:
        if self.workers == 0:
            raise refuse((("workers",), "0 was found; say how many workers Slurm is to be asked for."))
        return self


def _kind(data: Any) -> Any:
    """Which kind of execution is meant; of this machine, where a folder of old says nothing."""
    return data.get("kind", "local") if isinstance(data, Mapping) else getattr(data, "kind", "local")


ExecutionSpec = Annotated[
    Annotated[LocalSpec, Tag("local")] | Annotated[DaskSpec, Tag("dask")] | Annotated[SlurmSpec, Tag("slurm")],
    Discriminator(_kind),
]
"""How the work is shared out, by `kind`."""


class Horizon(Closed):
    """The days that are simulated; both ends included."""

    warmup_from: Day
    """First day simulated; what happens before `from` is not measured."""

    from_: Day = Field(alias="from")
    """First day measured."""

    to: Day
    """Last day simulated and measured."""

    @model_validator(mode="after")
    def _in_order(self) -> Horizon:
        if self.from_ < self.warmup_from:
            raise refuse((("from",), f"{self.from_} is earlier than warmup_from, {self.warmup_from}."))
        if self.to < self.from_:
            raise refuse((("to",), f"{self.to} is earlier than from, {self.from_}; the end comes after the start."))
        if self.to.year - self.warmup_from.year > LONGEST_HORIZON:
            raise refuse((("to",), f"More than {LONGEST_HORIZON} years would be simulated."))
        return self


class Benchmark(Closed):
    """A published figure that the simulated base year is held against."""

    indicator: Name
    """Indicator id."""

    scope: Name
    """Scope of the indicator."""

    variant: Name = "standard"
    """Variant of the indicator."""

    published: Figure
    """The published figure."""

    note: str = ""
    """Why the two may differ."""

    note_zh: str = ""
    """The same in Chinese."""


class PartlyShared(Closed):
    """Beds of which some are for the patients of one ward alone, and the others for whoever needs one."""

    own: list[Annotated[int, Field(ge=0)]]
    """Beds ring-fenced for each ward, in the order of `wards`."""

    shared: int = Field(ge=0)
    """Beds for the patients of all of them."""


class PublishedDelay(Closed):
    """What a publication says of one of these chances."""

    ward: str
    """`facility/ward`."""

    beds: int = Field(ge=1)
    """Beds of this ward alone."""

    delay: Figures
    """The chance, or the lowest and the highest that are told."""


class PoolingSpec(Closed):
    """Wards with beds for everybody, and numbers of beds of which a reader wants to know how often they would not do.

    Needs `record: visits`.
    """

    wards: dict[str, list[Annotated[int, Field(ge=1)]]] = Field(min_length=2)
    """The wards, as `facility/ward`, and the numbers of beds that each might have for itself."""

    shared: list[Annotated[int, Field(ge=1)]] = Field(default_factory=list)
    """Numbers of beds that the patients of all these wards might share."""

    partly_shared: list[PartlyShared] = Field(default_factory=list)
    """Beds that they might share in part."""

    until: Day | None = None
    """Last night that counts; left out = the last measured. A stay is written down when it ends, so those that go on at
    the end of the simulation are missing from the nights before it: leave them the time."""

    published: list[PublishedDelay] = Field(default_factory=list)
    """What a publication says."""

    @model_validator(mode="after")
    def _one_language(self) -> PoolingSpec:
        number, problems = len(self.wards), []
        for n, beds in enumerate(self.partly_shared):
            if len(beds.own) != number:
                text = f"There are {number} wards, so {number} numbers of beds are needed; found {len(beds.own)}."
                problems.append((("partly_shared", str(n), "own"), text))
        for n, figure in enumerate(self.published):
            if figure.ward not in self.wards:
                hint = did_you_mean(figure.ward, self.wards)
                problems.append((("published", str(n), "ward"), f"{figure.ward} is not one of these wards.{hint}"))
        if problems:
            raise refuse(*problems)
        return self


class ReportSpec(Closed):
    """Judgements that a report needs: what difference matters, what a plausible base year is."""

    important_differences: dict[Name, Figure]
    """Minimum important difference of each indicator, in its unit: less is no practical difference."""

    backlog_growth: Figure
    """Yearly growth of a backlog, as a share of it, above which a service point is called not sustainable."""

    benchmarks: list[Benchmark] = Field(default_factory=list)
    """Published figures for the base year."""

    pooling: PoolingSpec | None = None
    """Beds of their own or shared: numbers of beds of which the report says how often they would not do; left out =
    none."""


class Settings(Closed):
    """Everything that the config files of a study say."""

    study: StudySpec
    """What is compared."""

    network: NetworkSpec
    """Where care is given."""

    population: PopulationSpec
    """Who lives there."""

    timetable: TimetableSpec
    """When clinics are open."""

    demand: DemandSpec
    """Who falls ill, with what, when."""

    choice: ChoiceSpec
    """Which door comes first."""

    referral: ReferralSpec
    """How referrals go where no policy says otherwise."""

    care: CareSpec
    """What is found and how long it takes."""

    money: MoneySpec
    """What care costs and who pays for it."""

    execution: ExecutionSpec
    """Where the study runs."""

    report: ReportSpec
    """What the report judges by."""

    horizon: Horizon
    """The days simulated."""

    seed: int = Field(ge=0, lt=2**63)
    """The number from which all luck follows."""

    replications: int = Field(ge=1, le=10_000)
    """How often each scenario is simulated, each time with its own luck and draws."""

    uncertainty: Literal["assumptions", "luck"]
    """assumptions: each replication also draws what nobody knows from its range; luck: it does not."""

    nested: int = Field(1, ge=1, le=100)
    """Replications that share one draw of the assumptions, each with luck of its own; from 2 on the report tells luck
    and assumptions apart."""

    precision: PrecisionSpec | None = None
    """Go on after `replications` until the indicators named are as precise as asked; left out = do not."""

    record: Literal["days", "visits"]
    """days: counts by day and month; visits: also every visit, stay and referral."""

    audit: bool
    """Look into the hospitals at every midnight and refuse to go on where something cannot be. Results are the same."""

    start: Literal["empty", "overfull"] = "empty"
    """empty: nobody is there on the first day; overfull: full beds and doubled queues, to see how long the warm-up must
    be (`tiercare warmup`)."""

    output: str | None = None
    """Folder for the results; none: outputs/<name of the study>."""

    @property
    def block(self) -> int:
        """Replications that make a whole Latin hypercube; 1 where nothing is drawn."""
        return BLOCK * self.nested if self.uncertainty == "assumptions" else 1

    @model_validator(mode="after")
    def _nests(self) -> Settings:
        if self.nested > 1 and self.uncertainty == "luck":
            raise refuse((("nested",), "Nothing is drawn with uncertainty=luck, so no replications can share a draw."))
        if self.nested > 1 and self.report.pooling:
            raise refuse(
                (("nested",), "A census of beds (report.pooling) takes every replication for itself: nested=1.")
            )
        if self.replications % self.nested:
            text = f"{self.replications} is no multiple of nested={self.nested}; each draw needs as many replications."
            raise refuse((("replications",), text))
        return self

    @model_validator(mode="after")
    def _precision_is_possible(self) -> Settings:
        if self.precision and (problems := [*self._unreachable(self.precision)]):
            raise refuse(*problems)
        return self

    def _unreachable(self, asked: PrecisionSpec) -> Iterator[tuple[KeyPath, str]]:
        """What is asked of precision that this study cannot give."""
        for name, number in (("at_most", asked.at_most), ("step", asked.step)):
            if number is not None and number % self.block:
                text = f"{number} is no multiple of {self.block}, the replications of a whole Latin hypercube."
                yield ("precision", name), text
        if asked.at_most < self.replications:
            yield ("precision", "at_most"), f"{asked.at_most} is less than replications, {self.replications}."
        for name, wanted in asked.indicators.items():
            at = ("precision", "indicators", name)
            compared = [s for s in self.study.scenarios if wanted.of == "value" or s != self.study.baseline]
            if not compared:
                yield (*at, "of"), "Nothing is compared with the baseline, so there is no difference."
            if wanted.scenario and wanted.scenario not in compared:
                hint = did_you_mean(wanted.scenario, compared)
                yield (*at, "scenario"), f"{wanted.scenario} is none of the scenarios that can be meant here.{hint}"
            first, last = self.horizon.from_.year, self.horizon.to.year
            if wanted.year and not first <= wanted.year <= last:
                yield (*at, "year"), f"{wanted.year} is not measured; {first} to {last} are."

    @model_validator(mode="after")
    def _census_is_possible(self) -> Settings:
        pooling, at = self.report.pooling, ("report", "pooling")
        if pooling and self.record != "visits":
            raise refuse((at, f"A census needs every stay: record=visits; found {self.record}."))
        if pooling and pooling.until and not self.horizon.from_ <= pooling.until <= self.horizon.to:
            measured = f"{self.horizon.from_} to {self.horizon.to}"
            raise refuse(((*at, "until"), f"{pooling.until} is not among the days measured, {measured}."))
        return self


class Config(Settings):
    """A study, ready to run."""

    scenarios: list[Scenario]
    """The scenarios compared, amended over their parents and varied, in the order of the study."""


# ----------------------------------------------------------------------------------------------------- finding the data


@dataclass(frozen=True)
class Shelves:
    """The folders in which configs and scenarios are looked up, the first match counts."""

    configs: list[Path]
    """Folders of config groups; the first holds main.yaml."""

    scenarios: list[Path]
    """Folders of scenarios and of sources.yaml."""

    def options(self, group: str) -> dict[str, Path]:
        """Name -> file of everything that a config group offers."""
        files = (file for folder in reversed(self.configs) for file in (folder / group).glob("*.yaml"))
        return dict(sorted((file.stem, file) for file in files))

    def file(self, name: str) -> Path:
        """A config file by its path below the folder."""
        return next((folder / name for folder in self.configs if (folder / name).exists()), self.configs[0] / name)


def shelves(config_dir: str | Path | None = None) -> Shelves:
    """The user's folders (`config_dir`, or ./configs; ./scenarios beside it) and those that come with the program.

    A folder of configs with a main.yaml of its own stands before the program's; without one it adds to them.
    """
    shipped = _shipped()
    own = Path(config_dir).absolute() if config_dir else Path.cwd() / "configs"
    if config_dir and not own.is_dir():
        raise InputError([Problem(shown(own), None, "", "There is no such folder of configs.")])
    configs = [shipped / "configs", own] if not (own / MAIN).exists() else [own, shipped / "configs"]
    return Shelves(_there(configs), _there([own.parent / "scenarios", shipped / "scenarios"]))


def _shipped() -> Path:
    """The folder with configs/ and scenarios/: the checkout around this package, or the wheel's data inside it."""
    here = Path(__file__).resolve().parent
    return here.parent if (here.parent / "configs" / MAIN).exists() else here / "_data"


def _there(folders: Iterable[Path]) -> list[Path]:
    """The folders that exist, each once."""
    return list({folder.resolve(): folder for folder in folders if folder.is_dir()}.values())


def studies(config_dir: str | Path | None = None) -> dict[str, Path]:
    """Name -> config file of every study."""
    return shelves(config_dir).options("study")


# -------------------------------------------------------------------------------------------------------------- loading


def load(
    study: str, /, *, overrides: Sequence[str] = (), config_dir: str | Path | None = None, **changes: Any
) -> Config:
    """A study by name, validated; with overrides in Hydra's grammar, or as keywords (`horizon={"to": "2024-03-31"}`).

    `vary.<scenario>.<lever>=value` sets a lever on the dates which that scenario introduces. `InputError` tells
    everything that is wrong, with file and line.
    """
    return Loading(config_dir).config([f"study={study}", *overrides, *as_overrides(changes)])


class Loading:
    """Loads configs, one or many: what several have in common is composed, read and validated once."""

    def __init__(self, config_dir: str | Path | None = None) -> None:
        """Nothing is loaded yet."""
        self.found = shelves(config_dir)
        self._facts: dict[tuple[str, ...], _Facts | InputError] = {}

    def config(self, overrides: Sequence[str]) -> Config:
        """The study that the overrides name, with all others of them; or everything that is wrong."""
        orders = _understood(overrides, self.found)
        facts = self._composed(orders)
        problems = Collected(facts.problems)
        with problems.step():
            scenarios = facts.scenarios(orders.vary, self.found)
        problems.tell()
        assert facts.settings is not None
        return Config(**dict(facts.settings), scenarios=scenarios)

    def _composed(self, orders: Orders) -> _Facts:
        """What the overrides for Hydra come to, mistakes included."""
        key = tuple(orders.hydra)
        if key not in self._facts:
            try:
                self._facts[key] = _Facts(*_composed(orders, self.found), self.found)
            except InputError as error:
                self._facts[key] = error
        if isinstance(known := self._facts[key], InputError):
            raise known
        return known


class _Facts:
    """Config files composed under some overrides, validated, and the scenarios read against them so far."""

    def __init__(self, data: dict[str, Any], where: Origins, found: Shelves) -> None:
        self.data, self.where, self.problems = data, where, Collected()
        self.settings: Settings | None = None
        with self.problems.step():
            self.settings = validate(Settings, data, where)
            self.problems += [*_strange(self.settings, where)]
        self.problems += [*_misnamed(data, where), *_uncited(data, found, where)]
        self.reading = Reading(found.scenarios, _indicators(), _facts(data))
        self.read: dict[tuple[str, str], Scenario] = {}

    def scenarios(self, vary: Mapping[str, Mapping[str, Any]], found: Shelves) -> list[Scenario]:
        """The scenarios that the study compares, varied; with all problems of all of them."""
        return _scenarios(self.data, vary, found, self.where, self._varied)

    def _varied(self, name: str, file: Path, vary: Mapping[str, Any]) -> Scenario:
        """A scenario, read once however many configs vary it alike."""
        key = (name, repr(sorted(vary.items())))
        if key not in self.read:
            self.read[key] = self.reading.scenario(file, vary)
        return self.read[key]


def _scenarios(
    data: Mapping[str, Any],
    vary: Mapping[str, Mapping[str, Any]],
    found: Shelves,
    where: Locator,
    varied: Callable[[str, Path, Mapping[str, Any]], Scenario],
) -> list[Scenario]:
    """The scenarios that a study compares; with all problems of all of them."""
    study = data.get("study")
    names = study.get("scenarios") if isinstance(study, dict) else None
    names = [name for name in names if isinstance(name, str)] if isinstance(names, list) else []
    problems, scenarios = Collected(), []
    for place, name in enumerate(names):
        path = ("study", "scenarios", str(place))
        with problems.step():
            file = find_scenario(name, found.scenarios, where, path)
            scenarios.append(varied(name, file, vary.get(name, {})))
    problems += [
        Problem(COMMAND_LINE, None, f"vary.{name}", f"The study compares no such scenario.{did_you_mean(name, names)}")
        for name in vary
        if name not in names
    ]
    problems.tell()
    return scenarios


def _misnamed(data: Mapping[str, Any], where: Origins) -> Iterator[Problem]:
    name, file = data["study"].get("name"), where.choices["study"]
    if isinstance(name, str) and name != file:
        text = f"{name} was found; the name must be that of the file, {file}."
        yield Problem(*where(("study", "name")), "study > name", text)


def _strange(settings: Settings, where: Locator) -> Iterator[Problem]:
    """Names on which the groups of facts chosen together do not agree."""
    s = settings
    for path, text in strangers(s.network, s.population, s.timetable, s.demand, s.care):
        yield Problem(*where(path), " > ".join(path), text)
    for name, text in strange_wards(s.network, s.report.pooling.wards if s.report.pooling else ()):
        path = ("report", "pooling", "wards", name)
        yield Problem(*where(path), " > ".join(path), text)
    for path, text in _unmeasured(s):
        yield Problem(*where(path), " > ".join(path), text)
    for path, text in overpriced(s.money, s.choice.price.value):
        yield Problem(*where(path), " > ".join(path), text)


def _unmeasured(settings: Settings) -> Iterator[tuple[KeyPath, str]]:
    """Indicators and scopes that shall be precise, and that nobody measures."""
    asked, known = settings.precision, {}
    with suppress(RuntimeError):
        known = {entry.name: entry for entry in reader("indicators")() if entry.computed}
    for name, wanted in asked.indicators.items() if asked and known else ():
        at = ("precision", "indicators", name)
        if name not in known:
            yield at, f"No indicator is called so, or it is not computed.{did_you_mean(name, known)}"
        elif wanted.scope:
            network = settings.network
            scopes = {scope for entry in known.values() for scope in entry.scopes.split(", ")}
            scopes |= {*network.areas, *network.groups, *(x for f in network.facilities for x in f.ids())}
            scopes |= {known[name].headline_scope, *(level.name for level in Level)}
            if wanted.scope not in scopes:
                yield (*at, "scope"), f"Nothing is told of {wanted.scope}.{did_you_mean(wanted.scope, scopes)}"


def _facts(data: Mapping[str, Any]) -> dict[str, list[str]]:
    """The names of a study's facts that levers may name; without what is not even a table."""
    parts = {"conditions": data.get("care"), "areas": data.get("network")}
    tables = {name: part.get(name) for name, part in parts.items() if isinstance(part, dict)}
    facilities = network.get("facilities") if isinstance(network := data.get("network"), dict) else None
    told = [f for f in facilities if isinstance(f, dict)] if isinstance(facilities, list) else []
    named = {name: list(map(str, table)) for name, table in tables.items() if isinstance(table, dict)}
    may = {"sub_centres": "as_sub_centre", "private": "may_join"}
    return named | {name: [x for f in told if fact in f for x in _alike(f)] for name, fact in may.items()}


def _alike(facility: dict[str, Any]) -> list[str]:
    """The ids of the facilities that one stands for, as in `FacilitySpec.ids`, also where it is not valid."""
    count, name = facility.get("count", 1), str(facility.get("id"))
    return [f"{name}-{n:03d}" for n in range(1, count + 1)] if isinstance(count, int) and count > 1 else [name]


def _indicators() -> list[str] | None:
    """The ids of all indicators; None where no analysis is installed to ask."""
    with suppress(RuntimeError):
        return [indicator.name for indicator in reader("indicators")()]
    return None


def _uncited(data: Mapping[str, Any], found: Shelves, where: Locator) -> Iterator[Problem]:
    """Citations of configs that lead nowhere."""
    try:
        known = read_sources(found.scenarios)
    except InputError as error:
        yield from error.problems
        return
    for path, thing in _walk(data):
        if path[-1:] == ("source",) and isinstance(thing, dict):
            with suppress(ValidationError):
                for below, text in known.unknown(Source.model_validate(thing)):
                    yield Problem(*where((*path, *below)), " > ".join((*path, *below)), text)


def _walk(thing: Any, path: KeyPath = ()) -> Iterator[tuple[KeyPath, Any]]:
    """Everything inside plain data, with its path."""
    yield path, thing
    parts = thing.items() if isinstance(thing, dict) else enumerate(thing) if isinstance(thing, list) else ()
    for name, part in parts:
        yield from _walk(part, (*path, str(name)))


# ------------------------------------------------------------------------------------------------------------ overrides


@dataclass(frozen=True)
class Orders:
    """What was asked on the command line."""

    hydra: list[str] = field(default_factory=list)
    """Overrides for Hydra."""

    keys: list[KeyPath] = field(default_factory=list)
    """The values they set."""

    vary: dict[str, dict[str, Any]] = field(default_factory=dict)
    """Scenario -> lever -> value."""


def _understood(texts: Sequence[str], found: Shelves) -> Orders:
    """The overrides, sorted; with everything that is wrong with them."""
    orders, problems = Orders(), Collected()
    for text in texts:
        with problems.step():
            _take(orders, _parsed(text), text, found)
    problems.tell()
    return orders


@lru_cache(maxsize=10_000)
def _parsed(text: str) -> Override:
    """An override with one value."""
    override = _read(text, _quoted(text))
    if override.is_sweep_override():
        raise _wrong(text.partition("=")[0].strip(), "One run takes one value; several were given.")
    return override


def _read(text: str, quoted: str) -> Override:
    """An override in Hydra's grammar, as the user wrote it and with quotes where Hydra needs them."""
    key = text.partition("=")[0].strip()
    if re.match(r"[+~]*hydra\b", key) or HYDRA_WORDS.search(text):
        raise _wrong(key, "Hydra itself is not set here; only the keys of the config are.")
    if re.search(r"\$\{.*:", text, re.DOTALL):
        raise _wrong(key, "Only values of the config may be inserted, as in ${seed}; nothing from outside.")
    from hydra.core.override_parser.overrides_parser import OverridesParser
    from hydra.errors import HydraException

    try:
        override: Override = OverridesParser.create().parse_override(quoted)
    except HydraException as error:
        raise _wrong(text, f"This is not key=value: {_first_line(error)}.") from None
    if override.package is not None:
        raise _wrong(key, "@ has no meaning here; write key=value.")
    return override


def _take(orders: Orders, override: Override, text: str, found: Shelves) -> None:
    """Put an override where it belongs: to the scenarios, to the choice of config files, to their values."""
    written = _quoted(text).partition("=")[2]
    name = override.key_or_group
    if name.startswith("vary."):
        _, scenario, *lever = name.split(".")
        orders.vary.setdefault(scenario, {})[".".join(lever)] = override.value()
    elif options := found.options(name):
        _take_option(orders, override, options)
    elif override.is_delete():
        orders.hydra.append(text)
    else:
        # force-added, so that an unknown key is told by the schema with all other problems and the nearest right name
        orders.hydra.append(f"++{name}={written}")
        orders.keys.append(tuple(name.split(".")))


def _take_option(orders: Orders, override: Override, options: Mapping[str, Path]) -> None:
    name, value = override.key_or_group, str(override.value())
    if value not in options:
        hint = did_you_mean(value, options) or f" There are: {', '.join(options)}."
        raise _wrong(name, f"No {name} is called {value}.{hint}")
    orders.hydra.append(f"{name}={value}")


def _wrong(path: str, text: str) -> InputError:
    return InputError([Problem(COMMAND_LINE, None, path, text)])


def _quoted(text: str) -> str:
    """An override that Hydra can read: it takes Chinese only in quotes."""
    key, equals, value = text.partition("=")
    if value.isascii() or value[0] in "'\"[{":
        return text
    return f"{key}{equals}{in_hydra(value)}"


def as_overrides(changes: Mapping[str, Any], above: str = "") -> Iterator[str]:
    """Keywords as overrides, mappings key by key."""
    for key, value in changes.items():
        if isinstance(value, Mapping):
            yield from as_overrides(value, f"{above}{key}.")
        else:
            yield f"{above}{key}={in_hydra(value)}"


def in_hydra(value: Any) -> str:
    """A Python value in Hydra's grammar."""
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{key}: {in_hydra(part)}" for key, part in value.items()) + "}"
    if isinstance(value, (list, tuple)):
        return "[" + ", ".join(map(in_hydra, value)) + "]"
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    if isinstance(value, (int, float)):
        return repr(value)
    escaped = re.sub(r"(\\+)(?='|$)", r"\1\1", str(value)).replace("'", "\\'")
    return f"'{escaped}'"


# --------------------------------------------------------------------------------------------------------- many values


def values(text: str, most: int, config_dir: str | Path | None = None) -> list[Any] | None:
    """The values that an override gives one key, as plain data; None where it gives but one.

    Hydra's grammar: `a,b,c`, `choice(a,b)`, `range(0,1,0.1)`, `sort(...)`, and `glob(...)` for config groups. Of more
    than `most` values only one more than these is told.
    """
    override = _read(text, _quoted_each(text))
    if not override.is_sweep_override():
        return None
    from hydra.core.override_parser.types import Glob, IntervalSweep
    from hydra.errors import HydraException

    key, given = override.key_or_group, override.value()
    if isinstance(given, Glob):
        return _matching(key, given, shelves(config_dir).options(key))
    if isinstance(given, IntervalSweep):
        raise _wrong(key, "An interval names no values; write range(first,end,step).")
    if getattr(given, "shuffle", False):
        raise _wrong(key, "Values in random order are not repeatable; leave shuffle out.")
    try:
        return list(islice(map(override._convert_value, override.sweep_iterator()), most + 1))
    except (HydraException, ValueError, ArithmeticError) as error:
        raise _wrong(key, f"These values cannot be listed: {_first_line(error)}.") from None


def _matching(key: str, given: Any, options: Mapping[str, Path]) -> list[str]:
    """The files of a config group that match a pattern."""
    if not options:
        raise _wrong(key, "glob() is for groups of config files, such as network.")
    found: list[str] = given.filter(list(options))
    if not found:
        raise _wrong(key, f"No {key} matches. There are: {', '.join(options)}.")
    return found


def value(text: str) -> Any:
    """The one value of an override, as plain data."""
    return _parsed(text).value()


def written(key: str, value: Any) -> str:
    """An override that gives a key a value, with quotes only where they are needed."""
    bare = f"{key}={value}"
    with suppress(InputError):
        if isinstance(value, str) and value.isascii() and _parsed(bare).value() == value:
            return bare
    return f"{key}={in_hydra(value)}"


def _quoted_each(text: str) -> str:
    """Several values that Hydra can read: it takes Chinese only in quotes, and each value in quotes of its own."""
    key, equals, given = text.partition("=")
    if given.isascii():
        return text
    call = re.fullmatch(r"\s*(choice|sort)\s*\((.*)\)\s*", given, re.DOTALL)
    parts = ",".join(map(_quoted_value, _apart(call.group(2) if call else given)))
    return f"{key}{equals}{call.group(1)}({parts})" if call else f"{key}{equals}{parts}"


def _quoted_value(written: str) -> str:
    word = written.strip()
    return word if word.isascii() or word[0] in "'\"[{" else in_hydra(word)


def _apart(written: str) -> Iterator[str]:
    """The parts between the commas that stand outside quotes and brackets."""
    part, depth, quote = "", 0, ""
    for sign in written:
        if quote:
            quote = "" if sign == quote else quote
        elif sign in "'\"":
            quote = sign
        else:
            depth += (sign in "[{(") - (sign in "]})")
        if sign == "," and not depth and not quote:
            yield part
            part = ""
        else:
            part += sign
    yield part


def _first_line(error: Exception) -> str:
    return str(error).strip().splitlines()[0].rstrip(".") if str(error).strip() else type(error).__name__


# ------------------------------------------------------------------------------------------------------------ composing


def _composed(orders: Orders, found: Shelves) -> tuple[dict[str, Any], Origins]:
    """The composed config as plain data, and where each value was written."""
    from hydra.errors import HydraException
    from omegaconf.errors import OmegaConfBaseException

    problems = Collected(_foreign(found))
    problems.tell()
    try:
        data = _by_name(orders, found) or _in_full(orders, found)
    except (HydraException, OmegaConfBaseException, yaml.YAMLError, UnicodeDecodeError, RecursionError) as error:
        raise InputError(_unreadable(found) or [_unplaced(found, error)]) from None
    origins = Origins(found, data.pop("hydra")["runtime"]["choices"], orders.keys)
    problems += _not_plain(data, origins)
    problems.tell()
    return _resolved(data, origins), origins


def _in_full(orders: Orders, found: Shelves) -> dict[str, Any]:
    """Everything composed by Hydra."""
    from hydra import compose, initialize_config_dir
    from omegaconf import OmegaConf

    with initialize_config_dir(config_dir=str(found.configs[0]), version_base="1.3"):
        composed = compose(MAIN, overrides=[*_search_path(found), *orders.hydra], return_hydra_config=True)
    data: dict[str, Any] = OmegaConf.to_container(composed, resolve=False)  # type: ignore[assignment]
    return data


def _by_name(orders: Orders, found: Shelves) -> dict[str, Any] | None:
    """The same, much sooner; None where only `_in_full` can tell, and about all that is wrong.

    OmegaConf takes a second or two for some thousand cited numbers. So a document that nothing amends is composed by
    its name alone, and what it says is put in its place afterwards.
    """
    from hydra import compose, initialize
    from hydra.errors import HydraException
    from omegaconf import OmegaConf
    from omegaconf.errors import OmegaConfBaseException

    files = {file.relative_to(folder): file for folder in found.configs[::-1] for file in folder.rglob("*.yaml")}
    amended: set[Path] = set()
    try:
        while True:
            with _in_memory(files, amended), initialize(config_path=None, version_base="1.3"):
                composed = compose(MAIN, overrides=orders.hydra, return_hydra_config=True)
            data: dict[str, Any] = OmegaConf.to_container(composed, resolve=False)  # type: ignore[assignment]
            if not (more := set(_amended(data))):
                return {key: _spelled_out(part, files) for key, part in data.items()}
            amended |= more
    except (HydraException, OmegaConfBaseException, yaml.YAMLError, OSError, ValueError, LookupError, RecursionError):
        return None


NAME = "document "
"""What the key begins with that stands for a document."""

SHORT = 1000
"""Characters below which a document is as soon composed in full."""

MORE_THAN_VALUES = re.compile(r"defaults|@package|\$\{|\?\?\?")
"""What only Hydra can make something of."""


@contextmanager
def _in_memory(files: Mapping[Path, Path], amended: Collection[Path]) -> Iterator[None]:
    """Config files as Hydra's configs in memory, by name where that will do; Hydra's store is left as it was."""
    from hydra.core.config_store import ConfigStore

    store = ConfigStore.instance()
    before = store.repo
    store.repo = {name: part for name, part in before.items() if name.startswith(("hydra", "_"))}
    try:
        for name, file in files.items():
            text, group = file.read_text("utf-8"), name.parent.as_posix()
            everywhere = text.startswith("# @package _global_\n")
            if group.startswith("hydra") or ("@package" in text and not everywhere):
                raise ValueError(f"{name} is for Hydra alone.")
            whole = group == "." or name in amended or len(text) < SHORT or MORE_THAN_VALUES.search(text)
            node = _read_quickly(file) if whole else {f"{NAME}{name}": None}
            store.store(name.stem, node, None if group == "." else group, "_global_" if everywhere else None)
        yield
    finally:
        store.repo = before


def _amended(part: Any) -> Iterator[Path]:
    """The documents that came by name and stand beside something else."""
    for key, below in part.items() if isinstance(part, dict) else ():
        if str(key).startswith(NAME) and len(part) > 1:
            yield Path(key.removeprefix(NAME))
        yield from _amended(below)


def _spelled_out(part: Any, files: Mapping[Path, Path]) -> Any:
    """A part of a composed config, with what the documents say that came by name."""
    if not isinstance(part, dict):
        return part
    for key in part:
        if str(key).startswith(NAME):
            return _read_quickly(files[Path(key.removeprefix(NAME))])
    return {key: _spelled_out(below, files) for key, below in part.items()}


def _read_quickly(file: Path) -> dict[str, Any]:
    """A document as OmegaConf reads it, with the parser written in C where there is one."""
    from omegaconf._utils import get_yaml_loader

    loader = get_yaml_loader()
    if hasattr(yaml, "CSafeLoader"):
        loader = type("Quick", (yaml.CSafeLoader, loader), {})
    data = yaml.load(file.read_text("utf-8"), Loader=loader)  # noqa: S506 - both are safe loaders
    if not isinstance(data, dict):
        raise ValueError(f"{file} does not hold keys and values.")
    return data


def _search_path(found: Shelves) -> list[str]:
    more = [f"file://{folder.absolute()}" for folder in found.configs[1:]]
    return [f"hydra.searchpath={in_hydra(more)}"] if more else []


def _resolved(data: dict[str, Any], where: Locator) -> dict[str, Any]:
    """The data with `${other.key}` replaced by what it stands for."""
    if not any(isinstance(thing, str) and "${" in thing for _, thing in _walk(data)):
        return data
    from omegaconf import OmegaConf
    from omegaconf.errors import OmegaConfBaseException

    try:
        resolved: dict[str, Any] = OmegaConf.to_container(OmegaConf.create(data), resolve=True)  # type: ignore[assignment]
    except OmegaConfBaseException as error:
        path = tuple(re.split(r"[.\[\]]+", str(error.full_key or "").strip("]")))
        raise InputError([Problem(*where(path), " > ".join(path), f"{_first_line(error)}.")]) from None
    return resolved


def _not_plain(data: dict[str, Any], where: Locator) -> Iterator[Problem]:
    """What a composed config must not hold: code, values from outside, values that nobody gave."""
    for path, thing in _walk(data):
        text = ""
        if path and HYDRA_WORDS.fullmatch(path[-1]):
            text = "A config holds plain values; Hydra's words for code are refused."
        elif isinstance(thing, str) and re.search(r"\$\{.*:", thing, re.DOTALL):
            text = "Only values of the config may be inserted, as in ${seed}; nothing from outside."
        elif thing == "???":
            text = "A value must be given here."
        if text:
            yield Problem(*where(path), " > ".join(path), text)


def _foreign(found: Shelves) -> Iterator[Problem]:
    """Insertions from outside (environment, files) in config files, found before Hydra could follow them."""
    for file in _all_files(found):
        with suppress(OSError, UnicodeDecodeError):
            for number, line in enumerate(file.read_text("utf-8").splitlines(), 1):
                if re.search(r"\$\{[^{}]*:", line.partition(" #")[0]):
                    text = "Only values of the config may be inserted, as in ${seed}; nothing from outside."
                    yield Problem(shown(file), number, "", text)


def _unreadable(found: Shelves) -> list[Problem]:
    """What is wrong with the config files as YAML."""
    problems = Collected()
    for file in _all_files(found):
        with problems.step():
            read_yaml(file, anchors=True)
    return problems


def _unplaced(found: Shelves, error: Exception) -> Problem:
    return Problem(shown(found.file(MAIN)), None, "", f"The config cannot be composed: {_first_line(error)}.")


def _all_files(found: Shelves) -> list[Path]:
    return [file for folder in found.configs for file in sorted(folder.rglob("*.yaml"))]


@dataclass(frozen=True)
class Origins:
    """Says where a value of the composed config was written: on the command line or in which file."""

    found: Shelves
    choices: Mapping[str, str | None]
    """Config group -> name of the file chosen."""
    overrides: list[KeyPath]
    """Keys set on the command line."""

    def __call__(self, path: KeyPath) -> Place:
        """The command line, or the file that goes furthest along the path; the study before others."""
        if any(path[: len(key)] == key for key in self.overrides):
            return COMMAND_LINE, None
        best = max(self.documents, key=lambda document: document.reach(path))
        return best.place(path)

    @cached_property
    def documents(self) -> list[_Document]:
        """The files that were composed, those that have the last word first; read only when something is wrong."""
        groups = {group: name for group, name in self.choices.items() if name and not group.startswith("hydra")}
        names = [MAIN, *(f"{group}/{name}.yaml" for group, name in groups.items() if group != "study")]
        study = [f"study/{groups['study']}.yaml"] if "study" in groups else []
        return [_document(self.found, name) for name in [*study, *names[::-1]]]


@dataclass(frozen=True)
class _Document:
    """A config file and the key under which Hydra puts it."""

    package: KeyPath
    marks: Marks

    def reach(self, path: KeyPath) -> int:
        """How far along a path this file has keys; 0: not at all."""
        if path[: len(self.package)] != self.package:
            return 0
        rest = path[len(self.package) :]
        return len(self.package) + next((n for n in range(len(rest), 0, -1) if rest[:n] in self.marks), 0)

    def place(self, path: KeyPath) -> Place:
        return self.marks(path[len(self.package) :])


def _document(found: Shelves, name: str) -> _Document:
    """A composed file; without lines where it cannot be read."""
    file = found.file(name)
    package = re.search(r"^#\s*@package\s+(\S+)", file.read_text("utf-8") if file.exists() else "", re.MULTILINE)
    default = tuple(name.split("/")[:-1])
    words = package.group(1) if package else ""
    key = () if words == "_global_" else tuple(words.split(".")) if words and words != "_group_" else default
    marks = Marks(shown(file))
    with suppress(InputError):
        _, marks = read_yaml(file, anchors=True)
    return _Document(key, marks)


# ------------------------------------------------------------------------------------------------------------- checking


def check(files: Sequence[str | Path] = (), config_dir: str | Path | None = None) -> list[Problem]:
    """Everything that is wrong with scenarios, studies and sources.yaml: the given files, or all there are."""
    found = shelves(config_dir)
    problems = Collected()
    for file in [Path(file) for file in files] or _checked(found):
        with problems.step():
            _check(file, found)
    return list(dict.fromkeys(problems))


def _checked(found: Shelves) -> list[Path]:
    scenarios = [file for folder in found.scenarios for file in sorted(folder.glob("*.yaml"))]
    return [*scenarios, *found.options("study").values()]


def _check(file: Path, found: Shelves) -> None:
    if not file.exists():
        raise InputError([Problem(shown(file), None, "", "There is no such file.")])
    if file.name == SOURCES:
        read_sources([file.parent])
    elif file.absolute().parent.name == "study":
        load(file.stem, config_dir=file.absolute().parent.parent)
    else:
        read_scenario(file, found.scenarios, None, _indicators())
