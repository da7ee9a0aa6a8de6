"""Where theory has a formula, the model meets it: queues and a bed; `test_theory_beds`, `_slots` and `_routes` go on.

Each expected value is computed in its test, from a formula or a small Markov chain. The rule by which simulated means
agree with it, and its rate of false alarms, stand in `agreement`.
"""

from __future__ import annotations

from dataclasses import replace
from math import factorial
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy.stats import lognorm

import towns
from agreement import REPLICATIONS, Sample, Tables, agrees, disagreements, means, settled
from chains import Floats, at_rest, birth_and_death, uniformised
from sim.care import LEVELS
from sim.model import Case
from sim.timetable import DAY


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


ONE_CLASS = [1.0, 0.0, 0.0, 0.0]
"""Nobody comes before anybody: shares of the levels of triage."""


def erlang_b(offered: float, servers: int) -> float:
    """Share of arrivals that find all servers busy, where nobody waits."""
    terms = [offered**k / factorial(k) for k in range(servers + 1)]
    return terms[-1] / sum(terms)


def erlang_c(offered: float, servers: int) -> float:
    """Share of arrivals that wait in M/M/c."""
    b = erlang_b(offered, servers)
    return b / (1 - offered / servers * (1 - b))


def mean_wait(tables: Tables, days: int) -> float:
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
            offered / mean * DAY, doctors, days, seed, consultation_law="exponential", triage=ONE_CLASS
        )

    assert agrees(means(case, mean_wait, 25), expected)


@pytest.mark.parametrize(
    ("law", "cv"), [("lognormal", 0.0), ("lognormal", 0.5), ("lognormal", 1.0), ("exponential", 1.0)]
)
def test_other_consultations_wait_as_pollaczek_and_khinchine_say(law: str, cv: float) -> None:
    """M/G/1, constant, lognormal and exponential: mean wait = lambda E[S^2] / 2 (1 - rho)."""
    mean, load = 10.0, 0.7
    expected = load * mean * (1 + cv**2) / 2 / (1 - load)

    def case(seed: int, days: int) -> Case:
        figures = {"consultation_law": law, "consultation_cv": cv, "triage": ONE_CLASS}
        return towns.emergency_town(load / mean * DAY, 1, days, seed, **figures)

    assert agrees(means(case, mean_wait, 40), expected)


@pytest.mark.parametrize(
    ("doctors", "load", "law", "cv"),
    [(2, 0.85, "exponential", 1.0), (1, 0.75, "lognormal", 0.8), (1, 0.75, "lognormal", 0.0)],
)
def test_triage_waits_as_cobham_says(doctors: int, load: float, law: str, cv: float) -> None:
    """Non-preemptive priority: mean wait of class k = w / (1 - s_(k-1)) (1 - s_k), s_k: load up to k (Cobham 1954).

    w = C(c, a) / c mu for M/M/c and lambda E[S^2] / 2 for M/G/1, in one formula.
    """
    mean, shares = 10.0, np.array([0.2, 0.3, 0.4, 0.1])
    offered = doctors * load
    upto = np.concatenate([[0.0], np.cumsum(shares) * load])
    ahead = erlang_c(offered, doctors) * mean / doctors * (1 + cv**2) / 2
    expected = ahead / ((1 - upto[:-1]) * (1 - upto[1:]))

    def case(seed: int, days: int) -> Case:
        figures = {"consultation_law": law, "consultation_cv": cv, "triage": shares.tolist()}
        return towns.emergency_town(offered / mean * DAY, doctors, days, seed, **figures)

    def waits(tables: Tables, days: int) -> dict[str, float]:
        visits = settled(tables["visits"], days)
        level = np.minimum((_triage_luck(visits)[:, None] >= np.cumsum(shares)).sum(axis=1), 3)
        found = (visits["begin"] - visits["time"]).groupby(level).mean()
        return {str(k): float(wait) for k, wait in found.items()}

    assert not disagreements(case, waits, 30, {str(k): float(wait) for k, wait in enumerate(expected)})


@pytest.mark.parametrize(("law", "cv"), [("lognormal", 0.8), ("lognormal", 0.0), ("exponential", 1.0)])
def test_classes_with_consultations_of_their_own_wait_as_cobham_says(law: str, cv: float) -> None:
    """M/G/1, non-preemptive priority, a law for each class: wait of class k = W0 / (1 - s_(k-1)) (1 - s_k).

    W0 = sum of lambda_i E[S_i^2] / 2, s_k: load up to class k (Cobham 1954; Kleinrock 1976, section 3.3). The urgent
    take long; the class that comes most often is quick.
    """
    load, usual, shares, ratios = 0.75, 10.0, np.array([0.1, 0.3, 0.6]), np.array([3.0, 1.5, 0.5])
    means_by_class = usual * ratios
    arrivals = load / float(shares @ means_by_class) * shares
    upto = np.concatenate([[0.0], np.cumsum(arrivals * means_by_class)])
    ahead = float(arrivals @ means_by_class**2) * (1 + cv**2) / 2
    expected = ahead / ((1 - upto[:-1]) * (1 - upto[1:]))
    names = ("urgent", "less", "least")

    def ill(k: int) -> towns.Data:
        return towns.condition("emergency", consultation=ratios[k], triage=np.eye(4)[k].tolist())

    def case(seed: int, days: int) -> Case:
        figures = {"consultation_law": law, "consultation_cv": cv, "emergency_minutes": usual}
        per_day = {name: arrivals[k] * DAY for k, name in enumerate(names)}
        return replace(
            towns.emergency_town(1.0, 1, days, seed),
            demand=towns.demand(per_day, 1000),
            care=towns.care({name: ill(k) for k, name in enumerate(names)}, **figures),
        )

    def waits(tables: Tables, days: int) -> dict[str, float]:
        visits = settled(tables["visits"], days)
        found = (visits["begin"] - visits["time"]).groupby(visits["condition"]).mean()
        return {str(name): float(wait) for name, wait in found.items()}

    assert towns.run(case(1, 1))[0]["loads"]["load"].tolist() == pytest.approx([load], rel=1e-4)  # the forecast
    assert not disagreements(case, waits, 40, dict(zip(names, expected.tolist(), strict=True)))


def _triage_luck(visits: pd.DataFrame) -> Any:
    from sim.streams import Purpose, uniform

    return uniform(visits["episode"].to_numpy(), Purpose.TRIAGE)


# --------------------------------------------------------------------------------------------------- who will not wait


@pytest.mark.parametrize(("doctors", "load"), [(1, 0.9), (1, 1.3), (4, 1.1)])
def test_the_impatient_leave_as_baccelli_and_hebuterne_say(doctors: int, load: float) -> None:
    """M/M/c+G with lognormal patience: the density of the virtual wait is known up to one integral.

    v(x) = lambda exp(lambda H(x) - c mu x) / (E + lambda J), H the integral of the survival of patience, J that of the
    exponential, E = 1 / B(c - 1, a) (Baccelli and Hebuterne 1981; Zeltyn and Mandelbaum 2005).
    """
    mean, patience, arrivals = 10.0, 25.0, doctors * load / 10.0
    sigma = np.sqrt(np.log1p(0.5**2))  # the coefficient of variation of patience is a half
    x = np.linspace(0.0, 20 * patience, 200_001)
    stays = lognorm.sf(x, sigma, scale=patience * np.exp(-(sigma**2) / 2))
    h = np.concatenate([[0.0], np.cumsum((stays[1:] + stays[:-1]) / 2 * np.diff(x))])
    shape = np.exp(arrivals * h - doctors / mean * x)
    at_once = 1 / erlang_b(arrivals * mean, doctors - 1)
    density = arrivals * shape / (at_once + arrivals * np.trapezoid(shape, x))
    seen_late = np.trapezoid(density * stays, x)
    left = float(np.trapezoid(density * (1 - stays), x))
    wait = float(np.trapezoid(x * density * stays, x) / (1 - left))
    assert seen_late < 1 - left

    def case(seed: int, days: int) -> Case:
        figures = {"consultation_law": "exponential", "waiting_patience": patience, "triage": ONE_CLASS}
        return towns.emergency_town(arrivals * DAY, doctors, days, seed, **figures)

    def found(tables: Tables, days: int) -> dict[str, float]:
        visits = settled(tables["visits"], days)
        seen = visits[~visits["left"]]
        return {"left": float(visits["left"].mean()), "wait": float((seen["begin"] - seen["time"]).mean())}

    assert not disagreements(case, found, 30, {"left": left, "wait": wait})


def crowd(arrivals: float, mean: float, doctors: int, most: int, patience: float = np.inf) -> Floats:
    """The law of the number of patients in M/M/c+M with room for `most`, waiting or seen (arrivals a minute)."""
    there = np.arange(1, most + 1)
    down = np.minimum(there, doctors) / mean + np.maximum(there - doctors, 0) / patience
    return at_rest(np.full(most, arrivals), down)


def turned_away(tables: Tables) -> float:
    """Share of those who come that do not get in, from the second month on."""
    counts = tables["visits_monthly"].query("month >= '2024-02-01'")[["visits", "left", "turned_away"]].sum()
    return float(counts["turned_away"] / counts.sum())


@pytest.mark.parametrize(("doctors", "load", "places"), [(1, 0.8, 3), (1, 1.5, 1), (3, 1.1, 0), (4, 1.0, 6)])
def test_a_waiting_room_with_few_places_turns_away_as_its_birth_death_chain_says(
    doctors: int, load: float, places: int
) -> None:
    """M/M/c/K, K = c + places: turned away is p_K (PASTA), wait of the others E[waiting] / lambda (1 - p_K) (Little).

    Kleinrock 1975, section 3.6; with no place at all it is Erlang's loss system.
    """
    mean = 10.0
    arrivals = doctors * load / mean
    law = crowd(arrivals, mean, doctors, doctors + places)
    waiting = float(law @ np.maximum(np.arange(len(law)) - doctors, 0))
    expected = {"turned_away": float(law[-1]), "wait": waiting / arrivals / (1 - float(law[-1]))}

    def case(seed: int, days: int) -> Case:
        figures = {"consultation_law": "exponential", "triage": ONE_CLASS}
        return towns.emergency_town(arrivals * DAY, doctors, days, seed, places=places, **figures)

    def found(tables: Tables, days: int) -> dict[str, float]:
        return {"turned_away": turned_away(tables), "wait": mean_wait(tables, days)}

    if places == 0:
        assert expected["turned_away"] == pytest.approx(erlang_b(doctors * load, doctors))
        del expected["wait"]  # nobody waits, in any replication
        assert all(mean_wait(tables, 5) == 0.0 for tables in towns.run(case(1, 5), 2).values())
    assert not disagreements(case, found, 62, expected)


@pytest.mark.parametrize(
    ("doctors", "load", "patience", "places"),
    [(1, 0.9, 25.0, None), (1, 1.4, 10.0, None), (4, 1.1, 15.0, None), (3, 1.4, 30.0, 4), (1, 1.0, 5.0, 2)],
)
def test_the_impatient_leave_as_palm_says(doctors: int, load: float, patience: float, places: int | None) -> None:
    """Erlang A, M/M/c+M: those who leave = E[waiting] / patience lambda, mean wait of all = E[waiting] / lambda.

    The law of the number present is that of a birth-death chain in which each who waits goes at the rate 1 / patience
    (Palm 1957; Garnett, Mandelbaum and Reiman 2002). Where places are few, of those who get in; they are freed by
    whoever leaves.
    """
    mean = 10.0
    arrivals = doctors * load / mean
    law = crowd(arrivals, mean, doctors, doctors + (400 if places is None else places), patience)
    lost = float(law[-1])
    wait = float(law @ np.maximum(np.arange(len(law)) - doctors, 0)) / arrivals / (1 - lost)
    at_once = float(law[:doctors].sum()) / (1 - lost)
    expected = {"left": wait / patience, "wait": wait, "at once": at_once}
    if places is not None:
        expected["turned away"] = lost
    assert lost < 1e-12 or places is not None

    def case(seed: int, days: int) -> Case:
        figures = {"waiting_patience": patience, "patience_law": "exponential", "triage": ONE_CLASS}
        figures["consultation_law"] = "exponential"
        return towns.emergency_town(arrivals * DAY, doctors, days, seed, places=places, **figures)

    def found(tables: Tables, days: int) -> dict[str, float]:
        visits = settled(tables["visits"], days)
        waits = visits["begin"].fillna(visits["end"]) - visits["time"]
        shares = {"left": float(visits["left"].mean()), "at once": float((waits == 0.0).mean())}
        return shares | {"wait": float(waits.mean()), "turned away": turned_away(tables)}

    assert not disagreements(case, found, 62, expected)


@pytest.mark.parametrize(("law", "cv"), [("exponential", 1.0), ("lognormal", 0.0)])
def test_doctors_for_whom_nobody_waits_lose_as_erlang_says(law: str, cv: float) -> None:
    """M/G/c/c: the Erlang loss formula, whatever the law of the consultation (insensitivity)."""
    doctors, offered, mean = 5, 4.5, 10.0

    def case(seed: int, days: int) -> Case:
        figures = {"consultation_law": law, "consultation_cv": cv, "waiting_patience": 0.0, "triage": ONE_CLASS}
        return towns.emergency_town(offered / mean * DAY, doctors, days, seed, **figures)

    def lost(tables: Tables, days: int) -> float:
        return float(settled(tables["visits"], days)["left"].mean())

    assert agrees(means(case, lost, 30), erlang_b(offered, doctors))


# --------------------------------------------------------------------------------- a clinic day that starts with nobody


HOURS = {"morning": (480.0, 720.0), "afternoon": (840.0, 1050.0)}
"""First and last minute of admission of the sessions in `towns`."""
RUSH = 90.0
"""Minutes after the doors open within which those come who fell ill while they were closed, spread evenly."""


def stretches(sessions: tuple[str, ...], needs: tuple[int, int], per_day: float) -> list[tuple[float, float]]:
    """Arrivals per minute, and for how many minutes, from the first opening to the last admission.

    Needs arise in the sessions alone or, where `needs` says so, at any hour.
    """
    usual, found = per_day / 60.0 / (needs[1] - needs[0]), []
    closed_at = HOURS[sessions[-1]][1] - DAY
    for opens, closes in (HOURS[name] for name in sessions):
        heap = usual * (opens - closed_at) if needs == (0, 24) else 0.0
        found += [(0.0, opens - closed_at), (usual + heap / RUSH, RUSH), (usual, closes - opens - RUSH)]
        closed_at = closes
    return found[1:]


@pytest.mark.parametrize(("sessions", "needs", "per_day"), [
    (("morning",), (8, 12), 44.0), (("morning",), (8, 12), 60.0), (("morning",), (0, 24), 42.0),
    (("morning", "afternoon"), (0, 24), 100.0),
])  # fmt: skip
def test_a_clinic_day_that_starts_with_nobody_waits_as_its_markov_chain_says(
    sessions: tuple[str, ...], needs: tuple[int, int], per_day: float
) -> None:
    """M(t)/M/1 from empty, by uniformisation: E[wait] = mean x E[patients found], E[overtime] = mean x E[still there].

    Who has been admitted is seen after the doors are closed, at noon as in the evening.
    """
    mean, most, found = 5.0, 180, 0.0
    law, patients = np.eye(1, most + 1)[0], np.arange(most + 1)
    for rate, minutes in stretches(sessions, needs, per_day):
        law, integral = uniformised(law, birth_and_death(rate, 1 / mean, most), minutes)
        found += rate * float(integral @ patients)
    expected = {"wait": mean * found / per_day, "overtime": mean * float(law @ patients)}

    def case(seed: int, days: int) -> Case:
        figures = {
            "consultation_law": "exponential",
            "consultation_minutes": {x: towns.said(mean) for x in LEVELS[:-1]},
        }
        town = towns.clinic_town(per_day, days, seed, places={"doctors": 1, "pattern": "office"}, **figures)
        return replace(town, timetable=towns.timetable(sessions=sessions, needs=needs))

    def measured(tables: Tables, days: int) -> dict[str, float]:
        visits = tables["visits"].query("time >= 1440")  # who fell ill before the first day began is missing on it
        day = visits["time"] // DAY
        late = (visits["end"] - day * DAY).groupby(day).max() - HOURS[sessions[-1]][1]
        overtime = late.clip(lower=0.0).sum() / (days - 1)
        return {"wait": float((visits["begin"] - visits["time"]).mean()), "overtime": float(overtime)}

    assert not disagreements(case, measured, 60, expected)


# -------------------------------------------------------------------------------------------------------- Little's law


def test_little_law_holds_for_the_doctors() -> None:
    """Busy doctors = arrivals x mean consultation, whatever the queue."""
    per_day, mean = 200.0, 14.0

    def busy(tables: Tables, days: int) -> float:
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

    def refused(tables: Tables, days: int) -> float:
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

    def days_waited(tables: Tables, days: int) -> float:
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
            wards=[towns.ward(500, "care", "step_down")],
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

    def hospital_days(tables: Tables, days: int) -> float:
        stays = tables["stays"]
        chosen = stays[(stays["requested"] < (days - 7) * DAY) & (stays["facility"] == "lead")]
        return float((chosen["discharged"] - chosen["admitted"]).mean() / DAY)

    def episode_days(tables: Tables, days: int) -> float:
        stays = tables["stays"]
        chosen = stays[(stays["first_admitted"] < (days - 7) * DAY) & ~stays["to_step_down"]]
        return float((chosen["discharged"] - chosen["first_admitted"]).mean() / DAY)

    assert agrees(means(case, hospital_days, 21), mean * (1 - eligible * proposed * consented * recovery))
    assert agrees(means(case, episode_days, 21), mean)
