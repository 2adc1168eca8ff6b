"""How often tests repeat themselves: less where only the package is to be proven."""

from __future__ import annotations

import os
from collections.abc import Iterable
from typing import Any

import pytest

SHARE = int(os.environ.get("WATCHKEEPER_TEST_EXAMPLES", "100"))  # percent
_LEAST = 2


def examples(usual: int) -> int:
    """On how many examples a property is tried: what `WATCHKEEPER_TEST_EXAMPLES` leaves of the
    usual number, in percent."""
    return max(min(usual, _LEAST), usual * SHARE // 100)


def repeated(cases: Iterable[Any], first: int = 1) -> list[Any]:
    """These cases, of which all but the `first` ones are slow: they show the same once more."""
    return [
        case if place < first else pytest.param(case, marks=pytest.mark.slow)
        for place, case in enumerate(cases)
    ]
