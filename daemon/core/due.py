"""When labels can be expected to say whether an estimate was right."""

from __future__ import annotations

import math

from msgspec.structs import replace

from watchkeeper.daemon.core.model import ModelState
from watchkeeper.detectors.estimation.delays import Delays
from watchkeeper.detectors.findings import Finding, Severity, moment
from watchkeeper.detectors.signals import Estimate
from watchkeeper.handlers.types import Incident, Note

LABELS = 30  # of a window's predictions, by which it is judged


def due(state: ModelState, finding: Finding) -> float:
    """When as many labels of the window that was found last will have come as a verdict needs, by
    how long those of the kept predictions took; infinite where so many never came, NaN where none
    are kept. Of a spread model by what its partitions said of theirs last."""
    delays = _of_shares(state) if state.links else _of_kept(state, finding.at)
    if delays is None:
        return math.nan
    return finding.at + delays.when(min(1.0, LABELS / max(finding.n, 1)))


def _of_kept(state: ModelState, known: float) -> Delays | None:
    ages, waits = state.arrays.joins.held.waits(state.row, known)
    return Delays.of(ages, waits) if len(ages) else None


def _of_shares(state: ModelState) -> Delays | None:
    tables = [Delays.of_dump(link.waits) for link in state.links.values() if link.waits]
    return Delays.sum(tables) if tables else None


def expecting(state: ModelState, incident: Incident) -> Incident:
    """The incident, which has just begun: with a line on when labels can be expected to confirm it
    if all of its harm is only estimated."""
    harm = [each for each in incident.findings if each.severity is not Severity.INFO]
    if not harm or any(each.series.signal != Estimate.name for each in harm):
        return incident
    at = max(due(state, each) for each in harm)
    if math.isnan(at):
        return incident
    when = (
        f"expected by {moment(at):%Y-%m-%d %H:%M:%S} UTC" if math.isfinite(at) else "not in sight"
    )
    text = f"estimated, not measured yet: {LABELS} labels that can confirm it are {when}"
    return replace(incident, timeline=(*incident.timeline, Note(incident.opened_at, text)))
