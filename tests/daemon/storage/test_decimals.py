"""Numbers with few digits are held as whole ones, by compiled loops as by NumPy."""

from __future__ import annotations

from types import ModuleType

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from tests.daemon.storage.examples import ODD
from watchkeeper.daemon.storage import decimals
from watchkeeper.detectors import fast
from watchkeeper.detectors.types import FloatArray

if fast.available():
    from watchkeeper.daemon.storage import decimals_fast

    WAYS: list[ModuleType] = [decimals, decimals_fast]
else:
    WAYS = [decimals]
KINDS: list[tuple[npt.DTypeLike, int]] = [(np.int16, 10**4), (np.int32, 10**6)]

few_digits = st.integers(-(2**33), 2**33).flatmap(
    lambda n: st.sampled_from([n / 10**4, n % 10**4 / 10**4, n / 10**6, n / 10**7])
)


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize(("kind", "parts"), KINDS)
@pytest.mark.parametrize("step", [1, 3])
def test_few_digits_fit(way: ModuleType, kind: npt.DTypeLike, parts: int, step: int) -> None:
    column = np.round(np.linspace(-3.0, 3.0, 999), 4)[::step]
    column[5] = np.nan
    held = np.empty(len(column), dtype=kind)

    assert way.fill(column, parts, held)

    assert decimals.to_reals(held, parts).tobytes() == column.tobytes()


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize(("kind", "parts"), KINDS)
@pytest.mark.parametrize("odd", [-0.0, 1 / 3, 1e-9, 1e305, np.inf, -np.inf, -np.nan])
def test_others_do_not(way: ModuleType, kind: npt.DTypeLike, parts: int, odd: float) -> None:
    assert not way.fill(np.array([0.5, odd]), parts, np.empty(2, dtype=kind))


@given(hnp.arrays(np.float64, st.integers(0, 9), elements=st.sampled_from(ODD) | few_digits))
def test_both_ways_agree_and_lose_nothing(column: FloatArray) -> None:
    for kind, parts in KINDS:
        rooms = [np.zeros(len(column), dtype=kind) for _ in WAYS]
        fits = {way.fill(column, parts, held) for way, held in zip(WAYS, rooms, strict=True)}
        assert len(fits) == 1
        if fits == {True}:
            assert {held.tobytes() for held in rooms} == {rooms[0].tobytes()}
            assert decimals.to_reals(rooms[0], parts).tobytes() == column.tobytes()
