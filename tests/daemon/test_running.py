"""How the process is begun and ended, and what it leaves behind."""

from __future__ import annotations

import gc
import signal
import sys
from contextlib import suppress
from pathlib import Path

import pytest
import urllib3
from urllib3.exceptions import HTTPError

from tests.daemon.looped import prediction
from tests.daemon.reporting.answering import answering
from tests.daemon.storage.examples import T0
from tests.daemon.wired import made_in
from tests.services.base import free_ports, wait_until
from tests.services.process import Process
from watchkeeper.daemon import patience
from watchkeeper.daemon.core.step import Batch, Step
from watchkeeper.daemon.exit_codes import INTERNAL, OK, TRY_AGAIN
from watchkeeper.daemon.running import spare_collections, take_turns, turning
from watchkeeper.daemon.storage.database import DatabaseDown
from watchkeeper.daemon.storage.store import Store
from watchkeeper.daemon.storage.values import Checkpoint
from watchkeeper.daemon.transport.memory import MemoryBroker
from watchkeeper.daemon.transport.ports import Message, Partition
from watchkeeper.daemon.transport.settings import Profile
from watchkeeper.daemon.web.app import Probe


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


def test_a_crash_of_the_loop_is_told_to_sentry(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with answering() as server:
        daemon = made_in(tmp_path, MemoryBroker(), server.dsn)

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

        young, middle, _ = gc.get_threshold()
        assert before[0] < young <= 5_000
        assert young * middle <= 20_000  # objects that are searched at once
        assert gc.get_freeze_count() > 0
    finally:
        gc.unfreeze()
        gc.set_threshold(*before)


@pytest.mark.parametrize(("profile", "shorter"), [("default", False), ("low_latency", True)])
def test_threads_give_way_sooner_where_latency_counts(profile: Profile, shorter: bool) -> None:
    usual = sys.getswitchinterval()
    try:
        take_turns(profile)
        assert (sys.getswitchinterval() < usual) is shorter
    finally:
        sys.setswitchinterval(usual)
