"""Columns: the samples of many closed windows of one signal, as arrays."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from watchkeeper.detectors.frames import BoolArray, FloatArray, IntArray
from watchkeeper.detectors.types import Sample, Series, Window

Counts = npt.NDArray[np.int32] | npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Columns:
    """The samples of R closed windows of C series each, all of one signal.

    A row is a window of one version of one model, a column one of `targets`; `start` and `at` are
    the window's, of length R. `given` says where there is a sample; elsewhere the numbers mean
    nothing. All else is as in `Sample`, of shape (R, C). `counts` and `expected_counts` have shape
    (R, C, B); a series of fewer bins, as `bins` says of each (B for all if None), has zeros after
    its own.
    """

    signal: str
    targets: tuple[str, ...]
    start: FloatArray
    at: FloatArray
    given: BoolArray
    value: FloatArray
    n: IntArray
    stderr: FloatArray
    expected: FloatArray
    counts: Counts | None = None
    expected_counts: Counts | None = None
    bins: IntArray | None = None

    def __len__(self) -> int:
        return len(self.at)

    def pick(self, columns: IntArray) -> Columns:
        """The chosen series."""
        return Columns(
            signal=self.signal,
            targets=tuple(self.targets[c] for c in columns.tolist()),
            start=self.start,
            at=self.at,
            given=self.given[:, columns],
            value=self.value[:, columns],
            n=self.n[:, columns],
            stderr=self.stderr[:, columns],
            expected=self.expected[:, columns],
            counts=None if self.counts is None else self.counts[:, columns],
            expected_counts=(
                None if self.expected_counts is None else self.expected_counts[:, columns]
            ),
            bins=None if self.bins is None else self.bins[:, columns],
        )

    def take(self, rows: IntArray | BoolArray | slice) -> Columns:
        """The chosen windows."""
        return Columns(
            signal=self.signal,
            targets=self.targets,
            start=self.start[rows],
            at=self.at[rows],
            given=self.given[rows],
            value=self.value[rows],
            n=self.n[rows],
            stderr=self.stderr[rows],
            expected=self.expected[rows],
            counts=None if self.counts is None else self.counts[rows],
            expected_counts=None if self.expected_counts is None else self.expected_counts[rows],
            bins=None if self.bins is None else self.bins[rows],
        )

    def sample(self, row: int, column: int, model: str, version: str) -> Sample:
        """One of the samples as an object; there must be one."""
        counts, expected = self._histogram(self.counts, row, column), None
        if counts is not None:
            expected = self._histogram(self.expected_counts, row, column)
        return Sample(
            series=Series(model, version, self.signal, self.targets[column]),
            window=Window(float(self.start[row]), float(self.at[row])),
            value=float(self.value[row, column]),
            n=int(self.n[row, column]),
            stderr=float(self.stderr[row, column]),
            expected=float(self.expected[row, column]),
            counts=counts,
            expected_counts=expected,
        )

    def _histogram(self, counts: Counts | None, row: int, column: int) -> IntArray | None:
        if counts is None:
            return None
        bins = counts.shape[2] if self.bins is None else int(self.bins[row, column])
        return counts[row, column, :bins].astype(np.int64)
