"""The hour of the week."""

from __future__ import annotations

import numpy as np
import pytest

from tests.detectors.streams import fired, samples
from watchkeeper.detectors.seasonal import Seasonal
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
