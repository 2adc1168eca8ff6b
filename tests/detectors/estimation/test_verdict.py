"""Whether a window did harm."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from watchkeeper.detectors.estimation.verdict import Limits, Verdicts, Why, verdicts
from watchkeeper.detectors.types import FloatArray

LIMITS = Limits(np.array([0.8]), np.array([0.9]), np.array([0.85]))


def judged(
    value: float, error: float, *, trusted: bool = True, enough: bool = True, settled: bool = False
) -> Verdicts:
    return verdicts(
        np.array([[value]]),
        np.array([[error]]),
        LIMITS,
        np.array([[trusted]]),
        enough=np.array([enough]),
        settled=np.array([settled]),
    )


@pytest.mark.parametrize(
    ("value", "error", "side", "why"),
    [
        (0.85, 0.01, 0.0, Why.ESTIMATED),
        (0.85, 0.03, 0.0, Why.OPEN),
        (0.79, 0.01, 0.0, Why.OPEN),
        (0.70, 0.01, -1.0, Why.ESTIMATED),
        (0.99, 0.01, 1.0, Why.ESTIMATED),
    ],
)
def test_an_estimate_speaks_when_nothing_unknown_could_change_it(
    value: float, error: float, side: float, why: Why
) -> None:
    found = judged(value, error)

    assert found.side[0, 0] == side
    assert found.why == [[why]]
    assert found.final[0, 0] == (why is Why.ESTIMATED)


def test_an_estimate_that_is_not_trusted_may_not_speak_of_harm() -> None:
    harm, fine = judged(0.7, 0.01, trusted=False), judged(0.85, 0.01, trusted=False)

    assert harm.why == [[Why.DISTRUSTED]]
    assert not harm.final[0, 0]
    assert not harm.outside[0, 0]
    assert fine.why == [[Why.ESTIMATED]]


def test_when_truths_are_known_the_value_stands() -> None:
    assert judged(0.79, 0.01, trusted=False, settled=True).side[0, 0] == -1.0
    assert judged(0.81, 0.01, settled=True).why == [[Why.REALISED]]


def test_there_is_no_verdict_on_too_few_predictions_or_on_nothing() -> None:
    assert judged(0.1, 0.0, enough=False, settled=True).why == [[Why.FEW]]
    assert judged(np.nan, np.nan, settled=True).why == [[Why.UNDEFINED]]
    assert not judged(np.nan, np.nan, settled=True).final[0, 0]


def test_limits_are_three_deviations_and_none_without_windows() -> None:
    values = np.array([[0.8, np.nan, np.nan], [0.9, 0.5, np.nan], [0.85, np.nan, np.nan]])

    limits = Limits.of(values)

    assert limits.low[0] == pytest.approx(0.85 - 3 * 0.05)
    assert limits.high[0] == pytest.approx(0.85 + 3 * 0.05)
    assert np.isinf(limits.low[1:]).all()
    assert np.isnan(limits.expected[2])


@given(
    arrays.arrays(np.float64, (4, 2), elements=st.floats()),
    arrays.arrays(np.float64, (3, 2), elements=st.floats()),
    arrays.arrays(np.float64, (3, 2), elements=st.floats()),
)
def test_odd_numbers_never_raise(known: FloatArray, value: FloatArray, error: FloatArray) -> None:
    with np.errstate(all="ignore"):
        found = verdicts(
            value,
            error,
            Limits.of(known),
            np.ones((3, 2), dtype=np.bool_),
            enough=np.ones(3, dtype=np.bool_),
            settled=np.array([True, False, False]),
        )

    assert np.isin(found.side, [-1.0, 0.0, 1.0]).all()
    assert not found.final[~np.isfinite(value)].any()
