"""What a source over a network has to say besides its records, for the log and for people."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol, runtime_checkable

import structlog

from watchkeeper.daemon.transport.codec import DeadLetter, Reason
from watchkeeper.daemon.transport.kafka_repair import DataGap
from watchkeeper.daemon.transport.ports import Record, Source
from watchkeeper.daemon.transport.quarantine import QuarantinedRange
from watchkeeper.detectors.types import moment

log = structlog.get_logger()

SAY_AGAIN_S = 60.0


@runtime_checkable
class Networked(Protocol):
    """A source that may be cut off, and whose records may be gone or unreadable. Others read from
    memory or files and have nothing of the kind to tell."""

    @property
    def trouble(self) -> str | None:
        """What keeps it from reading all that it is to read now."""

    @property
    def cut_off(self) -> str | None:
        """What keeps it from reading anything now; that is trouble, too."""

    def take_quarantined(self) -> list[QuarantinedRange]:
        """The ranges passed over since the last call, because they cannot be read."""

    def take_gaps(self) -> list[DataGap]:
        """The gaps met since the last call: records that were gone before they were read."""


@dataclass
class Trouble:
    """Watches one source, turn by turn.

    What keeps it from reading is logged at once, while it lasts and when it is over, but at most
    once in `SAY_AGAIN_S`. `text` says it for those who ask now, "" when all is well. Of a source
    that is cut off `told` hears at each look for how many seconds of the `steady` clock that has
    lasted, and why; at its end 0.0 and "".
    """

    source: Source
    told: Callable[[float, str], None] = lambda seconds, reason: None
    steady: Callable[[], float] = time.monotonic
    text: str = ""
    _since: float | None = None
    _cut_off_since: float | None = None
    _said: bool = False
    _said_at: float = field(default=float("-inf"))
    _networked: Networked | None = field(init=False)

    def __post_init__(self) -> None:
        # Looked at once: to ask an object what it can takes longer than to ask it for its news.
        self._networked = self.source if isinstance(self.source, Networked) else None

    def look(self, at: float) -> list[DeadLetter]:
        """Logs what is new at the wall clock's `at`; gives a letter for each range of records that
        was passed over, which stands for all of them and holds none."""
        source = self._networked
        if source is None:
            return []
        self._note(source.trouble, at)
        self._tell(source.cut_off)
        unread = [_quarantined(each, at) for each in source.take_quarantined()]
        return unread + [_gap(each, at) for each in source.take_gaps()]

    def _note(self, trouble: str | None, at: float) -> None:
        if not trouble:
            if self._said and self._since is not None:
                log.info("reading again", after_s=round(at - self._since))
            self.text, self._since, self._said = "", None, False
            return
        self._since = at if self._since is None else self._since
        since = f"{moment(self._since):%Y-%m-%dT%H:%M:%SZ}"
        self.text = f"{trouble} (since {since}, trying again)"
        if at - self._said_at >= SAY_AGAIN_S:
            self._said, self._said_at = True, at
            log.warning("cannot read: trying again", trouble=trouble, since=since)

    def _tell(self, reason: str | None) -> None:
        if not reason:
            if self._cut_off_since is not None:
                self._cut_off_since = None
                self.told(0.0, "")
            return
        if self._cut_off_since is None:
            self._cut_off_since = self.steady()
        self.told(self.steady() - self._cut_off_since, reason)


def _quarantined(each: QuarantinedRange, at: float) -> DeadLetter:
    n = each.end - each.start
    why = f"records {each.start} to {each.end - 1}, {n} at most, cannot be read: {each.reason}"
    why = f"{why}{_of(each.topic_id)}"
    return _letter(each.topic, each.partition, each.start, at, "quarantined_range", why)


def _gap(each: DataGap, at: float) -> DeadLetter:
    why = f"offset {each.wanted} is {each.reason}, reading went on at {each.resumed}"
    why = f"{why}: {_lost(each)}{_of(each.topic_id)}"
    return _letter(each.topic, each.partition, each.wanted, at, "data_gap", why)


def _lost(gap: DataGap) -> str:
    """How many records; a compacted topic has fewer than offsets."""
    if gap.reason == "out of range" and gap.resumed > gap.wanted:
        return f"up to {gap.resumed - gap.wanted} records were lost"
    return "how many records were lost is not known"


def _of(topic_id: str) -> str:
    """Tells what a topic of the same name lost before it was made anew from what this one lost."""
    return f" (topic id {topic_id})" if topic_id else ""


def _letter(
    topic: str, partition: int, offset: int, at: float, reason: Reason, why: str
) -> DeadLetter:
    log.error("records passed over", topic=topic, partition=partition, reason=reason, said=why)
    return DeadLetter(Record(topic, partition, offset, at, None, None), reason, "$", why)
