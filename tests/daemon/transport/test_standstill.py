"""Reading that stands still: noticed, broken off, and gone on with."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator

import pytest

from tests.daemon.transport.contract import WAIT_S, read
from tests.daemon.transport.onkafka import poll_until, publish, settings_for, source_of, topic_of
from tests.services.brokers import Broker
from watchkeeper.daemon.transport.kafka_consumer import spot
from watchkeeper.daemon.transport.ports import Partition, Polled
from watchkeeper.daemon.transport.standstill import Breaker, Progress, Stuck
from watchkeeper.daemon.watchdog import Watchdog

A, B = Partition("t", 0), Partition("t", 1)


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


def looks(progress: Progress, clock: Clock, seconds: int, waiting: dict[Partition, int]) -> None:
    for _ in range(seconds):
        clock.now += 1.0
        progress.note(waiting)


def test_a_partition_that_does_not_move_is_stalled_and_one_that_moves_is_not(
    clock: Clock,
) -> None:
    progress = Progress(clock)
    for second in range(20):
        looks(progress, clock, 1, {A: 7, B: second})

    assert progress.stalled(10.0) == [A]
    assert progress.stalled(30.0) == []


def test_a_partition_that_is_caught_up_is_not_stalled(clock: Clock) -> None:
    progress = Progress(clock)
    looks(progress, clock, 20, {A: 7})

    looks(progress, clock, 1, {})
    looks(progress, clock, 5, {A: 7})

    assert progress.stalled(10.0) == []


def test_time_in_which_nobody_polled_does_not_count(clock: Clock) -> None:
    progress = Progress(clock)
    looks(progress, clock, 5, {A: 7})

    clock.now += 90.0
    looks(progress, clock, 1, {A: 7})

    assert progress.stalled(10.0) == []
    looks(progress, clock, 10, {A: 7})
    assert progress.stalled(10.0) == [A]


def test_an_excuse_begins_the_count_anew(clock: Clock) -> None:
    progress = Progress(clock)
    looks(progress, clock, 20, {A: 7, B: 1})

    progress.excuse([A])

    assert progress.stalled(10.0) == [B]


@pytest.fixture
def breaker() -> Iterator[Breaker]:
    before = signal.getsignal(signal.SIGUSR2)
    made = Breaker()
    made.arm()
    yield made
    signal.signal(signal.SIGUSR2, before)


def test_it_is_broken_off_inside_and_nowhere_else(breaker: Breaker) -> None:
    assert not breaker.break_off()
    signal.raise_signal(signal.SIGUSR2)

    with breaker.inside():
        signal.raise_signal(signal.SIGUSR2)  # nobody asked
        threading.Timer(0.05, breaker.break_off).start()
        with pytest.raises(Stuck):
            threading.Event().wait(WAIT_S)


def test_without_the_signal_it_says_that_it_cannot() -> None:
    breaker = Breaker()

    with breaker.inside():
        assert not breaker.break_off()


def spin() -> None:
    while True:
        pass


def hang() -> None:
    threading.Event().wait()


@pytest.mark.service
@pytest.mark.parametrize("how", [spin, hang])
def test_a_poll_of_the_client_that_hangs_is_broken_off_and_reading_goes_on(
    kafka: Broker, how: Callable[[], None], capfd: pytest.CaptureFixture[str]
) -> None:
    settings = settings_for(kafka)
    topic = topic_of(settings)
    publish(settings, topic, [b"1"])
    before = signal.getsignal(signal.SIGUSR2)
    with source_of(settings, topic) as source:
        source.arm()
        read(source, 1)
        hanging = source._member.consumer
        hanging._fetcher.fetched_records = lambda *args, **kwargs: how()
        publish(settings, topic, [b"2"])
        watchdog = Watchdog(lambda: 1.0, source, limit_s=60.0, help_s=0.3, looks=600)
        watchdog.start()

        source.poll(0.2)
        watchdog.stop()

        assert source._member.consumer is not hanging
        assert how.__name__ in capfd.readouterr().err  # its stack
        found = poll_until(source, lambda polled: b"2" in [r.value for r in polled.records])
        assert found.records[-1].value == b"2"
    signal.signal(signal.SIGUSR2, before)


@pytest.mark.service
def test_a_partition_that_stands_still_is_begun_anew(
    heeding_kafka: Broker, capfd: pytest.CaptureFixture[str]
) -> None:
    settings = settings_for(heeding_kafka, max_poll_records=10, max_partition_fetch_bytes=1_024)
    topic = topic_of(settings)
    publish(settings, topic, [b"%d" % n + b"x" * 400 for n in range(60)])
    with source_of(settings, topic) as source:
        first = read(source, 1)
        standing = source._member.consumer
        standing.pause(spot(Partition(topic, 0)))  # as if a resume had been lost
        watchdog = Watchdog(lambda: None, source, limit_s=60.0, stall_s=3.0, looks=600)
        watchdog.start()

        poll_until(source, lambda _: source._member.consumer is not standing)
        watchdog.stop()

        assert source.begun_anew == 1
        assert capfd.readouterr().err.count("in _raise_stall") == 1  # its stack
        offsets = {record.offset for record in first}

        def complete(polled: Polled) -> bool:
            offsets.update(record.offset for record in polled.records)
            return len(offsets) == 60

        poll_until(source, complete)
