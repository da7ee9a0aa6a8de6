"""What care costs and who pays for it."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import sim
import towns
from sim.choice import DOORS
from sim.model import Model
from sim.money import PLACE_CLASSES, Fees, MoneySpec, Tariff, asked, class_behind, overpriced, unreferred
from sim.policy import NEUTRAL, Insurance, Prices, Rules
from sim.schema import InputError


def test_every_class_of_places_has_its_figures() -> None:
    whole = towns.money().model_dump()
    fees = {name: fee for name, fee in whole["visit_fee"].items() if name not in ("clinic", "outside")}
    with pytest.raises(ValueError, match="visit_fee lacks clinic, outside"):
        MoneySpec.model_validate(whole | {"visit_fee": fees})
    shares = {"residents": whole["fund_share"]["residents"]}
    with pytest.raises(ValueError, match="fund_share lacks employees"):
        MoneySpec.model_validate(whole | {"fund_share": shares})


def test_patients_pay_no_more_than_the_fee() -> None:
    """The price of a visit is a fact of choice; behind the door of centres are township and community ones."""
    spec = towns.money(visit=100.0)  # a township centre takes 120, a community centre 130
    assert list(PLACE_CLASSES[2:4]) == ["township", "community"]
    free = dict.fromkeys(DOORS, 0.0)
    assert not list(overpriced(spec, free | {"centre": 120.0, "outside": 160.0}))
    assert [text for _, text in overpriced(spec, free | {"centre": 121.0})][:1] == [
        "121 yuan are more than the fee of a visit there, 120 (money > visit_fee > township)."
    ]


def test_a_price_above_the_fee_is_told_before_anything_is_simulated() -> None:
    with pytest.raises(InputError) as caught:
        sim.load("example", overrides=["choice.price.value.tertiary=400"])
    problems = [str(problem) for problem in caught.value.problems]
    assert len(problems) == 1
    assert "400 yuan are more than the fee of a visit there, 354.4 (money > visit_fee > tertiary)." in problems[0]


@pytest.mark.parametrize("study", ["example", "zhongwei", "stroke"])
def test_shipped_facts_agree_with_the_published_means(study: str) -> None:
    """The figures that are published, and their order where it is not the split by level that is."""
    money: Any = sim.load(study).money
    published = {"township": 84.7, "community": 165.9, "secondary": 218.6, "tertiary": 354.4}
    assert {name: money.visit_fee[name].value for name in published} == published
    per_discharge = {"township": 2083.0, "community": 3560.3, "secondary": 6762.3, "tertiary": 13930.6}
    weight = {"township": 0.55, "community": 0.55, "secondary": 0.80, "tertiary": 1.00}
    for name, yuan in per_discharge.items():
        assert money.stay_fee[name].value * weight[name] == pytest.approx(yuan, rel=1e-3)
    assert all(money.consultation_fee[name].value < money.visit_fee[name].value / 4 for name in PLACE_CLASSES)


PRICES = (20.0, 45.0, 50.0, 50.0, 110.0, 120.0, 0.0)
"""What residents pay of a visit, by class of place."""


def fees() -> Fees:
    """Those of the made-up town: 100, 110, ... yuan a visit in the order of classes; employees pay 0.8 of a price."""
    return Fees.of([towns.money()], np.array([PRICES]), np.array([0.8]))


def under(**insurance: Any) -> list[Rules]:
    """Rules about insurance alone."""
    return [NEUTRAL.model_copy(update={"insurance": Insurance(**insurance)})]


def test_what_patients_pay_of_a_visit() -> None:
    assert asked(fees(), [NEUTRAL])[0].tolist() == [list(PRICES), [0.8 * yuan for yuan in PRICES]]
    shared = asked(fees(), under(visit_share={"township": 0.9, "tertiary": 0.4}))[0]
    assert shared[0] == pytest.approx([20, 45, 12, 50, 110, 90, 0])
    assert shared[1] == pytest.approx(0.8 * shared[0])
    dearer = NEUTRAL.model_copy(update={"prices": Prices(visit_factor={"tertiary": 1.5, "secondary": 0.5})})
    assert asked(fees(), [dearer])[0, 0] == pytest.approx([20, 45, 50, 50, 55, 180, 0])


def test_without_a_referral_a_patient_pays_more_up_to_the_fee() -> None:
    assert unreferred(fees(), under(without_referral=0.2))[0] == pytest.approx([0, 0, 0, 0, 28, 30, 32])
    assert not unreferred(fees(), [NEUTRAL]).any()


def test_behind_the_door_of_centres_are_those_of_the_area() -> None:
    names = [[PLACE_CLASSES[class_behind(door, urban)] for door in DOORS] for urban in (False, True)]
    assert [name for name in PLACE_CLASSES if name != "community"] == names[0]
    assert [name for name in PLACE_CLASSES if name != "township"] == names[1]


def test_shares_of_stays_leave_employees_their_part() -> None:
    """0.7 for residents and 0.73 for employees leave 0.3 and 0.27; of 0.1, employees are left 0.09."""
    m = Model(towns.group_town(1), [0])
    share = Tariff.of(fees(), m.classes, m.conditions, under(stay_share={"tertiary": 0.9})).share[0, :, 4:6]
    assert share == pytest.approx(np.array([[0.7, 0.9], [0.73, 0.91]]))
