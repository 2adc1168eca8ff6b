"""Durations, with their unit."""

from __future__ import annotations

import pytest

from watchkeeper.daemon.config.units import Duration


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("60s", 60), ("5m", 300), ("6h", 21_600), ("7d", 604_800), ("250ms", 0.25), ("1.5h", 5_400)],
)
def test_durations_are_read_with_their_unit(text: str, seconds: float) -> None:
    read = Duration.parse(text)

    assert read == seconds
    assert Duration.parse(str(read)) == read


@pytest.mark.parametrize("text", ["60", "", "s", "1 year", "-5s", "1e3s", "5 m s", 60, 1.5, True])
def test_durations_without_a_unit_are_refused(text: object) -> None:
    with pytest.raises(ValueError, match=r"unit|no duration"):
        Duration.parse(text)
