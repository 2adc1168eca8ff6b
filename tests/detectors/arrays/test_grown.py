"""Rows that are free give their memory back, and nothing else does."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tests.detectors.arrays.test_room import resident_mb
from watchkeeper.detectors.arrays.grown import Grown

ROWS = 20_000


@pytest.fixture
def grown() -> Grown:
    made = Grown({"wide": (np.uint8, (1_000,)), "narrow": (np.int64, ())})
    rows = made.claim(ROWS)
    made.arrays["wide"][rows] = 7
    made.arrays["narrow"][rows] = rows + 1
    return made


def test_rows_in_use_stay_as_they_are(grown: Grown) -> None:
    kept = np.arange(0, ROWS, 501)
    grown.release(np.setdiff1d(np.arange(ROWS), kept))

    grown.trim()

    assert (grown.arrays["wide"][kept] == 7).all()
    assert (grown.arrays["narrow"][kept] == kept + 1).all()


def test_rows_are_zero_when_they_are_used_again(grown: Grown) -> None:
    grown.release(np.arange(5, ROWS - 5))

    grown.trim()
    again = grown.claim(ROWS - 20)

    assert set(again.tolist()) <= set(range(5, ROWS - 5))
    assert not grown.arrays["wide"][again].any()
    assert not grown.arrays["narrow"][again].any()


def test_one_free_row_and_none_are_no_trouble() -> None:
    small = Grown({"n": (np.int64, ())})
    small.trim()
    row = small.claim_one()
    small.release_one(row)

    small.trim()

    assert small.claim_one() == row


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="there is no /proc")
def test_memory_of_free_rows_goes_back(grown: Grown) -> None:
    before = resident_mb()
    grown.release(np.arange(ROWS // 4, ROWS))

    grown.trim()

    assert before - resident_mb() == pytest.approx(0.75 * ROWS * 1_008 / 2**20, rel=0.1)
