"""A partition that was paused half-read goes on, against kafka-python's own habit."""

from __future__ import annotations

import uuid

import pytest
from kafka import KafkaConsumer, KafkaProducer, TopicPartition
from kafka.admin import KafkaAdminClient, NewTopic

from tests.services.brokers import Broker
from watchkeeper.daemon.transport.kafka_guard import prepare

RECORDS = 40


@pytest.mark.service
def test_a_partition_paused_half_read_brings_its_rest_after_it_is_resumed(kafka: Broker) -> None:
    topic = f"parked-{uuid.uuid4().hex[:8]}"
    _fill(kafka.bootstrap, topic)
    prepare()
    consumer = KafkaConsumer(
        bootstrap_servers=kafka.bootstrap, enable_auto_commit=False, auto_offset_reset="earliest"
    )
    half, other = TopicPartition(topic, 0), TopicPartition(topic, 1)
    try:
        consumer.assign([half, other])
        consumer.seek(half, 0)
        consumer.seek(other, 0)
        consumer.pause(other)
        seen = _read(consumer, half, 1, most=1)
        consumer.pause(half)
        consumer.resume(other)
        assert _read(consumer, other, RECORDS, most=7) == RECORDS

        consumer.resume(half)

        assert seen + _read(consumer, half, RECORDS - seen, most=7) == RECORDS
    finally:
        consumer.close()


def _read(consumer: KafkaConsumer, partition: TopicPartition, wanted: int, *, most: int) -> int:
    """Polls until so many records of the partition came, or a hundred polls brought nothing."""
    read = empty = 0
    while read < wanted and empty < 100:
        records = consumer.poll(timeout_ms=100, max_records=most).get(partition, [])
        read += len(records)
        empty += not records
    return read


def _fill(bootstrap: str, topic: str) -> None:
    admin = KafkaAdminClient(bootstrap_servers=bootstrap)
    admin.create_topics([NewTopic(topic, num_partitions=2, replication_factor=1)])
    admin.close()
    producer = KafkaProducer(bootstrap_servers=bootstrap)
    futures = [producer.send(topic, value=b"x", partition=i % 2) for i in range(2 * RECORDS)]
    producer.flush(30)
    assert all(future.succeeded() for future in futures)
    producer.close()
