"""How long a detector runs between findings on history that is held to be normal."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np

from watchkeeper.detectors.registry import make
from watchkeeper.detectors.suite import Watch
from watchkeeper.detectors.types import FloatArray, Samples

_BLOCKS = 4  # at least so many blocks of a history are shuffled
LONGEST_BLOCK = 240  # windows of a block, within which the order is kept


@dataclass(frozen=True, slots=True)
class RunLength:
    """`runs` of findings in so many judged `windows`, of which `observed` are no repetition: a run
    that lasts is one false finding."""

    windows: int
    runs: int
    observed: int

    @property
    def mean(self) -> float:
        """Windows from one run of findings to the next; infinite where there was none."""
        return self.windows / self.runs if self.runs else math.inf

    def interval(self, level: float = 0.95) -> tuple[float, float]:
        """Bounds of the mean, from the exact limits of a Poisson count of as many runs as fall on
        what was observed (Garwood, Fiducial limits for the Poisson distribution, Biometrika 28,
        1936)."""
        from scipy.special import gammaincinv

        tail, runs = (1.0 - level) / 2.0, self.runs * self.observed / max(1, self.windows)
        most = float(gammaincinv(runs + 1, 1.0 - tail))
        least = float(gammaincinv(runs, tail)) if runs else 0.0
        return self.observed / most, self.observed / least if least else math.inf


def run_length(watch: Watch, history: Samples, windows: int, seed: int = 0) -> RunLength:
    """The run length of a watch's detector on the history of one series.

    One detector judges the history as it was, and then, until `windows` have been judged, blocks of
    it that are drawn with replacement and put one after another in time (the circular block
    bootstrap; Politis and Romano, in Exploring the Limits of Bootstrap, 1992): what neighbours have
    to do with each other stays, up to `LONGEST_BLOCK` windows. Drawing again adds no knowledge: the
    answer says how many windows the history has.

    Raises `UnknownName` or `BadSetting` for the watch as `registry.make` does.
    """
    detector = make(watch.detector, watch.settings, watch.severity)
    m = len(history)
    if not m:
        return RunLength(0, 0, 0)
    samples = _longer(history, max(m, windows), seed)
    found = np.array([f.at for f in detector.update(samples)], dtype=np.float64)
    return RunLength(len(samples), _runs(samples.at, found), m)


def _longer(history: Samples, windows: int, seed: int) -> Samples:
    """The history, and behind it blocks of it, at times that go on."""
    m = len(history)
    block = max(1, min(LONGEST_BLOCK, m // _BLOCKS))
    more = windows - m
    starts = np.random.default_rng(seed).integers(0, m, -(-more // block))
    drawn = ((starts[:, None] + np.arange(block)) % m).ravel()[:more]
    order = np.concatenate((np.arange(m), drawn))
    width = float(history.at[0] - history.start[0])
    start = history.at[-1] + width * np.arange(more)
    counts, expected = history.counts, history.expected_counts
    return replace(
        history,
        start=np.concatenate((history.start, start)),
        at=np.concatenate((history.at, start + width)),
        value=history.value[order],
        n=history.n[order],
        stderr=history.stderr[order],
        expected=history.expected[order],
        counts=None if counts is None else counts[order],
        expected_counts=None if expected is None else expected[order],
    )


def _runs(at: FloatArray, found: FloatArray) -> int:
    """How often a window has a finding and the one before it has none."""
    there = np.isin(at, found)
    return int(np.count_nonzero(there & ~np.concatenate(([False], there[:-1]))))
