"""From which month on an empty and an overfull start agree: as a table, in words and as a picture.

They agree in a month on an indicator if the mean of their paired differences is within its minimum important
difference, at its headline scope; and from a month on if they do in this one and in every later one. The warm-up is
long enough where all indicators agree from the first measured month on (ruling R21).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from functools import cached_property

import numpy as np

from analysis import figures
from analysis.compare import compare
from analysis.indicators import CATALOGUE, HEADLINE
from analysis.ledger import Frame
from analysis.measures import measure
from analysis.phrases import LANGUAGES, Phrases
from analysis.reading import residents_of, span_of
from sim.results import Results, write_file, write_frame
from sim.start import EMPTY, OVERFULL

TEXTS = {"en": "warmup.txt", "zh": "warmup.zh.txt"}

TOLD = 5
"""Indicators that the words name."""

COLUMNS = [
    "month", "indicator", "scope", "unit", "empty", "overfull", "difference", "difference_low", "difference_high",
    "important", "agree", "measured", "replications",
]  # fmt: skip
"""Columns of warmup.csv."""


@dataclass(frozen=True)
class Agreement:
    """Both starts side by side: one row for each month and indicator, in order, columns as in COLUMNS."""

    rows: Frame
    first: date
    """First day of the warm-up."""
    measured: date
    """First day that the study measures."""

    @cached_property
    def since(self) -> dict[str, str]:
        """The first month from which on each indicator agrees; empty: not even in the last one."""
        return {str(name): _since(rows) for name, rows in self.rows.groupby("indicator", sort=False)}

    @property
    def month(self) -> str:
        """The first month from which on all agree; empty: some never do."""
        return max(self.since.values()) if all(self.since.values()) else ""

    @property
    def late(self) -> int:
        """Indicators that do not yet agree in the first measured month, or part again."""
        return sum(not since or since > f"{self.measured:%Y-%m}" for since in self.since.values())

    @property
    def is_long_enough(self) -> bool:
        """Whether all agree from the first measured month on."""
        return self.late == 0

    @property
    def last(self) -> list[str]:
        """The indicators, those that agree last first; of those that do so from the first month on, none."""
        begin = f"{self.first:%Y-%m}"
        late = {name: since or "9999" for name, since in self.since.items() if since != begin}
        return sorted(late, key=lambda name: late[name], reverse=True)


def _since(rows: Frame) -> str:
    apart = rows.loc[~rows["agree"], "month"]
    later = rows["month"] if apart.empty else rows.loc[rows["month"] > apart.max(), "month"]
    return "" if later.empty else str(later.min())


def agreement(results: Results, measured: date) -> Agreement:
    """Compare both starts of a finished study of them."""
    important = {name: figure.value for name, figure in results.config.report.important_differences.items()}
    known = {name: value for name, value in important.items() if name in CATALOGUE and CATALOGUE[name].computed}
    residents, span = residents_of(results), span_of(results)
    monthly = measure(
        results.tables, results.facilities, "month", residents=residents, span=span, only=list(known)
    )  # fmt: skip
    return Agreement(side_by_side(monthly[monthly["variant"].eq(HEADLINE)], known, measured), span.first, measured)


def side_by_side(monthly: Frame, important: dict[str, float], measured: date) -> Frame:
    """Monthly values of both starts as rows of warmup.csv; months in which neither has a value are left out."""
    told = compare(monthly, EMPTY, important).astype({"period": str})
    keys = ["period", "indicator", "scope"]
    means = told.pivot_table(index=keys, columns="scenario", values="mean", dropna=False, observed=True)
    rows = told[told["scenario"].eq(OVERFULL)].merge(means.reset_index(), on=keys).rename(columns={"period": "month"})
    rows = rows[rows[EMPTY].notna() | rows[OVERFULL].notna()]
    rows["important"] = rows["indicator"].map(important)
    rows["agree"] = rows["difference"].abs() <= rows["important"] * (1 + 1e-9)
    rows["measured"] = rows["month"] >= f"{measured:%Y-%m}"
    rows["unit"] = [CATALOGUE[name].unit.en for name in rows["indicator"]]
    order = list(important)
    ordered = rows.sort_values("month", kind="stable").sort_values(
        "indicator", kind="stable", key=lambda names: names.map(order.index)
    )
    return ordered[COLUMNS].reset_index(drop=True)


# ------------------------------------------------------------------------------------------------------------- writing


def write(results: Results, measured: date) -> str:
    """Write warmup.csv, warmup.txt, warmup.zh.txt and the pictures; the English text."""
    found = agreement(results, measured)
    write_frame(results.folder / "warmup.csv", found.rows)
    (results.folder / "figures").mkdir(exist_ok=True)
    for language in LANGUAGES:
        t = Phrases(language)
        write_file(results.folder / TEXTS[language], told(found, t) + "\n")
        picture = figures.both_starts(found.rows, {EMPTY: t("start_empty"), OVERFULL: t("start_overfull")}, measured, t)
        write_file(results.folder / "figures" / f"warmup.{language}.svg", picture)
    return (results.folder / TEXTS["en"]).read_text("utf-8").rstrip()


def told(found: Agreement, t: Phrases) -> str:
    """From when on they agree, whether that is soon enough, and what agrees last."""
    said = {
        "n": int(found.rows["replications"].max()),
        "indicators": len(found.since),
        "late": found.late,
        "month": found.month,
        "last": found.rows["month"].max(),
        "months": _months(found.first, found.month) if found.month else 0,
        "measured": found.measured.isoformat(),
        "warmup": _months(found.first, f"{found.measured:%Y-%m}"),
    }
    lines = [t("warmup_agree" if found.month else "warmup_apart", **said)]
    lines += [t("warmup_enough" if found.is_long_enough else "warmup_short", **said)]
    lines += [_latest(found, name, t) for name in found.last[:TOLD]]
    return "\n".join(lines)


def _months(first: date, month: str) -> int:
    """Months from the first day to the beginning of a month."""
    return (int(month[:4]) - first.year) * 12 + int(month[5:7]) - first.month


def _latest(found: Agreement, name: str, t: Phrases) -> str:
    """The last month in which both starts differ on an indicator, and by how much."""
    rows, known = found.rows[found.rows["indicator"].eq(name)], CATALOGUE[name]
    apart = rows[~rows["agree"]].iloc[-1]
    difference, low, high = (float(apart[f"difference{end}"]) for end in ("", "_low", "_high"))
    return t(
        "warmup_latest", name=t.of(known.name), scope=t.named(str(apart["scope"])), month=apart["month"],
        difference=t.change(difference, known.unit) if np.isfinite(difference) else t("warmup_none"),
        ends=_ends(low, high, known.unit.en, t), important=t.limit(float(apart["important"]), known.unit),
    )  # fmt: skip


def _ends(low: float, high: float, unit: str, t: Phrases) -> str:
    """Both ends of an interval of a difference; a dash where one replication has none."""
    if not np.isfinite([low, high]).all():
        return "–"
    return t("from_to", low=t.difference(low, unit), high=t.difference(high, unit))
