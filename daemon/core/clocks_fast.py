"""The clocks of all models in compiled loops: the same numbers as by `clocks.Clocks`, sooner."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt

from watchkeeper.daemon.core.clocks import NOT_BEGUN, Arrivals, Clocks, Windows
from watchkeeper.detectors.fast import kernel
from watchkeeper.detectors.types import FloatArray, IntArray
from watchkeeper.detectors.windows import CONFIRMED

Table = npt.NDArray[Any]

_NOT_BEGUN, _CONFIRMED = NOT_BEGUN, CONFIRMED
_SETTINGS = ("width", "lateness", "leap", "skew", "last_tick")
_TIMES = ("newest", "ahead", "least", "next_window", "behind", "live")


def _given(kind: npt.DTypeLike) -> Table:
    """A column that a kernel only reads: it may be one that must not be written."""
    column = np.zeros(1, dtype=kind)
    column.flags.writeable = False
    return column


def _example_of_arrive() -> tuple[Any, ...]:
    whole, part, yes = (np.zeros(1, dtype=kind) for kind in (np.int64, np.float64, np.bool_))
    given = _given(np.int64), _given(np.float64), whole
    times = part, whole, part, whole, part, yes
    return *given, *[part] * len(_SETTINGS), *times, part, whole, yes, part


@kernel(_example_of_arrive)
def _arrive(
    model: Table,
    at: Table,
    order: Table,
    width: Table,
    lateness: Table,
    leap: Table,
    skew: Table,
    last_tick: Table,
    newest: Table,
    ahead: Table,
    least: Table,
    next_window: Table,
    behind: Table,
    live: Table,
    most: Table,
    met: Table,
    late: Table,
    closed: Table,
) -> None:
    """Moves the times of models on and fills `late` and `closed`; events arrived in `order`.

    `most` is -inf for every model, before and after; `met` is room for as many models as there are
    events.
    """
    models = 0
    for i in order:
        row, time = model[i], at[i]
        if most[row] == -math.inf:
            met[models] = row
            models += 1
            if next_window[row] == _NOT_BEGUN:
                next_window[row] = _first_open(time, lateness[row], width[row])
        most[row] = max(most[row], time)
        before = newest[row]
        if time <= before + leap[row] or before == -math.inf:
            newest[row], ahead[row], least[row] = max(before, time), 0, math.inf
        else:
            ahead[row], least[row] = ahead[row] + 1, min(least[row], time)
            if ahead[row] >= _CONFIRMED:
                newest[row], ahead[row], least[row] = least[row], 0, math.inf
        end = (_window_index(time, width[row]) + 1.0) * width[row]
        late[i] = before >= end + lateness[row]
        closed[i] = np.floor((before - lateness[row]) / width[row]) * width[row]
    for row in met[:models]:
        live[row] = abs(most[row] - last_tick[row]) <= skew[row]
        behind[row] = max(max(last_tick[row] - newest[row], 0.99 * behind[row]), 0.0)
        most[row] = -math.inf


@kernel()
def _window_index(at: float, width: float) -> int:
    """As `windows.window_index`."""
    index = np.floor(at / width)
    index += at >= (index + 1.0) * width
    index -= at < index * width
    return np.int64(index)  # type: ignore[return-value]


@kernel()
def _first_open(newest: float, lateness: float, width: float) -> int:
    """As `windows.first_open`."""
    index = math.floor((newest - lateness) / width)
    while index * width + lateness > newest:
        index -= 1
    while (index + 1) * width + lateness <= newest:
        index += 1
    return index


def _example_of_windows() -> tuple[Any, ...]:
    part, whole, yes = (np.zeros(1, dtype=kind) for kind in (np.float64, np.int64, np.bool_))
    return _given(np.int64), _given(np.float64), part, whole, part, whole, yes


@kernel(_example_of_windows)
def _windows(
    model: Table,
    at: Table,
    widths: Table,
    next_window: Table,
    width: Table,
    number: Table,
    is_open: Table,
) -> None:
    """Fills the last three."""
    for i in range(len(model)):
        width[i] = widths[model[i]]
        number[i] = _window_index(at[i], width[i])
        is_open[i] = number[i] >= next_window[model[i]]


class CompiledClocks(Clocks):
    """See `Clocks`."""

    def __init__(self) -> None:
        super().__init__()
        self._most: FloatArray = np.zeros(0)

    def arrive(self, model: IntArray, at: FloatArray, seq: IntArray) -> Arrivals:
        n, a, at = len(model), self.arrays, np.ascontiguousarray(at)
        if len(self._most) != len(a["width"]):
            self._most = np.full(len(a["width"]), -np.inf)
        sorted_already = (seq[:-1] <= seq[1:]).all()
        order = np.arange(n) if sorted_already else np.argsort(seq, kind="stable")
        found = Arrivals(np.empty(n, dtype=np.bool_), np.empty(n))
        settings, times = [a[name] for name in _SETTINGS], [a[name] for name in _TIMES]
        met = np.empty(n, dtype=np.int64)
        _arrive.compiled(model, at, order, *settings, *times, self._most, met, *found)
        return found

    def windows(self, model: IntArray, at: FloatArray) -> Windows:
        n, a = len(model), self.arrays
        found = Windows(np.empty(n), np.empty(n, dtype=np.int64), np.empty(n, dtype=np.bool_))
        _windows(model, np.ascontiguousarray(at), a["width"], a["next_window"], *found)
        return found
