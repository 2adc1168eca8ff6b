"""Events, and tables by hand, as Arrow streams, and what was read of them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest

from tests.daemon.transport.codec.test_bulk import rows_of
from watchkeeper.daemon.transport.codec import Decoded, decode
from watchkeeper.daemon.transport.ports import Headers, Message, Record
from watchkeeper.detectors.types import EventKind, Label, Prediction, PredictionValue

arrow = pytest.importorskip("pyarrow", reason="needs the extra `parquet`")
AT = datetime(2026, 3, 1, 12, tzinfo=UTC)
KINDS: dict[str, EventKind] = {"p": "prediction", "l": "label"}
ARROW: Headers = (("content-type", b"application/vnd.apache.arrow.stream"),)


def prediction(i: int = 0, **changed: Any) -> Prediction:
    given: dict[str, Any] = {
        "id": f"e{i}",
        "time": AT + timedelta(microseconds=i),
        "model_name": f"m{i % 2}",
        "model_version": f"{i % 3}",
        "request_id": f"r{i}",
        "features": {"a": i / 7, "b": "xy"[i % 2], "c": None if i % 2 else True, "n": i},
        "prediction": PredictionValue(label="yes", score=0.5),
        "duration_s": 0.1,
        "entity_id": None if i % 2 else f"someone {i}",
        "status": ("ok", "error", "timeout")[i % 3],
    }
    return Prediction(**given | changed)


def label(i: int = 0, **changed: Any) -> Label:
    given: dict[str, Any] = {
        "id": f"l{i}",
        "time": AT,
        "model_name": "m",
        "request_id": f"r{i}",
        "label": "yes",
    }
    return Label(**given | changed)


def record(message: Message, offset: int = 7) -> Record:
    return Record(
        message.topic, 0, offset, AT.timestamp(), message.key, message.value, message.headers
    )


def table(columns: dict[str, Any], topic: str = "p", **options: Any) -> Record:
    made = arrow.table(columns)
    sink = arrow.BufferOutputStream()
    with arrow.ipc.new_stream(sink, made.schema, **options) as stream:
        stream.write_table(made)
    value = sink.getvalue().to_pybytes()
    return Record(topic, 0, 7, AT.timestamp(), b"k", value, ARROW)


def columns(events: Sequence[Prediction], **changed: Any) -> dict[str, Any]:
    """A table by hand, with the fields of structs beside the others."""
    made = {
        "id": [e.id for e in events],
        "time": [e.time.isoformat() for e in events],
        "model_name": [e.model_name for e in events],
        "model_version": [e.model_version for e in events],
        "request_id": [e.request_id for e in events],
        "features.a": [e.features["a"] for e in events],
    }
    return {n: c for n, c in (made | changed).items() if c is not None}


def wide(rows: int, features: int = 14) -> list[Prediction]:
    """Events with numbers that have nothing in common."""
    names = [f"n{k}" for k in range(features)]
    return [
        prediction(i, features={n: 1 / (i * features + k + 1) for k, n in enumerate(names)})
        for i in range(rows)
    ]


def as_json(events: Sequence[Prediction] | Sequence[Label], topic: str) -> Decoded:
    return decode(
        [
            Record(topic, 0, 7, AT.timestamp(), None, msgspec.json.encode(event), ())
            for event in events
        ],
        KINDS,
    )


def rows(decoded: Decoded) -> list[Any]:
    """The rows in order of arrival, without their places."""
    found = []
    for frame in decoded.all_frames():
        one = Decoded(frames=[frame])
        for i in range(len(frame)):
            cut = Decoded(frames=[frame.take(slice(i, i + 1))])
            (row,) = rows_of(cut).values()
            found.append((row[0], {n: c for n, c in row[1].items() if n != "seq"}, *row[2:]))
        assert len(one.frames) == 1
    return sorted(found, key=lambda row: str(row[1]["request_id"]))
