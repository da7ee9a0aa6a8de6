"""How often nominal 95 % intervals cover the truth: the same experiment a thousand times, in the engine.

An experiment is ten replications of one town; its interval is that of comparison.csv, made by the same lines. The truth
is a formula, or for the share of those who find no bed a witness: the same ward as a dozen lines of arithmetic, a
hundred times as often, which also tells how often such an interval covers where it should.

    python tests/intervals.py > docs/intervals.csv
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from math import exp

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.stats import binom

import towns
from analysis.compare import CONFIDENCE, compare
from sim.model import Case, Model
from test_theory_beds import EXPONENTIAL, NOBODY_WAITS, group, ill, lead_town, many_wards

Floats = NDArray[np.float64]

EXPERIMENTS, REPLICATIONS = 1000, 10
PACK = 100
"""Replications that ride together."""
DAYS, PER_DAY, STAY, MORE = 8, 3.0, 2.0, 1.5
LOSING = {"per_day": 3.0, "stay": 1.5, "beds": 4}
WITNESSES = 400_000


@dataclass(frozen=True)
class Covered:
    """How many intervals covered the truth, and how many should have."""

    kpi: str
    truth: float
    reference: float
    """Share of such intervals that cover it where everything is right."""
    experiments: int
    covered: int

    def band(self, alarm: float) -> tuple[int, int]:
        """Numbers outside which a right interval falls in this share of tables."""
        low, high = binom.ppf([alarm / 2, 1 - alarm / 2], self.experiments, self.reference)
        return int(low), int(high)


def all_kpis(experiments: int) -> Iterator[Covered]:
    """Every KPI of the table."""
    census, more = _censuses(experiments)
    yield _counted("mean census", census, expected_census(), CONFIDENCE)
    yield _counted("paired difference of the mean census", more, (MORE - 1) * expected_census(), CONFIDENCE)
    witness = losses(np.random.default_rng(7), WITNESSES)
    truth = float(witness.mean())
    reference = _intervals(witness.reshape(-1, REPLICATIONS), np.zeros_like(witness.reshape(-1, REPLICATIONS)))
    share = float(((reference["low"] <= truth) & (truth <= reference["high"])).mean())
    yield _counted("share that finds no bed", _losses_here(experiments), truth, share)


def _counted(kpi: str, intervals: pd.DataFrame, truth: float, reference: float) -> Covered:
    covered = (intervals["low"] <= truth) & (truth <= intervals["high"])
    return Covered(kpi, truth, reference, len(intervals), int(covered.sum()))


def _intervals(values: Floats, base: Floats, of: str = "") -> pd.DataFrame:
    """Intervals of each experiment (a row of `values`), or of its paired difference from `base`."""
    number, each = values.shape
    frame = pd.DataFrame(
        {
            "scenario": np.repeat(["base", "plan"], values.size),
            "replication": np.tile(np.arange(each), 2 * number),
            "period": np.tile(np.repeat(np.arange(number), each), 2),
            "indicator": "bed_occupancy", "scope": "lead", "variant": "headline",
            "value": np.concatenate([base.ravel(), values.ravel()]),
        }
    )  # fmt: skip
    told = compare(frame, "base", {}).query("scenario == 'plan'")
    return told[[f"{of}low", f"{of}high"]].set_axis(["low", "high"], axis=1)


def simulated(case: Case, days: int, experiments: int, read: Callable[[Model, int], float]) -> Floats:
    """One value for each replication, by experiment; no two experiments share any luck."""
    found = []
    for first in range(0, experiments * REPLICATIONS, PACK):
        numbers = range(first, min(first + PACK, experiments * REPLICATIONS))
        model = Model(case, list(numbers))
        model.run(days, lambda days: None)
        found += [read(model, world) for world in range(len(numbers))]
    return np.array(found).reshape(experiments, REPLICATIONS)


# ---------------------------------------------------------------------------------------------------- a ward that fills


def expected_census() -> float:
    """M/M/infinity from empty: mean over the midnights of lambda s (1 - exp(-t / s)) (Takacs 1962)."""
    return float(np.mean([PER_DAY * STAY * (1 - exp(-night / STAY)) for night in range(1, DAYS)]))


def _censuses(experiments: int) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Intervals of the mean census, and of its difference where half as many needs again arise."""
    before = replace(many_wards(1, 1, DAYS, PER_DAY, ill("severe", STAY), **EXPONENTIAL), record="days")
    plan = replace(before, policy=towns.policy({"surge.needs": {"illness": MORE}}))

    def census(model: Model, world: int) -> float:
        return float(model.ledger.beds.total(world, "occupied_days").sum()) / (DAYS - 1)

    base, more = (simulated(case, DAYS, experiments, census) for case in (before, plan))
    return _intervals(base, base), _intervals(more, base, "difference_")


# ---------------------------------------------------------------------------------------------------- a ward that loses


def _losses_here(experiments: int) -> pd.DataFrame:
    flow = {"other": (LOSING["per_day"], LOSING["stay"])}
    town = replace(lead_town(DAYS, 2, flow, group(int(LOSING["beds"])), **EXPONENTIAL, **NOBODY_WAITS), record="days")

    def lost(model: Model, world: int) -> float:
        asked = int(model.ledger.beds.total(world, "requests").sum())
        return float(model.ledger.bed_days.total(world, "left").sum()) / asked

    values = simulated(town, DAYS, experiments, lost)
    return _intervals(values, values)


def losses(luck: np.random.Generator, number: int) -> Floats:
    """M/M/c/c from empty: share of the arrivals of some days that find all beds taken."""
    came = luck.poisson(LOSING["per_day"] * DAYS, number)
    times = np.where(np.arange(came.max()) < came[:, None], luck.uniform(0, DAYS, (number, came.max())), np.inf)
    times.sort(axis=1)
    stays, until = luck.exponential(LOSING["stay"], times.shape), np.zeros((number, int(LOSING["beds"])))
    lost, rows = np.zeros(number), np.arange(number)
    for nth in range(times.shape[1]):
        here, bed = times[:, nth], until.argmin(axis=1)
        comes, free = np.isfinite(here), until[rows, bed] <= here
        lost += comes & ~free
        taken = comes & free
        until[rows[taken], bed[taken]] = here[taken] + stays[taken, nth]
    return np.asarray(lost / np.maximum(came, 1))


def table(experiments: int = EXPERIMENTS) -> pd.DataFrame:
    """One row for each KPI; the band is left once in a thousand tables by a right interval."""
    rows = [
        {"kpi": c.kpi, "truth": c.truth, "reference": c.reference, "experiments": c.experiments,
         "replications": REPLICATIONS, "covered": c.covered, "from": c.band(1e-3)[0], "to": c.band(1e-3)[1]}
        for c in all_kpis(experiments)
    ]  # fmt: skip
    return pd.DataFrame(rows).round({"truth": 6, "reference": 4})


if __name__ == "__main__":
    table(int(sys.argv[1]) if len(sys.argv) > 1 else EXPERIMENTS).to_csv(sys.stdout, index=False, lineterminator="\n")
