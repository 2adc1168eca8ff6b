"""What is too much for all models together is shared so that nobody has less for one with more."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.daemon.core.row_by_row import Event, blocks, feed
from tests.daemon.core.test_joins import events_of, predict, tell
from tests.examples import examples
from watchkeeper.daemon.core.fairness import level, parts
from watchkeeper.daemon.core.joins import Joins
from watchkeeper.daemon.core.policy import ModelPolicy
from watchkeeper.daemon.core.state import State
from watchkeeper.detectors.keys import Keys

MODELS, EACH = 20, 500
ROW = 120  # bytes
ALL = MODELS * EACH * ROW
WAITING = ALL // ROW // 8
LONG = 1e9


@given(st.lists(st.integers(0, 1_000), min_size=1, max_size=40), st.integers(0, 20_000))
def test_the_level_is_the_highest_that_fits(wanted: list[int], most: int) -> None:
    highest = level(np.array(wanted), most)

    if highest is None:
        assert sum(wanted) <= most
    else:
        assert sum(min(each, highest) for each in wanted) <= most
        assert sum(min(each, highest + 1) for each in wanted) > most


def test_labels_that_wait_get_an_eighth() -> None:
    assert parts(800 * ROW) == (700, 100)


def of_model(model: int, n: int, start: int = 0) -> Keys:
    """Requests of a model, as good as random; two models have none in common (SplitMix64)."""
    keys = np.arange(start, start + n, dtype=np.uint64) * np.uint64(1_000) + np.uint64(model + 1)
    keys *= np.uint64(0x9E3779B97F4A7C15)
    for shift, factor in ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB)):
        keys = (keys ^ (keys >> np.uint64(shift))) * np.uint64(factor)
    return keys ^ (keys >> np.uint64(31))


def spread(joins: Joins, start: int, n: int, models: int = MODELS) -> None:
    """Brings `n` predictions of each of some models, from request number `start` on."""
    for first in range(start, start + n, 100):
        for model in range(models):
            predict(joins, of_model(model, min(100, start + n - first), first), first, model)


def ahead(joins: Joins, start: int, n: int, models: int = MODELS) -> None:
    """The same of labels, before their predictions."""
    for first in range(start, start + n, 100):
        for model in range(models):
            tell(joins, of_model(model, min(100, start + n - first), first), first, model)


def met(joins: Joins, model: int, n: int, start: int = 0) -> int:
    """How many labels of these requests meet their prediction."""
    return tell(joins, of_model(model, n, start), model=model).n


# ------------------------------------------------------------------------------------- the bound


def test_all_models_together_stay_in_bounds_and_have_as_much_each() -> None:
    joins, free = (Joins(100_000, LONG, most_bytes=each) for each in (ALL, 100 * ALL))

    for each in (joins, free):
        spread(each, 0, 5_000)
        spread(each, 5_000, 500)

    assert joins.nbytes <= 1.25 * ALL
    assert free.nbytes > 4 * ALL
    assert (joins.short, free.short) == (MODELS, 0)
    kept = [met(joins, model, 5_500) for model in range(MODELS)]
    assert max(kept) - min(kept) <= 500
    assert min(kept) >= EACH // 2
    assert all(met(free, model, 5_500) == 5_500 for model in range(MODELS))


def test_a_quiet_model_keeps_all_and_leaves_the_rest_to_the_others() -> None:
    joins = Joins(100_000, LONG, most_bytes=ALL)
    for model in range(2, MODELS):
        predict(joins, of_model(model, 100), model=model)

    spread(joins, 0, 5_000, models=2)

    assert joins.short == 2
    assert all(met(joins, model, 100) == 100 for model in range(2, MODELS))
    assert min(met(joins, model, 5_000) for model in range(2)) > 5 * EACH
    assert met(joins, 0, 100) == 0


def test_a_block_beyond_the_bound_fills_it_and_costs_quiet_models_nothing() -> None:
    joins = Joins(100_000, LONG, most_bytes=ALL)
    quiet, n = MODELS, 2_000
    predict(joins, of_model(quiet, 200), model=quiet)
    models = np.tile(np.arange(MODELS), n)
    keys = np.stack([of_model(model, n) for model in range(MODELS)], axis=1).ravel()

    at = np.arange(float(len(keys)))
    joins.predictions(models, models.astype(np.int32), keys, at, keys, at, at)

    assert met(joins, quiet, 200) == 200
    kept = [met(joins, model, n) for model in range(MODELS)]
    assert min(kept) == max(kept) == (ALL // ROW - WAITING - 200) // MODELS


def test_labels_that_wait_stay_in_bounds_too() -> None:
    joins = Joins(100_000, LONG, most_bytes=ALL)

    ahead(joins, 0, 5_000)

    assert joins.short == MODELS
    assert joins.nbytes <= 0.3 * ALL
    assert joins.unmatched.orphans.sum() > 90_000


@pytest.mark.parametrize("bring", [spread, ahead])
def test_room_does_not_come_and_go_from_turn_to_turn(bring: Callable[..., None]) -> None:
    joins = Joins(100_000, LONG, most_bytes=8 * ALL)
    other = {spread: ahead, ahead: spread}[bring]
    told = []

    for start in range(0, 20_000, 100):
        bring(joins, start, 100)
        other(joins, start, 50)  # half of them meet
        told.append(joins.short)

    assert min(told[told.index(MODELS) :]) > 0


# ------------------------------------------------------------------------------- room given back


def test_once_models_are_gone_the_others_have_their_room_again() -> None:
    joins = Joins(3_000, LONG, most_bytes=ALL)
    spread(joins, 0, 4_000)
    before = met(joins, 2, 3_000, 1_000)

    joins.forget(range(2, MODELS))
    after = joins.short
    spread(joins, 10_000, 3_000, models=2)

    assert after == 0
    assert before < 1_000
    assert met(joins, 0, 3_000, 10_000) == met(joins, 1, 3_000, 10_000) == 3_000


def test_once_labels_wait_no_more_there_is_room_for_others() -> None:
    joins = Joins(400, LONG, most_bytes=ALL)
    ahead(joins, 0, 1_000)
    before = joins.short

    for start in range(0, 10_000, 100):
        spread(joins, start, 100)
        if start >= 1_000:
            ahead(joins, start, 100)
    after = joins.short
    ahead(joins, 90_000, 400, models=1)

    assert (before, after) == (MODELS, 0)
    assert predict(joins, of_model(0, 400, 90_000)).n == 400


def test_looks_between_which_nothing_came_give_no_room_back() -> None:
    joins = Joins(3_000, LONG, most_bytes=ALL)
    ahead(joins, 0, 1_000)
    before = joins.short
    for model in range(MODELS):
        predict(joins, of_model(model, 1_000), model=model)

    for _ in range(20):
        joins.sweep()

    assert (before, joins.short) == (MODELS, MODELS)


def test_what_ended_in_time_is_not_missed() -> None:
    joins, many = Joins(3_000, LONG, most_bytes=16_000 * ROW), 10
    joins.bound(0, 3_000, 5.0)

    for start in range(0, 4_000, 100):
        for i in range(10):
            tell(joins, of_model(0, 100, 10 * start + 100 * i), start + 10 * i)
        for model in range(1, 1 + many):
            tell(joins, of_model(model, 100, start), start, model)

    assert joins.short == many


def test_what_was_lost_stays_lost_once_there_is_room_again() -> None:
    joins = Joins(3_000, LONG, most_bytes=ALL)
    spread(joins, 0, 4_000)
    oldest = joins.held.kept_since(0)

    joins.forget(range(2, MODELS))

    assert oldest > 3_000
    assert joins.held.kept_since(0) == pytest.approx(oldest, abs=200)
    assert joins.held.kept_since(3) == -np.inf


def test_what_was_let_go_of_does_not_come_back_with_the_room() -> None:
    joins = Joins(3_000, LONG, most_bytes=ALL)
    spread(joins, 0, 4_100)
    oldest = 4_100 - joins.room(0)

    joins.forget(range(1, MODELS))

    assert joins.room(0) == 3_000
    assert met(joins, 0, 50, oldest) == 50
    assert met(joins, 0, 50, oldest - 50) == 0


def test_however_little_room_there_is_the_newest_of_each_model_is_kept() -> None:
    joins = Joins(3_000, LONG, most_bytes=8 * ROW)

    for _ in range(3):
        spread(joins, 0, 100)
        joins.sweep()

    assert [met(joins, model, 1, 99) for model in range(MODELS)] == [1] * MODELS


# -------------------------------------------------------------------------- what is joined, stays


def test_one_label_is_joined_once_where_room_is_given_back_meanwhile() -> None:
    joins = Joins(3_000, LONG, most_bytes=ALL)
    spread(joins, 0, 4_000)
    twice, others = of_model(0, 1, 900_000), of_model(0, 2_800, 700_000)
    tell(joins, twice)
    block = np.concatenate([twice, others, twice])
    models = np.zeros(len(block), dtype=np.int64)

    fresh = joins.fresh(models, block)
    joins.forget(range(1, MODELS))
    found = predict(joins, block[fresh])

    assert np.count_nonzero(fresh) == len(block)  # the first would have been gone by then
    assert found.n == 1


@settings(max_examples=examples(300), deadline=None)
@given(
    st.lists(events_of, min_size=1, max_size=120),
    st.lists(st.integers(1, 119), max_size=20),
    st.integers(1, 60),
    st.booleans(),
)
def test_each_label_comes_to_one_end_however_short_room_is(
    events: list[Event], cuts: list[int], most: int, swept: bool
) -> None:
    joins = Joins(1_000, LONG, most_bytes=ROW * most)
    given: defaultdict[int, int] = defaultdict(int)
    events = [each._replace(at=20.0) for each in events]  # so that no window is closed

    for block in blocks(events, cuts):
        for model, pairs in feed(joins, block).items():
            given[model] += len(pairs)
        if swept:
            joins.sweep()
    joins.sweep()

    unmatched = joins.unmatched
    for model in {each.model for each in events}:
        told = sum(each.label for each in events if each.model == model)
        waiting = joins._waiting.table.used()
        mine = np.count_nonzero((waiting["key"] != 0) & (joins._waiting.models(waiting) == model))
        ends = unmatched.conflicts[model] + unmatched.orphans[model] + unmatched.not_sampled[model]
        assert told == given[model] + int(ends) + mine


def test_where_room_is_short_late_labels_are_met_by_a_sample_that_lasts() -> None:
    joins = Joins(100_000, LONG, most_bytes=ALL)
    spread(joins, 0, 5_000)
    late, found = 4_000, []

    for start in range(5_000, 45_000, 100):
        spread(joins, start, 100)
        found.append(sum(met(joins, model, 100, start - late) for model in range(MODELS)))
        joins.settle(range(MODELS))

    assert sum(found[:20]) == 0
    assert min(joins.share(model) for model in range(MODELS)) < 0.5
    assert sum(found[-100:]) > 0.03 * 100 * 100 * MODELS


def test_the_store_keeps_what_a_short_join_can_use() -> None:
    state = State(lambda _: ModelPolicy(join_capacity=100_000), join_bytes=ALL)
    rows = [state.model(f"m{number}").row for number in range(MODELS)]
    before = state.reach("m0")

    spread(state.arrays.joins, 0, 5_000)
    between = state.reach("m0")
    ahead(state.arrays.joins, 10_000, 5_000)

    assert rows == list(range(MODELS))
    assert before == between == 200_000  # as many labels may wait
    assert state.reach("m0") == 2 * state.arrays.joins.room(0) < 4 * EACH


def test_arrays_that_begin_anew_have_the_same_bound() -> None:
    state = State(lambda _: ModelPolicy(join_capacity=100_000), join_bytes=ALL)

    state.renew()
    spread(state.arrays.joins, 0, 5_000)

    assert state.arrays.joins.short == MODELS
