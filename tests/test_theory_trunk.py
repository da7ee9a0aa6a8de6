"""Where theory has a formula for kinds of bed quota, a ward meets it: trunk reservation and partition.

Patients come to one ward as Poisson processes and lie in it exponential times; whoever may not have a bed at once goes
away, unless said otherwise. Each expected value comes from a formula or from the Markov chain of the ward, solved here.
The rule of agreement stands in `agreement`: with the twenty means of this file a right model fails in 1 run of some
50,000, and a mean that is five standard errors off is caught (tested in `test_theory`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from itertools import product
from math import factorial, inf

import numpy as np
import pytest

from agreement import REPLICATIONS, Sample, agrees
from chains import State, at_rest, explored, generator
from sim.beds import EMERGENCY, OTHER, PARTITION, PROTECT, REFERRED, BedPool
from sim.stays import Clock, Course, Hospital, Stay
from sim.timetable import DAY

Moves = Callable[[State], Iterator[tuple[State, float]]]

BEDS = 8
PATIENTS = 6000


@dataclass(frozen=True)
class Class:
    """Patients of one kind."""

    entry: int
    per_day: float
    stay: float
    """Mean days."""
    patience: float = 0.0
    """Minutes."""


@dataclass(frozen=True)
class Ward:
    """A ward of eight beds, some of them under a quota of a kind."""

    kind: str
    quota: int
    classes: tuple[Class, ...]

    def measured(self, seed: int, times: int) -> list[list[tuple[float, float]]]:
        """Of each replication and class: share of patients who went away, and mean days that the others waited."""
        return [self._one([seed, times, r], PATIENTS * times) for r in range(REPLICATIONS)]

    def _one(self, seed: list[int], patients: int) -> list[tuple[float, float]]:
        luck, env = np.random.default_rng(seed), Clock()
        pool = BedPool(0, BEDS)
        hospital = Hospital(env, [pool], (0, 24))
        left: list[int] = []
        hospital.gives_up = lambda stay: left.append(stay.course.key)
        for _ in range(pool.set_quota(Fraction(self.quota, BEDS), 0.0, self.kind)):
            hospital.watch(pool)
        rates = np.array([c.per_day for c in self.classes])
        when = np.cumsum(luck.exponential(DAY / rates.sum(), patients))
        which = luck.choice(len(rates), patients, p=rates / rates.sum())
        for key, (n, minute) in enumerate(zip(which.tolist(), when.tolist(), strict=True)):
            c = self.classes[n]
            course = Course(0, key, key, 0, 1, luck.exponential(c.stay * DAY), inf, 0.5, 0.5, c.patience)
            Stay(hospital, hospital.courses.note_one(course), 0, c.entry, 2, minute)
        env.run_until(when[-1] + 1000 * DAY)
        assert (pool.occupied, pool.waiting) == (0, 0)
        waited = np.full(patients, np.nan)
        legs = hospital.ended()
        waited[legs["key"]] = legs["admitted"] - legs["requested"]
        assert np.isnan(waited).sum() == len(left)
        settled = np.arange(patients) >= patients // 20
        mine = [waited[settled & (which == n)] for n in range(len(rates))]
        return [(float(np.isnan(w).mean()), float(np.nanmean(w) / DAY)) for w in mine]


def disagreements(ward: Ward, expected: dict[tuple[int, int], float]) -> list[str]:
    """Which means are not as expected, by class and place in `Ward.measured`; both stages run at most once."""
    drawn: dict[tuple[int, int], list[list[tuple[float, float]]]] = {}

    def sample(n: int, what: int) -> Sample:
        def read(seed: int, times: int) -> list[float]:
            if (seed, times) not in drawn:
                drawn[seed, times] = ward.measured(seed, times)
            return [one[n][what] for one in drawn[seed, times]]

        return read

    return [
        f"class {n}, {what}: expected {value:.6g}, found {sample(n, what)(1, 1)}"
        for (n, what), value in expected.items()
        if not agrees(sample(n, what), value)
    ]


def erlang_b(offered: float, beds: int) -> float:
    """Share of patients who find all beds occupied, where nobody waits."""
    terms = [offered**k / factorial(k) for k in range(beds + 1)]
    return terms[-1] / sum(terms)


def equal_stays(entitled: float, others: float, stay: float, kept: int) -> tuple[float, float]:
    """Share refused of the entitled and of the others: the number of occupied beds goes up and down by one."""
    up = [entitled + others * (BEDS - n > kept) for n in range(BEDS)]
    law = at_rest(up, [(n + 1) / stay for n in range(BEDS)])
    return float(law[-1]), float(law[BEDS - kept :].sum())


def unequal_stays(classes: tuple[Class, ...], kept: int) -> list[float]:
    """Share refused of each class: the chain knows how many of each class are inside."""
    states = [s for s in product(range(BEDS + 1), repeat=len(classes)) if sum(s) <= BEDS]
    number = {s: i for i, s in enumerate(states)}
    rates, refused = np.zeros((len(states), len(states))), np.zeros((len(classes), len(states)))
    for s, (n, c) in product(states, enumerate(classes)):
        more, fewer = (tuple(x + step * (i == n) for i, x in enumerate(s)) for step in (1, -1))
        if BEDS - sum(s) > (kept if c.entry >= OTHER else 0):
            rates[number[s], number[more]] = c.per_day
        else:
            refused[n, number[s]] = 1.0
        if s[n]:
            rates[number[s], number[fewer]] = s[n] / c.stay
    equations = np.vstack([generator(rates).T, np.ones(len(states))])
    law = np.linalg.lstsq(equations, np.eye(1, len(states) + 1, len(states))[0], rcond=None)[0]
    return [float(x) for x in refused @ law]


def test_the_chains_agree_where_they_describe_the_same_ward() -> None:
    """Equal stays: the chain of two numbers is that of their sum; nothing kept: Erlang."""
    classes = (Class(REFERRED, 2.0, 1.5), Class(OTHER, 3.0, 1.5))
    assert unequal_stays(classes, 2) == pytest.approx(equal_stays(2.0, 3.0, 1.5, 2))
    assert unequal_stays(classes, 0) == pytest.approx([erlang_b(7.5, BEDS)] * 2)
    longer = (Class(REFERRED, 2.0, 3.0), Class(OTHER, 3.0, 0.5))  # insensitive: the load alone matters
    assert unequal_stays(longer, 0) == pytest.approx([erlang_b(7.5, BEDS)] * 2)


@pytest.mark.parametrize("kept", [1, 3])
def test_trunk_reservation_refuses_as_the_chain_says(kept: int) -> None:
    """Two classes, equal stays."""
    ward = Ward(PROTECT, kept, (Class(REFERRED, 2.0, 1.5), Class(OTHER, 3.0, 1.5)))
    entitled, others = equal_stays(2.0, 3.0, 1.5, kept)
    assert entitled < erlang_b(7.5, BEDS) < others
    assert disagreements(ward, {(0, 0): entitled, (1, 0): others}) == []


@pytest.mark.parametrize("stays", [(3.0, 0.5), (0.5, 2.2)])
def test_trunk_reservation_with_unequal_stays_refuses_as_the_chain_says(stays: tuple[float, float]) -> None:
    classes = (Class(REFERRED, 2.0, stays[0]), Class(OTHER, 3.0, stays[1]))
    expected = unequal_stays(classes, 2)
    assert disagreements(Ward(PROTECT, 2, classes), {(0, 0): expected[0], (1, 0): expected[1]}) == []


def test_emergencies_may_always_take_a_protected_bed() -> None:
    classes = (Class(EMERGENCY, 1.0, 1.0), Class(REFERRED, 1.0, 3.0), Class(OTHER, 3.0, 1.0))
    expected = unequal_stays(classes, 2)
    assert expected[0] == pytest.approx(expected[1])
    assert disagreements(Ward(PROTECT, 2, classes), {(n, 0): x for n, x in enumerate(expected)}) == []


def test_the_entitled_wait_for_a_protected_bed_as_the_chain_says() -> None:
    """They wait as long as it takes, the others go away: occupied beds and those who wait are one number."""
    entitled, others, stay, kept, most = 3.0, 3.0, 1.5, 2, 400
    up = [others * (BEDS - n > kept) + entitled for n in range(most)]
    law = at_rest(up, [min(n + 1, BEDS) / stay for n in range(most)])
    waiting = float(law[BEDS:] @ np.arange(most + 1 - BEDS))
    ward = Ward(PROTECT, kept, (Class(REFERRED, entitled, stay, inf), Class(OTHER, others, stay)))
    expected = {(0, 0): 0.0, (0, 1): waiting / entitled, (1, 0): float(law[BEDS - kept :].sum())}
    assert disagreements(ward, expected) == []


def cut_off(entitled: float, others: float, stay: float, kept: int, most: tuple[int, int]) -> Moves:
    """States: occupied beds, entitled and others on the list, of whom at most so many; the others stop short of `kept`.

    Cut-off priority (Taylor and Templeton 1980): whoever is entitled may have the last bed, the others wait for more.
    """

    def settled(busy: int, first: int, second: int) -> State:
        """Those on the list who may have a bed take it."""
        if first and busy < BEDS:
            return settled(busy + 1, first - 1, second)
        if second and not first and busy < BEDS - kept:
            return settled(busy + 1, first, second - 1)
        return busy, first, second

    def moves(state: State) -> Iterator[tuple[State, float]]:
        busy, first, second = state
        if first < most[0]:
            yield settled(busy, first + 1, second), entitled
        if second < most[1]:
            yield settled(busy, first, second + 1), others
        if busy:
            yield settled(busy - 1, first, second), busy / stay

    return moves


def test_where_all_wait_the_last_beds_are_for_the_entitled_as_the_chain_says() -> None:
    """Both classes wait as long as it takes: how long, of each, and that the others wait for the sake of the first."""
    entitled, others, stay, kept = 1.8, 1.4, 1.5, 2
    states, law = explored((0, 0, 0), cut_off(entitled, others, stay, kept, (25, 90)))
    table = np.array(states)
    assert law[(table[:, 1] == 25) | (table[:, 2] == 90)].sum() < 1e-6
    _, first, second = law @ table
    assert second / others > 5 * first / entitled
    ward = Ward(PROTECT, kept, (Class(REFERRED, entitled, stay, inf), Class(OTHER, others, stay, inf)))
    expected = {(0, 0): 0.0, (1, 0): 0.0, (0, 1): first / entitled, (1, 1): second / others}
    assert disagreements(ward, expected) == []


def test_partitioned_beds_refuse_as_two_wards_do() -> None:
    """Each half by itself as Erlang says, whatever the stays of the other."""
    ward = Ward(PARTITION, 3, (Class(REFERRED, 2.0, 1.2), Class(OTHER, 3.0, 1.5)))
    assert disagreements(ward, {(0, 0): erlang_b(2.4, 3), (1, 0): erlang_b(4.5, 5)}) == []


def test_one_bed_fewer_is_caught() -> None:
    """A ward that keeps one bed is not taken for one that keeps two."""
    classes = (Class(REFERRED, 2.0, 1.5), Class(OTHER, 3.0, 1.5))
    entitled, others = equal_stays(2.0, 3.0, 1.5, 2)
    assert len(disagreements(Ward(PROTECT, 1, classes), {(0, 0): entitled, (1, 0): others})) == 2
