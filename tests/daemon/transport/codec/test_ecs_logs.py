"""Records as Filebeat and the loggers of the Elastic Common Schema write them."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.daemon.transport.codec.shipped import KINDS, NOW, record
from watchkeeper.daemon.transport.codec import Decoded, Reason, decode
from watchkeeper.daemon.transport.ports import Record
from watchkeeper.detectors.types import LogFrame

NESTED: dict[str, Any] = {
    "@timestamp": "2026-03-01T12:00:00.000Z",
    "ecs": {"version": "8.11.0"},
    "log": {"level": "error", "logger": "store"},
    "message": "feature store: timeout after 200 ms",
    "service": {"name": "fraud"},
    "event": {"id": "e-1", "dataset": "app"},
    "trace": {"id": "5b8efff798038103d269b633813fc60c"},
}
DOTTED: dict[str, Any] = {
    "@timestamp": "2026-03-01T13:00:00.000+01:00",
    "log.level": "ERROR",
    "message": "feature store: timeout after 200 ms",
    "service.name": "fraud",
}


def read(document: object, topic: str = "l") -> Decoded:
    return decode([record(document, topic)], KINDS)


def frame(decoded: Decoded) -> LogFrame:
    (found,) = decoded.frames
    assert isinstance(found, LogFrame)
    return found


@pytest.mark.parametrize("document", [NESTED, DOTTED])
@pytest.mark.parametrize("topic", ["l", "other"])
def test_names_may_be_nested_or_dotted(document: dict[str, Any], topic: str) -> None:
    found = frame(read(document, topic))

    assert found.model == "fraud"
    assert found.at.tolist() == [NOW]
    assert found.severity_number.tolist() == [17]
    assert found.body.tolist() == ["feature store: timeout after 200 ms"]


def test_a_name_may_be_dotted_within_an_object() -> None:
    document = {**DOTTED, "service": {"environment": "x"}, "labels": {"model_name": "m"}}

    assert frame(read(document)).model == "m"


@pytest.mark.parametrize(
    ("level", "number"),
    [
        ("Trace", 1),
        ("debug", 5),
        ("notice", 10),
        ("WARN", 13),
        ("crit", 18),
        ("panic", 21),
        ("?", 9),
    ],
)
def test_levels_are_severities(level: str, number: int) -> None:
    assert frame(read({**DOTTED, "log.level": level})).severity_number.tolist() == [number]


def test_without_a_level_it_is_information() -> None:
    document = {name: value for name, value in DOTTED.items() if name != "log.level"}

    assert frame(read(document)).severity_number.tolist() == [9]


@pytest.mark.parametrize("name", ["event.original", "error.message"])
def test_another_text_stands_in_for_no_message(name: str) -> None:
    document = {n: v for n, v in DOTTED.items() if n != "message"}

    assert frame(read({**document, name: "said"})).body.tolist() == ["said"]


def test_many_records_make_one_frame() -> None:
    value = msgspec.json.encode(DOTTED)

    decoded = decode([Record("l", 0, i, NOW, None, value, ()) for i in range(3)], KINDS)

    assert frame(decoded).seq.tolist() == [0, 1, 2]


BAD: list[tuple[dict[str, Any], Reason, str]] = [
    ({"@timestamp": "yesterday"}, "time", "$.time"),
    ({"@timestamp": "2026-03-01T12:00:00"}, "time", "$.time"),
    ({"@timestamp": 1772366400000}, "time", "$.time"),
    ({"@timestamp": "1980-03-01T12:00:00Z"}, "time", "$.time"),
    ({"@timestamp": "2026-03-01T12:11:00Z"}, "time", "$.time"),
    ({"message": None}, "schema", "$.message"),
    ({"message": 5}, "schema", "$.message"),
    ({"message": "a\0b"}, "encoding", "$.body"),
    ({"message": "x" * 65_537}, "schema", "$.body"),
    ({"service.name": None}, "schema", "$.labels.model_name"),
    ({"service.name": "a b"}, "bad_name", "$.model_name"),
    ({"log.level": ["error"]}, "schema", "$.log.level"),
    ({"trace.id": 7}, "schema", "$.trace.id"),
]


@pytest.mark.parametrize(("fields", "reason", "path"), BAD)
def test_a_bad_record_is_one_dead_letter(fields: dict[str, Any], reason: Reason, path: str) -> None:
    decoded = read({**DOTTED, **fields})

    (letter,) = decoded.dead
    assert decoded.frames == []
    assert (letter.reason, letter.path) == (reason, path)


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (b'{"@timestamp": ', "syntax"),
        (b'["@timestamp"]', "not_an_object"),
        (b'{"@timestamp": "\xff"}', "encoding"),
        (b'{"@timestamp": 1e400}', "number_not_finite"),
    ],
)
def test_what_is_no_json_object_is_refused(value: bytes, reason: Reason) -> None:
    (letter,) = read(value).dead

    assert letter.reason == reason


def test_a_native_record_that_speaks_of_it_is_read_as_it_is() -> None:
    event = {
        "id": "g-1",
        "time": "2026-03-01T12:00:00Z",
        "model_name": "fraud",
        "body": 'saw "@timestamp" and "resourceLogs"',
    }

    assert frame(read(event)).body.tolist() == [event["body"]]


def test_it_is_not_read_on_a_topic_of_another_kind() -> None:
    (letter,) = read(DOTTED, topic="p").dead

    assert letter.reason == "schema"


PLAIN = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5)
NAMES = st.sampled_from(["name", "level", "id", "a.b", "model_name"])
JSON = st.recursive(
    PLAIN,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=4),
    max_leaves=12,
)


@given(st.dictionaries(st.sampled_from([*NESTED, *DOTTED, "labels"]), JSON))
def test_whatever_comes_is_read_or_refused(fields: dict[str, object]) -> None:
    decoded = read({**NESTED, **fields})

    assert len(decoded.dead) + len(decoded.frames) == 1
