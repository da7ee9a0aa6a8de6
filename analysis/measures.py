"""Measure a study: every indicator of the catalogue, by year, month and day, and the comparison with the baseline."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from analysis import pooling, spread
from analysis.compare import compare
from analysis.indicators import CATALOGUE, HEADLINE, STANDARD, Entry, Indicator
from analysis.ledger import DIGITS, RUN, Cells, Column, Frame, Ints, Ledger, Period, Span
from analysis.reading import block_of, by_draw, residents_of, span_of
from analysis.wards import wards
from sim.results import Results, write_frame

COLUMNS = [*RUN, "indicator", "scope", "variant", "value", "numerator", "denominator", "unit"]
"""Columns of indicators.csv and its monthly and daily companions."""

GROUP = ["indicator", "scope", "variant"]
"""What is told of every run."""

TALLY = ["numerator", "denominator", "value"]
"""What recipes count; the last by those that find a value and not a ratio."""


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
    only: Sequence[str] = (),
) -> Frame:
    """Every indicator for every replication and period; without residents or span the rates per resident are empty.

    `only`: these indicators and no others.
    """
    return _measured(Ledger(tables, facilities, (period,), residents, span), only)[period]


def _measured(ledger: Ledger, only: Sequence[str] = ()) -> dict[Period, Frame]:
    """Every indicator, or some, by each period of the ledger; by day, those whose tables allow it."""
    known = [i for i in CATALOGUE.values() if not only or i.id in only]
    wanted = [i for i in known if i.recipe is not None and (i.daily or set(ledger.periods) != {"day"})]
    tallies = _tallies(wanted, ledger)
    told = _told(tallies, wanted)
    daily = told[told["daily"]]
    rows = {p: _completed(tallies, daily if p == "day" else told, ledger, p) for p in ledger.periods}
    return {period: _valued(completed)[COLUMNS] for period, completed in rows.items()}


def _tallies(wanted: Sequence[Indicator], ledger: Ledger) -> Cells:
    """What every indicator counts, by run, indicator, scope and variant."""
    parts = {i.id: i.recipe(ledger) for i in wanted if i.recipe is not None}
    counted = pd.concat(parts.values(), ignore_index=True)
    indicators, variants = pd.CategoricalDtype(list(parts)), sorted({v.id for i in wanted for v in i.variants})
    columns = {
        "run": Column(counted["run"].to_numpy(np.int64), ledger.runs.index),
        "indicator": Column(np.repeat(np.arange(len(parts)), [len(part) for part in parts.values()]), indicators),
        "scope": Column.among(counted["scope"], ledger.scopes),
        "variant": Column.among(counted["variant"], pd.CategoricalDtype(variants)),
    }
    return Cells(columns, counted.reindex(columns=TALLY)).added()


def _told(tallies: Cells, wanted: Sequence[Indicator]) -> Frame:
    """What every run tells, in the order of the tables: the headlines always, and whatever occurs in any run."""
    found = tallies.without("run").added().frame()[GROUP]
    headlines = pd.DataFrame([(i.id, i.scope, STANDARD, HEADLINE) for i in wanted], columns=[*GROUP, "shown"])
    told = pd.concat([headlines, found.astype(str).assign(shown=found["variant"].astype(str))]).drop_duplicates(GROUP)
    told = told.merge(_definitions(wanted), on=["indicator", "variant"]).astype(found.dtypes.to_dict())
    told["place"] = Cells({name: Column.of(told[name]) for name in GROUP}, Frame()).place(*GROUP)
    ordered = told.sort_values(["indicator", "scope", "shown"], ignore_index=True)
    return ordered.assign(variant=ordered["shown"]).astype({"indicator": str, "scope": str})


def _completed(tallies: Cells, told: Frame, ledger: Ledger, period: Period) -> Frame:
    """The tallies of every run of a period, all told by each; empty where a run has none."""
    runs = ledger.runs[ledger.runs["period"].str.len().eq(DIGITS[period])]
    run, place = tallies.by["run"].numbers, tallies.place(*GROUP)
    row, column = _places(runs.index, len(ledger.runs))[run], _places(told["place"], tallies.size(*GROUP))[place]
    here = (row >= 0) & (column >= 0)
    rows = runs.take(np.repeat(np.arange(len(runs)), len(told))).reset_index(drop=True)
    values = np.full((len(rows), len(TALLY)), np.nan)
    values[row[here] * len(told) + column[here]] = tallies.values.to_numpy()[here]
    rows[told.columns] = told.take(np.tile(np.arange(len(told)), len(runs))).reset_index(drop=True)
    rows[TALLY] = values
    return rows


def _places(numbers: Any, size: int) -> Ints:
    """Where each number stands in a list of them; -1 for those that do not."""
    places = np.full(size, -1)
    places[numbers] = np.arange(len(numbers))
    return places


def _definitions(wanted: Sequence[Indicator]) -> Frame:
    """How the value of each variant follows from its tally."""
    rows = [(i.id, v.id, v.kind, v.per, i.unit_of(v.id).en, i.daily) for i in wanted for v in i.variants]
    return pd.DataFrame(rows, columns=["indicator", "variant", "kind", "per", "unit", "daily"])


def _valued(rows: Frame) -> Frame:
    """Values as each variant defines them; a group without anybody has none, and says so with a denominator of 0."""
    late, counted = rows["kind"].eq("ninetieth"), rows["kind"].eq("count")
    top = rows["numerator"].fillna(0).mask(late)
    bottom = rows["denominator"].fillna(0).mask(counted)
    ratio = rows["per"] * top / bottom.where(bottom > 0)
    return rows.assign(value=ratio.mask(counted, top).mask(late, rows["value"]), numerator=top, denominator=bottom)


# ------------------------------------------------------------------------------------------------------------- writing


def compared(results: Results, rows: Frame) -> Frame:
    """The yearly indicators of a study, draw by draw, against its baseline."""
    important = {name: figure.value for name, figure in results.config.report.important_differences.items()}
    lucks = results.config.nested
    return compare(by_draw(rows, lucks), results.study.baseline, important, block_of(results), lucks)


def write_tables(results: Results) -> None:
    """Write the tables of indicators and wards and the comparison into the study's folder.

    And pooling.csv, where the config asks for it, and spread.csv, as far as the replications allow it.
    """
    periods: tuple[Period, ...] = ("year", "month", "day")
    known = results.tables, results.facilities
    tables = _measured(Ledger(*known, periods, residents_of(results), span_of(results)))
    by_ward = wards(Ledger(*known, ("year",), span=span_of(results)))
    files = {
        "indicators.csv": tables["year"],
        "indicators.parquet": tables["year"],
        "monthly.parquet": tables["month"],
        "daily.parquet": tables["day"],
        "wards.csv": by_ward,
        "wards.parquet": by_ward,
        "comparison.csv": compared(results, tables["year"]),
    }
    for name, table in files.items():
        write_frame(results.folder / name, table)
    (results.folder / pooling.FILE).unlink(missing_ok=True)
    if (shares := pooling.pooling(results)) is not None:
        write_frame(results.folder / pooling.FILE, shares)
    (results.folder / spread.FILE).unlink(missing_ok=True)
    if len(parts := spread.spread(results, tables["year"])):
        write_frame(results.folder / spread.FILE, parts)
