"""Opinions as samples and findings: what a monitor shows, watches further and pages."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from watchkeeper.detectors.estimation.bins import truth_counts
from watchkeeper.detectors.estimation.delays import delay_counts
from watchkeeper.detectors.estimation.performance import Opinion
from watchkeeper.detectors.estimation.verdict import Limits
from watchkeeper.detectors.types import (
    BoolArray,
    Direction,
    Finding,
    FloatArray,
    IntArray,
    Sample,
    Series,
    Severity,
)

ESTIMATE, PERFORMANCE, GAP = "estimate", "performance", "estimate_gap"  # signals
DETECTOR = "performance"
_WORSE_WHEN_HIGHER = frozenset({"brier", "log_loss", "mae", "rmse"})


def samples(
    opinion: Opinion, measures: tuple[str, ...], limits: Limits, model: str, version: str
) -> list[Sample]:
    """The samples of an opinion: of each measure its `estimate` before any truth and its
    `performance` as far as it is known, both with their standard error and the reference's value;
    once, when it is scored, the `estimate_gap`, truth less estimate, expected to be 0. The gap's
    own drift is a change of what scores mean, which no change of inputs explains."""

    def of(signal: str, value: FloatArray, error: FloatArray, expected: FloatArray) -> list[Sample]:
        return [
            Sample(
                Series(model, version, signal, name),
                opinion.window,
                float(value[place]),
                opinion.n,
                float(error[place]),
                float(expected[place]),
            )
            for place, name in enumerate(measures)
            if math.isfinite(value[place])
        ]

    found = of(ESTIMATE, opinion.estimate.value[0], opinion.band, limits.expected)
    found += of(PERFORMANCE, opinion.now.value[0], opinion.error, limits.expected)
    if opinion.gaps is not None:
        gaps = opinion.gaps
        found += of(GAP, gaps.value[0], gaps.error[0], np.zeros(len(measures)))
    return found


def findings(
    opinion: Opinion,
    measures: tuple[str, ...],
    limits: Limits,
    model: str,
    version: str,
    severity: Severity = Severity.CRITICAL,
) -> list[Finding]:
    """The verdicts of an opinion that a measure is outside its limits, of `severity` on the worse
    side and INFO on the better one. The same verdict has the same id, however often it is told.
    `statistic` and `threshold` are in thirds of the room between expected value and limit, which
    are the reference's standard deviations."""
    found = []
    for place, name in enumerate(measures):
        side = float(opinion.verdicts.side[0, place])
        if not side:
            continue
        worse = (side > 0) == (name in _WORSE_WHEN_HIGHER)
        value, expected = float(opinion.now.value[0, place]), float(limits.expected[place])
        unit = float(limits.high[place] - limits.low[place]) / 6.0
        direction: Direction = "up" if side > 0 else "down"
        found.append(
            Finding(
                series=Series(model, version, PERFORMANCE, name),
                detector=DETECTOR,
                severity=severity if worse else Severity.INFO,
                since=opinion.window.start,
                at=opinion.window.end,
                value=value,
                expected=expected,
                statistic=abs(value - expected) / unit if unit > 0 else 1e6,
                threshold=3.0,
                n=opinion.n,
                direction=direction,
            )
        )
    return found


class Labelled(NamedTuple):
    """What became known of one window of a binary classifier: see `Performance.labelled`."""

    start: float
    known: IntArray
    delays: IntArray


def labelled(
    predicted_at: FloatArray, at: FloatArray, score: FloatArray, truth: BoolArray, width: float
) -> Iterator[Labelled]:
    """Joined predictions of one version of a model by the window of the prediction, oldest first:
    when they were made and labelled (seconds), their scores and whether the truth is positive.
    Windows are `width` seconds long and begin at its multiples. What has no score is left out."""
    usable = np.isfinite(predicted_at) & (score >= 0.0) & (score <= 1.0)
    made, came, scores = predicted_at[usable], at[usable], score[usable]
    truths, starts = truth[usable], np.floor(made / width) * width
    for start in np.unique(starts).tolist():
        mine = starts == start
        delays = delay_counts(came[mine] - made[mine])
        yield Labelled(start, truth_counts(scores[mine], truths[mine]), delays)
