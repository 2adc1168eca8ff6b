"""Many small blocks as few: those with the same features become one."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from watchkeeper.detectors.blocks import Block, LabelBlock, PredictionBlock
from watchkeeper.detectors.gathered import merged_sources
from watchkeeper.detectors.texts import Words

_PREDICTION = (
    "at", "seq", "key", "request_id", "entity_key", "entity",
    "duration_s", "status", "score", "value", "output_valid",
)  # fmt: skip
_LABEL = ("at", "seq", "key", "request_id", "value")


def merged(blocks: Sequence[Block]) -> list[Block]:
    """The blocks, of which those with the same features are joined; texts are held as objects."""
    alike: dict[Any, list[Any]] = {}
    for block in blocks:
        alike.setdefault(_features(block), []).append(block)
    return [
        _predictions(each) if isinstance(each[0], PredictionBlock) else _labels(each)
        for each in alike.values()
    ]


def _features(block: Block) -> Any:
    if isinstance(block, LabelBlock):
        return None
    return frozenset(block.numeric), frozenset(block.categorical)


def _predictions(blocks: Sequence[PredictionBlock]) -> PredictionBlock:
    first = blocks[0]
    if len(blocks) == 1:
        return first
    members, member = _recoded([(block.members, block.member) for block in blocks])
    return replace(
        first,
        members=members,
        member=member,
        label=_words(block.label for block in blocks),
        numeric={n: np.concatenate([b.numeric[n] for b in blocks]) for n in first.numeric},
        categorical={n: _words(b.categorical[n] for b in blocks) for n in first.categorical},
        **{n: np.concatenate([getattr(b, n) for b in blocks]) for n in _PREDICTION},
    )


def _labels(blocks: Sequence[LabelBlock]) -> LabelBlock:
    first = blocks[0]
    if len(blocks) == 1:
        return first
    models, model = _recoded([(block.models, block.model) for block in blocks])
    return replace(
        first,
        models=models,
        model=model,
        label=_words(block.label for block in blocks),
        source=merged_sources(blocks),
        **{n: np.concatenate([getattr(b, n) for b in blocks]) for n in _LABEL},
    )


def _words(columns: Iterable[Words]) -> Words:
    words, codes = _recoded([(column.words, column.codes) for column in columns])
    return Words(codes, words)


def _recoded(parts: Sequence[tuple[tuple[Any, ...], Any]]) -> tuple[tuple[Any, ...], Any]:
    """One dictionary for all parts, and their codes in it; -1 stays -1."""
    every = {
        word: i for i, word in enumerate(dict.fromkeys(w for words, _ in parts for w in words))
    }
    codes = [
        np.array([every[word] for word in words] + [-1], dtype=np.int32)[code]
        for words, code in parts
    ]
    return tuple(every), np.concatenate(codes)
