"""Topics in memory, for the demo and for tests: the same promises as a broker, in one process."""

from __future__ import annotations

import threading
import time
import zlib
from collections.abc import Callable, Mapping, Sequence

from watchkeeper.daemon.transport.merge import Aligner
from watchkeeper.daemon.transport.ports import Message, Partition, Polled, Record
from watchkeeper.daemon.transport.records import Records


class _Log:
    """One partition: its newest records and the offset of the first of them."""

    def __init__(self) -> None:
        self.first = 0
        self.records: list[Record] = []

    @property
    def end(self) -> int:
        return self.first + len(self.records)


class MemoryBroker:
    """Topics of one or more partitions, and the offsets that groups committed. Thread-safe.

    A topic begins when it is first written to. Each partition keeps between `retain` and twice as
    many of its newest records.
    """

    def __init__(
        self, partitions: Mapping[str, int] | None = None, retain: int = 1_000_000
    ) -> None:
        self._counts = dict(partitions or {})
        self._retain = retain
        self._logs: dict[str, list[_Log]] = {}
        self._offsets: dict[tuple[str, Partition], int] = {}
        self._changed = threading.Condition()
        for topic in self._counts:
            self._topic(topic)

    def publish(self, message: Message, at: float, partition: int | None = None) -> Record:
        """Appends one message; records of one key go to one partition."""
        with self._changed:
            logs = self._topic(message.topic)
            number = partition
            if number is None:
                number = zlib.crc32(message.key or b"") % len(logs)
            log = logs[number]
            record = Record(
                message.topic, number, log.end, at, message.key, message.value, message.headers
            )
            log.records.append(record)
            if len(log.records) > 2 * self._retain:
                del log.records[: self._retain]
                log.first += self._retain
            self._changed.notify_all()
            return record

    def records(self, topic: str) -> list[Record]:
        """All kept records of a topic, partition by partition."""
        with self._changed:
            return [record for log in self._logs.get(topic, ()) for record in log.records]

    def partitions(self, topics: Sequence[str]) -> list[Partition]:
        """The partitions of those of the topics that exist."""
        with self._changed:
            return [Partition(t, i) for t in topics for i in range(len(self._logs.get(t, ())))]

    def read(self, partition: Partition, offset: int, count: int) -> list[Record]:
        """At most `count` records from `offset` on; from the oldest kept one if that is later."""
        with self._changed:
            log = self._logs[partition.topic][partition.number]
            start = max(offset - log.first, 0)
            return log.records[start : start + count]

    def end(self, partition: Partition) -> int:
        """The offset that the next record will get."""
        with self._changed:
            return self._logs[partition.topic][partition.number].end

    def committed(self, group: str, partition: Partition) -> int:
        """The group's next offset, 0 before it committed one."""
        with self._changed:
            return self._offsets.get((group, partition), 0)

    def commit(self, group: str, offsets: Mapping[Partition, int]) -> None:
        """Keeps the next offsets of a group."""
        with self._changed:
            self._offsets.update({(group, p): offset for p, offset in offsets.items()})

    def wait(self, ready: Callable[[], bool], timeout: float) -> None:
        """Waits until `ready`, looked at after each change, or at most `timeout` seconds."""
        with self._changed:
            self._changed.wait_for(ready, timeout)

    def _topic(self, name: str) -> list[_Log]:
        if name not in self._logs:
            self._logs[name] = [_Log() for _ in range(self._counts.get(name, 1))]
        return self._logs[name]


class MemorySource:
    """Reads topics of a `MemoryBroker` as the only member of its group."""

    def __init__(
        self,
        broker: MemoryBroker,
        topics: Sequence[str],
        group: str = "watchkeeper",
        max_records: int = 500,
    ) -> None:
        self._broker = broker
        self._topics = tuple(topics)
        self._group = group
        self._max_records = max_records
        self._assigned: set[Partition] = set()
        self._next: dict[Partition, int] = {}
        self._aligner = Aligner()
        self._closed = False

    def poll(self, timeout: float) -> Polled:
        if self._closed:
            return Polled()
        new = [p for p in self._broker.partitions(self._topics) if p not in self._assigned]
        self._assigned.update(new)
        if not new:
            self._broker.wait(self._something_new, timeout)
        for partition, offset in self._next.items():
            records = self._broker.read(partition, offset, self._max_records)
            if records:
                self._aligner.add(Records.of(records))
                self._next[partition] = records[-1].offset + 1
        return Polled(self._aligner.release(self._waiting()), assigned=tuple(new))

    def idle(self, timeout: float) -> None:
        self._broker.wait(lambda: False, timeout)  # there is no group to stay in

    def start(self, partition: Partition, offset: int | None, topic: str | None = None) -> None:
        if offset is None:
            offset = self._broker.committed(self._group, partition)
        self._aligner.drop(partition)
        self._next[partition] = offset

    def caught_up(self) -> bool:
        return not self._waiting() and not len(self._aligner)

    def ended(self) -> bool:
        return False

    def lag(self) -> Mapping[Partition, int]:
        return {p: max(self._broker.end(p) - offset, 0) for p, offset in self._next.items()}

    def partitions(self, topic: str) -> int:
        """How many a topic has; 0 before it is written to."""
        return len(self._broker.partitions([topic]))

    def commit(self, offsets: Mapping[Partition, int]) -> None:
        self._broker.commit(self._group, offsets)

    def close(self, timeout: float = 10.0) -> None:
        self._closed = True

    def _waiting(self) -> list[Partition]:
        return [partition for partition, count in self.lag().items() if count]

    def _something_new(self) -> bool:
        known = len(self._broker.partitions(self._topics)) == len(self._assigned)
        return not known or bool(self._waiting())


class MemorySink:
    """Publishes into a `MemoryBroker`; `clock` gives the records' timestamps."""

    def __init__(self, broker: MemoryBroker, clock: Callable[[], float] = time.time) -> None:
        self._broker = broker
        self._clock = clock

    def publish(self, messages: Sequence[Message], timeout: float) -> list[str | None]:
        for message in messages:
            self._broker.publish(message, self._clock())
        return [None] * len(messages)

    def close(self, timeout: float = 10.0) -> None:
        """Nothing is held."""
