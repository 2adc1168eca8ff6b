"""Base of detectors that say whether a window's level is wrong, and go on saying so."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

from watchkeeper.detectors.setting import Count, setting
from watchkeeper.detectors.types import Direction, EachSample, Finding, Sample

HYSTERESIS = 0.5  # share of its limit under which a firing detector stops


@dataclass
class LevelDetector(EachSample):
    """Gives a finding in every window in which the fault persists, from the `for_windows`-th on.

    Say in `judge` by which `limit` the window is measured, and end with `sustained_finding`.
    While it fires the limit is lower, so that a fault near the limit does not flicker.
    """

    sustained: ClassVar[bool] = True

    for_windows: Count = setting(1, "windows in a row that must be beyond the limit")
    _run: int = 0
    _since: float = 0.0

    @property
    def firing(self) -> bool:
        """Whether the newest judged window gave a finding."""
        return self._run >= self.for_windows

    def limit(self, threshold: float) -> float:
        """The threshold, or half of it while firing."""
        return threshold * HYSTERESIS if self.firing else threshold

    def chance(self, alpha: float) -> float:
        """The probability that sets a limit, or its square root while firing."""
        return math.sqrt(alpha) if self.firing else alpha

    def sustained_finding(
        self,
        sample: Sample,
        beyond: bool,
        *,
        statistic: float,
        threshold: float,
        expected: float = float("nan"),
        direction: Direction = "either",
    ) -> Finding | None:
        """The finding once enough windows in a row were beyond the limit."""
        if not beyond:
            self._run = 0
            return None
        start = sample.window.start
        self._since = min(self._since, start) if self._run else start
        self._run = min(self._run + 1, self.for_windows)
        if not self.firing:
            return None
        return self.finding(
            sample,
            statistic=statistic,
            threshold=threshold,
            expected=expected,
            direction=direction,
            since=self._since,
        )
