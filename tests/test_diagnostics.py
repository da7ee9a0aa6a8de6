"""Where series are cut: worked out by hand, in the engine's own queues, and refused where nothing settles."""

from __future__ import annotations

import numpy as np
import pytest

import towns
from agreement import Tables
from analysis.diagnostics import BATCH, LAST, Unsettled, mser5, welch
from sim.timetable import DAY
from test_theory_beds import EXPONENTIAL, ill, many_wards

Floats = np.ndarray[tuple[int, ...], np.dtype[np.float64]]


def batches(*levels: float) -> Floats:
    """Five values around each level, whose mean it is."""
    return np.concatenate([level + np.array([-2.0, 2.0, 0.0, 1.0, -1.0]) for level in levels])


# ------------------------------------------------------------------------------------------------------------- by hand


def test_a_step_is_cut_off_exactly() -> None:
    """Seven batches at 8, then 33 at 5: behind the step nothing varies, before it something does."""
    cut = mser5(batches(*[8.0] * 7, *[5.0] * 33))
    assert (cut.first, cut.mean, cut.statistic[7]) == (35, 5.0, 0.0)
    assert cut.statistic[6] == pytest.approx((9.0 * 33 / 34) / 34**2), "one at 8 among 34: 9 x 33 / 34 squares"


def test_batches_that_alternate_are_kept_from_the_end_of_the_transient() -> None:
    """After m batches of a transient of +c, +1 and -1 in turn: an even number k of them has the statistic 1 / k."""
    levels = [6.0, 6.0, 6.0, 6.0] + [1.0, -1.0] * 20
    cut = mser5(batches(*levels))
    assert cut.first == 4 * BATCH
    assert cut.statistic[4] == pytest.approx(1 / 40)
    assert cut.statistic[6] == pytest.approx(1 / 38)
    squares = 4 * 36.0 + 40.0 - 24.0**2 / 44
    assert cut.statistic[0] == pytest.approx(squares / 44**2)


def test_nothing_is_cut_where_nothing_settles_late() -> None:
    assert mser5(np.full(200, 3.0)).first == 0
    assert mser5(batches(*[1.0, -1.0] * 20)).first == 0


def test_values_that_fill_no_batch_count_in_the_mean_alone() -> None:
    whole = batches(*[8.0] * 7, *[5.0] * 33)
    cut = mser5(np.append(whole, [6.0, 6.0, 6.0]))
    assert (cut.first, cut.mean) == (35, (33 * 5 * 5.0 + 18.0) / (33 * 5 + 3))


def test_replications_are_averaged_first() -> None:
    one = batches(*[9.0] * 7, *[5.0] * 33)
    other = batches(*[7.0] * 7, *[5.0] * 33)
    both = np.stack([one, other])
    assert mser5(both).first == 35
    assert np.array_equal(mser5(both).statistic, mser5(both.mean(axis=0)).statistic)


def test_a_trend_never_settles() -> None:
    """k batches that rise by 1 each have the statistic (k - 1 / k) / 12: the fewer, the less, to the last cut."""
    rising = batches(*range(60))
    with pytest.raises(Unsettled, match="leaves 6 of 60 batches, fewer than half"):
        mser5(rising)
    growing = np.sqrt(np.arange(1.0, 301.0))
    with pytest.raises(Unsettled):
        mser5(growing)


def test_the_end_is_no_cut() -> None:
    """The last batches alike: nothing varies less, but what they say is too little."""
    levels = [1.0, -1.0] * 20 + [0.0] * (LAST - 1)
    assert mser5(batches(*levels)).first == 0
    assert len(mser5(batches(*levels)).statistic) == len(levels) - LAST


def test_welchs_average_by_hand() -> None:
    """Window 2 of 1, 2, 4, 8, ...: one value, then three, then five around each."""
    values = [2.0**n for n in range(8)]
    assert welch(values, 2).tolist() == [1.0, 7 / 3, 31 / 5, 62 / 5, 124 / 5, 248 / 5]
    assert welch(np.stack([values, values]), 2).tolist() == welch(values, 2).tolist()
    assert np.allclose(welch(np.arange(40.0), 10), np.arange(30.0)), "a line is its own moving average"


# ------------------------------------------------------------------------------------------------------------ refusals


@pytest.mark.parametrize("load", [1.0, 1.07, float("nan")])
def test_a_load_of_one_or_more_is_refused_before_anything_is_said(load: float) -> None:
    for look in (lambda: mser5(np.zeros(100), load), lambda: welch(np.zeros(100), 5, load)):
        with pytest.raises(Unsettled, match="has no steady state"):
            look()
    assert mser5(np.zeros(100), 0.99).first == 0


def test_what_is_no_series_is_refused_in_plain_words() -> None:
    with pytest.raises(ValueError, match=r"needs 50 values or more; found 49"):
        mser5(np.zeros(49))
    with pytest.raises(ValueError, match=r"found \(2, 3, 4\)"):
        mser5(np.zeros((2, 3, 4)))
    with pytest.raises(ValueError, match="2 of these are none"):
        mser5([1.0, np.nan, np.inf])
    for window in (0, 26):
        with pytest.raises(ValueError, match=rf"1 to a quarter of the values, 25; found {window}"):
            welch(np.zeros(100), window)


# ---------------------------------------------------------------------------------------------------- the engine's own


def in_system(came: Floats, gone: Floats, days: int) -> Floats:
    """Patients there at each hour."""
    hours = np.arange(0.0, days * DAY, 60.0)
    return (np.searchsorted(np.sort(came), hours) - np.searchsorted(np.sort(gone), hours)).astype(float)


def test_a_ward_that_fills_is_cut_where_it_is_full_and_its_mean_is_that_of_theory() -> None:
    """M/M/infinity from empty, 40 a day for a quarter of one: 10 (1 - exp(-4 t)), within 2 % of 10 after a day."""
    days, per_day, stay = 34, 40.0, 0.25

    def census(tables: Tables) -> Floats:
        stays = tables["stays"]
        return in_system(stays["admitted"].to_numpy(), stays["discharged"].to_numpy(), days)

    runs = towns.run(many_wards(1, 3, days, per_day, ill("severe", stay), **EXPONENTIAL), 6)
    series = np.stack([census(tables)[: 24 * (days - 4)] for tables in runs.values()])  # who stays on is not told
    cut = mser5(series)
    assert 0 < cut.first <= 24 * 5
    assert cut.mean > series.mean(), "the time in which it fills is left out"
    assert towns.within(series[:, cut.first :].mean(axis=1), per_day * stay, 1e-4)
    smooth = welch(series, 6)
    assert smooth[0] == 0.0
    assert smooth[24 * 2 :].min() > 2 * smooth[:4].mean()


def test_an_overloaded_department_never_settles() -> None:
    """Six patients for five that its doctor can see: each waits longer than the one before."""
    tables = towns.run(towns.emergency_town(6 / 5 * 144.0, 1, 8, 2))[0]
    seen = tables["visits"].dropna(subset="begin").sort_values("time")
    waits = (seen["begin"] - seen["time"]).to_numpy()
    with pytest.raises(Unsettled, match="does not settle"):
        mser5(waits)
