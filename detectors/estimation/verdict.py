"""Whether a window did harm: by its truths, or by an estimate that is trusted."""

from __future__ import annotations

from enum import StrEnum
from typing import NamedTuple

import numpy as np

from watchkeeper.detectors.types import BoolArray, FloatArray

SURE = 3.0  # errors beyond a limit at which what is not known yet cannot matter any more


class Why(StrEnum):
    """What a verdict rests on, or why there is none."""

    FEW = "too few predictions"
    UNDEFINED = "the measure is not defined here"
    OPEN = "truths that may still decide it are awaited"
    DISTRUSTED = "its estimate lies outside, but is not trusted"
    ESTIMATED = "a trusted estimate leaves no doubt"
    REALISED = "its truths are known"


class Limits(NamedTuple):
    """Where each of M measures is as it was in the reference, (M,) each."""

    low: FloatArray
    high: FloatArray
    expected: FloatArray

    @classmethod
    def of(cls, values: FloatArray, sigmas: float = 3.0) -> Limits:
        """The mean of the reference's windows, shape (K, M), give or take so many deviations.

        A measure that fewer than two windows define has no limits.
        """
        defined = np.isfinite(values)
        n = defined.sum(axis=0)
        mean = np.where(defined, values, 0.0).sum(axis=0) / np.maximum(n, 1)
        squares = np.where(defined, (values - mean) ** 2, 0.0).sum(axis=0)
        room = sigmas * np.sqrt(squares / np.maximum(n - 1, 1))
        few = n < 2
        low, high = np.where(few, -np.inf, mean - room), np.where(few, np.inf, mean + room)
        return cls(low, high, np.where(n < 1, np.nan, mean))

    def room(self, value: FloatArray) -> FloatArray:
        """How far values (R, M) are from the nearest limit, on whichever side of it."""
        return np.minimum(np.abs(value - self.low), np.abs(value - self.high))


class Verdicts(NamedTuple):
    """Of each measure of R windows, (R, M): `side` is -1 below and 1 above the limits, 0 within or
    not known; `final` says that nothing will change it; `why` holds what it rests on."""

    side: FloatArray
    final: BoolArray
    why: list[list[Why]]

    @property
    def outside(self) -> BoolArray:
        """Whether a measure is outside its limits for sure."""
        return np.asarray(self.side != 0)


def verdicts(
    value: FloatArray,
    error: FloatArray,
    limits: Limits,
    trusted: BoolArray,
    *,
    enough: BoolArray,
    settled: BoolArray,
) -> Verdicts:
    """Judges R windows as they are known now.

    `value` (R, M) with the `error` of what is not known, `trusted` (R, M); `enough` (R,): there
    are as many predictions as a verdict needs; `settled` (R,): no truth that matters is still to
    come, so the value stands. Before that a verdict needs a value `SURE` errors from every limit,
    and one of harm a trusted estimate.
    """
    side = np.where(value < limits.low, -1.0, 0.0) + np.where(value > limits.high, 1.0, 0.0)
    defined = np.isfinite(value) & np.isfinite(limits.expected)
    usable = defined & enough[:, None]
    done = usable & settled[:, None]
    clear = usable & ~done & (limits.room(value) > SURE * error)
    told = clear & (trusted | (side == 0))
    final = done | told
    reasons = np.full(value.shape, Why.OPEN, dtype=object)
    reasons[clear & ~told] = Why.DISTRUSTED
    reasons[told], reasons[done] = Why.ESTIMATED, Why.REALISED
    reasons[~defined] = Why.UNDEFINED
    reasons[~enough] = Why.FEW
    return Verdicts(np.where(final, side, 0.0), final, reasons.tolist())
