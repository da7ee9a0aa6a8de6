"""Slots and beds that are held for the referred, and beds that are blocked."""

from __future__ import annotations

import pandas as pd

from analysis.indicators.catalogue import PLACE_SCOPES, SHARE, STANDARD, Text, Variant, indicator, slots_of
from analysis.ledger import KEYS, Frame, Ledger, tally


@indicator(
    name=Text("Slots offered", "号源总量"),
    unit=Text("slots", "个"),
    formula=Text(
        "appointment slots of the sessions held; expert and joint clinics are counted apart",
        "开诊单元提供的预约号源数；专家号源、联合门诊号源另计",
    ),
    source="zhongwei-2023-67 四(三)1",
    scope="lead",
    scopes=PLACE_SCOPES,
    kind="count",
    variants=(
        Variant("held", Text("held for referral", "预留给转诊"), kind="count"),
        Variant("released", Text("held, then released", "预留后释放"), kind="count"),
        Variant("experts", Text("of expert clinics", "专家号源"), kind="count"),
        Variant("experts_held", Text("of expert clinics, held for referral", "预留给转诊的专家号源"), kind="count"),
        Variant("joint", Text("of joint clinics", "联合门诊号源"), kind="count"),
        Variant("held_share", Text("share held for referral", "预留给转诊的占比"), SHARE),
    ),
)
def slots_offered(ledger: Ledger) -> Frame:
    """Offered, held and released."""
    columns = ["offered", "held", "released"]
    slots, experts = (slots_of(ledger, columns, of) for of in ("clinics", "experts"))
    kinds = [tally(slots, column, column) for column in ("held", "released")]
    apart = [tally(experts, "experts", "offered"), tally(experts, "experts_held", "held")]
    apart.append(tally(slots_of(ledger, columns, "joint"), "joint", "offered"))
    apart.append(tally(slots, "held_share", "held", "offered"))
    return pd.concat([tally(slots, STANDARD, "offered"), *kinds, *apart])


@indicator(
    name=Text("Held slots used", "预留号源使用率"),
    unit=SHARE,
    formula=Text(
        "held slots used by referred patients / held slots; expert clinics are counted apart",
        "转诊患者使用的预留号源 / 预留号源；专家号源另计",
    ),
    source="zhongwei-2023-67 四(三)1",
    scope="lead",
    scopes=PLACE_SCOPES,
    better="up",
    variants=(Variant("experts", Text("of expert clinics", "专家号源")),),
)
def slot_quota_used(ledger: Ledger) -> Frame:
    """A quota offered is not a quota used."""
    slots, experts = (slots_of(ledger, ["used_held", "held"], of) for of in ("clinics", "experts"))
    return pd.concat([tally(slots, STANDARD, "used_held", "held"), tally(experts, "experts", "used_held", "held")])


@indicator(
    name=Text("Held beds used", "预留床位使用率"),
    unit=SHARE,
    formula=Text("bed-days of referred patients in held beds / held bed-days", "转诊患者占用的预留床日 / 预留床日"),
    source="zhongwei-2023-67 四(三)1",
    scope="lead",
    scopes=PLACE_SCOPES,
    better="up",
)
def bed_quota_used(ledger: Ledger) -> Frame:
    """Emergencies in held beds are borrowed, not used."""
    beds = ledger.at_places("beds_monthly", ["used_held_days", "held_days"])
    return tally(beds, STANDARD, "used_held_days", "held_days")


@indicator(
    name=Text("Held beds", "预留床位"),
    unit=Text("bed-days", "床日"),
    formula=Text("bed-days held for referred patients", "预留给转诊患者的床日"),
    source="zhongwei-2023-67 四(三)1",
    scope="lead",
    scopes=PLACE_SCOPES,
    kind="count",
    variants=(
        Variant("borrowed", Text("borrowed by emergencies", "被急诊借用"), kind="count"),
        Variant("released", Text("released", "释放"), kind="count"),
        Variant("share", Text("share of open bed-days", "占实际开放总床日的比例"), SHARE),
    ),
)
def beds_held(ledger: Ledger) -> Frame:
    """Held, borrowed and released."""
    beds = ledger.at_places("beds_monthly", ["held_days", "borrowed", "released", "bed_days"])
    kinds = [tally(beds, column, column) for column in ("borrowed", "released")]
    return pd.concat([tally(beds, STANDARD, "held_days"), *kinds, tally(beds, "share", "held_days", "bed_days")])


@indicator(
    name=Text("Blocked beds", "压床床日占比"),
    unit=SHARE,
    formula=Text(
        "bed-days of patients ready to step down with nowhere to go / open bed-days",
        "可下转而无处可转患者占用的床日 / 实际开放总床日数",
    ),
    source="convention: blocked from readiness to step down until the bed is free",
    scope="lead",
    scopes=PLACE_SCOPES,
    better="down",
)
def blocked_bed_share(ledger: Ledger) -> Frame:
    """Blocked hours as days."""
    beds = ledger.at_places("beds_monthly", ["blocked_hours", "bed_days"])
    beds["blocked_days"] = beds["blocked_hours"] / 24
    return tally(beds, STANDARD, "blocked_days", "bed_days")


BLOCKING = {
    "step_down": Text("no bed below", "下级无床可转"),
    "ward": Text("out of intensive care, no bed in the ordinary ward", "重症监护转出时普通病房无床"),
    "theatre": Text("waiting for a late operation", "等待延迟的手术"),
    "exam": Text("waiting for a late exam", "等待延迟的检查"),
    "discharge_hours": Text("recovered, until the hours at which patients go home", "已可出院，等待出院办理时段"),
}
"""What keeps a bed that another patient could have, by cause (records.CAUSES); the first two make it blocked."""


@indicator(
    name=Text("Blocked bed-days", "压床床日"),
    unit=Text("per 1,000 occupied bed-days", "每千占用床日"),
    formula=Text(
        "bed-days of patients who are ready for a bed below, or in the ordinary ward, and find none / occupied "
        "bed-days x 1,000; other causes are readings of their own",
        "可下转或可转出重症监护而无床可转的患者占用的床日 / 实际占用总床日数 × 1000；其他原因另列",
    ),
    source="convention: blocked from readiness until the next bed is free; counted in the month in which the wait ends",
    scope="lead",
    scopes=PLACE_SCOPES,
    better="down",
    per=1000,
    variants=(
        *(Variant(cause, name, per=1000) for cause, name in BLOCKING.items()),
        Variant("number", Text("number", "床日数"), Text("bed-days", "床日"), kind="count"),
    ),
)
def blocked_bed_days(ledger: Ledger) -> Frame:
    """By cause; hours as days."""
    kept = ledger.at_places("blocked_monthly", ["hours"], ["cause"])
    kept["days"] = kept["hours"] / 24
    beds = ledger.at_places("beds_monthly", ["occupied_days"])
    blocked = kept[kept["cause"].isin(("step_down", "ward"))]
    readings = {STANDARD: blocked} | {cause: kept[kept["cause"].eq(cause)] for cause in BLOCKING}
    shares = [
        tally(pd.concat([rows[[*KEYS, "days"]], beds], ignore_index=True), variant, "days", "occupied_days")
        for variant, rows in readings.items()
    ]
    return pd.concat([*shares, tally(blocked, "number", "days")])
