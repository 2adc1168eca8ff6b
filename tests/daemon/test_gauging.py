"""What waits is counted by those who hold it."""

from __future__ import annotations

from pathlib import Path

from tests.daemon.storage.examples import T0, action
from tests.daemon.wired import made_in
from watchkeeper.daemon.gauging import Gauging
from watchkeeper.daemon.storage.values import Checkpoint
from watchkeeper.daemon.transport.memory import MemoryBroker
from watchkeeper.daemon.transport.ports import Partition
from watchkeeper.handlers.types import ActionState


def test_actions_that_wait_are_counted_by_the_record(tmp_path: Path) -> None:
    """Also those that were held before this process began."""
    daemon = made_in(tmp_path, MemoryBroker())
    daemon.store.restore([Partition("p", 0)], T0)
    epoch = daemon.store.restore([Partition("p", 0)], T0).epochs[Partition("p", 0)]
    daemon.store.commit(
        Checkpoint(
            at=T0, epochs={Partition("p", 0): epoch}, actions=[action(state=ActionState.HELD)]
        )
    )

    Gauging(daemon.store, daemon.outbox, daemon.source, daemon.metrics, daemon.clock).gauge()
    held = daemon.metrics.registry.get_sample_value("watchkeeper_actions_awaiting_approval")
    daemon.close()

    assert held == 1
