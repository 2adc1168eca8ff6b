"""Values of many records as places in one buffer, and how several buffers become one."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from watchkeeper.detectors.frames import IntArray

Rows = IntArray | npt.NDArray[np.bool_] | slice


class Span:
    """Values of records in one buffer: record i's value is buffer[start[i]:end[i]], none where
    start[i] is negative."""

    __slots__ = ("buffer", "end", "start")

    def __init__(self, buffer: bytes, start: IntArray, end: IntArray) -> None:
        self.buffer, self.start, self.end = buffer, start, end

    def values(self) -> list[bytes | None]:
        """Each value as bytes of its own."""
        whole = self.buffer
        pairs = zip(self.start.tolist(), self.end.tolist(), strict=True)
        return [whole[start:end] if start >= 0 else None for start, end in pairs]

    def take(self, rows: Rows) -> Span:
        """The chosen records' values, in the same buffer."""
        return Span(self.buffer, self.start[rows], self.end[rows])

    def shifted(self, by: int, buffer: bytes) -> Span:
        """The values in another buffer, in which they stand so much further on."""
        start, end = self.start + by, self.end + by
        if (self.start < 0).any():
            start[self.start < 0] = -1
        return Span(buffer, start, end)

    def size(self) -> int:
        """The bytes of all values."""
        sizes = self.end - self.start
        return int(sizes.sum(where=self.start >= 0))

    @classmethod
    def of(cls, values: Sequence[bytes | None]) -> Span:
        """The values in a buffer of their own."""
        try:
            lengths = np.fromiter(map(len, values), np.int64, len(values))  # type: ignore[arg-type]
            end = np.cumsum(lengths)
            return cls(b"".join(values), end - lengths, end)  # type: ignore[arg-type]
        except TypeError:
            pass  # some are None
        lengths = np.array([len(value or b"") for value in values], dtype=np.int64)
        end = np.cumsum(lengths)
        start = end - lengths
        start[[value is None for value in values]] = -1
        return cls(b"".join([value or b"" for value in values]), start, end)


Texts = list[bytes | None] | Span


def packed(columns: Sequence[Sequence[Span]]) -> list[Span]:
    """Columns of spans, of which those of one part are in one buffer, in one for all: the same
    one, or a new one of what is needed of each."""
    buffers = [span.buffer for span in columns[0]]
    if len(buffers) > 1 and all(buffer is buffers[0] for buffer in buffers):
        starts = [np.concatenate([span.start for span in column]) for column in columns]
        ends = [np.concatenate([span.end for span in column]) for column in columns]
        return [Span(buffers[0], a, b) for a, b in zip(starts, ends, strict=True)]
    shift, needed, shifts = 0, [], []
    for part in zip(*columns, strict=True):
        first, last = _bounds(part)
        needed.append(memoryview(part[0].buffer)[first:last])
        shifts.append(shift - first)
        shift += last - first
    buffer, packed = b"".join(needed), []
    for column in columns:
        moved = [span.shifted(by, buffer) for span, by in zip(column, shifts, strict=True)]
        start = np.concatenate([span.start for span in moved])
        packed.append(Span(buffer, start, np.concatenate([span.end for span in moved])))
    return packed


def _bounds(spans: Sequence[Span]) -> tuple[int, int]:
    """Where the first of the values of some columns begins in their buffer, and the last ends."""
    first, last = len(spans[0].buffer), 0
    for span in spans:
        there = span.start >= 0
        first = int(span.start.min(initial=first, where=there))
        last = int(span.end.max(initial=last, where=there))
    return first, max(first, last)
