"""Beds of their own, or shared: a published study of a stroke pathway, held against theory and against its figures.

Monks, Worthington, Allen, Pitt, Stein and James (2016), doi 10.1186/s12913-016-1789-4. Wards with beds for everybody
are M/G/infinity, and what leaves such a ward is Poisson again: so patients in the acute and in the rehabilitation unit
are independent Poisson numbers (Mirasol 1963), and every chance has a closed form: Erlang's loss for one pool of beds,
sums over two Poisson laws where some beds are shared.

The rule of agreement stands in `agreement`: a right model fails one expected value with a chance of one in a million,
so the 30 of this file fail together in 1 run in 30,000.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy.stats import poisson

import sim
import towns
from agreement import Tables, disagreements
from analysis.pooling import ALL, COLUMNS, census, chances, wards_by_number
from sim.care import LEVELS
from sim.model import Case
from sim.results import Results
from sim.schema import InputError
from sim.study import cases
from sim.timetable import DAY

ACUTE, BELOW = "acute_unit/stroke", "rehabilitation_unit/rehabilitation_step_down"

# ---------------------------------------------------------------------------------------------------------- the facts


def mixed(shares: tuple[float, float], stays: tuple[float, float]) -> float:
    """Mean of two stays."""
    return shares[0] * stays[0] + shares[1] * stays[1]


STROKE_BELOW = mixed((0.40, 0.60), (30.3, 28.4))
"""Mean stay in rehabilitation, days: with early supported discharge afterwards, and without."""

PATIENTS = {
    "stroke": (1.2, mixed((0.13, 0.87), (4.6, 7.4)), 0.24, 21.8, STROKE_BELOW),
    "tia": (9.3, 1.8, 0.01, float("inf"), 18.7),
    "neurological": (3.6, 4.0, 0.11, 31.7, 27.6),
    "other": (3.2, 3.8, 0.05, 28.6, 16.1),
}
"""Of each kind: days between arrivals, acute stay, share that goes on to rehabilitation, days between arrivals straight
there, stay there."""

LOADS = (
    sum(stay / gap for gap, stay, *_ in PATIENTS.values()),
    sum((down / gap + 1 / direct) * below for gap, _, down, direct, below in PATIENTS.values()),
)
"""Mean patients in the acute and in the rehabilitation unit."""

PUBLISHED = {
    (ACUTE, 10): (0.13, 0.14), (ACUTE, 14): (0.02, 0.02),
    (BELOW, 10): (0.20, 0.21), (BELOW, 12): (0.11, 0.11), (BELOW, 16): (0.02, 0.02),
}  # fmt: skip
"""Chance of a delay by ward and beds, as the paper and its re-implementation print it: lowest and highest."""
ROUNDING = 0.005


def erlang_b(offered: float, beds: int) -> float:
    """P(N = n) / P(N <= n) of a Poisson number."""
    law = poisson(offered)
    return float(law.pmf(beds) / law.cdf(beds))


def shared_in_part(own: tuple[int, int], shared: int) -> dict[str, list[float]]:
    """Delay and overflow of the patients of each ward, by sums over the two Poisson laws, patient by patient."""
    acute, below = (poisson.pmf(np.arange(100), load) for load in LOADS)
    suffices, last = 0.0, [0.0, 0.0]
    taken = [0.0, 0.0]
    for a, in_acute in enumerate(acute):
        for b, in_below in enumerate(below):
            chance = float(in_acute * in_below)
            over = max(a - own[0], 0) + max(b - own[1], 0)
            suffices += chance * (over <= shared)
            for ward, patients in enumerate((a, b)):
                if patients >= own[ward]:
                    last[ward] += chance * (over == shared)
                    taken[ward] += chance * (over >= shared)
    return {"delay": [x / suffices for x in last], "overflow": taken}


def test_the_shipped_study_says_what_the_paper_does() -> None:
    """Loads that follow from the configs are those that follow from the paper's tables."""
    config = sim.load("stroke")
    per_day = {name: need.incidence.value[0] / 100 for name, need in config.demand.needs.items() if need.incidence}
    above, below = 0.0, 0.0
    for name, c in config.care.conditions.items():
        assert c.stay_days is not None
        assert c.step_down is not None
        if c.kind == "emergency":
            above += per_day[name] * c.stay_days.value
            below += per_day[name] * c.step_down.value * (c.recovery_days.value if c.recovery_days else 0.0)
        else:
            below += per_day[name] * c.stay_days.value
    assert (above, below) == pytest.approx(LOADS, rel=1e-6)
    assert sum(count.value for count in config.population.residents.values()) == 3650  # 100 a year: one a day
    assert config.uncertainty == "luck"


def test_the_published_figures_are_those_of_the_formula() -> None:
    for (ward, beds), (low, high) in PUBLISHED.items():
        found = erlang_b(LOADS[ward == BELOW], beds)
        assert low - ROUNDING <= found < high + ROUNDING, (ward, beds, found)


def test_the_report_is_told_the_published_figures() -> None:
    pooling = sim.load("stroke").report.pooling
    assert pooling is not None
    told = {(x.ward, x.beds): (min(x.delay.value), max(x.delay.value)) for x in pooling.published}
    assert told == PUBLISHED
    assert {x.delay.source.data for x in pooling.published} == {"monks-2016"}


def test_both_ends_of_sharing_are_what_they_were_before() -> None:
    """Beds shared in part: with none shared it is nearly the two wards alone, with all shared exactly one pool."""
    total = sum(LOADS)
    assert shared_in_part((0, 0), 26)["delay"] == pytest.approx([erlang_b(total, 26)] * 2)
    assert shared_in_part((14, 12), 0)["delay"] == pytest.approx([erlang_b(LOADS[0], 14), erlang_b(LOADS[1], 12)])
    assert shared_in_part((0, 0), 26)["overflow"] == pytest.approx([poisson(total).sf(25)] * 2)


# ------------------------------------------------------------------------------------------------- chances of a census

NIGHTS = np.array([[0, 1, 2, 3, 2, 1], [2, 0, 1, 1, 3, 2]])
"""Patients in two wards on six nights."""


@pytest.mark.parametrize(("wards", "own", "shared", "delay", "overflow"), [
    ([0], [2], 0, [2 / 5], [3 / 6]),  # two patients on two nights, no more than two on five, at least two on three
    ([1], [2], 0, [2 / 5], [3 / 6]),
    ([0, 1], [0, 0], 3, [2 / 4, 2 / 4], [4 / 6, 4 / 6]),  # in all 2, 1, 3, 4, 5, 3
    # beyond the bed of each ward's own 1, 0, 1, 2, 3, 1: the shared one suffices on four nights, and is taken on three
    # of them, of which the first ward's own bed is free on one, the second's on none
    ([0, 1], [1, 1], 1, [2 / 4, 3 / 4], [4 / 6, 5 / 6]),
    # the first ward's own three do; the second needs 1, 0, 0, 0, 2, 1 more, and has always somebody where it does
    ([0, 1], [3, 1], 1, [0 / 5, 2 / 5], [0 / 6, 3 / 6]),
])  # fmt: skip
def test_chances_on_a_napkin(
    wards: list[int], own: list[int], shared: int, delay: list[float], overflow: list[float]
) -> None:
    found = chances(NIGHTS[wards], own, shared)
    assert found[0] == pytest.approx(delay)
    assert found[1] == pytest.approx(overflow)


def test_beds_that_never_suffice_have_no_delay() -> None:
    found = chances(np.array([[3, 4], [5, 5]]), [1, 1], 1)
    assert np.isnan(found[0]).all()
    assert found[1].tolist() == [1.0, 1.0]


def test_three_wards_share_as_two_do() -> None:
    """A third ward that always fills its own beds changes nothing for the others."""
    three = np.vstack([NIGHTS, np.full(6, 4)])
    assert chances(three, [1, 1, 4], 1)[:, :2] == pytest.approx(chances(NIGHTS, [1, 1], 1))


def test_the_census_is_who_is_there_at_midnight() -> None:
    """Ward by ward: who came before it and has not left; somebody in transit is counted once."""
    rows = [
        (7, 0.2, 1.5), (7, 0.9, 2.1), (4, 2.1, 3.2), (7, 2.9, 2.95), (7, 1.0, 1.2), (5, 0.1, 9.0),
    ]  # fmt: skip
    stays = pd.DataFrame(rows, columns=["ward", "admitted", "discharged"])
    stays[["admitted", "discharged"]] *= DAY
    assert census(stays, [7, 4], np.array([1.0, 2.0, 3.0, 4.0]) * DAY).tolist() == [[2, 1, 0, 0], [0, 0, 1, 0]]


def test_wards_are_numbered_as_the_simulation_does() -> None:
    config = sim.load("stroke")
    assert config.report.pooling is not None
    assert wards_by_number(config.network, config.report.pooling) == [1, 0]  # the lower level comes first


# ----------------------------------------------------------------------------------------------- what is simulated


def shipped(seed: int, days: int) -> Case:
    """The shipped study, but for its length."""
    case = next(iter(cases(sim.load("stroke")).values()))
    return replace(case, seed=seed, to=case.warmup_from + timedelta(days=days - 1))


FILLING, EMPTYING = 450, 250
"""Days in which the wards fill, and those in which the stays of the days before them end."""


def both_wards(tables: Tables, days: int) -> Any:
    """The census of the nights between."""
    return census(tables["stays"], [1, 0], np.arange(FILLING, days - EMPTYING) * DAY)


def expectations() -> Iterator[tuple[str, Callable[[Any], float], float]]:
    """What is looked at, how it is read from a census, and what it is to be.

    A delay is read as a difference, chance of the numerator less delay x chance of the denominator, whose mean is 0
    where the delay is right: a ratio would have a bias.
    """
    for ward, load in enumerate(LOADS):
        yield f"mean {ward}", lambda nights, w=ward: float(nights[w].mean()), load
        yield f"square {ward}", lambda nights, w=ward, m=load: float(((nights[w] - m) ** 2).mean()), load
    together = np.array(LOADS)[:, None]
    yield "together", lambda nights: float((nights - together).prod(axis=0).mean()), 0.0
    for ward, beds in PUBLISHED:
        w, right = int(ward == BELOW), erlang_b(LOADS[ward == BELOW], beds)
        yield f"delay {ward} {beds}", lambda nights, w=w, n=beds, p=right: away(nights[[w]], [n], 0, 0, p), 0.0
    for beds in (22, 26):
        right = erlang_b(sum(LOADS), beds)
        yield f"delay {beds}", lambda nights, n=beds, p=right: away(nights, [0, 0], n, 0, p), 0.0
        taken = float(poisson(sum(LOADS)).sf(beds - 1))
        yield f"overflow {beds}", lambda nights, n=beds: float(chances(nights, [0, 0], n)[1, 0]), taken
    for own, beds in (((11, 10), 5), ((9, 9), 8)):
        of = shared_in_part(own, beds)
        for ward in (0, 1):
            at, right, taken = f"{own} {beds} {ward}", of["delay"][ward], of["overflow"][ward]
            yield f"delay {at}", lambda nights, o=own, n=beds, w=ward, p=right: away(nights, o, n, w, p), 0.0
            yield f"overflow {at}", lambda nights, o=own, n=beds, w=ward: float(chances(nights, o, n)[1, w]), taken


def away(nights: Any, own: Any, shared: int, ward: int, delay: float) -> float:
    """How far the nights are from a delay: 0 on average where it is right."""
    suffices = np.maximum(nights.T - np.array(own), 0).sum(axis=1) <= shared
    return float((chances(nights, own, shared)[0, ward] - delay) * suffices.mean())


def test_the_simulated_pathway_is_two_independent_poisson_numbers() -> None:
    looked_at = list(expectations())

    def found(tables: Tables, days: int) -> dict[str, float]:
        nights = both_wards(tables, days)
        return {name: read(nights) for name, read, _ in looked_at}

    assert not disagreements(shipped, found, 1500, {name: right for name, _, right in looked_at})


def test_with_ten_beds_and_nobody_who_waits_the_acute_unit_loses_what_was_reckoned() -> None:
    """M/G/c/c: the delay that is reckoned from wards without limit is what a ward with ten beds really loses."""
    stays = {"stroke": (0.87 / 1.2, 7.4, 8.61), "early": (0.13 / 1.2, 4.6, 4.8), "tia": (1 / 9.3, 1.8, 2.3),
             "neurological": (1 / 3.6, 4.0, 5.0), "other": (1 / 3.2, 3.8, 5.2)}  # fmt: skip
    sick = {
        name: towns.condition("severe", (1.0, 1.0, 0.0), admission=1.0, stay_days=mean, stay_cv=sd / mean)
        for name, (_, mean, sd) in stays.items()
    }
    at_once = {"consultation_minutes": {level: towns.said(0.01) for level in LEVELS[:-1]}, "outside_stay_days": 0.05}
    unit = towns.facility("unit", "tertiary", clinics=[towns.clinic(20)], wards=[towns.ward(10)])

    def case(seed: int, days: int) -> Case:
        return towns.case(
            days,
            seed,
            network=towns.network([unit]),
            population=towns.population({"town": 1000}),
            demand=towns.demand({name: rate for name, (rate, *_) in stays.items()}, 1000),
            choice=towns.choice({"tertiary": 1.0}),
            care=towns.care(sick, bed_patience=0.0, **at_once),
        )

    def found(tables: Tables, days: int) -> dict[str, float]:
        asked = tables["stays"].query(f"{days / 5 * DAY} <= requested <= {(days - 90) * DAY}")
        nights = census(tables["stays"], [0], np.arange(days // 5, days - 90) * DAY)
        return {"lost": float((asked["facility"] == "outside").mean()), "occupied": float(nights.mean())}

    lost = erlang_b(LOADS[0], 10)
    assert not disagreements(case, found, 900, {"lost": lost, "occupied": LOADS[0] * (1 - lost)})


# ------------------------------------------------------------------------------------------------------- the report


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Results:
    """The shipped study with fewer replications and years."""
    folder = tmp_path_factory.mktemp("stroke") / "out"
    years = {"warmup_from": "2012-10-01", "from": "2014-01-01", "to": "2016-08-31"}
    until = {"pooling": {"until": "2015-12-31"}}
    execution = {"workers": 1, "pack": 12}
    config = sim.load("stroke", replications=12, horizon=years, report=until, execution=execution, output=str(folder))
    return sim.run(config)


def test_the_table_has_a_row_for_each_arrangement(results: Results) -> None:
    table = pd.read_csv(results.folder / "pooling.csv")
    assert list(table.columns) == COLUMNS
    spec = results.config.report.pooling
    assert spec is not None
    numbers = table["arrangement"].value_counts().to_dict()
    assert numbers == {
        "alone": sum(map(len, spec.wards.values())),
        "shared": len(spec.shared),
        "partly_shared": 2 * len(spec.partly_shared),
    }
    assert set(table.loc[table["arrangement"] == "shared", "ward"]) == {ALL}
    assert (table["replications"] == 12).all()
    assert ((table["delay_low"] <= table["delay"]) & (table["delay"] <= table["delay_high"])).all()
    partly = table[table["arrangement"] == "partly_shared"]
    assert (partly["own"] + partly["elsewhere"] + partly["shared"] == 26).all()


def test_the_study_meets_the_published_figures(results: Results) -> None:
    """The interval reaches what is published, within its rounding."""
    table = pd.read_csv(results.folder / "pooling.csv").query("arrangement == 'alone'").set_index(["ward", "own"])
    for key, (low, high) in PUBLISHED.items():
        row = table.loc[key]
        assert row["delay_low"] <= high + ROUNDING, key
        assert row["delay_high"] >= low - ROUNDING, key


@pytest.mark.parametrize(("page", "words"), [
    ("report.html", ["Beds of their own, or shared?", "13% to 14%", "Own beds: Rehabilitation unit", "1 in 7"]),
    ("report.zh.html", ["床位分设还是共用？", "13% 至 14%", "专用床位：康复病区", "每 7 人 1 人"]),
])  # fmt: skip
def test_the_report_shows_it_in_both_languages(results: Results, page: str, words: list[str]) -> None:
    text = (results.folder / page).read_text("utf-8")
    assert [word for word in words if word not in text] == []
    row = pd.read_csv(results.folder / "pooling.csv").query("arrangement == 'shared' and shared == 26").iloc[0]
    assert f"{100 * row['delay']:.1f}%" in text
    assert ">nan" not in text


# ------------------------------------------------------------------------------------------------------------ mistakes


def mistaken(tmp_path: Path, old: str, new: str, *overrides: str) -> str:
    """What is said of the shipped study whose report config has been changed."""
    shipped_file = Path(sim.__file__).parents[1] / "configs" / "report" / "stroke.yaml"
    text = shipped_file.read_text("utf-8")
    assert old in text
    (tmp_path / "configs" / "report").mkdir(parents=True)
    (tmp_path / "configs" / "report" / "mine.yaml").write_text(text.replace(old, new), "utf-8")
    with pytest.raises(InputError) as told:
        sim.load("stroke", overrides=["report=mine", *overrides], config_dir=tmp_path / "configs")
    return str(told.value)


@pytest.mark.parametrize(("old", "new", "said"), [
    (ACUTE, "acute_unit/strok", "acute_unit/strok is no ward of the network. Did you mean acute_unit/stroke?"),
    (f"ward: {BELOW}", "ward: rehabilitation_unit/rehabilitation", f"not one of these wards. Did you mean {BELOW}?"),
    ("own: [9, 9]", "own: [9]", "There are 2 wards, so 2 numbers of beds are needed; found 1."),
    ("until: 2018-12-31", "until: 2013-12-31", "2013-12-31 is not among the days measured, 2014-01-01 to 2019-12-31."),
    ("partly_shared:", "partly_sharde:", "Did you mean partly_shared?"),
])  # fmt: skip
def test_a_mistake_is_told_with_the_nearest_right_name(tmp_path: Path, old: str, new: str, said: str) -> None:
    assert said in mistaken(tmp_path, old, new)


def test_a_census_needs_every_stay() -> None:
    with pytest.raises(InputError, match="record=visits; found days"):
        sim.load("stroke", record="days")


def test_nobody_else_is_shown_it() -> None:
    assert sim.load("example").report.pooling is None
    assert date(2018, 12, 31) == sim.load("stroke").report.pooling.until  # type: ignore[union-attr]
