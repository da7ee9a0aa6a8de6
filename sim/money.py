"""What care costs and who pays for it: fees, fund shares and deductibles, and the tariff that the rules of a day make.

Facts in yuan by class of place; a tariff in whole fen, so that no sum depends on its order.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Literal, get_args

from pydantic import model_validator

from sim.citation import Figure
from sim.population import SCHEMES
from sim.schema import Closed, KeyPath

PlaceClass = Literal["village_station", "clinic", "township", "community", "secondary", "tertiary", "outside"]

PLACE_CLASSES: tuple[PlaceClass, ...] = get_args(PlaceClass)
"""Classes of places by which fees differ: centres and sub-centres are `township` ones in rural areas and `community`
ones in urban areas."""

Scheme = Literal["residents", "employees"]

CLASSES_BEHIND: dict[str, tuple[PlaceClass, ...]] = {"centre": ("township", "community")}
"""Classes of places behind a door of choice where they are not of its name."""


class MoneySpec(Closed):
    """What care costs and what the fund pays of it; yuan. What a patient pays for a visit is a fact of choice."""

    visit_fee: dict[PlaceClass, Figure]
    """Fee of a visit, emergencies alike."""
    consultation_fee: dict[PlaceClass, Figure]
    """The doctor's part of that fee; all there is to pay of a visit on the internet."""
    stay_fee: dict[PlaceClass, Figure]
    """Fee of a stay with a case weight of 1; others cost it times their weight."""
    fund_share: dict[Scheme, dict[PlaceClass, Figure]]
    """Share of the cost of a stay within the catalogue, above the deductible, that the fund pays."""
    deductible: dict[PlaceClass, Figure]
    """What a resident pays of a stay before the fund pays anything."""
    in_catalogue: Figure
    """Share of the cost of a stay that the insurance catalogue covers."""

    @model_validator(mode="after")
    def _complete(self) -> MoneySpec:
        tables = {"visit_fee": self.visit_fee, "consultation_fee": self.consultation_fee, "stay_fee": self.stay_fee}
        tables |= {"deductible": self.deductible, **{f"fund_share > {s}": t for s, t in self.fund_share.items()}}
        problems = [f"{name} lacks {', '.join(lacking)}" for name, t in tables.items() if (lacking := _lacking(t))]
        problems += [f"fund_share lacks {scheme}" for scheme in SCHEMES if scheme not in self.fund_share]
        if problems:
            raise ValueError("; ".join(problems))
        return self


def _lacking(table: Mapping[PlaceClass, Figure]) -> list[str]:
    return [name for name in PLACE_CLASSES if name not in table]


def overpriced(money: MoneySpec, price: Mapping[str, float]) -> Iterator[tuple[KeyPath, str]]:
    """Doors at which patients would pay more than the fee of a visit, `price` by door: where, and what is wrong."""
    for door, yuan in price.items():
        for name in CLASSES_BEHIND.get(door, (door,)):
            fee = next(figure.value for place, figure in money.visit_fee.items() if place == name)
            if yuan > fee:
                text = f"{yuan:g} yuan are more than the fee of a visit there, {fee:g} (money > visit_fee > {name})."
                yield ("choice", "price", "value", door), text
