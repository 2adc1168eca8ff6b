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


def test_a_failure_at_the_very_beginning_is_no_burn() -> None:
    assert not fired(BurnRate(), samples(np.array([1.0]), 1))
    assert not fired(BurnRate(), samples(np.array([1.0, *np.zeros(60)]), 100))


def test_an_outage_from_the_beginning_is_found_once_it_costs_what_it_may_of_an_hour() -> None:
    # 14.4 times 1 % of an hour are 8.6 minutes, with the time before taken as good.
    assert fired(BurnRate(objective=0.99), samples(np.ones(60), 100))[0] == 8


def test_a_failure_after_hours_without_traffic_is_no_burn() -> None:
    detector = BurnRate(objective=0.999)
    shares, n = np.zeros(240), np.full(240, 100)
    shares[-1], n[60:], n[-1] = 1.0, 0, 1

    assert not fired(detector, samples(shares, n))


def test_what_is_remembered_is_bounded_however_short_the_windows() -> None:
    detector = BurnRate()

    detector.update(samples(np.zeros(20_000), 10, width=0.5))

    assert len(detector.state()["_buckets"]) <= 361
