"""Trains a candidate on a job's folder: `python -m watchkeeper.handlers.retrain.trainer FOLDER`.

The newest fifth of the examples is held out. On the older ones a grid of models is searched with
cross-validation that never looks into the future; the best one is judged on the newest fifth,
against the answers that the serving version gave to the same requests. What was judged is what
is exported: nothing is fitted again afterwards.
"""

from __future__ import annotations

import sys
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import (
    ExtraTreesClassifier,
    ExtraTreesRegressor,
    GradientBoostingClassifier,
    GradientBoostingRegressor,
    RandomForestClassifier,
    RandomForestRegressor,
)
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.model_selection import GridSearchCV, TimeSeriesSplit
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from watchkeeper.detectors.types import ObjectArray
from watchkeeper.handlers.examples import Examples
from watchkeeper.handlers.losses import Answers, contest
from watchkeeper.handlers.onnx_file import BadModel
from watchkeeper.handlers.retrain.dataset import MODEL, BadJob, Result, Task, read, write_result
from watchkeeper.handlers.retrain.export import NotEqual, check_parity, export
from watchkeeper.handlers.retrain.screen import objection

_HELD_OUT = 0.2
_SPLITS = 4
_PARITY_ROWS = 2_000

Grid = list[dict[str, list[Any]]]


def main(arguments: Sequence[str]) -> int:
    """Does the job in the folder that is the last argument; the exit code."""
    folder = Path(arguments[-1])
    try:
        task, examples = read(folder)
        result = train(task, examples, folder)
    except (BadJob, BadModel, NotEqual) as error:
        sys.stderr.write(f"{type(error).__name__}: {error}\n")
        return 1
    write_result(folder, result)
    return 0


def train(task: Task, examples: Examples, folder: Path) -> Result:
    """Makes the candidate's file in `folder`, and says how it did."""
    why_not = objection(examples)
    if why_not:
        return Result(refused=why_not)
    cut = int(len(examples) * (1 - _HELD_OUT))
    old, new = _narrow(examples.take(slice(0, cut))), _narrow(examples.take(slice(cut, None)))
    if old.classes != examples.classes:
        return Result(refused="a class appears only among the newest examples")
    search = _search(task, old)
    answers = _answers(search.best_estimator_, new, task.positive)
    comparison = contest(new, Answers.recorded(new), answers, task.positive)
    if comparison is None:
        return Result(refused="the serving version's answers to the newest examples are not known")
    digest = export(search.best_estimator_, old, folder / MODEL)
    shown = new.take(slice(0, _PARITY_ROWS))
    expected = _answers(search.best_estimator_, shown, task.positive)
    check_parity(folder / MODEL, digest, shown, expected, task.positive)
    return Result(
        candidate=task.candidate,
        better=comparison.verdict == "better",
        digest=digest,
        trained_until=float(old.at[-1]),
        measure=comparison.measure,
        candidate_loss=comparison.target_loss,
        current_loss=comparison.current_loss,
        p=comparison.p,
        n=comparison.n,
        parent=task.parent,
        dataset_digest=task.dataset_digest,
        params={name: str(value) for name, value in search.best_params_.items()},
    )


def _narrow(examples: Examples) -> Examples:
    """Numbers as the exported file will see them: rounded to 32 bits."""
    with np.errstate(over="ignore"):
        numeric = {n: c.astype(np.float32).astype(np.float64) for n, c in examples.numeric.items()}
    numeric = {n: np.where(np.isinf(c), np.nan, c) for n, c in numeric.items()}
    return Examples(
        examples.at,
        examples.version,
        numeric,
        examples.categorical,
        examples.label,
        examples.value,
        examples.predicted_label,
        examples.score,
        examples.predicted_value,
    )


def _search(task: Task, examples: Examples) -> Any:
    classifier = bool(examples.classes)
    truth: npt.NDArray[Any] = examples.label.astype(str) if classifier else examples.value
    pipeline = Pipeline([("prepare", _prepare(examples)), ("estimator", Ridge())])
    search = GridSearchCV(
        pipeline,
        _classifiers(task.seed) if classifier else _regressors(task.seed),
        scoring="neg_log_loss" if classifier else "neg_mean_absolute_error",
        cv=TimeSeriesSplit(_SPLITS),
        error_score=-np.inf,
    )
    with warnings.catch_warnings():
        # A fold without one of the classes scores -inf: its model is not chosen, which is all.
        warnings.simplefilter("ignore")
        search.fit(_table(examples), truth)
    return search


def _prepare(examples: Examples) -> ColumnTransformer:
    """Impute, normalise and encode, by column number: numbers first, then words."""
    numbers = list(range(len(examples.numeric)))
    words = list(range(len(numbers), len(numbers) + len(examples.categorical)))
    scale = Pipeline(
        [("impute", SimpleImputer(strategy="median", keep_empty_features=True)),
         ("normalise", StandardScaler())]
    )  # fmt: skip
    encode = OneHotEncoder(handle_unknown="ignore", sparse_output=False, max_categories=50)
    steps = [("numbers", scale, numbers), ("words", encode, words)]
    return ColumnTransformer([step for step in steps if step[2]])


def _classifiers(seed: int) -> Grid:
    """Only estimators whose export is proved by tests."""
    return [
        {"estimator": [LogisticRegression(max_iter=500)], "estimator__C": [0.1, 1.0]},
        {
            "estimator": [
                RandomForestClassifier(60, random_state=seed),
                ExtraTreesClassifier(60, random_state=seed),
            ],
            "estimator__min_samples_leaf": [5, 20],
        },
        {
            "estimator": [GradientBoostingClassifier(n_estimators=60, random_state=seed)],
            "estimator__max_depth": [2, 3],
        },
    ]


def _regressors(seed: int) -> Grid:
    return [
        {"estimator": [Ridge()], "estimator__alpha": [0.1, 1.0, 10.0]},
        {
            "estimator": [
                RandomForestRegressor(60, random_state=seed),
                ExtraTreesRegressor(60, random_state=seed),
            ],
            "estimator__min_samples_leaf": [5, 20],
        },
        {
            "estimator": [GradientBoostingRegressor(n_estimators=60, random_state=seed)],
            "estimator__max_depth": [2, 3],
        },
    ]


def _table(examples: Examples) -> ObjectArray:
    columns: list[npt.NDArray[Any]] = list(examples.numeric.values())
    columns += [
        np.array(["" if word is None else word for word in column], dtype=object)
        for column in examples.categorical.values()
    ]
    return np.column_stack([column.astype(object) for column in columns])


def _answers(pipeline: Any, examples: Examples, positive: str | None) -> Answers:
    n, table = len(examples), _table(examples)
    missing = np.full(n, np.nan)
    if not hasattr(pipeline, "predict_proba"):
        return Answers(np.full(n, None, dtype=object), missing, pipeline.predict(table))
    classes = [str(name) for name in pipeline.classes_]
    chances = pipeline.predict_proba(table)
    score = chances[:, classes.index(positive)] if positive in classes else missing
    return Answers(np.array(classes, dtype=object)[chances.argmax(axis=1)], score, missing)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
