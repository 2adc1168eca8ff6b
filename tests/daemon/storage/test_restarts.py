"""Whatever owners commit, repeat, crash with and take over: the store tells what a dict would."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from tests.daemon.storage.examples import T0, finding, letter
from tests.examples import examples
from watchkeeper.daemon.storage import migrate
from watchkeeper.daemon.storage.store import Store
from watchkeeper.daemon.storage.values import Checkpoint, Fenced
from watchkeeper.daemon.transport.ports import Partition

PARTITIONS = [Partition(topic, number) for topic in ("predictions", "labels") for number in (0, 1)]


@dataclass
class Owner:
    """One instance, with what it believes to own."""

    epochs: dict[Partition, int]
    offsets: dict[Partition, int]


class Restarts(RuleBasedStateMachine):
    """Two instances share four partitions; the newest owner of each is the right one."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = tempfile.TemporaryDirectory()
        url = f"sqlite:///{Path(self.folder.name)}/w.db"
        migrate.upgrade(url)
        self.store = Store(url)
        self.owners = [Owner({}, {}), Owner({}, {})]
        self.right: dict[Partition, int] = {}
        self.offsets: dict[Partition, int] = {}
        self.messages: set[str] = set()
        self.states: dict[str, int] = {}
        self.last: Checkpoint | None = None

    @rule(who=st.integers(0, 1), which=st.sets(st.sampled_from(PARTITIONS), min_size=1))
    def take(self, who: int, which: set[Partition]) -> None:
        back = self.store.restore(which, T0)
        assert back.offsets == {each: self.offsets.get(each) for each in which}
        numbers = {each.number for each in which}
        expected = {m: {"n": n} for m, n in self.states.items() if int(m[-1]) in numbers}
        assert back.states == expected
        owner = self.owners[who]
        owner.epochs.update(back.epochs)
        for each in which:
            self.right[each] = back.epochs[each]
            owner.offsets[each] = self.offsets.get(each) or 0

    @precondition(lambda self: any(owner.epochs for owner in self.owners))
    @rule(who=st.integers(0, 1), steps=st.integers(1, 5), message=st.integers(0, 20))
    def commit(self, who: int, steps: int, message: int) -> None:
        owner = self.owners[who]
        if not owner.epochs:
            return
        offsets = {each: owner.offsets[each] + steps for each in owner.epochs}
        models = {f"model-{each.number}": each.number for each in owner.epochs}
        checkpoint = Checkpoint(
            at=T0,
            epochs=dict(owner.epochs),
            offsets=offsets,
            states={model: (n, {"n": sum(offsets.values())}) for model, n in models.items()},
            findings=[finding(T0 + message)],
            outbox=[letter(f"m{message}")],
        )
        rightful = all(self.right[each] == epoch for each, epoch in owner.epochs.items())
        if not rightful:
            with pytest.raises(Fenced):
                self.store.commit(checkpoint)
            owner.epochs.clear()
            return
        if self._stale_state(owner):
            with pytest.raises(Fenced):
                self.store.commit(checkpoint)
            return
        self.store.commit(checkpoint)
        owner.offsets.update(offsets)
        self.offsets.update(offsets)
        self.messages.add(f"m{message}")
        self.states.update({model: sum(offsets.values()) for model in models})
        self.last = checkpoint

    def _stale_state(self, owner: Owner) -> bool:
        """Another instance took a partition of the same number since, and so its states."""
        for number in {each.number for each in owner.epochs}:
            newest = max(e for p, e in self.right.items() if p.number == number)
            mine = max(e for p, e in owner.epochs.items() if p.number == number)
            if f"model-{number}" in self.states and mine < newest:
                return True
        return False

    @precondition(lambda self: self.last is not None)
    @rule()
    def repeat_the_last(self) -> None:
        assert self.last is not None
        current = all(self.right[each] == epoch for each, epoch in self.last.epochs.items())
        whole = Owner(dict(self.last.epochs), {})
        if current and not self._stale_state(whole):
            self.store.commit(self.last)

    @invariant()
    def offsets_and_messages_are_those_committed(self) -> None:
        stored = {p: o for p, o in self.store.records.offsets().items() if o is not None}
        assert stored == self.offsets
        assert self.store.letters.pending("sentry") == len(self.messages)
        assert len(self.store.records.findings()) == len(self.messages)

    def teardown(self) -> None:
        self.store.close()
        self.folder.cleanup()


Restarts.TestCase.settings = settings(
    max_examples=examples(20), stateful_step_count=20, deadline=None
)
TestRestarts = Restarts.TestCase
