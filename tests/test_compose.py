"""Configs and overrides become a validated study, or everything that is wrong with them is told at once."""

from __future__ import annotations

from datetime import date
from fractions import Fraction
from json import dumps
from pathlib import Path
from typing import Any

import pytest
from hydra.core.global_hydra import GlobalHydra

from sim import compose
from sim.compose import Config, check, load, shelves, studies
from sim.schema import InputError

SHIPPED = Path(__file__).parents[1]

STUDY = """# @package _global_
study:
  name: mine
  title: Mine
  title_zh: 我的
  question: What then?
  question_zh: 那又怎样?
  scenarios: [example_before, example_plan]
  baseline: example_before
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The user's folder, with one study of their own beside what the program brings."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "configs" / "study").mkdir(parents=True)
    (tmp_path / "scenarios").mkdir()
    write(tmp_path, STUDY)
    return tmp_path


def write(folder: Path, text: str, name: str = "study/mine") -> None:
    file = folder / "configs" / f"{name}.yaml"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text, "utf-8")


def told(study: str = "mine", *overrides: str, **changes: Any) -> list[str]:
    with pytest.raises(InputError) as caught:
        load(study, overrides=overrides, **changes)
    return [f"{p.file} {p.line} {p.path}: {p.text}" for p in caught.value.problems]


# -------------------------------------------------------------------------------------------------- facts that disagree

EXAMPLE = (SHIPPED / "configs" / "network" / "example.yaml").read_text("utf-8")


def test_names_on_which_facts_disagree_are_told_at_once(folder: Path) -> None:
    wrong = EXAMPLE.replace("    role: lead\n", "    role: lead\n    capability: {medicin: 4}\n")
    wrong = wrong.replace("pattern: centre, doctors", "pattern: centr, doctors", 1)
    wrong = wrong.replace("{department: surgery, pattern", "{department: surgry, pattern")
    wrong = wrong.replace("- {department: rehabilitation, beds", "- {department: rehab, beds", 1)
    wrong = wrong.replace("becomes: rehabilitation", "becomes: rehab")
    write(folder, wrong, "network/wrong")
    treats, above = "no department that treats any condition", "network > facilities >"
    neither = "no condition, department or default"

    def at(name: str) -> str:
        return f"configs/network/wrong.yaml {1 + wrong[: wrong.index(name)].count(chr(10))} {above}"

    assert told("mine", "network=wrong") == [
        f"{at('medicin:')} 0 > capability > medicin: medicin is {neither}. Did you mean medicine?",
        f"{at('surgry')} 0 > clinics > 2 > department: surgry is {treats}. Did you mean surgery?",
        f"{at('rehab,')} 1 > wards > 1 > department: rehab is {treats}. Did you mean rehabilitation?",
        f"{at('centr,')} 2 > clinics > 0 > pattern: centr is no pattern of the timetable. Did you mean centre?",
    ]


def test_wards_to_which_stays_step_down_are_names_too(folder: Path) -> None:
    """Of departments that need treat no condition: nursing, home, and whatever a condition names."""
    home = "{department: home, beds: {<<: *b, value: 4}, kind: home}"
    assert EXAMPLE.count(home) == 1
    nursing, respite = (home.replace("department: home", f"department: {name}") for name in ("nursing", "respite"))
    write(folder, EXAMPLE.replace(home, f"{nursing}\n      - {respite}"), "network/more")
    (strange,) = told("mine", "network=more")
    assert "respite is no department that treats any condition." in strange
    to = "+care.conditions.bone.steps_down_to"
    load("mine", overrides=["network=more", f"{to}=[respite, nursing]"])
    text = "nursng is no department of a ward that takes who steps down. Did you mean nursing?"
    assert [line.split(": ", 1)[1] for line in told("mine", "network=more", f"{to}=[respite, nursng]")] == [text]


def test_every_area_has_residents_and_every_condition_its_needs(folder: Path) -> None:
    people = (SHIPPED / "configs" / "population" / "example.yaml").read_text("utf-8")
    write(folder, people.replace("  valley:", "  vallei:"), "population/wrong")
    assert [line.split(": ", 1)[1] for line in told("mine", "population=wrong")] == [
        "vallei is no area of the network. Did you mean valley?",
        "valley is missing, and every area of the network is needed here.",
    ]
    inflow = "{village: {per_year: {value: 1, unit: x, source: {derived: y}}, conditions: {colds: 1}}}"
    texts = [line.split(": ", 1)[1] for line in told("mine", f"demand.inflow={inflow}")]
    assert texts[0].startswith("village is no facility of the network.")  # there are village-001 to village-004
    assert texts[1].startswith("colds is no condition.")


# ------------------------------------------------------------------------------------------------------------- loading


@pytest.fixture(scope="module")
def example() -> Config:
    return load("example")


def test_the_example_is_a_study(example: Config) -> None:
    assert [scenario.name for scenario in example.scenarios] == example.study.scenarios
    assert example.study.baseline in example.study.scenarios
    assert example.horizon.warmup_from < example.horizon.from_ < example.horizon.to


def test_a_study_overrides_what_every_study_begins_with(example: Config) -> None:
    assert (example.replications, example.execution.workers) == (4, 1)


def test_a_config_is_written_as_plain_data_always_the_same(example: Config) -> None:
    plain = example.model_dump(mode="json", by_alias=True)
    again = Config.model_validate(plain)
    assert again == example
    assert dumps(plain, sort_keys=True) == dumps(again.model_dump(mode="json", by_alias=True), sort_keys=True)


@pytest.mark.parametrize("name", studies())
def test_shipped_studies_are_right(name: str) -> None:
    assert load(name).study.name == name


def test_overrides_as_texts_and_as_keywords_say_the_same() -> None:
    texts = ["replications=2", "horizon.to=2024-12-31", "study.title=小镇's 方案", "output=a b"]
    one = load("example", overrides=[*texts[:3], "output='a b'"])
    two = load("example", replications=2, horizon={"to": "2024-12-31"}, study={"title": "小镇's 方案"}, output="a b")
    assert one == two
    assert (one.replications, one.horizon.to, one.study.title, one.output) == (
        2,
        date(2024, 12, 31),
        "小镇's 方案",
        "a b",
    )


def test_a_lever_is_varied_in_one_scenario() -> None:
    config = load("example", overrides=["vary.example_plan.slot_quota.held_for_referral=1/4"])
    before, plan = (scenario.policy.on(date(2025, 1, 1)).slot_quota for scenario in config.scenarios)
    assert (before.held_for_referral, plan.held_for_referral) == (Fraction(0), Fraction(1, 4))


def test_the_user_s_own_study_stands_beside_those_of_the_program(folder: Path) -> None:
    assert {"mine", "example"} <= set(studies())
    assert load("mine").study.title_zh == "我的"
    assert shelves().scenarios == [folder / "scenarios", SHIPPED / "scenarios"]


@pytest.mark.parametrize(
    "orders",
    [
        ["study=example"],
        ["study=zhongwei", "seed=7"],
        ["study=zhongwei", "network=example", "demand=china"],
        ["study=example", "network.facilities.0.count=3", "referral.new=1"],
        ["study=example", "+network.new={a: 1}", "report.benchmarks=[]", "horizon.to=2024-11-30"],
    ],
)
def test_documents_composed_by_name_say_the_same_in_the_same_order(orders: list[str]) -> None:
    found = shelves()
    understood = compose._understood(orders, found)
    by_name, in_full = compose._by_name(understood, found), compose._in_full(understood, found)
    assert by_name is not None
    assert by_name.pop("hydra")["runtime"]["choices"] == in_full.pop("hydra")["runtime"]["choices"]
    assert dumps(by_name) == dumps(in_full)


@pytest.mark.parametrize(
    "text", ["# @package elsewhere\na: 1", "a: [1", "- 1", "defaults: [nowhere]", "a: {b: 1, b: 2}"]
)
def test_what_only_hydra_can_tell_is_composed_in_full(folder: Path, text: str) -> None:
    write(folder, text + "\n" + "# long enough to go by name\n" * 50, "network/odd")
    found = shelves()
    assert compose._by_name(compose._understood(["study=example", "network=odd"], found), found) is None


def test_loading_leaves_nothing_of_hydra_behind() -> None:
    load("example")
    assert not GlobalHydra.instance().is_initialized()


# --------------------------------------------------------------------------------------------------- the command line


def test_tells_wrong_values_and_unknown_keys_at_once() -> None:
    assert sorted(told("example", "seed=true", "replicatons=3", "horizon.to=2023-01-01", "execution.workers=-1")) == [
        "The command line None execution > workers: -1 was found; it must be at least 0.",
        "The command line None horizon > to: "
        "2023-01-01 is earlier than from, 2024-10-01; the end comes after the start.",
        "The command line None replicatons: No key has this name. Did you mean replications?",
        "The command line None seed: true is a yes or no; a whole number is welcome here.",
    ]


@pytest.mark.parametrize(
    ("override", "problem"),
    [
        ("study=exampel", "study: No study is called exampel. Did you mean example?"),
        ("study=../../x", "study: No study is called ../../x. There are: "),
        ("hydra.run.dir=x", "hydra.run.dir: Hydra itself is not set here; only the keys of the config are."),
        ("+hydra/launcher=joblib", "+hydra/launcher: Hydra itself is not set here; "),
        ("hydra.searchpath=[file:///]", "hydra.searchpath: Hydra itself is not set here; "),
        ("+care._target_=os.system", "+care._target_: Hydra itself is not set here; "),
        ("study.title=${oc.env:HOME}", "study.title: Only values of the config may be inserted, as in ${seed}; "),
        ("seed=1,2", "seed: One run takes one value; several were given."),
        ("seed=range(1,3)", "seed: One run takes one value; several were given."),
        ("network@x=example", "network@x: @ has no meaning here; write key=value."),
        ("seed", "seed: This is not key=value: missing EQUAL at '<EOF>'."),
        ("study.title=[卫", "study.title=[卫: This is not key=value: "),
    ],
)
def test_refuses_overrides_before_anything_is_composed(override: str, problem: str) -> None:
    problems = told("example", override)
    assert len(problems) == 1
    assert problems[0].startswith(f"The command line None {problem}")


def test_tells_all_wrong_overrides_at_once() -> None:
    assert len(told("exampel", "hydra.x=1", "seed", "network=nowhere")) == 4


def test_refuses_to_vary_what_is_not_compared() -> None:
    assert told("example", "vary.example_paln.slot_quota.held_for_referral=0.2") == [
        "The command line None vary.example_paln: The study compares no such scenario. Did you mean example_plan?"
    ]


def test_refuses_a_quota_of_33() -> None:
    assert told("example", "vary.example_plan.slot_quota.held_for_referral=33") == [
        "The command line None policy > slot_quota > held_for_referral > 2024-01-01 > value: "
        "33 is more than 1; a share is written 0.33."
    ]


# --------------------------------------------------------------------------------------------------------------- files


def test_tells_the_file_and_line_of_each_wrong_value(folder: Path) -> None:
    wrong = STUDY.replace("[example_before,", "[example_befor,").replace("baseline: example_before", "basline: x")
    write(folder, wrong + "seed: 1.5\nhorizon: {to: 2024-02-31}\nexecutoin: {workers: 1}\n")
    assert sorted(told()) == [
        "configs/study/mine.yaml 10 seed: 1.5 is a number; a whole number is welcome here.",
        "configs/study/mine.yaml 11 horizon > to: 2024-02-31 is not in the calendar; "
        "a date is written year-month-day, as 2024-06-30.",
        "configs/study/mine.yaml 12 executoin: No key has this name. Did you mean execution?",
        "configs/study/mine.yaml 8 study > scenarios > 0: "
        "No scenario is called example_befor. Did you mean example_before?",
        "configs/study/mine.yaml 9 study > basline: No key has this name. Did you mean baseline?",
    ]


def test_a_lever_names_facilities_that_may_become_sub_centres(folder: Path) -> None:
    says = "unit: facilities, source: {document: example-plan, clause: '1'}"
    text = (
        "name: mine\ntitle: M\ntitle_zh: 我\nextends: example_before\npolicy:\n"
        f"  capability: {{sub_centres: {{2024-01-01: {{value: [valley_center, lead_hospital], {says}}}}}}}\n"
    )
    (folder / "scenarios" / "mine.yaml").write_text(text, "utf-8")
    places = "defaults:\n  - override /network: example\n  - override /population: example\nstudy:"
    write(folder, STUDY.replace("study:", places, 1).replace("example_plan]", "mine]"))
    at = "scenarios/mine.yaml 6 policy > capability > sub_centres > 2024-01-01 > value"
    no = "is no facility of the network that states what it gains as a sub-centre."
    assert told() == [f"{at} > 0: valley_center {no} Did you mean valley_centre?", f"{at} > 1: lead_hospital {no}"]


def test_levers_name_conditions_and_areas_of_the_study(folder: Path) -> None:
    says = "source: {document: example-plan, clause: '1'}"
    text = (
        "name: mine\ntitle: M\ntitle_zh: 我\nextends: example_before\npolicy:\n"
        f"  first_contact: {{gate: {{2024-01-01: {{value: [lnug], unit: conditions, {says}}}}}}}\n"
        "  contracts:\n    coverage_in:\n"
        f"      2024-01-01: {{value: {{town: 0.5, vallye: 1}}, unit: share of the area's residents, {says}}}\n"
    )
    (folder / "scenarios" / "mine.yaml").write_text(text, "utf-8")
    places = "defaults:\n  - override /network: example\n  - override /population: example\nstudy:"
    write(folder, STUDY.replace("study:", places, 1).replace("example_plan]", "mine]"))
    gate, areas = (
        f"policy > {lever} > 2024-01-01 > value" for lever in ("first_contact > gate", "contracts > coverage_in")
    )
    wrong = [
        f"scenarios/mine.yaml 6 {gate} > 0: lnug is no condition in the facts about care. Did you mean lung?",
        f"scenarios/mine.yaml 9 {areas} > vallye: vallye is no area of the network. Did you mean valley?",
    ]
    assert told() == wrong
    (folder / "scenarios" / "mine.yaml").write_text(text.replace("lnug", "lung").replace("vallye", "valley"), "utf-8")
    varied = load("mine", overrides=["vary.mine.contracts.coverage_in={town: 0.3}"]).scenarios[1]
    assert varied.policy.on(date(2024, 1, 1)).contracts.coverage_in == {"town": 0.3}
    assert told("mine", "vary.mine.contracts.coverage_in={hill: 0.3}") == [
        f"The command line None {areas} > hill: hill is no area of the network."
    ]


def test_tells_the_file_of_a_wrong_value_in_a_config_group(folder: Path) -> None:
    write(folder, "workers: many\npakc: 3\n", "execution/huge")
    write(folder, STUDY.replace("study:", "defaults:\n  - override /execution: huge\nstudy:", 1))
    assert told() == [
        "configs/execution/huge.yaml 1 execution > workers: 'many' is text; a whole number is welcome here.",
        "configs/execution/huge.yaml 2 execution > pakc: No key has this name. Did you mean pack?",
    ]


@pytest.mark.parametrize(
    ("old", "new", "problem"),
    [
        ("baseline: example_before", "baseline: example", "9 study > baseline: example is not one of the scenarios "),
        (
            "example_before, example_plan",
            "example_plan, example_plan, example_before",
            "8 study > scenarios: example_p",
        ),
        ("[example_before, example_plan]", "[]", "8 study > scenarios: 0 entries were found; at least 1 are welcome "),
        ("name: mine", "name: other", "3 study > name: other was found; the name must be that of the file, mine."),
        ("title: Mine", "title: ${oc.env:HOME}", "4 : Only values of the config may be inserted, as in ${seed}; "),
        ("title: Mine", "title: ${sed}", "4 study > title: "),
        ("title: Mine", "title: '???'", "4 study > title: A value must be given here."),
        ("title: Mine", "title: Mine\n  _target_: os.system", "5 study > _target_: A config holds plain values; "),
        ("title: Mine", "title: Mine\n  title: Twice", "5 study: title stands here and in line 4; keep one of them."),
        ("  title: Mine", "\ttitle: Mine", "4 : A tab stands in column 1; indent with spaces."),
        ("title: Mine", "title: !!python/object/apply:os.getcwd []", "4 : A tag (!) is not allowed; "),
    ],
)
def test_refuses_wrong_studies(folder: Path, old: str, new: str, problem: str) -> None:
    write(folder, STUDY.replace(old, new))
    problems = told()
    assert any(found.startswith(f"configs/study/mine.yaml {problem}") for found in problems), problems


def test_refuses_a_file_that_is_not_utf_8(folder: Path) -> None:
    (folder / "configs" / "study" / "mine.yaml").write_bytes(STUDY.encode("gbk"))
    assert told()[0].startswith("configs/study/mine.yaml None : The file is not UTF-8 (byte ")


def test_refuses_a_citation_that_no_one_described(folder: Path) -> None:
    figure = "{value: 1, unit: x, source: {data: nhc-2042, table: x}}"
    write(folder, STUDY + f"report: {{benchmarks: [{{indicator: a, scope: b, published: {figure}}}]}}\n")
    assert told() == [
        "configs/study/mine.yaml 10 report > benchmarks > 0 > published > source > data: "
        "nhc-2042 is not described in sources.yaml. Did you mean nhc-2024?"
    ]


def test_refuses_a_folder_that_is_not_there(folder: Path) -> None:
    assert told(config_dir=folder / "none") == ["none None : There is no such folder of configs."]


# ------------------------------------------------------------------------------------------------------------ checking


def test_everything_shipped_is_right(folder: Path) -> None:
    assert check() == []


def test_checks_scenarios_studies_and_sources(folder: Path) -> None:
    write(folder, STUDY + "sed: 1\n")
    plan = folder / "scenarios" / "plan.yaml"
    plan.write_text("name: plan\ntitle: a\ntitle_zh: b\nextends: example_befor\n", "utf-8")
    (folder / "scenarios" / "sources.yaml").write_text("documetns: {}\n", "utf-8")
    problems = check(["configs/study/mine.yaml", plan, "scenarios/sources.yaml", "nothing.yaml"])
    assert {f"{p.file} {p.line} {p.path}" for p in problems} == {
        "configs/study/mine.yaml 10 sed",
        "scenarios/plan.yaml 4 extends",
        "scenarios/sources.yaml 1 documetns",
        "nothing.yaml None ",
    }
