"""How long a detector runs between findings on history that is held to be normal."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from watchkeeper.detectors.registry import make
from watchkeeper.detectors.suite import Watch
from watchkeeper.detectors.types import FloatArray, IntArray, Samples

_BLOCKS = 4  # at least so many blocks of a history are shuffled
LONGEST_BLOCK = 240  # windows of a block, within which the order is kept
_MOST_PASSES = 1_000


@dataclass(frozen=True, slots=True)
class RunLength:
    """`runs` of findings in so many judged `windows`: a run that lasts is one false finding."""

    windows: int
    runs: int

    @property
    def mean(self) -> float:
        """Windows from one run of findings to the next; infinite where there was none."""
        return self.windows / self.runs if self.runs else math.inf

    def interval(self, level: float = 0.95) -> tuple[float, float]:
        """Bounds of the mean, from the exact limits of a Poisson count (Garwood, Fiducial limits
        for the Poisson distribution, Biometrika 28, 1936)."""
        from scipy.special import gammaincinv

        tail = (1.0 - level) / 2.0
        most = float(gammaincinv(self.runs + 1, 1.0 - tail))
        least = float(gammaincinv(self.runs, tail)) if self.runs else 0.0
        return self.windows / most, self.windows / least if least else math.inf

    def __add__(self, other: RunLength) -> RunLength:
        return RunLength(self.windows + other.windows, self.runs + other.runs)


def run_length(watch: Watch, history: Samples, windows: int, seed: int = 0) -> RunLength:
    """The run length of a watch's detector on the history of one series.

    The history is judged once as it was, and then, until `windows` have been judged, in blocks
    that are drawn with replacement and put one after another in time (the circular block
    bootstrap; Politis and Romano, in Exploring the Limits of Bootstrap, 1992): what neighbours
    have to do with each other stays, up to `LONGEST_BLOCK` windows. A detector is new in each
    pass, so its warm-up counts.

    Raises `UnknownName` or `BadSetting` for the watch as `registry.make` does.
    """
    total = RunLength(0, 0)
    for each in _passes(history, windows, seed):
        total += _judged(watch, each)
    return total


def _passes(history: Samples, windows: int, seed: int) -> Iterator[Samples]:
    m = len(history)
    if not m:
        return
    yield history
    generator, judged = np.random.default_rng(seed), m
    block = max(1, min(LONGEST_BLOCK, m // _BLOCKS))
    for _ in range(_MOST_PASSES):
        if judged >= windows:
            return
        starts = generator.integers(0, m, -(-m // block))
        order = ((starts[:, None] + np.arange(block)) % m).ravel()[:m]
        yield _reordered(history, order)
        judged += m


def _reordered(history: Samples, order: IntArray) -> Samples:
    """The chosen windows' samples at the times of the history."""
    counts, expected = history.counts, history.expected_counts
    return replace(
        history,
        value=history.value[order],
        n=history.n[order],
        stderr=history.stderr[order],
        expected=history.expected[order],
        counts=None if counts is None else counts[order],
        expected_counts=None if expected is None else expected[order],
    )


def _judged(watch: Watch, samples: Samples) -> RunLength:
    detector = make(watch.detector, watch.settings, watch.severity)
    found = np.array([f.at for f in detector.update(samples)], dtype=np.float64)
    return RunLength(len(samples), _runs(samples.at, found))


def _runs(at: FloatArray, found: FloatArray) -> int:
    """How often a window has a finding and the one before it has none."""
    there = np.isin(at, found)
    return int(np.count_nonzero(there & ~np.concatenate(([False], there[:-1]))))
