"""What every Source and Sink promise; each adapter's test class inherits it."""

from __future__ import annotations

import abc
import time
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime

import pytest

from watchkeeper.daemon.transport.codec import decode, event_message
from watchkeeper.daemon.transport.ports import Message, Partition, Record, Sink, Source
from watchkeeper.detectors.types import Label, LabelFrame

WAIT_S = 30.0


def label(number: int) -> Label:
    return Label(
        id=f"l-{number}",
        time=datetime(2026, 3, 1, 12, 0, number % 60, tzinfo=UTC),
        model_name="fraud",
        request_id=f"r-{number}",
        label="1",
    )


def messages(topic: str, count: int) -> list[Message]:
    return [event_message(label(n), topic) for n in range(count)]


def request_ids(records: list[Record]) -> list[str]:
    """What the records say once decoded, in order."""
    decoded = decode(records, {})
    assert not decoded.dead
    ids: list[str] = []
    for frame in decoded.frames:
        assert isinstance(frame, LabelFrame)
        ids += frame.request_id.tolist()
    return ids


def read(
    source: Source, count: int, offset: int | None = None, topic: str | None = None
) -> list[Record]:
    """Starts what is assigned, and polls until so many records came."""
    records: list[Record] = []
    deadline = time.monotonic() + WAIT_S
    while len(records) < count:
        assert time.monotonic() < deadline, f"only {len(records)} of {count} records came"
        polled = source.poll(0.2)
        records += polled.records
        for partition in polled.assigned:
            source.start(partition, offset, topic)
    return records


def until_caught_up(source: Source) -> list[Record]:
    """Polls until nothing is waiting; what came meanwhile."""
    records: list[Record] = []
    deadline = time.monotonic() + WAIT_S
    while not source.caught_up():
        assert time.monotonic() < deadline, "never caught up"
        records += source.poll(0.1).records
    return records


class SourceContract(abc.ABC):
    """Inherit it, and say how to make the adapter's two ends for one topic of one partition."""

    topic: str

    @abc.abstractmethod
    def make_source(self) -> Source:
        """A source of `self.topic`, from its beginning."""

    @abc.abstractmethod
    def make_sink(self) -> Sink:
        """A sink whose messages that source reads."""

    @pytest.fixture
    def source(self) -> Iterator[Source]:
        with closing(self.make_source()) as source:
            yield source

    def publish(self, count: int) -> None:
        with closing(self.make_sink()) as sink:
            assert sink.publish(messages(self.topic, count), timeout=WAIT_S) == [None] * count

    def test_nothing_comes_before_a_partition_is_started(self, source: Source) -> None:
        self.publish(3)
        deadline = time.monotonic() + WAIT_S
        assigned: tuple[Partition, ...] = ()
        while not assigned:
            assert time.monotonic() < deadline
            polled = source.poll(0.2)
            assigned = polled.assigned
            assert not polled.records

        assert assigned == (Partition(self.topic, 0),)
        assert not source.poll(0.2).records

    def test_records_come_in_order_and_whole(self, source: Source) -> None:
        self.publish(40)

        records = read(source, 40)

        assert request_ids(records) == [f"r-{n}" for n in range(40)]
        assert [r.offset for r in records] == sorted({r.offset for r in records})

    def test_a_started_partition_goes_on_at_its_offset(self, source: Source) -> None:
        self.publish(10)

        records = read(source, 7, offset=3)

        assert request_ids(records) == [f"r-{n}" for n in range(3, 10)]

    def test_a_partition_can_be_started_again(self, source: Source) -> None:
        self.publish(5)
        read(source, 5)

        source.start(Partition(self.topic, 0), 2)

        assert request_ids(read(source, 3)) == ["r-2", "r-3", "r-4"]

    def test_it_knows_when_it_is_caught_up(self, source: Source) -> None:
        self.publish(5)
        read(source, 5)
        until_caught_up(source)

        assert source.lag() == {Partition(self.topic, 0): 0} or source.ended()

    def test_nothing_is_lost_while_it_idles(self, source: Source) -> None:
        self.publish(20)
        came = read(source, 1, offset=0)
        began = time.monotonic()

        for _ in range(5):
            source.idle(0.1)

        assert time.monotonic() - began < 5.0
        came += read(source, 20 - len(came))
        assert request_ids(came) == [f"r-{n}" for n in range(20)]

    def test_commit_never_raises(self, source: Source) -> None:
        self.publish(2)
        read(source, 2)

        source.commit({Partition(self.topic, 0): 2, Partition("nobody's", 7): 1})

    def test_an_empty_poll_takes_no_longer_than_its_timeout(self, source: Source) -> None:
        self.publish(1)
        read(source, 1)
        until_caught_up(source)
        began = time.monotonic()

        polled = source.poll(0.3)

        assert not polled.records
        assert time.monotonic() - began < 2.0

    def test_closing_twice_is_closing_once(self, source: Source) -> None:
        self.publish(1)
        read(source, 1)
        source.close()

        source.close()

        assert not source.poll(0.0).records

    def test_a_sink_closes_twice(self) -> None:
        sink = self.make_sink()
        sink.close()

        sink.close()
