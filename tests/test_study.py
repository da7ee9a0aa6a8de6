"""A study in its folder: what is compared, who may write there, what is written."""

from __future__ import annotations

import fcntl
from pathlib import Path

import pytest

import sim
from sim import study
from sim.compose import Config
from sim.results import digest, plain, task_keys
from sim.schema import InputError


@pytest.fixture(scope="module")
def config() -> Config:
    """The fictional town, four replications."""
    return sim.load("example", replications=4)


def test_scenarios_differ_in_their_policy_alone(config: Config) -> None:
    before, plan = study.cases(config).values()
    assert before.policy != plan.policy
    rest = [{name: part for name, part in plain(case).items() if name != "policy"} for case in (before, plan)]
    assert digest(rest[0]) == digest(rest[1])


def test_words_of_the_report_change_no_case(config: Config) -> None:
    other = config.model_copy(update={"study": config.study.model_copy(update={"title": "Another title"})})
    assert study.cases(other) == study.cases(config)


def test_every_fact_of_the_config_reaches_the_engine(config: Config) -> None:
    settled_elsewhere = {
        "study",
        "execution",
        "report",
        "replications",
        "output",
        "scenarios",
        "horizon",
        "audit",
        "precision",
    }
    reaching = set(plain(next(iter(study.cases(config).values()))))
    assert set(type(config).model_fields) - settled_elsewhere <= reaching


def test_the_audit_reaches_the_engine_and_makes_no_other_case(config: Config) -> None:
    audited = study.cases(config.model_copy(update={"audit": True}))
    assert audited == study.cases(config)
    for name, case in study.cases(config).items():
        assert (audited[name].audit, case.audit) == (True, False)
        assert task_keys(audited[name], 2) == task_keys(case, 2)


def test_draws_are_the_same_in_all_scenarios_and_stay_in_range(config: Config) -> None:
    draws = study.draws(study.cases(config), 4)
    facts = draws[~draws["path"].str.startswith("policy.")]
    wide = facts.pivot(index=["path", "replication"], columns="scenario", values="value")
    assert wide["example_before"].equals(wide["example_plan"])
    adherence = draws[draws["path"] == "policy.first_contact.adherence"]["value"]
    assert len(adherence.unique()) == 4
    assert adherence.between(0.10, 0.60).all()


def test_more_replications_change_no_draw(config: Config) -> None:
    four, two = study.draws(study.cases(config), 4), study.draws(study.cases(config), 2)
    assert four[four["replication"] < 2].reset_index(drop=True).equals(two)


def test_luck_alone_draws_nothing() -> None:
    assert study.draws(study.cases(sim.load("example", uncertainty="luck")), 4).empty


# -------------------------------------------------------------------------------------------------------------- folder


def test_a_folder_is_made_and_known_again(tmp_path: Path) -> None:
    folder = study.open_folder(tmp_path / "a folder" / "结果")
    assert (folder / study.MARK).is_file()
    assert study.open_folder(folder) == folder


def test_a_foreign_folder_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "thesis.docx").write_text("do not lose")
    with pytest.raises(InputError, match="not empty and no study"):
        study.open_folder(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.docx"]


@pytest.fixture(params=["file", "loop", "device"])
def impossible(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """A path that cannot be a folder."""
    path = tmp_path / "place"
    if request.param == "file":
        path.write_text("")
    elif request.param == "loop":
        path.symlink_to(path)
    else:
        path = Path("/dev/null")
    return path


def test_a_path_that_cannot_be_a_folder_is_refused(impossible: Path) -> None:
    with pytest.raises(InputError, match="Nothing can be written here"):
        study.open_folder(impossible)


def test_two_studies_do_not_share_a_folder(tmp_path: Path) -> None:
    with study.alone_in(tmp_path), pytest.raises(study.InUse, match=r"in use by another study \(process \d+ on "):  # noqa: SIM117
        with study.alone_in(tmp_path):
            pass
    with study.alone_in(tmp_path):
        pass
    assert not list(tmp_path.iterdir())


def test_a_lock_of_the_dead_does_not_bind(tmp_path: Path) -> None:
    with (tmp_path / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        lock.write("process 1 on elsewhere")
    with study.alone_in(tmp_path):
        assert "elsewhere" not in (tmp_path / ".lock").read_text("utf-8")
