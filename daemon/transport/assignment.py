"""Which partitions are ours: noted on the library's thread, taken up on the polling thread."""

from __future__ import annotations

import threading
from collections.abc import Collection, Iterable
from typing import Any

from watchkeeper.daemon.transport.ports import Partition

Partitions = tuple[Partition, ...]


class Assignment:
    """The partitions of this member, and what changed since it was last asked. Thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._ours: frozenset[Partition] = frozenset()
        self._told: set[Partition] = set()
        self._revoked: dict[Partition, None] = {}
        self._lost: dict[Partition, None] = {}

    @property
    def ours(self) -> frozenset[Partition]:
        """The same object until they change."""
        return self._ours

    @property
    def parting(self) -> bool:
        """Whether partitions were taken away in order that `changes` has not told of yet."""
        with self._lock:
            return bool(self._revoked)

    def assign(self, partitions: Iterable[Partition]) -> None:
        """More partitions are ours."""
        with self._lock:
            self._ours = self._ours.union(partitions)

    def revoke(self, partitions: Iterable[Partition]) -> None:
        """Partitions were taken away in order."""
        self._take(list(partitions), self._revoked)

    def lose(self, partitions: Iterable[Partition]) -> None:
        """Partitions were taken away, and others may have them already."""
        self._take(list(partitions), self._lost)

    @property
    def taken(self) -> set[Partition]:
        """What was taken away and `changes` has not told of yet."""
        with self._lock:
            return {*self._revoked, *self._lost}

    def give_up(self) -> set[Partition]:
        """Counts as lost what was taken away in order and was not told of yet, since it cannot be
        stored how far it was read: others need not wait for that. Gives what was taken away."""
        with self._lock:
            self._lost.update(self._revoked)
            self._revoked.clear()
            return set(self._lost)

    def lose_all(self) -> None:
        """The group was left."""
        self.lose(self.ours)

    def changes(self) -> tuple[Partitions, Partitions, Partitions]:
        """Newly assigned, revoked and lost since the last call.

        A partition that was taken away and given back is both revoked and assigned; one that came
        and went unseen is neither.
        """
        with self._lock:
            lost = tuple(self._lost)
            revoked = tuple(p for p in self._revoked if p not in self._lost)
            self._told.difference_update(lost, revoked)
            assigned = tuple(sorted(self._ours - self._told))
            self._told.update(assigned)
            self._lost.clear()
            self._revoked.clear()
            return assigned, revoked, lost

    def _take(self, partitions: Collection[Partition], where: dict[Partition, None]) -> None:
        with self._lock:
            self._ours = self._ours.difference(partitions)
            where.update(dict.fromkeys(p for p in partitions if p in self._told))


def hand_over_first(consumer: Any, assignment: Assignment) -> None:
    """Holds back the second round of a cooperative rebalance until the first one was told.

    In it others get what was taken away here. The library begins it within the same poll, before
    anybody could store how far the partitions were read.
    """
    coordinator = consumer._coordinator
    wants = coordinator.need_rejoin
    coordinator.need_rejoin = lambda: wants() and not assignment.parting


def listener(assignment: Assignment, consumer: Any) -> Any:
    """A rebalance listener that notes what happens and pauses what comes.

    It runs on the library's thread, where anything that waits for the network fails. A seek does
    not: it spares the library looking for an offset that `start` will give.
    """
    from kafka import ConsumerRebalanceListener

    class Listener(ConsumerRebalanceListener):  # type: ignore[misc]
        def on_partitions_assigned(self, assigned: Collection[Any]) -> None:
            for spot in assigned:
                consumer.seek(spot, 0)
            consumer.pause(*assigned)
            assignment.assign(Partition(*spot) for spot in assigned)

        def on_partitions_revoked(self, revoked: Collection[Any]) -> None:
            assignment.revoke(Partition(*spot) for spot in revoked)

        def on_partitions_lost(self, lost: Collection[Any]) -> None:
            assignment.lose(Partition(*spot) for spot in lost)

    return Listener()
