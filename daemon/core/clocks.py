"""How far event time has come, for all models at once: who is late, and what has closed."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from watchkeeper.daemon.core.policy import ModelPolicy
from watchkeeper.detectors import fast
from watchkeeper.detectors.arrays.grown import Grown
from watchkeeper.detectors.keys import keys_of
from watchkeeper.detectors.types import BoolArray, FloatArray, IntArray
from watchkeeper.detectors.windows import Watermark, arrived, first_open, window_index

NOT_BEGUN = -(2**62)  # stands for the next window of a model without events
_TO_CLOSE = ("next_window", "newest", "width", "lateness")
_SWITCHES = ("live", "compared", "sampled", "related", "weighed")


class Arrivals(NamedTuple):
    """Of each event: whether its window had closed when it came, and the end of the windows that
    had."""

    late: BoolArray
    closed: FloatArray


class Windows(NamedTuple):
    """Of each event: the width and the number of its window, and whether that is open still."""

    width: FloatArray
    number: IntArray
    open: BoolArray


class Clocks(Grown):
    """One row a model.

    `newest`, `ahead` and `least` are its `Watermark`; windows before number `next_window` are
    closed. `behind` is how far a live stream lags behind the ticks, `last_tick` the newest of
    these, `live` whether events are of the ticks' time. `width`, `lateness`, `leap` and `skew` are
    the user's, in seconds, and so is whether its clients are `compared`, its inputs `sampled`, its
    features `related` and its estimates `weighed`; `key` is that of the model's name.
    """

    def __init__(self) -> None:
        seconds = ("newest", "least", "last_tick", "behind", "width", "lateness", "leap", "skew")
        super().__init__(
            {
                **dict.fromkeys(seconds, (np.float64, ())),
                **dict.fromkeys(("ahead", "next_window"), (np.int64, ())),
                **dict.fromkeys(_SWITCHES, (np.bool_, ())),
                "key": (np.uint64, ()),
            }
        )

    def begin(self, model: str, policy: ModelPolicy) -> int:
        """The row of a model that has seen nothing yet."""
        row = self.claim_one()
        width, lateness = policy.window_s, policy.lateness_s
        start = {
            "newest": -np.inf,
            "least": np.inf,
            "last_tick": -np.inf,
            "next_window": NOT_BEGUN,
            "width": width,
            "lateness": lateness,
            "leap": max(width, 60.0) + lateness,
            # How far event time may be from the ticks' time for a stream to count as live.
            "skew": max(300.0, 5 * width),
            "compared": policy.attacks,
            "sampled": policy.duplicates,
            "related": policy.multivariate,
            "weighed": policy.weighted,
            "key": keys_of([model])[0],
        }
        for name, value in start.items():
            self.arrays[name][row] = value
        return row

    def release(self, rows: IntArray) -> None:
        """Takes rows back: time does not pass for them."""
        super().release(rows)
        self.arrays["live"][rows] = False
        self.arrays["newest"][rows] = -np.inf

    def oldest(self) -> float:
        """The least watermark of all models that have seen anything; infinite where none has."""
        newest = self.arrays["newest"][: self._used]
        return float(newest.min(initial=np.inf, where=np.isfinite(newest)))

    def mark(self, row: int) -> Watermark:
        """A model's watermark."""
        a = self.arrays
        return Watermark(float(a["newest"][row]), int(a["ahead"][row]), float(a["least"][row]))

    def set_mark(self, row: int, mark: Watermark) -> None:
        """Puts a model's watermark."""
        self.arrays["newest"][row] = mark.newest
        self.arrays["ahead"][row] = mark.ahead
        self.arrays["least"][row] = mark.least

    def arrive(self, model: IntArray, at: FloatArray, seq: IntArray) -> Arrivals:
        """Moves the models' times on. `model` is each event's row, `seq` its order of arrival."""
        order = _by_model(model, seq)
        rows, times = model[order], at[order]
        cuts = np.flatnonzero(np.concatenate(([True], rows[1:] != rows[:-1])))
        models = rows[cuts]
        self._first(models, times[cuts])
        most = np.maximum.reduceat(times, cuts)
        a = self.arrays
        a["live"][models] = np.abs(most - a["last_tick"][models]) <= a["skew"][models]
        before = self._before(rows, times, cuts, models, most)
        lag = a["last_tick"][models] - a["newest"][models]
        a["behind"][models] = np.maximum(np.maximum(lag, 0.99 * a["behind"][models]), 0.0)
        width, lateness = a["width"][rows], a["lateness"][rows]
        end = (window_index(times, width) + 1.0) * width
        found = Arrivals(np.empty_like(before, dtype=np.bool_), np.empty_like(before))
        found.late[order] = before >= end + lateness
        found.closed[order] = np.floor((before - lateness) / width) * width
        return found

    def windows(self, model: IntArray, at: FloatArray) -> Windows:
        """The window of each event; `model` is its row."""
        width = self.arrays["width"][model]
        number = window_index(at, width)
        return Windows(width, number, number >= self.arrays["next_window"][model])

    def tick(self, at: float) -> IntArray:
        """Time passes for the models whose events are of today; gives those it moved.

        A stream that runs behind the clock keeps its distance, and may double it.
        """
        a = self.arrays
        a["last_tick"][:] = at
        reached = at - a["lateness"] - 2.0 * a["behind"]
        moved = np.flatnonzero(a["live"] & (reached > a["newest"]))
        a["newest"][moved] = reached[moved]
        a["ahead"][moved] = 0
        a["least"][moved] = np.inf
        return moved

    def stop(self, row: int) -> int:
        """The number of a model's first window that stays open by now."""
        a = self.arrays
        return first_open(
            float(a["newest"][row]), float(a["lateness"][row]), float(a["width"][row])
        )

    def due(self, models: IntArray) -> IntArray:
        """Those of the models that have windows to close."""
        a = self.arrays
        begun = models[a["next_window"][models] != NOT_BEGUN]
        begun = begun[np.isfinite(a["newest"][begun])]
        end = (a["next_window"][begun] + 1) * a["width"][begun]
        due: IntArray = begun[end + a["lateness"][begun] <= a["newest"][begun]]
        return due

    def next_due_s(self) -> float:
        """The event time until a window is due, of the models that have begun; infinite where
        there is none."""
        a = {name: self.arrays[name][: self._used] for name in _TO_CLOSE}
        begun = (a["next_window"] != NOT_BEGUN) & np.isfinite(a["newest"])
        end = (a["next_window"] + 1) * a["width"] + a["lateness"]
        return float((end - a["newest"]).min(initial=np.inf, where=begun))

    def _first(self, models: IntArray, first: FloatArray) -> None:
        a = self.arrays
        for i in np.flatnonzero(a["next_window"][models] == NOT_BEGUN).tolist():
            row = models[i]
            lateness, width = float(a["lateness"][row]), float(a["width"][row])
            a["next_window"][row] = first_open(float(first[i]), lateness, width)

    def _before(
        self, rows: IntArray, times: FloatArray, cuts: IntArray, models: IntArray, most: FloatArray
    ) -> FloatArray:
        """The newest event time before each event; moves the watermarks."""
        a = self.arrays
        reached = _running_max(times, cuts)
        before = np.maximum(np.concatenate(([-np.inf], reached[:-1])), a["newest"][rows])
        before[cuts] = a["newest"][models]
        far = times > before + a["leap"][rows]
        far &= np.isfinite(before)
        a["newest"][models] = np.maximum(a["newest"][models], most)
        calm = np.ones(len(models), dtype=np.bool_)
        if far.any():
            ends = np.append(cuts[1:], len(times))
            for i in np.flatnonzero(np.logical_or.reduceat(far, cuts)).tolist():
                calm[i] = False
                span, row = slice(int(cuts[i]), int(ends[i])), int(models[i])
                newest = float(before[cuts[i]])
                mark = Watermark(newest, int(a["ahead"][row]), float(a["least"][row]))
                limits = (float(a["lateness"][row]), float(a["width"][row]), float(a["leap"][row]))
                found = arrived(times[span], mark, *limits)
                before[span] = found.before
                self.set_mark(row, found.mark)
        a["ahead"][models[calm]] = 0
        a["least"][models[calm]] = np.inf
        return np.asarray(before)


def quickest() -> Clocks:
    """The quickest clocks there are here."""
    if not fast.available():
        return Clocks()
    from watchkeeper.daemon.core.clocks_fast import CompiledClocks  # of use only with numba

    return CompiledClocks()


def _by_model(model: IntArray, seq: IntArray) -> IntArray:
    """The order of arrival, model by model."""
    if (seq[:-1] <= seq[1:]).all():
        return np.argsort(model, kind="stable")
    return np.lexsort((seq, model))


def _running_max(times: FloatArray, cuts: IntArray) -> FloatArray:
    """The largest time so far, begun anew at each cut; exact, since it compares ranks."""
    if len(cuts) == 1:
        whole: FloatArray = np.maximum.accumulate(times)
        return whole
    n = len(times)
    order = np.argsort(times, kind="stable")
    rank = np.empty(n, dtype=np.int64)
    rank[order] = np.arange(n)
    part = np.repeat(np.arange(len(cuts)), np.diff(np.append(cuts, n)))
    top = np.maximum.accumulate(part * n + rank) - part * n
    return np.asarray(times[order[top]])
