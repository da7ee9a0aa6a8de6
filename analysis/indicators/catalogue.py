"""What an indicator is, and the catalogue of all of them; words and sums that several of them share."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Literal

import pandas as pd

from analysis.ledger import Frame, Ledger, in_each, ninetieth, tally

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


def class_variants(classes: Iterable[str]) -> tuple[Variant, ...]:
    """Mean and P90 by class; the mean of those without priority is the standard definition and not repeated."""
    means = [Variant(c, CLASSES[c]) for c in classes if c != "other"]
    late = [
        Variant(f"{c}_p90", Text(f"{CLASSES[c].en}, P90", f"{CLASSES[c].zh}，P90"), kind="ninetieth") for c in classes
    ]
    return (*means, *late)


def by_class(rows: Frame, bin_column: str) -> Frame:
    """Mean and P90 of a histogram, for each class and for everybody."""
    rows["sum"] = rows[bin_column] * rows["patients"]
    everybody: Frame = rows.assign(cls=in_each(rows, "all"))
    both = pd.concat([rows.astype({"cls": object}), everybody], ignore_index=True).astype({"cls": "category"})
    late = both["cls"].cat.rename_categories(lambda cls: f"{cls}_p90")
    means = tally(both, both["cls"].cat.rename_categories({"other": STANDARD}), "sum", "patients")
    return pd.concat([means, ninetieth(both, late, bin_column, "patients")], ignore_index=True)


def scoped(rows: Frame, scope: str, ledger: Ledger) -> Frame:
    """Rows that all belong to one scope."""
    return rows.assign(scope=in_each(rows, scope)).astype({"scope": ledger.scopes})


def slots_of(ledger: Ledger, values: list[str], of: Literal["clinics", "experts", "joint", "imaging"]) -> Frame:
    """Slots by scope: those of ordinary clinics, of expert clinics, of joint clinics, or of large equipment."""
    slots = ledger.at_places("slots_monthly", values, ["department"])
    name = slots["department"].astype(str).str
    kinds = {
        "imaging": name.startswith("imaging_"),
        "experts": name.endswith("_expert"),
        "joint": name.endswith("_joint"),
    }
    return slots[kinds[of] if of in kinds else ~(kinds["imaging"] | kinds["experts"] | kinds["joint"])]


def counted_visits(ledger: Ledger) -> Frame:
    """Visits by scope, level and kind; a return with results is part of its first visit and never counted."""
    visits = ledger.of_people("visits_daily", ["visits"], ["kind"])
    return visits[visits["kind"].ne("return")]
