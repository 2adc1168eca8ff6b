"""Samples as columns: choosing among them, and single ones as objects."""

from __future__ import annotations

import numpy as np

from tests.detectors.banks.twins import windows
from watchkeeper.detectors.suite import Watch

WATCH = Watch(signal="s", detector="psi")


def test_chosen_rows_and_columns_hold_the_same_samples() -> None:
    whole = windows(np.random.default_rng(1), WATCH, (4, 3), 1)[0]

    part = whole.take(np.array([3, 1])).pick(np.array([2, 0]))

    assert len(part) == 2
    assert part.targets == ("t2", "t0")
    for row, old_row in enumerate((3, 1)):
        for column, old_column in enumerate((2, 0)):
            one = part.sample(row, column, "m", "1")
            assert repr(one) == repr(whole.sample(old_row, old_column, "m", "1"))


def test_a_sample_has_the_bins_of_its_own_series() -> None:
    whole = windows(np.random.default_rng(2), WATCH, (4, 3), 1)[0]
    assert whole.bins is not None

    one = whole.sample(2, 1, "m", "1")

    assert one.counts is not None
    assert one.expected_counts is not None
    assert len(one.counts) == len(one.expected_counts) == whole.bins[2, 1]
    assert one.counts.dtype == np.int64
