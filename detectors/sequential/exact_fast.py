"""The logarithm and exponential of `exact` for compiled loops, to the last bit."""

from __future__ import annotations

import math

import numpy as np

from watchkeeper.detectors.fast import kernel
from watchkeeper.detectors.sequential import exact

_HIGH, _LOW, _ROOT_HALF = exact.LN2_HIGH, exact.LN2_LOW, exact.ROOT_HALF
_TERMS, _FACTORS, _LARGEST = exact.TERMS, exact.INVERSE_FACTORIALS, exact.LARGEST
_LN2 = math.log(2.0)


@kernel()
def ln(x: float) -> float:
    """As `exact.ln`."""
    part, exponent = math.frexp(x)
    if part < _ROOT_HALF:
        part, exponent = part + part, exponent - 1
    power = np.float64(exponent)
    s = (part - 1.0) / (part + 1.0)
    square, total = s * s, 0.0
    for term in _TERMS:
        total = (total + term) * square
    return power * _HIGH + (power * _LOW + 2.0 * (s + s * total))


@kernel()
def exp(x: float) -> float:
    """As `exact.exp`."""
    x = min(max(x, -_LARGEST), _LARGEST)
    power = math.floor(x / _LN2 + 0.5)
    rest = (x - power * _HIGH) - power * _LOW
    total = 0.0
    for factor in _FACTORS:
        total = total * rest + factor
    return math.ldexp(total, int(power))
