"""What each mechanism costs: a case with it and without it, interleaved.

The case is the last scenario of a study, one replication of luck alone, from the day on which all its levers are in
force; a group of levers that it does not pull is not told of. Each run without something stands between two runs with
everything. `nothing` compares the case with itself: what it shows is the noise of the machine, and differences of that
size are none. What is added to a visit is each run's own cost of a visit, compared: a mechanism also changes how many
visits there are. Ratios are of whole runs, start included.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import timedelta
from statistics import median

import sim
from sim.citation import Figure
from sim.model import Case
from sim.past import simulate
from sim.policy import GROUPS
from sim.study import cases

NONE = Figure.model_validate({"value": 0.0, "unit": "share", "source": {"derived": "Switched off."}})


@dataclass(frozen=True)
class Cost:
    """CPU time of a run, and what was simulated in it."""

    seconds: float
    visits: int
    stays: int
    """Stays that began: those asked for in the area, also where they are not over yet, and those over outside it."""

    @property
    def visit(self) -> float:
        """Microseconds of a visit."""
        return 1e6 * self.seconds / self.visits


@dataclass(frozen=True)
class Pair:
    """Runs with everything, the mean of before and after, and the run without something between them."""

    full: Cost
    without: Cost

    def ratio(self) -> float:
        """CPU time with over CPU time without."""
        return self.full.seconds / self.without.seconds

    def visit(self) -> float:
        """Microseconds that a visit costs more."""
        return self.full.visit - self.without.visit

    def stay(self) -> float:
        """The same, all of it laid on the stays."""
        return self.visit() * self.full.visits / self.full.stays


def tell(study: str, days: int, rounds: int) -> None:
    """Measure and print."""
    case = all_in_force(list(cases(sim.load(study)).values())[-1], days)
    others = {"nothing": case, **without(case)}
    measure(case)  # compile kernels and fill caches outside the measurement
    found = [dict(_round(case, others)) for _ in range(rounds)]
    print(f"what each mechanism costs, {study} from {case.from_} to {case.to}: CPU time with it over without it")
    for name in others:
        pairs = [pairs[name] for pairs in found]
        print(f"  {name}: {_spread(pairs, Pair.ratio)}; {_spread(pairs, Pair.visit)} microseconds per visit")
        if name == "stays":
            print(f"  {name}, all of it laid on them: {_spread(pairs, Pair.stay)} microseconds per stay")


def all_in_force(case: Case, days: int) -> Case:
    """So many days of luck alone, each of them measured, under all levers at what they reach in the end."""
    first = max([*case.policy.dates(), case.from_])
    to = first + timedelta(days=days - 1)
    return replace(case, uncertainty="luck", warmup_from=first, from_=first, to=to)


def without(case: Case) -> dict[str, Case]:
    """The case without each group of levers that it pulls, and without some facts that cost."""
    pulled = dict.fromkeys(group for group, _, _ in case.policy.pulled())
    groups = {name: replace(case, policy=case.policy.only([g for g in GROUPS if g != name])) for name in pulled}
    rooms = [facility.model_copy(update={"imaging": []}) for facility in case.network.facilities]
    sessions = {"theatres": None, "day_centre": None}
    beds_alone = [facility.model_copy(update=sessions) for facility in case.network.facilities]
    facts = {
        "theatres and day centres": replace(case, network=case.network.model_copy(update={"facilities": beds_alone})),
        "imaging rooms": replace(case, network=case.network.model_copy(update={"facilities": rooms})),
        "exams of the same visit": _never(case, "exam"),
        "stays": _never(case, "admission"),
    }
    return groups | {name: other for name, other in facts.items() if other != case}


def _never(case: Case, share: str) -> Case:
    """The case in which a share of every condition is none."""
    conditions = {name: c.model_copy(update={share: NONE}) for name, c in case.care.conditions.items()}
    return replace(case, care=case.care.model_copy(update={"conditions": conditions}))


def _round(case: Case, others: Mapping[str, Case]) -> Iterator[tuple[str, Pair]]:
    """Each of the others once, between two runs of the case."""
    before = measure(case)
    for name, other in others.items():
        between, after = measure(other), measure(case)
        yield name, Pair(replace(after, seconds=(before.seconds + after.seconds) / 2), between)
        before = after


def measure(case: Case) -> Cost:
    """CPU time of one replication; a return with results belongs to the visit that sent for them."""
    began = time.process_time()
    ((_, _, tables),) = simulate({"": case}, [0])
    seconds = time.process_time() - began
    daily = tables["visits_daily"]
    visits = daily.loc[daily["kind"] != "return", "visits"].sum()
    stays = tables["stays_monthly"]
    outside = stays.loc[stays["facility"] == "outside", "episodes"].sum()
    return Cost(seconds, int(visits), int(tables["beds_monthly"]["requests"].sum() + outside))


def _spread(pairs: list[Pair], of: Callable[[Pair], float]) -> str:
    values = [of(pair) for pair in pairs]
    return f"{median(values):.3f} ({min(values):.3f} to {max(values):.3f})"
