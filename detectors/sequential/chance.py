"""Chance that is the same on every machine and in every replay: hashes in place of a generator.

A rank among equals is drawn by lot. The lot is a hash of the series' key, the running number of
the value and its salt, so the same stream gives the same ranks however it is cut or restarted. The
mixing is SplitMix64's (Steele, Lea and Flood, Fast Splittable Pseudorandom Number Generators,
OOPSLA 2014).
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from watchkeeper.detectors.frames import FloatArray

Words = npt.NDArray[np.uint64]
Ties = npt.NDArray[np.uint16]

STEP = np.uint64(0x9E3779B97F4A7C15)
FIRST, SECOND = np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB)
UNIT = 2.0**-53
TIE_MASK = np.uint64(0xFFFF)


def mixed(words: Words) -> Words:
    """A hash of each word."""
    words = (words ^ (words >> np.uint64(30))) * FIRST
    words = (words ^ (words >> np.uint64(27))) * SECOND
    return words ^ (words >> np.uint64(31))


def lots(keys: Words, numbers: Words, salts: Words) -> Words:
    """64 bits of chance for values: of series with these keys, so many values in."""
    return mixed(mixed(keys + numbers * STEP) + salts)


def uniform(lot: Words) -> FloatArray:
    """The lots as numbers in [0, 1)."""
    return np.asarray((lot >> np.uint64(11)).astype(np.float64) * UNIT)


def ties(lot: Words) -> Ties:
    """The lots by which equal values are put in order."""
    return np.asarray((lot & TIE_MASK).astype(np.uint16))
