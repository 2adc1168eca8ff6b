"""What is kept of events: enough to join labels after a restart, and a sample as examples."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence, Sized
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, replace
from typing import Any, Generic, TypeVar

import numpy as np

from watchkeeper.daemon.storage.values import Kept
from watchkeeper.detectors.blocks import Block, LabelBlock, Member, PredictionBlock, models_of
from watchkeeper.detectors.gathered import labels, merged_codes, merged_words, predictions
from watchkeeper.detectors.keys import Keys
from watchkeeper.detectors.roster import Remembered
from watchkeeper.detectors.texts import Codes, Spans, Texts, Words
from watchkeeper.detectors.types import BoolArray, FloatArray

EXAMPLES_A_SECOND = 5_000.0
EXAMPLES_AT_ONCE = 100_000.0
_HIGHEST = 2.0**64
_SOME, _SMALL = 16, 64  # so many pieces in a row, of fewer rows each, are joined at once
_AT_ONCE = 64  # so many small blocks are worked on at once

P = TypeVar("P", bound=Sized)
_Shape = tuple[tuple[str, ...], tuple[str, ...]] | None  # names of features; None: of labels


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


@dataclass(frozen=True, slots=True)
class _Rows:
    """What a label join needs of predictions."""

    members: tuple[Member, ...]
    member: Codes
    at: FloatArray
    key: Keys
    label: Words
    score: FloatArray
    value: FloatArray

    def __len__(self) -> int:
        return len(self.at)


class Pieces(Generic[P]):
    """Pieces in order that `join` makes one of.

    Small ones are joined as soon as there are some: at low load a turn brings a few events, and
    to join hundreds of pieces when they are to be stored would hold everything up.

    >>> pieces = Pieces(lambda parts: sum(parts, ()))
    >>> for i in range(100):
    ...     pieces.add((i,))
    >>> len(pieces.parts), pieces.joined() == tuple(range(100))
    (10, True)
    """

    def __init__(self, join: Callable[[Sequence[P]], P]) -> None:
        self.parts: list[P] = []
        self._join = join
        self._small = 0  # pieces at the end that are small, in a row

    def add(self, part: P) -> None:
        """Takes one more."""
        self.parts.append(part)
        self._small = self._small + 1 if len(part) < _SMALL else 0
        if self._small == _SOME:
            joined = self.joined(_SOME)
            del self.parts[-_SOME:]
            self._small = 0
            self.add(joined)

    def joined(self, last: int = 0) -> P:
        """All as one, or the `last` ones."""
        return self._join(self.parts[-last:])


class Keeping:
    """Gathers what is kept of events until it is stored, each with the home of its models.

    Small blocks that are kept whole are worked on some at a time: at low load a turn brings a few
    events, and each block is many arrays.
    """

    def __init__(self) -> None:
        self._made: dict[int, Pieces[_Rows]] = {}
        self._truths: dict[int, Pieces[LabelBlock]] = {}
        self._whole: dict[int, dict[_Shape, Pieces[Any]]] = {}
        self._numbers: Remembered[str] = Remembered()  # a model moves only behind a checkpoint
        self._homes: Mapping[str, int] = {}
        self._few: dict[type[Block], list[Any]] = {PredictionBlock: [], LabelBlock: []}

    def add(
        self,
        blocks: Iterable[Block],
        homes: Mapping[str, int],
        learning: AbstractSet[Member],
        share: float,
    ) -> None:
        """Of every event what a label join needs; whole those of the chosen share of requests,
        and of versions whose reference is still being learned. `homes` must hold for all models
        until everything has been asked for."""
        self._homes = homes
        for block in blocks:
            few = self._few[type(block)]
            small = share >= 1.0 and len(block) < _SMALL
            if few and not (small and _shape(few[0]) == _shape(block)):
                self._add_few(few)
            if not small:
                self._add(block, learning, share)
                continue
            few.append(block)
            if len(few) == _AT_ONCE:
                self._add_few(few)

    def _add_few(self, few: list[Any]) -> None:
        joined = labels(few) if isinstance(few[0], LabelBlock) else predictions(few)
        few.clear()
        self._add(joined, frozenset(), 1.0)

    def _add(self, given: Block, learning: AbstractSet[Member], share: float) -> None:
        for number, block in self._at_home(given):
            if isinstance(block, LabelBlock):
                truths = replace(block, request_id=Spans.nothing(len(block)))
                self._truths.setdefault(number, Pieces(labels)).add(truths)
            else:
                b = block
                made = _Rows(b.members, b.member, b.at, b.key, b.label, b.score, b.value)
                self._made.setdefault(number, Pieces(_together)).add(made)
            chosen = _chosen(block, learning, share)
            if len(chosen):
                self._take(number, chosen)

    def _take(self, number: int, block: Block) -> None:
        alike = self._whole.setdefault(number, {})
        join: Any = labels if isinstance(block, LabelBlock) else predictions
        alike.setdefault(_shape(block), Pieces(join)).add(block)

    def _at_home(self, block: Block) -> Iterator[tuple[int, Block]]:
        """The block's rows by the home of their models."""
        models, place = models_of(block)
        numbers = self._numbers.of(models, lambda model: self._homes.get(model, -1))[place]
        if len(numbers) and numbers[0] >= 0 and (numbers == numbers[0]).all():
            yield int(numbers[0]), block
            return
        for number in np.unique(numbers).tolist():
            if number >= 0:
                rows = numbers == number
                yield number, block if rows.all() else block.take(rows)

    def kept(self) -> list[Kept]:
        """All of it, as few blocks as can be."""
        for few in self._few.values():
            if few:
                self._add_few(few)
        made = [Kept(n, "join", _alone(rows.joined())) for n, rows in sorted(self._made.items())]
        truths = [Kept(n, "join", rows.joined()) for n, rows in sorted(self._truths.items())]
        whole = [
            Kept(number, "whole", alike[shape].joined())
            for number, alike in sorted(self._whole.items())
            for shape in sorted(alike, key=lambda shape: shape is None)  # labels come last
        ]
        return [*made, *truths, *whole]


def _shape(block: Block) -> _Shape:
    if isinstance(block, LabelBlock):
        return None
    return tuple(block.numeric), tuple(block.categorical)


def _together(parts: Sequence[_Rows]) -> _Rows:
    """Rows one behind the other."""
    members, member = merged_codes([(part.members, part.member) for part in parts])
    return _Rows(
        members,
        member,
        np.concatenate([part.at for part in parts]),
        np.concatenate([part.key for part in parts]),
        merged_words([part.label for part in parts]),
        np.concatenate([part.score for part in parts]),
        np.concatenate([part.value for part in parts]),
    )


def _alone(rows: _Rows) -> PredictionBlock:
    """The rows as a block, without anything else."""
    n = len(rows)
    return PredictionBlock(
        members=rows.members,
        member=rows.member,
        at=rows.at,
        seq=np.arange(n, dtype=np.int64),
        key=rows.key,
        request_id=Spans.nothing(n),
        entity_key=np.zeros(n, dtype=np.uint64),
        entity=Spans.nothing(n),
        duration_s=np.full(n, np.nan),
        status=np.zeros(n, dtype=np.int64),
        label=rows.label,
        score=rows.score,
        value=rows.value,
        output_valid=np.ones(n, dtype=np.bool_),
        numeric={},
        categorical={},
    )


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
        return replace(some, request_id=_alone_in(some.request_id))
    return replace(some, request_id=_alone_in(some.request_id), entity=_alone_in(some.entity))


def _alone_in(column: Texts) -> Texts:
    return column.packed() if isinstance(column, Spans) else column
