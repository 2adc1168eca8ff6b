"""Offsets that hold no record for us, on a real broker."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing

import pytest
from kafka import KafkaProducer

from tests.daemon.transport.contract import WAIT_S, read, until_caught_up
from tests.daemon.transport.onkafka import settings_for, source_of, topic_of
from tests.services.brokers import Broker
from watchkeeper.daemon.transport.ports import Partition

pytestmark = [pytest.mark.service, pytest.mark.usefixtures("refused_connections")]


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
