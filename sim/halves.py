"""The load of both halves of a quota before anything is simulated: held for referred patients, and open to all others.

The rules of the run's last day on the forecast's own flow: of needs beyond a place of a group, some go up through the
formal channel, the others by themselves as without one. A quota that is too large shows before the run: its open half
is offered more than it can do, and the other is not.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sim.beds import held_of
from sim.loads import YEAR, Forecast, Row
from sim.network import EMERGENCY_LAYER, IMAGING, ward_name
from sim.policy import Rules
from sim.referral import ReferralSpec
from sim.streams import Floats


@dataclass(frozen=True)
class Halves:
    """What one replication expects of its quotas."""

    forecast: Forecast
    rules: Rules
    """Those of the last day."""
    referral: ReferralSpec
    offers: NDArray[Any]
    """What facilities have for a condition (`doors.Place.offers`), with the wards of that day."""

    def rows(self) -> Iterator[Row]:
        """Two rows for each clinic and ward of lead hospitals of which something is held."""
        if self.rules.slot_quota.held_for_referral > 0:
            yield from self._clinics()
        if self.rules.bed_quota.held_for_referral > 0:
            yield from self._wards()

    def _wards(self) -> Iterator[Row]:
        """Bed-days. A bed held and released counts as held: others may lie in it while it is not needed."""
        net, forecast = self.forecast.network, self.forecast
        everybody, referred = forecast.bed_days(self._everybody), forecast.bed_days(self._referred)
        for i in np.flatnonzero(net.under_bed_quota).tolist():
            if i in everybody:
                facility = net.facilities[net.wards[i].facility].id
                (offered, part), (formal, _), beds = everybody[i], referred[i], int(forecast.capacities.beds[i])
                held = held_of(Fraction(self.rules.bed_quota.held_for_referral), beds)
                name, capacity = f"{facility}/{ward_name(net.wards[i])}", (held * YEAR * part, beds * YEAR * part)
                yield from _both(name, facility, "ward", (formal, offered), capacity)

    def _clinics(self) -> Iterator[Row]:
        """Slots of ordinary clinics. A held one is for a first visit: whoever is asked back books like all others.

        Expert clinics never have more than they can do: whoever finds no slot there goes to the ordinary one.
        """
        net, share = self.forecast.network, float(self.rules.slot_quota.held_for_referral)
        rows = {name: (offered, capacity) for name, _, _, offered, capacity in self.forecast.points(self._everybody)}
        for i, point in enumerate(net.points):
            planned = point.kind == "ordinary" and point.department not in IMAGING and point.layer < EMERGENCY_LAYER
            if net.is_lead[point.facility] and point.bookable and planned:
                facility = net.facilities[point.facility].id
                name = f"{facility}/{point.name}"
                offered, capacity = rows[name]
                seen, _ = rows.get(f"{name}_expert", (0.0, 0.0))
                formal = self._referred[point.facility, self.forecast.treated_at(i)].sum()
                formal -= min(formal * self.forecast.choice.prefers_expert[self.forecast.world], seen)
                yield from _both(name, facility, "clinic", (float(formal), offered), (share * capacity, capacity))

    # ---------------------------------------------------------------- the flow under the rules

    @cached_property
    def _everybody(self) -> Floats:
        """Contacts a year at every facility by all ways, (facilities + 1, conditions)."""
        own, formal = self._own
        share = self.rules.up_referral.formal_share
        return self.forecast.with_those_sent_up(own, own - share * formal) + self._by_the_channel

    @cached_property
    def _referred(self) -> Floats:
        """Of them those formally referred, emergency departments apart: there nobody counts as referred."""
        return np.where(self._urgent, 0.0, self._by_the_channel)

    @cached_property
    def _own(self) -> tuple[Floats, Floats]:
        """First contacts with persuasion and gate on top, and those from which a formal channel leads up."""
        net, choice, first = self.forecast.network, self.forecast.choice, self.rules.first_contact
        gated = np.isin(net.conditions, first.gate)
        adherence = np.where(gated, 1.0, float(first.adherence)) * ~choice.is_emergency
        everybody, residents = self.forecast.first_contacts(adherence)
        channel = ((net.group >= 0) & ~net.is_lead)[:, None] & ~self._urgent
        return everybody, residents * channel

    @cached_property
    def _by_the_channel(self) -> Floats:
        """Who arrives where the formal channel leads: a member of the group able to help, or the lead hospital."""
        net, offered, up = self.forecast.network, self.offers, self.rules.up_referral
        formal = self._own[1] * float(up.formal_share) * float(up.accepted) * self.referral.referred_arrive.value
        lead = np.append(net.lead_of_group, -1)[net.group]
        beyond = np.append(self.forecast.care.beyond[self.forecast.world], np.zeros((len(net.conditions), 1)), axis=1)
        found, condition = np.zeros_like(formal), np.arange(len(net.conditions))
        for need, exactly in enumerate((beyond[:, :-1] - beyond[:, 1:]).T, start=2):
            some = formal * exactly * (net.capability < need)
            member = offered["specialist" if need > 3 else "member"]
            to_lead = np.where(member >= 0, self.referral.to_lead.value, 1.0)
            np.add.at(found, (np.broadcast_to(lead[:, None], some.shape), condition), some * to_lead)
            np.add.at(found, (member, condition), some * (1.0 - to_lead))
        return found

    @cached_property
    def _urgent(self) -> NDArray[np.bool_]:
        """Whether patients with a condition go to the emergency department of a facility, not to a clinic."""
        layer = np.append(self.forecast.network.point_layer, 0)  # the last: no service point at all
        return np.asarray(layer[self.offers["point"]] >= EMERGENCY_LAYER)


def _both(
    name: str, facility: str, resource: str, offered: tuple[float, float], capacity: tuple[float, float]
) -> Iterator[Row]:
    """The held half and the other; `offered` and `capacity`: of the held half and of the whole."""
    if capacity[0] > 0:
        yield f"{name} (held)", facility, f"{resource}_held", offered[0], capacity[0]
        yield f"{name} (open)", facility, f"{resource}_open", offered[1] - offered[0], capacity[1] - capacity[0]
