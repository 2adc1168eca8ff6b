"""How much is done: minutes in every run of the tests, hours in `make bench NAME=faults`."""

from __future__ import annotations

import os
from typing import TypeVar

T = TypeVar("T", int, float)
VARIABLE = "WATCHKEEPER_FAULTS"
FULL = os.environ.get(VARIABLE) == "full"


def size(usual: T, full: T) -> T:
    """The number for this run."""
    return full if FULL else usual
