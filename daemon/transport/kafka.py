"""Reads from Kafka, and goes on whatever it meets there.

kafka-python calls rebalance listeners on its own thread, and hangs in the poll after one that
raised. So the listener only notes what happened and pauses, everything else is done on the thread
that polls, and after an exception no partition is polled again from where it stood.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence

import msgspec
import structlog

from watchkeeper.daemon.lull import Lull
from watchkeeper.daemon.stacks import write_stacks
from watchkeeper.daemon.transport import kafka_member
from watchkeeper.daemon.transport.kafka_commits import KafkaCommits
from watchkeeper.daemon.transport.kafka_consumer import spot
from watchkeeper.daemon.transport.kafka_guard import prepare
from watchkeeper.daemon.transport.kafka_member import KafkaMember
from watchkeeper.daemon.transport.kafka_positions import KafkaPositions
from watchkeeper.daemon.transport.kafka_reading import Reading, pieces
from watchkeeper.daemon.transport.kafka_repair import (
    DataGap,
    begin_made_anew,
    pass_over,
    resume_behind_gaps,
)
from watchkeeper.daemon.transport.kafka_sink import KafkaSink
from watchkeeper.daemon.transport.merge import Aligner
from watchkeeper.daemon.transport.pacing import Pace
from watchkeeper.daemon.transport.ports import Partition, Polled, SourceError
from watchkeeper.daemon.transport.quarantine import QuarantinedRange
from watchkeeper.daemon.transport.records import Records
from watchkeeper.daemon.transport.settings import KafkaSettings
from watchkeeper.daemon.transport.standstill import Progress, Stuck

__all__ = ["DataGap", "KafkaSink", "KafkaSource", "QuarantinedRange"]

log = structlog.get_logger()

_MOST_REPORTS = 1_000
_A_TURN, _MUCH = 8_000, 500  # records


class KafkaSource:
    """A member of a consumer group. Connects at the first poll, and again whenever it has to.

    A poll keeps to its time-out but for connecting and for rebalancing, each of which may take
    5 seconds, and for brokers that fell silent, which have 2 seconds to answer. It hands out the
    fewer records the longer they take, by a clock that nobody sets.
    """

    def __init__(
        self,
        settings: KafkaSettings,
        topics: Sequence[str],
        steady: Callable[[], float] = time.monotonic,
    ) -> None:
        prepare()
        self._settings = settings
        self._member = KafkaMember(settings, topics)
        self._positions = KafkaPositions(self._member)
        self._commits = KafkaCommits(self._member)
        self._pending: dict[Partition, tuple[int | None, str | None]] = {}
        self._held: set[Partition] = set()
        # More than a poll hands out, so that brokers are asked while it is worked off.
        self._aligner = Aligner(limit=max(20_000, 2 * settings.max_poll_records))
        self._quarantined: deque[QuarantinedRange] = deque(maxlen=_MOST_REPORTS)
        self._gaps: deque[DataGap] = deque(maxlen=_MOST_REPORTS)
        self._pace = Pace(settings.max_poll_records, steady)
        self._more = False
        self._progress = Progress()
        self._doubted: tuple[Partition, ...] = ()
        self.begun_anew = 0

    @property
    def reading(self) -> Reading:
        """How the records are read: as whole batches, or one by one, which is slower."""
        return self._member.way.reading

    @property
    def lull(self) -> Lull:
        """When it only waits for brokers."""
        return self._member.lull

    @property
    def trouble(self) -> str | None:
        """What keeps it from reading now, None when nothing does."""
        return self._member.trouble

    @property
    def cut_off(self) -> str | None:
        """What keeps it from reading anything now, None when nothing does."""
        return self._member.cut_off

    @property
    def commit_failures(self) -> int:
        """How many commits failed since it began."""
        return self._commits.failures

    def poll(self, timeout: float) -> Polled:
        self._pace.worked_off()
        if not self._member.connected(timeout):
            return self._changes()
        self._start_pending()
        self._hold(self._aligner.full())
        self._take(0.0 if self._more else timeout)
        self._note_progress()
        self._member.ask(self._positions.silent(kafka_member.SILENCE_S))
        # A partition that was taken away must be forgotten before anything is released.
        changes = self._changes()
        most = self._pace.most
        records = self._aligner.release(self._positions.waiting(), most)
        self._more = len(records) >= most
        self._pace.handed_out(len(records))
        return msgspec.structs.replace(changes, records=records, topics=self._positions.topics)

    def idle(self, timeout: float) -> None:
        """As the port says: partitions that are taken away meanwhile are given up at once, so that
        the group does not wait for this member."""
        with self._pace.not_counted():
            if self._member.connected(timeout):
                self._hold(set(self._positions))
                self._take(timeout)
            for partition in self._member.assignment.give_up():
                self._forget(partition)

    def start(self, partition: Partition, offset: int | None, topic: str | None = None) -> None:
        # What was taken away meanwhile is begun when it is assigned anew.
        if partition not in self._member.assignment.taken:
            self._pending[partition] = offset, topic

    def caught_up(self) -> bool:
        known = not self._pending and not any(self.lag().values())
        return known and self._member.heard.all(self._positions)

    def ended(self) -> bool:
        return False

    def lag(self) -> Mapping[Partition, int]:
        """Records not handed out yet; 1 where the broker has not said how many there are."""
        held = self._aligner.count()
        return {p: n + held.get(p, 0) for p, n in self._positions.on_broker().items()}

    def partitions(self, topic: str) -> int:
        """How many a topic has that is read; 0 while that is not known."""
        return self._member.topics.counts.get(topic, 0)

    def arm(self) -> None:
        """Lets `break_off` work: to be called on the main thread, which has to be the one that
        polls."""
        self._member.breaker.arm()

    def break_off(self) -> bool:
        """Breaks off a poll of the client that does not return. From any thread."""
        return self._member.breaker.break_off()

    def stalled(self, limit_s: float) -> list[Partition]:
        """The partitions that have not moved for so long although more is waiting. From any
        thread."""
        return self._progress.stalled(limit_s)

    def begin_anew(self, stalled: Sequence[Partition]) -> None:
        """Has the next poll look whether what is waiting can be read. From any thread."""
        self._doubted = tuple(stalled)

    def take_quarantined(self) -> list[QuarantinedRange]:
        """The ranges passed over since the last call, because they cannot be read."""
        return [self._quarantined.popleft() for _ in range(len(self._quarantined))]

    def take_gaps(self) -> list[DataGap]:
        """The gaps met since the last call: records that were gone before they were read."""
        return [self._gaps.popleft() for _ in range(len(self._gaps))]

    def commit(self, offsets: Mapping[Partition, int]) -> None:
        self._commits.commit(offsets)

    def close(self, timeout: float = 10.0) -> None:
        self._commits.finish()
        self._member.closed.set()
        self._member.leave(timeout)

    # ------------------------------------------------------------------------------- assignment

    def _changes(self) -> Polled:
        """What the listener noted since the last poll; taken partitions are forgotten."""
        assigned, revoked, lost = self._member.assignment.changes()
        for partition in (*revoked, *lost):
            self._forget(partition)
        return Polled(assigned=assigned, revoked=revoked, lost=lost)

    def _forget(self, partition: Partition) -> None:
        self._aligner.drop(partition)
        self._positions.forget(partition)
        self._held.discard(partition)
        self._pending.pop(partition, None)

    def _start_pending(self) -> None:
        if not self._pending:
            return
        from kafka.errors import KafkaError

        self._positions.ask_ends(self._member.assignment.ours & self._pending.keys())
        for partition, (offset, topic) in list(self._pending.items()):
            if partition in self._member.assignment.ours:
                try:
                    if not self._begin(partition, offset, topic):
                        continue
                except (KafkaError, KeyError) as error:
                    self._member.failed(error)  # it stays paused, and is tried again
                    continue
                except ValueError as error:
                    # Taken away just now: the library's own thread is about to tell.
                    log.info("not begun", partition=f"{partition}", reason=str(error))
            self._pending.pop(partition, None)

    def _begin(self, partition: Partition, offset: int | None, topic: str | None) -> bool:
        """False where it has to be learnt first of which topic it is to be read."""
        consumer = self._member.consumer
        if topic is not None:
            self._positions.believe(partition, topic)
        if not self._positions.settled(partition):
            return False
        wanted = offset = self._positions.first(partition) if offset is None else offset
        anew = self._positions.made_anew(partition)
        offset = self._member.beginning(partition) if anew else offset
        self._positions.begin(partition, offset)
        if anew:
            topic_id = self._positions.topic(partition)
            gone = DataGap(*partition, wanted, offset, "of a topic that is gone", topic_id)
            self._gaps.append(gone)
        self._aligner.drop(partition)
        consumer.resume(spot(partition))
        return True

    # ---------------------------------------------------------------------------------- fetching

    def _take(self, timeout: float) -> None:
        """Fetches, and keeps what came. A poll of the library's own records brings few: it is done
        again while there is much to be had at once, for a turn costs the more a record the fewer
        there are."""
        count = self._take_once(timeout)
        most, more = min(self._settings.max_poll_records, _A_TURN), count
        while self.reading == "records" and more >= _MUCH and count < most:
            if self._aligner.full():
                return
            more = self._take_once(0.0)
            count += more

    def _take_once(self, timeout: float) -> int:
        """One fetch; says how many records it brought."""
        fetched = self._fetch(timeout)
        for partition in (anew := self._positions.all_made_anew()):
            fetched.pop(partition, None)
            self._aligner.drop(partition)
        self._gaps.extend(begin_made_anew(self._member, self._positions, anew))
        for partition, run in fetched.items():
            for records in run:
                self._aligner.add(records)
            self._positions.passed(partition, int(run[-1].offset[-1]))
        self._positions.note(fetched.keys() | self._held)
        return sum(len(records) for run in fetched.values() for records in run)

    def _fetch(self, timeout: float) -> dict[Partition, list[Records]]:
        """One poll; what it raises is dealt with before the next."""
        from kafka import errors

        member, positions = self._member, self._positions
        try:
            self._raise_stall()
            found = member.poll(timeout)
        except errors.OffsetOutOfRangeError as error:
            self._note_gaps(resume_behind_gaps(member, positions, error.args[0]))
        except errors.LogTruncationError as error:
            self._note_gaps(resume_behind_gaps(member, positions, error.divergent_offsets))
        except errors.AuthorizationError as error:
            raise SourceError(f"the brokers do not allow it: {error}") from error
        except errors.RetriableError as error:
            member.failed(error)
            member.closed.wait(min(timeout, 0.1))
        except Exception as error:  # noqa: BLE001 - whatever a broken batch makes the parser raise
            self._quarantined.extend(pass_over(member, positions, error))
        else:
            if found:
                member.well()
            return {Partition(*place): pieces(self.reading, got) for place, got in found.items()}
        return {}

    def _note_gaps(self, gaps: Sequence[DataGap]) -> None:
        """What is held of a topic that is gone must not be taken for records of the new one."""
        self._gaps.extend(gaps)
        for gap in gaps:
            if gap.reason == "of a topic that is gone":
                self._aligner.drop(Partition(gap.topic, gap.partition))

    def _note_progress(self) -> None:
        if self._progress.due():
            waiting = {p for p, n in self._positions.on_broker().items() if n} - self._held
            self._progress.note({p: self._positions[p] for p in waiting})

    def _raise_stall(self) -> None:
        """Raises `Stuck` when somebody noticed a stall that nothing excuses: records behind a
        transaction that is still open are waiting too, and cannot be read yet."""
        doubted, self._doubted = self._doubted, ()
        stalled = [p for p in doubted if p in self._positions]
        if not stalled or self._member.consumer is None:
            return
        self._progress.excuse(stalled)
        ends = self._member.consumer.end_offsets([spot(p) for p in stalled], timeout_ms=2_000)
        behind = [p for p in stalled if ends[spot(p)] > self._positions[p]]
        if behind:
            self.begun_anew += 1
            write_stacks()
            raise Stuck(
                f"{len(behind)} partitions stand still, such as {'/'.join(map(str, behind[0]))}"
            )

    def _hold(self, full: set[Partition]) -> None:
        """Pauses the partitions that are to bring no more, and resumes the others."""
        consumer, ours = self._member.consumer, self._member.assignment.ours
        full = full & ours
        for partition in full - self._held:
            consumer.pause(spot(partition))
        for partition in self._held - full:
            if partition in ours and partition not in self._pending:
                consumer.resume(spot(partition))
        self._held = full
