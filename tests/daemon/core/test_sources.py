"""Who told a label is known, whichever comes first."""

from __future__ import annotations

import numpy as np
import pytest

from watchkeeper.daemon.core.joins import Joins
from watchkeeper.detectors.keys import Keys, keys_of
from watchkeeper.detectors.types import FloatArray, IntArray

SOURCES = np.array([1.0, np.nan, 2.0])


def three() -> tuple[IntArray, Keys, FloatArray, Keys]:
    """Three requests of one model: model, key, time and label."""
    keys = keys_of(["a", "b", "c"])
    return np.zeros(3, dtype=np.int64), keys, np.arange(3.0), keys


@pytest.mark.parametrize("labels_first", [False, True])
def test_who_told_a_label_is_known_whichever_comes_first(labels_first: bool) -> None:
    model, key, at, label = three()
    joins, member, nothing = Joins(10, 60.0), model.astype(np.int32), np.full(3, np.nan)

    if labels_first:
        joins.labels(model, key, at, label, nothing, source=SOURCES)
        joined = joins.predictions(model, member, key, at, label, nothing, nothing)
    else:
        joins.predictions(model, member, key, at, label, nothing, nothing)
        joined = joins.labels(model, key, at, label, nothing, source=SOURCES)

    assert joined.source is not None
    np.testing.assert_array_equal(joined.source, SOURCES)
    chosen = joined.take(np.array([True, False, False])).source
    assert chosen is not None
    assert chosen.tolist() == [1.0]


def test_labels_of_nobody_name_no_source() -> None:
    model, key, at, label = three()
    joins, member, nothing = Joins(10, 60.0), model.astype(np.int32), np.full(3, np.nan)

    joins.labels(model[:1], key[:1], at[:1], label[:1], nothing[:1])
    early = joins.predictions(model, member, key, at, label, nothing, nothing)
    late = joins.labels(model, key, at, label, nothing)

    assert (early.n, early.source) == (1, None)
    assert (late.n, late.source) == (2, None)
    assert late.take(np.array([True, False])).source is None


def test_a_block_with_more_than_is_kept_says_who_told_each_label() -> None:
    model, key, at, label = three()
    joins, member, nothing = Joins(2, 60.0), model.astype(np.int32), np.full(3, np.nan)
    again = key[[0, 1, 0]]
    joins.labels(model[:2], key[:2], at[:2], label[:2], nothing[:2], source=SOURCES[[1, 2]])

    joined = joins.predictions(model, member, again, at, label, nothing, nothing)

    assert joined.source is not None
    np.testing.assert_array_equal(joined.source, SOURCES[[1, 2]])
