"""What every signal promises: neither cutting nor order of merging changes a window."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.detectors.signals.frames import joined, logs, merged, metrics, predictions
from tests.examples import examples
from watchkeeper.detectors.profile import Profile
from watchkeeper.detectors.profiling import learn_profile
from watchkeeper.detectors.signals import SIGNALS
from watchkeeper.detectors.types import (
    AnyFrame,
    JoinedFrame,
    LogFrame,
    MetricFrame,
    PredictionFrame,
    Signal,
    Window,
)

ODD = (math.nan, math.inf, -math.inf, 0.0, -0.0, 1e308, -1e308, 5e-324, 0.5, 1.0)
WORDS = (None, "yes", "no", "", "\x1f", "é", "new")
N = 40

seeds = st.integers(0, 2**32 - 1)


def numbers(rng: np.random.Generator, n: int) -> list[float]:
    """Ordinary numbers with odd ones among them."""
    mixed = np.where(rng.random(n) < 0.4, rng.choice(ODD, n), rng.lognormal(0, 3, n))
    return [float(each) for each in mixed]


def words(rng: np.random.Generator, n: int) -> list[str | None]:
    return [WORDS[i] for i in rng.integers(0, len(WORDS), n)]


def odd_predictions(rng: np.random.Generator, n: int) -> PredictionFrame:
    return predictions(
        n,
        entity=words(rng, n),
        duration_s=np.abs(numbers(rng, n)),
        status=rng.integers(0, 3, n).tolist(),
        label=words(rng, n),
        score=numbers(rng, n),
        value=numbers(rng, n),
        output_valid=(rng.random(n) < 0.5).tolist(),
        numeric={name: numbers(rng, n) for name in ("a", "b", "fresh")},
        categorical={name: words(rng, n) for name in ("c", "d")},
    )


def odd_frame(kind: type, rng: np.random.Generator, n: int) -> AnyFrame:
    if kind is PredictionFrame:
        return odd_predictions(rng, n)
    if kind is JoinedFrame:
        return joined(
            n,
            predicted_label=words(rng, n),
            score=np.where(rng.random(n) < 0.7, rng.random(n), numbers(rng, n)),
            predicted_value=numbers(rng, n),
            label=words(rng, n),
            value=numbers(rng, n),
            source=words(rng, n),
        )
    if kind is LogFrame:
        return logs(rng.integers(1, 25, n).tolist())
    assert kind is MetricFrame
    names = [str(each) for each in rng.choice(["cpu", "ram", "x/y"], n)]
    counter = (rng.random(n) < 0.5).tolist()
    return metrics(names, numbers(rng, n), words(rng, n), counter=counter)


def reference() -> Profile:
    rng = np.random.default_rng(7)
    frame = predictions(
        300,
        label=rng.choice(["yes", "no"], 300).tolist(),
        score=rng.random(300),
        value=rng.normal(size=300),
        numeric={"a": rng.normal(size=300), "b": np.ones(300), "gone": numbers(rng, 300)},
        categorical={"c": words(rng, 300), "d": ["yes"] * 300, "lost": ["no"] * 300},
    )
    return learn_profile([frame], "m", "1")


PROFILES = (None, reference())


@pytest.mark.parametrize("signal", SIGNALS, ids=lambda signal: signal.name)
@settings(max_examples=examples(40), deadline=None)
@given(seeds, st.sampled_from(PROFILES), st.sets(st.integers(0, N)), st.randoms())
def test_cut_and_order_of_merging_do_not_matter(
    signal: Signal, seed: int, profile: Profile | None, cuts: set[int], order: Any
) -> None:
    frame = odd_frame(signal.watches, np.random.default_rng(seed), N)
    parts = [frame.take(rows) for rows in np.split(np.arange(N), sorted(cuts))]
    order.shuffle(parts)

    whole, pieces = signal.measure(frame, profile), merged(signal, parts, profile)

    assert set(pieces) == set(whole)
    for name, array in whole.items():
        np.testing.assert_array_equal(pieces[name], array, strict=True)


@pytest.mark.parametrize("signal", SIGNALS, ids=lambda signal: signal.name)
@settings(max_examples=examples(40), deadline=None)
@given(seeds, st.sampled_from(PROFILES), st.integers(0, 5))
def test_samples_of_any_numbers_are_sound(
    signal: Signal, seed: int, profile: Profile | None, n: int
) -> None:
    frame = odd_frame(signal.watches, np.random.default_rng(seed), n)
    part = signal.measure(frame, profile)

    found = list(signal.samples(part, profile, "m", "1", Window(0, 60)))

    assert all(array.dtype == np.int64 for array in part.values())
    assert all(math.isfinite(sample.value) for sample in found)
    assert all(not sample.stderr < 0 for sample in found)
    assert {s.series.target for s in found if s.stderr == 0} <= {"schema:missing_features"}
    assert all(0 < sample.n <= n for sample in found if signal.name != "volume")
    assert len({sample.series for sample in found}) == len(found)
    for sample in found:
        if sample.counts is not None and sample.expected_counts is not None:
            assert sample.counts.shape == sample.expected_counts.shape
            assert sample.counts.sum() == sample.n


@pytest.mark.parametrize("signal", SIGNALS, ids=lambda signal: signal.name)
def test_a_window_measured_before_the_reference_was_known_can_be_closed(signal: Signal) -> None:
    frame = odd_frame(signal.watches, np.random.default_rng(1), N)
    part = signal.measure(frame, None)

    found = list(signal.samples(part, PROFILES[1], "m", "1", Window(0, 60)))

    assert all(math.isfinite(sample.value) for sample in found)


def test_signals_are_found_by_their_file_names() -> None:
    assert [signal.name for signal in SIGNALS] == [
        "accuracy",
        "clients",
        "duplicates",
        "errors",
        "features",
        "joint",
        "labels",
        "latency",
        "logs",
        "metrics",
        "output",
        "volume",
    ]
