"""Days, holidays, sessions and weekly profiles, on real dates."""

from __future__ import annotations

from datetime import date
from itertools import pairwise

import numpy as np
import pytest

import sim
import towns
from sim.schema import InputError
from sim.timetable import DAY, HALF_DAY, Timetable, TimetableSpec, admits_at, hours, present_from


@pytest.fixture(scope="module")
def china() -> TimetableSpec:
    """The timetable of the studies."""
    return sim.load("example").timetable


def of(spec: TimetableSpec, first: date, last: date) -> Timetable:
    """A timetable over these days."""
    return Timetable(spec, first, last)


def test_days_of_2024(china: TimetableSpec) -> None:
    year = of(china, date(2024, 1, 1), date(2024, 12, 31))
    assert (year.days, year.windows, year.months) == (366, 732, 12)
    assert year.date(59) == date(2024, 2, 29)
    assert year.day_of(date(2024, 2, 29)) == 59
    assert year.date(365) == date(2024, 12, 31)
    assert [int(year.weekday[year.day_of(d)]) for d in (date(2024, 1, 1), date(2024, 2, 29), date(2024, 12, 29))] == [
        0,
        3,
        6,
    ]


def test_months_run_on_past_the_end_of_a_year() -> None:
    turn = of(towns.timetable(), date(2023, 12, 30), date(2024, 3, 1))
    assert turn.month[:4].tolist() == [0, 0, 1, 1]
    assert turn.months == 4
    assert [str(m) for m in turn.month_starts] == ["2023-12-01", "2024-01-01", "2024-02-01", "2024-03-01"]
    assert int(turn.month[turn.day_of(date(2024, 2, 29))]) == 2


@pytest.mark.parametrize(
    ("day", "holiday"),
    [
        (date(2024, 1, 1), True),
        (date(2024, 2, 10), True),
        (date(2024, 2, 12), True),
        (date(2024, 4, 4), True),
        (date(2024, 5, 1), True),
        (date(2024, 6, 10), True),
        (date(2024, 9, 17), True),
        (date(2024, 10, 1), True),
        (date(2024, 10, 3), True),
        (date(2025, 1, 29), True),
        (date(2024, 3, 8), False),
        (date(2024, 10, 10), False),
        (date(2024, 12, 25), False),
        (date(2024, 2, 29), False),
    ],
)
def test_chinese_public_holidays(china: TimetableSpec, day: date, holiday: bool) -> None:
    """New Year, Spring Festival, Qingming, Labour Day, Dragon Boat, Mid-Autumn, National Day."""
    run = of(china, date(2024, 1, 1), date(2025, 6, 30))
    assert run.is_holiday[run.day_of(day)] == holiday


def test_without_holidays_there_are_none() -> None:
    assert not of(towns.timetable(), date(2024, 1, 1), date(2024, 12, 31)).is_holiday.any()


def test_session_hours_and_sizes(china: TimetableSpec) -> None:
    run = of(china, date(2024, 1, 1), date(2024, 1, 31))
    hospital = run.opening("hospital")
    by_day = {d: run.day_of(date(2024, 1, d)) for d in (1, 2, 6)}
    assert [hospital.size[2 * by_day[d]] for d in (1, 2, 6)] == [0.3, 1.0, 0.5]  # holiday, Tuesday, Saturday
    tuesday = by_day[2] * DAY
    assert (hospital.opens[2 * by_day[2]] - tuesday, hospital.closes[2 * by_day[2]] - tuesday) == (480, 720)
    assert (hospital.opens[2 * by_day[2] + 1] - tuesday, hospital.closes[2 * by_day[2] + 1] - tuesday) == (840, 1050)


def test_a_clinic_on_two_mornings_a_week(china: TimetableSpec) -> None:
    run = of(china, date(2024, 4, 29), date(2024, 5, 12))  # Monday; 1 to 5 May are holidays
    joint = run.opening("joint")
    assert np.flatnonzero(joint.size[: 2 * run.days]).tolist() == [2, 2 * 8, 2 * 11]
    assert run.weekly_minutes("joint") == 2 * 240
    assert run.weekly_minutes("hospital") == (240 + 210) * (5 + 2 * 0.5)
    assert run.weekly_minutes("round_the_clock") == 7 * 24 * 60


def test_the_days_of_a_pattern_mask_holidays_too() -> None:
    spec = towns.timetable(holidays="CN", weekend=0.5).model_dump(mode="python")
    spec["patterns"]["odd"] = spec["patterns"]["office"] | {"days": ["monday", "sunday"], "holiday": 0.2}
    run = of(TimetableSpec.model_validate(spec), date(2024, 1, 1), date(2024, 1, 7))
    assert run.opening("odd").size[:14:2].tolist() == [0.2, 0, 0, 0, 0, 0, 0.5]
    assert run.weekly_minutes("odd") == 1.5 * (240 + 210)


@pytest.mark.parametrize("days", [[], ["someday"]])
def test_days_are_named_and_at_least_one(days: list[str]) -> None:
    spec = towns.timetable().model_dump(mode="python")
    spec["patterns"]["office"]["days"] = days
    with pytest.raises((ValueError, InputError), match="days"):
        TimetableSpec.model_validate(spec)


def test_the_next_opening_skips_closed_days() -> None:
    run = of(towns.timetable(weekend=0.0), date(2024, 1, 1), date(2024, 1, 31))
    office = run.opening("office")
    friday, monday = 2 * run.day_of(date(2024, 1, 5)), 2 * run.day_of(date(2024, 1, 8))
    assert office.following[friday + 1] == friday + 1
    assert office.following[friday + 2 : monday].tolist() == [monday] * (monday - friday - 2)
    opens = hours(run, ["office"])
    times = [
        friday * HALF_DAY + 500,
        friday * HALF_DAY + 725,
        (friday + 1) * HALF_DAY + 331,
        friday * HALF_DAY + 400,
    ]
    late = [0.0, 0.0, 0.5, 0.25]
    found = [present_from(opens, 0, minute, luck) for minute, luck in zip(times, late, strict=True)]
    assert found[0] == times[0]  # open now
    assert found[1] == friday * HALF_DAY + 840  # at lunch
    assert found[2] == monday * HALF_DAY + 480 + 45  # after the last admission on Friday
    assert found[3] == friday * HALF_DAY + 480 + 22.5  # before the doors open


def test_round_the_clock_never_closes() -> None:
    run = of(towns.timetable(), date(2024, 1, 1), date(2024, 1, 10))
    both = hours(run, ["round_the_clock", "office"])
    assert [admits_at(both, pattern, 540.0) for pattern in (0, 1)] == [True, True]
    assert [admits_at(both, pattern, 720.0) for pattern in (0, 1)] == [True, False]
    assert [admits_at(both, pattern, 1380.0) for pattern in (0, 1)] == [True, False]
    assert (both["size"][0] == 1).all()


def test_a_clinic_open_in_the_afternoon_alone() -> None:
    spec = towns.timetable().model_dump(mode="python")
    spec["patterns"]["late"] = {"sessions": ["afternoon"], "workday": 1.0, "weekend": 0.0, "holiday": 0.0}
    late = of(TimetableSpec.model_validate(spec), date(2024, 1, 1), date(2024, 1, 10)).opening("late")
    assert late.size[:4].tolist() == [0, 1, 0, 1]
    assert late.following[:3].tolist() == [1, 1, 3]


# ----------------------------------------------------------------------------------------------------------- profiles


def test_a_flat_profile_is_one_need_a_day() -> None:
    flat = towns.timetable()
    weights = of(flat, date(2024, 1, 1), date(2024, 12, 31)).weights(flat.profiles["flat"], 0, 366)
    assert weights.shape == (366, 24)
    assert np.allclose(weights, 1 / 24)


def test_weights_multiply_weekday_month_holiday_and_growth(china: TimetableSpec) -> None:
    run = of(china, date(2024, 1, 1), date(2025, 12, 31))
    profile = china.profiles["clinic"]
    weights = run.weights(profile, 0, 731).sum(axis=1)
    week = np.array(profile.weekday.value) / np.mean(profile.weekday.value)
    for day in (date(2024, 3, 11), date(2024, 3, 16), date(2024, 10, 1), date(2025, 8, 20)):
        n = run.day_of(day)
        expected = week[day.weekday()] * china.month.value[day.month - 1] * (1 + china.growth.value) ** (n / 365)
        expected *= profile.holiday.value if run.is_holiday[n] else 1.0
        assert weights[n] == pytest.approx(expected)


def test_weights_of_a_stretch_are_those_of_the_whole(china: TimetableSpec) -> None:
    run, profile = of(china, date(2024, 1, 1), date(2024, 12, 31)), china.profiles["emergency"]
    assert np.array_equal(run.weights(profile, 100, 28), run.weights(profile, 0, 366)[100:128])


# ------------------------------------------------------------------------------------------------------------- refusals


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"window_minutes": 50}, "must divide 720"),
        ({"month": towns.said([1.0] * 11)}, "12 numbers"),
        (
            {
                "sessions": {
                    "morning": {"opens": "11:00", "closes": "13:00"},
                    "afternoon": {"opens": "14:00", "closes": "17:30"},
                }
            },
            "inside 00:00-12:00",
        ),
        ({"sessions": {"morning": {"opens": "08:00", "closes": "12:00"}}}, "afternoon"),
        (
            {
                "sessions": {
                    "morning": {"opens": "25:00", "closes": "26:00"},
                    "afternoon": {"opens": "14:00", "closes": "17:30"},
                }
            },
            "pattern",
        ),
        (
            {
                "profiles": {
                    "flat": {
                        "weekday": towns.said([1.0] * 6),
                        "hour": towns.said([1.0] * 24),
                        "holiday": towns.said(1.0),
                    }
                }
            },
            "weekday needs 7",
        ),
        (
            {
                "profiles": {
                    "flat": {
                        "weekday": towns.said([1.0] * 7),
                        "hour": towns.said([0.0] * 24),
                        "holiday": towns.said(1.0),
                    }
                }
            },
            "hour needs 24",
        ),
    ],
)
def test_a_timetable_that_cannot_be_is_refused(change: dict[str, object], says: str) -> None:
    spec = towns.timetable().model_dump(mode="python", exclude_none=True)
    with pytest.raises((ValueError, InputError), match=says):
        TimetableSpec.model_validate(spec | change)


def test_half_days_are_half_days() -> None:
    assert [b - a for a, b in pairwise((0, HALF_DAY, DAY))] == [HALF_DAY, HALF_DAY]
