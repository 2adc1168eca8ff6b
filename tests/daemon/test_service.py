"""The whole daemon, wired as it runs, over topics in memory."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.daemon.storage.examples import T0, finding, letter
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
