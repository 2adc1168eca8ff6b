"""A broker and a database that outlive any number of loops, and who stands around a loop."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar

import msgspec
import numpy as np

from tests.fakes import FakeDeployer
from watchkeeper.daemon.actions.executor import Submitted
from watchkeeper.daemon.core.pipeline import Pipeline
from watchkeeper.daemon.core.policy import ModelPolicy
from watchkeeper.daemon.core.state import State
from watchkeeper.daemon.core.step import Step
from watchkeeper.daemon.handing import Actor
from watchkeeper.daemon.loop import Loop
from watchkeeper.daemon.reporting.metrics import Stage
from watchkeeper.daemon.storage import migrate
from watchkeeper.daemon.storage.store import Store
from watchkeeper.daemon.storage.values import OutboxRow
from watchkeeper.daemon.transport.codec import Decoded
from watchkeeper.daemon.transport.memory import MemoryBroker, MemorySource
from watchkeeper.daemon.transport.ports import Message, Partition, Source
from watchkeeper.daemon.transport.records import Records
from watchkeeper.detectors.suite import DEFAULT_WATCHES
from watchkeeper.detectors.types import (
    Command,
    EventKind,
    Prediction,
    PredictionValue,
    moment,
)
from watchkeeper.handlers.rules import RULES
from watchkeeper.handlers.switching import move
from watchkeeper.handlers.types import (
    Action,
    ActionState,
    Context,
    Handler,
    Incident,
    Mode,
    Outcome,
    Phase,
    action_id,
)

MODEL = "fraud"
START = 1_700_000_040.0
KINDS: dict[str, EventKind] = {
    "predictions": "prediction",
    "changes": "change",
    "commands": "command",
}


def prediction(
    i: float, amount: float = 50.0, *, failed: bool = False, model: str = "fraud"
) -> bytes:
    """The i-th prediction, as it is published: one comes each half second."""
    event = Prediction(
        id=f"e{i}",
        time=moment(START + 0.5 * i),
        model_name=model,
        model_version="1",
        request_id=f"r{i}",
        features={"amount": amount},
        prediction=PredictionValue(label="no", score=0.2),
        duration_s=0.05,
        status="error" if failed else "ok",
    )
    return msgspec.json.encode(event)


@dataclass
class Notebook:
    """Stands where executor and reporter stand, and writes down what it was given."""

    submitted: list[Action] = field(default_factory=list)
    told: list[Step] = field(default_factory=list)
    answers: list[Command] = field(default_factory=list)
    left: list[Partition] = field(default_factory=list)
    room: int = 100
    refused: list[Action] = field(default_factory=list)
    ended: list[Outcome] = field(default_factory=list)
    away: list[tuple[float, str]] = field(default_factory=list)
    blind: list[tuple[float, str]] = field(default_factory=list)
    rebalances: list[float] = field(default_factory=list)
    messages: list[OutboxRow] = field(default_factory=list)
    woken: int = 0

    def submit(self, action: Action) -> Submitted:
        full = len(self.submitted) >= self.room
        (self.refused if full else self.submitted).append(action)
        return Submitted.FULL if full else Submitted.ACCEPTED

    def outcomes(self) -> list[Outcome]:
        found, self.ended = self.ended, []
        return found

    def rows(self, step: Step, decoded: Decoded, at: float) -> list[OutboxRow]:
        said, self.messages = self.messages, []
        return said

    def observe(self, step: Step, records: Records, decoded: Decoded) -> None:
        self.told.append(step)

    def stage(self, name: Stage) -> AbstractContextManager[None]:
        return nullcontext()

    def answered(self, command: Command) -> str:
        self.answers.append(command)
        return "done: answer taken"

    def committed(self) -> None:
        self.woken += 1

    def released(self, partitions: Iterable[Partition]) -> None:
        self.left.extend(partitions)

    def database_away(self, seconds: float, reason: str) -> None:
        self.away.append((seconds, reason))

    def source_away(self, seconds: float, reason: str) -> None:
        self.blind.append((seconds, reason))

    def rebalanced(self, at: float) -> None:
        self.rebalances.append(at)


@dataclass
class World:
    """A broker and a database that outlive any number of loops."""

    store: Store
    broker: MemoryBroker = field(default_factory=lambda: MemoryBroker({"predictions": 1}))
    group: str = "one"
    now: float = START + 1e8
    book: Notebook = field(default_factory=Notebook)
    ticks: bool = True

    def loop(
        self,
        *handlers: Handler,
        actor: Actor | None = None,
        source: Source | None = None,
        kinds: Mapping[str, EventKind] = KINDS,
    ) -> Loop:
        policy = ModelPolicy(watches=DEFAULT_WATCHES, learn_n=200, mode=Mode.ACT)
        source = source or MemorySource(self.broker, list(KINDS), self.group, max_records=97)
        pipeline = Pipeline(State(lambda _: policy), RULES, handlers)
        return Loop(
            source,
            kinds,
            pipeline,
            self.store,
            actor or self.book,
            self.book,
            lambda: self.now,
            checkpoint_s=1e9,
            checkpoint_events=150,
            ticks=self.ticks,
        )

    def publish(self, first: int, n: int, *, failing: float = 0.0) -> None:
        """Predictions, one each half second."""
        rng = np.random.default_rng(first)
        for i in range(first, first + n):
            amount, failed = float(rng.normal(50, 10)), rng.random() < failing
            self.send("predictions", prediction(i, amount, failed=failed), START + 0.5 * i)

    def send(self, topic: str, value: bytes, at: float = START) -> None:
        self.broker.publish(Message(topic, b"fraud", value), at)

    def dump(self, loop: Loop) -> bytes:
        return msgspec.msgpack.encode(loop.pipeline.state.dump("fraud"))


def drain(loop: Loop) -> None:
    """Turns until everything that is there has been read."""
    loop.turn(0.0)
    while not loop.source.caught_up():
        loop.turn(0.0)
    loop.turn(0.0)


def fresh(world: World) -> Store:
    """A second, empty database beside the world's."""
    folder = Path(str(world.store._db.engine.url.database)).parent
    url = f"sqlite:///{folder}/other.db"
    migrate.upgrade(url)
    return Store(url)


def kept(store: Store, model: str = MODEL) -> list[str]:
    """The requests on record, each as often as it was kept."""
    return sorted(i for frame in store.captured(model) for i in frame.request_id.tolist())


def requests(n: int) -> list[str]:
    return sorted(f"r{i}" for i in range(n))


@dataclass
class Restart:
    """Plans one action an incident, which a person or no guard has to object to."""

    deployer: FakeDeployer = field(default_factory=FakeDeployer)
    name: ClassVar[str] = "restart"
    undoable: ClassVar[bool] = False

    def plan(self, incident: Incident, context: Context) -> Action | None:
        return Action(
            id=action_id(incident.id, self.name, 1),
            incident_id=incident.id,
            model=incident.model,
            kind=self.name,
            state=ActionState.PLANNED,
            planned_at=context.now,
            updated_at=context.now,
            summary="start v1 instead",
        )

    def preflight(self, action: Action) -> Outcome:
        return Outcome(action.id, action.model, Phase.SUCCESSFUL, "fit", START, "preflight")

    def run(self, action: Action) -> Outcome:
        return move(self.deployer, action, "v2", "v1", step="run", at=START)

    def undo(self, action: Action) -> Outcome:
        return move(self.deployer, action, "v1", "v2", step="undo", at=START)


def with_a_plan(world: World) -> tuple[Loop, Action]:
    """A loop that has planned one action for one incident, which is on record."""
    world.publish(0, 1_500)
    world.publish(1_500, 1_500, failing=0.3)
    loop = world.loop(Restart())
    drain(loop)
    loop.checkpoint()
    (planned,) = world.store.records.actions()
    return loop, planned
