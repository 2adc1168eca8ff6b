"""Waits for a database that is away, as long as it takes."""

from __future__ import annotations

import math
import random
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeVar

import structlog

from watchkeeper.daemon.storage.database import DatabaseDown

T = TypeVar("T")
log = structlog.get_logger()

LAST_TRIES = 2  # for one that is to stop: whoever waits for its end does not wait for long
SHORTEST_PAUSE_S = 0.1
LONGEST_PAUSE_S = 5.0
SAY_AGAIN_S = 60.0
_SLICE_S = 0.2  # so soon a stop is noticed


@dataclass
class Patience:
    """Makes database calls again while the database is away, for at most `longest_s` seconds;
    hardly any more once `stopping` is set, which also ends a pause.

    `idle` lets so many seconds pass, at most. `told` hears at each failure how long the database
    has been away and why, and at the end of it 0.0 and "".
    """

    stopping: threading.Event
    idle: Callable[[float], None]
    told: Callable[[float, str], None]
    longest_s: float = math.inf
    steady: Callable[[], float] = time.monotonic
    chance: Callable[[], float] = random.random
    _since: float | None = None
    _reason: str = ""
    _said_at: float = field(default=float("-inf"))

    @property
    def trouble(self) -> str:
        """What is the matter with the database, "" when nothing is. From any thread."""
        since = self._since
        if since is None:
            return ""
        away = max(self.steady() - since, 0.0)
        return f"the database is away for {away:.0f} s, trying again: {self._reason}"

    def insist(self, attempt: Callable[[], T]) -> T:
        """The attempt's result. Raises DatabaseDown when it is to stop, or after `longest_s`."""
        pause, left = SHORTEST_PAUSE_S, LAST_TRIES
        while True:
            try:
                found = attempt()
            except DatabaseDown as error:
                left -= self.stopping.is_set()
                if left <= 0 or self._away(str(error)) >= self.longest_s:
                    raise
                self._pass(pause * (0.5 + 0.5 * self.chance()))
                pause = min(pause * 2, LONGEST_PAUSE_S)
            else:
                self._back()
                return found

    def _pass(self, seconds: float) -> None:
        until = self.steady() + seconds
        while not self.stopping.is_set() and (left := until - self.steady()) > 0:
            self.idle(min(left, _SLICE_S))

    def _away(self, reason: str) -> float:
        """Notes a failure; gives for how many seconds there was nothing else."""
        now = self.steady()
        self._reason = reason
        self._since = now if self._since is None else self._since
        if now - self._said_at >= SAY_AGAIN_S:
            self._said_at = now
            log.warning("the database is away: trying again", reason=reason,
                        seconds=round(now - self._since))  # fmt: skip
        self.told(now - self._since, reason)
        return now - self._since

    def _back(self) -> None:
        if self._since is None:
            return
        away, self._since, self._said_at = self.steady() - self._since, None, float("-inf")
        log.info("the database is back", after_s=round(away, 1))
        self.told(0.0, "")
