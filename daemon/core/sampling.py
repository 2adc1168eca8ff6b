"""Which requests a label join keeps, where labels come so late that it cannot keep them all."""

from __future__ import annotations

import sys
from array import array
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from watchkeeper.daemon.core import placing
from watchkeeper.detectors.keys import Keys
from watchkeeper.detectors.types import BoolArray, IntArray

HALVINGS_LIMIT = 16
PROBES = 256  # requests a model's labels are timed by
REACH = 64  # so many times the capacity is the longest delay that is noticed
MISSED_MIN = 4  # probes labelled too late before less is kept
SPARE_MIN = 16  # probes labelled early before more is kept
FADE = 64  # probes after which the counts begin anew
_ALL = 2**64 - 1
_NUMBERS = ("halvings", "grown", "missed", "far", "near")


class _Probes:
    """Numbers by key, at most `PROBES`: the oldest goes. Few enough to be looked through, and in
    far less memory than a dictionary."""

    __slots__ = ("_keys", "_numbers")

    def __init__(self) -> None:
        self._keys, self._numbers = array("Q"), array("Q")

    def dump(self) -> list[bytes]:
        """All keys and all numbers, the oldest first; nothing where there is none."""
        return [_bytes(self._keys), _bytes(self._numbers)] if self._keys else []

    @classmethod
    def load(cls, stored: Sequence[Any]) -> _Probes:
        """What `dump` gave, or pairs of key and number, as once were stored. Raises ValueError for
        bytes that are no numbers."""
        made = cls()
        if stored and isinstance(stored[0], bytes):
            keys, numbers = (np.frombuffer(each, "<u8").tolist() for each in stored)
            stored = list(zip(keys, numbers, strict=True))
        for key, number in stored:
            made.put(int(key), int(number))
        return made

    def put(self, key: int, number: int) -> None:
        """The number of a key, which keeps its place where it has one."""
        if key in self._keys:
            self._numbers[self._keys.index(key)] = number
            return
        self._keys.append(key)
        self._numbers.append(number)
        if len(self._keys) > PROBES:
            del self._keys[0], self._numbers[0]

    def pop(self, key: int) -> int | None:
        """Takes the number of a key, if there is one."""
        if key not in self._keys:
            return None
        place = self._keys.index(key)
        del self._keys[place]
        return self._numbers.pop(place)

    def clear(self) -> None:
        """Forgets all."""
        self._keys, self._numbers = array("Q"), array("Q")


@dataclass(slots=True)
class _Timing:
    """How soon one model's labels come, counted in kept predictions.

    `halvings`: one in 2**halvings requests is kept. `arrived` counts kept predictions since the
    last change, `grown`: that was one to more. Of the probes, `missed` were labelled after the
    table had dropped them, `far` after a quarter of its length, `near` before.
    """

    halvings: int = 0
    grown: bool = False
    arrived: int = 0
    missed: int = 0
    far: int = 0
    near: int = 0
    probes: _Probes = field(default_factory=_Probes)

    def change(self, halvings: int) -> None:
        """Keeps another share from now on; the labels of what came before tell nothing of it."""
        self.grown, self.halvings = halvings < self.halvings, halvings
        self.arrived = self.missed = self.far = self.near = 0
        self.probes.clear()

    def decide(self, capacity: int) -> int:
        """How often the share should be halved by now."""
        seen = self.missed + self.far + self.near
        if self.missed >= MISSED_MIN and 10 * self.missed >= seen:
            return min(self.halvings + 1, HALVINGS_LIMIT)
        spare = seen >= SPARE_MIN and not self.missed and not self.far
        if self.halvings and spare and self.arrived >= 2 * capacity:
            return self.halvings - 1
        if seen >= FADE:
            self.missed = self.far = self.near = 0
        return self.halvings


class Sampling:
    """The share of each model's requests that is kept, by their keys: all, a half, a quarter ...

    A few requests of each model are probes: their labels are timed far beyond the length of the
    join's table. Where labels come for probes that the table has dropped, the share is halved;
    where all come within a quarter of the table, it is doubled again.
    """

    def __init__(self) -> None:
        self.limit: Keys = np.zeros(0, dtype=np.uint64)
        self._placing = placing.quickest()
        self._probe: Keys = np.zeros(0, dtype=np.uint64)
        self._arrived: IntArray = np.zeros(0, dtype=np.int64)
        self._capacity: IntArray = np.zeros(0, dtype=np.int64)
        self._timings: dict[int, _Timing] = {}
        self._sampled: set[int] = set()
        self._grown: set[int] = set()

    def grow(self, more: int, capacity: int) -> None:
        """There are so many more models, of which a table keeps `capacity` predictions."""
        self.limit = np.append(self.limit, np.full(more, _ALL, dtype=np.uint64))
        self._arrived = np.append(self._arrived, np.zeros(more, dtype=np.int64))
        self._capacity = np.append(self._capacity, np.full(more, capacity, dtype=np.int64))
        self._probe = np.append(self._probe, np.full(more, _mask(capacity), dtype=np.uint64))

    def bound(self, model: int, capacity: int) -> None:
        """The table keeps so many predictions of this model."""
        self._capacity[model], self._probe[model] = capacity, _mask(capacity)

    def fit(self, room: IntArray) -> None:
        """The table keeps so many predictions of each model from now on."""
        models = np.flatnonzero(room != self._capacity)
        self._capacity[models] = room[models]
        self._probe[models] = [_mask(each) for each in room[models].tolist()]

    @property
    def samples(self) -> bool:
        """Whether not all requests of some model are kept."""
        return bool(self._sampled)

    def kept(self, models: IntArray, keys: Keys) -> BoolArray | None:
        """Which requests are kept; None: all."""
        return keys <= self.limit[models] if self._sampled else None

    def unsure(self, models: IntArray, keys: Keys) -> BoolArray | None:
        """Of which requests the prediction may have come before they were kept; None: none."""
        if not self._grown:
            return None
        young = np.zeros(len(self.limit), dtype=np.bool_)
        grown = np.array(sorted(self._grown))
        young[grown] = self._arrived[grown] <= self._capacity[grown]
        return young[models] & (keys > self.limit[models] >> np.uint64(1))

    def predicted(self, models: IntArray, keys: Keys, labelled: BoolArray) -> None:
        """Kept predictions came."""
        numbers = self._placing.numbered(self._arrived, models)
        probes = np.flatnonzero((keys & self._probe[models]) == 0)
        if not len(probes):
            return
        columns = (models, keys, numbers, labelled)
        for model, key, number, done in zip(
            *(each[probes].tolist() for each in columns), strict=True
        ):
            timing = self._timings.setdefault(model, _Timing())
            if done:
                timing.near += 1
                continue
            timing.probes.put(key, number)

    def labelled(self, models: IntArray, keys: Keys) -> None:
        """Labels of kept requests came."""
        probes = np.flatnonzero((keys & self._probe[models]) == 0)
        for model, key in zip(models[probes].tolist(), keys[probes].tolist(), strict=True):
            timing = self._timings.get(model)
            number = timing.probes.pop(key) if timing is not None else None
            if timing is None or number is None:
                continue
            age, capacity = int(self._arrived[model]) - number, int(self._capacity[model])
            timing.missed += age > capacity
            timing.far += capacity >= age > capacity // 4
            timing.near += age <= capacity // 4

    def settle(self, models: Iterable[int]) -> list[tuple[int, int]]:
        """Decides anew about some models; gives those to change with their new halvings."""
        changes = []
        for model in models:
            timing = self._timings.get(model)
            if timing is None:
                continue
            timing.arrived = int(self._arrived[model])
            halvings = timing.decide(int(self._capacity[model]))
            if halvings != timing.halvings:
                changes.append((model, halvings))
        return changes

    def change(self, model: int, halvings: int) -> None:
        """Keeps one in 2**halvings of the model's requests from now on."""
        timing = self._timings.setdefault(model, _Timing())
        timing.change(halvings)
        self._arrived[model] = 0
        self._apply(model, timing)

    def share(self, model: int) -> float:
        """The share of the model's requests that is kept."""
        timing = self._timings.get(model)
        return 0.5**timing.halvings if timing is not None else 1.0

    def forget(self, model: int) -> None:
        """Begins the model anew."""
        self._timings.pop(model, None)
        if model < len(self.limit):
            self._arrived[model] = 0
            self._apply(model, _Timing())

    def state(self, model: int) -> dict[str, Any]:
        """What is remembered of the model, as plain data; nothing of what it begins with."""
        arrived = int(self._arrived[model]) if model < len(self.limit) else 0
        found: dict[str, Any] = {"arrived": arrived} if arrived else {}
        timing = self._timings.get(model)
        if timing is not None:
            found |= {name: getattr(timing, name) for name in _NUMBERS if getattr(timing, name)}
            if probes := timing.probes.dump():
                found["probes"] = probes
        return found

    def restore(self, model: int, plain: Mapping[str, Any]) -> None:
        """Takes up what `state` gave."""
        timing = _Timing(**{**plain, "probes": _Probes.load(plain.get("probes", ()))})
        if not 0 <= timing.halvings <= HALVINGS_LIMIT:
            raise ValueError(f"halvings {timing.halvings}, must be 0 to {HALVINGS_LIMIT}")
        self._timings[model] = timing
        self._arrived[model] = timing.arrived
        self._apply(model, timing)

    def _apply(self, model: int, timing: _Timing) -> None:
        self.limit[model] = _ALL >> timing.halvings
        (self._sampled.add if timing.halvings else self._sampled.discard)(model)
        (self._grown.add if timing.grown else self._grown.discard)(model)


def _mask(capacity: int) -> int:
    """The bits that are 0 in the keys of probes."""
    every = max(capacity * REACH // PROBES, 1)
    return (1 << min(every.bit_length() - 1, 16)) - 1


def _bytes(numbers: array[int]) -> bytes:
    """Little-endian."""
    if sys.byteorder == "big":
        numbers = array("Q", numbers)
        numbers.byteswap()
    return numbers.tobytes()
