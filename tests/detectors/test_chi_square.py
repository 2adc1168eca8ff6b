"""The chi-square test."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import chi2, chi2_contingency

from tests.detectors.streams import histograms
from watchkeeper.detectors.chi_square import ChiSquare


def test_the_statistic_is_that_of_the_contingency_table() -> None:
    seen, usual = [130, 50, 20], [800, 900, 300]

    found = ChiSquare(min_effect=0.0).update(histograms(np.array([seen]), np.array(usual)))[0]

    expected = chi2_contingency([seen, usual], correction=False).statistic
    assert found.statistic == pytest.approx(expected)
    assert found.threshold == pytest.approx(chi2.isf(1e-6, 2), rel=1e-6)
