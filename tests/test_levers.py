"""Every lever pulls the way that was written down before it was built, and really binds in the study `example`.

The same patients with the same luck, once with the lever here and once there; the expected direction stands first,
in the words of the lever itself (sim/policy.py).
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from datetime import date
from functools import cache
from typing import Any

import pandas as pd
import pytest

import sim
import towns
from analysis.indicators import CATALOGUE, HEADLINE
from analysis.ledger import Span
from analysis.measures import measure
from sim.citation import Count, Figure
from sim.model import Case, Model
from sim.policy import RESCUE_CENTRES, levers
from sim.results import facility_table
from sim.study import cases
from sim.timetable import DAY

REPLICATIONS = 2
WARM = "2024-02-01"
EXPECTED = {info.name: info.expected for info in levers()}
NEUTRAL = {info.name: info.neutral for info in levers()}
RESCUED = ["chest_pain", "stroke", "trauma", "mother_in_danger", "child_in_danger"]
CHANNEL = {"up_referral.formal_share": 0.6, "up_referral.platform_delay_days": 0.0}
"""Enough formal referrals for what is held for them to matter."""


def _in_the_quarter(case: Case) -> Case:
    start = date(2024, 1, 1)
    return replace(case, warmup_from=start, from_=start, to=date(2024, 3, 31))


@cache
def _example() -> Case:
    """The study `example` without a policy, luck alone, three months."""
    case = cases(sim.load("example"))["example_before"]
    return _in_the_quarter(replace(case, policy=towns.policy(), uncertainty="luck", record="visits"))


def example(
    settings: dict[str, Any], replications: int = REPLICATIONS, experts: bool = True
) -> dict[str, pd.DataFrame]:
    """Tables of all replications together under these levers, the first month left out of the monthly ones.

    `experts`: whether anybody prefers the expert clinic.
    """
    pulled = ((name, value) for name, value in settings.items() if value != NEUTRAL[name])
    return _run(json.dumps(dict(sorted(pulled))), replications, experts)


@cache
def _run(settings: str, replications: int, experts: bool) -> dict[str, pd.DataFrame]:
    case = replace(_example(), policy=towns.policy(json.loads(settings)))
    nobody = case.choice.model_copy(update={"prefers_expert": None})
    packs = towns.run(case if experts else replace(case, choice=nobody), replications)
    tables = {name: pd.concat([packs[r][name].assign(replication=r) for r in packs]) for name in packs[0]}
    return {name: t.query("month >= @WARM") if "month" in t else t for name, t in tables.items()}


def both(
    lever: str, low: Any, high: Any, beside: dict[str, Any] | None = None, replications: int = REPLICATIONS,
    experts: bool = True,
) -> tuple[dict[str, pd.DataFrame], dict[str, pd.DataFrame]]:  # fmt: skip
    """The tables with the lever at one value and at another."""
    few, many = ({**(beside or {}), lever: value} for value in (low, high))
    return example(few, replications, experts), example(many, replications, experts)


Tables = dict[str, pd.DataFrame]


def grassroots_share(t: Tables) -> float:
    """Visits to grassroots institutions over all visits."""
    visits = t["visits_monthly"].groupby("level")["visits"].sum()
    return float(visits.reindex(["village_station", "clinic", "centre"]).sum() / visits.sum())


def total(table: str, column: str, **where: Any) -> Callable[[Tables], float]:
    """The sum of a column."""

    def read(t: Tables) -> float:
        rows = t[table]
        for name, value in where.items():
            rows = rows[rows[name] == value]
        return float(rows[column].sum())

    return read


def days_waited(*classes: str, facility: str = "lead_hospital") -> Callable[[Tables], float]:
    """Mean days to the appointment; who is refused has waited as long as patience lasts."""

    def read(t: Tables) -> float:
        waits, bookings = (
            x[x["cls"].isin(classes) & x["facility"].eq(facility)] for x in (t["waits_days"], t["bookings_monthly"])
        )
        assert bookings["requests"].sum() >= 20, "too few patients to say"
        refused = bookings["refused"].sum() * _example().choice.booking_patience.value
        return float(((waits["days"] * waits["patients"]).sum() + refused) / bookings["requests"].sum())

    return read


def hours_to_bed(*entries: str) -> Callable[[Tables], float]:
    """Mean hours from request to a bed of the lead hospital."""

    def read(t: Tables) -> float:
        rows = t["stays"][t["stays"]["entry"].isin(entries) & t["stays"]["facility"].eq("lead_hospital")]
        rows = rows[~rows["day_case"]]
        assert len(rows) >= 20, "too few patients to say"
        return float((rows["admitted"] - rows["requested"]).mean() / 60)

    return read


def nights(t: Tables, column: str, per: str, **where: str) -> float:
    """Nights per discharge or per episode."""
    rows = t["stays_monthly"]
    for name, value in where.items():
        rows = rows[rows[name] == value]
    return float(rows[column].sum() / rows[per].sum())


REFERRED, OTHERS = ("referred_contracted", "referred"), ("other",)


def test_every_lever_has_a_test_here() -> None:
    from pathlib import Path

    text = Path(__file__).read_text(encoding="utf-8")
    assert [name for name in EXPECTED if f'EXPECTED["{name}"]' not in text] == []


# -------------------------------------------------------------------------------------------------------------- doors


def test_first_contact() -> None:
    assert (
        EXPECTED["first_contact.adherence"]
        == "the grassroots share of visits rises, outpatient visits of the lead hospital fall"
    )
    low, high = both("first_contact.adherence", 0.0, 0.3, CHANNEL)
    assert grassroots_share(high) > grassroots_share(low) + 0.05
    lead = total("visits_monthly", "visits", facility="lead_hospital", kind="outpatient")
    assert lead(high) < 0.95 * lead(low)


def test_contracts() -> None:
    assert EXPECTED["contracts.coverage"] == "the grassroots share of visits rises"
    low, high = both("contracts.coverage", None, 0.9, CHANNEL)
    assert grassroots_share(high) > grassroots_share(low) + 0.01


# ---------------------------------------------------------------------------------------------------- out of the area


def test_partners_outside() -> None:
    """In `example` with a lead hospital that gives no tertiary care, and partners with a bed after a day."""
    assert (
        EXPECTED["up_referral.to_partner"]
        == "formal referrals out of the area rise, patients who simply leave it fall; the wait for a bed outside falls "
        "where partners have one sooner"
    )
    network = _example().network
    day = Figure.model_validate(towns.said(1.0))
    weak = {
        "facilities": [
            f.model_copy(update={"capability": {"default": 3}} if f.role == "lead" else {}) for f in network.facilities
        ],
        "outside": network.outside.model_copy(update={"partner_wait_days": day}),
    }

    def town(share: float) -> Tables:
        case = replace(_example(), network=network.model_copy(update=weak))
        return towns.run(replace(case, policy=towns.policy({**CHANNEL, "up_referral.to_partner": share})))[0]

    def wait(t: Tables) -> float:
        stays = t["stays"][t["stays"]["facility"].eq("outside")]
        assert len(stays) > 20
        return float((stays["admitted"] - stays["requested"]).mean() / DAY)

    low, high = town(0.0), town(0.8)
    formal, alone = (
        total("referrals_monthly", "referrals", to_facility="outside", channel=x, status="completed")
        for x in ("formal", "self")
    )
    assert formal(low) == 0
    assert formal(high) > 30
    assert alone(high) < 0.8 * alone(low)
    assert wait(high) < wait(low) - 0.5


# -------------------------------------------------------------------------------------------------------------- slots


def test_held_slots() -> None:
    expected = "referred patients wait fewer days, others more; nothing happens where slots are not scarce"
    assert EXPECTED["slot_quota.held_for_referral"] == expected
    low, high = both("slot_quota.held_for_referral", 0.0, "1/3", {**CHANNEL, "slot_quota.released_days_before": 0})
    used = total("slots_monthly", "used_held")
    assert used(low) == 0
    assert used(high) > 30
    assert days_waited(*REFERRED)(high) < days_waited(*REFERRED)(low) - 0.5
    assert days_waited(*OTHERS)(high) > days_waited(*OTHERS)(low)


def test_held_slots_change_nothing_where_slots_are_not_scarce() -> None:
    def town(settings: dict[str, Any]) -> Tables:
        facilities = towns.group_facilities()
        for clinic in facilities[0]["clinics"]:
            clinic |= {"slots": towns.said(60), "doctors": towns.said(20)}
        return towns.run(
            towns.group_town(35, settings={"up_referral.formal_share": 0.5, **settings}, facilities=facilities)
        )[0]

    low, high = town({}), town({"slot_quota.held_for_referral": "1/4"})
    for name in ("waits_days", "needs_monthly"):
        pd.testing.assert_frame_equal(low[name], high[name], check_exact=True)


def test_release_of_held_slots() -> None:
    assert (
        EXPECTED["slot_quota.released_days_before"]
        == "later release leaves more slots unused and the wait of others longer"
    )
    early, late = both("slot_quota.released_days_before", 5, 0, {**CHANNEL, "slot_quota.held_for_referral": "1/3"})

    def unused(t: Tables) -> float:
        slots = t["slots_monthly"].query("department == 'medicine'")
        return float((slots["offered"] - slots["used_held"] - slots["used_open"]).sum())

    assert unused(late) > unused(early)
    assert days_waited(*OTHERS)(late) > days_waited(*OTHERS)(early)


@cache
def clinic_of(department: str, kind: str, facility: str = "lead_hospital") -> int:
    """Number of a clinic of the example among service points."""
    net = Model(_example(), [0]).network
    return next(
        i
        for i, p in enumerate(net.points)
        if (net.facilities[p.facility].id, p.department, p.kind) == (facility, department, kind)
    )


def test_held_expert_slots() -> None:
    expected = "more referred patients see an expert, fewer others; nothing happens where slots are not scarce"
    assert EXPECTED["expert_quota.held_for_referral"] == expected
    low, high = both(
        "expert_quota.held_for_referral", 0.0, "1/3", {**CHANNEL, "slot_quota.released_days_before": 0}, replications=8
    )
    expert = clinic_of("medicine", "expert")

    def seen(t: Tables, *classes: str) -> int:
        return int((t["visits"]["point"].eq(expert) & t["visits"]["cls"].isin(classes)).sum())

    used = total("slots_monthly", "used_held", department="medicine_expert")
    assert used(high) > 20 > used(low) == 0
    assert total("slots_monthly", "used_held")(high) == used(high), "ordinary clinics have a quota of their own"
    assert seen(high, *REFERRED) > 1.5 * seen(low, *REFERRED) > 20
    assert seen(high, *OTHERS) < seen(low, *OTHERS)


def test_held_expert_slots_change_nothing_where_they_are_not_scarce() -> None:
    def town(settings: dict[str, Any]) -> Tables:
        facilities = towns.group_facilities()
        facilities[0]["clinics"][-1]["slots"] = towns.said(60)
        return towns.run(
            towns.group_town(35, settings={"up_referral.formal_share": 0.5, **settings}, facilities=facilities)
        )[0]

    low, high = town({}), town({"expert_quota.held_for_referral": "1/4"})
    assert high["slots_monthly"].query("department == 'general_expert'")["held"].sum() > 100
    for name in ("waits_days", "needs_monthly"):
        pd.testing.assert_frame_equal(low[name], high[name], check_exact=True)


def days_to_exam(*classes: str) -> Callable[[Tables], float]:
    """Mean days to CT; who is refused has waited as long as patience lasts. Members' orders count as referred."""

    def read(t: Tables) -> float:
        waits, orders = (
            x[x["cls"].isin(classes) & x["department"].eq("imaging_ct")]
            for x in (t["imaging_days"], t["imaging_monthly"])
        )
        assert orders["requests"].sum() >= 20, "too few patients to say"
        refused = orders["refused"].sum() * _example().choice.booking_patience.value
        return float(((waits["days"] * waits["patients"]).sum() + refused) / orders["requests"].sum())

    return read


def test_held_exam_slots() -> None:
    expected = "referred patients wait fewer days for an exam, others more; nothing happens where slots are not scarce"
    assert EXPECTED["imaging_quota.held_for_referral"] == expected
    # two exams a session: a third of them, released on the day, wastes nearly as much as it keeps for the referred
    beside = {**CHANNEL, "slot_quota.released_days_before": 0}
    low, high = both("imaging_quota.held_for_referral", 0.0, "1/2", beside, replications=8)
    used = total("imaging_monthly", "booked_held", department="imaging_ct")
    assert used(low) == 0 < used(high)
    assert days_to_exam(*REFERRED)(high) < days_to_exam(*REFERRED)(low)
    assert days_to_exam(*OTHERS)(high) > days_to_exam(*OTHERS)(low)


def test_held_exam_slots_change_nothing_where_they_are_not_scarce() -> None:
    def town(settings: dict[str, Any]) -> Tables:
        facilities = towns.group_facilities()
        facilities[0] |= towns.imaging(ct=60, mr=60)
        return towns.run(
            towns.group_town(35, settings={"up_referral.formal_share": 0.5, **settings}, facilities=facilities)
        )[0]

    low, high = town({}), town({"imaging_quota.held_for_referral": "1/4"})
    assert high["slots_monthly"].query("department.str.startswith('imaging')")["held"].sum() > 0
    for name in ("imaging_days", "needs_monthly"):
        pd.testing.assert_frame_equal(low[name], high[name], check_exact=True)


# --------------------------------------------------------------------------------------------------------------- beds


def test_held_beds() -> None:
    expected = "referred patients wait less for a bed, others more; occupancy falls where beds are scarce"
    assert EXPECTED["bed_quota.held_for_referral"] == expected
    low, high = both("bed_quota.held_for_referral", 0.0, "1/2", CHANNEL, replications=8)
    assert total("beds_monthly", "used_held")(high) > 10
    assert hours_to_bed(*REFERRED)(high) < hours_to_bed(*REFERRED)(low)
    assert hours_to_bed(*OTHERS)(high) > hours_to_bed(*OTHERS)(low)


def test_release_of_held_beds() -> None:
    assert (
        EXPECTED["bed_quota.released_after_hours"] == "later release lowers occupancy and lengthens the wait of others"
    )
    early, late = both("bed_quota.released_after_hours", 24.0, 240.0, {**CHANNEL, "bed_quota.held_for_referral": "1/2"})
    occupied = total("beds_monthly", "occupied_days", facility="lead_hospital")
    assert occupied(late) < occupied(early)
    assert hours_to_bed(*OTHERS)(late) > hours_to_bed(*OTHERS)(early)


@pytest.mark.parametrize("kind", ["partition", "protect"])
def test_kinds_of_bed_quota(kind: str) -> None:
    assert EXPECTED["bed_quota.kind"] == (
        "where beds are scarce, others wait longer for a bed under partition or protection than under release, "
        "and occupancy falls"
    )
    beside = {**CHANNEL, "bed_quota.held_for_referral": "1/4"}
    release, other = both("bed_quota.kind", "release", kind, beside, replications=4)
    occupied = total("beds_monthly", "occupied_days", facility="lead_hospital")
    assert occupied(other) < occupied(release)
    assert hours_to_bed("other")(other) > hours_to_bed("other")(release)


# ----------------------------------------------------------------------------------------------------------- priority


def test_priority() -> None:
    assert (
        EXPECTED["priority.referred_contracted"]
        == "referred contracted residents wait less, everybody else slightly more"
    )
    everybody_signed = {**CHANNEL, "up_referral.formal_share": 1.0, "contracts.coverage": 1.0, "contracts.used": 1.0}
    # those first in line get the few places with an expert, which may be later ones: so without experts
    low, high = both("priority.referred_contracted", False, True, everybody_signed, replications=6, experts=False)
    first = "referred_contracted"
    assert days_waited(first)(high) < days_waited(first)(low)
    assert days_waited(*OTHERS)(high) > days_waited(*OTHERS)(low)


# -------------------------------------------------------------------------------------------------------- up-referral


def formal(status: str) -> Callable[[Tables], float]:
    return total("referrals_monthly", "referrals", direction="up", channel="formal", status=status)


def test_formal_channel() -> None:
    assert EXPECTED["up_referral.formal_share"] == "formal up-referrals and the use of held slots and beds rise"
    held = {
        "slot_quota.held_for_referral": "1/3",
        "slot_quota.released_days_before": 0,
        "bed_quota.held_for_referral": "1/2",
    }
    low, high = both("up_referral.formal_share", 0.06, 0.6, held)
    assert formal("completed")(high) > 5 * formal("completed")(low) > 0
    assert total("slots_monthly", "used_held")(high) > total("slots_monthly", "used_held")(low)
    assert total("beds_monthly", "used_held")(high) > total("beds_monthly", "used_held")(low)


def test_acceptance() -> None:
    assert EXPECTED["up_referral.accepted"] == "completed up-referrals rise, declined ones fall"
    low, high = both("up_referral.accepted", 0.5, 1.0, CHANNEL)
    assert formal("completed")(high) > 1.5 * formal("completed")(low)
    assert formal("declined")(high) == 0 < formal("declined")(low)


def test_platform_delay() -> None:
    assert EXPECTED["up_referral.platform_delay_days"] == "a longer delay lengthens the way to care"
    low, high = both("up_referral.platform_delay_days", 0.0, 5.0, CHANNEL)

    def way(t: Tables) -> float:
        """Days from the visit that sent the patient up to the visit that completes the referral."""
        referrals = t["referrals"].query("direction == 'up' and channel == 'formal' and status == 'completed'")
        sent = t["visits"][["replication", "episode", "facility", "end"]].rename(columns={"facility": "from_facility"})
        both_ends = referrals.merge(sent, on=["replication", "episode", "from_facility"]).query("end <= time")
        last = both_ends.sort_values("end").drop_duplicates(["replication", "episode", "time"], keep="last")
        assert len(last) > 100
        return float(((last["time"] - last["end"]) / DAY).mean())

    assert way(high) > way(low) + 2


# ------------------------------------------------------------------------------------------------------ down-referral


def test_down_referral_proposed() -> None:
    expected = "stay at the lead hospital falls, stay per episode rises slightly, beds below fill"
    assert EXPECTED["down_referral.proposed"] == expected
    low, high = both("down_referral.proposed", 0.0, 0.9, CHANNEL)
    lead = {"facility": "lead_hospital"}
    assert nights(high, "nights", "discharges", **lead) < nights(low, "nights", "discharges", **lead) - 0.2
    assert nights(high, "episode_nights", "episodes") > nights(low, "episode_nights", "episodes") - 0.1
    assert _below(high) > _below(low)


def test_down_referral_consented() -> None:
    assert EXPECTED["down_referral.consented"] == "down-referrals rise"
    low, high = both("down_referral.consented", 0.3, 1.0, {**CHANNEL, "down_referral.proposed": 0.9})
    down = total("referrals_monthly", "referrals", direction="down")
    assert down(high) > 1.5 * down(low) > 0


def _below(t: Tables) -> float:
    beds = t["beds_monthly"]
    return float(beds.loc[beds["ward"].str.endswith("step_down"), "occupied_days"].sum())


# ---------------------------------------------------------------------------------------------------------- day cases


def test_day_care() -> None:
    """Both signs of the stay: short stays become shorter still, or leave."""
    assert EXPECTED["day_care.share"] == (
        "beds are used less and planned patients wait less for one; the average length of stay falls where a day case "
        "counts as a day, and rises where day cases are left out"
    )
    low, high = both("day_care.share", 0.0, 1.0, replications=8)
    lead = {"facility": "lead_hospital"}
    cases, occupied = total("stays_monthly", "day_cases", **lead), total("beds_monthly", "occupied_days", **lead)

    def stay_of_others(t: Tables) -> float:
        others = (total("stays_monthly", x, **lead)(t) - cases(t) for x in ("nights", "discharges"))
        return next(others) / next(others)

    assert cases(low) == 0
    assert cases(high) > 30
    assert occupied(high) < 0.99 * occupied(low)
    assert hours_to_bed("other")(high) < hours_to_bed("other")(low)
    assert nights(high, "nights", "discharges", **lead) < nights(low, "nights", "discharges", **lead) - 0.1
    assert stay_of_others(high) > stay_of_others(low) + 0.1


# ---------------------------------------------------------------------------------------------------- what is shared


def test_gate() -> None:
    assert EXPECTED["first_contact.gate"] == "the grassroots share of visits rises, and up-referrals with it"
    low, high = both("first_contact.gate", [], ["hypertension", "lung"], CHANNEL)
    assert grassroots_share(high) > grassroots_share(low) + 0.01
    assert formal("completed")(high) > formal("completed")(low)
    first = high["visits"].sort_values("time").drop_duplicates(["replication", "episode"])
    lung = first.query("condition == 'lung'")
    near = lung["facility"].str.contains("centre|station|village|clinic")
    assert len(lung) > 50
    assert near.mean() > 0.95, "who found no place at the grassroots may try elsewhere; nobody else"


def grassroots_share_in(area: str, t: Tables) -> float:
    """The same of residents of one area; they stand area by area."""
    residents = {name: count.value for name, count in sorted(_example().population.residents.items())}
    first = sum(number for name, number in residents.items() if name < area)
    return grassroots_of(t["visits"][t["visits"]["person"].between(first, first + residents[area] - 1)])


def grassroots_of(visits: pd.DataFrame) -> float:
    """Of visits as rows, the share to grassroots institutions."""
    first = visits[visits["kind"] != "return"]
    return float(first["facility"].str.contains("centre|station|village|clinic").mean())


def test_contracts_by_area() -> None:
    expected = "the grassroots share of visits rises, among the area's residents alone"
    assert EXPECTED["contracts.coverage_in"] == expected
    low, high = both("contracts.coverage_in", {"valley": 0.0}, {"valley": 1.0}, CHANNEL)
    few, many = ({area: grassroots_share_in(area, t) for area in ("town", "valley")} for t in (low, high))
    assert many["valley"] > few["valley"] + 0.02
    assert abs(many["town"] - few["town"]) < 0.005, "only what the valley leaves free or fills reaches the town"
    assert grassroots_share(high) > grassroots_share(low)


def test_contracts_of_the_key_population() -> None:
    assert EXPECTED["contracts.coverage_key"] == "the grassroots share of visits rises"
    low, high = both("contracts.coverage_key", 0.0, 1.0, CHANNEL)
    assert grassroots_share(high) > grassroots_share(low) + 0.005


def test_contracts_that_are_used() -> None:
    assert EXPECTED["contracts.used"] == "the grassroots share of visits rises"
    low, high = both("contracts.used", 0.1, 1.0, CHANNEL)
    assert grassroots_share(high) > grassroots_share(low) + 0.005


HELPED = "up-referrals and visits to hospitals fall, the grassroots share rises"
hospital_visits = total("visits_monthly", "visits", level="tertiary")


@pytest.mark.parametrize(
    ("lever", "counted"), [("shared.remote_consultation", "remote"), ("shared.specialist_settles", "specialist")]
)
def test_specialists_settle_needs_below(lever: str, counted: str) -> None:
    assert EXPECTED["shared.remote_consultation"] == EXPECTED["shared.specialist_settles"] == HELPED
    low, high = both(lever, 0.0, 0.5, CHANNEL)
    helped = total("helped_monthly", counted)
    assert helped(low) == 0
    assert helped(high) > 100
    assert formal("completed")(high) < formal("completed")(low)
    assert hospital_visits(high) < hospital_visits(low)
    assert grassroots_share(high) > grassroots_share(low)


def test_specialists_away() -> None:
    assert EXPECTED["shared.specialists_away"] == "waits at the lead hospital rise"
    low, high = both("shared.specialists_away", 0, "1/4")

    def offered(t: Tables, imaging: bool) -> float:
        slots = t["slots_monthly"].query("facility == 'lead_hospital'")
        return float(slots.loc[slots["department"].str.startswith("imaging") == imaging, "offered"].sum())

    assert offered(high, False) == pytest.approx(0.75 * offered(low, False), rel=0.03)
    assert offered(high, True) == offered(low, True) > 0
    assert days_waited("other")(high) > days_waited("other")(low)


def test_joint_clinics() -> None:
    assert EXPECTED["shared.joint_clinics"] == (
        "visits for specialist care move from hospitals to the grassroots, whose share rises; waits at the lead "
        "hospital's clinics of that department lengthen where they are scarce"
    )
    low, high = both("shared.joint_clinics", 0, 1, CHANNEL)
    slots = {
        name: total("slots_monthly", "offered", department=name, facility=place)
        for name, place in (("medicine", "lead_hospital"), ("medicine_joint", "valley_centre"))
    }
    seen = total("helped_monthly", "joint")
    assert seen(low) == slots["medicine_joint"](low) == 0
    assert 50 < seen(high) <= slots["medicine_joint"](high)
    assert slots["medicine"](high) < slots["medicine"](low)
    assert hospital_visits(high) < hospital_visits(low)
    assert formal("completed")(high) < formal("completed")(low)
    assert grassroots_share(high) > grassroots_share(low) + 0.005
    assert days_waited("other")(high) > days_waited("other")(low) + 0.2


def test_joint_wards() -> None:
    assert EXPECTED["shared.joint_wards"] == (
        "admissions of grassroots institutions rise, occupancy of the lead hospital falls where its beds are scarce"
    )
    low, high = both("shared.joint_wards", 0, 1, CHANNEL | {"down_referral.proposed": 1.0})
    ended = {
        how: total("stays_monthly", "discharges", ward="medicine_joint", entry=how) for how in ("other", "step_down")
    }
    nights = {what: total("beds_monthly", f"{what}_days", facility="lead_hospital") for what in ("bed", "occupied")}
    below = total("stays_monthly", "discharges", level="centre")
    assert ended["other"](low) == ended["step_down"](low) == 0
    assert ended["other"](high) > 30
    assert ended["step_down"](high) > 5
    assert below(high) > below(low) + 40
    assert nights["bed"](high) == nights["bed"](low)
    assert nights["occupied"](high) < 0.95 * nights["occupied"](low)
    assert formal("completed")(high) < formal("completed")(low)
    run = total("beds_monthly", "bed_days", ward="medicine_joint")
    half = example(CHANNEL | {"down_referral.proposed": 1.0, "shared.joint_wards": 0.3})
    assert (run(low), run(half)) == (0, run(high) / 4), "a quarter of four beds: 1.2, rounded"


# ------------------------------------------------------------------------------------------------- long-term patients


def long_term(level: str = "") -> Callable[[Tables], float]:
    """Visits of long-term patients."""

    def read(t: Tables) -> float:
        level_of = t["visits_monthly"].drop_duplicates("facility").set_index("facility")["level"]
        rows = t["visits"][t["visits"]["condition"].isin(LONG_TERM)]
        return float(len(rows) if not level else rows["facility"].map(level_of).eq(level).sum())

    return read


LONG_TERM = ("hypertension", "diabetes", "heart_lung_chronic", "refill")


def test_long_term_patients_sent_down() -> None:
    expected = "visits of long-term patients move from hospitals to the grassroots, whose share rises"
    assert EXPECTED["chronic.sent_down"] == expected
    low, high = both("chronic.sent_down", 0.0, 0.8)
    assert total("helped_monthly", "handed_down")(high) > 50 > total("helped_monthly", "handed_down")(low) == 0
    assert long_term("tertiary")(high) < 0.9 * long_term("tertiary")(low)
    assert grassroots_share(high) > grassroots_share(low) + 0.005


def test_long_prescriptions() -> None:
    assert EXPECTED["chronic.long_prescription"] == "visits of long-term patients fall"
    low, high = both("chronic.long_prescription", 0.0, 0.6)
    assert long_term()(high) == pytest.approx((1 - 0.6 / 2) * long_term()(low), rel=0.05)
    needs, worse = total("needs_monthly", "needs"), total("needs_monthly", "exacerbations")
    assert needs(high) - worse(high) == needs(low) - worse(low)


def test_chronic_care_centres() -> None:
    expected = "missed follow-ups and exacerbations fall, follow-ups move from hospitals to the grassroots"
    assert EXPECTED["chronic.care_centre"] == expected
    low, high = both("chronic.care_centre", 0.0, 0.8)
    missed, worse = total("needs_monthly", "missed"), total("needs_monthly", "exacerbations")
    assert missed(high) < 0.7 * missed(low)
    assert worse(high) < worse(low)
    assert long_term("tertiary")(high) < 0.7 * long_term("tertiary")(low)
    assert grassroots_share(high) > grassroots_share(low) + 0.01


def test_follow_ups_on_the_internet() -> None:
    expected = "outpatient visits of hospitals in person fall, and so do waits there"
    assert EXPECTED["chronic.internet"] == expected
    low, high = both("chronic.internet", 0.0, 0.8)
    in_person = total("visits_monthly", "visits", facility="lead_hospital", kind="outpatient")
    online = total("visits_monthly", "visits", kind="internet")
    assert online(high) > 200 > online(low) == 0
    assert in_person(high) < 0.9 * in_person(low)
    assert days_waited("other")(high) < days_waited("other")(low)


def test_refills_at_the_grassroots() -> None:
    assert EXPECTED["chronic.refill_at_grassroots"] == "visits to hospitals fall, the grassroots share rises"
    low, high = both("chronic.refill_at_grassroots", 0.0, 0.8)
    assert hospital_visits(high) < hospital_visits(low)
    assert grassroots_share(high) > grassroots_share(low)


# ------------------------------------------------------------------------------- exams, emergencies, Chinese medicine


def test_recognition_of_results() -> None:
    assert EXPECTED["exams.recognised"] == "repeated exams fall"
    low, high = both("exams.recognised", 0.0, 0.8, CHANNEL)
    repeated, recognised = total("exams_monthly", "repeated"), total("exams_monthly", "recognised")
    assert recognised(low) == 0 < recognised(high)
    assert repeated(high) < 0.5 * repeated(low)


def test_exams_read_remotely() -> None:
    assert EXPECTED["exams.read_remotely"] == (
        "up-referrals and exams at hospitals fall, the grassroots share and the time spent there rise"
    )
    beside = {**CHANNEL, "exams.recognised": 0.8}
    low, high = both("exams.read_remotely", 0.0, 1.0, beside)
    read, settled = total("exams_monthly", "read_remotely"), total("helped_monthly", "by_reading")
    at_hospital = total("exams_monthly", "made", level="tertiary")

    def minutes_below(t: Tables) -> float:
        rows = t["visits"][t["visits"]["facility"].str.contains("centre|station|village|clinic")]
        return float((rows["end"] - rows["time"]).mean())

    assert read(low) == settled(low) == 0
    assert read(high) > 100
    assert settled(high) > 10
    assert formal("completed")(high) < formal("completed")(low)
    assert at_hospital(high) < at_hospital(low)
    assert grassroots_share(high) > grassroots_share(low)
    assert minutes_below(high) > minutes_below(low) + 5
    # exams follow the patient up: what is recognised or trusted is spared there, the rest is repeated
    for brought in ("recognised", "trusted", "repeated"):
        assert total("exams_monthly", brought)(high) > total("exams_monthly", brought)(low)


def test_rescue_centres() -> None:
    expected = "emergency visits at the lead hospital rise, transfers between emergency departments fall"
    assert EXPECTED["emergency.rescue_bypass"] == expected
    low, high = both("emergency.rescue_bypass", 0.0, 0.9)

    def emergencies(t: Tables) -> float:
        return total("visits_monthly", "visits", facility="lead_hospital", kind="emergency")(t)

    def transfers(t: Tables) -> int:
        seen = t["visits"].query("kind == 'emergency' and condition in @RESCUED")
        return int(seen.groupby(["replication", "episode"])["facility"].nunique().gt(1).sum())

    assert emergencies(high) > emergencies(low)
    assert transfers(high) < transfers(low)


def test_fewer_rescue_centres() -> None:
    assert EXPECTED["emergency.rescue_centres"] == "with fewer centres emergency visits at the lead hospital fall"
    few, every = both("emergency.rescue_centres", ["stroke"], list(RESCUE_CENTRES), {"emergency.rescue_bypass": 0.9})
    emergencies = total("visits_monthly", "visits", facility="lead_hospital", kind="emergency")
    assert emergencies(few) < emergencies(every)

    def strokes(t: Tables) -> list[float]:
        rows = t["visits"].query("kind == 'emergency' and facility == 'lead_hospital' and condition == 'stroke'")
        return sorted(rows["episode"])

    assert strokes(few) == strokes(every) != []


def test_tcm_halls() -> None:
    assert EXPECTED["tcm.halls"] == "the grassroots share of visits for these conditions rises"
    low, high = both("tcm.halls", 0.0, 100.0)

    def share(t: Tables, suited: bool) -> float:
        rows = t["visits"][t["visits"]["condition"].eq("tcm_complaint") == suited]
        return float(rows["facility"].str.contains("centre|station|village|clinic").mean())

    assert share(high, True) > share(low, True) + 0.02
    assert share(high, False) == pytest.approx(share(low, False), abs=0.005)


# ---------------------------------------------------------------------------------------------- ledger of money, alarms
#
# These levers reach nobody, so what is written down is an identity. Every bill is told anew, to the last fen, in
# test_accounts.py; here each lever is pulled alone.


@cache
def _bills(settings: str) -> Tables:
    beside: dict[str, Any] = {"shared.joint_clinics": 1.0, "shared.joint_wards": 1.0, "down_referral.proposed": 1.0}
    return towns.run(towns.group_town(28, settings=beside | json.loads(settings)))[0]


def bills(**settings: Any) -> Tables:
    """Tables of the group town under some levers (`group__lever`), visits and stays as without them."""
    found = _bills(json.dumps({name.replace("__", "."): value for name, value in settings.items()}, sort_keys=True))
    pd.testing.assert_frame_equal(found["visits"], _bills("{}")["visits"], check_exact=True)
    pd.testing.assert_frame_equal(found["stays"], _bills("{}")["stays"], check_exact=True)
    return found


def paid(t: Tables, column: str, **where: Any) -> float:
    """A sum of the bills, in fen."""
    return total("money_monthly", f"{column}_fen", **where)(t)


def test_listed_conditions_are_paid_as_at_the_lowest_level_that_treats_them() -> None:
    assert EXPECTED["payment.same_disease"].startswith("ledger: such a stay is paid as at the lowest level")
    plain, alike = bills(), bills(payment__same_disease=["lung", "bone", "urgent"])
    assert paid(alike, "cost") == paid(plain, "cost")
    for place, changes in (("lead", True), ("member", False)):
        gap = [paid(t, "fund", facility=place) + paid(t, "own", facility=place) - paid(t, "cost", facility=place)
               for t in (plain, alike)]  # fmt: skip
        assert gap[0] == 0
        assert (gap[1] < 0) == changes
        assert changes or gap[1] == 0


def test_points_share_out_what_the_fund_pays() -> None:
    assert EXPECTED["payment.points"].startswith("ledger: what the fund pays in all stays the same")
    by_points = bills(payment__points=True)
    assert paid(by_points, "payment") == paid(bills(), "payment") == paid(by_points, "fund")
    assert paid(by_points, "payment", facility="lead") < paid(by_points, "fund", facility="lead")  # the dearest cases


def test_a_joint_clinic_and_a_joint_ward_cost_what_the_place_takes() -> None:
    assert EXPECTED["payment.fee_follows_place"].startswith("ledger: they cost the place's fee")
    lead, place = bills(), bills(payment__fee_follows_place=True)
    clinics = [t["money_monthly"].query("service == 'joint'").sum(numeric_only=True) for t in (lead, place)]
    assert [c["cost_fen"] / c["cases"] for c in clinics] == [15_000, 13_000]  # tertiary, community
    assert [c["top_up_fen"] / c["cases"] for c in clinics] == [0, 200]
    stays = [paid(t, "cost", service="stay", facility="valley-centre") for t in (lead, place)]
    assert stays[1] < stays[0]
    assert paid(place, "cost", facility="lead") == paid(lead, "cost", facility="lead")


def test_who_steps_down_pays_no_second_deductible() -> None:
    """Nobody steps down more here, where everybody consents (the last tests of money are about those who act)."""
    expected = "down-referrals rise; patients who step down pay less, the fund more"
    assert EXPECTED["insurance.continuous_deductible"] == expected
    new, goes_on = bills(), bills(insurance__continuous_deductible=True)
    assert paid(goes_on, "cost") == paid(new, "cost")
    less = paid(new, "own") - paid(goes_on, "own")
    assert less == paid(goes_on, "fund") - paid(new, "fund") > 0
    assert paid(goes_on, "deductible", facility="lead") == paid(new, "deductible", facility="lead")
    assert paid(goes_on, "deductible", facility="valley-centre") < paid(new, "deductible", facility="valley-centre")


def test_the_fund_pays_another_share_of_stays() -> None:
    assert EXPECTED["insurance.stay_share"] == (
        "ledger: where the fund pays a larger share of stays, patients pay less of them and the fund more"
    )
    before, after = bills(), bills(insurance__stay_share={"tertiary": 0.9})
    assert paid(after, "cost") == paid(before, "cost")
    gains = {p: paid(after, "fund", payer=p) - paid(before, "fund", payer=p) for p in ("residents", "employees")}
    assert min(gains.values()) > 0
    assert sum(gains.values()) == paid(before, "own") - paid(after, "own")
    assert paid(after, "fund", facility="member") == paid(before, "fund", facility="member")
    lead = {"facility": "lead", "service": "stay", "payer": "residents"}
    above = 0.9 * paid(after, "cost", **lead) - paid(after, "deductible", **lead)  # nine tenths are in the catalogue
    assert paid(after, "fund", **lead) == pytest.approx(0.9 * above, rel=1e-5)


def _budget(**more: float) -> dict[str, Any]:
    (told,) = bills(**{"budget__per_head": more.pop("per_head", 9000.0), **more})["budgets"].to_dict("records")
    return told


def test_a_budget_is_spent_wherever_its_residents_go() -> None:
    assert EXPECTED["budget.per_head"].startswith("ledger: budget = spent + balance; care outside the group is spent")
    told, money = _budget(), bills()["money_monthly"]
    spent = told["spent_group_fen"] + told["spent_elsewhere_fen"] + told["spent_outside_fen"]
    assert spent == money["fund_fen"].sum()
    assert told["spent_outside_fen"] == money.loc[money["facility"].eq("outside"), "fund_fen"].sum() > 0
    assert told["budget_fen"] == spent + told["balance_fen"] == pytest.approx(100 * 9000 * 2000 * 28 / 366, abs=1)
    assert bills()["budgets"].empty


def test_a_surplus_is_kept_and_an_overrun_borne_in_part() -> None:
    assert EXPECTED["budget.surplus_kept"] == "ledger: the group keeps this share of a surplus, the fund the rest"
    assert EXPECTED["budget.overrun_shared"] == "ledger: the group pays this share of an overrun, the fund the rest"
    much, little = (_budget(per_head=x, budget__surplus_kept=0.6, budget__overrun_shared=0.2) for x in (90_000.0, 10.0))
    assert much["kept_fen"] == round(0.6 * much["balance_fen"]) > 0
    assert much["kept_fen"] + much["returned_fen"] == much["balance_fen"]
    assert little["borne_fen"] == round(-0.2 * little["balance_fen"]) > 0
    assert little["borne_fen"] + little["covered_fen"] == -little["balance_fen"]
    assert much["borne_fen"] == much["covered_fen"] == little["kept_fen"] == little["returned_fen"] == 0


def test_public_health_money_is_packed_with_the_budget() -> None:
    assert EXPECTED["budget.public_health_per_head"].startswith("ledger: the account has so much more")
    alone, packed = _budget(), _budget(budget__public_health_per_head=60.0)
    assert packed["public_health_fen"] == pytest.approx(100 * 60 * 2000 * 28 / 366, abs=1)
    assert packed["balance_fen"] - alone["balance_fen"] == packed["public_health_fen"]


def test_a_price_review_changes_what_care_costs() -> None:
    """In a town where a visit has no price of its own for patients, so nobody goes elsewhere."""
    assert EXPECTED["prices.visit_factor"].startswith("the cost of visits there changes by this factor; ")
    assert EXPECTED["prices.stay_factor"] == "ledger: the cost of stays there changes by this factor"
    plain = bills()
    visits, stays = bills(prices__visit_factor={"tertiary": 1.1}), bills(prices__stay_factor={"tertiary": 0.9})
    for t, service, factor in ((visits, "visit", 1.1), (stays, "stay", 0.9)):
        costs = [paid(x, "cost", facility="lead", service=service) for x in (plain, t)]
        assert costs[1] == pytest.approx(factor * costs[0], rel=1e-6)
        assert paid(t, "cost", facility="member") == paid(plain, "cost", facility="member")
    assert paid(visits, "cost", service="stay") == paid(plain, "cost", service="stay")


def test_alarms_tell_of_what_is_above_a_threshold() -> None:
    assert EXPECTED["alarms.outside_share"].startswith("alarm: told for each month in which more of the fund's money")
    assert EXPECTED["alarms.fund_use"].startswith("alarm: told for each month by whose end more than this share")
    low = bills(alarms__outside_share=0.001, alarms__fund_use=0.1, budget__per_head=9000.0)["alarms"]
    high = bills(alarms__outside_share=0.9, alarms__fund_use=50.0, budget__per_head=9000.0)["alarms"]
    assert low["alarm"].tolist() == ["outside_share", "fund_use"]
    assert high.empty
    told = _budget()
    assert low["value"].iloc[1] == (told["budget_fen"] - told["balance_fen"]) / told["budget_fen"]


def test_growth_is_over_the_same_month_of_the_year_before() -> None:
    """The second January under fees that are a tenth higher; the first has nothing before it."""
    assert EXPECTED["alarms.cost_growth"].startswith(
        "alarm: told for each month in which the cost of a grid's residents"
    )
    case = towns.clinic_town(6.0, 31 + 366, settings={"alarms.cost_growth": 0.5})
    dearer = case.policy.amended(towns.policy({"prices.visit_factor": {"tertiary": 2.0}}, date(2025, 1, 1)))
    (alarm,) = towns.run(replace(case, policy=dearer, record="days"))[0]["alarms"].to_dict("records")
    assert alarm["date"] == pd.Timestamp(2025, 1, 31)
    assert 0.6 < alarm["value"] < 1.6


# ---------------------------------------------------------------------------------------------------------- capability


def test_standards() -> None:
    assert EXPECTED["capability.standard"] == HELPED
    all_of_them = {"basic": 1.0, "recommended": 1.0, "community_hospital": 1.0}
    low, high = both("capability.standard", {}, all_of_them, CHANNEL)
    settled = total("helped_monthly", "within_reach")
    assert settled(low) == 0
    assert settled(high) > 30
    assert formal("completed")(high) < formal("completed")(low)
    assert hospital_visits(high) < hospital_visits(low)
    assert grassroots_share(high) > grassroots_share(low)
    emergencies = total("visits_monthly", "visits", kind="emergency", level="centre")
    assert emergencies(high) == emergencies(low) == 0


FEATURES = {"town_centre": ("bone", "minor_injury", "muscle_joint", "surgical"), "valley_centre": ("tcm_complaint",)}
"""Conditions of the feature departments of the example."""


def test_feature_departments() -> None:
    assert EXPECTED["capability.feature_departments"] == (
        "visits for the department's conditions move to these centres, whose share of them rises; some of their needs "
        "beyond the place are met there"
    )
    low, high = both("capability.feature_departments", 0.0, 1.0, CHANNEL)

    def share(t: Tables, centre: str, *conditions: str) -> float:
        rows = t["visits"][t["visits"]["condition"].isin(conditions) & t["visits"]["kind"].eq("outpatient")]
        assert len(rows) > 100
        return float(rows["facility"].eq(centre).mean())

    for centre, conditions in FEATURES.items():
        assert share(high, centre, *conditions) > share(low, centre, *conditions) + 0.02
        others = set(low["visits"]["condition"]) - {*conditions, *RESCUED, "critical"}
        assert share(high, centre, *others) < share(low, centre, *others) + 0.02
    assert total("helped_monthly", "within_reach")(high) > 0 == total("helped_monthly", "within_reach")(low)
    told = high["features_monthly"].groupby("facility")[["visits", "feature_visits"]].sum()
    assert set(told.index) == set(FEATURES)
    assert (told["feature_visits"] < told["visits"]).all()
    assert total("features_monthly", "visits")(low) == 0


def test_sub_centres() -> None:
    expected = "visits and admissions of these centres rise, up-referrals and visits to hospitals fall"
    assert EXPECTED["capability.sub_centres"] == expected
    low, high = both("capability.sub_centres", [], ["valley_centre"], CHANNEL)
    visits = total("visits_monthly", "visits", facility="valley_centre")
    discharges = total("stays_monthly", "discharges", facility="valley_centre")
    beds = total("beds_monthly", "bed_days", facility="valley_centre", ward="general")
    assert visits(high) > 1.02 * visits(low)
    assert discharges(high) > 1.1 * discharges(low)
    assert beds(high) == 2 * beds(low)
    assert formal("completed")(high) < formal("completed")(low)
    assert hospital_visits(high) < hospital_visits(low)


def test_beds_turned_into_beds_below() -> None:
    assert EXPECTED["transformation.beds"] == (
        "patients wait less for a bed below and more of them step down; others wait longer for the acute beds that are "
        "left where these are scarce"
    )
    low, high = both("transformation.beds", 0, "1/2", CHANNEL | {"down_referral.proposed": 1.0}, replications=4)
    beds = {
        name: total("beds_monthly", "bed_days", facility="member_hospital", ward=name)
        for name in ("general", "rehabilitation_step_down")
    }
    assert beds["general"](high) == pytest.approx(beds["general"](low) * 5 / 11)
    assert beds["rehabilitation_step_down"](high) == 3 * beds["rehabilitation_step_down"](low)

    def hours(t: Tables, facility: str, entry: str) -> float:
        rows = t["stays"][t["stays"]["facility"].eq(facility) & t["stays"]["entry"].eq(entry)]
        return float((rows["admitted"] - rows["requested"]).mean() / 60)

    down = total("stays_monthly", "stepped_down", facility="lead_hospital")
    assert down(high) > down(low)
    blocked = total("waits_step_down", "waited_minutes"), total("waits_step_down", "patients")
    assert blocked[0](high) / blocked[1](high) < blocked[0](low) / blocked[1](low)
    assert hours(high, "member_hospital", "other") > hours(low, "member_hospital", "other")


# --------------------------------------------------------------------------------------------------- villages and staff


def minutes_waited(*levels: str) -> Callable[[Tables], float]:
    """Mean minutes in the waiting rooms of these levels."""

    def read(t: Tables) -> float:
        rows = t["visits_monthly"]
        rows = rows[rows["level"].isin(levels) & rows["kind"].eq("outpatient")]
        return float(rows["wait_minutes"].sum() / rows["visits"].sum())

    return read


def visits_at(*levels: str) -> Callable[[Tables], float]:
    """Share of visits of these levels."""

    def read(t: Tables) -> float:
        visits = t["visits_monthly"].groupby("level")["visits"].sum()
        return float(visits[list(levels)].sum() / visits.sum())

    return read


def test_public_health_work_of_villages() -> None:
    assert EXPECTED["villages.public_health_share"] == (
        "waits at village stations rise and their share of visits falls slightly; waits at centres fall slightly"
    )
    low, high = both("villages.public_health_share", None, 0.5)
    below, above = minutes_waited("village_station"), minutes_waited("centre")
    done = total("public_health_monthly", "minutes", level="village_station"), total("public_health_monthly", "minutes")
    assert [part / whole for part, whole in ([x(t) for x in done] for t in (low, high))] == pytest.approx(
        [0.4, 0.5], abs=1e-3
    )
    assert done[1](high) == pytest.approx(done[1](low), rel=2e-3), "whole minutes of each day and clinic"
    assert below(high) > below(low) + 5
    assert above(high) < above(low)
    assert visits_at("village_station")(high) < visits_at("village_station")(low)


# --------------------------------------------------------------------------------------------------------- incentives


def test_incentives_to_propose_a_step_down() -> None:
    expected = "down-referrals rise, the stay at the lead hospital falls"
    assert EXPECTED["incentives.down_referral_gain"] == expected
    low, high = both("incentives.down_referral_gain", 0.0, 3.0, {**CHANNEL, "down_referral.proposed": 0.2})
    down = total("referrals_monthly", "referrals", direction="down")
    assert down(high) > 1.5 * down(low) > 0
    lead = {"facility": "lead_hospital"}
    assert nights(high, "nights", "discharges", **lead) < nights(low, "nights", "discharges", **lead) - 0.1


def test_incentives_to_use_the_formal_channel() -> None:
    expected = "formal up-referrals rise, patients who go up by themselves fall"
    assert EXPECTED["incentives.up_referral_gain"] == expected
    low, high = both("incentives.up_referral_gain", 0.0, 2.0, {"up_referral.formal_share": 0.06})
    alone = total("referrals_monthly", "referrals", direction="up", channel="self")
    assert formal("completed")(high) > 3 * formal("completed")(low) > 0
    assert alone(high) < alone(low)


def test_incentives_to_admit() -> None:
    """The target of visits per discharge comes nearer, and its guards tell how."""
    assert EXPECTED["incentives.admission_gain"] == (
        "admissions rise and outpatient visits per discharge fall, though nobody is iller; wards are fuller, and "
        "planned patients wait longer for a bed or find none"
    )
    low, high = both("incentives.admission_gain", 0.0, 1.0, CHANNEL)
    more, less, asked = (
        total(*what) for what in (("needs_monthly", "admitted_more"), ("needs_monthly", "admitted_less"), REQUESTS)
    )
    assert more(low) == less(low) == less(high) == 0
    assert asked(high) - asked(low) > 0.5 * more(high) > 30
    few, many = (told(t, "outpatient_per_discharge", "bed_occupancy", "admissions_without_need") for t in (low, high))
    assert many["outpatient_per_discharge"] < 0.9 * few["outpatient_per_discharge"]
    for worse in ("admissions_per_100_residents", "bed_wait_days", "unmet_need_share", "bed_occupancy"):
        assert many[worse] > few[worse], worse
    assert many["admissions_without_need"] > few["admissions_without_need"] == 0


REQUESTS = ("beds_monthly", "requests")


def told(t: Tables, target: str, *more: str) -> dict[str, float]:
    """A target, its guards and some more indicators, as a report has them; all replications as one."""
    tables = {name: table.assign(scenario="", replication=0) for name, table in t.items()}
    facilities, span = facility_table(_example().network), Span(date(2024, 2, 1), date(2024, 3, 31))
    found = measure(tables, facilities, residents=10_000, span=span)
    values = found[found["variant"].eq(HEADLINE)].set_index("indicator")["value"]
    return {name: float(values[name]) for name in (target, *CATALOGUE[target].guards, *more)}


# ------------------------------------------------------------------------------------------------------- an epidemic

EPIDEMIC = {"surge.needs": {"cold_fever": 2.0, "lung": 2.0}}
"""Twice as many colds and pneumonias, all quarter long."""


def mean_wait(t: Tables) -> float:
    """Mean minutes in waiting rooms."""
    return float((t["visits"]["begin"] - t["visits"]["time"]).mean())


def test_needs_of_an_epidemic() -> None:
    assert EXPECTED["surge.needs"] == (
        "visits and waits rise; where a queue is overloaded a backlog grows until the epidemic is over, and then goes"
    )
    low, high = both("surge.needs", {}, EPIDEMIC["surge.needs"])
    visits = total("visits_monthly", "visits")
    assert visits(high) > 1.1 * visits(low)
    assert mean_wait(high) > mean_wait(low)
    assert days_waited(*OTHERS)(high) > days_waited(*OTHERS)(low)
    # the backlog of an overloaded queue: test_surge.py


def test_other_needs_in_an_epidemic() -> None:
    expected = "the lower it is, the fewer visits and the more unmet need and missed follow-ups"
    assert EXPECTED["surge.other_needs"] == expected
    few, every = both("surge.other_needs", 0.5, 1.0, EPIDEMIC)
    assert total("visits_monthly", "visits")(few) < 0.9 * total("visits_monthly", "visits")(every)
    for lost in ("unmet", "missed"):
        assert total("needs_monthly", lost)(few) > 5 * total("needs_monthly", lost)(every)


def test_fever_clinics() -> None:
    assert EXPECTED["surge.fever_clinics"] == (
        "the grassroots share of visits for these conditions rises, waits at hospitals fall"
    )
    low, high = both("surge.fever_clinics", 0.0, 0.9, EPIDEMIC)

    def share(t: Tables, of_it: bool) -> float:
        rows = t["visits"][t["visits"]["condition"].isin(EPIDEMIC["surge.needs"]) == of_it]
        return float(rows["facility"].str.contains("centre|station|village|clinic").mean())

    assert share(high, True) > share(low, True) + 0.05
    assert share(high, False) == pytest.approx(share(low, False), abs=0.01)
    assert days_waited(*OTHERS)(high) < days_waited(*OTHERS)(low)


def test_planned_admissions_put_off() -> None:
    """From the middle of January to that of February."""
    assert EXPECTED["surge.planned_paused"] == (
        "fewer beds are taken while it is in force; planned patients wait longer, and some do without"
    )
    pause = towns.policy({"surge.planned_paused": 0.8}, date(2024, 1, 15))
    pause = pause.amended(towns.policy({"surge.planned_paused": 0.0}, date(2024, 2, 15)))
    low, high = (towns.run(replace(_example(), policy=policy))[0] for policy in (towns.policy(), pause))
    occupied = total("beds_monthly", "occupied_days", facility="lead_hospital", month="2024-02-01")
    assert occupied(high) < occupied(low)
    assert hours_to_bed("other")(high) > hours_to_bed("other")(low) + 24
    left = total("waits_bed", "left")
    assert left(high) > left(low)


def test_village_stations_integrated_with_their_township() -> None:
    assert EXPECTED["villages.integrated"] == (
        "up-referrals and visits to hospitals fall slightly, visits for prescriptions move from centres to village "
        "stations"
    )
    low, high = both("villages.integrated", 0.0, 1.0, CHANNEL)
    advised = total("helped_monthly", "advised")

    def refills(level: str) -> Callable[[Tables], int]:
        return lambda t: int(
            (t["visits"]["condition"].eq("refill") & t["visits"]["facility"].map(level_of(t)).eq(level)).sum()
        )

    assert advised(low) == 0
    assert advised(high) > 20
    assert formal("completed")(high) < formal("completed")(low)
    assert hospital_visits(high) < hospital_visits(low)
    assert refills("centre")(high) < 0.8 * refills("centre")(low)
    assert refills("village_station")(high) > refills("village_station")(low)


def level_of(t: Tables) -> pd.Series[str]:
    """Level of each facility to which anybody came."""
    return t["visits_monthly"].drop_duplicates("facility").set_index("facility")["level"]


def test_shared_doctors() -> None:
    """In `example` with centres that the same patients go to, one of them with one doctor and the other with three."""
    assert EXPECTED["staff.shared"] == "waits at centres fall where their loads are unequal"
    network, few = _example().network, towns.said
    doctors = {"town_centre": 1, "valley_centre": 3}
    uneven = [
        f.model_copy(
            update={
                "clinics": [
                    c.model_copy(update={"doctors": Count.model_validate(few(doctors[f.id]))}) if c.slots is None else c
                    for c in f.clinics
                ]
            }
        )
        if f.id in doctors
        else f
        for f in network.facilities
    ]

    def town(share: float) -> Tables:
        case = replace(_example(), network=network.model_copy(update={"facilities": uneven}))
        return towns.run(replace(case, policy=towns.policy({"staff.shared": share})))[0]

    low, high = town(0.0), town(0.5)
    assert total("posts_monthly", "went")(low) == 0 < total("posts_monthly", "went")(high)
    assert total("posts_monthly", "came")(high) == total("posts_monthly", "went")(high)
    assert minutes_waited("centre")(high) < 0.9 * minutes_waited("centre")(low)


# -------------------------------------------------------------------------------------------------------------- money


@pytest.mark.parametrize("shares", [{"village_station": 0.9, "township": 0.9, "community": 0.9}, {"tertiary": 0.1}])
def test_differential_reimbursement(shares: dict[str, float]) -> None:
    """More at the grassroots, or less at tertiary hospitals."""
    assert EXPECTED["insurance.visit_share"] == (
        "first contacts move to where the fund pays more: the grassroots share of visits rises where it pays more "
        "there or less at hospitals"
    )
    low, high = both("insurance.visit_share", {}, shares, CHANNEL)
    assert grassroots_share(high) > grassroots_share(low) + 0.01
    assert hospital_visits(high) < hospital_visits(low)


def test_what_has_become_dearer_is_chosen_less() -> None:
    assert EXPECTED["prices.visit_factor"].endswith("; first contacts leave what has become dearer")
    low, high = both("prices.visit_factor", {}, {"tertiary": 1.5}, CHANNEL)
    assert hospital_visits(high) < 0.97 * hospital_visits(low)
    assert grassroots_share(high) > grassroots_share(low) + 0.01


def test_no_new_deductible_makes_a_step_down_likelier() -> None:
    beside = {**CHANNEL, "down_referral.proposed": 0.9, "down_referral.consented": 0.3}
    low, high = both("insurance.continuous_deductible", False, True, beside)
    down = total("referrals_monthly", "referrals", direction="down")
    assert down(high) > 1.2 * down(low) > 0


def test_less_is_paid_without_a_referral() -> None:
    expected = "the grassroots share of visits rises and visits to hospitals fall; more patients go up, who began below"
    assert EXPECTED["insurance.without_referral"] == expected
    low, high = both("insurance.without_referral", 0.0, 0.3, {"up_referral.formal_share": 0.3})
    assert grassroots_share(high) > grassroots_share(low) + 0.01
    emergencies = total("visits_monthly", "visits", kind="emergency", level="tertiary")
    assert emergencies(high) == pytest.approx(emergencies(low), rel=0.05)
    assert hospital_visits(high) < hospital_visits(low)
    up = total("referrals_monthly", "referrals", direction="up", status="completed")
    assert up(high) > up(low)


def test_private_members() -> None:
    assert EXPECTED["private.members"] == (
        "formal up-referrals from these institutions rise, patients who simply go from them fall; those that are "
        "hospitals take referrals and step-downs of the group"
    )
    low, high = both("private.members", [], ["private_clinic-001", "private_clinic-002"], CHANNEL)
    formal_from, alone = (
        total("referrals_monthly", "referrals", channel=x, from_level="clinic", direction="up")
        for x in ("formal", "self")
    )
    assert formal_from(low) == 0 < formal_from(high)
    assert alone(high) < alone(low)


# ------------------------------------------------------------------------------------------------------ the whole plan


def test_quotas_and_priority_bind_in_the_example() -> None:
    """The plan of the example as it is written, one replication of its own assumptions: nothing in it is idle."""
    case = cases(sim.load("example"))["example_plan"]
    tables = towns.run(_in_the_quarter(case))[0]
    slots, beds = tables["slots_monthly"], tables["beds_monthly"]
    assert slots["held"].sum() > slots["used_held"].sum() > 0
    assert slots["released"].sum() > 0
    assert beds["used_held"].sum() > 0
    assert beds["released"].sum() > 0
    assert tables["stays_monthly"]["stepped_down"].sum() > 0
    assert set(tables["bookings_monthly"]["cls"]) == {"referred_contracted", "referred", "other"}


@pytest.mark.parametrize("seed", [3, 4])
def test_raising_adherence_never_sends_anybody_up(seed: int) -> None:
    """Luck belongs to the person: whose first door changes goes from a hospital to a grassroots institution."""

    def first_doors(adherence: float) -> pd.Series[str]:
        case = towns.group_town(7, seed, settings={"first_contact.adherence": adherence})
        visits = towns.run(case)[0]["visits"].sort_values("time")
        return visits.drop_duplicates("episode").set_index("episode")["facility"]

    low, high = first_doors(0.2), first_doors(0.6)
    same = low.index.intersection(high.index)
    moved = same[(low[same] != high[same]).to_numpy()]
    assert len(moved) > 20
    assert set(low[moved]) <= {"lead", "member"}
    assert set(high[moved]) <= {"station", "village-001", "village-002", "centre", "valley-centre"}
