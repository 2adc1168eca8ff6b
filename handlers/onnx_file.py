"""Whether bytes are one plain ONNX model, seen from outside and without loading it."""

from __future__ import annotations

from collections.abc import Iterator

# The fields of onnx.ModelProto with the wire types they are written in: 0 varint, 2 bytes.
_MODEL = {1: 0, 2: 2, 3: 2, 4: 2, 5: 0, 6: 2, 7: 2, 8: 2, 14: 2, 20: 2, 25: 2, 26: 2}
_IR_VERSION, _GRAPH = 1, 7
_INITIALIZER = 5
_EXTERNAL_DATA, _DATA_LOCATION = 13, 14


class BadModel(Exception):
    """A model file that is refused; the message says why."""


def check(data: bytes) -> None:
    """Raises `BadModel` unless `data` is exactly one ONNX model with all its weights inside.

    Bytes that follow the model are refused too: a pickle could hide there.
    """
    seen: set[int] = set()
    for number, wire, content in _fields(memoryview(data)):
        if _MODEL.get(number) != wire:
            raise BadModel("not an ONNX model, or something follows the model in its file")
        seen.add(number)
        if number == _GRAPH:
            _check_graph(content)
    if not {_IR_VERSION, _GRAPH} <= seen:
        raise BadModel("not an ONNX model")


def _check_graph(graph: memoryview) -> None:
    for number, wire, tensor in _fields(graph):
        if number != _INITIALIZER or wire != 2:
            continue
        for field, _, content in _fields(tensor):
            if field == _EXTERNAL_DATA or (field == _DATA_LOCATION and bytes(content) != b"\x00"):
                raise BadModel("its weights lie in another file")


def _fields(data: memoryview) -> Iterator[tuple[int, int, memoryview]]:
    """Field number, wire type and content of each field of a protobuf message."""
    at = 0
    while at < len(data):
        key, at = _varint(data, at)
        number, wire = key >> 3, key & 7
        start = at
        if wire == 0:
            _, at = _varint(data, at)
        elif wire == 1:
            at += 8
        elif wire == 2:
            size, start = _varint(data, at)
            at = start + size
        elif wire == 5:
            at += 4
        else:
            raise BadModel("not an ONNX model")
        if at > len(data):
            raise BadModel("the file ends in the middle of the model")
        yield number, wire, data[start:at]


def _varint(data: memoryview, at: int) -> tuple[int, int]:
    value = 0
    for shift in range(0, 70, 7):
        if at >= len(data):
            raise BadModel("the file ends in the middle of the model")
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, at
    raise BadModel("not an ONNX model")
