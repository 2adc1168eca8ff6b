"""Steps of many series in compiled loops: the same as `advance.plain`, to the last bit, sooner."""

from __future__ import annotations

from typing import Any

import numpy as np

from watchkeeper.detectors.fast import kernel
from watchkeeper.detectors.frames import BoolArray, FloatArray, IntArray
from watchkeeper.detectors.scores import LARGE
from watchkeeper.detectors.sequential import chance, layout, ranks, whiten
from watchkeeper.detectors.sequential.advance import Given, Rules
from watchkeeper.detectors.sequential.chance import Words
from watchkeeper.detectors.sequential.layout import Records

_SIDE, _GAPS, _EDGES = layout.SIDE, layout.GAPS, layout.EDGES
_WIDE = ranks.WIDE
_STEP, _FIRST, _SECOND, _MASK = chance.STEP, chance.FIRST, chance.SECOND, chance.TIE_MASK
_S30, _S27, _S31, _S11 = np.uint64(30), np.uint64(27), np.uint64(31), np.uint64(11)
_UNIT = chance.UNIT
_LARGE, _FAR, _MOST = LARGE, whiten.FAR, whiten.MOST_MEMORY
_SLOWEST, _RANK_SLOWEST, _LAG_LIMIT = whiten.SLOWEST, whiten.RANK_SLOWEST, whiten.LAG_LIMIT
_UNTESTED, _WHITE, _WHITENED = whiten.UNTESTED, whiten.WHITE, whiten.WHITENED
_TOPS = _GAPS  # places in the words of a sketch
_COUNTS = 2 * (_GAPS + _SIDE)
_SUMS = _COUNTS + _GAPS
_TIES = 2 * (_SUMS + _SIDE)
_AHEAD = 16  # series whose histories are fetched at once
_SEEN, _LEARNED, _BETS, _STAGE, _VALUES, _RANKS, _EVIDENCE = 0, 1, 2, 3, 4, 8, 12


def advance(held: Records, sketch: Records, given: Given, rules: Rules) -> FloatArray:
    """As `advance.plain`."""
    result = np.empty(given.x.shape)
    first = held.dtype.fields["seen"][1] // 8  # type: ignore[index]
    _advance(
        _words(held, np.int64),
        _words(held, np.float64),
        first,
        _words(sketch, np.float64),
        _words(sketch, np.uint32),
        _words(sketch, np.uint16),
        given.at,
        given.rows,
        given.keys,
        np.ascontiguousarray(given.x, dtype=np.float64),
        np.ascontiguousarray(given.salts),
        given.learn,
        rules.bets.table,
        rules.bets.weights,
        rules.start,
        rules.memory,
        rules.most,
        rules.whitens,
        result,
    )
    return result


def _words(records: Records, kind: Any) -> Any:
    """The records as rows of words: what lies next to each other is found at once."""
    size = records.dtype.itemsize // np.dtype(kind).itemsize
    return records.view(kind).reshape(len(records), size)


def _example() -> tuple[Any, ...]:
    numbers, whole = np.zeros((1, 1)), np.zeros(1, dtype=np.int64)
    table = np.zeros((1, 1))
    row = np.zeros(1)
    for each in (table, row):
        each.setflags(write=False)
    return (
        np.zeros((1, 1), dtype=np.int64),
        numbers,
        0,
        numbers,
        np.zeros((1, 1), dtype=np.uint32),
        np.zeros((1, 1), dtype=np.uint16),
        whole,
        whole,
        np.zeros(1, dtype=np.uint64),
        numbers,
        np.zeros((1, 1), dtype=np.uint64),
        np.zeros(1, dtype=np.bool_),
        table,
        row,
        1,
        1,
        1.0,
        True,
        numbers,
    )


@kernel(_example)
def _advance(
    whole: IntArray,
    real: FloatArray,
    first: int,
    edges: FloatArray,
    counts: Words,
    ties: Words,
    at: IntArray,
    rows: IntArray,
    keys: Words,
    values: FloatArray,
    salts: Words,
    learn: BoolArray,
    table: FloatArray,
    weights: FloatArray,
    start: int,
    memory: int,
    most: float,
    whitens: bool,
    result: FloatArray,
) -> None:
    """Fills the last, changes the first six."""
    for i in range(len(at)):
        if i % _AHEAD == 0 and values.shape[1] > 0:
            _fetch(edges, counts, rows, values, i, min(i + _AHEAD, len(at)), result)
        a, r = at[i], rows[i]
        total = -1.0  # not known yet
        for t in range(values.shape[1]):
            x = values[i, t]
            if x - x == 0.0:
                x = min(max(x, -_LARGE), _LARGE) + 0.0
                lot = _mixed(_mixed(keys[i] + np.uint64(whole[a, first]) * _STEP) + salts[i, t])
                x = _whitened(whole, real, first, a, x)
                learned = whole[a, first + _LEARNED]
                tie = lot & _MASK
                gap = _gap_of(edges, ties, r, learned, x, tie)
                rank = _rank_of(counts, r, learned, gap, np.float64(lot >> _S11) * _UNIT)
                betting = whole[a, first + _STAGE] != _UNTESTED and learned >= start
                if betting:
                    total = _bet(real, first + _EVIDENCE, a, rank, table, weights, most)
                    seen = whole[a, first + _BETS]
                    moved(real, first + _RANKS, a, rank, seen, _RANK_SLOWEST)
                    whole[a, first + _BETS] = seen + 1
                if learn[i] or not betting:
                    _learn(edges, counts, ties, r, learned, gap, x, tie)
                    learned += 1
                if learned >= memory:
                    learned = _halve(counts, r)
                whole[a, first + _LEARNED] = learned
                whole[a, first + _SEEN] += 1
                if whole[a, first + _STAGE] == _UNTESTED and learned >= start:
                    _test(whole, real, first, a, whitens)
            if total < 0.0:
                total = _total(real, first + _EVIDENCE, a, weights)
            result[i, t] = total


@kernel(apart=True)
def _fetch(
    edges: FloatArray,
    counts: Words,
    rows: IntArray,
    values: FloatArray,
    begin: int,
    end: int,
    result: FloatArray,
) -> None:
    """Touches what the next series will need, so that memory answers for many at once. What it
    leaves in `result` is overwritten."""
    for i in range(begin, end):
        r = rows[i]
        result[i, 0] = edges[r, _TOPS] + edges[r, _TOPS + 8] + counts[r, _SUMS]
    for i in range(begin, end):
        r, x, block = rows[i], values[i, 0], 0
        for j in range(_SIDE - 1):
            block += edges[r, _TOPS + j] < x
        touched = edges[r, block * _SIDE] + edges[r, block * _SIDE + 8]
        result[i, 0] = touched + counts[r, _COUNTS + block * _SIDE]


@kernel()
def _mixed(word: np.uint64) -> np.uint64:
    word = (word ^ (word >> _S30)) * _FIRST
    word = (word ^ (word >> _S27)) * _SECOND
    return word ^ (word >> _S31)


@kernel()
def _memory_of(variance: float, covariance: float) -> float:
    if not variance > 0.0:
        return 0.0
    return min(max(covariance / variance, -_MOST), _MOST)


@kernel()
def _whitened(whole: IntArray, real: FloatArray, first: int, a: int, x: float) -> float:
    at = first + _VALUES
    rest = x
    if whole[a, first + _STAGE] == _WHITENED:
        rest = (x - real[a, at]) - _memory_of(real[a, at + 1], real[a, at + 2]) * real[a, at + 3]
    moved(real, at, a, x, whole[a, first + _SEEN], _SLOWEST)
    return rest


@kernel()
def moved(real: FloatArray, at: int, a: int, x: float, seen: int, slowest: float) -> None:
    mean, variance = real[a, at], real[a, at + 1]
    rate = max(1.0 / np.float64(seen + 1), slowest)
    far = _FAR * np.sqrt(variance) if seen > 20 else _LARGE
    if not far > 0.0:
        far = _LARGE
    change = min(max(x - mean, -far), far)
    real[a, at] = mean + rate * change
    real[a, at + 1] = (1.0 - rate) * (variance + rate * (change * change))
    if seen == 0:
        real[a, at + 2], real[a, at + 3] = 0.0, 0.0
    else:
        covariance = real[a, at + 2]
        real[a, at + 2] = covariance + rate * (change * real[a, at + 3] - covariance)
        real[a, at + 3] = change


@kernel()
def _gap_of(edges: FloatArray, ties: Words, r: int, learned: int, x: float, tie: np.uint64) -> int:
    if learned < _EDGES:
        low, high = 0, learned
        while low < high:
            middle = (low + high) // 2
            edge = edges[r, middle]
            if x > edge or (x == edge and tie >= ties[r, _TIES + middle]):
                low = middle + 1
            else:
                high = middle
        return low
    block, equal = 0, 0
    for j in range(_SIDE - 1):
        block += edges[r, _TOPS + j] < x
        equal += edges[r, _TOPS + j] == x
    if equal > 0:
        for j in range(_SIDE - 1):
            same = edges[r, _TOPS + j] == x
            block += same and tie >= ties[r, _TIES + j * _SIDE + _SIDE - 1]
    begin = block * _SIDE
    gap, equal = begin, 0
    for j in range(_SIDE - 1):
        gap += edges[r, begin + j] < x
        equal += edges[r, begin + j] == x
    if equal > 0:
        for j in range(_SIDE - 1):
            gap += edges[r, begin + j] == x and tie >= ties[r, _TIES + begin + j]
    return gap


@kernel()
def _rank_of(counts: Words, r: int, learned: int, gap: int, lot: float) -> float:
    if learned < _EDGES:
        return (np.float64(gap) + lot) / np.float64(learned + 1)
    block, below = gap // _SIDE, 0
    inside, begin = gap % _SIDE, _COUNTS + block * _SIDE
    for j in range(_SIDE):  # all of them, as that is sooner done than stopping
        below += int(counts[r, _SUMS + j]) * (j < block)
    for j in range(_SIDE):
        below += int(counts[r, begin + j]) * (j < inside)
    within = np.float64(counts[r, _COUNTS + gap])
    return (np.float64(below) + lot * within) / np.float64(learned + 1)


@kernel()
def _bet(
    real: FloatArray,
    at: int,
    a: int,
    rank: float,
    table: FloatArray,
    weights: FloatArray,
    most: float,
) -> float:
    cell = min(int(rank * len(table)), len(table) - 1)
    for j in range(len(weights)):
        real[a, at + j] = (1.0 + real[a, at + j]) * table[cell, j]
    total = _total(real, at, a, weights)
    if total > most:
        factor = most / total
        for j in range(len(weights)):
            real[a, at + j] = real[a, at + j] * factor
        total = _total(real, at, a, weights)
    return total


@kernel()
def _total(real: FloatArray, at: int, a: int, weights: FloatArray) -> float:
    total = 0.0
    for j in range(len(weights)):
        total = total + weights[j] * real[a, at + j]
    return total


@kernel(apart=True)
def _learn(
    edges: FloatArray,
    counts: Words,
    ties: Words,
    r: int,
    learned: int,
    gap: int,
    x: float,
    tie: np.uint64,
) -> None:
    if learned >= _EDGES:
        counts[r, _COUNTS + gap] += np.uint32(1)
        counts[r, _SUMS + gap // _SIDE] += np.uint32(1)
        return
    for j in range(_GAPS - 1, gap, -1):
        edges[r, j], ties[r, _TIES + j] = edges[r, j - 1], ties[r, _TIES + j - 1]
    edges[r, gap], ties[r, _TIES + gap] = x, tie
    if learned == _EDGES - 1:
        for j in range(_GAPS):
            counts[r, _COUNTS + j] = 1
        for j in range(_SIDE):
            counts[r, _SUMS + j] = _SIDE
            edges[r, _TOPS + j] = edges[r, j * _SIDE + _SIDE - 1]


@kernel(apart=True)
def _halve(counts: Words, r: int) -> int:
    total, widest = 0, 0
    for block in range(_SIDE):
        here = 0
        for j in range(block * _SIDE, (block + 1) * _SIDE):
            half = (int(counts[r, _COUNTS + j]) + 1) >> 1
            counts[r, _COUNTS + j] = half
            here += half
            widest = max(widest, half)
        counts[r, _SUMS + block] = here
        total += here
    return 0 if widest * _WIDE > total else total - 1


@kernel(apart=True)
def _test(whole: IntArray, real: FloatArray, first: int, a: int, whitens: bool) -> None:
    at = first + _VALUES
    share = _memory_of(real[a, at + 1], real[a, at + 2])
    memory = share * share * np.float64(whole[a, first + _SEEN]) > _LAG_LIMIT * _LAG_LIMIT
    if memory and whitens:
        whole[a, first + _STAGE], whole[a, first + _LEARNED] = _WHITENED, 0
    else:
        whole[a, first + _STAGE] = _WHITE
