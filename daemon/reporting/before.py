"""What is done before metrics are read."""

from __future__ import annotations

from collections.abc import Callable

from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector


class Before(Collector):
    """Does something before the registry is read: it is asked first, and has no metric itself."""

    def __init__(self, first: Callable[[], None]) -> None:
        self._first = first

    def describe(self) -> list[Metric]:
        """What it has."""
        return []

    def collect(self) -> list[Metric]:
        """Does it."""
        self._first()
        return []
