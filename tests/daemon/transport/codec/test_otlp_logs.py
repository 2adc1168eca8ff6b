"""Records as the OpenTelemetry Collector's Kafka exporter writes them, whole and damaged."""

from __future__ import annotations

import copy
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.daemon.transport.codec.shipped import KINDS, NOW, damaged, record
from watchkeeper.daemon.transport.codec import Decoded, Reason, decode
from watchkeeper.detectors.types import LogFrame

NANOS = str(int(NOW) * 10**9)


def text(value: str) -> dict[str, str]:
    return {"stringValue": value}


def line(body: object = None, **fields: object) -> dict[str, Any]:
    whole = {
        "timeUnixNano": NANOS,
        "severityNumber": 17,
        "severityText": "ERROR",
        "body": text("feature store: timeout after 200 ms") if body is None else body,
        "attributes": [{"key": "pool", "value": text("a")}],
        "traceId": "5b8efff798038103d269b633813fc60c",
    }
    return {**whole, **fields}


def export(*lines: object, service: str | None = "fraud") -> dict[str, Any]:
    attributes = [{"key": "service.name", "value": text(service)}] if service else []
    scope = {"scope": {"name": "x"}, "logRecords": list(lines)}
    return {"resourceLogs": [{"resource": {"attributes": attributes}, "scopeLogs": [scope]}]}


def read(document: object, topic: str = "l") -> Decoded:
    return decode([record(document, topic)], KINDS)


def frame(decoded: Decoded) -> LogFrame:
    (found,) = decoded.frames
    assert isinstance(found, LogFrame)
    return found


def test_one_record_holds_many_log_records() -> None:
    decoded = read(export(line(), line(text("disk full"), severityNumber=9)))

    found = frame(decoded)
    assert decoded.dead == []
    assert found.model == "fraud"
    assert found.at.tolist() == [NOW, NOW]
    assert found.seq.tolist() == [0, 0]
    assert found.body.tolist() == ["feature store: timeout after 200 ms", "disk full"]
    assert found.severity_number.tolist() == [17, 9]


def test_it_is_known_by_its_shape_on_a_topic_of_any_kind() -> None:
    assert len(frame(read(export(line()), topic="other"))) == 1


def test_an_attribute_names_the_model_before_the_service_does() -> None:
    def named(key: str, value: str) -> dict[str, Any]:
        return line(attributes=[{"key": key, "value": text(value)}])

    found = [
        frame(read(export(named("model_name", "m1")))).model,
        frame(read(export(named("ml.model.name", "m2")))).model,
        frame(read(export(named("other", "m3")))).model,
    ]

    assert found == ["m1", "m2", "fraud"]


def test_the_time_of_observation_stands_in_for_none() -> None:
    found = frame(read(export(line(timeUnixNano="0", observedTimeUnixNano=int(NANOS)))))

    assert found.at.tolist() == [NOW]


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ({"intValue": "5"}, "5"),
        ({"boolValue": True}, "true"),
        ({"doubleValue": 0.5}, "0.5"),
        ({"arrayValue": {"values": [text("a"), {"intValue": 1}]}}, '["a",1]'),
        ({"kvlistValue": {"values": [{"key": "k", "value": text("v")}]}}, '{"k":"v"}'),
        ({"kvlistValue": {"values": [{"key": "message", "value": text("said")}]}}, "said"),
    ],
)
def test_bodies_of_every_type(body: object, expected: str) -> None:
    assert frame(read(export(line(body)))).body.tolist() == [expected]


def test_an_event_without_a_body_says_its_name() -> None:
    found = frame(read(export(line({}, eventName="model.reloaded"))))

    assert found.body.tolist() == ["model.reloaded"]


@pytest.mark.parametrize(
    ("fields", "number"),
    [
        ({"severityNumber": 0, "severityText": "Warning"}, 13),
        ({"severityNumber": 0, "severityText": "?"}, 9),
        ({"severityNumber": 21, "severityText": ""}, 21),
    ],
)
def test_severities(fields: dict[str, object], number: int) -> None:
    assert frame(read(export(line(**fields)))).severity_number.tolist() == [number]


AT = "$.resourceLogs[0].scopeLogs[0].logRecords[0]"
NAMELESS = [{"key": "model_name", "value": text("a b")}]
BAD: list[tuple[str, object, Reason, str]] = [
    ("no object", 1, "schema", AT),
    ("no body", line({}), "schema", f"{AT}.body"),
    ("body of no type", line(1), "schema", f"{AT}.body"),
    ("body of two types", line({"stringValue": "a", "intValue": 1}), "schema", f"{AT}.body"),
    ("body of a strange type", line({"xValue": 1}), "schema", f"{AT}.body"),
    ("body too long", line(text("x" * 65_537)), "schema", f"{AT}.body"),
    ("body with NUL", line(text("a\0")), "encoding", "$.body"),
    ("no time", line(timeUnixNano=None), "time", f"{AT}.timeUnixNano"),
    ("time of no number", line(timeUnixNano="x"), "schema", f"{AT}.timeUnixNano"),
    ("time too big", line(timeUnixNano="9" * 20), "number_out_of_range", f"{AT}.timeUnixNano"),
    ("time before 1990", line(timeUnixNano="1"), "time", f"{AT}.time"),
    ("time in the future", line(timeUnixNano="4" + NANOS[1:]), "time", f"{AT}.time"),
    ("severity beyond", line(severityNumber=25), "schema", f"{AT}.severityNumber"),
    ("severity as text", line(severityNumber="17"), "schema", f"{AT}.severityNumber"),
    ("severity text", line(severityText=1), "schema", f"{AT}.severityText"),
    ("attributes", line(attributes=1), "schema", f"{AT}.attributes"),
    ("attribute without a key", line(attributes=[{}]), "schema", f"{AT}.attributes[0]"),
    ("NaN", line({"doubleValue": "NaN"}), "number_not_finite", f"{AT}.body.doubleValue"),
    ("integer", line({"intValue": "1e3"}), "schema", f"{AT}.body.intValue"),
    ("two signs", line({"intValue": "--5"}), "schema", f"{AT}.body.intValue"),
    ("trace", line(traceId=1), "schema", f"{AT}.trace_id"),
    ("a name that is none", line(attributes=NAMELESS), "bad_name", f"{AT}.model_name"),
]


@pytest.mark.parametrize(
    ("bad", "reason", "path"), [each[1:] for each in BAD], ids=[e[0] for e in BAD]
)
def test_a_bad_log_record_is_dead_and_the_others_are_taken(
    bad: object, reason: Reason, path: str
) -> None:
    decoded = read(export(bad, line(text("fine"))))

    (letter,) = decoded.dead
    assert (letter.reason, letter.path) == (reason, path)
    assert frame(decoded).body.tolist() == ["fine"]


def test_the_dead_letter_holds_only_what_was_bad() -> None:
    whole = export(line({}), line(text("fine")), 7)
    whole["resourceLogs"].append(copy.deepcopy(export(line())["resourceLogs"][0]))

    (letter,) = read(whole).dead

    assert "2 of 4 log records" in letter.message
    assert msgspec.json.decode(letter.record.value or b"") == export(line({}), 7)


def test_deep_values_are_refused() -> None:
    body: dict[str, Any] = text("x")
    for _ in range(200):
        body = {"arrayValue": {"values": [body]}}

    (letter,) = read(export(line(body))).dead

    assert letter.reason == "too_deep"


@pytest.mark.parametrize(("document", "reason", "path"), damaged("resourceLogs", "scopeLogs"))
def test_a_damaged_export_is_one_dead_letter(document: object, reason: Reason, path: str) -> None:
    decoded = read(document)

    (letter,) = decoded.dead
    assert decoded.frames == []
    assert (letter.reason, letter.path) == (reason, path)


def test_a_log_without_a_model_is_refused() -> None:
    (letter,) = read(export(line(), service=None)).dead

    assert (letter.reason, letter.path) == ("schema", f"{AT}.attributes")
    assert "service.name" in letter.message


def test_an_empty_export_says_nothing() -> None:
    decoded = read({"resourceLogs": []})

    assert (decoded.frames, decoded.dead, decoded.tombstones) == ([], [], 0)


def test_it_is_not_read_on_a_topic_of_another_kind() -> None:
    (letter,) = read(export(line()), topic="p").dead

    assert letter.reason == "schema"


NAMES = ["resource", "scopeLogs", "logRecords", "body", "attributes", "key", "value", "values"]
NAMES += ["stringValue", "timeUnixNano", "kvlistValue"]
PLAIN = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5)
JSON = st.recursive(
    PLAIN,
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(NAMES), inner, max_size=4)
    ),
    max_leaves=20,
)


@given(JSON)
def test_whatever_comes_is_read_or_refused(content: object) -> None:
    decoded = read({"resourceLogs": content})

    assert len(decoded.dead) <= 1


@given(st.sampled_from(list(line())), JSON)
def test_whatever_a_field_holds_the_log_record_is_read_or_refused(
    name: str, content: object
) -> None:
    decoded = read(export(line(**{name: content})))

    assert len(decoded.dead) + len(decoded.frames) == 1
