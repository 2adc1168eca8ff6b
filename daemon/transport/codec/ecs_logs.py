"""Log records of the Elastic Common Schema, as Filebeat and ECS loggers write them, to `log.v1`.

Names are nested objects, dotted or both (`{"log": {"level": ...}}`, `{"log.level": ...}`). The
model is `labels.model_name`, else `model_name`, else `service.name`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from watchkeeper.daemon.transport.codec.refused import Refused

# Severity numbers are OpenTelemetry's; its mapping of syslog's words among others.
_LEVELS = {
    "trace": 1,
    "debug": 5,
    "info": 9,
    "information": 9,
    "informational": 9,
    "notice": 10,
    "warn": 13,
    "warning": 13,
    "error": 17,
    "err": 17,
    "severe": 17,
    "crit": 18,
    "critical": 18,
    "alert": 19,
    "emerg": 21,
    "emergency": 21,
    "fatal": 21,
    "panic": 21,
}
_INFO = 9
_MODEL = ("labels.model_name", "model_name", "service.name")
_BODY = ("message", "event.original", "error.message")
_KEPT = (
    "event.dataset",
    "event.outcome",
    "error.type",
    "host.name",
    "log.logger",
    "service.version",
)
_ABSENT = object()


def is_ecs_log(document: Mapping[str, Any]) -> bool:
    """Whether a JSON object is a record of the Elastic Common Schema."""
    return "@timestamp" in document and "body" not in document


def ecs_log(document: Mapping[str, Any], id_: str) -> dict[str, Any]:
    """The record as the fields of `log.v1`. `id_` names one that has no name of its own.
    Raises Refused."""
    level = _text(document, "log.level") or "info"
    event: dict[str, Any] = {
        "id": _text(document, "event.id") or id_,
        "time": document["@timestamp"],
        "model_name": _first(document, _MODEL, "names no model"),
        "body": _first(document, _BODY, "has no message"),
        "severity_number": _LEVELS.get(level.strip().lower(), _INFO),
        "severity_text": level,
    }
    for name, field in (("service_name", "service.name"), ("trace_id", "trace.id")):
        text = _text(document, field)
        if text:
            event[name] = text
    kept = {name: _text(document, name) for name in _KEPT}
    event["attributes"] = {name: text for name, text in kept.items() if text}
    return event


def _first(document: Mapping[str, Any], names: tuple[str, ...], lacking: str) -> str:
    for name in names:
        text = _text(document, name)
        if text:
            return text
    raise Refused("schema", f"{lacking}: there is none of {', '.join(names)}", f"$.{names[0]}")


def _text(document: Mapping[str, Any], name: str) -> str | None:
    """The text under a name, dotted or nested; None where there is none. Raises Refused."""
    value = _under(document, name)
    if value is _ABSENT or value is None:
        return None
    if not isinstance(value, str):
        raise Refused("schema", "is not a string", f"$.{name}")
    return value


def _under(document: Mapping[str, Any], name: str) -> object:
    if name in document:
        return document[name]
    head, dot, rest = name.partition(".")
    while dot:
        inner = document.get(head)
        if isinstance(inner, dict):
            found = _under(inner, rest)
            if found is not _ABSENT:
                return found
        more, dot, rest = rest.partition(".")
        head = f"{head}.{more}"
    return _ABSENT
