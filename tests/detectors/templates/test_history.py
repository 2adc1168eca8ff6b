from __future__ import annotations

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from watchkeeper.detectors.templates.history import WINDOWS, History
from watchkeeper.detectors.types import StateError


def filled(windows: int, born: dict[int, int]) -> History:
    """Templates of which one more line comes each window; `born` is the window each begins in."""
    history = History()
    for k in range(windows):
        for number in [n for n, first in born.items() if first == k]:
            history.add(number)
        rows = [history.rows[n] for n in born if n in history.rows]
        values = np.zeros(len(history), dtype=np.float32)
        values[rows] = k + 1.0
        history.write(values, values, np.ones(len(history), dtype=np.bool_))
        history.lines[rows] += k + 1
    return history


def test_usual_is_the_mean_of_the_windows_there_were() -> None:
    history = filled(3, {4: 0, 9: 2})
    history.add(7)

    usual = history.usual(history.counts)

    assert [usual[history.rows[n]] for n in (4, 9, 7)] == [2.0, 3.0, 0.0]


@given(st.integers(1, 3 * WINDOWS), st.data())
def test_joined_counts_are_those_of_one_template(windows: int, data: st.DataObject) -> None:
    born = {n: data.draw(st.integers(0, windows - 1)) for n in (4, 9)}
    history = filled(windows, born)

    history.join(9, 4)

    row = history.rows[4]
    age = min(windows - min(born.values()), WINDOWS)
    expected = [
        (k + 1.0) * sum(first <= k for first in born.values())
        for k in range(windows - age, windows)
    ]
    assert list(history.rows) == [4]
    assert history.valid[row] == age
    assert sorted(history.counts[row][:age].tolist()) == sorted(expected)
    assert not history.counts[row][age:].any()


@given(st.integers(1, 3 * WINDOWS), st.data())
def test_the_oldest_window_is_written_over_after_joining(windows: int, data: st.DataObject) -> None:
    born = {n: data.draw(st.integers(0, windows - 1)) for n in (4, 9)}
    history = filled(windows, born)
    history.join(9, 4)
    before = history.counts[0].tolist()
    oldest = min(before[: int(history.valid[0])]) if history.age[0] >= WINDOWS else 0.0

    one = np.array([7e9], dtype=np.float32)
    history.write(one, one, np.array([True]))

    after = history.counts[0].tolist()
    (place,) = [i for i, (a, b) in enumerate(zip(before, after, strict=True)) if a != b]
    assert after[place] == np.float32(7e9)
    assert before[place] == oldest


def test_a_dropped_row_leaves_the_others_as_they_were() -> None:
    history = filled(5, {1: 0, 2: 1, 3: 2})
    expected = {n: history.counts[history.rows[n]].tolist() for n in (2, 3)}

    history.drop(1)
    history.drop(77)

    assert {n: history.counts[row].tolist() for n, row in history.rows.items()} == expected


def test_a_state_is_taken_back() -> None:
    history = filled(200, {1: 0, 2: 150, -1: 3})
    restored = History()

    restored.restore(msgspec.msgpack.decode(msgspec.msgpack.encode(history.state())))

    assert restored.state() == history.state()
    assert restored.rows == history.rows


@pytest.mark.parametrize(
    "damage",
    [
        {"numbers": [1, 1]},
        {"numbers": [1]},
        {"numbers": "x"},
        {"counts": b"x"},
        {"counts": None},
        {"age": b""},
    ],
)
def test_a_damaged_state_is_refused(damage: dict[str, object]) -> None:
    state = {**filled(3, {1: 0, 2: 0}).state(), **damage}

    with pytest.raises(StateError):
        History().restore(state)
