"""`make bench`: what a visit costs, beside one-process-per-patient SimPy measured directly before and after.

Machines differ and change their pace within minutes, so only ratios of interleaved CPU times are quoted; the median of
the rounds is printed with its spread. `ratio to idiomatic SimPy` is of the study as it is really run: a pack of
replications of all scenarios over the whole time, what they have in common simulated once, and every visit that the
tables tell of counted. `a pack of one scenario` shares no past; `single` is one replication of one scenario. All divide
the idiomatic cost of a *primary patient* (the unit in which SimPy and its peers are usually compared) by the cost of a
*visit* here. The lines `visit by visit` divide by visits on both sides, which is stricter: an idiomatic primary patient
brings 1.13 visits. Last comes what each mechanism adds to a visit (`bench_mechanisms`), unless it is left out.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import timedelta
from statistics import median

import pandas as pd

import bench_mechanisms
import idiomatic
import sim
from sim.model import Case
from sim.past import simulate
from sim.study import cases


@dataclass(frozen=True)
class Measured:
    """One run of the model, between two runs of the measuring rod."""

    worlds: int
    seconds: float
    visits: int
    patient: float
    """Microseconds of a primary patient in idiomatic SimPy, mean of before and after."""
    idiomatic_visit: float
    """Microseconds of a visit there."""

    @property
    def visit(self) -> float:
        """Microseconds of a visit here."""
        return 1e6 * self.seconds / self.visits


def main() -> None:
    """Measure and print."""
    choice = _arguments()
    study = cases(sim.load(choice.study))
    case = _shorter(list(study.values())[-1], choice.days)
    pack = choice.pack or sim.load(choice.study).execution.pack
    _run(_alone(_shorter(case, 7)), 1)  # compile kernels and fill caches outside the measurement
    rounds = [(measure(_alone(case), 1), measure(_alone(case), pack)) for _ in range(choice.rounds)]
    singles, packs = [one for one, _ in rounds], [many for _, many in rounds]
    whole = [] if choice.without_whole else [measure(study, pack)]
    for what, runs in (("ratio to idiomatic SimPy", whole), ("a pack of one scenario", packs), ("single", singles)):
        _tell(what, runs, lambda run: run.patient / run.visit)
        _tell(f"  {what}, visit by visit", runs, lambda run: run.idiomatic_visit / run.visit)
        _tell(f"  {what}, microseconds per visit", runs, lambda run: run.visit)
    _tell("microseconds per patient, idiomatic SimPy", singles + packs + whole, lambda run: run.patient)
    _tell("seconds per replication, single", singles, lambda run: run.seconds)
    _tell_line(case, singles, packs, _seconds(_shorter(case, 1), 1))
    if not choice.without_mechanisms:
        bench_mechanisms.tell(choice.mechanisms_of, choice.mechanisms_days, choice.rounds)


def _alone(case: Case) -> dict[str, Case]:
    return {"": case}


def measure(cases: Mapping[str, Case], worlds: int) -> Measured:
    """CPU time of so many replications together, with the measuring rod before and after."""
    before = idiomatic.run()[1]
    began = time.process_time()
    tables = _run(cases, worlds)
    seconds = time.process_time() - began
    after = idiomatic.run()[1]
    visits = sum(_visits(of["visits_daily"]) for of in tables)
    patient, visit = ((getattr(before, unit) + getattr(after, unit)) / 2 for unit in ("per_patient", "per_visit"))
    return Measured(worlds, seconds, visits, patient, visit)


def _run(cases: Mapping[str, Case], worlds: int) -> list[dict[str, pd.DataFrame]]:
    """The tables of so many replications together."""
    return [tables for _, _, tables in simulate(cases, list(range(worlds)))]


def _visits(daily: pd.DataFrame) -> int:
    """Registrations; a return with results belongs to the visit that sent for them."""
    return int(daily.loc[daily["kind"] != "return", "visits"].sum())


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--study", default="zhongwei")
    parser.add_argument("--days", type=int, default=365, help="length of each run, all of it measured")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--pack", type=int, help="replications together; left out: as the study is really run")
    parser.add_argument("--without-whole", action="store_true", help="leave out the whole study, which takes minutes")
    parser.add_argument("--without-mechanisms", action="store_true", help="leave out what each mechanism adds")
    parser.add_argument("--mechanisms-of", default="zhongwei_full", help="the study whose last scenario is taken apart")
    parser.add_argument("--mechanisms-days", type=int, default=120, help="length of each run of it")
    return parser.parse_args()


def _shorter(case: Case, days: int) -> Case:
    """So many days, each of them measured, so that all visits simulated are counted."""
    return replace(case, warmup_from=case.from_, to=case.from_ + timedelta(days=days - 1))


def _tell(what: str, runs: list[Measured], of: Callable[[Measured], float]) -> None:
    values = [of(run) for run in runs]
    if values:
        print(f"{what}: {median(values):.2f}  ({min(values):.2f} to {max(values):.2f})", flush=True)


def _tell_line(case: Case, singles: list[Measured], packs: list[Measured], start: float) -> None:
    """What it costs to begin, what a half-day costs by itself, and what a further visit costs."""
    half_days = 2 * ((case.to - case.from_).days + 1)
    pairs = [_line(one, many, start) for one, many in zip(singles, packs, strict=True) if many.visits > one.visits]
    print(f"start of a run: {start:.2f} seconds per replication (a run of one day)")
    if pairs:
        print(f"fixed cost: {1e3 * median(fixed for fixed, _ in pairs) / half_days:.2f} ms per half-day")
        print(f"slope: {1e6 * median(slope for _, slope in pairs):.3f} microseconds per further visit")


def _line(one: Measured, many: Measured, start: float) -> tuple[float, float]:
    """The straight line through both sizes, each without its start: seconds at no visits, seconds per visit."""
    here, there = (run.seconds - run.worlds * start for run in (one, many))
    slope = (there - here) / (many.visits - one.visits)
    return here - slope * one.visits, slope


def _seconds(case: Case, worlds: int) -> float:
    began = time.process_time()
    _run(_alone(case), worlds)
    return time.process_time() - began


if __name__ == "__main__":
    main()
