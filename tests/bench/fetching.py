"""The replay broker's answers to fetches, with incremental sessions as in KIP-227.

Within a session an answer names only the partitions that have records, or whose end has moved
since it was told of last. That is what Apache Kafka sends to all of its clients since 1.1.
"""

from __future__ import annotations

import struct
import threading
import time
from collections import OrderedDict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from tests.bench.replay import Log

OLDEST, NEWEST = 4, 10  # versions of the request
MOST_SESSIONS = 1_000
_NO_SESSION, _FULL, _SESSIONLESS = 0, 0, -1
_UNKNOWN_SESSION, _WRONG_EPOCH = 70, 71

Place = tuple[str, int]


class Wanted(NamedTuple):
    """What is asked of a partition."""

    offset: int
    most: int


class Part(NamedTuple):
    """What is answered of a partition."""

    place: Place
    end: int
    records: bytes


@dataclass
class Session:
    """What one client reads of this broker; `told` is the end of each partition it knows of."""

    number: int = _NO_SESSION
    epoch: int = 1
    wanted: dict[Place, Wanted] = field(default_factory=dict)
    told: dict[Place, int] = field(default_factory=dict)

    def take(self, request: Any) -> None:
        """Notes what a request asks for from now on, and what no longer."""
        for topic in request.topics:
            for each in topic.partitions:
                wanted = Wanted(each.fetch_offset, each.partition_max_bytes)
                self.wanted[topic.topic, each.partition] = wanted
        for topic in request.forgotten_topics_data or ():
            for number in topic.partitions:
                self.wanted.pop((topic.topic, number), None)
                self.told.pop((topic.topic, number), None)

    def news(self, parts: Sequence[Part]) -> list[Part]:
        """The parts that the client does not know yet. A partition with records goes behind the
        others, so that each gets its share of an answer."""
        found = [p for p in parts if p.records or self.told.get(p.place) != p.end]
        for part in found:
            self.told[part.place] = part.end
            if part.records:
                self.wanted[part.place] = self.wanted.pop(part.place)
        return found


class Fetches:
    """Answers fetches from `logs`, whose growth `grown` tells of. Thread-safe."""

    def __init__(self, logs: Mapping[str, Sequence[Log]], grown: threading.Condition) -> None:
        self._logs, self._grown = logs, grown
        self._lock = threading.Lock()
        self._sessions: OrderedDict[int, Session] = OrderedDict()
        self._newest = _NO_SESSION

    def answer(self, request: Any, version: int) -> bytes:
        """The answer once there is enough of it, or the time is over."""
        found = self._session(request)
        if isinstance(found, int):
            return _packed(version, found, _NO_SESSION, ())
        session, full = found
        parts = self._awaited(session, request)
        news = session.news(parts)
        return _packed(version, 0, session.number, parts if full else news)

    def _session(self, request: Any) -> tuple[Session, bool] | int:
        """The session of a request, and whether all of it is answered; or an error."""
        number, epoch = request.session_id or _NO_SESSION, request.session_epoch
        with self._lock:
            if number == _NO_SESSION or epoch in (_FULL, _SESSIONLESS, None):
                self._sessions.pop(number, None)
                session = Session() if epoch != _FULL else self._begun()
            elif number not in self._sessions:
                return _UNKNOWN_SESSION
            elif self._sessions[number].epoch != epoch:
                return _WRONG_EPOCH
            else:
                session = self._sessions[number]
                session.epoch += 1
                self._sessions.move_to_end(number)
        full = epoch in (_FULL, _SESSIONLESS, None)
        session.take(request)
        return session, full

    def _begun(self) -> Session:
        if len(self._sessions) == MOST_SESSIONS:
            self._sessions.popitem(last=False)
        self._newest += 1
        session = self._sessions[self._newest] = Session(self._newest)
        return session

    def _awaited(self, session: Session, request: Any) -> list[Part]:
        deadline = time.monotonic() + request.max_wait_ms / 1000
        with self._grown:
            while True:
                parts = self._parts(session.wanted, request.max_bytes)
                left = deadline - time.monotonic()
                if sum(len(part.records) for part in parts) >= request.min_bytes or left <= 0:
                    return parts
                self._grown.wait(left)

    def _parts(self, wanted: Mapping[Place, Wanted], most: int) -> list[Part]:
        found, size = [], 0
        for place, each in wanted.items():
            log = self._logs[place[0]][place[1]]
            records = log.read(each.offset, min(each.most, most - size), not size)
            found.append(Part(place, log.end(), records))
            size += len(records)
        return found


def _packed(version: int, error: int, session: int, parts: Iterable[Part]) -> bytes:
    """A response of one of the versions."""
    topics: dict[str, list[Part]] = {}
    for part in parts:
        topics.setdefault(part.place[0], []).append(part)
    packed = [struct.pack(">i", 0)]
    if version >= 7:
        packed.append(struct.pack(">hi", error, session))
    packed.append(struct.pack(">i", len(topics)))
    for topic, mine in topics.items():
        packed += [_text(topic), struct.pack(">i", len(mine))]
        for (_, number), end, records in mine:
            packed.append(struct.pack(">ihqq", number, 0, end, end))
            if version >= 5:
                packed.append(struct.pack(">q", 0))
            packed += [struct.pack(">ii", 0, len(records)), records]
    return b"".join(packed)


def _text(text: str) -> bytes:
    return struct.pack(">h", len(text)) + text.encode()
