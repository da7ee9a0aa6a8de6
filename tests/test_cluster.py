"""Workers on many machines, staged on one: a Dask scheduler and two workers as README tells; what Slurm would be told.

There is no Slurm here: the job's script is looked at, and submitted to a stand-in that runs it in the background.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from distributed import Client
from pydantic import ValidationError

import sim
from sim import cluster
from sim.__main__ import DONE, main
from sim.cluster import Unreachable, slurm_cluster
from sim.compose import DaskSpec, SlurmSpec
from sim.execution import LIVES, Engine, Failed, Simulate, run
from sim.results import Tasks
from sim.schema import InputError
from test_execution import CASES, Heard, contents, dies_in_replication_1, dies_once, go, simulate
from test_faults import SWEEP, begin, begun_work
from test_faults import contents as files

BIN = Path(sys.executable).parent
HERE = Path(__file__).parent
SLURM: dict[str, Any] = {
    "kind": "slurm",
    "workers": 2,
    "pack": 2,
    "workers_per_job": 2,
    "memory_per_worker": 1,
    "hours": 1.5,
}


@contextmanager
def started(folder: Path, *words: str, **more: str) -> Iterator[subprocess.Popen[bytes]]:
    """A process that ends with the test."""
    path = {"PYTHONPATH": os.pathsep.join([str(HERE), str(HERE.parent)])}
    with (folder / "log").open("ab") as log:
        process = subprocess.Popen([BIN / "dask", *words], cwd=folder, env={**os.environ, **path, **more}, stderr=log)
    try:
        yield process
    finally:
        process.terminate()
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder with cluster.json, by which a scheduler and its two workers are found."""
    folder = tmp_path_factory.mktemp("desk")
    how = ("--interface", "lo", "--scheduler-file", "cluster.json")
    with (
        started(folder, "scheduler", *how, "--port", "0", "--no-dashboard"),
        started(folder, "worker", *how, "--nworkers", "2", "--nthreads", "1"),
    ):
        end = time.monotonic() + 120
        while not (folder / "cluster.json").exists() and time.monotonic() < end:
            time.sleep(0.1)
        with Client(scheduler_file=str(folder / "cluster.json"), set_as_default=False) as client:
            client.wait_for_workers(2, timeout=120)
        yield folder


def on(desk: Path, folder: Path, simulate: Simulate = simulate, cases: Any = CASES, **more: Any) -> Heard:
    """Run four replications of each case on the cluster."""
    heard, file = Heard(), desk / "cluster.json"
    spec = DaskSpec(kind="dask", workers=0, pack=2, patience=more.pop("patience", 2), scheduler_file=str(file))
    run(cases, 4, spec, Tasks(folder / "tasks"), Engine(simulate), heard)
    return heard


def test_a_cluster_gives_the_same_bytes_as_this_process(desk: Path, tmp_path: Path) -> None:
    go(tmp_path / "here")
    heard = on(desk, tmp_path / "there")
    assert contents(tmp_path / "here") == contents(tmp_path / "there")
    assert heard.days == 2 * 4 * 10
    assert sorted(heard.lines[-4:]) == [
        f"{name}, replications {pair}: done." for name in CASES for pair in ("0-1", "2-3")
    ]


def test_a_killed_worker_of_a_cluster_changes_nothing(desk: Path, tmp_path: Path) -> None:
    cases = {**CASES, "plan": replace(CASES["plan"], trouble=str(tmp_path / "attempts"))}
    go(tmp_path / "calm", cases=cases)
    heard = on(desk, tmp_path / "storm", dies_once, cases)
    assert (tmp_path / "attempts").stat().st_size > 1
    assert contents(tmp_path / "calm") == contents(tmp_path / "storm")
    assert any("Abandoned: the worker that had it died" in line for line in heard.lines)


def test_a_task_that_kills_workers_of_a_cluster_is_given_up_alone(desk: Path, tmp_path: Path) -> None:
    cases = {**CASES, "plan": replace(CASES["plan"], trouble=str(tmp_path / "attempts"))}
    with pytest.raises(Failed) as caught:
        on(desk, tmp_path, dies_in_replication_1, cases)
    assert [str(task) for task in caught.value.failures] == ["plan, replication 1"]
    assert (tmp_path / "attempts").stat().st_size == LIVES


SIDE_BY_SIDE = ("indicators.parquet", "comparison.csv", "draws.parquet", "manifest.json")


def test_a_sweep_on_a_cluster_is_the_same_though_a_worker_is_killed_meanwhile(desk: Path, tmp_path: Path) -> None:
    """`tiercare sweep`, on the cluster of the README; the worker is killed from outside once the first pack is done."""
    words = ["replications=6" if word.startswith("replications=") else word for word in SWEEP]
    calm, storm = tmp_path / "calm", tmp_path / "storm"
    assert main([*words, f"output={calm}"]) == DONE
    where = ["execution=dask", f"execution.scheduler_file={desk / 'cluster.json'}"]
    process = begin(storm, *where, words=[word for word in words if not word.startswith("execution.workers")])
    begun_work(process)
    with Client(scheduler_file=str(desk / "cluster.json"), set_as_default=False) as client:
        os.kill(next(iter(client.run(os.getpid).values())), signal.SIGKILL)
    out, err = process.communicate(timeout=300)
    assert process.returncode == DONE, err
    assert "p002" in out
    same = [
        {name: data for name, data in files(folder).items() if name.endswith(SIDE_BY_SIDE)} for folder in (calm, storm)
    ]
    assert len(same[0]) > 3 * 6
    assert same[0] == same[1]


# ------------------------------------------------------------------------------------------------------------ not fit


def test_a_scheduler_that_is_not_there_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cluster, "CONNECT", "1s")
    for where, words in (
        ({"address": "tcp://127.0.0.1:9"}, "No Dask scheduler"),
        ({"scheduler_file": "x"}, "no such file"),
    ):
        spec = DaskSpec(kind="dask", workers=0, pack=2, **where)
        with pytest.raises(Unreachable, match=words):
            run(CASES, 1, spec, Tasks(tmp_path / "tasks"), Engine(simulate))


def test_workers_that_cannot_do_the_work_are_told_before_anything_is_simulated(
    desk: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ours = cluster.code_version()
    monkeypatch.setattr(cluster, "code_version", lambda: {**ours, "code": "0" * 32})
    with pytest.raises(Unreachable) as caught:
        on(desk, tmp_path)
    assert str(caught.value).count("its version of this program is another") == 2
    assert not list((tmp_path / "tasks").iterdir())


def test_a_worker_that_is_not_fit_says_why(tmp_path: Path) -> None:
    version = cluster.code_version()
    (tmp_path / ".token-x").write_text("x", "utf-8")
    assert cluster.unfit(tmp_path, "x", version) == ""
    assert "does not see the folder" in cluster.unfit(tmp_path / "other", "x", version)
    assert "does not see the folder" in cluster.unfit(tmp_path, "y", version)
    assert "numpy" in cluster.unfit(tmp_path, "x", {**version, "packages": {**version["packages"], "numpy": "0"}})
    assert [path.name for path in tmp_path.iterdir()] == [".token-x"]


def test_without_the_extra_it_is_said_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "distributed", None)
    spec = DaskSpec(kind="dask", workers=0, pack=2, address="tcp://desk:8786")
    with pytest.raises(Unreachable, match=r"pip install 'tiercare\[cluster\]'"):
        run(CASES, 1, spec, Tasks(tmp_path / "tasks"), Engine(simulate))


# ----------------------------------------------------------------------------------------------------------- settings


@pytest.mark.parametrize(
    ("overrides", "words"),
    [
        (["execution=dusk"], "Did you mean dask?"),
        (["execution=dask"], "must be said once"),
        (["execution=dask", "execution.adress=tcp://desk:8786"], "Did you mean address?"),
        (["execution=dask", "execution.address=desk"], "cannot stand here"),
        (["execution.kind=dusk"], "welcome are local, dask, slurm. Did you mean dask?"),
        (["execution=slurm", "execution.queue='a b'"], "cannot stand here"),
        (["execution=slurm", "execution.workers=0"], "how many workers"),
        (["execution=slurm", "execution.job_extra_directives=[x]"], "No key has this name"),
    ],
)
def test_a_wrong_setting_is_told(overrides: list[str], words: str) -> None:
    with pytest.raises(InputError) as caught:
        sim.load("zhongwei", overrides=overrides)
    assert words in str(caught.value)


def test_a_config_group_is_a_kind() -> None:
    found = sim.load("example", overrides=["execution=dask", "execution.address=tcp://desk:8786"]).execution
    assert (found.kind, found.workers, found.address) == ("dask", 1, "tcp://desk:8786")
    assert sim.load("example").execution.kind == "local"


# -------------------------------------------------------------------------------------------------------------- Slurm


def test_a_job_asks_slurm_for_what_was_said() -> None:
    jobs = slurm_cluster(SlurmSpec(**SLURM, queue="normal", account="health-7"))
    try:
        lines = jobs.job_script().splitlines()
    finally:
        jobs.close(timeout=10)
    asked = {line for line in lines if line.startswith("#SBATCH")}
    assert {"#SBATCH -p normal", "#SBATCH -A health-7", "#SBATCH --cpus-per-task=2", "#SBATCH -t 01:30:00"} <= asked
    assert any("--nworkers 2" in line and "--nthreads 1" in line and sys.executable in line for line in lines)


@pytest.mark.parametrize("name", ["a b", "x\n#SBATCH --wrap=rm", "$(id)", "-p", ""])
def test_nothing_but_a_name_comes_into_the_script(name: str) -> None:
    for key in ("queue", "account", "interface"):
        with pytest.raises(ValidationError, match="pattern"):
            SlurmSpec(**SLURM, **{key: name})


SBATCH = """#!/bin/sh
cp "$1" "$0.$$"  # as Slurm does: who asks removes the script at once
setsid sh "$0.$$" > "$0.$$.log" 2>&1 &
echo "Submitted batch job $!"
"""
SCANCEL = """#!/bin/sh
kill -- "-$1"
"""


def test_jobs_do_the_work_and_end_with_the_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, script in (("sbatch", SBATCH), ("scancel", SCANCEL)):
        (tmp_path / name).write_text(script, "utf-8")
        (tmp_path / name).chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(HERE), str(HERE.parent)]))
    go(tmp_path / "here")
    spec = SlurmSpec(**SLURM, patience=2, interface="lo")
    run(CASES, 4, spec, Tasks(tmp_path / "there" / "tasks"), Engine(simulate), Heard())
    assert contents(tmp_path / "here") == contents(tmp_path / "there")


def test_without_slurm_it_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(Unreachable, match="no sbatch here"):
        run(CASES, 1, SlurmSpec(**SLURM), Tasks(tmp_path / "tasks"), Engine(simulate))
