"""The wards of a study side by side: one row for each ward, scenario, replication and year.

The same sums as those of the indicators, kept apart by ward instead of scope.
"""

from __future__ import annotations

import pandas as pd

from analysis.ledger import RUN, Frame, Ledger, in_each, ninetieth

WARD = ["facility", "ward"]

KEYS = [*RUN, *WARD]
"""What there is one row for."""

CLASSES = ("emergency", "referred_contracted", "referred", "other", "step_down")
"""Ways to a bed whose waits are told."""

CAUSES = ("step_down", "ward", "theatre", "exam", "discharge_hours")
"""What keeps a bed that another patient could have."""

COUNTS = ["bed_days", "occupied_days", "held_days", "used_held_days", "used_held", "borrowed", "released", "requests"]
COUNTS += ["moved_on"]


def wards(ledger: Ledger) -> Frame:
    """Every ward by run: beds, occupancy, discharges, nights, turnover, waits by class, who left, blocked bed-days.

    The ledger is one of years. The census of the last night of a run is not taken, so its days are one less.
    """
    beds = _by_ward(ledger, "beds_monthly", COUNTS)
    stays = _by_ward(ledger, "stays_monthly", ["discharges", "day_cases", "nights"])
    blocked = [f"blocked_days_{cause}" for cause in CAUSES]
    rows = beds.join([stays, _waits(ledger), _blocked(ledger)])
    rows = rows.fillna(dict.fromkeys(["discharges", "day_cases", "nights", "left", *blocked], 0)).reset_index()
    rows = rows.merge(ledger.runs, on="run")
    nights = rows["period"].map(lambda period: _nights(ledger, str(period)))
    out = rows["discharges"] - rows["day_cases"] + rows["moved_on"]
    some = rows["discharges"].where(rows["discharges"] > 0)
    figures = {
        "beds": rows["bed_days"] / nights,
        "occupancy": rows["occupied_days"] / rows["bed_days"].where(rows["bed_days"] > 0),
        "nights_per_discharge": rows["nights"] / some,
        "turnover": 365 * out / rows["bed_days"].where(rows["bed_days"] > 0),
    }
    waits = [f"wait_{cls}{late}" for cls in ("all", *CLASSES) for late in ("", "_p90")]
    told = [*figures, "discharges", "day_cases", *waits, "left", *blocked, *COUNTS]
    ordered = rows.assign(**figures).reindex(columns=[*KEYS, *told]).astype(dict.fromkeys(WARD, str))
    return ordered.sort_values(KEYS, ignore_index=True)


def _by_ward(ledger: Ledger, table: str, values: list[str]) -> Frame:
    return ledger.sums(table, values, WARD).set_index(["run", *WARD])


def _nights(ledger: Ledger, period: str) -> float:
    """Nights of a period whose census was taken; not known without the span."""
    if ledger.span is None:
        return float("nan")
    last = str(ledger.span.last)[: len(period)] == period
    return float(ledger.span.days(period) - last)


def _waits(ledger: Ledger) -> Frame:
    """Mean and P90 of the days to a bed by class, and who left while waiting."""
    rows = ledger.sums("waits_bed", ["patients", "left"], [*WARD, "cls", "days"])
    both = pd.concat([rows.astype({"cls": object}), rows.assign(cls=in_each(rows, "all"))], ignore_index=True)
    both["sum"] = both["days"] * both["patients"]
    sums = both.groupby(["run", *WARD, "cls"], observed=True)[["sum", "patients", "left"]].sum()
    mean = (sums["sum"] / sums["patients"].where(sums["patients"] > 0)).unstack("cls").add_prefix("wait_")
    scoped = both.assign(scope=both.groupby(WARD, observed=True).ngroup())
    late = ninetieth(scoped, scoped["cls"], "days", "patients").merge(
        scoped[["scope", *WARD]].drop_duplicates(), on="scope"
    )
    late = late.set_index(["run", *WARD, "variant"])["value"].unstack("variant").add_prefix("wait_").add_suffix("_p90")
    left = sums["left"].xs("all", level="cls")
    return mean.join([late, left.rename("left")])


def _blocked(ledger: Ledger) -> Frame:
    """Bed-days that were kept, by cause."""
    rows = ledger.sums("blocked_monthly", ["hours"], [*WARD, "cause"])
    days = (
        rows.assign(days=rows["hours"] / 24).set_index(["run", *WARD, "cause"])["days"].unstack("cause", fill_value=0)
    )
    return days.reindex(columns=list(CAUSES), fill_value=0.0).add_prefix("blocked_days_")
