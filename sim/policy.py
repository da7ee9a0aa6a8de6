"""The levers of policy, and the rules they make on a day.

A lever is declared once, in the group of `Rules` that holds its plain value: the default is its neutral value, the
docstring its meaning, the `Lever` says who reads it and what it is expected to do. `Policy` has the same groups and
names with dates and sources, as scenario files write them; `Policy.on(day)` gives the rules in force.

All quotas apply to the lead hospitals of medical groups.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from datetime import date
from fractions import Fraction
from functools import cache
from types import NoneType
from typing import Annotated, Any, ClassVar, Literal, cast, get_args, get_type_hints

from pydantic import AfterValidator, Field, create_model

from sim.citation import Cited, Dated, is_numeric, numbers
from sim.schema import Chance, Closed, InputError, Name, Problem, Share, did_you_mean, documented, refuse

RescueCentre = Literal["chest_pain", "stroke", "trauma", "maternal", "newborn"]

RESCUE_CENTRES: tuple[RescueCentre, ...] = ("chest_pain", "stroke", "trauma", "maternal", "newborn")
"""The five rescue centres (五大救治中心); the last is for children and newborns."""


BedQuotaKind = Literal["release", "partition", "protect"]
ReachedStandard = Literal["basic", "recommended", "community_hospital"]

PlaceClass = Literal["village_station", "clinic", "township", "community", "secondary", "tertiary", "outside"]

PLACE_CLASSES: tuple[PlaceClass, ...] = get_args(PlaceClass)
"""Classes of places by which fees differ: centres and sub-centres are `township` ones in rural areas and `community`
ones in urban areas."""

Factor = Annotated[float, Field(ge=0)]
"""A factor on a fee."""


@dataclass(frozen=True, kw_only=True)
class Lever:
    """What a lever is, apart from its value."""

    m: str
    """Number of the mechanism in the list of mechanisms that the policy documents share."""

    title: str
    """Name in a report."""

    title_zh: str
    """Name in a Chinese report."""

    unit: str
    """What its values are counted in; a scenario file repeats it."""

    low: float | None = None
    """Lowest value; None for yes-or-no."""

    high: float | None = None
    """Highest value; None: no limit."""

    names: Literal["conditions", "areas", "sub_centres", "private"] | None = None
    """What its values name, in a list or a table: each name must be among the facts."""

    room: str
    """The one module that reads it."""

    through: str
    """The variable through which it reaches patients."""

    expected: str
    """What it is expected to do, written before it was built."""

    expected_zh: str
    """The same in Chinese."""

    def fitting(self, dated: Dated[Any] | None) -> Dated[Any] | None:
        """The values, if each has the unit of the lever and lies, with its whole range, within its limits."""
        entries = dated.values.items() if dated else ()
        problems = [((day.isoformat(), *at), text) for day, cited in entries for at, text in self._misfits(cited)]
        if problems:
            raise refuse(*problems)
        return dated

    def _misfits(self, cited: Cited[Any]) -> Iterator[tuple[tuple[str, ...], str]]:
        if cited.unit != self.unit:
            yield ("unit",), f"{cited.unit!r} was found; this lever is counted in {self.unit!r}."
        if not is_numeric(cited.value):
            return
        source = cited.source
        for at, value in numbers(cited.value):
            yield from self._outside(("value", *at), value)
            for name, limits in (("range", source.range or []), ("times", [f * value for f in source.times or []])):
                for limit in limits:
                    yield from self._outside(("source", name), limit)

    def _outside(self, at: tuple[str, ...], value: float) -> Iterator[tuple[tuple[str, ...], str]]:
        if self.low is not None and value < self.low:
            yield at, f"{value:g} is less than {self.low:g}, the lowest value of this lever."
        if self.high is not None and value > self.high:
            yield at, f"{value:g} is more than {self.high:g}, the highest value of this lever."


# -------------------------------------------------------------------------------------------------------------- rules


class FirstContact(Closed):
    """Where residents are to begin."""

    noun: ClassVar[str] = "lever"

    adherence: Annotated[
        Chance,
        Lever(
            m="M02",
            title="Adherence to grassroots first contact",
            title_zh="基层首诊依从率",
            unit="share of residents",
            low=0,
            high=1,
            room="choice",
            through="the door a resident chooses for a first need that is not urgent",
            expected="the grassroots share of visits rises, outpatient visits of the lead hospital fall",
            expected_zh="基层诊疗量占比上升，牵头医院门诊量下降",
        ),
    ] = 0.0
    """Of the residents who would take a first need that is not urgent to a hospital, the share who follow the advice to
    start at a grassroots institution."""

    gate: Annotated[
        list[Name],
        Lever(
            m="M02",
            title="Conditions that must begin at the grassroots",
            title_zh="须基层首诊的病种",
            unit="conditions",
            names="conditions",
            room="doors",
            through="the door of a first need with one of these conditions, emergencies excepted",
            expected="the grassroots share of visits rises, and up-referrals with it",
            expected_zh="基层诊疗量占比上升，上转人次随之上升",
        ),
    ] = Field(default_factory=list)
    """Conditions (of the facts about care) whose first needs begin at a grassroots institution, not at a hospital or
    outside. Emergencies bypass, long-term patients keep their usual place, who is refused there may try elsewhere."""


class Contracts(Closed):
    """Family-doctor contracts."""

    noun: ClassVar[str] = "lever"

    coverage: Annotated[
        Chance | None,
        Lever(
            m="M03",
            title="Residents with a family-doctor contract",
            title_zh="家庭医生签约率",
            unit="share of residents",
            low=0,
            high=1,
            room="population",
            through="whether a resident is contracted, and with it the door chosen and the priority held",
            expected="the grassroots share of visits rises",
            expected_zh="基层诊疗量占比上升",
        ),
    ] = None
    """Share of residents under contract; None: as surveyed, from the facts about the population."""

    coverage_in: Annotated[
        dict[Name, Chance],
        Lever(
            m="M03",
            title="Residents with a family-doctor contract, by area",
            title_zh="分区域家庭医生签约率",
            unit="share of the area's residents",
            low=0,
            high=1,
            names="areas",
            room="population",
            through="whether a resident of the area is contracted",
            expected="the grassroots share of visits rises, among the area's residents alone",
            expected_zh="该区域居民的基层诊疗量占比上升",
        ),
    ] = Field(default_factory=dict)
    """Share of residents under contract in some areas (of the network); areas without one follow `coverage`."""

    coverage_key: Annotated[
        Chance | None,
        Lever(
            m="M03",
            title="Key population with a family-doctor contract",
            title_zh="重点人群签约率",
            unit="share of the key population",
            low=0,
            high=1,
            room="population",
            through="whether a resident of 60 or older is contracted",
            expected="the grassroots share of visits rises",
            expected_zh="基层诊疗量占比上升",
        ),
    ] = None
    """Share of the key population (60 and older) under contract, in every area; None: as all residents."""

    used: Annotated[
        Chance | None,
        Lever(
            m="M03",
            title="Contracts that are really used",
            title_zh="签约真实利用率",
            unit="share of contracts",
            low=0,
            high=1,
            room="population",
            through="whether a contract acts on the door chosen and on priority",
            expected="the grassroots share of visits rises",
            expected_zh="基层诊疗量占比上升",
        ),
    ] = None
    """Share of contracted residents who turn to their family doctor; None: as surveyed. Only used contracts act."""


class SlotQuota(Closed):
    """Outpatient slots of the lead hospital passed down to family doctors and grassroots institutions."""

    noun: ClassVar[str] = "lever"

    held_for_referral: Annotated[
        Share,
        Lever(
            m="M04",
            title="Outpatient slots held for referred patients",
            title_zh="下沉门诊号源比例",
            unit="share of slots",
            low=0,
            high=1,
            room="slots",
            through="slots of each session that only formally referred patients may book until they are released",
            expected="referred patients wait fewer days, others more; nothing happens where slots are not scarce",
            expected_zh="经转诊患者预约等候天数减少，其他患者增加；号源充裕时无影响",
        ),
    ] = Fraction(0)
    """Share of each session's slots held for formally referred patients; exact, so 1/3 of 30 slots is 10. Of ordinary
    clinics: expert clinics have a quota of their own (expert_quota)."""

    released_days_before: Annotated[
        int,
        Lever(
            m="M04",
            title="Release of unused held slots",
            title_zh="未用下沉号源提前释放天数",
            unit="days",
            low=0,
            high=14,
            room="slots",
            through="the day before a session on which its unused held slots open to everybody",
            expected="later release leaves more slots unused and the wait of others longer",
            expected_zh="释放越晚，空号越多，其他患者等候越久",
        ),
    ] = 1
    """Whole days before the session at which unused held slots open to everybody; 0: on the day itself."""


class ExpertQuota(Closed):
    """Slots of the lead hospital's expert clinics passed down to family doctors."""

    noun: ClassVar[str] = "lever"

    held_for_referral: Annotated[
        Share,
        Lever(
            m="M04",
            title="Expert slots held for referred patients",
            title_zh="下沉专家号源比例",
            unit="share of slots",
            low=0,
            high=1,
            room="slots",
            through="slots of expert clinics that only formally referred patients may book until they are released",
            expected="more referred patients see an expert, fewer others; nothing happens where slots are not scarce",
            expected_zh="经转诊患者看上专家号的增多，其他患者减少；专家号源充裕时无影响",
        ),
    ] = Fraction(0)
    """Share of each session's slots in the lead hospital's expert clinics held for formally referred patients; what is
    left of it is released with the ordinary clinics' held slots (slot_quota.released_days_before)."""


class ImagingQuota(Closed):
    """Exam slots of the lead hospital's large equipment (CT, MR, endoscopy) passed down."""

    noun: ClassVar[str] = "lever"

    held_for_referral: Annotated[
        Share,
        Lever(
            m="M14",
            title="Exam slots of large equipment held for referred patients",
            title_zh="大型医用设备下沉检查号源比例",
            unit="share of slots",
            low=0,
            high=1,
            room="slots",
            through="exam slots that only referred patients and other members of the group may book until they are "
            "released",
            expected="referred patients wait fewer days for an exam, others more; nothing happens where slots are not "
            "scarce",
            expected_zh="经转诊患者大型设备检查预约等候天数减少，其他患者增加；检查号源充裕时无影响",
        ),
    ] = Fraction(0)
    """Share of each session's exam slots held for formally referred patients and for orders of the group's other
    institutions; what is left of it is released with the clinics' held slots (slot_quota.released_days_before)."""


class BedQuota(Closed):
    """Beds of the lead hospital passed down to family doctors and grassroots institutions."""

    noun: ClassVar[str] = "lever"

    held_for_referral: Annotated[
        Share,
        Lever(
            m="M05",
            title="Beds held for referred patients",
            title_zh="下沉住院床位比例",
            unit="share of beds",
            low=0,
            high=1,
            room="beds",
            through="beds of each ward that other elective patients may not take while they are held",
            expected="referred patients wait less for a bed, others more; occupancy falls where beds are scarce",
            expected_zh="经转诊患者候床缩短，其他患者延长；床位紧张时床位使用率下降",
        ),
    ] = Fraction(0)
    """Share of each ward's beds held for formally referred patients; exact."""

    released_after_hours: Annotated[
        float,
        Lever(
            m="M05",
            title="Release of empty held beds",
            title_zh="空置下沉床位释放时限",
            unit="hours",
            low=0,
            room="beds",
            through="how long a held bed stands empty before anybody may take it",
            expected="later release lowers occupancy and lengthens the wait of others",
            expected_zh="释放越晚，床位使用率越低，其他患者候床越久",
        ),
    ] = 24.0
    """Hours a held bed stands empty before it opens to everybody; of the kind `release` alone."""

    kind: Annotated[
        BedQuotaKind,
        Lever(
            m="M05",
            title="Kind of bed quota",
            title_zh="下沉床位管理方式",
            unit="kind of quota",
            room="beds",
            through="which beds a patient may take: open or held ones, or any as long as enough stay free",
            expected="where beds are scarce, others wait longer for a bed under partition or protection than under "
            "release, and occupancy falls",
            expected_zh="床位紧张时，与限时释放相比，分区或保护管理下其他患者候床延长，床位使用率下降",
        ),
    ] = "release"
    """What the quota does. `release`: empty held beds open after some hours. `partition`: never; the referred use held
    beds only, all others open ones only. `protect`: nothing is held, but who is neither referred nor an emergency is
    admitted only while more beds are free than the quota."""


class Priority(Closed):
    """Who comes first."""

    noun: ClassVar[str] = "lever"

    referred_contracted: Annotated[
        bool,
        Lever(
            m="M06",
            title="Referred residents under contract come first",
            title_zh="经转诊签约居民优先",
            unit="yes or no",
            room="journey",
            through="the class of a patient in waiting rooms, bookings and bed lists",
            expected="referred contracted residents wait less, everybody else slightly more",
            expected_zh="经转诊签约居民等候缩短，其他患者略有延长",
        ),
    ] = False
    """Whether contracted residents whom a grassroots institution referred come before others, in visits and beds."""


class UpReferral(Closed):
    """How patients are sent up."""

    noun: ClassVar[str] = "lever"

    formal_share: Annotated[
        Chance,
        Lever(
            m="M07",
            title="Use of the formal channel for up-referral",
            title_zh="正式上转渠道使用率",
            unit="share of needed referrals",
            low=0,
            high=1,
            room="referral",
            through="whether the doctor books for the patient or the patient simply goes",
            expected="formal up-referrals and the use of held slots and beds rise",
            expected_zh="正式上转人次及下沉号源、床位使用率上升",
        ),
    ] = 0.0
    """Of the visits whose need exceeds what the place can do, the share in which the doctor uses the formal channel."""

    accepted: Annotated[
        Chance,
        Lever(
            m="M07",
            title="Up-referrals accepted",
            title_zh="上转接收率",
            unit="share of requests",
            low=0,
            high=1,
            room="referral",
            through="whether the receiving hospital takes the request",
            expected="completed up-referrals rise, declined ones fall",
            expected_zh="完成的上转人次上升，被拒人次下降",
        ),
    ] = 1.0
    """Share of formal requests that the receiving hospital accepts."""

    platform_delay_days: Annotated[
        float,
        Lever(
            m="M07",
            title="Delay on the referral platform",
            title_zh="转诊平台处理时间",
            unit="days",
            low=0,
            high=30,
            room="referral",
            through="the time between the doctor's request and the receiving hospital's answer",
            expected="a longer delay lengthens the way to care",
            expected_zh="处理越慢，就医越迟",
        ),
    ] = 0.0
    """Mean days between a formal request and the answer."""

    to_partner: Annotated[
        Chance,
        Lever(
            m="M32",
            title="Referral to partners outside the area",
            title_zh="向域外合作医院转诊比例",
            unit="share of needs beyond the group's hospitals",
            low=0,
            high=1,
            room="referral",
            through="whether a lead hospital that cannot help, nor any hospital of its group, refers the patient to a "
            "partner outside",
            expected="formal referrals out of the area rise, patients who simply leave it fall; the wait for a bed "
            "outside falls where partners have one sooner",
            expected_zh="正式转往域外人次上升，自行外出就医人次下降；合作医院更早有床时，域外候床缩短",
        ),
    ] = 0.0
    """Of the visits to clinics of lead hospitals whose need no hospital of the group can meet, the share in which the
    doctor refers the patient to a partner hospital outside the area, which takes everybody who comes."""


class Shared(Closed):
    """Specialists of the lead hospital at the service of grassroots members."""

    noun: ClassVar[str] = "lever"

    remote_consultation: Annotated[
        Chance,
        Lever(
            m="M11",
            title="Remote consultation",
            title_zh="远程会诊率",
            unit="share of needs beyond the place",
            low=0,
            high=1,
            room="referral",
            through="whether a need beyond a grassroots member is settled there, with a specialist on the screen",
            expected="up-referrals and visits to hospitals fall, the grassroots share rises",
            expected_zh="上转人次和医院诊疗量下降，基层诊疗量占比上升",
        ),
    ] = 0.0
    """Of the visits to grassroots members of a group whose need, no bed, exceeds what the place can do, the share that
    a remote consultation settles on the spot."""

    specialist_settles: Annotated[
        Chance,
        Lever(
            m="M15",
            title="Needs settled by a seconded specialist or a joint clinic",
            title_zh="下派专家、联合门诊就地解决率",
            unit="share of needs beyond the place",
            low=0,
            high=1,
            room="referral",
            through="whether a need beyond a grassroots member is settled there by a specialist of the lead hospital",
            expected="up-referrals and visits to hospitals fall, the grassroots share rises",
            expected_zh="上转人次和医院诊疗量下降，基层诊疗量占比上升",
        ),
    ] = 0.0
    """The same by specialists who are seconded, or sit in joint clinics that the network does not name; their time is
    `specialists_away`."""

    specialists_away: Annotated[
        Share,
        Lever(
            m="M10",
            title="Specialists' time away from the lead hospital",
            title_zh="牵头医院专家下沉工时占比",
            unit="share of doctors",
            low=0,
            high=1,
            room="sessions",
            through="doctors and slots in the sessions of the lead hospital's clinics",
            expected="waits at the lead hospital rise",
            expected_zh="牵头医院等候时间延长",
        ),
    ] = Fraction(0)
    """Share of the outpatient doctors of a lead hospital who work elsewhere: its clinics have so many doctors and slots
    less. Those who hold the joint clinics of the network (`joint_clinics`) come on top."""

    joint_clinics: Annotated[
        Share,
        Lever(
            m="M10",
            title="Joint clinics held",
            title_zh="联合门诊开设率",
            unit="share of planned slots",
            low=0,
            high=1,
            room="slots",
            through="slots of joint clinics at grassroots members, and doctors and slots that the lead hospital goes "
            "without for them",
            expected="visits for specialist care move from hospitals to the grassroots, whose share rises; waits at "
            "the lead hospital's clinics of that department lengthen where they are scarce",
            expected_zh="专科诊疗由医院转向基层，基层诊疗量占比上升；牵头医院该科室号源紧张时候诊延长",
        ),
    ] = Fraction(0)
    """Share of the slots of the network's joint clinics that is offered, session by session in whole slots (rounded,
    halves to even), to residents whose need, no bed, exceeds a grassroots member of the group. The ordinary clinic of
    the lead hospital whose doctors hold them goes without their time, at most 95 per cent of its own."""

    joint_wards: Annotated[
        Share,
        Lever(
            m="M09",
            title="Beds of joint wards run",
            title_zh="联合病房床位启用率",
            unit="share of beds",
            low=0,
            high=1,
            room="beds",
            through="beds at grassroots members with the care of the lead hospital, for those who would be sent up to "
            "it, and for its patients who step down",
            expected="admissions of grassroots institutions rise, occupancy of the lead hospital falls where its beds "
            "are scarce",
            expected_zh="基层住院人次上升；牵头医院床位紧张时其病床使用率下降",
        ),
    ] = Fraction(0)
    """Share of the beds of each joint ward of the network that is run (rounded half up), for residents seen at a
    grassroots member of the group who need a bed and more than the place gives, and for stays of the lead hospital that
    step down. When it falls nobody is evicted: beds go as patients leave them."""


class Chronic(Closed):
    """Long-term patients."""

    noun: ClassVar[str] = "lever"

    sent_down: Annotated[
        Chance,
        Lever(
            m="M08",
            title="Stable long-term patients handed to the grassroots",
            title_zh="稳定期慢性病患者下转率",
            unit="share of stable long-term patients",
            low=0,
            high=1,
            room="referral",
            through="the usual place of a long-term patient whom a hospital of a group has found stable",
            expected="visits of long-term patients move from hospitals to the grassroots, whose share rises",
            expected_zh="慢性病患者就诊由医院转向基层，基层诊疗量占比上升",
        ),
    ] = 0.0
    """Of long-term patients whose follow-up at a hospital of a medical group shows no need beyond a community centre,
    the share who are followed up at the grassroots from then on."""

    long_prescription: Annotated[
        Chance,
        Lever(
            m="M34",
            title="Long prescriptions",
            title_zh="长期处方率",
            unit="share of long-term patients",
            low=0,
            high=1,
            room="demand",
            through="every second follow-up of a long-term patient, which is not needed any more",
            expected="visits of long-term patients fall",
            expected_zh="慢性病患者就诊人次下降",
        ),
    ] = 0.0
    """Share of long-term patients whose prescription lasts twice as long: every second follow-up falls away."""

    refill_at_grassroots: Annotated[
        Chance,
        Lever(
            m="M34",
            title="Prescriptions that flow to the grassroots",
            title_zh="处方流转至基层比例",
            unit="share of refills",
            low=0,
            high=1,
            room="doors",
            through="the door of a visit for a prescription alone, whoever wrote it",
            expected="visits to hospitals fall, the grassroots share rises",
            expected_zh="医院诊疗量下降，基层诊疗量占比上升",
        ),
    ] = 0.0
    """Share of visits for a prescription alone that go to a grassroots door although a hospital is the usual place."""

    care_centre: Annotated[
        Chance,
        Lever(
            m="M38",
            title="Enrolled at a chronic-care centre",
            title_zh="慢病管理中心建档管理率",
            unit="share of long-term patients",
            low=0,
            high=1,
            room="demand",
            through="who is called back after a missed follow-up, and the usual place",
            expected="missed follow-ups and exacerbations fall, follow-ups move from hospitals to the grassroots",
            expected_zh="缺失的随访和急性加重减少，随访由医院转向基层",
        ),
    ] = 0.0
    """Share of long-term patients enrolled at a centre: they are followed up at their grassroots door, and called back
    when they miss a follow-up."""

    internet: Annotated[
        Chance,
        Lever(
            m="M11",
            title="Follow-ups on the internet",
            title_zh="慢性病互联网复诊比例",
            unit="share of follow-ups",
            low=0,
            high=1,
            room="demand",
            through="the follow-up of a stable long-term patient of a hospital: no slot, no travel, no wait",
            expected="outpatient visits of hospitals in person fall, and so do waits there",
            expected_zh="医院线下门诊量和等待时间下降",
        ),
    ] = 0.0
    """Share of follow-ups of stable long-term patients of hospitals that are made online; the hospital counts them as
    internet visits."""


class Exams(Closed):
    """Tests and images."""

    noun: ClassVar[str] = "lever"

    recognised: Annotated[
        Chance,
        Lever(
            m="M12",
            title="Recognition of exam results",
            title_zh="检查检验结果互认率",
            unit="share of results brought along",
            low=0,
            high=1,
            room="care",
            through="whether an exam is repeated that another institution has made for the same episode",
            expected="repeated exams fall",
            expected_zh="重复检查减少",
        ),
    ] = 0.0
    """Of the results that another institution has found in the same episode and that would not be trusted, the share
    that is recognised."""

    read_remotely: Annotated[
        Chance,
        Lever(
            m="M12",
            title="Exams made below and read by the group",
            title_zh="基层检查、上级诊断率",
            unit="share of exams a grassroots member cannot read itself",
            low=0,
            high=1,
            room="care",
            through="whether a grassroots member makes a same-visit exam that else only a hospital would make",
            expected="up-referrals and exams at hospitals fall, the grassroots share and the time spent there rise",
            expected_zh="上转人次和医院检查量下降，基层诊疗量占比和基层就诊时间上升",
        ),
    ] = 0.0
    """Of the same-visit exams that a hospital would make and a grassroots member of a group would not, the share that
    the member makes and the group's reading centre reads."""


class Tcm(Closed):
    """Chinese medicine at the grassroots."""

    noun: ClassVar[str] = "lever"

    halls: Annotated[
        float,
        Lever(
            m="M35",
            title="TCM halls and corners",
            title_zh="中医馆、中医阁吸引力",
            unit="yuan a visit is worth more",
            low=0,
            room="choice",
            through="utility of grassroots doors for conditions suited to Chinese medicine",
            expected="the grassroots share of visits for these conditions rises",
            expected_zh="中医适宜病症的基层诊疗量占比上升",
        ),
    ] = 0.0
    """What a visit for a condition suited to Chinese medicine is worth more at a grassroots institution, in yuan."""


class Emergency(Closed):
    """The way of emergencies."""

    noun: ClassVar[str] = "lever"

    rescue_bypass: Annotated[
        Chance,
        Lever(
            m="M31",
            title="Rescue centres",
            title_zh="急危重症救治中心直达率",
            unit="share of critical emergencies",
            low=0,
            high=1,
            room="doors",
            through="the door of an emergency for which there are rescue centres",
            expected="emergency visits at the lead hospital rise, transfers between emergency departments fall",
            expected_zh="牵头医院急诊量上升，急诊转院减少",
        ),
    ] = 0.0
    """Share of emergencies of the kinds that rescue centres treat whom the ambulance takes to the lead hospital at
    once."""

    rescue_centres: Annotated[
        list[RescueCentre],
        Lever(
            m="M31",
            title="Rescue centres there are",
            title_zh="已建成的急危重症救治中心",
            unit="rescue centres",
            room="doors",
            through="for which emergencies the ambulance goes to the lead hospital at once",
            expected="with fewer centres emergency visits at the lead hospital fall",
            expected_zh="救治中心越少，牵头医院急诊量越低",
        ),
    ] = Field(default_factory=lambda: list(RESCUE_CENTRES))
    """Which of the five rescue centres the lead hospital has (chest_pain, stroke, trauma, maternal, newborn); all of
    them where nothing else is said. They act through `rescue_bypass`."""


class DownReferral(Closed):
    """How inpatients come down after the acute phase."""

    noun: ClassVar[str] = "lever"

    proposed: Annotated[
        Chance,
        Lever(
            m="M08",
            title="Down-referral proposed",
            title_zh="下转建议率",
            unit="share of eligible inpatients",
            low=0,
            high=1,
            room="referral",
            through="whether an eligible inpatient is offered a bed further down at the end of the acute phase",
            expected="stay at the lead hospital falls, stay per episode rises slightly, beds below fill",
            expected_zh="牵头医院平均住院日下降，全程住院日略升，下级床位使用率上升",
        ),
    ] = 0.0
    """Share of eligible inpatients to whom the doctor proposes to step down."""

    consented: Annotated[
        Chance,
        Lever(
            m="M08",
            title="Consent to down-referral",
            title_zh="下转同意率",
            unit="share of proposals",
            low=0,
            high=1,
            room="referral",
            through="whether the patient follows the proposal",
            expected="down-referrals rise",
            expected_zh="下转人次上升",
        ),
    ] = 1.0
    """Share of those proposals that the patient follows."""


class DayCare(Closed):
    """Planned inpatients who are treated in a day."""

    noun: ClassVar[str] = "lever"

    share: Annotated[
        Chance,
        Lever(
            m="M30",
            title="Suitable planned stays done in a day",
            title_zh="适宜患者日间手术、日间化疗比例",
            unit="share of suitable planned stays",
            low=0,
            high=1,
            room="theatres",
            through="whether a planned patient who suits a day centre is treated there, without a bed of a ward",
            expected="beds are used less and planned patients wait less for one; the average length of stay falls "
            "where a day case counts as a day, and rises where day cases are left out",
            expected_zh="床位占用减少，择期患者等床缩短；日间病例按1天计入时平均住院日下降，不计入时上升",
        ),
    ] = 0.0
    """Of planned patients whose stay suits a day centre (conditions say how many), the share who are treated at that of
    the hospital which is to admit them, if it has one and a place within the patient's patience; the others get a
    bed."""


class Payment(Closed):
    """What institutions are paid for care."""

    noun: ClassVar[str] = "lever"

    same_disease: Annotated[
        list[Name],
        Lever(
            m="M17",
            title="Conditions paid alike at every level",
            title_zh="同病同付病种",
            unit="conditions",
            names="conditions",
            room="money",
            through="ledger: no patient; what fund and patient pay for a stay with one of these conditions",
            expected="ledger: such a stay is paid as at the lowest level of the network that treats it; hospitals "
            "above that level lose the difference",
            expected_zh="账目：此类住院按网络内能收治的最低级别机构的标准支付，更高级别医院承担差额",
        ),
    ] = Field(default_factory=list)
    """Conditions (of the facts about care) whose stays are paid the same at every level: the lowest fee among the
    places of the network that have a ward for them, times the case weight."""

    points: Annotated[
        bool,
        Lever(
            m="M20",
            title="Stays paid by points",
            title_zh="住院按病种分值付费",
            unit="yes or no",
            room="accounts",
            through="ledger: no patient; how the fund's money for stays is shared out among institutions",
            expected="ledger: what the fund pays in all stays the same; institutions whose cases are dear for their "
            "weight get less, the others more",
            expected_zh="账目：基金住院支付总额不变；同等权重下费用偏高的机构所得减少，其他机构增加",
        ),
    ] = False
    """Whether the fund pays institutions of the area for stays by points: each month what it owes for all of them, by
    scheme, is shared out in proportion to case weights."""

    fee_follows_place: Annotated[
        bool,
        Lever(
            m="M16",
            title="Fees of the place where care is given",
            title_zh="按实际诊疗地点收费",
            unit="yes or no",
            room="money",
            through="ledger: no patient; fee and price of a visit to a joint clinic and of a stay in a joint ward",
            expected="ledger: they cost the place's fee instead of the lead hospital's; the district pays the "
            "difference of consultation fees for visits",
            expected_zh="账目：联合门诊、联合病房按所在机构收费而非牵头医院标准；诊金差额由区财政补偿",
        ),
    ] = False
    """Whether a visit to a joint clinic and a stay in a joint ward cost what the place takes; else what the lead
    hospital takes. The specialist keeps the consultation fee: the district pays the difference."""


class Insurance(Closed):
    """What the fund pays of residents' care."""

    noun: ClassVar[str] = "lever"

    continuous_deductible: Annotated[
        bool,
        Lever(
            m="M18",
            title="Deductible that goes on across a transfer",
            title_zh="集团内转诊起付线连续计算",
            unit="yes or no",
            room="money",
            through="consent to a step down, and the deductible of a stay that goes on in a ward below",
            expected="down-referrals rise; patients who step down pay less, the fund more",
            expected_zh="下转人次上升；下转患者自付减少，基金支出增加",
        ),
    ] = False
    """Whether what a patient has paid as deductible before stepping down counts where he goes on. What is saved at the
    nearest ward below adds to the log odds of consent (down_referral.consented), by `choice.per_100_yuan`."""

    visit_share: Annotated[
        dict[PlaceClass, Chance],
        Lever(
            m="M19",
            title="Share of a visit that the fund pays, by class of place",
            title_zh="分级差别化门诊报销比例",
            unit="share of the fee",
            low=0,
            high=1,
            room="money",
            through="the price of a visit, and with it the door that residents choose",
            expected="first contacts move to where the fund pays more: the grassroots share of visits rises where it "
            "pays more there or less at hospitals",
            expected_zh="首诊流向报销比例更高的机构：提高基层或降低医院报销比例，基层诊疗量占比上升",
        ),
    ] = Field(default_factory=dict)
    """Share of the fee of a visit that the fund pays for residents insured as such, by class of place; the patient
    pays the rest (employees `choice.price_employee` of that). Classes not named have the price of the base year."""

    stay_share: Annotated[
        dict[PlaceClass, Chance],
        Lever(
            m="M19",
            title="Share of a stay that the fund pays, by class of place",
            title_zh="分级差别化住院报销比例",
            unit="share of catalogue cost",
            low=0,
            high=1,
            room="money",
            through="ledger: no patient; fund and patients share the cost of stays otherwise",
            expected="ledger: where the fund pays a larger share of stays, patients pay less of them and the fund more",
            expected_zh="账目：住院报销比例提高的机构，患者自付减少，基金支出增加",
        ),
    ] = Field(default_factory=dict)
    """Share of a stay's cost in the catalogue, above the deductible, that the fund pays for residents insured as such,
    by class of place; of what that leaves it pays as much for employees as in the base year. Classes not named keep
    theirs."""

    without_referral: Annotated[
        Chance,
        Lever(
            m="M19",
            title="Less paid without a referral",
            title_zh="未经转诊报销比例降低幅度",
            unit="share of the fee",
            low=0,
            high=1,
            room="money",
            through="the price of hospital doors and of care outside to those who choose them, emergencies excepted",
            expected="the grassroots share of visits rises and visits to hospitals fall; more patients go up, who "
            "began below",
            expected_zh="基层诊疗量占比上升，医院诊疗量下降；基层首诊增加，上转人次随之上升",
        ),
    ] = 0.0
    """How much less of the fee the fund pays at hospitals and outside the area when nobody has referred the patient
    formally, emergencies excepted; nobody pays more than the fee."""


class Budget(Closed):
    """A budget for the care of a grid's residents, kept by its medical group."""

    noun: ClassVar[str] = "lever"

    per_head: Annotated[
        float,
        Lever(
            m="M20",
            title="Total budget of the medical group",
            title_zh="医疗集团医保总额预算",
            unit="yuan per resident and year",
            low=0,
            room="accounts",
            through="ledger: no patient; the account from which the care of the grid's residents is paid",
            expected="ledger: budget = spent + balance; care outside the group is spent, too",
            expected_zh="账目：预算=支出+结余；集团外就医同样计入支出",
        ),
    ] = 0.0
    """What the fund gives a medical group a year for each resident of its grid; 0: no budget. What the fund pays for
    their visits and stays, wherever they are, is spent of it."""

    surplus_kept: Annotated[
        Chance,
        Lever(
            m="M20",
            title="Surplus that the group keeps",
            title_zh="结余留用比例",
            unit="share of the surplus",
            low=0,
            high=1,
            room="accounts",
            through="ledger: no patient; who has what is left of a year's budget",
            expected="ledger: the group keeps this share of a surplus, the fund the rest",
            expected_zh="账目：结余按此比例留归集团，其余归基金",
        ),
    ] = 0.0
    """Share of what is left of a year's budget that the group keeps, as in force at the end of the year."""

    overrun_shared: Annotated[
        Chance,
        Lever(
            m="M20",
            title="Overrun that the group bears",
            title_zh="超支分担比例",
            unit="share of the overrun",
            low=0,
            high=1,
            room="accounts",
            through="ledger: no patient; who pays what a year costs beyond its budget",
            expected="ledger: the group pays this share of an overrun, the fund the rest",
            expected_zh="账目：超支按此比例由集团承担，其余由基金承担",
        ),
    ] = 0.0
    """Share of what a year costs beyond its budget that the group pays, as in force at the end of the year."""

    public_health_per_head: Annotated[
        float,
        Lever(
            m="M21",
            title="Public-health fund packed with the budget",
            title_zh="打包的基本公共卫生经费",
            unit="yuan per resident and year",
            low=0,
            room="accounts",
            through="ledger: no patient; the account of the medical group",
            expected="ledger: the account has so much more; what public health costs is not simulated",
            expected_zh="账目：集团账户相应增加；公共卫生服务成本未模拟",
        ),
    ] = 0.0
    """Public-health money a year for each resident of the grid that is packed with the budget; 0: none."""


class Prices(Closed):
    """A review of prices."""

    noun: ClassVar[str] = "lever"

    visit_factor: Annotated[
        dict[PlaceClass, Factor],
        Lever(
            m="M39",
            title="Fees of visits after a price review",
            title_zh="门诊收费调整系数",
            unit="factor on fees",
            low=0,
            room="money",
            through="what visits cost from a date on, patient and fund alike, and the door that residents choose",
            expected="the cost of visits there changes by this factor; first contacts leave what has become dearer",
            expected_zh="该类机构门诊费用按此系数变化；首诊离开涨价的机构",
        ),
    ] = Field(default_factory=dict)
    """Factor on the fee of a visit, by class of place (village_station, clinic, township, community, secondary,
    tertiary, outside); those not named keep theirs. The patient's part of it changes alike."""

    stay_factor: Annotated[
        dict[PlaceClass, Factor],
        Lever(
            m="M39",
            title="Fees of stays after a price review",
            title_zh="住院收费调整系数",
            unit="factor on fees",
            low=0,
            room="money",
            through="ledger: no patient; what stays cost that end from a date on",
            expected="ledger: the cost of stays there changes by this factor",
            expected_zh="账目：该类机构住院费用按此系数变化",
        ),
    ] = Field(default_factory=dict)
    """Factor on the fee of a stay, by class of place; those not named keep theirs."""


class Alarms(Closed):
    """Thresholds of early warning on a fund."""

    noun: ClassVar[str] = "lever"

    outside_share: Annotated[
        Chance | None,
        Lever(
            m="M22",
            title="Alarm: money that leaves the area",
            title_zh="预警：域外基金支出占比",
            unit="share of a month's fund spending",
            low=0,
            high=1,
            room="accounts",
            through="alarm: nobody",
            expected="alarm: told for each month in which more of the fund's money for a grid's residents is spent "
            "outside the area",
            expected_zh="预警：某月网格居民基金支出中域外占比超过该值即提示",
        ),
    ] = None
    """Share of the fund's spending for a grid's residents in a month that may be spent outside the area; None: no
    alarm."""

    cost_growth: Annotated[
        float | None,
        Lever(
            m="M22",
            title="Alarm: growth of cost",
            title_zh="预警：医疗费用增长率",
            unit="growth over the same month of the year before",
            low=0,
            room="accounts",
            through="alarm: nobody",
            expected="alarm: told for each month in which the cost of a grid's residents has grown by more in a year",
            expected_zh="预警：网格居民医疗费用同比增长超过该值即提示",
        ),
    ] = None
    """Growth of the cost of care of a grid's residents over the same month of the year before; None: no alarm."""

    fund_use: Annotated[
        float | None,
        Lever(
            m="M22",
            title="Alarm: use of the budget",
            title_zh="预警：预算使用率",
            unit="share of the budget so far",
            low=0,
            room="accounts",
            through="alarm: nobody",
            expected="alarm: told for each month by whose end more than this share of the budget due so far this year "
            "is spent",
            expected_zh="预警：年内累计支出占应计预算的比例超过该值即提示",
        ),
    ] = None
    """Spending this year over the budget due by the end of the month; None: no alarm."""


class Capability(Closed):
    """What grassroots institutions become able to do."""

    noun: ClassVar[str] = "lever"

    standard: Annotated[
        dict[ReachedStandard, Chance],
        Lever(
            m="M24",
            title="Grassroots institutions that have reached a standard",
            title_zh="“优质服务基层行”达标率",
            unit="share of centres that have reached it",
            low=0,
            high=1,
            room="capability",
            through="whether a need one level beyond a centre of a group, no emergency, is met there after all",
            expected="up-referrals and visits to hospitals fall, the grassroots share rises",
            expected_zh="上转人次和医院诊疗量下降，基层诊疗量占比上升",
        ),
    ] = Field(default_factory=dict)
    """Share of the centres and sub-centres of groups that have reached a standard (basic, recommended,
    community_hospital) or a higher one, in whole institutions. Those that the facts state come first; nobody falls
    below what the facts state. A standard that is not named is reached by those in the facts alone."""

    feature_departments: Annotated[
        Chance,
        Lever(
            m="M25",
            title="Grassroots institutions with a feature department",
            title_zh="建成特色科室的基层机构占比",
            unit="share of centres",
            low=0,
            high=1,
            room="capability",
            through="what a visit for the department's conditions is worth at such a centre, and whether their needs "
            "one level beyond it are met there after all",
            expected="visits for the department's conditions move to these centres, whose share of them rises; some of "
            "their needs beyond the place are met there",
            expected_zh="特色科室病种的诊疗向设有该科室的基层机构集中，其占比上升；部分超出原能力的需求就地解决",
        ),
    ] = 0.0
    """Share of the centres and sub-centres of groups that have a feature department, in whole institutions, as far as
    the facts say which department it would be."""

    sub_centres: Annotated[
        list[Name],
        Lever(
            m="M28",
            title="County-level medical sub-centres",
            title_zh="县域医疗分中心",
            unit="facilities",
            names="sub_centres",
            room="capability",
            through="the care that these centres give, their doctors and their beds",
            expected="visits and admissions of these centres rise, up-referrals and visits to hospitals fall",
            expected_zh="分中心诊疗人次和住院人次上升，上转人次和医院诊疗量下降",
        ),
    ] = Field(default_factory=list)
    """Centres and sub-centres that have become county-level medical sub-centres, of those of which the facts say what
    they gain (`as_sub_centre`: care, doctors, beds)."""


class Transformation(Closed):
    """Hospitals that change what they are for."""

    noun: ClassVar[str] = "lever"

    beds: Annotated[
        Share,
        Lever(
            m="M29",
            title="Acute beds turned into beds for those who step down",
            title_zh="急性期床位转为康复床位的比例",
            unit="share of beds",
            low=0,
            high=1,
            room="beds",
            through="beds of the wards that the facts name, which leave the acute ward and join the one for those who "
            "step down",
            expected="patients wait less for a bed below and more of them step down; others wait longer for the acute "
            "beds that are left where these are scarce",
            expected_zh="等候下级床位缩短，下转人次上升；剩余急性期床位紧张时，其他患者候床延长",
        ),
    ] = Fraction(0)
    """Share of the beds of each ward that states what they may become, rounded half up; a ward that has none left
    admits nobody. Nobody is evicted: beds go as patients leave them, and those below open at once."""


class Villages(Closed):
    """Village stations and their township."""

    noun: ClassVar[str] = "lever"

    public_health_share: Annotated[
        Chance | None,
        Lever(
            m="M27",
            title="Public-health tasks done by village stations",
            title_zh="村卫生室承担基本公共卫生服务任务占比",
            unit="share of tasks",
            low=0,
            high=1,
            room="staffing",
            through="the time that doctors of stations, and those of the centre of their township, have for the clinic",
            expected="waits at village stations rise and their share of visits falls slightly; waits at centres fall "
            "slightly",
            expected_zh="村卫生室候诊延长、诊疗量占比略降；乡镇卫生院候诊略有缩短",
        ),
    ] = None
    """Share of the basic public-health tasks of each township that its stations do, as far as their time goes; the
    centre does the rest. None: as in the base year, from the facts about the network (`public_health`)."""

    integrated: Annotated[
        Chance,
        Lever(
            m="M26",
            title="Village stations integrated with their township",
            title_zh="乡村（镇村）一体化管理的村卫生室占比",
            unit="share of member stations",
            low=0,
            high=1,
            room="staffing",
            through="at village stations of members: needs that the centre's advice settles, prescriptions of centres "
            "collected there, and doctors shared with the centres (staff.shared)",
            expected="up-referrals and visits to hospitals fall slightly, visits for prescriptions move from centres "
            "to village stations",
            expected_zh="上转人次和医院诊疗量略降，取药由乡镇卫生院转向村卫生室",
        ),
    ] = 0.0
    """Share of the village stations of a group's members that are run as one with a centre of it: drugs, records and
    doctors in common. Which ones is a matter of chance; they stay so while the share rises."""


class Incentives(Closed):
    """What an assessment tied to pay adds to what doctors do for patients."""

    noun: ClassVar[str] = "lever"

    down_referral_gain: Annotated[
        float,
        Lever(
            m="M23",
            title="Incentive to propose a step down",
            title_zh="下转激励强度",
            unit="log odds",
            low=-5,
            high=5,
            room="referral",
            through="the chance that a doctor proposes a step down to an eligible inpatient",
            expected="down-referrals rise, the stay at the lead hospital falls",
            expected_zh="下转人次上升，牵头医院平均住院日下降",
        ),
    ] = 0.0
    """Log odds added to the share of eligible inpatients to whom the doctor proposes to step down
    (down_referral.proposed); a share of 0 or 1 does not move."""

    up_referral_gain: Annotated[
        float,
        Lever(
            m="M23",
            title="Incentive to use the formal channel",
            title_zh="正式上转激励强度",
            unit="log odds",
            low=-5,
            high=5,
            room="referral",
            through="the chance that a doctor sends a patient up through the formal channel",
            expected="formal up-referrals rise, patients who go up by themselves fall",
            expected_zh="正式上转人次上升，自行上转人次下降",
        ),
    ] = 0.0
    """Log odds added to the share of needed referrals that take the formal channel (up_referral.formal_share); a share
    of 0 or 1 does not move."""

    admission_gain: Annotated[
        float,
        Lever(
            m="M23",
            title="Incentive to admit planned patients",
            title_zh="择期收治激励强度",
            unit="log odds",
            low=-5,
            high=5,
            room="care",
            through="the chance that a clinic of a group's hospital or centre gives a bed to a planned patient",
            expected="admissions rise and outpatient visits per discharge fall, though nobody is iller; wards are "
            "fuller, and planned patients wait longer for a bed or find none",
            expected_zh="患者病情未变而入院人次上升，门诊人次与出院人次比下降；床位使用率上升，择期患者候床延长或住不上院",
        ),
    ] = 0.0
    """Log odds added to the chance that a planned patient whom a clinic of a medical group can treat gets one of its
    beds; emergencies and readmissions do not move."""


class Surge(Closed):
    """An epidemic, stated by date, and the graded response to it."""

    noun: ClassVar[str] = "lever"

    needs: Annotated[
        dict[Name, float],
        Lever(
            m="M41",
            title="Epidemic: first needs by condition",
            title_zh="疫情期间各病种首诊需要倍数",
            unit="times the usual number",
            low=0,
            names="conditions",
            room="demand",
            through="how many residents and visitors fall ill with these conditions",
            expected="visits and waits rise; where a queue is overloaded a backlog grows until the epidemic is over, "
            "and then goes",
            expected_zh="诊疗量和等候时间上升；超出服务能力时积压不断增加，疫情过后逐步消化",
        ),
    ] = Field(default_factory=dict)
    """How many times as many first needs arise of each condition named, by the day on which they arise: 3 = three
    times as many, 0.5 = every second one. What there is without an epidemic stays, needs only come on top (or, below 1,
    fall away). Follow-ups of long-term patients are not meant. `ramp: linear` between dates makes a wave."""

    other_needs: Annotated[
        Chance,
        Lever(
            m="M41",
            title="Epidemic: other needs brought to care",
            title_zh="疫情期间其他病种就诊比例",
            unit="share of needs",
            low=0,
            high=1,
            room="journey",
            through="whether a need of a condition that `needs` does not name leads to a door at all",
            expected="the lower it is, the fewer visits and the more unmet need and missed follow-ups",
            expected_zh="比例越低，诊疗量越少，未满足需要和随访缺失越多",
        ),
    ] = 1.0
    """Of first needs and follow-ups with all other conditions, the share that people bring to care; the others stay
    away, which is unmet need, and of a follow-up one that is missed."""

    fever_clinics: Annotated[
        Chance,
        Lever(
            m="M41",
            title="Epidemic: fever clinics at the grassroots first",
            title_zh="疫情期间基层发热门诊首诊分流比例",
            unit="share of first needs",
            low=0,
            high=1,
            room="doors",
            through="the door of a first need with a condition that `needs` names, emergencies excepted",
            expected="the grassroots share of visits for these conditions rises, waits at hospitals fall",
            expected_zh="相关病症的基层诊疗量占比上升，医院候诊时间下降",
        ),
    ] = 0.0
    """Of the first needs with the conditions of the epidemic that would be taken to a hospital, the share directed to a
    grassroots institution first; with `first_contact.adherence` the larger of both acts."""

    planned_paused: Annotated[
        Chance,
        Lever(
            m="M41",
            title="Epidemic: planned admissions put off",
            title_zh="疫情期间暂缓的择期住院比例",
            unit="share of planned admissions",
            low=0,
            high=1,
            room="stays",
            through="whether a planned patient who asks for a bed has to wait until the pause is over",
            expected="fewer beds are taken while it is in force; planned patients wait longer, and some do without",
            expected_zh="实施期间占用床位减少；择期患者等床延长，部分患者未能住院",
        ),
    ] = 0.0
    """Of planned patients who ask for a bed, emergencies and the conditions of the epidemic excepted, the share put
    off: they wait until fewer are put off, or as long as their patience lasts."""


class Staff(Closed):
    """Doctors whom institutions of a group share."""

    noun: ClassVar[str] = "lever"

    shared: Annotated[
        Share,
        Lever(
            m="M37",
            title="Doctors shared by the group's centres",
            title_zh="集团内基层医师统筹调配比例",
            unit="share of doctors",
            low=0,
            high=1,
            room="staffing",
            through="doctors on duty at walk-in clinics of centres, of whom some work each week where most was asked "
            "of each in the last one",
            expected="waits at centres fall where their loads are unequal",
            expected_zh="各基层机构负荷不均时，候诊缩短",
        ),
    ] = Fraction(0)
    """Share of the doctors of each walk-in clinic, in whole doctors, who go each Monday to that of the same department
    where most was asked of each doctor in the week before: among a group's centres and sub-centres, and the village
    stations that are integrated with them. Each clinic keeps one doctor, and has never more than twice its own."""


class Private(Closed):
    """Private institutions."""

    noun: ClassVar[str] = "lever"

    members: Annotated[
        list[Name],
        Lever(
            m="M36",
            title="Private institutions that have joined a group",
            title_zh="加入医疗集团的社会办医疗机构",
            unit="private facilities",
            names="private",
            room="model",
            through="the formal channel, which leads up from them, and to them where they are hospitals of the group",
            expected="formal up-referrals from these institutions rise, patients who simply go from them fall; those "
            "that are hospitals take referrals and step-downs of the group",
            expected_zh="这些机构的正式上转增加，患者自行上转减少；其中的医院承接集团内转诊和下转",
        ),
    ] = Field(default_factory=list)
    """Private facilities that belong to the group which the facts allow them to join (`may_join`); one that is no
    longer named has left. Tables go on counting them outside the group."""


class Rules(Closed):
    """The plain value of every lever on one day; neutral where nothing is in force."""

    noun: ClassVar[str] = "group of levers"

    first_contact: FirstContact = FirstContact()
    """Where residents are to begin."""

    contracts: Contracts = Contracts()
    """Family-doctor contracts."""

    slot_quota: SlotQuota = SlotQuota()
    """Slots of the lead hospital held for referred patients."""

    expert_quota: ExpertQuota = ExpertQuota()
    """Slots of the lead hospital's expert clinics held for referred patients."""

    imaging_quota: ImagingQuota = ImagingQuota()
    """Exam slots of the lead hospital's large equipment held for referred patients."""

    bed_quota: BedQuota = BedQuota()
    """Beds of the lead hospital held for referred patients."""

    priority: Priority = Priority()
    """Who comes first."""

    up_referral: UpReferral = UpReferral()
    """How patients are sent up."""

    down_referral: DownReferral = DownReferral()
    """How inpatients come down."""

    shared: Shared = Shared()
    """Specialists at the service of grassroots members."""

    chronic: Chronic = Chronic()
    """Long-term patients."""

    exams: Exams = Exams()
    """Tests and images."""

    tcm: Tcm = Tcm()
    """Chinese medicine at the grassroots."""

    emergency: Emergency = Emergency()
    """The way of emergencies."""

    day_care: DayCare = DayCare()
    """Planned inpatients who are treated in a day."""

    payment: Payment = Payment()
    """What institutions are paid for care."""

    insurance: Insurance = Insurance()
    """What the fund pays of residents' care."""

    budget: Budget = Budget()
    """A budget for the care of a grid's residents."""

    prices: Prices = Prices()
    """A review of prices."""

    alarms: Alarms = Alarms()
    """Thresholds of early warning on a fund."""
    capability: Capability = Capability()
    """What grassroots institutions become able to do."""

    transformation: Transformation = Transformation()
    """Hospitals that change what they are for."""
    villages: Villages = Villages()
    """Village stations and their township."""
    incentives: Incentives = Incentives()
    """What an assessment tied to pay adds to what doctors do."""
    surge: Surge = Surge()
    """An epidemic, and the graded response to it."""

    staff: Staff = Staff()
    """Doctors whom institutions of a group share."""

    private: Private = Private()
    """Private institutions."""


NEUTRAL = Rules()
"""No policy at all."""


# ------------------------------------------------------------------------------------------------------------- levers


@dataclass(frozen=True, kw_only=True)
class LeverInfo(Lever):
    """A lever as `tiercare list levers` shows it."""

    name: str
    """Group and name, as scenario files nest them: slot_quota.held_for_referral."""

    meaning: str
    """What its value says."""

    neutral: Any
    """The value that changes nothing, used before the first date."""


@cache
def levers() -> list[LeverInfo]:
    """Every lever there is, in the order of the rules."""
    return [
        LeverInfo(
            **asdict(_split(hint)[1]),
            name=f"{group}.{name}",
            meaning=" ".join((kind.model_fields[name].description or "").split()),
            neutral=kind.model_fields[name].get_default(call_default_factory=True),
        )
        for group, kind in GROUPS.items()
        for name, hint in _hints(kind).items()
    ]


GROUPS: dict[str, type[Closed]] = {
    name: cast("type[Closed]", field.annotation) for name, field in Rules.model_fields.items()
}
"""The groups of levers by name."""


def _hints(group: type[Closed]) -> dict[str, Any]:
    """The declared type of each lever of a group, in order."""
    hints = get_type_hints(group, include_extras=True)
    return {name: hints[name] for name in group.model_fields}


def _split(hint: Any) -> tuple[Any, Lever]:
    """A lever's declaration as the type of its dated values and the lever itself."""
    kind, *notes = get_args(hint)
    lever = next(note for note in notes if isinstance(note, Lever))
    for note in notes:
        kind = kind if note is lever else Annotated[kind, note]
    return _present(kind), lever


def _present(kind: Any) -> Any:
    """The type without None: a dated value says something."""
    args = get_args(kind)
    return next(arg for arg in args if arg is not NoneType) if NoneType in args else kind


def _in_dates(group: type[Closed]) -> type[Closed]:
    """The same group with dates and sources instead of plain values."""
    fields: dict[str, Any] = {}
    for name, hint in _hints(group).items():
        kind, lever = _split(hint)
        meaning = Field(None, description=group.model_fields[name].description)
        dated: Any = Dated.__class_getitem__(kind)
        fields[name] = (Annotated[dated | None, AfterValidator(lever.fitting)], meaning)
    return create_model(f"Dated{group.__name__}", __base__=_InDates, __doc__=group.__doc__, **fields)


@documented
class _InDates(Closed):
    noun: ClassVar[str] = "lever"


class NotInForce(LookupError):
    """Somebody asked for a lever before its first date."""


def _all_in_dates() -> Any:
    """The groups of `Rules`, each with dates and sources; empty unless a scenario fills them."""
    fields: dict[str, Any] = {}
    for name, group in GROUPS.items():
        kind = _in_dates(group)
        fields[name] = (kind, Field(kind(), description=Rules.model_fields[name].description))
    return create_model("DatedRules", __base__=_InDates, **fields)


_DatedRules: Any = _all_in_dates()


class Policy(_DatedRules):  # type: ignore[misc]
    """Every lever that a scenario pulls, with dates and sources, in the groups of `Rules`."""

    noun: ClassVar[str] = "group of levers"

    def pulled(self) -> Iterator[tuple[str, str, Dated[Any]]]:
        """Group, name and dated values of every lever with a date."""
        for group in GROUPS:
            for name in GROUPS[group].model_fields:
                if dated := getattr(getattr(self, group), name):
                    yield group, name, dated

    def on(self, day: date) -> Rules:
        """The rules in force on a day, from 00:00: every lever, neutral before its first date."""
        values: dict[str, dict[str, Any]] = {group: {} for group in GROUPS}
        for group, name, dated in self.pulled():
            if (value := dated.on(day)) is not None:
                values[group][name] = value
        return Rules(**{group: GROUPS[group](**values[group]) for group in GROUPS})  # type: ignore[arg-type]

    def dates(self) -> list[date]:
        """The days on which the rules may differ from the day before, in order; on a ramp every day of it."""
        return sorted({day for _, _, dated in self.pulled() for day in dated.changes()})

    def departs(self, other: Policy, start: date) -> dict[str, date]:
        """Levers whose values differ from those of another policy on some day from `start` on; the first such day."""
        found = {}
        for group, name, *both in self._unlike(other):
            neutral = GROUPS[group].model_fields[name].get_default(call_default_factory=True)
            later = {day for dated in both if dated for day in dated.changes() if day > start}
            for day in sorted({start, *later}):
                mine, theirs = (_in_force(dated, day, neutral) for dated in both)
                if mine != theirs:
                    found[f"{group}.{name}"] = day
                    break
        return found

    def _unlike(self, other: Policy) -> Iterator[tuple[str, str, Dated[Any] | None, Dated[Any] | None]]:
        """Levers of which two policies do not say the same."""
        for group in GROUPS:
            ours, others = getattr(self, group), getattr(other, group)
            for name in GROUPS[group].model_fields if ours != others else ():
                mine, theirs = getattr(ours, name), getattr(others, name)
                if mine != theirs:
                    yield group, name, mine, theirs

    def asked(self, lever: str, day: date) -> Any:
        """The value of one lever on a day, for people: `NotInForce` before its first date, never a silent neutral."""
        names = [info.name for info in levers()]
        if lever not in names:
            text = f"No lever has this name.{did_you_mean(lever, names)}"
            raise InputError([Problem("The question", None, lever, text)])
        dated = {f"{group}.{name}": dated for group, name, dated in self.pulled()}.get(lever)
        if dated is None:
            raise NotInForce(f"{lever} is never in force in this policy.")
        if day < dated.dates[0]:
            raise NotInForce(f"{lever} is in force from {dated.dates[0]}; {day} is earlier.")
        return dated.on(day)

    def amended(self, change: Policy) -> Policy:
        """This policy with the dates of another on top; what the other does not mention stays in force."""
        groups = {}
        for group in GROUPS:
            mine, theirs = getattr(self, group), getattr(change, group)
            amended = {name: _amended(getattr(mine, name), getattr(theirs, name)) for name in type(mine).model_fields}
            groups[group] = mine.model_copy(update=amended)
        policy: Policy = self.model_copy(update=groups)
        return policy

    def only(self, groups: list[str]) -> Policy:
        """This policy without the levers of all other groups."""
        policy: Policy = self.model_copy(update={name: _NONE[name] for name in GROUPS if name not in groups})
        return policy


_NONE: dict[str, Closed] = dict(Policy())


def _in_force(dated: Dated[Any] | None, day: date, neutral: Any) -> Any:
    value = dated.on(day) if dated else None
    return neutral if value is None else value


def _amended(dated: Dated[Any] | None, change: Dated[Any] | None) -> Dated[Any] | None:
    if dated is None or change is None:
        return change or dated
    return dated.model_copy(update={"values": dated.values | change.values, "ramp": change.ramp or dated.ramp})
