"""The bench of estimates: its own arithmetic, and its figures where the data is at hand."""

from __future__ import annotations

import numpy as np
import pytest

from tests.bench.detection.census import harm_row
from tests.bench.detection.census_data import CHUNK, Part, drift_pages, exact


def part(seed: int, n: int, shifted: bool = False) -> Part:
    random = np.random.default_rng(seed)
    score = random.random(n)
    codes = np.column_stack(
        [random.integers(0, 5, n) + (random.random(n) < 0.3) * shifted, np.zeros(n), score > 0.5]
    )
    keys = random.integers(0, 2**63, n).astype(np.uint64)
    return Part(codes.astype(np.int64), score, score >= 0.5, random.random(n) < score, keys)


def test_the_exact_measures_are_those_of_scikit_learn() -> None:
    of = pytest.importorskip("sklearn.metrics", reason="needs the extra train")
    here = part(1, 2_000)._replace(score=np.round(part(1, 2_000).score, 2))

    known = (
        of.accuracy_score(here.truth, here.answer),
        of.roc_auc_score(here.truth, here.score),
        of.f1_score(here.truth, here.answer),
    )

    np.testing.assert_allclose(exact(here), 100 * np.array(known))


def test_pages_are_counted_by_chunk() -> None:
    row = harm_row(np.array([True, True, False, True]), np.array([True, False, True, True]))

    assert row["precision"] == pytest.approx(2 / 3)
    assert row["recall"] == pytest.approx(2 / 3)
    nothing = np.zeros(4, dtype=np.bool_)
    assert harm_row(nothing, nothing)["precision"] == 1.0
    assert harm_row(nothing, ~nothing)["precision"] == 0.0


def test_drift_is_paged_where_a_feature_drifts() -> None:
    reference = part(1, 10 * CHUNK)

    same = drift_pages(reference, part(2, 5 * CHUNK))
    other = drift_pages(reference, part(3, 5 * CHUNK, shifted=True))

    for name in same:
        assert same[name].sum() <= 2
        assert other[name].all()
