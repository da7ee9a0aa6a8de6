"""What it would take: what each value tried makes of an indicator, and the answer as tables, words and a picture."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from analysis import figures
from analysis.compare import judged_years
from analysis.indicators import CATALOGUE, HEADLINE, STANDARD, Indicator
from analysis.ledger import Frame, Span
from analysis.measures import measure
from analysis.phrases import LANGUAGES, Phrases
from analysis.reading import Goal as Stated
from analysis.reading import by_draw, dates_in_force, residents_of, span_of
from sim.goal import Answer, Goal
from sim.results import Results, write_file, write_frame
from sim.scenario import Scenario
from sim.schema import InputError, Problem
from sim.search import CONFIDENCE, interval

Floats = NDArray[np.float64]

TEXTS = {"en": "seek.txt", "zh": "seek.zh.txt"}


def values(results: Results, scenario: Scenario, goal: Goal) -> tuple[dict[str, Floats], str]:
    """What each replication of each scenario makes of an indicator, and the year in which it is judged."""
    known = {"residents": residents_of(results), "span": span_of(results)}
    rows: Frame = measure(results.tables, results.facilities, only=[goal.indicator], **known)  # type: ignore[arg-type]
    rows = by_draw(rows, results.config.nested)
    year = goal.year or _year(rows, scenario, goal, span_of(results))
    scoped = rows[rows["scope"].eq(goal.scope)]
    if scoped.empty:
        there = ", ".join(sorted(rows["scope"].unique()))
        raise InputError(
            [Problem("The question", None, "scope", f"Nothing is told of {goal.scope}; of {there} it is.")]
        )
    told = scoped[scoped["variant"].isin((HEADLINE, STANDARD)) & scoped["period"].astype(str).eq(year)]
    if told.empty or told["value"].isna().any():
        text = f"{goal.indicator} has no value of {goal.scope} in {year}, in some replication at least."
        raise InputError([Problem("The question", None, "target", text)])
    each = told.sort_values("replication").groupby("scenario", observed=True)["value"]
    return {str(name): own.to_numpy(float) for name, own in each}, year


def _year(rows: Frame, scenario: Scenario, goal: Goal, span: Span) -> str:
    """The last year of those in which a target is judged that is wholly measured; without one, the last measured."""
    years = sorted(rows["period"].astype(str).unique())
    whole = [year for year in years if span.complete(year)] or years
    if goal.by is None:
        return str(whole[-1])
    judged = judged_years(Stated(goal.indicator, scenario.targets[goal.indicator]), dates_in_force([scenario]))
    return str(max([year for year in judged.values() if year in whole], default=whole[-1]))


def write(results: Results, answers: Sequence[Answer]) -> str:
    """Write seek.csv, seek_crossings.csv, seek.txt, seek.zh.txt and the pictures; the English text."""
    write_frame(results.folder / "seek.csv", pd.concat(map(_tried, answers), ignore_index=True))
    write_frame(results.folder / "seek_crossings.csv", pd.concat(map(_crossings, answers), ignore_index=True))
    (results.folder / "figures").mkdir(exist_ok=True)
    for language in LANGUAGES:
        t = Phrases(language)
        write_file(results.folder / TEXTS[language], "\n".join(_told(answer, t) for answer in answers) + "\n")
        for answer in answers:
            write_file(results.folder / "figures" / f"{answer.thing.name}.{language}.svg", _picture(answer, t))
    return (results.folder / TEXTS["en"]).read_text("utf-8").rstrip()


def _tried(answer: Answer) -> Frame:
    """One row for each value tried."""
    goal, found = answer.goal, answer.found
    ends = [interval(own, CONFIDENCE) for own in found.told]
    over = found.told >= goal.limit if goal.rising else found.told <= goal.limit
    return pd.DataFrame(
        {
            "scenario": answer.scenario.name, "lever": answer.thing.name, "value": found.tried,
            "amount": answer.amounts, "unit": answer.thing.unit, "indicator": goal.indicator, "scope": goal.scope,
            "period": goal.year, "limit": goal.limit, "mean": found.told.mean(axis=1), "low": [low for low, _ in ends],
            "high": [high for _, high in ends], "met": over.sum(axis=1), "replications": found.told.shape[1],
            "verdict": found.verdict,
        }
    )  # fmt: skip


def _crossings(answer: Answer) -> Frame:
    """Where each replication reaches the limit; empty where it does not."""
    each = answer.found.crossings
    own = {"lever": answer.thing.name, "replication": range(len(each)), "value": each, "amount": _amount(answer, each)}
    return pd.DataFrame({"scenario": answer.scenario.name, **own, "unit": answer.thing.unit})


def _amount(answer: Answer, value: Any) -> Any:
    return np.interp(value, answer.found.tried, answer.amounts)


# --------------------------------------------------------------------------------------------------------------- words


def _told(answer: Answer, t: Phrases) -> str:
    """The answer in one line."""
    goal, found, known = answer.goal, answer.found, CATALOGUE[answer.goal.indicator]
    relation = "at_least" if goal.rising else "at_most"
    said = {
        "thing": t.titled(answer.thing),
        "scenario": t.titled(answer.scenario),
        "promise": f"{t.of(known.name)} {t(relation)} {t.limit(goal.limit, known.unit)}",
        "scope": t.named(goal.scope),
        "year": goal.year,
        "low": _value(answer, float(found.tried[0]), t),
        "high": _value(answer, float(found.tried[-1]), t),
        "at_low": _at(answer, 0, known, t),
        "at_high": _at(answer, -1, known, t),
    }
    spread = list(_spread(answer, t)) if found.verdict == "found" else []
    value = _value(answer, found.value, t) if found.verdict == "found" else ""
    return t(f"seek_{found.verdict}", **said, value=value) + "".join(spread)


def _value(answer: Answer, value: float, t: Phrases) -> str:
    """A value, and what it comes to."""
    if answer.thing.amount is None:
        return f"{value:.3g}"
    return t("seek_amount", factor=f"{value:.3g}", amount=f"{float(_amount(answer, value)):,.4g}")


def _at(answer: Answer, number: int, known: Indicator, t: Phrases) -> str:
    """What one value tried makes of the indicator: mean, and its interval where there is one."""
    own = answer.found.told[number]
    ends = t.interval(*interval(own, CONFIDENCE), known.unit.en)
    mean = t.amount(float(own.mean()), known.unit)
    return mean if ends == "–" else t("seek_mean", mean=mean, ends=ends)


def _spread(answer: Answer, t: Phrases) -> Iterator[str]:
    """How sure the value is: the interval over the replications, and those that do not reach the limit."""
    found = answer.found
    low, high = found.interval
    number, reached = found.told.shape[1], found.reached
    if np.isfinite(low):
        ends = {"low": _value(answer, low, t), "high": _value(answer, high, t)}
        yield t(
            "seek_interval", **ends, mean=_value(answer, float(np.nanmean(found.crossings)), t), k=reached, n=number
        )
    if reached < number:
        yield t("seek_missed", k=number - reached, n=number)


def _picture(answer: Answer, t: Phrases) -> str:
    goal, known = answer.goal, CATALOGUE[answer.goal.indicator]
    relation = "at_least" if goal.rising else "at_most"
    promise = f"{t(relation)} {t.limit(goal.limit, known.unit)}"
    label = f"{t.of(known.name)} ({t.of(known.unit)})"
    return figures.tries(answer.found, goal.limit, promise, (t.titled(answer.thing), label), known.unit, t)
