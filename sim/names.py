"""Names that one group of facts uses and another defines: areas, facilities, conditions, departments, patterns.

Each file of facts is checked by itself when it is read; whether they speak of the same things can only be seen here,
where a study has chosen them.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator

from sim.care import CareSpec
from sim.demand import DemandSpec
from sim.network import BELOW, GENERAL, FacilitySpec, NetworkSpec, ward_name
from sim.population import PopulationSpec
from sim.schema import KeyPath, did_you_mean
from sim.timetable import ROUND_THE_CLOCK, TimetableSpec

RECOVERY = ("rehabilitation", "nursing", "hospice", "home")
"""Departments in which stays go on after a step down and which need treat no condition."""

Strange = tuple[KeyPath, str]
"""Where a name stands, and what is wrong with it."""


def strangers(
    network: NetworkSpec, population: PopulationSpec, timetable: TimetableSpec, demand: DemandSpec, care: CareSpec
) -> Iterator[Strange]:
    """Every name that does not exist where it should, and every one that is missing."""
    conditions, departments = list(care.conditions), {c.department for c in care.conditions.values()}
    yield from _both_ways(("population", "residents"), population.residents, network.areas, "area of the network")
    yield from _both_ways(("demand", "needs"), demand.needs, conditions, "condition in the facts about care")
    for name, need in demand.needs.items():
        yield from _unknown(
            ("demand", "needs", name, "profile"), [need.profile], timetable.profiles, "profile of the timetable"
        )
    at = ("demand", "inflow")
    yield from _unknown(at, demand.inflow, _ids(network), "facility of the network")
    for name, inflow in demand.inflow.items():
        yield from _unknown((*at, name, "conditions"), inflow.conditions, conditions, "condition")
    down = {name for c in care.conditions.values() for name in c.steps_down_to or []}
    recovering = sorted({*RECOVERY, *down} - departments)
    for number, facility in enumerate(network.facilities):
        where = ("network", "facilities", str(number))
        patterns = [*timetable.patterns, ROUND_THE_CLOCK]
        yield from _of_facility(where, facility, sorted(departments), recovering, conditions, patterns)
    below = sorted({w.department for f in network.facilities for w in f.wards if w.kind in BELOW})
    for name, condition in care.conditions.items():
        path = ("care", "conditions", name, "steps_down_to")
        for n, department in enumerate(condition.steps_down_to or []):
            yield from _unknown((*path, str(n)), [department], below, "department of a ward that takes who steps down")


def strange_wards(network: NetworkSpec, used: Collection[str]) -> Iterator[tuple[str, str]]:
    """Wards that are named and not there, with what is wrong with each; a ward is named `facility/ward`."""
    known = [f"{name}/{ward_name(ward)}" for f in network.facilities for name in f.ids() for ward in f.wards]
    for name in (name for name in used if name not in known):
        yield name, f"{name} is no ward of the network.{did_you_mean(name, known)}"


def _of_facility(
    at: KeyPath, facility: FacilitySpec, departments: list[str], recovering: list[str], conditions: list[str],
    patterns: list[str],
) -> Iterator[Strange]:  # fmt: skip
    """`recovering`: departments that treat no condition, of wards for those who step down."""
    welcome = [*conditions, *departments, "default"]
    yield from _unknown((*at, "capability"), facility.capability, welcome, "condition, department or default")
    if facility.as_sub_centre:
        path = (*at, "as_sub_centre", "capability")
        yield from _unknown(path, facility.as_sub_centre.capability, welcome, "condition, department or default")
    if facility.feature:
        path = (*at, "feature", "department")
        yield from _unknown(path, [facility.feature.department], departments, "department that treats any condition")
    opens = {"clinics": [c.pattern for c in facility.clinics], "imaging": [room.pattern for room in facility.imaging]}
    treating = [*departments, GENERAL]
    treats = {
        "clinics": [(c.department, treating) for c in facility.clinics],
        "wards": [(w.department, treating + recovering * (w.kind in BELOW)) for w in facility.wards],
    }
    for kind, one in (("theatres", facility.theatres), ("day_centre", facility.day_centre)):
        if one:
            yield from _unknown((*at, kind, "pattern"), [one.pattern], patterns, "pattern of the timetable")
    for kind, names in opens.items():
        for n, name in enumerate(names):
            yield from _unknown((*at, kind, str(n), "pattern"), [name], patterns, "pattern of the timetable")
    for kind, wanted in treats.items():
        for n, (name, known) in enumerate(wanted):
            path = (*at, kind, str(n), "department")
            yield from _unknown(path, [name], known, "department that treats any condition")


def _ids(network: NetworkSpec) -> list[str]:
    return [name for f in network.facilities for name in f.ids()]


def _both_ways(at: KeyPath, used: Collection[str], known: Collection[str], noun: str) -> Iterator[Strange]:
    yield from _unknown(at, used, known, noun)
    for name in (name for name in known if name not in used):
        yield at, f"{name} is missing, and every {noun} is needed here."


def _unknown(at: KeyPath, used: Collection[str], known: Collection[str], noun: str) -> Iterator[Strange]:
    for name in (name for name in used if name not in known):
        path = at if isinstance(used, list) else (*at, name)
        yield path, f"{name} is no {noun}.{did_you_mean(name, known)}"
