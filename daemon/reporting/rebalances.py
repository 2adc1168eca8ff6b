"""Tells a group that finds no rest from one that shares its partitions anew now and then."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

MANY, FEW = 12, 6  # in a while: beyond the one it begins, at the other it ends
WHILE_S = 600.0
_ONE_S = 10.0  # what a member gives up and what it gets instead come apart: that is one rebalance


@dataclass
class Rebalances:
    """The times at which partitions came or went in the last ten minutes."""

    _times: deque[float] = field(default_factory=deque)
    _since: float | None = None

    def note(self, at: float) -> bool:
        """Partitions came or went at a steady clock's time, seconds. Says whether that is one more
        rebalance than there was."""
        one_more = not self._times or at - self._times[-1] >= _ONE_S
        if one_more:
            self._times.append(at)
        while at - self._times[0] > WHILE_S:
            self._times.popleft()
        if len(self._times) > MANY and self._since is None:
            self._since = self._times[0]
        elif len(self._times) <= FEW:
            self._since = None
        return one_more

    def unrest_s(self, at: float) -> float:
        """For how many seconds there have been too many; 0.0 when there are not."""
        return 0.0 if self._since is None else at - self._since

    def reason(self) -> str:
        """What is the matter, and what may be the cause of it."""
        return (
            f"{len(self._times)} rebalances in {WHILE_S / 60:.0f} minutes: members start and end, "
            "do not poll in time, or cannot keep their connection to the brokers"
        )
