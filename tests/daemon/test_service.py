"""What the wired daemon does by its timers, and what it closes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import msgspec
import pytest

from tests.daemon.reporting.answering import answering
from tests.daemon.storage.examples import T0, action, finding, kept, letter, predictions
from tests.daemon.wired import made_in
from watchkeeper.daemon.config import Config
from watchkeeper.daemon.config.sections import Daemon as Here
from watchkeeper.daemon.config.sections import Database, Outbox
from watchkeeper.daemon.service import Daemon
from watchkeeper.daemon.storage import outbox
from watchkeeper.daemon.storage.retention import Most
from watchkeeper.daemon.storage.values import Checkpoint
from watchkeeper.daemon.transport.memory import MemoryBroker, MemorySink, MemorySource
from watchkeeper.daemon.transport.ports import Partition
from watchkeeper.detectors.blocks import models_of
from watchkeeper.handlers.types import ActionState

YEAR_S = 365 * 86_400.0


@pytest.fixture
def daemon(tmp_path: Path) -> Iterator[Daemon]:
    """A daemon whose topics hold nothing."""
    made = made_in(tmp_path, MemoryBroker())
    yield made
    made.close()


def test_an_outage_of_the_database_is_told_to_sentry_once_without_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with answering() as server:
        server.plan = [(503, {})]
        daemon = made_in(tmp_path, MemoryBroker(), server.dsn)
        gauge = "watchkeeper_database_away_seconds"
        minutes: list[int] = []
        for second in range(0, 3_601, 10):
            daemon.reporter.database_away(float(second), "connection refused")
            minutes += [second] * (len(server.bodies) - len(minutes))
        away = daemon.metrics.registry.get_sample_value(gauge)
        daemon.reporter.database_away(0.0, "")
        daemon.close()

    assert minutes == [120, 180]
    assert away == 3_600
    assert daemon.metrics.registry.get_sample_value(gauge) == 0
    assert b"the database is away" in server.bodies[1]
    assert b"connection refused" in server.bodies[1]


def test_what_cannot_be_closed_keeps_nothing_else_open(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    daemon, closed = made_in(tmp_path, MemoryBroker()), []

    def broken(timeout: float) -> None:
        raise OSError("the broker's socket is gone")

    monkeypatch.setattr(daemon.source, "close", broken)
    for part in (daemon.sink, daemon.store):
        monkeypatch.setattr(part, "close", lambda *_: closed.append(1))

    with pytest.raises(OSError, match="socket is gone"):
        daemon.close()

    assert len(closed) == 2


def test_the_bounds_of_what_waits_are_those_of_the_configuration(tmp_path: Path) -> None:
    folder = str(tmp_path)
    bounds = Outbox(messages=500, dead_letters=700, dead_letters_mb=3, refused=900, refused_mb=5)
    config = Config(
        daemon=Here(state_dir=folder), database=Database(url=f"sqlite:///{folder}/w.db")
    )
    broker = MemoryBroker()

    made = []
    for each in (config, msgspec.structs.replace(config, outbox=bounds)):
        daemon = Daemon(each, MemorySource(broker, []), MemorySink(broker))
        made.append(daemon.outbox)
        daemon.close()

    plain, narrow = made
    assert (narrow.most, narrow.letters_most) == (500, Most(700, 3 << 20))
    assert narrow.dead_most == Most(900, 5 << 20)
    built_in = outbox.WAITING, outbox.WAITING_LETTERS, outbox.DEAD_LETTERS
    assert (plain.most, plain.letters_most, plain.dead_most) == built_in


def test_old_rows_are_dropped_by_its_timer(daemon: Daemon) -> None:
    store = daemon.store
    found = [finding(T0 - YEAR_S), finding(T0)]
    store.commit(Checkpoint(at=T0, epochs={}, findings=found, outbox=[letter("old")]))
    store.letters.sent(["old"], T0 - YEAR_S)

    daemon._retain()

    assert [each.at for each in store.records.findings()] == [T0]
    assert store.letters.prune(before=T0) == 0


def test_the_journal_of_a_past_that_is_read_today_is_kept(daemon: Daemon) -> None:
    past = predictions(at=T0 - YEAR_S)
    daemon.store.commit(Checkpoint(at=T0, epochs={}, kept=kept(past)))

    daemon._retain()

    assert len(daemon.store.captured("fraud")) == 1


def test_what_a_join_reaches_back_to_is_kept(tmp_path: Path) -> None:
    """Where labels come late a sample is kept of many more requests."""
    topic = "watchkeeper.predictions"
    daemon = made_in(tmp_path, MemoryBroker({topic: 1}))
    daemon.loop.turn(0.0)
    state = daemon.loop.pipeline.state
    rows = {name: state.model(name).row for name in ("sampled", "whole")}
    state.arrays.joins.sampling.change(rows["sampled"], 2)
    frames = [replace(predictions(n=4, at=T0 + i), model=name) for i in range(9) for name in rows]
    epochs = dict(daemon.loop._epochs)
    daemon.store.commit(Checkpoint(at=T0, epochs=epochs, kept=kept(*frames, kind="join")))
    small = msgspec.structs.replace(daemon.config.defaults, join_capacity=1)
    daemon.config = msgspec.structs.replace(daemon.config, defaults=small)
    state._policies.clear()
    state._policy = daemon.config.policy

    daemon._retain()

    left = Counter(model for b in daemon.store.joins({0}) for model in models_of(b)[0])
    daemon.close()
    assert left == {"sampled": 2, "whole": 1}


def test_actions_that_wait_are_counted_by_the_record(daemon: Daemon) -> None:
    """Also those that were held before this process began."""
    daemon.store.restore([Partition("p", 0)], T0)
    epoch = daemon.store.restore([Partition("p", 0)], T0).epochs[Partition("p", 0)]
    daemon.store.commit(
        Checkpoint(
            at=T0, epochs={Partition("p", 0): epoch}, actions=[action(state=ActionState.HELD)]
        )
    )

    daemon._gauges()

    name = "watchkeeper_actions_awaiting_approval"
    assert daemon.metrics.registry.get_sample_value(name) == 1
