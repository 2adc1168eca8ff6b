"""The messages of every topic, and their schemas: JSON Schema, and one AsyncAPI document.

All are made from the types that read and write the messages.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import msgspec

import watchkeeper
from watchkeeper.daemon.config.topics import Topics
from watchkeeper.daemon.reporting.messages import ActionMessage, IncidentMessage, ModelMessage
from watchkeeper.detectors.types import EVENT_TYPES, EventKind

DIALECT = "https://json-schema.org/draft/2020-12/schema"

READ: Mapping[str, EventKind] = {
    "predictions": "prediction",
    "labels": "label",
    "logs": "log",
    "metrics": "metric",
    "changes": "change",
    "commands": "command",
}
WRITTEN: Mapping[str, str] = {
    "incidents": "incident",
    "incidents_state": "incident",
    "actions": "action",
    "models_state": "model",
}
_OUT: Mapping[str, type[msgspec.Struct]] = {
    "incident": IncidentMessage,
    "action": ActionMessage,
    "model": ModelMessage,
}
_TYPES: dict[str, type[msgspec.Struct]] = dict(EVENT_TYPES.items()) | dict(_OUT)
_KEYS = {"incident": "The incident's id."}  # the key of its records; else it is the model's name

_DLQ = "dlq"

Schema = dict[str, Any]

_REFUSED: Schema = {
    "name": "refused",
    "summary": "A refused record, byte for byte; headers say why and where it came from.",
    "headers": {
        "type": "object",
        "properties": {
            f"{of}{name}": {"type": "string"}
            for of, names in (
                ("__connect.errors.", ("topic", "partition", "offset", "exception.message")),
                ("watchkeeper.error.", ("reason", "path")),
            )
            for name in names
        },
    },
}


def message_schemas() -> dict[str, Schema]:
    """One whole JSON Schema a message, by its name as "prediction.v1"."""
    return {f"{name}.v1": _schema(name, type_) for name, type_ in _TYPES.items()}


def asyncapi() -> Schema:
    """Every topic under its default name with its messages, as AsyncAPI 3.0 has it."""
    found, parts = msgspec.json.schema_components(
        _TYPES.values(), ref_template="#/components/schemas/{name}"
    )
    payloads = dict(zip(_TYPES, found, strict=True))
    topics = Topics()
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": "Watchkeeper",
            "version": watchkeeper.__version__,
            "description": "What Watchkeeper reads from Kafka and what it writes there.",
        },
        "defaultContentType": "application/json",
        "channels": {**_channels(topics), _DLQ: _refused_channel(topics)},
        "operations": {
            topic: {
                "action": "receive" if topic in READ else "send",
                "channel": {"$ref": f"#/channels/{topic}"},
            }
            for topic in (*READ, *WRITTEN, _DLQ)
        },
        "components": {
            "messages": {
                **{f"{name}.v1": _message(name, payload) for name, payload in payloads.items()},
                "refused": _REFUSED,
            },
            "schemas": parts,
        },
    }


def as_text(document: Schema) -> str:
    """A document as it stands in a file."""
    return json.dumps(document, indent=2, ensure_ascii=False) + "\n"


def _channels(topics: Topics) -> Schema:
    return {
        topic: {
            "address": topics.name(topic),
            "messages": {f"{name}.v1": {"$ref": f"#/components/messages/{name}.v1"}},
        }
        for topic, name in {**READ, **WRITTEN}.items()
    }


def _refused_channel(topics: Topics) -> Schema:
    return {
        "address": topics.name(_DLQ) + ".{topic}",
        "parameters": {"topic": {"description": "The topic that the records came from."}},
        "messages": {"refused": {"$ref": "#/components/messages/refused"}},
    }


def _schema(name: str, type_: type[msgspec.Struct]) -> Schema:
    (reference,), parts = msgspec.json.schema_components([type_], ref_template="#/$defs/{name}")
    own = parts.pop(reference["$ref"].rpartition("/")[2])
    head = {"$schema": DIALECT, "$id": f"urn:watchkeeper:{name}.v1"}
    whole: Schema = {**head, **own, "title": f"{name}.v1"}
    if name in EVENT_TYPES:
        # It tells the kind of a bare event: one without a CloudEvents type, in a shared topic.
        whole["properties"] = {**own["properties"], "schema": {"const": f"{name}.v1"}}
    if parts:
        whole["$defs"] = parts
    return whole


def _message(name: str, payload: Schema) -> Schema:
    text = {"type": "string"}
    headers = {
        "ce_specversion": {"const": "1.0"},
        "ce_type": {"const": f"watchkeeper.{name}.v1"},
        "ce_id": text,
        "ce_source": text,
        "ce_time": {**text, "format": "date-time"},
    }
    key = {**text, "description": _KEYS.get(name, "The model's name.")}
    message: Schema = {"name": f"watchkeeper.{name}.v1", "payload": payload}
    message["headers"] = {"type": "object", "properties": headers}
    if name in _OUT:
        message["headers"]["required"] = list(headers)
    message["bindings"] = {"kafka": {"key": key, "bindingVersion": "0.5.0"}}
    return message
