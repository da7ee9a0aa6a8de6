"""Scenarios of one study share their past: it is simulated once, and each goes on from there.

Luck and drawn assumptions are the same in all scenarios, so two of them are the same, to the last bit, until the first
day on which something that differs is read. Scenarios part as the branches of a tree do, several from one place where
they part on one day; a stretch is what some of them live through together.
"""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from sim.demand import CHUNK
from sim.model import Case, Model
from sim.policy import Policy
from sim.slots import columns

READ_AHEAD = {
    "slot_quota.held_for_referral", "expert_quota.held_for_referral", "imaging_quota.held_for_referral",
    "shared.specialists_away", "shared.joint_clinics", "capability.sub_centres",
}  # fmt: skip
"""Levers that are read before they are in force: books of sessions to come open under the rules of their own date."""

DRAWN_AHEAD = {"surge.needs"}
"""Levers that are read when the needs of 28 days are drawn."""

Done = tuple[str, int, dict[str, pd.DataFrame]]
"""A scenario, a replication, and its tables."""


def together(cases: Mapping[str, Case]) -> list[list[str]]:
    """The names of cases that share a past: those that differ in their policy alone."""
    groups: list[tuple[Case, list[str]]] = []
    for name, case in cases.items():
        facts = replace(case, policy=Policy())
        for others, names in groups:
            if facts == others:
                names.append(name)
                break
        else:
            groups.append((facts, [name]))
    return [names for _, names in groups]


def days(cases: Mapping[str, Case], replications: list[int]) -> int:
    """Days that `simulate` simulates, over all replications."""
    return len(replications) * sum(tree(cases, replications).days() for cases in _shared(cases))


def simulate(
    cases: Mapping[str, Case], replications: list[int], progress: Callable[[int], None] | None = None
) -> Iterator[Done]:
    """Simulate replications of some cases; `progress` takes simulated days, over all replications.

    Tables are handed over as they come; those of one branch before the next one begins.
    """
    for some in _shared(cases):
        first = next(iter(some.values()))
        yield from _live(Model(first, replications), some, tree(some, replications), progress or (lambda days: None))


def _shared(cases: Mapping[str, Case]) -> list[dict[str, Case]]:
    return [{name: cases[name] for name in names} for names in together(cases)]


# --------------------------------------------------------------------------------------------------------------- tree


@dataclass(frozen=True)
class Stretch:
    """Days that some scenarios live through together, and then as smaller parties."""

    names: tuple[str, ...]
    first: int
    """Day of the run on which it begins."""
    end: int
    """The day after its last one."""
    then: tuple[Stretch, ...] = ()

    def days(self) -> int:
        """Days of this stretch and of all that follow."""
        return self.end - self.first + sum(stretch.days() for stretch in self.then)


def tree(cases: Mapping[str, Case], replications: list[int]) -> Stretch:
    """How cases part that share a past."""
    case = next(iter(cases.values()))
    ahead = columns(np.array([spec.booking_days.value for spec in case.drawn("choice", replications)])) // 2
    policies = {name: one.drawn("policy", replications) for name, one in cases.items()}
    whole = (case.to - case.warmup_from).days + 1

    def parting(one: str, other: str) -> int:
        """The first day of the run on which two cases can differ."""
        both = zip(policies[one], policies[other], strict=True)
        departures = [a.departs(b, case.warmup_from).items() for a, b in both]
        found = [_read(lever, (day - case.warmup_from).days, ahead) for each in departures for lever, day in each]
        return max(0, min([*found, whole]))

    return _part(tuple(cases), 0, whole, parting)


def _read(lever: str, day: int, ahead: int) -> int:
    """The first day of the run on which the value of a lever on a later day is read."""
    if lever in DRAWN_AHEAD:
        return day // CHUNK * CHUNK
    return day - ahead * (lever in READ_AHEAD)


def _part(names: tuple[str, ...], first: int, whole: int, parting: Callable[[str, str], int]) -> Stretch:
    """The stretch that begins on a day. Whoever is like the first one longer than others is like the others no longer
    than the first one is: so it is enough to compare with the first one."""
    one, *others = names
    end = min([*(parting(one, name) for name in others), whole])
    if end == whole:
        return Stretch(names, first, whole)
    parties = _parties(names, end, parting)
    return Stretch(names, first, end, tuple(_part(party, end, whole, parting) for party in parties))


def _parties(names: tuple[str, ...], day: int, parting: Callable[[str, str], int]) -> list[tuple[str, ...]]:
    """Those who go on together on a day, side by side however many they are: the one that was first comes last."""
    parties, left = [], list(names)
    while left:
        one, *others = left
        apart = [name for name in others if parting(one, name) == day]
        parties.append((one, *(name for name in others if name not in apart)))
        left = apart
    return parties[::-1]


def _live(model: Model, cases: Mapping[str, Case], stretch: Stretch, progress: Callable[[int], None]) -> Iterator[Done]:
    """Run a model through a stretch, and its copies through what follows; the last one needs no copy."""
    model.run(stretch.end, progress)
    if not stretch.then:
        for world, replication in enumerate(model.replications):
            tables = model.tables(world)
            yield from ((name, replication, tables) for name in stretch.names)
        return
    *before, last = stretch.then
    for one in before:
        yield from _live(model.branch(cases[one.names[0]]), cases, one, progress)
        gc.collect()  # a model knows its parts and they know it: it does not go by itself, and it is large
    model.follow(cases[last.names[0]])
    yield from _live(model, cases, last, progress)
