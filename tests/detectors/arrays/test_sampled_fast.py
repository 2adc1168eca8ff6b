"""Compiled loops sample windows as NumPy does, to the last bit."""

from __future__ import annotations

import numpy as np
import pytest

from tests.compiled import needs_kernels
from watchkeeper.detectors.arrays import rates, sampled_fast, sampled_serving
from watchkeeper.detectors.arrays.tally import DURATIONS

pytestmark = needs_kernels


@pytest.mark.parametrize("seed", range(20))
def test_quantiles_are_the_same(seed: int) -> None:
    random = np.random.default_rng(seed)
    rows, spread = int(random.integers(1, 60)), float(random.choice([1.0, 20.0, 80.0]))
    buckets = np.zeros((rows, DURATIONS), dtype=np.int32)
    for row in buckets:
        n = int(random.choice([1, 2, 3, 40, 5_000]))
        places = random.normal(random.integers(DURATIONS), spread, n).astype(np.int64)
        np.add.at(row, np.clip(places, 0, DURATIONS - 1), 1)

    one = sampled_serving._quantiles(buckets)
    other = sampled_fast.quantiles(buckets, sampled_serving.MIDDLES, sampled_serving.SHARES)

    for here, there in zip(one, other, strict=True):
        np.testing.assert_array_equal(here, there, strict=True)
        assert here.tobytes() == there.tobytes()


def test_a_window_without_durations_does_not_disturb_the_others() -> None:
    buckets = np.zeros((3, DURATIONS), dtype=np.int32)
    buckets[1, 7] = 5

    n, value, _ = sampled_fast.quantiles(buckets, sampled_serving.MIDDLES, sampled_serving.SHARES)

    assert n[:, 0].tolist() == [0, 5, 0]
    assert (value[1] == sampled_serving.MIDDLES[7]).all()


@pytest.mark.parametrize("seed", range(20))
@pytest.mark.parametrize("bins", [1, 5, 8, 34, 128])
def test_stability_is_the_same(seed: int, bins: int) -> None:
    random = np.random.default_rng(seed)
    shape = int(random.integers(1, 20)), int(random.integers(1, 12))
    shares = random.dirichlet(np.full(bins, random.choice([0.05, 1.0, 30.0])), shape)
    counts = random.multinomial(random.choice([0, 3, 200, 9_000], shape), shares)
    usual = random.multinomial(random.choice([0, 2_000], shape), shares)
    given = counts.astype(np.int32), usual.astype(np.int32)

    with np.errstate(all="ignore"):
        one, other = rates._stability(*given), sampled_fast.stability(*given)

    for here, there in zip(one, other, strict=True):
        np.testing.assert_array_equal(here, there)


@pytest.mark.parametrize("n", range(sampled_fast.WIDEST + 1))
def test_numbers_are_added_up_in_the_order_of_numpy(n: int) -> None:
    random = np.random.default_rng(n)
    for _ in range(5):
        terms = random.normal(size=(1, n)) * 10.0 ** random.integers(-12, 12, (1, n))
        value = np.zeros((1, 1))
        line = np.ones((1, 1))
        bins = np.full((1, 1), n)

        sampled_fast._indices(terms[0], line, line, bins, value, line.copy(), line.copy())

        assert value[0, 0] == terms.sum(axis=1)[0]
