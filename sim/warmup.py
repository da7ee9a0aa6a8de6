"""Is the warm-up long enough? The baseline from an empty and from an overfull start, on the same luck (ruling R21).

Both are simulated and measured from their first day on, warm-up included. Once they agree, the start is forgotten. They
are scenarios of a study of their own, in a folder beside the study's (`outputs/<study>_warmup`), with the answer.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from sim import study
from sim.compose import Config
from sim.execution import Engine, Progress
from sim.model import Case
from sim.readers import reader
from sim.scenario import COMMAND_LINE
from sim.schema import InputError, Problem
from sim.start import EMPTY, OVERFULL

TITLES = {EMPTY: ("Empty start", "空系统起步"), OVERFULL: ("Overfull start", "超满起步")}


@dataclass(frozen=True)
class Checked:
    """The answer, and the folder in which it was written."""

    folder: Path
    text: str


def check(
    config: Config,
    progress: Progress | None = None,
    engine: Engine = study.ENGINE,
    words: Sequence[str] | None = None,
) -> Checked:
    """Compare both starts month by month, and write from when on they agree.

    `words` are those of the command, where one was given, so that the folder knows how to resume it.
    """
    if config.start != EMPTY:
        text = f"Both starts are compared here, so none is chosen; found {config.start}."
        raise InputError([Problem(COMMAND_LINE, None, "start", text)])
    folder = study.open_folder(Path(config.output or Path("outputs") / f"{config.study.name}_warmup"))
    with study.alone_in(folder):
        study.begin(folder, words, study.resolved(config))
        results = study.finish(folder, from_the_first_day(config), both(config), engine, progress)
        return Checked(folder, str(reader("warmup")(results, config.horizon.from_)))


def both(config: Config) -> dict[str, Case]:
    """The baseline with each start."""
    case = study.cases(config)[config.study.baseline]
    return {start: replace(case, start=start) for start in TITLES}


def from_the_first_day(config: Config) -> Config:
    """The study of both starts, measured from the first day that is simulated."""
    baseline = next(one for one in config.scenarios if one.name == config.study.baseline)
    scenarios = [
        baseline.model_copy(update={"name": start, "title": title, "title_zh": title_zh, "targets": {}})
        for start, (title, title_zh) in TITLES.items()
    ]
    about = config.study.model_copy(update={"scenarios": list(TITLES), "baseline": EMPTY})
    horizon = config.horizon.model_copy(update={"from_": config.horizon.warmup_from})
    return config.model_copy(update={"study": about, "scenarios": scenarios, "horizon": horizon})
