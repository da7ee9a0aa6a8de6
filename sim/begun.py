"""What a folder was begun with: the command, the code and all values, written down before anything is simulated.

So a command that was killed can be given again by the folder alone (`tiercare resume`), and is refused where it would
no longer be the same: other code, other packages, a config or scenario edited meanwhile.
"""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from sim.results import FORMAT, code_version, commit, write_file
from sim.schema import Collected, InputError, Problem, shown

FILE = "begun.json"

TOLD = 20
"""Values that differ which an error tells at most; how many more there are is said."""

LONGEST = 60
"""Characters of a value that an error shows."""

Plain = Mapping[str, Any]
"""Mappings, lists, texts and numbers."""


@dataclass(frozen=True)
class Begun:
    """A command, and what it was going to simulate."""

    words: list[str] | None
    """Verb and arguments, without `output=`, which is the folder; None: no command, but a program or notebook."""

    where: str
    """The folder in which the command was given: configs/ and scenarios/ are looked up there."""

    code: dict[str, Any]
    """What the numbers follow from beside the values: hash of the code, versions of packages; and the commit."""

    format: int
    """Version of the task files."""

    values: dict[str, Any]
    """Everything that was loaded, resolved: settings, scenarios."""


def write(folder: Path, words: Sequence[str] | None, values: Plain) -> None:
    """Write down what a folder is begun with; before its first task."""
    kept = None if words is None else [word for word in words if not word.startswith("output=")]
    begun = Begun(kept, str(Path.cwd()), {**code_version(), "git": commit()}, FORMAT, _as_read(values))
    write_file(folder / FILE, json.dumps(asdict(begun), indent=1, ensure_ascii=False) + "\n")


def read(folder: Path) -> Begun:
    """What a folder was begun with; `InputError` where that is not known."""
    try:
        return Begun(**json.loads((folder / FILE).read_text("utf-8")))
    except FileNotFoundError:
        raise _wrong(folder, "No command was begun in this folder; there is nothing to resume.") from None
    except (OSError, ValueError, TypeError):
        raise _wrong(folder / FILE, "This is damaged; give the command anew: finished tasks are found again.") from None


def command(begun: Begun, folder: Path) -> list[str]:
    """The words by which the command is given again."""
    if begun.words is None:
        text = "A program or notebook began this, not a command; run it again: it goes on where it stopped."
        raise _wrong(folder, text)
    return [*begun.words, f"output={folder.absolute()}"]


def refuse_changes(begun: Begun, folder: Path, values: Plain) -> None:
    """Refuse to go on where the code, or what it would simulate now, is not what the folder was begun with."""
    problems = Collected([*_code_changes(begun, folder), *_value_changes(begun, folder, _as_read(values))])
    if problems:
        anew = shlex.join(["tiercare", *command(begun, folder)])
        text = f"What was begun cannot be resumed. To simulate what there is now, beside the finished tasks: {anew}"
        problems.append(Problem(shown(folder), None, "", text))
    problems.tell()


def _code_changes(begun: Begun, folder: Path) -> Iterator[Problem]:
    now = {**code_version(), "format": FORMAT}
    then = {**begun.code, "format": begun.format}
    changed = [
        f"{key} {_short(then.get(key))} then, {_short(now[key])} now" for key in now if then.get(key) != now[key]
    ]
    if changed:
        commits = f" (commit {_commit(then.get('git'))} then, {_commit(commit())} now)"
        yield Problem(shown(folder), None, "code", f"The simulation has changed: {'; '.join(changed)}{commits}.")


def _commit(git: Plain | None) -> str:
    return "unknown" if not git else f"{str(git.get('commit'))[:12]}{' with changes' if git.get('dirty') else ''}"


def _value_changes(begun: Begun, folder: Path, values: Plain) -> Iterator[Problem]:
    found = list(differences(begun.values, values))
    for path, then, now in found[:TOLD]:
        yield Problem(shown(folder), None, " > ".join(path), f"{_short(then)} then, {_short(now)} now.")
    if len(found) > TOLD:
        yield Problem(shown(folder), None, "...", f"{len(found) - TOLD} more values differ.")


def differences(then: Any, now: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any, Any]]:
    """Where two plain things differ, as deep inside as they do."""
    if isinstance(then, Mapping) and isinstance(now, Mapping):
        for key in dict.fromkeys([*then, *now]):
            yield from differences(then.get(key), now.get(key), (*path, str(key)))
    elif isinstance(then, list) and isinstance(now, list) and len(then) == len(now):
        for place, (one, other) in enumerate(zip(then, now, strict=True)):
            yield from differences(one, other, (*path, str(place)))
    elif then != now:
        yield path, then, now


def _short(value: Any) -> str:
    text = "nothing" if value is None else json.dumps(value, ensure_ascii=False)
    return text if len(text) <= LONGEST else f"{text[: LONGEST - 3]}..."


def _as_read(values: Plain) -> dict[str, Any]:
    """Values as they will be read back."""
    return dict(json.loads(json.dumps(values, ensure_ascii=False)))


def _wrong(place: Path, text: str) -> InputError:
    return InputError([Problem(shown(place), None, "", text)])
