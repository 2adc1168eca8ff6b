"""Puts closed windows before the detectors: those of all models in arrays, the rest as objects."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from msgspec.structs import replace

from watchkeeper.daemon.core.cells import Closed
from watchkeeper.daemon.core.estimating import estimated, learning
from watchkeeper.daemon.core.evidence import standing, weighed
from watchkeeper.daemon.core.ingest import COUNTED, LIVE
from watchkeeper.daemon.core.labelling import add_totals
from watchkeeper.daemon.core.ledger import Table
from watchkeeper.daemon.core.mistaken import FEATURES, find_mistakes, seen
from watchkeeper.daemon.core.model import Judge, ModelState
from watchkeeper.daemon.core.panel import Panel, Verdicts
from watchkeeper.daemon.core.policy import ModelPolicy
from watchkeeper.daemon.core.repeats import add_answered
from watchkeeper.daemon.core.state import State
from watchkeeper.daemon.core.step import Sampled, Step
from watchkeeper.daemon.core.together import name_features
from watchkeeper.daemon.core.versions import release_old
from watchkeeper.detectors.arrays.sampling import Windows, sampled
from watchkeeper.detectors.banks import Columns
from watchkeeper.detectors.blocks import Member
from watchkeeper.detectors.budgeting import EVIDENCE_SHARE
from watchkeeper.detectors.mistakes.mistakes import Seen
from watchkeeper.detectors.registry import make
from watchkeeper.detectors.signals import SIGNALS, Estimate, EstimateGap
from watchkeeper.detectors.suite import Watch
from watchkeeper.detectors.templates.watch import DETECTORS, LogWatch, Said
from watchkeeper.detectors.templates.watch import SIGNAL as LOGS
from watchkeeper.detectors.types import (
    BoolArray,
    Finding,
    IntArray,
    Partial,
    Sample,
    Samples,
    Series,
    Severity,
    Window,
)
from watchkeeper.handlers.types import Incident

SERIES_LIMIT = 5_000  # series of one model whose detectors are objects; further ones are not judged
EXAMPLES, LONGEST_LINE = 3, 500  # log lines a finding shows, and characters of each
LABELLED_MIN = 30  # labels a window must have to show a version healthy
AT_ONCE = 2_048  # windows that are judged together

Key = tuple[str, str, str]  # signal, target, detector
_Order = tuple[str, str, int, int, int]  # version, signal, group, column, watch


@dataclass(slots=True)
class Closing:
    """One window of one model, while it is being closed.

    `answering` holds how many predictions each version made, and the live one in any case.
    `found` are the findings in a fixed order, `verdicts` what was judged of each version (True:
    found). There was enough to see whether versions are healthy in the predictions of those `seen`
    and in the labels of those `known`. `drifted` is what was found of features.
    """

    model: ModelState
    policy: ModelPolicy
    index: int
    window: Window
    answering: dict[str, int] = field(default_factory=dict)
    slots: list[int] = field(default_factory=list)
    found: list[Finding] = field(default_factory=list)
    verdicts: dict[str, dict[Key, bool]] = field(default_factory=dict)
    seen: set[str] = field(default_factory=set)
    known: set[str] = field(default_factory=set)
    drifted: list[Seen] = field(default_factory=list)
    _ordered: list[tuple[_Order, Finding]] = field(default_factory=list)

    @property
    def healthy(self) -> set[str]:
        """The versions that had nothing harmful, by labels where the model has any."""
        harmed = {f.series.version for f in self.found if f.severity is not Severity.INFO}
        return (self.known if self.model.labelled else self.seen) - harmed

    def add(self, order: _Order, finding: Finding) -> None:
        """Takes a finding in."""
        self._ordered.append((order, finding))

    def settle(self) -> None:
        """Puts the findings in their order."""
        self._ordered.sort(key=lambda each: each[0])
        self.found = [finding for _, finding in self._ordered]

    def judged(self, series: Series, watch: Watch, found: bool) -> None:
        """Notes a verdict on what would be harm."""
        known = self.verdicts.setdefault(series.version, {})
        key = (series.signal, series.target, watch.detector)
        known[key] = known.get(key, False) or found


def judge(state: State, closing: Sequence[Closing], step: Step) -> None:
    """Judges one window of each of these models."""
    for each in closing:
        each.model.lasts = False
        _elect(state, each, step)
    for first in range(0, len(closing), AT_ONCE):
        _judge_arrays(state, closing[first : first + AT_ONCE], step)
    state.arrays.joins.settle(each.model.row for each in closing)
    for each in closing:
        add_totals(state, each.model, each.index, each.slots)
        add_answered(each)
        _judge_objects(each, step)
        find_mistakes(each)
        each.settle()
        name_features(each)
        state.arrays.ledger.close(each.slots)
        each.model.partials.pop(each.index, None)
        release_old(each.model)


def _elect(state: State, closing: Closing, step: Step) -> None:
    """The live version is the one that made most of a window's predictions."""
    ledger, model = state.arrays.ledger, closing.model
    closing.slots = ledger.slots_of(model.row, closing.index)
    counts: dict[str, int] = {}
    for slot in closing.slots:
        here = ledger.slots[slot]
        n = ledger.answered(slot)
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
    if member is not None and all(ledger.slots[s].member != member for s in closing.slots):
        # Silence is a sample too: a window without any count.
        held = ledger.reference(member, closing.window.start)
        closing.slots.append(ledger.put(member, closing.index, held))


# -------------------------------------------------------------------------------------- in arrays


@dataclass(frozen=True, slots=True)
class _Row:
    """A window of one version: which closing it is of, its place in the arrays."""

    closing: Closing
    member: int
    version: str
    slot: int


def _judge_arrays(state: State, closing: Sequence[Closing], step: Step) -> None:
    ledger = state.arrays.ledger
    groups: dict[tuple[int, int], list[_Row]] = {}
    suites: list[ModelPolicy] = []
    for each in closing:
        suite = _suite(suites, each.policy)
        for slot in each.slots:
            here = ledger.slots[slot]
            row = _Row(each, here.member, ledger.names[here.member].version, slot)
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
    state: State, groups: Mapping[tuple[int, int], Sequence[_Row]], suites: Sequence[ModelPolicy]
) -> None:
    """Gives versions a place in the panels of their windows."""
    arrays, new = state.arrays, []
    for (table, suite), rows in groups.items():
        panel = arrays.panel(arrays.ledger.tables[table].schema, suites[suite].suite)
        new += [(row, panel) for row in rows if arrays.panel_of.get(row.member) is not panel]
    for row, panel in sorted(new, key=lambda each: each[0].version):
        arrays.seat(row.member, panel, _predecessor(state, row))


def _judge_group(
    state: State, table: int, policy: ModelPolicy, rows: Sequence[_Row], step: Step
) -> None:
    ledger, of = state.arrays.ledger, state.arrays.ledger.tables[table]
    _, slots, refs = ledger.place([row.slot for row in rows])
    start = np.array([row.closing.window.start for row in rows])
    end = np.array([row.closing.window.end for row in rows])
    live = np.array([row.version == row.closing.model.live_version for row in rows])
    columns = sampled(of.tally, of.references, Windows(slots, refs, start, end, live))
    panel = state.arrays.panel(of.schema, policy.suite)
    members = [row.member for row in rows]
    step.sampled.append(Sampled([ledger.names[m] for m in members], columns))
    _shown(rows, columns)
    harmed = [at for at, row in enumerate(rows) if _is_open(row.closing.model.incident)]
    made = panel.judge(members, columns)
    stand = _worth_a_page(rows, panel, policy, harmed, step)
    for number, verdicts in enumerate(made):
        if verdicts.found:
            _take(rows, verdicts, number, standing(verdicts, stand))
        if harmed and verdicts.post.watch.severity is not Severity.INFO:
            _follow(rows, harmed, verdicts)
    if panel.loose:
        _judge_loose(rows, panel, columns, step)
    _judge_estimates(rows, of, slots, refs, step)


def _worth_a_page(
    rows: Sequence[_Row], panel: Panel, policy: ModelPolicy, harmed: Sequence[int], step: Step
) -> BoolArray:
    """In which rows findings by evidence stand: those of models whose harms weigh enough together,
    or that have an incident open, which was worth a page already."""
    number: dict[str, int] = {}
    models = np.array([number.setdefault(r.closing.model.model, len(number)) for r in rows])
    places = np.array([panel.places[row.member] for row in rows], dtype=np.int64)
    windows = policy.false_alarm_s / policy.window_s / EVIDENCE_SHARE
    found = weighed(panel.posts, places, models, windows)
    if found is None:
        return np.ones(len(rows), dtype=np.bool_)
    parts = (found.logarithm, found.level, found.uncalibrated)
    here = list(zip(*(each.tolist() for each in parts), strict=True))
    for model, i in number.items():  # versions of another schema are weighed apart
        step.evidence[model] = max(step.evidence.get(model, here[i]), here[i])
    stand: BoolArray = found.passed[models]
    stand[list(harmed)] = True
    return stand


def _predecessor(state: State, row: _Row) -> int | None:
    """The version whose detectors a new one continues: the live one, else the newest."""
    model, rows = row.closing.model, state.arrays.ledger.rows
    for version in model.older(row.version):
        member = rows.get(Member(model.model, version))
        if member is not None and member in state.arrays.panel_of:
            return member
    return None


def _shown(rows: Sequence[_Row], columns: Sequence[Columns]) -> None:
    """Notes which versions were seen well enough, and which models have labels."""
    for each in columns:
        if each.signal not in ("accuracy", "volume"):
            continue
        enough = np.asarray((each.given & (each.n >= LABELLED_MIN)).any(axis=1)).tolist()
        for place in np.flatnonzero(each.given.any(axis=1)).tolist():
            row, closing = rows[place], rows[place].closing
            closing.model.labelled |= each.signal == "accuracy"
            if enough[place]:
                shown = closing.known if each.signal == "accuracy" else closing.seen
                shown.add(row.version)


def _take(rows: Sequence[_Row], verdicts: Verdicts, number: int, stands: BoolArray) -> None:
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


def _follow(rows: Sequence[_Row], harmed: Sequence[int], verdicts: Verdicts) -> None:
    """Notes what a post says of the harm of open incidents, which these rows have."""
    post, judged = verdicts.post, verdicts.judged
    for at in harmed:
        row = rows[at]
        for column in np.flatnonzero(judged.enough[at]).tolist():
            model = row.closing.model.model
            series = Series(model, row.version, post.signal, post.targets[column])
            row.closing.judged(series, post.watch, bool(judged.found[at, column]))


def _is_open(incident: Incident | None) -> bool:
    return incident is not None and incident.open


def _judge_loose(
    rows: Sequence[_Row], panel: Panel, columns: Sequence[Columns], step: Step
) -> None:
    """Puts samples before the detectors that have no bank."""
    for group, each in enumerate(columns):
        watches = [w for w in panel.loose if w.signal == each.signal]
        if not watches:
            continue
        for at, column in np.argwhere(each.given).tolist():
            row = rows[at]
            sample = each.sample(at, column, row.closing.model.model, row.version)
            _judge_one(row.closing, sample, watches, (group, column), step)


def _judge_estimates(
    rows: Sequence[_Row], of: Table, slots: IntArray, refs: IntArray, step: Step
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
        watches = closing.policy.watches_of(sample.series)
        if watches:
            _judge_one(closing, sample, watches, (number, 2), step)
    for row, said in zip(some, told, strict=True):
        _overrule(row, said)


def _closed(row: _Row) -> Closed:
    return Closed(row.closing.model, row.version, row.closing.window, row.closing.index)


def _overrule(row: _Row, told: set[tuple[str, str]]) -> None:
    """Where labels came and no estimate can be trusted beside them, it is for them to say whether
    there is harm: an incident must not wait for what was only expected."""
    for harm in row.closing.model.health:
        gap, estimate = (EstimateGap.name, harm.target), (Estimate.name, harm.target)
        if harm.signal == Estimate.name and gap in told and estimate not in told:
            known = row.closing.verdicts.setdefault(row.version, {})
            known.setdefault((harm.signal, harm.target, harm.detector), False)


# -------------------------------------------------------------------------------------- as objects


def _judge_objects(closing: Closing, step: Step) -> None:
    """Puts the samples of what is kept in parts before their detectors."""
    for number, sample in enumerate(_samples_of(closing)):
        step.samples.append(sample)
        series = sample.series
        if series.signal == "accuracy":
            closing.model.labelled = True
            if sample.n >= LABELLED_MIN:
                closing.known.add(series.version)
        _judge_one(closing, sample, closing.policy.watches, (number, 0), step)
    part = closing.model.partials.get(closing.index, {}).get((LIVE, LOGS))
    if part is not None:
        _judge_statements(closing, part, step)


def _judge_statements(closing: Closing, part: Partial, step: Step) -> None:
    """Puts a window's log lines before the watch over what they say."""
    model, policy = closing.model, closing.policy
    if model.statements is None:
        model.statements = LogWatch(budget=policy.false_alarm_s / policy.window_s)
    version = model.live_version
    watched = model.statements.close(model.model, version, closing.window, part)
    for target in watched.gone:
        model.judges.pop(Series(model.model, version, LOGS, target), None)
    for number, sample in enumerate(watched.samples):
        watches = policy.watches_of(sample.series)
        if watches:
            step.samples.append(sample)
            _judge_one(closing, sample, watches, (number, 1), step)
    allows = policy.suite.allows
    findings = [f for f in watched.findings if allows(LOGS, f.series.target, f.detector)]
    for number, finding in enumerate(findings):
        closing.add((version, LOGS, number, 2, 0), _shown_by(finding, watched.said))
    harm = [f for f in findings if f.severity is not Severity.INFO]
    found = {(LOGS, f.series.target, f.detector) for f in harm}
    open_ = {(h.signal, h.target, h.detector) for h in model.health if h.detector in DETECTORS}
    closing.verdicts.setdefault(version, {}).update({key: key in found for key in found | open_})


def _shown_by(finding: Finding, said: Mapping[str, Said]) -> Finding:
    """The finding with what the lines it is about have in common, and some of them."""
    about = said.get(finding.series.target)
    if about is None:
        return finding
    examples = tuple(line[:LONGEST_LINE] for line in about.examples[:EXAMPLES])
    return replace(finding, statement=about.template[:LONGEST_LINE], examples=examples)


def _samples_of(closing: Closing) -> Iterator[Sample]:
    model = closing.model
    partials = model.partials.get(closing.index, {})
    for version, name in sorted(partials):
        signal = next(each for each in SIGNALS if each.name == name)
        of = model.live_version if version == LIVE and name not in COUNTED else version
        profile = model.reference(of, closing.window.start)
        part: Partial = partials[version, name]
        yield from signal.samples(part, profile, model.model, of, closing.window)


def _judge_one(
    closing: Closing,
    sample: Sample,
    watches: Sequence[Watch],
    place: tuple[int, int],
    step: Step,
) -> None:
    series = sample.series
    finite = math.isfinite(sample.value)
    for number, judge_ in enumerate(_judges(closing, series, watches)):
        enough = finite and sample.n >= getattr(judge_.detector, "min_n", 0)
        found = _findings_of(closing.model, judge_, sample, step.failures)
        for finding in found:
            closing.add((series.version, series.signal, *place, number), finding)
        if judge_.watch.severity is not Severity.INFO and enough:
            closing.judged(series, judge_.watch, bool(found))


def _judges(closing: Closing, series: Series, watches: Sequence[Watch]) -> list[Judge]:
    """The judges of a series, posted when it is met for the first time."""
    model = closing.model
    known = model.judges.get(series)
    if known is None:
        if len(model.judges) >= SERIES_LIMIT:
            return []
        known = model.judges[series] = _posted(closing, series, watches)
    return known


def _findings_of(
    model: ModelState, judge_: Judge, sample: Sample, failures: list[str]
) -> list[Finding]:
    """What one judge finds in one sample. A detector that raises is dismissed and reported: a
    plugin's bug must not stop the watch over everything else."""
    try:
        return judge_.detector.update(Samples.of([sample]))
    except Exception as error:  # noqa: BLE001 - whatever a plugin raises
        model.judges[sample.series] = [j for j in model.judges[sample.series] if j is not judge_]
        failures.append(f"{sample.series}: detector {judge_.watch.detector} dismissed: {error!r}")
        return []


def _posted(closing: Closing, series: Series, watches: Sequence[Watch]) -> list[Judge]:
    """New judges for a new series. Those of a new version take up what the version it replaces
    had taught them, so that a bad version is not its own idea of normal."""
    suite, model = closing.policy.suite, closing.model
    before, judges = _taught_before(model, series), []
    for watch in watches:
        if not suite.stands(watch, series.signal, series.target):
            continue
        detector = make(watch.detector, watch.settings, watch.severity)
        for old in before:
            if old.watch == watch:
                detector.restore(old.detector.state())
        judges.append(Judge(watch, detector))
    return judges


def _taught_before(model: ModelState, series: Series) -> list[Judge]:
    for version in model.older(series.version):
        found = model.judges.get(Series(series.model, version, series.signal, series.target))
        if found is not None:
            return found
    return []
