"""What is found: chances of needing more, of exams and beds, lengths; all of it a function of the episode alone."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from scipy.stats import binom

import towns
from sim import care, contacts
from sim.care import LEVELS, Care, CareSpec, CareTables
from sim.kernels import kernel
from sim.network import Level
from sim.schema import InputError
from sim.streams import child, key, sigma

MANY = 100_000
KEYS = child(key(3, "episodes"), np.arange(MANY))
FEWER = KEYS[:10_000]
SURE = 1e-6


PLAIN, SEVERE = 0, 1


def figures(worlds: int = 1, **more: Any) -> CareTables:
    """Two conditions, alphabetically: plain and severe."""
    conditions = {
        "plain": towns.condition("minor", exam=0.3),
        "severe": towns.condition("severe", (0.8, 0.5, 0.25), exam=0.6, admission=0.4),
    }
    exam_at = {level: towns.said(0.5 if level in ("secondary", "tertiary") else 0.0) for level in LEVELS[:-1]}
    return Care.of([towns.care(conditions, **{"exam_at": exam_at, **more})] * worlds, ["plain", "severe"]).tables()


def test_kinds_of_equipment_come_in_their_shares() -> None:
    exams = {"plain": towns.exams_of(ct=0.2, endoscopy=0.1), "severe": {}}
    conditions = {name: towns.condition("minor") | exams[name] for name in exams}
    tables = Care.of([towns.care(conditions)], list(conditions)).tables()

    def counted(condition: int) -> list[int]:
        who = contacts.empty(1)[0]
        who["condition"] = condition
        found = np.array([care.equipment(tables, visit, who) for visit in KEYS[:20_000]])
        return np.bincount(found + 1, minlength=4).tolist()

    none, ct, mr, endoscopy = counted(PLAIN)
    assert mr == 0
    for number, share in ((none, 0.7), (ct, 0.2), (endoscopy, 0.1)):
        assert binom.cdf(number, 20_000, share) > SURE < binom.sf(number, 20_000, share)
    assert counted(SEVERE) == [20_000, 0, 0, 0]


def truths(
    tables: CareTables, condition: int, keys: np.ndarray[Any, Any] = KEYS, world: int = 0
) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    """Levels of care needed, and whether a bed is, of so many episodes."""
    need, admit = zip(*(care.truth(tables.conditions[world, condition], k, True) for k in keys), strict=True)
    return np.array(need), np.array(admit)


def each(decision: Any, tables: CareTables, *more: int) -> np.ndarray[Any, Any]:
    """What a decision says of every visit."""
    return np.array([decision(tables, k, 0, *more) for k in KEYS])


def about(found: np.ndarray[Any, Any], share: float) -> bool:
    """Whether a share is met within its exact interval."""
    low, high = binom.ppf([SURE / 2, 1 - SURE / 2], found.size, share)
    return bool(low <= found.sum() <= high)


def test_needs_go_up_as_the_chances_say() -> None:
    need, admit = truths(figures(), SEVERE)
    assert about(admit, 0.4)
    free = need[~admit]
    for level, share in ((1, 0.2), (2, 0.8 * 0.5), (3, 0.8 * 0.5 * 0.75), (4, 0.8 * 0.5 * 0.25)):
        assert about(free == level, share)
    assert need[admit].min() == 2  # no bed at a village station
    assert about(need[admit] == 2, 0.2 + 0.4)


@pytest.mark.parametrize("resident", [True, False])
@pytest.mark.parametrize("gain", [-1.0, 0.0, 0.7])
def test_incentives_add_log_odds_to_the_chance_of_an_admission(gain: float, resident: bool) -> None:
    """Worked out by hand: 0.4 with log odds of 0.7 more is 1 / (1 + 1.5 / e^0.7)."""
    condition = figures().conditions[0, SEVERE]
    needed = np.array([care.truth(condition, k, resident)[1] for k in FEWER])
    admitted = admissions(condition, needed, gain, resident)
    assert about(admitted, 1.0 / (1.0 + 1.5 / np.exp(gain)))
    assert set((admitted.astype(int) - needed).tolist()) == {0, int(np.sign(gain))}


def test_a_stronger_incentive_takes_no_bed_away() -> None:
    condition, nobody = figures().conditions[0, SEVERE], np.zeros(len(FEWER), dtype=bool)
    for needed in (nobody, ~nobody):
        by_gain = [admissions(condition, needed, gain) for gain in (-1.0, -0.5, 0.0, 0.5, 1.0)]
        assert all((more | ~less).all() for less, more in pairwise(by_gain))


def test_who_is_never_admitted_or_always_is_so_with_any_incentive() -> None:
    conditions = {name: towns.condition("minor", admission=share) for name, share in (("never", 0.0), ("always", 1.0))}
    tables = Care.of([towns.care(conditions)], list(conditions)).tables()
    for gain in (-5.0, 5.0):
        for condition, needed in enumerate((False, True)):
            given = admissions(tables.conditions[0, condition], np.full(len(FEWER), needed), gain)
            assert (given == needed).all()


def admissions(
    condition: Any, needed: np.ndarray[Any, Any], gain: float, resident: bool = True
) -> np.ndarray[Any, Any]:
    """Who is admitted under an incentive; `needed`: who needs a bed."""
    odds = float(np.exp(gain))
    return np.array([care.admits(condition, k, odds, bed, resident) for k, bed in zip(FEWER, needed, strict=True)])


def test_a_plain_condition_needs_nothing() -> None:
    need, admit = truths(figures(), PLAIN)
    assert set(need.tolist()) == {1}
    assert not admit.any()


def test_the_truth_of_an_episode_is_its_own() -> None:
    order = np.random.default_rng(5).permutation(MANY)
    need, admit = truths(figures(), SEVERE)
    need_too, admit_too = truths(figures(2), SEVERE, KEYS[order], world=1)
    assert np.array_equal(need[order], need_too)
    assert np.array_equal(admit[order], admit_too)


@pytest.mark.parametrize(("law", "spread"), [("lognormal", 0.5), ("exponential", 1.0)])
def test_consultations_have_the_mean_of_their_level(law: str, spread: float) -> None:
    minutes = {level: towns.said(5.0 + i) for i, level in enumerate(LEVELS[:-1])}
    f = figures(consultation_law=law, consultation_minutes=minutes, emergency_minutes=20.0)
    for column, mean in ((int(Level.centre), 7.0), (int(Level.tertiary), 10.0), (len(LEVELS), 20.0)):
        lengths = each(care.consultation, f, PLAIN, column)
        assert lengths.mean() == pytest.approx(mean, rel=0.02)
        assert lengths.std() / lengths.mean() == pytest.approx(spread, rel=0.03)
        assert lengths.min() > 0


def test_without_spread_every_consultation_is_the_mean() -> None:
    f = figures(consultation_cv=0.0)
    assert {round(care.consultation(f, k, 0, PLAIN, 0), 9) for k in KEYS[:50]} == {10.0}


def test_the_same_uniform_gives_the_same_place_in_the_law_at_every_level() -> None:
    """R12: a long talker talks long everywhere."""
    minutes = {level: towns.said(5.0 + i) for i, level in enumerate(LEVELS[:-1])}
    one, other = (each(care.consultation, figures(consultation_minutes=minutes), PLAIN, c) for c in (0, 5))
    assert other / one == pytest.approx(np.full(MANY, 2.0))


def test_exams_happen_at_hospitals_as_often_as_said() -> None:
    f = figures()
    for condition, level, share in (
        (PLAIN, Level.tertiary, 0.15),
        (SEVERE, Level.secondary, 0.3),
        (SEVERE, Level.centre, 0.0),
    ):
        assert about(exams(f, patient(condition), level) == care.MADE, share)
    assert turnarounds(f, Level.tertiary).mean() == pytest.approx(40.0, rel=0.02)


def patient(condition: int, examined: int = 0) -> Any:
    """A contact with a condition whose last exam, if any, was made at facility `examined` - 1."""
    who = contacts.empty(1)[0]
    who["condition"], who["examined"] = condition, examined
    return who


def exams(tables: CareTables, who: Any, level: int, recognised: float = 0.0, read: float = 0.0) -> np.ndarray[Any, Any]:
    """What becomes of the exams of so many visits to facility 3."""
    return np.array([care.exam(tables, k, who, 3, int(level), recognised, read) for k in KEYS])


def turnarounds(tables: CareTables, level: int, condition: int = PLAIN) -> np.ndarray[Any, Any]:
    """Minutes until the results of so many exams are there."""
    return np.array([care.exam_turnaround(tables, k, patient(condition), int(level)) for k in KEYS])


def read_remotely(tables: CareTables, condition: int, level: int) -> np.ndarray[Any, Any]:
    """Of so many visits: whether the exam, if one is made, is read by the group."""
    return np.array([care.is_read_remotely(tables, k, patient(condition), int(level)) for k in KEYS])


def test_of_a_hospitals_exams_a_share_is_made_below_and_read_remotely() -> None:
    """A hospital makes 0.6, the centre 0.2 of them itself: of the other 0.48 a quarter, 0.12, is read remotely."""
    exam_at = {level: towns.said(0.2 if level == "centre" else 1.0) for level in LEVELS[:-1]}
    f = figures(exam_at=exam_at, reading_minutes=90.0, settled_by_reading=0.3)
    own, some, all_ = (exams(f, patient(SEVERE), Level.centre, read=read) == care.MADE for read in (0.0, 0.25, 1.0))
    remote = read_remotely(f, SEVERE, Level.centre)
    assert about(own, 0.12)
    assert about(some & remote, 0.12)
    assert not (own & remote).any()
    assert (own <= some).all()
    assert (some <= all_).all(), "more of them are read, and never fewer made"
    assert (all_ == (exams(f, patient(SEVERE), Level.tertiary) == care.MADE)).all(), "all that a hospital would make"
    assert (exams(f, patient(SEVERE), Level.tertiary, read=1.0) == exams(f, patient(SEVERE), Level.tertiary)).all()
    minutes = turnarounds(f, Level.centre, SEVERE)
    assert minutes[remote].mean() == pytest.approx(90.0, rel=0.02)
    assert minutes[~remote].mean() == pytest.approx(40.0, rel=0.02)
    assert about(each(care.settled_by_reading, f), 0.3)


def test_an_exam_may_take_longer_where_a_shared_centre_makes_it() -> None:
    exam_at = {level: towns.said(1.0) for level in LEVELS[:-1]}
    own, shared = (figures(exam_at=exam_at, exam_minutes_at=at) for at in ({}, {"centre": towns.said(1.5)}))
    made = exams(own, patient(PLAIN), Level.centre) == care.MADE
    assert turnarounds(shared, Level.centre)[made] == pytest.approx(1.5 * turnarounds(own, Level.centre)[made])
    assert (turnarounds(shared, Level.secondary) == turnarounds(own, Level.secondary)).all()
    with pytest.raises(ValueError, match=r"exam_minutes_at names center; welcome: village_station"):
        figures(exam_minutes_at={"center": towns.said(1.5)})


def test_left_out_a_reading_takes_as_long_as_an_exam_and_settles_nothing() -> None:
    f = figures()
    assert f.worlds["reading_minutes"] == f.exam_minutes[0, Level.tertiary]
    assert f.worlds["settled_by_reading"] == 0


def test_results_of_another_institution_spare_an_exam_if_trusted_or_recognised() -> None:
    """Of exams asked for with results at hand: 1 - d trusted, d r recognised, d (1 - r) repeated."""
    doubted, recognised, asked = 0.6, 0.7, 0.3
    f = figures(repeat_exam=doubted)
    found = exams(f, patient(SEVERE, examined=2), Level.tertiary, recognised)
    assert about(found == care.TRUSTED, asked * (1 - doubted))
    assert about(found == care.RECOGNISED, asked * doubted * recognised)
    assert about(found == care.REPEATED, asked * doubted * (1 - recognised))
    own = exams(f, patient(SEVERE, examined=4), Level.tertiary, recognised)
    assert set(own) == {care.NO_EXAM, care.MADE}, "its own results an institution finds again only by a new exam"
    assert ((own == care.MADE) == (found != care.NO_EXAM)).all(), "whether an exam is asked for depends on nothing else"


def test_results_expire_after_the_days_stated() -> None:
    assert not care.is_expired(figures(), 0, 1e9), "left out: never"
    stated = figures(results_valid_days=7.0)
    assert [care.is_expired(stated, 0, days * 1440.0) for days in (0.0, 7.0, 7.01)] == [False, False, True]


def test_triage_and_patience() -> None:
    f = figures(triage=[0.1, 0.2, 0.3, 0.4], waiting_patience=60.0)
    level = each(care.triage, f, PLAIN)
    assert all(about(level == k, share) for k, share in enumerate((0.1, 0.2, 0.3, 0.4)))
    assert each(care.patience, f).mean() == pytest.approx(60.0, rel=0.02)


@pytest.mark.parametrize(
    ("law", "spread"),
    [
        ({}, 0.5),
        ({"waiting_patience_cv": 0.9}, 0.9),
        ({"waiting_patience_cv": 0.0}, 0.0),
        ({"patience_law": "exponential"}, 1.0),
    ],
)
def test_patience_has_the_law_that_is_stated(law: dict[str, Any], spread: float) -> None:
    minutes = each(care.patience, figures(waiting_patience=60.0, **law))
    assert minutes.mean() == pytest.approx(60.0, rel=0.02)
    assert minutes.std() / 60.0 == pytest.approx(spread, rel=0.03, abs=1e-9)


@pytest.mark.parametrize(
    ("law", "spread"),
    [({"stay_law": "lognormal"}, 0.8), ({"stay_law": "exponential"}, 1.0)],
)
def test_stays_have_the_law_that_is_stated(law: dict[str, Any], spread: float) -> None:
    rows, stays = contacts.empty(MANY), np.empty(MANY, dtype=care.STAY)
    rows["key"], rows["condition"], rows["world"] = KEYS, SEVERE, 0
    tables = figures(**law)
    care.draw_stays(tables, rows, int(Level.tertiary), stays)
    minutes = stays["minutes"]
    assert minutes.mean() == pytest.approx(5.0 * 1440, rel=0.02)
    assert minutes.std() / minutes.mean() == pytest.approx(spread, rel=0.03)


@kernel
def shapes(tables: care.CareTables, rows: Any, found: Any) -> None:
    for i in range(len(rows)):
        found[i] = care.stay_shape(tables, rows[i])


@pytest.mark.parametrize(("law", "spread"), [("lognormal", 0.8), ("exponential", 1.0)])
def test_hospitals_outside_have_stays_of_the_same_law(law: str, spread: float) -> None:
    tables, rows = figures(stay_law=law), contacts.empty(MANY)
    rows["key"], rows["condition"], rows["world"] = KEYS, SEVERE, 0
    stays, shape = np.empty(MANY, dtype=care.STAY), np.empty(MANY)
    care.draw_stays(tables, rows, int(Level.tertiary), stays)
    shapes(tables, rows, shape)
    assert shape * 5.0 * 1440 == pytest.approx(stays["minutes"], rel=1e-12)  # their own length, over the mean
    law_itself = tables.stay_law if law == "exponential" else np.exp(sigma(0.8) * (tables.stay_law - sigma(0.8) / 2))
    assert law_itself.mean() == pytest.approx(1.0, rel=1e-3)
    assert law_itself.std() == pytest.approx(spread, rel=5e-3)


def test_left_out_patience_is_as_wide_as_that_for_a_bed() -> None:
    assert figures().worlds["patience_sigma"] == care.HALF_CV


def test_a_condition_may_have_consultations_and_triage_of_its_own() -> None:
    plain, severe = towns.condition("minor"), towns.condition("severe", consultation=2.5, triage=[0.7, 0.3, 0.0, 0.0])
    f = Care.of([towns.care({"plain": plain, "severe": severe})], ["plain", "severe"]).tables()
    usual, longer = (each(care.consultation, f, condition, len(LEVELS)) for condition in (PLAIN, SEVERE))
    assert longer / usual == pytest.approx(np.full(MANY, 2.5))
    level = each(care.triage, f, SEVERE)
    assert about(level == 0, 0.7)
    assert level.max() == 1
    assert about(each(care.triage, f, PLAIN) == 3, 0.25)


def test_triage_of_a_condition_that_is_not_whole_is_refused() -> None:
    with pytest.raises((ValueError, InputError), match="severe: triage needs four shares"):
        towns.care({"ill": towns.condition("severe", triage=[0.7, 0.7, 0.0, 0.0])})


OPERATED, HARDER = [0.2, 0.5, 0.8], [0.8, 0.75, 0.5]


def surgical(**more: Any) -> CareTables:
    """A condition with operations, and one without; no weights unless said."""
    conditions = {
        "surgical": towns.condition("severe", operated=OPERATED, harder_operation=HARDER, admission=0.5),
        "plain": towns.condition("minor", admission=0.1),
    }
    conditions = {name: condition | more.pop(name, {}) for name, condition in conditions.items()}
    return Care.of([towns.care(conditions, **more)], list(conditions)).tables()


@pytest.mark.parametrize(
    ("need", "shares"),
    [(2, [0.8, 0.04, 0.16, 0, 0]), (3, [0.5, 0.1, 0.1, 0.3, 0]), (4, [0.2, 0.16, 0.16, 0.24, 0.24])],
)
def test_operations_come_in_their_shares_and_none_above_the_level_of_care_needed(
    need: int, shares: list[float]
) -> None:
    """Four figures by three needs at 1e-6: a false alarm in 70,000 runs."""
    tables = surgical()
    level = np.array([care.operation(tables, k, 0, 0, need) for k in KEYS])
    for number, share in enumerate(shares):
        assert about(level == number, share)


def test_who_needs_more_has_no_lower_operation() -> None:
    tables = surgical()
    levels = [[care.operation(tables, k, 0, 0, need) for need in care.STAY_NEEDS] for k in KEYS[:5000]]
    assert all(levels == sorted(levels) for levels in levels)
    assert {care.operation(tables, k, 0, 1, 4) for k in KEYS[:5000]} == {0}


def test_operations_drawn_beyond_a_share_of_one_are_all() -> None:
    spec = towns.care({"ill": towns.condition(operated=OPERATED, harder_operation=HARDER)}).conditions["ill"]
    assert spec.operated is not None
    more = spec.model_copy(update={"operated": spec.operated.model_copy(update={"value": [0.25, 0.6, 1.1]})})
    assert more.operations()[2].tolist() == pytest.approx([1.0, 0.8, 0.6, 0.3])


def test_weights_are_whole_thousandths_by_level_of_care_needed() -> None:
    weights = {"surgical": {"case_weight": towns.said(1.2)}, "plain": {"case_weight": towns.said(0.33335)}}
    tables = surgical(weight_by_need=[0.5, 1.0, 1.5], **weights)
    assert tables.case_weight.tolist() == [[[600, 1200, 1800], [167, 333, 500]]]
    assert surgical(**weights).case_weight.tolist() == [[[1200] * 3, [333] * 3]]
    assert not surgical().case_weight.any()


def test_a_stay_knows_its_operation_and_its_weight_before_it_begins() -> None:
    weights = {name: {"case_weight": towns.said(1.2)} for name in ("surgical", "plain")}
    tables = surgical(weight_by_need=[0.5, 1.0, 1.5], **weights)
    rows, stays = contacts.empty(3), np.zeros(3, dtype=care.STAY)
    rows["key"], rows["need"] = KEYS[:3], care.STAY_NEEDS
    care.draw_stays(tables, rows, int(Level.tertiary), stays)
    assert stays["operation"].tolist() == [
        care.operation(tables, k, 0, 0, n) for k, n in zip(KEYS, care.STAY_NEEDS, strict=False)
    ]
    assert stays["weight"].tolist() == [600, 1200, 1800]
    assert stays["recovery_weight"].tolist() == [600] * 3


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({"operated": towns.said([0.1, 0.2, 0.3])}, "stated together"),
        ({"operated": towns.said([0.1, 0.2]), "harder_operation": towns.said(HARDER)}, "operated needs three shares"),
        ({"operated": towns.said(OPERATED), "harder_operation": towns.said([0.1, 0.2, 1.2])}, "harder_operation needs"),
        ({"case_weight": towns.said(1.0)}, "some conditions that are admitted have a case_weight"),
    ],
)
def test_operations_and_weights_that_cannot_be_are_refused(wrong: dict[str, Any], says: str) -> None:
    with pytest.raises((ValueError, InputError), match=says):
        surgical(plain=wrong)
    with pytest.raises((ValueError, InputError), match="weight_by_need needs three ratios"):
        surgical(weight_by_need=[1.0])


def test_each_replication_has_its_own_figures() -> None:
    conditions = {"plain": towns.condition("minor")}
    both = Care.of([towns.care(conditions, emergency_minutes=m) for m in (10.0, 20.0)], ["plain"]).tables()
    lengths = np.array([[care.consultation(both, k, w, PLAIN, len(LEVELS)) for k in KEYS[:10]] for w in (0, 1)])
    assert lengths[1] / lengths[0] == pytest.approx(np.full(10, 2.0))


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"triage": [0.5, 0.2, 0.2, 0.2]}, "triage needs four shares"),
        ({"discharge_from": 18, "discharge_until": 17}, "not before"),
        ({"stay_at": {"tertiary": towns.said(1.0)}}, "stay_at lacks"),
        (
            {"consultation_minutes": {**{x: towns.said(1.0) for x in LEVELS[:-1]}, "moon": towns.said(1.0)}},
            "names moon",
        ),
    ],
)
def test_care_that_cannot_be_is_refused(change: dict[str, Any], says: str) -> None:
    with pytest.raises((ValueError, InputError), match=says):
        towns.care({"plain": towns.condition("minor")}, **change)


def test_who_is_admitted_needs_a_stay() -> None:
    condition = towns.condition("severe", admission=0.2)
    del condition["stay_days"]
    with pytest.raises((ValueError, InputError), match="stay_days"):
        CareSpec.model_validate(
            towns.care({"plain": towns.condition("minor")}).model_dump(exclude_none=True)
            | {"conditions": {"bad": condition}}
        )
