"""The whole daemon, wired as it runs, over topics in memory."""

from __future__ import annotations

import signal
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
import urllib3
from urllib3.exceptions import HTTPError

from tests.daemon.storage.examples import T0, finding, letter
from tests.services.base import free_ports, wait_until
from tests.services.process import Process
from watchkeeper.daemon.config import Config
from watchkeeper.daemon.config.sections import Daemon as Here
from watchkeeper.daemon.config.sections import Database
from watchkeeper.daemon.config.units import Duration
from watchkeeper.daemon.service import Daemon, kinds_of
from watchkeeper.daemon.storage.values import Checkpoint
from watchkeeper.daemon.transport.memory import MemoryBroker, MemorySink, MemorySource

YEAR_S = 365 * 86_400.0


@pytest.fixture
def daemon(tmp_path: Path) -> Iterator[Daemon]:
    """A daemon that was built and not started."""
    here = Here(state_dir=str(tmp_path), stop_timeout=Duration(3))
    config = Config(daemon=here, database=Database(url=f"sqlite:///{tmp_path}/w.db"))
    broker = MemoryBroker()
    source = MemorySource(broker, list(kinds_of(config)))
    made = Daemon(config, source, MemorySink(broker), clock=lambda: T0)
    yield made
    made.close()


def test_old_rows_are_dropped_by_its_timer(daemon: Daemon) -> None:
    store = daemon.store
    found = [finding(T0 - YEAR_S), finding(T0)]
    store.commit(Checkpoint(at=T0, epochs={}, findings=found, outbox=[letter("old")]))
    store.letters.sent("old", T0 - YEAR_S)

    daemon._retain()

    assert [each.at for each in store.records.findings()] == [T0]
    assert store.letters.prune(before=T0) == 0


def test_without_a_broker_it_says_so_and_goes_on_trying(tmp_path: Path) -> None:
    (port,) = free_ports(1)
    file = tmp_path / "watchkeeper.toml"
    file.write_text(
        f'[daemon]\nstate_dir = "{tmp_path}"\nstop_timeout = "3s"\n'
        '[kafka]\nbootstrap_servers = ["127.0.0.1:9"]\n'
        f'[web]\nlisten = "127.0.0.1:{port}"\n'
    )
    program = Path(sys.executable).parent / "watchkeeper"
    process = Process([program, "-c", file, "run"], tmp_path / "log")

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
