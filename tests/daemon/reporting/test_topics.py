"""Rows of the outbox become records of the topics they name."""

from __future__ import annotations

from msgspec.structs import replace

from tests.daemon.storage.examples import letter
from watchkeeper.daemon.reporting.topics import KafkaChannel
from watchkeeper.daemon.transport.memory import MemoryBroker, MemorySink, MemorySource
from watchkeeper.daemon.transport.ports import Record


def published(broker: MemoryBroker, topic: str) -> list[Record]:
    source = MemorySource(broker, [topic])
    for partition in source.poll(0.0).assigned:
        source.start(partition, 0)
    return list(source.poll(1.0).records)


def test_a_record_says_how_many_older_messages_it_stands_for() -> None:
    broker = MemoryBroker()
    row = replace(letter(channel="kafka"), topic="incidents", key=b"inc-1")

    said = KafkaChannel(MemorySink(broker))([row, replace(row, collapsed=12)])

    assert [each.outcome for each in said] == ["ok", "ok"]
    plain, newest = published(broker, "incidents")
    assert (plain.key, plain.value, plain.headers) == (row.key, row.payload, row.headers)
    assert newest.headers == (*row.headers, ("ce_collapsed", b"12"))
