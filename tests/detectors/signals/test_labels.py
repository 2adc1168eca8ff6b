"""What the sources of labels say of the answers, and of each other."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tests.costs import at_most, seconds
from tests.detectors.signals.frames import joined, predictions, sampled
from tests.examples import examples
from watchkeeper.detectors.profile import Profile
from watchkeeper.detectors.profiling import learn_profile
from watchkeeper.detectors.signals import part_of
from watchkeeper.detectors.signals._disagreement import COUNTED, MEASURED
from watchkeeper.detectors.signals.labels import OTHERS, Labels, Pairs, counts_of
from watchkeeper.detectors.types import JoinedFrame, Partial

LABELS = Labels()


def merged(signal: Labels, frames: list[JoinedFrame]) -> Partial:
    """The parts of frames, merged."""
    whole = part_of(signal.name)
    for frame in frames:
        whole.merge(signal.measure(frame, None))
    return whole


def told(wrong: dict[str | None, tuple[int, int]]) -> JoinedFrame:
    """Labels of each source: how many, and how many of them contradict."""
    source, label = [], []
    for name, (n, bad) in wrong.items():
        source += [name] * n
        label += ["no"] * bad + ["yes"] * (n - bad)
    said = ["yes"] * len(label)
    return joined(len(label), predicted_label=said, label=label, source=source)


def binary() -> Profile:
    label = ["yes", "no"] * 50
    return learn_profile([predictions(100, label=label)], "m", "1", positive="yes")


def test_a_source_is_compared_with_all_other_labels() -> None:
    frame = told({"crew": (100, 5), "vendor": (50, 40), None: (100, 5)})

    found = sampled(LABELS, [frame])

    vendor = found["source:vendor"]
    assert vendor.value == pytest.approx(0.8 - 0.05)
    assert (vendor.n, vendor.expected) == (50, 0.0)
    p = 12 / 204
    assert vendor.stderr == pytest.approx(math.sqrt(p * (1 - p) * (1 / 50 + 1 / 200)))
    assert found["source:crew"].value == pytest.approx(0.05 - 45 / 150)


def test_the_rest_is_right_without_the_source_that_stands_out() -> None:
    lying = sampled(LABELS, [told({"crew": (100, 5), "vendor": (50, 40)})])["rest"]
    honest = sampled(LABELS, [told({"crew": (100, 5), "vendor": (50, 3)})])["rest"]

    assert (lying.value, lying.n) == (0.95, 100)
    assert honest.n == 150
    assert honest.value == pytest.approx(142 / 150)


def test_a_source_that_few_labels_show_to_stand_out_is_not_among_the_rest() -> None:
    """A quarter of all labels are turned round, of a model that is wrong in one of five."""
    others, liar = (10, 2), (10, 8)

    part = told({"crew": others, "users": others, "bank": others, "vendor": liar})
    rest = sampled(LABELS, [part])["rest"]

    assert (rest.n, rest.value) == (30, 0.8)


def test_a_source_of_few_labels_is_only_among_the_others() -> None:
    found = sampled(LABELS, [told({"crew": (100, 5), "vendor": (9, 9)})])

    assert set(found) == {"source:crew", "rest"}
    assert found["rest"].n == 109


def test_a_source_without_others_is_compared_with_nothing() -> None:
    found = sampled(LABELS, [told({"crew": (100, 5)})])

    assert set(found) == {"rest"}


def test_labels_of_nobody_say_only_how_many_are_positive() -> None:
    frame = joined(4, predicted_label=["yes"] * 4, label=["yes", "no", "no", None])

    found = sampled(LABELS, [frame], binary())

    assert set(found) == {"positive_rate"}
    assert found["positive_rate"].n == 3
    assert found["positive_rate"].value == pytest.approx(1 / 3)


def test_answers_are_scores_where_no_label_is_said() -> None:
    score, label = [0.9, 0.1, 0.8, 0.2], ["yes", "no", "no", "yes"]
    source = ["a", "a", "b", "b"]
    frame = joined(40, score=score * 10, label=label * 10, source=source * 10)

    found = sampled(LABELS, [frame], binary())

    assert found["source:b"].value == 1.0
    assert found["source:a"].value == -1.0


def test_errors_of_regressors_are_compared_by_their_size() -> None:
    rng = np.random.default_rng(1)
    value = rng.normal(size=400)
    truth = value + rng.normal(0, 0.1, 400)
    truth[300:] *= 1_000.0
    source = ["crew", "users", "users"] * 100 + ["vendor"] * 100
    frame = joined(400, predicted_value=value, value=truth, source=source)

    found = sampled(LABELS, [frame])

    assert found["source:vendor"].value > 0.45
    assert found["source:vendor"].stderr == pytest.approx(math.sqrt(401 / (12 * 100 * 300)))
    assert found["source:crew"].value < 0.0


@pytest.mark.parametrize("error", [0.0, 5e-324, 1e308, math.inf, math.nan])
def test_errors_of_any_size_have_a_place(error: float) -> None:
    values = np.full(20, error)
    frame = joined(20, predicted_value=np.zeros(20), value=values, source=["a", "b"] * 10)

    found = sampled(LABELS, [frame])

    told = [each.value for target, each in found.items() if target.startswith("source:")]
    assert told == [0.0] * (2 * math.isfinite(error))
    rest = [each.value for target, each in found.items() if target == "rest_error"]
    assert rest == [error] * math.isfinite(error)


def test_the_error_without_the_source_that_stands_out() -> None:
    off = np.concatenate([np.full(100, 2.0), np.full(50, 4.0), np.full(60, 900.0)])
    source = ["crew"] * 100 + ["users"] * 50 + ["vendor"] * 60

    found = sampled(LABELS, [joined(210, predicted_value=np.zeros(210), value=off, source=source)])

    assert (found["rest_error"].value, found["rest_error"].n) == (400.0 / 150, 150)


@pytest.mark.parametrize(("numbers", "room"), [(False, COUNTED), (True, MEASURED)])
@settings(max_examples=examples(20), deadline=None)
@given(
    st.lists(st.integers(0, 150), min_size=1, max_size=300),
    st.sets(st.integers(0, 300)),
    st.sampled_from([1, 12]),
)
@example(list(range(150)), {40, 100}, 12)
def test_which_sources_a_window_tells_apart_hangs_on_no_cut(
    numbers: bool, room: int, names: list[int], cuts: Any, each: int
) -> None:
    source = [f"s{name}.{i}" for name in names for i in range(each)]
    n, rng = len(source), np.random.default_rng(len(source))
    said = ["a"] * n
    off = {"predicted_value": np.zeros(n), "value": rng.lognormal(0.0, 9.0, n)} if numbers else {}
    whole = joined(n, predicted_label=said, label=said, source=source, **off)
    at = sorted(each * c for c in cuts if each * c < n)
    pieces = [whole.take(rows) for rows in np.split(np.arange(n), at)]

    parts = [merged(LABELS, frames) for frames in ([whole], pieces, pieces[::-1])]

    assert plain(parts[0]) == plain(parts[1]) == plain(parts[2])
    counted = counts_of(parts[0])
    assert len(counted.keys() - {OTHERS}) == min(len(set(source)), room)
    assert sum(counted.values()) == n


def plain(part: Partial) -> dict[str, list[int]]:
    """A part to be compared."""
    return {name: part[name].tolist() for name in sorted(part)}


def test_sources_that_say_nothing_of_the_answers_take_no_place() -> None:
    names = [f"s{i}" for i in range(2 * COUNTED)]
    label = ["yes" if i < COUNTED else None for i in range(len(names))]
    frame = joined(len(names), predicted_label=["yes"] * len(names), label=label, source=names)

    counted = counts_of(merged(LABELS, [frame]))

    assert counted == dict.fromkeys(sorted(names[:COUNTED]), 1)


def test_as_many_sources_as_labels_cost_little_more_than_a_few() -> None:
    """Each source cost a pass over all labels: 40 to 60 microseconds a label, of 20,000, or
    some 500 times what a few cost."""
    n = 20_000
    none = np.zeros(n, dtype=np.uint64)
    rng = np.random.default_rng(1)
    off = rng.normal(size=n), rng.normal(size=n)
    pairs = Pairs(none, none, np.uint64(0), np.full(n, np.nan), *off)
    names = [f"user{i}" for i in range(n)]

    def a_few() -> float:
        return seconds(lambda: LABELS.by_source(names[:3], np.arange(n) % 3, pairs))

    def as_many() -> float:
        return seconds(lambda: LABELS.by_source(names, np.arange(n), pairs))

    assert at_most(100, as_many, a_few)
    assert len(counts_of(LABELS.by_source(names, np.arange(n), pairs))) == MEASURED + 1
