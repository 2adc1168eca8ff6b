"""Sequential tests: evidence that grows exponentially under drift, and by 1 a sample without.

Evidence is compared with one number, the samples in which one false alarm is accepted (see
`watchkeeper.detectors.budget`). No calibration, no scale, no distribution is assumed.
"""

from __future__ import annotations

from watchkeeper.detectors.sequential.averages import averaged
from watchkeeper.detectors.sequential.categories import CategoryEvidence
from watchkeeper.detectors.sequential.rates import RateEvidence
from watchkeeper.detectors.sequential.sketch import QuantileSketch
from watchkeeper.detectors.sequential.values import ValueEvidence
from watchkeeper.detectors.sequential.whiten import Calibration

__all__ = [
    "Calibration",
    "CategoryEvidence",
    "QuantileSketch",
    "RateEvidence",
    "ValueEvidence",
    "averaged",
]
