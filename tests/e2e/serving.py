"""One version of a model, served by onnxruntime."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from tests.e2e.census import Columns

Labels = npt.NDArray[np.int64]
Scores = npt.NDArray[np.float64]


class Served:
    """A model that is loaded and answers; each input of the file is one feature's column."""

    def __init__(self, path: Path) -> None:
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        self._session = onnxruntime.InferenceSession(
            str(path), options, providers=["CPUExecutionProvider"]
        )
        self._inputs = {each.name: each.type for each in self._session.get_inputs()}

    def answer(self, columns: Columns) -> tuple[Labels, Scores]:
        """For each row the class, 0 or 1, and the probability of class 1."""
        fed = {name: _tensor(columns[name], type_) for name, type_ in self._inputs.items()}
        labels, probabilities = self._session.run(None, fed)
        return labels.astype(np.int64), probabilities[:, 1].astype(np.float64)


def _tensor(column: Any, type_: str) -> Any:
    if type_ == "tensor(float)":
        return np.asarray(column, dtype=np.float32).reshape(-1, 1)
    return np.array(["" if value is None else value for value in column], object).reshape(-1, 1)
