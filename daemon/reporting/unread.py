"""What a person is told of records that were passed over unread."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import msgspec

from watchkeeper.daemon.storage.values import OutboxRow
from watchkeeper.daemon.transport.codec.deadletter import UNREAD, DeadLetter, Reason

EVERY_S = 60.0
_LISTED = 20  # places on a page
_NAMESPACE = uuid.UUID("0d0f6c52-3c9e-4f7c-9f0e-7a2f4f5f8f31")  # any constant will do

_Key = tuple[str, Reason]  # topic, reason


class _About(msgspec.Struct, frozen=True):
    """How a page begins and ends, and how bad it is."""

    said: str
    todo: str
    level: str


_ABOUT = {
    "data_gap": _About(
        "records were lost before they were read",
        "They are gone, and were not watched. Look at the topic's retention.ms, and at how far "
        "behind the daemon was.",
        "fatal",
    ),
    "quarantined_range": _About(
        "records were passed over that nobody can read",
        "They were not watched; what is before and behind them is. Look at the disks of the "
        "brokers and at who produced them, and have them produced once more if they matter. All "
        "such places: watchkeeper dlq list.",
        "error",
    ),
}


@dataclass
class _Held:
    """Places that are not told yet: how many, and the first ones."""

    count: int = 0
    listed: list[DeadLetter] = field(default_factory=list)

    def add(self, letter: DeadLetter) -> None:
        self.count += 1
        if len(self.listed) < _LISTED:
            self.listed.append(letter)


@dataclass
class UnreadPages:
    """Pages about records that were gone, or that cannot be read: one issue for a topic and reason.

    The first place is told at once, and once, however often it is met before its offsets are
    stored. Those that come within `every_s` of a page are told by the next one, which says how
    many they are; an end meanwhile loses that page, and no more than it: the places are on record.
    """

    every_s: float = EVERY_S
    _told_at: dict[_Key, float] = field(default_factory=dict)
    _held: dict[_Key, _Held] = field(default_factory=dict)

    def due(self, at: float) -> bool:
        """Whether anything that was held back is to be told now."""
        return any(self._may_tell(key, at) for key in self._held)

    def rows(self, dead: Sequence[DeadLetter], at: float) -> list[OutboxRow]:
        """The pages of a turn, for the outbox; `at` is the wall clock."""
        before = set(self._held)
        for letter in dead:
            if letter.reason in UNREAD:
                key = letter.record.topic, letter.reason
                self._held.setdefault(key, _Held()).add(letter)
        return [
            self._page(key, key in before, at)
            for key in list(self._held)
            if self._may_tell(key, at)
        ]

    def _may_tell(self, key: _Key, at: float) -> bool:
        # Whoever sets the clock back keeps nobody from being told.
        return abs(at - self._told_at.get(key, float("-inf"))) >= self.every_s

    def _page(self, key: _Key, all_of_them: bool, at: float) -> OutboxRow:
        """About all that is held of a topic, or the first place alone: its page is the same one
        when it is met again after a crash, whatever else is met then."""
        held = self._held.pop(key)
        if not all_of_them and held.count > 1:
            self._held[key] = _Held(held.count - 1, held.listed[1:])
            held = _Held(1, held.listed[:1])
        self._told_at[key] = at
        return _row(key, held, at)


def _row(key: _Key, held: _Held, at: float) -> OutboxRow:
    topic, reason = key
    about = _ABOUT[reason]
    places = [_said(letter) for letter in held.listed]
    what = places[0] if held.count == 1 else f"{topic}: at {held.count} places, first {places[0]}"
    told = [f"{each.record.offset} {_said(each)}" for each in held.listed]
    name = uuid.uuid5(_NAMESPACE, "\n".join(told)).hex
    event: dict[str, Any] = {
        "event_id": name,
        "timestamp": at,
        "platform": "other",
        "logger": "watchkeeper.unread",
        "level": about.level,
        "message": {"formatted": f"{about.said}: {what}\n{about.todo}"},
        "fingerprint": ["watchkeeper", reason, topic],
        "tags": {"kind": "daemon", "topic": topic[:200]},
        "extra": {
            "partition": held.listed[0].record.partition,
            "offset": held.listed[0].record.offset,
            "places": held.count,
            "first_places": places,
        },
    }
    return OutboxRow(
        id=f"sentry:{name}", channel="sentry", payload=msgspec.json.encode(event), created_at=at
    )


def _said(letter: DeadLetter) -> str:
    return f"{letter.record.topic}/{letter.record.partition}: {letter.message}"
