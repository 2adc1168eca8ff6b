"""Periodic work beside the loop: retention, renewing leases, heartbeats."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta, tzinfo

import structlog
from apscheduler.executors.pool import ThreadPoolExecutor
from apscheduler.jobstores.memory import MemoryJobStore
from apscheduler.schedulers.background import BackgroundScheduler
from apscheduler.triggers.base import BaseTrigger

log = structlog.get_logger()

_JOB_DEFAULTS = {
    "coalesce": True,
    "max_instances": 1,
    # However late: the scheduler would measure that by a clock that people set.
    "misfire_grace_time": None,
}


class _Steady(tzinfo):
    """A zone in which it is as late as was at the start, and what has passed since.

    The scheduler asks for the time of its zone. Times of this zone must stay in it: what is
    converted into it becomes the present.
    """

    def __init__(self) -> None:
        self._began = datetime.now(UTC).replace(tzinfo=self) - timedelta(seconds=time.monotonic())

    def fromutc(self, when: datetime) -> datetime:
        return self._began + timedelta(seconds=time.monotonic())

    def utcoffset(self, when: datetime | None) -> timedelta:
        return timedelta()

    def dst(self, when: datetime | None) -> timedelta:
        return timedelta()

    def tzname(self, when: datetime | None) -> str:
        return "steady"


class _Every(BaseTrigger):  # type: ignore[misc]  # the library has no types
    """Fires at even distances; unlike the library's own, it leaves times in their zone."""

    def __init__(self, seconds: float) -> None:
        self._distance = timedelta(seconds=seconds)

    def get_next_fire_time(self, before: datetime | None, now: datetime) -> datetime:
        return (before or now) + self._distance


@dataclass
class Timers:
    """Calls functions every so often, in `threads` threads; no function overlaps itself.

    Intervals go by a clock that nobody sets. Nothing is stored: what is missed while the daemon is
    down is missed, and what is missed because a call took long is made up for once. A call that
    fails is logged and comes again at its next time.
    """

    threads: int = 2
    _scheduler: BackgroundScheduler = field(init=False)
    _calm: threading.Condition = field(default_factory=threading.Condition)
    _active: int = 0
    _stopping: bool = False

    def __post_init__(self) -> None:
        self._scheduler = BackgroundScheduler(
            executors={"default": ThreadPoolExecutor(self.threads)},
            jobstores={"default": MemoryJobStore()},
            job_defaults=_JOB_DEFAULTS,
            timezone=_Steady(),
            daemon=True,
        )

    def every(self, seconds: float, name: str, call: Callable[[], object]) -> None:
        """Calls `call` every `seconds`, for the first time that long after the start."""
        self._scheduler.add_job(self._run, _Every(seconds), args=(name, call), id=name, name=name)

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
