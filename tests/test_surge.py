"""An epidemic: needs that only come on top, a backlog as large as theory says, and the response to it."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from scipy import stats

import towns
from sim.contacts import Rows, join
from sim.demand import CHUNK
from sim.model import Case, Model
from sim.past import tree
from sim.policy import Policy
from sim.streams import Floats
from sim.timetable import DAY
from test_demand import ALPHA, NET, demand, of
from test_past import assert_no_difference, on, pulled, town
from test_theory_beds import group, lead_town

EPIDEMIC = {"cold": 2.5, "lung": 0.4}


def by_dates(lever: str, values: dict[int, Any], ramp: bool = False) -> Policy:
    """A policy of one lever, by day of the run."""
    policy = towns.policy()
    for day, value in values.items():
        policy = policy.amended(towns.policy({lever: value}, on(day)))
    group, name = lever.split(".")
    levers = getattr(policy, group)
    dated = getattr(levers, name).model_copy(update={"ramp": "linear" if ramp else None})
    return policy.model_copy(update={group: levers.model_copy(update={name: dated})})


# --------------------------------------------------------------------------------------------------------------- needs


def flat(factors: dict[str, float], days: range = range(CHUNK)) -> Floats:
    """Factors of a chunk on some of its days."""
    surge = np.ones((CHUNK, len(NET.conditions)))
    for name, factor in factors.items():
        surge[days, NET.conditions.index(name)] = factor
    return surge


def needs(factors: dict[str, float] | None, replication: int = 0, chunks: int = 4) -> Rows:
    """Needs of some chunks with the same factors throughout."""
    one = demand(replication=replication)
    surge = None if factors is None else flat(factors)
    return join([one.chunk(n, surge=surge) for n in range(chunks)])


def rows_of(rows: Rows) -> set[bytes]:
    """Each need with all that is known of it."""
    return {row.tobytes() for row in rows}


def test_an_epidemic_only_adds_and_a_factor_below_one_only_takes_away() -> None:
    """R12: every need there was is still there, with the same id, minute and person, whatever the two factors."""
    found = [rows_of(needs({"cold": factor})) for factor in (0.0, 0.4, 1.0, 1.7, 2.0, 3.1)]
    for less, more in pairwise(found):
        assert less < more
    assert found[2] == rows_of(needs(None))
    assert sorted(row.tobytes() for row in needs({"cold": 1.0})) == sorted(row.tobytes() for row in needs(None))


def test_there_are_as_many_needs_as_the_factor_says() -> None:
    for name, factor, per_day in (("cold", 2.5, 30.0), ("lung", 0.4, 3.0)):
        counts = [len(of(needs(EPIDEMIC, r), name)) for r in range(10)]
        mean = per_day * factor * 4 * CHUNK
        assert abs(np.mean(counts) - mean) < stats.norm.isf(ALPHA / 2) * np.sqrt(mean / 10)
        assert ALPHA < stats.chi2.cdf(sum((c - mean) ** 2 for c in counts) / mean, 10) < 1 - ALPHA


def test_an_epidemic_touches_its_own_days_and_conditions_alone() -> None:
    usual, one = demand().chunk(1), demand().chunk(1, surge=flat(EPIDEMIC, range(10, 20)))
    within = [rows[(rows["time"] // DAY - CHUNK >= 10) & (rows["time"] // DAY - CHUNK < 20)] for rows in (usual, one)]
    assert rows_of(one) - rows_of(within[1]) == rows_of(usual) - rows_of(within[0])
    assert len(of(within[1], "cold")) > 2 * len(of(within[0], "cold")) > 0
    assert len(of(within[1], "lung")) < len(of(within[0], "lung"))
    assert np.array_equal(of(one, "sugar"), of(usual, "sugar"))
    assert len(np.unique(one["key"])) == len(one)


def test_a_wave_rises_and_falls_day_by_day() -> None:
    wave = {0: {"cold": 1.0}, 7: {"cold": 3.0}, 14: {"cold": 1.0}}
    model = Model(replace(towns.group_town(28), policy=by_dates("surge.needs", wave, ramp=True)), [0])
    surge = model._surge(0, 0)
    assert surge is not None
    cold = model.conditions.index("cold")
    assert surge[:, cold] == pytest.approx([*np.linspace(1, 3, 8), *np.linspace(3, 1, 8)[1:], *[1.0] * 13])
    assert (np.delete(surge, cold, axis=1) == 1.0).all()


# ------------------------------------------------------------------------------------------------------------- backlog


OVERLOADED = 20
"""Days on which more come than can be seen."""


def overload() -> dict[str, list[float]]:
    """One doctor sees 144 a day; 100 come, in the epidemic 200: who is there at its end, and days waited in all."""
    waves = by_dates("surge.needs", {0: {"urgent": 2.0}, OVERLOADED: {"urgent": 1.0}})
    case = towns.emergency_town(100.0, 1, 60, consultation_law="exponential")
    found: dict[str, list[float]] = {"at its end": [], "waited": []}
    for tables in towns.run(replace(case, policy=waves), 8).values():
        visits, end = tables["visits"], OVERLOADED * DAY
        found["at its end"].append(float((visits["time"].lt(end) & visits["begin"].ge(end)).sum()))
        found["waited"].append(float((visits["begin"] - visits["time"]).sum()) / DAY)
    return found


def test_an_overload_leaves_the_backlog_that_the_fluid_limit_says() -> None:
    """After T days of lambda > mu there are (lambda - mu) T, gone after as many over mu - lambda' days; waited is the
    area of that triangle, and what M/M/1 at rest waits in the days after it.

    The mean must lie within four standard errors, but no nearer than a hundredth of the limit: near both ends of the
    backlog, while the doctor is idle now and then, some dozens wait of whom the limit knows nothing.
    """
    many, seen, few = 200.0, 144.0, 100.0
    backlog = (many - seen) * OVERLOADED
    gone = backlog / (seen - few)
    triangle = backlog * (OVERLOADED + gone) / 2
    at_rest = (few / seen) ** 2 / (1 - few / seen) * (60 - OVERLOADED - gone)
    expected = {"at its end": backlog, "waited": triangle + at_rest}
    for name, found in overload().items():
        error = np.std(found, ddof=1) / np.sqrt(len(found))
        assert abs(np.mean(found) - expected[name]) < max(4 * error, 0.01 * expected[name]), name


def test_the_backlog_goes_when_the_epidemic_is_over() -> None:
    waves = by_dates("surge.needs", {0: {"urgent": 2.0}, 10: {"urgent": 1.0}})
    visits = towns.run(replace(towns.emergency_town(100.0, 1, 60), policy=waves))[0]["visits"]
    wait = (visits["begin"] - visits["time"]).groupby(visits["time"] // DAY).mean()
    assert wait[8:10].min() > 1000
    assert wait[40:].mean() < 60


# ------------------------------------------------------------------------------------------------ planned patients wait


SINCE, UNTIL = 5, 20
"""Days of a pause."""


def planned(patience: float = towns.ENDLESS, until: int = UNTIL, share: float = 1.0) -> Case:
    """Eight planned patients and two emergencies a day, and a ward that is half full; a pause."""
    case = lead_town(
        40, 1, {"other": (8.0, 2.0), "emergency": (2.0, 2.0)}, group(40), bed_patience=patience, forgoes_bed=0.5
    )
    return replace(case, policy=by_dates("surge.planned_paused", {SINCE: share, until: 0.0}), audit=True)


def test_planned_patients_wait_until_the_pause_is_over() -> None:
    stays = towns.run(planned())[0]["stays"]
    usual = towns.run(planned(share=0.0))[0]["stays"]
    first = stays[stays["entry"].eq("other")]
    during = first[first["requested"].between(SINCE * DAY, UNTIL * DAY)]
    assert len(during) > 100
    assert (during["admitted"] >= UNTIL * DAY).all()
    assert not first["admitted"].between(SINCE * DAY, UNTIL * DAY, inclusive="left").any()
    assert (first.loc[first["requested"] < SINCE * DAY, "admitted"] < SINCE * DAY).all()
    beds = during.sort_values(["admitted", "requested"])["requested"].tolist()
    assert beds == sorted(beds)  # in the order in which they asked
    urgent = [x.query("entry == 'emergency' and requested < @UNTIL * @DAY")["admitted"] for x in (stays, usual)]
    assert urgent[0].tolist() == urgent[1].tolist()


def test_those_put_off_are_the_same_whatever_the_rest_and_a_share_of_all() -> None:
    half, most = (towns.run(planned(share=share))[0]["stays"] for share in (0.5, 0.8))
    late = [
        set(stays.query("@SINCE * @DAY <= requested < @UNTIL * @DAY <= admitted")["episode"]) for stays in (half, most)
    ]
    asked = len(half.query("entry == 'other' and @SINCE * @DAY <= requested < @UNTIL * @DAY"))
    assert late[0] < late[1]
    assert len(late[0]) / asked == pytest.approx(0.5, abs=0.15)


def test_who_is_put_off_too_long_goes_without_a_bed_or_leaves_the_area() -> None:
    tables = towns.run(planned(patience=3.0))[0]
    stays, needs = tables["stays"], tables["needs_monthly"]
    outside = stays[stays["facility"].eq("outside")]
    assert len(outside) > 20
    assert needs["unmet"].sum() > 20
    during = tables["waits_bed"]
    assert during["left"].sum() == len(outside) + needs["unmet"].sum()


def test_those_put_off_are_on_the_waiting_list_at_the_end_of_a_month() -> None:
    backlog = towns.run(planned(until=35))[0]["backlog"]
    assert backlog.loc[backlog["resource"].eq("bed"), "waiting"].sum() > 100


def test_the_ill_of_the_epidemic_are_not_put_off() -> None:
    pause, epidemic = planned(), by_dates("surge.needs", {0: {"other": 1.0}})
    stays = towns.run(replace(pause, policy=pause.policy.amended(epidemic)))[0]["stays"]
    assert (stays["admitted"] - stays["requested"]).max() < DAY


# ------------------------------------------------------------------------------------------------------- a shared past


def test_scenarios_part_when_the_needs_of_an_epidemic_are_drawn() -> None:
    base = replace(town(), policy=towns.policy())
    study = {
        "before": base,
        "wave": pulled(base, 33, surge__needs={"cold": 3.0}),
        "response": pulled(
            pulled(base, 33, surge__needs={"cold": 3.0}), 35, surge__planned_paused=0.7, surge__other_needs=0.5
        ),
    }
    found = tree(study, [0])
    assert found.end == CHUNK
    assert [stretch.end for stretch in found.then if len(stretch.names) > 1] == [35]
    assert_no_difference(study, [0])


def test_a_pause_that_ends_in_one_scenario_goes_on_in_the_other() -> None:
    base = replace(town(), policy=by_dates("surge.planned_paused", {5: 1.0}))
    assert_no_difference({"on": base, "off": pulled(base, 20, surge__planned_paused=0.2)}, [0])
