"""JSON Schemas of every message, made from the types."""

from __future__ import annotations

from typing import Any

import msgspec

from watchkeeper.detectors.types import EVENT_TYPES
from watchkeeper.handlers.types import Action, Incident

_DIALECT = "https://json-schema.org/draft/2020-12/schema"
_BASE = "urn:watchkeeper:schema:"


def message_schemas() -> dict[str, dict[str, Any]]:
    """One whole JSON Schema a message, by its name as "prediction.v1"."""
    types: dict[str, type] = {f"{kind}.v1": type_ for kind, type_ in EVENT_TYPES.items()}
    types |= {"incident.v1": Incident, "action.v1": Action}
    return {name: _schema(name, type_) for name, type_ in types.items()}


def _schema(name: str, type_: type) -> dict[str, Any]:
    (reference,), components = msgspec.json.schema_components(
        [type_], ref_template="#/$defs/{name}"
    )
    own = components.pop(reference["$ref"].rpartition("/")[2])
    whole: dict[str, Any] = {"$schema": _DIALECT, "$id": _BASE + name, **own}
    # It tells the kind of a bare event: one without a CloudEvents type, in a topic of many kinds.
    whole["properties"] = {**own["properties"], "schema": {"const": name}}
    if components:
        whole["$defs"] = components
    return whole
