"""Loops over patients, written once: compiled where numba is installed, plain Python elsewhere.

A kernel is a function over numbers, arrays and rows, told one patient at a time. What it reads lies in structured
arrays (`table`): few of them, because handing over an array costs a little each time. With the extra `fast` numba
compiles it when it is first called and keeps the machine code beside the sources; without it, or with TIERCARE_PURE=1,
the same lines run as they are: the same results to the last bit, many times slower. Numba is imported at the first
call, so commands that simulate nothing do not wait for it.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import cache, cached_property
from hashlib import blake2b
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any, ClassVar, Generic, ParamSpec, TypeVar

import numpy as np
from numpy.typing import NDArray

HERE = Path(__file__).parent

_inside = False
"""Whether a kernel runs as plain Python now, so that those it calls need not ask again to overflow in silence."""

P = ParamSpec("P")
R = TypeVar("R")


class Kernel(Generic[P, R]):
    """A function that numba may compile; kernels call each other as plain functions do."""

    # Nobody counts references where nothing is allocated, and no arrays are handed from call to call where calls are
    # drawn together: either would cost more than the work itself.
    OPTIONS: ClassVar = {"_nrt": False, "forceinline": True}

    def __init__(self, body: Callable[P, R]) -> None:
        self.body = body
        self.__doc__ = body.__doc__

    def __call__(self, *arguments: P.args, **named: P.kwargs) -> R:
        """Call it, compiled if possible."""
        return self.run(*arguments, **named)

    @cached_property
    def run(self) -> Callable[P, R]:
        """The function that is called: compiled, or as it is written."""
        numba = _numba()
        if numba is None:
            return self.plain
        compiled: Callable[P, R] = numba.njit(cache=_keeps_machine_code(), **self.OPTIONS)(self.body)
        return compiled

    def plain(self, *arguments: P.args, **named: P.kwargs) -> R:
        """The lines as they are written; random bits are made by overflow, which is not worth a warning."""
        global _inside
        if _inside:
            return self.body(*arguments, **named)
        _inside = True
        try:
            with np.errstate(over="ignore"):
                return self.body(*arguments, **named)
        finally:
            _inside = False

    @property
    def _numba_type_(self) -> Any:
        """How numba sees a kernel that another one calls."""
        return self.run._numba_type_  # type: ignore[attr-defined]


def kernel(body: Callable[P, R]) -> Callable[P, R]:
    """Decorator: this function sees every patient. It makes no arrays or lists; those come from its caller."""
    return Kernel(body)


def table(**columns: Any) -> NDArray[Any]:
    """Columns of one shape side by side as one structured array: what a kernel reads of one thing lies together."""
    arrays = {name: np.asarray(column) for name, column in columns.items()}
    shape = np.broadcast_shapes(*(a.shape for a in arrays.values()))
    rows = np.zeros(shape, dtype=[(name, a.dtype) for name, a in arrays.items()])
    for name, a in arrays.items():
        rows[name] = a
    return rows


def is_compiled() -> bool:
    """Whether kernels will run as machine code (numba itself is not imported for the answer)."""
    return os.environ.get("TIERCARE_PURE") != "1" and find_spec("numba") is not None


@cache
def _numba() -> Any:
    return import_module("numba") if is_compiled() else None


@cache
def _keeps_machine_code() -> bool:
    """Point numba to a folder of this very text of the kernels.

    Numba looks at a function's own file only; a kernel may call those of other rooms, whose change it would not see.
    """
    for folder in machine_code_folders():
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError:
            continue
        if os.access(folder, os.W_OK):
            _numba().config.CACHE_DIR = str(folder)
            return True
    return False


def machine_code_folders() -> list[Path]:
    """Where machine code of these kernels may lie, best first."""
    texts = [path.read_bytes() for path in sorted(HERE.glob("*.py"))]
    text = b"".join(t for t in texts if b"kernel\ndef " in t)
    wanted = os.environ.get("NUMBA_CACHE_DIR")
    homes = [Path(wanted)] if wanted else [HERE / "__pycache__", Path.home() / ".cache" / "tiercare"]
    return [home / f"kernels-{blake2b(text, digest_size=8).hexdigest()}" for home in homes]


def is_prepared() -> bool:
    """Whether an earlier run has left machine code of these kernels, so that this one need not wait for it."""
    return any(next(folder.rglob("*.nbi"), None) is not None for folder in machine_code_folders())
