"""Sketches of how clients ask: small tables of integers by group of clients, and what they tell.

Clients fall into GROUPS by their key. Of a window's requests each table counts, by group:
`near` (GROUPS, 2), those with a score and those with one within BAND of the border between the
answers; `wrong` (GROUPS, 2), those whose truth became known, and those whose answer it contradicts;
`answers` (GROUPS, CELLS), by a hash of the answered label; `inputs` (GROUPS, CELLS), by a
hash of the features under which inputs that are alike fall together (signs of random projections
of standardised features; Charikar, Similarity Estimation Techniques from Rounding Algorithms, STOC
2002). Tables add up, whatever the order and the batches.

A group's figure is compared with that of all others in the same window. The one that `stands_out`
is that whose difference is largest after SURE standard errors are taken off it.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import NamedTuple

import numpy as np

from watchkeeper.detectors.blocks import PredictionBlock
from watchkeeper.detectors.frames import FloatArray, IntArray
from watchkeeper.detectors.keys import Keys, keys_of
from watchkeeper.detectors.profile import NumericProfile, Profile
from watchkeeper.detectors.types import Partial

GROUPS = 256
BITS = 5
CELLS = 1 << BITS
BORDER, BAND = 0.5, 0.05
LEAST = 30  # requests of a group, and of all others, that are compared
SURE = 5.0  # standard errors
_STEPS, _FAR = 16, 8.0  # steps in one unit of scale; units beyond which inputs are as far as that
_COLUMN_BITS = np.arange(BITS, dtype=np.uint64)[:, None]


class Apart(NamedTuple):
    """How far a window's most peculiar group is from all others, 0 where none is for sure; and how
    many requests were looked at."""

    value: float
    n: int


def sketch(block: PredictionBlock, profile: Profile | None) -> Partial:
    """The tables of a block's rows that name their client; `inputs` only with a reference."""
    named = np.flatnonzero(block.entity_key)
    if not len(named):
        return Partial()
    group = (block.entity_key[named] % np.uint64(GROUPS)).astype(np.int64)
    part = Partial()
    scored = np.flatnonzero(np.isfinite(block.score[named]))
    if len(scored):
        close = np.abs(block.score[named][scored] - BORDER) <= BAND
        pairs = _table(group[scored], close.astype(np.int64), 2)
        part["near"] = np.stack([pairs.sum(axis=1), pairs[:, 1]], axis=1)
    answer = block.label.keys()[named]
    answered = np.flatnonzero(answer)
    if len(answered):
        cells = (answer[answered] % np.uint64(CELLS)).astype(np.int64)
        part["answers"] = _table(group[answered], cells, CELLS)
    if profile is not None and (profile.numeric or profile.categorical):
        part["inputs"] = _table(group, _cells(block, named, profile), CELLS)
    return part


def _table(group: IntArray, cell: IntArray, width: int) -> IntArray:
    counts = np.bincount(group * width + cell, minlength=GROUPS * width)
    return counts.astype(np.int64).reshape(GROUPS, width)


# ------------------------------------------------------------------------- inputs that are alike


def _cells(block: PredictionBlock, rows: IntArray, profile: Profile) -> IntArray:
    """The cell of each row's features. All sums are of integers: no order can change a sign."""
    signs, offsets = _projection(profile)
    total = np.zeros((BITS, len(rows)), dtype=np.int64)
    for sign, each in zip(signs.T, profile.numeric, strict=False):
        values = block.numeric.get(each.name)
        if values is not None:
            total += sign[:, None] * _stepped(values[rows], each)
    for key, column in zip(_column_keys(profile), profile.categorical, strict=True):
        words = block.categorical.get(column.name)
        if words is not None:
            total += _thrown(words.known_keys() ^ key)[:, words.codes[rows] + 1]
    bits = (total > offsets[:, None]).astype(np.int64)
    cells: IntArray = (bits << np.arange(BITS)[:, None]).sum(axis=0)
    return cells


def _stepped(values: FloatArray, profile: NumericProfile) -> IntArray:
    """Values in whole steps from the reference's centre; those that are missing are there."""
    with np.errstate(over="ignore", invalid="ignore"):
        units = np.clip((values - profile.centre) / profile.scale, -_FAR, _FAR)
    steps: IntArray = np.rint(np.where(np.isnan(units), 0.0, units) * _STEPS).astype(np.int64)
    return steps


def _thrown(keys: Keys) -> IntArray:
    """One unit up or down for each word, by the bits of its key; the first is none: (BITS, W)."""
    up = (keys[None, :] >> (_COLUMN_BITS + np.uint64(17))) & np.uint64(1)
    thrown: IntArray = np.where(up == 1, _STEPS, -_STEPS).astype(np.int64)
    thrown[:, 0] = 0
    return thrown


@lru_cache(maxsize=256)
def _projection(profile: Profile) -> tuple[IntArray, IntArray]:
    """The sign of each numeric column in each projection, and where these are cut in two."""
    keys = keys_of([each.name for each in profile.numeric])
    signs = np.where((keys[None, :] >> _COLUMN_BITS) & np.uint64(1) == 1, 1, -1).astype(np.int64)
    columns = len(profile.numeric) + len(profile.categorical)
    spread = max(1, int(_STEPS * columns**0.5))
    cuts = keys_of([f"cut {bit}" for bit in range(BITS)]) % np.uint64(spread + 1)
    return signs, cuts.astype(np.int64) - spread // 2


@lru_cache(maxsize=256)
def _column_keys(profile: Profile) -> tuple[np.uint64, ...]:
    return tuple(keys_of([each.name for each in profile.categorical]))


# --------------------------------------------------------------------------- what the tables tell


def near_border(table: IntArray) -> Apart | None:
    """By how much more of a group's scores than of the others' are near the border."""
    return _more(table)


def wrong_answers(table: IntArray) -> Apart | None:
    """By how much more of a group's answers than of the others' are wrong."""
    return _more(table)


def _more(table: IntArray) -> Apart | None:
    """By how much larger a group's share of the second column in the first is than the others'."""
    n, near = table[:, 0], table[:, 1]
    others, others_near = n.sum() - n, near.sum() - near

    def compare(which: IntArray) -> tuple[FloatArray, FloatArray]:
        expected = (others_near[which] + 0.5) / (others[which] + 1)
        unit = 1 / n[which] + 1 / others[which]
        return near[which] / n[which] - expected, np.sqrt(expected * (1 - expected) * unit)

    return _stands_out(n, compare)


def many_answers(table: IntArray) -> Apart | None:
    """By how many nats the entropy of a group's answers is above that of the others' answers.

    The bias of small counts is taken out of both (Miller, 1955).
    """
    n = table.sum(axis=1)

    def compare(which: IntArray) -> tuple[FloatArray, FloatArray]:
        mine, rest = table[which], table.sum(axis=0) - table[which]
        entropy, _ = _entropy(mine)
        expected, variance = _entropy(rest)
        few, many = n[which], rest.sum(axis=1)
        bins = np.count_nonzero(table.any(axis=0))
        error = variance * (1 / few + 1 / many) + (bins - 1) / (2.0 * few * few)
        return entropy - expected, np.sqrt(error)

    return _stands_out(n, compare)


def _entropy(counts: IntArray) -> tuple[FloatArray, FloatArray]:
    """The entropy of each row, and the variance of a count's logarithm."""
    n = counts.sum(axis=1)[:, None]
    p = counts / n
    logs = np.log(np.where(counts > 0, p, 1.0))
    plain = -(p * logs).sum(axis=1)
    variance = np.maximum((p * logs * logs).sum(axis=1) - plain * plain, 0.0)
    bins = np.count_nonzero(counts, axis=1)
    return plain + (bins - 1) / (2.0 * n[:, 0]), variance


def alike(table: IntArray) -> Apart | None:
    """By how much more often two inputs of a group are alike than two of another group are.

    The error is that of a U-statistic of inputs drawn from all others (Hoeffding, 1948).
    """
    n = table.sum(axis=1)
    same, pairs = (table * (table - 1)).sum(axis=1), n * (n - 1)

    def compare(which: IntArray) -> tuple[FloatArray, FloatArray]:
        rest = table.sum(axis=0) - table[which]
        p = rest / rest.sum(axis=1)[:, None]
        second, third = (p**2).sum(axis=1), (p**3).sum(axis=1)
        within = (same.sum() - same[which]) / np.maximum(pairs.sum() - pairs[which], 1)
        expected = np.maximum(within, second)  # few others may have no pair within a group
        few = n[which].astype(np.float64)
        first_order = 4 * np.maximum(third - second * second, 0.0) / few
        error = first_order + 2 * second * (1 - second) / (few * (few - 1))
        return same[which] / pairs[which] - expected, np.sqrt(error)

    return _stands_out(n, compare)


def _stands_out(
    n: IntArray, compare: Callable[[IntArray], tuple[FloatArray, FloatArray]]
) -> Apart | None:
    total = int(n.sum())
    if total < LEAST:
        return None
    which = np.flatnonzero((n >= LEAST) & (total - n >= LEAST))
    if not len(which):
        return Apart(0.0, total)
    apart, error = compare(which)
    sure = apart - SURE * error
    best = int(np.argmax(sure))
    return Apart(float(apart[best]) if sure[best] > 0.0 else 0.0, total)
