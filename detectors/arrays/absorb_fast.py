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
    count_few_numbers_finely,
    count_few_pairs,
    count_few_texts,
    count_heads,
    count_numbers,
    count_numbers_finely,
    count_pairs,
    count_texts,
)
from watchkeeper.detectors.arrays.few import Few
from watchkeeper.detectors.arrays.reference import References
from watchkeeper.detectors.arrays.schema import Schema
from watchkeeper.detectors.blocks import PredictionBlock
from watchkeeper.detectors.frames import IntArray
from watchkeeper.detectors.keys import Keys

_NO_WORDS: Keys = np.zeros(1, dtype=np.uint64)
_COUNT_NUMBERS = {
    (False, False): count_numbers,
    (True, False): count_few_numbers,
    (False, True): count_numbers_finely,
    (True, True): count_few_numbers_finely,
}


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
        _bins(tally, "durations"),
        arrays["clients"],
        _few(tally),
    )
    if not schema.profiled:
        return
    _answers(tally, rows, block)
    if schema.numbers:
        _numbers(tally, references, rows, refs, block)
    if schema.texts:
        _texts(tally, references, rows, refs, block)


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
        _bins(tally, "scores"),
        arrays["losses"],
        _few(tally),
    )


def _whole(column: Table, kind: npt.DTypeLike) -> Table:
    """A column as the kernels take it."""
    return np.ascontiguousarray(column, dtype=kind)


def _few(tally: t.Tally) -> bool:
    """Whether its counts are small integers."""
    return isinstance(tally, Few)


def _bins(tally: t.Tally, name: str) -> Table:
    """Where durations or scores are counted, or noted one by one."""
    if isinstance(tally, Few):
        return tally.singles[name]
    return tally.arrays[name].reshape(len(tally.arrays[name]), -1)


def _answers(tally: t.Tally, slot: IntArray, block: PredictionBlock) -> None:
    schema, head = tally.schema, tally.arrays["head"]
    kind, positive = _kind(schema), -2
    if kind == BY_LABEL and schema.positive in block.label.words:
        positive = block.label.words.index(schema.positive)
    score, codes = _whole(block.score, np.float64), _whole(block.label.codes, np.int32)
    count_answers(slot, kind, positive, score, codes, head)
    new, retyped = absorb.unknown(schema, block), absorb.retyped(schema, block)
    for place, rows in ((t.NEW, new), (t.RETYPED, retyped)):
        if rows is not None:
            np.add.at(head[:, place], slot[rows], 1)


def _kind(schema: Schema) -> int:
    if schema.classes is None:
        return ALL_BY_SCORE if schema.task == "binary" else BY_SCORE
    return NONE if schema.positive is None else BY_LABEL


def _numbers(
    tally: t.Tally, references: References, slot: IntArray, ref: IntArray, block: PredictionBlock
) -> None:
    known = references.arrays
    count = _COUNT_NUMBERS[_few(tally), known["edges"].dtype == np.float64]
    values = np.empty((tally.schema.numbers, len(slot)))
    for column, given in enumerate(absorb.numbers(tally.schema, block)):
        values[column] = np.nan if given is None else given
    count(
        slot,
        ref,
        values,
        known["low"],
        known["high"],
        known["centre"],
        known["scale"],
        known["bins"],
        known["edges"],
        tally.arrays["numeric"],
        tally.arrays["sums"],
    )


def _texts(
    tally: t.Tally, references: References, slot: IntArray, ref: IntArray, block: PredictionBlock
) -> None:
    known, count = references.arrays, count_few_texts if _few(tally) else count_texts
    columns = tally.schema.texts
    codes = np.empty((columns, len(slot)), dtype=np.int32)
    keys: list[Keys] = []
    first = np.zeros(columns + 1, dtype=np.int64)
    for column, words in enumerate(absorb.texts(tally.schema, block)):
        codes[column] = -1 if words is None else words.codes
        keys.append(_NO_WORDS if words is None else words.known_keys())
        first[column + 1] = first[column] + len(keys[-1])
    # The key of code c is behind that of none.
    first += 1
    count(
        slot,
        ref,
        codes,
        np.concatenate(keys),
        first,
        known["keys"],
        known["places"],
        tally.arrays["texts"],
    )
