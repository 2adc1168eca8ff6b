"""The two protocols everything hangs on: what a signal is, and what a detector is."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, ClassVar, Protocol, runtime_checkable

import numpy as np

from watchkeeper.detectors.findings import Finding, Severity
from watchkeeper.detectors.frames import Frame, IntArray
from watchkeeper.detectors.profile import Profile
from watchkeeper.detectors.samples import Sample, Samples, Window


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


@runtime_checkable
class Levelled(Protocol):
    """A detector that says all the time how odd its series is, not only where that is a finding."""

    @property
    def oddness(self) -> float:
        """How odd the newest samples are, smoothed; 0 is as usual."""


class StateError(Exception):
    """A detector's stored state is unknown or damaged."""
