"""How far behind the source is, in records and in time."""

from __future__ import annotations

from dataclasses import dataclass

BEHIND_EVENTS = 100_000  # records known to wait beyond which the view is too stale to act on
BEHIND_S = 120.0  # and so long may a record that was known to wait stay unread


@dataclass
class Backlog:
    """Says since when the view of the stream is too stale to act on.

    Under steady traffic something waits nearly always. So what waits is noted once, and whether
    as many records have been read is looked at from then on: what is read late is old.

    >>> backlog = Backlog()
    >>> backlog.stale_since(0, 10, 0.0), backlog.stale_since(3, 7, 200.0)
    (None, 0.0)
    """

    _read: int = 0
    _goal: int = 0
    _noted: float = 0.0
    _since: float | None = None

    def stale_since(self, read: int, waiting: int, now: float) -> float | None:
        """`read` records came since the last call and `waiting` are known to wait at the wall
        clock's `now`; None while the view is fresh."""
        self._read += read
        if not waiting or self._read >= self._goal:
            self._noted, self._goal = now, self._read + waiting
        late = now - self._noted > BEHIND_S
        if not late and waiting <= BEHIND_EVENTS:
            self._since = None
        elif self._since is None:
            self._since = self._noted if late else now
        return self._since
