"""The child process that loads a model: `python -m watchkeeper.handlers.scoring_worker`.

It takes one Request on standard input and gives one Answer on standard output. It limits itself
before it looks at the model, whose code (operators, loops, sizes) is not trusted.
"""

from __future__ import annotations

import os
import resource
import sys
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt

from watchkeeper.handlers.scoring import Answer, Limits, Request

Array = npt.NDArray[Any]
_NUMBERS: dict[str, type[np.generic]] = {
    "tensor(float)": np.float32,
    "tensor(double)": np.float64,
    "tensor(int64)": np.int64,
    "tensor(int32)": np.int32,
    "tensor(bool)": np.bool_,
}


class _Unfit(Exception):
    """The model does not fit the columns, or its answers are not usable."""


def main() -> None:
    request = msgspec.msgpack.decode(sys.stdin.buffer.read(), type=Request)
    # What a library prints must not get into the answer.
    answer_to = os.dup(1)
    os.dup2(2, 1)
    _limit(request.limits)
    try:
        answer = _score(request)
    except _Unfit as error:
        answer = Answer(error=str(error))
    except Exception as error:  # noqa: BLE001 - the one job here: outlive the model, say what it did
        answer = Answer(error=f"{type(error).__name__}: {str(error)[:500]}")
    with open(answer_to, "wb") as output:
        output.write(msgspec.msgpack.encode(answer))


def _limit(limits: Limits) -> None:
    for what, most in (
        (resource.RLIMIT_AS, limits.memory),
        (resource.RLIMIT_CPU, limits.cpu_s),
        (resource.RLIMIT_FSIZE, limits.answer),
        (resource.RLIMIT_NOFILE, 64),
        (resource.RLIMIT_CORE, 0),
    ):
        resource.setrlimit(what, (most, most))


def _score(request: Request) -> Answer:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 4
    session = onnxruntime.InferenceSession(
        request.model, options, providers=["CPUExecutionProvider"]
    )
    metadata = session.get_modelmeta().custom_metadata_map
    outputs = session.run(None, _inputs(session, request, metadata))
    return _answer(outputs, request.n, metadata)


def _inputs(session: Any, request: Request, metadata: dict[str, str]) -> dict[str, Array]:
    wanted = session.get_inputs()
    known = {*request.numeric, *request.categorical}
    if len(wanted) == 1 and wanted[0].name not in known:
        return {wanted[0].name: _matrix(wanted[0], request, metadata)}
    return {each.name: _column(each, request) for each in wanted}


def _matrix(wanted: Any, request: Request, metadata: dict[str, str]) -> Array:
    if "features" not in metadata:
        raise _Unfit(f"input {wanted.name} is no feature, and the model does not name its features")
    names = msgspec.json.decode(metadata["features"], type=list[str])
    missing = [name for name in names if name not in request.numeric]
    if missing or wanted.type not in _NUMBERS:
        raise _Unfit(f"input {wanted.name} of {wanted.type}: no numbers for {missing[:5]}")
    columns = [np.frombuffer(request.numeric[name]) for name in names]
    return np.column_stack(columns).astype(_NUMBERS[wanted.type])


def _column(wanted: Any, request: Request) -> Array:
    name, shape = wanted.name, (request.n, 1) if len(wanted.shape) == 2 else (request.n,)
    if wanted.type == "tensor(string)" and name in request.categorical:
        words = ["" if word is None else word for word in request.categorical[name]]
        return np.array(words, dtype=object).reshape(shape)
    if wanted.type not in _NUMBERS or name not in request.numeric:
        raise _Unfit(f"input {name} of {wanted.type}: there is no such feature")
    column = np.frombuffer(request.numeric[name])
    kind = _NUMBERS[wanted.type]
    if not np.issubdtype(kind, np.floating) and not np.isfinite(column).all():
        raise _Unfit(f"input {name} of {wanted.type} cannot be missing")
    return column.astype(kind).reshape(shape)


def _answer(outputs: list[Any], n: int, metadata: dict[str, str]) -> Answer:
    classes = tuple(msgspec.json.decode(metadata.get("classes", "[]"), type=list[str]))
    labels, values, probabilities = None, None, None
    for output in outputs:
        if isinstance(output, list):
            classes, probabilities = _maps(output)
        elif output.dtype.kind in "OUiu" and output.size == n:
            labels = [str(label) for label in output.reshape(-1)]
        elif output.dtype.kind == "f" and output.size == n:
            values = _finite(output.reshape(-1))
        elif output.dtype.kind == "f" and output.ndim == 2 and len(output) == n:
            probabilities = _finite(output)
        else:
            raise _Unfit(f"an output of shape {output.shape} for {n} rows")
    return Answer("", labels, values, classes, probabilities)


def _maps(rows: list[dict[Any, float]]) -> tuple[tuple[str, ...], bytes]:
    names = tuple(rows[0]) if rows else ()
    table = np.array([[row[name] for name in names] for row in rows], dtype=np.float64)
    return tuple(str(name) for name in names), _finite(table)


def _finite(output: Array) -> bytes:
    if not np.isfinite(output).all():
        raise _Unfit("the model's output is not finite")
    return np.ascontiguousarray(output, dtype=np.float64).tobytes()


if __name__ == "__main__":
    main()
