"""The headline share against adherence, from the replications' own draws: what it would take to reach the target."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import stdtrit

from analysis.compare import CONFIDENCE
from analysis.ledger import Frame

Floats = NDArray[np.float64]

ADHERENCE = "policy.first_contact.adherence"
"""The assumption that the curve is drawn over."""

FEWEST = 4
"""Replications below which a line says nothing."""


@dataclass(frozen=True)
class Curve:
    """A least-squares line through one dot for each replication."""

    x: Floats
    y: Floats
    slope: float
    intercept: float
    spread: float
    """Standard deviation of the dots around the line."""

    def at(self, x: Floats) -> Floats:
        """The line."""
        return self.intercept + self.slope * x

    def value(self, x: float) -> float:
        """The line at one point."""
        return self.intercept + self.slope * x

    def half_width(self, x: Floats) -> Floats:
        """Half of the 95 % interval of the line."""
        n, middle = len(self.x), self.x.mean()
        lever = 1 / n + (x - middle) ** 2 / ((self.x - middle) ** 2).sum()
        return np.asarray(stdtrit(n - 2, (1 + CONFIDENCE) / 2) * self.spread * np.sqrt(lever))

    def reaches(self, target: float, low: float, high: float) -> Reached:
        """Where the line and the edges of its band cross a target, within a range of x."""
        x = np.linspace(low, high, 2001)
        line, half = self.at(x), self.half_width(x)
        return Reached(_first(x, line, target), _first(x, line + half, target), _first(x, line - half, target))


@dataclass(frozen=True)
class Reached:
    """The x at which a target is reached; None: not within the range."""

    line: float | None
    earliest: float | None
    """By the favourable edge of the band."""
    latest: float | None
    """By the unfavourable edge."""


def _first(x: Floats, y: Floats, target: float) -> float | None:
    reached = np.flatnonzero(y >= target)
    return float(x[reached[0]]) if reached.size else None


def curve(
    draws: Frame, indicators: Frame, scenario: str, year: str, indicator: str, path: str = ADHERENCE
) -> Curve | None:
    """The line through a scenario's replications; None where there are too few, or none has drawn its own value."""
    drawn = draws[draws["scenario"].eq(scenario) & draws["path"].eq(path)].drop_duplicates("replication", keep="last")
    told = indicators["indicator"].eq(indicator) & indicators["variant"].eq("headline")
    mine = indicators[told & indicators["scenario"].eq(scenario) & indicators["period"].astype(str).eq(year)]
    both = drawn[["replication", "value"]].merge(mine[["replication", "value"]], on="replication").dropna()
    x, y = both["value_x"].to_numpy(float), both["value_y"].to_numpy(float)
    if len(x) < FEWEST or np.ptp(x) == 0:
        return None
    slope, intercept = np.polyfit(x, y, 1)
    spread = np.sqrt(((y - intercept - slope * x) ** 2).sum() / (len(x) - 2))
    return Curve(x, y, float(slope), float(intercept), float(spread))
