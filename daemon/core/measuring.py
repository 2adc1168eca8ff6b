"""Measures frames into the parts of open windows: of logs, metrics and changes, model by model."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from typing import TypeVar

import numpy as np

from watchkeeper.daemon.core.model import ModelState
from watchkeeper.daemon.core.policy import ModelPolicy
from watchkeeper.daemon.core.step import Step
from watchkeeper.daemon.core.versions import OTHER
from watchkeeper.detectors.signals import SIGNALS, part_of
from watchkeeper.detectors.signals.metrics import TARGETS, Metrics, carried
from watchkeeper.detectors.types import AnyFrame, BoolArray, ChangeFrame, Frame, MetricFrame
from watchkeeper.detectors.windows import window_index

CHANGES_LIMIT = 50
METRICS_LIMIT = TARGETS - 1  # different (name, host) of metrics told apart; all others are one
LIVE = ""  # stands for the version that is live once the window is closed
# What is counted in arrays; all other signals are measured into parts.
COUNTED = frozenset({"accuracy", "clients", "errors", "features", "latency", "output", "volume"})
F = TypeVar("F", bound=Frame)


def measure(
    model: ModelState, policy: ModelPolicy, frame: AnyFrame, late: BoolArray, step: Step
) -> None:
    if isinstance(frame, ChangeFrame):
        step.changes.extend(frame.events)
        model.changes.extend(frame.events)
        model.changes.sort(key=lambda change: change.time)
        del model.changes[:-CHANGES_LIMIT]
        return
    kept = frame.take(~late)
    if isinstance(kept, MetricFrame):
        kept = _bounded(model, kept)
    for index, rows in by_window(model, policy, kept):
        into = model.partials.setdefault(index, {})
        for signal in SIGNALS:
            if signal.watches is type(frame):
                part = signal.measure(rows, None)
                into.setdefault((LIVE, signal.name), part_of(signal.name)).merge(part)
        if isinstance(rows, MetricFrame):
            _carry(model, index + 1, rows)


def _carry(model: ModelState, index: int, frame: MetricFrame) -> None:
    """Tells a window what the one before it knows of counters."""
    part = carried(frame)
    if part:
        into = model.partials.setdefault(index, {})
        into.setdefault((LIVE, Metrics.name), part_of(Metrics.name)).merge(part)


def _bounded(model: ModelState, frame: MetricFrame) -> MetricFrame:
    """The frame with metrics beyond the limit under one name."""
    pairs = list(zip(frame.name, frame.host, strict=True))
    for pair in dict.fromkeys(pairs):
        if pair not in model.metrics and len(model.metrics) < METRICS_LIMIT:
            model.metrics |= {pair}
    strange = np.array([pair not in model.metrics for pair in pairs], dtype=np.bool_)
    if not strange.any():
        return frame
    name, host = frame.name.copy(), frame.host.copy()
    name[strange], host[strange] = OTHER, None
    counter = frame.counter & ~strange
    return dataclasses.replace(frame, name=name, host=host, counter=counter)


def by_window(model: ModelState, policy: ModelPolicy, frame: F) -> Iterator[tuple[int, F]]:
    """The frame's rows of each open window."""
    if not len(frame):
        return
    index = window_index(frame.at, policy.window_s)
    first = model.next_window or 0
    for each in np.unique(index).tolist():
        if each >= first:
            rows = index == each
            yield each, frame if rows.all() else frame.take(rows)
