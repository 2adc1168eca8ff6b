"""Outputs of many closed windows, as the signal `Output` samples them."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from watchkeeper.detectors.arrays import tally as t
from watchkeeper.detectors.arrays.closed import Closed, Group
from watchkeeper.detectors.arrays.rates import (
    Measured,
    beside,
    measured,
    positive,
    rate,
    rate_against,
    stability,
)
from watchkeeper.detectors.arrays.sampled_features import histograms_of_texts, means
from watchkeeper.detectors.arrays.schema import Schema
from watchkeeper.detectors.frames import IntArray

_SIGNAL = "output"


def groups(schema: Schema) -> Iterator[Group]:
    """The groups of series of a schema."""
    yield Group(_SIGNAL, ("invalid_rate",), _invalid, "invalid")
    if not schema.profiled:
        return
    yield Group(_SIGNAL, ("positive_rate",), _positive, "positive")
    numbers = ("score",) * schema.score + ("value",) * schema.value
    if numbers:
        yield Group(_SIGNAL, numbers, _numbers, "numbers")
    if schema.classes is not None:
        rates = tuple(f"rate:{label}" for label in schema.classes)
        yield Group(_SIGNAL, (*rates, "unseen_class_rate"), _rates, "rates")
        yield Group(_SIGNAL, ("classes",), _classes, "classes")


def _invalid(closed: Closed) -> Measured:
    n = closed.head[t.N]
    return rate(closed.head[t.INVALID], n, n > 0)


def _positive(closed: Closed) -> Measured:
    n, hits = closed.head[t.ANSWERED], closed.head[t.POSITIVE]
    labels, label = closed.schema.classes, closed.schema.positive
    if labels is None:
        return rate(hits, n, n > 0)
    counts, of = _reference(closed)
    known = counts[:, [labels.index(label)]] if label in labels else np.zeros_like(of)
    return rate_against(hits, n, known, of, n > 0)


def _numbers(closed: Closed) -> Measured:
    first = len(closed.schema.numeric)
    counts = closed.numeric[:, first:, t.FIRST_BIN :]
    n = counts.sum(axis=2, dtype=np.int64)
    sd = closed.reference("sd")[:, first:]
    return measured(
        n > 0,
        means(closed, slice(first, None), n),
        n,
        positive(sd / np.sqrt(n)),
        closed.reference("mean")[:, first:],
    )._replace(
        counts=counts,
        expected_counts=closed.reference("counts")[:, first:],
        bins=closed.reference("bins")[:, first:].astype(np.int64),
    )


def _rates(closed: Closed) -> Measured:
    counts = closed.texts[:, -1].astype(np.int64)
    n = counts[:, : t.ABSENT].sum(axis=1)[:, None]
    known, of = _reference(closed)
    kept = len(closed.schema.classes or ())
    labels = rate_against(counts[:, :kept], n, known[:, :kept], of, n > 0)
    unseen = rate_against(counts[:, [t.OTHER]], n, known[:, [-1]], of, n > 0)
    return beside(labels, unseen)


def _classes(closed: Closed) -> Measured:
    counts, expected, bins = histograms_of_texts(closed, slice(-1, None))
    return stability(counts, expected, counts.sum(axis=2) > 0)._replace(bins=bins)


def _reference(closed: Closed) -> tuple[IntArray, IntArray]:
    """The reference's counts of the labels and of all others, and how many labels it has."""
    counts = closed.reference("c_counts")[:, -1].astype(np.int64)
    of = closed.reference("c_known")[:, -1] - closed.reference("c_missing")[:, -1]
    return counts, of[:, None].astype(np.int64)
