"""Limits around what is expected."""

from __future__ import annotations

from dataclasses import replace

import pytest

from watchkeeper.detectors.outside import Outside
from watchkeeper.detectors.types import Sample, Samples, Series, Window

NORMAL = Sample(Series("m", "1", "stretch", "accuracy"), Window(0.0, 60.0), 0.9, 2_000, 0.01, 0.9)


def found(detector: Outside, *values: float) -> list[int]:
    given = [replace(NORMAL, value=value) for value in values]
    return [i for i, each in enumerate(given) if detector.update(Samples.of([each]))]


def test_each_sample_is_judged_for_itself() -> None:
    assert found(Outside(), 0.9, 0.86, 0.88, 0.94, 0.92, 0.86) == [1, 3, 5]


@pytest.mark.parametrize(("direction", "at"), [("down", [0]), ("up", [1])])
def test_a_direction_can_be_chosen(direction: str, at: list[int]) -> None:
    assert found(Outside(direction=direction), 0.86, 0.94) == at  # type: ignore[arg-type]


def test_a_change_that_is_too_small_is_none_however_sure_it_is() -> None:
    sure = replace(NORMAL, stderr=0.0001, value=0.88)

    assert Outside(min_change=0.05).update(Samples.of([sure])) == []
    assert Outside(min_change=0.01).update(Samples.of([sure])) != []


def test_what_knows_no_normal_or_no_spread_is_not_judged() -> None:
    nothing = float("nan")

    for sample in (
        replace(NORMAL, value=0.5, expected=nothing),
        replace(NORMAL, value=0.5, stderr=nothing),
        replace(NORMAL, value=0.5, stderr=0.0),
    ):
        assert Outside().update(Samples.of([sample])) == []
