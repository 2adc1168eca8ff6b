"""A sample of a window's inputs by their keys: the lowest ones, and how often each came."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from watchkeeper.detectors.blocks import PredictionBlock
from watchkeeper.detectors.frames import FloatArray, IntArray
from watchkeeper.detectors.keys import FACTOR, SEED, Keys, keys_of
from watchkeeper.detectors.types import Partial

ANSWERED, REPEATED, UNKNOWN, INPUTS = "answered", "repeated", "unknown", "inputs"
MOST = 1_024  # inputs in a sample
_FACTOR, _SEED, _HALF = np.uint64(FACTOR), np.uint64(SEED), np.uint64(32)


class Inputs(Partial):
    """A part of a window; `inputs` holds the bits of a key and how often it came, (k, 2), in order
    of the keys. All that came of a key that is among the lowest of the whole is in every part that
    it came in, so that its count is exact."""

    def merge(self, other: Mapping[str, IntArray]) -> None:
        """Adds another part of the same window."""
        super().merge({name: array for name, array in other.items() if name != INPUTS})
        theirs = other.get(INPUTS)
        if theirs is not None:
            mine = self.get(INPUTS)
            self[INPUTS] = lowest(theirs if mine is None else np.concatenate((mine, theirs)))


def lowest(pairs: IntArray) -> IntArray:
    """The lowest keys, each once with its counts added up."""
    keys = np.ascontiguousarray(pairs[:, 0]).view(np.uint64)
    different, place = np.unique(keys, return_inverse=True)
    counts = np.zeros(len(different), dtype=np.int64)
    np.add.at(counts, place, pairs[:, 1])
    kept = different[:MOST].view(np.int64)
    return np.stack([kept, counts[:MOST]], axis=1)


def inputs_of(block: PredictionBlock) -> Inputs:
    """The sample of a block's inputs; rows without any feature are not in it."""
    keys = _keys(block)
    keys = keys[keys != 0]
    part = Inputs()
    if len(keys):
        ones = np.ones(len(keys), dtype=np.int64)
        part[INPUTS] = lowest(np.stack([keys.view(np.int64), ones], axis=1))
    return part


def _keys(block: PredictionBlock) -> Keys:
    """A key of the features that each row has, whatever their order."""
    total = np.zeros(len(block), dtype=np.uint64)
    for name, values in block.numeric.items():
        mixed = _mixed(_bits(values), name)
        total += np.where(np.isnan(values), np.uint64(0), mixed)
    for name, words in block.categorical.items():
        of_words = _mixed(words.known_keys().copy(), name)
        of_words[0] = 0
        total += of_words[words.codes + 1]
    return total


def _bits(values: FloatArray) -> Keys:
    """Equal numbers have equal bits."""
    bits: Keys = np.where(values == 0.0, 0.0, values).view(np.uint64)
    return bits


def _mixed(bits: Keys, name: str) -> Keys:
    """A value's share in the key of its row."""
    mixed: Keys = (bits ^ keys_of([name])[0]) * _FACTOR
    mixed ^= mixed >> _HALF
    mixed *= _SEED
    mixed ^= mixed >> _HALF
    return mixed
