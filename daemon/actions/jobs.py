"""Runs training jobs in processes that outlive the daemon, each exactly once."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol, runtime_checkable

import psutil
import structlog

from watchkeeper.daemon.storage.values import Job, JobState
from watchkeeper.detectors.types import Scalar
from watchkeeper.handlers.errors import Interrupted
from watchkeeper.handlers.retrain.retrain import JobFailed, JobOrder

_MARK = "WATCHKEEPER_JOB"
_KEPT = ("PATH", "HOME", "LANG", "LC_ALL", "TZ", "TMPDIR", "PYTHONPATH", "VIRTUAL_ENV")
_KEY = re.compile(r"[A-Za-z0-9-]{1,64}")
_ENDED: tuple[JobState, ...] = ("succeeded", "failed", "cancelled", "lost")
_TAIL_BYTES, _TAIL_LINES = 4_000, 5

log = structlog.get_logger()


@runtime_checkable
class JobStore(Protocol):
    """The rows of jobs. Each method is one transaction."""

    def add(self, job: Job) -> bool:
        """True when the row is new."""

    def running(self, job_id: str, pid: int, pid_started: float) -> None:
        """The process of a waiting job was begun."""

    def end(self, job_id: str, state: JobState, at: float, result: dict[str, Scalar]) -> bool:
        """True when this ended it; False when it had ended before."""

    def get(self, job_id: str) -> Job | None:
        """One job."""


@dataclass
class JobRunner:
    """Begins jobs, waits for them, and finds them again after a restart of the daemon.

    A job is known by its process id, that process's start, and a mark in its environment. Its
    folder below `root` holds what it reads and makes, and `job.log`. Memory and file sizes in
    bytes, times in seconds; `wall_s` counts from the job's row, so a restart gives no more time.
    """

    store: JobStore
    root: Path
    wall_s: float = 3_600.0
    cpu_s: int = 3_600
    memory: int = 8 << 30
    file_size: int = 4 << 30
    nice: int = 10
    grace_s: float = 5.0
    poll_s: float = 0.5
    environment: Mapping[str, str] = field(default_factory=dict)
    clock: Callable[[], float] = time.time
    _stopping: threading.Event = field(default_factory=threading.Event)
    _children: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)

    def run(self, order: JobOrder, prepare: Callable[[Path], None]) -> Path:
        """The job's folder, once it has made its product; begins it only if it never was."""
        folder = self._folder(order.key)
        job = self._row(order, folder)
        if job.state in _ENDED:
            return _outcome(job, folder)
        process = self._find(job)
        done = (folder / order.product).exists()  # by one whose daemon died before its row
        if process is None and job.state == "waiting" and not done:
            process = self._begin(order, folder, prepare)
        elif process is not None:
            log.info("job found again", job=job.id, pid=process.pid)
            self.store.running(job.id, process.pid, process.create_time())
        return self._wait(order, folder, process, job.started_at + self.wall_s)

    def stop(self) -> None:
        """Lets every waiting `run` raise `Interrupted`; the jobs themselves go on."""
        self._stopping.set()

    def reap(self) -> None:
        """Collects the exit codes of children that have ended."""
        for child in list(self._children.values()):
            child.poll()

    def prune(self, keep: Iterable[str], before: float) -> int:
        """Removes the folders of jobs that ended before that moment, in seconds since the epoch;
        how many those were.

        The files in `keep`, which registered versions point to, stay with all that lies beside
        them. A folder without a job's row is not ours and stays too.
        """
        kept = {Path(path).resolve().parent for path in keep}
        removed = 0
        for folder in sorted(self.root.glob("*/")):
            job = self.store.get(folder.name)
            ended = job is not None and job.state in _ENDED and (job.ended_at or before) < before
            if ended and folder.resolve() not in kept:
                shutil.rmtree(folder, ignore_errors=True)
                removed += 1
        return removed

    def _folder(self, key: str) -> Path:
        if not _KEY.fullmatch(key):
            raise ValueError(f"job key {key!r}: expected letters, digits and - only")
        return self.root.absolute() / key

    def _row(self, order: JobOrder, folder: Path) -> Job:
        new = Job(
            id=order.key,
            model=order.model,
            action_id=order.action_id,
            kind=order.kind,
            state="waiting",
            directory=str(folder),
            started_at=self.clock(),
        )
        self.store.add(new)
        return self.store.get(order.key) or new

    def _begin(
        self, order: JobOrder, folder: Path, prepare: Callable[[Path], None]
    ) -> psutil.Process | None:
        """Starts afresh: whatever an earlier try left in the folder was not finished."""
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True, mode=0o700)
        prepare(folder)
        child = self._spawn(order, folder)
        self._children[order.key] = child
        try:
            process = psutil.Process(child.pid)
            self.store.running(order.key, child.pid, process.create_time())
        except psutil.NoSuchProcess:
            return None
        log.info("job begun", job=order.key, model=order.model, pid=child.pid)
        return process

    def _spawn(self, order: JobOrder, folder: Path) -> subprocess.Popen[bytes]:
        kept = {name: os.environ[name] for name in _KEPT if name in os.environ}
        limits = (self.memory, self.cpu_s, self.file_size, self.nice)
        launcher = (sys.executable, "-P", "-m", "watchkeeper.daemon.actions.launcher")
        with (folder / "job.log").open("ab") as output:
            return subprocess.Popen(
                [*launcher, *map(str, limits), *order.argv, str(folder)],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                cwd=folder,
                env={**kept, **self.environment, _MARK: order.key},
                start_new_session=True,
            )

    def _find(self, job: Job) -> psutil.Process | None:
        """The job's process, if it still runs; a reused process id is not taken for it."""
        self.reap()
        if job.pid is not None:
            with contextlib.suppress(psutil.Error):
                process = psutil.Process(job.pid)
                return process if _is(process, job) else None
            return None
        # The daemon may have died between the start and its row.
        found = (p for p in psutil.process_iter() if _marked(p, job.id) and _leads(p))
        return next(found, None)

    def _wait(
        self, order: JobOrder, folder: Path, process: psutil.Process | None, until: float
    ) -> Path:
        while process is not None and self._alive(order.key, process):
            if self.clock() >= until:
                self._kill(process)
                return self._end(order.key, folder, "failed", f"longer than {self.wall_s:g} s")
            if self._stopping.wait(self.poll_s):
                raise Interrupted(f"job {order.key} goes on")
        child = self._children.pop(order.key, None)
        code = None if child is None else child.wait(self.grace_s)
        if (folder / order.product).exists() and not code:
            return self._end(order.key, folder, "succeeded", "")
        how = f"ended with {code}" if code is not None else "is gone"
        state: JobState = "failed" if code is not None else "lost"
        return self._end(order.key, folder, state, f"{how} without a result{_tail(folder)}")

    def _alive(self, key: str, process: psutil.Process) -> bool:
        child = self._children.get(key)
        if child is not None:
            return child.poll() is None
        with contextlib.suppress(psutil.Error):
            return bool(process.is_running() and process.status() != psutil.STATUS_ZOMBIE)
        return False

    def _kill(self, process: psutil.Process) -> None:
        """Ends the job's whole process group, at first politely."""
        for sign in (signal.SIGTERM, signal.SIGKILL):
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, sign)
            with contextlib.suppress(psutil.TimeoutExpired):
                process.wait(self.grace_s)
        self.reap()

    def _end(self, key: str, folder: Path, state: JobState, reason: str) -> Path:
        self.store.end(key, state, self.clock(), {"reason": reason})
        log.info("job ended", job=key, state=state, reason=reason)
        job = self.store.get(key)
        if job is None:
            raise JobFailed(f"job {key} has no row")
        return _outcome(job, folder)


def _outcome(job: Job, folder: Path) -> Path:
    if job.state != "succeeded":
        raise JobFailed(f"the job {job.state}: {job.result.get('reason', '')}")
    return folder


def _is(process: psutil.Process, job: Job) -> bool:
    # A step of the clock shifts all start times, hence the tolerance; the mark settles it.
    near = job.pid_started is None or abs(process.create_time() - job.pid_started) < 5.0
    return near and _marked(process, job.id)


def _marked(process: psutil.Process, key: str) -> bool:
    with contextlib.suppress(psutil.Error, OSError):
        alive = process.status() != psutil.STATUS_ZOMBIE
        return bool(alive and process.environ().get(_MARK) == key)
    return False


def _leads(process: psutil.Process) -> bool:
    """The job itself and not one of its children, which carry its mark too."""
    with contextlib.suppress(ProcessLookupError):
        return bool(os.getpgid(process.pid) == process.pid)
    return False


def _tail(folder: Path) -> str:
    """The end of the job's log, without what a terminal would obey."""
    try:
        with (folder / "job.log").open("rb") as file:
            file.seek(max(0, file.seek(0, os.SEEK_END) - _TAIL_BYTES))
            text = file.read().decode(errors="replace")
    except OSError:
        return ""
    lines = [line for line in text.splitlines() if line.strip()][-_TAIL_LINES:]
    shown = " | ".join("".join(c for c in line if c.isprintable()) for line in lines)
    return f": {shown}" if shown else ""
