"""How precise an answer has to be, and when enough replications have been run for that.

The confidence-interval method with a look-ahead (Hoad, Robinson and Davies 2010, doi 10.1057/jors.2009.121): the
half-width of the 95 % t interval is looked at after each replication, and it is enough when it has stayed within what
is asked for some replications more, lest an early lucky stretch ends the run. A relative precision is the half-width
over the absolute mean, and is not defined while the interval holds 0: a mean near 0 or below it cannot end a run by its
sign.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil
from typing import Literal

import numpy as np
from pydantic import Field, model_validator
from scipy.special import stdtrit

from sim.schema import Closed, Name, refuse
from sim.search import CONFIDENCE
from sim.streams import Floats

FEWEST = 3
"""Replications before which no half-width is believed."""

LOOK_AHEAD = 5
"""Replications for which a precision has to hold on (Hoad, Robinson and Davies 2010)."""

SCALED_FROM = 100
"""Replications from which on the look-ahead grows in proportion, as in the same paper."""


class Wanted(Closed):
    """How precise one indicator has to be: half_width or relative, one of them."""

    half_width: float | None = Field(None, gt=0)
    """Half of the 95 % interval at most, in the indicator's unit."""

    relative: float | None = Field(None, gt=0, lt=1)
    """The same as a share of the absolute mean; never reached while the interval holds 0."""

    of: Literal["value", "difference"] = "value"
    """value: of the indicator itself; difference: of its paired difference from the baseline."""

    scenario: Name | None = None
    """The scenario that is meant; left out = every one, of differences every one but the baseline."""

    scope: Name | None = None
    """Scope of the indicator; left out = that of its headline."""

    year: int | None = None
    """Calendar year; left out = the last that is wholly measured, else the last one measured."""

    @model_validator(mode="after")
    def _one_kind(self) -> Wanted:
        if (self.half_width is None) == (self.relative is None):
            raise refuse(((), "Write half_width (in the indicator's unit) or relative (a share of it), one of them."))
        return self


class PrecisionSpec(Closed):
    """Replications are added until every indicator is as precise as asked, or there are `at_most`.

    It begins with `replications`, rounded up to whole Latin hypercubes where assumptions are drawn.
    """

    indicators: dict[Name, Wanted] = Field(min_length=1)
    """What has to be precise: indicator -> {half_width} or {relative}."""

    at_most: int = Field(ge=FEWEST, le=10_000)
    """Replications at which it ends, reached or not."""

    look_ahead: int = Field(LOOK_AHEAD, ge=0, le=1000)
    """Replications for which a precision has to hold on; beyond 100 replications as many per hundred."""

    step: int | None = Field(None, ge=1, le=1000)
    """Replications added at a time; left out = a whole Latin hypercube where assumptions are drawn, else as many as the
    look-ahead."""


@dataclass(frozen=True)
class Estimate:
    """What the replications say of one thing that has to be precise."""

    indicator: str
    scope: str
    year: str
    scenario: str
    wanted: Wanted
    values: Floats
    """One for each replication, or for each draw where several share one; NaN where there is none."""


@dataclass(frozen=True)
class Reached:
    """How precise one thing is."""

    estimate: Estimate
    mean: float
    half_width: float
    """NaN: not known yet."""
    since: int | None
    """The replication from which on it has been precise enough for long enough; None: it is not."""

    @property
    def asked(self) -> float:
        """The half-width at most, or the share of the mean."""
        wanted = self.estimate.wanted
        return float(wanted.half_width if wanted.half_width is not None else wanted.relative or 0.0)

    @property
    def is_relative(self) -> bool:
        """Whether a share of the mean is asked for."""
        return self.estimate.wanted.relative is not None

    @property
    def found(self) -> float:
        """What it is held against: the half-width, or its share of the mean; NaN where that is not defined."""
        if not self.is_relative:
            return self.half_width
        return self.half_width / abs(self.mean) if abs(self.mean) > self.half_width else float("nan")

    @property
    def told(self) -> str:
        """What was found, in a few words."""
        if np.isfinite(self.found):
            return f"{self.found:.4g}"
        return "not defined, the interval holds 0" if self.is_relative else "not known yet"


def running(values: Floats) -> tuple[Floats, Floats]:
    """Mean and half-width after each value; NaN before there are enough. Values that are NaN do not count."""
    known = np.isfinite(values)
    count = np.cumsum(known).astype(float)
    first = values[known][0] if known.any() else 0.0
    moved = np.where(known, values - first, 0.0)  # near 0, so that squares lose nothing
    with np.errstate(divide="ignore", invalid="ignore"):
        mean = np.cumsum(moved) / count
        variance = np.maximum(np.cumsum(moved**2) - count * mean**2, 0.0) / (count - 1)
        freedom = np.where(count >= FEWEST, count - 1, np.nan)
        half = stdtrit(freedom, (1 + CONFIDENCE) / 2) * np.sqrt(variance / count)
    return mean + first, np.where(count >= FEWEST, half, np.nan)


def ahead(look_ahead: int, number: int) -> int:
    """Replications for which a precision that is reached at a number has to hold on."""
    return look_ahead if number <= SCALED_FROM else ceil(look_ahead * number / SCALED_FROM)


def judged(estimate: Estimate, look_ahead: int) -> Reached:
    """How precise it is, and since when for good: from the first of the unbroken precise stretch that goes on now."""
    mean, half = running(estimate.values)
    wanted = estimate.wanted
    if wanted.half_width is not None:
        precise = half <= wanted.half_width
    else:
        precise = (half <= (wanted.relative or 0.0) * np.abs(mean)) & (np.abs(mean) > half)
    broken = np.flatnonzero(~precise)
    since = int(broken[-1]) + 2 if len(broken) else 1
    enough = since <= len(precise) and len(precise) - since >= ahead(look_ahead, since)
    return Reached(estimate, float(mean[-1]), float(half[-1]), since if enough else None)


def following(number: int, step: int, at_most: int) -> int | None:
    """The next number of replications, in whole steps as far as they go; None: no more."""
    return None if number >= at_most else min((number // step + 1) * step, at_most)


def said(found: Sequence[Reached], number: int) -> str:
    """One line: how precise everything is by now."""
    told = (
        f"{one.estimate.indicator} of {one.estimate.scenario} {one.told} (asked {one.asked:g}"
        f"{', relative' if one.is_relative else ''}{': reached' if one.since else ''})"
        for one in found
    )
    return f"{number} replications: {'; '.join(told)}."
