"""What happened: counts by date, month and place, and rows where every visit is wanted.

`record=days` keeps counts, sums and whole-number histograms, so memory does not grow with the number of visits;
`record=visits` adds the rows. Both come from the same columns at the same moment; indicators are measured afterwards.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from sim.contacts import CLASSES, OTHER, WAYS_IN
from sim.kernels import kernel, table
from sim.network import LAYERS, STANDARD_LEVELS, Level, Network, ward_name
from sim.population import SCHEMES
from sim.timetable import DAY, Timetable, day_at

ENTRIES = ("emergency", "referred_contracted", "referred", "other", "step_down")
"""How a patient comes to a bed."""
PAYERS = ("visitor", *SCHEMES)
"""Who pays with the patient: for residents the fund of their scheme; nobody of the area for a visitor."""
SERVICES = ("visit", "emergency", "internet", "joint", "unreferred", "stay")
"""What is paid for; `joint`: a visit to a joint clinic; `unreferred`: a visit to a hospital for which less is paid."""
PAID_VISIT, PAID_EMERGENCY, PAID_INTERNET, PAID_JOINT, PAID_UNREFERRED, PAID_STAY = range(6)
UNBILLED_DAYS = 64
"""Days for which visits are kept apart until they are billed, at the end of each month at the latest."""
KINDS = ("outpatient", "emergency", "return", "internet")
OUTPATIENT, EMERGENCY_VISIT, RETURN, INTERNET = range(4)
PLACES = ("theatre", "day_centre")
"""What has places in sessions, beside clinics and exam rooms."""
THEATRE, DAY_CENTRE = 0, 1
MOST_MINUTES, MOST_DAYS, MOST_NIGHTS, MOST_HOURS = 240, 60, 120, 336
"""Last bin of each histogram: that much or more."""
CAUSES = ("step_down", "ward", "theatre", "exam", "discharge_hours")
"""What somebody waits for in a bed that another patient could have: a bed below; a bed in the ordinary ward after
intensive care; a late operation; a late exam; the hours at which patients go home."""
NO_BED_BELOW, NO_ORDINARY_BED, LATE_OPERATION, LATE_EXAM, HOURS_OF_DISCHARGE = range(5)
CHANNELS = ("formal", "self")
FORMAL_CHANNEL, SELF_CHANNEL = 0, 1
STATUSES = ("completed", "declined", "lapsed")
COMPLETED, DECLINED, LAPSED = range(3)
LEVEL_4 = 4
"""The highest level of operation."""
DIRECTIONS = ("up", "down")
UP, DOWN = 0, 1

VISIT_ROW = np.dtype(
    [
        ("world", "i8"), ("episode", "u8"), ("person", "i4"), ("condition", "u1"), ("facility", "i8"), ("point", "i4"),
        ("kind", "i8"), ("cls", "i8"), ("entry", "i8"), ("time", "f8"), ("begin", "f8"), ("end", "f8"), ("left", "?"),
    ]
)  # fmt: skip
"""A visit that is over; `begin`: not a number for those who left without being seen."""

REFERRAL_ROW = np.dtype(
    [
        ("world", "i8"), ("episode", "u8"), ("person", "i4"), ("condition", "u1"), ("time", "f8"), ("direction", "i8"),
        ("channel", "i8"), ("from_facility", "i8"), ("to_facility", "i8"), ("status", "i8"),
    ]
)  # fmt: skip
"""A step of a referral upwards."""

VISITS_A_WINDOW, STEPS_A_WINDOW = LAYERS, 3 * LAYERS + 1
"""Rows that one patient can add in one window: a visit on each layer, which can end a referral, begin the next and see
it refused or going by itself; and one referral that lapses when appointments are settled."""

LEG = np.dtype(
    [
        ("world", "i8"),
        ("key", "u8"),  # the episode
        ("person", "i8"),
        ("condition", "i8"),
        ("ward", "i8"),  # the number of wards: a hospital outside the area
        ("entry", "i8"),
        ("came_from", "i8"),  # ward from which the patient stepped down, -1 = none
        ("requested", "f8"),  # times in minutes
        ("admitted", "f8"),
        ("discharged", "f8"),
        ("first_admitted", "f8"),  # admission of the first leg of the stay
        ("to_step_down", "?"),
        ("operation", "i8"),  # highest level, 0 = none; of the first leg
        ("weight", "i8"),  # of the case, thousandths
        ("day_case", "?"),  # at a day centre, without a bed of the ward
        ("need", "i8"),  # level of care needed
    ],
    align=True,
)
"""One stretch of a stay at one ward, as it is written down when it ends."""

Legs = NDArray[Any]
"""Structured array with dtype LEG, shape (legs,)."""


def join_legs(parts: Sequence[Legs]) -> Legs:
    """All legs of all parts, in order; moved as words, which is many times faster."""
    return np.concatenate([part.view(np.uint64) for part in parts]).view(LEG)


READMITTED_WITHIN = 30 * DAY
"""Minutes after a discharge home in which an admission counts as a readmission (R11)."""

ADMISSION = np.dtype([("world", "i8"), ("person", "i8"), ("time", "f8")])
"""A resident is admitted to a first bed."""

LAST_HOME = np.dtype([("time", "f8"), ("ward", "i4")])
"""A resident's last discharge home that no admission has followed yet: its minute, and its ward plus 1; 0 = none."""


class Tally:
    """A table of whole numbers with named dimensions: counted in one stroke, read as a tidy frame."""

    whole: type[np.signedinteger[Any]] = np.int64

    def __init__(self, measures: Sequence[str], **dimensions: int) -> None:
        self.dimensions = dict(dimensions)
        self.shape = tuple(dimensions.values())
        size = int(np.prod(self.shape))
        self.rows = np.zeros(size, dtype=[(m, self.whole) for m in measures])
        self.counts = {m: self.rows[m] for m in measures}
        self.past: Tally | None = None
        """What was counted before, to which these counts come on top."""

    def index(self, *coordinates: Any) -> NDArray[np.int64]:
        """Flat index of each event; a coordinate is an array or a number."""
        flat = np.asarray(coordinates[0], dtype=np.int64)
        for size, c in zip(self.shape[1:], coordinates[1:], strict=True):
            flat = flat * size + c
        return np.atleast_1d(flat)

    @property
    def table(self) -> NDArray[Any]:
        """Rows of all measures by dimension, for kernels that count one by one."""
        return self.rows.reshape(self.shape)

    def add(self, index: NDArray[np.int64], **amounts: Any) -> None:
        """Add amounts (arrays or numbers) at the index of each event."""
        for measure, amount in amounts.items():
            if isinstance(amount, np.ndarray):
                some = np.flatnonzero(amount)
                if len(some):
                    # whole numbers of one type: the fast path
                    np.add.at(self.counts[measure], index[some], amount[some].astype(self.whole))
            elif amount:
                np.add.at(self.counts[measure], index, amount)

    def of_world(self, world: int, names: dict[str, Any]) -> pd.DataFrame:
        """Non-empty rows of one replication (the first dimension); `names`: labels of a dimension's numbers."""
        part = self._part(world)
        filled = np.flatnonzero(np.any(np.array(list(part.values())) != 0, axis=0))
        coordinates = np.unravel_index(filled, self.shape[1:])
        columns: dict[str, Any] = {}
        for name, numbers in zip(list(self.dimensions)[1:], coordinates, strict=True):
            columns[name] = np.asarray(names[name])[numbers] if name in names else numbers
        return pd.DataFrame(columns | {m: c[filled].astype(np.int64) for m, c in part.items()})

    def total(self, world: int, measure: str) -> NDArray[Any]:
        """One measure of one replication by the other dimensions, with that of the past."""
        here = self.table[world][measure]
        return here if self.past is None else here + self.past.total(world, measure)

    def _part(self, world: int) -> dict[str, NDArray[Any]]:
        """The counts of one replication, with those of the past."""
        per_world = int(np.prod(self.shape[1:]))
        here = {m: c[world * per_world : (world + 1) * per_world] for m, c in self.counts.items()}
        if self.past is None:
            return here
        before = self.past._part(world)
        return {m: c + before[m] for m, c in here.items()}


class Histogram(Tally):
    """A tally of many cells with few in each: half as large."""

    whole = np.int32


class Told(NamedTuple):
    """Rows of one window, with room for them where they are wanted."""

    visits: NDArray[Any]
    """Rows of VISIT_ROW."""
    referrals: NDArray[Any]
    """Rows of REFERRAL_ROW."""
    number: NDArray[np.int64]
    """How many there are of each, (2,)."""


class Counts(NamedTuple):
    """The tables of the way of a patient, as kernels fill them; dimensions and measures as in `Ledger`."""

    month: NDArray[np.int64]
    """Month of each day of the run."""
    level: NDArray[np.int64]
    """Level of each facility."""
    payer: NDArray[np.int64]
    """Account that pays for each resident; the last: for non-residents."""
    told: Told
    daily: NDArray[Any]
    visits: NDArray[Any]
    minutes: NDArray[Any]
    bookings: NDArray[Any]
    booking_days: NDArray[Any]
    slots: NDArray[Any]
    imaging: NDArray[Any]
    imaging_days: NDArray[Any]
    needs: NDArray[Any]
    exams: NDArray[Any]
    helped: NDArray[Any]
    referrals: NDArray[Any]
    unbilled: NDArray[Any]
    featured: NDArray[Any]


@kernel
def day_of(counts: Counts, minute: float) -> int:
    """Day of the run, within the horizon."""
    return min(max(day_at(minute), 0), counts.daily.shape[1] - 1)


@kernel
def month_of(counts: Counts, minute: float) -> int:
    """Month of the run, within the horizon."""
    return counts.month[day_of(counts, minute)]


@kernel
def write_visit(
    counts: Counts, who: Any, minute: float, facility: int, columns: Any, kind: int, wait: float, left: bool
) -> None:
    """A visit that is over: those seen count as visits; those who left waiting do not.

    `columns`: the facility's row of facility_class and minutes_row.
    """
    world, resident, cls = int(who["world"]), int(who["person"] >= 0), int(who["cls"])
    day = day_of(counts, minute)
    month = counts.month[day]
    here = counts.visits[world, month, facility, resident, kind, cls]
    if left:
        here["left"] += 1
        return
    whole = int(np.rint(wait))
    here["visits"] += 1
    here["wait_minutes"] += whole
    counts.daily[world, day, columns["facility_class"], resident, kind]["visits"] += 1
    row = columns["minutes_row"]
    if row >= 0 and kind not in (RETURN, INTERNET):
        counts.minutes[world, month, row, kind, cls, min(whole, MOST_MINUTES)]["patients"] += 1


@kernel
def charge_visit(counts: Counts, who: Any, minute: float, facility: int, service: int) -> None:
    """A visit that has to be paid for, by day until it is billed; one that brings results back is part of its first."""
    day = day_of(counts, minute) % UNBILLED_DAYS
    counts.unbilled[int(who["world"]), day, facility, service, counts.payer[int(who["person"])]]["visits"] += 1


@kernel
def tell_visit(counts: Counts, who: Any, point: Any, kind: int, place: float, begin: float, end: float) -> None:
    """The row of a visit that is over, where rows are wanted; `point`: its row; `place`: in line."""
    told, points = counts.told, counts.slots.shape[-1]
    if not len(told.visits):
        return
    row = told.visits[told.number[0]]
    told.number[0] += 1
    row["world"], row["episode"], row["person"] = who["world"], who["key"], who["person"]
    row["condition"], row["cls"], row["entry"] = who["condition"], who["cls"], who["entry"]
    row["facility"], row["point"], row["kind"] = point["facility"], int(who["point"]) % points, kind
    row["time"], row["begin"], row["end"], row["left"] = place, begin, end, np.isnan(begin)


@kernel
def tell_referral(counts: Counts, who: Any, to: int, channel: int, status: int) -> None:
    """A step of a referral from the contact's origin, counted, and its row where rows are wanted."""
    world, origin, told = int(who["world"]), int(who["origin"]), counts.told
    level, month = counts.level[origin], month_of(counts, who["time"])
    counts.referrals[world, month, UP, channel, level, to, status]["referrals"] += 1
    if not len(told.referrals):
        return
    row = told.referrals[told.number[1]]
    told.number[1] += 1
    row["world"], row["episode"], row["person"] = world, who["key"], who["person"]
    row["condition"], row["time"] = who["condition"], who["time"]
    row["direction"], row["channel"], row["status"] = UP, channel, status
    row["from_facility"], row["to_facility"] = origin, to


@kernel
def count_readmissions(counts: Any, month: Any, last: Any, moves: Any, wards: Any, until: float) -> None:
    """Discharges home and admissions, in order of time: an admission may follow the person's last discharge.

    `counts`: the table of readmissions; `month`: of each day; `last`: rows of LAST_HOME; `moves`: rows of ADMISSION;
    `wards`: those that are left, -1 = an admission; `until`: later discharges cannot be observed long enough.
    """
    for i in range(len(moves)):
        move, ward = moves[i], wards[i]
        world, home = int(move["world"]), last[int(move["world"]), int(move["person"])]
        if ward < 0 and home["ward"] > 0 and move["time"] <= home["time"] + READMITTED_WITHIN:
            counts[world, month[day_at(home["time"])], home["ward"] - 1]["readmitted"] += 1
        home["ward"] = 0
        if ward >= 0 and move["time"] <= until:
            home["time"], home["ward"] = move["time"], ward + 1
            counts[world, month[day_at(move["time"])], ward]["discharges"] += 1


class Inpatients(NamedTuple):
    """The tables of stays, as kernels fill them; dimensions and measures as in `Ledger`."""

    month: NDArray[np.int64]
    """Month of each day of the run."""
    level: NDArray[np.int64]
    """Level of each facility."""
    wards: NDArray[Any]
    """Rows of facility, beds_row; the last is a hospital outside."""
    stays: NDArray[Any]
    nights: NDArray[Any]
    bed_days: NDArray[Any]
    down_hours: NDArray[Any]
    referrals: NDArray[Any]
    beds: NDArray[Any]


@kernel
def _month_in(month: Any, minute: float) -> int:
    """Month of the run, within the horizon."""
    return month[min(max(day_at(minute), 0), len(month) - 1)]


@kernel
def _nights_between(start: float, end: float) -> int:
    """Calendar nights between two minutes, at least 1."""
    return max(day_at(end) - day_at(start), 1)


@kernel
def count_legs(tables: Inpatients, legs: Any) -> None:
    """Legs that have ended, dated by discharge; waits for the bed by admission."""
    for i in range(len(legs)):
        leg = legs[i]
        world, ward, entry, day_case = int(leg["world"]), int(leg["ward"]), int(leg["entry"]), leg["day_case"]
        nights = _nights_between(leg["admitted"], leg["discharged"])
        month, there = _month_in(tables.month, leg["discharged"]), tables.wards[ward]
        _count_stay(tables.stays[world, month, ward, int(leg["person"] >= 0), entry], leg, nights)
        tables.nights[world, month, there["beds_row"], min(nights, MOST_NIGHTS)]["discharges"] += 1
        days = min(day_at(leg["admitted"] - leg["requested"]), MOST_DAYS)
        month = _month_in(tables.month, leg["admitted"])
        tables.bed_days[world, month, ward, entry, days]["patients"] += int(not day_case)
        if leg["came_from"] >= 0:
            _count_step_down(tables, leg, world, month, there["facility"])


@kernel
def count_request(tables: Inpatients, world: int, minute: float, ward: int) -> None:
    """A patient asked for a bed; who is sent on because a ward has closed does not ask again."""
    tables.beds[world, _month_in(tables.month, minute), ward]["requests"] += 1


@kernel
def _count_stay(here: Any, leg: Any, nights: int) -> None:
    """`here`: the row of the table of stays."""
    here["discharges"] += 1
    here["nights"] += nights
    here["minutes"] += int(np.rint(leg["discharged"] - leg["admitted"]))
    if leg["to_step_down"]:
        here["stepped_down"] += 1
    else:
        here["episodes"] += 1
        here["episode_nights"] += _nights_between(leg["first_admitted"], leg["discharged"])
    here["operated"] += int(leg["operation"] > 0)
    here["level4"] += int(leg["operation"] == LEVEL_4)
    here["weight_thousandths"] += leg["weight"]
    here["day_cases"] += int(leg["day_case"])


@kernel
def _count_step_down(tables: Inpatients, leg: Any, world: int, month: int, facility: int) -> None:
    """A step down completes a formal referral downwards; its wait was at the ward where the patient was kept."""
    came_from = int(leg["came_from"])
    waited = leg["admitted"] - leg["requested"]
    here = tables.down_hours[world, month, came_from, min(int(waited // 60), MOST_HOURS)]
    here["patients"] += 1
    here["waited_minutes"] += int(np.rint(waited))
    level = tables.level[tables.wards[came_from]["facility"]]
    tables.referrals[world, month, DOWN, FORMAL_CHANNEL, level, facility, COMPLETED]["referrals"] += 1


@kernel
def paid_without_referral(worlds: Any, who: Any) -> int:
    """What a visit to a hospital is paid as: where less is paid without a referral, those without one are apart.

    `worlds`: rows with without_referral, the share of the fee that is paid less.
    """
    less = worlds[int(who["world"])]["without_referral"]
    return PAID_UNREFERRED if less > 0.0 and who["cls"] == OTHER else PAID_VISIT


class Ledger:
    """All counts of all replications of a batch."""

    def __init__(
        self, network: Network, timetable: Timetable, worlds: int, conditions: list[str], keep_rows: bool,
        payer: NDArray[np.int64],
    ) -> None:  # fmt: skip
        """`payer`: account of each resident and, the last, of non-residents (population.accounts)."""
        self.network, self.timetable, self.worlds, self.conditions = network, timetable, worlds, conditions
        self.payer = payer
        self.ward_facility = np.array([*(x.facility for x in network.wards), network.outside])
        w, f, m = worlds, network.outside + 1, timetable.months
        classes = len(Level) * (len(network.groups) + 1)
        self.daily = Tally(
            ["visits"], world=w, date=timetable.days, facility_class=classes, resident=2, kind=len(KINDS)
        )
        visits = ["visits", "wait_minutes", "left", "turned_away"]
        self.visits = Tally(visits, world=w, month=m, facility=f, resident=2, kind=len(KINDS), cls=3)
        self.minutes = Histogram(
            ["patients"], world=w, month=m, facility=self._sizeable(), kind=2, cls=3, minutes=MOST_MINUTES + 1
        )
        bookings = ["requests", "booked_open", "booked_held", "refused", "no_shows", "walk_in", "extra"]
        self.bookings = Tally(bookings, world=w, month=m, facility=f, cls=3)
        self.booking_days = Histogram(["patients"], world=w, month=m, facility=f, cls=3, days=MOST_DAYS + 1)
        slots = ["offered", "held", "used_held", "released", "used_open"]
        self.slots = Tally(slots, world=w, month=m, point=len(network.points))
        imaging = ["requests", "booked_open", "booked_held", "refused", "no_shows", "made", "inpatient"]
        room = max(len(network.imaging_point), 1)
        self.imaging = Tally(imaging, world=w, month=m, room=room, cls=3)
        self.imaging_days = Histogram(["patients"], world=w, month=m, room=room, cls=3, days=MOST_DAYS + 1)
        needs = ["needs", "unmet", "spared", "follow_ups", "called_back", "missed", "exacerbations", "readmissions"]
        needs += ["admitted_more", "admitted_less"]
        self.needs = Tally(needs, world=w, month=m, condition=len(conditions), resident=2)
        exams = ["made", "repeated", "recognised", "trusted", "read_remotely"]
        self.exams = Tally(exams, world=w, month=m, facility=f)
        helped = ["remote", "specialist", "by_reading", "joint", "handed_down", "within_reach", "advised"]
        self.helped = Tally(helped, world=w, month=m, facility=f)
        stays = ["discharges", "nights", "minutes", "stepped_down", "episodes", "episode_nights"]
        stays += ["operated", "level4", "weight_thousandths", "day_cases"]
        self.stays = Tally(stays, world=w, month=m, ward=len(network.wards) + 1, resident=2, entry=5)
        inpatient = self._with_beds()
        self.nights = Histogram(["discharges"], world=w, month=m, facility=inpatient, nights=MOST_NIGHTS + 1)
        beds = ["bed_days", "occupied_days", "held_days", "used_held_days", "used_held", "borrowed", "released"]
        beds += ["moved_on", "blocked_minutes", "requests"]
        self.beds = Tally(beds, world=w, month=m, ward=len(network.wards))
        self.blocked = Tally(["minutes"], world=w, month=m, ward=len(network.wards), cause=len(CAUSES))
        days = MOST_DAYS + 1
        at = {"world": w, "month": m, "facility": self._with_sessions(), "place": len(PLACES)}
        self.theatres = Tally(["offered", "used"], **at)
        self.theatre_days = Histogram(["patients"], **at, days=days)
        self.readmissions = Tally(["discharges", "readmitted"], world=w, month=m, ward=len(network.wards))
        self.feature = np.full((w, f), -1)
        """The feature department that each facility now has, -1 = none."""
        self.centres = np.flatnonzero(network.is_grouped_centre)
        """Centres and sub-centres of groups."""
        featured = ["visits", "feature_visits", "discharges", "feature_discharges"]
        featured += ["weight_thousandths", "feature_weight_thousandths"]
        self.featured = Tally(featured, world=w, month=m, facility=f)
        standards = ["days", *STANDARD_LEVELS[1:], "feature_department"]
        self.capability = Tally(standards, world=w, month=m, facility=max(len(self.centres), 1))
        every_ward = len(network.wards) + 1
        self.bed_days = Histogram(["patients", "left"], world=w, month=m, ward=every_ward, entry=5, days=days)
        self.down_hours = Histogram(
            ["patients", "waited_minutes"], world=w, month=m, ward=max(every_ward - 1, 1), hours=MOST_HOURS + 1
        )
        self.referrals = Tally(
            ["referrals"], world=w, month=m, direction=2, channel=2, from_level=len(Level), to_facility=f, status=3
        )
        self.backlog = Tally(["waiting"], world=w, month=m, facility=f, resource=4)
        accounts = accounts_of(network)
        paid = {"facility": f, "service": len(SERVICES), "payer": accounts}
        self.unbilled = Histogram(["visits"], world=w, day=UNBILLED_DAYS, **paid | {"service": PAID_STAY})
        bill = ["cases", "cost", "fund", "own", "deductible", "top_up", "points", "pooled"]
        self.money = Tally(bill, world=w, month=m, **paid)
        self.debits = Tally(["spent"], world=w, month=m, grid=max(len(network.groups), 1), where=3)
        self.public_health = Tally(["minutes"], world=w, month=m, point=len(network.points))
        self.posts = Tally(["came", "went"], world=w, month=m, point=len(network.points))
        tables: dict[str, list[dict[str, NDArray[Any]]]] = {"visits": [], "stays": [], "referrals": []}
        self.rows = tables if keep_rows else None

    def continued(self) -> Ledger:
        """An empty ledger on top of this one, whose counts and rows it takes for its past; they must not change then.

        The past takes no room twice, and the new one only where something is counted.
        """
        new = Ledger(self.network, self.timetable, self.worlds, self.conditions, self.rows is not None, self.payer)
        for name, tally in vars(new).items():
            if isinstance(tally, Tally):
                tally.past = getattr(self, name)
        new.unbilled.past = None  # the bills are still to be written, by both
        new.unbilled.rows[:] = self.unbilled.rows
        new.feature = self.feature
        if self.rows is not None:
            new.rows = {table: list(parts) for table, parts in self.rows.items()}
        return new

    def _sizeable(self) -> int:
        """Facilities whose waiting rooms get a histogram: centres and hospitals (stations and clinics do without)."""
        level = self.network.level[:-1]
        self.with_minutes = np.flatnonzero(level >= Level.centre)
        self.minutes_row = np.full(len(level) + 1, -1, dtype=np.int64)
        self.minutes_row[self.with_minutes] = np.arange(len(self.with_minutes))
        return max(len(self.with_minutes), 1)

    def _with_beds(self) -> int:
        """Facilities whose stays get a histogram: those that have wards, and the world outside."""
        self.with_beds = np.unique(self.ward_facility)
        self.beds_row = np.full(self.network.outside + 1, -1, dtype=np.int64)
        self.beds_row[self.with_beds] = np.arange(len(self.with_beds))
        return len(self.with_beds)

    def _with_sessions(self) -> int:
        """Facilities that have theatres or a day centre."""
        some = [f.spec.theatres is not None or f.spec.day_centre is not None for f in self.network.facilities]
        self.with_sessions = np.flatnonzero(some)
        return max(len(self.with_sessions), 1)

    def day(self, minute: NDArray[np.float64]) -> NDArray[np.int64]:
        """Day of the run, within the horizon."""
        return np.clip(minute // DAY, 0, self.timetable.days - 1).astype(np.int64)

    def month(self, minute: NDArray[np.float64]) -> NDArray[np.int64]:
        """Month of the run, within the horizon."""
        return self.timetable.month[self.day(minute)]

    def by_visit(self, contacts: int) -> Counts:
        """The tables that kernels fill, with room for the rows of so many contacts."""
        room = contacts if self.rows is not None else 0
        visits = np.empty(VISITS_A_WINDOW * room, dtype=VISIT_ROW)
        told = Told(visits, np.empty(STEPS_A_WINDOW * room, dtype=REFERRAL_ROW), np.zeros(2, dtype=np.int64))
        tallies = (
            self.daily, self.visits, self.minutes, self.bookings, self.booking_days, self.slots, self.imaging,
            self.imaging_days, self.needs, self.exams, self.helped, self.referrals, self.unbilled, self.featured,
        )  # fmt: skip
        tables = (t.table for t in tallies)
        return Counts(self.timetable.month, self.network.level, self.payer, told, *tables)

    @property
    def facility_class(self) -> NDArray[np.int64]:
        """Level and group of each facility as one number."""
        return np.asarray(self.network.level * (len(self.network.groups) + 1) + self.network.group + 1)

    def keep_told(self, told: Told) -> None:
        """Keep the rows of a window."""
        for what, rows, number in zip(("visits", "referrals"), told, told.number.tolist(), strict=False):
            if number:
                self.keep(what, **{name: rows[name][:number].copy() for name in rows.dtype.names or ()})
        told.number[:] = 0

    @cached_property
    def inpatients(self) -> Inpatients:
        """The tables of stays, as kernels fill them."""
        wards = table(facility=self.ward_facility, beds_row=self.beds_row[self.ward_facility])
        tallies = self.stays, self.nights, self.bed_days, self.down_hours, self.referrals, self.beds
        return Inpatients(self.timetable.month, self.network.level, wards, *(tally.table for tally in tallies))

    def add_stays(self, legs: Legs) -> None:
        """Ended legs of stays, dated by discharge."""
        count_legs(self.inpatients, legs)
        if (self.feature >= 0).any():
            self._add_featured(legs)
        if self.rows is None:
            return
        nights, facility = _nights(legs["admitted"], legs["discharged"]), self.ward_facility[legs["ward"]]
        dates = {name: legs[name] for name in ("requested", "admitted", "discharged", "first_admitted")}
        self.keep(
            "stays", world=legs["world"], episode=legs["key"], person=legs["person"], condition=legs["condition"],
            facility=facility, ward=legs["ward"], entry=legs["entry"], **dates, nights=nights,
            to_step_down=legs["to_step_down"], operation_level=legs["operation"],
            case_weight=legs["weight"] / 1000.0, day_case=legs["day_case"],
        )  # fmt: skip

    def _add_featured(self, legs: Legs) -> None:
        """Discharges of institutions with a feature department, those with its conditions, and the case weights of
        both."""
        world, facility = legs["world"], self.ward_facility[legs["ward"]]
        feature = self.feature[world, facility]
        of_it = feature == self.network.condition_department[legs["condition"]]
        at = self.featured.index(world, self.month(legs["discharged"]), facility)
        weight = legs["weight"] * (feature >= 0)
        self.featured.add(
            at, discharges=feature >= 0, feature_discharges=of_it, weight_thousandths=weight,
            feature_weight_thousandths=weight * of_it,
        )  # fmt: skip

    def add_capability(self, month: int, standards: NDArray[np.int64], feature: NDArray[np.int64]) -> None:
        """A day on which centres had reached some standards, numbers of STANDARD_LEVELS, and had a feature department
        or none (-1); (W, F + 1) each."""
        if not len(self.centres):
            return
        today, reached = self.capability.table[:, month], standards[:, self.centres]
        today["days"] += 1
        for number, name in enumerate(STANDARD_LEVELS[1:], 1):
            today[name] += reached >= number
        today["feature_department"] += feature[:, self.centres] >= 0

    def add_sessions(self, world: int, month: int, facility: int, place: int, offered: int, days: list[int]) -> None:
        """Sessions of a month in theatres or a day centre: places offered, and days that those waited who took one."""
        row = int(np.searchsorted(self.with_sessions, facility))
        self.theatres.add(self.theatres.index(world, month, row, place), offered=offered, used=len(days))
        waited = np.minimum(np.array(days, dtype=np.int64), MOST_DAYS)
        self.theatre_days.add(self.theatre_days.index(world, month, row, place, waited), patients=1)

    def add_readmissions(self, last: NDArray[Any], legs: Legs, admissions: NDArray[Any]) -> None:
        """Residents' discharges home from the area's wards and their admissions there since this was last called.

        `last`: rows of LAST_HOME, (W, residents), which are kept up; `admissions`: rows of ADMISSION.
        """
        left = legs[~legs["to_step_down"] & (legs["person"] >= 0) & (legs["ward"] < len(self.network.wards))]
        moves = np.empty(len(left) + len(admissions), dtype=ADMISSION)
        for name, of_leg in (("world", "world"), ("person", "person"), ("time", "discharged")):
            moves[name] = np.append(left[of_leg], admissions[name])
        wards = np.append(left["ward"], np.full(len(admissions), -1))
        turn = np.argsort(moves["time"], kind="stable")  # at one instant who leaves goes before who comes
        until = self.timetable.horizon - READMITTED_WITHIN
        count_readmissions(self.readmissions.table, self.timetable.month, last, moves[turn], wards[turn], until)

    def add_leaver(self, world: int, minute: float, ward: int, entry: int) -> None:
        """A patient left the waiting list for a bed of a ward."""
        self.bed_days.add(self.bed_days.index(world, self.month(np.array([minute])), ward, entry, 0), left=1)

    def add_unmet(self, world: int, minute: float, condition: int, resident: bool) -> None:
        """A need for a bed that nobody meets."""
        month = self.month(np.array([minute]))
        self.needs.add(self.needs.index(world, month, condition, int(resident)), unmet=1)

    def keep(self, table: str, **columns: Any) -> None:
        """Keep rows, where rows are wanted."""
        if self.rows is not None:
            self.rows[table].append({k: np.asarray(v) for k, v in columns.items()})

    def tables(self, world: int) -> dict[str, pd.DataFrame]:
        """All tables of one replication, tidy and sorted."""
        net = self.network
        month = self.timetable.month_starts.astype("datetime64[s]")
        ids = np.array([*(f.id for f in net.facilities), "outside"])
        names = {
            "date": self.timetable.dates.astype("datetime64[s]"), "month": month, "facility": ids, "to_facility": ids,
            "resident": np.array([False, True]), "kind": np.array(KINDS), "cls": np.array(CLASSES),
            "condition": np.array(self.conditions), "entry": np.array(ENTRIES), "direction": np.array(DIRECTIONS),
            "channel": np.array(CHANNELS), "from_level": np.array([x.name for x in Level]),
            "status": np.array(STATUSES), "resource": np.array(["appointment", "bed", "imaging", "theatre"]),
            "cause": np.array(CAUSES),
            "place": np.array(PLACES),
        }  # fmt: skip
        inpatient = {"facility": ids[self.with_beds]}
        with_sessions = {"facility": ids[self.with_sessions] if len(self.with_sessions) else np.array([""])}
        centres = {"facility": ids[self.centres] if len(self.centres) else np.array([""])}
        minutes_ids = ids[self.with_minutes] if len(self.with_minutes) else np.array([""])
        out = {
            "visits_daily": self._by_level(self.daily.of_world(world, names)),
            "visits_monthly": self.placed(self.visits.of_world(world, names)),
            "waits_minutes": self.minutes.of_world(world, names | {"facility": minutes_ids}),
            "bookings_monthly": self.bookings.of_world(world, names),
            "waits_days": self.booking_days.of_world(world, names),
            "slots_monthly": self._by_point(self.slots.of_world(world, names)),
            "imaging_monthly": self._by_room(self.imaging.of_world(world, names)),
            "imaging_days": self._by_room(self.imaging_days.of_world(world, names)),
            "needs_monthly": self.needs.of_world(world, names),
            "exams_monthly": self.placed(self.exams.of_world(world, names)),
            "helped_monthly": self.placed(self.helped.of_world(world, names)),
            "stays_monthly": self._by_ward(self.stays.of_world(world, names)),
            "stays_nights": self.nights.of_world(world, names | inpatient),
            "beds_monthly": self._by_ward(self.beds.of_world(world, names)),
            "blocked_monthly": self._by_ward(self.blocked.of_world(world, names)),
            "theatres_monthly": self.theatres.of_world(world, names | with_sessions),
            "theatre_days": self.theatre_days.of_world(world, names | with_sessions),
            "readmissions_monthly": self._by_ward(self.readmissions.of_world(world, names)),
            "waits_bed": self._by_ward(self.bed_days.of_world(world, names)).rename(columns={"entry": "cls"}),
            "waits_step_down": self._by_ward(self.down_hours.of_world(world, names)),
            "referrals_monthly": self.referrals.of_world(world, names),
            "backlog": self.backlog.of_world(world, names),
            "capability_monthly": self.capability.of_world(world, names | centres),
            "features_monthly": self.featured.of_world(world, names),
            "public_health_monthly": self.placed(self._by_point(self.public_health.of_world(world, names))),
            "posts_monthly": self.placed(self._by_point(self.posts.of_world(world, names))),
        }
        return out | self._kept(world, names)

    def _by_level(self, frame: pd.DataFrame) -> pd.DataFrame:
        groups = len(self.network.groups) + 1
        number = frame.pop("facility_class").to_numpy()
        frame.insert(1, "level", np.array([x.name for x in Level])[number // groups])
        frame.insert(2, "group", np.array(["", *self.network.groups])[number % groups])
        return frame

    def placed(self, frame: pd.DataFrame) -> pd.DataFrame:
        """Add level and group of the facility."""
        net = self.network
        number = {f.id: i for i, f in enumerate(net.facilities)} | {"outside": net.outside}
        index = np.array([number[f] for f in frame["facility"]], dtype=np.int64)
        at = list(frame.columns).index("facility") + 1
        frame.insert(at, "level", np.array([x.name for x in Level])[net.level[index]])
        frame.insert(at + 1, "group", np.array(["", *net.groups])[net.group[index] + 1])
        return frame

    def _by_point(self, frame: pd.DataFrame) -> pd.DataFrame:
        points = self.network.points
        number = frame.pop("point").to_numpy()
        frame.insert(1, "facility", [self.network.facilities[points[p].facility].id for p in number])
        frame.insert(2, "department", [points[p].name for p in number])
        return frame

    def _by_room(self, frame: pd.DataFrame) -> pd.DataFrame:
        """Rooms with large equipment, by their facility."""
        rooms = [self.network.points[p] for p in self.network.imaging_point]
        number = frame.pop("room").to_numpy()
        frame.insert(1, "facility", [self.network.facilities[rooms[n].facility].id for n in number])
        frame.insert(2, "department", [rooms[n].department for n in number])
        return frame

    def _by_ward(self, frame: pd.DataFrame) -> pd.DataFrame:
        wards = self.network.wards
        number = frame.pop("ward").to_numpy()
        facility = np.array([*(self.network.facilities[w.facility].id for w in wards), "outside"])
        name = np.array([*map(ward_name, wards), "outside"])
        frame.insert(1, "facility", facility[number])  # texts also where there is no row
        frame.insert(2, "ward", name[number])
        for minutes, hours in (("minutes", "hours"), ("blocked_minutes", "blocked_hours")):
            if minutes in frame:
                frame[hours] = frame.pop(minutes) / 60.0
        return self.placed(frame)

    def _kept(self, world: int, names: dict[str, NDArray[Any]]) -> dict[str, pd.DataFrame]:
        if self.rows is None:
            return {}
        out = {}
        for what, parts in self.rows.items():
            columns = {name: np.concatenate([p[name] for p in parts]) for name in (parts[0] if parts else ())}
            here = columns.pop("world", np.empty(0)) == world
            frame = pd.DataFrame({name: column[here] for name, column in columns.items()})
            labels = names | {"entry": np.array(WAYS_IN)} if what == "visits" else names
            for column in (c for c in ("facility", "from_facility", "to_facility") if c in frame):
                frame[column] = np.append(names["facility"], "")[frame[column].to_numpy(dtype=np.int64)]
            for column in ("kind", "cls", "entry", "condition", "channel", "status", "direction"):
                if column in frame:
                    frame[column] = labels[column][frame[column].to_numpy(dtype=np.int64)]
            order = [c for c in ("time", "admitted", "episode") if c in frame]
            out[what] = frame.sort_values(order, kind="stable", ignore_index=True) if len(frame) else frame
        return out


def accounts_of(network: Network) -> int:
    """Accounts from which care is paid: that of visitors, and one for each grid and scheme."""
    return 1 + len(SCHEMES) * max(len(network.groups), 1)


def _nights(start: NDArray[np.float64], end: NDArray[np.float64]) -> NDArray[np.int64]:
    """Calendar nights between two minutes, at least 1."""
    return np.maximum((end // DAY - start // DAY).astype(np.int64), 1)
