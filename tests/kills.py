"""A run is killed (SIGKILL) at a random moment, then gone on with: as often as is asked. `python tests/kills.py 200`.

The engine is a stand-in; what is at stake is how tasks are written. Each trial tells whether a finished task was done
again, whether one was damaged, and whether the bytes are those of an undisturbed run.
"""

from __future__ import annotations

import os
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import numpy as np
import pandas as pd

from test_execution import Case, contents, go

ROWS = 20_000
"""Rows of a table: writing one takes long enough to be hit."""


def slowly(
    cases: Mapping[str, Case], replications: list[int], tick: Callable[[int], None] | None = None
) -> Iterator[tuple[str, int, dict[str, pd.DataFrame]]]:
    """Tables that follow from the case and the replication alone."""
    for name, case in cases.items():
        for r in replications:
            luck = np.random.default_rng([case.beds, r])
            yield name, r, {"visits": pd.DataFrame({"visits": luck.random(ROWS)}), "loads": pd.DataFrame({"load": [r]})}


def apart(work: Callable[[], object], seconds: float | None = None) -> None:
    """Do something in a process of its own, which is killed after some seconds."""
    process = os.fork()
    if process == 0:
        work()
        os._exit(0)
    if seconds is not None:
        time.sleep(seconds)
        os.kill(process, signal.SIGKILL)
    os.waitpid(process, 0)


def finished(folder: Path) -> dict[str, int]:
    """Finished tasks, and when each was."""
    found = [path for path in (folder / "tasks").glob("*/manifest.json") if path.parent.name[0] != "."]
    return {path.parent.name: path.stat().st_mtime_ns for path in found}


def trial(folder: Path, calm: dict[str, bytes], seconds: float) -> dict[str, int]:
    """Kill a run after so long and go on: tasks finished before, those done again, those damaged, bytes that differ."""
    apart(lambda: go(folder, slowly, pack=1), seconds)
    before = finished(folder)
    apart(lambda: (folder / "said").write_text("\n".join(go(folder, slowly, pack=1)[1].lines), "utf-8"))
    said = (folder / "said").read_text("utf-8")
    (folder / "said").unlink()
    after, found = finished(folder), contents(folder)
    return {
        "finished": len(before),
        "again": sum(after.get(key) != when for key, when in before.items()),
        "damaged": said.count("is done again"),
        "different": sum(found.get(name) != calm.get(name) for name in found.keys() | calm.keys()),
    }


def trials(folder: Path, number: int) -> Iterator[dict[str, int]]:
    """As many, each killed at a moment of its own within the time that an undisturbed run takes."""
    began = time.monotonic()
    apart(lambda: go(folder / "calm", slowly, pack=1))
    whole, calm = time.monotonic() - began, contents(folder / "calm")
    moments = np.random.default_rng(20231102).random(number) * whole
    yield from (trial(folder / str(n), calm, seconds) for n, seconds in enumerate(moments.tolist()))


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as place:
        for told in trials(Path(place), int(sys.argv[1])):
            print(*told.values(), flush=True)
