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
from watchkeeper.detectors.arrays.binned import count_number, count_numbers, count_text
from watchkeeper.detectors.arrays.few import Few
from watchkeeper.detectors.arrays.reference import References
from watchkeeper.detectors.arrays.runs import Runs
from watchkeeper.detectors.arrays.schema import Schema
from watchkeeper.detectors.blocks import PredictionBlock
from watchkeeper.detectors.frames import BoolArray, FloatArray, IntArray
from watchkeeper.detectors.keys import Keys
from watchkeeper.detectors.signals.accuracy import FINE, SCORE_BINS, SCORE_EDGES, SMALLEST
from watchkeeper.detectors.signals.clients import BUCKETS
from watchkeeper.detectors.signals.latency import UPPER
from watchkeeper.detectors.texts import Words


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
    runs = Runs(slot, ref, slot[cuts], ref[cuts], cuts, len(slot))
    given = [*numbers(tally.schema, block)]
    if order is not None:
        block = _taken(block, order, frozenset(tally.schema.numeric))
    _plain(tally, runs, block)
    if not tally.schema.profiled:
        return
    _answers(tally, runs, block)
    if runs.many:
        count_numbers(tally, references, runs, _table(given, order, runs.n))
    else:
        for column, values in enumerate(given):
            mine = values if values is None or order is None else values[order]
            count_number(tally, references, runs, column, mine)
    for column, words in enumerate(texts(tally.schema, block)):
        count_text(tally, references, runs, column, words)


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


def _plain(tally: t.Tally, runs: Runs, block: PredictionBlock) -> None:
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


def _count(table: IntArray, runs: Runs, rows: IntArray, bins: IntArray) -> None:
    """Adds one to the bin of each chosen row, in the row's slot; `table` is (rows, bins)."""
    width = table.shape[1]
    if runs.many:
        table[runs.slots] += runs.counts(rows, bins, width).astype(table.dtype)
    else:
        np.add.at(table.reshape(-1), runs.slot[rows] * width + bins, 1)


def _answers(tally: t.Tally, runs: Runs, block: PredictionBlock) -> None:
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
