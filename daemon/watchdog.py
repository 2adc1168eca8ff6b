"""Sees from outside whether the loop and its source go on, and mends what does not or ends it."""

from __future__ import annotations

import os
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import NoReturn, Protocol

import structlog

from watchkeeper.daemon.exit_codes import TRY_AGAIN
from watchkeeper.daemon.stacks import write_stacks
from watchkeeper.daemon.transport.ports import Partition

log = structlog.get_logger()


class Watched(Protocol):
    """A source that can be helped. All of it may be called from any thread."""

    def break_off(self) -> bool:
        """Breaks off a poll of the client that does not return; False where it cannot."""

    def stalled(self, limit_s: float) -> Sequence[Partition]:
        """The partitions that have not moved for so long although more is waiting."""

    def begin_anew(self, stalled: Sequence[Partition]) -> None:
        """Looks at the next poll for what cannot be read, and passes over it or joins anew."""

    @property
    def begun_anew(self) -> int:
        """How often that was needed."""


@dataclass
class Watchdog:
    """Looks, in a thread of its own, whether the loop has been in one and the same stage for long,
    as in a poll of the client that never returns.

    After `help_s` seconds it writes all stacks to the log and has the source break off its poll;
    after `limit_s` it ends the process with 75: a thread that hangs elsewhere cannot be ended, nor
    asked to commit. A partition that has not moved for `stall_s` although more is waiting makes
    the source begin anew; more than `most` times in `within_s` end the process too.

    `busy_since` says when the stage began, None while none is under way, for instance while the
    database is waited for. Time in which the whole process stood still does not count.
    """

    busy_since: Callable[[], float | None]
    source: Watched | None = None
    limit_s: float = 120.0
    help_s: float = 30.0
    stall_s: float = 45.0
    most: int = 5
    within_s: float = 900.0
    looks: int = 24
    _stopping: threading.Event = field(default_factory=threading.Event)
    _helped: deque[float] = field(default_factory=deque)
    _begun: int = 0

    def start(self) -> None:
        """Begins to look. It is not waited for at exit."""
        threading.Thread(target=self._run, name="watchdog", daemon=True).start()

    def stop(self) -> None:
        """Looks no more. Idempotent."""
        self._stopping.set()

    def _run(self) -> None:
        seen, same, helped = None, 0, False
        look_s = self.limit_s / self.looks
        while not self._stopping.wait(look_s):
            since = self.busy_since()
            same = same + 1 if since is not None and since == seen else 0
            seen, helped = since, helped and same > 0
            if same >= self.looks:
                self._end("the loop hangs", self.limit_s)
            if same * look_s >= self.help_s and not helped:
                helped = True
                self._help(same * look_s)
            if self.source is not None and not same:
                self._look_at(self.source)

    def _help(self, seconds: float) -> None:
        """Says where everything is, and tries to get a poll that hangs to go on."""
        log.error("the loop hangs", seconds=round(seconds))
        write_stacks()
        if self.source is not None and self.source.break_off():
            self._count("the client hangs in its polls")

    def _look_at(self, source: Watched) -> None:
        for _ in range(source.begun_anew - self._begun):
            self._count("partitions stand still")
        self._begun = source.begun_anew
        stalled = source.stalled(self.stall_s)
        if stalled:
            source.begin_anew(stalled)

    def _count(self, what: str) -> None:
        now = time.monotonic()
        self._helped.append(now)
        while now - self._helped[0] > self.within_s:
            self._helped.popleft()
        if len(self._helped) > self.most:
            self._end(f"{what} again and again", self.within_s)

    def _end(self, what: str, seconds: float) -> NoReturn:
        log.critical("ending, to be started again", reason=what, seconds=round(seconds))
        write_stacks()
        os._exit(TRY_AGAIN)
