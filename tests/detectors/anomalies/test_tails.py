"""How rare a score is."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.examples import examples
from watchkeeper.detectors.anomalies.tails import BINS, MOST, Counts, digits, learn, place_of
from watchkeeper.detectors.frames import FloatArray

MEMORY = 8_000


def history(scores: FloatArray) -> Counts:
    counts: Counts = np.zeros((1, BINS), dtype=np.float32)
    for score in scores.tolist():
        learn(counts, place_of(np.array([score])), np.ones(1, dtype=np.bool_), MEMORY)
    return counts


def said(counts: Counts, score: float) -> float:
    ratio = np.array([score])
    return float(digits(counts, ratio, place_of(ratio), 50)[0])


@pytest.fixture(scope="module")
def exponential() -> Counts:
    return history(np.random.default_rng(1).exponential(size=6_000))


@pytest.mark.parametrize("score", [0.1, 1.0, 3.0])
def test_what_is_common_has_the_digits_of_its_rank(exponential: Counts, score: float) -> None:
    assert said(exponential, score) == pytest.approx(score / np.log(10), abs=0.1)


def test_the_tail_goes_on_beyond_the_largest(exponential: Counts) -> None:
    assert said(exponential, 16.0) == pytest.approx(16 / np.log(10), rel=0.25)


def test_a_heavy_tail_is_known_as_one() -> None:
    pareto = history(np.random.default_rng(2).pareto(2.0, 6_000) + 1)

    assert said(pareto, 300.0) == pytest.approx(np.log10(300.0**2), rel=0.3)


def test_nothing_is_said_before_there_is_a_history() -> None:
    assert np.isnan(said(history(np.ones(49)), 5.0))


def test_a_history_of_nothing_makes_anything_rare() -> None:
    assert said(history(np.zeros(100)), 1e-9) == MOST
    assert said(history(np.zeros(100)), 0.0) == 0.0


def test_old_scores_fade() -> None:
    counts = history(np.concatenate([np.full(1_000, 5.0), np.full(3 * MEMORY, 1.0)]))

    assert counts.sum() <= MEMORY + 1
    assert said(counts, 5.0) > 3.0


@given(
    scores=st.lists(st.floats(0, 1e300), min_size=60, max_size=80),
    score=st.floats(0, 1e300),
    larger=st.floats(1, 1e6),
)
@settings(deadline=None, max_examples=examples(50))
def test_it_is_bounded_and_rises_within_a_bin(
    scores: list[float], score: float, larger: float
) -> None:
    counts = history(np.array(scores))

    low, high = said(counts, score), said(counts, min(score * larger, 1e300))

    assert 0.0 <= low <= MOST
    assert 0.0 <= high <= MOST
    assert high >= low - 0.5
