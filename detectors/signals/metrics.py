"""How the hosts and the business around a model are doing."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import ClassVar

import numpy as np

from watchkeeper.detectors.profile import Profile
from watchkeeper.detectors.signals._counters import (
    BEFORE,
    READINGS,
    MetricCounts,
    latest,
    rate,
    readings,
)
from watchkeeper.detectors.signals._exact import limbs, total
from watchkeeper.detectors.signals._sampling import Closed
from watchkeeper.detectors.types import (
    BoolArray,
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
_NOT_PLACES = ("n", "sum", READINGS, BEFORE)
_NONE = np.zeros(1, dtype=np.int64)


class Metrics:
    """The mean of each gauge, target `NAME` or `NAME@HOST`, and its maximum within 0.8 %,
    `NAME:max` or `NAME:max@HOST`. Of a counter its increase per second, target `NAME` or
    `NAME@HOST`, since its last reading in the window before, where there was one; a counter that
    fell began anew. n counts finite measurements.

    Only the first TARGETS metrics of a window, by name and host, have samples; `__other__` counts
    the measurements of all others. The sum is exact over the whole range of float64; the maximum
    is the highest of the buckets that values were counted in.
    """

    name: ClassVar[str] = "metrics"
    watches: ClassVar[type[Frame]] = MetricFrame
    part: ClassVar[type[Partial]] = MetricCounts

    def measure(self, frame: MetricFrame, profile: Profile | None) -> Partial:
        part = MetricCounts()
        for target, chosen in _rows(frame, ~frame.counter).items():
            values = frame.value[chosen]
            part[_key(target, "n")] = np.array([len(chosen)], dtype=np.int64)
            part[_key(target, "sum")] = limbs(values)
            for place, counts in _octaves(values):
                part[_key(target, str(place))] = counts
        for target, chosen in _rows(frame, frame.counter).items():
            part[_key(target, READINGS)] = readings(frame.at[chosen], frame.value[chosen])
        return part

    def samples(
        self, partial: Partial, profile: Profile | None, model: str, version: str, window: Window
    ) -> Iterator[Sample]:
        closed = Closed(model, version, self.name, window)
        fields = {target: each for target, each in _by_target(partial).items() if _n(each)}
        ordered = sorted(fields)
        for target in ordered[:TARGETS]:
            mine = fields[target]
            if READINGS in mine:
                yield from _increase(closed, target, mine)
                continue
            n = _n(mine)
            yield closed.sample(target, float(total(mine["sum"]) / n), n)
            name, at, host = target.partition("@")
            yield closed.sample(f"{name}:max{at}{host}", _largest(mine), n)
        others = sum(_n(fields[target]) for target in ordered[TARGETS:])
        if others:
            yield closed.sample(OVERFLOW, others, others)


def carried(frame: MetricFrame) -> Partial:
    """What the window after the one of these measurements must know of them: the last reading of
    each counter."""
    part = MetricCounts()
    for target, chosen in _rows(frame, frame.counter).items():
        here = readings(frame.at[chosen], frame.value[chosen])
        part[_key(target, BEFORE)] = latest(here)
    return part


def _rows(frame: MetricFrame, chosen: BoolArray) -> dict[str, list[int]]:
    """The rows of each metric among those chosen that have a finite value."""
    rows: dict[str, list[int]] = {}
    for i in np.flatnonzero(chosen & np.isfinite(frame.value)).tolist():
        name, host = frame.name[i], frame.host[i]
        rows.setdefault(f"{name}@{host}" if host else name, []).append(i)
    return rows


def _n(fields: dict[str, IntArray]) -> int:
    """The measurements of a metric; one that was sent both as counter and as gauge is a counter."""
    return len(fields[READINGS]) if READINGS in fields else int(fields.get("n", _NONE)[0])


def _increase(closed: Closed, target: str, fields: dict[str, IntArray]) -> Iterator[Sample]:
    found = rate(fields[READINGS], fields.get(BEFORE))
    if found is not None:
        yield closed.sample(target, found, _n(fields))


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
    place = max(int(field) for field in fields if field not in _NOT_PLACES)
    if not place:
        return 0.0
    held = np.flatnonzero(fields[str(place)])
    inside = int(held[-1] if place > 0 else held[0])
    middle = math.ldexp(0.5 + (inside + 0.5) / (2 * _STEPS), abs(place) + _BELOW)
    return math.copysign(middle, place)
