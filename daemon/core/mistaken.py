"""Adds to what was found of a window's features what that says of upstream."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from watchkeeper.detectors.banks import Columns
from watchkeeper.detectors.budgeting import level
from watchkeeper.detectors.mistakes.mistakes import DETECTOR, Seen, mistakes, needed
from watchkeeper.detectors.types import Finding

if TYPE_CHECKING:
    from watchkeeper.daemon.core.closing import Closing

FEATURES = "features"
USUAL_LEVEL = 6.0  # of a mean, in standard errors, for a mistake to open an incident
_BEHIND = 1 << 30  # all other findings on features come first


def seen(finding: Finding, samples: Columns, row: int, column: int) -> Seen:
    """A finding on a feature with what its sample tells besides."""
    place = row, column
    sd = float(samples.stderr[place]) * math.sqrt(max(int(samples.n[place]), 0))
    if samples.counts is None or samples.expected_counts is None:
        return Seen(finding, sd)
    return Seen(finding, sd, samples.counts[place], samples.expected_counts[place])


def find_mistakes(closing: Closing) -> None:
    """Takes what was done to columns in as findings, and says which of those that are still open
    were not found any more. A window that has too little to judge their columns by says nothing."""
    if not closing.drifted and not closing.model.health:
        return
    allows = closing.policy.suite.allows
    sure = level(USUAL_LEVEL, closing.policy.budget) if closing.drifted else USUAL_LEVEL
    found: dict[str, list[Finding]] = {}
    for version in {each.finding.series.version for each in closing.drifted}:
        mine = [each for each in closing.drifted if each.finding.series.version == version]
        made = [f for f in mistakes(mine, sure) if allows(FEATURES, f.series.target, DETECTOR)]
        found[version] = sorted(made, key=lambda f: f.series.target)
        for number, finding in enumerate(found[version]):
            closing.add((version, FEATURES, _BEHIND, number, 0), finding)
    harm = [h for h in closing.model.health if h.detector == DETECTOR]
    for version in closing.looked.keys() | found.keys() if harm else ():
        known = closing.verdicts.setdefault(version, {})
        targets = {f.series.target for f in found.get(version, ())}
        looked = closing.looked.get(version, set())
        for each in harm:
            gone = any(looked.issuperset(needs) for needs in needed(each.target))
            if each.target in targets or gone:
                known[each.signal, each.target, DETECTOR] = each.target in targets
