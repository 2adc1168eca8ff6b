"""Offsets, state, findings and outbox against a simple model, while calls of the store fail."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test

from tests.daemon.storage.examples import P0, T0, finding, letter
from tests.faults.size import size
from watchkeeper.daemon.storage import migrate
from watchkeeper.daemon.storage.database import DatabaseDown
from watchkeeper.daemon.storage.store import Store
from watchkeeper.daemon.storage.values import Checkpoint, Fenced

STEPS, EXAMPLES = 25, size(20, 4_000)
_FAR = 10_000
_MEMORY = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None  # nobody's power is cut here
When = Literal["statement", "before commit", "after commit"]
_FAILURES = st.one_of(
    st.none(),
    st.tuples(st.just("statement"), st.integers(0, 12)),
    st.tuples(st.just("before commit"), st.just(0)),
    st.tuples(st.just("after commit"), st.just(0)),
)
_empty: list[Path] = []


class _Down(sa.exc.OperationalError):
    """The database goes away."""

    def __init__(self) -> None:
        super().__init__("a statement", None, Exception("the database went away"))


class Weather:
    """Makes one statement, or one commit, of the next transaction fail."""

    def __init__(self, store: Store) -> None:
        self._left: int | None = None
        self._when: When | None = None
        engine = store._db.engine
        # What reads is derived from the same engine and must not be struck twice.
        sa.event.listen(engine, "before_cursor_execute", self._statement)
        sa.event.listen(engine, "commit", self._commit)

    @contextmanager
    def bad(self, failure: tuple[When, int] | None) -> Iterator[None]:
        """So it is inside the block."""
        self._when, self._left = failure or (None, None)
        try:
            yield
        finally:
            self._when = self._left = None

    def _statement(self, *arguments: Any) -> None:
        if self._when != "statement" or self._left is None:
            return
        self._left -= 1
        if self._left < 0:
            raise _Down

    def _commit(self, connection: sa.Connection) -> None:
        if self._when == "after commit":
            connection.connection.driver_connection.execute("COMMIT").close()  # type: ignore[union-attr]
        if self._when in ("before commit", "after commit"):
            raise _Down


class Machine(RuleBasedStateMachine):
    """The store does what the model does, or nothing at all and says so.

    After a failure it may be that the last checkpoint is true although nobody was told: then the
    same one is made true again, as the loop does.
    """

    skips_offsets = False

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp(prefix="watchkeeper-model-", dir=_MEMORY))
        if not _empty:
            first = Path(tempfile.mkdtemp(prefix="watchkeeper-empty-")) / "w.db"
            migrate.upgrade(f"sqlite:///{first}")
            _empty.append(first)
        shutil.copy(_empty[0], self.folder / "w.db")
        self._open()
        self.offset: int | None = None
        self.findings: set[str] = set()
        self.waiting: list[str] = []
        self.sent: set[str] = set()
        self.epoch = self.store.restore([P0], T0).epochs[P0]
        self.old_epochs: list[int] = []
        self.number = 0

    def _open(self) -> None:
        self.store = Store(f"sqlite:///{self.folder}/w.db")
        self.weather = Weather(self.store)

    @rule(
        records=st.integers(1, 50), found=st.integers(0, 3), told=st.integers(0, 2), bad=_FAILURES
    )
    def commit(self, records: int, found: int, told: int, bad: tuple[When, int] | None) -> None:
        self.number += 1
        offset = (self.offset or 0) + records
        findings = [finding(T0 + self.number, f"f{n}") for n in range(found)]
        letters = [letter(f"l{self.number}.{n}") for n in range(told)]
        checkpoint = Checkpoint(
            at=T0,
            epochs={P0: self.epoch},
            offsets={} if self.skips_offsets else {P0: offset},
            states={"fraud": (0, {"offset": offset})},
            findings=findings,
            outbox=letters,
        )
        self._insist(checkpoint, bad)
        self.offset = offset
        self.findings |= {each.id for each in findings}
        self.waiting += [each.id for each in letters]

    def _insist(self, checkpoint: Checkpoint, bad: tuple[When, int] | None) -> None:
        try:
            with self.weather.bad(bad):
                self.store.commit(checkpoint)
        except DatabaseDown:
            self.store.commit(checkpoint)

    @rule(bad=_FAILURES)
    def restore(self, bad: tuple[When, int] | None) -> None:
        """A new owner takes over; the one before is fenced off even if the new one fails."""
        self.old_epochs.append(self.epoch)
        try:
            with self.weather.bad(bad):
                back = self.store.restore([P0], T0)
        except DatabaseDown:
            back = self.store.restore([P0], T0)
        assert back.epochs[P0] > self.epoch
        assert back.offsets[P0] == self.offset
        assert back.states == ({} if self.offset is None else {"fraud": {"offset": self.offset}})
        assert not back.set_aside
        self.epoch = back.epochs[P0]

    @rule()
    def crash(self) -> None:
        """The process ends; another opens the same file."""
        self.store.close()
        self._open()

    @rule(which=st.integers(0, 5), records=st.integers(1, 9))
    def zombie(self, which: int, records: int) -> None:
        """Who owned the partition before writes nothing any more."""
        if not self.old_epochs:
            return
        old = self.old_epochs[which % len(self.old_epochs)]
        late = Checkpoint(
            at=T0, epochs={P0: old}, offsets={P0: _FAR}, findings=[finding(T0 - records)]
        )
        try:
            self.store.commit(late)
        except Fenced:
            return
        raise AssertionError("an owner of old was not fenced off")

    @rule(bad=_FAILURES)
    def tell(self, bad: tuple[When, int] | None) -> None:
        """A sender takes what is due, tells it, and ticks it off; it may fail before or after."""
        try:
            with self.weather.bad(bad):
                taken = self.store.letters.take("sentry", T0 + 1, 0.0, 5)
                told = [each.id for each in taken]
                self.store.letters.sent(told, T0 + 1)
        except DatabaseDown:
            taken = self.store.letters.take("sentry", T0 + 1, 0.0, 5)
            told = [each.id for each in taken]
            self.store.letters.sent(told, T0 + 1)
        now = self.store.letters.pending("sentry")
        gone = len(self.waiting) - now
        self.sent.update(self.waiting[:gone])
        del self.waiting[:gone]

    @invariant()
    def agrees(self) -> None:
        offset = self.store.records.offsets()[P0]
        assert offset == self.offset
        assert {each.id for each in self.store.records.findings()} == self.findings
        assert self.store.letters.pending("sentry") == len(self.waiting)

    def teardown(self) -> None:
        self.store.close()
        shutil.rmtree(self.folder)


def check(machine: type[Machine], steps: int, examples: int) -> None:
    """Runs the machine against the model, so many examples of so many steps."""
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=examples,
            stateful_step_count=steps,
            deadline=None,
            derandomize=True,
            database=None,
            phases=(Phase.generate,),
            suppress_health_check=list(HealthCheck),
        ),
    )


@pytest.mark.timeout(size(120, 7_200))
def test_the_store_does_what_the_model_does(
    record_property: Callable[[str, object], None],
) -> None:
    record_property("size", f"{STEPS * EXAMPLES} steps")
    check(Machine, STEPS, EXAMPLES)


class Forgetful(Machine):
    """A sabotage: a store that does not keep offsets."""

    skips_offsets = True


def test_a_store_that_forgets_offsets_is_noticed() -> None:
    try:
        check(Forgetful, 3, 3)
    except AssertionError:
        return
    raise AssertionError("nobody has noticed")
