"""Makes true what the loop has done: at once, or beside it while it reads on."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass, field

import structlog

from watchkeeper.daemon.checkpointing import Checkpoints
from watchkeeper.daemon.core.step import Step
from watchkeeper.daemon.handing import Handing
from watchkeeper.daemon.holdings import Holdings
from watchkeeper.daemon.lull import Lull
from watchkeeper.daemon.pending import Pending
from watchkeeper.daemon.reporter import Reporter
from watchkeeper.daemon.storage.values import Checkpoint, Fenced

log = structlog.get_logger()

SOON_S = 0.02  # before the end of a window: to gather a checkpoint takes less


@dataclass
class Committing:
    """Makes one checkpoint of what is `pending`, and tells who waits for it once it is true.

    What comes to be `pending` is the loop's, which alone calls all of this. With `beside` a thread
    of its own writes what is not urgent; where there is a `lull`, only while the loop waits, and
    none is begun right before a window ends. `steady` is a clock that nobody sets.
    """

    holdings: Holdings
    handing: Handing
    reporter: Reporter
    steady: Callable[[], float]
    beside: bool = False
    lull: Lull | None = None
    pending: Pending = field(default_factory=Pending)
    _checkpoints: Checkpoints = field(init=False)

    def __post_init__(self) -> None:
        patience, lull = self.holdings.patience, self.lull or Lull()
        self._checkpoints = Checkpoints(self._write, patience, self.steady, self.beside, lull=lull)

    def at_most(self, timeout: float) -> float:
        """How long the loop may wait for events, seconds."""
        return self._checkpoints.at_most(timeout)

    def gathering(self) -> AbstractContextManager[None]:
        """What the block does is gather what is to be stored of events."""
        return self._checkpoints.gathering()

    def commit(self) -> bool:
        """Makes all of it true; False when another instance has taken over: nothing of it is."""
        if not self.hear_written(now=True):
            return False
        pending = self.pending
        if pending.empty:
            self._checkpoints.rested()
            return True
        checkpoint = self._build(pending)
        try:
            self._checkpoints.write(checkpoint)
        except Fenced as fenced:
            return _fenced(fenced)
        self.pending = Pending()
        self._became_true(pending)
        return True

    def commit_if_due(self, step: Step, every_s: float, every_events: int) -> bool:
        """Behind this step; False when another instance has taken over. One that is not urgent is
        written beside the loop, now or soon."""
        if not self._checkpoints.due(self.pending, every_s, every_events):
            return True
        return self._commit_beside(step) or self.commit()

    def _commit_beside(self, step: Step) -> bool:
        """False where it must be written at once."""
        pending = self.pending
        if pending.empty or not self._checkpoints.may_wait(pending):
            return False
        if self._is_inopportune(step) and self._checkpoints.may_yield():
            return True
        self._checkpoints.write_beside(pending, self._build(pending))
        self.pending = Pending()
        return True

    def _is_inopportune(self, step: Step) -> bool:
        """Whether a finding would have to wait, where latency counts: one of this turn, or of a
        window that is about to end."""
        if self.lull is None:
            return False
        return bool(step.findings) or self.holdings.state.arrays.clocks.next_due_s() < SOON_S

    def hear_written(self, now: bool = False) -> bool:
        """Takes note of what was written beside, and waits for it with `now`; False when another
        instance has taken over."""
        try:
            written = self._checkpoints.written(now)
        except Fenced as fenced:
            return _fenced(fenced)
        if written is not None:
            self._became_true(written)
        return True

    def forget(self) -> None:
        """Lets go of what is not true yet: it will be read again."""
        self.pending = Pending()

    def close(self, timeout: float) -> None:
        """Waits for what is being written; makes nothing true. Idempotent."""
        self._checkpoints.close(timeout)

    def _build(self, pending: Pending) -> Checkpoint:
        """Everything that is pending, cut off from what the next turns change."""
        self._checkpoints.begin()
        holdings, at = self.holdings, self.holdings.clock()
        state, epochs = holdings.state, holdings.epochs
        with self.reporter.stage("dump"):
            state.arrays.ledger.tables.trim()
            if holdings.spreading is not None:
                pending.outbox += holdings.spreading.rows(state, pending.dirty, epochs, at)
            return pending.checkpoint(state, holdings.homes, dict(epochs), at)

    def _write(self, checkpoint: Checkpoint) -> None:
        with self.reporter.stage("commit"):
            self.holdings.store.commit(checkpoint)

    def _became_true(self, pending: Pending) -> None:
        """Tells whoever waits for it."""
        self.holdings.source.commit(pending.offsets)
        if pending.outbox or pending.letters:
            self.reporter.committed()
        self.handing.give(pending.actions.values())


def _fenced(fenced: Fenced) -> bool:
    log.warning("another instance took over; reading again", reason=str(fenced))
    return False
