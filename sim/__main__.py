"""The front door on the command line: verbs, progress, exit codes.

0: done. 1: something failed, and what. 2: the input is wrong, all problems listed. 130: interrupted.

Each verb imports the rooms it needs when it is called, so that help and mistakes do not wait for the simulation.
"""

from __future__ import annotations

import argparse
import gc
import json
import os
import signal
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict
from functools import partial
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sim.readers import reader

if TYPE_CHECKING:
    import pandas as pd

    from sim.results import Results
    from sim.swept import Swept

DONE, FAILED, WRONG_INPUT, INTERRUPTED = 0, 1, 2, 130

EXAMPLES = """examples:
  tiercare run study=zhongwei
  tiercare run study=zhongwei replications=2 horizon.to=2024-03-31 output=/tmp/look
  tiercare run study=zhongwei vary.zhongwei_plan.first_contact.adherence=0.5
  tiercare seek study=zhongwei target=grassroots_visit_share lever=first_contact.adherence
  tiercare warmup study=zhongwei
  tiercare sweep study=zhongwei vary.zhongwei_plan.first_contact.adherence=0.2,0.4,0.6 --dry-run
  tiercare loads study=zhongwei
  tiercare check scenarios/zhongwei_plan.yaml
  tiercare list scenarios --json
  tiercare resume outputs/zhongwei
  tiercare report outputs/zhongwei
"""

SEEK = """what is asked:
  study=NAME             the study; its last scenario that is not the baseline is set to value after value
  target=INDICATOR       what is to be reached; its limit is that of the scenario's target, or
  at_least=, at_most=    the limit
  lever=NAME             a lever that is a number (first_contact.adherence where none is named), or one of
                         doctors_per_centre, doctors_per_station, lead_slots, lead_beds, each as a factor; several
                         with commas between them
  low=, high=            the values between which it is sought, if not all that it may have
  tolerance=             how near to each other two values are that are both tried
  scenario=, scope=, year=  another scenario, scope of the indicator, calendar year
All other settings are those of run. Tasks, answer (seek.csv, seek.txt, seek.zh.txt) and pictures: outputs/NAME_seek.

examples:
  tiercare seek study=zhongwei target=grassroots_visit_share lever=first_contact.adherence
  tiercare seek study=zhongwei target=grassroots_visit_share lever=doctors_per_centre,lead_slots replications=4
"""

WARMUP = """The baseline is simulated twice on the same luck: from an empty start, as always, and from an overfull one,
with full beds and doubled queues. The warm-up is long enough where both agree, from the first measured month on,
within the minimum important difference of every headline indicator. All settings are those of run; without
replications=, 2. Tasks, answer (warmup.csv, warmup.txt, warmup.zh.txt) and pictures: outputs/NAME_warmup.

examples:
  tiercare warmup study=zhongwei
  tiercare warmup study=zhongwei replications=4 horizon.to=2024-06-30
"""

FEW = 2
"""Replications of the check of the warm-up, where no other number is given."""

SWEEP = """keys and values:
  KEY=a,b,c              each of these values; also range(0,1,0.1) (without its end) and glob(*) for groups of files
  KEY=VALUE              the same for all points
Any setting of run may be varied, but not the seed, the replications, the output or the workers. Several keys make a
grid: every combination. With --zip values at the same place go together. A file (configs/sweep, or FILE.yaml) says all
this in lines of the same form, under settings:, grid:, zip: and points:.
Finished tasks are found again. Points, tables and pictures: outputs/NAME_sweep; each point is a study in points/.

examples:
  tiercare sweep study=example vary.example_plan.slot_quota.held_for_referral=0,1/4,1/2
  tiercare sweep study=zhongwei vary.zhongwei_plan.slot_quota.held_for_referral=0,0.1,0.2,1/3,0.5 \\
      vary.zhongwei_plan.bed_quota.held_for_referral=0,0.25 replications=4 --dry-run
  tiercare sweep example_levers
"""

ASKED = ("target", "at_least", "at_most", "lever", "scenario", "scope", "year", "low", "high", "tolerance")
"""Settings of seek that are none of a study."""

BUSIEST = 30
"""Places that `loads` shows."""
LOADS = f"{'load':>7}  {'place':44}  offered of what it can do, a year (slots, minutes, bed-days or operations)"

SLOW = """\
numba is not installed: this will take more than a hundred times longer than it need. Small towns do without;
for others: pip install numba"""
FIRST_TIME = "The first run here: compiling takes about a minute more, once."


def main(words: Sequence[str] | None = None) -> int:
    """Run one command; the exit code."""
    _speak_plainly()
    _collect_seldom()
    choice = _parser().parse_args(words)
    from sim.schema import Failure, InputError

    try:
        code = int(choice.verb(choice))
        sys.stdout.flush()
        return code
    except InputError as error:
        print(error, file=sys.stderr)
        return WRONG_INPUT
    except Failure as error:
        print(error, file=sys.stderr)
        return FAILED
    except BrokenPipeError:  # whoever reads has heard enough: `tiercare list levers | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return DONE
    except OSError as error:
        print(f"{error.filename or 'A file'}: {error.strerror or error}", file=sys.stderr)
        return FAILED
    except KeyboardInterrupt:
        print("Interrupted. Finished tasks are kept; the same command goes on from there.", file=sys.stderr)
        return INTERRUPTED


def _speak_plainly() -> None:
    """Print on any terminal, and let a scheduler's end (SIGTERM) or a lost terminal be an interruption like Ctrl-C."""
    for stream in (sys.stdout, sys.stderr):
        if reconfigure := getattr(stream, "reconfigure", None):
            reconfigure(errors="backslashreplace")
    for end in (signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(end) is not signal.SIG_IGN:  # nohup
            signal.signal(end, _interrupt)
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, _interrupt)


def _interrupt(number: int, frame: object) -> None:
    """The first time, stop in good order; the second time at once: workers see that and end as well."""
    for end in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT):
        if signal.getsignal(end) is _interrupt:
            signal.signal(end, lambda number, frame: os._exit(INTERRUPTED))
    raise KeyboardInterrupt


def _collect_seldom() -> None:
    """Look for garbage after 50,000 new objects, not 700: libraries and tables leave next to none, and it adds up."""
    gc.set_threshold(50_000, *gc.get_threshold()[1:])


def _parser() -> argparse.ArgumentParser:
    plain: dict[str, Any] = {"formatter_class": argparse.RawDescriptionHelpFormatter}
    parser = argparse.ArgumentParser("tiercare", description="Patient flow under tiered care", epilog=EXAMPLES, **plain)
    parser.add_argument("--version", action="version", version=f"tiercare {metadata.version('tiercare')}")
    verbs = parser.add_subparsers(title="verbs", metavar="VERB", required=True)

    add = verbs.add_parser("run", help="simulate a study and write its tables and report", epilog=EXAMPLES, **plain)
    add.add_argument("settings", nargs="+", metavar="KEY=VALUE", help="study=NAME, then any setting (Hydra's grammar)")
    add.set_defaults(verb=_run, check=None)

    add = verbs.add_parser("resume", help="go on with the command that was begun in a folder, if nothing has changed")
    add.add_argument("folder", type=Path, metavar="DIR", help="the folder, such as outputs/zhongwei")
    add.set_defaults(verb=_resume)

    add = verbs.add_parser("seek", help="what it would take to reach a target", epilog=SEEK, **plain)
    add.add_argument("settings", nargs="+", metavar="KEY=VALUE", help="study=NAME target=INDICATOR, then any setting")
    add.set_defaults(verb=_seek, check=None)

    add = verbs.add_parser("warmup", help="how long the warm-up must be", epilog=WARMUP, **plain)
    add.add_argument("settings", nargs="+", metavar="KEY=VALUE", help="study=NAME, then any setting")
    add.set_defaults(verb=_warmup, check=None)

    add = verbs.add_parser("sweep", help="simulate a study under many settings", epilog=SWEEP, **plain)
    add.add_argument(
        "settings", nargs="+", metavar="KEY=VALUES", help="study=NAME, then any setting, or a file of them"
    )
    add.add_argument("--zip", action="store_true", help="first values go together, then second ones; left out: a grid")
    add.add_argument("--point", action="append", default=[], metavar="'KEY=VALUE ...'", help="one more point")
    add.add_argument("--dry-run", action="store_true", help="say how much there is to do, and stop")
    add.add_argument("--yes-really", action="store_true", help="however many points, long or large it is")
    add.set_defaults(verb=_sweep, check=None)

    add = verbs.add_parser("loads", help="what everything is offered before anything is simulated: the busiest first")
    add.add_argument("settings", nargs="+", metavar="KEY=VALUE", help="study=NAME, then any setting")
    add.add_argument("--all", action="store_true", help=f"not only the busiest {BUSIEST}")
    add.add_argument("--json", action="store_true", help="for programs")
    add.set_defaults(verb=_loads)

    add = verbs.add_parser("check", help="look for mistakes without simulating anything")
    add.add_argument(
        "files", nargs="*", type=Path, metavar="FILE", help="scenarios, studies or experiment files; left out: all"
    )
    add.set_defaults(verb=_check)

    add = verbs.add_parser("list", help="what there is to choose from")
    add.add_argument("what", choices=list(LISTS))
    add.add_argument("--json", action="store_true", help="for programs")
    add.set_defaults(verb=_list)

    add = verbs.add_parser("report", help="write the tables and the report of a finished study or sweep anew")
    add.add_argument("folder", type=Path, metavar="DIR", help="its folder, such as outputs/zhongwei")
    add.set_defaults(verb=_report)
    return parser


# --------------------------------------------------------------------------------------------------------------- verbs


def _run(choice: argparse.Namespace) -> int:
    from sim import compose

    name, overrides = _named_study(choice.settings)
    config = compose.load(name, overrides=overrides)

    from sim import study  # the simulation itself: after the input is known to be right
    from sim.progress import Bar

    _warn()
    _refuse_changes(choice, study.resolved(config))
    print(_overloads(study.loads(config)), file=sys.stderr)
    results = study.run(config, Bar(), words=["run", *choice.settings])
    _tell(results)
    return DONE


def _refuse_changes(choice: argparse.Namespace, values: dict[str, Any]) -> None:
    """Where a command is resumed: refuse to go on with other values than it was begun with."""
    if choice.check is not None:
        choice.check(values)


def _resume(choice: argparse.Namespace) -> int:
    """Give the command of a folder again, where it was given, if it still asks for the same."""
    from sim import begun

    folder = choice.folder.absolute()
    found = begun.read(folder)
    words = begun.command(found, folder)
    if Path(found.where).is_dir():
        os.chdir(found.where)
    again = _parser().parse_args(words)
    again.check = partial(begun.refuse_changes, found, folder)
    return int(again.verb(again))


def _loads(choice: argparse.Namespace) -> int:
    from sim import compose, loads

    name, overrides = _named_study(choice.settings)
    config = compose.load(name, overrides=overrides)

    from sim import study

    found = study.loads(config)
    rows = _records(loads.busiest(found, len(found) if choice.all else BUSIEST))
    print(json.dumps(rows, ensure_ascii=False, indent=1) if choice.json else "\n".join([LOADS, *map(_load, rows)]))
    return DONE


def _records(frame: pd.DataFrame) -> list[dict[str, Any]]:
    return [dict(zip(frame.columns, row, strict=True)) for row in frame.to_numpy(dtype=object).tolist()]


def _load(row: dict[str, Any]) -> str:
    """A place, how busy it is, what it is offered and can do in a year, and in which scenario where not in all."""
    busy = f"{row['load']:7.1%}  {row['point']:44}"
    return f"{busy}  {row['offered']:12,.0f} of {row['capacity']:12,.0f}  {row['resource']}  {row['scenario']}".rstrip()


def _overloads(found: pd.DataFrame) -> str:
    """One line before a run: how many places are offered more than they can do, and the worst of them."""
    from sim import loads

    over = loads.busiest(found, len(found)).query("load > 1").sort_values("load", ascending=False, kind="stable")
    worst = [f"{row['point']} {row['load']:.0%} {row['scenario']}".rstrip() for row in _records(over.head(3))]
    more = ["..."] if len(over) > len(worst) else []
    told = (
        f"{len(over)} are offered more than they can do: {', '.join(worst + more)}" if worst else "none is overloaded"
    )
    return f"Places before the run: {told}."


def _warn() -> None:
    from sim import kernels

    if not kernels.is_compiled():
        print(SLOW, file=sys.stderr)
    elif not kernels.is_prepared():
        print(FIRST_TIME, file=sys.stderr)


def _seek(choice: argparse.Namespace) -> int:
    from sim import compose

    name, settings = _named_study(choice.settings)
    asked, others = asked_of(settings)
    config = compose.load(name, overrides=others)

    from sim import goal, study
    from sim.progress import Bar

    _warn()
    _refuse_changes(choice, study.resolved(config))
    print(goal.seek(config, progress=Bar(), words=["seek", *choice.settings], **asked).text)
    return DONE


def _warmup(choice: argparse.Namespace) -> int:
    from sim import compose

    name, settings = _named_study(choice.settings)
    few = [] if any(word.startswith("replications=") for word in settings) else [f"replications={FEW}"]
    config = compose.load(name, overrides=[*settings, *few])

    from sim import study, warmup
    from sim.progress import Bar

    _warn()
    _refuse_changes(choice, study.resolved(config))
    print(warmup.check(config, Bar(), words=["warmup", *choice.settings]).text)
    return DONE


def _sweep(choice: argparse.Namespace) -> int:
    from sim import points

    most = points.MOST_AT_ALL if choice.yes_really else points.MOST
    asked = points.from_words(choice.settings, zipped=choice.zip, listed=choice.point, most=most)

    from sim import experiment
    from sim.progress import Bar

    work = experiment.plan(asked, really=choice.yes_really)
    if choice.dry_run:
        print(work.ahead)
        return DONE
    _refuse_changes(choice, work.resolved())
    print(work.ahead, file=sys.stderr)
    work.refuse(really=choice.yes_really)
    _warn()
    try:
        _tell_sweep(work.done(Bar(), words=_words_of_sweep(choice)))
    except experiment.SomeFailed as failed:
        _tell_sweep(failed.swept)
        raise
    return DONE


def _words_of_sweep(choice: argparse.Namespace) -> list[str]:
    """The command, its settings last: where it is resumed, the folder joins them."""
    flags = [flag for flag, given in (("--zip", choice.zip), ("--yes-really", choice.yes_really)) if given]
    return ["sweep", *flags, *(f"--point={text}" for text in choice.point), *choice.settings]


def _tell_sweep(swept: Swept) -> None:
    from sim.schema import shown

    print(reader("sweep_summary")(swept))
    for name in ("points.csv", "report.html", "report.zh.html"):
        print(shown(swept.folder / name))


def _named_study(settings: Sequence[str]) -> tuple[str, list[str]]:
    """The study among the settings, and the other settings."""
    named = [setting for setting in settings if setting.startswith("study=")]
    if len(named) != 1:
        found = "stands here more than once" if named else "is missing"
        from sim.schema import InputError, Problem

        text = f"study=NAME {found}; `tiercare list studies` shows the names."
        raise InputError([Problem("The command line", None, "study", text)])
    return named[0].removeprefix("study="), [setting for setting in settings if setting != named[0]]


def asked_of(settings: Sequence[str]) -> tuple[dict[str, Any], list[str]]:
    """What is asked of a search, and the settings of the study."""
    named = [(*word.partition("=")[::2], word) for word in settings]
    asked = {key: value for key, value, _ in named if key in ASKED}
    return {"target": ""} | asked, [word for key, _, word in named if key not in ASKED]


def _check(choice: argparse.Namespace) -> int:
    from sim import compose, points
    from sim.schema import InputError

    experiments = [file for file in choice.files if file.absolute().parent.name == points.GROUP]
    others = [file for file in choice.files if file not in experiments]
    problems = compose.check(others) if others or not choice.files else []
    for file in experiments or (() if choice.files else compose.shelves().options(points.GROUP).values()):
        problems += points.check(file)
    if problems:
        raise InputError(problems)
    print("No problems found.")
    return DONE


def _report(choice: argparse.Namespace) -> int:
    from sim import study, swept

    if isinstance(found := swept.open(choice.folder), swept.Swept):
        reader("sweep")(found)
        _tell_sweep(found)
    else:
        _tell(study.report_anew(choice.folder))
    return DONE


def _tell(results: Results) -> None:
    from sim.schema import shown

    print(reader("summary")(results))
    for page in sorted(results.folder.glob("report*.html")):
        print(shown(page))


def _list(choice: argparse.Namespace) -> int:
    entries = LISTS[choice.what]()
    print(json.dumps(entries, ensure_ascii=False, indent=1, default=str) if choice.json else _lines(entries))
    return DONE


def _lines(entries: Sequence[dict[str, Any]]) -> str:
    """The name of each entry, for levers with the mechanism's number, and its title in both languages."""
    width = max((len(str(entry["name"])) for entry in entries), default=0)
    told = ([entry[key] for key in ("m", "title", "title_zh") if key in entry] for entry in entries)
    return "\n".join(f"{e['name']:{width}}  {'  '.join(words)}" for e, words in zip(entries, told, strict=True))


def _studies() -> list[dict[str, Any]]:
    from sim import compose
    from sim.schema import read_yaml

    return [_titled(name, read_yaml(file)[0].get("study", {})) for name, file in compose.studies().items()]


def _scenarios() -> list[dict[str, Any]]:
    from sim import compose, scenario
    from sim.schema import read_yaml

    files = scenario.scenario_files(compose.shelves().scenarios)
    return [_titled(name, read_yaml(file)[0]) for name, file in files.items()]


def _sweeps() -> list[dict[str, Any]]:
    from sim import compose, points
    from sim.schema import read_yaml

    files = compose.shelves().options(points.GROUP)
    return [_titled(name, read_yaml(file)[0]) for name, file in files.items()]


def _titled(name: str, data: dict[str, Any]) -> dict[str, Any]:
    kept = ("title", "title_zh", "question", "question_zh", "extends", "scenarios", "baseline")
    return {"name": name, **{key: data[key] for key in kept if key in data}}


def _levers() -> list[dict[str, Any]]:
    from sim import policy

    return [asdict(lever) for lever in policy.levers()]


def _indicators() -> list[dict[str, Any]]:
    return [asdict(indicator) for indicator in reader("indicators")()]


LISTS: dict[str, Callable[[], list[dict[str, Any]]]] = {
    "studies": _studies,
    "scenarios": _scenarios,
    "sweeps": _sweeps,
    "levers": _levers,
    "indicators": _indicators,
}


if __name__ == "__main__":
    sys.exit(main())
