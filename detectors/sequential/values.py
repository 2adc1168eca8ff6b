"""Evidence of drift in numeric series of any distribution: whiten, rank, bet, add up."""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from watchkeeper.detectors.frames import BoolArray, FloatArray, IntArray
from watchkeeper.detectors.sequential.advance import Given, Rules, advance, evidence
from watchkeeper.detectors.sequential.bets import bets
from watchkeeper.detectors.sequential.chance import Words
from watchkeeper.detectors.sequential.kept import Kept, evident
from watchkeeper.detectors.sequential.layout import (
    EDGES,
    GAPS,
    SIDE,
    Records,
    evidence_fields,
    sketch_fields,
)
from watchkeeper.detectors.sequential.whiten import WHITENED, calibration
from watchkeeper.detectors.types import Direction

MOST = 1e15  # evidence that is counted up to
LARGEST = 600.0  # logarithm of what one window's bet can give
SHORTEST_MEMORY = 2 * GAPS


class ValueEvidence(Kept):
    """The universal Shiryaev-Roberts e-detector over many series.

    Evidence M of a series that does not change grows by 1 a value on average, so it passes a level
    A once in A values on average: A is the number of values in which one false alarm is accepted.
    Once a series drifts it grows exponentially (Shin, Ramdas and Rinaldo, E-detectors, NEJSDS 2,
    2024). That holds for any distribution, as far as values resemble each other no more in a row
    than otherwise; `calibrated` says whether they do.
    """

    name: ClassVar[str] = "values"

    def __init__(
        self,
        direction: Direction = "either",
        *,
        start: int = EDGES,
        memory: int = 100_000,
        whitens: bool = True,
        most: float = MOST,
    ) -> None:
        """`start` values are learned before the first bet; of more than `memory`, the older count
        less; evidence ends at `most`."""
        self.rules = rules_of(direction, start, memory, whitens, most)
        super().__init__(evidence_fields(self.rules.bets.kinds), sketch_fields())

    def update(
        self,
        rows: IntArray,
        keys: Words,
        values: FloatArray,
        *,
        salts: Words | None = None,
        learn: BoolArray | None = None,
    ) -> FloatArray:
        """Takes in values of these series, no series twice: one each (R,), or T each (R, T).

        Gives the evidence after each value, in the same shape. `keys` (R,) are those of the
        series, by which ties are drawn; values that are not finite tell nothing. What is not to
        `learn` (R,) is judged, but does not become part of the history.
        """
        self.reach(rows)
        table = values if values.ndim == 2 else values[:, None]
        salted = np.zeros(table.shape, dtype=np.uint64) if salts is None else salts
        learned = np.ones(len(rows), dtype=np.bool_) if learn is None else learn
        salted = salted.reshape(table.shape)
        given = Given(rows, rows, keys, table, salted, learned)
        return advance(self.parts[0], self.parts[1], given, self.rules).reshape(values.shape)

    def evidence(self, rows: IntArray) -> FloatArray:
        """M of these series (R,); its logarithm stands beside that of A."""
        self.reach(rows)
        return evidence(self.parts[0], rows, self.rules)

    def calibrated(self, rows: IntArray) -> IntArray:
        """A number of `Calibration` for each of these series (R,)."""
        self.reach(rows)
        held = self.parts[0][rows]
        return calibration(held["rank_variance"], held["rank_covariance"], held["bets"])

    def sound(self, parts: list[Records]) -> bool:
        """Whether these could be states."""
        return evident(parts[0]) and sound(*parts)


def rules_of(
    direction: Direction, start: int, memory: int, whitens: bool, most: float = MOST
) -> Rules:
    """The rules of betting with these settings."""
    return Rules(bets(direction), max(1, start), max(SHORTEST_MEMORY, memory), most, whitens)


def sound(held: Records, sketch: Records) -> bool:
    """Whether moments and histories are such as values can leave."""
    names = ("mean", "variance", "covariance", "last")
    real = [held[prefix + name] for prefix in ("", "rank_") for name in names]
    stages = (held["stage"] >= 0) & (held["stage"] <= WHITENED)
    learned, seen, bets_ = held["learned"], held["seen"], held["bets"]
    numbers = (learned >= 0) & (seen >= 0) & (bets_ >= 0) & stages
    if not (np.isfinite(real).all() and numbers.all()):
        return False
    used = np.arange(GAPS) < np.minimum(learned, EDGES)[..., None]
    edges = np.where(used, sketch["edges"], np.inf)
    rising = (edges[..., 1:] >= edges[..., :-1]) | ~used[..., 1:]
    full = learned >= EDGES
    counts = sketch["counts"].astype(np.int64)
    blocks = counts.reshape(*counts.shape[:-1], SIDE, SIDE).sum(axis=-1)
    added = (counts.sum(axis=-1) == learned + 1) & (blocks == sketch["sums"]).all(axis=-1)
    tops = sketch["tops"] == sketch["edges"][..., SIDE - 1 :: SIDE]
    finite = np.isfinite(sketch["edges"]).all() and np.isfinite(sketch["tops"]).all()
    return bool(finite and rising.all() and (~full | (added & tops.all(axis=-1))).all())
