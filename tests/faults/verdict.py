"""What is true in the end, in a form in which two runs can be compared."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
from sqlalchemy import text

from watchkeeper.daemon.storage.database import Database
from watchkeeper.daemon.storage.store import Store
from watchkeeper.handlers.types import Action, Incident

_ALL = 1_000_000
# After a crash between the call and its outcome, the action is found done: it says so, truly.
_FOUND_DONE = ("1 is already live", "1 is live instead of 2")


@dataclass(frozen=True)
class Verdict:
    """All that a daemon has left behind. Findings and so on appear as often as they were stored."""

    offsets: Mapping[str, int | None]
    findings: Counter[str]
    incidents: list[Any]
    actions: list[Any]
    letters: set[str]
    states: dict[str, Any]

    def differences(self, other: Verdict) -> str:
        """Where two runs differ, for people; "" when they do not."""
        found = []
        for name in ("offsets", "findings", "incidents", "actions", "letters", "states"):
            ours, theirs = getattr(self, name), getattr(other, name)
            if ours != theirs:
                found.append(f"{name}: {_first(ours, theirs)}")
        return "\n".join(found)


def verdict(url: str, told: Path | None = None) -> Verdict:
    """Reads it from the database, and from what was published."""
    store = Store(url)
    try:
        records = store.records
        offsets = records.offsets()
        return Verdict(
            {f"{topic}/{number}": at for (topic, number), at in sorted(offsets.items())},
            Counter(f.id for f in records.findings(limit=_ALL)),
            sorted((plain(e) for e in records.incidents(limit=_ALL)), key=repr),
            sorted((plain(e) for e in records.actions(limit=_ALL)), key=repr),
            set() if told is None else ids(told),
            {model: plain(s) for model, s in store.restore(offsets, 0.0).states.items()},
        )
    finally:
        store.close()


def ids(told: Path) -> set[str]:
    """The ids of everything that was published."""
    return {msgspec.json.decode(line)["id"] for line in told.read_bytes().splitlines()}


def incidents(url: str) -> list[Incident]:
    """All incidents, oldest first."""
    store = Store(url)
    try:
        return sorted(store.records.incidents(limit=_ALL), key=lambda e: e.opened_at)
    finally:
        store.close()


def pages_of(url: str) -> dict[str, str]:
    """The ids of all events that were made for Sentry, and why each ended that was not told."""
    made = text("SELECT id, last_reason FROM outbox WHERE channel = 'sentry'")
    with closing(Database(url)) as database, database.read() as connection:
        return {id_.partition(":")[2]: reason or "" for id_, reason in connection.execute(made)}


def actions(url: str) -> list[Action]:
    """All actions, oldest first."""
    store = Store(url)
    try:
        return sorted(store.records.actions(limit=_ALL), key=lambda e: e.planned_at)
    finally:
        store.close()


def plain(value: Any) -> Any:
    """Plain data in which NaN equals NaN and the order of a mapping is none."""
    if isinstance(value, float):
        return "nan" if math.isnan(value) else value
    if isinstance(value, Mapping):
        return {str(k): plain(v) for k, v in sorted(value.items(), key=lambda kv: str(kv[0]))}
    if isinstance(value, str):
        return value.replace(*_FOUND_DONE)
    if isinstance(value, bytes | int | None):
        return value
    if isinstance(value, Sequence):
        return [plain(each) for each in value]
    if hasattr(value, "tobytes"):
        return [str(value.dtype), list(value.shape), value.tobytes()]
    return plain(msgspec.to_builtins(value))


def _first(ours: Any, theirs: Any, path: str = "") -> str:
    """The first place at which two values differ."""
    if isinstance(ours, dict) and isinstance(theirs, dict):
        wrong = [key for key in sorted({*ours, *theirs}) if ours.get(key) != theirs.get(key)]
        return "; ".join(_first(ours.get(k), theirs.get(k), f"{path}.{k}") for k in wrong[:6])
    if isinstance(ours, list) and isinstance(theirs, list) and len(ours) == len(theirs):
        for i, (one, other) in enumerate(zip(ours, theirs, strict=True)):
            if one != other:
                return _first(one, other, f"{path}[{i}: {str(one)[:100]}]")
    if isinstance(ours, set) and isinstance(theirs, set):
        return f"missing {sorted(theirs - ours)[:3]}, besides {sorted(ours - theirs)[:3]}"
    return f"{path}: {str(ours)[:300]} instead of {str(theirs)[:300]}"
