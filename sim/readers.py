"""What `analysis` makes of records, found by name: the simulation calls it and never imports it."""

from __future__ import annotations

from collections.abc import Callable
from importlib import metadata
from typing import Any

GROUP = "tiercare.readers"
"""The entry points, in pyproject.toml, under which readers are registered."""


def reader(name: str) -> Callable[..., Any]:
    """What is registered under a name: measures, indicators, report, summary, values, answer, warmup, estimates, point,
    sweep, sweep_summary."""
    for entry in metadata.entry_points(group=GROUP, name=name):
        found: Callable[..., Any] = entry.load()
        return found
    raise RuntimeError(f"No reader {name} is installed; install the package (pip install -e . in a checkout).")
