"""The application that hosts the census model: `python -m tests.e2e.application FEED.json`.

It serves versions with onnxruntime, publishes what it answered and later the truth, and obeys
what Watchkeeper asks of it on the topic of actions, each order once. It plays event time as fast
as the daemon reads, and slowly while an action is under way, so that seconds of work do not
become hours of traffic.
"""

from __future__ import annotations

import signal
import sys
import threading
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

import msgspec
from kafka import KafkaAdminClient, KafkaConsumer, KafkaProducer, TopicPartition

from tests.e2e.census import later_years
from tests.e2e.registry import ModelRegistry
from tests.e2e.scenario import SLOT_S, START, Said, Scenario, Traffic
from watchkeeper.daemon.transport.codec.encode import event_message
from watchkeeper.daemon.transport.file import FileSink
from watchkeeper.detectors.types import Change, Command, Scalar, moment

ENDED = "ended.json"
_UNDER_WAY = ("planned", "held", "permitted", "started", "undoing")
_SEND_S = 30.0


class Feed(msgspec.Struct, frozen=True, kw_only=True):
    """One run: what is played, and to whom.

    With `recording` the events go to that file instead of to Kafka. At most `lead` records may
    wait to be committed by the consumer group `group`. While an action is under way, `slowly`
    seconds of event time pass in a second.
    """

    scenario: Scenario
    data_dir: str
    folder: str
    prefix: str = "watchkeeper."
    recording: str = ""
    bootstrap: str = ""
    group: str = ""
    mlflow: str = ""
    lead: int = 1_500
    slowly: float = 20.0

    def topic(self, kind: str) -> str:
        """The topic of one kind of event, or of actions."""
        return f"{self.prefix}{kind}s"


class Order(msgspec.Struct, frozen=True):
    """What the application reads of a message about an action."""

    change: str
    action_id: str
    model_name: str
    verb: str = ""
    args: dict[str, Scalar] = {}
    expires_at: datetime | None = None

    def expired(self, now: float) -> bool:
        """Whether it must not be obeyed any more."""
        return self.expires_at is not None and now >= self.expires_at.timestamp()


@dataclass
class Hosted:
    """What the application does when it is told to: once for an order, whatever comes twice."""

    feed: Feed
    traffic: Traffic
    answered: dict[str, Command] = field(default_factory=dict)

    def obey(self, order: Order) -> list[Said]:
        """The change it makes of an order, and its answer."""
        at = START + self.traffic.now
        known = self.answered.get(order.action_id)
        if known is not None:
            return [Said(at, "command", known)]
        phase, reason, said = self._switched(order)
        answer = Command(
            id=f"answer-{order.action_id}",
            time=moment(at),
            command="outcome",
            target=order.action_id,
            model_name=order.model_name,
            args={"phase": phase, "reason": reason},
            actor="census-application",
        )
        self.answered[order.action_id] = answer
        return [*said, Said(at, "command", answer)]

    def _switched(self, order: Order) -> tuple[str, str, list[Said]]:
        if order.expired(time.time()):
            return "failed", "the order came too late", []
        version = str(order.args.get("version", ""))
        if order.verb != "switch" or order.model_name != self.feed.scenario.model:
            return "failed", f"does not know how to {order.verb} {order.model_name}", []
        if not self.traffic.knows(version):
            try:
                self._fetch(version)
            except (OSError, ValueError) as error:
                return "failed", f"version {version} cannot be loaded: {error}", []
        if self.traffic.live == version:
            return "successful", f"{version} was live already", []
        return "successful", f"{version} is live", [self.traffic.go_live(version, "watchkeeper")]

    def _fetch(self, version: str) -> None:
        if not self.feed.mlflow:
            raise ValueError("there is no registry to fetch it from")
        registry = ModelRegistry(self.feed.mlflow, self.feed.scenario.model)
        self.traffic.add(version, registry.fetch(version, Path(self.feed.folder)))


class Broker:
    """The application's connection to Kafka."""

    def __init__(self, feed: Feed) -> None:
        self._feed = feed
        self._producer = KafkaProducer(
            bootstrap_servers=feed.bootstrap, acks="all", linger_ms=5, batch_size=65_536
        )
        self._actions = KafkaConsumer(bootstrap_servers=feed.bootstrap, group_id=None)
        topic = TopicPartition(feed.topic("action"), 0)
        self._actions.assign([topic])
        self._actions.seek_to_beginning(topic)
        self._admin = KafkaAdminClient(bootstrap_servers=feed.bootstrap)
        self.sent: Counter[str] = Counter()
        self._read = 0

    def send(self, said: Sequence[Said]) -> None:
        """Publishes events, each dated with its own time; returns when all are safe."""
        futures: list[Any] = []
        for each in said:
            message = event_message(each.event, self._feed.topic(each.kind))
            futures.append(
                self._producer.send(
                    message.topic,
                    message.value,
                    message.key,
                    list(message.headers),
                    timestamp_ms=round(each.at * 1000),
                )
            )
        self._producer.flush(timeout=_SEND_S)
        for future in futures:
            future.get(timeout=_SEND_S)
        self.sent.update(self._feed.topic(each.kind) for each in said)

    def ahead(self) -> int:
        """How many of the published events the daemon has not made true yet."""
        sent = self.sent.total()
        if sent - self._read > self._feed.lead:
            found = self._admin.list_group_offsets(self._feed.group)
            self._read = sum(each.offset for each in found[self._feed.group].values())
        return sent - self._read

    def orders(self) -> list[Order]:
        """New messages about actions."""
        found = []
        for records in self._actions.poll(timeout_ms=0).values():
            found += [msgspec.json.decode(r.value, type=Order) for r in records if r.value]
        return found

    def close(self) -> None:
        """Frees every connection."""
        self._producer.close(timeout=10)
        self._actions.close()
        self._admin.close()


@dataclass
class Player:
    """Plays the scenario to a broker."""

    hosted: Hosted
    broker: Broker
    stopping: threading.Event
    states: dict[str, str] = field(default_factory=dict)
    _played_at: float = 0.0

    def run(self) -> None:
        """Until it is told to stop; after the end of the scenario it only obeys.

        At the end of the scenario it says in a file how much it has published, by topic.
        """
        traffic = self.hosted.traffic
        while not self.stopping.wait(0.0 if self._turn(traffic) else 0.02):
            pass

    def _turn(self, traffic: Traffic) -> bool:
        """Does what there is to do now; whether it was anything."""
        orders = self.broker.orders()
        for order in orders:
            if order.change == "requested":
                self.broker.send(self.hosted.obey(order))
            else:
                self.states[order.action_id] = order.change
        if traffic.ended or not self._may_play():
            return bool(orders)
        said = traffic.slot()
        self._release(said)
        self.broker.send(said)
        self._played_at = time.monotonic()
        if traffic.ended:
            part = Path(self.hosted.feed.folder) / "ended.part"
            part.write_bytes(msgspec.json.encode(self.broker.sent))
            part.replace(part.with_name(ENDED))
        return True

    def _release(self, said: Sequence[Said]) -> None:
        """A deployment of ours moves the alias before anybody is served by the new version."""
        feed = self.hosted.feed
        for each in said:
            if feed.mlflow and isinstance(each.event, Change) and each.event.model_version:
                registry = ModelRegistry(feed.mlflow, feed.scenario.model)
                registry.give_alias(each.event.model_version)

    def _may_play(self) -> bool:
        if any(state in _UNDER_WAY for state in self.states.values()):
            pause = SLOT_S / self.hosted.feed.slowly
            if time.monotonic() - self._played_at < pause:
                return False
        return self.broker.ahead() <= self.hosted.feed.lead


def record(feed: Feed, traffic: Traffic) -> None:
    """Writes the whole scenario to a file, an event a line."""
    sink = FileSink(feed.recording)
    while not traffic.ended:
        said = traffic.slot()
        failed = sink.publish(
            [event_message(each.event, feed.topic(each.kind)) for each in said], _SEND_S
        )
        if any(failed):
            raise OSError(f"{feed.recording}: {failed}")
    sink.close()


def main(path: str) -> None:
    """Runs one feed."""
    feed = msgspec.json.decode(Path(path).read_bytes(), type=Feed)
    traffic = Traffic(feed.scenario, later_years(Path(feed.data_dir)))
    if feed.recording:
        record(feed, traffic)
        return
    stopping = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stopping.set())
    broker = Broker(feed)
    Player(Hosted(feed, traffic), broker, stopping).run()
    broker.close()


if __name__ == "__main__":
    main(sys.argv[1])
