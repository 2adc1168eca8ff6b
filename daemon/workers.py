"""Several processes of one instance: begun, watched, begun again, and ended together.

One Python process uses one core. `workers` of them are members of one consumer group, with static
names, so that a restart of one moves no partition; they share the database and the state folder.
"""

from __future__ import annotations

import signal
import socket
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from multiprocessing.connection import wait
from pathlib import Path
from types import FrameType

import structlog

from watchkeeper.daemon import logs, sdnotify
from watchkeeper.daemon.config import Config
from watchkeeper.daemon.exit_codes import MISCONFIGURED, OK, TRY_AGAIN, UNAVAILABLE, WRONG_USE
from watchkeeper.daemon.starting import CannotStart, make_ready
from watchkeeper.daemon.worker import Worker, config_of

log = structlog.get_logger()

LOOK_S = 0.5
# What a worker has beyond `daemon.stop_timeout`, and after a second signal, before it is killed.
GRACE_S, HURRY_S = 10.0, 2.0
PING_S, SILENT_S = 5.0, 60.0


@dataclass
class Supervisor:
    """Runs the workers to their common end. One thread owns it."""

    workers: list[Worker]
    stop_s: float
    code: int = OK
    _signals: list[int] = field(default_factory=list)
    _obeyed: int = 0
    _stopping: bool = False
    _kill_at: float = float("inf")
    _complete: bool = False
    _pinged_at: float = 0.0

    def run(self) -> int:
        """Begins the workers; returns when the last one has ended. The exit code says how."""
        now = time.monotonic()
        for each in self.workers:
            each.begin(now)
        while not self._stopping or any(each.process for each in self.workers):
            self._rest()
            self.turn(time.monotonic())
        return self.code

    def turn(self, now: float) -> None:
        """One look at everything."""
        for number in self._signals[self._obeyed :]:
            self._obey(number, now)
        for each in self.workers:
            each.listen(now)
            code = each.ended()
            if code is not None:
                self._bury(each, code, now)
            if not self._stopping and each.process is None and now >= each.begin_at:
                each.begin(now)
        if now >= self._kill_at:
            self._kill()
        self._tell(now)

    def catch(self, number: int, frame: FrameType | None) -> None:
        """The handler of SIGTERM and SIGINT."""
        del frame
        self._signals.append(number)

    def _rest(self) -> None:
        ends = [each.process.sentinel for each in self.workers if each.process is not None]
        wait([*ends, *(each.notes for each in self.workers)], timeout=LOOK_S)

    def _obey(self, number: int, now: float) -> None:
        self._obeyed += 1
        if not self._stopping:
            log.info("stopping", signal=signal.Signals(number).name)
            self._stop(OK, now)
            return
        self.code = 128 + number
        self._kill_at = min(self._kill_at, now + HURRY_S)
        for each in self.workers:
            each.signal(signal.SIGTERM)  # their second one: they end at once

    def _stop(self, code: int, now: float) -> None:
        self._stopping, self.code = True, code
        self._kill_at = now + self.stop_s + GRACE_S
        sdnotify.notify("STOPPING=1")
        for each in self.workers:
            each.signal(signal.SIGTERM)

    def _bury(self, worker: Worker, code: int, now: float) -> None:
        if self._stopping:
            if code not in (OK, -signal.SIGTERM) and self.code == OK:
                self.code = code if code > 0 else TRY_AGAIN
            return
        if code == OK:  # somebody asked this one worker to stop
            log.info("worker ended", worker=worker.number)
            worker.begin_at = now
            return
        said = {"worker": worker.number, "how": _how(code)}
        hopeless = code in (WRONG_USE, MISCONFIGURED)
        if hopeless or (code == UNAVAILABLE and not self._complete):
            log.error("a worker cannot start: ending", **said)
            self._stop(code, now)
            return
        pause = worker.again(now)
        if pause is None:
            log.error("a worker ends again and again: ending", **said)
            self._stop(code if code > 0 else TRY_AGAIN, now)
            return
        log.warning("worker died: beginning it again", seconds=pause, **said)

    def _kill(self) -> None:
        for each in self.workers:
            if each.process is not None:
                log.error("worker does not end: killing it", worker=each.number)
                each.signal(signal.SIGKILL)
        self._kill_at = float("inf")

    def _tell(self, now: float) -> None:
        """Tells systemd: ready once all are, alive as long as no running worker fell silent."""
        if self._stopping:
            return
        ready = sum(each.ready for each in self.workers)
        if ready == len(self.workers) and not self._complete:
            self._complete = True
            log.info("all workers are ready", workers=ready)
            sdnotify.notify("READY=1")
        silent = [w.number for w in self.workers if w.process and now - w.heard_at > SILENT_S]
        if now - self._pinged_at < PING_S or silent:
            return
        self._pinged_at = now
        sdnotify.notify(f"WATCHDOG=1\nSTATUS={ready} of {len(self.workers)} workers are ready")


def _how(code: int) -> str:
    if code >= 0:
        return f"exit code {code}"
    known = {each.value: each.name for each in signal.Signals}  # most real-time signals have none
    return f"killed by {known.get(-code, f'signal {-code}')}"


@contextmanager
def _channels(count: int) -> Iterator[list[socket.socket]]:
    """Sockets that take what processes say to systemd, in a folder nobody else can enter."""
    made: list[socket.socket] = []
    with tempfile.TemporaryDirectory(prefix="watchkeeper-") as folder:
        try:
            for number in range(1, count + 1):
                made.append(socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM))
                made[-1].setblocking(False)
                made[-1].bind(str(Path(folder) / f"worker-{number}"))
            yield made
        finally:
            for each in made:
                each.close()


def supervise(config: Config, count: int) -> int:
    """Runs `count` workers until SIGTERM or SIGINT; the exit code says how it ended."""
    logs.configure(config.daemon.log_level, config.daemon.log_format, config.secrets())
    try:
        configs = [config_of(config, number) for number in range(1, count + 1)]
        make_ready(config)  # once: so no two workers change the layout of the database
    except CannotStart as error:
        log.error("cannot start", reason=str(error))
        return error.code
    with _channels(count) as channels:
        workers = [Worker(n, configs[n - 1], channels[n - 1]) for n in range(1, count + 1)]
        supervisor = Supervisor(workers, float(config.daemon.stop_timeout))
        signal.signal(signal.SIGTERM, supervisor.catch)
        signal.signal(signal.SIGINT, supervisor.catch)
        code = supervisor.run()
    log.info("stopped", code=code)
    return code
