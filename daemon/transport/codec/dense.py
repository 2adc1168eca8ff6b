"""Keeps blocks dense: rows whose features differ much stand in blocks of their own."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from itertools import chain

import numpy as np

from watchkeeper.daemon.transport.codec.packing import SLACK, packed
from watchkeeper.detectors.blocks import Block, PredictionBlock
from watchkeeper.detectors.types import BoolArray, IntArray


def dense(block: PredictionBlock) -> list[Block]:
    """The block, or several in its place where too many of its cells are empty."""
    cells = len(block) * (len(block.numeric) + len(block.categorical))
    if cells <= SLACK:
        return [block]
    there = sum(int(np.count_nonzero(column == column)) for column in block.numeric.values())
    there += sum(int(np.count_nonzero(words.codes >= 0)) for words in block.categorical.values())
    if cells <= 2 * there + SLACK:
        return [block]
    return [*_parts(block)]


def _parts(block: PredictionBlock) -> Iterator[PredictionBlock]:
    numeric, categorical = [*block.numeric.items()], [*block.categorical.items()]
    parts = packed((each[0].tolist(), len(each[1]), each[1]) for each in _alike(block))
    for part in parts:
        rows = np.sort(np.fromiter(chain.from_iterable(part.items), np.int64, part.rows))
        chosen = replace(
            block,
            numeric=dict(numeric[i] for i in sorted(part.names) if i < len(numeric)),
            categorical=dict(
                categorical[i - len(numeric)] for i in sorted(part.names) if i >= len(numeric)
            ),
        )
        yield chosen.take(rows)


def _alike(block: PredictionBlock) -> Iterator[tuple[IntArray, list[int]]]:
    """Rows with the same features: the numbers of these, and the rows."""
    columns: list[BoolArray] = [~np.isnan(column) for column in block.numeric.values()]
    columns += [words.codes >= 0 for words in block.categorical.values()]
    table = np.stack(columns, axis=1)
    rows_of: dict[bytes, list[int]] = {}
    for i, pattern in enumerate(np.packbits(table, axis=1)):
        rows_of.setdefault(pattern.tobytes(), []).append(i)
    for rows in rows_of.values():
        yield np.flatnonzero(table[rows[0]]), rows


def without_empty(block: PredictionBlock) -> PredictionBlock:
    """The block without features that none of its rows has."""
    numeric = {n: c for n, c in block.numeric.items() if not np.isnan(c).all()}
    categorical = {n: w for n, w in block.categorical.items() if (w.codes >= 0).any()}
    return replace(block, numeric=numeric, categorical=categorical)
