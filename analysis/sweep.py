"""A sweep, told: each point measured, all side by side in tidy tables, pictures and a page in both languages."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache, cached_property
from hashlib import blake2b
from pathlib import Path
from typing import Any

import pandas as pd
from jinja2 import Environment, FileSystemLoader, StrictUndefined, Template
from markupsafe import Markup

from analysis.compare import Judgement, goal_rows, judge
from analysis.indicators import CATALOGUE, HEADLINE, STANDARD, Indicator
from analysis.ledger import Frame
from analysis.measures import compared, measure
from analysis.phrases import LANGUAGES, Phrases
from analysis.reading import Goal, by_draw, dates_in_force, goals_of, residents_of, span_of
from analysis.report import PAGES, TEMPLATES
from analysis.responses import LINES, Panel, crossed, mapped, responses
from sim.policy import levers
from sim.results import Results, digest, write_file, write_frame
from sim.swept import FAILED, Swept

STAMP = ".measured"
"""What the tables of a point were made of, so that they are not made again of the same."""

TABLES = ("indicators.parquet", "comparison.csv")

TARGETS = "targets.csv"
"""Every target in every point: means, differences, in how many draws it is met."""

SHOWN = 40
"""Points that the terminal shows, and that the page shows unasked."""

Fields = dict[str, Any]


# ------------------------------------------------------------------------------------------------------------ measuring


def measure_point(results: Results) -> None:
    """Write the yearly indicators of a point and their comparison; nothing where they are made of the same already."""
    made_of = _made_of(results.folder)
    if _stamp(results.folder, made_of) == _read(results.folder / STAMP):
        return
    known = {"residents": residents_of(results), "span": span_of(results)}
    rows = measure(results.tables, results.facilities, **known)  # type: ignore[arg-type]
    for name, table in zip(TABLES, (rows, compared(results, rows)), strict=True):
        write_frame(results.folder / name, table)
    write_file(results.folder / STAMP, _stamp(results.folder, made_of))


def _made_of(folder: Path) -> str:
    """The hash of all that the tables of a point follow from: tasks, config, scenarios, this code."""
    told = [folder / "tasks.csv", folder / "study.yaml", *sorted((folder / "scenarios").glob("*.yaml"))]
    return digest([pd.__version__, _code(), *map(_hash, told)])


@cache
def _code() -> str:
    here = Path(__file__).parent
    return digest({path.relative_to(here).as_posix(): _hash(path) for path in here.rglob("*.py")})


def _stamp(folder: Path, made_of: str) -> str:
    """What was made of what; of a table that is not there, nothing."""
    tables = {name: _hash(folder / name) for name in TABLES if (folder / name).is_file()}
    return json.dumps({"of": made_of, "tables": tables}, indent=1) + "\n"


def _hash(path: Path) -> str:
    return blake2b(path.read_bytes(), digest_size=16).hexdigest()


def _read(path: Path) -> str:
    return path.read_text("utf-8") if path.is_file() else ""


# -------------------------------------------------------------------------------------------------------------- telling


def write(swept: Swept) -> None:
    """Write the tables of all points side by side, the pictures, and the pages."""
    if swept.finished:
        points = {name: swept.point(name) for name in swept.finished}
        write_frame(swept.folder / TABLES[0], swept.beside({name: own.indicators for name, own in points.items()}))
        write_frame(swept.folder / TABLES[1], swept.beside({name: own.comparison for name, own in points.items()}))
        write_frame(swept.folder / TARGETS, Told(swept).targets)
    told = Told(swept)
    (swept.folder / "figures").mkdir(exist_ok=True)
    for old in (swept.folder / "figures").glob("*.svg"):
        old.unlink()
    for language in LANGUAGES:
        t = Phrases(language)
        pictures = list(told.pictures(t)) if swept.finished else []
        for picture in pictures:
            write_file(swept.folder / "figures" / f"{picture['name']}.{language}.svg", picture["svg"])
        write_file(swept.folder / PAGES[language], _page(told, pictures, t))


@dataclass(frozen=True)
class Told:
    """What a sweep found, worked out before any page is laid out."""

    swept: Swept

    @cached_property
    def first(self) -> Results:
        """A point for what all have in common: the targets, the scenarios, the days."""
        return self.swept.point(self.swept.finished[0])

    @property
    def baseline(self) -> str:
        """The scenario that the others are compared with."""
        return self.first.study.baseline

    @cached_property
    def plans(self) -> list[Any]:
        """The scenarios that are not the baseline; the baseline where it stands alone."""
        return [one for one in self.first.scenarios if one.name != self.baseline] or self.first.scenarios

    @cached_property
    def goals(self) -> list[Goal]:
        """Every target of which the indicator is computed."""
        known = (goal for goal in goals_of(self.first.scenarios) if goal.indicator in CATALOGUE)
        return [goal for goal in known if CATALOGUE[goal.indicator].computed]

    @cached_property
    def indicators(self) -> Frame:
        """The headlines of all points: own definitions alone."""
        rows = self.swept.indicators
        headlines = rows[rows["variant"].isin((HEADLINE, STANDARD))].astype({"period": str, "point": str})
        return by_draw(headlines, self.first.config.nested)

    @property
    def draws(self) -> int:
        """How often each point drew its assumptions."""
        return int(self.swept.about["replications"]) // self.first.config.nested

    @cached_property
    def judged(self) -> dict[tuple[str, int, str], Judgement]:
        """Point, number of the goal, scenario -> the last judgement that was made, else the last with values."""
        same = all(key.startswith("vary.") for key in self.swept.keys)
        found = {}
        for name, rows in self.indicators.groupby("point", sort=False):
            point = self.first if same else self.swept.point(str(name))
            in_force, span = dates_in_force(point.scenarios), span_of(point)
            for number, goal in enumerate(self.goals):
                for one in sorted(judge(goal, rows, in_force, span), key=lambda one: (one.met is not None, one.of > 0)):
                    found[str(name), number, one.scenario] = one
        return found

    @cached_property
    def targets(self) -> Frame:
        """targets.csv: every target, point and scenario."""
        rows = [
            {**self._cell(name, goal, found), "point": name}
            for (name, number, _), found in self.judged.items()
            for goal in [self.goals[number]]
        ]
        if not rows:
            return self.swept.beside({})
        frame = pd.DataFrame(rows)
        return self.swept.beside(
            {name: own.drop(columns="point") for name, own in frame.groupby("point", sort=False)}  # type: ignore[misc]
        )

    def _cell(self, point: str, goal: Goal, found: Judgement) -> Fields:
        mine = self._compared.get((self.goals.index(goal), point, found.scenario, found.year))
        numbers: Fields = dict(zip(NUMBERS, mine or [float("nan")] * len(NUMBERS), strict=True))
        named: Fields = {
            "scenario": found.scenario,
            "indicator": goal.indicator,
            "scope": goal.scope,
            "period": found.year,
        }
        limit = {goal.target.relation: goal.target.limit}
        limits = {key: limit.get(key) for key in ("at_least", "at_most", "above", "below")}
        return {**named, **numbers, **limits, "met": found.met, "of": found.of, "by": goal.target.by}

    @cached_property
    def _compared(self) -> dict[tuple[int, str, str, str], list[float]]:
        """Number of the goal, point, scenario, year -> means and differences."""
        rows = self.swept.comparison
        wanted = rows["indicator"].isin([goal.indicator for goal in self.goals])
        headlines = rows[wanted].astype({"period": str, "point": str})
        found = {}
        for number, goal in enumerate(self.goals):
            own = goal_rows(goal, headlines)
            keys = zip(own["point"], own["scenario"], own["period"], strict=True)
            for key, values in zip(keys, own[NUMBERS].to_numpy(float).tolist(), strict=True):
                found[number, *key] = values
        return found

    def panels(self, t: Phrases) -> list[Panel]:
        """The targets, each in the year in which it is judged; without any, what has an important difference."""
        return [self._goal_panel(number, goal, t) for number, goal in enumerate(self.goals)] or self._other_panels(t)

    def _goal_panel(self, number: int, goal: Goal, t: Phrases) -> Panel:
        known, rows = CATALOGUE[goal.indicator], goal_rows(goal, self.indicators)
        years = {name: one.year for (name, n, _), one in self.judged.items() if n == number}
        own = rows[rows["period"].eq(rows["point"].map(years))]
        promise = t("by", promise=_promise(goal, known, t), day=goal.target.by.isoformat())
        year = " / ".join(sorted(set(years.values())))
        judged = all(one.met is not None for (_, n, _), one in self.judged.items() if n == number)
        met = goal.target.met if judged else None
        return Panel(known.id, t.of(known.name), known.unit, year, own, goal.target.limit, promise, met)

    def _other_panels(self, t: Phrases) -> list[Panel]:
        found = []
        for name in self.first.config.report.important_differences:
            known, rows = CATALOGUE[name], self.indicators[self.indicators["indicator"].eq(name)]
            own = rows[rows["scope"].eq(known.scope) & rows["variant"].eq(HEADLINE)].dropna(subset="value")
            if len(own):
                year = max(own["period"])
                own = own[own["period"].eq(year)]
                found.append(Panel(known.id, t.of(known.name), known.unit, year, own, None, "", None))
        return found

    def pictures(self, t: Phrases) -> Iterator[Fields]:
        """What each key does in each scenario; and two keys together, where there are two."""
        panels = [panel for panel in self.panels(t) if panel.rows["value"].notna().any()]
        keys = [key for key in self.swept.keys if panels and panels[0].rows[key].nunique(dropna=False) > 1]
        for plan in self.plans:
            shown = [key for key in keys if key.split(".")[1:2] == [plan.name] or not key.startswith("vary.")]
            for number, key in enumerate(shown, 1):
                yield self._response(panels, key, keys, number, plan, t)
            both = [key for key in keys if crossed(panels[0].rows, key, keys)]
            if len(keys) == len(both) == 2:
                words = dict(zip("xy", (self.named(key, t) for key in both), strict=True))
                yield {
                    "name": f"map_{plan.name}",
                    "title": t("sweep_map", scenario=t.titled(plan)),
                    "explain": t("sweep_mapped"),
                    "svg": mapped(panels, (both[0], both[1]), plan.name, words, label, t),
                }

    def _response(
        self, panels: Sequence[Panel], key: str, keys: Sequence[str], number: int, plan: Any, t: Phrases
    ) -> Fields:
        others = crossed(panels[0].rows, key, keys)
        own = others[0] if len(others) == 1 and panels[0].rows[others[0]].nunique(dropna=False) <= LINES else None
        words = {"x": self.named(key, t), "other": self.named(own, t) if own else ""}
        explain = t("sweep_band", baseline=self.titled(self.baseline, t))
        if own:
            explain += t("sweep_lines", other=words["other"])
        elif others:
            explain += t("sweep_averaged", others=t.listed([self.named(other, t) for other in others]))
        svg = responses(panels, key, own, plan.name, self.baseline, words, label, t)
        title = t("sweep_response", lever=words["x"], scenario=t.titled(plan))
        return {"name": f"response_{plan.name}_{number}", "title": title, "explain": explain, "svg": svg}

    def titled(self, name: str, t: Phrases) -> str:
        """The title of a scenario."""
        return next(t.titled(one) for one in self.first.scenarios if one.name == name)

    def named(self, key: str, t: Phrases) -> str:
        """A key in words: the title of a lever, else the key."""
        lever = ".".join(key.split(".")[2:]) if key.startswith("vary.") else ""
        return next((t.titled(info) for info in levers() if info.name == lever), key)


NUMBERS = ["mean", "low", "high", "difference", "difference_low", "difference_high"]


def _promise(goal: Goal, known: Indicator, t: Phrases) -> str:
    return f"{t(goal.target.relation)} {t.limit(goal.target.limit, known.unit)}"


def label(key: str, value: Any) -> str:
    """A value of a key on an axis or in a table; a dash where a point leaves it as the study has it."""
    if isinstance(value, str):
        return value
    if pd.isna(value):
        return "–"
    return f"{100 * value:.3g}%" if _is_share(key) else f"{value:.4g}"


def _is_share(key: str) -> bool:
    """Whether a key is a lever that is a share."""
    return any(key.endswith(f".{info.name}") and info.unit.startswith("share") for info in levers())


# ----------------------------------------------------------------------------------------------------------------- page


def _page(told: Told, pictures: Sequence[Fields], t: Phrases) -> str:
    return _template().render(t=t, **_content(told, pictures, t)) + "\n"


@cache
def _template() -> Template:
    settings: dict[str, Any] = {"autoescape": True, "undefined": StrictUndefined, "trim_blocks": True}
    return Environment(loader=FileSystemLoader(TEMPLATES), lstrip_blocks=True, **settings).get_template("sweep.html.j2")  # noqa: S701 - autoescape is on


def _content(told: Told, pictures: Sequence[Fields], t: Phrases) -> Fields:
    """Everything that the template shows."""
    swept, failed = told.swept, told.swept.points[told.swept.points["state"].eq(FAILED)]
    drawn = [picture | {"svg": Markup(picture["svg"])} for picture in pictures]  # noqa: S704 - drawn here
    return {
        "language": t.language,
        "title": _said(told, "title", t),
        "question": _said(told, "question", t),
        "counted": t(
            "sweep_counted", n=len(swept.points), study=swept.about["study"], draws=told.draws,
            keys=t.listed([told.named(key, t) for key in swept.keys]),
        ),
        "failed": [{"point": row.point, "command": row.command} for row in failed.itertuples()],
        "keys": [{"name": told.named(key, t), "key": key} for key in swept.keys],
        "pictures": drawn,
        "plans": [_table(told, plan, t) for plan in told.plans] if swept.finished else [],
        "explain": t("sweep_table", baseline=told.titled(told.baseline, t)) if swept.finished else "",
        "open": len(swept.points) <= SHOWN,
        "provenance": _provenance(swept),
    }  # fmt: skip


def _said(told: Told, what: str, t: Phrases) -> str:
    """The title or question of the experiment, else that of the study."""
    own = told.swept.about
    english = str(own.get(what) or "")
    here = english if t.language == "en" else str(own.get(f"{what}_zh") or english)
    return here or (t.titled(told.first.study, what) if told.swept.finished else str(own["study"]))


def _provenance(swept: Swept) -> list[tuple[str, str]]:
    """What all points have in common."""
    told = json.loads((swept.folder / "provenance.json").read_text("utf-8"))
    kept = {name: told[name] for name in ("study", "seed", "replications", "code", "python")}
    return [*((name, str(value)) for name, value in kept.items()), *((n, str(v)) for n, v in told["versions"].items())]


def _table(told: Told, plan: Any, t: Phrases) -> Fields:
    """All points in one scenario."""
    values = told.swept.points.set_index("point")
    rows = [
        {
            "point": name,
            "folder": values.loc[name, "folder"],
            "values": [_value(key, values.loc[name, key], t) for key in told.swept.keys],
            "cells": [_told(told, name, number, plan.name, t) for number in range(len(told.goals))],
        }
        for name in told.swept.finished
    ]
    names = [{"name": t.of(CATALOGUE[g.indicator].name), "promise": _promised(g, t)} for g in told.goals]
    return {"title": t.titled(plan), "goals": names, "rows": rows}


def _value(key: str, value: Any, t: Phrases) -> str:
    return t("sweep_own") if label(key, value) == "–" else label(key, value)


def _promised(goal: Goal, t: Phrases) -> str:
    return t("by", promise=_promise(goal, CATALOGUE[goal.indicator], t), day=goal.target.by.isoformat())


def _told(told: Told, point: str, number: int, scenario: str, t: Phrases) -> Fields:
    """One cell: a target in a point."""
    goal, found = told.goals[number], told.judged[point, number, scenario]
    unit = CATALOGUE[goal.indicator].unit.en
    cell = told._cell(point, goal, found)
    ends = [t.difference(cell[end], unit) for end in ("difference_low", "difference_high")]
    spread = "" if "–" in ends else t("from_to", low=ends[0], high=ends[1])
    difference = t.difference(cell["difference"], unit)
    return {
        "value": t.number(cell["mean"], unit),
        "interval": t.interval(cell["low"], cell["high"], unit),
        "difference": "" if difference == "–" else difference,
        "spread": spread,
        "met": t("not judged") if found.met is None else t("met_k", k=found.met, n=found.of),
        "state": _state(found),
    }


def _state(found: Judgement) -> str:
    if found.met is None:
        return "open"
    return "met" if found.met == found.of else "missed" if found.met == 0 else "part"


# ------------------------------------------------------------------------------------------------------------- terminal


def summary(swept: Swept) -> str:
    """The points as a plain table: what is varied, and in how many draws each target is met."""
    if not swept.finished:
        return ""
    told, t = Told(swept), Phrases("en")
    scenario = told.plans[-1].name
    head = ["point", *(key.removeprefix("vary.") for key in swept.keys), *(goal.indicator for goal in told.goals)]
    rows = [head]
    for name in swept.finished[:SHOWN]:
        values = [label(key, swept.points.set_index("point").loc[name, key]) for key in swept.keys]
        cells = [_told(told, name, number, scenario, t) for number in range(len(told.goals))]
        rows.append([name, *values, *(f"{cell['value']} ({cell['met']})" for cell in cells)])
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = ["  ".join(text.ljust(width) for text, width in zip(row, widths, strict=True)).rstrip() for row in rows]
    head_line = f"{scenario}, mean of {told.draws} draws:"
    more = len(swept.finished) - SHOWN
    return "\n".join([head_line, *lines, *([f"... and {more} more"] if more > 0 else [])])
