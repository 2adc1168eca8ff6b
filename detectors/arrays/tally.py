"""Counts of open windows as arrays, one row a window of a version of a model."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from watchkeeper.detectors.arrays.grown import Grown
from watchkeeper.detectors.arrays.schema import Schema
from watchkeeper.detectors.frames import IntArray
from watchkeeper.detectors.profile import BINS, CATEGORIES
from watchkeeper.detectors.signals.accuracy import SCORE_BINS
from watchkeeper.detectors.signals.clients import BUCKETS
from watchkeeper.detectors.signals.latency import UPPER

# The columns of `head`.
N = 0  # predictions
OK, ERROR, TIMEOUT = 1, 2, 3  # by status
INVALID = 4  # outputs that are none
ANSWERED, POSITIVE = 5, 6  # answers, and positive ones among them
NEW = 7  # predictions with a feature that is not profiled
PAIRS, CORRECT = 8, 9  # predictions with their truth
TN, FP, FN, TP = 10, 11, 12, 13
SCORED = 14  # pairs with a score, behind `losses`
MEASURED = 15  # predictions measured against the reference
RETYPED = 16  # predictions with a profiled feature as another type
HEAD = 17

# The columns of `numeric`; the bins follow.
MISSING, OUTSIDE, FIRST_BIN = 0, 1, 2
NUMERIC = FIRST_BIN + BINS

# The bins of `texts` behind those of the kept categories.
OTHER, ABSENT = CATEGORIES, CATEGORIES + 1
TEXTS = CATEGORIES + 2

DURATIONS = len(UPPER) + 1
LOG_LOSS, LOG_LOSS_2, BRIER, BRIER_2 = 0, 1, 2, 3  # fixed-point sums, and those of squares


class Tally(Grown):
    """One row a window. With P numeric and Q categorical columns, a row holds

    `head` (HEAD,); `sums` (P,), of values in fixed point as `signals._exact.steps` makes them;
    `numeric` (P, NUMERIC); `texts` (Q, TEXTS); `durations` (DURATIONS,); `clients` (BUCKETS,);
    `scores` (2, SCORE_BINS), of negative and of positive truths; `losses` (4,).
    All are integers and add up, so a window may be counted in any number of parts. `counts` is the
    type of those that no event raises by more than one; there are none `without`.
    """

    def __init__(
        self, schema: Schema, counts: npt.DTypeLike = np.int32, without: tuple[str, ...] = ()
    ) -> None:
        self.schema = schema
        fields: dict[str, tuple[npt.DTypeLike, tuple[int, ...]]] = {
            "head": (np.int64, (HEAD,)),
            "sums": (np.int64, (schema.numbers,)),
            "numeric": (counts, (schema.numbers, NUMERIC)),
            "texts": (counts, (schema.texts, TEXTS)),
            "durations": (counts, (DURATIONS,)),
            "clients": (counts, (BUCKETS,)),
            "scores": (counts, (2, SCORE_BINS)),
            "losses": (np.int64, (4,)),
        }
        super().__init__({n: kind for n, kind in fields.items() if n not in without})

    def counted(self, name: str, rows: IntArray) -> npt.NDArray[Any]:
        """One of the arrays, as many rows of it as are asked for."""
        return self.arrays[name][rows]

    def put(self, name: str, row: int, counts: IntArray) -> None:
        """Fills one of the arrays of a row."""
        into = self.arrays[name][row]
        into[...] = counts.reshape(into.shape)
