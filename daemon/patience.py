"""Waits out a database that is away, within limits."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

import structlog

from watchkeeper.daemon.storage.database import DatabaseDown

T = TypeVar("T")
log = structlog.get_logger()

TRIES = 12  # with the pauses below about 90 s, well within a consumer's poll interval
LAST_TRIES = 2  # for one that is to stop: whoever waits for its end does not wait for long
SHORTEST_PAUSE_S = 0.1
LONGEST_PAUSE_S = 15.0


@dataclass(frozen=True)
class Patience:
    """Makes database calls again while the database is away; much less so once `stopping` is
    set, which also ends a pause."""

    stopping: threading.Event

    def insist(self, attempt: Callable[[], T]) -> T:
        """The attempt's result. Raises DatabaseDown when all tries are used up."""
        pause, left = SHORTEST_PAUSE_S, TRIES
        while True:
            try:
                return attempt()
            except DatabaseDown as error:
                left = min(left, LAST_TRIES) if self.stopping.is_set() else left
                left -= 1
                if left <= 0:
                    raise
                log.warning("database away; trying again", reason=str(error), seconds=pause)
                self.stopping.wait(pause)
                pause = min(pause * 2, LONGEST_PAUSE_S)
