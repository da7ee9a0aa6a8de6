"""Who simulates: this process, workers of this machine, or workers of a cluster, behind one face.

A crew takes work and gives a `Future`, as all executors of `concurrent.futures` do. What else there is to know of
workers stands here: that they end with whoever hired them, and how far each has come with the pack in hand.
"""

from __future__ import annotations

import os
import resource
import signal
import socket
import sys
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sim.schema import Failure

ONE_THREAD = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "MKL_NUM_THREADS": "1", "NUMBA_NUM_THREADS": "1"}
"""A worker is one of many: libraries inside it start no threads of their own."""

WATCH = 1.0
"""Seconds between two looks of a worker at whether its parent still lives."""

KILOBYTES = 1024 if sys.platform == "darwin" else 1
"""What the system's peak of memory is divided by to have it in kB."""


class Deserted(Failure):
    """Whoever gave out the work has left."""


class Crew(ABC):
    """Workers, hired for one run."""

    here = False
    """Whether this process itself does the work, and tells of its days directly."""

    exact = False
    """Whether it is known which pack a dead worker had in hand; else all that were in hand are suspects."""

    lease: Path | None = None
    """A file that is there as long as somebody waits for the work, where workers do not end with who hired them."""

    @property
    @abstractmethod
    def hands(self) -> int:
        """Packs that can be in hand at once, now."""

    @abstractmethod
    def submit(self, work: Callable[..., Any], /, *args: Any) -> Future[Any]:
        """Have something done."""

    def renewed(self) -> Crew:
        """The crew after workers died."""
        return self

    def end(self, work: Future[Any], pulse: Pulse) -> None:
        """Put an end to the worker that has a pack in hand and comes no further; here, nobody could."""
        del work, pulse

    @abstractmethod
    def dismiss(self, *, at_once: bool) -> None:
        """Let all go: when they have finished, or at once."""


# --------------------------------------------------------------------------------------------------------- this machine


class Here(Crew):
    """This process as the only worker."""

    here, hands = True, 1

    def submit(self, work: Callable[..., Any], /, *args: Any) -> Future[Any]:
        """Do it now."""
        future: Future[Any] = Future()
        try:
            future.set_result(work(*args))
        except Exception as error:
            future.set_exception(error)
        return future

    def dismiss(self, *, at_once: bool) -> None:
        """Nobody was hired."""


class Local(Crew):
    """Processes of this machine (loky). When one dies, all are replaced: which of them had what is unknown."""

    def __init__(self, workers: int) -> None:
        """They start when there is work."""
        from loky import ProcessPoolExecutor  # not needed where this process does the work

        self.workers = workers
        self.pool = ProcessPoolExecutor(workers, env=ONE_THREAD, initializer=_live_under, initargs=(os.getpid(),))

    @property
    def hands(self) -> int:
        """One for each process."""
        return self.workers

    def submit(self, work: Callable[..., Any], /, *args: Any) -> Future[Any]:
        """Have it done by one of the processes."""
        future: Future[Any] = self.pool.submit(work, *args)
        return future

    def renewed(self) -> Crew:
        """Others in their place."""
        self.dismiss(at_once=True)
        return Local(self.workers)

    def end(self, work: Future[Any], pulse: Pulse) -> None:
        """Kill it; its pack is then told as that of a dead worker."""
        if pulse.host == socket.gethostname() and pulse.process:
            with suppress(ProcessLookupError):
                os.kill(pulse.process, signal.SIGKILL)

    def dismiss(self, *, at_once: bool) -> None:
        """Wait for their end."""
        self.pool.shutdown(wait=True, kill_workers=at_once)


def _live_under(parent: int) -> None:
    """What a local worker does first: it leaves interruptions to its parent, and ends when the parent does."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    threading.Thread(target=_watch_over, args=(parent,), daemon=True).start()


def _watch_over(parent: int) -> None:
    """Nobody waits for a worker whose parent was killed."""
    while os.getppid() == parent:
        time.sleep(WATCH)
    os._exit(1)


# ---------------------------------------------------------------------------------------------------------------- pulse


@dataclass(frozen=True)
class Pulse:
    """How far a worker has come with its pack, as it last wrote down."""

    days: int = 0
    memory: int = 0
    """The most that the worker ever had, in kB."""
    process: int = 0
    host: str = ""


@dataclass
class Pulses:
    """One small file for each pack in hand, written by its worker day by day, read by whoever waits for it.

    So that no worker can block another, and nothing but the folder is shared.
    """

    folder: Path

    def of(self, pack: int) -> Path:
        """Where the worker that has this pack in hand writes."""
        return self.folder / f".pulse-{pack}"

    def read(self, pack: int) -> Pulse:
        """The latest; nothing yet where nothing was written."""
        with suppress(OSError, ValueError):
            days, memory, process, host = self.of(pack).read_text("utf-8").split()
            return Pulse(int(days), int(memory), int(process), host)
        return Pulse()

    def forget(self, pack: int) -> None:
        """The pack is in nobody's hands any more."""
        with suppress(OSError):
            self.of(pack).unlink(missing_ok=True)


@dataclass
class Beat:
    """Writes the pulse of one pack; in the worker."""

    path: Path
    lease: Path | None = None
    """Without this file nobody waits any more."""
    days: int = 0

    def __call__(self, days: int) -> None:
        """So many more days are done. That this cannot be written spoils no work: what matters `Tasks` writes."""
        if self.lease is not None and not self.lease.exists():
            raise Deserted("nobody waits for this any more")
        self.days += days
        memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // KILOBYTES
        told = f"{self.days} {memory} {os.getpid()} {socket.gethostname()}"
        with suppress(OSError):
            self.path.write_text(told, "utf-8")
