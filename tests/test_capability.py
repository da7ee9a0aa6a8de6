"""What institutions become able to do: who is taken first, and what they give more."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any, cast

import numpy as np
import pytest
from pydantic import ValidationError

import towns
from sim import capability
from sim.model import Case, Model
from sim.network import Network
from sim.policy import ReachedStandard

NAMES = [f"centre-{n}" for n in range(7)]


def place(**stated: str) -> Network:
    """A group of seven centres, some of which state a standard, and a station."""
    member: dict[str, Any] = {"role": "member", "group": "group", "clinics": [towns.clinic(1)]}
    lead = towns.facility("lead", "tertiary", **member | {"role": "lead"})
    centres = [towns.facility(name, "centre", **member) for name in NAMES]
    for one in centres:
        if level := stated.get(one["id"].replace("-", "_")):
            one["standard_level"] = level
    free = towns.facility("free", "centre", clinics=[towns.clinic(1)])
    spec = towns.network([lead, *centres, free, towns.facility("station", "village_station", **member)], "lead")
    return Network(spec, ["general"], {"cold": "general"})


def reached(network: Network, **shares: float) -> dict[str, int]:
    found = capability.standards(network, cast("dict[ReachedStandard, float]", shares))
    return {f.id: int(found[i]) for i, f in enumerate(network.facilities)}


def test_a_share_is_counted_in_whole_centres_of_groups() -> None:
    net = place()
    for share, number in ((0.0, 0), (0.07, 0), (0.08, 1), (0.5, 4), (1.0, 7)):
        found = reached(net, basic=share)
        assert sum(found.values()) == number
        assert found["lead"] == found["free"] == found["station"] == 0


def test_a_higher_share_takes_nothing_from_anybody() -> None:
    net, before = place(), dict.fromkeys(NAMES, 0)
    for share in np.linspace(0, 1, 15):
        after = reached(net, basic=share, recommended=share / 2)
        assert all(after[name] >= before[name] for name in NAMES)
        before = {name: after[name] for name in NAMES}
    assert sorted(before.values()) == [1, 1, 1, 2, 2, 2, 2]


def test_those_that_state_a_standard_come_first_and_never_fall_below_it() -> None:
    net = place(centre_6="community_hospital", centre_2="basic")
    assert reached(net)["centre-6"] == 3
    found = reached(net, basic=2 / 7, recommended=2 / 7)
    assert {name: n for name, n in found.items() if n} == {"centre-6": 3, "centre-2": 2}


def test_each_standard_more_leaves_so_much_of_the_needs() -> None:
    net = place(centre_6="basic")
    levels = np.array([capability.standards(net, {"recommended": 1.0})])
    more = capability.more_than_stated(net, levels, np.array([0.8]))[0]
    chance = {f.id: more[i] for i, f in enumerate(net.facilities)}
    assert chance["centre-6"] == pytest.approx(0.2)
    assert chance["centre-0"] == pytest.approx(1 - 0.8**2)
    assert chance["lead"] == chance["free"] == 0


def test_feature_departments_come_as_far_as_the_facts_name_them() -> None:
    member: dict[str, Any] = {"role": "member", "group": "group", "clinics": [towns.clinic(1)]}
    lead = towns.facility("lead", "tertiary", **member | {"role": "lead"})
    centres = [
        towns.facility(f"c{n}", "centre", **member, **(towns.feature("bones") if n < 3 else {})) for n in range(4)
    ]
    net = Network(towns.network([lead, *centres], "lead"), ["bones", "general"], {"cold": "general", "leg": "bones"})
    few, many, every = (capability.feature_departments(net, share) >= 0 for share in (0.25, 0.5, 1.0))
    assert [few.sum(), many.sum(), every.sum()] == [1, 2, 3]
    assert (few <= many).all()
    assert (many <= every).all()


def test_what_a_place_gives_more_adds_up_and_is_for_no_emergency() -> None:
    """One place, three conditions: of its feature department, of another one, an emergency."""
    feature, department = np.array([[1]]), np.array([1, 0, 1])
    urgent = np.array([False, False, True])
    chance = capability.reach(np.array([[0.2]]), np.array([[0.5]]), feature, department, urgent)
    assert chance[0, 0] == pytest.approx([1 - 0.8 * 0.5, 0.2, 0.0])


def test_a_sub_centre_gives_more_care_and_no_less_than_before() -> None:
    member: dict[str, Any] = {"role": "member", "group": "group", "clinics": [towns.clinic(1)]}
    lead = towns.facility("lead", "tertiary", **member | {"role": "lead"})
    gains = {"capability": {"default": 1, "leg": 3}}
    one = towns.facility("one", "centre", **member, as_sub_centre=gains)
    other = towns.facility("other", "centre", **member)
    departments = {"cold": "general", "leg": "bones"}
    net = Network(towns.network([lead, one, other], "lead"), ["bones", "general"], departments)
    after = net.with_sub_centres(["one", "other"])
    here = {f.id: i for i, f in enumerate(net.facilities)}
    assert net.capability[here["one"]].tolist() == [2, 2]
    assert after.capability[here["one"]].tolist() == [2, 3]
    assert (after.capability[[here["lead"], here["other"]]] == net.capability[[here["lead"], here["other"]]]).all()


def test_who_joins_a_group_is_served_by_it_and_serves_it() -> None:
    open_door: dict[str, Any] = {"clinics": [towns.clinic(1)]}
    lead = towns.facility("lead", "tertiary", role="lead", group="group", **open_door)
    private = [
        towns.facility(name, "secondary", ownership="private", **fact, **open_door)
        for name, fact in (("joins", {"may_join": "group"}), ("never", {}))
    ]
    net = Network(towns.network([lead, *private], "lead"), ["general"], {"cold": "general"})
    after, here = net.with_members(["joins", "never"]), {f.id: i for i, f in enumerate(net.facilities)}
    assert (net.group[here["joins"]], after.group[here["joins"]], after.group[here["never"]]) == (-1, 0, -1)
    assert after.serves[here["joins"], 0]
    assert not net.serves[here["joins"], 0]
    assert after.nearest_lead[here["joins"]] == here["lead"]


@pytest.mark.parametrize(
    ("group", "owner", "says"), [("group", "public", "only private ones"), ("gruop", "private", "did you mean group")]
)
def test_only_private_facilities_join_a_group_that_exists(group: str, owner: str, says: str) -> None:
    open_door: dict[str, Any] = {"clinics": [towns.clinic(1)]}
    lead = towns.facility("lead", "tertiary", role="lead", group="group", **open_door)
    with pytest.raises(ValidationError, match=says):
        towns.network([lead, towns.facility("new", "clinic", ownership=owner, may_join=group, **open_door)], "lead")


def test_beds_that_are_turned_lie_in_the_ward_below_of_the_same_place() -> None:
    hospital: dict[str, Any] = {"clinics": [towns.clinic(1)]}
    wards = [towns.ward(5, becomes="rehabilitation"), towns.ward(2, "surgery")]
    with pytest.raises(ValidationError, match="beds of general cannot become rehabilitation"):
        towns.network([towns.facility("third", "secondary", wards=wards, **hospital)])


@pytest.mark.parametrize(("share", "acute", "below"), [("1/2", 3, 6), (1, 0, 9)])
def test_a_share_of_beds_is_turned_and_nobody_evicted(share: Any, acute: int, below: int) -> None:
    """From the 15th day on; after it nobody else is admitted to beds that are gone."""
    settings = towns.PLAN | {"down_referral.proposed": 1.0}
    case = towns.group_town(35, settings=settings)
    later = towns.policy({"transformation.beds": share}, towns.MONDAY + timedelta(days=14))
    tables = towns.run(replace(case, audit=True, policy=case.policy.amended(later)))[0]
    legs = tables["stays"]
    mine = {name: legs[legs["facility"].eq("member") & legs["ward"].eq(n)] for name, n in wards_of(case).items()}
    most = {
        name: max(((rows["admitted"] <= m) & (rows["discharged"] > m)).sum() for m in range(28 * 1440, 35 * 1440, 300))
        for name, rows in mine.items()
    }
    assert most["general"] <= acute
    assert most["rehabilitation"] <= below
    if acute == 0:
        assert mine["general"]["admitted"].max() < 14 * 1440


def wards_of(case: Case) -> dict[str, int]:
    """The member hospital's wards by department."""
    net = Model(case, [0]).network
    return {w.department: n for n, w in enumerate(net.wards) if net.facilities[w.facility].id == "member"}


@pytest.mark.parametrize(
    ("fact", "says"),
    [
        ({"standard_level": "basic"}, "only centres and sub-centres of a group reach one"),
        (towns.feature("general"), "has a feature department; only centres and sub-centres of a group have them"),
        (towns.as_sub_centre(), "cannot become a sub-centre; only centres of a group can"),
    ],
)
def test_only_centres_of_groups_become_able_to_do_more(fact: dict[str, Any], says: str) -> None:
    bad = towns.facility("station", "village_station", clinics=[towns.clinic(1)], **fact)
    with pytest.raises(ValidationError, match=says):
        towns.network([bad])
