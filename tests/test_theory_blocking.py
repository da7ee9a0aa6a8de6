"""Blocking, where theory has a small Markov chain: after the acute phase a patient waits in his bed for one below.

Recovery starts on transfer here (`recovery_starts_on_transfer`), so a blocked patient stays until there is a bed below:
blocking after service, as in textbooks of tandem queues (Perros 1994). Elsewhere in this file recovery has a law of its
own, beds are cleaned, and stays begin in intensive care. The rule of agreement stands in `agreement`; with the fewer
than forty means of this file a right model fails in 1 run of some 25,000.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from math import factorial

import numpy as np
import pytest
from scipy.linalg import expm

import towns
from agreement import REPLICATIONS, Tables, agrees, disagreements
from chains import State, explored, generator
from sim.beds import OTHER, BedPool
from sim.model import Case
from sim.stays import Clock, Course, Hospital, Stay
from sim.timetable import DAY
from test_theory_beds import (
    EXPONENTIAL,
    NOBODY_WAITS,
    SENT_DOWN,
    asked,
    group,
    ill,
    lead_town,
    lost,
    place,
    quick,
    waits,
)

ON_TRANSFER: towns.Data = {"recovery_starts_on_transfer": True}
Moves = Callable[[State], Iterator[tuple[State, float]]]


def erlang_b(offered: float, beds: int) -> float:
    """Share of arrivals that find all beds taken, where nobody waits (Erlang 1917)."""
    terms = [offered**k / factorial(k) for k in range(beds + 1)]
    return terms[-1] / sum(terms)


def nightly(tables: Tables, days: int, facility: str, measure: str = "occupied_days", ward: str = "") -> float:
    """Mean number of beds of a facility (or a ward) by the month's tables, after the first month."""
    months = tables["beds_monthly"].query("month >= '2024-02-01' and facility == @facility")
    if ward:
        months = months[months["ward"] == ward]
    return float(months[measure].sum() / (days - 31))


# ------------------------------------------------------------------------------------------------------------- a tandem


def tandem(beds: int, below: int, come: float, acute: float, recovery: float, most: int) -> Moves:
    """States: patients on the waiting list, in their acute phase, blocked, in a bed below; `most` may wait."""

    def moves(state: State) -> Iterator[tuple[State, float]]:
        list_, sick, blocked, down = state
        if sick + blocked < beds:
            yield (list_, sick + 1, blocked, down), come
        elif list_ < most:
            yield (list_ + 1, sick, blocked, down), come
        if down < below:
            yield _freed(list_, sick - 1, blocked, down + 1), sick / acute
        else:
            yield (list_, sick - 1, blocked + 1, down), sick / acute
        if blocked:
            yield _freed(list_, sick, blocked - 1, down), down / recovery
        else:
            yield (list_, sick, blocked, down - 1), down / recovery

    return moves


def _freed(list_: int, sick: int, blocked: int, down: int) -> State:
    """A bed has been freed: whoever waits takes it."""
    return (list_ - 1, sick + 1, blocked, down) if list_ else (list_, sick, blocked, down)


def tandem_town(
    seed: int, days: int, come: float, acute: float, recovery: float, beds: tuple[int, int], **figures: object
) -> Case:
    """Everybody steps down, to a recovery with a law of its own."""
    more = EXPONENTIAL | figures
    town = lead_town(days, seed, {"other": (come, acute)}, group(*beds), SENT_DOWN, **more)
    always = {"other": ill("severe", acute, step_down=1.0, recovery=0.0, recovery_days=recovery, recovery_cv=1.0)}
    return replace(town, care=towns.care(always, **quick(**more)))


def test_a_tandem_with_blocking_loses_as_its_markov_chain_says() -> None:
    """Nobody waits at the door: blocking after service with loss."""
    come, acute, recovery, beds = 12.0, 0.2, 0.25, (4, 3)
    states, law = explored((0, 0, 0, 0), tandem(*beds, come, acute, recovery, 0))
    _, sick, blocked, down = law @ np.array(states)
    full = np.array([s + b == beds[0] for _, s, b, _ in states])
    expected = {
        "lost": float(law @ full), "occupied": float(sick + blocked), "blocked": float(blocked), "below": float(down),
    }  # fmt: skip

    def case(seed: int, days: int) -> Case:
        return tandem_town(seed, days, come, acute, recovery, beds, **NOBODY_WAITS, **ON_TRANSFER)

    def found(tables: Tables, days: int) -> dict[str, float]:
        kept = tables["blocked_monthly"].query("month >= '2024-02-01' and facility == 'lead' and cause == 'step_down'")
        return {
            "lost": lost(asked(tables, days).query("entry == 'other'")), "occupied": nightly(tables, days, "lead"),
            "blocked": float(kept["hours"].sum() / 24 / (days - 31)), "below": nightly(tables, days, "centre"),
        }  # fmt: skip

    assert blocked > 0.4
    assert not disagreements(case, found, 120, expected)


def test_a_tandem_with_blocking_lets_wait_as_its_markov_chain_says() -> None:
    """Everybody waits: blocking after service with delay; the list is cut off where nobody ever stands."""
    come, acute, recovery, beds = 10.0, 0.15, 0.2, (4, 3)
    states, law = explored((0, 0, 0, 0), tandem(*beds, come, acute, recovery, 120))
    table = np.array(states)
    waiting, sick, blocked, down = law @ table
    assert law[table[:, 0] > 100].sum() < 1e-6
    below_is_full = table[:, 3] == beds[1]
    expected = {
        "waits": float(law @ (table[:, 1] + table[:, 2] == beds[0])), "wait": float(waiting / come),
        # acute phases end at a rate that depends on how many there are
        "waits below": float(law @ (table[:, 1] * below_is_full) / sick), "wait below": float(blocked / come),
        "below": float(down),
    }  # fmt: skip

    def case(seed: int, days: int) -> Case:
        return tandem_town(seed, days, come, acute, recovery, beds, **ON_TRANSFER)

    def found(tables: Tables, days: int) -> dict[str, float]:
        stays = asked(tables, days)
        first, second = (waits(stays.query(f"entry == '{entry}'")) for entry in ("other", "step_down"))
        return {
            "waits": float((first > 1e-9).mean()), "wait": float(first.mean()),
            "waits below": float((second > 1e-9).mean()), "wait below": float(second.mean()),
            "below": nightly(tables, days, "centre"),
        }  # fmt: skip

    assert not disagreements(case, found, 120, expected)


# ------------------------------------------------------------------------------------------ two senders, one ward below


def senders(beds: tuple[int, int], below: int, come: tuple[float, float], acute: float, recovery: float) -> Moves:
    """States: in the acute phase at the first and at the second, in a bed below, and who is blocked, in that order."""

    def moves(state: State) -> Iterator[tuple[State, float]]:
        sick, down, blocked = list(state[:2]), state[2], state[3:]
        for n in (0, 1):
            kept = sick[n] + blocked.count(n)
            more, fewer = (tuple(x + step * (i == n) for i, x in enumerate(sick)) for step in (1, -1))
            if kept < beds[n]:
                yield (*more, down, *blocked), come[n]
            if down < below:
                yield (*fewer, down + 1, *blocked), sick[n] / acute
            else:
                yield (*fewer, down, *blocked, n), sick[n] / acute
        yield (*sick, down - (not blocked), *blocked[1:]), down / recovery

    return moves


def test_two_senders_into_one_ward_block_each_other_as_their_markov_chain_says() -> None:
    """The lead hospital and a member send to one ward below, first blocked first served; nobody waits at the doors."""
    come, acute, recovery, beds, below = (6.0, 9.0), 0.2, 0.2, (2, 3), 2
    states, law = explored((0, 0, 0), senders(beds, below, come, acute, recovery))
    expected = {"below": float(law @ [s[2] for s in states])}
    for n, name in enumerate(("lead", "member")):
        blocked = np.array([s[3:].count(n) for s in states])
        full = np.array([s[n] for s in states]) + blocked == beds[n]
        expected |= {f"{name} lost": float(law @ full), f"{name} blocked": float(law @ blocked)}

    def case(seed: int, days: int) -> Case:
        more = EXPONENTIAL | NOBODY_WAITS | ON_TRANSFER
        facilities = group(beds[0], below)
        facilities.append(place("member", "secondary", beds[1], role="member", group="group"))
        laws = {"step_down": 1.0, "recovery": 0.0, "recovery_days": recovery, "recovery_cv": 1.0}
        # the first kind needs a tertiary hospital, so nobody who finds no bed goes from one hospital to the other
        sick = {"lead": ill("severe", acute, beyond=1.0, **laws), "member": ill("moderate", acute, **laws)}
        sick["member"]["department"] = "other"
        facilities[2]["wards"][0]["department"] = "other"
        facilities[0]["wards"][0]["department"] = "lead"
        sick["lead"]["department"] = "lead"
        return towns.case(
            days, seed, SENT_DOWN,
            network=towns.network(facilities, "lead"), population=towns.population({"town": 1000}),
            demand=towns.demand({"lead": come[0], "member": come[1]}, 1000),
            choice=towns.choice({"tertiary": 1.0}, {"severe": {"tertiary": 1.0}, "moderate": {"secondary": 1.0}}),
            care=towns.care(sick, **quick(**more)),
        )  # fmt: skip

    def found(tables: Tables, days: int) -> dict[str, float]:
        stays = asked(tables, days).query("entry == 'other'")
        kept = tables["blocked_monthly"].query("month >= '2024-02-01' and cause == 'step_down'")
        hours = kept.groupby("facility")["hours"].sum() / 24 / (days - 31)
        seen = {"below": nightly(tables, days, "centre")}
        for name in ("lead", "member"):
            mine = stays[stays["condition"] == name]
            seen |= {f"{name} lost": lost(mine), f"{name} blocked": float(hours[name])}
        return seen

    assert not disagreements(case, found, 120, expected)


# ------------------------------------------------------------------------------------------------------ mutual blocking


EMPTY, SICK, DOWN, BLOCKED = range(4)


def pair(come: float, acute: float, recovery: float) -> Moves:
    """Two wards of one bed that send their patients to each other: what each bed is; both blocked is for ever."""

    def moves(state: State) -> Iterator[tuple[State, float]]:
        for n in (0, 1):
            mine, other = state[n], state[1 - n]
            if mine == EMPTY:
                yield _bed(state, n, SICK), come
            elif mine == SICK:
                ends = _bed(_bed(state, n, EMPTY), 1 - n, DOWN) if other == EMPTY else _bed(state, n, BLOCKED)
                yield ends, 1 / acute
            elif mine == DOWN:  # the bed goes to the blocked patient of the other ward, whose bed is free then
                goes = _bed(_bed(state, n, DOWN), 1 - n, EMPTY) if other == BLOCKED else _bed(state, n, EMPTY)
                yield goes, 1 / recovery

    return moves


def _bed(state: State, n: int, what: int) -> State:
    return tuple(what if i == n else x for i, x in enumerate(state))


def test_wards_that_send_to_each_other_block_each_other_when_their_markov_chain_says() -> None:
    """Chance that two wards have blocked each other for ever by a day, and mean days until then, of many pairs."""
    come, acute, recovery, last, pairs = 0.4, 1.0, 2.0, 25.0, 120
    moves = pair(come, acute, recovery)
    states: list[State] = [(a, b) for a in range(4) for b in range(4)]
    rates = np.zeros((16, 16))
    for state in states:
        for after, rate in moves(state):
            rates[states.index(state), states.index(after)] += rate
    chain = generator(rates)
    by_then = expm(chain * last)[0, states.index((BLOCKED, BLOCKED))]
    grid = np.linspace(0.0, last, 2001)
    still = [1 - expm(chain * t)[0, states.index((BLOCKED, BLOCKED))] for t in grid[:: 2000 // 200]]
    mean = float(np.trapezoid(still, dx=last / 200))

    def sample(seed: int, times: int) -> list[dict[tuple[int, ...], float]]:
        return [many_pairs([seed, r], pairs * times, come, acute, recovery, last) for r in range(REPLICATIONS)]

    def share(seed: int, times: int) -> list[float]:
        return [len(found) / (pairs * times) for found in sample(seed, times)]

    def days(seed: int, times: int) -> list[float]:
        number = pairs * times
        return [(sum(found.values()) / DAY + last * (number - len(found))) / number for found in sample(seed, times)]

    assert 0.3 < by_then < 0.9
    assert agrees(share, float(by_then))
    assert agrees(days, mean)


def many_pairs(
    seed: list[int], pairs: int, come: float, acute: float, recovery: float, last: float
) -> dict[tuple[int, ...], float]:
    """Which wards of so many pairs block each other, and since which minute; who finds no bed goes away."""
    luck, env = np.random.default_rng(seed), Clock()
    hospital = Hospital(env, [BedPool(n, 1) for n in range(2 * pairs)], (0, 24), recovery_starts_on_transfer=True)
    hospital.goes_down = lambda course, ward: True
    hospital.downstream = lambda course, ward: [ward ^ 1]
    hospital.gives_up = lambda stay: None
    number = luck.poisson(come * last * 2 * pairs)
    columns = (
        luck.exponential(acute * DAY, number), luck.exponential(recovery * DAY, number),
        luck.integers(2 * pairs, size=number), luck.uniform(0, last * DAY, number),
    )  # fmt: skip
    for key, (sick, well, ward, minute) in enumerate(zip(*(c.tolist() for c in columns), strict=True)):
        course = Course(0, key, key, 0, 1, sick, sick, 0.5, 0.5, 0.0, recovery=well)
        Stay(hospital, hospital.courses.note_one(course), ward, OTHER, 3, minute)
    env.run_until(last * DAY)
    return hospital.deadlocks


def test_a_study_tells_of_wards_that_block_each_other_and_since_when() -> None:
    """The two hospitals of a group send to each other's wards until nothing moves; nobody is ever discharged again."""
    hospitals = [place("lead", "tertiary", 2, "step_down", role="lead", group="group")]
    hospitals += [place("member", "secondary", 2, "step_down", role="member", group="group")]
    sick = {
        name: ill(kind, 1.0, beyond=beyond, step_down=0.6, recovery=0.5)
        for name, kind, beyond in (("hard", "severe", 1.0), ("mild", "moderate", 0.0))
    }
    town = towns.case(
        150, 3, SENT_DOWN,
        network=towns.network(hospitals, "lead"), population=towns.population({"town": 1000}),
        demand=towns.demand({"hard": 1.0, "mild": 1.0}, 1000),
        choice=towns.choice({"tertiary": 1.0}, {"severe": {"tertiary": 1.0}, "moderate": {"secondary": 1.0}}),
        care=towns.care(sick, **quick(**NOBODY_WAITS, **ON_TRANSFER)),
    )  # fmt: skip
    (tables,) = towns.run(town).values()
    ((since, wards),) = tables["deadlocks"].itertuples(index=False)
    assert wards == "member/general_step_down, lead/general_step_down"
    minute = (since - tables["visits_daily"]["date"].min()).total_seconds() / 60
    inside = tables["stays"].query("facility != 'outside'")
    assert minute > inside["discharged"].max()
    (free,) = towns.run(replace(town, care=towns.care(sick, **quick(**NOBODY_WAITS)))).values()
    assert free["deadlocks"].empty


# ------------------------------------------------------------------------------------------- what else a bed is kept by


def test_a_ward_whose_beds_are_cleaned_loses_as_erlang_says() -> None:
    """Turnover is service too: lost B(c, lambda (stay + cleaning)), occupied lambda (1 - B) stay."""
    come, stay, cleaning, beds = 40.0, 0.3, 0.1, 14
    refused = erlang_b(come * (stay + cleaning), beds)

    def case(seed: int, days: int) -> Case:
        facilities = group(beds)
        facilities[0]["wards"] = [towns.ward(beds, cleaning=cleaning * DAY)]
        return lead_town(days, seed, {"other": (come, stay)}, facilities, **NOBODY_WAITS)

    def found(tables: Tables, days: int) -> dict[str, float]:
        return {"lost": lost(asked(tables, days)), "occupied": nightly(tables, days, "lead")}

    assert not disagreements(case, found, 90, {"lost": refused, "occupied": come * stay * (1 - refused)})


def test_of_those_for_whom_there_is_no_bed_a_share_goes_without() -> None:
    """Erlang's loss, of which a share is unmet need and the others lie outside the area."""
    come, stay, beds, without = 30.0, 0.3, 8, 0.3
    refused = erlang_b(come * stay, beds)

    def case(seed: int, days: int) -> Case:
        return lead_town(days, seed, {"other": (come, stay)}, group(beds), forgoes_bed=without, **NOBODY_WAITS)

    def found(tables: Tables, days: int) -> dict[str, float]:
        needs, stays = tables["needs_monthly"], tables["stays"]
        assert len(stays) <= needs["needs"].sum() - needs["unmet"].sum()
        return {
            "unmet": float(needs["unmet"].sum() / needs["needs"].sum()),
            "outside": float((stays["facility"] == "outside").sum() / needs["needs"].sum()),
        }  # fmt: skip

    # the first ward is empty, and those last asked for are not over: both weigh little in so long a time
    share = {"unmet": refused * without, "outside": refused * (1 - without)}
    assert not disagreements(case, found, 400, share)


@pytest.mark.parametrize("law", ["exponential", "lognormal"])
def test_stays_with_a_recovery_of_their_own_fill_both_wards_as_many_servers_do(law: str) -> None:
    """Two steps of M/G/infinity: lambda x acute at the hospital, lambda x eligible x recovery below (Mirasol 1963).

    The hospital's own stay is the acute phase alone; that of the episode is acute + eligible x recovery.
    """
    come, acute, recovery, eligible = 20.0, 0.6, 1.1, 0.4
    expected = {
        "lead": come * acute, "below": come * eligible * recovery, "stay": acute, "episode": acute + eligible * recovery
    }  # fmt: skip

    def case(seed: int, days: int) -> Case:
        town = lead_town(days, seed, {"other": (come, acute)}, group(500, 500), SENT_DOWN, stay_law=law)
        laws = {"step_down": eligible, "recovery": 0.0, "recovery_days": recovery, "recovery_cv": 0.7}
        if law == "exponential":
            laws["recovery_cv"] = 1.0
        return replace(town, care=towns.care({"other": ill("severe", acute, **laws)}, **quick(stay_law=law)))

    def found(tables: Tables, days: int) -> dict[str, float]:
        stays = asked(tables, days)
        length = (stays["discharged"] - stays["admitted"]) / DAY
        whole = (stays["discharged"] - stays["first_admitted"])[~stays["to_step_down"]] / DAY
        return {
            "lead": nightly(tables, days, "lead"), "below": nightly(tables, days, "centre"),
            "stay": float(length[stays["facility"] == "lead"].mean()), "episode": float(whole.mean()),
        }  # fmt: skip

    assert not disagreements(case, found, 80, expected)


def test_intensive_care_with_few_beds_loses_as_erlang_says() -> None:
    """Part of some stays lies there first: B(c, lambda p part stay) are lost, the others go on to the ordinary ward."""
    come, stay, share, part, beds = 30.0, 0.5, 0.4, 0.5, 4
    refused = erlang_b(come * share * part * stay, beds)
    kept = come * share * (1 - refused)
    expected = {
        "lost": share * refused, "intensive": kept * part * stay,
        "ordinary": come * (1 - share) * stay + kept * (1 - part) * stay,
    }  # fmt: skip

    def case(seed: int, days: int) -> Case:
        facilities = group(500)
        facilities[0]["wards"].append(towns.ward(beds, kind="intensive"))
        town = lead_town(days, seed, {"other": (come, stay)}, facilities, **NOBODY_WAITS)
        some = {"other": ill("severe", stay, intensive=share, intensive_part=part)}
        return replace(town, care=towns.care(some, **quick(**NOBODY_WAITS)))

    def found(tables: Tables, days: int) -> dict[str, float]:
        return {
            "lost": lost(asked(tables, days)),
            "intensive": nightly(tables, days, "lead", ward="general_intensive"),
            "ordinary": nightly(tables, days, "lead", ward="general"),
        }  # fmt: skip

    assert not disagreements(case, found, 80, expected)


def test_one_bed_fewer_below_is_caught() -> None:
    """The chain of another tandem is not taken for this one's."""
    come, acute, recovery = 12.0, 0.2, 0.25
    states, law = explored((0, 0, 0, 0), tandem(4, 4, come, acute, recovery, 0))
    expected = {"below": float(law @ np.array(states)[:, 3])}

    def case(seed: int, days: int) -> Case:
        return tandem_town(seed, days, come, acute, recovery, (4, 3), **NOBODY_WAITS, **ON_TRANSFER)

    assert disagreements(case, lambda tables, days: {"below": nightly(tables, days, "centre")}, 60, expected)
