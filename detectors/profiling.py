"""Builds the reference: profiles of a model's inputs and outputs, from frames or from columns."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from itertools import chain
from typing import Any, Literal, TypeVar

import numpy as np
import numpy.typing as npt

from watchkeeper.detectors.column_profiles import categorical_profile, numeric_profile
from watchkeeper.detectors.gathered import filled
from watchkeeper.detectors.profile import FEATURES, CategoricalProfile, NumericProfile, Profile
from watchkeeper.detectors.types import FloatArray, ObjectArray, PredictionFrame

Source = Literal["learned", "imported"]
T = TypeVar("T")
Task = Literal["binary", "multiclass", "regression", "unknown"]

POSITIVE_NAMES = ("1", "true", "yes", "positive")


class ProfileError(ValueError):
    """The given rows or columns cannot serve as a reference."""


@dataclass(slots=True)
class _Table:
    """The reference as whole columns of one length."""

    at: FloatArray
    label: ObjectArray | None = None
    score: FloatArray | None = None
    value: FloatArray | None = None
    numeric: dict[str, FloatArray] = field(default_factory=dict)
    categorical: dict[str, ObjectArray] = field(default_factory=dict)


def learn_profile(
    frames: Sequence[PredictionFrame],
    model: str,
    version: str,
    source: Source = "learned",
    positive: str | None = None,
) -> Profile:
    """Profiles the rows of all frames together; how they are cut into frames does not matter.

    Raises `ProfileError` when there is no row.
    """
    if not sum(len(frame) for frame in frames):
        raise ProfileError("a reference needs at least one prediction")
    there = _there(chain.from_iterable(frame.numeric.items() for frame in frames))
    said = _said(chain.from_iterable(frame.categorical.items() for frame in frames))
    numeric, categorical = map(frozenset, _chosen(there, said))
    table = _Table(
        at=np.concatenate([frame.at for frame in frames]),
        label=np.concatenate([frame.label for frame in frames]),
        score=np.concatenate([frame.score for frame in frames]),
        value=np.concatenate([frame.value for frame in frames]),
        numeric=filled([_only(numeric, len(f), f.numeric) for f in frames], np.nan, np.float64),
        categorical=filled(
            [_only(categorical, len(f), f.categorical) for f in frames], None, np.object_
        ),
    )
    return _profile(table, model, version, source, positive)


def profile_from_columns(
    columns: Mapping[str, npt.NDArray[Any]],
    *,
    model: str,
    version: str,
    label: npt.NDArray[Any] | None = None,
    score: npt.NDArray[Any] | None = None,
    value: npt.NDArray[Any] | None = None,
    at: npt.NDArray[Any] | None = None,
    positive: str | None = None,
    source: Source = "imported",
) -> Profile:
    """Profiles feature columns of a file, with the model's answers where they are given.

    Numbers and booleans are numeric, also in object columns; everything else is categorical, and
    None and NaN are missing. Raises `ProfileError` for columns that do not fit together.
    """
    outputs = {"label": label, "score": score, "value": value, "at": at}
    given = {**columns, **{name: column for name, column in outputs.items() if column is not None}}
    rows = _common_length(given)
    table = _Table(at=np.zeros(rows) if at is None else _numbers("at", at))
    if not np.isfinite(table.at).all():
        raise ProfileError("column 'at' must hold a time in every row")
    table.label = None if label is None else _strings(label)
    table.score = None if score is None else _numbers("score", score)
    table.value = None if value is None else _numbers("value", value)
    for name, column in columns.items():
        if _is_numeric(column):
            table.numeric[name] = _numbers(name, column)
        else:
            table.categorical[name] = _strings(column)
    return _profile(table, model, version, source, positive)


def _profile(
    table: _Table, model: str, version: str, source: Source, positive: str | None
) -> Profile:
    numeric, categorical = _chosen(_there(table.numeric.items()), _said(table.categorical.items()))
    classes = None if table.label is None else categorical_profile("label", table.label)
    if classes is not None and not classes.categories:
        classes = None
    score = _output_profile("score", table.score)
    value = _output_profile("value", table.value)
    task = _task(classes, score, value)
    return Profile(
        model=model,
        version=version,
        source=source,
        n=len(table.at),
        since=float(table.at.min()),
        until=float(table.at.max()),
        task=task,
        numeric=tuple(numeric_profile(name, table.numeric[name]) for name in numeric),
        categorical=tuple(
            categorical_profile(name, table.categorical[name]) for name in categorical
        ),
        classes=classes,
        positive=positive if positive is not None else _positive(task, classes),
        score=score,
        value=value,
    )


def _output_profile(name: str, column: FloatArray | None) -> NumericProfile | None:
    if column is None or not np.isfinite(column).any():
        return None
    return numeric_profile(name, column)


def _task(
    classes: CategoricalProfile | None, score: NumericProfile | None, value: NumericProfile | None
) -> Task:
    if classes is None:
        return "binary" if score else "regression" if value else "unknown"
    if len(classes.categories) > 2:
        return "multiclass"
    return "binary" if score or len(classes.categories) == 2 else "unknown"


def _positive(task: Task, classes: CategoricalProfile | None) -> str | None:
    """The class that is looked for: by its name, else the rarer of two."""
    if task != "binary" or classes is None:
        return None
    named = [c for name in POSITIVE_NAMES for c in classes.categories if c.lower() == name]
    if named:
        return named[0]
    return classes.categories[-1] if len(classes.categories) == 2 else None


def _there(columns: Iterable[tuple[str, npt.NDArray[Any]]]) -> Mapping[str, int]:
    """How many numbers there are of each name."""
    found: Counter[str] = Counter()
    for name, column in columns:
        found[name] += int(np.isfinite(column).sum())
    return found


def _said(columns: Iterable[tuple[str, npt.NDArray[Any]]]) -> Mapping[str, int]:
    """How many texts there are of each name."""
    found: Counter[str] = Counter()
    for name, column in columns:
        found[name] += len(column) - column.tolist().count(None)
    return found


def _chosen(numbers: Mapping[str, int], texts: Mapping[str, int]) -> tuple[list[str], list[str]]:
    """The features worth a profile, in order of name: those most often there, at most FEATURES.

    A name that came as number and as text is profiled as what it was more often.
    """
    there = {name: (n, True) for name, n in numbers.items()}
    for name, n in texts.items():
        if name not in there or n > there[name][0]:
            there[name] = (n, False)
    kept = sorted(there, key=lambda name: (-there[name][0], name))[:FEATURES]
    return (
        sorted(name for name in kept if there[name][1]),
        sorted(name for name in kept if not there[name][1]),
    )


def _only(
    names: AbstractSet[str], rows: int, columns: Mapping[str, T]
) -> tuple[int, Mapping[str, T]]:
    return rows, {name: column for name, column in columns.items() if name in names}


def _common_length(columns: Mapping[str, npt.NDArray[Any]]) -> int:
    lengths = {name: len(column) for name, column in columns.items()}
    if not any(lengths.values()):
        raise ProfileError("a reference needs at least one row")
    usual = Counter(lengths.values()).most_common(1)[0][0]
    for name, length in lengths.items():
        if length != usual:
            raise ProfileError(f"column {name!r} has {length} rows where the others have {usual}")
    return usual


def _is_numeric(column: npt.NDArray[Any]) -> bool:
    if column.dtype.kind in "biuf":
        return True
    if column.dtype.kind != "O":
        return False
    return all(v is None or isinstance(v, (bool, int, float, np.number, np.bool_)) for v in column)


def _numbers(name: str, column: npt.NDArray[Any]) -> FloatArray:
    if not _is_numeric(column):
        raise ProfileError(f"column {name!r} must hold numbers, not {column.dtype}")
    return column.astype(np.float64)  # None becomes NaN


def _strings(column: npt.NDArray[Any]) -> ObjectArray:
    result = np.empty(len(column), dtype=np.object_)
    result[:] = list(_texts(column.tolist()))
    return result


def _texts(values: Iterable[Any]) -> Iterable[str | None]:
    """Values as events name them: true, 1 (also for 1.0), text as it is."""
    for value in values:
        if value is None or value != value:
            yield None
        elif isinstance(value, bool):
            yield str(value).lower()
        elif isinstance(value, float) and value.is_integer():
            yield str(int(value))
        else:
            yield str(value)
