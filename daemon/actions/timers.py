"""Periodic work beside the loop: retention, renewing leases, heartbeats."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import NamedTuple

import structlog

log = structlog.get_logger()


class _Work(NamedTuple):
    seconds: float
    name: str
    call: Callable[[], object]


@dataclass
class Timers:
    """Calls functions every so often, at most `threads` at once; no function overlaps itself.

    Intervals go by a clock that nobody sets. Nothing is stored: what is missed while the daemon is
    down is missed, and what is missed because a call took long is made up for once. A call that
    fails is logged and comes again at its next time.
    """

    threads: int = 2
    _work: list[_Work] = field(default_factory=list)
    _lanes: threading.Semaphore = field(init=False)
    _calm: threading.Condition = field(default_factory=threading.Condition)
    _active: int = 0
    _stopping: threading.Event = field(default_factory=threading.Event)

    def __post_init__(self) -> None:
        self._lanes = threading.Semaphore(self.threads)

    def every(self, seconds: float, name: str, call: Callable[[], object]) -> None:
        """Calls `call` every `seconds`, for the first time that long after the start."""
        self._work.append(_Work(seconds, name, call))

    def start(self) -> None:
        """Begins; every clock starts now."""
        for work in self._work:
            # Not waited for at exit: `stop` waits for the calls that are under way.
            name = f"timer-{work.name}"
            threading.Thread(target=self._beat, args=(work,), name=name, daemon=True).start()

    def stop(self, timeout: float) -> bool:
        """Starts nothing more and waits for what runs; True when it ended in time."""
        with self._calm:
            self._stopping.set()
            return self._calm.wait_for(lambda: self._active == 0, timeout)

    def _beat(self, work: _Work) -> None:
        due = time.monotonic() + work.seconds
        while not self._stopping.wait(max(due - time.monotonic(), 0.0)):
            with self._lanes:
                self._run(work)
            due = max(due + work.seconds, time.monotonic())

    def _run(self, work: _Work) -> None:
        with self._calm:
            if self._stopping.is_set():
                return
            self._active += 1
        try:
            work.call()
        except Exception:
            log.exception("periodic work failed", timer=work.name)
        finally:
            with self._calm:
                self._active -= 1
                self._calm.notify_all()
