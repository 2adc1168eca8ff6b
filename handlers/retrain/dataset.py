"""The folder of a training job: what the daemon writes into it and what it reads out again.

`job.json` says what to do (`Task`), `dataset.csv` holds the examples, oldest first: the columns
`at`, `version`, `label`, `value`, `predicted_label`, `score`, `predicted_value`, and one column
`feature:<name>` a feature. An empty field is a missing value. A trainer, ours or any other
program, gets the folder as its last argument and writes `model.onnx` and, last of all and by
renaming, `result.json` (`Result`): a job without it has failed.
"""

from __future__ import annotations

import csv
import hashlib
import os
from pathlib import Path
from typing import TextIO

import msgspec
import numpy as np

from watchkeeper.detectors.types import FloatArray, ObjectArray
from watchkeeper.handlers.examples import Examples

_TASK, _DATASET, RESULT, MODEL = "job.json", "dataset.csv", "result.json", "model.onnx"
_FIXED = ("at", "version", "label", "value", "predicted_label", "score", "predicted_value")
_PREFIX = "feature:"
_RESULT_LIMIT = 1_000_000


class Task(msgspec.Struct, frozen=True):
    """What a trainer is asked for: a candidate for `model` in place of `parent`.

    `positive` is a binary model's positive class; `dataset_digest` the SHA-256 of `dataset.csv`.
    """

    model: str
    parent: str
    candidate: str
    numeric: tuple[str, ...]
    categorical: tuple[str, ...]
    positive: str | None
    dataset_digest: str
    seed: int = 0


class Result(msgspec.Struct, frozen=True):
    """What a trainer made. `refused` says why there is no candidate; the rest is then unset.

    `better` is the verdict of the paired test against the serving version's recorded answers on
    the newest examples, none of which the candidate learned from: all of these are later than
    `trained_until` (seconds since the epoch). `digest` is the SHA-256 of `model.onnx`.
    """

    candidate: str = ""
    better: bool = False
    digest: str = ""
    trained_until: float = 0.0
    measure: str = ""
    candidate_loss: float = 0.0
    current_loss: float = 0.0
    p: float = 1.0
    n: int = 0
    parent: str = ""
    dataset_digest: str = ""
    params: dict[str, str] = {}
    refused: str = ""


class BadJob(Exception):
    """A job's folder does not hold what it should."""


def write(folder: Path, task: Task, examples: Examples) -> Task:
    """Fills a job's folder; the task as written, with the data set's digest and its features."""
    path = folder / _DATASET
    with path.open("w", newline="", encoding="utf-8") as file:
        _write_rows(file, examples)
    complete = msgspec.structs.replace(
        task,
        numeric=tuple(examples.numeric),
        categorical=tuple(examples.categorical),
        dataset_digest=digest_of(path),
    )
    replace(folder / _TASK, msgspec.json.encode(complete))
    return complete


def read(folder: Path) -> tuple[Task, Examples]:
    """What `write` wrote. Raises `BadJob` when it is not there or was changed."""
    path = folder / _DATASET
    try:
        task = msgspec.json.decode((folder / _TASK).read_bytes(), type=Task)
        if digest_of(path) != task.dataset_digest:
            raise BadJob(f"{path} was changed")
        with path.open(newline="", encoding="utf-8") as file:
            rows = list(csv.reader(file))
    except (OSError, msgspec.MsgspecError) as error:
        raise BadJob(f"{folder}: {error}") from error
    return task, _examples(task, rows)


def write_result(folder: Path, result: Result) -> None:
    """Ends a job, in one instant."""
    replace(folder / RESULT, msgspec.json.encode(result))


def read_result(folder: Path) -> Result | None:
    """What a job made; None while it has not ended. Raises `BadJob` for an unusable result."""
    path = folder / RESULT
    try:
        with path.open("rb") as file:
            text = file.read(_RESULT_LIMIT + 1)
    except FileNotFoundError:
        return None
    if len(text) > _RESULT_LIMIT:
        raise BadJob(f"{path} is larger than {_RESULT_LIMIT} bytes")
    try:
        result = msgspec.json.decode(text, type=Result)
    except msgspec.MsgspecError as error:
        raise BadJob(f"{path}: {error}") from None
    if not result.refused and digest_of(folder / MODEL) != result.digest:
        raise BadJob(f"{folder / MODEL} is not the file that the result names")
    return result


def digest_of(path: Path) -> str:
    """The SHA-256 of a file, in hex."""
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise BadJob(f"{path}: {error.strerror}") from None


def replace(path: Path, text: bytes) -> None:
    """Writes a file so that nobody ever sees half of it."""
    part = path.with_name(f"{path.name}.part")
    with part.open("wb") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    part.replace(path)


def _write_rows(file: TextIO, examples: Examples) -> None:
    writer = csv.writer(file)
    features = (*examples.numeric, *examples.categorical)
    writer.writerow((*_FIXED, *(_PREFIX + name for name in features)))
    columns = (
        _numbers(examples.at),
        _words(examples.version),
        _words(examples.label),
        _numbers(examples.value),
        _words(examples.predicted_label),
        _numbers(examples.score),
        _numbers(examples.predicted_value),
        *(_numbers(column) for column in examples.numeric.values()),
        *(_words(column) for column in examples.categorical.values()),
    )
    writer.writerows(zip(*columns, strict=True))


def _numbers(column: FloatArray) -> list[str]:
    return ["" if np.isnan(value) else repr(float(value)) for value in column]


def _words(column: ObjectArray) -> list[str]:
    return ["" if word is None else str(word) for word in column]


def _examples(task: Task, rows: list[list[str]]) -> Examples:
    features = [_PREFIX + name for name in (*task.numeric, *task.categorical)]
    header = [*_FIXED, *features]
    if not rows or rows[0] != header or any(len(row) != len(header) for row in rows):
        raise BadJob("the data set has other columns than the task")
    columns = dict(zip(header, zip(*rows[1:], strict=True), strict=True)) if rows[1:] else {}

    def numbers(name: str) -> FloatArray:
        return np.array([float(text or "nan") for text in columns.get(name, ())], dtype=np.float64)

    def words(name: str) -> ObjectArray:
        return np.array([text or None for text in columns.get(name, ())], dtype=object)

    return Examples(
        at=numbers("at"),
        version=words("version"),
        numeric={name: numbers(_PREFIX + name) for name in task.numeric},
        categorical={name: words(_PREFIX + name) for name in task.categorical},
        label=words("label"),
        value=numbers("value"),
        predicted_label=words("predicted_label"),
        score=numbers("score"),
        predicted_value=numbers("predicted_value"),
    )
