"""Beds of their own, or shared: how often so many beds would not do, read from the census of each midnight.

The wards have beds for everybody, so their census is the demand for beds, whatever numbers of beds are asked about
(Monks et al. 2016, doi 10.1186/s12913-016-1789-4). An arrangement gives each ward `own` beds for its patients alone and
`shared` beds for the patients of all: whoever finds the ward's own beds taken takes a shared one, and goes back as soon
as one of the ward's own is free. With N patients of a ward, (N - own)+ need a shared bed; `over` is their sum over the
wards. A patient of the ward would find no bed where its own and the shared ones are all taken. Of that there are two
readings, which differ in what becomes of those who find none:

`delay`     P(N >= own, over = shared) / P(over <= shared): among the nights on which the beds would suffice, those on
            which none is left for one more. For one ward, and for beds that are all shared, it is the paper's
            P(N = n) / P(N <= n), Erlang's loss. If those who find no bed went elsewhere, it would be exact, whatever
            the law of stays: the numbers of patients that fit are a set from which leaving never leads out, so what is
            cut off leaves the rest in proportion (coordinate convexity; Aein 1978, Kaufman 1981).
`overflow`  P(N >= own, over >= shared): among all nights, those on which the beds would be taken or too few, as if all
            came whatever they find. This is the paper's rule for beds shared in part, as its public re-implementation
            restates it, there with the two wards taken for independent; here the nights themselves say how they go
            together.

Every chance is taken for each replication and then averaged over them, with a 95 % t interval.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from analysis.compare import half_width
from analysis.ledger import SIMULATED, Frame, Ints
from sim.compose import Config, PoolingSpec
from sim.network import Network, NetworkSpec, ward_name
from sim.results import Results
from sim.timetable import DAY

Floats = NDArray[np.float64]

FILE = "pooling.csv"

ALL = "all"
"""What stands for all wards together, whose patients find the same where all beds are shared."""

COLUMNS = [
    "scenario", "arrangement", "ward", "own", "elsewhere", "shared", "delay", "delay_low", "delay_high", "overflow",
    "overflow_low", "overflow_high", "replications",
]  # fmt: skip
"""Columns of pooling.csv: `own` beds are for the patients of the `ward` alone, `elsewhere` for those of the others."""

Arrangement = tuple[str, list[int], list[int], int]
"""What it is called (alone, shared, partly_shared), which wards it is about, their own beds, the shared ones."""


def pooling(results: Results) -> Frame | None:
    """The chances that the report's config asks for; None where it asks for none."""
    spec = results.config.report.pooling
    if spec is None:
        return None
    numbers, midnights = wards_by_number(results.config.network, spec), _midnights(results.config)
    rows = [
        (scenario, *row)
        for scenario, stays in results.table("stays").groupby("scenario", observed=True, sort=False)
        for row in _rows([census(run, numbers, midnights) for _, run in stays.groupby(SIMULATED[1])], spec)
    ]
    return pd.DataFrame(rows, columns=COLUMNS)


def wards_by_number(network: NetworkSpec, spec: PoolingSpec) -> list[int]:
    """The numbers by which rows of stays know the wards."""
    built = Network(network, sorted({c.department for f in network.facilities for c in f.clinics}), {})
    names = [f"{built.facilities[ward.facility].id}/{ward_name(ward)}" for ward in built.wards]
    return [names.index(name) for name in spec.wards]


def _midnights(config: Config) -> Floats:
    """The minutes at which the measured days end, up to the last that counts."""
    spec, horizon = config.report.pooling, config.horizon
    last = (spec and spec.until) or horizon.to
    first, after = ((day - horizon.warmup_from).days for day in (horizon.from_, last))
    return np.arange(first + 1, after + 2, dtype=np.float64) * DAY


def census(stays: Frame, wards: Sequence[int], midnights: Floats) -> Ints:
    """Patients in each ward at each of these minutes of one replication, shape (wards, midnights)."""
    there = (stays[stays["ward"] == ward] for ward in wards)
    return np.array([_before(ward["admitted"], midnights) - _before(ward["discharged"], midnights) for ward in there])


def _before(times: pd.Series[Any], midnights: Floats) -> Ints:
    """How many of the times lie before each of these minutes."""
    return np.searchsorted(np.sort(times.to_numpy()), midnights)


def chances(census: Ints, own: Sequence[int], shared: int) -> Floats:
    """Delay and overflow of each ward's patients, shape (2, wards); no number where the beds would never suffice."""
    over = np.maximum(census - np.array(own)[:, None], 0).sum(axis=0)
    needs_shared = census >= np.array(own)[:, None]
    suffice = (over <= shared).sum()
    taken, last_taken = (needs_shared & (over >= shared)).mean(axis=1), (needs_shared & (over == shared)).sum(axis=1)
    return np.array([last_taken / suffice if suffice else np.full(len(own), np.nan), taken])


def _rows(runs: Sequence[Ints], spec: PoolingSpec) -> Iterator[tuple[Any, ...]]:
    """The rows of one scenario, whose replications have these censuses."""
    names = list(spec.wards)
    for arrangement, wards, own, shared in _arrangements(spec):
        found = np.array([chances(run[wards], own, shared) for run in runs])
        mean, half = found.mean(axis=0), _half(found)
        for n, name in enumerate([ALL] if arrangement == "shared" else [names[ward] for ward in wards]):
            told = (x for m, h in zip(mean[:, n], half[:, n], strict=True) for x in (m, m - h, m + h))
            yield arrangement, name, own[n], sum(own) - own[n], shared, *told, len(runs)


def _half(found: Floats) -> Floats:
    """Half of the interval of each chance; no number where there is one replication."""
    deviation = found.std(axis=0, ddof=min(1, len(found) - 1))
    return half_width(deviation, np.array(len(found)))


def _arrangements(spec: PoolingSpec) -> Iterator[Arrangement]:
    everyone = list(range(len(spec.wards)))
    for n, numbers in enumerate(spec.wards.values()):
        yield from (("alone", [n], [beds], 0) for beds in numbers)
    yield from (("shared", everyone, [0] * len(everyone), beds) for beds in spec.shared)
    yield from (("partly_shared", everyone, beds.own, beds.shared) for beds in spec.partly_shared)
