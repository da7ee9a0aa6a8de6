"""What it would take: the question, what is set to which value, and an answer that keeps what it says."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import sim
from analysis.measures import measure
from sim import goal, study
from sim.__main__ import DONE, main
from sim.compose import Config
from sim.schema import InputError

SHORT: Any = {"warmup_from": "2024-07-01", "from": "2024-07-08", "to": "2024-07-21"}


@pytest.fixture(scope="module")
def config() -> Config:
    """The fictional town, a fortnight."""
    return sim.load("example", horizon=SHORT, replications=2, execution={"workers": 1})


def told(config: Config, target: str = "grassroots_visit_share", lever: str = goal.USUAL, **said: Any) -> list[str]:
    """Everything that is wrong with a question."""
    with pytest.raises(InputError) as error:
        goal.understood(config, target, lever.split(","), said)
    return [f"{problem.path}: {problem.text}" for problem in error.value.problems]


def test_everything_that_is_wrong_is_told_at_once_with_the_nearest_right_name(config: Config) -> None:
    found = told(config, "grassroots_visit_shar", "first_contact.adherance,lead_bed", low="much", lover="x")
    assert found == [
        "lover: A search has no such setting. Did you mean lever?",
        "low: 'much' is not a number.",
        "target: No indicator grassroots_visit_shar is computed. Did you mean grassroots_visit_share?",
        "lever: Nothing is called first_contact.adherance that could be sought. Did you mean first_contact.adherence?",
        "lever: Nothing is called lead_bed that could be sought. Did you mean lead_beds?",
    ]


def test_what_cannot_be_asked_is_refused(config: Config) -> None:
    assert "states no such target; give at_least= or at_most=" in told(config, "wait_days")[0]
    assert "one of them" in told(config, at_least=0.5, at_most=0.6)[0]
    assert "is no number" in told(config, lever="bed_quota.kind")[0]
    assert "has no highest value; give high=" in told(config, lever="tcm.halls")[0]
    assert "0 to 2 is no range from 0 to 1" in told(config, high=2)[0]
    assert "Did you mean example_plan?" in told(config, scenario="example_paln")[0]
    assert "2023 is not measured" in told(config, year="2023")[0]
    assert "Did you mean tertiary_public?" in told(config, scope="tertiary_publik")[0]


def test_the_stated_target_is_asked_about_unless_the_question_says_more(config: Config) -> None:
    scenario, stated, (thing,), step = goal.understood(config, "average_length_of_stay", [goal.USUAL], {})
    assert (scenario.name, thing.name, step) == ("example_plan", goal.USUAL, None)
    assert (stated.scope, stated.rising, stated.limit, stated.year) == ("tertiary_public", False, 7.8, "")
    said = {"at_least": "65 %", "scope": "lead", "year": "2024", "high": 0.5, "tolerance": 0.1}
    _, other, (thing,), step = goal.understood(config, "average_length_of_stay", [goal.USUAL], said)
    assert (other.scope, other.rising, other.limit, other.year) == ("lead", True, 0.65, "2024")
    assert (thing.low, thing.high, step) == (0.0, 0.5, 0.1)


def test_a_lever_is_set_on_the_dates_that_the_scenario_introduces(config: Config) -> None:
    plan, known = config.scenarios[1], goal.things(config)

    def put(name: str, value: float) -> Any:
        group, lever = name.split(".")
        scenario, network = known[name].put(config, plan, value)
        assert network is config.network
        return getattr(getattr(scenario.policy, group), lever)

    values = {str(day): cited.value for day, cited in put("up_referral.formal_share", 0.9).values.items()}
    assert values == {"2023-01-01": 0.06, "2024-01-01": 0.9}, "what was before stays in force"
    assert put("first_contact.adherence", 0.4).ramp is None
    assert {cited.value for cited in put("first_contact.adherence", 0.4).values.values()} == {0.4}
    assert {str(day) for day in put("day_care.share", 0.5).values} == {"2024-01-01"}, "not pulled: from its first date"
    assert put("slot_quota.released_days_before", 3.0).values.popitem()[1].value == 3


def test_facts_are_scaled_to_whole_numbers_and_told_in_their_unit(config: Config) -> None:
    for name, part in (("lead_beds", "wards"), ("lead_slots", "clinics")):
        thing = goal.things(config)[name]
        _, network = thing.put(config, config.scenarios[1], 1.5)
        assert thing.amount is not None
        assert thing.amount(network) == pytest.approx(1.5 * thing.amount(config.network), rel=0.1)
        for before, after in zip(config.network.facilities, network.facilities, strict=True):
            assert (before == after) is (before.role != "lead")
            for one, other in zip(getattr(before, part), getattr(after, part), strict=True):
                count = "beds" if part == "wards" else "slots"
                if getattr(one, count) is not None and before.role == "lead":
                    assert getattr(other, count).value == round(1.5 * getattr(one, count).value)
    doctors = goal.things(config)["doctors_per_centre"]
    assert doctors.amount is not None
    centres = [f for f in config.network.facilities if f.level == "centre"]
    counted = sum(f.count * sum(c.doctors.value for c in f.clinics if c.kind != "joint") for f in centres)
    assert doctors.amount(config.network) == pytest.approx(counted / sum(f.count for f in centres))


def test_the_answer_keeps_what_it_says(config: Config, tmp_path: Path) -> None:
    asked = config.model_copy(update={"output": str(tmp_path / "sought")})
    limit = 0.62
    found = sim.seek(asked, target="grassroots_visit_share", at_least=limit, tolerance=0.3)
    (answer,) = found.answers
    assert answer.found.verdict == "found"
    checked = sim.load(
        "example",
        overrides=[f"vary.example_plan.first_contact.adherence={answer.found.value}"],
        horizon=SHORT, replications=2, execution={"workers": 1},
    )  # fmt: skip
    results = study.finish(study.open_folder(tmp_path / "checked"), checked, study.cases(checked))
    shares = measure(results.tables, results.facilities, only=["grassroots_visit_share"])
    shares = shares.query("scenario == 'example_plan' and variant == 'headline'")
    assert shares["value"].mean() == pytest.approx(limit, abs=0.01)

    tried = pd.read_csv(tmp_path / "sought" / "seek.csv")
    assert tried["value"].tolist() == answer.found.tried.tolist()
    assert tried["mean"].tolist() == pytest.approx(answer.found.told.mean(axis=1).tolist())
    crossings = pd.read_csv(tmp_path / "sought" / "seek_crossings.csv")
    assert crossings["value"].tolist() == pytest.approx(answer.found.crossings.tolist(), nan_ok=True)
    assert found.text == (tmp_path / "sought" / "seek.txt").read_text("utf-8").strip()
    assert "reaches Grassroots share of visits ≥ 62%" in found.text
    assert "基层首诊依从率" in (tmp_path / "sought" / "seek.zh.txt").read_text("utf-8")
    assert (tmp_path / "sought" / "figures" / "first_contact.adherence.en.svg").read_text("utf-8").startswith("<svg")


def test_the_command_finds_finished_tasks_and_says_what_cannot_be_reached(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    fortnight = [f"horizon.{name}={day}" for name, day in SHORT.items()]
    asked = ["seek", "study=example", "target=grassroots_visit_share", "at_least=0.99", "lever=lead_beds", "high=2"]
    words = [*asked, *fortnight, "replications=2", "execution.workers=1", f"output={tmp_path / 'out'}"]
    said = []
    for _ in range(2):
        assert main(words) == DONE
        said.append(capsys.readouterr())
    assert "does not reach Grassroots share of visits ≥ 99%" in said[0].out or "no answer" in said[0].out
    assert said[0].out == said[1].out
    assert "4 of 4 tasks are finished already" in said[1].err
    assert np.allclose(pd.read_csv(tmp_path / "out" / "seek.csv")["value"], [0.5, 2.0])
