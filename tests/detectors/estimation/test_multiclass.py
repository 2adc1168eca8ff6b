"""Estimates of a classifier of many classes."""

from __future__ import annotations

import numpy as np

from watchkeeper.detectors.estimation.multiclass import CONFIDENCES, Multiclass, cells_of
from watchkeeper.detectors.types import FloatArray, IntArray

K = 4
KIND = Multiclass(K)


def drawn(
    seed: int, n: int, mix: FloatArray | None = None
) -> tuple[IntArray, FloatArray, IntArray]:
    """Answers, how sure they are, and the truths: the model is too sure, by half in log-odds."""
    random = np.random.default_rng(seed)
    logits = random.normal(0, 1.0, (n, K)) + (np.zeros(K) if mix is None else mix)
    chances = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    truths = (chances.cumsum(axis=1) < random.random((n, 1))).sum(axis=1)
    told = np.exp(2 * logits) / np.exp(2 * logits).sum(axis=1, keepdims=True)
    answers = told.argmax(axis=1)
    return answers, told[np.arange(n), answers], truths


def counted(seed: int, n: int, mix: FloatArray | None = None) -> IntArray:
    answers, sure, truths = drawn(seed, n, mix)
    cells = cells_of(answers, sure, K)
    flat = np.bincount(truths * KIND.cells + cells, minlength=K * KIND.cells)
    return flat.reshape(K, KIND.cells)


def test_truths_fall_into_the_band() -> None:
    lesson = KIND.lesson(counted(1, 60_000))
    known = np.stack([counted(10 + i, 2_000) for i in range(100)])
    none = np.zeros((100, KIND.cells))

    guess = lesson.restated(np.zeros_like(known), KIND.told(known), none)
    truth = lesson.restated(known, np.zeros_like(KIND.told(known)), none)

    inside = (np.abs(truth.value - guess.value) <= 1.96 * guess.error).mean(axis=0)
    assert np.all(inside[:2] > 0.9)
    assert np.all(inside > 0.85)


def test_a_harder_mix_of_classes_is_seen() -> None:
    lesson = KIND.lesson(counted(1, 60_000))
    known = counted(2, 4_000, np.array([2.0, 0.0, 0.0, 0.0]))[None]
    none = np.zeros((1, KIND.cells))

    guess = lesson.restated(np.zeros_like(known), KIND.told(known), none)
    truth = lesson.restated(known, np.zeros_like(KIND.told(known)), none)
    usual = lesson.restated(counted(3, 4_000)[None], np.zeros((1, KIND.cells)), none)

    assert abs(truth.value[0, 0] - usual.value[0, 0]) > 0.1
    assert abs(truth.value[0, 0] - guess.value[0, 0]) < 0.03


def test_realised_measures_are_those_of_the_rows() -> None:
    answers, sure, truths = drawn(4, 3_000)
    known = counted(4, 3_000)[None]
    none = np.zeros((1, KIND.cells))

    found = dict(
        zip(
            KIND.measures,
            KIND.lesson(known[0]).restated(known, none, none).value[0],
            strict=True,
        )
    )

    assert np.isclose(found["accuracy"], (answers == truths).mean())
    for k in range(K):
        hits = ((answers == k) & (truths == k)).sum()
        assert np.isclose(found[f"precision:{k}"], hits / (answers == k).sum())
        assert np.isclose(found[f"recall:{k}"], hits / (truths == k).sum())
    assert len(sure) == 3_000


def test_odd_answers_have_no_cell() -> None:
    cells = cells_of(np.array([0, -1, K, 1, 1]), np.array([0.5, 0.5, 0.5, np.nan, 1.0]), K)

    assert cells.tolist() == [CONFIDENCES // 2, -1, -1, -1, 2 * CONFIDENCES - 1]
