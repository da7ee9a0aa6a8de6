"""Bills: what visits and stays cost, who paid, and what became of the budgets of medical groups.

A visit is charged on its day and billed by the month, at the tariff of the day; a stay is billed when it is over. All
sums are whole fen. Nothing here acts on a patient.
"""

from __future__ import annotations

from calendar import isleap
from collections.abc import Callable, Sequence
from fractions import Fraction
from itertools import groupby
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from sim.money import Classes, Tariff, deductible_due, of_weight
from sim.network import Network
from sim.policy import Rules
from sim.population import SCHEMES
from sim.records import LEG, PAID_JOINT, PAID_STAY, PAYERS, SERVICES, UNBILLED_DAYS, Ledger, Legs, join_legs
from sim.timetable import Timetable

SPENT = ("group", "elsewhere", "outside")
"""Where a grid's residents are cared for: by their own group, by others in the area, outside."""
SPENT_FEN = tuple(f"spent_{where}_fen" for where in SPENT)
BUDGET = (
    "budget_fen", "public_health_fen", *SPENT_FEN, "balance_fen", "kept_fen", "returned_fen", "borne_fen",
    "covered_fen",
)  # fmt: skip
"""Columns of a year's budget: what was given; spent where; the balance; of a surplus what the group keeps and the fund
gets back; of an overrun what the group bears and the fund covers."""
UNITS = {"cases": "cases", "points": "points_thousandths"}
"""Columns of bills that are no money."""


class Accounts:
    """The bills of one batch of replications."""

    def __init__(self, network: Network, timetable: Timetable, ledger: Ledger, classes: Classes) -> None:
        self.timetable, self.ledger, self.classes = timetable, ledger, classes
        self.month = timetable.month[: timetable.days]
        """Month of each day of the run."""
        self.outside = network.outside
        accounts = ledger.money.shape[-1]
        self.grids = network.groups or [""]
        self.payer = np.array([0, *(1 + n % len(SCHEMES) for n in range(accounts - 1))])
        """Who pays from each account, of records.PAYERS."""
        self.grid = np.array([-1, *(n // len(SCHEMES) for n in range(accounts - 1))])
        """Whose residents' care is paid from each account; -1: visitors'."""
        self.spent_at = self._spent_at(network)
        self.to_come: list[Legs] = [np.zeros(0, dtype=LEG)]
        """Stays that are written down and not billed; some of them, outside the area, are not over."""
        self.paid: dict[tuple[int, int], int] = {}
        """What patients who have stepped down have paid as deductible, by replication and episode."""
        self.tariff: Callable[[int], Tariff]
        """The tariff of a day of the run."""

    def _spent_at(self, network: Network) -> NDArray[np.int64]:
        """Where each facility is for the residents of each grid, of SPENT; (grids, F + 1)."""
        group = np.append(network.group[:-1], -2)
        return np.array([np.where(group == g, 0, np.where(group == -2, 2, 1)) for g in range(len(self.grids))])

    # --------------------------------------------------------------------------------------------------------- visits

    def bill_visits(self, until: int) -> None:
        """Bill what was charged up to a day of the run, that day excluded."""
        days = range(max(0, until - UNBILLED_DAYS + 1), until)
        month, charged = self.month, self.ledger.unbilled.table["visits"]
        for _, alike in groupby(days, key=lambda day: (month[day], id(self.tariff(day)))):
            some = list(alike)
            number = charged[:, [day % UNBILLED_DAYS for day in some]].sum(axis=1, dtype=np.int64)
            if number.any():
                self._bill_visits(number, int(month[some[0]]), self.tariff(some[0]))
        self.ledger.unbilled.rows[:] = 0

    def _bill_visits(self, number: NDArray[np.int64], month: int, tariff: Tariff) -> None:
        """`number`: of visits by replication, facility, service and account."""
        fee, price, more = self._visit_prices(tariff)
        cost, own = number * fee[..., None], number * price
        rows = self.ledger.money.table[:, month, :, :PAID_STAY]
        amounts = {"cases": number, "cost": cost, "own": own, "fund": cost - own, "top_up": number * more[..., None]}
        for name, amount in amounts.items():
            rows[name] += amount
        fund = (cost - own).sum(axis=2)
        for g, at in enumerate(self.spent_at):
            of_grid = fund[:, :, self.grid == g].sum(axis=2) * (tariff.per_head > 0)[:, None]
            for where in range(len(SPENT)):
                self.ledger.debits.table["spent"][:, month, g, where] += of_grid[:, at == where].sum(axis=1)

    def _visit_prices(self, tariff: Tariff) -> tuple[Any, Any, Any]:
        """Fee of a visit, what each account's patient pays of it, and what the district adds; by facility, service."""
        own, lead, there = self.classes.own, self.classes.lead, tariff.follows_place[:, None]
        joint = np.where(there, own, lead)  # class whose fee a joint clinic takes
        world = np.arange(len(joint))[:, None]
        fee = [tariff.visit[:, own], tariff.visit[:, own], tariff.internet[:, own], tariff.visit[world, joint]]
        price = [tariff.own_visit[:, :, own]] * 2 + [tariff.own_internet[:, :, own]]
        price.append(np.swapaxes(tariff.own_visit[world, :, joint], 1, 2))
        fee.append(tariff.visit[:, own])
        price.append(tariff.own_unreferred[:, :, own])
        more = np.zeros((len(joint), len(own), PAID_STAY), dtype=np.int64)
        gap = tariff.consultation[:, lead] - tariff.consultation[:, own]
        more[..., PAID_JOINT] = np.where(there, np.maximum(gap, 0), 0)
        by_account = np.stack(price, axis=3)[:, self.payer]  # (W, accounts, F, services)
        return np.stack(fee, axis=2), np.moveaxis(by_account, 1, 3), more

    # ---------------------------------------------------------------------------------------------------------- stays

    def keep_stays(self, legs: Legs) -> None:
        """Legs that are written down; they are billed together, which takes far less time than night by night."""
        self.to_come.append(legs)

    def bill_stays(self, now: float) -> None:
        """Bill stays that are over; others wait until they are."""
        known = join_legs(self.to_come)
        over = known["discharged"] <= now
        self.to_come, known = [known[~over]], known[over]
        days, later = self.ledger.day(known["discharged"]), known["came_from"] >= 0
        for _, alike in groupby(np.unique(days).tolist(), key=lambda day: (self.month[day], id(self.tariff(day)))):
            some = list(alike)
            these = np.isin(days, some)
            for legs in (known[these & ~later], known[these & later]):  # what they go on from is billed
                if len(legs):
                    self._bill_stays(legs, int(self.month[some[0]]), self.tariff(some[0]))

    def _bill_stays(self, legs: Legs, month: int, tariff: Tariff) -> None:
        world, weight, ward = legs["world"], legs["weight"], legs["ward"]
        facility, account = self.ledger.ward_facility[ward], self.ledger.payer[legs["person"]]
        kind = np.where(tariff.follows_place[world], self.classes.ward[ward], self.classes.ward_run_by[ward])
        cost = of_weight(tariff.stay[world, kind], weight)
        standard = np.where(facility == self.outside, -1, tariff.standard[world, legs["condition"]])
        price = np.where(standard >= 0, of_weight(standard, weight), cost)
        payer = self.payer[account]
        insured = payer > 0
        catalogue = np.rint(tariff.in_catalogue[world] * price).astype(np.int64)
        first = deductible_due(tariff.deductible[world, kind], catalogue, self._paid_before(legs, tariff)) * insured
        share = tariff.share[world, np.maximum(payer - 1, 0), kind] * insured
        fund = np.rint(share * (catalogue - first)).astype(np.int64)
        self._keep_in_mind(legs, first)
        pooled = tariff.points[world] & insured & (facility != self.outside)
        self.ledger.money.add(
            self.ledger.money.index(world, month, facility, PAID_STAY, account), cases=1, cost=cost, fund=fund,
            own=price - fund, deductible=first, points=weight * pooled, pooled=fund * pooled,
        )  # fmt: skip
        grid = self.grid[account]
        debited = np.flatnonzero(insured & (tariff.per_head[world] > 0))
        at = (world[debited], month, grid[debited], self.spent_at[grid[debited], facility[debited]])
        self.ledger.debits.add(self.ledger.debits.index(*at), spent=fund[debited])

    def _paid_before(self, legs: Legs, tariff: Tariff) -> NDArray[np.int64]:
        """What counts of the deductible that those who have stepped down have paid where they came from."""
        before = np.zeros(len(legs), dtype=np.int64)
        for n in np.flatnonzero(legs["came_from"] >= 0).tolist():
            paid = self.paid.pop(_episode(legs[n]), 0)
            before[n] = paid if tariff.continuous[legs[n]["world"]] else 0
        return before

    def _keep_in_mind(self, legs: Legs, first: NDArray[np.int64]) -> None:
        for n in np.flatnonzero(legs["to_step_down"]).tolist():
            self.paid[_episode(legs[n])] = int(first[n])

    # --------------------------------------------------------------------------------------------------------- tables

    def tables(self, world: int, rules: Callable[[int], Rules], residents: Sequence[float]) -> dict[str, pd.DataFrame]:
        """Money by month and place, budgets by year, and alarms; `rules`: of a day; `residents`: of each grid."""
        due = self._due(world, residents)
        return {
            "money_monthly": self._money(world),
            "budgets": self._budgets(world, due, rules),
            "alarms": self._alarms(world, due, rules),
        }

    def _money(self, world: int) -> pd.DataFrame:
        """Non-empty rows of the bills, with what the fund has paid when points have been settled."""
        sums = {name: self.ledger.money.total(world, name) for name in self.ledger.money.counts}
        sums["payment"] = sums["fund"] - sums["pooled"] + self._by_points(sums["points"], sums.pop("pooled"))
        filled = np.nonzero(sums["cases"])
        month, facility, service, account = filled
        payers, grids = np.array(PAYERS)[self.payer], np.array([*self.grids, ""])[self.grid]
        ids = np.array([*(f.id for f in self.ledger.network.facilities), "outside"])
        names = {
            "month": self.timetable.month_starts.astype("datetime64[s]")[month], "facility": ids[facility],
            "service": np.array(SERVICES)[service], "payer": payers[account], "resident": account > 0,
            "grid": grids[account],
        }  # fmt: skip
        return self.ledger.placed(
            pd.DataFrame(names | {UNITS.get(name, f"{name}_fen"): each[filled] for name, each in sums.items()})
        )

    def _by_points(self, points: NDArray[np.int64], pooled: NDArray[np.int64]) -> NDArray[np.int64]:
        """What the fund owes for stays, by month and scheme, in proportion to points."""
        paid = np.zeros_like(pooled)
        for month in np.flatnonzero(points.any(axis=(1, 2, 3))):
            for payer in range(1, len(PAYERS)):
                mine = self.payer == payer
                weights = points[month, :, PAID_STAY, mine]
                total = int(pooled[month, :, PAID_STAY, mine].sum())
                paid[month, :, PAID_STAY, mine] = shared_out(total, weights.ravel().tolist()).reshape(weights.shape)
        return paid

    def _due(self, world: int, residents: Sequence[float]) -> dict[str, NDArray[np.int64]]:
        """Budget and public-health money due in each month, by grid."""
        days = range(self.timetable.days)
        year = np.array([365 + isleap(self.timetable.date(d).year) for d in days])
        found = {}
        for name, of in (("budget", "per_head"), ("public_health", "public_health")):
            a_day = np.array([getattr(self.tariff(d), of)[world] for d in days]) / year
            by_month = np.bincount(self.month, weights=a_day, minlength=self.timetable.months)
            found[name] = np.rint(100.0 * by_month[:, None] * np.array(residents)).astype(np.int64)
        return found

    def _budgets(self, world: int, due: dict[str, NDArray[np.int64]], rules: Callable[[int], Rules]) -> pd.DataFrame:
        """A row for each grid and year with a budget."""
        spent, rows = self.ledger.debits.total(world, "spent"), []
        for year, months in self._years().items():
            rule = rules(int(np.flatnonzero(self.month == months[-1])[-1])).budget
            for g in np.flatnonzero(due["budget"][months].sum(axis=0)).tolist():
                given = {name: int(amounts[months, g].sum()) for name, amounts in due.items()}
                out = dict(zip(SPENT, spent[months, g].sum(axis=0).tolist(), strict=True))
                rows.append({"year": year, "grid": self.grids[g]} | _settled(given, out, rule))
        return pd.DataFrame(rows, columns=["year", "grid", *BUDGET]).astype(dict.fromkeys(("year", *BUDGET), "int64"))

    def _years(self) -> dict[int, list[int]]:
        """The months of each year."""
        months = enumerate(self.timetable.month_starts.astype("datetime64[Y]").astype(int) + 1970)
        return {int(year): [n for n, _ in some] for year, some in groupby(months, key=lambda each: each[1])}

    def _alarms(self, world: int, due: dict[str, NDArray[np.int64]], rules: Callable[[int], Rules]) -> pd.DataFrame:
        """What is above its threshold at the end of a month."""
        rows = []
        for month in range(self.timetable.months):
            last = int(np.flatnonzero(self.month == month)[-1])
            limits = rules(last).alarms
            for what, limit in limits:
                if limit is None:
                    continue
                values = getattr(self, f"_{what}")(world, month, due)
                date = np.datetime64(self.timetable.date(last), "s")
                rows += [
                    (date, g, what, value, limit) for g, value in zip(self.grids, values, strict=True) if value > limit
                ]
        told = pd.DataFrame(rows, columns=["date", "grid", "alarm", "value", "threshold"])
        return told.astype({"date": "datetime64[s]", "value": "float64", "threshold": "float64"})

    def _of_grids(self, world: int, name: str) -> NDArray[np.int64]:
        """A measure of all services by month, facility and grid."""
        by_account = self.ledger.money.total(world, name).sum(axis=2)
        return np.stack([by_account[:, :, self.grid == g].sum(axis=2) for g in range(len(self.grids))], axis=2)

    def _outside_share(self, world: int, month: int, due: Any) -> NDArray[np.float64]:
        fund = self._of_grids(world, "fund")[month]
        return fund[self.outside] / np.maximum(fund.sum(axis=0), 1)

    def _cost_growth(self, world: int, month: int, due: Any) -> NDArray[np.float64]:
        """Over the same month of the year before, where all of it was simulated; else none."""
        cost = self._of_grids(world, "cost").sum(axis=1)
        days = np.bincount(self.month, minlength=self.timetable.months)
        before = month - 12
        if before < 0 or abs(int(days[before]) - int(days[month])) > 1:  # 29 February apart
            return np.full(len(self.grids), -1.0)
        return cost[month] / np.maximum(cost[before], 1) - 1.0

    def _fund_use(self, world: int, month: int, due: Any) -> NDArray[np.float64]:
        """Spent this year over what was due by the end of the month; none without a budget."""
        months = next(m for m in self._years().values() if month in m)
        so_far = [m for m in months if m <= month]
        spent = self.ledger.debits.total(world, "spent")[so_far].sum(axis=(0, 2))
        given = due["budget"][so_far].sum(axis=0)
        return np.where(given > 0, spent / np.maximum(given, 1), -1.0)


def _episode(leg: Any) -> tuple[int, int]:
    return int(leg["world"]), int(leg["key"])


def _settled(given: dict[str, int], out: dict[str, int], rule: Any) -> dict[str, int]:
    """What is left of a budget, or lacks, and who has it or pays it; fen."""
    balance = sum(given.values()) - sum(out.values())
    kept = round(Fraction(rule.surplus_kept) * max(balance, 0))
    borne = round(Fraction(rule.overrun_shared) * max(-balance, 0))
    shares = (balance, kept, max(balance, 0) - kept, borne, max(-balance, 0) - borne)
    names = [name for name in BUDGET if name not in ("budget_fen", "public_health_fen", *SPENT_FEN)]
    told = {f"{name}_fen": amount for name, amount in given.items()}
    told |= {f"spent_{name}_fen": amount for name, amount in out.items()}
    return told | dict(zip(names, shares, strict=True))


def shared_out(total: int, weights: Sequence[int]) -> NDArray[np.int64]:
    """A whole number shared out in proportion to whole weights, to the last one: largest remainders first."""
    whole = sum(weights)
    if whole == 0:
        return np.zeros(len(weights), dtype=np.int64)
    parts = [divmod(total * weight, whole) for weight in weights]
    shares = np.array([part for part, _ in parts], dtype=np.int64)
    most = sorted(range(len(weights)), key=lambda n: (-parts[n][1], n))
    shares[most[: total - int(shares.sum())]] += 1
    return shares
