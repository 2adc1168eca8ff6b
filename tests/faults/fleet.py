"""Several real daemons of one consumer group under load, and what must be true of them after."""

from __future__ import annotations

import itertools
import os
import re
import signal
import socket
import sys
import time
import urllib.request
import uuid
from collections import Counter
from collections.abc import Callable
from contextlib import ExitStack, closing, suppress
from dataclasses import dataclass, field
from functools import partial
from http.client import HTTPConnection
from pathlib import Path
from typing import NamedTuple

import psutil
from sqlalchemy import text

from tests.faults.feed import MODELS, Feed
from tests.services import rest
from tests.services.base import free_ports, wait_until
from tests.services.process import Process
from watchkeeper.daemon.storage.database import Database, DatabaseDown
from watchkeeper.daemon.storage.store import Store
from watchkeeper.daemon.transport.ports import Partition
from watchkeeper.detectors.types import PredictionFrame

_PROGRAM = Path(sys.executable).parent / "watchkeeper"
_OWNED = re.compile(
    r'^watchkeeper_consumer_lag_records\{partition="(\d+)",topic="([^"]+)"\}', re.MULTILINE
)
# Kernels are compiled for half a minute where nobody did before: not what is tested here.
_PLAIN = {"WATCHKEEPER_FAST": "0"}
# Sessions of these ports that stand still with locked rows of the offsets, which others need.
_WRITING = text(
    "SELECT count(*) FROM pg_stat_activity AS a JOIN pg_locks AS l ON l.pid = a.pid"
    " WHERE a.client_port = ANY(:ports) AND a.state = 'idle in transaction'"
    " AND l.relation = 'offsets'::regclass AND l.mode IN ('RowShareLock', 'RowExclusiveLock')"
)
WAIT_S = 60.0
NUMBERS = 6
TOPICS = 6


class Spot(NamedTuple):
    """What the database says of a partition."""

    offset: int
    epoch: int


@dataclass
class Fleet:
    """One configuration and database, and the daemons that run with it, by static name."""

    folder: Path
    bootstrap: str
    assignor: str = "range"
    session: str = "45s"
    database: str = ""  # of PostgreSQL; "": SQLite in the folder
    prefix: str = field(default_factory=lambda: f"fleet.{uuid.uuid4().hex[:8]}.")
    _members: dict[str, Process] = field(default_factory=dict, init=False)
    _ports: dict[str, int] = field(default_factory=dict, init=False)
    _feeds: list[Feed] = field(default_factory=list, init=False)

    def __post_init__(self) -> None:
        self.config.write_text(
            f'[daemon]\nstate_dir = "{self.folder}"\nstop_timeout = "10s"\n'
            f'[database]\nurl = "{self.url}"\n'
            f'[kafka]\nbootstrap_servers = ["{self.bootstrap}"]\ngroup_id = "{self.prefix}group"\n'
            f'assignor = "{self.assignor}"\nsession_timeout = "{self.session}"\n'
            f'[topics]\nprefix = "{self.prefix}"\n'
        )
        made = Process(
            [_PROGRAM, "-c", self.config, "topics", "create", "--partitions", str(NUMBERS)],
            self.folder / "topics.log",
        )
        assert made.wait(WAIT_S) == 0, made.tail()

    @property
    def config(self) -> Path:
        return self.folder / "watchkeeper.toml"

    @property
    def url(self) -> str:
        return self.database or f"sqlite:///{self.folder}/w.db"

    @property
    def predictions(self) -> str:
        return f"{self.prefix}predictions"

    def feed(self, before: Counter[str] | None = None) -> Feed:
        """Begins to publish, or goes on behind what was sent before."""
        self._feeds.append(Feed(self.bootstrap, self.predictions, before or Counter()))
        return self._feeds[-1]

    def start(self, name: str) -> None:
        """Starts the member of this name; returns at once."""
        self._ports.setdefault(name, free_ports(1)[0])
        environment = {
            **_PLAIN,
            "WATCHKEEPER_DAEMON__INSTANCE": name,
            "WATCHKEEPER_KAFKA__GROUP_INSTANCE_ID": name,
            "WATCHKEEPER_WEB__LISTEN": f"127.0.0.1:{self._ports[name]}",
        }
        self._members[name] = Process(
            [_PROGRAM, "-c", self.config, "run"], self.folder / f"{name}.log", env=environment
        )

    def supervise(self, count: int) -> tuple[str, ...]:
        """Starts so many workers of one supervisor, which is the member `w`; their names."""
        names = tuple(f"w-{number}" for number in range(1, count + 1))
        first = _neighbours(count)
        self._ports |= {name: first + place for place, name in enumerate(names)}
        environment = {
            **_PLAIN,
            "WATCHKEEPER_DAEMON__INSTANCE": "w",
            "WATCHKEEPER_WEB__LISTEN": f"127.0.0.1:{first}",
        }
        command: list[str | Path] = [_PROGRAM, "-c", self.config, "run", "--workers", str(count)]
        self._members["w"] = Process(command, self.folder / "w.log", env=environment)
        return names

    def pid(self, number: int) -> int:
        """The process id of the supervisor's worker, as the log says."""
        found = re.findall(rf"worker begun\s+pid=(\d+) worker={number}\b", _plain(self.log("w")))
        return int(found[-1])

    def renewed(self, number: int, pid: int) -> bool:
        """Whether the worker has another process id by now."""
        return self.pid(number) != pid

    def stop(self, name: str) -> None:
        """Stops a member in order."""
        member = self._members.pop(name)
        os.kill(member.pid, signal.SIGTERM)
        assert member.wait(WAIT_S) == 0, member.tail()

    def kill(self, name: str) -> None:
        """kill -9."""
        self._members.pop(name).end(signal.SIGKILL)

    def freeze(self, name: str) -> None:
        """SIGSTOP: it stands still, and does not know. On PostgreSQL it does so within a
        transaction; on SQLite outside one, because for one within all others would wait."""
        in_order = self._writes if self.database else self._lets_write

        def frozen() -> bool:
            os.kill(self._members[name].pid, signal.SIGSTOP)
            wait_until(partial(_stands, self._members[name].pid), WAIT_S, f"{name} to stand still")
            if in_order(name):
                return True
            self.thaw(name)
            return False

        wait_until(frozen, WAIT_S, f"{name} to be frozen where it should be")

    def thaw(self, name: str) -> None:
        """SIGCONT."""
        os.kill(self._members[name].pid, signal.SIGCONT)

    def log(self, name: str) -> str:
        return (self.folder / f"{name}.log").read_text()

    def owned(self, name: str) -> frozenset[Partition]:
        """What a member reads, as it says itself."""
        if not rest.healthy(f"http://127.0.0.1:{self._ports[name]}/readyz"):
            return frozenset()
        return frozenset(Partition(t, int(n)) for n, t in _OWNED.findall(self._metrics(name)))

    def has(self, name: str, partitions: frozenset[Partition]) -> bool:
        """Whether a member reads these partitions and no others."""
        return self.owned(name) == partitions

    def numbers(self, name: str) -> frozenset[int]:
        """The numbers a member reads, of all topics."""
        return frozenset(each.number for each in self.owned(name))

    def events(self, name: str) -> int:
        """How many predictions a member has read since it was started."""
        found = re.search(
            rf'^watchkeeper_events_total\{{topic="{self.predictions}"\}} (\S+)',
            self._metrics(name),
            re.MULTILINE,
        )
        return int(float(found[1])) if found else 0

    def spots(self) -> dict[Partition, Spot]:
        """The table of offsets."""
        found = text("SELECT topic, partition, next_offset, owner_epoch FROM offsets")
        with closing(Database(self.url)) as database, database.read() as connection:
            rows = connection.execute(found)
            return {Partition(t, n): Spot(offset or 0, epoch) for t, n, offset, epoch in rows}

    def committed(self) -> int:
        """How many predictions the database knows to be read."""
        return sum(s.offset for p, s in self.spots().items() if p.topic == self.predictions)

    def until(self, condition: Callable[[], object], what: str, timeout: float = WAIT_S) -> None:
        """Waits for something; tells the ends of all logs when it does not come about."""
        try:
            wait_until(condition, timeout, what)
        except TimeoutError as error:
            tails = "\n".join(
                f"--- {n}: {self._said(n)}\n{p.tail()}" for n, p in self._members.items()
            )
            raise AssertionError(f"{error}\n{self.shares()}\n{tails}") from error

    def shares(self) -> dict[str, frozenset[int]]:
        """The numbers of all members that run."""
        return {name: self.numbers(name) for name in self._readers()}

    def shared(self) -> bool:
        """Whether every partition is read by one member, and members have even shares."""
        owned = [self.owned(name) for name in self._readers()]
        every = Counter(spot for each in owned for spot in each)
        even = max(map(len, owned)) - min(map(len, owned)) <= TOPICS
        return even and len(every) == NUMBERS * TOPICS and set(every.values()) == {1}

    def settled(self, seconds: float = 4.0) -> Callable[[], bool]:
        """Tells whether nobody has taken up a partition for so long: a group that begins may share
        its partitions several times, until all its members know all topics."""
        last, since = dict[Partition, int](), 0.0

        def unchanged() -> bool:
            nonlocal last, since
            epochs = {place: spot.epoch for place, spot in self.spots().items()}
            if epochs != last:
                last, since = epochs, time.monotonic()
            return time.monotonic() - since > seconds

        return unchanged

    def kept(self) -> Counter[str]:
        """How often each prediction is in the journal, which is committed with the offsets."""
        with closing(Store(self.url)) as store:
            frames = [frame for model in MODELS for frame in store.captured(model)]
        found = [f.request_id.tolist() for f in frames if isinstance(f, PredictionFrame)]
        return Counter(itertools.chain(*found))

    def close(self) -> None:
        """Ends everything."""
        for feed in self._feeds:
            feed.stop()
        for member in self._members.values():
            member.end(signal.SIGKILL)

    def _lets_write(self, name: str) -> bool:
        """Whether others can write while it stands still."""
        del name
        with closing(Database(self.url)) as database:
            try:
                with database.write():
                    return True
            except DatabaseDown:
                return False

    def _writes(self, name: str) -> bool:
        """Whether it stands still within a transaction that others have to wait for."""
        process = psutil.Process(self._members[name].pid)
        ports = [each.laddr.port for each in process.net_connections("tcp")]
        with closing(Database(self.url)) as database, database.read() as connection:
            return bool(connection.execute(_WRITING, {"ports": ports}).scalar())

    def _readers(self) -> list[str]:
        if "w" in self._members:
            return list(self._ports)
        return list(self._members)

    def _said(self, name: str) -> str:
        """What a member says of its being ready, for people."""
        wire = HTTPConnection("127.0.0.1", self._ports[name], timeout=5.0)
        with closing(wire), suppress(OSError):
            wire.request("GET", "/readyz")
            return wire.getresponse().read().decode()
        return "no answer"

    def _metrics(self, name: str) -> str:
        url = f"http://127.0.0.1:{self._ports[name]}/metrics"
        with urllib.request.urlopen(url, timeout=10) as answer:
            text: bytes = answer.read()
        return text.decode()


def _stands(pid: int) -> bool:
    """Whether every thread of a process has stopped."""
    states = [each.read_text() for each in Path(f"/proc/{pid}/task").glob("*/stat")]
    return all(each.rpartition(")")[2].split()[0] == "T" for each in states)


def _plain(text: str) -> str:
    return re.sub(r"\x1b\[[0-9;]*m", "", text)


def _neighbours(count: int) -> int:
    """The first of so many free ports next to each other."""
    while True:
        (first,) = free_ports(1)
        with ExitStack() as bound, suppress(OSError):
            for port in range(first, first + count):
                bound.enter_context(socket.socket()).bind(("127.0.0.1", port))
            return first
