"""Puts records of several partitions into one order, by their timestamps, as Kafka Streams does.

Which records of which partition a poll brings is chance. Without an order of its own, a daemon
that works off a backlog would see labels before predictions, and see them differently each time.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Collection, Sequence
from itertools import pairwise

import numpy as np

from watchkeeper.daemon.transport.ports import Partition, Record  # noqa: F401 - the doctest
from watchkeeper.daemon.transport.records import Records
from watchkeeper.detectors.frames import FloatArray

# What a record takes next to its value.
_RECORD_BYTES = 100


class _Chunk:
    """Records as they were fetched, with the times they are ordered by; about what they take in
    memory is only measured where somebody asks."""

    __slots__ = ("_size", "records", "times")

    def __init__(self, records: Records, times: FloatArray, size: int = -1) -> None:
        self.records, self.times, self._size = records, times, size

    @property
    def size(self) -> int:
        if self._size < 0:
            self._size = self.records.size() + _RECORD_BYTES * len(self.records)
        return self._size

    def cut(self, count: int) -> tuple[_Chunk, _Chunk]:
        """The first `count` records, and the others."""
        rest = self.size * (len(self.times) - count) // len(self.times)
        first = _Chunk(self.records[:count], self.times[:count], self.size - rest)
        return first, _Chunk(self.records[count:].compact(), self.times[count:], rest)


class _Run:
    """Records of one partition in order of offset, in chunks as they were fetched, with the times
    they are ordered by.

    The time of a record is the largest timestamp from the head of the run up to it: a record that
    comes out of order goes right behind the one it came after.
    """

    def __init__(self) -> None:
        self._chunks: deque[_Chunk] = deque()
        self.count = 0

    @property
    def last(self) -> float:
        """The time of the newest record."""
        return float(self._chunks[-1].times[-1]) if self._chunks else float("-inf")

    @property
    def size(self) -> int:
        """About what they take in memory."""
        return sum(chunk.size for chunk in self._chunks)

    def add(self, records: Records) -> None:
        times = np.maximum.accumulate(records.at)
        if self._chunks:
            np.maximum(times, self.last, out=times)
        self._chunks.append(_Chunk(records, times))
        self.count += len(records)

    def before(self, time: float, *, inclusive: bool) -> int:
        """How many records come before `time`, or at it."""
        count = 0
        for chunk in self._chunks:
            times = chunk.times
            if times[-1] > time or (times[-1] == time and not inclusive):
                return count + int(np.searchsorted(times, time, "right" if inclusive else "left"))
            count += len(times)
        return count

    def times(self, count: int) -> FloatArray:
        """The times of the first `count` records."""
        found, left = [], count
        for chunk in self._chunks:
            if left <= 0:
                break
            found.append(chunk.times[:left])
            left -= len(chunk.times)
        return np.concatenate(found) if found else np.empty(0)

    def take(self, count: int) -> tuple[Records, FloatArray]:
        """The first `count` records, one or more, and their times; the run goes on behind them."""
        taken: list[_Chunk] = []
        while count > 0:
            chunk = self._chunks.popleft()
            if len(chunk.times) > count:
                chunk, rest = chunk.cut(count)
                self._chunks.appendleft(rest)
            taken.append(chunk)
            count -= len(chunk.times)
            self.count -= len(chunk.times)
        if len(taken) == 1:
            return taken[0].records, taken[0].times
        times = np.concatenate([chunk.times for chunk in taken])
        return Records.joined([chunk.records for chunk in taken]), times


class Aligner:
    """Releases records in order of time, then topic and partition number, then offset.

    A partition of which more is known to be waiting holds back whatever could come after its next
    record; a partition that is caught up holds nothing back. So a backlog is always read in the
    same order, however it was fetched, and live records never wait. Pure: no clock, no thread.

    `limit` bounds the records held of each partition, `limit_bytes` what all take together.

    >>> aligner = Aligner()
    >>> aligner.add(Records.of([Record("labels", 0, 7, 12.0, None, b"l")]))
    >>> [r.topic for r in aligner.release(waiting={Partition("predictions", 0)})]
    []
    >>> aligner.add(Records.of([Record("predictions", 0, 3, 11.0, None, b"p")]))
    >>> [r.topic for r in aligner.release(waiting=())]
    ['predictions', 'labels']
    """

    def __init__(self, limit: int = 20_000, limit_bytes: int = 32 * 1024 * 1024) -> None:
        self.limit = limit
        self.limit_bytes = limit_bytes
        self._runs: dict[Partition, _Run] = {}

    def __len__(self) -> int:
        return sum(run.count for run in self._runs.values())

    @property
    def size(self) -> int:
        """About how many bytes are held."""
        return sum(run.size for run in self._runs.values())

    def add(self, records: Records) -> None:
        """Takes records, those of each partition in order of offset."""
        for number, partition in enumerate(records.places):
            own = records if len(records.places) == 1 else records.take(records.place == number)
            if len(own):
                self._runs.setdefault(partition, _Run()).add(own)

    def release(self, waiting: Collection[Partition], most: int | None = None) -> Records:
        """What can no longer be overtaken, in order; of that the first `most` records.

        `waiting` names the partitions of which more is known to be on its way.
        """
        bound = min(((self._last(p), p) for p in waiting), default=None)
        ready: list[tuple[_Run, int]] = []
        for partition, run in sorted(self._runs.items()):
            count = run.count
            if bound is not None:
                count = run.before(bound[0], inclusive=partition <= bound[1])
            if count:
                ready.append((run, count))
        if most is not None and sum(count for _, count in ready) > most:
            ready = _first(ready, most)
        return _merged([run.take(count) for run, count in ready])

    def count(self) -> dict[Partition, int]:
        """How many records are held, by partition."""
        return {partition: run.count for partition, run in self._runs.items()}

    def full(self) -> set[Partition]:
        """The partitions to pause: they hold `limit` records, or their share of the bytes."""
        share = self.limit_bytes / max(sum(1 for run in self._runs.values() if run.count), 1)
        return {p for p, r in self._runs.items() if r.count >= self.limit or r.size >= share}

    def drop(self, partition: Partition) -> None:
        """Forgets what is held of a partition that is no longer ours."""
        self._runs.pop(partition, None)

    def _last(self, partition: Partition) -> float:
        run = self._runs.get(partition)
        return run.last if run is not None else float("-inf")


def _first(ready: Sequence[tuple[_Run, int]], most: int) -> list[tuple[_Run, int]]:
    """How many records of each run are among the first `most` of all."""
    if len(ready) == 1:
        return [(ready[0][0], most)]
    times = [run.times(min(count, most)) for run, count in ready]
    numbers = np.repeat(np.arange(len(ready)), [len(each) for each in times])
    first = np.argsort(np.concatenate(times), kind="stable")[:most]
    counts = np.bincount(numbers[first], minlength=len(ready)).tolist()
    return [(run, count) for (run, _), count in zip(ready, counts, strict=True) if count]


def _merged(runs: Sequence[tuple[Records, FloatArray]]) -> Records:
    """The runs in one order; each is in order already, and equal times keep the runs' order."""
    joined = Records.joined([records for records, _ in runs])
    if len(runs) < 2 or all(a[-1] <= b[0] for (_, a), (_, b) in pairwise(runs)):
        return joined
    times = np.concatenate([times for _, times in runs])
    return joined.take(np.argsort(times, kind="stable"))
