"""The four simulated models: their inputs, what each version answers, and what is true."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Literal

import numpy as np

from watchkeeper.detectors.types import BoolArray, FloatArray, ObjectArray


@dataclass(frozen=True, slots=True)
class Numeric:
    """A numeric input. `shape` says what `a` and `b` are:

    normal (mean, deviation), lognormal (median, sigma), gamma (shape, scale), poisson (mean),
    flag (probability of 1). `evening` multiplies what is typical when the evening shift is full.
    """

    name: str
    shape: Literal["normal", "lognormal", "gamma", "poisson", "flag"]
    a: float
    b: float = 1.0
    evening: float = 1.0

    def draw(self, rng: np.random.Generator, n: int, evening: float) -> FloatArray:
        """`n` values of this input; `evening` in 0..1 is how far the evening shift has come."""
        factor = 1.0 + (self.evening - 1.0) * evening
        match self.shape:
            case "normal":
                return rng.normal(self.a * factor, self.b, n)
            case "lognormal":
                return rng.lognormal(np.log(self.a * factor), self.b, n)
            case "gamma":
                return rng.gamma(self.a, self.b * factor, n)
            case "poisson":
                return rng.poisson(self.a * factor, n).astype(np.float64)
            case "flag":
                return (rng.random(n) < self.a * factor).astype(np.float64)

    def standard(self, values: FloatArray) -> FloatArray:
        """The values as a linear model sees them: centred, scaled, a missing one as typical."""
        match self.shape:
            case "normal":
                z = (values - self.a) / self.b
            case "lognormal":
                z = (np.log(values) - np.log(self.a)) / self.b
            case "gamma":
                z = (values - self.a * self.b) / (np.sqrt(self.a) * self.b)
            case "poisson":
                z = (values - self.a) / np.sqrt(self.a)
            case "flag":
                z = values - self.a
        return np.nan_to_num(z, nan=0.0)


@dataclass(frozen=True, slots=True)
class Category:
    """A categorical input: `levels` with their share by day, and by evening where it differs."""

    name: str
    levels: Mapping[str, float]
    evening: Mapping[str, float] | None = None

    def draw(self, rng: np.random.Generator, n: int, evening: float) -> ObjectArray:
        """`n` levels; the shares move from the day's to the evening's."""
        names = np.array(list(self.levels), dtype=object)
        day = np.array(list(self.levels.values()))
        late = day if self.evening is None else np.array([self.evening[k] for k in self.levels])
        shares = day + (late - day) * evening
        return names[np.searchsorted(np.cumsum(shares)[:-1], rng.random(n), side="right")]


@dataclass(slots=True)
class Inputs:
    """Columns of the inputs of n requests; a missing number is NaN."""

    numeric: dict[str, FloatArray]
    categorical: dict[str, ObjectArray]

    def blank(self, name: str, rows: BoolArray) -> Inputs:
        """The same inputs with one numeric column missing in some rows."""
        column = np.where(rows, np.nan, self.numeric[name])
        return Inputs({**self.numeric, name: column}, self.categorical)


@dataclass(frozen=True, slots=True)
class Linear:
    """One version of a model: a weight for each standardised number and each level."""

    bias: float
    weights: Mapping[str, float]
    levels: Mapping[str, Mapping[str, float]] = field(default_factory=dict)

    def margin(self, columns: tuple[Numeric, ...], inputs: Inputs) -> FloatArray:
        """The weighted sum for each row."""
        size = len(next(iter(inputs.numeric.values())))
        total = np.full(size, self.bias)
        for column in columns:
            total += self.weights[column.name] * column.standard(inputs.numeric[column.name])
        for name, by_level in self.levels.items():
            values = inputs.categorical[name]
            for level, weight in by_level.items():
                total += weight * (values == level)
        return total

    def swapped(self, one: str, other: str) -> Linear:
        """The version that gets two of its inputs in the wrong order."""
        weights = {**self.weights, one: self.weights[other], other: self.weights[one]}
        return replace(self, weights=weights)


@dataclass(frozen=True, slots=True)
class SimulatedModel:
    """A model of the fleet. `truth` is nature's rule; `versions` are what was deployed.

    A classifier answers its two `classes` (the second is the positive one); a regressor answers
    `offset + spread * margin`. `noise` is nature's: the truth's temperature for a classifier, a
    deviation for a regressor. `label_delay` (median, in seconds) and `coverage` say how late and
    how often the truth becomes known. `latency` is the median duration in seconds.
    """

    name: str
    host: str
    version: str
    numeric: tuple[Numeric, ...]
    categorical: tuple[Category, ...]
    truth: Linear
    versions: Mapping[str, Linear]
    noise: float
    per_minute: float
    latency: float
    label_delay: float
    coverage: float
    classes: tuple[str, str] | None = None
    offset: float = 0.0
    spread: float = 1.0

    def draw(self, rng: np.random.Generator, n: int, evening: float) -> Inputs:
        """The inputs of `n` requests."""
        return Inputs(
            {c.name: c.draw(rng, n, evening) for c in self.numeric},
            {c.name: c.draw(rng, n, evening) for c in self.categorical},
        )

    def answer(self, version: str, inputs: Inputs) -> FloatArray:
        """What a version answers: the positive class's score, or the value."""
        margin = self.versions[version].margin(self.numeric, inputs)
        return _sigmoid(margin) if self.classes else self.offset + self.spread * margin

    def true(self, rng: np.random.Generator, inputs: Inputs) -> FloatArray:
        """What turns out to be true: 1 for the positive class, or the value."""
        margin = self.truth.margin(self.numeric, inputs)
        if self.classes:
            return (rng.random(len(margin)) < _sigmoid(margin / self.noise)).astype(np.float64)
        return self.offset + self.spread * margin + rng.normal(0.0, self.noise, len(margin))


def _sigmoid(margin: FloatArray) -> FloatArray:
    return np.asarray(1.0 / (1.0 + np.exp(-np.clip(margin, -30.0, 30.0))), dtype=np.float64)


def _fraud() -> SimulatedModel:
    weights = {
        "amount": 1.7,
        "merchant_age": -1.7,
        "distance_km": 1.0,
        "velocity_1h": 1.1,
        "card_present": -1.0,
    }
    levels = {"channel": {"app": 0.3, "pos": -0.6}}
    good = Linear(-3.2, {**weights, "amount": 1.6, "velocity_1h": 1.0}, levels)
    return SimulatedModel(
        name="fraud",
        host="serving-1",
        version="v1",
        numeric=(
            Numeric("amount", "lognormal", 42.0, 0.9),
            Numeric("merchant_age", "gamma", 3.0, 420.0),
            Numeric("distance_km", "lognormal", 6.0, 1.1),
            Numeric("velocity_1h", "poisson", 2.2),
            Numeric("card_present", "flag", 0.55),
        ),
        categorical=(Category("channel", {"web": 0.45, "app": 0.35, "pos": 0.2}),),
        truth=Linear(-3.2, weights, levels),
        versions={"v1": good, "v2": good.swapped("amount", "merchant_age")},
        noise=0.5,
        per_minute=280.0,
        latency=0.024,
        label_delay=150.0,
        coverage=0.8,
        classes=("legit", "fraud"),
    )


def _demand() -> SimulatedModel:
    weights = {"price": -0.8, "promo": 1.1, "temperature": 0.5, "stock": 0.2, "basket": 0.6}
    levels = {"store": {"city": 0.5, "mall": 0.2}}
    return SimulatedModel(
        name="demand",
        host="serving-2",
        version="v4",
        numeric=(
            Numeric("price", "lognormal", 9.5, 0.35),
            Numeric("promo", "flag", 0.18, evening=1.3),
            Numeric("temperature", "normal", 17.0, 6.0, evening=0.9),
            Numeric("stock", "gamma", 4.0, 55.0),
            Numeric("basket", "lognormal", 3.1, 0.5, evening=1.12),
        ),
        categorical=(
            Category(
                "store",
                {"city": 0.42, "mall": 0.28, "suburb": 0.3},
                {"city": 0.5, "mall": 0.28, "suburb": 0.22},
            ),
        ),
        truth=Linear(0.0, weights, levels),
        versions={"v4": Linear(0.02, {**weights, "price": -0.77, "stock": 0.17}, levels)},
        noise=7.0,
        per_minute=220.0,
        latency=0.041,
        label_delay=240.0,
        coverage=0.9,
        offset=120.0,
        spread=24.0,
    )


def _churn() -> SimulatedModel:
    weights = {
        "tenure_months": -1.2,
        "monthly_charge": 0.9,
        "support_calls": 1.2,
        "usage_gb": -0.7,
    }
    levels = {"contract": {"monthly": 0.9, "two_years": -1.1}}
    return SimulatedModel(
        name="churn",
        host="serving-3",
        version="v7",
        numeric=(
            Numeric("tenure_months", "gamma", 1.8, 14.0),
            Numeric("monthly_charge", "normal", 49.0, 14.0),
            Numeric("support_calls", "poisson", 1.4),
            Numeric("usage_gb", "lognormal", 11.0, 0.8),
        ),
        categorical=(Category("contract", {"monthly": 0.5, "yearly": 0.3, "two_years": 0.2}),),
        truth=Linear(-1.6, weights, levels),
        versions={"v7": Linear(-1.6, {**weights, "usage_gb": -0.6}, levels)},
        noise=0.55,
        per_minute=210.0,
        latency=0.018,
        label_delay=300.0,
        coverage=0.6,
        classes=("stay", "churn"),
    )


def _image() -> SimulatedModel:
    weights = {"brightness": -0.4, "blur": 1.3, "contrast": -0.9, "edge_density": 1.4}
    levels = {"camera": {"line_b": 0.3}}
    return SimulatedModel(
        name="image",
        host="serving-4",
        version="v3",
        numeric=(
            Numeric("brightness", "normal", 0.52, 0.11),
            Numeric("blur", "gamma", 2.5, 0.4),
            Numeric("contrast", "normal", 0.61, 0.09),
            Numeric("edge_density", "lognormal", 0.12, 0.45),
        ),
        categorical=(Category("camera", {"line_a": 0.5, "line_b": 0.3, "line_c": 0.2}),),
        truth=Linear(-2.0, weights, levels),
        versions={"v3": Linear(-2.0, {**weights, "brightness": -0.35}, levels)},
        noise=0.5,
        per_minute=240.0,
        latency=0.085,
        label_delay=200.0,
        coverage=0.35,
        classes=("ok", "defect"),
    )


def fleet_models() -> tuple[SimulatedModel, ...]:
    """The fleet: a fraud classifier, a demand regressor, a churn classifier, an image scorer."""
    return (_fraud(), _demand(), _churn(), _image())
