"""What all exports of OpenTelemetry share in their JSON form: attributes, values, times, models.

Field names and types are those of opentelemetry/proto/common/v1/common.proto: 64-bit integers are
strings or numbers.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec

from watchkeeper.daemon.transport.codec.refused import Refused

Attributes = dict[str, Any]

MODEL_KEYS = ("model_name", "ml.model.name")
_DEEPEST = 32  # nested values of a body or attribute
_INTEGER = re.compile(r"-?[0-9]{1,20}")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def resources_of(
    document: Mapping[str, Any], resources: str, scopes: str
) -> Iterator[tuple[str, Mapping[str, Any], Attributes]]:
    """Every scope of an export with its JSON path and its resource's attributes. Raises Refused
    where the frame is not OTLP's."""
    for i, of_resource in enumerate(list_in(document, resources, "$")):
        path = f"$.{resources}[{i}]"
        resource = object_of(object_of(of_resource, path).get("resource") or {}, f"{path}.resource")
        shared = attributes_of(resource, f"{path}.resource")
        for j, scope in enumerate(list_in(of_resource, scopes, path)):
            within = f"{path}.{scopes}[{j}]"
            yield within, object_of(scope, within), shared


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
    for i, each in enumerate(list_in(holder, "attributes", path)):
        here = f"{path}.attributes[{i}]"
        pair = object_of(each, here)
        key = pair.get("key")
        if not isinstance(key, str):
            raise Refused("schema", "has no key", here)
        value = value_of(pair.get("value"), f"{here}.value")
        found[key] = value if not isinstance(value, list | dict) else json_text(value)
    return found


def value_of(value: object, path: str, depth: int = 0) -> Any:
    """What an OTLP `AnyValue` holds, as Python has it. Raises Refused."""
    if depth > _DEEPEST:
        raise Refused("too_deep", f"holds values nested deeper than {_DEEPEST}", path)
    if value is None or value == {}:
        return None
    fields = object_of(value, path)
    if len(fields) != 1:
        raise Refused("schema", "is not exactly one value", path)
    ((name, inner),) = fields.items()
    if name in ("arrayValue", "kvlistValue"):
        within = f"{path}.{name}"
        values = list_in(object_of(inner, within), "values", within)
        if name == "arrayValue":
            return [value_of(each, within, depth + 1) for each in values]
        pairs = [object_of(each, within) for each in values]
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


def integer_of(value: object, path: str) -> int:
    """An integer of 64 bits, which may be written as text. Raises Refused."""
    if isinstance(value, str) and _INTEGER.fullmatch(value):
        value = int(value)
    if not isinstance(value, int) or isinstance(value, bool):
        raise Refused("schema", "is not an integer", path)
    if not -(2**63) <= value < 2**64:
        raise Refused("number_out_of_range", "integer beyond 64 bits", path)
    return value


def double_of(value: object, path: str) -> float:
    """A finite number. Raises Refused."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        finite = value not in ("NaN", "Infinity", "-Infinity")
        reason: Any = "schema" if finite else "number_not_finite"
        raise Refused(reason, "is not a finite number", path)
    try:
        number = float(value)
    except OverflowError:
        raise Refused("number_out_of_range", "is beyond a double", path) from None
    if not math.isfinite(number):
        raise Refused("number_not_finite", "is NaN or infinite", path)
    return number


_SCALARS = {
    "stringValue": _text_value,
    "bytesValue": _text_value,
    "boolValue": _bool_value,
    "intValue": integer_of,
    "doubleValue": double_of,
}


def time_of(fields: Mapping[str, Any], names: tuple[str, ...], path: str) -> datetime:
    """The first of these times that is given. Raises Refused."""
    for name in names:
        nanos = integer_of(fields.get(name) or 0, f"{path}.{name}")
        if nanos:
            try:
                return _EPOCH + timedelta(microseconds=(nanos + 500) // 1_000)
            except OverflowError as error:
                raise Refused("time", "is beyond the year 9999", f"{path}.{name}") from error
    raise Refused("time", "has no time", f"{path}.{names[0]}")


def object_of(value: object, path: str) -> dict[str, Any]:
    """The value, if it is an object. Raises Refused."""
    if not isinstance(value, dict):
        raise Refused("schema", "is not an object", path)
    return value


def list_in(holder: Mapping[str, Any], name: str, path: str) -> list[Any]:
    """The array under a name, empty where there is none. Raises Refused."""
    value = holder.get(name)
    if value is None:
        return []
    if not isinstance(value, list):
        raise Refused("schema", "is not an array", f"{path}.{name}")
    return value


def json_text(value: object) -> str:
    """The value as JSON text."""
    return msgspec.json.encode(value).decode()
