"""How wrong answers are, example by example, and which of two sets of answers is better."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from watchkeeper.detectors.types import FloatArray, ObjectArray
from watchkeeper.handlers.comparing import Comparison, agree, compare
from watchkeeper.handlers.examples import Examples
from watchkeeper.handlers.scoring import Scores


@dataclass(frozen=True, slots=True)
class Answers:
    """Answers to examples: labels (None: absent), scores of the positive class, values (NaN)."""

    label: ObjectArray
    score: FloatArray
    value: FloatArray

    @classmethod
    def recorded(cls, examples: Examples) -> Answers:
        """What the serving version answered when it was asked."""
        return cls(examples.predicted_label, examples.score, examples.predicted_value)

    @classmethod
    def scored(cls, scores: Scores, n: int, positive: str | None) -> Answers:
        """What a model file answers; its score is the probability of the class `positive`."""
        label = np.full(n, None, dtype=object) if scores.label is None else scores.label
        score = np.full(n, np.nan)
        if scores.probabilities is not None and positive in scores.classes:
            score = scores.probabilities[:, scores.classes.index(positive)]
        value = np.full(n, np.nan) if scores.value is None else scores.value
        return cls(label, score, value)


def contest(
    examples: Examples, current: Answers, target: Answers, positive: str | None
) -> Comparison | None:
    """How `target` did against `current`; None without two examples that both have answered.

    A regression is judged by its absolute error. A classification by its Brier score where both
    give scores of `positive`, unless its labels are significantly more often wrong; else by its
    error rate.
    """
    if not examples.classes:
        truth = examples.value
        errors = np.abs(current.value - truth), np.abs(target.value - truth)
        return _compared(*errors, "absolute error")
    wrong = _compared(_wrong(examples, current), _wrong(examples, target), "error rate")
    if positive is None:
        return wrong
    hit = np.array([label == positive for label in examples.label], dtype=np.float64)
    squares = (current.score - hit) ** 2, (target.score - hit) ** 2
    brier = _compared(*squares, "Brier score")
    return wrong if brier is None else agree(brier, wrong)


def _wrong(examples: Examples, answers: Answers) -> FloatArray:
    """1 where the label is wrong, 0 where it is right, NaN where there is none."""
    pairs = zip(examples.label, answers.label, strict=True)
    return np.array([np.nan if a is None else float(a != t) for t, a in pairs], dtype=np.float64)


def _compared(current: FloatArray, target: FloatArray, measure: str) -> Comparison | None:
    both = np.isfinite(current) & np.isfinite(target)
    if both.sum() < 2:
        return None
    return compare(current[both], target[both], measure=measure)
