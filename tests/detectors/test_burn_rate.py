"""Burn rates of an error budget."""

from __future__ import annotations

import numpy as np

from tests.detectors.streams import fired, samples, steps
from watchkeeper.detectors.burn_rate import BurnRate
from watchkeeper.detectors.types import FloatArray

DAY = 1_440


def errors(share: FloatArray, n: int = 100) -> FloatArray:
    return np.random.default_rng(1).binomial(n, share) / n


def test_within_the_objective_nothing_is_found() -> None:
    assert not fired(BurnRate(objective=0.99), samples(errors(np.full(3 * DAY, 0.009)), 100))


def test_a_fast_burn_is_found_within_minutes_and_ends_soon_after_the_fault() -> None:
    share = errors(steps((0.002, DAY), (0.6, 60), (0.002, DAY)))

    found = fired(BurnRate(objective=0.99), samples(share, 100))

    assert DAY < found[0] < DAY + 20
    assert found[-1] < DAY + 60 + 30
    assert len(found) > 40


def test_a_slow_burn_takes_longer_but_is_found() -> None:
    share = errors(steps((0.002, DAY), (0.08, 600)))

    found = fired(BurnRate(objective=0.99), samples(share, 100))

    assert DAY + 120 < found[0] < DAY + 360


def test_a_single_bad_minute_of_little_traffic_is_no_burn() -> None:
    share, n = np.zeros(DAY), np.full(DAY, 1_000)
    share[700], n[700] = 1.0, 10

    assert not fired(BurnRate(objective=0.99), samples(share, n))


def test_what_is_remembered_is_bounded_however_short_the_windows() -> None:
    detector = BurnRate()

    detector.update(samples(np.zeros(20_000), 10, width=0.5))

    assert len(detector.state()["_buckets"]) <= 361
