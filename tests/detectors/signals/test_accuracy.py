from __future__ import annotations

import math

import numpy as np
import pytest

from tests.detectors.signals.frames import joined, sampled
from watchkeeper.detectors.profile import Profile
from watchkeeper.detectors.signals.accuracy import Accuracy
from watchkeeper.detectors.types import FloatArray, JoinedFrame, Sample

BINARY = Profile(
    model="m",
    version="1",
    source="imported",
    n=1,
    since=0.0,
    until=0.0,
    task="binary",
    positive="yes",
)


def drawn(seed: int, n: int, base: float = -1.0) -> tuple[FloatArray, list[bool]]:
    """Scores of an informative, roughly calibrated classifier, and the truths."""
    rng = np.random.default_rng(seed)
    logit = rng.normal(base, 1.5, n)
    truth = rng.random(n) < 1 / (1 + np.exp(-logit))
    return 1 / (1 + np.exp(-(logit + rng.normal(0, 0.7, n)))), [bool(each) for each in truth]


def named(values: list[bool]) -> list[str]:
    return ["yes" if value else "no" for value in values]


def classified(score: FloatArray, truth: list[bool]) -> JoinedFrame:
    said = [bool(each >= 0.5) for each in score]
    return joined(len(truth), predicted_label=named(said), score=score, label=named(truth))


def measured(frame: JoinedFrame) -> dict[str, Sample]:
    return sampled(Accuracy(), [frame], BINARY)


@pytest.mark.parametrize("base", [-6.0, -1.0, 2.0])
def test_measures_are_those_of_scikit_learn(base: float) -> None:
    of = pytest.importorskip("sklearn.metrics", reason="needs the extra `train`")
    score, truth = drawn(1, 20_000, base)
    guess = score >= 0.5

    found = measured(classified(score, truth))

    assert found["accuracy"].value == pytest.approx(of.accuracy_score(truth, guess))
    assert found["precision"].value == pytest.approx(of.precision_score(truth, guess))
    assert found["recall"].value == pytest.approx(of.recall_score(truth, guess))
    assert found["f1"].value == pytest.approx(of.f1_score(truth, guess))
    assert found["roc_auc"].value == pytest.approx(of.roc_auc_score(truth, score), abs=2e-4)
    assert found["log_loss"].value == pytest.approx(of.log_loss(truth, score), abs=1e-6)
    assert found["brier"].value == pytest.approx(of.brier_score_loss(truth, score), abs=1e-6)
    assert all(sample.n == 20_000 for sample in found.values())


def test_regression_measures_are_those_of_scikit_learn() -> None:
    of = pytest.importorskip("sklearn.metrics", reason="needs the extra `train`")
    rng = np.random.default_rng(2)
    truth = rng.lognormal(3, 2, 1_000)
    guess = truth * rng.lognormal(0, 0.3, 1_000)

    found = measured(joined(1_000, predicted_value=guess, value=truth))

    assert found["mae"].value == pytest.approx(of.mean_absolute_error(truth, guess), rel=1e-12)
    assert found["rmse"].value == pytest.approx(of.root_mean_squared_error(truth, guess), rel=1e-12)
    assert found["mae"].n == 1_000


def test_standard_errors_are_those_of_repeated_windows() -> None:
    windows = [measured(classified(*drawn(seed, 1_000))) for seed in range(200)]

    for target in windows[0]:
        between = float(np.std([each[target].value for each in windows]))
        claimed = float(np.mean([each[target].stderr for each in windows]))
        assert 0.8 < claimed / between < 1.25, target


def test_standard_errors_of_regression_are_those_of_repeated_windows() -> None:
    errors = np.random.default_rng(3).normal(0, 2, (300, 500))

    windows = [measured(joined(500, predicted_value=row, value=np.zeros(500))) for row in errors]

    for target in ("mae", "rmse"):
        between = float(np.std([each[target].value for each in windows]))
        claimed = float(np.mean([each[target].stderr for each in windows]))
        assert 0.85 < claimed / between < 1.15, target


@pytest.mark.parametrize("truth", [True, False])
def test_a_window_of_one_class_has_no_auc(truth: bool) -> None:
    found = measured(classified(np.array([0.2, 0.7, 0.9]), [truth] * 3))

    assert "roc_auc" not in found
    assert {"accuracy", "log_loss", "brier"} <= set(found)


def test_precision_needs_positive_answers_and_recall_positive_truths() -> None:
    cautious = measured(classified(np.array([0.1, 0.2]), [True, False]))
    quiet = measured(classified(np.array([0.9, 0.2]), [False, False]))
    nothing = measured(classified(np.array([0.1]), [False]))

    assert "precision" not in cautious
    assert cautious["recall"].value == 0.0
    assert "recall" not in quiet
    assert quiet["precision"].value == 0.0
    assert not {"precision", "recall", "f1"} & set(nothing)


def test_perfect_ranking_is_no_certainty() -> None:
    sample = measured(classified(np.array([0.1, 0.2, 0.8, 0.9]), [False, False, True, True]))[
        "roc_auc"
    ]

    assert sample.value == 1.0
    assert sample.stderr > 0


def test_several_classes_have_accuracy_alone() -> None:
    frame = joined(4, predicted_label=["a", "b", "c", "a"], label=["a", "b", "b", None])

    found = sampled(Accuracy(), [frame])

    assert set(found) == {"accuracy"}
    assert found["accuracy"].value == pytest.approx(2 / 3)
    assert found["accuracy"].n == 3


def test_without_predicted_labels_scores_decide() -> None:
    frame = joined(4, score=[0.9, 0.5, 0.1, math.nan], label=["yes", "no", "no", "yes"])

    found = measured(frame)

    assert found["accuracy"].value == pytest.approx(2 / 3)
    assert found["accuracy"].n == 3
    assert found["precision"].value == 0.5


def test_scores_that_are_no_probabilities_do_not_count() -> None:
    frame = classified(np.array([-3.0, 7.0, math.nan, math.inf, 0.6]), [True] * 5)

    found = measured(frame)

    assert found["log_loss"].n == 1
    assert found["accuracy"].n == 5


def test_certain_and_wrong_scores_cost_much_but_not_everything() -> None:
    found = measured(classified(np.array([0.0, 1.0]), [True, False]))

    assert 36 < found["log_loss"].value < 37
    assert found["brier"].value == 1.0


@pytest.mark.parametrize("size", [1e308, 1e-160])
def test_errors_of_extreme_size_are_safe(size: float) -> None:
    found = measured(joined(3, predicted_value=[size, -size, size], value=[-size, size, size]))

    assert all(math.isfinite(sample.value) for sample in found.values())
    assert found["rmse"].value <= 1e75


def test_exact_predictions_have_no_error() -> None:
    found = measured(joined(3, predicted_value=[1.0, 2.0, 3.0], value=[1.0, 2.0, 3.0]))

    assert found["rmse"].value == found["mae"].value == 0.0
    assert math.isnan(found["rmse"].stderr)


def test_pairs_without_numbers_or_labels_say_nothing() -> None:
    assert measured(joined(2, predicted_value=[math.nan, 1.0], value=[1.0, math.inf])) == {}
    assert measured(joined(0)) == {}
