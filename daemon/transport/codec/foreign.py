"""Records in the wire formats of others: which format a record has, and its events as rows.

A record may hold many events. Those that are no good go to one dead letter, which holds only them,
so that it can be sent again without doubling the others.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import msgspec

from watchkeeper.daemon.transport.codec import ecs_logs, otlp_logs
from watchkeeper.daemon.transport.codec.columns import EARLIEST
from watchkeeper.daemon.transport.codec.deadletter import DeadLetter
from watchkeeper.daemon.transport.codec.json import (
    NAME,
    ROW_TYPES,
    DecodeErrors,
    Row,
    check_strings,
    document,
    invalid,
)
from watchkeeper.daemon.transport.codec.refused import Refused
from watchkeeper.daemon.transport.ports import Record
from watchkeeper.detectors.types import EventKind

_SIGNS = (b'"resourceLogs"', b'"@timestamp"')
_NAMED = 10  # bad events that a dead letter tells of one by one


class Foreign(NamedTuple):
    """What one record held: rows of one kind, and the dead letter with its bad events."""

    kind: EventKind
    rows: list[Row]
    dead: DeadLetter | None = None


def foreign(record: Record, value: bytes, kind: EventKind | None, latest: float) -> Foreign | None:
    """The record's events; None where it has no format of another. `kind` is what its topic holds
    (None: anything), `latest` the last time an event may have. Raises Refused."""
    if kind not in (None, "log") or not any(sign in value for sign in _SIGNS):
        return None
    whole = document(value)
    origin = f"{record.topic}/{record.partition}/{record.offset}"
    if otlp_logs.is_otlp_logs(whole):
        return _otlp(record, whole, origin, latest)
    if ecs_logs.is_ecs_log(whole):
        return Foreign("log", [_row("log", ecs_logs.ecs_log(whole, origin), latest, "$")])
    return None


def _otlp(record: Record, whole: Mapping[str, Any], origin: str, latest: float) -> Foreign:
    rows, refused = [], []
    n = 0
    for path, each, shared in otlp_logs.log_records(whole):
        n += 1
        try:
            event = otlp_logs.log_of(each, path, shared, f"{origin}/{n - 1}")
            rows.append(_row("log", event, latest, path))
        except Refused as wrong:
            refused.append((path, wrong))
    if not refused:
        return Foreign("log", rows)
    left = otlp_logs.without_good(whole, {path for path, _ in refused})
    first = refused[0][1]
    told = "; ".join(f"{each.path} {each.message}" for _, each in refused[:_NAMED])
    alone = Record(
        record.topic,
        record.partition,
        record.offset,
        record.at,
        record.key,
        msgspec.json.encode(left),
        record.headers,
    )
    said = f"{len(refused)} of {n} log records: {told}"
    return Foreign("log", rows, DeadLetter(alone, first.reason, first.path, said))


def _row(kind: EventKind, event: dict[str, Any], latest: float, path: str) -> Row:
    """The event as a row that nothing is wrong with. Raises Refused."""
    try:
        row = msgspec.convert(event, ROW_TYPES[kind])
        at = row.time.timestamp()
    except (*DecodeErrors, ValueError, OverflowError) as error:
        why = invalid(b"", error)
        raise Refused(why.reason, why.message, path + why.path[1:]) from error
    if not NAME.fullmatch(row.model_name):
        raise Refused("bad_name", "breaks the rule for names", f"{path}.model_name")
    if not EARLIEST <= at <= latest:
        early = at < EARLIEST
        said = "is before 1990" if early else "is more than ten minutes in the future"
        raise Refused("time", said, f"{path}.time")
    check_strings(row)
    return row
