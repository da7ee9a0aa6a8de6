"""How much work there is before it begins: days to simulate, time on this machine, room on the disk.

The pace is that of an earlier run, as its provenance tells it, or of a short rehearsal; so is the size of a task.
"""

from __future__ import annotations

import json
import platform
import shutil
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from math import isfinite, nan
from pathlib import Path
from typing import Any

from sim import study
from sim.compose import Config
from sim.execution import Engine, Pack
from sim.model import Case
from sim.results import to_parquet
from sim.schema import shown

REHEARSED = timedelta(days=20)
"""Days that are rehearsed where no earlier run tells its pace."""

WORTH = 30
"""Seconds that an earlier run must have taken for its pace to be believed."""

EARLIER, REHEARSAL = (0.7, 1.5), (0.7, 2.5)
"""By how much the pace may be off: hospitals are emptier in a rehearsal, and workers share a machine with others."""

SAMPLE = 20
"""Finished tasks whose size is looked at."""

TASKS, HOURS = 10_000, 24
"""A sweep with more tasks, or one that is thought to take longer, is refused unless it is really meant."""


@dataclass(frozen=True)
class Pace:
    """How fast this machine simulates, and how large the tables are."""

    seconds: float
    """Of one worker, for a resident and a day."""
    off: tuple[float, float]
    """Factors between which the truth is thought to lie."""
    size: float
    """Bytes of a task's tables."""
    told: str
    """Where it is known from."""
    start: float = 0
    """Seconds before the first day is done, where the pace does not hold them: loading, and building the place."""


@dataclass(frozen=True)
class Estimate:
    """What is ahead."""

    points: int
    scenarios: int
    """Different ones, those of all points together."""
    tasks: int
    finished: int
    days: int
    """To be simulated, over all replications; what several scenarios live through together counts once."""
    hands: int
    """Workers that find something to do."""
    seconds: float
    pace: Pace
    free: int
    """Bytes free on the disk."""

    @property
    def size(self) -> float:
        """Bytes that will be written."""
        return self.pace.size * (self.tasks - self.finished)

    def __str__(self) -> str:
        took, room = f"How long that takes is not known: {self.pace.told}; ", f"{_bytes(self.free)} of disk are free."
        if isfinite(self.seconds):
            low, high = (_span(self.seconds * factor) for factor in self.pace.off)
            took = f"Simulating takes about {_span(self.seconds)} ({low} to {high}) with {self.hands} at work, "
            took += f"by {self.pace.told}; "
            room = f"about {_bytes(self.size)} on the disk, {_bytes(self.free)} are free."
        return "\n".join(
            [
                f"{self.points:,} points, {self.scenarios:,} different scenarios, {self.tasks:,} tasks, "
                f"{self.finished:,} of them finished; {self.days:,} days to simulate.",
                took + room if self.days else "Nothing is left to simulate.",
            ]
        )

    def refused(self) -> Iterator[str]:
        """Why this is too much to begin without being told that it is really meant."""
        if self.tasks > TASKS:
            yield f"{self.tasks:,} tasks are more than {TASKS:,}."
        if self.seconds > HOURS * 3600:
            yield f"It would take about {_span(self.seconds)}, more than {HOURS} hours."
        if self.size > self.free:
            yield f"It would need about {_bytes(self.size)} of disk; {_bytes(self.free)} are free."


def estimate(
    folder: Path, config: Config, packs: Sequence[Pack], engine: Engine, counts: tuple[int, int, int, int]
) -> Estimate:
    """What some packs will take; `counts`: points, scenarios, tasks, finished tasks."""
    days = sum(engine.days(pack.cases, pack.replications) for pack in packs)
    hands = max(1, min(config.execution.expected, len(packs)))
    pace = pace_of(folder, config, packs[0], engine) if packs else Pace(0, (1, 1), 0, "nothing")
    seconds = pace.start + days * study.residents(config) * pace.seconds / hands
    return Estimate(*counts, days, hands, seconds, pace, shutil.disk_usage(_there(folder)).free)


def _there(folder: Path) -> Path:
    """The folder, or the nearest above it that exists."""
    return next(path for path in (folder.absolute(), *folder.absolute().parents) if path.exists())


# ---------------------------------------------------------------------------------------------------------------- pace


def pace_of(folder: Path, config: Config, pack: Pack, engine: Engine) -> Pace:
    """The pace of earlier work in this folder or the study's own, else of a rehearsal."""
    for place in (folder, folder.parent / config.study.name):
        if (known := _earlier(place)) is not None:
            return known
    try:
        return _rehearsed(config, pack, engine)
    except Exception as error:  # so may the sweep, which then tells all about it
        return Pace(nan, (1, 1), nan, f"the rehearsal failed ({type(error).__name__}: {error})")


def _earlier(folder: Path) -> Pace | None:
    """The pace that a folder's provenance tells; None where it does not, or of another machine or a short run."""
    with suppress(OSError, ValueError, KeyError, TypeError, ZeroDivisionError):
        told: dict[str, Any] = json.loads((folder / "provenance.json").read_bytes())["run"]["simulated"]
        sizes = [_size(task) for task in sorted((folder / "tasks").iterdir())[:SAMPLE] if task.is_dir()]
        if told["platform"] == platform.platform() and told["seconds"] >= WORTH and sizes:
            pace = told["seconds"] * told["workers"] / (told["days"] * told["residents"])
            return Pace(pace, EARLIER, sum(sizes) / len(sizes), f"what was simulated in {shown(folder)}")
    return None


def _size(task: Path) -> int:
    return sum(file.stat().st_size for file in task.iterdir())


def _rehearsed(config: Config, pack: Pack, engine: Engine) -> Pace:
    """The pace of the first days of one scenario, and what it takes before them."""
    study.prepare(pack.cases, engine)
    case = study.briefly(next(iter(pack.cases.values())), REHEARSED)
    ticks: list[tuple[float, int]] = []
    began = time.monotonic()
    done = engine.simulate({"rehearsal": case}, pack.replications, lambda days: ticks.append((time.monotonic(), days)))
    sizes = [sum(len(to_parquet(frame)) for frame in tables.values()) for _, _, tables in done]
    whole = next(iter(pack.cases.values()))
    share = _days(whole) / _days(case)
    seconds = (ticks[-1][0] - ticks[0][0]) / max(1, sum(days for _, days in ticks[1:]))
    told = f"a rehearsal of {_days(case)} days"
    start = ticks[0][0] - began
    return Pace(seconds / study.residents(config), REHEARSAL, share * sum(sizes) / len(sizes), told, start)


def _days(case: Case) -> int:
    return (case.to - case.warmup_from).days + 1


# ---------------------------------------------------------------------------------------------------------------- words


def _span(seconds: float) -> str:
    """A time as a planner reads it."""
    for unit, size in (("days", 86_400), ("hours", 3600), ("minutes", 60)):
        if seconds >= 2 * size:
            return f"{seconds / size:,.0f} {unit}"
    return f"{max(1, seconds):.0f} seconds"


def _bytes(number: float) -> str:
    for unit, size in (("GB", 10**9), ("MB", 10**6)):
        if number >= size:
            return f"{number / size:,.1f} {unit}"
    return f"{number / 1000:,.0f} kB"
