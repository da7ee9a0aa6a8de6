"""Kernels: numba is asked for late or never, machine code belongs to one text, tables lie side by side."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from sim import kernels
from sim.kernels import is_compiled, is_prepared, kernel, machine_code_folders, table

TESTS = Path(__file__).parent
needs_numba = pytest.mark.skipif(not is_compiled(), reason="numba is not installed, or TIERCARE_PURE=1")


@kernel
def double(number: float) -> float:
    """Twice as much."""
    return 2.0 * number


@kernel
def double_each(numbers: Any, doubled: Any) -> None:
    """Kernels call each other as plain functions do."""
    for i in range(len(numbers)):
        doubled[i] = double(numbers[i])


def python(script: str, **environment: str) -> str:
    """What a script prints in a Python of its own."""
    path = os.pathsep.join([str(TESTS.parent), str(TESTS)])
    environment = os.environ | {"PYTHONPATH": path} | environment
    done = subprocess.run([sys.executable, "-c", script], env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


# -------------------------------------------------------------------------------------------------------------- numba


def test_without_numba_a_town_runs_as_it_is_written() -> None:
    script = "import sys, towns; print(len(towns.run(towns.group_town(2))[0]['visits']), 'numba' in sys.modules)"
    visits, numba = python(script, TIERCARE_PURE="1").split()
    assert int(visits) > 30
    assert numba == "False"


@pytest.mark.parametrize(
    "script", ["import sim", "import sim.model", "from sim.__main__ import main; main(['list', 'levers'])"]
)
def test_numba_is_not_imported_before_something_is_simulated(script: str) -> None:
    assert python(f"import sys\n{script}\nprint('numba' in sys.modules)").splitlines()[-1] == "False"


def test_a_kernel_says_the_same_compiled_and_as_it_is_written() -> None:
    for run in (double_each, double_each.plain):
        doubled = np.zeros(3)
        run(np.array([1.0, -2.0, 0.25]), doubled)
        assert doubled.tolist() == [2.0, -4.0, 0.5]
    assert double(21.0) == double.plain(21.0) == double.body(21.0) == 42.0
    assert double.__doc__ == "Twice as much."


@needs_numba
def test_with_numba_kernels_are_machine_code() -> None:
    assert double.run is not double.plain
    assert hasattr(double.run, "inspect_asm")


# ------------------------------------------------------------------------------------------------------- machine code


@pytest.fixture
def sources(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Copies of the rooms, which take the place of the rooms, where nobody has said where machine code is kept."""
    here = tmp_path / "sim"
    here.mkdir()
    for path in kernels.HERE.glob("*.py"):
        shutil.copy(path, here)
    monkeypatch.setattr(kernels, "HERE", here)
    monkeypatch.setattr(Path, "home", lambda: tmp_path / "home")
    monkeypatch.delenv("NUMBA_CACHE_DIR", raising=False)
    return here


def test_machine_code_belongs_to_the_text_of_all_kernels(sources: Path) -> None:
    care, first = sources / "care.py", machine_code_folders()
    text = care.read_text("utf-8")
    assert "u >= tables.triage" in text
    care.write_text(text.replace("u >= tables.triage", "u > tables.triage"), "utf-8")
    assert set(machine_code_folders()).isdisjoint(first)
    care.write_text(text, "utf-8")
    assert machine_code_folders() == first


def test_rooms_without_kernels_leave_machine_code_as_it_is(sources: Path) -> None:
    first = machine_code_folders()
    room = sources / "citation.py"
    room.write_text(room.read_text("utf-8") + "\n# another word\n", "utf-8")
    assert machine_code_folders() == first


def test_machine_code_lies_beside_the_rooms_or_at_home_or_where_it_was_asked_for(
    sources: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    homes = [folder.parent for folder in machine_code_folders()]
    assert homes == [sources / "__pycache__", tmp_path / "home" / ".cache" / "tiercare"]
    monkeypatch.setenv("NUMBA_CACHE_DIR", str(tmp_path / "asked for"))
    assert [folder.parent for folder in machine_code_folders()] == [tmp_path / "asked for"]


@needs_numba
def test_machine_code_is_kept_in_the_first_folder_that_can_be_made(
    sources: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config, keeps = kernels._numba().config, kernels._keeps_machine_code.__wrapped__
    monkeypatch.setattr(config, "CACHE_DIR", "")
    for folder in machine_code_folders():
        assert keeps()
        assert Path(config.CACHE_DIR) == folder
        folder.rmdir()
        folder.parent.rmdir()
        folder.parent.write_text("no folder can be made here")
    assert not keeps()


def test_machine_code_is_prepared_once_a_kernel_has_left_some(sources: Path) -> None:
    assert not is_prepared()
    kept = machine_code_folders()[1] / "sim_0123"
    kept.mkdir(parents=True)
    assert not is_prepared()
    (kept / "care.truth-220.py311.nbi").touch()
    assert is_prepared()


# ------------------------------------------------------------------------------------------------------------- tables


def test_a_table_lays_columns_side_by_side() -> None:
    rows = table(minutes=np.array([1.5, 2.5]), level=np.array([3, 4]), held=np.array([True, False]))
    assert rows.dtype.names == ("minutes", "level", "held")
    assert [rows.dtype[name] for name in rows.dtype.names] == [np.dtype(t) for t in (np.float64, np.int64, np.bool_)]
    assert rows.tolist() == [(1.5, 3, True), (2.5, 4, False)]
    assert rows.flags.c_contiguous


def test_columns_of_a_table_have_one_shape_or_are_said_once_for_all() -> None:
    rows = table(each=np.arange(6).reshape(2, 3), by_column=np.array([7, 8, 9]), all_alike=0.5)
    assert rows.shape == (2, 3)
    assert rows[1, 2].tolist() == (5, 9, 0.5)
    with pytest.raises(ValueError, match="shape"):
        table(two=np.zeros(2), three=np.zeros(3))
