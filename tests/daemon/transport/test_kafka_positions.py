"""Offsets that hold no record for us, on a real broker."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import closing

import pytest
from kafka import KafkaProducer

from tests.daemon.transport.contract import WAIT_S, read, until_caught_up
from tests.daemon.transport.onkafka import (
    poll_until,
    publish,
    settings_for,
    source_of,
    topic_of,
)
from tests.services.base import wait_until
from tests.services.brokers import Broker
from watchkeeper.daemon.transport.kafka_positions import PATIENCE_S
from watchkeeper.daemon.transport.ports import Partition

pytestmark = pytest.mark.service


@pytest.fixture
def producer(durable_kafka: Broker) -> Iterator[KafkaProducer]:
    """A producer with transactions."""
    made = KafkaProducer(bootstrap_servers=durable_kafka.bootstrap, transactional_id="tests")
    with closing(made):
        made.init_transactions()
        yield made


def transaction(producer: KafkaProducer, topic: str, *values: bytes, commit: bool) -> None:
    producer.begin_transaction()
    for value in values:
        producer.send(topic, value).get(timeout=WAIT_S)
    if commit:
        producer.commit_transaction()
    else:
        producer.abort_transaction()


@pytest.mark.parametrize("batches", [True, False], ids=["batches", "records"])
def test_aborted_transactions_are_not_seen(
    durable_kafka: Broker, producer: KafkaProducer, batches: bool
) -> None:
    settings = settings_for(durable_kafka, batches=batches)
    topic = topic_of(settings)
    transaction(producer, topic, b"1", b"2", commit=True)
    transaction(producer, topic, b"aborted 1", b"aborted 2", commit=False)
    transaction(producer, topic, b"3", commit=True)

    with source_of(settings, topic) as source:
        records = read(source, 3) + until_caught_up(source)

    assert [(r.offset, r.value) for r in records] == [(0, b"1"), (1, b"2"), (6, b"3")]


@pytest.mark.parametrize("batches", [True, False], ids=["batches", "records"])
def test_a_partition_that_ends_in_an_aborted_transaction_is_caught_up(
    durable_kafka: Broker, producer: KafkaProducer, batches: bool
) -> None:
    settings = settings_for(durable_kafka, batches=batches)
    topic = topic_of(settings)
    transaction(producer, topic, b"1", commit=True)
    transaction(producer, topic, b"aborted", commit=False)

    with source_of(settings, topic) as source:
        records = read(source, 1) + until_caught_up(source)

        assert [r.value for r in records] == [b"1"]
        assert source.lag() == {Partition(topic, 0): 0}
        assert source.trouble is None


@pytest.mark.parametrize("batches", [True, False], ids=["batches", "records"])
def test_a_partition_given_back_with_nothing_new_holds_up_no_others(
    kafka: Broker, batches: bool
) -> None:
    """Brokers tell a session of fetches only what is new in it, so not where the partition ends."""
    settings = settings_for(kafka, max_poll_interval_ms=1_000, batches=batches)
    quiet, busy = topic_of(settings), topic_of(settings)
    publish(settings, busy, [b"1"])
    with source_of(settings, quiet, busy) as source:
        read(source, 1)
        until_caught_up(source)
        consumer = source._member.consumer
        wait_until(lambda: consumer.group_metadata().generation_id < 0, WAIT_S, "it to be put out")
        poll_until(source, lambda polled: len(polled.assigned) == 2)

        began = time.monotonic()
        publish(settings, busy, [b"2"])
        poll_until(source, lambda polled: [r.value for r in polled.records][-1:] == [b"2"])

        assert time.monotonic() - began < PATIENCE_S / 2
        until_caught_up(source)
