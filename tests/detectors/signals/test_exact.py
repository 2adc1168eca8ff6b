from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from watchkeeper.detectors.signals._exact import LIMIT, STEPS, limbs, steps, total

finite = st.floats(allow_nan=False, allow_infinity=False)


@given(st.lists(finite))
def test_limbs_hold_the_exact_sum(values: list[float]) -> None:
    expected = sum((Fraction(value) for value in values), Fraction(0))

    assert total(limbs(np.array(values, dtype=np.float64))) == expected


def test_limbs_have_room_for_many_of_the_largest() -> None:
    many = limbs(np.full(100_000, np.finfo(np.float64).max)) * 20_000

    assert total(many) == Fraction(np.finfo(np.float64).max) * 2_000_000_000


@pytest.mark.parametrize(
    ("unit", "expected"),
    [
        (math.nan, 0),
        (math.inf, LIMIT * STEPS),
        (-1e308, -LIMIT * STEPS),
        (0.5, STEPS / 2),
        (-1 / 3, round(-STEPS / 3)),
    ],
)
def test_steps_are_bounded_and_rounded(unit: float, expected: float) -> None:
    assert steps(np.array([unit])).tolist() == [expected]
