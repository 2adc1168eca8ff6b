"""What a topic may become while it is read: made anew, or with records beyond what is fetched."""

from __future__ import annotations

from contextlib import closing

import pytest
from kafka import KafkaAdminClient

from tests.daemon.transport.contract import WAIT_S, read
from tests.daemon.transport.onkafka import (
    poll_until,
    publish,
    settings_for,
    source_of,
    topic_of,
)
from tests.services.base import wait_until
from tests.services.brokers import Broker
from watchkeeper.daemon.transport.kafka import DataGap
from watchkeeper.daemon.transport.ports import Partition, Polled
from watchkeeper.daemon.transport.settings import KafkaSettings
from watchkeeper.daemon.transport.topics import TopicSpec, create_topics, reach

pytestmark = pytest.mark.service


@pytest.mark.parametrize("batches", [True, False], ids=["batches", "records"])
def test_a_record_larger_than_a_fetch_does_not_hold_up_what_follows(
    durable_kafka: Broker, batches: bool
) -> None:
    settings = settings_for(durable_kafka, max_partition_fetch_bytes=20_000, batches=batches)
    topic = topic_of(settings)
    sent = [b"before", b"x" * 400_000, b"after"]
    for each in sent:
        publish(settings, topic, [each])

    with source_of(settings, topic) as source:
        values = [record.value for record in read(source, 3)]

        assert values == sent
        assert source.take_quarantined() == []


def test_a_topic_made_anew_is_read_from_its_beginning_and_told_of(durable_kafka: Broker) -> None:
    settings = settings_for(durable_kafka)
    topic, other = topic_of(settings), topic_of(settings)
    publish(settings, topic, [b"%d" % n for n in range(10)])
    values: list[bytes | None] = []

    def taken(polled: Polled, value: bytes) -> bool:
        values.extend(record.value for record in polled.records)
        return value in values

    with source_of(settings, topic, other) as source:
        poll_until(source, lambda polled: taken(polled, b"9"))
        with closing(KafkaAdminClient(bootstrap_servers=settings.bootstrap_servers)) as admin:
            admin.delete_topics([topic])
        wait_until(lambda: gone(settings, topic), WAIT_S, "the topic to be gone")
        publish(settings, other, [b"other"])
        poll_until(source, lambda polled: taken(polled, b"other"))
        wait_until(lambda: made(settings, topic), WAIT_S, "the topic to be made anew")
        publish(settings, topic, [b"new 0", b"new 1"])

        poll_until(source, lambda polled: taken(polled, b"new 1"))

        assert values[-2:] == [b"new 0", b"new 1"]
        assert len(values) == 13
        now = source.poll(0.0).topics[Partition(topic, 0)]
        assert source.take_gaps() == [DataGap(topic, 0, 10, 0, "of a topic that is gone", now)]


def test_a_topic_made_anew_while_nobody_read_is_read_from_its_beginning(
    durable_kafka: Broker,
) -> None:
    settings = settings_for(durable_kafka)
    topic = topic_of(settings)
    here, ten = Partition(topic, 0), [b"%d" % n for n in range(10)]
    publish(settings, topic, ten)
    with source_of(settings, topic) as source:
        poll_until(source, lambda polled: b"9" in [record.value for record in polled.records])
        stored = source.poll(0.0).topics[here]
    with closing(KafkaAdminClient(bootstrap_servers=settings.bootstrap_servers)) as admin:
        admin.delete_topics([topic])
    wait_until(lambda: made(settings, topic), WAIT_S, "the topic to be made anew")
    publish(settings, topic, [*ten, b"10", b"11"])

    with source_of(settings, topic) as source:
        values = [record.value for record in read(source, 12, offset=10, topic=stored)]

        assert values == [*ten, b"10", b"11"]
        now = source.poll(0.0).topics[here]
        assert source.take_gaps() == [DataGap(topic, 0, 10, 0, "of a topic that is gone", now)]

    with source_of(settings, topic) as source:
        publish(settings, topic, [b"12"])
        assert [r.value for r in read(source, 1, offset=12, topic=now)] == [b"12"]
        assert source.take_gaps() == []


def gone(settings: KafkaSettings, topic: str) -> bool:
    return reach(settings, [topic]).missing == (topic,)


def made(settings: KafkaSettings, topic: str) -> bool:
    return create_topics(settings, [TopicSpec(topic, 1)]) == [(topic, "created")]
