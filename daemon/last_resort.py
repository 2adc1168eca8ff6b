"""Pages about what the daemon cannot do its work without; the outbox is in the database."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass

import structlog

from watchkeeper.daemon.storage.outbox import Delivery

log = structlog.get_logger()


class _Page(threading.Thread):
    """One page on its way, of an outage that had lasted for `away_s` seconds."""

    def __init__(self, tell: Callable[[], Delivery], away_s: float) -> None:
        super().__init__(name="page", daemon=True)
        self.away_s = away_s
        self.said = Delivery("retry", "it ended without an answer")
        self._tell = tell

    def run(self) -> None:
        self.said = self._tell()


@dataclass
class LastResort:
    """Tells once an outage, straight away, when something has been away for `after_s` seconds.

    `tell` takes `what` to say and why, and says what became of it; where that fails it is tried
    again after `again_s` seconds, or after as many as the other side asks for. It has a thread of
    its own, one at a time: an answer that takes long holds up nobody.
    """

    tell: Callable[[str, str], Delivery]
    what: str
    after_s: float = 120.0
    again_s: float = 60.0
    _next_s: float | None = None
    _page: _Page | None = None

    def __call__(self, away_s: float, reason: str) -> None:
        """It has been away for so long; 0.0: it is back, or has just gone."""
        self._hear()
        if not away_s:
            self._next_s = self.after_s
            return
        if self._next_s is None or away_s < self._next_s or self._page is not None:
            return
        self._next_s = None
        self._page = _Page(lambda: self.tell(self.what, reason), away_s)
        self._page.start()

    def finish(self, timeout: float) -> None:
        """Waits for a page that is on its way, for so many seconds at most."""
        if self._page is not None:
            self._page.join(timeout)

    def _hear(self) -> None:
        """Takes note of what became of a page that is not on its way any more."""
        page = self._page
        if page is None or page.is_alive():
            return
        self._page = None
        # Another outage may have begun meanwhile: that has a time of its own.
        if page.said.outcome == "retry" and self._next_s is None:
            self._next_s = page.away_s + max(self.again_s, page.said.after or 0.0)
        if page.said.outcome != "ok":
            log.error("the outage could not be told", reason=page.said.reason)
