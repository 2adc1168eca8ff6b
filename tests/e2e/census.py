"""The census: real people, asked whether they work, and classifiers trained on their answers.

A version of the model is an ONNX file as the product's own trainer makes it: each feature is an
input of its own, and the metadata names the classes. Nothing here is made up but the mistake of
the bad version and the new rule of the labels, and both are measured by the tests.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt

from tests.services.base import filled

NUMERIC = ("AGEP",)
CATEGORICAL = (
    *("SCHL", "MAR", "RELP", "DIS", "ESP", "CIT", "MIG", "MIL"),
    *("ANC", "NATIVITY", "DEAR", "DEYE", "DREM", "SEX", "RAC1P"),
)
FEATURES = (*NUMERIC, *CATEGORICAL)
# Disability and sex are both coded 1 and 2: nothing but the answers shows that they were swapped.
SWAPPED = ("DIS", "SEX")
CLASSES = ("0", "1")
_CACHED = "census-models-2"

Column = npt.NDArray[np.float64] | npt.NDArray[np.object_]
Columns = Mapping[str, Column]
Truth = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Census:
    """Records in order of time: features by name, and whether the person is employed."""

    columns: dict[str, Column]
    employed: Truth

    def __len__(self) -> int:
        return len(self.employed)

    def part(self, begin: int, end: int) -> Census:
        """The records [begin, end)."""
        columns = {name: column[begin:end] for name, column in self.columns.items()}
        return Census(columns, self.employed[begin:end])


@dataclass(frozen=True)
class Versions:
    """The ONNX files of a healthy version and of one with a mistake in it."""

    healthy: Path
    mistaken: Path


def early_years(data_dir: Path) -> Census:
    """The records that the model was trained on."""
    table = _read(data_dir / "census" / "reference.parquet")
    return Census(_columns(table), np.asarray(table["employed"], dtype=np.int64))


def later_years(data_dir: Path) -> Census:
    """The records that came afterwards, as the application meets them."""
    table = _read(data_dir / "census" / "stream.parquet")
    labels = _read(data_dir / "census" / "labels.parquet")
    if not np.array_equal(np.asarray(table["id"]), np.asarray(labels["id"])):
        raise ValueError("the labels are not those of the stream")
    return Census(_columns(table), np.asarray(labels["employed"], dtype=np.int64))


def relabelled(census: Census) -> Truth:
    """The truth under a new rule: of people under 30 the opposite of what was said before.

    They are a third of all people. Who learns the new rule can tell it about as well as the old.
    """
    young = census.columns["AGEP"].astype(np.float64) < 30
    return np.where(young, 1 - census.employed, census.employed)


def versions(data_dir: Path) -> Versions:
    """Trains both versions on the early years, once for a cache folder."""

    def fill(folder: Path) -> None:
        census = early_years(data_dir)
        (folder / "healthy.onnx").write_bytes(_trained(census))
        (folder / "mistaken.onnx").write_bytes(_trained(_swapped(census)))

    folder = filled(_CACHED, fill, True, "")
    return Versions(folder / "healthy.onnx", folder / "mistaken.onnx")


def _read(path: Path) -> Any:
    from pyarrow import parquet  # a second to import, and only these tests need it

    return parquet.read_table(path)


def _columns(table: Any) -> dict[str, Column]:
    columns: dict[str, Column] = {
        name: np.asarray(table[name], dtype=np.float64) for name in NUMERIC
    }
    for name in CATEGORICAL:
        column = np.empty(table.num_rows, dtype=object)
        column[:] = table[name].to_pylist()
        columns[name] = column
    return columns


def _swapped(census: Census) -> Census:
    """The records as a careless query gives them: two columns under each other's names."""
    first, second = SWAPPED
    columns = dict(census.columns)
    columns[first], columns[second] = columns[second], columns[first]
    return Census(columns, census.employed)


def _trained(census: Census) -> bytes:
    """Fits a pipeline and exports it to ONNX."""
    from skl2onnx import to_onnx
    from skl2onnx.common.data_types import FloatTensorType, StringTensorType
    from sklearn.compose import ColumnTransformer
    from sklearn.ensemble import RandomForestClassifier
    from sklearn.impute import SimpleImputer
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import OneHotEncoder, StandardScaler

    coded = OneHotEncoder(handle_unknown="ignore", sparse_output=False)
    scaled = make_pipeline(SimpleImputer(), StandardScaler())
    prepared = ColumnTransformer(
        [("numeric", scaled, _places(NUMERIC)), ("categorical", coded, _places(CATEGORICAL))]
    )
    pipeline = make_pipeline(
        prepared, RandomForestClassifier(60, max_depth=14, min_samples_leaf=5, random_state=0)
    )
    truth = census.employed.astype(str)
    pipeline.fit(np.column_stack([census.columns[n] for n in FEATURES]), truth)
    inputs = [(name, FloatTensorType([None, 1])) for name in NUMERIC]
    inputs += [(name, StringTensorType([None, 1])) for name in CATEGORICAL]
    model = to_onnx(pipeline, initial_types=inputs, options={"zipmap": False})
    for key, value in {"features": FEATURES, "classes": CLASSES}.items():
        model.metadata_props.add(key=key, value=msgspec.json.encode(value).decode())
    data: bytes = model.SerializeToString()
    return data


def _places(names: Sequence[str]) -> list[int]:
    return [FEATURES.index(name) for name in names]
