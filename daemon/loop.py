"""poll → decode → step → commit → publish; nothing else."""

from __future__ import annotations

import math
import threading
from collections.abc import Callable, Mapping, Sequence, Set
from dataclasses import dataclass, field
from typing import NamedTuple

from watchkeeper.daemon.admission import admit
from watchkeeper.daemon.asking import Asking
from watchkeeper.daemon.auditing import audited
from watchkeeper.daemon.backlog import Backlog
from watchkeeper.daemon.committing import Committing
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
from watchkeeper.daemon.transport.codec import Decoded, decode
from watchkeeper.daemon.transport.ports import Partition, Polled, Source
from watchkeeper.daemon.transport.records import Records
from watchkeeper.daemon.trouble import Trouble
from watchkeeper.detectors.types import Command, EventKind, Tick

TICK_S = 1.0
AGAIN_S = 1.0  # how long a poll may wait to hear which partitions are left
QUIET_S = 300.0  # how long taking up anew waits for actions to end


class Read(NamedTuple):
    """What one poll brought: `events` are its records but for those of shares, `first` the place of
    each model's first event."""

    records: Records
    events: Records
    decoded: Decoded
    first: dict[str, int]
    arrived: Arrived


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
    _holdings: Holdings = field(init=False)
    _asking: Asking = field(init=False)
    _handing: Handing = field(init=False)
    _committing: Committing = field(init=False)

    def __post_init__(self) -> None:
        told = self.reporter.database_away
        self._patience = Patience(self.stopping, self._rest, told, self.patience_s)
        self._trouble = Trouble(self.source, self.reporter.source_away, lambda: self._steady())
        self._steady = self.steady or self.clock
        self._holdings = Holdings(
            self.source, self.store, self.pipeline.state, self._patience, self.clock, self.spreading
        )
        self._asking = Asking(self._holdings, lambda: self._steady())
        self._handing = Handing(self.actor)
        self._committing = Committing(
            self._holdings,
            self._handing,
            self.reporter,
            lambda: self._steady(),
            self.beside,
            self.lull,
        )

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
        self._hear()
        records, topics = self._poll(timeout)
        now = self.clock()
        read = self._decode(records, now)
        commands, answers = self._commands(read.decoded)
        step = self._step(read, commands, now)
        pending = self._committing.pending
        pending.audit += audited(step, commands, now)
        step.answers.update(answers)
        pending.add_records(records, topics)
        self._remember(pending, read.decoded, step, now)
        self._go_on(self._committing.commit_if_due(step, self.checkpoint_s, self.checkpoint_events))
        self._handing.give_again()
        self.reporter.observe(step, records, read.decoded)
        self.turned_at = self._steady()
        return step

    def checkpoint(self) -> None:
        """Makes everything since the last one true, then acts and publishes."""
        self._go_on(self._committing.commit())

    def close(self, timeout: float) -> None:
        """Waits for a checkpoint that is being written; makes nothing true. Idempotent."""
        self._committing.close(timeout)

    def take_up_anew(self, between: Callable[[], None]) -> None:
        """Has a turn make everything true, forget it, do this, and take it up again: the first at
        which no action is under way, or the first after five minutes. From any thread."""
        self._quiet_by = self._steady() + QUIET_S
        self._between = between

    def _is_quiet(self) -> bool:
        models = self.pipeline.state.models.values()
        return self._steady() >= self._quiet_by or not any(under_way(m.actions) for m in models)

    def _hear(self) -> None:
        """Takes note of what was written since the last turn, and takes up anew if it is time."""
        if not self._committing.hear_written():
            self._start_again()
        if self._between is not None and self._is_quiet():
            self._committing.commit()  # what another has taken over is read again by that one
            self._start_again()

    def _poll(self, timeout: float) -> tuple[Records, Mapping[Partition, str]]:
        """The records of partitions that are owned, and the topics of these."""
        with self.reporter.stage("poll"):
            polled = self.source.poll(self._committing.at_most(timeout))
        again = self._own(polled)
        self.pipeline.state.left.clear()
        return polled.records.of_places(self._holdings.epochs.keys() - again), polled.topics

    def _decode(self, records: Records, now: float) -> Read:
        """What the records say; what is refused of them is dead in it."""
        events = records if self.spreading is None else self.spreading.without_partials(records)
        with self.reporter.stage("decode"):
            decoded = decode(events, self.kinds, now=now, blocks=True)
        arrived = self._spread(records, events, decoded)
        known = self.pipeline.state.models.keys()
        first = admit(events, decoded, known, self.models_limit, self._holdings.are_settled)
        decoded.dead.extend(self._trouble.look(now))
        return Read(records, events, decoded, first, arrived)

    def _spread(self, records: Records, events: Records, decoded: Decoded) -> Arrived:
        """Events of spread models go to their shares; gives what came of shares to be merged."""
        if self.spreading is None:
            return Arrived()
        self.spreading.split(events, decoded)
        arrived = self.spreading.arrived(records, self.pipeline.state)
        decoded.dead.extend(arrived.dead)
        return arrived

    def _step(self, read: Read, commands: list[Command], now: float) -> Step:
        """The core's one step, with all that it hangs on."""
        decoded, arrived = read.decoded, read.arrived
        batch = Batch(
            [*decoded.blocks, *decoded.frames],
            commands,
            self.actor.outcomes(),
            self._tick(now),
            blind_since=self._blind(read.records, now),
            now=now,
            profiles=self._asking.references(read.first.keys() | arrived.homes.keys(), commands),
            merges=arrived.merges,
        )
        self._holdings.settle(read.events, read.first)
        for model, number in arrived.homes.items():
            self._holdings.homes.setdefault(model, number)
        with self.reporter.stage("step"):
            step = self.pipeline.step(batch)
        self._holdings.tell_anew(step)
        return step

    def _go_on(self, committed: bool) -> None:
        """Starts again where another instance has taken over."""
        if not committed and not self.stopping.is_set():
            self._start_again()

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
            committed = self._committing.commit()
            self._leave(gone)
            if not committed:
                # What is not ours any more must stay with whom it went to.
                again |= self._holdings.epochs.keys()
                self._start_again()
        if polled.assigned:
            # What is being written has the epochs of before: it must be true before they change.
            if not self._committing.hear_written(now=True):
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
        self._committing.forget()
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
        found = [*decoded.commands, *self._asking.commands(self._committing.pending.answers)]
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

    def _remember(self, pending: Pending, decoded: Decoded, step: Step, now: float) -> None:
        pending.add_refused(decoded.dead, now)
        pending.add_step(step)
        share = self._examples.share(sum(map(len, step.captured)), self._steady())
        with self.reporter.stage("keep"), self._committing.gathering():
            pending.keeping.add(step.captured, self._holdings.homes, step.learning, share)
        pending.outbox += self.reporter.rows(step, decoded, now)
