"""Comparable bins, and the level of every test on them."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from tests.detectors.streams import SERIES, fired, histograms
from watchkeeper.detectors.chi_square import ChiSquare
from watchkeeper.detectors.histograms import histograms as compared
from watchkeeper.detectors.jensen_shannon import JensenShannon
from watchkeeper.detectors.ks import Ks
from watchkeeper.detectors.psi import Psi
from watchkeeper.detectors.types import IntArray, Sample, Window

KINDS = [Psi, JensenShannon, ChiSquare, Ks]
Kind = type[Psi] | type[JensenShannon] | type[ChiSquare] | type[Ks]
every = pytest.mark.parametrize("kind", KINDS)


def drawn(seed: int, p: npt.NDArray[np.floating[Any]], n: int, windows: int) -> IntArray:
    counts: IntArray = np.random.default_rng(seed).multinomial(n, p, windows)
    return counts


def pair(counts: list[int], reference: list[int]) -> Sample:
    return Sample(
        SERIES,
        Window(0, 60),
        0.0,
        sum(counts),
        counts=np.array(counts),
        expected_counts=np.array(reference),
    )


@every
@pytest.mark.parametrize("bins", [2, 10, 32])
@pytest.mark.parametrize(("n", "m"), [(100, 2_000), (500, 2_000), (5_000, 2_000)])
def test_the_level_holds_whatever_the_sizes(kind: Kind, bins: int, n: int, m: int) -> None:
    p = np.full(bins, 1 / bins)
    false = 0
    for seed in range(20):
        reference = drawn(1_000 + seed, p, m, 1)[0]
        given = histograms(drawn(seed, p, n, 100), reference)
        false += len(kind(alpha=1e-3, min_effect=0.0, min_n=1).update(given))

    assert false <= 12


@every
def test_skewed_bins_keep_the_level(kind: Kind) -> None:
    p = 0.7 ** np.arange(40)
    p = p / p.sum()
    reference = drawn(1, p, 2_000, 1)[0]

    given = histograms(drawn(2, p, 200, 3_000), reference)

    assert len(kind(alpha=1e-5, min_effect=0.0).update(given)) <= 1


@every
def test_a_changed_distribution_is_found_while_it_lasts(kind: Kind) -> None:
    usual, changed = np.full(10, 0.1), np.linspace(0.01, 0.19, 10)
    reference = drawn(3, usual, 2_000, 1)[0]
    counts = np.concatenate(
        [drawn(4, usual, 300, 50), drawn(5, changed, 300, 30), drawn(6, usual, 300, 50)]
    )

    found = fired(kind(for_windows=2, alpha=1e-6), histograms(counts, reference))

    assert found == list(range(51, 80))


@every
def test_a_sure_change_too_small_to_matter_is_not_found(kind: Kind) -> None:
    given = histograms(np.array([[510_000, 490_000]]), np.array([500_000, 500_000]))

    assert kind().update(given) == []
    assert len(kind(min_effect=0.0).update(given)) == 1


@every
def test_few_events_are_no_drift(kind: Kind) -> None:
    given = histograms(np.array([[9, 1], [1, 9]]), np.array([500, 500]))

    assert kind(min_n=1).update(given) == []


def test_bins_are_pooled_until_each_expects_five() -> None:
    both = compared(pair([50, 1, 1, 1, 47], [500, 10, 10, 10, 470]))

    assert both is not None
    assert both.seen.tolist() == [50, 50]
    assert both.expected.tolist() == [500, 500]


def test_histograms_that_cannot_be_compared_are_not() -> None:
    assert compared(pair([0, 0], [5, 5])) is None
    assert compared(pair([5, 5], [0, 0])) is None
    assert compared(pair([1, 2], [1, 2])) is None
    assert compared(pair([50, 50, 50], [50, 50])) is None
    assert compared(Sample(SERIES, Window(0, 60), 0.0, 10)) is None
