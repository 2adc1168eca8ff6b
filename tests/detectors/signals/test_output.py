from __future__ import annotations

import math

import numpy as np
import pytest

from tests.detectors.signals.frames import predictions, sampled
from watchkeeper.detectors.profile import Profile
from watchkeeper.detectors.profiling import learn_profile
from watchkeeper.detectors.signals.output import Output
from watchkeeper.detectors.types import PredictionFrame


def profile_of(frame: PredictionFrame, positive: str | None = None) -> Profile:
    return learn_profile([frame], "m", "1", positive=positive)


def labelled(*labels: str | None) -> PredictionFrame:
    return predictions(len(labels), label=labels)


def test_rates_of_classes_against_the_reference() -> None:
    profile = profile_of(labelled(*["no"] * 75, *["yes"] * 25))

    found = sampled(Output(), [labelled("yes", "yes", "no", "maybe", None)], profile)

    assert found["rate:yes"].value == 0.5
    assert found["rate:yes"].expected == 0.25
    assert found["rate:yes"].n == 4
    assert found["rate:yes"].stderr == pytest.approx(math.sqrt(0.25 * 0.75 / 4), rel=0.01)
    assert found["rate:no"].value == 0.25
    assert found["unseen_class_rate"].value == 0.25
    assert found["unseen_class_rate"].expected == 0.0
    assert found["positive_rate"].value == 0.5
    assert found["positive_rate"].expected == 0.25


def test_the_class_mix_has_a_histogram() -> None:
    profile = profile_of(labelled(*["no"] * 75, *["yes"] * 25))

    sample = sampled(Output(), [labelled("yes", "yes", "no", "maybe")], profile)["classes"]

    assert sample.counts is not None
    assert sample.expected_counts is not None
    assert sample.counts.tolist() == [1, 2, 1]
    assert sample.expected_counts.tolist() == [75, 25, 0]


def test_a_given_positive_class_that_the_reference_lacks_is_expected_never() -> None:
    profile = profile_of(labelled(*["no"] * 10), positive="yes")

    found = sampled(Output(), [labelled("yes", "no")], profile)

    assert found["positive_rate"].value == 0.5
    assert found["positive_rate"].expected == 0.0


@pytest.mark.parametrize("kind", ["score", "value"])
def test_means_and_histograms_of_scores_and_values(kind: str) -> None:
    rng = np.random.default_rng(1)
    before, now = rng.beta(2, 5, 4_000), rng.beta(2, 4, 1_000)
    profile = profile_of(_numbers(kind, before))

    sample = sampled(Output(), [_numbers(kind, now)], profile)[kind]

    edges = np.array([-np.inf, *_edges(profile, kind), np.inf])
    assert sample.value == pytest.approx(now.mean(), abs=1e-6)
    assert sample.expected == pytest.approx(before.mean())
    assert sample.stderr == pytest.approx(before.std() / math.sqrt(1_000))
    assert sample.counts is not None
    assert sample.counts.tolist() == np.histogram(now, edges)[0].tolist()


def _numbers(kind: str, column: np.ndarray[tuple[int], np.dtype[np.float64]]) -> PredictionFrame:
    if kind == "score":
        return predictions(len(column), score=column)
    return predictions(len(column), value=column)


def _edges(profile: Profile, kind: str) -> tuple[float, ...]:
    column = profile.score if kind == "score" else profile.value
    assert column is not None
    return column.edges


def test_without_labels_scores_from_one_half_up_are_positive() -> None:
    profile = profile_of(predictions(4, score=[0.1, 0.2, 0.3, 0.9]))

    found = sampled(Output(), [predictions(4, score=[0.5, 0.6, 0.4, math.nan])], profile)

    assert found["positive_rate"].value == pytest.approx(2 / 3)
    assert found["positive_rate"].n == 3
    assert math.isnan(found["positive_rate"].expected)


def test_invalid_answers_are_counted_without_a_reference() -> None:
    frame = predictions(4, output_valid=[True, False, True, True])

    found = sampled(Output(), [frame])

    assert set(found) == {"invalid_rate"}
    assert found["invalid_rate"].value == 0.25


def test_failed_predictions_have_no_class() -> None:
    profile = profile_of(labelled("a", "b", "a"))

    found = sampled(Output(), [labelled(None, None)], profile)

    assert set(found) == {"invalid_rate"}


def test_a_regressor_has_no_positive_rate() -> None:
    profile = profile_of(predictions(3, value=[1.0, 2.0, 3.0]))

    found = sampled(Output(), [predictions(2, value=[1.0, 2.0])], profile)

    assert set(found) == {"invalid_rate", "value"}
