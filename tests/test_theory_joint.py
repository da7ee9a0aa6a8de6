"""A joint ward, where its small Markov chain says how often it is full: two senders into one ward, and what overflows.

Centres of a group send to it, as a Poisson stream that is moved by the way there; who finds no bed goes to the lead
hospital if a bed is free there, else away. Some of the lead hospital's own patients step down to it. The lever runs a
part of its beds; the stay in it is that of the lead hospital. The rule of agreement stands in `agreement`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np

import towns
from agreement import Tables, disagreements
from chains import State, explored
from sim.care import LEVELS, ConditionSpec
from sim.model import Case
from test_theory_beds import EXPONENTIAL, MANY_DOCTORS, NOBODY_WAITS, asked, ill, lead_town, lost, occupied, place

JOINT_BEDS, LEAD_BEDS = 4, 5
RUN = {"shared.joint_wards": "1/3"}
"""Of eleven beds four are run: three and two thirds, rounded half up."""
CENTRES_STAY_LONGER = {level: towns.said(3.0 if level == "centre" else 1.0) for level in LEVELS[:-1]}
FIGURES = EXPONENTIAL | NOBODY_WAITS | {"stay_at": CENTRES_STAY_LONGER}
DIRECT, OWN = (10.0, 0.4), (16.0, 0.25)
"""Patients a day and their mean days: those of the centres, and those of the lead hospital."""


def facilities() -> list[towns.Data]:
    """A lead hospital and two centres, the joint ward at one of them."""
    lead = place("lead", "tertiary", LEAD_BEDS, role="lead", group="group")
    here, there = (place(name, "centre", role="member", group="group") for name in ("here", "there"))
    here["wards"] = [towns.ward(11, kind="joint")]
    return [lead | {"emergency": {"doctors": towns.said(MANY_DOCTORS)}}, here, there]


def test_two_centres_send_to_a_joint_ward_and_the_lead_hospital_takes_what_overflows() -> None:
    """States: theirs in the joint ward, theirs in the lead hospital, its own (Wilkinson 1956, unequal stays)."""
    (come, stay), (more, own_stay) = DIRECT, OWN

    def moves(state: State) -> Iterator[tuple[State, float]]:
        here, over, own = state
        if here < JOINT_BEDS:
            yield (here + 1, over, own), come
        elif over + own < LEAD_BEDS:
            yield (here, over + 1, own), come
        if over + own < LEAD_BEDS:
            yield (here, over, own + 1), more
        yield (here - 1, over, own), here / stay
        yield (here, over - 1, own), over / stay
        yield (here, over, own - 1), own / own_stay

    states, law = explored((0, 0, 0), moves)
    here, over, own = np.array(states).T
    expected = {
        "direct lost": float(law @ ((here == JOINT_BEDS) & (over + own == LEAD_BEDS))),
        "own lost": float(law @ (over + own == LEAD_BEDS)),
        "joint occupied": float(law @ here), "lead occupied": float(law @ (over + own)),
    }  # fmt: skip

    def case(seed: int, days: int) -> Case:
        return lead_town(days, seed, {"referred": DIRECT, "other": OWN}, facilities(), RUN, **FIGURES)

    def found(tables: Tables, days: int) -> dict[str, float]:
        stays = asked(tables, days)
        assert set(tables["stays"]["facility"]) == {"here", "lead", "outside"}
        return {
            "direct lost": lost(stays.query("condition == 'referred'")),
            "own lost": lost(stays.query("condition == 'other'")),
            "joint occupied": occupied(tables, days, "here"), "lead occupied": occupied(tables, days),
        }  # fmt: skip

    assert not disagreements(case, found, 75, expected)


def test_who_steps_down_and_who_is_sent_share_a_joint_ward() -> None:
    """The lead hospital's patients recover below, or in the bed that they block until there is one; nobody else waits.

    States: in the joint ward those sent and those who stepped down, in the lead hospital those sent, its own in their
    acute phase, and its own who are ready to leave.
    """
    (come, stay), (more, acute), recovery = DIRECT, OWN, 0.3
    own = ill("severe", acute, step_down=1.0, recovery=0.0, recovery_days=recovery, recovery_cv=1.0)

    def freed(state: State) -> State:
        """A bed of the joint ward is free; the first who blocks a bed of the lead hospital takes it."""
        sent, down, over, ill_, ready = state
        return (sent, down + 1, over, ill_, ready - 1) if ready else state

    def moves(state: State) -> Iterator[tuple[State, float]]:
        sent, down, over, ill_, ready = state
        full, lead_full = sent + down == JOINT_BEDS, over + ill_ + ready == LEAD_BEDS
        if not full:
            yield (sent + 1, down, over, ill_, ready), come
        elif not lead_full:
            yield (sent, down, over + 1, ill_, ready), come
        if not lead_full:
            yield (sent, down, over, ill_ + 1, ready), more
        after = (sent, down, over, ill_ - 1, ready + 1) if full else (sent, down + 1, over, ill_ - 1, ready)
        yield after, ill_ / acute
        yield freed((sent - 1, down, over, ill_, ready)), sent / stay
        yield freed((sent, down - 1, over, ill_, ready)), down / recovery
        yield (sent, down, over - 1, ill_, ready), over / stay
        yield (sent, down, over, ill_, ready - 1), ready / recovery

    states, law = explored((0, 0, 0, 0, 0), moves)
    sent, down, over, ill_, ready = np.array(states).T
    full = over + ill_ + ready == LEAD_BEDS
    expected = {
        "sent lost": float(law @ ((sent + down == JOINT_BEDS) & full)), "own lost": float(law @ full),
        "joint occupied": float(law @ (sent + down)), "lead occupied": float(law @ (over + ill_ + ready)),
        "blocked": float(law @ ready),
    }  # fmt: skip

    def case(seed: int, days: int) -> Case:
        settings = RUN | {"down_referral.proposed": 1.0, "down_referral.consented": 1.0}
        town = lead_town(days, seed, {"referred": DIRECT, "other": OWN}, facilities(), settings, **FIGURES)
        conditions = town.care.conditions | {"other": ConditionSpec.model_validate(own)}
        return replace(town, care=town.care.model_copy(update={"conditions": conditions}))

    def found(tables: Tables, days: int) -> dict[str, float]:
        stays = asked(tables, days).query("entry != 'step_down'")
        months = tables["beds_monthly"].query("month >= '2024-02-01' and facility == 'lead'")
        return {
            "sent lost": lost(stays.query("condition == 'referred'")),
            "own lost": lost(stays.query("condition == 'other'")),
            "joint occupied": occupied(tables, days, "here"), "lead occupied": occupied(tables, days),
            "blocked": float(months["blocked_hours"].sum() / 24 / (months["bed_days"].sum() / LEAD_BEDS)),
        }  # fmt: skip

    assert not disagreements(case, found, 75, expected)
