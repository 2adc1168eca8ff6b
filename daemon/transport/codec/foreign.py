"""Records in the wire formats of others: which format a record has, and its events as rows.

A record may hold many events. Those that are no good go to one dead letter, which holds only them,
so that it can be sent again without doubling the others.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple

import msgspec

from watchkeeper.daemon.transport.codec import ecs_logs, otlp_logs, otlp_metrics, telegraf
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

MOST_EVENTS = 10_000  # of one record
_NAMED = 10  # bad events that a dead letter tells of one by one


class Foreign(NamedTuple):
    """What one record held: rows of one kind, and the dead letter with its bad events."""

    kind: EventKind
    rows: list[Row]
    dead: DeadLetter | None = None


class _Format(NamedTuple):
    """A wire format: `sign` is in all of its records, which `is_it` tells for sure. `parts` gives
    every part with its path and what else it takes to read it; `events` makes a part's events, and
    `without_good` a document of those parts alone that are no good."""

    kind: EventKind
    sign: bytes
    called: str  # its parts
    is_it: Callable[[Mapping[str, Any]], bool]
    parts: Callable[[Mapping[str, Any]], Iterable[tuple[str, Any, Any]]]
    events: Callable[[Any, str, Any, str], list[dict[str, Any]]]
    without_good: Callable[[Mapping[str, Any], set[str]], Mapping[str, Any]]


def _whole(document: Mapping[str, Any]) -> list[tuple[str, Any, None]]:
    return [("$", document, None)]


_FORMATS = (
    _Format(
        "log",
        b'"resourceLogs"',
        "log records",
        otlp_logs.is_otlp_logs,
        otlp_logs.log_records,
        lambda part, path, shared, id_: [otlp_logs.log_of(part, path, shared, id_)],
        otlp_logs.without_good,
    ),
    _Format(
        "log",
        b'"@timestamp"',
        "log records",
        ecs_logs.is_ecs_log,
        _whole,
        lambda part, path, _, id_: [ecs_logs.ecs_log(part, id_)],
        lambda document, bad: document,
    ),
    _Format(
        "metric",
        b'"resourceMetrics"',
        "data points",
        otlp_metrics.is_otlp_metrics,
        otlp_metrics.data_points,
        otlp_metrics.metrics_of,
        otlp_metrics.without_good,
    ),
    _Format(
        "metric",
        b'"fields"',
        "measurements",
        telegraf.is_telegraf,
        telegraf.measurements,
        telegraf.metrics_of,
        telegraf.without_good,
    ),
)


def foreign(record: Record, value: bytes, kind: EventKind | None, latest: float) -> Foreign | None:
    """The record's events; None where it has no format of another. `kind` is what its topic holds
    (None: anything), `latest` the last time an event may have. Raises Refused."""
    possible = [f for f in _FORMATS if kind in (None, f.kind) and f.sign in value]
    if not possible:
        return None
    whole = document(value)
    for each in possible:
        if each.is_it(whole):
            return _read(each, record, whole, latest)
    return None


def _read(form: _Format, record: Record, whole: Mapping[str, Any], latest: float) -> Foreign:
    rows: list[Row] = []
    refused: list[tuple[str, Refused]] = []
    origin = f"{record.topic}/{record.partition}/{record.offset}"
    n = 0
    for path, part, shared in form.parts(whole):
        n += 1
        id_ = origin if path == "$" else f"{origin}/{n - 1}"
        try:
            events = form.events(part, path, shared, id_)
            rows += [_row(form.kind, event, latest, path) for event in events]
        except Refused as wrong:
            refused.append((path, wrong))
        except (ValueError, OverflowError) as odd:  # a number or text that no reader foresaw
            refused.append((path, Refused("schema", str(odd)[:200], path)))
        if max(len(rows), n) > MOST_EVENTS:
            raise Refused("too_large", f"more than {MOST_EVENTS} {form.called}")
    if not refused:
        return Foreign(form.kind, rows)
    return Foreign(form.kind, rows, _letter(form, record, whole, refused, n))


def _letter(
    form: _Format,
    record: Record,
    whole: Mapping[str, Any],
    refused: list[tuple[str, Refused]],
    n: int,
) -> DeadLetter:
    """The dead letter with what was bad of a record, and nothing else."""
    first = refused[0][1]
    if n == 1:
        return DeadLetter(record, first.reason, first.path, first.message)
    left = form.without_good(whole, {path for path, _ in refused})
    told = "; ".join(f"{each.path} {each.message}" for _, each in refused[:_NAMED])
    alone = msgspec.structs.replace(record, value=msgspec.json.encode(left))
    said = f"{len(refused)} of {n} {form.called}: {told}"
    return DeadLetter(alone, first.reason, first.path, said)


def _row(kind: EventKind, event: dict[str, Any], latest: float, path: str) -> Row:
    """The event as a row that nothing is wrong with. Raises Refused."""
    try:
        row: Row = msgspec.convert(event, ROW_TYPES[kind])
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
