"""Evidence from whole windows of ranks: histograms over bins of reference quantiles.

Where the events of a window are counted into bins whose shares of the reference are known, its
values' ranks are known up to the bin. The bets are those of `bets`, over such bins; what a window
makes of one is the product over its values: the sum over bins of count times logarithm.
"""

from __future__ import annotations

import numpy as np

from watchkeeper.detectors.frames import FloatArray
from watchkeeper.detectors.sequential.bets import CELLS, bets
from watchkeeper.detectors.sequential.categories import summed
from watchkeeper.detectors.sequential.exact import exp, ln
from watchkeeper.detectors.types import Direction

LEAST = 1e-12  # what a bet gives at least, so that one value does not decide


def block_bets(shares: FloatArray, direction: Direction = "either") -> FloatArray:
    """The bets over bins with these shares of the reference (R, K): (R, K, kinds).

    Shares add up to 1. The mean of each bet over bins, weighted by the shares, is 1; that of an
    empty bin is 1.
    """
    table = bets(direction).table
    below = np.concatenate([np.zeros((1, table.shape[1])), np.cumsum(table, axis=0)]) / CELLS
    ends = np.minimum(np.cumsum(shares, axis=1), 1.0)
    ends[:, -1] = 1.0
    place = np.concatenate([np.zeros((len(shares), 1)), ends], axis=1) * CELLS
    cell = np.minimum(place.astype(np.int64), CELLS - 1)
    at = below[cell] + (place - cell)[..., None] * (below[cell + 1] - below[cell])
    width = np.diff(place, axis=1)[..., None] / CELLS
    ratio = np.diff(at, axis=1) / np.where(width > 0.0, width, 1.0)
    return np.where(width > 0.0, np.maximum(ratio, LEAST), 1.0)


def block_logs(counts: FloatArray, over: FloatArray) -> FloatArray:
    """ln of what windows' counts (R, K) make of bets over their bins (R, K, kinds): (R, kinds)."""
    return summed((counts[..., None] * ln(over)).swapaxes(1, 2))


def block_step(
    evidence: FloatArray, logs: FloatArray, dispersion: FloatArray | float = 1.0
) -> FloatArray:
    """One Shiryaev-Roberts step (R, kinds) with logs, as of windows that vary so many times as much
    as independent values; evidence is counted up to 1e300."""
    spread = np.asarray(dispersion, dtype=np.float64)
    power = logs / (spread[:, None] if spread.ndim else spread)
    return np.minimum((1.0 + evidence) * exp(power), 1e300)


def block_total(evidence: FloatArray, direction: Direction = "either") -> FloatArray:
    """The evidence of series (R,) by those of the bets (R, kinds)."""
    return summed(evidence * bets(direction).weights)
