"""tiercare: patient flow under tiered care, simulated one to one from dated, cited policy scenarios.

    import sim
    results = sim.run(sim.load("zhongwei", replications=2))
    results.indicators

Also on the command line: `tiercare run study=zhongwei`.
"""

from sim.compose import Config, load
from sim.results import Results
from sim.scenario import Scenario
from sim.schema import InputError
from sim.study import run

__all__ = ["Config", "InputError", "Results", "Scenario", "load", "run"]
