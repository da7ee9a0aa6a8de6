"""Exams, and needs that are settled with help from above."""

from __future__ import annotations

import pandas as pd

from analysis.indicators.catalogue import (
    DAYS,
    PLACE_SCOPES,
    SHARE,
    STANDARD,
    Text,
    Variant,
    by_class,
    class_variants,
    indicator,
    slots_of,
)
from analysis.ledger import Frame, Ledger, tally


@indicator(
    name=Text("Repeated exams", "重复检查占比"),
    unit=SHARE,
    formula=Text(
        "same-visit exams made again / visits that asked for an exam and brought results of another institution",
        "重复实施的检查人次 / 带有其他机构检查结果且需检查的诊疗人次",
    ),
    source="convention: within one episode; results that have expired count as none",
    scope="area",
    scopes=PLACE_SCOPES,
    better="down",
    variants=(
        Variant("recognised", Text("spared because the results are recognised", "互认结果免检占比")),
        Variant(
            "per_1000_exams",
            Text("repeated, per 1,000 exams made", "每千次检查中的重复检查"),
            Text("per 1,000 exams", "每千次检查"),
            per=1000,
        ),
    ),
)
def repeat_exam_share(ledger: Ledger) -> Frame:
    """Of results that patients bring along: how often the exam is made again all the same."""
    rows = ledger.at_places("exams_monthly", ["made", "repeated", "recognised", "trusted"])
    rows["brought"] = rows["repeated"] + rows["recognised"] + rows["trusted"]
    return pd.concat(
        [
            tally(rows, STANDARD, "repeated", "brought"),
            tally(rows, "recognised", "recognised", "brought"),
            tally(rows, "per_1000_exams", "repeated", "made"),
        ]
    )


@indicator(
    name=Text("Needs settled below", "就地解决人次"),
    unit=Text("visits", "人次"),
    formula=Text(
        "visits to grassroots members whose need, beyond the place, was settled there: a specialist of the group "
        "helped, an exam that the group read was all that was missing, or the centre advised its village station; and "
        "visits to joint clinics",
        "超出基层成员单位诊疗能力、经集团专家协助、上级诊断或乡镇卫生院指导就地解决的诊疗人次，以及联合门诊诊疗人次",
    ),
    source="convention: remote consultations, seconded specialists, joint clinics and exams read remotely together; "
    "what the latter settle is an assumption (settled_by_reading), and so is what advice does (settled_by_advice)",
    scope="area",
    scopes=PLACE_SCOPES,
    kind="count",
    variants=(
        Variant("remote", Text("by remote consultation", "远程会诊"), kind="count"),
        Variant("specialist", Text("by a specialist on the spot", "下派专家"), kind="count"),
        Variant("joint", Text("at a joint clinic", "联合门诊"), kind="count"),
        Variant("by_reading", Text("by an exam read remotely (assumption)", "上级诊断（假设）"), kind="count"),
        Variant(
            "within_reach",
            Text(
                "by the place itself, able to do more than before (not in the sum)",
                "机构自身能力提升后就地解决（不计入合计）",
            ),
            kind="count",
        ),
        Variant("advised", Text("by the township's advice (assumption)", "乡镇卫生院指导（假设）"), kind="count"),
    ),
)
def settled_below(ledger: Ledger) -> Frame:
    """By whose help."""
    ways = ["remote", "specialist", "joint", "by_reading", "advised"]
    rows = ledger.at_places("helped_monthly", [*ways, "within_reach"])
    rows["all"] = rows[ways].sum(axis=1)
    return pd.concat([tally(rows, STANDARD, "all"), *(tally(rows, way, way) for way in [*ways, "within_reach"])])


@indicator(
    name=Text("Exams made below and read by the group", "基层检查、上级诊断占比"),
    unit=SHARE,
    formula=Text(
        "same-visit exams that a reading centre read / same-visit exams made",
        "由上级诊断中心出具诊断的检查人次 / 当次检查人次",
    ),
    source="Guangdong, plan for tight county medical communities, by the end of 2023 (the format, not a share)",
    scope="area",
    scopes=PLACE_SCOPES,
    variants=(Variant("number", Text("exams read remotely", "上级诊断的检查人次"), kind="count"),),
)
def remote_reading_share(ledger: Ledger) -> Frame:
    """Hospitals read their own."""
    rows = ledger.at_places("exams_monthly", ["made", "read_remotely"])
    return pd.concat([tally(rows, STANDARD, "read_remotely", "made"), tally(rows, "number", "read_remotely")])


@indicator(
    name=Text("Long-term patients handed down", "稳定期慢性病患者下转人次"),
    unit=Text("patients", "人次"),
    formula=Text(
        "follow-ups at hospitals after which the patient's usual place is a grassroots institution",
        "在医院随访后改由基层医疗卫生机构随访管理的慢性病患者人次",
    ),
    source="convention: stable at a follow-up means no need beyond a community centre",
    scope="area",
    scopes=PLACE_SCOPES,
    kind="count",
)
def handed_down(ledger: Ledger) -> Frame:
    """Once or, should the patient go back, more often."""
    return tally(ledger.at_places("helped_monthly", ["handed_down"]), STANDARD, "handed_down")


@indicator(
    name=Text("Days to an exam with large equipment", "大型设备检查预约等待天数"),
    unit=DAYS,
    formula=Text(
        "days from the order, of inpatients from the day on which it is due, to the exam (CT, MR, endoscopy), mean "
        "over booked patients without priority; by the institution that examines",
        "从开单（住院患者自应检日起）到大型设备检查（CT、磁共振、内镜）的天数，无优先权患者的均值；按检查机构统计",
    ),
    source="Nanning, plan for tight urban medical groups, June 2024 (slots are passed down, waits are not limited)",
    scope="lead",
    scopes=PLACE_SCOPES,
    better="down",
    variants=class_variants(("other", "referred", "referred_contracted", "all")),
)
def imaging_wait_days(ledger: Ledger) -> Frame:
    """By priority class."""
    return by_class(ledger.at_places("imaging_days", ["patients"], ["cls", "days"]), "days")


@indicator(
    name=Text("Exams with large equipment", "大型设备检查人次"),
    unit=Text("exams", "人次"),
    formula=Text("exams made (CT, MR, endoscopy)", "完成的大型设备检查（CT、磁共振、内镜）人次"),
    source="convention: by the institution that examines, dated by the appointment",
    scope="lead",
    scopes=PLACE_SCOPES,
    kind="count",
    variants=(
        Variant("refused", Text("orders without an appointment within patience", "未约到检查的申请"), kind="count"),
        Variant("held", Text("exam slots held for referral", "预留给转诊的检查号源"), kind="count"),
        Variant("used_held", Text("held exam slots used", "已使用的预留检查号源"), kind="count"),
    ),
)
def imaging_exams(ledger: Ledger) -> Frame:
    """Made, refused, and what became of held slots."""
    exams, held = ledger.at_places("imaging_monthly", ["made", "refused"]), ["held", "used_held"]
    slots = slots_of(ledger, held, "imaging")
    told = [tally(exams, STANDARD, "made"), tally(exams, "refused", "refused")]
    return pd.concat([*told, *(tally(slots, column, column) for column in held)])
