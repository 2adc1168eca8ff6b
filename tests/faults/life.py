"""One life of a daemon in a process of its own: it is born, reads, and mostly does not end well."""

from __future__ import annotations

import dataclasses
import os
import random
import resource
import signal
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from tests.faults.clock import live_by_wrong_clocks
from tests.faults.disk import live_on_a_failing_disk
from tests.faults.stream import ACTING, GATED, MODELS, PREFIX, SETTINGS, SLOTS, START, Stream
from watchkeeper.daemon import logs
from watchkeeper.daemon.config import Config
from watchkeeper.daemon.config.load import load
from watchkeeper.daemon.service import Daemon
from watchkeeper.daemon.storage import migrate
from watchkeeper.daemon.storage.database import DatabaseDown
from watchkeeper.daemon.storage.store import Store
from watchkeeper.daemon.storage.values import Checkpoint
from watchkeeper.daemon.topics import kinds_of
from watchkeeper.daemon.transport.memory import MemoryBroker, MemorySource
from watchkeeper.daemon.transport.ports import Message, Partition
from watchkeeper.detectors.types import Command, moment
from watchkeeper.handlers.types import Action, ActionState

T = TypeVar("T")
_COMMANDS = Partition(PREFIX + "commands", 0)
_UNDER_WAY = (ActionState.PLANNED, ActionState.PERMITTED, ActionState.STARTED, ActionState.UNDOING)
_IDLE_S = 60.0  # longer than whoever waits by the wall clock
_FULL_EVERY, _FULL_TRIES = 16, 2
PARTITIONS = {"predictions": 2, "labels": 2, "changes": 1, "commands": 1}


class Life(msgspec.Struct, frozen=True, kw_only=True):
    """What one life is given. `armed` are the points at which it may crash, `skip` how many of
    those it passes by first; `seed` decides how its records come in batches. It
    says that it is born before it has done anything when it is `early`. The stream begins at
    `start`; the process is in the time `zone`, where one is given."""

    folder: str
    database: str
    registry: str
    seed: int = 0
    armed: tuple[str, ...] = ()
    skip: int = 0
    fault: str = ""
    slots: int = 0
    start: float = START
    zone: str = ""
    early: bool = False


@cache
def stream_of(slots: int, start: float = START, local: bool = False) -> Stream:
    """The stream of a life; a process that has made it once passes it on to those it forks."""
    stream = Stream(slots=slots or SLOTS, start=start, local=local)
    assert stream.ends
    return stream


def config_of(life: Life) -> Config:
    """The configuration of every life of one installation."""
    checkpoint = {"seconds": 60, "events": 60}
    settings: dict[str, Any] = {
        "daemon": {"instance": "one", "state_dir": f"{life.folder}/state", "log_level": "warning"},
        "database": {"url": life.database},
        "checkpoint": checkpoint,
        "mlflow": {"uri": life.registry},
        "models": {name: ACTING if name == "alpha" else SETTINGS for name in MODELS},
    }
    return load([], {}, settings)


class Journal:
    """A sink outside the process: what was published survives whoever published it."""

    def __init__(self, path: Path) -> None:
        self._file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT)

    def publish(self, messages: Sequence[Message], timeout: float) -> list[str | None]:
        for message in messages:
            os.write(self._file, msgspec.json.encode(_told(message)) + b"\n")
        return [None] * len(messages)

    def close(self, timeout: float = 10.0) -> None:
        """Every line is with the system already."""


def _told(message: Message) -> dict[str, object]:
    named = {name: (value or b"").decode() for name, value in message.headers}
    return {"topic": message.topic, "id": named.get("ce_id", ""), "value": message.value}


@dataclass
class Feed:
    """A log that survives: it is made again from the stream, and given out slot by slot where an
    action is to be expected, so that its outcome comes between the same two events in every run.
    """

    stream: Stream
    broker: MemoryBroker
    offsets: Mapping[Partition, int | None]
    at: float = field(init=False)
    given: int = 0

    def __post_init__(self) -> None:
        self.at = self.stream.start
        for n in range(self.offsets.get(_COMMANDS) or 0):
            self.broker.publish(Message(_COMMANDS.topic, b"", b"{}"), self.at + n, 0)
        read = dict(self.offsets)
        while self.given < self.stream.slots and self._known(read):
            self.give()

    def _known(self, read: Mapping[Partition, int | None]) -> bool:
        """Whether something of the next slot has been read and committed before."""
        return any(
            (read.get(Partition(e.topic, e.partition)) or 0)
            > self.broker.end(Partition(e.topic, e.partition))
            for e in self.stream.slot(self.given)
        )

    def give(self) -> None:
        """Publishes the next slot."""
        for each in self.stream.slot(self.given):
            self.broker.publish(Message(each.topic, each.key, each.value), each.at, each.partition)
        self.given += 1
        self.at = self.stream.start + self.given

    def order(self, action: Action) -> None:
        """Publishes a person's approval."""
        approve = Command(
            id=f"approve-{action.id}",
            time=moment(self.at),
            command="approve",
            target=action.id,
            actor="somebody",
        )
        self.broker.publish(Message(_COMMANDS.topic, b"", msgspec.json.encode(approve)), self.at, 0)


@dataclass
class Points:
    """Where a life may crash: before and after every call that makes something true."""

    life: Life
    say: Callable[[str], None]
    left: int = field(init=False)

    def __post_init__(self) -> None:
        self.left = self.life.skip

    def reached(self, point: str) -> None:
        """Ends the process here, when this is the point for it."""
        if point not in self.life.armed:
            return
        self.left -= 1
        if self.left < 0:
            self.say(point)
            os.kill(os.getpid(), signal.SIGKILL)

    def around(self, owner: Any, method: str, name: str) -> None:
        """Puts a point before and one after every call of a method."""
        call = getattr(owner, method)

        def called(*arguments: Any, **named: Any) -> Any:
            self.reached(f"before {name}")
            given = call(*arguments, **named)
            self.reached(f"after {name}")
            return given

        setattr(owner, method, called)


AROUND: dict[str, Callable[[Any], tuple[Any, str]]] = {
    "restore": lambda d: (d.store, "restore"),
    "checkpoint": lambda d: (d.store, "commit"),
    "source commit": lambda d: (d.loop.source, "commit"),
    "start of a partition": lambda d: (d.loop.source, "start"),
    "claim": lambda d: (d.executor.claims, "claim"),
    "release": lambda d: (d.executor.claims, "release"),
    "preflight": lambda d: (d.executor.handlers["rollback"], "preflight"),
    "run": lambda d: (d.executor.handlers["rollback"], "run"),
    "outcomes": lambda d: (d.executor, "outcomes"),
    "taking of letters": lambda d: (d.store.letters, "take"),
    "telling": lambda d: (d.sink, "publish"),
    "ticking off letters": lambda d: (d.store.letters, "sent"),
}
# Inside a call: the statements are made, and the database has not said yes.
INSIDE = {"checkpoint": "checkpoint", "claim": "claim", "restore": "restore"}
POINTS = tuple(
    [f"{when} {name}" for name in AROUND for when in ("before", "after")]
    + [f"inside {name}" for name in INSIDE]
)


def _inside(points: Points) -> None:
    import sqlalchemy as sa
    from sqlalchemy.engine import Engine

    def committing(connection: sa.Connection) -> None:
        name = getattr(_CALLS, "name", "")
        if name:
            points.reached(f"inside {name}")

    sa.event.listen(Engine, "commit", committing)


_CALLS = threading.local()  # a checkpoint may be written by a thread of its own


def _naming(owner: Any, method: str, name: str) -> None:
    call = getattr(owner, method)

    def called(*arguments: Any, **named: Any) -> Any:
        before, _CALLS.name = getattr(_CALLS, "name", ""), name
        try:
            return call(*arguments, **named)
        finally:
            _CALLS.name = before

    setattr(owner, method, called)


def live(life: Life, say: Callable[[str], None]) -> int:
    """Reads the stream to its end, or dies."""
    if life.zone:
        os.environ["TZ"] = life.zone
        time.tzset()
    if life.fault == "wrong clocks":
        return live_by_wrong_clocks(Path(life.folder), life.database)
    if life.fault == "failing disk":
        return live_on_a_failing_disk(
            Path(life.folder), life.seed, say, lambda: _read_on(life, say)
        )
    return _read_on(life, say)


def _read_on(life: Life, say: Callable[[str], None]) -> int:
    config = config_of(life)
    logs.configure("warning", "console", [])
    folder = Path(life.folder)
    if life.early:
        say("born")
    migrate.upgrade(config.database.url)
    stream = stream_of(life.slots, life.start, local=bool(life.zone))
    broker = MemoryBroker({PREFIX + topic: n for topic, n in PARTITIONS.items()})
    store = Store(config.database.url)
    feed = Feed(stream, broker, store.records.offsets())
    store.close()
    chance = random.Random(life.seed)
    source = MemorySource(broker, list(kinds_of(config)), max_records=chance.choice((7, 20, 60)))
    told, beside = Journal(folder / "told"), chance.random() < 0.5
    daemon = Daemon(config, source, told, clock=lambda: feed.at, beside=beside)
    daemon.loop.ticks = False
    daemon.loop.checkpoint_events = chance.choice((10, 60, 200))
    if life.armed:
        points = Points(life, say)
        _inside(points)
        for name in INSIDE:
            _naming(*AROUND[name](daemon), name)
        for name, found in AROUND.items():
            points.around(*found(daemon), name)
    if life.fault:
        FAULTS[life.fault](daemon)
    daemon.start()
    say("born")
    drive(daemon, feed)
    daemon.loop.checkpoint()
    daemon.close()
    return 0


def drive(daemon: Daemon, feed: Feed) -> None:
    """Turns until everything was given, read, acted upon and told."""
    moved = time.monotonic()
    ordered: set[str] = set()
    while True:
        daemon.turn(0.002)
        if not daemon.loop.source.caught_up():
            moved = time.monotonic()
            continue
        assert time.monotonic() - moved < _IDLE_S, f"nothing goes on at slot {feed.given}"
        if feed.given < feed.stream.slots and feed.given not in GATED:
            feed.give()
            moved = time.monotonic()
            continue
        daemon.loop.checkpoint()
        held, under_way = _waiting(daemon)
        for action in held:
            if action.id not in ordered:
                ordered.add(action.id)
                feed.order(action)
        if held or under_way:
            continue
        if feed.given < feed.stream.slots:
            feed.give()
            moved = time.monotonic()
        elif not daemon.store.letters.pending("kafka"):
            return


def _waiting(daemon: Daemon) -> tuple[list[Action], list[Action]]:
    actions = daemon.store.records.actions()
    held = [a for a in actions if a.state is ActionState.HELD]
    return held, [a for a in actions if a.state in _UNDER_WAY]


def _skips_offsets(daemon: Daemon) -> None:
    """Sabotage: makes everything true but the offsets."""
    commit = daemon.store.commit

    def without(checkpoint: Checkpoint) -> None:
        commit(dataclasses.replace(checkpoint, offsets={}))

    daemon.store.commit = without  # type: ignore[method-assign]


def _fills_the_disk(daemon: Daemon) -> None:
    """Again and again there is no room on the disk, until a commit has failed twice."""
    _tells_by_the_wall_clock(daemon)
    commit = daemon.store.commit
    calls = failures = 0
    unlimited = resource.getrlimit(resource.RLIMIT_FSIZE)

    def tried(checkpoint: Checkpoint) -> None:
        nonlocal calls, failures
        calls += 1
        if calls % _FULL_EVERY == 0:
            resource.setrlimit(resource.RLIMIT_FSIZE, (_biggest(daemon), unlimited[1]))
            failures = 0
        try:
            commit(checkpoint)
        except DatabaseDown:
            failures += 1
            if failures == _FULL_TRIES:
                resource.setrlimit(resource.RLIMIT_FSIZE, unlimited)
                _note(daemon, "full")
            raise

    daemon.store.commit = tried  # type: ignore[method-assign]


def _tells_by_the_wall_clock(daemon: Daemon) -> None:
    """Who waits to tell once more does so: the simulated clock stands still while nothing goes
    on."""
    daemon.outbox.clock = time.time


def _is_impatient(daemon: Daemon) -> None:
    """Outages are many and short: nobody rests for long after one."""
    _tells_by_the_wall_clock(daemon)
    daemon.outbox.base_s, daemon.outbox.database_cap_s = 0.05, 0.2
    daemon.executor.claim_retry_s = 0.05


def _biggest(daemon: Daemon) -> int:
    """How big the files of the database are: not a byte fits behind their end."""
    path = Path(daemon.config.database.url.removeprefix("sqlite:///"))
    return min(
        each.stat().st_size
        for each in path.parent.glob(f"{path.name}*")
        if each.suffix != ".db-shm"
    )


def _note(daemon: Daemon, word: str) -> None:
    """Leaves a note for the test."""
    with (Path(daemon.config.daemon.state_dir).parent / "notes").open("a") as notes:
        notes.write(f"{word}\n")


FAULTS: dict[str, Callable[[Daemon], None]] = {
    "no offsets": _skips_offsets,
    "full disk": _fills_the_disk,
    "failing disk": _is_impatient,
}
