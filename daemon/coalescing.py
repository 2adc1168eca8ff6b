"""Lets a few events come together before they are taken up, while no window is about to end.

A turn costs nearly as much for one event as for twenty, and a finding waits for nothing but the end
of its window: in between, to take each event up at once only keeps the processor busy, and what
comes at that end has to wait for the turn that is under way. Network cards do the same with their
interrupts (adaptive interrupt coalescing).
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from watchkeeper.daemon.lull import Lull

MOST_S = 0.010
BUSY_SHARE = 0.5  # of `MOST_S`: whoever works for longer at a time has no time to wait
LEAD_S = 0.004  # before the end of a window: what came until then is to be worked off by it


@dataclass
class Coalescing:
    """Waits between two polls. `steady` is a clock that nobody sets, in seconds, `sleep` lets so
    many of them pass; a `lull` is told of it.

    It never waits behind a poll that brought nothing, nor where events take long: what waits is
    worked off as fast as can be.

    >>> now = 0.0
    >>> coalescing = Coalescing(lambda: now)
    >>> coalescing.polled(5); now += 0.002; coalescing.left_s(60.0)
    0.01
    >>> coalescing.polled(5); now += 0.008; coalescing.left_s(60.0)
    0.0
    """

    steady: Callable[[], float] = time.monotonic
    sleep: Callable[[float], object] = field(default_factory=lambda: threading.Event().wait)
    lull: Lull = field(default_factory=Lull)
    _polled_at: float = float("-inf")
    _count: int = 0

    def polled(self, count: int) -> None:
        """A poll has brought so many records just now."""
        self._polled_at, self._count = self.steady(), count

    def left_s(self, due_s: float) -> float:
        """How long the next poll may wait. `due_s` is how far the events of the last one were from
        the end of a window, in seconds of event time, which passes as the clock's does."""
        worked = self.steady() - self._polled_at
        if not self._count or worked > BUSY_SHARE * MOST_S:
            return 0.0
        return min(MOST_S, max(due_s - worked - LEAD_S, 0.0))

    def wait(self, due_s: float) -> None:
        """Waits as long as the next poll may."""
        left = self.left_s(due_s)
        if left > 0.0:
            self.lull.begin()
            self.sleep(left)
            self.lull.end()
