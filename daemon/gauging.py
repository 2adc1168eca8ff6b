"""Measures what no turn of the loop tells: what waits to be sent and approved, and how is read."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from watchkeeper.daemon.reporting.metrics import Metrics
from watchkeeper.daemon.storage.outbox import Outbox
from watchkeeper.daemon.storage.store import Store
from watchkeeper.daemon.transport.ports import Source


@dataclass(frozen=True, slots=True)
class Gauging:
    """Sets the gauges of the outbox, of held actions, and of how the source reads."""

    store: Store
    outbox: Outbox
    source: Source
    metrics: Metrics
    clock: Callable[[], float]

    def gauge(self) -> None:
        """Measures all of it once."""
        now, ages = self.clock(), {}
        for channel in self.outbox.deliver:
            oldest = self.store.letters.oldest(channel)
            ages[str(channel)] = 0.0 if oldest is None else max(now - oldest, 0.0)
        counts = {(str(channel), what): n for (channel, what), n in self.outbox.counts().items()}
        self.metrics.told(counts, ages)
        self.metrics.held(self.store.records.actions_held())
        self.metrics.reading(getattr(self.source, "reading", ""))
