"""Columns that changed places or units."""

from __future__ import annotations

import pytest

from watchkeeper.detectors.mistakes.columns import FACTORS, rescaled, swapped
from watchkeeper.detectors.types import Finding, Series, Severity


def moved(name: str, expected: float, value: float) -> Finding:
    series = Series("m", "1", "features", f"{name}:mean")
    return Finding(
        series, "reference_z", Severity.INFO, 0.0, 60.0, value, expected, 9.0, 6.0, n=500
    )


def test_two_columns_that_changed_places_are_named() -> None:
    found = [moved("age", 40, 52_000), moved("income", 52_000, 40), moved("debt", 900, 1_400)]

    assert swapped(found) == [("age", "income")]


def test_two_columns_that_both_moved_are_not_taken_for_swapped() -> None:
    assert not swapped([moved("age", 40, 60), moved("income", 52_000, 80_000)])
    assert not swapped([moved("a", 1.0, 2.0), moved("b", 1.0, 3.0)])


@pytest.mark.parametrize("factor", FACTORS.values())
@pytest.mark.parametrize("sign", [1, -1])
def test_a_known_factor_is_taken_for_another_unit_both_ways(factor: float, sign: int) -> None:
    ((up, larger, units),) = rescaled([moved("height", sign * 1.7, sign * 1.72 * factor)])
    ((down, smaller, same),) = rescaled([moved("height", sign * 1.7 * factor, sign * 1.72)])

    assert (up, down) == ("height", "height")
    assert units == same
    assert larger == pytest.approx(1 / smaller, rel=0.03)


@pytest.mark.parametrize(("expected", "value"), [(40, 55), (40, -40_000), (0.0, 7.0), (5, 5 * 47)])
def test_other_changes_are_not(expected: float, value: float) -> None:
    assert not rescaled([moved("age", expected, value)])
