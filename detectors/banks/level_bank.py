"""Base of banks of level detectors: runs of windows beyond a limit, lower while one fires."""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from typing import Any

import numpy as np

from watchkeeper.detectors.banks.arithmetic import spread
from watchkeeper.detectors.banks.bank import Bank, Fields
from watchkeeper.detectors.banks.columns import Columns
from watchkeeper.detectors.banks.judged import Directions, Judged
from watchkeeper.detectors.banks.records import State
from watchkeeper.detectors.banks.sheet import Sheet, Sitting
from watchkeeper.detectors.frames import BoolArray, FloatArray, IntArray
from watchkeeper.detectors.level_detector import HYSTERESIS, LevelDetector

LONGEST_RUN = 1_000  # windows in a row that a bank can be told to wait for
LEAST, NEEDED = 0, 1  # places of settings that are integers: `min_n` and `for_windows`
_UNKNOWN = np.array(np.nan)


class LevelBank(Bank):
    """The state is `run` and `since` of every series, as `LevelDetector` has them."""

    def __init__(self, detector: LevelDetector, columns: int) -> None:
        self._for = detector.for_windows
        super().__init__(detector, columns)
        self._settings, self._whole = self.settings()

    def settings(self) -> tuple[FloatArray, IntArray]:
        """What the user said, as compiled loops take it: numbers and integers."""
        return np.zeros(1), np.array([self._least, self._for], dtype=np.int64)

    def fields(self) -> Fields:
        return [("since", "<f8"), ("run", "<i8")]

    def sound(self, parts: list[State]) -> bool:
        run = parts[0]["run"]
        return bool(((run >= 0) & (run <= self._for)).all())

    def loop(self) -> Callable[..., Any] | None:
        """The compiled loop that does what `judge_enough` does, where there is one."""
        return None

    @cached_property
    def _loop(self) -> Callable[..., Any] | None:
        return self.loop()

    def beside(self, sheet: Sheet) -> tuple[Any, ...]:
        """What the loop takes besides."""
        return ()

    def judge_here(
        self, sitting: Sitting, columns: IntArray, first: int, samples: Columns | None
    ) -> bool:
        loop = self._loop
        if loop is None:
            return False
        rows, last, sheet, page, taken = sitting
        self._reach(last + 1)
        given = rows, columns, *self._tables(), *taken, self._settings, self._whole
        loop(*given, page.numbers, page.marks, first, *self.beside(sheet))
        return True

    def firing(self, held: State) -> BoolArray:
        """Whether the newest judged window of each series gave a finding."""
        return np.asarray(held["run"] >= self._for)

    def limit(self, threshold: float, firing: BoolArray) -> FloatArray:
        """The threshold, or half of it while firing."""
        return np.where(firing, threshold * HYSTERESIS, threshold)

    def sustained(
        self, held: State, start: FloatArray, looked: BoolArray, beyond: BoolArray
    ) -> tuple[BoolArray, FloatArray]:
        """What is found where it was looked, and since when; counts the runs."""
        run, since, began = held["run"], held["since"], start[:, None]
        beyond = looked & beyond
        begins = beyond & ((run == 0) | (began < since))
        np.copyto(since, began, where=begins)
        np.copyto(run, np.minimum(run + 1, self._for) * beyond, where=looked)
        return beyond & (run >= self._for), since


def signs(up: BoolArray) -> Directions:
    """1 where it is up, -1 elsewhere."""
    return np.where(up, np.int8(1), np.int8(-1))


def judged(
    enough: BoolArray,
    sustained: tuple[BoolArray, FloatArray],
    *,
    statistic: FloatArray,
    threshold: FloatArray,
    expected: FloatArray | None = None,
    direction: Directions | None = None,
) -> Judged:
    """The judgement of what `sustained` found."""
    found, since = sustained
    return Judged(
        enough=enough,
        found=found,
        statistic=spread(statistic, enough.shape),
        threshold=spread(threshold, enough.shape),
        expected=spread(_UNKNOWN if expected is None else expected, enough.shape),
        since=since,
        direction=np.zeros(enough.shape, dtype=np.int8) if direction is None else direction,
    )
