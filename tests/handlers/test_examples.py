"""Joining kept predictions with their truths."""

from __future__ import annotations

import dataclasses

import numpy as np

from watchkeeper.detectors.types import ERROR, OK, LabelFrame, PredictionFrame
from watchkeeper.handlers.examples import joined


def _predictions(
    version: str, requests: list[str], at: list[float], **changed: object
) -> PredictionFrame:
    n = len(requests)
    columns: dict[str, object] = {
        "model": "churn",
        "at": np.array(at, dtype=np.float64),
        "seq": np.arange(n),
        "version": version,
        "request_id": np.array(requests, dtype=object),
        "entity": np.full(n, None, dtype=object),
        "duration_s": np.zeros(n),
        "status": np.full(n, OK),
        "label": np.full(n, "no", dtype=object),
        "score": np.full(n, 0.2),
        "value": np.full(n, np.nan),
        "output_valid": np.full(n, True),
        "numeric": {"age": np.array(at)},
        "categorical": {},
    }
    return PredictionFrame(**{**columns, **changed})  # type: ignore[arg-type]


def _labels(requests: list[str], labels: list[str]) -> LabelFrame:
    n = len(requests)
    return LabelFrame(
        model="churn",
        at=np.zeros(n),
        seq=np.arange(n),
        request_id=np.array(requests, dtype=object),
        label=np.array(labels, dtype=object),
        value=np.full(n, np.nan),
    )


def test_only_answered_predictions_with_a_truth_are_examples() -> None:
    predictions = _predictions("v1", ["a", "b", "c"], [1, 2, 3], status=np.array([OK, ERROR, OK]))

    examples = joined([_labels(["a", "b", "z"], ["yes", "yes", "no"]), predictions], 10)

    assert examples.at.tolist() == [1.0]
    assert (examples.label.tolist(), examples.predicted_label.tolist()) == (["yes"], ["no"])


def test_an_example_knows_who_told_its_truth() -> None:
    labels = _labels(["a", "b"], ["yes", "no"])
    told = dataclasses.replace(labels, source=np.array(["crew", None], dtype=object))

    examples = joined([_predictions("v1", ["a", "b", "c"], [1, 2, 3]), told], 1)

    assert examples.source is not None
    assert examples.source.tolist() == [None]


def test_the_first_truth_of_a_request_counts() -> None:
    frames: list[PredictionFrame | LabelFrame] = [
        _predictions("v1", ["a"], [1]),
        _labels(["a"], ["yes"]),
        _labels(["a"], ["no"]),
    ]

    assert joined(frames, 10).label.tolist() == ["yes"]


def test_the_newest_are_kept_in_order_of_time() -> None:
    frames: list[PredictionFrame | LabelFrame] = [
        _predictions("v2", ["c", "d"], [3, 4]),
        _predictions("v1", ["a", "b"], [1, 2]),
        _labels(["a", "b", "c", "d"], ["1", "2", "3", "4"]),
    ]

    examples = joined(frames, 3)

    assert examples.label.tolist() == ["2", "3", "4"]
    assert examples.version.tolist() == ["v1", "v2", "v2"]


def test_a_feature_that_a_frame_lacks_is_missing_there() -> None:
    region = {"region": np.array(["north"], dtype=object)}
    frames: list[PredictionFrame | LabelFrame] = [
        _predictions("v1", ["a"], [1], numeric={}, categorical=region),
        _predictions("v1", ["b"], [2]),
        _labels(["a", "b"], ["yes", "no"]),
    ]

    examples = joined(frames, 10)

    assert np.isnan(examples.numeric["age"]).tolist() == [True, False]
    assert examples.categorical["region"].tolist() == ["north", None]


def test_nothing_kept_gives_no_examples() -> None:
    assert len(joined([], 10)) == 0
