"""Measures of a classifier from counts by score."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given

from tests.detectors.estimation.made import ODD_TRUTHS, TRUTHS, drawn, stretches
from tests.detectors.signals.frames import joined, sampled
from tests.detectors.signals.test_accuracy import BINARY, named
from watchkeeper.detectors.estimation.bins import SAID_FROM_HALF, score_counts, truth_counts
from watchkeeper.detectors.estimation.calibration import curves
from watchkeeper.detectors.estimation.classified import MEASURES, estimated, realised, restated
from watchkeeper.detectors.signals.accuracy import Accuracy
from watchkeeper.detectors.types import IntArray

SAID = SAID_FROM_HALF


def test_realised_measures_are_those_of_the_signal() -> None:
    scores, truths = drawn(1, 3_000, bent=0.7)
    said = named((scores >= 0.5).tolist())
    frame = joined(3_000, predicted_label=said, score=scores, label=named(truths.tolist()))
    known = sampled(Accuracy(), [frame], BINARY)

    found = dict(
        zip(MEASURES, realised(truth_counts(scores, truths)[None], SAID).value[0], strict=True)
    )

    for name in ("accuracy", "precision", "recall", "f1", "roc_auc"):
        assert found[name] == pytest.approx(known[name].value, abs=1e-12)
    assert found["brier"] == pytest.approx(known["brier"].value, abs=1e-3)
    assert found["log_loss"] == pytest.approx(known["log_loss"].value, abs=1e-3)


@pytest.mark.parametrize("bent", [0.5, 1.0, 2.0])
def test_truths_fall_into_the_band_19_times_of_20(bent: float) -> None:
    curve = curves(truth_counts(*drawn(1, 20_000, bent))[None])
    known = stretches(2, 200, 1_000, bent)

    guess = estimated(known.sum(axis=1), SAID, curve.take(np.zeros(200, dtype=np.int64)))
    truth = realised(known, SAID)

    inside = (np.abs(truth.value - guess.value) <= 1.96 * guess.error).mean(axis=0)
    assert np.all((inside > 0.90) & (inside < 0.985))


def test_with_a_small_reference_the_band_is_wider_but_holds() -> None:
    inside, known = [], stretches(3, 150, 1_000, 0.6)
    for seed in range(150):
        curve = curves(truth_counts(*drawn(90_000 + seed, 500, 0.6))[None])
        guess = estimated(known[[seed]].sum(axis=1), SAID, curve)
        truth = realised(known[[seed]], SAID)
        inside.append(np.abs(truth.value - guess.value)[0] <= 1.96 * guess.error[0])

    assert np.all(np.mean(inside, axis=0)[:5] > 0.85)  # the curve's own bias is not in the band


def test_estimates_follow_easier_and_harder_predictions() -> None:
    scores, truths = drawn(1, 60_000, bent=0.6)
    curve = curves(truth_counts(scores[:30_000], truths[:30_000])[None])
    sure = np.abs(scores - 0.5) > 0.3
    rows = [np.flatnonzero(each)[-2_000:] for each in (sure, ~sure)]
    known = np.stack([truth_counts(scores[each], truths[each]) for each in rows])

    guess = estimated(known.sum(axis=1), SAID, curve.take(np.array([0, 0])))
    truth = realised(known, SAID)

    assert guess.value[0, 0] > guess.value[1, 0] + 0.1
    assert np.all(np.abs(guess.value - truth.value) < 4 * guess.error)


def test_with_truths_the_estimate_becomes_what_was_realised() -> None:
    known, curve = stretches(4, 1), curves(stretches(5, 1))
    truth, half = realised(known, SAID), known // 2

    errors = []
    for part in (np.zeros_like(known), half, known):
        now = restated(part, (known - part).sum(axis=1), SAID, curve)
        errors.append(now.error[0])
        assert np.all(np.abs(now.value - truth.value) <= 4 * now.error + 1e-12)

    assert np.all(errors[0] > errors[1])
    assert np.all(errors[1] > errors[2])
    assert np.all(errors[2] == 0.0)


@given(ODD_TRUTHS, TRUTHS)
def test_odd_counts_give_finite_measures_or_none(known: IntArray, unknown: IntArray) -> None:
    curve = curves(known[None])

    found = restated(known[None], unknown.sum(axis=0)[None], SAID, curve)

    undefined = np.isnan(found.value)
    assert np.array_equal(undefined, np.isnan(found.error))
    assert np.isfinite(found.value[~undefined]).all()
    assert np.all((found.value[~undefined])[:5] >= 0)
    assert np.all(found.error[~undefined] >= 0)


def test_a_window_of_one_class_has_no_auc() -> None:
    known = np.stack([np.zeros_like(score_counts(np.array([0.2]))), score_counts(np.array([0.2]))])

    found = dict(zip(MEASURES, realised(known[None], SAID).value[0], strict=True))

    assert np.isnan(found["roc_auc"])
    assert np.isnan(found["precision"])
    assert found["accuracy"] == 0.0


@given(TRUTHS, TRUTHS)
def test_windows_are_measured_each_for_itself(a: IntArray, b: IntArray) -> None:
    both = np.stack([a, b])
    curve = curves(both)

    together = estimated(both.sum(axis=1), SAID, curve)

    for row in range(2):
        alone = estimated(both[[row]].sum(axis=1), SAID, curve.take(np.array([row])))
        for one, other in zip(together, alone, strict=True):
            np.testing.assert_allclose(one[row], other[0], rtol=1e-12, atol=1e-15)
