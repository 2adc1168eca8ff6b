"""Somebody sets the clock by an hour or a day: no false incident, no job missed or done twice."""

from __future__ import annotations

import time
from itertools import pairwise
from pathlib import Path

import pytest

from tests.faults.clock import DAY, HOUR, STEP_S, STEPS, wrong_clocks
from tests.faults.life import Life
from tests.faults.zygote import Wish, Zygote
from tests.services.base import wait_until
from watchkeeper.daemon.actions.timers import Timers
from watchkeeper.daemon.storage.store import Store

_EVERY_S = 0.1
_ENOUGH = 5


@pytest.mark.slow
@pytest.mark.timeout(180)
def test_a_clock_that_is_set_raises_no_alarm(tmp_path: Path, zygote: Zygote) -> None:
    url = f"sqlite:///{tmp_path}/w.db"
    life = Life(folder=str(tmp_path), database=url, registry="", fault="wrong clocks")

    ended = zygote.fulfil(Wish(life=life))

    assert ended.done
    store = Store(url)
    read = store.records.offsets()
    assert store.records.incidents() == []
    assert store.records.dead_letters() == []
    assert store.records.models() == ["steady"]
    assert min(n or 0 for p, n in read.items()) > 0.8 * len(STEPS) * STEP_S / 0.2 * 40
    store.close()


@pytest.mark.parametrize("skew", [HOUR, -HOUR, DAY, -DAY])
def test_periodic_work_goes_on_when_the_clock_is_set(skew: float) -> None:
    done: list[float] = []
    timers, began = Timers(), time.monotonic()
    timers.every(_EVERY_S, "work", lambda: done.append(time.monotonic()))
    with wrong_clocks() as put:
        timers.start()
        try:
            wait_until(lambda: len(done) >= _ENOUGH, 10.0, "work before the clock is set")
            put(skew)
            before = len(done)
            wait_until(lambda: len(done) >= before + _ENOUGH, 10.0, "work by a wrong clock")
            put(0.0)
            before = len(done)
            wait_until(lambda: len(done) >= before + _ENOUGH, 10.0, "work by a right clock")
        finally:
            timers.stop(5.0)
    # On a busy machine one may be late, and the next one is not.
    assert len(done) <= (done[-1] - began) / _EVERY_S + 1, "done twice"
    assert max(b - a for a, b in pairwise(done)) < 2.0, "missed"
