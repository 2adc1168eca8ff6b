"""Counters become rates, in whatever order readings come and however often they begin anew."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.detectors.signals.frames import merged, metrics, sampled
from watchkeeper.detectors.signals._counters import MOST, MetricCounts, kept, rate, readings
from watchkeeper.detectors.signals.metrics import OVERFLOW, TARGETS, Metrics, carried
from watchkeeper.detectors.types import MetricFrame, Partial, Window

ODD = st.floats() | st.sampled_from([0.0, 1e308, -1e308, 5e-324, math.nan, math.inf])
PAIRS = st.lists(st.tuples(st.floats(0, 60), ODD), max_size=30)


def counter(*pairs: tuple[float, float], name: str = "x", host: str | None = None) -> MetricFrame:
    n = len(pairs)
    at, values = [p[0] for p in pairs], [p[1] for p in pairs]
    return metrics([name] * n, values, [host] * n, at=at, counter=[True] * n)


def rate_of(*pairs: tuple[float, float], before: tuple[float, float] | None = None) -> float | None:
    part = merged(Metrics(), [counter(*pairs)])
    if before is not None:
        part.merge(carried(counter(before)))
    found = list(Metrics().samples(part, None, "m", "1", Window(0.0, 60.0)))
    return found[0].value if found else None


def test_a_counter_is_its_increase_per_second() -> None:
    found = sampled(Metrics(), [counter((10.0, 100.0), (20.0, 130.0), (30.0, 180.0), host="h")])

    assert set(found) == {"x@h"}
    assert (found["x@h"].value, found["x@h"].n) == (4.0, 3)


def test_one_reading_alone_says_nothing() -> None:
    assert rate_of((10.0, 100.0)) is None


def test_one_reading_a_window_goes_on_from_the_window_before() -> None:
    assert rate_of((10.0, 160.0), before=(-50.0, 100.0)) == 1.0


def test_the_last_reading_of_the_window_before_counts() -> None:
    part = merged(Metrics(), [counter((10.0, 160.0))])
    for reading in [(-50.0, 100.0), (-10.0, 120.0), (-30.0, 110.0)]:
        part.merge(carried(counter(reading)))

    (found,) = Metrics().samples(part, None, "m", "1", Window(0.0, 60.0))

    assert (found.value, found.n) == (2.0, 1)


def test_what_the_window_before_says_alone_is_no_sample() -> None:
    part = MetricCounts()
    part.merge(carried(counter((-10.0, 120.0))))

    assert list(Metrics().samples(part, None, "m", "1", Window(0.0, 60.0))) == []


def test_a_counter_that_fell_began_anew() -> None:
    assert rate_of((0.0, 100.0), (10.0, 150.0), (20.0, 30.0), (40.0, 40.0)) == 90.0 / 40.0
    assert rate_of((10.0, 20.0), before=(-10.0, 500.0)) == 1.0


def test_a_standing_counter_has_a_rate_of_zero() -> None:
    assert rate_of((0.0, 7.0), (30.0, 7.0)) == 0.0


def test_what_came_twice_counts_once() -> None:
    frame = counter((0.0, 1.0), (30.0, 31.0))

    found = sampled(Metrics(), [frame, frame])

    assert (found["x"].value, found["x"].n) == (1.0, 2)


def test_readings_that_are_no_numbers_do_not_count() -> None:
    assert rate_of((0.0, 1.0), (10.0, math.nan), (20.0, math.inf), (30.0, 31.0)) == 1.0
    assert rate_of((0.0, math.nan)) is None


def test_a_metric_of_both_kinds_is_a_counter() -> None:
    gauge = metrics(["x", "x"], [500.0, 600.0], at=[1.0, 2.0])

    found = sampled(Metrics(), [gauge, counter((0.0, 1.0), (30.0, 31.0))])

    assert set(found) == {"x"}
    assert (found["x"].value, found["x"].n) == (1.0, 2)


def test_a_rate_beyond_a_double_is_no_sample() -> None:
    assert rate_of((0.0, -1e308), (1.0, 1e308)) is None


def test_many_readings_are_thinned_but_for_the_ends() -> None:
    at = np.sort(np.random.default_rng(1).uniform(0, 60, 5_000))

    found = readings(at, 3.0 * at)

    assert found.shape == (MOST, 2)
    assert found.view(np.float64)[[0, -1], 0].tolist() == [at[0], at[-1]]
    assert rate(found, None) == pytest.approx(3.0)


def test_counters_beyond_the_limit_are_only_counted() -> None:
    names = [f"m{i:03}" for i in range(TARGETS + 3)]
    n = 2 * len(names)

    at = [0.0] * len(names) + [1.0] * len(names)
    found = sampled(Metrics(), [metrics(names * 2, [1.0] * n, at=at, counter=[True] * n)])

    assert len(found) == TARGETS + 1
    assert found[OVERFLOW].value == found[OVERFLOW].n == 6


@given(PAIRS, PAIRS, PAIRS, st.randoms())
def test_order_and_repetition_of_merges_do_not_matter(
    first: list[tuple[float, float]],
    second: list[tuple[float, float]],
    early: list[tuple[float, float]],
    order: object,
) -> None:
    parts = [Metrics().measure(counter(*p), None) for p in (first, second, first + second)]
    parts += [carried(counter(*early)), carried(counter(*early[:2]))]
    shuffled = list(parts)
    order.shuffle(shuffled)  # type: ignore[attr-defined]

    one, other = _whole(parts), _whole(shuffled)

    assert set(one) == set(other)
    for name, array in one.items():
        np.testing.assert_array_equal(array, other[name], strict=True)
    for sample in Metrics().samples(one, None, "m", "1", Window(0.0, 60.0)):
        assert math.isfinite(sample.value)
        assert sample.value >= 0


@given(st.lists(st.tuples(st.integers(0, 50), st.integers(0, 9)), min_size=1, max_size=300))
def test_thinning_parts_is_thinning_the_whole(pairs: list[tuple[int, int]]) -> None:
    whole = np.array(pairs, dtype=np.float64).view(np.int64)
    half = len(whole) // 2

    parts = [kept(part) for part in (whole[:half], whole[half:]) if len(part)]

    np.testing.assert_array_equal(kept(np.concatenate(parts)), kept(whole))


def _whole(parts: list[Partial]) -> Partial:
    whole = MetricCounts()
    for part in parts:
        whole.merge(part)
    return whole
