"""What tests of the Kafka adapter share: settings, topics and sources on a real broker."""

from __future__ import annotations

import threading
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager

from tests.daemon.transport.contract import WAIT_S
from tests.services.brokers import Broker
from watchkeeper.daemon.transport.kafka import KafkaSink, KafkaSource
from watchkeeper.daemon.transport.ports import Message, Partition, Polled
from watchkeeper.daemon.transport.settings import KafkaSettings
from watchkeeper.daemon.transport.topics import TopicSpec, create_topics


def settings_for(broker: Broker, **changed: object) -> KafkaSettings:
    """Settings of a group of its own."""
    given: dict[str, object] = {
        "bootstrap_servers": [broker.bootstrap],
        "group_id": f"g-{uuid.uuid4()}",
        "session_timeout_ms": 6_000,
        "fetch_min_bytes": 1,
    }
    return KafkaSettings(**(given | changed))  # type: ignore[arg-type]


def topic_of(settings: KafkaSettings, partitions: int = 1) -> str:
    """Makes a topic of its own."""
    name = f"t-{uuid.uuid4()}"
    assert create_topics(settings, [TopicSpec(name, partitions)]) == [(name, "created")]
    return name


def publish(settings: KafkaSettings, topic: str, values: Sequence[bytes]) -> None:
    """Publishes the values, each with itself as its key."""
    with closing(KafkaSink(settings)) as sink:
        many = [Message(topic, value, value) for value in values]
        assert sink.publish(many, WAIT_S) == [None] * len(many)


@contextmanager
def source_of(
    settings: KafkaSettings, *topics: str, steady: Callable[[], float] = time.monotonic
) -> Iterator[KafkaSource]:
    """A source that is closed at the end of the block."""
    with closing(KafkaSource(settings, topics, steady)) as source:
        yield source


def poll_until(source: KafkaSource, done: Callable[[Polled], bool]) -> Polled:
    """Polls, starting what is assigned, until `done` says so of a poll."""
    deadline = time.monotonic() + WAIT_S
    while time.monotonic() < deadline:
        polled = source.poll(0.2)
        for partition in polled.assigned:
            source.start(partition, None)
        if done(polled):
            return polled
    raise AssertionError("it did not come about in time")


class Member:
    """A source with a thread of its own, as in a process of its own."""

    def __init__(self, settings: KafkaSettings, topic: str) -> None:
        self.owned: set[Partition] = set()
        self.values: list[bytes | None] = []
        self.source = KafkaSource(settings, [topic])
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def _run(self) -> None:
        while not self._ended.is_set():
            polled = self.source.poll(0.2)
            self.owned = (self.owned - {*polled.revoked, *polled.lost}) | {*polled.assigned}
            for partition in polled.assigned:
                self.source.start(partition, None)
            self.values += [record.value for record in polled.records]

    def close(self) -> None:
        self._ended.set()
        self._thread.join(WAIT_S)
        self.source.close()
