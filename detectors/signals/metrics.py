"""How the hosts and the business around a model are doing."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import ClassVar

import numpy as np

from watchkeeper.detectors.profile import Profile
from watchkeeper.detectors.signals._exact import limbs, total
from watchkeeper.detectors.signals._sampling import Closed
from watchkeeper.detectors.types import (
    FloatArray,
    Frame,
    IntArray,
    MetricFrame,
    Partial,
    Sample,
    Window,
)

TARGETS = 300  # metrics of one window that get samples of their own
OVERFLOW = "__other__"

_STEPS = 64  # buckets between two powers of two: the maximum is known within 0.8 %
_BELOW = -1075  # below the exponent of every float64


class Metrics:
    """The mean of each metric, target `NAME` or `NAME@HOST`, and its maximum within 0.8 %,
    `NAME:max` or `NAME:max@HOST`. n counts finite measurements; every metric is taken as a gauge.

    Only the first TARGETS metrics of a window, by name and host, have samples; `__other__` counts
    the measurements of all others. The sum is exact over the whole range of float64; the maximum
    is the highest of the buckets that values were counted in.
    """

    name: ClassVar[str] = "metrics"
    watches: ClassVar[type[Frame]] = MetricFrame

    def measure(self, frame: MetricFrame, profile: Profile | None) -> Partial:
        rows: dict[str, list[int]] = {}
        finite = np.isfinite(frame.value).tolist()
        for i, (name, host) in enumerate(
            zip(frame.name.tolist(), frame.host.tolist(), strict=True)
        ):
            if finite[i]:
                rows.setdefault(f"{name}@{host}" if host else name, []).append(i)
        part = Partial()
        for target, chosen in rows.items():
            values = frame.value[chosen]
            part[_key(target, "n")] = np.array([len(chosen)], dtype=np.int64)
            part[_key(target, "sum")] = limbs(values)
            for place, counts in _octaves(values):
                part[_key(target, str(place))] = counts
        return part

    def samples(
        self, partial: Partial, profile: Profile | None, model: str, version: str, window: Window
    ) -> Iterator[Sample]:
        closed = Closed(model, version, self.name, window)
        fields = _by_target(partial)
        ordered = sorted(fields)
        for target in ordered[:TARGETS]:
            n = int(fields[target]["n"][0])
            yield closed.sample(target, float(total(fields[target]["sum"]) / n), n)
            name, at, host = target.partition("@")
            yield closed.sample(f"{name}:max{at}{host}", _largest(fields[target]), n)
        others = sum(int(fields[target]["n"][0]) for target in ordered[TARGETS:])
        if others:
            yield closed.sample(OVERFLOW, others, others)


def _key(target: str, field: str) -> str:
    return f"{target}\x1f{field}"


def _by_target(partial: Partial) -> dict[str, dict[str, IntArray]]:
    found: dict[str, dict[str, IntArray]] = {}
    for key, array in partial.items():
        target, _, field = key.rpartition("\x1f")
        found.setdefault(target, {})[field] = array
    return found


def _octaves(values: FloatArray) -> Iterator[tuple[int, IntArray]]:
    """Counts between two powers of two each; the places rise with the values they hold."""
    mantissa, exponent = np.frexp(np.abs(values))
    inside = ((mantissa - 0.5) * 2 * _STEPS).astype(np.int64).clip(0, _STEPS - 1)
    octave = exponent.astype(np.int64) - _BELOW
    place = np.where(values == 0, 0, np.where(values < 0, -octave, octave))
    for each in np.unique(place).tolist():
        yield each, np.bincount(inside[place == each], minlength=_STEPS)


def _largest(fields: dict[str, IntArray]) -> float:
    """The middle of the highest bucket that holds a value."""
    place = max(int(field) for field in fields if field not in ("n", "sum"))
    if not place:
        return 0.0
    held = np.flatnonzero(fields[str(place)])
    inside = int(held[-1] if place > 0 else held[0])
    middle = math.ldexp(0.5 + (inside + 0.5) / (2 * _STEPS), abs(place) + _BELOW)
    return math.copysign(middle, place)
