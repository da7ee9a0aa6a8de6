"""The indicators: what each one means, in words and in sums. Each is defined here, once.

An indicator is a function from the ledger to tallies (numerator and denominator by run, scope and variant), declared
with its names, unit, formula in words, source and direction. Its own definition is the variant `standard`; at the one
scope that targets ask for, that row is called `headline`. Other readings of an ambiguous phrase are further variants.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import Literal

import pandas as pd

from analysis.ledger import GRASSROOTS, KEYS, Frame, Ledger, in_each, ninetieth, tally

HEADLINE = "headline"
STANDARD = "standard"

Better = Literal["up", "down", "neither"]
Kind = Literal["ratio", "count", "ninetieth"]
Recipe = Callable[[Ledger], Frame]


@dataclass(frozen=True)
class Text:
    """The same words in both languages."""

    en: str
    zh: str


@dataclass(frozen=True)
class Variant:
    """Another reading of an indicator."""

    id: str
    name: Text
    unit: Text | None = None
    """Its unit where it differs from the indicator's."""
    kind: Kind = "ratio"
    """How the value follows from the tally."""
    per: float = 1.0
    """The ratio is given per so many of the denominator."""


@dataclass(frozen=True)
class Indicator:
    """What an indicator means; `recipe` computes it."""

    id: str
    name: Text
    unit: Text
    formula: Text
    source: str
    """Where the definition comes from."""
    scope: str
    """The scope of the headline row: `grid`, or the institutions that targets name."""
    scopes: str
    """The scopes that are computed."""
    better: Better
    """The direction that planners want; `neither` where it depends."""
    variants: tuple[Variant, ...]
    """The indicator's own definition (`standard`) first."""
    guards: tuple[str, ...] = ()
    """Indicators that show who pays when a target on this one is met by moving patients."""
    recipe: Recipe | None = None
    """None: not computed yet."""
    daily: bool = False
    """Whether the tables allow it by day."""
    why_not: Text | None = None
    """The reason why it is not computed yet."""

    @property
    def computed(self) -> bool:
        """Whether results hold this indicator."""
        return self.recipe is not None

    def variant(self, id: str) -> Variant:
        """A variant by its id; the headline is the standard one."""
        wanted = STANDARD if id == HEADLINE else id
        return next(variant for variant in self.variants if variant.id == wanted)

    def unit_of(self, variant: str) -> Text:
        """The unit of a variant."""
        return self.variant(variant).unit or self.unit

    def entry(self) -> Entry:
        """The indicator as a list shows it."""
        why_not = self.why_not or Text("", "")
        return Entry(
            name=self.id, title=self.name.en, title_zh=self.name.zh, unit=self.unit.en, unit_zh=self.unit.zh,
            formula=self.formula.en, formula_zh=self.formula.zh, source=self.source, headline_scope=self.scope,
            scopes=self.scopes, variants=[v.id for v in self.variants], better=self.better, guards=list(self.guards),
            computed=self.computed, why_not=why_not.en, why_not_zh=why_not.zh,
        )  # fmt: skip


@dataclass(frozen=True)
class Entry:
    """An indicator as plain data, for lists."""

    name: str
    """The id that tables use."""
    title: str
    title_zh: str
    unit: str
    unit_zh: str
    formula: str
    formula_zh: str
    source: str
    headline_scope: str
    """The scope of its `headline` row."""
    scopes: str
    variants: list[str]
    better: Better
    guards: list[str]
    computed: bool
    why_not: str
    why_not_zh: str


CATALOGUE: dict[str, Indicator] = {}
"""All indicators by id, in the order of reports."""


def indicator(
    *, name: Text, unit: Text, formula: Text, source: str, scope: str, scopes: str, better: Better = "neither",
    kind: Kind = "ratio", per: float = 1.0, variants: Iterable[Variant] = (), guards: tuple[str, ...] = (),
    daily: bool = False,
) -> Callable[[Recipe], Recipe]:  # fmt: skip
    """Enter the function below in the catalogue under its own name."""

    def enter(recipe: Recipe) -> Recipe:
        id = recipe.__name__
        own = Variant(STANDARD, Text("as defined", "标准口径"), kind=kind, per=per)
        CATALOGUE[id] = Indicator(
            id, name, unit, formula, source, scope, scopes, better, (own, *variants), guards, recipe, daily
        )
        return recipe

    return enter


# -------------------------------------------------------------------------------------------------------- shared words

SHARE = Text("share", "占比")
DAYS = Text("days", "天")
MINUTES = Text("minutes", "分钟")
PEOPLE_SCOPES = "grid, in_area, area, group"
PLACE_SCOPES = "tertiary_public, lead, group, area, each level, each hospital"
WAIT_GUARDS = ("unmet_need_share", "wait_days", "bed_wait_days")

CLASSES = {
    "other": Text("without priority", "无优先权患者"),
    "referred": Text("referred, no contract", "转诊未签约患者"),
    "referred_contracted": Text("referred and contracted", "转诊签约患者"),
    "emergency": Text("emergency", "急诊患者"),
    "step_down": Text("stepping down", "下转患者"),
    "all": Text("everybody", "全部患者"),
}
"""Priority classes. Those without priority come first: theirs is the wait that a quota may lengthen."""


def _class_variants(classes: Iterable[str]) -> tuple[Variant, ...]:
    """Mean and P90 by class; the mean of those without priority is the standard definition and not repeated."""
    means = [Variant(c, CLASSES[c]) for c in classes if c != "other"]
    late = [
        Variant(f"{c}_p90", Text(f"{CLASSES[c].en}, P90", f"{CLASSES[c].zh}，P90"), kind="ninetieth") for c in classes
    ]
    return (*means, *late)


def _by_class(rows: Frame, bin_column: str) -> Frame:
    """Mean and P90 of a histogram, for each class and for everybody."""
    rows["sum"] = rows[bin_column] * rows["patients"]
    everybody: Frame = rows.assign(cls=in_each(rows, "all"))
    both = pd.concat([rows.astype({"cls": object}), everybody], ignore_index=True).astype({"cls": "category"})
    late = both["cls"].cat.rename_categories(lambda cls: f"{cls}_p90")
    means = tally(both, both["cls"].cat.rename_categories({"other": STANDARD}), "sum", "patients")
    return pd.concat([means, ninetieth(both, late, bin_column, "patients")], ignore_index=True)


def _scoped(rows: Frame, scope: str, ledger: Ledger) -> Frame:
    """Rows that all belong to one scope."""
    return rows.assign(scope=in_each(rows, scope)).astype({"scope": ledger.scopes})


def _slots(ledger: Ledger, values: list[str], of: Literal["clinics", "experts", "joint", "imaging"]) -> Frame:
    """Slots by scope: those of ordinary clinics, of expert clinics, of joint clinics, or of large equipment."""
    slots = ledger.at_places("slots_monthly", values, ["department"])
    name = slots["department"].astype(str).str
    kinds = {
        "imaging": name.startswith("imaging_"),
        "experts": name.endswith("_expert"),
        "joint": name.endswith("_joint"),
    }
    return slots[kinds[of] if of in kinds else ~(kinds["imaging"] | kinds["experts"] | kinds["joint"])]


def _counted_visits(ledger: Ledger) -> Frame:
    """Visits by scope, level and kind; a return with results is part of its first visit and never counted."""
    visits = ledger.of_people("visits_daily", ["visits"], ["kind"])
    return visits[visits["kind"].ne("return")]


# -------------------------------------------------------------------------------------------------- where patients go


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
    visits = _counted_visits(ledger)
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
    visits = _counted_visits(ledger)
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
    rows = _counted_visits(ledger)
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
    rows = ledger.per_residents(_counted_visits(ledger), ["visits"])
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
    for variant, rows, number in ((STANDARD, _counted_visits(ledger), "visits"), ("discharges", stays, "discharges")):
        mine = rows[rows["scope"].eq("grid")].copy()
        mine["outside"] = mine[number].where(mine["level"].eq("outside"), 0)
        tallies.append(tally(mine, variant, "outside", number))
    return pd.concat(tallies)


# ---------------------------------------------------------------------------------------------------------- inpatients


@indicator(
    name=Text("Average length of stay", "平均住院日"),
    unit=DAYS,
    formula=Text(
        "calendar nights of the stays that ended / discharges; each institution counts its own stays",
        "出院者占用总床日数 / 出院人次；各机构分别统计",
    ),
    source="zhongwei-2023-67 四(一)3",
    scope="tertiary_public",
    scopes=PLACE_SCOPES,
    better="down",
    variants=(Variant("hours", Text("by hours, in days", "按小时折算")),),
    guards=("episode_length_of_stay", "bed_wait_days", "unmet_need_share"),
)
def average_length_of_stay(ledger: Ledger) -> Frame:
    """By nights, as officially, and by hours."""
    stays = ledger.at_places("stays_monthly", ["nights", "hours", "discharges"])
    stays["days"] = stays["hours"] / 24
    return pd.concat([tally(stays, STANDARD, "nights", "discharges"), tally(stays, "hours", "days", "discharges")])


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


@indicator(
    name=Text("Outpatient visits per discharge", "门诊人次与出院人次比"),
    unit=Text("visits per discharge", "人次比"),
    formula=Text(
        "outpatient visits, emergency excluded / discharges, at the same institutions",
        "门诊人次（不含急诊）/ 出院人次，同一机构",
    ),
    source="国办发〔2019〕4号 annex; zhongwei-2023-67 四(一)3",
    scope="tertiary_public",
    scopes=PLACE_SCOPES,
    better="down",
    variants=(Variant("with_emergency", Text("with emergency visits", "含急诊")),),
    guards=("admissions_per_100_residents", "wait_days", "unmet_need_share"),
)
def outpatient_per_discharge(ledger: Ledger) -> Frame:
    """It falls by fewer visits or by more admissions: read the guards."""
    visits = ledger.at_places("visits_monthly", ["visits"], ["kind"])
    stays = ledger.at_places("stays_monthly", ["discharges"])
    tallies = []
    for variant, kinds in ((STANDARD, ["outpatient"]), ("with_emergency", ["outpatient", "emergency"])):
        chosen = visits[visits["kind"].isin(kinds) & visits["scope"].isin(stays["scope"])]
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
)
def discharges(ledger: Ledger) -> Frame:
    """Of residents, and by institution."""
    people = ledger.of_people("stays_monthly", ["discharges"])
    by_place = ledger.at_places("stays_monthly", ["discharges"])
    further = by_place[~by_place["scope"].isin(people["scope"])]
    return tally(pd.concat([people, further], ignore_index=True), STANDARD, "discharges")


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


# --------------------------------------------------------------------------------------------------------------- waits


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
    variants=_class_variants(("other", "referred", "referred_contracted", "all")),
)
def wait_days(ledger: Ledger) -> Frame:
    """By priority class."""
    return _by_class(ledger.at_places("waits_days", ["patients"], ["cls", "days"]), "days")


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
    variants=_class_variants(("other", "referred", "referred_contracted", "all")),
)
def wait_minutes(ledger: Ledger) -> Frame:
    """By priority class, clinics only: an emergency department knows triage, not classes."""
    rows = ledger.at_places("waits_minutes", ["patients"], ["kind", "cls", "minutes"])
    return _by_class(rows[rows["kind"].eq("outpatient")], "minutes")


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
    variants=_class_variants(("other", "referred", "referred_contracted", "emergency", "step_down", "all")),
)
def bed_wait_days(ledger: Ledger) -> Frame:
    """By priority class."""
    return _by_class(ledger.at_places("waits_bed", ["patients"], ["cls", "days"]), "days")


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
        "needs that ended without care / needs that arose, residents", "最终未获诊疗的就医需要 / 产生的就医需要（居民）"
    ),
    source="National Health Services Survey 2018 (unmet need for admission)",
    scope="grid",
    scopes="grid",
    better="down",
)
def unmet_need_share(ledger: Ledger) -> Frame:
    """Residents only."""
    needs = ledger.sums("needs_monthly", ["needs", "unmet"], ["resident"])
    return tally(_scoped(needs[needs["resident"].astype(bool)], "grid", ledger), STANDARD, "unmet", "needs")


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
    needs = _scoped(ledger.sums("needs_monthly", ["follow_ups", "missed", "exacerbations"], []), "grid", ledger)
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


# -------------------------------------------------------------------------------------------- exams and help from above


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
        "helped, or an exam that the group read was all that was missing; and visits to joint clinics",
        "超出基层成员单位诊疗能力、经集团专家协助或上级诊断就地解决的诊疗人次，以及联合门诊诊疗人次",
    ),
    source="convention: remote consultations, seconded specialists, joint clinics and exams read remotely together; "
    "what the latter settle is an assumption (settled_by_reading)",
    scope="area",
    scopes=PLACE_SCOPES,
    kind="count",
    variants=(
        Variant("remote", Text("by remote consultation", "远程会诊"), kind="count"),
        Variant("specialist", Text("by a specialist on the spot", "下派专家"), kind="count"),
        Variant("joint", Text("at a joint clinic", "联合门诊"), kind="count"),
        Variant("by_reading", Text("by an exam read remotely (assumption)", "上级诊断（假设）"), kind="count"),
    ),
)
def settled_below(ledger: Ledger) -> Frame:
    """By whose help."""
    ways = ["remote", "specialist", "joint", "by_reading"]
    rows = ledger.at_places("helped_monthly", ways)
    rows["all"] = rows[ways].sum(axis=1)
    return pd.concat([tally(rows, STANDARD, "all"), *(tally(rows, way, way) for way in ways)])


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


# ------------------------------------------------------------------------------------------------------ large equipment


@indicator(
    name=Text("Days to an exam with large equipment", "大型设备检查预约等待天数"),
    unit=DAYS,
    formula=Text(
        "days from the order to the exam (CT, MR, endoscopy), mean over booked patients without priority; by the "
        "institution that examines",
        "从开单到大型设备检查（CT、磁共振、内镜）的天数，无优先权患者的均值；按检查机构统计",
    ),
    source="Nanning, plan for tight urban medical groups, June 2024 (slots are passed down, waits are not limited)",
    scope="lead",
    scopes=PLACE_SCOPES,
    better="down",
    variants=_class_variants(("other", "referred", "referred_contracted", "all")),
)
def imaging_wait_days(ledger: Ledger) -> Frame:
    """By priority class."""
    return _by_class(ledger.at_places("imaging_days", ["patients"], ["cls", "days"]), "days")


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
    slots = _slots(ledger, held, "imaging")
    told = [tally(exams, STANDARD, "made"), tally(exams, "refused", "refused")]
    return pd.concat([*told, *(tally(slots, column, column) for column in held)])


# ----------------------------------------------------------------------------------------------------------- referrals


def _channel_tallies(rows: Frame) -> list[Frame]:
    """Completed formal referrals; those declined and lapsed; patients who simply went; everybody who arrived."""
    formal, completed = rows["channel"].eq("formal"), rows["status"].eq("completed")
    lost = [tally(rows[formal & rows["status"].eq(status)], status, "referrals") for status in ("declined", "lapsed")]
    return [
        tally(rows[formal & completed], STANDARD, "referrals"),
        *lost,
        tally(rows[~formal], "self", "referrals"),
        tally(rows[completed], "all", "referrals"),
    ]


def _referrals(ledger: Ledger, direction: str) -> Frame:
    by = ["direction", "channel", "from_level", "to_facility", "status"]
    rows = ledger.sums("referrals_monthly", ["referrals"], by)
    return _scoped(rows[rows["direction"].eq(direction)], "area", ledger)


def _rate(variant: str, top: Frame, bottom: Frame, number: str) -> Frame:
    """Referrals over some other count of the same run and period."""
    both = pd.concat([top[[*KEYS, "referrals"]], bottom[[*KEYS, number]]], ignore_index=True)
    return tally(both, variant, "referrals", number)


REFERRALS = Text("referrals", "人次")
CHANNELS = (
    Variant("declined", Text("declined by the hospital", "被接收医院拒绝"), kind="count"),
    Variant("lapsed", Text("lapsed: the patient did not come", "患者未到，转诊失效"), kind="count"),
    Variant("self", Text("patients who simply went", "患者自行前往"), kind="count"),
    Variant("all", Text("completed, any channel", "全部渠道完成"), kind="count"),
)


@indicator(
    name=Text("Up-referrals", "上转人次"),
    unit=REFERRALS,
    formula=Text("formal referrals to a higher level that were completed", "经正式渠道完成的上转人次"),
    source="zhongwei-2023-67 四(三)1; NHC press conference, March 2024",
    scope="area",
    scopes="area",
    kind="count",
    variants=(
        *CHANNELS,
        Variant("partner", Text("to partners outside the area", "转往域外合作医院"), kind="count"),
        Variant(
            "per_1000_grassroots_visits",
            Text("formal, per 1,000 grassroots visits", "正式渠道，每千基层诊疗人次"),
            Text("per 1,000 grassroots visits", "每千基层诊疗人次"),
            per=1000,
        ),
    ),
)
def referrals_up(ledger: Ledger) -> Frame:
    """Counts by channel, and the rate that the national figure of 0.3 % is about."""
    rows = _referrals(ledger, "up")
    formal = rows[rows["channel"].eq("formal") & rows["status"].eq("completed") & rows["from_level"].isin(GRASSROOTS)]
    seen = ledger.sums("visits_daily", ["visits"], ["level", "kind"])
    grassroots = _scoped(seen[seen["level"].isin(GRASSROOTS) & seen["kind"].ne("return")], "area", ledger)
    done = rows[rows["channel"].eq("formal") & rows["status"].eq("completed")]
    partner = tally(done[done["to_facility"].eq("outside")], "partner", "referrals")
    rate = _rate("per_1000_grassroots_visits", formal, grassroots, "visits")
    return pd.concat([*_channel_tallies(rows), partner, rate])


@indicator(
    name=Text("Down-referrals", "下转人次"),
    unit=REFERRALS,
    formula=Text("formal referrals to a lower level that were completed", "经正式渠道完成的下转人次"),
    source="zhongwei-2023-67 四(三)1; NHC press conference, March 2024",
    scope="area",
    scopes="area",
    kind="count",
    variants=(
        *CHANNELS,
        Variant(
            "per_100_tertiary_discharges",
            Text("from tertiary hospitals, per 100 of their discharges", "三级医院下转，每百出院人次"),
            Text("per 100 tertiary discharges", "每百三级医院出院人次"),
            per=100,
        ),
    ),
)
def referrals_down(ledger: Ledger) -> Frame:
    """Counts by channel, and the rate per discharge."""
    rows = _referrals(ledger, "down")
    formal = rows[rows["channel"].eq("formal") & rows["status"].eq("completed") & rows["from_level"].eq("tertiary")]
    stays = ledger.sums("stays_monthly", ["discharges"], ["level"])
    tertiary = _scoped(stays[stays["level"].eq("tertiary")], "area", ledger)
    return pd.concat([*_channel_tallies(rows), _rate("per_100_tertiary_discharges", formal, tertiary, "discharges")])


# -------------------------------------------------------------------------------------------------------------- quotas


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
    ),
)
def slots_offered(ledger: Ledger) -> Frame:
    """Offered, held and released."""
    columns = ["offered", "held", "released"]
    slots, experts = (_slots(ledger, columns, of) for of in ("clinics", "experts"))
    kinds = [tally(slots, column, column) for column in ("held", "released")]
    apart = [tally(experts, "experts", "offered"), tally(experts, "experts_held", "held")]
    apart.append(tally(_slots(ledger, columns, "joint"), "joint", "offered"))
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
    slots, experts = (_slots(ledger, ["used_held", "held"], of) for of in ("clinics", "experts"))
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
    ),
)
def beds_held(ledger: Ledger) -> Frame:
    """Held, borrowed and released."""
    beds = ledger.at_places("beds_monthly", ["held_days", "borrowed", "released"])
    kinds = [tally(beds, column, column) for column in ("borrowed", "released")]
    return pd.concat([tally(beds, STANDARD, "held_days"), *kinds])


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


# ----------------------------------------------------------------------------------------------------- not computed yet


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
