"""What goes wrong where programs run: processes are killed, disks fill up, files are edited meanwhile. Nothing is lost.

Each fault is staged for real, by killing, filling, flipping; numbers in brackets are those of the table in DESIGN.md.
"""

from __future__ import annotations

import math
import resource
import shlex
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import simpy
from simpy.events import NORMAL

import sim
from sim import begun, stays, study
from sim.__main__ import DONE, INTERRUPTED, WRONG_INPUT, _named_study, main
from sim.execution import LIVES, Engine, Failed
from sim.results import Unwritable, task_keys
from sim.stays import Clock, Runaway
from test_execution import CASES, Cases, Done, Tick, _attempts, go, never, troubled
from test_execution import simulate as soundly

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


def test_two_runs_at_once_in_different_folders_do_not_meet(calm: Path, tmp_path: Path) -> None:
    """[FT-11] They have the cache of machine code in common, and nothing else."""
    folders = [tmp_path / "one", tmp_path / "other"]
    both = [begin(folder) for folder in folders]
    assert [process.communicate(timeout=300) and process.returncode for process in both] == [DONE, DONE]
    assert [contents(folder) == contents(calm) for folder in folders] == [True, True]


def test_no_network_is_needed(calm: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """[FT-22] Neither for a run nor for its report; whoever asks for an address or a connection fails."""

    def refuse(*asked: object, **more: object) -> None:
        raise OSError("There is no network.")

    for name in ("connect", "connect_ex", "sendto"):
        monkeypatch.setattr(f"socket.socket.{name}", refuse)
    monkeypatch.setattr("socket.getaddrinfo", refuse)
    words = [word for word in STUDY if not word.startswith("execution.workers")]
    assert main([*words, "execution.workers=1", f"output={tmp_path / 'out'}"]) == DONE
    same = ("tasks/", "indicators", "comparison", "report")
    one, other = ({n: d for n, d in contents(f).items() if n.startswith(same)} for f in (tmp_path / "out", calm))
    assert one == other


SWEEP = ["sweep", "study=example", "vary.example_plan.slot_quota.held_for_referral=0,1/2", *STUDY[2:]]
SEEK = ["seek", "study=example", "target=grassroots_visit_share", "at_least=0.6", "tolerance=0.4", *STUDY[2:]]


@needs_proc
@pytest.mark.parametrize("words", [SWEEP, SEEK], ids=lambda words: words[0])
def test_a_killed_sweep_or_search_is_resumed(words: list[str], tmp_path: Path) -> None:
    """[FT-05] All of it is, byte for byte, that of one that nothing had happened to."""
    calm, folder = tmp_path / "calm", tmp_path / "out"
    assert main([*words, f"output={calm}"]) == DONE
    process = begin(folder, words=words)
    begun_work(process)
    process.kill()
    process.wait()
    before = finished(folder)
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


# ----------------------------------------------------------------------------------------------------------- one worker


def sleeps_once(cases: Cases, replications: list[int], tick: Tick | None = None) -> Done:
    """Hangs the first time that replication 1 is asked for."""
    if (case := troubled(cases, replications)) and _attempts(case) == 1:
        time.sleep(600)
    return soundly(cases, replications, tick)


def wants_too_much(cases: Cases, replications: list[int], tick: Tick | None = None) -> Done:
    """Never has the memory for replication 1."""
    if case := troubled(cases, replications):
        _attempts(case)
        raise MemoryError
    return soundly(cases, replications, tick)


def in_trouble(tmp_path: Path) -> dict[str, Any]:
    """Cases of which one makes trouble in replication 1."""
    return {**CASES, "plan": replace(CASES["plan"], trouble=str(tmp_path / "attempts"))}


def test_a_worker_that_hangs_is_ended_and_its_tasks_are_done(tmp_path: Path) -> None:
    """[FT-13]"""
    go(tmp_path / "calm", cases=in_trouble(tmp_path))
    _, heard = go(tmp_path / "hung", sleeps_once, in_trouble(tmp_path), workers=2, patience=0.02)
    assert any("no day further in 0.02 minutes" in line for line in heard.lines)
    assert contents(tmp_path / "calm") == contents(tmp_path / "hung")


def test_who_never_has_enough_memory_is_tried_alone_then_given_up(tmp_path: Path) -> None:
    """[FT-07]"""
    with pytest.raises(Failed, match="plan, replication 1: MemoryError"):
        go(tmp_path, wants_too_much, in_trouble(tmp_path))
    assert (tmp_path / "attempts").stat().st_size == LIVES


class Again(simpy.Event):
    """Comes up again after so many minutes, for ever."""

    def __init__(self, clock: Clock, minutes: float) -> None:
        self.clock, self.minutes = clock, minutes
        clock.put(self, 5.0, NORMAL)

    def act(self, now: float) -> None:
        """Once more."""
        self.clock.put(self, now + self.minutes, NORMAL)


@pytest.mark.parametrize(
    ("minutes", "words"),
    [
        (0.0, "Day 0 of the run, 00:05: more than 1,000 events and no time passes; the latest is Again."),
        (-1.0, "Again is dated earlier, minute 4 of the run; the clock does not go back."),
        (math.nan, "Again has no date"),
    ],
)
def test_a_clock_that_stands_still_or_goes_back_is_told(
    minutes: float, words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """[FT-13]"""
    monkeypatch.setattr(stays, "CROWD", 1_000)
    clock = Clock()
    Again(clock, minutes)
    with pytest.raises(Runaway) as caught:
        clock.run_until(1440.0)
    assert words in str(caught.value)


# ------------------------------------------------------------------------------------------------------------- the disk


def test_a_full_disk_stops_the_run_and_loses_nothing(tmp_path: Path) -> None:
    """[FT-08] The system refuses in mid-write; with room again the bytes are as if nothing had been."""
    go(tmp_path / "calm")
    go(tmp_path / "full", replications=1)
    before = contents(tmp_path / "full")
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (300, limits[1]))
    try:
        with pytest.raises(Unwritable, match=r"full/tasks: File too large \(task "):
            go(tmp_path / "full")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert contents(tmp_path / "full") == before
    go(tmp_path / "full")
    assert contents(tmp_path / "full") == contents(tmp_path / "calm")


def fill(file: Path) -> int:
    """Write a file until nothing more can be written; how many kB it has."""
    with file.open("wb", buffering=0) as ballast, suppress(OSError):
        while True:
            ballast.write(bytes(1024))
    return file.stat().st_size // 1024


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A small disk of its own, where mounting one is allowed."""
    place = tmp_path / "disk"
    place.mkdir()
    done = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "none", str(place)], capture_output=True)
    if done.returncode:
        pytest.skip("only root mounts a disk")
    yield place
    subprocess.run(["umount", "-l", str(place)], check=True)


def test_a_small_disk_fills_up(disk: Path, tmp_path: Path) -> None:
    """[FT-08] The same with a disk that is really full."""
    go(tmp_path / "calm")
    go(disk, replications=1)
    before = contents(disk)
    ballast = disk / "ballast"
    assert fill(ballast) > 0
    with pytest.raises(Unwritable, match="No space left on device"):
        go(disk)
    ballast.unlink()
    assert contents(disk) == before
    go(disk)
    assert contents(disk) == contents(tmp_path / "calm")


def test_a_disk_that_turns_read_only_loses_nothing(disk: Path) -> None:
    """[FT-09]"""
    go(disk, replications=1)
    before = contents(disk)
    subprocess.run(["mount", "-o", "remount,ro", str(disk)], check=True)
    with pytest.raises(Unwritable, match="Read-only file system"):
        go(disk)
    with pytest.raises(sim.InputError, match="Nothing can be written here: Read-only file system"):
        study.open_folder(disk / "new")
    assert contents(disk) == before
    go(disk, never, replications=1)


def test_a_flipped_bit_is_found_and_done_again(tmp_path: Path) -> None:
    """[FT-18]"""
    tasks, _ = go(tmp_path)
    whole = contents(tmp_path)
    victim = tmp_path / "tasks" / tasks[2].key / "visits.parquet"
    data = bytearray(victim.read_bytes())
    data[len(data) // 2] ^= 1
    victim.write_bytes(data)
    _, heard = go(tmp_path)
    assert heard.lines[0].startswith("now, replication 2 is done again")
    assert contents(tmp_path) == whole


def test_what_a_killed_command_left_half_written_goes(tmp_path: Path) -> None:
    """[FT-23] Drafts of tables, pictures and reports; files of users stay."""
    (tmp_path / "figures").mkdir()
    left = [tmp_path / ".report.html.123@desk", tmp_path / "figures" / ".months.svg.77@desk.lan"]
    for path in [*left, tmp_path / ".gitignore"]:
        path.write_text("half", "utf-8")
    study.tidy(tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {"figures", ".gitignore"}
    assert not list((tmp_path / "figures").iterdir())


# ---------------------------------------------------------------------------------------------------- failed and killed


def fails_in_the_plan(cases: Any, replications: list[int], tick: Tick | None = None) -> Done:
    """One scenario raises in its second replication."""
    for name in cases:
        for r in replications:
            if (name, r) == ("example_plan", 1):
                raise ZeroDivisionError("no doctors")
            yield from soundly({name: CASES["now"]}, [r])


def test_a_failure_is_told_with_the_command_that_repeats_it(tmp_path: Path) -> None:
    """[FT-15] The command asks for the very task that failed."""
    words = ["run", "study=example", *FORTNIGHT, "replications=3", "execution.workers=1"]
    overrides = words[2:]
    config = sim.load("example", overrides=overrides, output=str(tmp_path / "out"))
    with pytest.raises(Failed, match="1 of 6 tasks failed") as caught:
        study.run(config, engine=Engine(fails_in_the_plan), words=words)
    (task,) = caught.value.failures
    lines = (tmp_path / "out" / study.FAILED).read_text("utf-8").splitlines()
    assert lines[0] == "example_plan, replication 1"
    assert "fails_in_the_plan" in "".join(lines)
    _, verb, *again = shlex.split(lines[1].removeprefix("To repeat it: "))
    assert verb == "run"
    name, settings = _named_study(again)
    found = sim.load(name, overrides=settings)
    assert task_keys(study.cases(found)["example_plan"], found.replications)[-1] == task.key
    assert found.output == str(tmp_path / "out")


def test_killed_at_random_moments_nothing_is_lost(tmp_path: Path) -> None:
    """[FT-05, FT-06] Six of them; `python tests/kills.py 200` for more. Redone or damaged tasks, other bytes: none."""
    script = [sys.executable, str(Path(__file__).with_name("kills.py")), "6"]
    told = subprocess.run(script, capture_output=True, text=True, check=True).stdout.split()
    rows = [list(map(int, told[n : n + 4])) for n in range(0, len(told), 4)]
    assert len(rows) == 6
    assert any(0 < done < 8 for done, *_ in rows)
    assert [wrong for _, *wrong in rows] == [[0, 0, 0]] * 6
