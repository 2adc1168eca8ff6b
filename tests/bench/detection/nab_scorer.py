"""How the Numenta Anomaly Benchmark weighs alarms, after its description (Lavin and Ahmad, 2015).

A detector gives one score a point; an alarm is a point whose score reaches a threshold, the same
for all series and chosen for each profile. Of the alarms within a window only the earliest counts:
it earns a scaled sigmoid of its place, 1 at the window's first point and nearly 0 at its last. A
window without an alarm costs `missed`. An alarm outside of windows costs at most `false`, and less
shortly after a window. Points of the probation, 15 % of a series but at most 750, do not count.
The sum is scaled so that silence gives 0 and one alarm at the first point of each window 100.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from watchkeeper.detectors.types import FloatArray, IntArray

PROBATION_SHARE, PROBATION_MOST = 0.15, 750
_STEEP, _FAR = 5.0, 3.0


class Profile(NamedTuple):
    """What a false alarm and a missed window cost, where an alarm in time earns 1."""

    name: str
    false: float
    missed: float


PROFILES = (
    Profile("standard", 0.11, 1.0),
    Profile("low_fp", 0.22, 1.0),
    Profile("low_fn", 0.11, 2.0),
)


class Scored(NamedTuple):
    """The scores of one series, shape (m,), and its windows: first and last point of each."""

    scores: FloatArray
    windows: Sequence[tuple[int, int]]


class Outcome(NamedTuple):
    """The best a detector reaches in a profile, and the threshold that gives it."""

    points: float
    threshold: float


class _Steps(NamedTuple):
    """By how much the sum changes as the threshold sinks to each of these scores."""

    scores: FloatArray
    gains: FloatArray


def probation(length: int) -> int:
    """How many first points of a series do not count."""
    return min(int(PROBATION_SHARE * length), PROBATION_MOST)


def worth(place: FloatArray) -> FloatArray:
    """The scaled sigmoid of places relative to a window: -1 its first point, 0 just after its
    last, 1 as far after it again."""
    with np.errstate(over="ignore"):
        inside = 2.0 / (1.0 + np.exp(_STEEP * place)) - 1.0
    return np.where(place > _FAR, -1.0, inside)


def judged(series: Sequence[Scored], profile: Profile) -> Outcome:
    """The points of the best threshold over all series; silence is one of them."""
    parts = [part for each in series for part in _steps(each, profile)]
    scores = np.concatenate([part.scores for part in parts])
    gains = np.concatenate([part.gains for part in parts])
    order = np.argsort(-scores, kind="stable")
    scores, total = scores[order], np.cumsum(gains[order])
    last = np.append(scores[1:] != scores[:-1], True)[: len(scores)]
    scores, total = scores[last], total[last]
    if not len(total) or total.max() <= 0.0:
        return Outcome(0.0, math.inf)
    best = int(total.argmax())
    return Outcome(100.0 * float(total[best]) / perfect(series, profile), float(scores[best]))


def sum_at(series: Sequence[Scored], profile: Profile, threshold: float) -> float:
    """What the alarms at a threshold earn above silence, in units of one alarm in time."""
    parts = [part for each in series for part in _steps(each, profile)]
    return sum(float(part.gains[part.scores >= threshold].sum()) for part in parts)


def perfect(series: Sequence[Scored], profile: Profile) -> float:
    """What one alarm at the first point of each window earns above silence."""
    windows = sum(len(each.windows) for each in series)
    return max((1.0 + profile.missed) * windows, 1.0)


def _steps(series: Scored, profile: Profile) -> list[_Steps]:
    counts = np.arange(len(series.scores)) >= probation(len(series.scores))
    outside, parts = counts.copy(), []
    for first, last in series.windows:
        outside[first : last + 1] = False
        inside = np.flatnonzero(counts[first : last + 1]) + first
        parts.append(_window(series.scores, inside, (first, last), profile))
    at = np.flatnonzero(outside)
    parts.append(_Steps(series.scores[at], profile.false * _after(at, series.windows)))
    return parts


def _window(
    scores: FloatArray, inside: IntArray, window: tuple[int, int], profile: Profile
) -> _Steps:
    first, last = window
    earned = worth((inside - last - 1) / (last - first + 1)) / worth(np.array(-1.0))
    order = np.argsort(-scores[inside], kind="stable")
    best = np.maximum.accumulate(earned[order])
    gains = np.diff(best, prepend=-profile.missed)  # silence is the zero
    return _Steps(scores[inside][order], gains)


def _after(at: IntArray, windows: Sequence[tuple[int, int]]) -> FloatArray:
    """What an alarm at these points outside of windows is worth: -1, or more after a window."""
    value = np.full(len(at), -1.0)
    for first, last in sorted(windows):
        after = at > last
        value[after] = worth((at[after] - last) / max(last - first, 1))
    return value
