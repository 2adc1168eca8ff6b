"""Compiles the kernels beforehand: no test is to pay for it with its time."""

from __future__ import annotations

import pytest

from watchkeeper.daemon import kernels


@pytest.fixture(scope="session", autouse=True)
def _warm() -> None:
    kernels.warm()
