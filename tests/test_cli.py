"""The front door: what a planner types, what comes back, and with which exit code."""

from __future__ import annotations

import hashlib
import json
import signal
import subprocess
import sys
import time
from functools import partial
from pathlib import Path

import pandas as pd
import pytest

import sim
from sim.__main__ import DONE, FAILED, INTERRUPTED, WRONG_INPUT, main
from sim.results import task_keys
from sim.study import cases

FORTNIGHT = ["horizon.warmup_from=2024-07-01", "horizon.from=2024-07-08", "horizon.to=2024-07-21"]
SMALL = ["run", "study=example", *FORTNIGHT, "replications=2", "execution.pack=1"]


def said(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, str, str]:
    """Exit code, output and complaints of a command."""
    code = main(words)
    out, err = capsys.readouterr()
    return code, out, err


def refused(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    """What is said about a wrong input, of which nothing may be written."""
    code, out, err = said(capsys, *words)
    assert (code, out) == (WRONG_INPUT, "")
    assert "Traceback" not in err
    return err


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty current folder."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small study that was run in this process."""
    folder = tmp_path_factory.mktemp("study") / "out"
    assert main([*SMALL, "execution.workers=1", f"output={folder}"]) == DONE
    return folder


# ---------------------------------------------------------------------------------------------------------------- run


def test_a_study_leaves_tables_reports_and_provenance(done: Path) -> None:
    for name in (
        "indicators.csv", "indicators.parquet", "comparison.csv", "monthly.parquet", "daily.parquet", "provenance.json",
        "study.yaml", "report.html", "report.zh.html", "scenarios/example_before.yaml", "scenarios/example_plan.yaml",
    ):  # fmt: skip
        assert (done / name).stat().st_size > 0, name
    provenance = json.loads((done / "provenance.json").read_text("utf-8"))
    assert provenance["seed"] == 20231102
    assert provenance["replications"] == 2
    assert len(provenance["model"]) == len(provenance["code"]) == 32
    assert provenance["versions"]["simpy"]
    assert provenance["run"]["command"]


def test_results_come_back_from_the_folder(done: Path) -> None:
    results = sim.Results.open(done)
    assert results.config.horizon.to.isoformat() == "2024-07-21"
    assert [scenario.name for scenario in results.scenarios] == ["example_before", "example_plan"]
    assert results.study.baseline == "example_before"
    assert set(results.visits["scenario"]) == {"example_before", "example_plan"}
    assert sorted(results.visits["replication"].unique()) == [0, 1]
    assert not results.stays.empty
    assert {"scenario", "replication", "period", "indicator", "value"} <= set(results.indicators)
    assert {"scenario", "baseline", "verdict"} <= set(results.comparison)
    assert {"id", "level", "role", "group", "ownership", "area", "inside"} <= set(results.facilities)
    assert set(results.tables["visits_monthly"]["facility"]) <= set(results.facilities["id"])


def test_a_study_read_back_asks_for_the_same_tasks(done: Path) -> None:
    config = sim.load("example", overrides=[*FORTNIGHT, "replications=2"])
    again = sim.Results.open(done).config
    assert cases(again) == cases(config)
    assert [task_keys(case, 2) for case in cases(again).values()] == [task_keys(c, 2) for c in cases(config).values()]


def _checksums(folder: Path) -> dict[str, str]:
    files = [path for path in folder.rglob("*") if path.is_file() and path.name != "provenance.json"]
    return {path.relative_to(folder).as_posix(): hashlib.blake2b(path.read_bytes()).hexdigest() for path in files}


def test_another_folder_and_more_workers_give_the_same_bytes(done: Path, tmp_path: Path) -> None:
    assert main([*SMALL, "execution.workers=2", f"output={tmp_path / 'out'}"]) == DONE
    one, two = _checksums(done), _checksums(tmp_path / "out")
    different = {name for name in one.keys() | two.keys() if one.get(name) != two.get(name)}
    assert different == {"study.yaml", "begun.json"}  # they say how many workers there were


def test_a_second_run_finds_everything_done(done: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = _checksums(done)
    code, out, err = said(capsys, *SMALL, "execution.workers=1", f"output={done}")
    assert code == DONE
    assert "4 of 4 tasks are finished already." in err
    assert "report.html" in out
    assert _checksums(done) == before


def test_a_report_can_be_written_anew(done: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = _checksums(done)
    (done / "report.html").unlink()
    assert said(capsys, "report", str(done))[0] == DONE
    assert _checksums(done) == before


def test_a_damaged_study_gets_no_report(done: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    victim = next((done / "tasks").glob("*/visits_daily.parquet"))
    whole = victim.read_bytes()
    victim.write_bytes(whole[:-1])
    try:
        code, _, err = said(capsys, "report", str(done))
    finally:
        victim.write_bytes(whole)
    assert code == FAILED
    assert "visits_daily.parquet is damaged" in err


def test_a_variation_is_said_in_the_scenario(here: Path) -> None:
    overrides = ["vary.example_plan.first_contact.adherence=0.5"]
    plan = sim.load("example", overrides=overrides).scenarios[1]
    cited = plan.resolved()["policy"]["first_contact"]["adherence"]
    assert all(entry["value"] == 0.5 and "varied" in entry["source"] for entry in cited.values())


# -------------------------------------------------------------------------------------------------------- wrong input


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        (["study=exampel"], "Did you mean example?"),
        ([], "study=NAME is missing"),
        (["study=example", "study=zhongwei"], "more than once"),
        (["study=example", "replicatons=2"], "Did you mean replications?"),
        (["study=example", "replications=many"], "replications"),
        (["study=example", "replications=0"], "replications"),
        (["study=example", "seed=true"], "seed"),
        (["study=example", "horizon.to=2023-01-01"], "earlier than from"),
        (["study=example", "horizon.to=2024-02-31"], "horizon > to"),
        (["study=example", "vary.example_plan.first_contact.adherance=0.5"], "Did you mean first_contact.adherence?"),
        (["study=example", "vary.example_plan.slot_quota.held_for_referral=33"], "held_for_referral"),
        (["study=example", "hydra.run.dir=/tmp"], "Hydra"),
        (["study=example", "report._target_=os.system"], "report"),
        (["study=example", "study.title=${oc.env:HOME}"], "nothing from outside"),
    ],
)
def test_a_wrong_setting_is_refused_before_anything_is_written(
    here: Path, capsys: pytest.CaptureFixture[str], settings: list[str], words: str
) -> None:
    assert words in refused(capsys, "run", *(settings or ["replications=2"]))
    assert not list(here.iterdir())


def test_all_problems_are_told_at_once(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    err = refused(capsys, "run", "study=example", "replications=-1", "seed=-1", "recrod=days")
    assert all(word in err for word in ("replications", "seed", "Did you mean record?"))


def test_loads_are_told_before_anything_is_simulated(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Every place and both halves of every quota, in numbers that make the load; nothing is written."""
    code, lines, _ = said(capsys, "loads", "study=example", "--all")
    assert code == DONE
    rows = json.loads(said(capsys, "loads", "study=example", "--all", "--json")[1])
    assert len(rows) == len(lines.splitlines()) - 1
    assert all(row["load"] == pytest.approx(row["offered"] / row["capacity"], abs=1e-5) for row in rows)
    halves = [row for row in rows if row["resource"].endswith(("_held", "_open"))]
    assert {row["scenario"] for row in halves} == {"example_plan"}
    assert {row["scenario"] for row in rows if row not in halves} == {""}  # the same in both
    whole = {row["point"]: row["capacity"] for row in rows}
    held = {row["point"]: row["capacity"] for row in halves}
    for point in {name.rpartition(" ")[0] for name in held}:
        assert held[f"{point} (held)"] + held[f"{point} (open)"] == pytest.approx(whole[point], rel=0.2)
    wrong = said(capsys, "loads", "study=exampel")
    assert wrong[0] == WRONG_INPUT
    assert "Did you mean example?" in wrong[2]
    assert not list(here.iterdir())


def test_a_run_begins_with_what_is_offered_too_much(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, _, err = said(capsys, *SMALL[:2], *FORTNIGHT, "replications=1", f"output={tmp_path / 'out'}")
    assert code == DONE
    assert err.startswith("Places before the run: ")


def test_a_foreign_folder_is_refused(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (here / "thesis.docx").write_text("")
    assert "no study of tiercare" in refused(capsys, "run", "study=example", f"output={here}")


def test_a_folder_without_a_study_has_no_report(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert "no finished study" in refused(capsys, "report", str(here))


def test_a_broken_scenario_is_told_with_file_and_line(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (here / "broken.yaml").write_text("name: broken\ntitle: A\ntitle_zh: 甲\npolicy:\n  slot_qota: {}\n")
    err = refused(capsys, "check", "broken.yaml")
    assert "broken.yaml has 1 problem:\n  line 5: policy > slot_qota" in err
    assert "Did you mean slot_quota?" in err


def test_what_is_shipped_has_no_problems(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert said(capsys, "check") == (DONE, "No problems found.\n", "")


# --------------------------------------------------------------------------------------------------------------- lists


@pytest.mark.parametrize(
    ("what", "name"),
    [
        ("studies", "zhongwei"),
        ("scenarios", "zhongwei_plan"),
        ("levers", "slot_quota.held_for_referral"),
        ("indicators", "grassroots_visit_share"),
    ],
)
def test_lists_for_people_and_for_programs(capsys: pytest.CaptureFixture[str], what: str, name: str) -> None:
    code, lines, _ = said(capsys, "list", what)
    assert code == DONE
    assert any(line.startswith(f"{name} ") for line in lines.splitlines())
    assert what != "levers" or "M04  Outpatient slots held for referred patients  下沉门诊号源比例" in lines
    entries = json.loads(said(capsys, "list", what, "--json")[1])
    assert len(entries) == len(lines.splitlines())
    assert all(entry["name"] and entry["title"] and entry["title_zh"] for entry in entries)


@pytest.mark.parametrize("words", [["--help"], ["--version"], ["run", "--help"]])
def test_help_and_version(capsys: pytest.CaptureFixture[str], words: list[str]) -> None:
    with pytest.raises(SystemExit) as exit_:
        main(words)
    assert exit_.value.code == DONE
    assert "tiercare" in capsys.readouterr().out


@pytest.mark.parametrize("words", [[], ["rnu"], ["list", "levels"]])
def test_an_unknown_verb_is_wrong_input(capsys: pytest.CaptureFixture[str], words: list[str]) -> None:
    with pytest.raises(SystemExit) as exit_:
        main(words)
    assert exit_.value.code == WRONG_INPUT


@pytest.mark.parametrize("words", [["--help"], ["--version"], ["rnu"], ["list", "levers"]])
def test_help_and_mistakes_do_not_wait_for_the_simulation(words: list[str]) -> None:
    done = subprocess.run([sys.executable, "-X", "importtime", "-m", "sim", *words], capture_output=True, text=True)
    imported = {line.rpartition("|")[2].strip() for line in done.stderr.splitlines() if line.startswith("import time:")}
    assert "argparse" in imported
    assert not imported & {"numpy", "scipy", "pandas", "pyarrow", "hydra", "matplotlib", "numba", "simpy", "loky"}


# --------------------------------------------------------------------------------------------------------- interrupted


@pytest.mark.parametrize("workers", [1, 2])
def test_an_interruption_keeps_finished_tasks(tmp_path: Path, workers: int) -> None:
    folder = tmp_path / "out"
    words = [*SMALL, "replications=6", "horizon.to=2024-08-31", f"execution.workers={workers}", f"output={folder}"]
    command = [sys.executable, "-m", "sim", *(word for word in words if word != "replications=2")]
    heeds = partial(signal.signal, signal.SIGINT, signal.default_int_handler)  # it may be ignored where tests run
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, preexec_fn=heeds)
    assert process.stderr is not None
    first = next(line for line in process.stderr if not line.startswith("Places before the run"))
    process.send_signal(signal.SIGINT)
    began = time.monotonic()
    err = process.communicate(timeout=60)[1]
    assert first.endswith("done.\n")
    assert process.returncode == INTERRUPTED
    assert time.monotonic() - began < 10
    assert err.splitlines()[-1] == "Interrupted. Finished tasks are kept; the same command goes on from there."
    assert not (folder / "indicators.csv").exists()
    finished = [task for task in (folder / "tasks").iterdir() if not task.name.startswith(".")]
    assert finished
    assert all((task / "manifest.json").is_file() for task in finished)


def test_numbers_in_the_tables_are_numbers(done: Path) -> None:
    indicators = pd.read_csv(done / "indicators.csv")
    assert indicators["value"].isin([float("inf"), float("-inf")]).sum() == 0
    assert indicators.duplicated(["scenario", "replication", "period", "indicator", "scope", "variant"]).sum() == 0


def test_a_reader_who_has_heard_enough_is_no_error() -> None:
    told = subprocess.Popen(
        [sys.executable, "-m", "sim", "list", "levers"], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    assert told.stdout
    assert told.stderr
    told.stdout.close()
    assert (told.stderr.read(), told.wait()) == (b"", DONE)
