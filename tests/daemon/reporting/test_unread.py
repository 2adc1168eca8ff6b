"""Records that were passed over unread are told, and a thousand places are not a thousand pages."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from tests.daemon.storage.examples import T0
from watchkeeper.daemon.reporting.unread import EVERY_S, UnreadPages
from watchkeeper.daemon.storage.values import OutboxRow
from watchkeeper.daemon.transport.codec.deadletter import UNREAD, DeadLetter, Reason
from watchkeeper.daemon.transport.ports import Record

SAID: dict[Reason, str] = {
    "data_gap": "up to 5 records were lost",
    "quarantined_range": "records 8 to 12, 5 at most, cannot be read: CorruptRecord",
}


def place(
    offset: int, reason: Reason = "quarantined_range", topic: str = "labels", message: str = ""
) -> DeadLetter:
    record = Record(topic, 3, offset, T0, None, None)
    return DeadLetter(record, reason, "$", message or SAID[reason])


def event(row: OutboxRow) -> dict[str, Any]:
    found: dict[str, Any] = msgspec.json.decode(row.payload or b"")
    return found


@pytest.mark.parametrize("reason", UNREAD)
def test_a_place_is_a_page_that_says_where_and_what_to_do(reason: Reason) -> None:
    (row,) = UnreadPages().rows([place(8, reason)], T0)

    told = event(row)
    title, todo = told["message"]["formatted"].split("\n")
    assert row.channel == "sentry"
    assert title.endswith(f"labels/3: {SAID[reason]}")
    assert "Look at" in todo
    assert told["level"] in ("fatal", "error")
    assert told["fingerprint"] == ["watchkeeper", reason, "labels"]
    assert told["tags"]["kind"] == "daemon"
    assert (told["extra"]["partition"], told["extra"]["offset"]) == (3, 8)


def test_the_same_place_met_again_after_a_crash_is_the_same_page() -> None:
    (before,) = UnreadPages().rows([place(8)], T0)
    (after,) = UnreadPages().rows([place(8), place(20)], T0 + 300)

    assert after.id == before.id


def test_a_place_of_which_something_else_is_told_is_another_page() -> None:
    (one,) = UnreadPages().rows([place(8, "data_gap", message="lost (topic id a)")], T0)
    (other,) = UnreadPages().rows([place(8, "data_gap", message="lost (topic id b)")], T0)

    assert one.id != other.id


def test_refused_records_are_no_pages() -> None:
    refused = DeadLetter(Record("labels", 3, 1, T0, None, b"{"), "syntax", "$", "no JSON")

    assert UnreadPages().rows([refused], T0) == []


def test_a_thousand_places_are_two_pages_a_minute_apart() -> None:
    pages = UnreadPages()

    first = pages.rows([place(n) for n in range(400)], T0)
    between = pages.rows([place(n) for n in range(400, 1_000)], T0 + EVERY_S - 1)
    early = pages.due(T0 + EVERY_S - 1)
    late = pages.due(T0 + EVERY_S)
    second = pages.rows([], T0 + EVERY_S)

    assert (len(first), between, early, late) == (1, [], False, True)
    assert event(first[0])["extra"]["places"] == 1
    (row,) = second
    assert event(row)["extra"]["places"] == 999
    assert "at 999 places, first labels/3" in event(row)["message"]["formatted"]
    assert len(row.payload or b"") < 10_000
    assert not pages.due(T0 + 10 * EVERY_S)


def test_topics_and_reasons_wait_for_their_own_pages_only() -> None:
    rows = UnreadPages().rows([place(1), place(1, topic="changes"), place(1, "data_gap")], T0)

    assert len({row.id for row in rows}) == 3


def test_a_clock_that_is_set_back_keeps_nobody_from_being_told() -> None:
    pages = UnreadPages()
    pages.rows([place(1)], T0)

    assert len(pages.rows([place(2)], T0 - 86_400.0)) == 1
