"""The doors to `analysis`."""

from __future__ import annotations

import pytest

from sim.readers import reader


@pytest.mark.parametrize("name", ["measures", "indicators", "report", "summary", "values", "answer"])
def test_every_reader_is_registered(name: str) -> None:
    assert callable(reader(name))


def test_an_unknown_reader_says_what_to_do() -> None:
    with pytest.raises(RuntimeError, match="pip install -e"):
        reader("fortune")
