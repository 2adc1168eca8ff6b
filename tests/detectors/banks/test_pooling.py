"""Pooling bins in compiled loops gives what NumPy gives."""

from __future__ import annotations

import numpy as np
import pytest

from tests.compiled import needs_kernels
from watchkeeper.detectors.banks import pooling, pooling_fast
from watchkeeper.detectors.banks.columns import Counts


@needs_kernels
@pytest.mark.parametrize("seed", range(30))
def test_compiled_pools_are_the_same_to_the_last_bit(seed: int) -> None:
    random = np.random.default_rng(seed)
    rows, bins = int(random.choice([0, 1, 40, 700])), int(random.choice([1, 2, 8, 33]))
    spread = random.dirichlet(np.full(bins, random.choice([0.1, 1.0, 30.0])), rows)
    size = random.choice([0, 3, 100, 5_000], rows)
    counts = random.multinomial(size, spread).reshape(rows, bins)
    usual = random.multinomial(random.choice([0, 2, 2_000], rows), spread).reshape(rows, bins)
    if seed % 5 == 0:
        counts[random.random(counts.shape) < 0.1] = -3
    given: tuple[Counts, Counts] = (counts.astype(np.int64), usual.astype(np.int64))
    if seed % 2:
        given = (counts.astype(np.int32), usual.astype(np.int32))

    one, other = pooling.pooled(*given), pooling_fast.pooled(*given)

    for here, there in zip(one, other, strict=True):
        assert here.tobytes() == there.tobytes()


def test_neighbours_are_pooled_until_five_events_are_expected_in_each() -> None:
    counts = np.array([[10, 0, 10, 0, 0, 1], [0, 0, 0, 0, 0, 0], [1, 1, 1, 1, 1, 1]])

    found = pooling.pooled(counts, np.full((3, 6), 1_000))

    assert found.which.tolist() == [0]
    assert (found.n.tolist(), found.m.tolist(), found.groups.tolist()) == ([21.0], [6_000.0], [3])
    p, q = np.array([10.5, 10.5, 1.5]) / 22.5, 2_000.5 / 6_001.5
    np.testing.assert_allclose(found.ratio, p / q, rtol=1e-15)
    np.testing.assert_allclose(found.change, p - q, rtol=1e-15)
