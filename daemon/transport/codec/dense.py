"""Keeps blocks dense: rows whose features differ much stand in blocks of their own.

A block may have twice the cells that its rows really have and `SLACK` more: a handful of odd rows
is cheaper as holes in one block than as blocks of their own.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from watchkeeper.detectors.blocks import Block, LabelBlock, Member, PredictionBlock
from watchkeeper.detectors.keys import keys_of
from watchkeeper.detectors.texts import Codes, Words
from watchkeeper.detectors.types import AnyFrame, IntArray, LabelFrame, PredictionFrame

SLACK = 65_536
# So many blocks are looked at for one that rows fit into.
_OPEN = 64


def dense(block: PredictionBlock) -> list[Block]:
    """The block, or several in its place where too many of its cells are empty."""
    cells = len(block) * (len(block.numeric) + len(block.categorical))
    if cells <= SLACK:
        return [block]
    there = sum(int(np.count_nonzero(column == column)) for column in block.numeric.values())
    there += sum(int(np.count_nonzero(words.codes >= 0)) for words in block.categorical.values())
    if cells <= 2 * there + SLACK:
        return [block]
    return [without_empty(block.take(rows)) for rows in _parts(block)]


def _parts(block: PredictionBlock) -> Iterator[IntArray]:
    """The rows of each block that is to be, in order."""
    columns = [~np.isnan(column) for column in block.numeric.values()]
    columns += [words.codes >= 0 for words in block.categorical.values()]
    rows_of: dict[bytes, list[int]] = {}
    for i, pattern in enumerate(np.packbits(np.stack(columns, axis=1), axis=1)):
        rows_of.setdefault(pattern.tobytes(), []).append(i)
    bins: list[_Bin] = []
    for pattern, rows in rows_of.items():
        mask = int.from_bytes(pattern, "big")
        _put(bins, mask, len(rows), mask.bit_count() * len(rows), rows)
    return (np.sort(np.array(each.items, dtype=np.int64)) for each in bins)


def without_empty(block: PredictionBlock) -> PredictionBlock:
    """The block without features that none of its rows has."""
    numeric = {n: c for n, c in block.numeric.items() if not np.isnan(c).all()}
    categorical = {n: w for n, w in block.categorical.items() if (w.codes >= 0).any()}
    return replace(block, numeric=numeric, categorical=categorical)


@dataclass(slots=True)
class _Bin:
    """What is to stand in one block: `mask` has a bit a column."""

    mask: int
    rows: int
    there: int
    items: list[Any]


def _put(bins: list[_Bin], mask: int, rows: int, there: int, items: Iterable[Any]) -> None:
    """Puts rows into the first bin that stays dense with them, or into one of their own."""
    for each in bins[-_OPEN:]:
        cells = (each.mask | mask).bit_count() * (each.rows + rows)
        if cells <= 2 * (each.there + there) + SLACK:
            each.mask |= mask
            each.rows += rows
            each.there += there
            each.items += items
            return
    bins.append(_Bin(mask, rows, there, [*items]))


def blocks_of(frames: Sequence[AnyFrame]) -> list[Block]:
    """Frames of predictions or of labels as few blocks."""
    labels = [frame for frame in frames if isinstance(frame, LabelFrame)]
    blocks: list[Block] = [_labels(labels)] if labels else []
    place: dict[str, int] = {}
    bins: list[_Bin] = []
    for frame in frames:
        if isinstance(frame, PredictionFrame):
            names = frame.numeric.keys() | frame.categorical.keys()
            bits = [place.setdefault(name, len(place)) for name in names]
            _put(bins, _mask(bits, len(place)), len(frame), len(names) * len(frame), [frame])
    for each in bins:
        blocks += dense(_predictions(each.items))
    return blocks


def _mask(bits: Sequence[int], size: int) -> int:
    """A number with these bits."""
    table = np.zeros(size, dtype=np.bool_)
    table[bits] = True
    return int.from_bytes(np.packbits(table, bitorder="little").tobytes(), "little")


def _labels(frames: Sequence[LabelFrame]) -> LabelBlock:
    order = np.argsort(_column(frames, "seq"), kind="stable")
    models = {model: i for i, model in enumerate(dict.fromkeys(f.model for f in frames))}
    requests = _column(frames, "request_id")[order]
    return LabelBlock(
        models=tuple(models),
        model=_repeated([models[f.model] for f in frames], frames)[order],
        at=_column(frames, "at")[order],
        seq=_column(frames, "seq")[order],
        key=keys_of(requests.tolist()),
        request_id=requests,
        label=Words.of(_column(frames, "label")[order]),
        value=_column(frames, "value")[order],
        source=_sources(frames, order),
    )


def _sources(frames: Sequence[LabelFrame], order: IntArray) -> Words | None:
    if all(frame.source is None for frame in frames):
        return None
    columns = [np.full(len(f), None) if f.source is None else f.source for f in frames]
    return Words.of(np.concatenate(columns)[order])


def _predictions(frames: Sequence[PredictionFrame]) -> PredictionBlock:
    order = np.argsort(_column(frames, "seq"), kind="stable")
    each = [Member(f.model, f.version) for f in frames]
    members = {member: i for i, member in enumerate(dict.fromkeys(each))}
    requests, entities = _column(frames, "request_id")[order], _column(frames, "entity")[order]
    same = ("at", "seq", "duration_s", "status", "score", "value", "output_valid")
    return PredictionBlock(
        members=tuple(members),
        member=_repeated([members[member] for member in each], frames)[order],
        key=keys_of(requests.tolist()),
        request_id=requests,
        entity_key=keys_of(entities.tolist()),
        entity=entities,
        label=Words.of(_column(frames, "label")[order]),
        numeric=_features([f.numeric for f in frames], frames, np.nan, order),
        categorical={
            name: Words.of(texts)
            for name, texts in _features(
                [f.categorical for f in frames], frames, None, order
            ).items()
        },
        **{name: _column(frames, name)[order] for name in same},
    )


def _column(frames: Sequence[AnyFrame], name: str) -> Any:
    return np.concatenate([getattr(frame, name) for frame in frames])


def _repeated(codes: Sequence[int], frames: Sequence[AnyFrame]) -> Codes:
    return np.repeat(np.array(codes, dtype=np.int32), [len(frame) for frame in frames])


def _features(
    columns: Sequence[Mapping[str, Any]],
    frames: Sequence[AnyFrame],
    missing: float | None,
    order: IntArray,
) -> dict[str, Any]:
    names = sorted({name for each in columns for name in each})
    dtype = np.object_ if missing is None else np.float64
    empty = [np.full(len(frame), missing, dtype=dtype) for frame in frames]
    return {
        name: np.concatenate(
            [each.get(name, nothing) for each, nothing in zip(columns, empty, strict=True)]
        )[order]
        for name in names
    }
