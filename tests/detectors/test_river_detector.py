"""What the detectors from river have in common."""

from __future__ import annotations

import numpy as np
import pytest

from tests.detectors.streams import fired, samples, steps
from watchkeeper.detectors.adwin import Adwin
from watchkeeper.detectors.kswin import Kswin
from watchkeeper.detectors.page_hinkley import PageHinkley

Kind = type[Adwin] | type[Kswin] | type[PageHinkley]
every = pytest.mark.parametrize("kind", [Adwin, Kswin, PageHinkley])


def noise(seed: int, length: int) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    return np.random.default_rng(seed).normal(0, 1, length)


@every
@pytest.mark.parametrize("scale", [1e-6, 1.0, 1e6])
def test_a_change_is_found_once_at_any_scale(kind: Kind, scale: float) -> None:
    for seed in range(5):
        given = samples(scale * (noise(seed, 400) + steps((0, 200), (3, 200))))

        found = fired(kind(), given)

        assert len(found) == 1
        assert 200 < found[0] < 260


@every
def test_direction_and_evidence_are_told(kind: Kind) -> None:
    found = kind().update(samples(noise(1, 400) + steps((0, 200), (-3, 200))))[0]

    assert found.direction == "down"
    assert found.statistic >= found.threshold > 0
    assert found.expected == pytest.approx(0, abs=0.5)


@pytest.mark.slow
@every
def test_steady_noise_is_silent(kind: Kind) -> None:
    found = sum(len(fired(kind(), samples(noise(seed, 1500)))) for seed in range(5))

    assert found == 0


@every
def test_after_a_change_the_new_level_is_normal_and_the_next_change_is_found(kind: Kind) -> None:
    given = samples(noise(2, 900) + steps((0, 300), (4, 300), (0, 300)))

    found = kind().update(given)

    assert [f.direction for f in found] == ["up", "down"]


@every
def test_values_that_never_varied_do_no_harm(kind: Kind) -> None:
    found = fired(kind(), samples(steps((5, 300), (6, 300))))

    assert len(found) == 1


@every
def test_inputs_are_bounded(kind: Kind) -> None:
    detector = kind(memory=150)
    detector.update(samples(noise(3, 1000)))

    assert len(detector.state()["_inputs"]) <= 150
