"""A spread model on Apache Kafka: two members, four partitions, one fault, found once."""

from __future__ import annotations

import threading
import time
import uuid
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

import msgspec
import pytest

from tests.daemon.looped import START, prediction
from tests.services.base import wait_until
from tests.services.brokers import Broker
from watchkeeper.daemon.config import Config
from watchkeeper.daemon.config.load import load
from watchkeeper.daemon.service import Daemon
from watchkeeper.daemon.storage.store import Store
from watchkeeper.daemon.topics import topics_of
from watchkeeper.daemon.transport.kafka import KafkaSink, KafkaSource
from watchkeeper.daemon.transport.ports import Message
from watchkeeper.daemon.transport.topics import TopicSpec, create_topics

pytestmark = [
    pytest.mark.service,
]

PARTITIONS = 4
WAIT_S = 60.0
MODEL = "fraud"


def config_of(broker: Broker, folder: Path, name: str, group: str) -> Config:
    return load(
        [],
        {},
        {
            "daemon": {"instance": name, "state_dir": str(folder / name), "stop_timeout": "3s"},
            "kafka": {"bootstrap_servers": [broker.bootstrap], "group_id": group},
            "topics": {"prefix": f"{group}."},
            "database": {"url": f"sqlite:///{folder}/shared.db"},
            "checkpoint": {"seconds": 0.2},
            "models": {MODEL: {"spread": True, "lateness": "5s"}},
        },
    )


@contextmanager
def member(broker: Broker, folder: Path, name: str, group: str) -> Iterator[Daemon]:
    """A whole daemon whose loop turns in a thread of its own."""
    config = config_of(broker, folder, name, group)
    settings = msgspec.structs.replace(config.kafka_settings(), session_timeout_ms=6_000)
    source = KafkaSource(settings, topics_of(config))
    daemon = Daemon(config, source, KafkaSink(settings))
    daemon.start()
    thread = threading.Thread(target=daemon.loop.run)
    thread.start()
    try:
        yield daemon
    finally:
        daemon.loop.stopping.set()
        thread.join(30.0)
        daemon.close()


def publish(broker: Broker, folder: Path, group: str) -> None:
    """Forty windows, the last ten of them with failing requests, keyed by request."""
    config = config_of(broker, folder, "publisher", group)
    sink = KafkaSink(config.kafka_settings())
    events = [
        Message(
            f"{group}.predictions", f"r{i}".encode(), prediction(i, failed=i >= 3_600 and i % 2 > 0)
        )
        for i in range(4_800)
    ]
    assert set(sink.publish(events, WAIT_S)) == {None}
    sink.close()


def test_two_members_find_a_planted_fault_once(durable_kafka: Broker, tmp_path: Path) -> None:
    group = f"g-{uuid.uuid4().hex[:8]}"
    config = config_of(durable_kafka, tmp_path, "maker", group)
    read = [TopicSpec(each, PARTITIONS, retention_ms=-1) for each in topics_of(config)]
    told = [TopicSpec(config.topics.name(each)) for each in ("incidents", "incidents_state")]
    more = [TopicSpec(config.topics.name(each)) for each in ("actions", "models_state")]
    create_topics(config.kafka_settings(), [*read, *told, *more])

    with ExitStack() as running:
        both = [
            running.enter_context(member(durable_kafka, tmp_path, name, group))
            for name in ("one", "two")
        ]
        wait_until(
            lambda: all(0 < len(each.loop.owns) < len(read) * PARTITIONS for each in both),
            WAIT_S,
            "both members to share the partitions",
        )
        publish(durable_kafka, tmp_path, group)
        store = Store(config.database.url)
        running.callback(store.close)
        wait_until(lambda: len(store.records.incidents()) > 0, WAIT_S, "an incident")
        ends = time.monotonic() + WAIT_S
        while len(offsets := _read(store, group)) < PARTITIONS or sum(offsets) < 4_800:
            assert time.monotonic() < ends
            both[0].loop.stopping.wait(0.1)

        until = time.monotonic() + WAIT_S
        while not _closed(both) and time.monotonic() < until:
            both[0].loop.stopping.wait(0.1)
        found = store.records.incidents(), store.records.findings(), store.records.dead_letters()

    incidents, findings, dead = found
    assert [each.model for each in incidents] == [MODEL]
    assert incidents[0].fault.kind == "serving"
    failing = [f for f in findings if f.series.signal == "errors"]
    assert len({(f.detector, f.series, f.at) for f in failing}) == len(failing) > 0
    # What one partition alone holds is a part of the window's events.
    assert {f.n for f in failing} == {120}
    assert dead == []


def _closed(members: Sequence[Daemon]) -> bool:
    """Whether one of them judged all windows but the last."""
    states = [m.loop.pipeline.state.models.get(MODEL) for m in members]
    first = START // 60
    return any(s is not None and (s.next_window or 0) >= first + 39 for s in states)


def _read(store: Store, group: str) -> list[int]:
    stored = store.records.offsets().items()
    return [n for place, n in stored if place.topic == f"{group}.predictions" and n]
