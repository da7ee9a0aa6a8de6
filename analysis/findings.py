"""What a report says, worked out before any page is laid out: values, judgements, guards.

Everything here is looked up in the tables that `measures` wrote: each number of a report stands in a table cell.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import pandas as pd

from analysis.compare import Judgement, Moment, judge, judged_years
from analysis.curve import ADHERENCE, Curve, curve
from analysis.indicators import CATALOGUE, HEADLINE, STANDARD, Indicator, Text
from analysis.ledger import HOSPITALS, Frame, Span, places
from analysis.loads import (
    WAITS,
    Alarm,
    Overload,
    Standstill,
    alarms,
    misfits,
    overloaded_wards,
    overloads,
    standstills,
)
from analysis.phrases import Phrases
from analysis.pooling import FILE
from analysis.reading import Goal, assumptions_of, by_draw, dates_in_force, drawn, goals_of, sources_of, span_of
from analysis.spread import FILE as SPREAD
from sim.citation import Assumption, assumptions
from sim.results import PRECISION, Results
from sim.scenario import Sources

HEADLINE_SHARE = "grassroots_visit_share"
"""The indicator that is drawn over adherence and over months."""


@dataclass(frozen=True)
class Cell:
    """One row of comparison.csv, with the range of the draws behind it."""

    scenario: str
    unit: str
    mean: float
    low: float
    high: float
    difference: float
    difference_low: float
    difference_high: float
    verdict: str
    """Empty for the baseline, and where there is nothing to compare."""
    p: float
    """That there is no difference; adjusted where the row is judged together with others."""
    adjusted: bool
    more: float
    """Replications that would decide what is undecided."""
    least: float
    most: float


@dataclass(frozen=True)
class Findings:
    """A study's findings."""

    results: Results

    @cached_property
    def scenarios(self) -> list[Any]:
        """The scenarios, the baseline first."""
        return sorted(self.results.scenarios, key=lambda scenario: scenario.name != self.baseline)

    @property
    def baseline(self) -> str:
        """Name of the scenario that the others are compared with."""
        return self.results.study.baseline

    @cached_property
    def plans(self) -> list[Any]:
        """The scenarios that are not the baseline; the baseline where it stands alone."""
        return [scenario for scenario in self.scenarios if scenario.name != self.baseline] or self.scenarios

    @cached_property
    def span(self) -> Span:
        """The measured days."""
        return span_of(self.results)

    @cached_property
    def replications(self) -> int:
        """Replications of each scenario."""
        return int(self.results.indicators["replication"].nunique())

    @cached_property
    def indicators(self) -> Frame:
        """indicators.parquet, by draw: means over the lucks where several replications share a draw."""
        return by_draw(self.results.indicators, self.results.config.nested)

    @cached_property
    def draws(self) -> Frame:
        """draws.parquet, by draw."""
        return drawn(self.results.draws, self.results.config.nested)

    @cached_property
    def comparison(self) -> Frame:
        """comparison.csv."""
        return self.results.comparison.astype({"period": str})

    @cached_property
    def monthly(self) -> Frame:
        """The monthly values of the headline share."""
        wanted = [("indicator", "==", HEADLINE_SHARE)]
        return pd.read_parquet(self.results.folder / "monthly.parquet", filters=wanted)

    @cached_property
    def pooling(self) -> Frame:
        """pooling.csv, where the config asks for it."""
        return pd.read_csv(self.results.folder / FILE, keep_default_na=False, na_values=[""])

    @cached_property
    def precision(self) -> Frame:
        """precision.csv; empty where no precision was asked for."""
        file = self.results.folder / PRECISION
        return pd.read_csv(file).astype({"year": str, "since": "Int64"}) if file.is_file() else Frame()

    @cached_property
    def spread(self) -> Frame:
        """spread.csv; empty where the replications say nothing of luck or assumptions."""
        file = self.results.folder / SPREAD
        return pd.read_csv(file, keep_default_na=False, na_values=[""]) if file.is_file() else Frame()

    @cached_property
    def goals(self) -> list[Goal]:
        """Every target, once."""
        return goals_of(self.scenarios)

    @property
    def last_year(self) -> str:
        """The last year that was wholly measured, else the last that was measured at all."""
        return self._years[-1]

    @property
    def first_year(self) -> str:
        """The base year: the first that was wholly measured, else the first."""
        return self._years[0]

    @cached_property
    def _years(self) -> list[str]:
        years = sorted(map(str, self.comparison["period"].unique()))
        return [year for year in years if self.span.complete(year)] or years

    def years(self, goal: Goal) -> dict[Moment, str]:
        """The years in which a goal is judged."""
        return judged_years(goal, dates_in_force(self.scenarios))

    def judgements(self, goal: Goal) -> list[Judgement]:
        """A goal in every scenario, in both years."""
        return self._judged[self.goals.index(goal)]

    @cached_property
    def _judged(self) -> list[list[Judgement]]:
        in_force = dates_in_force(self.scenarios)
        return [judge(goal, self.indicators, in_force, self.span) for goal in self.goals]

    def final(self, goal: Goal, scenario: str) -> Judgement:
        """The last judgement of a goal that was made; where none was, the last that has values, or the last of all."""
        own = [judgement for judgement in self.judgements(goal) if judgement.scenario == scenario]
        made = [judgement for judgement in own if judgement.met is not None]
        return [*own, *(judgement for judgement in own if judgement.of), *made][-1]

    @cached_property
    def overloads(self) -> list[Overload]:
        """What is not sustainable."""
        growth = self.results.config.report.backlog_growth.value
        return overloads(self.results.tables, growth, self.span, self.replications)

    def overloads_behind(self, indicator: str, scope: str, scenario: str) -> list[Overload]:
        """What is not sustainable where the waits arise of which an indicator is a mean."""
        here, resources = self._places.get(scope, set()), WAITS.get(indicator, ())
        mine = (found for found in self.overloads if found.scenario == scenario and found.resource in resources)
        return [found for found in mine if scope not in self._places or found.facility in here]

    @cached_property
    def _places(self) -> dict[str, set[str]]:
        """Facilities of each scope; one that is of people (`grid`) has none of its own."""
        scoped = places(self.results.facilities).groupby("scope")["facility"]
        return {str(scope): set(facilities) for scope, facilities in scoped}

    @cached_property
    def overloaded_wards(self) -> dict[tuple[str, str], float]:
        """Loads of wards that are not sustainable, by scenario and `facility/ward`."""
        return overloaded_wards(self.results.tables, self.replications)

    @cached_property
    def misfits(self) -> list[Overload]:
        """Quotas that do not fit what is referred."""
        return misfits(self.results.tables, self.replications)

    @cached_property
    def standstills(self) -> list[Standstill]:
        """Wards that block each other for ever."""
        return standstills(self.results.tables, self.replications)

    def wards(self, scenario: str) -> Frame:
        """Wards of hospitals in the last year, the fullest first: means over the replications."""
        return self._wards.loc[self._wards["scenario"].eq(scenario)]

    @cached_property
    def _wards(self) -> Frame:
        level = self.results.facilities.set_index("id")["level"]
        rows = self.results.wards
        chosen = rows["period"].eq(self.last_year) & rows["facility"].map(level).isin(HOSPITALS)
        keys = ["scenario", "facility", "ward"]
        means = rows[chosen].drop(columns=["replication", "period"]).groupby(keys).mean().reset_index()
        return means.sort_values(["occupancy", *keys], ascending=[False, True, True, True], ignore_index=True)

    @cached_property
    def budgets(self) -> Frame:
        """Budgets of medical groups in the last year, by scenario and grid: means over the replications, in yuan."""
        rows = self.results.tables["budgets"]
        last = rows[rows["year"].astype(str).eq(self.last_year)] if len(rows) else rows
        if last.empty:
            return Frame()
        means = last.drop(columns=["replication", "year"]).groupby(["scenario", "grid"], observed=True).mean() / 100.0
        return means.rename(columns=lambda name: name.removesuffix("_fen")).reset_index()

    @cached_property
    def alarms(self) -> list[Alarm]:
        """Thresholds that were passed in measured months."""
        return alarms(self.results.tables["alarms"], self.span, self.replications)

    @cached_property
    def sources(self) -> Sources:
        """What the cited keys stand for."""
        return sources_of(self.results)

    @cached_property
    def assumptions(self) -> list[Assumption]:
        """Every assumption, those of levers first."""
        return assumptions_of(self.results)

    def cell(self, scenario: str, year: str, indicator: str, scope: str = "", variant: str = STANDARD) -> Cell | None:
        """A cell of the comparison; without a scope, the headline."""
        meaning = CATALOGUE[indicator]
        scope = scope or meaning.scope
        variant = HEADLINE if (scope, variant) == (meaning.scope, STANDARD) else variant
        row = self._rows.get((scenario, year, indicator, scope, variant))
        if row is None:
            return None
        least, most = self._ranges.get((scenario, year, indicator, scope, variant), (float("nan"),) * 2)
        numbers: dict[str, Any] = {name: float(getattr(row, name)) for name in _NUMBERS}
        said = "" if pd.isna(row.verdict) else str(row.verdict)
        adjusted = not pd.isna(row.p_holm)
        p, missing = _p(row, said, "_holm" if adjusted else ""), float(row.more_replications)
        numbers |= {"verdict": said, "p": p, "adjusted": adjusted, "more": missing}
        return Cell(scenario, meaning.unit_of(variant).en, **numbers, least=least, most=most)

    @cached_property
    def _rows(self) -> dict[tuple[Any, ...], Any]:
        return {tuple(getattr(row, key) for key in _KEYS): row for row in self.comparison.itertuples()}

    @cached_property
    def _ranges(self) -> dict[Any, tuple[float, float]]:
        values = self.indicators.dropna(subset="value").groupby(_KEYS)["value"].agg(["min", "max"])
        return {key: (float(low), float(high)) for key, low, high in values.itertuples(name=None)}

    def guards(self, goal: Goal, year: str) -> Iterator[tuple[Indicator, list[Cell]]]:
        """The guards of a goal, with every scenario's cell."""
        for name in CATALOGUE[goal.indicator].guards:
            cells = (self.cell(scenario.name, year, name) for scenario in self.scenarios)
            yield CATALOGUE[name], [cell for cell in cells if cell is not None]

    def guarded(self, scenario: str, year: str, verdict: str) -> Iterator[tuple[Indicator, Cell]]:
        """The guards of all goals with some verdict in a scenario, each once."""
        names = (name for goal in self.goals for name in _guards_of(goal))
        for name in dict.fromkeys(names):
            cell = self.cell(scenario, year, name)
            if cell and cell.verdict == verdict:
                yield CATALOGUE[name], cell

    def share_goal(self) -> Goal | None:
        """The goal on the headline share, if a scenario states one."""
        return next((goal for goal in self.goals if goal.indicator == HEADLINE_SHARE), None)

    def adherence(self) -> tuple[Any, Assumption, Curve] | None:
        """The plan whose replications drew an adherence, its range, and the line through them in the last year."""
        for plan in self.plans:
            line = curve(self.draws, self.indicators, plan.name, self.last_year, HEADLINE_SHARE)
            stated = [a for a in assumptions(plan.policy, "policy") if a.path == ADHERENCE]
            if line is not None and stated:
                return plan, stated[-1], line
        return None

    def matters(self, indicator: str) -> float | None:
        """The minimum important difference of an indicator, if the report's config states one."""
        stated = self.results.config.report.important_differences.get(indicator)
        return None if stated is None else float(stated.value)

    def text(self, goal: Goal, t: Phrases) -> str:
        """What a goal promises: at least 65 % by 2024-12-31."""
        return t("by", promise=self.promise(goal, t), day=goal.target.by.isoformat())

    def promise(self, goal: Goal, t: Phrases) -> str:
        """The relation and the number alone."""
        known = CATALOGUE.get(goal.indicator)
        unit = known.unit if known else Text(goal.target.unit, goal.target.unit)
        return f"{t(goal.target.relation)} {t.limit(goal.target.limit, unit)}"


_KEYS = ["scenario", "period", "indicator", "scope", "variant"]
_NUMBERS = ("mean", "low", "high", "difference", "difference_low", "difference_high")


def _p(row: Any, said: str, ending: str) -> float:
    """The p of what a verdict claims."""
    return float(getattr(row, ("p_within" if said == "no practical difference" else "p") + ending))


def _guards_of(goal: Goal) -> tuple[str, ...]:
    return CATALOGUE[goal.indicator].guards if goal.indicator in CATALOGUE else ()
