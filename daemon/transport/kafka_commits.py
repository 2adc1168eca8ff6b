"""Tells the group how far partitions were read, without waiting for its answer."""

from __future__ import annotations

import time
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from watchkeeper.daemon.transport.kafka_consumer import spot
from watchkeeper.daemon.transport.kafka_member import KafkaMember
from watchkeeper.daemon.transport.ports import Partition, Replaced

_ANSWER_S, _GLANCE_S = 0.5, 0.005  # a commit that is not answered by then is tried once more


class KafkaCommits:
    """The commits of one member. Where one failed, the next is waited for."""

    def __init__(self, member: KafkaMember) -> None:
        self._member = member
        self._committing: Any = None
        self.failures = 0

    def commit(self, offsets: Mapping[Partition, int]) -> None:
        """Commits the offsets of those partitions that are the member's."""
        from kafka import OffsetAndMetadata

        member = self._member
        well = self._heed()
        ours = {p: offset for p, offset in offsets.items() if p in member.assignment.ours}
        if member.consumer is None or not ours:
            return
        wanted = {spot(p): OffsetAndMetadata(n, "", -1) for p, n in ours.items()}
        if well:
            # Not waited for: nobody begins from these offsets where the database has better ones.
            self._committing = member.consumer.commit_async(wanted), wanted
        else:
            self._commit_now(wanted)

    def finish(self) -> None:
        """Commits the newest offsets once more and waits for it: the library may take another
        answer for the commit's."""
        if self._committing is None or self._member.consumer is None:
            return
        ours = {spot(partition) for partition in self._member.assignment.ours}
        wanted = {at: meta for at, meta in self._committing[1].items() if at in ours}
        with suppress(Replaced):  # whoever has the name by now commits
            self._commit_now(wanted)

    def _heed(self) -> bool:
        """Whether the newest commit is done, if there is any; it has a moment left for that."""
        committing, self._committing = self._committing, None
        if committing is None:
            return True
        deadline = time.monotonic() + _ANSWER_S
        while not committing[0].is_done and time.monotonic() < deadline:
            self._member.closed.wait(_GLANCE_S)
        done = committing[0].is_done and committing[0].exception is None
        if done:
            self._member.well()
        return bool(done)

    def _commit_now(self, wanted: Any) -> None:
        from kafka.errors import KafkaError

        try:
            self._member.consumer.commit(wanted, timeout_ms=2_000)
        except KafkaError as error:
            self.failures += 1
            self._member.failed(error)
        else:
            self._member.well()
