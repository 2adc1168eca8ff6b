"""The mergeable sample of a reference, and functions that round alike everywhere."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.examples import examples
from watchkeeper.detectors.sequential import QuantileSketch
from watchkeeper.detectors.sequential.exact import exp, ln, log_gamma


def same(one: QuantileSketch, other: QuantileSketch) -> bool:
    return one.values.tobytes() == other.values.tobytes() and one.n == other.n


@given(st.permutations(range(4)))
@settings(max_examples=examples(20))
def test_parts_merge_in_any_order(order: list[int]) -> None:
    values = np.random.default_rng(1).normal(size=6_000)
    parts = [QuantileSketch.of(values[i::4], i) for i in range(4)]

    merged = QuantileSketch.empty()
    for each in order:
        merged = merged.merge(parts[each])

    assert same(merged, (parts[0].merge(parts[1])).merge(parts[2].merge(parts[3])))
    assert merged.n == 6_000


def test_a_stream_cut_in_two_is_the_stream() -> None:
    values = np.random.default_rng(2).normal(size=3_000)

    cut = QuantileSketch.of(values[:1_000], 7).merge(QuantileSketch.of(values[1_000:], 7, 1_000))

    assert same(cut, QuantileSketch.of(values, 7))


def test_quantiles_are_near() -> None:
    values = np.random.default_rng(3).lognormal(size=100_000)
    asked = np.array([0.05, 0.5, 0.95])

    found = QuantileSketch.of(values, 1).quantiles(asked)

    ranks = [(values <= each).mean() for each in found]
    assert ranks == pytest.approx(asked.tolist(), abs=0.05)


def test_nothing_has_no_quantiles() -> None:
    empty = QuantileSketch.of(np.array([np.nan, np.inf]), 1)

    assert empty.n == 0
    assert np.isnan(empty.quantiles(np.array([0.5]))).all()


@given(st.floats(1e-300, 1e300))
def test_logarithms(x: float) -> None:
    assert ln(np.array([x]))[0] == pytest.approx(math.log(x), rel=1e-14, abs=1e-14)


@given(st.floats(-700, 700))
def test_exponentials(x: float) -> None:
    assert exp(np.array([x]))[0] == pytest.approx(math.exp(x), rel=1e-14)


@given(st.floats(1e-6, 1e9))
def test_log_gammas(x: float) -> None:
    assert log_gamma(np.array([x]))[0] == pytest.approx(math.lgamma(x), rel=1e-12, abs=1e-12)


def test_places_in_an_array_mean_nothing() -> None:
    x = np.random.default_rng(4).uniform(0.01, 50, 1_001)
    for function in (ln, exp, log_gamma):
        whole = function(x)
        for place in (0, 3, 500, 1_000):
            assert function(x[place : place + 1])[0] == whole[place]
