"""Findings: what a detector says of a series."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime
from enum import StrEnum
from typing import Literal

import msgspec

from watchkeeper.detectors.samples import Series


class Severity(StrEnum):
    """INFO explains, WARNING opens an incident, CRITICAL pages."""

    INFO = "info"
    WARNING = "warning"
    CRITICAL = "critical"

    @property
    def rank(self) -> int:
        return ("info", "warning", "critical").index(self.value)


Direction = Literal["up", "down", "either"]


class Finding(msgspec.Struct, frozen=True):
    """A detector's judgement that a window of a series is not as it should be.

    `statistic` passed `threshold`; `value` was measured where `expected` was normal (NaN: no
    single normal value). `since` is the start of the first and `at` the end of the last window
    the judgement rests on, in seconds since the epoch. The `statement` is what log lines have in
    common, of which `examples` are shown, secrets hidden; or says what was done to a column.
    """

    series: Series
    detector: str
    severity: Severity
    since: float
    at: float
    value: float
    expected: float
    statistic: float
    threshold: float
    n: int
    direction: Direction = "either"
    statement: str = ""
    examples: tuple[str, ...] = ()

    @property
    def id(self) -> str:
        """The same for the same judgement, however often it is made."""
        which = (self.detector, self.severity.value, self.direction)
        key = (*msgspec.structs.astuple(self.series), *which, repr(self.at))
        return hashlib.blake2b("\x1f".join(key).encode(), digest_size=12).hexdigest()


def moment(at: float) -> datetime:
    """Seconds since the epoch as an aware UTC datetime."""
    return datetime.fromtimestamp(at, UTC)
