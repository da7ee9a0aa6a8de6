"""Who waits, how long, and who does not get in."""

from __future__ import annotations

import pandas as pd

from analysis.indicators.catalogue import (
    CLASSES,
    DAYS,
    MINUTES,
    PLACE_SCOPES,
    SHARE,
    STANDARD,
    Text,
    Variant,
    by_class,
    class_variants,
    indicator,
    scoped,
)
from analysis.ledger import Frame, Ledger, ninetieth, tally


@indicator(
    name=Text("Days to an appointment", "预约等待天数"),
    unit=DAYS,
    formula=Text(
        "days from the wanted day to the appointment, mean over booked patients without priority; P90 is the smallest "
        "number of days within which nine of ten are seen",
        "从期望就诊日到预约就诊日的天数，无优先权患者的均值；P90 为九成患者等待不超过的最小天数",
    ),
    source="zhongwei-2023-67 四(三)1 (priority is promised, waits are not limited)",
    scope="lead",
    scopes=PLACE_SCOPES,
    better="down",
    variants=class_variants(("other", "referred", "referred_contracted", "all")),
)
def wait_days(ledger: Ledger) -> Frame:
    """By priority class."""
    return by_class(ledger.at_places("waits_days", ["patients"], ["cls", "days"]), "days")


@indicator(
    name=Text("Minutes in the waiting room", "候诊时间"),
    unit=MINUTES,
    formula=Text(
        "minutes from place in line to the doctor, mean over outpatients without priority",
        "从排队（到达或预约时刻）到医生接诊的分钟数，无优先权门诊患者的均值",
    ),
    source="convention: from place in line (arrival or slot time, whichever is later) to the doctor",
    scope="area",
    scopes=PLACE_SCOPES,
    better="down",
    variants=class_variants(("other", "referred", "referred_contracted", "all")),
)
def wait_minutes(ledger: Ledger) -> Frame:
    """By priority class, clinics only: an emergency department knows triage, not classes."""
    rows = ledger.at_places("waits_minutes", ["patients"], ["kind", "cls", "minutes"])
    return by_class(rows[rows["kind"].eq("outpatient")], "minutes")


@indicator(
    name=Text("Days to a bed", "等床天数"),
    unit=DAYS,
    formula=Text(
        "days from bed request to bed, mean over admitted patients without priority",
        "从申请床位到入院的天数，无优先权入院患者的均值",
    ),
    source="zhongwei-2023-67 四(三)1 (priority is promised, waits are not limited)",
    scope="lead",
    scopes=PLACE_SCOPES,
    better="down",
    variants=class_variants(("other", "referred", "referred_contracted", "emergency", "step_down", "all")),
)
def bed_wait_days(ledger: Ledger) -> Frame:
    """By priority class."""
    return by_class(ledger.at_places("waits_bed", ["patients"], ["cls", "days"]), "days")


@indicator(
    name=Text("Hours to a bed below", "下转等床时间"),
    unit=Text("hours", "小时"),
    formula=Text(
        "hours from the end of the acute phase to the bed below, mean over those who stepped down, at the hospital "
        "where they waited; P90 in whole hours",
        "从急性期结束到转入下级床位的小时数，已下转患者的均值，按等候所在医院统计；P90 为整小时",
    ),
    source="convention: from readiness to step down; who recovers first goes home and is not counted",
    scope="lead",
    scopes=PLACE_SCOPES,
    better="down",
    variants=(Variant("p90", Text("P90", "P90"), kind="ninetieth"),),
)
def step_down_wait(ledger: Ledger) -> Frame:
    """The mean is exact, the P90 by whole hours."""
    rows = ledger.at_places("waits_step_down", ["patients", "waited_minutes"], ["hours"])
    rows["waited"] = rows["waited_minutes"] / 60
    mean = tally(rows, STANDARD, "waited", "patients")
    return pd.concat([mean, ninetieth(rows, "p90", "hours", "patients")], ignore_index=True)


@indicator(
    name=Text("Patients who leave while waiting for a bed", "等床期间离开的患者占比"),
    unit=SHARE,
    formula=Text("bed requests given up / bed requests settled", "放弃的住院申请 / 已了结的住院申请"),
    source="convention: patience of elective patients",
    scope="lead",
    scopes=PLACE_SCOPES,
    better="down",
)
def bed_leavers_share(ledger: Ledger) -> Frame:
    """They go to another hospital or outside."""
    rows = ledger.at_places("waits_bed", ["patients", "left"])
    rows["settled"] = rows["patients"] + rows["left"]
    return tally(rows, STANDARD, "left", "settled")


@indicator(
    name=Text("Unmet need", "未满足的就医需要占比"),
    unit=SHARE,
    formula=Text(
        "needs that ended without care, or without the bed that they called for / needs that arose, residents",
        "最终未获诊疗、或需住院而未住院的就医需要 / 产生的就医需要（居民）",
    ),
    source="National Health Services Survey 2018 (unmet need for admission)",
    scope="grid",
    scopes="grid",
    better="down",
)
def unmet_need_share(ledger: Ledger) -> Frame:
    """Residents only."""
    needs = ledger.sums("needs_monthly", ["needs", "unmet"], ["resident"])
    return tally(scoped(needs[needs["resident"].astype(bool)], "grid", ledger), STANDARD, "unmet", "needs")


@indicator(
    name=Text("Missed follow-ups", "慢性病随访缺失占比"),
    unit=SHARE,
    formula=Text(
        "follow-ups of long-term patients that did not take place (no-show, left waiting, no door) / follow-ups due",
        "未完成的慢性病随访（爽约、候诊中离开、无处就诊） / 应随访次数",
    ),
    source="convention: those that a long prescription makes unnecessary are not due",
    scope="grid",
    scopes="grid",
    better="down",
    variants=(
        Variant(
            "exacerbations",
            Text("emergencies that come of it, per 1,000 follow-ups due", "由此发生的急性加重，每千次应随访"),
            Text("per 1,000 follow-ups", "每千次随访"),
            per=1000,
        ),
    ),
)
def missed_follow_up_share(ledger: Ledger) -> Frame:
    """Long-term patients are residents all."""
    needs = scoped(ledger.sums("needs_monthly", ["follow_ups", "missed", "exacerbations"], []), "grid", ledger)
    worse = tally(needs, "exacerbations", "exacerbations", "follow_ups")
    return pd.concat([tally(needs, STANDARD, "missed", "follow_ups"), worse])


@indicator(
    name=Text("Booking requests refused", "预约被拒占比"),
    unit=SHARE,
    formula=Text(
        "booking requests without a slot within the patient's patience / booking requests",
        "在可接受等待期内未约到号源的预约申请 / 全部预约申请",
    ),
    source="convention: a request is refused when no slot lies within the patient's patience",
    scope="lead",
    scopes=PLACE_SCOPES,
    better="down",
    variants=tuple(Variant(c, CLASSES[c]) for c in ("referred", "referred_contracted", "all")),
)
def booking_refused_share(ledger: Ledger) -> Frame:
    """The standard reading is that of those without priority."""
    rows = ledger.at_places("bookings_monthly", ["requests", "refused"], ["cls"])
    tallies = [
        tally(own, STANDARD if cls == "other" else str(cls), "refused", "requests")
        for cls, own in rows.groupby("cls", observed=True)
    ]
    return pd.concat([*tallies, tally(rows, "all", "refused", "requests")])


@indicator(
    name=Text("Turned away at the door", "到院未能就诊（每千诊疗人次）"),
    unit=Text("per 1,000 visits", "每千诊疗人次"),
    formula=Text(
        "patients who came and found no place / visits x 1,000",
        "到院但无号或候诊已满、未能就诊的患者 / 诊疗人次 × 1000",
    ),
    source="convention: a walk-in who finds neither slot nor extra place, or whoever finds the waiting room full",
    scope="area",
    scopes=PLACE_SCOPES,
    better="down",
    per=1000,
    variants=(Variant("left", Text("left the waiting room", "候诊中离开"), per=1000),),
)
def turned_away(ledger: Ledger) -> Frame:
    """And those who left the waiting room."""
    rows = ledger.at_places("visits_monthly", ["visits", "left", "turned_away"], ["kind"])
    counted = rows[rows["kind"].isin(("outpatient", "emergency"))]
    return pd.concat([tally(counted, STANDARD, "turned_away", "visits"), tally(counted, "left", "left", "visits")])
