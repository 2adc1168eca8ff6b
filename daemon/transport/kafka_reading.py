"""Which way of reading is in use: whole batches, or the library's own records one by one."""

from __future__ import annotations

import functools
from collections.abc import Iterator, Sequence
from typing import Any, Literal, NamedTuple

import structlog

from watchkeeper.daemon.transport.kafka_batches import records_from, whole_batches
from watchkeeper.daemon.transport.ports import Record
from watchkeeper.daemon.transport.records import Records
from watchkeeper.daemon.transport.settings import KafkaSettings

log = structlog.get_logger()

Reading = Literal["batches", "records"]
_FROM = 3  # the samples are read from the middle of a batch
_CODECS = range(5)


class Way(NamedTuple):
    """How records are read, and why not by whole batches if they are not."""

    reading: Reading
    reason: str = ""


def way(settings: KafkaSettings) -> Way:
    """The way these settings, and the installed library, allow."""
    if not settings.batches:
        return Way("records", "kafka.batches is off")
    reason = why_not()
    return Way("records", reason) if reason else Way("batches")


def hook(consumer: Any, chosen: Way) -> Way:
    """Makes a consumer's polls give pieces of whole batches, if that is the way."""
    if chosen.reading == "records":
        return chosen
    fetcher: Any = getattr(consumer, "_fetcher", None)
    if not hasattr(fetcher, "PartitionRecords"):
        return Way("records", "kafka-python is not as expected: its fetcher is elsewhere")
    fetcher.PartitionRecords = whole_batches()
    return chosen


def pieces(reading: Reading, polled: Sequence[Any]) -> list[Records]:
    """What a poll brought of a partition."""
    return list(polled) if reading == "batches" else [records_from(polled)]


@functools.cache
def why_not() -> str:
    """Why whole batches cannot be read here, "" when they can: samples are read both ways."""
    try:
        for name, data in _samples():
            ours, theirs = _by_batches(data), _by_records(data)
            if ours != theirs:
                return f"kafka-python is not as expected: {name} reads differently"
    except Exception as error:  # noqa: BLE001 - whatever a changed library makes of it
        return f"kafka-python is not as expected: {type(error).__name__}: {error}"[:300]
    return ""


def _samples() -> Iterator[tuple[str, bytes]]:
    from kafka.record import MemoryRecordsBuilder

    for codec in _CODECS:
        data = b""
        for begin in (0, 7, 11):
            builder = MemoryRecordsBuilder(2, codec, 1 << 20, offset=begin)
            for i in range(4):
                headers = [("ce_id", b"%d" % i), ("none", None)] if i % 2 else []
                key = None if i == 1 else b"key" * i * 30
                value = None if i == 2 else b"value" * 10**i
                builder.append(1_767_225_600_000 + i * 300 * begin, key, value, headers)
            builder.close()
            data += bytes(builder.buffer())
        yield f"codec {codec}", data
    builder = MemoryRecordsBuilder(1, 0, 1 << 20, offset=0)
    for i in range(5):
        builder.append(1_767_225_600_000 + i, b"key", b"value")
    builder.close()
    yield "format 1", bytes(builder.buffer())


def _by_batches(data: bytes) -> list[Record]:
    part = _part(whole_batches(), data)
    found: list[Record] = []
    while part:
        found += Records.joined(list(part.take(1 << 20)))
    return found


def _by_records(data: bytes) -> list[Record]:
    from kafka.consumer.fetcher import Fetcher

    part = _part(Fetcher.PartitionRecords, data)
    found = []
    while part:
        found += part.take(100)
    return list(records_from(found))


def _part(made_by: Any, data: bytes) -> Any:
    from kafka import TopicPartition
    from kafka.record import MemoryRecords

    return made_by(_FROM, TopicPartition("self-test", 0), MemoryRecords(data))
