"""Inputs of a sample of predictions, as the bins of their numeric features: what an estimate is
weighted by once their truths are known."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from watchkeeper.detectors.estimation.bins import score_bins
from watchkeeper.detectors.estimation.calibration import Curves
from watchkeeper.detectors.estimation.judged import WIDE, Kept
from watchkeeper.detectors.estimation.rows import Rows
from watchkeeper.detectors.estimation.weighting import LEAST_ROWS, corrected, weights
from watchkeeper.detectors.joint.rows import Bins
from watchkeeper.detectors.keys import Keys
from watchkeeper.detectors.types import IntArray, StateError

CAPACITY = 4_096  # predictions of a version; 160 kB


class Inputs:
    """The newest sampled predictions of one version, oldest first: `keys` (n,) of their requests
    and `bins` (n, 32) of their features. They hold for one reference alone, named `cut`."""

    __slots__ = ("bins", "cut", "keys")

    def __init__(self, cut: str) -> None:
        self.cut = cut
        self.keys: Keys = np.zeros(0, dtype=np.uint64)
        self.bins: Bins = np.zeros((0, _WIDTH), dtype=np.uint8)

    def add(self, keys: Keys, bins: Bins) -> None:
        """Takes in those of a closed window."""
        self.keys = np.concatenate([self.keys, keys])[-CAPACITY:]
        self.bins = np.concatenate([self.bins, bins])[-CAPACITY:]

    def dump(self) -> tuple[str, bytes, bytes]:
        """All of it, little-endian."""
        return self.cut, self.keys.astype("<u8").tobytes(), self.bins.tobytes()

    @classmethod
    def of_dump(cls, stored: tuple[str, bytes, bytes]) -> Inputs:
        """Takes up what `dump` gave. Raises `StateError` where it cannot be that."""
        made = cls(stored[0])
        if len(stored[1]) % 8 or len(stored[2]) != len(stored[1]) // 8 * _WIDTH:
            raise StateError("stored inputs are damaged: they have another size than they say")
        made.keys = np.frombuffer(stored[1], "<u8").astype(np.uint64)
        made.bins = np.frombuffer(stored[2], np.uint8).reshape(-1, _WIDTH).copy()
        return made


_WIDTH = 32  # features


class Shifted(NamedTuple):
    """A window's inputs: `counts`, an array for each feature by bin, of `n` predictions."""

    counts: Sequence[IntArray]
    n: int


def weighted(curve: Curves, inputs: Inputs, known: Kept, window: Shifted) -> Curves | None:
    """The curve for the inputs of a window, after those of sampled predictions with their truths;
    None where the weights are not sound, or too few truths are known.

    `known` are the sampled predictions in their order; those without a truth are left out.
    """
    score = score_bins(known.score) // WIDE
    rows = np.flatnonzero(known.known & np.isfinite(known.score) & (score >= 0))
    if len(rows) < LEAST_ROWS:
        return None
    codes = inputs.bins[rows, : len(window.counts)].astype(np.int64)
    sample = Rows(inputs.keys[rows], codes, score[rows], known.truth[rows])
    found = weights(sample, window.counts, window.n)
    return corrected(curve, sample, found) if found.sound else None
