"""The report of a study: one page in English, one in Chinese, from one template; and a table for the terminal.

A page stands alone: no network, no scripts, pictures inside. Everything that comes from a study is escaped. The same
results give the same bytes, so nothing here knows the time.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import pandas as pd
from jinja2 import Environment, FileSystemLoader, StrictUndefined, Template
from markupsafe import Markup

from analysis import figures
from analysis.compare import Judgement
from analysis.curve import Curve
from analysis.findings import Cell, Findings
from analysis.indicators import CATALOGUE, CLASSES, SHARE, Indicator
from analysis.ledger import Frame
from analysis.loads import Alarm, Overload, Standstill
from analysis.phrases import LANGUAGES, PHRASES, Phrases
from analysis.reading import Goal, dates_in_force
from analysis.spread import FALSE_ALARM, FEWEST, LUCK
from analysis.verdicts import MOST_MORE
from sim.citation import Assumption, Source, citations
from sim.policy import levers
from sim.results import Results, write_file

TEMPLATES = Path(__file__).parent / "templates"

PAGES = {"en": "report.html", "zh": "report.zh.html"}

WARDS_TOLD = 12
"""Wards that the report shows of each scenario."""

ONE_WAY = 0.3
"""Rank correlation from which on an indicator is said to rise, or to fall, with an assumption."""

Fields = dict[str, Any]
"""What the template shows of one thing, as text."""


def write(results: Results) -> None:
    """Write report.html, report.zh.html and figures/*.svg into the study's folder."""
    findings = Findings(results)
    folder = results.folder / "figures"
    folder.mkdir(exist_ok=True)
    for language in LANGUAGES:
        t = Phrases(language)
        pictures = _pictures(findings, t)
        for name, svg in pictures.items():
            write_file(folder / f"{name}.{language}.svg", svg)
        write_file(results.folder / PAGES[language], _page(findings, pictures, t))


def _page(findings: Findings, pictures: dict[str, str], t: Phrases) -> str:
    inline = {name: Markup(svg) for name, svg in pictures.items()}  # noqa: S704 - drawn here, not given by a user
    return _template().render(t=t, pictures=inline, **_content(findings, t)) + "\n"


@cache
def _template() -> Template:
    """The template, compiled once for both languages."""
    environment = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template("report.html.j2")


def _content(findings: Findings, t: Phrases) -> Fields:
    """Everything that the template shows."""
    study = findings.results.study
    return {
        "language": t.language,
        "title": t.titled(study),
        "question": t.titled(study, "question"),
        "verdicts": [_verdict(findings, plan, t) for plan in findings.plans],
        "sustainable": t("sustainable" if "loads" in findings.results.tables else "loads_unknown"),
        "overloads": _alarms(findings, t),
        "quotas": [_overload(found, findings, t) for found in findings.misfits],
        "goals": [_goal(findings, goal, t) for goal in _computed(findings)],
        "missing": [_missing(goal, t) for goal in findings.goals if goal not in _computed(findings)],
        "precision": list(_precise(findings, t)),
        "spread": _spread(findings, t),
        "curve": _curve(findings, t),
        "wards": [_wards(findings, scenario, t) for scenario in findings.scenarios],
        "money": _money(findings, t),
        "pooling": list(_pooling(findings, t)),
        "scenarios": [_scenario(scenario, findings, t) for scenario in findings.scenarios],
        "benchmarks": list(_benchmarks(findings, t)),
        "assumptions": [_assumption(found, t) for found in findings.assumptions],
        "definitions": [_definition(indicator, t) for indicator in CATALOGUE.values()],
        "provenance": _provenance(findings.results),
        "figure_levels": t("figure_levels", year=findings.last_year),
        "figure_waits": t("figure_waits", year=findings.last_year),
        "waits_verdict": _waits_verdict(findings, t),
        "explain": {
            "goals": _explained(findings, t),
            "wards": t("explain_wards", year=findings.last_year, n=findings.replications),
            "benchmarks": t(
                "explain_benchmarks", scenario=_title(findings, findings.baseline, t), year=findings.first_year
            ),
        },
    }


def _explained(findings: Findings, t: Phrases) -> str:
    """What the numbers beside targets are."""
    lucks, number = findings.results.config.nested, findings.replications
    told = t("explain_goals", n=number, baseline=_title(findings, findings.baseline, t))
    return told + t("explain_nested", k=lucks, n=number // lucks) if lucks > 1 else told


def _title(findings: Findings, name: str, t: Phrases) -> str:
    return next(t.titled(scenario) for scenario in findings.scenarios if scenario.name == name)


def _computed(findings: Findings) -> list[Goal]:
    return [goal for goal in findings.goals if goal.indicator in CATALOGUE and CATALOGUE[goal.indicator].computed]


# ------------------------------------------------------------------------------------------------------------ in short


def _verdict(findings: Findings, plan: Any, t: Phrases) -> Fields:
    """What a plan achieves, what gets worse, and what is not known, in a few sentences."""
    said = {"scenario": t.titled(plan), "year": findings.last_year}
    worse = [
        f"{t.of(indicator.name)} {t.change(cell.difference, indicator.unit)}"
        for indicator, cell in findings.guarded(plan.name, findings.last_year, "worse")
    ]
    undecided = [
        t.of(indicator.name) + t("bracket", text=_more(cell, t))
        for indicator, cell in findings.guarded(plan.name, findings.last_year, "undecided")
    ]
    return {
        "score": _score(findings, plan, t),
        "goals": [_in_short(findings, goal, plan, t) for goal in _computed(findings)],
        "guards": t("gets_worse", names=t.listed(worse), **said) if worse else t("nothing_worse", **said),
        "undecided": t("open_guards", n=findings.replications, names=t.listed(undecided)) if undecided else "",
    }


def _score(findings: Findings, plan: Any, t: Phrases) -> str:
    """How many targets are met in every draw, in some, in none; where none is stated, the plan's name."""
    if not findings.goals:
        return t.titled(plan)
    finals = [found for goal in _computed(findings) if (found := findings.final(goal, plan.name)).met is not None]
    if not finals:
        return t("no_value_short", name=t.titled(plan), met=t("not judged"))
    every, none = sum(found.met == found.of for found in finals), sum(found.met == 0 for found in finals)
    counts = {"n": len(finals), "all": every, "none": none, "some": len(finals) - every - none}
    return t("score", scenario=t.titled(plan), year=finals[-1].year, **counts)


def _in_short(findings: Findings, goal: Goal, plan: Any, t: Phrases) -> Fields:
    """One target in one sentence, and the colour of its dot."""
    found, indicator = findings.final(goal, plan.name), CATALOGUE[goal.indicator]
    cells = [findings.cell(s, found.year, goal.indicator, goal.scope) for s in (plan.name, findings.baseline)]
    value, base = (t.amount(cell.mean if cell else None, indicator.unit) for cell in cells)
    said = {"name": t.of(indicator.name), "year": found.year, "met": _met(found, t), "value": value, "base": base}
    said |= {"promise": findings.promise(goal, t), "baseline": _title(findings, findings.baseline, t)}
    said["met"] += t("bracket", text=_chance(found, t)) if found.met is not None else ""
    key = "no_value_short" if not found.of else "short_alone" if plan.name == findings.baseline else "short_goal"
    return {"text": t(key, **said), "state": _state(found)}


def _met(found: Judgement, t: Phrases) -> str:
    if found.met is None:
        return f"{t('not judged')}: {t(found.why_not)}"
    return t("met_k", k=found.met, n=found.of)


def _chance(found: Judgement, t: Phrases) -> str:
    """The interval of the chance that a draw meets the target; empty where it is not judged."""
    return "" if found.met is None else t("chance", interval=t.interval(*found.chance, SHARE.en))


def _more(cell: Cell, t: Phrases) -> str:
    """How many more replications would decide what is undecided; empty where nothing tells."""
    if cell.more != cell.more:
        return t("more_unknown")
    return t("more_than" if cell.more == float("inf") else "more", n=f"{min(cell.more, MOST_MORE):,.0f}")


def _judged(cell: Cell, t: Phrases) -> str:
    """What stands below a verdict: the p of what it claims, or how many more replications would decide."""
    if not cell.verdict or cell.p != cell.p:
        return ""
    p = t("p_tiny") if cell.p < 0.001 else t("p", p=f"{cell.p:.3f}" if cell.p < 0.1 else f"{cell.p:.2f}")
    told = [t("p_adjusted", p=p) if cell.adjusted else p]
    return t.listed([*told, _more(cell, t)] if cell.verdict == "undecided" else told)


def _state(found: Judgement) -> str:
    """met | part | missed | open"""
    if found.met is None:
        return "open"
    return "met" if found.met == found.of else "missed" if found.met == 0 else "part"


def _alarms(findings: Findings, t: Phrases) -> list[str]:
    """What cannot go on like this, and what already does not."""
    blocked = [_standstill(found, findings, t) for found in findings.standstills]
    return [*blocked, *(_overload(found, findings, t) for found in findings.overloads)]


def _standstill(found: Standstill, findings: Findings, t: Phrases) -> str:
    said = {"scenario": _title(findings, found.scenario, t), "draws": t("in_draws", k=found.k, n=found.n)}
    return t("standstill", wards=found.wards, since=f"{found.since:%Y-%m-%d %H:%M}", **said)


def _place(facility: str, findings: Findings, t: Phrases) -> str:
    """The name of a facility."""
    facilities = findings.results.facilities.set_index("id")
    return str(facilities.loc[facility, "name" if t.language == "en" else "name_zh"])


def _overload(found: Overload, findings: Findings, t: Phrases) -> str:
    said = {
        "scenario": _title(findings, found.scenario, t),
        "place": _place(found.facility, findings, t),
        "draws": t("in_draws", k=found.k, n=found.n),
    }
    if found.kind != "backlog":
        advice = t(f"quota_{found.resource.rpartition('_')[2]}") if found.kind == "half" else ""
        told = {"resource": t(f"load_{found.resource}"), "load": f"{100 * found.after:.0f}%", "advice": advice}
        return t("half" if advice else "overload", **told, **said)
    resource = t(found.resource) if found.resource in PHRASES else found.resource
    return t("growing", resource=resource, before=f"{found.before:,.0f}", after=f"{found.after:,.0f}", **said)


def _waits_verdict(findings: Findings, t: Phrases) -> list[str]:
    """What stands before the waits at lead hospitals: those that mean nothing, because they grow with the run."""
    behind = (findings.overloads_behind("wait_days", "lead", scenario.name) for scenario in findings.scenarios)
    return [_overload(found, findings, t) for some in behind for found in some]


def _unsustainable(findings: Findings, indicator: Indicator, scenario: str, t: Phrases) -> str:
    """The verdict on the resources behind a mean of waits, with their places; empty where they are sustainable."""
    behind = findings.overloads_behind(indicator.id, indicator.scope, scenario)
    names = dict.fromkeys(_place(found.facility, findings, t) for found in behind)
    return t("not_sustainable_at", names=t.listed(list(names))) if names else ""


# --------------------------------------------------------------------------------------------------------------- goals


def _goal(findings: Findings, goal: Goal, t: Phrases) -> Fields:
    """A target: each scenario in both years, and its guards."""
    judgements = findings.judgements(goal)
    years = findings.years(goal)
    told = [year for year in years.values() if any(j.of for j in judgements if j.year == year)]
    guarded = told[-1] if told else findings.last_year
    return {
        "name": t.of(CATALOGUE[goal.indicator].name),
        "promise": findings.text(goal, t),
        "scope": t.named(goal.scope),
        "source": _source(goal.target.source, findings, t),
        "matters": _matters(findings, CATALOGUE[goal.indicator], t),
        "years": [
            {
                "label": f"{year} · {t(moment)}",
                "rows": [_row(findings, goal, j, t) for j in judgements if j.moment == moment],
            }
            for moment, year in years.items()
        ],
        "guard_year": guarded,
        "guards": [_guard(findings, indicator, cells, t) for indicator, cells in findings.guards(goal, guarded)],
    }


def _row(findings: Findings, goal: Goal, judgement: Judgement, t: Phrases) -> Fields:
    cell = findings.cell(judgement.scenario, judgement.year, goal.indicator, goal.scope)
    said = {"scenario": _title(findings, judgement.scenario, t), "met": _met(judgement, t), "state": _state(judgement)}
    said["chance"] = _chance(judgement, t)
    return said | _numbers(cell, judgement.scenario == findings.baseline, t)


def _numbers(cell: Cell | None, is_baseline: bool, t: Phrases) -> Fields:
    """A cell as text; a dash for everything that there is not."""
    if cell is None:
        return dict.fromkeys(
            ("value", "interval", "draws", "difference", "difference_interval", "verdict", "tone"), "–"
        ) | {"judged": "", "difference_interval": ""}
    return {
        "value": t.number(cell.mean, cell.unit),
        "interval": t.interval(cell.low, cell.high, cell.unit),
        "draws": t.interval(cell.least, cell.most, cell.unit),
        "difference": t("baseline") if is_baseline else t.difference(cell.difference, cell.unit),
        "difference_interval": "" if is_baseline else _difference_interval(cell, t),
        "verdict": t(cell.verdict) if cell.verdict else "",
        "judged": _judged(cell, t),
        "tone": cell.verdict.replace(" ", "-"),
    }


def _difference_interval(cell: Cell, t: Phrases) -> str:
    low, high = (t.difference(end, cell.unit) for end in (cell.difference_low, cell.difference_high))
    return "" if "–" in (low, high) else t("from_to", low=low, high=high)


def _guard(findings: Findings, indicator: Indicator, cells: Sequence[Cell], t: Phrases) -> Fields:
    rows = [
        {"scenario": _title(findings, cell.scenario, t)}
        | {"unsustainable": _unsustainable(findings, indicator, cell.scenario, t)}
        | _numbers(cell, cell.scenario == findings.baseline, t)
        for cell in cells
    ]
    words = {"name": t.of(indicator.name), "scope": t.named(indicator.scope), "unit": _unit(indicator, t)}
    return words | {"matters": _matters(findings, indicator, t), "rows": rows}


def _matters(findings: Findings, indicator: Indicator, t: Phrases) -> str:
    """From which difference on an indicator matters; empty where nobody says."""
    stated = findings.matters(indicator.id)
    if stated is None:
        return ""
    points = indicator.unit == SHARE
    return t("matters", limit=t.change(stated, SHARE).lstrip("+") if points else t.limit(stated, indicator.unit))


def _unit(indicator: Indicator, t: Phrases) -> str:
    return t.of(indicator.unit)


def _missing(goal: Goal, t: Phrases) -> str:
    known = CATALOGUE.get(goal.indicator)
    why = t.of(known.why_not) if known and known.why_not else t("not computed")
    return t("not_yet", name=t.of(known.name) if known else goal.indicator, why=why)


def _precise(findings: Findings, t: Phrases) -> Iterator[str]:
    """How precise each thing is that had to be."""
    row: Any
    for row in findings.precision.itertuples():
        unit = CATALOGUE[str(row.indicator)].unit
        relative = row.kind == "relative"
        asked, found = (
            t.number(one, SHARE.en) if relative else t.change(one, unit).lstrip("+") for one in (row.asked, row.found)
        )
        said = {
            "name": t.of(CATALOGUE[str(row.indicator)].name), "scope": t.named(str(row.scope)), "year": row.year,
            "scenario": _title(findings, str(row.scenario), t), "of": t(f"precise_{row.of}"), "n": row.replications,
            "asked": t("of_the_mean", share=asked) if relative else asked, "since": row.since,
            "found": t("of_the_mean", share=found) if relative else found,
        }  # fmt: skip
        key = "precise" if row.since is not pd.NA else "imprecise" if row.found == row.found else "undefined"
        yield t(key, **said)


# ------------------------------------------------------------------------------------- luck and assumptions, apart


def _spread(findings: Findings, t: Phrases) -> Fields:
    """What the spread of each target's indicator comes from; of all that matter, where no target is computed."""
    rows = findings.spread
    if rows.empty:
        return {"rows": [], "explain": ""}
    asked = [goal.indicator for goal in _computed(findings)] or list(rows["indicator"])
    each = rows[rows["indicator"].isin(asked)].groupby(["indicator", "scenario", "of"], sort=False)
    told = [_parts(own, findings, t) for _, own in each]
    lucks, draws = int(rows["lucks"].max()), int(rows["draws"].max())
    luck = t("explain_luck", k=lucks) if lucks > 1 else t("no_luck")
    single = t("explain_single") if rows["floor"].notna().any() else t("no_single", n=draws, least=FEWEST)
    return {"rows": told, "explain": t("explain_spread", n=draws, year=rows["period"].iloc[0]) + luck + single}


def _parts(rows: Frame, findings: Findings, t: Phrases) -> Fields:
    """One indicator of one scenario: how far it is spread, what of that is luck, which assumptions stand out."""
    first, meaning = rows.iloc[0], CATALOGUE[str(rows["indicator"].iloc[0])]
    luck, single = rows[rows["part"].eq(LUCK)], rows[rows["part"].ne(LUCK)]
    out = single[single["p"].le(FALSE_ALARM)]
    floor = "" if single.empty else t("below_floor", floor=t.number(single["floor"].iloc[0], SHARE.en))
    return {
        "name": t.of(meaning.name),
        "scenario": _title(findings, str(first["scenario"]), t),
        "of": t(f"precise_{first['of']}"),
        "deviation": t.change(first["deviation"], meaning.unit).lstrip("+"),
        "luck": "–" if luck.empty else t.number(luck["share"].iloc[0], SHARE.en),
        "luck_interval": "" if luck.empty else t.interval(luck["low"].iloc[0], luck["high"].iloc[0], SHARE.en),
        "single": [_part(row, t) for row in out.itertuples()],
        "none": floor if out.empty else "",
    }


def _part(row: Any, t: Phrases) -> Fields:
    """An assumption that stands out, and the way it pulls."""
    way = "rises_with" if row.rank_correlation > 0 else "falls_with"
    way = way if abs(row.rank_correlation) >= ONE_WAY else "both_ways"
    return {"path": row.part, "said": f"{t.number(row.share, SHARE.en)} · {t(way)}"}


# ---------------------------------------------------------------------------------------------------- curve, pictures


def _curve(findings: Findings, t: Phrases) -> Fields:
    """What the line over adherence says in words; nobody asks where no plan has a target for the share."""
    found, goal = findings.adherence(), findings.share_goal()
    if found is None or goal is None:
        return {"asked": goal is not None, "said": t("no_curve"), "explain": ""}
    plan, stated, line = found
    explain = t("explain_curve", scenario=t.titled(plan), year=findings.last_year)
    return {"asked": True, "said": _needed(line, goal, _limits(stated), t), "explain": explain}


def _limits(stated: Assumption) -> tuple[float, float]:
    return float(stated.low or 0.0), float(stated.high if stated.high is not None else 1.0)


def _needed(line: Curve, goal: Goal, limits: tuple[float, float], t: Phrases) -> str:
    low, high = limits
    target, unit = goal.target.limit, CATALOGUE[goal.indicator].unit
    said = {"target": t.limit(target, unit), "low": f"{low:.2f}", "high": f"{high:.2f}"}
    found = line.reaches(target, low, high)
    if found.line is None:
        return t("never", y=t.amount(line.value(high), unit), **said)
    if found.line == low:
        return t("always", **said)
    ends = [t("open_end", x=f"{high:.2f}") if x is None else f"{x:.2f}" for x in (found.earliest, found.latest)]
    return t("needed", target=said["target"], x=f"{found.line:.2f}") + t("needed_band", low=ends[0], high=ends[1])


def _pictures(findings: Findings, t: Phrases) -> dict[str, str]:
    """Name -> SVG of every picture that the results allow."""
    titles = {scenario.name: t.titled(scenario) for scenario in findings.scenarios}
    colour = figures.colours(list(titles), findings.baseline)
    year, goal, found = findings.last_year, findings.share_goal(), findings.adherence()
    names = {cls: t.of(name) for cls, name in CLASSES.items()}
    pictures = {"levels": figures.visits_by_level(findings.comparison, year, titles, t)}
    if not (waits := figures.waits_at_leads(findings.comparison, year)).empty:
        pictures["waits"] = figures.waits_by_class(waits, titles, colour, names, t)
    if goal is not None:
        in_force = dates_in_force(findings.scenarios)
        pictures["months"] = figures.share_by_month(
            findings.monthly, goal, findings.promise(goal, t), titles, colour, in_force, t
        )
    if goal is not None and found is not None:
        plan, stated, line = found
        pictures["curve"] = figures.share_over_adherence(
            line, goal.target.limit, findings.promise(goal, t), colour[plan.name], _limits(stated), t
        )
    return pictures


# --------------------------------------------------------------------------------------------------------------- wards


def _wards(findings: Findings, scenario: Any, t: Phrases) -> Fields:
    """The fullest wards of hospitals in one scenario."""
    rows = findings.wards(scenario.name)
    facilities = findings.results.facilities
    names = dict(zip(facilities["id"], facilities["name" if t.language == "en" else "name_zh"], strict=True))
    told = [
        _ward(row, names[str(row.facility)], t) | {"unsustainable": _ward_verdict(findings, scenario.name, row, t)}
        for row in rows.head(WARDS_TOLD).itertuples()
    ]
    return {"scenario": t.titled(scenario), "rows": told, "first": t("first_wards", n=len(told), of=len(rows))}


def _ward_verdict(findings: Findings, scenario: str, row: Any, t: Phrases) -> str:
    """Why the means of a ward say more about the length of the run than about the ward; empty where they do not."""
    load = findings.overloaded_wards.get((scenario, f"{row.facility}/{row.ward}"))
    if load is not None:
        return t("not_sustainable_load", load=f"{100 * load:.0f}%")
    growing = [(o.scenario, o.facility) for o in findings.overloads if (o.kind, o.resource) == ("backlog", "bed")]
    return t("not_sustainable_beds") if (scenario, str(row.facility)) in growing else ""


def _ward(row: Any, place: str, t: Phrases) -> Fields:
    late = t("p90", value=t.number(row.wait_other_p90, "days")) if row.wait_other_p90 == row.wait_other_p90 else ""
    held = (row.used_held, row.borrowed, row.released)
    return {
        "place": place,
        "ward": t.ward(row.ward),
        "beds": f"{row.beds:,.0f}",
        "occupancy": t.number(row.occupancy, "share"),
        "out": f"{row.discharges + row.moved_on:,.0f}",
        "nights": t.number(row.nights_per_discharge, "days"),
        "turnover": t.number(row.turnover, "times"),
        "wait": t.number(row.wait_other, "days"),
        "late": late,
        "left": f"{row.left:,.0f}",
        "blocked": f"{row.blocked_days_step_down + row.blocked_days_ward:,.0f}",
        "held": " · ".join(f"{number:,.0f}" for number in held) if any(held) else "–",
    }


# --------------------------------------------------------------------------------------------------------------- money

PAYERS = (
    "fund_spending", "patient_spending", "district_top_up", "institution_margin", "fund_outside_share", "own_share",
    "cost_per_visit", "cost_per_discharge", "cost_per_episode",
)  # fmt: skip
"""Indicators that say who pays."""


def _money(findings: Findings, t: Phrases) -> Fields:
    """Who pays in each scenario; empty where care costs nothing."""
    found = {name: _cells(findings, name) for name in PAYERS}
    told = [_guard(findings, CATALOGUE[name], cells, t) for name, cells in found.items() if any(c.mean for c in cells)]
    return {
        "rows": told,
        "explain": t("explain_money", year=findings.last_year, n=findings.replications),
        "budgets": [_budget(row, findings, t) for row in findings.budgets.itertuples()],
        "budgets_title": t("budgets", year=findings.last_year),
        "alarms": [_alarm(alarm, findings, t) for alarm in findings.alarms],
    }


def _cells(findings: Findings, name: str) -> list[Cell]:
    cells = (findings.cell(scenario.name, findings.last_year, name) for scenario in findings.scenarios)
    return [cell for cell in cells if cell is not None and cell.mean == cell.mean]


def _budget(row: Any, findings: Findings, t: Phrases) -> Fields:
    """What became of the budget of a grid in a scenario, in ten thousand yuan."""
    spent = row.spent_group + row.spent_elsewhere + row.spent_outside
    amounts = {
        "budget": row.budget, "public_health": row.public_health, "spent": spent, "away": spent - row.spent_group,
        "balance": row.balance, "share": row.kept - row.borne,
    }  # fmt: skip
    told = {name: t.number(amount / 1e4, "10,000 yuan") for name, amount in amounts.items()}
    return {"scenario": _title(findings, str(row.scenario), t), "grid": _grid(str(row.grid), findings, t)} | told


def _grid(name: str, findings: Findings, t: Phrases) -> str:
    """A medical group in words, as far as the config has any."""
    group = getattr(findings.results.config.network, "groups", {}).get(name)
    return name if group is None else str(group.name if t.language == "en" else group.name_zh)


def _alarm(found: Alarm, findings: Findings, t: Phrases) -> str:
    said = {"scenario": _title(findings, found.scenario, t), "grid": _grid(found.grid, findings, t)}
    months = findings.span.months()
    draws, limit = t("in_draws", k=found.k, n=found.n), t.number(found.threshold, SHARE.en)
    return t(
        "alarm", what=t(f"alarm_{found.what}"), threshold=limit, months=f"{found.months:.1f}", of=months, draws=draws,
        **said,
    )  # fmt: skip


# ---------------------------------------------------------------------------------------------- beds, own and shared


def _pooling(findings: Findings, t: Phrases) -> Iterator[Fields]:
    """How often so many beds would not do, scenario by scenario; nothing where nobody asks."""
    spec = findings.results.config.report.pooling
    for scenario in findings.scenarios if spec else ():
        assert spec is not None
        rows = findings.pooling[findings.pooling["scenario"].eq(scenario.name)]
        yield {
            "scenario": t.titled(scenario),
            "explain": t("explain_pooling", n=findings.replications),
            "wards": [_alone(name, rows, findings, t) for name in spec.wards],
            "together": list(_together(len(spec.wards), rows, t)),
        }


def _alone(name: str, rows: Frame, findings: Findings, t: Phrases) -> Fields:
    """A ward by itself, with what is published of it."""
    own = rows[rows["arrangement"].eq("alone") & rows["ward"].eq(name)]
    numbered = zip(own["own"].tolist(), own.itertuples(), strict=True)
    beds = [{"beds": n, "published": _published(name, n, findings, t)} | _chances(row, t) for n, row in numbered]
    facility, _, ward = name.partition("/")
    return {"name": _place(facility, findings, t), "ward": t.ward(ward), "rows": beds}


def _published(ward: str, beds: int, findings: Findings, t: Phrases) -> Fields:
    """What a publication says of a ward with so many beds: from one number to another, or one number."""
    spec = findings.results.config.report.pooling
    for found in spec.published if spec else ():
        if (found.ward, found.beds) == (ward, beds):
            low, high = (t.limit(end, SHARE) for end in (min(found.delay.value), max(found.delay.value)))
            text = low if low == high else t("from_to", low=low, high=high)
            return {"value": text, "source": _source(found.delay.source, findings, t)}
    return {"value": "", "source": ""}


def _together(wards: int, rows: Frame, t: Phrases) -> Iterator[Fields]:
    """Arrangements in which all beds are shared, or some: a row for each, with what each ward's patients find."""
    for row in rows[rows["arrangement"].eq("shared")].itertuples():
        told = _chances(row, t)
        yield {"own": [0] * wards, "shared": row.shared, "beds": row.shared, "found": [told] * wards}
    partly = rows[rows["arrangement"].eq("partly_shared")]
    for n in range(0, len(partly), wards):
        each = partly.iloc[n : n + wards]
        own, shared = each["own"].tolist(), int(each["shared"].iloc[0])
        found = [_chances(row, t) for row in each.itertuples()]
        yield {"own": own, "shared": shared, "beds": sum(own) + shared, "found": found}


def _chances(row: Any, t: Phrases) -> Fields:
    """Delay and overflow of one row of pooling.csv, as text."""
    told = {name: t.number(getattr(row, name), SHARE.en) for name in ("delay", "overflow")}
    ends = {f"{name}_interval": (getattr(row, f"{name}_low"), getattr(row, f"{name}_high")) for name in told}
    one_in = t("one_in", n=round(1 / row.delay)) if row.delay > 0 else ""
    return told | {name: t.interval(*both, SHARE.en) for name, both in ends.items()} | {"one_in": one_in}


# ------------------------------------------------------------------------------------------ scenarios and their sources


def _scenario(scenario: Any, findings: Findings, t: Phrases) -> Fields:
    meaning = {lever.name: lever for lever in levers()}
    rows = [
        {
            "lever": t.titled(meaning[path]),
            "expected": t.titled(meaning[path], "expected"),
            "value": t.stated(cited.value),
            "unit": cited.unit,
            "since": since.isoformat() if since else "",
            "source": _source(cited.source, findings, t),
        }
        for path, since, cited in citations(scenario.policy)
    ]
    return {
        "name": scenario.name,
        "title": t.titled(scenario),
        "question": t.titled(scenario, "question"),
        "levers": rows,
    }


def _source(source: Source, findings: Findings, t: Phrases) -> str:
    """Who says so, with the title of what is cited."""
    if source.assumption is not None:
        low, high = source.range or source.times or ("", "")
        if source.range is None and source.times is None:
            return t("assumption_bare", reason=source.assumption)
        return t("assumption", low=t.stated(low), high=t.stated(high), reason=source.assumption)
    known = findings.sources
    cited = known.documents.get(source.document or "") or known.data.get(source.data or "")
    if cited is None:
        return str(source)
    title = f"《{cited.title_zh}》" if t.language == "zh" else cited.title
    number = f" {cited.number}" if cited.number else ""
    return f"{title}{number}, {source.clause or source.table}"


def _benchmarks(findings: Findings, t: Phrases) -> Iterator[Fields]:
    """The baseline's base year beside published figures."""
    for benchmark in findings.results.config.report.benchmarks:
        indicator = CATALOGUE[benchmark.indicator]
        cell = findings.cell(findings.baseline, findings.first_year, indicator.id, benchmark.scope, benchmark.variant)
        published, simulated = benchmark.published.value, cell.mean if cell else float("nan")
        unit = indicator.unit_of(benchmark.variant)
        yield {
            "name": t.of(indicator.name) + ("" if t.of(unit) == t.of(indicator.unit) else f" ({t.of(unit)})"),
            "scope": t.named(benchmark.scope),
            "simulated": t.number(simulated, unit.en),
            "published": t.number(published, unit.en),
            "ratio": t.number(simulated / published, "ratio"),
            "off": not 0.8 <= simulated / published <= 1.25,
            "source": _source(benchmark.published.source, findings, t),
            "note": t.titled(benchmark, "note"),
        }


def _assumption(found: Assumption, t: Phrases) -> Fields:
    limits = {"low": t.stated(found.low), "high": t.stated(found.high)}
    spread = "" if found.low is None else t("factor" if found.relative else "from_to", **limits)
    return {
        "path": found.path, "value": t.stated(found.value), "unit": found.unit, "range": spread, "reason": found.reason,
    }  # fmt: skip


def _definition(indicator: Indicator, t: Phrases) -> Fields:
    return {
        "id": indicator.id,
        "name": t.of(indicator.name),
        "unit": t.of(indicator.unit),
        "formula": t.of(indicator.formula),
        "source": indicator.source,
        "scope": indicator.scope,
        "computed": indicator.computed,
        "why_not": t.of(indicator.why_not) if indicator.why_not else "",
    }


def _provenance(results: Results) -> list[tuple[str, str]]:
    """Flat lines of what results follow from; when and how fast they were made is not among them."""
    parts = ((part, told) for part, told in results.provenance.items() if part != "run")
    return [line for part, told in parts for line in _flat(part, told)]


def _flat(name: str, told: Any) -> Iterator[tuple[str, str]]:
    if isinstance(told, dict):
        for key, value in told.items():
            yield from _flat(f"{name} {key}", value)
    else:
        yield name, "–" if told is None else str(told)


# ------------------------------------------------------------------------------------------------------------ terminal


def summary(results: Results) -> str:
    """The targets of a study as a plain table, with what is not sustainable before them."""
    findings, t = Findings(results), Phrases("en")
    lines = [f"! {alarm}" for alarm in _alarms(findings, t)]
    lines += [_overload(found, findings, t) for found in findings.misfits]
    for goal in _computed(findings):
        lines += [
            "",
            f"{CATALOGUE[goal.indicator].name.en}, target {findings.text(goal, t)}",
            *_lines(findings, goal, t),
        ]
    lines += ["", *_precise(findings, t)]
    lines += ["", *(_missing(goal, t) for goal in findings.goals if goal not in _computed(findings))]
    return "\n".join(lines).strip("\n")


def _lines(findings: Findings, goal: Goal, t: Phrases) -> list[str]:
    """One line for each year and scenario, in columns."""
    rows = [(j.year, j.scenario, _row(findings, goal, j, t)) for j in findings.judgements(goal)]
    cells = [
        (y, s, r["value"], r["interval"], r["difference"], r["verdict"], r["met"], r["chance"], r["judged"])
        for y, s, r in rows
    ]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    return ["  " + "  ".join(text.ljust(w) for text, w in zip(cell, widths, strict=True)).rstrip() for cell in cells]
