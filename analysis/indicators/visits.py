"""Where patients go: shares and numbers of visits."""

from __future__ import annotations

import pandas as pd

from analysis.indicators.catalogue import (
    PEOPLE_SCOPES,
    SHARE,
    STANDARD,
    WAIT_GUARDS,
    Text,
    Variant,
    counted_visits,
    indicator,
)
from analysis.ledger import GRASSROOTS, Frame, Ledger, tally


@indicator(
    name=Text("Grassroots share of visits", "基层诊疗量占比"),
    unit=SHARE,
    formula=Text(
        "outpatient and emergency visits of residents to village stations, clinics, centres and sub-centres / all "
        "their outpatient, emergency and internet visits, wherever; returns with results are not counted",
        "居民在村卫生室、诊所、乡镇卫生院、社区卫生服务中心和县域医疗分中心的门诊与急诊人次 / "
        "居民全部门诊、急诊与互联网诊疗人次（不论就诊地点）；持检查结果复诊不另计",
    ),
    source="zhongwei-2023-67 四(一)3",
    scope="grid",
    scopes="grid, in_area, area, group",
    better="up",
    variants=(
        Variant("without_village_and_clinics", Text("without village stations and clinics", "不含村卫生室和诊所")),
        Variant("outpatient_only", Text("outpatient visits only", "仅门诊")),
        Variant("without_internet", Text("without internet visits", "不含互联网诊疗")),
    ),
    guards=WAIT_GUARDS,
    daily=True,
)
def grassroots_visit_share(ledger: Ledger) -> Frame:
    """The share under every denominator in use."""
    visits = counted_visits(ledger)
    visits["grassroots"] = visits["visits"].where(visits["level"].isin(GRASSROOTS), 0)
    larger = visits[~visits["level"].isin(("village_station", "clinic"))]
    outpatient = visits[visits["kind"].eq("outpatient")]
    return pd.concat(
        [
            tally(visits, STANDARD, "grassroots", "visits"),
            tally(larger, "without_village_and_clinics", "grassroots", "visits"),
            tally(outpatient, "outpatient_only", "grassroots", "visits"),
            tally(visits[visits["kind"].ne("internet")], "without_internet", "grassroots", "visits"),
        ]
    )


@indicator(
    name=Text("Share of visits by level", "各级机构诊疗量占比"),
    unit=SHARE,
    formula=Text(
        "outpatient and emergency visits of residents at the level / all their visits, wherever",
        "居民在该级机构的门诊与急诊人次 / 居民全部门诊与急诊人次",
    ),
    source="NHC statistical bulletin on health development, 2024",
    scope="tertiary",
    scopes="each level",
    daily=True,
)
def visit_share_by_level(ledger: Ledger) -> Frame:
    """Each level is a scope; the denominator is the same for all of them."""
    visits = counted_visits(ledger)
    mine = visits[visits["scope"].eq("grid")]
    levels = mine.groupby(["run", "level"], observed=True)["visits"].sum().reset_index()
    levels["all"] = levels.groupby("run")["visits"].transform("sum")
    levels["scope"] = levels["level"].astype(ledger.scopes)
    return tally(levels, STANDARD, "visits", "all")


@indicator(
    name=Text("Visits", "诊疗人次"),
    unit=Text("visits", "人次"),
    formula=Text(
        "outpatient, emergency and internet visits; returns with results are not counted",
        "门诊、急诊与互联网诊疗人次；持检查结果复诊不另计",
    ),
    source="NHC statistical bulletin on health development, 2024",
    scope="grid",
    scopes=PEOPLE_SCOPES,
    kind="count",
    variants=(
        Variant("outpatient", Text("outpatient", "门诊"), kind="count"),
        Variant("emergency", Text("emergency", "急诊"), kind="count"),
        Variant("internet", Text("internet", "互联网诊疗"), kind="count"),
    ),
    daily=True,
)
def visits(ledger: Ledger) -> Frame:
    """All visits, and those of each kind."""
    rows = counted_visits(ledger)
    kinds = [tally(rows[rows["kind"].eq(kind)], kind, "visits") for kind in ("outpatient", "emergency", "internet")]
    return pd.concat([tally(rows, STANDARD, "visits"), *kinds])


@indicator(
    name=Text("Visits per resident and year", "居民年人均诊疗人次"),
    unit=Text("visits per resident and year", "人次/人·年"),
    formula=Text(
        "visits of residents, wherever / residents x measured part of the year",
        "居民诊疗人次 / （常住人口 × 观测期占全年比例）",
    ),
    source="NHC statistical bulletin on health development, 2024",
    scope="grid",
    scopes="grid",
)
def visits_per_resident(ledger: Ledger) -> Frame:
    """A rate, so that part of a year can be read beside a whole one."""
    rows = ledger.per_residents(counted_visits(ledger), ["visits"])
    return tally(rows, STANDARD, "visits", "resident_years")


@indicator(
    name=Text("Share of care outside the area", "域外就诊占比"),
    unit=SHARE,
    formula=Text(
        "visits of residents outside the area / all their visits", "居民在域外机构的诊疗人次 / 居民全部诊疗人次"
    ),
    source="National Healthcare Security Administration, 2024 (its area is the pooling region)",
    scope="grid",
    scopes="grid",
    better="down",
    variants=(Variant("discharges", Text("of discharges", "按出院人次")),),
)
def out_of_area_share(ledger: Ledger) -> Frame:
    """Of visits, and of hospital stays."""
    stays = ledger.of_people("stays_monthly", ["discharges"])
    tallies = []
    for variant, rows, number in ((STANDARD, counted_visits(ledger), "visits"), ("discharges", stays, "discharges")):
        mine = rows[rows["scope"].eq("grid")].copy()
        mine["outside"] = mine[number].where(mine["level"].eq("outside"), 0)
        tallies.append(tally(mine, variant, "outside", number))
    return pd.concat(tallies)


@indicator(
    name=Text("Share of care inside the area", "域内就诊占比"),
    unit=SHARE,
    formula=Text(
        "outpatient, emergency and internet visits of residents inside the area / all their visits, wherever",
        "居民在域内机构的门诊、急诊与互联网诊疗人次 / 居民全部诊疗人次（不论就诊地点）",
    ),
    source="Zhengzhou, county medical communities, 2020 (visits); Guangdong, the same, 2022 (admissions)",
    scope="grid",
    scopes="grid",
    better="up",
    variants=(
        Variant("outpatient", Text("outpatient visits only", "仅门诊")),
        Variant("emergency", Text("emergency visits only", "仅急诊")),
        Variant("admissions", Text("of discharges", "按出院人次（县域内住院率）")),
        Variant("with_admissions", Text("visits and discharges together", "诊疗与出院人次合计")),
    ),
)
def in_area_share(ledger: Ledger) -> Frame:
    """The documents do not say which care is meant: visits, admissions, or both."""
    seen = counted_visits(ledger)
    visits = seen[seen["scope"].eq("grid")].rename(columns={"visits": "number"})
    stays = ledger.of_people("stays_monthly", ["discharges"]).rename(columns={"discharges": "number"})
    admissions = stays[stays["scope"].eq("grid")]
    both = pd.concat([visits, admissions], ignore_index=True)
    readings = {STANDARD: visits, "admissions": admissions, "with_admissions": both}
    readings |= {kind: visits[visits["kind"].eq(kind)] for kind in ("outpatient", "emergency")}
    return pd.concat([_inside(variant, rows) for variant, rows in readings.items()])


def _inside(variant: str, rows: Frame) -> Frame:
    here = rows["number"].where(rows["level"].ne("outside"), 0)
    return tally(rows.assign(inside=here), variant, "inside", "number")
