"""Metrics as the OpenTelemetry Collector's Kafka exporter writes them, whole and damaged."""

from __future__ import annotations

import copy
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.daemon.transport.codec.shipped import KINDS, NOW, damaged, record
from watchkeeper.daemon.transport.codec import Decoded, Reason, decode
from watchkeeper.daemon.transport.codec.foreign import MOST_EVENTS, foreign
from watchkeeper.daemon.transport.codec.otlp import double_of
from watchkeeper.daemon.transport.codec.refused import Refused
from watchkeeper.detectors.types import MetricFrame

END = str(int(NOW) * 10**9)
BEGIN = str((int(NOW) - 10) * 10**9)


def pair(key: str, value: str) -> dict[str, Any]:
    return {"key": key, "value": {"stringValue": value}}


def point(**fields: object) -> dict[str, Any]:
    return {"timeUnixNano": END, "startTimeUnixNano": BEGIN, "asDouble": 0.5, **fields}


def metric(type_: str, *points: object, **fields: object) -> dict[str, Any]:
    return {"name": "load", "unit": "1", type_: {**fields, "dataPoints": list(points)}}


def export(*metrics: object, service: str | None = "fraud") -> dict[str, Any]:
    attributes = [pair("service.name", service)] if service else []
    resource = {"attributes": [*attributes, pair("host.name", "h1")]}
    scope = {"scope": {"name": "x"}, "metrics": list(metrics)}
    return {"resourceMetrics": [{"resource": resource, "scopeMetrics": [scope]}]}


def read(document: object, topic: str = "m") -> Decoded:
    return decode([record(document, topic)], KINDS)


def frame(decoded: Decoded) -> MetricFrame:
    (found,) = decoded.frames
    assert isinstance(found, MetricFrame)
    return found


def values(*metrics: object) -> dict[str, float]:
    decoded = read(export(*metrics))
    assert decoded.dead == []
    found = frame(decoded)
    return dict(zip(found.name.tolist(), found.value.tolist(), strict=True))


def kinds(*metrics: object) -> dict[str, str]:
    whole = record(export(*metrics), "m")
    found = foreign(whole, whole.value or b"", "metric", float("inf"))
    assert found is not None
    return {row.name: row.kind for row in found.rows}


def test_one_record_holds_many_data_points() -> None:
    decoded = read(export(metric("gauge", point()), {**metric("gauge", point()), "name": "ram"}))

    found = frame(decoded)
    assert decoded.dead == []
    assert found.model == "fraud"
    assert found.at.tolist() == [NOW, NOW]
    assert found.seq.tolist() == [0, 0]
    assert found.name.tolist() == ["load", "ram"]
    assert found.host.tolist() == ["h1", "h1"]


def test_it_is_known_by_its_shape_on_a_topic_of_any_kind() -> None:
    assert len(frame(read(export(metric("gauge", point())), topic="other"))) == 1


@pytest.mark.parametrize("given_", ["-7", -7])
def test_an_integer_may_be_text(given_: object) -> None:
    assert values(metric("gauge", point(asDouble=None, asInt=given_))) == {"load": -7.0}


def test_attributes_tell_series_apart_but_for_model_and_host() -> None:
    own = [pair("state", "used"), pair("model_name", "m2"), pair("host.name", "h2")]

    found = frame(read(export(metric("gauge", point(attributes=own)))))

    assert found.model == "m2"
    assert found.host.tolist() == ["h2"]
    assert found.name.tolist() == ["load/state/used"]


@pytest.mark.parametrize("temporality", [2, "AGGREGATION_TEMPORALITY_CUMULATIVE"])
def test_only_a_cumulative_sum_that_grows_is_a_counter(temporality: object) -> None:
    grows = metric("sum", point(), aggregationTemporality=temporality, isMonotonic=True)
    falls = {**metric("sum", point(), aggregationTemporality=temporality), "name": "falls"}

    assert kinds(grows, falls) == {"load": "counter", "falls": "gauge"}
    assert values(grows, falls) == {"load": 0.5, "falls": 0.5}
    assert frame(read(export(grows, falls))).counter.tolist() == [True, False]


@pytest.mark.parametrize("temporality", [1, "AGGREGATION_TEMPORALITY_DELTA"])
def test_what_came_since_the_point_before_is_per_second(temporality: object) -> None:
    sum_ = metric("sum", point(asDouble=30), aggregationTemporality=temporality, isMonotonic=True)

    assert values(sum_) == {"load": 3.0}
    assert kinds(sum_) == {"load": "gauge"}


HISTOGRAM = {"count": "4", "sum": 10.0, "min": 1.0, "max": 5.0, "bucketCounts": ["4"]}


@pytest.mark.parametrize("type_", ["histogram", "exponentialHistogram"])
def test_a_cumulative_histogram_counts(type_: str) -> None:
    found = metric(type_, point(**HISTOGRAM), aggregationTemporality=2)

    assert values(found) == {"load.count": 4.0, "load.sum": 10.0}
    assert set(kinds(found).values()) == {"counter"}


def test_a_histogram_of_a_span_also_tells_mean_and_range() -> None:
    found = metric("histogram", point(**HISTOGRAM), aggregationTemporality=1)

    assert values(found) == {
        "load.count": 0.4,
        "load.sum": 1.0,
        "load.mean": 2.5,
        "load.min": 1.0,
        "load.max": 5.0,
    }
    assert set(kinds(found).values()) == {"gauge"}


def test_a_histogram_of_nothing_has_no_mean() -> None:
    found = metric("histogram", point(count=0, sum=0), aggregationTemporality=1)

    assert values(found) == {"load.count": 0.0, "load.sum": 0.0}


def test_a_summary_has_quantiles() -> None:
    quantiles = [{"quantile": 0.5, "value": 2.0}, {"quantile": 0.99, "value": 9.0}, {}]
    found = metric("summary", point(count="4", sum=10.0, quantileValues=quantiles))

    assert values(found) == {
        "load.count": 4.0,
        "load.sum": 10.0,
        "load.q0.5": 2.0,
        "load.q0.99": 9.0,
        "load.q0": 0.0,
    }
    assert kinds(found)["load.count"] == "counter"
    assert kinds(found)["load.q0.5"] == "gauge"


def test_a_point_that_says_that_there_is_no_value_is_none() -> None:
    decoded = read(export(metric("gauge", point(flags=1, asDouble=None))))

    assert (decoded.frames, decoded.dead) == ([], [])


AT = "$.resourceMetrics[0].scopeMetrics[0].metrics[0]"
G = f"{AT}.gauge.dataPoints[0]"
NAMELESS = [pair("model_name", "a b")]
BAD_POINTS: list[tuple[str, object, Reason, str]] = [
    ("no object", 1, "schema", G),
    ("no value", point(asDouble=None), "schema", f"{G}.asDouble"),
    ("text", point(asDouble="high"), "schema", f"{G}.asDouble"),
    ("truth", point(asDouble=True), "schema", f"{G}.asDouble"),
    ("NaN", point(asDouble="NaN"), "number_not_finite", f"{G}.asDouble"),
    ("two signs", point(asInt="--5"), "schema", f"{G}.asInt"),
    ("beyond 64 bits", point(asInt="9" * 20), "number_out_of_range", f"{G}.asInt"),
    ("no time", point(timeUnixNano=None), "time", f"{G}.timeUnixNano"),
    ("time before 1990", point(timeUnixNano="1"), "time", f"{G}.time"),
    ("time in the future", point(timeUnixNano="4" + END[1:]), "time", f"{G}.time"),
    ("attributes", point(attributes=1), "schema", f"{G}.attributes"),
    ("flags", point(flags="x"), "schema", f"{G}.flags"),
    ("name of a model", point(attributes=NAMELESS), "bad_name", f"{G}.model_name"),
    ("host", point(attributes=[pair("host.name", "h" * 257)]), "schema", f"{G}.host"),
]


@pytest.mark.parametrize(
    ("bad", "reason", "path"), [each[1:] for each in BAD_POINTS], ids=[e[0] for e in BAD_POINTS]
)
def test_a_bad_point_is_dead_and_the_others_are_taken(
    bad: object, reason: Reason, path: str
) -> None:
    decoded = read(export(metric("gauge", bad, point())))

    (letter,) = decoded.dead
    assert (letter.reason, letter.path) == (reason, path)
    assert frame(decoded).value.tolist() == [0.5]


DELTA = {"aggregationTemporality": 1}
S = f"{AT}.sum"
BAD_METRICS: list[tuple[str, object, Reason, str]] = [
    ("no object", 1, "schema", AT),
    ("no name", {"gauge": {}}, "schema", f"{AT}.name"),
    ("unit", {"name": "x", "unit": 1, "gauge": {}}, "schema", f"{AT}.unit"),
    ("no type", {"name": "x"}, "schema", AT),
    ("two types", {"name": "x", "gauge": {}, "summary": {}}, "schema", AT),
    ("type", {"name": "x", "gauge": 1}, "schema", f"{AT}.gauge"),
    ("points", {"name": "x", "gauge": {"dataPoints": 1}}, "schema", f"{AT}.gauge.dataPoints"),
    ("temporality", metric("sum", point()), "schema", f"{S}.aggregationTemporality"),
    (
        "no begin",
        metric("sum", point(startTimeUnixNano=None), **DELTA),
        "time",
        f"{S}.dataPoints[0].startTimeUnixNano",
    ),
    (
        "no span",
        metric("sum", point(startTimeUnixNano=END), **DELTA),
        "time",
        f"{S}.dataPoints[0].startTimeUnixNano",
    ),
    (
        "too much a second",
        metric("sum", point(asDouble=1e308, startTimeUnixNano=str(int(END) - 1)), **DELTA),
        "number_not_finite",
        f"{S}.dataPoints[0]",
    ),
    (
        "quantiles",
        metric("summary", point(quantileValues=[1])),
        "schema",
        f"{AT}.summary.dataPoints[0].quantileValues[0]",
    ),
]


@pytest.mark.parametrize(
    ("bad", "reason", "path"), [each[1:] for each in BAD_METRICS], ids=[e[0] for e in BAD_METRICS]
)
def test_a_bad_metric_is_dead_and_the_others_are_taken(
    bad: object, reason: Reason, path: str
) -> None:
    decoded = read(export(bad, metric("gauge", point())))

    (letter,) = decoded.dead
    assert (letter.reason, letter.path) == (reason, path)
    assert frame(decoded).value.tolist() == [0.5]


def test_the_dead_letter_holds_only_what_was_bad() -> None:
    whole = export(metric("gauge", 1, point()), metric("gauge", point()), 7)
    whole["resourceMetrics"].append(copy.deepcopy(whole["resourceMetrics"][0]))
    del whole["resourceMetrics"][1]["scopeMetrics"][0]["metrics"][0]

    (letter,) = read(whole).dead

    left = msgspec.json.decode(letter.record.value or b"")
    first, second = (each["scopeMetrics"][0]["metrics"] for each in left["resourceMetrics"])
    assert "3 of 6 data points" in letter.message
    assert first == [metric("gauge", 1), 7]
    assert second == [7]
    assert read(left).frames == []


def test_deep_values_are_refused() -> None:
    value: dict[str, Any] = {"stringValue": "x"}
    for _ in range(200):
        value = {"arrayValue": {"values": [value]}}

    (letter,) = read(export(metric("gauge", point(attributes=[{"key": "a", "value": value}])))).dead

    assert letter.reason == "too_deep"


def test_too_many_points_are_one_dead_letter() -> None:
    short = {"timeUnixNano": END}
    points = [short] * (MOST_EVENTS + 1)

    whole = record(export(metric("gauge", *points)), "m")
    decoded = decode([whole], KINDS, max_bytes=2**21)

    (letter,) = decoded.dead
    assert (letter.reason, letter.record, decoded.frames) == ("too_large", whole, [])


@pytest.mark.parametrize(("document", "reason", "path"), damaged("resourceMetrics", "scopeMetrics"))
def test_a_damaged_export_is_one_dead_letter(document: object, reason: Reason, path: str) -> None:
    decoded = read(document)

    (letter,) = decoded.dead
    assert decoded.frames == []
    assert (letter.reason, letter.path) == (reason, path)


def test_a_metric_without_a_model_is_refused() -> None:
    (letter,) = read(export(metric("gauge", point()), service=None)).dead

    assert (letter.reason, letter.path) == ("schema", f"{G}.attributes")
    assert "service.name" in letter.message


def test_it_is_not_read_on_a_topic_of_another_kind() -> None:
    (letter,) = read(export(metric("gauge", point())), topic="p").dead

    assert letter.reason == "schema"


NAMES = ["resource", "scopeMetrics", "metrics", "name", "gauge", "sum", "summary", "histogram"]
NAMES += ["dataPoints", "attributes", "asInt", "asDouble", "count", "timeUnixNano", "key", "value"]
INTEGERS = st.integers(-(2**63), 2**64 - 1)
PLAIN = st.none() | st.booleans() | INTEGERS | st.floats(allow_nan=False) | st.text(max_size=5)
JSON = st.recursive(
    PLAIN,
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(NAMES), inner, max_size=4)
    ),
    max_leaves=20,
)
TYPES = st.sampled_from(["gauge", "sum", "histogram", "exponentialHistogram", "summary"])
FIELDS = ["timeUnixNano", "startTimeUnixNano", "asInt", "asDouble", "count", "sum", "min", "flags"]
FIELDS += ["attributes", "quantileValues"]


@given(JSON)
def test_whatever_comes_is_read_or_refused(content: object) -> None:
    assert len(read({"resourceMetrics": content}).dead) <= 1


@given(TYPES, st.dictionaries(st.sampled_from(FIELDS), JSON), st.sampled_from([1, 2]))
def test_whatever_a_point_holds_costs_no_other(
    type_: str, fields: dict[str, Any], temporality: int
) -> None:
    bad = metric(type_, point(**fields), aggregationTemporality=temporality)

    decoded = read(export(bad, {**metric("gauge", point()), "name": "good"}))

    assert "good" in [name for each in decoded.frames for name in _names(each)]
    assert len(decoded.dead) <= 1


@given(st.sampled_from(["name", "unit", "gauge", "sum", "summary"]), JSON)
def test_whatever_a_metric_holds_costs_no_other(name: str, content: object) -> None:
    bad = {**metric("gauge", point()), name: content}

    decoded = read(export(bad, {**metric("gauge", point()), "name": "good"}))

    assert "good" in [name for each in decoded.frames for name in _names(each)]
    assert len(decoded.dead) <= 1


def _names(found: object) -> list[str]:
    assert isinstance(found, MetricFrame)
    return [str(name) for name in found.name]


def test_a_number_beyond_a_double_is_refused() -> None:
    with pytest.raises(Refused, match="beyond a double"):
        double_of(10**400, "$.asDouble")
