"""Where patients go, where theory has a closed form: chains of referrals, next doors, follow-ups.

The rule of agreement stands in `agreement`.
"""

from __future__ import annotations

import pytest

import towns
from agreement import Tables, agrees, disagreements, means
from sim.model import Case
from sim.timetable import DAY


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

    def grassroots(tables: Tables, days: int) -> float:
        visits = tables["visits"]
        return float((visits["facility"] == "centre").mean())

    assert agrees(means(case, grassroots, 30), expected)


def visits_by_place(tables: Tables, days: int) -> dict[str, float]:
    """Shares of the visits of episodes that began in time to end."""
    visits = tables["visits"]
    whole = visits[visits.groupby("episode")["time"].transform("min") < (days - 4) * DAY]
    return {str(place): float(share) for place, share in whole["facility"].value_counts(normalize=True).items()}


def shares(visits: dict[str, float]) -> dict[str, float]:
    """Parts of their sum."""
    return {place: number / sum(visits.values()) for place, number in visits.items()}


@pytest.mark.parametrize(("formal", "no_show"), [(0.0, 0.0), (0.6, 0.0), (1.0, 0.3)])
def test_visits_to_two_levels_of_hospitals(formal: float, no_show: float) -> None:
    """Visits of an episode, place by place; all doors are open and every appointment is to be had.

    A part b of the centre's patients need a hospital, t of those the lead hospital. A formal referral is accepted (a),
    followed (r) and, but for `no_show`, kept; to the lead hospital goes the share l of those whom the member hospital
    could treat. Who is declined, or is not referred and follows advice, goes by himself: independent Gumbel utilities
    make the choice among the doors left proportional to their first shares (Luce 1959).
    """
    p, b, t, to_lead, a, r, advice = {"centre": 0.5, "secondary": 0.3, "tertiary": 0.2}, 0.6, 0.4, 0.8, 0.8, 0.9, 0.7
    kept, alone = formal * a * r * (1 - no_show), formal * (1 - a) + (1 - formal) * advice
    either, lead_only = p["centre"] * b * (1 - t), (p["centre"] + p["secondary"]) * b * t
    near = p["secondary"] / (p["secondary"] + p["tertiary"])
    expected = {
        "centre": p["centre"],
        "member": p["secondary"] + either * (kept * (1 - to_lead) + alone * near),
        "lead": p["tertiary"] + either * (kept * to_lead + alone * (1 - near)) + lead_only * (kept + alone),
    }
    group = {"group": "group", "clinics": [towns.clinic(40, slots=5000)], "wards": [towns.ward(1)]}
    facilities = [
        towns.facility("lead", "tertiary", role="lead", **group),
        towns.facility("member", "secondary", role="member", **group),
        towns.facility("centre", "centre", role="member", group="group", clinics=[towns.clinic(40)]),
    ]

    def case(seed: int, days: int) -> Case:
        return towns.case(
            days,
            seed,
            {"up_referral.formal_share": formal, "up_referral.accepted": a},
            network=towns.network(facilities, "lead"),
            population=towns.population({"town": 1000}),
            demand=towns.demand({"illness": 150.0}, 1000),
            choice=towns.choice(p, follows_advice=advice, no_show=no_show),
            referral=towns.referral(r, to_lead),
            care=towns.care({"illness": towns.condition(beyond=(1.0, b, t))}),
        )

    assert not disagreements(case, visits_by_place, 30, shares(expected))


def test_who_is_refused_goes_to_the_next_best_door() -> None:
    """The lead hospital refuses every request; its patients choose as if it had never been there (Luce 1959).

    With two doors tried nobody is left without care; with one, all of them are.
    """
    p = {"village_station": 0.1, "centre": 0.3, "secondary": 0.2, "tertiary": 0.4}
    quota = {"slot_quota.held_for_referral": 1.0, "slot_quota.released_days_before": 0}
    anywhere = [towns.clinic(40)]
    facilities = [
        towns.facility(
            "lead", "tertiary", role="lead", group="group", clinics=[towns.clinic(9, pattern="office", slots=9)]
        ),
        towns.facility("member", "secondary", role="member", group="group", clinics=anywhere),
        towns.facility("centre", "centre", role="member", group="group", clinics=anywhere),
        towns.facility("station", "village_station", role="member", group="group", clinics=anywhere),
    ]

    def case(seed: int, days: int, doors: int = 2) -> Case:
        return towns.case(
            days,
            seed,
            quota,
            network=towns.network(facilities, "lead"),
            population=towns.population({"town": 1000}),
            timetable=towns.timetable(sessions=("morning",), needs=(12, 24)),
            demand=towns.demand({"illness": 150.0}, 1000),
            choice=towns.choice(p, books=1.0, doors_tried=doors),
            care=towns.care({"illness": towns.condition()}),
        )

    expected = {"station": p["village_station"], "centre": p["centre"], "member": p["secondary"]}
    assert not disagreements(case, visits_by_place, 30, shares(expected))
    unmet = [towns.run(case(1, 20, doors))[0]["needs_monthly"]["unmet"].sum() for doors in (2, 1)]
    asked = towns.run(case(1, 20))[0]["bookings_monthly"]
    assert unmet == [0, asked["requests"].sum()]
    assert asked["refused"].sum() == asked["requests"].sum()


def test_visits_of_an_episode_with_follow_ups() -> None:
    """A chance q of being asked back after each visit, twelve visits at most: (1 - q^12) / (1 - q) visits."""
    q = 0.6
    ill = towns.condition(follow_up=q, follow_up_days=1.0)

    def visits_of_an_episode(tables: Tables, days: int) -> float:
        visits = tables["visits"]
        each = visits.groupby("episode")["time"].agg(["size", "min"])
        return float(each.loc[each["min"] < (days - 20) * DAY, "size"].mean())

    def case(seed: int, days: int) -> Case:
        return towns.clinic_town(40.0, days, seed, places={"doctors": 20, "pattern": towns.ALWAYS}, ill=ill)

    assert agrees(means(case, visits_of_an_episode, 50), (1 - q**12) / (1 - q))
