"""What is asked of the predictions that joins hold: how old they are, and what is known of them."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from watchkeeper.daemon.core.grouped import Grouped
from watchkeeper.daemon.core.joined import Answered
from watchkeeper.daemon.core.sampling import Sampling
from watchkeeper.daemon.core.side import Rows, Side, straight
from watchkeeper.detectors.keys import Keys
from watchkeeper.detectors.types import FloatArray


class Held:
    """The predictions of one side of `Joins`, by model. To ask changes nothing; `meet` is told of
    how many models there are at least."""

    def __init__(self, side: Side, sampling: Sampling, meet: Callable[[int], None]) -> None:
        self._side = side
        self._sampling = sampling
        self._meet = meet
        self._grouped = Grouped(side)

    @property
    def nbytes(self) -> int:
        """Bytes held beside the rows, so that those of a model are found."""
        return self._grouped.nbytes

    def forget(self) -> None:
        """The rows have been moved: what was found of them is looked for anew."""
        self._grouped.forget()

    def examples_since(self, model: int, at: float, known: float = float("inf")) -> int:
        """How many kept predictions made at or after `at` had a label before `known`: what a
        batch brought of later times must not count yet. Estimated where not all are kept."""
        if at >= known:
            return 0
        rows = self._mine(model)
        wanted = (rows["owner"] < 0) & (rows["at"] >= at) & (rows["value"] < known)
        return round(int(np.count_nonzero(wanted)) / self._sampling.share(model))

    def kept_since(self, model: int) -> float:
        """When the oldest prediction that is kept was made; minus infinity while none of a model
        had to make room for newer ones."""
        rows = self._mine(model)
        side = self._side
        full = len(rows) and (side.cut[model] or len(rows) >= int(side.room[model]))
        return float(rows["at"].min()) if full else -np.inf

    def coverage(self, model: int) -> float:
        """The share of the kept predictions whose label is known; NaN before the first."""
        rows = self._mine(model)
        return float(np.count_nonzero(rows["owner"] < 0)) / len(rows) if len(rows) else float("nan")

    def waits(self, model: int, known: float) -> tuple[FloatArray, FloatArray]:
        """Of each kept prediction how old it was at this time, and how long its label took: NaN
        where that was not known by then."""
        rows = self._mine(model)
        rows = rows[rows["at"] <= known]
        told = (rows["owner"] < 0) & (rows["value"] <= known)
        return known - rows["at"], np.where(told, rows["value"] - rows["at"], np.nan)

    def answered(self, model: int, member: int, known: float) -> Answered:
        """A version's kept predictions, and what was known of them at this time."""
        rows = self._mine(model)
        rows = rows[(straight(rows["owner"]) == member) & (rows["at"] <= known)]
        met = rows["owner"] < 0
        told, columns = met & (rows["value"] <= known), (rows["at"], rows["score"], rows["label"])
        return Answered(*columns, met, told, rows["value"])

    def answered_of(self, model: int, member: int, keys: Keys, known: float) -> Answered:
        """As `answered`, of these requests in their order; what is not kept has no score."""
        self._meet(model + 1)
        place, alive = self._side.find(np.full(len(keys), model), keys)
        rows = self._side.table.rows.take(place)
        alive &= (straight(rows["owner"]) == member) & (rows["at"] <= known)
        met = alive & (rows["owner"] < 0)
        told, score = met & (rows["value"] <= known), np.where(alive, rows["score"], np.nan)
        return Answered(rows["at"], score, rows["label"], met, told, rows["value"])

    def awaited(self, model: int) -> set[int]:
        """The members of which predictions are held, labelled ones and such as are let go of soon
        too: until they are gone the members' numbers may not be given to others."""
        rows = self._held(model)
        return set(np.unique(straight(rows["owner"][rows["key"] != 0])).tolist())

    def _mine(self, model: int) -> Rows:
        """The kept predictions of one model."""
        return self._side.living(model, self._held(model))

    def _held(self, model: int) -> Rows:
        """The rows of one model's predictions, also those that are not kept any more."""
        self._meet(model + 1)
        return self._grouped.rows(model)
