"""The house rules, as far as a machine can see to them."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

HOME = Path(__file__).resolve().parents[1]
SOURCES = sorted([*(HOME / "sim").rglob("*.py"), *(HOME / "analysis").rglob("*.py")])
PROJECT = tomllib.loads((HOME / "pyproject.toml").read_text("utf-8"))

FORBIDDEN_MODULES = {"pickle", "cPickle", "dill", "cloudpickle", "joblib", "shelve", "marshal", "random"}
"""Nothing that a user's file can reach may run code; luck comes from `streams` alone."""

FORBIDDEN_CALLS = {"eval", "exec", "compile", "__import__", "breakpoint"}
VAGUE_NAMES = {"utils", "util", "helpers", "common", "base", "manager", "misc", "core", "calendar"}


def name_of(path: Path) -> str:
    """A file as it is named in messages."""
    return path.relative_to(HOME).as_posix()


def imports(path: Path) -> Iterator[str]:
    """The first part of every module that a file imports."""
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module.partition(".")[0]


def calls(path: Path) -> Iterator[tuple[str, ast.Call]]:
    """Every call in a file, with the name that is called (`yaml.load`, `eval`)."""
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Call):
            yield ast.unparse(node.func), node


@pytest.mark.parametrize("path", SOURCES, ids=name_of)
def test_nothing_runs_code_from_files(path: Path) -> None:
    assert not FORBIDDEN_MODULES & set(imports(path))
    assert not FORBIDDEN_CALLS & {name for name, _ in calls(path)}


@pytest.mark.parametrize("path", SOURCES, ids=name_of)
def test_pandas_and_shells_run_no_text(path: Path) -> None:
    for name, call in calls(path):
        assert not name.endswith((".read_pickle", ".to_pickle", ".allow_pickle", "os.system", "os.popen")), name
        assert not any(k.arg in ("shell", "allow_pickle") for k in call.keywords), ast.unparse(call)
        assert not name.endswith(("yaml.unsafe_load", "yaml.full_load", "yaml.UnsafeLoader")), name


@pytest.mark.parametrize("path", SOURCES, ids=name_of)
def test_only_compose_knows_hydra(path: Path) -> None:
    assert name_of(path) == "sim/compose.py" or not {"hydra", "omegaconf"} & set(imports(path))


@pytest.mark.parametrize("path", SOURCES, ids=name_of)
def test_every_room_says_what_it_is_and_has_a_name_of_its_own(path: Path) -> None:
    assert ast.get_docstring(ast.parse(path.read_text("utf-8")))
    assert path.stem not in VAGUE_NAMES


def test_imports_keep_their_contracts() -> None:
    passes("-c", "from importlinter.cli import lint_imports_command as lint; lint()", "--no-cache")


def test_style() -> None:
    passes("-m", "ruff", "check", ".")


def test_types() -> None:
    passes("-m", "mypy")


def passes(*words: str) -> None:
    """Run a checker over the whole house; what it says is the failure's message."""
    done = subprocess.run([sys.executable, *words], cwd=HOME, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


# ----------------------------------------------------------------------------------------------------------- packaging


def test_pins_cover_every_dependency_and_name_no_host() -> None:
    text = (HOME / "constraints.txt").read_text("utf-8")
    pinned = {line.partition("==")[0].lower() for line in text.splitlines() if "==" in line}
    extras = [word for words in PROJECT["project"]["optional-dependencies"].values() for word in words]
    wanted = {re.split(r"[<>=\[ ]", word)[0].lower() for word in [*PROJECT["project"]["dependencies"], *extras]}
    assert wanted - {"tiercare"} <= pinned
    assert not re.search(r"https?://|file:|--index|--find-links|--hash", text)


def test_one_version_everywhere() -> None:
    citation = yaml.safe_load((HOME / "CITATION.cff").read_text("utf-8"))
    assert str(citation["version"]) == PROJECT["project"]["version"]


def test_no_machine_path_in_any_file() -> None:
    kept = [".py", ".yaml", ".toml", ".md", ".txt", ".cff", ".j2", ".ipynb"]
    folders = ("sim", "analysis", "configs", "scenarios")
    files = [path for folder in folders for path in (HOME / folder).rglob("*") if path.suffix in kept]
    found = [name_of(path) for path in files if re.search(r"(/home/|/Users/|/root/)\w", path.read_text("utf-8"))]
    assert not found
