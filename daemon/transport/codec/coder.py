"""Texts that repeat, as codes, by the words that they consist of."""

from __future__ import annotations

import numpy as np

from watchkeeper.daemon.transport.codec.lanes import Lanes
from watchkeeper.detectors.frames import BoolArray, IntArray
from watchkeeper.detectors.texts import Codes, Words

RowCodes = IntArray | Codes

MOST = 16_384  # texts that are remembered; what a batch brings beyond them is forgotten after it
WIDEST = 8  # words of a text
_FEW = 64  # texts that a column names though no row may have them


class Coder:
    """One column's texts: every text keeps its code from batch to batch."""

    def __init__(self) -> None:
        self._texts: list[str] = []
        self._keys = np.empty(0, dtype=np.uint64)  # in order, with each one's code
        self._codes = np.empty(0, dtype=np.int32)
        self._words = np.empty((WIDEST, 0), dtype=np.uint64)  # by code
        self._known: tuple[str, ...] = ()
        self._long = False  # whether some text is longer than a word

    def begin(self) -> None:
        """A new batch."""
        if len(self._texts) > MOST:
            self.__init__()  # type: ignore[misc]

    def code(
        self, words: list[Lanes], keys: Lanes, there: BoolArray | None
    ) -> tuple[RowCodes, BoolArray | None]:
        """Each text's code, -1 where there is none, and which codes are right, None: all. Texts
        with one key are told apart: only the first to come has a right code."""
        codes, known = self._found(keys)
        strange = ~known if there is None else ~known & there
        if strange.any():
            self._add(words, keys, np.flatnonzero(strange))
            codes, known = self._found(keys)
        if there is not None:
            codes = np.where(there, codes, -1)
        if len(words) == 1 and not self._long:
            return codes, None  # the key is the text
        same = np.ones(len(keys), dtype=np.bool_)
        for i in range(WIDEST):
            mine = self._words[i].take(codes, mode="clip")
            same &= mine == (words[i] if i < len(words) else np.uint64(0))
        return codes, same if there is None else same | ~there

    def _found(self, keys: Lanes) -> tuple[RowCodes, BoolArray]:
        if not len(self._keys):
            return np.full(len(keys), -1), np.zeros(len(keys), dtype=np.bool_)
        place = np.searchsorted(self._keys, keys)
        known: BoolArray = self._keys.take(place, mode="clip") == keys
        return self._codes.take(place, mode="clip"), known

    def _add(self, words: list[Lanes], keys: Lanes, rows: IntArray) -> None:
        fresh, first = np.unique(keys[rows], return_index=True)
        chosen = rows[first]
        table = np.zeros((WIDEST, len(fresh)), dtype=np.uint64)
        for i, word in enumerate(words):
            table[i] = word[chosen]
        self._long |= bool(table[1:].any())
        raw = np.ascontiguousarray(table.T).view(f"S{8 * WIDEST}").ravel().tolist()
        codes = np.arange(len(self._texts), len(self._texts) + len(fresh), dtype=np.int32)
        self._texts += [each.decode() for each in raw]
        self._words = np.concatenate((self._words, table), axis=1)
        every = np.concatenate((self._keys, fresh))
        order = np.argsort(every)
        self._keys = every[order]
        self._codes = np.concatenate((self._codes, codes))[order]
        self._known = tuple(self._texts) if len(self._texts) <= _FEW else ()

    def column(self, codes: RowCodes) -> Words:
        """The column of rows with these codes."""
        if len(self._texts) <= _FEW:
            return Words(codes.astype(np.int32, copy=False), self._known)
        seen = np.zeros(len(self._texts) + 1, dtype=np.bool_)
        seen[codes] = True
        seen[-1] = False
        present = np.flatnonzero(seen)
        place = np.full(len(seen), -1, dtype=np.int32)
        place[present] = np.arange(len(present))
        return Words(place[codes], tuple([self._texts[i] for i in present.tolist()]))
