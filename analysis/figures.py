"""The pictures of a report, as SVG: the same bytes for the same data, and no fonts needed where they are read.

Text is drawn as outlines with Noto Sans SC, which speaks both languages and comes with the `zhplot` package.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import date
from functools import cache
from importlib.util import find_spec
from io import StringIO
from pathlib import Path
from typing import Any, Literal
from unicodedata import east_asian_width

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties, fontManager
from matplotlib.ticker import FuncFormatter, PercentFormatter

from analysis.compare import goal_rows
from analysis.curve import Curve
from analysis.indicators import CATALOGUE, SHARE, Text
from analysis.ledger import LEVELS, Frame
from analysis.phrases import Phrases
from analysis.reading import Goal
from sim.search import Found

BASELINE = "#8793a1"
COLOURS = ("#0f766e", "#b45309", "#6d28d9", "#be123c", "#1d4ed8")
"""Colours of the scenarios after the baseline; told apart by readers who do not see red or green."""

LEVEL_COLOURS = dict(
    zip(LEVELS, ("#0b5d57", "#2f8f83", "#67b7a6", "#a9d8c8", "#e6b566", "#c9772b", "#b9c0c9"), strict=True)
)
EPOCH = pd.Timestamp("1970-01-01").toordinal()
"""Where matplotlib begins to count days."""

INK, FAINT = "#1f2933", "#e4e7eb"

MIDDLE = pd.Timedelta(days=14)
"""A month is drawn at its middle, so that what comes into force at its end lies after it."""

CLASS_ORDER = ("other", "referred", "referred_contracted")


@cache
def _family() -> str:
    """The name of a font with Chinese characters; found without running any code of its package."""
    spec = find_spec("zhplot")
    assert spec is not None
    assert spec.origin is not None
    file = Path(spec.origin).parent / "fonts" / "NotoSansSC-Regular.ttf"
    fontManager.addfont(file)
    return FontProperties(fname=file).get_name()


@contextmanager
def _drawing(name: str) -> Iterator[None]:
    """Settings of one figure; a salt of its own keeps its ids apart from those of others on the page."""
    settings: dict[Any, Any] = {
        "svg.hashsalt": f"tiercare {name}", "svg.fonttype": "path", "font.family": [_family()], "font.size": 9.5,
        "text.parse_math": False, "axes.unicode_minus": False, "text.color": INK, "axes.labelcolor": INK,
        "xtick.color": INK, "ytick.color": INK, "axes.edgecolor": "#9aa5b1", "axes.spines.top": False,
        "axes.spines.right": False, "axes.grid": True, "grid.color": FAINT, "axes.axisbelow": True,
        "xtick.major.size": 0, "ytick.major.size": 0, "legend.frameon": False,
    }  # fmt: skip
    with mpl.rc_context(settings):
        yield


LEGEND_SIGNS, BESIDE = 110, 7
"""Signs of a legend that fit beside each other (Chinese ones count twice), and those that a colour takes."""


def _canvas(height: float) -> tuple[Figure, Axes]:
    # 72 dots to the inch are what SVG counts in: the layout is worked out as it will be drawn
    figure = Figure(figsize=(7.6, height), dpi=72, layout="constrained")
    FigureCanvasSVG(figure)
    return figure, figure.add_subplot()


def _svg(figure: Figure) -> str:
    """The figure as an SVG element, without date, declaration or document type."""
    text = StringIO()
    if layout := figure.get_layout_engine():  # savefig would draw everything twice, once for nothing but the layout
        layout.execute(figure)
        figure.set_layout_engine(None)
    figure.savefig(text, format="svg", metadata={"Date": None, "Creator": None})
    return text.getvalue()[text.getvalue().index("<svg") :]


def colours(scenarios: Sequence[str], baseline: str) -> dict[str, str]:
    """The colour of each scenario, the same in every picture."""
    others = [name for name in scenarios if name != baseline]
    return {baseline: BASELINE} | {name: COLOURS[i % len(COLOURS)] for i, name in enumerate(others)}


def share_by_month(
    monthly: Frame,
    goal: Goal,
    promise: str,
    titles: Mapping[str, str],
    colour: Mapping[str, str],
    in_force: Sequence[date],
    t: Phrases,
) -> str:
    """A goal's indicator by month: mean over the replications, and where nine of ten draws lie."""
    rows = goal_rows(goal, monthly)
    with _drawing(f"months {t.language}"):
        figure, axes = _canvas(3.3)
        for name, title in titles.items():
            _band(axes, rows[rows["scenario"].eq(name)], title, colour[name])
        _line_across(axes, goal.target.limit, t("target_line", promise=promise))
        _mark_dates(axes, rows, in_force, t("in_force"))
        axes.yaxis.set_major_formatter(PercentFormatter(1.0, decimals=0))
        _legend(figure)
        return _svg(figure)


def _legend(
    figure: Figure, where: Literal["outside upper left", "outside lower center"] = "outside upper left"
) -> None:
    """The names of what is drawn, outside the picture, in as many columns as have room for the longest."""
    handles, names = figure.axes[0].get_legend_handles_labels()
    widest = max((sum(1 + (east_asian_width(sign) in "WF") for sign in name) for name in names), default=0)
    columns = max(1, min(4, LEGEND_SIGNS // (widest + BESIDE)))
    figure.legend(handles, names, loc=where, ncols=columns, fontsize=9)


def _band(axes: Axes, rows: Frame, title: str, colour: str) -> None:
    by_month = rows.groupby("period")["value"]
    months = pd.DatetimeIndex(sorted(rows["period"].unique())) + MIDDLE
    low, high = by_month.quantile(0.05), by_month.quantile(0.95)
    axes.fill_between(months, low.to_numpy(), high.to_numpy(), color=colour, alpha=0.18, linewidth=0)
    axes.plot(months, by_month.mean().to_numpy(), color=colour, linewidth=2, label=title)


def _line_across(axes: Axes, height: float, label: str) -> None:
    axes.axhline(height, color=INK, linewidth=1, linestyle=(0, (5, 3)))
    axes.annotate(label, (1, height), xycoords=("axes fraction", "data"), xytext=(-2, 3), textcoords="offset points",
                  ha="right", fontsize=9)  # fmt: skip


def _mark_dates(axes: Axes, rows: Frame, in_force: Sequence[date], label: str) -> None:
    """A line where something comes into force within the months shown."""
    months = pd.to_datetime(rows["period"])
    shown = [pd.Timestamp(day) for day in in_force if months.min() < pd.Timestamp(day) <= months.max()]
    for day in shown:
        axes.axvline(day.toordinal() - EPOCH, color="#9aa5b1", linewidth=1)
    if shown:
        axes.annotate(label, (shown[0], 0), xycoords=("data", "axes fraction"), xytext=(4, 4),
                      textcoords="offset points", fontsize=8.5, color="#616e7c")  # fmt: skip


def visits_by_level(comparison: Frame, year: str, titles: Mapping[str, str], t: Phrases) -> str:
    """Where the visits of residents go, one bar for each scenario."""
    told = comparison["indicator"].eq("visit_share_by_level") & comparison["period"].astype(str).eq(year)
    shares = comparison[told].pivot_table(index="scenario", columns="scope", values="mean", observed=True)
    with _drawing(f"levels {t.language}"):
        figure, axes = _canvas(1.1 + 0.52 * len(titles))
        left = np.zeros(len(titles))
        for level in (level for level in LEVELS if level in shares):
            width = shares[level].reindex(list(titles)).fillna(0).to_numpy()
            axes.barh(list(titles.values()), width, left=left, color=LEVEL_COLOURS[level], label=t(level), height=0.62)
            _write_shares(axes, left, width, level)
            left = left + width
        axes.invert_yaxis()
        axes.set_xlim(0, 1)
        axes.grid(visible=False)
        axes.spines[["left", "bottom"]].set_visible(False)
        axes.set_xticks([])
        _legend(figure, "outside lower center")
        return _svg(figure)


def _write_shares(axes: Axes, left: np.ndarray, width: np.ndarray, level: str) -> None:
    """The share in each part that is wide enough for it."""
    ink = "white" if level in ("village_station", "clinic", "tertiary") else INK
    for place, (start, share) in enumerate(zip(left, width, strict=True)):
        if share >= 0.045:
            axes.text(start + share / 2, place, f"{100 * share:.0f}%", ha="center", va="center", color=ink, fontsize=9)


def waits_at_leads(comparison: Frame, year: str) -> Frame:
    """Days to an appointment at lead hospitals in a year; no row where they have no appointments."""
    told = comparison["indicator"].eq("wait_days") & comparison["scope"].eq("lead")
    return comparison[told & comparison["period"].astype(str).eq(year)]


def waits_by_class(waits: Frame, titles: Mapping[str, str], colour: Mapping[str, str], names: Mapping[str, str],
                   t: Phrases) -> str:  # fmt: skip
    """Days to an appointment for those with and without priority: mean and P90."""
    means = waits.set_index(["scenario", "variant"])["mean"]
    height = 0.8 / len(titles)
    with _drawing(f"waits {t.language}"):
        figure, axes = _canvas(0.9 + 0.3 * len(titles) * len(CLASS_ORDER))
        for i, (name, title) in enumerate(titles.items()):
            at = np.arange(len(CLASS_ORDER)) + (i - (len(titles) - 1) / 2) * height
            mean = [means.get((name, "headline" if c == "other" else c), np.nan) for c in CLASS_ORDER]
            late = [means.get((name, f"{c}_p90"), np.nan) for c in CLASS_ORDER]
            axes.barh(at, mean, height=0.82 * height, color=colour[name], label=title)
            axes.plot(late, at, "|", color=INK, markersize=11, markeredgewidth=1.6)
        axes.set_yticks(range(len(CLASS_ORDER)), [names[c] for c in CLASS_ORDER])
        axes.invert_yaxis()
        axes.set_xlabel(t("axis_days"))
        axes.grid(visible=False, axis="y")
        _legend(figure)
        return _svg(figure)


def share_over_adherence(curve: Curve, target: float, promise: str, colour: str, limits: tuple[float, float],
                         t: Phrases) -> str:  # fmt: skip
    """One dot for each replication, the line through them with its band, and the target."""
    x = np.linspace(*limits, 101)
    line, half = curve.at(x), curve.half_width(x)
    with _drawing(f"curve {t.language}"):
        figure, axes = _canvas(3.3)
        axes.fill_between(x, line - half, line + half, color=colour, alpha=0.18, linewidth=0)
        axes.plot(x, line, color=colour, linewidth=2)
        axes.plot(curve.x, curve.y, "o", color=colour, markersize=5, markeredgecolor="white")
        _line_across(axes, target, t("target_line", promise=promise))
        axes.set_xlabel(t("axis_adherence"))
        axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:.2f}"))
        axes.yaxis.set_major_formatter(PercentFormatter(1.0, decimals=0))
        return _svg(figure)


def tries(found: Found, limit: float, promise: str, labels: tuple[str, str], unit: Text, t: Phrases) -> str:
    """An indicator over the values tried: a thin line for each replication, their mean, and the limit."""
    with _drawing(f"tries {t.language}"):
        figure, axes = _canvas(3.3)
        axes.plot(found.tried, found.told, color=COLOURS[0], linewidth=0.7, alpha=0.35)
        axes.plot(found.tried, found.told.mean(axis=1), "o-", color=COLOURS[0], linewidth=2, markersize=5)
        _line_across(axes, limit, t("target_line", promise=promise))
        axes.set_xlabel(labels[0])
        axes.set_ylabel(labels[1])
        if unit == SHARE:
            axes.yaxis.set_major_formatter(PercentFormatter(1.0, decimals=0))
        return _svg(figure)


ACROSS = 3
"""Pictures beside each other where there are many."""


def both_starts(rows: Frame, titles: Mapping[str, str], measured: date, t: Phrases) -> str:
    """Every indicator by month from both starts, the first with a band of what matters; and the first measured day.

    `rows`: of `warmup.csv`; `titles`: of both starts, the columns.
    """
    names = list(dict.fromkeys(rows["indicator"]))
    with _drawing(f"starts {t.language}"):
        down = -(-len(names) // ACROSS)
        figure = Figure(figsize=(7.6, 0.5 + 1.45 * down), dpi=72, layout="constrained")
        FigureCanvasSVG(figure)
        for place, name in enumerate(names):
            axes = figure.add_subplot(down, ACROSS, place + 1)
            _starts(axes, rows[rows["indicator"].eq(name)], titles)
            axes.axvline(measured.toordinal() - EPOCH, color="#9aa5b1", linewidth=1)
            axes.set_title(t.of(CATALOGUE[name].name), fontsize=7.5)
        handles = figure.axes[0].get_legend_handles_labels()
        figure.legend(*handles, loc="outside upper left", ncols=2, fontsize=9)
        return _svg(figure)


def _starts(axes: Axes, rows: Frame, titles: Mapping[str, str]) -> None:
    months = pd.DatetimeIndex(pd.to_datetime(rows["month"])) + MIDDLE
    (first, empty), (second, over) = titles.items()
    around, matters = rows[first].to_numpy(), rows["important"].to_numpy()
    axes.fill_between(months, around - matters, around + matters, color=BASELINE, alpha=0.25, linewidth=0)
    axes.plot(months, around, color=BASELINE, linewidth=1.8, label=empty)
    axes.plot(months, rows[second].to_numpy(), color=COLOURS[1], linewidth=1.2, label=over)
    axes.tick_params(labelsize=6.5)
    some = rows["month"].to_numpy()[:: max(len(rows) // 3, 1)]
    axes.set_xticks([pd.Timestamp(month).toordinal() - EPOCH for month in some], some)
