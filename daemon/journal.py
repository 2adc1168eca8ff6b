"""What label joins need of events after a restart: as little of each as can be, and of those only
that the joins still reach back to."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal, TypeVar

import numpy as np
import numpy.typing as npt

from watchkeeper.daemon.pieces import Pieces
from watchkeeper.daemon.storage import behind
from watchkeeper.daemon.storage.blocks import Packed, Stored, counted
from watchkeeper.daemon.storage.columns import MISSING, Column, raw, words
from watchkeeper.detectors.blocks import Block, LabelBlock, Member, PredictionBlock
from watchkeeper.detectors.gathered import labels, merged_codes, merged_sources, merged_words
from watchkeeper.detectors.keys import Keys
from watchkeeper.detectors.texts import Codes, Spans, Words
from watchkeeper.detectors.types import FloatArray

# Rows that are stored as one: few enough for their copies to lie in memory that was used before,
# as to copy them into new memory costs several times more; and enough to be worth their names.
_ROWS, _ROWS_A_NAME = 65_536, 128

Reach = Callable[[str], int]  # how many of a model's newest events its label join may need
_LONGEST = 1 << 40  # rows: columns in which nothing is given take no room, however long they are
_ZEROS = np.broadcast_to(np.int64(0), _LONGEST)
_NO_TEXTS = np.broadcast_to(np.int64(-1), _LONGEST)
_NANS = np.broadcast_to(np.float64("nan"), _LONGEST)
_MOST = 1.5  # times its own size that a column may keep in memory

_NOT_KEPT = ("request_id", "entity_key", "entity", "duration_s", "status", "output_valid")

N = TypeVar("N", bound=np.generic)


@dataclass(frozen=True, slots=True)
class Made:
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

    @classmethod
    def of(cls, block: PredictionBlock) -> Made:
        """That of a block."""
        b, given = block, _given
        member, at, key, label = _alone(b.member), _alone(b.at), _alone(b.key), _words(b.label)
        return cls(b.members, member, at, key, label, given(b.score), given(b.value))


@dataclass
class Stretch:
    """Predictions and labels that came at about the same time."""

    made: Pieces[Made] = field(default_factory=lambda: Pieces(_together))
    truths: Pieces[LabelBlock] = field(default_factory=lambda: Pieces(labels))
    names: int = 0  # that one of the pieces had at most

    @property
    def full(self) -> bool:
        """Whether what comes next belongs to another one."""
        return max(self.made.rows, self.truths.rows) >= max(_ROWS, _ROWS_A_NAME * self.names)

    def packed(self) -> Iterator[Packed]:
        """All of it, ready to be written: predictions come before labels."""
        if self.made.rows:
            yield _packed_made(self.made.parts)
        if self.truths.rows:
            yield _packed_truths(self.truths.parts)


class Journal:
    """What label joins need of the events of one partition's models, in order of arrival."""

    def __init__(self) -> None:
        self._stretches = [Stretch()]

    def add(self, block: Block) -> None:
        """Takes events in; what is not needed of them is let go of."""
        stretch = self._stretches[-1]
        if stretch.full:
            stretch = Stretch()
            self._stretches.append(stretch)
        if isinstance(block, LabelBlock):
            stretch.truths.add(_bare(block))
            stretch.names = max(stretch.names, len(block.models))
        else:
            stretch.made.add(Made.of(block))
            stretch.names = max(stretch.names, len(block.members))

    def needed(self, reach: Reach) -> list[Stretch]:
        """The stretches, in order, of which some join may need something: of what is in the others
        every model has as many newer predictions as its join reaches back, and as many newer
        labels where it has labels there."""
        if not self._may_reach_too_far(reach):
            return self._stretches
        made: Counter[str] = Counter()
        truths: Counter[str] = Counter()
        found = []
        for each in reversed(self._stretches):
            predicted, labelled = _counts(each.made.parts), _counts(each.truths.parts)
            needed = any(made[model] < reach(model) for model in predicted | labelled)
            if needed or any(truths[model] < reach(model) for model in labelled):
                found.append(each)
                made.update(predicted)
                truths.update(labelled)
        return found[::-1]

    def _may_reach_too_far(self, reach: Reach) -> bool:
        """Whether there is so much that it is worth a look: with many models hardly ever."""
        parts = [part for each in self._stretches for part in each.made.parts]
        if len(self._stretches) == 1 or not parts:
            return False
        fewest = min(parts, key=lambda part: len(part.members))
        least = min((reach(member.model) for member in fewest.members), default=0)
        return sum(map(len, parts)) > least * len(fewest.members)


def _counts(parts: Sequence[Made] | Sequence[LabelBlock]) -> Counter[str]:
    """How many rows each model has."""
    found: Counter[str] = Counter()
    for part in parts:
        if isinstance(part, LabelBlock):
            models, place = part.models, part.model
        else:
            models, place = tuple(member.model for member in part.members), part.member
        for code, n in enumerate(np.bincount(place).tolist()):
            if n:
                found[models[code]] += n
    return found


def _packed_made(parts: Sequence[Made]) -> Packed:
    """Predictions one behind the other, and nothing else of them than what they have here."""
    members, member = behind.places([(part.members, part.member) for part in parts])
    columns = dict.fromkeys(_NOT_KEPT, Column(MISSING)) | {
        "label": behind.words([part.label for part in parts]),
        "score": behind.reals([part.score for part in parts]),
        "value": behind.reals([part.value for part in parts]),
    }
    models = [each.model for each in members]
    return _packed("prediction", list(members), models, member, parts, columns)


def _packed_truths(parts: Sequence[LabelBlock]) -> Packed:
    """Labels one behind the other."""
    models, model = behind.places([(part.models, part.model) for part in parts])
    columns = {
        "request_id": Column(MISSING),
        "label": behind.words([part.label for part in parts]),
        "value": behind.reals([part.value for part in parts]),
    }
    source = merged_sources(parts)
    if source is not None:
        columns["source"] = words(source)
    names = [(name, "") for name in models]
    return _packed("label", names, models, model, parts, columns)


def _packed(
    kind: Literal["prediction", "label"],
    names: Sequence[tuple[str, str]],
    models: Sequence[str],
    place: npt.NDArray[Any],
    parts: Sequence[Made] | Sequence[LabelBlock],
    columns: dict[str, Column],
) -> Packed:
    keys = np.concatenate([part.key for part in parts])
    columns["place"] = Column(*raw(place)) if place.any() else Column(MISSING)
    columns["at"] = behind.times([part.at for part in parts])
    columns["key"] = Column(*raw(keys))
    ends = min(float(p.at.min()) for p in parts), max(float(p.at.max()) for p in parts)
    stored = Stored(kind, len(keys), names, columns)
    return Packed(stored, counted(models, place), *ends, keys)


def _together(parts: Sequence[Made]) -> Made:
    """Rows one behind the other."""
    if len(parts) == 1:
        return parts[0]
    members, member = merged_codes([(part.members, part.member) for part in parts])
    return Made(
        members,
        member,
        np.concatenate([part.at for part in parts]),
        np.concatenate([part.key for part in parts]),
        merged_words([part.label for part in parts]),
        np.concatenate([part.score for part in parts]),
        np.concatenate([part.value for part in parts]),
    )


def _bare(block: LabelBlock) -> LabelBlock:
    """Labels with what a join needs of them."""
    n = len(block)
    return replace(
        block,
        model=_alone(block.model),
        at=_alone(block.at),
        seq=_ZEROS[:n],
        key=_alone(block.key),
        request_id=_no_texts(n),
        label=_words(block.label),
        value=_given(block.value),
    )


def _given(column: FloatArray) -> FloatArray:
    """The column; one that takes no room where all of it is missing."""
    missing = len(column) and np.isnan(column[0]) and np.isnan(column).all()
    return _NANS[: len(column)] if missing else _alone(column)


def _words(column: Words) -> Words:
    codes = _alone(column.codes)
    return column if codes is column.codes else Words(codes, column.words)


def _alone(column: npt.NDArray[N]) -> npt.NDArray[N]:
    """The column; a copy where it keeps much else in memory, as one of a matrix does."""
    whole = column.base
    if whole is None or getattr(whole, "nbytes", math.inf) <= _MOST * column.nbytes:
        return column
    return column.copy()


def _no_texts(n: int) -> Spans:
    return Spans(b"", _NO_TEXTS[:n], _NO_TEXTS[:n])
