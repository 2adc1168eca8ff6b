"""Which of two sets of answers is better."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from tests.handlers import worlds
from watchkeeper.handlers.examples import Examples
from watchkeeper.handlers.losses import Answers, contest


def _perfect(examples: Examples) -> Answers:
    hit = np.array([label == "yes" for label in examples.label], dtype=np.float64)
    return Answers(examples.label, hit, examples.value)


@pytest.mark.parametrize(
    ("examples", "positive", "measure"),
    [
        (worlds.classification(400), "yes", "Brier score"),
        (worlds.classification(400), None, "error rate"),
        (worlds.regression(400), None, "absolute error"),
    ],
)
def test_perfect_answers_beat_stale_ones_and_not_the_other_way(
    examples: Examples, positive: str | None, measure: str
) -> None:
    stale, perfect = Answers.recorded(examples), _perfect(examples)

    forth = contest(examples, stale, perfect, positive)
    back = contest(examples, perfect, stale, positive)

    assert forth is not None
    assert back is not None
    assert (forth.verdict, back.verdict, forth.measure) == ("better", "worse", measure)
    assert forth.n == 400


def test_only_examples_that_both_answered_count() -> None:
    examples = worlds.regression(400)
    gaps = np.where(np.arange(400) < 390, np.nan, examples.value)

    found = contest(
        examples, Answers.recorded(examples), replace(_perfect(examples), value=gaps), None
    )

    assert found is not None
    assert found.n == 10


def test_no_common_answers_give_no_verdict() -> None:
    examples = worlds.regression(400)
    nothing = Answers(examples.label, examples.score, np.full(400, np.nan))

    assert contest(examples, Answers.recorded(examples), nothing, None) is None


def test_better_scores_with_worse_labels_are_not_better() -> None:
    examples = worlds.classification(400, stale=False)
    perfect = _perfect(examples)
    turned = np.where(examples.label == "yes", "no", "yes").astype(object)

    found = contest(examples, Answers.recorded(examples), replace(perfect, label=turned), "yes")

    assert found is not None
    assert found.verdict == "same"
