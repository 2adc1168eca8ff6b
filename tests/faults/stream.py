"""Numbered events of a few models with planted faults, the same for every run.

Event time goes in slots of one second, which are the windows of the models too. From `DEPLOYED`
on, model `alpha` answers wrongly, until `RECOVERED`: a rollback is planned, approved and carried
out. `beta` misses a feature for a while. `gamma`, in another partition, is slow for a while.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from functools import cached_property

import msgspec
import numpy as np

from watchkeeper.detectors.types import Change, Event, Label, Prediction, PredictionValue, moment

START = 1_767_603_600.0
SLOTS = 56
DEPLOYED, RECOVERED = 34, 42
GATED = range(DEPLOYED, RECOVERED + 6)
PER_SLOT = 30
PREFIX = "watchkeeper."
MODELS = {"alpha": 0, "beta": 0, "gamma": 1}
SETTINGS: dict[str, object] = {
    "window": "1s",
    "lateness": "0s",
    "learn": 400,
    "healthy_windows": 3,
    "positive": "yes",
}
ACTING: dict[str, object] = {**SETTINGS, "mode": "ask", "serving": {"target": "mlflow"}}


@dataclass(frozen=True)
class Said:
    """One event as it is published: where, when, and its value."""

    topic: str
    partition: int
    key: bytes
    at: float
    value: bytes


@dataclass(frozen=True)
class Stream:
    """All events, slot by slot, from `start` on. With `local` every other one is dated by the local
    time of this process, with its offset, as by an application that runs there."""

    slots: int = SLOTS
    per_slot: int = PER_SLOT
    models: tuple[tuple[str, int], ...] = tuple(MODELS.items())
    faults: bool = True
    start: float = START
    local: bool = False

    def slot(self, number: int) -> list[Said]:
        """The events of one slot in the order of their time."""
        if number not in self._made:
            self._made[number] = self._slot(number)
        return self._made[number]

    def everything(self) -> Iterator[Said]:
        """The events of all slots."""
        for number in range(self.slots):
            yield from self.slot(number)

    @cached_property
    def ends(self) -> dict[tuple[str, int], int]:
        """How many events each partition holds in the end."""
        counts: dict[tuple[str, int], int] = {}
        for each in self.everything():
            place = each.topic, each.partition
            counts[place] = counts.get(place, 0) + 1
        return counts

    @cached_property
    def _made(self) -> dict[int, list[Said]]:
        return {}

    def _slot(self, number: int) -> list[Said]:
        said = []
        for index, (model, partition) in enumerate(self.models):
            random = np.random.default_rng([7, number, index])
            said += self._changes(model, partition, number)
            said += self._answers(model, partition, number, random)
        return sorted(said, key=lambda each: (each.at, each.topic))

    def _dated(self, at: float, number: int) -> datetime:
        when = moment(at)
        if not self.local or number % 2:
            return when
        offset = timedelta(seconds=time.localtime(at).tm_gmtoff)
        return when.astimezone(timezone(offset))

    def _changes(self, model: str, partition: int, number: int) -> list[Said]:
        live = {0: ("1", None), DEPLOYED: ("2", "1"), RECOVERED: ("1", "2")}
        if model != "alpha" or number not in live or not self.faults:
            return []
        version, before = live[number]
        at = self.start + number
        change = Change(
            id=f"c{number}",
            time=moment(at),
            model_name=model,
            kind="rollback" if number == RECOVERED else "deployment",
            model_version=version,
            previous_version=before,
            actor="pipeline",
        )
        return [_said("changes", model, partition, at, change)]

    def _answers(
        self, model: str, partition: int, number: int, random: np.random.Generator
    ) -> Iterator[Said]:
        bad = self.faults and model == "alpha" and DEPLOYED <= number < RECOVERED
        broken = self.faults and model == "beta" and 30 <= number < 38
        slow = self.faults and model == "gamma" and 36 <= number < 44
        for i in range(self.per_slot):
            at = self.start + number + i / self.per_slot
            request = f"{model}-{number * self.per_slot + i:07d}"
            amount, age = round(float(random.normal(50, 12)), 3), float(random.integers(18, 90))
            truth = bool(random.random() < 0.5)
            right = random.random() < (0.2 if bad else 0.93)
            answer = truth if right else not truth
            took = float(random.lognormal(-3, 0.3)) * (12.0 if slow else 1.0)
            missing = broken and random.random() < 0.8
            prediction = Prediction(
                id=f"p-{request}",
                time=self._dated(at, i),
                model_name=model,
                model_version="2" if bad else "1",
                request_id=request,
                features={
                    "amount": None if missing else amount,
                    "age": age,
                    "place": ("home", "shop", "web")[int(random.integers(3))],
                },
                prediction=PredictionValue(
                    label="yes" if answer else "no", score=0.9 if answer else 0.1
                ),
                duration_s=round(took, 5),
            )
            yield _said("predictions", model, partition, at, prediction)
            label = Label(
                id=f"l-{request}",
                time=self._dated(at + 0.001, i),
                model_name=model,
                request_id=request,
                label="yes" if truth else "no",
            )
            yield _said("labels", model, partition, at + 0.001, label)


def _said(topic: str, model: str, partition: int, at: float, event: Event) -> Said:
    value = msgspec.json.encode(event)
    return Said(PREFIX + topic, partition, model.encode(), at, value)
