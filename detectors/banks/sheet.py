"""What compiled loops read and write: the samples of many series side by side, and verdicts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from watchkeeper.detectors.banks.columns import Columns
from watchkeeper.detectors.banks.judged import Directions, Judged
from watchkeeper.detectors.frames import BoolArray, FloatArray, IntArray

_ALL = slice(None)


@dataclass(frozen=True, slots=True)
class Sheet:
    """The samples of several columns of the same windows, all of their series side by side.

    Every array lies in memory as C has it, so that loops are compiled for one kind of array.
    """

    start: FloatArray
    at: FloatArray
    given: BoolArray
    value: FloatArray
    n: IntArray
    stderr: FloatArray
    expected: FloatArray

    @property
    def samples(self) -> tuple[Any, ...]:
        """What every loop takes of it."""
        return self.start, self.given, self.value, self.n, self.stderr, self.expected

    @classmethod
    def of(cls, groups: Sequence[Columns]) -> Sheet:
        """The groups' series, one group behind the other; there must be one at least."""

        shape = len(groups[0]), sum(len(each.targets) for each in groups)

        def beside(parts: Sequence[Any], kind: type[Any]) -> Any:
            return np.concatenate(parts, axis=1, out=np.empty(shape, dtype=kind))

        return cls(
            np.array(groups[0].start, dtype=np.float64),
            np.array(groups[0].at, dtype=np.float64),
            beside([each.given for each in groups], np.bool_),
            beside([each.value for each in groups], np.float64),
            beside([each.n for each in groups], np.int64),
            beside([each.stderr for each in groups], np.float64),
            beside([each.expected for each in groups], np.float64),
        )


@dataclass(frozen=True, slots=True)
class Page:
    """Where a loop writes its verdicts.

    `numbers` has a layer each for statistic, threshold, expected and since, written where there is
    a finding; `marks` one each for enough, found and direction, written everywhere.
    """

    numbers: FloatArray
    marks: Directions

    @classmethod
    def blank(cls, rows: int, columns: int) -> Page:
        """Room for the verdicts on so many samples."""
        return cls(np.empty((4, rows, columns)), np.zeros((3, rows, columns), dtype=np.int8))

    def found(self) -> list[int]:
        """The columns in which there is a finding."""
        return np.flatnonzero(self.marks[1].any(axis=0)).tolist()

    def judged(self, columns: slice = _ALL) -> Judged:
        """What was written, of all or of some columns."""
        enough, found, direction = self.marks[:, :, columns]
        statistic, threshold, expected, since = self.numbers[:, :, columns]
        return Judged(
            enough=enough.view(np.bool_),
            found=found.view(np.bool_),
            statistic=statistic,
            threshold=threshold,
            expected=expected,
            since=since,
            direction=direction,
        )


class Sitting(NamedTuple):
    """Windows before many banks at once: one of each of the rows, whose samples are on the sheet;
    no row is greater than `last`. The verdicts go to the page. `samples` is what loops take of the
    sheet."""

    rows: IntArray
    last: int
    sheet: Sheet
    page: Page
    samples: tuple[Any, ...]

    @classmethod
    def of(
        cls, rows: IntArray, groups: Sequence[Columns], columns: int, sheet: Sheet | None = None
    ) -> Sitting:
        """With a blank page of so many columns; `sheet` is there if it has been made already."""
        last = int(rows.max()) if len(rows) else -1
        page, sheet = Page.blank(len(rows), columns), sheet or Sheet.of(groups)
        return cls(np.ascontiguousarray(rows), last, sheet, page, sheet.samples)


def example(*more: Any) -> tuple[Any, ...]:
    """The arguments that every loop takes, for `kernel`: rows, columns, the state as numbers and
    as integers, start, given, value, n, stderr, expected, settings as numbers and as integers,
    the page's numbers and marks, the first column there; and what one loop takes besides."""
    places, table = np.zeros(1, dtype=np.int64), np.zeros((1, 1))
    whole = np.zeros((1, 1), dtype=np.int64)
    given = np.zeros((1, 1), dtype=np.bool_)
    page = Page.blank(1, 1)
    line = np.zeros(1)
    samples = line, given, table, whole, table, table
    return places, places, table, whole, *samples, line, places, page.numbers, page.marks, 0, *more
