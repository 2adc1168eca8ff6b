"""poll → decode → step → commit → publish; nothing else."""

from __future__ import annotations

import math
import threading
from collections.abc import Callable, Mapping, Sequence, Set
from dataclasses import dataclass, field

import structlog

from watchkeeper.daemon.admission import admit
from watchkeeper.daemon.asking import Asking
from watchkeeper.daemon.auditing import audited
from watchkeeper.daemon.backlog import Backlog
from watchkeeper.daemon.checkpointing import Checkpoints
from watchkeeper.daemon.core.pipeline import Pipeline
from watchkeeper.daemon.core.step import Batch, Step
from watchkeeper.daemon.handing import Actor, Handing, under_way
from watchkeeper.daemon.holdings import Holdings
from watchkeeper.daemon.kept import Examples
from watchkeeper.daemon.lull import Lull
from watchkeeper.daemon.patience import Patience
from watchkeeper.daemon.pending import Pending
from watchkeeper.daemon.reporter import Reporter
from watchkeeper.daemon.spreading import Arrived, Spreading
from watchkeeper.daemon.storage.store import Store
from watchkeeper.daemon.storage.values import Checkpoint, Fenced
from watchkeeper.daemon.transport.codec import Decoded, decode
from watchkeeper.daemon.transport.ports import Partition, Polled, Source
from watchkeeper.daemon.transport.records import Records
from watchkeeper.daemon.trouble import Trouble
from watchkeeper.detectors.types import Command, EventKind, Tick

log = structlog.get_logger()

TICK_S = 1.0
AGAIN_S = 1.0  # how long a poll may wait to hear which partitions are left
SOON_S = 0.02  # before the end of a window: to gather a checkpoint takes less
QUIET_S = 300.0  # how long taking up anew waits for actions to end


@dataclass
class Loop:
    """One thread owns it: the source, the state and the checkpoints.

    `steady` is a clock that nobody sets, for intervals and `turned_at`; by default it is `clock`.
    `kinds` says what the events of a topic are; `clock` is the wall clock in seconds since the
    epoch. A checkpoint is due after `checkpoint_s` seconds or `checkpoint_events` events, later
    where checkpoints would take too much of the time, and at once when an incident or action
    changed. With `beside` a thread of its own writes those that are not urgent; where there is a
    `lull`, only while the loop waits, and none is begun right before a window ends. Events of more
    than `models_limit` models are refused.
    `spreading` is there where events of some model lie in several partitions.
    Without `ticks` only events make time pass. While the database is away nothing is read on, for
    at most `patience_s` seconds.
    """

    source: Source
    kinds: Mapping[str, EventKind]
    pipeline: Pipeline
    store: Store
    actor: Actor
    reporter: Reporter
    clock: Callable[[], float]
    checkpoint_s: float = 1.0
    checkpoint_events: int = 5_000
    ticks: bool = True
    models_limit: int = 2_000
    patience_s: float = math.inf
    beside: bool = False
    stopping: threading.Event = field(default_factory=threading.Event)
    turned_at: float = 0.0
    _pending: Pending = field(default_factory=Pending)
    _between: Callable[[], None] | None = None
    _quiet_by: float = float("inf")
    steady: Callable[[], float] | None = None
    spreading: Spreading | None = None
    lull: Lull | None = None
    _examples: Examples = field(default_factory=Examples)
    _ticked_at: float = float("-inf")
    _backlog: Backlog = field(default_factory=Backlog)
    _waiting: Mapping[Partition, int] = field(default_factory=dict)
    _trouble: Trouble = field(init=False)
    _patience: Patience = field(init=False)
    _checkpoints: Checkpoints = field(init=False)
    _holdings: Holdings = field(init=False)
    _asking: Asking = field(init=False)
    _handing: Handing = field(init=False)

    def __post_init__(self) -> None:
        told = self.reporter.database_away
        self._patience = Patience(self.stopping, self._rest, told, self.patience_s)
        self._trouble = Trouble(self.source, self.reporter.source_away, lambda: self._steady())
        self._steady = self.steady or self.clock
        self._checkpoints = Checkpoints(
            self._write,
            self._patience,
            lambda: self._steady(),
            self.beside,
            lull=self.lull or Lull(),
        )
        self._holdings = Holdings(
            self.source, self.store, self.pipeline.state, self._patience, self.clock, self.spreading
        )
        self._asking = Asking(self._holdings, lambda: self._steady())
        self._handing = Handing(self.actor)

    @property
    def idle_s(self) -> float | None:
        """Seconds since the last turn ended; None before the first."""
        return self._steady() - self.turned_at if self.turned_at else None

    @property
    def trouble(self) -> str:
        """What keeps it from reading on; "" when nothing does. From any thread."""
        return self._patience.trouble or self._trouble.text

    @property
    def waiting(self) -> Mapping[Partition, int]:
        """Records known to wait since the newest poll, by partition that is read."""
        return {place: n for place, n in self._waiting.items() if place in self._holdings.epochs}

    @property
    def owns(self) -> list[Partition]:
        """The partitions that are read."""
        return list(self._holdings.epochs)

    @property
    def moves(self) -> int:
        """Rises while it begins and ends to take partitions up or leave them: between two equal
        even ones `owns` and the models of the state went together. From any thread."""
        return self._holdings.moves

    def run(self) -> None:
        """Turns until `stopping` is set; then makes the last turn true and leaves.

        Nothing is committed behind a turn that failed: its state took in a part of its records.
        """
        while not self.stopping.is_set():
            self.turn(timeout=0.2)
        self.checkpoint()

    def turn(self, timeout: float) -> Step:
        """One turn; returns what it brought about."""
        if not self._hear_written():
            self._start_again()
        if self._between is not None and self._is_quiet():
            self._commit()  # what another has taken over by now is read again by whom it belongs to
            self._start_again()
        with self.reporter.stage("poll"):
            polled = self.source.poll(self._checkpoints.at_most(timeout))
        again = self._own(polled)
        self.pipeline.state.left.clear()
        records = polled.records.of_places(self._holdings.epochs.keys() - again)
        now = self.clock()
        events = records if self.spreading is None else self.spreading.without_partials(records)
        with self.reporter.stage("decode"):
            decoded = decode(events, self.kinds, now=now, blocks=True)
        arrived = self._spread(records, events, decoded)
        known = self.pipeline.state.models.keys()
        first = admit(events, decoded, known, self.models_limit, self._holdings.are_settled)
        decoded.dead.extend(self._trouble.look(now))
        commands, answers = self._commands(decoded)
        batch = Batch(
            [*decoded.blocks, *decoded.frames],
            commands,
            self.actor.outcomes(),
            self._tick(now),
            blind_since=self._blind(records, now),
            now=now,
            profiles=self._asking.references(first.keys() | arrived.homes.keys(), commands),
            merges=arrived.merges,
        )
        self._holdings.settle(events, first)
        for model, number in arrived.homes.items():
            self._holdings.homes.setdefault(model, number)
        with self.reporter.stage("step"):
            step = self.pipeline.step(batch)
        self._holdings.tell_anew(step)
        self._pending.audit += audited(step, commands, now)
        step.answers.update(answers)
        self._pending.add_records(records, polled.topics)
        self._remember(records, decoded, step, now)
        due = self._checkpoints.due(self._pending, self.checkpoint_s, self.checkpoint_events)
        if due and not self._checkpoint_beside(step):
            self.checkpoint()
        self._handing.give_again()
        self.reporter.observe(step, records, decoded)
        self.turned_at = self._steady()
        return step

    def _spread(self, records: Records, events: Records, decoded: Decoded) -> Arrived:
        """Events of spread models go to their shares; gives what came of shares to be merged."""
        if self.spreading is None:
            return Arrived()
        self.spreading.split(events, decoded)
        arrived = self.spreading.arrived(records, self.pipeline.state)
        decoded.dead.extend(arrived.dead)
        return arrived

    def take_up_anew(self, between: Callable[[], None]) -> None:
        """Has a turn make everything true, forget it, do this, and take it up again: the first at
        which no action is under way, or the first after five minutes. From any thread."""
        self._quiet_by = self._steady() + QUIET_S
        self._between = between

    def _is_quiet(self) -> bool:
        models = self.pipeline.state.models.values()
        return self._steady() >= self._quiet_by or not any(under_way(m.actions) for m in models)

    def checkpoint(self) -> None:
        """Makes everything since the last one true, then acts and publishes."""
        if not self._commit() and not self.stopping.is_set():
            self._start_again()

    def _commit(self) -> bool:
        """False when another instance has taken over: nothing that is pending became true."""
        if not self._hear_written(now=True):
            return False
        pending = self._pending
        if pending.empty:
            self._checkpoints.rested()
            return True
        checkpoint = self._build(pending)
        try:
            self._checkpoints.write(checkpoint)
        except Fenced as fenced:
            return self._fenced(fenced)
        self._pending = Pending()
        self._became_true(pending)
        return True

    def _checkpoint_beside(self, step: Step) -> bool:
        """Has a checkpoint written while it reads on, now or soon; False where it must be written
        at once."""
        pending = self._pending
        if pending.empty or not self._checkpoints.may_wait(pending):
            return False
        if self._is_inopportune(step) and self._checkpoints.may_yield():
            return True
        self._checkpoints.write_beside(pending, self._build(pending))
        self._pending = Pending()
        return True

    def _is_inopportune(self, step: Step) -> bool:
        """Whether a finding would have to wait, where latency counts: one of this turn, or of a
        window that is about to end."""
        if self.lull is None:
            return False
        return bool(step.findings) or self.pipeline.state.arrays.clocks.next_due_s() < SOON_S

    def _hear_written(self, now: bool = False) -> bool:
        """Takes note of what was written beside; False when another instance has taken over."""
        try:
            written = self._checkpoints.written(now)
        except Fenced as fenced:
            return self._fenced(fenced)
        if written is not None:
            self._became_true(written)
        return True

    def _build(self, pending: Pending) -> Checkpoint:
        """Everything that is pending, cut off from what the next turns change."""
        self._checkpoints.begin()
        state, at = self.pipeline.state, self.clock()
        with self.reporter.stage("dump"):
            state.arrays.ledger.tables.trim()
            if self.spreading is not None:
                pending.outbox += self.spreading.rows(
                    state, pending.dirty, self._holdings.epochs, at
                )
            return pending.checkpoint(state, self._holdings.homes, dict(self._holdings.epochs), at)

    def _write(self, checkpoint: Checkpoint) -> None:
        with self.reporter.stage("commit"):
            self.store.commit(checkpoint)

    def _fenced(self, fenced: Fenced) -> bool:
        log.warning("another instance took over; reading again", reason=str(fenced))
        return False

    def _became_true(self, pending: Pending) -> None:
        """Tells whoever waits for it."""
        self.source.commit(pending.offsets)
        if pending.outbox or pending.letters:
            self.reporter.committed()
        self._handing.give(pending.actions.values())

    def close(self, timeout: float) -> None:
        """Waits for a checkpoint that is being written; makes nothing true. Idempotent."""
        self._checkpoints.close(timeout)

    def _rest(self, seconds: float) -> None:
        """Lets time pass while nothing can be made true; that is no standstill."""
        with self.reporter.stage("poll"):
            self.source.idle(seconds)
        self.turned_at = self._steady()

    def _own(self, polled: Polled) -> set[Partition]:
        """Takes up newly assigned partitions where the database says, and drops lost ones.

        Gives those that begin anew: what this poll brought of them will be read once more.
        """
        gone, again = {*polled.revoked, *polled.lost}, set(polled.assigned)
        if gone or again:
            self._backlog = Backlog()
            self.reporter.rebalanced(self._steady())
        if gone & self._holdings.epochs.keys():
            committed = self._commit()
            self._leave(gone)
            if not committed:
                # What is not ours any more must stay with whom it went to.
                again |= self._holdings.epochs.keys()
                self._start_again()
        if polled.assigned:
            # What is being written has the epochs of before: it must be true before they change.
            if not self._hear_written(now=True):
                again |= self._holdings.epochs.keys()
                self._start_again()
            self._take_up(polled.assigned)
        return again

    def _take_up(self, partitions: Sequence[Partition]) -> None:
        models = self.pipeline.state.models
        for model in self._holdings.take_up(partitions):
            self._handing.give(models[model].actions.values())

    def _leave(self, gone: Set[Partition]) -> None:
        self.reporter.released(gone)
        self._holdings.leave(gone)
        self._handing.keep_only(self.pipeline.state.models)

    def _start_again(self) -> None:
        """Forgets everything not committed and reads on from the last checkpoint. What the
        executor ended meanwhile it is asked for again, and looks first."""
        self._pending = Pending()
        partitions = self._holdings.leave_all()
        self._handing.keep_only(())
        between, self._between = self._between, None
        if between is not None:
            between()
        # Who took over may have been given them: what is not ours any more is told by a poll. The
        # records that it brings will be read once more.
        polled = self.source.poll(AGAIN_S)
        # What was taken away and has been given back is told as both.
        left = (partitions - {*polled.revoked, *polled.lost}) | set(polled.assigned)
        if partitions - left:
            self.reporter.released(partitions - left)
        if left:
            self._take_up(sorted(left))
        self.pipeline.state.left.clear()

    def _commands(self, decoded: Decoded) -> tuple[list[Command], dict[str, str]]:
        """People's commands for the core; applications' answers go to who asked."""
        found = [*decoded.commands, *self._asking.commands(self._pending.answers)]
        answers = {c.id: self.reporter.answered(c) for c in found if c.command == "outcome"}
        return [c for c in found if c.command != "outcome"], answers

    def _tick(self, now: float) -> Tick | None:
        """Time may only pass while everything known has been read, and more could be known."""
        if not self.ticks or self._steady() - self._ticked_at < TICK_S:
            return None
        if self.trouble or not self.source.caught_up():
            return None
        self._ticked_at = self._steady()
        return Tick(now)

    def _blind(self, records: Records, now: float) -> float | None:
        self._waiting = self.source.lag()
        return self._backlog.stale_since(len(records), sum(self._waiting.values()), now)

    def _remember(self, records: Records, decoded: Decoded, step: Step, now: float) -> None:
        self._pending.add_refused(decoded.dead, now)
        self._pending.add_step(step)
        share = self._examples.share(sum(map(len, step.captured)), self._steady())
        with self.reporter.stage("keep"), self._checkpoints.gathering():
            self._pending.keeping.add(step.captured, self._holdings.homes, step.learning, share)
        self._pending.outbox += self.reporter.rows(step, decoded, now)
