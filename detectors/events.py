"""Events: what applications publish, one Struct a message type.

Field names are those of the Open Inference Protocol and OpenTelemetry where these have one. Times
are RFC 3339 with an offset.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Literal

import msgspec

# Python's `$` also matches before a last newline, and JSON Schema has no `\Z`: this suits both.
Name = Annotated[str, msgspec.Meta(pattern=r"^[A-Za-z0-9._/-]{1,128}$(?!\n)")]
Identifier = Annotated[str, msgspec.Meta(min_length=1, max_length=256)]
Time = Annotated[datetime, msgspec.Meta(tz=True)]
Scalar = float | int | str | bool | None
ShortText = Annotated[str, msgspec.Meta(max_length=512)]


class PredictionValue(msgspec.Struct, frozen=True, omit_defaults=True, gc=False):
    """What a model answered. A classifier gives `label` and `score` (of the positive class) or
    `probabilities`; a regressor gives `value`."""

    label: str | None = None
    score: float | None = None
    value: float | None = None
    probabilities: dict[str, float] | None = None


class Prediction(msgspec.Struct, frozen=True, omit_defaults=True):
    """`prediction.v1`: one answer of one model, with its inputs."""

    id: Identifier
    time: Time
    model_name: Name
    model_version: Name
    request_id: Identifier
    features: dict[str, Scalar] = {}
    prediction: PredictionValue = PredictionValue()
    duration_s: Annotated[float, msgspec.Meta(ge=0)] | None = None
    status: Literal["ok", "error", "timeout"] = "ok"
    error_type: ShortText | None = None
    entity_id: Identifier | None = None
    source: Identifier | None = None
    segment: dict[str, ShortText] = {}
    sample_rate: Annotated[float, msgspec.Meta(gt=0, le=1)] = 1.0
    traceparent: ShortText | None = None


class Label(msgspec.Struct, frozen=True, omit_defaults=True):
    """`label.v1`: the truth about one request, known later. `time` is when it became known."""

    id: Identifier
    time: Time
    model_name: Name
    request_id: Identifier
    label: str | None = None
    value: float | None = None
    kind: Literal["final", "provisional", "proxy"] = "final"
    source: Identifier | None = None


class Log(msgspec.Struct, frozen=True, omit_defaults=True):
    """`log.v1`: one log record, shaped as OpenTelemetry's."""

    id: Identifier
    time: Time
    model_name: Name
    body: Annotated[str, msgspec.Meta(max_length=65_536)]
    severity_number: Annotated[int, msgspec.Meta(ge=1, le=24)] = 9
    severity_text: ShortText = "INFO"
    service_name: Identifier | None = None
    attributes: dict[str, Scalar] = {}
    trace_id: ShortText | None = None


class Metric(msgspec.Struct, frozen=True, omit_defaults=True):
    """`metric.v1`: one measurement of the host or the business a model belongs to."""

    id: Identifier
    time: Time
    model_name: Name
    name: Name
    value: float
    unit: ShortText = ""
    kind: Literal["gauge", "counter"] = "gauge"
    host: Identifier | None = None
    attributes: dict[str, Scalar] = {}


class Change(msgspec.Struct, frozen=True, omit_defaults=True):
    """`change.v1`: something was changed on purpose: the cheapest clue to a cause."""

    id: Identifier
    time: Time
    model_name: Name
    kind: Literal["deployment", "rollback", "promotion", "config", "features", "infrastructure"]
    model_version: Name | None = None
    previous_version: Name | None = None
    description: ShortText = ""
    actor: ShortText = ""


class Command(msgspec.Struct, frozen=True, omit_defaults=True):
    """`command.v1`: an order or an answer to Watchkeeper, from a person or an application.

    `profile` says that a reference of the model `target` was imported and shall be taken up.
    `resolve` with `new_normal` in `args` accepts what the incident shows; `rebaseline` says that
    the reference of the model `target` shall be learned anew, of the `version` in `args` or else
    of the live one.
    `outcome` answers an `actions` message: `target` is the action's id and `args` holds `phase`
    (successful | failed | error | inconclusive) and `reason`.
    """

    id: Identifier
    time: Time
    command: Literal[
        "approve",
        "reject",
        "ack",
        "resolve",
        "pause",
        "resume",
        "profile",
        "rebaseline",
        "outcome",
    ]
    target: Identifier
    model_name: Name | None = None
    args: dict[str, Scalar] = {}
    actor: ShortText = ""
    reason: ShortText = ""
    expires_at: Time | None = None


class Tick(msgspec.Struct, frozen=True):
    """Time has passed and the source was caught up: the only clock the core knows.

    `at` is in seconds since the epoch.
    """

    at: float


Event = Prediction | Label | Log | Metric | Change | Command
EventKind = Literal["prediction", "label", "log", "metric", "change", "command"]
EVENT_TYPES: Mapping[EventKind, type[Event]] = {
    "prediction": Prediction,
    "label": Label,
    "log": Log,
    "metric": Metric,
    "change": Change,
    "command": Command,
}
