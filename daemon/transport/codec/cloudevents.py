"""CloudEvents 1.0 over Kafka: which kind of event a record says it is, and where its data lies.

Binary mode (`ce_*` headers, the value is the data), structured mode (the value is the envelope)
and bare JSON are all read.
"""

from __future__ import annotations

import base64
import binascii
import functools
import re
from collections.abc import Mapping
from typing import Any, cast

import msgspec
from msgspec import UNSET, UnsetType

from watchkeeper.daemon.transport.codec.refused import Refused
from watchkeeper.daemon.transport.ports import Headers
from watchkeeper.detectors.types import EVENT_TYPES, EventKind

MOST_HEADERS = 64
TYPE_PREFIX = "watchkeeper."
STRUCTURED = b"application/cloudevents+json"
_OUR_TYPE = re.compile(r"(?:watchkeeper\.)?([a-z]+)\.v(\d+)")


@functools.lru_cache(maxsize=1024)
def kind_of_type(name: bytes) -> EventKind | None:
    """The kind a `ce_type` or `schema` names; None where it is nobody's of ours.

    Raises Refused for one of ours in a version that is not known.
    """
    found = _OUR_TYPE.fullmatch(name.decode(errors="replace"))
    if found is None or found[1] not in EVENT_TYPES:
        return None
    if found[2] != "1":
        raise Refused("unknown_kind", f"{found[0]} is not a version this program reads", "$.schema")
    return cast(EventKind, found[1])  # it is a key of EVENT_TYPES


def kind_in_headers(headers: Headers, default: EventKind | None) -> EventKind | None:
    """The kind of a record in binary mode or bare; None: the value has to say it.

    Raises Refused for a version that is not known and for too many headers.
    """
    if len(headers) > MOST_HEADERS:
        raise Refused("too_large", f"{len(headers)} headers, more than {MOST_HEADERS}", "headers")
    for name, value in headers:
        if value is None:
            continue
        if name == "ce_type":
            return kind_of_type(value) or default
        if name == "content-type" and value.startswith(STRUCTURED):
            return None
    return default


def attributes(headers: Headers) -> dict[str, str]:
    """The CloudEvents attributes of a record in binary mode."""
    return {
        name[3:]: value.decode(errors="replace")
        for name, value in headers
        if name.startswith("ce_") and value is not None
    }


def is_envelope(document: Mapping[str, Any]) -> bool:
    """Whether a JSON object is a CloudEvent in structured mode."""
    return "type" in document and ("specversion" in document or "data" in document)


def data_of(envelope: Mapping[str, Any]) -> tuple[dict[str, Any], bytes]:
    """The data of a structured event, with `id` and `time` of the envelope where it has none."""
    data = envelope.get("data")
    encoded = envelope.get("data_base64")
    if data is None and isinstance(encoded, str):
        data = _from_base64(encoded)
    if not isinstance(data, dict):
        raise Refused("not_an_object", "the data of the CloudEvent is no object", "$.data")
    filled = completed(data, envelope)
    return filled, msgspec.json.encode(filled)


def _from_base64(text: str) -> object:
    try:
        return msgspec.json.decode(base64.b64decode(text, validate=True))
    except (binascii.Error, msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise Refused("syntax", "is not base64 of JSON", "$.data_base64") from error


def completed(data: dict[str, Any], attributes: Mapping[str, Any]) -> dict[str, Any]:
    """The data with `id` and `time` taken from the attributes of its CloudEvent if it has none."""
    missing = {n: attributes[n] for n in ("id", "time") if n not in data and n in attributes}
    return {**data, **missing}


def kind_of_value(value: bytes) -> EventKind | None:
    """Like `kind_of_document`, for a value that is not decoded yet; None also for an envelope."""
    try:
        probe = _probe(value)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    present = {name for name in probe.__struct_fields__ if getattr(probe, name) is not UNSET}
    if is_envelope(dict.fromkeys(present)):
        return None
    return kind_of_document({name: getattr(probe, name) for name in present})


def kind_of_document(document: Mapping[str, Any]) -> EventKind | None:
    """The kind a bare object says it is by its `schema`, or else shows by its shape."""
    if isinstance(document.get("schema"), str):
        kind = kind_of_schema(document)
        if kind is None:
            raise Refused("unknown_kind", "names a schema that is not known", "$.schema")
        return kind
    return next((kind for kind, names in _SHAPES if names <= document.keys()), None)


def kind_of_schema(document: Mapping[str, Any]) -> EventKind | None:
    """The kind that a bare object's `schema` names, None where it names nobody's of ours."""
    schema = document.get("schema")
    if not isinstance(schema, str):
        return None
    return kind_of_type(schema.encode(errors="replace"))


# The first whose fields are all there.
_SHAPES: tuple[tuple[EventKind, frozenset[str]], ...] = (
    ("prediction", frozenset({"model_version", "request_id"})),
    ("label", frozenset({"request_id", "label"})),
    ("label", frozenset({"request_id", "value"})),
    ("log", frozenset({"body"})),
    ("metric", frozenset({"name", "value"})),
    ("command", frozenset({"command", "target"})),
    ("change", frozenset({"kind", "model_name"})),
)

_Seen = msgspec.Raw | UnsetType


class _Probe(msgspec.Struct, gc=False):
    """The fields that tell kinds apart; all others are skipped unread."""

    specversion: _Seen = UNSET
    type: _Seen = UNSET
    data: _Seen = UNSET
    schema: str | UnsetType = UNSET
    model_name: _Seen = UNSET
    model_version: _Seen = UNSET
    request_id: _Seen = UNSET
    label: _Seen = UNSET
    value: _Seen = UNSET
    body: _Seen = UNSET
    name: _Seen = UNSET
    command: _Seen = UNSET
    target: _Seen = UNSET
    kind: _Seen = UNSET


_probe = msgspec.json.Decoder(_Probe).decode
