"""Ends a process whose loop hangs, so that its supervisor starts it again."""

from __future__ import annotations

import faulthandler
import os
import sys
import threading
from collections.abc import Callable
from dataclasses import dataclass, field

import structlog

log = structlog.get_logger()

TRY_AGAIN = 75


@dataclass
class Watchdog:
    """Looks, in a thread of its own, whether the loop has been in one and the same stage for
    `limit_s` seconds, as in a poll of the client that never returns. Then it writes all stacks to
    the log and ends the process with 75: a thread that hangs cannot be ended, nor asked to commit.

    `busy_since` says when the stage began, None while none is under way, for instance while the
    database is waited for. Time in which the whole process stood still does not count.
    """

    busy_since: Callable[[], float | None]
    limit_s: float = 120.0
    looks: int = 24
    _stopping: threading.Event = field(default_factory=threading.Event)

    def start(self) -> None:
        """Begins to look. It is not waited for at exit."""
        threading.Thread(target=self._run, name="watchdog", daemon=True).start()

    def stop(self) -> None:
        """Looks no more. Idempotent."""
        self._stopping.set()

    def _run(self) -> None:
        seen, same = None, 0
        while not self._stopping.wait(self.limit_s / self.looks):
            since = self.busy_since()
            same = same + 1 if since is not None and since == seen else 0
            seen = since
            if same >= self.looks:
                self._end()

    def _end(self) -> None:
        log.critical("the loop hangs: ending, to be started again", seconds=round(self.limit_s))
        faulthandler.dump_traceback(sys.stderr, all_threads=True)
        sys.stderr.flush()
        os._exit(TRY_AGAIN)
