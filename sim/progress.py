"""How a run goes on, shown: a bar in a terminal or a notebook, elsewhere a line for each pack."""

from __future__ import annotations

import sys
from typing import Any

from sim.execution import Progress


class Bar(Progress):
    """Simulated days on a terminal or in a notebook; elsewhere a line for each pack."""

    bar: Any = None

    def begin(self, days: int) -> None:
        """Draw an empty bar."""
        from tqdm.auto import tqdm

        self.bar = tqdm(total=days, unit=" days", smoothing=0.05, disable=not (days and is_watched()))

    def advance(self, days: int) -> None:
        """Fill it."""
        self.bar.update(days)

    def say(self, text: str) -> None:
        """A line where there is no bar."""
        if not is_watched():
            print(text, file=sys.stderr, flush=True)

    def end(self) -> None:
        """Leave the bar as it is."""
        self.bar.close()


Wish = Progress | bool | None
"""What a caller may say of progress: somebody who is told, a bar (True), nobody (False), or a bar where one is seen."""


def heard(wish: Wish) -> Progress:
    """Who is told."""
    if isinstance(wish, Progress):
        return wish
    return Bar() if wish or (wish is None and is_watched()) else Progress()


def is_watched() -> bool:
    """Whether somebody looks on: a terminal, or a notebook."""
    return sys.stderr.isatty() or _is_notebook()


def _is_notebook() -> bool:
    shell = getattr(sys.modules.get("IPython"), "get_ipython", lambda: None)()
    return getattr(shell, "kernel", None) is not None
