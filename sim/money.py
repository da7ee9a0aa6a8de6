"""What care costs and who pays for it: fees, fund shares and deductibles, and the tariff that the rules of a day make.

Facts in yuan by class of place; a tariff in whole fen, so that no sum depends on its order.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import model_validator

from sim.citation import Figure
from sim.network import GENERAL, Level, Network
from sim.policy import PLACE_CLASSES, PlaceClass, Rules
from sim.population import SCHEMES
from sim.schema import Closed, KeyPath
from sim.streams import Floats

Scheme = Literal["residents", "employees"]

DOOR_OF_CLASS = ("village_station", "clinic", "centre", "centre", "secondary", "tertiary", "outside")
"""The door of choice behind which each class of places stands."""

HOSPITALS: tuple[PlaceClass, ...] = ("secondary", "tertiary", "outside")

Fen = NDArray[np.int64]


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
    for name, door in zip(PLACE_CLASSES, DOOR_OF_CLASS, strict=True):
        fee = money.visit_fee[name].value
        if price[door] > fee:
            text = f"{price[door]:g} yuan are more than the fee of a visit there, {fee:g} (money > visit_fee > {name})."
            yield ("choice", "price", "value", door), text


# ---------------------------------------------------------------------------------------------------------------- facts


@dataclass(frozen=True)
class Fees:
    """The facts of all replications side by side, in yuan; by replication, scheme (where they differ) and class."""

    visit: Floats
    consultation: Floats
    price: Floats
    """What a patient pays of a visit, (W, schemes, classes)."""
    stay: Floats
    share: Floats
    deductible: Floats
    in_catalogue: Floats
    employee: Floats
    """What employees pay of a visit over what other residents pay, (W,)."""

    @classmethod
    def of(cls, specs: Sequence[MoneySpec], price: Floats, employee: Floats) -> Fees:
        """`price`: what a resident insured as such pays of a visit, (W, classes)."""

        def each(field: str) -> Floats:
            return np.array([[getattr(s, field)[name].value for name in PLACE_CLASSES] for s in specs])

        share = [
            [[s.fund_share[x][name].value for name in PLACE_CLASSES] for x in ("residents", "employees")] for s in specs
        ]
        covered = np.array([s.in_catalogue.value for s in specs])
        return cls(
            each("visit_fee"), each("consultation_fee"), np.stack([price, price * employee[:, None]], axis=1),
            each("stay_fee"), np.array(share), each("deductible"), covered, employee,
        )  # fmt: skip


@dataclass(frozen=True)
class Classes:
    """Whose fees are taken where, as numbers of classes."""

    own: NDArray[np.int64]
    """Class of each facility; the last: outside."""
    lead: NDArray[np.int64]
    """That of the lead hospital of its group, whose specialists hold joint clinics; else its own."""
    ward: NDArray[np.int64]
    """That of the place where each ward lies; the last: outside."""
    ward_run_by: NDArray[np.int64]
    """That of the facility whose doctors care for its patients."""
    treats: NDArray[np.bool_]
    """Whether a class of places has a ward for each condition, (classes, conditions)."""

    @classmethod
    def of(cls, network: Network, department: Sequence[str]) -> Classes:
        """`department`: of each condition."""
        own = np.array([*map(_class_of, network.facilities, [network] * network.outside), _number("outside")])
        lead = np.where(network.group >= 0, own[np.append(network.lead_of_group, 0)[network.group]], own)
        where = [w.facility for w in network.wards]
        treats = np.zeros((len(PLACE_CLASSES), len(department)), dtype=bool)
        for w in network.wards:
            if w.kind == "acute":
                treats[own[w.facility]] |= [w.department in (d, GENERAL) for d in department]
        return cls(own, lead, own[[*where, -1]], own[[*network.ward_run_by, -1]], treats)


def _class_of(facility: Any, network: Network) -> int:
    if facility.level not in (Level.centre, Level.sub_centre):
        return _number(facility.level.name)
    return _number("community" if network.spec.areas[network.areas[facility.area]].urban else "township")


def _number(name: str) -> int:
    return [*PLACE_CLASSES].index(name)  # type: ignore[arg-type]


# ------------------------------------------------------------------------------------------ what a visit costs patients


def asked(fees: Fees, rules: Sequence[Rules]) -> Floats:
    """What a patient pays of a visit under the rules of each replication, yuan, (W, schemes, classes).

    The fund pays the share that a policy states (M19), or what it pays in the base year.
    """
    factor = _factors([r.prices.visit_factor for r in rules])
    rest = fees.visit * factor * (1.0 - _table([r.insurance.visit_share for r in rules], np.nan))
    stated = np.stack([rest, rest * fees.employee[:, None]], axis=1)
    return np.where(np.isnan(stated), fees.price * factor[:, None], stated)


def unreferred(fees: Fees, rules: Sequence[Rules]) -> Floats:
    """What residents insured as such pay more without a referral, in all no more than the fee, yuan, (W, classes)."""
    fee = fees.visit * _factors([r.prices.visit_factor for r in rules])
    less = np.array([[float(r.insurance.without_referral)] for r in rules]) * np.isin(PLACE_CLASSES, HOSPITALS)
    return np.maximum(np.minimum(less * fee, fee - asked(fees, rules)[:, 0]), 0.0)


def class_behind(door: str, urban: bool) -> int:
    """The class of places behind a door of choice; centres are those of the area where somebody lives."""
    return PLACE_CLASSES.index("community" if urban else "township") if door == "centre" else _number(door)


# --------------------------------------------------------------------------------------------------------------- tariff


@dataclass(frozen=True)
class Tariff:
    """What the rules of a day make of the facts, in fen; by replication and class of place."""

    visit: Fen
    """Fee of a visit."""
    internet: Fen
    """Fee of a visit on the internet."""
    own_visit: Fen
    """What the patient pays of a visit, (W, payers, classes): visitors pay all themselves, or their own fund does."""
    own_unreferred: Fen
    """The same of one to a hospital without a referral."""
    own_internet: Fen
    """The same of one on the internet: the share of it that he pays of any visit."""
    consultation: Fen
    """The doctor's part of the fee."""
    stay: Fen
    """Fee of a stay with a case weight of 1."""
    standard: Fen
    """What is paid for such a stay instead, (W, conditions); -1 = its fee."""
    deductible: Fen
    share: Floats
    """Fund share, (W, schemes, classes)."""
    in_catalogue: Floats
    """Share of the cost in the catalogue, (W,)."""
    follows_place: NDArray[np.bool_]
    points: NDArray[np.bool_]
    continuous: NDArray[np.bool_]
    """Whether the deductible goes on across a transfer."""
    per_head: Floats
    """Budget a year, yuan for each resident; 0 = none."""
    public_health: Floats
    """Public-health money packed with it."""

    @classmethod
    def of(cls, fees: Fees, classes: Classes, conditions: Sequence[str], rules: Sequence[Rules]) -> Tariff:
        """The tariff under the rules of each replication."""
        visits, stays = (_factors([getattr(r.prices, name) for r in rules]) for name in ("visit_factor", "stay_factor"))
        visit, consultation = _fen(fees.visit * visits), _fen(fees.consultation * visits)
        yuan, more = asked(fees, rules), unreferred(fees, rules)
        alone = yuan + np.stack([more, more * fees.employee[:, None]], axis=1)
        price, dearer = (np.minimum(_fen(each), visit[:, None]) for each in (yuan, alone))
        online = np.rint(consultation[:, None] * (price / np.maximum(visit, 1)[:, None])).astype(np.int64)
        stay = _fen(fees.stay * stays)
        return cls(
            visit, consultation, _with_visitors(visit, price), _with_visitors(visit, dearer),
            _with_visitors(consultation, online), consultation, stay,
            _standards(stay, classes, [np.isin(conditions, r.payment.same_disease) for r in rules]),
            _fen(fees.deductible), _stay_shares(fees, rules), fees.in_catalogue,
            follows_place=np.array([r.payment.fee_follows_place for r in rules]),
            points=np.array([r.payment.points for r in rules]),
            continuous=np.array([r.insurance.continuous_deductible for r in rules]),
            per_head=np.array([float(r.budget.per_head) for r in rules]),
            public_health=np.array([float(r.budget.public_health_per_head) for r in rules]),
        )  # fmt: skip


def _fen(yuan: Floats) -> Fen:
    return np.rint(100.0 * yuan).astype(np.int64)


def _factors(tables: Sequence[Mapping[PlaceClass, float]]) -> Floats:
    return _table(tables, 1.0)


def _table(tables: Sequence[Mapping[PlaceClass, float]], left_out: float) -> Floats:
    return np.array([[float(table.get(name, left_out)) for name in PLACE_CLASSES] for table in tables])


def _stay_shares(fees: Fees, rules: Sequence[Rules]) -> Floats:
    """Fund shares of stays, (W, schemes, classes): employees' fund pays its part of what residents' would leave."""
    left, stated = 1.0 - fees.share, _table([r.insurance.stay_share for r in rules], np.nan)[:, None]
    alike = (1.0 - stated) * left / np.where(left[:, :1] > 0, left[:, :1], 1.0)
    return np.where(np.isnan(stated), fees.share, 1.0 - alike)


def _with_visitors(fee: Fen, price: Fen) -> Fen:
    return np.concatenate([fee[:, None], price], axis=1)


def _standards(stay: Fen, classes: Classes, listed: Sequence[NDArray[np.bool_]]) -> Fen:
    """Of listed conditions the lowest fee among the classes of places that have a ward for them."""
    nothing = np.iinfo(np.int64).max
    lowest = np.where(classes.treats, stay[:, :, None], nothing).min(axis=1)
    return np.where(np.array(listed) & (lowest < nothing), lowest, -1)


def of_weight(fee: Any, weight: Any) -> Any:
    """What a case costs whose weight is told in thousandths, by the fee of one whose weight is 1."""
    return (fee * weight + 500) // 1000


def deductible_due(stated: Any, catalogue: Any, paid: Any) -> Any:
    """What a patient has to pay first: the deductible less what was paid of it before, and no more than the cost."""
    return np.minimum(catalogue, np.maximum(stated - paid, 0))
