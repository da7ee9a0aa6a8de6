"""What institutions can do more than in the base year, by the rules in force: standards reached, feature departments.

Pure: a function of the network and of the rules. What a place gives more is a chance for each condition that a need one
level beyond it is met there after all; whether it is, is a number of the episode (`care.is_within_reach`).
"""

from __future__ import annotations

from collections.abc import Collection, Mapping

import numpy as np
from numpy.typing import NDArray

from sim import streams
from sim.network import STANDARD_LEVELS, Network
from sim.policy import ReachedStandard
from sim.streams import Floats, Purpose


def centres(network: Network) -> list[int]:
    """Centres and sub-centres of groups: the institutions that reach standards."""
    return [f for f in range(network.outside) if network.is_grouped_centre[f]]


def standards(network: Network, shares: Mapping[ReachedStandard, float]) -> NDArray[np.int64]:
    """The standard that each facility has reached, a number of STANDARD_LEVELS; (F + 1,).

    Those that have reached a higher one in the facts come first, the others in an order of their own; so a higher share
    takes nothing from anybody, and nobody falls below what the facts state.
    """
    reached = stated_standards(network)
    among = _in_order(network, centres(network), Purpose.STANDARD, reached)
    for name, share in shares.items():
        some = among[: _number(share, len(among))]
        reached[some] = np.maximum(reached[some], STANDARD_LEVELS.index(name))
    return reached


def stated_standards(network: Network) -> NDArray[np.int64]:
    """The same as the facts state it."""
    stated = [STANDARD_LEVELS.index(f.spec.standard_level) for f in network.facilities]
    return np.array([*stated, 0], dtype=np.int64)


def more_than_stated(network: Network, reached: NDArray[np.int64], remaining: Floats) -> Floats:
    """Chance that a need one level beyond a place is met there, by the standards it has reached since; (W, F + 1).

    `reached`: of each replication, (W, F + 1); `remaining`: needs beyond the place for each standard more, over those
    before, (W,).
    """
    more = reached - stated_standards(network)
    return np.asarray(1.0 - remaining[:, None] ** more)


def feature_departments(network: Network, share: float) -> NDArray[np.int64]:
    """The feature department that each facility has, -1 = none; (F + 1,).

    A share of all centres of groups has one, as far as the facts say which it would be, in an order of their own.
    """
    among, planned = centres(network), [f for f in centres(network) if network.facilities[f].spec.feature]
    ordered = _in_order(network, planned, Purpose.FEATURE, np.zeros(network.outside + 1, dtype=np.int64))
    found = np.full(network.outside + 1, -1, dtype=np.int64)
    for f in ordered[: _number(share, len(among))]:
        if feature := network.facilities[f].spec.feature:
            found[f] = network.departments.index(feature.department)
    return found


def reach(
    by_standard: Floats, by_feature: Floats, feature: NDArray[np.int64], department: NDArray[np.int64],
    is_emergency: NDArray[np.bool_],
) -> Floats:  # fmt: skip
    """Chance that a need one level beyond a place is met there after all, (W, F + 1, C); of emergencies none is.

    `by_standard` and `by_feature`: chances of each facility, (W, F + 1), the latter for its feature department's
    conditions; they act one after the other on those left. `department`: of each condition.
    """
    own = (feature[:, :, None] == department) * by_feature[:, :, None]
    both = 1.0 - (1.0 - by_standard[:, :, None]) * (1.0 - own)
    return np.where(is_emergency, 0.0, both)


def _in_order(network: Network, among: Collection[int], purpose: Purpose, first: NDArray[np.int64]) -> list[int]:
    """Facilities in the order in which a growing share takes them: those with more of `first`, then by their own
    number."""

    def place(facility: int) -> tuple[int, float]:
        luck = streams.uniform_of(streams.key(network.facilities[facility].id), purpose, 0)
        return -int(first[facility]), luck

    return sorted(among, key=place)


def _number(share: float, of: int) -> int:
    """A share in whole institutions, rounded half up."""
    return int(share * of + 0.5)
