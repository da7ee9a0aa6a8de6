"""What a folder was begun with: written before the first task, and refused where it is no longer the same."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from sim import begun
from sim.schema import InputError

VALUES = {"seed": 1, "network": {"beds": [44, 20]}, "scenarios": {"plan": {"share": "1/3"}}}
WORDS = ["run", "study=example", "replications=2", "output=elsewhere"]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder that was begun with VALUES."""
    begun.write(tmp_path, WORDS, VALUES)
    return tmp_path


def refused(folder: Path, values: Any) -> str:
    """Why a folder is not gone on with."""
    with pytest.raises(InputError) as caught:
        begun.refuse_changes(begun.read(folder), folder, values)
    return str(caught.value)


def test_the_same_is_gone_on_with(folder: Path) -> None:
    found = begun.read(folder)
    assert begun.command(found, folder) == ["run", "study=example", "replications=2", f"output={folder}"]
    begun.refuse_changes(found, folder, json.loads(json.dumps(VALUES)))


def test_other_values_are_told_one_by_one(folder: Path) -> None:
    other = {"seed": 2, "network": {"beds": [44, 21]}, "scenarios": {"plan": {"share": "1/3", "new": True}}}
    text = refused(folder, other)
    assert "seed\n    1 then, 2 now." in text
    assert "network > beds > 1\n    20 then, 21 now." in text
    assert "scenarios > plan > new\n    nothing then, true now." in text
    assert f"tiercare run study=example replications=2 output={folder}" in text


def test_a_long_list_of_changes_is_cut_and_counted(tmp_path: Path) -> None:
    begun.write(tmp_path, WORDS, {str(n): n for n in range(50)})
    text = refused(tmp_path, {str(n): n + 1 for n in range(50)})
    assert text.count(" then, ") == begun.TOLD
    assert "30 more values differ." in text


@pytest.mark.parametrize("changed", ["code", "packages", "format"])
def test_other_code_is_refused(folder: Path, changed: str) -> None:
    file = folder / begun.FILE
    data = json.loads(file.read_text("utf-8"))
    (data if changed == "format" else data["code"])[changed] = "of old"
    file.write_text(json.dumps(data), "utf-8")
    text = refused(folder, VALUES)
    assert f'The simulation has changed: {changed} "of old" then' in text
    assert " now (commit " in text


def test_a_commit_alone_is_no_change(folder: Path) -> None:
    file = folder / begun.FILE
    data = json.loads(file.read_text("utf-8"))
    data["code"]["git"] = {"commit": "0" * 40, "dirty": False}
    file.write_text(json.dumps(data), "utf-8")
    begun.refuse_changes(begun.read(folder), folder, VALUES)


@pytest.mark.parametrize(
    ("text", "words"), [(None, "nothing to resume"), ("{", "damaged"), ('{"words": []}', "damaged")]
)
def test_what_was_never_begun_or_is_damaged_is_told(tmp_path: Path, text: str | None, words: str) -> None:
    if text is not None:
        (tmp_path / begun.FILE).write_text(text, "utf-8")
    with pytest.raises(InputError, match=words):
        begun.read(tmp_path)


def test_what_a_notebook_began_is_for_the_notebook(tmp_path: Path) -> None:
    begun.write(tmp_path, None, VALUES)
    with pytest.raises(InputError, match="program or notebook"):
        begun.command(begun.read(tmp_path), tmp_path)
