"""The sample of reference rows."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from watchkeeper.detectors.estimation.rows import Rows
from watchkeeper.detectors.types import StateError


def rows(seed: int, n: int, keys: int = 1_000) -> Rows:
    random = np.random.default_rng(seed)
    return Rows(
        random.integers(0, keys, n).astype(np.uint64),
        random.integers(-1, 40, (n, 3)),
        random.integers(-1, 512, n),
        random.random(n) < 0.5,
    )


def same(one: Rows, other: Rows) -> bool:
    return one.dump() == other.dump()


@given(st.integers(0, 1_000), st.integers(0, 60), st.integers(1, 30))
def test_the_sample_hangs_neither_on_order_nor_on_parts(seed: int, n: int, capacity: int) -> None:
    a, b, c = rows(seed, n, 50), rows(seed + 1, 20, 50), rows(seed + 2, 20, 50)

    left = a.merged(b, capacity).merged(c, capacity)
    right = c.merged(b.merged(a, capacity), capacity)

    assert same(left, right)
    assert len(left) <= capacity
    assert same(left, left.merged(left, capacity))


def test_odd_rows_are_left_out() -> None:
    kept = rows(1, 500).sampled()

    assert kept.score.min() >= 0
    assert kept.codes.min() >= 0


def test_rows_read_back_and_refuse_what_is_damaged() -> None:
    kept = rows(1, 100).sampled()

    assert same(Rows.load(kept.dump(), 3), kept)
    assert len(Rows.load(Rows.none(3).dump(), 3)) == 0
    with pytest.raises(StateError):
        Rows.load(kept.dump()[:-1], 3)
    with pytest.raises(StateError):
        Rows.load(kept.dump(), 4)
    with pytest.raises(StateError):
        Rows.load(kept.dump()[:8] + kept.dump()[8:][::-1], 3)
