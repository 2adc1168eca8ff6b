"""The watch over one model's performance."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.detectors.estimation.made import Drawn, drawn, stretches
from tests.detectors.estimation.test_weighting import population
from watchkeeper.detectors.estimation.bins import (
    SAID_FROM_HALF,
    score_bins,
    score_counts,
    truth_counts,
)
from watchkeeper.detectors.estimation.classified import MEASURES
from watchkeeper.detectors.estimation.delays import delay_counts
from watchkeeper.detectors.estimation.kinds import Binary
from watchkeeper.detectors.estimation.learned import Learned, learned
from watchkeeper.detectors.estimation.performance import Opinion, Performance
from watchkeeper.detectors.estimation.regression import Regression, error_sums
from watchkeeper.detectors.estimation.rows import CODES, Rows
from watchkeeper.detectors.estimation.verdict import Why
from watchkeeper.detectors.types import BoolArray, FloatArray, IntArray, StateError

KIND = Binary()
HORIZON = 20_000.0
STEP = 500.0
ACCURACY = MEASURES.index("accuracy")


@pytest.fixture(scope="module")
def taught() -> Learned:
    known = stretches(1, 30)
    return learned(KIND, known, answers(known))


def answers(known: IntArray) -> FloatArray:
    return np.repeat(SAID_FROM_HALF[None], len(known), axis=0)


class Stream:
    """Windows of 500 predictions, whose labels come a while later."""

    def __init__(self, taught: Learned, delay: float = 3_000.0) -> None:
        self.watch = Performance(KIND, taught, HORIZON)
        self.delay = delay
        self.window = 0
        self.waiting: list[tuple[float, Drawn]] = []

    def passes(
        self, windows: int, *, bent: float = 1.0, raised: float = 0.0, labels: float = 1.0
    ) -> list[Opinion]:
        """So many windows later: all opinions given meanwhile."""
        given = []
        for _ in range(windows):
            start, now = self.window * STEP, (self.window + 1) * STEP
            made = drawn(70_000 + self.window, 500, bent, raised)
            said = int((made[0] >= 0.5).sum())
            self.watch.scored(start, now, score_counts(made[0]), said)
            self.waiting.append((start, made))
            self._label(start, labels)
            self.window += 1
            given += self.watch.judge(now)
        return given

    def _label(self, now: float, share: float) -> None:
        """The labels of a window come together, that of the oldest first."""
        start, (scores, truths) = self.waiting[0]
        if now - start < self.delay:
            return
        del self.waiting[0]
        n = int(len(truths) * share)
        delays = delay_counts(np.full(n, self.delay))
        self.watch.labelled(start, truth_counts(scores[:n], truths[:n]), delays)


def paged(opinions: list[Opinion]) -> set[tuple[float, Why]]:
    """The stretches with harm to accuracy for sure, and what that rests on."""
    return {
        (each.window.start, each.verdicts.why[0][ACCURACY])
        for each in opinions
        if each.verdicts.side[0, ACCURACY] < 0
    }


def test_a_healthy_stream_is_estimated_at_once_and_never_paged(taught: Learned) -> None:
    opinions = Stream(taught).passes(60)

    first = opinions[0]
    assert first.coverage == 0.0
    assert first.n == 2_000
    assert abs(first.estimate.value[0, ACCURACY] - taught.limits.expected[ACCURACY]) < 0.02
    assert not paged(opinions)
    assert all(0.0 <= each.coverage <= 1.0 for each in opinions)


def test_opinions_are_restated_until_the_truth_is_known(taught: Learned) -> None:
    opinions = Stream(taught).passes(40)
    mine = [each for each in opinions if each.window.start == 0.0]

    assert mine[-1].settled
    assert mine[-1].coverage == 1.0
    assert mine[-1].error[ACCURACY] == 0.0
    assert sum(each.gaps is not None for each in mine) == 1
    assert [each.error[ACCURACY] for each in mine] == sorted(
        (each.error[ACCURACY] for each in mine), reverse=True
    )


def test_a_harder_stream_is_paged_before_its_labels_come(taught: Learned) -> None:
    stream = Stream(taught, delay=8_000.0)
    stream.passes(20)

    # All scores near one half: the model is right as rarely as it says.
    scores = np.full(500, 0.55)
    for _ in range(4):
        start = stream.window * STEP
        stream.watch.scored(start, start + STEP, score_counts(scores), 500)
        stream.window += 1
    opinions = stream.watch.judge(stream.window * STEP)

    assert (10_000.0, Why.ESTIMATED) in paged(opinions)


def test_new_rules_are_paged_when_their_labels_come_and_cost_the_estimates_their_trust(
    taught: Learned,
) -> None:
    stream = Stream(taught)
    stream.passes(20)
    opinions = stream.passes(60, bent=-0.5)

    harmed = paged(opinions)
    assert harmed
    assert all(start >= 10_000.0 for start, _ in harmed)
    last = opinions[-1]
    assert last.trust[ACCURACY] < 0.8
    assert last.band[ACCURACY] > 3 * last.estimate.error[0, ACCURACY]
    gaps = [each.gaps.score[0, ACCURACY] for each in opinions if each.gaps is not None]
    assert min(gaps) < -5.0


def test_when_a_verdict_can_be_expected_is_learned(taught: Learned) -> None:
    stream = Stream(taught)
    before = stream.passes(4)[0]
    after = stream.passes(60)[-1]

    assert before.due - before.window.end == HORIZON
    assert 2_000.0 < after.due - after.window.end < 5_000.0


def test_where_labels_stay_out_the_last_word_comes_at_the_horizon(taught: Learned) -> None:
    opinions = Stream(taught).passes(100, labels=0.0)

    settled = [each for each in opinions if each.settled]
    assert settled
    assert all(each.coverage == 0.0 for each in opinions)
    assert {why for each in opinions for why in each.verdicts.why[0]} <= {Why.OPEN, Why.ESTIMATED}


def test_another_threshold_is_taken_from_the_answers(taught: Learned) -> None:
    watch = Performance(KIND, taught, HORIZON)
    scores, truths = drawn(5, 2_000)
    watch.scored(0.0, 60.0, score_counts(scores), int((scores >= 0.8).sum()))

    value = watch.judge(60.0)[0].estimate.value[0]

    assert value[ACCURACY] == pytest.approx(((scores >= 0.8) == truths).mean(), abs=0.03)


def test_a_watch_that_was_stored_goes_on_as_if_nothing_had_happened(taught: Learned) -> None:
    one, other = Stream(taught), Stream(taught)
    one.passes(30)
    other.passes(30)
    again = Performance(KIND, taught, HORIZON)
    again.load(other.watch.dump())
    other.watch = again

    here, there = one.passes(20), other.passes(20)

    assert one.watch.dump() == other.watch.dump()
    assert [each.due for each in here] == [each.due for each in there]


def test_damaged_state_is_refused_and_leaves_the_watch_as_it_was(taught: Learned) -> None:
    stream = Stream(taught)
    stream.passes(10)
    stored = stream.watch.dump()

    for damaged in (b"", stored[:-1], stored[:-300] + bytes(300)):
        with pytest.raises(StateError):
            stream.watch.load(damaged)

    assert stream.watch.dump() == stored


def test_a_reference_without_labels_teaches_nothing_and_judges_nothing() -> None:
    nothing = np.zeros((0, 2, KIND.cells), dtype=np.int64)
    watch = Performance(KIND, learned(KIND, nothing, answers(nothing)), HORIZON)
    watch.scored(0.0, 60.0, score_counts(drawn(1, 3_000)[0]), 1_500)

    opinion = watch.judge(60.0)[0]

    assert np.isfinite(opinion.estimate.value).all()
    assert not opinion.verdicts.final.any()


def test_a_shift_of_the_inputs_is_corrected_by_their_features() -> None:
    codes, score, truth = population(1, 20_000, 0.1)
    keys = np.random.default_rng(1).permutation(20_000).astype(np.uint64)
    rows = Rows(keys, codes, score_bins(score), truth).sampled()
    known = np.stack([truth_counts(s, t) for s, t in zip(*_cut(score, truth), strict=True)])
    taught = learned(KIND, known, answers(known))
    plain, better = (Performance(KIND, taught, HORIZON, rows=each) for each in (None, rows))
    codes, score, truth = population(2, 2_000, 0.8)
    features = np.stack([np.bincount(column, minlength=CODES) for column in codes.T])
    for watch in (plain, better):
        watch.scored(0.0, 60.0, score_counts(score), int((score >= 0.5).sum()), features)
    again = Performance(KIND, taught, HORIZON, rows=rows)
    again.load(better.dump())

    here, there, after = (watch.judge(60.0)[0].estimate.value for watch in (plain, better, again))

    accuracy = ((score >= 0.5) == truth).mean()
    assert abs(there[0, ACCURACY] - accuracy) < 0.5 * abs(here[0, ACCURACY] - accuracy)
    assert np.array_equal(there, after)


def _cut(score: FloatArray, truth: BoolArray) -> tuple[list[FloatArray], list[BoolArray]]:
    return np.split(score, 10), np.split(truth, 10)


EVENTS = st.lists(
    st.tuples(
        st.sampled_from(["scored", "labelled", "judge", "restart"]),
        st.integers(0, 12),
        st.integers(-2, 700),
    ),
    max_size=25,
)


@given(EVENTS)
def test_whatever_comes_in_whatever_order_is_survived(
    events: list[tuple[str, int, int]],
) -> None:
    known = stretches(1, 5)
    taught = learned(KIND, known, answers(known))
    watch = Performance(KIND, taught, HORIZON, size=500)
    for what, window, n in events:
        scores, truths = drawn(abs(n), abs(n))
        start = 60.0 * window
        if what == "scored":
            watch.scored(start, start + 60.0, score_counts(scores), n)
        elif what == "labelled":
            delays = delay_counts(np.full(abs(n), 10.0 * n))
            watch.labelled(start, truth_counts(scores, truths), delays)
        elif what == "restart":
            stored, watch = watch.dump(), Performance(KIND, taught, HORIZON, size=500)
            watch.load(stored)
            assert watch.dump() == stored
        for opinion in watch.judge(start) if what == "judge" else []:
            assert 0.0 <= opinion.coverage <= 1.0
            assert opinion.due < np.inf
            final = opinion.verdicts.final[0]
            assert np.isfinite(opinion.now.value[0][final]).all()
            assert np.isfinite(opinion.trust).all()


def test_regressors_are_judged_too() -> None:
    kind, random = Regression(4, 1.0), np.random.default_rng(1)

    def window(wide: float) -> tuple[IntArray, IntArray]:
        cells = random.integers(0, 4, 1_000)
        errors = random.normal(0, wide, 1_000)
        return np.bincount(cells, minlength=4), error_sums(cells, errors, 4, 1.0)

    known = np.stack([window(1.0)[1] for _ in range(20)])
    watch = Performance(kind, learned(kind, known, np.zeros((20, 4))), HORIZON, size=1_000)
    for place, wide in enumerate([1.0] * 5 + [1.5]):
        scored, sums = window(wide)
        watch.scored(place * STEP, (place + 1) * STEP, scored, 0)
        watch.labelled(place * STEP, sums, delay_counts(np.full(1_000, 1.0)))

    opinions = watch.judge(6 * STEP)

    assert [bool(each.verdicts.side[0, 0] > 0) for each in opinions] == [False] * 5 + [True]
    assert all(each.settled for each in opinions)
