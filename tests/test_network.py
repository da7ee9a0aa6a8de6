"""The place: levels and roles, service points, capabilities, wards and travel."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import numpy as np
import pytest
from pydantic import ValidationError

import towns
from sim.network import EMERGENCY, EQUIPMENT, NO_LIMIT, Level, Network, NetworkSpec
from sim.schema import InputError
from towns import ward


def place(facilities: list[dict[str, Any]] | None = None) -> Network:
    """The group town, or other facilities in its areas; conditions by department: cold general, bone surgery."""
    spec = towns.network(facilities or towns.group_facilities(), "lead", towns.AREAS)
    return Network(spec, ["general", "rehabilitation", "surgery"], {"cold": "general", "bone": "surgery"})


def test_facilities_stand_by_level_then_id_whatever_the_order_of_the_config() -> None:
    ids = [f.id for f in place().facilities]
    assert ids == ["station", "village-001", "village-002", "centre", "valley-centre", "member", "lead"]
    assert [f.id for f in place(towns.group_facilities()[::-1]).facilities] == ids


def test_count_makes_separate_facilities() -> None:
    net = place()
    one, other = (net.facility_index(f"village-{n:03d}") for n in (1, 2))
    assert one != other
    assert net.clinic_point[one, 0] != net.clinic_point[other, 0]
    assert net.facilities[one].spec is net.facilities[other].spec


def test_layers_of_a_half_day() -> None:
    layer = {(net.facilities[p.facility].id, p.department): p.layer for net in [place()] for p in net.points}
    assert layer["station", "general"] == 0
    assert layer["centre", "general"] == 1
    assert layer["member", "general"] == 2
    assert layer["lead", "general"] == layer["lead", "surgery"] == 3
    assert layer["lead", EMERGENCY] >= layer["member", EMERGENCY] > 3
    assert [p.layer for p in place().points] == sorted(p.layer for p in place().points)


def test_a_department_without_a_clinic_goes_to_the_general_one() -> None:
    net = place()
    lead, member = net.facility_index("lead"), net.facility_index("member")
    general, _, surgery = (int(net.clinic_point[lead, d]) for d in range(3))
    assert net.points[general].department == "general"
    assert net.points[surgery].department == "surgery"
    assert net.clinic_point[member, 2] == net.clinic_point[member, 0] >= 0


def test_an_expert_clinic_stands_beside_the_ordinary_one() -> None:
    net = place()
    (expert,) = np.flatnonzero(net.ordinary_point >= 0)
    ordinary = net.ordinary_point[expert]
    assert (net.points[expert].name, net.points[ordinary].name) == ("general_expert", "general")
    assert net.expert_point.tolist() == [expert if p == ordinary else -1 for p in range(len(net.points))]
    assert expert not in net.clinic_point
    assert net.points[expert].layer == net.points[ordinary].layer == 3
    have = net.capacities(net.spec)
    assert (have.slots[ordinary], have.slots[expert]) == (5, 2)


def test_wards_and_emergency_departments() -> None:
    net = place()
    assert [(net.facilities[w.facility].id, w.department, w.kind) for w in net.wards] == [
        ("valley-centre", "general", "joint"),
        ("valley-centre", "home", "home"),
        ("valley-centre", "rehabilitation", "step_down"),
        ("member", "general", "acute"),
        ("member", "rehabilitation", "step_down"),
        ("lead", "general", "acute"),
    ]
    ward_at = net.ward_at(towns.MONDAY)
    assert ward_at[net.facility_index("lead"), 2] == 5
    assert {net.wards[n].kind for n in ward_at[ward_at >= 0]} == {"acute", "step_down"}, (
        "not in joint wards, nor at home"
    )
    assert ward_at[net.facility_index("station")].tolist() == [-1] * 3
    assert (net.emergency_point >= 0).sum() == 2
    assert ward_at[net.outside].tolist() == [-1] * 3


def test_large_equipment_is_shared() -> None:
    """M13: one's own room, else that of the lead hospital, else the nearest; stations of no group as well."""
    facilities = towns.group_facilities()
    alone = [towns.facility(x, "secondary", x, clinics=[towns.clinic(1)]) for x in ("town", "valley")]
    facilities[0] |= towns.imaging(ct=3)
    facilities[1] |= towns.imaging(ct=1, mr=2)
    alone[1] |= towns.imaging(mr=5)
    spec = towns.network([*facilities, *alone], "lead", towns.AREAS)
    net = Network(spec, ["general", "surgery"], {"cold": "general"})

    def goes(facility: str) -> list[str]:
        rooms = [net.points[net.imaging_point[n]] if n >= 0 else None for n in net.imaging_room[at(facility)]]
        assert all(r is None or r.department == f"imaging_{k}" for r, k in zip(rooms, EQUIPMENT, strict=True))
        return [net.facilities[room.facility].id if room else "nowhere" for room in rooms]

    def at(facility: str) -> int:
        return net.facility_index(facility)

    assert EQUIPMENT == ("ct", "mr", "endoscopy")
    assert goes("lead") == ["lead", "member", "nowhere"], "the lead has no MR: the nearest"
    assert goes("member") == ["member", "member", "nowhere"]
    assert goes("valley-centre") == ["lead", "valley", "nowhere"]
    assert goes("town") == ["member", "member", "nowhere"]
    assert goes("valley") == ["member", "valley", "nowhere"]
    assert set(net.imaging_room[-1]) == {-1}, "outside the area"
    capacities = net.capacities(spec)
    assert capacities.slots[net.imaging_point].tolist() == [1, 2, 5, 3]
    assert not capacities.doctors[net.imaging_point].any()
    assert (net.clinic_point[at("lead")] >= 0).all()
    assert not np.isin(net.clinic_point, net.imaging_point).any()


def test_standard_capability_and_exceptions() -> None:
    facilities = towns.group_facilities()
    facilities[1]["capability"] = {"surgery": 2}
    facilities[2]["capability"] = {"default": 1, "cold": 3}
    net = place(facilities)
    bone, cold = 0, 1
    at = {f.id: net.capability[i] for i, f in enumerate(net.facilities)}
    assert (at["lead"][bone], at["station"][bone], at["valley-centre"][bone]) == (4, 1, 2)
    assert (at["member"][bone], at["member"][cold]) == (2, 3)
    assert (at["centre"][bone], at["centre"][cold]) == (1, 3)
    assert net.capability[net.outside].tolist() == [4, 4]


def test_levels_roles_and_groups() -> None:
    net = place(
        [*towns.group_facilities(), towns.facility("private", "clinic", ownership="private", clinics=[towns.clinic(1)])]
    )
    assert [net.facilities[i].id for i in np.flatnonzero(net.is_lead)] == ["lead"]
    private = net.facility_index("private")
    assert (net.level[private], net.group[private]) == (Level.clinic, -1)
    assert (net.level[net.outside], net.group[net.outside], net.area[net.outside]) == (Level.outside, -1, -1)
    assert net.lead_of_group.tolist() == [net.facility_index("lead")]


def test_capacities_and_travel() -> None:
    net = place()
    have = net.capacities(net.spec)
    lead = net.facility_index("lead")
    point = int(net.clinic_point[lead, 0])
    assert (have.doctors[point], have.slots[point], have.extra[point]) == (1, 5, 1)
    assert have.doctors[net.emergency_point[lead]] == 2
    assert have.beds.tolist() == [3, 1, 2, 6, 3, 9]
    town, valley = net.areas.index("town"), net.areas.index("valley")
    assert have.travel.shape == (2, len(net.facilities) + 1)
    assert have.travel[town, lead] == 10
    assert have.travel[valley, lead] == pytest.approx(10 + np.hypot(8, 3) * 1.3 * 1.5)
    assert have.travel[:, -1].tolist() == [60, 60]


def test_a_place_without_wards_or_slots_has_none() -> None:
    net = Network(
        towns.network([towns.facility("only", "centre", clinics=[towns.clinic(1)])]), ["general"], {"cold": "general"}
    )
    have = net.capacities(net.spec)
    assert have.beds.tolist() == []
    assert have.slots.tolist() == [0]
    assert all(x.dtype == np.int64 for x in (have.doctors, have.slots, have.extra, have.beds))


def test_a_bookable_clinic_and_a_room_with_equipment_have_a_slot_whatever_is_drawn() -> None:
    rooms = towns.imaging(ct=0)
    hospital = towns.facility("hospital", "tertiary", clinics=[towns.clinic(1, slots=0)], **rooms)
    net = Network(towns.network([hospital]), ["general"], {"illness": "general"})
    have = net.capacities(net.spec)
    assert have.slots.tolist() == [1, 1]
    assert have.waiting_places.tolist() == [NO_LIMIT, NO_LIMIT]


def test_a_waiting_room_has_the_places_that_are_stated_and_no_limit_elsewhere() -> None:
    few: dict[str, Any] = {"waiting_places": towns.said(7)}
    clinics = [towns.clinic(1), towns.clinic(1, "surgery", waiting_places=0)]
    hospital = towns.facility("hospital", "tertiary", clinics=clinics, emergency={"doctors": towns.said(1)} | few)
    spec = towns.network([hospital])
    net = Network(spec, ["general", "surgery"], {"cold": "general"})
    places = dict(zip((p.department for p in net.points), net.capacities(spec).waiting_places, strict=True))
    assert places == {"general": NO_LIMIT, "surgery": 0, EMERGENCY: 7}


def joint(department: str = "general", **more: Any) -> dict[str, Any]:
    """A joint clinic."""
    return towns.clinic(1, department, kind="joint", slots=2, **more)


def test_a_joint_clinic_is_staffed_by_the_lead_hospital() -> None:
    net = place()
    (here,) = np.flatnonzero(net.lends_to >= 0)
    ids = [f.id for f in net.facilities]
    assert (net.points[here].name, ids[net.point_facility[here]]) == ("general_joint", "centre")
    assert (net.points[net.lends_to[here]].name, ids[net.staffed_by[here]]) == ("general", "lead")
    others = np.arange(len(net.points)) != here
    assert (net.staffed_by[others] == net.point_facility[others]).all()
    assert here not in net.clinic_point
    assert net.points[here].layer == 1


def test_a_joint_clinic_takes_its_department_and_a_general_one_what_the_lead_has_no_clinic_for() -> None:
    net, centre = place(), place().facility_index("centre")
    taken = {d: net.joint_clinic(centre, i) >= 0 for i, d in enumerate(net.departments)}
    assert taken == {d: d != "surgery" for d in net.departments}, "the lead hospital has a clinic of surgery"


def test_the_joint_clinic_of_the_place_itself_and_else_the_nearest_of_the_group() -> None:
    facilities = towns.group_facilities()
    facilities[3]["clinics"].append(joint())
    facilities.append(towns.facility("private", "clinic", clinics=[towns.clinic(1)]))
    net = place(facilities)
    general = net.departments.index("general")
    nearest = {
        f.id: net.facilities[net.point_facility[p]].id if (p := net.joint_clinic(i, general)) >= 0 else None
        for i, f in enumerate(net.facilities)
    }
    assert nearest["centre"] == nearest["station"] == "centre"
    assert nearest["valley-centre"] == nearest["village-001"] == "valley-centre"
    assert nearest["private"] is None


def test_a_joint_ward_takes_its_department_and_a_general_one_what_the_lead_hospital_has_no_ward_for() -> None:
    """That of the place itself, else the nearest of the group; of two at a place that of the department."""
    facilities = towns.group_facilities()
    facilities[0]["wards"] = [ward(4), ward(2, "surgery", closes=9)]
    facilities[2]["wards"] = [ward(3, kind="joint")]
    facilities[3]["wards"] = [ward(3, kind="joint"), ward(2, "surgery", "joint", opens=3)]
    facilities.append(towns.facility("private", "clinic", clinics=[towns.clinic(1)]))
    net = place(facilities)

    def joint(facility: str, department: str, day: int) -> tuple[str, str] | None:
        at = net.joint_ward_at(towns.MONDAY + timedelta(days=day))
        n = at[net.facility_index(facility), net.departments.index(department)]
        return (net.facilities[net.wards[n].facility].id, net.wards[n].department) if n >= 0 else None

    assert joint("station", "general", 0) == ("centre", "general")
    assert joint("village-001", "general", 0) == ("valley-centre", "general")
    assert joint("centre", "surgery", 0) is None, "the lead hospital has a ward of surgery"
    assert joint("centre", "surgery", 3) == ("valley-centre", "surgery")
    assert joint("centre", "surgery", 9) == ("centre", "general"), "it is closed"
    assert joint("village-001", "surgery", 9) == ("valley-centre", "surgery")
    assert joint("private", "general", 0) is None
    assert {net.facilities[f].id for f in net.ward_run_by} == {"lead", "member"}


def test_a_service_point_keeps_its_number_when_others_open() -> None:
    def numbers(net: Network) -> dict[tuple[str, str], int]:
        return {
            (net.facilities[p.facility].id, p.name): int(n) for p, n in zip(net.points, net.point_number, strict=True)
        }

    before = numbers(place())
    after = numbers(
        place([towns.facility("another", "secondary", clinics=[towns.clinic(1)]), *towns.group_facilities()])
    )
    assert before == {name: after[name] for name in before}
    assert len(set(after.values())) == len(after)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda f: f.append(dict(f[0])), "two facilities have the id lead"),
        (lambda f: f[1].update(area="moon"), "moon"),
        (lambda f: f[1].update(group="elsewhere"), "elsewhere"),
        (lambda f: f[1].update(group=None), "role member"),
        (lambda f: f[1].update(role="lead"), "lead hospital"),
        (lambda f: f[0].update(clinics=[], emergency=None), "neither a clinic nor an emergency"),
        (lambda f: f[0].update(imaging=2 * towns.imaging(ct=1)["imaging"]), "two rooms"),
        (lambda f: f[0]["clinics"].append(towns.clinic(1, "imaging_ct")), "imaging_ct"),
        (lambda f: f[0]["clinics"].append(towns.clinic(1, "surgery", slots=1)), "two ordinary clinics of surgery"),
        (lambda f: f[0]["clinics"].append(towns.clinic(1, kind="expert", slots=1)), "two expert clinics of general"),
        (lambda f: f[0]["clinics"].append(towns.clinic(1, "surgery", kind="expert")), "by appointment"),
        (lambda f: f[0]["clinics"].append(towns.clinic(1, "skin", kind="expert", slots=1)), "no ordinary one"),
        (lambda f: f[2]["clinics"].append(towns.clinic(1, kind="expert", slots=1)), "only hospitals"),
        (lambda f: f[2]["clinics"].append(towns.clinic(1, "skin_expert")), "do not end like that"),
        (lambda f: f[2]["clinics"].append(towns.clinic(1, "skin_joint")), "do not end like that"),
        (lambda f: f[2]["clinics"].append(joint()), "two joint clinics of general"),
        (lambda f: f[1]["clinics"].append(joint()), "only centres and sub-centres of a group"),
        (lambda f: f[4]["clinics"].append(joint()), "only centres and sub-centres of a group"),
        (lambda f: f[2].update(role="none", group=None), "only centres and sub-centres of a group"),
        (lambda f: f[3]["clinics"].append(towns.clinic(1, kind="joint")), "joint clinic of general without slots"),
        (
            lambda f: (f[0]["clinics"].pop(0), f[0]["clinics"].pop(), f[3]["clinics"].append(joint("skin"))),
            "facility valley-centre has a joint clinic of skin, and its lead hospital no ordinary clinic",
        ),
        (lambda f: f[2].update(level="palace"), "palace|village_station"),
        (lambda f: f[2].update(bedz=3), "bedz"),
    ],
)
def test_a_place_that_cannot_be_is_refused(change: Any, says: str) -> None:
    facilities = towns.group_facilities()
    change(facilities)
    with pytest.raises((ValueError, InputError), match=says):
        towns.network(facilities, "lead", towns.AREAS)


def test_a_place_needs_facilities_and_areas() -> None:
    for empty in ({"facilities": []}, {"areas": {}}):
        with pytest.raises((ValueError, InputError)):
            NetworkSpec.model_validate(
                towns.network(towns.group_facilities(), "lead", towns.AREAS).model_dump(exclude_none=True) | empty
            )


# ------------------------------------------------------------------------------------------------------ several groups


def two_groups() -> list[dict[str, Any]]:
    """The group town, and a second group whose lead hospital is in the valley."""
    office: dict[str, Any] = {"clinics": [towns.clinic(1)], "wards": [towns.ward(2)]}
    return [
        *towns.group_facilities(),
        towns.facility("valley-lead", "secondary", "valley", role="lead", group="second", **office),
        towns.facility("private", "tertiary", "valley", **office),
    ]


GRIDS = {"town": "group", "valley": "second"}


def of_two_groups(facilities: list[dict[str, Any]], grids: dict[str, str] | None = None) -> Network:
    """A place of two groups, each with its grid."""
    spec = towns.network(facilities, "lead", towns.AREAS, GRIDS if grids is None else grids)
    return Network(spec, ["general", "rehabilitation", "surgery"], {"cold": "general", "bone": "surgery"})


def test_the_lead_hospital_of_a_grid_and_of_those_who_are_no_residents() -> None:
    net = of_two_groups(two_groups())
    leads = {area: net.facilities[net.lead_of_grid[a]].id for a, area in enumerate(net.areas)}
    assert leads == {"town": "lead", "valley": "valley-lead"}
    nearest = {f.id: net.facilities[net.nearest_lead[i]].id for i, f in enumerate(net.facilities)}
    assert nearest["valley-centre"] == "lead", "of the same group, though the other one is nearer"
    assert nearest["private"] == "valley-lead"
    assert (net.nearest_lead[-1], place().lead_of_grid.tolist()) == (-1, [place().facility_index("lead")] * 2)


def test_without_a_group_there_is_no_lead_hospital_and_one_group_has_all_grids() -> None:
    net = Network(towns.network([towns.facility("only", "centre", clinics=[towns.clinic(1)])]), ["general"], {})
    assert net.lead_of_grid.tolist() == [-1]
    assert net.nearest_lead.tolist() == [-1, -1]


def test_with_several_groups_every_area_names_a_grid_that_exists() -> None:
    with pytest.raises(ValidationError, match=r"every area names its grid .group, second.; these do not: town, valley"):
        of_two_groups(two_groups(), {})
    with pytest.raises(ValidationError, match=r"area valley lies in the grid .* secnd, .* .did you mean second.."):
        of_two_groups(two_groups(), GRIDS | {"valley": "secnd"})
    with pytest.raises(ValidationError, match="area town lies in the grid of the group nowhere"):
        towns.network(towns.group_facilities(), "lead", towns.AREAS, {"town": "nowhere"})


def test_also_serving_is_for_groups_that_exist_and_for_institutions_with_a_role() -> None:
    shared: dict[str, Any] = {"level": "tertiary", "clinics": [towns.clinic(1)]}

    def with_shared(**more: Any) -> Network:
        return of_two_groups([*two_groups(), towns.facility("shared", **shared, **more)])

    net = with_shared(role="cooperating", also_serves=["second", "group"])
    assert net.serves[net.facility_index("shared")].tolist() == [True, True]
    assert net.serves[net.facility_index("lead")].tolist() == [True, False]
    assert not net.serves[net.facility_index("private")].any()
    assert not net.serves[net.outside].any()
    with pytest.raises(ValidationError, match=r"facility shared also serves the group secnd, .*did you mean second"):
        with_shared(role="cooperating", also_serves=["secnd"])
    with pytest.raises(ValidationError, match="facility shared also serves its own group"):
        with_shared(role="member", group="second", also_serves=["second"])
    with pytest.raises(ValidationError, match="is it cooperating"):
        with_shared(also_serves=["second"])


def test_two_wards_of_one_department_and_kind_are_refused_unless_one_closes_before_the_other_opens() -> None:
    def town(*wards: towns.Data) -> Network:
        facilities = towns.group_facilities()
        facilities[0]["wards"] = list(wards)
        return place(facilities)

    for twice in ([ward(4), ward(6)], [ward(4, closes=11), ward(6, opens=10)], [ward(4, opens=9), ward(6, opens=10)]):
        with pytest.raises(ValueError, match="two wards of one department and kind at a time; add up their beds"):
            town(*twice)
    net = town(ward(6, opens=10), ward(4, closes=8), ward(2, "general", "step_down"))
    lead, has = net.facility_index("lead"), [*net.capacities(net.spec).beds, 0]
    beds = {day: has[net.ward_at(towns.MONDAY + timedelta(days=day))[lead, 0]] for day in (7, 8, 10)}
    assert beds == {7: 4, 8: 0, 10: 6}, "nobody is admitted where others step down to instead"
