"""Sweeps: which points are asked for, what they share, and what is written of them."""

from __future__ import annotations

import re
import runpy
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

import sim
from sim import compose, estimate, experiment, past, points, readers, study
from sim.__main__ import DONE, WRONG_INPUT, main
from sim.execution import Engine, Progress
from sim.experiment import SomeFailed
from sim.progress import Bar, heard
from sim.schema import InputError
from sim.swept import Swept

HOME = Path(__file__).resolve().parents[1]
SLOTS = "vary.example_plan.slot_quota.held_for_referral"
BEDS = "vary.example_plan.bed_quota.held_for_referral"
BRIEF = [
    "horizon.warmup_from=2024-12-01", "horizon.from=2024-12-09", "horizon.to=2024-12-31", "replications=2",
    "execution.workers=1",
]  # fmt: skip
"""Long enough for the targets of the example to have a value."""


def asked(*words: str, **options: Any) -> points.Asked:
    """What a command line asks for."""
    return points.from_words(words, **options)


def told(*words: str, **options: Any) -> list[str]:
    """Everything that is wrong with a command line."""
    with pytest.raises(InputError) as error:
        points.load(asked(*words, **options))
    return [f"{problem.path}: {problem.text}" for problem in error.value.problems]


# ------------------------------------------------------------------------------------------------------------- grammar


@pytest.mark.parametrize(("written", "values"), [
    ("0,1/3,33 %,0.5", [0, "1/3", "33 %", 0.5]),
    ("range(0,1,0.25)", [0.0, 0.25, 0.5, 0.75]),
    ("choice(a,'b,c')", ["a", "b,c"]),
    ("甲,乙 丙", ["甲", "乙 丙"]),
    ("choice(甲,\"乙,丙\")", ["甲", "乙,丙"]),
    ("[a,b],[c]", [["a", "b"], ["c"]]),
    ("sort(3,1,2)", [1, 2, 3]),
    ("0.5", None),
    ("甲", None),
])  # fmt: skip
def test_values_are_written_as_hydra_writes_them(written: str, values: list[Any] | None) -> None:
    assert compose.values(f"key={written}", 100) == values
    for value in values or ():
        assert compose.value(compose.written("key", value)) == value


def test_patterns_are_for_groups_of_files() -> None:
    assert compose.values("network=glob(e*)", 100) == ["example"]
    for wrong in ("key=glob(*)", "network=glob(q*)", "key=interval(0,1)", "key=shuffle(1,2)", "key=range(0,1,0)"):
        with pytest.raises(InputError):
            compose.values(wrong, 100)


def test_grid_zip_and_points() -> None:
    grid = asked("study=example", "a=1,2", "b=x,y,z", "replications=3")
    assert (grid.settings, grid.number()) == (("replications=3",), 6)
    assert list(grid.rows())[:4] == [{"a": 1, "b": b} for b in "xyz"] + [{"a": 2, "b": "x"}]
    zipped = asked("study=example", "a=1,2", "b=x,y", zipped=True)
    assert list(zipped.rows()) == [{"a": 1, "b": "x"}, {"a": 2, "b": "y"}]
    listed = asked("study=example", "a=1,2", listed=["a=3 b='x y'"])
    assert list(listed.rows()) == [{"a": 1}, {"a": 2}, {"a": 3, "b": "x y"}]
    assert listed.keys == ["a", "b"]


def test_everything_wrong_with_a_question_is_told_at_once() -> None:
    assert told("study=example", "seed=1,2", "execution.workers=1,2", "output=a,b", "replications=1,2") == [
        "seed: This key is not varied. All points are compared on the same luck; give one seed.",
        "execution.workers: This key is not varied. Results do not depend on it.",
        "output: This key is not varied. All points lie in the folder of the sweep; give one output.",
        "replications: This key is not varied. All points have the same replications, or they could not be compared.",
    ]
    assert "have equally many values; a has 2, b has 3" in told("study=example", "a=1,2", "b=1,2,3", zipped=True)[0]
    assert "Nothing is varied" in told("study=example", "replications=2")[0]
    assert "study=NAME is missing" in told("a=1,2")[0]
    assert "Did you mean example_levers?" in told("example_lever")[0]


def test_all_points_are_checked_before_the_first_is_simulated() -> None:
    found = told("study=example", f"{SLOTS}=0,1/2,70", "vary.example_plan.slot_quota.held_for_referal=0,1", "sed=4")
    assert any("Did you mean slot_quota.held_for_referral?" in text for text in found)
    assert any("Did you mean seed?" in text for text in found)
    assert any("70 is more than 1" in text for text in told("study=example", f"{SLOTS}=0,1/2,70"))


def test_a_sweep_does_not_go_on_until_it_is_precise() -> None:
    words = [f"{SLOTS}=0,1/2", *BRIEF, "precision.at_most=40", "precision.indicators.wait_days={half_width: 1}"]
    with pytest.raises(InputError, match="the same replications"):
        experiment.plan(asked("study=example", "uncertainty=luck", *words))


def test_a_mistake_in_a_file_is_told_with_its_line(tmp_path: Path) -> None:
    file = tmp_path / "mine.yaml"
    file.write_text(f"study: example\nsettings: [replications=2]\ngrid:\n  - {SLOTS}=0,70\n  - seed=1,2\n", "utf-8")
    with pytest.raises(InputError, match=r"line 5: seed\n    This key is not varied"):
        asked(str(file))
    file.write_text(f"study: example\ngrid:\n  - {SLOTS}=0,70\n", "utf-8")
    with pytest.raises(InputError, match=r"line 3: policy > slot_quota > held_for_referral .*\n    70 is more than 1"):
        points.load(asked(str(file)))
    file.write_text("study: example\ngird: []\n", "utf-8")
    with pytest.raises(InputError, match=r"Did you mean grid\?"):
        asked(str(file))


def test_the_command_line_has_the_last_word_over_a_file() -> None:
    ours = asked("example_levers", "replications=9", f"{BEDS}=0,1/2,1")
    assert ours.settings == ("replications=9",)
    assert dict(ours.grid)[BEDS] == [0, "1/2", 1]
    assert dict(ours.grid)["vary.example_plan.first_contact.adherence"] == [0.1, 0.3, 0.6]


def test_experiment_files_that_come_along_are_sound() -> None:
    for name, file in compose.shelves().options(points.GROUP).items():
        assert len(points.load(asked(name))) > 1
        assert main(["check", str(file)]) == DONE


def test_experiment_files_are_listed(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["list", "sweeps"]) == DONE
    assert "example_levers  How much advice, how many held beds?" in capsys.readouterr().out


def test_points_that_say_the_same_are_one_and_facts_are_composed_once(monkeypatch: pytest.MonkeyPatch) -> None:
    composed: list[Any] = []
    once = compose._composed
    monkeypatch.setattr(compose, "_composed", lambda *args: composed.append(args) or once(*args))
    found = points.load(asked("study=example", f"{SLOTS}=0,1/2,0.5,50 %", "record=days"))
    assert [point.row[SLOTS] for point in found] == [0, "1/2"]
    assert [point.name for point in found] == ["p001", "p002"]
    assert len(composed) == 1
    one, other = (point.config for point in found)
    assert one.network is other.network
    assert one.scenarios[0] is other.scenarios[0]


def test_whatever_a_study_says_may_be_varied() -> None:
    found = points.load(asked("study=example", "horizon.to=2024-12-30,2024-12-31", "uncertainty=luck,assumptions"))
    assert [(point.config.horizon.to.day, point.config.uncertainty) for point in found] == [
        (30, "luck"), (30, "assumptions"), (31, "luck"), (31, "assumptions"),
    ]  # fmt: skip


# ----------------------------------------------------------------------------------------------------------- simulated


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder for sweeps."""
    return tmp_path_factory.mktemp("sweeps")


@pytest.fixture(scope="module")
def swept(home: Path) -> Swept:
    """Four points of the fictional town."""
    words = ["study=example", f"{SLOTS}=0,1/2", f"{BEDS}=0,1/4", *BRIEF, f"output={home / 'four'}"]
    return experiment.run(asked(*words))


def test_tables_stand_side_by_side(swept: Swept) -> None:
    assert swept.points["point"].tolist() == ["p001", "p002", "p003", "p004"]
    assert swept.points[SLOTS].tolist() == [0, 0, 0.5, 0.5]
    for frame in (swept.indicators, swept.comparison, swept.draws):
        assert frame.columns[:3].tolist() == ["point", SLOTS, BEDS]
        assert frame.groupby([SLOTS, BEDS], observed=True)["point"].nunique().tolist() == [1, 1, 1, 1]
    keys = ["scenario", "replication", "period", "indicator", "scope", "variant"]
    for name, rows in swept.indicators.groupby("point", observed=True):
        own = rows.drop(columns=["point", *swept.keys]).reset_index(drop=True)
        pd.testing.assert_frame_equal(own, swept.point(str(name)).indicators)
        assert not own.duplicated(keys).any()
    targets = pd.read_csv(swept.folder / "targets.csv")
    assert len(targets) == 4 * 2 * 2, "points x targets x scenarios"
    assert targets["of"].eq(2).all()


def test_the_baseline_is_simulated_once_for_all_points(swept: Swept) -> None:
    tasks = pd.concat([swept.point(name).tasks for name in swept.finished])
    assert tasks.groupby("scenario")["task"].nunique().to_dict() == {"example_before": 2, "example_plan": 8}
    assert len(list((swept.folder / "tasks").iterdir())) == 10


def test_a_point_is_what_its_command_simulates(swept: Swept, home: Path) -> None:
    _, verb, name, *overrides = swept.points["command"][2].split()
    assert (verb, name) == ("run", "study=example")
    config = sim.load("example", overrides=overrides)
    results = study.finish(study.open_folder(home / "alone"), config, study.cases(config))
    readers.reader("measures")(results)
    point = swept.point("p003")
    assert results.tasks.equals(point.tasks)
    pd.testing.assert_frame_equal(results.indicators, point.indicators)
    pd.testing.assert_frame_equal(results.comparison, point.comparison)
    pd.testing.assert_frame_equal(results.draws, point.draws)
    assert point.config.model_dump(exclude={"output"}) == results.config.model_dump(exclude={"output"})


def test_open_knows_a_sweep_from_a_study(swept: Swept, home: Path) -> None:
    assert isinstance(sim.open(home / "four"), sim.Swept)
    assert isinstance(sim.open(home / "four" / "points" / "p001"), sim.Results)
    with pytest.raises(InputError, match="no finished study"):
        sim.open(home)
    with pytest.raises(KeyError, match=r"Did you mean p001\?"):
        swept.point("p01")


def never(*_: Any) -> Iterator[Any]:
    """Must not be asked."""
    raise AssertionError("nothing is left to simulate")


def test_what_is_finished_is_neither_simulated_nor_measured_again(
    swept: Swept, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = sorted(path for path in swept.folder.rglob("*") if path.is_file() and path.name != "provenance.json")
    before = {path: path.read_bytes() for path in files}
    monkeypatch.setattr("analysis.sweep.measure", never)
    words = ["study=example", f"{SLOTS}=0,1/2", f"{BEDS}=0,1/4", *BRIEF, f"output={swept.folder}"]
    said: list[str] = []
    experiment.run(asked(*words), engine=Engine(never, past.together, past.days), say=said.append)
    assert "10 tasks, 10 of them finished; 0 days to simulate" in said[0]
    assert {path: path.read_bytes() for path in files} == before, "the same command gives the same bytes"


def test_a_point_that_fails_does_not_stop_the_others(swept: Swept, home: Path) -> None:
    bad = "0.3"

    def simulate(cases: Any, replications: list[int], progress: Any = None) -> Any:
        held = (str(case.policy.slot_quota.held_for_referral) for case in cases.values())
        if any("3, 10" in text for text in held):
            raise ZeroDivisionError("no doctors")
        yield from past.simulate(cases, replications, progress)

    words = ["study=example", f"{SLOTS}=0,1/2,{bad}", *BRIEF, f"{BEDS}=0", f"output={home / 'failing'}"]
    with pytest.raises(SomeFailed, match="1 of 3 points failed") as trouble:
        experiment.run(asked(*words), engine=Engine(simulate, past.together, past.days))
    assert f"tiercare run study=example {' '.join(BRIEF)} {BEDS}=0 {SLOTS}=0.3" in str(trouble.value)
    assert "ZeroDivisionError: no doctors" in str(trouble.value)
    found = Swept.open(home / "failing")
    assert found.points["state"].tolist() == ["finished", "finished", "failed"]
    assert set(found.indicators["point"]) == {"p001", "p002"}
    assert "no doctors" in (found.folder / study.FAILED).read_text("utf-8")
    assert "1 points could not be finished" in (found.folder / "report.html").read_text("utf-8")
    with pytest.raises(KeyError, match="It failed"):
        found.point("p003")


def test_the_pages_say_the_same_in_both_languages(swept: Swept) -> None:
    pages = [(swept.folder / name).read_text("utf-8") for name in ("report.html", "report.zh.html")]
    for page in pages:
        assert page.count("<svg") == 3, "what each lever does, and both together"
        assert not re.search(r"(src|href)=.(http|//|data:)|<script|@import|<image", page), "it stands alone"
        for name in swept.finished:
            assert f'<a href="points/{name}/">{name}</a>' in page
    assert "not judged" in pages[0], "a month is no year"
    assert "未评判" in pages[1]
    names = sorted(path.name for path in (swept.folder / "figures").iterdir())
    assert names == sorted(
        f"{name}.{language}.svg"
        for name in ("map_example_plan", "response_example_plan_1", "response_example_plan_2")
        for language in ("en", "zh")
    )


def test_targets_are_counted_where_the_year_is_whole(swept: Swept, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        patch.setattr("analysis.ledger.Span.complete", lambda span, year: True)
        readers.reader("sweep")(swept)
        page, targets = (swept.folder / "report.html").read_text("utf-8"), pd.read_csv(swept.folder / "targets.csv")
    values = swept.indicators[swept.indicators["variant"].eq("headline")]
    for row in targets.itertuples():
        own = values[values["point"].eq(row.point) & values["scenario"].eq(row.scenario)]
        own = own.loc[own["indicator"].eq(row.indicator) & own["scope"].eq(row.scope), "value"]
        met = (own >= row.at_least) if row.at_least == row.at_least else (own <= row.at_most)
        assert (row.met, row.of) == (met.sum(), 2)
        assert row.mean == pytest.approx(own.mean())
        if row.scenario == "example_plan":
            assert f"met in {row.met} of 2 draws" in page
    readers.reader("sweep")(swept)


def test_a_sweep_leaves_a_study_alone(home: Path, swept: Swept) -> None:
    point = swept.folder / "points" / "p001"
    words = ["study=example", f"{SLOTS}=0,1/2", *BRIEF, f"output={point}"]
    with pytest.raises(InputError, match="This folder holds a study"):
        experiment.run(asked(*words))
    with pytest.raises(InputError, match="This folder holds a sweep"):
        study.run(sim.load("example", output=str(swept.folder)))


# ----------------------------------------------------------------------------------------------------- before it begins


def test_a_dry_run_says_what_is_ahead_and_writes_nothing(
    home: Path, swept: Swept, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["sweep", "study=example", f"{SLOTS}=0,1/2,1", *BRIEF, f"output={home / 'dry'}", "--dry-run"]
    assert main(words) == DONE
    said = capsys.readouterr().out
    assert "3 points, 4 different scenarios, 8 tasks, 0 of them finished; 248 days to simulate." in said
    assert "by a rehearsal of 21 days" in said
    assert not (home / "dry").exists()


def test_what_is_too_much_is_refused_unless_it_is_meant(
    home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["sweep", "study=example", f"{SLOTS}=range(0,1,0.00001)"]) == WRONG_INPUT
    assert "There would be 10,001 points or more; up to 10,000 are simulated. --yes-really" in capsys.readouterr().err
    ahead = experiment.plan(asked("study=example", f"{SLOTS}=0,1/2", *BRIEF, f"output={home / 'four'}")).ahead
    assert list(ahead.refused()) == []
    assert len(list(replace(ahead, tasks=20_000, seconds=1e6, free=0, finished=0).refused())) == 3
    monkeypatch.setattr(estimate, "TASKS", 3)
    words = ["sweep", "study=example", f"{SLOTS}=0,1/2", *BRIEF, f"output={home / 'large'}"]
    assert main([*words, f"{BEDS}=0"]) == WRONG_INPUT
    assert "6 tasks are more than 3. --yes-really" in capsys.readouterr().err
    assert not (home / "large").exists()


def test_an_earlier_run_tells_the_pace(swept: Swept, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(estimate, "WORTH", 0)
    words = ["study=example", f"{SLOTS}=0,1/2,1", f"{BEDS}=0,1/4", *BRIEF, f"output={swept.folder}"]
    ahead = experiment.plan(asked(*words)).ahead
    assert (ahead.tasks, ahead.finished) == (14, 10)
    assert ahead.pace.told.startswith("what was simulated in ")
    assert ahead.seconds > 0
    sizes = [sum(file.stat().st_size for file in task.iterdir()) for task in (swept.folder / "tasks").iterdir()]
    assert min(sizes) <= ahead.pace.size <= max(sizes)


# -------------------------------------------------------------------------------------------------------------- Python


def test_python_asks_for_the_same_points(swept: Swept, home: Path) -> None:
    found = sim.sweep(
        "example",
        vary={"example_plan.slot_quota.held_for_referral": [0, "1/2"]},
        grid={BEDS: "0,1/4"},
        overrides=BRIEF,
        output=str(swept.folder),
        progress=False,
    )
    assert found.points.equals(swept.points)


def test_progress_is_shown_where_somebody_looks_on(monkeypatch: pytest.MonkeyPatch) -> None:
    quiet = Progress()
    assert heard(quiet) is quiet
    assert not isinstance(heard(None), Bar)
    assert not isinstance(heard(False), Bar)
    assert isinstance(heard(True), Bar)
    monkeypatch.setattr("sim.progress.is_watched", lambda: True)
    assert isinstance(heard(None), Bar)
    assert not isinstance(heard(False), Bar)


def test_the_snippet_of_the_readme_works(swept: Swept, monkeypatch: pytest.MonkeyPatch) -> None:
    sweep, block = sim.sweep, re.findall(r"```python\n(.*?)```", (HOME / "README.md").read_text("utf-8"), re.DOTALL)[1]

    def briefly(study: str, **wanted: Any) -> Swept:
        overrides = [*BRIEF, "horizon.to=2024-12-12", f"output={swept.folder.parent / 'snippet'}"]
        return sweep(study, overrides=overrides, **wanted)

    monkeypatch.setattr(sim, "sweep", briefly)
    (swept.folder.parent / "snippet.py").write_text(f"import sim\n{block}", "utf-8")
    found = runpy.run_path(str(swept.folder.parent / "snippet.py"))["s"]
    assert found.points["point"].tolist() == ["p001", "p002", "p003"]
    assert found.indicators["point"].nunique() == 3
