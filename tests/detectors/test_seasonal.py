"""The hour of the week."""

from __future__ import annotations

import numpy as np
import pytest

from tests.detectors.streams import fired, samples
from watchkeeper.detectors.seasonal import LONGEST, Seasonal
from watchkeeper.detectors.types import FloatArray

WEEK = 168


def traffic(seed: int, weeks: int) -> FloatArray:
    """Counts an hour with a day and a quiet week-end."""
    hours = np.arange(weeks * WEEK)
    usual = 1000 * (1.2 + np.sin(2 * np.pi * hours / 24)) * np.where(hours % WEEK < 120, 1, 0.3)
    return np.random.default_rng(seed).poisson(usual).astype(np.float64)


def test_a_regular_week_is_silent() -> None:
    detector = Seasonal(min_ratio=0.3, threshold=6.0)

    assert fired(detector, samples(traffic(1, 12), width=3600.0)) == []


def test_the_traffic_of_a_working_day_on_a_sunday_is_found() -> None:
    values = traffic(2, 5)
    odd = 4 * WEEK + 130
    values[odd : odd + 6] = values[odd - 48 : odd - 42]

    found = fired(Seasonal(min_ratio=0.3), samples(values, width=3600.0))

    assert found == list(range(odd, odd + 6))


def test_an_hour_of_the_week_not_yet_known_is_not_judged() -> None:
    values = traffic(3, 3)
    values[WEEK + 10] = 1e6

    found = fired(Seasonal(), samples(values, width=3600.0))

    assert WEEK + 10 not in found


@pytest.mark.parametrize("width", [60.0, 300.0, 3600.0, 7200.0])
def test_it_learns_at_any_width_of_window(width: float) -> None:
    length = int(3 * WEEK * 3600 / width)
    values = np.random.default_rng(4).normal(100, 1, length)
    values[-1] = 300

    assert fired(Seasonal(min_ratio=0.5), samples(values, width=width)) == [length - 1]


def test_a_fault_is_not_learned() -> None:
    detector = Seasonal(min_ratio=0.5)
    values = np.random.default_rng(5).normal(100, 1, 6 * WEEK)
    values[3 * WEEK :] += 200

    assert len(fired(detector, samples(values, width=3600.0))) == 3 * WEEK


@pytest.mark.parametrize("level", [0.1, 1 / 3, 1.7e9 + 0.1, 1e-41, -1e-200, 1e39, -1e200])
def test_a_value_that_stays_is_no_change_however_it_is_rounded(level: float) -> None:
    detector = Seasonal(min_n=0)

    assert fired(detector, samples(np.full(6 * WEEK, level), width=3600.0)) == []


def test_a_mean_that_rounding_holds_back_is_no_change() -> None:
    rising = 1_000.0 + 1e-6 * np.arange(36_000)
    detector = Seasonal(weeks=36_000, min_hours=0.1, min_n=0)

    assert fired(detector, samples(rising, width=0.1)) == []


def test_an_hour_is_known_after_the_most_windows_that_are_counted() -> None:
    values = np.append(np.random.default_rng(6).normal(100, 1, LONGEST), [300.0])

    assert fired(Seasonal(min_hours=2.0), samples(values, width=0.05)) == [LONGEST]
