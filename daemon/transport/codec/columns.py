"""Rows to frames: typed columns, grouped by model and version.

No Python runs per event and feature: columns are made by `attrgetter`, `zip` and `array`, which
loop in C. Only a row that is odd costs more.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from operator import attrgetter
from typing import Any

import numpy as np

from watchkeeper.daemon.transport.codec.features import Features, feature_columns, floats, objects
from watchkeeper.daemon.transport.codec.json import NAME, Row, event_of
from watchkeeper.daemon.transport.codec.refused import Refused
from watchkeeper.detectors.types import (
    STATUS_CODES,
    AnyFrame,
    BoolArray,
    Change,
    ChangeFrame,
    EventKind,
    FloatArray,
    IntArray,
    LabelFrame,
    LogFrame,
    MetricFrame,
    ObjectArray,
    PredictionFrame,
)

# 1990-01-01 UTC: what is older comes from a clock that was never set.
EARLIEST = 631_152_000.0

Refusals = list[tuple[int, Refused]]


class Rows:
    """Rows of one kind with their places in the batch, in order of arrival."""

    def __init__(
        self,
        rows: list[Row] | None = None,
        seq: list[int] | None = None,
        latest: list[float] | None = None,
    ) -> None:
        self.rows = rows or []
        self.seq = seq or []
        self.latest = latest or []

    def __len__(self) -> int:
        return len(self.rows)

    def add(self, row: Row, seq: int, latest: float) -> None:
        """Takes a row; its time may not be later than `latest`."""
        self.rows.append(row)
        self.seq.append(seq)
        self.latest.append(latest)


def frames_of(kind: EventKind, rows: Rows) -> tuple[list[AnyFrame], Refusals]:
    """The frames of one kind's rows, and the rows that belong in none."""
    refused: Refusals = []
    at, keep = times(rows, refused)
    frames: list[AnyFrame] = []
    for key, places in _grouped(kind, rows.rows, keep):
        wrong = bad_name(key)
        if wrong is not None:
            refused.extend((rows.seq[i], wrong) for i in places)
            continue
        frames.extend(_frames(kind, key, rows, at, places, refused))
    return frames, refused


def times(rows: Rows, refused: Refusals) -> tuple[FloatArray, Sequence[int]]:
    """Every row's time in seconds, and the places of the rows whose time can be right."""
    at = np.array([*map(datetime.timestamp, [row.time for row in rows.rows])], dtype=np.float64)
    wrong = (at < EARLIEST) | (at > np.array(rows.latest, dtype=np.float64))
    if not wrong.any():
        return at, range(len(at))
    for i in np.flatnonzero(wrong):
        early = at[i] < EARLIEST
        said = "is before 1990" if early else "is more than ten minutes in the future"
        refused.append((rows.seq[i], Refused("time", said, "$.time")))
    return at, np.flatnonzero(~wrong).tolist()


def _grouped(
    kind: EventKind, rows: list[Row], keep: Sequence[int]
) -> Iterator[tuple[tuple[str, ...], list[int]]]:
    groups: dict[Any, list[int]] = defaultdict(list)
    name = _GROUP[kind]
    for i in keep:
        groups[name(rows[i])].append(i)
    for key, places in groups.items():
        yield (key if isinstance(key, tuple) else (key,)), places


_by_model = attrgetter("model_name")
_GROUP: dict[EventKind, Callable[[Row], Any]] = {
    "prediction": attrgetter("model_name", "model_version"),
    "label": _by_model,
    "log": _by_model,
    "metric": _by_model,
    "change": _by_model,
}


def bad_name(key: Sequence[str]) -> Refused | None:
    """Why a model, or one of its versions, may not have this name."""
    for name, path in zip(key, ("$.model_name", "$.model_version"), strict=False):
        if not NAME.fullmatch(name):
            return Refused("bad_name", "breaks the rule for names", path)
    return None


def _frames(
    kind: EventKind,
    key: tuple[str, ...],
    rows: Rows,
    at: FloatArray,
    places: list[int],
    refused: Refusals,
) -> Iterator[AnyFrame]:
    if kind == "prediction":
        yield from _prediction_frames(key, rows, at, places, refused)
        return
    kept = [i for i in places if not _odd(kind, rows, i, refused)] if kind in _ODD else places
    if kept:
        chosen = [rows.rows[i] for i in kept]
        seq = np.array([rows.seq[i] for i in kept], dtype=np.int64)
        yield _BUILD[kind](key[0], at[kept], seq, chosen)


def _odd(kind: EventKind, rows: Rows, i: int, refused: Refusals) -> bool:
    """Whether another name of the row breaks the rule; it is refused then."""
    for field in _ODD[kind]:
        name = getattr(rows.rows[i], field)
        if name is not None and not NAME.fullmatch(name):
            refused.append(
                (rows.seq[i], Refused("bad_name", "breaks the rule for names", f"$.{field}"))
            )
            return True
    return False


_ODD: dict[EventKind, tuple[str, ...]] = {
    "metric": ("name",),
    "change": ("model_version", "previous_version"),
}

# --------------------------------------------------------------------------------- predictions

PREDICTION = attrgetter("request_id", "entity_id", "duration_s", "status", "prediction")
_ANSWER = attrgetter("label", "score", "value", "probabilities")


def _prediction_frames(
    key: tuple[str, ...], rows: Rows, at: FloatArray, places: list[int], refused: Refusals
) -> Iterator[PredictionFrame]:
    for part, features, wrong in feature_columns([rows.rows[i].features for i in places]):
        refused.extend((rows.seq[places[i]], why) for i, why in wrong)
        if part:
            yield _prediction_frame(key, rows, at, [places[i] for i in part], features)


def _prediction_frame(
    key: tuple[str, ...], rows: Rows, at: FloatArray, places: list[int], features: Features
) -> PredictionFrame:
    request, entity, duration, status, answers = zip(
        *map(PREDICTION, [rows.rows[i] for i in places]), strict=True
    )
    label, score, value, valid = answers_of(answers)
    return PredictionFrame(
        model=key[0],
        version=key[1],
        at=at[places],
        seq=np.array([rows.seq[i] for i in places], dtype=np.int64),
        request_id=objects(request),
        entity=objects(entity),
        duration_s=floats(duration),
        status=np.array([*map(STATUS_CODES.__getitem__, status)], dtype=np.int64),
        label=label,
        score=score,
        value=value,
        output_valid=valid,
        numeric=features.numeric,
        categorical=features.categorical,
    )


def answers_of(
    answers: Sequence[Any],
) -> tuple[ObjectArray, FloatArray, FloatArray, BoolArray]:
    """Labels, scores and values, and whether the output may be right."""
    labels, scores, values, probabilities = zip(*map(_ANSWER, answers), strict=True)
    label, score, value = objects(labels), floats(scores), floats(values)
    valid = ~((score < 0) | (score > 1)) & ~np.isinf(value)
    if any(probabilities):
        for i, each in enumerate(probabilities):
            if each:
                valid[i] &= is_distribution(each)
                from_probabilities(each, i, label, score)
    return label, score, value, valid


def is_distribution(probabilities: dict[str, float]) -> bool:
    values = probabilities.values()
    return min(values) >= 0 and max(values) <= 1 and abs(sum(values) - 1) <= 0.01


def from_probabilities(
    probabilities: dict[str, float], i: int, label: ObjectArray, score: FloatArray
) -> None:
    """Fills what the model did not say itself: the likeliest label, the positive class's score."""
    if label[i] is None:
        label[i] = max(probabilities, key=probabilities.__getitem__)
    if np.isnan(score[i]) and len(probabilities) == 2:
        score[i] = probabilities.get("1", probabilities.get("true", np.nan))


# -------------------------------------------------------------------------------- other kinds


LABEL = attrgetter("request_id", "label", "value", "source")


def _label_frame(model: str, at: FloatArray, seq: IntArray, rows: list[Row]) -> LabelFrame:
    request, label, value, source = zip(*map(LABEL, rows), strict=True)
    return LabelFrame(
        model=model,
        at=at,
        seq=seq,
        request_id=objects(request),
        label=objects(label),
        value=floats(value),
        source=objects(source) if any(source) else None,
    )


def _log_frame(model: str, at: FloatArray, seq: IntArray, rows: list[Row]) -> LogFrame:
    severity, body = zip(*map(attrgetter("severity_number", "body"), rows), strict=True)
    number = np.array(severity, dtype=np.int64)
    return LogFrame(model=model, at=at, seq=seq, severity_number=number, body=objects(body))


def _metric_frame(model: str, at: FloatArray, seq: IntArray, rows: list[Row]) -> MetricFrame:
    name, value, host, kind = zip(
        *map(attrgetter("name", "value", "host", "kind"), rows), strict=True
    )
    return MetricFrame(
        model=model,
        at=at,
        seq=seq,
        name=objects(name),
        value=floats(value),
        host=objects(host),
        counter=np.array([each == "counter" for each in kind], dtype=np.bool_),
    )


def _change_frame(model: str, at: FloatArray, seq: IntArray, rows: list[Row]) -> ChangeFrame:
    events = [event_of(Change, row) for row in rows]
    return ChangeFrame(model=model, at=at, seq=seq, events=objects(events))


_BUILD: dict[EventKind, Callable[[str, FloatArray, IntArray, list[Row]], AnyFrame]] = {
    "label": _label_frame,
    "log": _log_frame,
    "metric": _metric_frame,
    "change": _change_frame,
}
