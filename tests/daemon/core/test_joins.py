"""Predictions and labels of many models meet whichever comes first, within bounds."""

from __future__ import annotations

from collections import defaultdict

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.daemon.core.row_by_row import Event, Pair, Plain, blocks, feed, merge
from tests.examples import examples
from watchkeeper.daemon.core.joined import Joined
from watchkeeper.daemon.core.joins import Joins
from watchkeeper.daemon.core.sampling import PROBES
from watchkeeper.detectors.keys import Keys, combined, keys_of
from watchkeeper.detectors.types import FloatArray, IntArray


def requests(n: int, start: int = 0) -> Keys:
    return keys_of([f"r{i}" for i in range(start, start + n)])


def predict(joins: Joins, keys: Keys, at: float = 0.0, model: int = 0) -> Joined:
    models, times = np.full(len(keys), model), at + np.arange(float(len(keys)))
    member = models.astype(np.int32)
    return joins.predictions(models, member, keys, times, keys, times, times)


def tell(joins: Joins, keys: Keys, at: float = 0.0, model: int = 0) -> Joined:
    models, times = np.full(len(keys), model), np.full(len(keys), at)
    return joins.labels(models, keys, times, keys, times)


events_of = st.builds(
    Event, st.integers(0, 2), st.booleans(), st.integers(0, 9), st.integers(0, 30).map(float)
)


@settings(max_examples=examples(300), deadline=None)
@given(
    st.lists(events_of, min_size=1, max_size=80),
    st.lists(st.integers(1, 79), max_size=20),
    st.integers(1, 12),
    st.sampled_from([3.0, 20.0, 1e9]),
)
def test_all_is_joined_as_row_by_row_and_model_by_model_however_the_stream_is_cut(
    events: list[Event], cuts: list[int], capacity: int, horizon: float
) -> None:
    joins = Joins(capacity, horizon)
    plain = {model: Plain(capacity, horizon) for model in range(3)}
    expected: dict[int, list[Pair]] = defaultdict(list)
    found: dict[int, list[Pair]] = defaultdict(list)

    for block in blocks(events, cuts):
        merge(found, feed(joins, block))
    for event in events:
        pair = plain[event.model].take(event)
        if pair is not None:
            expected[event.model].append(pair)

    assert found == expected
    joins.sweep()
    joins.bound(2, capacity, horizon)
    for model, one in plain.items():
        assert joins.unmatched.conflicts[model] == one.conflicts
        assert joins.unmatched.orphans[model] == one.lost()
        kept = one.kept()
        known = [each for each in kept if each in one.known]
        assert joins.held.coverage(model) == pytest.approx(
            len(known) / len(kept) if kept else float("nan"), nan_ok=True
        )
        late = [r for r in known if one.predicted[r][1] >= 5.0 and one.known[r] < 25.0]
        assert joins.held.examples_since(model, 5.0, 25.0) == len(late)


@settings(max_examples=examples(60), deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, 1), st.integers(1, 300)), min_size=4, max_size=40),
    st.integers(1, 200),
    st.booleans(),
)
def test_what_is_kept_of_a_model_hangs_on_its_own_events_alone(
    steps: list[tuple[int, int]], width: int, with_other: bool
) -> None:
    """Windows close at the same events, but blocks are cut otherwise and another model is there."""
    alone, other = Joins(40, 1e9), Joins(40, 1e9)
    given_alone: list[int] = []
    given_other: list[int] = []
    made, told = 0, 0

    for kind, n in steps:
        first = told if kind else made
        n = min(n, made - told) if kind else n
        for joins, found, part in ((alone, given_alone, n), (other, given_other, width)):
            for start in range(first, first + n, max(part, 1)):
                keys = requests(min(part, first + n - start), start)
                if with_other and joins is other:
                    predict(joins, combined(keys, keys_of(["b"])), model=1)
                    tell(joins, combined(keys[::2], keys_of(["b"])), model=1)
                joined = (tell if kind else predict)(joins, keys)
                found += joined.label.tolist()
            joins.settle([0])
        told, made = told + n * kind, made + n * (1 - kind)

    assert given_alone == given_other
    assert alone.state(0) == other.state(0)
    alone.sweep()
    other.sweep()
    alone.bound(0, 40, 1e9)
    other.bound(0, 40, 1e9)
    for each in ("conflicts", "orphans", "not_sampled"):
        assert getattr(alone.unmatched, each)[0] == getattr(other.unmatched, each)[0]


def test_a_label_finds_its_prediction_once() -> None:
    joins = Joins(capacity=10, horizon_s=100.0)
    predict(joins, requests(2))

    first = tell(joins, requests(1))
    second = tell(joins, requests(1))

    assert (first.n, second.n) == (1, 0)
    assert joins.unmatched.conflicts[0] == 1
    assert joins.held.coverage(0) == 0.5


def test_a_waiting_label_is_dropped_after_its_horizon() -> None:
    joins = Joins(capacity=10, horizon_s=100.0)
    tell(joins, requests(1), at=0.0)

    tell(joins, requests(1, start=1), at=101.0)

    assert predict(joins, requests(1)).n == 0
    joins.sweep()
    assert joins.unmatched.orphans[0] == 1


def test_a_label_from_a_window_that_was_judged_is_joined_but_not_given() -> None:
    joins, keys = Joins(capacity=10, horizon_s=100.0), requests(2)
    models, at = np.zeros(2, dtype=np.int64), np.array([61.0, 61.0])
    tell(joins, keys[:1], at=59.0)
    tell(joins, keys[1:], at=60.0)

    closed, member = np.full(2, 60.0), models.astype(np.int32)
    joined = joins.predictions(models, member, keys, at, keys, at, at, closed)

    assert joined.label.tolist() == keys[1:].tolist()
    assert joins.held.coverage(0) == 1.0


def test_a_model_has_bounds_of_its_own() -> None:
    joins = Joins(capacity=2, horizon_s=100.0)
    joins.bound(1, capacity=3, horizon_s=100.0)
    for model in (0, 1):
        predict(joins, combined(requests(3), keys_of([str(model)])), model=model)

    found = [tell(joins, combined(requests(3), keys_of([str(m)])), model=m).n for m in (0, 1)]

    assert found == [2, 3]


def test_an_example_counts_from_the_time_its_label_came() -> None:
    joins = Joins(capacity=10, horizon_s=100.0)
    predict(joins, requests(3), at=10.0)
    for i in range(3):
        tell(joins, requests(1, start=i), at=20.0 + i)

    assert joins.held.examples_since(0, 11.0) == 2
    assert joins.held.examples_since(0, 10.0, known=22.0) == 2


def test_a_member_is_awaited_as_long_as_a_prediction_of_it_is_held() -> None:
    joins, no, at = Joins(capacity=2, horizon_s=100.0), np.zeros(1, dtype=np.int64), np.zeros(1)
    for member, key in enumerate(requests(3)):
        number = np.array([member], dtype=np.int32)
        row = np.array([key], dtype=np.uint64)
        joins.predictions(no, number, row, at, row, at, at)
    tell(joins, requests(1, start=1))

    assert joins.held.awaited(0) == {0, 1, 2}
    joins.sweep()
    assert joins.held.awaited(0) == {1, 2}
    assert joins.held.awaited(7) == set()


def test_a_model_that_left_is_forgotten_and_the_others_are_not() -> None:
    joins, other = Joins(capacity=10, horizon_s=100.0), keys_of(["other"])
    predict(joins, requests(4))
    predict(joins, combined(requests(4), other), model=1)
    tell(joins, requests(1, start=9))

    held = joins.nbytes

    joins.forget([0])
    joins.sweep()

    assert joins.nbytes <= held
    assert tell(joins, requests(4)).n == 0
    assert tell(joins, combined(requests(4), other), model=1).n == 4
    assert joins.held.coverage(0) != joins.held.coverage(0)
    assert predict(joins, requests(1, start=9)).n == 0


def stream(joins: Joins, start: int, n: int, delay: int, step: int = 50) -> list[int]:
    """Predictions, each with its label `delay` predictions later; windows close now and then.
    Gives how many labels found theirs, a window."""
    found = []
    for first in range(start, start + n, step):
        predict(joins, requests(step, first), at=float(first))
        joined = (
            tell(joins, requests(step, first - delay), at=float(first)) if first >= delay else None
        )
        found.append(0 if joined is None else joined.n)
        joins.settle([0])
    return found


def test_where_labels_come_too_late_for_the_table_it_keeps_a_sample_that_lasts() -> None:
    joins = Joins(capacity=200, horizon_s=1e9)

    found = stream(joins, 0, 20_000, delay=1_000)

    share = joins.sampling.share(0)
    assert 1 / 16 <= share <= 1 / 8  # 200 of 1,000 is a fifth: the next powers of two
    assert sum(found[-100:]) == pytest.approx(5_000 * share, rel=0.15)
    joins.sweep()
    lately = joins.unmatched.orphans[0]
    waiting = 19_000 - joins.unmatched.not_sampled[0] - lately - sum(found)
    assert 0 <= waiting <= joins.capacity
    stream(joins, 20_000, 5_000, delay=1_000)
    joins.sweep()
    assert joins.unmatched.orphans[0] == lately


def test_where_labels_come_soon_again_everything_is_kept_again_without_orphans() -> None:
    joins = Joins(capacity=200, horizon_s=1e9)
    stream(joins, 0, 10_000, delay=1_000)
    joins.sweep()
    before, orphans = joins.sampling.share(0), joins.unmatched.orphans[0]

    found = stream(joins, 10_000, 40_000, delay=0)

    assert before < 1.0
    assert joins.sampling.share(0) == 1.0
    assert found[-1] == 50
    joins.sweep()
    assert joins.unmatched.orphans[0] == orphans


def test_labels_for_nobody_change_nothing() -> None:
    joins = Joins(capacity=200, horizon_s=1e9)

    for first in range(0, 20_000, 50):
        predict(joins, requests(50, first))
        tell(joins, requests(50, 1_000_000 + first))
        joins.settle([0])

    assert joins.sampling.share(0) == 1.0


def test_after_a_restart_the_same_is_kept() -> None:
    whole, keep = Joins(capacity=200, horizon_s=1e9), 4_000
    stream(whole, 0, 10_000, delay=1_000)
    plain = msgspec.msgpack.decode(msgspec.msgpack.encode(whole.state(0)))

    after = Joins(capacity=200, horizon_s=1e9)
    after.restore(0, plain)
    for first in range(10_000 - keep, 10_000, 50):
        again(after, requests(50, first), requests(50, first - 1_000))

    assert after.state(0) == whole.state(0)
    assert stream(after, 10_000, 5_000, 1_000) == stream(whole, 10_000, 5_000, 1_000)
    assert after.state(0) == whole.state(0)
    assert after.held.coverage(0) == whole.held.coverage(0)


def again(joins: Joins, made: Keys, told: Keys) -> None:
    models: IntArray = np.zeros(len(made), dtype=np.int64)
    at: FloatArray = np.zeros(len(made))
    joins.predictions(models, models.astype(np.int32), made, at, made, at, at, again=True)
    joins.labels(models, told, at, told, at, again=True)


def test_a_damaged_state_is_refused() -> None:
    joins = Joins(capacity=200, horizon_s=1e9)
    plain = joins.state(0)

    with pytest.raises(ValueError, match="halvings 99"):
        joins.restore(0, {**plain, "halvings": 99})


def test_memory_stays_in_bounds_over_a_long_stream() -> None:
    joins = Joins(capacity=2_000, horizon_s=1e9)

    for first in range(0, 200_000, 1_000):
        predict(joins, requests(1_000, first))
        tell(joins, requests(1_000, 1_000_000 + first))

    rows = 2 * 2_000 + 2 * 1_000  # both sides, and what came last
    assert joins.nbytes <= 110 * rows
    keys, numbers = joins.state(0)["probes"]
    assert 0 < len(keys) == len(numbers) <= 8 * PROBES


def test_probes_are_read_as_they_are_stored_and_as_they_once_were() -> None:
    joins, new, old = (Joins(capacity=2_000, horizon_s=1e9) for _ in range(3))
    predict(joins, requests(20_000))
    plain = joins.state(0)
    keys, numbers = (np.frombuffer(each, "<u8").tolist() for each in plain["probes"])
    pairs = [[key, number] for key, number in zip(keys, numbers, strict=True)]

    new.restore(0, plain)
    old.restore(0, {**plain, "probes": pairs})

    assert pairs
    assert new.state(0) == old.state(0) == plain


def test_damaged_probes_are_refused() -> None:
    joins = Joins(capacity=200, horizon_s=1e9)

    for damaged in ([b"123", b"456"], [b"12345678", b""], [b"12345678"]):
        with pytest.raises(ValueError, match=r"buffer size|shorter|unpack"):
            joins.restore(0, {**joins.state(0), "probes": damaged})
