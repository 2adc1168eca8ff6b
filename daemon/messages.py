"""The JSON Schemas of all messages, made from the types that read and write them."""

from __future__ import annotations

import json
from collections.abc import Mapping

import msgspec

from watchkeeper.detectors.types import EVENT_TYPES
from watchkeeper.handlers.types import Action, Incident

DIALECT = "https://json-schema.org/draft/2020-12/schema"
_OUT: Mapping[str, type[msgspec.Struct]] = {"incident": Incident, "action": Action}


def message_schemas() -> dict[str, bytes]:
    """One document a message, by `<name>.v1`: those that are read, then those that are written."""
    types: dict[str, type[msgspec.Struct]] = dict(_OUT) | dict(EVENT_TYPES.items())
    return {f"{name}.v1": _document(name, kind) for name, kind in types.items()}


def _document(name: str, kind: type[msgspec.Struct]) -> bytes:
    schema = msgspec.json.schema(kind)
    head = {"$schema": DIALECT, "$id": f"urn:watchkeeper:{name}.v1", "title": f"{name}.v1"}
    return json.dumps(head | schema, indent=2, sort_keys=False).encode() + b"\n"
