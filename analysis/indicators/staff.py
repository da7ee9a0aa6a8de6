"""Who works where."""

from __future__ import annotations

from analysis.indicators.catalogue import SHARE, STANDARD, Text, indicator, scoped
from analysis.ledger import Frame, Ledger, tally


@indicator(
    name=Text("Public-health tasks done by village stations", "村卫生室承担基本公共卫生服务任务占比"),
    unit=SHARE,
    formula=Text(
        "minutes of basic public-health work done by village stations / all minutes of it; services are taken to be "
        "alike, so it is also the share by number of services",
        "村卫生室完成的基本公共卫生服务工时 / 全部基本公共卫生服务工时；各项服务视为等时，故亦为按服务人次计的占比",
    ),
    source="Zhengzhou, 2020: 45 per cent in that year, 50 in the next (of tasks, which are not defined)",
    scope="area",
    scopes="area",
)
def public_health_village_share(ledger: Ledger) -> Frame:
    """Stations do what a policy asks of them only as far as their time goes."""
    rows = scoped(ledger.sums("public_health_monthly", ["minutes"], ["level"]), "area", ledger)
    rows["below"] = rows["minutes"].where(rows["level"].eq("village_station"), 0)
    return tally(rows, STANDARD, "below", "minutes")
