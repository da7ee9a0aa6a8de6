"""Tiers, facilities, medical groups and travel: where care is given, and with what.

Level, role in the group, ownership and place are separate attributes (a sub-centre may be a member, a tertiary hospital
may be none). A service point is one department's clinic at one facility, or its emergency department.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Iterator
from copy import copy
from dataclasses import dataclass
from datetime import date
from enum import IntEnum
from itertools import combinations
from typing import Annotated, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, model_validator

from sim import streams
from sim.citation import Count, Figure, Figures
from sim.schema import Closed, Day, Name, nearest


class Level(IntEnum):
    """Levels of institutions, lowest first."""

    village_station = 0
    clinic = 1
    centre = 2
    sub_centre = 3
    secondary = 4
    tertiary = 5
    outside = 6


GRASSROOTS = (Level.village_station, Level.clinic, Level.centre, Level.sub_centre)
"""基层医疗卫生机构: the levels that count as grassroots institutions."""

GENERAL = "general"
"""The department (and ward) that takes what no other department of the facility takes."""

EMERGENCY = "emergency"
"""The department name of an emergency department."""

Equipment = Literal["ct", "mr", "endoscopy"]

EQUIPMENT: tuple[Equipment, ...] = ("ct", "mr", "endoscopy")
"""Kinds of large equipment, whose exams are booked."""

IMAGING = tuple(f"imaging_{kind}" for kind in EQUIPMENT)
"""The department names of rooms with large equipment, by kind."""


class AreaSpec(Closed):
    """A town, township or street: where residents live."""

    name: str
    name_zh: str
    urban: bool
    """Urban or rural."""
    position_km: Figures
    """East-west and north-south position, km."""
    grid: Name | None = None
    """Medical group in whose grid (网格) the residents live; may be left out where there is one group, or none."""


class GroupSpec(Closed):
    """A medical group (医疗集团)."""

    name: str
    name_zh: str
    lead: Name
    """Facility id of the lead hospital (牵头医院)."""


ClinicKind = Literal["ordinary", "expert", "joint"]


class ClinicSpec(Closed):
    """A department's clinic."""

    kind: ClinicKind = "ordinary"
    """An `expert` clinic stands beside the hospital's ordinary one of the same department; both need slots.

    A `joint` clinic is held at a centre or sub-centre of a group by specialists of its lead hospital, whose ordinary
    clinic that takes the department goes without them meanwhile.
    """
    department: Name
    """The department; `general` takes what no other department of the facility takes."""
    pattern: Name
    """Opening pattern (timetable)."""
    doctors: Count
    """Doctors in a full session."""
    slots: Count | None = None
    """Appointment slots of a full session, at least 1 whatever is drawn; left out = walk-in, no slots."""
    extra: Count | None = None
    """Places added in a session for walk-ins when the slots are gone (加号)."""
    waiting_places: Count | None = None
    """Whoever comes while all doctors are busy and so many patients wait goes away; left out = no limit."""


class EmergencySpec(Closed):
    """An emergency department, open round the clock."""

    doctors: Count
    """Doctors on duty at any time."""
    waiting_places: Count | None = None
    """Whoever comes while all doctors are busy and so many patients wait goes away; left out = no limit."""


class ImagingSpec(Closed):
    """A room with large equipment: booked exams, for other institutions too."""

    kind: Equipment
    """CT, magnetic resonance or endoscopy."""
    pattern: Name
    """Opening pattern (timetable)."""
    slots: Count
    """Exams in a full session; at least 1, whatever is drawn."""


class TheatreSpec(Closed):
    """The operating theatres of a facility, for planned operations; emergencies have a team of their own."""

    pattern: Name
    """Opening pattern (timetable)."""
    slots: Count
    """Operations in a full session of all theatres together; at least 1, whatever is drawn."""


class DayCentreSpec(Closed):
    """A day centre: planned patients who need no night, and no bed of a ward."""

    pattern: Name
    """Opening pattern (timetable)."""
    slots: Count
    """Day cases in a full session; at least 1, whatever is drawn."""


StandardLevel = Literal["none", "basic", "recommended", "community_hospital"]

STANDARD_LEVELS: tuple[StandardLevel, ...] = ("none", "basic", "recommended", "community_hospital")
"""Standards of the campaign for quality service at the grassroots (优质服务基层行), lowest first; a community hospital
(社区医院) has reached those before it, too."""


class FeatureSpec(Closed):
    """The feature department (特色科室) that a centre is to have."""

    department: Name
    """Department whose conditions it is for."""
    attracts: Figure
    """What a visit for one of them is worth more there, yuan."""
    settles: Figure
    """Of their needs one level beyond the place, the share that it meets after all."""


class SubCentreSpec(Closed):
    """What a centre or sub-centre gains when it becomes a county-level medical sub-centre (县域医疗分中心)."""

    capability: dict[Name, Annotated[int, Field(ge=1, le=4)]] = Field(default_factory=dict)
    """Highest level of care given from then on, where that is more than before; named as `FacilitySpec.capability`."""
    doctors: Figure | None = None
    """Doctors of its own clinics, and their slots, over those before; left out = 1."""
    beds: Figure | None = None
    """Beds of its acute wards and of those for who steps down over those before; left out = 1."""


WardKind = Literal["acute", "step_down", "intensive", "joint", "home"]

BELOW: tuple[WardKind, ...] = ("step_down", "joint", "home")
"""Kinds of wards to which a stay may step down."""


class WardSpec(Closed):
    """A ward: one pool of beds."""

    department: Name
    """Department; `general` takes what no other ward of the facility, and of the kind, takes."""
    beds: Count
    """Open beds."""
    kind: WardKind = "acute"
    """`acute` admits; `step_down` takes patients who step down from a hospital, and admits where the department has no
    acute ward; `intensive` care, in hospitals, is where some stays begin; a `joint` ward is run by the lead hospital at
    a centre of its group; `home`: places for those who step down and are cared for at home."""
    cleaning_minutes: Figure | None = None
    """Minutes in which a bed cannot be taken after each patient; left out = it can be taken at once."""
    opens: Day | None = None
    """First day, from 00:00; left out = it is there from the beginning."""
    closes: Day | None = None
    """Day on which it admits nobody any more, from 00:00; beds go as patients leave them. Left out = it stays."""

    becomes: Name | None = None
    """Department of the facility's ward for those who step down into which beds of this one may be turned
    (transformation.beds); left out = none are."""

    def like(self, other: WardSpec) -> bool:
        """Whether it is of the same department and kind as another ward."""
        return (self.department, self.kind) == (other.department, other.kind)

    def overlaps(self, other: WardSpec) -> bool:
        """Whether there is a day on which both are open."""
        return self.since < (other.closes or date.max) and other.since < (self.closes or date.max)

    @property
    def since(self) -> date:
        """First day."""
        return self.opens or date.min

    @model_validator(mode="after")
    def _opens_first(self) -> WardSpec:
        if self.opens and self.closes and self.opens >= self.closes:
            raise ValueError(f"ward {self.department} opens on {self.opens} and closes on {self.closes}; open it first")
        return self


class FacilitySpec(Closed):
    """A facility, or `count` alike ones."""

    id: Name
    name: str
    name_zh: str
    level: Literal["village_station", "clinic", "centre", "sub_centre", "secondary", "tertiary"]
    area: Name
    role: Literal["lead", "member", "cooperating", "none"] = "none"
    group: Name | None = None
    also_serves: list[Name] = Field(default_factory=list)
    """Other groups whose formal channel may lead here too, and whose patients may step down to its wards: a specialty
    hospital that several groups share."""
    ownership: Literal["public", "private"] = "public"
    count: int = Field(default=1, ge=1, le=9999)
    """More than 1: expands to `id-001`, `id-002`, ...; the residents of the area are shared among them."""
    attraction: Figure | None = None
    """Utility of this facility beside the others of its level (0 when left out)."""
    capability: dict[Name, Annotated[int, Field(ge=1, le=4)]] = Field(default_factory=dict)
    """Highest level of care given (1 village, 2 centre, 3 secondary, 4 tertiary), by condition, by department or
    `default`; left out = the standard of its level."""
    clinics: list[ClinicSpec] = Field(default_factory=list)
    emergency: EmergencySpec | None = None
    imaging: list[ImagingSpec] = Field(default_factory=list)
    """Rooms with large equipment, one of a kind; hospitals without one send their patients to the lead hospital's, else
    to the nearest."""
    wards: list[WardSpec] = Field(default_factory=list)
    theatres: TheatreSpec | None = None
    """Sessions in which planned patients are operated on; left out = all are, as soon as they are due."""
    day_centre: DayCentreSpec | None = None
    """Takes planned patients who are treated in a day (day_care.share); left out = none are."""
    standard_level: StandardLevel = "none"
    """Standard that a centre or sub-centre of a group has reached in the base year; it settles by then what others do,
    and more only with a higher one (capability.standard)."""
    feature: FeatureSpec | None = None
    """The feature department that it is to have (capability.feature_departments); left out = none."""
    as_sub_centre: SubCentreSpec | None = None
    """What it gains as a county-level medical sub-centre (capability.sub_centres); left out = it never is one."""
    may_join: Name | None = None
    """Group that a private facility of no group may join (private.members); left out = it joins none."""

    def joint_clinics(self) -> list[ClinicSpec]:
        """Clinics held here by specialists of the lead hospital."""
        return [c for c in self.clinics if c.kind == "joint"]

    def _is_member_centre(self) -> bool:
        return self.level in ("centre", "sub_centre") and self.role == "member"

    def ids(self) -> list[str]:
        """The ids of the facilities that this one stands for."""
        return [self.id] if self.count == 1 else [f"{self.id}-{i:03d}" for i in range(1, self.count + 1)]

    @model_validator(mode="after")
    def _role_needs_group(self) -> FacilitySpec:
        if (self.role in ("lead", "member")) != (self.group is not None):
            rule = "lead and member name their group, others have none"
            raise ValueError(f"facility {self.id}: role {self.role} and group {self.group} do not go together; {rule}")
        if self.also_serves and self.role == "none":
            raise ValueError(f"facility {self.id} serves groups and has no role in any; is it cooperating?")
        if self.group in self.also_serves or len(set(self.also_serves)) < len(self.also_serves):
            raise ValueError(f"facility {self.id} also serves its own group, or one twice; name each other group once")
        if not self.clinics and self.emergency is None:
            raise ValueError(f"facility {self.id} has neither a clinic nor an emergency department")
        kinds = [room.kind for room in self.imaging]
        if len(set(kinds)) < len(kinds):
            raise ValueError(f"facility {self.id} has two rooms with large equipment of one kind; add up their slots")
        for taken in (c.department for c in self.clinics if c.department in IMAGING):
            raise ValueError(f"facility {self.id} has a clinic named {taken}, as rooms with large equipment are")
        return self

    @model_validator(mode="after")
    def _wards_fit(self) -> FacilitySpec:
        for one, other in combinations(self.wards, 2):
            if one.like(other) and one.overlaps(other):
                rule = "add up their beds, or open one when the other has closed"
                raise ValueError(f"facility {self.id} has two wards of one department and kind at a time; {rule}")
        if any(w.kind == "intensive" for w in self.wards) and Level[self.level] < Level.secondary:
            raise ValueError(f"facility {self.id} has an intensive-care ward; only hospitals have them")
        if any(w.kind == "joint" for w in self.wards) and not self._is_member_centre():
            raise ValueError(f"facility {self.id} has a joint ward; only centres and sub-centres of a group have them")
        below = {w.department for w in self.wards if w.kind == "step_down"}
        for w in (w for w in self.wards if w.becomes):
            if w.kind != "acute" or w.becomes not in below:
                rule = "beds of acute wards may become those of a ward of the facility for those who step down"
                raise ValueError(f"facility {self.id}: beds of {ward_name(w)} cannot become {w.becomes}; {rule}")
        if any(w.kind == "home" for w in self.wards) and self.level not in ("centre", "sub_centre"):
            raise ValueError(f"facility {self.id} has home beds; only centres and sub-centres have them")
        return self

    @model_validator(mode="after")
    def _capability_fits(self) -> FacilitySpec:
        if self.standard_level != "none" and not self._is_member_centre():
            raise ValueError(
                f"facility {self.id} states a standard level; only centres and sub-centres of a group reach one"
            )
        if self.feature and not self._is_member_centre():
            raise ValueError(
                f"facility {self.id} has a feature department; only centres and sub-centres of a group have them"
            )
        if self.as_sub_centre and not self._is_member_centre():
            raise ValueError(f"facility {self.id} cannot become a sub-centre; only centres of a group can")
        if self.may_join and (self.ownership, self.role) != ("private", "none"):
            raise ValueError(f"facility {self.id} may join a group; only private ones without a role in any do")
        return self

    @model_validator(mode="after")
    def _clinics_beside_each_other(self) -> FacilitySpec:
        found = [(c.department, c.kind) for c in self.clinics]
        problems = [
            f"two {kind} clinics of {d}; add up their doctors"
            for d, kind in sorted(set(found))
            if found.count((d, kind)) > 1
        ]
        problems += [
            f"a department {d}; names of departments do not end like that"
            for d, _ in found
            if d.endswith(("_expert", "_joint"))
        ]
        booked = {c.department for c in self.clinics if c.kind == "ordinary" and c.slots is not None}
        experts = [c for c in self.clinics if c.kind == "expert"]
        for c in experts:
            if Level[self.level] < Level.secondary:
                problems.append(f"an expert clinic of {c.department}; only hospitals have expert clinics")
            elif c.slots is None:
                problems.append(
                    f"an expert clinic of {c.department} without slots; experts see patients by appointment"
                )
            elif c.department not in booked:
                problems.append(f"an expert clinic of {c.department} and no ordinary one with slots beside it")
        for c in self.joint_clinics():
            if not self._is_member_centre():
                problems.append(f"a joint clinic of {c.department}; only centres and sub-centres of a group have them")
            elif c.slots is None:
                problems.append(f"a joint clinic of {c.department} without slots; its patients come by appointment")
        if problems:
            raise ValueError(f"facility {self.id} has {'; '.join(problems)}")
        return self


class OutsideSpec(Closed):
    """Care outside the area: without capacity limits, after a stated wait."""

    travel_minutes: Figure
    """Travel from anywhere in the area, minutes."""
    wait_days: Figure
    """Days until an outpatient or inpatient appointment there."""
    partner_wait_days: Figure | None = None
    """Days until a bed there for those whom a lead hospital refers to a partner; left out = `wait_days`."""


class PublicHealthSpec(Closed):
    """Basic public-health work (基本公共卫生服务), which village stations share with the centre of their township."""

    at_stations: Figure
    """Share of the work that stations do in the base year."""
    doctors_time: Figure
    """Share of their working time that doctors of stations spend on it then; the rest is what their clinics state."""
    freed_for_clinics: Figure
    """Of the time of which centres are relieved (or which they have to find), the share that is of their clinics; the
    rest is that of nurses and public-health staff."""

    @model_validator(mode="after")
    def _shares(self) -> PublicHealthSpec:
        limits = {"at_stations": (0.01, 1.0), "doctors_time": (0.0, 0.95), "freed_for_clinics": (0.0, 1.0)}
        for name, (low, high) in limits.items():
            if not low <= (found := getattr(self, name).value) <= high:
                raise ValueError(f"{name} is a share from {low:g} to {high:g}; found {found:g}")
        return self


class NetworkSpec(Closed):
    """The place: areas, groups, facilities."""

    areas: dict[Name, AreaSpec] = Field(min_length=1)
    groups: dict[Name, GroupSpec] = Field(default_factory=dict)
    facilities: list[FacilitySpec] = Field(min_length=1)
    outside: OutsideSpec
    detour: Figure
    """Road distance over straight distance."""
    minutes_per_km: Figure
    """Travel time per road km, minutes."""
    minutes_at_least: Figure
    """Travel time within an area, minutes."""
    public_health: PublicHealthSpec | None = None
    """Who does basic public-health work (villages.public_health_share); left out = no clinic has to do with it."""

    @model_validator(mode="after")
    def _references(self) -> NetworkSpec:
        ids = [f.id for f in self.facilities]
        doubled = sorted({i for i in ids if ids.count(i) > 1})
        problems = [f"two facilities have the id {i}" for i in doubled]
        areas, groups = (f"which does not exist; welcome: {', '.join(known)}" for known in (self.areas, self.groups))
        for f in self.facilities:
            if f.area not in self.areas:
                problems.append(f"facility {f.id} lies in the area {f.area}, {areas}")
            if f.group is not None and f.group not in self.groups:
                problems.append(f"facility {f.id} belongs to the group {f.group}, {groups}")
            if f.may_join is not None and f.may_join not in self.groups:
                problems.append(f"facility {f.id} may join the group {f.may_join}, {_unknown(f.may_join, self.groups)}")
            strange = [g for g in f.also_serves if g not in self.groups]
            problems += [f"facility {f.id} also serves the group {g}, {_unknown(g, self.groups)}" for g in strange]
        problems += [*self._grid_problems(), *self._joint_problems()]
        for name, group in self.groups.items():
            leads = [f.id for f in self.facilities if f.group == name and f.role == "lead"]
            if leads != [group.lead]:
                known = ", ".join(leads) or "none"
                problems.append(
                    f"group {name} names {group.lead} as its lead hospital; facilities with role lead: {known}"
                )
        if problems:
            raise ValueError("; ".join(problems))
        return self

    def _joint_problems(self) -> Iterator[str]:
        """The specialists of a joint clinic come from an ordinary clinic of the lead hospital."""
        taken = {f.group: {c.department for c in f.clinics if c.kind == "ordinary"} for f in self._leads()}
        for f in self.facilities:
            for c in f.joint_clinics():
                if f.group in taken and not taken[f.group] & {c.department, GENERAL}:
                    yield (
                        f"facility {f.id} has a joint clinic of {c.department}, and its lead hospital no ordinary "
                        f"clinic that takes {c.department}"
                    )

    def _leads(self) -> list[FacilitySpec]:
        return [f for f in self.facilities if f.role == "lead"]

    def _grid_problems(self) -> list[str]:
        """Grids cover all residents: of several groups, every area names one that exists."""
        named = {name: area.grid for name, area in self.areas.items()}
        problems = [
            f"area {name} lies in the grid of the group {grid}, {_unknown(grid, self.groups)}"
            for name, grid in named.items()
            if grid is not None and grid not in self.groups
        ]
        if len(self.groups) > 1 and None in named.values():
            lacking = ", ".join(name for name, grid in named.items() if grid is None)
            known = ", ".join(self.groups)
            problems.append(f"with several groups every area names its grid ({known}); these do not: {lacking}")
        return problems


def _unknown(name: str, known: Iterable[str]) -> str:
    """What is said of a group that does not exist."""
    close = nearest(name, known)
    return f"which does not exist{f' (did you mean {close}?)' if close else ''}; welcome: {', '.join(known)}"


STANDARD_CAPABILITY = {
    Level.village_station: 1, Level.clinic: 1, Level.centre: 2, Level.sub_centre: 2,
    Level.secondary: 3, Level.tertiary: 4, Level.outside: 4,
}  # fmt: skip
"""Level of care that each level of institution gives by standard."""

NO_LIMIT = 2**62
"""Places of a waiting room that is never full."""

EMERGENCY_LAYER = 4
LAYERS = 6
"""Emergency departments are the last layers, those of lead hospitals after those that transfer to them."""

_LAYER = {
    Level.village_station: 0, Level.clinic: 0, Level.centre: 1, Level.sub_centre: 1,
    Level.secondary: 2, Level.tertiary: 2,
}  # fmt: skip


@dataclass(frozen=True)
class Facility:
    """One facility after `count` has been expanded."""

    id: str
    spec: FacilitySpec
    level: Level
    area: int
    group: int


@dataclass(frozen=True)
class Point:
    """One service point."""

    facility: int
    department: str
    pattern: str
    layer: int
    """Order within a half-day: 0 stations and clinics, 1 centres, 2 hospitals, 3 lead hospital, 4 emergency,
    5 emergency of the lead hospital."""
    bookable: bool
    kind: ClinicKind = "ordinary"

    @property
    def name(self) -> str:
        """`department`; `department_expert` for an expert clinic, `department_joint` for a joint one."""
        return self.department if self.kind == "ordinary" else f"{self.department}_{self.kind}"

    @property
    def called(self) -> tuple[str, ...]:
        """What tells it from the others of its facility."""
        return (self.department,) if self.kind == "ordinary" else (self.department, self.kind)


@dataclass(frozen=True)
class Ward:
    """One pool of beds."""

    facility: int
    department: str
    kind: WardKind = "acute"
    opens: date | None = None
    closes: date | None = None
    becomes: str | None = None

    def is_open(self, day: date) -> bool:
        """Whether it admits patients on a day."""
        return (self.opens is None or self.opens <= day) and (self.closes is None or day < self.closes)


def ward_name(ward: Ward | WardSpec) -> str:
    """`department`, or `department_kind` for a ward that is not acute."""
    return ward.department if ward.kind == "acute" else f"{ward.department}_{ward.kind}"


class Network:
    """The place as indices: areas, facilities, service points and wards, each in the order of their ids.

    The order in which a config lists things does not matter. Everything here is the same in all replications;
    capacities, which may be assumptions, are read per replication by `capacities`.
    """

    def __init__(self, spec: NetworkSpec, departments: list[str], condition_departments: dict[str, str]) -> None:
        self.spec = spec
        self.areas = sorted(spec.areas)
        self.groups = sorted(spec.groups)
        self.departments = departments
        self.conditions = sorted(condition_departments)
        of_condition = [departments.index(condition_departments[c]) for c in self.conditions]
        self.condition_department = np.array(of_condition, dtype=np.int64)
        """Department of each condition."""
        self.facilities = sorted(self._expand(), key=lambda f: (f.level, f.id))
        self.outside = len(self.facilities)
        """Index of the world outside among facilities."""
        self.points, self.wards = self._points(), self._wards()
        self.ward_moves = {day for ward in self.wards for day in (ward.opens, ward.closes) if day}
        """Days on which wards open or close."""
        self.turns_into = self._turns_into()
        """Of each ward of which beds may become those of others, these others: one for each stretch of days."""
        self.level = np.array([*(f.level for f in self.facilities), Level.outside], dtype=np.int64)
        self.group = np.array([*(f.group for f in self.facilities), -1], dtype=np.int64)
        self.area = np.array([*(f.area for f in self.facilities), -1], dtype=np.int64)
        self.is_lead = np.array([*(f.spec.role == "lead" for f in self.facilities), False])
        centre = np.isin(self.level, (Level.centre, Level.sub_centre))
        self.is_grouped_centre = centre & (self.group >= 0)
        """Centres and sub-centres of groups."""
        self.lead_of_group = np.array([self.facility_index(spec.groups[g].lead) for g in self.groups], dtype=np.int64)
        self.serves = self._serves()
        """Whether each facility belongs to each group or also serves it, shape (facilities + 1, groups)."""
        self.grid = np.array([self._grid_of(a) for a in self.areas], dtype=np.int64)
        """Medical group in whose grid the residents of each area live, -1 = none."""
        self.lead_of_grid = np.append(self.lead_of_group, -1)[self.grid]
        """Lead hospital of the grid in which the residents of each area live, -1 = none."""
        self.nearest_lead = np.array([*map(self._nearest_lead, range(self.outside)), -1], dtype=np.int64)
        """Lead hospital of each facility's group, else the nearest one; -1 = none."""
        self.capability = self._capability()
        """Level of care that each facility gives for each condition, (facilities + 1, conditions)."""
        self.point_facility = np.array([p.facility for p in self.points], dtype=np.int64)
        names = [streams.key(self.facilities[p.facility].id, *p.called) for p in self.points]
        self.point_number = np.array([int(name >> np.uint64(40)) for name in names], dtype=np.int64)
        """A number of each service point's own, whatever other facilities there are."""
        self.centre_of = self._centres()
        """Of each station that is a member of a group: its nearest centre or sub-centre of the group, else -1."""
        self.patterns = sorted({p.pattern for p in self.points})
        self.point_pattern = np.array([self.patterns.index(p.pattern) for p in self.points], dtype=np.int64)
        """Opening pattern of each service point, index into `patterns`."""
        self.point_layer = np.array([p.layer for p in self.points], dtype=np.int64)
        self.point_bookable = np.array([p.bookable for p in self.points])
        self.clinic_point = self._clinics()
        """Ordinary clinic for (facility, department), shape (facilities, departments); -1 = not even a general one."""
        self.expert_point = self._beside("ordinary", "expert")
        """Expert clinic beside each ordinary one, by service point; -1 = none."""
        self.ordinary_point = self._beside("expert", "ordinary")
        """Ordinary clinic beside each expert one, by service point; -1 = it is none itself."""
        self.lends_to = self._lends_to()
        """Ordinary clinic of the lead hospital whose doctors hold a joint clinic, by service point; -1 = it is none."""
        self.staffed_by = np.where(self.lends_to >= 0, self.point_facility[self.lends_to], self.point_facility)
        """Facility whose doctors see patients at each service point."""
        emergency = {p.facility: i for i, p in reversed(list(enumerate(self.points))) if p.department == EMERGENCY}
        self.emergency_point = np.array([emergency.get(f, -1) for f in range(self.outside)], dtype=np.int64)
        """Emergency department of each facility, -1 = none."""
        self.imaging_point = np.array([i for i, p in enumerate(self.points) if p.department in IMAGING], dtype=np.int64)
        """Service point of each room with large equipment."""
        self.imaging_room = self._imaging_rooms()
        """Which of these rooms examines the patients of each facility, by kind, (facilities + 1, kinds); -1 = none."""

        self.ward_run_by = np.array([self._runs(w) for w in self.wards], dtype=np.int64)
        """Facility whose doctors care for the patients of each ward: the lead hospital in joint wards."""
        at_lead = (bool(self.is_lead[x.facility]) and x.kind != "intensive" for x in self.wards)
        self.under_bed_quota = np.array(list(at_lead), dtype=bool)
        """Wards of which beds may be held for referred patients."""

    def _runs(self, ward: Ward) -> int:
        return int(self.lead_of_group[self.group[ward.facility]]) if ward.kind == "joint" else ward.facility

    def _expand(self) -> list[Facility]:
        made = []
        for f in self.spec.facilities:
            group = self.groups.index(f.group) if f.group else -1
            made += [Facility(i, f, Level[f.level], self.areas.index(f.area), group) for i in f.ids()]
        return made

    def facility_index(self, facility_id: str) -> int:
        """Index of a facility by its id."""
        return next(i for i, f in enumerate(self.facilities) if f.id == facility_id)

    def km(self, one: int, other: int) -> float:
        """Straight distance between two facilities, as stated; 0 within an area."""
        x, y = (self.spec.areas[self.areas[self.area[f]]].position_km.value for f in (one, other))
        return math.dist(x, y)

    def _serves(self) -> NDArray[np.bool_]:
        table = np.zeros((self.outside + 1, len(self.groups)), dtype=bool)
        for i, f in enumerate(self.facilities):
            table[i] = [g == f.spec.group or g in f.spec.also_serves for g in self.groups]
        return table

    def _grid_of(self, area: str) -> int:
        grid = self.spec.areas[area].grid or (self.groups[0] if self.groups else None)
        return self.groups.index(grid) if grid else -1

    def _nearest_lead(self, facility: int) -> int:
        if self.group[facility] >= 0:
            return int(self.lead_of_group[self.group[facility]])
        return min(self.lead_of_group.tolist(), key=lambda lead: (self.km(facility, lead), lead), default=-1)

    def _points(self) -> list[Point]:
        points = []
        for i, f in enumerate(self.facilities):
            layer = 3 if f.spec.role == "lead" else _LAYER[f.level]
            clinics = sorted(f.spec.clinics, key=lambda c: (c.department, c.kind))
            points += [Point(i, c.department, c.pattern, layer, c.slots is not None, c.kind) for c in clinics]
            if f.spec.emergency:
                points.append(Point(i, EMERGENCY, "round_the_clock", EMERGENCY_LAYER + (f.spec.role == "lead"), False))
            rooms = sorted(f.spec.imaging, key=lambda room: room.kind)
            points += [Point(i, f"imaging_{room.kind}", room.pattern, layer, True) for room in rooms]
        return sorted(points, key=lambda p: p.layer)

    def _wards(self) -> list[Ward]:
        return [
            Ward(i, w.department, w.kind, w.opens, w.closes, w.becomes)
            for i, f in enumerate(self.facilities)
            for w in sorted(f.spec.wards, key=lambda w: (w.department, w.kind, w.since))
        ]

    def _turns_into(self) -> dict[int, list[int]]:
        def below(ward: Ward) -> list[int]:
            named = ward.facility, ward.becomes, "step_down"
            return [n for n, w in enumerate(self.wards) if (w.facility, w.department, w.kind) == named]

        return {n: below(ward) for n, ward in enumerate(self.wards) if ward.becomes}

    def _capability(self) -> NDArray[np.int64]:
        table = np.full((self.outside + 1, len(self.conditions)), 4, dtype=np.int64)
        for i, f in enumerate(self.facilities):
            table[i] = self._given(f.spec.capability, STANDARD_CAPABILITY[f.level])
        return table

    def _given(self, own: dict[str, int], standard: int) -> list[int]:
        """Level of care for each condition, where some conditions and departments are named and others as standard."""
        default = own.get("default", standard)
        departments = [self.departments[d] for d in self.condition_department]
        return [own.get(c, own.get(d, default)) for c, d in zip(self.conditions, departments, strict=True)]

    def with_sub_centres(self, names: Collection[str]) -> Network:
        """The same place when some facilities have become county-level sub-centres; only `capability` is another."""
        other = copy(self)
        other.capability = self.capability.copy()
        for i, f in enumerate(self.facilities):
            if f.spec.as_sub_centre and f.id in names:
                given = self._given(f.spec.as_sub_centre.capability, STANDARD_CAPABILITY[f.level])
                other.capability[i] = np.maximum(self.capability[i], given)
        return other

    def with_members(self, names: Collection[str]) -> Network:
        """The same place when some private facilities have joined the group that they may join."""
        other = copy(self)
        other.group, other.serves, other.nearest_lead = self.group.copy(), self.serves.copy(), self.nearest_lead.copy()
        for i, f in enumerate(self.facilities):
            if f.spec.may_join and f.id in names:
                other.group[i] = group = self.groups.index(f.spec.may_join)
                other.serves[i, group] = True
                other.nearest_lead[i] = self.lead_of_group[group]
        other.imaging_room = other._imaging_rooms()
        return other

    def _clinics(self) -> NDArray[np.int64]:
        table = np.full((self.outside, len(self.departments)), -1, dtype=np.int64)
        by_facility: dict[int, dict[str, int]] = {}
        for i, p in enumerate(self.points):
            if p.department not in (EMERGENCY, *IMAGING) and p.kind == "ordinary":
                by_facility.setdefault(p.facility, {})[p.department] = i
        for f, here in by_facility.items():
            table[f] = [here.get(d, here.get(GENERAL, -1)) for d in self.departments]
        return table

    def _centres(self) -> NDArray[np.int64]:
        found = np.full(self.outside + 1, -1, dtype=np.int64)
        for f in np.flatnonzero((self.level == Level.village_station) & (self.group >= 0)).tolist():
            mine = np.isin(self.level, (Level.centre, Level.sub_centre)) & (self.group == self.group[f])
            centres = np.flatnonzero(mine).tolist()
            found[f] = min(centres, key=lambda c: (self.km(f, c), c), default=-1)
        return found

    def _beside(self, kind: ClinicKind, other: ClinicKind) -> NDArray[np.int64]:
        """Of each clinic of one kind, that of another kind in the same department of the facility; -1 = none."""
        there = {(p.facility, p.department): i for i, p in enumerate(self.points) if p.kind == other}
        return np.array(
            [there.get((p.facility, p.department), -1) if p.kind == kind else -1 for p in self.points], dtype=np.int64
        )

    def _lends_to(self) -> NDArray[np.int64]:
        return np.array(
            [self.clinic_point[self._lead_at(p), self.departments.index(p.department)] if p.kind == "joint" else -1
             for p in self.points], dtype=np.int64,
        )  # fmt: skip

    def _lead_at(self, point: Point) -> int:
        return int(self.lead_of_group[self.group[point.facility]])

    def joint_clinic(self, facility: int, department: int) -> int:
        """The joint clinic for patients of a facility: its own, else the nearest one of the group; -1 = none.

        It takes what its department says; one that the lead hospital's general clinic holds takes what that takes.
        """
        found = [p for p in np.flatnonzero(self.lends_to >= 0).tolist() if self._takes(p, facility, department)]
        where = self.point_facility
        return min(found, key=lambda p: (where[p] != facility, self.km(facility, int(where[p])), p), default=-1)

    def _takes(self, joint: int, facility: int, department: int) -> bool:
        point, group = self.points[joint], self.group[facility]
        if group < 0 or self.group[point.facility] != group:
            return False
        by_name = point.department == self.departments[department]
        general = self.clinic_point[self._lead_at(point), department] == self.lends_to[joint]
        return by_name or (point.department == GENERAL and bool(general))

    def _imaging_rooms(self) -> NDArray[np.int64]:
        """Of each facility: its own room, else that of the lead hospital of its group, else the nearest (M13)."""
        table = np.full((self.outside + 1, len(EQUIPMENT)), -1, dtype=np.int64)
        for kind, department in enumerate(IMAGING):
            rooms = [n for n, p in enumerate(self.imaging_point) if self.points[p].department == department]
            for f in range(self.outside if rooms else 0):
                table[f, kind] = min(rooms, key=lambda n: self._way_to_imaging(f, int(self.imaging_point[n])))
        return table

    def _way_to_imaging(self, facility: int, point: int) -> tuple[bool, bool, float, int]:
        """What makes one room better than another for the patients of a facility: the smaller, the better."""
        there = self.points[point].facility
        lead = int(self.lead_of_group[self.group[facility]]) if self.group[facility] >= 0 else -1
        return there != facility, there != lead, self.km(facility, there), there

    def ward_at(self, day: date) -> NDArray[np.int64]:
        """Ward for (facility, department) that admits on a day, shape (facilities + 1, departments); -1 = none.

        One that takes those who step down admits others, too, where the department has no acute ward.
        """
        acute = {(w.facility, w.department) for w in self.wards if w.kind == "acute"}
        below = [w.kind == "step_down" and (w.facility, w.department) not in acute for w in self.wards]
        return self._open_wards(day, [w.kind == "acute" or alone for w, alone in zip(self.wards, below, strict=True)])

    def joint_ward_at(self, day: date) -> NDArray[np.int64]:
        """The same of joint wards, open on a day, for patients of a facility: its own, else the nearest of the group.

        One takes what its department says; a general one also what the lead hospital has no ward of its own for.
        """
        table, at_lead = np.full((self.outside + 1, len(self.departments)), -1, dtype=np.int64), self.ward_at(day)
        joint = [n for n, w in enumerate(self.wards) if w.kind == "joint" and w.is_open(day)]
        for f in np.flatnonzero(self.group >= 0).tolist() if joint else []:
            for d, own in enumerate(at_lead[self.lead_of_group[self.group[f]]].tolist()):
                takes = (
                    {self.departments[d]}
                    if own >= 0 and self.wards[own].department != GENERAL
                    else {self.departments[d], GENERAL}
                )
                mine = [n for n in joint if self.group[self.wards[n].facility] == self.group[f]]
                table[f, d] = min(
                    (n for n in mine if self.wards[n].department in takes),
                    key=lambda n: self._way_to_ward(f, n, self.departments[d]),
                    default=-1,
                )
        return table

    def _way_to_ward(self, facility: int, ward: int, department: str) -> tuple[bool, float, bool, int]:
        """What makes one joint ward better than another for the patients of a facility: the smaller, the better."""
        there = self.wards[ward].facility
        return there != facility, self.km(facility, there), self.wards[ward].department != department, ward

    def intensive_at(self, day: date) -> NDArray[np.int64]:
        """The same of intensive care."""
        return self._open_wards(day, [w.kind == "intensive" for w in self.wards])

    def _open_wards(self, day: date, some: list[bool]) -> NDArray[np.int64]:
        table = np.full((self.outside + 1, len(self.departments)), -1, dtype=np.int64)
        by_facility: dict[int, dict[str, int]] = {}
        for i, w in enumerate(self.wards):
            if some[i] and w.is_open(day):
                by_facility.setdefault(w.facility, {})[w.department] = i
        for f, here in by_facility.items():
            table[f] = [here.get(d, here.get(GENERAL, -1)) for d in self.departments]
        return table

    def capacities(self, spec: NetworkSpec) -> Capacities:
        """Doctors, slots and beds of one replication (its assumptions drawn)."""
        drawn = {f.id: f for f in spec.facilities}
        clinics = {f.id: {(c.department, c.kind): c for c in f.clinics} for f in spec.facilities}
        doctors, slots, extra, places = [], [], [], []
        for p in self.points:
            facility = drawn[self.facilities[p.facility].spec.id]
            if p.department == EMERGENCY:
                assert facility.emergency is not None
                doctors.append(facility.emergency.doctors.value)
                slots.append(0)
                extra.append(0)
                places.append(_waiting_places(facility.emergency))
                continue
            if p.department in IMAGING:
                doctors.append(0)
                room = next(x for x in facility.imaging if p.department == f"imaging_{x.kind}")
                slots.append(max(room.slots.value, 1))
                extra.append(0)
                places.append(NO_LIMIT)
                continue
            clinic = clinics[facility.id][p.department, p.kind]
            doctors.append(clinic.doctors.value)
            slots.append(max(clinic.slots.value, 1) if clinic.slots else 0)
            extra.append(clinic.extra.value if clinic.extra else 0)
            places.append(_waiting_places(clinic))
        wards = [_ward_of(drawn[self.facilities[w.facility].spec.id], w) for w in self.wards]
        attraction = [a.value if (a := drawn[f.spec.id].attraction) else 0.0 for f in self.facilities]
        own = self.facilities
        return Capacities(
            doctors=np.array(doctors, dtype=np.int64),
            slots=np.array(slots, dtype=np.int64),
            extra=np.array(extra, dtype=np.int64),
            waiting_places=np.array(places, dtype=np.int64),
            beds=np.array([w.beds.value for w in wards], dtype=np.int64),
            cleaning_minutes=np.array([w.cleaning_minutes.value if w.cleaning_minutes else 0.0 for w in wards]),
            theatres=self._session_places(drawn, "theatres"),
            day_centre=self._session_places(drawn, "day_centre"),
            attraction=np.array(attraction),
            feature_attracts=np.array([x.attracts.value if (x := drawn[f.spec.id].feature) else 0.0 for f in own]),
            feature_settles=np.array([x.settles.value if (x := drawn[f.spec.id].feature) else 0.0 for f in own]),
            sub_centre_doctors=np.array([_grown(drawn[f.spec.id], "doctors") for f in own]),
            sub_centre_beds=np.array([_grown(drawn[f.spec.id], "beds") for f in own]),
            travel=self._travel(spec),
        )

    def _session_places(self, drawn: dict[str, FacilitySpec], what: str) -> NDArray[np.int64]:
        specs = [getattr(drawn[f.spec.id], what) for f in self.facilities]
        return np.array([max(spec.slots.value, 1) if spec else 0 for spec in specs], dtype=np.int64)

    def _travel(self, spec: NetworkSpec) -> NDArray[np.float64]:
        x, y = np.array([spec.areas[a].position_km.value for a in self.areas], dtype=float).T
        km = np.hypot(x[:, None] - x[None, :], y[:, None] - y[None, :]) * spec.detour.value
        between = spec.minutes_at_least.value + km * spec.minutes_per_km.value
        inside = between[:, self.area[:-1]]
        return np.concatenate([inside, np.full((len(self.areas), 1), spec.outside.travel_minutes.value)], axis=1)


def _ward_of(spec: FacilitySpec, ward: Ward) -> WardSpec:
    """Its facts: of the wards of one department and kind, which are never open together, that of the same days."""
    named = ward.department, ward.kind, ward.opens
    return next(w for w in spec.wards if (w.department, w.kind, w.opens) == named)


def _grown(spec: FacilitySpec, what: Literal["doctors", "beds"]) -> float:
    """What a facility has as a sub-centre over what it had before."""
    ratio = getattr(spec.as_sub_centre, what) if spec.as_sub_centre else None
    return ratio.value if ratio else 1.0


def _waiting_places(spec: ClinicSpec | EmergencySpec) -> int:
    return spec.waiting_places.value if spec.waiting_places else NO_LIMIT


@dataclass(frozen=True)
class Capacities:
    """What the facilities of one replication have."""

    doctors: NDArray[np.int64]
    """Doctors in a full session, per service point."""
    slots: NDArray[np.int64]
    """Slots in a full session, per service point (0 = walk-in)."""
    extra: NDArray[np.int64]
    """Extra places for walk-ins in a full session, per service point."""
    waiting_places: NDArray[np.int64]
    """How many may wait, per service point (NO_LIMIT = any number)."""
    beds: NDArray[np.int64]
    """Beds, per ward."""
    cleaning_minutes: NDArray[np.float64]
    """Minutes after each patient in which a bed cannot be taken, per ward."""
    theatres: NDArray[np.int64]
    """Operations in a full session, per facility (0 = it states no theatres)."""
    day_centre: NDArray[np.int64]
    """Day cases in a full session, per facility (0 = it has no day centre)."""
    attraction: NDArray[np.float64]
    """Utility beside others of the level, per facility."""
    feature_attracts: NDArray[np.float64]
    """Yuan by which a visit to the feature department is worth more, per facility (0 = it is to have none)."""
    feature_settles: NDArray[np.float64]
    """Of the needs of that department one level beyond the place, the share it meets, per facility."""
    sub_centre_doctors: NDArray[np.float64]
    """Doctors as a county-level sub-centre over those before, per facility."""
    sub_centre_beds: NDArray[np.float64]
    """The same of beds."""
    travel: NDArray[np.float64]
    """Minutes from area to facility, shape (areas, facilities + 1); the last column is outside."""
