"""What is kept of events: enough to join labels after a restart, and a sample as examples."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np

from watchkeeper.daemon.storage.values import Kept
from watchkeeper.detectors.blocks import (
    Block,
    Codes,
    LabelBlock,
    Member,
    PredictionBlock,
    Spans,
    Words,
    models_of,
    texts_of,
)
from watchkeeper.detectors.gathered import labels, merged_codes, merged_words, predictions
from watchkeeper.detectors.keys import Keys
from watchkeeper.detectors.types import BoolArray, FloatArray

EXAMPLES_A_SECOND = 5_000.0
EXAMPLES_AT_ONCE = 100_000.0
_HIGHEST = 2.0**64


@dataclass
class Examples:
    """Chooses requests to keep whole: all of them up to so many a second, else a share of them.

    Chosen is by the request's key, so a prediction and its label are kept both or neither.
    """

    a_second: float = EXAMPLES_A_SECOND
    _left: float = EXAMPLES_AT_ONCE
    _at: float = float("-inf")

    def share(self, n: int, at: float) -> float:
        """The share of n events that may be kept; `at` is the time of a steady clock, seconds."""
        elapsed = max(at - self._at, 0.0)
        self._at = at
        self._left = min(self._left + self.a_second * elapsed, EXAMPLES_AT_ONCE)
        share = 1.0 if n <= self._left else self._left / n
        self._left -= share * n
        return share


class _Joinable(NamedTuple):
    """What a label join needs of predictions."""

    members: tuple[Member, ...]
    member: Codes
    at: FloatArray
    key: Keys
    label: Words
    score: FloatArray
    value: FloatArray


class Keeping:
    """Gathers what is kept of events until it is stored, each with the home of its models."""

    def __init__(self) -> None:
        self._made: dict[int, list[_Joinable]] = {}
        self._truths: dict[int, list[LabelBlock]] = {}
        self._whole: dict[int, list[Block]] = {}

    def add(
        self,
        blocks: Iterable[Block],
        homes: Mapping[str, int],
        learning: AbstractSet[Member],
        share: float,
    ) -> None:
        """Of every event what a label join needs; whole those of the chosen share of requests,
        and of versions whose reference is still being learned."""
        for number, block in _at_home(blocks, homes):
            if isinstance(block, LabelBlock):
                truths = replace(block, request_id=Spans.nothing(len(block)))
                self._truths.setdefault(number, []).append(truths)
            else:
                b = block
                made = _Joinable(b.members, b.member, b.at, b.key, b.label, b.score, b.value)
                self._made.setdefault(number, []).append(made)
            chosen = _chosen(block, learning, share)
            if len(chosen):
                self._whole.setdefault(number, []).append(chosen)

    def kept(self) -> list[Kept]:
        """All of it, as few blocks as can be."""
        made = [Kept(n, "join", _together(rows)) for n, rows in sorted(self._made.items())]
        truths = [Kept(n, "join", labels(rows)) for n, rows in sorted(self._truths.items())]
        whole = [
            Kept(number, "whole", block)
            for number, blocks in sorted(self._whole.items())
            for block in _merged(blocks)
        ]
        return [*made, *truths, *whole]


def _together(parts: Sequence[_Joinable]) -> PredictionBlock:
    """The rows as one block, without anything else."""
    members, member = merged_codes([(part.members, part.member) for part in parts])
    n = len(member)
    return PredictionBlock(
        members=members,
        member=member,
        at=np.concatenate([part.at for part in parts]),
        seq=np.arange(n, dtype=np.int64),
        key=np.concatenate([part.key for part in parts]),
        request_id=Spans.nothing(n),
        entity_key=np.zeros(n, dtype=np.uint64),
        entity=Spans.nothing(n),
        duration_s=np.full(n, np.nan),
        status=np.zeros(n, dtype=np.int64),
        label=merged_words([part.label for part in parts]),
        score=np.concatenate([part.score for part in parts]),
        value=np.concatenate([part.value for part in parts]),
        output_valid=np.ones(n, dtype=np.bool_),
        numeric={},
        categorical={},
    )


def _at_home(blocks: Iterable[Block], homes: Mapping[str, int]) -> Iterator[tuple[int, Block]]:
    """The blocks' rows by the home of their models."""
    for block in blocks:
        models, place = models_of(block)
        numbers = np.array([homes.get(model, -1) for model in models], dtype=np.int64)[place]
        for number in np.unique(numbers).tolist():
            if number >= 0:
                rows = numbers == number
                yield number, block if rows.all() else block.take(rows)


def _chosen(block: Block, learning: AbstractSet[Member], share: float) -> Block:
    if share >= 1.0:
        return block
    chosen: BoolArray = block.key < np.uint64(max(share, 0.0) * (_HIGHEST - 2048))
    if isinstance(block, PredictionBlock) and learning:
        learns = np.array([member in learning for member in block.members], dtype=np.bool_)
        chosen = chosen | learns[block.member]
    some = block.take(chosen)
    # A few texts must not hold the whole buffer that they lie in.
    if isinstance(some, LabelBlock):
        return replace(some, request_id=texts_of(some.request_id))
    return replace(some, request_id=texts_of(some.request_id), entity=texts_of(some.entity))


def _merged(blocks: Iterable[Block]) -> Iterator[Block]:
    """One block for each set of features, then one of labels; none is empty."""
    shapes: dict[tuple[tuple[str, ...], tuple[str, ...]], list[PredictionBlock]] = {}
    truths: list[LabelBlock] = []
    for block in blocks:
        if not len(block):
            continue
        if isinstance(block, LabelBlock):
            truths.append(block)
        else:
            shape = tuple(block.numeric), tuple(block.categorical)
            shapes.setdefault(shape, []).append(block)
    yield from (predictions(alike) for alike in shapes.values())
    if truths:
        yield labels(truths)
