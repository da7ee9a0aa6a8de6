"""The pictures of a sweep: how indicators answer to what is varied, and a map of two settings together."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator
from numpy.typing import NDArray

from analysis.compare import half_width
from analysis.figures import BASELINE, COLOURS, INK, _drawing, _svg
from analysis.indicators import SHARE, Text
from analysis.ledger import Frame
from analysis.phrases import Phrases

Floats = NDArray[np.float64]

Label = Callable[[str, Any], str]
"""A key and one of its values in words."""

LINES = 6
"""Values of another setting that get a line of their own; with more of them, or more settings, lines are averaged."""

COLUMNS = 2
"""Panels side by side."""


@dataclass(frozen=True)
class Panel:
    """One indicator of a sweep."""

    name: str
    """Id of the indicator."""
    title: str
    unit: Text
    year: str
    rows: Frame
    """Values by point, scenario and replication, with a column for each key."""
    limit: float | None
    """The target, if there is one."""
    promise: str
    met: Callable[[float], bool] | None


@dataclass(frozen=True)
class Line:
    """One line of a panel: the mean over the draws at each value, and its interval."""

    label: str
    x: list[Any]
    mean: Floats
    half: Floats


def crossed(rows: Frame, key: str, keys: Sequence[str]) -> list[str]:
    """Other keys that take several values while this one stays."""
    several = (other for other in keys if other != key)
    return [other for other in several if rows.groupby(key, dropna=False)[other].nunique(dropna=False).max() > 1]


def is_number(values: Any) -> bool:
    """Whether values can stand on an axis of numbers."""
    return bool(values.dtype.kind in "if" and values.notna().all())


def lines(rows: Frame, key: str, other: str | None, label: Callable[[Any], str]) -> list[Line]:
    """The lines of one scenario: one for each value of another key, else one over all."""
    if other is None:
        return [_line(rows, key, "")]
    return [_line(own, key, label(value)) for value, own in rows.groupby(other, dropna=False, sort=True)]


def _line(rows: Frame, key: str, label: str) -> Line:
    """Mean and interval over the draws; several points at one value are averaged within each draw."""
    each = rows.groupby([key, "replication"], dropna=False)["value"].mean().groupby(level=0, dropna=False, sort=True)
    told = each.agg(["mean", "std", "count"])
    half = half_width(told["std"].to_numpy(float), told["count"].to_numpy(np.int64))
    return Line(label, told.index.tolist(), told["mean"].to_numpy(float), half)


def responses(panels: Sequence[Panel], key: str, other: str | None, plan: str, baseline: str,
              words: Mapping[str, str], label: Label, t: Phrases) -> str:  # fmt: skip
    """Two panels for each indicator: what it is at each value of a key, and its paired difference from the baseline."""
    paired = plan != baseline
    with _drawing(f"response {key} {plan} {t.language}"):
        figure, axes = _panels((1 + paired) * len(panels), 2.4)
        for number, panel in enumerate(panels):
            here = axes[(1 + paired) * number :]
            _response(here[0], panel, key, other, (plan, baseline), label)
            _head(here[0], panel, t)
            if paired:
                changes = replace(panel, rows=_changes(panel.rows, plan, baseline), limit=None)
                _response(here[1], changes, key, other, (plan, plan), label)
                here[1].axhline(0, color=BASELINE, linewidth=1.4)
                _ticks(here[1], panel, "")
                points = panel.unit == SHARE
                here[1].set_title(t("sweep_points_changed" if points else "sweep_change"), loc="left", fontsize=9.5)
        for axis in axes[-(1 + paired) :]:
            axis.set_xlabel(words["x"])
        handles, names = axes[0].get_legend_handles_labels()
        if names:
            figure.legend(handles, names, title=words["other"] or None, loc="outside upper left", ncols=7, fontsize=8.5,
                          title_fontsize=8.5, alignment="left", borderaxespad=0)  # fmt: skip
        return _svg(figure)


def _changes(rows: Frame, plan: str, baseline: str) -> Frame:
    """The difference of a scenario from the baseline of its point, draw by draw."""
    both = ["point", "replication"]
    base = rows.loc[rows["scenario"].eq(baseline), [*both, "value"]]
    paired = rows[rows["scenario"].eq(plan)].merge(base, on=both, suffixes=("", "_base"))
    return paired.assign(value=paired["value"] - paired["value_base"])


def _response(axes: Axes, panel: Panel, key: str, other: str | None, both: tuple[str, str], label: Label) -> None:
    """The baseline in grey, the scenario in colour, the target dashed."""
    plan, baseline = both
    values = sorted(panel.rows[key].unique(), key=lambda value: (isinstance(value, str), value))
    numeric = is_number(panel.rows[key])
    of = {name: panel.rows[panel.rows["scenario"].eq(name)] for name in dict.fromkeys((plan, baseline))}
    if baseline != plan:
        _draw(axes, _line(of[baseline], key, ""), values, numeric, BASELINE)
    found = lines(of[plan], key, other, lambda value: label(str(other), value))
    for number, line in enumerate(found):
        shade = 0.2 / len(found)
        _draw(axes, line, values, numeric, COLOURS[number % len(COLOURS)], shade, dashes=number >= len(COLOURS))
    if panel.limit is not None:
        axes.axhline(panel.limit, color=INK, linewidth=1, linestyle=(0, (5, 3)))
    if not numeric:
        axes.set_xticks(range(len(values)), [label(key, value) for value in values])
        axes.margins(x=0.15)
    elif len(values) <= 7:
        axes.set_xticks(values, [label(key, value) for value in values])


def _draw(axes: Axes, line: Line, values: Sequence[Any], numeric: bool, colour: str, shade: float = 0, *,
          dashes: bool = False) -> None:  # fmt: skip
    """A line with its band; marks with bars where there is nothing between two values."""
    x = np.array([value if numeric else values.index(value) for value in line.x], float)
    label = line.label or None
    if not numeric:
        bars = np.nan_to_num(line.half) if shade else None
        axes.errorbar(x, line.mean, bars, fmt="o", color=colour, markersize=5, label=label)
        return
    if shade:
        axes.fill_between(x, line.mean - line.half, line.mean + line.half, color=colour, alpha=shade, linewidth=0)
    (drawn,) = axes.plot(x, line.mean, color=colour, marker="o" if shade else "", markersize=4, label=label)
    drawn.set_linewidth(1.8 if shade else 1.4)
    drawn.set_linestyle((0, (4, 1)) if dashes else "-")


def mapped(panels: Sequence[Panel], keys: tuple[str, str], plan: str, words: Mapping[str, str], label: Label,
           t: Phrases) -> str:  # fmt: skip
    """One panel for each indicator: its mean over two keys, where it reaches the target, in how many draws it does."""
    with _drawing(f"map {plan} {t.language}"):
        first = panels[0].rows
        across, up = (sorted(first[key].unique()) for key in keys)
        figure, axes = _panels(len(panels), 1.15 + 0.42 * len(up))
        for place, (axis, panel) in enumerate(zip(axes, panels, strict=False)):
            rows = panel.rows[panel.rows["scenario"].eq(plan)]
            _map(axis, panel, rows, keys, (across, up), t)
            _head(axis, panel, t)
            axis.set_xticks(range(len(across)), [label(keys[0], value) for value in across])
            axis.set_yticks(range(len(up)), [label(keys[1], value) for value in up])
            axis.set_xlabel(words["x"] if place >= len(panels) - COLUMNS else "")
            axis.set_ylabel(words["y"] if place % COLUMNS == 0 else "")
        return _svg(figure)


def _map(axes: Axes, panel: Panel, rows: Frame, keys: tuple[str, str], both: tuple[list[Any], list[Any]], t: Phrases
         ) -> None:  # fmt: skip
    across, up = both
    cells = rows.groupby([*keys])["value"]
    mean = cells.mean().unstack(keys[0]).reindex(index=up, columns=across).to_numpy(float)
    axes.grid(visible=False)
    axes.spines[["left", "bottom"]].set_visible(False)
    edges = (np.arange(len(values) + 1) - 0.5 for values in both)
    axes.pcolormesh(*edges, np.ma.masked_invalid(mean), cmap="YlGnBu", edgecolors="white", linewidth=1)
    least, most = np.nanmin(mean), np.nanmax(mean)
    each = {where: values.dropna() for where, values in cells}
    for (x, y), values in ((where, values) for where, values in each.items() if len(values)):
        at, height = across.index(x), up.index(y)
        dark = most > least and (mean[height, at] - least) / (most - least) > 0.6
        counted = "" if panel.met is None else "\n" + t("sweep_k", k=sum(map(panel.met, values)), n=len(values))
        text = t.number(float(values.mean()), panel.unit.en) + counted
        axes.text(at, height, text, ha="center", va="center", fontsize=8, color="white" if dark else INK)
    numeric = all(is_number(rows[key]) for key in keys)
    if numeric and panel.limit is not None and np.isfinite(mean).all() and least < panel.limit < most:
        axes.contour(mean, levels=[panel.limit], colors=["#b42318"], linewidths=1.8)


def _panels(number: int, height: float) -> tuple[Figure, list[Axes]]:
    """Empty panels, side by side and under each other."""
    columns = min(COLUMNS, number)
    rows = -(-number // columns)
    figure = Figure(figsize=(9.4 if columns > 1 else 6.2, 0.5 + height * rows), dpi=72, layout="constrained")
    FigureCanvasSVG(figure)
    axes = list(figure.subplots(rows, columns, squeeze=False).ravel())
    for spare in axes[number:]:
        spare.remove()
    return figure, axes[:number]


def _head(axes: Axes, panel: Panel, t: Phrases) -> None:
    """What a panel shows, and what is promised."""
    promise = f"\n{t('target_line', promise=panel.promise)}" if panel.limit is not None else ""
    name = t("sweep_in", name=panel.title, year=panel.year)
    axes.set_title(f"{name}{promise}", loc="left", fontsize=9.5, linespacing=1.5)
    if not axes.collections or axes.lines:
        _ticks(axes, panel)


def _ticks(axes: Axes, panel: Panel, sign: str = "%") -> None:
    """Round numbers on the upright axis, as they are."""

    def told(value: float, _: int | None) -> str:
        shown = round(100 * value if panel.unit == SHARE else value, 9) + 0  # no tiny remainder, and no minus nought
        return f"{shown:.6g}{sign}" if panel.unit == SHARE else f"{shown:,.6g}"

    axes.yaxis.set_major_locator(MaxNLocator(5, steps=[1, 2, 5, 10]))
    axes.yaxis.set_major_formatter(FuncFormatter(told))
