"""Tells others what the record says: at least once, in order, however long it takes."""

from __future__ import annotations

import math
import random
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

import msgspec
import structlog

from watchkeeper.daemon.storage.database import DatabaseDown
from watchkeeper.daemon.storage.letters import Letters
from watchkeeper.daemon.storage.retention import Most
from watchkeeper.daemon.storage.values import Channel, OutboxRow

log = structlog.get_logger()

Result = Literal["ok", "retry", "blocked"]


class Delivery(msgspec.Struct, frozen=True):
    """What became of one message. BLOCKED: it will never be accepted. `after` is what the other
    side asked to wait, in seconds."""

    outcome: Result
    reason: str = ""
    after: float | None = None


Deliver = Callable[[Sequence[OutboxRow]], Sequence[Delivery]]

OK = Delivery("ok")

WAITING = 10_000  # messages of a channel that wait, before outdated ones are ended untold
WAITING_LETTERS = Most(10_000, 64 << 20)  # dead letters that wait; their table holds more
DEAD_LETTERS = Most(100_000, 256 << 20)  # refused records that are kept
_SHARE = 100  # what is bounded may grow by one part in so many before it is looked through
_REST = 50  # a look at what waits in vain is followed by so many times its length


@dataclass
class _Pace:
    """How one topic of a channel, or the channel itself, fares after a failure."""

    failures: int = 0
    quiet_until: float = 0.0


@dataclass
class _Line:
    """One channel: how it fares as a whole, and each topic that failed last."""

    deliver: Deliver
    own: _Pace = field(default_factory=_Pace)
    topics: dict[str, _Pace] = field(default_factory=dict)
    told: list[tuple[OutboxRow, Delivery]] = field(default_factory=list)  # not yet in the record
    wake: threading.Event = field(default_factory=threading.Event)
    thread: threading.Thread | None = None
    crowd: int = 0  # so many waited after the last look at how many wait
    newest: int = 0  # the newest that waited at the last look at how many wait
    look_at: float = 0.0  # when it is looked again whether something is due


@dataclass
class Outbox:
    """One sender a channel, each in a thread of its own, so that a dead channel delays no other.

    A failed message is tried again after `base_s`, doubled each time up to `cap_s`, with jitter,
    or later where the other side asks for it; a topic that took nothing is left alone as a whole
    for that long, and delays no other. While the database is away, it is asked again after
    `database_cap_s` at the latest, and what was told meanwhile is recorded before more is told.
    Times in seconds.

    Of an incident's own states only the newest is told on a channel in `collapse` when messages
    were delayed by a failure or by more than `late_s`, and on every channel when more than `most`
    wait. Orders and what became of actions are always told, or expire. Of dead letters, which the
    channel `dlq` tells, the newest `letters_most` wait; their table keeps `dead_most`.
    """

    letters: Letters
    deliver: Mapping[Channel, Deliver]
    collapse: frozenset[Channel] = frozenset({"sentry"})
    most: int = WAITING
    letters_most: Most = WAITING_LETTERS
    dead_most: Most = DEAD_LETTERS
    base_s: float = 1.0
    cap_s: float = 300.0
    database_cap_s: float = 10.0
    late_s: float = 60.0
    hold_s: float = 120.0
    poll_s: float = 1.0
    batch: int = 50
    bulk: int = 500  # a batch of dead letters, which come in floods
    clock: Callable[[], float] = time.time
    chance: Callable[[], float] = random.random
    _counts: Counter[tuple[Channel, str]] = field(default_factory=Counter)
    _bounded: int = 0  # the last refused record that was kept when they were bounded
    _lines: dict[Channel, _Line] = field(init=False)
    _stopping: threading.Event = field(default_factory=threading.Event)

    def __post_init__(self) -> None:
        self._lines = {channel: _Line(deliver) for channel, deliver in self.deliver.items()}

    def start(self) -> None:
        """Starts the senders, and at once with what earlier ones left."""
        self.letters.release(self.clock())
        for channel, line in self._lines.items():
            # Not waited for at exit: what they have not told stays in the database.
            line.thread = threading.Thread(
                target=self._run, args=(channel, line), name=f"outbox-{channel}", daemon=True
            )
            line.thread.start()

    def wake(self) -> None:
        """There may be something to tell."""
        for line in self._lines.values():
            line.wake.set()

    def stop(self, timeout: float) -> bool:
        """Lets every sender tell once more what is due; True when all ended in time."""
        self._stopping.set()
        self.wake()
        until = time.monotonic() + timeout
        threads = [line.thread for line in self._lines.values() if line.thread is not None]
        for thread in threads:
            thread.join(max(0.0, until - time.monotonic()))
        return not any(thread.is_alive() for thread in threads)

    def counts(self) -> Mapping[tuple[Channel, str], int]:
        """Messages so far by channel and outcome: ok, retry, blocked, collapsed, skipped, expired,
        and dropped: refused records that were waited for and are lost."""
        return dict(self._counts)

    def deliver_due(self, channel: Channel) -> int:
        """Tells one batch of what is due; returns how many messages it tried."""
        line, now = self._lines[channel], self.clock()
        resting = now < max(line.own.quiet_until, line.look_at)
        # Who stops has no later turn to record what was told.
        if line.told and (not resting or self._stopping.is_set()):
            self._end(channel, line)
        if resting:
            return 0
        waits = self.letters.waits(channel)
        if channel == "dlq":
            self._drop()
        if not waits:  # as nearly always: every other look costs as much again
            line.crowd, line.look_at = 0, 0.0
            return 0
        if channel == "dlq":
            self._skip(line)
        else:
            self._collapse(channel, line, now)
        self._expire(channel, now)
        quiet = [topic for topic, pace in line.topics.items() if now < pace.quiet_until]
        limit = self.bulk if channel == "dlq" else self.batch
        rows = self.letters.take(channel, now, self.hold_s, limit, quiet)
        if not rows:
            # While a topic takes nothing, much may wait: looking through it takes time.
            line.look_at = self.clock() + _REST * (self.clock() - now) if quiet else 0.0
            return 0
        sound = [row for row in rows if not row.damaged]
        line.told = list(zip(sound, line.deliver(sound) if sound else (), strict=True))
        for topic in {row.topic for row in sound}:
            self._pace(line, topic, [said for row, said in line.told if row.topic == topic])
        line.told += [(row, Delivery("blocked", row.damaged)) for row in rows if row.damaged]
        self._end(channel, line)
        line.own.failures = 0
        return len(rows)

    def _collapse(self, channel: Channel, line: _Line, now: float) -> None:
        if line.crowd and not self.letters.crowded(channel, self.most):
            line.crowd = 0
        # Where what is left is too many still, it is not looked through at each turn.
        crowded = self.letters.crowded(channel, max(self.most, line.crowd * 5 // 4))
        late = channel in self.collapse and self.letters.late(channel, now - self.late_s)
        if not (crowded or late):
            return
        n = self.letters.collapse(channel, now)
        if crowded:
            line.crowd = self.letters.pending(channel)
        if n:
            self._counts[channel, "collapsed"] += n
            log.warning("outdated messages ended untold", channel=channel, n=n)

    def _skip(self, line: _Line) -> None:
        newest = self.letters.newest("dlq")
        if newest <= line.newest + self.letters_most.rows // _SHARE:
            return
        line.newest = newest
        n = self.letters.skip(self.letters_most)
        if n:
            self._counts["dlq", "skipped"] += n
            log.warning("messages skipped, see dlq list: too many wait", channel="dlq", n=n)

    def _drop(self) -> None:
        """Keeps the table of dead letters within its bounds, give or take one in a hundred."""
        new = self.letters.refused_since(self._bounded)
        few = new.rows <= self.dead_most.rows // _SHARE
        small = new.bytes <= self.dead_most.bytes // _SHARE
        if not new.rows or (few and small and self._bounded):
            return
        dropped = self.letters.bound_refused_records(self.dead_most)
        self._bounded = new.last
        if dropped.lost:
            self._counts["dlq", "dropped"] += dropped.lost
            log.error("refused records lost: too many are kept", n=dropped.lost)

    def _expire(self, channel: Channel, now: float) -> None:
        for each in self.letters.expire(channel, now):
            self._counts[channel, "expired"] += 1
            log.error("message expired before it could be told", channel=channel, id=each)

    def _end(self, channel: Channel, line: _Line) -> None:
        """Records what was told. While the database is away the rest waits in memory, so that it is
        not told once more because of that, but by another instance after `hold_s`."""
        now = self.clock()
        fine = [row.id for row, said in line.told if said.outcome == "ok"]
        self.letters.sent(fine, now)
        self._counts[channel, "ok"] += len(fine)
        line.told = [each for each in line.told if each[1].outcome != "ok"]
        for row, said in [each for each in line.told if each[1].outcome == "blocked"]:
            self.letters.blocked(row.id, now, said.reason)
            self._counts[channel, "blocked"] += 1
            log.error("message refused", channel=channel, id=row.id, reason=said.reason)
            line.told.remove((row, said))
        self._delay(channel, line.told, now)
        self._counts[channel, "retry"] += len(line.told)
        line.told = []

    def _delay(
        self, channel: Channel, failed: Sequence[tuple[OutboxRow, Delivery]], now: float
    ) -> None:
        if not failed:
            return
        self.letters.retry(
            [(r.id, now + self._wait(r.attempts, said.after), said.reason) for r, said in failed]
        )
        for topic, n in Counter(row.topic for row, _ in failed).items():
            row, said = next(each for each in failed if each[0].topic == topic)
            log.warning("messages delayed", channel=channel, n=n, id=row.id, reason=said.reason)

    def _pace(self, line: _Line, topic: str, deliveries: Sequence[Delivery]) -> None:
        """A topic that took nothing is left alone for a while as a whole."""
        asked = [d.after for d in deliveries if d.outcome == "retry" and d.after is not None]
        failed = all(each.outcome == "retry" for each in deliveries)
        if not failed and not asked:
            line.topics.pop(topic, None)
            return
        pace = line.topics.setdefault(topic, _Pace())
        pace.quiet_until = self.clock() + self._wait(pace.failures, max(asked, default=None))
        pace.failures = pace.failures + 1 if failed else 0

    def _wait(self, attempts: int, asked: float | None) -> float:
        longest = min(self.cap_s, self.base_s * 2.0 ** min(attempts, 30))
        return max(asked or 0.0, longest * (0.5 + 0.5 * self.chance()))

    def _rest(self, line: _Line, most: float = math.inf) -> None:
        line.own.quiet_until = self.clock() + min(self._wait(line.own.failures, None), most)
        line.own.failures += 1

    def _run(self, channel: Channel, line: _Line) -> None:
        last = False
        while not last:
            last = self._stopping.is_set()
            line.wake.clear()
            try:
                while self.deliver_due(channel) and not last:
                    last = self._stopping.is_set()
            except DatabaseDown as error:
                log.warning("outbox cannot be read", channel=channel, reason=str(error))
                self._rest(line, self.database_cap_s)
            except Exception:
                # Reporter fan-out: one channel's bug or a dead database must not end the sender.
                log.exception("sender failed", channel=channel)
                line.told = []  # what it cannot record it tells again, after its hold
                self._counts[channel, "error"] += 1
                self._rest(line)
            if not last:
                line.wake.wait(self.poll_s)
