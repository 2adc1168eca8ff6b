"""KSWIN."""

from __future__ import annotations

import numpy as np

from tests.detectors.streams import fired, samples
from watchkeeper.detectors.kswin import Kswin


def test_a_change_of_the_spread_alone_is_found() -> None:
    random = np.random.default_rng(1)
    values = np.concatenate([random.normal(0, 1, 300), random.normal(0, 6, 100)])

    assert fired(Kswin(alpha=1e-3), samples(values))


def test_the_seed_decides_and_nothing_else() -> None:
    random = np.random.default_rng(2)
    values = np.concatenate([random.normal(0, 1, 300), random.normal(2, 1, 100)])

    same = [fired(Kswin(seed=5), samples(values)) for _ in range(2)]

    assert same[0] == same[1]
    assert same[0]
