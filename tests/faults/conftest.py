"""What the fault tests share: a warm process to fork from, and a registry that outlives it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.faults.registry import Registry, registry
from tests.faults.zygote import Zygote


@pytest.fixture(scope="session")
def zygote(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Zygote]:
    """A warm process, shared by all tests."""
    with Zygote(tmp_path_factory.mktemp("zygote") / "log") as made:
        yield made


@pytest.fixture
def models() -> Iterator[Registry]:
    """A registry of this test's own."""
    with registry() as made:
        yield made


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """A folder of this test's own."""
    return tmp_path
