"""Where reading stands in each started partition, and how long that has not moved."""

from __future__ import annotations

import time
from collections.abc import Collection, Iterator, Mapping
from typing import Any

import structlog

from watchkeeper.daemon.transport.kafka_consumer import spot
from watchkeeper.daemon.transport.kafka_member import KafkaMember
from watchkeeper.daemon.transport.ports import Partition

log = structlog.get_logger()

# A partition that brings nothing for so long no longer holds back the others.
PATIENCE_S = 10.0
_PATIENT_POLLS = 20
_ENDS_MS = 2_000


class KafkaPositions:
    """The next offset of each started partition, next to what its broker has."""

    def __init__(self, member: KafkaMember) -> None:
        self._member = member
        self._next: dict[Partition, int] = {}
        # When a partition last brought something, and how many polls brought nothing since.
        self._fruitless: dict[Partition, tuple[float, int]] = {}
        self._ends: dict[Partition, int] = {}
        # How many records each partition has left, and whose it was when that was counted.
        self._left: dict[Partition, int] | None = None
        self._counted_of: frozenset[Partition] = frozenset()
        # Which topic of its name each partition was last read of, and what was looked at for that.
        self._topics: dict[Partition, str] = {}
        self._told: Mapping[Partition, str] | None = {}
        self._known_topics: Any = None
        # What is known of topics that may be known no more, by partition.
        self._outdated: dict[Partition, Any] = {}
        # What was known when brokers were asked whether a topic is another one by now.
        self._asked: dict[Partition, Any] = {}
        # Where partitions were begun that nobody had stored an offset of.
        self._first: dict[Partition, int] = {}

    def __iter__(self) -> Iterator[Partition]:
        return iter(self._next)

    def __getitem__(self, partition: Partition) -> int:
        return self._next[partition]

    def ask_ends(self, partitions: Collection[Partition]) -> None:
        """Asks where partitions end that are about to begin.

        Within a session of fetches brokers tell only what is new in it. Of a partition that was
        taken away, and given back with nothing new, they tell nothing: all others would wait for
        it. Where nobody answers, that is what they do.
        """
        from kafka.errors import KafkaError

        found: Mapping[Any, int] = {}
        if partitions:
            try:
                spots = [spot(each) for each in partitions]
                found = self._member.consumer.end_offsets(spots, timeout_ms=_ENDS_MS)
            except KafkaError as error:
                log.info("it is not known where they end", reason=str(error))
        for partition in partitions:
            self._ends.pop(partition, None)
        self._ends |= {Partition(*place): int(end) for place, end in found.items()}
        self._left = None

    def first(self, partition: Partition) -> int:
        """Where to begin a partition that the daemon has no offset of: where the group is, else
        where it was begun the last time. What came since was not made true, and the end may be
        behind it by now."""
        committed = self._member.consumer.committed(spot(partition), timeout_ms=5_000)
        if committed is not None:
            return int(committed)
        if partition not in self._first:
            self._first[partition] = self._member.default_offset(partition)
        return self._first[partition]

    def begin(self, partition: Partition, offset: int) -> None:
        """Moves the consumer to where the partition's reading begins."""
        self.go_on(partition, offset)
        self._fruitless[partition] = (time.monotonic(), 0)

    @property
    def topics(self) -> Mapping[Partition, str]:
        """Which topic of its name each partition is read of, where that is known. The same object
        until that changes."""
        if self._told is None:
            self._told = dict(self._topics)
        return self._told

    def topic(self, partition: Partition) -> str:
        """The same of one partition; "" where it is not known."""
        return self._topics.get(partition, "")

    def believe(self, partition: Partition, topic: str) -> None:
        """It was read of this topic when it was left, here or by another member."""
        self._topics[partition], self._told = topic, None

    def made_anew(self, partition: Partition) -> bool:
        """Whether its topic was deleted and made anew since it was last read."""
        here = self._topic(partition)
        return here is not None and self._topics.get(partition, here) != here

    def settled(self, partition: Partition) -> bool:
        """Whether it is sure of which topic a partition is to be read. Where it was read of another
        one than is known here, it is this that may be the older: then brokers are asked, and a
        later call tells."""
        known = self._known()
        if not self.made_anew(partition):
            self._asked.pop(partition, None)
            return True
        if self._asked.setdefault(partition, known) is not known:
            del self._asked[partition]
            return True
        self._cluster().request_update()
        return False

    def all_made_anew(self) -> list[Partition]:
        """The started partitions of which that is true; looked for when topics may have changed."""
        known = self._known()
        if known is self._known_topics:  # the library puts another one in its place
            return []
        self._known_topics = known
        anew = [partition for partition in self._next if self.made_anew(partition)]
        for partition in self._next.keys() - self._topics.keys():
            self._note_topic(partition)
        return anew

    def seek(self, partition: Partition, offset: int) -> None:
        """Moves the consumer, and the position with it."""
        self._member.consumer.seek(spot(partition), offset)
        self._next[partition] = offset
        self._note_topic(partition)
        self._left = None

    def go_on(self, partition: Partition, offset: int) -> None:
        """Moves both to where all is read from now on: nobody begins before it any more."""
        self.seek(partition, offset)
        if partition in self._first:
            self._first[partition] = offset

    def doubt_topic(self, partition: Partition) -> None:
        """Its topic may be another one than is known: what is learnt next is that of what is read
        now. A fetch may meet a topic that was made anew before the client hears of it."""
        self._topics.pop(partition, None)
        self._told = None
        self._outdated[partition] = self._known()

    def passed(self, partition: Partition, offset: int) -> None:
        """Notes that the record at `offset` was read."""
        self._next[partition] = offset + 1
        self._left = None

    def forget(self, partition: Partition) -> None:
        """Drops a partition that was taken away."""
        self._next.pop(partition, None)
        self._fruitless.pop(partition, None)
        self._ends.pop(partition, None)
        self._asked.pop(partition, None)
        self._left = None

    def note(self, moved: Collection[Partition]) -> None:
        """Notes after a poll which partitions brought something, or were not asked to."""
        now = time.monotonic()
        for partition, (since, polls) in self._fruitless.items():
            self._fruitless[partition] = (now, 0) if partition in moved else (since, polls + 1)
        self._left = None

    def silent(self, seconds: float) -> list[Partition]:
        """The partitions that brought nothing for so long."""
        before = time.monotonic() - seconds
        return [p for p, (since, _) in self._fruitless.items() if since < before]

    def waiting(self) -> list[Partition]:
        """The partitions worth waiting for: they have records, and do bring them."""
        now = time.monotonic()
        return [p for p, n in self.on_broker().items() if n and not self._given_up(p, now)]

    def on_broker(self) -> Mapping[Partition, int]:
        """How many records of each partition are known to be on its broker still; 1 where nothing
        is known. Counted once a poll, and anew when partitions come or go."""
        ours = self._member.assignment.ours
        if self._left is None or self._counted_of is not ours:
            self._left = {partition: self._count(partition, ours) for partition in self._next}
            self._counted_of = ours
        return self._left

    def _count(self, partition: Partition, ours: Collection[Partition]) -> int:
        member = self._member
        if member.consumer is None or partition not in ours:
            return 1
        end = member.consumer.highwater(spot(partition))
        end = self._ends.get(partition) if end is None else end
        if end is None:
            return 1
        if end > self._next[partition] and self._fruitless[partition][1]:
            self._skip_markers(partition)
        return max(int(end) - self._next[partition], 0)

    def _cluster(self) -> Any:
        return getattr(self._member.consumer, "_cluster", None)

    def _known(self) -> Any:
        return getattr(self._cluster(), "_topic_ids", None)

    def _note_topic(self, partition: Partition) -> None:
        here = self._topic(partition)
        if here is not None and self._topics.get(partition) != here:
            self.believe(partition, here)

    def _topic(self, partition: Partition) -> str | None:
        """What tells its topic apart from others that had its name; None where brokers do not say,
        as while it is gone, and while it is doubted."""
        known = getattr(self._cluster(), "topic_id", None)
        if known is None or self._outdated.get(partition, self) is self._known():
            return None
        found = known(partition.topic)
        return str(found) if found is not None and found.int else None

    def _given_up(self, partition: Partition, now: float) -> bool:
        since, polls = self._fruitless[partition]
        return polls >= _PATIENT_POLLS and now - since > PATIENCE_S

    def _skip_markers(self, partition: Partition) -> None:
        """Takes over the consumer's position: it moves over markers and aborted records."""
        from kafka.errors import KafkaError

        try:
            at = self._member.consumer.position(spot(partition), timeout_ms=100)
        except KafkaError:
            return  # the next poll meets it, and deals with it
        self._next[partition] = max(self._next[partition], at or 0)
