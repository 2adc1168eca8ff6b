"""ADWIN."""

from __future__ import annotations

import numpy as np

from tests.detectors.streams import fired, samples, steps
from watchkeeper.detectors.adwin import Adwin


def test_a_shift_of_one_sigma_takes_less_than_a_hundred_windows() -> None:
    delays = []
    for seed in range(10):
        values = np.random.default_rng(seed).normal(0, 1, 600) + steps((0, 300), (1, 300))
        delays.append(fired(Adwin(), samples(values))[0] - 300)

    assert np.median(delays) < 100


def test_a_long_memory_finds_what_a_short_one_cannot() -> None:
    values = np.random.default_rng(1).normal(0, 1, 1500) + steps((0, 700), (0.6, 800))

    assert fired(Adwin(memory=2_000), samples(values))
    assert not fired(Adwin(memory=30), samples(values))
