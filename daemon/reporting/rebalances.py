"""Tells a group that finds no rest from one that shares its partitions anew now and then."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

MANY = 12  # in a while; a rolling restart of a few members makes less
WHILE_S = 600.0
_ONE_S = 2.0  # what a member gives up and what it gets instead come apart: that is one rebalance


@dataclass
class Rebalances:
    """The times at which partitions came or went in the last ten minutes."""

    _times: deque[float] = field(default_factory=deque)

    def note(self, at: float) -> bool:
        """Partitions came or went at a steady clock's time, seconds. Says whether that is one more
        rebalance than there was."""
        self._forget(at)
        if self._times and at - self._times[-1] < _ONE_S:
            return False
        self._times.append(at)
        return True

    def unrest_s(self, at: float) -> float:
        """For how many seconds there have been too many; 0.0 when there are not."""
        self._forget(at)
        return at - self._times[0] if len(self._times) > MANY else 0.0

    def reason(self) -> str:
        """What is the matter, and what may be the cause of it."""
        return (
            f"{len(self._times)} rebalances in {WHILE_S / 60:.0f} minutes: members start and end, "
            "do not poll in time, or cannot keep their connection to the brokers"
        )

    def _forget(self, at: float) -> None:
        while self._times and at - self._times[0] > WHILE_S:
            self._times.popleft()
