"""The recent past, by median and spread."""

from __future__ import annotations

import numpy as np
import pytest

from tests.detectors.streams import fired, samples, shares, steps
from watchkeeper.detectors.robust_z import RobustZ


def noise(seed: int, length: int) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    return np.random.default_rng(seed).normal(0, 1, length)


def test_it_fires_in_every_window_of_a_fault_and_stops_with_it() -> None:
    given = samples(10 + noise(1, 300) + steps((0, 100), (12, 150), (0, 50)))

    assert fired(RobustZ(), given) == list(range(100, 250))


def test_a_fault_is_not_learned_however_long_it_lasts() -> None:
    detector = RobustZ(memory=50)
    detector.update(samples(noise(2, 100)))

    found = detector.update(samples(30 + noise(3, 1000)))

    assert len(found) == 1000
    assert abs(found[-1].expected) < 1


def test_the_harmless_direction_is_silent_and_learned() -> None:
    detector = RobustZ(direction="up", memory=60)
    given = samples(noise(4, 400) + steps((20, 100), (0, 200), (20, 100)))

    assert fired(detector, given)[0] == 300


def test_nothing_is_said_in_the_warm_up() -> None:
    given = samples(steps((0, 10), (100, 10)))

    assert fired(RobustZ(warm_up=30), given) == []


@pytest.mark.parametrize("floor", ["min_change", "min_ratio"])
def test_a_sure_change_too_small_to_matter_is_not_found(floor: str) -> None:
    given = samples(steps((1.0, 100), (1.19, 1), (1.25, 5)))

    detector = RobustZ(min_change=0.2) if floor == "min_change" else RobustZ(min_ratio=0.2)

    assert fired(detector, given) == list(range(101, 106))


def test_the_standard_error_of_small_windows_is_a_floor() -> None:
    given = samples(steps((1.0, 50), (2.0, 2)), stderr=[0.01] * 50 + [0.5, 0.01])

    assert fired(RobustZ(), given) == [51]


def test_logarithms_judge_ratios() -> None:
    quiet = 0.1 * np.exp(0.1 * noise(5, 100))
    given = samples(np.concatenate([quiet, [0.14, 0.25]]))

    assert fired(RobustZ(log=True, min_ratio=0.5), given) == [101]


def test_a_measure_that_has_spikes_may_have_two_in_a_row() -> None:
    values = noise(6, 500)
    values[-2:] += 20
    spiky = values.copy()
    spiky[100::15] += 20

    assert fired(RobustZ(for_windows=2), samples(values)) == [499]
    assert fired(RobustZ(for_windows=2), samples(spiky)) == []


def test_shares_of_few_events_do_not_fire_by_chance() -> None:
    detector = RobustZ(share=True, threshold=4.0, for_windows=2, min_change=0.02)

    assert fired(detector, shares(np.random.default_rng(7), np.full(5_000, 0.004), 150)) == []


def test_a_seasonal_day_is_followed() -> None:
    minutes = np.arange(3 * 1440)
    values = 30 + 15 * np.sin(2 * np.pi * minutes / 1440) + noise(8, len(minutes))

    assert fired(RobustZ(threshold=6.0, for_windows=5), samples(values)) == []


@pytest.mark.parametrize("level", [0.1, 1 / 3, 1.7e9 + 0.1, 1e-41, -1e-200, 1e39, -1e200])
def test_a_value_that_stays_is_no_change_however_it_is_rounded(level: float) -> None:
    assert fired(RobustZ(), samples(np.full(400, level))) == []


def test_noise_that_single_precision_cannot_hold_is_none() -> None:
    times = 1.7e9 + 5 * noise(9, 2_000)

    assert fired(RobustZ(), samples(times)) == []
    assert fired(RobustZ(), samples(np.append(times, [1.7e9 + 2_000]))) == [2_000]
