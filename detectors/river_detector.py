"""Base of the change detectors that river provides."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from typing import Any, ClassVar, Protocol

from watchkeeper.detectors.scores import bounded, known, score
from watchkeeper.detectors.setting import Count, setting
from watchkeeper.detectors.types import EachSample, Finding, Sample, State

FARTHEST = 8.0  # normal scores beyond it tell no more
_NEWEST = 10  # inputs that tell in which direction a change went


class Drift(Protocol):
    """The part of river's `base.DriftDetector` that is used."""

    @property
    def drift_detected(self) -> bool:
        """Whether the newest input gave a change."""

    def update(self, x: float) -> Any:
        """Takes the next input."""


@dataclass
class RiverDetector(EachSample, ABC):
    """Fires once when river finds a change; then learns anew what is normal.

    River's detectors assume inputs of a certain scale, so they get normal scores: the value minus
    the mean of `warm_up` windows, by their spread or the standard error if that is larger. Their
    objects are not stored: the inputs since the last change are, and are fed to a new one.
    """

    sustained: ClassVar[bool] = False
    measured_first: ClassVar[bool] = True

    warm_up: Count = setting(60, "windows from which mean and spread are learned")
    memory: Count = setting(1000, "inputs that are kept; beyond it the older half is forgotten")
    _seen: int = 0
    _mean: float = 0.0
    _variance: float = 0.0
    _inputs: list[float] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._river: Drift | None = None

    @abstractmethod
    def fresh(self) -> Drift:
        """river's object with these settings, without a past."""

    def put(self, z: float) -> float:
        """The input that river gets for a normal score."""
        return z

    @abstractmethod
    def evidence(self, river: Drift) -> tuple[float, float]:
        """Statistic and threshold of the change that river has just found."""

    def restore(self, state: State) -> None:
        super().restore(state)
        self._river = None

    def judge(self, sample: Sample) -> Finding | None:
        if self._seen < self.warm_up:
            self._learn(bounded(sample.value))
            return None
        river, normal = self.living(), self._mean
        self._inputs = [*self._inputs, self.put(self._normal_score(sample))]
        river.update(self._inputs[-1])
        if not river.drift_detected:
            self._forget()
            return None
        statistic, threshold = self.evidence(river)
        rose = self._rose()
        self._seen, self._mean, self._variance = 0, 0.0, 0.0
        self._inputs, self._river = [], None
        return self.finding(
            sample,
            statistic=statistic,
            threshold=threshold,
            expected=normal,
            direction="up" if rose else "down",
        )

    def living(self) -> Drift:
        """river's object that has seen all inputs."""
        if self._river is None:
            self._river = self.fresh()
            for each in self._inputs:
                self._river.update(each)
        return self._river

    def _normal_score(self, sample: Sample) -> float:
        spread = math.sqrt(self._variance * self._seen / max(self._seen - 1, 1))
        noise = max(spread, known(sample.stderr))
        z = score(bounded(sample.value) - self._mean, noise)
        return min(FARTHEST, max(-FARTHEST, z))

    def _learn(self, value: float) -> None:
        self._seen += 1
        change = value - self._mean
        self._mean += change / self._seen
        spread = self._variance + change / self._seen * change
        self._variance = spread * (self._seen - 1) / self._seen

    def _forget(self) -> None:
        if len(self._inputs) >= self.memory:
            self._inputs, self._river = self._inputs[-(self.memory // 2) :], None

    def _rose(self) -> bool:
        newest = min(_NEWEST, max(1, len(self._inputs) // 2))
        before, after = self._inputs[:-newest] or [self.put(0.0)], self._inputs[-newest:]
        return sum(after) / len(after) > sum(before) / len(before)
