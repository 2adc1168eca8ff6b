"""No traffic where there used to be some."""

from __future__ import annotations

import numpy as np

from tests.detectors.streams import fired, samples, steps
from watchkeeper.detectors.silence import Silence
from watchkeeper.detectors.types import FloatArray, Samples


def counts(values: FloatArray) -> Samples:
    return samples(values, n=values)


def poisson(seed: int, rate: float, length: int) -> FloatArray:
    return np.random.default_rng(seed).poisson(rate, length).astype(np.float64)


def test_a_busy_service_is_missed_in_the_second_silent_window() -> None:
    given = counts(np.concatenate([poisson(1, 200, 100), np.zeros(30), poisson(2, 200, 10)]))

    assert fired(Silence(), given) == list(range(101, 130))


def test_a_quiet_service_is_given_the_time_that_chance_would_need() -> None:
    found = fired(Silence(), counts(np.concatenate([poisson(3, 2, 500), np.zeros(60)])))

    assert 508 < found[0] < 530


def test_rare_and_random_traffic_does_not_fire() -> None:
    for seed in range(5):
        assert fired(Silence(), counts(poisson(seed, 0.7, 20_000))) == []


def test_traffic_that_pauses_now_and_then_is_given_its_pauses() -> None:
    batch = np.concatenate([poisson(4, 300, 20), np.zeros(10)])

    assert fired(Silence(warm_up=60), counts(np.tile(batch, 100))) == []


def test_a_pause_longer_than_all_others_fires() -> None:
    batch = np.concatenate([poisson(5, 300, 20), np.zeros(10)])
    given = counts(np.concatenate([np.tile(batch, 20), np.zeros(40)]))

    found = fired(Silence(warm_up=60), given)

    assert found[0] == 610
    assert found[-1] == 639


def test_a_daily_rhythm_does_not_fire() -> None:
    minutes = np.arange(14 * 1440)
    rate = 30 * (1.1 + np.sin(2 * np.pi * minutes / 1440))

    given = counts(np.random.default_rng(6).poisson(rate).astype(np.float64))

    assert fired(Silence(), given) == []


def test_nothing_is_said_where_nothing_was_ever_heard() -> None:
    assert fired(Silence(), counts(steps((0, 200)))) == []


def test_an_outage_is_not_learned_as_a_pause() -> None:
    once = np.concatenate([poisson(7, 100, 60), np.zeros(30)])

    found = fired(Silence(), counts(np.tile(once, 2)))

    assert found == [*range(61, 90), *range(151, 180)]
