"""What care costs and who pays for it."""

from __future__ import annotations

from typing import Any

import pytest

import sim
import towns
from sim.money import PLACE_CLASSES, MoneySpec, overpriced
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
    assert not list(overpriced(spec, {"centre": 120.0, "outside": 160.0}))
    assert [text for _, text in overpriced(spec, {"centre": 121.0})] == [
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
