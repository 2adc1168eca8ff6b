"""Parts of windows as messages: what instances that share one model tell its owner.

Where the events of a model spread over partitions, each instance measures what it reads and sends
it to an internal topic, keyed by model. A message covers, for each partition it was measured from,
the records behind `after` and before `end`. Messages of a partition so make a chain, and its owner
merges each link once, however often it comes.
"""

from __future__ import annotations

import math
import zlib
from collections.abc import Iterable, Mapping
from typing import Any, Literal

import msgspec
import numpy.typing as npt

from watchkeeper.daemon.storage import snapshots
from watchkeeper.daemon.storage.snapshots import SnapshotError
from watchkeeper.daemon.transport.ports import Headers, Message, Partition

LAYOUT = 1
TYPE = "watchkeeper.partials.v1"
LARGEST = 64 * 1024 * 1024  # bytes of a message, unpacked

_LEVEL = 1  # of zlib: most counts are small or zero, so the first step gains nearly all
_AS_IS, _SMALL = b"\x00", b"\x01"
_WORTH = 1_024  # bytes from which on it is worth compressing

Array = npt.NDArray[Any]
Verdict = Literal["merge", "seen", "gap", "fenced", "torn"]


class BadPartials(Exception):
    """A message is not what an instance of this program wrote; the text says why."""


class Span(msgspec.Struct, frozen=True):
    """The records of a partition that were measured: those behind `after` and before `end`.

    Both are numbers that rise with the records, such as offsets or a count of messages. `after` is
    the `end` of the message before, None for the first one of this model. `mark` is the newest
    event time that was seen there, also of other models: so an idle model closes too.
    """

    topic: str
    partition: int
    after: int | None
    end: int
    mark: float


class Part(msgspec.Struct, frozen=True):
    """What one signal measured of one window of a version.

    `window` is the window's number at `width` seconds; `reference` the digest of what it was
    measured against, "" for nothing: parts of different references must not mix.
    """

    version: str
    signal: str
    window: int
    width: float
    reference: str
    arrays: dict[str, Array]


class Partials(msgspec.Struct, frozen=True):
    """One message: what one owner of partitions measured of one model since its last one.

    `epoch` is the owner's of the partitions in `spans`. Without `parts` it only tells of time.
    """

    model: str
    epoch: int
    spans: tuple[Span, ...]
    parts: tuple[Part, ...] = ()

    @property
    def id(self) -> str:
        """The same for the same records: a message that comes twice has it twice."""
        ends = ",".join(f"{each.topic}/{each.partition}:{each.end}" for each in self.spans)
        return f"{self.model}@{ends}"


def encode(partials: Partials) -> bytes:
    """The message as bytes: a layout, a checksum, and plain data.

    >>> import numpy as np
    >>> span = Span("predictions", 3, None, 120, 1_700_000_000.0)
    >>> part = Part("7", "errors", 28_333_333, 60.0, "", {"status": np.array([118, 2])})
    >>> decode(encode(Partials("fraud", 12, (span,), (part,)))).parts[0].arrays["status"].tolist()
    [118, 2]
    """
    body = snapshots.encode(partials, LAYOUT)
    if len(body) < _WORTH:
        return snapshots.seal(_AS_IS + body, LAYOUT)
    return snapshots.seal(_SMALL + zlib.compress(body, _LEVEL), LAYOUT)


def decode(data: bytes) -> Partials:
    """The message; BadPartials where the bytes are not exactly what was written."""
    try:
        body = _unpacked(bytes(snapshots.unseal(data, LAYOUT)))
        partials = snapshots.decode_as(body, Partials, LAYOUT)
    except SnapshotError as error:
        raise BadPartials(str(error)) from error
    _check(partials)
    return partials


def message(partials: Partials, topic: str) -> Message:
    """The message for Kafka, keyed by model."""
    attributes = {
        "ce_specversion": "1.0",
        "ce_type": TYPE,
        "ce_id": partials.id,
        "ce_source": "/watchkeeper",
        "content-type": "application/octet-stream",
    }
    headers: Headers = tuple((name, value.encode()) for name, value in attributes.items())
    return Message(topic, partials.model.encode(), encode(partials), headers)


def _unpacked(data: bytes) -> bytes:
    form, body = data[:1], data[1:]
    if form == _AS_IS:
        return body
    if form != _SMALL:
        raise BadPartials("not a message of partials")
    unpacker = zlib.decompressobj()
    try:
        found = unpacker.decompress(body, LARGEST)
    except zlib.error as error:
        raise BadPartials(f"cannot be unpacked: {error}") from error
    if not unpacker.eof:
        raise BadPartials(f"cut off, or more than {LARGEST} bytes")
    return found


def _check(partials: Partials) -> None:
    """Refuses what was written whole, and still makes no sense."""
    if not partials.model or not partials.spans:
        raise BadPartials("names no model or no partition")
    places = {(each.topic, each.partition) for each in partials.spans}
    if len(places) != len(partials.spans):
        raise BadPartials("covers one partition twice")
    for span in partials.spans:
        if span.end <= max(span.after or 0, 0) or (span.after or 0) < 0:
            raise BadPartials(f"covers no records of {span.topic}/{span.partition}")
        if math.isnan(span.mark) or span.mark == math.inf:
            raise BadPartials(f"has a mark of {span.mark}")
    for part in partials.parts:
        if not (math.isfinite(part.width) and part.width > 0):
            raise BadPartials(f"has windows of {part.width} s")


class Link(msgspec.Struct, frozen=True):
    """How far one partition is merged, and by whom it was measured."""

    end: int
    epoch: int
    mark: float


class Chains:
    """Says which messages an owner has merged, so that each counts once. One for each model.

    It belongs into the state that is committed with what was merged. Pure.
    """

    def __init__(self, links: Mapping[Partition, Link] | None = None) -> None:
        self.links = dict(links or {})

    def judge(self, partials: Partials) -> Verdict:
        """What to do with a message.

        "merge": it is the next one. "seen": it was merged before. "gap": one before it is missing.
        "fenced": whoever measured it had lost its partitions. "torn": it overlaps with what was
        merged, which no instance sends that writes its messages in the transaction of its offsets.
        """
        said = {self._judge(span, partials.epoch) for span in partials.spans}
        for worst in ("torn", "fenced", "gap"):
            if worst in said:
                return worst
        if said == {"seen"}:
            return "seen"
        return "merge" if said == {"merge"} else "torn"

    def take(self, partials: Partials) -> None:
        """Notes that a message was merged."""
        for span in partials.spans:
            place = Partition(span.topic, span.partition)
            known = self.links.get(place)
            mark = span.mark if known is None else max(known.mark, span.mark)
            self.links[place] = Link(span.end, partials.epoch, mark)

    def mark(self, contributing: Iterable[Partition]) -> float:
        """How far event time has come in all of the partitions; -inf while one is unknown."""
        known = [self.links.get(each) for each in contributing]
        return min((-math.inf if k is None else k.mark for k in known), default=-math.inf)

    def _judge(self, span: Span, epoch: int) -> Verdict:
        known = self.links.get(Partition(span.topic, span.partition))
        if known is None:
            return "merge" if span.after is None else "gap"
        if span.after is None and epoch > known.epoch:
            return "merge"  # a new owner that found no state began another chain
        if span.end <= known.end:
            return "seen"
        if epoch < known.epoch:
            return "fenced"
        if span.after == known.end:
            return "merge"
        return "gap" if span.after is not None and span.after > known.end else "torn"
