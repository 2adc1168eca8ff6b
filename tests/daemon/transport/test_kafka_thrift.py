"""What is spared of kafka-python's work, on a real broker."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import structlog
from kafka.consumer import fetcher

from tests.daemon.transport.contract import read, until_caught_up
from tests.daemon.transport.onkafka import publish, settings_for, source_of, topic_of
from tests.services.base import wait_until
from tests.services.brokers import Broker
from watchkeeper.daemon.transport.kafka import KafkaSource
from watchkeeper.daemon.transport.kafka_thrift import describe_once, spare_handovers
from watchkeeper.daemon.transport.settings import KafkaSettings


@contextmanager
def caught_up(settings: KafkaSettings) -> Iterator[tuple[KafkaSource, str]]:
    """A source that has read the one record that its topic holds."""
    topic = topic_of(settings)
    publish(settings, topic, [b"1"])
    with source_of(settings, topic) as source:
        read(source, 1)
        until_caught_up(source)
        yield source, topic


@pytest.mark.service
def test_a_poll_hands_over_once_and_brings_what_is_new(kafka: Broker) -> None:
    settings = settings_for(kafka, fetch_min_bytes=2)
    with caught_up(settings) as (source, topic):
        net = source._member.consumer._net
        asked: list[Any] = []
        run = net.run

        def running(*args: Any) -> Any:
            asked.append(args)
            return run(*args)

        net.run = running
        source.poll(0.0)
        before = len(asked)
        publish(settings, topic, [b"2"])
        records = read(source, 1)

    assert before == 1
    assert [record.value for record in records] == [b"2"]


@pytest.mark.service
def test_what_comes_right_after_a_look_is_taken_before_more_is_asked_for(
    heeding_kafka: Broker,
) -> None:
    settings = settings_for(heeding_kafka, fetch_min_bytes=2, fetch_max_wait_ms=3_000)
    with caught_up(settings) as (source, topic):
        fetching = source._member.consumer._fetcher
        look, send = fetching.fetched_records, fetching._send_fetches_async
        asked_for_others: list[bool] = []

        def too_early(*args: Any, **named: Any) -> Any:
            fetching.fetched_records = look
            publish(settings, topic, [b"2"])
            wait_until(lambda: fetching._completed_fetches, 30.0, "an answer")
            return {}, False

        async def sending() -> Any:
            asked_for_others.append(bool(fetching._completed_fetches))
            return await send()

        source.poll(0.0)  # from here on a fetch is under way
        fetching.fetched_records, fetching._send_fetches_async = too_early, sending
        records = read(source, 1)

    assert [record.value for record in records] == [b"2"]
    assert not any(asked_for_others)


def under_way(source: KafkaSource) -> bool:
    """Whether a broker has been asked for more."""
    return not all(each.is_done for each in source._member.consumer._fetcher._fetch_futures)


@pytest.mark.service
def test_more_is_asked_for_before_the_newest_is_worked_off_where_brokers_wait(
    heeding_kafka: Broker,
) -> None:
    settings = settings_for(heeding_kafka, fetch_min_bytes=2, fetch_max_wait_ms=300)
    with caught_up(settings) as (source, topic):
        later = threading.Timer(0.5, publish, (settings, topic, [b"2"]))
        later.start()
        records = read(source, 1)
        asked = under_way(source)
        later.join()

    assert [record.value for record in records] == [b"2"]
    assert asked


@pytest.mark.service
def test_more_that_is_there_already_is_not_asked_for_before_it_is_wanted(
    heeding_kafka: Broker,
) -> None:
    settings = settings_for(heeding_kafka, fetch_min_bytes=2, max_partition_fetch_bytes=700_000)
    topic = topic_of(settings)
    publish(settings, topic, [bytes([number]) * 300_000 for number in range(3)])
    with source_of(settings, topic) as source:
        read(source, 1)
        answered = bool(source._member.consumer._fetcher._completed_fetches)
        asked = under_way(source) or answered
        rest = read(source, 2)

    assert not asked
    assert len(rest) == 2


@pytest.mark.service
def test_a_poll_that_only_waits_is_a_lull(kafka: Broker) -> None:
    settings = settings_for(kafka, fetch_min_bytes=2, fetch_max_wait_ms=300)
    with caught_up(settings) as (source, _):
        lull, told = source.lull, list[bool]()
        begin, end = lull.begin, lull.end

        def beginning() -> None:
            told.append(True)
            begin()

        def ending() -> None:
            told.append(False)
            end()

        lull.begin, lull.end = beginning, ending  # type: ignore[method-assign]
        wait_until(lambda: not source.poll(0.1).records and any(told), 30.0, "a wait")
        assert not lull._here.is_set()

    assert told[:2] == [True, False]
    assert lull._here.is_set()  # there is nothing that could be held up any more


def test_what_is_asked_of_a_partition_is_described_once() -> None:
    describe_once()
    describe_once()

    one, same, other = (
        fetcher._FetchPartition(partition=0, fetch_offset=at, partition_max_bytes=9)
        for at in (5, 5, 6)
    )

    assert one is same
    assert one == same
    assert one != other
    assert one == type(one)(partition=0, fetch_offset=5, partition_max_bytes=9)


def test_a_library_that_is_not_as_expected_is_left_alone() -> None:
    class Consumer:
        _fetcher = object()
        _coordinator = object()

    with structlog.testing.capture_logs() as logs:
        spare_handovers(Consumer())

    assert [each["log_level"] for each in logs] == ["warning"]
