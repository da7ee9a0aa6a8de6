"""Every value has a source; what nobody knows has a range, and is drawn from it evenly and the same everywhere."""

from __future__ import annotations

from datetime import date
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from pydantic import Field

from sim.citation import (
    Assumption,
    Cited,
    Count,
    Dated,
    Figure,
    Figures,
    ShareFigure,
    Source,
    assumptions,
    citations,
    draw,
    triangular,
)
from sim.schema import Closed, InputError, Name, Share, parse_yaml, validate


class Clinic(Closed):
    id: Name
    doctors: Count


class Place(Closed):
    rate: Figure | None = None
    held: ShareFigure | None = None
    curve: Figures | None = None
    table: Cited[dict[str, float]] | None = None
    word: Cited[str] | None = None
    clinics: list[Clinic] = Field(default_factory=list)
    quota: Dated[Share] | None = None
    on: Dated[bool] | None = None


def place(text: str) -> Place:
    return validate(Place, *parse_yaml(text, "place.yaml"))


def told(text: str) -> list[str]:
    with pytest.raises(InputError) as caught:
        place(text)
    return [f"{problem.path}: {problem.text}" for problem in caught.value.problems]


RATE = "rate: {value: 2, unit: per day, source: {assumption: A guess., range: [1, 6]}}"
MANY = "exactly one of document, data, derived, assumption"

# ------------------------------------------------------------------------------------------------------------- sources


@pytest.mark.parametrize(
    ("source", "kind", "text"),
    [
        ({"document": "plan", "clause": "3.1"}, "policy", "plan, 3.1"),
        ({"data": "nhc-2024", "table": "visits"}, "published", "nhc-2024, visits"),
        ({"derived": "3 of 4"}, "derived", "3 of 4"),
        ({"assumption": "A guess.", "range": [1.0, 2.0]}, "assumption", "A guess."),
        ({"varied": "from 1/3"}, "varied", "from 1/3"),
    ],
)
def test_a_source_has_one_voice(source: dict[str, Any], kind: str, text: str) -> None:
    found = Source.model_validate(source)
    assert (found.kind, str(found)) == (kind, text)


@pytest.mark.parametrize(
    ("source", "problem"),
    [
        ("{}", f"source: A source has {MANY}; found none."),
        ("{document: a, clause: b, derived: c}", f"source: A source has {MANY}; found document and derived."),
        ("{document: a}", "source: document and clause belong together; one of them is missing."),
        ("{derived: a, table: b}", "source: data and table belong together; one of them is missing."),
        ("{derived: ''}", "source > derived: derived is empty."),
        ("{derived: a, range: [1, 2]}", "source > range: range belongs to an assumption."),
        ("{assumption: a, range: [6, 1]}", "source > range: 6 is more than 1; write the lowest value first."),
        ("{assumption: a, range: [1]}", "source > range: 1 entries were found; at least 2 are welcome here."),
        ("{assumption: a, range: [1, 6], times: [1, 2]}", "source: Write range or times, not both."),
        ("{assumption: a}", "source: An assumption needs its range: add range: [lowest, highest] or times: "),
        ("{assumption: a, range: [3, 6]}", "source: 2 lies outside its range 3 to 6."),
        ("{assumption: a, times: [1.5, 2]}", "source: times is a factor on the stated value; its limits must "),
        ("{asumption: a, range: [1, 6]}", "source > asumption: No key has this name. Did you mean assumption?"),
    ],
)
def test_refuses_a_source_that_says_too_much_or_too_little(source: str, problem: str) -> None:
    problems = told(f"rate: {{value: 2, unit: per day, source: {source}}}")
    assert any(found.startswith(f"rate > {problem}") for found in problems), problems


def test_refuses_a_bare_number_and_a_missing_source() -> None:
    assert told("rate: 2") == ["rate: 2 is a number; `key: value` lines are welcome here."]
    assert told("rate: {value: 2, unit: per day}") == [
        "rate: source is missing: who says so: {document, clause}, {data, table}, {derived} or {assumption, range}."
    ]


def test_a_list_or_table_varies_by_a_factor_only() -> None:
    problem = "A list or table of numbers varies by a common factor; write times: [lowest, highest]."
    for value in ("curve: {value: [1, 2]", "table: {value: {a: 1}"):
        assert told(f"{value}, unit: x, source: {{assumption: a, range: [1, 2]}}}}")[0].endswith(problem)


def test_words_need_no_range() -> None:
    assert place("word: {value: CN, unit: name, source: {assumption: Why not.}}").word is not None


# --------------------------------------------------------------------------------------------------------------- dates

QUOTA = """
quota:
  2024-07-11: {value: 1/2, unit: share, source: {document: a, clause: b}}
  2024-07-01: {value: 1/3, unit: share, source: {document: a, clause: b}}
"""


def test_a_dated_value_is_in_force_from_its_date() -> None:
    quota = place(QUOTA).quota
    assert quota is not None
    days = [date(2024, 6, 30), date(2024, 7, 1), date(2024, 7, 10), date(2024, 7, 11), date(2030, 1, 1)]
    assert [quota.on(day) for day in days] == [None, Fraction(1, 3), Fraction(1, 3), Fraction(1, 2), Fraction(1, 2)]
    assert quota.changes() == [date(2024, 7, 1), date(2024, 7, 11)]


def test_a_ramp_moves_evenly_and_exactly() -> None:
    quota = place(QUOTA + "  ramp: linear").quota
    assert quota is not None
    assert quota.on(date(2024, 7, 6)) == Fraction(5, 12)
    assert quota.on(date(2024, 6, 30)) is None
    assert quota.on(date(2025, 1, 1)) == Fraction(1, 2)
    assert len(quota.changes()) == 11


def test_dated_values_are_written_back_as_they_are_read() -> None:
    here = place(QUOTA + "  ramp: linear")
    plain = here.model_dump(mode="json", exclude_none=True)
    assert list(plain["quota"]) == ["2024-07-01", "2024-07-11", "ramp"]
    assert plain["quota"]["2024-07-01"]["value"] == "1/3"
    assert Place.model_validate(here.model_dump(mode="json")) == here


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("quota: 1/3", "quota: This is written as date in force: {value, unit, source}, with at least one date."),
        ("quota: {ramp: linear}", "quota: This is written as date in force: {value, unit, source}, with at least "),
        (
            "quota: {value: 1/3, unit: share, source: {derived: a}}",
            "quota > value: value is not a date; a date is written 2024-06-30.",
        ),
        (
            "quota: {2024-02-31: {value: 1/3, unit: share, source: {derived: a}}}",
            "quota > 2024-02-31: 2024-02-31 is not in the calendar; a date is written year-month-day, as 2024-06-30.",
        ),
        (
            "quota: {2024-02-01: {value: 33, unit: share, source: {derived: a}}}",
            "quota > 2024-02-01 > value: 33 is more than 1; a share is written 0.33.",
        ),
        (
            "quota: {2024-02-01: {value: 0.3, unit: share, source: {derived: a}}, ramp: cubic}",
            "quota > ramp: 'cubic' is text; welcome are 'linear'.",
        ),
        (
            "on: {2024-02-01: {value: true, unit: x, source: {derived: a}}, ramp: linear}",
            "on > ramp: Only numbers can move evenly; drop ramp.",
        ),
    ],
)
def test_refuses_wrong_dates(text: str, problem: str) -> None:
    assert told(text)[0].startswith(problem)


# --------------------------------------------------------------------------------------------------------- assumptions


def test_lists_every_assumption_with_its_range() -> None:
    text = RATE + "\nclinics: [{id: east, doctors: {value: 2, unit: people, source: {assumption: b, times: [0.5, 2]}}}]"
    assert assumptions(place(text), "demand") == [
        Assumption("demand.rate", None, 2.0, "per day", 1.0, 6.0, False, "A guess."),
        Assumption("demand.clinics.east.doctors", None, 2, "people", 0.5, 2.0, True, "b"),
    ]


def test_entries_of_a_list_go_by_their_id() -> None:
    entry = "{{id: {}, doctors: {{value: 9, unit: people, source: {{assumption: b, range: [1, 99]}}}}}}"
    one, two = (
        draw(place(f"clinics: [{', '.join(entry.format(name) for name in names)}]"), 1, 0).clinics
        for names in (("a", "b"), ("b", "a"))
    )
    assert one == two[::-1]
    assert one[0].doctors.value != one[1].doctors.value


def drawn(text: str, replication: int, name: str = "rate") -> Any:
    return getattr(draw(place(text), 7, replication, "demand"), name).value


def test_draws_do_not_change_when_replications_are_added_and_differ_between_them() -> None:
    values = [drawn(RATE, r) for r in range(60)]
    assert values == [drawn(RATE, r) for r in reversed(range(60))][::-1]
    assert len(set(values)) == 60
    assert 1 < min(values) < max(values) < 6


@pytest.mark.parametrize("block", [0, 1, 2])
def test_each_block_of_twenty_takes_every_twentieth_of_the_law_once(block: int) -> None:
    values = np.sort([drawn(RATE, r) for r in range(20 * block, 20 * block + 20)])
    edges = [triangular(n / 20, [1, 6], 2.0) for n in range(21)]
    assert all(low <= value <= high for low, value, high in zip(edges, values, edges[1:], strict=False))


def test_two_assumptions_are_drawn_independently() -> None:
    text = "table: {value: {a: 1}, unit: x, source: {assumption: a, times: [0.5, 2]}}\n" + RATE
    pairs = np.array([(drawn(text, r), drawn(text, r, "table")["a"]) for r in range(200)])
    assert abs(np.corrcoef(pairs.T)[0, 1]) < 0.2


def test_the_triangular_law_has_its_peak_at_the_mode() -> None:
    assert triangular(0.2, [1, 6], 2.0) == pytest.approx(2.0)
    assert triangular(0.5, [1, 1], 1.0) == 1.0
    assert triangular(1e-12, [1, 6], 1.0) == pytest.approx(1.0)
    assert triangular(1 - 1e-12, [1, 6], 6.0) == pytest.approx(6.0)
    mean = np.mean([triangular((n + 0.5) / 1000, [1, 6], 2.0) for n in range(1000)])
    assert mean == pytest.approx((1 + 2 + 6) / 3, rel=1e-4)


def test_a_factor_moves_a_whole_list_together() -> None:
    text = "curve: {value: [1, 2, 4], unit: x, source: {assumption: a, times: [0.5, 2]}}"
    values = drawn(text, 3, "curve")
    assert values[0] not in (0.5, 1.0, 2.0)
    assert values == pytest.approx([values[0], 2 * values[0], 4 * values[0]])


def test_shares_stay_shares_and_counts_stay_whole() -> None:
    text = "held: {value: 0.9, unit: share, source: {assumption: a, times: [0.5, 2]}}"
    shares = [drawn(text, r, "held") for r in range(20)]
    assert all(isinstance(share, Fraction) and 0 <= share <= 1 for share in shares)
    assert max(shares) == 1
    clinics = "clinics: [{id: a, doctors: {value: 3, unit: people, source: {assumption: b, range: [1, 9]}}}]"
    assert {type(drawn_clinic.doctors.value) for r in range(20) for drawn_clinic in drawn_clinics(clinics, r)} == {int}


def drawn_clinics(text: str, replication: int) -> list[Clinic]:
    return draw(place(text), 7, replication).clinics


def test_only_assumptions_are_drawn() -> None:
    here = place(QUOTA + "rate: {value: 2, unit: per day, source: {derived: a}}")
    assert draw(here, 1, 5) == here


def test_a_lever_is_drawn_alike_on_all_its_dates() -> None:
    entry = "{value: 1/2, unit: share, source: {assumption: a, range: [0, 1]}}"
    quota = draw(place(f"quota: {{2024-01-01: {entry}, 2025-01-01: {entry}}}"), 1, 5, "policy").quota
    assert quota is not None
    assert quota.on(date(2024, 1, 1)) == quota.on(date(2025, 1, 1)) != Fraction(1, 2)


def test_every_cited_value_is_found() -> None:
    assert [(path, since) for path, since, _ in citations(place(QUOTA + RATE), "x")] == [
        ("x.rate", None),
        ("x.quota", date(2024, 7, 1)),
        ("x.quota", date(2024, 7, 11)),
    ]
