"""Notices that reading stands still, and breaks off a poll of the client that does not return."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from types import FrameType

from watchkeeper.daemon.transport.ports import Partition

# Positions are looked at so often; a longer pause between two looks counts for nothing.
_LOOK_S, _PAUSE_S = 1.0, 5.0


class Stuck(Exception):
    """The client hung in a poll, or brought nothing of what is there."""


class Progress:
    """Since when the position of a partition has not moved although more is waiting for it.

    `note` is for the thread that polls; `stalled` may be called from any.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._noted_at = float("-inf")
        self._seen: dict[Partition, tuple[int, float]] = {}

    def due(self) -> bool:
        """Whether it is time for another look."""
        return self._clock() - self._noted_at >= _LOOK_S

    def note(self, waiting: Mapping[Partition, int]) -> None:
        """Takes the next offset of each partition that is asked for more and has more waiting."""
        now = self._clock()
        gap = now - self._noted_at
        skipped = gap if gap > _PAUSE_S else 0.0  # nobody polled: that is not the client's fault
        seen: dict[Partition, tuple[int, float]] = {}
        for partition, position in waiting.items():
            before, since = self._seen.get(partition, (-1, now))
            stands = before == position
            seen[partition] = (position, min(since + skipped, now) if stands else now)
        self._seen, self._noted_at = seen, now

    def stalled(self, limit_s: float) -> list[Partition]:
        """The partitions that have not moved for so long, by when they were last looked at."""
        return sorted(p for p, (_, since) in self._seen.items() if self._noted_at - since > limit_s)

    def excuse(self, partitions: Collection[Partition]) -> None:
        """Begins to count anew for partitions that have a reason to stand."""
        kept = {p: (at, self._noted_at) for p, (at, _) in self._seen.items() if p in partitions}
        self._seen = self._seen | kept


class Breaker:
    """Raises `Stuck` in a poll of the client that does not return.

    By a signal, since nothing else gets another thread out of a loop or a wait; so the main thread
    must be the one that polls. `inside` marks where it may be raised: nowhere else is it.
    """

    def __init__(self) -> None:
        self._number: int | None = None
        self._inside = False
        self._asked = False

    def arm(self, number: int = signal.SIGUSR2) -> None:
        """Takes a signal for it. To be called on the main thread."""
        signal.signal(number, self._caught)
        self._number = number

    @contextmanager
    def inside(self) -> Iterator[None]:
        """Within this block the poll may be broken off."""
        self._asked, self._inside = False, True
        try:
            yield
        finally:
            self._inside = False

    def break_off(self) -> bool:
        """Asks for it, from another thread; False where it cannot be done."""
        if self._number is None or not self._inside:
            return False
        self._asked = True
        signal.pthread_kill(threading.main_thread().ident or 0, self._number)
        return True

    def _caught(self, number: int, frame: FrameType | None) -> None:
        del number, frame
        if self._inside and self._asked:
            self._asked = False
            raise Stuck("a poll of the client did not return")
