"""A refused record's way through a real broker: put away, shown, and sent once more."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import NamedTuple

import pytest
from kafka import KafkaConsumer, KafkaProducer, TopicPartition

from tests.e2e.daemon import Watchkeeper
from tests.services.base import wait_until
from tests.services.brokers import Broker
from watchkeeper.daemon.storage.values import DeadLetter

pytestmark = [pytest.mark.service, pytest.mark.slow]

WAIT_S = 60.0


class Sent(NamedTuple):
    """What a record is made of."""

    key: bytes | None
    value: bytes | None
    headers: tuple[tuple[str, bytes], ...]


BAD = Sent(b"fraud", b'\xff\x00{"model_name": 7', (("trace", b"\x01\xfe"), ("trace", b"again")))


@pytest.fixture
def watch(kafka: Broker, tmp_path: Path) -> Iterator[Watchkeeper]:
    """A running daemon on topics of its own."""
    made = Watchkeeper(
        folder=tmp_path,
        bootstrap=kafka.bootstrap,
        prefix=f"dlq.{uuid.uuid4().hex[:8]}.",
        database=f"sqlite:///{tmp_path}/w.db",
        model="fraud",
        settings={},
    )
    try:
        made.install()
        made.start()
        yield made
    finally:
        made.close()


def send(watch: Watchkeeper, topic: str, record: Sent) -> None:
    with closing(KafkaProducer(bootstrap_servers=watch.bootstrap, acks="all")) as producer:
        sent = producer.send(topic, record.value, record.key, headers=list(record.headers))
        sent.get(timeout=WAIT_S)


def records(watch: Watchkeeper, topic: str, count: int) -> list[Sent]:
    """The first records of a topic's only partition."""
    found: list[Sent] = []
    with closing(KafkaConsumer(bootstrap_servers=watch.bootstrap, group_id=None)) as consumer:
        place = TopicPartition(topic, 0)
        consumer.assign([place])
        consumer.seek(place, 0)

        def enough() -> bool:
            for batch in consumer.poll(timeout_ms=200).values():
                found.extend(Sent(r.key, r.value, tuple(r.headers)) for r in batch)
            return len(found) >= count

        wait_until(enough, WAIT_S, f"{count} records in {topic}")
    return found


def letters(watch: Watchkeeper, count: int) -> list[DeadLetter]:
    """The refused records on record, oldest first, once there are as many."""

    def found() -> list[DeadLetter] | None:
        known = watch.store.records.dead_letters()[::-1]
        return known if len(known) >= count else None

    return watch.wait(found, WAIT_S, f"{count} refused records")


def test_a_refused_record_is_put_away_shown_and_sent_once_more(watch: Watchkeeper) -> None:
    topic = f"{watch.prefix}predictions"

    send(watch, topic, BAD)
    (letter,) = letters(watch, 1)
    (listed,) = watch.table("dlq", "list", "--waiting")
    (put_away,) = records(watch, f"{watch.prefix}dlq.{topic}", 1)
    said = watch.cli("dlq", "replay", str(listed["id"]))
    first, second = records(watch, topic, 2)
    again = letters(watch, 2)

    assert (letter.topic, letter.offset, letter.reason) == (topic, 0, "encoding")
    assert (listed["topic"], listed["offset"], listed["reason"]) == (topic, 0, "encoding")
    assert (put_away.key, put_away.value) == (BAD.key, BAD.value)
    assert put_away.headers[: len(BAD.headers)] == BAD.headers
    assert dict(put_away.headers)["watchkeeper.error.reason"] == b"encoding"
    assert dict(put_away.headers)["__connect.errors.offset"] == b"0"
    assert said == "replayed 1\n"
    assert first == second == BAD
    assert [(each.offset, each.replayed_at is None) for each in again] == [(0, False), (1, True)]
