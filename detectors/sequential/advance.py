"""One step of many series: whiten, rank, bet. NumPy says what is right, see `advance_fast`."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from watchkeeper.detectors import fast
from watchkeeper.detectors.frames import BoolArray, FloatArray, IntArray
from watchkeeper.detectors.sequential import ranks
from watchkeeper.detectors.sequential.bets import Bets
from watchkeeper.detectors.sequential.chance import Words, lots, ties, uniform
from watchkeeper.detectors.sequential.layout import Records
from watchkeeper.detectors.sequential.whiten import (
    LAG_LIMIT,
    RANK_SLOWEST,
    RANKS,
    SLOWEST,
    UNTESTED,
    VALUES,
    WHITE,
    WHITENED,
    Moments,
    bounded,
    correlated,
    memory_of,
    moved,
)


class Rules(NamedTuple):
    """How values are bet on.

    `start` values are learned before the first bet. From `memory` values on the older half counts
    less. `most` bounds the evidence. `whitens` says whether correlation is looked for.
    """

    bets: Bets
    start: int
    memory: int
    most: float
    whitens: bool


class Given(NamedTuple):
    """The values of S series in T steps, both of shape (S, T); NaN and infinities are passed over.

    `at` is the place of each series among the records of evidence, `rows` that among the sketches.
    `keys` are those of the series; `salts` are of shape (S, T). What is not to `learn`, of shape
    (S,), is ranked without becoming part of the history.
    """

    at: IntArray
    rows: IntArray
    keys: Words
    x: FloatArray
    salts: Words
    learn: BoolArray


_Now = Given  # of one step: values and salts of shape (S,)


def advance(held: Records, sketch: Records, given: Given, rules: Rules) -> FloatArray:
    """Takes the values in, changing `held` and `sketch`; the evidence after each, (S, T)."""
    if not fast.available():
        return plain(held, sketch, given, rules)
    from watchkeeper.detectors.sequential import advance_fast  # of use only with numba

    return advance_fast.advance(held, sketch, given, rules)


def plain(held: Records, sketch: Records, given: Given, rules: Rules) -> FloatArray:
    """As `advance`, without compiled loops."""
    result = np.empty(given.x.shape)
    for t in range(given.x.shape[1]):
        which = np.flatnonzero(np.isfinite(given.x[:, t]))
        if len(which):
            picked = _Now(
                given.at[which],
                given.rows[which],
                given.keys[which],
                given.x[which, t],
                given.salts[which, t],
                given.learn[which],
            )
            _step(held, sketch, picked, rules)
        result[:, t] = evidence(held, given.at, rules)
    return result


def evidence(held: Records, at: IntArray, rules: Rules) -> FloatArray:
    """The weighted sum over the kinds of bets, in their order."""
    sums = held["evidence"][at]
    total = np.zeros(len(at))
    for j, weight in enumerate(rules.bets.weights.tolist()):
        total = total + weight * sums[:, j]
    return total


def _step(held: Records, sketch: Records, given: _Now, rules: Rules) -> None:
    at, rows, x = given.at, given.rows, bounded(given.x)
    state = held[at]
    lot = lots(given.keys, state["seen"].astype(np.uint64), given.salts)
    tie = ties(lot)
    x = _whitened(state, x)
    learned = state["learned"]
    gap = ranks.gaps_of(sketch, rows, learned, x, tie)
    rank = ranks.ranks_of(sketch, rows, learned, gap, uniform(lot))
    betting = (state["stage"] != UNTESTED) & (learned >= rules.start)
    _bet(state, betting, rank, rules)
    learn = given.learn | ~betting
    ranks.learn(sketch, rows[learn], learned[learn], gap[learn], x[learn], tie[learn])
    learned = learned + learn
    full = learned >= rules.memory
    if full.any():
        learned[full] = ranks.halve(sketch, rows[full])
    state["learned"], state["seen"] = learned, state["seen"] + 1
    _test(state, rules)
    held[at] = state


def _whitened(state: Records, x: FloatArray) -> FloatArray:
    """What the values before do not explain, where a series has memory."""
    memory = memory_of(state["variance"], state["covariance"])
    rest = (x - state["mean"]) - memory * state["last"]
    result = np.where(state["stage"] == WHITENED, rest, x)
    _learn_moments(state, VALUES, x, state["seen"], SLOWEST)
    return result


def _bet(state: Records, betting: BoolArray, rank: FloatArray, rules: Rules) -> None:
    cells = len(rules.bets.table)
    cell = np.minimum((rank * cells).astype(np.int64), cells - 1)
    sums = (1.0 + state["evidence"]) * rules.bets.table[cell]
    total = np.zeros(len(rank))
    for j, weight in enumerate(rules.bets.weights.tolist()):
        total = total + weight * sums[:, j]
    much = total > rules.most
    factor = np.where(much, rules.most / total, 1.0)
    sums = np.where(much[:, None], sums * factor[:, None], sums)
    state["evidence"] = np.where(betting[:, None], sums, state["evidence"])
    some = state[betting]
    _learn_moments(some, RANKS, rank[betting], some["bets"], RANK_SLOWEST)
    some["bets"] += 1
    state[betting] = some


def _learn_moments(
    state: Records, names: Moments, x: FloatArray, seen: IntArray, slowest: float
) -> None:
    fields = (names.mean, names.variance, names.covariance, names.last)
    new = moved(tuple(state[name] for name in fields), x, seen, slowest)
    for name, values in zip(fields, new, strict=True):
        state[name] = values


def _test(state: Records, rules: Rules) -> None:
    """Says once, after `start` values, whether a series has memory; if so, ranks begin anew."""
    now = (state["stage"] == UNTESTED) & (state["learned"] >= rules.start)
    if not now.any():
        return
    memory = correlated(state["variance"], state["covariance"], state["seen"], LAG_LIMIT)
    memory = now & memory & rules.whitens
    state["stage"] = np.where(memory, WHITENED, np.where(now, WHITE, state["stage"]))
    state["learned"] = np.where(memory, 0, state["learned"])
