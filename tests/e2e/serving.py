"""One version of a model, served by onnxruntime."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt

from tests.e2e.census import Columns

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
        metadata = self._session.get_modelmeta().custom_metadata_map
        classes = msgspec.json.decode(metadata["classes"], type=list[str])
        self._positive = classes.index("1")

    def answer(self, columns: Columns) -> tuple[list[str], Scores]:
        """For each row the class, and the probability of class "1"."""
        fed = {name: _tensor(columns[name], type_) for name, type_ in self._inputs.items()}
        labels, probabilities = self._session.run(None, fed)
        return labels.tolist(), probabilities[:, self._positive].astype(np.float64)


def _tensor(column: Any, type_: str) -> Any:
    if type_ == "tensor(float)":
        return np.asarray(column, dtype=np.float32).reshape(-1, 1)
    # Blank stands for missing among words.
    return np.array(["" if word is None else word for word in column], object).reshape(-1, 1)
