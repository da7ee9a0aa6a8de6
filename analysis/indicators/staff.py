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


@indicator(
    name=Text("Doctors posted to another institution", "统筹调配医师人日"),
    unit=Text("doctor-days", "人日"),
    formula=Text(
        "days of doctors who work a week at another centre of the group than their own",
        "在集团内其他基层机构轮岗（按周调配）的医师人日数",
    ),
    source="convention: every day of the week counts, whether the clinic is open or not",
    scope="area",
    scopes="area",
    kind="count",
)
def posted_doctor_days(ledger: Ledger) -> Frame:
    """Each is counted once, where he is missing."""
    return tally(scoped(ledger.sums("posts_monthly", ["went"], ["level"]), "area", ledger), STANDARD, "went")
