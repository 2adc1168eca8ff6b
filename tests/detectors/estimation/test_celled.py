"""Estimates by cells: near what is drawn, exact over restarts, of any input."""

from __future__ import annotations

from functools import cache

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from tests.examples import examples
from watchkeeper.detectors.estimation.celled import CELLS, LEAST, Celled, Cut, Told, Windowed, told
from watchkeeper.detectors.estimation.confident import right_counts
from watchkeeper.detectors.estimation.estimates import VERSIONS_LIMIT, Estimates
from watchkeeper.detectors.estimation.kinds import Kind
from watchkeeper.detectors.estimation.regression import error_sums
from watchkeeper.detectors.types import FloatArray, IntArray, StateError

VALUES = Cut(np.linspace(-3.0, 27.0, CELLS - 1), 10.0)
SURE = Cut(np.linspace(0.3, 0.98, CELLS - 1), 0.2)
KINDS: dict[str, tuple[Kind, Cut]] = {
    "regression": (VALUES.of_errors, VALUES),
    "multiclass": (SURE.of_confidences, SURE),
}


def regressed(
    seed: int, n: int, noise: float = 1.0, high: float = 0.0
) -> tuple[IntArray, IntArray]:
    """Error sums of predictions, and their cells: errors grow with the prediction."""
    random = np.random.default_rng(seed)
    said = 20.0 * random.beta(1.0 + high, 1.0, n)
    errors = random.normal(0.0, 0.1 + 0.1 * said) * noise
    cells = VALUES.cells(said)
    sums = error_sums(cells, errors, CELLS, VALUES.of_errors.scale)
    return sums, np.bincount(cells, minlength=CELLS)


def classified(
    seed: int, n: int, noise: float = 1.0, high: float = 0.0
) -> tuple[IntArray, IntArray]:
    """Wrong and right answers, and the cells of their confidences."""
    random = np.random.default_rng(seed)
    sure = random.beta(6.0 - high, 2.0, n)
    right = random.random(n) < sure / noise
    cells = SURE.cells(sure)
    return right_counts(cells, right, CELLS), np.bincount(cells, minlength=CELLS)


DRAWN = {"regression": regressed, "multiclass": classified}
TASKS = pytest.mark.parametrize("task", ["regression", "multiclass"])


def taught(task: str) -> Celled:
    kind, cut = KINDS[task]
    return Celled(kind, cut.name)


def window(of: Celled, task: str, seed: int, n: int = 200, **fields: float) -> Windowed:
    """One whose truths are of other predictions than its own."""
    known, _ = DRAWN[task](seed, n, **fields)
    return Windowed(of, known, DRAWN[task](seed + 100_000, n, **fields)[1])


def life(of: Celled, task: str, windows: int, first: int = 1) -> list[Told]:
    return [told(window(of, task, first + i)) for i in range(windows)]


def truth(task: str, seed: int, **fields: float) -> FloatArray:
    kind = KINDS[task][0]
    known, _ = DRAWN[task](seed, 200_000, **fields)
    nothing = np.zeros((1, CELLS))
    value: FloatArray = kind.lesson(known).restated(known[None], nothing, nothing).value[0]
    return value


def same(a: Told, b: Told) -> bool:
    return all(np.array_equal(x, y, equal_nan=True) for x, y in zip(a, b, strict=True))


@TASKS
@pytest.mark.parametrize("high", [0.0, 3.0])
def test_estimates_follow_a_shift_of_answers(task: str, high: float) -> None:
    of = taught(task)
    life(of, task, 60)

    found = told(window(of, task, 500, 20_000, high=high))

    assert found.estimate == pytest.approx(truth(task, 9, high=high), rel=0.04)


@TASKS
def test_no_estimate_is_given_before_three_were_scored(task: str) -> None:
    given_ = [bool(np.isfinite(each.estimate).all()) for each in life(taught(task), task, 12)]

    assert given_ == [False] * 7 + [True] * 5


@TASKS
def test_bands_are_as_wide_as_gaps_scatter(task: str) -> None:
    of = taught(task)
    life(of, task, 60)

    gaps = np.array([each.gap / each.gap_error for each in life(of, task, 150, first=800)])

    assert (np.abs(gaps.mean(axis=0)) < 0.35).all()
    assert (np.mean(np.abs(gaps) < 1.96, axis=0) > 0.88).all()


@TASKS
def test_gaps_show_a_change_of_what_answers_are_worth(task: str) -> None:
    of = taught(task)
    life(of, task, 30)

    found = told(window(of, task, 8, 1_000, noise=1.5))

    assert (np.abs(found.gap / found.gap_error) > 5.0).all()


@TASKS
def test_a_new_version_begins_with_its_predecessors_unless_it_is_cut_otherwise(task: str) -> None:
    estimates, (kind, cut) = Estimates(), KINDS[task]
    life(estimates.cells_of("v1", kind, cut.name, []), task, 20)

    new = estimates.cells_of("v2", kind, cut.name, ["v0", "v1"])
    other = estimates.cells_of("v3", kind, "another", ["v1"])

    assert new.speaks
    assert not new.own
    assert not other.speaks
    assert estimates.cells_of("v1", kind, "another", []).counts.sum() == 0


@TASKS
def test_versions_are_bounded(task: str) -> None:
    estimates, (kind, cut) = Estimates(), KINDS[task]

    for number in range(3 * VERSIONS_LIMIT):
        estimates.cells_of(f"v{number}", kind, cut.name, [])

    assert len(estimates.cells) == VERSIONS_LIMIT


@TASKS
def test_a_version_that_has_to_go_is_inherited_from_first(task: str) -> None:
    estimates, (kind, cut) = Estimates(), KINDS[task]
    life(estimates.cells_of("v0", kind, cut.name, []), task, 20)
    for number in range(1, VERSIONS_LIMIT):
        estimates.cells_of(f"v{number}", kind, cut.name, [])

    new = estimates.cells_of("new", kind, cut.name, ["v0"])

    assert "v0" not in estimates.cells
    assert new.speaks


@TASKS
def test_the_version_goes_that_was_used_longest_ago(task: str) -> None:
    estimates, (kind, cut) = Estimates(), KINDS[task]
    for number in [*range(VERSIONS_LIMIT), 0, VERSIONS_LIMIT]:
        estimates.cells_of(f"v{number}", kind, cut.name, [])

    assert "v0" in estimates.cells
    assert "v1" not in estimates.cells


@TASKS
def test_bad_times_teach_nothing(task: str) -> None:
    of = taught(task)
    life(of, task, 20)
    fresh, record = of.fresh.copy(), of.record.copy()

    told(window(of, task, 50)._replace(learns=False))

    assert np.array_equal(of.fresh, fresh)
    assert not np.array_equal(of.record, record)


@TASKS
@pytest.mark.parametrize("windows", [0, 2, 8, 23])
def test_a_restart_changes_nothing(task: str, windows: int) -> None:
    estimates, (kind, cut) = Estimates(), KINDS[task]
    life(estimates.cells_of("v1", kind, cut.name, []), task, windows)
    stored = msgspec.msgpack.decode(msgspec.msgpack.encode(estimates.state()))

    again = Estimates.restored(stored)

    there = life(estimates.cells["v1"], task, 8, first=700)
    here = life(again.cells_of("v1", kind, cut.name, []), task, 8, first=700)
    assert all(same(a, b) for a, b in zip(there, here, strict=True))


@pytest.mark.parametrize(
    "change",
    [
        {"counts": b""},
        {"counts": b"\xff" * 8 * 4 * CELLS},
        {"fresh": b"\0" * 8},
        {"record": b"\0" * 8},
        {"scale": -1.0},
        {"own": 3},
    ],
)
def test_damage_is_told(change: dict[str, object]) -> None:
    estimates, (kind, cut) = Estimates(), KINDS["regression"]
    life(estimates.cells_of("v1", kind, cut.name, []), "regression", 8)
    state = estimates.state()
    state["cells"][0] |= change

    with pytest.raises(StateError):
        Estimates.restored(state)


@cache
def grown(task: str) -> dict[str, object]:
    """The state after a life of nine windows."""
    estimates, (kind, cut) = Estimates(), KINDS[task]
    life(estimates.cells_of("v1", kind, cut.name, []), task, 9)
    return estimates.state()


def odd(kind: Kind) -> st.SearchStrategy[tuple[IntArray, IntArray]]:
    counts = st.integers(0, 2**50) | st.sampled_from([0, 1])
    known = arrays(np.int64, (kind.parts, kind.cells), elements=counts, fill=st.just(0))
    return st.tuples(known, arrays(np.int64, kind.cells, elements=counts, fill=st.just(0)))


@settings(deadline=None, max_examples=examples(40))
@given(data=st.data(), task=st.sampled_from(sorted(KINDS)))
def test_no_counts_raise_or_give_what_is_no_number(data: st.DataObject, task: str) -> None:
    of = Estimates.restored(grown(task)).cells["v1"]
    known, answered = data.draw(odd(of.kind))

    for _ in range(3):
        found = told(Windowed(of, known, answered))

    for value, error in ((found.estimate, found.error), (found.gap, found.gap_error)):
        assert not np.isinf(value).any()
        assert np.isfinite(error[np.isfinite(value)]).all()
    again = Estimates()
    again.cells["v1"] = of
    Estimates.restored(again.state())


def test_few_predictions_or_truths_say_nothing() -> None:
    of = taught("regression")
    life(of, "regression", 10)

    found = told(window(of, "regression", 40, LEAST - 1))

    assert not np.isfinite(np.concatenate(found)).any()


def test_cuts_are_told_apart_and_put_every_number_into_a_cell() -> None:
    assert VALUES.name != VALUES._replace(scale=11.0).name
    assert VALUES.name != Cut(VALUES.edges[:-1], 10.0).name
    values = np.array([-1e300, 0.0, 1e300, np.nan, np.inf])
    assert VALUES.cells(values).tolist() == [0, 4, CELLS - 1, -1, -1]
