"""One command at a time in a folder: the living exclude others, the dead do not, on one machine and between several."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from sim import lock
from sim.lock import InUse, alone_in

HOLDS = """
import sys, time
from pathlib import Path
from sim.lock import alone_in
with alone_in(Path(sys.argv[1])):
    print(flush=True)
    time.sleep(600)
"""


def signed(folder: Path, host: str) -> Path:
    """A lock that another process has left behind."""
    file = folder / lock.FILE
    file.write_text(json.dumps({"process": 1, "host": host, "since": "2024-01-01 00:00:00"}), "utf-8")
    return file


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Beats in tenths of a second."""
    monkeypatch.setattr(lock, "BEAT", 0.1)
    monkeypatch.setattr(lock, "PATIENCE", 1.0)
    monkeypatch.setattr(lock, "GRACE", 0.05)


def test_another_process_is_told_who_is_there_and_its_kill_frees_the_folder(tmp_path: Path) -> None:
    holder = subprocess.Popen([sys.executable, "-c", HOLDS, str(tmp_path)], stdout=subprocess.PIPE)
    assert holder.stdout
    holder.stdout.readline()
    told = rf"in use by another study \(process {holder.pid} on {socket.gethostname()}, since "
    with pytest.raises(InUse, match=told), alone_in(tmp_path):
        pass
    holder.kill()
    holder.wait()
    assert (tmp_path / lock.FILE).exists()
    with alone_in(tmp_path):
        assert json.loads((tmp_path / lock.FILE).read_text("utf-8"))["process"] == os.getpid()
    assert not list(tmp_path.iterdir())


def test_a_holder_on_another_machine_who_beats_is_alive(tmp_path: Path) -> None:
    file, stop = signed(tmp_path, "elsewhere"), threading.Event()
    beat = threading.Thread(target=lock._beat, args=(file, stop))
    beat.start()
    try:
        with pytest.raises(InUse, match="process 1 on elsewhere"), alone_in(tmp_path):
            pass
    finally:
        stop.set()
        beat.join()
    assert "elsewhere" in file.read_text("utf-8")


def test_a_holder_on_another_machine_without_a_beat_is_dead(tmp_path: Path) -> None:
    signed(tmp_path, "elsewhere")
    with alone_in(tmp_path):
        assert "elsewhere" not in (tmp_path / lock.FILE).read_text("utf-8")


def test_who_holds_a_lock_beats(tmp_path: Path) -> None:
    with alone_in(tmp_path):
        before = (tmp_path / lock.FILE).stat().st_mtime_ns
        for _ in range(100):
            time.sleep(0.05)
            if (tmp_path / lock.FILE).stat().st_mtime_ns != before:
                return
    raise AssertionError("no beat")


def test_without_locks_of_the_system_the_beat_alone_excludes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def none(*args: object) -> None:
        raise OSError(38, "Function not implemented")

    monkeypatch.setattr(lock.fcntl, "flock", none)
    with alone_in(tmp_path):
        with pytest.raises(InUse, match=f"process {os.getpid()} on"), alone_in(tmp_path):
            pass
        assert (tmp_path / lock.FILE).exists()
    signed(tmp_path, socket.gethostname())
    with alone_in(tmp_path):
        pass
