"""What of the five policy documents is in the model, how it is there, and what is left out with which reason.

`analysis/coverage.yaml` has one row for each mechanism, each figure of the documents and each ambiguous phrase. Levers
are not written there: they are found by the number of their mechanism, so a new one appears by itself, and what a row
says under `until` is told only as long as it has no lever. `python -m analysis.coverage en` (or `zh`) prints the
table, and scenarios/COVERAGE.md and COVERAGE.zh.md are what it prints.
"""

from __future__ import annotations

import inspect
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any, Literal, get_args

from analysis.indicators import CATALOGUE
from sim.care import CareSpec
from sim.choice import ChoiceSpec
from sim.demand import DemandSpec
from sim.money import MoneySpec
from sim.network import NetworkSpec
from sim.policy import levers
from sim.population import PopulationSpec
from sim.referral import ReferralSpec
from sim.schema import Closed, read_yaml
from sim.timetable import TimetableSpec

Language = Literal["en", "zh"]
Row = dict[str, Any]

FILE = Path(__file__).with_suffix(".yaml")

FACTS: dict[str, type[Closed]] = {
    "network": NetworkSpec, "population": PopulationSpec, "timetable": TimetableSpec, "demand": DemandSpec,
    "choice": ChoiceSpec, "care": CareSpec, "referral": ReferralSpec, "money": MoneySpec,
}  # fmt: skip
"""Groups of facts, in which a path such as network.facilities.wards.kind leads to a field."""

HOW = ("levers", "facts", "indicators")
"""In what a row may be in the model."""

WORDS: dict[Language, dict[str, str]] = {
    "en": {
        "title": "Coverage of the policy documents",
        "about": "Made by `python -m analysis.coverage en` of `analysis/coverage.yaml`, the levers and the catalogue "
        "of indicators; do not edit. Y: an output of the simulation; I: an input or a lever; S: an attribute that is "
        "stated; N: outside a model of patient flow. An indicator stands with the variant that is meant.",
        "mechanisms": "Mechanisms",
        "ambiguities": "Ambiguous phrases, and how they are read",
        "mechanism": "mechanism", "how": "how it is there", "clause": "clause", "what": "what", "figure": "figure",
        "by": "by", "sim": "kind", "phrase": "phrase", "readings": "readings", "row": "row",
        "levers": "levers", "facts": "facts", "indicators": "indicators", "out": "out of scope",
        "until": "out of scope so far", "ruling": "ruling", ": ": ": ", "; ": "; ", ", ": ", ",
    },
    "zh": {
        "title": "政策文件覆盖情况",
        "about": "由 `python -m analysis.coverage zh` 根据 `analysis/coverage.yaml`、政策杠杆和指标目录生成，"
        "请勿手工修改。Y：模拟输出；I：输入或杠杆；S：设定的属性；N：不属于患者流向模型。指标后注明所指口径。",
        "mechanisms": "政策机制",
        "ambiguities": "含义不明的表述及其处理",
        "mechanism": "机制", "how": "实现方式", "clause": "条款", "what": "内容", "figure": "数值",
        "by": "期限", "sim": "类别", "phrase": "表述", "readings": "可能的理解", "row": "编号",
        "levers": "杠杆", "facts": "事实", "indicators": "指标", "out": "不纳入",
        "until": "暂未纳入", "ruling": "处理", ": ": "：", "; ": "；", ", ": "、",
    },
}  # fmt: skip
"""The table's own words."""


@cache
def rows() -> dict[str, dict[str, Row]]:
    """What the file says: documents, mechanisms, rows, ambiguities."""
    return read_yaml(FILE)[0]


@cache
def levers_by_mechanism() -> dict[str, list[str]]:
    """The names of levers by the number of their mechanism."""
    found: dict[str, list[str]] = {}
    for lever in levers():
        found.setdefault(lever.m, []).append(lever.name)
    return found


def how(kind: str, name: str, row: Row) -> dict[str, list[str]]:
    """Levers, facts and indicators of a row; levers by the mechanisms that it names, or is."""
    numbers = [name] if kind == "mechanisms" else row.get("m", [])
    found = [lever for number in numbers for lever in levers_by_mechanism().get(number, [])]
    return {"levers": [*found, *row.get("levers", [])]} | {each: row.get(each, []) for each in HOW[1:]}


# ------------------------------------------------------------------------------------------------------------ mistakes


def mistakes() -> list[str]:
    """What the file names that does not exist, and what it leaves open."""
    unknown = levers_by_mechanism().keys() - rows()["mechanisms"].keys()
    found = [f"{m}: levers have this number, and no mechanism has" for m in sorted(unknown)]
    for kind in ("mechanisms", "rows", "ambiguities"):
        for name, row in rows()[kind].items():
            found += [f"{name}: {text}" for text in (*_strangers(row, how(kind, name, row)), *_gaps(kind, name, row))]
    return found


def _strangers(row: Row, named: dict[str, list[str]]) -> Iterator[str]:
    known = [lever for some in levers_by_mechanism().values() for lever in some]
    yield from (f"{m} is no mechanism" for m in row.get("m", []) if m not in rows()["mechanisms"])
    yield from (f"{lever} is no lever" for lever in named["levers"] if lever not in known)
    yield from (f"{fact} is no fact" for fact in named["facts"] if not is_fact(fact))
    yield from (f"{each} is no indicator" for each in named["indicators"] if not is_indicator(each))


def _gaps(kind: str, name: str, row: Row) -> Iterator[str]:
    texts = [row.get(key, {"en": "x", "zh": "x"}) for key in ("until", "why", "note", "ruling", "readings")]
    if not all(text.get("en") and text.get("zh") for text in [*texts, {"en": row["title"], "zh": row["title_zh"]}]):
        yield "a text is missing in one language"
    there, reason = any(how(kind, name, row).values()), "why" in row
    if kind == "ambiguities":
        if not (there or "ruling" in row):
            yield "neither a variant nor a ruling"
    elif not (there or reason or "note" in row or "until" in row):
        yield "neither in the model nor left out with a reason"
    elif kind == "rows" and set(row["sim"].split("/")) <= {"N", "S"} and not reason:
        yield "it is not simulated, and no reason is given"


def is_fact(path: str) -> bool:
    """Whether a path leads to a field of the facts."""
    part, *names = path.split(".")
    return part in FACTS and _leads(FACTS[part], names)


def _leads(spec: type[Closed], names: list[str]) -> bool:
    if names[0] not in spec.model_fields:
        return False
    inside = _specs(spec.model_fields[names[0]].annotation)
    return len(names) == 1 or any(_leads(one, names[1:]) for one in inside)


def _specs(annotation: Any) -> list[type[Closed]]:
    """Kinds of objects inside a declared type."""
    if inspect.isclass(annotation) and issubclass(annotation, Closed):
        return [annotation]
    return [spec for inner in get_args(annotation) for spec in _specs(inner)]


def is_indicator(name: str) -> bool:
    """Whether the catalogue has an indicator, or its variant after a dot."""
    id, _, variant = name.partition(".")
    return id in CATALOGUE and (not variant or variant in [v.id for v in CATALOGUE[id].variants])


# ----------------------------------------------------------------------------------------------------------- the table


def table(language: Language) -> str:
    """The whole table in one language, as Markdown."""
    words, known = WORDS[language], rows()
    parts = [f"# {words['title']}", words["about"], f"## {words['mechanisms']}"]
    parts.append(_table(language, ("row", "mechanism", "how"), _mechanisms(language)))
    for code, document in known["documents"].items():
        parts.append(f"## {code}{words[': ']}{_titled(document, language)} (`{document['id']}`)")
        parts.append(_table(language, ("row", "clause", "what", "figure", "by", "sim", "how"), _rows(language, code)))
    parts.append(f"## {words['ambiguities']}")
    parts.append(_table(language, ("row", "phrase", "readings", "how"), _ambiguities(language)))
    return "\n\n".join(parts) + "\n"


def _mechanisms(language: Language) -> Iterator[list[str]]:
    for name, row in rows()["mechanisms"].items():
        yield [name, _titled(row, language), _told("mechanisms", name, row, language)]


def _rows(language: Language, code: str) -> Iterator[list[str]]:
    for name, row in rows()["rows"].items():
        if name.startswith(f"{code}-"):
            here = row | {key: row.get(f"{key}_zh", row.get(key)) for key in ("figure", "clause") if language == "zh"}
            told = [here.get(key, "–") for key in ("figure", "by", "sim")]
            yield [name, here["clause"], _titled(row, language), *told, _told("rows", name, row, language)]


def _ambiguities(language: Language) -> Iterator[list[str]]:
    for name, row in rows()["ambiguities"].items():
        told = _told("ambiguities", name, row, language)
        yield [name, _titled(row, language), row["readings"][language], told]


def _told(kind: str, name: str, row: Row, language: Language) -> str:
    """In what a row is there, and what is to be said about it."""
    words, there = WORDS[language], how(kind, name, row)
    said = [_listed(each, names, words) for each, names in there.items() if names]
    said += [row["note"][language]] if "note" in row else []
    said += [f"{words['ruling']}{words[': ']}{row['ruling'][language]}"] if "ruling" in row else []
    if "until" in row and not there["levers"]:
        said += [f"{words['until']}{words[': ']}{row['until'][language]}"]
    if "why" in row:
        said += [row["why"][language] if said else f"{words['out']}{words[': ']}{row['why'][language]}"]
    return words["; "].join(said)


def _listed(each: str, names: list[str], words: dict[str, str]) -> str:
    told = words[", "].join(f"`{name}`" for name in dict.fromkeys(names))
    return f"{words[each]}{words[': ']}{told}"


def _titled(row: Row, language: Language) -> str:
    return str(row["title" if language == "en" else "title_zh"])


def _table(language: Language, heads: tuple[str, ...], lines: Iterator[list[str]]) -> str:
    shown = [[WORDS[language][head] for head in heads], ["---"] * len(heads), *lines]
    return "\n".join(f"| {' | '.join(map(str, cells))} |" for cells in shown)


if __name__ == "__main__":
    sys.stdout.write(table("zh" if sys.argv[1:] == ["zh"] else "en"))
