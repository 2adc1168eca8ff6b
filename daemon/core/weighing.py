"""Weights estimates for the inputs of their window, of the models whose users asked for it."""

from __future__ import annotations

from hashlib import blake2b

import numpy as np

from watchkeeper.daemon.core.cells import Closed
from watchkeeper.daemon.core.cuts import cuts_where
from watchkeeper.daemon.core.state import State
from watchkeeper.daemon.core.tables import Table
from watchkeeper.detectors.arrays import tally as t
from watchkeeper.detectors.blocks import PredictionBlock
from watchkeeper.detectors.estimation.calibration import Curves
from watchkeeper.detectors.estimation.inputs import CAPACITY, Shifted, weighted
from watchkeeper.detectors.estimation.running import Taught
from watchkeeper.detectors.joint.rows import MISSING, ROWS, Bins, bins_of, coded, sampled
from watchkeeper.detectors.keys import Keys, combined
from watchkeeper.detectors.profile import JOINT_FEATURES, Profile
from watchkeeper.detectors.signals._disagreement import key_of
from watchkeeper.detectors.signals.joint import Joint
from watchkeeper.detectors.types import FloatArray, IntArray

_PART = Joint.name  # samples of inputs lie beside those of how features go together


def sample_inputs(
    state: State, block: PredictionBlock, members: IntArray, window: IntArray
) -> None:
    """Samples the rows of a block into the windows of their versions: as many as are worth keeping
    until the label join lets go of them."""
    for cut in cuts_where(state, members, window, "weighed"):
        part = max(1, state.policy(cut.model.model).join_capacity // CAPACITY)
        rows, profile = cut.rows[block.key[cut.rows] % np.uint64(part) == 0], cut.profile
        if len(rows) and profile is not None and profile.numeric:
            bins = _coded(block.take(rows), profile)
            cut.part(_PART).merge({_name(profile): sampled(block.key[rows], bins)})


def weighted_curve(closed: Closed, taught: Taught, of: Table, slot: int) -> Curves | None:
    """What scores are worth in a closed window by its inputs; None where that cannot be said."""
    model, positive = closed.model, of.schema.positive
    profile = model.reference(closed.version, closed.window.start)
    if model.estimates is None or profile is None or not profile.numeric or positive is None:
        return None
    name = _name(profile)
    inputs = model.estimates.inputs_of(closed.version, name)
    part = model.partials.get(closed.number, {}).get((closed.version, _PART))
    if part is not None and name in part:
        inputs.add(_keys(part[name]), bins_of(part[name]))
    if model.links or not taught.speaks or not len(inputs.keys):
        return None
    key = model.arrays.clocks.arrays["key"][np.full(len(inputs.keys), model.row)]
    kept = model.arrays.joins.held.answered_of(
        model.row, closed.member, combined(inputs.keys, key), closed.window.end
    )
    return weighted(taught.curve, inputs, kept.of_class(key_of(positive)), _shifted(of, slot))


def _shifted(of: Table, slot: int) -> Shifted:
    """The histograms of a window's numeric features, by code."""
    found, many = [], min(len(of.schema.numeric), JOINT_FEATURES)
    numeric = of.tally.counted("numeric", np.array([slot]))[0, :many].astype(np.int64)
    for counts in numeric:
        codes = np.zeros(MISSING + 1, dtype=np.int64)
        codes[: len(counts) - t.FIRST_BIN] = counts[t.FIRST_BIN :]
        codes[MISSING] = counts[t.MISSING]
        found.append(codes)
    return Shifted(found, int(numeric[0].sum() - numeric[0, t.OUTSIDE]) if many else 0)


def _coded(block: PredictionBlock, profile: Profile) -> Bins:
    first = profile.numeric[:JOINT_FEATURES]
    columns = [block.numeric.get(each.name) for each in first]
    edges: list[FloatArray] = [np.array(each.edges, dtype=np.float64) for each in first]
    return coded(columns, edges, len(block))


def _name(profile: Profile) -> str:
    cut = repr([(each.name, each.edges) for each in profile.numeric[:JOINT_FEATURES]])
    return f"{ROWS}inputs:{blake2b(cut.encode(), digest_size=6).hexdigest()}"


def _keys(rows: IntArray) -> Keys:
    return np.ascontiguousarray(rows[:, 0]).view(np.uint64)
