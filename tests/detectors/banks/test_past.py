"""A past that fills up: records to whoever reads them."""

from __future__ import annotations

import numpy as np

from tests.detectors.arrays.test_room import resident_mb
from watchkeeper.detectors.banks.past import Past
from watchkeeper.detectors.banks.records import Records

KIND = np.dtype([("mean", "<f8", (8,)), ("seen", "<i4", (8,)), ("due", "<f8", (1,))])


def random_records(seed: int, shape: tuple[int, int]) -> np.ndarray:
    random = np.random.default_rng(seed)
    made = np.zeros(shape, dtype=KIND)
    made["mean"] = random.normal(size=(*shape, 8)) * (random.random((*shape, 8)) < 0.5)
    made["mean"][0, 0, :2] = -0.0, np.nan
    made["seen"] = random.integers(0, 5, (*shape, 8))
    return made


def test_what_is_put_is_taken_to_the_last_bit_as_of_records() -> None:
    past, records = Past(KIND, 4, 2), Records(KIND, 4, 2)
    for seed, rows in enumerate(([3, 0], [1, 3], [2])):
        given = random_records(seed, (len(rows), 2))
        past.put(np.array(rows), given)
        records.put(np.array(rows), given)
    past.reach(9)
    records.reach(9)

    every = np.arange(9)
    assert past.take(every).tobytes() == records.take(every).tobytes()
    assert len(past) == len(records) == 9


def test_rows_that_are_cleared_are_zero() -> None:
    past = Past(KIND, 3, 2)
    past.put(np.array([0, 2]), random_records(1, (2, 2)))

    past.put(np.array([2]), np.zeros((1, 2), dtype=KIND))

    assert not any(past.take(np.array([1, 2])).tobytes())
    assert any(past.take(np.array([0])).tobytes())


def test_a_young_past_takes_no_memory() -> None:
    kind, rows = np.dtype([("past", "<f8", (1_000,))]), np.arange(20_000)
    before = resident_mb()
    past = Past(kind, 1, 1)
    past.reach(20_000)

    past.tables["past"][0] = 1.0
    past.put(rows[:5], past.take(rows[:5]))

    assert resident_mb() - before < 20
    assert past.nbytes > 100 * 2**20
