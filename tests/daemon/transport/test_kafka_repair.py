"""Records that are gone before they were read, on a real broker: told once, and on it goes."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

import pytest
from kafka import KafkaAdminClient, TopicPartition

from tests.daemon.transport.contract import read, until_caught_up
from tests.daemon.transport.onkafka import publish, settings_for, source_of, topic_of
from tests.services.brokers import Broker
from tests.services.kafka import Kafka
from watchkeeper.daemon.transport.kafka import DataGap, KafkaSource
from watchkeeper.daemon.transport.settings import KafkaSettings

pytestmark = [
    pytest.mark.service,
]

TEN = [b"%d" % n for n in range(10)]


def goes_on(source: KafkaSource, settings: KafkaSettings, topic: str) -> bool:
    """Whether what is published from now on is read, and no gap is told of again."""
    publish(settings, topic, [b"new"])
    values = [record.value for record in read(source, 1)]
    return values == [b"new"] and source.take_gaps() == []


def delete_before(settings: KafkaSettings, topic: str, offset: int) -> None:
    """Has the broker delete all records before `offset`, as retention does."""
    with closing(KafkaAdminClient(bootstrap_servers=settings.bootstrap_servers)) as admin:
        admin.delete_records({TopicPartition(topic, 0): offset}, timeout_ms=10_000)


def test_an_offset_behind_the_end_is_a_gap(kafka: Broker) -> None:
    settings = settings_for(kafka)
    topic = topic_of(settings)
    publish(settings, topic, TEN)

    with source_of(settings, topic) as source:
        records = read(source, 10, offset=1_000)

        assert source.take_gaps() == [DataGap(topic, 0, 1_000, 0, "out of range")]
        assert [r.value for r in records] == TEN
        assert goes_on(source, settings, topic)


def test_records_deleted_before_they_were_read_are_a_gap(durable_kafka: Broker) -> None:
    settings = settings_for(durable_kafka)
    topic = topic_of(settings)
    publish(settings, topic, TEN)
    delete_before(settings, topic, 6)

    with source_of(settings, topic) as source:
        records = read(source, 4, offset=2)

        assert source.take_gaps() == [DataGap(topic, 0, 2, 6, "out of range")]
        assert [r.value for r in records] == TEN[6:]
        assert goes_on(source, settings, topic)


def test_a_log_that_lost_its_end_is_read_on_from_where_it_was_cut(durable_kafka: Broker) -> None:
    assert isinstance(durable_kafka, Kafka)
    settings = settings_for(durable_kafka)
    topic = topic_of(settings)
    for value in TEN:
        publish(settings, topic, [value])
    with source_of(settings, topic) as source:
        read(source, 10)
        until_caught_up(source)
        durable_kafka.kill()
        keep_batches(durable_kafka.directory / "data" / f"{topic}-0", 4)
        durable_kafka.start()
        publish(settings, topic, [b"later 1", b"later 2"])

        records = read(source, 2)

        assert source.take_gaps() == [DataGap(topic, 0, 10, 4, "truncated")]
        assert [r.value for r in records] == [b"later 1", b"later 2"]
        assert goes_on(source, settings, topic)


def keep_batches(folder: Path, count: int) -> None:
    """Cuts the only segment of a stopped broker's partition behind so many batches."""
    (segment,) = folder.glob("*.log")
    data, end = segment.read_bytes(), 0
    for _ in range(count):
        end += 12 + int.from_bytes(data[end + 8 : end + 12], "big")
    segment.write_bytes(data[:end])
