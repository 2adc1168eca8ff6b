"""Joins predictions with the labels that come later, whichever of the two arrives first."""

from __future__ import annotations

from array import array
from collections import OrderedDict
from typing import NamedTuple

import numpy as np

from watchkeeper.detectors.types import (
    BoolArray,
    FloatArray,
    JoinedFrame,
    LabelFrame,
    PredictionFrame,
)


class _Predicted(NamedTuple):
    at: float
    version: str
    label: str | None
    score: float
    value: float


class _Truth(NamedTuple):
    at: float
    label: str | None
    value: float


class Join:
    """The predictions still waiting for a label and the labels still waiting for a prediction.

    Both sides keep at most `capacity` rows, the oldest arrivals go first. The first label of a
    request wins; a second is a conflict. A second prediction with the same request is a duplicate.
    """

    def __init__(self, capacity: int, horizon_s: float) -> None:
        self.capacity = capacity
        self.horizon_s = horizon_s
        self.conflicts = 0
        self.orphans = 0
        self._predicted: OrderedDict[str, _Predicted | None] = OrderedDict()
        self._labels: OrderedDict[str, _Truth] = OrderedDict()
        self._examples = array("d")
        self._known = array("d")
        self._labelled = 0

    def new(self, frame: PredictionFrame) -> BoolArray:
        """Which rows are no duplicates of a request already known, or earlier in the frame."""
        seen: set[str] = set()
        known = self._predicted
        fresh = np.ones(len(frame), dtype=np.bool_)
        for i, request in enumerate(frame.request_id):
            if request in known or request in seen:
                fresh[i] = False
            seen.add(request)
        return fresh

    def predictions(
        self, frame: PredictionFrame, closed: FloatArray | None = None
    ) -> list[JoinedFrame]:
        """Takes in predictions; gives those whose label was already waiting.

        A label from before `closed`, the end of the closed windows as each row came, is joined
        but not given: its window was judged without it.
        """
        pairs: list[tuple[_Predicted, _Truth]] = []
        columns = zip(
            frame.request_id,
            frame.at.tolist(),
            frame.label,
            frame.score.tolist(),
            frame.value.tolist(),
            [float("-inf")] * len(frame) if closed is None else closed.tolist(),
            strict=True,
        )
        for request, at, label, score, value, end in columns:
            row = _Predicted(at, frame.version, label, score, value)
            truth = self._labels.pop(request, None)
            self._predicted[request] = row if truth is None else None
            if truth is not None:
                self._keep(row, truth)
                if truth.at >= end:
                    pairs.append((row, truth))
        self._evict()
        return _by_version(frame.model, pairs)

    def labels(self, frame: LabelFrame) -> list[JoinedFrame]:
        """Takes in labels; gives the predictions they belong to."""
        pairs: list[tuple[_Predicted, _Truth]] = []
        columns = zip(
            frame.request_id, frame.at.tolist(), frame.label, frame.value.tolist(), strict=True
        )
        for request, at, label, value in columns:
            truth = _Truth(at, label, value)
            if request not in self._predicted:
                self._wait(request, truth)
                continue
            row = self._predicted[request]
            if row is None:
                self.conflicts += 1
                continue
            self._predicted[request] = None
            self._keep(row, truth)
            pairs.append((row, truth))
        self._evict()
        return _by_version(frame.model, pairs)

    def examples_since(self, at: float, known: float = float("inf")) -> int:
        """How many predictions made at or after `at` had a label before `known`: what a batch
        brought of later times must not count yet."""
        if not self._examples:
            return 0
        fresh = np.frombuffer(self._examples) >= at
        return int(np.count_nonzero(fresh & (np.frombuffer(self._known) < known)))

    def coverage(self) -> float:
        """The share of the kept predictions whose label is known; NaN before the first."""
        kept = len(self._predicted)
        return self._labelled / kept if kept else float("nan")

    def _wait(self, request: str, truth: _Truth) -> None:
        if request in self._labels:
            self.conflicts += 1
            return
        self._labels[request] = truth

    def _evict(self) -> None:
        del self._examples[: -self.capacity], self._known[: -self.capacity]
        while len(self._predicted) > self.capacity:
            _, row = self._predicted.popitem(last=False)
            self._labelled -= row is None
        while len(self._labels) > self.capacity:
            self._labels.popitem(last=False)
            self.orphans += 1
        if self._labels:
            newest = next(reversed(self._labels.values())).at
            while next(iter(self._labels.values())).at < newest - self.horizon_s:
                self._labels.popitem(last=False)
                self.orphans += 1

    def _keep(self, row: _Predicted, truth: _Truth) -> None:
        self._labelled += 1
        self._examples.append(row.at)
        self._known.append(max(row.at, truth.at))


def _by_version(model: str, pairs: list[tuple[_Predicted, _Truth]]) -> list[JoinedFrame]:
    versions = sorted({row.version for row, _ in pairs})
    return [_frame(model, v, [p for p in pairs if p[0].version == v]) for v in versions]


def _frame(model: str, version: str, pairs: list[tuple[_Predicted, _Truth]]) -> JoinedFrame:
    rows = [row for row, _ in pairs]
    truths = [truth for _, truth in pairs]
    return JoinedFrame(
        model=model,
        at=np.array([t.at for t in truths], dtype=np.float64),
        seq=np.arange(len(pairs), dtype=np.int64),
        version=version,
        predicted_at=np.array([r.at for r in rows], dtype=np.float64),
        predicted_label=_objects([r.label for r in rows]),
        score=np.array([r.score for r in rows], dtype=np.float64),
        predicted_value=np.array([r.value for r in rows], dtype=np.float64),
        label=_objects([t.label for t in truths]),
        value=np.array([t.value for t in truths], dtype=np.float64),
    )


def _objects(values: list[str | None]) -> np.ndarray[tuple[int], np.dtype[np.object_]]:
    column = np.empty(len(values), dtype=np.object_)
    column[:] = values
    return column
