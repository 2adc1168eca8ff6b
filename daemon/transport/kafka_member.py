"""One member of a consumer group: connecting, joining, waiting out a rebalance, starting anew."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Sequence
from typing import Any

import structlog

from watchkeeper.daemon.lull import Lull
from watchkeeper.daemon.stacks import write_stacks
from watchkeeper.daemon.transport.assignment import Assignment, hand_over_first, listener
from watchkeeper.daemon.transport.kafka_consumer import consumer_of, spot
from watchkeeper.daemon.transport.kafka_heard import Heard
from watchkeeper.daemon.transport.kafka_known import KnownTopics
from watchkeeper.daemon.transport.kafka_reading import Way, hook, way
from watchkeeper.daemon.transport.kafka_thrift import spare_handovers
from watchkeeper.daemon.transport.ports import Partition, Replaced, SourceError
from watchkeeper.daemon.transport.settings import KafkaSettings
from watchkeeper.daemon.transport.standstill import Breaker
from watchkeeper.daemon.transport.vitals import finish_joins, ignore_belated, pulse, share_anew

log = structlog.get_logger()

# So long after the last record of a partition its broker is asked whether it is still there.
SILENCE_S = 15.0
_ANSWER_MS = 2_000
_MOST_BACKOFF_S = 30.0
# Known broker addresses may all have changed: then only a new consumer finds the cluster again.
_LOST_AFTER_S = 120.0
_WATCH_S = 0.05  # no sooner is it looked again whether the member and its topics are well
# A heartbeat is enabled right after the joining: only one that stays off was stopped.
_STOPPED_S = 2.0
_REPLACED = "another process has joined the group as {}: give each its own kafka.group_instance_id"
_STABLE = "<stable>"
_REBALANCE_S = 5.0
_POLL_BYTES = 16 * 1024 * 1024
# The library's own records are many objects each: no more of them at once than that.
_POLL_RECORDS = 2_000


class KafkaMember:
    """Keeps one consumer in the group, and makes another whenever that one is lost.

    `consumer` is None while there is none; `lull` is when it waits for answers.
    Owned by the thread that polls.
    """

    def __init__(self, settings: KafkaSettings, topics: Sequence[str]) -> None:
        self.settings = settings
        self.consumer: Any = None
        self.assignment = Assignment()
        self.lull = Lull()
        self.heard = Heard(settings.fetch_max_wait_ms / 1000)
        self.closed = threading.Event()
        self.way = Way("records", "not connected yet")
        self.topics = KnownTopics(topics)
        self._failures = 0
        self._failing_since: float | None = None
        self._try_again = 0.0
        self._ask_again = 0.0
        self._unsettled_since: float | None = None
        self._patience = _sessions(settings, 2)
        self._trouble: str | None = None
        self._unanswered: str | None = None
        self._watched = float("-inf")
        self._stopped_since: float | None = None
        self.breaker = Breaker()

    @property
    def trouble(self) -> str | None:
        """What keeps it from reading, or from knowing that there is nothing to read."""
        return self.cut_off or self.topics.trouble

    @property
    def cut_off(self) -> str | None:
        """The same, where that is the brokers and no single topic."""
        return self._trouble or self._unanswered

    def connected(self, timeout: float) -> bool:
        """Whether there is a consumer; tries for one at most every back-off."""
        if self.closed.is_set():
            return False
        failing = time.monotonic() - (self._failing_since or time.monotonic())
        if failing > _LOST_AFTER_S and self.consumer is not None:
            log.warning("connecting anew", reason=self.trouble)
            self.leave(2.0)
        self._watch()
        if self.consumer is not None:
            return True
        wait = self._try_again - time.monotonic()
        if wait > timeout:
            self.closed.wait(timeout)
            return False
        self.closed.wait(max(wait, 0))
        return self._connect()

    def poll(self, timeout: float) -> dict[Any, Any]:
        """One poll, or more of them while the group rebalances, for at most `_REBALANCE_S`.

        The library throws away an answer to its joining that comes between two polls, and joins
        once more, which makes all members rebalance again: so the answer is waited for here.
        """
        deadline = time.monotonic() + _REBALANCE_S
        while True:
            with self.breaker.inside():
                found: dict[Any, Any] = self.consumer.poll(int(timeout * 1000), self._most())
            if found or self._settled() or time.monotonic() > deadline or self.closed.is_set():
                return found
            timeout = max(timeout, 0.1)

    def ask(self, silent: Sequence[Partition]) -> None:
        """Asks the brokers of silent partitions for a sign of life, at most every `SILENCE_S`.

        An empty poll is all that the library gives when nothing new was written, and also when
        no broker is left. A member without partitions asks for the first one of each topic.
        """
        if self.assignment.ours and not silent:
            self._unanswered = None
            return
        from kafka.errors import KafkaError

        if self.consumer is None or time.monotonic() < self._ask_again:
            return
        asked = silent or self.topics.first()
        if not asked:
            return
        try:
            self.consumer.end_offsets([spot(each) for each in asked], timeout_ms=_ANSWER_MS)
        except KafkaError as error:
            self.failed(error)
            self._unanswered = self._trouble
        else:
            self.well()
            self._unanswered = None
        self._ask_again = time.monotonic() + SILENCE_S

    def default_offset(self, partition: Partition) -> int:
        """Where the settings say to begin a partition that nobody knows an offset of."""
        if self.settings.offset_reset == "earliest":
            return self.beginning(partition)
        at = spot(partition)
        return int(self.consumer.end_offsets([at], timeout_ms=5_000)[at])

    def beginning(self, partition: Partition) -> int:
        """The offset of the first record that there is."""
        at = spot(partition)
        return int(self.consumer.beginning_offsets([at], timeout_ms=5_000)[at])

    def failed(self, error: Exception) -> None:
        """Notes that the brokers could not do what they were asked for.

        Raises SourceError when another process has taken this one's static name.
        """
        from kafka.errors import FencedInstanceIdError

        if isinstance(error, FencedInstanceIdError):
            raise Replaced(_REPLACED.format(self.settings.group_instance_id))
        self._failures += 1
        self._failing_since = self._failing_since or time.monotonic()
        name = type(error).__name__
        said = str(error).removeprefix(f"{name}: ")
        self._trouble = f"Kafka at {', '.join(self.settings.bootstrap_servers)}: {name}: {said}"[
            :300
        ]

    def well(self) -> None:
        """Notes that the brokers do what they are asked for."""
        self._failures, self._failing_since, self._trouble = 0, None, None

    def leave(self, timeout: float) -> None:
        """Leaves the group; the next `connected` joins it anew unless `closed` is set."""
        consumer, self.consumer = self.consumer, None
        if consumer is not None:
            consumer.close(autocommit=False, timeout_ms=int(timeout * 1000))
        self._unanswered = self._stopped_since = None
        self.lull.begin()
        self.topics.forget()
        self.assignment.lose_all()

    def _most(self) -> int:
        """The bound of a poll: in bytes where whole batches are read, else in records.

        Whatever was fetched is taken at once: the next fetch leaves out what is not, and may wait
        for others meanwhile.
        """
        if self.way.reading == "batches":
            return _POLL_BYTES
        return min(self.settings.max_poll_records, _POLL_RECORDS)

    def _choose_way(self) -> None:
        before, self.way = self.way, hook(self.consumer, way(self.settings))
        if self.way.reading == "batches" and before != self.way:
            log.info("reading whole batches")
        elif before != self.way:
            log.warning("reading records one by one, which is slower", reason=self.way.reason)

    def _connect(self) -> bool:
        from kafka.errors import KafkaError, SaslAuthenticationFailedError

        try:
            self.consumer = consumer_of(self.settings, self.assignment)
        except SaslAuthenticationFailedError as error:
            raise SourceError(f"the brokers refuse the credentials: {error}") from error
        except (KafkaError, OSError) as error:
            self.failed(error)
            pause = min(0.5 * 2 ** min(self._failures, 10), _MOST_BACKOFF_S)
            self._try_again = time.monotonic() + pause * random.uniform(0.5, 1.0)
            return False
        self._choose_way()
        ignore_belated(self.consumer)
        finish_joins(self.consumer)
        waits = self.settings.fetch_min_bytes > 1
        spare_handovers(self.consumer, self.lull, ahead=waits, direct=not waits)
        self.heard.listen(self.consumer)
        if self.settings.assignor == "cooperative-sticky":
            hand_over_first(self.consumer, self.assignment)
        self.consumer.subscribe(
            topics=self.topics.names, listener=listener(self.assignment, self.consumer)
        )
        self._ask_again = time.monotonic() + SILENCE_S
        self.well()
        return True

    def _watch(self) -> None:
        if time.monotonic() < self._watched + _WATCH_S:
            return
        self._watched = time.monotonic()
        self._watch_membership()
        self._watch_pulse()
        self._watch_topics()

    def _watch_membership(self) -> None:
        """Begins anew when a rebalance does not come to its end.

        A member may wait for ever for an answer to its joining, and the group goes on without it.
        Since a rebalance may also take long because of others, the patience doubles each time.
        """
        if self.consumer is None:
            self._unsettled_since = None
            return
        if self._settled():
            self._unsettled_since, self._patience = None, _sessions(self.settings, 2)
            return
        now = time.monotonic()
        self._unsettled_since = self._unsettled_since or now
        if now - self._unsettled_since > self._patience:
            log.warning("joining the group anew", waited_s=round(self._patience))
            self._patience = min(2 * self._patience, _sessions(self.settings, 32))
            self.leave(2.0)
            self._unsettled_since = None

    def _watch_pulse(self) -> None:
        """Begins anew when the heartbeat has died, and ends when it stopped for good."""
        if self.consumer is None or not self._settled():
            self._stopped_since = None
            return
        found = pulse(self.consumer)
        if found == "dead":
            log.warning("the heartbeat has ended: joining the group anew")
            write_stacks()
            self.leave(2.0)
            return
        now = time.monotonic()
        self._stopped_since = None if found == "beating" else self._stopped_since or now
        if self._stopped_since is not None and now - self._stopped_since > _STOPPED_S:
            raise Replaced(_REPLACED.format(self.settings.group_instance_id))

    def _watch_topics(self) -> None:
        """Looks for topics that are missing or have grown: then a static member joins anew."""
        if self.consumer is None or not self._settled():
            return
        if self.topics.look(self.consumer) and self.settings.group_instance_id:
            share_anew(self.consumer)

    def _settled(self) -> bool:
        return str(self.consumer.group_metadata().state) == _STABLE


def _sessions(settings: KafkaSettings, count: int) -> float:
    """So many session time-outs, in seconds."""
    return count * settings.session_timeout_ms / 1000
