"""How the analysis reads a study's config and scenarios: the report's own part, goals, dates, sources, assumptions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

from pydantic import Field

from analysis.ledger import Span
from sim.citation import Assumption, Figure, assumptions, citations
from sim.results import Results
from sim.scenario import Scenario, Sources, Target, read_sources
from sim.schema import Closed, Name


class Benchmark(Closed):
    """A published figure that the simulated base year is held against."""

    indicator: Name
    """Indicator id."""

    scope: Name
    """Scope of the indicator."""

    variant: Name = "standard"
    """Variant of the indicator."""

    published: Figure
    """The published figure."""

    note: str = ""
    """Why the two may differ."""

    note_zh: str = ""
    """The same in Chinese."""


class ReportSpec(Closed):
    """Judgements that a report needs: what difference matters, what a plausible base year is."""

    important_differences: dict[Name, Figure] = Field(default_factory=dict)
    """Minimum important difference of each indicator, in its unit: less is no practical difference."""

    backlog_growth: Figure
    """Yearly growth of a backlog, as a share of it, above which a service point is called not sustainable."""

    benchmarks: list[Benchmark] = Field(default_factory=list)
    """Published figures for the base year."""


@dataclass(frozen=True)
class Goal:
    """A target and the indicator that it is about."""

    indicator: str
    target: Target

    @property
    def scope(self) -> str:
        """The scope whose value is judged."""
        return self.target.scope.replace(" ", "_")


FACTS = ("network", "population", "timetable", "demand", "choice", "care")
"""Parts of a config that hold facts about a place."""


def report_spec(results: Results) -> ReportSpec:
    """The config's report part."""
    return ReportSpec.model_validate(results.config.report)


def sources_of(results: Results) -> Sources:
    """What the cited keys stand for, as far as the study's folder describes them."""
    return read_sources([results.folder / "scenarios"])


def span_of(results: Results) -> Span:
    """The measured days."""
    return Span(results.config.horizon.from_, results.config.horizon.to)


def residents_of(results: Results) -> float:
    """Permanent residents of the area."""
    return float(sum(count.value for count in results.config.population.residents.values()))


def assumptions_of(results: Results) -> list[Assumption]:
    """Every assumption once: about the place, about levers, about judgement."""
    facts = [found for part in FACTS for found in assumptions(getattr(results.config, part), part)]
    levers = [found for scenario in results.scenarios for found in assumptions(scenario.policy, "policy")]
    return [
        *facts,
        *(a for n, a in enumerate(levers) if a not in levers[:n]),
        *assumptions(report_spec(results), "report"),
    ]


def goals_of(scenarios: Sequence[Scenario]) -> list[Goal]:
    """Every target once, however many scenarios share it."""
    goals: list[Goal] = []
    for scenario in scenarios:
        found = (Goal(indicator, target) for indicator, target in scenario.targets.items())
        goals += [goal for goal in found if goal not in goals]
    return goals


def dates_in_force(scenarios: Sequence[Scenario]) -> list[date]:
    """The dates at which something comes into force in any scenario."""
    found = (since for scenario in scenarios for _, since, _ in citations(scenario.policy) if since is not None)
    return sorted(set(found))
