"""One alarm an incident, and less for alarms that this series gives all the time.

An incident stays open for a while after its last alarm; as long as it is open only what is much
worse than its worst gives another. An alarm's score is its evidence, less the logarithm of how
many alarms at least as strong are to be expected of this series: its earlier alarms, older ones
counting less, each taken to be a tenth as frequent for every digit of evidence more. So a score
of x means: one alarm as strong in about 10^x times as long, in this series.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from watchkeeper.detectors.anomalies.rules import Rules
from watchkeeper.detectors.frames import BoolArray, FloatArray, IntArray

KEPT = 64  # alarms that are remembered
LEAST = 0.5  # digits of evidence an alarm needs in any case

FIELDS = (
    ("peak", "<f8", ()),
    ("last", "<i8", ()),
    ("alarms", "<i8", ()),
    ("strength", "<f8", (KEPT,)),
    ("sounded", "<i8", (KEPT,)),
)
State = dict[str, Any]  # arrays of the fields, a row a series


def alarms(
    state: State,
    rows: IntArray,
    seen: IntArray,
    evidence: FloatArray,
    rules: Rules,
    may: BoolArray | None = None,
    least: float = 0.0,
) -> tuple[BoolArray, FloatArray]:
    """Which of these values begin or worsen an incident, and the scores of those that do, else 0.

    `seen` is the running number of the value; after `rules.memory` values an alarm counts half.
    Only scores of `least` or more are alarms. One that `may` not be, by its place, is hidden: it is
    none, but opens an incident, out of which the next that may be comes at once.
    """
    told = np.ones(len(rows), dtype=np.bool_) if may is None else may
    peak = state["peak"][rows]
    opened = (state["alarms"][rows] > 0) & (seen - state["last"][rows] < rules.quiet)
    first = ~opened | ((peak < 0.0) & told)
    sound = (evidence > LEAST) & (first | (evidence > rules.worse * np.abs(peak)))
    score = np.zeros(len(rows))
    if sound.any():
        at, strong, now = rows[sound], evidence[sound], seen[sound]
        expected = _expected(state, at, strong, now, rules.memory)
        rare = np.maximum(strong - np.log10(1.0 + expected), 0.0)
        enough = rare >= least
        sound[sound] = enough
        at, strong, now, score[sound] = at[enough], strong[enough], now[enough], rare[enough]
        slot = state["alarms"][at] % KEPT
        state["strength"][at, slot], state["sounded"][at, slot] = strong, now
        state["alarms"][at] += 1
        # Below zero: the open incident is hidden, nobody was told of it.
        state["peak"][at] = np.where(told[sound], strong, -strong)
        state["last"][at] = now
    return sound & told, np.where(told, score, 0.0)


def hidden(state: State, rows: IntArray, quiet: int) -> BoolArray:
    """Whose next value finds an incident open that nobody was told of."""
    found: BoolArray = (state["peak"][rows] < 0.0) & (
        state["seen"][rows] + 1 - state["last"][rows] < quiet
    )
    return found


def _expected(
    state: State, rows: IntArray, strong: FloatArray, now: IntArray, memory: int
) -> FloatArray:
    """How many alarms at least as strong there would have been."""
    kept = np.arange(KEPT) < state["alarms"][rows][:, None]
    age = (now[:, None] - state["sounded"][rows]) / memory
    fewer = np.minimum(state["strength"][rows] - strong[:, None], 0.0)
    each = np.where(kept, np.exp2(-np.clip(age, 0.0, 1000.0)) * 10.0**fewer, 0.0)
    total: FloatArray = each.sum(axis=1)
    return total
