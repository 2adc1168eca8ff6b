"""The database is stopped under a running loop, and comes back: nothing is lost or done twice."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from tests.daemon.looped import KINDS, World, drain, kept, requests
from tests.daemon.transport.onkafka import settings_for, topic_of
from tests.services.base import wait_until
from tests.services.brokers import Broker
from tests.services.postgres import Postgres
from watchkeeper.daemon import patience
from watchkeeper.daemon.loop import Loop
from watchkeeper.daemon.storage import migrate
from watchkeeper.daemon.storage.store import Store
from watchkeeper.daemon.transport.kafka import KafkaSink, KafkaSource
from watchkeeper.daemon.transport.ports import Message, Partition, Sink

pytestmark = pytest.mark.service

WAIT_S = 60.0
POLLS_S = 2.0  # so long a member may leave out its polls


@pytest.fixture
def world(postgres: Postgres) -> Iterator[World]:
    """Topics in memory, with a database that can be stopped."""
    url = postgres.fresh_database()
    migrate.upgrade(url)
    with closing(Store(url)) as store:
        yield World(store, ticks=False)


@contextmanager
def turning(loop: Loop) -> Iterator[threading.Thread]:
    """Runs the loop in a thread of its own, to its end."""
    thread = threading.Thread(target=loop.run)
    thread.start()
    try:
        yield thread
    finally:
        loop.stopping.set()
        thread.join(WAIT_S)
        assert not thread.is_alive()


def often(loop: Loop, monkeypatch: pytest.MonkeyPatch) -> Loop:
    """The loop with pauses that are much shorter than they are."""
    monkeypatch.setattr(patience, "LONGEST_PAUSE_S", 0.2)
    return replace(loop, checkpoint_s=0.05, steady=time.monotonic)


def reads(world: World, place: Partition, offset: int) -> None:
    wait_until(
        lambda: world.store.records.offsets().get(place) == offset, WAIT_S, f"offset {offset}"
    )


def tell(world: World, sink: Sink | None, topic: str, first: int, n: int) -> None:
    """Publishes predictions, also over Kafka where there is a sink for it."""
    world.publish(first, n)
    if sink is not None:
        made = world.broker.records("predictions")[first : first + n]
        said = sink.publish([Message(topic, r.key, r.value) for r in made], WAIT_S)
        assert said == [None] * n


def outage(
    world: World,
    postgres: Postgres,
    loop: Loop,
    sink: Sink | None,
    topic: str,
    before: Callable[[], None] = lambda: None,
) -> None:
    """600 predictions, the database goes, 600 more, and it comes back. `before` is called when the
    first ones were read."""
    place = Partition(topic, 0)
    tell(world, sink, topic, 0, 600)
    with turning(loop) as thread:
        reads(world, place, 600)
        before()
        postgres.stop()
        try:
            tell(world, sink, topic, 600, 600)
            began = time.monotonic()
            wait_until(lambda: loop.trouble, WAIT_S, "the outage to be noticed")
            wait_until(
                lambda: len(world.book.away) > 30 and time.monotonic() - began > 3 * POLLS_S,
                WAIT_S,
                "many tries",
            )
            assert thread.is_alive()
            assert loop.trouble.startswith("the database is away for ")
            assert loop.idle_s is not None
            assert loop.idle_s < 5.0
            assert loop._committing.pending.events <= 600
        finally:
            postgres.start()
        reads(world, place, 1_200)
        assert loop.trouble == ""
        assert world.book.away[-1] == (0.0, "")


def check_equal(world: World, loop: Loop, folder: Path) -> None:
    """As if nothing had been the matter."""
    url = f"sqlite:///{folder}/steady.db"
    migrate.upgrade(url)
    with closing(Store(url)) as store:
        steady = World(store, world.broker, "steady", ticks=False)
        whole = steady.loop()
        drain(whole)
        assert world.dump(loop) == steady.dump(whole)
    assert kept(world.store) == requests(1_200)
    assert world.book.left == []


def test_a_loop_outlives_the_database(
    world: World, postgres: Postgres, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    loop = often(world.loop(), monkeypatch)

    outage(world, postgres, loop, None, "predictions")

    check_equal(world, loop, tmp_path)


def test_a_member_outlives_the_database_and_stays_a_member(
    world: World,
    postgres: Postgres,
    kafka: Broker,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    settings = settings_for(kafka, max_poll_interval_ms=int(1_000 * POLLS_S))
    topic = topic_of(settings)
    source = KafkaSource(settings, [topic])
    plain = replace(world.loop(), source=source, kinds={topic: KINDS["predictions"]})
    loop = often(plain, monkeypatch)

    generations: list[int] = []

    def note() -> None:
        generations.append(source._member.consumer.group_metadata().generation_id)

    with closing(KafkaSink(settings)) as sink:
        outage(world, postgres, loop, sink, topic, note)

    note()
    # It may have joined twice: the first time before it knew how many partitions the topic has.
    assert generations[0] >= 1
    assert generations[1] == generations[0]
    source.close()
    check_equal(world, loop, tmp_path)


def test_it_waits_for_the_database_before_it_takes_anything_up(
    world: World, postgres: Postgres, monkeypatch: pytest.MonkeyPatch
) -> None:
    loop = often(world.loop(), monkeypatch)
    world.publish(0, 300)
    postgres.stop()
    try:
        with turning(loop):
            wait_until(lambda: len(world.book.away) > 15, WAIT_S, "many tries")
            assert loop.owns == []
            assert "the database is away" in loop.trouble
            postgres.start()
            reads(world, Partition("predictions", 0), 300)
    finally:
        postgres.start()

    assert kept(world.store) == requests(300)
