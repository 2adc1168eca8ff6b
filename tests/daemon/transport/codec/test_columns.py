"""Columns hold what the events say, whatever is mixed into a batch."""

from __future__ import annotations

import json
import math
from typing import Any

import msgspec
import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.examples import examples
from watchkeeper.daemon.transport.codec import decode
from watchkeeper.daemon.transport.codec.json import ROW_TYPES
from watchkeeper.daemon.transport.ports import Record
from watchkeeper.detectors.types import EVENT_TYPES, PredictionFrame

AT = 1_772_366_400.0
numbers = st.one_of(
    st.floats(allow_nan=False, allow_infinity=False),
    st.integers(-(2**63), 2**63 - 1),
    st.booleans(),
)
scalars = st.one_of(
    st.none(), numbers, st.text(st.characters(codec="utf-8", exclude_characters="\0"))
)
features = st.dictionaries(st.sampled_from("abcdef"), scalars, max_size=6)
predictions = st.fixed_dictionaries(
    {
        "id": st.just("e"),
        "time": st.just("2026-03-01T12:00:00Z"),
        "model_name": st.sampled_from(["m1", "m2"]),
        "model_version": st.sampled_from(["v1", "v2"]),
        "request_id": st.text("xyz", min_size=1, max_size=5),
        "features": features,
    },
    optional={
        "duration_s": st.one_of(st.none(), st.floats(0, 1e6)),
        "status": st.sampled_from(["ok", "error", "timeout"]),
        "entity_id": st.one_of(st.none(), st.just("someone")),
        "prediction": st.fixed_dictionaries(
            {},
            optional={
                "label": st.one_of(st.none(), st.text("01", min_size=1)),
                "score": st.floats(-1, 2),
                "value": st.floats(allow_nan=False, allow_infinity=False),
            },
        ),
    },
)


def number(value: Any) -> float:
    return math.nan if value is None or isinstance(value, str) else float(value)


def text(value: Any) -> str | None:
    return value if isinstance(value, str) else None


def check(frame: PredictionFrame, events: list[dict[str, Any]]) -> None:
    """The frame against its events, one value at a time."""
    rows = [events[i] for i in frame.seq]
    answers = [row.get("prediction", {}) for row in rows]
    assert {(frame.model, frame.version)} == {(r["model_name"], r["model_version"]) for r in rows}
    assert frame.at.tolist() == [AT] * len(rows)
    assert frame.request_id.tolist() == [r["request_id"] for r in rows]
    assert frame.entity.tolist() == [r.get("entity_id") for r in rows]
    assert frame.status.tolist() == [
        ("ok", "error", "timeout").index(r.get("status", "ok")) for r in rows
    ]
    assert frame.label.tolist() == [a.get("label") for a in answers]
    for column, values in (
        (frame.duration_s, [r.get("duration_s") for r in rows]),
        (frame.score, [a.get("score") for a in answers]),
        (frame.value, [a.get("value") for a in answers]),
    ):
        np.testing.assert_array_equal(column, [number(v) for v in values])
    assert frame.output_valid.tolist() == [0 <= a.get("score", 0.5) <= 1 for a in answers]
    for name in {name for row in rows for name in row["features"]}:
        values = [row["features"].get(name) for row in rows]
        if any(isinstance(v, str) for v in values):
            assert frame.categorical.pop(name).tolist() == [text(v) for v in values]
        if any(v is not None and not isinstance(v, str) for v in values):
            np.testing.assert_array_equal(frame.numeric.pop(name), [number(v) for v in values])
    assert not frame.numeric
    assert not frame.categorical


@settings(deadline=None)
@given(st.lists(predictions, max_size=12))
def test_columns_are_what_the_events_say(events: list[dict[str, Any]]) -> None:
    records = [Record("p", 0, i, AT, None, msgspec.json.encode(e)) for i, e in enumerate(events)]

    decoded = decode(records, {"p": "prediction"})

    assert not decoded.dead
    assert sorted(s for f in decoded.frames for s in f.seq.tolist()) == list(range(len(events)))
    for frame in decoded.frames:
        assert isinstance(frame, PredictionFrame)
        assert frame.seq.tolist() == sorted(frame.seq.tolist())
        check(frame, events)


def test_rows_have_the_fields_of_their_events() -> None:
    for kind, type_ in EVENT_TYPES.items():
        assert ROW_TYPES[kind].__struct_fields__ == (*type_.__struct_fields__, "schema")


json_values = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


def spoiled(event: dict[str, Any], change: dict[str, Any]) -> bytes:
    return json.dumps(event | change).encode()


values = st.one_of(
    st.none(),
    st.binary(max_size=60),
    st.builds(lambda v: spoiled({}, {"x": v}), json_values),
    st.builds(
        spoiled,
        predictions,
        st.dictionaries(
            st.sampled_from(
                [
                    "id",
                    "time",
                    "model_name",
                    "features",
                    "prediction",
                    "schema",
                    "type",
                    "data",
                    "specversion",
                    "body",
                    "name",
                    "command",
                    "target",
                    "zz",
                ]
            ),
            json_values,
            max_size=3,
        ),
    ),
)
headers = st.lists(
    st.tuples(
        st.sampled_from(["ce_type", "ce_id", "ce_time", "content-type", "x"]),
        st.one_of(
            st.none(),
            st.binary(max_size=10),
            st.sampled_from(
                [
                    b"watchkeeper.label.v1",
                    b"prediction.v1",
                    b"watchkeeper.prediction.v9",
                    b"application/cloudevents+json",
                    b"log.v1",
                    b"metric.v1",
                ]
            ),
        ),
    ),
    max_size=3,
).map(tuple)
records = st.builds(
    Record,
    st.sampled_from(["p", "c", "other"]),
    st.just(0),
    st.integers(0, 9),
    st.sampled_from([0.0, AT]),
    st.one_of(st.none(), st.just(b"k")),
    values,
    headers,
)


@settings(deadline=None, max_examples=examples(300))
@given(st.lists(records, max_size=6))
def test_every_record_ends_as_exactly_one_thing(batch: list[Record]) -> None:
    decoded = decode(batch, {"p": "prediction", "c": "command"}, now=AT)

    rows = sum(len(frame) for frame in decoded.frames)
    assert rows + len(decoded.commands) + len(decoded.dead) + decoded.tombstones == len(batch)
