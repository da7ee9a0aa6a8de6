"""A study on disk: finished tasks, what was compared, and where it came from.

A task is one replication of one scenario. It is kept under the hash of everything its numbers follow from, so that an
earlier command's tasks are found again and nothing is ever mixed: `tasks/<key>/<table>.parquet`, with a manifest of
checksums. Everything else is rebuilt for the command just given. Files are written beside their place, then moved.
"""

from __future__ import annotations

import json
import os
import platform
import re
import shutil
import socket
import subprocess
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, fields, is_dataclass
from datetime import date
from functools import cache, cached_property
from hashlib import blake2b
from importlib import metadata
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import yaml
from pydantic import BaseModel

from sim.compose import Config, Settings, StudySpec
from sim.network import FacilitySpec, NetworkSpec
from sim.scenario import Scenario
from sim.schema import Failure, InputError, Model, Problem, shown, validate

FORMAT = 4
"""Version of the task files; goes up when a table changes its meaning."""

ROWS = ("visits", "stays", "referrals")
"""Tables with a row for each event (`record=visits`): too large to be held all at once unasked."""

PRECISION = "precision.csv"
"""How precise was asked and reached, where it was asked."""

MANY = 100
"""Tasks of which a table is kept together in one file as well: a thousand small files take seconds to read."""

ENGINE = ("numpy", "scipy", "simpy", "holidays")
"""Packages whose version may change a simulated number."""

PACKAGES = ("tiercare", *ENGINE, "pandas", "pyarrow", "pydantic", "hydra-core", "matplotlib", "loky", "numba")
"""Packages named in the provenance."""


class Damaged(Failure):
    """A finished task that is no longer what was written."""


class Unwritable(Failure):
    """A folder that cannot be written to any more: full, read-only, gone. Nothing else can be finished there."""

    general = True


# ---------------------------------------------------------------------------------------------------------------- keys


def plain(thing: Any) -> Any:
    """A validated object as mappings, lists, texts and numbers; without fields by which it is not compared."""
    if isinstance(thing, BaseModel):
        return thing.model_dump(mode="json", by_alias=True)
    if is_dataclass(thing):
        return {field.name: plain(getattr(thing, field.name)) for field in fields(thing) if field.compare}
    return thing.isoformat() if isinstance(thing, date) else thing


def digest(thing: Any) -> str:
    """The hash of plain data, whatever the order of their keys; 32 hexadecimal digits."""
    text = json.dumps(thing, sort_keys=True, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    return _hash(text.encode())


def _hash(data: bytes) -> str:
    return blake2b(data, digest_size=16).hexdigest()


@cache
def code_digest() -> str:
    """The hash of the simulation's own source."""
    here = Path(__file__).parent
    return digest({path.relative_to(here).as_posix(): _hash(path.read_bytes()) for path in here.rglob("*.py")})


def task_keys(case: Any, replications: int) -> list[str]:
    """The name of each replication of a case: the hash of all that its numbers follow from."""
    engine = {package: _version(package) for package in ENGINE}
    about = digest({"case": fingerprint(case), "code": code_digest(), "engine": engine, "format": FORMAT})
    return [digest([about, replication]) for replication in range(replications)]


def fingerprint(case: Any) -> str:
    """The hash of a case; of a part that many cases share (a network of thousands of numbers) it is taken once."""
    return digest({field.name: _of_part(getattr(case, field.name)) for field in fields(case) if field.compare})


def _of_part(part: Any) -> str:
    if not isinstance(part, BaseModel):
        return digest(plain(part))
    known = _PARTS.pop(id(part), None)
    _PARTS[id(part)] = known if known and known[0] is part else (part, digest(plain(part)))
    if len(_PARTS) > KEPT:
        del _PARTS[next(iter(_PARTS))]
    return _PARTS[id(part)][1]


KEPT = 100
"""Parts of cases of which the hash is remembered."""

_PARTS: dict[int, tuple[BaseModel, str]] = {}
"""By identity: parts are frozen, and kept here so that no other can take the number of one that is gone."""


# --------------------------------------------------------------------------------------------------------------- files


DRAFT = re.compile(r"\..+\.\d+@[^/]*")
"""Names of what is being written: the writer's process and host stand in them, so that no two ever share one."""


def draft_of(path: Path) -> Path:
    """Where something is written before it is moved to its place; in the same folder, so that it can be moved."""
    return path.with_name(f".{path.name}.{os.getpid()}@{socket.gethostname()}")


def write_file(path: Path, data: bytes | str) -> None:
    """Write a whole file or none: beside its place, to the disk, then moved, and the move to the disk as well."""
    draft = draft_of(path)
    try:
        _write_through(draft, data.encode() if isinstance(data, str) else data)
        draft.replace(path)
        settle(path.parent)
    finally:
        with suppress(OSError):  # why it could not be written matters more than what is left of it
            draft.unlink(missing_ok=True)


def settle(folder: Path) -> None:
    """See to it that the names in a folder are on the disk: a file is there after a power cut only if its name is."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def sweep_drafts(folder: Path) -> None:
    """Remove what killed processes left half written; for whoever is alone in the folder."""
    for draft in [path for path in folder.glob(".*") if DRAFT.fullmatch(path.name)]:
        draft.unlink() if draft.is_file() else _forget(draft)


def _write_through(path: Path, data: bytes) -> None:
    """Write a file that nobody looks at yet; to the disk."""
    with path.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


def write_frame(path: Path, frame: pd.DataFrame) -> None:
    """Write a table as Parquet or CSV, by the ending of its name."""
    write_file(path, to_parquet(frame) if path.suffix == ".parquet" else frame.to_csv(index=False, lineterminator="\n"))


def to_parquet(frame: pd.DataFrame) -> bytes:
    """A table as Parquet: zstd, numbers split by byte, texts as dictionaries; the same table gives the same bytes."""
    return _parquet(pa.Table.from_pandas(frame, preserve_index=False).replace_schema_metadata(None))


def _parquet(table: pa.Table) -> bytes:
    floats = [field.name for field in table.schema if pa.types.is_floating(field.type)]
    texts = [field.name for field in table.schema if _is_text(field.type)]
    sink = pa.BufferOutputStream()
    pq.write_table(table, sink, compression="zstd", use_dictionary=texts, use_byte_stream_split=floats)
    return bytes(sink.getvalue())


def _read_parquet(data: pa.BufferReader) -> pa.Table:
    """A whole table; texts as dictionaries."""
    about = pq.read_metadata(data)
    texts = [field.name for field in about.schema.to_arrow_schema() if _is_text(field.type)]
    # one file, whole: without pq.read_table's search for data sets, and without threads for a few rows
    return pq.ParquetFile(data, metadata=about, read_dictionary=texts).read(use_threads=False)


def _is_text(kind: pa.DataType) -> bool:
    return any(test(kind) for test in (pa.types.is_dictionary, pa.types.is_string, pa.types.is_large_string))


def write_yaml(path: Path, data: Any) -> None:
    """Write plain data as YAML, in their own order."""
    dumper = getattr(yaml, "CSafeDumper", yaml.SafeDumper)
    write_file(path, yaml.dump(data, Dumper=dumper, allow_unicode=True, sort_keys=False, width=120))


def _forget(path: Path) -> None:
    shutil.rmtree(path, ignore_errors=True)


# --------------------------------------------------------------------------------------------------------------- tasks


@dataclass(frozen=True)
class Tasks:
    """Finished tasks in a folder, found by key."""

    folder: Path
    audited: bool = False
    """Whether the tasks written now are audited, and only those are found."""

    def save(self, key: str, tables: Mapping[str, pd.DataFrame]) -> None:
        """Keep the tables of a task: all of them or none. `Unwritable` where there is no way to."""
        files = {f"{name}.parquet": to_parquet(frame) for name, frame in sorted(tables.items())}
        checksums = {name.removesuffix(".parquet"): _hash(data) for name, data in files.items()}
        manifest = {"format": FORMAT, "task": key, "audited": self.audited, "tables": checksums}
        try:
            self._place(key, {**files, "manifest.json": json.dumps(manifest, indent=1).encode()})
        except OSError as error:
            raise Unwritable(f"{shown(self.folder)}: {error.strerror or error} (task {key}).") from None

    def _place(self, key: str, files: Mapping[str, bytes]) -> None:
        """Write files beside their place, then move them there together."""
        draft = draft_of(self.folder / key)
        _forget(draft)
        draft.mkdir(parents=True)
        try:
            for name, data in files.items():
                _write_through(draft / name, data)
            settle(draft)
            self._move(draft, key)
            settle(self.folder)
        finally:
            _forget(draft)

    def _move(self, draft: Path, key: str) -> None:
        """Put a task in its place, unless the same stands there, whole: nothing that is finished is ever removed."""
        if not self._is_same(draft, key):
            _forget(self.folder / key)
            draft.rename(self.folder / key)

    def _is_same(self, draft: Path, key: str) -> bool:
        with suppress(OSError, Damaged):
            told, there = ((place / "manifest.json").read_bytes() for place in (draft, self.folder / key))
            return told == there and self.is_finished(key)
        return False

    def is_finished(self, key: str) -> bool:
        """Whether a task is here, whole; `Damaged` if it was once."""
        if not (self.folder / key).is_dir():
            return False
        checksums = self.checksums(key)
        for name in checksums:
            self._bytes(key, name, checksums)
        return not self.audited or bool(self._manifest(key).get("audited"))

    def names(self, key: str) -> list[str]:
        """Names of the tables of a task."""
        return list(self.checksums(key))

    def read(self, key: str, name: str, checksums: Mapping[str, str] | None = None) -> pa.Table:
        """One table of a task, checked; texts as dictionaries. `checksums`: where they are known already."""
        return _read_parquet(pa.BufferReader(self._bytes(key, name, checksums or self.checksums(key))))

    def open(self) -> None:
        """Make the folder, and remove from it what killed workers left behind."""
        self.folder.mkdir(parents=True, exist_ok=True)
        for left in self.folder.glob(".*"):
            left.unlink(missing_ok=True) if left.is_file() else _forget(left)

    def checksums(self, key: str) -> dict[str, str]:
        """The checksum of each table of a task."""
        return {str(name): str(checksum) for name, checksum in self._manifest(key)["tables"].items()}

    def _manifest(self, key: str) -> dict[str, Any]:
        try:
            manifest = json.loads((self.folder / key / "manifest.json").read_bytes())
            if manifest["format"] != FORMAT:
                raise Damaged(f"task {key}: another version of tiercare wrote it; run the study again")
            return {**manifest, "tables": dict(manifest["tables"])}
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            raise Damaged(f"task {key}: its manifest is missing or damaged") from None

    def _bytes(self, key: str, name: str, checksums: Mapping[str, str]) -> bytes:
        try:
            data = (self.folder / key / f"{name}.parquet").read_bytes()
        except OSError:
            raise Damaged(f"task {key}: {name}.parquet is missing") from None
        if _hash(data) != checksums[name]:
            raise Damaged(f"task {key}: {name}.parquet is damaged")
        return data


# ------------------------------------------------------------------------------------------------------------- results


@dataclass(frozen=True)
class Results:
    """What a study found, read from its folder when asked for."""

    folder: Path

    @classmethod
    def open(cls, folder: str | os.PathLike[str]) -> Results:
        """The results in the folder of a finished study."""
        results = cls(Path(folder))
        if not (results.folder / "study.yaml").is_file() or not (results.folder / "tasks.csv").is_file():
            raise InputError([Problem(shown(folder), None, "", "There is no finished study in this folder.")])
        return results

    @cached_property
    def config(self) -> Config:
        """The resolved configuration, with the scenarios as resolved."""
        settings = _validated(Settings, self.folder / "study.yaml")
        files = [self.folder / "scenarios" / f"{name}.yaml" for name in settings.study.scenarios]
        return Config(**dict(settings), scenarios=[_validated(Scenario, file) for file in files])

    @property
    def study(self) -> StudySpec:
        """Name, title, question, baseline and scenarios of the study."""
        return self.config.study

    @property
    def scenarios(self) -> list[Scenario]:
        """The scenarios compared, in the order of the study."""
        return self.config.scenarios

    @cached_property
    def provenance(self) -> dict[str, Any]:
        """Where the results come from: hashes, versions, seed, command."""
        return dict(json.loads((self.folder / "provenance.json").read_text("utf-8")))

    @cached_property
    def tasks(self) -> pd.DataFrame:
        """The tasks that these results are made of: scenario, replication, task (its key)."""
        return pd.read_csv(self.folder / "tasks.csv")

    @cached_property
    def tables(self) -> dict[str, pd.DataFrame]:
        """Counts, sums and histograms of all tasks by table; scenario and replication come first."""
        return {name: self.table(name) for name in self._names if name not in ROWS}

    def table(self, name: str) -> pd.DataFrame:
        """One table of all tasks."""
        if name not in self._names:
            raise KeyError(f"no table {name}; there are {', '.join(self._names)}")
        return _by_name(self.arrow(name).to_pandas())

    def arrow(self, name: str) -> pa.Table:
        """One table of all tasks, as Arrow; of many tasks from one file (`together`)."""
        tasks = list(self._tasks_in_order())

        def read() -> pa.Table:
            parts = [self._part(name, *task) for task in tasks]
            return pa.concat_tables(parts, promote_options="permissive").unify_dictionaries()

        if len(tasks) < MANY:
            return read()
        of = [[scenario, int(number), self._checksums[key].get(name)] for scenario, number, key in tasks]
        return together(self.folder / "together" / f"{name}.parquet", of, read)

    @property
    def visits(self) -> pd.DataFrame:
        """A row for each visit with `record=visits`, else counts by month."""
        return self._rows_or_counts("visits")

    @property
    def stays(self) -> pd.DataFrame:
        """A row for each stay with `record=visits`, else counts by month of discharge."""
        return self._rows_or_counts("stays")

    @property
    def referrals(self) -> pd.DataFrame:
        """A row for each referral with `record=visits`, else counts by month."""
        return self._rows_or_counts("referrals")

    @cached_property
    def indicators(self) -> pd.DataFrame:
        """Every indicator by scenario, replication and year."""
        return pd.read_parquet(self.folder / "indicators.parquet")

    @cached_property
    def wards(self) -> pd.DataFrame:
        """Every ward by scenario, replication and year: beds, occupancy, waits, what keeps its beds."""
        return pd.read_parquet(self.folder / "wards.parquet")

    @cached_property
    def comparison(self) -> pd.DataFrame:
        """Every indicator by scenario and year, compared with the baseline in pairs."""
        return pd.read_csv(self.folder / "comparison.csv", keep_default_na=False, na_values=[""])

    @cached_property
    def draws(self) -> pd.DataFrame:
        """What each replication drew for each assumption: scenario, replication, path, since, value."""
        return pd.read_parquet(self.folder / "draws.parquet")

    @cached_property
    def facilities(self) -> pd.DataFrame:
        """One row for each facility, and the world outside: id, names, level, role, group, ownership, area, inside."""
        return facility_table(self.config.network)

    @cached_property
    def _names(self) -> list[str]:
        return sorted({name for checksums in self._checksums.values() for name in checksums})

    @cached_property
    def _store(self) -> Tasks:
        """The tasks in this folder; those of the whole sweep where this is one of its points."""
        own = self.folder / "tasks"
        return Tasks(own if own.is_dir() else self.folder.absolute().parents[1] / "tasks")

    @cached_property
    def _checksums(self) -> dict[str, dict[str, str]]:
        """Task -> table -> checksum, looked up once."""
        return {key: self._store.checksums(key) for key in dict.fromkeys(self.tasks["task"])}

    def _tasks_in_order(self) -> Iterator[tuple[str, int, str]]:
        yield from self.tasks[["scenario", "replication", "task"]].itertuples(index=False, name=None)

    def _part(self, name: str, scenario: str, replication: int, key: str) -> pa.Table:
        table = self._store.read(key, name, self._checksums[key])
        scenarios = pa.repeat(pa.scalar(scenario), len(table)).dictionary_encode()
        replications = pa.repeat(pa.scalar(replication, pa.int32()), len(table))
        return table.add_column(0, "replication", replications).add_column(0, "scenario", scenarios)

    def _rows_or_counts(self, name: str) -> pd.DataFrame:
        return self.table(name) if name in self._names else self.table(f"{name}_monthly")


def together(file: Path, of: Any, read: Callable[[], pa.Table]) -> pa.Table:
    """A table that lies in many files, from a copy in one that was made of the very same; else read, and copied."""
    stamp, wanted = file.with_suffix(".json"), digest(of)
    with suppress(OSError, ValueError, KeyError, TypeError):
        told, data = json.loads(stamp.read_bytes()), file.read_bytes()
        if (told["of"], told["checksum"]) == (wanted, _hash(data)):
            return _read_parquet(pa.BufferReader(data))
    table = read()
    with suppress(OSError):  # nothing can be written where somebody else's results are looked at
        file.parent.mkdir(exist_ok=True)
        data = _parquet(table.replace_schema_metadata(None))
        write_file(file, data)
        write_file(stamp, json.dumps({"of": wanted, "checksum": _hash(data)}) + "\n")
    return table


def _validated(cls: type[Model], path: Path) -> Model:
    """An object that `write_yaml` wrote. (The C loader is much faster than `schema.read_yaml`, which knows lines.)"""
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    data = yaml.load(path.read_text("utf-8"), Loader=loader)  # noqa: S506 - both are safe loaders
    return validate(cls, data, lambda _: (shown(path), None))


def _by_name(frame: pd.DataFrame) -> pd.DataFrame:
    """Texts as categories in alphabetical order, so that nothing depends on which task came first."""
    for name in frame.select_dtypes("category"):
        frame[name] = frame[name].cat.reorder_categories(sorted(frame[name].cat.categories))
    return frame


def facility_table(network: NetworkSpec) -> pd.DataFrame:
    """The facilities of a resolved network, alike ones (`count`) one by one, with the world outside last."""
    rows = [row for facility in network.facilities for row in _alike(facility)]
    outside = {"id": "outside", "name": "Outside the area", "name_zh": "区域外", "level": "outside", "role": "none"}
    return pd.DataFrame([*rows, {**outside, "group": "", "ownership": "", "area": "", "inside": False}])


def _alike(facility: FacilitySpec) -> Iterator[dict[str, Any]]:
    kept = {name: getattr(facility, name) or "" for name in ("level", "role", "group", "ownership", "area")}
    for n in range(1, facility.count + 1):
        tail, place = ("", "") if facility.count == 1 else (f"-{n:03d}", f" {n}")
        names = {"name": facility.name + place, "name_zh": facility.name_zh + place}
        yield {"id": facility.id + tail, **names, **kept, "inside": True}


# ---------------------------------------------------------------------------------------------------------- provenance


def provenance(config: Config, cases: Mapping[str, Any], command: str, seconds: float) -> dict[str, Any]:
    """Where results come from. Only `run` differs between two runs of the same command."""
    return {
        "study": config.study.name,
        "seed": config.seed,
        "replications": config.replications,
        "model": digest({name: fingerprint(case) for name, case in cases.items()}),
        "scenarios": {name: fingerprint(case) for name, case in cases.items()},
        "code": code_digest(),
        "git": commit(),
        "python": platform.python_version(),
        "versions": {package: _version(package) for package in PACKAGES},
        "run": {"command": command, "seconds": round(seconds, 1), "platform": platform.platform()},
    }


def code_version() -> dict[str, Any]:
    """What makes the numbers beside the values: hash of the code, versions of packages."""
    return {"code": code_digest(), "packages": {package: _version(package) for package in ENGINE}}


def _version(package: str) -> str | None:
    with suppress(metadata.PackageNotFoundError):
        return metadata.version(package)
    return None


def commit() -> dict[str, Any] | None:
    """Commit of the checkout that this code is part of, and whether it was changed since; None outside a checkout."""
    home = Path(__file__).resolve().parents[1]
    if not (home / ".git").exists():
        return None
    commit, changes = _git_says(home, "rev-parse", "HEAD"), _git_says(home, "status", "--porcelain")
    return {"commit": commit or None, "dirty": bool(changes)} if commit is not None else None


def _git_says(home: Path, *words: str) -> str | None:
    try:
        done = subprocess.run(["git", "-C", str(home), *words], capture_output=True, text=True, timeout=20)  # noqa: S603, S607
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() if done.returncode == 0 else None
