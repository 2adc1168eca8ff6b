"""A life during which somebody sets the wall clock, by hours and by days."""

from __future__ import annotations

import itertools
import random
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime, tzinfo
from pathlib import Path
from typing import Any

import apscheduler.executors.base as executors
import apscheduler.schedulers.base as schedulers
import apscheduler.triggers.interval as interval
import msgspec

from watchkeeper.daemon.config.load import load
from watchkeeper.daemon.service import Daemon
from watchkeeper.daemon.topics import kinds_of
from watchkeeper.daemon.transport.memory import MemoryBroker, MemorySink, MemorySource
from watchkeeper.daemon.transport.ports import Message
from watchkeeper.detectors.types import Label, Prediction, PredictionValue, moment

HOUR, DAY = 3_600.0, 86_400.0
STEPS = (0.0, HOUR, 0.0, -HOUR, 0.0, DAY, 0.0, -DAY, 0.0)
STEP_S = 0.8
_WINDOW_S = 0.2
_PER_WINDOW = 40
_TIMERS: tuple[Any, ...] = (schedulers, executors, interval)
_real = time.time
_skew = 0.0


class WrongTime(datetime):
    """What Python's own classes say once somebody has set the clock."""

    @classmethod
    def now(cls, tz: tzinfo | None = None) -> datetime:  # type: ignore[override]
        """As the clock on the wall has it."""
        return datetime.fromtimestamp(time.time(), tz)


@contextmanager
def wrong_clocks() -> Iterator[Callable[[float], None]]:
    """Makes the clock on the wall settable, also for the timers; the way to set it."""

    def put(skew: float) -> None:
        global _skew
        _skew = skew

    time.time = lambda: _real() + _skew
    for module in _TIMERS:
        module.datetime = WrongTime
    try:
        yield put
    finally:
        put(0.0)
        time.time = _real
        for module in _TIMERS:
            module.datetime = datetime


def live_by_wrong_clocks(folder: Path, database: str) -> int:
    """Healthy traffic in real time, dated rightly by others, while our own clock jumps."""
    config = load([], {}, _settings(folder, database))
    broker = MemoryBroker({f"watchkeeper.{name}": 1 for name in ("predictions", "labels")})
    with wrong_clocks() as put:
        source = MemorySource(broker, list(kinds_of(config)))
        daemon = Daemon(config, source, MemorySink(broker), clock=time.time)
        daemon.start()
        coming, pause = traffic(broker, _real, _WINDOW_S / _PER_WINDOW), threading.Event()
        for skew in STEPS:
            put(skew)
            until = time.monotonic() + STEP_S
            while time.monotonic() < until:
                next(coming)
                daemon.turn(0.01)
                pause.wait(0.01)
        daemon.loop.checkpoint()
        daemon.close()
    return 0


def _settings(folder: Path, database: str) -> dict[str, Any]:
    return {
        "daemon": {"instance": "one", "state_dir": str(folder), "log_level": "warning"},
        "database": {"url": database},
        "checkpoint": {"seconds": 0.1},
        "defaults": {
            "window": f"{_WINDOW_S * 1000:g}ms",
            "lateness": "500ms",
            "learn": 400,
            # What a test machine does with a process makes volumes uneven.
            "without": ["volume/*:seasonal", "volume/*:robust_z"],
        },
    }


def traffic(broker: MemoryBroker, now: Callable[[], float], gap_s: float) -> Iterator[None]:
    """Publishes what has come due since the last time, an event each `gap_s`."""
    chance = random.Random(5)
    began = now()
    for n in itertools.count():
        at = began + n * gap_s
        while at > now():
            yield
        truth = chance.random() < 0.5
        answer = truth if chance.random() < 0.93 else not truth
        request = f"r{n}"
        prediction = Prediction(
            id=f"p{n}",
            time=moment(at),
            model_name="steady",
            model_version="1",
            request_id=request,
            features={"amount": chance.gauss(50, 12)},
            prediction=PredictionValue(label="yes" if answer else "no"),
            duration_s=round(chance.lognormvariate(-3, 0.3), 5),
        )
        label = Label(
            id=f"l{n}",
            time=moment(at),
            model_name="steady",
            request_id=request,
            label="yes" if truth else "no",
        )
        for topic, event in (("predictions", prediction), ("labels", label)):
            value = msgspec.json.encode(event)
            broker.publish(Message(f"watchkeeper.{topic}", b"steady", value), at)
