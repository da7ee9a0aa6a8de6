"""Indicators that targets name and nothing is known of yet."""

from __future__ import annotations

from dataclasses import replace

from analysis.indicators.catalogue import CATALOGUE, PLACE_SCOPES, SHARE, STANDARD, Indicator, Text, Variant


def _enter_missing(id: str, name: Text, unit: Text, formula: Text, why_not: Text) -> None:
    own = Variant(STANDARD, Text("as defined", "标准口径"))
    known = Indicator(
        id, name, unit, formula, "zhongwei-2023-67 四(一)3", "tertiary_public", PLACE_SCOPES, "up", (own,)
    )
    CATALOGUE[id] = replace(known, why_not=why_not)


_enter_missing(
    "level4_operation_share",
    Text("Level-4 operations among operated discharges", "出院患者四级手术比例"),
    SHARE,
    Text(
        "discharged persons with a level-4 operation / discharged persons with any operation",
        "出院患者四级手术人数 / 出院患者手术人数",
    ),
    Text("operations are not simulated yet", "尚未模拟手术"),
)
_enter_missing(
    "case_mix_index",
    Text("Case-mix index", "病例组合指数（CMI）"),
    Text("weight", "权重"),
    Text("sum of case weights of discharges / discharges", "出院病例权重之和 / 出院人次"),
    Text("case weights are not attached to stays yet", "住院记录尚未附病例权重"),
)
