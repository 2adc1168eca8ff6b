"""Events to a record that holds many of them: an Arrow IPC stream."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from watchkeeper.daemon.transport.codec.arrow import (
    CONTENT_TYPE,
    MOST_ROWS,
    check_schema,
    check_values,
)
from watchkeeper.daemon.transport.codec.arrow_size import size_of
from watchkeeper.daemon.transport.codec.deadletter import LONGEST_VALUE
from watchkeeper.daemon.transport.codec.encode import event_message
from watchkeeper.daemon.transport.codec.refused import Refused
from watchkeeper.daemon.transport.ports import Message
from watchkeeper.detectors.events import Label, Prediction, PredictionValue


def stream_message(
    events: Sequence[Prediction] | Sequence[Label], topic: str, key: str | None = None
) -> Message:
    """Predictions or labels as an application publishes many in one record.

    Its key is the model's name if none is given; the attributes of the CloudEvent are those of the
    first event. Needs pyarrow. Raises ValueError for no events, for more of them or of their bytes
    than a record may hold, and for a feature that is a number in one and text in another.
    """
    import pyarrow as arrow

    if not 0 < len(events) <= MOST_ROWS:
        raise ValueError(f"a record holds 1 to {MOST_ROWS} events, not {len(events)}")
    columns = {
        name: _column(arrow, name, [getattr(event, name) for event in events])
        for name in events[0].__struct_fields__
    }
    table = arrow.table({n: c for n, c in columns.items() if c.null_count < len(events)})
    sink = arrow.BufferOutputStream()
    with arrow.ipc.new_stream(sink, table.schema) as stream:
        stream.write_table(table)
    value = sink.getvalue().to_pybytes()
    _check(arrow, table, value)
    first = event_message(events[0], topic, key)
    headers = [header for header in first.headers if header[0] != "content-type"]
    headers.append(("content-type", CONTENT_TYPE))
    return Message(topic, first.key, value, tuple(headers))


def _check(arrow: Any, table: Any, value: bytes) -> None:
    """Raises ValueError for what would be refused, or be cut where it is put away."""
    fewer = f"give fewer than {len(table)} events at once"
    if len(value) > LONGEST_VALUE:
        raise ValueError(f"the record has {len(value)} bytes, more than {LONGEST_VALUE}: {fewer}")
    try:
        check_schema(arrow, table.schema)
        columns = [column for batch in table.to_batches() for column in batch.columns]
        check_values(sum(size_of(arrow, column) for column in columns))
    except Refused as refused:
        raise ValueError(f"the record would be refused: {refused.message}: {fewer}") from refused


def _column(arrow: Any, name: str, values: list[Any]) -> Any:
    make = _STRUCTS.get(name)
    if make is not None:
        return make(arrow, values)
    if name == "time":
        return arrow.array(values, arrow.timestamp("us", "UTC"))
    if name == "segment":
        return arrow.array([[*v.items()] or None for v in values], _map(arrow, arrow.string()))
    return arrow.array(values)


def _features(arrow: Any, rows: list[dict[str, Any]]) -> Any:
    names = sorted({name for row in rows for name in row})
    columns = [_feature(arrow, name, [row.get(name) for row in rows]) for name in names]
    if not names:
        return arrow.nulls(len(rows))
    return arrow.StructArray.from_arrays(columns, names)


def _feature(arrow: Any, name: str, values: list[Any]) -> Any:
    types = {type(value) for value in values} - {type(None)}
    if types <= {str}:
        return arrow.array(values, arrow.string()).dictionary_encode()
    if str in types:
        raise ValueError(f"the feature {name} is a number in one event and text in another")
    if types == {bool} or types == {int}:
        return arrow.array(values)
    return arrow.array([None if v is None else float(v) for v in values], arrow.float64())


def _answers(arrow: Any, answers: list[PredictionValue]) -> Any:
    types = {
        "label": arrow.string(),
        "score": arrow.float64(),
        "value": arrow.float64(),
        "probabilities": _map(arrow, arrow.float64()),
    }
    columns: dict[str, Any] = {}
    for name, type_ in types.items():
        values = [getattr(answer, name) for answer in answers]
        if name == "probabilities":
            values = [None if value is None else [*value.items()] for value in values]
        if any(value is not None for value in values):
            columns[name] = arrow.array(values, type_)
    if not columns:
        return arrow.nulls(len(answers))
    return arrow.StructArray.from_arrays([*columns.values()], [*columns])


def _map(arrow: Any, values: Any) -> Any:
    return arrow.map_(arrow.string(), values)


_STRUCTS: dict[str, Callable[[Any, Any], Any]] = {"features": _features, "prediction": _answers}
