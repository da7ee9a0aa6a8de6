"""The appointment book against Markov chains of its backlog: horizon, patience, quota and its release, walk-ins.

Where requests arise in the afternoon and the clinic is held in the morning, a day has one settlement: Poisson requests
in the order of their minute, each to the first session with a place. So the book seen each midnight is a Markov chain.
The rule of agreement stands in `agreement`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy.stats import poisson

import towns
from agreement import Tables, agrees, disagreements, means
from chains import Floats, generator, stationary, uniformised
from sim.model import Case, Model
from sim.timetable import DAY

MORNINGS, AFTERNOONS, BOTH = ("morning",), (12, 22), ("morning", "afternoon")
WARM = 31
"""Days before what is measured: counts are kept by month, and January is left out."""
ALMOST_ALL = 1 - 1e-13
CLASSES = ("referred", "other")


def book_town(
    days: int, seed: int, slots: int, others: float, referred: float = 0.0, sessions: tuple[str, ...] = MORNINGS,
    needs: tuple[int, int] = AFTERNOONS, weekend: float = 1.0, extra: int = 0, settings: towns.Data | None = None,
    **doors: Any,
) -> Case:  # fmt: skip
    """A lead hospital's bookable clinic, which others ask by themselves and a centre's patients by formal referral.

    `others` and `referred`: requests a day. A referred one is made 20 minutes after the need arose.
    """
    ways = {"up_referral.formal_share": 1.0, "up_referral.accepted": 1.0} | (settings or {})
    clinic = towns.clinic(40, pattern="office", slots=slots, extra=extra)
    facilities = [
        towns.facility("lead", "tertiary", role="lead", group="group", clinics=[clinic]),
        towns.facility("centre", "centre", role="member", group="group", clinics=[towns.clinic(40)]),
    ]
    whole = others + referred
    return towns.case(
        WARM + days,
        seed,
        ways,
        network=towns.network(facilities, "lead"),
        population=towns.population({"town": 1000}),
        timetable=towns.timetable(sessions=sessions, needs=needs, weekend=weekend),
        demand=towns.demand({"illness": whole}, 1000),
        choice=towns.choice(
            {"centre": referred / whole, "tertiary": others / whole}, **{"books": 1.0, "booking_patience": 30.0} | doors
        ),
        referral=towns.referral(to_lead=1.0),
        care=towns.care({"illness": towns.condition(beyond=(1.0, 1.0, 0.0))}, consultation_cv=0.0),
    )


def after_january(table: pd.DataFrame, cls: str = "other") -> pd.DataFrame:
    """Rows of the lead hospital and of a class, where there are classes."""
    rows = table[(table["facility"] == "lead") & (table["month"] >= "2024-02-01")]
    return rows[rows["cls"] == cls] if "cls" in rows else rows


def refused(tables: Tables, cls: str = "other") -> float:
    """Share of requests that are refused."""
    rows = after_january(tables["bookings_monthly"], cls)
    return float(rows["refused"].sum() / rows["requests"].sum())


def days_ahead(tables: Tables, cls: str = "other") -> float:
    """Mean days to the appointment of those who get one."""
    rows = after_january(tables["waits_days"], cls)
    return float((rows["days"] * rows["patients"]).sum() / rows["patients"].sum())


# -------------------------------------------------------------------------------------------------- the expert's book


def expert_town(seed: int, prefers: float, slots: int, settings: dict[str, Any] | None = None) -> Case:
    """Five weeks of one hospital whose patients all book, with an ordinary clinic and an expert one beside it."""
    office: dict[str, Any] = {"pattern": "office"}
    clinics = [towns.clinic(9, slots=90, **office), towns.clinic(9, kind="expert", slots=slots, **office)]
    town = towns.clinic_town(40.0, 35, seed, doors={"books": 1.0, "prefers_expert": prefers}, settings=settings)
    hospital = towns.facility("lead", "tertiary", role="lead", group="group", clinics=clinics)
    return replace(town, network=towns.network([hospital], "lead"))


def test_who_prefers_the_expert_is_a_share_of_those_who_ask_and_so_says_the_forecast() -> None:
    shares, forecasts = [], []
    for seed in range(12):
        tables = towns.run(expert_town(seed, 0.3, 90))[0]
        seen = tables["visits"].groupby("point").size()
        shares.append(float(seen[0] / seen.sum()))  # names in order: general_expert, general
        offered = tables["loads"].set_index("point")["offered"]
        forecasts.append(float(offered["lead/general_expert"] / offered.sum()))
        assert tables["bookings_monthly"]["requests"].sum() == tables["needs_monthly"]["needs"].sum() > 1000
    assert towns.within(shares, 0.3, 0.001)
    assert forecasts == pytest.approx([0.3] * 12)


def test_who_finds_the_expert_booked_up_goes_to_the_ordinary_clinic_in_the_same_breath() -> None:
    """Forty a day ask the expert, who has six slots: a request that goes on is one request, and nobody is refused."""
    tables = towns.run(expert_town(1, 1.0, 3))[0]
    slots = tables["slots_monthly"].set_index(["department", "month"]).loc["general_expert"].sum()
    assert slots["offered"] - 12 <= slots["used_open"] <= slots["offered"] == 35 * 2 * 3
    bookings = tables["bookings_monthly"].sum(numeric_only=True)
    assert bookings["requests"] == tables["needs_monthly"]["needs"].sum()
    assert bookings["refused"] == 0
    offered = tables["loads"].set_index("point")
    assert offered.loc["lead/general_expert", "load"] == pytest.approx(1.0)
    assert offered["offered"].sum() == pytest.approx(40.0 * 365, rel=0.01)


def test_held_expert_slots_are_the_share_and_wait_for_referred_patients_until_they_are_released() -> None:
    """Nobody is referred here: a third of twelve slots a session stays empty until the day of the session."""
    settings = {"expert_quota.held_for_referral": "1/3", "slot_quota.released_days_before": 0}
    tables = towns.run(expert_town(1, 1.0, 12, settings))[0]
    slots = tables["slots_monthly"].set_index(["department", "month"])
    expert, ordinary = (slots.loc[name].sum() for name in ("general_expert", "general"))
    assert expert["held"] == expert["released"] == 35 * 2 * 12 / 3
    assert expert["used_held"] == ordinary["held"] == 0
    assert expert["used_open"] > expert["offered"] - expert["held"] - 24, "the open ones are all taken"


# ---------------------------------------------------------------------------------------------------- the joint clinic


def joint_town(
    seed: int, share: Any, slots: int = 5, advice: float = 1.0, settings: dict[str, Any] | None = None, **ill: Any
) -> Case:
    """Five weeks of a centre whose patients all need a hospital's care, with a joint clinic on two mornings a week.

    Service points by name: the joint clinic 0, the centre's own 1, the expert's 2, the lead hospital's ordinary one 3.
    """
    office: dict[str, Any] = {"pattern": "office"}
    lead = [towns.clinic(5, slots=20, **office), towns.clinic(1, kind="expert", slots=20, **office)]
    below = [towns.clinic(9, **office), towns.clinic(5, pattern="joint", kind="joint", slots=slots)]
    places = [
        towns.facility("lead", "tertiary", role="lead", group="group", clinics=lead),
        towns.facility("centre", "centre", role="member", group="group", clinics=below),
    ]
    return towns.case(
        35,
        seed,
        {"shared.joint_clinics": share} | (settings or {}),
        network=towns.network(places, "lead"),
        population=towns.population({"town": 1000}),
        timetable=towns.timetable(weekend=0.0, sessions=("morning",)),
        demand=towns.demand({"illness": 20.0}, 1000),
        choice=towns.choice({"centre": 1.0}, follows_advice=advice),
        care=towns.care({"illness": towns.condition(beyond=(1.0, 1.0, 0.0), **ill)}),
    )


def offered(tables: Tables) -> dict[str, int]:
    """Slots of five weeks, by clinic."""
    return tables["slots_monthly"].groupby("department")["offered"].sum().to_dict()


@pytest.mark.parametrize(("share", "slots"), [(0, 0), ("1/2", 2), (0.7, 4), (1, 5)])
def test_a_joint_clinic_sees_as_many_as_it_has_slots_and_offers_them_in_whole_slots(share: Any, slots: int) -> None:
    """Twenty a day would come; 2.5 slots are 2 and 3.5 are 4: halves go to even, and nothing is carried on."""
    tables = towns.run(joint_town(1, share))[0]
    seen, helped = tables["visits"]["point"].eq(0), tables["helped_monthly"]["joint"].sum()
    assert offered(tables).get("general_joint", 0) == 10 * slots
    assert 10 * slots - slots <= seen.sum() == helped <= 10 * slots
    assert set(tables["visits"].loc[seen, "entry"]) <= {"open_slot"}
    assert not tables["loads"]["point"].str.endswith("joint").any()


@pytest.mark.parametrize(
    ("share", "away", "here"), [(0, 0, 20), (1, 0, 12), ("1/2", 0, 16), (1, "1/5", 8), (1, "4/5", 1), (1, 1, 0)]
)
def test_the_lead_hospital_goes_without_the_time_of_those_who_hold_joint_clinics(
    share: Any, away: Any, here: int
) -> None:
    """Five doctors on two mornings of five: two fifths of the ordinary clinic's time, nothing of the expert's.

    With four fifths of the doctors elsewhere besides, a twentieth stays, and one doctor at least.
    """
    case = joint_town(1, share, settings={"shared.specialists_away": away})
    slots = offered(towns.run(case)[0])
    assert slots["general"] == here * 25 if here else "general" not in slots
    assert slots.get("general_expert", 0) == {0: 20, "1/5": 16, "4/5": 4, 1: 0}[away] * 25
    model = Model(case, [0])
    model.run(1, lambda days: None)
    joint = {0: 1, "1/2": 2, 1: 5}[share]
    assert model.journey.town.rooms.doctors.tolist() == [joint, 9, 1, max(here // 4, 1)], "one of them stays"


def test_who_is_sent_to_a_joint_clinic_is_a_share_of_those_beyond_the_centre() -> None:
    shares = []
    for seed in range(12):
        tables = towns.run(joint_town(seed, 1, slots=99, advice=0.3))[0]
        requests = tables["bookings_monthly"].query("facility == 'centre'")["requests"].sum()
        shares.append(float(requests / tables["visits"]["point"].eq(1).sum()))
    assert towns.within(shares, 0.3, 0.001)


def test_who_is_asked_back_by_a_joint_clinic_comes_back_to_it() -> None:
    tables = towns.run(joint_town(1, 1, slots=99, follow_up=0.5))[0]
    seen = tables["visits"].query("point == 0").groupby("episode")["time"].agg(["min", "size"])
    early = seen[seen["min"] < 17 * DAY]  # the others may be asked back too late to be seen again
    assert len(early) > 200
    assert early["size"].gt(1).mean() == pytest.approx(0.5, abs=0.1)
    assert tables["visits"]["point"].isin([0, 1]).all(), "nobody goes to the hospital"


# ------------------------------------------------------------------------------------------------- one class, one book


def booked_per_session(requests: float, slots: int, sessions: int) -> Floats:
    """Expected requests that a settlement books for each next session, of so many that are open to them.

    The chain: places taken before a settlement, X' = max(min(X + A, all) - slots, 0).
    """
    most = slots * sessions
    numbers = np.arange(most - slots + 1)
    moves = np.zeros((len(numbers), len(numbers)))
    for came in range(int(poisson.ppf(ALMOST_ALL, requests)) + 1):
        following = np.maximum(np.minimum(numbers + came, most) - slots, 0)
        moves[numbers, following] += poisson.pmf(came, requests)
    law = stationary(moves / moves.sum(axis=1, keepdims=True))
    place = np.arange(most)[:, None] - numbers  # the nth request of this settlement gets it, from 0
    taken = np.where(place >= 0, poisson.sf(place, requests), 0.0) @ law
    return np.asarray(taken.reshape(sessions, slots).sum(axis=1))


def of_a_book(requests: float, slots: int, days: Floats) -> dict[str, float]:
    """Share refused and mean days; `days`: until each session that is open to a request."""
    booked = booked_per_session(requests, slots, len(days))
    return {"refused": 1 - booked.sum() / requests, "days": float(booked @ days / booked.sum())}


def found(tables: Tables, days: int) -> dict[str, float]:
    """The same, simulated."""
    return {"refused": refused(tables), "days": days_ahead(tables)}


@pytest.mark.parametrize(
    ("horizon", "patience", "slots", "requests"),
    [(2, 30.0, 6, 6.6), (14, 1.5, 6, 6.6), (14, 0.0, 8, 7.5), (5, 30.0, 4, 4.6)],
)  # fmt: skip
def test_horizon_and_patience_bound_the_backlog_of_a_morning_clinic(
    horizon: int, patience: float, slots: int, requests: float
) -> None:
    """Sessions of the next mornings, as many as horizon and patience allow."""
    sessions = int(min(horizon, patience)) + 1

    def case(seed: int, days: int) -> Case:
        return book_town(days, seed, slots, requests, booking_days=horizon, booking_patience=patience)

    assert not disagreements(case, found, 100, of_a_book(requests, slots, np.arange(1, sessions + 1)))


@pytest.mark.parametrize(("horizon", "patience"), [(2, 30.0), (14, 1.0), (14, 0.0)])
def test_horizon_and_patience_bound_the_backlog_of_a_clinic_open_twice_a_day(horizon: int, patience: float) -> None:
    """Two settlements a day with the same law; from noon's the first session is today's, from midnight's tomorrow's."""
    slots, requests, sessions = 4, 4.6, np.arange(min(2 * horizon, int(2 * patience)) + 1)
    days = ((1 + sessions) // 2 + 1 + sessions // 2) / 2

    def case(seed: int, days: int) -> Case:
        needs, doors = (0, 24), {"booking_days": horizon, "booking_patience": patience}
        return book_town(days, seed, slots, 2 * requests, sessions=BOTH, needs=needs, **doors)

    assert not disagreements(case, found, 100, of_a_book(requests, slots, days))


@pytest.mark.parametrize(("share", "released", "slots_left", "mornings"), [
    ("1/2", 0, 4, 3), ("1/4", 0, 6, 3), (1.0, 1, 8, 1), (1.0, 2, 8, 2), (1.0, 3, 8, 3), (1.0, 14, 8, 3),
])  # fmt: skip
def test_slots_held_for_nobody_are_lost_until_they_are_released(
    share: str | float, released: int, slots_left: int, mornings: int
) -> None:
    """Nobody is entitled, so the book of the others is smaller (opened too late for requests) or shorter."""
    slots, requests = 8, 8.8
    quota = {"slot_quota.held_for_referral": share, "slot_quota.released_days_before": released}

    def case(seed: int, days: int) -> Case:
        return book_town(days, seed, slots, requests, settings=quota, booking_days=2)

    assert not disagreements(case, found, 100, of_a_book(requests, slots_left, np.arange(1, mornings + 1)))


@pytest.mark.parametrize("released", [0, 1, 2])
def test_where_requests_never_end_every_slot_open_to_them_is_used(released: int) -> None:
    """Used = offered, or the open part of it where what is held is released too late for requests: exactly."""
    quota = {"slot_quota.held_for_referral": "1/4", "slot_quota.released_days_before": released}
    tables = towns.run(book_town(60, 1, 8, 60.0, settings=quota, booking_days=2))[0]
    slots = after_january(tables["slots_monthly"])
    assert (slots["held"] * 4 == slots["offered"]).all()
    assert (slots["released"] == slots["held"]).all()
    assert (slots["used_open"] == slots["offered"] - (slots["held"] if released == 0 else 0)).all()
    assert slots["used_held"].sum() == 0


def test_all_slots_held_until_the_day_refuse_everybody() -> None:
    quota = {"slot_quota.held_for_referral": 1.0, "slot_quota.released_days_before": 0}
    tables = towns.run(book_town(30, 1, 8, 6.0, settings=quota))[0]
    assert refused(tables) == 1.0
    assert after_january(tables["slots_monthly"])["used_open"].sum() == 0


def test_a_slot_is_lost_with_the_patient_who_does_not_come() -> None:
    """Served = slots used x (1 - p); nobody else's appointment changes, so the books are the same to the last slot."""
    absent = 0.3

    def case(seed: int, days: int, no_show: float = absent) -> Case:
        return book_town(days, seed, 6, 6.2, 2.0, no_show=no_show, booking_days=2)

    def came(tables: Tables, days: int) -> float:
        used = after_january(tables["slots_monthly"])[["used_open", "used_held"]].to_numpy().sum()
        visits = tables["visits_monthly"].query("facility == 'lead' and month >= '2024-02-01'")
        return float(visits["visits"].sum() / used)

    assert agrees(means(case, came, 100), 1 - absent)
    all_come, some = (towns.run(case(1, 60, no_show))[0] for no_show in (0.0, absent))
    for table in ("slots_monthly", "waits_days", "backlog"):
        pd.testing.assert_frame_equal(some[table], all_come[table])
    pd.testing.assert_series_equal(some["bookings_monthly"]["refused"], all_come["bookings_monthly"]["refused"])


# ---------------------------------------------------------------------------------------------------------- two classes

Book = tuple[tuple[int, int], ...]
"""Places left in the next sessions, held and open."""


def booked_in(book: Book, entitled: bool) -> tuple[int, Book]:
    """A request takes the first place that it may have: the session (-1 = refused) and the book afterwards."""
    for session, (held, free) in enumerate(book):
        if entitled and held:
            return session, (*book[:session], (held - 1, free), *book[session + 1 :])
        if free:
            return session, (*book[:session], (held, free - 1), *book[session + 1 :])
    return -1, book


def next_morning(book: Book, new: tuple[int, int], released: int) -> Book:
    """The book a day later: one session is over, a new one can be booked, and what is near enough is open to all."""
    moved = (*book[1:], new)
    return tuple((0, held + free) if k < released else (held, free) for k, (held, free) in enumerate(moved))


def reachable(start: Book, new: list[tuple[int, int]], released: int) -> dict[Book, int]:
    """All books that may come about, numbered."""
    number, queue = {start: 0}, [start]
    for book in queue:
        asked = [booked_in(book, entitled)[1] for entitled in (True, False)]
        for following in (*asked, *(next_morning(book, session, released) for session in new)):
            if following not in number:
                number[following] = len(number)
                queue.append(following)
    return number


def matrix(number: dict[Book, int], step: Callable[[Book], Book]) -> Floats:
    """A step that is certain, as a matrix."""
    moves = np.zeros((len(number), len(number)))
    for book, n in number.items():
        moves[n, number[step(book)]] = 1.0
    return moves


def of_two_classes(
    phases: list[tuple[float, float]], week: list[tuple[int, int]], sessions: int, released: int
) -> dict[str, float]:
    """Shares refused and mean days of both classes.

    `phases`: expected requests of a day, referred and others, stretch after stretch in the order of settlement; `week`:
    held and open slots of the session of each day.
    """
    empty = next_morning(((0, 0), *[week[0]] * (sessions - 1)), week[0], released)
    number = reachable(empty, week, released)
    asks = [matrix(number, lambda book, e=entitled: booked_in(book, e)[1]) for entitled in (True, False)]  # type: ignore
    evening, met = np.eye(len(number)), [np.zeros((len(number), len(number))) for _ in asks]
    for phase in phases:
        rates = generator(sum(rate * step for rate, step in zip(phase, asks, strict=True)))
        evening, during = uniformised(evening, rates, 1.0)
        met = [all_met + rate * during for all_met, rate in zip(met, phase, strict=True)]
    days = [evening @ matrix(number, lambda book, s=new: next_morning(book, s, released)) for new in week]  # type: ignore
    law, whole = stationary(np.linalg.multi_dot(days)), np.zeros(len(number))
    for day in days:
        law, whole = law @ day, whole + law
    expected = {}
    for name, entitled, of_class in zip(CLASSES, (True, False), met, strict=True):
        session, asked = np.array([booked_in(book, entitled)[0] for book in number]), whole @ of_class
        expected[f"refused {name}"] = float(asked[session < 0].sum() / asked.sum())
        expected[f"days {name}"] = float(asked[session >= 0] @ (session[session >= 0] + 1) / asked[session >= 0].sum())
    return expected


@pytest.mark.parametrize(("released", "sessions", "priority", "weekend"), [
    (0, 2, False, 1.0), (1, 2, False, 1.0), (2, 2, False, 1.0), (1, 3, False, 1.0), (1, 2, True, 1.0),
    (1, 3, False, 0.0), (0, 3, True, 0.0),
])  # fmt: skip
def test_two_classes_share_the_slots_as_the_chain_of_their_book_says(
    released: int, sessions: int, priority: bool, weekend: float
) -> None:
    """Half the slots are held for those referred; what is left opens so many days before (0: too late)."""
    slots, held, referred, others = 4, 2, 2.6, 2.7
    both, apart = 2 / 3, 1 / 3  # of an hour of needs: those referred ask 20 minutes after it began, and after its end
    in_turn = [(0.0, others * apart), (referred * both, others * both), (referred * apart, 0.0)]
    phases = [(referred, 0.0), (0.0, others)] if priority else in_turn
    open_days = [(held, slots - held)] * 5 + [(held, slots - held) if weekend else (0, 0)] * 2

    def case(seed: int, days: int) -> Case:
        quota = {
            "slot_quota.held_for_referral": "1/2",
            "slot_quota.released_days_before": released,
            "priority.referred_contracted": priority,
        }
        more = {"weekend": weekend, "settings": quota, "booking_days": sessions - 1}
        return book_town(days, seed, slots, others, referred, needs=(12, 13), **more)

    def measured(tables: Tables, days: int) -> dict[str, float]:
        shares = {f"refused {cls}": refused(tables, cls) for cls in CLASSES}
        return shares | {f"days {cls}": days_ahead(tables, cls) for cls in CLASSES}

    assert not disagreements(case, measured, 112, of_two_classes(phases, open_days, sessions, released))


# ------------------------------------------------------------------------------------------------------------ walk-ins


@pytest.mark.parametrize(("held", "extra", "arrivals"), [(0, 0, 5.3), (0, 2, 5.8), (4, 1, 6.3)])
def test_walk_ins_fill_the_session_and_the_rest_book_as_their_chain_says(
    held: int, extra: int, arrivals: float
) -> None:
    """Who walks in takes what today's book leaves, with what was held until today, then an extra place, or books.

    The chain: appointments given before a session, of which it takes off its open slots' worth.
    """
    slots, sessions = 6, 3
    bookable = slots - held
    most = bookable * sessions
    given, came = np.arange(most + 1)[:, None], np.arange(int(poisson.ppf(ALMOST_ALL, arrivals)) + 1)
    today = np.minimum(given, bookable)
    into_slots = np.minimum(came, slots - today)
    into_extra = np.minimum(came - into_slots, extra)
    booked = np.minimum(came - into_slots - into_extra, most - (given - today))
    after = given - today + booked
    chances = poisson.pmf(came, arrivals)
    moves = np.zeros((most + 1, most + 1))
    np.add.at(moves, (given + 0 * after, after), chances + 0.0 * after)
    law = stationary(moves / moves.sum(axis=1, keepdims=True))
    expected = {
        name: float(law @ number @ chances / arrivals)
        for name, number in (("walk_in", into_slots), ("extra", into_extra), ("booked_open", booked))
    }

    def case(seed: int, days: int) -> Case:
        quota = {"slot_quota.held_for_referral": f"{held}/{slots}", "slot_quota.released_days_before": 0}
        doors = {"books": 0.0, "booking_days": sessions}
        return book_town(days, seed, slots, arrivals, needs=(8, 12), extra=extra, settings=quota, **doors)

    def measured(tables: Tables, days: int) -> dict[str, float]:
        rows = after_january(tables["bookings_monthly"])
        everybody = rows[["walk_in", "extra", "requests"]].to_numpy().sum()
        return {name: float(rows[name].sum() / everybody) for name in expected}

    if not extra:
        assert expected.pop("extra") == 0
    assert not disagreements(case, measured, 250, expected)
