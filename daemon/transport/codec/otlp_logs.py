"""OpenTelemetry's log records as OTLP/JSON has them: `ExportLogsServiceRequest` to `log.v1`.

One Kafka record holds many log records, as the Kafka exporter of the OpenTelemetry Collector
writes them with `encoding: otlp_json`. Field names and types are those of
opentelemetry/proto/logs/v1/logs.proto in its JSON form: 64-bit integers are strings or numbers.

The model is the attribute `model_name` or `ml.model.name` of the log record, else of its resource,
else the resource's `service.name`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from watchkeeper.daemon.transport.codec.otlp import (
    Attributes,
    attributes_of,
    json_text,
    list_in,
    model_of,
    object_of,
    resources_of,
    time_of,
    value_of,
)
from watchkeeper.daemon.transport.codec.refused import Refused

_RESOURCES, _SCOPES, _RECORDS = "resourceLogs", "scopeLogs", "logRecords"
_UNSPECIFIED = 9  # the severity of what names none: OpenTelemetry's INFO
_TIMES = ("timeUnixNano", "observedTimeUnixNano")
_WORDS = ("TRACE", "DEBUG", "INFO", "WARN", "ERROR", "FATAL")  # 1, 5, 9, 13, 17, 21


def is_otlp_logs(document: Mapping[str, Any]) -> bool:
    """Whether a JSON object is an export of OpenTelemetry log records."""
    return _RESOURCES in document


def log_records(document: Mapping[str, Any]) -> Iterator[tuple[str, Any, Attributes]]:
    """Every log record with its JSON path and its resource's attributes. Raises Refused where the
    frame around them is not OTLP's."""
    for within, scope, shared in resources_of(document, _RESOURCES, _SCOPES):
        for k, record in enumerate(list_in(scope, _RECORDS, within)):
            yield f"{within}.{_RECORDS}[{k}]", record, shared


def without_good(document: Mapping[str, Any], bad: set[str]) -> dict[str, Any]:
    """The document with only the log records of these paths, in the resources they were in."""
    resources = []
    for i, of_resource in enumerate(document[_RESOURCES]):
        scopes = []
        for j, scope in enumerate(of_resource.get(_SCOPES) or []):
            path = f"$.{_RESOURCES}[{i}].{_SCOPES}[{j}].{_RECORDS}"
            records = scope.get(_RECORDS) or []
            left = [each for k, each in enumerate(records) if f"{path}[{k}]" in bad]
            if left:
                scopes.append({**scope, _RECORDS: left})
        if scopes:
            resources.append({**of_resource, _SCOPES: scopes})
    return {**document, _RESOURCES: resources}


def log_of(record: object, path: str, shared: Attributes, id_: str) -> dict[str, Any]:
    """One log record as the fields of `log.v1`. `id_` names one that has no name of its own.
    Raises Refused."""
    fields = object_of(record, path)
    own = attributes_of(fields, path)
    event = {
        "id": str(own.get("log.record.uid") or id_)[:256],
        "time": time_of(fields, _TIMES, path),
        "model_name": model_of(own, shared, path),
        "body": _body(fields, path),
        "attributes": own,
        **_severity(fields, path),
    }
    service, trace = shared.get("service.name"), fields.get("traceId")
    if service:
        event["service_name"] = str(service)[:256]
    if trace:
        event["trace_id"] = trace
    return event


# ------------------------------------------------------------------------------------ its parts


def _body(fields: Mapping[str, Any], path: str) -> str:
    body = value_of(fields.get("body"), f"{path}.body")
    if isinstance(body, dict):
        # A structured record: its message is what is grouped.
        message = next((body[n] for n in ("message", "msg") if isinstance(body.get(n), str)), None)
        body = message if message is not None else body
    if body is None:
        body = fields.get("eventName")
    if body is None:
        raise Refused("schema", "has neither a body nor an event's name", f"{path}.body")
    return body if isinstance(body, str) else json_text(body)


def _severity(fields: Mapping[str, Any], path: str) -> dict[str, Any]:
    number, text = fields.get("severityNumber") or 0, fields.get("severityText") or ""
    if isinstance(number, bool) or not isinstance(number, int) or not 0 <= number <= 24:
        raise Refused("schema", "is no severity from 0 to 24", f"{path}.severityNumber")
    if not isinstance(text, str):
        raise Refused("schema", "is not a string", f"{path}.severityText")
    if not number:
        found = [i for i, word in enumerate(_WORDS) if text.upper().startswith(word)]
        number = 4 * found[0] + 1 if found else _UNSPECIFIED
    return {"severity_number": number, "severity_text": text or _WORDS[(number - 1) // 4]}
