"""One process of several: what it runs with, how it is begun and watched, and its whole life."""

from __future__ import annotations

import multiprocessing
import os
import signal
import socket
import threading
from collections import deque
from contextlib import suppress
from dataclasses import dataclass, field
from multiprocessing.context import SpawnProcess

import msgspec
import structlog

from watchkeeper.daemon.config import Config
from watchkeeper.daemon.exit_codes import MISCONFIGURED, OK
from watchkeeper.daemon.starting import CannotStart

log = structlog.get_logger()

SHORTEST_PAUSE_S, LONGEST_PAUSE_S = 1.0, 30.0
# A worker that ends more often than this in so long a time is not worth another try.
MOST_DEATHS, DEATHS_S = 8, 600.0
_LARGEST_NOTE = 4_096


def config_of(config: Config, number: int) -> Config:
    """What worker `number` runs with: names of its own, and a port of its own.

    The first worker has the port of `web.listen`, each further one the next. Raises CannotStart
    when there is no such port.
    """
    daemon, kafka, web = config.daemon, config.kafka, config.web
    static = kafka.group_instance_id or daemon.instance
    collect = msgspec.structs.replace(config.collect, host=config.collect.host and number == 1)
    return msgspec.structs.replace(
        config,
        daemon=msgspec.structs.replace(daemon, instance=f"{daemon.instance}-{number}", workers=1),
        kafka=msgspec.structs.replace(
            kafka,
            group_instance_id=f"{static}-{number}",
            client_id=f"{kafka.client_id}-{number}",
        ),
        web=msgspec.structs.replace(web, listen=_listen(web.listen, number - 1)),
        collect=collect,  # they are all on one host
    )


def _listen(listen: str, further: int) -> str:
    host, _, port = listen.rpartition(":")
    if not port.isdigit() or port == "0":
        return listen  # any free port; or wrong, which the worker says
    if int(port) + further > 65_535:
        said = f"web.listen {listen} leaves no port for worker {further + 1}"
        raise CannotStart(said, MISCONFIGURED)
    return f"{host}:{int(port) + further}"


@dataclass
class Worker:
    """One process, or the pause before its next one. Times by the monotonic clock."""

    number: int
    config: Config
    notes: socket.socket
    process: SpawnProcess | None = None
    ready: bool = False
    heard_at: float = 0.0
    begin_at: float = 0.0
    code: int = OK
    deaths: deque[float] = field(default_factory=deque)

    def begin(self, now: float) -> None:
        """Starts the process."""
        context = multiprocessing.get_context("spawn")
        given = (self.config, self.number, self.notes.getsockname())
        # A daemonic process is ended, not waited for, should this one fail.
        self.process = context.Process(
            target=work, args=given, name=f"worker-{self.number}", daemon=True
        )
        self.process.start()
        self.ready, self.heard_at = False, now
        log.info("worker begun", worker=self.number, pid=self.process.pid)

    def listen(self, now: float) -> None:
        """Takes what the process says of itself, as it would say it to systemd."""
        with suppress(BlockingIOError):
            while True:
                self._hear(self.notes.recv(_LARGEST_NOTE), now)

    def _hear(self, note: bytes, now: float) -> None:
        self.heard_at = now
        if b"READY=1" in note and self.process is not None:
            self.ready = True

    def ended(self) -> int | None:
        """The exit code of a process that has ended, once; None while there is none."""
        if self.process is None or self.process.exitcode is None:
            return None
        self.code = self.process.exitcode
        self.process.close()
        self.process, self.ready = None, False
        return self.code

    def signal(self, number: int) -> None:
        """Sends a signal to the process, if there is one."""
        if self.process is not None and self.process.pid is not None:
            with suppress(ProcessLookupError):
                os.kill(self.process.pid, number)

    def again(self, now: float) -> float | None:
        """The pause before another try; None when there were too many."""
        self.deaths.append(now)
        while now - self.deaths[0] > DEATHS_S:
            self.deaths.popleft()
        if len(self.deaths) > MOST_DEATHS:
            return None
        pause: float = min(SHORTEST_PAUSE_S * 2.0 ** (len(self.deaths) - 1), LONGEST_PAUSE_S)
        self.begin_at = now + pause
        return pause


def work(config: Config, number: int, channel: str) -> None:
    """The whole life of a worker's process."""
    os.setsid()  # Ctrl-C is for the supervisor alone, which passes it on
    os.environ["NOTIFY_SOCKET"] = channel
    parent = multiprocessing.parent_process()
    if parent is not None:
        threading.Thread(target=_end_with, args=(parent,), name="parent", daemon=True).start()
    structlog.contextvars.bind_contextvars(worker=number)
    from watchkeeper.daemon.running import run

    raise SystemExit(run(config))


def _end_with(parent: multiprocessing.process.BaseProcess) -> None:
    """Ends this process in order when its supervisor is gone."""
    parent.join()
    os.kill(os.getpid(), signal.SIGTERM)
