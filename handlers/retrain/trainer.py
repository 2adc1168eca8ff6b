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

from watchkeeper.detectors.types import FloatArray, ObjectArray
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
    old, new = narrow(examples.take(slice(0, cut))), narrow(examples.take(slice(cut, None)))
    if old.classes != examples.classes:
        return Result(refused="a class appears only among the newest examples")
    search = _search(task, old)
    classes = list(old.classes)
    answers = _answers(search.best_estimator_, new, classes, task.positive)
    comparison = contest(new, Answers.recorded(new), answers, task.positive)
    if comparison is None:
        return Result(refused="the serving version's answers to the newest examples are not known")
    digest = export(search.best_estimator_, old, folder / MODEL)
    shown = new.take(slice(0, _PARITY_ROWS))
    check_parity(folder / MODEL, digest, shown, outputs(search.best_estimator_, shown))
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
        params={k: str(v) for k, v in search.best_params_.items() if k != "prepare"},
    )


def narrow(examples: Examples) -> Examples:
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
    grid = classifiers(examples, task.seed) if classifier else regressors(examples, task.seed)
    pipeline = Pipeline([("prepare", prepare(examples, scale=True)), ("estimator", Ridge())])
    search = GridSearchCV(
        pipeline,
        grid,
        scoring="neg_log_loss" if classifier else "neg_mean_absolute_error",
        cv=TimeSeriesSplit(_SPLITS),
        error_score=-np.inf,
    )
    with warnings.catch_warnings():
        # A fold without one of the classes scores -inf: its model is not chosen, which is all.
        warnings.simplefilter("ignore")
        search.fit(table(examples), truth)
    return search


def prepare(examples: Examples, *, scale: bool) -> ColumnTransformer:
    """Impute, normalise and encode, by column number: numbers first, then words.

    Trees get numbers as they are. They do not need the same scale, and a whole number that was
    scaled can fall on the other side of a threshold when it is scaled again in 32 bits.
    """
    numbers = list(range(len(examples.numeric)))
    words = list(range(len(numbers), len(numbers) + len(examples.categorical)))
    impute = SimpleImputer(strategy="median", keep_empty_features=True)
    steps = [("impute", impute), ("normalise", StandardScaler())][: 2 if scale else 1]
    encode = OneHotEncoder(handle_unknown="ignore", sparse_output=False, max_categories=50)
    parts = [("numbers", Pipeline(steps), numbers), ("words", encode, words)]
    return ColumnTransformer([part for part in parts if part[2]])


def classifiers(examples: Examples, seed: int) -> Grid:
    """What is searched for classes: only estimators whose export is proved by tests."""
    return [
        {"estimator": [LogisticRegression(max_iter=500)], "estimator__C": [0.1, 1.0]},
        *_trees(
            examples,
            [
                RandomForestClassifier(60, random_state=seed),
                ExtraTreesClassifier(60, random_state=seed),
            ],
            GradientBoostingClassifier(n_estimators=60, random_state=seed),
        ),
    ]


def regressors(examples: Examples, seed: int) -> Grid:
    """What is searched for numbers: only estimators whose export is proved by tests."""
    return [
        {"estimator": [Ridge()], "estimator__alpha": [0.1, 1.0, 10.0]},
        *_trees(
            examples,
            [
                RandomForestRegressor(60, random_state=seed),
                ExtraTreesRegressor(60, random_state=seed),
            ],
            GradientBoostingRegressor(n_estimators=60, random_state=seed),
        ),
    ]


def _trees(examples: Examples, forests: list[Any], boosting: Any) -> Grid:
    raw = [prepare(examples, scale=False)]
    return [
        {"prepare": raw, "estimator": forests, "estimator__min_samples_leaf": [5, 20]},
        {"prepare": raw, "estimator": [boosting], "estimator__max_depth": [2, 3]},
    ]


def table(examples: Examples) -> ObjectArray:
    columns: list[npt.NDArray[Any]] = list(examples.numeric.values())
    columns += [
        np.array(["" if word is None else word for word in column], dtype=object)
        for column in examples.categorical.values()
    ]
    return np.column_stack([column.astype(object) for column in columns])


def outputs(pipeline: Any, examples: Examples) -> FloatArray:
    """Probabilities, one column a class, or values: what the exported file must give too."""
    ask = getattr(pipeline, "predict_proba", None) or pipeline.predict
    given: FloatArray = ask(table(examples))
    return given


def _answers(
    pipeline: Any, examples: Examples, classes: list[str], positive: str | None
) -> Answers:
    n, given = len(examples), outputs(pipeline, examples)
    missing = np.full(n, np.nan)
    if not classes:
        return Answers(np.full(n, None, dtype=object), missing, given)
    score = given[:, classes.index(positive)] if positive in classes else missing
    return Answers(np.array(classes, dtype=object)[given.argmax(axis=1)], score, missing)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
