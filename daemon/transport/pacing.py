"""How many records a turn takes: fewer where they are dear, so that no turn lasts long."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import structlog

log = structlog.get_logger()

LEAST = 10  # records, of which one may hold 10,000 events
SHORT_S, GOAL_S, LONG_S = 0.5, 1.0, 2.0
FEW = 1_000  # fewer at a time are worth a line, once so many turns in a row allowed no more
_TURNS = 3


@dataclass
class Pace:
    """Says how many records may be handed out at once, `limit` at most.

    `LEAST` at first. Twice as many whenever that many were worked off within `SHORT_S`; and after a
    turn of more than `LONG_S` only what `GOAL_S` would have been enough for. A turn of fewer
    records than it might have had says nothing about how many more there may be. What passes within
    `not_counted` is no work of theirs.

    >>> now = 0.0
    >>> pace = Pace(20_000, lambda: now)
    >>> pace.handed_out(10); now += 0.4; pace.worked_off(); pace.most
    20
    >>> pace.handed_out(20); now += 4.0; pace.worked_off(); pace.most
    10
    """

    limit: int
    clock: Callable[[], float] = time.monotonic
    most: int = field(init=False)
    _count: int = 0
    _since: float = 0.0
    _waited_s: float = 0.0
    _slow: int = 0
    _told: bool = False

    def __post_init__(self) -> None:
        self.most = min(LEAST, self.limit)

    def handed_out(self, count: int) -> None:
        """So many go out now."""
        self._count, self._since, self._waited_s = count, self.clock(), 0.0

    def worked_off(self) -> None:
        """Those that went out last have been dealt with."""
        count, self._count = self._count, 0
        if not count:
            return
        took = self.clock() - self._since - self._waited_s
        full = count >= self.most
        if took > LONG_S:
            fewer = min(int(count * GOAL_S / took), self.most)
            self.most = max(fewer, min(LEAST, self.limit))
        elif full and took < SHORT_S:
            self.most = min(2 * self.most, self.limit)
        self._slow = self._slow + 1 if full and took >= SHORT_S else 0
        self._tell(took / count)

    @contextmanager
    def not_counted(self) -> Iterator[None]:
        """Within this block something else is waited for."""
        began = self.clock()
        try:
            yield
        finally:
            self._waited_s += self.clock() - began

    def _tell(self, each_s: float) -> None:
        """Once when it stays low, and once when that is over."""
        few = self.most < min(FEW, self.limit)
        if few and self._slow >= _TURNS and not self._told:
            self._told = True
            log.info("records take long: few are taken at a time",
                     records=self.most, each_ms=round(1e3 * each_s, 2))  # fmt: skip
        elif self._told and not few:
            self._told = False
            log.info("records are quick again: more are taken at a time", records=self.most)
