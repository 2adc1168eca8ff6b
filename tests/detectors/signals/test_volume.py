from __future__ import annotations

from tests.detectors.signals.frames import predictions, sampled
from watchkeeper.detectors.signals.volume import Volume


def test_counts_the_predictions_of_all_frames() -> None:
    found = sampled(Volume(), [predictions(16), predictions(9)])

    assert found[""].value == found[""].n == 25
    assert found[""].stderr == 5.0


def test_a_window_without_any_prediction_gives_zero() -> None:
    found = sampled(Volume(), [])

    assert found[""].value == 0.0
    assert found[""].n == 0
    assert found[""].stderr == 1.0


def test_an_empty_frame_counts_nothing() -> None:
    assert sampled(Volume(), [predictions(0)])[""].n == 0
