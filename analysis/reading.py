"""How the analysis reads a study's config and scenarios: goals, dates, sources, assumptions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

from analysis.ledger import Frame, Span
from sim.citation import BLOCK, Assumption, assumptions, citations
from sim.compose import shelves
from sim.results import Results
from sim.scenario import Scenario, Sources, Target, read_sources


@dataclass(frozen=True)
class Goal:
    """A target and the indicator that it is about."""

    indicator: str
    target: Target

    @property
    def scope(self) -> str:
        """The scope whose value is judged."""
        return self.target.scope.replace(" ", "_")


FACTS = ("network", "population", "timetable", "demand", "choice", "referral", "care", "money", "report")
"""Parts of a config that may rest on assumptions: facts about a place, and what the report judges by."""


def sources_of(results: Results) -> Sources:
    """What the cited keys stand for: as the study's folder describes them, else as the program does."""
    return read_sources([results.folder / "scenarios", *shelves().scenarios])


def span_of(results: Results) -> Span:
    """The measured days."""
    return Span(results.config.horizon.from_, results.config.horizon.to)


def residents_of(results: Results) -> float:
    """Permanent residents of the area."""
    return float(sum(count.value for count in results.config.population.residents.values()))


def block_of(results: Results) -> int:
    """So many draws are added at a time, lest a Latin hypercube be left incomplete."""
    return BLOCK if results.config.uncertainty == "assumptions" else 1


def by_draw(rows: Frame, lucks: int) -> Frame:
    """Values by scenario and replication, as means over the lucks of each draw where several replications share one.

    They have their draw in common, so it is the draws that are independent: `replication` is the number of the draw.
    """
    if lucks == 1:
        return rows
    numbered = rows.assign(replication=rows["replication"] // lucks)
    keys = [name for name in numbered.columns if name not in ("value", "numerator", "denominator")]
    return numbered.groupby(keys, sort=False, observed=True, dropna=False)["value"].mean().reset_index()


def drawn(draws: Frame, lucks: int) -> Frame:
    """What was drawn, each draw once: `replication` is its number."""
    if lucks == 1:
        return draws
    first = draws[draws["replication"] % lucks == 0]
    return first.assign(replication=first["replication"] // lucks)


def assumptions_of(results: Results) -> list[Assumption]:
    """Every assumption once: about the place, about levers, about judgement."""
    facts = [found for part in FACTS for found in assumptions(getattr(results.config, part), part)]
    levers = [found for scenario in results.scenarios for found in assumptions(scenario.policy, "policy")]
    return [*(found for n, found in enumerate(levers) if found not in levers[:n]), *facts]


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
