"""Labelled predictions of one model: what retraining learns from and versions are judged on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol, runtime_checkable

import numpy as np

from watchkeeper.detectors.types import (
    OK,
    BoolArray,
    FloatArray,
    IntArray,
    LabelFrame,
    ObjectArray,
    PredictionFrame,
)


@dataclass(frozen=True, slots=True)
class Examples:
    """Predictions with their truth as columns of one length, oldest first.

    `at` is the prediction's time in seconds since the epoch. `label` (None: absent) or `value`
    (NaN: absent) is the truth, `source` who told it (None: nobody, or not known of any);
    `predicted_*` and `score` what `version` answered then.
    """

    at: FloatArray
    version: ObjectArray
    numeric: dict[str, FloatArray]
    categorical: dict[str, ObjectArray]
    label: ObjectArray
    value: FloatArray
    predicted_label: ObjectArray
    score: FloatArray
    predicted_value: FloatArray
    source: ObjectArray | None = None

    def __len__(self) -> int:
        return len(self.at)

    @property
    def classes(self) -> tuple[str, ...]:
        """The classes among the truths, sorted; empty for a regression."""
        return tuple(sorted({label for label in self.label if label is not None}))

    def take(self, rows: BoolArray | IntArray | slice) -> Examples:
        """The chosen rows of every column."""
        return Examples(
            at=self.at[rows],
            version=self.version[rows],
            numeric={name: column[rows] for name, column in self.numeric.items()},
            categorical={name: column[rows] for name, column in self.categorical.items()},
            label=self.label[rows],
            value=self.value[rows],
            predicted_label=self.predicted_label[rows],
            score=self.score[rows],
            predicted_value=self.predicted_value[rows],
            source=None if self.source is None else self.source[rows],
        )


@runtime_checkable
class ExampleSource(Protocol):
    """Where labelled predictions are kept."""

    def newest(self, model: str, limit: int) -> Examples:
        """The newest `limit` examples of a model, oldest first."""


def joined(frames: Sequence[PredictionFrame | LabelFrame], limit: int) -> Examples:
    """The newest `limit` answered predictions that have a truth; a request's first truth counts."""
    predictions = [f for f in frames if isinstance(f, PredictionFrame)]
    truths = _truths([f for f in frames if isinstance(f, LabelFrame)])
    kept: list[PredictionFrame] = []
    told: list[_Truth] = []
    for frame in predictions:
        known = [truths.get(request) for request in frame.request_id]
        rows = np.array([t is not None for t in known], dtype=np.bool_) & (frame.status == OK)
        kept.append(frame.take(rows))
        told += [t for t, row in zip(known, rows, strict=True) if row and t is not None]
    examples = _gathered(kept, told)
    order = np.argsort(examples.at, kind="stable")[-limit:]
    return examples.take(order)


class _Truth(NamedTuple):
    """What was told of a request, and by whom."""

    label: str | None
    value: float
    source: str | None


def _truths(frames: Sequence[LabelFrame]) -> dict[str, _Truth]:
    found: dict[str, _Truth] = {}
    for frame in frames:
        source = [None] * len(frame) if frame.source is None else frame.source
        rows = zip(frame.request_id, frame.label, frame.value, source, strict=True)
        for request, label, value, who in rows:
            found.setdefault(request, _Truth(label, float(value), who))
    return found


def _gathered(frames: Sequence[PredictionFrame], told: Sequence[_Truth]) -> Examples:
    numeric = sorted({name for f in frames for name in f.numeric})
    categorical = sorted({name for f in frames for name in f.categorical} - set(numeric))
    return Examples(
        at=_floats([f.at for f in frames]),
        version=_objects([np.full(len(f), f.version, dtype=object) for f in frames]),
        numeric={n: _floats([_number(f, n) for f in frames]) for n in numeric},
        categorical={n: _objects([_word(f, n) for f in frames]) for n in categorical},
        label=_objects([np.array([t.label for t in told], dtype=object)]),
        value=np.array([t.value for t in told], dtype=np.float64),
        source=_objects([np.array([t.source for t in told], dtype=object)]),
        predicted_label=_objects([f.label for f in frames]),
        score=_floats([f.score for f in frames]),
        predicted_value=_floats([f.value for f in frames]),
    )


def _number(frame: PredictionFrame, name: str) -> FloatArray:
    column = frame.numeric.get(name)
    return np.full(len(frame), np.nan) if column is None else column


def _word(frame: PredictionFrame, name: str) -> ObjectArray:
    column = frame.categorical.get(name)
    return np.full(len(frame), None, dtype=object) if column is None else column


def _floats(parts: Sequence[FloatArray]) -> FloatArray:
    return np.concatenate([np.empty(0), *parts])


def _objects(parts: Sequence[ObjectArray]) -> ObjectArray:
    return np.concatenate([np.empty(0, dtype=object), *parts])
