"""What the detectors of distributions share: comparable bins of a window and its reference."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from watchkeeper.detectors.scores import chi_square_limit
from watchkeeper.detectors.types import FloatArray, IntArray, Sample

LEAST = 5.0  # events expected in a bin, below which chi-square's tail is not to be trusted
MOST = 1e15


@dataclass(frozen=True, slots=True)
class Histograms:
    """Counts of a window and of its reference over the same bins, none of them nearly empty."""

    seen: FloatArray
    expected: FloatArray

    @property
    def shares(self) -> tuple[FloatArray, FloatArray]:
        """Both as shares, with half an event more in every bin so that none is empty."""
        seen, expected = self.seen + 0.5, self.expected + 0.5
        return seen / seen.sum(), expected / expected.sum()

    @property
    def sizes(self) -> float:
        """1/n + 1/m: the variance that two samples of n and m events bring in."""
        return float(1.0 / self.seen.sum() + 1.0 / self.expected.sum())

    def chance(self, alpha: float) -> float:
        """What the sum of squared relative differences passes by chance with probability alpha."""
        return self.sizes * chi_square_limit(alpha, len(self.seen) - 1)


def histograms(sample: Sample) -> Histograms | None:
    """The sample's histograms, where they can be compared.

    Neighbouring bins are pooled until at least five events are expected in each.
    """
    if sample.counts is None or sample.expected_counts is None:
        return None
    if sample.counts.shape != sample.expected_counts.shape:
        return None
    seen, expected = _clean(sample.counts), _clean(sample.expected_counts)
    n, m = float(seen.sum()), float(expected.sum())
    if n == 0.0 or m == 0.0:
        return None
    starts = _groups((seen + expected) * (min(n, m) / (n + m)))
    if len(starts) < 2:
        return None
    return Histograms(np.add.reduceat(seen, starts), np.add.reduceat(expected, starts))


def _clean(counts: IntArray) -> FloatArray:
    return np.clip(counts.astype(np.float64), 0.0, MOST)


def _groups(mass: FloatArray) -> list[int]:
    starts, held = [0], 0.0
    for place, each in enumerate(mass.tolist()):
        if held >= LEAST:
            starts.append(place)
            held = 0.0
        held += each
    if held < LEAST and len(starts) > 1:
        starts.pop()
    return starts
