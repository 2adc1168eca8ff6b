"""Volume, errors, latency and clients of many closed windows, as their signals sample them."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from watchkeeper.detectors import fast
from watchkeeper.detectors.arrays import tally as t
from watchkeeper.detectors.arrays.closed import Closed, Group, used
from watchkeeper.detectors.arrays.rates import Measured, measured, rate
from watchkeeper.detectors.banks.arithmetic import most
from watchkeeper.detectors.frames import FloatArray, IntArray
from watchkeeper.detectors.signals.latency import ACCURACY, QUANTILES, middle_of

MIDDLES = np.array([middle_of(bucket) for bucket in range(t.DURATIONS)])
SHARES = np.array(list(QUANTILES.values()))


def _clients(closed: Closed) -> Measured:
    groups = closed.counted("clients")
    n = groups.sum(axis=1, dtype=np.int64)[:, None]
    return rate(groups.max(axis=1)[:, None].astype(np.int64), n, n > 0)


def _errors(closed: Closed) -> Measured:
    head = closed.head
    n = head[t.OK] + head[t.ERROR] + head[t.TIMEOUT]
    hits = np.concatenate([head[t.ERROR], head[t.TIMEOUT]], axis=1)
    return rate(hits, n, n > 0)


def _latency(closed: Closed) -> Measured:
    if fast.available():
        from watchkeeper.detectors.arrays import sampled_fast  # of use only with numba

        n, value, spread = sampled_fast.quantiles(closed.counted("durations"), MIDDLES, SHARES)
        return measured(n > 0, value, n, most(spread / 2, ACCURACY * value))
    parts = [_quantiles(closed.counted("durations", rows)) for rows in closed.parts()]
    n = np.concatenate([part[0] for part in parts])
    value, spread = (np.concatenate([part[i] for part in parts], axis=0) for i in (1, 2))
    return measured(n > 0, value, n, most(spread / 2, ACCURACY * value))


def _quantiles(buckets: npt.NDArray[np.int32]) -> tuple[IntArray, FloatArray, FloatArray]:
    """How many durations there are, their quantiles, and how far apart those around them are."""
    first, end = used(buckets)
    reached = buckets[:, first:end].cumsum(dtype=np.int64)
    width = end - first
    after = reached[width - 1 :: width][:, None]
    begin = np.concatenate([np.zeros((1, 1), dtype=np.int64), after])[:-1]
    n = after - begin
    rank, step = SHARES * (n - 1), np.sqrt(n * SHARES * (1 - SHARES))
    value, low, high = (
        MIDDLES[first + _at(reached, begin, n, r) % width] for r in (rank, rank - step, rank + step)
    )
    return n, value, high - low


def _at(reached: IntArray, begin: IntArray, n: IntArray, rank: FloatArray) -> IntArray:
    """The places of the buckets at ranks counted from 0.

    `reached` counts through the buckets of all windows, one window behind the other, from `begin`.
    """
    inside = np.clip(np.floor(rank).astype(np.int64), 0, np.maximum(n - 1, 0))
    place = np.searchsorted(reached, (begin + inside).reshape(-1), side="right")
    return place.reshape(rank.shape)


def _volume(closed: Closed) -> Measured:
    n = closed.head[t.N]
    given = (n > 0) | closed.live[:, None]
    return measured(given, n.astype(np.float64), n, np.sqrt(np.maximum(n, 1)))


CLIENTS = Group("clients", ("",), _clients, "clients")
ERRORS = Group("errors", ("error_rate", "timeout_rate"), _errors, "errors")
LATENCY = Group("latency", tuple(QUANTILES), _latency, "latency")
VOLUME = Group("volume", ("",), _volume, "volume")
