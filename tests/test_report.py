"""The report: complete, bilingual, escaped, closed to the network, the same bytes again."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from datetime import date
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from analysis.indicators import CATALOGUE, DAYS, SHARE, Text
from analysis.measures import write_tables
from analysis.phrases import LANGUAGES, PHRASES, Phrases
from analysis.report import TEMPLATES, summary, write
from small_study import PLAN, SmallStudy, small_study

PAYLOAD = """<script>alert(1)</script>"'--><img src=x onerror=alert(1)> $\\frac$ {{ 7*7 }}"""


@pytest.fixture(scope="module", autouse=True)
def one_not_computed() -> Iterator[None]:
    """One of the five targets is on an indicator that is known and not computed yet."""
    known, why = (
        CATALOGUE["case_mix_index"],
        Text("case weights are not attached to stays yet", "住院记录尚未附病例权重"),
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(CATALOGUE, "case_mix_index", replace(known, recipe=None, why_not=why))
        yield


def reported(folder: Path, **changes: Any) -> SmallStudy:
    """A made-up study with its tables and report."""
    folder.mkdir(exist_ok=True)
    study = small_study(folder, **changes)
    write_tables(study)  # type: ignore[arg-type]
    write(study)  # type: ignore[arg-type]
    return study


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> SmallStudy:
    return reported(tmp_path_factory.mktemp("small"))


@pytest.fixture(scope="module", params=["report.html", "report.zh.html"])
def page(request: pytest.FixtureRequest, study: SmallStudy) -> str:
    return (study.folder / request.param).read_text("utf-8")


class Outline(HTMLParser):
    """Elements, attributes and visible text of a page."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.elements: list[str] = []
        self.attributes: list[tuple[str, str | None]] = []
        self.words: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append(tag)
        self.attributes += attrs

    def handle_data(self, data: str) -> None:
        if self.elements[-1:] != ["style"]:
            self.words.append(data)

    @property
    def text(self) -> str:
        """All words of the page."""
        return " ".join(" ".join(self.words).split())


# ------------------------------------------------------------------------------------------------------------ contents


def test_the_page_says_what_a_planner_asks(study: SmallStudy) -> None:
    text = Outline((study.folder / "report.html").read_text("utf-8")).text
    assert "What does the plan change?" in text
    assert "Not sustainable" in text
    assert text.index("Not sustainable") < text.index("In short")
    assert "the busiest clinic of City hospital is offered 104%" in text
    assert "of 4 targets computed" in text
    assert re.search(r"Grassroots share of visits: 6\d\.\d% in 2025, against 59\.\d% under", text)
    assert "Not computed yet: Case-mix index" in text
    assert re.search(r"met in \d of 6 draws", text)
    assert "Length of stay of an episode" in text
    assert "The line reaches the target of 65% at an adherence of about 0.4" in text
    assert "1/3 share of slots" in text
    assert "assumption, 0.1 to 0.6: No adherence has been published." in text
    assert "network.minutes_per_km" in text.replace("\u200b", "")


def test_the_chinese_page_speaks_chinese(study: SmallStudy) -> None:
    text = Outline((study.folder / "report.zh.html").read_text("utf-8")).text
    assert "方案会带来什么变化？" in text
    assert "结论摘要" in text
    assert "6 次抽样中" in text
    assert "《中卫市紧密型城市医疗集团建设试点工作方案》" in text
    for english in ("In short", "Grassroots share", "met in", "better", "Scenario"):
        assert english not in text


def test_a_study_that_is_sustainable_says_so_quietly_and_a_quota_that_does_not_fit_is_no_alarm(tmp_path: Path) -> None:
    study = small_study(tmp_path)
    study.tables["loads"]["load"] = 0.5
    half = study.tables["loads"].query("scenario == 'plan' and facility == 'first'")
    both = [
        half.assign(
            point=f"first/general ({name})", resource=f"clinic_{name}", offered=offered, capacity=50.0, load=load
        )
        for name, offered, load in (("held", 10.0, 0.2), ("open", 60.0, 1.2))
    ]
    study.tables["loads"] = pd.concat([study.tables["loads"], *both], ignore_index=True)
    write_tables(study)  # type: ignore[arg-type]
    write(study)  # type: ignore[arg-type]
    text, chinese = (Outline((tmp_path / page).read_text("utf-8")).text for page in ("report.html", "report.zh.html"))
    assert "Not sustainable" not in text
    assert "No service point is offered more than it can do" in text
    assert "the slots open to all in the busiest clinic of City hospital are offered 120%" in text
    assert "the quota is larger than what is referred" in text
    assert "the quota is larger than what is referred" in summary(study)  # type: ignore[arg-type]
    assert "下沉比例大于转诊需求" in chinese


def test_means_of_waits_that_cannot_last_are_marked_where_they_are_printed(tmp_path: Path) -> None:
    """A lead's clinic and a ward of the district hospital under the plan; the lead's list for beds in both."""
    study = small_study(tmp_path)
    second = study.tables["loads"].query("facility == 'second'").assign(resource="ward")
    second["load"] = second["load"].mask(second["scenario"].eq("plan"), 1.125)
    study.tables["loads"] = pd.concat([study.tables["loads"], second], ignore_index=True)
    backlog = study.tables["backlog"]
    last = backlog["month"].map(str).str.startswith("2025-12")
    study.tables["backlog"] = backlog.assign(waiting=backlog["waiting"].where(~last, 500))
    write_tables(study)  # type: ignore[arg-type]
    write(study)  # type: ignore[arg-type]
    page = (tmp_path / "report.html").read_text("utf-8")
    tables, groups = (
        [Outline(part).text for part in re.findall(f"<{kind}>.*?</{kind}>", page, re.DOTALL)]
        for kind in ("table", "tbody")
    )
    waits = {text.count("not sustainable at City hospital") for text in groups if "Days to an appointment" in text[:30]}
    assert waits == {1}, "under the plan alone"
    for_beds = {text.count("not sustainable at City hospital") for text in groups if "Days to a bed" in text[:30]}
    assert for_beds == {2}, "in both"
    beds = [text for text in tables if "District hospital" in text and "Turnover" in text]
    assert [text.count("not sustainable: offered 112% of its beds") for text in beds] == [0, 1]
    assert [text.count("not sustainable: the hospital's list for beds grows") for text in beds] == [1, 1]
    figure = page[page.index("figcaption") :]
    assert "Not sustainable: " in Outline(figure[: figure.index("Beds, ward by ward")]).text
    assert "不可持续：需求为床位能力的 112%" in (tmp_path / "report.zh.html").read_text("utf-8")


def test_an_incomplete_year_is_told_and_not_judged(tmp_path: Path) -> None:
    reported(tmp_path / "a", last=date(2025, 11, 30), replications=2)
    text = Outline((tmp_path / "a" / "report.html").read_text("utf-8")).text
    assert "not judged: year incomplete" in text
    assert "The replications have not drawn an adherence, or are too few for a line." in text


def test_a_study_without_targets_is_still_a_report(tmp_path: Path) -> None:
    reported(tmp_path / "a", targets={}, replications=2)
    text = Outline((tmp_path / "a" / "report.html").read_text("utf-8")).text
    assert "No scenario of this study states a target." in text


def test_the_page_says_who_pays(study: SmallStudy) -> None:
    text = Outline((study.folder / "report.html").read_text("utf-8")).text
    assert "Money: who pays" in text
    assert "nan" not in text.lower().split()
    assert re.search(r"Paid by the district 10,000 yuan · institutions of the area Before the plan 0\.00", text)
    assert (
        "The plan as written, g1: share of the fund's money spent outside the area above 20.0% in 2.0 of 24 months"
        in text
    )
    assert re.search(r"Budgets of medical groups, 2025 .* g1 90\.00 0\.00 80\.00 20\.00 10\.00 6\.00", text)
    assert "费用：谁来付" in Outline((study.folder / "report.zh.html").read_text("utf-8")).text


def test_money_that_says_nothing_is_left_out(tmp_path: Path) -> None:
    study = small_study(tmp_path, replications=2)
    nothing = [name for name in study.tables["money_monthly"] if name.endswith("_fen")]
    study.tables["money_monthly"][nothing] = 0
    write_tables(study)  # type: ignore[arg-type]
    write(study)  # type: ignore[arg-type]
    assert "Money: who pays" not in Outline((tmp_path / "report.html").read_text("utf-8")).text


def test_no_value_is_printed_as_nan(page: str) -> None:
    assert "nan" not in Outline(page).text.lower().split()


# -------------------------------------------------------------------------------------------------- safe, closed, equal


def test_the_page_is_closed_to_the_network_and_runs_nothing(page: str) -> None:
    outline = Outline(page)
    assert "script" not in outline.elements
    assert not {"img", "link", "iframe", "object", "form"} & set(outline.elements)
    assert (
        "content",
        "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'",
    ) in outline.attributes
    outward = [
        v for name, v in outline.attributes if name in ("src", "href", "xlink:href") and not str(v).startswith("#")
    ]
    assert outward == []


def test_what_a_user_writes_is_shown_and_never_obeyed(tmp_path: Path) -> None:
    assumed = {"value": 0.3, "unit": "share of residents", "source": {"assumption": PAYLOAD, "range": [0.1, 0.6]}}
    policy = {"first_contact": {"adherence": {"2024-06-30": assumed}}}
    reported(tmp_path / "a", title=PAYLOAD, title_zh=PAYLOAD, question=PAYLOAD, question_zh=PAYLOAD, policy=policy)
    for name in ("report.html", "report.zh.html", "figures/months.en.svg", "figures/levels.zh.svg"):
        text = (tmp_path / "a" / name).read_text("utf-8")
        outline = Outline(text)
        assert not {"script", "img"} & set(outline.elements), name
        assert not any(attribute.startswith("on") for attribute, _ in outline.attributes), name
    assert "{{ 7*7 }}" in (tmp_path / "a" / "report.html").read_text("utf-8")


def test_the_same_results_give_the_same_bytes(study: SmallStudy, tmp_path: Path) -> None:
    again = reported(tmp_path / "again")
    written = sorted(p.relative_to(study.folder) for p in study.folder.rglob("*") if p.suffix in (".html", ".svg"))
    assert len(written) == 2 + 2 * 4
    for file in written:
        assert (study.folder / file).read_bytes() == (again.folder / file).read_bytes(), file


def test_wall_clock_stays_out(page: str) -> None:
    assert "seconds" not in Outline(page).text
    assert "<dc:date>" not in page


def test_every_glyph_is_there(tmp_path: Path, recwarn: pytest.WarningsRecorder) -> None:
    reported(tmp_path / "a", replications=4)
    assert [str(w.message) for w in recwarn if "Glyph" in str(w.message) or "font" in str(w.message).lower()] == []


# ------------------------------------------------------------------------------------------------------- words, numbers


def test_the_template_uses_phrases_that_exist() -> None:
    template = (TEMPLATES / "report.html.j2").read_text("utf-8")
    used = set(re.findall(r"""\bt\(['"](\w+)['"]""", template))
    assert used
    assert used <= PHRASES.keys()


@pytest.mark.parametrize(
    ("value", "unit", "number", "difference"),
    [
        (0.5834, "share", "58.3%", "+58.34 pp"),
        (7.826, "days", "7.83", "+7.83"),
        (-0.004, "days", "0.00", "0.00"),
        (-0.2, "days", "−0.20", "−0.20"),
        (146597.0, "visits", "146,597", "+146,597"),
        (float("nan"), "days", "–", "–"),
        (None, "days", "–", "–"),
    ],
)
def test_numbers_read_as_a_planner_writes_them(value: float | None, unit: str, number: str, difference: str) -> None:
    t = Phrases("en")
    assert (t.number(value, unit), t.difference(value, unit)) == (number, difference)


def test_limits_are_written_as_documents_write_them() -> None:
    assert [Phrases(language).limit(7.8, DAYS) for language in LANGUAGES] == ["7.8 days", "7.8 天"]
    assert Phrases("en").limit(0.65, SHARE) == "65%"


# ------------------------------------------------------------------------------------------------------------ terminal


def test_the_summary_is_a_plain_table(study: SmallStudy) -> None:
    text = summary(study)  # type: ignore[arg-type]
    assert text.startswith("! The plan as written: the busiest clinic of City hospital is offered 104%")
    assert "Grassroots share of visits, target ≥ 65% by 2024-12-31" in text
    assert re.search(r"2025 +plan +6\d\.\d% .* better +met in \d of 6 draws", text)
    assert "Not computed yet: Case-mix index (case weights are not attached to stays yet)." in text
    assert len(PLAN["targets"]) == 5
