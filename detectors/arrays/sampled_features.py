"""Features of many closed windows, as the signal `Features` samples them."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from watchkeeper.detectors.arrays import tally as t
from watchkeeper.detectors.arrays.closed import Closed, Group
from watchkeeper.detectors.arrays.rates import (
    Measured,
    measured,
    positive,
    quotient,
    rate_against,
    stability,
)
from watchkeeper.detectors.arrays.schema import Schema
from watchkeeper.detectors.banks.columns import Counts
from watchkeeper.detectors.frames import FloatArray, IntArray
from watchkeeper.detectors.signals._exact import STEPS

_SIGNAL = "features"
_VANISHED = -1_100.0  # powers of two below this are 0
_IN_ORDER = sum([1.0, 1e-16, 1e-16]) == 1.0  # from Python 3.12 on, `sum` carries what it loses


def groups(schema: Schema) -> Iterator[Group]:
    """The groups of series of a schema: all series of a kind together."""
    if not schema.profiled:
        return
    numeric, texts = schema.numeric, schema.categorical
    if numeric or texts:
        yield Group(
            _SIGNAL, tuple(f"{name}:missing" for name in (*numeric, *texts)), _missing, "missing"
        )
    if numeric:
        yield Group(_SIGNAL, tuple(f"{name}:out_of_range" for name in numeric), _outside, "outside")
        yield Group(_SIGNAL, tuple(f"{name}:mean" for name in numeric), _means, "means")
        yield Group(
            _SIGNAL, tuple(f"{name}:histogram" for name in numeric), _histograms, "histograms"
        )
    if texts:
        yield Group(_SIGNAL, tuple(f"{name}:unseen" for name in texts), _unseen, "unseen")
        yield Group(
            _SIGNAL, tuple(f"{name}:histogram" for name in texts), _categories, "categories"
        )
    if numeric or texts:
        yield Group(_SIGNAL, ("schema:missing_features",), _missing_features, "missing_features")
    yield Group(_SIGNAL, ("schema:new_features",), _new_features, "new_features")
    if numeric or texts:
        yield Group(_SIGNAL, ("schema:other_types",), _other_types)


def means(closed: Closed, columns: slice, n: IntArray) -> FloatArray:
    """The means of numeric columns over n values each, in their own units."""
    sums = closed.counted("sums")[:, columns]
    centre, scale = (closed.reference(name)[:, columns] for name in ("centre", "scale"))
    return np.asarray(centre + scale * (quotient(sums, n) / STEPS))


def histograms_of_texts(closed: Closed, columns: slice) -> tuple[Counts, Counts, IntArray]:
    """Counts of categorical columns over their kept categories and all others, those of the
    reference, and how many bins that is."""
    texts, known = closed.texts[:, columns], closed.reference("c_counts")[:, columns]
    kept = closed.reference("kept")[:, columns].astype(np.int64)
    width = int(kept.max(initial=0)) + 1
    counts, expected = texts[..., :width].copy(), known[..., :width].copy()
    row, column = np.ix_(*(np.arange(size) for size in kept.shape))
    counts[row, column, kept] = texts[..., t.OTHER]
    expected[row, column, kept] = known[..., -1]
    return counts, expected, kept + 1


def _missing(closed: Closed) -> Measured:
    n = closed.head[t.MEASURED]
    missing, known, of = closed.absent
    return rate_against(missing, n, known, of, n > 0)


def _present(closed: Closed, *, numeric: bool) -> tuple[IntArray, IntArray]:
    """How many events have each feature, and how many of the reference; no event, if either has
    none."""
    missing, known, of = closed.absent
    cut = len(closed.schema.numeric)
    part = slice(cut) if numeric else slice(cut, None)
    present, given = (closed.head[t.MEASURED] - missing)[:, part], (of - known)[:, part]
    return np.where(given > 0, present, 0), given


def _outside(closed: Closed) -> Measured:
    present, of = _present(closed, numeric=True)
    hits = closed.numeric[:, : of.shape[1], t.OUTSIDE].astype(np.int64)
    return rate_against(hits, present, 0, of, present > 0)


def _means(closed: Closed) -> Measured:
    present, of = _present(closed, numeric=True)
    columns = slice(of.shape[1])
    stderr = positive(closed.reference("sd")[:, columns] / np.sqrt(present))
    value = means(closed, columns, present)
    return measured(present > 0, value, present, stderr, closed.reference("mean")[:, columns])


def _histograms(closed: Closed) -> Measured:
    present, of = _present(closed, numeric=True)
    columns = slice(of.shape[1])
    counts = closed.numeric[:, columns, t.FIRST_BIN :]
    expected = closed.reference("counts")[:, columns]
    bins = closed.reference("bins")[:, columns].astype(np.int64)
    return stability(counts, expected, present > 0)._replace(bins=bins)


def _unseen(closed: Closed) -> Measured:
    present, of = _present(closed, numeric=False)
    columns = slice(of.shape[1])
    hits = closed.texts[:, columns, t.OTHER].astype(np.int64)
    known = closed.reference("c_counts")[:, columns, -1].astype(np.int64)
    return rate_against(hits, present, known, of, present > 0)


def _categories(closed: Closed) -> Measured:
    present, of = _present(closed, numeric=False)
    counts, expected, bins = histograms_of_texts(closed, slice(of.shape[1]))
    return stability(counts, expected, present > 0)._replace(bins=bins)


def _missing_features(closed: Closed) -> Measured:
    n = closed.head[t.MEASURED]
    missing, known, of = closed.absent
    share = (missing == n).sum(axis=1)[:, None] / missing.shape[1]
    return measured(n > 0, share, n, *absent(_never(known, of, n)))


def absent(chances: FloatArray) -> tuple[FloatArray, FloatArray]:
    """How far the share of features that no event has is from what is expected, and what that is;
    of the chance of each."""
    features = chances.shape[1]
    return np.sqrt(_sums(chances * (1 - chances))) / features, _sums(chances) / features


def _new_features(closed: Closed) -> Measured:
    n = closed.head[t.MEASURED]
    of = closed.reference("n")[:, None]
    return rate_against(closed.head[t.NEW], n, 0, of, n > 0)


def _other_types(closed: Closed) -> Measured:
    n = closed.head[t.MEASURED]
    return rate_against(closed.head[t.RETYPED], n, 0, closed.reference("n")[:, None], n > 0)


def _never(missing: IntArray, of: IntArray, n: IntArray) -> FloatArray:
    """The chances that none of n events has a feature that the reference misses in some.

    Powers are rounded as Python rounds them, so they are taken one by one; most are 0 by far.
    """
    share = (missing + 0.5) / (of + 1)
    chances = np.where(missing == of, 1.0, 0.0)
    n = np.broadcast_to(n, share.shape)
    some = (missing != of) & (n * np.log2(share) > _VANISHED)
    powers = (x**k for x, k in zip(share[some].tolist(), n[some].tolist(), strict=True))
    chances[some] = np.fromiter(powers, np.float64)
    return chances


def _sums(values: FloatArray) -> FloatArray:
    """Each row's sum as Python's `sum` rounds it."""
    if _IN_ORDER:
        return np.cumsum(values, axis=1)[:, -1:]
    return np.array([[sum(row)] for row in values.tolist()], dtype=np.float64).reshape(-1, 1)
