"""Residents: so many of each age in each area, the same people whatever the facts about them."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import norm

import towns
from sim.network import Network
from sim.population import AGES, KEY_AGE, Population, PopulationSpec
from sim.schema import InputError

NET = Network(towns.network(towns.group_facilities(), "lead", towns.AREAS), ["general"], {"cold": "general"})
RESIDENTS = {"town": 24_001, "valley": 15_999}
SURE = norm.isf(1e-6)


def people(residents: dict[str, int] | None = None, contracted: float = 0.3, seed: int = 1) -> Population:
    """The residents of two areas."""
    return Population(towns.population(residents or RESIDENTS, contracted), NET, seed)


def test_everybody_is_there_by_area_and_age() -> None:
    pop = people()
    assert pop.size == 40_000
    assert pop.counts.sum(axis=1).tolist() == [24_001, 15_999]
    for a in range(2):
        shares = pop.counts[a] / pop.counts[a].sum()
        assert shares == pytest.approx([0.25, 0.5, 0.25], abs=1e-4)
        for g in range(len(AGES)):
            first, size = pop.first[a, g], pop.counts[a, g]
            assert (pop.area[first : first + size] == a).all()
            assert (pop.age[first : first + size] == g).all()
    assert len(np.unique(pop.key)) == pop.size


def test_shares_are_met_within_luck() -> None:
    pop = people()
    for found, share in (
        (pop.employee, 0.3),
        (pop.contracts(pop.spec), 0.3),
        (pop.contracts(pop.spec, 0.7), 0.7),
    ):
        assert abs(found.mean() - share) < SURE * np.sqrt(share * (1 - share) / pop.size)
    assert not pop.contracts(pop.spec, 0.0).any()
    assert pop.contracts(pop.spec, 1.0).all()


def test_a_higher_coverage_adds_contracts_and_ends_none() -> None:
    pop = people()
    low, high = pop.contracts(pop.spec, 0.4), pop.contracts(pop.spec, 0.6)
    assert (high | ~low).all()
    assert high.sum() > low.sum()


def test_an_area_may_have_its_own_coverage() -> None:
    pop = people()
    surveyed, valley, key = pop.contracts(pop.spec), pop.area == 1, pop.age == KEY_AGE
    only = pop.contracts(pop.spec, coverage_in={"valley": 1.0})
    assert only[valley].all()
    assert np.array_equal(only[~valley], surveyed[~valley]), "areas that are not named stay as surveyed"
    beside = pop.contracts(pop.spec, 0.0, coverage_in={"valley": 1.0})
    assert np.array_equal(beside, valley), "they follow the coverage of all where it is set"
    elderly = pop.contracts(pop.spec, 0.0, key=0.0, coverage_in={"valley": 1.0})
    assert np.array_equal(elderly, valley & ~key), "the key population has its own share everywhere"
    assert np.array_equal(pop.contracts(pop.spec, coverage_in={}), surveyed)


def test_only_contracts_in_use_act() -> None:
    half = towns.population(RESIDENTS, 0.8).model_dump(exclude_none=True) | {"uses_contract": towns.said(0.5)}
    pop = Population(PopulationSpec.model_validate(half), NET, 1)
    assert pop.contracts(pop.spec).mean() == pytest.approx(0.4, abs=0.02)


def test_the_same_people_in_every_replication_and_whatever_is_assumed_of_them() -> None:
    assert np.array_equal(people().key, people(contracted=0.9).key)
    assert not np.array_equal(people().key, people(seed=2).key)


def test_another_area_changes_nobody_elsewhere() -> None:
    one, other = people(), people({"town": 24_001, "valley": 20_000})
    assert np.array_equal(one.key[one.area == 0], other.key[other.area == 0])
    valley = one.key[one.area == 1]
    assert np.array_equal(valley, other.key[other.area == 1][: len(valley)])


def test_residents_are_shared_among_the_stations_of_their_area() -> None:
    pop = people()
    ids = np.array([NET.facilities[NET.points[p].facility].id for p in pop.station])
    assert set(ids[pop.area == 0]) == {"station"}
    names, counts = np.unique(ids[pop.area == 1], return_counts=True)
    assert names.tolist() == ["village-001", "village-002"]
    assert abs(counts[0] / counts.sum() - 0.5) < SURE * 0.5 / np.sqrt(counts.sum())


def test_an_area_without_stations_has_none() -> None:
    net = Network(
        towns.network([towns.facility("only", "centre", clinics=[towns.clinic(1)])]), ["general"], {"cold": "general"}
    )
    assert (Population(towns.population({"town": 10}), net, 1).station == -1).all()


def test_a_drawn_number_of_residents_scales_their_needs() -> None:
    pop = people()
    drawn = towns.population({"town": 26_401, "valley": 15_999})
    assert pop.area_factor(drawn) == pytest.approx([26_401 / 24_001, 1.0])


@pytest.mark.parametrize("ages", [[0.5, 0.5], [0.5, 0.4, 0.2], [1.2, -0.2, 0.0]])
def test_ages_are_three_shares_that_sum_to_one(ages: list[float]) -> None:
    spec = towns.population(RESIDENTS).model_dump(exclude_none=True) | {"ages_rural": towns.said(ages)}
    with pytest.raises((ValueError, InputError), match="three shares"):
        PopulationSpec.model_validate(spec)
