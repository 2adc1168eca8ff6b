"""Estimates of models in operation: near the whole library's, exact over restarts, of any input."""

from __future__ import annotations

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.detectors.estimation.made import ODD_TRUTHS, drawn
from tests.examples import examples
from watchkeeper.detectors.estimation.bins import SAID_FROM_HALF, score_counts, truth_counts
from watchkeeper.detectors.estimation.calibration import curves
from watchkeeper.detectors.estimation.classified import MEASURES, estimated
from watchkeeper.detectors.estimation.estimates import VERSIONS_LIMIT, Estimates, dumped
from watchkeeper.detectors.estimation.judged import BINS, TARGETS
from watchkeeper.detectors.estimation.running import (
    LEAST,
    MEMORY,
    OWN,
    Taught,
    Told,
    Windowed,
    told,
)
from watchkeeper.detectors.signals.accuracy import SCORE_BINS
from watchkeeper.detectors.types import FloatArray, IntArray, StateError

EDGES = np.quantile(drawn(0, 5_000)[0], np.arange(1, 32) / 32)
NOTHING = np.zeros((2, SCORE_BINS), dtype=np.int64)


def window(
    taught: Taught,
    seed: int,
    n: int = 200,
    *,
    truths: IntArray | None = None,
    edges: FloatArray = EDGES,
    learns: bool = True,
) -> Windowed:
    """One whose truths, where none are given, are of other predictions than its own."""
    scores, came = drawn(seed, n)
    known = truth_counts(scores, came) if truths is None else truths
    own = drawn(seed + 100_000, n)[0]
    counts = np.bincount(np.searchsorted(edges, own, side="right"), minlength=len(edges) + 1)
    half = int((known * SAID_FROM_HALF).sum())
    return Windowed(taught, known, half, counts, edges, int((own >= 0.5).sum()), learns)


def life(taught: Taught, windows: int, first: int = 1) -> list[Told]:
    return [told([window(taught, first + i)]) for i in range(windows)]


def same(a: Told, b: Told) -> bool:
    return all(np.array_equal(x, y, equal_nan=True) for x, y in zip(a, b, strict=True))


def test_estimates_are_near_those_of_single_scores() -> None:
    taught = Taught()
    life(taught, 30)

    found = told([window(taught, 500, 4_000)])

    scores = drawn(100_500, 4_000)[0]
    learned = sum(truth_counts(*drawn(1 + i, 200)) for i in range(30))
    exact = estimated(score_counts(scores)[None], SAID_FROM_HALF, curves(np.array([learned])))
    places = [MEASURES.index(each) for each in TARGETS]
    assert np.abs(found.estimate[0] - exact.value[0, places]).max() < 0.005


def test_no_estimate_is_given_before_three_were_scored() -> None:
    taught = Taught()

    given_ = [bool(np.isfinite(each.estimate).all()) for each in life(taught, 12)]

    assert OWN == 5 * 200
    assert given_ == [False] * 7 + [True] * 5


def test_gaps_show_a_change_of_what_scores_mean() -> None:
    taught = Taught()
    life(taught, 30)
    scores, _ = drawn(7, 1_000)
    coin = np.random.default_rng(7).random(1_000) < 0.5

    found = told([window(taught, 8, truths=truth_counts(scores, coin))])

    assert (found.gap / found.gap_error < -5.0).all()


def test_older_truths_fade_and_what_is_kept_is_bounded() -> None:
    taught = Taught()
    life(taught, 20)
    for _ in range(40):
        taught.learn(np.full((2, BINS), 30, dtype=np.int64))

    assert taught.counts.sum() < 2 * MEMORY
    assert abs(taught.counts[0].sum() / taught.counts.sum() - 0.5) < 0.01


def test_a_new_version_begins_with_its_predecessors_until_it_has_its_own() -> None:
    estimates = Estimates()
    life(estimates.of("v1", []), 20)
    new = estimates.of("v2", ["v0", "v1"])

    before = told([window(new, 900)])
    for i in range(5):
        told([window(new, 901 + i)])

    assert np.isfinite(before.gap).all()
    assert not np.isfinite(before.estimate).any()
    assert new.own
    assert OWN <= new.counts.sum() < 1.3 * OWN < estimates.versions["v1"].counts.sum()


def test_versions_are_bounded() -> None:
    estimates = Estimates()

    for number in range(3 * VERSIONS_LIMIT):
        estimates.of(f"v{number}", [])

    assert list(estimates.versions)[-1] == f"v{3 * VERSIONS_LIMIT - 1}"
    assert len(estimates.versions) == VERSIONS_LIMIT


def test_many_models_are_dumped_as_each_alone_is() -> None:
    rng = np.random.default_rng(5)
    several = [Estimates() for _ in range(600)]
    for place, estimates in enumerate(several):
        for version in range(place % 4):
            taught = estimates.of(f"v{version}", [])
            taught.counts[:] = rng.integers(0, 2, taught.counts.shape) * rng.random()
            taught.fresh[:] = rng.integers(0, 1 + version, taught.fresh.shape)

    found = list(dumped(several))

    plainly = [msgspec.to_builtins(each, builtin_types=(bytes,)) for each in found]
    assert plainly == [each.state() for each in several]
    for plain, estimates in zip(plainly, several, strict=True):
        again = Estimates.restored(plain)
        assert list(again.versions) == list(estimates.versions)
        for name, taught in estimates.versions.items():
            np.testing.assert_array_equal(again.versions[name].counts, taught.counts)
            np.testing.assert_array_equal(again.versions[name].fresh, taught.fresh)


def test_the_version_goes_that_was_used_longest_ago() -> None:
    estimates = Estimates()
    for number in range(VERSIONS_LIMIT):
        estimates.of(f"v{number}", [])
    estimates.of("v0", [])

    estimates.of("new", [])

    assert "v0" in estimates.versions
    assert "v1" not in estimates.versions
    assert list(Estimates.restored(estimates.state()).versions) == list(estimates.versions)


def test_a_version_that_has_to_go_is_inherited_from_first() -> None:
    estimates = Estimates()
    life(estimates.of("v0", []), 20)
    for number in range(1, VERSIONS_LIMIT):
        estimates.of(f"v{number}", [])

    new = estimates.of("new", ["v0"])

    assert "v0" not in estimates.versions
    assert new.speaks


def test_what_does_not_learn_is_scored_all_the_same() -> None:
    taught = Taught()
    life(taught, 20)
    counts, fresh, record = taught.counts.copy(), taught.fresh.copy(), taught.record.copy()

    told([window(taught, 50, learns=False)])

    assert np.array_equal(taught.counts, counts)
    assert np.array_equal(taught.fresh, fresh)
    assert not np.array_equal(taught.record, record)


def test_models_at_once_say_what_each_says_alone() -> None:
    some, alone = [Taught() for _ in range(70)], [Taught() for _ in range(70)]

    for i in range(12):
        together = told([window(each, 100 * i + k) for k, each in enumerate(some)])
        apart = [told([window(each, 100 * i + k)]) for k, each in enumerate(alone)]

    assert np.isfinite(together.estimate).mean() > 0.9
    assert same(together, Told(*(np.concatenate(p) for p in zip(*apart, strict=True))))


@pytest.mark.parametrize("windows", [0, 2, 8, 23])
def test_a_restart_changes_nothing(windows: int) -> None:
    estimates = Estimates()
    life(estimates.of("v1", []), windows)
    estimates.of("v2", ["v1"])
    stored = msgspec.msgpack.decode(msgspec.msgpack.encode(estimates.state()))

    again = Estimates.restored(stored)

    assert list(again.versions) == ["v1", "v2"]
    for name in ("v1", "v2"):
        there = life(estimates.versions[name], 8, first=700)
        here = life(again.versions[name], 8, first=700)
        assert all(same(a, b) for a, b in zip(there, here, strict=True))


@pytest.mark.parametrize(
    "change",
    [
        {"version": 1},
        {"versions": 3},
        {"versions": [{"name": "v1"}]},
        {"counts": b""},
        {"counts": b"\xff" * 40},
        {"fresh": b"\x80" + b"\0" * 31 + b"\xff\xff\xff\xff"},
        {"counts": b"\x80" + b"\0" * 31 + b"\0\0\xc0\x7f"},
        {"record": b"\0" * 8},
        {"record": b"\xff" * 96},
    ],
)
def test_damage_is_told(change: dict[str, object]) -> None:
    estimates = Estimates()
    life(estimates.of("v1", []), 8)
    state = estimates.state()
    whole = {key: value for key, value in change.items() if key in state}
    state |= whole
    if not whole:
        state["versions"][0] |= change

    with pytest.raises(StateError):
        Estimates.restored(state)


@settings(deadline=None, max_examples=examples(40))
@given(
    truths=ODD_TRUTHS,
    said=st.integers(-5, 2**40),
    scores=st.lists(st.integers(0, 2**31), min_size=1, max_size=32),
    positives=st.integers(-5, 2**40),
    odd=st.floats(),
)
def test_no_counts_raise_or_give_what_is_no_number(
    truths: IntArray, said: int, scores: list[int], positives: int, odd: float
) -> None:
    taught = Taught()
    life(taught, 9)
    edges = np.sort(np.append(np.linspace(0.1, 0.9, 32), odd))[: len(scores) - 1]

    for _ in range(3):
        counts = np.array(scores, dtype=np.int64)
        found = told([Windowed(taught, truths, said, counts, edges, positives)])

    for value, error in ((found.estimate, found.error), (found.gap, found.gap_error)):
        assert not np.isinf(value).any()
        assert np.isfinite(error[np.isfinite(value)]).all()
    assert np.isfinite(taught.counts).all()
    assert (taught.counts >= 0).all()
    Estimates.restored({"version": 2, "versions": []})
    again = Estimates()
    again.versions["v1"] = taught
    Estimates.restored(again.state())


def test_few_predictions_or_truths_say_nothing() -> None:
    taught = Taught()
    life(taught, 10)

    found = told([window(taught, 40, LEAST - 1)])

    assert not np.isfinite(np.concatenate(found)).any()
