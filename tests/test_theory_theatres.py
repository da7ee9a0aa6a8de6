"""Theatres and day centres, where theory has a formula: places in daily sessions as a queue in discrete time.

Needs come at any hour and are a Poisson stream; doctors, beds and patience are plenty, so what reaches the sessions is
that stream. Whoever asks gets the first session that begins later with a place left. Where all stays have the same
length, what a stay is longer is what its operation was late. The rule of agreement stands in `agreement`.
"""

from __future__ import annotations

import pytest

import towns
from agreement import Tables, agrees, means
from sim.care import LEVELS
from sim.model import Case
from sim.timetable import DAY

STAY = 5.0
MORNING = 4.0 / 24
"""Length of a session, days."""


def town(per_day: float, weekend: float = 1.0, **places: int) -> object:
    """A hospital to which everybody comes for an operation, with a session every morning."""
    hospital = towns.facility(
        "hospital", "tertiary", clinics=[towns.clinic(20)], wards=[towns.ward(5000)], **towns.sessions(**places)
    )
    ill = towns.condition(
        "severe", (1.0, 1.0, 1.0), admission=1.0, operated=[1.0] * 3, harder_operation=[0.0] * 3, stay_days=STAY,
        stay_cv=0.0, day_case=1.0,
    )  # fmt: skip
    quick = {level: towns.said(0.01) for level in LEVELS[:-1]}

    def case(seed: int, days: int) -> Case:
        return towns.case(
            days,
            seed,
            {"day_care.share": 1.0},
            network=towns.network([hospital]),
            population=towns.population({"town": 1000}),
            timetable=towns.timetable(sessions=("morning",), weekend=weekend),
            demand=towns.demand({"illness": per_day}, 1000),
            choice=towns.choice({"tertiary": 1.0}),
            care=towns.care({"illness": ill}, consultation_minutes=quick, day_case_hours=1.0),
        )

    return case


def late(tables: Tables, days: int) -> float:
    """Mean days by which operations were late, of patients admitted after a fifth of the time."""
    stays = tables["stays"]
    stays = stays[stays["admitted"].between(days / 5 * DAY, (days - 60) * DAY)]
    return float((stays["discharged"] - stays["admitted"]).mean() / DAY - STAY)


def waited(tables: Tables, days: int) -> float:
    """Mean days from the request to the day centre."""
    stays = tables["stays"]
    stays = stays[stays["requested"].between(days / 5 * DAY, (days - 60) * DAY)]
    assert stays["day_case"].all()
    return float(((stays["admitted"] - stays["requested"]) / DAY).mean())


@pytest.mark.parametrize("what", ["theatres", "day_centre"])
@pytest.mark.parametrize("load", [0.4, 0.8])
def test_one_place_a_day_is_a_queue_in_discrete_time(what: str, load: float) -> None:
    """Half a day until the next session on average, then whole days behind those ahead, as in M/D/1: load / 2 / (1 -
    load); the only place of a session lies in its middle."""
    expected = 0.5 + load / 2 / (1 - load) + MORNING / 2
    measure = late if what == "theatres" else waited
    assert agrees(means(town(load, **{what: 1}), measure, 500), expected)


@pytest.mark.parametrize("weekend", [0.0, 1.0])
def test_with_places_to_spare_an_operation_waits_for_the_next_session(weekend: float) -> None:
    """Who comes at a random minute waits half of the square of the gap over the gap; places follow each other."""
    per_day, places = 3.0, 40
    gaps = [1.0] * 7 if weekend else [1.0] * 4 + [3.0]
    mean_wait = sum(gap**2 for gap in gaps) / 2 / 7
    ahead = per_day * mean_wait
    expected = mean_wait + (ahead + 0.5) / places * MORNING
    assert agrees(means(town(per_day, weekend, theatres=places), late, 250), expected)
