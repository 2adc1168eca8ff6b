"""`Psi` over many series in compiled loops: one pools, one judges what NumPy took logarithms of."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from watchkeeper.detectors.banks.arithmetic_fast import (
    ENOUGH,
    Table,
    lowered,
    most,
    note,
    sustained,
)
from watchkeeper.detectors.banks.level_bank import LEAST, NEEDED
from watchkeeper.detectors.banks.sheet import Page
from watchkeeper.detectors.fast import kernel
from watchkeeper.detectors.histograms import LEAST as POOL
from watchkeeper.detectors.histograms import MOST

WIDEST = 128  # numbers that NumPy adds up without halving them first
_LEAST, _NEEDED, _POOL, _MOST = LEAST, NEEDED, POOL, MOST
_WORDS = 2  # of a series' state


def _example_of_pool() -> tuple[Any, ...]:
    line, table, counts = np.zeros(1), np.zeros((1, 1)), np.zeros((1, 1, 1))
    places, whole = np.zeros(1, dtype=np.int64), np.zeros((1, 1), dtype=np.int64)
    given = np.zeros((1, 1), dtype=np.bool_)
    samples = 0, places, given, table, whole, places
    return counts, counts, *samples, Page.blank(1, 1).marks, 0, places, places, line, line, line


@kernel(_example_of_pool)
def pool(
    counts: Table,
    usual: Table,
    first: int,
    columns: Table,
    given: Table,
    value: Table,
    n: Table,
    of: Table,
    marks: Table,
    out: int,
    places: Table,
    groups: Table,
    sizes: Table,
    change: Table,
    ratio: Table,
) -> int:
    """Pools neighbouring bins as `pooling.pooled` does, of the windows from the `first` on that
    there are counts of. Fills all from `places` on, a place a histogram that can be compared; says
    how many there are. Both sides are made clean as `pooling.clean` has it."""
    at = many = 0
    width = counts.shape[2]
    for k in range(len(counts)):
        i = first + k
        for j in range(len(columns)):
            c = columns[j]
            if not (given[i, c] and math.isfinite(value[i, c]) and n[i, c] >= of[_LEAST]):
                continue
            marks[ENOUGH, i, out + j] = 1
            here = there = 0.0
            for b in range(width):
                counts[k, j, b] = min(max(counts[k, j, b], 0.0), _MOST)
                usual[k, j, b] = min(max(usual[k, j, b], 0.0), _MOST)
                here += counts[k, j, b]
                there += usual[k, j, b]
            if here == 0.0 or there == 0.0:
                continue
            end = _pools(counts[k, j], usual[k, j], here, there, at, change, ratio)
            bins = end - at
            if bins < 2:
                continue
            for b in range(at, end):
                p = (change[b] + 0.5) / (here + 0.5 * bins)
                q = (ratio[b] + 0.5) / (there + 0.5 * bins)
                change[b], ratio[b] = p - q, p / q
            places[many], groups[many] = k * len(columns) + j, bins
            sizes[many] = 1.0 / here + 1.0 / there
            many, at = many + 1, end
    return many


@kernel()
def _pools(
    counts: Table,
    usual: Table,
    here: float,
    there: float,
    at: int,
    change: Table,
    ratio: Table,
) -> int:
    """The pools' counts, from `at` on; says where they end."""
    weight = min(here, there) / (here + there)
    end, held = at, 0.0
    change[end], ratio[end] = 0.0, 0.0
    for b in range(len(counts)):
        if held >= _POOL:
            end, held = end + 1, 0.0
            change[end], ratio[end] = 0.0, 0.0
        held += (counts[b] + usual[b]) * weight
        change[end] += counts[b]
        ratio[end] += usual[b]
    if held < _POOL and end > at:
        end -= 1
        change[end] += change[end + 1]
        ratio[end] += ratio[end + 1]
    return end + 1


@kernel()
def total(terms: Table, at: int, n: int) -> float:
    """The sum of up to `WIDEST` numbers, added up in the order in which NumPy does it."""
    added: float = 0.0
    if n < 8:
        for k in range(at, at + n):
            added += terms[k]
        return added
    r0, r1, r2, r3 = terms[at], terms[at + 1], terms[at + 2], terms[at + 3]
    r4, r5, r6, r7 = terms[at + 4], terms[at + 5], terms[at + 6], terms[at + 7]
    whole = n - n % 8
    for k in range(at + 8, at + whole, 8):
        r0, r1, r2, r3 = r0 + terms[k], r1 + terms[k + 1], r2 + terms[k + 2], r3 + terms[k + 3]
        r4, r5, r6, r7 = r4 + terms[k + 4], r5 + terms[k + 5], r6 + terms[k + 6], r7 + terms[k + 7]
    added = ((r0 + r1) + (r2 + r3)) + ((r4 + r5) + (r6 + r7))
    for k in range(at + whole, at + n):
        added += terms[k]
    return added


def _example_of_judge() -> tuple[Any, ...]:
    line, table = np.zeros(1), np.zeros((1, 1))
    places, whole = np.zeros(1, dtype=np.int64), np.zeros((1, 1), dtype=np.int64)
    page = Page.blank(1, 1)
    found = places, places, line, 0, line
    return (
        *found,
        0,
        places,
        table,
        whole,
        line,
        line,
        places,
        table,
        page.numbers,
        page.marks,
        0,
        1,
    )


@kernel(_example_of_judge)
def judge(
    places: Table,
    groups: Table,
    sizes: Table,
    many: int,
    terms: Table,
    first: int,
    rows: Table,
    floats: Table,
    whole: Table,
    start: Table,
    settings: Table,
    of: Table,
    chances: Table,
    numbers: Table,
    marks: Table,
    out: int,
    columns: int,
) -> None:
    """As `PsiBank.judge_enough`, of what was pooled. `chances` has by number of bins what chance
    explains, and what it does while the detector fires."""
    at = 0
    for k in range(many):
        i, j = first + places[k] // columns, places[k] % columns
        row, state = rows[i], j * _WORDS
        index = total(terms, at, groups[k])
        at += groups[k]
        firing = whole[row, state + 1] >= of[_NEEDED]
        chance = sizes[k] * chances[1 if firing else 0, groups[k]]
        limit = most(lowered(settings[0], firing), chance)
        if sustained(floats, whole, row, state, start[i], index > limit, of):
            note(numbers, marks, i, out + j, index, limit, math.nan, floats[row, state], 0)
