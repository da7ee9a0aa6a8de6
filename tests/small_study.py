"""A small study made up by formulas, not simulated: what the analysis reads, with known answers.

Two scenarios, `before` and `plan`, over 2024 and 2025. In the plan the grassroots share rises with the drawn adherence.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd

from sim.citation import Count, Figure, Source
from sim.compose import ReportSpec
from sim.scenario import Scenario
from sim.schema import Closed, read_yaml

ROOT = Path(__file__).parents[1]
SCENARIOS = ("before", "plan")
MONTHS = [date(year, month, 1) for year in (2024, 2025) for month in range(1, 13)]
RESIDENTS = 20_000

FACILITIES = pd.DataFrame(
    [
        ("village-001", "Village 1", "一村卫生室", "village_station", "member", "g1", "public", "a", True),
        ("clinic-001", "Clinic 1", "第一诊所", "clinic", "none", "", "private", "a", True),
        ("centre-a", "Centre A", "甲乡卫生院", "centre", "member", "g1", "public", "a", True),
        ("sub-a", "Sub-centre A", "甲分中心", "sub_centre", "member", "g1", "public", "a", True),
        ("second", "District hospital", "区医院", "secondary", "member", "g1", "public", "a", True),
        ("first", "City hospital", "市人民医院", "tertiary", "lead", "g1", "public", "a", True),
        ("private", "Private hospital", "民营三级医院", "tertiary", "none", "", "private", "a", True),
        ("outside", "Outside", "域外", "outside", "none", "", "public", "", False),
    ],
    columns=["id", "name", "name_zh", "level", "role", "group", "ownership", "area", "inside"],
)

MONTHLY_VISITS = {
    "village-001": 3000, "clinic-001": 1600, "centre-a": 2000, "sub-a": 600, "second": 1500, "first": 2700,
    "private": 300, "outside": 500,
}  # fmt: skip
"""Visits of residents in a month before the plan."""

STAYS = {"centre-a": (60, 6), "second": (100, 9), "first": (180, 8), "private": (20, 10), "outside": (20, 9)}
"""Discharges in a month, nights of each."""

CASES = {"centre-a": (4, 0, 550), "second": (22, 0, 800), "first": (72, 9, 1040), "private": (5, 2, 900),
         "outside": (10, 2, 1100)}  # fmt: skip
"""Operated on in a month, of these at level 4, mean weight in thousandths."""

DAY_CASES = {"second": 4, "first": 9}
"""Discharges in a month that were day cases, of one night each by the official rule."""


READMITTED = {"centre-a": 3, "second": 9, "first": 16, "private": 1}
"""Of them, admitted again within 30 days."""


def adherence(replication: int) -> float:
    """The drawn adherence of a replication."""
    return round(0.12 + 0.44 * ((7 * replication + 3) % 20 + 0.5) / 20, 4)


def replication_tables(scenario: str, replication: int) -> dict[str, pd.DataFrame]:
    """The tables of one replication; December 2023 belongs to the warm-up and counts nowhere."""
    luck = np.random.default_rng([replication, 7])
    visits = _visits(scenario, replication, luck)
    by = ["month", "level", "group", "resident", "kind"]
    daily = visits.groupby(by, sort=False)["visits"].sum().reset_index().rename(columns={"month": "date"})
    warmup = daily.head(3).assign(date=date(2023, 12, 1), visits=1_000_000)
    needs = {"month": MONTHS, "condition": "cold", "resident": True, "needs": 8000}
    backlog = _rows(month=MONTHS, facility="first", resource="bed", waiting=[40 + i % 3 for i in range(24)])
    return {
        "visits_daily": pd.concat([warmup, daily], ignore_index=True),
        "visits_monthly": visits.drop(columns=["share"]),
        **_waits(scenario),
        **_stays(scenario, luck),
        **_quotas(scenario),
        "needs_monthly": _rows(
            **needs,
            unmet=80 if scenario == "before" else 72,
            follow_ups=3000,
            missed=150,
            exacerbations=6,
            admitted_more=4,
            admitted_less=1,
        ),
        "exams_monthly": _exams(),
        "helped_monthly": _rows(
            month=MONTHS, facility="centre-a", remote=4, specialist=6, by_reading=3, joint=2, handed_down=0
        ).assign(within_reach=5, advised=5),
        "referrals_monthly": _referrals(scenario),
        "loads": _loads(scenario),
        "backlog": backlog,
        "capability_monthly": _capability(scenario),
        "features_monthly": _features(scenario),
        "public_health_monthly": _public_health(scenario),
        **_money(scenario),
        "posts_monthly": _posts(scenario),
    }


def _rows(**columns: Any) -> pd.DataFrame:
    return pd.DataFrame(columns)


def _capability(scenario: str) -> pd.DataFrame:
    """Of two centres one reaches the basic standard under the plan, the other one is a community hospital."""
    days = [31] * 24
    reached = days if scenario == "plan" else [0] * 24
    none, place = [0] * 24, {"month": MONTHS, "days": days}
    one = _rows(**place, facility="centre-a", basic=reached, recommended=none, community_hospital=none)
    other = _rows(**place, facility="sub-a", basic=days, recommended=days, community_hospital=days)
    return pd.concat([one.assign(feature_department=days), other.assign(feature_department=reached)], ignore_index=True)


def _features(scenario: str) -> pd.DataFrame:
    """Of the visits of one centre 15 per cent are to its feature department, of its discharges half; of the other's
    visits, under the plan, 30 per cent."""
    one = _rows(
        month=MONTHS, facility="centre-a", visits=2000, feature_visits=300, discharges=60, feature_discharges=30,
        weight_thousandths=40_000, feature_weight_thousandths=30_000,
    )  # fmt: skip
    other = _rows(month=MONTHS, facility="sub-a", visits=600, feature_visits=180, discharges=0, feature_discharges=0)
    other = other.assign(weight_thousandths=0, feature_weight_thousandths=0)
    return pd.concat([one, other] if scenario == "plan" else [one], ignore_index=True)


def _public_health(scenario: str) -> pd.DataFrame:
    """Village stations take over some work of the centre under the plan."""
    below = {"before": 4000, "plan": 5000}[scenario]
    station = _rows(month=MONTHS, facility="village-001", level="village_station", minutes=below)
    return pd.concat(
        [station, _rows(month=MONTHS, facility="centre-a", level="centre", minutes=10_000 - below)], ignore_index=True
    )


def _posts(scenario: str) -> pd.DataFrame:
    """Under the plan one doctor of the centre works at the sub-centre."""
    went = {"before": 0, "plan": 30}[scenario]
    centre = _rows(month=MONTHS, facility="centre-a", level="centre", came=0, went=went)
    return pd.concat(
        [centre, _rows(month=MONTHS, facility="sub-a", level="sub_centre", came=went, went=0)], ignore_index=True
    )


def _exams() -> pd.DataFrame:
    """A hospital repeats some exams, a centre has some of its own read remotely."""
    hospital = _rows(month=MONTHS, facility="first", made=400, repeated=20, recognised=10, trusted=30, read_remotely=0)
    centre = _rows(month=MONTHS, facility="centre-a", made=100, repeated=0, recognised=0, trusted=0, read_remotely=40)
    return pd.concat([hospital, centre], ignore_index=True)


def _visits(scenario: str, replication: int, luck: np.random.Generator) -> pd.DataFrame:
    """The plan moves a part of hospital visits to the centre, from July 2024 on."""
    rows = []
    season = 1 + 0.08 * np.sin(np.arange(24) / 12 * 2 * np.pi)
    for place, usual in MONTHLY_VISITS.items():
        level, group = FACILITIES.set_index("id").loc[place, ["level", "group"]]
        for i, month in enumerate(MONTHS):
            number = usual * season[i] * (1 + 0.01 * luck.standard_normal())
            moved = 0.35 * adherence(replication) if scenario == "plan" and month >= date(2024, 7, 1) else 0.0
            if level in ("secondary", "tertiary"):
                number *= 1 - moved
            if place == "centre-a":
                number += moved * 4500 * season[i]
            kinds = {"outpatient": 0.9, "emergency": 0.1} if level in ("secondary", "tertiary") else {"outpatient": 1.0}
            for kind, share in kinds.items():
                rows.append((month, place, level, group, True, kind, "other", round(number * share), share))
            rows.append((month, place, level, group, True, "return", "other", 50, 0.0))
    names = ["month", "facility", "level", "group", "resident", "kind", "cls", "visits", "share"]
    return pd.DataFrame(rows, columns=names).assign(wait_minutes=600, left=1, turned_away=2)


def _waits(scenario: str) -> dict[str, pd.DataFrame]:
    later = 1 if scenario == "plan" else 0
    bins = {"other": [0, 2, 3 + later], "referred": [0, 1, 2], "referred_contracted": [0, 0, 1 + (1 - later)]}
    rows = [
        (m, "first", c, d, n) for m in MONTHS for c, ds in bins.items() for d, n in zip(ds, (50, 30, 20), strict=True)
    ]
    days = pd.DataFrame(rows, columns=["month", "facility", "cls", "days", "patients"])
    minutes = (
        days.rename(columns={"days": "minutes"}).assign(kind="outpatient").assign(minutes=lambda r: r["minutes"] * 9)
    )
    bookings = _rows(month=MONTHS, facility="first", cls="other", requests=1000, booked_open=900, booked_held=0,
                     refused=60, no_shows=100, walk_in=40, extra=5)  # fmt: skip
    return {
        "waits_days": days,
        "waits_bed": days.assign(ward="general", left=1),
        "waits_step_down": _rows(
            month=MONTHS * 2,
            facility="first",
            ward="general",
            hours=[5] * 24 + [30] * 24,
            patients=[18] * 24 + [2] * 24,
            waited_minutes=[18 * 330] * 24 + [2 * 1800] * 24,
        ),
        "waits_minutes": minutes,
        "bookings_monthly": bookings,
    }


def _stays(scenario: str, luck: np.random.Generator) -> dict[str, pd.DataFrame]:
    """The plan shortens the stay at the city hospital by stepping down twelve patients a month, who then stay on."""
    rows = []
    for place, (number, nights) in STAYS.items():
        level, group = FACILITIES.set_index("id").loc[place, ["level", "group"]]
        for month in MONTHS:
            down = 12 if scenario == "plan" and place == "first" and month >= date(2024, 7, 1) else 0
            slept = number * nights - down * 5 + int(luck.integers(-20, 20))
            rows.append((month, place, level, group, number, slept, down, number - down, slept + down * 7))
    names = [
        "month",
        "facility",
        "level",
        "group",
        "discharges",
        "nights",
        "stepped_down",
        "episodes",
        "episode_nights",
    ]
    stays = pd.DataFrame(rows, columns=names).assign(
        ward=lambda r: np.where(r["facility"].eq("centre-a"), "general_joint", "general"),
        resident=True, entry="other", hours=lambda r: 23.5 * r["nights"],
    )  # fmt: skip
    cases = [stays["facility"].map({place: each[n] for place, each in CASES.items()}) for n in range(3)]
    stays["day_cases"] = stays["facility"].map(DAY_CASES).fillna(0).astype(int)
    stays = stays.assign(operated=cases[0], level4=cases[1], weight_thousandths=cases[2] * stays["discharges"])
    inside = stays[stays["facility"].ne("outside")]
    beds = inside[["month", "facility", "ward"]].assign(
        bed_days=inside["nights"] / 0.85, occupied_days=inside["nights"], blocked_hours=24.0,
        held_days=0, used_held_days=0, used_held=0, borrowed=0, released=0, moved_on=0,
        requests=inside["discharges"] + 1,
    )  # fmt: skip
    blocked = [
        inside[["month", "facility", "ward"]].assign(cause=cause, hours=hours)
        for cause, hours in (("step_down", 24.0), ("ward", 12.0), ("discharge_hours", 6.0))
    ]
    again = inside[["month", "facility", "ward"]].assign(
        discharges=inside["episodes"], readmitted=inside["facility"].map(READMITTED)
    )
    return {
        "stays_monthly": stays, "beds_monthly": beds, "readmissions_monthly": again,
        "blocked_monthly": pd.concat(blocked, ignore_index=True), **_sessions(),
    }  # fmt: skip


def _sessions() -> dict[str, pd.DataFrame]:
    """Theatres of the city hospital and its day centre, and days to an operation there."""
    place: dict[str, Any] = {"month": MONTHS, "facility": "first"}
    theatres = _rows(**place, place="theatre", offered=80, used=60)
    centre = _rows(**place, place="day_centre", offered=20, used=9)
    waited = [(m, "first", "theatre", d, n) for m in MONTHS for d, n in ((0, 30), (1, 20), (4, 10))]
    waited += [(m, "first", "day_centre", 3, 9) for m in MONTHS]
    return {
        "theatres_monthly": pd.concat([theatres, centre], ignore_index=True),
        "theatre_days": pd.DataFrame(waited, columns=["month", "facility", "place", "days", "patients"]),
    }


def _quotas(scenario: str) -> dict[str, pd.DataFrame]:
    held = 900 if scenario == "plan" else 0
    slots = _rows(month=MONTHS, facility="first", department="general", offered=2700, held=held, used_held=held // 9,
                  released=held - held // 9, used_open=1700)  # fmt: skip
    exams = slots.assign(department="imaging_ct", offered=300, held=held // 9, used_held=held // 18, released=0)
    experts = slots.assign(department="general_expert", offered=90, held=held // 30, used_held=held // 50, released=0)
    joint = slots.assign(facility="centre-a", department="general_joint", offered=40, held=0, used_held=0, released=0)
    place: dict[str, Any] = {"month": MONTHS, "facility": "first", "department": "imaging_ct", "cls": "other"}
    return {
        "slots_monthly": pd.concat([slots, experts, joint, exams], ignore_index=True),
        "imaging_monthly": _rows(**place, requests=280, booked_open=270, refused=10, no_shows=20, made=250),
        "imaging_days": _rows(**place, days=3, patients=270),
    }


FEES = {"centre-a": (80, 2000), "second": (200, 6000), "first": (350, 14000), "outside": (500, 16000)}
"""Yuan of a visit and of a stay."""


def _money(scenario: str) -> dict[str, pd.DataFrame]:
    """A hundred visits and ten stays a month of residents at each of four places, and visitors at the city hospital.

    Residents pay half of a visit and 40 per cent of a stay. In the plan the district adds 10 yuan to each visit at the
    centre, a stay at the city hospital is paid a tenth less than it costs, and there is a budget.
    """
    rows = []
    for place, (visit, stay) in FEES.items():
        level, group = FACILITIES.set_index("id").loc[place, ["level", "group"]]
        at = (place, level, group)
        rows += [(m, *at, "visit", "residents", True, 100, 10_000 * visit, 5_000 * visit) for m in MONTHS]
        paid = 0.9 if (scenario, place) == ("plan", "first") else 1.0
        rows += [(m, *at, "stay", "employees", True, 10, 1000 * stay, int(600 * stay * paid)) for m in MONTHS]
    rows += [(m, "first", "tertiary", "g1", "visit", "visitor", False, 20, 20 * 35_000, 0) for m in MONTHS]
    names = ["month", "facility", "level", "group", "service", "payer", "resident", "cases", "cost_fen", "fund_fen"]
    bills = pd.DataFrame(rows, columns=names).assign(grid="g1", deductible_fen=0, points_thousandths=0)
    alike = bills["fund_fen"] / bills["cost_fen"].where(bills["service"].eq("stay"))
    bills["own_fen"] = (
        (bills["fund_fen"] * 2 / 3).where(alike.notna(), bills["cost_fen"] - bills["fund_fen"]).astype(int)
    )
    bills["payment_fen"] = bills["fund_fen"]
    added = bills["facility"].eq("centre-a") & bills["service"].eq("visit") & (scenario == "plan")
    bills["top_up_fen"] = np.where(added, 100 * 1000, 0)
    amounts = {"budget_fen": 90_000_000, "public_health_fen": 0, "spent_group_fen": 60_000_000,
               "spent_elsewhere_fen": 0, "spent_outside_fen": 20_000_000, "balance_fen": 10_000_000,
               "kept_fen": 6_000_000, "returned_fen": 4_000_000, "borne_fen": 0, "covered_fen": 0}  # fmt: skip
    years = [2024, 2025] if scenario == "plan" else []
    alarms = [(date(2025, month, 28), "g1", "outside_share", 0.3, 0.2) for month in (2, 3)] if years else []
    return {
        "money_monthly": bills,
        "budgets": pd.DataFrame(
            [{"year": year, "grid": "g1"} | amounts for year in years], columns=["year", "grid", *amounts]
        ).astype(dict.fromkeys(("year", *amounts), "int64")),
        "alarms": pd.DataFrame(alarms, columns=["date", "grid", "alarm", "value", "threshold"]),
    }


def _referrals(scenario: str) -> pd.DataFrame:
    number = 120 if scenario == "plan" else 24
    rows = [
        (m, direction, "formal", level, to, status, n)
        for m in MONTHS
        for direction, level, to in (("up", "centre", "first"), ("down", "tertiary", "centre-a"))
        for status, n in (("completed", number), ("declined", number // 12), ("lapsed", number // 8))
    ] + [(m, "up", "self", "centre", "first", "completed", 300) for m in MONTHS]
    rows += [(m, "up", "formal", "tertiary", "outside", "completed", 4) for m in MONTHS]
    return pd.DataFrame(
        rows, columns=["month", "direction", "channel", "from_level", "to_facility", "status", "referrals"]
    )


def _loads(scenario: str) -> pd.DataFrame:
    load = {"first": 1.04 if scenario == "plan" else 0.97, "second": 0.8, "centre-a": 0.6}
    points = [f"{facility}/general" for facility in load]
    return _rows(point=points, facility=list(load), resource="clinic", offered=[100 * x for x in load.values()],
                 capacity=100.0, load=list(load.values()))  # fmt: skip


# ----------------------------------------------------------------------------------------------- config and scenarios

CLAUSE = {"document": "zhongwei-2023-67", "clause": "四(三)1"}


def _lever(value: Any, unit: str, source: dict[str, Any]) -> dict[str, Any]:
    return {"2024-06-30": {"value": value, "unit": unit, "source": source}}


def _target(bound: str, value: float, unit: str, scope: str) -> dict[str, Any]:
    return {bound: value, "unit": unit, "by": "2024-12-31", "scope": scope, "source": CLAUSE}


ASSUMED = {"assumption": "No adherence has been published.", "range": [0.1, 0.6]}

BEFORE = {"name": "before", "title": "Before the plan", "title_zh": "方案实施前", "policy": {}, "targets": {}}

PLAN = {
    "name": "plan",
    "title": "The plan as written",
    "title_zh": "按方案实施",
    "question": "Are the targets met if residents begin at the grassroots?",
    "question_zh": "如果居民基层首诊，目标能否实现？",
    "policy": {
        "first_contact": {"adherence": _lever(0.3, "share of residents", ASSUMED)},
        "slot_quota": {"held_for_referral": _lever("1/3", "share of slots", CLAUSE)},
    },
    "targets": {
        "grassroots_visit_share": _target("at_least", 0.65, "share", "grid"),
        "average_length_of_stay": _target("at_most", 7.8, "days", "tertiary_public"),
        "outpatient_per_discharge": _target("at_most", 12, "visits per discharge", "tertiary_public"),
        "level4_operation_share": _target("at_least", 0.15, "share", "tertiary_public"),
        "case_mix_index": _target("at_least", 1, "relative weight", "tertiary_public"),
    },
}
"""Five targets."""


class Network(Closed):
    """A place with one assumption."""

    minutes_per_km: Figure


class Population(Closed):
    """Its residents."""

    residents: dict[str, Count]


@dataclass(frozen=True)
class SmallStudy:
    """As `sim.results.Results`, as far as the analysis reads it."""

    folder: Path
    config: SimpleNamespace
    scenarios: list[Scenario]
    tables: dict[str, pd.DataFrame]
    draws: pd.DataFrame
    facilities: pd.DataFrame = field(default_factory=lambda: FACILITIES)
    provenance: dict[str, Any] = field(default_factory=lambda: dict(PROVENANCE))

    @property
    def study(self) -> SimpleNamespace:
        """Titles and baseline."""
        return self.config.study

    @property
    def indicators(self) -> pd.DataFrame:
        """As measured."""
        return pd.read_parquet(self.folder / "indicators.parquet")

    @property
    def wards(self) -> pd.DataFrame:
        """As measured."""
        return pd.read_parquet(self.folder / "wards.parquet")

    @property
    def comparison(self) -> pd.DataFrame:
        """As compared."""
        return pd.read_csv(self.folder / "comparison.csv", keep_default_na=False, na_values=[""])


PROVENANCE = {
    "study": "small",
    "seed": 1,
    "code": "c0de",
    "git": None,
    "versions": {"numpy": "2"},
    "run": {"seconds": 1},
}


def small_study(folder: Path, replications: int = 6, last: date = date(2025, 12, 31), **plan: Any) -> SmallStudy:
    """The whole study; keywords change the plan."""
    scenarios = [Scenario.model_validate(data) for data in (BEFORE, PLAN | plan)]
    return SmallStudy(folder, config(replications, last), scenarios, tables(replications), draws(replications))


def config(replications: int, last: date) -> SimpleNamespace:
    """The validated config, as far as the analysis reads it."""
    roads = Source(assumption="Rural roads.", range=[1.0, 4.0])
    people = Count(value=RESIDENTS, unit="residents", source=Source(data="census-2020", table="1"))
    study = SimpleNamespace(
        name="small", title="A small town", title_zh="小城", question="What does the plan change?",
        question_zh="方案会带来什么变化？", baseline="before", scenarios=list(SCENARIOS),
    )  # fmt: skip
    facts = dict.fromkeys(("timetable", "demand", "choice", "referral", "care", "money"))
    return SimpleNamespace(
        study=study,
        network=Network(minutes_per_km=Figure(value=2.0, unit="minutes per km", source=roads)),
        population=Population(residents={"a": people}),
        horizon=SimpleNamespace(warmup_from=date(2023, 1, 1), from_=date(2024, 1, 1), to=last),
        report=ReportSpec.model_validate(read_yaml(ROOT / "configs/report/standard.yaml")[0]),
        seed=1,
        replications=replications,
        uncertainty="assumptions",
        nested=1,
        **facts,
    )


def tables(replications: int) -> dict[str, pd.DataFrame]:
    """All tables of the study."""
    parts: dict[str, list[pd.DataFrame]] = {}
    for scenario in SCENARIOS:
        for replication in range(replications):
            for name, table in replication_tables(scenario, replication).items():
                run = pd.DataFrame({"scenario": scenario, "replication": replication}, index=table.index)
                parts.setdefault(name, []).append(run.join(table))
    return {name: pd.concat(tables, ignore_index=True) for name, tables in parts.items()}


def draws(replications: int) -> pd.DataFrame:
    """What each replication drew."""
    path, since = "policy.first_contact.adherence", "2024-06-30"
    rows = [("plan", r, path, since, adherence(r)) for r in range(replications)]
    return pd.DataFrame(rows, columns=["scenario", "replication", "path", "since", "value"])
