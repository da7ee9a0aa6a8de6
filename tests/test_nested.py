"""Several replications on one draw of the assumptions: what they share, what they do not, how they count."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest

import sim
from analysis.reading import by_draw, drawn
from analysis.spread import FILE, LUCK, luck_share
from sim import study
from sim.results import plain, task_keys
from sim.schema import InputError

SHORT: Any = {"warmup_from": "2024-07-01", "from": "2024-07-08", "to": "2024-07-14"}


def test_a_draw_is_shared_by_as_many_replications_and_is_that_of_its_number() -> None:
    alone = study.draws(study.cases(sim.load("example", replications=4)), 4)
    nested = study.draws(study.cases(sim.load("example", replications=6, nested=3)), 6)
    for replication in range(6):
        own = nested[nested["replication"] == replication].drop(columns="replication").reset_index(drop=True)
        as_numbered = alone[alone["replication"] == replication // 3].drop(columns="replication")
        pd.testing.assert_frame_equal(own, as_numbered.reset_index(drop=True))
    assert drawn(nested, 3)["replication"].unique().tolist() == [0, 1]
    pd.testing.assert_frame_equal(drawn(nested, 1), nested)


def test_it_is_another_task_unless_it_is_one() -> None:
    one, same, two = (
        next(iter(study.cases(sim.load("example", replications=4, **more)).values()))
        for more in ({}, {"nested": 1}, {"nested": 2})
    )
    assert plain(one) == plain(same)
    assert not set(task_keys(one, 4)) & set(task_keys(two, 4))


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"replications": 5, "nested": 2}, "5 is no multiple of nested=2"),
        ({"uncertainty": "luck", "nested": 2}, "Nothing is drawn with uncertainty=luck"),
    ],
)
def test_what_makes_no_sense_is_refused(settings: dict[str, Any], said: str) -> None:
    with pytest.raises(InputError, match=said):
        sim.load("example", **settings)


def test_values_of_a_draw_are_averaged_and_count_once() -> None:
    keys = {"scenario": "a", "period": "2024", "indicator": "x", "scope": "grid", "variant": "headline"}
    rows = pd.DataFrame({"replication": range(4), "value": [1.0, 3.0, np.nan, 6.0], "numerator": 1.0} | keys)
    told = by_draw(rows, 2)
    assert told[["replication", "value"]].to_numpy().tolist() == [[0, 2.0], [1, 6.0]]
    assert by_draw(rows, 1) is rows


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> sim.Results:
    """A week of the fictional town: three draws with two lucks each."""
    folder = str(tmp_path_factory.mktemp("nested") / "a")
    return study.run(sim.load("example", horizon=SHORT, replications=6, nested=2, output=folder))


def test_replications_of_a_draw_differ_by_luck_alone(results: sim.Results) -> None:
    """Needs differ between all replications; their number differs most between draws, which draw their rates."""
    visits = results.tables["visits_daily"].groupby(["scenario", "replication"], observed=True)["visits"].sum()
    own = visits["example_before"].to_numpy().reshape(3, 2)
    assert len(set(own.ravel().tolist())) == 6
    assert own.mean(axis=1).std() > np.abs(np.diff(own, axis=1)).mean()


def test_intervals_are_those_of_the_draws(results: sim.Results) -> None:
    told = results.comparison.query("indicator == 'grassroots_visit_share' and variant == 'headline'")
    assert told["replications"].tolist() == [3, 3]
    keys = ["period", "indicator", "scope", "variant"]
    whole = results.comparison.groupby(keys)["replications"].transform("min").eq(3)
    missing = results.comparison.loc[whole, "more_replications"].replace(np.inf, np.nan).dropna()
    assert len(missing)
    assert set((missing + 6) % 40) == {0}, "whole Latin hypercubes of 20 draws, two replications each"
    own = results.indicators.query("indicator == 'grassroots_visit_share' and variant == 'headline'")
    plan = own[own["scenario"].eq("example_plan")].sort_values("replication")["value"].to_numpy().reshape(3, 2)
    row = told[told["scenario"].eq("example_plan")].iloc[0]
    half = 4.302653 * plan.mean(axis=1).std(ddof=1) / np.sqrt(3)
    assert (row["mean"], row["high"] - row["mean"]) == (pytest.approx(plan.mean()), pytest.approx(half))


def test_luck_is_told_apart(results: sim.Results) -> None:
    table = pd.read_csv(results.folder / FILE).query("indicator == 'grassroots_visit_share'")
    assert set(table["part"]) == {LUCK}
    assert set(table["of"]) == {"value", "difference"}
    values = results.indicators.query(
        "indicator == 'grassroots_visit_share' and variant == 'headline' and scenario == 'example_plan'"
    ).sort_values("replication")
    row = table.query("scenario == 'example_plan' and of == 'value'").iloc[0]
    assert row[["share", "low", "high"]].tolist() == pytest.approx(luck_share(values["value"].to_numpy().reshape(3, 2)))
    assert 0 <= row["low"] <= row["share"] <= row["high"] <= 1
    english, chinese = ((results.folder / page).read_text("utf-8") for page in ("report.html", "report.zh.html"))
    assert "Which single assumption matters is not told from 3 draws" in english
    assert "各次重复为何不同？" in chinese
