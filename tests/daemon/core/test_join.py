"""Predictions and labels meet whichever comes first, within bounds."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from tests.playbook import Play, labels, objects
from watchkeeper.daemon.core.join import Join
from watchkeeper.detectors.types import PredictionFrame


def predictions(*requests: str, at: float = 0.0) -> PredictionFrame:
    frame = next(f for f in Play().window(n=max(len(requests), 1)))
    assert isinstance(frame, PredictionFrame)
    whole = frame.take(slice(0, len(requests)))
    ids = objects(list(requests))
    times = at + np.arange(len(requests), dtype=np.float64)
    columns = {name: getattr(whole, name) for name in whole.__dataclass_fields__}
    return PredictionFrame(**{**columns, "request_id": ids, "at": times})


def test_a_label_finds_its_prediction_once() -> None:
    join = Join(capacity=10, horizon_s=100.0)
    join.predictions(predictions("a", "b"))

    first = join.labels(labels([(5.0, "a", "yes")], 0))
    second = join.labels(labels([(6.0, "a", "no")], 0))

    assert [len(f) for f in first] == [1]
    assert second == []
    assert join.conflicts == 1
    assert join.coverage() == 0.5


def test_a_waiting_label_is_dropped_after_its_horizon() -> None:
    join = Join(capacity=10, horizon_s=100.0)
    join.labels(labels([(0.0, "gone", "yes")], 0))

    join.labels(labels([(101.0, "new", "yes")], 0))

    assert join.orphans == 1
    assert join.predictions(predictions("gone")) == []


def test_the_oldest_predictions_make_room() -> None:
    join = Join(capacity=3, horizon_s=100.0)
    join.predictions(predictions("a", "b", "c", "d"))

    assert join.labels(labels([(5.0, "a", "yes")], 0)) == []
    assert len(join.labels(labels([(5.0, "d", "yes")], 0))) == 1


def test_a_repeated_request_is_not_new() -> None:
    join = Join(capacity=10, horizon_s=100.0)
    join.predictions(predictions("a"))

    assert join.new(predictions("a", "b", "b")).tolist() == [False, True, False]


def test_examples_are_counted_from_a_moment_on() -> None:
    join = Join(capacity=10, horizon_s=100.0)
    join.predictions(predictions("a", "b", "c", at=10.0))
    join.labels(labels([(20.0, r, "yes") for r in "abc"], 0))

    assert join.examples_since(11.0) == 2


def test_an_example_counts_from_the_time_its_label_came() -> None:
    join = Join(capacity=10, horizon_s=100.0)
    join.predictions(predictions("a", "b", "c", at=10.0))
    join.labels(labels([(20.0 + i, r, "yes") for i, r in enumerate("abc")], 0))

    assert join.examples_since(10.0, known=22.0) == 2


@given(st.lists(st.tuples(st.booleans(), st.integers(0, 20)), min_size=1, max_size=60))
def test_every_pair_is_joined_exactly_once_in_any_order(events: list[tuple[bool, int]]) -> None:
    join = Join(capacity=100, horizon_s=1e9)
    joined = []
    predicted: set[str] = set()

    for is_label, number in events:
        name = f"r{number}"
        if is_label:
            joined += join.labels(labels([(1.0, name, "yes")], 0))
        elif join.new(predictions(name))[0]:
            predicted.add(name)
            joined += join.predictions(predictions(name))

    labelled = {f"r{n}" for is_label, n in events if is_label}
    assert sum(len(f) for f in joined) == len(predicted & labelled)
