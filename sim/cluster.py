"""Workers on many machines: a Dask cluster that is there, or one that Slurm is asked for (extra `cluster`).

Workers write their tasks into the study's folder, as local ones do, and send nothing back. So before anything is
simulated each shows that it sees that folder and runs the same version of the program; whoever comes later shows it
with his first pack.
"""

from __future__ import annotations

import os
import secrets
import shutil
import socket
import threading
import time
from collections.abc import Callable, Mapping
from concurrent.futures import BrokenExecutor, CancelledError, Future
from contextlib import suppress
from pathlib import Path
from typing import Any

from sim.compose import DaskSpec, SlurmSpec
from sim.crews import Crew, Pulse
from sim.results import code_version
from sim.schema import Failure, shown

GLANCE = 1.0
"""Seconds between two looks at how many workers there are."""

CONNECT = "20s"
"""How long a scheduler gets to answer."""

MISSING = "Dask is not installed here: pip install 'tiercare[cluster]' (with the same pins on every machine)."


class Unreachable(Failure):
    """A cluster, or its workers, are not there, or not fit for this study."""

    general = True


class Abandoned(BrokenExecutor):
    """A pack whose worker died with it: Dask has given it to another, who leaves it to whoever counts deaths."""


class Cluster(Crew):
    """Workers of a Dask cluster. Each has one pack at a time, so it is known which one a dead worker had."""

    exact = True

    def __init__(self, client: Any, spec: DaskSpec | SlurmSpec, folder: Path, say: Callable[[str], None]) -> None:
        """They must be fit before they get work."""
        self.client, self.spec, self.folder, self.say = client, spec, folder.absolute(), say
        self.token, self.names = secrets.token_hex(8), dict[Future[Any], str]()
        self.lease = self.mark = self.folder / f".token-{self.token}"
        self.pool = client.get_executor(pure=False, retries=0)
        self.there, self.looked, self.lonely = 0, -GLANCE, time.monotonic()
        try:
            self.mark.write_text(self.token, "utf-8")
            self._wait_for_workers()
            self._probe()
        except BaseException:
            self.dismiss(at_once=True)
            raise

    @property
    def hands(self) -> int:
        """One for each worker, up to as many as are wanted; `Unreachable` when none has been there for too long."""
        if time.monotonic() - self.looked > GLANCE:
            self.there, self.looked = len(self._workers()), time.monotonic()
            if self.there:
                self.lonely = time.monotonic()
            elif time.monotonic() - self.lonely > 60 * self.spec.patience:
                raise Unreachable(
                    f"There has been no worker for {self.spec.patience:g} minutes; finished tasks are kept."
                )
        return min(self.there, self.spec.workers or self.there)

    def submit(self, work: Callable[..., Any], /, *args: Any) -> Future[Any]:
        """Have it done by one of the workers, once."""
        name, outer = f"tiercare-{secrets.token_hex(8)}", Future[Any]()
        inner = self.pool.submit(do_once, self.folder, self.token, name, code_version(), work, *args, key=name)
        inner.add_done_callback(lambda future: _hand_over(future, outer))
        self.names[outer] = name
        return outer

    def end(self, work: Future[Any], pulse: Pulse) -> None:
        """Kill the worker; its nanny, where it has one, starts another."""
        for address, names in self.client.processing().items():
            if self.names[work] in names:
                self.client.run(os._exit, 1, workers=[address], wait=False)

    def dismiss(self, *, at_once: bool) -> None:
        """Leave the cluster. Work in hand goes on to its next day, sees that nobody waits, and stops."""
        with suppress(OSError):
            self.mark.unlink(missing_ok=True)
        with suppress(Exception):  # a scheduler that is gone cannot be told
            self.pool.shutdown(wait=not at_once)
        self.client.close(timeout=5)

    def _workers(self) -> Mapping[str, Any]:
        """Address of each worker, and what the scheduler knows of it."""
        if self.client.status != "running":
            raise Unreachable("The Dask scheduler does not answer any more; finished tasks are kept.")
        workers: Mapping[str, Any] = self.client.scheduler_info(n_workers=-1)["workers"]
        return workers

    def _wait_for_workers(self) -> None:
        at = self.client.scheduler.address
        if not self._workers():
            self.say(f"Waiting up to {self.spec.patience:g} minutes for workers of {at}.")
        end = time.monotonic() + 60 * self.spec.patience
        while not self._workers():
            if time.monotonic() > end:
                raise Unreachable(f"No worker came to {at} in {self.spec.patience:g} minutes.")
            time.sleep(GLANCE / 4)

    def _probe(self) -> None:
        """Every worker there is shows that it is fit; all that are not are told at once."""
        threads = {address: worker["nthreads"] for address, worker in self._workers().items()}
        wrong = [f"  {a}: it runs {n} packs at once; start it with --nthreads 1" for a, n in threads.items() if n != 1]
        told = self.client.run(unfit, self.folder, self.token, code_version(), on_error="return")
        for address, why in told.items():
            if isinstance(why, ImportError):
                why = "this program is not installed there; install the same version as here"
            if why:
                wrong.append(f"  {address}: {why}")
        if wrong:
            raise Unreachable("\n".join(["Workers that cannot do this work:", *wrong]))


def _hand_over(inner: Future[Any], outer: Future[Any]) -> None:
    """What came of work, in words of `concurrent.futures`: a worker's death breaks the executor."""
    try:
        outer.set_result(inner.result())
    except CancelledError:
        outer.set_exception(
            Unreachable("The Dask scheduler is gone, or has dropped the work; finished tasks are kept.")
        )
    except Exception as error:
        outer.set_exception(Abandoned(str(error)) if type(error).__name__ == "KilledWorker" else error)


# ------------------------------------------------------------------------------------------------------- in the worker


ALONE = threading.Lock()
"""One pack at a time in a process, whatever a worker was told about threads."""


def unfit(folder: Path, token: str, version: Mapping[str, Any]) -> str:
    """Why this worker cannot do the work; nothing where it can."""
    here = code_version()
    if here["code"] != version["code"]:
        return f"its version of this program is another ({here['code'][:12]} there, {version['code'][:12]} here)"
    pairs = ((name, found, version["packages"][name]) for name, found in here["packages"].items())
    other = [f"{name} {found} there, {wanted} here" for name, found, wanted in pairs if found != wanted]
    if other:
        return f"other packages: {', '.join(other)}"
    return _cannot_share(folder, token)


def _cannot_share(folder: Path, token: str) -> str:
    """Whether the folder is another one here, or cannot be written to."""
    mine = folder / f".token-{token}-{socket.gethostname()}-{os.getpid()}"
    try:
        if (folder / f".token-{token}").read_text("utf-8") != token:
            return f"{folder} is another folder there"
        mine.write_text(token, "utf-8")
        mine.unlink()
    except FileNotFoundError:
        return f"it does not see the folder {folder}; workers need the same file system under the same name"
    except OSError as error:
        return f"it cannot write into {folder}: {error.strerror}"
    return ""


def do_once(
    folder: Path, token: str, name: str, version: Mapping[str, Any], work: Callable[..., Any], *args: Any
) -> None:
    """Do work that nobody has begun before; what a worker died over goes back to whoever counts."""
    with ALONE:
        if why := unfit(folder, token, version):
            raise Unreachable(f"A worker on {socket.gethostname()} cannot do this work: {why}.")
        try:
            (folder / f".once-{name}").touch(exist_ok=False)
        except FileExistsError:
            raise Abandoned("the worker that had it died") from None
        work(*args)
        (folder / f".once-{name}").unlink(missing_ok=True)


# ----------------------------------------------------------------------------------------------------------------- hire


def join(spec: DaskSpec, folder: Path, say: Callable[[str], None]) -> Cluster:
    """The workers of a Dask cluster that is there."""
    client_of = _distributed().Client
    where = {"address": spec.address} if spec.address else {"scheduler_file": str(_there(spec.scheduler_file))}
    try:
        client = client_of(**where, timeout=CONNECT, set_as_default=False)
    except (OSError, ValueError) as error:
        at = spec.address or spec.scheduler_file
        raise Unreachable(f"No Dask scheduler answers at {at}: {str(error).splitlines()[0]}.") from None
    return Cluster(client, spec, folder, say)


def _there(file: str | None) -> Path:
    path = Path(file or "")
    if not path.is_file():
        raise Unreachable(f"{shown(path)}: there is no such file; `dask scheduler --scheduler-file` writes it.")
    return path


def ask_slurm(spec: SlurmSpec, folder: Path, say: Callable[[str], None]) -> Cluster:
    """Jobs of Slurm, and their workers; with the run they end."""
    if shutil.which("sbatch") is None:
        raise Unreachable("There is no sbatch here: this is no machine from which Slurm takes jobs.")
    cluster = slurm_cluster(spec)
    try:
        cluster.scale(spec.workers)
        return _Jobs(_distributed().Client(cluster, set_as_default=False), spec, folder, say, cluster)
    except BaseException:
        cluster.close(timeout=10)
        raise


def slurm_cluster(spec: SlurmSpec) -> Any:
    """A Dask cluster whose workers are jobs of Slurm; none is asked for yet."""
    _distributed()
    import dask_jobqueue

    made: Any = dask_jobqueue.SLURMCluster  # type: ignore[attr-defined]
    seconds = round(3600 * spec.hours)
    asked = {"queue": spec.queue, "account": spec.account, "interface": spec.interface}
    return made(
        cores=spec.workers_per_job,
        processes=spec.workers_per_job,
        memory=f"{spec.workers_per_job * spec.memory_per_worker:g}GB",
        walltime=f"{seconds // 3600:02d}:{seconds // 60 % 60:02d}:{seconds % 60:02d}",
        scheduler_options={"dashboard_address": ":0"},
        **{name: value for name, value in asked.items() if value is not None},
    )


class _Jobs(Cluster):
    """Workers with a cluster of their own, which ends with the run."""

    def __init__(self, client: Any, spec: SlurmSpec, folder: Path, say: Callable[[str], None], cluster: Any) -> None:
        self.cluster = cluster
        super().__init__(client, spec, folder, say)

    def dismiss(self, *, at_once: bool) -> None:
        """Leave it, and take the jobs back."""
        super().dismiss(at_once=at_once)
        self.cluster.close(timeout=10)


def _distributed() -> Any:
    try:
        import dask_jobqueue  # noqa: F401 - both belong to the extra
        import distributed
    except ImportError:
        raise Unreachable(MISSING) from None
    return distributed
