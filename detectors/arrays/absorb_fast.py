"""Counts blocks into tallies in compiled loops: the same integers as `absorb`, sooner."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from watchkeeper.detectors.arrays import absorb
from watchkeeper.detectors.arrays import tally as t
from watchkeeper.detectors.arrays.fast_counts import (
    ALL_BY_SCORE,
    BY_LABEL,
    BY_SCORE,
    NONE,
    Table,
    count_answers,
    count_few_heads,
    count_few_numbers,
    count_few_pairs,
    count_few_texts,
    count_heads,
    count_numbers,
    count_pairs,
    count_texts,
)
from watchkeeper.detectors.arrays.reference import References
from watchkeeper.detectors.arrays.schema import Schema
from watchkeeper.detectors.blocks import PredictionBlock, Words
from watchkeeper.detectors.frames import FloatArray, IntArray


def absorb_predictions(
    tally: t.Tally, references: References, slot: IntArray, ref: IntArray, block: PredictionBlock
) -> None:
    """As `absorb.absorb_predictions`."""
    if not len(slot):
        return
    arrays, schema = tally.arrays, tally.schema
    rows, refs = _whole(slot, np.int64), _whole(ref, np.int64)
    count = count_few_heads if _few(tally) else count_heads
    count(
        rows,
        _whole(block.status, np.int64),
        _whole(block.output_valid, np.bool_),
        _whole(block.duration_s, np.float64),
        _whole(block.entity_key, np.uint64),
        arrays["head"],
        arrays["durations"],
        arrays["clients"],
    )
    if not schema.profiled:
        return
    _answers(tally, rows, block)
    for column, values in enumerate(absorb.numbers(schema, block)):
        _number(tally, references, rows, refs, column, values)
    for column, words in enumerate(absorb.texts(schema, block)):
        _text(tally, references, rows, refs, column, words)


def absorb_pairs(tally: t.Tally, slot: IntArray, pairs: absorb.Pairs) -> None:
    """As `absorb.absorb_pairs`."""
    # The logarithm stays NumPy's: another one could differ in its last bit.
    truth = pairs.truth == pairs.positive
    scored = (pairs.truth != 0) & (pairs.positive != 0) & (pairs.score >= 0) & (pairs.score <= 1)
    arrays = tally.arrays
    count = count_few_pairs if _few(tally) else count_pairs
    count(
        _whole(slot, np.int64),
        _whole(pairs.said, np.uint64),
        _whole(pairs.truth, np.uint64),
        _whole(pairs.positive, np.uint64),
        _whole(pairs.score, np.float64),
        scored,
        absorb.losses(truth[scored], pairs.score[scored]),
        arrays["head"],
        arrays["scores"],
        arrays["losses"],
    )


def _whole(column: Table, kind: npt.DTypeLike) -> Table:
    """A column as the kernels take it."""
    return np.ascontiguousarray(column, dtype=kind)


def _few(tally: t.Tally) -> bool:
    """Whether its counts are small integers."""
    return tally.arrays["durations"].itemsize == 1


def _answers(tally: t.Tally, slot: IntArray, block: PredictionBlock) -> None:
    schema, head = tally.schema, tally.arrays["head"]
    kind, positive = _kind(schema), -2
    if kind == BY_LABEL and schema.positive in block.label.words:
        positive = block.label.words.index(schema.positive)
    score, codes = _whole(block.score, np.float64), _whole(block.label.codes, np.int32)
    count_answers(slot, kind, positive, score, codes, head)
    new = absorb.unknown(schema, block)
    if new is not None:
        np.add.at(head[:, t.NEW], slot[new], 1)


def _kind(schema: Schema) -> int:
    if schema.classes is None:
        return ALL_BY_SCORE if schema.task == "binary" else BY_SCORE
    return NONE if schema.positive is None else BY_LABEL


def _number(
    tally: t.Tally,
    references: References,
    slot: IntArray,
    ref: IntArray,
    column: int,
    values: FloatArray | None,
) -> None:
    table, known = tally.arrays["numeric"], references.arrays
    if values is None:
        np.add.at(table[:, column, t.MISSING], slot, 1)
        return
    count = count_few_numbers if _few(tally) else count_numbers
    count(
        slot,
        ref,
        column,
        _whole(values, np.float64),
        known["low"],
        known["high"],
        known["centre"],
        known["scale"],
        known["bins"],
        known["edges"],
        table,
        tally.arrays["sums"],
    )


def _text(
    tally: t.Tally,
    references: References,
    slot: IntArray,
    ref: IntArray,
    column: int,
    words: Words | None,
) -> None:
    table, known = tally.arrays["texts"], references.arrays
    if words is None:
        np.add.at(table[:, column, t.ABSENT], slot, 1)
        return
    codes, keys = _whole(words.codes, np.int32), words.known_keys()
    count = count_few_texts if _few(tally) else count_texts
    count(slot, ref, column, codes, keys, known["keys"], known["places"], table)
