"""What the replications of a study say of the indicators that have to be precise, one value for each replication."""

from __future__ import annotations

from collections.abc import Iterator

from analysis.indicators import CATALOGUE, HEADLINE, STANDARD
from analysis.ledger import Frame
from analysis.measures import measure
from analysis.reading import by_draw, residents_of, span_of
from sim.precision import Estimate, PrecisionSpec, Wanted
from sim.results import Results
from sim.schema import InputError, Problem


def estimates(results: Results, asked: PrecisionSpec) -> list[Estimate]:
    """Every indicator of every scenario that has to be precise, in the order in which they are asked for."""
    known = {"residents": residents_of(results), "span": span_of(results)}
    rows = measure(results.tables, results.facilities, only=list(asked.indicators), **known)  # type: ignore[arg-type]
    values = by_draw(rows, results.config.nested)
    return [one for name, wanted in asked.indicators.items() for one in _estimates(results, values, name, wanted)]


def _estimates(results: Results, rows: Frame, name: str, wanted: Wanted) -> Iterator[Estimate]:
    """One indicator in each scenario that is meant."""
    scope, year = wanted.scope or CATALOGUE[name].scope, str(wanted.year or _year(results, rows))
    own = rows["indicator"].eq(name) & rows["scope"].eq(scope) & rows["period"].astype(str).eq(year)
    told = rows[own & rows["variant"].isin((HEADLINE, STANDARD))]
    table = told.pivot(index="replication", columns="scenario", values="value").sort_index()
    if table.isna().all(axis=None):
        text = f"{name} has no value of {scope} in {year}, in any replication."
        raise InputError([Problem("What was asked", None, f"precision > indicators > {name}", text)])
    if wanted.of == "difference":
        base = results.study.baseline
        table = table.sub(table[base], axis=0).drop(columns=base)
    for scenario in [wanted.scenario] if wanted.scenario else [s for s in results.study.scenarios if s in table]:
        yield Estimate(name, scope, year, scenario, wanted, table[scenario].to_numpy(float))


def _year(results: Results, rows: Frame) -> str:
    """The last year that is wholly measured, else the last one measured."""
    years = sorted(rows["period"].astype(str).unique())
    return str(([year for year in years if span_of(results).complete(year)] or years)[-1])
