"""Blocks put together, and cut into the frames of their models."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import chain
from typing import Any, TypeVar

import numpy as np

from watchkeeper.detectors.blocks import Block, LabelBlock, PredictionBlock
from watchkeeper.detectors.frames import LabelFrame, PredictionFrame
from watchkeeper.detectors.roster import Numbered, Roster, first_of_each
from watchkeeper.detectors.texts import Codes, Spans, Texts, Words, behind, texts_of

T = TypeVar("T")
_SOME, _SMALL = 16, 64  # so many frames in a row, of fewer rows each, are made one
_SLACK = 65_536  # cells that may be empty in it, however its rows differ


def frames_of(blocks: Sequence[Block]) -> Iterator[PredictionFrame | LabelFrame]:
    """The blocks' rows as one frame for each kind, member and set of features, in the order of
    the blocks; predictions come before labels."""
    shapes: dict[tuple[tuple[str, ...], tuple[str, ...]], list[PredictionBlock]] = {}
    for each in blocks:
        if isinstance(each, PredictionBlock) and len(each):
            shapes.setdefault((tuple(each.numeric), tuple(each.categorical)), []).append(each)
    for alike in shapes.values():
        yield from _cut(predictions(alike), "member")
    labels_ = [each for each in blocks if isinstance(each, LabelBlock) and len(each)]
    if labels_:
        yield from _cut(labels(labels_), "model")


def predictions(blocks: Sequence[PredictionBlock]) -> PredictionBlock:
    """Blocks with the same features as one."""
    if len(blocks) == 1:
        return blocks[0]
    first = blocks[0]
    members, member = merged_codes([(b.members, b.member) for b in blocks])
    plain = ("at", "seq", "key", "entity_key", "duration_s", "status", "score", "value")
    columns: dict[str, Any] = {
        name: np.concatenate([getattr(b, name) for b in blocks])
        for name in (*plain, "output_valid")
    }
    return PredictionBlock(
        members=members,
        member=member,
        request_id=_texts([b.request_id for b in blocks]),
        entity=_texts([b.entity for b in blocks]),
        label=merged_words([b.label for b in blocks]),
        numeric={name: np.concatenate([b.numeric[name] for b in blocks]) for name in first.numeric},
        categorical={
            name: merged_words([b.categorical[name] for b in blocks]) for name in first.categorical
        },
        **columns,
    )


def labels(blocks: Sequence[LabelBlock]) -> LabelBlock:
    """Blocks of labels as one."""
    if len(blocks) == 1:
        return blocks[0]
    models, model = merged_codes([(b.models, b.model) for b in blocks])
    return LabelBlock(
        models=models,
        model=model,
        at=np.concatenate([b.at for b in blocks]),
        seq=np.concatenate([b.seq for b in blocks]),
        key=np.concatenate([b.key for b in blocks]),
        request_id=_texts([b.request_id for b in blocks]),
        label=merged_words([b.label for b in blocks]),
        value=np.concatenate([b.value for b in blocks]),
        source=merged_sources(blocks),
    )


def merged_sources(blocks: Sequence[LabelBlock]) -> Words | None:
    """Who told the truths of blocks, one after the other; None where nobody is named."""
    if all(block.source is None for block in blocks):
        return None
    return merged_words([b.source or Words.missing(len(b)) for b in blocks])


def add_frame(frames: list[PredictionFrame], frame: PredictionFrame) -> None:
    """Adds a frame of a version behind its others, and makes one of many small ones: at low load
    a turn brings a few rows, and each frame is many arrays. Not where their features differ so much
    that it would be mostly empty."""
    frames.append(frame)
    last = frames[-_SOME:]
    if len(last) == _SOME and all(len(each) < _SMALL for each in last) and _alike(last):
        frames[-_SOME:] = [one_frame(last)]


def _alike(frames: Sequence[PredictionFrame]) -> bool:
    """Whether each has at least half of all features, or what may be empty of these as one is
    little."""
    each = [{*frame.numeric, *frame.categorical} for frame in frames]
    names = len(set().union(*each))
    return names * sum(map(len, frames)) <= _SLACK or 2 * min(map(len, each)) >= names


def one_frame(frames: Sequence[PredictionFrame]) -> PredictionFrame:
    """Frames of one version as one; a feature that some of them lack is missing there."""
    names = ("at", "seq", "duration_s", "status", "label", "score", "value", "output_valid")
    columns: dict[str, Any] = {
        name: np.concatenate([getattr(frame, name) for frame in frames])
        for name in (*names, "request_id", "entity")
    }
    return PredictionFrame(
        model=frames[0].model,
        version=frames[0].version,
        numeric=filled([(len(f), f.numeric) for f in frames], np.nan, np.float64),
        categorical=filled([(len(f), f.categorical) for f in frames], None, np.object_),
        **columns,
    )


def filled(
    parts: Sequence[tuple[int, Mapping[str, Any]]], absent: float | None, dtype: Any
) -> dict[str, Any]:
    """Columns of all parts one after another, filled where a part, of so many rows, lacks one."""
    names = sorted({name for _, columns in parts for name in columns})
    if len(parts) == 1:
        return {name: parts[0][1][name] for name in names}
    table = np.full((len(names), sum(rows for rows, _ in parts)), absent, dtype=dtype)
    whole = dict(zip(names, table, strict=True))
    first = 0
    for rows, columns in parts:
        for name, column in columns.items():
            whole[name][first : first + rows] = column
        first += rows
    return whole


def _cut(block: Block, by: str) -> Iterator[PredictionFrame | LabelFrame]:
    codes: Codes = getattr(block, by)
    order = np.argsort(codes, kind="stable")
    ordered, codes = block.take(order), codes[order]
    cuts = np.flatnonzero(np.concatenate(([True], codes[1:] != codes[:-1])))
    ends = [*cuts.tolist()[1:], len(codes)]
    for start, end in zip(cuts.tolist(), ends, strict=True):
        yield ordered.frame(int(codes[start]), slice(start, end))


def merged_codes(parts: Sequence[tuple[tuple[T, ...], Codes]]) -> tuple[tuple[T, ...], Codes]:
    """Codes into several lists as codes into one."""
    names, numbers = merged_names([names for names, _ in parts])
    return names, _recoded(parts, numbers)


def merged_names(lists: Sequence[tuple[T, ...]]) -> tuple[tuple[T, ...], Codes]:
    """Several lists of names as one without any twice, and the places there of those of all lists,
    one behind the other."""
    roster = _roster_of(lists)
    if roster is None:
        every = dict.fromkeys(chain.from_iterable(lists))
        number = dict(zip(every, range(len(every)), strict=True)).__getitem__
        return tuple(every), np.fromiter(map(number, chain.from_iterable(lists)), np.int32)
    rows = [names.numbers for names in lists if isinstance(names, Numbered)]
    first = first_of_each(rows)
    place = np.full(len(roster), -1, dtype=np.int32)
    place[first] = np.arange(len(first), dtype=np.int32)
    return roster.of(first), place[np.concatenate(rows)]


def _roster_of(lists: Sequence[tuple[T, ...]]) -> Roster[T] | None:
    """What all names are out of, where that is one roster."""
    rosters = [names.roster if isinstance(names, Numbered) else None for names in lists]
    return rosters[0] if rosters and all(each is rosters[0] for each in rosters) else None


def _recoded(parts: Sequence[tuple[tuple[T, ...], Codes]], numbers: Codes) -> Codes:
    """The codes of all parts; `numbers` are the new ones of all lists, one behind the other."""
    sizes = [len(names) for names, _ in parts]
    begins = np.repeat(np.cumsum([0, *sizes[:-1]]), [len(codes) for _, codes in parts])
    codes = np.concatenate([codes for _, codes in parts])
    return np.append(numbers, np.int32(-1))[np.where(codes >= 0, codes + begins, len(numbers))]


def merged_words(columns: Sequence[Words]) -> Words:
    """Columns of words one after the other."""
    words, codes = merged_codes([(column.words, column.codes) for column in columns])
    return Words(codes, words)


def _texts(columns: Sequence[Texts]) -> Texts:
    if all(isinstance(column, Spans) and not column.buffer for column in columns):
        return Spans.nothing(sum(map(len, columns)))
    if all(isinstance(column, Spans) for column in columns):
        return _packed([column for column in columns if isinstance(column, Spans)])
    return np.concatenate([texts_of(column) for column in columns])


def _packed(columns: Sequence[Spans]) -> Spans:
    """The texts of all columns one behind the other, in a buffer that holds nothing else."""
    start, end = (np.concatenate([getattr(c, name) for c in columns]) for name in ("start", "end"))
    return Spans(b"".join([column.data() for column in columns]), *behind(start, end))
