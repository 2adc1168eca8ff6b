"""Metrics as Telegraf's output data format `json` writes them."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.daemon.transport.codec.shipped import KINDS, NOW, record
from watchkeeper.daemon.transport.codec import Decoded, Reason, decode
from watchkeeper.daemon.transport.codec.foreign import MOST_EVENTS
from watchkeeper.daemon.transport.ports import Record
from watchkeeper.detectors.types import MetricFrame


def measured(**fields: object) -> dict[str, Any]:
    whole = {
        "fields": {"usage_idle": 97.5, "usage_user": 2},
        "name": "cpu",
        "tags": {"cpu": "cpu0", "host": "h1", "model_name": "fraud"},
        "timestamp": int(NOW),
    }
    return {**whole, **fields}


def read(document: object, topic: str = "m", max_bytes: int = 262_144) -> Decoded:
    return decode([record(document, topic)], KINDS, max_bytes=max_bytes)


def frame(decoded: Decoded) -> MetricFrame:
    (found,) = decoded.frames
    assert isinstance(found, MetricFrame)
    return found


@pytest.mark.parametrize("topic", ["m", "other"])
def test_each_field_is_a_metric(topic: str) -> None:
    decoded = read(measured(), topic)

    found = frame(decoded)
    assert decoded.dead == []
    assert found.model == "fraud"
    assert found.at.tolist() == [NOW, NOW]
    assert found.name.tolist() == ["cpu.usage_idle/cpu/cpu0", "cpu.usage_user/cpu/cpu0"]
    assert found.value.tolist() == [97.5, 2.0]
    assert found.host.tolist() == ["h1", "h1"]


@pytest.mark.parametrize("topic", ["m", "other"])
def test_a_record_may_be_a_batch(topic: str) -> None:
    ram = measured(name="mem", fields={"used": 1})

    found = frame(read({"metrics": [measured(), ram]}, topic))

    assert found.name.tolist()[2:] == ["mem.used/cpu/cpu0"]
    assert found.seq.tolist() == [0, 0, 0]


@pytest.mark.parametrize("unit", [1, 10**3, 10**6, 10**9])
def test_the_unit_of_the_time_is_told_by_its_digits(unit: int) -> None:
    stamp = int(NOW) * unit + unit // 4

    assert frame(read(measured(timestamp=stamp))).at[0] == NOW + (unit // 4) / unit


@pytest.mark.parametrize("stamp", [NOW + 0.25, "2026-03-01T13:00:00.25+01:00"])
def test_a_time_may_be_a_fraction_or_text(stamp: object) -> None:
    assert frame(read(measured(timestamp=stamp))).at[0] == NOW + 0.25


def test_truth_values_are_numbers_and_text_is_passed_over() -> None:
    fields = {"up": True, "down": False, "state": "ok", "gone": None, "nested": {"a": 1}}

    found = frame(read(measured(fields=fields, tags={"model_name": "m"})))

    assert dict(zip(found.name, found.value, strict=True)) == {"cpu.up": 1.0, "cpu.down": 0.0}
    assert found.host.tolist() == [None, None]


@pytest.mark.parametrize("tag", ["model_name", "ml.model.name", "service.name"])
def test_a_tag_names_the_model(tag: str) -> None:
    found = frame(read(measured(tags={tag: "m"})))

    assert (found.model, found.name[0]) == ("m", "cpu.usage_idle")


NAMED = {"model_name": "m"}
AT = "$.metrics[0]"
BAD: list[tuple[str, object, Reason, str]] = [
    ("no object", 1, "schema", AT),
    ("no name", measured(name=None), "schema", f"{AT}.name"),
    ("no fields", measured(fields=[]), "schema", f"{AT}.fields"),
    ("tags", measured(tags=[]), "schema", f"{AT}.tags"),
    ("a tag", measured(tags={"a": 1}), "schema", f"{AT}.tags.a"),
    ("no model", measured(tags={}), "schema", f"{AT}.tags"),
    ("a model's name", measured(tags={"model_name": "a b"}), "bad_name", f"{AT}.model_name"),
    ("a host", measured(tags={**NAMED, "host": "a\0"}), "encoding", "$.host"),
    ("no time", measured(timestamp=None), "schema", f"{AT}.timestamp"),
    ("time as text", measured(timestamp="soon"), "time", f"{AT}.time"),
    ("negative", measured(timestamp=-(10**10)), "time", f"{AT}.timestamp"),
    ("of no unit", measured(timestamp=1e20), "time", f"{AT}.timestamp"),
    ("tens of ms", measured(timestamp=int(NOW) * 100), "time", f"{AT}.time"),
    ("hundreds of ms", measured(timestamp=int(NOW) * 10), "time", f"{AT}.time"),
]


@pytest.mark.parametrize(
    ("bad", "reason", "path"), [each[1:] for each in BAD], ids=[e[0] for e in BAD]
)
def test_a_bad_measurement_is_dead_and_the_others_are_taken(
    bad: object, reason: Reason, path: str
) -> None:
    decoded = read({"metrics": [bad, measured()]})

    (letter,) = decoded.dead
    assert (letter.reason, letter.path) == (reason, path)
    assert msgspec.json.decode(letter.record.value or b"") == {"metrics": [bad]}
    assert "1 of 2 measurements" in letter.message
    assert len(frame(decoded)) == 2


def test_a_bad_single_one_is_dead_as_it_came() -> None:
    (letter,) = read(measured(tags={})).dead

    assert (letter.reason, letter.path) == ("schema", "$.tags")
    assert msgspec.json.decode(letter.record.value or b"") == measured(tags={})


def test_too_many_are_one_dead_letter() -> None:
    fields = {f"f{i}": 1 for i in range(MOST_EVENTS + 1)}

    decoded = read(measured(fields=fields))

    (letter,) = decoded.dead
    assert (letter.reason, decoded.frames) == ("too_large", [])


def test_native_metrics_are_read_beside_it() -> None:
    native = {
        "id": "m-1",
        "time": "2026-03-01T12:00:00Z",
        "model_name": "fraud",
        "name": "ram",
        "value": 0.5,
        "attributes": {"fields": 1, "name": "x", "timestamp": 2},
    }
    records = [
        Record("m", 0, i, NOW, None, msgspec.json.encode(each), ())
        for i, each in enumerate([native, measured(), native])
    ]

    decoded = decode(records, KINDS)

    assert decoded.dead == []
    assert sorted(frame(decoded).seq.tolist()) == [0, 1, 1, 2]


INTEGERS = st.integers(-(2**63), 2**64 - 1)
PLAIN = st.none() | st.booleans() | INTEGERS | st.floats(allow_nan=False) | st.text(max_size=5)
NAMES = st.sampled_from(["fields", "name", "tags", "timestamp", "host", "model_name", "a"])
JSON = st.recursive(
    PLAIN,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=4),
    max_leaves=20,
)


@given(st.dictionaries(st.sampled_from(["fields", "name", "tags", "timestamp"]), JSON))
def test_whatever_a_measurement_holds_costs_no_other(fields: dict[str, Any]) -> None:
    good = measured(name="good")

    decoded = read({"metrics": [measured(**fields), good]})

    found = [each for each in decoded.frames if isinstance(each, MetricFrame)]
    assert "good.usage_idle/cpu/cpu0" in [name for each in found for name in each.name]
    assert len(decoded.dead) <= 1


@given(JSON)
def test_whatever_comes_is_read_or_refused(content: object) -> None:
    decoded = read({"metrics": content, "x": {"fields": 1}})

    assert len(decoded.dead) <= 1


@pytest.mark.parametrize("topic", ["m", "other"])
def test_a_number_beyond_a_double_is_refused_and_the_rest_taken(topic: str) -> None:
    document = b'{"metrics": [%s, %s]}' % (
        msgspec.json.encode(measured()),
        msgspec.json.encode(measured(fields={"x": 1})).replace(b'"x":1', b'"x":1' + b"0" * 400),
    )

    decoded = read(document, topic)

    assert len(frame(decoded)) == 2
    assert [letter.reason for letter in decoded.dead] == ["number_out_of_range"]
