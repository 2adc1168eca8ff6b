"""The daemon under test: `watchkeeper run` as a process of its own, and its command line."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import urllib.request
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, TypeVar

from kafka import KafkaAdminClient
from kafka.admin import NewTopic

from tests.services import rest
from tests.services.base import free_ports, wait_until
from tests.services.process import Process
from watchkeeper.daemon.storage.store import Store
from watchkeeper.detectors.types import moment
from watchkeeper.handlers.types import Action, Incident

T = TypeVar("T")
S = TypeVar("S", Incident, Action)
_PROGRAM = Path(sys.executable).parent / "watchkeeper"
_READY_S = 60.0
_INPUTS = ("predictions", "labels", "logs", "metrics", "changes", "commands")
# Events are dated in the past: no broker may find them too old while a test runs.
_KEPT_FOR_EVER = {"retention.ms": "-1"}


@dataclass
class Watchkeeper:
    """One installation: a configuration, a database, and at most one running daemon.

    `model` are the settings of the model, `sections` further sections of the configuration, by
    name.
    """

    folder: Path
    bootstrap: str
    prefix: str
    database: str
    model: str
    settings: Mapping[str, object]
    sections: Mapping[str, Mapping[str, object]] = field(default_factory=dict)
    _process: Process | None = None

    @cached_property
    def port(self) -> int:
        """Where /metrics and the rest are served."""
        return free_ports(1)[0]

    @property
    def group(self) -> str:
        """Its consumer group."""
        return f"{self.prefix}group"

    @cached_property
    def config(self) -> Path:
        """The configuration file."""
        file = self.folder / "watchkeeper.toml"
        sections: dict[str, Mapping[str, object]] = {
            "daemon": {"state_dir": str(self.folder / "state"), "stop_timeout": "10s"},
            "kafka": {
                "bootstrap_servers": [self.bootstrap],
                "group_id": self.group,
                "group_instance_id": "watchkeeper-under-test",
            },
            "topics": {"prefix": self.prefix},
            "database": {"url": self.database},
            "checkpoint": {"seconds": 0.2},
            "web": {"listen": f"127.0.0.1:{self.port}"},
            f"models.{self.model}": self.settings,
            **self.sections,
        }
        file.write_text("\n".join(_section(*each) for each in sections.items()))
        return file

    @cached_property
    def store(self) -> Store:
        """What the daemon has made true."""
        return Store(self.database)

    def install(self) -> None:
        """Makes the topics and the database, as the first steps of the handbook."""
        admin = KafkaAdminClient(bootstrap_servers=self.bootstrap)
        names = [self.prefix + name for name in _INPUTS]
        admin.create_topics([NewTopic(n, 1, 1, topic_configs=_KEPT_FOR_EVER) for n in names])
        admin.close()
        self.cli("topics", "create")
        self.cli("db", "upgrade")

    def cli(self, *arguments: str) -> str:
        """Runs one command and returns what it prints; fails with its output."""
        done = subprocess.run(
            [_PROGRAM, "-c", self.config, *arguments],
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert done.returncode == 0, f"{arguments}: {done.returncode}\n{done.stdout}{done.stderr}"
        return done.stdout

    def table(self, *arguments: str) -> Any:
        """What a command gives as JSON."""
        return json.loads(self.cli(*arguments, "-o", "json"))

    def start(self) -> None:
        """Starts the daemon and returns once it is ready."""
        self.launch()
        assert self._process is not None
        self._process.wait_ready(self.ready, _READY_S)

    def launch(self) -> None:
        """Starts the daemon."""
        command: list[str | Path] = [_PROGRAM, "-c", self.config, "run"]
        self._process = Process(command, self.folder / "watchkeeper.log")

    def ready(self) -> bool:
        """Whether it says that it is ready."""
        return rest.healthy(f"http://127.0.0.1:{self.port}/readyz")

    def running(self) -> bool:
        """Whether the process has not ended."""
        return self._process is not None and not self._process.ended()

    def kill(self) -> None:
        """kill -9."""
        self._end(signal.SIGKILL)

    def stop(self) -> None:
        """Ends it in the orderly way."""
        self._end(signal.SIGTERM)

    def close(self) -> None:
        """Ends it and lets go of its database."""
        self.stop()
        if "store" in self.__dict__:
            self.store.close()

    def log(self) -> str:
        """The end of what it has printed."""
        return "" if self._process is None else self._process.tail()

    def metrics(self) -> str:
        """What Prometheus gets."""
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/metrics", timeout=10) as answer:
            text: bytes = answer.read()
        return text.decode()

    def incidents(self) -> list[Incident]:
        """All incidents, oldest first."""
        return sorted(self.store.records.incidents(), key=lambda each: each.opened_at)

    def actions(self) -> list[Action]:
        """All actions, oldest first."""
        return sorted(self.store.records.actions(), key=lambda each: each.planned_at)

    def wait_incident(self, timeout: float, *states: str) -> Incident:
        """Waits for the newest incident to be in one of the states."""
        what = f"an incident that is {' or '.join(states)}"
        return self._newest(self.incidents, states, timeout, what)

    def wait_action(self, timeout: float, kind: str, *states: str) -> Action:
        """Waits for the newest action of a kind to be in one of the states."""
        what = f"a {kind} that is {' or '.join(states)}"
        return self._newest(
            lambda: [a for a in self.actions() if a.kind == kind], states, timeout, what
        )

    def wait(self, condition: Callable[[], T | None], timeout: float, what: str) -> T:
        """Waits for something while the daemon runs; a failure tells what there was instead."""

        def asked() -> T | None:
            assert self.running(), f"the daemon has ended:\n{self.log()}"
            return condition()

        try:
            return wait_until(asked, timeout, what)
        except TimeoutError as error:
            raise AssertionError(f"{error}\n{self.story()}\n{self.log()}") from error

    def story(self) -> str:
        """The timelines of the incidents and the actions, for people."""
        lines = []
        for each in self.incidents():
            fault = f"{each.fault.kind} ({each.fault.place}) {each.fault.confidence:.0%}"
            lines.append(f"{each.id} {each.state} {each.severity} {fault}: {each.title}")
            lines += [f"    {moment(note.at):%H:%M:%S} {note.text}" for note in each.timeline]
        for action in self.actions():
            lines.append(f"{action.id} {action.kind} {action.state}: {action.reason}")
        return "\n".join(lines) or "no incidents"

    def _newest(
        self, found: Callable[[], list[S]], states: Sequence[str], timeout: float, what: str
    ) -> S:
        def condition() -> S | None:
            known = found()
            return known[-1] if known and known[-1].state in states else None

        return self.wait(condition, timeout, what)

    def _end(self, how: signal.Signals) -> None:
        if self._process is not None:
            self._process.end(how)


def python_path() -> dict[str, str]:
    """The environment in which a child process finds the tests."""
    root = str(Path(__file__).parents[2])
    known = os.environ.get("PYTHONPATH")
    return {"PYTHONPATH": f"{root}{os.pathsep}{known}" if known else root}


def _section(name: str, values: Mapping[str, object]) -> str:
    return f"[{name}]\n" + "".join(f"{k} = {_toml(v)}\n" for k, v in values.items())


def _toml(value: object) -> str:
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{k} = {_toml(v)}" for k, v in value.items()) + "}"
    return json.dumps(value)
