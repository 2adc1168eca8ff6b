"""What the labelled reference of a model teaches."""

from __future__ import annotations

import numpy as np
import pytest

from tests.detectors.estimation.made import drawn
from watchkeeper.detectors.estimation.bins import SAID_FROM_HALF, score_counts, truth_counts
from watchkeeper.detectors.estimation.delays import delay_counts
from watchkeeper.detectors.estimation.kinds import Binary
from watchkeeper.detectors.estimation.learned import Learner, learned
from watchkeeper.detectors.types import StateError

HORIZON = 10_000.0


def fed(windows: int, share: float = 1.0, threshold: float = 0.5) -> Learner:
    """A learner that saw so many windows of 1,000, two a stretch, with a share of their labels."""
    learner = Learner(Binary(), HORIZON, size=2_000, wanted=4)
    for window in range(windows):
        scores, truths = drawn(window, 1_000)
        said, n = int((scores >= threshold).sum()), int(1_000 * share)
        learner.scored(60.0 * window, 60.0 * window + 60.0, score_counts(scores), said)
        counts = truth_counts(scores[:n], truths[:n])
        learner.labelled(60.0 * window, counts, delay_counts(np.ones(n)))
    return learner


def test_a_learner_learns_as_soon_as_there_is_enough() -> None:
    few, enough = fed(7).learned(0.0), fed(8).learned(0.0)

    known = np.stack(
        [
            truth_counts(*drawn(2 * i, 1_000)) + truth_counts(*drawn(2 * i + 1, 1_000))
            for i in range(4)
        ]
    )
    whole = learned(Binary(), known, np.repeat(SAID_FROM_HALF[None], 4, axis=0))
    assert few is None
    assert enough is not None
    assert enough.record == whole.record
    assert np.array_equal(enough.limits.low, whole.limits.low)


def test_labels_that_are_missing_are_waited_for_until_the_horizon() -> None:
    learner = fed(8, share=0.7)

    assert learner.learned(600.0) is None
    assert learner.learned(HORIZON + 600.0) is not None


def test_a_stretch_that_hardly_gets_labels_is_let_go() -> None:
    learner = fed(8, share=0.1)

    assert learner.learned(HORIZON + 600.0) is None
    assert learner.stretches.held == []


def test_the_limits_are_those_of_the_answers_the_model_gives() -> None:
    strict = fed(8, threshold=0.9).learned(0.0)

    scores, truths = drawn(50, 20_000)
    assert strict is not None
    assert strict.limits.expected[0] == pytest.approx(((scores >= 0.9) == truths).mean(), abs=0.02)


def test_what_was_gathered_reads_back() -> None:
    learner, read = fed(5), Learner(Binary(), HORIZON, size=2_000, wanted=4)
    read.load(learner.dump())

    assert read.dump() == learner.dump()
    with pytest.raises(StateError):
        read.load(learner.dump()[:-1])
