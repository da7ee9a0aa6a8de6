"""Bills to the last fen: money told anew from the rows of visits and stays, and what always balances."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import replace
from datetime import date, timedelta
from functools import cache
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

import towns
from sim.accounts import shared_out
from sim.model import Case, Model
from sim.money import HOSPITALS, deductible_due, of_weight
from sim.network import Level
from sim.past import simulate, tree
from sim.policy import PLACE_CLASSES, Rules
from sim.timetable import DAY
from towns import Data, said

DAYS = 49
REVIEWS: dict[int, Data] = {
    10: {
        "prices.visit_factor": {"tertiary": 1.27, "community": 0.9},
        "budget.per_head": 900.0,
        "budget.overrun_shared": 0.3,
    },
    20: {
        "payment.same_disease": ["lung"],
        "prices.stay_factor": {"tertiary": 0.987},
        "insurance.continuous_deductible": True,
    },
    25: {"payment.fee_follows_place": True},
    38: {"prices.visit_factor": {"outside": 1.5}, "payment.points": True, "alarms.outside_share": 0.01},
}
"""What comes into force on some days, none of them the first of a month."""


def town() -> Case:
    """Everything happens, visitors come, and what care costs changes in the middle of months."""
    found = towns.group_facilities()
    found[0] |= towns.sessions(1, 1)
    case = towns.group_town(DAYS, settings=towns.ACTING_LEVERS, facilities=found)
    inflow = {"lead": {"per_year": said(900.0), "conditions": {"lung": 1.0, "bone": 1.0, "urgent": 1.0}}}
    demand = type(case.demand).model_validate(case.demand.model_dump(exclude_none=True) | {"inflow": inflow})
    price = {
        "village_station": 21.5,
        "clinic": 30.0,
        "centre": 33.35,
        "secondary": 60.0,
        "tertiary": 80.1,
        "outside": 99.0,
    }
    choice = case.choice.model_copy(
        update={
            "price": case.choice.price.model_copy(update={"value": price}),
            "price_employee": case.choice.price_employee.model_copy(update={"value": 0.75}),
        }
    )
    policy = case.policy
    for day, settings in REVIEWS.items():
        policy = policy.amended(towns.policy(settings, towns.MONDAY + timedelta(days=day)))
    return replace(case, demand=demand, choice=choice, policy=policy)


@cache
def lived() -> tuple[Case, Model, dict[str, pd.DataFrame]]:
    """The town, its place and people, and all its tables."""
    case = town()
    return case, Model(case, [0]), towns.run(case)[0]


def rules_on(minute: float) -> Rules:
    rules: Rules = lived()[0].policy.on(towns.MONDAY + timedelta(days=int(min(minute // DAY, DAYS - 1))))
    return rules


def class_of(facility: str) -> str:
    """All areas of the town are urban."""
    if facility == "outside":
        return "outside"
    level = next(f.level for f in lived()[1].network.facilities if f.id == facility)
    return "community" if level in (Level.centre, Level.sub_centre) else level.name


def payer_of(person: int) -> str:
    return "visitor" if person < 0 else ("residents", "employees")[int(lived()[1].population.employee[person])]


def fen(yuan: float) -> int:
    return int(np.rint(100.0 * yuan))


Bill = dict[str, int]
Bills = dict[tuple[Any, ...], Bill]


def bills_of_visits() -> Bills:
    """Every visit inside the area, one after the other."""
    case, model, tables = lived()
    bills: Bills = defaultdict(lambda: defaultdict(int))
    for v in tables["visits"].itertuples():
        if v.left or v.kind == "return":
            continue
        rules, payer, point = rules_on(v.time), payer_of(v.person), model.network.points[v.point]
        joint = point.kind == "joint"
        place = class_of(v.facility if rules.payment.fee_follows_place or not joint else "lead")
        factor = rules.prices.visit_factor.get(place, 1.0)
        fee = fen(case.money.visit_fee[place].value * factor)
        door = "centre" if place == "community" else place
        part = 1.0 if payer == "residents" else 0.75
        share = rules.insurance.visit_share.get(place)
        asked = case.choice.price.value[door] * part * factor
        if share is not None:
            asked = case.money.visit_fee[place].value * factor * (1.0 - share) * part
        price = min(fee, fen(asked))
        service = "joint" if joint else {"outpatient": "visit"}.get(v.kind, v.kind)
        less = rules.insurance.without_referral
        if less and service == "visit" and v.cls == "other" and place in HOSPITALS and v.condition != "urgent":
            service = "unreferred"
            full = case.money.visit_fee[place].value * factor
            residents = asked / part
            price = min(fee, fen(asked + max(0.0, min(less * full, full - residents)) * part))
        more = 0
        if service == "internet":
            talk = fen(case.money.consultation_fee[place].value * factor)
            price, fee = round(talk * (price / fee)), talk
        elif joint and rules.payment.fee_follows_place:
            talks = [
                fen(case.money.consultation_fee[name].value * rules.prices.visit_factor.get(name, 1.0))
                for name in (class_of("lead"), place)
            ]
            more = max(0, talks[0] - talks[1])
        own = fee if payer == "visitor" else price
        month = date(2024, 1, 1) if v.time < 31 * DAY else date(2024, 2, 1)
        bill = bills[month, v.facility, service, payer]
        for name, amount in {"cases": 1, "cost": fee, "own": own, "fund": fee - own, "top_up": more}.items():
            bill[name] += amount
    return bills


def bills_of_stays() -> Bills:
    """Every stay, one after the other; what was paid before a step down is kept in mind."""
    case, model, tables = lived()
    bills: Bills = defaultdict(lambda: defaultdict(int))
    paid: dict[Any, int] = {}
    lowest = min(
        case.money.stay_fee[class_of(f.id)].value for f in model.network.facilities if f.spec.wards and f.level >= 4
    )
    legs = tables["stays"].sort_values(["discharged", "admitted"], kind="stable")
    for leg in legs.itertuples():
        rules, payer = rules_on(leg.discharged), payer_of(leg.person)
        joint = leg.facility != "outside" and model.network.wards[leg.ward].kind == "joint"
        place = class_of("lead" if joint and not rules.payment.fee_follows_place else leg.facility)
        weight = round(1000 * leg.case_weight)

        def cost_in(name: str, rules: Rules = rules, weight: int = weight) -> int:
            fee = case.money.stay_fee[name].value * rules.prices.stay_factor.get(name, 1.0)
            return (fen(fee) * weight + 500) // 1000

        cost = price = cost_in(place)
        if leg.condition in rules.payment.same_disease and leg.facility != "outside":
            assert lowest == case.money.stay_fee["secondary"].value
            price = min(cost_in("secondary"), cost_in("tertiary"))
        deductible = fund = 0
        before = paid.get(leg.episode, 0) if leg.entry == "step_down" and rules.insurance.continuous_deductible else 0
        if payer != "visitor":
            covered = int(np.rint(0.9 * price))
            deductible = min(covered, max(0, fen(case.money.deductible[place].value) - before))
            share, stated = case.money.fund_share[payer][place].value, rules.insurance.stay_share.get(place)
            if stated is not None:
                of_residents = 1.0 - case.money.fund_share["residents"][place].value
                share = 1.0 - (1.0 - stated) * (1.0 - share) / of_residents
            fund = int(np.rint(share * (covered - deductible)))
        if leg.to_step_down:
            paid[leg.episode] = deductible
        pooled = rules.payment.points and payer != "visitor" and leg.facility != "outside"
        month = date(2024, 1, 1) if leg.discharged < 31 * DAY else date(2024, 2, 1)
        told = {"cases": 1, "cost": cost, "own": price - fund, "fund": fund, "deductible": deductible}
        for name, amount in (told | {"points": weight * pooled}).items():
            bills[month, leg.facility, "stay", payer][name] += amount
    return bills


MEASURES = ("cases", "cost", "fund", "own", "deductible", "top_up", "points")


def columns(names: tuple[str, ...]) -> list[str]:
    return [{"cases": "cases", "points": "points_thousandths"}.get(name, f"{name}_fen") for name in names]


def test_every_bill_follows_from_the_rows_to_the_last_fen() -> None:
    """Reviews of prices in the middle of a month, fees that follow the place, points, deductibles that go on."""
    told = lived()[2]["money_monthly"]
    told = told[told["facility"].ne("outside") | told["service"].eq("stay")]
    expected = bills_of_visits() | bills_of_stays()
    found = {
        (row.month.date(), row.facility, row.service, row.payer): dict(zip(MEASURES, numbers, strict=True))
        for row, numbers in zip(told.itertuples(), told[columns(MEASURES)].to_numpy().tolist(), strict=True)
    }
    assert found == {at: {name: bill.get(name, 0) for name in MEASURES} for at, bill in expected.items()}
    assert {service for _, _, service, _ in found} == {"visit", "emergency", "internet", "joint", "unreferred", "stay"}
    assert {payer for *_, payer in found} == {"visitor", "residents", "employees"}
    for name in MEASURES:
        assert sum(bill[name] for bill in found.values()) > 0, name


def test_visits_outside_the_area_cost_the_fee_of_their_day() -> None:
    case, _, tables = lived()
    daily = tables["visits_daily"].query("level == 'outside'")
    fee = {
        day: fen(160.0 * (1.5 if day >= towns.MONDAY + timedelta(days=38) else 1.0)) for day in daily["date"].dt.date
    }
    assert case.money.visit_fee["outside"].value == 160.0
    cost = sum(fee[row.date.date()] * row.visits for row in daily.itertuples())
    told = tables["money_monthly"].query("facility == 'outside' and service != 'stay'")
    assert told["cost_fen"].sum() == cost > 0
    assert told["cases"].sum() == daily["visits"].sum()


def test_what_is_paid_is_what_care_costs_but_for_listed_conditions() -> None:
    money = lived()[2]["money_monthly"]
    gap = money["fund_fen"] + money["own_fen"] - money["cost_fen"]
    assert not gap[money["service"].ne("stay")].any()
    at_lead = gap[money["facility"].eq("lead") & money["service"].eq("stay")]
    assert (at_lead <= 0).all()  # paid as at the member; a bill without a listed condition has no gap
    assert (at_lead < 0).sum() > 4
    assert not gap[money["facility"].isin(("member", "outside"))].any()
    assert (money["deductible_fen"] <= money["own_fen"]).all()
    assert not money.loc[money["payer"].eq("visitor"), ["fund_fen", "payment_fen", "deductible_fen"]].to_numpy().any()


def test_points_share_out_what_the_fund_owes() -> None:
    money = lived()[2]["money_monthly"]
    assert (money["payment_fen"] != money["fund_fen"]).sum() > 2
    sums = money.groupby(["month", "payer"])[["payment_fen", "fund_fen"]].sum()
    assert (sums["payment_fen"] == sums["fund_fen"]).all()
    outside = money["facility"].eq("outside") | money["service"].ne("stay")
    assert (money["payment_fen"] == money["fund_fen"])[outside].all()


def test_a_budget_is_what_is_spent_and_what_is_left() -> None:
    """In force from 11 January: what was spent before is no matter of it."""
    case, _, tables = lived()
    (told,) = tables["budgets"].to_dict("records")
    assert told["budget_fen"] == pytest.approx(100 * 900.0 * sum(towns.RESIDENTS.values()) * (DAYS - 10) / 366, abs=2)
    spent = told["spent_group_fen"] + told["spent_elsewhere_fen"] + told["spent_outside_fen"]
    assert told["budget_fen"] + told["public_health_fen"] == spent + told["balance_fen"]
    assert told["balance_fen"] < 0
    assert told["borne_fen"] == round(0.3 * -told["balance_fen"])
    assert told["borne_fen"] + told["covered_fen"] == -told["balance_fen"]
    money = tables["money_monthly"]
    assert spent < money["fund_fen"].sum()
    always = replace(case, policy=case.policy.amended(towns.policy({"budget.per_head": 900.0})))
    for_all = towns.run(always)[0]["budgets"].iloc[0]
    names = ["spent_group_fen", "spent_elsewhere_fen", "spent_outside_fen"]
    assert for_all[names].sum() == money["fund_fen"].sum()
    assert for_all["spent_outside_fen"] == money.loc[money["facility"].eq("outside"), "fund_fen"].sum()


def test_an_alarm_tells_what_is_above_its_threshold() -> None:
    """In force from 8 February, so January has none; at a threshold that nothing passes nobody is told."""
    tables = lived()[2]
    (alarm,) = tables["alarms"].to_dict("records")
    assert alarm["date"] == pd.Timestamp(2024, 2, 18)
    assert (alarm["grid"], alarm["alarm"], alarm["threshold"]) == ("group", "outside_share", 0.01)
    money = tables["money_monthly"]
    money = money[money["month"].eq(pd.Timestamp(2024, 2, 1))]
    outside = money.loc[money["facility"].eq("outside"), "fund_fen"].sum()
    assert alarm["value"] == outside / money["fund_fen"].sum() > 0.01


def test_factors_of_one_change_nothing() -> None:
    case = towns.group_town(28, settings=towns.PLAN)
    one = dict.fromkeys(PLACE_CLASSES, 1.0)
    same = case.policy.amended(towns.policy({"prices.visit_factor": one, "prices.stay_factor": one}, date(2024, 1, 11)))
    towns.assert_same(towns.run(case)[0], towns.run(replace(case, policy=same))[0])


def test_scenarios_that_part_in_the_middle_of_a_month_have_their_own_bills() -> None:
    """What the past has charged and not billed is billed by both; stays outside are billed when they are over."""
    case = town()
    study = {"reviewed": case, "not": replace(case, policy=case.policy.amended(_back()))}
    assert tree(study, [0]).end == 10
    for name, _, tables in simulate(study, [0]):
        towns.assert_same(tables, towns.run(study[name])[0])


def _back() -> Any:
    """The first review does not come."""
    return towns.policy({"prices.visit_factor": {}}, towns.MONDAY + timedelta(days=10))


def test_money_moves_no_patient() -> None:
    """Two towns that differ in levers of the ledger alone have the same visits and stays."""
    case, _, tables = lived()
    acting, policy = ("prices.visit_factor", "insurance.continuous_deductible"), towns.policy(towns.ACTING_LEVERS)
    for day, settings in REVIEWS.items():
        felt = {name: value for name, value in settings.items() if name in acting}
        policy = policy.amended(towns.policy(felt, towns.MONDAY + timedelta(days=day)))
    plain = towns.run(replace(case, policy=policy))[0]
    for name, table in tables.items():
        if name not in ("money_monthly", "budgets", "alarms"):
            pd.testing.assert_frame_equal(table, plain[name], check_exact=True, obj=name)


@given(st.integers(0, 10**13), st.lists(st.integers(0, 10**9), min_size=1, max_size=30))
def test_shares_sum_to_the_whole(total: int, weights: list[int]) -> None:
    shares, whole = shared_out(total, weights).tolist(), sum(weights)
    assert sum(shares) == (total if whole else 0)
    assert all(
        abs(share * whole - total * weight) < whole for share, weight in zip(shares, weights, strict=True) if whole
    )


def test_a_deductible_is_paid_once_where_it_goes_on() -> None:
    assert deductible_due(100_000, 500_000, 0) == 100_000
    assert deductible_due(20_000, 500_000, 100_000) == 0  # already more than what is due below
    assert deductible_due(120_000, 500_000, 100_000) == 20_000
    assert deductible_due(100_000, 30_000, 0) == 30_000  # no more than the cost
    assert of_weight(1_393_100, 1_500) == 2_089_650
