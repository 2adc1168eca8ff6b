"""The built-in trainer on generated worlds, and the export of every estimator it may choose."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.handlers import worlds
from watchkeeper.handlers.examples import Examples
from watchkeeper.handlers.retrain import dataset
from watchkeeper.handlers.retrain.dataset import Result, Task
from watchkeeper.handlers.scoring import score_onnx

pytest.importorskip("sklearn", reason="needs the extra `train`")
pytest.importorskip("skl2onnx", reason="needs the extra `train`")

from sklearn.pipeline import Pipeline

from watchkeeper.handlers.retrain import export, trainer

_TASK = Task("churn", "v2", "v2.r-1", (), (), "yes", "")


def _trained(folder: Path, examples: Examples) -> Result:
    dataset.write(folder, _TASK, examples)
    assert trainer.main([str(folder)]) == 0
    result = dataset.read_result(folder)
    assert result is not None
    return result


@pytest.mark.parametrize(
    ("examples", "measure"),
    [(worlds.classification(), "Brier score"), (worlds.regression(), "absolute error")],
)
def test_a_stale_model_is_beaten_and_the_candidate_can_be_scored(
    tmp_path: Path, examples: Examples, measure: str
) -> None:
    result = _trained(tmp_path, examples)

    assert (result.better, result.measure, result.candidate) == (True, measure, "v2.r-1")
    assert result.candidate_loss < 0.5 * result.current_loss
    assert result.n == len(examples) // 5
    assert result.trained_until < examples.at[-result.n]
    scores = score_onnx(
        tmp_path / "model.onnx", result.digest, examples.numeric, examples.categorical
    )
    assert (scores.label is not None) == bool(examples.classes)
    assert scores.classes == examples.classes


@pytest.mark.parametrize(
    "examples", [worlds.classification(stale=False), worlds.regression(stale=False)]
)
def test_a_good_model_is_not_beaten(tmp_path: Path, examples: Examples) -> None:
    assert not _trained(tmp_path, examples).better


def test_learning_from_noise_gives_nothing_better(tmp_path: Path) -> None:
    examples = worlds.classification(stale=False)
    np.random.default_rng(3).shuffle(examples.label)
    examples.score[:] = np.mean(examples.label == "yes")
    examples.predicted_label[:] = "yes"

    assert not _trained(tmp_path, examples).better


def test_unfit_examples_are_refused_with_the_reason(tmp_path: Path) -> None:
    result = _trained(tmp_path, worlds.classification(100))

    assert "only 100 labelled examples" in result.refused
    assert not (tmp_path / "model.onnx").exists()


def test_an_empty_folder_fails_without_a_result(tmp_path: Path) -> None:
    assert trainer.main([str(tmp_path)]) == 1
    assert dataset.read_result(tmp_path) is None


def _parts(examples: Examples) -> list[tuple[Any, bool]]:
    """Every estimator of the grid, with whether it gets numbers scaled."""
    grid = trainer.classifiers if examples.classes else trainer.regressors
    return [(e, "prepare" not in part) for part in grid(examples, 0) for e in part["estimator"]]


def _with_words(examples: Examples, words: list[str | None]) -> Examples:
    column = np.array(words * (len(examples) // len(words)), dtype=object)
    return replace(examples, categorical={**examples.categorical, "shop": column})


@pytest.mark.parametrize("world", [worlds.classification, worlds.regression])
def test_every_estimator_answers_the_same_after_export(
    tmp_path: Path, world: Callable[..., Examples]
) -> None:
    examples = trainer.narrow(_with_words(world(400), ["a", "b", None, "c"]))
    unseen = trainer.narrow(_with_words(world(300, seed=9), ["a", "new", None]))
    truth = examples.label.astype(str) if examples.classes else examples.value

    for estimator, scale in _parts(examples):
        prepare = trainer.prepare(examples, scale=scale)
        pipeline = Pipeline([("prepare", prepare), ("estimator", estimator)])
        pipeline.fit(trainer.table(examples), truth)
        path = tmp_path / f"{type(estimator).__name__}.onnx"
        digest = export.export(pipeline, examples, path)

        export.check_parity(path, digest, unseen, trainer.outputs(pipeline, unseen))


def test_another_model_is_not_taken_for_the_same(tmp_path: Path) -> None:
    examples = worlds.regression(400)
    result = _trained(tmp_path, examples)

    with pytest.raises(export.NotEqual, match="answers differ"):
        export.check_parity(tmp_path / "model.onnx", result.digest, examples, examples.value * 1.1)
