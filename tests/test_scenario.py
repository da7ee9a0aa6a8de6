"""A scenario file is read with its parent, cites only what is described, and is varied only where it speaks."""

from __future__ import annotations

from datetime import date
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
import yaml

from sim.citation import citations
from sim.policy import NEUTRAL
from sim.scenario import (
    Scenario,
    Target,
    find_scenario,
    read_scenario,
    read_sources,
    scenario_files,
)
from sim.schema import InputError

SHIPPED = Path(__file__).parents[1] / "scenarios"

SOURCES = "documents: {plan: {title: A plan, title_zh: 方案, issuer: Nobody, date: 2023-11-02}}"
HEAD = "name: {}\ntitle: T\ntitle_zh: 题\n"
CITED = "{{value: {}, unit: share of slots, source: {{document: plan, clause: a}}}}"
HELD = f"slot_quota: {{{{held_for_referral: {{{{{{}}: {CITED}}}}}}}}}"
TARGET = "{at_most: 7.8, unit: days, by: 2024-12-31, scope: grid, source: {document: plan, clause: b}}"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder of scenarios: `before`, and `plan` which extends it."""
    here = tmp_path / "scenarios"
    here.mkdir()
    (here / "sources.yaml").write_text(SOURCES, "utf-8")
    write(here, "before", "policy:\n  " + HELD.format("2023-01-01", "1/10"))
    write(here, "plan", f"extends: before\npolicy:\n  {HELD.format('2024-06-30', '1/3')}\ntargets:\n  los: {TARGET}")
    return here


def write(folder: Path, name: str, text: str, head: str = HEAD) -> None:
    (folder / f"{name}.yaml").write_text(head.format(name) + text, "utf-8")


def told(
    folder: Path, name: str, vary: dict[str, Any] | None = None, indicators: list[str] | None = None,
    **facts: list[str],
) -> list[str]:  # fmt: skip
    with pytest.raises(InputError) as caught:
        read_scenario(name, folder, vary, indicators, facts)
    problems = caught.value.problems
    return [f"{Path(p.file).name} {p.line} {p.path}: {p.text}" for p in problems]


def held(scenario: Scenario, day: str) -> Fraction:
    return Fraction(scenario.policy.on(date.fromisoformat(day)).slot_quota.held_for_referral)


# ------------------------------------------------------------------------------------------------------------- reading


def test_a_plan_amends_its_parent_by_date(folder: Path) -> None:
    plan = read_scenario("plan", folder)
    assert [held(plan, day) for day in ("2022-12-31", "2024-06-29", "2024-06-30")] == [
        0,
        Fraction(1, 10),
        Fraction(1, 3),
    ]
    assert plan.extends == "before"


def test_a_scenario_may_be_given_as_a_file(folder: Path) -> None:
    assert read_scenario(folder / "plan.yaml", []) == read_scenario("plan", folder)


def test_the_first_folder_wins(folder: Path, tmp_path: Path) -> None:
    mine = tmp_path / "mine"
    mine.mkdir()
    write(mine, "before", "")
    assert scenario_files([mine, folder])["before"] == mine / "before.yaml"
    assert held(read_scenario("plan", [mine, folder]), "2024-01-01") == 0


def test_only_names_the_groups_that_count(folder: Path) -> None:
    write(folder, "single", f"extends: before\nonly: [bed_quota]\npolicy:\n  {HELD.format('2024-06-30', '1/3')}")
    assert held(read_scenario("single", folder), "2024-07-01") == Fraction(1, 10)


def test_a_resolved_scenario_stands_on_its_own(folder: Path, tmp_path: Path) -> None:
    plan = read_scenario("plan", folder)
    alone = tmp_path / "alone"
    alone.mkdir()
    (alone / "sources.yaml").write_text(SOURCES, "utf-8")
    (alone / "plan.yaml").write_text(yaml.safe_dump(plan.resolved(), allow_unicode=True), "utf-8")
    again = read_scenario("plan", alone)
    assert (again.policy, again.targets) == (plan.policy, plan.targets)


# ------------------------------------------------------------------------------------------------------------- varying


def test_varying_changes_only_the_dates_that_the_scenario_introduces(folder: Path) -> None:
    plan = read_scenario("plan", folder, {"slot_quota.held_for_referral": "1/4"})
    assert [held(plan, day) for day in ("2024-06-29", "2024-06-30")] == [Fraction(1, 10), Fraction(1, 4)]
    source = plan.resolved()["policy"]["slot_quota"]["held_for_referral"]["2024-06-30"]["source"]
    assert source == {"varied": "on the command line, from 1/3 (plan, a)"}


@pytest.mark.parametrize(
    ("lever", "value", "problem"),
    [
        (
            "slot_quota.held_for_referal",
            0.2,
            "The command line None slot_quota.held_for_referal: "
            "No lever has this name. Did you mean slot_quota.held_for_referral?",
        ),
        (
            "bed_quota.held_for_referral",
            0.2,
            "The command line None bed_quota.held_for_referral: "
            "plan introduces no date for this lever; it can vary slot_quota.held_for_referral.",
        ),
        (
            "slot_quota.held_for_referral",
            33,
            "The command line None policy > slot_quota > held_for_referral > 2024-06-30 > value: "
            "33 is more than 1; a share is written 0.33.",
        ),
    ],
)
def test_refuses_to_vary_what_is_not_there(folder: Path, lever: str, value: Any, problem: str) -> None:
    assert told(folder, "plan", {lever: value}) == [problem]


# ------------------------------------------------------------------------------------------------------------- targets


def test_a_target_knows_whether_it_is_met() -> None:
    source = {"document": "plan", "clause": "a"}
    rest: dict[str, Any] = {"unit": "days", "by": "2024-12-31", "scope": "grid", "source": source}
    strict, loose = Target(below=7.5, **rest), Target(at_most=7.5, **rest)
    assert (strict.met(7.5), loose.met(7.5), loose.met(7.6)) == (False, True, False)
    assert (strict.relation, strict.limit) == ("below", 7.5)
    assert Target.model_validate(rest | {"unit": "share", "at_least": "65 %"}).limit == 0.65


@pytest.mark.parametrize(
    ("target", "problem"),
    [
        (
            TARGET.replace("at_most: 7.8", "at_most: 65").replace("unit: days", "unit: share"),
            "targets > los > at_most: 65 is not between 0 and 1; a share is written 0.65 or 65 %.",
        ),
        (
            TARGET.replace("at_most: 7.8", "at_most: 7, below: 8"),
            "targets > los: A target has exactly one of at_least, at_most, above, below; found at_most and below.",
        ),
        (
            TARGET.replace("at_most: 7.8, ", ""),
            "targets > los: A target has exactly one of at_least, at_most, above, below; found none.",
        ),
        (
            TARGET.replace("at_most: 7.8", "at_most: true"),
            "targets > los > at_most: true is a yes or no; a number or a share (0.65, 65 %) is welcome here.",
        ),
        (
            TARGET.replace("2024-12-31", "2024-02-31"),
            "targets > los > by: 2024-02-31 is not in the calendar; a date is written year-month-day, as 2024-06-30.",
        ),
        (TARGET.replace("at_most", "atmost"), "targets > los > atmost: No key has this name. Did you mean at_most?"),
        (
            TARGET.replace("document: plan", "document: paln"),
            "targets > los > source > document: paln is not described in sources.yaml. Did you mean plan?",
        ),
    ],
)
def test_refuses_wrong_targets(folder: Path, target: str, problem: str) -> None:
    write(folder, "other", f"targets:\n  los: {target}")
    assert told(folder, "other")[0] == f"other.yaml 5 {problem}"


def test_refuses_a_target_for_an_unknown_indicator(folder: Path) -> None:
    problem = "plan.yaml 8 targets > los: No indicator has this name. Did you mean lose?"
    assert told(folder, "plan", indicators=["lose"]) == [problem]
    assert read_scenario("plan", folder, indicators=["los"]).targets


def test_refuses_levers_for_unknown_conditions(folder: Path) -> None:
    gate = "gate: {2024-01-01: {value: [cold, lnug], unit: conditions, source: {document: plan, clause: a}}}"
    write(folder, "gated", f"policy:\n  first_contact:\n    {gate}")
    known = ["cold", "lung"]
    at, why = "policy > first_contact > gate > 2024-01-01 > value > 1", "is no condition in the facts about care."
    assert told(folder, "gated", conditions=known) == [f"gated.yaml 6 {at}: lnug {why} Did you mean lung?"]
    assert read_scenario("gated", folder).policy.on(date(2024, 1, 1)).first_contact.gate == ["cold", "lnug"]
    other = told(folder, "gated", {"first_contact.gate": ["bone"]}, conditions=known)
    assert [line.partition(" policy")[0] for line in other] == ["The command line None"]


def test_refuses_levers_for_unknown_areas(folder: Path) -> None:
    shares = "value:\n          twon: 0.5\n          valley: 0.9\n          hlil: 1\n"
    says = "        unit: share of the area's residents\n        source: {document: plan, clause: a}"
    lever = f"coverage_in:\n      2024-01-01:\n        {shares}{says}"
    write(folder, "by-area", f"policy:\n  contracts:\n    {lever}")
    at = "policy > contracts > coverage_in > 2024-01-01 > value"
    assert told(folder, "by-area", areas=["town", "valley", "hill"]) == [
        f"by-area.yaml 9 {at} > twon: twon is no area of the network. Did you mean town?",
        f"by-area.yaml 11 {at} > hlil: hlil is no area of the network. Did you mean hill?",
    ]
    assert read_scenario("by-area", folder, facts={"conditions": ["cold"]})
    other = told(folder, "by-area", {"contracts.coverage_in": {"far": 0.5}}, areas=["town"])
    assert other == [f"The command line None {at} > far: far is no area of the network."]


# ------------------------------------------------------------------------------------------------------------- refused


def test_refuses_an_unknown_scenario_and_an_unknown_parent(folder: Path) -> None:
    assert told(folder, "paln") == ["The command line None : No scenario is called paln. Did you mean plan?"]
    assert told(folder, "zzzz") == ["The command line None : No scenario is called zzzz. There are: before, plan."]
    write(folder, "other", "extends: befor")
    assert told(folder, "other") == ["other.yaml 4 extends: No scenario is called befor. Did you mean before?"]


def test_refuses_a_circle(folder: Path) -> None:
    write(folder, "before", "extends: plan")
    assert told(folder, "plan") == [
        "before.yaml 4 extends: Scenarios extend each other in a circle: plan -> before -> plan."
    ]
    write(folder, "self", "extends: self")
    assert told(folder, "self")[0].endswith("in a circle: self -> self.")


def test_refuses_a_name_that_is_not_the_file_s(folder: Path) -> None:
    write(folder, "other", "", HEAD.replace("{}", "plan"))
    assert told(folder, "other") == ["other.yaml 1 name: plan was found; the name must be that of the file, other."]


def test_refuses_a_citation_that_leads_nowhere(folder: Path) -> None:
    write(folder, "other", "policy:\n  " + HELD.format("2024-01-01", "1/3").replace("plan", "paln"))
    assert told(folder, "other") == [
        "other.yaml 5 policy > slot_quota > held_for_referral > 2024-01-01 > source > document: "
        "paln is not described in sources.yaml. Did you mean plan?"
    ]
    (folder / "sources.yaml").unlink()
    assert told(folder, "plan")[0].endswith("plan is not described in sources.yaml.")


def test_tells_the_problems_of_a_file_and_of_its_parent_at_once(folder: Path) -> None:
    write(folder, "before", "policy:\n  slot_quota: {held_for_referal: {}}")
    write(folder, "plan", f"extends: before\nnotse: x\nonly: [slots]\npolicy:\n  {HELD.format('2024-02-31', 33)}")
    assert sorted(told(folder, "plan")) == [
        "before.yaml 5 policy > slot_quota > held_for_referal: No lever has this name. Did you mean held_for_referral?",
        "plan.yaml 5 notse: No key has this name. Did you mean notes?",
        "plan.yaml 8 policy > slot_quota > held_for_referral > 2024-02-31 > value: "
        "33 is more than 1; a share is written 0.33.",
        "plan.yaml 8 policy > slot_quota > held_for_referral > 2024-02-31: "
        "2024-02-31 is not in the calendar; a date is written year-month-day, as 2024-06-30.",
    ]


def test_refuses_an_unknown_group_in_only(folder: Path) -> None:
    write(folder, "other", "only: [slot_quotas]")
    problem = "other.yaml 4 only: No group of levers is called slot_quotas. Did you mean slot_quota?"
    assert told(folder, "other") == [problem]


def test_refuses_code_and_hydra_words(folder: Path) -> None:
    write(folder, "other", "policy:\n  _target_: os.system")
    assert told(folder, "other") == ["other.yaml 5 policy > _target_: No group of levers has this name."]


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("documents: {plan: {title: a, title_zh: b, isuer: c}}", "No entry has this name. Did you mean issuer?"),
        ("docments: {}", "No key has this name. Did you mean documents?"),
        (
            "documents: {plan: {title: a, title_zh: b, issuer: c, date: soon}}",
            "'soon' is not a date as far as it is known; write 2023, 2023-11 or 2023-11-02.",
        ),
    ],
)
def test_refuses_wrong_descriptions(folder: Path, text: str, problem: str) -> None:
    (folder / "sources.yaml").write_text(text, "utf-8")
    assert any(found.startswith("sources.yaml 1") and found.endswith(problem) for found in told(folder, "plan"))


# ------------------------------------------------------------------------------------------------------------- shipped


@pytest.mark.parametrize("name", scenario_files([SHIPPED]))
def test_shipped_scenarios_are_right(name: str) -> None:
    scenario = read_scenario(name, SHIPPED)
    assert scenario.question
    assert scenario.question_zh
    assert scenario.policy.dates()


def test_every_described_document_is_cited() -> None:
    scenarios = [read_scenario(name, SHIPPED) for name in scenario_files([SHIPPED])]
    sources = [cited.source for scenario in scenarios for _, _, cited in citations(scenario.policy)]
    sources += [target.source for scenario in scenarios for target in scenario.targets.values()]
    assert {source.document for source in sources if source.document} == set(read_sources([SHIPPED]).documents)


def test_the_zhongwei_plan_is_as_its_document_says() -> None:
    plan = read_scenario("zhongwei_plan", SHIPPED)
    before, after = (plan.policy.on(day) for day in (date(2024, 6, 29), date(2024, 6, 30)))
    assert (before.slot_quota, before.bed_quota) == (NEUTRAL.slot_quota, NEUTRAL.bed_quota)
    assert (after.slot_quota.held_for_referral, after.bed_quota.held_for_referral) == (Fraction(1, 3), Fraction(1, 4))
    assert (before.priority.referred_contracted, after.priority.referred_contracted) == (False, True)
    assert (before.first_contact.adherence, after.first_contact.adherence) == (0, 0.3)
    limits = {name: (target.relation, target.limit) for name, target in plan.targets.items()}
    assert limits == {
        "grassroots_visit_share": ("at_least", 0.65),
        "average_length_of_stay": ("at_most", 7.8),
        "outpatient_per_discharge": ("at_most", 12),
        "level4_operation_share": ("at_least", 0.15),
        "case_mix_index": ("at_least", 1),
    }
    assert {target.by for target in plan.targets.values()} == {date(2024, 12, 31)}


def test_finding_a_scenario_gives_its_file() -> None:
    assert find_scenario("zhongwei_plan", [SHIPPED]) == SHIPPED / "zhongwei_plan.yaml"


def test_the_example_in_the_readme_is_right(tmp_path: Path) -> None:
    text = (SHIPPED / "README.md").read_text("utf-8").partition("```yaml\n")[2].partition("```")[0]
    (tmp_path / "my_plan.yaml").write_text(text, "utf-8")
    (tmp_path / "sources.yaml").write_text(SOURCES.replace("{plan:", "{my-plan-2024:"), "utf-8")
    plan = read_scenario(tmp_path / "my_plan.yaml", SHIPPED)
    assert held(plan, "2024-06-30") == Fraction(1, 5)
