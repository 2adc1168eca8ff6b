"""Counts blocks and pairs into tallies by the quickest means there are here."""

from __future__ import annotations

from types import ModuleType

from watchkeeper.detectors import fast
from watchkeeper.detectors.arrays import absorb
from watchkeeper.detectors.arrays.absorb import Pairs
from watchkeeper.detectors.arrays.reference import References
from watchkeeper.detectors.arrays.tally import Tally
from watchkeeper.detectors.blocks import PredictionBlock
from watchkeeper.detectors.frames import IntArray


def absorb_predictions(
    tally: Tally, references: References, slot: IntArray, ref: IntArray, block: PredictionBlock
) -> None:
    """See `absorb.absorb_predictions`."""
    _means().absorb_predictions(tally, references, slot, ref, block)


def absorb_pairs(tally: Tally, slot: IntArray, pairs: Pairs) -> None:
    """See `absorb.absorb_pairs`."""
    _means().absorb_pairs(tally, slot, pairs)


def _means() -> ModuleType:
    if not fast.available():
        return absorb
    from watchkeeper.detectors.arrays import absorb_fast  # of use only with numba

    return absorb_fast
