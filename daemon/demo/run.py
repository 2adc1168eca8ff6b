"""Runs the demo: the real daemon on a simulated fleet, in a folder that is gone afterwards."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from uuid import uuid4

import click
import msgspec

from watchkeeper.daemon import logs
from watchkeeper.daemon.config import Config
from watchkeeper.daemon.core.step import Step
from watchkeeper.daemon.demo.driver import Recorded, Watch, Wire
from watchkeeper.daemon.demo.scorecard import ScoreCard
from watchkeeper.daemon.demo.screen import Plain, Screen, Terminal
from watchkeeper.daemon.demo.stage import (
    START,
    DemoOptions,
    Stage,
    demo_config,
    event_topics,
    play,
)
from watchkeeper.daemon.demo.watching import CountedSource, DaemonWatch, TooSlow
from watchkeeper.daemon.demo.wires import BrokerWire, MemoryWire, NotSent
from watchkeeper.daemon.exit_codes import OK, UNAVAILABLE
from watchkeeper.daemon.service import Daemon
from watchkeeper.daemon.topics import topic_names
from watchkeeper.daemon.transport.memory import MemoryBroker, MemorySink, MemorySource
from watchkeeper.daemon.transport.ports import Sink, Source

KEPT = 20_000  # newest records a topic keeps in memory: more than one turn sends
MOST = 1_000  # incidents and actions that are scored
HOURS = 6  # over Kafka the story ends before now: brokers refuse records from the future
OUT_TOPICS = ("incidents", "incidents_state", "actions", "models_state")


@dataclass
class HandTurned:
    """A daemon whose clock shows the simulated time."""

    config: Config
    source: Source
    sink: Sink
    start: float
    poll_s: float = 0.0
    now: float = field(init=False)
    daemon: Daemon = field(init=False)

    def __post_init__(self) -> None:
        self.now = self.start
        self.daemon = Daemon(self.config, self.source, self.sink, clock=lambda: self.now)
        self.daemon.start()

    def turn(self, now: float) -> Step:
        self.now = now
        return self.daemon.turn(self.poll_s)

    def recorded(self) -> Recorded:
        self.daemon.loop.checkpoint()
        records = self.daemon.store.records
        return Recorded(records.incidents(limit=MOST), records.actions(limit=MOST))

    def close(self) -> None:
        """Ends the daemon in order."""
        self.daemon.close()


def run_demo(options: DemoOptions) -> int:
    """The whole demo; the exit code is 0 when it came to its end, whatever the score."""
    logs.configure("error", "console")
    screen: Screen = (
        Plain(options.yes, quiet=options.json) if options.headless else Terminal(options.yes)
    )
    with tempfile.TemporaryDirectory(prefix="watchkeeper-demo-") as folder:
        try:
            card = _played(options, Path(folder), screen)
        except (NotSent, TooSlow, Unreachable) as error:
            click.echo(f"watchkeeper demo: {options.kafka or 'in memory'}: {error}", err=True)
            return UNAVAILABLE
        finally:
            screen.close()
    screen.card(card)
    if options.json:
        click.echo(msgspec.json.encode(card))
    return OK


class Unreachable(Exception):
    """The broker that was asked for is not there; the text says what it said."""


def _played(options: DemoOptions, folder: Path, screen: Screen) -> ScoreCard:
    began = time.monotonic()
    over = _in_memory if options.kafka is None else _over_kafka
    with over(options, folder) as (stage, watch, wire):
        card = play(options, stage, watch, wire, screen)
    return msgspec.structs.replace(card, seconds=round(time.monotonic() - began, 2))


@contextmanager
def _in_memory(options: DemoOptions, folder: Path) -> Iterator[tuple[Stage, Watch, Wire]]:
    config = demo_config(folder)
    topics = event_topics(config)
    names = [*topics.values()]
    broker = MemoryBroker(dict.fromkeys(names, 1), retain=KEPT)
    source = CountedSource(MemorySource(broker, names, max_records=KEPT))
    wire = MemoryWire(broker, topic_names(config).actions)
    with closing(HandTurned(config, source, MemorySink(broker), START)) as daemon:
        stage = Stage.of(options.seed, START, topics)
        yield stage, DaemonWatch(daemon, source, wire, topics), wire


@contextmanager
def _over_kafka(options: DemoOptions, folder: Path) -> Iterator[tuple[Stage, Watch, Wire]]:
    from watchkeeper.daemon.transport.kafka import KafkaSink, KafkaSource

    run = uuid4().hex[:8]
    config = demo_config(folder, f"watchkeeper.demo.{run}.", options.kafka)
    _make_topics(config)
    settings = config.kafka_settings()
    topics = event_topics(config)
    source = CountedSource(KafkaSource(settings, [*topics.values()]))
    start = (time.time() // 60 - HOURS * 60) * 60
    answers = msgspec.structs.replace(settings, group_id=f"{settings.group_id}application")
    orders = KafkaSource(answers, [topic_names(config).actions])
    wire = BrokerWire(KafkaSink(settings), orders)
    with (
        closing(orders),
        closing(wire.sink),
        closing(HandTurned(config, source, KafkaSink(settings), start, poll_s=0.05)) as daemon,
    ):
        stage = Stage.of(options.seed, start, topics)
        yield stage, DaemonWatch(daemon, source, wire, topics), wire


def _make_topics(config: Config) -> None:
    from watchkeeper.daemon.transport.topics import TopicSpec, create_topics

    names = [*event_topics(config).values(), *(config.topics.name(t) for t in OUT_TOPICS)]
    for name, outcome in create_topics(config.kafka_settings(), [TopicSpec(n) for n in names]):
        if outcome not in ("created", "exists"):
            raise Unreachable(f"{name}: {outcome}")
