"""What is kept of events: enough to join labels after a restart, and a sample as examples."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeVar

import numpy as np

from watchkeeper.daemon.journal import Journal, Reach
from watchkeeper.daemon.pieces import Pieces
from watchkeeper.daemon.storage.blocks import Packed
from watchkeeper.daemon.storage.values import Kept, KeptKind
from watchkeeper.detectors.blocks import (
    Block,
    LabelBlock,
    Member,
    Members,
    PredictionBlock,
    models_of,
)
from watchkeeper.detectors.gathered import labels, predictions
from watchkeeper.detectors.keys import Keys
from watchkeeper.detectors.roster import Common, Numbered, Remembered, Roster
from watchkeeper.detectors.texts import Codes, Spans, Texts
from watchkeeper.detectors.types import BoolArray, FloatArray, IntArray

EXAMPLES_A_SECOND = 1_000.0
EXAMPLES_AT_ONCE = 100_000.0
_HIGHEST = 2.0**64
# So many blocks of fewer rows each are worked on at once: a few hundred microseconds.
_SMALL, _AT_ONCE = 64, 16
_ROWS, _ROWS_A_NAME = 16_384, 8  # examples that are stored as one; see `journal`
_NAMES_A_ROW = 4  # so many may stay beside a row that has another one

T = TypeVar("T")

_Blocks = Callable[[], Iterator[Block | Packed]]
_Part = tuple[int, KeptKind, _Blocks]  # with the home of its models
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


@dataclass(slots=True)
class Gathered:
    """What was kept, in parts. It is put together only while somebody goes through it, in whichever
    thread that is, a part at a time; and may be gone through again."""

    gather: Callable[[], Sequence[_Part]]
    _parts: Sequence[_Part] | None = None

    def __iter__(self) -> Iterator[Kept]:
        if self._parts is None:
            self._parts = self.gather()
        for number, kind, blocks in self._parts:
            for block in blocks():
                yield Kept(number, kind, block)


class Keeping:
    """Gathers what is kept of events until it is stored, each with the home of its models.

    Small blocks that are kept whole are worked on some at a time: at low load a turn brings a few
    events, and each block is many arrays. `whole` is how many events are kept whole.
    """

    def __init__(self) -> None:
        self.whole = 0
        self._journals: dict[int, Journal] = {}
        self._whole: dict[int, dict[_Shape, Pieces[Any]]] = {}
        self._numbers: Remembered[str] = Remembered()  # a model moves only behind a checkpoint
        self._common: Common[str] = Common()
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
        until all of it has been gone through."""
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
            self._journals.setdefault(number, Journal()).add(block)
            chosen = _chosen(block, learning, share)
            if len(chosen):
                self._take(number, chosen)

    def _take(self, number: int, block: Block) -> None:
        self.whole += len(block)
        alike = self._whole.setdefault(number, {})
        join: Any = labels if isinstance(block, LabelBlock) else predictions
        alike.setdefault(_shape(block), Pieces(join)).add(block)

    def _at_home(self, block: Block) -> Iterator[tuple[int, Block]]:
        """The block's rows by the home of their models."""
        roster = _roster_of(block)
        common = -1 if roster is None else self._common.of(roster, len(block), self._home)
        if common >= 0:
            yield common, block
            return
        models, place = models_of(block)
        homes = self._numbers.of(models, self._home)
        first = int(homes[0]) if len(homes) and len(block) else -1
        if first >= 0 and first == np.minimum.reduce(homes) == np.maximum.reduce(homes):
            yield first, block
            return
        numbers = homes[place]
        for number in np.unique(numbers).tolist():
            if number >= 0:
                rows = numbers == number
                yield number, block if rows.all() else block.take(rows)

    def _home(self, model: str) -> int:
        return self._homes.get(model, -1)

    def kept(self, reach: Reach) -> Gathered:
        """All of it, but for what no label join needs any more. Nothing may be added behind it.

        Whoever goes through it first does the work that is left, and asks for homes and `reach`
        then: homes must hold until then, and `reach` must be for any thread.
        """
        return Gathered(partial(self._gathered, reach))

    def _gathered(self, reach: Reach) -> list[_Part]:
        for few in self._few.values():
            if few:
                self._add_few(few)
        joins: list[_Part] = [
            (number, "join", stretch.packed)
            for number, journal in sorted(self._journals.items())
            for stretch in journal.needed(reach)
        ]
        whole: list[_Part] = [
            (number, "whole", partial(alike[shape].bundles, _rows(alike[shape].parts)))
            for number, alike in sorted(self._whole.items())
            for shape in sorted(alike, key=lambda shape: shape is None)  # labels come last
        ]
        return [*joins, *whole]


def _roster_of(block: Block) -> Roster[str] | None:
    """The roster of the block's models, if they have one."""
    if isinstance(block, LabelBlock):
        return block.models.roster if isinstance(block.models, Numbered) else None
    return block.members.roster.models if isinstance(block.members, Members) else None


def _rows(blocks: Sequence[Block]) -> int:
    """How many rows to store as one."""
    names = max(
        len(each.models if isinstance(each, LabelBlock) else each.members) for each in blocks
    )
    return max(_ROWS, _ROWS_A_NAME * names)


def _shape(block: Block) -> _Shape:
    if isinstance(block, LabelBlock):
        return None
    return tuple(block.numeric), tuple(block.categorical)


def _chosen(block: Block, learning: AbstractSet[Member], share: float) -> Block:
    if share >= 1.0:
        return block
    chosen: BoolArray = block.key < np.uint64(max(share, 0.0) * (_HIGHEST - 2048))
    if isinstance(block, PredictionBlock) and learning:
        learns = np.array([member in learning for member in block.members], dtype=np.bool_)
        chosen = chosen | learns[block.member]
    rows = chosen.nonzero()[0]
    return _labels(block, rows) if isinstance(block, LabelBlock) else _predictions(block, rows)


# A few texts must not hold the whole buffer that they lie in, nor few rows very many names; `seq`
# only says in which order they are. Many columns of few rows each: what each costs beside counts.


def _predictions(block: PredictionBlock, rows: IntArray) -> PredictionBlock:
    members, member = _alone_of(block.members, block.member[rows])
    return PredictionBlock(
        members,
        member,
        *_requests(block, rows),
        block.entity_key[rows],
        _alone_in(block.entity, rows),
        block.duration_s[rows],
        block.status[rows],
        block.label.take(rows),
        block.score[rows],
        block.value[rows],
        block.output_valid[rows],
        {name: column[rows] for name, column in block.numeric.items()},
        {name: words.take(rows) for name, words in block.categorical.items()},
    )


def _labels(block: LabelBlock, rows: IntArray) -> LabelBlock:
    models, model = _alone_of(block.models, block.model[rows])
    return LabelBlock(
        models,
        model,
        *_requests(block, rows),
        block.label.take(rows),
        block.value[rows],
        None if block.source is None else block.source.take(rows),
    )


def _requests(block: Block, rows: IntArray) -> tuple[FloatArray, IntArray, Keys, Texts]:
    """When rows came, in which order, and of which requests: blocks of all kinds begin so."""
    return block.at[rows], rows, block.key[rows], _alone_in(block.request_id, rows)


def _alone_of(names: tuple[T, ...], codes: Codes) -> tuple[tuple[T, ...], Codes]:
    """The names that rows have, and the rows' places in them, where they have few of very many."""
    n = len(codes)
    if _NAMES_A_ROW * n >= len(names) or not n:
        return names, codes
    known = dict.fromkeys(codes.tolist())
    if len(known) == n:
        places, codes = codes, np.arange(n, dtype=np.int32)
    else:
        place = dict(zip(known, range(n), strict=False))
        places = np.array(list(known))
        codes = np.array([place[each] for each in codes.tolist()], dtype=np.int32)
    if isinstance(names, Numbered):
        return names.roster.of(names.numbers[places]), codes
    return tuple(names[each] for each in places.tolist()), codes


def _alone_in(column: Texts, rows: IntArray) -> Texts:
    return column.alone(rows) if isinstance(column, Spans) else column[rows]
