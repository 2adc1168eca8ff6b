"""A model spread over partitions, loops that are killed, and messages that come twice: nothing is
lost, nothing counts double."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

from tests.daemon.looped import START, Notebook, prediction
from tests.examples import repeated
from watchkeeper.daemon.core.pipeline import Pipeline
from watchkeeper.daemon.core.policy import ModelPolicy
from watchkeeper.daemon.core.state import State, share_of, whole
from watchkeeper.daemon.loop import Loop
from watchkeeper.daemon.reporting.topics import KafkaChannel
from watchkeeper.daemon.spreading import MOST_BYTES, Spreading
from watchkeeper.daemon.storage import migrate
from watchkeeper.daemon.storage.outbox import Delivery, Outbox
from watchkeeper.daemon.storage.store import Store
from watchkeeper.daemon.storage.values import OutboxRow
from watchkeeper.daemon.transport.memory import MemoryBroker, MemorySink, MemorySource
from watchkeeper.daemon.transport.partials import Part, Partials, Span, decode, message
from watchkeeper.daemon.transport.ports import Message, Partition
from watchkeeper.detectors.profile import Profile
from watchkeeper.detectors.profiling import profile_from_columns
from watchkeeper.detectors.suite import DEFAULT_WATCHES
from watchkeeper.detectors.types import EventKind, Finding, Label, moment
from watchkeeper.handlers.rules import RULES

N = 3
MODEL = "fraud"
KINDS: dict[str, EventKind] = {"predictions": "prediction", "labels": "label"}
POLICY = ModelPolicy(watches=DEFAULT_WATCHES, learn_n=10_000_000)


class Some:
    """Some partition numbers of a broker's topics, as one member of a group reads them."""

    def __init__(self, broker: MemoryBroker, numbers: Sequence[int]) -> None:
        self._broker, self._numbers = broker, set(numbers)

    def partitions(self, topics: Sequence[str]) -> list[Partition]:
        return [p for p in self._broker.partitions(topics) if p.number in self._numbers]

    def __getattr__(self, name: str) -> Any:
        return getattr(self._broker, name)


@dataclass
class Cluster:
    """Topics and a database that outlive any number of loops."""

    store: Store
    n: int = N
    broker: MemoryBroker = field(init=False)
    chance: random.Random = field(default_factory=lambda: random.Random(1))
    now: float = START + 1e8

    def __post_init__(self) -> None:
        topics = ("predictions", "labels", "partials")
        self.broker = MemoryBroker(dict.fromkeys(topics, self.n))
        self.outbox = Outbox(self.store.letters, {"kafka": self.deliver}, clock=lambda: self.now)
        self.channel = KafkaChannel(MemorySink(self.broker, lambda: self.now))

    def deliver(self, rows: Sequence[OutboxRow]) -> Sequence[Delivery]:
        """Sends a message twice at times, as after a crash before it was noted as sent."""
        if self.chance.random() < 0.3:
            self.channel(rows)
        return self.channel(rows)

    def loop(self, numbers: Sequence[int], *, spread: bool = True) -> Loop:
        topics = [*KINDS, "partials"] if spread else [*KINDS]
        some: Any = Some(self.broker, numbers)
        source = MemorySource(some, topics, f"group-{spread}", max_records=37)
        book = Notebook()
        return Loop(
            source,
            KINDS,
            Pipeline(State(lambda _: POLICY), RULES, ()),
            self.store,
            book,
            book,
            lambda: self.now,
            checkpoint_s=1e9,
            checkpoint_events=60,
            ticks=False,
            spreading=Spreading("partials", "predictions", lambda: self.n, MODEL.__eq__)
            if spread
            else None,
        )

    def publish(self, first: int, n: int, failing: float = 0.0, wrong: float = 0.05) -> None:
        rng = np.random.default_rng(first)
        for i in range(first, first + n):
            amount, failed = float(rng.normal(50, 10)), rng.random() < failing
            place = i * 7 % 11 % self.n
            at = START + 0.5 * i
            said = prediction(i, amount, failed=bool(failed))
            self.broker.publish(Message("predictions", b"", said), at, place)
            label = Label(
                id=f"l{i}",
                time=moment(at + 0.2),
                model_name=MODEL,
                request_id=f"r{i}",
                label="yes" if rng.random() < wrong else "no",
            )
            told = Message("labels", b"", msgspec.json.encode(label))
            self.broker.publish(told, at + 0.2, place)

    def settle(self, loops: Sequence[Loop]) -> None:
        """Everything that was published is read, told, merged and stored."""
        for _ in range(4):
            for loop in loops:
                loop.turn(0.0)
                while not loop.source.caught_up():
                    loop.turn(0.0)
                loop.checkpoint()
            while self.outbox.deliver_due("kafka"):
                pass


def opened(folder: Path, name: str) -> Store:
    url = f"sqlite:///{folder}/{name}.db"
    migrate.upgrade(url)
    return Store(url)


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[Cluster]:
    store = opened(tmp_path, "spread")
    yield Cluster(store)
    store.close()


@pytest.fixture
def single(tmp_path: Path) -> Iterator[Cluster]:
    """The same events in one partition, of a model that is not spread."""
    store = opened(tmp_path, "single")
    yield Cluster(store, n=1)
    store.close()


def told(found: Sequence[Finding], until: float) -> list[str]:
    return sorted(repr(each) for each in found if each.at <= until)


def reached(loops: Sequence[Loop]) -> float:
    states = [loop.pipeline.state.models[MODEL] for loop in loops
              if MODEL in loop.pipeline.state.models]  # fmt: skip
    assert len(states) == 1
    return (states[0].next_window or 0) * POLICY.window_s


@pytest.mark.parametrize("seed", repeated(range(4)))
def test_killed_anywhere_it_finds_what_one_instance_finds(
    cluster: Cluster, single: Cluster, seed: int
) -> None:
    cluster.chance = chance = random.Random(seed)
    for each in (cluster, single):
        each.publish(0, 3_600)
        each.publish(3_600, 900, failing=0.4, wrong=0.9)
    alone = single.loop([0], spread=False)
    single.settle([alone])

    loops = [cluster.loop([0, 1]), cluster.loop([2])]
    for _ in range(200):
        loop = chance.choice(loops)
        loop.turn(0.0)
        if chance.random() < 0.3:
            cluster.outbox.deliver_due("kafka")
        if chance.random() < 0.1:
            at = loops.index(loop)
            numbers = sorted({place.number for place in loop.owns})
            loops[at] = cluster.loop(numbers or [[0, 1], [2]][at])
        if chance.random() < 0.03:
            split = chance.choice(([0], [0, 1], [1], [2]))
            loops = [cluster.loop(split), cluster.loop([n for n in range(N) if n not in split])]
    cluster.settle(loops)

    until = reached(loops)
    assert until >= START + 2_000.0
    mine, theirs = cluster.store.records, single.store.records
    assert told(mine.findings(), until) == told(theirs.findings(), until)
    signals = {each.series.signal for each in mine.findings()}
    assert {"errors", "accuracy"} <= signals
    assert [i.id for i in mine.incidents()] == [i.id for i in theirs.incidents()]
    assert len(mine.incidents()) == 1
    assert mine.models() == [MODEL]
    assert mine.totals().models == 1
    assert cluster.store.letters.refused_since(0).rows == 0


def test_a_message_that_does_not_follow_is_refused_or_told_of(cluster: Cluster) -> None:
    loop = cluster.loop(range(N))
    loop.turn(0.0)

    def send(after: int | None, end: int, epoch: int, width: float = 60.0) -> None:
        span = Span("predictions", 0, after, end, START)
        part = Part("1", "errors", 28_333_334, width, "", {"status": np.array([1, 0, 0])})
        cluster.broker.publish(message(Partials(MODEL, epoch, (span,), (part,)), "partials"), START)

    send(None, 1, 5)
    send(1, 2, 5)
    send(1, 2, 5)  # again: nobody needs to know
    send(3, 4, 5)  # the third is missing
    send(4, 5, 3)  # from one who had lost the partition
    send(4, 5, 5, width=30.0)
    cluster.broker.publish(Message("partials", MODEL.encode(), b"odd"), START)
    send(None, 1, 9)  # began anew
    cluster.settle([loop])

    kept = cluster.store.records.dead_letters(limit=10)
    said = [each.message for each in kept]
    assert len(said) == 4
    for words in (
        "fraud@predictions/0:5 is fenced",
        "messages before fraud@predictions/0:4 are missing",
        "windows are not 60.0 s wide",
    ):
        assert sum(each.startswith(words) for each in said) == 1
    assert {each.reason for each in kept} == {"partials"}
    partials = loop.pipeline.state.models[MODEL].partials[28_333_334]
    assert partials["1", "errors"]["status"][0] == 4


def test_counts_of_many_windows_come_in_small_messages(cluster: Cluster) -> None:
    for i in range(2_000):
        at = START + 60.0 * i
        said = prediction(2 * 60 * i)
        cluster.broker.publish(Message("predictions", b"", said), at, 0)
    loop = cluster.loop(range(N))
    loop.checkpoint_events = 10_000
    while not loop.source.caught_up() or not loop.owns:
        loop.turn(0.0)
    loop.checkpoint()
    while cluster.outbox.deliver_due("kafka"):
        pass

    sent = [decode(record.value or b"") for record in cluster.broker.records("partials")]
    spans = sorted({(each.spans[0].end, each.spans[0].mark) for each in sent})
    assert len(spans) > 2
    assert all(mark == float("-inf") for _, mark in spans[:-1])  # windows wait for the last one
    assert spans[-1][1] == START + 60.0 * 1_999
    most = max(len(r.value or b"") for r in cluster.broker.records("partials"))
    assert most <= MOST_BYTES


def test_an_imported_reference_reaches_shares_and_owner(cluster: Cluster) -> None:
    rng = np.random.default_rng(1)
    columns = {"amount": rng.normal(50, 10, 500)}
    profile: Profile = profile_from_columns(columns, model=MODEL, version="1")
    cluster.store.registry.put_profile(profile, cluster.now)
    cluster.publish(0, 600)
    loop = cluster.loop(range(N))
    cluster.settle([loop])

    state = loop.pipeline.state
    assert state.models[MODEL].profiles["1"] == profile
    for number in range(N):
        assert whole(share_of(MODEL, number)) == MODEL
        assert "1" in state.models[share_of(MODEL, number)].profiles
    parts = [p for r in cluster.broker.records("partials") for p in decode(r.value or b"").parts]
    assert {part.reference for part in parts if part.signal == "tally"} != {""}


def test_a_model_that_is_spread_from_now_on_waits_for_its_shares(cluster: Cluster) -> None:
    cluster.publish(0, 600)
    before = cluster.loop(range(N), spread=False)
    before.ticks, cluster.now = True, START + 300.0
    cluster.settle([before])
    cluster.publish(600, 60)
    cluster.settle([before])
    assert before.pipeline.state.models[MODEL].live_stream

    after = cluster.loop(range(N))
    after.ticks, cluster.now = True, START + 900.0
    for _ in range(3):
        after.turn(0.0)

    known = after.pipeline.state.models[MODEL]
    assert known.last_tick == START + 900.0
    assert known.mark.newest == before.pipeline.state.models[MODEL].mark.newest
