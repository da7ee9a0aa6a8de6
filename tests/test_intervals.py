"""Nominal 95 % intervals cover the truth about as often as they say: a little here, a thousand times in docs."""

from __future__ import annotations

import os
import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy.stats import norm

import intervals
from analysis import compare

DOCS = Path(__file__).parents[1] / "docs"
FALSE_ALARM = 1e-4
"""Chance that one right KPI fails the short test; three of them, fixed luck."""


def kept() -> pd.DataFrame:
    """The table of a thousand experiments."""
    return pd.read_csv(DOCS / "intervals.csv")


def test_forty_experiments_of_each_kpi_stay_within_their_band() -> None:
    for found in intervals.all_kpis(40):
        low, high = found.band(FALSE_ALARM)
        assert low <= found.covered <= high, found


def test_a_thousand_experiments_stay_within_the_band_of_their_reference() -> None:
    table = kept()
    assert len(table) == 3
    assert (table["experiments"] == intervals.EXPERIMENTS).all()
    for row in table.itertuples():
        covered = intervals.Covered(str(row.kpi), 0.0, float(str(row.reference)), int(str(row.experiments)), 0)
        assert covered.band(1e-3) == (row[7], row[8])
        assert row[7] <= row.covered <= row[8]
    exact = table[table["reference"].eq(0.95)]
    assert exact["covered"].between(926, 971).all()
    assert len(exact) == 2


@pytest.mark.parametrize("name", ["intervals.md", "intervals.zh.md"])
def test_the_documents_say_what_the_table_says(name: str) -> None:
    told = re.findall(
        r"^\| .+ \| ([\d.]+) \| ([\d.]+) \| (\d+) \| (\d+).(\d+) \|$", (DOCS / name).read_text("utf-8"), re.M
    )
    table = kept()
    columns = [[f"{x:g}" for x in table[name]] for name in ("truth", "reference", "covered", "from", "to")]
    assert [list(row) for row in told] == [list(row) for row in zip(*columns, strict=True)]


def test_the_band_notices_an_interval_that_is_a_fifth_too_narrow() -> None:
    """With the quantile of the normal law for that of Student's, ten replications cover 91.8 %, not 95."""
    luck = np.random.default_rng(3)
    values = luck.normal(size=(intervals.EXPERIMENTS, intervals.REPLICATIONS))
    nothing = np.zeros_like(values)

    def covered() -> int:
        found = intervals._intervals(values, nothing)
        return int(((found["low"] <= 0) & (found["high"] >= 0)).sum())

    low, high = intervals.Covered("", 0.0, compare.CONFIDENCE, intervals.EXPERIMENTS, 0).band(1e-3)
    assert low <= covered() <= high
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(compare, "stdtrit", lambda freedom, level: norm.ppf(level))
        assert covered() < low


def test_the_witness_loses_as_erlang_says_when_it_is_full_for_long() -> None:
    """Long after its start a ward of four loses B(4, 4.5) of its arrivals."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(intervals, "DAYS", 1500)
        found = intervals.losses(np.random.default_rng(1), 24)
    offered, beds = intervals.LOSING["per_day"] * intervals.LOSING["stay"], int(intervals.LOSING["beds"])
    terms = np.cumprod([1.0, *(offered / n for n in range(1, beds + 1))])
    assert abs(found.mean() - terms[-1] / terms.sum()) < 4.5 * found.std(ddof=1) / np.sqrt(24)


@pytest.mark.slow
@pytest.mark.skipif("TIERCARE_SLOW" not in os.environ, reason="minutes; TIERCARE_SLOW=1 runs it")
def test_the_table_is_what_comes_out_again() -> None:
    pd.testing.assert_frame_equal(intervals.table(), kept(), check_dtype=False)
