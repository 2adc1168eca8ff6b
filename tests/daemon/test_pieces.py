"""Pieces are put together in order, none twice."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain

import pytest

from watchkeeper.daemon.pieces import Pieces


def joined(parts: Sequence[tuple[int, ...]]) -> tuple[int, ...]:
    return tuple(chain.from_iterable(parts))


def pieces(size: int, n: int) -> Pieces[tuple[int, ...]]:
    found = Pieces(joined)
    for first in range(0, n, size):
        found.add(tuple(range(first, min(first + size, n))))
    return found


@pytest.mark.parametrize("size", [1, 7, 64, 100])
@pytest.mark.parametrize("rows", [1, 150, 10_000])
def test_bundles_hold_all_in_order_and_are_no_smaller_than_asked(size: int, rows: int) -> None:
    made = pieces(size, 1_000)

    found = list(made.bundles(rows))

    assert joined(found) == tuple(range(1_000))
    assert all(len(each) >= rows for each in found[:-1])
    assert made.rows == 1_000


def test_they_may_be_gone_through_again() -> None:
    made = pieces(100, 1_000)

    assert list(made.bundles(300)) == list(made.bundles(300))


def test_of_nothing_there_is_no_bundle() -> None:
    assert list(Pieces(joined).bundles(10)) == []
