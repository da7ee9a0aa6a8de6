"""Long-term patients: a follow-up that is missed may end in an emergency, and nothing else changes."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy.stats import binom

import towns
from sim import care, contacts, demand
from sim.care import Care
from sim.model import Case, Model
from sim.schema import InputError
from sim.streams import child, key
from sim.timetable import DAY
from towns import clinic, facility, said

MEAN_DAYS = 6.0
Tables = dict[str, pd.DataFrame]


def sugar(**more: Any) -> towns.Data:
    """A long-term condition that ends in an emergency: two in five more of the follow-ups that are missed."""
    figures = {"exacerbation": 0.2, "missed_ratio": 3.0, "exacerbation_days": MEAN_DAYS}
    return towns.condition("chronic", exacerbates_to="urgent", **{**figures, **more})


def ward_round(
    no_show: float = 0.0,
    window: int = 720,
    days: int = 60,
    slots: int = 60,
    settings: towns.Data | None = None,
    **more: Any,
) -> Case:
    """A hospital with a clinic for 200 long-term patients, by appointment, and an emergency department."""
    office, urgent = clinic(5, "general", "office", slots=slots), towns.condition("emergency", (0.5, 0.0, 0.0))
    hospital = facility("hospital", "tertiary", clinics=[office], emergency={"doctors": said(3)})
    return towns.case(
        days,
        settings=settings,
        network=towns.network([hospital]),
        population=towns.population({"town": 1000}),
        timetable=towns.timetable(window),
        demand=towns.demand({"urgent": 2.0}, 1000, {"sugar": (200.0, 10.0)}),
        choice=towns.choice({"tertiary": 1.0}, no_show=no_show),
        care=towns.care({"sugar": sugar(**more), "urgent": urgent}),
    )


@cache
def all_missed() -> Tables:
    """Nobody comes to a follow-up."""
    return towns.run(ward_round(1.0))[0]


def total(tables: Tables, column: str) -> int:
    """Of all needs."""
    return int(tables["needs_monthly"][column].sum())


def emergencies(tables: Tables) -> pd.DataFrame:
    """Visits to the emergency department, by episode."""
    visits = tables["visits"]
    return visits[visits["kind"] == "emergency"].set_index("episode")


def follow_ups(case: Case) -> contacts.Rows:
    """All follow-ups due in 84 days."""
    rows = contacts.join([Model(case, [0]).demands[0].chunk(n) for n in range(3)])
    return rows[rows["panel"] >= 0]


def children(case: Case) -> pd.DataFrame:
    """The emergencies that may come of the follow-ups due, by key: who, and when the follow-up was due."""
    panel = Model(case, [0]).demands[0].panel
    due = follow_ups(case)
    keys = [care.exacerbation_of(panel.key[who["panel"]], int(who["nth"])) for who in due]
    return pd.DataFrame({"person": due["person"], "due": due["time"]}, index=np.array(keys, dtype=np.uint64))


def test_follow_ups_that_are_kept_end_in_nothing_more() -> None:
    kept = towns.run(ward_round(0.0))[0]
    assert total(kept, "follow_ups") > 900
    assert total(kept, "missed") == total(kept, "exacerbations") == 0
    assert total(kept, "needs") == total(kept, "follow_ups") + len(emergencies(kept))


def test_emergencies_come_of_missed_follow_ups_as_often_as_stated() -> None:
    tables, possible = all_missed(), children(ward_round(1.0))
    visits = emergencies(tables)
    found = visits[visits.index.isin(possible.index)]
    # those missed in the last week or so come after the end
    early = possible[possible["due"] < 60 * DAY - 1.5 * MEAN_DAYS * DAY - 2 * DAY]
    worse = early.index.isin(found.index).sum()
    low, high = binom.ppf([5e-7, 1 - 5e-7], len(early), 0.2 * (3.0 - 1.0))
    assert low <= worse <= high
    assert total(tables, "missed") >= total(tables, "exacerbations") >= len(found) > 200


def test_an_emergency_is_a_child_of_its_follow_up_and_comes_days_later() -> None:
    visits, possible = emergencies(all_missed()), children(ward_round(1.0))
    found = visits.join(possible, suffixes=("", "_due"), how="inner")
    assert (found["person"] == found["person_due"]).all()
    assert set(found["condition"]) == {"urgent"}
    delay = (found["time"] - found["due"]) / DAY
    assert delay.min() >= 0.5 * MEAN_DAYS
    assert delay.max() <= 1.5 * MEAN_DAYS + 2  # the appointment is some sessions after the need


def test_rates_that_rise_add_emergencies_and_renumber_none() -> None:
    few = set(emergencies(towns.run(ward_round(1.0, missed_ratio=2.0))[0]).index)
    assert few < set(emergencies(all_missed()).index)


def test_emergencies_that_arise_by_themselves_stay_as_they_are() -> None:
    kept, missed = emergencies(towns.run(ward_round(0.0))[0]), emergencies(all_missed())
    assert set(kept.index) <= set(missed.index)
    assert len(missed) - len(kept) == len(missed.index.intersection(children(ward_round(1.0)).index))


@pytest.mark.parametrize("window", [240, 30])
def test_windows_of_any_length_give_the_same_emergencies(window: int) -> None:
    towns.assert_same(towns.run(ward_round(0.5, window))[0], towns.run(ward_round(0.5))[0])


def test_the_end_of_the_run_is_the_end() -> None:
    """A longer run begins with the shorter one: nothing that is due later comes earlier."""
    short, longer = (emergencies(towns.run(ward_round(1.0, days=days))[0]) for days in (30, 60))
    over = longer[longer["end"] < 29 * DAY]
    pd.testing.assert_frame_equal(short[short["end"] < 29 * DAY], over, check_exact=True)


def test_without_a_ratio_above_one_nothing_more_happens() -> None:
    tables = towns.run(ward_round(1.0, missed_ratio=1.0))[0]
    assert total(tables, "missed") > 0 == total(tables, "exacerbations")


def test_whoever_finds_no_door_has_missed_the_follow_up() -> None:
    tables = towns.run(ward_round(slots=4))[0]
    assert 0 < total(tables, "missed") == total(tables, "unmet")
    assert total(tables, "exacerbations") > 0


# ----------------------------------------------------------------------------------------------------- called back


@cache
def half_missed(care_centre: float) -> Tables:
    """Every second appointment is missed, whoever calls; a share of the patients is called back."""
    return towns.run(ward_round(0.5, settings={"chronic.care_centre": care_centre}))[0]


def test_who_is_called_back_misses_fewer_follow_ups_and_is_an_emergency_less_often() -> None:
    before, after = half_missed(0.0), half_missed(1.0)
    assert total(before, "called_back") == 0
    # 60 per cent of the missed ones come again, and every second of them stays away again
    called = total(after, "called_back")
    assert called / total(before, "missed") == pytest.approx(0.6, abs=0.08)
    assert (total(before, "missed") - total(after, "missed")) / called == pytest.approx(0.5, abs=0.1)
    assert set(emergencies(after).index) < set(emergencies(before).index)
    assert total(after, "follow_ups") == total(before, "follow_ups")


def test_those_who_are_not_enrolled_know_nothing_of_it() -> None:
    before, some = half_missed(0.0), half_missed(0.5)
    panel = Model(ward_round(0.5), [0]).demands[0].panel
    enrolled = {who for who, k in zip(panel.person.tolist(), panel.key, strict=True) if demand.is_enrolled(k, 0.5)}
    assert 0.4 < len(enrolled) / len(panel.person) < 0.6
    others = [set(t["visits"].loc[~t["visits"]["person"].isin(enrolled), "episode"]) for t in (before, some)]
    assert others[0] == others[1]


def test_a_follow_up_that_is_made_up_for_is_seen_days_later_under_a_key_of_its_own() -> None:
    visits = half_missed(1.0)["visits"].set_index("episode")
    rows = follow_ups(ward_round(0.5))
    panel = Model(ward_round(0.5), [0]).demands[0].panel
    keys = [np.uint64(care.made_up(panel.key[who["panel"]], int(who["nth"]))) for who in rows]
    due = pd.DataFrame({"due": rows["time"], "missed": rows["key"]}, index=np.array(keys, dtype=np.uint64))
    found = visits.join(due, how="inner")
    assert len(found) > 100
    assert not visits.index.isin(found["missed"]).any()
    assert (found["time"] - found["due"]).min() >= 0.5 * 4.0 * DAY


# ------------------------------------------------------------------------------------------------------------ decisions


def test_decisions_are_those_of_the_patient_and_the_follow_up() -> None:
    spec = towns.care({"sugar": sugar(), "urgent": towns.condition("emergency")})
    tables = Care.of([spec], ["sugar", "urgent"]).tables()
    condition, never = tables.conditions[0]
    patients = child(key(1, "patients"), np.arange(20_000))
    worse = np.array([care.exacerbates(condition, patient, 3) for patient in patients])
    low, high = binom.ppf([5e-7, 1 - 5e-7], worse.size, 0.4)
    assert low <= worse.sum() <= high
    assert not any(care.exacerbates(never, patient, 3) for patient in patients[:1000])
    episodes = [np.uint64(care.exacerbation_of(patient, 3)) for patient in patients]
    assert len(set(episodes)) == len(patients)
    days = np.array([care.exacerbation_delay(condition, episode) for episode in episodes]) / DAY
    assert days.min() >= 0.5 * MEAN_DAYS
    assert days.max() <= 1.5 * MEAN_DAYS
    assert days.mean() == pytest.approx(MEAN_DAYS, rel=0.02)


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        ({"missed_ratio": 0.5}, "missed_ratio is at least 1; found 0.5"),
        ({"exacerbation_days": 1.0}, "exacerbation_days is at least 2; found 1.0"),
    ],
)
def test_what_cannot_be_is_told(wrong: dict[str, Any], told: str) -> None:
    with pytest.raises((InputError, ValueError), match=told):
        towns.care({"sugar": sugar(**wrong), "urgent": towns.condition("emergency")})


def test_a_condition_exacerbates_to_an_emergency_and_says_all_about_it() -> None:
    with pytest.raises(ValueError, match="sugar exacerbates to urgent; welcome are emergencies: none is there"):
        towns.care({"sugar": sugar()})
    with pytest.raises(ValueError, match="stated together or not at all"):
        towns.care({"plain": towns.condition(missed_ratio=2.0)})
