"""Puts what is estimated of closed windows before its detectors, and stretches of them."""

from __future__ import annotations

from collections.abc import Sequence

from watchkeeper.daemon.core.cells import Closed
from watchkeeper.daemon.core.closing import Row
from watchkeeper.daemon.core.estimating import estimated, learning
from watchkeeper.daemon.core.judges import is_watched, judge_one
from watchkeeper.daemon.core.step import Step
from watchkeeper.daemon.core.stretching import (
    Ended,
    Unheld,
    has,
    let_go,
    may_end,
    recovered,
    stretched,
)
from watchkeeper.daemon.core.tables import Table
from watchkeeper.detectors.signals import Estimate, EstimateGap, Stretch
from watchkeeper.detectors.types import IntArray


def judge_estimates(
    rows: Sequence[Row], of: Table, slots: IntArray, refs: IntArray, step: Step
) -> None:
    """Puts what is estimated before its detectors."""
    chosen = learning(of, slots, [row.closing.model for row in rows])
    if not len(chosen):
        return
    some = [rows[at] for at in chosen.tolist()]
    closed = [_closed(row) for row in some]
    told: list[set[tuple[str, str]]] = [set() for _ in some]
    samples = estimated(closed, of, slots[chosen], refs[chosen], step)
    for number, (at, sample) in enumerate(samples):
        told[at].add((sample.series.signal, sample.series.target))
        step.samples.append(sample)
        closing = some[at].closing
        if is_watched(closing, sample.series):
            judge_one(closing, sample, closing.policy.watches, (number, 2), step)
    for row, said in zip(some, told, strict=True):
        _overrule(row, said)
    if of.schema.positive is not None:
        _judge_stretches(some, of.schema.positive, step)


def _judge_stretches(rows: Sequence[Row], positive: str, step: Step) -> None:
    """Puts stretches before their detectors, of those models that are judged so. Between them the
    last one stands where it is good: an incident need not wait for another."""
    some = []
    for row in rows:
        if has(row.closing.model, row.closing.policy):
            some.append(row)
        else:
            let_go(row.closing.model, row.version)
    for row in some:
        model = row.closing.model
        for harm in model.health:
            if harm.signal == Stretch.name and recovered(model, row.version, harm.target):
                known = row.closing.verdicts.setdefault(row.version, {})
                known.setdefault((harm.signal, harm.target, harm.detector), False)
    ended = [
        Ended(at, closing.model, closing.policy, row.version, row.member, closing.window)
        for at, row in enumerate(some)
        if may_end((closing := row.closing).model, row.version, closing.window.end)
    ]
    for number, each in enumerate(stretched(ended, positive)):
        closing = some[each.place].closing
        if isinstance(each, Unheld):
            closing.add((some[each.place].version, Stretch.name, number, 3, 0), each.finding)
            continue
        sample, text = each.sample, each.text
        step.samples.append(sample)
        closing.statements[sample.series, sample.window.end] = text
        judge_one(closing, sample, closing.policy.watches, (number, 3), step)


def _closed(row: Row) -> Closed:
    closing = row.closing
    whole = (closing.model, row.version, closing.window, closing.index)
    return Closed(*whole, row.member, closing.policy.weighted)


def _overrule(row: Row, told: set[tuple[str, str]]) -> None:
    """Where labels came and no estimate can be trusted beside them, it is for them to say whether
    there is harm: an incident must not wait for what was only expected."""
    for harm in row.closing.model.health:
        gap, estimate = (EstimateGap.name, harm.target), (Estimate.name, harm.target)
        if harm.signal == Estimate.name and gap in told and estimate not in told:
            known = row.closing.verdicts.setdefault(row.version, {})
            known.setdefault((harm.signal, harm.target, harm.detector), False)
