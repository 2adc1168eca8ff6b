"""What a score is worth: isotonic calibration from counts, in one pass and constant memory."""

from __future__ import annotations

import hashlib
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from watchkeeper.detectors.estimation.bins import MIDDLE, Numbers
from watchkeeper.detectors.signals.accuracy import SCORE_BINS
from watchkeeper.detectors.types import FloatArray, IntArray, StateError

_MOST = np.iinfo(np.int32).max
_KIND = np.dtype("<i4")
_STAMP = hashlib.blake2b(f"calibration 1 {SCORE_BINS}".encode(), digest_size=8).digest()


class Curves(NamedTuple):
    """Calibrated scores of R models: arrays of shape (R, bins), mostly the score bins.

    `chance` is the probability of a positive truth, ascending. Bins of one `block` (numbered from
    0) were pooled and err together: `noise` is the variance of their common chance. `n` (R,) is
    how many truths were counted.
    """

    chance: FloatArray
    noise: FloatArray
    block: IntArray
    n: IntArray

    def take(self, rows: IntArray) -> Curves:
        """The curves of some models."""
        return Curves(self.chance[rows], self.noise[rows], self.block[rows], self.n[rows])


def curves(counts: Numbers) -> Curves:
    """The isotonic curves of counts (R, 2, bins) of negative and of positive truths.

    Pool-adjacent-violators over bins (Ayer et al., Annals of Mathematical Statistics 26, 1955):
    with integer counts the same as over the rows themselves, up to the width of a bin. Bins
    without truths lie on the line between their neighbours. Without any truth the score is taken
    at its word, and its noise is as large as can be.
    """
    seen = np.maximum(np.asarray(counts, dtype=np.float64), 0.0)
    parts = [_curve(negative, positive) for negative, positive in seen]
    if not parts:
        none = np.zeros((0, seen.shape[2]))
        return Curves(none, none, none.astype(np.int64), np.zeros(0, dtype=np.int64))
    chance, noise, block = (np.stack(each) for each in zip(*parts, strict=True))
    return Curves(chance, noise, block, seen.sum(axis=(1, 2)).astype(np.int64))


def _curve(negative: FloatArray, positive: FloatArray) -> tuple[FloatArray, FloatArray, IntArray]:
    n = negative + positive
    used = np.flatnonzero(n)
    if not len(used):
        return _at_its_word(len(n)), np.full(len(n), 0.25), np.zeros(len(n), dtype=np.int64)
    hits, of, width = _pooled(positive[used], n[used])
    chance = np.interp(np.arange(len(n)), used, np.repeat(hits / of, width))
    # A bin without truths errs with the block below it, those before the first with the first.
    places = np.clip(np.searchsorted(used, np.arange(len(n)), side="right") - 1, 0, None)
    block = np.repeat(np.arange(len(of)), width)[places]
    smooth = (hits + 0.5) / (of + 1.0)  # not 0 or 1, which would claim to be certain
    return chance, (smooth * (1.0 - smooth) / (of + 1.0))[block], block


def _at_its_word(bins: int) -> FloatArray:
    """The scores that bins stand for, each of them being as many neighbouring score bins."""
    return MIDDLE.reshape(bins, -1).mean(axis=1) if SCORE_BINS % bins == 0 else np.full(bins, 0.5)


def _pooled(hits: FloatArray, of: FloatArray) -> tuple[FloatArray, FloatArray, IntArray]:
    """Hits, sizes and widths of the blocks that make the shares ascend."""
    blocks: list[tuple[float, float, int]] = []
    for positive, n in zip(hits.tolist(), of.tolist(), strict=True):
        width = 1
        while blocks and blocks[-1][0] * n >= positive * blocks[-1][1]:
            before = blocks.pop()
            positive, n, width = positive + before[0], n + before[1], width + before[2]
        blocks.append((positive, n, width))
    pooled, sizes, widths = zip(*blocks, strict=True)
    return np.array(pooled), np.array(sizes), np.array(widths, dtype=np.int64)


class Calibrations:
    """Counts of truths by score for many models, a row each; 4 kB a row.

    They are added up in any order and in any parts: `add` and `merge` saturate instead of
    overflowing, which leaves the order of no account.

    >>> known = Calibrations()
    >>> known.add(np.array([0]), np.ones((1, 2, SCORE_BINS), dtype=np.int64))
    >>> known.curves(np.array([0])).chance[0, :2].tolist()
    [0.5, 0.5]
    """

    def __init__(self) -> None:
        self.counts: npt.NDArray[np.int32] = np.zeros((1, 2, SCORE_BINS), dtype=np.int32)

    def add(self, rows: IntArray, counts: Numbers) -> None:
        """Adds counts (len(rows), 2, SCORE_BINS) of closed windows; no row twice."""
        self._reach(int(rows.max()) + 1 if len(rows) else 0)
        more = np.maximum(np.asarray(counts, dtype=np.int64), 0)
        total = self.counts[rows].astype(np.int64) + np.minimum(more, _MOST)
        self.counts[rows] = np.minimum(total, _MOST)

    def merge(self, other: Calibrations) -> None:
        """Adds another's rows to those of the same number."""
        self.add(np.arange(len(other.counts)), other.counts)

    def curves(self, rows: IntArray) -> Curves:
        """The curves of these rows."""
        self._reach(int(rows.max()) + 1 if len(rows) else 0)
        return curves(self.counts[rows])

    def clear(self, rows: IntArray) -> None:
        """Forgets these rows."""
        self.counts[rows[rows < len(self.counts)]] = 0

    def dump(self, row: int) -> bytes:
        """One row with a stamp of its layout, without its empty bins."""
        self._reach(row + 1)
        here = self.counts[row].reshape(-1)
        used = here != 0
        return b"".join((_STAMP, np.packbits(used).tobytes(), here[used].astype(_KIND).tobytes()))

    def load(self, row: int, stored: bytes) -> None:
        """Takes up what `dump` gave. Raises `StateError` where it cannot be that."""
        bits = 2 * SCORE_BINS // 8
        if stored[:8] != _STAMP or len(stored) < 8 + bits:
            raise StateError("stored calibration has another layout")
        marks = np.frombuffer(stored[8 : 8 + bits], dtype=np.uint8)
        used = np.unpackbits(marks).astype(np.bool_)
        if len(stored) != 8 + bits + _KIND.itemsize * np.count_nonzero(used):
            raise StateError("stored calibration is damaged: it has another size than it says")
        values = np.frombuffer(stored, dtype=_KIND, offset=8 + bits)
        if np.any(values < 0):
            raise StateError("stored calibration is damaged: a count is negative")
        here = np.zeros(2 * SCORE_BINS, dtype=np.int32)
        here[used] = values
        self._reach(row + 1)
        self.counts[row] = here.reshape(2, SCORE_BINS)

    def _reach(self, rows: int) -> None:
        held = len(self.counts)
        if rows > held:
            wider = np.zeros((max(rows, held + held // 4), 2, SCORE_BINS), dtype=np.int32)
            wider[:held] = self.counts
            self.counts = wider
