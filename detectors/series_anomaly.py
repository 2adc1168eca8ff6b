"""Values, stretches and levels that a series never had before."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, ClassVar

import msgspec
import numpy as np

from watchkeeper.detectors.anomalies import Anomalies, Rules
from watchkeeper.detectors.scores import bounded
from watchkeeper.detectors.setting import Count, Positive, setting
from watchkeeper.detectors.types import (
    Direction,
    EachSample,
    Finding,
    Sample,
    State,
    StateError,
)

_RECENT = 64  # values before the newest that say what it came from
_MARGIN = 0.01  # of the range so far, by which a value must be outside of it
_SHORTEST = 256  # values that are the least to compare with


@dataclass
class SeriesAnomaly(EachSample):
    """Fires once when a series does what it never did: one finding an incident.

    For any measure of a service or a business whose normal is not known: latency, volume, a host's
    load, revenue. The newest value, the last 4, 16 and 64, the means of the last 16 and 64, and the
    distance from the hour of the week where that explains enough are each compared with all the
    series did before; how rare each is (a conformal p-value) is averaged as digits, -log10 p. The
    statistic is that, less the digits of how often this series gives such alarms anyway: a series
    that is always odd must be odder. An incident is open for `quiet` windows after its last
    finding, and gives another only when `worse` times as much is seen. An oddity that is not to be
    found, by its direction or while the series is learned, is no finding; for as long after it only
    a value outside of all before is one. The evidence smoothed is the level of a series
    (`watchkeeper_detector_level`): near 0 as a rule, high for as long as an incident lasts. Nothing
    is looked ahead at, and neither range nor length of the series is assumed.

    >>> from watchkeeper.detectors.types import Sample, Samples, Series, Window
    >>> series, values = Series("m", "1", "metrics", "load"), [5.0 + i % 7 for i in range(300)]
    >>> past = [Sample(series, Window(i, i + 1), v, 9) for i, v in enumerate([*values, 60.0])]
    >>> [(f.value, f.direction) for f in SeriesAnomaly(min_n=1).update(Samples.of(past))]
    [(60.0, 'up')]
    """

    name: ClassVar[str] = "series_anomaly"
    sustained: ClassVar[bool] = False
    measured_first: ClassVar[bool] = True

    direction: Direction = setting("either", "which departures matter: up, down or either")
    threshold: Positive = setting(1.0, "digits of rarity, -log10 p, that a finding needs")
    warm_up: Count = setting(120, "windows that are learned before the first finding")
    memory: Annotated[int, msgspec.Meta(ge=_SHORTEST, le=8_000)] = setting(
        8_000, "windows that the newest is compared with"
    )
    quiet: Count = setting(120, "windows for which an incident stays open after its last finding")
    worse: Annotated[float, msgspec.Meta(ge=1)] = setting(
        1.25, "times the worst of an open incident that give another finding"
    )

    def __post_init__(self) -> None:
        self._watched = Anomalies(Rules(self.memory, self.quiet, self.worse), 1)

    @property
    def oddness(self) -> float:
        """The evidence, -log10 p, smoothed over the last windows: high during an incident."""
        return float(self._watched.state["level"][0])

    def judge(self, sample: Sample) -> Finding | None:
        before = self._before()
        value = bounded(float(sample.value))
        direction: Direction = "up" if value > before else "down"
        learned = int(self._watched.state["seen"][0]) >= self.warm_up
        may = learned and self.direction in ("either", direction) and self._is_news(value)
        start = np.array([sample.window.start], dtype=np.float64)
        judged = self._watched.update(
            _ROW, start, np.array([value]), np.array([may]), self.threshold
        )
        if not judged.alarm[0]:
            return None
        return self.finding(
            sample,
            statistic=float(judged.score[0]),
            threshold=self.threshold,
            expected=before,
            direction=direction,
        )

    def state(self) -> State:
        return {"version": self.state_version, "watched": self._watched.dump(0)}

    def restore(self, state: State) -> None:
        stored = state.get("watched")
        if state.get("version") != self.state_version or set(state) != {"version", "watched"}:
            raise StateError(f"{self.name}: stored state has another layout")
        if not isinstance(stored, bytes):
            raise StateError(f"{self.name}: stored state is damaged: it is not bytes")
        self._watched.load(0, stored)

    def _is_news(self, value: float) -> bool:
        """While an oddity that was not to be found is among the last values, all of them are odd:
        only what is outside of all values before is news then."""
        if not self._watched.hidden(0):
            return True
        known = self._watched.recent(0, self.memory)
        low, high = float(known.min()), float(known.max())
        margin = _MARGIN * (high - low)
        return not low - margin <= value <= high + margin

    def _before(self) -> float:
        """The median of the values just before."""
        recent = self._watched.recent(0, _RECENT)
        return float(np.median(recent)) if len(recent) else float("nan")


_ROW = np.zeros(1, dtype=np.int64)
