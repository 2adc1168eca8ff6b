"""How far estimates may be trusted: each is scored against the truth when that is known."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from watchkeeper.detectors.estimation.classified import Measured
from watchkeeper.detectors.types import BoolArray, FloatArray, IntArray, StateError

BAND = 1.96  # errors to either side: 19 truths of 20 lie within
_KEEP = 0.9  # of a score's weight, with each score that follows: the last ten count
_LEAST = 0.8  # of scored truths within the band
_FEWEST = 3  # scores before an estimate may speak
_PRIOR = (1.9, 2.0)  # two truths, 95 % of them within the band, before the first score
# Sums over scores, newest at weight 1: of weights, of truths within the band, of the squares of
# gaps beyond their variance; and a count.
_WEIGHT, _INSIDE, _BEYOND, _COUNT = range(4)
_FIELDS = 4
_LARGE = 1e70  # its square and sums of such are still numbers


class Gaps(NamedTuple):
    """Truths less their estimates, (R, M): a change that only labels can show moves them from 0.

    `error` is the standard error of each, `score` the gap in such errors.
    """

    value: FloatArray
    error: FloatArray
    score: FloatArray


def trust_of(record: FloatArray) -> FloatArray:
    """The trust that records (..., M, 4), as `Trusts` holds them, are worth: (..., M)."""
    return np.asarray((record[..., _INSIDE] + _PRIOR[0]) / (record[..., _WEIGHT] + _PRIOR[1]))


class Trusts:
    """The record of estimates of M measures for R models; 32 bytes a measure."""

    def __init__(self, measures: int) -> None:
        self.measures = measures
        self.sums: FloatArray = np.zeros((1, measures, _FIELDS))

    def score(self, rows: IntArray, estimate: Measured, truth: Measured) -> Gaps:
        """Scores estimates of windows, oldest first where a row has several calls; no row twice."""
        self._reach(rows)
        with np.errstate(all="ignore"):  # what is no number is not scored
            gap = truth.value - estimate.value
            error = np.hypot(estimate.error, truth.error)
        scored = np.isfinite(gap) & np.isfinite(error) & (error > 0)
        gap = np.where(scored, np.clip(gap, -_LARGE, _LARGE), 0.0)
        error = np.where(scored, np.clip(error, 1.0 / _LARGE, _LARGE), 1.0)
        variance = error**2
        kept = self.sums[rows] * np.array([_KEEP, _KEEP, _KEEP, 1.0])
        inside = (np.abs(gap) <= BAND * error).astype(np.float64)
        one = np.ones_like(gap)
        new = kept + np.stack([one, inside, gap**2 - variance, one], axis=-1)
        self.sums[rows] = np.where(scored[..., None], new, self.sums[rows])
        parts = (gap, error, gap / error)
        return Gaps(*(np.where(scored, each, np.nan) for each in parts))

    def trust(self, rows: IntArray) -> FloatArray:
        """The share of truths that lay within the band of the estimates' own errors, not widened by
        what they were off by; of late above all, (R, M)."""
        self._reach(rows)
        return trust_of(self.sums[rows])

    def trusted(self, rows: IntArray) -> BoolArray:
        """Whether estimates may speak as harm, (R, M)."""
        trust = self.trust(rows)
        enough = self.sums[rows][..., _COUNT] >= _FEWEST
        return np.asarray(enough & (trust >= _LEAST), dtype=np.bool_)

    def beyond(self, rows: IntArray) -> FloatArray:
        """The standard deviation of gaps beyond what their errors explain, (R, M)."""
        self._reach(rows)
        held = self.sums[rows]
        weight = np.maximum(held[..., _WEIGHT], 1.0)
        return np.sqrt(np.maximum(held[..., _BEYOND] / weight, 0.0))

    def widened(self, rows: IntArray, estimate: Measured, share: FloatArray) -> FloatArray:
        """The errors of estimates of which a `share` (R,) is not known yet, with what lies beyond
        them, (R, M)."""
        return np.asarray(np.hypot(estimate.error, self.beyond(rows) * share[:, None]))

    def clear(self, rows: IntArray) -> None:
        """Forgets these rows."""
        self.sums[rows[rows < len(self.sums)]] = 0.0

    def dump(self, row: int) -> bytes:
        """One row, little-endian."""
        self._reach(np.array([row]))
        kept: bytes = self.sums[row].astype("<f8").tobytes()
        return kept

    def load(self, row: int, stored: bytes) -> None:
        """Takes up what `dump` gave. Raises `StateError` where it cannot be that."""
        size = self.measures * _FIELDS * 8
        if len(stored) != size:
            raise StateError(f"stored trust has {len(stored)} bytes, not {size}")
        read = np.frombuffer(stored, dtype="<f8").reshape(self.measures, _FIELDS)
        if not np.isfinite(read).all() or np.any(read[:, [_WEIGHT, _INSIDE, _COUNT]] < 0):
            raise StateError("stored trust is damaged: numbers that no record could have")
        self._reach(np.array([row]))
        self.sums[row] = read

    def _reach(self, rows: IntArray) -> None:
        need, held = int(np.max(rows, initial=-1)) + 1, len(self.sums)
        if need > held:
            wider = np.zeros((max(need, held + held // 4), self.measures, _FIELDS))
            wider[:held] = self.sums
            self.sums = wider
