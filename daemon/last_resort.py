"""Pages about what the daemon cannot do its work without; the outbox is in the database."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import structlog

from watchkeeper.daemon.storage.outbox import Delivery

log = structlog.get_logger()


@dataclass
class LastResort:
    """Tells once an outage, straight away, when something has been away for `after_s` seconds.

    `tell` takes `what` to say and why, and says what became of it; where that fails it is tried
    again after `again_s` seconds, or after as many as the other side asks for.
    """

    tell: Callable[[str, str], Delivery]
    what: str
    after_s: float = 120.0
    again_s: float = 60.0
    _next_s: float | None = None

    def __call__(self, away_s: float, reason: str) -> None:
        """It has been away for so long; 0.0: it is back, or has just gone."""
        if not away_s:
            self._next_s = self.after_s
            return
        if self._next_s is None or away_s < self._next_s:
            return
        said = self.tell(self.what, reason)
        self._next_s = None
        if said.outcome == "retry":
            self._next_s = away_s + max(self.again_s, said.after or 0.0)
        if said.outcome != "ok":
            log.error("the outage could not be told", reason=said.reason)
