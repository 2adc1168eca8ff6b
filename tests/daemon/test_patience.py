"""A database that is away is waited for: how long, how often, and what is said meanwhile."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field

import pytest
from structlog.testing import capture_logs

from watchkeeper.daemon.patience import LAST_TRIES, LONGEST_PAUSE_S, SAY_AGAIN_S, Patience
from watchkeeper.daemon.storage.database import DatabaseDown


@dataclass
class Outage:
    """A database that is away until `until`, by a clock that only idling moves."""

    until: float = float("inf")
    now: float = 0.0
    tries: list[float] = field(default_factory=list)
    told: list[tuple[float, str]] = field(default_factory=list)
    stopping: threading.Event = field(default_factory=threading.Event)
    stop_at: float = float("inf")

    def idle(self, seconds: float) -> None:
        self.now += seconds
        if self.now >= self.stop_at:
            self.stopping.set()

    def attempt(self) -> str:
        self.tries.append(self.now)
        if self.now < self.until:
            raise DatabaseDown("connection refused")
        return "done"

    def patience(self, longest_s: float = float("inf")) -> Patience:
        return Patience(
            self.stopping,
            self.idle,
            lambda seconds, reason: self.told.append((seconds, reason)),
            longest_s,
            steady=lambda: self.now,
            chance=lambda: 1.0,
        )


def test_an_hour_is_waited_out_with_pauses_that_grow_up_to_a_bound() -> None:
    outage = Outage(until=3_600.0)

    assert outage.patience().insist(outage.attempt) == "done"

    pauses = [later - at for at, later in zip(outage.tries, outage.tries[1:], strict=False)]
    assert pauses[:3] == pytest.approx([0.1, 0.2, 0.4])
    assert max(pauses) == pytest.approx(LONGEST_PAUSE_S)
    assert outage.now - 3_600.0 <= LONGEST_PAUSE_S


def test_it_says_how_long_the_database_has_been_away_and_when_it_is_back() -> None:
    outage = Outage(until=200.0)
    patience = outage.patience()

    with capture_logs() as lines:
        patience.insist(outage.attempt)

    assert outage.told[0] == (0.0, "connection refused")
    assert outage.told[-2][0] > 190.0
    assert outage.told[-1] == (0.0, "")
    said = [line["event"] for line in lines]
    assert said == ["the database is away: trying again"] * 4 + ["the database is back"]
    assert lines[1]["seconds"] >= SAY_AGAIN_S
    assert patience.trouble == ""


def test_what_is_the_matter_is_known_while_it_lasts() -> None:
    outage = Outage(stop_at=30.0)
    patience = outage.patience()

    with pytest.raises(DatabaseDown):
        patience.insist(outage.attempt)

    assert patience.trouble == "the database is away for 30 s, trying again: connection refused"


def test_a_stop_ends_a_pause_and_leaves_few_tries() -> None:
    outage = Outage(stop_at=100.0)

    with pytest.raises(DatabaseDown):
        outage.patience().insist(outage.attempt)

    assert outage.now == pytest.approx(100.0, abs=0.5)
    assert len([at for at in outage.tries if at >= 100.0]) == LAST_TRIES


def test_it_may_be_told_to_wait_no_longer_than_so_long() -> None:
    outage = Outage()

    with pytest.raises(DatabaseDown):
        outage.patience(longest_s=90.0).insist(outage.attempt)

    assert 90.0 <= outage.now <= 90.0 + LONGEST_PAUSE_S
