"""Who goes up, who comes down: shares within exact intervals, and luck that only ever adds."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy.stats import binom

import towns
from sim import care, contacts, doors, referral
from sim.care import LEVELS
from sim.kernels import table
from sim.model import Model
from sim.referral import DECLINED, FORMAL, LAPSED, PARTNER, SELF, STAYS, TREATED, UpRules
from sim.streams import child, key
from sim.timetable import DAY

MANY = 100_000
VISITS = child(key(5, "visits"), np.arange(MANY))
SURE = 1e-6


def in_force(*columns: list[float]) -> np.ndarray[Any, Any]:
    """The rules of replications side by side, in the order of `UpRules`; none refers to partners."""
    return table(**vars(UpRules(*map(np.array, columns), to_partner=np.zeros(len(columns[0])))))


def outcomes(
    possible: bool = True, formal: float = 0.3, accepted: float = 0.8, arrive: float = 0.9, advice: float = 0.6
) -> np.ndarray[Any, Any]:
    """What comes of so many visits that show a need of more."""
    (rules,) = in_force([formal], [accepted], [1.0], [arrive], [advice], [0.5])
    return np.array([referral.up(rules, visit, possible, False) for visit in VISITS])


def about(found: np.ndarray[Any, Any], share: float) -> bool:
    """Whether a share is met within its exact interval."""
    low, high = binom.ppf([SURE / 2, 1 - SURE / 2], found.size, share)
    return bool(low <= found.sum() <= high)


def test_outcomes_have_their_chances() -> None:
    found = outcomes()
    chances = {
        FORMAL: 0.3 * 0.8 * 0.9,
        LAPSED: 0.3 * 0.8 * 0.1,
        DECLINED: 0.3 * 0.2,
        SELF: 0.7 * 0.6,
        STAYS: 0.7 * 0.4,
        TREATED: 0.0,
    }
    assert sum(chances.values()) == pytest.approx(1)
    assert all(about(found == outcome, chance) for outcome, chance in chances.items())


def test_without_a_channel_nobody_is_referred_formally() -> None:
    assert set(outcomes(possible=False, formal=1.0).tolist()) == {SELF, STAYS}


def test_a_wider_channel_takes_more_and_drops_nobody() -> None:
    low, high = (np.isin(outcomes(formal=f), (FORMAL, LAPSED, DECLINED)) for f in (0.3, 0.6))
    assert (high | ~low).all()
    assert high.sum() > low.sum()


def test_more_acceptance_accepts_more_and_declines_nobody_anew() -> None:
    low, high = (outcomes(accepted=a) == DECLINED for a in (0.5, 0.9))
    assert (low | ~high).all()


def test_log_odds_shift_a_chance_as_worked_out_by_hand() -> None:
    """Odds of a quarter, doubled, are a half: a chance of a third."""
    assert referral.inclined(0.2, math.log(2)) == pytest.approx(1 / 3)
    assert referral.inclined(1 / 3, -math.log(2)) == pytest.approx(0.2)
    assert [referral.inclined(chance, gain) for chance in (0.0, 1.0) for gain in (-5.0, 5.0)] == [0, 0, 1, 1]
    assert all(referral.inclined(chance, 0.0) == chance for chance in (0.06, 0.21, 0.38, 1 / 3))


def test_each_replication_has_its_own_rules() -> None:
    rules = in_force([0.0, 1.0], [1.0, 1.0], [0.0, 0.0], [1.0, 1.0], [1.0, 1.0], [0.5, 0.5])
    found = [
        referral.up(rules[world], visit, True, True) for visit, world in zip(VISITS[:4], (0, 1, 0, 1), strict=True)
    ]
    assert found == [SELF, FORMAL, SELF, FORMAL]


@pytest.mark.parametrize(
    ("proposal", "consent", "down"), [(0.1, 0.1, True), (0.6, 0.1, False), (0.1, 0.6, False), (0.6, 0.6, False)]
)
def test_stepping_down_takes_a_proposal_and_consent(proposal: float, consent: float, down: bool) -> None:
    assert referral.steps_down(0.5, 0.5, proposal, consent) == down


def test_a_partner_takes_a_share_of_those_whom_nobody_here_can_help() -> None:
    (rules,) = in_force([0.0], [1.0], [1.0], [0.9], [0.6], [0.5])
    rules["to_partner"] = 0.4
    found = np.array([referral.up(rules, visit, False, True) for visit in VISITS])
    chances = {PARTNER: 0.4 * 0.9, LAPSED: 0.4 * 0.1, SELF: 0.6 * 0.6, STAYS: 0.6 * 0.4}
    assert all(about(found == outcome, chance) for outcome, chance in chances.items())
    without = np.array([referral.up(rules, visit, False, False) for visit in VISITS])
    assert set(without.tolist()) == {SELF, STAYS}
    assert (without == found)[np.isin(found, (SELF, STAYS))].all(), "the others do what they would have done"


# ------------------------------------------------------------------------------------------------------------ in a town


def tables(**settings: Any) -> dict[str, pd.DataFrame]:
    """Six weeks of the group town; platform delay one day."""
    levers = {"up_referral.formal_share": 0.5, "up_referral.platform_delay_days": 1.0} | settings
    return towns.run(towns.group_town(42, settings=levers))[0]


@pytest.fixture(scope="module")
def six_weeks() -> dict[str, pd.DataFrame]:
    """Once for all tests below."""
    return tables()


def test_who_can_be_treated_here_is_treated_here(six_weeks: dict[str, pd.DataFrame]) -> None:
    """Nobody is sent up or goes on from a place that gives the care and the bed that are needed, and others are."""
    model = Model(towns.group_town(42), [0])
    net, figures = model.network, model.care.tables()

    def is_able(episode: int, condition: str, facility: str) -> bool:
        number, here = model.conditions.index(condition), net.facility_index(facility)
        need, admitted = care.truth(figures.conditions[0, number], np.uint64(episode), True)
        gives_a_bed = model.ward_at[here, model.choice.department[number]] >= 0
        return bool(net.capability[here, number] >= need and (gives_a_bed or not admitted))

    up, seen = six_weeks["referrals"].query("direction == 'up'"), six_weeks["visits"].query("not left")
    assert len(up) > 100
    assert not any(map(is_able, up["episode"], up["condition"], up["from_facility"]))
    able = list(map(is_able, seen["episode"], seen["condition"], seen["facility"]))
    assert 0.1 < np.mean(able) < 0.9


def test_formal_referrals_lead_to_a_hospital_of_the_group_after_the_platform(
    six_weeks: dict[str, pd.DataFrame],
) -> None:
    up = six_weeks["referrals"].query("direction == 'up' and channel == 'formal'")
    done = up[up["status"] == "completed"]
    assert set(done["to_facility"]) == {"lead", "member"}
    assert "lead" not in set(up["from_facility"])
    sent = six_weeks["visits"].merge(
        done, left_on=["episode", "facility"], right_on=["episode", "from_facility"], suffixes=("", "_there")
    )
    waited = (sent["time_there"] - sent["end"])[sent["end"] <= sent["time_there"]]
    assert len(waited) > 30
    assert waited.min() >= DAY * 0.5  # the platform's day, to the session that follows it


def test_formally_referred_patients_have_their_class_and_the_others_do_not(six_weeks: dict[str, pd.DataFrame]) -> None:
    visits, up = six_weeks["visits"], six_weeks["referrals"].query("direction == 'up'")
    formal = set(up.loc[up["channel"].eq("formal") & up["status"].eq("completed"), "episode"])
    referred = set(visits.loc[visits["cls"] != "other", "episode"])
    assert formal <= referred
    alone = set(up.loc[up["channel"].eq("self"), "episode"])
    others = set(visits.loc[visits["cls"] == "other", "episode"])
    assert alone - formal <= others
    assert alone - formal


def test_a_contract_decides_the_class_of_the_referred(six_weeks: dict[str, pd.DataFrame]) -> None:
    model = Model(towns.group_town(42), [0])
    contracted = model.population.contracts(model.population.spec)
    referred = six_weeks["visits"].query("cls != 'other'")
    assert ((referred["cls"] == "referred_contracted") == contracted[referred["person"]]).all()


def test_declined_patients_go_by_themselves_and_lapsed_ones_are_not_seen(six_weeks: dict[str, pd.DataFrame]) -> None:
    up = tables(**{"up_referral.accepted": 0.0})["referrals"].query("direction == 'up'")
    formal, alone = up[up["channel"] == "formal"], up[up["channel"] == "self"]
    assert set(formal["status"]) == {"declined"}
    assert len(set(formal["episode"]) & set(alone["episode"])) > 0.5 * len(
        formal
    )  # some find no slot, some are still on the way
    rows = six_weeks["referrals"].query("direction == 'up' and channel == 'formal'")
    lapsed, completed = (set(rows.loc[rows["status"] == s, "episode"]) for s in ("lapsed", "completed"))
    assert lapsed
    visits = six_weeks["visits"]
    later = visits[visits["episode"].isin(lapsed - completed) & (visits["cls"] != "other")]
    assert later["episode"].nunique() < 0.1 * len(lapsed)  # but for those whom a later visit sends up again


def test_a_referral_ends_when_the_patient_leaves_the_waiting_room() -> None:
    """Slow doctors at hospitals, and impatient patients."""
    minutes = {x: towns.said(60.0 if x in ("secondary", "tertiary") else 5.0) for x in LEVELS[:-1]}
    levers = {"up_referral.formal_share": 0.5}
    town = towns.group_town(42, settings=levers, waiting_patience=20.0, consultation_minutes=minutes)
    tables = towns.run(town)[0]
    up, left = tables["referrals"].query("direction == 'up'"), tables["visits"].query("left")
    ways = {"left_on": ["episode", "to_facility"], "right_on": ["episode", "facility"]}
    lapsed = up[up["status"].eq("lapsed")].merge(left[["episode", "facility"]], **ways)
    assert len(lapsed) > 10
    assert {"formal", "self"} == set(lapsed["channel"])


# ------------------------------------------------------------------------------------------------------- several groups


def two_groups() -> list[dict[str, Any]]:
    """A group of the town, whose lead hospital is weak in surgery, one of the valley, a hospital that serves both.

    The valley's stations belong to its group.
    """
    office: dict[str, Any] = {"pattern": "office"}
    valley: dict[str, Any] = {"area": "valley", "group": "second"}
    found = towns.group_facilities()
    found[0]["capability"] = {"bone": 3}
    found[-1] |= valley
    return [
        *found,
        towns.facility("valley-lead", "tertiary", role="lead", **valley, capability={"bone": 3},
                       clinics=[towns.clinic(2, **office)], wards=[towns.ward(6)],
                       emergency={"doctors": towns.said(1)}),
        towns.facility("valley-member", "secondary", role="member", **valley,
                       clinics=[towns.clinic(2, **office)], wards=[towns.ward(4)]),
        towns.facility("shared", "secondary", role="cooperating", also_serves=["group", "second"],
                       capability={"default": 1, "bone": 4}, clinics=[towns.clinic(2, "surgery", **office)],
                       wards=[towns.ward(4, "surgery"), towns.ward(3, "rehabilitation", kind="step_down")]),
    ]  # fmt: skip


GRIDS = {"town": "group", "valley": "second"}


def in_two_groups(**settings: Any) -> dict[str, pd.DataFrame]:
    """Six weeks of it."""
    levers = {"up_referral.formal_share": 0.7, "emergency.rescue_bypass": 1.0, **settings}
    return towns.run(towns.group_town(42, settings=levers, facilities=two_groups(), grids=GRIDS))[0]


@pytest.fixture(scope="module")
def both_groups() -> dict[str, pd.DataFrame]:
    """Once for all tests below."""
    return in_two_groups(**{"down_referral.proposed": 1.0})


def town_model() -> Model:
    """The place and people of these towns."""
    return Model(towns.group_town(42, facilities=two_groups(), grids=GRIDS), [0])


def test_rescue_centres_are_those_of_the_grid(both_groups: dict[str, pd.DataFrame]) -> None:
    model, visits = town_model(), both_groups["visits"]
    first = visits[visits["condition"].eq("urgent")].sort_values("time").drop_duplicates("episode")
    area = np.array(model.network.areas)[model.population.area[first["person"]]]
    assert set(zip(area, first["facility"], strict=True)) == {("town", "lead"), ("valley", "valley-lead")}


def test_who_goes_alone_goes_to_the_lead_hospital_of_the_grid(both_groups: dict[str, pd.DataFrame]) -> None:
    """The fallback when the chosen hospital cannot help; who chooses a lead hospital may choose any."""
    model = town_model()
    place, people = model.journey.town.place, model.journey.town.people
    who = np.zeros(1, dtype=contacts.CONTACT)[0]
    for person in range(0, model.population.size, 97):
        who["person"] = person
        area = model.network.areas[model.population.area[person]]
        expected = model.network.facility_index({"town": "lead", "valley": "valley-lead"}[area])
        assert doors.lead_of(place, people, who, -1) == expected
    who["person"] = -1
    there = model.network.facility_index("valley-member")
    assert doors.lead_of(place, people, who, there) == model.network.facility_index("valley-lead")


def test_the_channel_leads_to_the_nearest_hospital_able_to_help(both_groups: dict[str, pd.DataFrame]) -> None:
    """Secondary care: members, and hospitals that serve the group too; tertiary care: only who can give it."""
    model = town_model()
    net, offers = model.network, model.journey.town.place.offers

    def goes(facility: str, condition: str) -> tuple[str, ...]:
        offer = offers[net.facility_index(facility), model.conditions.index(condition)]
        return tuple(net.facilities[n].id if n >= 0 else "" for n in (offer["member"], offer["specialist"]))

    assert goes("station", "bone") == ("member", "shared"), "of two in the same area the first in order"
    assert goes("member", "bone") == ("shared", "shared"), "to another hospital than itself"
    assert goes("lead", "bone") == ("member", "shared")
    assert goes("station", "cold") == ("member", "")
    assert goes("village-001", "bone") == ("valley-member", "shared")
    assert goes("shared", "bone") == ("", ""), "no channel leads up from a hospital of no group"
    up = both_groups["referrals"].query("direction == 'up' and channel == 'formal' and to_facility == 'shared'")
    assert set(up["condition"]) == {"bone"}
    assert "completed" in set(up["status"])


def test_patients_step_down_to_wards_of_hospitals_that_serve_the_group() -> None:
    net, model = town_model().network, town_model()
    ways = {
        net.facilities[f].id: {net.facilities[net.wards[n].facility].id for n in model.step_down_wards[0, f, 0]}
        for f in {ward.facility for ward in net.wards}
    }
    assert ways["lead"] == {"member", "valley-centre", "shared"}
    assert ways["valley-lead"] == {"shared"}
    assert ways["shared"] == {"member", "valley-centre", "shared"}


def test_doctors_send_nobody_to_a_ward_that_is_closed() -> None:
    """Who waits when it closes looks elsewhere; from then on nobody asks for a bed there, and who needs one goes on."""
    found = towns.group_facilities()
    found[0]["wards"] = [towns.ward(9, closes=20), towns.ward(3, opens=60)]
    tables = towns.run(towns.group_town(75, facilities=found))[0]
    left = tables["waits_bed"].query("facility == 'lead'").groupby("month")["left"].sum()
    assert left["2024-01-01"] > 0
    assert left.get("2024-02-01", 0) == 0
    asked = tables["stays"].query("facility == 'lead'")["requested"]
    assert not asked.between(20 * DAY, 60 * DAY).any()
    assert (asked >= 60 * DAY).any()
    sent_on = tables["referrals"].query("from_facility == 'lead'")["time"]
    assert len(sent_on) > 20
    assert sent_on.between(20 * DAY, 60 * DAY).all(), "whom it can admit it sends nowhere"


def test_partners_take_what_no_hospital_of_the_group_can_meet() -> None:
    """The lead hospital of the town can give no tertiary surgery, and here no other hospital serves the group."""
    facilities = towns.group_facilities()
    facilities[0]["capability"] = {"bone": 3}
    levers = {"up_referral.to_partner": 1.0, "up_referral.formal_share": 1.0}
    tables = towns.run(towns.group_town(60, settings=levers, facilities=facilities))[0]
    sent = tables["referrals"].query("channel == 'formal' and to_facility == 'outside'")
    assert set(sent["from_facility"]) == {"lead"}
    assert set(sent["condition"]) == {"bone"}
    assert set(sent["status"]) == {"completed", "lapsed"}
    stays = (
        tables["stays"]
        .query("facility == 'outside'")
        .assign(partner=lambda s: s["episode"].isin(sent.loc[sent["status"].eq("completed"), "episode"]))
    )
    waits = ((stays["admitted"] - stays["requested"]) / DAY).groupby(stays["partner"]).agg(["min", "max"]).round(6)
    assert waits.loc[True].tolist() == [0.5, 0.5]
    assert waits.loc[False].tolist() == [2.0, 2.0]
