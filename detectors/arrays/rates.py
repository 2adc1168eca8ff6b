"""The closed forms of `signals._sampling` over arrays, with the same result to the last bit."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from watchkeeper.detectors import fast
from watchkeeper.detectors.banks.arithmetic import spread
from watchkeeper.detectors.banks.columns import Counts
from watchkeeper.detectors.frames import BoolArray, FloatArray, IntArray

_EXACT = 1 << 53  # integers up to here are floats
_UNKNOWN = np.array(np.nan)
_AT_ONCE = 1 << 15  # bins worked on at once: as many as the processor has at hand


class Measured(NamedTuple):
    """Samples of several series: what `Columns` says of them, each of shape (R, C)."""

    given: BoolArray
    value: FloatArray
    n: IntArray
    stderr: FloatArray
    expected: FloatArray
    counts: Counts | None = None
    expected_counts: Counts | None = None
    bins: IntArray | None = None


def measured(
    given: BoolArray,
    value: FloatArray,
    n: IntArray,
    stderr: FloatArray | None = None,
    expected: FloatArray | None = None,
) -> Measured:
    """Samples, without an error or an expected value where there is none."""
    shape = value.shape
    return Measured(
        given=spread(given, shape),
        value=value,
        n=spread(n, shape),
        stderr=spread(_UNKNOWN if stderr is None else stderr, shape),
        expected=spread(_UNKNOWN if expected is None else expected, shape),
    )


def beside(*parts: Measured) -> Measured:
    """Series next to each other; none of them has a histogram."""
    return Measured(
        given=np.concatenate([part.given for part in parts], axis=1),
        value=np.concatenate([part.value for part in parts], axis=1),
        n=np.concatenate([part.n for part in parts], axis=1),
        stderr=np.concatenate([part.stderr for part in parts], axis=1),
        expected=np.concatenate([part.expected for part in parts], axis=1),
    )


def quotient(a: IntArray, b: IntArray) -> FloatArray:
    """a / b, rounded once as Python does it, also where `a` is no float."""
    result = np.asarray(a / b)
    wide = ((np.abs(a) > _EXACT) | (b > _EXACT)) & (b != 0)
    if wide.any():
        pairs = zip(a[wide].tolist(), np.broadcast_to(b, a.shape)[wide].tolist(), strict=True)
        result[wide] = [x / y for x, y in pairs]
    return result


def rate(hits: IntArray, n: IntArray, given: BoolArray) -> Measured:
    """Shares of hits, with their own standard errors."""
    return measured(given, hits / n, n, rate_error(hits, n))


def rate_against(
    hits: IntArray, n: IntArray, known: IntArray | int, of: IntArray, given: BoolArray
) -> Measured:
    """Shares of hits, with the reference's and the errors expected under them."""
    expected = np.where(of != 0, known / of, np.nan)
    p = (known + 0.5) / (of + 1)
    stderr = np.where(of != 0, np.sqrt(p * (1 - p) / n), np.nan)
    return measured(given, hits / n, n, stderr, expected)


def rate_error(hits: IntArray, n: IntArray) -> FloatArray:
    """Binomial standard errors of rates, as `_sampling.rate_error`."""
    p = (hits + 2) / (n + 4)
    return np.sqrt(p * (1 - p) / (n + 4))


def positive(errors: FloatArray) -> FloatArray:
    """Standard errors, unknown where they are 0."""
    return np.where(errors == 0.0, np.nan, errors)


def stability(counts: Counts, expected_counts: Counts, given: BoolArray) -> Measured:
    """Population stability indices; the histograms are the last axis."""
    rows, columns, width = counts.shape
    step = max(1, _AT_ONCE // max(1, columns * width))
    means = _stability
    if fast.available():
        from watchkeeper.detectors.arrays import sampled_fast  # of use only with numba

        means = sampled_fast.stability if width <= sampled_fast.WIDEST else _stability
    parts = [
        means(counts[first : first + step], expected_counts[first : first + step])
        for first in range(0, max(rows, 1), step)
    ]
    n, value, stderr, expected = (
        parts[0] if len(parts) == 1 else map(np.concatenate, zip(*parts, strict=True))
    )
    return measured(given, value, n.astype(np.int64), stderr, expected)._replace(
        counts=counts, expected_counts=expected_counts
    )


def _stability(
    counts: Counts, expected_counts: Counts
) -> tuple[IntArray, FloatArray, FloatArray, FloatArray]:
    n, of = np.einsum("rcb->rc", counts), np.einsum("rcb->rc", expected_counts)
    used = (counts > 0) | (expected_counts > 0)
    bins = np.count_nonzero(used, axis=2)
    p = (counts + 0.5) / (n + 0.5 * bins)[:, :, None]
    q = (expected_counts + 0.5) / (of + 0.5 * bins)[:, :, None]
    unit = 1 / n + 1 / of
    value = _sums((p - q) * np.log(p / q), used, bins)
    return n, value, positive(np.sqrt(2 * (bins - 1)) * unit), (bins - 1) * unit


def _sums(terms: FloatArray, used: BoolArray, bins: IntArray) -> FloatArray:
    """The sums of the terms in use.

    Rows of as many terms are added up together, in the order in which one alone would be.
    """
    value = np.zeros(bins.shape)
    for group in np.flatnonzero(np.bincount(bins[bins > 0])).tolist():
        which = bins == group
        chosen = terms[which]
        if group < terms.shape[2]:
            chosen = chosen[used[which]].reshape(-1, group)
        value[which] = chosen.sum(axis=1)
    return value
