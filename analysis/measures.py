"""Measure a study: every indicator of the catalogue, by year, month and day, and the comparison with the baseline."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pandas as pd

from analysis.compare import compare
from analysis.indicators import CATALOGUE, HEADLINE, STANDARD, Entry, Indicator
from analysis.ledger import RUN, Frame, Ledger, Period, Span
from analysis.reading import residents_of, span_of
from sim.results import Results, write_frame

COLUMNS = [*RUN, "indicator", "scope", "variant", "value", "numerator", "denominator", "unit"]
"""Columns of indicators.csv and its monthly and daily companions."""

GROUP = ["indicator", "scope", "variant"]
"""What is told of every run."""


def catalogue() -> list[Entry]:
    """All indicators as plain data, those not computed yet included."""
    return [indicator.entry() for indicator in CATALOGUE.values()]


def measure(
    tables: Mapping[str, Frame],
    facilities: Frame,
    period: Period = "year",
    *,
    residents: float | None = None,
    span: Span | None = None,
) -> Frame:
    """Every indicator for every replication and period; without residents or span the rates per resident are empty."""
    return _measured(Ledger(tables, facilities, (period,), residents, span))


def _measured(ledger: Ledger) -> Frame:
    """Every indicator by the periods of the ledger; by day, those whose tables allow it."""
    wanted = [i for i in CATALOGUE.values() if i.recipe is not None and (i.daily or "day" not in ledger.periods)]
    valued = _valued(_completed(_tallies(wanted, ledger), wanted, ledger))
    valued["variant"] = valued["variant"].mask(valued["is_headline"], HEADLINE)
    ordered = valued.sort_values(["run", "indicator", "scope", "variant"], ignore_index=True)
    return ordered.merge(ledger.runs, on="run").astype({"indicator": str, "scope": str})[COLUMNS]


def _tallies(wanted: Sequence[Indicator], ledger: Ledger) -> Frame:
    """What every indicator counts, by run, scope and variant."""
    parts = [i.recipe(ledger).assign(indicator=i.id) for i in wanted if i.recipe is not None]
    added = pd.concat(parts, ignore_index=True).astype({"indicator": _in_order(wanted)})
    # An empty denominator stays empty: it tells a count from a ratio of an empty group.
    return added.groupby(["run", *GROUP], observed=True, sort=False).sum(min_count=1).reset_index()


def _in_order(wanted: Sequence[Indicator]) -> pd.CategoricalDtype:
    return pd.CategoricalDtype([indicator.id for indicator in wanted])


def _completed(tallies: Frame, wanted: Sequence[Indicator], ledger: Ledger) -> Frame:
    """A row for every run: of the headlines, which are always told, and of whatever occurs in any run."""
    headlines = pd.DataFrame([(i.id, i.scope, STANDARD, True) for i in wanted], columns=[*GROUP, "is_headline"])
    told = pd.concat([headlines, tallies[GROUP].drop_duplicates().astype(str).assign(is_headline=False)])
    told = told.drop_duplicates(GROUP).merge(_definitions(wanted), on=["indicator", "variant"])
    told = told.astype({"indicator": _in_order(wanted), "scope": ledger.scopes})
    return told.merge(ledger.runs["run"], how="cross").merge(tallies, on=["run", *GROUP], how="left")


def _definitions(wanted: Sequence[Indicator]) -> Frame:
    """How the value of each variant follows from its tally."""
    rows = [(i.id, v.id, v.kind, v.per, i.unit_of(v.id).en) for i in wanted for v in i.variants]
    return pd.DataFrame(rows, columns=["indicator", "variant", "kind", "per", "unit"])


def _valued(rows: Frame) -> Frame:
    """Values as each variant defines them; a group without anybody has none, and says so with a denominator of 0."""
    late, counted = rows["kind"].eq("ninetieth"), rows["kind"].eq("count")
    top = rows["numerator"].fillna(0).mask(late)
    bottom = rows["denominator"].fillna(0).mask(counted)
    ratio = rows["per"] * top / bottom.where(bottom > 0)
    given = rows.get("value", top)
    return rows.assign(value=ratio.mask(counted, top).mask(late, given), numerator=top, denominator=bottom)


# ------------------------------------------------------------------------------------------------------------- writing


def write_tables(results: Results) -> None:
    """Write indicators.{csv,parquet}, monthly.parquet, daily.parquet and comparison.csv into the study's folder."""
    both, daily = _of_study(results, "year", "month"), _of_study(results, "day")
    by_year = both["period"].str.len().eq(len("2024"))
    yearly, monthly = (both[chosen].reset_index(drop=True) for chosen in (by_year, ~by_year))
    important = {name: figure.value for name, figure in results.config.report.important_differences.items()}
    files = {
        "indicators.csv": yearly,
        "indicators.parquet": yearly,
        "monthly.parquet": monthly,
        "daily.parquet": daily,
        "comparison.csv": compare(yearly, results.study.baseline, important),
    }
    for name, table in files.items():
        write_frame(results.folder / name, table)


def _of_study(results: Results, *periods: Period) -> Frame:
    ledger = Ledger(results.tables, results.facilities, periods, residents_of(results), span_of(results))
    return _measured(ledger)
