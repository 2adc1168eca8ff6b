"""Events and results to messages: CloudEvents in binary mode, JSON as data."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

import msgspec

from watchkeeper.daemon.transport.codec.cloudevents import TYPE_PREFIX
from watchkeeper.daemon.transport.ports import Message
from watchkeeper.detectors.types import EVENT_TYPES, Event

SOURCE = "/watchkeeper"
_KINDS = {type_: kind for kind, type_ in EVENT_TYPES.items()}
_encode = msgspec.json.Encoder(order="deterministic").encode


def encode(
    payload: msgspec.Struct | Mapping[str, Any] | None,
    *,
    topic: str,
    type_: str,
    id_: str,
    time: datetime,
    key: str | None = None,
    source: str = SOURCE,
    correlation_id: str | None = None,
) -> Message:
    """A CloudEvent of `type_`, as "incident.v1"; a payload of None is a tombstone for `key`.

    The same arguments give the same bytes.
    """
    attributes = {
        "ce_specversion": "1.0",
        "ce_type": TYPE_PREFIX + type_,
        "ce_id": id_,
        "ce_source": source,
        "ce_time": time.isoformat().replace("+00:00", "Z"),
    }
    if correlation_id is not None:
        attributes["ce_correlationid"] = correlation_id
    headers = [(name, value.encode()) for name, value in attributes.items()]
    headers.append(("content-type", b"application/json"))
    value = None if payload is None else _encode(payload)
    return Message(topic, None if key is None else key.encode(), value, tuple(headers))


def event_message(event: Event, topic: str, key: str | None = None) -> Message:
    """An event as an application publishes it; its key is the model's name if none is given."""
    if key is None:
        key = event.model_name or event.id
    return encode(
        event,
        topic=topic,
        type_=f"{_KINDS[type(event)]}.v1",
        id_=event.id,
        time=event.time,
        key=key,
        source=getattr(event, "source", None) or SOURCE,
    )
