"""Series, windows and samples: what is watched, and what was measured of it when."""

from __future__ import annotations

from dataclasses import dataclass

import msgspec
import numpy as np

from watchkeeper.detectors.frames import FloatArray, IntArray


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
