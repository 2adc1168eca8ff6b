"""Base of the detectors that fire by evidence against a budget of false alarms."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from watchkeeper.detectors.frames import BoolArray
from watchkeeper.detectors.level_detector import LevelDetector
from watchkeeper.detectors.sequential.layout import (
    Fields,
    Records,
    dumped,
    stamp_of,
    undumped,
)
from watchkeeper.detectors.sequential.watching import BELOW, Level, Passed, calibration_of
from watchkeeper.detectors.sequential.whiten import Calibration
from watchkeeper.detectors.setting import Count, Positive, setting
from watchkeeper.detectors.types import Direction, Finding, Sample, State, StateError

LEAST, MOST = 2.0, 1e12  # windows: a smaller run length would fire on nothing
MOST_SERIES = 10_000


@dataclass
class EvidenceDetector(LevelDetector):
    """Fires while ln M is above ln A, A being the windows in which one false alarm is accepted.

    Make the records in `layouts`, and judge one window in `passed`. The state is stored as bytes.
    """

    average_run_length: Positive = setting(
        43_200.0, "windows in which one false alarm is accepted: 30 days of minutes"
    )
    series: Count = setting(1, "series that are weighed together, against one budget")
    _kept: bytes = b""

    def __post_init__(self) -> None:
        layouts = [np.dtype(each) for each in self.layouts()]
        self.records: list[Records] = [np.zeros(1, dtype=each) for each in layouts]
        self._stamp = stamp_of(f"{self.name} {self.state_version}", *self.records)

    @property
    def level(self) -> Level:
        """A: what evidence must pass, and how many share it."""
        return Level(min(max(self.average_run_length, LEAST), MOST), min(self.series, MOST_SERIES))

    @property
    def calibrated(self) -> Calibration:
        """Whether false alarms are as rare as asked for."""
        return Calibration(int(calibration_of(self.records[0])[0]))

    def limit(self, threshold: float) -> float:
        """The threshold, or a little less while firing: half the logarithm, as of other limits,
        evidence of no change is above most of the time."""
        return threshold - BELOW if self.firing else threshold

    def layouts(self) -> list[Fields]:
        """The records that are kept of the series."""
        raise NotImplementedError

    def passed(self, sample: Sample, calm: BoolArray) -> Passed | None:
        """What evidence says of the window, of arrays of length 1; None: nothing can be said."""
        raise NotImplementedError

    def sound(self, records: list[Records]) -> bool:
        """Whether records read back can be worked with."""
        raise NotImplementedError

    def judge(self, sample: Sample) -> Finding | None:
        with np.errstate(all="ignore"):
            passed = self.passed(sample, np.array([self._run == 0]))
        if passed is None:
            return None
        limit = self.limit(math.log(self.level.windows))
        statistic, normal = float(passed.statistic[0]), float(passed.normal[0])
        change: Direction = "up" if passed.up[0] else "down"
        return self.sustained_finding(
            sample,
            statistic > limit and bool(passed.matters[0]),
            statistic=statistic,
            threshold=limit,
            expected=math.nan if math.isnan(normal) else normal,
            direction="either" if math.isnan(normal) else change,
        )

    def state(self) -> State:
        self._kept = dumped(self._stamp, self.records, 0)
        return super().state()

    def restore(self, state: State) -> None:
        before = self._kept, self._run, self._since
        super().restore(state)
        try:
            read = undumped(self._stamp, self.records, self._kept)
            if not self.sound(read) or not 0 <= self._run <= self.for_windows:
                raise StateError(f"{self.name}: stored state is damaged")
        except StateError:
            self._kept, self._run, self._since = before
            raise
        self.records = [each.copy() for each in read]
