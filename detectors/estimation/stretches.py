"""Stretches of windows that together hold enough predictions to be judged, while truths come."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import msgspec
import numpy as np

from watchkeeper.detectors.estimation.bins import Numbers
from watchkeeper.detectors.estimation.delays import DELAYS
from watchkeeper.detectors.estimation.kinds import Kind
from watchkeeper.detectors.estimation.rows import CODES
from watchkeeper.detectors.types import IntArray, StateError

KEPT = 64  # stretches whose truths are awaited; the oldest is settled as it is when one more comes
EARLY = 64  # windows of which truths came before the window was closed


@dataclass(slots=True)
class Truths:
    """What is known of windows: `known` (parts, cells), and `delays` (DELAYS,) of the labels."""

    known: IntArray
    delays: IntArray

    def add(self, known: Numbers, delays: Numbers) -> None:
        """Takes in more."""
        self.known += np.asarray(known).astype(np.int64)
        self.delays += np.asarray(delays).astype(np.int64)


@dataclass(slots=True)
class Stretch:
    """Windows side by side, from `start` to `end` (seconds since the epoch).

    `scored` (cells,) counts its `n` predictions, `positives` those answered so; `features`
    (features, CODES) their features' bins, none where nothing is corrected by them. `aged` is the
    age up to which delays were told, and `told` whether the estimate was scored by the truths.
    """

    start: float
    end: float
    scored: IntArray
    truths: Truths
    features: IntArray
    n: int = 0
    positives: int = 0
    aged: float = 0.0
    told: bool = False


class Stretches:
    """The stretches of one version of a model, oldest first; the last may still grow.

    Windows come in order of time, truths in any order. A stretch is full with `size` predictions.
    The histograms of so many `features` are kept along.
    """

    def __init__(self, kind: Kind, size: int, features: int = 0) -> None:
        self.kind, self.size, self.features = kind, size, features
        self.held: list[Stretch] = []
        self.lost = 0  # labels of windows that are not held any more, or not yet by far
        self._early: dict[float, Truths] = {}

    @property
    def full(self) -> list[Stretch]:
        """Those that do not grow any more."""
        return [each for each in self.held if each.n >= self.size]

    def scored(
        self,
        start: float,
        end: float,
        counts: Numbers,
        positives: int,
        features: Numbers | None = None,
    ) -> None:
        """Takes in a closed window's predictions (cells,), how many answers were positive, and
        what was counted of the features (features, CODES)."""
        if not self.held or self.held[-1].n >= self.size:
            cells = np.zeros(self.kind.cells, dtype=np.int64)
            codes = np.zeros((self.features, CODES), dtype=np.int64)
            self.held.append(Stretch(start, end, cells, self._nothing(), codes))
        now = self.held[-1]
        if features is not None and self.features:
            now.features += np.maximum(np.asarray(features), 0).astype(np.int64)
        now.end = max(now.end, end)
        more = np.maximum(np.asarray(counts), 0).astype(np.int64)
        now.scored += more
        now.n += int(more.sum())
        now.positives += max(positives, 0)
        early = self._early.pop(start, None)
        if early is not None:
            now.truths.add(early.known, early.delays)

    def labelled(self, start: float, known: Numbers, delays: Numbers) -> None:
        """Takes in truths (parts, cells) and delays (DELAYS,) of the window that began then."""
        for each in reversed(self.held):
            if each.start <= start < each.end:
                each.truths.add(known, delays)
                return
        if self.held and start < self.held[-1].end:
            self.lost += int(np.sum(delays))
            return
        self._early.setdefault(start, self._nothing()).add(known, delays)
        if len(self._early) > EARLY:
            self.lost += int(self._early.pop(min(self._early)).delays.sum())

    def drop(self, stretch: Stretch) -> None:
        """Lets a settled stretch go."""
        self.held = [each for each in self.held if each is not stretch]

    def dump(self) -> bytes:
        """All that is held, little-endian and without empty cells, with a stamp of the layout."""
        early = [(start, _packed(self._early[start])) for start in sorted(self._early)]
        held = [
            (
                (each.start, each.end, each.n, each.positives, each.aged, each.told),
                _sparse(each.scored),
                _packed(each.truths),
                _sparse(each.features),
            )
            for each in self.held
        ]
        return self._stamp() + msgspec.msgpack.encode((self.lost, held, early))

    def load(self, stored: bytes) -> None:
        """Takes up what `dump` gave. Raises `StateError` where it cannot be that."""
        if stored[:8] != self._stamp():
            raise StateError("stored stretches have another layout")
        try:
            lost, held, early = msgspec.msgpack.decode(stored[8:], type=_Stored)
            stretches = [self._stretch(*each) for each in held]
            waiting = {start: self._unpacked(truths) for start, truths in early}
        except (msgspec.DecodeError, ValueError, IndexError) as error:
            raise StateError(f"stored stretches are damaged: {error}") from error
        self.lost, self.held, self._early = lost, stretches, waiting

    def _nothing(self) -> Truths:
        known = np.zeros((self.kind.parts, self.kind.cells), dtype=np.int64)
        return Truths(known, np.zeros(DELAYS, dtype=np.int64))

    def _stamp(self) -> bytes:
        layout = f"stretches 1 {self.size} {self.kind.parts} {self.kind.cells} {self.features}"
        return hashlib.blake2b(layout.encode(), digest_size=8).digest()

    def _stretch(
        self, numbers: _Numbers, scored: _Sparse, truths: _Pair, features: _Sparse
    ) -> Stretch:
        start, end, n, positives, aged, told = numbers
        cells = _dense(scored, self.kind.cells)
        codes = _dense(features, self.features * CODES).reshape(self.features, CODES)
        known = self._unpacked(truths)
        return Stretch(start, end, cells, known, codes, n, positives, aged, told)

    def _unpacked(self, packed: _Pair) -> Truths:
        parts, cells = self.kind.parts, self.kind.cells
        known = _dense(packed[0], parts * cells).reshape(parts, cells)
        return Truths(known, _dense(packed[1], DELAYS))


_Sparse = tuple[bytes, bytes]  # places and counts
_Pair = tuple[_Sparse, _Sparse]
_Numbers = tuple[float, float, int, int, float, bool]
_Stored = tuple[int, list[tuple[_Numbers, _Sparse, _Pair, _Sparse]], list[tuple[float, _Pair]]]


def _packed(truths: Truths) -> _Pair:
    return _sparse(truths.known), _sparse(truths.delays)


def _sparse(counts: IntArray) -> _Sparse:
    flat = counts.reshape(-1)
    used = np.flatnonzero(flat)
    return used.astype("<u4").tobytes(), flat[used].astype("<i8").tobytes()


def _dense(packed: _Sparse, cells: int) -> IntArray:
    whole = np.zeros(cells, dtype=np.int64)
    places, counts = np.frombuffer(packed[0], "<u4"), np.frombuffer(packed[1], "<i8")
    if len(places) != len(counts) or np.any(counts < 0):
        raise ValueError("counts do not belong to their places")
    whole[places] = counts
    return whole
