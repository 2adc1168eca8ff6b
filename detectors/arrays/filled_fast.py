"""Samples of closed windows in compiled loops, all series at once, to the last bit."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt

from watchkeeper.detectors.arrays import tally
from watchkeeper.detectors.arrays.sampled_fast import index_of, quantiles_of, terms_of
from watchkeeper.detectors.banks.arithmetic_fast import most
from watchkeeper.detectors.fast import kernel
from watchkeeper.detectors.signals._exact import STEPS
from watchkeeper.detectors.signals.latency import ACCURACY

Table = npt.NDArray[Any]
To = tuple[Table, Table, Table]  # given, n, and the other numbers of samples

# The kinds of series, in the order of `at`: which column the first of each is, -1 for none.
KINDS = (
    "clients", "errors", "missing", "outside", "means", "histograms", "unseen", "categories",
    "missing_features", "new_features", "labels", "latency", "invalid", "positive", "numbers",
    "rates", "classes", "volume",
)  # fmt: skip
(
    _CLIENTS, _ERRORS, _MISSING, _OUTSIDE, _MEANS, _HISTOGRAMS, _UNSEEN, _CATEGORIES,
    _MISSING_FEATURES, _NEW_FEATURES, _LABELS, _LATENCY, _INVALID, _POSITIVE, _NUMBERS,
    _RATES, _CLASSES, _VOLUME,
) = range(len(KINDS))  # fmt: skip
# `sizes`: numeric and categorical features, columns of numbers and of texts, kept classes, and the
# place of the positive one among them, -1 where it is none of them, -2 where there are no classes.
_P, _Q, _NUMBERS_ALL, _TEXTS_ALL, _KEPT, _PLACE = range(6)
VALUE, STDERR, EXPECTED = range(3)  # layers of the other numbers
_STEPS, _EXACT, _ACCURACY = float(STEPS), 1 << 53, ACCURACY
_N, _OK, _ERROR, _TIMEOUT, _BAD = tally.N, tally.OK, tally.ERROR, tally.TIMEOUT, tally.INVALID
_ANSWERED, _YES, _NEW, _MEASURED = tally.ANSWERED, tally.POSITIVE, tally.NEW, tally.MEASURED
_TN, _FP, _FN, _TP = tally.TN, tally.FP, tally.FN, tally.TP
_GONE, _OUT, _BIN = tally.MISSING, tally.OUTSIDE, tally.FIRST_BIN
_OTHER, _ABSENT = tally.OTHER, tally.ABSENT


def _example_of_fill() -> tuple[Any, ...]:
    whole, table = np.zeros((1, 1), dtype=np.int64), np.zeros((1, 1))
    wide, small = np.zeros((1, 1, 1), dtype=np.int32), np.zeros((1, 1), dtype=np.int32)
    line, places, given = np.zeros(1), np.zeros(1, dtype=np.int64), np.zeros((1, 1), dtype=np.bool_)
    counted = whole, whole, wide, wide, small, small, given[0]
    usual = places, table, table, table, table, small, small, small, small, wide
    ranks = line, line, np.zeros((2, 1, 3)), table
    return counted, usual, places, places, ranks, table, (given, whole, np.zeros((3, 1, 1)))


@kernel(_example_of_fill)
def fill(
    counted: tuple[Table, ...],
    usual: tuple[Table, ...],
    at: Table,
    sizes: Table,
    ranks: tuple[Table, ...],
    chances: Table,
    to: To,
) -> bool:
    """Fills `chances` that features are never there, and samples: all but how right models were,
    stability indices and the error of missing features. Says whether sums are so large that means
    have to be taken by NumPy.

    `counted` are head, sums, numeric, texts, durations and clients of a tally, and which windows
    are of live versions; `usual` n, centre, scale, mean, sd, known, missing, c_known, c_missing and
    c_counts of their references; `ranks` the middles of buckets, shares, and room for quantiles.
    """
    head, sums, numeric, texts, durations, clients, live = counted
    profiled, centre, scale, mean, sd, known, missing, c_known, c_missing, c_counts = usual
    large = False
    for i in range(len(head)):
        here, many = head[i], head[i, _MEASURED]
        _serve(to, i, here, clients[i], live[i], at)
        _last(to, i, durations[i], ranks, at[_LATENCY])
        for p in range(sizes[_NUMBERS_ALL]):
            unit = centre[i, p], scale[i, p], mean[i, p], sd[i, p]
            if p < sizes[_P]:
                lost = numeric[i, p, _GONE], missing[i, p], known[i, p]
                n, of = _feature(to, i, at[_MISSING] + p, many, lost)
                chances[i, p] = _chance(lost, many)
                _against(to, i, at[_OUTSIDE] + p, numeric[i, p, _OUT], n, 0, of)
                large |= _mean(to, i, at[_MEANS] + p, sums[i, p], n, unit)
            else:
                n = numeric[i, p, _BIN:].sum()
                large |= _mean(to, i, at[_NUMBERS] + p - sizes[_P], sums[i, p], n, unit)
        for q in range(sizes[_Q]):
            lost = texts[i, q, _ABSENT], c_missing[i, q], c_known[i, q]
            n, of = _feature(to, i, at[_MISSING] + sizes[_P] + q, many, lost)
            chances[i, sizes[_P] + q] = _chance(lost, many)
            _against(to, i, at[_UNSEEN] + q, texts[i, q, _OTHER], n, c_counts[i, q, -1], of)
        if at[_MISSING_FEATURES] >= 0:
            never = _never(numeric[i], texts[i], sizes, many) / (sizes[_P] + sizes[_Q])
            _put(to, i, at[_MISSING_FEATURES], never, many, math.nan, math.nan)
        if at[_NEW_FEATURES] >= 0:
            _against(to, i, at[_NEW_FEATURES], here[_NEW], many, 0, profiled[i])
            answers = c_counts[i], c_known[i], c_missing[i]
            _answer(to, i, here, sizes, at, texts[i], answers)
    return large


@kernel()
def _serve(to: To, i: int, head: Table, clients: Table, live: bool, at: Table) -> None:
    """As the groups of `sampled_serving` but for latency; rates of answers and labels."""
    many, answers = head[_N], head[_OK] + head[_ERROR] + head[_TIMEOUT]
    largest = asked = 0
    for count in clients:
        largest, asked = max(largest, count), asked + count
    _rate(to, i, at[_CLIENTS], largest, asked)
    _rate(to, i, at[_ERRORS], head[_ERROR], answers)
    _rate(to, i, at[_ERRORS] + 1, head[_TIMEOUT], answers)
    _rate(to, i, at[_INVALID], head[_BAD], many)
    _put(to, i, at[_VOLUME], float(many), many, math.sqrt(max(many, 1)), math.nan)
    to[0][i, at[_VOLUME]] = many > 0 or live
    if at[_LABELS] >= 0:
        yes = head[_FN] + head[_TP]
        _rate(to, i, at[_LABELS], yes, head[_TN] + head[_FP] + yes)


@kernel()
def _last(to: To, i: int, buckets: Table, ranks: tuple[Table, ...], first: int) -> None:
    """As `sampled_serving._latency`."""
    middles, shares, room, found = ranks
    many = quantiles_of(buckets, middles, shares, room, found[0], found[1])
    for q in range(len(shares)):
        value = found[0, q]
        _put(to, i, first + q, value, many, most(found[1, q] / 2, _ACCURACY * value), math.nan)


@kernel()
def _feature(to: To, i: int, j: int, many: int, lost: tuple[int, int, int]) -> tuple[int, int]:
    """How often a feature is missing here, and in the reference of so many; gives how many events
    have it here and there, as `sampled_features._present`."""
    gone, missing, of = lost
    _against(to, i, j, gone, many, missing, of)
    return (many - gone if of > missing else 0), of - missing


@kernel()
def _chance(lost: tuple[int, int, int], many: int) -> float:
    """As `sampled_features._never`."""
    _, missing, of = lost
    return 1.0 if missing == of else math.pow((missing + 0.5) / (of + 1), float(many))


@kernel()
def _never(numeric: Table, texts: Table, sizes: Table, many: int) -> int:
    """How many features no event has."""
    found = 0
    for p in range(sizes[_P]):
        found += numeric[p, _GONE] == many
    for q in range(sizes[_Q]):
        found += texts[q, _ABSENT] == many
    return found


@kernel()
def _answer(
    to: To,
    i: int,
    head: Table,
    sizes: Table,
    at: Table,
    texts: Table,
    usual: tuple[Table, Table, Table],
) -> None:
    """As `sampled_output._positive` and `_rates`; `usual` are c_counts, c_known and c_missing."""
    c_counts, c_known, c_missing = usual
    hits, many, place = head[_YES], head[_ANSWERED], sizes[_PLACE]
    if place < -1:
        _rate(to, i, at[_POSITIVE], hits, many)
        return
    last, j = sizes[_TEXTS_ALL] - 1, at[_RATES]
    of = c_known[last] - c_missing[last]
    positive = c_counts[last, place] if place >= 0 else 0
    _against(to, i, at[_POSITIVE], hits, many, positive, of)
    told = texts[last, :_ABSENT].sum()
    for k in range(sizes[_KEPT]):
        _against(to, i, j + k, texts[last, k], told, c_counts[last, k], of)
    _against(to, i, j + sizes[_KEPT], texts[last, _OTHER], told, c_counts[last, -1], of)


@kernel()
def _put(to: To, i: int, j: int, value: float, many: int, error: float, expected: float) -> None:
    given, n, numbers = to
    given[i, j], n[i, j] = many > 0, many
    numbers[VALUE, i, j], numbers[STDERR, i, j] = value, error
    numbers[EXPECTED, i, j] = expected


@kernel()
def _rate(to: To, i: int, j: int, hits: int, many: int) -> None:
    """As `rates.rate`."""
    p = (hits + 2) / (many + 4)
    _put(to, i, j, hits / many, many, math.sqrt(p * (1 - p) / (many + 4)), math.nan)


@kernel()
def _against(to: To, i: int, j: int, hits: int, many: int, known: int, of: int) -> None:
    """As `rates.rate_against`."""
    error = expected = math.nan
    if of != 0:
        p = (known + 0.5) / (of + 1)
        error, expected = math.sqrt(p * (1 - p) / many), known / of
    _put(to, i, j, hits / many, many, error, expected)


@kernel()
def _mean(
    to: To, i: int, j: int, added: int, many: int, unit: tuple[float, float, float, float]
) -> bool:
    """As `sampled_features.means`, of a reference's centre, scale, mean and deviation; says whether
    the numbers are too large for that."""
    centre, scale, mean, sd = unit
    error = sd / math.sqrt(many)
    value = centre + scale * (added / many / _STEPS)
    _put(to, i, j, value, many, math.nan if error == 0.0 else error, mean)
    return abs(added) > _EXACT or many > _EXACT


# ---------------------------------------------------------------------------------- histograms


def _example_of_terms() -> tuple[Any, ...]:
    wide, small = np.zeros((1, 1, 1), dtype=np.int32), np.zeros((1, 1), dtype=np.int32)
    line, table, whole = np.zeros(1), np.zeros((1, 1)), np.zeros((1, 1), dtype=np.int64)
    return wide, wide, wide, wide, small, whole[0], (whole, table, table), (wide, wide), line, line


@kernel(_example_of_terms)
def terms(
    numeric: Table,
    texts: Table,
    counts: Table,
    c_counts: Table,
    kept: Table,
    sizes: Table,
    used: tuple[Table, Table, Table],
    told: tuple[Table, Table],
    change: Table,
    ratio: Table,
) -> int:
    """Prepares stability indices of numeric features, categorical ones and classes, as
    `sampled_fast.stability` does. Fills `used` with how many bins are, and how many events here and
    there; `told` with the counts of texts by category and of all others, here and there; and what
    the terms of the sums are made of. Says how many these are."""
    bins, here, there = used
    end = 0
    for i in range(len(numeric)):
        for p in range(sizes[_P]):
            found = terms_of(numeric[i, p, _BIN:], counts[i, p], change, ratio, end)
            bins[i, p], here[i, p], there[i, p], end = found
        for q in range(sizes[_TEXTS_ALL]):
            mine, theirs, k = told[0][i, q], told[1][i, q], kept[i, q]
            for b in range(k):
                mine[b], theirs[b] = texts[i, q, b], c_counts[i, q, b]
            mine[k], theirs[k] = texts[i, q, _OTHER], c_counts[i, q, -1]
            found = terms_of(mine, theirs, change, ratio, end)
            j = sizes[_P] + q
            bins[i, j], here[i, j], there[i, j], end = found
    return end


def _example_of_indices() -> tuple[Any, ...]:
    table, whole = np.zeros((1, 1)), np.zeros((1, 1), dtype=np.int64)
    given, numbers = np.zeros((1, 1), dtype=np.bool_), np.zeros((3, 1, 1))
    return np.zeros(1), 0, whole[0], whole[0], (whole, table, table), (given, whole, numbers)


@kernel(_example_of_indices)
def indices(
    terms: Table, first: int, at: Table, sizes: Table, used: tuple[Table, Table, Table], to: To
) -> None:
    """Fills samples of stability, of windows from the `first` on; features are given where `fill`
    found that an event has them."""
    bins, here, there = used
    end = 0
    for row in range(len(bins)):
        i = first + row
        for f in range(bins.shape[1]):
            n, of = here[row, f], there[row, f]
            value, error, expected = index_of(terms, end, bins[row, f], n, of)
            end += bins[row, f]
            if f < sizes[_P]:
                j, seen = at[_HISTOGRAMS] + f, to[1][i, at[_MEANS] + f]
            elif f < sizes[_P] + sizes[_Q]:
                j, seen = at[_CATEGORIES] + f - sizes[_P], to[1][i, at[_UNSEEN] + f - sizes[_P]]
            else:
                j, seen = at[_CLASSES], int(n)
            _put(to, i, j, value, int(n), error, expected)
            to[0][i, j] = seen > 0
