"""Rows of Arrow batches one by one: slow, and what counts. It gives the reason of a bad row."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec

from watchkeeper.daemon.transport.codec.arrow import Batch
from watchkeeper.daemon.transport.codec.json import ROW_TYPES, Row, check_strings, invalid
from watchkeeper.daemon.transport.codec.refused import Refused
from watchkeeper.daemon.transport.codec.shapes import BulkKind

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_PER_SECOND = {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}
_OBJECTS = ("features", "prediction")


def row_of(kind: BulkKind, batch: Batch, i: int) -> Row:
    """One row as the event it is. Raises Refused."""
    from pyarrow import types

    event: dict[str, Any] = {}
    for name, column in batch.columns.items():
        value = _moment(column, i) if name == "time" else column[i].as_py()
        outer, dot, inner = name.partition(".")
        if value is None:
            continue
        if dot and outer in _OBJECTS:
            event.setdefault(outer, {})[inner] = value
        else:
            event[name] = dict(value) if types.is_map(column.type) else value
    answer = event.get("prediction")
    if isinstance(answer, dict) and isinstance(answer.get("probabilities"), list | dict):
        classes = answer["probabilities"]
        if isinstance(classes, list):
            classes = dict(classes)
        answer["probabilities"] = {n: v for n, v in classes.items() if v is not None}
    for path, number in _numbers(event, "$"):
        if not math.isfinite(number):
            raise Refused("number_not_finite", "is NaN or infinite", path)
    try:
        row = msgspec.convert(event, ROW_TYPES[kind])
    except msgspec.ValidationError as error:
        raise invalid(b"", error) from error
    check_strings(row)
    return row


def _moment(column: Any, i: int) -> Any:
    """The time of a row: a datetime, or what it is if that is none."""
    type_ = column.type
    unit = getattr(type_, "unit", None)
    if unit not in _PER_SECOND or not hasattr(type_, "tz"):
        return column[i].as_py()
    if type_.tz is None:
        raise Refused("time", "is a timestamp without a time zone", "$.time")
    value = column[i].value
    if value is None:
        return None
    try:
        return _EPOCH + timedelta(microseconds=micros_of(value, unit))
    except OverflowError as error:
        raise Refused("time", "is beyond the year 9999", "$.time") from error


def micros_of(value: Any, unit: str) -> Any:
    """A timestamp in microseconds, the half rounded up; for integers and arrays of them."""
    per = _PER_SECOND[unit]
    return (value + 500) // 1_000 if per > 10**6 else value * (10**6 // per)


def _numbers(value: Mapping[str, Any], path: str) -> Iterator[tuple[str, float]]:
    for name, inner in value.items():
        if isinstance(inner, float):
            yield f"{path}.{name}", inner
        elif isinstance(inner, dict):
            yield from _numbers(inner, f"{path}.{name}")
