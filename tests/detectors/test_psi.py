"""The population stability index."""

from __future__ import annotations

import numpy as np
import pytest

from tests.detectors.streams import histograms
from watchkeeper.detectors.psi import Psi


def test_the_statistic_is_the_index() -> None:
    given = histograms(np.array([[2_000, 8_000]]), np.array([5_000, 5_000]))

    found = Psi().update(given)[0]

    expected = (0.2 - 0.5) * np.log(0.2 / 0.5) + (0.8 - 0.5) * np.log(0.8 / 0.5)
    assert found.statistic == pytest.approx(expected, rel=1e-3)
    assert found.threshold == 0.1


def test_small_windows_have_a_higher_level() -> None:
    usual = np.array([5_000, 5_000])

    small, large = (
        Psi(min_effect=0.0).update(histograms(np.array([[0, n]]), usual))[0] for n in (100, 5_000)
    )

    assert small.threshold > 10 * large.threshold
