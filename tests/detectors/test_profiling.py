from __future__ import annotations

import math
from itertools import pairwise
from time import thread_time

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.costs import at_most
from tests.detectors.signals.frames import objects, predictions
from tests.examples import examples
from watchkeeper.detectors.column_profiles import categorical_profile, numeric_profile
from watchkeeper.detectors.profile import BINS, CATEGORIES, FEATURES, NumericProfile, Profile
from watchkeeper.detectors.profiling import ProfileError, learn_profile, profile_from_columns
from watchkeeper.detectors.types import FloatArray

odd_numbers = st.one_of(
    st.floats(allow_nan=True, allow_infinity=True), st.integers(-3, 3).map(float), st.just(1e308)
)


def bins_of(profile: NumericProfile, values: FloatArray) -> list[int]:
    return [int(np.searchsorted(np.array(profile.edges), v, side="right")) for v in values]


def test_a_continuous_column_is_cut_at_its_quantiles() -> None:
    values = np.random.default_rng(1).normal(10, 2, 32_000)

    profile = numeric_profile("x", values)

    assert len(profile.counts) == BINS
    assert min(profile.counts) >= 999
    assert max(profile.counts) <= 1_001
    assert profile.mean == pytest.approx(values.mean())
    assert profile.sd == pytest.approx(values.std())
    assert profile.centre == pytest.approx(10, abs=0.05)
    assert profile.scale == pytest.approx(2, rel=0.05)
    assert (profile.low, profile.high) == (values.min(), values.max())


@pytest.mark.parametrize("distinct", [1, 2, 3, 31, 32])
def test_few_values_have_a_bin_each(distinct: int) -> None:
    values = np.arange(distinct, dtype=np.float64) * 0.3

    profile = numeric_profile("x", np.tile(values, 5))

    assert bins_of(profile, values) == list(range(distinct))
    assert profile.counts == (5,) * distinct


def test_whole_numbers_are_cut_between_the_numbers() -> None:
    profile = numeric_profile("x", np.repeat(np.arange(100.0), 20))

    assert len(profile.counts) == BINS
    assert all(edge % 1 == 0.5 for edge in profile.edges)


def test_a_frequent_value_has_its_own_bin() -> None:
    rare = np.random.default_rng(2).uniform(0, 1, 4_000)

    profile = numeric_profile("x", np.concatenate((np.zeros(6_000), rare)))

    assert profile.counts[0] == 6_000


def test_neighbouring_numbers_are_told_apart() -> None:
    values = np.array([1.0, math.nextafter(1.0, 2.0)])

    assert bins_of(numeric_profile("x", values), values) == [0, 1]


@pytest.mark.parametrize(("n", "level"), [(400, 1.0), (5_000, 1e4), (20_000, 1e5)])
def test_edges_of_many_values_are_of_four_bytes(n: int, level: float) -> None:
    values = np.random.default_rng(4).normal(level, 1, n)

    profile = numeric_profile("x", values)

    edges, usual = np.array(profile.edges), n / BINS
    assert (edges.astype(np.float32) == edges).all()
    assert len(edges) == BINS - 1
    assert 0.7 * usual < min(profile.counts) <= max(profile.counts) < 1.3 * usual


def test_whole_numbers_of_many_digits_keep_their_bins() -> None:
    values = np.repeat(1.7e9 + np.arange(200.0), 20)

    profile = numeric_profile("x", values)

    assert all(edge % 1 == 0.5 for edge in profile.edges)
    assert max(profile.counts) <= 2 * len(values) / BINS


def test_outliers_move_the_scale_little() -> None:
    values = np.random.default_rng(3).normal(0, 1, 10_000)
    values[:10] = 1e3

    assert numeric_profile("x", values).scale == pytest.approx(1, rel=0.05)


@settings(max_examples=examples(300))
@given(st.lists(odd_numbers, max_size=80))
def test_any_column_gives_finite_numbers_and_ascending_edges(values: list[float]) -> None:
    profile = numeric_profile("x", np.array(values, dtype=np.float64))

    numbers = (profile.centre, profile.scale, profile.low, profile.high, profile.mean, profile.sd)
    assert all(math.isfinite(number) for number in (*numbers, *profile.edges))
    assert profile.scale > 0
    assert sorted(set(profile.edges)) == list(profile.edges)
    assert len(profile.counts) == len(profile.edges) + 1 <= BINS
    assert sum(profile.counts) == profile.n - profile.missing
    assert profile.n == len(values)
    assert profile.sd >= 0
    assert profile.low <= profile.high


def test_a_column_without_any_value_is_all_missing() -> None:
    profile = numeric_profile("x", np.array([math.nan, math.inf]))

    assert (profile.n, profile.missing, profile.edges, profile.counts) == (2, 2, (), (0,))


def test_a_constant_column_keeps_a_scale() -> None:
    profile = numeric_profile("x", np.full(10, 3.0))

    assert (profile.mean, profile.sd, profile.counts) == (3.0, 0.0, (10,))


def test_the_most_frequent_categories_are_kept_and_ties_go_by_name() -> None:
    values = [f"c{i:03}" for i in range(CATEGORIES + 7)] + ["z", "z", None]

    profile = categorical_profile("x", objects(values, len(values)))

    assert profile.categories[:2] == ("z", "c000")
    assert len(profile.categories) == CATEGORIES
    assert (profile.other, profile.missing, profile.n) == (8, 1, len(values))


def census() -> Profile:
    rng = np.random.default_rng(4)
    frame = predictions(
        1_000,
        at=np.linspace(100, 200, 1_000),
        label=["yes" if chance < 0.7 else "no" for chance in rng.random(1_000)],
        score=rng.random(1_000),
        numeric={"age": rng.integers(18, 90, 1_000).astype(float), "gain": np.zeros(1_000)},
        categorical={"sex": ["f", "m", None, "f"] * 250},
    )
    return learn_profile([frame], "m", "1")


def test_a_learned_profile_says_what_it_was_learned_from() -> None:
    profile = census()

    assert (profile.model, profile.version, profile.source) == ("m", "1", "learned")
    assert (profile.n, profile.since, profile.until) == (1_000, 100.0, 200.0)
    assert [each.name for each in profile.numeric] == ["age", "gain"]
    assert profile.categorical[0].missing == 250
    assert profile.score is not None
    assert profile.value is None


def test_a_profile_survives_storage() -> None:
    profile = census()

    stored = msgspec.json.encode(profile)

    assert msgspec.json.decode(stored, type=Profile) == profile


@given(st.sets(st.integers(1, 99)))
def test_the_cut_into_frames_does_not_matter(cuts: set[int]) -> None:
    rng = np.random.default_rng(5)
    whole = predictions(
        100,
        label=rng.choice(["a", "b"], 100).tolist(),
        score=rng.random(100),
        numeric={"x": rng.normal(size=100)},
        categorical={"c": rng.choice(["u", "v"], 100).tolist()},
    )
    ends = [0, *sorted(cuts), 100]
    parts = [whole.take(slice(a, b)) for a, b in pairwise(ends)]

    assert learn_profile(parts, "m", "1") == learn_profile([whole], "m", "1")


def test_a_feature_absent_from_a_frame_is_missing_there() -> None:
    frames = [
        predictions(3, numeric={"x": [1, 2, 3]}),
        predictions(2, categorical={"c": ["u"] * 2}),
    ]

    profile = learn_profile(frames, "m", "1")

    assert (profile.numeric[0].n, profile.numeric[0].missing) == (5, 2)
    assert (profile.categorical[0].n, profile.categorical[0].missing) == (5, 3)


def test_a_feature_that_came_as_both_is_profiled_as_what_it_was_more_often() -> None:
    numeric = {"x": [1.0, math.nan, math.nan], "y": [1.0, 2.0, math.nan]}
    categorical = {"x": [None, "1", "2"], "y": [None, None, "3"]}

    profile = learn_profile([predictions(3, numeric=numeric, categorical=categorical)], "m", "1")

    assert [each.name for each in profile.numeric] == ["y"]
    assert [each.name for each in profile.categorical] == ["x"]


def test_only_so_many_features_are_profiled_the_fullest_first() -> None:
    numeric = {f"f{i:04}": [math.nan, 1.0] for i in range(FEATURES)} | {"full": [1.0, 2.0]}

    profile = learn_profile([predictions(2, numeric=numeric)], "m", "1")

    assert len(profile.numeric) == FEATURES
    assert profile.numeric[-1].name == "full"


@pytest.mark.parametrize(
    ("labels", "score", "value", "task"),
    [
        (["a", "b", "c"], False, False, "multiclass"),
        (["a", "b", "a"], False, False, "binary"),
        (["a", "a", "a"], True, False, "binary"),
        (["a", "a", "a"], False, False, "unknown"),
        (None, True, False, "binary"),
        (None, False, True, "regression"),
        (None, False, False, "unknown"),
    ],
)
def test_the_task_follows_from_the_answers(
    labels: list[str] | None, score: bool, value: bool, task: str
) -> None:
    frame = predictions(
        3, label=labels, score=[0.1] * 3 if score else None, value=[2.0] * 3 if value else None
    )

    assert learn_profile([frame], "m", "1").task == task


@pytest.mark.parametrize(
    ("labels", "given", "positive"),
    [
        (["0", "1", "1"], None, "1"),
        (["False", "True", "True"], None, "True"),
        (["good", "good", "bad"], None, "bad"),
        (["good", "good", "bad"], "good", "good"),
        (["a", "b", "c"], None, None),
    ],
)
def test_the_positive_class_is_given_or_named_so_or_the_rarer(
    labels: list[str], given: str | None, positive: str | None
) -> None:
    profile = learn_profile([predictions(3, label=labels)], "m", "1", positive=given)

    assert profile.positive == positive


def test_no_rows_are_no_reference() -> None:
    with pytest.raises(ProfileError, match="at least one prediction"):
        learn_profile([predictions(0)], "m", "1")


def test_columns_of_a_file_are_told_apart_by_what_they_hold() -> None:
    columns = {
        "whole": np.array([1, 2, 3]),
        "flag": np.array([True, False, True]),
        "gaps": objects([1, None, 2.5], 3),
        "text": np.array(["u", "v", "u"]),
        "mixed": objects(["u", 1, math.nan], 3),
    }

    profile = profile_from_columns(
        columns, model="m", version="2", label=np.array([1.0, 0.0, math.nan]), positive="1"
    )

    assert [each.name for each in profile.numeric] == ["flag", "gaps", "whole"]
    assert [each.name for each in profile.categorical] == ["mixed", "text"]
    assert profile.numeric[1].missing == 1
    assert profile.categorical[0].missing == 1
    assert profile.classes is not None
    assert profile.classes.categories == ("0", "1")
    assert (profile.source, profile.task, profile.positive) == ("imported", "binary", "1")


def test_columns_and_frames_of_the_same_rows_give_the_same_reference() -> None:
    x, label = np.arange(50.0), ["a", "b"] * 25
    frame = predictions(50, numeric={"x": x}, label=label)

    learned = learn_profile([frame], "m", "1", source="imported")
    imported = profile_from_columns(
        {"x": x}, model="m", version="1", label=np.array(label), at=frame.at
    )

    assert imported == learned


@pytest.mark.parametrize(
    ("columns", "score", "message"),
    [
        ({}, None, "at least one row"),
        ({"a": np.arange(3), "b": np.arange(3), "c": np.arange(2)}, None, "'c' has 2 rows"),
        ({"a": np.arange(2)}, np.array(["x", "y"]), "'score' must hold numbers"),
    ],
)
def test_columns_that_do_not_fit_are_refused(
    columns: dict[str, FloatArray], score: FloatArray | None, message: str
) -> None:
    with pytest.raises(ProfileError, match=message):
        profile_from_columns(columns, model="m", version="1", score=score)


def test_rows_of_which_each_has_other_features_take_no_more_time_the_more_there_are() -> None:
    assert at_most(2 * 8, lambda: seconds(320), lambda: seconds(40))


def seconds(n: int) -> float:
    """How long it takes to learn from so many rows with features of their own."""
    frames = [predictions(1, numeric={f"f{i}-{k}": [1.0] for k in range(40)}) for i in range(n)]
    began = thread_time()
    profile = learn_profile(frames, "m", "1")
    assert len(profile.numeric) == FEATURES
    return thread_time() - began
