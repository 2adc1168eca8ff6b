"""What became of a column whose mean moved: two that changed places, one in another unit."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from itertools import combinations

from watchkeeper.detectors.types import Finding

NEAR = 0.15  # share of the distance between two columns' means that a swapped one may be off
RATIO_NEAR = 0.05  # relative error within which a ratio is taken for a factor between units
NOISY_NEAR = 0.15  # the same at most, where the mean itself is not known better
_MEAN = ":mean"

# Ratios between units of one quantity that people mix up.
FACTORS: dict[str, float] = {
    "percent and shares, or centimetres and metres": 100.0,
    "thousands, or milliseconds and seconds": 1_000.0,
    "millions, or microseconds and seconds": 1_000_000.0,
    "tens": 10.0,
    "minutes and seconds, or hours and minutes": 60.0,
    "hours and seconds": 3_600.0,
    "days and hours": 24.0,
    "KiB and bytes, or MiB and KiB": 1_024.0,
    "pounds and kilograms": 2.204_622_6,
    "kilometres and miles": 1.609_344,
    "inches and centimetres": 2.54,
    "feet and metres": 3.280_839_9,
    "radians and degrees": 180.0 / math.pi,
}


def swapped(findings: Iterable[Finding]) -> list[tuple[str, str]]:
    """Pairs of features of which each now has the mean that the other had."""
    moved = list(_means(findings))
    return [(a, b) for (a, one), (b, other) in combinations(moved, 2) if _exchanged(one, other)]


def rescaled(findings: Iterable[Finding]) -> list[tuple[str, float, str]]:
    """Features whose mean is a multiple or a fraction that tells of another unit: name, ratio of
    the means, and between which units it is known."""
    found = []
    for name, finding in _means(findings):
        if finding.expected * finding.value > 0.0:
            ratio = finding.value / finding.expected
            units = _units(max(ratio, 1.0 / ratio), _near(finding))
            if units:
                found.append((name, ratio, units))
    return found


def _means(findings: Iterable[Finding]) -> Iterator[tuple[str, Finding]]:
    newest: dict[str, Finding] = {}
    for each in findings:
        target = each.series.target
        known = each.expected == each.expected
        if each.series.signal == "features" and target.endswith(_MEAN) and known:
            newest[target.removesuffix(_MEAN)] = each
    yield from sorted(newest.items())


def _exchanged(one: Finding, other: Finding) -> bool:
    apart = abs(one.expected - other.expected)
    off = max(abs(one.value - other.expected), abs(other.value - one.expected))
    return apart > 0.0 and off <= NEAR * apart


def _near(finding: Finding) -> float:
    """How far from a factor a ratio may be: two standard errors of the mean, which the finding's
    score tells, within bounds."""
    apart, scores = abs(finding.value - finding.expected), abs(finding.statistic)
    error = apart / scores / abs(finding.expected) if scores > 0.0 else 0.0
    return min(max(2.0 * error, RATIO_NEAR), NOISY_NEAR)


def _units(ratio: float, within: float) -> str:
    near = {u: abs(math.log(ratio / factor)) for u, factor in FACTORS.items()}
    best = min(near, key=lambda u: near[u])
    return best if near[best] <= within else ""
