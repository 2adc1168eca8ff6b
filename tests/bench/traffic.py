"""Predictions as applications publish them: bare JSON of about 400 bytes, keyed by model."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import msgspec
import numpy as np

from watchkeeper.detectors.types import Prediction, PredictionValue, moment

MODELS = ("fraud", "churn", "credit", "returns")
A_MINUTE = 1_000  # predictions of each model
BEGIN = 1_767_225_600.0  # 2026-01-01T00:00:00Z
NUMBERS = tuple(f"n{i}" for i in range(10))
WORDS = ("country", "device", "channel", "plan")
_MISSING = 0.01
_CHOICES = np.array(["de", "fr", "nl", "es", "it"])


class Said(NamedTuple):
    """One record to send; `at` in seconds since the epoch."""

    key: bytes
    value: bytes
    at: float


def predictions(count: int, seed: int = 1) -> Iterator[Said]:
    """Healthy traffic in order of time, the same for the same seed."""
    random = np.random.default_rng(seed)
    columns = _columns(random, count)
    order = random.integers(len(MODELS), size=count).tolist()
    for i, (number, row) in enumerate(zip(order, columns, strict=True)):
        at = BEGIN + i * 60.0 / (A_MINUTE * len(MODELS))
        yield Said(MODELS[number].encode(), _event(i, MODELS[number], at, row), at)


def _columns(random: np.random.Generator, count: int) -> Iterator[list[Any]]:
    """Per event: numbers, words, score, seconds."""
    numbers = random.normal(50, 12, (len(NUMBERS), count)).round(2).astype(object)
    words = random.choice(_CHOICES, (len(WORDS), count)).astype(object)
    for table in (numbers, words):
        table[random.random(table.shape) < _MISSING] = None
    scores = random.beta(2, 8, count).round(4).tolist()
    seconds = random.lognormal(-3, 0.4, count).round(4).tolist()
    rows = zip(*numbers.tolist(), *words.tolist(), scores, seconds, strict=True)
    return (list(row) for row in rows)


def _event(i: int, model: str, at: float, row: list[Any]) -> bytes:
    *features, score, seconds = row
    event = Prediction(
        id=f"p{i:08d}",
        time=moment(at),
        model_name=model,
        model_version="1",
        request_id=f"r{i:08d}",
        features=dict(zip(NUMBERS + WORDS, features, strict=True)),
        prediction=PredictionValue(label="yes" if score >= 0.5 else "no", score=score),
        duration_s=seconds,
    )
    return msgspec.json.encode(event)
