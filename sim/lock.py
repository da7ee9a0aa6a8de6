"""One command at a time in a folder, on one machine and on a file system that several share.

The lock is a file that exactly one process can make, and names it. On one machine the system's own lock on it (flock)
ends with the process, however that ends. Between machines a beat tells: who holds the lock touches it now and then.
"""

from __future__ import annotations

import fcntl
import json
import os
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from errno import EACCES, EAGAIN
from pathlib import Path

from sim.schema import Failure, shown

FILE = ".lock"

BEAT = 5.0
"""Seconds between two touches of the lock by who holds it."""

PATIENCE = 25.0
"""Seconds without a beat after which a holder on another machine counts as dead."""


GRACE = 0.5
"""Seconds that whoever has just made the lock gets to sign it."""


class InUse(Failure):
    """Another command is at work in the folder."""


@dataclass(frozen=True)
class Holder:
    """Who holds a lock."""

    process: int
    host: str
    since: str
    """When it began, by the clock on the wall; for people."""

    def __str__(self) -> str:
        return f"process {self.process} on {self.host}, since {self.since}"


@contextmanager
def alone_in(folder: Path) -> Iterator[None]:
    """Refuse a second command in the folder; who died in it does not bind."""
    path = folder / FILE
    handle = _taken(path)
    stop = threading.Event()
    beating = threading.Thread(target=_beat, args=(path, stop), daemon=True)
    beating.start()
    try:
        yield
    finally:
        stop.set()
        beating.join()
        with suppress(OSError):  # the folder may be gone, or read-only by now
            path.unlink(missing_ok=True)
        os.close(handle)


def _taken(path: Path) -> int:
    """The lock, held and signed."""
    while True:
        handle, made = _opened(path)
        try:
            flocked = _flocked(path, handle)
            if not made:
                _refuse_the_living(path, handle, flocked)
            if _is_still(path, handle):
                _sign(handle)
                return handle
        except BaseException:
            os.close(handle)
            raise
        os.close(handle)  # whoever held it has removed it meanwhile


def _opened(path: Path) -> tuple[int, bool]:
    """The lock's file, and whether it is this process that made it: of several, one alone does."""
    with suppress(FileExistsError):
        return os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o644), True
    return os.open(path, os.O_RDWR | os.O_CREAT, 0o644), False


def _flocked(path: Path, handle: int) -> bool:
    """The system's own lock; `InUse` where another process has it, False where the file system knows no such thing."""
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno in (EAGAIN, EACCES):
            raise InUse(_told(path, handle)) from None
        return False
    return True


def _refuse_the_living(path: Path, handle: int, flocked: bool) -> None:
    """Make sure that whoever made the lock before is dead; else `InUse`."""
    if _holder(handle) is None:
        time.sleep(GRACE)
    holder = _holder(handle)
    known_dead = flocked and (holder is None or holder.host == socket.gethostname())
    if not known_dead and _beats(path):
        raise InUse(_told(path, handle))


def _beats(path: Path) -> bool:
    """Whether a holder gives a sign of life; clocks of two machines are never compared."""
    before, end = _touched(path), time.monotonic() + PATIENCE
    while time.monotonic() < end:
        time.sleep(min(1.0, PATIENCE / 5))
        if (now := _touched(path)) != before:
            return now is not None
    return False


def _touched(path: Path) -> int | None:
    """When the lock was touched last; opened anew, so that a network file system asks its server."""
    with suppress(FileNotFoundError), path.open("rb") as file:
        return os.fstat(file.fileno()).st_mtime_ns
    return None


def _is_still(path: Path, handle: int) -> bool:
    with suppress(FileNotFoundError):
        return os.path.samestat(os.fstat(handle), path.stat())
    return False


def _sign(handle: int) -> None:
    me = Holder(os.getpid(), socket.gethostname(), time.strftime("%Y-%m-%d %H:%M:%S"))
    os.ftruncate(handle, 0)
    os.pwrite(handle, json.dumps(asdict(me)).encode(), 0)
    os.fsync(handle)


def _holder(handle: int) -> Holder | None:
    """Who signed the lock; None where nobody did."""
    with suppress(ValueError, TypeError):
        return Holder(**json.loads(os.pread(handle, 4096, 0)))
    return None


def _told(path: Path, handle: int) -> str:
    holder = _holder(handle) or "which has just begun"
    return f"{shown(path.parent)} is in use by another study ({holder})."


def _beat(path: Path, stop: threading.Event) -> None:
    while not stop.wait(BEAT):
        with suppress(OSError):
            os.utime(path)
