"""Banks: a detector's state over many series in arrays, all judged in one call.

The detectors say what is right: a bank makes the same decisions as one detector a series would.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from watchkeeper.detectors.banks.bank import Bank
from watchkeeper.detectors.banks.columns import Columns
from watchkeeper.detectors.banks.ewma import EwmaBank
from watchkeeper.detectors.banks.judged import Judged
from watchkeeper.detectors.banks.level_bank import LONGEST_RUN
from watchkeeper.detectors.banks.psi import PsiBank
from watchkeeper.detectors.banks.reference_z import ReferenceZBank
from watchkeeper.detectors.banks.robust_z import RobustZBank
from watchkeeper.detectors.banks.seasonal import SeasonalBank
from watchkeeper.detectors.banks.shiryaev_roberts import ShiryaevRobertsBank
from watchkeeper.detectors.banks.shiryaev_roberts_counts import ShiryaevRobertsCountsBank
from watchkeeper.detectors.banks.shiryaev_roberts_rate import ShiryaevRobertsRateBank
from watchkeeper.detectors.banks.silence import SilenceBank
from watchkeeper.detectors.banks.threshold import ThresholdBank
from watchkeeper.detectors.ewma import Ewma
from watchkeeper.detectors.level_detector import LevelDetector
from watchkeeper.detectors.psi import Psi
from watchkeeper.detectors.reference_z import ReferenceZ
from watchkeeper.detectors.registry import make
from watchkeeper.detectors.robust_z import RobustZ
from watchkeeper.detectors.seasonal import Seasonal
from watchkeeper.detectors.shiryaev_roberts import ShiryaevRoberts
from watchkeeper.detectors.shiryaev_roberts_counts import ShiryaevRobertsCounts
from watchkeeper.detectors.shiryaev_roberts_rate import ShiryaevRobertsRate
from watchkeeper.detectors.silence import Silence
from watchkeeper.detectors.suite import Watch
from watchkeeper.detectors.threshold import Threshold

__all__ = ["Bank", "Columns", "Judged", "bank_for"]

_LARGEST = 2**31 - 1  # of a setting that is counted up to
_LONGEST_MEMORY = 1_440  # windows that are remembered one by one
_BANKS: dict[type[Any], Callable[[Any, int], Bank]] = {
    Ewma: EwmaBank,
    Psi: PsiBank,
    ReferenceZ: ReferenceZBank,
    RobustZ: RobustZBank,
    Seasonal: SeasonalBank,
    ShiryaevRoberts: ShiryaevRobertsBank,
    ShiryaevRobertsCounts: ShiryaevRobertsCountsBank,
    ShiryaevRobertsRate: ShiryaevRobertsRateBank,
    Silence: SilenceBank,
    Threshold: ThresholdBank,
}


def bank_for(watch: Watch, columns: int) -> Bank | None:
    """The bank of a watch over so many series; None where it takes a detector for each.

    Raises as `registry.make` does.
    """
    detector = make(watch.detector, watch.settings, watch.severity)
    bank = _BANKS.get(type(detector))
    if bank is None or not isinstance(detector, LevelDetector) or not _bounded(detector):
        return None
    return bank(detector, columns)


def _bounded(detector: LevelDetector) -> bool:
    counts = [value for value in vars(detector).values() if isinstance(value, int)]
    memory = detector.memory if isinstance(detector, RobustZ) else 0
    return (
        all(abs(count) <= _LARGEST for count in counts)
        and detector.for_windows <= LONGEST_RUN
        and memory <= _LONGEST_MEMORY
    )
