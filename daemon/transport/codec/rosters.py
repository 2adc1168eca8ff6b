"""Models and versions of which events came before: each keeps its number from batch to batch."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from watchkeeper.detectors.blocks import Member, MemberRoster
from watchkeeper.detectors.roster import Numbered, Roster
from watchkeeper.detectors.types import BoolArray, IntArray

MOST = 65_536  # names that are numbered; where there are more, all are numbered anew
LONGEST = 128  # bytes of a name that is numbered

Bytes = npt.NDArray[np.uint8]


class _Sorted:
    """Whole numbers that were met, each with its place in the order in which they were met."""

    def __init__(self) -> None:
        self._met: IntArray = np.zeros(0, dtype=np.int64)
        self._place: IntArray = np.zeros(0, dtype=np.int64)

    def __len__(self) -> int:
        return len(self._met)

    def find(self, wanted: IntArray) -> tuple[IntArray, BoolArray]:
        """The place of each, and whether it was met."""
        if not len(self._met):
            return np.zeros(len(wanted), dtype=np.int64), np.zeros(len(wanted), dtype=np.bool_)
        at = np.minimum(np.searchsorted(self._met, wanted), len(self._met) - 1)
        return self._place[at], self._met[at] == wanted

    def meet(self, new: IntArray) -> None:
        """Each gets the next place."""
        met = np.concatenate([self._met, new])
        place = np.concatenate([self._place, len(self._met) + np.arange(len(new))])
        order = np.argsort(met, kind="stable")
        self._met, self._place = met[order], place[order]


class _Texts:
    """Texts by number. Found by their keys; equal keys are not trusted, the bytes are compared."""

    def __init__(self) -> None:
        self.roster: Roster[str] = Roster()
        self._keys = _Sorted()
        self._bytes: Bytes = np.zeros((0, LONGEST), dtype=np.uint8)
        self._length: IntArray = np.zeros(0, dtype=np.int64)

    def numbers(
        self, buffer: bytes, keys: IntArray, first: IntArray, end: IntArray
    ) -> IntArray | None:
        """The number of each text buffer[first:end]; None where one cannot have any."""
        length = end - first
        if not len(length) or length.max() > LONGEST:
            return None
        texts = _padded(buffer, first, end)
        found, known = self._keys.find(keys)
        new = np.flatnonzero(~known)
        if len(new):
            for row in new.tolist():
                self.roster.add(buffer[first[row] : end[row]].decode())
            found[new] = len(self._keys) + np.arange(len(new))
            self._keys.meet(keys[new])
            more = np.zeros((len(new), LONGEST), dtype=np.uint8)
            more[:, : texts.shape[1]] = texts[new]
            self._bytes = np.concatenate([self._bytes, more])
            self._length = np.concatenate([self._length, length[new]])
        same = self._length[found] == length
        same &= (self._bytes[found, : texts.shape[1]] == texts).all(axis=1)
        return found if same.all() else None


def _padded(buffer: bytes, first: IntArray, end: IntArray) -> Bytes:
    """The texts one below the other, with zeros behind them."""
    raw = np.frombuffer(buffer, dtype=np.uint8)
    width = int((end - first).max())
    places = first[:, None] + np.arange(width)
    found: Bytes = raw[np.minimum(places, len(raw) - 1)]
    found[places >= end[:, None]] = 0
    return found


class Rosters:
    """The models, and the versions of theirs."""

    def __init__(self) -> None:
        self._begin()

    def _begin(self) -> None:
        self._models, self._versions = _Texts(), _Texts()
        self._pairs = _Sorted()
        self._members = MemberRoster(self._models.roster)
        self._model_of: dict[bytes, int] = {}
        self._member_of: dict[tuple[bytes, bytes], int] = {}

    def models(
        self, buffer: bytes, keys: IntArray, first: IntArray, end: IntArray
    ) -> Numbered[str] | None:
        """The models with these names, which differ; None where some cannot be numbered."""
        if len(self._models.roster) + len(keys) > MOST:
            self._begin()
        numbers = self._models.numbers(buffer, keys, first, end)
        return None if numbers is None else self._models.roster.of(numbers)

    def members(
        self,
        buffer: bytes,
        models: Numbered[str],
        versions: tuple[IntArray, IntArray, IntArray],
        pairs: tuple[IntArray, IntArray],
    ) -> Numbered[Member] | None:
        """The members that `pairs` of these models' and versions' places are. `versions` are keys,
        beginnings and ends, as in `models`, which is called before."""
        too_many = len(self._versions.roster) + len(versions[0]) > MOST
        if too_many or len(self._members) + len(pairs[0]) > MOST:
            self._begin()
            return None
        numbers = self._versions.numbers(buffer, *versions)
        if numbers is None:
            return None
        model, version = models.numbers[pairs[0]], numbers[pairs[1]]
        codes = model << 32 | version
        found, known = self._pairs.find(codes)
        new = np.flatnonzero(~known)
        if len(new):
            found[new] = len(self._members) + np.arange(len(new))
            self._pairs.meet(codes[new])
            names = self._models.roster.of(model[new]), self._versions.roster.of(version[new])
            for number, name in zip(model[new].tolist(), zip(*names, strict=True), strict=True):
                self._members.join(Member(*name), number)
        return self._members.of(found)

    def few(
        self, models: Sequence[bytes], members: Sequence[tuple[bytes, bytes]]
    ) -> tuple[Numbered[str], Numbered[Member]] | None:
        """A handful of models and members by their names; None where `note` was not told of one."""
        try:
            model = np.array([self._model_of[name] for name in models], dtype=np.int64)
            member = np.array([self._member_of[names] for names in members], dtype=np.int64)
        except KeyError:
            return None
        return self._models.roster.of(model), self._members.of(member)

    def note(
        self,
        models: Sequence[bytes],
        members: Sequence[tuple[bytes, bytes]],
        found: tuple[Numbered[str], Numbered[Member]],
    ) -> None:
        """Has `few` know these names, and what `models` and `members` found for them just now."""
        self._model_of.update(zip(models, found[0].numbers.tolist(), strict=True))
        self._member_of.update(zip(members, found[1].numbers.tolist(), strict=True))
