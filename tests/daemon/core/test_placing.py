"""Events go to the same places by compiled loops as by NumPy."""

from __future__ import annotations

from types import ModuleType

import numpy as np
import numpy.typing as npt
import pytest

from watchkeeper.daemon.core import placing
from watchkeeper.detectors import fast

if fast.available():
    from watchkeeper.daemon.core import placing_fast

    WAYS: list[ModuleType] = [placing, placing_fast]
else:
    WAYS = [placing]

BLOCKS = [(1, 1), (1, 30), (7, 5), (7, 400), (70_000, 60)]  # rows, events


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize(("rows", "n"), BLOCKS)
@pytest.mark.parametrize("kind", [np.int64, np.uint32])
def test_events_are_numbered_among_those_of_their_row(
    way: ModuleType, rows: int, n: int, kind: npt.DTypeLike
) -> None:
    random = np.random.default_rng(rows)
    counters = random.integers(0, 2**32 - 1, rows).astype(kind)
    known, of = counters.tolist(), random.integers(0, rows, n)

    numbers = way.numbered(counters, of)

    for row, number in zip(of.tolist(), numbers.tolist(), strict=True):
        assert number == known[row]
        known[row] = (known[row] + 1) % 2**32 if kind is np.uint32 else known[row] + 1
    assert counters.tolist() == known
    assert counters.dtype == numbers.dtype == kind


@pytest.mark.parametrize("way", WAYS)
def test_no_events_have_no_numbers(way: ModuleType) -> None:
    assert len(way.numbered(np.zeros(3, dtype=np.int64), np.zeros(0, dtype=np.int64))) == 0


@pytest.mark.parametrize("way", WAYS)
def test_counters_begin_anew_where_they_are_full(way: ModuleType) -> None:
    counters = np.array([2**32 - 2], dtype=np.uint32)

    numbers = way.numbered(counters, np.zeros(4, dtype=np.int64))

    assert numbers.tolist() == [2**32 - 2, 2**32 - 1, 0, 1]
    assert counters.tolist() == [2]


@pytest.mark.parametrize("way", WAYS)
def test_slots_are_remembered_by_member(way: ModuleType) -> None:
    windows, slots = np.array([5, 6, 7]), np.array([20, 10, 0])

    slot, missed = way.remembered(windows, slots, np.array([2, 0, 0, 1]), np.array([7, 5, 4, 6]))

    assert slot.tolist() == [0, 20, 20, 10]
    assert missed == 1


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize(("rows", "n"), BLOCKS)
def test_members_have_a_number_and_a_newest_time(way: ModuleType, rows: int, n: int) -> None:
    random = np.random.default_rng(n)
    counts, newest = np.zeros(rows, dtype=np.int64), np.full(rows, 0.4)
    member, at = random.integers(0, rows, n), random.random(2 * n)[::2]

    way.count_members(counts, newest, member, at)

    for row in np.unique(member).tolist():
        assert counts[row] == (member == row).sum()
        assert newest[row] == max(0.4, at[member == row].max())
    assert counts.sum() == n


@pytest.mark.parametrize("way", WAYS)
def test_slots_that_small_integers_do_not_count_are_told_once(way: ModuleType) -> None:
    n, row = np.array([0, 9, 8, 30, 30]), np.array([0, 1, 2, ~0, 4])

    full = way.overfull(n, row, 10, np.array([2, 1, 0, 2, 1, 2, 3]))

    assert full.tolist() == [1, 2]  # 3 is large already, 4 has no event
    assert n.tolist() == [1, 11, 11, 31, 30]


@pytest.mark.parametrize("way", WAYS)
def test_events_have_the_code_of_their_tally(way: ModuleType) -> None:
    table, row, ref = np.array([0, 0, 3, 3]), np.array([4, ~2, 5, ~9]), np.array([1, 2, 3, 4])

    mixed = way.placed(table, row, ref, np.array([3, 2, 1, 0]))
    same, codes, rows, refs = way.placed(table, row, ref, np.array([1, 1]))

    assert mixed[0] == placing.MIXED
    assert [each.tolist() for each in mixed[1:]] == [[7, 6, 1, 0], [9, 5, 2, 4], [4, 3, 2, 1]]
    assert same == 1
    assert [each.tolist() for each in (codes, rows, refs)] == [[1, 1], [2, 2], [2, 2]]
