"""Samples of one series, made from arrays; and what a detector made of them."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from watchkeeper.detectors.types import Detector, FloatArray, IntArray, Samples, Series

SERIES = Series("model", "1", "signal", "target")
WIDTH = 60.0

Numbers = npt.ArrayLike


def samples(
    value: Numbers,
    n: Numbers = 200,
    stderr: Numbers = np.nan,
    expected: Numbers = np.nan,
    *,
    width: float = WIDTH,
) -> Samples:
    """Windows one after another; a single number stands for all of them."""
    values = np.asarray(value, dtype=np.float64)
    start: FloatArray = np.arange(len(values)) * np.float64(width)
    at: FloatArray = start + width

    def column(given: Numbers) -> FloatArray:
        return np.broadcast_to(np.asarray(given, dtype=np.float64), values.shape)

    counts: IntArray = column(n).astype(np.int64)
    return Samples(SERIES, start, at, values, counts, column(stderr), column(expected))


def histograms(counts: IntArray, reference: IntArray) -> Samples:
    """Windows with these histograms (one a row) against one reference."""
    plain = samples(np.zeros(len(counts)), counts.sum(axis=1))
    usual = np.broadcast_to(reference, counts.shape)
    return Samples(
        plain.series,
        plain.start,
        plain.at,
        plain.value,
        plain.n,
        plain.stderr,
        plain.expected,
        counts,
        usual,
    )


def shares(random: np.random.Generator, p: FloatArray, n: int, expected: float = np.nan) -> Samples:
    """Binomial shares of about n events a window."""
    sizes = random.poisson(n, len(p))
    hits = random.binomial(sizes, p)
    rate = (hits + 2) / (sizes + 4)
    error = np.sqrt(rate * (1 - rate) / (sizes + 4))
    return samples(hits / np.maximum(sizes, 1), sizes, error, expected)


def steps(*parts: tuple[float, int]) -> FloatArray:
    """One level after another, each for a number of windows."""
    return np.concatenate([np.full(length, level) for level, length in parts])


def fired(detector: Detector, given: Samples) -> list[int]:
    """The places of the windows with a finding."""
    return [round(f.at / float(given.at[0])) - 1 for f in detector.update(given)]
