"""Metrics of Telegraf, as its output data format `json` writes them, to `metric.v1`.

A record holds one object or a batch, `{"metrics": [...]}`. Each number or truth value among the
fields is a gauge named `NAME.FIELD`; text and what is nested is passed over. Telegraf does not say
which fields only grow, so they are gauges too. Tags go into the name (see `naming`), but for those
that name the model (`model_name`, `ml.model.name`, else `service.name`) and the `host`.

`json_timestamp_units` may be 1s, 1ms, 1us or 1ns: which of them is told by the number of digits.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from watchkeeper.daemon.transport.codec.naming import named
from watchkeeper.daemon.transport.codec.otlp import double_of
from watchkeeper.daemon.transport.codec.refused import Refused

_MODEL_TAGS = ("model_name", "ml.model.name", "service.name")
_HOST_TAGS = ("host", "host.name")
_NOT_IN_NAMES = frozenset((*_MODEL_TAGS, *_HOST_TAGS))
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
# Units by the first number that is too big for them: each ends in the year 5138.
_UNITS = ((10**11, 1), (10**14, 10**3), (10**17, 10**6), (10**20, 10**9))


def is_telegraf(document: Mapping[str, Any]) -> bool:
    """Whether a JSON object is what Telegraf writes."""
    if "id" in document or "schema" in document:
        return False
    return isinstance(document.get("metrics"), list) or (
        "fields" in document and "name" in document and "timestamp" in document
    )


def measurements(document: Mapping[str, Any]) -> Iterator[tuple[str, Any, None]]:
    """Every measurement with its JSON path."""
    batch = document.get("metrics")
    if not isinstance(batch, list):
        yield "$", document, None
        return
    for i, each in enumerate(batch):
        yield f"$.metrics[{i}]", each, None


def without_good(document: Mapping[str, Any], bad: set[str]) -> dict[str, Any]:
    """The document with only the measurements of these paths."""
    if "$" in bad:
        return dict(document)
    left = [each for i, each in enumerate(document["metrics"]) if f"$.metrics[{i}]" in bad]
    return {**document, "metrics": left}


def metrics_of(measured: object, path: str, _: None, id_: str) -> list[dict[str, Any]]:
    """One measurement as the fields of `metric.v1`, of an event for each of its fields that is a
    number; `id_` names it. Raises Refused."""
    if not isinstance(measured, dict):
        raise Refused("schema", "is not an object", path)
    name = measured.get("name")
    if not isinstance(name, str) or not name:
        raise Refused("schema", "has no name", f"{path}.name")
    fields = measured.get("fields")
    if not isinstance(fields, dict):
        raise Refused("schema", "is not an object", f"{path}.fields")
    tags = _tags(measured, path)
    shared = {"time": _time(measured.get("timestamp"), path), "model_name": _model(tags, path)}
    host = next((tags[key] for key in _HOST_TAGS if tags.get(key)), None)
    if host:
        shared["host"] = host
    apart = {key: value for key, value in tags.items() if key not in _NOT_IN_NAMES}
    numbers = [(f, v) for f, v in fields.items() if isinstance(v, bool | int | float)]
    return [
        {
            **shared,
            "id": f"{id_}/{i}",
            "name": named(f"{name}.{field}", apart),
            "value": float(value) if isinstance(value, bool) else double_of(value, path),
        }
        for i, (field, value) in enumerate(numbers)
    ]


def _tags(measured: Mapping[str, Any], path: str) -> dict[str, str]:
    tags = measured.get("tags")
    if tags is None:
        return {}
    if not isinstance(tags, dict):
        raise Refused("schema", "is not an object", f"{path}.tags")
    for key, value in tags.items():
        if not isinstance(value, str):
            raise Refused("schema", "is not a string", f"{path}.tags.{key}")
    return tags


def _model(tags: Mapping[str, str], path: str) -> str:
    for key in _MODEL_TAGS:
        if tags.get(key):
            return tags[key]
    wanted = ", ".join(_MODEL_TAGS)
    raise Refused("schema", f"names no model: there is none of {wanted}", f"{path}.tags")


def _time(stamp: object, path: str) -> datetime | str:
    """The moment; text (`json_timestamp_format`) is left to who checks times."""
    if isinstance(stamp, str):
        return stamp
    here = f"{path}.timestamp"
    if isinstance(stamp, bool) or not isinstance(stamp, int | float):
        raise Refused("schema", "is neither a number nor a time", here)
    for beyond, unit in _UNITS:
        if 0 <= stamp < beyond:
            return _moment(stamp, unit)
    raise Refused("time", "is before 1970 or beyond every unit", here)


def _moment(stamp: int | float, unit: int) -> datetime:
    whole = math.floor(stamp)
    seconds, rest = divmod(whole, unit)
    micros = round((rest + stamp - whole) * 10**6 / unit)
    return _EPOCH + timedelta(seconds=seconds, microseconds=micros)
