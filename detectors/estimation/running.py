"""Estimates of models in operation, which learn from the truths that come in closed windows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from watchkeeper.detectors.estimation.bins import HALF, said_from_top, spread
from watchkeeper.detectors.estimation.calibration import Curves, curves
from watchkeeper.detectors.estimation.classified import realised, restated
from watchkeeper.detectors.estimation.judged import BINS, TARGETS, WIDE, Judged
from watchkeeper.detectors.estimation.trust import Trusts
from watchkeeper.detectors.types import FloatArray, IntArray

LEAST = 30  # predictions, or truths, that a window needs
OWN = 1_000  # truths of its own from which on a version is not taken for its predecessor
MEMORY = 50_000  # truths after which older ones have faded

_NEWS = 0.05  # of the truths of a curve: with so many more it is drawn anew
_AT_ONCE = 64  # windows, so that long rows fit the processor's memory

_Counts = npt.NDArray[np.float32]


class Taught:
    """What the truths of one version taught: 6 kB.

    Its curve is made of `counts` (2, BINS), of negative and of positive truths, older ones for
    less; `fresh` ones are waited for until they can change it. Before there are `OWN`, the counts
    are the predecessor's. `record` is how estimates fared, as `Trusts` holds it; `judged` what was
    said of stretches of time. `weighted`: the last estimate was, for its inputs.
    """

    __slots__ = ("_curve", "counts", "fresh", "judged", "own", "record", "weighted")

    def __init__(self, before: Taught | None = None) -> None:
        self.own = self.weighted = False
        nothing = np.zeros((2, BINS), dtype=np.float32)
        self.counts: _Counts = nothing if before is None else before.counts.copy()
        self.fresh: npt.NDArray[np.int32] = np.zeros((2, BINS), dtype=np.int32)
        self.record: FloatArray = np.zeros((len(TARGETS), 4))
        self.judged: Judged = Judged() if before is None else before.judged.heir()
        self._curve: Curves | None = None

    @property
    def measures(self) -> tuple[str, ...]:
        """What is estimated."""
        return TARGETS

    @property
    def method(self) -> str:
        """How it is."""
        weighted = ", weighted for its inputs" if self.weighted else ""
        return f"by calibrated scores{weighted}"

    @property
    def speaks(self) -> bool:
        """Whether there is a curve."""
        return bool(self.counts.any())

    @property
    def curve(self) -> Curves:
        """What a score is worth, one row."""
        if self._curve is None:
            drawn = curves(self.counts[None].astype(np.float64))
            self._curve = drawn._replace(block=drawn.block.astype(np.int16))
        return self._curve

    def learn(self, truths: IntArray) -> None:
        """Takes in the truths of a window, (2, BINS)."""
        self.fresh += np.clip(truths, 0, MEMORY).astype(np.int32)
        news = int(self.fresh.sum())
        least = max(LEAST, _NEWS * float(self.counts.sum())) if self.own else OWN
        if news < least:
            return
        kept = max(0.0, 1.0 - news / MEMORY) if self.own else 0.0
        self.counts = (self.counts * kept + self.fresh).astype(np.float32)
        self.fresh[:] = 0
        self.own, self._curve = True, None


class Windowed(NamedTuple):
    """A closed window of one version.

    `truths` (2, SCORE_BINS) came in it, with `said` positive answers among these predictions.
    `scores` (k,) are its own predictions over bins cut by `edges` (k - 1,), with `positives`
    positive answers among them. `learns`: the truths are to teach; not those of bad times. `curve`
    is what scores are worth in this window, where that is known better than from all truths.
    """

    taught: Taught
    truths: IntArray
    said: int
    scores: IntArray
    edges: FloatArray
    positives: int
    learns: bool = True
    curve: Curves | None = None


class Told(NamedTuple):
    """Of R windows and the `TARGETS`, (R, M) each, NaN where there is nothing to be said: the
    estimate, where it is trusted, and truth less estimate of the predictions whose truths came."""

    estimate: FloatArray
    error: FloatArray
    gap: FloatArray
    gap_error: FloatArray


def told(windows: Sequence[Windowed]) -> Told:
    """What closed windows say; No version may be among them twice."""
    parts = [_told(windows[at : at + _AT_ONCE]) for at in range(0, len(windows), _AT_ONCE)]
    return Told(*(np.concatenate(each) for each in zip(*parts, strict=True)))


def _told(windows: Sequence[Windowed]) -> Told:
    nothing = np.full((len(windows), len(TARGETS)), np.nan)
    found = Told(*(nothing.copy() for _ in Told._fields))
    truths = np.stack([_narrow(each.truths) for each in windows])
    speak = [each.taught.speaks for each in windows]
    enough = truths.sum(axis=(1, 2)) >= LEAST
    told_of = np.flatnonzero(enough & speak)
    if len(told_of):
        some = [windows[row] for row in told_of.tolist()]
        found.gap[told_of], found.gap_error[told_of] = _gaps(some, truths[told_of])
    many = np.array([each.scores.sum() >= LEAST for each in windows])
    seen = np.flatnonzero(many & speak)
    if len(seen):
        some = [windows[row] for row in seen.tolist()]
        found.estimate[seen], found.error[seen] = _estimates(some)
    for each, came in zip(windows, truths, strict=True):
        if each.learns and came.any():
            each.taught.learn(came)
    return found


def _gaps(windows: Sequence[Windowed], truths: IntArray) -> tuple[FloatArray, FloatArray]:
    """Scores what the truths were expected to be, before they teach anything."""
    rows, scores = np.arange(len(windows)), truths.sum(axis=1)
    said = _answers(scores, np.array([each.said for each in windows]))
    none = np.zeros_like(truths)
    guess = restated(none, scores, said, _curves(windows), TARGETS)
    trusts = _trusts(windows)
    gaps = trusts.score(rows, guess, realised(truths, said, TARGETS))
    for each, record in zip(windows, trusts.sums, strict=True):
        each.taught.record = record.copy()
    return gaps.value, gaps.error


def _estimates(windows: Sequence[Windowed]) -> tuple[FloatArray, FloatArray]:
    rows = np.arange(len(windows))
    trusts = _trusts(windows)
    trusted = trusts.trusted(rows)
    if not trusted.any():
        nothing = np.full((len(windows), len(TARGETS)), np.nan)
        return nothing, nothing
    scores = np.stack([_spread(each) for each in windows])
    said = said_from_top(scores, np.array([each.positives for each in windows]))
    none = np.zeros((len(windows), 2, BINS))
    guess = restated(none, scores, said, _stacked([_own(each) for each in windows]), TARGETS)
    band = trusts.widened(rows, guess, np.ones(len(windows)))
    given = trusted & np.isfinite(guess.value) & np.isfinite(band)
    return np.where(given, guess.value, np.nan), np.where(given, band, np.nan)


def _answers(scores: IntArray, positives: IntArray) -> FloatArray:
    """The share of each bin that was answered positive: those from one half up, where these are
    as many as were, else the highest ones."""
    half = HALF // WIDE
    usual = (scores[:, half:].sum(axis=1) == positives)[:, None]
    return np.where(usual, (np.arange(BINS) >= half) * 1.0, said_from_top(scores, positives))


def _spread(window: Windowed) -> FloatArray:
    known = window.taught.counts.sum(axis=0, dtype=np.float64)
    return spread(window.scores, window.edges, known)


def _narrow(counts: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Counts over score bins as counts over the wider ones."""
    found: npt.NDArray[Any] = counts.reshape(*counts.shape[:-1], BINS, WIDE).sum(axis=-1)
    return found


def _own(window: Windowed) -> Curves:
    window.taught.weighted = window.curve is not None
    return window.taught.curve if window.curve is None else window.curve


def _curves(windows: Sequence[Windowed]) -> Curves:
    return _stacked([each.taught.curve for each in windows])


def _stacked(curves: Sequence[Curves]) -> Curves:
    parts = zip(*curves, strict=True)
    found = Curves(*(np.concatenate(each) for each in parts))
    return found._replace(block=found.block.astype(np.int64))


def _trusts(windows: Sequence[Windowed]) -> Trusts:
    trusts = Trusts(len(TARGETS))
    trusts.sums = np.stack([each.taught.record for each in windows])
    return trusts
