"""Who goes up, who comes down: pure decisions over arrays."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sim import streams
from sim.citation import Figure
from sim.schema import Closed
from sim.streams import Floats, Keys, Purpose

TREATED, FORMAL, DECLINED, LAPSED, SELF, STAYS, TRANSFERRED, LEFT = range(8)
"""What comes of a visit: treated here; sent up through the formal channel; the receiving hospital declined; the patient
did not go; went up by himself; was advised to go and did not; an emergency taken on to another department; left without
being seen."""


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


def up(
    rules: UpRules, visit: Keys, world: NDArray[np.int64], beyond: NDArray[np.bool_], formal_possible: NDArray[np.bool_]
) -> NDArray[np.int64]:
    """What comes of each visit.

    `beyond`: the patient needs more than the place gives; `formal_possible`: the place has a formal channel.
    """
    outcome = np.full(len(visit), TREATED)
    who = np.flatnonzero(beyond)
    if not len(who):
        return outcome
    w, v = world[who], visit[who]
    formal = formal_possible[who] & (streams.uniform(v, Purpose.FORMAL) < rules.formal_share[w])
    accepted = streams.uniform(v, Purpose.ACCEPTED) < rules.accepted[w]
    goes = np.where(formal, rules.referred_arrive[w], rules.follows_advice[w])
    arrives = streams.uniform(v, Purpose.FOLLOWS_ADVICE) < goes
    by_channel = np.where(accepted, np.where(arrives, FORMAL, LAPSED), DECLINED)
    outcome[who] = np.where(formal, by_channel, np.where(arrives, SELF, STAYS))
    return outcome


def steps_down(proposed: float, consented: float, proposal: float, consent: float) -> bool:
    """Whether an eligible inpatient steps down: the doctor proposes it and the patient agrees.

    `proposal` and `consent`: the patient's luck.
    """
    return proposal < proposed and consent < consented
