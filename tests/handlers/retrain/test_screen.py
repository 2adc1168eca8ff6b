"""What is not fit to learn from."""

from __future__ import annotations

import numpy as np

from tests.handlers import worlds
from watchkeeper.handlers.retrain.screen import objection


def test_honest_examples_pass() -> None:
    assert objection(worlds.classification()) == ""
    assert objection(worlds.regression()) == ""


def test_too_few_are_refused() -> None:
    assert "only 199 labelled examples" in objection(worlds.classification(199))


def test_a_rare_class_is_refused() -> None:
    examples = worlds.classification()
    examples.label[:] = "no"
    examples.label[:19] = "yes"

    assert "too few examples of a class" in objection(examples)


def test_one_class_is_refused() -> None:
    examples = worlds.classification()
    examples.label[:] = "no"

    assert "too few examples of a class" in objection(examples)


def test_repeated_inputs_are_refused() -> None:
    examples = worlds.classification(400)
    flood = examples.take(np.concatenate([np.arange(400), np.zeros(600, dtype=np.int64)]))

    assert "60% of the inputs are repetitions" in objection(flood)


def test_contradicting_labels_are_refused() -> None:
    examples = worlds.classification(400)
    twice = examples.take(np.concatenate([np.arange(400), np.arange(300)]))
    twice.label[400:] = np.where(twice.label[400:] == "yes", "no", "yes")

    assert "300 inputs came with contradicting labels" in objection(twice)


def test_a_missing_truth_is_refused() -> None:
    examples = worlds.regression()
    examples.value[3] = np.nan

    assert objection(examples) == "some truths are missing"
