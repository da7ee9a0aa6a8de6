"""Luck: published answers, uniform and independent numbers, and no two keys with the same number."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import stats

from sim import streams
from sim.kernels import Kernel
from sim.streams import GOLDEN, TABLE, Floats, Purpose, bits, cell, child, key, mix, uniform

MANY = 200_000
KEYS = child(key(1, 0, "people"), np.arange(MANY))
ALPHA = 1e-6
"""Chance that a right generator fails one of these tests; the numbers are fixed, so it is the same in every run."""


def test_known_answers_of_splitmix64_with_seed_1234567() -> None:
    outputs = mix(np.uint64(1234567) + np.arange(1, 6, dtype=np.uint64) * GOLDEN)
    assert outputs.tolist() == [
        6457827717110365317,
        3203168211198807973,
        9817491932198370423,
        4593380528125082431,
        16408922859458223821,
    ]


def test_bits_are_the_outputs_of_splitmix64_seeded_with_the_key() -> None:
    assert bits(np.array([1234567], dtype=np.uint64), 1)[0] == 6457827717110365317
    assert bits(np.array([1234567], dtype=np.uint64), 2)[0] == 3203168211198807973


@pytest.mark.parametrize("purpose", [Purpose.TIME, Purpose.SERVICE, Purpose.ADHERENCE])
def test_numbers_are_uniform(purpose: Purpose) -> None:
    numbers = uniform(KEYS, purpose)
    assert numbers.min() > 0
    assert numbers.max() < 1
    counts = np.bincount((numbers * 1000).astype(int), minlength=1000)
    assert stats.chisquare(counts).pvalue > ALPHA
    assert stats.kstest(numbers, "uniform").pvalue > ALPHA


def test_the_ends_of_the_range_are_never_reached(monkeypatch: pytest.MonkeyPatch) -> None:
    for extreme in (0, (1 << 64) - 1):
        monkeypatch.setattr(streams, "bits", lambda keys, purpose, index=0, x=extreme: np.array([x], dtype=np.uint64))
        assert 0.0 < uniform(KEYS[:1], Purpose.TIME)[0] < 1.0
        monkeypatch.setattr(streams, "bits_of", lambda key, purpose, index, x=extreme: np.uint64(x))
        assert 0.0 < streams.uniform_of.plain(KEYS[0], Purpose.TIME, 0) < 1.0


@cache
def quarters(nth: int) -> np.ndarray[Any, Any]:
    """The nth cell of every key."""
    purpose = int(Purpose.DOOR_LEVEL)  # numba takes its time over members of an enumeration
    return np.array([streams.quarter_of(np.uint64(streams.bits_of(k, purpose, nth >> 2)), nth) for k in KEYS])


def test_neighbours_purposes_and_indices_are_independent() -> None:
    pairs = [
        (uniform(KEYS[:-1], Purpose.STAY), uniform(KEYS[1:], Purpose.STAY)),
        (uniform(KEYS, Purpose.STAY), uniform(KEYS, Purpose.CONSENT)),
        (uniform(KEYS, Purpose.DOOR_LEVEL, 0), uniform(KEYS, Purpose.DOOR_LEVEL, 1)),
        (uniform(KEYS, Purpose.STAY), uniform(child(KEYS, 0), Purpose.STAY)),
        (quarters(0) / TABLE, quarters(1) / TABLE),
        (quarters(3) / TABLE, quarters(4) / TABLE),
        (
            uniform(child(key(1, 0, "people"), np.arange(MANY)), 1),
            uniform(child(key(1, 1, "people"), np.arange(MANY)), 1),
        ),
    ]
    for one, other in pairs:
        assert abs(np.corrcoef(one, other)[0, 1]) * np.sqrt(len(one)) < stats.norm.isf(ALPHA / 2)
        table = np.histogram2d(one, other, bins=20, range=[[0, 1], [0, 1]])[0]
        assert stats.chisquare(table.ravel()).pvalue > ALPHA


def test_numbers_disperse_like_luck_and_not_like_a_lattice() -> None:
    numbers = uniform(KEYS, Purpose.TIME)
    counts = np.bincount((numbers * 20_000).astype(int), minlength=20_000)  # ten in each cell
    statistic = counts.var(ddof=1) / counts.mean() * (len(counts) - 1)
    low, high = stats.chi2.ppf([ALPHA, 1 - ALPHA], len(counts) - 1)
    assert low < statistic < high


def test_a_million_keys_of_replication_person_and_index_never_collide() -> None:
    names = [key(seed, replication, "need", age) for seed in (1, 2) for replication in range(5) for age in ("a", "b")]
    people = np.concatenate([child(name, np.arange(10_000)) for name in names])
    visits = np.concatenate([child(people, index) for index in range(5)])
    assert len(np.unique(visits)) == 1_000_000
    assert len(np.unique(bits(visits, Purpose.SERVICE))) == 1_000_000


def test_purposes_never_share_a_number() -> None:
    assert len({int(p) for p in Purpose}) == len(Purpose)
    assert max(Purpose) < 256  # the index stands above the first byte
    drawn = np.concatenate([bits(KEYS[:1], p, np.arange(1000)) for p in Purpose])
    assert len(np.unique(drawn)) == 1000 * len(Purpose)


def test_purposes_keep_their_numbers() -> None:
    """Renumbering changes every result ever published: whoever adds a purpose takes a new number."""
    fixed = {
        "PERSON": 1,
        "TIME": 2,
        "SEVERITY": 3,
        "ADMISSION": 5,
        "STAY": 6,
        "DOOR_LEVEL": 20,
        "SERVICE": 40,
        "FORMAL": 46,
        "CONTRACT": 60,
    }
    assert {name: int(Purpose[name]) for name in fixed} == fixed


def test_an_index_given_as_array_or_number_is_the_same_index() -> None:
    for index in (0, 7, 2**31):
        assert np.array_equal(bits(KEYS[:100], 3, index), bits(KEYS[:100], 3, np.full(100, index)))


def test_a_number_depends_on_its_own_key_alone() -> None:
    whole = uniform(KEYS, Purpose.STAY)
    order = np.argsort(uniform(KEYS, Purpose.TIME))
    assert np.array_equal(uniform(KEYS[order], Purpose.STAY), whole[order])
    assert np.array_equal(np.concatenate([uniform(KEYS[:777], Purpose.STAY), uniform(KEYS[777:], Purpose.STAY)]), whole)


def test_names_are_stable_and_tell_apart_what_prints_alike() -> None:
    assert int(key(1, 0, "need", "town", "15-59", "cold")) == 16850551747152780488
    assert len({int(key(*parts)) for parts in [(1, 23), (12, 3), ("1", 23), ("123",), (1, "23"), (123,)]}) == 6


def lengths_of(cells: NDArray[np.int64], cv: float) -> Floats:
    """Numbers of a lognormal law with mean 1, for cells of the table; the formula, for all at once."""
    spread = float(streams.sigma(cv))
    return np.asarray(np.exp(spread * streams.normal_table()[cells] - spread**2 / 2))


@pytest.mark.parametrize("cv", [0.0, 0.5, 1.0])
def test_lengths_have_the_mean_and_spread_that_was_asked_for(cv: float) -> None:
    lengths = lengths_of(np.arange(TABLE), cv)
    assert lengths.mean() == pytest.approx(1, rel=2e-3)
    assert lengths.std() == pytest.approx(cv, rel=0.02, abs=1e-12)
    assert np.all(np.diff(lengths) >= 0)


def test_exponential_and_gumbel_tables_are_quantiles() -> None:
    share = (np.arange(TABLE) + 0.5) / TABLE
    assert streams.exponential_table().mean() == pytest.approx(1, abs=1e-12)
    assert streams.exponential_table().var() == pytest.approx(1, rel=1e-3)
    assert np.allclose(stats.gumbel_r.cdf(streams.gumbel_table()), share)


def test_several_cells_of_a_key_are_uniform_each() -> None:
    for nth in range(6):
        counts = np.bincount(quarters(nth) * 1024 // TABLE, minlength=1024)
        assert stats.chisquare(counts).pvalue > ALPHA


def test_a_cell_is_the_top_of_the_same_number() -> None:
    assert np.array_equal(cell(KEYS, Purpose.STAY), (uniform(KEYS, Purpose.STAY) * TABLE).astype(int))


# ------------------------------------------------------------------------------------------------------ one at a time


SOME = np.concatenate([KEYS[:500], np.array([0, 1, 2**63, 2**64 - 1], dtype=np.uint64)])
DRAWS = [(purpose, index) for purpose in (Purpose.PERSON, Purpose.USES_CONTRACT, 255) for index in (0, 7, 2**32 - 1)]


@pytest.fixture(params=["compiled", "plain"])
def one_at_a_time(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Scalar functions as machine code and as they are written."""
    if request.param == "plain":
        monkeypatch.setattr(Kernel, "run", property(lambda self: self.plain))


@pytest.mark.usefixtures("one_at_a_time")
def test_a_number_drawn_for_one_is_the_number_drawn_for_all() -> None:
    assert [int(streams.mixed(k)) for k in SOME] == mix(SOME).tolist()
    for index in (0, 7, 2**32 - 1):
        assert [int(streams.child_of(k, index)) for k in SOME] == child(SOME, index).tolist()
    for purpose, index in DRAWS:
        assert [int(streams.bits_of(k, purpose, index)) for k in SOME] == bits(SOME, purpose, index).tolist()
        assert [streams.uniform_of(k, purpose, index) for k in SOME] == uniform(SOME, purpose, index).tolist()
        assert [streams.cell_of(k, purpose, index) for k in SOME] == cell(SOME, purpose, index).tolist()


@pytest.mark.usefixtures("one_at_a_time")
@pytest.mark.parametrize("nth", range(9))
def test_a_quarter_is_the_top_of_the_nth_part_of_the_numbers_of_a_key(nth: int) -> None:
    whole = bits(SOME, Purpose.DOOR_LEVEL, nth // 4).astype(">u8").view(">u2").reshape(-1, 4)
    found = [streams.quarter_of(np.uint64(streams.bits_of(k, Purpose.DOOR_LEVEL, nth >> 2)), nth) for k in SOME]
    assert found == (whole[:, nth % 4].astype(int) * TABLE >> 16).tolist()


@pytest.mark.usefixtures("one_at_a_time")
@pytest.mark.parametrize("cv", [0.0, 0.5, 1.0])
def test_a_length_for_one_is_that_for_all(cv: float) -> None:
    """Up to rounding: arrays take exponentials several at once."""
    cells = np.arange(0, TABLE, 97)
    quantiles, spread = streams.normal_table()[cells], float(streams.sigma(cv))
    found = [streams.lognormal_of(q, spread) for q in quantiles]
    assert found == pytest.approx(lengths_of(cells, cv).tolist(), rel=1e-14)
