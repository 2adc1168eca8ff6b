from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import kstest, poisson

from watchkeeper.detectors.templates import evidence


def test_ranks_of_what_does_not_change_are_uniform() -> None:
    rng = np.random.default_rng(1)
    values = rng.poisson(0.7, size=(4_000, 33)).astype(float)
    u = np.array([evidence.uniform(i, 7) for i in range(4_000)])

    ranks = evidence.ranks(values[:, 0], values[:, 1:], np.full(4_000, 32), u)

    assert kstest(ranks, "uniform").pvalue > 0.001


def test_ranks_look_only_at_the_windows_there_were() -> None:
    history = np.array([[5.0, 6.0, 0.0, 0.0]])

    found = evidence.ranks(np.array([1.0]), history, np.array([2]), np.array([0.5]))

    assert found.tolist() == [pytest.approx(0.5 / 3)]


def test_bets_are_fair() -> None:
    z = np.random.default_rng(2).standard_normal(400_000)

    assert evidence.factors(z, z).mean(axis=0) == pytest.approx([1.0, 1.0], abs=0.15)


def test_evidence_never_overflows() -> None:
    held = np.full((1, 2), 1e249)

    for _ in range(100):
        held = evidence.grown(held, evidence.factors(np.array([7.0]), np.array([-7.0])))

    assert np.isfinite(held).all()


@pytest.mark.parametrize(("k", "mean"), [(1, 0.001), (3, 0.5), (10, 2.0), (200, 90.0), (5, 5.0)])
def test_tails_are_those_of_poisson(k: int, mean: float) -> None:
    assert evidence.more_than(k, mean) == pytest.approx(poisson.sf(k - 1, mean), rel=1e-6)


@pytest.mark.parametrize(("k", "mean", "p"), [(0, 1.0, 1.0), (3, 0.0, 0.0), (1, 50.0, 1.0)])
def test_tails_at_their_ends(k: int, mean: float, p: float) -> None:
    assert evidence.more_than(k, mean) == p


def test_the_distance_of_mixes() -> None:
    one, other, nothing = np.array([1.0, 0.0]), np.array([0.0, 3.0]), np.zeros(2)

    assert evidence.distance(one, one * 7) == pytest.approx(0.0)
    assert evidence.distance(one, other) == pytest.approx(1.0)
    assert evidence.distance(one, nothing) == 0.0


def test_uniform_numbers_hang_on_nothing_else() -> None:
    assert evidence.uniform(3, 4) == evidence.uniform(3, 4)
    assert evidence.uniform(3, 4) != evidence.uniform(4, 3)
    assert kstest([evidence.uniform(-1, i) for i in range(5_000)], "uniform").pvalue > 0.001
