"""One budget for many series, whatever hangs on what.

Evidence of no drift grows by 1 a sample on average. So does any average of such evidence, however
its parts depend on each other: a model's average over its series keeps the model's budget.
"""

from __future__ import annotations

import numpy as np

from watchkeeper.detectors.frames import FloatArray, IntArray


def averaged(evidence: FloatArray, model: IntArray, models: int) -> FloatArray:
    """The evidence of each model (models,): the average over its series, those of number `model`
    (S,). A model without series has none. The order of series changes nothing."""
    order = np.lexsort((evidence, model))  # the smaller ones of each model are added up first
    sums = np.bincount(model[order], weights=evidence[order], minlength=models)[:models]
    series = np.bincount(model, minlength=models)[:models]
    return np.asarray(sums / np.maximum(series, 1), dtype=np.float64)
