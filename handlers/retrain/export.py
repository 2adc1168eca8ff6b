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

from watchkeeper.detectors.types import BoolArray
from watchkeeper.handlers.examples import Examples
from watchkeeper.handlers.losses import Answers
from watchkeeper.handlers.scoring import score_onnx

_TOLERANCE = 1e-4
# A tree may send a row that lies on a threshold the other way once numbers have 32 bits.
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


def check_parity(
    path: Path, digest: str, examples: Examples, expected: Answers, positive: str | None
) -> None:
    """Raises `NotEqual` unless the file, scored in a child process, answers as `expected`."""
    scores = score_onnx(path, digest, examples.numeric, examples.categorical)
    got = Answers.scored(scores, len(examples), positive)
    differing = _differing(got, expected, classifier=bool(examples.classes))
    if differing.mean() > _DIFFERING_MAX:
        raise NotEqual(f"{differing.mean():.1%} of the exported model's answers differ")


def _differing(got: Answers, expected: Answers, *, classifier: bool) -> BoolArray:
    if not classifier:
        scale = float(np.std(expected.value)) or 1.0
        return np.abs(got.value - expected.value) > 10 * _TOLERANCE * scale
    differing = np.array(got.label != expected.label, dtype=np.bool_)
    if np.isfinite(expected.score).all():
        differing |= ~np.isclose(got.score, expected.score, atol=_TOLERANCE)
    return differing


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
