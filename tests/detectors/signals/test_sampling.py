from __future__ import annotations

import numpy as np
import pytest

from watchkeeper.detectors.signals._sampling import known_rate_error, psi, psi_expected, rate_error


def test_rate_error_covers_the_truth_as_often_as_it_says() -> None:
    hits = np.random.default_rng(1).binomial(200, 0.05, 4_000).tolist()

    held = [abs(h / 200 - 0.05) <= 1.96 * rate_error(h, 200) for h in hits]

    assert 0.92 < np.mean(held) < 0.99


def test_errors_of_rates_are_never_zero() -> None:
    assert rate_error(0, 10) > 0
    assert rate_error(10, 10) > 0
    assert known_rate_error(0, 100, 10) > 0
    assert known_rate_error(100, 100, 10) > 0


def test_psi_of_known_shares() -> None:
    counts, expected = np.array([7_000, 3_000]), np.array([50_000, 50_000])

    by_hand = 0.2 * np.log(0.7 / 0.5) - 0.2 * np.log(0.3 / 0.5)
    assert psi(counts, expected) == pytest.approx(by_hand, rel=1e-3)


def test_bins_that_nobody_uses_do_not_matter() -> None:
    bare = psi(np.array([5, 9]), np.array([50, 80]))

    assert psi(np.array([5, 9, 0]), np.array([50, 80, 0])) == bare


def test_psi_of_unchanged_data_is_as_expected() -> None:
    rng = np.random.default_rng(2)
    shares = np.full(16, 1 / 16)

    drawn = [
        psi(rng.multinomial(2_000, shares), rng.multinomial(3_000, shares)) for _ in range(500)
    ]

    mean, sd = psi_expected(16, 2_000, 3_000)
    assert np.mean(drawn) == pytest.approx(mean, rel=0.05)
    assert np.std(drawn) == pytest.approx(sd, rel=0.15)
