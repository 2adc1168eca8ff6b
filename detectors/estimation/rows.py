"""A bounded sample of labelled reference rows, each feature as the number of its bin."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Self

import numpy as np

from watchkeeper.detectors.keys import Keys
from watchkeeper.detectors.signals.accuracy import SCORE_BINS
from watchkeeper.detectors.types import BoolArray, IntArray, StateError

CAPACITY = 16_384  # rows kept; with 16 features 440 kB
CODES = 256  # bins of a feature


@dataclass(frozen=True, slots=True)
class Rows:
    """Rows with the smallest keys: a sample that hangs neither on order nor on parts.

    `key` (N,) is a row's hash, ascending; `codes` (N, F) its features' bins, below 256; `score`
    (N,) its score's bin; `truth` (N,) whether its truth was positive.
    """

    key: Keys
    codes: IntArray
    score: IntArray
    truth: BoolArray

    @classmethod
    def none(cls, features: int) -> Self:
        """No rows of so many features."""
        codes = np.zeros((0, features), dtype=np.int64)
        none = np.zeros(0, dtype=np.int64)
        return cls(none.astype(np.uint64), codes, none, none.astype(np.bool_))

    def __len__(self) -> int:
        return len(self.key)

    def sampled(self, capacity: int = CAPACITY) -> Rows:
        """The rows of the smallest keys, each key once; odd bins are left out."""
        usable = (self.score >= 0) & (self.score < SCORE_BINS)
        usable &= ((self.codes >= 0) & (self.codes < CODES)).all(axis=1)
        # Of rows that share a key the least one stays, so that their order is of no account.
        columns = (self.truth, self.score, *self.codes.T[::-1], self.key)
        order = np.lexsort(columns)
        order = order[usable[order]]
        first = np.ones(len(order), dtype=np.bool_)
        first[1:] = self.key[order][1:] != self.key[order][:-1]
        return self._taken(order[first][:capacity])

    def merged(self, other: Rows, capacity: int = CAPACITY) -> Rows:
        """The sample of both."""
        return Rows(
            np.concatenate([self.key, other.key]),
            np.concatenate([self.codes, other.codes]),
            np.concatenate([self.score, other.score]),
            np.concatenate([self.truth, other.truth]),
        ).sampled(capacity)

    def dump(self) -> bytes:
        """The rows with a stamp of their layout, little-endian."""
        parts = (
            self.key.astype("<u8"),
            self.codes.astype("<u1"),
            self.score.astype("<u2"),
            self.truth.astype("<u1"),
        )
        return _stamp(self.codes.shape[1]) + b"".join(part.tobytes() for part in parts)

    @classmethod
    def load(cls, stored: bytes, features: int) -> Rows:
        """Takes up what `dump` gave. Raises `StateError` where it cannot be that."""
        body, each = stored[8:], 8 + features + 2 + 1
        if stored[:8] != _stamp(features) or len(body) % each:
            raise StateError("stored rows have another layout")
        n = len(body) // each
        ends = np.cumsum([8 * n, features * n, 2 * n])
        key, codes, score, truth = (
            body[a:b] for a, b in zip((0, *ends), (*ends, None), strict=True)
        )
        rows = cls(
            np.frombuffer(key, dtype="<u8").astype(np.uint64),
            np.frombuffer(codes, dtype="<u1").astype(np.int64).reshape(n, features),
            np.frombuffer(score, dtype="<u2").astype(np.int64),
            np.frombuffer(truth, dtype="<u1") > 0,
        )
        if np.any(rows.score >= SCORE_BINS) or np.any(rows.key[1:] <= rows.key[:-1]):
            raise StateError("stored rows are damaged: they are not in order")
        return rows

    def _taken(self, places: IntArray) -> Rows:
        return Rows(self.key[places], self.codes[places], self.score[places], self.truth[places])


def _stamp(features: int) -> bytes:
    return hashlib.blake2b(f"rows 1 {features}".encode(), digest_size=8).digest()
