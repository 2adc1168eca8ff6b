"""The stream that is measured on: predictions as applications publish them, and their labels.

An event has 10 numeric and 4 categorical features, 1 % of them null, an answer with a score, a
duration, an entity and a version: bare JSON of about 450 bytes, keyed by model. Every prediction
gets one label. What differs from event to event without end (ids, times, models) stands in digits
of fixed width, which the replay broker writes anew for each pass over the same `CYCLE` events.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec
import numpy as np

from watchkeeper.detectors.types import Label, Prediction, PredictionValue, moment

BEGIN = 1_767_225_600  # 2026-01-01T00:00:00Z
NUMBERS = tuple(f"n{i}" for i in range(10))
WORDS = ("country", "device", "channel", "plan")
VERSION = "1"
SOME_MODEL, SOME_ID, SOME_TIME = "model-00000", "0" * 12, moment(BEGIN + 0.123456)
BATCHES = 125  # different record batches of one partition, before they come again
_MISSING = 0.01
_CHOICES = np.array(["de", "fr", "nl", "es", "it"])


class Shape(msgspec.Struct, frozen=True, kw_only=True):
    """One stream. Event i of all has a place in time of its own, `a_minute` of each model.

    `labels_after_s` is how long after a prediction its label is written, in event time. From
    prediction `fault_from` on every model is faulty: a third of the answers are errors or late, a
    feature is missing, labels are not what was predicted. `alone`: no labels are written.
    """

    models: int = 10
    a_minute: int = 1_000
    partitions: int = 1
    batch: int = 400
    codec: int = 0
    labels_after_s: int = 60
    fault_from: int | None = None
    alone: bool = False
    begin: int = BEGIN

    def __post_init__(self) -> None:
        if self.models % self.partitions or 60_000_000 % (self.a_minute * self.models):
            raise ValueError("models and rates must divide evenly")

    @property
    def spacing_us(self) -> int:
        """Between two predictions, in event time."""
        return 60_000_000 // (self.a_minute * self.models)

    @property
    def lead(self) -> int:
        """Predictions between one and its label."""
        return self.labels_after_s * 1_000_000 // self.spacing_us


def model_name(number: int) -> str:
    """Of fixed width."""
    return f"model-{number:05d}"


def model_of(shape: Shape, events: np.ndarray[Any, np.dtype[np.int64]]) -> Any:
    """Each event's model: every model once in `shape.models` events, in changing order."""
    each = shape.models // shape.partitions
    place, partition = np.divmod(events, shape.partitions)
    turn, place = np.divmod(place, each)
    return (place + turn * 7_919) % each * shape.partitions + partition


def pairs(count: int, seed: int, fault: bool = False) -> Iterator[tuple[bytes, bytes]]:
    """Predictions and their labels, the same for the same seed."""
    random = np.random.default_rng(seed)
    rows = zip(*_features(random, count, fault), strict=True)
    scores = random.beta(2, 8, count).round(4)
    truths = random.random(count) < (1 - scores if fault else scores)
    slow = np.where(random.random(count) < 0.3, 10.0, 1.0) if fault else np.ones(count)
    seconds = (random.lognormal(-3, 0.4, count) * slow).round(4)
    broken = random.random(count) < (0.3 if fault else 0.002)
    entities = random.integers(10**7, 10**8, count)
    rest = zip(scores.tolist(), seconds.tolist(), broken.tolist(), entities.tolist(), strict=True)
    for row, (score, took, error, entity), truth in zip(rows, rest, truths.tolist(), strict=True):
        event = Prediction(
            id="p" + SOME_ID,
            time=SOME_TIME,
            model_name=SOME_MODEL,
            model_version=VERSION,
            request_id="r" + SOME_ID,
            features=dict(zip(NUMBERS + WORDS, row, strict=True)),
            prediction=PredictionValue(label="yes" if score >= 0.5 else "no", score=score),
            duration_s=took,
            status="error" if error else "ok",
            entity_id=f"c{entity}",
        )
        yield msgspec.json.encode(event), msgspec.json.encode(_label("yes" if truth else "no"))


def _label(text: str) -> Label:
    return Label(
        id="l" + SOME_ID,
        time=SOME_TIME,
        model_name=SOME_MODEL,
        request_id="r" + SOME_ID,
        label=text,
    )


def _features(random: np.random.Generator, count: int, fault: bool) -> list[list[Any]]:
    """Columns of numbers, then of words."""
    numbers = random.normal(50, 12, (len(NUMBERS), count)).round(2).astype(object)
    words = random.choice(_CHOICES, (len(WORDS), count)).astype(object)
    for table in (numbers, words):
        table[random.random(table.shape) < _MISSING] = None
    if fault:
        numbers[0, random.random(count) < 0.5] = None
    return [*numbers.tolist(), *words.tolist()]


def columns(count: int = 4_000, seed: int = 99) -> dict[str, np.ndarray[Any, Any]]:
    """Reference rows of healthy traffic, as `watchkeeper model profile` reads them of a file."""
    random = np.random.default_rng(seed)
    rows = _features(random, count, fault=False)
    made: dict[str, np.ndarray[Any, Any]] = {}
    for name, column in zip(NUMBERS + WORDS, rows, strict=True):
        numeric = name in NUMBERS
        made[name] = np.array(column, dtype=np.float64 if numeric else object)
    made["score"] = random.beta(2, 8, count).round(4)
    made["label"] = np.where(made["score"] >= 0.5, "yes", "no").astype(object)
    return made
