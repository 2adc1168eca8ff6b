"""Truths by the cells into which references cut answers, of the models that are estimated by these:
regressors, and classifiers of many classes that give the probability of their answer."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from watchkeeper.daemon.core.joined import Joined
from watchkeeper.daemon.core.model import ModelState
from watchkeeper.daemon.core.state import State
from watchkeeper.daemon.core.tables import Table
from watchkeeper.detectors.arrays import tally as t
from watchkeeper.detectors.arrays.reference import References
from watchkeeper.detectors.arrays.schema import Schema
from watchkeeper.detectors.estimation.celled import CELLS, Cut, Windowed
from watchkeeper.detectors.estimation.confident import right_counts
from watchkeeper.detectors.estimation.estimates import Estimates
from watchkeeper.detectors.estimation.regression import error_sums
from watchkeeper.detectors.signals.accuracy import Accuracy, measures
from watchkeeper.detectors.types import IntArray, Partial, Window

PART = Accuracy.name  # cells lie beside what is measured of the same truths


class Closed(NamedTuple):
    """A window of one version, to be judged, its number and the version's row; `weighted`: its
    estimate is to be, for its inputs."""

    model: ModelState
    version: str
    window: Window
    number: int
    member: int
    weighted: bool


def count_cells(state: State, joined: Joined, members: IntArray, window: IntArray) -> None:
    """Counts truths into the windows of their versions, by the cells of what was answered."""
    celled = state.arrays.ledger.members.arrays["celled"]
    chosen = np.flatnonzero(celled[members])
    if not len(chosen):
        return
    for row in np.unique(members[chosen]).tolist():
        mine = chosen[members[chosen] == row]
        for index in np.unique(window[mine]).tolist():
            _count(state, joined, mine[window[mine] == index], row, index)


def _count(state: State, joined: Joined, rows: IntArray, member: int, index: int) -> None:
    """Counts rows of one window of one version."""
    ledger = state.arrays.ledger
    name = ledger.names[member]
    held = ledger.reference(member, index * state.policy(name.model).window_s)
    if held is None:
        return
    of = ledger.tables[held.table]
    column = of.schema.cut
    if column is None:
        return
    cut = _cut(of.references, held.row, column)
    into = state.models[name.model].partials.setdefault(index, {})
    part = Partial({cut.name: _counts(of.schema, cut, joined, rows)})
    into.setdefault((name.version, PART), Partial()).merge(part)


def _counts(schema: Schema, cut: Cut, joined: Joined, rows: IntArray) -> IntArray:
    if schema.task == "regression":
        value = joined.predicted_value[rows]
        with np.errstate(over="ignore", invalid="ignore"):
            errors = value - joined.value[rows]
        return error_sums(cut.cells(value), errors, CELLS, cut.of_errors.scale)
    said, truth, score = joined.predicted_label[rows], joined.label[rows], joined.score[rows]
    usable = (said != 0) & (truth != 0) & (score >= 0.0) & (score <= 1.0)
    return right_counts(np.where(usable, cut.cells(score), -1), said == truth, CELLS)


def _cut(references: References, row: int, column: int) -> Cut:
    known = references.arrays
    used = max(int(known["bins"][row, column]) - 1, 0)
    edges = known["edges"][row, column, :used].astype(np.float64)
    return Cut(edges, float(known["scale"][row, column]))


def celled(
    rows: Sequence[Closed], of: Table, slots: IntArray, refs: IntArray
) -> list[Windowed | None]:
    """What was counted in each window; None for a version of which nothing is known yet."""
    column = of.schema.cut
    if column is None:
        return [None for _ in rows]
    answered = of.tally.counted("numeric", slots)[:, column, t.FIRST_BIN :]
    made: list[Windowed | None] = []
    for row, (closed, ref) in enumerate(zip(rows, refs.tolist(), strict=True)):
        cut = _cut(of.references, ref, column)
        kind = cut.of_errors if of.schema.task == "regression" else cut.of_confidences
        part = closed.model.partials.get(closed.number, {}).get((closed.version, PART))
        known = None if part is None else part.get(cut.name)
        estimates = closed.model.estimates
        if known is None and (estimates is None or closed.version not in estimates.cells):
            made.append(None)
            continue
        if estimates is None:
            estimates = closed.model.estimates = Estimates()
        before = closed.model.older(closed.version)
        taught = estimates.cells_of(closed.version, kind, cut.name, before)
        none = np.zeros((kind.parts, kind.cells), dtype=np.int64)
        incident = closed.model.incident
        learns = incident is None or not incident.open
        counts, here = answered[row].astype(np.int64), none if known is None else known
        regressed = part is not None and of.schema.task == "regression"
        measured = measures(part) if part is not None and regressed else None
        made.append(Windowed(taught, here, counts, learns, measured))
    return made
