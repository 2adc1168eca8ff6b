"""Builds small frames for tests of signals, and collects samples by their target."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import reduce
from typing import Any

import numpy as np

from watchkeeper.detectors.profile import Profile
from watchkeeper.detectors.signals import part_of
from watchkeeper.detectors.types import (
    FloatArray,
    JoinedFrame,
    LogFrame,
    MetricFrame,
    ObjectArray,
    Partial,
    PredictionFrame,
    Sample,
    Signal,
    Window,
)

WINDOW = Window(0.0, 60.0)


def objects(values: Sequence[Any] | None, n: int) -> ObjectArray:
    """An object column; all None where no values are given."""
    column = np.full(n, None, dtype=np.object_)
    if values is not None:
        column[:] = list(values)
    return column


def floats(values: Sequence[float] | FloatArray | None, n: int) -> FloatArray:
    """A number column; all NaN where no values are given."""
    return np.full(n, np.nan) if values is None else np.asarray(values, dtype=np.float64)


def predictions(
    n: int,
    *,
    at: Sequence[float] | FloatArray | None = None,
    entity: Sequence[str | None] | None = None,
    duration_s: Sequence[float] | FloatArray | None = None,
    status: Sequence[int] | None = None,
    label: Sequence[str | None] | None = None,
    score: Sequence[float] | FloatArray | None = None,
    value: Sequence[float] | FloatArray | None = None,
    output_valid: Sequence[bool] | None = None,
    numeric: Mapping[str, Sequence[float] | FloatArray] | None = None,
    categorical: Mapping[str, Sequence[str | None]] | None = None,
) -> PredictionFrame:
    """A frame of n predictions of model m, version 1; what is not given is missing."""
    return PredictionFrame(
        model="m",
        version="1",
        at=np.arange(n, dtype=np.float64) if at is None else np.asarray(at, dtype=np.float64),
        seq=np.arange(n, dtype=np.int64),
        request_id=objects([f"r{i}" for i in range(n)], n),
        entity=objects(entity, n),
        duration_s=floats(duration_s, n),
        status=np.zeros(n, dtype=np.int64) if status is None else np.array(status, dtype=np.int64),
        label=objects(label, n),
        score=floats(score, n),
        value=floats(value, n),
        output_valid=np.ones(n, dtype=np.bool_)
        if output_valid is None
        else np.array(output_valid, dtype=np.bool_),
        numeric={name: floats(column, n) for name, column in (numeric or {}).items()},
        categorical={name: objects(column, n) for name, column in (categorical or {}).items()},
    )


def joined(
    n: int,
    *,
    predicted_label: Sequence[str | None] | None = None,
    score: Sequence[float] | FloatArray | None = None,
    predicted_value: Sequence[float] | FloatArray | None = None,
    label: Sequence[str | None] | None = None,
    value: Sequence[float] | FloatArray | None = None,
    source: Sequence[str | None] | None = None,
) -> JoinedFrame:
    """A frame of n predictions with their truth."""
    return JoinedFrame(
        model="m",
        version="1",
        at=np.arange(n, dtype=np.float64),
        seq=np.arange(n, dtype=np.int64),
        predicted_at=np.zeros(n),
        predicted_label=objects(predicted_label, n),
        score=floats(score, n),
        predicted_value=floats(predicted_value, n),
        label=objects(label, n),
        value=floats(value, n),
        source=None if source is None else objects(source, n),
    )


def logs(severity: Sequence[int]) -> LogFrame:
    """A frame of log records of these severities."""
    n = len(severity)
    return LogFrame(
        model="m",
        at=np.arange(n, dtype=np.float64),
        seq=np.arange(n, dtype=np.int64),
        severity_number=np.array(severity, dtype=np.int64),
        body=objects(["text"] * n, n),
    )


def metrics(
    name: Sequence[str],
    value: Sequence[float],
    host: Sequence[str | None] | None = None,
    *,
    at: Sequence[float] | None = None,
    counter: Sequence[bool] | None = None,
) -> MetricFrame:
    """A frame of measurements, of gauges where nothing else is said."""
    n = len(name)
    return MetricFrame(
        model="m",
        at=np.arange(n, dtype=np.float64) if at is None else np.array(at, dtype=np.float64),
        seq=np.arange(n, dtype=np.int64),
        name=objects(name, n),
        value=floats(value, n),
        host=objects(host, n),
        counter=np.zeros(n, dtype=np.bool_)
        if counter is None
        else np.array(counter, dtype=np.bool_),
    )


def sampled(
    signal: Signal, frames: Sequence[Any], profile: Profile | None = None
) -> dict[str, Sample]:
    """The samples of one window made of these frames, by target."""
    found = list(signal.samples(merged(signal, frames, profile), profile, "m", "1", WINDOW))
    assert len({s.series for s in found}) == len(found)
    assert all(s.series.signal == signal.name and s.window == WINDOW for s in found)
    return {s.series.target: s for s in found}


def merged(signal: Signal, frames: Sequence[Any], profile: Profile | None = None) -> Partial:
    """The parts of all frames merged in the order given."""

    def add(whole: Partial, frame: Any) -> Partial:
        whole.merge(signal.measure(frame, profile))
        return whole

    return reduce(add, frames, part_of(signal.name))
