"""Members of one group on Kafka, the topics they read, and what came of it."""

from __future__ import annotations

import os
import signal
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, TypeVar

from kafka import KafkaProducer

from tests.faults.member import Member
from tests.faults.stream import PREFIX, Said, Stream
from tests.faults.verdict import Verdict, verdict
from tests.faults.zygote import Zygote
from tests.services.base import wait_until
from tests.services.postgres import Postgres
from watchkeeper.daemon.storage import migrate
from watchkeeper.daemon.storage.database import DatabaseDown
from watchkeeper.daemon.storage.store import Store
from watchkeeper.daemon.transport.ports import Partition
from watchkeeper.daemon.transport.settings import KafkaSettings
from watchkeeper.daemon.transport.topics import TopicSpec, create_topics

T = TypeVar("T")
_IN = ("predictions", "labels", "logs", "metrics", "changes", "commands")
_OUT = ("incidents", "incidents.state", "actions", "models.state")
_FOR_EVER = -1  # events are dated in the past: no broker may find them too old
_SENT_S = 120.0


class Log:
    """The topics that are read, and how many events each partition holds by now."""

    def __init__(self, bootstrap: str, partitions: int) -> None:
        self.bootstrap = bootstrap
        self.inputs = f"in-{uuid.uuid4().hex[:8]}."
        self.sent: dict[Partition, int] = {}
        specs = [TopicSpec(self.inputs + n, partitions, False, _FOR_EVER) for n in _IN]
        make_topics(bootstrap, specs)
        self._producer = KafkaProducer(
            bootstrap_servers=bootstrap,
            acks="all",
            enable_idempotence=True,
            delivery_timeout_ms=int(_SENT_S * 1000),
            linger_ms=20,
        )

    def publish(self, events: list[Said]) -> None:
        """Publishes events in order, each once, also while the broker comes and goes."""
        waiting = []
        for each in events:
            place = Partition(self.inputs + each.topic.removeprefix(PREFIX), each.partition)
            waiting.append(self._producer.send(*_sent(place, each)))
            self.sent[place] = self.sent.get(place, 0) + 1
        for one in waiting:
            one.get(timeout=_SENT_S)

    def close(self) -> None:
        """Frees the producer."""
        self._producer.close(timeout=5)


def _sent(place: Partition, event: Said) -> tuple[Any, ...]:
    return place.topic, event.value, event.key, [], place.number, int(event.at * 1000)


def make_topics(bootstrap: str, specs: list[TopicSpec]) -> None:
    """Makes topics of a test's own."""
    made = create_topics(KafkaSettings(bootstrap_servers=[bootstrap]), specs)
    assert all(said == "created" for _, said in made), made


@dataclass
class Group:
    """One installation: a database and members that share the log."""

    folder: Path
    zygote: Zygote
    log: Log
    database: str
    bootstrap: str = ""  # the log's own, or a proxy before it
    settings: dict[str, Any] = field(default_factory=dict)
    reached: str = ""  # the database's URL as the members are given it
    name: str = field(default_factory=lambda: f"g-{uuid.uuid4().hex[:8]}")
    members: dict[str, int] = field(default_factory=dict)
    leaving: dict[str, int] = field(default_factory=dict)
    _born: int = 0
    _lives: dict[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        migrate.upgrade(self.database)
        self.store = Store(self.database)
        names = [f"{self.name}.{each}" for each in _OUT]
        refused = [f"{self.name}.dlq.{self.log.inputs}{each}" for each in _IN]
        make_topics(self.log.bootstrap, [TopicSpec(each) for each in names + refused])

    def join(self, name: str = "") -> str:
        """One member more; gives its name."""
        self._born += 1
        name = name or f"m{self._born}"
        self._lives[name] = self._lives.get(name, 0) + 1
        member = Member(
            name=name,
            folder=str(self.folder / self.name),
            bootstrap=self.bootstrap or self.log.bootstrap,
            database=self.reached or self.database,
            group=self.name,
            inputs=self.log.inputs,
            log=str(self.folder / f"{self.name}-{name}.log"),
            **self.settings,
        )
        self.members[name] = self.zygote.bear(member)
        return name

    def signal(self, name: str, how: signal.Signals) -> None:
        """Sends a signal to a member."""
        os.kill(self.members[name], how)

    def gone(self, name: str, limit: float = 60.0) -> int:
        """Waits for a member's end and gives its exit code."""
        code = self.zygote.ended(self.members[name], limit)
        assert code is not None, f"{name} has not ended in {limit:g} s:\n{self.tail(name)}"
        del self.members[name]
        return code

    def leave(self, name: str) -> int:
        """Ends a member in the orderly way, once it has come far enough to be asked to."""
        self.wait(lambda: self.watching(name), 30.0, f"{name} to be there")
        self.signal(name, signal.SIGTERM)
        return self.gone(name)

    def kill(self, name: str) -> None:
        """kill -9."""
        self.signal(name, signal.SIGKILL)
        self.gone(name)

    def send_off(self, name: str) -> None:
        """Asks a member to end, and does not wait for it."""
        self.wait(lambda: self.watching(name), 30.0, f"{name} to be there")
        self.signal(name, signal.SIGTERM)
        self.leaving[name] = self.members.pop(name)

    def close(self) -> None:
        """Kills everybody who is left, and lets go of the database."""
        self.members |= self.leaving
        self.leaving.clear()
        for name in list(self.members):
            self.kill(name)
        self.store.close()

    @property
    def generations(self) -> int:
        """How many generations of the group its members have seen: one more at each rebalance."""
        file = self.folder / self.name / "generations"
        return max(map(int, file.read_text().split()), default=0) if file.exists() else 0

    def read(self) -> dict[Partition, int]:
        """How far the partitions were made true."""
        try:
            return {p: n or 0 for p, n in self.store.records.offsets().items()}
        except DatabaseDown:
            return {}

    def behind(self) -> dict[Partition, int]:
        """What was published and is not true yet."""
        read = self.read()
        return {p: n - read.get(p, 0) for p, n in self.log.sent.items() if n > read.get(p, 0)}

    def wait(self, condition: Callable[[], T | None], timeout: float, what: str) -> T:
        """Waits for something; a failure tells what the members have printed."""
        try:
            return wait_until(condition, timeout, what)
        except TimeoutError as error:
            tails = "\n".join(f"{name}:\n{self.tail(name)}" for name in self.members)
            raise AssertionError(f"{error}; behind: {self.behind()}\n{tails}") from error

    def wait_read(self, timeout: float) -> float:
        """Waits until everything that was published is true; gives how long that took."""
        began = time.monotonic()
        self.wait(lambda: not self.behind(), timeout, "everything to be read")
        return time.monotonic() - began

    def watching(self, name: str) -> bool:
        """Whether a member has started its loop, in its newest life."""
        file = self.folder / f"{self.name}-{name}.log"
        return file.exists() and file.read_bytes().count(b"watching  ") >= self._lives[name]

    def tail(self, name: str) -> str:
        """The end of what a member has printed."""
        file = self.folder / f"{self.name}-{name}.log"
        return "\n".join(file.read_text(errors="replace").splitlines()[-15:])

    def left(self) -> Verdict:
        """What is true in the end, but for the topics' names. Of the states it is how much of each
        version was counted: the newest windows are open longer in one run than in another."""
        found = verdict(self.database)
        states = {model: counted(state) for model, state in found.states.items()}
        offsets = {p.removeprefix(self.log.inputs): n for p, n in found.offsets.items() if n}
        return replace(found, states=states, offsets=offsets)


def counted(state: Any) -> dict[str, int]:
    """How many predictions of each version a state has counted, wherever it keeps that."""
    if isinstance(state, dict):
        if isinstance(state.get("versions"), dict):
            return {v: each["predictions"] for v, each in state["versions"].items()}
        for value in state.values():
            if found := counted(value):
                return found
    return {}


@dataclass
class Silence:
    """How long, at the most, a partition with unread events stood still."""

    group: Group
    longest: float = 0.0
    where: Partition | None = None
    _moved: dict[Partition, tuple[int, float]] = field(default_factory=dict)

    def look(self) -> None:
        """To be called often."""
        now, read = time.monotonic(), self.group.read()
        for place, n in self.group.log.sent.items():
            at, since = self._moved.get(place, (-1, now))
            here = read.get(place, 0)
            if here != at or here >= n:
                self._moved[place] = here, now
            elif now - since > self.longest:
                self.longest, self.where = now - since, place


def undisturbed(group: Group, timeout: float) -> Verdict:
    """What one member that nobody troubles makes of the log."""
    name = group.join()
    group.wait_read(timeout)
    assert group.leave(name) == 0
    left = group.left()
    group.close()
    return left


def undisturbed_left(group: Group, zygote: Zygote, postgres: Postgres) -> Verdict:
    """What a group has left, once it is sure that one that nobody troubled leaves the same."""
    alone = Group(group.folder, zygote, group.log, postgres.fresh_database())
    reference, left = undisturbed(alone, 60.0), group.left()
    assert len(reference.incidents) >= 2
    assert not left.differences(reference), left.differences(reference)
    return left


def sharing(partitions: int, slots: int, per_slot: int, faults: bool = True) -> Stream:
    """A stream of as many models as there are partitions, one in each."""
    names = ["alpha", "beta", "gamma", *(f"more-{n}" for n in range(3, partitions))]
    models = tuple((name, number) for number, name in enumerate(names[:partitions]))
    return Stream(slots=slots, per_slot=per_slot, models=models, faults=faults)
