"""A sweep on disk: its points, each a study of its own, and what they found side by side."""

from __future__ import annotations

import os
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import pandas as pd

from sim.results import Results
from sim.schema import InputError, Problem, did_you_mean, read_yaml, shown

ABOUT = "sweep.yaml"
"""What was asked, in the folder of a sweep."""

POINTS = "points.csv"
"""The points: name, what each key is set to, state, folder, command."""

FINISHED, FAILED = "finished", "failed"
"""States of a point."""


@dataclass(frozen=True)
class Swept:
    """What a sweep found, read from its folder when asked for."""

    folder: Path

    @classmethod
    def open(cls, folder: str | os.PathLike[str]) -> Swept:
        """The results in the folder of a finished sweep."""
        if not all((Path(folder) / name).is_file() for name in (ABOUT, POINTS)):
            raise InputError([Problem(shown(folder), None, "", "There is no finished sweep in this folder.")])
        return cls(Path(folder))

    @cached_property
    def about(self) -> dict[str, Any]:
        """What was asked: study, settings, the keys that are varied, titles."""
        return read_yaml(self.folder / ABOUT)[0]

    @property
    def keys(self) -> list[str]:
        """The keys that are varied; a column of each table has the name of each."""
        return list(self.about["keys"])

    @cached_property
    def points(self) -> pd.DataFrame:
        """Every point: its name, what each key is set to (empty: what the study says), state, folder, command."""
        return pd.read_csv(self.folder / POINTS, keep_default_na=False, na_values=[""])

    @property
    def finished(self) -> list[str]:
        """Names of the points that have results."""
        return self.points.loc[self.points["state"].eq(FINISHED), "point"].tolist()

    def point(self, name: str) -> Results:
        """The results of one point, a study as any other."""
        if name not in self.finished:
            failed = " It failed." if name in set(self.points["point"]) else did_you_mean(name, self.finished)
            raise KeyError(f"no results of a point {name}.{failed}")
        return Results.open(self.folder / "points" / name)

    @cached_property
    def indicators(self) -> pd.DataFrame:
        """Every indicator by point, scenario, replication and year."""
        return pd.read_parquet(self.folder / "indicators.parquet")

    @cached_property
    def comparison(self) -> pd.DataFrame:
        """Every indicator by point, scenario and year, compared with the baseline of its point in pairs."""
        return pd.read_csv(self.folder / "comparison.csv", keep_default_na=False, na_values=[""], low_memory=False)

    @cached_property
    def draws(self) -> pd.DataFrame:
        """What each replication drew for each assumption, by point and scenario."""
        return self.beside({name: self.point(name).draws for name in self.finished})

    def table(self, name: str) -> pd.DataFrame:
        """One recorded table of all points, as `Results.table`; a baseline that they share stands at each of them."""
        return self.beside({point: self.point(point).table(name) for point in self.finished})

    def beside(self, frames: dict[str, pd.DataFrame]) -> pd.DataFrame:
        """Tables of points under each other: the point and what is varied come first."""
        if not frames:
            return pd.DataFrame(columns=["point", *self.keys])
        together = pd.concat(frames, names=["point"]).reset_index("point").reset_index(drop=True)
        together["point"] = pd.Categorical(together["point"], list(frames))
        own = self.points.set_index("point").loc[list(frames), self.keys]
        for place, key in enumerate(self.keys, 1):
            together.insert(place, key, own[key].to_numpy()[together["point"].cat.codes])
        return together


def open(folder: str | os.PathLike[str]) -> Results | Swept:
    """What a folder holds: the results of a study, or those of a sweep."""
    return Swept.open(folder) if (Path(folder) / ABOUT).is_file() else Results.open(folder)
