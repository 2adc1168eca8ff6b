"""Findings that name what upstream did to a column: they follow from others of the same window."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import msgspec
import numpy as np
import numpy.typing as npt

from watchkeeper.detectors.mistakes import columns
from watchkeeper.detectors.types import Finding, Severity

DETECTOR = "mistakes"
SWAPPED, UNIT, SCALE = ":swapped", ":unit", ":scale"
CONSTANT, REPLACED, TYPE = ":constant", ":replaced", ":type"
KINDS = (SWAPPED, UNIT, SCALE, CONSTANT, REPLACED, TYPE)

LEAST_RATIO = 10.0  # of means, that tells of another unit
SPREAD_OUT = 0.5  # share of the reference that one bin has at most for a feature to vary
FAR = 0.5  # standard deviations between means, or from 0, that tell columns and units apart
ALL = 0.99  # of a window's events
_AND, _BY_ERROR = " and ", "reference_z"
MOST = 0.9  # of a window's values, that lie beyond nearly all of the reference where the scale is
# another: a single one that is far out moves a mean as well
_SURE, _SLACK = 3.0, 0.01  # standard errors, and a share, by which two shares are as good as one
_MEAN, _HISTOGRAM, _MISSING, _NEW = ":mean", ":histogram", ":missing", "schema:new_features"
_OUTSIDE, _UNSEEN, _TYPES = ":out_of_range", ":unseen", "schema:other_types"


class Seen(NamedTuple):
    """A finding on a feature, the standard deviation of one event (NaN: unknown), and the
    histograms of window and reference, None where there are none."""

    finding: Finding
    sd: float = math.nan
    counts: npt.NDArray[np.integer] | None = None
    usual: npt.NDArray[np.integer] | None = None

    @property
    def target(self) -> str:
        """What the finding is about."""
        return self.finding.series.target


def mistakes(seen: Sequence[Seen], sure: float = 0.0) -> list[Finding]:
    """What the findings of one version's window tell of its columns.

    They open an incident where the means they follow from are off by `sure` standard errors or
    more (of `reference_z`), or do so themselves; else they explain.

    Two that changed places, one in another unit or of another scale, one that does not vary any
    more, one of another type, and one that is gone while as many events have a feature that nobody
    knows. Where most features moved, a few of them look like that by chance: places, units and
    scales are only told if they explain half of it.
    """
    means = [each for each in seen if each.target.endswith(_MEAN)]
    known = {each.target.removesuffix(_MEAN): each for each in means}
    pairs = [*_swapped(means)]
    exchanged = {name for pair, _ in pairs for name in pair}
    sizes = [*_rescaled(means), *_scaled(seen)]
    sizes = [each for each in sizes if each[0] not in exchanged]
    found = [*_constant(seen), *_replaced(seen)]
    if 2 * (len(exchanged) + len(sizes)) < len(means):
        return found
    for (a, b), base in pairs:
        text = f"{a}{_AND}{b} have changed places"
        severity = _weight(known[a], known[b], sure=sure)
        found.append(_named(base, f"{a}{_AND}{b}{SWAPPED}", text, severity))
    for name, ratio, of, base in sizes:
        text = f"{name} is {ratio:.3g} times what it was" + (f" ({of}?)" if of else "")
        kind = UNIT if of else SCALE
        found.append(_named(base, f"{name}{kind}", text, _weight(base, sure=sure)))
    return found


def needed(target: str) -> list[tuple[str, ...]]:
    """What has to be judged to know that a mistake is over: all of one of these targets. A name may
    hold the word that joins two."""
    name, _, kind = target.rpartition(":")
    if f":{kind}" == SWAPPED:
        words = name.split(_AND)
        cuts = ((_AND.join(words[:i]), _AND.join(words[i:])) for i in range(1, len(words)))
        return [(a + _MEAN, b + _MEAN) for a, b in cuts]
    if f":{kind}" in (TYPE, REPLACED):
        return [(name + _MISSING, _TYPES if f":{kind}" == TYPE else _NEW)]
    return [(name + (_HISTOGRAM if f":{kind}" == CONSTANT else _MEAN),)]


def _weight(*bases: Seen, sure: float) -> Severity:
    """That of a finding which follows from these."""
    for finding in (each.finding for each in bases):
        far = finding.detector == _BY_ERROR and abs(finding.statistic) >= sure
        if finding.severity is Severity.INFO and not far:
            return Severity.INFO
    return Severity.WARNING


def _swapped(means: Sequence[Seen]) -> Iterator[tuple[tuple[str, str], Seen]]:
    known = {each.target.removesuffix(_MEAN): each for each in means}
    for a, b in columns.swapped(each.finding for each in means):
        one, other = known[a], known[b]
        apart = abs(one.finding.expected - other.finding.expected)
        if apart >= FAR * max(one.sd, other.sd):
            yield (a, b), one


def _rescaled(means: Sequence[Seen]) -> Iterator[tuple[str, float, str, Seen]]:
    """Units of numbers that lie around 0 cannot be told from their means."""
    known = {each.target.removesuffix(_MEAN): each for each in means}
    for name, ratio, units in columns.rescaled(each.finding for each in means):
        each = known[name]
        if max(ratio, 1.0 / ratio) >= LEAST_RATIO and abs(each.finding.expected) >= FAR * each.sd:
            yield name, ratio, units, each


def _scaled(seen: Sequence[Seen]) -> Iterator[tuple[str, float, str, Seen]]:
    """Numbers, not such that lie around 0, of which nearly all are as far beyond the reference as
    their mean says, by a factor between no units."""
    bins = {s.target.removesuffix(_HISTOGRAM): s for s in seen if s.target.endswith(_HISTOGRAM)}
    for each in (s for s in seen if s.target.endswith(_MEAN)):
        name, finding = each.target.removesuffix(_MEAN), each.finding
        counts = bins[name].counts if name in bins else None
        if counts is None or not finding.value * finding.expected > 0.0:
            continue
        ratio = finding.value / finding.expected
        place = -1 if finding.value > finding.expected else 0
        if (
            max(ratio, 1.0 / ratio) >= LEAST_RATIO
            and abs(finding.expected) >= FAR * each.sd
            and counts[place] >= MOST * counts.sum()
            and not columns.rescaled([finding])
        ):
            yield name, ratio, "", each


def _constant(seen: Sequence[Seen]) -> Iterator[Finding]:
    beyond = {s.target for s in seen if s.target.endswith((_OUTSIDE, _UNSEEN))}
    for each in seen:
        if each.counts is None or each.usual is None or not each.target.endswith(_HISTOGRAM):
            continue
        place, usual = int(each.counts.argmax()), int(each.usual.sum())
        lone = each.counts[place] == each.counts.sum() > 0
        name = each.target.removesuffix(_HISTOGRAM)
        # What the reference never had is all counted into the last bin, or the first, and may vary.
        if place in (0, len(each.counts) - 1) and beyond & {name + _OUTSIDE, name + _UNSEEN}:
            continue
        if lone and usual and each.usual[place] <= SPREAD_OUT * usual:
            text = f"{name} does not vary any more"
            # An hour or a batch's number stands still for a window, too: that explains, no more.
            yield _named(each, f"{name}{CONSTANT}", text, Severity.INFO)


def _replaced(seen: Sequence[Seen]) -> Iterator[Finding]:
    """Features that came as another type, and those that are gone while a new one came."""
    missing = [each for each in seen if each.target.endswith(_MISSING)]
    types = next((each.finding for each in seen if each.target == _TYPES), None)
    new = max((each.finding.value for each in seen if each.target == _NEW), default=0.0)
    for each in missing:
        name = each.target.removesuffix(_MISSING)
        severity = _weight(each, sure=math.inf)
        if types is not None and _explains(types, each.finding, alone=len(missing) == 1):
            share = "" if each.finding.value >= ALL else f" in {types.value:.0%} of the events"
            text = f"{name} came as another type{share}: text for numbers, or numbers for text"
            yield _named(each, f"{name}{TYPE}", text, severity)
        elif each.finding.value >= ALL <= new:
            text = f"{name} is gone and an unknown feature came: perhaps another name"
            yield _named(each, f"{name}{REPLACED}", text, severity)


def _explains(types: Finding, missing: Finding, *, alone: bool) -> bool:
    """Whether a feature is missing where events have one as another type. Of several that are
    missing, only those are meant that are as often."""
    more = missing.value - (missing.expected if math.isfinite(missing.expected) else 0.0)
    error = math.sqrt(types.value * (1.0 - types.value) / max(types.n, 1))
    above = more - types.value
    return above <= _SURE * error + _SLACK and (alone or above >= -_SURE * error - _SLACK)


def _named(base: Seen, target: str, text: str, severity: Severity) -> Finding:
    """The finding that a column is broken in this way, as of the one that shows it."""
    finding = base.finding
    series = msgspec.structs.replace(finding.series, target=target)
    return msgspec.structs.replace(
        finding,
        series=series,
        detector=DETECTOR,
        severity=severity,
        statement=text,
    )
