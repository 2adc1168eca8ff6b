"""Puts closed windows before the detectors: those of all models in arrays, the rest as objects."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from watchkeeper.daemon.core.closing import LABELLED_MIN, Closing, Row
from watchkeeper.daemon.core.estimating import say_trust
from watchkeeper.daemon.core.evidence import standing, weighed
from watchkeeper.daemon.core.judges import judge_objects, judge_one
from watchkeeper.daemon.core.judging_estimates import judge_estimates
from watchkeeper.daemon.core.labelling import tell_apart
from watchkeeper.daemon.core.mistaken import FEATURES, find_mistakes, seen
from watchkeeper.daemon.core.panel import Panel, Verdicts
from watchkeeper.daemon.core.policy import ModelPolicy
from watchkeeper.daemon.core.repeats import add_answered
from watchkeeper.daemon.core.state import State
from watchkeeper.daemon.core.statements import judge_statements
from watchkeeper.daemon.core.step import Sampled, Step
from watchkeeper.daemon.core.together import name_features
from watchkeeper.daemon.core.versions import release_old
from watchkeeper.detectors.arrays.sampling import Samples, Windows, sampled
from watchkeeper.detectors.blocks import Member
from watchkeeper.detectors.budgeting import EVIDENCE_SHARE
from watchkeeper.detectors.mistakes.mistakes import DETECTOR
from watchkeeper.detectors.types import (
    BoolArray,
    Series,
    Severity,
)
from watchkeeper.handlers.types import Incident

AT_ONCE = 2_048  # windows that are judged together


def judge(state: State, closing: Sequence[Closing], step: Step) -> None:
    """Judges one window of each of these models."""
    for each in closing:
        each.model.lasts = False
        _elect(state, each, step)
    for first in range(0, len(closing), AT_ONCE):
        _judge_arrays(state, closing[first : first + AT_ONCE], step)
    state.arrays.joins.settle(each.model.row for each in closing)
    for each in closing:
        tell_apart(state, each, step)
        add_answered(each)
        judge_objects(each, step)
        judge_statements(each, step)
        find_mistakes(each)
        each.settle()
        name_features(each)
        say_trust(each)
        state.arrays.ledger.open.close(each.slots)
        each.model.partials.pop(each.index, None)
        release_old(each.model)


def _elect(state: State, closing: Closing, step: Step) -> None:
    """The live version is the one that made most of a window's predictions."""
    ledger, model = state.arrays.ledger, closing.model
    closing.slots = ledger.open.slots_of(model.row, closing.index)
    counts: dict[str, int] = {}
    for slot in closing.slots:
        here = ledger.open.slots[slot]
        n = ledger.open.answered(slot)
        if n:
            counts[ledger.names[here.member].version] = n
    if counts:
        live = model.live_version
        model.live_version = max(counts, key=lambda v: (counts[v], v == live, v))
        if model.live_version != live:
            step.live[model.model] = model.live_version
    closing.answering = {model.live_version: 0} | counts
    member = ledger.rows.get(Member(model.model, model.live_version))
    if member is None and model.live_version:
        member = ledger.member(model.row, Member(model.model, model.live_version))
    if member is not None and all(ledger.open.slots[s].member != member for s in closing.slots):
        # Silence is a sample too: a window without any count.
        held = ledger.reference(member, closing.window.start)
        closing.slots.append(ledger.open.put(member, closing.index, held))


# -------------------------------------------------------------------------------------- in arrays


def _judge_arrays(state: State, closing: Sequence[Closing], step: Step) -> None:
    ledger = state.arrays.ledger
    groups: dict[tuple[int, int], list[Row]] = {}
    suites: list[ModelPolicy] = []
    for each in closing:
        suite = _suite(suites, each.policy)
        for slot in each.slots:
            here = ledger.open.slots[slot]
            row = Row(each, here.member, ledger.names[here.member].version, slot)
            groups.setdefault((here.table, suite), []).append(row)
    # Who continues whom must not hang on which schema is judged first.
    _seat(state, groups, suites)
    for (table, suite), rows in groups.items():
        _judge_group(state, table, suites[suite], rows, step)


def _suite(known: list[ModelPolicy], policy: ModelPolicy) -> int:
    """The number of the first policy with the same watches."""
    for number, other in enumerate(known):
        if other is policy or other.suite == policy.suite:
            return number
    known.append(policy)
    return len(known) - 1


def _seat(
    state: State, groups: Mapping[tuple[int, int], Sequence[Row]], suites: Sequence[ModelPolicy]
) -> None:
    """Gives versions a place in the panels of their windows."""
    arrays, new = state.arrays, []
    for (table, suite), rows in groups.items():
        panel = arrays.panel(arrays.ledger.tables[table].schema, suites[suite].suite)
        new += [(row, panel) for row in rows if arrays.panel_of.get(row.member) is not panel]
    for row, panel in sorted(new, key=lambda each: each[0].version):
        arrays.seat(row.member, panel, _predecessor(state, row))


def _judge_group(
    state: State, table: int, policy: ModelPolicy, rows: Sequence[Row], step: Step
) -> None:
    ledger, of = state.arrays.ledger, state.arrays.ledger.tables[table]
    _, slots, refs = ledger.open.place([row.slot for row in rows])
    start = np.array([row.closing.window.start for row in rows])
    end = np.array([row.closing.window.end for row in rows])
    live = np.array([row.version == row.closing.model.live_version for row in rows])
    windows = Windows(slots, refs, start, end, live)
    columns = sampled(of.tally, of.references, windows)
    panel = state.arrays.panel(of.schema, policy.suite)
    members = [row.member for row in rows]
    step.sampled.append(Sampled([ledger.names[m] for m in members], columns))
    _shown(rows, columns)
    harmed = [at for at, row in enumerate(rows) if _is_open(row.closing.model.incident)]
    made = panel.judge(members, columns, columns.sheet)
    stand = _worth_a_page(rows, panel, policy, harmed, step)
    for number, verdicts in enumerate(made):
        if verdicts.found:
            _take(rows, verdicts, number, standing(verdicts, stand))
        if harmed and verdicts.post.watch.severity is not Severity.INFO:
            _follow(rows, harmed, verdicts)
        if harmed and verdicts.post.signal == FEATURES:
            _look(rows, harmed, verdicts)
    if panel.loose:
        _judge_loose(rows, panel, columns, step)
    judge_estimates(rows, of, slots, refs, step)


def _worth_a_page(
    rows: Sequence[Row], panel: Panel, policy: ModelPolicy, harmed: Sequence[int], step: Step
) -> BoolArray:
    """In which rows findings by evidence stand: those of models whose harms weigh enough together,
    or that have an incident open, which was worth a page already."""
    number: dict[str, int] = {}
    models = np.array([number.setdefault(r.closing.model.model, len(number)) for r in rows])
    places = np.array([panel.places[row.member] for row in rows], dtype=np.int64)
    windows = policy.budget / EVIDENCE_SHARE
    found = weighed(panel.evident, places, models, windows)
    if found is None:
        return np.ones(len(rows), dtype=np.bool_)
    parts = (found.logarithm, found.level, found.uncalibrated)
    here = list(zip(*(each.tolist() for each in parts), strict=True))
    for model, i in number.items():  # versions of another schema are weighed apart
        step.evidence[model] = max(step.evidence.get(model, here[i]), here[i])
    stand: BoolArray = found.passed[models]
    stand[list(harmed)] = True
    return stand


def _predecessor(state: State, row: Row) -> int | None:
    """The version whose detectors a new one continues: the live one, else the newest."""
    model, rows = row.closing.model, state.arrays.ledger.rows
    for version in model.older(row.version):
        member = rows.get(Member(model.model, version))
        if member is not None and member in state.arrays.panel_of:
            return member
    return None


def _shown(rows: Sequence[Row], columns: Samples) -> None:
    """Notes which versions were seen well enough, and which models have labels."""
    for each in columns.of("accuracy", "volume"):
        enough = np.asarray((each.given & (each.n >= LABELLED_MIN)).any(axis=1)).tolist()
        for place in np.flatnonzero(each.given.any(axis=1)).tolist():
            row, closing = rows[place], rows[place].closing
            closing.model.labelled |= each.signal == "accuracy"
            if enough[place]:
                shown = closing.known if each.signal == "accuracy" else closing.seen
                shown.add(row.version)


def _take(rows: Sequence[Row], verdicts: Verdicts, number: int, stands: BoolArray) -> None:
    """Takes the findings of one post in, those that stand."""
    post, judged, samples = verdicts.post, verdicts.judged, verdicts.samples
    for at, column in np.argwhere(stands).tolist():
        row = rows[at]
        member = Member(row.closing.model.model, row.version)
        finding = judged.finding(at, column, samples, member, post.watch)
        order = (row.version, post.signal, post.group, int(post.columns[column]), number)
        row.closing.add(order, finding)
        if post.signal == FEATURES:
            row.closing.drifted.append(seen(finding, samples, at, column))


def _follow(rows: Sequence[Row], harmed: Sequence[int], verdicts: Verdicts) -> None:
    """Notes what a post says of the harm of open incidents, which these rows have."""
    post, judged = verdicts.post, verdicts.judged
    for at in harmed:
        row = rows[at]
        for column in np.flatnonzero(judged.enough[at]).tolist():
            model = row.closing.model.model
            series = Series(model, row.version, post.signal, post.targets[column])
            row.closing.judged(series, post.watch, bool(judged.found[at, column]))


def _look(rows: Sequence[Row], harmed: Sequence[int], verdicts: Verdicts) -> None:
    """Notes which features there was enough of to say whether what was done to them is over."""
    for at in harmed:
        row = rows[at]
        if any(harm.detector == DETECTOR for harm in row.closing.model.health):
            judged = np.flatnonzero(verdicts.judged.enough[at]).tolist()
            looked = row.closing.looked.setdefault(row.version, set())
            looked.update(verdicts.post.targets[column] for column in judged)


def _is_open(incident: Incident | None) -> bool:
    return incident is not None and incident.open


def _judge_loose(rows: Sequence[Row], panel: Panel, columns: Samples, step: Step) -> None:
    """Puts samples before the detectors that have no bank."""
    for group, signal in enumerate(columns.signals):
        watches = [w for w in panel.loose if w.signal == signal]
        if not watches:
            continue
        each = columns[group]
        for at, column in np.argwhere(each.given).tolist():
            row = rows[at]
            sample = each.sample(at, column, row.closing.model.model, row.version)
            judge_one(row.closing, sample, watches, (group, column), step)
