"""The measuring rod of `make bench`: a two-tier system in idiomatic SimPy, one process for each patient.

Round the clock, time in days. Ten primary clinics with 90 Poisson arrivals a day each, three doctors, exponential
consultations, load 0.85. 8 % are referred to the lead hospital (12 doctors, exponential, load 0.9), where they come
before 48 walk-ins a day without interrupting anybody. 20 % of lead visits are admitted to 200 beds (lognormal, mean 7.5
days, CV 1); 30 % of those step down to 60 beds (lognormal, mean 7 days, CV 1) and keep the lead bed until one is free.
Means of waits by station and class, of blocked time and of sojourn are taken after day 40.

`python tests/idiomatic.py` prints the means beside the formulas of queueing theory, and what a patient costs.
"""

from __future__ import annotations

import math
import random
import time
from collections import defaultdict
from collections.abc import Generator
from dataclasses import dataclass, field

import simpy

CLINICS, DOCTORS, ARRIVALS, LOAD = 10, 3, 90.0, 0.85
LEAD_DOCTORS, LEAD_LOAD, WALK_INS = 12, 0.9, 48.0
REFERRED_SHARE, ADMITTED_SHARE, STEP_DOWN_SHARE = 0.08, 0.20, 0.30
BEDS, STAY, STEP_DOWN_BEDS, STEP_DOWN_STAY = 200, 7.5, 60, 7.0
WARM_UP = 40.0

CONSULTATION = LOAD * DOCTORS / ARRIVALS
LEAD_ARRIVALS = CLINICS * ARRIVALS * REFERRED_SHARE + WALK_INS
LEAD_CONSULTATION = LEAD_LOAD * LEAD_DOCTORS / LEAD_ARRIVALS
SIGMA = math.sqrt(math.log(2.0))
REFERRED, WALK_IN = 0, 1

Story = Generator[simpy.Event, object, None]


@dataclass
class Tally:
    """A mean in the making."""

    number: int = 0
    total: float = 0.0

    def add(self, value: float) -> None:
        """One more value."""
        self.number += 1
        self.total += value

    @property
    def mean(self) -> float:
        """The mean so far."""
        return self.total / self.number


@dataclass
class Town:
    """Two tiers and those who pass through them."""

    env: simpy.Environment
    luck: random.Random
    tallies: dict[str, Tally] = field(default_factory=lambda: defaultdict(Tally))
    patients: int = 0
    visits: int = 0

    def __post_init__(self) -> None:
        self.clinics = [simpy.Resource(self.env, DOCTORS) for _ in range(CLINICS)]
        self.lead = simpy.PriorityResource(self.env, LEAD_DOCTORS)
        self.beds = simpy.Resource(self.env, BEDS)
        self.step_down = simpy.Resource(self.env, STEP_DOWN_BEDS)
        for clinic in self.clinics:
            self.env.process(self.residents(clinic))
        self.env.process(self.walk_ins())

    def residents(self, clinic: simpy.Resource) -> Story:
        """Residents arrive at a primary clinic."""
        while True:
            yield self.env.timeout(self.luck.expovariate(ARRIVALS))
            self.env.process(self.resident(clinic))

    def walk_ins(self) -> Story:
        """Others arrive at the lead hospital on their own account."""
        while True:
            yield self.env.timeout(self.luck.expovariate(WALK_INS))
            self.env.process(self.walk_in())

    def resident(self, clinic: simpy.Resource) -> Story:
        """A primary patient, from the clinic's door to home."""
        arrived = self.env.now
        self.patients += 1
        self.visits += 1
        with clinic.request() as turn:
            yield turn
            self.note("wait, primary", arrived)
            yield self.env.timeout(self.luck.expovariate(1 / CONSULTATION))
        if self.luck.random() < REFERRED_SHARE:
            yield from self.lead_visit(REFERRED)
        self.note("sojourn", arrived)

    def walk_in(self) -> Story:
        """A patient who comes to the lead hospital directly, to home."""
        arrived = self.env.now
        yield from self.lead_visit(WALK_IN)
        self.note("sojourn", arrived)

    def lead_visit(self, rank: int) -> Story:
        """An outpatient visit at the lead hospital, and a stay if need be."""
        arrived = self.env.now
        self.visits += 1
        with self.lead.request(priority=rank) as turn:
            yield turn
            self.note("wait, referred" if rank == REFERRED else "wait, walk-in", arrived)
            yield self.env.timeout(self.luck.expovariate(1 / LEAD_CONSULTATION))
        if self.luck.random() < ADMITTED_SHARE:
            yield from self.stay()

    def stay(self) -> Story:
        """A stay at the lead hospital; the bed is kept until a step-down bed is free."""
        asked = self.env.now
        with self.beds.request() as bed:
            yield bed
            self.note("wait, bed", asked)
            yield self.env.timeout(self.lognormal(STAY))
            if self.luck.random() >= STEP_DOWN_SHARE:
                return
            ready = self.env.now
            next_bed = self.step_down.request()
            yield next_bed
            self.note("blocked", ready)
        yield self.env.timeout(self.lognormal(STEP_DOWN_STAY))
        self.step_down.release(next_bed)

    def note(self, what: str, since: float) -> None:
        """Count a duration that began after the warm-up."""
        if since >= WARM_UP:
            self.tallies[what].add(self.env.now - since)

    def lognormal(self, mean: float) -> float:
        """A lognormal duration with coefficient of variation 1."""
        return self.luck.lognormvariate(math.log(mean) - SIGMA * SIGMA / 2, SIGMA)


@dataclass(frozen=True)
class Cost:
    """CPU time of a run over what it simulated."""

    per_patient: float
    """Microseconds for each primary patient (the unit of published comparisons)."""

    per_visit: float
    """Microseconds for each consultation, primary or lead."""


def run(days: float = 111.0, seed: int = 1) -> tuple[Town, Cost]:
    """Simulate so many days (111: about 100,000 primary patients)."""
    env = simpy.Environment()
    town = Town(env, random.Random(seed))
    began = time.process_time()
    env.run(until=days)
    spent = 1e6 * (time.process_time() - began)
    return town, Cost(spent / town.patients, spent / town.visits)


def erlang_wait(servers: int, load: float) -> float:
    """Probability that an arrival waits in M/M/c at a load per server."""
    offered = servers * load
    blocked = 1.0
    for n in range(1, servers + 1):
        blocked = offered * blocked / (n + offered * blocked)
    return blocked / (1 - load * (1 - blocked))


def theory() -> dict[str, float]:
    """Mean waits by Erlang C and, with two classes, Cobham."""
    primary = erlang_wait(DOCTORS, LOAD) * CONSULTATION / (DOCTORS * (1 - LOAD))
    residual = erlang_wait(LEAD_DOCTORS, LEAD_LOAD) * LEAD_CONSULTATION / LEAD_DOCTORS
    first = LEAD_LOAD * (1 - WALK_INS / LEAD_ARRIVALS)
    return {
        "wait, primary": primary,
        "wait, referred": residual / (1 - first),
        "wait, walk-in": residual / ((1 - first) * (1 - LEAD_LOAD)),
    }


def main() -> None:
    """Print the means, the formulas and the cost."""
    town, cost = run()
    known = theory()
    for what, tally in sorted(town.tallies.items()):
        beside = f"  (theory {known[what]:.5f})" if what in known else ""
        print(f"{what:15} {tally.mean:9.5f} days, {tally.number} times{beside}")
    print(f"{cost.per_patient:.1f} microseconds per primary patient, {cost.per_visit:.1f} per visit")


if __name__ == "__main__":
    main()
