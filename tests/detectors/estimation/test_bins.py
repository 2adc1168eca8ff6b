"""Scores in bins."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from tests.detectors.estimation.made import SCORES, drawn
from watchkeeper.detectors.estimation.bins import (
    HALF,
    MIDDLE,
    SAID_FROM_HALF,
    said_from_top,
    score_bins,
    score_counts,
    spread,
    truth_counts,
)
from watchkeeper.detectors.signals.accuracy import SCORE_BINS, SCORE_EDGES


def test_the_bins_are_those_of_labelled_windows() -> None:
    scores = np.random.default_rng(1).random(500)

    assert np.array_equal(score_bins(scores), np.searchsorted(SCORE_EDGES, scores, side="right"))


def test_one_half_begins_a_bin() -> None:
    below, half = score_bins(np.array([np.nextafter(0.5, 0), 0.5]))

    assert (below, half) == (HALF - 1, HALF)
    assert SAID_FROM_HALF[HALF - 1] == 0.0
    assert SAID_FROM_HALF[HALF] == 1.0


def test_the_middle_of_a_bin_is_in_it() -> None:
    assert np.array_equal(score_bins(MIDDLE), np.arange(SCORE_BINS))


@given(SCORES)
def test_what_is_no_probability_is_not_counted(pairs: list[tuple[float, bool]]) -> None:
    scores = np.array([score for score, _ in pairs], dtype=np.float64)
    truths = np.array([truth for _, truth in pairs], dtype=np.bool_)
    usable = (scores >= 0) & (scores <= 1)

    counts = truth_counts(scores, truths)

    assert counts.sum() == usable.sum()
    assert counts[1].sum() == (usable & truths).sum()
    assert np.array_equal(counts.sum(axis=0), score_counts(scores))


@given(st.integers(0, 10_000), st.floats(0.05, 0.95))
def test_any_threshold_is_found_from_how_many_were_positive(seed: int, threshold: float) -> None:
    scores, _ = drawn(seed, 300)
    counts = score_counts(scores)

    share = said_from_top(counts, np.array((scores >= threshold).sum()))

    assert np.isclose((share * counts).sum(), (scores >= threshold).sum())
    assert np.all(np.diff(share[counts > 0]) >= 0)
    assert np.count_nonzero((share[counts > 0] > 0) & (share[counts > 0] < 1)) <= 1


@given(
    st.lists(st.floats(0, 1), max_size=31),
    st.integers(0, 100),
    st.sampled_from([0, 1, 7]),
)
def test_coarse_counts_keep_their_sum_when_spread(
    edges: list[float], seed: int, known: int
) -> None:
    cuts = np.unique(np.array(edges, dtype=np.float64))
    coarse = np.random.default_rng(seed).integers(0, 50, (2, len(cuts) + 1))

    fine = spread(coarse, cuts, np.full(SCORE_BINS, known))

    assert fine.shape == (2, SCORE_BINS)
    assert np.all(fine >= 0)
    assert np.allclose(fine.sum(axis=1), coarse.sum(axis=1))


def test_spread_counts_lie_where_those_known_lie() -> None:
    scores, _ = drawn(1, 50_000)
    edges = np.quantile(scores, np.arange(1, 32) / 32)
    coarse = np.bincount(np.searchsorted(edges, scores, side="right"), minlength=32)
    known = score_counts(scores)

    fine = spread(coarse, edges, known)

    assert np.abs(fine - known).sum() < 0.05 * known.sum()
