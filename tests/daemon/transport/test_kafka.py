"""The Kafka adapter on a real broker."""

from __future__ import annotations

import threading
import time
import uuid
from collections.abc import Callable
from contextlib import closing
from functools import partial
from typing import Any

import msgspec
import pytest
from kafka import KafkaProducer

from tests.daemon.transport.contract import (
    WAIT_S,
    SourceContract,
    messages,
    read,
    request_ids,
    until_caught_up,
)
from tests.daemon.transport.onkafka import Member, settings_for, source_of, topic_of
from tests.services.base import wait_until
from tests.services.brokers import Broker
from watchkeeper.daemon.transport.kafka import KafkaSink, KafkaSource
from watchkeeper.daemon.transport.ports import Message, Partition, Record, Sink, Source
from watchkeeper.daemon.transport.settings import PROFILES, KafkaSettings
from watchkeeper.daemon.transport.topics import TopicSpec, create_topics, reach

pytestmark = pytest.mark.service


@pytest.fixture
def settings(kafka: Broker) -> KafkaSettings:
    return settings_for(kafka)


@pytest.fixture
def new_topic(settings: KafkaSettings) -> Callable[..., str]:
    return partial(topic_of, settings)


class TestKafka(SourceContract):
    @pytest.fixture(autouse=True)
    def _fresh(self, settings: KafkaSettings, new_topic: Callable[..., str]) -> None:
        self.settings = settings
        self.topic = new_topic()

    def make_source(self) -> Source:
        return KafkaSource(self.settings, [self.topic])

    def make_sink(self) -> Sink:
        return KafkaSink(self.settings)


class TestKafkaRecordByRecord(TestKafka):
    def make_source(self) -> Source:
        return KafkaSource(msgspec.structs.replace(self.settings, batches=False), [self.topic])


@pytest.mark.parametrize("batches", [True, False], ids=["batches", "records"])
@pytest.mark.parametrize("codec", [None, "gzip", "snappy", "lz4", "zstd"])
def test_both_ways_give_the_same_whatever_was_sent(
    settings: KafkaSettings, new_topic: Callable[..., str], codec: str | None, batches: bool
) -> None:
    topic = new_topic()
    # Brokers soon drop what is older than a week.
    begin = int(time.time()) - 100
    sent = send_of_all_kinds(settings, topic, codec, begin)
    own = msgspec.structs.replace(settings, batches=batches)

    for offset in (0, 37, 199):
        with source_of(own, topic) as source:
            records = read(source, 200 - offset, offset)
            assert source.reading == ("batches" if batches else "records")
        assert [(r.key, r.value, r.headers) for r in records] == sent[offset:]
        assert [r.offset for r in records] == list(range(offset, 200))
        assert [r.at for r in records] == [
            (1_000 * begin + 100 * n) / 1_000 for n in range(offset, 200)
        ]
        own = msgspec.structs.replace(own, group_id=f"g-{uuid.uuid4()}")


def send_of_all_kinds(
    settings: KafkaSettings, topic: str, codec: str | None, begin: int
) -> list[Any]:
    """200 records: null and empty keys and values, long ones, headers; some alone in a batch."""
    sent: list[Any] = []
    producer = KafkaProducer(
        bootstrap_servers=settings.bootstrap_servers, compression_type=codec, linger_ms=50
    )
    for n in range(200):
        key = None if n % 5 == 0 else b"k" * (n % 7)
        value = None if n % 11 == 0 else b"%d" % n * (n * n % 700)
        headers = (("ce_id", b"%d" % n), ("empty", b"")) if n % 3 == 0 else ()
        if key is None and value is None:
            value = b""
        at = 1_000 * begin + 100 * n
        sending = producer.send(topic, value, key, list(headers), timestamp_ms=at)
        if n % 40 > 35:
            sending.get(timeout=WAIT_S)
        sent.append((key, value, headers))
    producer.flush(WAIT_S)
    producer.close()
    return sent


def test_a_record_alone_comes_at_once_with_low_latency(kafka: Broker) -> None:
    settings = settings_for(kafka, **PROFILES["low_latency"])
    topic = topic_of(settings)
    with closing(KafkaSink(settings)) as sink, source_of(settings, topic) as source:
        sink.publish(messages(topic, 1), WAIT_S)
        read(source, 1)
        until_caught_up(source)
        took = []
        for _ in range(5):
            began = time.monotonic()
            sink.publish(messages(topic, 1), WAIT_S)
            read(source, 1)
            took.append(time.monotonic() - began)

    assert min(took) < 0.1


@pytest.mark.usefixtures("heeding_kafka")
def test_what_is_held_is_bounded_in_bytes(
    settings: KafkaSettings, new_topic: Callable[..., str]
) -> None:
    """Of a partition that waits for another no more is fetched than its share."""
    topic = new_topic()
    small = msgspec.structs.replace(
        settings, max_partition_fetch_bytes=65_536, max_poll_records=5, fetch_min_bytes=1
    )
    with closing(KafkaSink(settings)) as sink:
        values = [b"%04d" % n + b"x" * 10_000 for n in range(300)]
        said = sink.publish([Message(topic, None, value) for value in values], WAIT_S)
        assert said == [None] * 300

    with source_of(small, topic) as source:
        source._aligner.limit_bytes = 200_000
        records: list[Record] = []
        most = 0
        deadline = time.monotonic() + WAIT_S
        while len(records) < 300:
            assert time.monotonic() < deadline
            polled = source.poll(0.2)
            assert len(polled.records) <= 5
            records += polled.records
            most = max(most, source._aligner.size)
            for partition in polled.assigned:
                source.start(partition, 0)

    assert [record.value for record in records] == values
    assert most < 400_000


def test_a_group_goes_on_where_it_committed(
    settings: KafkaSettings, new_topic: Callable[..., str]
) -> None:
    topic = new_topic()
    with closing(KafkaSink(settings)) as sink:
        sink.publish(messages(topic, 5), WAIT_S)
    with source_of(settings, topic) as first:
        read(first, 5)
        first.commit({Partition(topic, 0): 3})
        assert first.commit_failures == 0

    with source_of(settings, topic) as second:
        assert request_ids(read(second, 2)) == ["r-3", "r-4"]


def test_commits_do_not_hold_up_what_follows_and_the_newest_holds(
    settings: KafkaSettings, new_topic: Callable[..., str]
) -> None:
    topic = new_topic()
    with closing(KafkaSink(settings)) as sink:
        sink.publish(messages(topic, 9), WAIT_S)
    with source_of(settings, topic) as first:
        read(first, 9)
        for offset in range(1, 8):
            first.commit({Partition(topic, 0): offset})
        assert first.commit_failures == 0

    with source_of(settings, topic) as second:
        assert request_ids(read(second, 2)) == ["r-7", "r-8"]


def test_what_was_taken_away_before_it_began_is_no_fault(
    settings: KafkaSettings, new_topic: Callable[..., str]
) -> None:
    topic = new_topic()
    with closing(KafkaSink(settings)) as sink:
        sink.publish(messages(topic, 5), WAIT_S)

    with source_of(settings, topic) as source:
        read(source, 5)
        source.start(Partition(topic, 9), 0)  # as if revoked since the daemon was told of it
        source.start(Partition(topic, 0), 2)

        assert request_ids(read(source, 3)) == ["r-2", "r-3", "r-4"]
        wait_until(lambda: source.poll(0.1) is not None and source.caught_up(), WAIT_S, "the end")


def test_partitions_are_read_in_order_of_time(
    settings: KafkaSettings, new_topic: Callable[..., str]
) -> None:
    topics = [new_topic(), new_topic()]
    producer = KafkaProducer(bootstrap_servers=settings.bootstrap_servers)
    base = int(time.time() * 1000) - 100_000
    for n in range(200):
        producer.send(topics[n % 3 == 0], b"%d" % n, timestamp_ms=base + n).get(timeout=10)
    producer.close()
    orders = []
    for _ in range(2):
        own = settings_for_group(settings)
        with source_of(own, *topics) as source:
            orders.append([record.value for record in read_all_started(source, 2, 200)])

    assert orders[0] == [b"%d" % n for n in range(200)]
    assert orders[1] == orders[0]


def settings_for_group(settings: KafkaSettings) -> KafkaSettings:
    return msgspec.structs.replace(settings, group_id=f"g-{uuid.uuid4()}", max_poll_records=7)


def read_all_started(source: KafkaSource, partitions: int, count: int) -> list[Record]:
    """Starts all partitions at once, so that none is ahead by chance."""
    assigned: list[Partition] = []
    deadline = time.monotonic() + WAIT_S
    while len(assigned) < partitions:
        assert time.monotonic() < deadline
        assigned += source.poll(0.2).assigned
    for partition in assigned:
        source.start(partition, None)
    return read(source, count)


def test_members_share_partitions_and_nothing_is_lost(
    kafka: Broker, new_topic: Callable[..., str]
) -> None:
    topic = new_topic(partitions=4)
    settings = settings_for(kafka)
    with closing(Member(settings, topic)) as first, closing(Member(settings, topic)) as second:
        both = (first, second)
        wait_until(lambda: all(len(m.owned) == 2 for m in both), 60.0, "two partitions each")
        assert not first.owned & second.owned
        with closing(KafkaSink(settings)) as sink:
            many = [Message(topic, b"%d" % n, b"%d" % n) for n in range(100)]
            assert sink.publish(many, WAIT_S) == [None] * 100

        wait_until(lambda: sum(len(m.values) for m in both) >= 100, WAIT_S, "all records")

        values = sorted(int(v or b"") for m in both for v in m.values)
        assert values == list(range(100))


def test_a_broker_that_is_not_there_is_trouble_and_not_the_end() -> None:
    settings = KafkaSettings(bootstrap_servers=["127.0.0.1:9"])
    with source_of(settings, "t") as source:
        polled = source.poll(0.1)

        assert not polled.records
        assert source.trouble is not None


def test_a_sink_without_a_broker_says_so() -> None:
    with closing(KafkaSink(KafkaSettings(bootstrap_servers=["127.0.0.1:9"]))) as sink:
        (said,) = sink.publish([Message("t", b"k", b"v")], 1.0)

    assert said is not None
    assert "Timeout" in said


@pytest.mark.parametrize("own", [True, False], ids=["closed", "dropped"])
def test_a_sink_ends_also_while_messages_wait_that_nobody_takes(
    durable_kafka: Broker, own: bool
) -> None:
    settings = settings_for(durable_kafka)
    topic = topic_of(settings)
    threads = set(threading.enumerate())
    sink = KafkaSink(settings)
    assert sink.publish([Message(topic, b"k", b"v")], WAIT_S) == [None]
    durable_kafka.kill()
    (said,) = sink.publish([Message(topic, b"k", b"v")], 0.5)
    assert said is not None

    if own:
        sink.close(0.5)
    else:
        sink._drop()

    wait_until(lambda: set(threading.enumerate()) <= threads, WAIT_S, "the end of its threads")
    sink.close()


def test_a_message_that_is_too_large_fails_alone(
    settings: KafkaSettings, new_topic: Callable[..., str]
) -> None:
    topic = new_topic()
    with closing(KafkaSink(settings)) as sink:
        said = sink.publish(
            [
                Message(topic, b"k", b"1"),
                Message(topic, b"k", b"x" * 3_000_000),
                Message(topic, b"k", b"3"),
            ],
            WAIT_S,
        )

    assert said[0] is None
    assert said[1] is not None
    assert said[2] is None


def test_topics_are_made_once_and_found(kafka: Broker) -> None:
    settings = settings_for(kafka)
    name, absent = f"t-{uuid.uuid4()}", f"t-{uuid.uuid4()}"
    spec = TopicSpec(name, partitions=3, compacted=True)

    assert create_topics(settings, [spec]) == [(name, "created")]
    assert create_topics(settings, [spec]) == [(name, "exists")]
    found = reach(settings, [name, absent])

    assert found.error is None
    assert found.brokers == 1
    assert (found.present, found.missing) == ((name,), (absent,))


def test_an_unreachable_cluster_is_said() -> None:
    found = reach(KafkaSettings(bootstrap_servers=["127.0.0.1:9"]), ["t"])

    assert found.error is not None
    assert found.missing == ("t",)


def test_records_after_catching_up_are_read(
    settings: KafkaSettings, new_topic: Callable[..., str]
) -> None:
    topic = new_topic()
    with closing(KafkaSink(settings)) as sink, source_of(settings, topic) as source:
        sink.publish(messages(topic, 2), WAIT_S)
        read(source, 2)
        until_caught_up(source)

        sink.publish(messages(topic, 3), WAIT_S)

        assert len(read(source, 3)) == 3
