"""Kinds of model: what all of them keep to."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from watchkeeper.detectors.estimation.confident import Confident
from watchkeeper.detectors.estimation.kinds import Kind
from watchkeeper.detectors.estimation.regression import Regression
from watchkeeper.detectors.types import IntArray

KINDS = (Confident(32), Regression(8, 2.0))
every_kind = pytest.mark.parametrize("kind", KINDS, ids=lambda kind: type(kind).__name__)


def odd(kind: Kind, seed: int, windows: int) -> IntArray:
    """Counts, mostly none, some large; of a regressor sums that no errors have."""
    random = np.random.default_rng(seed)
    counts = random.integers(0, 10 ** random.integers(1, 9), (windows, kind.parts, kind.cells))
    return np.where(random.random(counts.shape) < random.choice([0.0, 0.01, 0.5]), counts, 0)


@every_kind
@given(st.integers(0, 10_000))
def test_measures_are_finite_or_not_defined(kind: Kind, seed: int) -> None:
    known, unknown = odd(kind, seed, 2), kind.told(odd(kind, seed + 1, 2))
    answers = kind.answers(unknown, np.array([0, 5]))

    found = kind.lesson(odd(kind, seed + 2, 1)[0]).restated(known, unknown, answers)

    undefined = np.isnan(found.value)
    assert found.value.shape == (2, len(kind.measures))
    assert np.isfinite(found.value[~undefined]).all()
    assert np.all(found.error[~undefined] >= 0)
    assert np.array_equal(np.isnan(found.error), undefined)


@every_kind
@given(st.integers(0, 10_000))
def test_what_is_known_has_no_error(kind: Kind, seed: int) -> None:
    known = odd(kind, seed, 2)
    nothing = np.zeros((2, kind.cells), dtype=np.int64)

    found = kind.lesson(known[0]).restated(known, nothing, kind.answers(nothing, np.zeros(2)))

    assert np.all(found.error[np.isfinite(found.value)] == 0)
