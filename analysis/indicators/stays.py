"""Inpatients: stays, discharges, beds."""

from __future__ import annotations

import pandas as pd

from analysis.indicators.catalogue import (
    DAYS,
    PEOPLE_SCOPES,
    PLACE_SCOPES,
    SHARE,
    STANDARD,
    Text,
    Variant,
    indicator,
    scoped,
)
from analysis.ledger import KEYS, Frame, Ledger, ninetieth, tally


@indicator(
    name=Text("Average length of stay", "平均住院日"),
    unit=DAYS,
    formula=Text(
        "calendar nights of the stays that ended / discharges; each institution counts its own stays; a day case is a "
        "discharge of one day",
        "出院者占用总床日数 / 出院人次；各机构分别统计；日间病例按1天计入",
    ),
    source="zhongwei-2023-67 四(一)3",
    scope="tertiary_public",
    scopes=PLACE_SCOPES,
    better="down",
    variants=(
        Variant("hours", Text("by hours, in days", "按小时折算")),
        Variant("without_day_cases", Text("day cases left out, above and below", "分子、分母均不计日间病例")),
        Variant("occupied", Text("bed-days of all who lay there / discharges", "实际占用总床日 / 出院人次")),
    ),
    guards=("episode_length_of_stay", "bed_wait_days", "readmission_share", "unmet_need_share", "cost_per_episode"),
)
def average_length_of_stay(ledger: Ledger) -> Frame:
    """By nights, as officially, by hours, by nights of those who stayed overnight, and by the census of midnights.

    With day cases it falls as more are done in a day; without them it rises, because short stays leave.
    """
    stays = ledger.at_places("stays_monthly", ["nights", "hours", "discharges", "day_cases"])
    stays["days"] = stays["hours"] / 24
    for of_all in ("nights", "discharges"):
        stays[f"other_{of_all}"] = stays[of_all] - stays["day_cases"]
    beds = ledger.at_places("beds_monthly", ["occupied_days"])
    lain = pd.concat([beds[beds["scope"].isin(stays["scope"])], stays[[*KEYS, "discharges"]]], ignore_index=True)
    return pd.concat(
        [
            tally(stays, STANDARD, "nights", "discharges"),
            tally(stays, "hours", "days", "discharges"),
            tally(stays, "without_day_cases", "other_nights", "other_discharges"),
            tally(lain, "occupied", "occupied_days", "discharges"),
        ]
    )


@indicator(
    name=Text("Day cases among planned discharges", "择期出院患者日间病例占比"),
    unit=SHARE,
    formula=Text(
        "discharges from a day centre, operated on or not / discharges of those who came neither as emergencies nor by "
        "stepping down",
        "日间病例（手术与非手术）出院人次 / 择期出院人次（不含急诊入院和下转）",
    ),
    source="zhongwei-2023-67 (day surgery and day chemotherapy are promised, no share is set)",
    scope="tertiary_public",
    scopes=PLACE_SCOPES,
    variants=(Variant("of_discharges", Text("among all discharges", "占全部出院患者")),),
)
def day_case_share(ledger: Ledger) -> Frame:
    """Of the patients whom a day centre could have taken, and of all."""
    stays = ledger.at_places("stays_monthly", ["day_cases", "discharges"], ["entry"])
    planned = stays[~stays["entry"].isin(("emergency", "step_down"))]
    return pd.concat(
        [tally(planned, STANDARD, "day_cases", "discharges"), tally(stays, "of_discharges", "day_cases", "discharges")]
    )


@indicator(
    name=Text("Days to an operation", "择期手术等待天数"),
    unit=DAYS,
    formula=Text(
        "days from the day on which an admitted patient's planned operation was due to the operation, mean; at "
        "hospitals whose theatres are stated",
        "住院患者择期手术从应手术日到实际手术日的天数，均值；仅含列明手术室的医院",
    ),
    source="convention: a stay is longer by what its operation is late",
    scope="lead",
    scopes=PLACE_SCOPES,
    better="down",
    variants=(
        Variant("p90", Text("P90", "P90"), kind="ninetieth"),
        Variant("day_cases", Text("of day cases, from the request", "日间病例，从申请算起")),
        Variant("day_cases_p90", Text("of day cases, P90", "日间病例，P90"), kind="ninetieth"),
    ),
)
def operation_wait_days(ledger: Ledger) -> Frame:
    """By the day of the operation; whoever is still waiting at the end is not in it."""
    rows = ledger.at_places("theatre_days", ["patients"], ["place", "days"])
    rows["sum"] = rows["days"] * rows["patients"]
    parts = []
    for place, mean, late in (("theatre", STANDARD, "p90"), ("day_centre", "day_cases", "day_cases_p90")):
        own = rows[rows["place"].eq(place)]
        parts += [tally(own, mean, "sum", "patients"), ninetieth(own, late, "days", "patients")]
    return pd.concat(parts, ignore_index=True)


@indicator(
    name=Text("Use of theatres", "手术室利用率"),
    unit=SHARE,
    formula=Text(
        "operations in the planned sessions of theatres / places in them; emergencies are operated on beside them",
        "择期手术台次 / 手术室开放台次；急诊手术另计",
    ),
    source="convention: places used over places offered",
    scope="lead",
    scopes=PLACE_SCOPES,
    variants=(Variant("day_centre", Text("of day centres", "日间中心利用率")),),
)
def theatre_use(ledger: Ledger) -> Frame:
    """Of theatres and of day centres, by the date of the session."""
    rows = ledger.at_places("theatres_monthly", ["used", "offered"], ["place"])
    variants = (("theatre", STANDARD), ("day_centre", "day_centre"))
    return pd.concat([tally(rows[rows["place"].eq(place)], variant, "used", "offered") for place, variant in variants])


@indicator(
    name=Text("Length of stay of an episode", "住院全程日数（跨机构）"),
    unit=DAYS,
    formula=Text(
        "nights from first admission to home, in whatever institutions / episodes that ended, residents",
        "从首次入院到回家在各机构的总床日数 / 结束的住院全程数（居民，不论地点）",
    ),
    source="guard: a stay that a transfer shortens goes on elsewhere",
    scope="grid",
    scopes=PEOPLE_SCOPES,
    better="down",
)
def episode_length_of_stay(ledger: Ledger) -> Frame:
    """Across transfers, so that moving a patient shortens nothing."""
    stays = ledger.of_people("stays_monthly", ["episode_nights", "episodes"])
    return tally(stays, STANDARD, "episode_nights", "episodes")


FURTHER_VISITS = {
    STANDARD: [],
    "with_emergency": ["emergency"],
    "with_internet": ["internet"],
    "with_both": ["emergency", "internet"],
}
"""Kinds of visits that readings of visits per discharge count beside outpatient ones."""


@indicator(
    name=Text("Outpatient visits per discharge", "门诊人次与出院人次比"),
    unit=Text("visits per discharge", "人次比"),
    formula=Text(
        "outpatient visits, without emergency and internet visits / discharges, at the same institutions",
        "门诊人次（不含急诊和互联网诊疗）/ 出院人次，同一机构",
    ),
    source="国办发〔2019〕4号 annex; zhongwei-2023-67 四(一)3",
    scope="tertiary_public",
    scopes=PLACE_SCOPES,
    better="down",
    variants=(
        Variant("with_emergency", Text("with emergency visits", "含急诊")),
        Variant("with_internet", Text("with internet visits", "含互联网诊疗")),
        Variant("with_both", Text("with emergency and internet visits", "含急诊和互联网诊疗")),
    ),
    guards=("admissions_per_100_residents", "readmission_share", "wait_days", "bed_wait_days", "unmet_need_share"),
)
def outpatient_per_discharge(ledger: Ledger) -> Frame:
    """It falls by fewer visits or by more admissions: read the guards."""
    visits = ledger.at_places("visits_monthly", ["visits"], ["kind"])
    stays = ledger.at_places("stays_monthly", ["discharges"])
    tallies = []
    for variant, more in FURTHER_VISITS.items():
        chosen = visits[visits["kind"].isin(["outpatient", *more]) & visits["scope"].isin(stays["scope"])]
        both = pd.concat([chosen[[*KEYS, "visits"]], stays], ignore_index=True)
        tallies.append(tally(both, variant, "visits", "discharges"))
    return pd.concat(tallies)


@indicator(
    name=Text("Discharges", "出院人次"),
    unit=Text("discharges", "人次"),
    formula=Text("stays that ended; a transfer ends one", "结束的住院人次；转院视为一次出院"),
    source="NHC statistical bulletin on health development, 2024",
    scope="grid",
    scopes="grid, in_area, area, group, tertiary_public, lead, each level, each hospital",
    kind="count",
    variants=(Variant("joint", Text("from joint wards", "联合病房"), kind="count"),),
)
def discharges(ledger: Ledger) -> Frame:
    """Of residents, and by institution; a joint ward counts where it lies."""
    people = ledger.of_people("stays_monthly", ["discharges"])
    by_place = ledger.at_places("stays_monthly", ["discharges"])
    further = by_place[~by_place["scope"].isin(people["scope"])]
    wards = ledger.at_places("stays_monthly", ["discharges"], ["ward"])
    joint = wards[wards["ward"].astype(str).str.endswith("_joint")]
    everybody = tally(pd.concat([people, further], ignore_index=True), STANDARD, "discharges")
    return pd.concat([everybody, tally(joint, "joint", "discharges")])


@indicator(
    name=Text("Admissions per 100 residents and year", "居民年住院率（每百人）"),
    unit=Text("per 100 residents and year", "人次/百人·年"),
    formula=Text(
        "discharges of residents, wherever / residents x measured part of the year x 100",
        "居民出院人次 / （常住人口 × 观测期占全年比例）× 100",
    ),
    source="NHC statistical bulletin on health development, 2024",
    scope="grid",
    scopes="grid",
    per=100,
    variants=(Variant("episodes", Text("episodes, transfers counted once", "住院全程（转院只计一次）"), per=100),),
)
def admissions_per_100_residents(ledger: Ledger) -> Frame:
    """By institution's counting, and by episode."""
    stays = ledger.of_people("stays_monthly", ["discharges", "episodes"])
    rows = ledger.per_residents(stays, ["discharges", "episodes"])
    return pd.concat(
        [tally(rows, STANDARD, "discharges", "resident_years"), tally(rows, "episodes", "episodes", "resident_years")]
    )


@indicator(
    name=Text("Level-4 operations among operated discharges", "出院患者四级手术比例"),
    unit=SHARE,
    formula=Text(
        "discharged persons with a level-4 operation / discharged persons with any operation; once per stay, by the "
        "highest",
        "出院患者四级手术人数 / 出院患者手术人数；每次住院只计一次，按最高级别",
    ),
    source="zhongwei-2023-67 四(一)3",
    scope="tertiary_public",
    scopes=PLACE_SCOPES,
    better="up",
    variants=(Variant("of_discharges", Text("among all discharges", "占全部出院患者")),),
    guards=("episode_length_of_stay", "bed_wait_days", "unmet_need_share"),
)
def level4_operation_share(ledger: Ledger) -> Frame:
    """It rises by sending easier operations elsewhere as well: read the guards."""
    stays = ledger.at_places("stays_monthly", ["level4", "operated", "discharges"])
    return pd.concat(
        [tally(stays, STANDARD, "level4", "operated"), tally(stays, "of_discharges", "level4", "discharges")]
    )


@indicator(
    name=Text("Case-mix index", "病例组合指数（CMI）"),
    unit=Text("relative weight", "权重"),
    formula=Text("sum of case weights of discharges / discharges", "出院病例权重之和 / 出院人次"),
    source="zhongwei-2023-67 四(一)3",
    scope="tertiary_public",
    scopes=PLACE_SCOPES,
    better="up",
    guards=("episode_length_of_stay", "bed_wait_days", "unmet_need_share"),
)
def case_mix_index(ledger: Ledger) -> Frame:
    """Weights are relative to the base year of `zhongwei`; where no case has a weight there is no index."""
    stays = ledger.at_places("stays_monthly", ["weight_thousandths", "discharges"])
    stays["weight"] = stays["weight_thousandths"] / 1000
    stays["weighed"] = stays["discharges"].where(stays["weight_thousandths"].gt(0), 0)
    return tally(stays, STANDARD, "weight", "weighed")


@indicator(
    name=Text("Readmissions within 30 days", "出院后30天再住院率"),
    unit=SHARE,
    formula=Text(
        "discharges home of residents followed within 30 days by an admission of the same person, for whatever cause, "
        "to any institution of the area / discharges home of residents with 30 days still observable; by the "
        "institution and date of the discharge",
        "居民出院回家后30天内因任何原因再次入住域内任一机构的人次 / 可观察满30天的居民出院回家人次；"
        "按出院机构和出院日期统计",
    ),
    source="guard: stays that end too soon go on later; readmission as published for rural inpatients "
    "(10.1186/s12939-025-02443-0); planned ones cannot be told apart",
    scope="area",
    scopes=PLACE_SCOPES,
    better="down",
)
def readmission_share(ledger: Ledger) -> Frame:
    """An admission belongs to the last discharge before it; some are other illnesses, or were planned."""
    return tally(
        ledger.at_places("readmissions_monthly", ["readmitted", "discharges"]), STANDARD, "readmitted", "discharges"
    )


@indicator(
    name=Text("Bed occupancy", "病床使用率"),
    unit=SHARE,
    formula=Text("occupied bed-days / open bed-days", "实际占用总床日数 / 实际开放总床日数"),
    source="NHC statistical bulletin on health development, 2024",
    scope="tertiary_public",
    scopes=PLACE_SCOPES,
)
def bed_occupancy(ledger: Ledger) -> Frame:
    """Beds blocked by patients who are ready to step down count as occupied."""
    return tally(ledger.at_places("beds_monthly", ["occupied_days", "bed_days"]), STANDARD, "occupied_days", "bed_days")


@indicator(
    name=Text("Bed turnover", "病床周转次数"),
    unit=Text("discharges per bed and year", "次/床·年"),
    formula=Text(
        "discharges, day cases left out / average open beds, per year (open bed-days / 365)",
        "出院人次（不含日间病例）/ 平均开放床位数（实际开放总床日数 / 365），折合全年",
    ),
    source="convention of hospital statistics (病床周转次数): discharges over average open beds",
    scope="tertiary_public",
    scopes=PLACE_SCOPES,
    per=365,
    variants=(
        Variant(
            "interval",
            Text("days that a bed is empty between patients", "床位周转间隔（两次使用之间的空床日数）"),
            DAYS,
        ),
    ),
)
def bed_turnover(ledger: Ledger) -> Frame:
    """Who steps down is discharged once from each ward; being cleaned counts as empty."""
    beds = ledger.at_places("beds_monthly", ["occupied_days", "bed_days"])
    beds["empty_days"] = beds["bed_days"] - beds["occupied_days"]
    stays = ledger.at_places("stays_monthly", ["discharges", "day_cases"])
    stays["from_beds"] = stays["discharges"] - stays["day_cases"]
    both = pd.concat([beds, stays[stays["scope"].isin(beds["scope"])]], ignore_index=True)
    turnover = tally(both, STANDARD, "from_beds", "bed_days")
    return pd.concat([turnover, tally(both, "interval", "empty_days", "from_beds")])


@indicator(
    name=Text("Beds given without need", "无住院必要的入院（每千次就医需要）"),
    unit=Text("per 1,000 needs", "每千次就医需要"),
    formula=Text(
        "planned patients to whom an incentive gave a bed that they did not need / needs that arose, residents x 1,000",
        "因激励收治、本不需住院的择期患者 / 产生的就医需要（居民）× 1000",
    ),
    source="convention: admissions beyond those that the same patients would have had without incentives",
    scope="grid",
    scopes="grid",
    better="down",
    per=1000,
    variants=(Variant("withheld", Text("beds withheld from those who needed one", "需住院而未收治"), per=1000),),
)
def admissions_without_need(ledger: Ledger) -> Frame:
    """And the other way round, where an incentive is to admit fewer."""
    needs = ledger.sums("needs_monthly", ["needs", "admitted_more", "admitted_less"], ["resident"])
    needs = scoped(needs[needs["resident"].astype(bool)], "grid", ledger)
    withheld = tally(needs, "withheld", "admitted_less", "needs")
    return pd.concat([tally(needs, STANDARD, "admitted_more", "needs"), withheld])
