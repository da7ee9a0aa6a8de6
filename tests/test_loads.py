"""What is offered before anything is simulated: wards count for the days on which they are open."""

from __future__ import annotations

import pytest

import towns
from sim.model import Model
from towns import ward

DAYS = 20


def at_lead(*wards: towns.Data) -> list[tuple[str, float, float]]:
    """Name, offered bed-days and capacity a year of each ward of the lead hospital that is in the forecast."""
    facilities = towns.group_facilities()
    facilities[0]["wards"] = list(wards)
    loads = Model(towns.group_town(DAYS, facilities=facilities), [0]).tables(0)["loads"]
    mine = loads.query("facility == 'lead' and resource == 'ward'")
    return [
        (name.removeprefix("lead/"), offered, beds)
        for name, offered, beds in zip(mine["point"], mine["offered"], mine["capacity"], strict=True)
    ]


def test_a_ward_counts_for_the_days_on_which_it_is_open_and_its_patients_lie_elsewhere_meanwhile() -> None:
    ((_, everybody, beds),) = at_lead(ward(4))
    assert beds == 4 * 365
    (_, rest, _), (_, surgery, _) = at_lead(ward(4), ward(5, "surgery"))
    assert everybody == pytest.approx(rest + surgery, rel=1e-6)
    found = at_lead(ward(4), ward(5, "surgery", closes=4), ward(2, "surgery", opens=15))
    assert [name for name, _, _ in found] == ["general", "surgery", "surgery"]
    assert [beds for _, _, beds in found] == pytest.approx([4 * 365, 5 * 365 * 0.2, 2 * 365 * 0.25])
    assert [offered for _, offered, _ in found] == pytest.approx(
        [rest + 0.55 * surgery, 0.2 * surgery, 0.25 * surgery], rel=1e-4
    )
    later = at_lead(ward(4), ward(5, "surgery", closes=4), ward(2, "surgery", opens=DAYS))
    assert [name for name, _, _ in later] == ["general", "surgery"], "what opens after the run is not there"
