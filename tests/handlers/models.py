"""Small ONNX models, good and bad, made with the package onnx."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

onnx = pytest.importorskip("onnx", reason="needs the extra `train`")
TensorProto, helper, numpy_helper = onnx.TensorProto, onnx.helper, onnx.numpy_helper

_ROWS = [None, 1]


def _model(nodes: Sequence[Any], initializers: Sequence[Any] = (), **inputs: int) -> bytes:
    wanted = inputs or {"x": TensorProto.FLOAT}
    graph = helper.make_graph(
        nodes,
        "g",
        [helper.make_tensor_value_info(name, kind, _ROWS) for name, kind in wanted.items()],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)],
        list(initializers),
    )
    opset = [helper.make_opsetid("", 17)]
    data: bytes = helper.make_model(graph, opset_imports=opset, ir_version=8).SerializeToString()
    return data


def identity() -> bytes:
    """y = x, one float feature."""
    return _model([helper.make_node("Identity", ["x"], ["y"])])


def identity_graph() -> bytes:
    """The bytes of that model's graph."""
    graph: bytes = onnx.load_model_from_string(identity()).graph.SerializeToString()
    return graph


def other_input() -> bytes:
    """Wants a feature `z` that nobody has."""
    return _model([helper.make_node("Identity", ["z"], ["y"])], z=TensorProto.FLOAT)


def word_input() -> bytes:
    """Wants `x` as a word."""
    nodes = [helper.make_node("Cast", ["x"], ["y"], to=TensorProto.FLOAT)]
    return _model(nodes, x=TensorProto.STRING)


def not_a_number() -> bytes:
    """y = sqrt(-1 - x * x): NaN for every x."""
    minus = numpy_helper.from_array(np.array([-1.0], dtype=np.float32), "minus")
    nodes = [
        helper.make_node("Mul", ["x", "x"], ["square"]),
        helper.make_node("Sub", ["minus", "square"], ["below"]),
        helper.make_node("Sqrt", ["below"], ["y"]),
    ]
    return _model(nodes, (minus,))


def unknown_operator() -> bytes:
    """An operator of a domain that nobody has registered."""
    node = helper.make_node("Steal", ["x"], ["y"], domain="evil")
    return _model([node])


def huge() -> bytes:
    """Fills 160 GB with ones."""
    shape = numpy_helper.from_array(np.array([40_000_000_000], dtype=np.int64), "shape")
    nodes = [
        helper.make_node("ConstantOfShape", ["shape"], ["ones"]),
        helper.make_node("ReduceSum", ["ones"], ["sum"]),
        helper.make_node("Add", ["x", "sum"], ["y"]),
    ]
    return _model(nodes, (shape,))


def lying_initializer() -> bytes:
    """Says its four bytes are 40 GB of floats."""
    tensor = TensorProto()
    tensor.name, tensor.data_type, tensor.raw_data = "w", TensorProto.FLOAT, b"\0\0\0\0"
    tensor.dims.append(10_000_000_000)
    return _model([helper.make_node("Add", ["x", "w"], ["y"])], (tensor,))


def endless() -> bytes:
    """A loop of 2^62 rounds."""
    body = helper.make_graph(
        [
            helper.make_node("Identity", ["go"], ["go_on"]),
            helper.make_node("Sin", ["v"], ["v_out"]),
        ],
        "body",
        [
            helper.make_tensor_value_info("i", TensorProto.INT64, []),
            helper.make_tensor_value_info("go", TensorProto.BOOL, []),
            helper.make_tensor_value_info("v", TensorProto.FLOAT, None),
        ],
        [
            helper.make_tensor_value_info("go_on", TensorProto.BOOL, []),
            helper.make_tensor_value_info("v_out", TensorProto.FLOAT, None),
        ],
    )
    rounds = numpy_helper.from_array(np.array(2**62, dtype=np.int64), "rounds")
    yes = numpy_helper.from_array(np.array(True), "yes")
    return _model(
        [helper.make_node("Loop", ["rounds", "yes", "x"], ["y"], body=body)], (rounds, yes)
    )


def external(location: str) -> bytes:
    """Keeps its weights in another file."""
    tensor = TensorProto()
    tensor.name, tensor.data_type = "w", TensorProto.FLOAT
    tensor.dims.append(1)
    tensor.data_location = TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value=location)
    return _model([helper.make_node("Add", ["x", "w"], ["y"])], (tensor,))
