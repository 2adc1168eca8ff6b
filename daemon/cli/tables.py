"""Reads the columns of a CSV or Parquet file."""

from __future__ import annotations

import csv
import gzip
from collections.abc import Collection
from pathlib import Path
from typing import Any, TextIO

import numpy as np
import numpy.typing as npt

from watchkeeper.daemon.cli.outcome import Refused, Unavailable

Columns = dict[str, npt.NDArray[Any]]


def read_columns(path: Path, most_rows: int, text: Collection[str] = ()) -> Columns:
    """The first rows, by column. A CSV column is numeric when all its values are numbers and it is
    not named in `text`; an empty cell is missing."""
    try:
        columns = _parquet(path, most_rows) if _is_parquet(path) else _csv(path, most_rows, text)
    except (OSError, UnicodeDecodeError, csv.Error, EOFError) as error:
        raise Refused(f"{path} cannot be read: {error}") from error
    if not columns or not len(next(iter(columns.values()))):
        raise Refused(f"{path} has no rows")
    for name in text:
        if name in columns:
            columns[name] = np.array(
                [None if _missing(each) else str(each) for each in columns[name]], dtype=object
            )
    return columns


def _missing(value: object) -> bool:
    return value is None or value != value


def _is_parquet(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(4) == b"PAR1"


def _parquet(path: Path, most_rows: int) -> Columns:
    try:
        import pyarrow as arrow
        import pyarrow.parquet as parquet
    except ImportError as error:
        raise Unavailable(
            f"{path} is Parquet, which needs: pip install 'watchkeeper[parquet]'"
        ) from error
    try:
        table = parquet.read_table(path).slice(0, most_rows)
    except arrow.ArrowException as error:
        raise Refused(f"{path} is not Parquet: {error}") from error
    return {name: table[name].to_numpy(zero_copy_only=False) for name in table.column_names}


def _csv(path: Path, most_rows: int, text: Collection[str]) -> Columns:
    with _opened(path) as file:
        reader = csv.reader(file)
        names = next(reader, [])
        if len(set(names)) != len(names):
            raise Refused(f"{path}: two columns have the same name")
        cells: list[list[str]] = [[] for _ in names]
        for number, row in enumerate(reader, 2):
            if number - 2 >= most_rows:
                break
            if len(row) != len(names):
                raise Refused(f"{path}:{number}: {len(row)} cells under {len(names)} names")
            for column, cell in zip(cells, row, strict=True):
                column.append(cell)
    return {n: _typed(column, n in text) for n, column in zip(names, cells, strict=True)}


def _opened(path: Path) -> TextIO:
    """The text of a file, unpacked where its name ends in .gz; the caller closes it."""
    if path.suffix == ".gz":
        return gzip.open(path, "rt", encoding="utf-8-sig", newline="")
    return path.open("rt", encoding="utf-8-sig", newline="")


def _typed(cells: list[str], text: bool) -> npt.NDArray[Any]:
    if not text:
        try:
            return np.array([float(cell) if cell else np.nan for cell in cells], dtype=np.float64)
        except ValueError:
            pass
    return np.array([cell or None for cell in cells], dtype=object)
