"""The sample of a window's rows is the same however events are cut and merged."""

from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.examples import examples
from watchkeeper.detectors.joint.rows import (
    MISSING,
    MOST,
    Rows,
    bins_of,
    candidates,
    coded,
    sampled,
)
from watchkeeper.detectors.keys import Keys
from watchkeeper.detectors.profile import JOINT_FEATURES

NAME = "rows:x"


def keys(random: np.random.Generator, n: int) -> Keys:
    return random.integers(1, 2**64 - 1, n, dtype=np.uint64)


def test_values_fall_into_their_bins() -> None:
    column = np.array([-np.inf, -1.0, 0.0, 5.0, np.nan, np.inf])

    bins = coded([column, None], [np.array([0.0, 2.0]), np.array([1.0])], 6)

    assert bins.shape == (6, JOINT_FEATURES)
    assert bins[:, 0].tolist() == [MISSING, 0, 1, 2, MISSING, MISSING]
    assert (bins[:, 1:] == MISSING).all()


def test_bins_are_read_back() -> None:
    random = np.random.default_rng(1)
    bins = random.integers(0, 256, (20, JOINT_FEATURES)).astype(np.uint8)
    lowest = np.sort(keys(random, 20))

    np.testing.assert_array_equal(bins_of(sampled(lowest, bins)), bins)


@settings(max_examples=examples(40), deadline=None)
@given(st.integers(0, 2**32 - 1), st.sets(st.integers(0, 2_000)), st.randoms())
def test_cut_order_and_what_is_left_out_early_do_not_matter(
    seed: int, cuts: set[int], order: Any
) -> None:
    random = np.random.default_rng(seed)
    n = int(random.integers(1, 2_000))
    mine = keys(random, n)[random.integers(0, n, n)]  # some come twice
    bins = random.integers(0, 33, (n, JOINT_FEATURES)).astype(np.uint8)
    whole, pieces = Rows({NAME: sampled(mine, bins)}), Rows()
    parts = np.split(np.arange(n), sorted(cut for cut in cuts if cut < n))
    order.shuffle(parts)

    for rows in parts:
        rows = rows[candidates(mine[rows], pieces.get(NAME))]
        pieces.merge({NAME: sampled(mine[rows], bins[rows])})

    assert len(whole[NAME]) <= MOST
    np.testing.assert_array_equal(pieces[NAME], whole[NAME], strict=True)


def test_rows_coded_by_different_references_are_kept_apart() -> None:
    random = np.random.default_rng(2)
    bins = np.zeros((3, JOINT_FEATURES), dtype=np.uint8)
    part = Rows()

    part.merge({"rows:x": sampled(keys(random, 3), bins)})
    part.merge({"rows:y": sampled(keys(random, 3), bins)})

    assert {name: len(rows) for name, rows in part.items()} == {"rows:x": 3, "rows:y": 3}
