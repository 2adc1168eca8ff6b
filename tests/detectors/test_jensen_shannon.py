"""The Jensen-Shannon distance."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.spatial.distance import jensenshannon

from tests.detectors.streams import histograms
from watchkeeper.detectors.jensen_shannon import JensenShannon


def test_the_statistic_is_the_distance_in_bits() -> None:
    given = histograms(np.array([[20_000, 30_000, 50_000]]), np.array([40_000, 40_000, 20_000]))

    found = JensenShannon().update(given)[0]

    expected = jensenshannon([0.2, 0.3, 0.5], [0.4, 0.4, 0.2], base=2)
    assert found.statistic == pytest.approx(expected, rel=1e-3)


def test_distributions_without_a_common_value_are_one_apart() -> None:
    given = histograms(np.array([[10**6, 0]]), np.array([0, 10**6]))

    assert JensenShannon().update(given)[0].statistic == pytest.approx(1.0, abs=1e-4)
