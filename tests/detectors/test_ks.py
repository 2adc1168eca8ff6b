"""The two-sample Kolmogorov-Smirnov test on bins."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import ks_2samp

from tests.detectors.streams import histograms
from watchkeeper.detectors.ks import Ks


def test_the_statistic_is_that_of_the_values() -> None:
    random = np.random.default_rng(1)
    seen, usual = random.normal(1, 1, 400), random.normal(0, 1, 2_000)
    edges = np.linspace(-5, 6, 2_000)
    counts = np.histogram(seen, edges)[0], np.histogram(usual, edges)[0]

    found = Ks().update(histograms(counts[0][None], counts[1]))[0]

    assert found.statistic == pytest.approx(ks_2samp(seen, usual).statistic, abs=0.02)


def test_the_threshold_is_smirnovs() -> None:
    found = Ks(alpha=0.01).update(histograms(np.array([[10, 90]]), np.array([50, 50])))[0]

    assert found.threshold == pytest.approx(1.628 * np.sqrt(2 / 100), rel=1e-3)
