"""`RateEvidence` for compiled loops, one series at a time, to the last bit."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt

from watchkeeper.detectors.fast import kernel
from watchkeeper.detectors.sequential import rates, whiten
from watchkeeper.detectors.sequential.exact_fast import exp, ln
from watchkeeper.detectors.sequential.values import LARGEST
from watchkeeper.detectors.sequential.whiten_fast import moved

Table = npt.NDArray[Any]

N, HITS, EVIDENCE = 2, 3, 9  # places in a series' state, in the order of `rate_fields`
START, MEMORY, MOST = 4, 5, 6  # places of its settings, behind those of whoever judges
_WINDOWS, _BETS, _DISPERSION, _RANKS = 0, 1, 4, 5
_N, _HITS, _EVIDENCE, _START, _MEMORY, _MOST = N, HITS, EVIDENCE, START, MEMORY, MOST
_RAREST, _LONGEST, _FAR = float(rates.RAREST), float(rates.LONGEST), rates.FAR
_SLOWEST, _WIDEST, _DISPERSED = (
    rates.VARIANCE_SLOWEST,
    2.0 / rates.VARIANCE_SLOWEST,
    rates.DISPERSED,
)
_RANK_SLOWEST = whiten.RANK_SLOWEST
_MOST_MEMORY, _RANK_LIMIT, _ENOUGH = whiten.MOST_MEMORY, whiten.RANK_LIMIT, whiten.ENOUGH_RANKS
_LEARNING, _CALIBRATED, _NOT_CALIBRATED = (
    int(each)
    for each in (
        whiten.Calibration.LEARNING,
        whiten.Calibration.CALIBRATED,
        whiten.Calibration.NOT_CALIBRATED,
    )
)
_LARGEST = LARGEST


@kernel()
def running(floats: Table, row: int, at: int) -> float:
    """As `rates.running`; the state of the series begins at `at` of the row."""
    rate: float = (floats[row, at + _HITS] + 0.5) / (floats[row, at + _N] + 1.0)
    return rate


@kernel()
def total(floats: Table, row: int, at: int, weights: Table) -> float:
    """As `RateEvidence.total`."""
    summed = 0.0
    for k in range(len(weights)):
        summed = summed + weights[k] * floats[row, at + _EVIDENCE + k]
    return summed


@kernel()
def calibration(floats: Table, whole: Table, row: int, at: int) -> int:
    """As `rates.rate_calibration`."""
    bets, hits = whole[row, at + _BETS], floats[row, at + _HITS]
    if bets < _ENOUGH or min(hits, floats[row, at + _N] - hits) < _RAREST:
        return _LEARNING
    variance, covariance = floats[row, at + _RANKS + 1], floats[row, at + _RANKS + 2]
    share = covariance / variance if variance > 0.0 else 0.0
    share = min(max(share, -_MOST_MEMORY), _MOST_MEMORY)
    bad = share * share * min(np.float64(bets), 2.0 / _RANK_SLOWEST) > _RANK_LIMIT * _RANK_LIMIT
    return _NOT_CALIBRATED if bad else _CALIBRATED


@kernel()
def advance(
    floats: Table,
    whole: Table,
    row: int,
    at: int,
    hits: float,
    n: float,
    learn: bool,
    settings: Table,
    ratios: Table,
    logarithms: Table,
) -> None:
    """As `RateEvidence.advance`, but for the sum of the evidence; `logarithms` are of `ratios`."""
    if not (n > 0.0 and 0.0 <= hits <= n and n < 1e15):
        return
    p, seen, known = running(floats, row, at), floats[row, at + _N], floats[row, at + _HITS]
    enough = min(known, seen - known) >= _RAREST or seen >= _LONGEST
    betting = seen >= settings[_START] and enough
    if betting:
        _bet(floats, whole, row, at, p, hits, n, settings[_MOST], ratios, logarithms)
    learn = learn or not betting
    deviation = (hits - n * p) / math.sqrt(n * p * (1.0 - p))
    _watch(floats, whole, row, at, deviation, betting, learn, n)
    if learn:
        keep = settings[_MEMORY] / (seen + n) if seen + n > settings[_MEMORY] else 1.0
        floats[row, at + _N] = (seen + n) * keep
        floats[row, at + _HITS] = (known + hits) * keep


@kernel()
def _bet(
    floats: Table,
    whole: Table,
    row: int,
    at: int,
    p: float,
    hits: float,
    n: float,
    most: float,
    ratios: Table,
    logarithms: Table,
) -> None:
    spread = _dispersion(floats, whole, row, at, n)
    for k in range(len(ratios)):
        base = (1.0 - p) + ratios[k] * p
        if n == 1.0:
            bet = (ratios[k] if hits > 0.5 else 1.0) / base
        else:
            power = hits * logarithms[k] - n * ln(base)
            bet = exp(min(power / spread, _LARGEST))
        held = floats[row, at + _EVIDENCE + k]
        floats[row, at + _EVIDENCE + k] = min((1.0 + held) * bet, most)


@kernel()
def _dispersion(floats: Table, whole: Table, row: int, at: int, n: float) -> float:
    """As `rates.dispersion`."""
    windows = min(float(whole[row, at + _WINDOWS]), _WIDEST)
    sure = 1.0 + _DISPERSED * math.sqrt(2.0 / max(windows, 1.0))
    held = floats[row, at + _DISPERSION]
    return held if held > sure and n > 1.0 else 1.0


@kernel()
def _watch(
    floats: Table,
    whole: Table,
    row: int,
    at: int,
    deviation: float,
    betting: bool,
    learn: bool,
    n: float,
) -> None:
    seen, held = whole[row, at + _WINDOWS], floats[row, at + _DISPERSION]
    if learn and n > 1.0 and floats[row, at + _N] > 0.0:
        rate = max(1.0 / float(seen + 1), _SLOWEST)
        square = min(deviation * deviation, _FAR * max(held, 1.0))
        floats[row, at + _DISPERSION] = held + rate * (square - held)
        whole[row, at + _WINDOWS] = seen + 1
    if betting:
        bets = whole[row, at + _BETS]
        moved(floats, at + _RANKS, row, deviation, bets, _RANK_SLOWEST)
        whole[row, at + _BETS] = bets + 1
