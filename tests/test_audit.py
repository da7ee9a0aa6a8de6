"""The audit finds nothing in sound hospitals, whatever happens there, and finds each rule when it is broken."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import towns
from sim import audit
from sim.audit import AtMidnight, Since, Unsound, look_at
from sim.beds import BORROWED, EMERGENCY, HELD, OPEN, OTHER, PARTITION, PROTECT, REFERRED, RELEASE, BedPool
from sim.model import Case, Model
from sim.past import simulate
from sim.records import Ledger
from sim.stays import OF_LEG, TO_STEP_DOWN, Hospital, Stay
from sim.timetable import DAY
from test_one_by_one import cases, changed, cleaning, few
from test_stays import House
from towns import ward

Patch = Callable[[pytest.MonkeyPatch], None]

# ---------------------------------------------------------------------------------------------------- sound hospitals


@st.composite
def crowded(draw: st.DrawFn) -> Case:
    """A generated town whose lead hospital has intensive care and a ward for those who step down, all of it small."""
    case, chance = draw(cases()), st.sampled_from([0.0, 0.4, 1.0])
    network = case.network.model_dump(exclude_none=True)
    lead = next(facility for facility in network["facilities"] if facility["id"] == "lead")
    lead["wards"] = [one for one in lead["wards"] if one["kind"] != "intensive"]
    lead["wards"] += [ward(draw(few), "general", "intensive"), ward(1, "bones", "step_down", draw(cleaning))]
    steps = {"intensive": draw(chance), "intensive_part": 0.4, "step_down": draw(chance), "admission": 0.8}
    steps |= draw(st.sampled_from([{}, {"recovery_days": 6.0, "recovery_cv": 0.8}]))
    figures = {name: towns.said(value) for name, value in steps.items()}
    conditions = {
        name: changed(condition, **figures) if name in ("lung", "bone", "urgent") else condition
        for name, condition in case.care.conditions.items()
    }
    care = {"conditions": conditions, "recovery_starts_on_transfer": draw(st.booleans())}
    return replace(case, network=type(case.network).model_validate(network), care=case.care.model_copy(update=care))


@settings(max_examples=20, deadline=None, derandomize=True, database=None)
@given(crowded())
def test_generated_towns_are_sound(case: Case) -> None:
    towns.run(replace(case, audit=True, record="days"), [0, 5])


Change = tuple[str, int, int, str]

changes = st.tuples(
    st.sampled_from(["quota", "close", "open", "nothing"]),
    st.integers(0, 3),
    st.integers(0, 6),
    st.sampled_from([RELEASE, PARTITION, PROTECT]),
)


@settings(max_examples=40, deadline=None, derandomize=True, database=None)
@given(
    st.lists(st.integers(1, 5), min_size=4, max_size=4),
    st.sampled_from([0.0, 90.0, 2000.0]),
    st.lists(changes, min_size=15, max_size=15),
    st.randoms(use_true_random=False),
)
def test_hospitals_in_which_a_rule_changes_every_night_are_sound(
    beds: list[int], cleaning: float, nights: list[Change], luck: Any
) -> None:
    """Two acute wards and two below them, some forty patients a day for eleven beds."""
    house = House(tuple(beds), hours=(9, 17), downstream=[2, 3], cleaning=cleaning)
    house.hospital.gives_up = lambda stay: None
    rules = [Since(_rule(pool), 0.0) for pool in house.hospital.pools]
    for day, change in enumerate(nights):
        for n in range(luck.randint(0, 12)):
            minutes, entry = _days(luck), luck.choice([EMERGENCY, REFERRED, REFERRED - 1, OTHER])
            acute = minutes / 2 if luck.random() < 0.6 else None
            patience = towns.ENDLESS if entry == EMERGENCY else _days(luck)
            house.ask(100 * day + n, (day + luck.random()) * DAY, minutes, acute, patience, entry, luck.randint(0, 1))
        house.env.run_until((day + 1) * DAY)
        assert _found(house, rules) == []
        _change(house, change)
        rules = [
            since if since.rule == _rule(pool) else Since(_rule(pool), house.env.now)
            for since, pool in zip(rules, house.hospital.pools, strict=True)
        ]
        assert _found(house, rules) == []


def _days(luck: Any) -> float:
    """Some minutes, a day on average."""
    return min(-math.log1p(-0.999 * luck.random()), 5.0) * DAY


def _rule(pool: BedPool) -> tuple[Any, ...]:
    return pool.kind, pool.quota, pool.protected, pool.in_service, pool.installed


def _found(house: House, rules: list[Since]) -> list[Any]:
    (stays,) = audit._by_hospital(house.env, [house.hospital])
    return list(look_at(house.hospital, stays, audit._being_cleaned(house.env), rules))


def _change(house: House, change: Change) -> None:
    what, ward, sixths, kind = change
    pool, now = house.hospital.pools[ward], house.env.now
    if what == "quota":
        for _ in range(pool.set_quota(Fraction(sixths, 6), now, kind)):
            house.hospital.watch(pool)
        pool.serve()
    elif what == "close" and pool.in_service:
        house.downstream = [w for w in house.downstream if w != ward]
        house.hospital.close(pool, now)
    elif what == "open" and not pool.in_service:
        house.downstream = sorted({*house.downstream, ward} & {2, 3})
        house.hospital.open(pool, now)


# ----------------------------------------------------------------------------------------------------- broken hospitals


def leaves_without_freeing(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(BedPool, "leave", lambda pool, bed, now: False)


def frees_twice(patch: pytest.MonkeyPatch) -> None:
    leave = BedPool.leave
    patch.setattr(BedPool, "leave", lambda pool, bed, now: leave(pool, bed, now) or leave(pool, OPEN, now))


def takes_beds_that_are_not_there(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(BedPool, "bed_for", lambda pool, entry: OPEN)


def held_bed_to_the_unentitled(patch: pytest.MonkeyPatch) -> None:
    honest = BedPool.bed_for
    patch.setattr(BedPool, "bed_for", lambda pool, entry: HELD if pool.held else honest(pool, entry))


def borrowed_by_anybody(patch: pytest.MonkeyPatch) -> None:
    honest = BedPool.bed_for
    patch.setattr(BedPool, "bed_for", lambda pool, entry: BORROWED if pool.held else honest(pool, entry))


def held_bed_not_counted(patch: pytest.MonkeyPatch) -> None:
    def take(pool: BedPool, bed: int) -> None:
        honest(pool, bed)
        pool.in_held = 0

    honest = BedPool.take
    patch.setattr(BedPool, "take", take)


def holds_all_it_can(patch: pytest.MonkeyPatch) -> None:
    def leave(pool: BedPool, bed: int, now: float) -> bool:
        pool.in_held -= bed == HELD
        pool.held.append(now)
        return True

    patch.setattr(BedPool, "leave", leave)


def partition_that_gives_way(patch: pytest.MonkeyPatch) -> None:
    def bed_for(pool: BedPool, entry: int) -> int | None:
        if pool.held and not pool.free:
            pool.held.pop()
            pool.free += 1
        return honest(pool, entry)

    honest = BedPool.bed_for
    patch.setattr(BedPool, "bed_for", bed_for)


def partition_that_lets_held_beds_go(patch: pytest.MonkeyPatch) -> None:
    def hold_more(pool: BedPool, now: float) -> int:
        return 0

    patch.setattr(BedPool, "_hold_more", hold_more)


def partition_that_mixes(patch: pytest.MonkeyPatch) -> None:
    def bed_for(pool: BedPool, entry: int) -> int | None:
        return OPEN if pool.free else honest(pool, entry)

    honest = BedPool.bed_for
    patch.setattr(BedPool, "bed_for", bed_for)


def protection_that_holds(patch: pytest.MonkeyPatch) -> None:
    def set_quota(pool: BedPool, *rule: Any) -> int:
        number = honest(pool, *rule)
        if pool.free:
            pool.free -= 1
            pool.held.append(0.0)
        return number

    honest = BedPool.set_quota
    patch.setattr(BedPool, "set_quota", set_quota)


def protection_that_lets_all_in(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(BedPool, "bed_for", lambda pool, entry: OPEN if pool.free else None)


def waits_uncounted(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(BedPool, "wait", lambda pool, who: pool.lists[who.rank].append(who))


def waits_twice(patch: pytest.MonkeyPatch) -> None:
    def wait(pool: BedPool, who: Any) -> None:
        honest(pool, who)
        honest(pool, who)

    honest = BedPool.wait
    patch.setattr(BedPool, "wait", wait)


def entitled_uncounted(patch: pytest.MonkeyPatch) -> None:
    def wait(pool: BedPool, who: Any) -> None:
        honest(pool, who)
        pool.entitled = 0

    honest = BedPool.wait
    patch.setattr(BedPool, "wait", wait)


def waits_on_a_list_of_others(patch: pytest.MonkeyPatch) -> None:
    def wait(pool: BedPool, who: Any) -> None:
        pool.lists[(who.rank + 1) % 4].append(who)
        pool.waiting += 1
        pool.entitled += who.entry < OTHER

    patch.setattr(BedPool, "wait", wait)
    patch.setattr(BedPool, "give_up", lambda pool, who: None)


def stays_on_the_list(patch: pytest.MonkeyPatch) -> None:
    def next_one(pool: BedPool) -> None:
        for who in pool.everybody_waiting():
            if (bed := pool.bed_for(who.asks_as)) is not None:
                who.bed_granted(pool, bed)

    patch.setattr(BedPool, "serve", next_one)


def nobody_is_served(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(BedPool, "serve", lambda pool: None)


def is_lost(patch: pytest.MonkeyPatch) -> None:
    def ask(stay: Stay, now: float) -> None:
        if stay.pool.bed_for(stay.entry) is not None:
            honest(stay, now)

    honest = Stay._ask
    patch.setattr(Stay, "_ask", ask)


def goes_unnoticed(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Ledger, "add_leaver", lambda *told: None)


def asks_twice(patch: pytest.MonkeyPatch) -> None:
    def ask(model: Model, *columns: Any) -> None:
        honest(model, *columns)
        honest(model, *columns)

    honest = Model._ask_for_bed
    patch.setattr(Model, "_ask_for_bed", ask)


def keeps_the_bed_of_whoever_steps_down(patch: pytest.MonkeyPatch) -> None:
    def freed(hospital: Hospital, pool: BedPool, bed: int, now: float) -> None:
        if not hospital.legs[-OF_LEG:][TO_STEP_DOWN]:
            honest(hospital, pool, bed, now)

    honest = Hospital.freed
    patch.setattr(Hospital, "freed", freed)


def steps_down_untold(patch: pytest.MonkeyPatch) -> None:
    def leave(stay: Stay, now: float, to_step_down: bool) -> None:
        honest(stay, now, False)

    honest = Stay._leave
    patch.setattr(Stay, "_leave", leave)


def goes_home_untold(patch: pytest.MonkeyPatch) -> None:
    def leave(stay: Stay, now: float, to_step_down: bool) -> None:
        honest(stay, now, to_step_down)
        del stay.hospital.legs[-OF_LEG:]

    honest = Stay._leave
    patch.setattr(Stay, "_leave", leave)


def is_never_clean(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Hospital, "freed", lambda hospital, pool, bed, now: pool.empty(bed) and None)


def closes_and_keeps_its_beds(patch: pytest.MonkeyPatch) -> None:
    def close(pool: BedPool) -> None:
        pool.in_service, pool.set_aside = False, True

    patch.setattr(BedPool, "close", close)


def closes_and_tells_nobody(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Hospital, "close", lambda hospital, pool, now: pool.close())


def miscounts_the_night(patch: pytest.MonkeyPatch) -> None:
    def census(model: Model, day: int) -> None:
        honest(model, day)
        honest(model, day)

    honest = Model._census
    patch.setattr(Model, "_census", census)


BROKEN: list[tuple[Patch, str, str]] = [
    (leaves_without_freeing, RELEASE, "occupied beds"),
    (frees_twice, RELEASE, "beds free, held, lain in or being cleaned"),
    (takes_beds_that_are_not_there, RELEASE, "free beds"),
    (held_bed_to_the_unentitled, RELEASE, "who lies in a held bed"),
    (borrowed_by_anybody, RELEASE, "who lies in a borrowed bed"),
    (held_bed_not_counted, RELEASE, "referred patients in held beds"),
    (holds_all_it_can, RELEASE, "held beds, empty or lain in"),
    (partition_that_gives_way, PARTITION, "patients beside the held beds"),
    (partition_that_lets_held_beds_go, PARTITION, "held beds while others are free"),
    (partition_that_mixes, PARTITION, "who lies in an open bed"),
    (protection_that_holds, PROTECT, "held beds, empty or lain in"),
    (protection_that_lets_all_in, PROTECT, "patients neither referred nor emergencies"),
    (waits_uncounted, RELEASE, "patients waiting"),
    (waits_twice, RELEASE, "wards on whose lists the patient is"),
    (entitled_uncounted, RELEASE, "referred and emergencies waiting"),
    (waits_on_a_list_of_others, RELEASE, "rank of the list"),
    (stays_on_the_list, RELEASE, "wards on whose lists the patient is"),
    (nobody_is_served, RELEASE, "a patient who waits"),
    (is_lost, RELEASE, "patients who asked and are home, elsewhere, in bed or waiting"),
    (goes_unnoticed, RELEASE, "patients who asked and are home, elsewhere, in bed or waiting"),
    (asks_twice, RELEASE, "places of the patient"),
    (keeps_the_bed_of_whoever_steps_down, RELEASE, "occupied beds"),
    (steps_down_untold, RELEASE, "legs after a step down, ended or not"),
    (goes_home_untold, RELEASE, "patients who asked and are home, elsewhere, in bed or waiting"),
    (is_never_clean, RELEASE, "beds being cleaned"),
    (closes_and_keeps_its_beds, RELEASE, "beds of the ward"),
    (closes_and_tells_nobody, RELEASE, "patients waiting for a closed ward"),
    (miscounts_the_night, RELEASE, "bed-days by the census of all nights"),
]


def town(kind: str = RELEASE) -> Case:
    """A group whose beds are scarce, quotas from the second day; two wards close."""
    found = towns.group_facilities()
    found[0]["wards"] = [ward(5), ward(5, "surgery", cleaning=300.0, closes=14)]
    found[1]["wards"] = [ward(2, closes=20), ward(1, "rehabilitation", "step_down", closes=24)]
    plan = towns.PLAN | {"bed_quota.kind": kind, "bed_quota.held_for_referral": "1/2", "down_referral.proposed": 1.0}
    plan |= {"up_referral.formal_share": 1.0, "up_referral.accepted": 1.0}
    case = towns.group_town(28, settings=plan, facilities=found)
    return replace(case, audit=True, record="days", policy=towns.policy(plan, towns.MONDAY + timedelta(days=1)))


@pytest.mark.parametrize(("broken", "kind", "what"), BROKEN, ids=[broken.__name__ for broken, *_ in BROKEN])
def test_a_rule_that_is_broken_is_found(broken: Patch, kind: str, what: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(audit, "TOLD", 10**6)
    broken(monkeypatch)
    with pytest.raises(Unsound, match=f": {what}: "):
        towns.run(town(kind))


@pytest.mark.parametrize("kind", [RELEASE, PARTITION, PROTECT])
def test_the_same_town_unbroken_is_sound(kind: str) -> None:
    beds = towns.run(town(kind))[0]["beds_monthly"]
    assert beds["used_held" if kind != PROTECT else "requests"].sum() > 5


def test_everything_that_the_audit_says_has_been_heard() -> None:
    """A check that cannot fail is worth nothing."""
    source = Path(audit.__file__).read_text("utf-8")
    said = re.findall(r'(?:_same|Finding)\(-?\w+, (?:(?:-1|episode), )?"([^"]+)"', source)
    assert len(said) > 15
    assert set(said) <= {what for *_, what in BROKEN}


# --------------------------------------------------------------------------------------------------------- as a whole


def test_what_cannot_be_is_told_with_date_place_and_patient(monkeypatch: pytest.MonkeyPatch) -> None:
    held_bed_to_the_unentitled(monkeypatch)
    with pytest.raises(Unsound) as refused:
        towns.run(town(), [3])
    head, first, *_ = str(refused.value).splitlines()
    assert re.fullmatch(r"The audit of 2024-01-\d\d 00:00 found what cannot be:", head)
    line = (
        r"  replication 3, lead, ward \w+, episode \d+: who lies in a held bed: \w+ found, a referred patient must be"
    )
    assert re.fullmatch(line, first)


def test_many_findings_are_told_in_part(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(audit, "TOLD", 1)
    asks_twice(monkeypatch)
    with pytest.raises(Unsound, match=r"\n  and \d+ more$"):
        towns.run(town())


def test_results_are_the_same_with_the_audit_and_without_also_where_scenarios_part() -> None:
    def both(audited: bool) -> list[Any]:
        one = replace(town(), audit=audited)
        other = replace(one, policy=towns.policy(towns.PLAN, towns.MONDAY + timedelta(days=9)))
        return list(simulate({"one": one, "other": other}, [0, 1]))

    for (*name, tables), (*same, audited) in zip(both(False), both(True), strict=True):
        assert name == same
        towns.assert_same(tables, audited)


def test_a_model_that_is_not_audited_has_nothing_to_do_at_midnight_for_it() -> None:
    for audited in (False, True):
        model = Model(replace(town(), audit=audited), [0])
        model.run(3, lambda days: None)
        assert any(isinstance(event, AtMidnight) for event in model.env.events()) is audited


def test_the_horizon_is_looked_at_too(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[float] = []
    monkeypatch.setattr(audit.Audit, "look", lambda self, now: seen.append(now / DAY))
    towns.run(town())
    assert seen == [*range(28), 28]
