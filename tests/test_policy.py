"""Levers are declared once; a policy gives the rules of any day, neutral before the first date."""

from __future__ import annotations

from datetime import date
from fractions import Fraction
from pathlib import Path

import pytest

from sim.citation import draw, numbers
from sim.policy import GROUPS, NEUTRAL, FirstContact, LeverInfo, NotInForce, Policy, Rules, levers
from sim.schema import InputError, parse_yaml, validate

SIM = Path(__file__).parents[1] / "sim"

PLAN = """
slot_quota:
  held_for_referral:
    2024-06-30: {value: 1/3, unit: share of slots, source: {document: plan, clause: "1"}}
first_contact:
  adherence:
    2024-01-01: {value: 0.1, unit: share of residents, source: {assumption: a, range: [0, 0.2]}}
    2024-01-11: {value: 0.3, unit: share of residents, source: {assumption: a, range: [0.1, 0.6]}}
    ramp: linear
"""


def policy(text: str) -> Policy:
    return validate(Policy, *parse_yaml(text, "plan.yaml"))


def told(text: str) -> list[str]:
    with pytest.raises(InputError) as caught:
        policy(text)
    return [f"{problem.line} {problem.path}: {problem.text}" for problem in caught.value.problems]


# -------------------------------------------------------------------------------------------------------------- levers


def test_every_lever_says_all_that_people_ask_of_it() -> None:
    for lever in levers():
        english, chinese = (lever.title, lever.expected), (lever.title_zh, lever.expected_zh)
        assert all(text and text.isascii() for text in (lever.m, lever.unit, lever.through, *english)), lever.name
        assert not any(text.isascii() for text in chinese), lever.name
        assert lever.meaning.endswith("."), lever.name


def test_every_lever_names_a_room_that_exists() -> None:
    assert {lever.room for lever in levers()} <= {file.stem for file in SIM.glob("*.py")}


def test_neutral_values_lie_within_the_limits_of_their_lever() -> None:
    for lever in levers():
        if lever.neutral is not None and lever.low is not None:
            for _, value in numbers(lever.neutral):
                assert lever.low <= value <= (lever.high if lever.high is not None else float("inf")), lever.name


# --------------------------------------------------------------------------------------------------------------- rules


def test_without_a_policy_all_is_neutral() -> None:
    assert Policy().on(date(2024, 1, 1)) == NEUTRAL == Rules()
    assert Policy().dates() == []


def test_a_lever_is_neutral_before_its_date_and_in_force_on_it() -> None:
    plan = policy(PLAN)
    assert plan.on(date(2024, 6, 29)).slot_quota.held_for_referral == 0
    assert plan.on(date(2024, 6, 30)).slot_quota.held_for_referral == Fraction(1, 3)
    assert plan.on(date(2024, 6, 30)).bed_quota == NEUTRAL.bed_quota


def test_a_ramp_changes_the_rules_every_day() -> None:
    plan = policy(PLAN)
    assert plan.on(date(2024, 1, 6)).first_contact == FirstContact(adherence=0.2)
    assert plan.dates() == [date(2024, 1, day) for day in range(1, 12)] + [date(2024, 6, 30)]


def test_between_two_dates_the_rules_do_not_change() -> None:
    plan = policy(PLAN)
    for day in range(1, 31):
        here, before = date(2024, 6, day), date(2024, 6, max(day - 1, 1))
        assert (plan.on(here) == plan.on(before)) or here in plan.dates()


def test_people_are_told_when_a_lever_is_not_in_force() -> None:
    plan = policy(PLAN)
    assert plan.asked("slot_quota.held_for_referral", date(2024, 7, 1)) == Fraction(1, 3)
    with pytest.raises(NotInForce, match=r"held_for_referral is in force from 2024-06-30; 2023-05-01 is earlier\."):
        plan.asked("slot_quota.held_for_referral", date(2023, 5, 1))
    with pytest.raises(NotInForce, match=r"bed_quota\.held_for_referral is never in force"):
        plan.asked("bed_quota.held_for_referral", date(2025, 5, 1))
    with pytest.raises(InputError, match=r"Did you mean slot_quota\.held_for_referral\?"):
        plan.asked("slot_quota.held_for_referal", date(2025, 5, 1))


def test_amending_changes_dates_and_keeps_the_rest() -> None:
    change = policy(
        "slot_quota:\n"
        "  held_for_referral:\n"
        '    2024-06-30: {value: 1/5, unit: share of slots, source: {document: plan, clause: "2"}}\n'
        '    2025-01-01: {value: 1/2, unit: share of slots, source: {document: plan, clause: "3"}}\n'
    )
    amended = policy(PLAN).amended(change)
    held = [amended.on(date(year, 7, 1)).slot_quota.held_for_referral for year in (2023, 2024, 2025)]
    assert held == [0, Fraction(1, 5), Fraction(1, 2)]
    assert amended.on(date(2024, 1, 6)).first_contact.adherence == pytest.approx(0.2)


def test_only_some_groups_count() -> None:
    plan = policy(PLAN).only(["slot_quota"])
    assert plan.dates() == [date(2024, 6, 30)]


def test_a_policy_is_drawn_and_written_back() -> None:
    plan = policy(PLAN)
    drawn = draw(plan, 1, 4, "policy")
    assert drawn.on(date(2024, 7, 1)).slot_quota == plan.on(date(2024, 7, 1)).slot_quota
    assert drawn.on(date(2024, 7, 1)).first_contact != plan.on(date(2024, 7, 1)).first_contact
    assert Policy.model_validate(plan.model_dump(mode="json")) == plan
    assert set(plan.model_dump(mode="json")) == set(GROUPS)


# ------------------------------------------------------------------------------------------------------------- refused


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("slotquota: {}", "slotquota: No group of levers has this name. Did you mean slot_quota?"),
        (
            "slot_quota: {held_for_referal: {}}",
            "slot_quota > held_for_referal: No lever has this name. Did you mean held_for_referral?",
        ),
        (
            "first_contact: {adherence: 0.3}",
            "first_contact > adherence: "
            "This is written as date in force: {value, unit, source}, with at least one date.",
        ),
    ],
)
def test_refuses_wrong_names_and_bare_numbers(text: str, problem: str) -> None:
    assert told(text) == [f"1 {problem}"]


@pytest.mark.parametrize(
    ("lever", "entry", "problem"),
    [
        (
            "first_contact.adherence",
            "value: 70, unit: share of residents, source: {derived: a}",
            " > value: 70 is more than 1; a share is written 0.70.",
        ),
        (
            "slot_quota.held_for_referral",
            "value: 33, unit: share of slots, source: {derived: a}",
            " > value: 33 is more than 1; a share is written 0.33.",
        ),
        (
            "slot_quota.held_for_referral",
            "value: true, unit: share of slots, source: {derived: a}",
            " > value: true is a yes or no; a share is written 0.25, 1/4 or 25 %.",
        ),
        (
            "slot_quota.held_for_referral",
            "value: 1/3, unit: share of beds, source: {derived: a}",
            " > unit: 'share of beds' was found; this lever is counted in 'share of slots'.",
        ),
        (
            "slot_quota.held_for_referral",
            "value: 1/3, unit: share of slots",
            ": source is missing: who says so: {document, clause}, {data, table}, {derived} or {assumption, range}.",
        ),
        (
            "slot_quota.released_days_before",
            "value: 15, unit: days, source: {derived: a}",
            " > value: 15 is more than 14, the highest value of this lever.",
        ),
        (
            "slot_quota.released_days_before",
            "value: 1.5, unit: days, source: {derived: a}",
            " > value: 1.5 is a number; a whole number is welcome here.",
        ),
        (
            "bed_quota.released_after_hours",
            "value: 2, unit: hours, source: {assumption: a, range: [-1, 3]}",
            " > source > range: -1 is less than 0, the lowest value of this lever.",
        ),
        (
            "down_referral.proposed",
            "value: 0.6, unit: share of eligible inpatients, source: {assumption: a, times: [0.5, 2]}",
            " > source > times: 1.2 is more than 1, the highest value of this lever.",
        ),
        (
            "contracts.coverage_in",
            "value: {town: 0.4, valley: 70}, unit: share of the area's residents, source: {derived: a}",
            " > value > valley: 70 is more than 1; a share is written 0.70.",
        ),
        (
            "contracts.coverage_in",
            "value: {a: 0.4, b: 0.6}, unit: share of the area's residents, source: {assumption: a, times: [0.5, 2]}",
            " > source > times: 1.2 is more than 1, the highest value of this lever.",
        ),
        (
            "contracts.coverage_in",
            "value: {town: 0.4}, unit: share of the area's residents, source: {assumption: a, range: [0.3, 0.5]}",
            " > source: A list or table of numbers varies by a common factor; write times: [lowest, highest].",
        ),
        (
            "contracts.coverage_in",
            "value: 0.4, unit: share of residents, source: {derived: a}",
            " > value: 0.4 is a number; `key: value` lines are welcome here.",
        ),
        (
            "priority.referred_contracted",
            "value: 1, unit: yes or no, source: {derived: a}",
            " > value: 1 is a number; true or false is welcome here.",
        ),
    ],
)
def test_refuses_wrong_entries(lever: str, entry: str, problem: str) -> None:
    group, name = lever.split(".")
    text = f"{group}:\n  {name}:\n    2024-01-01: {{{entry}}}"
    assert told(text) == [f"3 {group} > {name} > 2024-01-01{problem}"]


def test_one_letter_typos_in_lever_names_are_refused_with_the_right_name() -> None:
    names = [lever.name.split(".") for lever in levers()]
    for group, name in names:
        for place in range(len(name)):
            typo = name[:place] + name[place + 1 :]
            assert told(f"{group}: {{{typo}: {{}}}}")[0].endswith(f"Did you mean {name}?")


# -------------------------------------------------------------------------------------------------------------- parting

START = date(2024, 1, 5)


def adherence(values: str) -> Policy:
    """A policy of one lever, `date: value` on each line."""
    lines = (line.split(": ") for line in values.split("; "))
    says = "unit: share of residents, source: {document: plan, clause: '1'}"
    cited = (f"    {day}: {{value: {value}, {says}}}" for day, value in lines)
    return policy("\n".join(["first_contact:", "  adherence:", *cited]))


@pytest.mark.parametrize(
    ("one", "other", "day"),
    [
        ("2024-01-01: 0.1", "2024-01-01: 0.1; 2024-02-01: 0.2", date(2024, 2, 1)),
        ("2024-03-01: 0.1", "2024-02-01: 0.1", date(2024, 2, 1)),
        ("2024-01-01: 0.1", "2024-01-02: 0.2", START),  # before the run as well
        ("2024-01-01: 0.1; 2024-01-05: 0.3", "2024-01-02: 0.3", None),  # alike again when it begins
        ("2024-01-01: 0.1", "2024-01-01: 0.1; 2024-02-01: 0.1", None),  # the same said again
        ("2024-02-01: 0", "2024-03-01: 0.0", None),  # neutral in so many words
        ("2024-02-01: 0; 2024-02-09: 0.1", "2024-03-01: 0.1", date(2024, 2, 9)),
    ],
)
def test_policies_depart_on_the_first_day_on_which_a_value_differs(one: str, other: str, day: date | None) -> None:
    expected = {} if day is None else {"first_contact.adherence": day}
    assert adherence(one).departs(adherence(other), START) == expected
    assert adherence(other).departs(adherence(one), START) == expected


def test_a_ramp_departs_on_the_first_day_on_which_it_has_moved() -> None:
    flat = adherence("2024-01-01: 0.1")
    assert flat.departs(policy(PLAN), date(2023, 12, 1)) == {
        "first_contact.adherence": date(2024, 1, 2),
        "slot_quota.held_for_referral": date(2024, 6, 30),
    }


def by_area(*values: str) -> Policy:
    """Contracts by area from the first of January on, with the next values ten days later, on a ramp."""
    says = "unit: share of the area's residents, source: {document: plan, clause: '1'}"
    entries = [f"    2024-01-{1 + 10 * n:02}: {{value: {value}, {says}}}" for n, value in enumerate(values)]
    return policy("\n".join(["contracts:", "  coverage_in:", *entries, "    ramp: linear"]))


def test_a_table_moves_name_by_name_on_a_ramp() -> None:
    """An area that only one of two dates names does not move: it is in force as long as its date is."""
    plan = by_area("{town: 0.2, valley: 0.5}", "{town: 0.4, hill: 0.9}")
    assert plan.on(date(2024, 1, 6)).contracts.coverage_in == {"town": pytest.approx(0.3), "valley": 0.5}
    assert plan.on(date(2024, 1, 11)).contracts.coverage_in == {"town": 0.4, "hill": 0.9}


def test_areas_are_drawn_by_a_common_factor() -> None:
    says = "unit: share of the area's residents, source: {assumption: a, times: [0.5, 2]}"
    plan = policy(f"contracts:\n  coverage_in:\n    2024-01-01: {{value: {{town: 0.2, valley: 0.4}}, {says}}}")
    drawn = draw(plan, 1, 4, "policy").on(date(2024, 1, 1)).contracts.coverage_in
    assert drawn["valley"] == pytest.approx(2 * drawn["town"])
    assert drawn["town"] != 0.2


KEYS = {"capability": "basic", "prices": "tertiary", "insurance": "tertiary"}
"""A name that the tables of a group have, where not any will do."""


@pytest.mark.parametrize("lever", [info for info in levers() if info.low is not None], ids=lambda info: info.name)
def test_every_number_can_move_on_a_ramp(lever: LeverInfo) -> None:
    """Half of the way on half of the days, whole numbers to the nearest; a table name by name."""
    group, name = lever.name.split(".")
    table, key = isinstance(lever.neutral, dict), KEYS.get(group, "town")
    first, last = (f"{{{key}: 0.2}}", f"{{{key}: 0.6}}") if table else ("0", "1")
    says = f"unit: {lever.unit}, source: {{document: plan, clause: '1'}}"
    dates = [f"    2024-01-{day:02}: {{value: {value}, {says}}}" for day, value in ((1, first), (11, last))]
    moving = policy("\n".join([f"{group}:", f"  {name}:", *dates, "    ramp: linear"]))
    values = [getattr(getattr(moving.on(date(2024, 1, day)), group), name) for day in (1, 6, 8, 11, 31)]
    whole = isinstance(lever.neutral, int) and not isinstance(lever.neutral, bool)
    expected = [0, 0, 1, 1, 1] if whole else [0.0, 0.5, 0.7, 1.0, 1.0]
    told = [(value[key] - 0.2) / 0.4 if table else value for value in values]
    assert [float(value) for value in told] == pytest.approx(expected)
    assert len(moving.dates()) == 11


def test_nothing_in_so_many_words_is_neutral() -> None:
    said = "unit: conditions, source: {document: plan, clause: '1'}"
    assert policy(f"first_contact:\n  gate:\n    2024-02-02: {{value: [], {said}}}").departs(Policy(), START) == {}


def test_every_lever_can_depart() -> None:
    """What `departs` says and what the rules of a day say is the same, lever by lever."""
    for info in levers():
        group, name = info.name.split(".")
        by_unit = {"yes or no": "true", "days": "3", "conditions": "[cold]", "rescue centres": "[stroke]"}
        by_unit |= {"kind of quota": "partition", "facilities": "[valley_centre]"}
        by_unit |= {"private facilities": "[private_clinic-001]"}
        value = (
            f"{{{KEYS.get(group, 'town')}: 0.3}}" if isinstance(info.neutral, dict) else by_unit.get(info.unit, "0.3")
        )
        unit = f"unit: {info.unit}, source: {{document: plan, clause: '1'}}"
        pulled = policy(f"{group}:\n  {name}:\n    2024-02-02: {{value: {value}, {unit}}}")
        assert pulled.departs(Policy(), START) == {info.name: date(2024, 2, 2)}
        assert pulled.on(date(2024, 2, 1)) == Policy().on(date(2024, 2, 1))
        assert pulled.on(date(2024, 2, 2)) != Policy().on(date(2024, 2, 2))
