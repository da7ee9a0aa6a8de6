"""What is found, how long it takes: conditions, the level of care they need, exams, admission and stay.

Everything here is a pure decision: what is true of an episode is a function of its key alone, so it is the same
whichever door the patient takes first and whatever the scenario.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, model_validator

from sim import streams
from sim.citation import Figure, Figures
from sim.network import Level
from sim.schema import Closed, Name
from sim.streams import Floats, Keys, Purpose

LEVELS = tuple(level.name for level in Level)
TRIAGE_LEVELS = 4


class ConditionSpec(Closed):
    """A group of conditions that are cared for alike."""

    name: str
    name_zh: str
    kind: Literal["minor", "chronic", "moderate", "severe", "emergency"]
    """How it feels to the patient, which decides which door attracts."""
    department: Name
    """Department of a hospital that treats it."""
    beyond_station: Figure
    """Share of episodes that need more than a village station can give."""
    beyond_centre: Figure
    """Of those, the share that need a hospital."""
    beyond_secondary: Figure
    """Of those, the share that need a tertiary hospital."""
    exam: Figure
    """Share of hospital visits with a same-visit exam."""
    follow_up: Figure
    """Chance that a treated patient is asked back for the same episode."""
    follow_up_days: Figure
    """Days until that visit."""
    admission: Figure
    """Share of episodes (of visits, for long-term patients) that need a bed."""
    stay_days: Figure | None = None
    """Mean stay from bed to home at a tertiary hospital, days."""
    stay_cv: Figure | None = None
    """Coefficient of variation of the stay."""
    step_down: Figure | None = None
    """Share of stays whose recovery could go on at a lower level."""
    recovery: Figure | None = None
    """Recovery's share of the stay."""

    @model_validator(mode="after")
    def _admitted_have_a_stay(self) -> ConditionSpec:
        if self.admission.value > 0 and None in (self.stay_days, self.stay_cv, self.step_down, self.recovery):
            missing = "stay_days, stay_cv, step_down and recovery"
            raise ValueError(f"{self.name} is admitted at times, so it needs {missing}")
        return self


class CareSpec(Closed):
    """How care goes, for every condition and level."""

    conditions: dict[Name, ConditionSpec] = Field(min_length=1)
    consultation_minutes: dict[str, Figure]
    """Mean consultation by level of institution, minutes."""
    consultation_cv: Figure
    """Coefficient of variation of consultations; 0 = always the mean."""
    consultation_law: Literal["lognormal", "exponential"] = "lognormal"
    """Law of the consultation length."""
    emergency_minutes: Figure
    """Mean time of an emergency doctor per patient, minutes."""
    exam_at: dict[str, Figure]
    """Same-visit exams at a level over those at a hospital; 0 = none."""
    exam_minutes: Figure
    """Mean turnaround of a same-visit exam, minutes."""
    second_look: Figure
    """Length of the look at the results over the first look."""
    waiting_patience: Figure
    """Mean wait in the waiting room after which a patient leaves, minutes."""
    stay_at: dict[str, Figure]
    """Stay at a level over the stay at a tertiary hospital."""
    bed_patience: Figure
    """Wait for a planned bed after which the patient looks elsewhere, days."""
    discharge_from: int = Field(default=9, ge=0, le=23)
    """First hour at which patients are discharged."""
    discharge_until: int = Field(default=17, ge=1, le=24)
    """Hour after which a discharge waits for the next morning."""
    triage: Figures
    """Shares of triage levels 1 to 4, most urgent first."""
    outside_stay_days: Figure
    """Mean stay at hospitals outside the area, days."""

    @model_validator(mode="after")
    def _complete(self) -> CareSpec:
        problems = []
        for field in ("consultation_minutes", "exam_at", "stay_at"):
            named = set(getattr(self, field))
            missing, unknown = [x for x in LEVELS[:-1] if x not in named], sorted(named - set(LEVELS))
            problems += [f"{field} lacks {', '.join(missing)}"] if missing else []
            problems += [f"{field} names {', '.join(unknown)}; welcome: {', '.join(LEVELS[:-1])}"] if unknown else []
        if len(self.triage.value) != TRIAGE_LEVELS or abs(sum(self.triage.value) - 1) > 1e-9:
            problems.append(f"triage needs four shares that sum to 1; found {self.triage.value}")
        if self.discharge_from >= self.discharge_until:
            problems.append(
                f"discharge_from {self.discharge_from} is not before discharge_until {self.discharge_until}"
            )
        if problems:
            raise ValueError("; ".join(problems))
        return self


@dataclass(frozen=True)
class Care:
    """The figures of care of all replications side by side; W replications, C conditions, L levels."""

    beyond: Floats
    """Chances of needing more than level 1, 2, 3, shape (W, C, 3), cumulative (unconditional)."""
    admission: Floats
    """(W, C)."""
    follow_up: Floats
    """(W, C)."""
    follow_up_minutes: Floats
    """(W, C)."""
    exam: Floats
    """(W, C, L)."""
    minutes: Floats
    """Mean consultation, (W, L + 1); the last column is the emergency department."""
    exam_minutes: Floats
    """(W,)."""
    second_look: Floats
    """(W,)."""
    patience: Floats
    """(W,)."""
    triage: Floats
    """Cumulative shares, (W, 4)."""
    stay_minutes: Floats
    """Mean stay at a tertiary hospital, (W, C)."""
    stay_cv: Floats
    """(W, C)."""
    stay_at: Floats
    """(W, L)."""
    step_down: Floats
    """(W, C)."""
    recovery: Floats
    """(W, C)."""
    bed_patience: Floats
    """Minutes, (W,)."""
    consultation_cv: Floats
    """(W,)."""
    exponential: bool
    """Whether consultations are exponential rather than lognormal."""

    @classmethod
    def of(cls, specs: list[CareSpec], conditions: list[str]) -> Care:
        """Collect the drawn specs of all replications."""

        def per_condition(read: Callable[[ConditionSpec], Any]) -> Floats:
            return np.array([[read(s.conditions[c]) for c in conditions] for s in specs], dtype=float)

        def per_level(field: str) -> Floats:
            return np.array([[getattr(s, field)[x].value for x in LEVELS[:-1]] + [1.0] for s in specs])

        def single(field: str) -> Floats:
            return np.array([getattr(s, field).value for s in specs])

        def beyond(c: ConditionSpec) -> NDArray[Any]:
            return np.cumprod([c.beyond_station.value, c.beyond_centre.value, c.beyond_secondary.value])

        exam = per_condition(lambda c: c.exam.value)[:, :, None] * per_level("exam_at")[:, None, :]
        return cls(
            beyond=per_condition(beyond),
            admission=per_condition(lambda c: c.admission.value),
            follow_up=per_condition(lambda c: c.follow_up.value),
            follow_up_minutes=per_condition(lambda c: c.follow_up_days.value * 1440.0),
            exam=np.minimum(exam, 1.0),
            minutes=np.concatenate([per_level("consultation_minutes"), single("emergency_minutes")[:, None]], axis=1),
            exam_minutes=single("exam_minutes"),
            second_look=single("second_look"),
            patience=single("waiting_patience"),
            triage=np.array([np.cumsum(s.triage.value) for s in specs]),
            stay_minutes=per_condition(lambda c: c.stay_days.value * 1440.0 if c.stay_days else 0.0),
            stay_cv=per_condition(lambda c: c.stay_cv.value if c.stay_cv else 0.0),
            stay_at=per_level("stay_at"),
            step_down=per_condition(lambda c: c.step_down.value if c.step_down else 0.0),
            recovery=per_condition(lambda c: c.recovery.value if c.recovery else 0.0),
            bed_patience=single("bed_patience") * 1440.0,
            consultation_cv=single("consultation_cv"),
            exponential=specs[0].consultation_law == "exponential",
        )


def truth(
    care: Care, key: Keys, world: NDArray[np.int64], condition: NDArray[np.int64]
) -> tuple[NDArray[np.uint8], NDArray[np.bool_]]:
    """What is true of an episode: level of care needed (1-4) and whether a bed is needed (then at least level 2)."""
    conditions = care.admission.shape[1]
    row = world * conditions + condition
    u = streams.uniform(key, Purpose.SEVERITY)
    need = np.ones(len(key), dtype=np.int8)
    for step in range(care.beyond.shape[2]):
        need += u < care.beyond[:, :, step].ravel().take(row)
    admit = streams.uniform(key, Purpose.ADMISSION) < care.admission.ravel().take(row)
    return np.where(admit, np.maximum(need, 2), need).astype(np.uint8), admit


def consultation(care: Care, visit: Keys, world: NDArray[np.int64], column: NDArray[np.int64]) -> Floats:
    """Minutes of the first look; `column` is the level, or the number of levels for an emergency department."""
    cells = streams.cell(visit, Purpose.SERVICE)
    if care.exponential:
        return np.asarray(streams.exponential_table()[cells] * care.minutes[world, column])
    return np.asarray(streams.lognormal(cells, care.consultation_cv[world]) * care.minutes[world, column])


def patience(care: Care, visit: Keys, world: NDArray[np.int64]) -> Floats:
    """Minutes a patient will wait to be seen."""
    return streams.lognormal(streams.cell(visit, Purpose.PATIENCE), 0.5) * care.patience[world]


def exam_turnaround(
    care: Care, visit: Keys, world: NDArray[np.int64], condition: NDArray[np.int64], level: NDArray[np.int64]
) -> Floats:
    """Minutes until the results of a same-visit exam are there; 0 = no exam."""
    has_exam = streams.uniform(visit, Purpose.EXAM) < care.exam[world, condition, level]
    minutes = streams.lognormal(streams.cell(visit, Purpose.TURNAROUND), 0.5) * care.exam_minutes[world]
    return np.where(has_exam, minutes, 0.0)


def triage(care: Care, key: Keys, world: NDArray[np.int64]) -> NDArray[np.int64]:
    """Triage level, 0 (most urgent) to 3."""
    u = streams.uniform(key, Purpose.TRIAGE)
    return np.asarray(np.minimum((u[:, None] >= care.triage[world]).sum(axis=1), TRIAGE_LEVELS - 1))
