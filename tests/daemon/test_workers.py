"""`watchkeeper run --workers`: the real program, its processes killed and stopped."""

from __future__ import annotations

import os
import re
import signal
import socket
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil

from tests.services import rest
from tests.services.base import free_ports, wait_until
from tests.services.process import Process
from watchkeeper.daemon.config import Config
from watchkeeper.daemon.exit_codes import MISCONFIGURED
from watchkeeper.daemon.worker import Worker
from watchkeeper.daemon.workers import Supervisor

WAIT_S = 120.0  # a loaded machine begins three processes


def two_ports() -> int:
    """The first of two neighbouring ports that are free."""
    while True:
        (port,) = free_ports(1)
        with socket.socket() as other:
            try:
                other.bind(("127.0.0.1", port + 1))
            except OSError:
                continue
            return port


@dataclass
class Running:
    """A supervisor of two workers whose broker is not there: they run, and try on."""

    folder: Path
    port: int

    def __post_init__(self) -> None:
        config = self.folder / "watchkeeper.toml"
        config.write_text(
            f'[daemon]\nstate_dir = "{self.folder}"\ninstance = "here"\nstop_timeout = "3s"\n'
            '[kafka]\nbootstrap_servers = ["127.0.0.1:9"]\n'
            f'[web]\nlisten = "127.0.0.1:{self.port}"\n'
        )
        self.notes = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.notes.bind(str(self.folder / "notes"))
        self.notes.setblocking(False)
        self._told = b""
        program = Path(sys.executable).parent / "watchkeeper"
        self.process = Process(
            [program, "-c", config, "run", "--workers", "2"],
            self.folder / "log",
            env={"NOTIFY_SOCKET": str(self.folder / "notes")},
        )

    def pids(self) -> dict[int, int]:
        """The newest process id of each worker, as the log says."""
        found = re.findall(r"worker begun\s+pid=(\d+) worker=(\d+)", self.log())
        return {int(worker): int(pid) for pid, worker in found}

    def log(self) -> str:
        return re.sub(r"\x1b\[[0-9;]*m", "", self.process.log.read_text())

    def told(self) -> bytes:
        """All that systemd would have heard."""
        try:
            while True:
                self._told += self.notes.recv(4_096) + b"\n"
        except BlockingIOError:
            return self._told

    def answer(self, number: int) -> bool:
        return rest.healthy(f"http://127.0.0.1:{self.port + number - 1}/livez")

    def until(self, condition: object, what: str) -> None:
        assert callable(condition)
        try:
            wait_until(condition, WAIT_S, what)
        except TimeoutError as error:
            raise AssertionError(f"{error}:\n{self.log()}") from error

    def close(self) -> None:
        left = [psutil.Process(pid) for pid in self.pids().values() if psutil.pid_exists(pid)]
        self.process.end(signal.SIGKILL)
        for each in left:
            try:
                each.kill()
            except psutil.NoSuchProcess:
                continue
        self.notes.close()


@contextmanager
def running(folder: Path, port: int = 0) -> Iterator[Running]:
    started = Running(folder, port or two_ports())
    try:
        yield started
    finally:
        started.close()


def alive(pid: int) -> bool:
    try:
        return bool(psutil.Process(pid).status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False


def test_ready_when_all_are_a_dead_one_begins_again_and_a_stop_ends_all(tmp_path: Path) -> None:
    with running(tmp_path) as here:
        here.until(lambda: b"READY=1" in here.told(), "READY")
        assert here.answer(1)
        assert here.answer(2)
        assert len(list(tmp_path.glob("lock-here-*"))) == 2
        assert (tmp_path / "watchkeeper.db").exists()

        first = here.pids()
        os.kill(first[2], signal.SIGKILL)
        here.until(lambda: here.pids()[2] != first[2] and here.answer(2), "a new second worker")
        assert here.pids()[1] == first[1]
        assert "killed by SIGKILL" in here.log()

        os.kill(here.process.pid, signal.SIGTERM)
        here.until(here.process.ended, "the end")

        assert here.process.wait(1.0) == 0, here.log()
        assert not any(alive(pid) for pid in here.pids().values())
        assert b"STOPPING=1" in here.told()
        assert here.told().count(b"READY=1") == 1


def test_workers_end_in_order_when_their_supervisor_is_killed(tmp_path: Path) -> None:
    with running(tmp_path) as here:
        here.until(lambda: b"READY=1" in here.told(), "READY")
        pids = here.pids()

        os.kill(here.process.pid, signal.SIGKILL)

        here.until(lambda: not any(map(alive, pids.values())), "the end of the workers")
        assert len(re.findall(r"stopped\s+code=0", here.log())) == 2


def test_a_port_that_is_taken_ends_everything_with_69(tmp_path: Path) -> None:
    port = two_ports()
    with socket.socket() as other:
        other.bind(("127.0.0.1", port + 1))
        other.listen()

        with running(tmp_path, port) as here:
            here.until(here.process.ended, "the end")

            assert here.process.wait(1.0) == 69, here.log()
            assert f"cannot listen on 127.0.0.1:{port + 1}" in here.log()
            assert not any(alive(pid) for pid in here.pids().values())


def a_worker() -> Worker:
    return Worker(1, Config(), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM))


def test_a_wrong_configuration_is_not_tried_again() -> None:
    worker = a_worker()
    supervisor = Supervisor([worker], stop_s=1.0)

    supervisor._bury(worker, MISCONFIGURED, time.monotonic())

    worker.notes.close()
    assert supervisor.code == MISCONFIGURED
    assert supervisor._stopping


def test_a_worker_that_dies_of_a_signal_without_a_name_begins_again() -> None:
    worker = a_worker()
    supervisor = Supervisor([worker], stop_s=1.0)

    supervisor._bury(worker, -(signal.SIGRTMIN + 1), 100.0)

    worker.notes.close()
    assert not supervisor._stopping
    assert worker.begin_at > 100.0
