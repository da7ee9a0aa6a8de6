"""tiercare: patient flow under tiered care, simulated one to one from dated, cited policy scenarios.

    import sim
    results = sim.run(sim.load("zhongwei", replications=2))
    results.indicators

Also on the command line: `tiercare run study=zhongwei`.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sim.compose import Config, load
    from sim.experiment import sweep
    from sim.goal import seek
    from sim.results import Results
    from sim.scenario import Scenario
    from sim.schema import InputError
    from sim.study import run
    from sim.swept import Swept, open

__all__ = ["Config", "InputError", "Results", "Scenario", "Swept", "load", "open", "run", "seek", "sweep"]

_ROOMS = {
    "Config": "compose",
    "InputError": "schema",
    "Results": "results",
    "Scenario": "scenario",
    "Swept": "swept",
    "load": "compose",
    "open": "swept",
    "run": "study",
    "seek": "goal",
    "sweep": "experiment",
}


def __getattr__(name: str) -> Any:
    """A name of the public face, from its room; loaded when asked for, so that `tiercare --help` loads none."""
    if name not in _ROOMS:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"sim.{_ROOMS[name]}"), name)
