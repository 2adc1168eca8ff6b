"""Scores and truths made for the tests of estimates, and strategies for odd counts."""

from __future__ import annotations

import numpy as np
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from watchkeeper.detectors.estimation.bins import truth_counts
from watchkeeper.detectors.signals.accuracy import SCORE_BINS
from watchkeeper.detectors.types import BoolArray, FloatArray, IntArray

Drawn = tuple[FloatArray, BoolArray]

# Sparse counts of a window, and odd ones.
TRUTHS = arrays.arrays(np.int64, (2, SCORE_BINS), elements=st.integers(0, 50), fill=st.just(0))
ODD_TRUTHS = arrays.arrays(
    np.int64, (2, SCORE_BINS), elements=st.integers(-5, 2**31), fill=st.just(0)
)
# Few enough to be compared with what rows say.
SCORES = st.lists(
    st.tuples(st.floats(0, 1) | st.sampled_from([float("nan"), -1.0, 2.0]), st.booleans()),
    max_size=60,
)


def drawn(seed: int, n: int, bent: float = 1.0, raised: float = 0.0) -> Drawn:
    """Scores of a model, and truths whose log-odds are `bent` times its own and `raised`."""
    random = np.random.default_rng(seed)
    log_odds = random.normal(0.0, 2.0, n)
    chance = 1.0 / (1.0 + np.exp(-(bent * log_odds + raised)))
    return 1.0 / (1.0 + np.exp(-log_odds)), random.random(n) < chance


def stretches(seed: int, count: int, n: int = 2_000, bent: float = 1.0) -> IntArray:
    """Truth counts of so many windows of n predictions, (count, 2, SCORE_BINS)."""
    return np.stack([truth_counts(*drawn(1_000 * seed + i, n, bent)) for i in range(count)])
