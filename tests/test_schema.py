"""YAML is read as plain data with lines; whatever is wrong is told at once, in plain words, at its place."""

from __future__ import annotations

import pickle
from contextlib import suppress
from datetime import date
from fractions import Fraction
from pathlib import Path
from typing import Any, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import Field

from sim.schema import (
    Chance,
    Closed,
    Collected,
    Day,
    InputError,
    Name,
    Problem,
    Share,
    as_share,
    did_you_mean,
    parse_yaml,
    read_yaml,
    shown,
    validate,
)


class Ward(Closed):
    beds: int = Field(ge=1)
    """How many beds stand in it."""

    held: Share = Fraction(0)
    kind: Literal["acute", "step_down"] = "acute"


class Town(Closed):
    name: Name
    """What the town is called in paths."""

    opened: Day
    growth: float = 0.0
    open: bool = True
    wards: dict[str, Ward] = Field(default_factory=dict)
    trips: list[float] = Field(default_factory=list)
    rest: Ward | None = None
    since: Day | None = Field(None, alias="from")
    sure: Chance = 1.0


def told(text: str) -> list[str]:
    """The problems of a town's document, each as `line path: text`."""
    with pytest.raises(InputError) as caught:
        validate(Town, *parse_yaml(text, "town.yaml"))
    return [f"{p.line} {p.path}: {p.text}" for p in caught.value.problems]


def refused(text: str) -> list[tuple[int | None, str]]:
    """The problems of a document that is not plain YAML."""
    with pytest.raises(InputError) as caught:
        parse_yaml(text, "town.yaml")
    return [(problem.line, problem.text) for problem in caught.value.problems]


# ------------------------------------------------------------------------------------------------------------- reading


def test_reads_plain_data_and_the_line_of_every_key() -> None:
    data, marks = parse_yaml("a: 1\nb:\n  2024-06-30: 1/3\n  c: [1.5, true, null]\n", "x.yaml")
    assert data == {"a": 1, "b": {"2024-06-30": "1/3", "c": [1.5, True, None]}}
    assert (marks["b", "c"], marks["b", "2024-06-30"]) == (4, 3)
    assert marks(("b", "c", "2", "deeper")) == ("x.yaml", 4)
    assert marks(("z",)) == ("x.yaml", None)


@pytest.mark.parametrize(
    ("written", "value"),
    [
        ("07", "07"),
        ("1_000", "1_000"),
        ("1:30", "1:30"),
        ("yes", "yes"),
        ("no", "no"),
        ("2024-02-31", "2024-02-31"),
        ("1e3", 1000.0),
        ("-.5", -0.5),
        ("0", 0),
        ("~", None),
        ("'5'", "5"),
        ("12 beds", "12 beds"),
        (chr(0xFF11), chr(0xFF11)),  # a full-width digit one
    ],
)
def test_only_plain_numbers_are_numbers(written: str, value: object) -> None:
    data, _ = parse_yaml(f"a: {written}", "x.yaml")
    assert data == {"a": value}
    assert type(data["a"]) is type(value)


def test_accepts_a_byte_order_mark_windows_line_ends_and_chinese(tmp_path: Path) -> None:
    file = tmp_path / "中卫 plan.yaml"
    file.write_bytes("\ufefftitle: 按方案实施\r\nbeds: 3\r\n".encode())
    data, marks = read_yaml(file)
    assert data == {"title": "按方案实施", "beds": 3}
    assert marks["beds",] == 2


def test_config_files_may_use_anchors_but_no_tags() -> None:
    assert parse_yaml("a: &x {b: 1}\nc: *x", "x.yaml", anchors=True)[0] == {"a": {"b": 1}, "c": {"b": 1}}
    with pytest.raises(InputError, match="A tag"):
        parse_yaml("a: &x !!python/none 1", "x.yaml", anchors=True)


def test_an_empty_document_is_an_empty_mapping() -> None:
    assert parse_yaml("# nothing\n", "x.yaml")[0] == {}


@pytest.mark.parametrize(
    ("text", "problems"),
    [
        ("beds: 1\nbeds: 2", [(2, "beds stands here and in line 1; keep one of them.")]),
        ("a:\n\tb: 1", [(2, "A tab stands in column 1; indent with spaces.")]),
        ("a: !!python/object/apply:os.system [ls]", [(1, _tag := "A tag (!) is not allowed; ")]),
        ("a: !x 1\nb: !y 2", [(1, _tag), (2, _tag)]),
        ("a: &x 1\nb: *x", [(1, "An anchor (&) is not allowed; "), (2, "An alias (*) is not allowed; ")]),
        ("a.b: 1", [(1, "The key 'a.b' (column 1) holds a space or a dot; ")]),
        ("x:\n  a b: 1", [(2, "The key 'a b' (column 3) holds a space or a dot; ")]),
        ("? [1, 2]\n: 3", [(1, "A key must be one word.")]),
        ("a: [1", [(1, "This is not YAML (column 6): ")]),
        ("- 1\n- 2", [(1, "The document must be made of `key: value` lines.")]),
        ("just words", [(1, "The document must be made of `key: value` lines.")]),
        ("[" * 5000, [(1, "This is not YAML (column 52): it is nested too deeply.")]),
        ("a: 1\n---\nb: 2", [(2, "This is not YAML (column 1): ")]),
    ],
)
def test_refuses_what_is_not_a_plain_document(text: str, problems: list[tuple[int | None, str]]) -> None:
    found = refused(text)
    assert [line for line, _ in found] == [line for line, _ in problems]
    assert all(f.startswith(p) for (_, f), (_, p) in zip(found, problems, strict=True))


@pytest.mark.parametrize(
    ("content", "text"),
    [
        ("名: 一".encode("gbk"), "The file is not UTF-8 (byte 1); save it as UTF-8, not as GBK or UTF-16."),
        ("a: 1".encode("utf-16"), "The file is not UTF-8 (byte 1); save it as UTF-8, not as GBK or UTF-16."),
        (b"a: 1\nb: \0", "The file holds a NUL character in line 2."),
        (b"a" * 5_000_001, "The file is larger than 5 MB."),
    ],
)
def test_refuses_files_that_are_not_text(tmp_path: Path, content: bytes, text: str) -> None:
    file = tmp_path / "x.yaml"
    file.write_bytes(content)
    with pytest.raises(InputError) as caught:
        read_yaml(file)
    assert [problem.text for problem in caught.value.problems] == [text]


@pytest.mark.parametrize(("name", "text"), [("none.yaml", "There is no such file."), ("", "This is not a file.")])
def test_refuses_what_is_no_file(tmp_path: Path, name: str, text: str) -> None:
    with pytest.raises(InputError, match=text):
        read_yaml(tmp_path / name)


@given(st.text())
def test_any_text_is_read_or_refused_never_a_traceback(text: str) -> None:
    with suppress(InputError):
        assert isinstance(parse_yaml(text, "x.yaml")[0], dict)


# ---------------------------------------------------------------------------------------------------------- validation


def test_accepts_a_right_document() -> None:
    text = "name: qing-shui\nopened: 2024-02-29\nfrom: 2024-01-01\nsure: 30 %\nwards: {a: {beds: 3, held: 1/3}}"
    town = validate(Town, *parse_yaml(text, "town.yaml"))
    assert town.opened == date(2024, 2, 29)
    assert town.since == date(2024, 1, 1)
    assert town.wards["a"].held == Fraction(1, 3)
    assert town.sure == 0.3


@pytest.mark.parametrize(
    ("entry", "problem"),
    [
        ("groth: 1", "3 groth: No key has this name. Did you mean growth?"),
        ("zzz: 1", "3 zzz: No key has this name."),
        ("form: 2024-01-01", "3 form: No key has this name. Did you mean from?"),
        ("growth: true", "3 growth: true is a yes or no; a number is welcome here."),
        ("growth: '1'", "3 growth: '1' is text; a number is welcome here."),
        ("growth: 07", "3 growth: '07' is text; a number is welcome here."),
        ("growth: .nan", "3 growth: nan is a number; a finite number is welcome here."),
        ("growth: -.inf", "3 growth: -inf is a number; a finite number is welcome here."),
        ("growth:", "3 growth: Nothing was found; a number is welcome here."),
        ("growth: [1]", "3 growth: A list was found; a number is welcome here."),
        ("open: 1", "3 open: 1 is a number; true or false is welcome here."),
        ("open: yes", "3 open: 'yes' is text; true or false is welcome here."),
        ("wards: [1]", "3 wards: A list was found; `key: value` lines are welcome here."),
        ("trips: {a: 1}", "3 trips: `key: value` lines were found; a list is welcome here."),
        ("trips: [1, x]", "3 trips > 1: 'x' is text; a number is welcome here."),
        ("wards: {a: 3}", "3 wards > a: 3 is a number; `key: value` lines are welcome here."),
        ("wards: {a: {beds: -3}}", "3 wards > a > beds: -3 was found; it must be at least 1."),
        ("wards: {a: {beds: 2.5}}", "3 wards > a > beds: 2.5 is a number; a whole number is welcome here."),
        ("wards: {a: {beds: true}}", "3 wards > a > beds: true is a yes or no; a whole number is welcome here."),
        ("wards: {a: {bedz: 4}}", "3 wards > a > bedz: No key has this name. Did you mean beds?"),
        ("wards: {a: {}}", "3 wards > a: beds is missing: how many beds stand in it."),
        ("rest: {bedz: 4}", "3 rest > bedz: No key has this name. Did you mean beds?"),
        (
            "wards: {a: {beds: 1, kind: acuet}}",
            "3 wards > a > kind: 'acuet' is text; welcome are 'acute' or 'step_down'. Did you mean acute?",
        ),
        (
            "from: 2024-02-31",
            "3 from: 2024-02-31 is not in the calendar; a date is written year-month-day, as 2024-06-30.",
        ),
        (
            "from: 2024-13-01",
            "3 from: 2024-13-01 is not in the calendar; a date is written year-month-day, as 2024-06-30.",
        ),
        ("from: 24-01-01", "3 from: 24-01-01 is not a date; a date is written 2024-06-30."),
        ("from: 2024-1-1", "3 from: 2024-1-1 is not a date; a date is written 2024-06-30."),
        ("from: 2024-W53", "3 from: 2024-W53 is not a date; a date is written 2024-06-30."),
        ("from: 2024", "3 from: 2024 is not a date; a date is written 2024-06-30."),
        ("sure: 33", "3 sure: 33 is more than 1; a share is written 0.33."),
    ],
)
def test_tells_what_is_wrong_and_what_is_welcome(entry: str, problem: str) -> None:
    assert told(f"name: a\nopened: 2024-01-01\n{entry}") == [problem]


def test_tells_everything_at_once() -> None:
    assert told("name: A b\nopened: 1\nwards: {a: {beds: x, held: 33}}\nzzz: 1") == [
        "1 name: 'A b' is not a name; a name has 1 to 64 of the characters a-z 0-9 _ -.",
        "2 opened: 1 is not a date; a date is written 2024-06-30.",
        "3 wards > a > beds: 'x' is text; a whole number is welcome here.",
        "3 wards > a > held: 33 is more than 1; a share is written 0.33.",
        "4 zzz: No key has this name.",
    ]


def test_a_misspelt_key_is_not_also_told_as_missing() -> None:
    assert told("nmae: a\nopened: 2024-01-01") == ["1 nmae: No key has this name. Did you mean name?"]


def test_a_missing_key_says_what_it_is_for() -> None:
    assert told("opened: 2024-01-01") == ["None : name is missing: what the town is called in paths."]


@pytest.mark.parametrize("name", ["../x", "a/b", "", "x" * 65, ".x", "CON ", "卫", "A"])
def test_names_are_fit_for_paths(name: str) -> None:
    assert told(f"name: {name!r}\nopened: 2024-01-01")[0].endswith("a name has 1 to 64 of the characters a-z 0-9 _ -.")


# -------------------------------------------------------------------------------------------------------------- shares


@pytest.mark.parametrize(
    ("found", "share"),
    [
        (0.25, Fraction(1, 4)),
        (0.1, Fraction(1, 10)),
        (1, Fraction(1)),
        ("1/3", Fraction(1, 3)),
        ("33 %", Fraction(33, 100)),
        ("33%", Fraction(33, 100)),
        ("0.5 %", Fraction(1, 200)),
    ],
)
def test_shares_are_exact(found: Any, share: Fraction) -> None:
    assert as_share(found) == share


@pytest.mark.parametrize(
    ("found", "text"),
    [
        (33, "33 is more than 1; a share is written 0.33."),
        (70, "70 is more than 1; a share is written 0.70."),
        (12.5, "12.5 is more than 1; a share is written 0.125."),
        (1000, "1000 is more than 1; a share lies between 0 and 1."),
        (-0.1, "-0.1 is less than 0; a share lies between 0 and 1."),
        ("4/3", "4/3 is more than 1; a share lies between 0 and 1."),
        ("1/0", "'1/0' is text; a share is written 0.25, 1/4 or 25 %."),
        ("0,33", "'0,33' is text; a share is written 0.25, 1/4 or 25 %."),
        (True, "true is a yes or no; a share is written 0.25, 1/4 or 25 %."),
        (float("nan"), "nan is a number; a share is written 0.25, 1/4 or 25 %."),
        (float("inf"), "inf is a number; a share is written 0.25, 1/4 or 25 %."),
        (None, "Nothing was found; a share is written 0.25, 1/4 or 25 %."),
    ],
)
def test_what_is_no_share_is_refused(found: Any, text: str) -> None:
    with pytest.raises(InputError) as caught:
        validate(Ward, {"beds": 1, "held": found}, lambda _: ("x", None))
    assert [problem.text for problem in caught.value.problems] == [text]


# -------------------------------------------------------------------------------------------------------------- errors


def test_an_error_reads_as_one_paragraph_for_each_file() -> None:
    problems = [
        Problem("b.yaml", 14, "x > y", "70 is more than 1; a share is written 0.70."),
        Problem("b.yaml", 10, "x", "No lever has this name. Did you mean z?"),
        Problem("The command line", None, "seed", "true is a yes or no; a whole number is welcome here."),
    ]
    assert str(InputError([*problems, problems[0]])) == (
        "b.yaml has 2 problems:\n"
        "  line 10: x\n"
        "    No lever has this name. Did you mean z?\n"
        "  line 14: x > y\n"
        "    70 is more than 1; a share is written 0.70.\n"
        "The command line has 1 problem:\n"
        "  seed\n"
        "    true is a yes or no; a whole number is welcome here."
    )


def test_problems_of_several_steps_are_told_together() -> None:
    problems = Collected()
    for text in ("beds: x", "beds: 0"):
        with problems.step():
            validate(Ward, *parse_yaml(text, "w.yaml"))
    with pytest.raises(InputError) as caught:
        problems.tell()
    assert len(caught.value.problems) == 2
    Collected().tell()


def test_errors_and_objects_travel_between_processes() -> None:
    error = InputError([Problem("a", 1, "b", "c")])
    assert pickle.loads(pickle.dumps(error)).problems == error.problems  # noqa: S301
    town = Town(name="a", opened=date(2024, 1, 1), wards={"w": Ward(beds=3, held=Fraction(1, 3))})
    assert pickle.loads(pickle.dumps(town)) == town  # noqa: S301


def test_dumps_are_plain_and_come_back_as_they_were() -> None:
    town = validate(Town, *parse_yaml("name: a\nopened: 2024-01-01\nwards: {a: {beds: 3, held: 1/3}}", "t"))
    plain = town.model_dump(mode="json", by_alias=True)
    assert plain["opened"] == "2024-01-01"
    assert plain["wards"]["a"]["held"] == "1/3"
    assert Town.model_validate(plain) == town


def test_the_nearest_right_name_is_offered_only_where_there_is_one() -> None:
    assert did_you_mean("bedz", ["beds", "slots"]) == " Did you mean beds?"
    assert did_you_mean("quux", ["beds", "slots"]) == ""


def test_files_are_named_as_the_user_would(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert shown(tmp_path / "scenarios" / "a.yaml") == "scenarios/a.yaml"
    assert shown("/elsewhere/a.yaml") == "/elsewhere/a.yaml"
