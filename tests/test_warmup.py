"""Both starts side by side: from when on they agree, judged by hand, and a check that keeps what it says."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import sim
from analysis import figures
from analysis.ledger import Frame
from analysis.measures import measure
from analysis.phrases import LANGUAGES, Phrases
from analysis.warmup import COLUMNS, Agreement, side_by_side, told
from sim import warmup
from sim.__main__ import WRONG_INPUT, main
from sim.results import Results
from sim.schema import InputError
from sim.start import EMPTY, OVERFULL

MONTHS = [f"2024-{month:02}" for month in range(1, 11)]
IMPORTANT = {"bed_occupancy": 0.01, "wait_days": 0.25}


def monthly(apart: dict[str, list[float]]) -> Frame:
    """Values of both starts in two replications; `apart`: mean difference by month."""
    rows = [
        (start, replication, month, name, "tertiary", "headline", value)
        for name, differences in apart.items()
        for month, difference in zip(MONTHS, differences, strict=True)
        for replication in (0, 1)
        for start, value in (
            (EMPTY, 0.5 + replication),
            (OVERFULL, 0.5 + replication + difference * (1.5 if replication else 0.5)),
        )
    ]
    return pd.DataFrame(
        rows, columns=["scenario", "replication", "period", "indicator", "scope", "variant", "value"]
    )  # fmt: skip


def agreement(measured: date = date(2024, 6, 1), **apart: list[float]) -> Agreement:
    return Agreement(side_by_side(monthly(apart), IMPORTANT, measured), date(2024, 1, 1), measured)


HALVES = [0.1 * 0.5**month for month in range(10)]
"""0.1, 0.05, 0.025, 0.0125, 0.00625: within 0.01 from the fifth month on."""


def test_the_month_is_the_first_from_which_on_all_agree() -> None:
    found = agreement(bed_occupancy=HALVES, wait_days=[0.3, 0.25] + [0.2] * 8)
    assert found.since == {"bed_occupancy": "2024-05", "wait_days": "2024-02"}, "exactly what matters does not matter"
    assert (found.month, found.is_long_enough) == ("2024-05", True)
    assert found.last == ["bed_occupancy", "wait_days"]
    assert "must last 4 months" in told(found, Phrases("en"))
    assert "after 5 months: long enough" in told(found, Phrases("en"))
    assert "预热期需 4 个月" in told(found, Phrases("zh"))


def test_who_parts_again_has_not_agreed() -> None:
    found = agreement(bed_occupancy=HALVES, wait_days=[0.0] * 7 + [-0.3, 0.0, 0.0])
    assert found.since["wait_days"] == "2024-09"
    assert not found.is_long_enough
    said = told(found, Phrases("en"))
    assert "last apart in 2024-08, overfull less empty −0.30 days (95% interval −2.21 to +1.61)" in said
    assert "what matters is 0.25 days" in said
    assert "not long enough, for 1 of 2 are apart in some month from then on" in said


def test_what_is_apart_in_the_last_month_never_agreed() -> None:
    found = agreement(bed_occupancy=HALVES, wait_days=[0.0] * 9 + [0.3])
    assert (found.since["wait_days"], found.month, found.is_long_enough) == ("", "", False)
    assert "do not agree on all 2" in told(found, Phrases("en"))


def test_a_month_that_is_measured_in_part_counts_as_measured() -> None:
    assert agreement(date(2024, 5, 20), bed_occupancy=HALVES).is_long_enough
    assert not agreement(date(2024, 4, 20), bed_occupancy=HALVES).is_long_enough


def test_an_indicator_without_values_says_nothing_and_one_with_values_on_one_side_is_apart() -> None:
    nothing, one_sided = [np.nan] * 10, [np.nan, np.nan] + [0.0] * 8
    rows = monthly({"bed_occupancy": one_sided, "wait_days": nothing})
    silent = rows["indicator"].eq("wait_days")
    rows.loc[silent, "value"] = np.nan
    found = Agreement(side_by_side(rows, IMPORTANT, date(2024, 6, 1)), date(2024, 1, 1), date(2024, 6, 1))
    assert found.since == {"bed_occupancy": "2024-03"}
    assert "one of them has no value" in told(found, Phrases("en"))


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_picture_shows_every_indicator_and_is_the_same_again(language: Any) -> None:
    rows = agreement(bed_occupancy=HALVES, wait_days=[0.2] * 10).rows
    titles = {EMPTY: "one", OVERFULL: "other"}
    once, again = (figures.both_starts(rows, titles, date(2024, 6, 1), Phrases(language)) for _ in range(2))
    assert once == again
    assert once.count('id="axes_') == 2


# -------------------------------------------------------------------------------------------------------- a whole check


SHORT: Any = {"warmup_from": "2024-09-01", "from": "2024-09-16", "to": "2024-10-05"}


def test_a_check_keeps_what_it_says(tmp_path: Path) -> None:
    config = sim.load("example", horizon=SHORT, replications=1, execution={"workers": 1})
    config = config.model_copy(update={"output": str(tmp_path / "checked")})
    found = warmup.check(config)
    assert found.text == (found.folder / "warmup.txt").read_text("utf-8").rstrip()
    assert (found.folder / "figures" / "warmup.zh.svg").is_file()
    rows = pd.read_csv(found.folder / "warmup.csv")
    assert list(rows) == COLUMNS
    assert rows["month"].unique().tolist() == ["2024-09", "2024-10"]
    assert rows["measured"].all(), "September is measured in part"
    results = Results.open(found.folder)
    tables = measure(results.tables, results.facilities, "month", only=["bed_occupancy"])
    means = tables.query("variant == 'headline'").set_index(["scenario", "period"])["value"]
    row = rows.query("indicator == 'bed_occupancy'").iloc[0]
    assert (row["empty"], row["overfull"]) == (means[EMPTY, "2024-09"], means[OVERFULL, "2024-09"])
    assert row["difference"] == pytest.approx(row["overfull"] - row["empty"])
    assert row["difference"] > 0.01, "beds that are full for days make the first month fuller"
    assert row["agree"] == (abs(row["difference"]) <= row["important"])


def test_no_start_is_chosen_where_both_are_compared(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(InputError, match="Both starts are compared here"):
        warmup.check(sim.load("example", start="overfull"))
    assert main(["warmup", "study=example", "start=overful"]) == WRONG_INPUT
    assert "overfull" in capsys.readouterr().err
