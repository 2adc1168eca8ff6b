"""The nouns of detection: series, samples, findings, and the two protocols everything hangs on
(Signal and Detector). Events and frames are described in files of their own and named here too."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields
from datetime import UTC, datetime
from enum import StrEnum
from typing import (
    Any,
    ClassVar,
    Literal,
    Protocol,
    get_type_hints,
    runtime_checkable,
)

import msgspec
import numpy as np

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
from watchkeeper.detectors.profile import Profile

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

# ---------------------------------------------------------------------------------------------
# Series, windows, samples
# ---------------------------------------------------------------------------------------------


class Series(msgspec.Struct, frozen=True, order=True):
    """What is watched: one target of one signal of one version of a model.

    `target` is what the signal tells apart, for instance a feature's name or a quantile; it is
    "" where the signal has only one.
    """

    model: str
    version: str
    signal: str
    target: str

    def __str__(self) -> str:
        what = f"{self.signal}[{self.target}]" if self.target else self.signal
        return f"{self.model}/{self.version}:{what}"


class Window(msgspec.Struct, frozen=True, order=True):
    """The half-open span of event time [start, end), seconds since the epoch."""

    start: float
    end: float


@dataclass(frozen=True, slots=True)
class Sample:
    """One closed window of one series.

    `value` is the measure, `n` the number of events behind it, `stderr` its standard error (NaN:
    unknown), `expected` the reference's value of the same measure (NaN: no reference). `counts`
    and `expected_counts` are the window's and the reference's histogram over the same bins, for
    detectors of distributions; both None where the series has no histogram.
    """

    series: Series
    window: Window
    value: float
    n: int
    stderr: float = float("nan")
    expected: float = float("nan")
    counts: IntArray | None = None
    expected_counts: IntArray | None = None


@dataclass(frozen=True, slots=True)
class Samples:
    """Samples of one series as arrays in time order, each of length m.

    `counts` and `expected_counts` have shape (m, bins).
    """

    series: Series
    start: FloatArray
    at: FloatArray
    value: FloatArray
    n: IntArray
    stderr: FloatArray
    expected: FloatArray
    counts: IntArray | None = None
    expected_counts: IntArray | None = None

    def __len__(self) -> int:
        return len(self.at)

    @classmethod
    def of(cls, samples: list[Sample]) -> Samples:
        """Gathers samples of one series, given in time order."""
        first = samples[0]
        whole = first.counts is not None and first.expected_counts is not None
        return cls(
            series=first.series,
            start=np.array([s.window.start for s in samples], dtype=np.float64),
            at=np.array([s.window.end for s in samples], dtype=np.float64),
            value=np.array([s.value for s in samples], dtype=np.float64),
            n=np.array([s.n for s in samples], dtype=np.int64),
            stderr=np.array([s.stderr for s in samples], dtype=np.float64),
            expected=np.array([s.expected for s in samples], dtype=np.float64),
            counts=np.stack([s.counts for s in samples if s.counts is not None]) if whole else None,
            expected_counts=(
                np.stack([s.expected_counts for s in samples if s.expected_counts is not None])
                if whole
                else None
            ),
        )


# ---------------------------------------------------------------------------------------------
# Findings
# ---------------------------------------------------------------------------------------------


class Severity(StrEnum):
    """INFO explains, WARNING opens an incident, CRITICAL pages."""

    INFO = "info"
    WARNING = "warning"
    CRITICAL = "critical"

    @property
    def rank(self) -> int:
        return ("info", "warning", "critical").index(self.value)


Direction = Literal["up", "down", "either"]


class Finding(msgspec.Struct, frozen=True):
    """A detector's judgement that a window of a series is not as it should be.

    `statistic` passed `threshold`; `value` was measured where `expected` was normal (NaN: no
    single normal value). `since` is the start of the first and `at` the end of the last window
    the judgement rests on, in seconds since the epoch. One about log lines names the `statement`
    they have in common and shows `examples`, secrets hidden.
    """

    series: Series
    detector: str
    severity: Severity
    since: float
    at: float
    value: float
    expected: float
    statistic: float
    threshold: float
    n: int
    direction: Direction = "either"
    statement: str = ""
    examples: tuple[str, ...] = ()

    @property
    def id(self) -> str:
        """The same for the same judgement, however often it is made."""
        which = (self.detector, self.severity.value, self.direction)
        key = (*msgspec.structs.astuple(self.series), *which, repr(self.at))
        return hashlib.blake2b("\x1f".join(key).encode(), digest_size=12).hexdigest()


def moment(at: float) -> datetime:
    """Seconds since the epoch as an aware UTC datetime."""
    return datetime.fromtimestamp(at, UTC)


# ---------------------------------------------------------------------------------------------
# The two protocols
# ---------------------------------------------------------------------------------------------


class Partial(dict[str, IntArray]):
    """A mergeable part of a window: named arrays of integers, merged by addition.

    Integers make merging exactly associative and commutative: neither the size of a batch nor the
    order of partitions can change a finding. Real quantities are kept in fixed point.
    """

    def merge(self, other: Mapping[str, IntArray]) -> None:
        """Adds another part of the same window; a shorter array is as if padded with zeros."""
        for name, theirs in other.items():
            mine = self.get(name)
            if mine is None:
                self[name] = theirs.copy()
            elif mine.shape == theirs.shape:
                mine += theirs
            else:
                self[name] = _padded_sum(mine, theirs)


def _padded_sum(a: IntArray, b: IntArray) -> IntArray:
    shape = tuple(max(x, y) for x, y in zip(a.shape, b.shape, strict=True))
    total = np.zeros(shape, dtype=np.int64)
    total[tuple(slice(0, s) for s in a.shape)] += a
    total[tuple(slice(0, s) for s in b.shape)] += b
    return total


@runtime_checkable
class Signal(Protocol):
    """Measures frames into partials, and a closed window's partial into samples. Stateless."""

    name: ClassVar[str]
    watches: ClassVar[type[Frame]]

    def measure(self, frame: Any, profile: Profile | None) -> Partial:
        """The frame's part of its window. `profile` is None while the reference is learned."""

    def samples(
        self, partial: Partial, profile: Profile | None, model: str, version: str, window: Window
    ) -> Iterator[Sample]:
        """The samples of a closed window; none where there is nothing to say."""


State = dict[str, Any]


@runtime_checkable
class Detector(Protocol):
    """Judges the samples of one series. A dataclass: public fields are settings, `_` fields state.

    Deterministic: the same samples in the same order give the same findings, however they are cut
    into calls, and `restore(state())` continues as if nothing had happened.
    """

    name: ClassVar[str]
    severity: Severity

    def update(self, samples: Samples) -> list[Finding]:
        """Findings among the new samples, oldest first. Never raises for odd numbers."""

    def state(self) -> State:
        """The state as plain data that msgpack can hold, with a `version`."""

    def restore(self, state: State) -> None:
        """Takes up a state. Raises `StateError` when it is not one of this detector's."""


class StateError(Exception):
    """A detector's stored state is unknown or damaged."""


@dataclass
class EachSample:
    """Base for detectors that judge one value at a time: write `judge` and plain scalar state.

    The state is every field whose name begins with `_`; `min_n` events are needed for a judgement.
    """

    name: ClassVar[str] = ""
    state_version: ClassVar[int] = 1

    severity: Severity = Severity.INFO
    min_n: int = 30

    def judge(self, sample: Sample) -> Finding | None:
        """The finding of one sample with `n >= min_n` and a finite value, if there is one."""
        raise NotImplementedError

    def update(self, samples: Samples) -> list[Finding]:
        found = []
        for i in range(len(samples)):
            if samples.n[i] < self.min_n or not np.isfinite(samples.value[i]):
                continue
            finding = self.judge(_sample(samples, i))
            if finding is not None:
                found.append(finding)
        return found

    def state(self) -> State:
        kept = {f.name: getattr(self, f.name) for f in fields(self) if f.name.startswith("_")}
        return {"version": self.state_version, **kept}

    def restore(self, state: State) -> None:
        names = {f.name for f in fields(self) if f.name.startswith("_")}
        if state.get("version") != self.state_version or set(state) != names | {"version"}:
            raise StateError(f"{self.name}: stored state has another layout")
        hints = get_type_hints(type(self), include_extras=True)
        try:
            kept = {name: msgspec.convert(state[name], hints[name]) for name in names}
        except msgspec.ValidationError as error:
            raise StateError(f"{self.name}: stored state is damaged: {error}") from error
        for name, value in kept.items():
            setattr(self, name, value)

    def finding(
        self,
        sample: Sample,
        *,
        statistic: float,
        threshold: float,
        expected: float = float("nan"),
        direction: Direction = "either",
        since: float | None = None,
    ) -> Finding:
        """A finding of this detector about this sample."""
        return Finding(
            series=sample.series,
            detector=self.name,
            severity=self.severity,
            since=sample.window.start if since is None else since,
            at=sample.window.end,
            value=float(sample.value),
            expected=float(expected),
            statistic=float(statistic),
            threshold=float(threshold),
            n=int(sample.n),
            direction=direction,
        )


def _sample(samples: Samples, i: int) -> Sample:
    counts, expected = samples.counts, samples.expected_counts
    return Sample(
        series=samples.series,
        window=Window(float(samples.start[i]), float(samples.at[i])),
        value=float(samples.value[i]),
        n=int(samples.n[i]),
        stderr=float(samples.stderr[i]),
        expected=float(samples.expected[i]),
        counts=None if counts is None else counts[i],
        expected_counts=None if expected is None else expected[i],
    )
