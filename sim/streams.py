"""One random number per purpose and person, vectorised.

Luck belongs to the person, not to the queue: a number is a pure function of a key (seed, replication, who), a purpose
and an index. Nothing here remembers anything, so the order of events, the scenario, the number of workers and the
packing of replications cannot change a draw.

The generator is SplitMix64 (Steele, Lea, Flood 2014, doi 10.1145/2660193.2660195) used as a counter-based hash: number
i of key k is `mix(k + i * GOLDEN)`, which is exactly the i-th output of SplitMix64 seeded with k. Known answers are in
the tests.
"""

from __future__ import annotations

import math
from enum import IntEnum, unique
from functools import lru_cache
from hashlib import blake2b

import numpy as np
from numpy.typing import ArrayLike, NDArray

from sim.kernels import kernel

Keys = NDArray[np.uint64]
Floats = NDArray[np.float64]

GOLDEN = np.uint64(0x9E3779B97F4A7C15)
CELL = 14
"""Bits of a cell: a table this long stays in the processor's cache."""
_M1, _M2 = np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB)
_S8, _S12, _S27, _S30, _S31, _CELL_ABOVE = (np.uint64(n) for n in (8, 12, 27, 30, 31, 64 - CELL))
_ONE = np.uint64(1)
TABLE = 1 << CELL
"""Cells of a quantile table: a law is looked up by the first bits of a number."""

_GOLDEN, _ALL_BITS, _CELL_BITS = int(GOLDEN), (1 << 64) - 1, np.uint64(TABLE - 1)
_TO_UNIT = 2.0**-52


@unique
class Purpose(IntEnum):
    """What a number is for. A purpose keeps its number for ever: renumbering changes every result."""

    # of an episode, drawn once
    PERSON = 1
    TIME = 2
    SEVERITY = 3
    TRIAGE = 4
    ADMISSION = 5
    STAY = 6
    CONSENT = 7
    PROPOSAL = 8
    PATIENCE = 9
    ADHERENCE = 10
    STEP_ELIGIBLE = 11
    BED_PATIENCE = 12
    OPERATION = 77
    INTENSIVE = 78
    RECOVERY = 79
    FORGOES_BED = 95
    INCLINATION = 98
    # of a choice of door (index: level)
    DOOR_LEVEL = 20
    DOOR_FACILITY = 30
    DOOR_BOOKS = 31
    EXPERT = 32
    # of a visit
    SERVICE = 40
    EXAM = 41
    TURNAROUND = 42
    FOLLOW_UP = 44
    FOLLOW_UP_TIME = 45
    FORMAL = 46
    ACCEPTED = 47
    FOLLOWS_ADVICE = 48
    UP_CHOICE = 49
    NO_SHOW = 50
    PUNCTUALITY = 51
    SETTLED = 52
    REPEAT = 53
    REFILL = 54
    RESCUE = 55
    SETTLED_BY_READING = 74
    # of a follow-up that was missed
    EXACERBATION = 56
    EXACERBATION_TIME = 57
    MADE_UP = 58
    MADE_UP_TIME = 59
    # of a visit as well
    PARTNER = 75
    JOINT = 76
    # of large equipment
    IMAGING = 70
    IMAGING_NO_SHOW = 71
    INPATIENT_IMAGING = 92
    # of a stay that ended at home
    READMISSION = 90
    READMISSION_TIME = 91
    # of a resident or a long-term patient
    CONTRACT = 60
    CONDITION = 61
    PHASE = 62
    RECHOICE = 63
    STATION = 64
    INSURANCE = 65
    USES_CONTRACT = 67
    LONG_PRESCRIPTION = 68
    SENT_DOWN = 69
    CARE_CENTRE = 72
    INTERNET = 73
    # of a visit as well
    JOINT_WARD = 85
    # of a facility
    STANDARD = 100
    FEATURE = 102
    # of an episode as well
    WITHIN_REACH = 101
    # of a need in an epidemic, and of a planned stay
    SURGE = 110
    STAYS_AWAY = 111
    PUT_OFF = 112
    # of a patient who lies in a bed when an overfull run begins
    LIES_WITH = 113
    LIES_WHO = 114
    LEFT_OF_STAY = 115
    LONGER = 116
    ADVICE = 106
    # of an episode as well
    COLLECTED = 107
    # of a village station
    INTEGRATED = 105


def mix(x: Keys) -> Keys:
    """The SplitMix64 finaliser: uint64 of any shape -> uint64 of the same shape."""
    x = (x ^ (x >> _S30)) * _M1
    x = (x ^ (x >> _S27)) * _M2
    return x ^ (x >> _S31)


@kernel
def mixed(x: np.uint64) -> np.uint64:
    """`mix` of one number."""
    x = (x ^ (x >> _S30)) * _M1
    x = (x ^ (x >> _S27)) * _M2
    return x ^ (x >> _S31)


@kernel
def child_of(key: np.uint64, index: int) -> np.uint64:
    """`child` of one key."""
    return mixed(mixed(np.uint64(key) + (np.uint64(index) + _ONE) * GOLDEN))


@kernel
def bits_of(key: np.uint64, purpose: int, index: int) -> np.uint64:
    """`bits` of one key."""
    return mixed(np.uint64(key) + ((np.uint64(index) << _S8) + np.uint64(purpose)) * GOLDEN)


@kernel
def uniform_of(key: np.uint64, purpose: int, index: int) -> float:
    """`uniform` of one key."""
    return (float(bits_of(key, purpose, index) >> _S12) + 0.5) * _TO_UNIT


@kernel
def cell_of(key: np.uint64, purpose: int, index: int) -> int:
    """`cell` of one key."""
    return int(bits_of(key, purpose, index) >> _CELL_ABOVE)


@kernel
def lognormal_of(quantile: float, sigma: float) -> float:
    """A number of a lognormal law with mean 1 from a quantile of the normal law; `sigma`: spread of the logarithm."""
    return math.exp(sigma * quantile - sigma * sigma / 2.0)


def key(*parts: int | str) -> np.uint64:
    """A key from names and numbers (seed, replication, "demand", ...), stable on every machine and for ever."""
    text = "\x1f".join(f"{type(p).__name__}:{p}" for p in parts)
    return np.uint64(int.from_bytes(blake2b(text.encode(), digest_size=8).digest(), "little"))


def child(keys: ArrayLike, index: ArrayLike) -> Keys:
    """The keys of things that belong to other things: (key, index) -> key; both broadcast."""
    offset = (np.atleast_1d(index).astype(np.uint64) + np.uint64(1)) * GOLDEN
    return mix(mix(np.atleast_1d(np.asarray(keys, dtype=np.uint64)) + offset))


def bits(keys: Keys, purpose: int, index: ArrayLike = 0) -> Keys:
    """64 random bits for each key; `index` (below 2^32) tells repeated draws of one purpose apart."""
    if isinstance(index, int):
        return mix(keys + np.uint64(((index << 8) + purpose) * _GOLDEN & _ALL_BITS))
    return mix(keys + ((np.asarray(index).astype(np.uint64) << _S8) + np.uint64(purpose)) * GOLDEN)


def uniform(keys: Keys, purpose: int, index: ArrayLike = 0) -> Floats:
    """A number in (0, 1) for each key, never 0 or 1."""
    return ((bits(keys, purpose, index) >> _S12).astype(np.float64) + 0.5) * _TO_UNIT


def cell(keys: Keys, purpose: int, index: ArrayLike = 0) -> NDArray[np.int64]:
    """The cell of a quantile table for each key: the first bits of the same number."""
    return (bits(keys, purpose, index) >> _CELL_ABOVE).astype(np.int64)


@kernel
def quarter_of(bits: np.uint64, nth: int) -> int:
    """The nth of several independent cells of one key, four from each 64-bit number: `bits_of(..., nth >> 2)`."""
    return int((bits >> np.uint64(64 - CELL - 16 * (nth & 3))) & _CELL_BITS)


def _midpoints() -> Floats:
    return (np.arange(TABLE) + 0.5) / TABLE


@lru_cache(maxsize=1)
def normal_table() -> Floats:
    """Quantiles of the standard normal law, shape (TABLE,)."""
    from scipy.special import ndtri  # a third of a second, for those who simulate

    return np.asarray(ndtri(_midpoints()))


def sigma(cv: ArrayLike) -> Floats:
    """Spread of the logarithm of a lognormal law, from its coefficient of variation."""
    return np.asarray(np.sqrt(np.log1p(np.square(np.asarray(cv, dtype=float)))))


@lru_cache(maxsize=1)
def exponential_table() -> Floats:
    """Quantiles of an exponential law with mean 1, shape (TABLE,)."""
    table = -np.log1p(-_midpoints())
    return np.asarray(table / table.mean())


@lru_cache(maxsize=1)
def gumbel_table() -> Floats:
    """Quantiles of the standard Gumbel law, shape (TABLE,)."""
    return np.asarray(-np.log(-np.log(_midpoints())))
