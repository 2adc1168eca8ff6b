"""The monitor as one writes it in an afternoon: kafka-python, json, and river for every value.

Per event and feature the checks that stand in Watchkeeper's default suite, with what river has for
each: a change in the share of missing, out-of-range or unseen values, and of the mean, is ADWIN's;
the shape is three quantiles and the extremes; the spread is a variance. Of answers: quantiles of
durations against a limit, the share of errors, the score, and every default measure of quality
once the label came, joined by a dict.
"""

from __future__ import annotations

import importlib
import json
from collections import Counter, deque
from datetime import datetime
from typing import Any

from tests.bench.said import Said
from tests.bench.traffic import NUMBERS, WORDS

# river is typed here and there only.
drift: Any = importlib.import_module("river.drift")
metrics: Any = importlib.import_module("river.metrics")
stats: Any = importlib.import_module("river.stats")

_RANGE = (-20.0, 120.0)
_KNOWN = frozenset({"de", "fr", "nl", "es", "it"})
_SLOW_S = 1.0
_POOR, _BAD = 0.0, 10.0  # limits that healthy answers keep, also while there are few
_KEPT = 50_000


class Share:
    """How often something happens, and whether that has changed."""

    __slots__ = ("adwin", "count")

    def __init__(self) -> None:
        self.count, self.adwin = 0, drift.ADWIN()

    def update(self, happened: bool) -> bool:
        """Whether the share has changed."""
        self.count += happened
        self.adwin.update(happened)
        return bool(self.adwin.drift_detected)


class Number:
    """One numeric feature of one model."""

    __slots__ = ("adwin", "high", "low", "missing", "outside", "quantiles", "spread")

    def __init__(self) -> None:
        self.missing, self.outside = Share(), Share()
        self.spread, self.low, self.high = stats.Var(), stats.Min(), stats.Max()
        self.quantiles = [stats.Quantile(q) for q in (0.25, 0.5, 0.75)]
        self.adwin = drift.ADWIN()

    def update(self, value: float | None) -> bool:
        """Whether its distribution has changed."""
        changed = self.missing.update(value is None)
        if value is None:
            return changed
        changed |= self.outside.update(not _RANGE[0] <= value <= _RANGE[1])
        self.spread.update(value)
        self.low.update(value)
        self.high.update(value)
        for quantile in self.quantiles:
            quantile.update(value)
        self.adwin.update(value)
        return changed or bool(self.adwin.drift_detected)


class Word:
    """One categorical feature of one model."""

    __slots__ = ("counts", "missing", "unseen")

    def __init__(self) -> None:
        self.missing, self.unseen = Share(), Share()
        self.counts: Counter[str] = Counter()

    def update(self, value: str | None) -> bool:
        """Whether what it holds has changed."""
        changed = self.missing.update(value is None)
        if value is None:
            return changed
        self.counts[value] += 1
        return self.unseen.update(value not in _KNOWN) or changed


class Model:
    """Everything about one model."""

    def __init__(self) -> None:
        self.numbers = {name: Number() for name in NUMBERS}
        self.words = {name: Word() for name in WORDS}
        self.score = Number()
        self.durations = [stats.Quantile(q) for q in (0.5, 0.95, 0.99)]
        self.errors, self.wrong = Share(), Share()
        self.matrix = metrics.ConfusionMatrix()
        self.quality = [
            metrics.Accuracy(cm=self.matrix),
            metrics.Precision(cm=self.matrix, pos_val="yes"),
            metrics.Recall(cm=self.matrix, pos_val="yes"),
            metrics.F1(cm=self.matrix, pos_val="yes"),
        ]
        self.log_loss, self.brier = metrics.LogLoss(), stats.Mean()
        self.auc = metrics.RollingROCAUC(window_size=1_000)
        self.waiting: dict[str, tuple[str, float]] = {}

    def predicted(self, event: dict[str, Any]) -> bool:
        """Takes in one prediction; whether anything has changed."""
        features = event["features"]
        changed = False
        for name, number in self.numbers.items():
            changed |= number.update(features.get(name))
        for name, word in self.words.items():
            changed |= word.update(features.get(name))
        answer = event["prediction"]
        changed |= self.score.update(answer["score"])
        for quantile in self.durations:
            quantile.update(event["duration_s"])
        for quantile in self.durations:
            changed |= bool(quantile.get() > _SLOW_S)
        changed |= self.errors.update(event.get("status", "ok") != "ok")
        self.waiting[event["request_id"]] = (answer["label"], answer["score"])
        if len(self.waiting) > _KEPT:
            del self.waiting[next(iter(self.waiting))]
        return changed

    def labelled(self, event: dict[str, Any]) -> bool:
        """Takes in one label; whether the answers have become worse or better."""
        known = self.waiting.pop(event["request_id"], None)
        if known is None:
            return False
        label, score = known
        truth = event["label"]
        yes = truth == "yes"
        self.matrix.update(truth, label)
        self.log_loss.update(yes, score)
        self.auc.update(yes, score)
        self.brier.update((yes - score) ** 2)
        poor = any(measure.get() < _POOR for measure in self.quality)
        poor |= self.auc.get() < _POOR or self.log_loss.get() > _BAD or self.brier.get() > _BAD
        return self.wrong.update(truth != label) or poor


class Naive:
    """All models; `alarms` are the event times at which something of a model had changed."""

    def __init__(self) -> None:
        self.models: dict[str, Model] = {}
        self.alarms: list[float] = []

    def take(self, topic: str, value: bytes) -> None:
        """One record."""
        event = json.loads(value)
        model = self.models.get(event["model_name"])
        if model is None:
            model = self.models[event["model_name"]] = Model()
        found = model.labelled(event) if topic.endswith("labels") else model.predicted(event)
        if found:
            self.alarms.append(datetime.fromisoformat(event["time"]).timestamp())


class InOrder:
    """Gives a monitor each label after its prediction, however the topics were read.

    Label and prediction of one request stand at the same offset; `lead` records lie between.
    """

    def __init__(self, monitor: Naive, lead: int, partitions: int) -> None:
        self.monitor, self._lead, self._partitions = monitor, lead, partitions
        self._said, self._told, self._held = 0, 0, deque[tuple[int, str, bytes]]()

    def take(self, topic: str, offset: int, value: bytes) -> int:
        """How many records the monitor has dealt with because of this one."""
        if topic.endswith("labels"):
            self._held.append((offset, topic, value))
            return 0
        self.monitor.take(topic, value)
        self._said, done = self._said + 1, 1
        while self._held and self._held[0][0] * self._partitions < self._said - self._lead:
            self.monitor.take(*self._held.popleft()[1:])
            self._told, done = self._told + 1, done + 1
        return done

    @property
    def ahead(self) -> int:
        """How many labels were read before it was their turn."""
        return len(self._held) - self._lead

    def said(self) -> Said:
        """What the monitor has found so far."""
        return Said(self.monitor.alarms, self._said, self._told)
