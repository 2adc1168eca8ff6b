"""Plain data comes back exactly, or not at all."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from watchkeeper.daemon.storage import snapshots
from watchkeeper.daemon.storage.snapshots import SnapshotError

SCALARS = (
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63 - 1)
    | st.floats(allow_nan=False)
    | st.text()
    | st.binary()
)
PLAIN = st.recursive(
    SCALARS, lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner), max_leaves=20
)


@given(PLAIN)
def test_plain_data_comes_back_exactly(value: Any) -> None:
    assert snapshots.decode(snapshots.encode(value)) == value


@given(st.binary(max_size=64))
def test_bytes_from_elsewhere_are_refused(blob: bytes) -> None:
    with pytest.raises(SnapshotError):
        snapshots.decode(blob)


@given(st.data())
def test_a_changed_byte_is_noticed(data: st.DataObject) -> None:
    blob = bytearray(snapshots.encode({"mean": 0.1, "name": "x" * 20}))
    place = data.draw(st.integers(0, len(blob) - 1))
    blob[place] ^= data.draw(st.integers(1, 255))

    with pytest.raises(SnapshotError):
        snapshots.decode(bytes(blob))


@given(st.integers(0, 60))
def test_bytes_cut_short_are_noticed(length: int) -> None:
    blob = snapshots.encode({"mean": 0.1, "name": "x" * 60})

    with pytest.raises(SnapshotError):
        snapshots.decode(blob[:length])


def test_nan_and_infinity_survive() -> None:
    back = snapshots.decode(snapshots.encode([math.nan, math.inf, -0.0]))

    assert math.isnan(back[0])
    assert back[1] == math.inf
    assert math.copysign(1, back[2]) == -1


@pytest.mark.parametrize(
    "array",
    [
        np.arange(6, dtype=np.int64).reshape(2, 3),
        np.array([0.1, np.nan, np.inf]),
        np.array([True, False]),
        np.zeros((0, 4), dtype=np.float32),
        np.arange(6, dtype=">i4")[::2],
    ],
)
def test_arrays_of_numbers_survive(array: np.ndarray[Any, Any]) -> None:
    back = snapshots.decode(snapshots.encode({"a": array}))["a"]

    assert back.shape == array.shape
    np.testing.assert_array_equal(back, array)
    back[...] = 0  # and can be written to


@pytest.mark.parametrize("value", [object(), np.array([object()]), {1, 2}.__iter__(), 1j])
def test_what_is_not_plain_data_is_refused(value: object) -> None:
    with pytest.raises((NotImplementedError, TypeError)):
        snapshots.encode(value)


def test_another_layout_is_refused_with_both_numbers() -> None:
    blob = snapshots.encode({}, layout=7)

    with pytest.raises(SnapshotError, match="layout 7: this program reads 1"):
        snapshots.decode(blob)


def test_an_array_of_objects_in_the_bytes_is_refused() -> None:
    forged = snapshots.encode({"a": np.arange(3)}).replace(b"<i8", b"|O8")
    body = bytes(memoryview(forged)[8:])

    with pytest.raises(SnapshotError):
        snapshots.decode(snapshots.seal(body, snapshots.LAYOUT))
