"""When what was done is made true, and by which thread."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, wait
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import NamedTuple

from watchkeeper.daemon.lull import Lull
from watchkeeper.daemon.patience import Patience
from watchkeeper.daemon.pending import Pending
from watchkeeper.daemon.storage.database import DatabaseDown
from watchkeeper.daemon.storage.values import Checkpoint

CHECKPOINT_SHARE = 0.035  # of the time that checkpoints may take of a core
WRITING_LEAST = 0.5  # of that share is for making them, however much it takes to gather events
WRITING_SHARE = 0.5  # of the time that one may be being written: most of it is spent waiting
FURTHEST = 4_000  # times `checkpoint_events` that may wait for one: 13 to 35 bytes each
MOST_REFUSED_BYTES = 32 << 20  # of refused records that may wait for a checkpoint
GLANCE_S = 0.02
YIELD_S = 0.25  # so long after it is due one may begin, where something else is about to come
LONGEST_S = 20.0  # between two, however much the last one cost, or however long it took
LONGEST_BEHIND_S = 180.0  # the same while a backlog is worked off
_BEHIND = 100  # times `checkpoint_events` since the last one: that is a backlog
MOST_WHOLE = 1_000_000  # events kept whole that may wait for one: some 250 bytes each
HANGING_S = 120.0  # longer than any time-out of a database
LAST_S = 5.0  # for one that is to stop
SLICE_S = 0.2
LONG_S = 5.0  # a write that takes longer is waited for: memory must not grow meanwhile


class Cost(NamedTuple):
    """What it took to write one: seconds of a core, and seconds."""

    spent_s: float = 0.0
    took_s: float = 0.0


@dataclass
class Writing:
    """A checkpoint that a thread of its own writes; `pending` is what becomes true by it."""

    pending: Pending
    checkpoint: Checkpoint
    begun: float
    done: Future[Cost]


@dataclass
class Checkpoints:
    """Has checkpoints written, one at a time and in the order in which they were made.

    With `beside` a routine one is written by a thread of its own while the loop reads on; the loop
    hears of it in a later turn. `commit` raises Fenced or DatabaseDown; the latter is waited out
    by `patience`, in the loop's own thread. `steady` is a clock that nobody sets; `spent` is the
    CPU time of the thread that asks, seconds: to wait for a disk, a lock or a server costs nothing,
    so that one slow write does not put the next one off for long. What is written beside is held
    up until there is a `lull`, unless the loop waits for it.
    """

    commit: Callable[[Checkpoint], None]
    patience: Patience
    steady: Callable[[], float]
    beside: bool = False
    spent: Callable[[], float] = time.thread_time
    lull: Lull = field(default_factory=Lull)
    _begun: float = float("-inf")
    _begun_at: float = 0.0
    _made_at: float = float("-inf")
    _passed_s: float = 0.0
    _gathered_s: float = 0.0
    _left: float = CHECKPOINT_SHARE
    _due_at: float | None = None
    _built_s: float = 0.0
    _dear_s: float = 0.0
    _slow_s: float = 0.0
    _writing: Writing | None = None

    def due(self, pending: Pending, every_s: float, every_events: int) -> bool:
        """Checkpoints may take a part of a core, unless one is urgent or memory would grow too far:
        what a crash makes read again is so much the more the more there is to write."""
        far = pending.events >= FURTHEST * every_events or pending.keeping.whole >= MOST_WHOLE
        if pending.urgent or far or pending.refused_bytes >= MOST_REFUSED_BYTES:
            return True
        waited, behind = self.steady() - self._begun, pending.events >= _BEHIND * every_events
        often = waited >= every_s or pending.events >= every_events
        dear = min(self._dear_s, LONGEST_BEHIND_S if behind else LONGEST_S)
        return often and self._writing is None and waited >= max(dear, self._slow_s)

    def may_wait(self, pending: Pending) -> bool:
        """Whether it is a routine checkpoint, which the loop need not stand still for."""
        bulky = pending.refused_bytes >= MOST_REFUSED_BYTES
        return self.beside and self._writing is None and not (pending.urgent or bulky)

    def at_most(self, timeout: float) -> float:
        """How long the loop may wait for events, seconds, so that it soon hears of what is being
        written."""
        return timeout if self._writing is None else min(timeout, GLANCE_S)

    @contextmanager
    def gathering(self) -> Iterator[None]:
        """What the block does is gather what the next one stores of events. It takes its part of
        the share; but to put checkpoints off makes it no less, so that is half of it at most."""
        began = self.spent()
        yield
        self._gathered_s += self.spent() - began

    def may_yield(self) -> bool:
        """Whether a routine one that is due may be put off for a moment still."""
        now = self.steady()
        self._due_at = now if self._due_at is None else self._due_at
        return now - self._due_at < YIELD_S

    def begin(self) -> None:
        """One is being made from here on."""
        now = self.steady()
        self._passed_s, self._made_at = now - self._made_at, now
        self._begin_anew(now)

    def rested(self) -> None:
        """One was due, and there was nothing to write: what the last one cost is over and done."""
        self._begin_anew(self.steady())
        self._dear_s = self._slow_s = 0.0

    def _begin_anew(self, now: float) -> None:
        self._due_at = None
        passed = now - self._begun
        gathered = self._gathered_s / passed if passed > 0.0 else 0.0
        self._left = max(CHECKPOINT_SHARE - gathered, WRITING_LEAST * CHECKPOINT_SHARE)
        self._begun, self._begun_at, self._gathered_s = now, self.spent(), 0.0

    def write(self, checkpoint: Checkpoint) -> None:
        """Writes it now, in this thread. Raises Fenced, and DatabaseDown when patience ends."""
        self._built_s = self.spent() - self._begun_at
        self.lull.release()
        self._cost(self.patience.insist(lambda: self._write(checkpoint)))

    def write_beside(self, pending: Pending, checkpoint: Checkpoint) -> None:
        """Has it written by another thread; `written` tells of its end."""
        self._built_s = self.spent() - self._begun_at
        done: Future[Cost] = Future()
        self.lull.allow()
        # One that hangs in the database must not keep the process from ending.
        threading.Thread(
            target=self._fulfil, args=(done, checkpoint), name="checkpoint", daemon=True
        ).start()
        self._writing = Writing(pending, checkpoint, self.steady(), done)

    def written(self, now: bool = False) -> Pending | None:
        """What was being written beside and has become true since; waits for its end with `now`,
        or once it has taken long. Raises as `write` does; what was being written is lost then."""
        writing = self._writing
        if writing is None:
            return None
        if now or self.steady() - writing.begun >= LONG_S:
            self._see_it_end(writing)
        if not writing.done.done():
            return None
        self._writing = None
        try:
            wrote = writing.done.result()
        except DatabaseDown:
            self.lull.release()
            wrote = self.patience.insist(lambda: self._write(writing.checkpoint))
        self._cost(wrote)
        return writing.pending

    def _cost(self, wrote: Cost) -> None:
        """So much was spent on the last one, from the beginning of which the next one is put off:
        by what that is worth, and by what was missing of it before the last one, which cost more
        than was known then, or could not wait."""
        worth = (self._built_s + wrote.spent_s) / self._left
        self._dear_s = worth + max(worth - self._passed_s, 0.0)
        self._slow_s = min(wrote.took_s / WRITING_SHARE, LONGEST_S)

    def _see_it_end(self, writing: Writing) -> None:
        """Waits, as for a database that is away. Raises DatabaseDown when it hangs."""
        until = time.monotonic() + HANGING_S
        self.lull.release()
        while not wait([writing.done], SLICE_S).done:
            if self.patience.stopping.is_set():
                until = min(until, time.monotonic() + LAST_S)
            if time.monotonic() > until:
                waited = self.steady() - writing.begun
                raise DatabaseDown(f"a checkpoint has not been written for {waited:.0f} s")
            self.patience.idle(SLICE_S)

    def close(self, timeout: float) -> None:
        """Waits for what is being written, and writes nothing more. Idempotent."""
        if self._writing is not None:
            self.lull.release()
            wait([self._writing.done], timeout)

    def _fulfil(self, done: Future[Cost], checkpoint: Checkpoint) -> None:
        try:
            done.set_result(self._write(checkpoint))
        except BaseException as error:  # noqa: BLE001 - whoever waits for it raises it
            done.set_exception(error)

    def _write(self, checkpoint: Checkpoint) -> Cost:
        began, spent = self.steady(), self.spent()
        self.commit(checkpoint)
        return Cost(self.spent() - spent, self.steady() - began)
