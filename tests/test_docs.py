"""What the documents say stays true: commands, scenario, notebook, rooms, words."""

from __future__ import annotations

import re
import runpy
import shlex
import shutil
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

import sim
from sim import goal, points, policy, warmup
from sim.__main__ import DONE, WRONG_INPUT, _named_study, asked_of, main
from sim.network import Level

HOME = Path(__file__).resolve().parents[1]
ENGLISH, CHINESE = HOME / "README.md", HOME / "README.zh.md"
DOCUMENTS = sorted(
    [*HOME.glob("*.md"), *HOME.glob("docs/*.md"), HOME / "sim" / "README.md", HOME / "scenarios" / "README.md"]
)
ROOMS = sorted(path.stem for path in (HOME / "sim").glob("*.py") if path.stem != "__init__")


def blocks(document: Path, language: str) -> list[str]:
    """The fenced blocks of a language in a document."""
    return re.findall(rf"^```{language}\n(.*?)^```", document.read_text("utf-8"), re.MULTILINE | re.DOTALL)


def commands(document: Path) -> list[str]:
    """Every command line of tiercare that a document shows."""
    return [line for block in blocks(document, "sh") for line in block.splitlines() if line.startswith("tiercare ")]


def first_column(document: Path) -> list[str]:
    """The first cell of each row of a document's tables."""
    return re.findall(r"^\| `?(.+?)`? \|", document.read_text("utf-8"), re.MULTILINE)


@pytest.fixture
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder in which a reader has followed the README: its scenario is written, nothing is simulated."""
    shutil.copytree(HOME / "scenarios", tmp_path / "scenarios")
    (tmp_path / "scenarios" / "my_plan.yaml").write_text(blocks(ENGLISH, "yaml")[0], "utf-8")
    monkeypatch.chdir(tmp_path)
    return tmp_path


# ------------------------------------------------------------------------------------------------------------ commands


@pytest.mark.parametrize("line", [*commands(ENGLISH), *commands(HOME / "scenarios" / "README.md")])
def test_every_command_is_understood(line: str, desk: Path, capsys: pytest.CaptureFixture[str]) -> None:
    _, verb, *words = shlex.split(line)
    if verb == "run":
        study = next(word for word in words if word.startswith("study=")).removeprefix("study=")
        sim.load(study, overrides=[word for word in words if not word.startswith("study=")])
    elif verb == "warmup":
        name, settings = _named_study(words)
        assert list(warmup.both(sim.load(name, overrides=settings))) == ["empty", "overfull"]
    elif verb == "seek":
        name, settings = _named_study(words)
        asked, others = asked_of(settings)
        things = asked.pop("lever").split(",")
        assert len(goal.understood(sim.load(name, overrides=others), asked.pop("target"), things, asked)[2]) == len(
            things
        )
    elif verb == "sweep":
        options = {"--zip", "--dry-run", "--yes-really"}
        asked = points.from_words([word for word in words if word not in options], zipped="--zip" in words)
        assert len(points.load(asked)) > 1
    elif verb == "report":  # of a study that the reader has run
        assert main(["report", *words]) == WRONG_INPUT
        assert "no finished study" in capsys.readouterr().err
    elif verb == "resume":
        assert main(["resume", *words]) == WRONG_INPUT
        assert "nothing to resume" in capsys.readouterr().err
    else:
        assert main([verb, *words]) == DONE


def test_both_languages_show_the_same() -> None:
    assert len(commands(ENGLISH)) > 5
    assert commands(ENGLISH) == commands(CHINESE)
    assert blocks(ENGLISH, "yaml") == blocks(CHINESE, "yaml")
    assert blocks(ENGLISH, "text") == blocks(CHINESE, "text")
    code = [[re.sub(r"\s+#.*", "", block) for block in blocks(document, "python")] for document in (ENGLISH, CHINESE)]
    assert code[0] == code[1]


def test_report_and_run_show_their_help(capsys: pytest.CaptureFixture[str]) -> None:
    for verb in ("run", "report", "seek", "warmup", "sweep"):
        with pytest.raises(SystemExit) as end:
            main([verb, "--help"])
        assert end.value.code == DONE
    assert "study=zhongwei" in capsys.readouterr().out


# ------------------------------------------------------------------------------------------------ scenario and notebook


def test_a_mistake_in_the_scenario_is_told_as_shown(desk: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = desk / "scenarios" / "my_plan.yaml"
    file.write_text(file.read_text("utf-8").replace("held_for_referral", "held_for_referal"), "utf-8")
    assert main(["check", "scenarios/my_plan.yaml"]) == WRONG_INPUT
    assert capsys.readouterr().err.strip() == blocks(ENGLISH, "text")[0].strip()


def test_the_scenario_of_the_scenario_manual_is_well_formed(desk: Path) -> None:
    text = blocks(HOME / "scenarios" / "README.md", "yaml")[0]
    (desk / "scenarios" / "my_plan.yaml").write_text(text, "utf-8")
    sources = desk / "scenarios" / "sources.yaml"
    described = yaml.safe_load(sources.read_text("utf-8"))
    described["documents"]["my-plan-2024"] = {"title": "My plan", "title_zh": "我的方案", "issuer": "We"}
    sources.write_text(yaml.safe_dump(described, allow_unicode=True), "utf-8")
    assert main(["check", "scenarios/my_plan.yaml"]) == DONE


def test_the_notebook_works(desk: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    load = sim.load
    fortnight = {"warmup_from": "2024-07-01", "from": "2024-07-08", "to": "2024-07-21"}

    def briefly(study: str, **changes: Any) -> sim.Config:
        return load(study, horizon=fortnight, replications=2, **changes)

    monkeypatch.setattr(sim, "load", briefly)
    (desk / "notebook.py").write_text(blocks(ENGLISH, "python")[0], "utf-8")
    results = runpy.run_path("notebook.py")["r"]
    assert len(results.indicators) > 0
    assert len(results.comparison) > 0
    assert len(results.visits) > 0


# ------------------------------------------------------------------------------------------------------- map and words


def test_the_map_shows_every_room_on_its_floor() -> None:
    project = tomllib.loads((HOME / "pyproject.toml").read_text("utf-8"))
    floors = project["tool"]["importlinter"]["contracts"][0]["layers"]
    floor = {room: number for number, rooms in enumerate(floors) for room in rooms.split(" : ")}
    shown = [room for room in first_column(HOME / "sim" / "README.md") if room != "room"]
    assert sorted(shown) == ROOMS
    assert [floor[room] for room in shown] == sorted(floor[room] for room in shown)


def test_the_glossary_knows_every_room_and_no_other() -> None:
    text = (HOME / "GLOSSARY.md").read_text("utf-8")
    named = set(re.findall(r"\| `([^`]+)` \|$", text, re.MULTILINE))
    assert set(ROOMS) - {"__main__"} <= named
    assert named <= set(ROOMS) | {path.relative_to(HOME).as_posix() for path in (HOME / "analysis").rglob("*.py")}


def test_the_glossary_has_a_word_in_both_languages_for_each_entry() -> None:
    rows = re.findall(r"^\| (.+?) \| (.+?) \| (.+?) \| `", (HOME / "GLOSSARY.md").read_text("utf-8"), re.MULTILINE)
    assert len(rows) > 50
    for english, chinese, meaning in rows:
        assert re.search(r"[一-鿿]", chinese), english
        assert meaning.strip(), english
    assert len({english for english, *_ in rows}) == len(rows)


def test_the_glossary_names_every_level() -> None:
    text = (HOME / "GLOSSARY.md").read_text("utf-8")
    assert [level.name for level in Level if level.name.replace("_", " ").removesuffix(" centre") not in text] == []


def test_the_number_of_levers_is_the_one_told() -> None:
    number = len(policy.levers())
    assert f"{number} levers" in ENGLISH.read_text("utf-8")
    assert f"{number} 个政策杠杆" in CHINESE.read_text("utf-8")


def test_chinese_sentences_have_chinese_punctuation() -> None:
    titled = ("title_zh", "question_zh", "name_zh")
    files = [*(HOME / "configs").rglob("*.yaml"), *(HOME / "scenarios").glob("*.yaml")]
    read = [yaml.safe_load(file.read_text("utf-8")) for file in files]
    said = [text for data in read for key, text in told(data) if key in titled]
    said += [text for lever in policy.levers() for text in (lever.title_zh, lever.expected_zh)]
    assert len(said) > 100
    assert [text for text in said if re.search(r"[一-鿿）][,;:?!]|[,;:?!][一-鿿]", text)] == []


def told(data: Any) -> Iterator[tuple[str, str]]:
    """Every text of a document, with its key."""
    for key, part in data.items() if isinstance(data, dict) else enumerate(data) if isinstance(data, list) else ():
        if isinstance(part, str):
            yield str(key), part
        yield from told(part)


# --------------------------------------------------------------------------------------------------------------- links


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.relative_to(HOME).as_posix())
def test_links_and_pictures_lead_somewhere(document: Path) -> None:
    for target in re.findall(r"\]\(([^)#\s]+)\)", document.read_text("utf-8")):
        if not target.startswith("http"):
            assert (document.parent / target).exists(), target


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.relative_to(HOME).as_posix())
def test_no_document_names_a_machine(document: Path) -> None:
    assert not re.search(r"(/(home|Users|root|tmp|opt|var)/|localhost|127\.0\.0\.1)", document.read_text("utf-8"))
