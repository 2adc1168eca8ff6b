"""Logarithm, exponential and log-gamma that round alike wherever a number lies in an array.

Libraries compute whole arrays by other code than their rests, so that a series judged among a
thousand could differ in the last bit from one judged alone. These are sums, products and quotients
only, whose rounding is prescribed. Errors are below 1e-12 of the result, or of 1 where that is
larger.
"""

from __future__ import annotations

import math

import numpy as np

from watchkeeper.detectors.frames import FloatArray

LN2_HIGH, LN2_LOW = 6.93147180369123816490e-01, 1.90821492927058770002e-10  # as in fdlibm
ROOT_HALF = math.sqrt(0.5)
TERMS = tuple(1.0 / (2 * i + 1) for i in range(11, 0, -1))
INVERSE_FACTORIALS = tuple(1.0 / math.factorial(i) for i in range(14, -1, -1))
LARGEST = 700.0
_STIRLING = (-1.0 / 1680.0, 1.0 / 1260.0, -1.0 / 360.0, 1.0 / 12.0)
_HALF_LN_2PI = 0.5 * math.log(2.0 * math.pi)
_SHIFT = 12


def ln(x: FloatArray) -> FloatArray:
    """Natural logarithms of positive numbers."""
    part, exponent = np.frexp(x)
    low = part < ROOT_HALF
    part = np.where(low, part + part, part)
    power = np.where(low, exponent - 1, exponent).astype(np.float64)
    s = (part - 1.0) / (part + 1.0)
    square = s * s
    total = np.zeros(s.shape)
    for term in TERMS:
        total = (total + term) * square
    return np.asarray(power * LN2_HIGH + (power * LN2_LOW + 2.0 * (s + s * total)))


def exp(x: FloatArray) -> FloatArray:
    """Exponentials of numbers, which are cut off at +-700."""
    x = np.minimum(np.maximum(x, -LARGEST), LARGEST)
    power = np.floor(x / math.log(2.0) + 0.5)
    rest = (x - power * LN2_HIGH) - power * LN2_LOW
    total = np.zeros(rest.shape)
    for factor in INVERSE_FACTORIALS:
        total = total * rest + factor
    return np.asarray(np.ldexp(total, power.astype(np.int32)))


def log_gamma(x: FloatArray) -> FloatArray:
    """Logarithms of the gamma function of positive numbers."""
    small = x < _SHIFT
    y = np.where(small, x + float(_SHIFT), x)
    square, total = 1.0 / (y * y), np.zeros(x.shape)
    for term in _STIRLING:
        total = total * square + term
    whole = (y - 0.5) * ln(y) - y + _HALF_LN_2PI + total / y
    few = x[small]
    product = few.copy()
    for i in range(1, _SHIFT):
        product = product * (few + float(i))
    whole[small] -= ln(product)
    return np.asarray(whole)
