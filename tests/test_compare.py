"""Comparison with the baseline, verdicts, judgement of targets, the load verdict, the curve over adherence."""

from __future__ import annotations

from dataclasses import replace
from datetime import date

import numpy as np
import pandas as pd
import pytest

from analysis.compare import COLUMNS, compare, judge, judged_years, verdict
from analysis.curve import curve
from analysis.indicators import CATALOGUE
from analysis.ledger import Span
from analysis.loads import misfits, overloads, standstills
from analysis.reading import Goal, goals_of
from sim.citation import Source
from sim.scenario import Scenario, Target

YEAR = Span(date(2024, 1, 1), date(2025, 1, 31))
"""Just long enough to hold a January against the one before."""
SPAN = Span(date(2024, 1, 1), date(2025, 12, 31))
DOCUMENT = Source(document="zhongwei-2023-67", clause="四(一)3")


def table(
    before: list[float], plan: list[float], indicator: str = "grassroots_visit_share", year: str = "2025"
) -> pd.DataFrame:
    """One indicator of two scenarios, one row for each replication."""
    rows = [
        (scenario, r, year, indicator, "grid", "headline", value, 1.0, 1.0, "share")
        for scenario, values in (("before", before), ("plan", plan))
        for r, value in enumerate(values)
    ]
    names = [
        "scenario",
        "replication",
        "period",
        "indicator",
        "scope",
        "variant",
        "value",
        "numerator",
        "denominator",
        "unit",
    ]
    return pd.DataFrame(rows, columns=names)


def goal(
    relation: str = "at_least", limit: float = 0.65, by: str = "2024-12-31", indicator: str = "grassroots_visit_share"
) -> Goal:
    """A target on the grid."""
    data = {
        relation: limit,
        "unit": "share",
        "by": by,
        "scope": "grid",
        "source": DOCUMENT.model_dump(exclude_none=True),
    }
    return Goal(indicator, Target.model_validate(data))


# ---------------------------------------------------------------------------------------------------------- comparison


def test_differences_are_paired_and_intervals_are_student_t() -> None:
    before, plan = [0.50, 0.60, 0.55], [0.53, 0.62, 0.59]
    told = compare(table(before, plan), "before", {}).set_index("scenario").loc["plan"]
    assert told["mean"] == pytest.approx(0.58)
    assert told["difference"] == pytest.approx(0.03)
    # t quantile for 2 degrees of freedom 4.302653; deviation of (.03, .02, .04) is 0.01
    assert told["difference_high"] - told["difference"] == pytest.approx(4.302653 * 0.01 / np.sqrt(3), rel=1e-6)
    assert told["high"] - told["mean"] == pytest.approx(4.302653 * np.std(plan, ddof=1) / np.sqrt(3), rel=1e-6)


def test_the_baseline_is_compared_with_nobody() -> None:
    told = compare(table([0.5, 0.6], [0.6, 0.7]), "before", {})
    assert list(told.columns) == COLUMNS
    base = told.set_index("scenario").loc["before"]
    assert pd.isna(base[["difference", "difference_low", "difference_high", "verdict"]]).all()
    assert base["mean"] == pytest.approx(0.55)


def test_one_replication_has_a_difference_and_no_interval() -> None:
    told = compare(table([0.5], [0.6]), "before", {}).set_index("scenario").loc["plan"]
    assert told["difference"] == pytest.approx(0.1)
    assert pd.isna(told["difference_low"])
    assert told["verdict"] == "undecided"


def test_empty_values_are_left_out_and_counted() -> None:
    told = compare(table([0.5, np.nan, 0.6], [0.6, 0.7, 0.7]), "before", {}).set_index("scenario")
    assert told.loc["before", "replications"] == 2
    assert told.loc["plan", "replications"] == 3
    assert told.loc["plan", "difference"] == pytest.approx(0.1)


def test_a_value_without_a_counterpart_has_no_verdict() -> None:
    told = compare(table([np.nan, np.nan], [0.6, 0.7]), "before", {}).set_index("scenario").loc["plan"]
    assert pd.isna(told["verdict"])


@pytest.mark.parametrize(
    ("low", "high", "better", "important", "expected"),
    [
        (-0.004, 0.009, "up", 0.01, "no practical difference"),
        (0.002, 0.009, "up", 0.01, "no practical difference"),
        (0.002, 0.02, "up", 0.01, "better"),
        (0.002, 0.02, "down", 0.01, "worse"),
        (-0.02, -0.002, "down", 0.01, "better"),
        (-0.02, 0.02, "up", 0.01, "undecided"),
        (-0.02, 0.005, "up", 0.01, "undecided"),
        (0.0, 0.02, "up", 0.01, "undecided"),
        (0.0, 0.0, "up", 0.0, "no practical difference"),
        (0.1, 0.2, "neither", 0.0, "higher"),
        (-0.2, -0.1, "neither", 0.0, "lower"),
        (float("nan"), 0.2, "up", 0.01, "undecided"),
    ],
)
def test_verdicts(low: float, high: float, better: str, important: float, expected: str) -> None:
    assert verdict(low, high, better, important) == expected  # type: ignore[arg-type]


def test_an_important_difference_holds_for_variants_of_the_same_unit_only() -> None:
    rows = table([100.0, 101.0], [100.4, 101.4], indicator="referrals_up").assign(variant="per_1000_grassroots_visits")
    assert compare(rows, "before", {"referrals_up": 5.0})["verdict"].tolist()[1] == "higher"
    same = rows.assign(variant="headline")
    assert compare(same, "before", {"referrals_up": 5.0})["verdict"].tolist()[1] == "no practical difference"


# --------------------------------------------------------------------------------------------------------------- goals


def test_a_goal_is_judged_in_the_year_of_its_deadline_and_in_the_first_full_year() -> None:
    assert judged_years(goal(), [date(2024, 6, 30)]) == {"deadline": "2024", "full_year": "2025"}
    assert judged_years(goal(), [date(2024, 1, 1)]) == {"deadline": "2024", "full_year": "2025"}
    assert judged_years(goal(), [date(2024, 6, 30), date(2025, 3, 1)])["full_year"] == "2026"
    assert judged_years(goal(), [date(2026, 1, 1)])["full_year"] == "2026"


@pytest.mark.parametrize(
    ("relation", "limit", "met"), [("at_least", 0.65, 2), ("above", 0.65, 1), ("at_most", 0.65, 2), ("below", 0.65, 1)]
)
def test_goals_are_met_in_k_of_n(relation: str, limit: float, met: int) -> None:
    told = judge(goal(relation, limit), table([0.6, 0.6, 0.6], [0.60, 0.65, 0.70]), [], SPAN)
    final = next(j for j in told if j.scenario == "plan" and j.year == "2025")
    assert (final.met, final.of) == (met, 3)


def test_an_incomplete_year_is_told_and_not_judged() -> None:
    told = judge(goal(), table([0.6], [0.7]), [], Span(date(2024, 1, 1), date(2025, 11, 30)))
    assert {(j.year, j.met, j.why_not) for j in told} == {
        ("2024", None, "not simulated"),
        ("2025", None, "year incomplete"),
    }


def test_what_is_not_computed_is_not_judged(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(CATALOGUE, "case_mix_index", replace(CATALOGUE["case_mix_index"], recipe=None))
    told = judge(goal(indicator="case_mix_index", limit=1.0), table([0.6], [0.7]), [], SPAN)
    assert {j.why_not for j in told} == {"not computed"}


def test_a_goal_that_two_scenarios_share_is_one_goal() -> None:
    target = goal().target.model_dump(mode="json", exclude_none=True)
    plans = [
        Scenario.model_validate({"name": n, "title": n, "title_zh": n, "targets": {"grassroots_visit_share": target}})
        for n in ("a", "b")
    ]
    assert len(goals_of(plans)) == 1


# --------------------------------------------------------------------------------------------------------- load verdict


def loads(*load: float) -> pd.DataFrame:
    """The load of one clinic in each replication."""
    return pd.DataFrame(
        {
            "scenario": "plan",
            "replication": range(len(load)),
            "point": "p",
            "facility": "first",
            "resource": "clinic",
            "load": load,
        }
    )


def backlog(waiting: list[int]) -> pd.DataFrame:
    """Patients waiting at the ends of months from January 2024; months with nobody waiting have no row."""
    days = pd.date_range("2024-01-01", periods=len(waiting), freq="MS")
    return pd.DataFrame(
        {
            "scenario": "plan",
            "replication": 0,
            "month": days,
            "facility": "first",
            "resource": "bed",
            "waiting": waiting,
        }
    ).query("waiting > 0")


def test_a_place_offered_too_much_in_most_draws_is_told() -> None:
    told = overloads({"loads": loads(1.1, 1.2, 0.9), "backlog": backlog([])}, 0.25, YEAR, 3)
    assert [(o.kind, o.facility, o.k, o.n) for o in told] == [("load", "first", 2, 3)]
    assert overloads({"loads": loads(1.1, 0.9, 0.9), "backlog": backlog([])}, 0.25, YEAR, 3) == []
    assert overloads({"loads": loads(1.0), "backlog": backlog([])}, 0.25, YEAR, 1) == []


def halves(held: float, open_: float, beds: float = 100.0) -> pd.DataFrame:
    """What is offered to both halves of a ward; a quarter of it is held."""
    both = pd.concat([loads(held / (0.25 * beds)), loads(open_ / (0.75 * beds))], ignore_index=True)
    names = {"point": ["first/ward (held)", "first/ward (open)"], "resource": ["ward_held", "ward_open"]}
    return both.assign(**names, offered=[held, open_], capacity=[0.25 * beds, 0.75 * beds])


@pytest.mark.parametrize(
    ("held", "open_", "told"),
    [(10, 90, ["ward_open"]), (30, 60, ["ward_held"]), (20, 70, []), (20, 90, []), (30, 90, [])],
)
def test_a_half_offered_too_much_is_told_where_the_whole_would_do(held: int, open_: int, told: list[str]) -> None:
    tables = {"loads": halves(held, open_), "backlog": backlog([])}
    assert [found.resource for found in misfits(tables, 1)] == told
    assert overloads(tables, 0.25, YEAR, 1) == [], "a half is no place of its own"
    assert misfits({}, 1) == []


@pytest.mark.parametrize(
    ("before", "after", "growing"),
    [(100, 140, True), (100, 120, False), (1, 5, False), (0, 10, True), (100, 90, False)],
)
def test_a_backlog_is_compared_with_the_same_month_a_year_before(before: int, after: int, growing: bool) -> None:
    waiting = backlog([before, *[500] * 11, after])
    assert bool(overloads({"loads": loads(0.5), "backlog": waiting}, 0.25, YEAR, 1)) is growing


def test_a_short_run_says_nothing_about_backlogs() -> None:
    since_february = Span(date(2024, 2, 1), date(2025, 1, 31))
    assert overloads({"backlog": backlog([0] * 12 + [100])}, 0.25, since_february, 1) == []


def test_wards_that_block_each_other_in_any_draw_are_told_with_the_first_minute() -> None:
    early, late = pd.Timestamp("2024-03-01 07:30"), pd.Timestamp("2024-05-01")
    rows = [("plan", 0, late, "a/x, b/x"), ("plan", 2, early, "a/x, b/x"), ("plan", 2, late, "b/x, c/x")]
    found = pd.DataFrame(rows, columns=["scenario", "replication", "since", "wards"])
    told = standstills({"deadlocks": found}, 3)
    assert [(s.wards, s.since, s.k, s.n) for s in told] == [("a/x, b/x", early, 2, 3), ("b/x, c/x", late, 1, 3)]
    assert standstills({"deadlocks": found.iloc[:0]}, 3) == standstills({}, 3) == []


# --------------------------------------------------------------------------------------------------------------- curve


def drawn(values: list[float]) -> pd.DataFrame:
    """Adherence drawn by each replication of the plan."""
    return pd.DataFrame(
        {
            "scenario": "plan",
            "replication": range(len(values)),
            "path": "policy.first_contact.adherence",
            "value": values,
        }
    )


X = [0.1, 0.2, 0.3, 0.4, 0.5]


def test_the_line_finds_the_adherence_that_was_put_in() -> None:
    shares = [0.5 + 0.4 * x + noise for x, noise in zip(X, (0.001, -0.001, 0.0, -0.001, 0.001), strict=True)]
    line = curve(drawn(X), table([0.5] * 5, shares), "plan", "2025", "grassroots_visit_share")
    assert line is not None
    assert line.slope == pytest.approx(0.4, abs=0.01)
    found = line.reaches(0.65, 0.1, 0.6)
    assert found.line == pytest.approx(0.375, abs=0.01)
    assert found.earliest is not None
    assert found.latest is not None
    assert found.earliest < found.line < found.latest
    assert line.reaches(0.9, 0.1, 0.6).line is None


def test_no_line_through_too_few_or_equal_draws() -> None:
    assert curve(drawn(X[:3]), table([0.5] * 3, [0.5, 0.6, 0.7]), "plan", "2025", "grassroots_visit_share") is None
    assert curve(drawn([0.3] * 5), table([0.5] * 5, [0.5] * 5), "plan", "2025", "grassroots_visit_share") is None
    assert curve(drawn([]), table([0.5] * 5, [0.5] * 5), "plan", "2025", "grassroots_visit_share") is None
