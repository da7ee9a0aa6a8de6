"""What is found, how long it takes: conditions, the level of care they need, exams, admission and stay.

Everything here is a pure decision: what is true of an episode is a function of its key alone, so it is the same
whichever door the patient takes first and whatever the scenario.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, model_validator

from sim import streams
from sim.citation import Figure, Figures
from sim.kernels import kernel, table
from sim.network import EQUIPMENT, Equipment, Level
from sim.policy import RESCUE_CENTRES, RescueCentre
from sim.schema import Closed, Name
from sim.streams import Floats, Purpose

LEVELS = tuple(level.name for level in Level)
TRIAGE_LEVELS = 4
OPERATION_LEVELS = 4
STAY_NEEDS = (2, 3, 4)
"""Levels of care that a stay may need: a centre, a secondary hospital, a tertiary one."""
NO_EXAM, MADE, REPEATED, RECOGNISED, TRUSTED = range(5)
"""Of a same-visit exam: not needed; made; made though another institution had; spared because its results are
recognised; spared because they are trusted."""
NO_EQUIPMENT = -1
HOURS_OF = ("admission", "discharge")
HALF_CV = float(streams.sigma(0.5))
"""Spread of the logarithm of bed patience and of turnarounds: their coefficient of variation is a half."""
AFTER_MISSED, CALLED_BACK, AFTER_STAY = 1 << 32, (1 << 32) + 1, (1 << 32) + 2
"""Children of an episode, whose visits have lower numbers: of a follow-up the emergency that comes of it and the
follow-up made up for; of any the readmission after its stay."""


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
    imaging: dict[Equipment, Figure] = Field(default_factory=dict)
    """Share of visits to hospitals' clinics after which an exam with large equipment is asked for, by its kind; left
    out = none."""
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
    recovery_days: Figure | None = None
    """Mean recovery after a step down, days, with a law of its own; left out = recovery's share of the stay."""
    recovery_cv: Figure | None = None
    """Coefficient of variation of that."""
    steps_down_to: list[Name] | None = Field(default=None, min_length=1)
    """Departments of wards to which a stay may step down (rehabilitation, nursing, home, say); left out = any."""
    intensive: Figure | None = None
    """Share of stays that begin in intensive care, at hospitals that have it; left out = none."""
    intensive_part: Figure | None = None
    """Its part of these stays."""
    operated: Figures | None = None
    """Share of stays with an operation where a centre, a secondary, a tertiary hospital is needed; left out = none."""
    harder_operation: Figures | None = None
    """Of operations, the share above level 1; of those, above level 2; of those, level 4. No operation is above the
    level of care needed: a secondary hospital does up to level 3, a centre up to level 2."""
    case_weight: Figure | None = None
    """Relative weight of a stay, before `CareSpec.weight_by_need`; all conditions that are admitted state it, or none
    does."""
    day_case: Figure | None = None
    """Share of planned stays, the shortest ones, that could be done in a day, without a night; left out = none."""
    prescription_only: bool = False
    """Follow-ups are for a prescription alone, which may be filled elsewhere."""
    suits_tcm: bool = False
    """Chinese medicine suits it."""
    rescue_centre: RescueCentre | None = None
    """The rescue centre that treats this emergency; left out = none."""
    exacerbates_to: Name | None = None
    """The emergency in which a long-term condition may end."""
    exacerbation: Figure | None = None
    """Chance of that between two follow-ups that are kept; such emergencies are part of the emergency's incidence."""
    missed_ratio: Figure | None = None
    """The same after a follow-up that was missed, over the chance when it was kept (at least 1): what is more."""
    exacerbation_days: Figure | None = None
    """Mean days from the missed follow-up to that emergency (at least 2)."""
    consultation: Figure | None = None
    """Mean consultation over that of all patients of the level or emergency department; left out = 1."""
    triage: Figures | None = None
    """Shares of triage levels 1 to 4 with this condition, most urgent first; left out = those of all emergencies."""
    readmission: Figure | None = None
    """Chance that a resident's discharge home is followed by an unplanned readmission. Readmissions are part of
    `admission`, so residents' first admissions are that times 1 - readmission; left out = none."""
    inpatient_imaging: dict[Equipment, Figure] = Field(default_factory=dict)
    """Share of stays that need an exam with large equipment, at most one, by its kind; left out = none."""

    @model_validator(mode="after")
    def _triage_is_whole(self) -> ConditionSpec:
        if self.triage is not None and (problem := _triage_problem(self.triage)):
            raise ValueError(f"{self.name}: {problem}")
        return self

    @model_validator(mode="after")
    def _admitted_have_a_stay(self) -> ConditionSpec:
        if self.admission.value > 0 and None in (self.stay_days, self.stay_cv, self.step_down, self.recovery):
            missing = "stay_days, stay_cv, step_down and recovery"
            raise ValueError(f"{self.name} is admitted at times, so it needs {missing}")
        return self

    @model_validator(mode="after")
    def _steps_are_complete(self) -> ConditionSpec:
        for one, other in (("recovery_days", "recovery_cv"), ("intensive", "intensive_part")):
            if (getattr(self, one) is None) != (getattr(self, other) is None):
                raise ValueError(f"{self.name} has one of {one} and {other}; they are stated together")
        return self

    @model_validator(mode="after")
    def _some_stay_at_home(self) -> ConditionSpec:
        if self.readmission and not 0 <= self.readmission.value < 1:
            raise ValueError(f"readmission is at least 0 and below 1; found {self.readmission.value}")
        return self

    @model_validator(mode="after")
    def _operations_are_complete(self) -> ConditionSpec:
        parts = {"operated": self.operated, "harder_operation": self.harder_operation}
        if len({part is None for part in parts.values()}) > 1:
            raise ValueError(f"{self.name} has one of operated and harder_operation; they are stated together")
        for name, part in parts.items():
            if part is not None and not _are_three_shares(part):
                raise ValueError(f"{name} needs three shares from 0 to 1; found {part.value}")
        return self

    @model_validator(mode="after")
    def _exacerbations_are_complete(self) -> ConditionSpec:
        parts = (self.exacerbates_to, self.exacerbation, self.missed_ratio, self.exacerbation_days)
        if len({part is None for part in parts}) > 1:
            together = "exacerbates_to, exacerbation, missed_ratio and exacerbation_days"
            raise ValueError(f"{self.name} has some of {together}; they are stated together or not at all")
        if self.missed_ratio and self.missed_ratio.value < 1:
            raise ValueError(f"missed_ratio is at least 1; found {self.missed_ratio.value}")
        if self.exacerbation_days and self.exacerbation_days.value < 2:
            raise ValueError(f"exacerbation_days is at least 2; found {self.exacerbation_days.value}")
        return self

    def operations(self) -> Floats:
        """Chance that a stay has an operation of level 1 to 4 or above, by level of care needed; shape (3, 4)."""
        if self.operated is None or self.harder_operation is None:
            return np.zeros((len(STAY_NEEDS), OPERATION_LEVELS))
        operated, harder = (np.minimum(figures.value, 1.0) for figures in (self.operated, self.harder_operation))
        chances = np.outer(operated, np.cumprod([1.0, *harder]))
        return np.where(np.arange(1, OPERATION_LEVELS + 1) <= np.array(STAY_NEEDS)[:, None], chances, 0.0)

    def rescue_bit(self) -> int:
        """The rescue centre that treats it, as a bit; 0 = none."""
        return 1 << RESCUE_CENTRES.index(self.rescue_centre) if self.rescue_centre else 0

    def more_exacerbations(self) -> float:
        """By how much a missed follow-up raises the chance of an exacerbation."""
        if self.exacerbation is None or self.missed_ratio is None:
            return 0.0
        return float(self.exacerbation.value * (self.missed_ratio.value - 1.0))


def _triage_problem(triage: Figures) -> str | None:
    """What is wrong with the shares of the triage levels, if anything."""
    if len(triage.value) == TRIAGE_LEVELS and abs(sum(triage.value) - 1) <= 1e-9:
        return None
    return f"triage needs four shares that sum to 1; found {triage.value}"


def _are_three_shares(figures: Figures) -> bool:
    return len(figures.value) == len(STAY_NEEDS) and all(0 <= share <= 1 for share in figures.value)


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
    exam_minutes_at: dict[str, Figure] = Field(default_factory=dict)
    """The same at a level over that at a hospital: more, say, where a shared centre examines the samples; what is left
    out is 1."""
    reading_minutes: Figure | None = None
    """Mean turnaround where the group's reading centre reads the exam, minutes; left out = exam_minutes."""
    settled_by_reading: Figure | None = None
    """Of visits to grassroots members whose need, no bed, exceeds the place and whose exam the group has read, the
    share that needs no hospital after all; left out = 0."""
    imaging_report_minutes: Figure | None = None
    """From an exam with large equipment to its report, minutes (0 when left out)."""
    second_look: Figure
    """Length of the look at the results over the first look."""
    settled_by_advice: Figure | None = None
    """Of visits to integrated village stations whose need, no bed, exceeds the station and not the centre, the share
    that the centre's advice settles there; left out = 0."""
    repeat_exam: Figure
    """Chance that results of another institution are not trusted and the exam is made again."""
    results_valid_days: Figure | None = None
    """Days from the visit of an exam until its results have expired and count as none; left out = never."""
    waiting_patience: Figure
    """Mean wait in the waiting room after which a patient leaves, minutes."""
    waiting_patience_cv: Figure | None = None
    """Coefficient of variation of that patience, if it is lognormal; left out = 0.5."""
    patience_law: Literal["lognormal", "exponential"] = "lognormal"
    """Law of the patience in the waiting room."""
    stay_at: dict[str, Figure]
    """Stay at a level over the stay at a tertiary hospital."""
    stay_law: Literal["lognormal", "exponential"] = "lognormal"
    """Law of the stay; an exponential one has no use for `stay_cv`, which is then 1."""
    recovery_starts_on_transfer: bool = False
    """Whether who waits for a bed below recovers only once he lies in it, as textbooks of blocking have it, and not
    in the blocked bed; wards may then block each other for ever, which is told."""
    operation_after_days: Figure | None = None
    """Days from admission after which a planned operation is due, at hospitals that state their theatres; left out =
    0."""
    day_case_hours: Figure | None = None
    """Hours from coming to a day centre to going home from it; needed where a condition has a `day_case`."""
    bed_patience: Figure
    """Wait for a planned bed after which the patient looks elsewhere, days."""
    forgoes_bed: Figure | None = None
    """Of those who leave a waiting list and find no bed at another hospital of the area, the share who go without one
    and count as unmet need; the others leave the area. Left out = 0."""
    admission_from: int = Field(default=0, ge=0, le=23)
    """First hour at which planned patients ask for their bed; emergencies do at any hour."""
    admission_until: int = Field(default=24, ge=1, le=24)
    """Hour after which that waits for the next morning."""
    discharge_from: int = Field(default=9, ge=0, le=23)
    """First hour at which patients are discharged."""
    discharge_until: int = Field(default=17, ge=1, le=24)
    """Hour after which a discharge waits for the next morning."""
    triage: Figures
    """Shares of triage levels 1 to 4, most urgent first."""
    outside_stay_days: Figure
    """Mean stay at hospitals outside the area, days."""
    weight_by_need: Figures | None = None
    """Weight of a stay over the weight of its condition where a centre, a secondary, a tertiary hospital is needed;
    left out = 1."""
    makes_up: Figure
    """Chance that a long-term patient whom a chronic-care centre calls back makes up for a missed follow-up."""
    makes_up_days: Figure
    """Mean days until then (at least 2)."""
    readmission_days: Figure | None = None
    """Mean days from a discharge home to the need for which the patient is readmitted (at least 2); each takes half to
    one and a half times as long, so all fall within 30 days where the mean is at most 20."""
    readmitted_after_step_down: Figure | None = None
    """Chance of a readmission after a stay that ended below a step down over that of others; left out = 1."""
    inpatient_exam_after_days: Figure | None = None
    """Days from an admission until the exam of a stay is due (at least 0); left out = 1."""
    higher_standard: Figure | None = None
    """Needs one level beyond a centre for each standard that it has reached since the base year, over those before;
    left out = 1."""

    def case_weights(self, condition: ConditionSpec) -> list[float]:
        """Weight of a stay in thousandths by level of care needed, in whole numbers."""
        weight = condition.case_weight.value if condition.case_weight else 0.0
        factors = self.weight_by_need.value if self.weight_by_need else [1.0] * len(STAY_NEEDS)
        return [round(1000 * weight * factor) for factor in factors]

    def exam_minutes_by_level(self) -> list[float]:
        """Mean turnaround of a same-visit exam at each level, outside included."""
        factors = [at.value if (at := self.exam_minutes_at.get(level)) else 1.0 for level in LEVELS]
        return [self.exam_minutes.value * factor for factor in factors]

    def _hour_problems(self) -> list[str]:
        hours = {what: (getattr(self, f"{what}_from"), getattr(self, f"{what}_until")) for what in HOURS_OF}
        return [f"{x}_from {a} is not before {x}_until {b}" for x, (a, b) in hours.items() if a >= b]

    def _readmission_problems(self) -> list[str]:
        if self.readmission_days and self.readmission_days.value < 2:
            return [f"readmission_days is at least 2; found {self.readmission_days.value}"]
        if not self.readmission_days and any(c.readmission for c in self.conditions.values()):
            return ["some conditions have a readmission, so readmission_days is needed"]
        return []

    @model_validator(mode="after")
    def _day_cases_have_hours(self) -> CareSpec:
        suited = [name for name, c in self.conditions.items() if c.day_case]
        if suited and self.day_case_hours is None:
            raise ValueError(f"{suited[0]} has a day_case, so day_case_hours is needed")
        return self

    @model_validator(mode="after")
    def _exams_are_due_after_admission(self) -> CareSpec:
        if self.inpatient_exam_after_days and self.inpatient_exam_after_days.value < 0:
            raise ValueError(f"inpatient_exam_after_days is at least 0; found {self.inpatient_exam_after_days.value}")
        return self

    @model_validator(mode="after")
    def _complete(self) -> CareSpec:
        problems = self._readmission_problems()
        for field in ("consultation_minutes", "exam_at", "stay_at", "exam_minutes_at"):
            named, whole = set(getattr(self, field)), field != "exam_minutes_at"
            missing = [x for x in LEVELS[:-1] if whole and x not in named]
            unknown = sorted(named - set(LEVELS))
            problems += [f"{field} lacks {', '.join(missing)}"] if missing else []
            problems += [f"{field} names {', '.join(unknown)}; welcome: {', '.join(LEVELS[:-1])}"] if unknown else []
        if problem := _triage_problem(self.triage):
            problems.append(problem)
        problems += self._hour_problems()
        if self.weight_by_need and len(self.weight_by_need.value) != len(STAY_NEEDS):
            problems.append(f"weight_by_need needs three ratios; found {self.weight_by_need.value}")
        weighed = {bool(c.case_weight) for c in self.conditions.values() if c.admission.value > 0}
        if len(weighed) > 1:
            problems.append("some conditions that are admitted have a case_weight and some have none")
        if self.makes_up_days.value < 2:
            problems.append(f"makes_up_days is at least 2; found {self.makes_up_days.value}")
        emergencies = [name for name, c in self.conditions.items() if c.kind == "emergency"]
        for name, c in self.conditions.items():
            if c.exacerbates_to and c.exacerbates_to not in emergencies:
                welcome = ", ".join(emergencies) or "none is there"
                problems.append(f"{name} exacerbates to {c.exacerbates_to}; welcome are emergencies: {welcome}")
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
    exam_asked: Floats
    """Share of visits after which a hospital makes an exam, (W, C)."""
    imaging: Floats
    """Cumulative shares by kind of equipment, (W, C, kinds)."""
    imaging_report: Floats
    """Minutes, (W,)."""
    minutes: Floats
    """Mean consultation, (W, L + 1); the last column is the emergency department."""
    consultation: Floats
    """Mean consultation of a condition over that of all, (W, C)."""
    exam_minutes: Floats
    """(W, L)."""
    reading_minutes: Floats
    """(W,)."""
    settled_by_reading: Floats
    """(W,)."""
    settled_by_advice: Floats
    """(W,)."""
    repeat_exam: Floats
    """(W,)."""
    results_valid: Floats
    """Minutes, infinite where results never expire, (W,)."""
    second_look: Floats
    """(W,)."""
    patience: Floats
    """(W,)."""
    patience_sigma: Floats
    """Spread of the logarithm of patience, (W,)."""
    triage: Floats
    """Cumulative shares, (W, C, 4)."""
    stay_minutes: Floats
    """Mean stay at a tertiary hospital, (W, C)."""
    stay_cv: Floats
    """(W, C)."""
    stay_at: Floats
    """(W, L)."""
    step_down: Floats
    """(W, C)."""
    day_case: Floats
    """(W, C)."""
    recovery: Floats
    """(W, C)."""
    recovery_minutes: Floats
    """Mean recovery after a step down where it has a law of its own, else 0; (W, C)."""
    recovery_cv: Floats
    """(W, C)."""
    intensive: Floats
    """(W, C)."""
    intensive_part: Floats
    """(W, C)."""
    operations: Floats
    """Chance of an operation of that level or above, by level of care needed; (W, C, 3, 4)."""
    case_weight: NDArray[np.int64]
    """Thousandths, by level of care needed; (W, C, 3)."""
    exacerbates_to: NDArray[np.int64]
    """The emergency in which it may end, -1 = none; (W, C)."""
    exacerbation: Floats
    """Chance that a missed follow-up ends in it, which it would not have, had it been kept; (W, C)."""
    exacerbation_minutes: Floats
    """Mean minutes until then, (W, C)."""
    operation_after: Floats
    """Minutes, (W,)."""
    day_case_minutes: Floats
    """(W,)."""
    bed_patience: Floats
    """Minutes, (W,)."""
    forgoes_bed: Floats
    """(W,)."""
    makes_up: Floats
    """(W,)."""
    makes_up_minutes: Floats
    """(W,)."""
    readmission: Floats
    """(W, C)."""
    readmission_minutes: Floats
    """Mean minutes until then, (W,)."""
    inpatient_imaging: Floats
    """Cumulative shares of stays by kind of equipment, (W, C, kinds)."""
    inpatient_exam_after: Floats
    """Minutes, (W,)."""
    after_step_down: Floats
    """Chance after a stay that ended below a step down over that of others, (W,)."""
    higher_standard: Floats
    """(W,)."""
    consultation_sigma: Floats
    """Spread of the logarithm of consultations, (W,)."""
    exponential: bool
    """Whether consultations are exponential rather than lognormal."""
    patience_exponential: bool
    """Whether patience in the waiting room is."""
    stay_exponential: bool
    """Whether stays are."""

    @classmethod
    def of(cls, specs: list[CareSpec], conditions: list[str]) -> Care:
        """Collect the drawn specs of all replications."""

        def per_condition(read: Callable[[ConditionSpec], Any]) -> Floats:
            return np.array([[read(s.conditions[c]) for c in conditions] for s in specs], dtype=float)

        def optional(field: str) -> Floats:
            return per_condition(lambda c: figure.value if (figure := getattr(c, field)) else 0.0)

        def per_level(field: str) -> Floats:
            return np.array([[getattr(s, field)[x].value for x in LEVELS[:-1]] + [1.0] for s in specs])

        def single(field: str) -> Floats:
            return np.array([getattr(s, field).value for s in specs])

        def cumulative(shares: dict[Equipment, Figure]) -> NDArray[Any]:
            return np.cumsum([x.value if (x := shares.get(k)) else 0.0 for k in EQUIPMENT])

        def beyond(c: ConditionSpec) -> NDArray[Any]:
            return np.cumprod([c.beyond_station.value, c.beyond_centre.value, c.beyond_secondary.value])

        asked = per_condition(lambda c: c.exam.value)
        exam = asked[:, :, None] * per_level("exam_at")[:, None, :]
        return cls(
            beyond=per_condition(beyond),
            admission=per_condition(lambda c: c.admission.value),
            follow_up=per_condition(lambda c: c.follow_up.value),
            follow_up_minutes=per_condition(lambda c: c.follow_up_days.value * 1440.0),
            exam=np.minimum(exam, 1.0),
            exam_asked=asked,
            imaging=per_condition(lambda c: cumulative(c.imaging)),
            inpatient_imaging=per_condition(lambda c: cumulative(c.inpatient_imaging)),
            inpatient_exam_after=np.array(
                [(d.value if (d := s.inpatient_exam_after_days) else 1.0) * 1440.0 for s in specs]
            ),
            imaging_report=np.array([i.value if (i := s.imaging_report_minutes) else 0.0 for s in specs]),
            minutes=np.concatenate([per_level("consultation_minutes"), single("emergency_minutes")[:, None]], axis=1),
            consultation=per_condition(lambda c: c.consultation.value if c.consultation else 1.0),
            exam_minutes=np.array([s.exam_minutes_by_level() for s in specs]),
            reading_minutes=np.array([(s.reading_minutes or s.exam_minutes).value for s in specs]),
            settled_by_reading=np.array([x.value if (x := s.settled_by_reading) else 0.0 for s in specs]),
            settled_by_advice=np.array([x.value if (x := s.settled_by_advice) else 0.0 for s in specs]),
            repeat_exam=single("repeat_exam"),
            results_valid=np.array([d.value * 1440.0 if (d := s.results_valid_days) else np.inf for s in specs]),
            second_look=single("second_look"),
            patience=single("waiting_patience"),
            patience_sigma=streams.sigma([cv.value if (cv := s.waiting_patience_cv) else 0.5 for s in specs]),
            triage=np.array(
                [[np.cumsum((s.conditions[c].triage or s.triage).value) for c in conditions] for s in specs]
            ),
            stay_minutes=per_condition(lambda c: c.stay_days.value * 1440.0 if c.stay_days else 0.0),
            stay_cv=optional("stay_cv"),
            stay_at=per_level("stay_at"),
            step_down=optional("step_down"),
            day_case=optional("day_case"),
            recovery=optional("recovery"),
            recovery_minutes=optional("recovery_days") * 1440.0,
            recovery_cv=optional("recovery_cv"),
            intensive=optional("intensive"),
            intensive_part=optional("intensive_part"),
            operations=per_condition(ConditionSpec.operations),
            case_weight=np.array(
                [[s.case_weights(s.conditions[c]) for c in conditions] for s in specs], dtype=np.int64
            ),
            exacerbates_to=per_condition(
                lambda c: conditions.index(c.exacerbates_to) if c.exacerbates_to else -1
            ).astype(np.int64),
            exacerbation=per_condition(ConditionSpec.more_exacerbations),
            exacerbation_minutes=per_condition(
                lambda c: c.exacerbation_days.value * 1440.0 if c.exacerbation_days else 0.0
            ),
            operation_after=np.array([d.value * 1440.0 if (d := s.operation_after_days) else 0.0 for s in specs]),
            day_case_minutes=np.array([h.value * 60.0 if (h := s.day_case_hours) else 0.0 for s in specs]),
            bed_patience=single("bed_patience") * 1440.0,
            forgoes_bed=np.array([x.value if (x := s.forgoes_bed) else 0.0 for s in specs]),
            makes_up=single("makes_up"),
            makes_up_minutes=single("makes_up_days") * 1440.0,
            readmission=per_condition(lambda c: c.readmission.value if c.readmission else 0.0),
            readmission_minutes=np.array([d.value * 1440.0 if (d := s.readmission_days) else 0.0 for s in specs]),
            after_step_down=np.array([r.value if (r := s.readmitted_after_step_down) else 1.0 for s in specs]),
            higher_standard=np.array([x.value if (x := s.higher_standard) else 1.0 for s in specs]),
            consultation_sigma=streams.sigma(single("consultation_cv")),
            exponential=specs[0].consultation_law == "exponential",
            patience_exponential=specs[0].patience_law == "exponential",
            stay_exponential=specs[0].stay_law == "exponential",
        )

    def tables(self) -> CareTables:
        """What kernels read."""
        more = {f"beyond_{level}": self.beyond[:, :, level - 1] for level in (1, 2, 3)}
        plain = ["stay_minutes", "step_down", "recovery", "exacerbates_to", "exacerbation", "exacerbation_minutes"]
        plain += ["recovery_minutes", "intensive", "intensive_part", "day_case", "readmission"]
        more |= {name: getattr(self, name) for name in plain}
        law, patience_law = map(_quantiles, (self.exponential, self.patience_exponential))
        stay_law = _quantiles(self.stay_exponential)
        return CareTables(
            table(
                admission=self.admission, follow_up=self.follow_up, follow_up_minutes=self.follow_up_minutes,
                stay_sigma=streams.sigma(self.stay_cv), recovery_sigma=streams.sigma(self.recovery_cv),
                exam_asked=self.exam_asked, first_admission=self.admission * (1.0 - self.readmission), **more
            ),
            table(
                sigma=self.consultation_sigma, second_look=self.second_look, patience=self.patience,
                patience_sigma=self.patience_sigma, repeat_exam=self.repeat_exam,
                results_valid=self.results_valid, reading_minutes=self.reading_minutes,
                settled_by_reading=self.settled_by_reading, bed_patience=self.bed_patience,
                forgoes_bed=self.forgoes_bed,
                makes_up=self.makes_up, makes_up_minutes=self.makes_up_minutes, imaging_report=self.imaging_report,
                readmission_minutes=self.readmission_minutes, after_step_down=self.after_step_down,
                settled_by_advice=self.settled_by_advice,
            ),
            self.exam, self.imaging, self.consultation[:, :, None] * self.minutes[:, None, :], self.triage,
            self.operations, self.case_weight, self.stay_at, self.exam_minutes, law, patience_law, stay_law,
            streams.normal_table(), self.exponential, self.patience_exponential, self.stay_exponential,
            self.inpatient_imaging,
        )  # fmt: skip


def _quantiles(exponential: bool) -> Floats:
    """Of the exponential law, or of the logarithm of the lognormal one."""
    return streams.exponential_table() if exponential else streams.normal_table()


class CareTables(NamedTuple):
    """The figures of care as kernels read them."""

    conditions: NDArray[Any]
    """Rows of admission, follow_up, follow_up_minutes, stay_minutes, stay_sigma (spread of the logarithm), step_down,
    recovery, recovery_minutes, recovery_sigma, intensive, intensive_part, day_case, beyond_1, beyond_2, beyond_3,
    exacerbates_to, exacerbation, exacerbation_minutes, exam_asked, first_admission (of residents, without
    readmissions), readmission; (W, C)."""
    worlds: NDArray[Any]
    """Rows of sigma (spread of consultations), second_look, patience, patience_sigma, repeat_exam, results_valid,
    reading_minutes, settled_by_reading, bed_patience, forgoes_bed, makes_up, makes_up_minutes, imaging_report,
    readmission_minutes, after_step_down, settled_by_advice; (W,)."""
    exam: Floats
    """(W, C, L)."""
    imaging: Floats
    """(W, C, kinds)."""
    minutes: Floats
    """(W, C, L + 1)."""
    triage: Floats
    """(W, C, 4)."""
    operations: Floats
    """(W, C, 3, 4)."""
    case_weight: NDArray[np.int64]
    """(W, C, 3)."""
    stay_at: Floats
    """(W, L)."""
    exam_minutes: Floats
    """(W, L)."""
    law: Floats
    """Quantiles of consultations, (streams.TABLE,): of the exponential law, or of the normal law of their logarithm."""
    patience_law: Floats
    """The same of patience in the waiting room."""
    stay_law: Floats
    """The same of stays."""
    normal: Floats
    """Quantiles of the standard normal law, (streams.TABLE,)."""
    exponential: bool
    """Whether `law` is the exponential one."""
    patience_exponential: bool
    """Whether `patience_law` is."""
    stay_exponential: bool
    """Whether `stay_law` is."""
    inpatient_imaging: Floats
    """(W, C, kinds)."""


@kernel
def truth(condition: Any, key: np.uint64, resident: bool) -> tuple[int, bool]:
    """What is true of an episode: level of care needed (1-4) and whether a bed is needed (then at least level 2).

    `condition`: its row of `CareTables.conditions`. Residents' readmissions are episodes of their own and part of the
    admissions stated, so fewer of the others need a bed.
    """
    admission = condition["first_admission"] if resident else condition["admission"]
    u = streams.uniform_of(key, Purpose.SEVERITY, 0)
    need = 1 + int(u < condition["beyond_1"]) + int(u < condition["beyond_2"]) + int(u < condition["beyond_3"])
    admitted = streams.uniform_of(key, Purpose.ADMISSION, 0) < admission
    return max(need, 2) if admitted else need, admitted


@kernel
def is_within_reach(key: np.uint64, chance: float) -> bool:
    """Whether a place that gives such a chance meets a need one level beyond it; one number for each episode."""
    return streams.uniform_of(key, Purpose.WITHIN_REACH, 0) < chance


@kernel
def admits(condition: Any, key: np.uint64, odds: float, needs_bed: bool, resident: bool) -> bool:
    """Whether a doctor gives a bed to a planned patient, where incentives multiply the odds of an admission (M23).

    `condition`: its row of `CareTables.conditions`. Above 1 everybody who needs a bed is admitted and some who do not
    are, below 1 some who need one are not: such a share of both that the chance of an admission has these odds.
    """
    chance = condition["first_admission"] if resident else condition["admission"]
    of_those = odds if needs_bed else chance * (odds - 1.0)
    return streams.uniform_of(key, Purpose.INCLINATION, 0) < of_those / (chance * odds + (1.0 - chance))


@kernel
def makes_up(tables: CareTables, world: int, patient: np.uint64, nth: int) -> bool:
    """Whether a long-term patient makes up for a missed nth follow-up when called back."""
    return streams.uniform_of(patient, Purpose.MADE_UP, nth) < tables.worlds[world]["makes_up"]


@kernel
def made_up(patient: np.uint64, nth: int) -> np.uint64:
    """The episode in which that is done, a child of the follow-up; nobody stays away for the same reason twice."""
    return streams.child_of(streams.child_of(patient, nth), CALLED_BACK)


@kernel
def made_up_delay(tables: CareTables, world: int, episode: np.uint64) -> float:
    """Minutes from the missed follow-up until then: half to one and a half times the mean."""
    return tables.worlds[world]["makes_up_minutes"] * (0.5 + streams.uniform_of(episode, Purpose.MADE_UP_TIME, 0))


@kernel
def exacerbates(condition: Any, patient: np.uint64, nth: int) -> bool:
    """Whether a long-term patient's nth follow-up, if it is missed, ends in an emergency that it would have spared.

    `condition`: its row of `CareTables.conditions`.
    """
    return streams.uniform_of(patient, Purpose.EXACERBATION, nth) < condition["exacerbation"]


@kernel
def exacerbation_of(patient: np.uint64, nth: int) -> np.uint64:
    """The episode of that emergency, a child of the follow-up."""
    return streams.child_of(streams.child_of(patient, nth), AFTER_MISSED)


@kernel
def exacerbation_delay(condition: Any, episode: np.uint64) -> float:
    """Minutes from the missed follow-up to the emergency: half to one and a half times the mean."""
    return condition["exacerbation_minutes"] * (0.5 + streams.uniform_of(episode, Purpose.EXACERBATION_TIME, 0))


@kernel
def is_readmitted(tables: CareTables, stay: Any) -> bool:
    """Whether a discharge home is followed by an unplanned readmission; visitors would be readmitted at home.

    `stay`: its last leg, a row of `records.LEG`.
    """
    world = int(stay["world"])
    if stay["to_step_down"] or stay["person"] < 0:
        return False
    chance = tables.conditions[world, int(stay["condition"])]["readmission"]
    if stay["came_from"] >= 0:
        chance *= tables.worlds[world]["after_step_down"]
    return streams.uniform_of(stay["key"], Purpose.READMISSION, 0) < chance


@kernel
def readmission_of(episode: np.uint64) -> np.uint64:
    """The episode in which that is done, a child of the one whose stay has ended."""
    return streams.child_of(episode, AFTER_STAY)


@kernel
def readmission_delay(tables: CareTables, world: int, episode: np.uint64) -> float:
    """Minutes from the discharge until it begins: half to one and a half times the mean."""
    spread = 0.5 + streams.uniform_of(episode, Purpose.READMISSION_TIME, 0)
    return tables.worlds[world]["readmission_minutes"] * spread


@kernel
def consultation(tables: CareTables, visit: np.uint64, world: int, condition: int, column: int) -> float:
    """Minutes of the first look; `column` is the level, or the number of levels for an emergency department."""
    shape = tables.law[streams.cell_of(visit, Purpose.SERVICE, 0)]
    if not tables.exponential:
        shape = streams.lognormal_of(shape, tables.worlds[world]["sigma"])
    return shape * tables.minutes[world, condition, column]


@kernel
def patience(tables: CareTables, visit: np.uint64, world: int) -> float:
    """Minutes a patient will wait to be seen."""
    shape = tables.patience_law[streams.cell_of(visit, Purpose.PATIENCE, 0)]
    if not tables.patience_exponential:
        shape = streams.lognormal_of(shape, tables.worlds[world]["patience_sigma"])
    return shape * tables.worlds[world]["patience"]


@kernel
def is_expired(tables: CareTables, world: int, age: float) -> bool:
    """Whether results so many minutes old count as none (M12)."""
    return age > tables.worlds[world]["results_valid"]


@kernel
def exam(
    tables: CareTables, visit: np.uint64, who: Any, facility: int, level: int, recognised: float, read: float
) -> int:
    """Whether a same-visit exam is made, and what becomes of results that another institution found (M12).

    `recognised`: share, in force, of the results not trusted that are recognised all the same; `read`: share of the
    exams that a hospital would make and this place would not which are made here and read by the group.
    """
    world, condition = int(who["world"]), int(who["condition"])
    here = tables.exam[world, condition, level]
    more = max(tables.conditions[world, condition]["exam_asked"] - here, 0.0)
    if streams.uniform_of(visit, Purpose.EXAM, 0) >= here + read * more:
        return NO_EXAM
    if who["examined"] == 0 or who["examined"] == facility + 1:
        return MADE
    luck, doubted = streams.uniform_of(visit, Purpose.REPEAT, 0), tables.worlds[world]["repeat_exam"]
    if luck >= doubted:
        return TRUSTED
    return RECOGNISED if luck >= doubted * (1.0 - recognised) else REPEATED


@kernel
def is_read_remotely(tables: CareTables, visit: np.uint64, who: Any, level: int) -> bool:
    """Whether an exam, if it is made at all, is one that the place would not make by itself: the group reads it."""
    here = tables.exam[int(who["world"]), int(who["condition"]), level]
    return streams.uniform_of(visit, Purpose.EXAM, 0) >= here


@kernel
def settled_by_reading(tables: CareTables, visit: np.uint64, world: int) -> bool:
    """Whether an exam that the group has read was all that a need beyond the place has lacked."""
    luck = streams.uniform_of(visit, Purpose.SETTLED_BY_READING, 0)
    return luck < tables.worlds[world]["settled_by_reading"]


@kernel
def settled_by_advice(tables: CareTables, visit: np.uint64, world: int) -> bool:
    """Whether a centre's advice settles a need that exceeds a station and not the centre."""
    return streams.uniform_of(visit, Purpose.ADVICE, 0) < tables.worlds[world]["settled_by_advice"]


@kernel
def is_made(exam: int) -> bool:
    """Whether the patient really is examined."""
    return exam in (MADE, REPEATED)


@kernel
def equipment(tables: CareTables, visit: np.uint64, who: Any) -> int:
    """The kind of large equipment that a visit to a hospital's clinic asks for, NO_EQUIPMENT = none."""
    luck = streams.uniform_of(visit, Purpose.IMAGING, 0)
    return _kind(tables.imaging[int(who["world"]), int(who["condition"])], luck)


@kernel
def inpatient_equipment(tables: CareTables, who: Any) -> int:
    """The kind of large equipment that the stay of an episode asks for, NO_EQUIPMENT = none."""
    luck = streams.uniform_of(who["key"], Purpose.INPATIENT_IMAGING, 0)
    return _kind(tables.inpatient_imaging[int(who["world"]), int(who["condition"])], luck)


@kernel
def _kind(shares: Any, luck: float) -> int:
    """The first kind of large equipment whose cumulative share is above a number."""
    for kind in range(len(shares)):
        if luck < shares[kind]:
            return kind
    return NO_EQUIPMENT


@kernel
def exam_turnaround(tables: CareTables, visit: np.uint64, who: Any, level: int) -> float:
    """Minutes until the results of a same-visit exam are there."""
    quantile, world = tables.normal[streams.cell_of(visit, Purpose.TURNAROUND, 0)], int(who["world"])
    minutes = tables.exam_minutes[world, level]
    if is_read_remotely(tables, visit, who, level):
        minutes = tables.worlds[world]["reading_minutes"]
    return streams.lognormal_of(quantile, HALF_CV) * minutes


@kernel
def triage(tables: CareTables, key: np.uint64, world: int, condition: int) -> int:
    """Triage level, 0 (most urgent) to 3."""
    u = streams.uniform_of(key, Purpose.TRIAGE, 0)
    level = 0
    while level < TRIAGE_LEVELS - 1 and u >= tables.triage[world, condition, level]:
        level += 1
    return level


STAY = np.dtype(
    [
        ("world", "i8"), ("key", "u8"), ("person", "i8"), ("condition", "i8"), ("need", "i8"), ("minutes", "f8"),
        ("acute", "f8"), ("proposal", "f8"), ("consent", "f8"), ("patience", "f8"),
        ("operation", "i8"), ("weight", "i8"), ("recovery_weight", "i8"), ("recovery", "f8"), ("intensive", "f8"),
        ("day_case", "f8"), ("exam", "i8"),
    ]
)  # fmt: skip
"""What is true of a stay before it begins, in the order of `stays.Course`."""


@kernel
def operation(tables: CareTables, key: np.uint64, world: int, condition: int, need: int) -> int:
    """The highest level of operation in a stay, 1 to 4; 0 = none."""
    luck = streams.uniform_of(key, Purpose.OPERATION, 0)
    chances = tables.operations[world, condition, need - STAY_NEEDS[0]]
    level = 0
    while level < OPERATION_LEVELS and luck < chances[level]:
        level += 1
    return level


@kernel
def forgoes_bed(tables: CareTables, key: np.uint64, world: int) -> bool:
    """Whether somebody who finds no bed in the area goes without one."""
    return streams.uniform_of(key, Purpose.FORGOES_BED, 0) < tables.worlds[world]["forgoes_bed"]


@kernel
def _length(tables: CareTables, key: np.uint64, purpose: int, mean: float, sigma: float) -> float:
    """A length by the law of stays."""
    shape = tables.stay_law[streams.cell_of(key, purpose, 0)]
    return mean * (shape if tables.stay_exponential else streams.lognormal_of(shape, sigma))


@kernel
def stay_shape(tables: CareTables, who: Any) -> float:
    """The stay of a contact over its mean."""
    condition = tables.conditions[int(who["world"]), int(who["condition"])]
    return _length(tables, who["key"], Purpose.STAY, 1.0, condition["stay_sigma"])


@kernel
def day_case_number(condition: Any, key: np.uint64) -> float:
    """A number below 1 for stays that suit a day centre, evenly spread there; infinite where none does.

    It is the number of the stay's length, so the shortest stays of a condition are those that need no night.
    `condition`: its row of `CareTables.conditions`.
    """
    suited = condition["day_case"]
    return streams.uniform_of(key, Purpose.STAY, 0) / suited if suited > 0.0 else np.inf


@kernel
def draw_stay(tables: CareTables, who: Any, level: int, emergency: bool, stay: Any) -> None:
    """Fill a row of STAY for a contact who needs a bed, from the episode's own numbers.

    `level`: of the institution; `emergency`: admitted by an emergency department, so it waits as long as it takes.
    """
    key, world = who["key"], int(who["world"])
    condition = tables.conditions[world, int(who["condition"])]
    mean = condition["stay_minutes"] * tables.stay_at[world, level]
    stay["world"], stay["key"], stay["person"] = world, key, who["person"]
    stay["condition"], stay["need"] = who["condition"], who["need"]
    stay["minutes"] = _length(tables, key, Purpose.STAY, mean, condition["stay_sigma"])
    eligible = streams.uniform_of(key, Purpose.STEP_ELIGIBLE, 0) < condition["step_down"]
    may_step_down = eligible and who["person"] >= 0 and level >= Level.secondary
    stay["acute"] = stay["minutes"] * (1.0 - condition["recovery"]) if may_step_down else np.inf
    stay["proposal"] = streams.uniform_of(key, Purpose.PROPOSAL, 0)
    stay["consent"] = streams.uniform_of(key, Purpose.CONSENT, 0)
    quantile = tables.normal[streams.cell_of(key, Purpose.BED_PATIENCE, 0)]
    patience = streams.lognormal_of(quantile, HALF_CV) * tables.worlds[world]["bed_patience"]
    stay["patience"] = np.inf if emergency else patience
    stay["operation"] = operation(tables, key, world, int(who["condition"]), int(who["need"]))
    weights = tables.case_weight[world, int(who["condition"])]
    stay["weight"] = weights[int(who["need"]) - STAY_NEEDS[0]]
    stay["recovery_weight"] = weights[0]  # by then the care of a centre is enough
    stay["exam"] = inpatient_equipment(tables, who)
    mean, sigma = condition["recovery_minutes"], condition["recovery_sigma"]
    stay["recovery"] = _length(tables, key, Purpose.RECOVERY, mean, sigma) if mean > 0.0 else 0.0
    begins_there = streams.uniform_of(key, Purpose.INTENSIVE, 0) < condition["intensive"]
    stay["intensive"] = stay["minutes"] * condition["intensive_part"] if begins_there else 0.0
    stay["day_case"] = np.inf if begins_there else day_case_number(condition, key)


@kernel
def draw_stays(tables: CareTables, rows: Any, level: int, stays: Any) -> None:
    """The same for many planned admissions to institutions of one level."""
    for i in range(len(rows)):
        draw_stay(tables, rows[i], level, False, stays[i])
