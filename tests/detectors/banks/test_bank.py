"""The rows of a bank: each for itself, kept, taken up and read back."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields

import numpy as np
import pytest

from tests.detectors.banks.twins import Alone, bank_of, by_bank, stretched, together, windows
from watchkeeper.detectors.banks import Bank, Columns, Judged
from watchkeeper.detectors.suite import Watch
from watchkeeper.detectors.types import StateError

WATCHES = {
    "threshold": Watch(signal="s", detector="threshold", settings={"above": 20.0}),
    "ewma": Watch(signal="s", detector="ewma", settings={"min_n": 0, "log": True}),
    "reference_z": Watch(signal="s", detector="reference_z", settings={"share": True}),
    "robust_z": Watch(signal="s", detector="robust_z", settings={"memory": 40, "for_windows": 3}),
    "seasonal": Watch(signal="s", detector="seasonal", settings={"min_n": 0}),
    "silence": Watch(signal="s", detector="silence"),
    "psi": Watch(signal="s", detector="psi", settings={"for_windows": 2}),
    "shiryaev_roberts_rate": Watch(
        signal="s", detector="shiryaev_roberts_rate", settings={"average_run_length": 30.0}
    ),
}
every_watch = pytest.mark.parametrize("watch", WATCHES.values(), ids=WATCHES)
ROWS = np.array([3, 0])


def stream(watch: Watch, seed: int, rows: int, count: int) -> list[Columns]:
    return windows(np.random.default_rng(seed), watch, (rows, 2), count)


def same(one: Judged, other: Judged, rows: slice) -> None:
    """Whether the chosen rows of one are the other, to the last bit where there is a finding."""
    np.testing.assert_array_equal(one.enough[rows], other.enough)
    found = other.found
    np.testing.assert_array_equal(one.found[rows], found)
    for each in fields(Judged)[2:]:
        here, there = getattr(one, each.name)[rows][found], getattr(other, each.name)[found]
        assert here.tobytes() == there.tobytes()


@every_watch
def test_a_row_among_a_thousand_is_judged_as_if_alone(watch: Watch) -> None:
    random = np.random.default_rng(5)
    mine, others = stream(watch, 1, 1, 70), stream(watch, 2, 1_000, 70)
    alone, crowd = bank_of(watch, 2), bank_of(watch, 2)
    for one, many in zip(mine, others, strict=True):
        rows = random.permutation(1_001)
        rows = np.append(rows[rows != 0], 0)

        judged = crowd.judge(rows, together([many, one]))

        same(judged, alone.judge(np.array([0]), one), slice(1_000, None))
    assert crowd.raw(np.array([0])).tobytes() == alone.raw(np.array([0])).tobytes()


@every_watch
def test_the_layout_of_the_numbers_in_memory_changes_nothing(watch: Watch) -> None:
    one, other = bank_of(watch, 2), bank_of(watch, 2)
    for samples in stream(watch, 3, 60, 60):
        rows = np.arange(60)
        same(one.judge(rows, samples), other.judge(rows, stretched(samples)), slice(None))
    assert one.raw(np.arange(60)).tobytes() == other.raw(np.arange(60)).tobytes()


@every_watch
def test_a_row_read_back_in_the_middle_goes_on_as_before(watch: Watch) -> None:
    bank, alone = bank_of(watch, 2), Alone(watch)
    for place, samples in enumerate(stream(watch, 4, 2, 120)):
        if place % 10 == 9:
            kept = [bank.dump(row) for row in ROWS.tolist()]
            bank = bank_of(watch, 2)
            for row, stored in zip(ROWS.tolist(), kept, strict=True):
                bank.load(row, stored)
        assert by_bank(bank, watch, ROWS, samples) == alone.judge(ROWS, samples)


@every_watch
def test_an_heir_continues_as_a_restored_detector_does(watch: Watch) -> None:
    bank, alone = bank_of(watch, 2), Alone(watch)
    given = stream(watch, 6, 2, 120)
    for samples in given[:70]:
        bank.judge(ROWS, samples)
        alone.judge(ROWS, samples)
    heirs = np.array([500, 7])
    for heir, row in zip(heirs.tolist(), ROWS.tolist(), strict=True):
        bank.inherit(heir, row)
        for column in range(2):
            alone.at(heir, column).restore(alone.at(row, column).state())

    for samples in given[70:]:
        assert by_bank(bank, watch, heirs, samples) == alone.judge(heirs, samples)


@every_watch
def test_an_heir_in_another_bank_takes_up_the_columns_that_are_its_own(watch: Watch) -> None:
    old, new, alone = bank_of(watch, 2), bank_of(watch, 3), Alone(watch)
    given = stream(watch, 7, 2, 120)
    for samples in given[:70]:
        old.judge(ROWS, samples)
        alone.judge(ROWS, samples)

    new.inherit(9, 3, old, np.array([1, -1, 0]))

    alone.at(9, 0).restore(alone.at(3, 1).state())
    alone.at(9, 2).restore(alone.at(3, 0).state())
    heir = np.array([9])
    for samples in given[70:]:
        mine = samples.take(slice(0, 1)).pick(np.array([1, 1, 0]))
        assert by_bank(new, watch, heir, mine) == alone.judge(heir, mine)


@every_watch
def test_a_cleared_row_has_no_past(watch: Watch) -> None:
    bank, alone = bank_of(watch, 2), Alone(watch)
    for samples in stream(watch, 8, 2, 60):
        bank.judge(ROWS, samples)
    bank.clear(np.array([3, 0, 10_000]))

    for samples in stream(watch, 9, 2, 60):
        assert by_bank(bank, watch, ROWS, samples) == alone.judge(ROWS, samples)


def test_nobody_inherits_from_another_kind_of_bank() -> None:
    with pytest.raises(StateError, match="like it"):
        bank_of(WATCHES["ewma"], 2).inherit(1, 0, bank_of(WATCHES["silence"], 2))


def _shorter(bank: Bank) -> bytes:
    return bank.dump(3)[:-1]


def _of_more_columns(bank: Bank) -> bytes:
    return bank_of(WATCHES["ewma"], 3).dump(0)


def _of_another_kind(bank: Bank) -> bytes:
    others = (bank_of(watch, 2).dump(0) for watch in WATCHES.values())
    return next(dumped for dumped in others if dumped[:8] != bank.stamp)


def _full_of_ones(bank: Bank) -> bytes:
    return bank.stamp + b"\xff" * (len(bank.dump(3)) - len(bank.stamp))


def _longer(bank: Bank) -> bytes:
    return bank.dump(3) + bytes(8)


def _nothing_but_the_stamp(bank: Bank) -> bytes:
    return bank.stamp


@pytest.mark.parametrize(
    "spoil",
    [
        _shorter,
        _longer,
        _nothing_but_the_stamp,
        _of_more_columns,
        _of_another_kind,
        _full_of_ones,
    ],
)
@every_watch
def test_damaged_state_is_refused(watch: Watch, spoil: Callable[[Bank], bytes]) -> None:
    bank = bank_of(watch, 2)
    for samples in stream(watch, 10, 2, 40):
        bank.judge(ROWS, samples)
    before = bank.dump(3)

    with pytest.raises(StateError):
        bank.load(3, spoil(bank))

    assert bank.dump(3) == before


@every_watch
def test_no_rows_and_no_columns_are_judged_in_peace(watch: Watch) -> None:
    samples = stream(watch, 11, 2, 1)[0]

    none = bank_of(watch, 2).judge(np.empty(0, dtype=np.int64), samples.take(slice(0, 0)))
    narrow = bank_of(watch, 0).judge(ROWS, samples.pick(np.empty(0, dtype=np.int64)))

    assert none.found.shape == (0, 2)
    assert narrow.found.shape == (2, 0)


@every_watch
def test_rows_are_read_back_many_at_once(watch: Watch) -> None:
    bank, other = bank_of(watch, 2), bank_of(watch, 2)
    for samples in stream(watch, 13, 2, 50):
        bank.judge(ROWS, samples)

    raw = bank.raw(ROWS)
    other.put(np.array([1, 20]), raw)

    assert raw.shape == (2, bank.row_nbytes)
    assert [other.dump(row) for row in (1, 20)] == [bank.dump(row) for row in ROWS.tolist()]
    with pytest.raises(StateError, match="bytes"):
        other.put(ROWS, raw[:, 1:])


def test_a_young_history_is_stored_in_few_bytes() -> None:
    watch = Watch(signal="s", detector="robust_z", settings={"min_n": 0})
    bank = bank_of(watch, 2)
    for samples in windows(np.random.default_rng(1), watch, (1, 2), 20, odd=0.0):
        bank.judge(np.array([0]), samples)

    assert 2 * 360 * 4 < bank.row_nbytes < 2 * 360 * 6
    assert len(bank.dump(0)) < 2 * (20 * 4 + 100)


def test_memory_grows_with_the_rows_and_stays_small() -> None:
    bank = bank_of(WATCHES["ewma"], 4)
    samples = stream(WATCHES["ewma"], 12, 2, 1)[0]
    wide = together([samples.pick(np.array([0, 1, 0, 1]))])

    bank.judge(np.array([5_000, 1]), wide)

    assert bank.nbytes <= 2 * 5_001 * 4 * 64
