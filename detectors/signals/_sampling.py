"""What the signals share: making samples of a closed window, and the errors of rates."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from watchkeeper.detectors.types import IntArray, Sample, Series, Window

NAN = float("nan")


@dataclass(frozen=True, slots=True)
class Closed:
    """A closed window of one signal of one version: makes its samples."""

    model: str
    version: str
    signal: str
    window: Window

    def sample(
        self,
        target: str,
        value: float,
        n: int,
        *,
        stderr: float = NAN,
        expected: float = NAN,
        counts: IntArray | None = None,
        expected_counts: IntArray | None = None,
    ) -> Sample:
        """The sample of one target."""
        series = Series(self.model, self.version, self.signal, target)
        return Sample(
            series, self.window, float(value), n, stderr, expected, counts, expected_counts
        )

    def rate(self, target: str, hits: int, n: int) -> Sample:
        """The share of hits, with its own standard error."""
        return self.sample(target, hits / n, n, stderr=rate_error(hits, n))

    def rate_against(self, target: str, hits: int, n: int, known: int, of: int) -> Sample:
        """The share of hits, with the reference's share and the error expected under it."""
        expected = known / of if of else NAN
        return self.sample(
            target, hits / n, n, stderr=known_rate_error(known, of, n), expected=expected
        )

    def stability(self, target: str, counts: IntArray, expected_counts: IntArray) -> Sample:
        """The population stability index of a histogram, with its counts; neither is empty."""
        n, of = int(counts.sum()), int(expected_counts.sum())
        bins = int(np.count_nonzero((counts > 0) | (expected_counts > 0)))
        expected, stderr = psi_expected(bins, n, of)
        return self.sample(
            target,
            psi(counts, expected_counts),
            n,
            stderr=stderr or NAN,
            expected=expected,
            counts=counts,
            expected_counts=expected_counts,
        )


def rate_error(hits: int, n: int) -> float:
    """Binomial standard error of a rate, never zero: Agresti and Coull (1998), +2 and +4."""
    p = (hits + 2) / (n + 4)
    return math.sqrt(p * (1 - p) / (n + 4))


def known_rate_error(known: int, of: int, n: int) -> float:
    """Binomial standard error of a rate over n events where the reference saw `known` of `of`.

    Jeffreys' half keeps it above zero where the reference saw none or nothing else.
    """
    if not of:
        return NAN
    p = (known + 0.5) / (of + 1)
    return math.sqrt(p * (1 - p) / n)


def psi(counts: IntArray, expected: IntArray) -> float:
    """Population stability index of counts against the reference's over the same bins.

    Bins that are empty on both sides say nothing; half a count keeps the logarithm finite.
    """
    used = (counts > 0) | (expected > 0)
    p, q = counts[used] + 0.5, expected[used] + 0.5
    p, q = p / p.sum(), q / q.sum()
    return float(((p - q) * np.log(p / q)).sum())


def psi_expected(bins: int, n: int, of: int) -> tuple[float, float]:
    """Mean and standard deviation of the index where nothing has changed.

    It is then about (1/n + 1/of) times a chi-square of bins - 1 degrees of freedom
    (Yurdakul and Naranjo, Journal of Risk Model Validation 14, 2020).
    """
    unit = 1 / n + 1 / of
    return (bins - 1) * unit, math.sqrt(2 * (bins - 1)) * unit
