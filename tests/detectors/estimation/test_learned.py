"""What the labelled reference of a model teaches."""

from __future__ import annotations

import numpy as np
import pytest

from tests.detectors.estimation.made import drawn, stretches
from watchkeeper.detectors.estimation.bins import SAID_FROM_HALF, score_counts
from watchkeeper.detectors.estimation.kinds import Binary
from watchkeeper.detectors.estimation.learned import learned
from watchkeeper.detectors.estimation.trust import Trusts

ROW = np.zeros(1, dtype=np.int64)


def test_the_record_says_how_estimates_fared_within_the_reference() -> None:
    taught = learned(Binary(), stretches(1, 20), np.repeat(SAID_FROM_HALF[None], 20, axis=0))

    trusts = Trusts(len(Binary.measures))
    trusts.load(0, taught.record)
    assert trusts.trusted(ROW).all()


@pytest.mark.parametrize("threshold", [0.5, 0.9])
def test_the_limits_are_those_of_the_answers_the_model_gives(threshold: float) -> None:
    known = stretches(2, 10)
    said = [int((drawn(2_000 + i, 2_000)[0] >= threshold).sum()) for i in range(10)]
    answers = Binary().answers(known.sum(axis=1), np.array(said))

    taught = learned(Binary(), known, answers)

    scores, truths = drawn(50, 20_000)
    right = ((scores >= threshold) == truths).mean()
    assert taught.limits.expected[0] == pytest.approx(right, abs=0.02)
    assert score_counts(scores).sum() == 20_000
