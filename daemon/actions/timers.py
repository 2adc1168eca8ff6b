"""Periodic work beside the loop: retention, renewing leases, heartbeats."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, field

import structlog
from apscheduler.executors.pool import ThreadPoolExecutor
from apscheduler.schedulers.background import BackgroundScheduler

log = structlog.get_logger()


@dataclass
class Timers:
    """Calls functions every so often, in `threads` threads; no function overlaps itself.

    Nothing is stored: what is missed while the daemon is down is missed. A call that fails is
    logged and comes again at its next time.
    """

    threads: int = 2
    _scheduler: BackgroundScheduler = field(init=False)
    _calm: threading.Condition = field(default_factory=threading.Condition)
    _active: int = 0
    _stopping: bool = False

    def __post_init__(self) -> None:
        self._scheduler = BackgroundScheduler(
            executors={"default": ThreadPoolExecutor(self.threads)},
            job_defaults={"coalesce": True, "max_instances": 1, "misfire_grace_time": 60},
            timezone="UTC",
            daemon=True,
        )

    def every(self, seconds: float, name: str, call: Callable[[], object]) -> None:
        """Calls `call` every `seconds`, for the first time that long after the start."""
        self._scheduler.add_job(
            self._run, "interval", args=(name, call), seconds=seconds, id=name, name=name
        )

    def start(self) -> None:
        """Begins; every clock starts now."""
        self._scheduler.start()

    def stop(self, timeout: float) -> bool:
        """Starts nothing more and waits for what runs; True when it ended in time."""
        with self._calm:
            self._stopping = True
        if self._scheduler.running:
            self._scheduler.shutdown(wait=False)
        with self._calm:
            return self._calm.wait_for(lambda: self._active == 0, timeout)

    def _run(self, name: str, call: Callable[[], object]) -> None:
        with self._calm:
            if self._stopping:
                return
            self._active += 1
        try:
            call()
        except Exception:
            log.exception("periodic work failed", timer=name)
        finally:
            with self._calm:
                self._active -= 1
                self._calm.notify_all()
