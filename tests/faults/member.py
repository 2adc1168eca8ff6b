"""A whole daemon on Kafka, as `watchkeeper run` starts it, in a forked process."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec

from tests.faults.stream import SETTINGS
from watchkeeper.daemon import running
from watchkeeper.daemon.config import Config
from watchkeeper.daemon.config.load import load
from watchkeeper.daemon.config.units import Duration
from watchkeeper.daemon.loop import Loop
from watchkeeper.daemon.reporting.sentry import SentryReporter
from watchkeeper.daemon.storage.outbox import OK, Delivery
from watchkeeper.daemon.storage.values import OutboxRow
from watchkeeper.daemon.transport.kafka import KafkaSource
from watchkeeper.daemon.transport.ports import Polled


class Member(msgspec.Struct, frozen=True, kw_only=True):
    """What one member is given. `inputs` is what the names of the topics it reads begin with;
    `session_s` how soon the group gives up on it. It writes to `log`."""

    name: str
    folder: str
    bootstrap: str
    database: str
    group: str
    inputs: str
    log: str
    session_s: float = 6.0
    assignor: str = "range"
    profile: str = "default"
    sentry: str = ""
    static: bool = False
    stop_s: float = 10.0
    checkpoint_s: float = 0.2
    sabotage: str = ""


def config_of(member: Member) -> Config:
    """Its configuration."""
    read = ("predictions", "labels", "logs", "metrics", "changes", "commands")
    overrides: dict[str, Any] = {
        "daemon": {
            "instance": member.name,
            "state_dir": f"{member.folder}/{member.name}",
            "stop_timeout": f"{member.stop_s:g}s",
        },
        "kafka": {
            "bootstrap_servers": [member.bootstrap],
            "group_id": member.group,
            "assignor": member.assignor,
            "profile": member.profile,
            **({"group_instance_id": member.name} if member.static else {}),
        },
        "topics": {
            "prefix": f"{member.group}.",
            **{kind: f"{member.inputs}{kind}" for kind in read},
        },
        "database": {"url": member.database},
        "checkpoint": {
            "seconds": member.checkpoint_s,
            "events": 500 if member.checkpoint_s < 1 else 1_000_000,
        },
        "web": {"listen": "127.0.0.1:0"},
        # Longer than a broker may be gone before the silence is noticed, and time stands still.
        "defaults": {**SETTINGS, "lateness": "20s"},
    }
    config = load([], {"SENTRY_DSN": member.sentry} if member.sentry else {}, overrides)
    # Shorter than the configuration allows, so that a test sees many sessions end.
    kafka = msgspec.structs.replace(config.kafka, session_timeout=Duration(member.session_s))
    return msgspec.structs.replace(config, kafka=kafka)


def serve(member: Member) -> int:
    """Runs it until it is told to stop; the exit code says how it ended."""
    Path(member.folder).mkdir(parents=True, exist_ok=True)
    _note_polls(Path(member.folder))
    if member.sabotage:
        _SABOTAGES[member.sabotage]()
    return running.run(config_of(member))


def _note_polls(folder: Path) -> None:
    """Writes down each generation of the group that this member was in, so many rebalances, and
    how many records it was given."""
    poll, seen, given = KafkaSource.poll, [-1], 0
    out = os.open(folder / "generations", os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    count = os.open(folder / f"polled-{os.getpid()}", os.O_WRONLY | os.O_CREAT)

    def noted(source: KafkaSource, timeout: float) -> Polled:
        nonlocal given
        polled = poll(source, timeout)
        consumer = source._member.consumer
        generation = -1 if consumer is None else consumer.group_metadata().generation_id
        if generation not in seen:
            seen.append(generation)
            os.write(out, b"%d\n" % generation)
        given += len(polled.records)
        os.pwrite(count, b"%d" % given, 0)
        return polled

    KafkaSource.poll = noted  # type: ignore[method-assign, assignment]


def _starts_too_late() -> None:
    """Sabotage: a partition that was taken up is read from a few records behind its offset."""
    start = KafkaSource.start

    def late(source: KafkaSource, place: Any, offset: int | None, topic: str | None) -> None:
        start(source, place, None if offset is None else offset + 3, topic)

    KafkaSource.start = late  # type: ignore[method-assign, assignment]


def _stops_without_a_checkpoint() -> None:
    """Sabotage: what the last turns have read is not made true at a stop."""
    Loop.run = _turning  # type: ignore[method-assign, assignment]


def _turning(loop: Loop) -> None:
    while not loop.stopping.is_set():
        loop.turn(timeout=0.2)


def _drops_a_page() -> None:
    """Sabotage: the first page is held to be told, and is not."""
    tell = SentryReporter.__call__
    dropped: list[OutboxRow] = []

    def telling(reporter: SentryReporter, rows: Sequence[OutboxRow]) -> list[Delivery]:
        if dropped:
            return tell(reporter, rows)
        dropped.append(rows[0])
        return [OK, *tell(reporter, rows[1:])]

    SentryReporter.__call__ = telling  # type: ignore[method-assign, assignment]


_SABOTAGES = {
    "starts late": _starts_too_late,
    "no last checkpoint": _stops_without_a_checkpoint,
    "drops a page": _drops_a_page,
}
