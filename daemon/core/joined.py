"""What is joined: predictions, labels, and both together, as columns of equal length."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np

from watchkeeper.daemon.core.keyed import Numbers
from watchkeeper.daemon.core.side import Rows
from watchkeeper.detectors.estimation.judged import Kept
from watchkeeper.detectors.keys import Keys
from watchkeeper.detectors.types import BoolArray, FloatArray, IntArray

_Chosen = BoolArray | slice
_UNANSWERED = 2.0


def _taken(columns: Sequence[Any], rows: _Chosen) -> Iterator[Any]:
    """The chosen rows of columns, of which some may be none."""
    return (None if column is None else column[rows] for column in columns)


class Predicted(NamedTuple):
    """Predictions, columns of equal length; labels are keys, 0 is none."""

    model: IntArray
    member: Numbers
    key: Keys
    at: FloatArray
    label: Keys
    score: FloatArray
    value: FloatArray
    closed: FloatArray

    def take(self, rows: _Chosen) -> Predicted:
        """The chosen rows."""
        return Predicted(*(column[rows] for column in self))  # type: ignore[arg-type]


class Truths(NamedTuple):
    """Labels, columns of equal length; no `source` where nobody is named."""

    model: IntArray
    key: Keys
    at: FloatArray
    label: Keys
    value: FloatArray
    time: FloatArray
    source: FloatArray | None

    def take(self, rows: _Chosen) -> Truths:
        """The chosen rows."""
        return Truths(*_taken(self, rows))


class Joined(NamedTuple):
    """Predictions with their labels, columns of equal length; `at` is the label's time, `key` the
    request's. `source` is the number of who told the label, NaN for nobody; None where nobody is
    named."""

    key: Keys
    member: Numbers
    at: FloatArray
    predicted_at: FloatArray
    predicted_label: Keys
    score: FloatArray
    predicted_value: FloatArray
    label: Keys
    value: FloatArray
    source: FloatArray | None = None

    @property
    def n(self) -> int:
        """How many there are."""
        return len(self.at)

    def take(self, rows: BoolArray) -> Joined:
        """The chosen rows."""
        return Joined(*_taken(self, rows))


class Answered(NamedTuple):
    """Kept predictions, columns of equal length. Of those that are `joined` the `label` is the
    truth and the score `marked`; the others were answered with the label. The truth was `told` by
    the time that was asked for, at `value`."""

    at: FloatArray
    score: FloatArray
    label: Keys
    joined: BoolArray
    told: BoolArray
    value: FloatArray

    def of_class(self, positive: np.uint64) -> Kept:
        """As predictions of a binary classifier, answered by the score where nothing else is."""
        size, is_positive = np.abs(self.score), self.label == positive
        no_answer = np.where(self.joined, size > 1.0, self.label == 0)
        score = np.where(self.joined & no_answer, size - _UNANSWERED, size)
        score = np.where(self.joined, score, self.score)
        said = is_positive ^ (self.joined & np.signbit(self.score))
        said = np.where(no_answer, score >= 0.5, said)
        return Kept(self.at, score, said, self.told, is_positive, self.value - self.at)


def marked(score: FloatArray, said: Keys, truth: Keys) -> FloatArray:
    """Scores from which it can be told whether the answer was right, when the truth stands in its
    place: negative ones were wrong, those above 1 without an answer. What was no probability is
    NaN."""
    size = np.where((score >= 0.0) & (score <= 1.0), score, np.nan)
    size = np.where(said == 0, size + _UNANSWERED, size)
    return np.copysign(size, np.where((said != 0) & (said != truth), -1.0, 1.0))


def joined(made: Predicted, truth: Rows, given: BoolArray) -> Joined:
    """Predictions with the labels that waited for them, where these are `given`."""
    if not given.any():
        return NOTHING
    truth, made = truth.take(np.flatnonzero(given)), made.take(given)
    told = (made.at, made.label, made.score, made.value)
    source = None if np.isnan(truth["score"]).all() else truth["score"]
    at, label, value = truth["at"], truth["label"], truth["value"]
    return Joined(made.key, made.member, at, *told, label, value, source)


def behind(*parts: Joined) -> Joined:
    """Rows one behind the other."""
    if any(part.source is not None for part in parts):
        parts = tuple(
            part._replace(source=np.full(part.n, np.nan)) if part.source is None else part
            for part in parts
        )
    columns: Iterable[Any] = (
        None if column[0] is None else np.concatenate(column) for column in zip(*parts, strict=True)
    )
    return Joined(*columns)


def _nothing() -> Joined:
    keys, none = np.zeros(0, dtype=np.uint64), np.zeros(0)
    return Joined(keys, np.zeros(0, dtype=np.int32), none, none, keys, none, none, keys, none)


NOTHING = _nothing()
