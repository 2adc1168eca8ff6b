"""What tests of the executor share."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.daemon.actions.gates import Gate


@pytest.fixture
def gate() -> Iterator[Gate]:
    """A gate that is open at the end, whatever happened."""
    handler = Gate()
    yield handler
    handler.open.set()
