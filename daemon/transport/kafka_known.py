"""Which of the topics that are read the brokers know, and how many partitions each has."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

from watchkeeper.daemon.transport.ports import Partition

_ASK_S = 1.0
# A topic counts as missing once it was absent from the brokers' answers for so long.
_ABSENT_S = 3.0


class KnownTopics:
    """What a member knows of its topics. `counts` has the partitions of each, once one is known."""

    def __init__(self, names: Sequence[str]) -> None:
        self.names = tuple(names)
        self.counts: dict[str, int] = {}
        self._absent: tuple[str, ...] = ()
        self._absent_since = 0.0
        self._asked = 0.0

    @property
    def trouble(self) -> str | None:
        """Which of them do not exist, None when all do."""
        if not self._absent or time.monotonic() - self._absent_since < _ABSENT_S:
            return None
        one = len(self._absent) == 1
        subject = f"topic {self._absent[0]} does" if one else f"topics {', '.join(self._absent)} do"
        return f"{subject} not exist: run `watchkeeper topics create`"

    def first(self) -> list[Partition]:
        """The first partition of each topic that exists."""
        return [Partition(topic, 0) for topic in self.names if topic not in self._absent]

    def look(self, consumer: Any) -> bool:
        """Notes what the consumer knows; says whether a topic has more or fewer partitions than
        before. The library waits in silence for topics that the brokers do not know."""
        # The public method would ask the brokers anew, and wait for them without end.
        known = consumer._cluster
        absent = tuple(t for t in self.names if not known.partitions_for_topic(t))
        if absent != self._absent:
            self._absent, self._absent_since = absent, time.monotonic()
        if absent and time.monotonic() >= self._asked + _ASK_S:
            # The library asks again in half a minute: too late for topics that were made just now.
            self._asked = time.monotonic()
            known.request_update()
        before = self.counts
        self.counts = {t: len(known.partitions_for_topic(t) or ()) for t in self.names}
        return bool(before) and before != self.counts

    def forget(self) -> None:
        """Knows nothing of them, as the consumer is gone."""
        self._absent, self.counts = (), {}
