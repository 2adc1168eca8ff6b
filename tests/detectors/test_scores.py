"""Closed forms against their definitions."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binom, chi2, norm

from watchkeeper.detectors.scores import (
    LARGEST_SCORE,
    chi_square_limit,
    normal_cdf,
    score,
    share_error,
    share_noise,
)

shares = st.floats(0, 1)


@pytest.mark.parametrize("alpha", [1e-2, 1e-4, 1e-6, 1e-9])
@pytest.mark.parametrize("freedom", [1, 2, 9, 31, 63])
def test_the_chi_square_limit(alpha: float, freedom: int) -> None:
    assert chi_square_limit(alpha, freedom) == pytest.approx(chi2.isf(alpha, freedom), rel=1e-6)


@given(st.floats(-30, 30))
def test_the_normal_distribution(z: float) -> None:
    assert normal_cdf(z) == pytest.approx(norm.cdf(z), abs=1e-12)


@pytest.mark.parametrize(("events", "p"), [(8, 0.01), (12, 0.01), (20, 0.05), (40, 0.1)])
def test_the_score_of_a_share_has_the_binomial_tail(events: int, p: float) -> None:
    z = (events / 200 - p) / share_noise(events / 200, p, 200)

    assert z == pytest.approx(norm.isf(binom.sf(events - 1, 200, p)), rel=0.2)


@given(shares, shares, st.integers(0, 10**9))
def test_the_noise_of_a_share_is_positive_and_finite(x: float, p: float, n: int) -> None:
    assert 0 < share_noise(x, p, max(n, 1)) < math.inf
    assert 0 < share_error(p, n) < math.inf


@given(st.floats(-1e300, 1e300), st.floats(0, 1e300))
def test_a_score_is_finite_and_has_the_sign_of_the_change(change: float, unit: float) -> None:
    found = score(change, unit)

    assert abs(found) <= LARGEST_SCORE
    assert found * change >= 0
