"""64-bit keys of text: the same everywhere, so that tables and samples can be kept by them.

The key is a multiply-and-shift hash over the UTF-8 bytes, eight at a time and little-endian, the
last ones padded with zeros (the mixing step is that of MurmurHash3's finaliser, Appleby 2011). Two
different texts among a million have the same key with a probability of 3e-8. 0 stands for no text.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import numpy as np
import numpy.typing as npt

Keys = npt.NDArray[np.uint64]

SEED = 0x9E3779B97F4A7C15
FACTOR = 0xFF51AFD7ED558CCD
LAST = 0xC4CEB9FE1A85EC53
_WORD = 8
_ALL = 2**64 - 1
_FEW = 8  # texts whose keys are made one by one
_REMEMBERED = 64  # texts at most whose keys are remembered


def keys_of(texts: Sequence[str | None]) -> Keys:
    """The key of each text; 0 for None.

    >>> keys_of(["a", None, "a"]).tolist()
    [2959930208137024874, 0, 2959930208137024874]
    """
    raw = [b"" if text is None else text.encode("utf-8", "surrogatepass") for text in texts]
    if len(raw) <= _FEW:
        few = [0 if t is None else key_of(r) for t, r in zip(texts, raw, strict=True)]
        return np.array(few, dtype=np.uint64)
    keys = keys_of_bytes(raw)
    if None in texts:
        keys[[text is None for text in texts]] = 0
    return keys


def keys_of_known(texts: tuple[str, ...]) -> Keys:
    """The key of each text, of texts that come again and again, as classes and categories do; not
    to be written."""
    return _remembered(texts) if len(texts) <= _REMEMBERED else keys_of(texts)


@lru_cache(maxsize=4_096)
def _remembered(texts: tuple[str, ...]) -> Keys:
    keys = keys_of(texts)
    keys.flags.writeable = False
    return keys


def key_of(raw: bytes) -> int:
    """The key of one run of bytes: as `keys_of_bytes`, which is quicker from a few on."""
    key = (len(raw) + 1) * SEED & _ALL
    for first in range(0, len(raw), _WORD):
        key = (key ^ int.from_bytes(raw[first : first + _WORD], "little")) * FACTOR & _ALL
        key ^= key >> 32
    key = key * LAST & _ALL
    return key ^ key >> 32 or 1


def keys_of_bytes(raw: Sequence[bytes]) -> Keys:
    """The key of each run of bytes."""
    n = len(raw)
    lengths = np.fromiter(map(len, raw), dtype=np.int64, count=n)
    keys = np.empty(n, dtype=np.uint64)
    for count in np.unique((lengths + _WORD - 1) // _WORD).tolist():
        rows = np.flatnonzero((lengths + _WORD - 1) // _WORD == count)
        chosen = [raw[i] for i in rows.tolist()] if len(rows) < n else raw
        wide = np.array(chosen, dtype=f"S{max(count, 1) * _WORD}")
        words = wide.view("<u8").reshape(len(rows), -1)[:, :count]
        keys[rows] = mixed(words, lengths[rows])
    return keys


def mixed(words: npt.NDArray[np.uint64], lengths: npt.NDArray[np.int64]) -> Keys:
    """The keys of texts as rows of 8-byte words; lengths in bytes. Never 0."""
    factor, half = np.uint64(FACTOR), np.uint64(32)
    keys = (lengths.astype(np.uint64) + np.uint64(1)) * np.uint64(SEED)
    for word in words.T:
        keys = (keys ^ word) * factor
        keys ^= keys >> half
    keys = keys * np.uint64(LAST)
    keys ^= keys >> half
    keys[keys == 0] = np.uint64(1)
    return keys


def combined(keys: Keys, with_: Keys) -> Keys:
    """One key of two, for instance of a request and its model."""
    both = (keys ^ (with_ * np.uint64(SEED))) * np.uint64(FACTOR)
    both ^= both >> np.uint64(32)
    return both
