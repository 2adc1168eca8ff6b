"""One budget for many series, and for many models, whatever hangs on what.

Evidence of no drift grows by 1 a sample on average. So does any average of such evidence, however
its parts depend on each other: a model's average over its series keeps the model's budget.

Evidence is larger by the mean overshoot than an e-detector's (see `bets`), 1.3 at most: a share of
false discoveries that is to be guaranteed, not met, is to be divided by that.
"""

from __future__ import annotations

import numpy as np

from watchkeeper.detectors.frames import BoolArray, FloatArray, IntArray


def averaged(
    evidence: FloatArray, model: IntArray, models: int, weights: FloatArray | None = None
) -> FloatArray:
    """The evidence of each model (models,): the weighted average over its series, those of number
    `model` (S,). A model without series has none. The order of series changes nothing."""
    weight = np.ones(len(evidence)) if weights is None else weights
    total = _sums(weight, model, models)
    parts = _sums(evidence * weight, model, models)
    return np.asarray(np.where(total > 0.0, parts / np.where(total > 0.0, total, 1.0), 0.0))


def fleet_alarms(evidence: FloatArray, level: float) -> BoolArray:
    """Which models raise an alarm, if all of them together may raise one in `level` samples of one.

    One model alone must pass its number times the level; k at once must each pass a k-th of that,
    which is the e-BH rule on evidence over the level, valid under any dependence (Wang and Ramdas,
    False discovery rate control with e-values, JRSS B 84, 2022).
    """
    return e_bh(evidence, 1.0 / level)


def e_bh(evalues: FloatArray, alpha: float) -> BoolArray:
    """Which e-values are discoveries, of which at most a share alpha is false on average."""
    count = len(evalues)
    if not count:
        return np.zeros(0, dtype=np.bool_)
    ordered = np.sort(evalues)[::-1]
    passed = np.flatnonzero(ordered * np.arange(1, count + 1) >= count / alpha)
    if not len(passed):
        return np.zeros(count, dtype=np.bool_)
    return np.asarray(evalues >= ordered[passed[-1]])


def shared_threshold(threshold: FloatArray | float, models: int) -> FloatArray | float:
    """The threshold of each model where one budget is for all: the number of models higher."""
    return threshold * max(1, models)


def _sums(values: FloatArray, model: IntArray, models: int) -> FloatArray:
    """Sums of each model, of the smaller values first."""
    order = np.lexsort((values, model))
    sums = np.bincount(model[order], weights=values[order], minlength=models)[:models]
    return sums.astype(np.float64)
