"""The ways an event may be written, the way out, and the way to a dead-letter topic and back."""

from __future__ import annotations

import base64
from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest

from watchkeeper.daemon.transport.codec import (
    DeadLetter,
    dead_letter_message,
    decode,
    encode,
    event_message,
    replayable,
)
from watchkeeper.daemon.transport.codec.deadletter import (
    LONGEST_KEY,
    LONGEST_VALUE,
    cut_parts,
    shortened,
)
from watchkeeper.daemon.transport.ports import Headers, Message, Record
from watchkeeper.detectors.types import (
    EVENT_TYPES,
    Change,
    ChangeFrame,
    Command,
    Event,
    Label,
    Log,
    Metric,
    Prediction,
    PredictionValue,
)

AT = datetime(2026, 3, 1, 12, tzinfo=UTC)
BASE: dict[str, Any] = {"id": "e-1", "time": AT, "model_name": "fraud"}
EVENTS: list[Event] = [
    Prediction(
        **BASE,
        model_version="v1",
        request_id="r",
        features={"a": 1.0},
        prediction=PredictionValue(score=0.5),
    ),
    Label(**BASE, request_id="r", label="1"),
    Log(**BASE, body="failed"),
    Metric(**BASE, name="cpu", value=0.5, host="h"),
    Change(**BASE, kind="deployment", model_version="v2"),
    Command(**BASE, command="approve", target="act-1"),
]
KINDS = [type(event).__name__.lower() for event in EVENTS]


def as_record(message: Message, headers: Headers | None = None) -> Record:
    kept = message.headers if headers is None else headers
    return Record(message.topic, 0, 0, AT.timestamp(), message.key, message.value, kept)


def said(record: Record) -> str:
    """The kind that the record was decoded as."""
    decoded = decode([record], {})
    assert not decoded.dead, decoded.dead
    if decoded.commands:
        return "command"
    (frame,) = decoded.frames
    assert frame.at.tolist() == [AT.timestamp()]
    return type(frame).__name__.removesuffix("Frame").lower()


@pytest.mark.parametrize("event", EVENTS, ids=KINDS)
def test_binary_mode_is_read(event: Event) -> None:
    assert said(as_record(event_message(event, "t"))) == type(event).__name__.lower()


@pytest.mark.parametrize("event", EVENTS, ids=KINDS)
def test_a_bare_event_is_known_by_its_shape(event: Event) -> None:
    assert said(as_record(event_message(event, "t"), ())) == type(event).__name__.lower()


@pytest.mark.parametrize("event", EVENTS, ids=KINDS)
def test_a_bare_event_is_known_by_its_schema(event: Event) -> None:
    kind = type(event).__name__.lower()
    value = msgspec.json.encode({**msgspec.to_builtins(event), "schema": f"{kind}.v1"})

    assert said(as_record(Message("t", None, value))) == kind


@pytest.mark.parametrize("in_base64", [False, True])
@pytest.mark.parametrize("event", EVENTS, ids=KINDS)
def test_structured_mode_is_read_and_fills_id_and_time(event: Event, in_base64: bool) -> None:
    kind = type(event).__name__.lower()
    data = msgspec.to_builtins(event)
    envelope = {
        "specversion": "1.0",
        "type": f"watchkeeper.{kind}.v1",
        "source": "/app",
        "id": data.pop("id"),
        "time": data.pop("time"),
    }
    raw = msgspec.json.encode(data)
    body: dict[str, Any] = (
        {"data_base64": base64.b64encode(raw).decode()} if in_base64 else {"data": data}
    )
    value = msgspec.json.encode(envelope | body)
    content = (("content-type", b"application/cloudevents+json; charset=UTF-8"),)

    assert said(as_record(Message("t", None, value, content))) == kind
    assert said(as_record(Message("t", None, value))) == kind


def test_binary_mode_fills_id_and_time() -> None:
    message = event_message(EVENTS[1], "t")
    data = msgspec.json.decode(message.value or b"")
    del data["id"], data["time"]

    assert (
        said(as_record(Message("t", None, msgspec.json.encode(data), message.headers))) == "label"
    )


def test_a_foreign_type_leaves_the_kind_to_the_topic() -> None:
    record = as_record(event_message(EVENTS[1], "t"), (("ce_type", b"com.example.truth"),))

    assert not decode([record], {"t": "label"}).dead


def test_the_headers_are_those_of_the_binding() -> None:
    message = encode(
        {"b": 1},
        topic="t",
        type_="incident.v1",
        id_="i-1",
        time=AT,
        key="k",
        correlation_id="inc-1",
    )

    assert message.headers == (
        ("ce_specversion", b"1.0"),
        ("ce_type", b"watchkeeper.incident.v1"),
        ("ce_id", b"i-1"),
        ("ce_source", b"/watchkeeper"),
        ("ce_time", b"2026-03-01T12:00:00Z"),
        ("ce_correlationid", b"inc-1"),
        ("content-type", b"application/json"),
    )
    assert (message.key, message.value) == (b"k", b'{"b":1}')


def test_no_payload_is_a_tombstone() -> None:
    message = encode(None, topic="t", type_="incident.v1", id_="i", time=AT, key="k")

    assert message.value is None
    assert decode([as_record(message)], {}).tombstones == 1


def test_changes_and_commands_come_back_whole() -> None:
    change, command = EVENTS[4], EVENTS[5]

    decoded = decode([as_record(event_message(e, "t")) for e in (change, command)], {})

    (frame,) = decoded.frames
    assert isinstance(frame, ChangeFrame)
    assert frame.events.tolist() == [change]
    assert decoded.commands == [command]


def test_a_dead_letter_can_be_replayed() -> None:
    record = Record("t", 3, 7, 1.0, b"k", b"\xff", (("own", b"1"), ("null", None)))
    message = dead_letter_message(DeadLetter(record, "encoding", "$.id", "is not UTF-8"))

    headers = dict(message.headers)
    assert message.topic == "dlq.t"
    assert headers["__connect.errors.topic"] == b"t"
    assert headers["__connect.errors.partition"] == b"3"
    assert headers["__connect.errors.offset"] == b"7"
    assert headers["watchkeeper.error.reason"] == b"encoding"
    assert headers["watchkeeper.error.path"] == b"$.id"
    assert replayable(message) == Message("t", b"k", b"\xff", record.headers)


def test_a_letter_that_died_again_names_its_last_death_once() -> None:
    first = dead_letter_message(DeadLetter(Record("t", 0, 1, 1.0, b"k", b"x"), "syntax"))
    again = Record("t", 0, 9, 2.0, b"k", b"x", first.headers)

    second = dead_letter_message(DeadLetter(again, "schema"))

    assert [v for n, v in second.headers if n == "__connect.errors.offset"] == [b"9"]


def test_a_long_value_is_cut_and_cannot_be_replayed() -> None:
    record = Record("t", 0, 1, 1.0, b"k", b"x" * (LONGEST_VALUE + 1))
    message = dead_letter_message(DeadLetter(record, "too_large"), prefix="dead.")

    assert len(message.value or b"") == LONGEST_VALUE
    with pytest.raises(ValueError, match="was cut"):
        replayable(message)


def test_what_a_broker_takes_is_put_away_whole() -> None:
    value, key = b"x" * LONGEST_VALUE, b"k" * LONGEST_KEY
    record = Record("t", 0, 1, 1.0, key, value, (("trace", b"\xff" * 60_000), ("none", None)))

    assert shortened(record) == record
    assert cut_parts(record.headers) == {}
    assert replayable(dead_letter_message(DeadLetter(record, "syntax"))) == Message(
        "t", key, value, record.headers
    )


@pytest.mark.parametrize(
    ("changed", "parts"),
    [
        ({"value": b"x" * 60_000_000}, {"value": 60_000_000}),
        ({"key": b"k" * 1_000_000}, {"key": 1_000_000}),
        ({"headers": (("trace", b"x" * 1_000_000), ("none", None))}, {"headers": 1_000_013}),
        ({"headers": (("a", b""),) * 40_000}, {"headers": 120_000}),
        ({"headers": (("\u00e9" * 40_000, b""),)}, {"headers": 80_002}),
        (
            {"value": b"x" * 1_000_000, "key": b"k" * 40_000},
            {"value": 1_000_000, "key": 40_000},
        ),
    ],
    ids=["value", "key", "headers", "many headers", "long names", "both"],
)
def test_what_is_put_away_of_a_record_is_no_more_than_a_broker_takes(
    changed: dict[str, Any], parts: dict[str, int]
) -> None:
    record = msgspec.structs.replace(Record("t", 3, 7, 1.0, b"k", b"x"), **changed)

    kept, message = shortened(record), dead_letter_message(DeadLetter(record, "too_large"))

    assert cut_parts(kept.headers) == cut_parts(message.headers) == parts
    assert shortened(kept) == kept
    for key, value, headers in (
        (kept.key, kept.value, kept.headers),
        (message.key, message.value, message.headers),
    ):
        said = sum(len(name) + len(text or b"") for name, text in headers)
        assert len(key or b"") + len(value or b"") + said < 1_000_000
    assert (record.value or b"").startswith(kept.value or b"")
    assert (record.key or b"").startswith(kept.key or b"")
    with pytest.raises(ValueError, match="was cut"):
        replayable(message)


@pytest.mark.parametrize("text", [None, b"", b"\xff", b"1e9", b"9" * 5_000])
def test_a_mark_of_somebody_else_is_no_fault(text: bytes | None) -> None:
    assert cut_parts((("watchkeeper.error.value.size", text),)) == {"value": 0}


def test_what_is_no_dead_letter_cannot_be_replayed() -> None:
    with pytest.raises(ValueError, match="not a dead letter"):
        replayable(Message("t", None, b""))


def disguised(event: Event, form: str) -> Record:
    """The event as one that says by itself what it is."""
    message, kind = event_message(event, "t"), type(event).__name__.lower()
    data = msgspec.json.decode(message.value or b"")
    if form == "binary":
        return as_record(message)
    if form == "schema":
        named = msgspec.json.encode({**data, "schema": f"{kind}.v1"})
        return as_record(Message("t", b"k", named), ())
    whole = {"specversion": "1.0", "type": f"watchkeeper.{kind}.v1", "data": data}
    told = (("content-type", b"application/cloudevents+json"),) if form == "declared" else ()
    return as_record(Message("t", b"k", msgspec.json.encode(whole)), told)


@pytest.mark.parametrize("form", ["binary", "schema", "structured", "declared"])
@pytest.mark.parametrize("event", EVENTS, ids=KINDS)
def test_a_topic_takes_no_other_kind_however_it_is_named(event: Event, form: str) -> None:
    mine = type(event).__name__.lower()
    record = disguised(event, form)

    for kind in EVENT_TYPES:
        decoded = decode([record], {"t": kind})
        if kind == mine:
            assert not decoded.dead
        else:
            assert [each.reason for each in decoded.dead] == ["wrong_topic"]
            assert not decoded.commands
            assert not decoded.frames


def test_a_bare_command_among_undeclared_events_is_no_command() -> None:
    bare = as_record(event_message(EVENTS[-1], "t"), (("content-type", b"application/json"),))
    declared = as_record(
        event_message(EVENTS[-1], "t"), (("content-type", b"application/cloudevents+json"),)
    )

    decoded = decode([bare, declared], {"t": "prediction"})

    assert [each.reason for each in decoded.dead] == ["schema", "wrong_topic"]
    assert decoded.commands == []
