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
SWAPPED, UNIT, CONSTANT, REPLACED = ":swapped", ":unit", ":constant", ":replaced"
KINDS = (SWAPPED, UNIT, CONSTANT, REPLACED)

LEAST_RATIO = 10.0  # of means, that tells of another unit
SPREAD_OUT = 0.5  # share of the reference that one bin has at most for a feature to vary
FAR = 0.5  # standard deviations between means, or from 0, that tell columns and units apart
ALL = 0.99  # of a window's events
_AND, _BY_ERROR = " and ", "reference_z"
_MEAN, _HISTOGRAM, _MISSING, _NEW = ":mean", ":histogram", ":missing", "schema:new_features"


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

    Two that changed places, one in another unit, one that does not vary any more, and one that is
    gone while as many events have a feature that nobody knows. Where most features moved, a few of
    them look like that by chance: places and units are only told if they explain half of it.
    """
    means = [each for each in seen if each.target.endswith(_MEAN)]
    known = {each.target.removesuffix(_MEAN): each for each in means}
    pairs = [*_swapped(means)]
    exchanged = {name for pair, _ in pairs for name in pair}
    units = [each for each in _rescaled(means) if each[0] not in exchanged]
    found = [*_constant(seen), *_replaced(seen)]
    if 2 * (len(exchanged) + len(units)) < len(means):
        return found
    for (a, b), base in pairs:
        text = f"{a}{_AND}{b} have changed places"
        severity = _weight(known[a], known[b], sure=sure)
        found.append(_named(base, f"{a}{_AND}{b}{SWAPPED}", text, severity))
    for name, ratio, of, base in units:
        text = f"{name} is {ratio:.3g} times what it was ({of}?)"
        found.append(_named(base, f"{name}{UNIT}", text, _weight(base, sure=sure)))
    return found


def needed(target: str) -> list[tuple[str, ...]]:
    """What has to be judged to know that a mistake is over: all of one of these targets. A name may
    hold the word that joins two."""
    name, _, kind = target.rpartition(":")
    if f":{kind}" == SWAPPED:
        words = name.split(_AND)
        cuts = ((_AND.join(words[:i]), _AND.join(words[i:])) for i in range(1, len(words)))
        return [(a + _MEAN, b + _MEAN) for a, b in cuts]
    of = {UNIT: (_MEAN,), CONSTANT: (_HISTOGRAM,)}.get(f":{kind}")
    return [(name + _MISSING, _NEW)] if of is None else [(name + of[0],)]


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


def _constant(seen: Sequence[Seen]) -> Iterator[Finding]:
    for each in seen:
        if each.counts is None or each.usual is None or not each.target.endswith(_HISTOGRAM):
            continue
        place, usual = int(each.counts.argmax()), int(each.usual.sum())
        lone = each.counts[place] == each.counts.sum() > 0
        if lone and usual and each.usual[place] <= SPREAD_OUT * usual:
            name = each.target.removesuffix(_HISTOGRAM)
            text = f"{name} does not vary any more"
            # An hour or a batch's number stands still for a window, too: that explains, no more.
            yield _named(each, f"{name}{CONSTANT}", text, Severity.INFO)


def _replaced(seen: Sequence[Seen]) -> Iterator[Finding]:
    new = max((each.finding.value for each in seen if each.target == _NEW), default=0.0)
    gone = [s for s in seen if s.target.endswith(_MISSING) and s.finding.value >= ALL]
    for each in gone if new >= ALL else ():
        name = each.target.removesuffix(_MISSING)
        text = f"{name} is gone and an unknown feature came: another type, or another name"
        yield _named(each, f"{name}{REPLACED}", text, _weight(each, sure=math.inf))


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
