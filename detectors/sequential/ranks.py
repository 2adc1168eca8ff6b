"""Ranks of values among a series' own history, exactly uniform while nothing changes.

The first 255 values cut the line into 256 gaps; from then on only the number of values that fell
into each gap is counted. Of n values so far, the next one falls between any two neighbours with
the same probability if the order of values means nothing, so

    rank = (values below its gap + lot * (1 + values in its gap)) / (n + 1)

is uniform on (0, 1) and independent of all ranks before, whatever the distribution: with ties, too,
since equal values are put in order by lot (Vovk, Gammerman and Shafer, Algorithmic Learning in a
Random World, 2nd ed., 2022, chapter 8). Before there are 256 gaps, each value is an edge.

Where values have come to fall mostly between two edges, or beyond all, edges are learned anew.
"""

from __future__ import annotations

import numpy as np

from watchkeeper.detectors.frames import BoolArray, FloatArray, IntArray
from watchkeeper.detectors.sequential.chance import Ties
from watchkeeper.detectors.sequential.layout import EDGES, GAPS, SIDE, Records

WIDE = 8  # a gap with more than this part of the values no longer tells ranks apart


def gaps_of(
    sketch: Records, rows: IntArray, learned: IntArray, x: FloatArray, tie: Ties
) -> IntArray:
    """The number of the gap into which each value falls."""
    gap = np.empty(len(rows), dtype=np.int64)
    few = learned < EDGES
    some = rows[few]
    behind = _behind(sketch["edges"][some], sketch["ties"][some], x[few], tie[few])
    gap[few] = (behind & (np.arange(GAPS) < learned[few][:, None])).sum(axis=1)
    many = ~few
    some = rows[many]
    top_ties = sketch["ties"][some][:, SIDE - 1 :: SIDE]
    behind = _behind(sketch["tops"][some], top_ties, x[many], tie[many])
    block = behind[:, : SIDE - 1].sum(axis=1)
    inside = block[:, None] * SIDE + np.arange(SIDE - 1)
    at = some[:, None]
    behind = _behind(sketch["edges"][at, inside], sketch["ties"][at, inside], x[many], tie[many])
    gap[many] = block * SIDE + behind.sum(axis=1)
    return gap


def ranks_of(
    sketch: Records, rows: IntArray, learned: IntArray, gap: IntArray, lot: FloatArray
) -> FloatArray:
    """The rank of a value in such a gap: in [0, 1)."""
    below, within = gap.astype(np.float64), np.ones(len(rows))
    many = learned >= EDGES
    some, block, inside = rows[many], gap[many] // SIDE, gap[many] % SIDE
    places = np.arange(SIDE)
    sums = np.where(places < block[:, None], sketch["sums"][some], 0).sum(axis=1, dtype=np.int64)
    counts = sketch["counts"][some[:, None], block[:, None] * SIDE + places]
    part = np.where(places < inside[:, None], counts, 0).sum(axis=1, dtype=np.int64)
    below[many] = sums + part
    within[many] = sketch["counts"][some, gap[many]]
    return np.asarray((below + lot * within) / (learned + 1).astype(np.float64))


def learn(
    sketch: Records, rows: IntArray, learned: IntArray, gap: IntArray, x: FloatArray, tie: Ties
) -> None:
    """Takes values, whose gaps are known, into the history: no series twice."""
    few = learned < EDGES
    _insert(sketch, rows[few], gap[few], x[few], tie[few])
    full = rows[learned == EDGES - 1]
    sketch["counts"][full], sketch["sums"][full] = 1, SIDE
    sketch["tops"][full] = sketch["edges"][full][:, SIDE - 1 :: SIDE]
    many = ~few
    sketch["counts"][rows[many], gap[many]] += np.uint32(1)
    sketch["sums"][rows[many], gap[many] // SIDE] += np.uint32(1)


def halve(sketch: Records, rows: IntArray) -> IntArray:
    """Forgets half of a full history; says how many values are left in it: none where one gap has
    become so wide that ranks within it are hardly told apart. Edges are then learned anew."""
    counts = (sketch["counts"][rows] + np.uint32(1)) >> np.uint32(1)
    sketch["counts"][rows] = counts
    sums = counts.reshape(-1, SIDE, SIDE).sum(axis=2, dtype=np.int64)
    sketch["sums"][rows] = sums
    total, widest = sums.sum(axis=1), counts.max(axis=1).astype(np.int64)
    return np.where(widest * WIDE > total, 0, total - 1)


def _behind(edges: FloatArray, edge_ties: Ties, x: FloatArray, tie: Ties) -> BoolArray:
    """Which edges a value is behind: those that are less, and equal ones by lot."""
    value = x[:, None]
    return np.asarray((value > edges) | ((value == edges) & (tie[:, None] >= edge_ties)))


def _insert(sketch: Records, rows: IntArray, gap: IntArray, x: FloatArray, tie: Ties) -> None:
    """Makes a value an edge at its place; those behind it move by one."""
    place, at = np.arange(GAPS), gap[:, None]
    for name, new in (("edges", x), ("ties", tie)):
        old = sketch[name][rows]
        moved = np.concatenate([old[:, :1], old[:, :-1]], axis=1)
        sketch[name][rows] = np.where(place < at, old, np.where(place == at, new[:, None], moved))
