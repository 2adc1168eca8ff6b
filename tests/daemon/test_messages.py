"""The schemas tell what is really read and written.

After a change of messages: `UPDATE_DOCS=1 python -m pytest tests/daemon/test_messages.py`.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from tests.daemon.storage.examples import T0, action, incident
from watchkeeper.daemon.config import topics
from watchkeeper.daemon.core.step import Step
from watchkeeper.daemon.messages import READ, WRITTEN, as_text, asyncapi, message_schemas
from watchkeeper.daemon.reporting.links import Links
from watchkeeper.daemon.reporting.topics import TopicNames, order, rows_of
from watchkeeper.detectors.types import EVENT_TYPES, moment
from watchkeeper.handlers.types import IncidentState

ASYNCAPI = Path(__file__).parents[2] / "docs" / "asyncapi.json"
TYPES: dict[str, type] = {
    "null": type(None),
    "string": str,
    "boolean": bool,
    "array": list,
    "object": dict,
}


def published() -> list[tuple[str, Any]]:
    """The type and the data of everything that an incident and its action are worth."""
    step, names = Step(), TopicNames()
    before, after = incident(), incident(state=IncidentState.RESOLVED, revision=2)
    step.incident_changes += [(None, before), (before, after)]
    step.action_changes.append(action())
    rows = rows_of(step, names, Links(), T0)
    told = [(dict(row.headers)["ce_type"] or b"", row.payload or b"") for row in rows]
    asked = order("act-1", "fraud", "switch", {"version": "12"}, names, moment(T0), moment(T0 + 65))
    told.append((dict(asked.headers)["ce_type"] or b"", asked.value or b""))
    return [(kind.decode().removeprefix("watchkeeper."), json.loads(data)) for kind, data in told]


def faults(value: Any, schema: Any, whole: Any, at: str = "$") -> list[str]:
    """Where a value is not as its schema says; the part of JSON Schema that is used here."""
    if "$ref" in schema:
        return faults(value, whole["$defs"][schema["$ref"].rpartition("/")[2]], whole, at)
    if "anyOf" in schema:
        tried = [faults(value, each, whole, at) for each in schema["anyOf"]]
        return [] if not all(tried) else [f"{at}: none of {len(tried)}"]
    if "enum" in schema:
        return [] if value in schema["enum"] else [f"{at}: {value!r}"]
    kind = schema.get("type")
    if kind in ("number", "integer"):
        return [] if type(value) in (int, float) else [f"{at}: {value!r} is no {kind}"]
    if kind is not None and not isinstance(value, TYPES[kind]):
        return [f"{at}: {value!r} is no {kind}"]
    if kind == "array":
        return [
            f for i, v in enumerate(value) for f in faults(v, schema["items"], whole, f"{at}[{i}]")
        ]
    if kind != "object":
        return []
    known, rest = schema.get("properties", {}), schema.get("additionalProperties")
    found = [f"{at}.{name} is missing" for name in schema.get("required", ()) if name not in value]
    for name, part in value.items():
        inner = known.get(name, rest)
        found += (
            [f"{at}.{name} is unknown"]
            if inner is None
            else faults(part, inner, whole, f"{at}.{name}")
        )
    return found


def test_what_is_published_is_as_its_schema_says() -> None:
    schemas, told = message_schemas(), published()

    assert {name for name, _ in told} == {"incident.v1", "action.v1", "model.v1"}
    assert [f for name, data in told for f in faults(data, schemas[name], schemas[name])] == []


def test_the_check_of_schemas_finds_what_is_wrong() -> None:
    schema = message_schemas()["incident.v1"]
    data = next(data for name, data in published() if name == "incident.v1")

    wrong = {**data, "revision": "1", "fault": {**data["fault"], "class_": "x"}, "more": 1}
    del wrong["state"]

    assert sorted(fault.split()[0].rstrip(":") for fault in faults(wrong, schema, schema)) == [
        *("$.fault.class_", "$.more", "$.revision", "$.state")
    ]


@pytest.mark.parametrize("name", message_schemas())
def test_every_schema_is_whole(name: str) -> None:
    schema = message_schemas()[name]

    for reference in as_text(schema).split('"$ref": "#/$defs/')[1:]:
        assert reference.split('"')[0] in schema["$defs"]
    kind = name.removesuffix(".v1")
    is_read = schema["properties"].get("schema") == {"const": name}
    assert is_read == (kind in EVENT_TYPES)


def test_every_topic_has_its_message() -> None:
    document = asyncapi()

    assert (tuple(READ), tuple(WRITTEN)) == (topics.READ, topics.WRITTEN)
    assert set(document["channels"]) == {*READ, *WRITTEN, "dlq"}
    for channel in document["channels"].values():
        for reference in channel["messages"].values():
            assert reference["$ref"].rpartition("/")[2] in document["components"]["messages"]
    for reference in as_text(document).split('"$ref": "#/components/schemas/')[1:]:
        assert reference.split('"')[0] in document["components"]["schemas"]


def test_the_document_is_what_the_program_says() -> None:
    if os.environ.get("UPDATE_DOCS"):
        ASYNCAPI.write_text(as_text(asyncapi()), encoding="utf-8")

    assert ASYNCAPI.read_text(encoding="utf-8") == as_text(asyncapi())
