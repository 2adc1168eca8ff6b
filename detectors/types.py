"""The nouns of detection, under the name from which everybody imports them.

They are described where they belong: in `events`, `frames`, `samples`, `findings`, in `protocols`
(Signal and Detector, on which everything hangs) and in `each_sample` (the base of most detectors).
"""

from __future__ import annotations

from watchkeeper.detectors.each_sample import EachSample
from watchkeeper.detectors.events import (
    EVENT_TYPES,
    Change,
    Command,
    Event,
    EventKind,
    Identifier,
    Label,
    Log,
    Metric,
    Name,
    Prediction,
    PredictionValue,
    Scalar,
    ShortText,
    Tick,
    Time,
)
from watchkeeper.detectors.findings import Direction, Finding, Severity, moment
from watchkeeper.detectors.frames import (
    ERROR,
    OK,
    STATUS_CODES,
    TIMEOUT,
    AnyFrame,
    BoolArray,
    ChangeFrame,
    FloatArray,
    Frame,
    IntArray,
    JoinedFrame,
    LabelFrame,
    LogFrame,
    MetricFrame,
    ObjectArray,
    PredictionFrame,
)
from watchkeeper.detectors.protocols import Detector, Partial, Signal, State, StateError
from watchkeeper.detectors.samples import Sample, Samples, Series, Window

__all__ = [
    "ERROR",
    "EVENT_TYPES",
    "OK",
    "STATUS_CODES",
    "TIMEOUT",
    "AnyFrame",
    "BoolArray",
    "Change",
    "ChangeFrame",
    "Command",
    "Detector",
    "Direction",
    "EachSample",
    "Event",
    "EventKind",
    "Finding",
    "FloatArray",
    "Frame",
    "Identifier",
    "IntArray",
    "JoinedFrame",
    "Label",
    "LabelFrame",
    "Log",
    "LogFrame",
    "Metric",
    "MetricFrame",
    "Name",
    "ObjectArray",
    "Partial",
    "Prediction",
    "PredictionFrame",
    "PredictionValue",
    "Sample",
    "Samples",
    "Scalar",
    "Series",
    "Severity",
    "ShortText",
    "Signal",
    "State",
    "StateError",
    "Tick",
    "Time",
    "Window",
    "moment",
]
