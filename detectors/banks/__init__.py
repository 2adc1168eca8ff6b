"""Banks: a detector's state over many series in arrays, all judged in one call.

The detectors say what is right: a bank makes the same decisions as one detector a series would.
"""

from __future__ import annotations

from watchkeeper.detectors.banks.bank import Bank
from watchkeeper.detectors.banks.columns import Columns
from watchkeeper.detectors.banks.judged import Judged

__all__ = ["Bank", "Columns", "Judged"]
