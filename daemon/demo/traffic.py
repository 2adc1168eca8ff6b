"""One model's requests in one slot of time: drawn, spoilt by the script's effects, answered."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from watchkeeper.daemon.demo.faults import Effects
from watchkeeper.daemon.demo.models import Inputs, SimulatedModel
from watchkeeper.detectors.types import (
    ERROR,
    OK,
    STATUS_CODES,
    TIMEOUT,
    BoolArray,
    FloatArray,
    IntArray,
    Label,
    ObjectArray,
    Prediction,
    PredictionValue,
    Scalar,
    moment,
)

SLOT = 15.0  # seconds; effects and versions change between slots, never within one
CLIENTS = np.array([f"client-{i:04d}" for i in range(1_500)], dtype=object)
PROBING_CLIENT = "client-9f3c"
TIMEOUT_S = 2.0
_DAY = 86_400.0
_STATUS_NAMES = {code: name for name, code in STATUS_CODES.items()}


@dataclass(slots=True)
class Requests:
    """The requests of one model in one slot as columns of equal length, in order of time.

    `label_at` is when a request's truth becomes known (NaN: never).
    """

    model: SimulatedModel
    version: str
    at: FloatArray
    ids: list[str]
    entity: ObjectArray
    inputs: Inputs
    answer: FloatArray
    truth: FloatArray
    label_at: FloatArray
    duration_s: FloatArray
    status: IntArray

    def __len__(self) -> int:
        return len(self.at)

    def predictions(self) -> Iterator[Prediction]:
        """The `prediction.v1` events."""
        names = (*self.inputs.numeric, *self.inputs.categorical)
        columns = [_scalars(self.model, name, self.inputs) for name in names]
        rows = zip(*columns, strict=True)
        answers, durations = self.answer.tolist(), np.round(self.duration_s, 5).tolist()
        for i, (at, row) in enumerate(zip(self.at.tolist(), rows, strict=True)):
            status = _STATUS_NAMES[int(self.status[i])]
            yield Prediction(
                id="p-" + self.ids[i],
                time=moment(at),
                model_name=self.model.name,
                model_version=self.version,
                request_id=self.ids[i],
                features=dict(zip(names, row, strict=True)),
                prediction=self._value(answers[i]) if status == "ok" else PredictionValue(),
                duration_s=durations[i],
                status=status,  # type: ignore[arg-type]  # the names of STATUS_CODES
                error_type=None if status == "ok" else f"upstream_{status}",
                entity_id=self.entity[i],
                source=self.model.host,
            )

    def labels(self) -> Iterator[tuple[float, Label]]:
        """The `label.v1` events that will come, each with its time, in no order."""
        for i in np.flatnonzero(np.isfinite(self.label_at)).tolist():
            at, truth = float(self.label_at[i]), float(self.truth[i])
            classes = self.model.classes
            yield (
                at,
                Label(
                    id="l-" + self.ids[i],
                    time=moment(at),
                    model_name=self.model.name,
                    request_id=self.ids[i],
                    label=None if classes is None else classes[int(truth)],
                    value=round(truth, 3) if classes is None else None,
                    source="back-office",
                ),
            )

    def _value(self, answer: float) -> PredictionValue:
        if self.model.classes is None:
            return PredictionValue(value=round(answer, 3))
        return PredictionValue(label=self.model.classes[int(answer > 0.5)], score=round(answer, 6))


def requests(
    model: SimulatedModel,
    version: str,
    effects: Effects,
    begin: float,
    rng: np.random.Generator,
    name: str,
) -> Requests:
    """The requests that arrive in the slot that begins at `begin`; `name` makes their ids."""
    per_slot = model.per_minute * SLOT / 60.0 * effects.volume * _daily(begin)
    real = int(rng.poisson(per_slot))
    probing = int(rng.poisson(per_slot * effects.probes / (1.0 - effects.probes)))
    n = real + probing
    inputs = _joined(model.draw(rng, real, effects.evening), _probes(model, rng, probing))
    order = rng.permutation(n)
    inputs = _taken(inputs, order)
    probe = order >= real
    truth = model.true(rng, inputs)
    seen = inputs
    for feature, share in effects.nulls.items():
        seen = seen.blank(feature, rng.random(n) < share)
    status, duration = _served(model, effects, rng, n)
    at = _milliseconds(begin + np.sort(rng.random(n)) * SLOT)
    return Requests(
        model=model,
        version=version,
        at=at,
        ids=[f"{name}-{i}" for i in range(n)],
        entity=_clients(rng, probe),
        inputs=_rounded(seen),
        answer=model.answer(version, seen),
        truth=truth,
        label_at=_label_times(model, rng, at, ~probe & (status == OK)),
        duration_s=duration,
        status=status,
    )


def _daily(at: float) -> float:
    """The day's gentle season of volume, highest in the early evening (18:00 UTC)."""
    return 1.0 + 0.08 * math.cos(2.0 * math.pi * (at / _DAY - 0.75))


def _milliseconds(at: FloatArray) -> FloatArray:
    return np.asarray(np.floor(at * 1_000.0) / 1_000.0, dtype=np.float64)


def _probes(model: SimulatedModel, rng: np.random.Generator, n: int) -> Inputs:
    """Near-duplicates of one request that lies near the decision boundary."""
    step = 1.0 + 0.01 * rng.standard_normal((len(model.numeric), n))
    base = {c.name: _typical(model, c.name) for c in model.numeric}
    numeric = {name: value * step[i] for i, (name, value) in enumerate(base.items())}
    levels = {c.name: np.full(n, next(iter(c.levels)), dtype=object) for c in model.categorical}
    return Inputs(numeric, levels)


def _typical(model: SimulatedModel, name: str) -> float:
    column = next(c for c in model.numeric if c.name == name)
    weight = model.truth.weights[name]
    spread = {
        "normal": column.b,
        "lognormal": column.a * column.b,
        "gamma": math.sqrt(column.a) * column.b,
        "poisson": math.sqrt(column.a),
        "flag": 0.5,
    }[column.shape]
    centre = column.a * column.b if column.shape == "gamma" else column.a
    return max(centre + 0.35 * spread * math.copysign(1.0, weight), 0.05 * centre)


def _joined(one: Inputs, other: Inputs) -> Inputs:
    return Inputs(
        {k: np.concatenate([v, other.numeric[k]]) for k, v in one.numeric.items()},
        {k: np.concatenate([v, other.categorical[k]]) for k, v in one.categorical.items()},
    )


def _taken(inputs: Inputs, order: IntArray) -> Inputs:
    return Inputs(
        {k: v[order] for k, v in inputs.numeric.items()},
        {k: v[order] for k, v in inputs.categorical.items()},
    )


def _rounded(inputs: Inputs) -> Inputs:
    return Inputs({k: np.round(v, 4) for k, v in inputs.numeric.items()}, inputs.categorical)


def _served(
    model: SimulatedModel, effects: Effects, rng: np.random.Generator, n: int
) -> tuple[IntArray, FloatArray]:
    duration = rng.lognormal(math.log(model.latency * effects.latency), 0.3, n)
    luck = rng.random(n)
    status = np.full(n, OK, dtype=np.int64)
    status[luck < 0.0015] = ERROR
    status[(luck > 1.0 - 0.0003 - effects.timeouts) | (duration > TIMEOUT_S)] = TIMEOUT
    return status, np.where(status == TIMEOUT, TIMEOUT_S, duration)


def _clients(rng: np.random.Generator, probe: BoolArray) -> ObjectArray:
    return np.where(probe, PROBING_CLIENT, rng.choice(CLIENTS, len(probe)))


def _label_times(
    model: SimulatedModel, rng: np.random.Generator, at: FloatArray, known: BoolArray
) -> FloatArray:
    delay = rng.lognormal(math.log(model.label_delay), 0.5, len(at))
    kept = known & (rng.random(len(at)) < model.coverage)
    return np.where(kept, _milliseconds(at + delay), np.nan)


def _scalars(model: SimulatedModel, name: str, inputs: Inputs) -> list[Scalar]:
    if name in inputs.categorical:
        return list(inputs.categorical[name])
    shape = next(c.shape for c in model.numeric if c.name == name)
    values: list[Scalar] = list(inputs.numeric[name].tolist())
    if shape == "flag":
        values = [None if v != v else bool(v) for v in values]
    return [None if isinstance(v, float) and v != v else v for v in values]
