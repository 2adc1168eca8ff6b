"""What a score is worth: isotonic calibration from counts, in one pass and constant memory."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from watchkeeper.detectors.estimation.bins import MIDDLE, Numbers
from watchkeeper.detectors.signals.accuracy import SCORE_BINS
from watchkeeper.detectors.types import FloatArray, IntArray


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
