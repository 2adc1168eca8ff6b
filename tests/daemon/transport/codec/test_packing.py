"""Packing: parts stay dense, every group is in one, and a flood of names takes no more time a name
than a few."""

from __future__ import annotations

from time import thread_time
from typing import Any

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.costs import at_most
from watchkeeper.daemon.transport.codec.features import feature_columns
from watchkeeper.daemon.transport.codec.packing import MOST_COLUMNS, SLACK, packed

groups = st.lists(
    st.tuples(st.sets(st.integers(0, 300), max_size=60), st.integers(1, 2_000)), max_size=60
)
values = st.one_of(st.none(), st.booleans(), st.integers(-9, 9), st.floats(), st.text("ab"))
rows_of_features = st.lists(st.dictionaries(st.text("abc", min_size=1), values), min_size=1)


@settings(deadline=None)
@given(groups)
def test_every_group_is_in_one_part_that_is_dense(given_: list[tuple[set[int], int]]) -> None:
    parts = packed((names, rows, i) for i, (names, rows) in enumerate(given_))

    assert sorted(i for part in parts for i in part.items) == [*range(len(given_))]
    for part in parts:
        rows = sum(given_[i][1] for i in part.items)
        there = sum(given_[i][1] * len(given_[i][0]) for i in part.items)
        names = set().union(*(given_[i][0] for i in part.items))
        assert rows * len(names) <= 2 * there + SLACK


def test_no_part_is_wider_than_may_be_but_for_one_row() -> None:
    parts = packed((range(i * 1_000, (i + 1) * 1_000), 1, i) for i in range(20))

    assert [part.items for part in parts] == [[*range(i, i + 4)] for i in range(0, 20, 4)]
    assert max(len(part.names) for part in parts) <= MOST_COLUMNS


@settings(deadline=None)
@given(rows_of_features)
def test_every_value_stands_in_its_column_once(rows: list[dict[str, Any]]) -> None:
    found: dict[int, dict[str, Any]] = {}
    for places, features, refused in feature_columns(rows):
        assert not refused
        for i, place in enumerate(places):
            assert place not in found
            found[place] = {
                **{n: repr(float(c[i])) for n, c in features.numeric.items() if c[i] == c[i]},
                **{n: c[i] for n, c in features.categorical.items() if c[i] is not None},
            }

    for place, row in enumerate(rows):
        assert found[place] == {
            name: value if isinstance(value, str) else repr(float(value))
            for name, value in row.items()
            if value is not None and value == value
        }


def test_an_integer_that_is_too_large_is_refused_where_names_differ() -> None:
    rows: list[dict[str, Any]] = [{f"f{i}": i, "same": "x"} for i in range(40)]
    rows[7]["f7"], rows[9]["z"], rows[9]["a"] = 2**63, 10**400, -(2**63) - 1
    rows[8]["f8"] = -(2**63)

    found = [*feature_columns(rows)]

    refused = {i: why for _, _, wrong in found for i, why in wrong}
    kept = sorted(i for places, _, _ in found for i in places)
    assert kept == [i for i in range(40) if i not in (7, 9)]
    assert [refused[i].path for i in (7, 9)] == ["$.features.f7", "$.features.z"]


def test_new_names_cost_as_many_values_not_a_table_of_all_rows() -> None:
    alike = [{f"{j}": float(j) for j in range(20)} for _ in range(3_200)]
    flood = [{f"{i}-{j}": float(j) for j in range(20)} for i in range(3_200)]

    assert at_most(100, lambda: _seconds(flood), lambda: _seconds(alike))


def _seconds(rows: list[dict[str, Any]]) -> float:
    began = thread_time()
    cells = sum(
        int(np.isfinite(c).sum()) for _, f, _ in feature_columns(rows) for c in f.numeric.values()
    )
    assert cells == 20 * len(rows)
    return thread_time() - began
