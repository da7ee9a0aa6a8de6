"""What it would take to reach a target: one thing of one scenario is set to value after value, on the same luck.

A study's last scenario is simulated with a lever, or a named group of facts, at both ends of what it may be, and then
between them (`search`). Each value is a scenario of its own whose tasks are found again like those of any study. They
lie in a folder beside the study's own (`outputs/<study>_seek`), with the answer.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from math import isfinite
from pathlib import Path
from typing import Any

from sim import study
from sim.citation import Dated
from sim.compose import Config
from sim.execution import Engine, Progress
from sim.model import Case
from sim.network import Level, NetworkSpec
from sim.policy import LeverInfo, Policy, levers
from sim.progress import Wish, heard
from sim.readers import reader
from sim.results import facility_table
from sim.scenario import COMMAND_LINE, Scenario
from sim.schema import Collected, InputError, Problem, as_share, did_you_mean
from sim.search import Found, search
from sim.streams import Floats

FINENESS = 32
"""Into so many parts an interval is halved, unless a tolerance is given."""

ASKED = ("target", "at_least", "at_most", "lever", "scenario", "scope", "year", "low", "high", "tolerance")
"""What a question may say, beside the study and its settings."""

USUAL = "first_contact.adherence"
"""The lever that is asked about where none is named."""


@dataclass(frozen=True)
class Thing:
    """Something that can be set to a value: a lever, or a named group of facts by a common factor."""

    name: str
    title: str
    title_zh: str
    unit: str
    low: float
    high: float | None
    """None: no limit of its own, so the question must say one."""
    put: Callable[[Config, Scenario, float], tuple[Scenario, NetworkSpec]]
    """The scenario and the network with the value in place of what was there."""
    amount: Callable[[NetworkSpec], float] | None = None
    """What the facts come to, in `unit`; None: a lever, whose value speaks for itself."""
    whole: bool = False
    """Whether only whole numbers make sense."""


@dataclass(frozen=True)
class Goal:
    """What is to be reached, where and when."""

    indicator: str
    scope: str
    rising: bool
    """At least the limit; else at most."""
    limit: float
    by: date | None
    """The deadline of a stated target."""
    year: str
    """The calendar year that is judged; empty: as for a stated target, or the last one measured."""


@dataclass(frozen=True)
class Answer:
    """What a search has found."""

    goal: Goal
    """With the year that was judged."""
    scenario: Scenario
    thing: Thing
    found: Found
    amounts: list[float]
    """What each value tried comes to, in the unit of the thing."""


@dataclass(frozen=True)
class Sought:
    """All answers of one question, and the folder in which they were written."""

    folder: Path
    answers: list[Answer]
    text: str
    """The answers in words."""


def seek(
    config: Config,
    *,
    target: str,
    lever: str | Sequence[str] = USUAL,
    progress: Wish = None,
    engine: Engine = study.ENGINE,
    words: Sequence[str] | None = None,
    **said: Any,
) -> Sought:
    """What it takes to reach a target: the value of a lever, or of each of some, with its interval.

    `target` is an indicator; its value is that of the scenario's stated target, or at_least= or at_most=. Also
    scenario=, scope=, year=, low=, high= and tolerance=. The answers are written into the study's folder of searches.
    `words` are those of the command, where one was given, so that the folder knows how to resume it.
    """
    names = lever.split(",") if isinstance(lever, str) else list(lever)
    scenario, goal, things, step = understood(config, target, names, said)
    folder = study.open_folder(Path(config.output or Path("outputs") / f"{config.study.name}_seek"))
    with study.alone_in(folder):
        study.begin(folder, words, study.resolved(config))
        tries = _Tries(config, scenario, folder, engine, heard(progress))
        answers = [tries.answer(thing, goal, step) for thing in things]
        text = reader("answer")(tries.all(), answers)
    return Sought(folder, answers, str(text))


# -------------------------------------------------------------------------------------------------------------- trying


@dataclass
class _Tries:
    """Everything that was tried, each a scenario by its own name."""

    config: Config
    scenario: Scenario
    folder: Path
    engine: Engine
    progress: Progress | None
    scenarios: dict[str, Scenario] = field(default_factory=dict)
    cases: dict[str, Case] = field(default_factory=dict)

    def answer(self, thing: Thing, goal: Goal, step: float | None) -> Answer:
        """Search one thing."""
        amounts: dict[float, float] = {}
        judged: list[Goal] = []

        def evaluate(values: Sequence[float]) -> list[Floats]:
            names = [self._add(thing, value, amounts) for value in values]
            told, year = reader("values")(self._finished(names), self.scenario, goal)
            judged.append(Goal(goal.indicator, goal.scope, goal.rising, goal.limit, goal.by, year))
            return [told[name] for name in names]

        high = thing.high if thing.high is not None else thing.low
        fineness = step or (high - thing.low) / FINENESS
        found = search(evaluate, thing.low, high, goal.limit, rising=goal.rising, tolerance=fineness, whole=thing.whole)
        return Answer(judged[-1], self.scenario, thing, found, [amounts[value] for value in found.tried.tolist()])

    def _add(self, thing: Thing, value: float, amounts: dict[float, float]) -> str:
        """One value as a scenario; its name."""
        name = f"{thing.name}_{value:g}".replace(".", "-").replace("+", "")
        scenario, network = thing.put(self.config, self.scenario, value)
        titles = {"title": f"{thing.title}: {value:g}", "title_zh": f"{thing.title_zh}：{value:g}"}
        self.scenarios[name] = scenario.model_copy(update={"name": name, **titles})
        one = self.config.model_copy(update={"network": network, "scenarios": [self.scenarios[name]]})
        self.cases |= study.cases(one)
        amounts[value] = thing.amount(network) if thing.amount else value
        return name

    def all(self) -> Any:
        """Everything together, as a study."""
        return self._finished(list(self.scenarios))

    def _finished(self, names: Sequence[str]) -> Any:
        about = self.config.study.model_copy(update={"scenarios": list(names), "baseline": names[0]})
        some = {"study": about, "scenarios": [self.scenarios[name] for name in names]}
        config = self.config.model_copy(update=some)
        cases = {name: self.cases[name] for name in names}
        return study.finish(self.folder, config, cases, self.engine, self.progress)


# -------------------------------------------------------------------------------------------------------- the question


def understood(
    config: Config, target: str, names: Sequence[str], said: Mapping[str, Any]
) -> tuple[Scenario, Goal, list[Thing], float | None]:
    """What is asked; with everything that is wrong with it."""
    problems = Collected(_unknown(said))
    if config.precision:
        text = "A search has as many replications at every value; leave it out (precision=null)."
        problems.append(Problem(COMMAND_LINE, None, "precision", text))
    numbers: dict[str, float] = {}
    for key in ("at_least", "at_most", "low", "high", "tolerance"):
        if said.get(key) is not None:
            with problems.step():
                numbers[key] = _number(key, said[key])
    with problems.step():
        scenario = _scenario(config, str(said.get("scenario") or ""))
        with problems.step():
            goal = _goal(config, scenario, target, numbers, said)
    with problems.step():
        things = _things(config, names, numbers)
    problems.tell()
    return scenario, goal, things, numbers.get("tolerance")


def _unknown(said: Mapping[str, Any]) -> Iterator[Problem]:
    for key in said:
        if key not in ASKED:
            yield Problem(COMMAND_LINE, None, key, f"A search has no such setting.{did_you_mean(key, ASKED)}")


def _wrong(key: str, text: str) -> InputError:
    return InputError([Problem(COMMAND_LINE, None, key, text)])


def _number(key: str, found: Any) -> float:
    """A number, or a share in one of its forms."""
    try:
        number = float(found)
    except (TypeError, ValueError):
        try:
            number = float(as_share(str(found)))
        except ValueError:
            raise _wrong(key, f"{found!r} is not a number.") from None
    if not isfinite(number) or (key == "tolerance" and number <= 0):
        raise _wrong(key, f"{found} is not a number that can be used here.")
    return number


def _scenario(config: Config, name: str) -> Scenario:
    """The scenario that is named, else the last that is not the baseline."""
    known = {scenario.name: scenario for scenario in config.scenarios}
    if name and name not in known:
        raise _wrong("scenario", f"The study compares no scenario {name}.{did_you_mean(name, known)}")
    others = [other for other in known if other != config.study.baseline] or list(known)
    return known[name or others[-1]]


def _goal(
    config: Config, scenario: Scenario, target: str, numbers: Mapping[str, float], said: Mapping[str, Any]
) -> Goal:
    """The target that the scenario states, as far as the question says nothing else."""
    known = {entry.name: entry for entry in reader("indicators")() if entry.computed}
    if target not in known:
        hint = did_you_mean(target, known) or f" Targets stated here: {', '.join(scenario.targets) or 'none'}."
        raise _wrong(
            "target", f"{f'No indicator {target} is computed' if target else 'target=INDICATOR is missing'}.{hint}"
        )
    stated = scenario.targets.get(target)
    limits = [key for key in ("at_least", "at_most") if key in numbers]
    if len(limits) > 1 or (not limits and not stated):
        raise _wrong(target, f"{scenario.name} states no such target; give at_least= or at_most=, one of them.")
    rising = limits[0] == "at_least" if limits else stated is not None and stated.relation in ("at_least", "above")
    limit = numbers[limits[0]] if limits else stated.limit if stated else 0.0
    scope = str(said.get("scope") or (stated.scope.replace(" ", "_") if stated else known[target].headline_scope))
    _known_scope(config, scope, [part for entry in known.values() for part in entry.scopes.split(", ")])
    return Goal(target, scope, rising, limit, stated.by if stated else None, _year(config, str(said.get("year") or "")))


def _known_scope(config: Config, scope: str, words: Sequence[str]) -> None:
    """Whether a scope is among those of the catalogue, or an area, group or institution."""
    network = config.network
    names = {*network.areas, *network.groups, *facility_table(network)["id"], *(level.name for level in Level)}
    if scope not in {*names, *words}:
        raise _wrong("scope", f"Nothing is told of {scope}.{did_you_mean(scope, {*names, *words})}")


def _year(config: Config, year: str) -> str:
    first, last = config.horizon.from_.year, config.horizon.to.year
    if year and year not in map(str, range(first, last + 1)):
        raise _wrong("year", f"{year} is not measured; {first} to {last} are.")
    return year


def _things(config: Config, names: Sequence[str], numbers: Mapping[str, float]) -> list[Thing]:
    """What is to be set, within the limits that the question gives."""
    known, problems, found = things(config), Collected(), []
    for name in names:
        with problems.step():
            found.append(_limited(_known(name, known), numbers))
    problems.tell()
    return found


def _known(name: str, known: Mapping[str, Thing]) -> Thing:
    if name in known:
        return known[name]
    if name in [info.name for info in levers()]:
        raise _wrong("lever", f"{name} is no number, so nothing lies between two of its values.")
    hint = did_you_mean(name, known) or f" Facts that can be sought: {', '.join(KNOBS)}."
    raise _wrong("lever", f"Nothing is called {name} that could be sought.{hint}")


def _limited(thing: Thing, numbers: Mapping[str, float]) -> Thing:
    low, high = numbers.get("low", thing.low), numbers.get("high", thing.high)
    if high is None:
        raise _wrong("high", f"{thing.name} has no highest value; give high=.")
    outside = low < thing.low or (thing.high is not None and high > thing.high)
    if outside or low >= high:
        upper = "any number" if thing.high is None else f"{thing.high:g}"
        raise _wrong(thing.name, f"{low:g} to {high:g} is no range from {thing.low:g} to {upper}.")
    return Thing(**vars(thing) | {"low": low, "high": high})


# --------------------------------------------------------------------------------------------------- what can be sought


def things(config: Config) -> dict[str, Thing]:
    """Everything that can be sought, by name: levers that are numbers, and groups of facts that the network has."""
    numeric = [info for info in levers() if info.low is not None and not isinstance(info.neutral, dict)]
    return {info.name: _lever(info) for info in numeric} | {
        name: thing for name, thing in KNOBS.items() if thing.amount and thing.amount(config.network) > 0
    }


def _lever(info: LeverInfo) -> Thing:
    whole = isinstance(info.neutral, int)

    def put(config: Config, scenario: Scenario, value: float) -> tuple[Scenario, NetworkSpec]:
        return _pulled(config, scenario, info, int(value) if whole else value), config.network

    assert info.low is not None
    return Thing(info.name, info.title, info.title_zh, info.unit, info.low, info.high, put, whole=whole)


def _pulled(config: Config, scenario: Scenario, info: LeverInfo, value: float) -> Scenario:
    """The scenario with a lever at a plain value on the dates that it introduces, else from its own first date on.

    As with `vary`, nothing is drawn any more and nothing moves evenly.
    """
    group, name = info.name.split(".")
    mine, theirs = (getattr(getattr(policy, group), name) for policy in (scenario.policy, _before(config)))
    dates = _introduced(mine, theirs) or [_first_date(config, scenario)]
    cited = {"value": value, "unit": info.unit, "source": {"varied": "searched"}}
    change = type(scenario.policy).model_validate({group: {name: {day.isoformat(): cited for day in dates}}})
    put = getattr(getattr(change, group), name)
    values = {day: one for day, one in (mine.values if mine else {}).items() if day not in dates} | put.values
    dated = put.model_copy(update={"values": values, "ramp": theirs.ramp if theirs else None})
    levers_there = getattr(scenario.policy, group).model_copy(update={name: dated})
    return scenario.model_copy(update={"policy": scenario.policy.model_copy(update={group: levers_there})})


def _before(config: Config) -> Policy:
    """The policy of the baseline."""
    return next(one for one in config.scenarios if one.name == config.study.baseline).policy


def _introduced(mine: Dated[Any] | None, theirs: Dated[Any] | None) -> list[date]:
    """The dates on which a scenario says something of a lever that the baseline does not say."""
    dates = mine.dates if mine else []
    return [day for day in dates if not mine or not theirs or theirs.values.get(day) != mine.values[day]]


def _first_date(config: Config, scenario: Scenario) -> date:
    """The first date on which the scenario is not like the baseline; where there is none, the first day measured."""
    theirs = {(group, name): dated for group, name, dated in _before(config).pulled()}
    own = (_introduced(dated, theirs.get((group, name))) for group, name, dated in scenario.policy.pulled())
    return min((day for dates in own for day in dates), default=config.horizon.from_)


Facts = Callable[[NetworkSpec], Iterator[tuple[tuple[Any, ...], Any]]]
"""The counts of a network that a knob scales, each with its place: facility, list, number, name."""


def _doctors(*kinds: str) -> Facts:
    """Doctors of all clinics at some levels, joint clinics apart."""

    def facts(network: NetworkSpec) -> Iterator[tuple[tuple[Any, ...], Any]]:
        for f, facility in enumerate(network.facilities):
            for n, clinic in enumerate(facility.clinics):
                if facility.level in kinds and clinic.kind != "joint":
                    yield (f, "clinics", n, "doctors"), clinic.doctors

    return facts


def _lead_slots(network: NetworkSpec) -> Iterator[tuple[tuple[Any, ...], Any]]:
    """Appointment slots of lead hospitals' clinics."""
    for f, facility in enumerate(network.facilities):
        for n, clinic in enumerate(facility.clinics if facility.role == "lead" else ()):
            if clinic.slots is not None:
                yield (f, "clinics", n, "slots"), clinic.slots


def _lead_beds(network: NetworkSpec) -> Iterator[tuple[tuple[Any, ...], Any]]:
    """Beds of lead hospitals' wards."""
    for f, facility in enumerate(network.facilities):
        for n, ward in enumerate(facility.wards if facility.role == "lead" else ()):
            yield (f, "wards", n, "beds"), ward.beds


def _scaled(facts: Facts, network: NetworkSpec, factor: float) -> NetworkSpec:
    """The network with these counts times a factor, rounded, at least 1 where there were any."""
    facilities = list(network.facilities)
    for (f, part, n, name), cited in facts(network):
        value = max(round(cited.value * factor), min(cited.value, 1))
        source = {"varied": f"searched, {factor:g} times {cited.value}"}
        changed = type(cited).model_validate({"value": value, "unit": cited.unit, "source": source})
        parts = list(getattr(facilities[f], part))
        parts[n] = parts[n].model_copy(update={name: changed})
        facilities[f] = facilities[f].model_copy(update={part: parts})
    return network.model_copy(update={"facilities": facilities})


def _knob(name: str, title: str, title_zh: str, unit: str, facts: Facts, of_levels: tuple[str, ...] = ()) -> Thing:
    """A group of facts by a common factor; their amount is the sum, or the mean over facilities of some levels."""

    def put(config: Config, scenario: Scenario, value: float) -> tuple[Scenario, NetworkSpec]:
        return scenario, _scaled(facts, config.network, value)

    def amount(network: NetworkSpec) -> float:
        total = sum(cited.value * network.facilities[place[0]].count for place, cited in facts(network))
        places = sum(f.count for f in network.facilities if f.level in of_levels and f.clinics)
        return float(total / places) if places else float(total)

    return Thing(name, title, title_zh, unit, 0.5, 4.0, put, amount)


_CENTRES, _STATIONS = ("centre", "sub_centre"), ("village_station",)

KNOBS = {
    thing.name: thing
    for thing in (
        _knob("doctors_per_centre", "Doctors per centre", "每个乡镇卫生院、社区卫生服务中心的医生数",
              "doctors per centre", _doctors(*_CENTRES), _CENTRES),
        _knob("doctors_per_station", "Doctors per village station", "每个村卫生室的医生数",
              "doctors per station", _doctors(*_STATIONS), _STATIONS),
        _knob("lead_slots", "Slots of the lead hospital", "牵头医院号源", "slots in a full session", _lead_slots),
        _knob("lead_beds", "Beds of the lead hospital", "牵头医院床位", "beds", _lead_beds),
    )
}  # fmt: skip
"""Groups of facts that can be sought, each by a factor common to all of its counts."""
