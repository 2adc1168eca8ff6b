"""Who told the labels: names as numbers, which are few and take no room in the label joins."""

from __future__ import annotations

import numpy as np

from watchkeeper.detectors.signals.labels import OTHERS
from watchkeeper.detectors.texts import Words
from watchkeeper.detectors.types import FloatArray

MOST = 65_536  # names that are told apart in one process; all further ones are one


class Sources:
    """Numbers for the names of sources; they hold for one process only.

    >>> sources = Sources()
    >>> sources.numbers(Words.of(["crew", None, "vendor", "crew"])).tolist()
    [1.0, nan, 2.0, 1.0]
    >>> sources.name(2)
    'vendor'
    """

    def __init__(self) -> None:
        self._names = [OTHERS]
        self._number: dict[str, int] = {}

    def numbers(self, column: Words) -> FloatArray:
        """The number of each row's source; NaN where nobody is named."""
        known = [*map(self._of, column.words), np.nan]
        return np.array(known, dtype=np.float64)[column.codes]

    def name(self, number: int) -> str:
        """The name behind a number."""
        return self._names[number]

    def _of(self, name: str) -> int:
        number = self._number.get(name)
        if number is None:
            if len(self._names) == MOST:
                return 0
            number = self._number[name] = len(self._names)
            self._names.append(name)
        return number
