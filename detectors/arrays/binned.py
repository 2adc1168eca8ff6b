"""Counts columns into the bins and categories that the references of their windows know."""

from __future__ import annotations

import numpy as np

from watchkeeper.detectors.arrays import tally as t
from watchkeeper.detectors.arrays.reference import EDGES, References
from watchkeeper.detectors.arrays.runs import Runs
from watchkeeper.detectors.frames import FloatArray, IntArray
from watchkeeper.detectors.keys import Keys
from watchkeeper.detectors.signals._exact import steps
from watchkeeper.detectors.texts import Words


def count_numbers(tally: t.Tally, references: References, runs: Runs, values: FloatArray) -> None:
    """All numeric columns, a row each, window by window."""
    ends = [*runs.cuts[1:].tolist(), runs.n]
    each = zip(runs.slots.tolist(), runs.refs.tolist(), runs.cuts.tolist(), ends, strict=True)
    for slot, ref, begin, end in each:
        _numbers_of_one(tally, references, slot, ref, values[:, begin:end])


def _numbers_of_one(
    tally: t.Tally, references: References, slot: int, ref: int, values: FloatArray
) -> None:
    """All numeric columns of one window. In order, edges are looked up in the values instead of
    each value among the edges, which are far fewer."""
    known = references.arrays
    values = np.sort(values, axis=1)  # NaN is behind all others
    low, high = known["low"][ref], known["high"][ref]
    centre, scale = known["centre"][ref][:, None], known["scale"][ref][:, None]
    with np.errstate(over="ignore"):  # what is too far away counts as the limit
        tally.arrays["sums"][slot] += steps((values - centre) / scale).sum(axis=1)
    below = np.zeros((len(values), t.NUMERIC - t.FIRST_BIN + 1), dtype=np.int64)
    edges = known["edges"][ref]
    for mine, row, of, bins in zip(below, values, edges, known["bins"][ref].tolist(), strict=True):
        used = max(bins - 1, 0)
        mine[1 : used + 1] = row.searchsorted(of[:used])
        mine[used + 1 :] = row.searchsorted(np.nan)
    table, there = tally.arrays["numeric"][slot], below[:, -1]
    table[:, t.FIRST_BIN :] += np.diff(below, axis=1).astype(table.dtype)
    table[:, t.MISSING] += (values.shape[1] - there).astype(table.dtype)
    last = values[np.arange(len(values)), there - 1]  # NaN where there are no others
    for column in np.flatnonzero((values[:, 0] < low) | (last > high)).tolist():
        row = values[column]
        outside = np.count_nonzero((row < low[column]) | (row > high[column]))
        table[column, t.OUTSIDE] += table.dtype.type(outside)


def count_number(
    tally: t.Tally, references: References, runs: Runs, column: int, values: FloatArray | None
) -> None:
    """One numeric column, all windows at once; None: no row has any."""
    table = tally.arrays["numeric"][:, column]
    known = references.arrays
    if values is None:
        table[runs.slots, t.MISSING] += runs.lengths.astype(table.dtype)
        return
    missing = np.isnan(values)
    low, high = known["low"][runs.refs, column], known["high"][runs.refs, column]
    centre, scale = known["centre"][runs.refs, column], known["scale"][runs.refs, column]
    lengths = runs.lengths
    low, high, centre, scale = (np.repeat(each, lengths) for each in (low, high, centre, scale))
    table[runs.slots, t.OUTSIDE] += runs.sums((values < low) | (values > high)).astype(table.dtype)
    table[runs.slots, t.MISSING] += runs.sums(missing).astype(table.dtype)
    with np.errstate(over="ignore"):  # what is too far away counts as the limit
        tally.arrays["sums"][runs.slots, column] += runs.sums(steps((values - centre) / scale))
    place = _bins(references, runs, column, values)
    rows = np.flatnonzero(~missing)
    flat = (runs.slot[rows] * tally.schema.numbers + column) * t.NUMERIC + t.FIRST_BIN
    np.add.at(tally.arrays["numeric"].reshape(-1), flat + place[rows], 1)


def _bins(references: References, runs: Runs, column: int, values: FloatArray) -> IntArray:
    """The bin of each value: how many edges are not above it. NaN falls into any."""
    edges, bins = references.arrays["edges"], references.arrays["bins"]
    first = (runs.ref * edges.shape[1] + column) * EDGES - 1
    flat, place = edges.reshape(-1), np.zeros(runs.n, dtype=np.int64)
    for step in (16, 8, 4, 2, 1):
        place += step * (flat.take(first + place + step) <= values)
    highest = np.maximum(bins[runs.ref, column] - 1, 0)
    return np.asarray(np.minimum(place, highest))


def count_text(
    tally: t.Tally, references: References, runs: Runs, column: int, words: Words | None
) -> None:
    """One categorical column; None: no row has any."""
    table = tally.arrays["texts"][:, column]
    if words is None:
        table[runs.slots, t.ABSENT] += runs.lengths.astype(table.dtype)
        return
    if runs.many:
        width = len(words.words) + 1
        counts = runs.counts(slice(None), words.codes + 1, width)
        keys = words.known_keys()
        for slot, ref, mine in zip(runs.slots.tolist(), runs.refs.tolist(), counts, strict=True):
            known, places = references.arrays["keys"][ref, column], references.arrays["places"]
            of_words = _found(known, places[ref, column], keys)
            of_words[0] = t.ABSENT
            np.add.at(table[slot], of_words, mine.astype(table.dtype))
    else:
        place = _categories(references, runs, column, words)
        flat = (runs.slot * tally.schema.texts + column) * t.TEXTS + place
        np.add.at(tally.arrays["texts"].reshape(-1), flat, 1)


def _categories(references: References, runs: Runs, column: int, words: Words) -> IntArray:
    """The number of each row's category in its reference, OTHER or ABSENT."""
    known, places = references.arrays["keys"], references.arrays["places"]
    keys = words.known_keys()
    room = known.shape[2]
    key, first = keys[words.codes + 1], (runs.ref * known.shape[1] + column) * room
    flat, at, step = known.reshape(-1), np.zeros(runs.n, dtype=np.int64), (room + 1) // 2
    while step:
        at += step * (flat.take(first + at + step - 1) < key)
        step //= 2
    at = first + np.minimum(at, room - 1)
    place = np.where(flat.take(at) == key, places.reshape(-1).take(at), t.OTHER).astype(np.int64)
    place[words.codes < 0] = t.ABSENT
    return place


def _found(known: Keys, places: IntArray, keys: Keys) -> IntArray:
    at = np.minimum(known.searchsorted(keys), len(known) - 1)
    return np.where(known[at] == keys, places[at], t.OTHER).astype(np.int64)
