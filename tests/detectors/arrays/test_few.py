"""Few events are remembered one by one, and read as counts."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tests.detectors.arrays.examples import block, frame
from tests.detectors.arrays.test_room import resident_mb
from watchkeeper.detectors.arrays import tally as t
from watchkeeper.detectors.arrays.absorb import Pairs, absorb_pairs, absorb_predictions
from watchkeeper.detectors.arrays.few import Few
from watchkeeper.detectors.arrays.reference import References
from watchkeeper.detectors.arrays.schema import Schema
from watchkeeper.detectors.arrays.tally import Tally

SEEN = 40


def filled(tally: Tally, rows: int, seed: int) -> Tally:
    """Predictions and pairs in the last row and in others, in two parts."""
    random = np.random.default_rng(seed)
    places = tally.claim(rows)
    keys = np.array([0, 11, 12], dtype=np.uint64)
    for _ in range(2):
        slot = random.choice(places, SEEN)
        slot[:12] = places[-1]
        seen = block([frame(random, "m", SEEN)], random)
        absorb_predictions(tally, References(tally.schema), slot, np.zeros_like(slot), seen)
        said, truth = random.choice(keys, SEEN), random.choice(keys, SEEN)
        pairs = Pairs(said, truth, np.full(SEEN, 11, dtype=np.uint64), random.random(SEEN))
        absorb_pairs(tally, slot, pairs)
    return tally


@pytest.mark.parametrize("rows", [1, 7, 3_000])
def test_singles_are_counted_as_a_tally_counts(rows: int) -> None:
    few, many = filled(Few(Schema()), rows, 3), filled(Tally(Schema()), rows, 3)

    asked = np.array([rows - 1, 0, rows // 2, 0])
    for name in many.arrays:
        assert few.counted(name, asked).tolist() == many.counted(name, asked).tolist()
    assert few.counted("durations", asked).sum() > 0
    assert few.counted("scores", asked).sum() > 0


def test_a_row_that_is_claimed_again_has_nothing_of_the_one_before() -> None:
    few = filled(Few(Schema()), 1, 5)
    few.release_one(0)
    random = np.random.default_rng(6)

    row = few.claim(1)
    seen = block([frame(random, "m", 3)], random)
    seen.duration_s[:] = [0.1, np.nan, 0.2]
    absorb_predictions(few, References(few.schema), np.repeat(row, 3), np.zeros(3, np.int64), seen)

    assert few.counted("durations", row).sum() == 2
    assert few.counted("scores", row).sum() == 0


def test_counts_are_taken_up_as_they_were() -> None:
    few = filled(Few(Schema()), 2, 7)
    row = few.claim_one()
    for name in ("head", "durations", "scores"):
        few.put(name, row, few.counted(name, np.array([1]))[0])

    for name in ("durations", "scores"):
        one, other = few.counted(name, np.array([1, row]))
        assert one.tolist() == other.tolist()


def test_more_counts_than_events_are_refused() -> None:
    few = Few(Schema())
    row = few.claim_one()
    few.arrays["head"][row, t.N] = 1
    counts = np.zeros(t.DURATIONS, dtype=np.int64)
    counts[5] = 2

    with pytest.raises(ValueError, match="2 durations"):
        few.put("durations", row, counts)


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="there is no /proc")
def test_rows_take_memory_as_events_come() -> None:
    few, rows = Few(Schema()), np.arange(50_000)
    few.claim(len(rows))
    before = resident_mb()

    for number in range(10):
        few.singles["durations"][number, rows] = 1 + number
    few.arrays["head"][:, t.N] = 10

    assert few.counted("durations", rows[:3]).sum() == 30
    assert resident_mb() - before < 20
    assert few.nbytes > 50 * 2**20


def test_of_a_row_that_is_claimed_again_nothing_is_read_beside_a_fuller_one() -> None:
    few = filled(Few(Schema()), 2, 5)
    full, again = 0, 1
    few.release_one(again)

    assert few.claim(1).tolist() == [again]

    for name in ("durations", "scores"):
        alone = few.counted(name, np.array([full]))[0]
        assert alone.any()
        found = few.counted(name, np.array([full, again]))
        assert found.tolist() == [alone.tolist(), np.zeros_like(alone).tolist()]
