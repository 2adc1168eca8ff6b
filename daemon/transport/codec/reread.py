"""Records read the slow way, which knows every form and every reason."""

from __future__ import annotations

from typing import Any

import msgspec

from watchkeeper.daemon.transport.codec import cloudevents
from watchkeeper.daemon.transport.codec.columns import EARLIEST
from watchkeeper.daemon.transport.codec.json import (
    DECODE,
    NAME,
    DecodeErrors,
    Row,
    check_strings,
    document,
    event_of,
    invalid,
)
from watchkeeper.daemon.transport.codec.refused import Refused
from watchkeeper.daemon.transport.ports import Record
from watchkeeper.detectors.types import Command, EventKind

_INT64 = 2**63


def reread(record: Record, value: bytes, kind: EventKind | None) -> tuple[EventKind, Row]:
    """Reads a record the slow way: an envelope, an unknown kind, or one that was refused."""
    whole = document(value)
    if cloudevents.is_envelope(whole):
        kind, whole, value = _opened(whole, kind)
    else:
        attributes = cloudevents.attributes(record.headers)
        filled = cloudevents.completed(whole, attributes)
        if filled is not whole:
            whole, value = filled, msgspec.json.encode(filled)
    kind = kind or cloudevents.kind_of_document(whole)
    if kind is None:
        raise Refused("unknown_kind", "nothing says which kind of event it is")
    named = cloudevents.kind_of_schema(whole)
    if named is not None and named != kind:
        raise Refused("wrong_topic", f"is a {named} where a {kind} is expected", "$.schema")
    try:
        row = DECODE[kind](value)
    except DecodeErrors as error:
        raise invalid(value, error) from error
    check_strings(row)
    return kind, row


def _opened(
    envelope: dict[str, Any], kind: EventKind | None
) -> tuple[EventKind | None, dict[str, Any], bytes]:
    named = envelope["type"]
    if isinstance(named, str):
        kind = cloudevents.kind_of_type(named.encode(errors="replace")) or kind
    data, value = cloudevents.data_of(envelope)
    return kind, data, value


def command_of(row: Row) -> Command:
    """The command; refused when its model's name or an integer may not be."""
    if row.model_name is not None and not NAME.fullmatch(row.model_name):
        raise Refused("bad_name", "breaks the rule for names", "$.model_name")
    if row.expires_at is not None and row.expires_at.timestamp() < EARLIEST:
        raise Refused("time", "is before 1990", "$.expires_at")
    for name, value in row.args.items():
        if type(value) is int and not -_INT64 <= value < _INT64:
            raise Refused("number_out_of_range", "integer beyond 64 bits", f"$.args.{name}")
    return event_of(Command, row)
