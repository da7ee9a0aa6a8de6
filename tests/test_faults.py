"""What goes wrong where programs run: processes are killed, disks fill up, files are edited meanwhile. Nothing is lost.

Each fault is staged for real, by killing, filling, flipping; numbers in brackets are those of the table in DESIGN.md.
"""

from __future__ import annotations

import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

import sim
from sim import begun, study
from sim.__main__ import DONE, INTERRUPTED, WRONG_INPUT, main

FORTNIGHT = ["horizon.warmup_from=2024-07-01", "horizon.from=2024-07-08", "horizon.to=2024-07-21"]
STUDY = ["run", "study=example", *FORTNIGHT, "replications=4", "execution.pack=1", "execution.workers=2"]
TIME_ALONE = {"provenance.json"}
"""Files that know the time."""


def contents(folder: Path) -> dict[str, bytes]:
    """Every file below a folder, those aside that know the time."""
    files = [path for path in folder.rglob("*") if path.is_file() and path.name not in TIME_ALONE]
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}


def finished(folder: Path) -> dict[str, int]:
    """Finished tasks, and when each was."""
    manifests = [path for path in (folder / "tasks").glob("*/manifest.json") if path.parent.name[0] != "."]
    return {path.parent.name: path.stat().st_mtime_ns for path in manifests}


def begin(folder: Path, *more: str, words: list[str] = STUDY) -> subprocess.Popen[str]:
    """A command in a process of its own, in which interruptions are heeded."""
    heeds = partial(signal.signal, signal.SIGINT, signal.default_int_handler)  # it may be ignored where tests run
    command = [sys.executable, "-m", "sim", *words, f"output={folder}", *more]
    return subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True, preexec_fn=heeds)


def begun_work(process: subprocess.Popen[str]) -> None:
    """Wait until a command has finished its first pack."""
    assert process.stderr
    assert any(line.endswith("done.\n") for line in process.stderr)


def below(process: int) -> list[int]:
    """The processes that a process has started, and those that they have."""
    stats = [path.read_text("utf-8", "replace") for path in Path("/proc").glob("[0-9]*/stat") if path.exists()]
    pairs = [(int(s.split()[0]), int(s.rpartition(")")[2].split()[1])) for s in stats]
    children = [pid for pid, parent in pairs if parent == process]
    return [*children, *(pid for child in children for pid in below(child))]


def are_gone(processes: list[int], seconds: float) -> bool:
    """Whether processes end within some seconds."""
    return within(seconds, lambda: not any(is_alive(pid) for pid in processes))


def is_alive(process: int) -> bool:
    """Whether a process runs; a zombie does not."""
    try:
        return Path(f"/proc/{process}/stat").read_text("utf-8", "replace").rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def within(seconds: float, true: Callable[[], bool]) -> bool:
    """Whether something comes true in time."""
    end = time.monotonic() + seconds
    while not true():
        if time.monotonic() > end:
            return False
        time.sleep(0.05)
    return True


needs_proc = pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="needs /proc to see processes")


@pytest.fixture(scope="module")
def calm(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The study, undisturbed."""
    folder = tmp_path_factory.mktemp("calm") / "out"
    assert main([*STUDY, f"output={folder}"]) == DONE
    return folder


# ----------------------------------------------------------------------------------------------------- killed and ended


@needs_proc
def test_a_killed_run_leaves_nobody_behind_and_is_resumed(calm: Path, tmp_path: Path) -> None:
    """[FT-05, FT-06] Workers end by themselves, the lock does not bind, and every byte is as if nothing had been."""
    folder = tmp_path / "out"
    process = begin(folder)
    begun_work(process)
    workers = below(process.pid)
    before = finished(folder)
    process.kill()
    process.wait()
    assert len(workers) >= 2
    assert are_gone(workers, 5)
    assert (folder / ".lock").exists()
    assert before
    assert main(["resume", str(folder)]) == DONE
    assert before.items() <= finished(folder).items()
    assert contents(folder) == contents(calm)


@needs_proc
def test_an_end_from_outside_is_an_interruption(tmp_path: Path) -> None:
    """[FT-03, FT-04] What is finished is kept, nobody is left behind, and nothing is half written."""
    folder = tmp_path / "out"
    process = begin(folder)
    begun_work(process)
    workers = below(process.pid)
    process.send_signal(signal.SIGTERM)
    err = process.communicate(timeout=60)[1]
    assert process.returncode == INTERRUPTED
    assert are_gone(workers, 10)
    assert err.splitlines()[-1].startswith("Interrupted. Finished tasks are kept")
    assert finished(folder)
    assert not list(folder.rglob(".*"))


@needs_proc
def test_a_second_interruption_is_heeded_at_once(tmp_path: Path) -> None:
    """[FT-03] Even if the first is still being dealt with; workers see to their end themselves."""
    process = begin(tmp_path / "out")
    begun_work(process)
    workers = below(process.pid)
    process.send_signal(signal.SIGINT)
    process.send_signal(signal.SIGINT)
    assert process.wait(timeout=60) == INTERRUPTED
    assert are_gone(workers, 5)
    assert (tmp_path / "out" / begun.FILE).exists()


# ---------------------------------------------------------------------------------------------- changed in the meantime


def test_a_config_edited_meanwhile_is_refused_with_what_differs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """[FT-17] The folder stays as it is."""
    own = Path(__file__).parents[1]
    for name in ("configs", "scenarios"):
        shutil.copytree(own / name, tmp_path / name)
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "out"
    folder.mkdir()
    config = sim.load("example", overrides=FORTNIGHT)
    begun.write(folder, ["run", "study=example", *FORTNIGHT], study.resolved(config))
    scenario = tmp_path / "scenarios" / "example_plan.yaml"
    scenario.write_text(scenario.read_text("utf-8").replace("1/3", "1/5"), "utf-8")
    before = contents(folder)
    monkeypatch.chdir("/")
    assert main(["resume", str(folder)]) == WRONG_INPUT
    err = capsys.readouterr().err
    assert "slot_quota > held_for_referral" in err
    assert '"1/3" then, "1/5" now.' in err
    assert contents(folder) == before
