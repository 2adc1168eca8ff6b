"""Anomalies of many series: the views, their fusion, and the state that holds them."""

from __future__ import annotations

import hashlib
from dataclasses import astuple
from typing import Any, NamedTuple

import numpy as np

from watchkeeper.detectors import fast
from watchkeeper.detectors.anomalies import hours, incidents, tails
from watchkeeper.detectors.anomalies.nearest import nearest
from watchkeeper.detectors.anomalies.rules import Rules
from watchkeeper.detectors.frames import BoolArray, FloatArray, IntArray
from watchkeeper.detectors.types import StateError

# A ladder with steps of four: views nearer to each other would only repeat themselves.
WINDOWS = np.array([1, 4, 16, 64])
_LEVELS = np.array([2, 3])  # places of windows whose mean alone is a view too
_VIEWS = len(WINDOWS) + len(_LEVELS) + 1
_WARM_UP = 50  # scores of a view before it says something
_LARGEST = 1e16  # in units of a series' own, so that sums of squares of 4-byte floats are finite
_SMOOTH = 0.125  # weight of the newest value in the level
_VERSION = 1
_STAMP = 8


class Judged(NamedTuple):
    """What is said of one value of each series.

    `evidence` is -log10 of how rare the value is, in the mean over the views (0 while nothing is
    known), `level` the same smoothed: it stays high during an incident. `alarm` says where an
    incident begins or worsens, and `score` how rare such an alarm is, 0 elsewhere.
    """

    evidence: FloatArray
    level: FloatArray
    alarm: BoolArray
    score: FloatArray


class Anomalies:
    """Watches the values of many series, each compared with nothing but its own past.

    Views: the distance of the last 1, 4, 16 and 64 values to the nearest such stretch before, that
    of the means of the last 16 and 64, and the distance from what is usual at this hour of the
    week where the hour explains enough. Each distance becomes -log10 of its rank in its history.
    """

    def __init__(self, rules: Rules, series: int) -> None:
        self.rules = rules
        most = rules.memory + max(rules.memory // 8, int(WINDOWS[-1]))
        self._fields: tuple[tuple[str, str, tuple[int, ...]], ...] = (
            ("held", "<i8", ()),
            ("seen", "<i8", ()),
            ("origin", "<f8", ()),
            ("unit", "<f8", ()),
            ("level", "<f8", ()),
            ("values", "<f4", (most,)),
            ("scale", "<f8", (_VIEWS,)),
            ("counts", "<f4", (_VIEWS, tails.BINS)),
            *hours.FIELDS,
            *incidents.FIELDS,
        )
        self.state = {name: np.zeros((series, *size), kind) for name, kind, size in self._fields}
        layout = f"anomalies {_VERSION} {astuple(rules)} {self._fields}"
        self._stamp = hashlib.blake2b(layout.encode(), digest_size=_STAMP).digest()

    @property
    def series_nbytes(self) -> int:
        """The bytes of state of one series."""
        return sum(part.nbytes // max(len(part), 1) for part in self.state.values())

    def update(
        self,
        rows: IntArray,
        start: FloatArray,
        value: FloatArray,
        may: BoolArray | None = None,
        least: float = 0.0,
    ) -> Judged:
        """Judges one value of each of these series, no series twice, and learns it.

        `start` is when the value's window began, in seconds since the epoch. What is not finite is
        passed over: no evidence, no alarm, nothing learned. Alarms need a score of `least`, and are
        told where they `may` be (None: everywhere); others open a hidden incident, see `hidden`.
        """
        given = np.isfinite(value)
        judged = Judged(*(np.zeros(len(rows), kind) for kind in ("f8", "f8", "?", "f8")))
        judged.level[:] = self.state["level"][rows]
        if not given.any():
            return judged
        at = rows[given]
        with np.errstate(all="ignore"):
            permitted = None if may is None else may[given]
            found = self._judge(at, start[given], value[given], permitted, least)
        for part, new in zip(judged, found, strict=True):
            part[given] = new
        return judged

    def hidden(self, row: int) -> bool:
        """Whether an incident is open that no alarm told of."""
        return bool(incidents.hidden(self.state, np.array([row]), self.rules.quiet)[0])

    def recent(self, row: int, count: int) -> FloatArray:
        """The last values of a series, at most so many, as exactly as they are kept."""
        held, unit = int(self.state["held"][row]), float(self.state["unit"][row]) or 1.0
        kept = self.state["values"][row, max(held - count, 0) : held].astype(np.float64)
        plain: FloatArray = np.clip(kept / unit + self.state["origin"][row], -1e300, 1e300)
        return plain

    def _judge(
        self,
        rows: IntArray,
        start: FloatArray,
        value: FloatArray,
        may: BoolArray | None,
        least: float,
    ) -> Judged:
        state = self.state
        scaled = self._scaled(rows, value)
        usual = hours.departure(state, rows, start, scaled.astype(np.float64))
        self._remember(rows, scaled)
        search = _fast_nearest() if fast.available() else nearest
        shapes, levels = search(state["values"], rows, state["held"][rows], WINDOWS)
        distances = np.column_stack([shapes, levels[:, _LEVELS], usual])
        evidence = self._evidence(rows, distances)
        state["seen"][rows] += 1
        state["level"][rows] += _SMOOTH * (evidence - state["level"][rows])
        seen = state["seen"][rows]
        alarm, score = incidents.alarms(state, rows, seen, evidence, self.rules, may, least)
        return Judged(evidence, state["level"][rows], alarm, score)

    def _scaled(self, rows: IntArray, value: FloatArray) -> Any:
        """Values as 4-byte floats, from the series' first one on and in a unit of its own."""
        state = self.state
        new = state["seen"][rows] == 0
        state["origin"][rows[new]] = value[new]
        apart = np.clip(value - state["origin"][rows], -1e300, 1e300)
        first = (state["unit"][rows] == 0.0) & (apart != 0.0)
        # A power of two, so that nothing is rounded; the smallest change may be rounding itself.
        size = np.maximum(np.abs(apart), 1e-9 * np.abs(state["origin"][rows]))
        power = np.clip(np.floor(np.log2(np.where(first, size, 1.0))), -1000, 1000)
        state["unit"][rows[first]] = np.exp2(-power[first])
        scaled = np.clip(apart * state["unit"][rows], -_LARGEST, _LARGEST)
        return scaled.astype(np.float32)

    def _remember(self, rows: IntArray, scaled: Any) -> None:
        values, held = self.state["values"], self.state["held"]
        memory = self.rules.memory
        for row in rows[held[rows] == values.shape[1]].tolist():
            values[row, :memory] = values[row, -memory:].copy()
            held[row] = memory
        values[rows, held[rows]] = scaled
        held[rows] += 1

    def _evidence(self, rows: IntArray, distances: FloatArray) -> FloatArray:
        """The mean of -log10 p over the views that have something to say."""
        state = self.state
        given = np.isfinite(distances)
        scale = state["scale"][rows]
        scale = np.where((scale == 0.0) & given & (distances > 0.0), distances, scale)
        state["scale"][rows] = scale
        ratio = np.where(given & (scale > 0.0), distances / np.where(scale > 0.0, scale, 1.0), 0.0)
        place = tails.place_of(ratio)
        counts = state["counts"][rows]
        said = np.where(given, tails.digits(counts, ratio, place, _WARM_UP), np.nan)
        tails.learn(counts, place, given, self.rules.memory)
        state["counts"][rows] = counts
        known = np.isfinite(said)
        total = np.where(known, said, 0.0).sum(axis=1)
        mean: FloatArray = total / np.maximum(known.sum(axis=1), 1)
        return mean

    # -----------------------------------------------------------------------------------------
    # State
    # -----------------------------------------------------------------------------------------

    def clear(self, rows: IntArray) -> None:
        """Forgets these series."""
        for part in self.state.values():
            part[rows] = 0

    def dump(self, row: int) -> bytes:
        """The state of one series, little-endian, with a stamp of its layout."""
        return b"".join([self._stamp, *(part[row].tobytes() for part in self.state.values())])

    def load(self, row: int, stored: bytes) -> None:
        """Takes up what `dump` gave. Raises `StateError` where it cannot be such a state."""
        if stored[:_STAMP] != self._stamp:
            raise StateError("stored state has another layout")
        if len(stored) != _STAMP + self.series_nbytes:
            raise StateError(f"stored state has {len(stored)} bytes")
        read, at = {}, _STAMP
        for name, kind, size in self._fields:
            count = int(np.prod(size, dtype=np.int64))
            read[name] = np.frombuffer(stored, kind, count, at).reshape(size)
            at += read[name].nbytes
        if not self._sound(read):
            raise StateError("stored state is damaged: numbers that no series could have")
        for name, part in read.items():
            self.state[name][row] = part

    def _sound(self, read: dict[str, Any]) -> bool:
        counted = ("held", "seen", "counts", "count", "visits", "alarms", "weeks", "days", "scale")
        return (
            all(np.isfinite(part).all() for part in read.values())
            and all((read[name] >= 0).all() for name in counted)
            and int(read["held"]) <= self.state["values"].shape[1]
        )


def _fast_nearest() -> Any:
    from watchkeeper.detectors.anomalies import nearest_fast  # imports numba

    return nearest_fast.nearest
