"""What is usual at an hour of the week, and whether that explains anything.

The means of an hour's values are folded into the usual one of that hour of the week, and of the
day for weeks that are not known yet (additive seasonality as in Holt, Forecasting Seasonals and
Trends by Exponentially Weighted Moving Averages, 1957). The hour is used only while it predicts
an hour's mean clearly better than the mean of the hours before does.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from watchkeeper.detectors.frames import BoolArray, FloatArray, IntArray

_HOUR, _WEEK, _DAY = 3600.0, 168, 24
_WEEKS, _DAYS = 2.0, 7.0  # after which what was usual fades
_BETTER = 0.7  # of the error without the hour that may be left with it

FIELDS = (
    ("weekly", "<f8", (_WEEK,)),
    ("weeks", "<f8", (_WEEK,)),
    ("daily", "<f8", (_DAY,)),
    ("days", "<f8", (_DAY,)),
    ("hour", "<i8", ()),
    ("sum", "<f8", ()),
    ("count", "<i8", ()),
    ("visits", "<i8", ()),
    ("plain", "<f8", ()),
    ("error", "<f8", ()),
    ("plain_error", "<f8", ()),
)
State = dict[str, Any]  # arrays of the fields, a row a series


def departure(state: State, rows: IntArray, start: FloatArray, value: FloatArray) -> FloatArray:
    """How far values are from what is usual at their hour, and learns them; NaN: not known.

    `start` is in seconds since the epoch.
    """
    timed = np.isfinite(start) & (np.abs(start) < 1e15)
    hour = np.floor(np.where(timed, start, 0.0) / _HOUR).astype(np.int64)
    over = timed & (state["count"][rows] > 0) & (state["hour"][rows] != hour)
    if over.any():
        _fold(state, rows[over])
    week, day = hour % _WEEK, hour % _DAY
    known, usual = _usual(state, rows, week, day)
    better = state["error"][rows] <= _BETTER * state["plain_error"][rows]
    found = np.where(timed & known & better, np.abs(value - usual), np.nan)
    at = rows[timed]
    state["hour"][at] = hour[timed]
    state["sum"][at] += value[timed]
    state["count"][at] += 1
    return found


def _usual(
    state: State, rows: IntArray, week: IntArray, day: IntArray
) -> tuple[BoolArray, FloatArray]:
    weekly = state["weeks"][rows, week] > 0.0
    known: BoolArray = weekly | (state["days"][rows, day] > 0.0)
    return known, np.where(weekly, state["weekly"][rows, week], state["daily"][rows, day])


def _fold(state: State, rows: IntArray) -> None:
    """Learns the mean of an hour that is over."""
    mean = state["sum"][rows] / state["count"][rows]
    week, day = state["hour"][rows] % _WEEK, state["hour"][rows] % _DAY
    rate = 1.0 / np.clip(state["visits"][rows], 1, _WEEK)
    known, usual = _usual(state, rows, week, day)
    for name, guess in (("error", usual), ("plain_error", state["plain"][rows])):
        now = state[name][rows]
        state[name][rows] = np.where(known, now + rate * (np.abs(mean - guess) - now), now)
    state["visits"][rows] += 1
    rate = 1.0 / np.clip(state["visits"][rows], 1, _WEEK)
    state["plain"][rows] += rate * (mean - state["plain"][rows])
    for name, seen, at, most in (
        ("weekly", "weeks", week, _WEEKS),
        ("daily", "days", day, _DAYS),
    ):
        state[seen][rows, at] = np.minimum(state[seen][rows, at] + 1.0, most)
        usual = state[name][rows, at]
        state[name][rows, at] = usual + (mean - usual) / state[seen][rows, at]
    state["sum"][rows], state["count"][rows] = 0.0, 0
