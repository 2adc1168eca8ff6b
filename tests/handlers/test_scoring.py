"""Scoring a model file in a child: right answers, and every bad file survived."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from tests.handlers import models
from watchkeeper.handlers.onnx_file import BadModel
from watchkeeper.handlers.scoring import Limits, score_onnx

_X = {"x": np.array([1.0, 2.0, 3.0])}


def _file(tmp_path: Path, data: bytes) -> tuple[Path, str]:
    path = tmp_path / "model.onnx"
    path.write_bytes(data)
    return path, hashlib.sha256(data).hexdigest()


def test_a_model_answers_by_feature_name(tmp_path: Path) -> None:
    path, digest = _file(tmp_path, models.identity())

    scores = score_onnx(path, digest, {**_X, "unused": np.zeros(3)}, {})

    assert scores.value is not None
    assert scores.value.tolist() == [1.0, 2.0, 3.0]
    assert scores.label is None


@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (models.other_input, "input z is no feature"),
        (models.word_input, "no such feature"),
        (models.not_a_number, "not finite"),
        (models.unknown_operator, "evil"),
        (models.huge, "ended|Fail|bad_alloc|RuntimeException|Exception"),
        (models.lying_initializer, "InvalidGraph|Fail|Invalid|Runtime"),
    ],
)
def test_a_model_that_does_not_fit_is_refused(
    tmp_path: Path, make: Callable[[], bytes], reason: str
) -> None:
    path, digest = _file(tmp_path, make())

    with pytest.raises(BadModel, match=reason):
        score_onnx(path, digest, _X, {})


@pytest.mark.parametrize("limits", [Limits(wall_s=3.0), Limits(cpu_s=2, wall_s=30.0)])
def test_a_loop_without_end_is_ended(tmp_path: Path, limits: Limits) -> None:
    path, digest = _file(tmp_path, models.endless())
    started = time.monotonic()

    with pytest.raises(BadModel, match=r"longer than 3 s|SIGKILL|SIGXCPU"):
        score_onnx(path, digest, _X, {}, limits)

    assert time.monotonic() - started < 20


def test_another_digest_is_refused(tmp_path: Path) -> None:
    path, _ = _file(tmp_path, models.identity())

    with pytest.raises(BadModel, match="digest differs"):
        score_onnx(path, "00" * 32, _X, {})


def test_a_file_beyond_the_limit_is_refused_unread(tmp_path: Path) -> None:
    path, digest = _file(tmp_path, models.identity())

    with pytest.raises(BadModel, match="larger than 10 bytes"):
        score_onnx(path, digest, _X, {}, Limits(model=10))


def test_what_is_no_plain_file_is_refused(tmp_path: Path) -> None:
    path, digest = _file(tmp_path, models.identity())
    link = tmp_path / "link.onnx"
    link.symlink_to(path)

    for odd in (link, tmp_path, Path("/dev/zero"), tmp_path / "none"):
        with pytest.raises(BadModel):
            score_onnx(odd, digest, _X, {})
