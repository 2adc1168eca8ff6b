"""What closed windows let expect of models whose truths are late: samples of binary classifiers
with scores, and of what is estimated by `cells`. Nothing is kept or computed of models to which no
truth ever came."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from msgspec.structs import replace

from watchkeeper.daemon.core.cells import Closed, celled
from watchkeeper.daemon.core.model import ModelState
from watchkeeper.daemon.core.step import Step
from watchkeeper.daemon.core.tables import Table
from watchkeeper.daemon.core.weighing import weighted_curve
from watchkeeper.detectors.arrays import tally as t
from watchkeeper.detectors.arrays.schema import Schema
from watchkeeper.detectors.estimation import celled as by_cells
from watchkeeper.detectors.estimation.estimates import Estimates
from watchkeeper.detectors.estimation.judged import TARGETS
from watchkeeper.detectors.estimation.running import Windowed, told
from watchkeeper.detectors.estimation.trust import trust_of
from watchkeeper.detectors.signals import Estimate, EstimateGap
from watchkeeper.detectors.types import Finding, FloatArray, IntArray, Sample, Series

if TYPE_CHECKING:
    from watchkeeper.daemon.core.closing import Closing


class Estimated(NamedTuple):
    """A sample, and the row of the window it is of."""

    row: int
    sample: Sample


class _Said(NamedTuple):
    """What is said of one window: of each of `targets` estimate and gap with their errors, over so
    many predictions `n` and so many `truths`; and how far the estimates are to be trusted."""

    targets: tuple[str, ...]
    estimate: FloatArray
    error: FloatArray
    gap: FloatArray
    gap_error: FloatArray
    n: int
    truths: int
    trust: FloatArray


def learning(of: Table, slots: IntArray, models: Sequence[ModelState]) -> IntArray:
    """In which rows of a table truths came that teach anything, now or before, to these models."""
    if of.schema.cut is not None:
        some = (each.estimates is not None or bool(each.partials) for each in models)
        return np.flatnonzero(np.fromiter(some, np.bool_, len(models)))
    if not _by_score(of.schema):
        return np.zeros(0, dtype=np.int64)
    came = of.tally.counted("head", slots)[:, t.SCORED] > 0
    known = np.array([each.estimates is not None for each in models], dtype=np.bool_)
    return np.flatnonzero(came | known)


def _by_score(schema: Schema) -> bool:
    return schema.task == "binary" and schema.positive is not None and schema.score


def estimated(
    rows: Sequence[Closed], of: Table, slots: IntArray, refs: IntArray, step: Step
) -> list[Estimated]:
    """The samples of windows, which are those rows of a table and of its references. Notes what is
    to be shown of the versions that are live."""
    found: list[Estimated] = []
    said = _by_cells if of.schema.cut is not None else _by_scores
    for row, each in said(rows, of, slots, refs):
        model = rows[row].model
        if rows[row].version == model.live_version:
            shown = zip(each.estimate.tolist(), each.trust.tolist(), strict=True)
            step.estimates[model.model] = dict(zip(each.targets, shown, strict=True))
        found += [Estimated(row, sample) for sample in _samples(rows[row], each)]
    return found


def _by_cells(
    rows: Sequence[Closed], of: Table, slots: IntArray, refs: IntArray
) -> Iterable[tuple[int, _Said]]:
    for row, window in enumerate(celled(rows, of, slots, refs)):
        if window is not None:
            n, truths = int(window.answered.sum()), window.truths
            found, taught = by_cells.told(window), window.taught
            yield row, _Said(taught.kind.measures, *found, n, truths, trust_of(taught.record))


def _by_scores(
    rows: Sequence[Closed], of: Table, slots: IntArray, refs: IntArray
) -> Iterable[tuple[int, _Said]]:
    windows = _windows(rows, of, slots, refs)
    known = [(row, each) for row, each in enumerate(windows) if each is not None]
    if not known:
        return
    found = told([each for _, each in known])
    for place, (row, window) in enumerate(known):
        n, truths = int(window.scores.sum()), int(window.truths.sum())
        estimate, error, gap, gap_error = (each[place] for each in found)
        trust = trust_of(window.taught.record)
        yield row, _Said(TARGETS, estimate, error, gap, gap_error, n, truths, trust)


def _windows(
    rows: Sequence[Closed], of: Table, slots: IntArray, refs: IntArray
) -> list[Windowed | None]:
    """What was counted in each window; None for a version of which nothing is known yet."""
    head, truths = of.tally.counted("head", slots), of.tally.counted("scores", slots)
    column = len(of.schema.numeric)
    scores = of.tally.counted("numeric", slots)[:, column, t.FIRST_BIN :]
    edges = of.references.arrays["edges"][refs, column].astype(np.float64)
    bins = of.references.arrays["bins"][refs, column]
    made: list[Windowed | None] = []
    for row, (model, version, *_) in enumerate(rows):
        if model.estimates is None:
            model.estimates = Estimates()
        here, k = head[row], int(bins[row])
        if not here[t.SCORED] and version not in model.estimates.versions:
            made.append(None)
            continue
        counts = scores[row, :k].astype(np.int64)
        taught = model.estimates.of(version, model.older(version))
        weighted = rows[row].weighted
        made.append(
            Windowed(
                taught=taught,
                truths=truths[row].astype(np.int64),
                said=_part(here[t.FP] + here[t.TP], here[t.PAIRS], here[t.SCORED]),
                scores=counts if here[t.ANSWERED] else np.zeros_like(counts),
                edges=edges[row, : max(k - 1, 0)],
                positives=_part(here[t.POSITIVE], here[t.ANSWERED], counts.sum()),
                learns=model.incident is None or not model.incident.open,
                curve=weighted_curve(rows[row], taught, of, int(slots[row])) if weighted else None,
            )
        )
    return made


def _part(hits: int, of: int, n: int) -> int:
    """So many hits as there are among n if they are as frequent as among others."""
    return round(int(hits) * int(n) / int(of)) if of else 0


def say_trust(closing: Closing) -> None:
    """Says in a closed window's findings on estimates by what these were made, and how far they
    are to be trusted."""
    closing.found = [_trusted(closing, each) for each in closing.found]


def _trusted(closing: Closing, finding: Finding) -> Finding:
    model, series = closing.model, finding.series
    known = closing.statements.get((series, finding.at))
    if known is not None:
        return replace(finding, statement=known)
    if series.signal not in (Estimate.name, EstimateGap.name) or model.estimates is None:
        return finding
    taught = model.estimates.known(series.version)
    if taught is None or series.target not in taught.measures:
        return finding
    trust = trust_of(taught.record)[taught.measures.index(series.target)]
    what = "expected" if series.signal == Estimate.name else "truth less expected"
    text = f"{what} {series.target} ({taught.method}, {trust:.0%} trusted)"
    return replace(finding, statement=text)


def _samples(row: Closed, said: _Said) -> Iterator[Sample]:
    parts = (
        (Estimate.name, said.estimate, said.error, said.n, np.nan),
        (EstimateGap.name, said.gap, said.gap_error, said.truths, 0.0),
    )
    for signal, values, errors, count, expected in parts:
        for column, target in enumerate(said.targets):
            value, error = float(values[column]), float(errors[column])
            if np.isfinite(value):
                series = Series(row.model.model, row.version, signal, target)
                yield Sample(series, row.window, value, count, error, expected)
