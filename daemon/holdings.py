"""What this instance watches: the partitions it reads, and the models at home in them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence, Set
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial

import structlog

from watchkeeper.daemon.core.begun_anew import begun_anew
from watchkeeper.daemon.core.spread import heed_shares
from watchkeeper.daemon.core.state import State, whole
from watchkeeper.daemon.core.step import Step
from watchkeeper.daemon.patience import Patience
from watchkeeper.daemon.spreading import Spreading
from watchkeeper.daemon.storage.store import Store
from watchkeeper.daemon.storage.values import Damaged, Restored, SetAside
from watchkeeper.daemon.transport.ports import Partition, Source
from watchkeeper.daemon.transport.records import Records
from watchkeeper.detectors.roster import Remembered
from watchkeeper.detectors.types import BoolArray, Finding, StateError

log = structlog.get_logger()


@dataclass
class Holdings:
    """Takes partitions up where the database says, with the models at home in them, and lets go.

    `epochs` are those under which the partitions are owned, `homes` the partition number that each
    model's state belongs to. `clock` is the wall clock. `moves` rises when partitions are about to
    be taken up or left, and once they are: it is odd while models of some that are owned are not
    held yet, or not any more. Other threads ask for it.
    """

    source: Source
    store: Store
    state: State
    patience: Patience
    clock: Callable[[], float]
    spreading: Spreading | None = None
    epochs: dict[Partition, int] = field(default_factory=dict)
    homes: dict[str, int] = field(default_factory=dict)
    moves: int = 0
    _findings: list[Finding] = field(default_factory=list)
    _anew: set[str] = field(default_factory=set)
    _settled: Remembered[str] = field(default_factory=Remembered)

    def take_up(self, partitions: Sequence[Partition]) -> list[str]:
        """Owns the partitions and reads on where they were left; gives the models that came."""
        with self._moving():
            return self._take_up(partitions)

    def _take_up(self, partitions: Sequence[Partition]) -> list[str]:
        at, state = self.clock(), self.state
        restored = self.patience.insist(lambda: self.store.restore(partitions, at))
        self.epochs.update(restored.epochs)
        for aside in restored.set_aside:
            self._set_aside(aside)
        found = [m for m in (*restored.states, *restored.lost) if m not in state.models]
        new = [m for m in found if whole(m) == m or self._spreads(whole(m))]
        for model in new:
            self._load(model, restored, at)
            self.homes[model] = restored.homes[model]
        self._recall(new, at)
        for profile in restored.profiles:
            if profile.source == "imported":
                state.model(profile.model).refer(profile, profile.version)
        for partition in partitions:
            topic = restored.topics.get(partition)
            self.source.start(partition, restored.offsets.get(partition), topic)
        # Whoever had them before may have ended before Kafka was told how far they were read.
        self.source.commit({p: n for p in partitions if (n := restored.offsets.get(p)) is not None})
        return new

    def tell_anew(self, step: Step) -> None:
        """Adds to a step what could not be taken up since the last one, and was begun anew. It is
        stored as it is now, also where nothing comes of it: else it would be told at each start."""
        step.findings += self._findings
        for model in self._anew & self.state.models.keys():
            step.dirty.add(model)
        self._findings, self._anew = [], set()

    def leave(self, gone: Set[Partition]) -> None:
        """Forgets partitions that are another's now, and the models at home in no other."""
        with self._moving():
            for partition in gone:
                self.epochs.pop(partition, None)
            numbers = {partition.number for partition in self.epochs}
            away = [model for model, home in self.homes.items() if home not in numbers]
            self.state.leave(away)
            self._settled.forget()
            for model in away:
                del self.homes[model]

    def leave_all(self) -> set[Partition]:
        """Forgets everything; gives the partitions that were owned."""
        with self._moving():
            self.state.leave(self.state.models)
            self.homes.clear()
            self._settled.forget()
            partitions = set(self.epochs)
            self.epochs.clear()
            return partitions

    def are_settled(self, models: Sequence[str]) -> BoolArray:
        """Which models are watched, and at home in a partition."""
        known, homes = self.state.models, self.homes
        at_home = self._settled.of(models, lambda m: 0 if m in homes and m in known else -1)
        return at_home >= 0

    def settle(self, records: Records, first: Mapping[str, int]) -> None:
        """A model is at home where its `first` record lay."""
        for model, place in first.items():
            if model not in self.homes:
                self.homes[model] = records[place].partition

    def strangers(self, models: Iterable[str]) -> set[str]:
        """Those of the models that have no home here."""
        return {each for each in models if each not in self.homes}

    @contextmanager
    def _moving(self) -> Iterator[None]:
        self.moves += 1
        try:
            yield
        finally:
            self.moves += 1

    def _spreads(self, model: str) -> bool:
        return self.spreading is not None and self.spreading.spread(model)

    def _load(self, model: str, restored: Restored, at: float) -> None:
        """Takes up a stored state; where it was lost, what is on record of the model."""
        state = self.state
        if model in restored.states:
            try:
                refused = state.load(model, restored.states[model])
                for each in refused:
                    log.warning("detector begins anew", model=model, reason=each)
                if refused:  # of a model with many detectors one finding is enough
                    self._findings.append(begun_anew(model, "detectors", refused[0], at))
                    self._anew.add(model)
            except StateError as error:
                aside = SetAside(model, str(error), at)
                self._set_aside(aside)
                self.patience.insist(lambda: self.store.set_aside(aside))
            else:
                if self._spreads(model):
                    heed_shares(state, model)
                return
        state.seed(model, restored.incidents, restored.actions)
        learned = {p.version: p for p in restored.profiles if p.model == model}
        for version, profile in learned.items():
            state.models[model].refer(profile, version)
        log.warning("began anew from the record", model=model)

    def _set_aside(self, aside: SetAside) -> None:
        part = aside.part or "state"
        log.error("stored state set aside", model=aside.model, part=part, reason=aside.reason)
        self._findings.append(aside.finding)

    def _recall(self, models: Sequence[str], at: float) -> None:
        """Takes the kept events of models in again that were just taken up. What of them cannot
        be read is no reason to stand still: a few labels are not joined."""
        state, insist = self.state, self.patience.insist
        if models:
            numbers = {self.homes[model] for model in models}
            joins = insist(lambda: self.store.joins(numbers, at))
            state.rejoin(joins.blocks, set(models))
            if joins.damaged is not None:
                self._put_away(joins.damaged)
        for model in models:
            if state.models[model].to_learn:
                state.relearn(model, insist(partial(self.store.captured, model)))

    def _put_away(self, damaged: Damaged) -> None:
        rows, reason = list(damaged.rows), damaged.reason
        log.error("kept events put away", rows=rows, reason=reason)
        self._findings += [damaged.finding] if damaged.finding is not None else []
