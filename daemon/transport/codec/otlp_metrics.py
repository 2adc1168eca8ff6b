"""OpenTelemetry's metrics as OTLP/JSON has them: `ExportMetricsServiceRequest` to `metric.v1`.

One Kafka record holds many data points, as the Kafka exporter of the OpenTelemetry Collector
writes them with `encoding: otlp_json`. Field names and types are those of
opentelemetry/proto/metrics/v1/metrics.proto in its JSON form.

- A gauge, and a sum that may fall, is a gauge. A cumulative sum that only grows is a counter.
- What came since the point before (`delta`) is a gauge of its amount per second, as a counter's.
- Of a histogram and a summary, the number `NAME.count` and the sum `NAME.sum` are taken so; of one
  that tells what came since the point before, `NAME.mean`, `NAME.min` and `NAME.max` too; of a
  summary the quantiles, `NAME.q0.99`. Buckets are not read.

Attributes of a point go into the name (see `naming`), but for those that name the model or the
host. The model is found as that of a log record; the host is `host.name`.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from watchkeeper.daemon.transport.codec.naming import named
from watchkeeper.daemon.transport.codec.otlp import (
    MODEL_KEYS,
    Attributes,
    attributes_of,
    double_of,
    integer_of,
    list_in,
    model_of,
    object_of,
    resources_of,
    time_of,
)
from watchkeeper.daemon.transport.codec.refused import Refused

_RESOURCES, _SCOPES, _METRICS = "resourceMetrics", "scopeMetrics", "metrics"
_POINTS = "dataPoints"
_TYPES = ("gauge", "sum", "histogram", "exponentialHistogram", "summary")
_HOST = "host.name"
_NOT_IN_NAMES = frozenset((*MODEL_KEYS, "service.name", _HOST))
_NO_VALUE = 1  # the flag of a point that says only that there is no measurement
_DELTA = (1, "AGGREGATION_TEMPORALITY_DELTA")
_CUMULATIVE = (2, "AGGREGATION_TEMPORALITY_CUMULATIVE")

Values = list[tuple[str, float, bool]]  # what follows the name, the value, whether it only grows


class Of(NamedTuple):
    """What a data point belongs to."""

    name: str
    unit: str
    type: str
    delta: bool
    grows: bool
    shared: Attributes


def is_otlp_metrics(document: Mapping[str, Any]) -> bool:
    """Whether a JSON object is an export of OpenTelemetry metrics."""
    return _RESOURCES in document


def data_points(document: Mapping[str, Any]) -> Iterator[tuple[str, Any, Of | Refused]]:
    """Every data point with its JSON path and what it belongs to, or a whole metric with what is
    wrong with it. Raises Refused where the frame around the metrics is not OTLP's."""
    for within, scope, shared in resources_of(document, _RESOURCES, _SCOPES):
        for k, metric in enumerate(list_in(scope, _METRICS, within)):
            path = f"{within}.{_METRICS}[{k}]"
            try:
                of, points = _metric(metric, path, shared)
            except Refused as wrong:
                yield path, metric, wrong
                continue
            for i, point in enumerate(points):
                yield f"{path}.{of.type}.{_POINTS}[{i}]", point, of


def without_good(document: Mapping[str, Any], bad: set[str]) -> dict[str, Any]:
    """The document with only the data points and whole metrics of these paths, where they were."""
    resources = []
    for i, of_resource in enumerate(document[_RESOURCES]):
        scopes = []
        for j, scope in enumerate(of_resource.get(_SCOPES) or []):
            path = f"$.{_RESOURCES}[{i}].{_SCOPES}[{j}].{_METRICS}"
            metrics = scope.get(_METRICS) or []
            left = [_left(each, f"{path}[{k}]", bad) for k, each in enumerate(metrics)]
            if any(each is not None for each in left):
                scopes.append({**scope, _METRICS: [each for each in left if each is not None]})
        if scopes:
            resources.append({**of_resource, _SCOPES: scopes})
    return {**document, _RESOURCES: resources}


def metrics_of(point: object, path: str, of: Of | Refused, id_: str) -> list[dict[str, Any]]:
    """One data point as the fields of `metric.v1`, of as many events as it has values; `id_` names
    it. Raises Refused."""
    if isinstance(of, Refused):
        raise of
    fields = object_of(point, path)
    if integer_of(fields.get("flags") or 0, f"{path}.flags") & _NO_VALUE:
        return []
    own = attributes_of(fields, path)
    shared = {
        "time": time_of(fields, ("timeUnixNano",), path),
        "model_name": model_of(own, of.shared, path),
        "unit": of.unit,
    }
    host = own.get(_HOST) or of.shared.get(_HOST)
    if host:
        shared["host"] = str(host)
    apart = {key: value for key, value in own.items() if key not in _NOT_IN_NAMES}
    return [
        {
            **shared,
            "id": f"{id_}/{i}",
            "name": named(of.name + after, apart),
            "value": value,
            "kind": "counter" if grows else "gauge",
        }
        for i, (after, value, grows) in enumerate(_VALUES[of.type](fields, of, path))
    ]


# ------------------------------------------------------------------------------------ its parts


def _metric(metric: object, path: str, shared: Attributes) -> tuple[Of, list[Any]]:
    fields = object_of(metric, path)
    name, unit = fields.get("name"), fields.get("unit") or ""
    if not isinstance(name, str) or not name:
        raise Refused("schema", "has no name", f"{path}.name")
    if not isinstance(unit, str):
        raise Refused("schema", "is not a string", f"{path}.unit")
    types = [each for each in _TYPES if fields.get(each) is not None]
    if len(types) != 1:
        raise Refused("schema", f"is not exactly one of {', '.join(_TYPES)}", path)
    within = f"{path}.{types[0]}"
    data = object_of(fields[types[0]], within)
    delta = _is_delta(data, within) if types[0] not in ("gauge", "summary") else False
    grows = types[0] != "gauge" and (types[0] != "sum" or data.get("isMonotonic") is True)
    of = Of(name, unit, types[0], delta, grows and not delta, shared)
    return of, list_in(data, _POINTS, within)


def _is_delta(data: Mapping[str, Any], path: str) -> bool:
    said = data.get("aggregationTemporality")
    if isinstance(said, bool) or said not in (*_DELTA, *_CUMULATIVE):
        wanted = "is neither delta (1) nor cumulative (2)"
        raise Refused("schema", wanted, f"{path}.aggregationTemporality")
    return said in _DELTA


def _left(metric: Any, path: str, bad: set[str]) -> Any:
    """What is bad of a metric, None where nothing is."""
    if path in bad:
        return metric
    type_ = next(each for each in _TYPES if metric.get(each) is not None)
    points = metric[type_].get(_POINTS) or []
    left = [p for i, p in enumerate(points) if f"{path}.{type_}.{_POINTS}[{i}]" in bad]
    return {**metric, type_: {**metric[type_], _POINTS: left}} if left else None


def _number(point: Mapping[str, Any], of: Of, path: str) -> Values:
    if point.get("asInt") is not None:
        value = float(integer_of(point["asInt"], f"{path}.asInt"))
    else:
        value = double_of(point.get("asDouble"), f"{path}.asDouble")
    return [("", _steady(value, point, of, path), of.grows)]


def _histogram(point: Mapping[str, Any], of: Of, path: str) -> Values:
    count = float(integer_of(point.get("count", 0), f"{path}.count"))
    found = [(".count", _steady(count, point, of, path), of.grows)]
    known = {
        name: double_of(point[name], f"{path}.{name}")
        for name in ("sum", "min", "max")
        if point.get(name) is not None
    }
    if "sum" in known:
        found.append((".sum", _steady(known["sum"], point, of, path), of.grows))
    if not of.delta:
        return found  # the others would be those since the application started
    if count > 0 and "sum" in known:
        found.append((".mean", known["sum"] / count, False))
    return [*found, *((f".{name}", known[name], False) for name in ("min", "max") if name in known)]


def _summary(point: Mapping[str, Any], of: Of, path: str) -> Values:
    found = [(".count", float(integer_of(point.get("count", 0), f"{path}.count")), of.grows)]
    if point.get("sum") is not None:
        found.append((".sum", double_of(point["sum"], f"{path}.sum"), of.grows))
    for i, each in enumerate(list_in(point, "quantileValues", path)):
        within = f"{path}.quantileValues[{i}]"
        one = object_of(each, within)
        quantile = double_of(one.get("quantile", 0.0), f"{within}.quantile")
        value = double_of(one.get("value", 0.0), f"{within}.value")
        found.append((f".q{quantile:g}", value, False))
    return found


_VALUES = {
    "gauge": _number,
    "sum": _number,
    "histogram": _histogram,
    "exponentialHistogram": _histogram,
    "summary": _summary,
}


def _steady(value: float, point: Mapping[str, Any], of: Of, path: str) -> float:
    """The value; per second, where it is that of a span of time."""
    if not of.delta:
        return value
    begin = integer_of(point.get("startTimeUnixNano") or 0, f"{path}.startTimeUnixNano")
    end = integer_of(point.get("timeUnixNano") or 0, f"{path}.timeUnixNano")
    if not 0 < begin < end:
        said = "is not before the point's time, and its amount is of the time between"
        raise Refused("time", said, f"{path}.startTimeUnixNano")
    rate = value / ((end - begin) / 1e9)
    if not math.isfinite(rate):
        raise Refused("number_not_finite", "is beyond a double, per second", path)
    return rate
