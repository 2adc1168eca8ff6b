"""What the loop tells of each turn: rows for the outbox, metrics, and one log line a decision."""

from __future__ import annotations

import math
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

import numpy as np
import structlog

from watchkeeper.daemon.core.model_set import ModelSet
from watchkeeper.daemon.core.state import State
from watchkeeper.daemon.core.step import Step
from watchkeeper.daemon.reporting.announce import Audience, announce
from watchkeeper.daemon.reporting.metrics import Metrics, Stage
from watchkeeper.daemon.reporting.rebalances import Rebalances
from watchkeeper.daemon.reporting.unread import UnreadPages
from watchkeeper.daemon.storage.values import OutboxRow
from watchkeeper.daemon.transport.codec import DeadLetter, Decoded
from watchkeeper.daemon.transport.ports import Partition
from watchkeeper.daemon.transport.records import Records
from watchkeeper.detectors.types import Command
from watchkeeper.handlers.types import Action

log = structlog.get_logger()

_BOUNDED: frozenset[Stage] = frozenset({"poll", "decode", "step", "keep", "dump"})  # not commit


@dataclass
class StepReporter:
    """The loop's Reporter. `wake` tells the outbox, `answer` the commander of an answer; `alarm`
    hears how long the database has been away, and why; `blind` how long nothing could be read, and
    `unrest` how long partitions have come and gone far too often."""

    state: State
    audience: Audience
    metrics: Metrics
    lag: Callable[[], Mapping[Partition, int]]
    wake: Callable[[], None]
    answer: Callable[[Command], str]
    clock: Callable[[], float] = time.time
    alarm: Callable[[float, str], None] | None = None
    blind: Callable[[float, str], None] | None = None
    unrest: Callable[[float, str], None] | None = None
    _rebalances: Rebalances = field(default_factory=Rebalances)
    _unread: UnreadPages = field(default_factory=UnreadPages)
    _busy_since: float | None = None
    _told: ModelSet = field(default_factory=ModelSet)
    _left: bool = False
    _short: int = 0

    def rows(self, step: Step, decoded: Decoded, at: float) -> list[OutboxRow]:
        """The messages that this step's changes are worth."""
        changed = step.incident_changes or step.action_changes or decoded.dead
        if not (changed or self._unread.due(at)):
            return []
        models = {incident.model for _, incident in step.incident_changes}
        known: dict[str, Action] = {}
        for model in models:
            known.update(self.state.models[model].actions)
        changes = {model: self.state.models[model].changes for model in models}
        rows = announce(step, self.audience, at, known, changes, decoded.dead)
        return rows + (self._unread.rows(decoded.dead, at) if self.audience.sentry else [])

    def observe(self, step: Step, records: Records, decoded: Decoded) -> None:
        """Counts what happened; logs what was decided."""
        self.metrics.polled(_by_topic(records), self.lag())
        self._progress(records)
        if decoded.dead:
            self._refused(decoded.dead)
        if self._left:
            self.metrics.keep_only(self.state.models)
            self._left = False
        for model, version in step.live.items():
            self.metrics.live(model, version)
        self.metrics.stepped(step)
        for failure in step.failures:
            log.error("detector failed", said=failure)
        self._introduce(step.dirty)
        if self.state.arrays.joins.short != self._short:
            self._tell_short(self.state.arrays.joins.short)
        for _, incident in step.incident_changes:
            log.warning(
                "incident",
                id=incident.id,
                model=incident.model,
                state=incident.state,
                severity=incident.severity,
                fault=incident.fault.kind,
                said=incident.timeline[-1].text if incident.timeline else "",
            )
        for action in step.action_changes:
            log.info("action", id=action.id, model=action.model, kind=action.kind,
                     state=action.state, reason=action.reason)  # fmt: skip

    def _refused(self, dead: Sequence[DeadLetter]) -> None:
        for (topic, reason), n in Counter((d.record.topic, d.reason) for d in dead).items():
            self.metrics.refused(topic, reason, n)
            log.warning("records refused", topic=topic, reason=reason, n=n)

    def _tell_short(self, models: int) -> None:
        """Says that memory for label joins is short, when it becomes so and no more."""
        if bool(models) != bool(self._short):
            say = log.warning if models else log.info
            say("memory for label joins is short" if models else "label joins have room again",
                models=models, setting="daemon.join_memory_mb")  # fmt: skip
        self._short = models
        self.metrics.joins_short(models)

    def _introduce(self, models: ModelSet) -> None:
        """Shows the models that were not shown yet."""
        new = models - self._told
        self._told.update(models)
        for model in new:
            known = self.state.models.get(model)
            if known is None:  # given away meanwhile
                self._told.discard(model)
            elif known.share is None:
                self.metrics.live(model, known.live_version)
                self.metrics.open_incident(model, known.incident)

    def _progress(self, records: Records) -> None:
        oldest = self.state.arrays.clocks.oldest()
        if len(records) and math.isfinite(oldest):
            now = self.clock()
            lag_s = {topic: now - at for topic, at in _newest(records).items() if at > 0}
            self.metrics.progress(oldest, lag_s)

    @contextmanager
    def stage(self, name: Stage) -> Iterator[None]:
        """Measures one stage of a turn; a commit may be measured in another thread."""
        began = time.perf_counter()
        if name in _BOUNDED:
            self._busy_since = began
        try:
            yield
        finally:
            if name in _BOUNDED:
                self._busy_since = None
            self.metrics.spent(name, time.perf_counter() - began)

    def busy_since(self) -> float | None:
        """When the stage began that the loop is in; None outside of those that must end soon."""
        return self._busy_since

    def released(self, partitions: Iterable[Partition]) -> None:
        """Partitions that another instance owns now: what is shown of models that went with them
        goes with the next step, once it is known which come back."""
        self._told, self._left = ModelSet(), True
        self.metrics.released(partitions)

    def database_away(self, seconds: float, reason: str) -> None:
        """How long, and why; 0.0: it is back."""
        self.metrics.database_away(seconds)
        if self.alarm is not None:
            self.alarm(seconds, reason)

    def source_away(self, seconds: float, reason: str) -> None:
        """How long, and why; 0.0: it can be read again."""
        self.metrics.source_away(seconds)
        if self.blind is not None:
            self.blind(seconds, reason)

    def rebalanced(self, at: float) -> None:
        """Partitions came or went, at a steady clock's time."""
        if self._rebalances.note(at):
            self.metrics.rebalanced()
        if self.unrest is not None:
            self.unrest(self._rebalances.unrest_s(at), self._rebalances.reason())

    def answered(self, command: Command) -> str:
        """An application's answer to an order."""
        return self.answer(command)

    def committed(self) -> None:
        """New messages are waiting in the outbox."""
        self.wake()


def _by_topic(records: Records) -> Counter[str]:
    counts: Counter[str] = Counter()
    for place, n in records.counts().items():
        counts[place.topic] += n
    return counts


def _newest(records: Records) -> dict[str, float]:
    """The newest time of a record, by topic."""
    newest = np.full(len(records.places), -np.inf)
    np.maximum.at(newest, records.place, records.at)
    found: dict[str, float] = {}
    for place, at in zip(records.places, newest.tolist(), strict=True):
        found[place.topic] = max(at, found.get(place.topic, at))
    return found
