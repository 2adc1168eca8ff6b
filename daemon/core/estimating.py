"""What closed windows let expect of models whose truths are late: samples of binary classifiers
with scores. Nothing is kept or computed of models to which no truth ever came."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np

from watchkeeper.daemon.core.ledger import Table
from watchkeeper.daemon.core.model import ModelState
from watchkeeper.detectors.arrays import tally as t
from watchkeeper.detectors.estimation.estimates import Estimates
from watchkeeper.detectors.estimation.running import TARGETS, Told, Windowed, told
from watchkeeper.detectors.signals import Estimate, EstimateGap
from watchkeeper.detectors.types import IntArray, Sample, Series, Window


class Closed(NamedTuple):
    """A window of one version, to be judged."""

    model: ModelState
    version: str
    window: Window


class Estimated(NamedTuple):
    """A sample, and the row of the window it is of."""

    row: int
    sample: Sample


def learning(of: Table, slots: IntArray, models: Sequence[ModelState]) -> IntArray:
    """In which rows of a table truths of scores came, now or before, to these models."""
    nothing = np.zeros(0, dtype=np.int64)
    if of.schema.task != "binary" or of.schema.positive is None or not of.schema.score:
        return nothing
    came = of.tally.counted("head", slots)[:, t.SCORED] > 0
    known = np.array([each.estimates is not None for each in models], dtype=np.bool_)
    return np.flatnonzero(came | known)


def estimated(
    rows: Sequence[Closed], of: Table, slots: IntArray, refs: IntArray
) -> list[Estimated]:
    """The samples of windows, which are those rows of a table and of its references."""
    windows = _windows(rows, of, slots, refs)
    known = [row for row, each in enumerate(windows) if each is not None]
    if not known:
        return []
    given = [each for each in windows if each is not None]
    found = told(given)
    return [
        Estimated(row, sample)
        for place, row in enumerate(known)
        for sample in _samples(rows[row], found, place, given[place])
    ]


def _windows(
    rows: Sequence[Closed], of: Table, slots: IntArray, refs: IntArray
) -> list[Windowed | None]:
    """What was counted in each window; None for a version of which nothing is known yet."""
    head, truths = of.tally.counted("head", slots), of.tally.counted("scores", slots)
    column = len(of.schema.numeric)
    scores = of.tally.counted("numeric", slots)[:, column, t.FIRST_BIN :]
    edges, bins = (of.references.arrays[name][refs, column] for name in ("edges", "bins"))
    made: list[Windowed | None] = []
    for row, (model, version, _) in enumerate(rows):
        if model.estimates is None:
            model.estimates = Estimates()
        here, k = head[row], int(bins[row])
        if not here[t.SCORED] and version not in model.estimates.versions:
            made.append(None)
            continue
        counts = scores[row, :k].astype(np.int64)
        made.append(
            Windowed(
                taught=model.estimates.of(version, model.older(version)),
                truths=truths[row].astype(np.int64),
                said=_part(here[t.FP] + here[t.TP], here[t.PAIRS], here[t.SCORED]),
                scores=counts if here[t.ANSWERED] else np.zeros_like(counts),
                edges=edges[row, : max(k - 1, 0)],
                positives=_part(here[t.POSITIVE], here[t.ANSWERED], counts.sum()),
                learns=model.incident is None or not model.incident.open,
            )
        )
    return made


def _part(hits: int, of: int, n: int) -> int:
    """So many hits as there are among n if they are as frequent as among others."""
    return round(int(hits) * int(n) / int(of)) if of else 0


def _samples(row: Closed, found: Told, place: int, window: Windowed) -> Iterator[Sample]:
    n, truths = int(window.scores.sum()), int(window.truths.sum())
    parts = (
        (Estimate.name, found.estimate, found.error, n, np.nan),
        (EstimateGap.name, found.gap, found.gap_error, truths, 0.0),
    )
    for signal, values, errors, count, expected in parts:
        for column, target in enumerate(TARGETS):
            value, error = float(values[place, column]), float(errors[place, column])
            if np.isfinite(value):
                series = Series(row.model.model, row.version, signal, target)
                yield Sample(series, row.window, value, count, error, expected)
