"""Money: what care costs, and who pays for it."""

from __future__ import annotations

import pandas as pd

from analysis.indicators.catalogue import PEOPLE_SCOPES, PLACE_SCOPES, SHARE, STANDARD, Text, Variant, indicator
from analysis.ledger import KEYS, Frame, Ledger, tally

YUAN = Text("yuan", "元")
TEN_THOUSAND = Text("10,000 yuan", "万元")
LEDGER = "convention: the ledger of money, fees and shares as stated by the config group money"
BILLS = "money_monthly"
A_WAN = 1_000_000.0
"""Fen in ten thousand yuan."""


def _bills(ledger: Ledger, *names: str) -> Frame:
    """Bills of people and of places by scope and service, in yuan; what both tell is told once."""
    columns = [f"{name}_fen" for name in names]
    people = ledger.of_people(BILLS, ["cases", *columns], ["service"])
    by_place = ledger.at_places(BILLS, ["cases", *columns], ["service"])
    rows = pd.concat([people, by_place[~by_place["scope"].isin(people["scope"])]], ignore_index=True)
    return rows.assign(**{name: rows[f"{name}_fen"] / 100.0 for name in names})


@indicator(
    name=Text("Cost per visit", "门诊次均费用"),
    unit=YUAN,
    formula=Text(
        "fees of visits, emergency and internet ones among them / visits; returns with results are no visits",
        "门急诊及互联网诊疗费用 / 诊疗人次；带检查结果复诊不另计",
    ),
    source=LEDGER,
    scope="grid",
    scopes=f"{PEOPLE_SCOPES}, {PLACE_SCOPES}",
    better="down",
)
def cost_per_visit(ledger: Ledger) -> Frame:
    """Fees go by class of place, so it moves with where patients go and with price reviews."""
    rows = _bills(ledger, "cost")
    return tally(rows[rows["service"].ne("stay")], STANDARD, "cost", "cases")


@indicator(
    name=Text("Cost per discharge", "住院次均费用"),
    unit=YUAN,
    formula=Text(
        "fees of stays that ended / discharges; each leg is a case", "出院患者住院费用 / 出院人次；转院各计一次"
    ),
    source=LEDGER,
    scope="tertiary_public",
    scopes=f"{PEOPLE_SCOPES}, {PLACE_SCOPES}",
    better="down",
    guards=("cost_per_episode",),
)
def cost_per_discharge(ledger: Ledger) -> Frame:
    """Fee of the class of place times case weight."""
    rows = _bills(ledger, "cost")
    return tally(rows[rows["service"].eq("stay")], STANDARD, "cost", "cases")


@indicator(
    name=Text("Cost per episode in hospital", "住院全程次均费用（跨机构）"),
    unit=YUAN,
    formula=Text(
        "fees of residents' stays, wherever / episodes that ended; a transfer does not end one",
        "居民住院费用（不论地点）/ 结束的住院全程数；转院不视为结束",
    ),
    source="guard: a stay that is paid twice because of a transfer costs more",
    scope="grid",
    scopes="grid, in_area",
    better="down",
)
def cost_per_episode(ledger: Ledger) -> Frame:
    """Across transfers, each leg of which is a case of its own."""
    rows = _bills(ledger, "cost")
    stays = ledger.of_people("stays_monthly", ["episodes"])
    both = pd.concat([rows[rows["service"].eq("stay")], stays], ignore_index=True)
    mine = both[both["scope"].isin(("grid", "in_area"))]
    return tally(mine[[*KEYS, "cost", "episodes"]], STANDARD, "cost", "episodes")


@indicator(
    name=Text("Paid by patients", "个人自付比例"),
    unit=SHARE,
    formula=Text(
        "what residents pay themselves / what they and the fund pay", "居民个人支付 / （个人支付 + 医保基金支付）"
    ),
    source=LEDGER,
    scope="grid",
    scopes="grid, in_area",
    better="down",
    variants=(Variant("visits", Text("of visits", "门诊")), Variant("stays", Text("of stays", "住院"))),
)
def own_share(ledger: Ledger) -> Frame:
    """Prices of visits, deductibles, shares of stays, and what the catalogue leaves out."""
    rows = _bills(ledger, "own", "fund").assign(paid=lambda r: r["own"] + r["fund"])
    mine = rows[rows["scope"].isin(("grid", "in_area"))]
    stay = mine["service"].eq("stay")
    parts = ((mine, STANDARD), (mine[~stay], "visits"), (mine[stay], "stays"))
    return pd.concat([tally(part, variant, "own", "paid") for part, variant in parts])


def _amount(ledger: Ledger, name: str) -> Frame:
    """A sum of all services, in ten thousand yuan."""
    rows = _bills(ledger, name)
    return tally(rows.assign(amount=rows[f"{name}_fen"] / A_WAN), STANDARD, "amount")


@indicator(
    name=Text("Paid by the fund", "医保基金支出"),
    unit=TEN_THOUSAND,
    formula=Text("what the fund pays for visits and stays", "医保基金支付的门诊和住院费用"),
    source=LEDGER,
    scope="grid",
    scopes=f"{PEOPLE_SCOPES}, {PLACE_SCOPES}",
    better="down",
    kind="count",
)
def fund_spending(ledger: Ledger) -> Frame:
    """For residents wherever they go; to institutions as points have shared it out."""
    return _amount(ledger, "payment")


@indicator(
    name=Text("Paid by patients, in yuan", "居民个人支付额"),
    unit=TEN_THOUSAND,
    formula=Text("what residents pay themselves for visits and stays", "居民个人支付的门诊和住院费用"),
    source=LEDGER,
    scope="grid",
    scopes="grid, in_area",
    better="down",
    kind="count",
)
def patient_spending(ledger: Ledger) -> Frame:
    """Residents alone: what is given back to visitors elsewhere is not known."""
    rows = _amount(ledger, "own")
    return rows[rows["scope"].isin(("grid", "in_area"))]


@indicator(
    name=Text("Paid by the district", "区财政补偿"),
    unit=TEN_THOUSAND,
    formula=Text(
        "difference of consultation fees for visits to joint clinics, where fees follow the place",
        "联合门诊诊金差额补偿（按实际诊疗地点收费时）",
    ),
    source="convention: payment.fee_follows_place",
    scope="area",
    scopes=PLACE_SCOPES,
    kind="count",
)
def district_top_up(ledger: Ledger) -> Frame:
    """Nothing where the lead hospital's fees hold."""
    rows = _amount(ledger, "top_up")
    return rows[~rows["scope"].isin(("grid", "in_area"))]


@indicator(
    name=Text("Margin of institutions", "机构收支差额"),
    unit=TEN_THOUSAND,
    formula=Text(
        "what fund, patients and district pay institutions - what care costs by their fees",
        "基金、个人和财政支付合计 - 按本机构收费标准计的费用",
    ),
    source=LEDGER,
    scope="area",
    scopes=PLACE_SCOPES,
    kind="count",
)
def institution_margin(ledger: Ledger) -> Frame:
    """Nothing where every institution is paid by its fees; points move it between them."""
    rows = _bills(ledger, "payment", "own", "top_up", "cost")
    margin = rows[["payment_fen", "own_fen", "top_up_fen"]].sum(axis=1) - rows["cost_fen"]
    here = tally(rows.assign(margin=margin / A_WAN), STANDARD, "margin")
    return here[~here["scope"].isin(("grid", "in_area"))]


@indicator(
    name=Text("Fund spending outside the area", "域外基金支出占比"),
    unit=SHARE,
    formula=Text(
        "what the fund pays for residents outside the area / what it pays for residents",
        "居民域外就医基金支出 / 居民医保基金支出",
    ),
    source="NHSA statistical bulletin, 2024 (share of cost); alarms.outside_share",
    scope="grid",
    scopes="grid",
    better="down",
)
def fund_outside_share(ledger: Ledger) -> Frame:
    """Of residents, visits and stays together."""
    rows = ledger.of_people(BILLS, ["fund_fen"])
    mine = rows[rows["scope"].eq("grid")]
    away = mine["fund_fen"].where(mine["level"].eq("outside"), 0)
    return tally(mine.assign(all=mine["fund_fen"] / 100.0, away=away / 100.0), STANDARD, "away", "all")
