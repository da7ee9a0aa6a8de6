"""Referrals up and down."""

from __future__ import annotations

import pandas as pd

from analysis.indicators.catalogue import STANDARD, Text, Variant, indicator, scoped
from analysis.ledger import GRASSROOTS, KEYS, Frame, Ledger, tally


def _channel_tallies(rows: Frame) -> list[Frame]:
    """Completed formal referrals; those declined and lapsed; patients who simply went; everybody who arrived."""
    formal, completed = rows["channel"].eq("formal"), rows["status"].eq("completed")
    lost = [tally(rows[formal & rows["status"].eq(status)], status, "referrals") for status in ("declined", "lapsed")]
    return [
        tally(rows[formal & completed], STANDARD, "referrals"),
        *lost,
        tally(rows[~formal], "self", "referrals"),
        tally(rows[completed], "all", "referrals"),
    ]


def _referrals(ledger: Ledger, direction: str) -> Frame:
    by = ["direction", "channel", "from_level", "to_facility", "status"]
    rows = ledger.sums("referrals_monthly", ["referrals"], by)
    return scoped(rows[rows["direction"].eq(direction)], "area", ledger)


def _rate(variant: str, top: Frame, bottom: Frame, number: str) -> Frame:
    """Referrals over some other count of the same run and period."""
    both = pd.concat([top[[*KEYS, "referrals"]], bottom[[*KEYS, number]]], ignore_index=True)
    return tally(both, variant, "referrals", number)


def _per_residents(rows: Frame, ledger: Ledger) -> Frame:
    """Completed formal referrals over residents and the measured part of the year."""
    of_all = scoped(ledger.per_residents(scoped(rows, "grid", ledger), ["referrals"]), "area", ledger)
    return tally(of_all, PER_RESIDENTS.id, "referrals", "resident_years")


PER_RESIDENTS = Variant(
    "per_1000_residents",
    Text("formal, per 1,000 residents and year", "正式渠道，每千居民·年"),
    Text("per 1,000 residents and year", "每千居民·年"),
    per=1000,
)
REFERRALS = Text("referrals", "人次")
CHANNELS = (
    Variant("declined", Text("declined by the hospital", "被接收医院拒绝"), kind="count"),
    Variant("lapsed", Text("lapsed: the patient did not come", "患者未到，转诊失效"), kind="count"),
    Variant("self", Text("patients who simply went", "患者自行前往"), kind="count"),
    Variant("all", Text("completed, any channel", "全部渠道完成"), kind="count"),
)


@indicator(
    name=Text("Up-referrals", "上转人次"),
    unit=REFERRALS,
    formula=Text("formal referrals to a higher level that were completed", "经正式渠道完成的上转人次"),
    source="zhongwei-2023-67 四(三)1; NHC press conference, March 2024",
    scope="area",
    scopes="area",
    kind="count",
    variants=(
        *CHANNELS,
        Variant("partner", Text("to partners outside the area", "转往域外合作医院"), kind="count"),
        Variant(
            "per_1000_grassroots_visits",
            Text("formal, per 1,000 grassroots visits", "正式渠道，每千基层诊疗人次"),
            Text("per 1,000 grassroots visits", "每千基层诊疗人次"),
            per=1000,
        ),
        Variant(
            "per_100_discharges",
            Text("formal, per 100 discharges in the area", "正式渠道，每百域内出院人次"),
            Text("per 100 discharges", "每百出院人次"),
            per=100,
        ),
        PER_RESIDENTS,
    ),
)
def referrals_up(ledger: Ledger) -> Frame:
    """Counts by channel, and the rate that the national figure of 0.3 % is about."""
    rows = _referrals(ledger, "up")
    formal = rows[rows["channel"].eq("formal") & rows["status"].eq("completed") & rows["from_level"].isin(GRASSROOTS)]
    seen = ledger.sums("visits_daily", ["visits"], ["level", "kind"])
    grassroots = scoped(seen[seen["level"].isin(GRASSROOTS) & seen["kind"].ne("return")], "area", ledger)
    done = rows[rows["channel"].eq("formal") & rows["status"].eq("completed")]
    partner = tally(done[done["to_facility"].eq("outside")], "partner", "referrals")
    rate = _rate("per_1000_grassroots_visits", formal, grassroots, "visits")
    stays = ledger.sums("stays_monthly", ["discharges"], ["level"])
    inside = scoped(stays[stays["level"].ne("outside")], "area", ledger)
    by_discharges = _rate("per_100_discharges", done, inside, "discharges")
    return pd.concat([*_channel_tallies(rows), partner, rate, by_discharges, _per_residents(done, ledger)])


@indicator(
    name=Text("Down-referrals", "下转人次"),
    unit=REFERRALS,
    formula=Text("formal referrals to a lower level that were completed", "经正式渠道完成的下转人次"),
    source="zhongwei-2023-67 四(三)1; NHC press conference, March 2024",
    scope="area",
    scopes="area",
    kind="count",
    variants=(
        *CHANNELS,
        Variant(
            "per_100_tertiary_discharges",
            Text("from tertiary hospitals, per 100 of their discharges", "三级医院下转，每百出院人次"),
            Text("per 100 tertiary discharges", "每百三级医院出院人次"),
            per=100,
        ),
        Variant(
            "per_1000_visits",
            Text("formal, per 1,000 visits in the area", "正式渠道，每千域内诊疗人次"),
            Text("per 1,000 visits", "每千诊疗人次"),
            per=1000,
        ),
        PER_RESIDENTS,
    ),
)
def referrals_down(ledger: Ledger) -> Frame:
    """Counts by channel, and the rate per discharge."""
    rows = _referrals(ledger, "down")
    formal = rows[rows["channel"].eq("formal") & rows["status"].eq("completed") & rows["from_level"].eq("tertiary")]
    stays = ledger.sums("stays_monthly", ["discharges"], ["level"])
    tertiary = scoped(stays[stays["level"].eq("tertiary")], "area", ledger)
    done = rows[rows["channel"].eq("formal") & rows["status"].eq("completed")]
    seen = ledger.sums("visits_daily", ["visits"], ["level", "kind"])
    inside = scoped(seen[seen["level"].ne("outside") & seen["kind"].ne("return")], "area", ledger)
    rates = [
        _rate("per_100_tertiary_discharges", formal, tertiary, "discharges"),
        _rate("per_1000_visits", done, inside, "visits"),
        _per_residents(done, ledger),
    ]
    return pd.concat([*_channel_tallies(rows), *rates])
