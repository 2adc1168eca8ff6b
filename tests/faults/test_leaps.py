"""Leap seconds and summer time: nothing is lost, double or late, and nothing else is found."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from tests.faults.clock import traffic, wrong_clocks
from tests.faults.killing import Round, check_reference, sqlite
from tests.faults.registry import registry
from tests.faults.verdict import Verdict, verdict
from tests.faults.zygote import Zygote
from tests.services.base import wait_until
from watchkeeper.daemon.actions.timers import Timers
from watchkeeper.daemon.config.load import load
from watchkeeper.daemon.service import Daemon
from watchkeeper.daemon.topics import kinds_of
from watchkeeper.daemon.transport.memory import MemoryBroker, MemorySink, MemorySource

BERLIN = "Europe/Berlin"
CHANGES = {
    "spring": datetime(2026, 3, 29, 1, tzinfo=UTC).timestamp(),
    "autumn": datetime(2026, 10, 25, 1, tzinfo=UTC).timestamp(),
}
LEARNT = 28  # slots: the change comes before the faults do
BEGAN = datetime(2026, 6, 30, 23, 59, 30, tzinfo=UTC).timestamp()
LEAP_S, SMEARED_S, LASTS_S, TURN_S, GAP_S = 30.0, 10.0, 60.0, 0.1, 0.02
_AGAIN_S = 12.0  # so much later the other half of the world has had it, too

_EVERY_S = 0.1

Skew = Callable[[float], float]


def right(second: float) -> float:
    """A clock that has nothing to correct."""
    return 0.0


def stepped(by: float) -> Skew:
    """A clock that repeats or leaves out a second at once, and is right again later."""
    return lambda second: by if LEAP_S <= second < LEAP_S + _AGAIN_S else 0.0


def smeared(by: float) -> Skew:
    """A clock that is drawn out or pressed together for a while, there and back."""

    def skew(second: float) -> float:
        there = min(max((second - LEAP_S) / SMEARED_S, 0.0), 1.0)
        back = min(max((second - LEAP_S - _AGAIN_S) / SMEARED_S, 0.0), 1.0)
        return by * (there - back)

    return skew


def settings(folder: Path) -> dict[str, Any]:
    """Of one healthy model that waits for late events as long as is usual for its windows."""
    return {
        "daemon": {"instance": "one", "state_dir": str(folder), "log_level": "warning"},
        "database": {"url": sqlite(folder)},
        "defaults": {"window": "2s", "lateness": "1s", "learn": 400},
    }


def lived(folder: Path, skew: Skew) -> tuple[Verdict, float]:
    """What a life by such a clock leaves, and how many events it called late. Time passes by the
    clock, too, and not only by events."""
    folder.mkdir()
    config, true = load([], {}, settings(folder)), [BEGAN]
    broker = MemoryBroker({f"watchkeeper.{name}": 1 for name in ("predictions", "labels")})
    source = MemorySource(broker, list(kinds_of(config)))
    daemon = Daemon(
        config, source, MemorySink(broker), clock=lambda: true[0] + skew(true[0] - BEGAN)
    )
    coming = traffic(broker, lambda: true[0], GAP_S)
    for turn in range(round(LASTS_S / TURN_S)):
        true[0] = BEGAN + turn * TURN_S
        next(coming)
        daemon.turn()
    daemon.loop.checkpoint()
    late = daemon.metrics.registry.get_sample_value(
        "watchkeeper_late_events_total", {"model": "steady"}
    )
    daemon.close()
    return verdict(config.database.url), late or 0.0


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_a_leap_second_changes_nothing(tmp_path: Path) -> None:
    true, late = lived(tmp_path / "right", right)
    assert late == 0.0
    assert set(true.states) == {"steady"}

    for name, leap in {"stepped": stepped, "smeared": smeared}.items():
        for by in (1.0, -1.0):
            left, late = lived(tmp_path / f"{name}{by:+.0f}", leap(by))

            assert late == 0.0, (name, by)
            assert left.offsets == true.offsets, (name, by)
            assert left.findings == true.findings, (name, by)
            assert left.incidents == true.incidents, (name, by)


@pytest.mark.timeout(300)
def test_a_clock_that_is_far_ahead_would_be_noticed(tmp_path: Path) -> None:
    _, late = lived(tmp_path / "ahead", stepped(8.0))

    assert late > 0.0


@pytest.fixture
def berlin() -> str:
    if not Path("/usr/share/zoneinfo", BERLIN).exists():
        pytest.skip("there is no database of time zones here")
    return BERLIN


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize("change", list(CHANGES))
def test_summer_time_changes_nothing(
    tmp_path: Path, zygote: Zygote, berlin: str, change: str
) -> None:
    left: list[Verdict] = []
    for zone in ("", berlin):
        with registry() as models:
            folder = tmp_path / (zone or "utc").replace("/", "-")
            start = CHANGES[change] - LEARNT
            url = sqlite(folder)
            round_ = Round(folder, url, models, zygote, start=start, zone=zone, limit=240.0)
            left.append(round_.undisturbed())
            assert [tuple(each) for each in models.switches] == [("alpha", "1")]

    at_utc, in_berlin = left
    check_reference(at_utc)
    assert not in_berlin.differences(at_utc), in_berlin.differences(at_utc)


@pytest.mark.parametrize("change", list(CHANGES))
def test_periodic_work_goes_on_when_summer_time_changes(
    monkeypatch: pytest.MonkeyPatch, berlin: str, change: str
) -> None:
    done: list[float] = []
    monkeypatch.setenv("TZ", berlin)
    time.tzset()
    try:
        with wrong_clocks() as put:
            put(CHANGES[change] - time.time() - 0.5)
            before = time.localtime(CHANGES[change] - 1.0).tm_gmtoff
            timers = Timers()
            timers.every(_EVERY_S, "work", lambda: done.append(time.monotonic()))
            timers.start()
            began = time.monotonic()
            behind = began + 1.0
            wait_until(lambda: sum(at > behind for at in done) >= 5, 60.0, "work after the change")
            timers.stop(5.0)
            assert time.localtime(time.time()).tm_gmtoff != before
    finally:
        monkeypatch.undo()
        time.tzset()
    assert len(done) <= (done[-1] - began) / _EVERY_S + 1, "done twice"
