"""Scores an ONNX model on given columns, in a child process with limits."""

from __future__ import annotations

import contextlib
import hashlib
import os
import signal
import stat
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import msgspec
import numpy as np

from watchkeeper.detectors.types import FloatArray, ObjectArray
from watchkeeper.handlers.onnx_file import BadModel, check

_KEPT = ("PATH", "LANG", "LC_ALL", "PYTHONPATH", "VIRTUAL_ENV", "LD_LIBRARY_PATH")
_ONE_THREAD = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")


class Limits(msgspec.Struct, frozen=True):
    """What a scoring child may use: memory and file sizes in bytes, times in seconds."""

    memory: int = 2 << 30
    cpu_s: int = 60
    wall_s: float = 90.0
    model: int = 512 << 20
    answer: int = 64 << 20


class Request(msgspec.Struct, frozen=True):
    """What the child gets on its standard input, as MessagePack; numbers as float64 bytes."""

    model: bytes
    n: int
    numeric: dict[str, bytes]
    categorical: dict[str, list[str | None]]
    limits: Limits


class Answer(msgspec.Struct, frozen=True):
    """What the child writes to its standard output, as MessagePack; `error` "" when it worked."""

    error: str = ""
    labels: list[str] | None = None
    values: bytes | None = None
    classes: tuple[str, ...] = ()
    probabilities: bytes | None = None


@dataclass(frozen=True, slots=True)
class Scores:
    """A model's answers to n rows; None for what it does not give.

    `probabilities` has shape (n, classes); its columns are named by `classes`, which is empty
    when the model does not say.
    """

    label: ObjectArray | None
    value: FloatArray | None
    classes: tuple[str, ...]
    probabilities: FloatArray | None


def score_onnx(
    path: Path,
    digest: str,
    numeric: Mapping[str, FloatArray],
    categorical: Mapping[str, ObjectArray],
    limits: Limits | None = None,
) -> Scores:
    """The answers of the model in `path`, whose SHA-256 must be `digest` (hex).

    The model has one input a feature, named as the feature, of shape [n, 1] or [n]; or one float
    input [n, features] and the features' order as JSON under `features` in its metadata. Raises
    `BadModel` for whatever is wrong with the file, and when the child ends at one of the limits.
    """
    bounds = limits or Limits()
    data = _read(path, digest, bounds.model)
    check(data)
    columns = (*numeric.values(), *categorical.values())
    n = len(columns[0]) if columns else 0
    request = Request(
        model=data,
        n=n,
        numeric={
            k: np.ascontiguousarray(v, dtype=np.float64).tobytes() for k, v in numeric.items()
        },
        categorical={k: list(v) for k, v in categorical.items()},
        limits=bounds,
    )
    return _scores(_ask(msgspec.msgpack.encode(request), bounds), n)


def _read(path: Path, digest: str, limit: int) -> bytes:
    """The file's bytes, read once: what was checked is what is loaded."""
    try:
        with open(path, "rb", opener=_no_links) as file:
            status = os.fstat(file.fileno())
            if not stat.S_ISREG(status.st_mode):
                raise BadModel(f"{path} is not a plain file")
            if status.st_size > limit:
                raise BadModel(f"{path} is larger than {limit} bytes")
            data = file.read(limit + 1)
    except OSError as error:
        raise BadModel(f"{path}: {error.strerror}") from None
    if hashlib.sha256(data).hexdigest() != digest.lower():
        raise BadModel(f"{path} is not the registered file: its digest differs")
    return data


def _no_links(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)


def _ask(request: bytes, limits: Limits) -> Answer:
    kept = {name: os.environ[name] for name in _KEPT if name in os.environ}
    environment = {**kept, **dict.fromkeys(_ONE_THREAD, "1")}
    command = [sys.executable, "-P", "-m", "watchkeeper.handlers.scoring_worker"]
    # An empty folder of its own: no relative path in a model leads to anything.
    with tempfile.TemporaryDirectory() as folder, tempfile.TemporaryFile() as output:
        child = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=output,
            stderr=subprocess.DEVNULL,
            cwd=folder,
            env=environment,
            start_new_session=True,
        )
        _finish(child, request, limits.wall_s)
        output.seek(0)
        text = output.read(limits.answer + 1)
    if child.returncode != 0:
        raise BadModel(f"scoring ended {_how(child.returncode)}")
    try:
        return msgspec.msgpack.decode(text, type=Answer)
    except msgspec.MsgspecError:
        raise BadModel("scoring gave no readable answer") from None


def _finish(child: subprocess.Popen[bytes], request: bytes, wall_s: float) -> None:
    try:
        child.communicate(request, timeout=wall_s)
    except subprocess.TimeoutExpired:
        raise BadModel(f"scoring took longer than {wall_s:g} s") from None
    finally:
        if child.poll() is None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(child.pid, signal.SIGKILL)
            child.communicate()


def _how(code: int) -> str:
    if code >= 0:
        return f"with exit code {code}"
    try:
        return f"by {signal.Signals(-code).name}"
    except ValueError:
        return f"by signal {-code}"


def _scores(answer: Answer, n: int) -> Scores:
    if answer.error:
        raise BadModel(answer.error)
    label = None if answer.labels is None else np.array(answer.labels, dtype=object)
    value = None if answer.values is None else np.frombuffer(answer.values)
    probabilities = None
    if answer.probabilities is not None:
        probabilities = (
            np.frombuffer(answer.probabilities).reshape(n, -1) if n else np.empty((0, 0))
        )
    for column in (label, value):
        if column is not None and len(column) != n:
            raise BadModel(f"{len(column)} answers to {n} rows")
    if label is None and value is None and probabilities is None:
        raise BadModel("the model gives neither a label nor a number")
    return Scores(label, value, answer.classes, probabilities)
