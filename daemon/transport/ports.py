"""The two ports of transport: a Source gives records, a Sink takes messages."""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple, Protocol, runtime_checkable

import msgspec

if TYPE_CHECKING:
    from watchkeeper.daemon.transport.records import Records

Headers = tuple[tuple[str, bytes | None], ...]


class Partition(NamedTuple):
    """One ordered log of records."""

    topic: str
    number: int


class Record(msgspec.Struct, frozen=True, gc=False):
    """One record as the source gave it. `at` is its timestamp in seconds since the epoch."""

    topic: str
    partition: int
    offset: int
    at: float
    key: bytes | None
    value: bytes | None
    headers: Headers = ()


@functools.cache
def _none() -> Records:
    """None at all: the same ones for every poll, since records never change."""
    from watchkeeper.daemon.transport.records import Records  # it is made of what is here

    return Records.of(())


class Polled(msgspec.Struct, frozen=True):
    """What one poll brought.

    Records of one partition are in order of offset. A partition in `assigned` is paused until
    `start` is called for it; records of one in `revoked` or `lost` must not be committed any more
    once this poll has returned. `topics` tells the topic that a partition is read of apart from
    others that had its name, where the source knows that.
    """

    records: Records = msgspec.field(default_factory=_none)
    assigned: tuple[Partition, ...] = ()
    revoked: tuple[Partition, ...] = ()
    lost: tuple[Partition, ...] = ()
    topics: Mapping[Partition, str] = {}


class SourceError(Exception):
    """The source cannot go on by itself; the message says what happened and what to do."""


class Replaced(SourceError):
    """Another process reads under this one's name: going on, or trying again, would harm both."""


@runtime_checkable
class Source(Protocol):
    """Gives records in order of offset a partition. Owned by one thread."""

    def poll(self, timeout: float) -> Polled:
        """Waits at most `timeout` seconds. An ended finite source gives empty polls."""

    def idle(self, timeout: float) -> None:
        """Lets at most `timeout` seconds pass without reading on, and stays in the group: what
        changes meanwhile in who owns what is told by the next poll."""

    def start(self, partition: Partition, offset: int | None, topic: str | None = None) -> None:
        """Begins reading an assigned partition at `offset`; None: the source's own default.

        `topic` is what polls told of its topic when it was read up to there: of another one of
        its name the offset says nothing. None: not known."""

    def caught_up(self) -> bool:
        """True when nothing is known to be waiting in any started partition."""

    def ended(self) -> bool:
        """True when a finite source has given everything it has."""

    def lag(self) -> Mapping[Partition, int]:
        """Records known to be waiting, by started partition."""

    def commit(self, offsets: Mapping[Partition, int]) -> None:
        """Tells the source the next offsets, as a hint for its own tools; never raises for it."""

    def close(self, timeout: float = 10.0) -> None:
        """Leaves the group and frees every resource. Idempotent."""


class Message(msgspec.Struct, frozen=True):
    """One message to publish."""

    topic: str
    key: bytes | None
    value: bytes | None
    headers: Headers = ()


@runtime_checkable
class Sink(Protocol):
    """Takes messages. Thread-safe."""

    def publish(self, messages: Sequence[Message], timeout: float) -> list[str | None]:
        """Delivers in order; for each message None once it is safe, else the reason it is not."""

    def close(self, timeout: float = 10.0) -> None:
        """Flushes and frees every resource. Idempotent."""
