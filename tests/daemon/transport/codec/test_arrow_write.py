"""No Arrow stream is written that could not be read."""

from __future__ import annotations

from typing import Any

import pytest

from tests.daemon.transport.codec.arrow_events import prediction, wide
from watchkeeper.daemon.transport.codec.arrow_write import stream_message
from watchkeeper.daemon.transport.codec.deadletter import LONGEST_VALUE


def test_what_a_stream_cannot_hold_is_said() -> None:
    with pytest.raises(ValueError, match="number in one event"):
        stream_message([prediction(features={"a": 1}), prediction(features={"a": "x"})], "p")
    with pytest.raises(ValueError, match="1 to"):
        stream_message([], "p")


def test_no_stream_is_written_that_a_dead_letter_would_cut() -> None:
    said = stream_message([prediction(request_id="x" * 890_000)], "p").value or b""

    assert 890_000 < len(said) <= LONGEST_VALUE
    with pytest.raises(ValueError, match="more than 900000: give fewer than 6000 events at once"):
        stream_message(wide(6_000), "p")


BEYOND: dict[str, tuple[int, dict[str, Any], str]] = {
    "many in few bytes": (7_000, {f"n{k}": True for k in range(90)}, "values take more than"),
    "too many columns": (1, {f"n{k}": True for k in range(4_097)}, "columns, more than 4096"),
}


@pytest.mark.parametrize(("rows", "features", "said"), BEYOND.values(), ids=BEYOND)
def test_no_stream_is_written_that_would_be_refused(
    rows: int, features: dict[str, Any], said: str
) -> None:
    with pytest.raises(ValueError, match=said):
        stream_message([prediction(i, features=features) for i in range(rows)], "p")
