"""What grassroots institutions are able to do: the standards that they have reached, their feature departments."""

from __future__ import annotations

import pandas as pd

from analysis.indicators.catalogue import PLACE_SCOPES, SHARE, STANDARD, Text, Variant, indicator, scoped
from analysis.ledger import Frame, Ledger, tally

INSTITUTIONS = Text("institutions", "所")


@indicator(
    name=Text("Grassroots institutions at the basic standard or better", "基层机构达到基本标准及以上占比"),
    unit=SHARE,
    formula=Text(
        "centres and sub-centres of groups that have reached the basic standard of the campaign for quality service, "
        "or a higher one / all of them; mean over days",
        "医疗集团内达到“优质服务基层行”基本标准及以上的乡镇卫生院、社区卫生服务中心和分中心 / 全部此类机构；按日平均",
    ),
    source="Nanning plan of 2024, targets of 2025; interpretation of the Zhengzhou opinion, 2020",
    scope="group",
    scopes="group",
    better="up",
    variants=(
        Variant("recommended", Text("recommended standard or better", "推荐标准及以上")),
        Variant("community_hospitals", Text("community hospitals, number", "社区医院数量"), INSTITUTIONS),
    ),
)
def standard_reached_share(ledger: Ledger) -> Frame:
    """Two shares, and how many are community hospitals."""
    columns = ["days", "basic", "recommended", "community_hospital"]
    rows = scoped(ledger.sums("capability_monthly", columns, ["facility"]), "group", ledger)
    rows["calendar"] = rows["days"] / rows.groupby("run", observed=True)["facility"].transform("nunique")
    return pd.concat(
        [
            tally(rows, STANDARD, "basic", "days"),
            tally(rows, "recommended", "recommended", "days"),
            tally(rows, "community_hospitals", "community_hospital", "calendar"),
        ]
    )


@indicator(
    name=Text("Feature department's share of its institution", "特色科室业务量占比"),
    unit=SHARE,
    formula=Text(
        "visits for conditions of the feature department / all visits to grassroots institutions that have one, while "
        "they have it; returns with results are not counted",
        "设有特色科室的基层机构在设立期间，特色科室病种诊疗人次 / 该机构全部诊疗人次；持检查结果复诊不另计",
    ),
    source="Guangdong, plan for tight county medical communities: 20 to 40 per cent",
    scope="group",
    scopes=PLACE_SCOPES,
    variants=(
        Variant("discharges", Text("of discharges", "按出院人次")),
        Variant(
            "income", Text("of income from visits and stays (medical groups alone)", "按诊疗与住院收入（仅医疗集团）")
        ),
    ),
)
def feature_department_share(ledger: Ledger) -> Frame:
    """Of visits, of discharges where the institution has beds, and of income."""
    rows = ledger.at_places("features_monthly", ["visits", "feature_visits", "discharges", "feature_discharges"])
    return pd.concat(
        [
            tally(rows, STANDARD, "feature_visits", "visits"),
            tally(rows, "discharges", "feature_discharges", "discharges"),
            tally(scoped(_incomes(ledger), "group", ledger), "income", "feature_income", "income"),
        ]
    )


def _incomes(ledger: Ledger) -> Frame:
    """Fees that each institution with a feature department has taken in yuan, and the part of them that the department
    has: of visits by their number, since they cost the same, and of stays by their weight."""
    bills = ledger.sums("money_monthly", ["cost_fen"], ["facility", "service"]).astype({"facility": object})
    yuan = bills["cost_fen"] / 100.0
    stays = bills["service"].eq("stay")
    bills = bills.assign(from_visits=yuan.where(~stays, 0.0), from_stays=yuan.where(stays, 0.0))
    fees = bills.groupby(["run", "facility"], observed=True)[["from_visits", "from_stays"]].sum().reset_index()
    kinds = {"from_visits": "visits", "from_stays": "weight_thousandths"}
    done = ledger.sums("features_monthly", [*kinds.values(), *(f"feature_{k}" for k in kinds.values())], ["facility"])
    both = done.astype({"facility": object}).merge(fees, on=["run", "facility"], how="left")
    parts = {
        fee: both[fee] * (both[f"feature_{n}"] / both[n].where(both[n] > 0)).fillna(0.0) for fee, n in kinds.items()
    }
    return both.assign(income=both[[*kinds]].sum(axis=1), feature_income=sum(parts.values()))


LEAST, MOST = 0.20, 0.40
"""Between these the volume of a feature department is to lie, as a share of its institution's."""


@indicator(
    name=Text("Grassroots institutions with a feature department", "建成特色科室的基层机构占比"),
    unit=SHARE,
    formula=Text(
        "centres and sub-centres of groups with a feature department / all of them; mean over days",
        "医疗集团内建成特色科室的乡镇卫生院、社区卫生服务中心和分中心 / 全部此类机构；按日平均",
    ),
    source="Guangdong, plan for tight county medical communities: at least 70 per cent by 2025",
    scope="group",
    scopes="group",
    better="up",
    variants=(
        Variant("large_enough", Text("with at least 20 % of visits or of discharges", "诊疗或出院人次占比不低于20%的")),
        Variant("visits_large_enough", Text("with at least 20 % of visits", "诊疗人次占比不低于20%的")),
        Variant(
            "within_bounds", Text("with 20 to 40 % of visits or of discharges", "诊疗或出院人次占比在20%至40%之间的")
        ),
        Variant(
            "with_income",
            Text(
                "with at least 20 % of visits or of discharges, and of income",
                "诊疗或出院人次占比、收入占比均不低于20%的",
            ),
        ),
    ),
)
def feature_departments_built(ledger: Ledger) -> Frame:
    """Built; and, stricter, of such a size in the period, by volume or by volume and income."""
    volumes = ["visits", "feature_visits", "discharges", "feature_discharges"]
    done = ledger.sums("features_monthly", volumes, ["facility"]).astype({"facility": object})
    rows = ledger.sums("capability_monthly", ["days", "feature_department"], ["facility"])
    both = rows.astype({"facility": object}).merge(done, on=["run", "facility"], how="left")
    shares = [both[f"feature_{what}"] / both[what].where(both[what] > 0) for what in ("visits", "discharges")]
    large = [share >= LEAST for share in shares]
    fits = [share.between(LEAST, MOST) for share in shares]
    earned = both[["run", "facility"]].merge(_incomes(ledger), on=["run", "facility"], how="left")
    pays = (earned["feature_income"] / earned["income"].where(earned["income"] > 0) >= LEAST).to_numpy()
    readings = {
        "large_enough": large[0] | large[1],
        "visits_large_enough": large[0],
        "within_bounds": fits[0] | fits[1],
        "with_income": (large[0] | large[1]) & pays,
    }
    counted = scoped(both, "group", ledger)
    strict = [
        tally(counted.assign(built=counted["feature_department"].where(met, 0)), variant, "built", "days")
        for variant, met in readings.items()
    ]
    return pd.concat([tally(counted, STANDARD, "feature_department", "days"), *strict])
