"""Working days, sessions and holidays; the only room that turns minutes into dates.

Simulated time is a float: minutes since 00:00 of the first day of the warm-up. A day has two half-days, 00:00-12:00
and 12:00-24:00; bookings settle at the end of each. A window is what is simulated in one stroke: a half-day or a whole
fraction of one.
"""

from __future__ import annotations

import datetime
import math
from dataclasses import dataclass, fields
from functools import cached_property
from typing import Any, Literal

import holidays
import numpy as np
from numpy.typing import NDArray
from pydantic import Field, model_validator

from sim.citation import Figure, Figures
from sim.kernels import kernel, table
from sim.schema import Closed, Name

DAY = 1440.0
HALF_DAY = 720.0
ROUND_THE_CLOCK = "round_the_clock"

Weekday = Literal["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"]

WEEKDAYS: tuple[Weekday, ...] = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")


class SessionHours(Closed):
    """A session of clinics: a stretch of one half-day."""

    opens: str = Field(pattern=r"^([01]\d|2[0-3]):[0-5]\d$")
    """Minute at which doctors begin, `HH:MM`."""
    closes: str = Field(pattern=r"^([01]\d|2[0-4]):[0-5]\d$")
    """Last minute of admission, `HH:MM`; who is in by then is seen, in overtime if need be."""

    @property
    def minutes(self) -> tuple[float, float]:
        """Opening and last admission in minutes of the day."""
        return _minutes(self.opens), _minutes(self.closes)

    @model_validator(mode="after")
    def _within_a_half_day(self) -> SessionHours:
        opens, closes = self.minutes
        if not opens < closes or opens // HALF_DAY != (closes - 1) // HALF_DAY:
            rule = "a session lies inside 00:00-12:00 or 12:00-24:00 and opens before it closes"
            raise ValueError(f"{rule}; found {self.opens}-{self.closes}")
        return self


class Pattern(Closed):
    """On which days a clinic is open, and how large it is then (share of its doctors and slots)."""

    sessions: list[Name]
    """Names of the sessions held on an open day."""
    days: list[Weekday] | None = Field(default=None, min_length=1)
    """The only days of the week on which it is open; left out = every day whose size is not 0."""
    workday: float = Field(ge=0, le=1)
    """Size on Monday to Friday, holidays apart; 1 = full."""
    weekend: float = Field(ge=0, le=1)
    """Size on Saturday and Sunday; 0 = closed."""
    holiday: float = Field(ge=0, le=1)
    """Size on a public holiday; 0 = closed."""

    def week(self) -> NDArray[np.float64]:
        """Size on each day of a week without holidays, Monday first."""
        by_day = np.array([self.weekend if day in WEEKDAYS[5:] else self.workday for day in WEEKDAYS])
        return by_day * self.held_on()

    def held_on(self) -> NDArray[np.bool_]:
        """Whether it may be open on each day of the week."""
        return np.array([self.days is None or day in self.days for day in WEEKDAYS])


class Profile(Closed):
    """When in the week needs arise."""

    weekday: Figures
    """Seven factors, Monday first."""
    hour: Figures
    """Twenty-four weights, 00:00-01:00 first."""
    holiday: Figure
    """Factor on public holidays."""

    @model_validator(mode="after")
    def _complete(self) -> Profile:
        for name, figures, wanted in (("weekday", self.weekday, 7), ("hour", self.hour, 24)):
            if len(figures.value) != wanted or min(figures.value) < 0 or sum(figures.value) <= 0:
                found = len(figures.value)
                raise ValueError(f"{name} needs {wanted} numbers, none negative and not all 0; found {found}")
        return self


class TimetableSpec(Closed):
    """Facts about time: sessions, working days, holidays, seasons."""

    window_minutes: int = Field(default=720, gt=0)
    """Length of the stretch simulated in one stroke, a divisor of 720; results do not depend on it where moves within a
    half-day do not feed back."""
    holidays: str = Field(default="CN", pattern="^(CN|none)$")
    """Public holidays: those of China (CN), or none."""
    sessions: dict[Name, SessionHours]
    """The sessions of a day, by name."""
    patterns: dict[Name, Pattern]
    """Opening patterns, by name; `round_the_clock` always exists."""
    month: Figures
    """Twelve factors of demand, January first."""
    growth: Figure
    """Growth of demand per year, on 0 at the start of the warm-up (0.02 = two per cent a year)."""
    profiles: dict[Name, Profile]
    """Weekly profiles of needs, by name."""

    @model_validator(mode="after")
    def _consistent(self) -> TimetableSpec:
        if HALF_DAY % self.window_minutes:
            raise ValueError(f"window_minutes must divide 720; found {self.window_minutes}")
        if len(self.month.value) != 12 or min(self.month.value) < 0:
            raise ValueError(f"month needs 12 numbers, none negative; found {len(self.month.value)}")
        for name, pattern in self.patterns.items():
            unknown = [s for s in pattern.sessions if s not in self.sessions]
            if unknown:
                welcome = ", ".join(self.sessions)
                raise ValueError(
                    f"pattern {name} names the session {unknown[0]}, which does not exist; welcome: {welcome}"
                )
        return self


def _minutes(clock: str) -> float:
    hour, minute = clock.split(":")
    return int(hour) * 60.0 + int(minute)


@dataclass(frozen=True)
class Opening:
    """When one pattern is open, half-day by half-day; all arrays have shape (half-days,)."""

    size: NDArray[np.float64]
    """Share of doctors and slots; 0 = closed."""
    opens: NDArray[np.float64]
    """Minute of opening."""
    closes: NDArray[np.float64]
    """Last minute of admission."""
    following: NDArray[np.int64]
    """First open half-day at or after this one (the number of half-days if none is left)."""


def hours(timetable: Timetable, patterns: list[str]) -> NDArray[Any]:
    """The openings of several patterns side by side: rows with the fields of `Opening`, (patterns, half-days)."""
    each = [timetable.opening(p) for p in patterns]
    return table(**{f.name: np.array([getattr(o, f.name) for o in each]) for f in fields(Opening)})


@kernel
def day_at(minute: float) -> int:
    """Day of the run (division and floor: four times faster than whole division, and it is done for every visit)."""
    return math.floor(minute / DAY)


@kernel
def half_day_at(minute: float) -> int:
    """Half-day of the run."""
    return math.floor(minute / HALF_DAY)


@kernel
def admits_at(hours: Any, pattern: int, minute: float) -> bool:
    """Whether a point with this pattern still admits patients at a minute (asked at the end of a window)."""
    before, after = half_day_at(minute - 1e-6), half_day_at(minute)
    if before == after:
        return hours[pattern, before]["closes"] >= minute
    return hours[pattern, after]["opens"] <= minute and hours[pattern, after]["size"] > 0


@kernel
def present_from(hours: Any, pattern: int, minute: float, late: float) -> float:
    """When someone who comes at `minute` can be in line: then, or soon after the next opening (`late`: in (0, 1))."""
    last = hours.shape[1] - 1
    half = min(half_day_at(minute), last)
    if minute > hours[pattern, half]["closes"]:
        half = min(half + 1, last)
    session = hours[pattern, min(hours[pattern, half]["following"], last)]
    opens = session["opens"]
    if minute >= opens:
        return minute
    return opens + late * min(90.0, (session["closes"] - opens) / 2)


class Timetable:
    """The calendar of one run. Days run on past the horizon, so that bookings and forecasts never fall off its edge."""

    BEYOND = 120
    """Days kept after the horizon."""

    def __init__(self, spec: TimetableSpec, first: datetime.date, last: datetime.date) -> None:
        self.spec = spec
        self.first, self.last = first, last
        self.days = (last - first).days + 1
        self.horizon = self.days * DAY
        self.window = float(spec.window_minutes)
        self.windows = int(self.horizon // self.window)
        self.known_days = self.days + self.BEYOND
        self.dates = np.datetime64(first, "D") + np.arange(self.known_days)
        self.weekday = (self.dates.astype("datetime64[D]").astype(np.int64) + 3) % 7
        self.month = (self.dates.astype("datetime64[M]") - np.datetime64(first, "M")).astype(np.int64)
        self.months = int(self.month[self.days - 1]) + 1
        self.is_holiday = self._holidays()

    def _holidays(self) -> NDArray[np.bool_]:
        if self.spec.holidays == "none":
            return np.zeros(self.known_days, dtype=bool)
        years = range(self.first.year, (self.last + datetime.timedelta(days=self.BEYOND)).year + 1)
        known = set(holidays.country_holidays("CN", years=years))
        return np.array([d in known for d in self.dates.tolist()])

    def date(self, day: int) -> datetime.date:
        """The date of a day of the run."""
        return self.first + datetime.timedelta(days=day)

    def day_of(self, when: datetime.date) -> int:
        """The day of the run on which a date falls (may be negative or past the end)."""
        return (when - self.first).days

    @cached_property
    def month_starts(self) -> NDArray[np.datetime64]:
        """First day of each month of the run, shape (months,)."""
        return (np.datetime64(self.first, "M") + np.arange(self.months)).astype("datetime64[D]")

    def opening(self, pattern: str) -> Opening:
        """When a pattern is open over the run."""
        half_days = 2 * self.known_days
        start = np.arange(half_days, dtype=np.float64) * HALF_DAY
        if pattern == ROUND_THE_CLOCK:
            return Opening(np.ones(half_days), start, start + HALF_DAY, np.arange(half_days))
        rule = self.spec.patterns[pattern]
        by_day = np.where(self.is_holiday, rule.holiday * rule.held_on()[self.weekday], rule.week()[self.weekday])
        size, opens, closes = np.zeros(half_days), start.copy(), start.copy()
        for name in rule.sessions:
            first, last = self.spec.sessions[name].minutes
            here = np.arange(int(first // HALF_DAY), half_days, 2)
            size[here] = by_day
            opens[here] = (here // 2) * DAY + first
            closes[here] = (here // 2) * DAY + last
        return Opening(size, opens, closes, _following(size > 0))

    def weekly_minutes(self, pattern: str) -> float:
        """Minutes of full sessions that a pattern comes to in a week without holidays."""
        if pattern == ROUND_THE_CLOCK:
            return 7 * DAY
        rule = self.spec.patterns[pattern]
        minutes = (self.spec.sessions[name].minutes for name in rule.sessions)
        return float(rule.week().sum()) * sum(closes - opens for opens, closes in minutes)

    def weights(self, profile: Profile, first_day: int, days: int) -> NDArray[np.float64]:
        """Relative intensity of needs, shape (days, 24); the mean over a factor-free week is 1 a day (1/24 an hour)."""
        day = np.arange(first_day, first_day + days)
        week, hour = np.asarray(profile.weekday.value), np.asarray(profile.hour.value)
        month_of_year = self.dates[day].astype("datetime64[M]").astype(np.int64) % 12
        by_day = (week / week.mean())[self.weekday[day]] * np.asarray(self.spec.month.value)[month_of_year]
        by_day *= np.where(self.is_holiday[day], profile.holiday.value, 1.0)
        by_day *= (1.0 + self.spec.growth.value) ** (day / 365.0)
        return np.asarray(by_day[:, None] * (hour / hour.sum())[None, :])


def _following(is_open: NDArray[np.bool_]) -> NDArray[np.int64]:
    index = np.where(is_open, np.arange(len(is_open)), len(is_open))
    return np.minimum.accumulate(index[::-1])[::-1]
