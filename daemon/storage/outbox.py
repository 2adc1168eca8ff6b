"""Tells others what the record says: at least once, in order, however long it takes."""

from __future__ import annotations

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

WAITING_LETTERS = 10_000  # dead letters that wait; the table of dead letters holds them all


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
    wake: threading.Event = field(default_factory=threading.Event)
    thread: threading.Thread | None = None


@dataclass
class Outbox:
    """One sender a channel, each in a thread of its own, so that a dead channel delays no other.

    A failed message is tried again after `base_s`, doubled each time up to `cap_s`, with jitter,
    or later where the other side asks for it; a topic that took nothing is left alone as a whole
    for that long, and delays no other. On a channel in `collapse`, when messages were delayed by
    a failure or by more than `late_s`, only the newest of each incident is told. On a channel in
    `most`, the oldest messages beyond so many are ended untold. Times in seconds.
    """

    letters: Letters
    deliver: Mapping[Channel, Deliver]
    collapse: frozenset[Channel] = frozenset({"sentry"})
    most: Mapping[Channel, int] = field(default_factory=lambda: {"dlq": WAITING_LETTERS})
    base_s: float = 1.0
    cap_s: float = 300.0
    late_s: float = 60.0
    hold_s: float = 120.0
    poll_s: float = 1.0
    batch: int = 50
    bulk: int = 500  # a batch of dead letters, which come in floods
    clock: Callable[[], float] = time.time
    chance: Callable[[], float] = random.random
    _counts: Counter[tuple[Channel, str]] = field(default_factory=Counter)
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
        """Messages so far by channel and outcome: ok, retry, blocked, collapsed, skipped,
        expired."""
        return dict(self._counts)

    def deliver_due(self, channel: Channel) -> int:
        """Tells one batch of what is due; returns how many messages it tried."""
        line, now = self._lines[channel], self.clock()
        if now < line.own.quiet_until:
            return 0
        older = self._collapse(channel, now)
        self._skip(channel, now)
        self._expire(channel, now)
        quiet = [topic for topic, pace in line.topics.items() if now < pace.quiet_until]
        limit = self.bulk if channel == "dlq" else self.batch
        taken = self.letters.take(channel, now, self.hold_s, limit, quiet)
        if not taken:
            return 0
        rows = [msgspec.structs.replace(r, collapsed=older.get(r.id, 0)) for r in taken]
        deliveries = line.deliver(rows)
        line.own.failures = 0
        told = list(zip(rows, deliveries, strict=True))
        self._end(channel, told)
        for topic in {row.topic for row in rows}:
            self._pace(line, topic, [said for row, said in told if row.topic == topic])
        return len(rows)

    def _collapse(self, channel: Channel, now: float) -> Mapping[str, int]:
        if channel not in self.collapse or not self.letters.late(channel, now - self.late_s):
            return {}
        older = self.letters.collapse(channel, now)
        self._counts[channel, "collapsed"] += sum(older.values())
        return older

    def _skip(self, channel: Channel, now: float) -> None:
        if channel not in self.most:
            return
        n = self.letters.skip(channel, self.most[channel], now, "skipped: see dlq list")
        if n:
            self._counts[channel, "skipped"] += n
            log.warning("messages skipped: too many wait", channel=channel, n=n)

    def _expire(self, channel: Channel, now: float) -> None:
        for each in self.letters.expire(channel, now):
            self._counts[channel, "expired"] += 1
            log.error("message expired before it could be told", channel=channel, id=each)

    def _end(self, channel: Channel, told: Sequence[tuple[OutboxRow, Delivery]]) -> None:
        now = self.clock()
        self.letters.sent([row.id for row, said in told if said.outcome == "ok"], now)
        for row, said in told:
            self._counts[channel, said.outcome] += 1
            if said.outcome == "blocked":
                self.letters.blocked(row.id, now, said.reason)
                log.error("message refused", channel=channel, id=row.id, reason=said.reason)
        self._delay(channel, [each for each in told if each[1].outcome == "retry"], now)

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

    def _rest(self, line: _Line) -> None:
        line.own.quiet_until = self.clock() + self._wait(line.own.failures, None)
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
                self._rest(line)
            except Exception:
                # Reporter fan-out: one channel's bug or a dead database must not end the sender.
                log.exception("sender failed", channel=channel)
                self._counts[channel, "error"] += 1
                self._rest(line)
            if not last:
                line.wake.wait(self.poll_s)
