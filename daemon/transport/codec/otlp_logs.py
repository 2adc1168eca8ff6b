"""OpenTelemetry's log records as OTLP/JSON has them: `ExportLogsServiceRequest` to `log.v1`.

One Kafka record holds many log records, as the Kafka exporter of the OpenTelemetry Collector
writes them with `encoding: otlp_json`. Field names and types are those of
opentelemetry/proto/logs/v1/logs.proto in its JSON form: 64-bit integers are strings or numbers.

The model is the attribute `model_name` or `ml.model.name` of the log record, else of its resource,
else the resource's `service.name`.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec

from watchkeeper.daemon.transport.codec.refused import Refused

Attributes = dict[str, Any]

MODEL_KEYS = ("model_name", "ml.model.name")
_RESOURCES, _SCOPES, _RECORDS = "resourceLogs", "scopeLogs", "logRecords"
_DEEPEST = 32  # nested values of a body or attribute
_UNSPECIFIED = 9  # the severity of what names none: OpenTelemetry's INFO
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_WORDS = ("TRACE", "DEBUG", "INFO", "WARN", "ERROR", "FATAL")  # 1, 5, 9, 13, 17, 21


def is_otlp_logs(document: Mapping[str, Any]) -> bool:
    """Whether a JSON object is an export of OpenTelemetry log records."""
    return _RESOURCES in document


def log_records(document: Mapping[str, Any]) -> Iterator[tuple[str, Any, Attributes]]:
    """Every log record with its JSON path and its resource's attributes. Raises Refused where the
    frame around them is not OTLP's."""
    for i, of_resource in enumerate(_list(document, _RESOURCES, "$")):
        path = f"$.{_RESOURCES}[{i}]"
        resource = _object(_object(of_resource, path).get("resource") or {}, f"{path}.resource")
        shared = attributes_of(resource, f"{path}.resource")
        for j, scope in enumerate(_list(of_resource, _SCOPES, path)):
            within = f"{path}.{_SCOPES}[{j}]"
            for k, record in enumerate(_list(_object(scope, within), _RECORDS, within)):
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
    fields = _object(record, path)
    own = attributes_of(fields, path)
    event = {
        "id": str(own.get("log.record.uid") or id_)[:256],
        "time": _time(fields, path),
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


def model_of(own: Attributes, shared: Attributes, path: str) -> str:
    """The model that a record is about, by its attributes and its resource's. Raises Refused."""
    for names in (own, shared):
        for key in MODEL_KEYS:
            if names.get(key):
                return str(names[key])
    if shared.get("service.name"):
        return str(shared["service.name"])
    wanted = ", ".join((*MODEL_KEYS, "service.name"))
    raise Refused("schema", f"names no model: there is none of {wanted}", f"{path}.attributes")


def attributes_of(holder: Mapping[str, Any], path: str) -> Attributes:
    """Attributes by name; what is no scalar is JSON text. Raises Refused."""
    found: Attributes = {}
    for i, each in enumerate(_list(holder, "attributes", path)):
        here = f"{path}.attributes[{i}]"
        pair = _object(each, here)
        key = pair.get("key")
        if not isinstance(key, str):
            raise Refused("schema", "has no key", here)
        value = value_of(pair.get("value"), f"{here}.value")
        found[key] = value if not isinstance(value, list | dict) else _text(value)
    return found


def value_of(value: object, path: str, depth: int = 0) -> Any:
    """What an OTLP `AnyValue` holds, as Python has it. Raises Refused."""
    if depth > _DEEPEST:
        raise Refused("too_deep", f"holds values nested deeper than {_DEEPEST}", path)
    if value is None or value == {}:
        return None
    fields = _object(value, path)
    if len(fields) != 1:
        raise Refused("schema", "is not exactly one value", path)
    ((name, inner),) = fields.items()
    if name in ("arrayValue", "kvlistValue"):
        within = f"{path}.{name}"
        values = _list(_object(inner, within), "values", within)
        if name == "arrayValue":
            return [value_of(each, within, depth + 1) for each in values]
        pairs = [_object(each, within) for each in values]
        return {str(p.get("key")): value_of(p.get("value"), within, depth + 1) for p in pairs}
    read = _SCALARS.get(name)
    if read is None:
        raise Refused("schema", f"{name} is not a value of OTLP", path)
    return read(inner, f"{path}.{name}")


# ------------------------------------------------------------------------------------ its parts


def _text_value(value: object, path: str) -> str:
    if not isinstance(value, str):
        raise Refused("schema", "is not a string", path)
    return value


def _bool_value(value: object, path: str) -> bool:
    if not isinstance(value, bool):
        raise Refused("schema", "is not true or false", path)
    return value


def _int_value(value: object, path: str) -> int:
    if isinstance(value, str) and len(value) <= 20 and value.lstrip("-").isdecimal():
        value = int(value)
    if not isinstance(value, int) or isinstance(value, bool):
        raise Refused("schema", "is not an integer", path)
    if not -(2**63) <= value < 2**64:
        raise Refused("number_out_of_range", "integer beyond 64 bits", path)
    return value


def _double_value(value: object, path: str) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        finite = value not in ("NaN", "Infinity", "-Infinity")
        reason: Any = "schema" if finite else "number_not_finite"
        raise Refused(reason, "is not a finite number", path)
    number = float(value)
    if not math.isfinite(number):
        raise Refused("number_not_finite", "is NaN or infinite", path)
    return number


_SCALARS = {
    "stringValue": _text_value,
    "bytesValue": _text_value,
    "boolValue": _bool_value,
    "intValue": _int_value,
    "doubleValue": _double_value,
}


def _time(fields: Mapping[str, Any], path: str) -> datetime:
    for name in ("timeUnixNano", "observedTimeUnixNano"):
        nanos = _int_value(fields.get(name) or 0, f"{path}.{name}")
        if nanos:
            try:
                return _EPOCH + timedelta(microseconds=(nanos + 500) // 1_000)
            except OverflowError as error:
                raise Refused("time", "is beyond the year 9999", f"{path}.{name}") from error
    raise Refused("time", "has no time", f"{path}.timeUnixNano")


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
    return body if isinstance(body, str) else _text(body)


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


def _object(value: object, path: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise Refused("schema", "is not an object", path)
    return value


def _list(holder: Mapping[str, Any], name: str, path: str) -> list[Any]:
    value = holder.get(name)
    if value is None:
        return []
    if not isinstance(value, list):
        raise Refused("schema", "is not an array", f"{path}.{name}")
    return value


def _text(value: object) -> str:
    return msgspec.json.encode(value).decode()
