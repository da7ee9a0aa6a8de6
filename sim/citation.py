"""What a value is, from each date on, and who says so; and the draws of what nobody knows.

No number stands alone: it is `Cited` with its unit and its source. Where nobody says, the source is an assumption with
a range, and each replication draws its own value from it, the same in all scenarios.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from fractions import Fraction
from functools import lru_cache
from math import sqrt
from typing import Any, Generic, Literal, TypeVar

from pydantic import Field, model_serializer, model_validator

from sim.schema import Closed, Day, Share, documented, refuse

T = TypeVar("T")
K = TypeVar("K")

BLOCK = 20
"""Replications in one Latin hypercube: each assumption takes every twentieth of its law once in a block."""

Kind = Literal["policy", "published", "derived", "assumption", "varied"]
"""Who says so: a policy document, a publication, arithmetic on cited figures, nobody (yet), the command line."""


class Source(Closed):
    """Who says so; exactly one of document, data, derived, assumption, varied."""

    document: str | None = None
    """A policy document described in scenarios/sources.yaml; needs `clause`."""

    clause: str | None = None
    """Where in the document, in its own numbering."""

    data: str | None = None
    """A publication or data set described in scenarios/sources.yaml; needs `table`."""

    table: str | None = None
    """Which table, figure or page."""

    derived: str | None = None
    """How the value follows from cited ones."""

    assumption: str | None = None
    """Why this value, where nobody says; a number needs `range` or `times`."""

    range: list[float] | None = Field(None, min_length=2, max_length=2)
    """Lowest and highest value that an assumed number may have."""

    times: list[float] | None = Field(None, min_length=2, max_length=2)
    """Lowest and highest common factor of an assumed number, list or table of numbers."""

    varied: str | None = None
    """Set on the command line for this run; what it was before. Written by the program."""

    @model_validator(mode="after")
    def _complete(self) -> Source:
        problems = [*self._one_voice(), *self._details(), *self._limits()]
        if problems:
            raise refuse(*problems)
        return self

    def _one_voice(self) -> Iterator[tuple[tuple[str, ...], str]]:
        voices = [name for name in _KINDS if getattr(self, name) is not None]
        if len(voices) != 1:
            found = " and ".join(voices) or "none"
            yield (), f"A source has exactly one of document, data, derived, assumption; found {found}."
        if any(not str(getattr(self, name)).strip() for name in voices):
            yield (voices[0],), f"{voices[0]} is empty."

    def _details(self) -> Iterator[tuple[tuple[str, ...], str]]:
        for name, detail in (("document", "clause"), ("data", "table")):
            if (getattr(self, name) is None) != (getattr(self, detail) is None):
                yield (), f"{name} and {detail} belong together; one of them is missing."

    def _limits(self) -> Iterator[tuple[tuple[str, ...], str]]:
        if self.range and self.times:
            yield (), "Write range or times, not both."
        for name in ("range", "times"):
            limits = getattr(self, name)
            if limits and self.assumption is None:
                yield (name,), f"{name} belongs to an assumption."
            if limits and limits[0] > limits[1]:
                yield (name,), f"{limits[0]:g} is more than {limits[1]:g}; write the lowest value first."

    @property
    def kind(self) -> Kind:
        """Who says so, in one word."""
        return next(kind for name, kind in _KINDS.items() if getattr(self, name) is not None)

    def __str__(self) -> str:
        """One line for a report."""
        detail = self.clause or self.table
        text = next(getattr(self, name) for name in _KINDS if getattr(self, name) is not None)
        return f"{text}, {detail}" if detail else str(text)


_KINDS: dict[str, Kind] = {
    "document": "policy",
    "data": "published",
    "derived": "derived",
    "assumption": "assumption",
    "varied": "varied",
}


@documented
class Cited(Closed, Generic[T]):
    """A value with its unit and the voice behind it."""

    value: T
    """The value."""

    unit: str = Field(min_length=1)
    """What it is counted in."""

    source: Source
    """Who says so: {document, clause}, {data, table}, {derived} or {assumption, range}."""

    @model_validator(mode="after")
    def _ranged(self) -> Cited[T]:
        problem = _range_problem(self.value, self.source) if is_numeric(self.value) else ""
        if problem:
            raise refuse((("source",), problem))
        return self


def _range_problem(value: Any, source: Source) -> str:
    if source.assumption is not None and not (source.range or source.times):
        return "An assumption needs its range: add range: [lowest, highest] or times: [lowest, highest]."
    if source.range and isinstance(value, (list, dict)):
        return "A list or table of numbers varies by a common factor; write times: [lowest, highest]."
    if source.range and not source.range[0] <= value <= source.range[1]:
        return f"{float(value):g} lies outside its range {source.range[0]:g} to {source.range[1]:g}."
    if source.times and not 0 <= source.times[0] <= 1 <= source.times[1]:
        return "times is a factor on the stated value; its limits must not be negative and must enclose 1."
    return ""


def numbers(value: Any, at: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], float]]:
    """Each number of a number, list or table, with where in it the number stands."""
    if isinstance(value, (list, dict)):
        for name, part in value.items() if isinstance(value, dict) else enumerate(value):
            yield from numbers(part, (*at, str(name)))
    else:
        yield at, float(value)


def is_numeric(value: Any) -> bool:
    """A number, or a list or table of nothing but numbers."""
    if isinstance(value, (list, dict)):
        inside = list(value.values()) if isinstance(value, dict) else value
        return bool(inside) and all(map(is_numeric, inside))
    return isinstance(value, (int, float, Fraction)) and not isinstance(value, bool)


Figure = Cited[float]
"""A cited number."""

Count = Cited[int]
"""A cited whole number."""

Figures = Cited[list[float]]
"""Cited numbers that vary together."""

ShareFigure = Cited[Share]
"""A cited share, exact."""


@documented
class Dated(Closed, Generic[T]):
    """Cited values, each in force from 00:00 of its date until the next; written as `date: {value, unit, source}`."""

    values: dict[Day, Cited[T]]
    """Date in force -> value; in the file the dates stand directly under the name."""

    ramp: Literal["linear"] | None = None
    """linear: the value moves evenly from each date to the next, day by day."""

    @model_validator(mode="before")
    @classmethod
    def _from_file(cls, data: Any) -> Any:
        if isinstance(data, Dated) or (isinstance(data, dict) and isinstance(data.get("values"), dict)):
            return data
        if not isinstance(data, dict) or not (dates := {k: v for k, v in data.items() if k != "ramp"}):
            raise refuse(((), "This is written as date in force: {value, unit, source}, with at least one date."))
        return {"values": dates, **({"ramp": data["ramp"]} if "ramp" in data else {})}

    @model_validator(mode="after")
    def _ramps_numbers(self) -> Dated[T]:
        if self.ramp and not all(is_numeric(cited.value) for cited in self.values.values()):
            raise refuse((("ramp",), "Only numbers can move evenly; drop ramp."))
        return self

    @model_serializer
    def _to_file(self) -> dict[str, Any]:
        dates: dict[str, Any] = {day.isoformat(): self.values[day] for day in self.dates}
        return {**dates, "ramp": self.ramp} if self.ramp else dates

    @property
    def dates(self) -> list[date]:
        """The dates at which a stated value comes into force, in order."""
        return sorted(self.values)

    def on(self, day: date) -> T | None:
        """The value in force on a day; None before the first date."""
        begun = [date for date in self.dates if date <= day]
        if not begun:
            return None
        last, later = begun[-1], self.dates[len(begun) :]
        now = self.values[last].value
        return _between(now, self.values[later[0]].value, last, day, later[0]) if self.ramp and later else now

    def changes(self) -> list[date]:
        """Every day whose value may differ from the day before: the dates, and on a ramp each day of it."""
        dates = self.dates
        if not self.ramp:
            return dates
        return [dates[0] + timedelta(days=n) for n in range((dates[-1] - dates[0]).days + 1)]


def _between(now: Any, then: Any, start: date, day: date, end: date) -> Any:
    """On the way from one value to the next; what only one of two tables names does not move."""
    if isinstance(now, dict):
        return {name: _between(part, then.get(name, part), start, day, end) for name, part in now.items()}
    moved = now + (then - now) * Fraction((day - start).days, (end - start).days)
    return round(moved) if isinstance(now, int) else moved


# -------------------------------------------------------------------------------------------------------- assumptions


@dataclass(frozen=True)
class Assumption:
    """A value that nobody stands behind, with how far it may be wrong."""

    path: str
    """Keys down to the value, joined by dots; for a lever without scenario and date."""

    since: date | None
    """Date in force, for a lever."""

    value: Any
    """The stated value."""

    unit: str
    """What it is counted in."""

    low: float | None
    """Lowest value (or factor, for a list or table); None where the value is no number."""

    high: float | None
    """Highest value (or factor)."""

    relative: bool
    """True where low and high are factors on the stated values."""

    reason: str
    """Why this value."""


def assumptions(thing: Any, prefix: str = "") -> list[Assumption]:
    """Every assumption inside an object, in order."""
    return [
        _assumption(path, since, cited) for path, since, cited in citations(thing, prefix) if cited.source.assumption
    ]


def _assumption(path: str, since: date | None, cited: Cited[Any]) -> Assumption:
    low, high = cited.source.range or cited.source.times or (None, None)
    relative = cited.source.times is not None
    return Assumption(path, since, cited.value, cited.unit, low, high, relative, cited.source.assumption or "")


def citations(thing: Any, path: str = "", since: date | None = None) -> Iterator[tuple[str, date | None, Cited[Any]]]:
    """Every cited value inside an object: its path, its date in force (of a lever), itself."""
    if isinstance(thing, Cited):
        yield path, since, thing
    elif isinstance(thing, Dated):
        for day in thing.dates:
            yield path, day, thing.values[day]
    else:
        for name, part in _parts(thing):
            yield from citations(part, f"{path}.{name}" if path else name, since)


def _parts(thing: Any) -> Iterator[tuple[str, Any]]:
    """What an object is made of. Entries of a list go by their id or name, so that their order does not matter."""
    if isinstance(thing, Closed):
        yield from ((name, getattr(thing, name)) for name in type(thing).model_fields)
    elif isinstance(thing, dict):
        yield from ((str(name), part) for name, part in thing.items())
    elif isinstance(thing, list):
        yield from ((_label(part, place), part) for place, part in enumerate(thing))


def _label(thing: Any, place: int) -> str:
    return str(getattr(thing, "id", None) or getattr(thing, "name", None) or place)


def draw(thing: T, seed: int, replication: int, prefix: str = "") -> T:
    """The object with every assumption replaced by this replication's own value; adding replications changes none."""
    return draws(thing, seed, [replication], prefix)[0]


def draws(thing: T, seed: int, replications: Sequence[int], prefix: str = "") -> list[T]:
    """The object as each replication draws it; what rests on no assumption is shared by all of them."""

    def versions(path: str, cited: Cited[Any]) -> list[Cited[Any]] | None:
        values = drawn_values(cited, path, seed, replications)
        return values and [cited.model_copy(update={"value": value}) for value in values]

    return _versions(thing, prefix, versions) or [thing for _ in replications]


def drawn_values(cited: Cited[Any], path: str, seed: int, replications: Sequence[int]) -> list[Any] | None:
    """What each replication draws for one cited value; None where it is not drawn."""
    source, stated = cited.source, cited.value
    if source.times:
        factors = [triangular(luck, source.times, 1.0) for luck in _lucks(seed, path, replications)]
        return [_scaled(stated, factor) for factor in factors]
    if source.range:
        numbers = [triangular(luck, source.range, float(stated)) for luck in _lucks(seed, path, replications)]
        return [_like(stated, number) for number in numbers]
    return None


def _versions(thing: Any, path: str, change: Callable[[str, Cited[Any]], list[Cited[Any]] | None]) -> list[Any] | None:
    """The versions of an object that follow from those of its cited values; None where nothing in it changes."""
    if isinstance(thing, Cited):
        return change(path, thing)
    if isinstance(thing, Dated):
        dated = _each({day: change(path, cited) for day, cited in thing.values.items()})
        return [thing.model_copy(update={"values": {**thing.values, **new}}) for new in dated] or None
    found: dict[int, list[Any] | None] = {}
    for place, (name, part) in enumerate(_parts(thing)):
        found[place] = _versions(part, f"{path}.{name}" if path else name, change)
    return [_with(thing, new) for new in _each(found)] or None


def _each(found: Mapping[K, list[Any] | None]) -> list[dict[K, Any]]:
    """What changes, version by version."""
    changed = {place: versions for place, versions in found.items() if versions}
    return [dict(zip(changed, new, strict=True)) for new in zip(*changed.values(), strict=True)]


def _with(thing: Any, new: Mapping[int, Any]) -> Any:
    """The same object with other parts at some places."""
    if isinstance(thing, list):
        return [new.get(place, part) for place, part in enumerate(thing)]
    if isinstance(thing, dict):
        return {name: new.get(place, part) for place, (name, part) in enumerate(thing.items())}
    names = list(type(thing).model_fields)
    return thing.model_copy(update={names[place]: part for place, part in new.items()})


def _lucks(seed: int, path: str, replications: Sequence[int]) -> list[float]:
    """Numbers in (0, 1): in each block of replications every twentieth of (0, 1) comes once, in a keyed order."""
    # only who draws needs numpy, which takes a while to load
    import numpy as np

    from sim.streams import key, uniform

    within = uniform(np.array([key(seed, "within", path, replication) for replication in replications]), 0)
    places = [_order(seed, path, replication // BLOCK)[replication % BLOCK] for replication in replications]
    return [(place + jitter) / BLOCK for place, jitter in zip(places, within.tolist(), strict=True)]


@lru_cache(maxsize=4096)
def _order(seed: int, path: str, block: int) -> list[int]:
    """Which twentieth each replication of a block draws from."""
    import numpy as np

    from sim.streams import bits, child, key

    return list(np.argsort(bits(child(key(seed, "assumption", path, block), np.arange(BLOCK)), 0)).tolist())


def triangular(luck: float, limits: list[float], mode: float) -> float:
    """The quantile of the triangular law over the limits with its peak at the mode."""
    low, high = limits
    if low == high:
        return mode
    if luck * (high - low) < mode - low:
        return low + sqrt(luck * (high - low) * (mode - low))
    return high - sqrt((1 - luck) * (high - low) * (high - mode))


def _scaled(value: Any, factor: float) -> Any:
    if isinstance(value, dict):
        return {name: _scaled(part, factor) for name, part in value.items()}
    if isinstance(value, list):
        return [_scaled(part, factor) for part in value]
    return _like(value, float(value) * factor)


def _like(stated: Any, value: float) -> Any:
    """A drawn number in the type of the stated one: counts stay whole, shares stay within 0 and 1."""
    if isinstance(stated, Fraction):
        return min(max(Fraction(value).limit_denominator(1_000_000), Fraction(0)), Fraction(1))
    return round(value) if isinstance(stated, int) else value
