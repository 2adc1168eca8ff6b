"""The moments in which the loop waits for events: in them others may have the interpreter.

Python runs one thread at a time. A checkpoint that is written beside the loop takes a dozen
milliseconds of it, and while both have work each gets every other moment: a finding that falls into
that comes twice as late. So where latency counts, whoever writes looks up every now and then, and
goes on once the loop has nothing to do.
"""

from __future__ import annotations

import threading
import time
from typing import Protocol, runtime_checkable

HELD_S = 0.5  # in all that one piece of work may be held up: a loop that is behind never waits


class Lull:
    """Tells one thread when another waits. While nobody says anything it lasts. A piece of work is
    held up for `held_s` seconds at most.

    >>> lull = Lull()
    >>> lull.pause()
    0.0
    """

    def __init__(self, held_s: float = HELD_S) -> None:
        self._held_s = held_s
        self._here = threading.Event()
        self._here.set()
        self._left_s = 0.0

    def begin(self) -> None:
        """From now on there is nothing to do."""
        self._here.set()

    def end(self) -> None:
        """From now on there is."""
        self._here.clear()

    def allow(self) -> None:
        """Another piece of work begins, which may be held up for `held_s` seconds in all."""
        self._left_s = self._held_s

    def release(self) -> None:
        """Somebody waits for the piece of work: it is not held up any more."""
        self._left_s = 0.0
        self._here.set()

    def pause(self) -> float:
        """Waits for a lull, as long as may be; says how long, in seconds. Called by
        whoever works beside between portions, at low load every few tenths of a millisecond."""
        if self._here.is_set() or self._left_s <= 0.0:
            return 0.0
        began = time.monotonic()
        self._here.wait(self._left_s)
        waited = time.monotonic() - began
        self._left_s -= waited
        return waited


@runtime_checkable
class Resting(Protocol):
    """A source that tells when it only waits."""

    lull: Lull
