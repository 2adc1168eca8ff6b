"""Runs actions off the loop's thread, one at a time a model, and yields their outcomes."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Literal, Protocol, runtime_checkable

import structlog

from watchkeeper.daemon.storage.database import DatabaseDown
from watchkeeper.handlers.errors import Interrupted, Withdrawn
from watchkeeper.handlers.types import Action, ActionState, Handler, Outcome, Phase

Step = Literal["preflight", "run", "undo"]

_STEPS: Mapping[ActionState, Step] = {
    ActionState.PLANNED: "preflight",
    ActionState.PERMITTED: "run",
    ActionState.STARTED: "run",
    ActionState.UNDOING: "undo",
}

log = structlog.get_logger()


@runtime_checkable
class Claims(Protocol):
    """What the executor needs from storage. Thread-safe; leases expire by the database's clock."""

    def claim(self, action_id: str, step: str, lease: str) -> int | None:
        """Takes the lease and commits that the step is started; the lease's rising token.

        None while another instance holds the lease. Again by the same instance: the same token.
        Raises `Withdrawn` for an action whose state by now asks for no such step, and
        `DatabaseDown`.
        """

    def renew(self, lease: str, token: int) -> bool:
        """Prolongs a lease; False when it has been lost."""

    def release(self, lease: str, token: int) -> None:
        """Gives a lease back; nothing happens when it was lost already."""


class Submitted(StrEnum):
    """What became of a submission."""

    ACCEPTED = "accepted"
    KNOWN = "already waiting or running"
    IDLE = "its state asks for nothing to be done"
    FULL = "too many actions are waiting"
    CLOSED = "the executor is closed"


@dataclass
class _Work:
    """One step of one action on its way; `until`, on the monotonic clock, it must have begun, and
    once it has begun, have ended."""

    action: Action
    step: Step
    lease: str
    background: bool
    until: float
    token: int | None = None
    given_up: bool = False


@dataclass
class Executor:
    """Performs what the core permitted; the core learns of it only by `outcomes()`.

    At most `threads` short actions and one of the `background` kinds run at once, never two under
    one lease; a model has one lease for what changes serving and one for each background kind.
    A step that takes longer than its limit is given up with an INCONCLUSIVE outcome. Its thread
    cannot be ended, so its lease stays closed until it returns, and what waits behind it is
    INCONCLUSIVE too; other models' actions go on. So is a step that could not begin in `patience`
    times its limit. `limits_s` are those of the runs and undos of a kind. Times in seconds.
    """

    handlers: Mapping[str, Handler]
    claims: Claims
    threads: int = 2
    background: frozenset[str] = frozenset({"retrain"})
    limit_s: float = 180.0
    limits_s: Mapping[str, float] = field(default_factory=dict)
    patience: float = 4.0
    claim_wait_s: float = 60.0
    claim_retry_s: float = 1.0
    capacity: int = 200
    clock: Callable[[], float] = time.time
    monotonic: Callable[[], float] = time.monotonic
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _idle: threading.Condition = field(init=False)
    _closing: threading.Event = field(default_factory=threading.Event)
    _waiting: deque[_Work] = field(default_factory=deque)
    _running: list[_Work] = field(default_factory=list)
    _done: deque[Outcome] = field(default_factory=deque)

    def __post_init__(self) -> None:
        self._idle = threading.Condition(self._lock)

    def submit(self, action: Action) -> Submitted:
        """Takes up what the action's state asks for: its preflight check, its run or its undoing.

        FULL: submit it again later. A STARTED action is run again, since run looks first.
        """
        step = _STEPS.get(action.state)
        if step is None:
            return Submitted.IDLE
        background = action.kind in self.background and step != "preflight"
        lease = f"{action.model}:{action.kind}" if background else action.model
        until = self.monotonic() + self.patience * self._limit(action, step)
        work = _Work(action, step, lease, background, until)
        with self._lock:
            return self._admit(work)

    def outcomes(self) -> list[Outcome]:
        """The outcomes since the last call, oldest first. Never blocks."""
        with self._lock:
            self._give_up_overdue()
            found = list(self._done)
            self._done.clear()
            self._start_waiting()
        return found

    def renew(self) -> None:
        """Prolongs the leases of what runs; to be called well within a lease's life."""
        with self._lock:
            held = [(w.lease, w.token) for w in self._running if w.token is not None]
        for lease, token in held:
            if not self.claims.renew(lease, token):
                log.warning("lease lost while acting", lease=lease, token=token)

    def drain(self, timeout: float) -> bool:
        """Starts nothing more and waits for what runs; True when everything has ended in time."""
        self._closing.set()
        with self._idle:
            self._waiting.clear()
            return self._idle.wait_for(lambda: not self._running, timeout)

    def _admit(self, work: _Work) -> Submitted:
        if self._closing.is_set():
            return Submitted.CLOSED
        known = (*self._waiting, *self._running)
        if any(w.action.id == work.action.id and w.step == work.step for w in known):
            return Submitted.KNOWN
        if len(known) + len(self._done) >= self.capacity:
            return Submitted.FULL
        self._waiting.append(work)
        self._start_waiting()
        return Submitted.ACCEPTED

    def _start_waiting(self) -> None:
        """Starts every waiting step whose lease and lane are free. Needs the lock."""
        if self._closing.is_set():
            return
        for work in list(self._waiting):
            if not self._free(work):
                continue
            self._waiting.remove(work)
            self._begin(work)
            name = f"action-{work.action.kind}-{work.step}"
            threading.Thread(target=self._perform, args=(work,), name=name, daemon=True).start()

    def _free(self, work: _Work) -> bool:
        if any(w.lease == work.lease for w in self._running):
            return False
        lane = sum(w.background == work.background and not w.given_up for w in self._running)
        return lane < (1 if work.background else self.threads)

    def _begin(self, work: _Work) -> None:
        work.until = self.monotonic() + self._limit(work.action, work.step)
        self._running.append(work)

    def _limit(self, action: Action, step: Step) -> float:
        usual = self.limit_s
        return usual if step == "preflight" else self.limits_s.get(action.kind, usual)

    def _perform(self, work: _Work) -> None:
        outcome = self._outcome(work)
        if work.token is not None:
            self._release(work.lease, work.token)
        with self._idle:
            self._running.remove(work)
            if outcome is not None and not work.given_up:
                self._done.append(outcome)
            self._start_waiting()
            self._idle.notify_all()
        if outcome is not None:
            log.info(
                "action ended",
                action=work.action.id,
                kind=work.action.kind,
                model=work.action.model,
                step=work.step,
                phase=outcome.phase,
                reason=outcome.reason,
                given_up=work.given_up,
            )

    def _outcome(self, work: _Work) -> Outcome | None:
        """The step's outcome; None when there is nothing to tell: the daemon stops and leaves the
        step for its next start, or the core itself has taken the action back.

        Whatever a handler raises must reach a person as an outcome and not end the thread.
        """
        try:
            return self._call(work)
        except Interrupted:
            return None
        except Withdrawn as withdrawn:
            log.info(
                "action withdrawn", action=work.action.id, step=work.step, reason=str(withdrawn)
            )
            return None
        except Exception as error:
            log.exception("handler failed", action=work.action.id, step=work.step)
            return self._ended(work, Phase.ERROR, f"{type(error).__name__}: {error}")

    def _call(self, work: _Work) -> Outcome:
        handler = self.handlers.get(work.action.kind)
        if handler is None:
            return self._ended(work, Phase.ERROR, f"no handler is named {work.action.kind}")
        if work.step == "preflight":
            return handler.preflight(work.action)
        work.token = self._claim(work)
        if work.token is None:
            return self._ended(work, Phase.INCONCLUSIVE, "another instance holds this model")
        return handler.run(work.action) if work.step == "run" else handler.undo(work.action)

    def _claim(self, work: _Work) -> int | None:
        """Waits for the lease a while: a crashed instance's lease has to expire first, and a
        database may come back."""
        until = self.monotonic() + self.claim_wait_s
        while True:
            last = self.monotonic() >= until
            try:
                token = self.claims.claim(work.action.id, work.step, work.lease)
                if token is not None or last:
                    return token
            except DatabaseDown as error:
                if last:
                    raise
                log.warning(
                    "database away; claiming again", action=work.action.id, reason=str(error)
                )
            if self._closing.wait(self.claim_retry_s):
                raise Interrupted("stopped while waiting for the lease")

    def _release(self, lease: str, token: int) -> None:
        try:
            self.claims.release(lease, token)
        except Exception:
            log.exception("lease not released", lease=lease)

    def _give_up_overdue(self) -> None:
        """Answers for what takes too long, and for what waits behind it. Needs the lock."""
        now = self.monotonic()
        for work in self._running:
            if not work.given_up and now >= work.until:
                work.given_up = True
                self._answer(work, "not done within its time limit; it may still happen")
        stuck = {work.lease for work in self._running if work.given_up}
        for work in list(self._waiting):
            if work.lease in stuck:
                why = "an earlier action on this model has not ended"
            elif now >= work.until:
                why = "too many other actions were under way for too long"
            else:
                continue
            self._waiting.remove(work)
            self._answer(work, f"not begun: {why}")

    def _answer(self, work: _Work, reason: str) -> None:
        self._done.append(self._ended(work, Phase.INCONCLUSIVE, reason))
        log.error("action given up", action=work.action.id, step=work.step, reason=reason)

    def _ended(self, work: _Work, phase: Phase, reason: str) -> Outcome:
        action = work.action
        return Outcome(action.id, action.model, phase, reason, self.clock(), work.step)
