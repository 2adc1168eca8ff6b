"""Puts records of several partitions into one order, by their timestamps, as Kafka Streams does.

Which records of which partition a poll brings is chance. Without an order of its own, a daemon
that works off a backlog would see labels before predictions, and see them differently each time.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Collection, Iterable
from itertools import accumulate, groupby
from operator import attrgetter

import numpy as np

from watchkeeper.daemon.transport.ports import Partition, Record

_partition = attrgetter("topic", "partition")


class _Buffer:
    """Records of one partition, with the times they are ordered by.

    The time of a record is the largest timestamp from the head of the buffer up to it: a record
    that comes out of order goes right behind the one it came after.
    """

    def __init__(self) -> None:
        self.records: list[Record] = []
        self.times: list[float] = []

    def add(self, records: list[Record]) -> None:
        last = self.times[-1] if self.times else records[0].at
        times = accumulate([record.at for record in records], max, initial=last)
        next(times)
        self.records += records
        self.times += times

    def take(self, count: int) -> tuple[list[Record], list[float]]:
        taken = self.records[:count], self.times[:count]
        del self.records[:count], self.times[:count]
        return taken


class Aligner:
    """Releases records in order of time, then topic and partition number, then offset.

    A partition of which more is known to be waiting holds back whatever could come after its next
    record; a partition that is caught up holds nothing back. So a backlog is always read in the
    same order, however it was fetched, and live records never wait. Pure: no clock, no thread.

    >>> aligner = Aligner()
    >>> aligner.add([Record("labels", 0, 7, 12.0, None, b"l")])
    >>> [r.topic for r in aligner.release(waiting={Partition("predictions", 0)})]
    []
    >>> aligner.add([Record("predictions", 0, 3, 11.0, None, b"p")])
    >>> [r.topic for r in aligner.release(waiting=())]
    ['predictions', 'labels']
    """

    def __init__(self, limit: int = 5_000) -> None:
        self.limit = limit
        self._buffers: dict[Partition, _Buffer] = {}

    def __len__(self) -> int:
        return sum(len(buffer.records) for buffer in self._buffers.values())

    def add(self, records: Iterable[Record]) -> None:
        """Takes records, those of each partition in order of offset."""
        for key, run in groupby(records, key=_partition):
            partition = Partition(*key)
            buffer = self._buffers.get(partition)
            if buffer is None:
                buffer = self._buffers[partition] = _Buffer()
            buffer.add(list(run))

    def release(self, waiting: Collection[Partition]) -> list[Record]:
        """What can no longer be overtaken, in order.

        `waiting` names the partitions of which more is known to be on its way.
        """
        bound = (
            min((self._last(partition), partition) for partition in waiting) if waiting else None
        )
        runs = []
        for partition, buffer in sorted(self._buffers.items()):
            count = len(buffer.times) if bound is None else _before(buffer.times, partition, bound)
            if count:
                runs.append(buffer.take(count))
        return _merged(runs)

    def count(self) -> dict[Partition, int]:
        """How many records are held, by partition."""
        return {partition: len(buffer.records) for partition, buffer in self._buffers.items()}

    def full(self) -> set[Partition]:
        """The partitions to pause: their buffers hold `limit` records or more."""
        return {p for p, buffer in self._buffers.items() if len(buffer.records) >= self.limit}

    def drop(self, partition: Partition) -> None:
        """Forgets what is buffered of a partition that is no longer ours."""
        self._buffers.pop(partition, None)

    def _last(self, partition: Partition) -> float:
        buffer = self._buffers.get(partition)
        return buffer.times[-1] if buffer is not None and buffer.times else float("-inf")


def _before(times: list[float], partition: Partition, bound: tuple[float, Partition]) -> int:
    """How many of a partition's records come before anything that is still on its way."""
    cut = bisect_right if partition <= bound[1] else bisect_left
    return cut(times, bound[0])


def _merged(runs: list[tuple[list[Record], list[float]]]) -> list[Record]:
    """The runs in one order; each is in order already, and equal times keep the runs' order."""
    if not runs:
        return []
    if len(runs) == 1:
        return runs[0][0]
    times = np.concatenate([times for _, times in runs])
    records = [record for run, _ in runs for record in run]
    return [records[i] for i in np.argsort(times, kind="stable").tolist()]
