"""What label joins need of events after a restart: as little of each as can be, and of those only
that the joins still reach back to."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import repeat
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from watchkeeper.daemon.storage.blocks import Packed, Stored, counted
from watchkeeper.daemon.storage.columns import MISSING, Column, raw
from watchkeeper.daemon.storage.growing import Growing, Named, Reals, Settled, Texts, Times
from watchkeeper.detectors.blocks import Block, LabelBlock, Member, Members, PredictionBlock
from watchkeeper.detectors.texts import Words

# Rows that are stored as one: enough to be worth their names; and few enough for a copy to lie in
# memory that was used before, which larger ones than 8 MiB do not, at several times the cost.
_ROWS, _ROWS_A_NAME, _MOST_ROWS = 65_536, 64, 262_144

Reach = Callable[[str], int]  # how many of a model's newest events its label join may need

_NOT_KEPT = ("request_id", "entity_key", "entity", "duration_s", "status", "output_valid")


class _Rows:
    """Events of one kind one behind the other, with what label joins need of them: mostly 16 to 27
    bytes of a prediction and 15 of a label."""

    def __init__(self) -> None:
        self._at = Times()
        self._key = Growing(np.uint64)
        self._label = Texts()
        self._value = Reals()

    def __len__(self) -> int:
        return len(self._key)

    def _add(self, block: Block, most: int) -> None:
        n = len(block)
        self._at.add(block.at, most)
        self._key.more(n, most)[:] = block.key
        self._label.add(block.label, most)
        self._value.add(block.value, most)

    def _packed(
        self,
        kind: Literal["prediction", "label"],
        names: Sequence[tuple[str, str]],
        counts: Mapping[str, int],
        place: npt.NDArray[Any],
        columns: dict[str, Column],
    ) -> Packed:
        columns |= {
            "place": Column(*raw(place)) if place.any() else Column(MISSING),
            "at": self._at.column(),
            "key": Column(*raw(self._key.all)),
            "label": self._label.column(),
            "value": self._value.column(),
        }
        stored = Stored(kind, len(self), names, columns)
        return Packed(stored, counts, *self._at.ends(), self._key.all)


class _Made(_Rows):
    """Predictions."""

    def __init__(self) -> None:
        super().__init__()
        self.of: Named[Member] = Named()
        self._score = Reals()

    def add(self, block: PredictionBlock, most: int) -> None:
        """Takes more in."""
        self.of.add(block.members, block.member, most)
        self._score.add(block.score, most)
        self._add(block, most)

    def counts(self) -> Mapping[str, int]:
        """How many rows each model has."""
        return _counts(self.of.settled())

    def packed(self) -> Packed:
        """All of them, ready to be written."""
        settled = self.of.settled()
        columns = dict.fromkeys(_NOT_KEPT, Column(MISSING)) | {"score": self._score.column()}
        return self._packed("prediction", settled.names, _counts(settled), settled.places, columns)


class _Truths(_Rows):
    """Labels."""

    def __init__(self) -> None:
        super().__init__()
        self.of: Named[str] = Named()
        self._source = Texts()
        self._sourced = False

    def add(self, block: LabelBlock, most: int) -> None:
        """Takes more in."""
        self._sourced |= block.source is not None
        self._source.add(block.source or Words.missing(len(block)), most)
        self.of.add(block.models, block.model, most)
        self._add(block, most)

    def counts(self) -> Mapping[str, int]:
        """How many rows each model has."""
        settled = self.of.settled()
        return counted(settled.names, settled.counts.tolist())

    def packed(self) -> Packed:
        """All of them, ready to be written."""
        models, place, counts = self.of.settled()
        columns = {"request_id": Column(MISSING)}
        if self._sourced:
            columns["source"] = self._source.column()
        names = list(zip(models, repeat("")))
        return self._packed("label", names, counted(models, counts.tolist()), place, columns)


def _counts(settled: Settled[Member]) -> Mapping[str, int]:
    members = settled.names
    if isinstance(members, Members):
        return counted(members.models, settled.counts.tolist())
    models = [each.model for each in members]
    return counted(models, settled.counts.tolist())


class Stretch:
    """Predictions and labels that came at about the same time."""

    def __init__(self) -> None:
        self.made = _Made()
        self.truths = _Truths()

    @property
    def names(self) -> int:
        """How many different ones a block had at most."""
        return max(self.made.of.most_names, self.truths.of.most_names)

    @property
    def rows(self) -> int:
        """How many predictions make it full, or labels."""
        return max(_ROWS, min(_ROWS_A_NAME * self.names, _MOST_ROWS))

    @property
    def full(self) -> bool:
        """Whether what comes next belongs to another one."""
        return max(len(self.made), len(self.truths)) >= self.rows

    def add(self, block: Block) -> None:
        """Takes events in."""
        if isinstance(block, LabelBlock):
            self.truths.add(block, self.rows + len(block))
        else:
            self.made.add(block, self.rows + len(block))

    def packed(self) -> Iterator[Packed]:
        """All of it, ready to be written: predictions come before labels."""
        if len(self.made):
            yield self.made.packed()
        if len(self.truths):
            yield self.truths.packed()


class Journal:
    """What label joins need of the events of one partition's models, in order of arrival."""

    def __init__(self) -> None:
        self._stretches = [Stretch()]

    def add(self, block: Block) -> None:
        """Takes events in; what is not needed of them is let go of."""
        if not len(block):
            return
        if self._stretches[-1].full:
            self._stretches.append(Stretch())
        self._stretches[-1].add(block)

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
            predicted, labelled = each.made.counts(), each.truths.counts()
            needed = any(made[model] < reach(model) for model in {**predicted, **labelled})
            if needed or any(truths[model] < reach(model) for model in labelled):
                found.append(each)
                made.update(predicted)
                truths.update(labelled)
        return found[::-1]

    def _may_reach_too_far(self, reach: Reach) -> bool:
        """Whether there is so much that it is worth a look: with many models hardly ever."""
        given = [each.made for each in self._stretches if len(each.made)]
        if len(self._stretches) == 1 or not given:
            return False
        fewest = min(given, key=lambda made: made.of.most_names)
        least = min(map(reach, fewest.counts()))
        return sum(map(len, given)) > least * fewest.of.most_names
