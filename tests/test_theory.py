"""Where theory has a formula, the model meets it.

Each expected value is computed here from its formula. The rule has two stages: independent replications must agree with
it at a level of 1 %; if they do not, other luck over four times the length must agree at a level of 0.01 %. A right
model fails one case with a chance of one in a million, so all cases of this file together fail with less than 1 in
10,000; a mean that is five standard errors off is caught (tested below).
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from math import factorial
from typing import Any

import numpy as np
import pandas as pd
import pytest

import towns
from sim.care import LEVELS
from sim.model import Case
from sim.timetable import DAY

REPLICATIONS = 8
FIRST, SECOND = 1e-2, 1e-4
"""Levels of the two stages."""

Sample = Callable[[int, int], list[float]]
"""(seed, times the length) -> one mean per replication."""


def agrees(sample: Sample, expected: float) -> bool:
    """The two-stage rule."""
    return towns.within(sample(1, 1), expected, FIRST) or towns.within(sample(2, 4), expected, SECOND)


def means(
    case: Callable[[int, int], Case], measure: Callable[[dict[str, pd.DataFrame], int], float], days: int
) -> Sample:
    """One mean per replication of a town that lasts `days` in the first stage."""

    def sample(seed: int, times: int) -> list[float]:
        tables = towns.run(case(seed, days * times), REPLICATIONS)
        return [measure(of, days * times) for of in tables.values()]

    return sample


def test_the_rule_accepts_the_truth_and_catches_five_standard_errors() -> None:
    def sample(shift: float) -> Sample:
        return lambda seed, times: list(
            np.random.default_rng([seed, times]).normal(shift, 1 / np.sqrt(times), REPLICATIONS)
        )

    five = 5 / np.sqrt(REPLICATIONS)  # standard errors of the first stage
    assert agrees(sample(0.0), 0.0)
    assert not agrees(sample(five), 0.0)
    assert not agrees(sample(-five), 0.0)


# ------------------------------------------------------------------------------------------------------------- queues


def erlang_b(offered: float, servers: int) -> float:
    """Share of arrivals that find all servers busy, where nobody waits."""
    terms = [offered**k / factorial(k) for k in range(servers + 1)]
    return terms[-1] / sum(terms)


def erlang_c(offered: float, servers: int) -> float:
    """Share of arrivals that wait in M/M/c."""
    b = erlang_b(offered, servers)
    return b / (1 - offered / servers * (1 - b))


def settled(visits: pd.DataFrame, days: int) -> pd.DataFrame:
    """Arrivals after a fifth of the time for warming up, and early enough to be seen before the end."""
    return visits[visits["time"].between(days / 5 * DAY, (days - 0.5) * DAY)]


def mean_wait(tables: dict[str, pd.DataFrame], days: int) -> float:
    """Mean minutes from place in line to the doctor."""
    visits = settled(tables["visits"], days)
    return float((visits["begin"] - visits["time"]).mean())


@pytest.mark.parametrize(("doctors", "load"), [(1, 0.7), (3, 0.8), (8, 0.9)])
def test_exponential_consultations_wait_as_erlang_says(doctors: int, load: float) -> None:
    """M/M/c: mean wait = C(c, a) / (c mu - lambda)."""
    mean, offered = 10.0, doctors * load
    expected = erlang_c(offered, doctors) * mean / (doctors - offered)

    def case(seed: int, days: int) -> Case:
        return towns.emergency_town(
            offered / mean * DAY, doctors, days, seed, consultation_law="exponential", triage=[1.0, 0.0, 0.0, 0.0]
        )

    assert agrees(means(case, mean_wait, 25), expected)


@pytest.mark.parametrize("cv", [0.0, 0.5, 1.0])
def test_other_consultations_wait_as_pollaczek_and_khinchine_say(cv: float) -> None:
    """M/G/1: mean wait = lambda E[S^2] / 2 (1 - rho)."""
    mean, load = 10.0, 0.7
    expected = load * mean * (1 + cv**2) / 2 / (1 - load)

    def case(seed: int, days: int) -> Case:
        return towns.emergency_town(load / mean * DAY, 1, days, seed, consultation_cv=cv, triage=[1.0, 0.0, 0.0, 0.0])

    assert agrees(means(case, mean_wait, 40), expected)


def test_triage_waits_as_cobham_says() -> None:
    """Non-preemptive priority: mean wait of class k = C(c, a) / c mu / (1 - s_(k-1)) (1 - s_k), s_k: load up to k."""
    mean, doctors, load, shares = 10.0, 2, 0.85, np.array([0.2, 0.3, 0.4, 0.1])
    offered = doctors * load
    upto = np.concatenate([[0.0], np.cumsum(shares) * load])
    expected = erlang_c(offered, doctors) * mean / doctors / ((1 - upto[:-1]) * (1 - upto[1:]))

    def case(seed: int, days: int) -> Case:
        return towns.emergency_town(
            offered / mean * DAY, doctors, days, seed, consultation_law="exponential", triage=shares.tolist()
        )

    def waits(tables: dict[str, pd.DataFrame], days: int) -> list[float]:
        visits = settled(tables["visits"], days)
        level = np.minimum((_triage_luck(visits)[:, None] >= np.cumsum(shares)).sum(axis=1), 3)
        return (visits["begin"] - visits["time"]).groupby(level).mean().tolist()

    @cache
    def sample(seed: int, times: int) -> list[list[float]]:
        return [waits(t, 30 * times) for t in towns.run(case(seed, 30 * times), REPLICATIONS).values()]

    for level, wait in enumerate(expected):
        assert agrees(lambda seed, times, level=level: [w[level] for w in sample(seed, times)], float(wait)), level


def _triage_luck(visits: pd.DataFrame) -> Any:
    from sim.streams import Purpose, uniform

    return uniform(visits["episode"].to_numpy(), Purpose.TRIAGE)


def test_little_law_holds_for_the_doctors() -> None:
    """Busy doctors = arrivals x mean consultation, whatever the queue."""
    per_day, mean = 200.0, 14.0

    def busy(tables: dict[str, pd.DataFrame], days: int) -> float:
        visits = tables["visits"]
        start, end = days / 5 * DAY, (days - 1) * DAY
        return float((visits["end"].clip(start, end) - visits["begin"].clip(start, end)).sum() / (end - start))

    def case(seed: int, days: int) -> Case:
        return towns.emergency_town(per_day, 3, days, seed, emergency_minutes=mean)

    assert agrees(means(case, busy, 30), per_day / DAY * mean)


# --------------------------------------------------------------------------------------------------------------- beds


def hospital(seed: int, days: int, per_day: float, beds: int, stay: float, cv: float, patience: float) -> Case:
    """Everybody who comes needs a bed, at once and round the clock."""
    ill = towns.condition(admission=1.0, stay_days=stay, stay_cv=cv)
    quick = {level: towns.said(1.0) for level in LEVELS[:-1]}
    return towns.clinic_town(
        per_day,
        days,
        seed,
        places={"doctors": 4, "pattern": towns.ALWAYS},
        wards=[towns.ward(beds)],
        ill=ill,
        bed_patience=patience,
        consultation_minutes=quick,
        outside_stay_days=0.1,
    )


@pytest.mark.parametrize("cv", [0.0, 1.0])
def test_a_ward_without_a_waiting_list_refuses_as_erlang_says(cv: float) -> None:
    """Erlang loss, whatever the law of the stay (insensitivity)."""
    per_day, stay, beds = 40.0, 0.25, 12

    def refused(tables: dict[str, pd.DataFrame], days: int) -> float:
        asked = (tables["visits"]["end"] >= 31 * DAY).sum()
        left = tables["waits_bed"].query("month >= '2024-02-01'")["left"].sum()
        return float(left / asked)

    assert agrees(
        means(lambda seed, days: hospital(seed, days, per_day, beds, stay, cv, 0.0), refused, 70),
        erlang_b(per_day * stay, beds),
    )


def test_a_single_bed_is_waited_for_as_pollaczek_and_khinchine_say() -> None:
    per_day, stay, cv = 35.0, 0.02, 0.8
    load = per_day * stay
    expected = per_day * stay**2 * (1 + cv**2) / 2 / (1 - load)

    def days_waited(tables: dict[str, pd.DataFrame], days: int) -> float:
        stays = tables["stays"]
        chosen = stays[stays["requested"].between(days / 5 * DAY, (days - 2) * DAY)]
        return float((chosen["admitted"] - chosen["requested"]).mean() / DAY)

    assert agrees(
        means(lambda seed, days: hospital(seed, days, per_day, 1, stay, cv, towns.ENDLESS), days_waited, 60), expected
    )


def test_step_down_shortens_the_stay_at_the_hospital_and_not_the_episode() -> None:
    """Mean stay at the hospital = m (1 - eligible x proposed x consented x recovery); the episode keeps m."""
    mean, eligible, proposed, consented, recovery = 0.5, 0.8, 0.6, 0.5, 0.4
    ill = towns.condition(admission=1.0, stay_days=mean, stay_cv=0.5, step_down=eligible, recovery=recovery)
    facilities = [
        towns.facility(
            "lead", "tertiary", role="lead", group="group", clinics=[towns.clinic(4)], wards=[towns.ward(500)]
        ),
        towns.facility(
            "centre",
            "centre",
            role="member",
            group="group",
            clinics=[towns.clinic(1)],
            wards=[towns.ward(500, "care", True)],
        ),
    ]

    def case(seed: int, days: int) -> Case:
        return towns.case(
            days,
            seed,
            {"down_referral.proposed": proposed, "down_referral.consented": consented},
            network=towns.network(facilities, "lead"),
            population=towns.population({"town": 1000}),
            demand=towns.demand({"illness": 60.0}, 1000),
            choice=towns.choice({"tertiary": 1.0}),
            care=towns.care({"illness": ill}),
        )

    def hospital_days(tables: dict[str, pd.DataFrame], days: int) -> float:
        stays = tables["stays"]
        chosen = stays[(stays["requested"] < (days - 7) * DAY) & (stays["facility"] == "lead")]
        return float((chosen["discharged"] - chosen["admitted"]).mean() / DAY)

    def episode_days(tables: dict[str, pd.DataFrame], days: int) -> float:
        stays = tables["stays"]
        chosen = stays[(stays["first_admitted"] < (days - 7) * DAY) & ~stays["to_step_down"]]
        return float((chosen["discharged"] - chosen["first_admitted"]).mean() / DAY)

    assert agrees(means(case, hospital_days, 21), mean * (1 - eligible * proposed * consented * recovery))
    assert agrees(means(case, episode_days, 21), mean)


# ------------------------------------------------------------------------------------------------------------- routes


@pytest.mark.parametrize("formal", [0.0, 0.7])
def test_the_grassroots_share_of_a_chain_of_referrals(formal: float) -> None:
    """Share p starts at the centre; of these, b need more, of whom h get to the hospital: p / (1 + p b h)."""
    p, b, advice, accepted, arrive = 0.6, 0.4, 0.7, 0.8, 0.9
    sent_up = formal * (accepted * arrive + (1 - accepted)) + (1 - formal) * advice  # who is declined goes by himself
    expected = p / (1 + p * b * sent_up)
    facilities = [
        towns.facility("lead", "tertiary", role="lead", group="group", clinics=[towns.clinic(40)]),
        towns.facility("centre", "centre", role="member", group="group", clinics=[towns.clinic(40)]),
    ]

    def case(seed: int, days: int) -> Case:
        return towns.case(
            days,
            seed,
            {"up_referral.formal_share": formal, "up_referral.accepted": accepted},
            network=towns.network(facilities, "lead"),
            population=towns.population({"town": 1000}),
            demand=towns.demand({"illness": 150.0}, 1000),
            choice=towns.choice({"centre": p, "tertiary": 1 - p}, follows_advice=advice),
            referral=towns.referral(arrive),
            care=towns.care({"illness": towns.condition(beyond=(1.0, b, 0.0))}),
        )

    def grassroots(tables: dict[str, pd.DataFrame], days: int) -> float:
        visits = tables["visits"]
        return float((visits["facility"] == "centre").mean())

    assert agrees(means(case, grassroots, 30), expected)


def test_visits_of_an_episode_with_follow_ups() -> None:
    """A chance q of being asked back after each visit, twelve visits at most: (1 - q^12) / (1 - q) visits."""
    q = 0.6
    ill = towns.condition(follow_up=q, follow_up_days=1.0)

    def visits_of_an_episode(tables: dict[str, pd.DataFrame], days: int) -> float:
        visits = tables["visits"]
        each = visits.groupby("episode")["time"].agg(["size", "min"])
        return float(each.loc[each["min"] < (days - 20) * DAY, "size"].mean())

    def case(seed: int, days: int) -> Case:
        return towns.clinic_town(40.0, days, seed, places={"doctors": 20, "pattern": towns.ALWAYS}, ill=ill)

    assert agrees(means(case, visits_of_an_episode, 50), (1 - q**12) / (1 - q))
