"""Claims about many indicators at once: p, Holm's adjustment, their error rates, and how many more would decide."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray
from scipy import stats

from analysis.compare import clopper_pearson, compare, half_width, verdict
from analysis.indicators import CATALOGUE
from analysis.verdicts import ERROR, MOST_MORE, holm, more, p_differs, p_within
from sim.compose import ReportSpec
from sim.schema import read_yaml
from small_study import ROOT
from test_compare import SPAN as WHOLE_YEARS
from test_compare import goal, judge, table

Floats = NDArray[np.float64]


def by_t(values: Floats) -> tuple[Floats, Floats, Floats]:
    """Mean, standard error and degrees of freedom of each row."""
    n = values.shape[-1]
    return values.mean(-1), values.std(-1, ddof=1) / np.sqrt(n), np.full(values.shape[:-1], n - 1.0)


# ------------------------------------------------------------------------------------------------------------------- p


def test_p_is_that_of_the_paired_t_test() -> None:
    values = np.random.default_rng(1).normal(0.3, 1.0, (20, 7))
    assert p_differs(*by_t(values)) == pytest.approx(stats.ttest_1samp(values, 0.0, axis=1).pvalue)


def test_p_within_is_twice_that_of_two_one_sided_tests_and_the_error_of_the_interval_that_just_fits() -> None:
    values = np.random.default_rng(2).normal(0.3, 1.0, (20, 7))
    found = p_within(*by_t(values), np.full(20, 1.5))
    above = stats.ttest_1samp(values, -1.5, axis=1, alternative="greater").pvalue
    below = stats.ttest_1samp(values, 1.5, axis=1, alternative="less").pvalue
    assert found == pytest.approx(np.minimum(1.0, 2 * np.maximum(above, below)))
    mean, error, freedom = by_t(values)
    fits = stats.t.ppf(1 - found / 2, freedom) * error + np.abs(mean)
    assert fits[found < 1] == pytest.approx(1.5)


@pytest.mark.parametrize(
    ("difference", "differs", "within"), [(0.0, 1.0, 0.0), (0.2, 0.0, 0.0), (0.5, 0.0, 0.0), (-0.7, 0.0, 1.0)]
)
def test_values_that_are_all_the_same_leave_no_doubt(difference: float, differs: float, within: float) -> None:
    one = np.array([difference]), np.array([0.0]), np.array([3.0])
    assert (p_differs(*one)[0], p_within(*one, np.array([0.5]))[0]) == (differs, within)


def test_one_replication_has_no_p() -> None:
    told = compare(table([0.5], [0.6]), "before", {"grassroots_visit_share": 0.01}).set_index("scenario").loc["plan"]
    assert told[["p", "p_holm", "p_within", "p_within_holm", "more_replications"]].isna().all()


# ---------------------------------------------------------------------------------------------------------------- holm


@pytest.mark.parametrize(
    ("p", "expected"),
    [
        # the worked example of four hypotheses in reference texts on Holm's method: two of them fall at 5 %
        ([0.01, 0.04, 0.03, 0.005], [0.03, 0.06, 0.06, 0.02]),
        # R's p.adjust(c(0.01, 0.02, 0.03, 0.04, 0.05), "holm")
        ([0.01, 0.02, 0.03, 0.04, 0.05], [0.05, 0.08, 0.09, 0.09, 0.09]),
        # Benjamini and Hochberg 1995, 15 p of a trial: three fall at 5 % by Bonferroni, and by its step-down form
        (
            [0.0001, 0.0004, 0.0019, 0.0095, 0.0201, 0.0278, 0.0298, 0.0344, 0.0459, 0.3240, 0.4262, 0.5719, 0.6528,
             0.7590, 1.0],
            [0.0015, 0.0056, 0.0247, 0.1140, 0.2211, 0.2780, 0.2780, 0.2780, 0.3213, *[1.0] * 6],
        ),
        ([0.2], [0.2]),
        ([], []),
        ([np.nan, 0.01, np.nan, 0.02], [np.nan, 0.02, np.nan, 0.02]),
    ],
)  # fmt: skip
def test_holm(p: Sequence[float], expected: Sequence[float]) -> None:
    assert holm(np.array(p, dtype=float)) == pytest.approx(np.array(expected, dtype=float), abs=1e-9, nan_ok=True)


FAMILIES, ROWS, REPLICATIONS = 2000, 20, 6


def rate(wrong: NDArray[np.bool_]) -> float:
    """Share of families with any wrong claim."""
    return float(wrong.any(axis=1).mean())


@pytest.mark.parametrize("together", [0.0, 0.8])
def test_a_family_holds_a_wrong_claim_in_at_most_5_per_cent(together: float) -> None:
    luck = np.random.default_rng(3)
    common = luck.standard_normal((FAMILIES, 1, REPLICATIONS))
    noise = np.sqrt(together) * common + np.sqrt(1 - together) * luck.standard_normal((FAMILIES, ROWS, REPLICATIONS))
    # half of the indicators do not move, half of them move by just what matters
    moved = np.where(np.arange(ROWS) % 2, 1.5, 0.0)
    mean, error, freedom = by_t(noise + moved[:, None])
    important = np.broadcast_to(1.5, mean.shape)
    differs = np.apply_along_axis(holm, 1, p_differs(mean, error, freedom)) <= ERROR
    within = np.apply_along_axis(holm, 1, p_within(mean, error, freedom, important)) <= ERROR
    limit = ERROR + 4 * np.sqrt(ERROR * (1 - ERROR) / FAMILIES)
    assert rate(differs & (moved == 0)) <= limit
    assert rate(within & (moved == 1.5)) <= limit
    # the bound is no idle one: without the adjustment families err several times as often
    assert rate((p_differs(mean, error, freedom) <= ERROR) & (moved == 0)) > 2 * ERROR


# ------------------------------------------------------------------------------------------------------------ verdicts


def study(changes: dict[str, list[float]], plan: str = "plan", year: str = "2025") -> pd.DataFrame:
    """Headline rows of several indicators, each with its paired differences."""
    rows = [table([0.5] * len(c), [0.5 + x for x in c], indicator=name, year=year) for name, c in changes.items()]
    both = pd.concat(rows, ignore_index=True)
    return both.assign(scenario=both["scenario"].replace("plan", plan))


CLEAR = [0.020, 0.021, 0.022, 0.023]
LIKELY = [0.004, 0.020, 0.030, 0.024]
"""p = 0.035."""
IMPORTANT = {"grassroots_visit_share": 0.01, "out_of_area_share": 0.005, "bed_occupancy": 0.01}


def told(rows: pd.DataFrame, important: dict[str, float] = IMPORTANT, block: int = 1) -> pd.DataFrame:
    """The compared rows by scenario and indicator."""
    found = compare(rows, "before", important, block)
    return found[found["scenario"].ne("before")].set_index(["scenario", "indicator"])


def test_one_indicator_alone_is_judged_by_its_plain_interval() -> None:
    row = told(study({"grassroots_visit_share": LIKELY})).iloc[0]
    assert row["p"] == row["p_holm"] == pytest.approx(stats.ttest_1samp(LIKELY, 0.0).pvalue)
    assert (row["p"] < ERROR, row["verdict"]) == (True, "better")


def test_what_is_clear_by_itself_alone_is_undecided_among_many() -> None:
    found = told(study({"grassroots_visit_share": LIKELY, "bed_occupancy": [0.01, -0.02, 0.03, -0.01]}))
    assert found["p_holm"].tolist() == pytest.approx(holm(found["p"].to_numpy()).tolist())
    assert found.loc[("plan", "grassroots_visit_share"), "verdict"] == "undecided"


def test_the_family_are_the_headlines_of_all_scenarios_in_one_year() -> None:
    here, there = {"grassroots_visit_share": LIKELY}, {"grassroots_visit_share": CLEAR}
    one = told(study(here))
    two_scenarios = study(here), study(there, plan="other").query("scenario == 'other'")
    assert one.loc[("plan", "grassroots_visit_share"), "verdict"] == "better"
    found = told(pd.concat(two_scenarios))
    p = found.loc["plan", "p"].iloc[0]
    assert found.loc["plan", "p_holm"].iloc[0] == pytest.approx(p), "the clear one of the other scenario goes first"
    assert found.loc["other", "p_holm"].iloc[0] == pytest.approx(2 * found.loc["other", "p"].iloc[0])
    years = told(pd.concat([study(here), study(there, year="2024")]))
    assert years["p_holm"].tolist() == pytest.approx(years["p"].tolist()), "another year is another family"
    other_reading = study(there).assign(variant="outpatient_only")
    assert told(pd.concat([study(here), other_reading]))["p_holm"].isna().tolist() == [False, True]
    assert told(study(here), {})["p_holm"].isna().all(), "nothing is told of what matters"


def test_small_differences_are_adjusted_as_well() -> None:
    small = [0.0042, -0.0042, 0.0056, -0.0056]
    alone = told(study({"grassroots_visit_share": small}))
    assert alone["verdict"].tolist() == ["no practical difference"]
    others = {name: [0.01, -0.02, 0.03, -0.01] for name in ("bed_occupancy", "out_of_area_share")}
    among = told(study({"grassroots_visit_share": small} | others)).loc[("plan", "grassroots_visit_share")]
    assert among["p_within_holm"] == pytest.approx(3 * among["p_within"])
    assert (among["p_within"] < ERROR, among["p_within_holm"] > ERROR) == (True, True)
    assert among["verdict"] == "undecided"


def test_an_adjustment_only_ever_takes_a_verdict_away() -> None:
    luck = np.random.default_rng(5)
    years = [
        study({name: list(luck.normal(luck.normal(0, 0.01), 0.006, 5)) for name in IMPORTANT}, year=str(1900 + n))
        for n in range(60)
    ]
    taken = 0
    for (_, name), row in told(pd.concat(years)).iterrows():
        plain = verdict(row["difference_low"], row["difference_high"], CATALOGUE[name].better, IMPORTANT[name])
        assert row["verdict"] in (plain, "undecided")
        taken += row["verdict"] != plain
    assert taken


# ---------------------------------------------------------------------------------------------------------- how many


def one_more(mean: float, deviation: float, number: int, important: float = 0.0, **said: float) -> float:
    """How many more for a single row."""
    allowed = [np.array([said.get(name, ERROR)]) for name in ("differs", "within")]
    one = np.array([mean]), np.array([deviation]), np.array([number]), np.array([important])
    return float(more(*one, *allowed, block=int(said.get("block", 1)))[0])


@pytest.mark.parametrize(("mean", "important"), [(0.3, 0.0), (-0.3, 0.0), (0.3, 0.8), (0.02, 0.3), (0.29, 0.3)])
def test_the_number_is_the_first_that_decides(mean: float, important: float) -> None:
    def decided(n: int) -> bool:
        half = float(half_width(np.array(1.0), np.array(n)))
        return verdict(mean - half, mean + half, "up", important) != "undecided"

    n = 5
    assert not decided(n)
    first = next(m for m in range(n + 1, 10_000) if decided(m))
    assert one_more(mean, 1.0, n, important) == (first - n if first - n <= MOST_MORE else np.inf)


def test_a_stricter_error_takes_more_and_blocks_are_filled() -> None:
    plain, strict = one_more(0.3, 1.0, 20), one_more(0.3, 1.0, 20, differs=0.005)
    assert strict > plain
    assert (one_more(0.3, 1.0, 20, block=20), one_more(0.3, 1.0, 4, block=20)) == (40, 56)
    assert plain <= 40


def test_too_many_are_not_counted_and_nothing_is_told_of_one_replication() -> None:
    assert one_more(0.001, 1.0, 20) == one_more(0.0, 1.0, 20) == np.inf
    assert np.isnan(one_more(0.3, np.nan, 1))


def test_with_so_many_an_experiment_decides_half_of_the_time() -> None:
    """At the number told the interval's end lies at nought on average; so chance decides half of the experiments."""
    mean, n = 0.25, 10
    whole = n + int(one_more(mean, 1.0, n))
    values = np.random.default_rng(4).normal(mean, 1.0, (4000, whole))
    share = float((p_differs(*by_t(values)) <= ERROR).mean())
    assert share == pytest.approx(0.5, abs=0.04)


def test_undecided_rows_say_how_many_would_do_for_the_whole_family() -> None:
    changes = {"grassroots_visit_share": LIKELY, "bed_occupancy": [0.01, -0.02, 0.03, -0.01]}
    found = told(study(changes)).loc["plan"]
    missing = found["more_replications"]
    mean, deviation = np.mean(LIKELY), np.std(LIKELY, ddof=1)
    assert missing["grassroots_visit_share"] == one_more(mean, deviation, 4, 0.01, differs=ERROR / 2, within=ERROR / 2)
    assert told(study(changes), block=20).loc[("plan", "grassroots_visit_share"), "more_replications"] == 16
    decided = told(study({"grassroots_visit_share": CLEAR}))
    assert decided["more_replications"].isna().all()


# --------------------------------------------------------------------------------------------------- k of n, important


@pytest.mark.parametrize(
    ("k", "n", "low", "high"),
    # Newcombe 1998 (Statistics in Medicine 17, 857-872), table I, the exact method
    [(81, 263, 0.2527, 0.3676), (15, 148, 0.0578, 0.1617), (0, 20, 0.0, 0.1684), (1, 29, 0.0009, 0.1776)],
)
def test_the_interval_of_a_chance_is_the_exact_one(k: int, n: int, low: float, high: float) -> None:
    assert clopper_pearson(k, n) == pytest.approx((low, high), abs=5e-5)
    assert clopper_pearson(n - k, n) == pytest.approx((1 - high, 1 - low), abs=5e-5)


def test_a_target_met_in_k_of_n_says_its_interval() -> None:
    made = judge(goal(), table([0.6] * 4, [0.6, 0.7, 0.7, 0.7]), [], WHOLE_YEARS)
    plan = next(one for one in made if one.met == 3)
    assert plan.chance == clopper_pearson(3, 4)
    assert all(np.isnan(one.chance).all() for one in made if one.met is None)


@pytest.mark.parametrize("name", ["standard", "stroke"])
def test_every_minimum_important_difference_is_a_positive_assumption_with_a_range(name: str) -> None:
    stated = ReportSpec.model_validate(
        read_yaml(ROOT / f"configs/report/{name}.yaml", anchors=True)[0]
    ).important_differences
    assert stated
    for figure in stated.values():
        assert figure.source.assumption
        assert figure.source.range is not None
        assert 0 < figure.source.range[0] <= figure.value <= figure.source.range[1]
