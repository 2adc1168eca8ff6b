"""The simulated fleet: everything four models and their hosts publish, in order of time."""

from __future__ import annotations

import heapq
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import msgspec
import numpy as np

from watchkeeper.daemon.demo.faults import Effects, Script
from watchkeeper.daemon.demo.models import SimulatedModel
from watchkeeper.daemon.demo.traffic import SLOT, Requests, requests
from watchkeeper.daemon.transport.ports import Message
from watchkeeper.detectors.types import (
    OK,
    TIMEOUT,
    Event,
    EventKind,
    Log,
    Metric,
    moment,
)

_encode = msgspec.json.Encoder().encode
Topics = Mapping[EventKind, str]
KINDS: tuple[EventKind, ...] = ("prediction", "label", "log", "metric", "change", "command")
_MEMORY = "system.memory.utilization"
_CPU = "system.cpu.utilization"


class Sent(NamedTuple):
    """A message with the simulated time at which it was sent."""

    at: float
    message: Message


@dataclass(slots=True)
class Vitals:
    """What the table shows of one model: its newest slot."""

    version: str = ""
    per_minute: float = 0.0
    failing: float = 0.0
    slow_s: float = math.nan
    memory: float = math.nan


def message(kind: EventKind, event: Event, topics: Topics) -> Message:
    """The event as the plainest application publishes it: bare JSON, its kind told by the topic.

    CloudEvents would double the work of making and reading it.
    """
    return Message(topics[kind], (event.model_name or "").encode(), _encode(event))


@dataclass
class Fleet:
    """Makes the events of all models between two simulated times.

    Deterministic: the same seed, script and versions give the same messages however the time is
    cut into calls of `advance`. `version_of` says which version of a model answers in the slot
    that begins at a time.
    """

    seed: int
    models: Sequence[SimulatedModel]
    script: Script
    topics: Topics
    version_of: Callable[[str, float], str]
    vitals: dict[str, Vitals] = field(default_factory=dict)
    _slot: int = 0
    _ready: list[Sent] = field(default_factory=list)
    _labels: list[tuple[float, int, Message]] = field(default_factory=list)
    _labelled: int = 0

    def advance(self, to: float) -> list[Sent]:
        """All messages before `to` that were not given yet, in order of time."""
        while self.begin_of(self._slot) < to:
            self._ready.extend(self._make(self._slot))
            self._slot += 1
        cut = next((i for i, sent in enumerate(self._ready) if sent.at >= to), len(self._ready))
        given, self._ready = self._ready[:cut], self._ready[cut:]
        return given

    def begin_of(self, slot: int) -> float:
        """The simulated time at which a slot begins."""
        return self.script.start + slot * SLOT

    def _make(self, slot: int) -> list[Sent]:
        begin = self.begin_of(slot)
        made: list[Sent] = []
        for number, model in enumerate(self.models):
            rng = np.random.default_rng([self.seed, number, slot])
            effects = self.script.effects(model.name, begin)
            version = self.version_of(model.name, begin)
            name = f"{model.name}-{slot}"
            batch = requests(model, version, effects, begin, rng, name)
            made.extend(self._published(batch))
            made.extend(self._host(model, effects, begin, rng, name))
            self.vitals[model.name] = _vitals(batch, effects)
        made.extend(self._due(begin + SLOT))
        made.sort(key=lambda sent: sent.at)
        return made

    def _published(self, batch: Requests) -> Iterator[Sent]:
        for at, prediction in zip(batch.at.tolist(), batch.predictions(), strict=True):
            yield Sent(at, message("prediction", prediction, self.topics))
        for at, label in batch.labels():
            self._labelled += 1
            entry = (at, self._labelled, message("label", label, self.topics))
            heapq.heappush(self._labels, entry)
        for at, log in _logs(batch):
            yield Sent(at, message("log", log, self.topics))

    def _due(self, end: float) -> Iterator[Sent]:
        while self._labels and self._labels[0][0] < end:
            at, _, label = heapq.heappop(self._labels)
            yield Sent(at, label)

    def _host(
        self,
        model: SimulatedModel,
        effects: Effects,
        at: float,
        rng: np.random.Generator,
        name: str,
    ) -> Iterator[Sent]:
        load = 0.34 + 0.12 * (effects.volume - 1.0)
        measured = {
            _MEMORY: effects.memory + 0.006 * float(rng.standard_normal()),
            _CPU: load + 0.02 * float(rng.standard_normal()),
        }
        for metric, value in measured.items():
            event = Metric(
                id=f"m-{name}-{metric}",
                time=moment(at),
                model_name=model.name,
                name=metric,
                value=round(min(max(value, 0.0), 1.0), 4),
                unit="1",
                host=model.host,
            )
            yield Sent(at, message("metric", event, self.topics))


def _logs(batch: Requests) -> Iterator[tuple[float, Log]]:
    """An error line a failed request, and a warning line a slot in which inputs were missing."""
    model = batch.model
    for i in np.flatnonzero(batch.status != OK).tolist():
        timeout = batch.status[i] == TIMEOUT
        body = "no answer within 2.0 s" if timeout else "the worker closed the connection"
        yield _log(batch, i, f"request {batch.ids[i]} failed: {body}", 17, "ERROR")
    for feature, values in batch.inputs.numeric.items():
        missing = np.flatnonzero(np.isnan(values))
        if len(missing):
            body = f"{model.name}: {feature} is missing in {len(missing)} requests, imputed"
            yield _log(batch, int(missing[-1]), body, 13, "WARN")


def _log(batch: Requests, i: int, body: str, number: int, text: str) -> tuple[float, Log]:
    at = float(batch.at[i])
    log = Log(
        id=f"g-{text}-{batch.ids[i]}",
        time=moment(at),
        model_name=batch.model.name,
        body=body,
        severity_number=number,
        severity_text=text,
        service_name=f"{batch.model.name}-scorer",
    )
    return at, log


def _vitals(batch: Requests, effects: Effects) -> Vitals:
    if not len(batch):
        return Vitals(batch.version, memory=effects.memory)
    return Vitals(
        version=batch.version,
        per_minute=len(batch) * 60.0 / SLOT,
        failing=float(np.mean(batch.status != OK)),
        slow_s=float(np.quantile(batch.duration_s, 0.95)),
        memory=effects.memory,
    )
