"""The whole daemon, wired as it runs, over topics in memory."""

from __future__ import annotations

import gc
import signal
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import msgspec
import pytest
import urllib3
from urllib3.exceptions import HTTPError

from tests.daemon.reporting.answering import answering
from tests.daemon.storage.examples import T0, action, finding, kept, letter, predictions
from tests.daemon.test_loop import prediction
from tests.services.base import free_ports, wait_until
from tests.services.process import Process
from watchkeeper.daemon import patience
from watchkeeper.daemon.config import Config
from watchkeeper.daemon.config.sections import Daemon as Here
from watchkeeper.daemon.config.sections import Database, Outbox, Sentry
from watchkeeper.daemon.config.units import Duration, Secret
from watchkeeper.daemon.core.step import Batch, Step
from watchkeeper.daemon.service import (
    INTERNAL,
    OK,
    TRY_AGAIN,
    Daemon,
    kinds_of,
    spare_collections,
    turning,
)
from watchkeeper.daemon.storage import outbox
from watchkeeper.daemon.storage.database import DatabaseDown
from watchkeeper.daemon.storage.retention import Most
from watchkeeper.daemon.storage.store import Store
from watchkeeper.daemon.storage.values import Checkpoint
from watchkeeper.daemon.transport.memory import MemoryBroker, MemorySink, MemorySource
from watchkeeper.daemon.transport.ports import Message, Partition
from watchkeeper.daemon.web.app import Probe
from watchkeeper.detectors.blocks import models_of
from watchkeeper.handlers.types import ActionState

YEAR_S = 365 * 86_400.0


def made_in(folder: Path, broker: MemoryBroker) -> Daemon:
    """A daemon that was built and not started."""
    here = Here(state_dir=str(folder), stop_timeout=Duration(3))
    config = Config(daemon=here, database=Database(url=f"sqlite:///{folder}/w.db"))
    source = MemorySource(broker, list(kinds_of(config)))
    return Daemon(config, source, MemorySink(broker), clock=lambda: T0)


@pytest.fixture
def daemon(tmp_path: Path) -> Iterator[Daemon]:
    """A daemon whose topics hold nothing."""
    made = made_in(tmp_path, MemoryBroker())
    yield made
    made.close()


def stored(folder: Path) -> tuple[object, ...]:
    """What a closed daemon has left behind of what it read."""
    store = Store(f"sqlite:///{folder}/w.db")
    kept = store.records.offsets(), store.records.models(), store.captured("fraud")
    store.close()
    return kept


def test_a_loop_that_failed_commits_nothing_more(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    broker = MemoryBroker({"watchkeeper.predictions": 1})
    broker.publish(Message("watchkeeper.predictions", b"fraud", prediction(0)), T0)
    daemon = made_in(tmp_path, broker)
    step = daemon.loop.pipeline.step

    def broken(batch: Batch) -> Step:
        done = step(batch)
        if done.captured:
            raise ValueError("a fault of ours, with half of the batch in the state")
        return done

    monkeypatch.setattr(daemon.loop.pipeline, "step", broken)

    code = turning(daemon, "http://here")
    daemon.close()

    assert code == INTERNAL
    assert "fraud" in daemon.loop.pipeline.state.models
    offsets, models, captured = stored(tmp_path)
    assert offsets == {Partition("watchkeeper.predictions", 0): None}
    assert (models, captured) == ([], [])


def test_while_the_database_is_away_it_is_alive_but_not_ready_until_it_is_stopped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    broker = MemoryBroker({"watchkeeper.predictions": 1})
    broker.publish(Message("watchkeeper.predictions", b"fraud", prediction(0)), T0)
    daemon, tries = made_in(tmp_path, broker), []
    daemon.loop.checkpoint_s = 0.0
    probes: list[Probe] = []

    def away(checkpoint: Checkpoint) -> None:
        tries.append(checkpoint)
        probes.append(daemon.probe())
        if len(tries) == 40:
            daemon.loop.stopping.set()
        raise DatabaseDown("connection refused")

    monkeypatch.setattr(daemon.store, "commit", away)
    monkeypatch.setattr(patience, "LONGEST_PAUSE_S", 0.001)
    monkeypatch.setattr(patience, "SHORTEST_PAUSE_S", 0.001)

    code = turning(daemon, "http://here")
    daemon.close()

    assert code == TRY_AGAIN
    assert 40 < len(tries) <= 40 + patience.LAST_TRIES
    assert probes[-1].not_ready.endswith("trying again: connection refused")
    assert probes[-1].loop_age_s < 1.0
    assert probes[-1].started
    assert daemon.source.poll(0.0).assigned == ()
    made_in(tmp_path, broker).close()


def test_an_outage_of_the_database_is_told_to_sentry_once_without_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with answering() as server:
        server.plan = [(503, {})]
        config = Config(
            daemon=Here(state_dir=str(tmp_path), stop_timeout=Duration(3)),
            database=Database(url=f"sqlite:///{tmp_path}/w.db"),
            sentry=Sentry(dsn=Secret(server.dsn)),
        )
        broker = MemoryBroker()
        source = MemorySource(broker, list(kinds_of(config)))
        daemon = Daemon(config, source, MemorySink(broker), clock=lambda: T0)
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


def test_a_stop_in_order_commits_the_last_turn(tmp_path: Path) -> None:
    broker = MemoryBroker({"watchkeeper.predictions": 1})
    broker.publish(Message("watchkeeper.predictions", b"fraud", prediction(0)), T0)
    daemon = made_in(tmp_path, broker)
    daemon.loop.turn(0.0)
    daemon.loop.turn(0.0)
    daemon.loop.stopping.set()

    code = turning(daemon, "http://here")
    daemon.close()

    assert code == OK
    assert stored(tmp_path)[:2] == ({Partition("watchkeeper.predictions", 0): 1}, ["fraud"])


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


def test_without_a_broker_it_says_so_and_goes_on_trying(tmp_path: Path) -> None:
    (port,) = free_ports(1)
    file = tmp_path / "watchkeeper.toml"
    file.write_text(
        f'[daemon]\nstate_dir = "{tmp_path}"\nstop_timeout = "3s"\n'
        '[kafka]\nbootstrap_servers = ["127.0.0.1:9"]\n'
        f'[web]\nlisten = "127.0.0.1:{port}"\n'
    )
    program = Path(sys.executable).parent / "watchkeeper"
    # Kernels are compiled for half a minute and more where nobody did before: not what is tested.
    plain = {"WATCHKEEPER_FAST": "0"}
    process = Process([program, "-c", file, "run"], tmp_path / "log", env=plain)

    def refusal() -> str:
        with urllib3.PoolManager(retries=False, timeout=5.0) as pool, suppress(HTTPError):
            reply = pool.request("GET", f"http://127.0.0.1:{port}/readyz")
            text = reply.data.decode()
            return text if reply.status == 503 and "Kafka" in text else ""
        return ""

    try:
        said = wait_until(refusal, 60.0, "what keeps it from being ready")
    finally:
        process.end(signal.SIGTERM)

    assert said.startswith("Kafka at 127.0.0.1:9: KafkaTimeoutError: ")
    assert "(since 20" in said
    assert process.wait(1.0) == 0
    lines = process.log.read_text().splitlines()
    assert len([line for line in lines if "cannot read: trying again" in line]) == 1
    assert len(lines) < 8, lines


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


def test_a_crash_of_the_loop_is_told_to_sentry(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with answering() as server:
        here = Here(state_dir=str(tmp_path), stop_timeout=Duration(3))
        config = Config(
            daemon=here,
            database=Database(url=f"sqlite:///{tmp_path}/w.db"),
            sentry=Sentry(dsn=Secret(server.dsn)),
        )
        broker = MemoryBroker()
        source = MemorySource(broker, list(kinds_of(config)))
        daemon = Daemon(config, source, MemorySink(broker), clock=lambda: T0)

        def broken(batch: Batch) -> Step:
            raise ValueError("a fault of ours")

        monkeypatch.setattr(daemon.loop.pipeline, "step", broken)

        code = turning(daemon, "http://here")
        daemon.close()

    assert code == INTERNAL
    assert b"a fault of ours" in server.bodies[0]
    assert b'"kind":"daemon"' in server.bodies[0].replace(b" ", b"")


def test_garbage_is_looked_for_seldom_but_in_short_searches() -> None:
    before = gc.get_threshold()
    try:
        spare_collections()

        assert before[0] < gc.get_threshold()[0] <= 5_000
        assert gc.get_freeze_count() > 0
    finally:
        gc.unfreeze()
        gc.set_threshold(*before)
