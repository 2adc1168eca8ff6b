"""Paired tests of losses."""

from __future__ import annotations

import numpy as np
import pytest

from watchkeeper.detectors.types import FloatArray
from watchkeeper.handlers.comparing import Comparison, Verdict, agree, compare


def _losses(seed: int, shift: float, n: int = 400) -> tuple[FloatArray, FloatArray]:
    random = np.random.default_rng(seed)
    current = random.gamma(2.0, 1.0, n)
    return current, current + random.normal(shift, 0.5, n)


@pytest.mark.parametrize(("shift", "verdict"), [(-0.3, "better"), (0.3, "worse")])
def test_a_clear_difference_is_seen(shift: float, verdict: Verdict) -> None:
    assert compare(*_losses(1, shift), measure="absolute error").verdict == verdict


def test_equal_losses_are_rarely_told_apart() -> None:
    verdicts = [compare(*_losses(seed, 0.0), measure="loss").verdict for seed in range(200)]

    assert verdicts.count("same") >= 180


def test_errors_are_judged_by_those_that_only_one_makes() -> None:
    current = np.repeat([1.0, 0.0, 1.0, 0.0], [10, 2, 500, 500])
    target = np.repeat([0.0, 1.0, 1.0, 0.0], [10, 2, 500, 500])

    found = compare(current, target, measure="error rate")

    assert (found.verdict, found.n) == ("better", 1012)
    assert found.p == pytest.approx(2 * 79 / 2**12)


def test_the_same_answers_are_the_same() -> None:
    losses = np.array([0.1, 0.5, 0.2])

    assert compare(losses, losses, measure="loss").p == 1.0


def test_a_constant_difference_needs_no_spread() -> None:
    losses = np.array([0.125, 0.5, 0.25])

    assert compare(losses, losses + 1, measure="loss").verdict == "worse"


def test_better_by_one_measure_and_worse_by_another_is_not_better() -> None:
    better = Comparison("better", "Brier score", 0.2, 0.1, 0.01, 100)
    worse = Comparison("worse", "error rate", 0.1, 0.2, 0.01, 100)

    assert agree(better, worse).verdict == "same"
    assert agree(better, None).verdict == "better"
    assert agree(worse, better).verdict == "worse"
