"""The words and number formats of a report, in English and Chinese."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, Literal

from analysis.indicators import DAYS, MINUTES, SHARE, Text

Language = Literal["en", "zh"]

LANGUAGES: tuple[Language, ...] = ("en", "zh")

PHRASES: dict[str, Text] = {
    # the page
    "report": Text("Report", "分析报告"),
    "in_short": Text("In short", "结论摘要"),
    "question": Text("The question", "研究问题"),
    "goals": Text("Targets", "政策目标"),
    "curve": Text("What adherence would it take?", "需要多高的依从率？"),
    "pictures": Text("How it unfolds", "变化过程"),
    "scenarios": Text("The scenarios", "情景设定"),
    "benchmarks": Text("Is the base year plausible?", "基准年是否可信？"),
    "assumptions": Text("What is assumed", "全部假设"),
    "definitions": Text("What the indicators mean", "指标口径"),
    "provenance": Text("Where this comes from", "结果溯源"),
    "loads": Text("Is it sustainable?", "系统能否持续运行？"),
    # in short
    "score": Text(
        "{scenario}: of {n} targets computed, {all} met in every draw, {some} in some draws, {none} in none ({year}).",
        "{scenario}：已计算的 {n} 项目标中，{all} 项每次抽样均达标，{some} 项部分达标，{none} 项均未达标"
        "（{year} 年）。",
    ),
    "short_goal": Text(
        "{name}: {value} in {year}, against {base} under “{baseline}”; target {promise}, {met}.",
        "{name}：{year} 年为 {value}，“{baseline}”情景为 {base}；目标 {promise}，{met}。",
    ),
    "short_alone": Text(
        "{name}: {value} in {year}; target {promise}, {met}.", "{name}：{year} 年为 {value}；目标 {promise}，{met}。"
    ),
    "gets_worse": Text(
        "What gets worse under “{scenario}” in {year}: {names}.", "“{scenario}”情景下 {year} 年变差的方面：{names}。"
    ),
    "nothing_worse": Text(
        "No guard gets worse by a difference that matters under “{scenario}” in {year}.",
        "“{scenario}”情景下 {year} 年，没有约束指标出现有实际意义的变差。",
    ),
    "open_guards": Text("Undecided with {n} replications: {names}.", "{n} 次重复尚无定论：{names}。"),
    "not_yet": Text("Not computed yet: {name} ({why}).", "尚未计算：{name}（{why}）。"),
    "no_value_short": Text("{name}: {met}.", "{name}：{met}。"),
    "no_goals": Text("No scenario of this study states a target.", "本研究的情景未设定目标。"),
    # judgement
    "met_k": Text("met in {k} of {n} draws", "{n} 次抽样中 {k} 次达标"),
    "chance": Text("95% interval {interval}", "95% 区间 {interval}"),
    "bracket": Text(" ({text})", "（{text}）"),
    "p": Text("p = {p}", "p = {p}"),
    "p_tiny": Text("p < 0.001", "p < 0.001"),
    "p_adjusted": Text("adjusted {p}", "校正后 {p}"),
    "more": Text("{n} more replications would decide", "再做 {n} 次重复可有定论"),
    "more_than": Text("more than {n} more replications would be needed", "需再做 {n} 次以上重复"),
    "more_unknown": Text("one replication tells no spread", "仅一次重复，离散程度未知"),
    "matters": Text("matters from {limit}", "差值达 {limit} 方有实际意义"),
    "not judged": Text("not judged", "未评判"),
    "year incomplete": Text("year incomplete", "年度数据不完整"),
    "not simulated": Text("year not simulated", "该年度未模拟"),
    "not computed": Text("not computed yet", "尚未计算"),
    "deadline": Text("year of the deadline", "目标期限年"),
    "full_year": Text("first full year after it", "其后首个完整年度"),
    "better": Text("better", "改善"),
    "worse": Text("worse", "变差"),
    "higher": Text("higher", "上升"),
    "lower": Text("lower", "下降"),
    "no practical difference": Text("no practical difference", "无实际差别"),
    "undecided": Text("undecided", "尚无定论"),
    "at_least": Text("≥", "≥"),
    "at_most": Text("≤", "≤"),
    "above": Text(">", ">"),
    "below": Text("<", "<"),
    "by": Text("{promise} by {day}", "{day} 前达到 {promise}"),
    # precision
    "precision": Text("Was that precise enough?", "精度是否足够？"),
    "precise_value": Text("value", "数值"),
    "precise_difference": Text("difference from the baseline", "与基线之差"),
    "of_the_mean": Text("{share} of the mean", "均值的 {share}"),
    "precise": Text(
        "{name} ({scope}, {year}), {scenario}, {of}: ± {found} with {n} replications; ± {asked} was asked, reached for "
        "good from replication {since} on.",
        "{name}（{scope}，{year} 年），{scenario}，{of}：{n} 次重复后为 ± {found}；要求 ± {asked}，"
        "自第 {since} 次重复起稳定达到。",
    ),
    "imprecise": Text(
        "{name} ({scope}, {year}), {scenario}, {of}: ± {found} with {n} replications; ± {asked} was asked and is not "
        "reached.",
        "{name}（{scope}，{year} 年），{scenario}，{of}：{n} 次重复后为 ± {found}；要求 ± {asked}，未达到。",
    ),
    "undefined": Text(
        "{name} ({scope}, {year}), {scenario}, {of}: ± {asked} was asked and is not reached; after {n} replications "
        "the interval still holds 0, so that a share of the mean says nothing: ask for half_width.",
        "{name}（{scope}，{year} 年），{scenario}，{of}：要求 ± {asked}，未达到；{n} 次重复后区间仍包含 0，"
        "相对精度没有意义，请改用 half_width。",
    ),
    # luck and assumptions
    "spread": Text("What makes the replications differ?", "各次重复为何不同？"),
    "explain_spread": Text(
        "Spread of what each draw of the assumptions gives, {year}, {n} draws.",
        "{year} 年，各次抽样结果的离散程度，共 {n} 次抽样。",
    ),
    "explain_luck": Text(
        " Luck: its share in the variance of one replication, with its 95% interval; {k} replications share each draw "
        "(analysis of variance).",
        "随机波动：单次重复方差中随机波动所占比例及其 95% 区间；每次抽样做 {k} 次重复（方差分析）。",
    ),
    "no_luck": Text(
        " Luck and assumptions are not told apart here: that takes several replications on each draw (nested=2).",
        "此处未区分随机波动与假设的影响：需对每次抽样做多次重复（nested=2）。",
    ),
    "explain_single": Text(
        " Assumptions: the share of the variance of the draws that goes with one alone, where it exceeds what the best "
        "of all reaches when draws and results are shuffled; of rows on which none acts, 1% name one all the same. The "
        "rest goes with many small ones, and with combinations.",
        "假设：单个假设所解释的抽样方差比例，仅列出超过“随机打乱后最强假设所达水平”者；在没有任何假设起作用时，"
        "仍有 1% 的行会误列。其余来自众多影响较小的假设及其组合。",
    ),
    "no_single": Text(
        " Which single assumption matters is not told from {n} draws; {least} are needed.",
        "{n} 次抽样不足以判断哪个假设最重要，至少需要 {least} 次。",
    ),
    "deviation": Text("Standard deviation", "标准差"),
    "luck": Text("Luck", "随机波动"),
    "single": Text("Assumptions that stand out", "突出的假设"),
    "below_floor": Text("none: noise alone reaches {floor}", "无：仅随机噪声即可达 {floor}"),
    "rises_with": Text("rises with it", "随之上升"),
    "falls_with": Text("falls with it", "随之下降"),
    "both_ways": Text("not one way only", "非单调"),
    # tables
    "scenario": Text("Scenario", "情景"),
    "value": Text("Value", "数值"),
    "interval": Text("95% interval", "95% 置信区间"),
    "draws": Text("Range of draws", "抽样范围"),
    "difference": Text("Difference", "差值"),
    "verdict": Text("Verdict", "判断"),
    "met": Text("Target", "达标情况"),
    "baseline": Text("baseline", "基线"),
    "guards": Text("Guards: who might pay for it", "约束指标：谁可能为此付出代价"),
    "guard": Text("Guard", "约束指标"),
    "lever": Text("Lever", "政策杠杆"),
    "since": Text("In force from", "生效日期"),
    "source": Text("Source", "依据"),
    "unit": Text("Unit", "单位"),
    "range": Text("Range", "范围"),
    "reason": Text("Why", "理由"),
    "path": Text("Where", "参数位置"),
    "assumption": Text("assumption, {low} to {high}: {reason}", "假设，取值 {low} 至 {high}：{reason}"),
    "assumption_bare": Text("assumption: {reason}", "假设：{reason}"),
    "factor": Text("× {low} to {high}", "× {low} 至 {high}"),
    "from_to": Text("{low} to {high}", "{low} 至 {high}"),
    "yes": Text("yes", "是"),
    "no": Text("no", "否"),
    "expected": Text("Expected", "预期作用"),
    "no_levers": Text("No lever is in force.", "没有生效的政策杠杆。"),
    "indicator": Text("Indicator", "指标"),
    "where": Text("Scope", "范围"),
    "simulated": Text("Simulated", "模拟值"),
    "published": Text("Published", "公布值"),
    "ratio": Text("Simulated ÷ published", "模拟值 ÷ 公布值"),
    "formula": Text("Formula", "计算口径"),
    "headline_scope": Text("Headline scope", "主口径范围"),
    "point": Text("Service point", "服务点"),
    "load": Text("Load", "负荷"),
    "pooling": Text("Beds of their own, or shared?", "床位分设还是共用？"),
    "beds": Text("Beds", "床位数"),
    "own_beds": Text("Own beds: {place}", "专用床位：{place}"),
    "shared_beds": Text("Shared beds", "共用床位"),
    "all_beds": Text("Beds in all", "床位合计"),
    "delay": Text("Delay", "等床概率"),
    "delay_at": Text("Delay: {place}", "等床概率：{place}"),
    "overflow": Text("Overflow", "满床或超员概率"),
    "overflow_at": Text("Overflow: {place}", "满床或超员概率：{place}"),
    "one_in": Text("1 in {n}", "每 {n} 人 1 人"),
    "in_draws": Text("{k} of {n} draws", "{n} 次抽样中 {k} 次"),
    # explanations
    "explain_goals": Text(
        "Value: mean over {n} replications with its 95% t interval; each replication draws every assumption from its "
        "range, the same in all scenarios. Difference: replication by replication against “{baseline}”, with its plain "
        "95% interval. Verdicts hold for all headline indicators and scenarios of a year together (Holm; adjusted p): "
        "the chance that any “better” or “worse” among them is wrong is at most 5%, and so it is for “no practical "
        "difference”. More replications: if mean and spread stay as they are. A target met by merely moving "
        "patients shows in the guards below it.",
        "数值为 {n} 次重复的均值及其 95% t 区间；每次重复从各假设的取值范围中抽样，各情景取相同的抽样值。"
        "差值为逐次重复与“{baseline}”配对相减，所列区间为未校正的 95% 区间。"
        "判断对同一年度全部主口径指标和情景同时成立（Holm 校正 p 值）：其中任一“改善”或“变差”有误的概率不超过 5%，"
        "任一“无实际差别”有误的概率亦然。所需追加的重复次数按现有均值和离散程度推算。"
        "若目标仅靠转移患者实现，会体现在其下方的约束指标中。",
    ),
    "explain_nested": Text(
        " {k} replications share each draw: intervals are over the {n} draws.",
        "每次抽样做 {k} 次重复，区间按 {n} 次抽样计算。",
    ),
    "explain_curve": Text(
        "Each dot is one replication of “{scenario}” in {year}. The line is a least-squares fit, the band its 95% "
        "interval; the scatter around the line comes from all other assumptions.",
        "每个点为“{scenario}”情景 {year} 年的一次重复。直线为最小二乘拟合，阴影为其 95% 区间；点的离散来自其他假设。",
    ),
    "needed": Text(
        "The line reaches the target of {target} at an adherence of about {x}.",
        "依从率约为 {x} 时，拟合线达到目标 {target}。",
    ),
    "needed_band": Text(" The band allows {low} to {high}.", "按区间估计为 {low} 至 {high}。"),
    "open_end": Text("beyond {x}", "{x} 以外"),
    "never": Text(
        "The target of {target} is not reached in the range of {low} to {high}; at {high} the line gives {y}.",
        "在 {low} 至 {high} 的取值范围内未达到目标 {target}；依从率为 {high} 时拟合值为 {y}。",
    ),
    "always": Text(
        "The target of {target} is reached in the whole range of {low} to {high}.",
        "在 {low} 至 {high} 的整个取值范围内均达到目标 {target}。",
    ),
    "no_curve": Text(
        "The replications have not drawn an adherence, or are too few for a line.",
        "各次重复未抽取依从率，或重复次数不足以拟合。",
    ),
    "explain_benchmarks": Text(
        "“{scenario}” in {year}, mean over the replications, beside published figures. National figures describe an "
        "average place: a ratio near 1 is plausible, not required.",
        "“{scenario}”情景 {year} 年各次重复的均值，与公布数据对照。全国数据描述平均水平："
        "比值接近 1 说明可信，但并非必须。",
    ),
    "explain_pooling": Text(
        "Read from the census of every midnight, in wards with beds for everybody. Delay: of the nights on which so "
        "many beds suffice, those on which none is left for one more patient; for n beds P(N = n) ÷ P(N ≤ n). "
        "Overflow: of all nights, those on which they are taken or too few. A patient takes a bed of the own ward "
        "first, then a shared one. Means over {n} replications with 95% t intervals.",
        "各病区床位不设上限，按每日零点的在院人数推算。等床概率：在床位够用的各夜中，再来一名患者便无床可用的比例，"
        "n 张床位时即 P(N = n) ÷ P(N ≤ n)。满床或超员概率：在全部各夜中，床位占满或不够用的比例。"
        "患者先用本病区专用床位，再用共用床位。数值为 {n} 次重复的均值及其 95% t 区间。",
    ),
    "explain_assumptions": Text(
        "Nobody stands behind these values: each replication draws its own from the range. Those of the report are "
        "judgements about what matters, and are not drawn.",
        "以下数值没有公开依据：每次重复在其范围内抽样。“report”部分为判断标准，不参与抽样。",
    ),
    "sustainable": Text(
        "No service point is offered more than it can do, and no backlog keeps growing.",
        "没有服务点超负荷，也没有积压持续增长。",
    ),
    "loads_unknown": Text(
        "No backlog keeps growing; the load offered before the run was not recorded.",
        "没有积压持续增长；未记录运行前的需求负荷。",
    ),
    "not_sustainable": Text(
        "Not sustainable: read every mean below with care.", "不可持续：请谨慎解读下文的所有均值。"
    ),
    "not_sustainable_at": Text("not sustainable at {names}", "不可持续：{names}"),
    "not_sustainable_figure": Text("Not sustainable:", "不可持续："),
    "not_sustainable_load": Text("not sustainable: offered {load} of its beds", "不可持续：需求为床位能力的 {load}"),
    "not_sustainable_beds": Text(
        "not sustainable: the hospital's list for beds grows", "不可持续：本院等床积压持续增长"
    ),
    "overload": Text(
        "{scenario}: {resource} of {place} is offered {load} of what it can do ({draws} above 100%).",
        "{scenario}：{place}{resource}的需求为其能力的 {load}（{draws}超过 100%）。",
    ),
    "standstill": Text(
        "{scenario}: wards block each other for ever, from {since} on ({draws}): {wards}.",
        "{scenario}：自 {since} 起病区互相阻塞、不再流转（{draws}）：{wards}。",
    ),
    "load_clinic": Text("the busiest clinic", "最繁忙门诊"),
    "load_emergency": Text("the emergency department", "急诊科"),
    "load_imaging": Text("the busiest large equipment", "最繁忙大型设备检查室"),
    "load_ward": Text("the busiest ward", "最繁忙病区"),
    "load_theatre": Text("the theatres", "手术室"),
    "half": Text(
        "Forecast for {scenario}: {resource} of {place} are offered {load} of what they can do ({draws} above 100%), "
        "while the other half is not full: {advice}.",
        "{scenario}运行前测算：{place}{resource}的需求为其能力的 {load}（{draws}超过 100%），"
        "而另一部分尚有余量：{advice}。",
    ),
    "load_clinic_held": Text(
        "the slots held for referred patients in the busiest clinic", "最繁忙门诊的下沉（转诊专用）号源"
    ),
    "load_clinic_open": Text("the slots open to all in the busiest clinic", "最繁忙门诊的普通（非下沉）号源"),
    "load_ward_held": Text(
        "the beds held for referred patients in the busiest ward", "最繁忙病区的下沉（转诊专用）床位"
    ),
    "load_ward_open": Text("the beds open to all in the busiest ward", "最繁忙病区的普通（非下沉）床位"),
    "quota_held": Text("the quota is smaller than what is referred", "下沉比例小于转诊需求"),
    "quota_open": Text("the quota is larger than what is referred", "下沉比例大于转诊需求"),
    "seek_found": Text(
        "{thing}: {scenario} reaches {promise} ({scope}, {year}) at about {value}.",
        "{thing}：{scenario}在取值约为 {value} 时，{year} 年达到“{promise}”（{scope}）。",
    ),
    "seek_interval": Text(
        " The draws reach it at {mean} on average (95% interval {low} to {high}; {k} of {n} draws).",
        "各次抽样平均在 {mean} 处达到（95% 区间 {low} 至 {high}；{n} 次中的 {k} 次）。",
    ),
    "seek_missed": Text(
        " {k} of {n} draws do not reach it at any value tried.", "{n} 次抽样中有 {k} 次在所试范围内均未达到。"
    ),
    "seek_always": Text(
        "{thing}: {scenario} reaches {promise} ({scope}, {year}) at the lowest value already: at {low} it is {at_low}.",
        "{thing}：{scenario}取最低值 {low} 时，{year} 年已达到“{promise}”（{scope}），为 {at_low}。",
    ),
    "seek_never": Text(
        "{thing}: {scenario} does not reach {promise} ({scope}, {year}) at any value tried: at {high} it is {at_high}, "
        "at {low} {at_low}.",
        "{thing}：{scenario}在所试范围内，{year} 年均达不到“{promise}”（{scope}）：取 {high} 时为 {at_high}，"
        "取 {low} 时为 {at_low}。",
    ),
    "seek_backwards": Text(
        "{thing}: no answer. In {scenario} more of it leads away from {promise} ({scope}, {year}): at {low} it is "
        "{at_low}, at {high} {at_high}.",
        "{thing}：没有答案。{scenario}中其值越高，{year} 年离“{promise}”（{scope}）越远：取 {low} 时为 {at_low}，"
        "取 {high} 时为 {at_high}。",
    ),
    "seek_not_monotone": Text(
        "{thing}: no single answer. In {scenario}, from {low} to {high}, the way to {promise} ({scope}, {year}) goes "
        "back in between, beyond noise; see seek.csv. At {low} it is {at_low}, at {high} {at_high}.",
        "{thing}：没有唯一答案。{scenario}中其值由 {low} 升至 {high} 时，{year} 年趋近“{promise}”（{scope}）的过程"
        "中途出现超出随机波动的回退，见 seek.csv。取 {low} 时为 {at_low}，取 {high} 时为 {at_high}。",
    ),
    "seek_amount": Text("{amount} ({factor} times)", "{amount}（{factor} 倍）"),
    "seek_mean": Text("{mean} ({ends})", "{mean}（{ends}）"),
    "warmup_agree": Text(
        "An empty and an overfull start, on the same luck, agree on all {indicators} headline indicators from {month} "
        "on, within what matters ({n} replications, months to {last}): a warm-up must last {months} months.",
        "在相同的随机数下，空系统起步与超满起步自 {month} 起，全部 {indicators} 项主要指标之差均在最小有意义差值以内"
        "（{n} 次重复，模拟至 {last}）：预热期需 {months} 个月。",
    ),
    "warmup_apart": Text(
        "An empty and an overfull start, on the same luck, do not agree on all {indicators} headline indicators by "
        "{last} ({n} replications).",
        "在相同的随机数下，截至 {last}，空系统起步与超满起步的 {indicators} 项主要指标尚未全部趋于一致（{n} 次重复）。",
    ),
    "warmup_enough": Text(
        "The study measures from {measured} on, after {warmup} months: long enough.",
        "本研究自 {measured} 起统计，预热 {warmup} 个月：足够长。",
    ),
    "warmup_short": Text(
        "The study measures from {measured} on, after {warmup} months: not long enough, for {late} of {indicators} are "
        "apart in some month from then on.",
        "本研究自 {measured} 起统计，预热 {warmup} 个月：不够长，此后仍有 {late}/{indicators} 项在某个月相异。",
    ),
    "warmup_latest": Text(
        "{name} ({scope}): last apart in {month}, overfull less empty {difference} (95% interval {ends}); what "
        "matters is {important}.",
        "{name}（{scope}）：最后一次相异在 {month}，超满减空为 {difference}（95% 区间 {ends}）；"
        "最小有意义差值为 {important}。",
    ),
    "warmup_none": Text("not known, for one of them has no value", "未知（其中一方没有数值）"),
    "start_empty": Text("empty start", "空系统起步"),
    "start_overfull": Text("overfull start", "超满起步"),
    "first_measured": Text("first measured day", "统计起始日"),
    # sweeps
    "sweep": Text("Sweep", "多方案扫描"),
    "sweep_counted": Text(
        "{n} points of the study “{study}”, {draws} draws each, all on the same luck. Varied: {keys}.",
        "研究“{study}”的 {n} 个方案点，每点抽样 {draws} 次，随机数全部相同。变动的设置：{keys}。",
    ),
    "sweep_choice": Text(
        "No point is chosen here: which one is best depends on what matters, and on who pays for it.",
        "本报告不替您选出最佳方案：取舍取决于看重什么，以及由谁承担代价。",
    ),
    "sweep_failed": Text("{n} points could not be finished", "{n} 个方案点未能完成"),
    "sweep_responses": Text("What each setting does", "各项设置的作用"),
    "sweep_response": Text("{lever} in “{scenario}”", "{lever}（“{scenario}”情景）"),
    "sweep_band": Text(
        "Left: mean over the draws and its 95% interval; grey: “{baseline}”; dashed: the target. Right: the difference "
        "from “{baseline}”, draw by draw, so that what all scenarios share does not blur it.",
        "左：各次抽样的均值及其 95% 区间，灰线为“{baseline}”，虚线为目标。右：逐次抽样与“{baseline}”配对之差，"
        "各情景共有的不确定性不会掩盖差别。",
    ),
    "sweep_change": Text("Paired difference from the baseline", "与基线的配对差值"),
    "sweep_points_changed": Text(
        "Paired difference from the baseline, percentage points", "与基线的配对差值（百分点）"
    ),
    "sweep_lines": Text(" One line for each value of {other}.", "每条线对应“{other}”的一个取值。"),
    "sweep_averaged": Text(
        " Averaged, draw by draw, over all values of {others}.", "已在每次抽样内对“{others}”的各取值求平均。"
    ),
    "sweep_map": Text("Both together in “{scenario}”", "两项设置同时变动（“{scenario}”情景）"),
    "sweep_mapped": Text(
        "Colour: mean; below it, in how many draws the target is met; line: where the mean reaches it.",
        "颜色和数字为均值，其下为达标的抽样次数；线条为均值达到目标之处。",
    ),
    "sweep_points": Text("All points", "全部方案点"),
    "sweep_table": Text(
        "Each cell: mean, its 95% interval, the paired difference from “{baseline}” with its interval, and in how many "
        "draws the target is met. A name leads to the folder of the point, a study of its own.",
        "每格依次为：均值、95% 区间、与“{baseline}”的配对差值及其区间、达标的抽样次数。"
        "点击名称可打开该方案点的文件夹，其本身就是一项完整的研究。",
    ),
    "sweep_point": Text("Point", "方案点"),
    "sweep_own": Text("as in the study", "同原研究"),
    "sweep_repeat": Text("To repeat it:", "重新运行该点："),
    "sweep_k": Text("{k}/{n}", "{k}/{n}"),
    "sweep_in": Text("{name}, {year}", "{name}，{year} 年"),
    "growing": Text(
        "{scenario}: the backlog of {resource} at {place} grew from {before} to {after} in a year ({draws}).",
        "{scenario}：{place} 的{resource}积压一年内由 {before} 增至 {after}（{draws}）。",
    ),
    "appointment": Text("appointments", "预约"),
    "bed": Text("beds", "住院"),
    "theatre": Text("operations", "择期手术"),
    # wards
    "wards": Text("Beds, ward by ward", "各病区床位"),
    "explain_wards": Text(
        "Wards of hospitals in {year}, the fullest first; means over {n} replications. Days to a bed are those of "
        "planned patients without priority. Blocked: bed-days of patients who are ready for another bed and find none. "
        "Held beds: used by referred patients · borrowed by emergencies · released unused. Who goes on from intensive "
        "care counts as leaving that ward, and is discharged from the next. All wards, with waits by class and blocked "
        "bed-days by cause, stand in wards.csv.",
        "{year} 年各医院病区，按使用率从高到低排列；数值为 {n} 次重复的均值。等床天数为无优先权择期患者。压床："
        "可转出而无床可转的患者占用的床日。预留床位：转诊患者使用 · 急诊借用 · 未用释放的次数。"
        "由重症监护转出者计为该病区出科，由下一病区出院。"
        "全部病区及分类等床天数、分原因压床床日见 wards.csv。",
    ),
    "first_wards": Text("{n} of {of} wards", "共 {of} 个病区，列出 {n} 个"),
    "ward": Text("Ward", "病区"),
    "occupancy": Text("Occupancy", "使用率"),
    "left_ward": Text("Patients out", "出科人次"),
    "nights_each": Text("Nights", "平均住院日"),
    "turnover": Text("Turnover", "周转次数"),
    "bed_days_waited": Text("Days to a bed", "等床天数"),
    "left_list": Text("Gave up", "等床离开"),
    "blocked_days": Text("Blocked", "压床床日"),
    "held_beds": Text("Held beds", "预留床位"),
    "p90": Text("P90 {value}", "P90 {value}"),
    # money
    "money": Text("Money: who pays", "费用：谁来付"),
    "explain_money": Text(
        "In {year}; means over {n} replications, differences paired with the baseline. Fees are published or assumed, "
        "fund shares by level are assumed: read differences. Rows that are nothing in every scenario are left out. All "
        "bills stand in money_monthly.",
        "{year} 年；数值为 {n} 次重复的均值，差异为与基线配对之差。收费标准有公布值或为假设，分级支付比例为假设，"
        "宜看差异。各情景均为零的行不列出。全部账目见 money_monthly。",
    ),
    "payer": Text("Who pays", "项目"),
    "budgets": Text("Budgets of medical groups, {year} (10,000 yuan)", "医疗集团总额预算，{year} 年（万元）"),
    "medical_group": Text("Medical group", "医疗集团"),
    "budget": Text("Budget", "预算"),
    "public_health": Text("Public health", "公共卫生经费"),
    "spent": Text("Spent", "支出"),
    "spent_away": Text("of it outside the group", "其中集团外"),
    "balance": Text("Balance", "结余"),
    "kept_or_borne": Text("Kept (+) or borne (−) by the group", "集团留用（+）或分担（−）"),
    "alarms": Text("Alarms", "预警"),
    "alarm": Text(
        "{scenario}, {grid}: {what} above {threshold} in {months} of {of} months ({draws}).",
        "{scenario}，{grid}：{what}在 {of} 个月中有 {months} 个月高于 {threshold}（{draws}）。",
    ),
    "alarm_outside_share": Text("share of the fund's money spent outside the area", "域外基金支出占比"),
    "alarm_cost_growth": Text("growth of cost over a year before", "医疗费用同比增长率"),
    "alarm_fund_use": Text("use of the budget due so far", "累计预算使用率"),
    # figures
    "figure_share": Text("Grassroots share of visits by month", "基层诊疗量占比（按月）"),
    "figure_levels": Text("Where residents go, {year}", "居民就诊去向，{year} 年"),
    "figure_waits": Text("Days to an appointment at lead hospitals, {year}", "牵头医院预约等待天数，{year} 年"),
    "figure_curve": Text("Grassroots share against adherence", "基层诊疗量占比与依从率"),
    "axis_adherence": Text("adherence to grassroots first contact (drawn)", "基层首诊依从率（抽样值）"),
    "axis_days": Text("days: bar = mean, mark = P90", "天：条形为均值，标记为 P90"),
    "target_line": Text("target {promise}", "目标 {promise}"),
    "in_force": Text("in force", "政策生效"),
    "band": Text("shaded: nine in ten draws", "阴影：九成抽样"),
    # levels
    "village_station": Text("village stations", "村卫生室"),
    "clinic": Text("clinics", "诊所"),
    "centre": Text("township and community centres", "乡镇卫生院和社区中心"),
    "sub_centre": Text("sub-centres", "医疗分中心"),
    "secondary": Text("secondary hospitals", "二级医院"),
    "tertiary": Text("tertiary hospitals", "三级医院"),
    "outside": Text("outside the area", "域外"),
    "grid": Text("residents, wherever they go", "本地居民（不论就诊地点）"),
    "in_area": Text("residents, inside the area", "本地居民（域内）"),
    "area": Text("institutions of the area", "域内机构"),
    "group": Text("institutions of medical groups", "医疗集团内机构"),
    "lead": Text("lead hospitals", "牵头医院"),
    "tertiary_public": Text("tertiary public hospitals", "三级公立医院"),
}

DEPARTMENTS: dict[str, Text] = {
    "general": Text("general", "综合"),
    "medicine": Text("medicine", "内科"),
    "surgery": Text("surgery", "外科"),
    "obstetrics": Text("obstetrics", "产科"),
    "paediatrics": Text("paediatrics", "儿科"),
    "rehabilitation": Text("rehabilitation", "康复"),
    "tcm": Text("Chinese medicine", "中医"),
    "mental": Text("mental health", "精神"),
    "specialties": Text("specialties", "专科"),
    "home": Text("care at home", "居家"),
    "stroke": Text("stroke", "卒中"),
}
"""Words for the departments of wards; others keep their name."""

KINDS_OF_WARDS: dict[str, Text] = {
    "step_down": Text("step-down", "下转病房"),
    "intensive": Text("intensive care", "重症监护"),
    "joint": Text("joint ward", "联合病房"),
    "home": Text("at home", "家庭病床"),
}
"""Words for kinds of wards that are not acute, by the end of their names."""


@dataclass(frozen=True)
class Phrases:
    """One language."""

    language: Language

    def __call__(self, key: str, **values: Any) -> str:
        """A phrase, with its blanks filled."""
        return self.of(PHRASES[key]).format(**values)

    def of(self, text: Text) -> str:
        """This language's side of a bilingual text."""
        return text.en if self.language == "en" else text.zh

    def titled(self, thing: Any, name: str = "title") -> str:
        """A title (or another field) of something with `title` and `title_zh`."""
        english = str(getattr(thing, name) or "")
        return english if self.language == "en" else str(getattr(thing, f"{name}_zh") or english)

    def named(self, key: str) -> str:
        """The phrase for a scope or level, or the key itself where it is the id of an institution."""
        return self(key) if key in PHRASES else key

    def ward(self, name: str) -> str:
        """A ward in words, as far as there are any."""
        kind = next((kind for kind in KINDS_OF_WARDS if name.endswith(f"_{kind}")), "")
        department = name.removesuffix(f"_{kind}") if kind else name
        words = [self.of(DEPARTMENTS[department])] if department in DEPARTMENTS else [department]
        words += [self.of(KINDS_OF_WARDS[kind])] if kind else []
        return (", " if self.language == "en" else "·").join(words)

    def listed(self, parts: Sequence[str]) -> str:
        """Several things in one sentence."""
        return ("; " if self.language == "en" else "；").join(parts)

    def number(self, value: float | None, unit: str) -> str:
        """A value with as many digits as a planner reads; a dash where there is none."""
        if value is None or not math.isfinite(value):
            return "–"
        if unit == SHARE.en:
            return _signed(f"{100 * value:.1f}") + "%"
        return _signed(f"{value:,.{_decimals(value)}f}")

    def amount(self, value: float | None, unit: Text) -> str:
        """A value in a sentence: with its unit, where the name of the indicator does not say it."""
        return self.number(value, unit.en) + self._said(unit)

    def change(self, value: float | None, unit: Text) -> str:
        """A difference in a sentence."""
        return self.difference(value, unit.en) + self._said(unit)

    def limit(self, value: float, unit: Text) -> str:
        """A target as a document states it."""
        return (f"{100 * value:g}%" if unit == SHARE else f"{value:g}") + self._said(unit)

    def _said(self, unit: Text) -> str:
        return f" {self.of(unit)}" if unit in (DAYS, MINUTES) else ""

    def difference(self, value: float | None, unit: str) -> str:
        """A signed difference; of shares in percentage points."""
        if value is None or not math.isfinite(value):
            return "–"
        points = " pp" if self.language == "en" else " 个百分点"
        text = f"{100 * value:+.2f}" if unit == SHARE.en else f"{value:+,.{_decimals(value)}f}"
        return _signed(text) + (points if unit == SHARE.en else "")

    def interval(self, low: float | None, high: float | None, unit: str) -> str:
        """Both ends of an interval; a dash where there is none."""
        if low is None or high is None or not (math.isfinite(low) and math.isfinite(high)):
            return "–"
        return self("from_to", low=self.number(low, unit), high=self.number(high, unit))

    def stated(self, value: Any) -> str:
        """A value as an input states it."""
        if isinstance(value, bool):
            return self("yes" if value else "no")
        if isinstance(value, Fraction):
            return str(value) if value.denominator < 10 else f"{float(value):g}"
        if isinstance(value, (list, tuple)):
            return ", ".join(map(self.stated, value))
        if isinstance(value, dict):
            return ", ".join(f"{name}: {self.stated(part)}" for name, part in value.items())
        return f"{value:g}" if isinstance(value, float) else str(value)


def _signed(text: str) -> str:
    """A number with a real minus sign; what rounds to nothing has no sign."""
    return text.lstrip("+-") if not text.strip("+-0.,") else text.replace("-", "−")


def _decimals(value: float) -> int:
    return 2 if abs(value) < 100 else 1 if abs(value) < 1000 else 0
