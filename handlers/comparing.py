"""Paired tests: whether one set of losses is smaller than another on the same examples."""

from __future__ import annotations

from typing import Literal

import msgspec
import numpy as np

from watchkeeper.detectors.types import FloatArray

Verdict = Literal["better", "worse", "same"]


class Comparison(msgspec.Struct, frozen=True):
    """How a target did against what is live now, on the same `n` examples.

    `p` is the two-sided probability of so large a difference if there were none.
    """

    verdict: Verdict
    measure: str
    current_loss: float
    target_loss: float
    p: float
    n: int

    def __str__(self) -> str:
        return (
            f"{self.verdict}, {self.measure} {self.target_loss:.4g} against"
            f" {self.current_loss:.4g} (n={self.n}, p={self.p:.3g})"
        )


def compare(
    current: FloatArray, target: FloatArray, *, measure: str, level: float = 0.05
) -> Comparison:
    """Tests the mean difference of paired losses; smaller is better, both of one length n >= 2.

    Losses of 0 and 1 go through the exact McNemar test, others through the paired t-test.

    >>> import numpy as np
    >>> wrong, right = np.repeat([1.0, 0.0], [30, 70]), np.zeros(100)
    >>> compare(wrong, right, measure="error rate").verdict
    'better'
    """
    p = _p_value(current, target)
    current_loss, target_loss = float(current.mean()), float(target.mean())
    verdict: Verdict = "same"
    if p < level:
        verdict = "better" if target_loss < current_loss else "worse"
    return Comparison(verdict, measure, current_loss, target_loss, p, len(current))


def agree(primary: Comparison, second: Comparison | None) -> Comparison:
    """The primary comparison, but never better where the second one says worse."""
    if primary.verdict == "better" and second is not None and second.verdict == "worse":
        return msgspec.structs.replace(primary, verdict="same")
    return primary


def _p_value(current: FloatArray, target: FloatArray) -> float:
    from scipy import stats  # scipy costs a second to import and most starts never compare

    difference = target - current
    if not difference.any():
        return 1.0
    if np.isin(current, (0.0, 1.0)).all() and np.isin(target, (0.0, 1.0)).all():
        won, lost = int((difference < 0).sum()), int((difference > 0).sum())
        return float(stats.binomtest(won, won + lost).pvalue)
    if np.ptp(difference) == 0.0:
        return 0.0
    return float(stats.ttest_rel(target, current).pvalue)
