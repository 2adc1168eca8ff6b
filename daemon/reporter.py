"""What the loop tells the world by."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import AbstractContextManager
from typing import Protocol

from watchkeeper.daemon.core.step import Step
from watchkeeper.daemon.reporting.metrics import Stage
from watchkeeper.daemon.storage.values import OutboxRow
from watchkeeper.daemon.transport.codec import Decoded
from watchkeeper.daemon.transport.ports import Partition
from watchkeeper.daemon.transport.records import Records
from watchkeeper.detectors.types import Command


class Reporter(Protocol):
    """Tells the world of a step; pure but for counting."""

    def rows(self, step: Step, decoded: Decoded, at: float) -> list[OutboxRow]:
        """The messages that this step's changes are worth."""

    def observe(self, step: Step, records: Records, decoded: Decoded) -> None:
        """Counts what happened, for metrics and logs."""

    def stage(self, name: Stage) -> AbstractContextManager[None]:
        """Measures one stage of a turn; a commit may be measured in another thread."""

    def answered(self, command: Command) -> str:
        """An application's answer to an order; says what became of it."""

    def committed(self) -> None:
        """New messages are waiting in the outbox."""

    def released(self, partitions: Iterable[Partition]) -> None:
        """Another instance owns these now: what is known of them is out of date."""

    def database_away(self, seconds: float, reason: str) -> None:
        """The database has been away for so long, and why; 0.0: it is back."""

    def source_away(self, seconds: float, reason: str) -> None:
        """Nothing could be read for so long, and why; 0.0: it can be again."""

    def rebalanced(self, at: float) -> None:
        """Partitions came or went, at the steady clock's time."""
