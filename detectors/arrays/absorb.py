"""Counts blocks into the tallies of their windows, whatever models they are of.

Everything counted is an integer, so the order of rows and the way they are cut into blocks change
nothing. `absorb_fast` does the same in compiled loops.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np

from watchkeeper.detectors.arrays import tally as t
from watchkeeper.detectors.arrays.few import Few
from watchkeeper.detectors.arrays.reference import EDGES, References
from watchkeeper.detectors.arrays.schema import Schema
from watchkeeper.detectors.blocks import PredictionBlock
from watchkeeper.detectors.frames import BoolArray, FloatArray, IntArray
from watchkeeper.detectors.keys import Keys
from watchkeeper.detectors.signals._exact import steps
from watchkeeper.detectors.signals.accuracy import FINE, SCORE_BINS, SCORE_EDGES, SMALLEST
from watchkeeper.detectors.signals.clients import BUCKETS
from watchkeeper.detectors.signals.latency import UPPER
from watchkeeper.detectors.texts import Codes, Words

MANY = 64  # rows of a window from which on it is worth a call of its own


class Pairs(NamedTuple):
    """Predictions with their truth, as columns; keys are those of texts, 0 for none.

    `positive` is the key of the positive class that the row's reference names, else 0.
    """

    said: Keys
    truth: Keys
    positive: Keys
    score: FloatArray

    def take(self, rows: IntArray | BoolArray) -> Pairs:
        """The chosen rows."""
        return Pairs(self.said[rows], self.truth[rows], self.positive[rows], self.score[rows])


def absorb_predictions(
    tally: t.Tally, references: References, slot: IntArray, ref: IntArray, block: PredictionBlock
) -> None:
    """Adds every row of a block to the tally's row `slot`; `ref` is the row of its reference.

    All rows are of the tally's schema. Where it is not profiled, `ref` is not looked at.
    """
    if not len(slot):
        return
    order = None
    if not (slot[:-1] <= slot[1:]).all():
        order = np.argsort(slot, kind="stable")
        slot, ref = slot[order], ref[order]
    cuts = np.flatnonzero(np.concatenate(([True], slot[1:] != slot[:-1])))
    runs = _Runs(slot, ref, slot[cuts], ref[cuts], cuts, len(slot))
    given = [*numbers(tally.schema, block)]
    if order is not None:
        block = _taken(block, order, frozenset(tally.schema.numeric))
    _plain(tally, runs, block)
    if not tally.schema.profiled:
        return
    _answers(tally, runs, block)
    if runs.many:
        _numbers(tally, references, runs, _table(given, order, runs.n))
    else:
        for column, values in enumerate(given):
            mine = values if values is None or order is None else values[order]
            _number(tally, references, runs, column, mine)
    for column, words in enumerate(texts(tally.schema, block)):
        _text(tally, references, runs, column, words)


def _taken(block: PredictionBlock, rows: IntArray, without: frozenset[str]) -> PredictionBlock:
    """The chosen rows of the columns that are counted, `without` some of the numeric ones; the
    others stay as they are."""
    numeric = {n: column[rows] for n, column in block.numeric.items() if n not in without}
    return replace(
        block,
        entity_key=block.entity_key[rows],
        duration_s=block.duration_s[rows],
        status=block.status[rows],
        label=block.label.take(rows),
        score=block.score[rows],
        output_valid=block.output_valid[rows],
        numeric=numeric,
        categorical={name: words.take(rows) for name, words in block.categorical.items()},
    )


def _table(columns: Sequence[FloatArray | None], order: IntArray | None, n: int) -> FloatArray:
    """Columns as rows, in this order; NaN where there is none."""
    table = np.empty((len(columns), n))
    for row, column in zip(table, columns, strict=True):
        if column is None:
            row[:] = np.nan
        elif order is None:
            row[:] = column
        else:
            np.take(column, order, out=row, mode="clip")  # it need not be looked at before
    return table


class _Runs(NamedTuple):
    """Rows sorted by slot: each row's slot and reference, each run's, and where runs begin."""

    slot: IntArray
    ref: IntArray
    slots: IntArray
    refs: IntArray
    cuts: IntArray
    n: int

    def sums(self, values: IntArray | BoolArray) -> IntArray:
        """The sum of the rows' values, by run."""
        total: IntArray = np.add.reduceat(values, self.cuts, dtype=np.int64)
        return total

    def numbers(self, first: IntArray) -> IntArray:
        """The number of each row in its run, where a run's first one has the number given."""
        return np.arange(self.n) + np.repeat(first - self.cuts, self.lengths)

    @property
    def one(self) -> bool:
        """Whether all rows are of one window."""
        return len(self.slots) == 1

    @property
    def many(self) -> bool:
        """Whether a window has so many rows that it is worth calls of its own."""
        return self.one or self.n >= MANY * len(self.slots)

    def counts(self, rows: IntArray | slice, bins: IntArray | Codes, width: int) -> IntArray:
        """How many of the chosen rows fall into each bin, by run."""
        run = np.repeat(np.arange(0, len(self.slots) * width, width), self.lengths)[rows]
        run += bins
        return np.bincount(run, minlength=len(self.slots) * width).reshape(-1, width)

    @property
    def lengths(self) -> IntArray:
        """How many rows each run has."""
        return np.diff(np.append(self.cuts, self.n))


def _plain(tally: t.Tally, runs: _Runs, block: PredictionBlock) -> None:
    """What is counted with or without a reference."""
    head = tally.arrays["head"]
    before = head[runs.slots, t.N]
    head[runs.slots, t.N] += runs.lengths
    for status in range(3):
        head[runs.slots, t.OK + status] += runs.sums(block.status == status)
    head[runs.slots, t.INVALID] += runs.sums(~block.output_valid)
    timed = np.flatnonzero(np.isfinite(block.duration_s))
    buckets = np.searchsorted(UPPER, block.duration_s[timed])
    if isinstance(tally, Few):
        bins = np.zeros(runs.n, dtype=np.uint16)
        bins[timed] = buckets + 1
        tally.singles["durations"][runs.numbers(before), runs.slot] = bins
    else:
        _count(tally.arrays["durations"], runs, timed, buckets)
    named = np.flatnonzero(block.entity_key)
    groups = (block.entity_key[named] % np.uint64(BUCKETS)).astype(np.int64)
    _count(tally.arrays["clients"], runs, named, groups)


def _count(table: IntArray, runs: _Runs, rows: IntArray, bins: IntArray) -> None:
    """Adds one to the bin of each chosen row, in the row's slot; `table` is (rows, bins)."""
    width = table.shape[1]
    if runs.many:
        table[runs.slots] += runs.counts(rows, bins, width).astype(table.dtype)
    else:
        np.add.at(table.reshape(-1), runs.slot[rows] * width + bins, 1)


def _answers(tally: t.Tally, runs: _Runs, block: PredictionBlock) -> None:
    """Positive answers, rows measured, and rows with a feature nobody profiled."""
    schema, head = tally.schema, tally.arrays["head"]
    head[runs.slots, t.MEASURED] += runs.lengths
    if schema.classes is None:
        if schema.task == "binary":
            head[runs.slots, t.ANSWERED] += runs.sums(~np.isnan(block.score))
        head[runs.slots, t.POSITIVE] += runs.sums(block.score >= 0.5)
    elif schema.positive is not None:
        code = (
            block.label.words.index(schema.positive) if schema.positive in block.label.words else -2
        )
        head[runs.slots, t.ANSWERED] += runs.sums(block.label.codes >= 0)
        head[runs.slots, t.POSITIVE] += runs.sums(block.label.codes == code)
    for place, rows in ((t.NEW, unknown(schema, block)), (t.RETYPED, retyped(schema, block))):
        if rows is not None:
            head[runs.slots, place] += runs.sums(rows)


def unknown(schema: Schema, block: PredictionBlock) -> BoolArray | None:
    """Which rows have a feature that the reference does not know; None: none has."""
    numeric, categorical = frozenset(schema.numeric), frozenset(schema.categorical)
    found = [~np.isnan(column) for name, column in block.numeric.items() if name not in numeric]
    found += [w.codes >= 0 for name, w in block.categorical.items() if name not in categorical]
    return np.logical_or.reduce(found) if found else None


def retyped(schema: Schema, block: PredictionBlock) -> BoolArray | None:
    """Which rows have a number where the reference knows text alone, or the other way round; None:
    none has."""
    numeric, categorical = frozenset(schema.numeric), frozenset(schema.categorical)
    as_text, as_number = numeric - categorical, categorical - numeric
    found = [~np.isnan(column) for name, column in block.numeric.items() if name in as_number]
    found += [w.codes >= 0 for name, w in block.categorical.items() if name in as_text]
    return np.logical_or.reduce(found) if found else None


def numbers(schema: Schema, block: PredictionBlock) -> Iterator[FloatArray | None]:
    """The numeric columns of a schema; None where no row has any."""
    yield from (block.numeric.get(name) for name in schema.numeric)
    if schema.score:
        yield block.score
    if schema.value:
        yield block.value


def texts(schema: Schema, block: PredictionBlock) -> Iterator[Words | None]:
    """The categorical columns of a schema; None where no row has any."""
    yield from (block.categorical.get(name) for name in schema.categorical)
    if schema.classes is not None:
        yield block.label


def _numbers(tally: t.Tally, references: References, runs: _Runs, values: FloatArray) -> None:
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


def _number(
    tally: t.Tally, references: References, runs: _Runs, column: int, values: FloatArray | None
) -> None:
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


def _bins(references: References, runs: _Runs, column: int, values: FloatArray) -> IntArray:
    """The bin of each value: how many edges are not above it. NaN falls into any."""
    edges, bins = references.arrays["edges"], references.arrays["bins"]
    first = (runs.ref * edges.shape[1] + column) * EDGES - 1
    flat, place = edges.reshape(-1), np.zeros(runs.n, dtype=np.int64)
    for step in (16, 8, 4, 2, 1):
        place += step * (flat.take(first + place + step) <= values)
    highest = np.maximum(bins[runs.ref, column] - 1, 0)
    return np.asarray(np.minimum(place, highest))


def _text(
    tally: t.Tally, references: References, runs: _Runs, column: int, words: Words | None
) -> None:
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


def _categories(references: References, runs: _Runs, column: int, words: Words) -> IntArray:
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


def absorb_pairs(tally: t.Tally, slot: IntArray, pairs: Pairs) -> None:
    """Adds predictions whose truth is known to the tally's rows: how right they were."""
    head = tally.arrays["head"]
    said = pairs.said != 0
    has_positive = pairs.positive != 0
    by_score = np.isfinite(pairs.score) & ~said & has_positive
    usable = (pairs.truth != 0) & (said | by_score)
    truth = (pairs.truth == pairs.positive) & has_positive
    guess = np.where(said, (pairs.said == pairs.positive) & has_positive, pairs.score >= 0.5)
    same = np.where(said, pairs.said == pairs.truth, guess == truth)
    np.add.at(head[:, t.PAIRS], slot[usable], 1)
    np.add.at(head[:, t.CORRECT], slot[usable & same], 1)
    rows = np.flatnonzero(usable & has_positive)
    cell = t.TN + 2 * truth[rows].astype(np.int64) + guess[rows]
    np.add.at(head.reshape(-1), slot[rows] * t.HEAD + cell, 1)
    scored = (pairs.truth != 0) & has_positive & (pairs.score >= 0) & (pairs.score <= 1)
    _scores(tally, slot[scored], truth[scored], pairs.score[scored])


def _scores(tally: t.Tally, slot: IntArray, truth: BoolArray, score: FloatArray) -> None:
    if not len(slot):
        return
    bins = truth * SCORE_BINS + np.searchsorted(SCORE_EDGES, score, side="right")
    if isinstance(tally, Few):
        order = np.argsort(slot, kind="stable")
        ordered = slot[order]
        number = np.arange(len(slot)) - np.searchsorted(ordered, ordered)
        number += tally.arrays["head"][ordered, t.SCORED]
        tally.singles["scores"][number, ordered] = bins[order] + 1
    else:
        np.add.at(tally.arrays["scores"].reshape(-1), slot * 2 * SCORE_BINS + bins, 1)
    np.add.at(tally.arrays["head"][:, t.SCORED], slot, 1)
    np.add.at(tally.arrays["losses"], slot, losses(truth, score))


def losses(truth: BoolArray, score: FloatArray) -> IntArray:
    """What each row adds to the columns of a tally's `losses`."""
    right = np.clip(np.where(truth, score, 1 - score), SMALLEST, 1.0)
    log_loss, brier = -np.log(right), (score - truth) ** 2
    each = np.stack([log_loss, log_loss**2, brier, brier**2], axis=1)
    added: IntArray = np.rint(each * FINE).astype(np.int64)
    return added
