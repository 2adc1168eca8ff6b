"""What the end-to-end tests share: the trained versions, and a stage of each test's own."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.census import Versions, versions
from tests.e2e.stage import Stage
from tests.services.brokers import Broker


@pytest.fixture(scope="session")
def trained(data_dir: Path) -> Versions:
    """The model files of both versions."""
    for package in ("pyarrow", "sklearn", "skl2onnx", "onnxruntime"):
        pytest.importorskip(package, reason="pip install 'watchkeeper[train,parquet]'")
    return versions(data_dir)


@pytest.fixture
def stage(
    tmp_path: Path, durable_kafka: Broker, data_dir: Path, trained: Versions
) -> Iterator[Stage]:
    """A stage on the shared broker; everything on it is ended after the test."""
    made = Stage(tmp_path, durable_kafka.bootstrap, data_dir)
    try:
        yield made
    finally:
        made.close()
