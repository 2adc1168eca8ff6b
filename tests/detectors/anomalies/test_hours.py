"""The hour of the week."""

from __future__ import annotations

import numpy as np

from watchkeeper.detectors.anomalies.hours import FIELDS, departure
from watchkeeper.detectors.frames import FloatArray, IntArray

ROW: IntArray = np.zeros(1, dtype=np.int64)
QUARTER = 900.0


def departures(values: FloatArray, width: float = QUARTER) -> FloatArray:
    state = {name: np.zeros((1, *size), kind) for name, kind, size in FIELDS}
    found = [
        departure(state, ROW, np.array([width * place]), np.array([value]))[0]
        for place, value in enumerate(values.tolist())
    ]
    return np.array(found)


def days(count: int, seed: int = 1) -> FloatArray:
    place = np.arange(count * 96)
    noise = np.random.default_rng(seed).normal(size=len(place))
    return 100 + 50 * np.sin(2 * np.pi * place / 96) + noise


def test_a_day_that_comes_again_is_known() -> None:
    values = days(10)
    values[-40] += 30

    found = departures(values)

    assert np.isfinite(found[3 * 96 :]).all()
    assert found[-40] > 20
    assert np.median(found[3 * 96 :]) < 5


def test_where_the_hour_explains_nothing_nothing_is_said() -> None:
    noise = np.random.default_rng(2).normal(size=10 * 96)

    assert np.isnan(departures(noise)[2 * 96 :]).mean() > 0.9


def test_a_walk_without_hours_is_not_explained_by_them() -> None:
    walk = np.random.default_rng(3).normal(size=20 * 96).cumsum()

    assert np.isnan(departures(walk)[4 * 96 :]).mean() > 0.5


def test_the_first_day_has_no_usual_hour() -> None:
    assert np.isnan(departures(days(1))).all()
