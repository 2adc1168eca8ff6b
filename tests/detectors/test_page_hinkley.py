"""Page-Hinkley."""

from __future__ import annotations

import numpy as np

from tests.detectors.streams import fired, samples, steps
from watchkeeper.detectors.page_hinkley import PageHinkley


def test_a_larger_shift_is_found_sooner() -> None:
    noise = np.random.default_rng(1).normal(0, 1, 600)

    delays = [
        fired(PageHinkley(), samples(noise + steps((0, 300), (shift, 300))))[0] - 300
        for shift in (1.5, 3, 6)
    ]

    assert delays == sorted(delays, reverse=True)
    assert delays[-1] < 10


def test_what_delta_tolerates_is_not_found() -> None:
    values = np.random.default_rng(2).normal(0, 1, 900) + steps((0, 300), (0.8, 600))

    assert fired(PageHinkley(delta=0.1), samples(values))
    assert not fired(PageHinkley(delta=1.5), samples(values))
