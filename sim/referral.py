"""Who goes up, who comes down: pure decisions."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from sim import streams
from sim.citation import Figure
from sim.kernels import kernel
from sim.schema import Closed
from sim.streams import Floats, Purpose

TREATED, FORMAL, DECLINED, LAPSED, SELF, STAYS, TRANSFERRED, LEFT, PARTNER = range(9)
"""What comes of a visit: treated here; sent up through the formal channel; the receiving hospital declined; the patient
did not go; went up by himself; was advised to go and did not; an emergency taken on to another department; left without
being seen; referred to a partner hospital outside the area."""


NOBODY, REMOTE, SPECIALIST = range(3)
"""Who helps to settle a need where the patient is."""


class ReferralSpec(Closed):
    """How referrals go where no policy says otherwise."""

    referred_arrive: Figure
    """Share of accepted formal referrals that arrive."""
    to_lead: Figure
    """Share of formal referrals that a secondary hospital could treat and that go to the lead hospital all the same."""


@dataclass(frozen=True)
class UpRules:
    """The rules of going up in force, one number per replication, shape (W,)."""

    formal_share: Floats
    accepted: Floats
    delay_days: Floats
    referred_arrive: Floats
    follows_advice: Floats
    to_lead: Floats
    to_partner: Floats


@kernel
def up(rules: Any, visit: np.uint64, formal_possible: bool, partner_possible: bool) -> int:
    """What comes of a visit whose patient needs more than the place gives.

    `rules`: a row with the fields of `UpRules`; `formal_possible`: the place has a formal channel; `partner_possible`:
    the channel ends here, and no hospital of the group is able to help (M32).
    """
    if partner_possible and streams.uniform_of(visit, Purpose.PARTNER, 0) < rules["to_partner"]:
        arrives = streams.uniform_of(visit, Purpose.FOLLOWS_ADVICE, 0) < rules["referred_arrive"]
        return PARTNER if arrives else LAPSED
    if formal_possible and streams.uniform_of(visit, Purpose.FORMAL, 0) < rules["formal_share"]:
        if streams.uniform_of(visit, Purpose.ACCEPTED, 0) >= rules["accepted"]:
            return DECLINED
        arrives = streams.uniform_of(visit, Purpose.FOLLOWS_ADVICE, 0) < rules["referred_arrive"]
        return FORMAL if arrives else LAPSED
    goes = streams.uniform_of(visit, Purpose.FOLLOWS_ADVICE, 0) < rules["follows_advice"]
    return SELF if goes else STAYS


@kernel
def settled(rules: Any, visit: np.uint64) -> int:
    """By whose help a need beyond a grassroots member is settled there: NOBODY, REMOTE or SPECIALIST.

    `rules`: a row with remote_consultation and specialist_settles. The two act one after the other on those left.
    """
    luck = streams.uniform_of(visit, Purpose.SETTLED, 0)
    if luck < rules["specialist_settles"]:
        return SPECIALIST
    left = 1.0 - rules["specialist_settles"]
    return REMOTE if luck < rules["specialist_settles"] + left * rules["remote_consultation"] else NOBODY


@kernel
def handed_down(patient: np.uint64, share: float) -> bool:
    """Whether a long-term patient whom a hospital has found stable is followed up at the grassroots from now on."""
    return streams.uniform_of(patient, Purpose.SENT_DOWN, 0) < share


def inclined(chance: float, gain: float) -> float:
    """A chance with log odds added; what is never done, or always, stays so."""
    likely = chance * math.exp(gain)
    return likely / (likely + (1.0 - chance))


def steps_down(proposed: float, consented: float, proposal: float, consent: float) -> bool:
    """Whether an eligible inpatient steps down: the doctor proposes it and the patient agrees.

    `proposal` and `consent`: the patient's luck.
    """
    return proposal < proposed and consent < consented
