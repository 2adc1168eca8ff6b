"""Findings of evidence where only some changes matter."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest

from watchkeeper.detectors.frames import BoolArray, FloatArray, IntArray
from watchkeeper.detectors.keys import keys_of
from watchkeeper.detectors.sequential.watching import (
    BELOW,
    Floors,
    Level,
    Passed,
    Rates,
    Values,
)

SERIES, LEVEL = 40, 43_200.0
Judge = Callable[[FloatArray, BoolArray], Passed]


def judging_rates(n: int, min_change: float) -> Judge:
    """Judges a window's shares of n events each."""
    floors = Floors(min_change, 0.0)
    rates = Rates("either", Level(LEVEL), 255, 1_000_000, floors, reference=False)
    held = np.zeros(SERIES, dtype=rates.fields())
    sizes, unknown = np.full(SERIES, n), np.full(SERIES, np.nan)
    return lambda value, calm: rates.judge(held, value, sizes, unknown, calm)


def judging_values(min_change: float) -> Judge:
    """Judges a window's values."""
    values = Values("either", Level(LEVEL), 255, 100_000, Floors(min_change, 0.0))
    held = np.zeros(SERIES, dtype=values.fields())
    history = np.zeros(SERIES, dtype=values.history())
    at: IntArray = np.arange(SERIES)
    keys = keys_of([str(each) for each in at])
    return lambda value, calm: values.judge(held, history, (at, at), keys, value, at * 0, calm)


def begun(judge: Judge, windows: FloatArray) -> BoolArray:
    """Where findings begin, of windows' values (T, S)."""
    firing, result = np.zeros(SERIES, dtype=np.bool_), np.zeros(windows.shape, dtype=np.bool_)
    with np.errstate(all="ignore"):
        for t, value in enumerate(windows):
            passed = judge(value, ~firing)
            limit = math.log(LEVEL) - np.where(firing, BELOW, 0.0)
            now = passed.matters & (passed.statistic > limit)
            result[t], firing = now & ~firing, now
    return result


def rates(seed: int, n: int, *parts: tuple[float, int]) -> FloatArray:
    """Shares of n events, at one rate after another."""
    random = np.random.default_rng(seed)
    return np.concatenate([random.binomial(n, p, (t, SERIES)) / n for p, t in parts])


@pytest.mark.slow
def test_after_a_harmless_change_of_rate_flickers_are_no_findings() -> None:
    stream = rates(1, 100, (0.01, 1_000), (0.02, 5_000))

    found = begun(judging_rates(100, 0.02), stream)

    assert found.sum() / found.size < 1.2 / LEVEL


@pytest.mark.slow
def test_after_a_harmless_change_of_values_flickers_are_no_findings() -> None:
    stream = np.random.default_rng(2).normal(size=(5_000, SERIES))
    stream[1_000:] += 0.5

    found = begun(judging_values(1.0), stream)

    assert found.sum() / found.size < 2.0 / LEVEL


@pytest.mark.parametrize(
    ("before", "after", "delay"), [(0.01, 0.035, 12), (0.1, 0.15, 5), (0.1, 0.2, 2)]
)
def test_a_change_that_matters_is_still_found_soon(before: float, after: float, delay: int) -> None:
    found = begun(judging_rates(300, 0.02), rates(3, 300, (before, 500), (after, 60)))

    assert found[500:].any(axis=0).all()
    assert found[500:].argmax(axis=0).mean() < delay


def test_a_harmless_change_that_comes_to_matter_is_found() -> None:
    stream = rates(4, 300, (0.1, 500), (0.11, 200), (0.16, 40))

    found = begun(judging_rates(300, 0.03), stream)

    assert found[700:].any(axis=0).all()
    assert found[700:].argmax(axis=0).mean() < 8
