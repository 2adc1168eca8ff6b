"""Reads from Kafka, and goes on whatever it meets there.

kafka-python calls rebalance listeners on its own thread, and hangs in the poll after one that
raised. So the listener only notes what happened and pauses, everything else is done on the thread
that polls, and after an exception no partition is polled again from where it stood.
"""

from __future__ import annotations

import random
import threading
import time
from collections import deque
from collections.abc import Mapping, Sequence
from typing import Any, Literal

import msgspec
import structlog

from watchkeeper.daemon.transport.assignment import Assignment, listener
from watchkeeper.daemon.transport.kafka_client import connected
from watchkeeper.daemon.transport.kafka_guard import prepare
from watchkeeper.daemon.transport.kafka_sink import KafkaSink
from watchkeeper.daemon.transport.merge import Aligner
from watchkeeper.daemon.transport.ports import Partition, Polled, Record, SourceError
from watchkeeper.daemon.transport.quarantine import Prober, QuarantinedRange
from watchkeeper.daemon.transport.settings import KafkaSettings

__all__ = ["DataGap", "KafkaSink", "KafkaSource", "QuarantinedRange"]

log = structlog.get_logger()

# A partition that brings nothing for so long no longer holds back the others.
PATIENCE_S = 10.0
_PATIENT_POLLS = 20
_MOST_BACKOFF_S = 30.0
_MOST_REPORTS = 1_000
_LARGEST_HEADERS = 65_536
# Known broker addresses may all have changed: then only a new consumer finds the cluster again.
_LOST_AFTER_S = 120.0
_STABLE = "<stable>"
_REBALANCE_S = 5.0


class DataGap(msgspec.Struct, frozen=True):
    """Records from `wanted` on were gone, so reading went on at `resumed`."""

    topic: str
    partition: int
    wanted: int
    resumed: int
    reason: Literal["out of range", "truncated"]


class KafkaSource:
    """A member of a consumer group. Connects at the first poll, and again whenever it has to.

    A poll keeps to its time-out but for connecting and for rebalancing, each of which may take
    5 seconds. `trouble` says what keeps it from reading now, None when nothing does.
    """

    def __init__(self, settings: KafkaSettings, topics: Sequence[str]) -> None:
        prepare()
        self._settings = settings
        self._topics = tuple(topics)
        self._consumer: Any = None
        self._assignment = Assignment()
        self._pending: dict[Partition, int | None] = {}
        self._next: dict[Partition, int] = {}
        self._fruitless: dict[Partition, tuple[float, int]] = {}
        self._held: set[Partition] = set()
        self._aligner = Aligner()
        self._quarantined: deque[QuarantinedRange] = deque(maxlen=_MOST_REPORTS)
        self._gaps: deque[DataGap] = deque(maxlen=_MOST_REPORTS)
        self._closed = threading.Event()
        self._failures = 0
        self._failing_since: float | None = None
        self._try_again = 0.0
        self._unsettled_since: float | None = None
        self._patience = _sessions(settings, 2)
        self.trouble: str | None = None
        self.commit_failures = 0

    def poll(self, timeout: float) -> Polled:
        if self._closed.is_set() or not self._connected(timeout):
            return self._changes([])
        self._start_pending()
        self._hold()
        fetched = self._fetch(timeout)
        for partition, records in fetched.items():
            self._aligner.add(records)
            self._next[partition] = records[-1].offset + 1
        self._note_progress(fetched)
        # A partition that was taken away must be forgotten before anything is released.
        changes = self._changes(None)
        records = self._aligner.release(self._waiting())
        return msgspec.structs.replace(changes, records=records)

    def start(self, partition: Partition, offset: int | None) -> None:
        self._pending[partition] = offset

    def caught_up(self) -> bool:
        return not self._pending and not any(self.lag().values())

    def ended(self) -> bool:
        return False

    def lag(self) -> Mapping[Partition, int]:
        """Records not handed out yet; 1 where the broker has not said how many there are."""
        held = self._aligner.count()
        return {p: self._on_broker(p) + held.get(p, 0) for p in self._next}

    def take_quarantined(self) -> list[QuarantinedRange]:
        """The ranges passed over since the last call, because they cannot be read."""
        return [self._quarantined.popleft() for _ in range(len(self._quarantined))]

    def take_gaps(self) -> list[DataGap]:
        """The gaps met since the last call: records that were gone before they were read."""
        return [self._gaps.popleft() for _ in range(len(self._gaps))]

    def commit(self, offsets: Mapping[Partition, int]) -> None:
        from kafka import OffsetAndMetadata, TopicPartition
        from kafka.errors import KafkaError

        ours = {p: offset for p, offset in offsets.items() if p in self._assignment.ours}
        if self._consumer is None or not ours:
            return
        wanted = {TopicPartition(*p): OffsetAndMetadata(n, "", -1) for p, n in ours.items()}
        try:
            self._consumer.commit(wanted, timeout_ms=2_000)
        except KafkaError as error:
            self.commit_failures += 1
            self._failed(error)
        else:
            self._well()

    def close(self, timeout: float = 10.0) -> None:
        self._closed.set()
        self._leave(timeout)

    # ------------------------------------------------------------------ connecting and leaving

    def _connected(self, timeout: float) -> bool:
        """Whether there is a consumer; tries for one at most every back-off."""
        failing = time.monotonic() - (self._failing_since or time.monotonic())
        if failing > _LOST_AFTER_S and self._consumer is not None:
            log.warning("connecting anew", reason=self.trouble)
            self._leave(2.0)
        self._watch_membership()
        if self._consumer is not None:
            return True
        wait = self._try_again - time.monotonic()
        if wait > timeout:
            self._closed.wait(timeout)
            return False
        self._closed.wait(max(wait, 0))
        return self._connect()

    def _connect(self) -> bool:
        from kafka.errors import KafkaError, SaslAuthenticationFailedError

        try:
            self._consumer = _consumer(self._settings)
        except SaslAuthenticationFailedError as error:
            raise SourceError(f"the brokers refuse the credentials: {error}") from error
        except (KafkaError, OSError) as error:
            self._failed(error)
            pause = min(0.5 * 2 ** min(self._failures, 10), _MOST_BACKOFF_S)
            self._try_again = time.monotonic() + pause * random.uniform(0.5, 1.0)
            return False
        self._consumer.subscribe(
            topics=self._topics, listener=listener(self._assignment, self._consumer)
        )
        self._well()
        return True

    def _watch_membership(self) -> None:
        """Begins anew when a rebalance does not come to its end.

        A member may wait for ever for an answer to its joining, and the group goes on without it.
        Since a rebalance may also take long because of others, the patience doubles each time.
        """
        if self._consumer is None:
            self._unsettled_since = None
            return
        if self._settled():
            self._unsettled_since, self._patience = None, _sessions(self._settings, 2)
            return
        now = time.monotonic()
        self._unsettled_since = self._unsettled_since or now
        if now - self._unsettled_since > self._patience:
            log.warning("joining the group anew", waited_s=round(self._patience))
            self._patience = min(2 * self._patience, _sessions(self._settings, 32))
            self._leave(2.0)
            self._unsettled_since = None

    def _leave(self, timeout: float) -> None:
        consumer, self._consumer = self._consumer, None
        if consumer is not None:
            consumer.close(autocommit=False, timeout_ms=int(timeout * 1000))
        self._assignment.lose_all()

    def _failed(self, error: Exception) -> None:
        self._failures += 1
        self._failing_since = self._failing_since or time.monotonic()
        self.trouble = f"{type(error).__name__}: {error}"[:300]

    def _well(self) -> None:
        self._failures, self._failing_since, self.trouble = 0, None, None

    # ------------------------------------------------------------------------------- assignment

    def _changes(self, records: list[Record] | None) -> Polled:
        """What the listener noted since the last poll; taken partitions are forgotten."""
        assigned, revoked, lost = self._assignment.changes()
        for partition in (*revoked, *lost):
            self._forget(partition)
        return Polled(records or [], assigned, revoked, lost)

    def _forget(self, partition: Partition) -> None:
        self._aligner.drop(partition)
        self._held.discard(partition)
        for kept in (self._pending, self._next, self._fruitless):
            kept.pop(partition, None)

    def _start_pending(self) -> None:
        from kafka.errors import KafkaError

        for partition, offset in list(self._pending.items()):
            try:
                self._begin(partition, offset)
            except (KafkaError, KeyError) as error:
                self._failed(error)  # it stays paused, and is tried again
                continue
            self._pending.pop(partition, None)

    def _begin(self, partition: Partition, offset: int | None) -> None:
        spot = _spot(partition)
        if offset is None:
            offset = self._consumer.committed(spot, timeout_ms=5_000)
        if offset is None:
            offset = self._by_policy(partition)
        self._consumer.seek(spot, offset)
        self._aligner.drop(partition)
        self._next[partition] = offset
        self._fruitless[partition] = (time.monotonic(), 0)
        self._consumer.resume(spot)

    def _by_policy(self, partition: Partition) -> int:
        spot = _spot(partition)
        if self._settings.offset_reset == "earliest":
            found = self._consumer.beginning_offsets([spot], timeout_ms=5_000)
        else:
            found = self._consumer.end_offsets([spot], timeout_ms=5_000)
        return int(found[spot])

    # ---------------------------------------------------------------------------------- fetching

    def _fetch(self, timeout: float) -> dict[Partition, list[Record]]:
        """One poll; what it raises is dealt with before the next."""
        from kafka import errors

        try:
            found = self._poll_consumer(timeout)
        except errors.OffsetOutOfRangeError as error:
            self._resume_behind_gap(error.args[0])
        except errors.LogTruncationError as error:
            self._resume_behind_gap(error.divergent_offsets)
        except errors.AuthorizationError as error:
            raise SourceError(f"the brokers do not allow it: {error}") from error
        except errors.RetriableError as error:
            self._failed(error)
            self._closed.wait(min(timeout, 0.1))
        except Exception as error:  # noqa: BLE001 - whatever a broken batch makes the parser raise
            self._pass_over(error)
        else:
            if found:
                self._well()
            return {Partition(*spot): _records(batch) for spot, batch in found.items()}
        return {}

    def _poll_consumer(self, timeout: float) -> dict[Any, Any]:
        """One poll, or more of them while the group rebalances, for at most `_REBALANCE_S`.

        The library throws away an answer to its joining that comes between two polls, and joins
        once more, which makes all members rebalance again: so the answer is waited for here.
        """
        deadline = time.monotonic() + _REBALANCE_S
        while True:
            found: dict[Any, Any] = self._consumer.poll(timeout_ms=int(timeout * 1000))
            if found or self._settled() or time.monotonic() > deadline or self._closed.is_set():
                return found
            timeout = max(timeout, 0.1)

    def _settled(self) -> bool:
        return str(self._consumer.group_metadata().state) == _STABLE

    def _pass_over(self, error: Exception) -> None:
        """Goes on behind what cannot be read; begins anew where nothing of the kind is found.

        The seek makes the library drop the batch it would otherwise hang in.
        """
        log.warning("cannot read on", reason=f"{type(error).__name__}: {error}"[:300])
        prober = Prober(self._settings)
        found: list[QuarantinedRange] = []
        try:
            for partition, offset in self._next.items():
                bad = prober.unreadable(partition, offset)
                if bad is not None:
                    found.append(bad)
            for bad in found:
                self._seek(Partition(bad.topic, bad.partition), bad.end)
        except Exception as second:  # noqa: BLE001 - the brokers may have gone meanwhile
            self._failed(second)
            self._leave(2.0)
            return
        finally:
            prober.close()
        self._quarantined.extend(found)
        if not found:
            self._failed(error)
            self._leave(2.0)

    def _resume_behind_gap(self, wanted: Mapping[Any, Any]) -> None:
        from kafka.errors import KafkaError

        for spot, said in wanted.items():
            partition = Partition(*spot)
            reason: Literal["out of range", "truncated"] = (
                "out of range" if isinstance(said, int) else "truncated"
            )
            old = self._next.get(partition, 0)
            try:
                known = None if said is None or isinstance(said, int) else int(said.offset)
                new = self._by_policy(partition) if known is None else known
                self._seek(partition, new)
            except (KafkaError, KeyError) as error:
                self._failed(error)
                self._leave(2.0)
                return
            self._gaps.append(DataGap(partition.topic, partition.number, old, new, reason))

    def _seek(self, partition: Partition, offset: int) -> None:
        self._consumer.seek(_spot(partition), offset)
        self._next[partition] = offset

    # --------------------------------------------------------------------------------- alignment

    def _hold(self) -> None:
        """Pauses the partitions whose buffers are full and resumes those that no longer are."""
        full = self._aligner.full() & self._assignment.ours
        for partition in full - self._held:
            self._consumer.pause(_spot(partition))
        for partition in self._held - full:
            if partition in self._assignment.ours and partition not in self._pending:
                self._consumer.resume(_spot(partition))
        self._held = full

    def _note_progress(self, fetched: Mapping[Partition, Any]) -> None:
        now = time.monotonic()
        for partition, (since, polls) in self._fruitless.items():
            came = partition in fetched or partition in self._held
            self._fruitless[partition] = (now, 0) if came else (since, polls + 1)

    def _waiting(self) -> list[Partition]:
        now = time.monotonic()
        return [p for p in self._next if self._on_broker(p) and not self._given_up(p, now)]

    def _given_up(self, partition: Partition, now: float) -> bool:
        since, polls = self._fruitless[partition]
        return polls >= _PATIENT_POLLS and now - since > PATIENCE_S

    def _on_broker(self, partition: Partition) -> int:
        """How many records are known to be on the broker still; 1 where nothing is known."""
        if self._consumer is None or partition not in self._assignment.ours:
            return 1
        end = self._consumer.highwater(_spot(partition))
        if end is None:
            return 1
        if end > self._next[partition] and self._fruitless[partition][1]:
            self._skip_markers(partition)
        return max(int(end) - self._next[partition], 0)

    def _skip_markers(self, partition: Partition) -> None:
        """Takes over the consumer's position: it moves over markers and aborted records."""
        from kafka.errors import KafkaError

        try:
            at = self._consumer.position(_spot(partition), timeout_ms=100)
        except KafkaError:
            return  # the next poll meets it, and deals with it
        self._next[partition] = max(self._next[partition], at or 0)


def _consumer(settings: KafkaSettings) -> Any:
    from kafka import KafkaConsumer
    from kafka.coordinator.assignors.cooperative_sticky import CooperativeStickyAssignor
    from kafka.coordinator.assignors.range import RangePartitionAssignor

    cooperative = settings.assignor == "cooperative-sticky"
    return connected(
        KafkaConsumer,
        settings,
        group_id=settings.group_id,
        group_instance_id=settings.group_instance_id,
        partition_assignment_strategy=(
            CooperativeStickyAssignor if cooperative else RangePartitionAssignor,
        ),
        enable_auto_commit=False,
        auto_offset_reset="none",
        isolation_level="read_committed",
        allow_auto_create_topics=False,
        max_poll_records=settings.max_poll_records,
        max_poll_interval_ms=settings.max_poll_interval_ms,
        fetch_min_bytes=settings.fetch_min_bytes,
        fetch_max_wait_ms=settings.fetch_max_wait_ms,
        fetch_max_bytes=16 * 1024 * 1024,
        max_partition_fetch_bytes=settings.max_partition_fetch_bytes,
        session_timeout_ms=settings.session_timeout_ms,
        heartbeat_interval_ms=min(3_000, settings.session_timeout_ms // 3),
        metadata_max_age_ms=30_000,
        metrics_enabled=False,
    )


def _sessions(settings: KafkaSettings, count: int) -> float:
    """So many session time-outs, in seconds."""
    return count * settings.session_timeout_ms / 1000


def _spot(partition: Partition) -> Any:
    from kafka import TopicPartition

    return TopicPartition(*partition)


def _records(batch: Sequence[Any]) -> list[Record]:
    return [
        Record(
            each.topic,
            each.partition,
            each.offset,
            each.timestamp / 1000 if each.timestamp > 0 else 0.0,
            each.key,
            each.value,
            tuple(each.headers) if each.serialized_header_size <= _LARGEST_HEADERS else (),
        )
        for each in batch
    ]
