from __future__ import annotations

import math

import numpy as np
import pytest

from tests.detectors.signals.frames import WINDOW, merged, predictions, sampled
from watchkeeper.detectors.profile import Profile
from watchkeeper.detectors.profiling import learn_profile
from watchkeeper.detectors.signals.features import Features
from watchkeeper.detectors.types import PredictionFrame


def profile_of(frame: PredictionFrame) -> Profile:
    return learn_profile([frame], "m", "1")


def numeric(*values: float, **more: list[float]) -> PredictionFrame:
    return predictions(len(values), numeric={"x": list(values), **more})


def test_moments_and_shares_are_those_of_the_values() -> None:
    rng = np.random.default_rng(1)
    before, now = rng.normal(50, 4, 5_000), rng.normal(51, 4, 2_000)
    now[:100] = math.nan
    profile = profile_of(predictions(5_000, numeric={"x": before}))

    found = sampled(Features(), [predictions(2_000, numeric={"x": now})], profile)

    present = now[100:]
    room = 0.05 * (before.max() - before.min())
    outside = (present < before.min() - room) | (present > before.max() + room)
    assert found["x:mean"].value == pytest.approx(present.mean(), abs=1e-6)
    assert found["x:mean"].expected == pytest.approx(before.mean())
    assert found["x:mean"].stderr == pytest.approx(before.std() / math.sqrt(1_900))
    assert found["x:missing"].value == 0.05
    assert found["x:missing"].expected == 0.0
    assert found["x:missing"].n == 2_000
    assert found["x:out_of_range"].value == pytest.approx(outside.mean())
    assert found["x:mean"].n == found["x:out_of_range"].n == 1_900


def test_the_histogram_is_over_the_reference_bins() -> None:
    rng = np.random.default_rng(2)
    before, now = rng.normal(size=4_000), rng.normal(0.5, 2, size=1_000)
    profile = profile_of(predictions(4_000, numeric={"x": before}))

    sample = sampled(Features(), [predictions(1_000, numeric={"x": now})], profile)["x:histogram"]

    edges = np.array([-np.inf, *profile.numeric[0].edges, np.inf])
    assert sample.counts is not None
    assert sample.expected_counts is not None
    assert sample.counts.tolist() == np.histogram(now, edges)[0].tolist()
    assert sample.expected_counts.tolist() == np.histogram(before, edges)[0].tolist()
    assert sample.value > sample.expected + 10 * sample.stderr


def test_unchanged_data_stay_within_the_errors_given() -> None:
    rng = np.random.default_rng(3)
    columns = {f"x{i}": rng.gamma(2, size=30_000) for i in range(20)}
    profile = profile_of(predictions(10_000, numeric={k: v[:10_000] for k, v in columns.items()}))
    now = predictions(20_000, numeric={k: v[10_000:] for k, v in columns.items()})

    found = sampled(Features(), [now.take(slice(0, 1_000))], profile)

    off = [(s.value - s.expected) / s.stderr for s in found.values() if s.stderr > 0]
    assert len(off) == 82
    assert max(map(abs, off)) < 5


def test_categories_that_are_new_are_counted_and_known_ones_binned() -> None:
    profile = profile_of(predictions(4, categorical={"c": ["a", "a", "b", None]}))

    now = predictions(5, categorical={"c": ["a", "z", "y", "b", None]})
    found = sampled(Features(), [now], profile)

    assert found["c:unseen"].value == 0.5
    assert found["c:unseen"].expected == 0.0
    assert found["c:missing"].value == 0.2
    assert found["c:missing"].expected == 0.25
    counts, expected = found["c:histogram"].counts, found["c:histogram"].expected_counts
    assert counts is not None
    assert expected is not None
    assert counts.tolist() == [1, 1, 2]
    assert expected.tolist() == [2, 1, 0]


def test_rare_categories_of_the_reference_are_expected_among_the_unseen() -> None:
    words = [f"w{i}" for i in range(126)]
    profile = profile_of(predictions(126, categorical={"c": words}))

    found = sampled(Features(), [predictions(126, categorical={"c": words})], profile)

    assert found["c:unseen"].value == found["c:unseen"].expected == 0.5


def test_a_feature_that_vanishes_is_missing_from_the_schema() -> None:
    profile = profile_of(numeric(1.0, 2.0, y=[1.0, 2.0]))

    found = sampled(Features(), [numeric(*[1.0] * 600), numeric(*[2.0] * 600)], profile)

    assert found["schema:missing_features"].value == 0.5
    assert found["schema:missing_features"].expected == 0.0
    assert found["schema:missing_features"].stderr == 0.0
    assert found["y:missing"].value == 1.0
    assert "y:mean" not in found
    assert found["schema:new_features"].value == 0.0


def test_a_rare_feature_may_be_absent_from_a_small_window() -> None:
    often = [1.0] + [math.nan] * 9
    profile = profile_of(numeric(*often * 100, y=[1.0] * 1_000))

    found = sampled(Features(), [numeric(*[math.nan] * 10, y=[1.0] * 10)], profile)

    assert found["schema:missing_features"].expected == pytest.approx(0.9**10 / 2, rel=0.02)
    assert found["schema:missing_features"].stderr == pytest.approx(
        math.sqrt(0.9**10 * (1 - 0.9**10)) / 2, rel=0.02
    )


def test_events_with_features_that_are_not_known_are_counted() -> None:
    profile = profile_of(numeric(1.0, 2.0))
    now = predictions(
        4,
        numeric={"x": [1.0] * 4, "new": [1.0, math.nan, math.nan, math.nan]},
        categorical={"text": ["a", "b", None, None]},
    )

    found = sampled(Features(), [now], profile)

    assert found["schema:new_features"].value == 0.5


def test_numbers_as_text_and_text_as_numbers_are_other_types() -> None:
    known = predictions(2, numeric={"x": [1.0, 2.0]}, categorical={"word": ["a", "b"]})
    now = predictions(
        4,
        numeric={"x": [1.0, 2.0, math.nan, math.nan], "word": [math.nan, 1.0, 2.0, math.nan]},
        categorical={"x": [None, None, "3", None], "new": ["a", None, None, "b"]},
    )

    found = sampled(Features(), [now, now], profile_of(known))

    assert found["schema:other_types"].value == 0.5
    assert found["schema:other_types"].expected == 0.0
    assert found["schema:other_types"].n == 8


def test_a_number_that_becomes_text_is_missing_and_new() -> None:
    profile = profile_of(numeric(1.0, 2.0))

    found = sampled(Features(), [predictions(2, categorical={"x": ["1", "2"]})], profile)

    assert found["x:missing"].value == 1.0
    assert found["schema:missing_features"].value == 1.0
    assert found["schema:new_features"].value == 1.0


@pytest.mark.parametrize("wild", [1e308, -1e308, math.inf, -math.inf])
def test_one_wild_value_is_out_of_range_and_moves_the_mean_by_a_bounded_amount(
    wild: float,
) -> None:
    profile = profile_of(numeric(*np.linspace(0, 1, 1_000)))

    found = sampled(Features(), [numeric(0.5, 0.5, 0.5, wild)], profile)

    assert found["x:out_of_range"].value == 0.25
    assert abs(found["x:mean"].value) == pytest.approx(65_536 / 4 * profile.numeric[0].scale, 1e-3)


def test_a_reference_of_the_largest_numbers_is_safe() -> None:
    profile = profile_of(numeric(1e308, -1e308, 1.5e308, 0.0))

    found = sampled(Features(), [numeric(1e308, -1e308, 0.0)], profile)

    assert all(math.isfinite(sample.value) for sample in found.values())
    assert found["x:out_of_range"].value == 0.0


def test_a_constant_feature_that_changes_is_out_of_range() -> None:
    profile = profile_of(numeric(*[3.0] * 50))

    found = sampled(Features(), [numeric(3.0, 4.0)], profile)

    assert found["x:out_of_range"].value == 0.5
    assert found["x:mean"].value == pytest.approx(3.5, abs=1e-5)
    assert math.isnan(found["x:mean"].stderr)


def test_a_feature_never_seen_in_the_reference_is_expected_to_be_missing() -> None:
    profile = profile_of(numeric(math.nan, math.nan))

    found = sampled(Features(), [numeric(math.nan), numeric(5.0)], profile)

    assert found["x:missing"].value == 0.5
    assert found["x:missing"].expected == 1.0
    assert found["schema:missing_features"].expected == 1.0
    assert "x:mean" not in found


def test_parts_of_another_reference_do_not_mix() -> None:
    old, new = profile_of(numeric(1.0, 2.0)), profile_of(numeric(1.0, 2.0, 3.0))
    part = merged(Features(), [numeric(1.0, 1.0)], old)
    part.merge(Features().measure(numeric(2.0), new))

    found = {s.series.target: s for s in Features().samples(part, new, "m", "1", WINDOW)}

    assert found["x:mean"].value == 2.0
    assert found["x:mean"].n == 1


def test_nothing_is_said_without_a_reference_or_events() -> None:
    assert sampled(Features(), [numeric(1.0)]) == {}
    assert sampled(Features(), [predictions(0)], profile_of(numeric(1.0))) == {}
