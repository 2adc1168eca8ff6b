"""Room that takes memory as it is written."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

from watchkeeper.detectors.arrays.room import OWN, is_written, longer, zeros


def resident_mb() -> float:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGESIZE") / 2**20


@pytest.mark.parametrize("length", [0, 3, OWN])
def test_zeros_are_arrays_like_any_other(length: int) -> None:
    made = zeros((length, 2), "<f8")

    made += 1.0

    assert made.shape == (length, 2)
    assert made.flags.c_contiguous
    assert made.sum() == 2 * length


def test_records_lie_in_it() -> None:
    made = zeros((OWN, 1), [("a", "<i4"), ("b", "<f8", (3,))])

    assert not made["b"].any()
    assert made.dtype.itemsize == 28


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="there is no /proc")
def test_what_is_not_written_takes_no_memory_also_once_it_is_longer() -> None:
    before = resident_mb()

    table = zeros((100, 100_000), np.float64)
    table[3] = 1.0
    table = longer(table, 150_000)

    assert resident_mb() - before < 10
    assert table.shape == (100, 150_000)
    assert table[3].sum() == table.sum() == 100_000


def test_a_negative_zero_is_written() -> None:
    table = np.array([[0.0, -0.0], [0.0, 0.0]])

    assert is_written(table).tolist() == [[False, True], [False, False]]
    assert np.signbit(longer(table, 3)[0]).tolist() == [False, True, False]
