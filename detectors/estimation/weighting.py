"""Corrects a calibration for a shift of the inputs, from the windows' own feature histograms.

The reference's rows are weighted until their histograms are those of the window: the density
ratio of a log-linear model, fitted by raking (Deming and Stephan, Annals of Mathematical
Statistics 11, 1940) with a ridge as wide as the noise of the histograms. No row of the window is
needed. What the weights change in the residuals of the calibration corrects it (after probabilistic
adaptive performance estimation, Bialek et al., arXiv 2401.08348).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from watchkeeper.detectors.estimation.bins import Numbers
from watchkeeper.detectors.estimation.calibration import Curves
from watchkeeper.detectors.estimation.rows import CODES, Rows
from watchkeeper.detectors.types import BoolArray, FloatArray, IntArray

SEPARABLE = 0.98  # area under the domain classifier's curve from which a ratio means nothing
LEAST_ROWS = 200  # that the weights must be worth
GROUPS = 10  # of scores, each corrected as one
_SWEEPS, _CLOSE, _STEEPEST = 60, 1e-4, 6.0


class Weights(NamedTuple):
    """Weights of the reference's rows, mean 1, and whether they may be used.

    `auc` is that of the log-linear domain classifier between reference and window, `worth` how
    many unweighted rows the weights are worth, `left_out` the features that tell the two apart by
    themselves (a date, a running number), which were not weighted by.
    """

    weight: FloatArray
    auc: float
    worth: float
    left_out: tuple[int, ...]

    @property
    def sound(self) -> bool:
        """Whether the ratio is that of two populations that overlap."""
        return self.auc < SEPARABLE and self.worth >= LEAST_ROWS


def weights(rows: Rows, window: Sequence[Numbers], n: int) -> Weights:
    """Weights that give the rows the histograms of a window of n predictions.

    `window` has an array of counts for each column of `rows.codes`, by code.
    """
    shares = [_share(each) for each in window]
    known = [
        np.bincount(rows.codes[:, f], minlength=CODES).astype(np.float64)
        for f in range(len(shares))
    ]
    alone = [_separated(a, b) for a, b in zip(known, shares, strict=True)]
    apart = tuple(f for f, auc in enumerate(alone) if auc >= SEPARABLE)
    kept = [f for f in range(len(shares)) if f not in apart and shares[f].sum() > 0]
    if not len(rows) or not kept:
        return Weights(np.ones(len(rows)), 0.5, float(len(rows)), apart)
    strange = max(float(shares[f][known[f] == 0].sum()) for f in kept)
    weight = _raked(rows.codes, {f: (shares[f], known[f]) for f in kept}, max(n, 1))
    auc = strange + (1.0 - strange) * _concordance(weight)
    return Weights(weight, auc, float(weight.sum() ** 2 / (weight**2).sum()), apart)


def corrected(curve: Curves, rows: Rows, found: Weights) -> Curves:
    """One model's curve (R = 1) moved by what the weights change in the rows' residuals.

    Scores are taken in `GROUPS` of equally many rows. The weighted less the plain mean residual
    has little noise of its own while the weights are near 1, and is shrunk by what noise it has
    (James and Stein's factor, its positive part).
    """
    if not found.sound or len(rows) < LEAST_ROWS:
        return curve
    chance = curve.chance[0]
    expected = chance[rows.score]
    group, at_bin = _grouped(rows.score, len(chance))
    mass, heavy = _by(group, np.ones(len(rows))), _by(group, found.weight)
    usable = (mass > 0) & (heavy > 0)
    safe, heavier = np.where(usable, mass, 1.0), np.where(usable, heavy, 1.0)
    lean = found.weight / heavier[group] - 1.0 / safe[group]
    moved = np.where(usable, _by(group, lean * (rows.truth - expected)), 0.0)
    noise = np.where(usable, _by(group, lean**2 * expected * (1.0 - expected)), 0.0)
    total = float((mass * moved**2).sum())
    kept = max(0.0, 1.0 - float((mass * noise).sum()) / total) if total > 0.0 else 0.0
    changed = np.clip(chance + kept * moved[at_bin], 0.0, 1.0)
    wider = curve.noise[0] + kept**2 * noise[at_bin]
    return curve._replace(chance=changed[None], noise=wider[None])


def _raked(codes: IntArray, of: dict[int, tuple[FloatArray, FloatArray]], n: int) -> FloatArray:
    count = len(codes)
    logs, slopes = np.zeros(count), {f: np.zeros(len(share)) for f, (share, _) in of.items()}
    for _ in range(_SWEEPS):
        furthest = 0.0
        for f, (share, known) in of.items():
            weight = np.exp(logs - logs.max())
            mine = np.bincount(codes[:, f], weight, minlength=len(share))
            step = _step(share, known / count, mine / weight.sum(), slopes[f], n, count)
            slopes[f] += step
            logs += step[codes[:, f]]
            furthest = max(furthest, float(np.abs(step * mine).max() / weight.sum()))
        if furthest < _CLOSE:
            break
    weight = np.exp(logs - logs.max())
    return np.asarray(weight / weight.mean())


def _step(
    share: FloatArray, plain: FloatArray, mine: FloatArray, slope: FloatArray, n: int, count: int
) -> FloatArray:
    """One step of each bin of a feature towards the window's share, less the ridge's pull."""
    noise = share * (1.0 - share) / n + plain * (1.0 - plain) / count + 1.0 / (n * count)
    reached = share[plain > 0].sum()
    goal = share / reached if reached > 0 else share  # bins the reference lacks cannot be reached
    step = np.clip((goal - mine - noise * slope) / (mine + noise), -1.0, 1.0)
    return np.where(plain > 0, np.clip(slope + step, -_STEEPEST, _STEEPEST) - slope, 0.0)


def _share(counts: Numbers) -> FloatArray:
    """Counts of codes as shares of all; zeros where there are none."""
    seen = np.zeros(CODES)
    seen[: len(counts)] = np.maximum(np.asarray(counts, dtype=np.float64), 0.0)[:CODES]
    total = seen.sum()
    return seen / total if total > 0 else seen


def _separated(known: FloatArray, share: FloatArray) -> float:
    """How well one feature's histogram tells reference and window apart, as the area under the
    curve of the best ranking of its bins."""
    if known.sum() <= 0 or share.sum() <= 0:
        return 0.5
    plain = known / known.sum()
    order = np.argsort(share / (share + plain + 1e-300), kind="stable")
    here, there = share[order], plain[order]
    return float((here * (np.cumsum(there) - 0.5 * there)).sum())


def _concordance(weight: FloatArray) -> float:
    """The area under the curve by which the ratio tells weighted rows from plain ones."""
    ordered = np.sort(weight)
    places = np.arange(len(ordered)) + 0.5
    return float((ordered * places).sum() / (ordered.sum() * len(ordered)))


def _grouped(score: IntArray, bins: int) -> tuple[IntArray, IntArray]:
    """The group of each row and of each bin of scores."""
    counts = np.bincount(score, minlength=bins)
    middle = np.cumsum(counts) - 0.5 * counts
    at_bin = np.minimum((middle * GROUPS / max(len(score), 1)).astype(np.int64), GROUPS - 1)
    return at_bin[score], at_bin


def _by(group: IntArray, of: FloatArray | BoolArray) -> FloatArray:
    return np.bincount(group, of.astype(np.float64), minlength=GROUPS).astype(np.float64)
