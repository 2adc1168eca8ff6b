"""Columns of text without an object a row: of words that repeat, and of places in a buffer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from watchkeeper.detectors.frames import BoolArray, IntArray, ObjectArray
from watchkeeper.detectors.keys import Keys, keys_of

Codes = npt.NDArray[np.int32]
Rows = IntArray | BoolArray | slice


@dataclass(frozen=True, slots=True)
class Words:
    """A column of text that repeats: a code a row into `words`; -1 is no text.

    `words` may hold some that no row has, and none twice.
    """

    codes: Codes
    words: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.codes)

    @classmethod
    def of(cls, texts: Sequence[str | None] | ObjectArray) -> Words:
        """The column of these texts."""
        values = texts.tolist() if isinstance(texts, np.ndarray) else texts
        words = tuple(word for word in dict.fromkeys(values) if word is not None)
        code: dict[str | None, int] = {word: i for i, word in enumerate(words)}
        code[None] = -1
        return cls(np.fromiter(map(code.__getitem__, values), np.int32, len(values)), words)

    @classmethod
    def missing(cls, n: int) -> Words:
        """A column without any text."""
        return cls(np.full(n, -1, dtype=np.int32), ())

    def take(self, rows: Rows) -> Words:
        """The chosen rows."""
        return Words(self.codes[rows], self.words)

    def if_any(self) -> Words | None:
        """The column; None where no row has a text."""
        return self if (self.codes >= 0).any() else None

    def texts(self) -> ObjectArray:
        """The texts themselves (object, str | None)."""
        known = np.empty(len(self.words) + 1, dtype=np.object_)
        known[: len(self.words)] = self.words
        return known[self.codes]  # the last one, None, is that of -1

    def keys(self) -> Keys:
        """The key of each row's text; 0 where there is none."""
        return self.known_keys()[self.codes + 1]

    def known_keys(self) -> Keys:
        """The key of each word, behind a 0 for none: that of code c is at c + 1."""
        return _few(self.words) if len(self.words) <= _FEW else _with_none(self.words)


def _with_none(words: tuple[str, ...]) -> Keys:
    return np.concatenate(([np.uint64(0)], keys_of(words)))


_FEW, _SOME = 64, 128
_few = lru_cache(maxsize=4_096)(_with_none)


@dataclass(frozen=True, slots=True)
class Spans:
    """A column of text that rarely repeats: UTF-8 in a buffer, [start, end) a row; where start
    is negative there is no text."""

    buffer: bytes
    start: IntArray
    end: IntArray

    def __len__(self) -> int:
        return len(self.start)

    @classmethod
    def nothing(cls, n: int) -> Spans:
        """A column without any text."""
        none = np.full(n, -1, dtype=np.int64)
        return cls(b"", none, none)

    def take(self, rows: Rows) -> Spans:
        """The chosen rows."""
        return Spans(self.buffer, self.start[rows], self.end[rows])

    def alone(self, rows: Rows) -> Spans:
        """The chosen rows, in a buffer that holds nothing else."""
        some = self.take(rows)
        return some.packed() if len(some) > _SOME else some._few_packed()

    def packed(self) -> Spans:
        """The same texts one behind the other, in a buffer that holds nothing else."""
        if self._alone:
            return self
        if len(self) <= _SOME:
            return self._few_packed()
        begins, ends = behind(self.start, self.end)
        return Spans(self._data(begins, ends), begins, ends)

    @property
    def _alone(self) -> bool:
        """Whether all texts are there one behind the other, and nothing else."""
        start, end = self.start, self.end
        if not len(start) or start[0] != 0 or end[-1] != len(self.buffer):
            return False
        return bool((start[1:] == end[:-1]).all())

    def _few_packed(self) -> Spans:
        whole, begins, ends = self.buffer, self.start.tolist(), self.end.tolist()
        if max(begins, default=-1) < 0:
            return Spans.nothing(len(begins))
        if min(begins) < 0:
            return Spans(self._few(), *behind(self.start, self.end))
        texts = [whole[begin:end] for begin, end in zip(begins, ends, strict=True)]
        lengths = self.end - self.start
        stops = lengths.cumsum()
        return Spans(b"".join(texts), stops - lengths, stops)

    def data(self) -> bytes:
        """The bytes of all texts, one behind the other."""
        if self._alone:
            return self.buffer
        if len(self) <= _SOME:
            return self._few()
        return self._data(*behind(self.start, self.end))

    def _few(self) -> bytes:
        whole, each = self.buffer, zip(self.start.tolist(), self.end.tolist(), strict=True)
        return b"".join([whole[start:end] for start, end in each if start >= 0])

    def _data(self, begins: IntArray, ends: IntArray) -> bytes:
        if len(self) <= _SOME:
            return self._few()
        given = begins >= 0
        lengths = (ends - begins)[given]
        places = np.repeat(self.start[given] - begins[given], lengths)
        places += np.arange(len(places))
        return np.frombuffer(self.buffer, dtype=np.uint8)[places].tobytes()

    def texts(self) -> ObjectArray:
        """The texts themselves (object, str | None)."""
        column = np.empty(len(self), dtype=np.object_)
        whole = self.buffer
        for i, (start, end) in enumerate(zip(self.start.tolist(), self.end.tolist(), strict=True)):
            column[i] = whole[start:end].decode("utf-8", "surrogatepass") if start >= 0 else None
        return column


def behind(start: IntArray, end: IntArray) -> tuple[IntArray, IntArray]:
    """Where texts begin and end once they stand one behind the other; -1 where there is none."""
    given = start >= 0
    if given.all():
        lengths = end - start
        ends = np.cumsum(lengths)
        return ends - lengths, ends
    lengths = np.where(given, end - start, 0)
    ends = np.cumsum(lengths)
    return np.where(given, ends - lengths, -1), np.where(given, ends, -1)


Texts = ObjectArray | Spans


def texts_of(column: Texts | Words) -> ObjectArray:
    """A column of text as objects, however it is held."""
    return column if isinstance(column, np.ndarray) else column.texts()
