"""Residents by stratum, and long-term patients.

Residents are one to one and the same people in every replication; what is uncertain about them (how many have a
contract, a long-term condition) is a threshold on a number that belongs to the person.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, model_validator

from sim import streams
from sim.citation import Count, Figure, Figures
from sim.network import Level, Network
from sim.schema import Closed, Name
from sim.streams import Purpose

AGES = ("0-14", "15-59", "60+")
"""Age bands."""
SCHEMES = ("residents", "employees")
"""Health insurance of residents: as residents, or as employees."""
VISITORS = 0
"""The account of non-residents."""
KEY_AGE = 2
"""The band of the key population of family-doctor contracts."""


class PopulationSpec(Closed):
    """Facts about the residents."""

    residents: dict[Name, Count] = Field(min_length=1)
    """Permanent residents of each area."""
    ages_urban: Figures
    """Share of each age band (0-14, 15-59, 60+) in urban areas; sums to 1."""
    ages_rural: Figures
    """The same in rural areas."""
    employee_insured: Figure
    """Share of residents insured as employees; the others as residents."""
    contracted_key: Figure
    """Share of the key population (60 and older) with a family-doctor contract."""
    contracted_other: Figure
    """Share of the others with a family-doctor contract."""
    uses_contract: Figure
    """Share of the contracted who really use the contract: only theirs acts."""

    @model_validator(mode="after")
    def _shares(self) -> PopulationSpec:
        for name in ("ages_urban", "ages_rural"):
            shares = getattr(self, name).value
            if len(shares) != len(AGES) or min(shares) < 0 or abs(sum(shares) - 1) > 1e-9:
                raise ValueError(f"{name} needs three shares that sum to 1; found {shares}, sum {sum(shares)}")
        return self


class Population:
    """Residents as columns, sorted by area and age band; all arrays have shape (residents,)."""

    def __init__(self, spec: PopulationSpec, network: Network, seed: int) -> None:
        self.spec = spec
        self.network = network
        self.counts = np.array([self._by_age(spec, area) for area in network.areas])
        """Residents per (area, age band)."""
        flat = self.counts.ravel()
        self.size = int(flat.sum())
        self.first = np.concatenate([[0], np.cumsum(flat)[:-1]]).reshape(self.counts.shape)
        """First resident of each (area, age band)."""
        stratum = np.repeat(np.arange(flat.size), flat)
        self.area = (stratum // len(AGES)).astype(np.int16)
        self.age = (stratum % len(AGES)).astype(np.int8)
        self.key = self._keys(seed)
        self.employee = streams.uniform(self.key, Purpose.INSURANCE) < spec.employee_insured.value
        self.trait = (stratum * 2 + self.employee).astype(np.int32)
        """Stratum of choice: ((area, age band), insurance)."""
        self.traits = flat.size * 2
        self.station = self._stations()
        """Service point of the home village or community station, -1 = the area has none."""

    def _by_age(self, spec: PopulationSpec, area: str) -> list[int]:
        shares = spec.ages_urban if self.network.spec.areas[area].urban else spec.ages_rural
        total = spec.residents[area].value
        edges = np.rint(np.concatenate([[0.0], np.cumsum(shares.value)]) * total).astype(int)
        return [int(n) for n in np.diff(edges)]

    def _keys(self, seed: int) -> streams.Keys:
        parts = [
            streams.child(streams.key(seed, "resident", area), np.arange(int(n)))
            for area, n in zip(self.network.areas, self.counts.sum(axis=1), strict=True)
        ]
        return np.concatenate(parts)

    def _stations(self) -> NDArray[np.int32]:
        """Residents of an area are shared among its stations by a number of their own."""
        net = self.network
        is_station = net.level[:-1] == Level.village_station
        luck = streams.uniform(self.key, Purpose.STATION)
        station = np.full(self.size, -1, dtype=np.int32)
        for a in range(len(net.areas)):
            points = net.clinic_point[is_station & (net.area[:-1] == a), 0]
            if len(points):
                here = self.area == a
                station[here] = points[(luck[here] * len(points)).astype(int)]
        return station

    def accounts(self) -> NDArray[np.int64]:
        """Account from which the care of each resident is paid, one for each grid and scheme; the last: VISITORS."""
        grid = np.maximum(self.network.grid, 0)[self.area]
        return np.append(1 + len(SCHEMES) * grid + self.employee, VISITORS).astype(np.int64)

    def area_factor(self, spec: PopulationSpec) -> NDArray[np.float64]:
        """Residents of each area in this replication over those built (1 unless an assumption), shape (areas,)."""
        return np.array([spec.residents[a].value / self.spec.residents[a].value for a in self.network.areas])

    def contracts(
        self,
        spec: PopulationSpec,
        coverage: float | None = None,
        key: float | None = None,
        used: float | None = None,
        coverage_in: Mapping[str, float] | None = None,
    ) -> NDArray[np.bool_]:
        """Who has a family-doctor contract and uses it.

        `coverage` of all residents, `coverage_in` some areas, `key` of the key population and the share of contracts
        `used` are levers; they replace what was surveyed.
        """
        shares = np.empty(self.counts.shape)
        for row, area in zip(shares, self.network.areas, strict=True):
            here = (coverage_in or {}).get(area, coverage)
            row[:] = _first(here, spec.contracted_other.value)
            row[KEY_AGE] = _first(key, here, spec.contracted_key.value)
        signed = streams.uniform(self.key, Purpose.CONTRACT) < np.repeat(shares, self.counts.ravel())
        uses = streams.uniform(self.key, Purpose.USES_CONTRACT) < _first(used, spec.uses_contract.value)
        return np.asarray(signed & uses)


def _first(*values: float | None) -> float:
    """The first value that there is."""
    return next(value for value in values if value is not None)
