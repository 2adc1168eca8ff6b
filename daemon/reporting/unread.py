"""What a person is told of records that were gone before they were read. Pure."""

from __future__ import annotations

import uuid
from typing import Any

import msgspec

from watchkeeper.daemon.storage.values import OutboxRow
from watchkeeper.daemon.transport.codec.deadletter import DeadLetter

_NAMESPACE = uuid.UUID("0d0f6c52-3c9e-4f7c-9f0e-7a2f4f5f8f31")  # any constant will do


def gap_page(letter: DeadLetter, at: float) -> OutboxRow:
    """The page about a gap: one issue for a topic, and once for a gap, however often it is met
    before its offsets are stored."""
    record = letter.record
    place = f"{record.topic}/{record.partition}"
    said = f"{place}: {letter.message}"
    name = uuid.uuid5(_NAMESPACE, f"{record.offset} {said}").hex
    event: dict[str, Any] = {
        "event_id": name,
        "timestamp": at,
        "platform": "other",
        "logger": "watchkeeper.gaps",
        "level": "fatal",
        "message": {"formatted": f"records were lost before they were read: {said}"},
        "fingerprint": ["watchkeeper", "data_gap", record.topic],
        "tags": {"kind": "daemon", "topic": record.topic[:200]},
        "extra": {"partition": record.partition, "offset": record.offset},
    }
    return OutboxRow(
        id=f"sentry:{name}", channel="sentry", payload=msgspec.json.encode(event), created_at=at
    )
