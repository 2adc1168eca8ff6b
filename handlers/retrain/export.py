"""A fitted scikit-learn pipeline as an ONNX file that any application can serve by feature name.

The file has one input a feature, named as the feature: `tensor(float)` of shape [n, 1] for a
number (NaN: missing), `tensor(string)` of shape [n, 1] for a word ("": missing). A classifier
gives `label` and `probabilities`, a regressor `value`. Its metadata names the `classes`, in the
order of the probabilities, and the `features`, both as JSON.
"""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import onnx
from skl2onnx import convert_sklearn
from skl2onnx.common.data_types import FloatTensorType, StringTensorType

from watchkeeper.detectors.types import FloatArray
from watchkeeper.handlers.examples import Examples
from watchkeeper.handlers.scoring import score_onnx

_TOLERANCE = 1e-4
# A row that lies on a tree's threshold may go the other way once numbers have 32 bits.
_DIFFERING_MAX = 0.001


class NotEqual(Exception):
    """The exported file does not answer as the model it was made from."""


def export(pipeline: Any, examples: Examples, path: Path) -> str:
    """Writes the ONNX file; its SHA-256 in hex."""
    inputs = [(name, FloatTensorType([None, 1])) for name in examples.numeric]
    inputs += [(name, StringTensorType([None, 1])) for name in examples.categorical]
    estimator = pipeline.steps[-1][1]
    classifier = bool(examples.classes)
    options = {id(estimator): {"zipmap": False}} if classifier else None
    outputs = ["label", "probabilities"] if classifier else ["value"]
    names = dict(zip(_outputs(classifier), outputs, strict=True))
    model = convert_sklearn(
        pipeline, "watchkeeper", inputs, options=options, target_opset=17, final_types=None
    )
    _rename(model, names)
    metadata = {"features": list(dict(inputs)), "classes": list(examples.classes)}
    for key, value in metadata.items():
        model.metadata_props.add(key=key, value=msgspec.json.encode(value).decode())
    onnx.checker.check_model(model)
    data = model.SerializeToString()
    path.write_bytes(data)
    return hashlib.sha256(data).hexdigest()


def check_parity(path: Path, digest: str, examples: Examples, expected: FloatArray) -> None:
    """Raises `NotEqual` unless the file, scored in a child process, gives what is `expected`.

    That is the probabilities, one column a class, or the values.
    """
    scores = score_onnx(path, digest, examples.numeric, examples.categorical)
    got = scores.probabilities if expected.ndim == 2 else scores.value
    if got is None or got.shape != expected.shape:
        raise NotEqual("the exported model gives other outputs")
    scale = 1.0 if expected.ndim == 2 else float(np.std(expected)) or 1.0
    differing = np.abs(got - expected).reshape(len(expected), -1).max(axis=1) > _TOLERANCE * scale
    if differing.mean() > _DIFFERING_MAX:
        raise NotEqual(f"{differing.mean():.1%} of the exported model's answers differ")


def _outputs(classifier: bool) -> tuple[str, ...]:
    return ("output_label", "output_probability") if classifier else ("variable",)


def _rename(model: Any, names: dict[str, str]) -> None:
    """Gives the outputs their own names, wherever they are written."""
    for node in model.graph.node:
        for i, name in enumerate(node.output):
            node.output[i] = names.get(name, name)
        for i, name in enumerate(node.input):
            node.input[i] = names.get(name, name)
    for output in model.graph.output:
        output.name = names.get(output.name, output.name)
