"""Steps of many series in compiled loops: the same as `advance.plain`, to the last bit, sooner."""

from __future__ import annotations

from typing import Any

import numpy as np

from watchkeeper.detectors.fast import kernel
from watchkeeper.detectors.frames import BoolArray, FloatArray, IntArray
from watchkeeper.detectors.scores import LARGE
from watchkeeper.detectors.sequential import chance, layout, whiten
from watchkeeper.detectors.sequential.advance import Given, Rules
from watchkeeper.detectors.sequential.chance import Words
from watchkeeper.detectors.sequential.layout import Records
from watchkeeper.detectors.sequential.ranks_fast import fetch, gap_of, halve, rank_of, take
from watchkeeper.detectors.sequential.whiten_fast import judge_memory, moved, whitened

_STEP, _FIRST, _SECOND, _MASK = chance.STEP, chance.FIRST, chance.SECOND, chance.TIE_MASK
_S30, _S27, _S31, _S11 = np.uint64(30), np.uint64(27), np.uint64(31), np.uint64(11)
_UNIT = chance.UNIT
_LARGE, _RANK_SLOWEST, _UNTESTED = LARGE, whiten.RANK_SLOWEST, whiten.UNTESTED
_AHEAD = 16  # series whose histories are fetched at once
_SEEN, _LEARNED, _BETS, _STAGE = layout.SEEN, layout.LEARNED, layout.BETS, layout.STAGE
_RANKS, _EVIDENCE = layout.RANKS, layout.EVIDENCE


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
            fetch(edges, counts, rows, values, i, min(i + _AHEAD, len(at)), result)
        a, r = at[i], rows[i]
        total = -1.0  # not known yet
        for t in range(values.shape[1]):
            x = values[i, t]
            if x - x == 0.0:
                x = min(max(x, -_LARGE), _LARGE) + 0.0
                lot = _mixed(_mixed(keys[i] + np.uint64(whole[a, first]) * _STEP) + salts[i, t])
                x = whitened(whole, real, first, a, x)
                learned = whole[a, first + _LEARNED]
                tie = lot & _MASK
                gap = gap_of(edges, ties, r, learned, x, tie)
                rank = rank_of(counts, r, learned, gap, np.float64(lot >> _S11) * _UNIT)
                betting = whole[a, first + _STAGE] != _UNTESTED and learned >= start
                if betting:
                    total = _bet(real, first + _EVIDENCE, a, rank, table, weights, most)
                    seen = whole[a, first + _BETS]
                    moved(real, first + _RANKS, a, rank, seen, _RANK_SLOWEST)
                    whole[a, first + _BETS] = seen + 1
                if learn[i] or not betting:
                    take(edges, counts, ties, r, learned, gap, x, tie)
                    learned += 1
                if learned >= memory:
                    learned = halve(counts, r)
                whole[a, first + _LEARNED] = learned
                whole[a, first + _SEEN] += 1
                if whole[a, first + _STAGE] == _UNTESTED and learned >= start:
                    judge_memory(whole, real, first, a, whitens)
            if total < 0.0:
                total = _total(real, first + _EVIDENCE, a, weights)
            result[i, t] = total


@kernel()
def _mixed(word: np.uint64) -> np.uint64:
    word = (word ^ (word >> _S30)) * _FIRST
    word = (word ^ (word >> _S27)) * _SECOND
    return word ^ (word >> _S31)


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
