"""What a bank made of columns: findings are rare, so they are objects only where there are any."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
import numpy.typing as npt

from watchkeeper.detectors.banks.columns import Columns
from watchkeeper.detectors.blocks import Member
from watchkeeper.detectors.frames import BoolArray, FloatArray
from watchkeeper.detectors.suite import Watch
from watchkeeper.detectors.types import Direction, Finding, Series

Directions = npt.NDArray[np.int8]

_DIRECTIONS: dict[int, Direction] = {1: "up", -1: "down", 0: "either"}


@dataclass(frozen=True, slots=True)
class Judged:
    """The judgement of each sample; every array has the shape (R, C) of the columns.

    `enough`: there was a sample with a finite value and at least `min_n` events. `found`: it is a
    finding; only there do the others hold what `Finding` says of them. `direction` is 1 for up, -1
    for down and 0 for either.
    """

    enough: BoolArray
    found: BoolArray
    statistic: FloatArray
    threshold: FloatArray
    expected: FloatArray
    since: FloatArray
    direction: Directions

    @classmethod
    def nothing(cls, enough: BoolArray) -> Self:
        """Nothing found among so many samples."""
        unknown = np.full(enough.shape, np.nan)
        found = np.zeros(enough.shape, dtype=np.bool_)
        either = np.zeros(enough.shape, dtype=np.int8)
        return cls(enough, found, unknown, unknown, unknown, unknown, either)

    def finding(
        self, row: int, column: int, samples: Columns, member: Member, watch: Watch
    ) -> Finding:
        """The finding in one sample of the columns that were judged; there must be one."""
        place = row, column
        return Finding(
            series=Series(member.model, member.version, samples.signal, samples.targets[column]),
            detector=watch.detector,
            severity=watch.severity,
            since=float(self.since[place]),
            at=float(samples.at[row]),
            value=float(samples.value[place]),
            expected=float(self.expected[place]),
            statistic=float(self.statistic[place]),
            threshold=float(self.threshold[place]),
            n=int(samples.n[place]),
            direction=_DIRECTIONS[int(self.direction[place])],
        )

    def findings(
        self, samples: Columns, members: Sequence[Member], watch: Watch
    ) -> Iterator[tuple[int, Finding]]:
        """All findings with their rows, row by row; `members` are those of the rows."""
        for row, column in np.argwhere(self.found).tolist():
            yield row, self.finding(row, column, samples, members[row], watch)
