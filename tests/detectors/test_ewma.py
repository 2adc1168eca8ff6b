"""The control chart on the smoothed value."""

from __future__ import annotations

import numpy as np
import pytest

from tests.detectors.streams import fired, samples, shares, steps
from watchkeeper.detectors.ewma import Ewma
from watchkeeper.detectors.types import Samples


def accuracy(seed: int, *parts: tuple[float, int]) -> Samples:
    return shares(np.random.default_rng(seed), steps(*parts), 200)


def test_eight_points_of_accuracy_are_found_within_a_few_windows() -> None:
    delays = []
    for seed in range(20):
        detector = Ewma(direction="down", share=True, min_change=0.04, weight=0.25)
        delays.append(fired(detector, accuracy(seed, (0.85, 100), (0.77, 40)))[0] - 99)

    assert min(delays) > 0
    assert np.median(delays) <= 5
    assert max(delays) <= 12


def test_it_fires_to_the_end_of_the_fault_and_then_stops() -> None:
    found = fired(Ewma(direction="down"), accuracy(1, (0.85, 100), (0.65, 200), (0.85, 100)))

    assert found == list(range(found[0], found[-1] + 1))
    assert found[0] <= 105
    assert 298 <= found[-1] <= 308


def test_a_single_window_however_far_out_does_not_fire() -> None:
    given = samples(steps((0.0, 100), (1e9, 1), (0.0, 100)), stderr=1.0)

    assert fired(Ewma(), given) == []


def test_an_outlier_does_not_blind_it() -> None:
    given = samples(steps((0.0, 100), (1e9, 1), (0.0, 20), (10.0, 5)), stderr=1.0)

    assert fired(Ewma(), given)[0] <= 123


@pytest.mark.parametrize("persistence", [0.0, 0.5, 0.95])
def test_neighbours_that_resemble_each_other_do_not_fire(persistence: float) -> None:
    random = np.random.default_rng(3)
    values = np.zeros(20_000)
    for i in range(1, len(values)):
        values[i] = persistence * values[i - 1] + random.normal()

    found = fired(Ewma(threshold=5.0, warm_up=200), samples(values))

    assert len(found) <= 3


def test_improvement_is_learned_in_silence() -> None:
    detector = Ewma(direction="down", share=True, min_change=0.04)
    detector.update(accuracy(4, (0.8, 200), (0.9, 3000)))

    found = detector.update(accuracy(5, (0.8, 20)))

    assert found
    assert found[0].expected == pytest.approx(0.9, abs=0.01)


def test_the_error_of_small_windows_is_a_floor() -> None:
    given = samples(steps((0.0, 50), (1.0, 10)), stderr=steps((0.01, 50), (2.0, 10)))

    assert fired(Ewma(), given) == []
