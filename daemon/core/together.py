"""Samples how features go together, for the models whose users asked for it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec.structs import replace

from watchkeeper.daemon.core.cuts import cuts_where
from watchkeeper.daemon.core.state import State
from watchkeeper.detectors.blocks import PredictionBlock
from watchkeeper.detectors.signals.joint import Joint
from watchkeeper.detectors.types import Finding, IntArray

if TYPE_CHECKING:
    from watchkeeper.daemon.core.closing import Closing

_JOINT = Joint()


def relate_features(
    state: State, block: PredictionBlock, members: IntArray, window: IntArray
) -> None:
    """Samples the rows of a block into the windows of their versions."""
    for cut in cuts_where(state, members, window, "related"):
        profile = cut.profile
        if profile is None or profile.joint is None:
            continue
        into = cut.part(_JOINT.name)
        rows = cut.rows[_JOINT.wanted(block.key[cut.rows], profile, into)]
        into.merge(_JOINT.sketch(block.take(rows), profile))


def name_features(closing: Closing) -> None:
    """Says in a closed window's findings which features go together otherwise."""
    closing.found = [_named(closing, each) for each in closing.found]


def _named(closing: Closing, finding: Finding) -> Finding:
    series = finding.series
    if series.signal != _JOINT.name:
        return finding
    part = closing.model.partials.get(closing.index, {}).get((series.version, _JOINT.name))
    profile = closing.model.reference(series.version, closing.window.start)
    if part is None:
        return finding
    return replace(finding, statement=_JOINT.explained(part, profile, series.target))
