"""A study on disk: keys, tasks that are whole or said to be damaged, the facility table, provenance."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import date
from fractions import Fraction
from pathlib import Path

import pandas as pd
import pytest

from sim import results
from sim.network import FacilitySpec
from sim.results import Damaged, Results, Tasks, Unwritable, digest, plain, task_keys, to_parquet, write_file
from sim.schema import Closed, InputError, Share

MONTH = date(2024, 1, 1)


class Ward(Closed):
    """Something a case is made of."""

    beds: int
    held: Share = Fraction(0)


@dataclass(frozen=True)
class Case:
    """As much of a case as a key needs."""

    ward: Ward
    seed: int = 1
    to: date = date(2024, 12, 31)


CASE = Case(Ward(beds=44, held=Fraction(1, 3)))


def visits(number: int) -> dict[str, pd.DataFrame]:
    """The tables of a task."""
    months = pd.DataFrame({"month": [MONTH, MONTH], "level": ["centre", "tertiary"], "visits": [number, 2 * number]})
    return {"visits_monthly": months, "loads": pd.DataFrame({"point": [1], "load": [0.5]})}


# ---------------------------------------------------------------------------------------------------------------- keys


def test_a_key_follows_from_the_content_alone() -> None:
    assert task_keys(CASE, 3) == task_keys(Case(Ward(beds=44, held=Fraction(1, 3))), 3)
    assert len(set(task_keys(CASE, 50))) == 50


@pytest.mark.parametrize(
    "other",
    [replace(CASE, seed=2), replace(CASE, to=date(2025, 1, 1)), replace(CASE, ward=Ward(beds=45, held=Fraction(1, 3)))],
)
def test_whatever_changes_a_number_changes_the_key(other: Case) -> None:
    assert not set(task_keys(CASE, 5)) & set(task_keys(other, 5))


def test_more_replications_change_no_key() -> None:
    assert task_keys(CASE, 10)[:3] == task_keys(CASE, 3)


def test_another_code_or_package_is_another_key(monkeypatch: pytest.MonkeyPatch) -> None:
    before = task_keys(CASE, 1)
    monkeypatch.setattr(results, "code_digest", lambda: "other")
    assert task_keys(CASE, 1) != before
    monkeypatch.undo()
    monkeypatch.setattr(results, "_version", lambda package: "99")
    assert task_keys(CASE, 1) != before


def test_the_order_of_keys_does_not_matter_and_nan_is_refused() -> None:
    assert digest({"a": 1, "b": [2, 3]}) == digest({"b": [2, 3], "a": 1}) != digest({"a": 1, "b": [3, 2]})
    with pytest.raises(ValueError, match="not JSON compliant"):
        digest({"a": float("nan")})


def test_plain_keeps_shares_exact() -> None:
    assert plain(CASE)["ward"] != plain(Case(Ward(beds=44, held=Fraction("0.3333333333"))))["ward"]
    assert plain(CASE)["to"] == "2024-12-31"


# --------------------------------------------------------------------------------------------------------------- tasks


@pytest.fixture
def store(tmp_path: Path) -> Tasks:
    """A store with one finished task, `one`."""
    tasks = Tasks(tmp_path / "tasks")
    tasks.save("one", visits(10))
    return tasks


def test_a_task_comes_back_as_it_was(store: Tasks) -> None:
    assert store.is_finished("one")
    assert not store.is_finished("two")
    assert store.names("one") == ["loads", "visits_monthly"]
    back = store.read("one", "visits_monthly").to_pandas()
    assert back["visits"].tolist() == [10, 20]
    assert back["month"].tolist() == [MONTH, MONTH]
    assert back["level"].tolist() == ["centre", "tertiary"]


def _flip(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


def _cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-1])


@pytest.mark.parametrize("file", ["visits_monthly.parquet", "loads.parquet", "manifest.json"])
@pytest.mark.parametrize("harm", [_flip, _cut, Path.unlink, lambda path: path.write_bytes(b"")])
def test_any_harm_is_noticed(store: Tasks, file: str, harm) -> None:  # type: ignore[no-untyped-def]
    harm(store.folder / "one" / file)
    with pytest.raises(Damaged, match="task one: "):
        store.is_finished("one")


def test_a_damaged_task_is_replaced(store: Tasks) -> None:
    _cut(store.folder / "one" / "loads.parquet")
    store.save("one", visits(11))
    assert store.is_finished("one")
    assert store.read("one", "visits_monthly")["visits"].to_pylist() == [11, 22]


def test_an_audited_task_is_a_task_but_not_the_other_way_round(store: Tasks) -> None:
    audited = Tasks(store.folder, audited=True)
    assert not audited.is_finished("one")
    audited.save("one", visits(10))
    assert audited.is_finished("one")
    assert store.is_finished("one")


def test_a_task_is_there_whole_or_not_at_all(store: Tasks, monkeypatch: pytest.MonkeyPatch) -> None:
    write = results._write_through

    def full(path: Path, data: bytes) -> None:
        if path.name == "visits_monthly.parquet":
            raise OSError(28, "No space left on device")
        write(path, data)

    monkeypatch.setattr(results, "_write_through", full)
    with pytest.raises(Unwritable, match="No space"):
        store.save("two", visits(1))
    assert not store.is_finished("two")
    store.open()
    assert [path.name for path in store.folder.iterdir()] == ["one"]


def test_the_same_table_gives_the_same_bytes() -> None:
    frame = visits(3)["visits_monthly"]
    assert to_parquet(frame) == to_parquet(frame.copy())


def test_a_file_that_cannot_be_replaced_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "table.csv"
    write_file(path, "old")
    monkeypatch.setattr("os.fsync", lambda file: (_ for _ in ()).throw(OSError(28, "No space left on device")))
    with pytest.raises(OSError, match="No space"):
        write_file(path, "new")
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


# ------------------------------------------------------------------------------------------------------------- results


@pytest.fixture
def found(tmp_path: Path) -> Results:
    """Two scenarios, two replications; the second scenario says the same as the first."""
    store = Tasks(tmp_path / "tasks")
    store.save("x", visits(1))
    store.save("y", visits(5))
    (tmp_path / "tasks.csv").write_text("scenario,replication,task\nnow,0,x\nnow,1,y\nplan,0,x\nplan,1,y\n")
    return Results(tmp_path)


def test_tables_put_scenario_and_replication_first(found: Results) -> None:
    table = found.tables["visits_monthly"]
    assert list(table) == ["scenario", "replication", "month", "level", "visits"]
    assert table.groupby(["scenario", "replication"], observed=True)["visits"].sum().tolist() == [3, 15, 3, 15]
    assert found.visits.equals(table)


def test_rows_are_read_when_asked_for(found: Results) -> None:
    Tasks(found.folder / "tasks").save("x", {**visits(1), "visits": pd.DataFrame({"minute": [7.5]})})
    Tasks(found.folder / "tasks").save("y", {**visits(5), "visits": pd.DataFrame({"minute": [8.5]})})
    assert "visits" not in found.tables
    assert found.visits["minute"].tolist() == [7.5, 8.5, 7.5, 8.5]


def test_texts_are_categories_in_alphabetical_order(found: Results) -> None:
    assert list(found.table("visits_monthly")["level"].cat.categories) == ["centre", "tertiary"]


def test_damaged_results_are_not_used(found: Results) -> None:
    _flip(found.folder / "tasks" / "y" / "visits_monthly.parquet")
    with pytest.raises(Damaged, match="visits_monthly"):
        found.table("visits_monthly")


def test_an_unknown_table_is_named_with_those_there_are(found: Results) -> None:
    with pytest.raises(KeyError, match="no table vists; there are loads, visits_monthly"):
        found.table("vists")


def test_a_folder_without_a_study_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no finished study"):
        Results.open(tmp_path)


def test_alike_facilities_are_told_apart() -> None:
    names = {"id": "station", "name": "Station", "name_zh": "卫生室"}
    stations = FacilitySpec.model_construct(**names, level="village_station", area="a", count=2)
    rows = list(results._alike(stations))
    assert [row["id"] for row in rows] == ["station-001", "station-002"]
    assert rows[1]["name_zh"] == "卫生室 2"
    assert rows[0]["group"] == ""


# ---------------------------------------------------------------------------------------------------------- provenance


def test_git_is_null_outside_a_checkout(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(results, "__file__", str(tmp_path / "sim" / "results.py"))
    assert results.commit() is None


def test_git_is_null_without_git(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    assert results.commit() is None


def test_a_task_of_another_version_is_told_as_such(store: Tasks) -> None:
    manifest = store.folder / "one" / "manifest.json"
    manifest.write_text(manifest.read_text("utf-8").replace(f'"format": {results.FORMAT}', '"format": 1'), "utf-8")
    with pytest.raises(Damaged, match="another version of tiercare"):
        store.is_finished("one")


# ------------------------------------------------------------------------------------------------------------- together


@pytest.fixture
def many(tmp_path: Path) -> Results:
    """A folder with more tasks than are read one by one each time."""
    store = Tasks(tmp_path / "tasks")
    names = [f"task-{n}" for n in range(results.MANY)]
    for n, name in enumerate(names):
        store.save(name, visits(n))
    tasks = pd.DataFrame({"scenario": "plan", "replication": range(results.MANY), "task": names})
    tasks.to_csv(tmp_path / "tasks.csv", index=False)
    return Results(tmp_path)


def test_many_tasks_are_kept_together_and_read_alike(many: Results) -> None:
    one_by_one, at_once = many.table("visits_monthly"), Results(many.folder).table("visits_monthly")
    assert (many.folder / "together" / "visits_monthly.parquet").is_file()
    pd.testing.assert_frame_equal(one_by_one, at_once)
    assert at_once["visits"].tolist() == [v for n in range(results.MANY) for v in (n, 2 * n)]


def test_a_copy_of_other_tasks_or_a_damaged_one_is_not_used(many: Results) -> None:
    before = many.table("visits_monthly")
    file = many.folder / "together" / "visits_monthly.parquet"
    _flip(file)
    pd.testing.assert_frame_equal(Results(many.folder).table("visits_monthly"), before)
    Tasks(many.folder / "tasks").save("task-7", visits(1000))
    assert Results(many.folder).table("visits_monthly")["visits"].sum() == before["visits"].sum() + 3 * (1000 - 7)
    _cut(many.folder / "tasks" / "task-8" / "visits_monthly.parquet")
    file.unlink()
    with pytest.raises(Damaged, match="task-8"):
        Results(many.folder).table("visits_monthly")
