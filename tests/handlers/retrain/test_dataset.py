"""The folder of a training job."""

from __future__ import annotations

from pathlib import Path

import msgspec
import numpy as np
import pytest

from tests.handlers import worlds
from watchkeeper.handlers.examples import Examples
from watchkeeper.handlers.retrain import dataset
from watchkeeper.handlers.retrain.dataset import BadJob, Result, Task

_TASK = Task("churn", "v2", "v2.r-1", (), (), "yes", "")


@pytest.mark.parametrize("examples", [worlds.classification(50), worlds.regression(50)])
def test_what_is_written_is_read_bit_for_bit(tmp_path: Path, examples: Examples) -> None:
    written = dataset.write(tmp_path, _TASK, examples)

    task, read = dataset.read(tmp_path)

    assert task == written
    assert (task.numeric, task.categorical) == (
        tuple(examples.numeric),
        tuple(examples.categorical),
    )
    for name in ("at", "value", "score", "predicted_value"):
        np.testing.assert_array_equal(getattr(read, name), getattr(examples, name))
    for name in ("version", "label", "predicted_label"):
        assert getattr(read, name).tolist() == getattr(examples, name).tolist()
    for name, column in examples.numeric.items():
        np.testing.assert_array_equal(read.numeric[name], column)
    for name, words in examples.categorical.items():
        assert read.categorical[name].tolist() == words.tolist()


def test_odd_words_survive(tmp_path: Path) -> None:
    odd = ['a,"b"', "line\nbreak", "=1+1", "ü\u202e", "\r", " "]
    examples = worlds.classification(6)
    examples.categorical["region"][:] = odd

    dataset.write(tmp_path, _TASK, examples)

    assert dataset.read(tmp_path)[1].categorical["region"].tolist() == odd


def test_a_changed_data_set_is_refused(tmp_path: Path) -> None:
    dataset.write(tmp_path, _TASK, worlds.classification(50))
    with (tmp_path / "dataset.csv").open("a") as file:
        file.write("poison\n")

    with pytest.raises(BadJob, match="was changed"):
        dataset.read(tmp_path)


def test_no_result_yet_is_none(tmp_path: Path) -> None:
    assert dataset.read_result(tmp_path) is None


@pytest.mark.parametrize("text", [b"", b"[]", b'{"better": "yes"}', b"{" * 2_000_000])
def test_an_unreadable_result_is_refused(tmp_path: Path, text: bytes) -> None:
    (tmp_path / "result.json").write_bytes(text)

    with pytest.raises(BadJob):
        dataset.read_result(tmp_path)


def test_a_result_that_names_another_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "model.onnx").write_bytes(b"something else")
    (tmp_path / "result.json").write_bytes(msgspec.json.encode(Result("v3", True, "00" * 32)))

    with pytest.raises(BadJob, match="not the file"):
        dataset.read_result(tmp_path)
