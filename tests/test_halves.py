"""Both halves of a quota before anything is simulated: on a napkin, and against what the whole is offered."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import towns
from sim.halves import Halves
from sim.model import Model
from sim.policy import Rules
from towns import Data, clinic, facility, said, ward

DAYS = 10
PER_DAY, BELOW, BEYOND, ADMITTED, STAY = 10.0, 0.6, 0.5, 0.4, 5.0
FORMAL, ACCEPTED, ARRIVE, ADVISED = 0.6, 0.9, 0.8, 0.7


def small_group(settings: Data, member: bool = False, emergency: bool = False) -> Model:
    """A centre and a lead hospital; half of the needs are beyond the centre. Nobody goes outside."""
    group: Data = {"group": "group"}
    places = [
        facility("centre", "centre", role="member", clinics=[clinic(1, pattern="office")], **group),
        facility(
            "lead",
            "tertiary",
            role="lead",
            clinics=[clinic(1, pattern="office", slots=4)],
            wards=[ward(10), ward(1, kind="intensive")],
            emergency={"doctors": said(1)},
            **group,
        ),
    ]
    if member:
        wards = [ward(5)]
        places.append(
            facility("member", "secondary", role="member", clinics=[clinic(1, pattern="office")], wards=wards, **group)
        )
    ill = towns.condition(
        "emergency" if emergency else "moderate", (1.0, BEYOND, 0.0), admission=ADMITTED, stay_days=STAY
    )
    way = {"up_referral.formal_share": FORMAL, "up_referral.accepted": ACCEPTED}
    case = towns.case(
        DAYS,
        settings=way | settings,
        network=towns.network(places, "lead"),
        population=towns.population({"town": 1000}),
        timetable=towns.timetable(),
        demand=towns.demand({"illness": PER_DAY}, 1000),
        choice=towns.choice({"centre": BELOW, "tertiary": 1.0 - BELOW}, follows_advice=ADVISED),
        care=towns.care({"illness": ill}),
        referral=towns.referral(ARRIVE, to_lead=0.25),
    )
    return Model(case, [0])


def halves(model: Model) -> dict[str, tuple[float, float]]:
    """Offered and capacity of each half of the lead hospital, by resource."""
    rows = model.tables(0)["loads"].query("resource.str.contains('_')")
    assert set(rows["facility"]) <= {"lead"}
    both = zip(rows["offered"], rows["capacity"], strict=True)
    return dict(zip(rows["resource"], both, strict=True))


HELD: Data = {"bed_quota.held_for_referral": "1/4", "slot_quota.held_for_referral": "1/3"}


def test_both_halves_on_a_napkin() -> None:
    found = halves(small_group(HELD))
    needs = 365 * PER_DAY
    sent = needs * BELOW * BEYOND
    formal, alone = sent * FORMAL * ACCEPTED * ARRIVE, sent * (1 - FORMAL) * ADVISED
    others = needs * (1 - BELOW) + alone
    assert found["clinic_held"] == pytest.approx((formal, 4 * 2 * 365 / 3), rel=1e-6)
    assert found["clinic_open"] == pytest.approx((others, 4 * 2 * 365 * 2 / 3), rel=1e-6)
    assert found["ward_held"] == pytest.approx((formal * ADMITTED * STAY, 3 * 365), rel=1e-6), "1/4 of 10 is 3 beds"
    assert found["ward_open"] == pytest.approx((others * ADMITTED * STAY, 7 * 365), rel=1e-6)


def test_persuasion_sends_more_through_the_channel_and_a_gate_all() -> None:
    needs = 365 * PER_DAY
    for rule, below in (
        ({"first_contact.adherence": 0.5}, BELOW + 0.5 * (1 - BELOW)),
        ({"first_contact.gate": ["illness"]}, 1.0),
    ):
        found = halves(small_group(HELD | rule))
        formal = needs * below * BEYOND * FORMAL * ACCEPTED * ARRIVE
        assert found["ward_held"][0] == pytest.approx(formal * ADMITTED * STAY, rel=1e-6)


def test_a_member_that_can_help_takes_its_part_of_those_referred() -> None:
    one, two = (halves(small_group(HELD, member=there)) for there in (False, True))
    assert two["ward_held"][0] == pytest.approx(0.25 * one["ward_held"][0], rel=1e-6)


def test_nobody_is_referred_in_an_emergency_department_of_the_lead_hospital() -> None:
    """Centres have no such department, so their doctors refer emergencies, too; upstairs nobody counts as referred."""
    assert halves(small_group(HELD, emergency=True))["ward_held"][0] == 0.0


def test_where_nothing_is_held_there_are_no_halves() -> None:
    assert halves(small_group({})) == {}
    assert halves(small_group({"bed_quota.kind": "partition"})) == {}
    assert set(halves(small_group({"bed_quota.held_for_referral": "1/4"}))) == {"ward_held", "ward_open"}
    for kind in ("partition", "protect"):
        assert halves(small_group(HELD | {"bed_quota.kind": kind})) == halves(small_group(HELD))


@pytest.mark.parametrize("settings", [HELD, towns.PLAN, towns.ALL_LEVERS])
def test_both_halves_together_are_what_the_whole_is_offered(settings: Data) -> None:
    model = Model(towns.group_town(DAYS, settings=settings), [0])
    forecast, rules = model.forecasts[0], model.policies[0].on(model.case.to)
    of = Halves(forecast, rules, model.referral_specs[0], model.journey.town.place.offers)
    flow = of._everybody
    whole = {row[:3]: row[3:] for row in (*forecast.points(flow), *forecast._wards(flow))}
    rows = pd.DataFrame(of.rows(), columns=["point", "facility", "resource", "offered", "capacity"])
    assert (rows[["offered", "capacity"]] >= 0).all(axis=None)
    names = [rows["point"].str.replace(r" \(\w+\)", "", regex=True), rows["facility"], rows["resource"].str[:-5]]
    sums = rows.groupby(names)[["offered", "capacity"]].sum()
    assert len(sums) == 3, "two clinics and a ward"
    for place, both in zip(sums.index, sums.to_numpy().tolist(), strict=True):
        assert both == pytest.approx(list(whole[place]), rel=1e-9)
    formal = rules.up_referral.formal_share
    assert (rows.query("resource.str.endswith('held')")["offered"] > 0).all() == (formal > 0)


def test_without_referral_the_open_half_is_offered_what_the_ward_is_in_the_base_year() -> None:
    table = Model(towns.group_town(DAYS, settings=HELD), [0]).tables(0)["loads"].set_index(["resource", "point"])
    assert table.loc[("ward_open", "lead/general (open)"), "offered"] == table.loc[("ward", "lead/general"), "offered"]
    for name in ("general", "surgery"):
        whole, other = ("clinic", f"lead/{name}"), ("clinic_open", f"lead/{name} (open)")
        assert table.loc[other, "offered"] == table.loc[whole, "offered"]


def test_what_was_heard_of_waiting_meanwhile_changes_no_forecast() -> None:
    model = Model(towns.group_town(DAYS, settings=towns.PLAN), [0])
    before = model.tables(0)["loads"]
    model.run(DAYS, lambda days: None)
    pd.testing.assert_frame_equal(model.tables(0)["loads"], before)
    neutral = Halves(model.forecasts[0], Rules(), model.referral_specs[0], model.journey.town.place.offers)
    assert list(neutral.rows()) == []
    assert np.isfinite(before["load"]).all()
