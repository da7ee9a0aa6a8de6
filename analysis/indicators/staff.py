"""Who works where."""

from __future__ import annotations

import pandas as pd

from analysis.indicators.catalogue import SHARE, STANDARD, Text, Variant, indicator, scoped
from analysis.ledger import GRASSROOTS, Frame, Ledger, tally

CENTRES = ("centre", "sub_centre")


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


@indicator(
    name=Text("Grassroots institutions with a specialist of the group", "有上级医师下沉的基层医疗卫生机构占比"),
    unit=SHARE,
    formula=Text(
        "grassroots members of groups at which a seconded specialist or a joint clinic has seen somebody in the period "
        "/ grassroots members of groups",
        "期内有下派专家或联合门诊接诊的医疗集团基层成员单位数 / 医疗集团基层成员单位数",
    ),
    source="Nanning, 2024: every grassroots institution has at least one (no date given)",
    scope="area",
    scopes="area",
    better="up",
    variants=(Variant("centres", Text("centres and sub-centres only", "仅乡镇卫生院、社区卫生服务中心和分中心")),),
)
def seconded_specialists(ledger: Ledger) -> Frame:
    """What they do is counted, not who they are: where a specialist has helped nobody there is none."""
    facilities = ledger.facilities
    helped = ledger.sums("helped_monthly", ["specialist", "joint"], ["facility"])
    with_one = helped[helped["specialist"] + helped["joint"] > 0]
    tallies = []
    for variant, levels in ((STANDARD, GRASSROOTS), ("centres", CENTRES)):
        members = facilities["id"][facilities["role"].eq("member") & facilities["level"].isin(levels)]
        found = with_one[with_one["facility"].isin(members)].groupby("run")["facility"].nunique()
        runs = ledger.runs[["run"]].assign(members=len(members))
        runs["found"] = runs["run"].map(found).fillna(0)
        tallies.append(tally(scoped(runs, "area", ledger), variant, "found", "members"))
    return pd.concat(tallies)
