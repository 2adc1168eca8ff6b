"""A command line with a database of its own, and a daemon that answers."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from tests.daemon.storage import examples
from watchkeeper.daemon.cli import cli
from watchkeeper.daemon.storage import migrate
from watchkeeper.daemon.storage.store import Store
from watchkeeper.daemon.storage.values import Checkpoint
from watchkeeper.detectors.types import Command
from watchkeeper.handlers.types import ActionState


@dataclass
class Host:
    """A folder with a configuration and a database, and commands that are run there."""

    folder: Path

    @property
    def config(self) -> Path:
        return self.folder / "watchkeeper.toml"

    @property
    def url(self) -> str:
        return f"sqlite:///{self.folder}/watchkeeper.db"

    def write(self, text: str = "") -> None:
        """Writes the configuration; the state is kept in the folder."""
        self.config.write_text(f'[daemon]\nstate_dir = "{self.folder}"\n{text}')

    def run(self, *arguments: str, environment: dict[str, str] | None = None) -> Result:
        """Runs a command as a process would: exit code, standard output, standard error."""
        words = ["-c", str(self.config), *arguments]
        return run(words, {"HOME": str(self.folder), **(environment or {})})


def process(*words: str, folder: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """Runs the program as a real process in an empty environment."""
    return subprocess.run(
        [sys.executable, "-c", "from watchkeeper.daemon.cli import main; main()", *words],
        cwd=folder,
        env={"PATH": os.environ["PATH"], "HOME": str(folder), **environment},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def run(words: Sequence[str], environment: dict[str, str]) -> Result:
    """Runs the program with nothing of this process's environment that it reads."""
    clean = {"SENTRY_DSN": None, "STATE_DIRECTORY": None, "CREDENTIALS_DIRECTORY": None}
    return CliRunner().invoke(
        cli, words, env={**clean, **environment}, prog_name="watchkeeper", catch_exceptions=False
    )


@pytest.fixture(scope="session")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A database with an incident, a held action, a dead letter and a registered model."""
    path = tmp_path_factory.mktemp("filled") / "watchkeeper.db"
    url = f"sqlite:///{path}"
    migrate.upgrade(url)
    store = Store(url)
    incident = examples.incident()
    store.commit(
        Checkpoint(
            at=examples.T0,
            epochs={},
            incidents=[incident],
            actions=[examples.action(incident, state=ActionState.HELD)],
            dead_letters=[examples.dead_letter()],
        )
    )
    store.close()
    return path


@pytest.fixture
def bare(tmp_path: Path) -> Host:
    """A host with a configuration and no database."""
    host = Host(tmp_path)
    host.write()
    return host


@pytest.fixture
def brokerless(host: Host) -> Host:
    """A host that is told of a broker which is not there."""
    host.write('[kafka]\nbootstrap_servers = ["127.0.0.1:1"]\n')
    return host


@pytest.fixture
def host(bare: Host, filled: Path) -> Host:
    """A host whose database has an incident, a held action and a dead letter."""
    for path in filled.parent.glob("watchkeeper.db*"):
        shutil.copy(path, bare.folder / path.name)
    return bare


Answer = Callable[[Command], str]


@pytest.fixture
def daemon(host: Host) -> Iterator[Callable[[Answer], list[Command]]]:
    """Takes commands out of the inbox in a thread; gives the list they are noted in."""
    stop = threading.Event()
    threads: list[threading.Thread] = []

    def start(answer: Answer) -> list[Command]:
        taken: list[Command] = []
        thread = threading.Thread(target=_answer, args=(host.url, answer, taken, stop))
        thread.start()
        threads.append(thread)
        return taken

    yield start
    stop.set()
    for thread in threads:
        thread.join(10)


def _answer(url: str, answer: Answer, taken: list[Command], stop: threading.Event) -> None:
    store = Store(url)
    try:
        while not stop.wait(0.02):
            for command in store.inbox.waiting():
                taken.append(command)
                answers = {command.id: answer(command)}
                store.commit(Checkpoint(at=time.time(), epochs={}, answers=answers))
    finally:
        store.close()
