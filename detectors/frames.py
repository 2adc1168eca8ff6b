"""Frames: a micro-batch of one event kind of one model, as columns of equal length n.

`at` is the event time in seconds since the epoch; `seq` the order of arrival in the batch.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from typing import Any, Self

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]
BoolArray = npt.NDArray[np.bool_]
ObjectArray = npt.NDArray[np.object_]

OK, ERROR, TIMEOUT = 0, 1, 2
STATUS_CODES: Mapping[str, int] = {"ok": OK, "error": ERROR, "timeout": TIMEOUT}


@dataclass(frozen=True, slots=True)
class Frame:
    """Columns of one event kind of one model; all arrays have the same length."""

    model: str
    at: FloatArray
    seq: IntArray

    def __len__(self) -> int:
        return len(self.at)

    def take(self, rows: IntArray | BoolArray | slice) -> Self:
        """The chosen rows of every column, as a frame of the same kind."""
        changed: dict[str, Any] = {}
        for each in fields(self):
            value = getattr(self, each.name)
            if isinstance(value, np.ndarray):
                changed[each.name] = value[rows]
            elif isinstance(value, dict):
                changed[each.name] = {name: column[rows] for name, column in value.items()}
        return replace(self, **changed)


@dataclass(frozen=True, slots=True)
class PredictionFrame(Frame):
    """Predictions of one version. Missing numbers are NaN, missing strings None.

    `numeric` and `categorical` hold the features by name: float64 and object (str | None) columns.
    A feature that is absent from an event is missing in its row. Booleans are numeric 0/1.
    `probabilities` is kept as the largest class probability's departure from a distribution:
    `output_valid` is False where score or probabilities are no probability (outside 0..1, or a
    sum away from 1 by more than 0.01) or value is not finite.
    """

    version: str
    request_id: ObjectArray
    entity: ObjectArray
    duration_s: FloatArray
    status: IntArray
    label: ObjectArray
    score: FloatArray
    value: FloatArray
    output_valid: BoolArray
    numeric: dict[str, FloatArray]
    categorical: dict[str, ObjectArray]


@dataclass(frozen=True, slots=True)
class LabelFrame(Frame):
    """Truths: `label` (object, str | None) or `value` (NaN where absent) by `request_id`.

    `source` says who told them (object, str | None); None where nobody is named.
    """

    request_id: ObjectArray
    label: ObjectArray
    value: FloatArray
    source: ObjectArray | None = None


@dataclass(frozen=True, slots=True)
class JoinedFrame(Frame):
    """Predictions with their truth; `at` is the label's time, `predicted_at` the prediction's, and
    `source` as in `LabelFrame`."""

    version: str
    predicted_at: FloatArray
    predicted_label: ObjectArray
    score: FloatArray
    predicted_value: FloatArray
    label: ObjectArray
    value: FloatArray
    source: ObjectArray | None = None


@dataclass(frozen=True, slots=True)
class LogFrame(Frame):
    """Log records of one model."""

    severity_number: IntArray
    body: ObjectArray


@dataclass(frozen=True, slots=True)
class MetricFrame(Frame):
    """Measurements of one model's hosts and business; `name` and `host` are object columns.

    `counter` is True where the value only grows, but for starting anew.
    """

    name: ObjectArray
    value: FloatArray
    host: ObjectArray
    counter: BoolArray


@dataclass(frozen=True, slots=True)
class ChangeFrame(Frame):
    """Changes are rare: the events themselves, in order."""

    events: ObjectArray


AnyFrame = PredictionFrame | LabelFrame | JoinedFrame | LogFrame | MetricFrame | ChangeFrame
