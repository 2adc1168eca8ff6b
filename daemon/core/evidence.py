"""One budget of false pages a model: the evidence of all its harms, averaged."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from watchkeeper.daemon.core.panel import Post, Verdicts, weighs
from watchkeeper.detectors.banks.shiryaev_roberts import EvidenceBank
from watchkeeper.detectors.sequential import Calibration, averaged
from watchkeeper.detectors.types import BoolArray, FloatArray, IntArray

_LOWEST = -700.0  # of a logarithm, so that no evidence is still a number


@dataclass(frozen=True, slots=True)
class Weighed:
    """The evidence of models against their budgets, (M,) each: ln M, and ln A that it must pass;
    and of how many of its series alarms may be more frequent than asked for, since their windows
    resemble the ones before."""

    logarithm: FloatArray
    level: FloatArray
    uncalibrated: IntArray

    @property
    def passed(self) -> BoolArray:
        """Which models' evidence is worth a page."""
        return np.asarray(self.logarithm >= self.level)


def by_evidence(post: Post) -> bool:
    """Whether a post's findings are harm that only stands if the whole model's evidence does."""
    return weighs(post.watch)


def weighed(
    banks: Sequence[EvidenceBank], rows: IntArray, models: IntArray, windows: float
) -> Weighed | None:
    """What the harms of each model weigh together; None where nothing goes by evidence.

    `banks` are the `evident` ones of a panel; `rows` are places in them, those of model number
    `models[i]` (from 0 on); a false page is accepted in so many `windows`. The average of evidence
    is evidence, whatever its parts have to do with each other (see `sequential.averages`), so that
    one level is right for all series together. One series alone must be strong enough for all.
    """
    if not banks:
        return None
    logs, known = (
        np.concatenate(parts, axis=1)
        for parts in zip(*(bank.weighed(rows) for bank in banks), strict=True)
    )
    series, count = logs.shape[1], int(models.max()) + 1
    evidence = averaged(np.exp(logs).ravel(), np.repeat(models, series), count)
    level = np.full(count, math.log(windows))
    doubtful = (known == Calibration.NOT_CALIBRATED).sum(axis=1)
    uncalibrated = np.bincount(models, weights=doubtful, minlength=count).astype(np.int64)
    return Weighed(np.log(np.maximum(evidence, math.exp(_LOWEST))), level, uncalibrated)


def standing(verdicts: Verdicts, stand: BoolArray) -> BoolArray:
    """Where findings (R, C) of a post stand: everywhere, or in the rows that `stand` if they go by
    evidence."""
    found = verdicts.judged.found
    return found & stand[:, None] if by_evidence(verdicts.post) else found
